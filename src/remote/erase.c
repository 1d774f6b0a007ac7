/*
 * erase.c - deletes of a remote InfluxDB; see remote.h and docs/formats/influxdb-http.md.
 *
 *     1.x                                     DELETE FROM "m" WHERE ("t"::tag = 'a') AND time >= F AND time <= L
 *     2.x   tag = value AND ...               POST /api/v2/delete, both ends included
 *           more, with InfluxQL               the same DELETE
 *           more, without                     the matching series, one after the other, by POST /api/v2/delete
 *
 * DELETE reaches every retention policy of a 1.x database: where another one has points that would go too, nothing is deleted. The
 * POST cannot say "without this tag": a series all of whose tags another one has too cannot be deleted alone, and is refused before
 * anything is.
 */
#include "base/buf.h"
#include "base/calendar.h"
#include "base/intern.h"
#include "remote/remote_int.h"
#include <stdio.h>

enum { QUERY_BYTES_MAX = 16 << 20, ANSWER_BYTES_MAX = 64 << 20 };

struct erasing {
    struct remote *remote;
    const struct af_scan *scan;
    int64_t from_ns; /* both included */
    int64_t last_ns;
};

/* --- InfluxQL ----------------------------------------------------------------------------------------------------- */

static void append_where(struct af_buf *out, const struct erasing *erasing)
{
    iql_append_where(out, erasing->scan->predicate);
    af_buf_append_str(out, remote_reach(erasing->scan->predicate) == REACH_SOME ? " AND " : " WHERE ");
    af_buf_printf(out, "time >= %lld AND time <= %lld", (long long)erasing->from_ns, (long long)erasing->last_ns);
}

/* {"results":[{"statement_id":0}]} of 1.x and {} of 2.7 are well; {"error":...} inside of either is not. */
static enum af_status judge_statement(const struct remote *remote, struct af_slice body, struct af_error *err)
{
    struct af_arena arena;
    struct af_json *json;
    af_arena_init(&arena, ANSWER_BYTES_MAX);
    enum af_status status = af_json_parse(body, &arena, &json, err);
    if (status == AF_OK) {
        const struct af_json *results = af_json_get(json, "results");
        struct af_slice error = af_json_string(json, "error");
        if (error.len == 0 && results != NULL && results->first != NULL)
            error = af_json_string(results->first, "error");
        char words[512];
        (void)snprintf(words, sizeof words, "%.*s", AF_SLICE_ARG(error));
        if (error.len > 0)
            status = remote_judge_text(remote, words, err);
    }
    af_arena_done(&arena);
    return status;
}

static enum af_status run_statement(const struct erasing *erasing, struct remote_conn *conn, struct af_slice text, struct af_error *err)
{
    iql_request(erasing->remote, conn, text, 0);
    AF_TRY(af_buf_check(&conn->body, "a query", err));
    struct remote_sending sending = { .method = "POST", .body = af_buf_slice(&conn->body), .cancel = erasing->scan->cancel };
    AF_TRY(remote_send(conn, &sending, err));
    AF_TRY(remote_judge(erasing->remote, &conn->answer, err));
    return judge_statement(erasing->remote, af_buf_slice(&conn->answer.body), err);
}

static enum af_status iql_erase(const struct erasing *erasing, struct af_error *err)
{
    struct remote_conn *conn = NULL;
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    af_buf_append_str(&text, "DELETE");
    if (erasing->scan->measurement != NULL) {
        af_buf_append_str(&text, " FROM ");
        remote_append_quoted(&text, af_slice_of(erasing->scan->measurement));
    }
    append_where(&text, erasing);
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        status = remote_take(erasing->remote, &conn, err);
    if (status == AF_OK)
        status = run_statement(erasing, conn, af_buf_slice(&text), err);
    remote_give(erasing->remote, conn, status == AF_OK);
    af_buf_done(&text);
    return status;
}

/* --- 1.x: the other retention policies ------------------------------------------------------------------------------------ */

struct policies {
    const struct erasing *erasing;
    struct af_buf name; /* of the row */
    bool is_default;
    bool has_rows;      /* the policy that is looked at */
};

static enum af_status row_seen(void *ctx, struct af_error *err)
{
    (void)err;
    ((struct policies *)ctx)->has_rows = true;
    return AF_OK;
}

