/*
 * server_test.c - the server over a real directory, asked by a real client: InfluxDB's words and codes, who may do what, and what happens
 * when the disk does not do what it should.
 */
#include "server/server.h"
#include "base/calendar.h"
#include "codec/compress.h"
#include "net/http.h"
#include "os/clock.h"
#include "os/fault.h"
#include "os/file.h"
#include "server/core.h"
#include "server/route.h"
#include "test/lib/test.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_BYTES = 1 << 20 };

struct world {
    struct af_house house;
    struct af_server *server;
    struct af_http *http;
    struct af_http_answer answer;
    struct af_arena arena;
    struct af_mutex log_lock;
    char log[LOG_BYTES];
    size_t log_len;
    uint64_t org, bucket, other_bucket, old_bucket;
    const char *operator_token, *all, *reads, *writes, *elsewhere;
    uint64_t admin;
};

static void on_log(void *ctx, const char *line)
{
    struct world *w = ctx;
    af_mutex_lock(&w->log_lock);
    size_t len = strlen(line);
    if (w->log_len + len + 2 < LOG_BYTES) {
        memcpy(w->log + w->log_len, line, len);
        w->log_len += len;
        w->log[w->log_len++] = '\n';
        w->log[w->log_len] = '\0';
    }
    af_mutex_unlock(&w->log_lock);
}

static uint64_t make_bucket(struct world *w, const char *name, int64_t retention_ns)
{
    struct af_error err = { 0 };
    struct af_meta_bucket bucket = { .org = w->org, .name = name, .description = "", .retention_ns = retention_ns,
                                     .shard_ns = af_tsm_default_shard_ns(retention_ns) };
    AF_CHECK_OK(af_meta_bucket_put(w->house.meta, &bucket, true, &err), err);
    struct af_tsm_bucket settings = { bucket.id, retention_ns, bucket.shard_ns };
    AF_CHECK_OK(af_tsm_bucket_set(w->house.engine, &settings, &err), err);
    return bucket.id;
}

static const char *make_token(struct world *w, const struct af_permission *list, size_t count)
{
    struct af_error err = { 0 };
    const char *secret = NULL;
    struct af_permission copy[8];
    memcpy(copy, list, count * sizeof *list);
    struct af_meta_token token = { .org = w->org, .user = w->admin, .description = "", .is_active = true, .permissions = copy,
                                   .permission_count = count };
    AF_CHECK_OK(af_meta_token_new(w->house.meta, &token, NULL, &w->arena, &secret, &err), err);
    return secret;
}

static void make_user(struct world *w, const char *name, const char *password, enum af_grant grant)
{
    struct af_error err = { 0 };
    struct af_meta_user user = { .name = name, .is_active = true };
    AF_CHECK_OK(af_meta_user_put(w->house.meta, &user, true, &err), err);
    AF_CHECK_OK(af_meta_user_password(w->house.meta, user.id, af_slice_of(password), &err), err);
    if (grant != AF_GRANT_NONE)
        AF_CHECK_OK(af_meta_grant(w->house.meta, user.id, w->org, "db", grant, &err), err);
}

static void make_people(struct world *w)
{
    struct af_error err = { 0 };
    struct af_meta_org *orgs;
    struct af_meta_user *users;
    size_t count;
    struct af_meta_filter all = { 0 };
    AF_CHECK_OK(af_meta_orgs(w->house.meta, &all, &w->arena, &orgs, &count, &err), err);
    w->org = orgs[0].id;
    AF_CHECK_OK(af_meta_users(w->house.meta, &all, &w->arena, &users, &count, &err), err);
    w->admin = users[0].id;
    w->bucket = make_bucket(w, "db", 0);
    w->other_bucket = make_bucket(w, "other", 0);
    w->old_bucket = make_bucket(w, "short", 3600 * AF_NS_PER_S);
    struct af_permission read = { AF_ACTION_READ, "buckets", w->org, w->bucket };
    struct af_permission write = { AF_ACTION_WRITE, "buckets", w->org, w->bucket };
    struct af_permission elsewhere = { AF_ACTION_WRITE, "buckets", w->org, w->other_bucket };
    w->all = make_token(w, (struct af_permission[]){ read, write }, 2);
    w->reads = make_token(w, &read, 1);
    w->writes = make_token(w, &write, 1);
    w->elsewhere = make_token(w, &elsewhere, 1);
    make_user(w, "reader", "readers-word", AF_GRANT_READ);
    make_user(w, "writer", "writers word:2", AF_GRANT_WRITE);
    make_user(w, "nobody", "nobodys-word", AF_GRANT_NONE);
}

static struct world *open_world_with(bool no_auth, size_t body_bytes_max)
{
    struct world *w = calloc(1, sizeof *w);
    struct af_error err = { 0 };
    af_arena_init(&w->arena, 1 << 30);
    af_mutex_init(&w->log_lock);
    struct af_house_options options = { .engine = { .dir = af_arena_printf(&w->arena, "%s/data", af_test_dir()) } };
    AF_CHECK_OK(af_house_open(&options, &w->house, &err), err);
    struct af_server_options server = { .house = &w->house, .version = "7.7", .no_auth = no_auth, .log = on_log, .ctx = w,
                                        .http = { .body_bytes_max = body_bytes_max } };
    AF_CHECK_OK(af_server_start(&server, &w->arena, &w->operator_token, &w->server, &err), err);
    AF_CHECK_OK(af_http_new(&(struct af_http_options){ 0 }, &w->http, &err), err);
    af_http_answer_init(&w->answer);
    make_people(w);
    return w;
}

static struct world *open_world(void)
{
    return open_world_with(false, 0);
}

static void close_world(struct world *w)
{
    af_server_stop(w->server, 1000);
    af_house_close(&w->house);
    af_http_answer_done(&w->answer);
    af_http_free(w->http);
    af_mutex_done(&w->log_lock);
    af_arena_done(&w->arena);
    free(w);
}

/* --- asking ------------------------------------------------------------------------------------------------------------------ */

/* `token`: NULL none; with a ':' in front: a whole header. */
static int ask(struct world *w, const char *method, const char *path, const char *token, struct af_slice body, const char *extra)
{
    char url[2000];
    char authorization[1000];
    const char *headers[4] = { 0 };
    size_t n = 0;
    struct af_error err = { 0 };
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", (unsigned)af_server_port(w->server), path);
    bool is_header = token != NULL && token[0] == ':';
    (void)snprintf(authorization, sizeof authorization, "%s%s", is_header ? "" : "Authorization: Token ",
                   is_header ? token + 1 : token != NULL ? token : "");
    if (token != NULL)
        headers[n++] = authorization;
    if (extra != NULL)
        headers[n++] = extra;
    struct af_http_request request = { .method = method, .url = url, .headers = headers, .body = body };
    AF_CHECK_OK(af_http_send(w->http, &request, &w->answer, &err), err);
    return w->answer.status;
}

static int post(struct world *w, const char *path, const char *token, const char *body)
{
    return ask(w, "POST", path, token, af_slice_of(body), NULL);
}

static void said(struct world *w, int line, int status, const char *body)
{
    const char *got = af_buf_cstr(&w->answer.body);
    if (w->answer.status != status || strcmp(got, body) != 0)
        af_test_failed(__FILE__, line, "%d %s, want %d %s", w->answer.status, got, status, body);
}
#define SAID(w, code, text) said(w, __LINE__, code, text)

