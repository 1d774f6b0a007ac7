/*
 * aws_calls.c - every call of src/aws, one a run, as a program outside would make it: for test_aws_models.py, which compares what goes over
 * the wire with botocore's, and test_aws_services.py, which lets services answer.
 *
 *     aws_calls CALL [ARGUMENT...]
 *
 * The environment says where to and as whom, as for any SDK. What came back is on standard output, a JSON value a line; of a failure there
 * is "STATUS: message" on standard error, and exit status 1.
 */
#include "aws/bedrock.h"
#include "aws/cloudwatch.h"
#include "aws/cost_explorer.h"
#include "aws/kms.h"
#include "aws/s3.h"
#include "aws/secrets.h"
#include "aws/sns.h"
#include "aws/sqs.h"
#include "aws/sts.h"
#include "aws/timestream.h"
#include "base/alloc.h"
#include "os/thread.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MB = 1 << 20, DAY_S = 86400, READERS = 8 };

static struct af_aws *aws;
static struct af_aws_client *client;
static struct af_arena arena;
static struct af_buf out;
static struct af_error err;
static char **args; /* behind the call's name, padded with empty ones */

static struct af_slice arg(int i)
{
    return af_slice_of(args[i]);
}

static uint32_t number(int i)
{
    return (uint32_t)strtoul(args[i], NULL, 10);
}

static enum af_status connect(const char *service)
{
    return af_aws_client_new(aws, service, &client, &err);
}

static void text(const char *name, struct af_slice value)
{
    const char last = out.len != 0 ? out.ptr[out.len - 1] : '\n';
    af_buf_append_str(&out, last == '\n' ? "{" : ",");
    af_json_append_string(&out, af_slice_of(name));
    af_buf_append_char(&out, ':');
    af_json_append_string(&out, value);
}

static void count(const char *name, uint64_t value)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, value);
    text(name, af_slice_of(digits));
}

static void end(void)
{
    af_buf_append_str(&out, out.len != 0 && out.ptr[out.len - 1] != '\n' ? "}\n" : "");
}

static struct af_slice or_none(int i)
{
    return args[i][0] != '\0' ? arg(i) : (struct af_slice){ 0 };
}

/* --- SQS --------------------------------------------------------------------------------------------------------------------- */

static enum af_status sqs_url(void)
{
    const char *url;
    AF_TRY(connect("sqs"));
    AF_TRY(af_sqs_url(client, args[0], &arena, &url, &err));
    text("url", af_slice_of(url));
    return AF_OK;
}

static enum af_status sqs_send(void)
{
    const struct af_sqs_message message = { .body = arg(1), .reason = or_none(2), .group = or_none(4), .duplicate = or_none(5) };
    AF_TRY(connect("sqs"));
    return af_sqs_send(client, args[0], &message, number(3), &err);
}

/* URL FIRST COUNT: "message FIRST", ..., in batches of ten. */
static enum af_status sqs_batch(void)
{
    struct af_sqs_message batch[AF_SQS_BATCH_MAX];
    const uint32_t first = number(1), all = number(2);
    AF_TRY(connect("sqs"));
    for (uint32_t i = 0; i < all; i += AF_SQS_BATCH_MAX) {
        const uint32_t n = all - i < AF_SQS_BATCH_MAX ? all - i : AF_SQS_BATCH_MAX;
        for (uint32_t k = 0; k < n; k++) {
            const char *body = af_arena_printf(&arena, "message %" PRIu32, first + i + k);
            batch[k] = (struct af_sqs_message){ .body = af_slice_of(body), .reason = or_none(3) };
        }
        AF_TRY(af_sqs_send_batch(client, args[0], batch, n, &err));
    }
    return AF_OK;
}

static void put_message(const struct af_sqs_message *m)
{
    text("id", m->id);
    text("body", m->body);
    text("receipt", m->receipt);
    count("receives", m->receive_count);
    count("sent_ms", (uint64_t)m->sent_ns / 1000000);
    if (m->reason.ptr != NULL)
        text("reason", m->reason);
    end();
}

