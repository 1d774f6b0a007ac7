/*
 * server.c - the server's life, and what a request meets before its handler; see server.h.
 *
 *     I/O thread, head only:  is there such a route? -- a large body: who is asking?      -> refused without keeping the body
 *     worker, whole request:  route -- who is asking? -- handler                          -> answer
 *
 * Passwords cost a hash that is slow on purpose, so on an I/O thread only tokens, sessions and passwords that are remembered are looked
 * up; a wrong password is refused when the body is there, and such bodies share a part of the memory for bodies (net/serve: unproven).
 * What needs no credentials takes small bodies only. Without authentication a browser could be made to speak to us by any page it shows:
 * then only requests that name this machine, and come from a page of this machine if from a page at all, are taken.
 */
#include "server/server.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "os/clock.h"
#include "os/file.h"
#include "server/core.h"
#include "server/route.h"
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

enum { TOKEN_RANDOM_BYTES = 64, TOKEN_TEXT_MIN = 16, TOKEN_TEXT_MAX = 512, METHODS_BYTES = 64, REQUEST_ID_MAX = 128 };

/* --- classes ----------------------------------------------------------------------------------------------------------------- */

enum request_class core_class_of(const char *path)
{
    static const struct {
        const char *path;
        enum request_class is;
    } known[] = {
        { "/write", CLASS_WRITE }, { "/api/v2/write", CLASS_WRITE }, { "/query", CLASS_QUERY }, { "/api/v2/query", CLASS_QUERY },
        { "/ping", CLASS_OPS }, { "/health", CLASS_OPS }, { "/ready", CLASS_OPS }, { "/metrics", CLASS_OPS }, { "/version", CLASS_OPS },
        { "/query/flux", CLASS_QUERY }, { "/query/influxql", CLASS_QUERY },
        { "/status", CLASS_OPS }, { "/debug/vars", CLASS_OPS }, { "/api/v1/prom/write", CLASS_WRITE }, { "/api/v1/prom/read", CLASS_QUERY },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(path, known[i].path) == 0)
            return known[i].is;
    return strncmp(path, "/api/v2/", 8) == 0 ? CLASS_API : CLASS_OTHER;
}

/* --- headers that every answer has ------------------------------------------------------------------------------------------- */

static void add_request_id(struct af_request *r)
{
    const char *given = af_serve_header(r->http, "X-Request-Id");
    char made[40];
    if (given == NULL || given[0] == '\0' || strlen(given) > REQUEST_ID_MAX) {
        uint64_t n = atomic_fetch_add(&r->server->id_next, 1);
        uint64_t a = af_hash_mix(r->server->id_seed + n);
        (void)snprintf(made, sizeof made, "%08" PRIx32 "-%04x-%04x-%04x-%012" PRIx64, (uint32_t)(a >> 32), (unsigned)(a >> 16 & 0xffff),
                       (unsigned)(0x4000 | (a & 0x0fff)), (unsigned)(0x8000 | (r->server->id_seed & 0x3fff)), n & 0xffffffffffff);
        given = made;
    }
    af_serve_add_header(r->answer, "Request-Id", given);
    af_serve_add_header(r->answer, "X-Request-Id", given);
}

/* "localhost", "127.0.0.1", "[::1]" with or without a port. */
static bool names_this_machine(const char *host)
{
    char name[64];
    size_t skip = host[0] == '[';
    size_t len = skip ? strcspn(host, "]") : strcspn(host, ":/");
    if (len - skip >= sizeof name)
        return false;
    memcpy(name, host + skip, len - skip);
    name[len - skip] = '\0';
    return core_is_loopback_name(name);
}

static bool is_own_page(const char *origin)
{
    const char *host = strstr(origin, "://");
    return host != NULL && names_this_machine(host + 3);
}