/* Points of a measurement in a bucket; 0 where there is none. */
static size_t count_points(struct world *w, uint64_t bucket, const char *measurement)
{
    struct af_error err = { 0 };
    struct af_store *store;
    struct af_stream *stream = NULL;
    size_t count = 0;
    struct af_scan scan = { .measurement = measurement, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    AF_CHECK_OK(af_tsm_store_open(w->house.engine, bucket, "b", true, &store, &err), err);
    enum af_status status = af_store_scan(store, &scan, &stream, &err);
    AF_CHECK(status == AF_OK || status == AF_ENOTFOUND);
    struct af_arena arena;
    af_arena_init(&arena, 1 << 30);
    while (status == AF_OK) {
        struct af_batch *batch = NULL;
        af_arena_reset(&arena);
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        count += batch->row_count;
    }
    af_arena_done(&arena);
    if (stream != NULL)
        af_stream_close(stream);
    af_store_close(store);
    return count;
}

/* --- starting ---------------------------------------------------------------------------------------------------------------- */

AF_TEST(server_first_start)
{
    struct world *w = open_world();
    struct af_error err = { 0 };
    struct stat st;
    char path[600];
    AF_CHECK(w->operator_token != NULL && strlen(w->operator_token) == 88);
    snprintf(path, sizeof path, "%s/operator-token", w->house.dir);
    AF_CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    struct af_buf text;
    af_buf_init(&text, 1000);
    AF_CHECK_OK(af_file_read_all(path, &text, &err), err);
    AF_CHECK(af_slice_eq(af_slice_trim(af_buf_slice(&text)), af_slice_of(w->operator_token)));
    af_buf_done(&text);
    AF_CHECK_INT(post(w, "/api/v2/write?org=afluxo&bucket=default", w->operator_token, "m f=1 1"), 204);
    AF_CHECK_INT(post(w, "/write?db=default", w->operator_token, "m f=2 2"), 204);
    const char *token = w->operator_token;
    /* again: no second set-up, the token stays good */
    af_server_stop(w->server, 0);
    struct af_server_options options = { .house = &w->house };
    AF_CHECK_OK(af_server_start(&options, &w->arena, &w->operator_token, &w->server, &err), err);
    AF_CHECK(w->operator_token == NULL);
    AF_CHECK_INT(post(w, "/write?db=default", token, "m f=3 3"), 204);
    close_world(w);
}

/* A token that is there before the first start is the operator's; nonsense is refused and nothing is set up. */
AF_TEST(server_takes_a_given_token)
{
    struct af_error err = { 0 };
    struct af_house house;
    struct af_arena arena;
    struct af_server *server = NULL;
    const char *token;
    char dir[500];
    char path[600];
    af_arena_init(&arena, 1 << 20);
    snprintf(dir, sizeof dir, "%s/given", af_test_dir());
    snprintf(path, sizeof path, "%s/operator-token", dir);
    struct af_house_options options = { .engine = { .dir = dir } };
    AF_CHECK_OK(af_house_open(&options, &house, &err), err);
    struct af_server_options start = { .house = &house };
    AF_CHECK_OK(af_file_write_atomic(path, AF_SLICE_LIT("short\n"), true, &err), err);
    AF_CHECK_FAILS(af_server_start(&start, &arena, &token, &server, &err), AF_EINVAL);
    AF_CHECK(!af_meta_is_set_up(house.meta));
    AF_CHECK_OK(af_file_write_atomic(path, AF_SLICE_LIT("a-token-of-my-own-choice\n"), true, &err), err);
    AF_CHECK_OK(af_server_start(&start, &arena, &token, &server, &err), err);
    AF_CHECK_STR(token, "a-token-of-my-own-choice");
    af_server_stop(server, 0);
    af_house_close(&house);
    af_arena_done(&arena);
}

AF_TEST(server_refuses_to_listen)
{
    struct af_error err = { 0 };
    struct af_server *server = NULL;
    const char *token;
    struct af_server_options options = { .no_auth = true, .http = { .address = "0.0.0.0" } };
    AF_CHECK_FAILS(af_server_start(&options, NULL, &token, &server, &err), AF_EINVAL);
    AF_CHECK(strstr(err.message, "--no-auth") != NULL);
    options = (struct af_server_options){ .http = { .address = "::" } };
    AF_CHECK_FAILS(af_server_start(&options, NULL, &token, &server, &err), AF_EINVAL);
    AF_CHECK(strstr(err.message, "--tls-cert") != NULL);
    AF_CHECK(core_is_loopback_name("127.1.2.3") && core_is_loopback_name("::1") && core_is_loopback_name("LocalHost"));
    AF_CHECK(!core_is_loopback_name("127.0.0.1.evil.example") && !core_is_loopback_name("10.0.0.1") && !core_is_loopback_name(""));
}

/* --- routes ------------------------------------------------------------------------------------------------------------------ */

AF_TEST(server_route_match)
{
    struct af_slice args[4] = { { 0 } };
    AF_CHECK(af_route_match("/a/{}/b/{}", "/a/x/b/yy", args));
    AF_CHECK_SLICE(args[0], "x");
    AF_CHECK_SLICE(args[1], "yy");
    AF_CHECK(!af_route_match("/a/{}", "/a/", args) && !af_route_match("/a/{}", "/a/x/y", args) && !af_route_match("/a", "/a/", args));
    AF_CHECK(!af_route_match("/{}/{}/{}/{}/{}", "/1/2/3/4/5", args));
    AF_CHECK(af_route_takes("GET,PUT", "HEAD") && af_route_takes("GET,PUT", "PUT") && !af_route_takes("GET,PUT", "PU"));
    char methods[64];
    af_route_methods("/ping", methods, sizeof methods);
    AF_CHECK_STR(methods, "GET, HEAD, OPTIONS");
}

/* Every route there is: without credentials and with wrong ones nothing but the open ones answers. */
AF_TEST(server_guards_every_route)
{
    static const char *const wrong[] = { NULL, "not-a-token-that-anybody-has", ":Authorization: Basic bm9ib2R5Ond0Zg==",
                                         ":Cookie: influxdb-oss-session=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" };
    struct world *w = open_world();
    const struct af_route *route;
    size_t guarded = 0;
    for (size_t n = 0; (route = af_route_nth(n)) != NULL; n++) {
        char path[300] = "";
        char method[20];
        for (const char *p = route->pattern; *p != '\0'; p++) {
            size_t len = strlen(path);
            snprintf(path + len, sizeof path - len, "%s", *p == '{' ? "0000000000000001" : (char[]){ *p, '\0' });
            p += *p == '{';
        }
        for (const char *at = route->method; *at != '\0' && route->access == AF_ACCESS_TOKEN; at += strcspn(at, ",") + (at[strcspn(at,
            ",")] != '\0')) {
            snprintf(method, sizeof method, "%.*s", (int)strcspn(at, ","), at);
            for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
                int status = ask(w, method, path, wrong[i], AF_SLICE_LIT("{}"), NULL);
                if (status != 401)
                    af_test_failed(__FILE__, __LINE__, "%s %s with %s: %d", method, path, wrong[i] != NULL ? wrong[i] : "nothing", status);
                guarded++;
            }
        }
    }
    AF_CHECK(guarded >= 5 * 4);
    AF_CHECK_INT(ask(w, "GET", "/ping", NULL, AF_SLICE_LIT(""), NULL), 204);
    AF_CHECK_STR(w->answer.influx_version, "1.8.10");
    AF_CHECK_INT(ask(w, "GET", "/health", "wrong", AF_SLICE_LIT(""), NULL), 200);
    AF_CHECK(strstr(w->log, "not-a-token") == NULL); /* no secrets in the log */
    AF_CHECK(strstr(w->log, "\"action\":\"refused\"") != NULL);
    close_world(w);
}

/* --- who may what ------------------------------------------------------------------------------------------------------------ */

AF_TEST(server_auth_matrix)
{
    static const struct {
        const char *method, *path, *body;
        int operator_, all, reads, writes, elsewhere;
    } rows[] = {
        { "POST", "/write?db=db", "m f=1 1", 204, 204, 403, 204, 403 },
        { "POST", "/api/v2/write?bucket=db", "m f=1 1", 204, 204, 403, 204, 403 },
        { "POST", "/api/v2/delete?bucket=db", "{\"start\":\"1970-01-01T00:00:00Z\",\"stop\":\"1970-01-02T00:00:00Z\"}", 204, 204, 403,
        204, 403 },
        { "GET", "/metrics", "", 200, 200, 200, 200, 200 },
        { "GET", "/debug/vars", "", 200, 200, 200, 200, 200 },
        { "GET", "/health", "", 200, 200, 200, 200, 200 },
        { "GET", "/ready", "", 200, 200, 200, 200, 200 },
        { "GET", "/ping", "", 204, 204, 204, 204, 204 },
    };
    struct world *w = open_world();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct af_slice body = af_slice_of(rows[i].body);
        AF_CHECK_INT(ask(w, rows[i].method, rows[i].path, w->operator_token, body, NULL), rows[i].operator_);
        AF_CHECK_INT(ask(w, rows[i].method, rows[i].path, w->all, body, NULL), rows[i].all);
        AF_CHECK_INT(ask(w, rows[i].method, rows[i].path, w->reads, body, NULL), rows[i].reads);
        AF_CHECK_INT(ask(w, rows[i].method, rows[i].path, w->writes, body, NULL), rows[i].writes);
        AF_CHECK_INT(ask(w, rows[i].method, rows[i].path, w->elsewhere, body, NULL), rows[i].elsewhere);
    }
    AF_CHECK(strstr(w->log, "\"action\":\"denied\"") != NULL);
    AF_CHECK(strstr(w->log, w->reads) == NULL);
    close_world(w);
}

/* A token without any right: nothing that changes something takes it, on any route. */
AF_TEST(server_changes_nothing_without_right)
{
    static const char *const own[] = { "/query", "/api/v2/query", "/api/v2/signout" }; /* judged by what is asked, or one's own affair */
    static const char *const methods[] = { "POST", "PUT", "PATCH", "DELETE" };
    struct world *w = open_world();
    const char *weak = make_token(w, &(struct af_permission){ AF_ACTION_READ, "nothing", w->org, 1 }, 1);
    const struct af_route *route;
    size_t tried = 0;
    for (size_t n = 0; (route = af_route_nth(n)) != NULL; n++) {
        char path[300] = "";
        bool is_own = route->access == AF_ACCESS_OPEN;
        for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
            is_own = is_own || strcmp(route->pattern, own[i]) == 0;
        for (const char *p = route->pattern; *p != '\0'; p += *p == '{' ? 2 : 1) {
            size_t len = strlen(path);
            snprintf(path + len, sizeof path - len, "%s", *p == '{' ? "0000000000000001" : (char[]){ *p, '\0' });
        }
        for (size_t i = 0; i < sizeof methods / sizeof methods[0] && !is_own; i++) {
            if (!af_route_takes(route->method, methods[i]))
                continue;
            int status = ask(w, methods[i], path, weak, AF_SLICE_LIT("{\"name\":\"x\",\"status\":\"inactive\"}"), NULL);
            if (status < 400)
                af_test_failed(__FILE__, __LINE__, "%s %s: %d %s", methods[i], path, status, af_buf_cstr(&w->answer.body));
            tried++;
        }
    }
    AF_CHECK(tried >= 2);
    close_world(w);
}

