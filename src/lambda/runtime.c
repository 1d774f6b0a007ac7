/*
 * runtime.c - the loop of a custom runtime.
 *
 *     GET  /2018-06-01/runtime/invocation/next             waits as long as it takes
 *     POST /2018-06-01/runtime/invocation/ID/response      the answer
 *     POST /2018-06-01/runtime/invocation/ID/error         {"errorMessage", "errorType", "stackTrace"}
 *     POST /2018-06-01/runtime/init/error
 *
 * Answers: 202 taken; 400, 403 not (said in the log, and on with the next); 413 too large: the error is posted instead; 500 the container
 * is broken: the loop ends. A lost connection is tried again, also with an answer: if the first one was taken, the second is a 403.
 *
 * Source: "Using the Lambda runtime API for custom runtimes" of the Lambda guide.
 */
#include "base/limits.h"
#include "base/numbers.h"
#include "format/json/json.h"
#include "lambda/lambda.h"
#include "net/http.h"
#include "os/clock.h"
#include <stdio.h>
#include <stdlib.h>

enum { CONNECT_MS = 1000, POST_MS = 10000, LOST_MAX = 5, POSTS_MAX = 3, PAUSE_MS = 100, WHERE_BYTES = 512, ID_BYTES = 256 };

struct loop {
    const struct af_lambda_runtime *runtime;
    struct af_http *http;
    char where[WHERE_BYTES];        /* http://host:port/2018-06-01/runtime */
    char id[ID_BYTES], invocation_id[ID_BYTES];
    struct af_arena arena;
    struct af_buf answer;
    struct af_lambda_log log;
    unsigned lost;                  /* connections in a row */
    bool is_broken;                 /* the API says so */
};

static void write_line(void *ctx, struct af_slice line)
{
    (void)ctx;
    (void)fwrite(line.ptr, 1, line.len, stdout);
    (void)fflush(stdout);
}

static int log_level(void)
{
    static const struct {
        const char *name;
        int level;
    } levels[] = { { "TRACE", AF_LOG_DEBUG }, { "DEBUG", AF_LOG_DEBUG }, { "INFO", AF_LOG_INFO }, { "WARN", AF_LOG_WARN },
                   { "ERROR", AF_LOG_ERROR }, { "FATAL", AF_LOG_ERROR + 1 } };
    const char *wanted = getenv("AWS_LAMBDA_LOG_LEVEL");
    for (size_t i = 0; wanted != NULL && i < sizeof levels / sizeof levels[0]; i++)
        if (strcmp(wanted, levels[i].name) == 0)
            return levels[i].level;
    return AF_LOG_INFO;
}

static const char *error_type(enum af_status status)
{
    return af_status_name(status);
}

static void print_error(struct af_buf *out, const struct af_error *why)
{
    af_buf_append_str(out, "{\"errorMessage\":");
    af_json_append_string(out, af_slice_of(why->message));
    af_buf_printf(out, ",\"errorType\":\"%s\",\"stackTrace\":[]}", error_type(why->status));
}

/* --- the API ------------------------------------------------------------------------------------------------------------- */

static enum af_status open_loop(struct loop *loop, const char *api, struct af_error *err)
{
    const struct af_http_options options = { .connect_timeout_ms = CONNECT_MS, .stall_timeout_ms = UINT32_MAX, .no_proxy = true,
                                             .no_redirects = true };
    if (api == NULL)
        api = getenv("AWS_LAMBDA_RUNTIME_API");
    if (api == NULL || strlen(api) > WHERE_BYTES - 64)
        return af_fail(err, AF_EINVAL, "AWS_LAMBDA_RUNTIME_API is not set: this runs inside of AWS Lambda");
    (void)snprintf(loop->where, sizeof loop->where, "http://%s/2018-06-01/runtime", api);
    return af_http_new(&options, &loop->http, err);
}

static enum af_status post_once(struct loop *loop, const struct af_http_request *request, int *out_code, struct af_error *err)
{
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    enum af_status status = af_http_send(loop->http, request, &answer, err);
    *out_code = answer.status;
    if (status == AF_OK && answer.status >= 500) {
        loop->is_broken = true;
        status = af_fail(err, AF_EIO, "the runtime API answers with status %d: the container is broken", answer.status);
    } else if (status == AF_OK && answer.status >= 400 && answer.status != 413) {
        af_lambda_say(&loop->log, AF_LOG_WARN, (struct af_slice){ NULL, 0 }, "the runtime API does not take this (status %d): %.*s",
                      answer.status, AF_SLICE_ARG(af_buf_slice(&answer.body)));
    }
    af_http_answer_done(&answer);
    return status;
}

