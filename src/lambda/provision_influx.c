/*
 * provision_influx.c - HTTP to the instance: InfluxDB's own API with a session, as its user interface has one.
 *
 *     POST /api/v2/signin (user, password) --> cookie --> requests --> POST /api/v2/signout
 *
 * No token is made for ourselves: a session may all that its user may. Nothing that is sent or answered is in a message but the words with
 * which InfluxDB refuses something. Redirects are not followed.
 *
 * Source: the reference of InfluxDB's API v2; where 2.7 does otherwise, what it does.
 */
#include "codec/base64.h"
#include "codec/digest.h"
#include "lambda/provision_int.h"
#include "os/clock.h"
#include <stdio.h>

enum { HEADER_BYTES_MAX = 8192, URL_BYTES_MAX = 4096, TIMEOUT_MS = 15000, PAUSE_MS = 1000, NAP_MS = 100, SAID_BYTES_MAX = 300 };
static const int64_t NS_PER_MS = 1000000;
static const char json_header[] = "Content-Type: application/json";

enum af_status provision_influx_open(struct provision_influx *influx, const char *url, const char *ca_file, const bool *cancel,
                                     struct af_arena *arena, struct af_error *err)
{
    const struct af_http_options options = { .connect_timeout_ms = TIMEOUT_MS, .stall_timeout_ms = TIMEOUT_MS,
                                             .total_timeout_ms = TIMEOUT_MS, .ca_file = ca_file, .no_redirects = true };
    *influx = (struct provision_influx){ .url = url, .cancel = cancel, .arena = arena };
    return af_http_new(&options, &influx->http, err);
}

/* --- one request ----------------------------------------------------------------------------------------------------------------- */

static enum af_status send(struct provision_influx *influx, const char *method, const char *path, const char *header, struct af_slice body,
                           struct af_http_answer *answer, struct af_error *err)
{
    char url[URL_BYTES_MAX];
    const char *const headers[] = { json_header, header, NULL };
    const int n = snprintf(url, sizeof url, "%s%s", influx->url, path);
    if (n < 0 || (size_t)n >= sizeof url)
        return af_fail(err, AF_EINVAL, "url is too long");
    const struct af_http_request request = { .method = method, .url = url, .headers = headers, .body = body, .cancel = influx->cancel };
    return af_http_send(influx->http, &request, answer, err);
}

static void wipe_answer(struct af_http_answer *answer)
{
    if (answer->body.ptr != NULL)
        af_wipe(answer->body.ptr, answer->body.cap);
    if (answer->headers.ptr != NULL)
        af_wipe(answer->headers.ptr, answer->headers.cap);
    af_http_answer_done(answer);
}

static enum af_status status_of(int http, struct af_slice code)
{
    if (http == 401)
        return AF_EUNAUTH;
    if (http == 403)
        return AF_EDENIED;
    if (http == 404)
        return AF_ENOTFOUND;
    if (http == 409 || (http == 422 && af_slice_is(code, "conflict")))
        return AF_ECONFLICT;
    if (http == 429)
        return AF_EBUSY;
    return http >= 500 ? AF_EIO : AF_EINVAL;
}

/* The tree of the answer, or what InfluxDB says is wrong. */
static enum af_status judge(struct provision_influx *influx, const char *method, const char *path, const struct af_http_answer *answer,
                            const struct af_json **out, struct af_error *err)
{
    struct af_json *tree = NULL;
    const struct af_slice text = af_slice_trim(af_buf_slice(&answer->body));
    const bool is_done = answer->status >= 200 && answer->status <= 299;
    const enum af_status parsed = text.len != 0 ? af_json_parse(text, influx->arena, &tree, NULL) : AF_OK;
    if (parsed == AF_ENOMEM || parsed == AF_ELIMIT || (tree != NULL && !provision_wipe_tree(influx->arena, tree)))
        return af_fail_nomem(err, "an answer of InfluxDB");
    if (!is_done) {
        struct af_slice said = af_json_string(tree, "message");
        said.len = said.len < SAID_BYTES_MAX ? said.len : SAID_BYTES_MAX;
        return af_fail(err, status_of(answer->status, af_json_string(tree, "code")), "InfluxDB answers %s %.*s with status %d%s%.*s",
                       method, (int)strcspn(path, "?"), path, answer->status, said.len != 0 ? ": " : "", (int)said.len,
                       said.ptr != NULL ? said.ptr : "");
    }
    if (parsed != AF_OK || (tree != NULL && tree->kind != AF_JSON_OBJECT))
        return af_fail(err, AF_ECORRUPT, "InfluxDB's answer to %s %.*s is no JSON object", method, (int)strcspn(path, "?"), path);
    *out = tree;
    return AF_OK;
}

enum af_status provision_influx_call(struct provision_influx *influx, const char *method, const char *path, struct af_slice body,
                                     const struct af_json **out, struct af_error *err)
{
    struct af_http_answer answer;
    *out = NULL;
    af_http_answer_init(&answer);
    enum af_status status = send(influx, method, path, influx->cookie[0] != '\0' ? influx->cookie : NULL, body, &answer, err);
    if (status == AF_OK)
        status = judge(influx, method, path, &answer, out, err);
    wipe_answer(&answer);
    return status;
}