AF_TEST(server_credentials)
{
    static const struct {
        const char *path, *header;
        int status;
    } rows[] = {
        { "/write?db=db", ":Authorization: Basic d3JpdGVyOndyaXRlcnMgd29yZDoy", 204 }, /* writer:writers word:2 */
        { "/write?db=db", ":Authorization: basic d3JpdGVyOndyaXRlcnMgd29yZDoy", 204 },
        { "/write?db=db&u=writer&p=writers+word%3A2", NULL, 204 },
        { "/write?db=db&u=writer&p=writers+word%3A2", ":Authorization: Token wrong", 401 }, /* the header counts */
        { "/write?db=db&u=writer&p=wrong", NULL, 401 },
        { "/write?db=db&u=reader&p=readers-word", NULL, 403 },
        { "/write?db=db&u=nobody&p=nobodys-word", NULL, 403 },
        { "/write?db=db&u=who&p=", NULL, 401 },
        { "/api/v2/write?bucket=db&u=writer&p=writers+word%3A2", NULL, 401 }, /* not on 2.x paths */
        { "/api/v2/write?bucket=db", ":Authorization: Token writer:writers word:2", 204 },
        { "/api/v2/write?bucket=db", ":Authorization: Token writer:wrong", 401 },
        { "/write?db=db", ":Authorization: Basic %%%", 401 },
        { "/write?db=db", ":Authorization: Basic bm9jb2xvbg==", 401 },
        { "/write?db=db", ":Authorization: Digest x", 401 },
        { "/write?db=db", ":Authorization: Token ", 401 },
    };
    struct world *w = open_world();
    char header[300];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (post(w, rows[i].path, rows[i].header, "m f=1 1") != rows[i].status)
            af_test_failed(__FILE__, __LINE__, "row %zu: %d %s", i, w->answer.status, af_buf_cstr(&w->answer.body));
    snprintf(header, sizeof header, ":Authorization: Bearer %s", w->writes);
    AF_CHECK_INT(post(w, "/api/v2/write?bucket=db", header, "m f=1 1"), 204);
    snprintf(header, sizeof header, ":x-api-key: %s", w->writes);
    AF_CHECK_INT(post(w, "/api/v2/write?bucket=db", header, "m f=1 1"), 204);
    snprintf(header, sizeof header, "/write?db=db&u=anybody&p=%s", w->writes); /* a token where a password stands */
    AF_CHECK_INT(post(w, header, NULL, "m f=1 1"), 204);
    close_world(w);
}

AF_TEST(server_sessions)
{
    struct world *w = open_world();
    struct af_error err = { 0 };
    const char *key;
    char header[300];
    AF_CHECK_OK(af_session_new(w->server, w->admin, &w->arena, &key, &err), err);
    snprintf(header, sizeof header, ":Cookie: a=b; influxdb-oss-session=%s; c=d", key);
    AF_CHECK_INT(post(w, "/api/v2/write?bucket=db", header, "m f=1 1"), 204);
    header[strlen(header) - 8]++;
    AF_CHECK_INT(post(w, "/api/v2/write?bucket=db", header, "m f=1 1"), 401);
    header[strlen(header) - 8]--;
    AF_CHECK_INT(post(w, "/api/v2/write?bucket=db", header, "m f=1 1"), 204);
    af_session_end(w->server, key);
    AF_CHECK_INT(post(w, "/api/v2/write?bucket=db", header, "m f=1 1"), 401);
    for (int i = 0; i < 10100; i++) /* more than are kept */
        AF_CHECK_OK(af_session_new(w->server, w->admin, &w->arena, &key, &err), err);
    snprintf(header, sizeof header, ":Cookie: influxdb-oss-session=%s", key);
    AF_CHECK_INT(post(w, "/api/v2/write?bucket=db", header, "m f=1 1"), 204);
    close_world(w);
}

/* What needs no credentials, or has them unproven, does not fill the memory. */
AF_TEST(server_large_bodies_take_credentials)
{
    enum { LARGE = 70000 };
    static char text[LARGE + 1];
    memset(text, 'x', LARGE);
    memcpy(text, "m f=1 1\n#", 9);
    struct world *w = open_world();
    struct af_slice large = af_slice_of(text);
    const char *right = ":Authorization: Basic d3JpdGVyOndyaXRlcnMgd29yZDoy"; /* writer:writers word:2 */
    AF_CHECK_INT(ask(w, "POST", "/api/v2/setup", w->operator_token, large, NULL), 413);
    AF_CHECK_INT(ask(w, "OPTIONS", "/write", NULL, large, NULL), 413);
    AF_CHECK_INT(ask(w, "GET", "/ping", NULL, AF_SLICE_LIT("x"), NULL), 204);
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", NULL, large, NULL), 401);
    AF_CHECK_INT(ask(w, "POST", "/write?db=db&u=writer&p=wrong", NULL, large, NULL), 401);
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", right, large, NULL), 204); /* unproven */
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", right, large, NULL), 204); /* remembered */
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", w->writes, large, NULL), 204);
    close_world(w);
}

AF_TEST(server_bounds_what_it_parses)
{
    static const char form[] = "Content-Type: application/x-www-form-urlencoded";
    static char text[AF_SERVER_TEXT_BYTES_MAX + 100];
    struct world *w = open_world();
    memset(text, ' ', sizeof text - 1);
    memcpy(text, "{\"name\":\"x\"}", 12);
    AF_CHECK_INT(post(w, "/api/v2/users", w->operator_token, text), 413);
    text[AF_SERVER_TEXT_BYTES_MAX] = '\0';
    AF_CHECK_INT(post(w, "/api/v2/users", w->operator_token, text), 201);
    memset(text, '+', sizeof text - 1);
    memcpy(text, "q=SHOW", 6);
    AF_CHECK_INT(ask(w, "POST", "/query", w->operator_token, af_slice_of(text), form), 413);
    memcpy(text, "q=;;", 5);
    for (size_t i = 0; i < AF_SERVER_STATEMENTS_MAX + 1; i++)
        memcpy(text + 4 + 15 * i, "SHOW+DATABASES;", 16);
    AF_CHECK_INT(ask(w, "POST", "/query", w->operator_token, af_slice_of(text), form), 400);
    text[4 + 15 * AF_SERVER_STATEMENTS_MAX] = '\0';
    AF_CHECK_INT(ask(w, "POST", "/query", w->operator_token, af_slice_of(text), form), 200);
    close_world(w);
}

static uint64_t id_of_user(struct world *w, const char *name)
{
    struct af_error err = { 0 };
    struct af_meta_user *users;
    size_t count;
    struct af_meta_filter filter = { .name = name };
    AF_CHECK_OK(af_meta_users(w->house.meta, &filter, &w->arena, &users, &count, &err), err);
    AF_CHECK_INT(count, 1);
    return users[0].id;
}

/* Who may write users must not become the one who may everything. */
AF_TEST(server_passwords_of_admins)
{
    static const char body[] = "{\"password\":\"another-word\"}";
    struct world *w = open_world();
    struct af_error err = { 0 };
    const char *weak = make_token(w, &(struct af_permission){ AF_ACTION_WRITE, "users", 0, 0 }, 1);
    const char *admin_key, *reader_key;
    char path[200], admin[300], reader[300];
    uint64_t reader_id = id_of_user(w, "reader");
    AF_CHECK_OK(af_session_new(w->server, w->admin, &w->arena, &admin_key, &err), err);
    AF_CHECK_OK(af_session_new(w->server, reader_id, &w->arena, &reader_key, &err), err);
    snprintf(admin, sizeof admin, ":Cookie: influxdb-oss-session=%s", admin_key);
    snprintf(reader, sizeof reader, ":Cookie: influxdb-oss-session=%s", reader_key);
    snprintf(path, sizeof path, "/api/v2/users/%016" PRIx64 "/password", w->admin);
    AF_CHECK_INT(post(w, path, weak, body), 403);
    AF_CHECK_INT(ask(w, "PATCH", "/api/v2/users/0000000000000001", weak, AF_SLICE_LIT("{}"), NULL), 404);
    snprintf(path, sizeof path, "/api/v2/users/%016" PRIx64, w->admin);
    AF_CHECK_INT(ask(w, "PATCH", path, weak, AF_SLICE_LIT("{\"status\":\"inactive\"}"), NULL), 403);
    AF_CHECK_INT(ask(w, "DELETE", path, weak, AF_SLICE_LIT(""), NULL), 403);
    AF_CHECK(strstr(w->log, "\"action\":\"denied\"") != NULL);
    snprintf(path, sizeof path, "/api/v2/users/%016" PRIx64 "/password", reader_id);
    AF_CHECK_INT(ask(w, "GET", "/api/v2/me", reader, AF_SLICE_LIT(""), NULL), 200);
    AF_CHECK_INT(post(w, path, weak, body), 204);
    AF_CHECK_INT(ask(w, "GET", "/api/v2/me", reader, AF_SLICE_LIT(""), NULL), 401); /* his sessions end, others do not */
    AF_CHECK_INT(ask(w, "GET", "/api/v2/me", admin, AF_SLICE_LIT(""), NULL), 200);
    snprintf(path, sizeof path, "/api/v2/users/%016" PRIx64 "/password", w->admin);
    AF_CHECK_INT(post(w, path, w->operator_token, body), 204);
    AF_CHECK_INT(ask(w, "GET", "/api/v2/me", admin, AF_SLICE_LIT(""), NULL), 401);
    AF_CHECK_OK(af_session_new(w->server, w->admin, &w->arena, &admin_key, &err), err);
    snprintf(admin, sizeof admin, ":Cookie: influxdb-oss-session=%s", admin_key);
    AF_CHECK_INT(ask(w, "POST", "/query?q=SET+PASSWORD+FOR+admin+%3D+%27third-word%27", w->operator_token, AF_SLICE_LIT(""), NULL), 200);
    AF_CHECK_INT(ask(w, "GET", "/api/v2/me", admin, AF_SLICE_LIT(""), NULL), 401);
    close_world(w);
}

/* --- catalogue and engine ---------------------------------------------------------------------------------------------------- */

struct patcher {
    struct af_thread thread;
    struct world *w;
    int64_t seconds;
    bool is_ok;
};

