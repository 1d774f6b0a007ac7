/* serve_request.c - what a handler asks of a request: headers, arguments, the body unpacked; see serve.h. */
#include "base/limits.h"
#include "codec/compress.h"
#include "net/serve_int.h"
#include <netdb.h>
#include <stdio.h>
#include <strings.h>

static const struct serve_job *job_of(const struct af_serve_request *request)
{
    return request->own;
}

const char *af_serve_header(const struct af_serve_request *request, const char *name)
{
    return MHD_lookup_connection_value(job_of(request)->mhd, MHD_HEADER_KIND, name);
}

struct lookup {
    const char *name, *value;
};

static enum MHD_Result match_arg(void *ctx, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct lookup *l = ctx;
    (void)kind;
    if (strcmp(key, l->name) != 0)
        return MHD_YES;
    l->value = value != NULL ? value : "";
    return MHD_NO;
}

const char *af_serve_arg(const struct af_serve_request *request, const char *name)
{
    struct lookup l = { .name = name };
    (void)MHD_get_connection_values(job_of(request)->mhd, MHD_GET_ARGUMENT_KIND, match_arg, &l);
    return l.value;
}

struct visit {
    void (*each)(void *ctx, const char *name, const char *value);
    void *ctx;
};

static enum MHD_Result visit_arg(void *ctx, enum MHD_ValueKind kind, const char *key, const char *value)
{
    const struct visit *v = ctx;
    (void)kind;
    v->each(v->ctx, key, value != NULL ? value : "");
    return MHD_YES;
}

void af_serve_args(const struct af_serve_request *request, void (*each)(void *ctx, const char *name, const char *value), void *ctx)
{
    struct visit v = { each, ctx };
    (void)MHD_get_connection_values(job_of(request)->mhd, MHD_GET_ARGUMENT_KIND, visit_arg, &v);
}

/* --- forms ------------------------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character at *at of application/x-www-form-urlencoded text; *at behind it. A '%' that is no escape stays. */
static char form_char(struct af_slice text, size_t *at)
{
    size_t i = *at;
    char c = text.ptr[i];
    int high = c == '%' && i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
    int low = high >= 0 ? hex_digit(text.ptr[i + 2]) : -1;
    *at = i + (low >= 0 ? 3 : 1);
    return low >= 0 ? (char)(high * 16 + low) : c == '+' ? ' ' : c;
}

/* Decoded into `arena`; NULL without memory. */
static char *form_decode(struct af_slice text, struct af_arena *arena)
{
    char *out = af_arena_alloc(arena, text.len + 1);
    size_t n = 0;
    for (size_t at = 0; out != NULL && at < text.len;)
        out[n++] = form_char(text, &at);
    if (out != NULL)
        out[n] = '\0';
    return out;
}

/* Compared as it is decoded: names that are not asked for cost no memory. */
static bool form_is(struct af_slice text, struct af_slice wanted)
{
    size_t at = 0, n = 0;
    while (at < text.len && n < wanted.len)
        if (form_char(text, &at) != wanted.ptr[n++])
            return false;
    return at == text.len && n == wanted.len;
}

static bool is_form(const struct af_serve_request *request)
{
    static const char form[] = "application/x-www-form-urlencoded";
    const char *type = af_serve_header(request, "Content-Type");
    return type != NULL && strncasecmp(type, form, sizeof form - 1) == 0;
}

static const char *find_in_body(const struct af_serve_request *request, struct af_slice wanted)
{
    struct af_slice body = request->body;
    for (size_t at = 0; at < body.len;) {
        const char *start = body.ptr + at;
        const char *amp = memchr(start, '&', body.len - at);
        size_t len = amp != NULL ? (size_t)(amp - start) : body.len - at;
        const char *eq = memchr(start, '=', len);
        size_t name_len = eq != NULL ? (size_t)(eq - start) : len;
        if (form_is((struct af_slice){ start, name_len }, wanted))
            return eq != NULL ? form_decode((struct af_slice){ eq + 1, len - name_len - 1 }, request->arena) : "";
        at += len + 1;
    }
    return NULL;
}

const char *af_serve_form(const struct af_serve_request *request, const char *name)
{
    const char *value = af_serve_arg(request, name);
    if (value == NULL && request->body.len != 0 && is_form(request))
        value = find_in_body(request, af_slice_of(name));
    return value;
}

/* --- the body, unpacked ------------------------------------------------------------------------------------------------------ */

static bool is_gzip(const struct af_serve_request *request)
{
    const char *encoding = af_serve_header(request, "Content-Encoding");
    return encoding != NULL && (strcasecmp(encoding, "gzip") == 0 || strcasecmp(encoding, "x-gzip") == 0);
}

/* What the trailer of the last member promises. Usually it is the only member and tells the truth. */
static size_t promised_size(struct af_slice packed, size_t most)
{
    enum { LEAST = 64 };
    if (packed.len < 4)
        return LEAST;
    const unsigned char *p = (const unsigned char *)packed.ptr + packed.len - 4;
    size_t size = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    size = size > LEAST ? size : LEAST;
    return size < most ? size : most;
}

static enum af_status unpack_into(struct serve_job *job, size_t more, struct af_error *err)
{
    struct af_codec_ctx ctx = { 0 };
    if (!serve_claim(job, more))
        return af_fail(err, AF_EBUSY, "too many request bodies at once; try again");
    job->unpacked.bytes_max += more;
    enum af_status status = af_gunzip(&ctx, job->request.body, &job->unpacked, err);
    af_codec_ctx_done(&ctx);
    return status;
}

static enum af_status unpack(struct serve_job *job, struct af_error *err)
{
    size_t most = job->serve->options.body_bytes_max;
    size_t promised = promised_size(job->request.body, most);
    job->unpacked.bytes_max = 0;
    enum af_status status = unpack_into(job, promised, err);
    if (status == AF_ELIMIT && promised < most)
        status = unpack_into(job, most - promised, err);
    return status;
}

enum af_status af_serve_body(const struct af_serve_request *request, struct af_slice *out, struct af_error *err)
{
    struct serve_job *job = request->own;
    if (!is_gzip(request) || request->body.len == 0) {
        *out = request->body;
        return AF_OK;
    }
    if (!job->is_unpacked)
        AF_TRY(unpack(job, err));
    job->is_unpacked = true;
    *out = af_buf_slice(&job->unpacked);
    return AF_OK;
}

/* --- what the request is ----------------------------------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr) >> 24) == 127;
    if (addr->sa_family != AF_INET6)
        return addr->sa_family == AF_UNIX;
    const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

void serve_request_fill(struct serve_job *job, const char *method, const char *path)
{
    struct af_serve_request *r = &job->request;
    r->method = method;
    r->path = path;
    r->own = job;
    r->arena = &job->arena;
    r->is_gone = &job->conn->is_gone;
    r->is_tls = job->serve->cert != NULL;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(job->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info == NULL || info->client_addr == NULL)
        return;
    r->is_loopback = is_loopback(info->client_addr);
    socklen_t len = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    (void)getnameinfo(info->client_addr, len, r->peer, sizeof r->peer, NULL, 0, NI_NUMERICHOST);
}
