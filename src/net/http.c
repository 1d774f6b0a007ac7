/*
 * http.c - one HTTP client: an easy handle driven by a multi handle of its own; see http.h.
 *
 *     begin: set up ----> pull: [ perform, poll ]* ----> done
 *                          ^  |
 *                          |  `-- on_body took PULL_BYTES: pause and return
 *                          `----- the next pull goes on
 *
 * The multi handle keeps connections alive between requests and lets us own the waiting: cancellation is seen within
 * CANCEL_POLL_MS, stalls and the total time are measured here, and an answer can be taken in pieces without a thread. The clock of
 * the stall timer runs only inside pull: a caller that thinks long is not a server that stalls.
 *
 * libcurl is told nothing of signals; proxies come from the environment as with curl itself, but never for loopback.
 */
#include "net/http.h"
#include "base/alloc.h"
#include "base/arena.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "codec/digest.h"
#include "net/net_int.h"
#include "net/url.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef AF_VERSION
#define AF_VERSION "0"
#endif

enum {
    CONNECT_TIMEOUT_MS = 10000,
    STALL_TIMEOUT_MS = 30000,
    CANCEL_POLL_MS = 50,
    REDIRECTS_MAX = 5,
    PULL_BYTES = 256 << 10,
    RETRY_AFTER_S_MAX = 86400,
};

struct af_http {
    CURLM *multi;
    CURL *easy;
    char *ca_file;
    char *user_agent;
    uint32_t connect_timeout_ms;
    uint32_t stall_timeout_ms;
    uint32_t total_timeout_ms;
    bool skip_verify;
    bool no_proxy, no_redirects, as_is, want_certificate;

    /* The running request; `arena` is its memory. */
    struct af_arena arena;
    struct af_http_request request;
    struct af_http_answer *answer;
    struct curl_slist *headers;
    struct af_url url;
    bool is_running;
    bool is_paused;
    bool head_is_whole;    /* the empty line after the headers came */
    bool is_cut;           /* a failure's body went on past what is kept: that is answer enough */
    size_t head_bytes;     /* lines of all heads and trailers */
    uint64_t length;       /* Content-Length and one; 0: none was said */
    int64_t start_ns;
    int64_t moved_ns;      /* when bytes last moved */
    uint64_t moved_bytes;
    size_t pulled_bytes;   /* by on_body in this pull */
    uint64_t body_at;      /* of read_body */
    enum af_status failed; /* of a callback */
    struct af_error failure;
    char said[CURL_ERROR_SIZE];
};

/* --- set-up and tear-down ------------------------------------------------------------------------------------------------- */

static void global_init(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

void af_http_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, global_init);
}

void af_http_answer_init(struct af_http_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    af_buf_init(&answer->body, AF_HTTP_ANSWER_BYTES_MAX);
    af_buf_init(&answer->headers, AF_HTTP_HEADERS_BYTES_MAX);
}

void af_http_answer_done(struct af_http_answer *answer)
{
    af_buf_done(&answer->body);
    af_buf_done(&answer->headers);
}

static void answer_clear(struct af_http_answer *answer)
{
    struct af_buf body = answer->body, headers = answer->headers;
    memset(answer, 0, sizeof *answer);
    answer->body = body;
    answer->headers = headers;
    af_buf_clear(&answer->body);
    af_buf_clear(&answer->headers);
}

struct af_slice af_http_answer_header(const struct af_http_answer *answer, const char *name)
{
    size_t n = strlen(name);
    struct af_slice left = af_buf_slice(&answer->headers);
    while (left.len > 0) {
        const char *end = memchr(left.ptr, '\n', left.len); /* keep_header writes one */
        size_t line = (size_t)(end - left.ptr);
        if (line > n && left.ptr[n] == ':' && memcmp(left.ptr, name, n) == 0)
            return af_slice_trim((struct af_slice){ left.ptr + n + 1, line - n - 1 });
        left = (struct af_slice){ end + 1, left.len - line - 1 };
    }
    return (struct af_slice){ NULL, 0 };
}