static void patch_often(void *ctx)
{
    struct patcher *p = ctx;
    struct af_error err = { 0 };
    struct af_http *http;
    struct af_http_answer answer;
    char url[200], header[300], body[200];
    const char *headers[2] = { header, NULL };
    snprintf(url, sizeof url, "http://127.0.0.1:%u/api/v2/buckets/%016" PRIx64, (unsigned)af_server_port(p->w->server), p->w->old_bucket);
    snprintf(header, sizeof header, "Authorization: Token %s", p->w->operator_token);
    snprintf(body, sizeof body, "{\"retentionRules\":[{\"everySeconds\":%lld,\"shardGroupDurationSeconds\":3600}]}", (long long)p->seconds);
    af_http_answer_init(&answer);
    p->is_ok = af_http_new(&(struct af_http_options){ 0 }, &http, &err) == AF_OK;
    for (int i = 0; i < 4 && p->is_ok; i++) {
        struct af_http_request request = { .method = "PATCH", .url = url, .headers = headers, .body = af_slice_of(body) };
        p->is_ok = af_http_send(http, &request, &answer, &err) == AF_OK && answer.status == 200;
    }
    af_http_answer_done(&answer);
    af_http_free(http);
}

/* Changes of one bucket at the same time: catalogue and engine end with the same. */
AF_TEST(server_buckets_are_the_same_in_both_places)
{
    enum { PATCHERS = 4 };
    struct world *w = open_world();
    struct patcher patchers[PATCHERS];
    struct af_error err = { 0 };
    for (int round = 0; round < 20; round++) { /* what is left is what the last two did */
        for (int i = 0; i < PATCHERS; i++) {
            patchers[i] = (struct patcher){ .w = w, .seconds = 7200 + 3600 * i };
            AF_CHECK_OK(af_thread_start(&patchers[i].thread, "patch", patch_often, &patchers[i], &err), err);
        }
        for (int i = 0; i < PATCHERS; i++) {
            af_thread_join(&patchers[i].thread);
            AF_CHECK(patchers[i].is_ok);
        }
        struct af_meta_filter filter = { .id = w->old_bucket };
        struct af_meta_bucket *buckets;
        struct af_tsm_bucket bucket;
        size_t count;
        AF_CHECK_OK(af_meta_buckets(w->house.meta, &filter, &w->arena, &buckets, &count, &err), err);
        AF_CHECK(count == 1 && af_tsm_bucket_has(w->house.engine, w->old_bucket, &bucket));
        AF_CHECK_INT(bucket.retention_ns, buckets[0].retention_ns);
    }
    close_world(w);
}

static void hear_words(void *ctx, const char *words)
{
    char *last = ctx;
    if (strstr(words, "was dropped when") != NULL)
        snprintf(last, 200, "%s", words);
}

/* A crash between the halves of a drop is made good; what the catalogue never heard of is left alone. */
AF_TEST(house_finishes_drops)
{
    struct af_house house;
    struct af_error err = { 0 };
    struct af_arena arena;
    char said_words[200] = "", id_text[AF_ID_TEXT_BYTES];
    uint64_t id = 0;
    const struct af_tsm_bucket unknown = { 77, 0, 3600 * AF_NS_PER_S };
    af_arena_init(&arena, 1 << 20);
    struct af_house_options options = { .engine = { .dir = af_arena_printf(&arena, "%s/data", af_test_dir()), .say = hear_words,
                                                    .ctx = said_words } };
    AF_CHECK_OK(af_house_open(&options, &house, &err), err);
    AF_CHECK_OK(af_house_bucket(&house, NULL, "b", true, 0, &id, &err), err);
    AF_CHECK_OK(af_tsm_bucket_set(house.engine, &unknown, &err), err);
    AF_CHECK_OK(af_meta_bucket_drop(house.meta, id, &err), err);
    AF_CHECK(af_tsm_bucket_has(house.engine, id, NULL));
    af_house_close(&house);
    AF_CHECK_OK(af_house_open(&options, &house, &err), err);
    AF_CHECK(!af_tsm_bucket_has(house.engine, id, NULL));
    AF_CHECK(af_tsm_bucket_has(house.engine, unknown.id, NULL));
    af_id_print(id, id_text);
    AF_CHECK(strstr(said_words, id_text) != NULL);
    af_house_close(&house);
    said_words[0] = '\0';
    AF_CHECK_OK(af_house_open(&options, &house, &err), err); /* once */
    AF_CHECK_STR(said_words, "");
    af_house_close(&house);
    af_arena_done(&arena);
}

AF_TEST(server_base64)
{
    static const char *const plain[] = { "", "f", "fo", "foo", "foob", "\xff\xfe\xfd" };
    static const char *const coded[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "__79" };
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        struct af_buf text, back;
        af_buf_init(&text, 100);
        af_buf_init(&back, 100);
        core_base64_encode(af_slice_of(plain[i]), true, &text);
        AF_CHECK_SLICE(af_buf_slice(&text), coded[i]);
        AF_CHECK(core_base64_decode(af_buf_slice(&text), &back));
        AF_CHECK_SLICE(af_buf_slice(&back), plain[i]);
        AF_CHECK(!core_base64_decode(AF_SLICE_LIT("Zm9vY"), &back) && !core_base64_decode(AF_SLICE_LIT("Zm 9"), &back));
        af_buf_done(&text);
        af_buf_done(&back);
    }
}

/* --- /write in 1.x's words --------------------------------------------------------------------------------------------------- */

AF_TEST(server_v1_words)
{
    struct world *w = open_world();
    const char *t = w->writes;
    (void)post(w, "/write?db=db", NULL, "m f=1");
    SAID(w, 401, "{\"error\":\"unable to parse authentication credentials\"}\n");
    (void)post(w, "/write?db=db", "wrong-wrong-wrong", "m f=1");
    SAID(w, 401, "{\"error\":\"authorization failed\"}\n");
    AF_CHECK_STR(w->answer.influx_error, "authorization failed");
    (void)post(w, "/write?db=db&u=reader&p=readers-word", NULL, "m f=1");
    SAID(w, 403, "{\"error\":\"\\\"reader\\\" user is not authorized to write to database \\\"db\\\"\"}\n");
    (void)post(w, "/write", t, "m f=1");
    SAID(w, 400, "{\"error\":\"database is required\"}\n");
    (void)post(w, "/write?db=none", t, "m f=1");
    SAID(w, 404, "{\"error\":\"database not found: \\\"none\\\"\"}\n");
    (void)post(w, "/write?db=none&rp=x", t, "m f=1");
    SAID(w, 404, "{\"error\":\"database not found: \\\"none\\\"\"}\n");
    (void)post(w, "/write?db=db&rp=none", t, "m f=1");
    SAID(w, 500, "{\"error\":\"retention policy not found: none\"}\n");
    (void)post(w, "/write?db=db&precision=x", t, "m f=1 1");
    SAID(w, 400, "{\"error\":\"invalid precision \\\"x\\\" (use n, u, ms, s, m or h)\"}\n");
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 0);
    AF_CHECK_INT(post(w, "/write?db=db", t, ""), 204);
    AF_CHECK_INT(post(w, "/write?db=db", t, "# nothing\n\n"), 204);
    AF_CHECK_INT(post(w, "/write?db=db&consistency=all", t, "m,t=a v=1 1\nm,t=b v=2 2"), 204);
    SAID(w, 204, "");
    (void)post(w, "/write?db=db", t, "m,t=a v=1 3\nbad\nm v= 4\n");
    SAID(w, 400, "{\"error\":\"partial write: unable to parse 'bad': missing fields\\nunable to parse 'm v= 4': missing field value "
                 "dropped=0\"}\n");
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 3);
    (void)post(w, "/write?db=db", t, "bad\nm v=NaN 4");
    SAID(w, 400, "{\"error\":\"unable to parse 'bad': missing fields\\nunable to parse 'm v=NaN 4': invalid number\"}\n");
    AF_CHECK_STR(w->answer.influx_error, "unable to parse 'bad': missing fields unable to parse 'm v=NaN 4': invalid number");
    (void)post(w, "/write?db=db", t, "  \tbad \n   m v=NaN 4");
    SAID(w, 400, "{\"error\":\"unable to parse 'bad ': invalid field format\\nunable to parse 'm v=NaN 4': invalid number\"}\n");
    (void)post(w, "/write?db=db", t, "m,t=a v=5i 5\nm,t=a v=1 6\nm,t=b v=6i 7\nbad");
    SAID(w, 400, "{\"error\":\"partial write: field type conflict: input field \\\"v\\\" on measurement \\\"m\\\" is type integer, "
                 "already exists as "
                 "type float dropped=2\"}\n");
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 4);
    (void)post(w, "/write?db=short", w->operator_token, "m v=1 1\nm v=1\nm v=2 2");
    SAID(w, 400, "{\"error\":\"partial write: points beyond retention policy dropped=2\"}\n");
    AF_CHECK_INT(count_points(w, w->old_bucket, "m"), 1);
    close_world(w);
}

AF_TEST(server_v1_precisions)
{
    static const struct {
        const char *name;
        int64_t ns;
    } rows[] = { { "n", 1 }, { "ns", 1 }, { "u", 1000 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { "m",
        INT64_C(60000000000) },
                 { "h", INT64_C(3600000000000) } };
    struct world *w = open_world();
    char path[100];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(path, sizeof path, "/write?db=db&precision=%s", rows[i].name);
        AF_CHECK_INT(post(w, path, w->writes, "m,a=b f=1 7"), 204);
        char erase[300];
        char time[AF_TIME_TEXT_BYTES];
        af_time_print(7 * rows[i].ns, time);
        AF_CHECK_INT(count_points(w, w->bucket, "m"), 1);
        snprintf(erase, sizeof erase, "{\"start\":\"%s\",\"stop\":\"%s\"}", time, time); /* both ends included */
        AF_CHECK_INT(post(w, "/api/v2/delete?bucket=db", w->writes, erase), 204);
        AF_CHECK_INT(count_points(w, w->bucket, "m"), 0);
    }
    close_world(w);
}