/* Pages elsewhere may read answers, as InfluxDB lets them: they need credentials, which a browser does not add by itself. */
static void add_cors(struct af_request *r)
{
    const char *origin = af_serve_header(r->http, "Origin");
    if (origin == NULL)
        return;
    af_serve_add_header(r->answer, "Access-Control-Allow-Origin", origin);
    af_serve_add_header(r->answer, "Vary", "Origin");
    af_serve_add_header(r->answer, "Access-Control-Expose-Headers", "Date, X-Influxdb-Version, X-Influxdb-Build, X-Influxdb-Error");
    if (strcmp(r->http->method, "OPTIONS") != 0)
        return;
    af_serve_add_header(r->answer, "Access-Control-Allow-Methods", "DELETE, GET, OPTIONS, PATCH, POST, PUT");
    af_serve_add_header(r->answer, "Access-Control-Allow-Headers",
                        "Accept, Accept-Encoding, Authorization, Content-Encoding, Content-Length, Content-Type, User-Agent, X-Api-Key, "
                        "Zap-Trace-Span");
}

static void add_headers(struct af_request *r)
{
    af_serve_add_header(r->answer, "X-Influxdb-Build", "OSS");
    if (r->api != AF_API_V2)
        af_serve_add_header(r->answer, "X-Influxdb-Version", "1.8.10");
    add_request_id(r);
    add_cors(r);
}

/* --- refusals before any handler --------------------------------------------------------------------------------------------- */

static void refuse_path(struct af_request *r, bool has_path)
{
    char methods[METHODS_BYTES];
    if (!has_path) {
        enum af_api api = r->api;
        if (r->api == AF_API_V1)
            r->api = AF_API_V2; /* 1.x answers in plain text, which clients cannot take apart */
        af_answer_fail(r, 404, "path not found");
        r->api = api;
        return;
    }
    af_route_methods(r->http->path, methods, sizeof methods);
    af_serve_add_header(r->answer, "Allow", methods);
    af_answer_fail(r, 405, "allow: %s", methods);
}

static bool is_foreign(const struct af_request *r)
{
    const char *host = af_serve_header(r->http, "Host");
    const char *origin = af_serve_header(r->http, "Origin");
    return r->server->options.no_auth &&
           ((host != NULL && !names_this_machine(host)) || (origin != NULL && !is_own_page(origin)));
}

static bool has_large_body(const struct af_serve_request *http)
{
    const char *length = af_serve_header(http, "Content-Length");
    size_t bytes = 0;
    for (; length != NULL && *length >= '0' && *length <= '9' && bytes <= CORE_LARGE_BODY_BYTES; length++)
        bytes = bytes * 10 + (size_t)(*length - '0');
    return af_serve_header(http, "Transfer-Encoding") != NULL || af_serve_header(http, "Expect") != NULL ||
           bytes > CORE_LARGE_BODY_BYTES;
}

/* The route, if the request may reach it; NULL: refused, the answer is made. */
static const struct af_route *admit(struct af_request *r, bool early)
{
    struct af_slice args[4] = { { 0 } };
    bool has_path;
    const struct af_route *route = af_route_find(r->http->method, r->http->path, args, &has_path);
    r->api = route != NULL ? route->api : af_route_api(r->http->path);
    if (route == NULL) {
        refuse_path(r, has_path);
        return NULL;
    }
    for (size_t i = 0; i < 4 && args[i].ptr != NULL; i++) {
        r->path_args[i] = af_arena_copy(r->arena, args[i]);
        if (r->path_args[i] == NULL) {
            af_answer_fail(r, 503, "no memory for the request; try again");
            return NULL;
        }
    }
    if (is_foreign(r)) {
        af_answer_fail(r, 403, "without authentication only requests to localhost, and from pages of localhost, are taken");
        return NULL;
    }
    if (route->access == AF_ACCESS_OPEN)
        r->answer->body_bytes_max = AF_SERVER_OPEN_BODY_BYTES_MAX;
    bool must_know = route->access == AF_ACCESS_TOKEN && (!early || has_large_body(r->http));
    return !must_know || core_authenticate(r, early) ? route : NULL;
}

static struct af_request make_request(struct af_server *server, const struct af_serve_request *http, struct af_serve_answer *answer)
{
    return (struct af_request){ .server = server, .house = server->options.house, .http = http, .answer = answer, .arena = http->arena };
}

static bool is_preflight(const struct af_serve_request *http)
{
    bool has_path;
    struct af_slice args[4];
    if (strcmp(http->method, "OPTIONS") != 0)
        return false;
    (void)af_route_find(http->method, http->path, args, &has_path);
    return has_path;
}

