/* config.c - what the environment and the profile say, read once; the clock as AWS sees it. */
#include "aws/aws_int.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "codec/digest.h"
#include "os/clock.h"
#include "os/file.h"
#include <stdio.h>
#include <stdlib.h>

#ifndef AF_VERSION
#define AF_VERSION "0"
#endif

enum { ATTEMPTS_DEFAULT = 3, ARENA_BYTES = 64 << 20 };

const char *af_aws_variable(const struct af_aws *aws, const char *name)
{
    const char *value = aws->options.variable != NULL ? aws->options.variable(aws->options.ctx, name) : getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

const char *aws_either(const struct af_aws *aws, const char *variable, const char *setting)
{
    const char *value = af_aws_variable(aws, variable);
    return value != NULL ? value : aws_profile_setting(aws, aws->profile, setting);
}

static bool is_true(const char *text)
{
    return text != NULL && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0 || strcmp(text, "True") == 0 || strcmp(text, "TRUE") == 0 ||
                            strcmp(text, "on") == 0);
}

bool aws_flag(const struct af_aws *aws, const char *variable, const char *setting)
{
    return is_true(aws_either(aws, variable, setting));
}

/* --- files --------------------------------------------------------------------------------------------------------------- */

/* Where a file is; *out NULL: neither the variable nor HOME is set. False without memory. */
static bool place(struct af_aws *aws, const char *variable, const char *name, const char **out)
{
    const char *file = af_aws_variable(aws, variable);
    const char *home = af_aws_variable(aws, "HOME");
    bool is_in_home = file == NULL || (file[0] == '~' && file[1] == '/');
    *out = is_in_home ? NULL : file;
    if (!is_in_home || home == NULL)
        return true;
    *out = file != NULL ? af_arena_printf(&aws->arena, "%s%s", home, file + 1) : af_arena_printf(&aws->arena, "%s/.aws/%s", home, name);
    return *out != NULL;
}

static enum af_status read_profiles(struct af_aws *aws, const char *file, bool is_credentials, struct af_error *err)
{
    if (file == NULL || af_path_kind(file) == AF_PATH_NONE)
        return AF_OK;
    struct af_buf text;
    af_buf_init(&text, AF_AWS_CONFIG_BYTES_MAX);
    enum af_status status = af_file_read_all(file, &text, err);
    if (status == AF_OK)
        status = aws_profile_parse(file, af_buf_slice(&text), is_credentials, &aws->arena, &aws->settings, err);
    if (text.ptr != NULL)
        af_wipe(text.ptr, text.len);
    af_buf_done(&text);
    return status;
}

/* The credentials file is read second: of two equal settings its own counts. */
static enum af_status read_files(struct af_aws *aws, struct af_error *err)
{
    const char *config, *keys;
    if (!place(aws, "AWS_CONFIG_FILE", "config", &config) || !place(aws, "AWS_SHARED_CREDENTIALS_FILE", "credentials", &keys))
        return af_fail_nomem(err, "AWS's settings");
    AF_TRY(read_profiles(aws, config, false, err));
    AF_TRY(read_profiles(aws, keys, true, err));
    char section[512];
    (void)snprintf(section, sizeof section, "profile %s", aws->profile);
    if (aws->profile_was_asked && !aws_has_section(aws, section))
        return af_fail(err, AF_ENOTFOUND, "there is no AWS profile \"%s\" in %s or %s", aws->profile,
                       config != NULL ? config : "~/.aws/config", keys != NULL ? keys : "~/.aws/credentials");
    return AF_OK;
}

/* --- settings ------------------------------------------------------------------------------------------------------------ */

static enum af_status take_retries(struct af_aws *aws, struct af_error *err)
{
    const char *attempts = aws_either(aws, "AWS_MAX_ATTEMPTS", "max_attempts");
    const char *mode = aws_either(aws, "AWS_RETRY_MODE", "retry_mode");
    int64_t count = ATTEMPTS_DEFAULT;
    if (attempts != NULL && (!af_i64_parse(af_slice_of(attempts), &count) || count < 1 || count > 100))
        return af_fail(err, AF_EINVAL, "AWS_MAX_ATTEMPTS (max_attempts of the profile) is a number from 1 to 100, not \"%s\"", attempts);
    aws->max_attempts = aws->options.max_attempts != 0 ? aws->options.max_attempts : (uint32_t)count;
    if (mode == NULL || strcmp(mode, "standard") == 0 || strcmp(mode, "legacy") == 0)
        aws->retry_mode = AF_AWS_RETRY_STANDARD;
    else if (strcmp(mode, "adaptive") == 0)
        aws->retry_mode = AF_AWS_RETRY_ADAPTIVE;
    else
        return af_fail(err, AF_EINVAL, "AWS_RETRY_MODE (retry_mode of the profile) is standard or adaptive, not \"%s\"", mode);
    return AF_OK;
}

bool aws_is_region(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') || (text[i] == '-' && i != 0)))
            return false;
    return len > 0 && len < 64;
}