/* --- /api/v2/write in 2.x's words -------------------------------------------------------------------------------------------- */

AF_TEST(server_v2_words)
{
    struct world *w = open_world();
    const char *t = w->writes;
    char path[200];
    char id[AF_ID_TEXT_BYTES];
    (void)post(w, "/api/v2/write?bucket=db", NULL, "m f=1");
    SAID(w, 401, "{\"code\":\"unauthorized\",\"message\":\"unauthorized access\"}");
    (void)post(w, "/api/v2/write?bucket=db", w->reads, "m f=1");
    SAID(w, 403, "{\"code\":\"forbidden\",\"message\":\"insufficient permissions for write\"}");
    (void)post(w, "/api/v2/write?bucket=db&precision=m", t, "m f=1");
    SAID(w, 400, "{\"code\":\"invalid\",\"message\":\"invalid precision; valid precision units are ns, us, ms, and s\"}");
    (void)post(w, "/api/v2/write?bucket=db&precision=u", t, "m f=1");
    SAID(w, 400, "{\"code\":\"invalid\",\"message\":\"invalid precision; valid precision units are ns, us, ms, and s\"}");
    (void)post(w, "/api/v2/write", t, "m f=1");
    SAID(w, 404, "{\"code\":\"not found\",\"message\":\"bucket not found\"}");
    (void)post(w, "/api/v2/write?bucket=none", t, "m f=1");
    SAID(w, 404, "{\"code\":\"not found\",\"message\":\"bucket \\\"none\\\" not found\"}");
    (void)post(w, "/api/v2/write?bucket=db&org=none", t, "m f=1");
    SAID(w, 404, "{\"code\":\"not found\",\"message\":\"organization name \\\"none\\\" not found\"}");
    (void)post(w, "/api/v2/write?bucket=db", t, "");
    SAID(w, 400, "{\"code\":\"invalid\",\"message\":\"writing requires points\"}");
    (void)post(w, "/api/v2/write?bucket=db", t, "m f=1 1\nbad\nm f=x 2");
    SAID(w, 400, "{\"code\":\"invalid\",\"message\":\"unable to parse 'bad': missing fields\\nunable to parse 'm f=x 2': invalid "
                 "boolean\"}");
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 0);
    AF_CHECK_INT(post(w, "/api/v2/write?bucket=db&org=afluxo&precision=s", t, "m,t=a v=1 1\nm,t=a v=2 2\n"), 204);
    af_id_print(w->bucket, id);
    snprintf(path, sizeof path, "/api/v2/write?bucket=%s&precision=ms", id);
    AF_CHECK_INT(post(w, path, t, "m,t=a v=3 3000\n"), 204);
    AF_CHECK_INT(post(w, "/api/v2/write?bucket=db/autogen", t, "m,t=a v=4 4000000000\n"), 204); /* as a 1.8's own */
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 4);
    (void)post(w, "/api/v2/write?bucket=db", t, "m,t=a v=5i 5\nm,t=a v=1 6\n");
    SAID(w, 422, "{\"code\":\"unprocessable entity\",\"message\":\"failure writing points to database: partial write: field type "
                 "conflict: input field "
                 "\\\"v\\\" on measurement \\\"m\\\" is type integer, already exists as type float dropped=1\"}");
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 5);
    (void)post(w, "/api/v2/write?bucket=short&precision=s", w->operator_token, "m,a=b v=1 3\nm v=1\nm v=2 2\nm,a=c v=2 1");
    af_id_print(w->old_bucket, id);
    const char *got = af_buf_cstr(&w->answer.body);
    AF_CHECK_INT(w->answer.status, 422);
    const char *start = "{\"code\":\"unprocessable entity\",\"message\":\"failure writing points to database: partial write: dropped 3 "
                        "points outside "
                        "retention policy of duration 1h0m0s - oldest point m,a=c at 1970-01-01T00:00:01Z dropped because it violates a "
                        "Retention "
                        "Policy Lower Bound at 20";
    if (strncmp(got, start, strlen(start)) != 0)
        af_test_failed(__FILE__, __LINE__, "%s", got);
    AF_CHECK(strstr(got,
        ", newest point m,a=b at 1970-01-01T00:00:03Z dropped because it violates a Retention Policy Lower Bound at 20") != NULL);
    snprintf(path, sizeof path, "Z dropped=3 for database: %s for retention policy: autogen\"}", id);
    AF_CHECK_STR(got + strlen(got) - strlen(path), path);
    close_world(w);
}

/* Many batches: the last line is bad, and nothing is written; and all lines without a time get the same one. */
AF_TEST(server_v2_writes_all_or_nothing)
{
    struct world *w = open_world();
    struct af_buf body;
    af_buf_init(&body, 1 << 24);
    for (int i = 0; i < 40000; i++)
        af_buf_printf(&body, "m,i=%d f=1 %d\n", i % 100, i);
    size_t good = body.len;
    af_buf_append_str(&body, "m f=1x\n");
    AF_CHECK_INT(ask(w, "POST", "/api/v2/write?bucket=db", w->writes, af_buf_slice(&body), NULL), 400);
    SAID(w, 400, "{\"code\":\"invalid\",\"message\":\"unable to parse 'm f=1x': invalid number\"}");
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 0);
    af_buf_rewind(&body, good);
    AF_CHECK_INT(ask(w, "POST", "/api/v2/write?bucket=db", w->writes, af_buf_slice(&body), NULL), 204);
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 40000);
    af_buf_clear(&body);
    for (int i = 0; i < 40000; i++)
        af_buf_append_str(&body, "once f=1\n");
    AF_CHECK_INT(ask(w, "POST", "/write?db=db&precision=h", w->writes, af_buf_slice(&body), NULL), 204);
    AF_CHECK_INT(ask(w, "POST", "/write?db=db&precision=h", w->writes, af_buf_slice(&body), NULL), 204);
    AF_CHECK(count_points(w, w->bucket, "once") <= 2); /* an hour may have ended in between */
    af_buf_done(&body);
    close_world(w);
}

/* Bad lines are told up to a measure, the rest is counted. */
AF_TEST(server_bounds_its_complaints)
{
    struct world *w = open_world();
    struct af_buf body;
    af_buf_init(&body, 1 << 26);
    for (int i = 0; i < 300000; i++)
        af_buf_append_str(&body, "bad\n");
    AF_CHECK_INT(ask(w, "POST", "/api/v2/write?bucket=db", w->writes, af_buf_slice(&body), NULL), 400);
    AF_CHECK(w->answer.body.len < 300000 && strstr(af_buf_cstr(&w->answer.body), " more lines\"}") != NULL);
    af_buf_clear(&body);
    for (int i = 0; i < 1000000; i++)
        af_buf_append_str(&body, "long");
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", w->writes, af_buf_slice(&body), NULL), 400);
    AF_CHECK(w->answer.body.len < 20000 && strstr(af_buf_cstr(&w->answer.body), "long...': missing fields") != NULL);
    af_buf_clear(&body);
    af_buf_append_str(&body, "m");
    for (int i = 0; i < 1000000; i++)
        af_buf_printf(&body, ",t%d=v", i);
    af_buf_append_str(&body, " f=1 1\nm f=1 1\n");
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", w->writes, af_buf_slice(&body), NULL), 400);
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 1);
    af_buf_done(&body);
    close_world(w);
}

/* --- bodies ------------------------------------------------------------------------------------------------------------------ */

AF_TEST(server_gzip_bodies)
{
    struct world *w = open_world_with(false, 100000);
    struct af_codec_ctx ctx = { 0 };
    struct af_error err = { 0 };
    struct af_buf packed, plain;
    af_buf_init(&packed, 1 << 20);
    af_buf_init(&plain, 1 << 24);
    AF_CHECK_OK(af_compress(&ctx, AF_CODEC_GZIP, 0, AF_SLICE_LIT("m f=1 1\nm f=2 2\n"), &packed, &err), err);
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", w->writes, af_buf_slice(&packed), "Content-Encoding: gzip"), 204);
    AF_CHECK_INT(ask(w, "POST", "/api/v2/write?bucket=db", w->writes, af_buf_slice(&packed), "Content-Encoding: gzip"), 204);
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 2);
    struct af_slice cut = { packed.ptr, packed.len - 10 };
    (void)ask(w, "POST", "/write?db=db", w->writes, cut, "Content-Encoding: gzip");
    SAID(w, 400, "{\"error\":\"unexpected EOF\"}\n");
    (void)ask(w, "POST", "/write?db=db", w->writes, AF_SLICE_LIT("m f=1"), "Content-Encoding: gzip");
    SAID(w, 400, "{\"error\":\"gzip: invalid header\"}\n");
    (void)ask(w, "POST", "/api/v2/write?bucket=db", w->writes, AF_SLICE_LIT("m f=1"), "Content-Encoding: gzip");
    SAID(w, 500, "{\"code\":\"internal error\",\"message\":\"An internal error has occurred - check server logs\"}");
    packed.ptr[packed.len - 8] ^= 1;
    (void)ask(w, "POST", "/api/v2/write?bucket=db", w->writes, af_buf_slice(&packed), "Content-Encoding: gzip");
    SAID(w, 400, "{\"code\":\"invalid\",\"message\":\"unable to read data: gzip: invalid checksum\"}");
    for (int i = 0; i < 100000; i++)
        af_buf_append_str(&plain, "0000000000");
    af_buf_clear(&packed);
    AF_CHECK_OK(af_compress(&ctx, AF_CODEC_GZIP, 0, af_buf_slice(&plain), &packed, &err), err);
    (void)ask(w, "POST", "/write?db=db", w->writes, af_buf_slice(&packed), "Content-Encoding: gzip");
    SAID(w, 413, "{\"error\":\"Request Entity Too Large\"}\n");
    (void)ask(w, "POST", "/api/v2/write?bucket=db", w->writes, af_buf_slice(&packed), "Content-Encoding: gzip");
    SAID(w, 413, "{\"code\":\"request too large\",\"message\":\"unable to read data: points batch is too large\"}");
    af_buf_rewind(&plain, 200000); /* not packed */
    (void)ask(w, "POST", "/write?db=db", w->writes, af_buf_slice(&plain), NULL);
    SAID(w, 413, "{\"error\":\"Request Entity Too Large\"}\n");
    (void)ask(w, "POST", "/api/v2/write?bucket=db", w->writes, af_buf_slice(&plain), "Transfer-Encoding: chunked");
    SAID(w, 413, "{\"code\":\"request too large\",\"message\":\"unable to read data: points batch is too large\"}");
    (void)ask(w, "POST", "/api/v2/write?bucket=db", "wrong-wrong", af_buf_slice(&plain), NULL); /* who, before what */
    SAID(w, 401, "{\"code\":\"unauthorized\",\"message\":\"unauthorized access\"}");
    af_codec_ctx_done(&ctx);
    af_buf_done(&packed);
    af_buf_done(&plain);
    close_world(w);
}