static enum af_status look_for_points(struct policies *policies, struct af_error *err)
{
    static const struct iql_handler handler = { .row_end = row_seen };
    const struct erasing *erasing = policies->erasing;
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    af_buf_append_str(&text, "SELECT * FROM ");
    remote_append_quoted(&text, af_buf_slice(&policies->name));
    af_buf_append_char(&text, '.');
    if (erasing->scan->measurement != NULL)
        remote_append_quoted(&text, af_slice_of(erasing->scan->measurement));
    else
        af_buf_append_str(&text, "/.*/");
    append_where(&text, erasing);
    af_buf_append_str(&text, " LIMIT 1");
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        status = iql_run(erasing->remote, af_buf_slice(&text), erasing->scan->cancel, &handler, policies, err);
    af_buf_done(&text);
    return status;
}

/* Columns name, duration, shardGroupDuration, replicaN, default. */
static enum af_status policy_cell(void *ctx, size_t column, enum af_json_kind kind, bool is_true, struct af_slice text,
                                  struct af_error *err)
{
    struct policies *policies = ctx;
    if (column == 4)
        policies->is_default = kind == AF_JSON_BOOL && is_true;
    if (column != 0)
        return AF_OK;
    af_buf_clear(&policies->name);
    af_buf_append_slice(&policies->name, text);
    return af_buf_check(&policies->name, "a retention policy", err);
}

static enum af_status policy_row(void *ctx, struct af_error *err)
{
    struct policies *policies = ctx;
    const struct remote *remote = policies->erasing->remote;
    struct af_slice name = af_buf_slice(&policies->name);
    if (remote->policy != NULL ? af_slice_is(name, remote->policy) : policies->is_default)
        return AF_OK;
    AF_TRY(look_for_points(policies, err));
    if (!policies->has_rows)
        return AF_OK;
    return af_fail(err, AF_EUNSUPPORTED,
                   "%s: InfluxDB 1.x deletes from all retention policies of a database together, and \"%.*s\" has points there too: "
                   "nothing was deleted", remote->base.name, AF_SLICE_ARG(name));
}

static enum af_status check_policies(const struct erasing *erasing, struct af_error *err)
{
    static const struct iql_handler handler = { .cell = policy_cell, .row_end = policy_row };
    struct policies policies = { .erasing = erasing };
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    af_buf_init(&policies.name, QUERY_BYTES_MAX);
    af_buf_append_str(&text, "SHOW RETENTION POLICIES ON ");
    remote_append_quoted(&text, af_slice_of(erasing->remote->database));
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        status = iql_run(erasing->remote, af_buf_slice(&text), erasing->scan->cancel, &handler, &policies, err);
    af_buf_done(&policies.name);
    af_buf_done(&text);
    return status;
}

/* --- 2.x ---------------------------------------------------------------------------------------------------------- */

static enum af_status post(const struct erasing *erasing, struct remote_conn *conn, struct af_slice predicate, struct af_error *err)
{
    char from[40];
    char last[40];
    struct remote *remote = erasing->remote;
    *af_rfc3339_print(from, erasing->from_ns, 9) = '\0';
    *af_rfc3339_print(last, erasing->last_ns, 9) = '\0';
    remote_request(remote, conn, "/api/v2/delete");
    remote_param(conn, "org", af_slice_of(remote->org));
    remote_param(conn, "bucket", af_slice_of(remote->bucket));
    remote_header(conn, "Content-Type: application/json");
    af_buf_clear(&conn->body);
    af_buf_printf(&conn->body, "{\"start\":\"%s\",\"stop\":\"%s\",\"predicate\":", from, last);
    af_json_append_string(&conn->body, predicate);
    af_buf_append_char(&conn->body, '}');
    AF_TRY(af_buf_check(&conn->body, "a request", err));
    struct remote_sending sending = { .method = "POST", .body = af_buf_slice(&conn->body), .cancel = erasing->scan->cancel };
    AF_TRY(remote_send(conn, &sending, err));
    return remote_judge(remote, &conn->answer, err);
}

static enum af_status v2_erase(const struct erasing *erasing, struct af_slice predicate, struct af_error *err)
{
    struct remote_conn *conn = NULL;
    AF_TRY(remote_take(erasing->remote, &conn, err));
    enum af_status status = post(erasing, conn, predicate, err);
    remote_give(erasing->remote, conn, status == AF_OK);
    return status;
}

static enum af_status add_series(void *ctx, struct af_slice key, struct af_error *err)
{
    uint32_t id;
    return af_intern_add(ctx, key, &id, err);
}

static bool has_tag(struct af_slice key, struct af_slice tag, struct af_slice value)
{
    size_t at = 0;
    struct af_slice t, v;
    while (af_key_next_tag(key, &at, &t, &v))
        if (af_slice_eq(t, tag))
            return af_slice_eq(v, value);
    return false;
}

