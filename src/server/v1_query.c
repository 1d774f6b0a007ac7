/*
 * v1_query.c - InfluxDB 1.x's /query, and the same at /api/v2/query for InfluxQL: a request read, its answer pulled out of query/.
 *
 * Small answers go out whole; what is chunked or larger goes out in pieces while the query runs on.
 */
#include "server/v1_query.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "os/clock.h"
#include "platform/platform.h"
#include "server/core.h"

/* --- the form of the answer --------------------------------------------------------------------------------------------------------- */

struct kind {
    const char *type;
    enum af_wire_format format;
};
static const struct kind kinds[] = { { "application/json", AF_WIRE_V1_JSON }, { "application/csv", AF_WIRE_V1_CSV },
                                     { "text/csv", AF_WIRE_V1_CSV }, { "application/x-msgpack", AF_WIRE_V1_MSGPACK } };

/* "*" is any. */
static bool matches(struct af_slice asked, const char *part, size_t len)
{
    return af_slice_is(asked, "*") || (asked.len == len && strncasecmp(asked.ptr, part, len) == 0);
}

/* The first kind that "type/subtype", either of them "*", or "*" alone means; NULL: none. */
static const struct kind *kind_of(struct af_slice asked)
{
    const char *slash = asked.len != 0 ? memchr(asked.ptr, '/', asked.len) : NULL;
    if (slash == NULL)
        return af_slice_is(asked, "*") ? &kinds[0] : NULL;
    struct af_slice type = { asked.ptr, (size_t)(slash - asked.ptr) };
    struct af_slice subtype = { slash + 1, asked.len - type.len - 1 };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t len = strcspn(kinds[i].type, "/");
        if (matches(type, kinds[i].type, len) && matches(subtype, kinds[i].type + len + 1, strlen(kinds[i].type) - len - 1))
            return &kinds[i];
    }
    return NULL;
}

/* Of ";charset=utf-8;q=0.5" the 0.5; 1 if there is none, 0 if it is no number. */
static double quality_of(struct af_slice parameters)
{
    while (parameters.len != 0) {
        size_t len = strcspn(parameters.ptr + 1, ",;");
        struct af_slice one = af_slice_trim((struct af_slice){ parameters.ptr + 1, len });
        double value = 0;
        if (one.len >= 2 && (one.ptr[0] == 'q' || one.ptr[0] == 'Q') && one.ptr[1] == '=')
            return af_f64_parse((struct af_slice){ one.ptr + 2, one.len - 2 }, &value) && value == value ? value : 0;
        parameters = (struct af_slice){ parameters.ptr + 1 + len, parameters.len - 1 - len };
    }
    return 1;
}

/* What of the Accept header there is and is wanted most, the first of equals; JSON otherwise. */
static const struct kind *accepted(const char *accept)
{
    const struct kind *best = NULL;
    double best_quality = 0;
    for (const char *at = accept; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, ","), type_len = strcspn(at, ",;");
        const struct kind *kind = kind_of(af_slice_trim((struct af_slice){ at, type_len }));
        double quality = kind != NULL ? quality_of((struct af_slice){ at + type_len, len - type_len }) : 0;
        if (kind != NULL && (best == NULL || quality > best_quality)) {
            best = kind;
            best_quality = quality;
        }
        at += len + (at[len] == ',');
    }
    return best != NULL ? best : &kinds[0];
}

static bool is_pretty(struct af_request *r)
{
    const char *pretty = af_serve_arg(r->http, "pretty");
    return pretty != NULL && strcmp(pretty, "true") == 0;
}

static int64_t epoch_of(const char *epoch)
{
    static const struct {
        const char *name;
        int64_t unit_ns;
    } units[] = { { "u", 1000 }, { "ms", 1000000 }, { "s", AF_NS_PER_S }, { "m", 60 * AF_NS_PER_S }, { "h", 3600 * AF_NS_PER_S } };
    if (epoch == NULL || epoch[0] == '\0')
        return 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(epoch, units[i].name) == 0)
            return units[i].unit_ns;
    return 1;
}

static uint64_t chunk_rows_of(const char *text)
{
    int64_t rows = 0;
    return text != NULL && af_i64_parse(af_slice_of(text), &rows) && rows > 0 ? (uint64_t)rows : 0;
}

static struct af_wire_options wire_of(struct af_request *r, const char **out_type)
{
    const char *chunked = af_serve_form(r->http, "chunked");
    const struct kind *kind = accepted(af_serve_header(r->http, "Accept"));
    *out_type = kind->type;
    return (struct af_wire_options){
        .format = kind->format,
        .epoch_ns = epoch_of(af_serve_form(r->http, "epoch")),
        .pretty = is_pretty(r),
        .chunked = chunked != NULL && strcmp(chunked, "true") == 0,
        .chunk_rows = chunk_rows_of(af_serve_form(r->http, "chunk_size")),
    };
}

/* --- the whole query refused ------------------------------------------------------------------------------------------------------ */

void v1_refuse(struct af_request *r, int http_status, const char *words)
{
    const char *type;
    struct af_wire_options wire = wire_of(r, &type);
    struct af_buf *body = &r->answer->body;
    af_answer_fail(r, http_status, "%s", words);
    af_buf_clear(body);
    af_wire_refusal(body, &wire, words);
    r->answer->content_type = type;
}

/* --- answering ---------------------------------------------------------------------------------------------------------------------- */

