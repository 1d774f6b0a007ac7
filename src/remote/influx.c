/*
 * influx.c - a remote InfluxDB as a store: opening, version, connections, create, ping; see remote.h and remote_int.h.
 *
 * Credentials live in one place, the Authorization header: never in URLs, names or messages.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/numbers.h"
#include "net/url.h"
#include "remote/remote_int.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { URL_BYTES_MAX = 64 << 10, BODY_BYTES_MAX = 64 << 20, TEXTS_BYTES_MAX = 1 << 20 };

/* --- connections -------------------------------------------------------------------------------------------------------------- */

static void conn_free(struct remote_conn *conn)
{
    if (conn == NULL)
        return;
    af_http_free(conn->http);
    af_http_answer_done(&conn->answer);
    af_codec_ctx_done(&conn->codec);
    af_buf_done(&conn->packed);
    af_buf_done(&conn->url);
    af_buf_done(&conn->body);
    af_free(conn);
}

static enum af_status conn_new(struct remote *remote, struct remote_conn **out, struct af_error *err)
{
    struct remote_conn *conn = af_alloc_zero(1, sizeof *conn);
    if (conn == NULL)
        return af_fail_nomem(err, "a connection");
    af_http_answer_init(&conn->answer);
    af_buf_init(&conn->packed, SIZE_MAX);
    af_buf_init(&conn->url, URL_BYTES_MAX);
    af_buf_init(&conn->body, BODY_BYTES_MAX);
    enum af_status status = af_http_new(&remote->http, &conn->http, err);
    if (status != AF_OK) {
        conn_free(conn);
        return status;
    }
    *out = conn;
    return AF_OK;
}

enum af_status remote_take(struct remote *remote, struct remote_conn **out, struct af_error *err)
{
    af_mutex_lock(&remote->lock);
    struct remote_conn *conn = remote->idle;
    if (conn != NULL)
        remote->idle = conn->next;
    af_mutex_unlock(&remote->lock);
    if (conn == NULL)
        return conn_new(remote, out, err);
    *out = conn;
    return AF_OK;
}

void remote_give(struct remote *remote, struct remote_conn *conn, bool is_well)
{
    if (conn == NULL)
        return;
    if (!is_well) {
        conn_free(conn);
        return;
    }
    af_mutex_lock(&remote->lock);
    conn->next = remote->idle;
    remote->idle = conn;
    af_mutex_unlock(&remote->lock);
}

void remote_request(struct remote *remote, struct remote_conn *conn, const char *path)
{
    af_buf_clear(&conn->url);
    af_buf_append_str(&conn->url, remote->root);
    af_buf_append_str(&conn->url, path);
    conn->header_count = 0;
    if (remote->authorization != NULL)
        remote_header(conn, remote->authorization);
}

void remote_param(struct remote_conn *conn, const char *name, struct af_slice value)
{
    bool is_first = conn->url.failed || memchr(conn->url.ptr, '?', conn->url.len) == NULL;
    af_buf_append_char(&conn->url, is_first ? '?' : '&');
    af_buf_append_str(&conn->url, name);
    af_buf_append_char(&conn->url, '=');
    af_url_append_escaped(&conn->url, value);
}

void remote_header(struct remote_conn *conn, const char *header)
{
    assert(conn->header_count + 1 < sizeof conn->headers / sizeof conn->headers[0]);
    conn->headers[conn->header_count++] = header;
}

enum af_status remote_begin(struct remote_conn *conn, const struct remote_sending *sending, struct af_error *err)
{
    conn->headers[conn->header_count] = NULL;
    struct af_http_request request = {
        .method = sending->method,
        .url = af_buf_cstr(&conn->url),
        .headers = conn->headers,
        .body = sending->body,
        .on_body = sending->on_body,
        .ctx = sending->ctx,
        .cancel = sending->cancel,
    };
    AF_TRY(af_buf_check(&conn->url, "a request's URL", err));
    return af_http_begin(conn->http, &request, &conn->answer, err);
}

enum af_status remote_send(struct remote_conn *conn, const struct remote_sending *sending, struct af_error *err)
{
    AF_TRY(remote_begin(conn, sending, err));
    bool is_done = false;
    enum af_status status = AF_OK;
    while (status == AF_OK && !is_done)
        status = af_http_pull(conn->http, &is_done, err);
    af_http_end(conn->http);
    return status;
}

