/*
 * cloudwatch.c - see cloudwatch.h. The service offers CBOR, JSON and the query protocol; this is its JSON (1.0), where times are seconds
 * since 1970.
 */
#include "aws/cloudwatch.h"
#include "aws/call.h"
#include "aws/cloudwatch_int.h"
#include "base/calendar.h"
#include "base/utf8.h"
#include "codec/compress.h"
#include <inttypes.h>
#include <stdlib.h>

/* Of a request: its reference allows 1,000 metrics and 1 MB. */
enum { REQUEST_METRICS_MAX = 1000, REQUEST_BYTES_MAX = 1000000, GZIP_FROM_BYTES = 10240, NAME_BYTES_MAX = 255, VALUE_BYTES_MAX = 1024,
       PAGES_MAX = 1000, PERIOD_S_MAX = 86400 };
static const char service[] = "CloudWatch";

/* --- put ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status check_text(const char *what, const char *text, size_t max, struct af_error *err)
{
    const struct af_slice s = af_slice_of(text);
    if (s.len == 0 || s.len > max || !af_utf8_is_valid(s))
        return af_fail(err, AF_EINVAL, "CloudWatch: %s has 1 to %zu bytes of UTF-8; this one: \"%.100s\"", what, max,
                       text != NULL ? text : "");
    return AF_OK;
}

static enum af_status check_set(const char *name_space, const struct af_metric_dimension *dimensions, size_t dimension_count,
                                struct af_error *err)
{
    AF_TRY(check_text("a namespace", name_space, NAME_BYTES_MAX, err));
    if (dimension_count > AF_METRIC_DIMENSIONS_MAX)
        return af_fail(err, AF_EINVAL, "CloudWatch: a metric has at most %d dimensions, not %zu", AF_METRIC_DIMENSIONS_MAX,
                       dimension_count);
    for (size_t i = 0; i < dimension_count; i++) {
        AF_TRY(check_text("a dimension's name", dimensions[i].name, NAME_BYTES_MAX, err));
        AF_TRY(check_text("a dimension's value", dimensions[i].value, VALUE_BYTES_MAX, err));
    }
    return AF_OK;
}

static void put_dimensions(struct af_buf *out, const struct af_metric_dimension *dimensions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        af_buf_append_str(out, i == 0 ? ",\"Dimensions\":[{\"Name\":" : ",{\"Name\":");
        af_json_append_string(out, af_slice_of(dimensions[i].name));
        af_buf_append_str(out, ",\"Value\":");
        af_json_append_string(out, af_slice_of(dimensions[i].value));
        af_buf_append_char(out, '}');
    }
    af_buf_append_str(out, count != 0 ? "]" : "");
}

static void put_metric(struct af_buf *out, struct af_slice dimensions, const struct af_metric *metric, int64_t now_ns)
{
    af_buf_append_str(out, "{\"MetricName\":");
    af_json_append_string(out, af_slice_of(metric->name));
    af_buf_append_slice(out, dimensions);
    af_buf_printf(out, ",\"Timestamp\":%" PRId64 ",\"Value\":", now_ns / AF_NS_PER_S);
    af_json_append_f64(out, metric->value);
    if (metric->unit != NULL && metric->unit[0] != '\0') {
        af_buf_append_str(out, ",\"Unit\":");
        af_json_append_string(out, af_slice_of(metric->unit));
    }
    af_buf_append_char(out, '}');
}

struct putting {
    struct af_aws_client *client;
    const char *name_space;
    struct af_slice dimensions;      /* as JSON */
    const struct af_metric *metrics;
    size_t count;
    int64_t now_ns;
};

/* Metrics from `from` on, as many as one request takes; returns the first that is left. */
static size_t fill(const struct putting *putting, struct aws_call *call, size_t from, size_t *out_put)
{
    struct af_buf *body = &call->body;
    size_t put = 0, i = from;
    aws_put_text(call, "Namespace", af_slice_of(putting->name_space));
    aws_put_name(call, "MetricData");
    af_buf_append_char(body, '[');
    for (; i < putting->count && put < REQUEST_METRICS_MAX; i++) {
        const size_t mark = body->len;
        if (!metric_is_sendable(&putting->metrics[i]))
            continue;
        af_buf_append_str(body, put != 0 ? "," : "");
        put_metric(body, putting->dimensions, &putting->metrics[i], putting->now_ns);
        if (body->len + 2 > REQUEST_BYTES_MAX && put != 0) {
            af_buf_rewind(body, mark);
            break;
        }
        put++;
    }
    af_buf_append_char(body, ']');
    *out_put = put;
    return i;
}