/* An answer that goes out in pieces: the first was pulled already. */
struct streamed {
    struct af_query *query;
    struct af_slice first;
    bool has_given;
};

static enum af_status streamed_next(void *ctx, struct af_slice *out, struct af_error *err)
{
    struct streamed *streamed = ctx;
    if (!streamed->has_given) {
        streamed->has_given = true;
        *out = streamed->first;
        return AF_OK;
    }
    return af_query_next(streamed->query, out, err);
}

static void streamed_close(void *ctx)
{
    af_query_close(((struct streamed *)ctx)->query);
}

static void fail_as(struct af_request *r, enum af_status status, const struct af_error *err)
{
    int http = status == AF_EINVAL || status == AF_ELIMIT ? 400 : status == AF_EDENIED ? 403 : af_status_http(status);
    v1_refuse(r, http, err->message);
}

static void stream_answer(struct af_request *r, struct af_query *query, struct af_slice first)
{
    struct streamed *streamed = af_arena_zero(r->arena, 1, sizeof *streamed);
    if (streamed == NULL) {
        af_query_close(query);
        v1_refuse(r, 503, "no memory for an answer");
        return;
    }
    *streamed = (struct streamed){ .query = query, .first = first };
    r->answer->next = streamed_next;
    r->answer->close = streamed_close;
    r->answer->ctx = streamed;
}

/* What fits into the first piece goes out whole, with its length. */
static void answer(struct af_request *r, struct af_query *query, const char *type)
{
    struct af_slice first;
    struct af_error err = { 0 };
    enum af_status status = af_query_next(query, &first, &err);
    if (status != AF_OK) {
        af_query_close(query);
        fail_as(r, status, &err);
        return;
    }
    r->answer->status = 200;
    r->answer->content_type = type;
    if (!af_query_is_done(query)) {
        stream_answer(r, query, first);
        return;
    }
    af_buf_append_slice(&r->answer->body, first);
    af_query_close(query);
}

/* --- the request -------------------------------------------------------------------------------------------------------------------- */

struct af_request *v1_keep_request(struct af_request *r)
{
    struct af_request *kept = af_arena_zero(r->arena, 1, sizeof *kept);
    if (kept != NULL)
        *kept = *r;
    return kept;
}

static const char *trimmed(struct af_request *r, const char *text)
{
    struct af_slice all = af_slice_trim(af_slice_of(text));
    return all.len != 0 ? af_arena_copy(r->arena, all) : NULL;
}

static bool read_text(struct af_request *r, struct v1_run *run)
{
    const char *given = af_serve_form(r->http, "q");
    if (given != NULL && strlen(given) > AF_SERVER_TEXT_BYTES_MAX) {
        v1_refuse(r, 413, "the query is too large");
        return false;
    }
    const char *text = given != NULL ? trimmed(r, given) : NULL;
    if (text == NULL) {
        v1_refuse(r, 400, "missing required parameter \"q\"");
        return false;
    }
    run->query.text = af_slice_of(text);
    return true;
}

void v1_query_run(struct v1_run *run)
{
    struct af_request *r = run->request;
    const char *type;
    struct af_query *query;
    struct af_error err = { 0 };
    run->arena = r->arena;
    run->meta = r->house->meta;
    v1_host_init(run);
    run->query.database = run->database;
    run->query.policy = run->policy;
    run->query.now_ns = af_clock_now_ns();
    run->query.limits = r->server->options.query_limits;
    run->query.timeout_ms = r->server->options.query_timeout_ms;
    run->query.cancel = r->http->is_gone;
    run->query.list = r->server->queries;
    run->query.user = r->who.name;
    run->query.wire = wire_of(r, &type);
    run->query.wire.rows_max = r->server->options.query_rows_max;
    run->query.is_read_only = strcmp(r->http->method, "POST") != 0;
    run->query.ctx = run;
    run->query.may = v1_may;
    enum af_status status = af_query_open(&run->host, &run->query, &query, &err);
    if (status != AF_OK)
        fail_as(r, status, &err);
    else
        answer(r, query, type);
}

/* POST /query with a JSON body that has a `question` is the platform's; 1.x never sends one. */
static bool is_question(struct af_request *r)
{
    struct af_slice body;
    return strcmp(r->http->method, "POST") == 0 && af_serve_form(r->http, "q") == NULL &&
           af_serve_body(r->http, &body, NULL) == AF_OK && af_platform_is_question(body);
}

static void handle_query(struct af_request *r)
{
    if (is_question(r)) {
        platform_question(r);
        return;
    }
    struct v1_run *run = af_arena_zero(r->arena, 1, sizeof *run); /* as long as the answer */
    if (run == NULL) {
        v1_refuse(r, 503, "no memory for a query");
        return;
    }
    *run = (struct v1_run){ .request = v1_keep_request(r) };
    if (run->request == NULL) {
        v1_refuse(r, 503, "no memory for a query");
        return;
    }
    if (!read_text(r, run) || !af_request_org(r, &run->org))
        return;
    run->database = af_serve_form(r->http, "db");
    run->policy = af_serve_form(r->http, "rp");
    run->query.params_json = af_serve_form(r->http, "params");
    v1_query_run(run);
}

const struct af_route af_routes_v1_query[] = {
    { "GET,POST", "/query", AF_API_V1, AF_ACCESS_TOKEN, handle_query },
    { NULL, NULL, AF_API_V1, AF_ACCESS_TOKEN, NULL },
};
