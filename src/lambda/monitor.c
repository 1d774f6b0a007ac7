/*
 * monitor.c - is InfluxDB well, as its users see it: connect, write a point, read it back.
 *
 *     connect   GET /ping on a connection of its own: how long name, TCP and TLS take, days left of the certificate
 *     write     afluxo_health,source=NAME value=<random>i, in a bucket of its own, which is made if it is not there
 *     query     the same point read back, the same value
 *     queue     how many messages are in the queue of failures
 *
 * What cannot be measured is left out, never 0; what was tried and failed is a success of 0. A sick target is an answer, not a failed
 * invocation: alarms look at the metrics.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "lambda/lambda_int.h"
#include "load/load.h"
#include "net/http.h"
#include "os/clock.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { URL_BYTES_MAX = 2048, SECRET_BYTES_MAX = 64 << 10, MARGIN_MS = 1000 };
static const int64_t NS_PER_MS = 1000000;
static const int64_t VALUE_MASK = (INT64_C(1) << 53) - 1; /* a float on its way back loses nothing of it */
static const char measurement[] = "afluxo_health";

struct monitor {
    struct af_lambda_function function;
    struct af_aws *aws;
    struct lambda_target target;
    struct lambda_failures failures;
    struct lambda_publisher publisher;
    uint32_t timeout_ms;
    int64_t token_ends_ns;    /* TOKEN_EXPIRES; 0: it is not said */
};

/* One check. */
struct check {
    struct monitor *monitor;
    const struct af_lambda_invocation *invocation;
    struct lambda_metrics metrics;
    bool flag;                /* time is up: what all that waits polls; through __atomic builtins */
    struct af_error first;    /* what went wrong first; status AF_OK: nothing */
    int64_t now_ns;
};

static double ms_since(int64_t begun_ns)
{
    return (double)(af_clock_mono_ns() - begun_ns) / 1e6;
}

static void note(struct check *c, const char *what, const struct af_error *why)
{
    if (c->first.status == AF_OK)
        c->first = *why;
    af_lambda_say(c->invocation->log, AF_LOG_ERROR, (struct af_slice){ NULL, 0 }, "%s: %s", what, why->message);
}

/* --- connecting ---------------------------------------------------------------------------------------------------------- */

static double days_until(int64_t end_ns, int64_t now_ns)
{
    return floor((double)(end_ns - now_ns) / (double)AF_NS_PER_DAY);
}

static enum af_status ping(struct check *c, struct af_http *http, struct af_http_answer *answer, struct af_error *err)
{
    char url[URL_BYTES_MAX];
    const char *base = lambda_text(c->monitor->aws, LAMBDA_INFLUXDB_URL);
    size_t len = strlen(base);
    int n = snprintf(url, sizeof url, "%.*s/ping", (int)(len != 0 && base[len - 1] == '/' ? len - 1 : len), base);
    if (n < 0 || (size_t)n >= sizeof url)
        return af_fail(err, AF_EINVAL, "INFLUXDB_URL is too long");
    const struct af_http_request request = { .method = "GET", .url = url, .cancel = &c->flag };
    AF_TRY(af_http_send(http, &request, answer, err));
    if (answer->status >= 500)
        return af_fail(err, AF_EIO, "%s answers with status %d", url, answer->status);
    return AF_OK;
}

/* A client of its own, so that a connection is made each time. */
static bool check_connection(struct check *c)
{
    const struct monitor *m = c->monitor;
    const struct af_http_options options = { .connect_timeout_ms = m->timeout_ms, .total_timeout_ms = m->timeout_ms,
                                             .ca_file = lambda_text(m->aws, LAMBDA_INFLUXDB_CA_FILE), .want_certificate = true };
    struct af_http *http;
    struct af_http_answer answer;
    struct af_error err = { 0 };
    enum af_status status = af_http_new(&options, &http, &err);
    if (status != AF_OK) {
        note(c, "connect", &err);
        return false;
    }
    af_http_answer_init(&answer);
    status = ping(c, http, &answer, &err);
    lambda_metric_set(&c->metrics, LAMBDA_METRIC_ConnectSuccess, status == AF_OK);
    if (answer.connect_us != 0)
        lambda_metric_set(&c->metrics, LAMBDA_METRIC_ConnectMs, (double)answer.connect_us / 1e3);
    if (answer.certificate_ends_ns != 0)
        lambda_metric_set(&c->metrics, LAMBDA_METRIC_TlsDaysLeft, days_until(answer.certificate_ends_ns, c->now_ns));
    if (status != AF_OK)
        note(c, "connect", &err);
    af_http_answer_done(&answer);
    af_http_free(http);
    return status == AF_OK;
}

/* --- the token ----------------------------------------------------------------------------------------------------------- */