static int on_early(void *ctx, const struct af_serve_request *http, struct af_serve_answer *answer)
{
    struct af_request r = make_request(ctx, http, answer);
    if (is_preflight(http)) {
        answer->body_bytes_max = AF_SERVER_OPEN_BODY_BYTES_MAX;
        return 0;
    }
    if (admit(&r, true) != NULL)
        return 0;
    add_headers(&r);
    return answer->status;
}

static void on_request(void *ctx, const struct af_serve_request *http, struct af_serve_answer *answer)
{
    struct af_request r = make_request(ctx, http, answer);
    if (is_preflight(http)) {
        char methods[METHODS_BYTES];
        add_headers(&r);
        af_route_methods(http->path, methods, sizeof methods);
        af_serve_add_header(answer, "Allow", methods);
        af_answer_none(&r, 204);
        return;
    }
    const struct af_route *route = admit(&r, false);
    add_headers(&r);
    if (route != NULL)
        route->handle(&r);
}

/* net/serve refuses a body: in whose words? */
static void on_refused(void *ctx, const struct af_serve_request *http, struct af_serve_answer *answer)
{
    struct af_request r = make_request(ctx, http, answer);
    r.api = af_route_api(http->path);
    add_headers(&r);
    if (answer->status == 413)
        af_answer_fail(&r, 413, "%s", r.api == AF_API_V1         ? "Request Entity Too Large"
                                      : r.api == AF_API_PLATFORM ? "the body is too large"
                                                                 : "unable to read data: points batch is too large");
    else
        af_answer_fail(&r, answer->status, "the server has too many request bodies in memory, or is shutting down; try again");
}

static void on_done(void *ctx, const struct af_serve_request *http, int status, uint64_t bytes_in, uint64_t bytes_out, int64_t took_ns)
{
    core_count(ctx, http->path, status, bytes_in, bytes_out, took_ns);
    core_log_request(ctx, http, status, took_ns);
}

/* --- first start ------------------------------------------------------------------------------------------------------------- */

/* A token that somebody put there beforehand is taken; else one is made and put there, before the set-up that makes it count: a crash
 * in between leaves a file that the next start takes. */
static enum af_status read_token(const char *path, struct af_arena *arena, const char **out, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, TOKEN_TEXT_MAX + 2);
    enum af_status status = af_file_read_all(path, &text, err);
    if (status == AF_OK) {
        struct af_slice token = af_slice_trim(af_buf_slice(&text));
        bool is_good = token.len >= TOKEN_TEXT_MIN && token.len <= TOKEN_TEXT_MAX;
        for (size_t i = 0; i < token.len; i++)
            is_good = is_good && token.ptr[i] > ' ' && token.ptr[i] < 0x7f;
        *out = is_good ? af_arena_copy(arena, token) : NULL;
        if (!is_good)
            status = af_fail(err, AF_EINVAL, "%s: an operator token is one word of %d to %d printable characters; put one there, or "
                                             "remove the file",
                             path, TOKEN_TEXT_MIN, TOKEN_TEXT_MAX);
        else if (*out == NULL)
            status = af_fail_nomem(err, "the operator token");
    }
    af_buf_done(&text);
    return status;
}

static enum af_status make_token(const char *path, struct af_arena *arena, const char **out, struct af_error *err)
{
    char random[TOKEN_RANDOM_BYTES];
    struct af_buf text;
    af_buf_init(&text, TOKEN_TEXT_MAX);
    af_random_bytes(random, sizeof random);
    core_base64_encode((struct af_slice){ random, sizeof random }, true, &text);
    *out = text.failed ? NULL : af_arena_copy(arena, af_buf_slice(&text));
    af_buf_append_char(&text, '\n');
    enum af_status status = *out != NULL ? af_buf_check(&text, "the operator token", err) : af_fail_nomem(err, "the operator token");
    if (status == AF_OK)
        status = af_file_write_atomic(path, af_buf_slice(&text), true, err);
    af_buf_done(&text);
    return status;
}

static const char OWN_USER[] = "admin";

bool core_is_own_user(const struct af_meta_user *user)
{
    return !user->has_password && user->is_admin && user->updated_ns == user->created_ns && strcmp(user->name, OWN_USER) == 0;
}