static enum af_status take_settings(struct af_aws *aws, struct af_error *err)
{
    const char *region = aws->options.region;
    if (region == NULL)
        region = af_aws_variable(aws, "AWS_REGION");
    if (region == NULL)
        region = aws_either(aws, "AWS_DEFAULT_REGION", "region");
    if (region != NULL && !aws_is_region(region))
        return af_fail(err, AF_EINVAL, "\"%s\" is no region of AWS: one looks like us-east-1 or sa-east-1", region);
    if (region != NULL && (aws->region = af_arena_copy(&aws->arena, af_slice_of(region))) == NULL)
        return af_fail_nomem(err, "AWS's settings");
    aws->ca_file = aws->options.http.ca_file != NULL ? aws->options.http.ca_file : aws_either(aws, "AWS_CA_BUNDLE", "ca_bundle");
    aws->use_fips = aws_flag(aws, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
    aws->use_dualstack = aws_flag(aws, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
    return take_retries(aws, err);
}

/* The caller's texts are copied: what `aws` uses later lives as long as itself. */
static bool keep_text(struct af_aws *aws, const char **text)
{
    return *text == NULL || (*text = af_arena_copy(&aws->arena, af_slice_of(*text))) != NULL;
}

static bool keep_options(struct af_aws *aws)
{
    struct af_aws_options *o = &aws->options;
    if (!keep_text(aws, &o->profile) || !keep_text(aws, &o->region) || !keep_text(aws, &o->endpoint_url) ||
        !keep_text(aws, &o->user_agent) || !keep_text(aws, &o->http.ca_file) || !keep_text(aws, &o->http.user_agent))
        return false;
    if (o->user_agent != NULL)
        aws->user_agent = af_arena_printf(&aws->arena, "afluxo/" AF_VERSION " %s", o->user_agent);
    return o->user_agent == NULL || aws->user_agent != NULL;
}

enum af_status af_aws_open(const struct af_aws_options *options, struct af_aws **out, struct af_error *err)
{
    struct af_aws *aws = af_alloc_zero(1, sizeof *aws);
    if (aws == NULL)
        return af_fail_nomem(err, "AWS's settings");
    if (options != NULL)
        aws->options = *options;
    af_arena_init(&aws->arena, ARENA_BYTES);
    af_mutex_init(&aws->lock);
    af_cond_init(&aws->changed);
    aws_retry_init(&aws->retry, af_clock_mono_ns());
    enum af_status status = keep_options(aws) ? AF_OK : af_fail_nomem(err, "AWS's settings");
    aws->profile = aws->options.profile;
    if (aws->profile == NULL)
        aws->profile = af_aws_variable(aws, "AWS_PROFILE");
    if (aws->profile == NULL)
        aws->profile = af_aws_variable(aws, "AWS_DEFAULT_PROFILE");
    aws->profile_was_asked = aws->profile != NULL;
    aws->profile = af_arena_copy(&aws->arena, af_slice_of(aws->profile != NULL ? aws->profile : "default"));
    if (status == AF_OK)
        status = aws->profile != NULL ? read_files(aws, err) : af_fail_nomem(err, "AWS's settings");
    if (status == AF_OK)
        status = take_settings(aws, err);
    if (status != AF_OK) {
        af_aws_close(aws);
        return status;
    }
    *out = aws;
    return AF_OK;
}

void af_aws_close(struct af_aws *aws)
{
    if (aws == NULL)
        return;
    for (struct aws_setting *s = aws->settings; s != NULL; s = s->next)
        af_wipe((void *)(uintptr_t)s->value, strlen(s->value));
    af_arena_done(&aws->arena);
    af_cond_done(&aws->changed);
    af_mutex_done(&aws->lock);
    af_wipe(&aws->credentials, sizeof aws->credentials);
    af_free(aws);
}

const char *aws_known_region(struct af_aws *aws)
{
    af_mutex_lock(&aws->lock);
    const char *region = aws->region;
    af_mutex_unlock(&aws->lock);
    return region;
}

/* Asked once: elsewhere than on an instance the answer takes seconds. */
static void find_region(struct af_aws *aws)
{
    char found[64];
    af_mutex_lock(&aws->lock);
    bool is_first = !aws->region_was_asked;
    aws->region_was_asked = true;
    af_mutex_unlock(&aws->lock);
    if (!is_first || aws_metadata_region(aws, found, sizeof found, NULL) != AF_OK || !aws_is_region(found))
        return;
    af_mutex_lock(&aws->lock);
    aws->region = af_arena_copy(&aws->arena, af_slice_of(found));
    af_mutex_unlock(&aws->lock);
}

enum af_status af_aws_region(struct af_aws *aws, const char **out, struct af_error *err)
{
    if (aws_known_region(aws) == NULL)
        find_region(aws);
    const char *region = aws_known_region(aws);
    if (region == NULL)
        return af_fail(err, AF_EINVAL, "which region of AWS? Set AWS_REGION, or region in the profile \"%s\"", aws->profile);
    *out = region;
    return AF_OK;
}

/* --- the clock ----------------------------------------------------------------------------------------------------------- */

int64_t aws_skew_ns(struct af_aws *aws)
{
    af_mutex_lock(&aws->lock);
    int64_t skew_ns = aws->skew_ns;
    af_mutex_unlock(&aws->lock);
    return skew_ns;
}

int64_t aws_now_ns(struct af_aws *aws)
{
    return af_clock_now_ns() + aws_skew_ns(aws);
}

void aws_learn_skew(struct af_aws *aws, int64_t skew_ns)
{
    af_mutex_lock(&aws->lock);
    aws->skew_ns = skew_ns;
    af_mutex_unlock(&aws->lock);
}
