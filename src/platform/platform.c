/*
 * platform.c - a request to its answer: which path it is, what comes of it, in the shapes of docs/platform-api.md.
 *
 *     {"query_id","query","execution_time_ms","result_count","truncated","data":[rows],"metadata":{...}}
 */
#include "base/calendar.h"
#include "base/limits.h"
#include "os/clock.h"
#include "platform/platform_int.h"

enum { BODY_ARENA_BYTES_MAX = 128 << 20, TAIL_BYTES = 128 << 10 }; /* tail: what follows the rows, metadata above all */

struct call {
    const struct af_platform *platform;
    const struct af_platform_request *request;
    struct af_platform_result *result;
    struct af_buf *out;
    size_t start;                   /* where the answer begins in `out` */
    const char *id;
    int64_t begun_ns;
    struct platform_failure failure;
};

static double ms_since(int64_t begun_ns)
{
    return (double)((af_clock_mono_ns() - begun_ns) / 1000) / 1000;
}

/* --- a query --------------------------------------------------------------------------------------------------------------------- */

static size_t answer_bytes_max(const struct call *call)
{
    uint64_t max = call->platform->answer_bytes_max != 0 ? call->platform->answer_bytes_max : AF_PLATFORM_ANSWER_BYTES_MAX;
    size_t room = call->out->bytes_max - call->start;
    return max < room ? (size_t)max : room;
}

static void print_end(struct call *call, const struct platform_query *query, const struct platform_rows *rows)
{
    struct af_buf *out = call->out;
    af_buf_printf(out, "],\"result_count\":%llu,\"truncated\":%s,\"execution_time_ms\":", (unsigned long long)rows->rows,
                  rows->is_cut ? "true" : "false");
    af_json_append_f64(out, ms_since(call->begun_ns));
    if (query->has_metadata) {
        af_buf_append_str(out, ",\"metadata\":");
        platform_rows_metadata(rows);
    }
    af_buf_append_char(out, '}');
}

static enum af_status ask(struct call *call, const struct platform_query *query, struct af_error *err)
{
    struct af_buf *out = call->out;
    struct platform_rows rows;
    size_t bytes_max = answer_bytes_max(call);
    af_buf_append_str(out, "{\"query_id\":");
    af_json_append_string(out, af_slice_of(call->id));
    af_buf_append_str(out, ",\"query\":");
    af_json_append_string(out, query->text);
    af_buf_append_str(out, ",\"data\":[");
    if (out->len - call->start + TAIL_BYTES > bytes_max || out->is_too_large) {
        enum af_status status = af_fail(err, AF_ELIMIT, "the query leaves no room for an answer");
        platform_failure_set(&call->failure, 413, "INVALID_REQUEST", "%s", err->message);
        return status;
    }
    platform_rows_init(&rows, out, query->limit, call->start + bytes_max - TAIL_BYTES);
    enum af_status status = platform_ask(call->platform, query, call->request->cancel, &rows, &call->failure, err);
    call->result->rows = rows.rows;
    if (status == AF_OK)
        print_end(call, query, &rows);
    platform_rows_done(&rows);
    return status;
}

static enum af_status answer_query(struct call *call, bool is_flux, struct af_error *err)
{
    struct af_arena arena;
    struct platform_query query;
    uint64_t rows_max = call->platform->rows_max != 0 ? call->platform->rows_max : AF_PLATFORM_ROWS_MAX;
    af_arena_init(&arena, BODY_ARENA_BYTES_MAX);
    enum af_status status = platform_query_read(call->request->body, is_flux, rows_max, &arena, &query, err);
    if (status == AF_OK)
        status = ask(call, &query, err);
    else
        platform_failure_set(&call->failure, status == AF_ELIMIT ? 413 : 400, "INVALID_REQUEST", "%s", err->message);
    af_arena_done(&arena);
    return status;
}

static enum af_status answer_flux(struct call *call, struct af_error *err)
{
    return answer_query(call, true, err);
}

static enum af_status answer_influxql(struct call *call, struct af_error *err)
{
    return answer_query(call, false, err);
}

/* --- the other paths -------------------------------------------------------------------------------------------------------------- */