static enum af_status sqs_receive(void)
{
    struct af_sqs_message messages[AF_SQS_BATCH_MAX];
    size_t n = 0;
    AF_TRY(connect("sqs"));
    AF_TRY(af_sqs_receive(client, args[0], number(1), number(2), number(3), NULL, &arena, messages, &n, &err));
    for (size_t i = 0; i < n; i++)
        put_message(&messages[i]);
    return AF_OK;
}

/* URL WAIT_S VISIBILITY_S: received and deleted until nothing comes any more. */
static enum af_status sqs_drain(void)
{
    struct af_sqs_message messages[AF_SQS_BATCH_MAX];
    size_t n = 0;
    AF_TRY(connect("sqs"));
    do {
        AF_TRY(af_sqs_receive(client, args[0], AF_SQS_BATCH_MAX, number(1), number(2), NULL, &arena, messages, &n, &err));
        for (size_t i = 0; i < n; i++) {
            put_message(&messages[i]);
            AF_TRY(af_sqs_delete(client, args[0], messages[i].receipt, &err));
        }
    } while (n != 0);
    return AF_OK;
}

static enum af_status sqs_delete(void)
{
    AF_TRY(connect("sqs"));
    return af_sqs_delete(client, args[0], arg(1), &err);
}

static enum af_status sqs_visibility(void)
{
    AF_TRY(connect("sqs"));
    return af_sqs_visibility(client, args[0], arg(1), number(2), &err);
}

static enum af_status sqs_depth(void)
{
    struct af_sqs_depth depth;
    AF_TRY(connect("sqs"));
    AF_TRY(af_sqs_depth(client, args[0], &depth, &err));
    count("visible", depth.visible);
    count("in_flight", depth.in_flight);
    count("delayed", depth.delayed);
    count("visibility_s", depth.visibility_s);
    count("max_receives", depth.max_receives);
    text("dead_letters", af_slice_of(depth.dead_letters));
    return AF_OK;
}

/* --- Secrets Manager --------------------------------------------------------------------------------------------------------- */

static enum af_status get_secret(struct af_secrets *secrets)
{
    struct af_buf value;
    char version[65] = "";
    af_buf_init(&value, MB);
    const enum af_status status = af_secrets_get(secrets, args[0], &value, version, &err);
    if (status == AF_OK) {
        text("value", af_buf_slice(&value));
        text("version", af_slice_of(version));
        end();
    }
    af_buf_done(&value);
    return status;
}

static enum af_status with_secrets(enum af_status (*run)(struct af_secrets *secrets), uint32_t ttl_ms)
{
    struct af_secrets *secrets = NULL;
    AF_TRY(af_secrets_open(aws, ttl_ms, &secrets, &err));
    const enum af_status status = run(secrets);
    af_secrets_close(secrets);
    return status;
}

static enum af_status secret_get(void)
{
    return with_secrets(get_secret, 0);
}

static enum af_status put_secret(struct af_secrets *secrets)
{
    return af_secrets_put(secrets, args[0], arg(1), args[2], &err);
}

static enum af_status secret_put(void)
{
    return with_secrets(put_secret, 0);
}

/* NAME [TTL_MS]: told line by line on standard input: "get" or "refused"; each get is answered at once. */
static enum af_status watch_secret(struct af_secrets *secrets)
{
    char line[32];
    enum af_status status = AF_OK;
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "refused\n") == 0) {
            af_secrets_refused(secrets, args[0]);
            continue;
        }
        status = get_secret(secrets);
        if (status != AF_OK)
            text("error", af_slice_of(err.message));
        end();
        (void)fwrite(out.ptr, 1, out.len, stdout);
        (void)fflush(stdout);
        af_buf_clear(&out);
    }
    return AF_OK;
}

static enum af_status secret_watch(void)
{
    return with_secrets(watch_secret, number(1));
}

struct reader {
    struct af_thread thread;
    struct af_secrets *secrets;
    enum af_status status;
};

static void read_secret(void *ctx)
{
    struct reader *reader = ctx;
    struct af_buf value;
    af_buf_init(&value, MB);
    reader->status = af_secrets_get(reader->secrets, args[0], &value, NULL, NULL);
    af_buf_done(&value);
}

