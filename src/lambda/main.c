/* main.c - a function of Lambda by its name: made, run, freed. */
#include "base/limits.h"
#include "lambda/lambda_int.h"

/* A request that stands still is given up long before Lambda gives the function up. */
enum { CONNECT_MS = 3000, STALL_MS = 10000 };

static const struct {
    const char *name;
    enum af_status (*make)(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err);
} functions[] = {
    { "loader", af_lambda_loader_new }, { "monitor", af_lambda_monitor_new }, { "query", af_lambda_query_new },
    { "scaler", af_lambda_scaler_new }, { "provision", af_lambda_provision_new },
    { "backup", af_lambda_backup_new },
};

const char *af_lambda_names(void)
{
    return "loader, monitor, query, scaler, provision, backup";
}

enum af_status af_lambda_handle(void *function, const struct af_lambda_invocation *invocation, struct af_buf *answer, struct af_error *err)
{
    return ((struct af_lambda_function *)function)->handle(function, invocation, answer, err);
}

void af_lambda_function_free(struct af_lambda_function *function)
{
    if (function != NULL)
        function->free(function);
}

/* "loader.handler" is how others write it. */
static bool is_name(const char *given, const char *name)
{
    size_t len = strlen(name);
    return strncmp(given, name, len) == 0 && (given[len] == '\0' || given[len] == '.');
}

static enum af_status make(const char *name, struct af_aws **aws, struct af_lambda_function **out, struct af_error *err)
{
    const struct af_aws_options options = { .http = { .connect_timeout_ms = CONNECT_MS, .stall_timeout_ms = STALL_MS } };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (is_name(name, functions[i].name)) {
            AF_TRY(af_aws_open(&options, aws, err));
            return functions[i].make(*aws, out, err);
        }
    return af_fail(err, AF_EINVAL, "there is no function \"%.60s\"; there are: %s", name, af_lambda_names());
}

enum af_status af_lambda_main(const char *name, const bool *cancel, struct af_error *err)
{
    struct af_aws *aws = NULL;
    struct af_lambda_function *function = NULL;
    struct af_error why = { 0 };
    enum af_status status = make(name, &aws, &function, &why);
    if (status == AF_OK) {
        const struct af_lambda_runtime runtime = { .handler = af_lambda_handle, .ctx = function, .cancel = cancel };
        status = af_lambda_run(&runtime, &why);
    } else {
        af_lambda_init_failed(NULL, &why);
    }
    af_lambda_function_free(function);
    af_aws_close(aws);
    if (status != AF_OK && err != NULL)
        *err = why;
    return status;
}

enum af_status af_lambda_once(const char *name, struct af_slice event, struct af_lambda_log *log, const bool *cancel,
                              struct af_buf *answer, struct af_error *err)
{
    struct af_aws *aws = NULL;
    struct af_lambda_function *function = NULL;
    struct af_arena arena;
    af_arena_init(&arena, AF_LAMBDA_ARENA_BYTES_MAX);
    const struct af_lambda_invocation invocation = { .request_id = "once", .function_arn = "", .trace_id = "", .event = event,
                                                     .cancel = cancel, .arena = &arena, .log = log };
    enum af_status status = make(name, &aws, &function, err);
    if (status == AF_OK)
        status = af_lambda_handle(function, &invocation, answer, err);
    af_lambda_function_free(function);
    af_aws_close(aws);
    af_arena_done(&arena);
    return status;
}