/* --- when the disk does not -------------------------------------------------------------------------------------------------- */

AF_TEST(server_says_disk_full)
{
    struct world *w = open_world();
    AF_CHECK_INT(post(w, "/write?db=db", w->writes, "m f=1 1"), 204);
    AF_CHECK_INT(ask(w, "GET", "/ready", NULL, AF_SLICE_LIT(""), NULL), 200);
    af_os_fault(AF_OS_WRITE, 1, UINT64_MAX, ENOSPC);
    AF_CHECK_INT(post(w, "/write?db=db", w->writes, "m f=1 2"), 503);
    AF_CHECK(w->answer.retry_after_ms > 0);
    AF_CHECK_INT(post(w, "/api/v2/write?bucket=db", w->writes, "m f=1 3"), 503);
    AF_CHECK(strstr(af_buf_cstr(&w->answer.body), "{\"code\":\"unavailable\",\"message\":\"") != NULL);
    AF_CHECK_INT(ask(w, "GET", "/health", NULL, AF_SLICE_LIT(""), NULL), 503);
    AF_CHECK(strstr(af_buf_cstr(&w->answer.body), "\"message\":\"writes are refused: the disk is full\",\"status\":\"fail\"") != NULL);
    af_clock_sleep_ms(1100); /* a probe's answer is good for a second */
    AF_CHECK_INT(ask(w, "GET", "/ready", NULL, AF_SLICE_LIT(""), NULL), 503);
    AF_CHECK(strstr(af_buf_cstr(&w->answer.body), "\"message\":\"the disk is full\"") != NULL); /* and no path: that is in the log */
    AF_CHECK(strstr(w->log, "No space left") != NULL);
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 1); /* reads go on */
    af_os_fault(AF_OS_WRITE, 0, 0, 0);
    AF_CHECK_INT(post(w, "/write?db=db", w->writes, "m f=1 4"), 204);
    AF_CHECK_INT(ask(w, "GET", "/health", NULL, AF_SLICE_LIT(""), NULL), 200);
    af_clock_sleep_ms(1100);
    AF_CHECK_INT(ask(w, "GET", "/api/v2/ready", NULL, AF_SLICE_LIT(""), NULL), 200);
    close_world(w);
}

AF_TEST(server_is_read_only_after_a_failed_fsync)
{
    struct world *w = open_world();
    AF_CHECK_INT(post(w, "/write?db=db", w->writes, "m f=1 1"), 204);
    af_os_fault(AF_OS_SYNC, 1, 1, EIO);
    AF_CHECK_INT(post(w, "/write?db=db", w->writes, "m f=1 2"), 503);
    AF_CHECK_INT(post(w, "/write?db=db", w->writes, "m f=1 3"), 503); /* the disk is well again, but who believes it? */
    AF_CHECK_INT(ask(w, "GET", "/health", NULL, AF_SLICE_LIT(""), NULL), 503);
    AF_CHECK(strstr(af_buf_cstr(&w->answer.body), w->house.dir) == NULL);
    AF_CHECK_INT(ask(w, "GET", "/ready", NULL, AF_SLICE_LIT(""), NULL), 503);
    AF_CHECK(strstr(af_buf_cstr(&w->answer.body), w->house.dir) == NULL);
    AF_CHECK_INT(ask(w, "GET", "/metrics", w->reads, AF_SLICE_LIT(""), NULL), 200);
    AF_CHECK(strstr(af_buf_cstr(&w->answer.body), "\nafluxo_engine_read_only 1\n") != NULL);
    AF_CHECK(strstr(w->log, "\"event\":\"error\"") != NULL);
    close_world(w);
}

/* --- deleting ---------------------------------------------------------------------------------------------------------------- */

static void erase(struct world *w, int status, const char *predicate)
{
    char body[1000];
    snprintf(body, sizeof body, "{\"start\":\"0001-01-01T00:00:00Z\",\"stop\":\"9999-12-31T23:59:59Z\",\"predicate\":\"%s\"}", predicate);
    if (post(w, "/api/v2/delete?bucket=db&org=afluxo", w->writes, body) != status)
        af_test_failed(__FILE__, __LINE__, "%s: %d %s", predicate, w->answer.status, af_buf_cstr(&w->answer.body));
}

AF_TEST(server_deletes)
{
    static const char points[] = "m,a=1,b=x f=1 10\nm,a=1,b=y f=1 10\nm,a=2,b=x f=1 10\nm f=1 10\nn,a=1 f=1 10\nn\\ n,a=1 f=1 10\n";
    struct world *w = open_world();
    AF_CHECK_INT(post(w, "/write?db=db", w->writes, points), 204);
    erase(w, 204, "a=\\\"1\\\" AND _measurement='m' and b != y");
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 3);
    AF_CHECK_INT(count_points(w, w->bucket, "n"), 1);
    erase(w, 204, "_measurement=\\\"n n\\\" OR (_measurement=m AND a=2)");
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 2);
    AF_CHECK_INT(count_points(w, w->bucket, "n n"), 0);
    erase(w, 204, "_measurement=m AND _measurement=n");
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 2);
    erase(w, 400, "_field=f");
    erase(w, 400, "a=");
    erase(w, 400, "a=1 OR");
    erase(w, 400, "a=1 b=2");
    AF_CHECK_INT(post(w, "/api/v2/delete?bucket=db", w->writes, "{\"start\":\"1970-01-01T00:00:00.00000001Z\","
                                                                "\"stop\":\"1970-01-01T00:00:00.000000009Z\"}"),
                 204); /* the wrong way round */
    AF_CHECK_INT(post(w, "/api/v2/delete?bucket=db", w->writes,
                      "{\"start\":\"1970-01-01T01:00:00.000000011+01:00\",\"stop\":\"1970-01-02T00:00:00Z\",\"predicate\":null}"),
                 204);
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 2);
    erase(w, 204, "");
    AF_CHECK_INT(count_points(w, w->bucket, "m"), 0);
    AF_CHECK_INT(count_points(w, w->bucket, "n"), 0);
    (void)post(w, "/api/v2/delete?bucket=db", w->writes, "{\"start\":\"yesterday\",\"stop\":\"1970-01-02T00:00:00Z\"}");
    SAID(w, 400, "{\"code\":\"invalid\",\"message\":\"invalid request; error parsing request json: invalid RFC3339Nano for field start, "
                 "please format your "
                 "time with RFC3339Nano format, example: 2009-01-02T23:00:00Z\"}");
    AF_CHECK_INT(post(w, "/api/v2/delete?bucket=db", w->writes, "{\"start\":\"1970-01-01\",\"stop\":\"1970-01-02\"}"), 400);
    AF_CHECK_INT(post(w, "/api/v2/delete?bucket=db", w->writes, "nonsense"), 400);
    AF_CHECK_INT(post(w, "/api/v2/delete", w->writes, "{}"), 400);
    AF_CHECK_INT(post(w, "/api/v2/delete?bucket=none", w->writes, "{}"), 404);
    AF_CHECK(strstr(w->log, "\"action\":\"delete\"") != NULL);
    close_world(w);
}

/* --- 1.x's statements about the server ------------------------------------------------------------------------------------------ */

static const char *query(struct world *w, const char *token, const char *database, const char *text)
{
    char body[1000];
    snprintf(body, sizeof body, "db=%s&q=%s", database, text); /* texts without % and & */
    (void)ask(w, "POST", "/query", token, af_slice_of(body), "Content-Type: application/x-www-form-urlencoded");
    return af_buf_cstr(&w->answer.body);
}

static void has(struct world *w, int line, const char *text, const char *part)
{
    if (strstr(query(w, w->operator_token, "db", text), part) == NULL)
        af_test_failed(__FILE__, line, "%s: %s", text, af_buf_cstr(&w->answer.body));
}
#define HAS(w, text, part) has(w, __LINE__, text, part)