/* NAME: asked for by several threads at once; how many got it. */
static enum af_status crowd(struct af_secrets *secrets)
{
    struct reader readers[READERS] = { 0 };
    uint64_t fine = 0;
    for (size_t i = 0; i < READERS; i++) {
        readers[i].secrets = secrets;
        AF_TRY(af_thread_start(&readers[i].thread, "reader", read_secret, &readers[i], &err));
    }
    for (size_t i = 0; i < READERS; i++) {
        af_thread_join(&readers[i].thread);
        fine += readers[i].status == AF_OK;
    }
    count("fine", fine);
    return AF_OK;
}

static enum af_status secret_crowd(void)
{
    return with_secrets(crowd, 0);
}

/* --- CloudWatch -------------------------------------------------------------------------------------------------------------- */

static const struct af_metric_dimension dimensions[] = { { "Function", "loader" }, { "Stage", "caf\xc3\xa9 \"x\"" } };

/* NAMESPACE COUNT NOW_S: m0 = 0.5, m1 = 1.5, ... */
static enum af_status metric_put(void)
{
    const uint32_t n = number(1);
    struct af_metric *metrics = af_arena_zero(&arena, n, sizeof *metrics);
    AF_TRY(connect("monitoring"));
    for (uint32_t i = 0; i < n; i++) {
        const char *name = af_arena_printf(&arena, "m%" PRIu32, i);
        metrics[i] = (struct af_metric){ name, i % 2 == 0 ? "Milliseconds" : NULL, i + 0.5 };
    }
    return af_metric_put(client, args[0], dimensions, 2, metrics, n, (int64_t)number(2) * 1000000000, &err);
}

/* NAMESPACE NAME STATISTIC FROM_S TO_S */
static enum af_status metric_get(void)
{
    const struct af_metric_query query = { args[0], args[1], args[2], dimensions, 2, 60, (int64_t)number(3) * 1000000000,
                                           (int64_t)number(4) * 1000000000 };
    struct af_metric_point *points;
    size_t n = 0;
    AF_TRY(connect("monitoring"));
    AF_TRY(af_metric_get(client, &query, &arena, &points, &n, &err));
    for (size_t i = 0; i < n; i++) {
        count("time_s", (uint64_t)(points[i].time_ns / 1000000000));
        af_buf_append_str(&out, ",\"value\":");
        af_json_append_f64(&out, points[i].value);
        end();
    }
    return AF_OK;
}

static enum af_status metric_exists(void)
{
    bool is_there;
    AF_TRY(connect("monitoring"));
    AF_TRY(af_metric_exists(client, args[0], args[1], &is_there, &err));
    count("exists", is_there);
    return AF_OK;
}

static enum af_status emf(void)
{
    const struct af_metric metrics[] = { { "Points", "Count", 1000 }, { "Ms", "Milliseconds", 1.5 }, { "Ms", "Milliseconds", 2.5 } };
    af_metric_emf(&out, args[0], dimensions, 2, metrics, 3, AF_SLICE_LIT("\"request\":\"r-1\""), (int64_t)number(1) * 1000000000);
    af_buf_append_char(&out, '\n');
    return AF_OK;
}

/* --- Cost Explorer ----------------------------------------------------------------------------------------------------------- */

/* START END GRANULARITY TAG_KEY TAG_VALUE GROUP GROUP */
static struct af_ce_query ce_query(void)
{
    struct af_ce_query query = { args[0], args[1], args[2], args[3], args[4], { args[5], args[6] } };
    query.tag_key = args[3][0] != '\0' ? args[3] : NULL;
    for (int i = 0; i < AF_CE_GROUPS_MAX; i++)
        query.groups[i] = args[5 + i][0] != '\0' ? args[5 + i] : NULL;
    return query;
}

static void ce_cost(double cost, struct af_slice currency)
{
    text("currency", currency);
    af_buf_append_str(&out, ",\"cost\":");
    af_json_append_f64(&out, cost);
    end();
}

static enum af_status ce_usage(void)
{
    const struct af_ce_query query = ce_query();
    struct af_ce_row *rows;
    size_t n = 0;
    uint32_t requests = 0;
    AF_TRY(connect("ce"));
    AF_TRY(af_ce_usage(client, &query, &arena, &rows, &n, &requests, &err));
    for (size_t i = 0; i < n; i++) {
        text("start", rows[i].start);
        text("service", rows[i].keys[0]);
        text("usage_type", rows[i].keys[1]);
        ce_cost(rows[i].cost, rows[i].currency);
    }
    return AF_OK;
}

