/*
 * target.c - InfluxDB as the functions see it: one store that lives from one invocation to the next, behind a token of a secret that may be
 * rotated while the sandbox lives.
 *
 *     store(): secret (cached) --> same version as before? --> the store that is open
 *                                     | no, or none open
 *                                     v
 *                                  a new store with the new token
 */
#include "codec/digest.h"
#include "lambda/lambda_int.h"
#include "remote/remote.h"

enum { TOKEN_BYTES_MAX = 64 << 10 };

void lambda_wipe(struct af_buf *buf)
{
    if (buf->ptr != NULL)
        af_wipe(buf->ptr, buf->cap);
    af_buf_done(buf);
}

enum af_status lambda_target_open(struct lambda_target *target, struct af_aws *aws, const char *bucket, struct af_error *err)
{
    *target = (struct lambda_target){ .aws = aws, .bucket = bucket != NULL ? bucket : lambda_text(aws, LAMBDA_INFLUXDB_BUCKET) };
    af_buf_init(&target->token, TOKEN_BYTES_MAX);
    if (lambda_text(aws, LAMBDA_INFLUXDB_URL) == NULL)
        return af_fail(err, AF_EINVAL, "INFLUXDB_URL is not set: it says where the points go, https://host:8086");
    if (lambda_text(aws, LAMBDA_INFLUXDB_TOKEN) != NULL)
        return AF_OK;
    if (lambda_text(aws, LAMBDA_INFLUXDB_TOKEN_SECRET_NAME) == NULL)
        return af_fail(err, AF_EINVAL, "neither INFLUXDB_TOKEN_SECRET_NAME nor INFLUXDB_TOKEN is set: one of them must give the token");
    return af_secrets_open(aws, 0, &target->secrets, err);
}

static void close_store(struct lambda_target *target)
{
    af_store_close(target->store);
    target->store = NULL;
    if (target->token.ptr != NULL)
        af_wipe(target->token.ptr, target->token.cap);
    af_buf_clear(&target->token);
}

void lambda_target_close(struct lambda_target *target)
{
    close_store(target);
    lambda_wipe(&target->token);
    af_secrets_close(target->secrets);
    target->secrets = NULL;
}

enum af_status lambda_target_secret(struct lambda_target *target, struct af_buf *out, struct af_error *err)
{
    char version[65];
    if (target->secrets == NULL)
        return af_fail(err, AF_ENOTFOUND, "the token is in the environment");
    af_secrets_cancel(target->secrets, target->cancel);
    return af_secrets_get(target->secrets, lambda_text(target->aws, LAMBDA_INFLUXDB_TOKEN_SECRET_NAME), out, version, err);
}

static enum af_status take_token(struct lambda_target *target, struct af_slice secret, struct af_error *err)
{
    const char *token = lambda_text(target->aws, LAMBDA_INFLUXDB_TOKEN);
    if (target->secrets != NULL)
        return af_secrets_token(secret, &target->token, err);
    af_buf_append_str(&target->token, token);
    return af_buf_check(&target->token, "a token", err);
}

static enum af_status influx_version(const struct lambda_target *target, enum af_influx_version *out, struct af_error *err)
{
    struct af_slice said = af_slice_of(lambda_text(target->aws, LAMBDA_INFLUXDB_VERSION));
    *out = af_slice_is(said, "1") ? AF_INFLUX_1 : af_slice_is(said, "2") ? AF_INFLUX_2 : AF_INFLUX_AUTO;
    if (*out == AF_INFLUX_AUTO && !af_slice_is(said, "auto"))
        return af_fail(err, AF_EINVAL, "INFLUXDB_VERSION is 1, 2 or auto, not \"%.20s\"", said.ptr);
    return AF_OK;
}

/* A store lives longer than the call that opens it: its timeouts are not those of what is left of that call. */
static enum af_status find_version(uint32_t timeout_ms, struct af_remote_options options, enum af_influx_version *out, struct af_error *err)
{
    struct af_store *store;
    options.http.connect_timeout_ms = options.http.stall_timeout_ms = options.http.total_timeout_ms = timeout_ms;
    AF_TRY(af_remote_open(&options, &store, err));
    bool is_v1 = strncmp(af_remote_version(store), "InfluxDB 1.", 11) == 0 || strncmp(af_remote_version(store), "InfluxDB 0.", 11) == 0;
    *out = is_v1 ? AF_INFLUX_1 : AF_INFLUX_2;
    af_store_close(store);
    return AF_OK;
}

static enum af_status open_store(struct lambda_target *target, struct af_slice secret, struct af_error *err)
{
    const struct af_aws *aws = target->aws;
    enum af_influx_version version;
    AF_TRY(influx_version(target, &version, err));
    AF_TRY(take_token(target, secret, err));
    struct af_remote_options options = {
        .url = lambda_text(aws, LAMBDA_INFLUXDB_URL), .bucket = target->bucket, .org = lambda_text(aws, LAMBDA_INFLUXDB_ORG),
        .token = af_buf_cstr(&target->token), .version = version,
        .http = { .ca_file = lambda_text(aws, LAMBDA_INFLUXDB_CA_FILE), .connect_timeout_ms = target->timeout_ms,
                  .stall_timeout_ms = target->timeout_ms, .total_timeout_ms = target->timeout_ms },
    };
    if (version == AF_INFLUX_AUTO && target->open_timeout_ms != 0)
        AF_TRY(find_version(target->open_timeout_ms, options, &options.version, err));
    return af_remote_open(&options, &target->store, err);
}

static enum af_status store_of_secret(struct lambda_target *target, struct af_buf *secret, struct af_error *err)
{
    char version[65] = "";
    if (target->secrets != NULL) {
        af_secrets_cancel(target->secrets, target->cancel);
        AF_TRY(af_secrets_get(target->secrets, lambda_text(target->aws, LAMBDA_INFLUXDB_TOKEN_SECRET_NAME), secret, version, err));
    }
    if (target->store != NULL && strcmp(version, target->version) == 0)
        return AF_OK;
    close_store(target);
    memcpy(target->version, version, sizeof version);
    return open_store(target, af_buf_slice(secret), err);
}

enum af_status lambda_target_store(struct lambda_target *target, struct af_store **out, struct af_error *err)
{
    struct af_buf secret;
    af_buf_init(&secret, TOKEN_BYTES_MAX);
    enum af_status status = store_of_secret(target, &secret, err);
    lambda_wipe(&secret);
    if (status == AF_OK)
        *out = target->store;
    else
        close_store(target);
    return status;
}

bool lambda_target_refused(struct lambda_target *target)
{
    close_store(target);
    if (target->secrets == NULL)
        return false;
    af_secrets_refused(target->secrets, lambda_text(target->aws, LAMBDA_INFLUXDB_TOKEN_SECRET_NAME));
    return true;
}