/* POST, its answer judged. `error`: its type; NULL: it is none. */
static enum af_status post(struct loop *loop, const char *path, struct af_slice body, const char *error, int *out_code,
                           struct af_error *err)
{
    char url[WHERE_BYTES + ID_BYTES + 64], type[128], invocation[ID_BYTES + 64];
    const char *headers[4] = { "Content-Type: application/json" };
    size_t count = 1;
    (void)snprintf(url, sizeof url, "%s%s", loop->where, path);
    if (error != NULL) {
        (void)snprintf(type, sizeof type, "Lambda-Runtime-Function-Error-Type: %s", error);
        headers[count++] = type;
    }
    if (loop->invocation_id[0] != '\0') {
        (void)snprintf(invocation, sizeof invocation, "Lambda-Runtime-Invocation-Id: %s", loop->invocation_id);
        headers[count++] = invocation;
    }
    headers[count] = NULL;
    const struct af_http_request request = { .method = "POST", .url = url, .headers = headers, .body = body, .timeout_ms = POST_MS };
    enum af_status status = post_once(loop, &request, out_code, err);
    for (unsigned i = 1; status == AF_EIO && !loop->is_broken && i < POSTS_MAX; i++) {
        af_clock_sleep_ms(PAUSE_MS * i);
        status = post_once(loop, &request, out_code, err);
    }
    return status;
}

static enum af_status post_error(struct loop *loop, const char *path, const struct af_error *why, struct af_error *err)
{
    struct af_buf body;
    int code;
    af_buf_init(&body, 1 << 16);
    print_error(&body, why);
    enum af_status status = post(loop, path, af_buf_slice(&body), error_type(why->status), &code, err);
    af_buf_done(&body);
    return status;
}

/* --- one invocation ------------------------------------------------------------------------------------------------------ */

static void copy_header(const struct af_http_answer *answer, const char *name, char *out, size_t cap)
{
    struct af_slice value = af_http_answer_header(answer, name);
    size_t len = value.len < cap - 1 ? value.len : 0; /* what is longer is none of the API's */
    if (len != 0)
        memcpy(out, value.ptr, len);
    out[len] = '\0';
}