static enum af_status ce_forecast(void)
{
    const struct af_ce_query query = ce_query();
    struct af_slice currency;
    double cost;
    AF_TRY(connect("ce"));
    AF_TRY(af_ce_forecast(client, &query, &arena, &cost, &currency, &err));
    ce_cost(cost, currency);
    return AF_OK;
}

/* DIMENSION START END */
static enum af_status ce_values(void)
{
    struct af_slice *names;
    size_t n = 0;
    uint32_t requests = 0;
    AF_TRY(connect("ce"));
    AF_TRY(af_ce_dimension_values(client, args[0], args[1], args[2], &arena, &names, &n, &requests, &err));
    for (size_t i = 0; i < n; i++) {
        text("value", names[i]);
        end();
    }
    return AF_OK;
}

/* --- KMS, SNS, STS ----------------------------------------------------------------------------------------------------------- */

static enum af_status kms_make(void)
{
    struct af_kms_data_key key;
    AF_TRY(connect("kms"));
    AF_TRY(af_kms_data_key(client, args[0], or_none(1), &key, &err));
    count("sealed", key.sealed_len);
    text("key", af_slice_of(key.key_id));
    return AF_OK;
}

/* KEY CONTEXT OTHER_CONTEXT: made with one, opened with the other. */
static enum af_status kms_round(void)
{
    struct af_kms_data_key made, opened;
    AF_TRY(connect("kms"));
    AF_TRY(af_kms_data_key(client, args[0], or_none(1), &made, &err));
    opened = made;
    memset(opened.plain, 0, sizeof opened.plain);
    AF_TRY(af_kms_open(client, or_none(2), &opened, &err));
    count("same", memcmp(made.plain, opened.plain, sizeof made.plain) == 0);
    text("key", af_slice_of(opened.key_id));
    return AF_OK;
}

/* A blob of the three bytes 1, 2, 3. */
static enum af_status kms_open(void)
{
    struct af_kms_data_key key = { .sealed = { 1, 2, 3 }, .sealed_len = 3 };
    AF_TRY(connect("kms"));
    return af_kms_open(client, or_none(0), &key, &err);
}

static enum af_status kms_state(void)
{
    char state[32];
    AF_TRY(connect("kms"));
    AF_TRY(af_kms_state(client, args[0], state, &err));
    text("state", af_slice_of(state));
    return AF_OK;
}

static enum af_status sns(void)
{
    AF_TRY(connect("sns"));
    return af_sns_publish(client, args[0], args[1][0] != '\0' ? args[1] : NULL, arg(2), &err);
}

static enum af_status sts_identity(void)
{
    struct af_sts_identity identity;
    AF_TRY(connect("sts"));
    AF_TRY(af_sts_identity(client, &identity, &err));
    text("account", af_slice_of(identity.account));
    text("arn", af_slice_of(identity.arn));
    return AF_OK;
}

/* ROLE SESSION EXTERNAL_ID SECONDS */
static enum af_status sts_assume(void)
{
    const struct af_sts_role role = { .role_arn = args[0], .session_name = args[1], .external_id = args[2][0] != '\0' ? args[2] : NULL,
                                      .duration_s = number(3) };
    struct af_aws_credentials credentials;
    AF_TRY(connect("sts"));
    AF_TRY(af_sts_assume(client, &role, &credentials, &err));
    text("access_key", af_slice_of(credentials.access_key));
    return AF_OK;
}

/* ROLE SESSION TOKEN */
static enum af_status sts_web(void)
{
    const struct af_sts_role role = { .role_arn = args[0], .session_name = args[1], .web_identity = arg(2) };
    struct af_aws_credentials credentials;
    AF_TRY(connect("sts"));
    AF_TRY(af_sts_assume(client, &role, &credentials, &err));
    text("access_key", af_slice_of(credentials.access_key));
    return AF_OK;
}

/* --- Timestream -------------------------------------------------------------------------------------------------------------- */

static void put_tree(const struct af_json *tree)
{
    af_json_append(&out, tree);
    af_buf_append_char(&out, '\n');
}

