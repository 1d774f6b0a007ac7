/*
 * v2_query.c - POST /api/v2/query: InfluxQL, as a text of its own kind or in JSON with "type":"influxql". The answer is that of 1.x.
 *
 *     Content-Type: application/vnd.influxql      the body is the query
 *     Content-Type: application/json              {"query":"SELECT ...","type":"influxql","db":"d","rp":"p"} ("bucket": "d" or "d/p")
 */
#include "server/v1_query.h"

/* "d/p" is database d, policy p. */
static void split_bucket(struct v1_run *run, const char *bucket)
{
    const char *slash = bucket != NULL ? strchr(bucket, '/') : NULL;
    run->database = bucket;
    if (slash == NULL)
        return;
    run->database = af_arena_copy(run->request->arena, af_slice_make(bucket, (size_t)(slash - bucket)));
    run->policy = slash + 1;
}

static const char *member(struct af_request *r, const struct af_json *json, const char *name)
{
    struct af_slice text = af_json_string(json, name);
    return text.ptr != NULL ? af_arena_copy(r->arena, text) : NULL;
}

static void read_place(struct v1_run *run, const struct af_json *json)
{
    struct af_request *r = run->request;
    const char *database = json != NULL ? member(r, json, "db") : NULL;
    const char *policy = json != NULL ? member(r, json, "rp") : NULL;
    const char *bucket = json != NULL ? member(r, json, "bucket") : NULL;
    run->database = database != NULL ? database : af_serve_arg(r->http, "db");
    run->policy = policy != NULL ? policy : af_serve_arg(r->http, "rp");
    if (run->database == NULL)
        split_bucket(run, bucket != NULL ? bucket : af_serve_arg(r->http, "bucket"));
}

static bool read_json(struct v1_run *run)
{
    struct af_request *r = run->request;
    const struct af_json *json = af_request_json(r);
    if (json == NULL)
        return false;
    const char *type = member(r, json, "type");
    if (type == NULL || strcmp(type, "influxql") != 0) {
        af_answer_fail(r, 501, "this version answers InfluxQL: \"type\":\"influxql\", or Content-Type: application/vnd.influxql");
        return false;
    }
    run->query.text = af_json_string(json, "query");
    read_place(run, json);
    return true;
}

static bool read_text(struct v1_run *run)
{
    struct af_request *r = run->request;
    struct af_error err = { 0 };
    if (af_serve_body(r->http, &run->query.text, &err) != AF_OK) {
        af_answer_error(r, &err);
        return false;
    }
    read_place(run, NULL);
    return true;
}

static void handle_query(struct af_request *r)
{
    struct v1_run *run = af_arena_zero(r->arena, 1, sizeof *run); /* as long as the answer */
    const char *type = af_serve_header(r->http, "Content-Type");
    if (run == NULL) {
        af_answer_fail(r, 503, "no memory for a query");
        return;
    }
    *run = (struct v1_run){ .request = v1_keep_request(r) };
    if (run->request == NULL) {
        af_answer_fail(r, 503, "no memory for a query");
        return;
    }
    if (type != NULL && strncmp(type, "application/vnd.flux", 20) == 0) {
        af_answer_fail(r, 501, "this version answers InfluxQL: Content-Type: application/vnd.influxql");
        return;
    }
    bool is_text = type != NULL && strncmp(type, "application/vnd.influxql", 24) == 0;
    if (!(is_text ? read_text(run) : read_json(run)) || !af_request_org(r, &run->org))
        return;
    if (run->query.text.len == 0)
        af_answer_fail(r, 400, "the query is empty");
    else
        v1_query_run(run);
}

const struct af_route af_routes_v2_query[] = {
    { "POST", "/api/v2/query", AF_API_V2, AF_ACCESS_TOKEN, handle_query },
    { NULL, NULL, AF_API_V2, AF_ACCESS_TOKEN, NULL },
};