/* Large bodies go compressed, as the SDKs send them. */
static enum af_status send(struct aws_call *call, struct af_error *err)
{
    static const struct af_aws_pair gzip = { { "Content-Encoding", 16 }, { "gzip", 4 } };
    struct af_codec_ctx codec = { 0 };
    struct af_buf packed;
    if (call->body.len < GZIP_FROM_BYTES)
        return aws_call_send(call, err);
    af_buf_append_char(&call->body, '}');
    AF_TRY(af_buf_check(&call->body, "metrics", err));
    af_buf_init(&packed, REQUEST_BYTES_MAX * 2);
    enum af_status status = af_compress(&codec, AF_CODEC_GZIP, 0, af_buf_slice(&call->body), &packed, err);
    call->headers = &gzip;
    call->header_count = 1;
    if (status == AF_OK)
        status = aws_call_send_body(call, af_buf_slice(&packed), err);
    af_buf_done(&packed);
    af_codec_ctx_done(&codec);
    return status;
}

static enum af_status put_all(const struct putting *putting, struct af_error *err)
{
    for (size_t from = 0; from < putting->count;) {
        struct aws_call call;
        size_t put, next;
        aws_call_begin(&call, putting->client, service, "PutMetricData");
        next = fill(putting, &call, from, &put);
        const enum af_status status = put != 0 ? send(&call, err) : AF_OK;
        aws_call_end(&call);
        if (status != AF_OK) {
            if (from != 0)
                af_error_prefix(err, "after %zu of %zu metrics: ", from, putting->count);
            return status;
        }
        from = next;
    }
    return AF_OK;
}

enum af_status af_metric_put(struct af_aws_client *client, const char *name_space, const struct af_metric_dimension *dimensions,
                             size_t dimension_count, const struct af_metric *metrics, size_t metric_count, int64_t now_ns,
                             struct af_error *err)
{
    struct af_buf set;
    AF_TRY(check_set(name_space, dimensions, dimension_count, err));
    for (size_t i = 0; i < metric_count; i++)
        AF_TRY(check_text("a metric's name", metrics[i].name, NAME_BYTES_MAX, err));
    af_buf_init(&set, REQUEST_BYTES_MAX);
    put_dimensions(&set, dimensions, dimension_count);
    enum af_status status = af_buf_check(&set, "the dimensions of a metric", err);
    if (status == AF_OK)
        status = put_all(&(struct putting){ client, name_space, af_buf_slice(&set), metrics, metric_count, now_ns }, err);
    af_buf_done(&set);
    return status;
}

/* --- get ----------------------------------------------------------------------------------------------------------------------- */

static enum af_status add(struct metric_series *series, int64_t time_ns, double value, struct af_error *err)
{
    struct af_metric_point *points = af_arena_more(series->arena, series->points, series->count, &series->cap, sizeof *points);
    if (points == NULL)
        return af_arena_fail(series->arena, sizeof *points, "points of a metric", err);
    series->points = points;
    points[series->count++] = (struct af_metric_point){ time_ns, value };
    return AF_OK;
}

/* Seconds since 1970 with a fraction, or a text, as emulators have it. */
static bool time_of(const struct af_json *node, int64_t *out_ns)
{
    double seconds;
    int64_t whole;
    bool has_zone;
    if (node->kind == AF_JSON_STRING)
        return af_time_parse(node->text, out_ns, &has_zone);
    if (af_json_i64(node, &whole) && whole > -9000000000 && whole < 9000000000) {
        *out_ns = whole * AF_NS_PER_S;
        return true;
    }
    if (!af_json_f64(node, &seconds) || !(seconds > -9e9 && seconds < 9e9))
        return false;
    *out_ns = (int64_t)(seconds * 1000) * (AF_NS_PER_S / 1000);
    return true;
}

static enum af_status take_result(const struct aws_call *call, const struct af_json *result, struct metric_series *series,
                                  struct af_error *err)
{
    const struct af_slice state = af_json_string(result, "StatusCode");
    const struct af_json *time, *value;
    if (af_slice_is(state, "Forbidden"))
        return af_fail(err, AF_EDENIED, "CloudWatch GetMetricData: these credentials may not read the metric");
    if (af_slice_is(state, "InternalError"))
        return af_fail(err, AF_EIO, "CloudWatch GetMetricData: the service could not read the metric (InternalError)");
    AF_TRY(aws_take_list(call, result, "Timestamps", &time, err));
    AF_TRY(aws_take_list(call, result, "Values", &value, err));
    for (; time != NULL && value != NULL; time = time->next, value = value->next) {
        int64_t ns;
        double number;
        if (!time_of(time, &ns) || !af_json_f64(value, &number))
            return aws_bad_answer(call, err, "has a point whose time or value is no number");
        AF_TRY(add(series, ns, number, err));
    }
    return time == NULL && value == NULL ? AF_OK : aws_bad_answer(call, err, "has more times than values, or fewer");
}

enum af_status metric_take_results(const struct aws_call *call, struct metric_series *series, struct af_error *err)
{
    const struct af_json *result;
    AF_TRY(aws_take_list(call, call->answer, "MetricDataResults", &result, err));
    for (; result != NULL; result = result->next)
        AF_TRY(take_result(call, result, series, err));
    return AF_OK;
}

