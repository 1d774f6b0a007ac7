/*
 * query.c - the platform's direct query paths behind API Gateway: a request of an event, asked of InfluxDB, its answer in an event's shape.
 *
 *     event --> gateway.c --> platform/ --> InfluxDB
 *
 * Who may ask is API Gateway's to know (keys, authorizers); what can be read is what the token can read, so give it one that only reads.
 *
 * /health asks /ping of InfluxDB on a connection of its own and gives it a second; no token is needed for it, and no secret is fetched.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "lambda/lambda_int.h"
#include "net/http.h"
#include "os/clock.h"
#include "platform/platform.h"
#include <stdio.h>

enum {
    MARGIN_MS = 500,                      /* before Lambda ends the invocation: to answer in */
    PROBE_MS = 1000,
    ANSWER_BYTES_MAX = (3 << 20) - 65536, /* as text of the event's JSON every byte may become two, and Lambda takes 6 MiB */
    URL_BYTES_MAX = 2048,
    HTTP_UNSUPPORTED = 415, HTTP_NOT_IMPLEMENTED = 501,
};

struct asker {
    struct af_lambda_function function;
    struct af_aws *aws;
    struct lambda_target target;
    struct lambda_publisher publisher;
    struct af_http *http;                 /* of probes; NULL: not made yet */
    uint32_t timeout_ms;
    uint64_t rows_max;
};

static enum af_status open_store(void *ctx, const bool *cancel, struct af_store **out, struct af_error *err)
{
    struct asker *a = ctx;
    a->target.cancel = cancel;
    enum af_status status = lambda_target_store(&a->target, out, err);
    a->target.cancel = NULL;
    return status;
}

/* "none": pages of elsewhere may not read answers. */
static const char *origin_of(const struct asker *a)
{
    const char *origin = lambda_text(a->aws, LAMBDA_CORS_ALLOW_ORIGIN);
    return origin != NULL && strcmp(origin, "none") != 0 ? origin : NULL;
}

/* --- health --------------------------------------------------------------------------------------------------------------------- */

static enum af_status ping(struct asker *a, const char *url, struct af_error *err)
{
    struct af_http_answer answer;
    const struct af_http_request request = { .method = "GET", .url = url };
    af_http_answer_init(&answer);
    enum af_status status = af_http_send(a->http, &request, &answer, err);
    if (status == AF_OK && (answer.status < 200 || answer.status > 299))
        status = af_fail(err, AF_EIO, "%s answers with status %d", url, answer.status);
    af_http_answer_done(&answer);
    return status;
}

static enum af_status probe(void *ctx, struct af_error *err)
{
    struct asker *a = ctx;
    char url[URL_BYTES_MAX];
    const char *base = lambda_text(a->aws, LAMBDA_INFLUXDB_URL);
    const struct af_http_options options = { .connect_timeout_ms = PROBE_MS, .total_timeout_ms = PROBE_MS,
                                             .ca_file = lambda_text(a->aws, LAMBDA_INFLUXDB_CA_FILE) };
    size_t len = strlen(base);
    int n = snprintf(url, sizeof url, "%.*s/ping", (int)(len != 0 && base[len - 1] == '/' ? len - 1 : len), base);
    if (n < 0 || (size_t)n >= sizeof url)
        return af_fail(err, AF_EINVAL, "INFLUXDB_URL is too long");
    if (a->http == NULL)
        AF_TRY(af_http_new(&options, &a->http, err));
    return ping(a, url, err);
}

/* --- an invocation ---------------------------------------------------------------------------------------------------------------- */

static uint32_t timeout_of(const struct asker *a, const struct af_lambda_invocation *invocation)
{
    if (invocation->deadline_mono_ns == 0)
        return a->timeout_ms;
    int64_t left_ms = (invocation->deadline_mono_ns - af_clock_mono_ns()) / 1000000 - MARGIN_MS;
    if (left_ms < 1)
        return 1;
    return left_ms < a->timeout_ms ? (uint32_t)left_ms : a->timeout_ms;
}

/* A token that was replaced while this sandbox lives is found out here; with another one it is asked once more. */
static enum af_status ask(struct asker *a, const struct af_lambda_invocation *invocation, const struct lambda_request *request,
                          struct af_platform_result *result, struct af_buf *body, struct af_error *err)
{
    const struct af_platform_request asked = { .method = request->method, .path = request->path, .body = request->body,
                                               .id = invocation->request_id, .cancel = invocation->cancel };
    for (int tries = 0;; tries++) {
        const struct af_platform platform = { .open = open_store, .probe = probe, .ctx = a, .timeout_ms = timeout_of(a, invocation),
                                              .rows_max = a->rows_max, .answer_bytes_max = ANSWER_BYTES_MAX };
        a->target.open_timeout_ms = platform.timeout_ms;
        af_buf_clear(body);
        AF_TRY(af_platform_answer(&platform, &asked, result, body, err));
        if (result->why.status != AF_EUNAUTH || !lambda_target_refused(&a->target) || tries == 1)
            return AF_OK;
    }
}