static char *copy_text(const char *text)
{
    size_t len = strlen(text);
    char *copy = af_alloc(len + 1);
    if (copy != NULL)
        memcpy(copy, text, len + 1);
    return copy;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

enum af_status af_http_new(const struct af_http_options *options, struct af_http **out, struct af_error *err)
{
    af_http_init();
    struct af_http *http = af_alloc_zero(1, sizeof *http);
    if (http == NULL)
        return af_fail_nomem(err, "an HTTP client");
    af_arena_init(&http->arena, 1 << 20);
    http->connect_timeout_ms = or_default(options->connect_timeout_ms, CONNECT_TIMEOUT_MS);
    http->stall_timeout_ms = or_default(options->stall_timeout_ms, STALL_TIMEOUT_MS);
    http->total_timeout_ms = options->total_timeout_ms;
    http->skip_verify = options->skip_verify;
    http->no_proxy = options->no_proxy;
    http->no_redirects = options->no_redirects;
    http->as_is = options->as_is;
    http->want_certificate = options->want_certificate;
    http->user_agent = copy_text(options->user_agent != NULL ? options->user_agent : "afluxo/" AF_VERSION);
    http->ca_file = options->ca_file != NULL ? copy_text(options->ca_file) : NULL;
    http->easy = curl_easy_init();
    http->multi = curl_multi_init();
    if (http->user_agent == NULL || (options->ca_file != NULL && http->ca_file == NULL) || http->easy == NULL ||
        http->multi == NULL) {
        af_http_free(http);
        return af_fail_nomem(err, "an HTTP client");
    }
    *out = http;
    return AF_OK;
}

void af_http_free(struct af_http *http)
{
    if (http == NULL)
        return;
    af_http_end(http);
    if (http->easy != NULL)
        curl_easy_cleanup(http->easy);
    if (http->multi != NULL)
        (void)curl_multi_cleanup(http->multi);
    af_arena_done(&http->arena);
    af_free(http->ca_file);
    af_free(http->user_agent);
    af_free(http);
}

/* --- what libcurl calls ----------------------------------------------------------------------------------------------------- */

static bool is_success(const struct af_http_answer *answer)
{
    return answer->status >= 200 && answer->status <= 299;
}

/* Keep the body of an answer: successes whole or not at all, failures as far as there is room, which ends them. */
static enum af_status keep_body(struct af_http *http, struct af_slice bytes)
{
    struct af_buf *body = &http->answer->body;
    if (!is_success(http->answer)) {
        size_t room = body->bytes_max - body->len;
        http->is_cut = bytes.len > room;
        bytes.len = bytes.len < room ? bytes.len : room;
    }
    af_buf_append_slice(body, bytes);
    return af_buf_check(body, "the server's answer", &http->failure);
}

static size_t on_bytes(char *ptr, size_t size, size_t count, void *ctx)
{
    struct af_http *http = ctx;
    struct af_slice bytes = { ptr, size * count };
    if (!is_success(http->answer) || http->request.on_body == NULL) {
        http->failed = keep_body(http, bytes);
    } else {
        if (http->pulled_bytes >= PULL_BYTES) {
            http->is_paused = true;
            return CURL_WRITEFUNC_PAUSE; /* these bytes come again */
        }
        http->pulled_bytes += bytes.len;
        http->failed = http->request.on_body(http->request.ctx, bytes, &http->failure);
        http->answer->refused = http->failed != AF_OK;
    }
    return http->failed == AF_OK && !http->is_cut ? bytes.len : CURL_WRITEFUNC_ERROR;
}

static bool header_is(struct af_slice line, const char *name, struct af_slice *out_value)
{
    size_t n = strlen(name);
    if (line.len <= n || line.ptr[n] != ':' || curl_strnequal(line.ptr, name, n) == 0)
        return false;
    *out_value = af_slice_trim((struct af_slice){ line.ptr + n + 1, line.len - n - 1 });
    return true;
}

/* For messages: control characters become spaces, what does not fit is cut. */
static void copy_printable(char *dst, size_t cap, struct af_slice value)
{
    size_t n = value.len < cap - 1 ? value.len : cap - 1;
    for (size_t i = 0; i < n; i++)
        dst[i] = (unsigned char)value.ptr[i] < ' ' || value.ptr[i] == 0x7f ? ' ' : value.ptr[i];
    dst[n] = '\0';
}

static int status_of(struct af_slice line)
{
    const char *space = memchr(line.ptr, ' ', line.len);
    int status = 0;
    for (const char *at = space != NULL ? space + 1 : line.ptr + line.len; at < line.ptr + line.len && *at >= '0' &&
         *at <= '9'; at++)
        status = status < 1000 ? status * 10 + (*at - '0') : status;
    return status;
}

/* Without memory or room this one is not kept; those before are. */
static void keep_header(struct af_buf *headers, struct af_slice line)
{
    line = af_slice_trim(line);
    const char *colon = memchr(line.ptr, ':', line.len);
    char *at = colon != NULL && !headers->failed ? af_buf_reserve(headers, line.len + 1) : NULL;
    if (at == NULL)
        return;
    for (size_t i = 0; i < line.len; i++) {
        char c = line.ptr[i];
        at[i] = line.ptr + i < colon && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c == '\n' || c == '\0' ? ' ' : c;
    }
    at[line.len] = '\n';
    headers->len += line.len + 1;
}

/* What libcurl would take: a head without end; a length past its numbers, which is none to it; of two lengths the second. */
static void check_head(struct af_http *http, struct af_slice line)
{
    struct af_slice value;
    uint64_t length = 0;
    http->head_bytes += line.len;
    if (http->head_bytes > AF_HTTP_HEAD_BYTES_MAX)
        http->failed = af_fail(&http->failure, AF_EIO, "%s: the head of the answer goes on past %d KiB: this is no answer",
                               http->url.base.ptr, AF_HTTP_HEAD_BYTES_MAX >> 10);
    if (!header_is(line, "Content-Length", &value))
        return;
    if (!af_u64_parse(value, &length) || length > INT64_MAX || (http->length != 0 && http->length != length + 1))
        http->failed = af_fail(&http->failure, AF_EIO, "%s: the answer's Content-Length is no length, or one of two", http->url.base.ptr);
    http->length = length + 1;
}

static size_t on_header(char *ptr, size_t size, size_t count, void *ctx)
{
    struct af_http *http = ctx;
    struct af_http_answer *answer = http->answer;
    struct af_slice line = { ptr, size * count };
    struct af_slice value;
    check_head(http, line);
    if (http->failed != AF_OK)
        return 0;
    if (af_slice_has_prefix(line, "HTTP/")) { /* also after 100 Continue and redirects: what was said before is void */
        answer_clear(answer);
        answer->status = status_of(line);
        http->head_is_whole = false;
        http->length = 0;
        return line.len;
    }
    if (line.len > 0 && (line.ptr[0] == '\r' || line.ptr[0] == '\n')) {
        http->head_is_whole = true;
        return line.len;
    }
    keep_header(&answer->headers, line);
    if (header_is(line, "Content-Type", &value)) {
        copy_printable(answer->content_type, sizeof answer->content_type, value);
    } else if (header_is(line, "X-Influxdb-Version", &value)) {
        copy_printable(answer->influx_version, sizeof answer->influx_version, value);
    } else if (header_is(line, "X-Influxdb-Error", &value)) {
        copy_printable(answer->influx_error, sizeof answer->influx_error, value);
    } else if (header_is(line, "X-Platform-Error-Code", &value) && answer->influx_error[0] == '\0') {
        copy_printable(answer->influx_error, sizeof answer->influx_error, value);
    }
    return line.len;
}

/* --- a request's options ---------------------------------------------------------------------------------------------------- */

static bool is_loopback(struct af_slice host)
{
    return af_slice_is(host, "localhost") || af_slice_is(host, "::1") || af_slice_has_prefix(host, "127.") ||
           (host.len > 10 && memcmp(host.ptr + host.len - 10, ".localhost", 10) == 0);
}

static enum af_status add_header(struct af_http *http, const char *header, struct af_error *err)
{
    if (strpbrk(header, "\r\n") != NULL)
        return af_fail(err, AF_EINVAL, "a request header holds a line end: check tokens and passwords for stray newlines");
    struct curl_slist *list = curl_slist_append(http->headers, header);
    if (list == NULL)
        return af_fail_nomem(err, "an HTTP request");
    http->headers = list;
    return AF_OK;
}

/* Where systems keep the certificates they trust, for a libcurl that was built for none of them (function.zip's); NULL: it knows itself. */
static const char *found_ca_file(void)
{
    static const char *const places[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
                                          "/var/task/ca-bundle.pem", "/ca-bundle.pem" };
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
    const char *said = getenv("SSL_CERT_FILE");
    if (said != NULL && said[0] != '\0')
        return said;
    const char *own = built->age >= CURLVERSION_SEVENTH ? built->cainfo : NULL; /* of the system it was built on, maybe not of this one */
    if (own != NULL && af_path_kind(own) == AF_PATH_FILE)
        return NULL;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (af_path_kind(places[i]) == AF_PATH_FILE)
            return places[i];
    return NULL;
}

const char *af_http_ca_file(void)
{
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
    const char *found = found_ca_file();
    const char *own = built->age >= CURLVERSION_SEVENTH ? built->cainfo : NULL;
    return found == NULL && own != NULL && af_path_kind(own) == AF_PATH_FILE ? own : found;
}

static CURLcode set_connection(struct af_http *http)
{
    CURL *easy = http->easy;
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, http->request.url);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_USERAGENT, http->user_agent);
    const char *ca_file = http->ca_file != NULL ? http->ca_file : found_ca_file();
    if (rc == CURLE_OK && ca_file != NULL)
        rc = curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    if (rc == CURLE_OK && (http->no_proxy || is_loopback(http->url.host)))
        rc = curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (rc != CURLE_OK)
        return rc;
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, af_slice_is(http->url.scheme, "https") ? "https" : "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, http->skip_verify ? 0L : 1L);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, http->skip_verify ? 0L : 2L);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    if (http->want_certificate)
        (void)curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
    if (!http->as_is)
        (void)curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->said);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
    return CURLE_OK;
}