static enum af_status first_start(struct af_house *house, struct af_arena *arena, const char **out_token, struct af_error *err)
{
    const char *path = af_arena_printf(arena, "%s/operator-token", house->dir);
    const char *token = NULL;
    if (path == NULL)
        return af_fail_nomem(err, "a server");
    if (af_path_kind(path) == AF_PATH_FILE)
        AF_TRY(read_token(path, arena, &token, err));
    else
        AF_TRY(make_token(path, arena, &token, err));
    struct af_meta_setup setup = { .user = OWN_USER, .org = "afluxo", .bucket = "default", .token = token };
    struct af_meta_user user;
    struct af_meta_org org;
    struct af_meta_bucket bucket = { 0 };
    struct af_meta_token made;
    AF_TRY(af_meta_setup(house->meta, &setup, arena, &user, &org, &bucket, &made, out_token, err));
    struct af_tsm_bucket settings = { bucket.id, bucket.retention_ns, bucket.shard_ns };
    return af_tsm_bucket_set(house->engine, &settings, err);
}

/* --- start and stop ---------------------------------------------------------------------------------------------------------- */

bool core_is_loopback_name(const char *host)
{
    if (host == NULL || strcmp(host, "::1") == 0 || strcasecmp(host, "localhost") == 0)
        return true;
    return strncmp(host, "127.", 4) == 0 && host[strspn(host, "0123456789.")] == '\0';
}

static enum af_status check_options(const struct af_server_options *options, struct af_error *err)
{
    bool is_local = core_is_loopback_name(options->http.address);
    if (options->no_auth && !is_local)
        return af_fail(err, AF_EINVAL, "--no-auth lets everybody do everything, so it listens on this machine alone: say --listen "
                                       "127.0.0.1:8086, not %s",
                       options->http.address);
    if (!is_local && options->http.tls_cert == NULL)
        return af_fail(err, AF_EINVAL, "%s is reached from other machines, and without TLS they would send tokens in the clear: give "
                       "--tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that has TLS", options->http.address);
    return AF_OK;
}

static enum af_status start(struct af_server *server, struct af_arena *arena, const char **out_token, struct af_error *err)
{
    struct af_serve_options http = server->options.http;
    *out_token = NULL;
    if (!af_meta_is_set_up(server->options.house->meta))
        AF_TRY(first_start(server->options.house, arena, out_token, err));
    http.early = on_early;
    http.handle = on_request;
    http.refused = on_refused;
    http.done = on_done;
    http.ctx = server;
    AF_TRY(core_subscriptions_start(server, err));
    AF_TRY(core_continuous_start(server, err));
    return af_serve_start(&http, &server->http, err);
}

enum af_status af_server_start(const struct af_server_options *options, struct af_arena *arena, const char **out_token,
                               struct af_server **out, struct af_error *err)
{
    AF_TRY(check_options(options, err));
    struct af_server *server = af_alloc_zero(1, sizeof *server);
    if (server == NULL)
        return af_fail_nomem(err, "a server");
    server->options = *options;
    server->started_ns = af_clock_now_ns();
    af_random_bytes(&server->id_seed, sizeof server->id_seed);
    af_mutex_init(&server->worker_lock);
    af_mutex_init(&server->bucket_lock);
    af_mutex_init(&server->session_lock);
    af_mutex_init(&server->probe_lock);
    server->queries = af_query_list_new(options->queries_max);
    enum af_status status = server->queries != NULL ? start(server, arena, out_token, err) : af_fail_nomem(err, "a server");
    if (status == AF_OK)
        *out = server;
    else
        af_server_stop(server, 0);
    return status;
}

uint16_t af_server_port(const struct af_server *server)
{
    return af_serve_port(server->http);
}

void af_server_stop(struct af_server *server, uint32_t grace_ms)
{
    if (server == NULL)
        return;
    core_continuous_stop(server);
    af_serve_stop(server->http, grace_ms);
    core_subscriptions_stop(server);
    core_workers_free(server);
    core_sessions_free(server);
    af_query_list_free(server->queries);
    af_mutex_done(&server->probe_lock);
    af_mutex_done(&server->session_lock);
    af_mutex_done(&server->bucket_lock);
    af_mutex_done(&server->worker_lock);
    af_free(server);
}