/* SERVICE OPERATION BODY */
static enum af_status timestream(void)
{
    const struct af_json *tree;
    AF_TRY(connect(args[0]));
    AF_TRY(af_timestream_call(client, args[1], arg(2), &arena, &tree, &err));
    put_tree(tree);
    return AF_OK;
}

static enum af_status tfi(void)
{
    enum af_tfi_operation operation;
    const struct af_json *tree;
    AF_TRY(af_tfi_find(args[0], &operation, &err));
    AF_TRY(connect("timestream-influxdb"));
    AF_TRY(af_tfi_call(client, operation, or_none(1), &arena, &tree, &err));
    put_tree(tree);
    return AF_OK;
}

static enum af_status each_item(void *ctx, const struct af_json *item, struct af_error *error)
{
    (void)ctx;
    (void)error;
    put_tree(item);
    return AF_OK;
}

static enum af_status tfi_list(void)
{
    enum af_tfi_operation operation;
    AF_TRY(af_tfi_find(args[0], &operation, &err));
    AF_TRY(connect("timestream-influxdb"));
    return af_tfi_list(client, operation, or_none(1), each_item, NULL, &err);
}

static enum af_status tfi_names(void)
{
    for (enum af_tfi_operation i = 0; i < AF_TFI_OPERATIONS; i++) {
        text("name", af_slice_of(af_tfi_name(i)));
        text("required", af_slice_of(af_tfi_required(i)));
        end();
    }
    return AF_OK;
}

/* --- Bedrock ----------------------------------------------------------------------------------------------------------------- */

/* MODEL SYSTEM USER MAX_TOKENS */
static enum af_status bedrock_converse(void)
{
    const struct af_bedrock_turn turn = { args[0], or_none(1), arg(2), number(3), 0.25 };
    struct af_buf answer;
    const char *stop = "";
    AF_TRY(connect("bedrock-runtime"));
    af_buf_init(&answer, MB);
    const enum af_status status = af_bedrock_converse(client, &turn, &arena, &answer, &stop, &err);
    if (status == AF_OK) {
        text("answer", af_buf_slice(&answer));
        text("stop", af_slice_of(stop));
    }
    af_buf_done(&answer);
    return status;
}

/* MODEL TEXT DIMENSIONS */
static enum af_status bedrock_embed(void)
{
    float *vector;
    size_t n = 0;
    AF_TRY(connect("bedrock-runtime"));
    AF_TRY(af_bedrock_embed(client, args[0], arg(1), number(2), &arena, &vector, &n, &err));
    count("dimensions", n);
    return AF_OK;
}

/* --- S3 ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status each_object(void *ctx, const struct af_s3_object *object, struct af_error *error)
{
    (void)ctx;
    (void)error;
    text("key", af_slice_of(object->key));
    count("bytes", object->bytes);
    end();
    return AF_OK;
}

static enum af_status upload(struct af_s3 *s3)
{
    struct af_s3_upload *parts = NULL;
    const size_t len = (size_t)number(2);
    char *bytes = af_alloc_zero(len + 1, 1);
    enum af_status status = bytes != NULL ? af_s3_upload_begin(s3, args[0], args[1], "text/plain", &parts, &err) : AF_ENOMEM;
    if (status == AF_OK)
        status = af_s3_upload_write(parts, (struct af_slice){ bytes, len }, &err);
    if (status == AF_OK)
        status = af_s3_upload_finish(parts, &err);
    af_s3_upload_free(parts);
    af_free(bytes);
    return status;
}

static enum af_status read_object(struct af_s3 *s3)
{
    struct af_reader *reader = NULL;
    char bytes[4];
    AF_TRY(af_s3_reader_open(s3, args[0], args[1], NULL, &reader, &err));
    const enum af_status status = af_reader_read(reader, number(2), bytes, sizeof bytes, &err);
    af_reader_close(reader);
    return status;
}

/* what BUCKET KEY ... */
static enum af_status s3_do(struct af_s3 *s3, const char *what)
{
    struct af_s3_object object;
    struct af_buf bytes;
    char etag[64] = "";
    enum af_status status;
    if (strcmp(what, "list") == 0)
        return af_s3_list(s3, args[0], args[1], NULL, each_object, NULL, &err);
    if (strcmp(what, "head") == 0)
        return af_s3_head(s3, args[0], args[1], args[2][0] != '\0' ? args[2] : NULL, &object, &err);
    if (strcmp(what, "put") == 0)
        return af_s3_put(s3, args[0], args[1], arg(2), "text/plain", (enum af_s3_if)number(3), args[4], etag, &err);
    if (strcmp(what, "delete") == 0)
        return af_s3_delete(s3, args[0], args[1], &err);
    if (strcmp(what, "upload") == 0)
        return upload(s3);
    if (strcmp(what, "read") == 0)
        return read_object(s3);
    af_buf_init(&bytes, MB);
    status = af_s3_get(s3, args[0], args[1], &bytes, etag, &err);
    text("body", af_buf_slice(&bytes));
    text("etag", af_slice_of(etag));
    af_buf_done(&bytes);
    return status;
}

