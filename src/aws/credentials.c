/*
 * credentials.c - the chain of sources, and what came of it kept until it nears its end.
 *
 *     good for more than REFRESH_AHEAD      as they are
 *     near their end                        one thread fetches, the others go on with the old ones
 *     past their end, or refused            everybody waits for that one fetch
 */
#include "aws/aws_int.h"
#include "aws/sts.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "codec/digest.h"
#include "format/json/json.h"
#include "os/clock.h"
#include <stdio.h>

#define REFRESH_AHEAD_NS (INT64_C(300) * AF_NS_PER_S)
#define RETRY_NS (INT64_C(30) * AF_NS_PER_S) /* after a fetch ahead of time that failed */
enum { PROFILES_DEEP = 8 };

/* --- filled in ------------------------------------------------------------------------------------------------------------- */

static bool copy(char *dst, size_t cap, struct af_slice text)
{
    if (text.len >= cap || (text.len != 0 && memchr(text.ptr, '\0', text.len) != NULL) ||
        (text.len != 0 && memchr(text.ptr, '\n', text.len) != NULL) || (text.len != 0 && memchr(text.ptr, '\r', text.len) != NULL))
        return false;
    if (text.len != 0)
        memcpy(dst, text.ptr, text.len);
    dst[text.len] = '\0';
    return true;
}

enum af_status aws_credentials_put(struct af_aws_credentials *out, struct af_slice access, struct af_slice secret, struct af_slice token,
                                   const char *who, struct af_error *err)
{
    out->expires_ns = 0;
    (void)snprintf(out->source, sizeof out->source, "%s", who);
    if (access.len == 0 || secret.len == 0)
        return af_fail(err, AF_EUNAUTH, "%s: an access key id without its secret, or the other way round", who);
    if (!copy(out->access_key, sizeof out->access_key, access) || !copy(out->secret_key, sizeof out->secret_key, secret) ||
        !copy(out->session_token, sizeof out->session_token, token))
        return af_fail(err, AF_EUNAUTH, "%s: what it gives is too long, or of more than one line, for credentials", who);
    return AF_OK;
}

enum af_status aws_is_configured(enum af_status status, struct af_error *err)
{
    if (status != AF_ENOTFOUND)
        return status;
    if (err != NULL)
        err->status = AF_EUNAUTH;
    return AF_EUNAUTH;
}

enum af_status aws_credentials_of_json(struct af_slice text, const char *token_name, const char *who, struct af_aws_credentials *out,
                                       struct af_error *err)
{
    struct af_arena arena;
    struct af_json *root = NULL;
    struct af_error why;
    af_arena_init(&arena, 1 << 20);
    enum af_status status = af_json_parse(text, &arena, &root, &why);
    if (status != AF_OK)
        status = af_fail(err, AF_EUNAUTH, "%s: it should answer JSON, and does not", who);
    if (status == AF_OK && root->kind != AF_JSON_OBJECT)
        status = af_fail(err, AF_EUNAUTH, "%s: it should answer a JSON object", who);
    struct af_slice code = status == AF_OK ? af_json_string(root, "Code") : (struct af_slice){ NULL, 0 };
    if (code.len != 0 && !af_slice_is(code, "Success")) /* instance metadata says so, with 200 */
        status = af_fail(err, AF_EUNAUTH, "%s: it answers %.80s", who, code.ptr);
    if (status == AF_OK)
        status = aws_credentials_put(out, af_json_string(root, "AccessKeyId"), af_json_string(root, "SecretAccessKey"),
                                     af_json_string(root, token_name), who, err);
    struct af_slice expires = status == AF_OK ? af_json_string(root, "Expiration") : (struct af_slice){ NULL, 0 };
    bool has_zone;
    if (expires.len != 0 && !af_time_parse(expires, &out->expires_ns, &has_zone))
        status = af_fail(err, AF_EUNAUTH, "%s: \"" AF_SLICE_FMT "\" is no time of expiration", who, AF_SLICE_ARG(expires));
    aws_wipe_json(root);
    af_arena_done(&arena);
    return status;
}

/* --- environment ----------------------------------------------------------------------------------------------------------- */

enum af_status aws_from_environment(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err)
{
    const char *access = af_aws_variable(aws, "AWS_ACCESS_KEY_ID"), *secret = af_aws_variable(aws, "AWS_SECRET_ACCESS_KEY");
    if (access == NULL && secret == NULL)
        return af_fail(err, AF_ENOTFOUND, "AWS_ACCESS_KEY_ID is not set");
    const char *token = af_aws_variable(aws, "AWS_SESSION_TOKEN"), *end = af_aws_variable(aws, "AWS_CREDENTIAL_EXPIRATION");
    bool has_zone;
    AF_TRY(aws_credentials_put(out, af_slice_of(access), af_slice_of(secret), af_slice_of(token), "environment", err));
    if (end != NULL && !af_time_parse(af_slice_of(end), &out->expires_ns, &has_zone))
        return af_fail(err, AF_EUNAUTH, "AWS_CREDENTIAL_EXPIRATION is no time");
    return AF_OK;
}

