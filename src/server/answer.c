/* answer.c - answers in InfluxDB's shapes: errors of both generations, JSON printed in order; see server_int.h. */
#include "base/calendar.h"
#include "base/json_escape.h"
#include "base/limits.h"
#include "platform/platform.h"
#include "server/server_int.h"
#include <stdarg.h>
#include <stdio.h>

/* --- errors ------------------------------------------------------------------------------------------------------------------ */

static const struct {
    int http_status;
    const char *code;
} codes[] = {
    { 400, "invalid" },
    { 401, "unauthorized" },
    { 403, "forbidden" },
    { 404, "not found" },
    { 405, "method not allowed" },
    { 408, "unavailable" },
    { 413, "request too large" },
    { 422, "unprocessable entity" },
    { 429, "too many requests" },
    { 500, "internal error" },
    { 501, "not implemented" },
    { 503, "unavailable" },
};

static const char *code_of(int http_status)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].http_status == http_status)
            return codes[i].code;
    return "internal error";
}

enum { HEADER_WORDS_MAX = 1024 }; /* what InfluxDB cuts X-Influxdb-Error to */

static void fail_v1(struct af_request *r, const char *words)
{
    char cut[HEADER_WORDS_MAX + 1];
    (void)snprintf(cut, sizeof cut, "%s", words);
    af_serve_add_header(r->answer, "X-Influxdb-Error", cut);
    r->answer->content_type = "application/json";
    af_buf_append_str(&r->answer->body, "{\"error\":");
    af_json_escape(&r->answer->body, af_slice_of(words));
    af_buf_append_str(&r->answer->body, "}\n");
}

static void fail_v2(struct af_request *r, const char *code, const char *words)
{
    af_serve_add_header(r->answer, "X-Platform-Error-Code", code);
    r->answer->content_type = "application/json; charset=utf-8";
    af_buf_append_str(&r->answer->body, "{\"code\":");
    af_json_escape(&r->answer->body, af_slice_of(code));
    af_buf_append_str(&r->answer->body, ",\"message\":");
    af_json_escape(&r->answer->body, af_slice_of(words));
    af_buf_append_char(&r->answer->body, '}');
}

static void fail_platform(struct af_request *r, int http_status, const char *words)
{
    r->answer->content_type = "application/json";
    af_platform_refuse(&r->answer->body, http_status, NULL, words);
}

static void fail(struct af_request *r, int http_status, const char *code, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    char *words = len >= 0 ? af_arena_alloc(r->arena, (size_t)len + 1) : NULL;
    if (words != NULL)
        (void)vsnprintf(words, (size_t)len + 1, fmt, again);
    va_end(again);
    af_buf_clear(&r->answer->body);
    r->answer->status = http_status;
    if (r->api == AF_API_V1)
        fail_v1(r, words != NULL ? words : "no memory");
    else if (r->api == AF_API_PLATFORM)
        fail_platform(r, http_status, words != NULL ? words : "no memory");
    else
        fail_v2(r, code, words != NULL ? words : "no memory");
}

void af_answer_fail(struct af_request *request, int http_status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail(request, http_status, code_of(http_status), fmt, args);
    va_end(args);
}

void af_answer_fail_code(struct af_request *request, int http_status, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail(request, http_status, code, fmt, args);
    va_end(args);
}

void af_answer_error(struct af_request *request, const struct af_error *err)
{
    int status = af_status_http(err->status);
    if (err->status == AF_EBUSY || err->status == AF_EFULL)
        status = 503;
    if (status == 503) {
        char seconds[16];
        (void)snprintf(seconds, sizeof seconds, "%u", (err->retry_after_ms + 999) / 1000 + (err->retry_after_ms == 0));
        af_serve_add_header(request->answer, "Retry-After", seconds);
    }
    if (status == 499)
        status = 503; /* nobody reads it */
    af_answer_fail(request, status, "%s", err->message);
}

void af_answer_none(struct af_request *request, int http_status)
{
    af_buf_clear(&request->answer->body);
    request->answer->status = http_status;
}

/* --- JSON, printed ----------------------------------------------------------------------------------------------------------- */

struct af_out af_answer_json(struct af_request *request, int http_status)
{
    af_buf_clear(&request->answer->body);
    request->answer->status = http_status;
    request->answer->content_type = request->api == AF_API_V1 ? "application/json" : "application/json; charset=utf-8";
    return (struct af_out){ .buf = &request->answer->body };
}