enum af_status provision_influx_knows(struct provision_influx *influx, const char *token, bool *out, struct af_error *err)
{
    struct af_http_answer answer;
    char header[HEADER_BYTES_MAX];
    const int n = snprintf(header, sizeof header, "Authorization: Token %s", token);
    *out = false;
    if (n < 0 || (size_t)n >= sizeof header)
        return AF_OK;
    af_http_answer_init(&answer);
    enum af_status status = send(influx, "GET", "/api/v2/buckets?limit=1", header, (struct af_slice){ NULL, 0 }, &answer, err);
    if (status == AF_OK && (answer.status >= 500 || answer.status == 429))
        status = af_fail(err, AF_EIO, "InfluxDB answers GET /api/v2/buckets with status %d", answer.status);
    *out = status == AF_OK && answer.status != 401;
    wipe_answer(&answer);
    af_wipe(header, sizeof header);
    return status;
}

/* --- the session ----------------------------------------------------------------------------------------------------------------- */

static bool is_cookie(struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
            return false;
    return text.len != 0 && memchr(text.ptr, '=', text.len) != NULL;
}

static enum af_status take_cookie(struct provision_influx *influx, const struct af_http_answer *answer, struct af_error *err)
{
    struct af_slice cookie = af_http_answer_header(answer, "set-cookie");
    const char *end = cookie.len != 0 ? memchr(cookie.ptr, ';', cookie.len) : NULL;
    cookie.len = end != NULL ? (size_t)(end - cookie.ptr) : cookie.len;
    if (!is_cookie(cookie) || cookie.len + sizeof "Cookie: " > sizeof influx->cookie)
        return af_fail(err, AF_ECORRUPT, "InfluxDB's answer to POST /api/v2/signin has no cookie of a session");
    (void)snprintf(influx->cookie, sizeof influx->cookie, "Cookie: %.*s", (int)cookie.len, cookie.ptr);
    return AF_OK;
}

static enum af_status sign_in_once(struct provision_influx *influx, const char *header, struct af_error *err)
{
    struct af_http_answer answer;
    const struct af_json *nothing = NULL;
    af_http_answer_init(&answer);
    enum af_status status = send(influx, "POST", "/api/v2/signin", header, AF_SLICE_LIT(""), &answer, err);
    if (status == AF_OK)
        status = judge(influx, "POST", "/api/v2/signin", &answer, &nothing, err);
    if (status == AF_OK)
        status = take_cookie(influx, &answer, err);
    wipe_answer(&answer);
    return status;
}

static bool is_canceled(const struct provision_influx *influx)
{
    return influx->cancel != NULL && __atomic_load_n(influx->cancel, __ATOMIC_RELAXED);
}

static void wait_a_moment(const struct provision_influx *influx)
{
    for (int slept = 0; slept < PAUSE_MS && !is_canceled(influx); slept += NAP_MS)
        af_clock_sleep_ms(NAP_MS);
}

/* An instance that was just made, or is starting anew, does not answer at once. */
static enum af_status sign_in(struct provision_influx *influx, const char *header, struct af_error *err)
{
    const int64_t until_ns = af_clock_mono_ns() + (int64_t)influx->patience_ms * NS_PER_MS;
    for (;;) {
        const enum af_status status = sign_in_once(influx, header, err);
        if (!af_status_is_retryable(status) || af_clock_mono_ns() >= until_ns || is_canceled(influx))
            return status;
        wait_a_moment(influx);
    }
}

static enum af_status basic(const char *username, const char *password, struct af_buf *header, struct af_error *err)
{
    struct af_buf both;
    af_buf_init(&both, HEADER_BYTES_MAX);
    af_buf_printf(&both, "%s:%s", username, password);
    enum af_status status = af_buf_check(&both, "a password", err);
    af_buf_append_str(header, "Authorization: Basic ");
    if (status == AF_OK)
        af_base64_append(header, af_buf_slice(&both));
    lambda_wipe(&both);
    return status == AF_OK ? af_buf_check(header, "a password", err) : status;
}

static void sign_out(struct provision_influx *influx)
{
    const struct af_json *nothing = NULL;
    enum af_status status = AF_OK;
    if (influx->cookie[0] != '\0')
        status = provision_influx_call(influx, "POST", "/api/v2/signout", AF_SLICE_LIT(""), &nothing, NULL);
    (void)status; /* it ends by itself, too */
    af_wipe(influx->cookie, sizeof influx->cookie);
    influx->cookie[0] = '\0';
}

enum af_status provision_influx_signin(struct provision_influx *influx, const char *username, const char *password, struct af_error *err)
{
    struct af_buf header;
    sign_out(influx);
    af_buf_init(&header, HEADER_BYTES_MAX);
    enum af_status status = basic(username, password, &header, err);
    if (status == AF_OK)
        status = sign_in(influx, af_buf_cstr(&header), err);
    lambda_wipe(&header);
    return status;
}

void provision_influx_close(struct provision_influx *influx)
{
    if (influx->http == NULL)
        return;
    sign_out(influx);
    af_http_free(influx->http);
    influx->http = NULL;
}
