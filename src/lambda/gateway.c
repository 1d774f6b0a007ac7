/*
 * gateway.c - an HTTP request inside of an event, and the answer that its sender makes HTTP of.
 *
 *     REST API      {"httpMethod", "path", "headers", "multiValueHeaders", "requestContext": {"stage" ...}, "body", "isBase64Encoded"}
 *     HTTP API,     {"version": "2.0", "rawPath", "headers", "requestContext": {"http": {"method", "path"}, "stage"}, "body",
 *     function URL   "isBase64Encoded"}; rawPath begins with the stage unless that is $default
 *     balancer      {"requestContext": {"elb": {}}, "httpMethod", "path", "headers" or "multiValueHeaders", "body", "isBase64Encoded"}
 *
 *     answer        {"statusCode", "headers", "body", "isBase64Encoded": false}; a balancer also wants "statusDescription", and
 *                   "multiValueHeaders" instead of headers if it sent such
 *
 * Source: "Lambda proxy integrations" of the API Gateway guide, "Lambda functions as targets" of the load balancer's.
 */
#include "codec/base64.h"
#include "lambda/lambda_int.h"
#include <strings.h>

enum { BODY_BYTES_MAX = 8 << 20 };

/* --- headers --------------------------------------------------------------------------------------------------------------- */

static struct af_slice header_in(const struct af_json *headers, const char *name)
{
    size_t len = strlen(name);
    const struct af_json *at = headers != NULL && headers->kind == AF_JSON_OBJECT ? headers->first : NULL;
    for (; at != NULL; at = at->next) {
        if (at->key.len != len || strncasecmp(at->key.ptr, name, len) != 0)
            continue;
        const struct af_json *value = at->kind == AF_JSON_ARRAY ? at->first : at;
        if (value != NULL && value->kind == AF_JSON_STRING)
            return value->text;
    }
    return (struct af_slice){ NULL, 0 };
}

struct af_slice lambda_request_header(const struct lambda_request *request, const char *name)
{
    struct af_slice found = header_in(af_json_get(request->event, "headers"), name);
    return found.ptr != NULL ? found : header_in(af_json_get(request->event, "multiValueHeaders"), name);
}

/* --- the request ----------------------------------------------------------------------------------------------------------- */