/* Tokens of InfluxDB 2.x have no end of their own: TOKEN_EXPIRES says it, or `expires` of the secret. */
static bool find_token_end(struct check *c, int64_t *out_ns)
{
    struct af_buf secret;
    struct af_json *json = NULL;
    bool has_zone, found = false;
    *out_ns = c->monitor->token_ends_ns;
    if (*out_ns != 0)
        return true;
    af_buf_init(&secret, SECRET_BYTES_MAX);
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    if (lambda_target_secret(&c->monitor->target, &secret, NULL) == AF_OK &&
        af_json_parse(af_buf_slice(&secret), &arena, &json, NULL) == AF_OK)
        found = af_time_parse(af_json_string(json, "expires"), out_ns, &has_zone);
    lambda_wipe(&secret);
    af_arena_done(&arena);
    return found;
}

static void check_token(struct check *c)
{
    int64_t end_ns;
    if (find_token_end(c, &end_ns))
        lambda_metric_set(&c->metrics, LAMBDA_METRIC_TokenDaysLeft, days_until(end_ns, c->now_ns));
}

/* --- a point there and back ---------------------------------------------------------------------------------------------- */

static enum af_status write_point(struct check *c, struct af_store *store, int64_t value, struct af_error *err)
{
    char line[512];
    struct af_write_answer answer;
    int n = snprintf(line, sizeof line, "%s,source=monitor value=%" PRId64 "i %" PRId64 "\n", measurement, value, c->now_ns);
    const struct af_write write = { .lines = af_slice_make(line, (size_t)n), .line_count = 1, .precision_ns = 1,
                                    .cancel = &c->flag };
    AF_TRY(af_store_write(store, &write, &answer, err));
    return answer.verdict == AF_WRITE_DONE ? AF_OK : af_fail(err, AF_EINVAL, "the health point was refused: %.300s", answer.reason);
}

/* The bucket is made the first time; where we may not, its owner makes it. */
static enum af_status write_or_make(struct check *c, struct af_store *store, int64_t value, struct af_error *err)
{
    enum af_status status = write_point(c, store, value, err);
    if (status != AF_ENOTFOUND)
        return status;
    AF_TRY(af_store_create(store, err));
    return write_point(c, store, value, err);
}

/* A target that cannot be opened (no token is to be had, no version is said) cannot be written into. */
static enum af_status write_once(struct check *c, struct af_store **out_store, int64_t value, double *out_ms, struct af_error *err)
{
    AF_TRY(lambda_target_store(&c->monitor->target, out_store, err));
    int64_t begun_ns = af_clock_mono_ns();
    AF_TRY(write_or_make(c, *out_store, value, err));
    *out_ms = ms_since(begun_ns);
    return AF_OK;
}

static bool check_write(struct check *c, struct af_store **out_store, int64_t value)
{
    struct lambda_target *target = &c->monitor->target;
    struct af_error err = { 0 };
    double ms = 0;
    enum af_status status = write_once(c, out_store, value, &ms, &err);
    if (status == AF_EUNAUTH && lambda_target_refused(target))
        status = write_once(c, out_store, value, &ms, &err); /* with the token that the secret holds now */
    if (status == AF_EUNAUTH)
        (void)lambda_target_refused(target);
    lambda_metric_set(&c->metrics, LAMBDA_METRIC_WriteSuccess, status == AF_OK);
    if (status == AF_OK)
        lambda_metric_set(&c->metrics, LAMBDA_METRIC_WriteMs, ms);
    else
        note(c, "write", &err);
    return status == AF_OK;
}

static bool holds(const struct af_column *column, size_t row, int64_t value)
{
    if (!af_column_has(column, row))
        return false;
    if (column->type == AF_TYPE_F64)
        return column->f64[row] == (double)value;
    return column->type == AF_TYPE_I64 && column->i64[row] == value;
}

/* Columns of a scan: series, time, the one field. */
static enum af_status find_value(struct af_stream *stream, struct af_arena *arena, int64_t value, bool *out_found, struct af_error *err)
{
    enum { FIELD = 2, COLUMNS };
    for (;;) {
        struct af_batch *batch = NULL;
        AF_TRY(af_stream_next(stream, arena, &batch, err));
        if (batch == NULL)
            return AF_OK;
        for (size_t row = 0; row < batch->row_count && batch->schema->field_count == COLUMNS; row++)
            *out_found |= holds(&batch->columns[FIELD], row, value);
    }
}

static enum af_status read_back(struct check *c, struct af_store *store, int64_t value, struct af_error *err)
{
    static const char *const fields[] = { "value" };
    const struct af_scan scan = { .measurement = measurement, .start_ns = c->now_ns, .stop_ns = c->now_ns + 1, .fields = fields,
                                  .field_count = 1, .cancel = &c->flag };
    struct af_stream *stream;
    struct af_arena arena;
    bool found = false;
    AF_TRY(af_store_scan(store, &scan, &stream, err));
    af_arena_init(&arena, 64 << 20);
    enum af_status status = find_value(stream, &arena, value, &found, err);
    af_stream_close(stream);
    af_arena_done(&arena);
    if (status == AF_OK && !found)
        status = af_fail(err, AF_ECORRUPT, "the health point that was just written is not read back");
    return status;
}