static size_t send_some(char *dst, size_t size, size_t count, void *ctx)
{
    struct af_http *http = ctx;
    uint64_t left = http->request.body_bytes - http->body_at;
    size_t len = size * count < left ? size * count : (size_t)left;
    if (len != 0 && http->failed == AF_OK)
        http->failed = http->request.read_body(http->request.ctx, http->body_at, dst, len, &http->failure);
    http->answer->refused = http->failed != AF_OK;
    http->body_at += len;
    return http->failed == AF_OK ? len : CURL_READFUNC_ABORT;
}

static int send_from(void *ctx, curl_off_t offset, int origin)
{
    struct af_http *http = ctx;
    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_CANTSEEK;
    http->body_at = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static void set_body_source(struct af_http *http)
{
    CURL *easy = http->easy;
    http->body_at = 0;
    (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)http->request.body_bytes);
    (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, send_some);
    (void)curl_easy_setopt(easy, CURLOPT_READDATA, http);
    (void)curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, send_from);
    (void)curl_easy_setopt(easy, CURLOPT_SEEKDATA, http);
}

static CURLcode set_method(struct af_http *http)
{
    CURL *easy = http->easy;
    const struct af_http_request *request = &http->request;
    if (strcmp(request->method, "GET") == 0) { /* the only one that follows redirects: repeating the others may not be harmless */
        (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, http->no_redirects ? 0L : 1L);
        (void)curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
        return CURLE_OK;
    }
    if (strcmp(request->method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (request->read_body != NULL) {
        set_body_source(http);
    } else if (strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0 || request->body.len > 0) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.len > 0 ? request->body.ptr : "");
    }
    return strcmp(request->method, "POST") != 0 ? curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) : CURLE_OK;
}