/* --- profile --------------------------------------------------------------------------------------------------------------- */

static enum af_status from_profile(struct af_aws *aws, const char *name, unsigned deep, struct af_aws_credentials *out,
                                   struct af_error *err);

static enum af_status from_named_source(struct af_aws *aws, const char *profile, const char *name, struct af_aws_credentials *out,
                                        struct af_error *err)
{
    if (strcmp(name, "Environment") == 0)
        return aws_from_environment(aws, out, err);
    if (strcmp(name, "EcsContainer") == 0)
        return aws_from_container(aws, out, err);
    if (strcmp(name, "Ec2InstanceMetadata") == 0)
        return aws_from_metadata(aws, out, err);
    return af_fail(err, AF_EUNAUTH, "profile %s: credential_source is Environment, Ec2InstanceMetadata or EcsContainer, not \"%s\"",
                   profile, name);
}

static enum af_status assume(struct af_aws *aws, const char *name, const char *role, unsigned deep, struct af_aws_credentials *out,
                             struct af_error *err)
{
    const char *source = aws_profile_setting(aws, name, "source_profile");
    const char *from = aws_profile_setting(aws, name, "credential_source");
    const char *duration = aws_profile_setting(aws, name, "duration_seconds");
    struct af_sts_role ask = { .role_arn = role, .session_name = aws_profile_setting(aws, name, "role_session_name"),
                               .external_id = aws_profile_setting(aws, name, "external_id") };
    if (aws_profile_setting(aws, name, "mfa_serial") != NULL)
        return af_fail(err, AF_EUNSUPPORTED, "profile %s: its role wants a code from a device (mfa_serial), which a program cannot type",
                       name);
    for (const char *c = duration; c != NULL && *c >= '0' && *c <= '9' && ask.duration_s < 1000000; c++)
        ask.duration_s = ask.duration_s * 10 + (uint32_t)(*c - '0');
    struct af_aws_credentials first = { .access_key = "" };
    enum af_status status;
    if (source != NULL && from != NULL)
        status = af_fail(err, AF_EUNAUTH, "profile %s has both source_profile and credential_source", name);
    else if (source != NULL && strcmp(source, name) == 0)
        status = aws_credentials_put(&first, af_slice_of(aws_profile_setting(aws, name, "aws_access_key_id")),
                                     af_slice_of(aws_profile_setting(aws, name, "aws_secret_access_key")),
                                     af_slice_of(aws_profile_setting(aws, name, "aws_session_token")), name, err);
    else if (source != NULL)
        status = from_profile(aws, source, deep + 1, &first, err);
    else if (from != NULL)
        status = from_named_source(aws, name, from, &first, err);
    else
        status = af_fail(err, AF_EUNAUTH, "profile %s has role_arn and neither source_profile, credential_source nor "
                         "web_identity_token_file", name);
    struct af_aws_client *client = NULL;
    if (status == AF_OK)
        status = af_aws_client_new(aws, "sts", &client, err);
    if (status == AF_OK) {
        aws_client_use(client, &first);
        status = af_sts_assume(client, &ask, out, err);
    }
    af_aws_client_free(client);
    af_wipe(&first, sizeof first);
    if (status != AF_OK)
        af_error_prefix(err, "profile %s: ", name);
    return aws_is_configured(status, err);
}

static enum af_status from_profile(struct af_aws *aws, const char *name, unsigned deep, struct af_aws_credentials *out,
                                   struct af_error *err)
{
    char who[64];
    const char *role = aws_profile_setting(aws, name, "role_arn"), *file = aws_profile_setting(aws, name, "web_identity_token_file");
    const char *access = aws_profile_setting(aws, name, "aws_access_key_id"), *command = aws_profile_setting(aws, name,
                                                                                                             "credential_process");
    const char *account = aws_profile_setting(aws, name, "sso_account_id");
    bool has_keys = access != NULL || aws_profile_setting(aws, name, "aws_secret_access_key") != NULL;
    (void)snprintf(who, sizeof who, "profile %s", name);
    if (deep > PROFILES_DEEP)
        return af_fail(err, AF_EUNAUTH, "profile %s: source_profile leads round in a circle", name);
    enum af_status status;
    if (role != NULL && file != NULL)
        status = aws_assume_web(aws, role, aws_profile_setting(aws, name, "role_session_name"), file, out, err);
    else if (role != NULL && (deep == 0 || !has_keys)) /* a source with both lends its keys */
        status = assume(aws, name, role, deep, out, err);
    else if (account != NULL || aws_profile_setting(aws, name, "sso_role_name") != NULL)
        status = aws_from_sso(aws, name, out, err);
    else if (has_keys)
        return aws_credentials_put(out, af_slice_of(access), af_slice_of(aws_profile_setting(aws, name, "aws_secret_access_key")),
                                   af_slice_of(aws_profile_setting(aws, name, "aws_session_token")), who, err);
    else if (command != NULL)
        status = aws_from_process(aws, command, out, err);
    else if (deep != 0 || aws->profile_was_asked)
        return af_fail(err, deep != 0 ? AF_EUNAUTH : AF_ENOTFOUND, "the profile \"%s\" gives no credentials", name);
    else
        return af_fail(err, AF_ENOTFOUND, "the default profile has no credentials");
    if (status == AF_OK)
        (void)snprintf(out->source, sizeof out->source, "%s", who);
    return status;
}