static enum af_status answer_question(struct call *call, struct af_error *err)
{
    if (!af_platform_is_question(call->request->body)) {
        platform_failure_set(&call->failure, 400, "INVALID_REQUEST", "\"question\" is missing; queries go to /query/flux and "
                                                                  "/query/influxql");
        return af_fail(err, AF_EINVAL, "a request without a question");
    }
    platform_failure_set(&call->failure, 501, "NOT_IMPLEMENTED", "questions cannot be answered yet; ask in Flux at /query/flux, or in "
                                                                 "InfluxQL at /query/influxql");
    return af_fail(err, AF_EUNSUPPORTED, "questions cannot be answered yet");
}

static enum af_status answer_health(struct call *call, struct af_error *err)
{
    const struct af_platform *platform = call->platform;
    struct af_buf *out = call->out;
    struct af_error why = { 0 };
    char time[40];
    bool is_well = platform->probe == NULL || platform->probe(platform->ctx, &why) == AF_OK;
    (void)err;
    *af_rfc3339_print(time, af_clock_now_ns(), 3) = '\0';
    af_buf_printf(out, "{\"status\":\"%s\",\"service\":", is_well ? "healthy" : "unhealthy");
    af_json_append_string(out, af_slice_of(platform->service != NULL ? platform->service : "afluxo"));
    if (platform->version != NULL) {
        af_buf_append_str(out, ",\"version\":");
        af_json_append_string(out, af_slice_of(platform->version));
    }
    af_buf_printf(out, ",\"timestamp\":\"%s\",\"components\":{", time);
    if (platform->probe != NULL) {
        af_buf_printf(out, "\"influxdb\":{\"status\":\"%s\",\"response_time_ms\":", is_well ? "healthy" : "unhealthy");
        af_json_append_f64(out, ms_since(call->begun_ns));
        af_buf_append_char(out, '}');
    }
    af_buf_append_str(out, "}}");
    call->result->http_status = is_well ? 200 : 503;
    call->result->why = why;
    return AF_OK;
}

static enum af_status answer_openapi(struct call *call, struct af_error *err)
{
    (void)err;
    af_buf_append_str(call->out, platform_openapi);
    return AF_OK;
}

/* --- which path ------------------------------------------------------------------------------------------------------------------- */

static const struct path {
    const char *path, *method;
    enum af_status (*answer)(struct call *call, struct af_error *err);
} paths[] = {
    { "/query/flux", "POST", answer_flux },
    { "/query/influxql", "POST", answer_influxql },
    { "/query", "POST", answer_question },
    { "/health", "GET", answer_health },
    { "/openapi.json", "GET", answer_openapi },
};

static const struct path *find_path(struct af_slice path)
{
    if (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (af_slice_is(path, paths[i].path))
            return &paths[i];
    return NULL;
}

static enum af_status route(struct call *call, struct af_error *err)
{
    const struct path *path = find_path(call->request->path);
    if (path == NULL) {
        platform_failure_set(&call->failure, 404, "ENDPOINT_NOT_FOUND", "there is no such path: POST /query/flux, POST /query/influxql and "
                                                                        "GET /health are there");
        return af_fail(err, AF_ENOTFOUND, "no such path");
    }
    bool is_head = af_slice_is(call->request->method, "HEAD") && strcmp(path->method, "GET") == 0;
    if (!is_head && !af_slice_is(call->request->method, path->method)) {
        platform_failure_set(&call->failure, 405, "METHOD_NOT_ALLOWED", "%s takes %s", path->path, path->method);
        return af_fail(err, AF_EINVAL, "another method");
    }
    return path->answer(call, err);
}

enum af_status af_platform_answer(const struct af_platform *platform, const struct af_platform_request *request,
                                  struct af_platform_result *result, struct af_buf *out, struct af_error *err)
{
    char made[37];
    struct af_error why = { 0 };
    struct call call = { .platform = platform, .request = request, .result = result, .out = out, .start = out->len, .id = request->id,
                         .begun_ns = af_clock_mono_ns() };
    *result = (struct af_platform_result){ .http_status = 200 };
    platform_uuid(made);
    call.id = request->id != NULL ? request->id : made;
    enum af_status status = route(&call, &why);
    if (status == AF_ENOMEM)
        return af_fail_nomem(err, "an answer");
    if (status != AF_OK) {
        af_buf_rewind(out, call.start);
        platform_failure_print(&call.failure, call.id, out);
        *result = (struct af_platform_result){ .http_status = call.failure.http_status, .why = why,
                                               .is_timeout = call.failure.http_status == 504 };
    }
    return af_buf_check(out, "an answer", err) == AF_OK ? AF_OK : af_fail_nomem(err, "an answer");
}