static enum af_status set_up(struct af_http *http, struct af_error *err)
{
    AF_TRY(af_url_parse(af_slice_of(http->request.url), &http->arena, &http->url, err));
    for (const char *const *header = http->request.headers; header != NULL && *header != NULL; header++)
        AF_TRY(add_header(http, *header, err));
    curl_easy_reset(http->easy); /* options go, connections stay */
    CURLcode rc = set_connection(http);
    if (rc == CURLE_OK)
        rc = set_method(http);
    if (rc == CURLE_OK && http->headers != NULL)
        rc = curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, http->headers);
    if (rc != CURLE_OK || curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
        return af_fail_nomem(err, "an HTTP request");
    return AF_OK;
}

/* --- the exchange ------------------------------------------------------------------------------------------------------------ */

static void release(struct af_http *http)
{
    for (struct curl_slist *line = http->headers; line != NULL; line = line->next) /* tokens and passwords */
        af_wipe(line->data, strlen(line->data));
    curl_slist_free_all(http->headers);
    http->headers = NULL;
    af_arena_reset(&http->arena);
}

enum af_status af_http_begin(struct af_http *http, const struct af_http_request *request, struct af_http_answer *answer,
                             struct af_error *err)
{
    assert(!http->is_running);
    http->request = *request;
    http->answer = answer;
    http->is_paused = false;
    http->head_is_whole = false;
    http->is_cut = false;
    http->head_bytes = 0;
    http->failed = AF_OK;
    http->moved_bytes = 0;
    http->said[0] = '\0';
    answer_clear(answer);
    enum af_status status = set_up(http, err);
    if (status != AF_OK) {
        release(http);
        return status;
    }
    http->is_running = true;
    http->start_ns = af_clock_mono_ns();
    return AF_OK;
}