/* A GET or a POST whose whole answer is kept in conn->answer; 2xx or a failure. */
static enum af_status ask(struct remote *remote, struct remote_conn *conn, const char *method, struct af_slice body,
                          struct af_error *err)
{
    AF_TRY(remote_send(conn, &(struct remote_sending){ .method = method, .body = body }, err));
    return remote_judge(remote, &conn->answer, err);
}

/* --- the version -------------------------------------------------------------------------------------------------- */

static void note_version(struct remote *remote, const char *text)
{
    struct af_slice version = af_slice_trim(af_slice_of(text));
    if (version.len > 0 && version.ptr[0] == 'v')
        version = (struct af_slice){ version.ptr + 1, version.len - 1 };
    (void)snprintf(remote->version, sizeof remote->version, "InfluxDB %.*s", AF_SLICE_ARG(version));
}

/* Busy or broken is another thing than not being an InfluxDB: worth another try. */
static enum af_status refuse_unwell(const struct remote *remote, const struct af_http_answer *answer, struct af_error *err)
{
    return answer->status == 429 || answer->status >= 500 ? remote_judge(remote, answer, err) : AF_OK;
}

/* /health of 2.x: {"name":"influxdb","version":"v2.7.1",...}. */
static enum af_status version_of_health(struct remote *remote, struct remote_conn *conn, char *dst, size_t cap,
                                        struct af_error *err)
{
    remote_request(remote, conn, "/health");
    AF_TRY(remote_send(conn, &(struct remote_sending){ .method = "GET" }, err));
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    struct af_json *json;
    dst[0] = '\0';
    if (conn->answer.status == 200 && af_json_parse(af_buf_slice(&conn->answer.body), &arena, &json, NULL) == AF_OK) {
        struct af_slice version = af_json_string(json, "version");
        (void)snprintf(dst, cap, "%.*s", AF_SLICE_ARG(version));
    }
    af_arena_done(&arena);
    return dst[0] != '\0' ? AF_OK : refuse_unwell(remote, &conn->answer, err);
}

static enum af_status version_of_ping(struct remote *remote, struct remote_conn *conn, char *dst, size_t cap, struct af_error *err)
{
    remote_request(remote, conn, "/ping");
    AF_TRY(remote_send(conn, &(struct remote_sending){ .method = "GET" }, err));
    AF_TRY(refuse_unwell(remote, &conn->answer, err));
    (void)snprintf(dst, cap, "%s", conn->answer.influx_version);
    if (dst[0] == '\0')
        AF_TRY(version_of_health(remote, conn, dst, cap, err));
    if (dst[0] != '\0')
        return AF_OK;
    return af_fail(err, AF_EUNSUPPORTED,
                   "%s: what answers there does not say that it is an InfluxDB (/ping gives status %d, without "
                   "X-Influxdb-Version): check host, port and path of the URL", remote->root, conn->answer.status);
}

static enum af_status find_version(struct remote *remote, struct af_error *err)
{
    struct remote_conn *conn = NULL;
    char text[64];
    AF_TRY(remote_take(remote, &conn, err));
    enum af_status status = version_of_ping(remote, conn, text, sizeof text, err);
    remote_give(remote, conn, status == AF_OK);
    if (status != AF_OK)
        return status;
    note_version(remote, text);
    remote->is_v2 = strncmp(remote->version, "InfluxDB 1.", 11) != 0 && strncmp(remote->version, "InfluxDB 0.", 11) != 0;
    return AF_OK;
}

static enum af_status influx_ping(struct af_store *store, char *out_version, size_t version_cap, struct af_error *err)
{
    struct remote *remote = remote_of(store);
    struct remote_conn *conn = NULL;
    char text[64];
    AF_TRY(remote_take(remote, &conn, err));
    enum af_status status = version_of_ping(remote, conn, text, sizeof text, err);
    remote_give(remote, conn, status == AF_OK);
    if (status == AF_OK)
        (void)snprintf(out_version, version_cap, "InfluxDB %s", text[0] == 'v' ? text + 1 : text);
    return status;
}

const char *af_remote_version(const struct af_store *store)
{
    return ((const struct remote *)store)->version;
}