/* An id becomes part of a path. */
static bool is_id(const char *id)
{
    for (const char *c = id; *c != '\0'; c++)
        if (!((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '-' || *c == '_'))
            return false;
    return id[0] != '\0';
}

static int64_t deadline_of(const struct af_http_answer *answer)
{
    int64_t ms;
    if (!af_i64_parse(af_http_answer_header(answer, "lambda-runtime-deadline-ms"), &ms) || ms < 0 || ms > INT64_MAX / 1000000)
        return 0;
    return af_clock_mono_ns() + (ms * 1000000 - af_clock_now_ns());
}

static enum af_status send_error(struct loop *loop, const struct af_error *why, struct af_error *err)
{
    char path[ID_BYTES + 64];
    (void)snprintf(path, sizeof path, "/invocation/%s/error", loop->id);
    af_lambda_say(&loop->log, AF_LOG_ERROR, (struct af_slice){ NULL, 0 }, "%s", why->message);
    return post_error(loop, path, why, err);
}

static enum af_status send_answer(struct loop *loop, struct af_error *err)
{
    char path[ID_BYTES + 64];
    int code = 0;
    struct af_error why = { 0 };
    if (af_buf_check(&loop->answer, "the answer", &why) != AF_OK)
        return send_error(loop, &why, err);
    (void)snprintf(path, sizeof path, "/invocation/%s/response", loop->id);
    AF_TRY(post(loop, path, af_buf_slice(&loop->answer), NULL, &code, err));
    if (code != 413)
        return AF_OK;
    (void)af_fail(&why, AF_ELIMIT, "an answer of %zu bytes is more than Lambda takes", loop->answer.len);
    return send_error(loop, &why, err);
}

static enum af_status handle(struct loop *loop, const struct af_http_answer *event, struct af_error *err)
{
    char arn[2048], trace[1024];
    struct af_error why = { 0 };
    copy_header(event, "lambda-runtime-aws-request-id", loop->id, sizeof loop->id);
    copy_header(event, "lambda-runtime-invocation-id", loop->invocation_id, sizeof loop->invocation_id);
    copy_header(event, "lambda-runtime-invoked-function-arn", arn, sizeof arn);
    copy_header(event, "lambda-runtime-trace-id", trace, sizeof trace);
    if (!is_id(loop->id))
        return af_fail(err, AF_EIO, "the runtime API gave an invocation without an id");
    if (trace[0] != '\0')
        (void)setenv("_X_AMZN_TRACE_ID", trace, 1);
    else
        (void)unsetenv("_X_AMZN_TRACE_ID"); /* that of the invocation before */
    loop->log.request_id = loop->id;
    const struct af_lambda_invocation invocation = { .request_id = loop->id, .function_arn = arn, .trace_id = trace,
                                                     .event = af_buf_slice(&event->body), .deadline_mono_ns = deadline_of(event),
                                                     .cancel = loop->runtime->cancel, .arena = &loop->arena, .log = &loop->log };
    af_buf_clear(&loop->answer);
    enum af_status status = loop->runtime->handler(loop->runtime->ctx, &invocation, &loop->answer, &why);
    why.status = status;
    status = status == AF_OK ? send_answer(loop, err) : send_error(loop, &why, err);
    loop->log.request_id = NULL;
    loop->invocation_id[0] = '\0';
    af_arena_reset(&loop->arena);
    return status;
}

static enum af_status next(struct loop *loop, struct af_error *err)
{
    char url[WHERE_BYTES + 64];
    struct af_http_answer event;
    (void)snprintf(url, sizeof url, "%s/invocation/next", loop->where);
    const struct af_http_request request = { .method = "GET", .url = url, .cancel = loop->runtime->cancel };
    af_http_answer_init(&event);
    enum af_status status = af_http_send(loop->http, &request, &event, err);
    if (status == AF_OK && event.status != 200) {
        loop->is_broken = event.status >= 500;
        status = af_fail(err, AF_EIO, "the runtime API answers with status %d%s", event.status,
                         loop->is_broken ? ": the container is broken" : " to a request for an event");
    }
    if (status == AF_OK)
        status = handle(loop, &event, err);
    af_http_answer_done(&event);
    return status;
}

static bool is_cancelled(const struct af_lambda_runtime *runtime)
{
    return runtime->cancel != NULL && __atomic_load_n(runtime->cancel, __ATOMIC_RELAXED);
}

static enum af_status loop_on(struct loop *loop, struct af_error *err)
{
    while (!is_cancelled(loop->runtime)) {
        enum af_status status = next(loop, err);
        if (status == AF_ECANCELED)
            break;
        loop->lost = status == AF_EIO ? loop->lost + 1 : 0;
        if (status != AF_OK && (status != AF_EIO || loop->is_broken || loop->lost == LOST_MAX))
            return status;
        if (loop->lost != 0)
            af_clock_sleep_ms(PAUSE_MS * loop->lost);
    }
    return AF_OK;
}

enum af_status af_lambda_run(const struct af_lambda_runtime *runtime, struct af_error *err)
{
    struct loop loop = { .runtime = runtime, .log = { .level = log_level(), .write = write_line } };
    AF_TRY(open_loop(&loop, runtime->api, err));
    af_arena_init(&loop.arena, AF_LAMBDA_ARENA_BYTES_MAX);
    af_buf_init(&loop.answer, AF_LAMBDA_ANSWER_BYTES_MAX);
    enum af_status status = loop_on(&loop, err);
    af_buf_done(&loop.answer);
    af_arena_done(&loop.arena);
    af_http_free(loop.http);
    return status;
}

void af_lambda_init_failed(const char *api, const struct af_error *why)
{
    struct loop loop = { .log = { .level = log_level(), .write = write_line } };
    struct af_error ignored;
    if (open_loop(&loop, api, &ignored) != AF_OK)
        return;
    af_lambda_say(&loop.log, AF_LOG_ERROR, (struct af_slice){ NULL, 0 }, "the function cannot be set up: %s", why->message);
    (void)post_error(&loop, "/init/error", why, &ignored);
    af_http_free(loop.http);
}