static void refuse(struct af_platform_result *result, int http_status, const char *id, const char *words, struct af_buf *body)
{
    *result = (struct af_platform_result){ .http_status = http_status };
    (void)af_fail(&result->why, AF_EINVAL, "%s", words);
    af_platform_refuse(body, http_status, id, words);
}

static enum af_status make_answer(struct asker *a, const struct af_lambda_invocation *invocation, const struct lambda_request *request,
                                  struct af_platform_result *result, struct af_buf *body, struct af_error *err)
{
    struct af_slice encoding = lambda_request_header(request, "content-encoding");
    *result = (struct af_platform_result){ .http_status = 200 };
    if (af_slice_is(request->method, "OPTIONS"))
        return AF_OK;
    if (request->is_broken)
        refuse(result, 400, invocation->request_id, "the body is not the base64 that the event says it is", body);
    else if (encoding.len != 0 && !af_slice_is(encoding, "identity"))
        refuse(result, HTTP_UNSUPPORTED, invocation->request_id, "a compressed body is not taken: send it plain", body);
    else
        return ask(a, invocation, request, result, body, err);
    return AF_OK;
}

static void tell(struct asker *a, const struct af_lambda_invocation *invocation, const struct lambda_request *request,
                 const struct af_platform_result *result, double ms)
{
    struct lambda_metrics metrics = { 0 };
    enum af_lambda_level level = result->http_status == HTTP_NOT_IMPLEMENTED ? AF_LOG_WARN : AF_LOG_ERROR;
    if (result->http_status >= 500)
        af_lambda_say(invocation->log, level, (struct af_slice){ NULL, 0 }, "%.*s: %s", AF_SLICE_ARG(request->path), result->why.message);
    if (!af_slice_has_prefix(request->path, "/query") || af_slice_is(request->method, "OPTIONS"))
        return;
    lambda_metric_set(&metrics, LAMBDA_METRIC_Queries, 1);
    lambda_metric_set(&metrics, LAMBDA_METRIC_QueryErrors, result->http_status >= 400);
    lambda_metric_set(&metrics, LAMBDA_METRIC_QueryRows, (double)result->rows);
    lambda_metric_set(&metrics, LAMBDA_METRIC_QueryMs, ms);
    lambda_metric_set(&metrics, LAMBDA_METRIC_QueryTimeouts, result->is_timeout);
    lambda_publish(&a->publisher, &metrics, invocation->log);
}

static enum af_status handle(void *function, const struct af_lambda_invocation *invocation, struct af_buf *answer, struct af_error *err)
{
    struct asker *a = function;
    struct lambda_request request;
    struct af_platform_result result;
    struct af_buf body;
    int64_t begun_ns = af_clock_mono_ns();
    AF_TRY(lambda_request_read(invocation->event, lambda_text(a->aws, LAMBDA_API_BASE_PATH), invocation->arena, &request, err));
    af_buf_init(&body, ANSWER_BYTES_MAX + 65536);
    enum af_status status = make_answer(a, invocation, &request, &result, &body, err);
    if (status == AF_OK)
        status = af_buf_check(&body, "an answer", err);
    if (status == AF_OK) {
        tell(a, invocation, &request, &result, (double)(af_clock_mono_ns() - begun_ns) / 1e6);
        lambda_request_answer(&request, result.http_status, origin_of(a), af_buf_slice(&body), answer);
    }
    af_buf_done(&body);
    return status;
}

/* --- the function ------------------------------------------------------------------------------------------------------------------ */

static void free_asker(struct af_lambda_function *function)
{
    struct asker *a = (struct asker *)function;
    lambda_target_close(&a->target);
    lambda_publisher_close(&a->publisher);
    if (a->http != NULL)
        af_http_free(a->http);
    af_free(a);
}

static enum af_status open_asker(struct asker *a, struct af_error *err)
{
    uint64_t seconds = 0;
    AF_TRY(lambda_number(a->aws, LAMBDA_QUERY_TIMEOUT_SECONDS, &seconds, err));
    AF_TRY(lambda_number(a->aws, LAMBDA_MAX_RESULT_SIZE, &a->rows_max, err));
    if (seconds == 0 || seconds > 900 || a->rows_max == 0)
        return af_fail(err, AF_EINVAL, "QUERY_TIMEOUT_SECONDS is 1 to 900, and MAX_RESULT_SIZE 1 or more");
    a->timeout_ms = (uint32_t)seconds * 1000;
    AF_TRY(lambda_target_open(&a->target, a->aws, NULL, err));
    return lambda_publisher_open(&a->publisher, a->aws, "query", err);
}

enum af_status af_lambda_query_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err)
{
    struct asker *a = af_alloc_zero(1, sizeof *a);
    if (a == NULL)
        return af_fail_nomem(err, "the query function");
    a->function = (struct af_lambda_function){ handle, free_asker };
    a->aws = aws;
    enum af_status status = open_asker(a, err);
    if (status != AF_OK) {
        free_asker(&a->function);
        return status;
    }
    *out = &a->function;
    return AF_OK;
}