/* --- create ------------------------------------------------------------------------------------------------------- */

static enum af_status create_v1(struct remote *remote, struct af_error *err)
{
    static const struct iql_handler nothing = { 0 };
    struct af_buf text;
    af_buf_init(&text, URL_BYTES_MAX);
    af_buf_append_str(&text, "CREATE DATABASE ");
    remote_append_quoted(&text, af_slice_of(remote->database));
    if (remote->policy == NULL) {
        af_buf_append_str(&text, " WITH DURATION INF REPLICATION 1");
    } else {
        af_buf_append_str(&text, "; CREATE RETENTION POLICY ");
        remote_append_quoted(&text, af_slice_of(remote->policy));
        af_buf_append_str(&text, " ON ");
        remote_append_quoted(&text, af_slice_of(remote->database));
        af_buf_append_str(&text, " DURATION INF REPLICATION 1");
    }
    af_buf_printf(&text, " SHARD DURATION %" PRIu64 "s", remote->shard_s);
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        status = iql_run(remote, af_buf_slice(&text), NULL, &nothing, NULL, err);
    if (status == AF_ECONFLICT) /* it is there, with other durations: what was asked for exists */
        status = AF_OK;
    af_buf_done(&text);
    return status;
}

static enum af_status find_org(struct remote *remote, struct remote_conn *conn, struct af_arena *arena, struct af_slice *out_id,
                               struct af_error *err)
{
    struct af_json *json;
    remote_request(remote, conn, "/api/v2/orgs");
    remote_param(conn, "org", af_slice_of(remote->org));
    AF_TRY(ask(remote, conn, "GET", (struct af_slice){ 0 }, err));
    AF_TRY(af_json_parse(af_buf_slice(&conn->answer.body), arena, &json, err));
    const struct af_json *orgs = af_json_get(json, "orgs");
    *out_id = orgs != NULL && orgs->first != NULL ? af_json_string(orgs->first, "id") : (struct af_slice){ 0 };
    if (out_id->len == 0)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no organisation \"%s\": check its name (or give its id)", remote->base.name,
                       remote->org);
    return AF_OK;
}

static enum af_status find_bucket(struct remote *remote, struct remote_conn *conn, struct af_arena *arena, bool *out_is_there,
                                  struct af_error *err)
{
    remote_request(remote, conn, "/api/v2/buckets");
    remote_param(conn, "org", af_slice_of(remote->org));
    remote_param(conn, "name", af_slice_of(remote->bucket));
    AF_TRY(remote_send(conn, &(struct remote_sending){ .method = "GET" }, err));
    *out_is_there = false;
    if (conn->answer.status == 404)
        return AF_OK;
    AF_TRY(remote_judge(remote, &conn->answer, err));
    struct af_json *json;
    AF_TRY(af_json_parse(af_buf_slice(&conn->answer.body), arena, &json, err));
    const struct af_json *buckets = af_json_get(json, "buckets");
    *out_is_there = buckets != NULL && buckets->first != NULL;
    return AF_OK;
}

static enum af_status create_v2(struct remote *remote, struct remote_conn *conn, struct af_arena *arena, struct af_error *err)
{
    bool is_there;
    AF_TRY(find_bucket(remote, conn, arena, &is_there, err));
    if (is_there)
        return AF_OK;
    struct af_slice org;
    AF_TRY(find_org(remote, conn, arena, &org, err));
    remote_request(remote, conn, "/api/v2/buckets");
    remote_header(conn, "Content-Type: application/json");
    af_buf_clear(&conn->body);
    af_buf_append_str(&conn->body, "{\"orgID\":");
    af_json_append_string(&conn->body, org);
    af_buf_append_str(&conn->body, ",\"name\":");
    af_json_append_string(&conn->body, af_slice_of(remote->bucket));
    af_buf_printf(&conn->body,
                  ",\"retentionRules\":[{\"type\":\"expire\",\"everySeconds\":0,\"shardGroupDurationSeconds\":%" PRIu64 "}]}",
                  remote->shard_s);
    AF_TRY(af_buf_check(&conn->body, "a request", err));
    enum af_status status = ask(remote, conn, "POST", af_buf_slice(&conn->body), err);
    /* 422 says that the name is taken, by somebody who made it meanwhile, or that something else is wrong: only a look tells. */
    if (status != AF_OK && conn->answer.status == 422 && find_bucket(remote, conn, arena, &is_there, NULL) == AF_OK && is_there)
        return AF_OK;
    return status;
}

