/* main.c - a function of Lambda by its name. */
#include "lambda/lambda.h"

static enum af_status run_loader(struct af_aws *aws, const bool *cancel, struct af_error *err)
{
    struct af_lambda_loader *loader;
    enum af_status status = af_lambda_loader_new(aws, &loader, err);
    if (status != AF_OK) {
        if (err != NULL)
            af_lambda_init_failed(NULL, err);
        return status;
    }
    const struct af_lambda_runtime runtime = { .handler = af_lambda_load, .ctx = loader, .cancel = cancel };
    status = af_lambda_run(&runtime, err);
    af_lambda_loader_free(loader);
    return status;
}

enum af_status af_lambda_main(const char *name, const bool *cancel, struct af_error *err)
{
    struct af_aws *aws;
    struct af_slice word = af_slice_of(name);
    for (size_t i = 0; i < word.len; i++) /* "loader.handler" is how others write it */
        if (word.ptr[i] == '.')
            word.len = i;
    if (!af_slice_is(word, "loader"))
        return af_fail(err, AF_EINVAL, "there is no function \"%s\": it is loader", name);
    AF_TRY(af_aws_open(NULL, &aws, err));
    enum af_status status = run_loader(aws, cancel, err);
    af_aws_close(aws);
    return status;
}