/* Whom nobody made is not told of, until somebody makes him. */
AF_TEST(server_users_of_1x)
{
    struct world *w = open_world();
    HAS(w, "SHOW USERS", "\"values\":[[\"reader\",false],[\"writer\",false],[\"nobody\",false]]}");
    HAS(w, "CREATE USER admin WITH PASSWORD 'x'", "\"error\":\"user already exists\"");
    HAS(w, "CREATE USER admin WITH PASSWORD 'told to nobody' WITH ALL PRIVILEGES", "[{\"statement_id\":0}]");
    HAS(w, "CREATE USER admin WITH PASSWORD 'another' WITH ALL PRIVILEGES", "\"error\":\"user already exists\"");
    HAS(w, "SHOW USERS", "[[\"admin\",true],[\"reader\",false],");
    AF_CHECK_INT(post(w, "/query?u=admin&p=told+to+nobody&q=SHOW+USERS", NULL, ""), 200);
    AF_CHECK_INT(post(w, "/query?u=admin&p=another&q=SHOW+USERS", NULL, ""), 401);
    HAS(w, "REVOKE READ ON db FROM reader", "[{\"statement_id\":0}]");
    HAS(w, "SHOW GRANTS FOR reader", "\"values\":[[\"db\",\"NO PRIVILEGES\"]]");
    AF_CHECK_INT(post(w, "/query?u=reader&p=readers-word&db=db&q=SHOW+SERIES", NULL, ""), 403);
    HAS(w, "REVOKE WRITE ON other FROM nobody", "[{\"statement_id\":0}]");
    HAS(w, "SHOW GRANTS FOR nobody", "\"values\":[[\"other\",\"NO PRIVILEGES\"]]");
    close_world(w);
}

AF_TEST(server_default_policy_is_not_taken_over)
{
    struct world *w = open_world();
    HAS(w, "CREATE RETENTION POLICY p ON db DURATION 1d REPLICATION 1", "[{\"statement_id\":0}]");
    HAS(w, "CREATE RETENTION POLICY p ON db DURATION 1d REPLICATION 1 DEFAULT", "retention policy conflicts with an existing policy");
    HAS(w, "CREATE RETENTION POLICY p ON db DURATION 2d REPLICATION 1 DEFAULT", "retention policy already exists");
    HAS(w, "ALTER RETENTION POLICY p ON db DEFAULT", "[{\"statement_id\":0}]");
    HAS(w, "CREATE RETENTION POLICY p ON db DURATION 1d REPLICATION 1 DEFAULT", "[{\"statement_id\":0}]");
    close_world(w);
}

static void refused(struct world *w, const char *accept, int status, const char *type, const char *body)
{
    char header[200];
    snprintf(header, sizeof header, "Accept: %s", accept);
    AF_CHECK_INT(ask(w, "GET", "/query?q=SELECT&db=db", w->operator_token, AF_SLICE_LIT(""), header), status);
    if (strcmp(w->answer.content_type, type) != 0 || strcmp(af_buf_cstr(&w->answer.body), body) != 0)
        af_test_failed(__FILE__, __LINE__, "%s: %s %s", accept, w->answer.content_type, af_buf_cstr(&w->answer.body));
}

AF_TEST(server_refuses_queries_in_the_asked_format)
{
#define WORDS "error parsing query: found EOF, expected identifier, string, number, bool at line 1, char 8"
#define AS_JSON "{\"error\":\"" WORDS "\"}\n"
#define AS_CSV "error\n\"" WORDS "\"\n"
    struct world *w = open_world();
    refused(w, "application/csv", 400, "application/csv", AS_CSV);
    refused(w, "text/csv", 400, "text/csv", AS_CSV);
    refused(w, "TEXT/*", 400, "text/csv", AS_CSV);
    refused(w, "application/x-msgpack", 400, "application/x-msgpack", "\x81\xa5" "error\xd9[" WORDS);
    refused(w, "application/json, application/csv", 400, "application/json", AS_JSON);
    refused(w, "application/json;q=0.5, application/csv", 400, "application/csv", AS_CSV);
    refused(w, "application/csv;q=x, */*;q=0.1", 400, "application/json", AS_JSON);
    refused(w, "image/png, application/*", 400, "application/json", AS_JSON);
    refused(w, "image/png", 400, "application/json", AS_JSON);
    AF_CHECK_STR(w->answer.influx_error, WORDS);
    (void)ask(w, "GET", "/query?q=SHOW+USERS", w->reads, AF_SLICE_LIT(""), "Accept: text/csv");
    AF_CHECK_INT(w->answer.status, 403);
    AF_CHECK(strncmp(af_buf_cstr(&w->answer.body), "error\n\"error authorizing query: ", 30) == 0);
    (void)ask(w, "GET", "/query?q=SHOW+USERS", "wrong-wrong-wrong", AF_SLICE_LIT(""), "Accept: text/csv"); /* before it is a query */
    SAID(w, 401, "{\"error\":\"authorization failed\"}\n");
    close_world(w);
}

AF_TEST(server_statistics)
{
    struct world *w = open_world();
    AF_CHECK_INT(post(w, "/write?db=db", w->writes, "m v=1 1\nm v=2 2"), 204);
    HAS(w, "SHOW STATS", "{\"name\":\"cq\",\"columns\":[\"queryFail\",\"queryOk\"],\"values\":[[0,0]]},{\"name\":\"engine\",\"columns\":");
    HAS(w, "SHOW STATS FOR 'queryExecutor'", "\"series\":[{\"name\":\"queryExecutor\",\"columns\":[\"queriesActive\",\"queriesExecuted\","
                                             "\"queriesFinished\"],\"values\":[[1,2,1]]}]}");
    HAS(w, "SHOW STATS FOR 'indexes'", "{\"name\":\"indexes\",\"columns\":[\"memoryBytes\"],");
    HAS(w, "SHOW STATS FOR 'nothing'", "[{\"statement_id\":0}]");
    HAS(w, "SHOW DIAGNOSTICS", "{\"name\":\"build\",\"columns\":[\"Branch\",\"Build Time\",\"Commit\",\"Version\"],"
                               "\"values\":[[\"\",\"\",\"\",\"1.8.10\"]]}");
    HAS(w, "SHOW DIAGNOSTICS FOR 'system'", "\"series\":[{\"name\":\"system\",\"columns\":[\"currentTime\",\"started\",\"uptime\"]");
    AF_CHECK(strstr(query(w, w->reads, "db", "SHOW STATS"), "not authorized") != NULL);
    AF_CHECK_INT(ask(w, "GET", "/debug/vars", w->reads, AF_SLICE_LIT(""), NULL), 200);
    const char *vars = af_buf_cstr(&w->answer.body);
    AF_CHECK(strstr(vars, "{\"system\":{\"currentTime\":\"") != NULL && strstr(vars, "\"memstats\":{\"Sys\":") != NULL);
    AF_CHECK(strstr(vars, "\"engine\":{\"name\":\"engine\",\"tags\":{},\"values\":{\"buckets\":4,") != NULL);
    AF_CHECK(strstr(vars, "\"pointsWrittenOK\":2,") != NULL);
    AF_CHECK_INT(ask(w, "GET", "/status", NULL, AF_SLICE_LIT(""), NULL), 204);
    close_world(w);
}

AF_TEST(server_shards)
{
    struct world *w = open_world();
    struct af_error err = { 0 };
    struct af_tsm_shard_info *shards;
    size_t count;
    char want[500], drop[100];
    AF_CHECK_INT(post(w, "/write?db=db&precision=s", w->writes, "m v=1 1577836800\nm v=2 1579046400"), 204);
    AF_CHECK_OK(af_tsm_shards(w->house.engine, w->bucket, &w->arena, &shards, &count, &err), err);
    AF_CHECK_INT(count, 2);
    snprintf(want, sizeof want, "{\"name\":\"db\",\"columns\":[\"id\",\"database\",\"retention_policy\",\"shard_group\",\"start_time\","
                                "\"end_time\",\"expiry_time\",\"owners\"],\"values\":[[%llu,\"db\",\"autogen\",%llu,"
                                "\"2019-12-30T00:00:00Z\",\"2020-01-06T00:00:00Z\","
                                "\"2020-01-06T00:00:00Z\",\"\"],",
             (unsigned long long)shards[0].id, (unsigned long long)shards[0].id);
    HAS(w, "SHOW SHARDS", want);
    HAS(w, "SHOW SHARD GROUPS", "{\"name\":\"shard groups\",\"columns\":[\"id\",\"database\",\"retention_policy\",\"start_time\","
                                "\"end_time\",\"expiry_time\"],\"values\":[[");
    snprintf(want, sizeof want, "\"error\":\"shard %llu: fields not supported in WHERE clause during deletion\"",
             (unsigned long long)shards[0].id);
    HAS(w, "DELETE FROM m WHERE v = 1", want);
    HAS(w, "DROP SERIES WHERE v > 1", want);
    HAS(w, "DELETE FROM nope WHERE v > 1", "[{\"statement_id\":0}]");
    snprintf(drop, sizeof drop, "DROP SHARD %llu", (unsigned long long)shards[0].id);
    AF_CHECK(strstr(query(w, w->all, "db", drop), "not authorized") != NULL);
    HAS(w, drop, "[{\"statement_id\":0}]");
    HAS(w, "DROP SHARD 999999", "[{\"statement_id\":0}]");
    HAS(w, "SELECT * FROM m", "\"values\":[[\"2020-01-15T00:00:00Z\",2]]");
    AF_CHECK_OK(af_tsm_shards(w->house.engine, w->bucket, &w->arena, &shards, &count, &err), err);
    AF_CHECK_INT(count, 1); /* the other is not listed either */
    AF_CHECK_INT(post(w, "/write?db=db&precision=s", w->writes, "m v=\"of another type\" 1577836801"), 204);
    HAS(w, "DELETE FROM m WHERE time < '2020-01-10T00:00:00Z'", "[{\"statement_id\":0}]"); /* an empty one is dropped too */
    AF_CHECK_OK(af_tsm_shards(w->house.engine, w->bucket, &w->arena, &shards, &count, &err), err);
    AF_CHECK_INT(count, 2);
    snprintf(drop, sizeof drop, "DROP SHARD %llu", (unsigned long long)shards[0].id);
    HAS(w, drop, "[{\"statement_id\":0}]");
    AF_CHECK_OK(af_tsm_shards(w->house.engine, w->bucket, &w->arena, &shards, &count, &err), err);
    AF_CHECK_INT(count, 1);
    close_world(w);
}