static enum af_status influx_create(struct af_store *store, struct af_error *err)
{
    struct remote *remote = remote_of(store);
    if (!remote->is_v2)
        return create_v1(remote, err);
    struct remote_conn *conn = NULL;
    AF_TRY(remote_take(remote, &conn, err));
    struct af_arena arena;
    af_arena_init(&arena, TEXTS_BYTES_MAX);
    enum af_status status = create_v2(remote, conn, &arena, err);
    af_arena_done(&arena);
    remote_give(remote, conn, status == AF_OK);
    return status;
}

/* --- opening and closing ------------------------------------------------------------------------------------------ */

static void influx_close(struct af_store *store)
{
    struct remote *remote = remote_of(store);
    while (remote->idle != NULL) {
        struct remote_conn *next = remote->idle->next;
        conn_free(remote->idle);
        remote->idle = next;
    }
    remote_first_done(&remote->first);
    af_mutex_done(&remote->lock);
    af_arena_done(&remote->arena);
    af_free(remote);
}

static const struct af_store_ops influx_ops = {
    .name = "remote",
    .write = remote_write,
    .scan = remote_scan,
    .list = remote_list,
    .erase = remote_erase,
    .create = influx_create,
    .ping = influx_ping,
    .close = influx_close,
};

static void append_base64(struct af_buf *out, struct af_slice s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.len; i += 3) {
        uint32_t bits = (uint32_t)(unsigned char)s.ptr[i] << 16;
        bits |= i + 1 < s.len ? (uint32_t)(unsigned char)s.ptr[i + 1] << 8 : 0;
        bits |= i + 2 < s.len ? (uint32_t)(unsigned char)s.ptr[i + 2] : 0;
        af_buf_append_char(out, digits[bits >> 18]);
        af_buf_append_char(out, digits[bits >> 12 & 63]);
        af_buf_append_char(out, i + 1 < s.len ? digits[bits >> 6 & 63] : '=');
        af_buf_append_char(out, i + 2 < s.len ? digits[bits & 63] : '=');
    }
}

/* 1.x: Basic of user and password, also when they come as a token "user:password". 2.x: Token. */
static enum af_status set_authorization(struct remote *remote, const struct af_remote_options *options, struct af_error *err)
{
    struct af_buf plain;
    struct af_buf header;
    af_buf_init(&plain, TEXTS_BYTES_MAX / 4);
    af_buf_init(&header, TEXTS_BYTES_MAX / 2);
    bool is_pair = options->token != NULL && strchr(options->token, ':') != NULL;
    if (options->user != NULL && !(remote->is_v2 && options->token != NULL))
        af_buf_printf(&plain, "%s:%s", options->user, options->password != NULL ? options->password : "");
    else if (is_pair && !remote->is_v2)
        af_buf_append_str(&plain, options->token);
    if (plain.len > 0) {
        af_buf_append_str(&header, "Authorization: Basic ");
        append_base64(&header, af_buf_slice(&plain));
    } else if (options->token != NULL && options->token[0] != '\0') {
        struct af_slice token = af_slice_trim(af_slice_of(options->token)); /* files end with a newline */
        af_buf_append_str(&header, "Authorization: Token ");
        af_buf_append_slice(&header, token);
    }
    enum af_status status = af_buf_check(plain.failed ? &plain : &header, "the credentials", err);
    if (status == AF_OK && header.len > 0) {
        remote->authorization = af_arena_copy(&remote->arena, af_buf_slice(&header));
        if (remote->authorization == NULL)
            status = af_fail_nomem(err, "the credentials");
    }
    af_buf_done(&plain);
    af_buf_done(&header);
    return status;
}

static const char *copy(struct remote *remote, const char *text)
{
    return af_arena_copy(&remote->arena, af_slice_of(text != NULL ? text : ""));
}

