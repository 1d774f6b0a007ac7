/*
 * platform.c - the platform's own paths on our server: what platform/ answers, over the databases of this directory and with the rights of
 * whoever asks; docs/platform-api.md.
 */
#include "platform/platform.h"
#include "server/core.h"
#include "server/v1_query.h"

static void prepare(void *ctx, struct af_query_request *query)
{
    struct v1_run *run = ctx;
    struct af_server *server = run->request->server;
    run->database = query->database;
    run->policy = query->policy;
    query->limits = server->options.query_limits;
    query->list = server->queries;
    query->user = run->request->who.name;
    query->ctx = run;
    query->may = v1_may;
}

static struct af_platform platform_of(struct v1_run *run)
{
    const struct af_server_options *options = &run->request->server->options;
    return (struct af_platform){
        .host = &run->host, .prepare = prepare, .ctx = run, .rows_max = options->query_rows_max, .version = options->version,
        .timeout_ms = options->query_timeout_ms < UINT32_MAX ? (uint32_t)options->query_timeout_ms : UINT32_MAX,
    };
}

static void answer(struct af_request *r, struct v1_run *run, struct af_slice body)
{
    struct af_platform_result result;
    struct af_error err = { 0 };
    const struct af_platform platform = platform_of(run);
    const struct af_platform_request request = { .method = af_slice_of(r->http->method), .path = af_slice_of(r->http->path), .body = body,
                                                 .cancel = r->http->is_gone };
    af_buf_clear(&r->answer->body);
    if (af_platform_answer(&platform, &request, &result, &r->answer->body, &err) != AF_OK) {
        af_answer_fail(r, 503, "%s", err.message);
        return;
    }
    if (result.http_status == 429 || result.http_status == 503)
        af_serve_add_header(r->answer, "Retry-After", "1");
    if (result.http_status >= 500)
        core_log_error(r->server, r->http->path, result.why.message);
    r->answer->status = result.http_status;
    r->answer->content_type = "application/json";
}

static void handle(struct af_request *r)
{
    struct v1_run *run = af_arena_zero(r->arena, 1, sizeof *run);
    struct af_slice body;
    struct af_error err = { 0 };
    if (run == NULL) {
        af_answer_fail(r, 503, "no memory for a query");
        return;
    }
    *run = (struct v1_run){ .request = r, .arena = r->arena, .meta = r->house->meta };
    if (!af_request_org(r, &run->org))
        return;
    if (af_serve_body(r->http, &body, &err) != AF_OK) {
        af_answer_error(r, &err);
        return;
    }
    v1_host_init(run);
    answer(r, run, body);
}

void platform_question(struct af_request *r)
{
    r->api = AF_API_PLATFORM;
    handle(r);
}

/* Says nothing of what is here. */
static void handle_description(struct af_request *r)
{
    struct v1_run run = { .request = r };
    answer(r, &run, (struct af_slice){ 0 });
}

const struct af_route af_routes_platform[] = {
    { "POST", "/query/flux", AF_API_PLATFORM, AF_ACCESS_TOKEN, handle },
    { "POST", "/query/influxql", AF_API_PLATFORM, AF_ACCESS_TOKEN, handle },
    { "GET", "/openapi.json", AF_API_PLATFORM, AF_ACCESS_OPEN, handle_description },
    { NULL, NULL, AF_API_PLATFORM, AF_ACCESS_TOKEN, NULL },
};