/* Behind "/prefix" or "prefix/", if the path begins with it as a whole segment. */
static struct af_slice without(struct af_slice path, struct af_slice prefix)
{
    while (prefix.len != 0 && prefix.ptr[0] == '/')
        prefix = af_slice_make(prefix.ptr + 1, prefix.len - 1);
    while (prefix.len != 0 && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    bool is_there = prefix.len != 0 && path.len >= prefix.len + 1 && path.ptr[0] == '/' &&
                    memcmp(path.ptr + 1, prefix.ptr, prefix.len) == 0 &&
                    (path.len == prefix.len + 1 || path.ptr[prefix.len + 1] == '/');
    if (!is_there)
        return path;
    path = af_slice_make(path.ptr + prefix.len + 1, path.len - prefix.len - 1);
    return path.len != 0 ? path : AF_SLICE_LIT("/");
}

static enum af_status unknown(struct af_error *err)
{
    return af_fail(err, AF_EINVAL, "the event is no HTTP request: those of API Gateway (REST and HTTP APIs), of function URLs and of "
                                   "application load balancers are taken");
}

static enum af_status read_form(struct lambda_request *out, struct af_error *err)
{
    const struct af_json *context = af_json_get(out->event, "requestContext"), *http = af_json_get(context, "http");
    if (http != NULL) {
        struct af_slice stage = af_json_string(context, "stage");
        out->method = af_json_string(http, "method");
        out->path = af_json_string(out->event, "rawPath");
        if (!af_slice_is(stage, "$default"))
            out->path = without(out->path, stage);
    } else {
        out->method = af_json_string(out->event, "httpMethod");
        out->path = af_json_string(out->event, "path");
        out->is_balancer = af_json_get(context, "elb") != NULL;
        const struct af_json *headers = af_json_get(out->event, "headers");
        out->is_multi = out->is_balancer && (headers == NULL || headers->kind == AF_JSON_NULL);
    }
    return out->method.ptr != NULL && out->path.ptr != NULL ? AF_OK : unknown(err);
}

static enum af_status read_body(struct lambda_request *out, struct af_arena *arena, struct af_error *err)
{
    const struct af_json *is_encoded = af_json_get(out->event, "isBase64Encoded");
    struct af_buf bytes;
    out->body = af_json_string(out->event, "body");
    if (is_encoded == NULL || is_encoded->kind != AF_JSON_BOOL || !is_encoded->is_true || out->body.len == 0)
        return AF_OK;
    af_buf_init(&bytes, BODY_BYTES_MAX);
    out->is_broken = !af_base64_decode(out->body, &bytes);
    enum af_status status = out->is_broken ? AF_OK : af_buf_check(&bytes, "a body", err);
    if (status == AF_OK && !out->is_broken) {
        out->body = (struct af_slice){ af_arena_copy(arena, af_buf_slice(&bytes)), bytes.len };
        status = out->body.ptr != NULL ? AF_OK : af_fail_nomem(err, "a body");
    }
    af_buf_done(&bytes);
    return status;
}

enum af_status lambda_request_read(struct af_slice event, const char *base_path, struct af_arena *arena, struct lambda_request *out,
                                   struct af_error *err)
{
    struct af_json *json;
    enum af_status status = af_json_parse(event, arena, &json, err);
    if (status == AF_ENOMEM)
        return status;
    if (status != AF_OK || json->kind != AF_JSON_OBJECT)
        return unknown(err);
    *out = (struct lambda_request){ .event = json };
    AF_TRY(read_form(out, err));
    if (base_path != NULL)
        out->path = without(out->path, af_slice_of(base_path));
    return read_body(out, arena, err);
}

/* --- the answer ------------------------------------------------------------------------------------------------------------- */

static void put_header(struct af_buf *out, bool is_multi, bool is_first, const char *name, const char *value)
{
    af_buf_printf(out, "%s\"%s\":%s", is_first ? "" : ",", name, is_multi ? "[" : "");
    af_json_append_string(out, af_slice_of(value));
    af_buf_append_str(out, is_multi ? "]" : "");
}

static const char *reason(int http_status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = { { 200, "OK" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" },
                    { 405, "Method Not Allowed" }, { 413, "Payload Too Large" }, { 415, "Unsupported Media Type" },
                    { 429, "Too Many Requests" }, { 500, "Internal Server Error" }, { 501, "Not Implemented" },
                    { 503, "Service Unavailable" }, { 504, "Gateway Timeout" } };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == http_status)
            return reasons[i].text;
    return "Unknown";
}

void lambda_request_answer(const struct lambda_request *request, int http_status, const char *origin, struct af_slice body,
                           struct af_buf *out)
{
    bool is_multi = request->is_multi;
    af_buf_printf(out, "{\"statusCode\":%d,", http_status);
    if (request->is_balancer)
        af_buf_printf(out, "\"statusDescription\":\"%d %s\",", http_status, reason(http_status));
    af_buf_printf(out, "\"%s\":{", is_multi ? "multiValueHeaders" : "headers");
    put_header(out, is_multi, true, "Content-Type", "application/json");
    put_header(out, is_multi, false, "Cache-Control", "no-store");
    if (origin != NULL) {
        put_header(out, is_multi, false, "Access-Control-Allow-Origin", origin);
        put_header(out, is_multi, false, "Access-Control-Allow-Headers",
                   "Content-Type,X-Amz-Date,Authorization,X-Api-Key,X-Amz-Security-Token");
        put_header(out, is_multi, false, "Access-Control-Allow-Methods", "POST,GET,OPTIONS");
    }
    if (http_status == 429 || http_status == 503)
        put_header(out, is_multi, false, "Retry-After", "1");
    af_buf_append_str(out, "},\"isBase64Encoded\":false,\"body\":");
    af_json_append_string(out, body);
    af_buf_append_char(out, '}');
}