static void check_query(struct check *c, struct af_store *store, int64_t value)
{
    struct af_error err = { 0 };
    int64_t begun_ns = af_clock_mono_ns();
    enum af_status status = read_back(c, store, value, &err);
    double ms = ms_since(begun_ns);
    lambda_metric_set(&c->metrics, LAMBDA_METRIC_QuerySuccess, status == AF_OK);
    lambda_metric_set(&c->metrics, LAMBDA_METRIC_QueryTimeouts,
                      (status == AF_EIO && ms >= c->monitor->timeout_ms) || status == AF_ECANCELED);
    if (status == AF_OK)
        lambda_metric_set(&c->metrics, LAMBDA_METRIC_QueryMs, ms);
    else
        note(c, "query", &err);
}

static void check_points(struct check *c)
{
    struct af_store *store = NULL;
    int64_t value;
    af_random_bytes(&value, sizeof value);
    value &= VALUE_MASK;
    if (check_write(c, &store, value))
        check_query(c, store, value);
}

/* --- the queue ----------------------------------------------------------------------------------------------------------- */

static void check_queue(struct check *c)
{
    struct lambda_failures *failures = &c->monitor->failures;
    struct af_sqs_depth depth;
    struct af_error err = { 0 };
    if (failures->sqs == NULL || __atomic_load_n(&c->flag, __ATOMIC_RELAXED))
        return;
    if (af_sqs_depth(failures->sqs, failures->queue, &depth, &err) == AF_OK)
        lambda_metric_set(&c->metrics, LAMBDA_METRIC_DlqDepth, (double)depth.visible);
    else
        note(c, "queue", &err);
}

/* --- the function -------------------------------------------------------------------------------------------------------- */

static void print_answer(const struct check *c, struct af_buf *out)
{
    char time[40];
    *af_rfc3339_print(time, c->now_ns, 3) = '\0';
    bool is_well = c->first.status == AF_OK;
    af_buf_printf(out, "{\"statusCode\":%d,\"message\":", is_well ? 200 : 503);
    af_json_append_string(out, af_slice_of(is_well ? "healthy" : c->first.message));
    af_buf_printf(out, ",\"timestamp\":\"%s\",\"data\":{", time);
    lambda_metrics_print(&c->metrics, out);
    af_buf_append_str(out, "}}");
}

static void check_all(struct check *c)
{
    if (check_connection(c))
        check_points(c);
    check_token(c);
    check_queue(c);
}

/* Shortly before the function's time is up what is missing counts as not well, so that the metrics are out in time. */
static enum af_status handle(void *function, const struct af_lambda_invocation *invocation, struct af_buf *answer, struct af_error *err)
{
    struct check c = { .monitor = function, .invocation = invocation, .now_ns = af_clock_now_ns() };
    struct af_load_watch watch;
    int64_t end_ns = invocation->deadline_mono_ns != 0 ? invocation->deadline_mono_ns - MARGIN_MS * NS_PER_MS : 0;
    AF_TRY(af_load_watch_begin(&watch, end_ns, invocation->cancel, &c.flag, err));
    c.monitor->target.cancel = &c.flag;
    check_all(&c);
    c.monitor->target.cancel = NULL;
    af_load_watch_end(&watch);
    lambda_publish(&c.monitor->publisher, &c.metrics, invocation->log);
    print_answer(&c, answer);
    return AF_OK;
}

static void free_monitor(struct af_lambda_function *function)
{
    struct monitor *m = (struct monitor *)function;
    lambda_target_close(&m->target);
    lambda_failures_close(&m->failures);
    lambda_publisher_close(&m->publisher);
    af_free(m);
}

static enum af_status take_token_end(struct monitor *m, struct af_error *err)
{
    const char *said = lambda_text(m->aws, LAMBDA_TOKEN_EXPIRES);
    bool has_zone;
    if (said == NULL || af_time_parse(af_slice_of(said), &m->token_ends_ns, &has_zone))
        return AF_OK;
    return af_fail(err, AF_EINVAL, "TOKEN_EXPIRES is a day or a time, as in 2027-01-31, not \"%.60s\"", said);
}

static enum af_status open_monitor(struct monitor *m, struct af_error *err)
{
    uint64_t timeout_ms = 0;
    AF_TRY(take_token_end(m, err));
    AF_TRY(lambda_number(m->aws, LAMBDA_MONITOR_TIMEOUT_MS, &timeout_ms, err));
    AF_TRY(lambda_target_open(&m->target, m->aws, lambda_text(m->aws, LAMBDA_MONITOR_BUCKET), err));
    m->timeout_ms = m->target.timeout_ms = (uint32_t)timeout_ms;
    AF_TRY(lambda_failures_open(&m->failures, m->aws, err));
    return lambda_publisher_open(&m->publisher, m->aws, "monitor", err);
}

enum af_status af_lambda_monitor_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err)
{
    struct monitor *m = af_alloc_zero(1, sizeof *m);
    if (m == NULL)
        return af_fail_nomem(err, "the monitor");
    m->function = (struct af_lambda_function){ handle, free_monitor };
    m->aws = aws;
    enum af_status status = open_monitor(m, err);
    if (status != AF_OK) {
        free_monitor(&m->function);
        return status;
    }
    *out = &m->function;
    return AF_OK;
}