void af_http_end(struct af_http *http)
{
    if (!http->is_running)
        return;
    (void)curl_multi_remove_handle(http->multi, http->easy); /* closes the connection if the answer is not all here */
    release(http);
    http->is_running = false;
}

static uint64_t number(CURL *easy, CURLINFO what)
{
    curl_off_t value = 0;
    (void)curl_easy_getinfo(easy, what, &value);
    return value > 0 ? (uint64_t)value : 0;
}

static uint64_t long_number(CURL *easy, CURLINFO what)
{
    long value = 0;
    (void)curl_easy_getinfo(easy, what, &value);
    return value > 0 ? (uint64_t)value : 0;
}

static void count(struct af_http *http)
{
    struct af_http_answer *answer = http->answer;
    answer->bytes_sent = number(http->easy, CURLINFO_SIZE_UPLOAD_T) + long_number(http->easy, CURLINFO_REQUEST_SIZE);
    answer->bytes_received = number(http->easy, CURLINFO_SIZE_DOWNLOAD_T) + long_number(http->easy, CURLINFO_HEADER_SIZE);
}

/* A value of the first certificate, which is the server's own; NULL: it has none. */
static const char *certificate_text(const struct curl_certinfo *info, const char *name)
{
    size_t len = strlen(name);
    for (const struct curl_slist *line = info->certinfo[0]; line != NULL; line = line->next)
        if (strncmp(line->data, name, len) == 0)
            return line->data + len;
    return NULL;
}

static void note_certificate(CURL *easy, struct af_http_answer *answer)
{
    struct curl_certinfo *info = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL || info->num_of_certs < 1)
        return;
    const char *names = certificate_text(info, "X509v3 Subject Alternative Name:"), *by = certificate_text(info, "Issuer:");
    if (names == NULL)
        names = certificate_text(info, "Subject:");
    (void)snprintf(answer->certificate_names, sizeof answer->certificate_names, "%s", names != NULL ? names : "");
    (void)snprintf(answer->certificate_by, sizeof answer->certificate_by, "%s", by != NULL ? by : "");
}