static enum af_status set_url(struct remote *remote, const struct af_remote_options *options, struct af_error *err)
{
    struct af_url url;
    enum af_status status = af_url_parse(af_slice_of(options->url), &remote->arena, &url, err);
    if (status == AF_OK && url.query.len > 0)
        status = af_fail(err, AF_EINVAL,
                         "the URL of an InfluxDB has no parameters (?%.*s): give bucket and organisation as options",
                         AF_SLICE_ARG(url.query));
    if (status != AF_OK)
        return status;
    while (url.path.len > 0 && url.path.ptr[url.path.len - 1] == '/')
        url.path.len--;
    remote->root = af_arena_printf(&remote->arena, "%s%.*s", url.base.ptr, AF_SLICE_ARG(url.path));
    remote->base.name = af_arena_printf(&remote->arena, "%s%.*s%s%s", url.base.ptr, AF_SLICE_ARG(url.path),
                                        options->bucket != NULL ? " bucket " : "", options->bucket != NULL ? options->bucket : "");
    return remote->root != NULL && remote->base.name != NULL ? AF_OK : af_fail_nomem(err, "a remote store");
}

static enum af_status set_texts(struct remote *remote, const struct af_remote_options *options, struct af_error *err)
{
    AF_TRY(set_url(remote, options, err));
    remote->bucket = copy(remote, options->bucket);
    remote->org = copy(remote, options->org);
    remote->http.ca_file = options->http.ca_file != NULL ? copy(remote, options->http.ca_file) : NULL;
    remote->http.user_agent = options->http.user_agent != NULL ? copy(remote, options->http.user_agent) : NULL;
    if (remote->bucket == NULL || remote->org == NULL || (options->http.ca_file != NULL && remote->http.ca_file == NULL) ||
        (options->http.user_agent != NULL && remote->http.user_agent == NULL))
        return af_fail_nomem(err, "a remote store");
    return AF_OK;
}

/* Database and policy of a 1.x bucket "database/policy". */
static enum af_status split_bucket(struct remote *remote, bool is_named, struct af_error *err)
{
    const char *slash = remote->is_v2 ? NULL : strchr(remote->bucket, '/');
    if (is_named && (remote->bucket[0] == '\0' || slash == remote->bucket))
        return af_fail(err, AF_EINVAL, "%s: no bucket is named", remote->root);
    if (remote->is_v2 && remote->org[0] == '\0')
        return af_fail(err, AF_EINVAL, "%s is an InfluxDB 2.x: say --org NAME, or set INFLUX_ORG", remote->root);
    remote->database = remote->bucket;
    if (slash == NULL || slash[1] == '\0')
        return AF_OK;
    remote->policy = slash + 1;
    remote->database = af_arena_copy(&remote->arena, af_slice_make(remote->bucket, (size_t)(slash - remote->bucket)));
    return remote->database != NULL ? AF_OK : af_fail_nomem(err, "a remote store");
}

static enum af_status open_as(struct remote *remote, const struct af_remote_options *options, struct af_error *err)
{
    AF_TRY(set_texts(remote, options, err));
    remote->is_v2 = options->version == AF_INFLUX_2;
    (void)snprintf(remote->version, sizeof remote->version, "InfluxDB %s", remote->is_v2 ? "2.x" : "1.x");
    if (options->version == AF_INFLUX_AUTO)
        AF_TRY(find_version(remote, err));
    AF_TRY(split_bucket(remote, options->bucket != NULL, err));
    return set_authorization(remote, options, err);
}

enum af_status af_remote_open(const struct af_remote_options *options, struct af_store **out, struct af_error *err)
{
    struct remote *remote = af_alloc_zero(1, sizeof *remote);
    if (remote == NULL)
        return af_fail_nomem(err, "a remote store");
    af_arena_init(&remote->arena, TEXTS_BYTES_MAX);
    af_mutex_init(&remote->lock);
    remote_first_init(&remote->first);
    remote->base = (struct af_store){ .ops = &influx_ops };
    remote->http = options->http;
    remote->force_flux = options->force_flux;
    remote->no_gzip = options->no_gzip;
    remote->scan_window_ns = options->scan_window_ns;
    remote->shard_s = options->shard_duration_s != 0 ? options->shard_duration_s : AF_REMOTE_SHARD_S;
    enum af_status status = open_as(remote, options, err);
    if (status != AF_OK) {
        influx_close(&remote->base);
        return status;
    }
    *out = &remote->base;
    return AF_OK;
}