static void put_key(struct af_out *out, const char *key)
{
    if (out->needs_comma)
        af_buf_append_char(out->buf, ',');
    out->needs_comma = true;
    if (key == NULL)
        return;
    af_json_escape(out->buf, af_slice_of(key));
    af_buf_append_char(out->buf, ':');
}

void af_out_open(struct af_out *out, const char *key, char bracket)
{
    put_key(out, key);
    af_buf_append_char(out->buf, bracket);
    out->needs_comma = false;
}

void af_out_close(struct af_out *out, char bracket)
{
    af_buf_append_char(out->buf, bracket);
    out->needs_comma = true;
}

void af_out_str(struct af_out *out, const char *key, const char *value)
{
    if (value == NULL)
        return;
    put_key(out, key);
    af_json_escape(out->buf, af_slice_of(value));
}

void af_out_int(struct af_out *out, const char *key, int64_t value)
{
    put_key(out, key);
    af_buf_printf(out->buf, "%lld", (long long)value);
}

void af_out_bool(struct af_out *out, const char *key, bool value)
{
    put_key(out, key);
    af_buf_append_str(out->buf, value ? "true" : "false");
}

void af_out_id(struct af_out *out, const char *key, uint64_t id)
{
    char text[AF_ID_TEXT_BYTES];
    af_id_print(id, text);
    af_out_str(out, key, text);
}

void af_time_print(int64_t ns, char out[AF_TIME_TEXT_BYTES])
{
    char *last = af_rfc3339_print(out, ns, 9) - 2; /* before the Z */
    while (last > out && *last == '0')
        last--;
    if (*last != '.')
        last++;
    last[0] = 'Z';
    last[1] = '\0';
}

void af_out_time(struct af_out *out, const char *key, int64_t ns)
{
    char text[AF_TIME_TEXT_BYTES];
    af_time_print(ns, text);
    af_out_str(out, key, text);
}

void af_out_raw(struct af_out *out, const char *key, const char *json)
{
    put_key(out, key);
    af_buf_append_str(out->buf, json);
}

/* --- JSON and parameters, read ----------------------------------------------------------------------------------------------- */

const struct af_json *af_request_json(struct af_request *request)
{
    struct af_error err = { 0 };
    struct af_slice body;
    struct af_json *json = NULL;
    enum af_status status = request->http->body.len <= AF_SERVER_TEXT_BYTES_MAX ? af_serve_body(request->http, &body, &err) : AF_ELIMIT;
    if (status == AF_ELIMIT || (status == AF_OK && body.len > AF_SERVER_TEXT_BYTES_MAX)) { /* a tree takes many times its text */
        af_answer_fail(request, 413, "the body is larger than %d bytes, which is more than this takes of JSON", AF_SERVER_TEXT_BYTES_MAX);
        return NULL;
    }
    if (status == AF_OK)
        status = af_json_parse(body, request->arena, &json, &err);
    if (status != AF_OK) {
        af_answer_fail(request, status == AF_ELIMIT ? 413 : status == AF_EBUSY || status == AF_ENOMEM ? 503 : 400, "%s", err.message);
        return NULL;
    }
    return json;
}

bool af_request_id(struct af_request *request, const char *text, uint64_t *out)
{
    if (af_id_parse(text, out))
        return true;
    af_answer_fail(request, 400, "id must have a length of 16 bytes");
    return false;
}

bool af_request_org(struct af_request *request, struct af_meta_org *out)
{
    const char *name = af_serve_arg(request->http, "orgID");
    if (name == NULL)
        name = af_serve_arg(request->http, "org");
    struct af_error err = { 0 };
    enum af_status status;
    if (name != NULL && name[0] != '\0') {
        status = af_meta_org_find(request->house->meta, name, request->arena, out, &err);
        if (status == AF_ENOTFOUND)
            af_answer_fail(request, 404, "organization name \"%s\" not found", name);
        else if (status != AF_OK)
            af_answer_error(request, &err);
        return status == AF_OK;
    }
    struct af_meta_org *all = NULL;
    size_t count = 0;
    struct af_meta_filter filter = { .id = request->who.org, .limit = 1 };
    status = af_meta_orgs(request->house->meta, &filter, request->arena, &all, &count, &err);
    if (status != AF_OK)
        af_answer_error(request, &err);
    else if (count == 0)
        af_answer_fail(request, 404, "organization not found");
    else
        *out = all[0];
    return status == AF_OK && count != 0;
}