/* "Expire date:Nov 25 07:00:00 2027 GMT" */
static int64_t certificate_end(CURL *easy)
{
    struct curl_certinfo *info = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL || info->num_of_certs < 1)
        return 0;
    const char *end = certificate_text(info, "Expire date:");
    time_t end_s = end != NULL ? curl_getdate(end, NULL) : -1;
    return end_s <= 0 ? 0 : end_s < INT64_MAX / 1000000000 ? (int64_t)end_s * 1000000000 : INT64_MAX;
}

/* "Wed, 25 Nov 2026 07:00:00 GMT" */
static int64_t date_of(const struct af_http_answer *answer)
{
    char text[64];
    struct af_slice date = af_http_answer_header(answer, "date");
    if (date.len == 0 || date.len >= sizeof text)
        return 0;
    memcpy(text, date.ptr, date.len);
    text[date.len] = '\0';
    time_t s = curl_getdate(text, NULL);
    return s > 0 && s < INT64_MAX / 1000000000 ? (int64_t)s * 1000000000 : 0;
}

static void note_connection(struct af_http *http)
{
    struct af_http_answer *answer = http->answer;
    const char *address = NULL;
    answer->lookup_us = number(http->easy, CURLINFO_NAMELOOKUP_TIME_T);
    answer->tls_us = number(http->easy, CURLINFO_APPCONNECT_TIME_T);
    answer->date_ns = date_of(answer);
    answer->connect_us = answer->tls_us != 0 ? answer->tls_us : number(http->easy, CURLINFO_CONNECT_TIME_T);
    answer->certificate_ends_ns = http->want_certificate ? certificate_end(http->easy) : 0;
    if (curl_easy_getinfo(http->easy, CURLINFO_PRIMARY_IP, &address) == CURLE_OK && address != NULL)
        (void)snprintf(answer->address, sizeof answer->address, "%s", address);
    if (http->want_certificate)
        note_certificate(http->easy, answer);
}

static enum af_status done(struct af_http *http, CURLcode code, struct af_error *err)
{
    count(http);
    note_connection(http);
    if (http->is_cut && http->failed == AF_OK)
        code = CURLE_OK;
    if (code == CURLE_OK && !http->head_is_whole) /* libcurl takes the end of the connection for the end of the headers */
        return af_fail(err, AF_EIO, "%s: the connection ended in the middle of the answer's head, after %llu bytes",
                       http->url.base.ptr, (unsigned long long)http->answer->bytes_received);
    if (code == CURLE_OK) {
        uint64_t wait_s = number(http->easy, CURLINFO_RETRY_AFTER); /* seconds or a date, libcurl reads both */
        http->answer->retry_after_ms = (uint32_t)(wait_s < RETRY_AFTER_S_MAX ? wait_s : RETRY_AFTER_S_MAX) * 1000;
        return AF_OK;
    }
    if (http->failed != AF_OK) {
        if (err != NULL)
            *err = http->failure;
        return http->failed;
    }
    struct af_http_fault fault = {
        .code = code,
        .said = http->said[0] != '\0' ? http->said : curl_easy_strerror(code),
        .base = http->url.base.ptr,
        .host = http->url.host.ptr,
        .ca_file = http->ca_file,
        .bytes_received = http->answer->bytes_received,
        .connect_timeout_ms = http->connect_timeout_ms,
    };
    (void)curl_easy_getinfo(http->easy, CURLINFO_SSL_VERIFYRESULT, &fault.verify_result);
    return af_http_fault_fail(&fault, err);
}

static int64_t ms_since(int64_t then_ns, int64_t now_ns)
{
    return (now_ns - then_ns) / 1000000;
}

static enum af_status check_cancel(const struct af_http *http, struct af_error *err)
{
    if (http->request.cancel != NULL && __atomic_load_n(http->request.cancel, __ATOMIC_RELAXED))
        return af_fail(err, AF_ECANCELED, "stopped while talking to %s", http->url.base.ptr);
    return AF_OK;
}

static uint32_t total_timeout_ms(const struct af_http *http)
{
    uint32_t client = http->total_timeout_ms, request = http->request.timeout_ms;
    return request != 0 && (client == 0 || request < client) ? request : client;
}