enum af_status aws_from_profile(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err)
{
    return from_profile(aws, aws->profile, 0, out, err);
}

/* --- the chain ------------------------------------------------------------------------------------------------------------- */

typedef enum af_status (*source)(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err);

/* As AWS's SDK for Python has it: a role that the profile assumes comes before the environment's web identity, its other kinds behind. A
 * profile that was named to us (not by the environment) counts more than the environment. */
static size_t choose_chain(struct af_aws *aws, source chain[6])
{
    bool is_named = aws->options.profile != NULL;
    bool assumes = aws_profile_setting(aws, aws->profile, "role_arn") != NULL &&
                   aws_profile_setting(aws, aws->profile, "web_identity_token_file") == NULL;
    size_t count = 0;
    if (!is_named)
        chain[count++] = aws_from_environment;
    if (assumes)
        chain[count++] = aws_from_profile;
    if (!is_named)
        chain[count++] = aws_from_web_identity;
    if (!assumes)
        chain[count++] = aws_from_profile;
    chain[count++] = aws_from_container;
    chain[count++] = aws_from_metadata;
    return count;
}

/* A source that is configured and fails ends the search: falling back to another identity would surprise. */
static enum af_status walk(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err)
{
    source chain[6];
    size_t count = choose_chain(aws, chain);
    char tried[640] = "";
    struct af_error why = { 0 };
    for (size_t i = 0; i < count; i++) {
        enum af_status status = chain[i](aws, out, &why);
        if (status == AF_OK)
            return AF_OK;
        if (status != AF_ENOTFOUND) {
            if (err != NULL)
                *err = why;
            return status == AF_EINVAL || status == AF_EDENIED ? af_fail(err, AF_EUNAUTH, "%s", why.message) : status;
        }
        size_t len = strlen(tried);
        (void)snprintf(tried + len, sizeof tried - len, "%s%.120s", len != 0 ? "; " : "", why.message);
    }
    return af_fail(err, AF_EUNAUTH, "no credentials for AWS: %s", tried);
}

/* Under the lock: walks the chain without it. */
static enum af_status fetch(struct af_aws *aws, struct af_error *err)
{
    struct af_aws_credentials fresh = { .access_key = "" };
    struct af_error why = { 0 };
    aws->is_fetching = true;
    af_mutex_unlock(&aws->lock);
    enum af_status status = walk(aws, &fresh, &why);
    af_mutex_lock(&aws->lock);
    aws->is_fetching = false;
    aws->why = why;
    if (status != AF_OK && err != NULL)
        *err = why;
    if (status == AF_OK) {
        aws->credentials = fresh;
        aws->has_credentials = true;
        aws->generation++;
    }
    aws->failed_at_ns = status == AF_OK ? 0 : af_clock_mono_ns();
    af_wipe(&fresh, sizeof fresh);
    af_cond_broadcast(&aws->changed);
    return status;
}

static bool lasts(const struct af_aws *aws, int64_t ahead_ns)
{
    return aws->has_credentials &&
           (aws->credentials.expires_ns == 0 || af_clock_now_ns() + aws->skew_ns + ahead_ns < aws->credentials.expires_ns);
}

enum af_status aws_credentials_take(struct af_aws *aws, struct af_aws_credentials *out, uint64_t *out_generation, struct af_error *err)
{
    enum af_status status = AF_OK;
    struct af_error why;
    bool has_waited = false;
    af_mutex_lock(&aws->lock);
    for (; !lasts(aws, 0) && aws->is_fetching; has_waited = true)
        af_cond_wait(&aws->changed, &aws->lock);
    bool is_good = lasts(aws, 0);
    bool is_late = !lasts(aws, REFRESH_AHEAD_NS) && !aws->is_fetching;
    if (!is_good && has_waited && aws->failed_at_ns != 0) { /* who was waited for asked on our behalf */
        status = aws->why.status;
        if (err != NULL)
            *err = aws->why;
    } else if (!is_good) {
        status = fetch(aws, err);
    } else if (is_late && (aws->failed_at_ns == 0 || af_clock_mono_ns() - aws->failed_at_ns > RETRY_NS)) {
        (void)fetch(aws, &why);
    }
    if (status == AF_OK) {
        *out = aws->credentials;
        *out_generation = aws->generation;
    }
    af_mutex_unlock(&aws->lock);
    return status;
}

enum af_status af_aws_credentials_get(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err)
{
    uint64_t generation;
    return aws_credentials_take(aws, out, &generation, err);
}

void aws_credentials_refused(struct af_aws *aws, uint64_t generation)
{
    af_mutex_lock(&aws->lock);
    if (aws->generation == generation)
        aws->has_credentials = false;
    af_mutex_unlock(&aws->lock);
}