AF_TEST(server_who_may_continuous_queries)
{
    static const char into[] = "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT mean(v) INTO o FROM m GROUP BY time(1m) END";
    struct world *w = open_world();
    AF_CHECK(strstr(query(w, w->reads, "", into), "requires WRITE on db") != NULL);
    AF_CHECK(strstr(query(w, w->writes, "", into), "requires READ on db") != NULL);
    AF_CHECK(strstr(query(w, w->elsewhere, "", into), "requires WRITE on db") != NULL);
    AF_CHECK(strstr(query(w, w->all, "", "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT mean(v) INTO o FROM other..m GROUP BY time(1m) END"),
                    "requires READ on other") != NULL);
    AF_CHECK(strstr(query(w, w->all, "", "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT mean(v) INTO short..o FROM m GROUP BY time(1m) END"),
                    "requires WRITE on short") != NULL);
    AF_CHECK(strstr(query(w, w->all, "", "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT mean(v) INTO o FROM (SELECT v FROM other..m) "
                                         "GROUP BY time(1m) END"), "requires READ on other") != NULL);
    (void)query(w, w->all, "", into);
    SAID(w, 200, "{\"results\":[{\"statement_id\":0}]}\n");
    AF_CHECK(strstr(query(w, w->elsewhere, "", "SHOW CONTINUOUS QUERIES"), "CREATE") == NULL);
    AF_CHECK(strstr(query(w, w->reads, "", "SHOW CONTINUOUS QUERIES"), "INTO db.autogen.o FROM db.autogen.m") != NULL);
    AF_CHECK(strstr(query(w, w->reads, "", "DROP CONTINUOUS QUERY q ON db"), "requires WRITE on db") != NULL);
    (void)query(w, w->writes, "", "DROP CONTINUOUS QUERY q ON db");
    SAID(w, 200, "{\"results\":[{\"statement_id\":0}]}\n");
    AF_CHECK(strstr(query(w, w->all, "", "CREATE SUBSCRIPTION s ON db.autogen DESTINATIONS ANY 'http://a:1'"), "admin privilege") != NULL);
    AF_CHECK(strstr(query(w, w->all, "", "SHOW SUBSCRIPTIONS"), "admin privilege") != NULL);
    AF_CHECK(strstr(query(w, w->reads, "", "SHOW QUERIES"), "admin privilege") != NULL); /* texts of others */
    AF_CHECK(strstr(query(w, w->reads, "none", "SHOW QUERIES"), "admin privilege") != NULL);
    AF_CHECK(strstr(query(w, w->reads, "db", "SHOW QUERIES"), "\"SHOW QUERIES\"") != NULL);
    AF_CHECK(strstr(query(w, w->all, "db", "KILL QUERY 1"), "admin privilege") != NULL);
    close_world(w);
}

/* --- the platform's paths ---------------------------------------------------------------------------------------------------- */

static void platform_says(struct world *w, int line, const char *token, const char *path, const char *body, int status, const char *part)
{
    int got = post(w, path, token, body);
    if (got != status || strstr(af_buf_cstr(&w->answer.body), part) == NULL)
        af_test_failed(__FILE__, line, "%s %s: %d %s", path, body, got, af_buf_cstr(&w->answer.body));
}
#define PLATFORM(w, token, path, body, status, part) platform_says(w, __LINE__, token, path, body, status, part)

AF_TEST(server_platform_paths)
{
    static const char rows[] = "\"data\":[{\"_time\":\"1970-01-01T00:00:00.000000001Z\",\"f\":1,\"_measurement\":\"m\"}]";
    static const char select[] = "{\"query\":\"SELECT f FROM m\",\"database\":\"db\"}";
    struct world *w = open_world();
    AF_CHECK_INT(post(w, "/write?db=db", w->all, "m f=1 1"), 204);
    PLATFORM(w, w->reads, "/query/influxql", select, 200, rows);
    PLATFORM(w, ":x-api-key: none", "/query/influxql", select, 401, "\"code\":\"UNAUTHORIZED\"");
    PLATFORM(w, NULL, "/query/influxql", select, 401, "\"status_code\":401");
    PLATFORM(w, NULL, "/query/influxql?u=reader&p=wrong", select, 401, "\"code\":\"UNAUTHORIZED\"");
    PLATFORM(w, w->writes, "/query/influxql", select, 403, "\"code\":\"INFLUXDB_PERMISSION_ERROR\"");
    PLATFORM(w, w->elsewhere, "/query/influxql", select, 403, "requires READ on db");
    PLATFORM(w, w->elsewhere, "/query/influxql", "{\"query\":\"SELECT f FROM db..m\",\"database\":\"other\"}", 403, "READ on db");
    PLATFORM(w, w->all, "/query/influxql", "{\"query\":\"SELECT f FROM m\"}", 400, "database name required");
    PLATFORM(w, w->all, "/query/influxql", "{\"query\":\"SELECT f FROM m\",\"database\":\"none\"}", 404, "DATA_NOT_FOUND");
    PLATFORM(w, w->operator_token, "/query/influxql", "{\"query\":\"DROP DATABASE db\"}", 403, "only reads");
    PLATFORM(w, w->operator_token, "/query/influxql", "{\"query\":\"SELECT f INTO x FROM m\",\"database\":\"db\"}", 403, "only reads");
    PLATFORM(w, w->reads, "/query/influxql", "{\"query\":\"SHOW DATABASES\"}", 200, "\"name\":\"db\"");
    PLATFORM(w, w->reads, "/query/influxql", "[", 400, "INVALID_REQUEST");
    PLATFORM(w, w->reads, "/query/flux", "{\"query\":\"buckets()\"}", 501, "/query/influxql");
    PLATFORM(w, w->reads, "/query", "{\"question\":\"how much?\"}", 501, "\"code\":\"NOT_IMPLEMENTED\"");
    PLATFORM(w, NULL, "/query", "{\"question\":\"how much?\"}", 401, "");
    PLATFORM(w, w->reads, "/query", "{\"more\":1}", 400, "missing required parameter");
    PLATFORM(w, w->reads, "/query?q=SHOW+DATABASES", "{\"question\":\"how much?\"}", 200, "\"results\"");
    PLATFORM(w, w->reads, "/query/sql", "{}", 404, "\"code\":\"ENDPOINT_NOT_FOUND\"");
    AF_CHECK_INT(ask(w, "GET", "/query/flux", w->reads, AF_SLICE_LIT(""), NULL), 405);
    AF_CHECK(strstr(af_buf_cstr(&w->answer.body), "METHOD_NOT_ALLOWED") != NULL);
    AF_CHECK_INT(ask(w, "GET", "/openapi.json", NULL, AF_SLICE_LIT(""), NULL), 200);
    AF_CHECK_INT(ask(w, "HEAD", "/openapi.json", NULL, AF_SLICE_LIT(""), NULL), 200);
    AF_CHECK_INT(ask(w, "OPTIONS", "/query/flux", NULL, AF_SLICE_LIT(""), "Origin: http://elsewhere.example"), 204);
    PLATFORM(w, w->reads, "/query/influxql", select, 200, rows); /* nothing was dropped */
    close_world(w);
}

/* --- odds and ends ----------------------------------------------------------------------------------------------------------- */

AF_TEST(server_ops)
{
    struct world *w = open_world();
    (void)ask(w, "GET", "/nothing/here", NULL, AF_SLICE_LIT(""), NULL);
    SAID(w, 404, "{\"code\":\"not found\",\"message\":\"path not found\"}");
    (void)ask(w, "DELETE", "/api/v2/write", NULL, AF_SLICE_LIT(""), NULL);
    SAID(w, 405, "{\"code\":\"method not allowed\",\"message\":\"allow: POST, OPTIONS\"}");
    (void)ask(w, "GET", "/ping?verbose=true", NULL, AF_SLICE_LIT(""), NULL);
    SAID(w, 200, "{\"version\":\"1.8.10\"}");
    (void)ask(w, "GET", "/version", NULL, AF_SLICE_LIT(""), NULL);
    SAID(w, 200, "{\"name\":\"afluxo\",\"version\":\"7.7\",\"influxdb\":\"1.8.10\"}");
    (void)ask(w, "GET", "/health", NULL, AF_SLICE_LIT(""), NULL);
    SAID(w, 200, "{\"name\":\"influxdb\",\"message\":\"ready for queries and writes\",\"status\":\"pass\",\"checks\":[],"
                 "\"version\":\"7.7\",\"commit\":\"\"}");
    AF_CHECK_INT(ask(w, "OPTIONS", "/write", NULL, AF_SLICE_LIT(""), "Origin: http://elsewhere.example"), 204);
    AF_CHECK_INT(ask(w, "GET", "/debug/vars", w->reads, AF_SLICE_LIT(""), NULL), 200);
    close_world(w);
}

/* Without authentication a page that a browser shows must not reach us, by its own name or by one that it made point here. */
AF_TEST(server_without_auth_knows_only_this_machine)
{
    struct world *w = open_world_with(true, 0);
    AF_CHECK_INT(post(w, "/write?db=db", NULL, "m f=1 1"), 204);
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", NULL, AF_SLICE_LIT("m f=1 1"), "Origin: http://evil.example"), 403);
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", NULL, AF_SLICE_LIT("m f=1 1"), "Origin: null"), 403);
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", NULL, AF_SLICE_LIT("m f=1 1"), "Origin: http://localhost.evil.example"), 403);
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", NULL, AF_SLICE_LIT("m f=1 1"), "Host: evil.example:8086"), 403);
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", NULL, AF_SLICE_LIT("m f=1 1"), "Host: [::1]:8086"), 204);
    AF_CHECK_INT(ask(w, "POST", "/write?db=db", NULL, AF_SLICE_LIT("m f=1 1"), "Origin: http://localhost:3000"), 204);
    close_world(w);
}
