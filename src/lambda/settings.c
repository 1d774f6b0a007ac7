/* settings.c - the environment of the functions, by the table of settings.def. */
#include "base/numbers.h"
#include "lambda/lambda_int.h"

static const struct {
    const char *name, *otherwise;
} settings[] = {
#define AF_X(name, otherwise, readers) { #name, otherwise },
#include "lambda/settings.def"
#undef AF_X
};

const char *lambda_text(const struct af_aws *aws, enum lambda_setting setting)
{
    const char *value = af_aws_variable(aws, settings[setting].name);
    if (value == NULL)
        value = settings[setting].otherwise;
    return value[0] != '\0' ? value : NULL;
}

enum af_status lambda_number(const struct af_aws *aws, enum lambda_setting setting, uint64_t *out, struct af_error *err)
{
    const char *value = lambda_text(aws, setting);
    if (value == NULL || !af_u64_parse(af_slice_of(value), out) || *out > UINT32_MAX)
        return af_fail(err, AF_EINVAL, "%s is a whole number, not \"%.60s\"", settings[setting].name, value != NULL ? value : "");
    return AF_OK;
}

enum af_status lambda_flag(const struct af_aws *aws, enum lambda_setting setting, bool *out, struct af_error *err)
{
    static const char *const words[][2] = { { "false", "true" }, { "False", "True" }, { "FALSE", "TRUE" }, { "0", "1" }, { "no", "yes" } };
    struct af_slice value = af_slice_of(lambda_text(aws, setting));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        for (int is_on = 0; is_on < 2; is_on++)
            if (af_slice_is(value, words[i][is_on])) {
                *out = is_on != 0;
                return AF_OK;
            }
    return af_fail(err, AF_EINVAL, "%s is true or false, not \"%.60s\"", settings[setting].name, value.ptr != NULL ? value.ptr : "");
}

bool lambda_is_inside(const struct af_aws *aws)
{
    return af_aws_variable(aws, "AWS_LAMBDA_RUNTIME_API") != NULL;
}