static enum af_status s3(void)
{
    const char *kms = getenv("CALLS_KMS_KEY"), *owner = getenv("CALLS_OWNER");
    const struct af_s3_options options = { .requester_pays = getenv("CALLS_PAYS") != NULL, .expected_owner = owner, .kms_key_id = kms,
                                           .connections = 1, .part_bytes = 5 * MB };
    struct af_s3 *pool = NULL;
    const char *what = args[0];
    AF_TRY(af_s3_open(aws, &options, &pool, &err));
    args++;
    const enum af_status status = s3_do(pool, what);
    af_s3_close(pool);
    return status;
}

/* SERVICE: where it is. */
static enum af_status endpoint(void)
{
    AF_TRY(connect(args[0]));
    text("url", af_slice_of(af_aws_client_url(client)));
    return AF_OK;
}

/* --- the program ------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum af_status (*run)(void);
} calls[] = {
    { "sqs-url", sqs_url },           { "sqs-send", sqs_send },
    { "sqs-batch", sqs_batch },       { "sqs-receive", sqs_receive },
    { "sqs-drain", sqs_drain },       { "sqs-delete", sqs_delete },
    { "sqs-visibility", sqs_visibility }, { "sqs-depth", sqs_depth },
    { "secret-get", secret_get },     { "secret-put", secret_put },
    { "secret-watch", secret_watch }, { "secret-crowd", secret_crowd },
    { "metric-put", metric_put },     { "metric-get", metric_get },
    { "metric-exists", metric_exists }, { "emf", emf },
    { "ce-usage", ce_usage },         { "ce-forecast", ce_forecast },
    { "ce-values", ce_values },
    { "kms-make", kms_make },         { "kms-round", kms_round },
    { "kms-open", kms_open },         { "kms-state", kms_state },
    { "sns", sns },                   { "sts-identity", sts_identity },
    { "sts-assume", sts_assume },     { "sts-web", sts_web },
    { "timestream", timestream },     { "tfi", tfi },
    { "tfi-list", tfi_list },         { "tfi-names", tfi_names },
    { "bedrock-converse", bedrock_converse }, { "bedrock-embed", bedrock_embed },
    { "s3", s3 },                     { "endpoint", endpoint },
};

static enum af_status run(const char *name)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].run();
    return af_fail(&err, AF_ENOTFOUND, "there is no call \"%s\"", name);
}

int main(int argc, char **argv)
{
    static char *padded[16];
    static char empty[1];
    for (int i = 0; i < 16; i++)
        padded[i] = i + 2 < argc ? argv[i + 2] : empty;
    args = padded;
    af_arena_init(&arena, 256 * MB);
    af_buf_init(&out, 64 * MB);
    enum af_status status = af_aws_open(&(struct af_aws_options){ 0 }, &aws, &err);
    if (status == AF_OK)
        status = run(argc > 1 ? argv[1] : "");
    end();
    (void)fwrite(out.len != 0 ? out.ptr : "", 1, out.len, stdout);
    if (status != AF_OK)
        (void)fprintf(stderr, "%s: %s\n", af_status_name(status), err.message);
    af_aws_client_free(client);
    af_aws_close(aws);
    af_buf_done(&out);
    af_arena_done(&arena);
    return status != AF_OK;
}