/* Stalled, out of time? Connecting has a limit of its own, so stalls count from the first byte that may be sent. */
static enum af_status check_patience(struct af_http *http, struct af_error *err)
{
    int64_t now = af_clock_mono_ns();
    count(http);
    uint64_t moved = http->answer->bytes_sent + http->answer->bytes_received + number(http->easy, CURLINFO_PRETRANSFER_TIME_T);
    if (moved != http->moved_bytes || number(http->easy, CURLINFO_PRETRANSFER_TIME_T) == 0) {
        http->moved_bytes = moved;
        http->moved_ns = now;
    }
    if (http->stall_timeout_ms != UINT32_MAX && ms_since(http->moved_ns, now) >= http->stall_timeout_ms)
        return af_fail(err, AF_EIO,
                       "%s: no byte moved for %u ms (%llu sent, %llu received): the server is stuck or the network lost "
                       "it", http->url.base.ptr, (unsigned)http->stall_timeout_ms, (unsigned long long)http->answer->bytes_sent,
                       (unsigned long long)http->answer->bytes_received);
    uint32_t total_ms = total_timeout_ms(http);
    if (total_ms != 0 && ms_since(http->start_ns, now) >= total_ms)
        return af_fail(err, AF_EIO, "%s: no whole answer within %u ms", http->url.base.ptr, (unsigned)total_ms);
    return AF_OK;
}

static int wait_ms(const struct af_http *http)
{
    uint32_t ms = http->request.cancel != NULL ? CANCEL_POLL_MS : 1000;
    ms = http->stall_timeout_ms / 4 < ms ? http->stall_timeout_ms / 4 : ms;
    uint32_t total_ms = total_timeout_ms(http);
    if (total_ms != 0 && total_ms / 4 < ms)
        ms = total_ms / 4;
    return (int)ms + 1;
}

/* What the one transfer of this multi handle came to; false: it is not over. */
static bool is_over(struct af_http *http, CURLcode *out)
{
    int left;
    const CURLMsg *msg;
    while ((msg = curl_multi_info_read(http->multi, &left)) != NULL) {
        if (msg->msg == CURLMSG_DONE) {
            *out = msg->data.result;
            return true;
        }
    }
    return false;
}

static enum af_status run(struct af_http *http, bool *out_is_done, struct af_error *err)
{
    for (;;) {
        int running;
        CURLcode code;
        AF_TRY(check_cancel(http, err)); /* first: a near server may have answered before anyone looks */
        if (curl_multi_perform(http->multi, &running) != CURLM_OK)
            return af_fail_nomem(err, "an HTTP request");
        if (is_over(http, &code)) {
            *out_is_done = true;
            return done(http, code, err);
        }
        if (http->is_paused)
            return AF_OK;
        enum af_status status = check_patience(http, err);
        if (status != AF_OK) {
            note_connection(http);
            return status;
        }
        if (curl_multi_poll(http->multi, NULL, 0, wait_ms(http), NULL) != CURLM_OK)
            return af_fail_nomem(err, "an HTTP request");
    }
}

enum af_status af_http_pull(struct af_http *http, bool *out_is_done, struct af_error *err)
{
    assert(http->is_running);
    *out_is_done = false;
    http->pulled_bytes = 0;
    http->moved_ns = af_clock_mono_ns();
    if (http->is_paused) {
        http->is_paused = false;
        CURLcode rc = curl_easy_pause(http->easy, CURLPAUSE_CONT); /* may call on_bytes at once */
        if (rc != CURLE_OK)
            return done(http, rc, err);
    }
    return run(http, out_is_done, err);
}

enum af_status af_http_send(struct af_http *http, const struct af_http_request *request, struct af_http_answer *answer,
                            struct af_error *err)
{
    AF_TRY(af_http_begin(http, request, answer, err));
    bool is_done = false;
    enum af_status status = AF_OK;
    while (status == AF_OK && !is_done)
        status = af_http_pull(http, &is_done, err);
    af_http_end(http);
    return status;
}