/* Would deleting by all tags of `key` take `other` too? */
static bool takes(struct af_slice key, struct af_slice other)
{
    size_t at = 0;
    struct af_slice tag, value;
    if (!af_slice_eq(af_key_measurement_raw(key), af_key_measurement_raw(other)))
        return false;
    while (af_key_next_tag(key, &at, &tag, &value))
        if (!has_tag(other, tag, value))
            return false;
    return true;
}

static enum af_status check_alone(const struct erasing *erasing, const struct af_intern *all, struct af_slice key, struct af_error *err)
{
    for (uint32_t i = 0; i < all->count; i++)
        if (!af_predicate_match(erasing->scan->predicate, all->keys[i]) && takes(key, all->keys[i]))
            return af_fail(err, AF_EUNSUPPORTED,
                           "%s: InfluxDB 2.x's delete cannot take series \"%.*s\" without \"%.*s\", which has all its tags: nothing was "
                           "deleted; give the bucket a DBRP mapping, then InfluxQL can",
                           erasing->remote->base.name, AF_SLICE_ARG(key), AF_SLICE_ARG(all->keys[i]));
    return AF_OK;
}

static enum af_status erase_series(const struct erasing *erasing, struct af_slice key, struct af_error *err)
{
    struct af_buf text, tag_text, value_text;
    size_t at = 0;
    struct af_slice tag, value;
    af_buf_init(&text, QUERY_BYTES_MAX);
    af_buf_init(&tag_text, QUERY_BYTES_MAX);
    af_buf_init(&value_text, QUERY_BYTES_MAX);
    remote_append_equal(&text, AF_SLICE_LIT("_measurement"), af_key_unescape_measurement(af_key_measurement_raw(key), &tag_text));
    while (af_key_next_tag(key, &at, &tag, &value))
        remote_append_equal(&text, af_key_unescape(tag, &tag_text), af_key_unescape(value, &value_text));
    enum af_status status = af_buf_check(&text, "a predicate", err);
    if (status == AF_OK)
        status = af_buf_check(&tag_text, "a predicate", err);
    if (status == AF_OK)
        status = af_buf_check(&value_text, "a predicate", err);
    if (status == AF_OK)
        status = v2_erase(erasing, af_buf_slice(&text), err);
    af_buf_done(&value_text);
    af_buf_done(&tag_text);
    af_buf_done(&text);
    return status;
}

static enum af_status erase_each(const struct erasing *erasing, struct af_error *err)
{
    struct af_scan all = { .measurement = erasing->scan->measurement, .cancel = erasing->scan->cancel };
    struct af_intern keys;
    af_intern_init(&keys);
    enum af_status status = flux_each_series(erasing->remote, &all, add_series, &keys, err);
    for (uint32_t i = 0; status == AF_OK && i < keys.count; i++)
        if (af_predicate_match(erasing->scan->predicate, keys.keys[i]))
            status = check_alone(erasing, &keys, keys.keys[i], err);
    for (uint32_t i = 0; status == AF_OK && i < keys.count; i++)
        if (af_predicate_match(erasing->scan->predicate, keys.keys[i]))
            status = erase_series(erasing, keys.keys[i], err);
    af_intern_done(&keys);
    return status;
}

static enum af_status erase_v2(const struct erasing *erasing, struct af_error *err)
{
    struct af_buf text;
    bool is_influxql = false;
    af_buf_init(&text, QUERY_BYTES_MAX);
    if (erasing->scan->measurement != NULL)
        remote_append_equal(&text, AF_SLICE_LIT("_measurement"), af_slice_of(erasing->scan->measurement));
    bool is_simple = remote_append_equals(&text, erasing->scan->predicate);
    enum af_status status = af_buf_check(&text, "a predicate", err);
    if (status == AF_OK && is_simple)
        status = v2_erase(erasing, af_buf_slice(&text), err);
    af_buf_done(&text);
    if (status != AF_OK || is_simple)
        return status;
    AF_TRY(remote_speaks_influxql(erasing->remote, &is_influxql, err));
    return is_influxql ? iql_erase(erasing, err) : erase_each(erasing, err);
}

/* --- the operation ------------------------------------------------------------------------------------------------ */

enum af_status remote_erase(struct af_store *store, const struct af_scan *scan, struct af_error *err)
{
    struct erasing erasing = { .remote = remote_of(store), .scan = scan };
    if (scan->fields != NULL)
        return af_fail(err, AF_EUNSUPPORTED, "%s: whole points are deleted, not single fields", store->name);
    if (!remote_clip(scan, &erasing.from_ns, &erasing.last_ns) || remote_reach(scan->predicate) == REACH_NONE)
        return AF_OK;
    if (erasing.remote->is_v2)
        return erase_v2(&erasing, err);
    AF_TRY(check_policies(&erasing, err));
    return iql_erase(&erasing, err);
}