static void put_query(struct aws_call *call, const struct af_metric_query *query, struct af_slice next)
{
    struct af_buf *body = &call->body;
    aws_put_name(call, "MetricDataQueries");
    af_buf_append_str(body, "[{\"Id\":\"q\",\"MetricStat\":{\"Metric\":{\"Namespace\":");
    af_json_append_string(body, af_slice_of(query->name_space));
    af_buf_append_str(body, ",\"MetricName\":");
    af_json_append_string(body, af_slice_of(query->name));
    put_dimensions(body, query->dimensions, query->dimension_count);
    af_buf_printf(body, "},\"Period\":%" PRIu32 ",\"Stat\":", query->period_s);
    af_json_append_string(body, af_slice_of(query->statistic));
    af_buf_append_str(body, "},\"ReturnData\":true}]");
    aws_put_name(call, "StartTime");
    af_buf_printf(body, "%" PRId64, query->from_ns / AF_NS_PER_S);
    aws_put_name(call, "EndTime");
    af_buf_printf(body, "%" PRId64, query->to_ns / AF_NS_PER_S);
    aws_put_text(call, "ScanBy", AF_SLICE_LIT("TimestampAscending"));
    if (next.ptr != NULL)
        aws_put_text(call, "NextToken", next);
}

/* One page; *next is what the following one is asked for with, kept in the series' arena, or no memory. */
static enum af_status get_page(struct aws_call *call, const struct af_metric_query *query, struct metric_series *series,
                               struct af_slice *next,
                               struct af_error *err)
{
    put_query(call, query, *next);
    AF_TRY(aws_call_send(call, err));
    AF_TRY(metric_take_results(call, series, err));
    const struct af_slice token = af_json_string(call->answer, "NextToken");
    if (token.len == 0) {
        *next = (struct af_slice){ 0 };
        return AF_OK;
    }
    if (af_slice_eq(token, *next))
        return aws_bad_answer(call, err, "has the same NextToken again");
    *next = aws_keep(series->arena, token);
    return next->ptr != NULL ? AF_OK : af_arena_fail(series->arena, token.len, "a page", err);
}

static int by_time(const void *a, const void *b)
{
    const struct af_metric_point *p = a, *q = b;
    return (p->time_ns > q->time_ns) - (p->time_ns < q->time_ns);
}

enum af_status af_metric_get(struct af_aws_client *client, const struct af_metric_query *query, struct af_arena *arena,
                             struct af_metric_point **out, size_t *out_count, struct af_error *err)
{
    struct metric_series series = { .arena = arena };
    struct af_slice next = { 0 };
    AF_TRY(check_set(query->name_space, query->dimensions, query->dimension_count, err));
    AF_TRY(check_text("a metric's name", query->name, NAME_BYTES_MAX, err));
    if (query->period_s == 0 || query->period_s > PERIOD_S_MAX)
        return af_fail(err, AF_EINVAL, "CloudWatch: a period has 1 to %d s, not %" PRIu32, PERIOD_S_MAX, query->period_s);
    for (unsigned page = 0; page == 0 || next.ptr != NULL; page++) {
        struct aws_call call;
        if (page == PAGES_MAX)
            return af_fail(err, AF_ELIMIT, "CloudWatch GetMetricData: more than %d pages", PAGES_MAX);
        aws_call_begin(&call, client, service, "GetMetricData");
        const enum af_status status = get_page(&call, query, &series, &next, err);
        aws_call_end(&call);
        if (status != AF_OK)
            return status;
    }
    if (series.count != 0)
        qsort(series.points, series.count, sizeof *series.points, by_time);
    *out = series.points;
    *out_count = series.count;
    return AF_OK;
}

/* --- list ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status list_page(struct aws_call *call, const char *name_space, const char *dimension, struct af_buf *next, bool *out,
                                struct af_error *err)
{
    const struct af_json *metric;
    aws_put_text(call, "Namespace", af_slice_of(name_space));
    if (dimension != NULL) {
        aws_put_name(call, "Dimensions");
        af_buf_append_str(&call->body, "[{\"Name\":");
        af_json_append_string(&call->body, af_slice_of(dimension));
        af_buf_append_str(&call->body, "}]");
    }
    if (next->len != 0)
        aws_put_text(call, "NextToken", af_buf_slice(next));
    AF_TRY(aws_call_send(call, err));
    AF_TRY(aws_take_list(call, call->answer, "Metrics", &metric, err));
    *out = metric != NULL;
    af_buf_clear(next);
    af_buf_append_slice(next, af_json_string(call->answer, "NextToken"));
    return af_buf_check(next, "a page", err);
}

enum af_status af_metric_exists(struct af_aws_client *client, const char *name_space, const char *dimension, bool *out,
                                struct af_error *err)
{
    struct af_buf next;
    enum af_status status = AF_OK;
    bool is_there = false;
    af_buf_init(&next, 64 << 10);
    for (unsigned page = 0; status == AF_OK && !is_there && page < PAGES_MAX && (page == 0 || next.len != 0); page++) {
        struct aws_call call;
        aws_call_begin(&call, client, service, "ListMetrics");
        status = list_page(&call, name_space, dimension, &next, &is_there, err);
        aws_call_end(&call);
    }
    af_buf_done(&next);
    if (status == AF_OK)
        *out = is_there;
    return status;
}
