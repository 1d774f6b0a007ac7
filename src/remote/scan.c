/*
 * scan.c - a scan of a remote InfluxDB: windows of time, one request each, rows pulled as they arrive; see remote_int.h.
 *
 *     [from ....................................................... last]      clipped to where there are points
 *      [ window ][   window   ][      window      ] ...                       one request each, longer while they bring few rows
 *
 *     next: a full builder? hand it out. Else pull some hundred KiB of the running answer, which fills builders:
 *
 *       answer --> reader (JSON or CSV events) --> rows --> ready[] --> batch
 *
 * A pull is bounded, so `ready` is too; what the caller does not take stays in the server's socket. Windows keep the server's own
 * memory small: it plans the cursors of one window at a time. Times ascend in a series because windows do.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "data/points.h"
#include "remote/remote_int.h"
#include <stdio.h>
#include <stdlib.h>

/* What InfluxDB can keep. */
static const int64_t time_min_ns = INT64_MIN + 2;
static const int64_t time_max_ns = INT64_MAX - 1;

static const uint64_t window_first_ns = UINT64_C(7) * 86400 * 1000000000; /* a shard, by default */
static const uint64_t window_min_ns = UINT64_C(60) * 1000000000;

enum { WINDOW_ROWS_FEW = 200000, WINDOW_ROWS_MANY = 2000000, CHUNK_ROWS = 5000, QUERY_BYTES_MAX = 16 << 20,
       TEXTS_BYTES_MAX = 64 << 20 };

/* --- rows --------------------------------------------------------------------------------------------------------- */

static enum af_status fresh_rows(struct remote_stream *stream, struct af_error *err)
{
    stream->rows = stream->spare;
    stream->spare = NULL;
    if (stream->rows != NULL)
        return AF_OK;
    return af_rows_new(stream->fields, stream->field_count, &stream->rows, err);
}

enum af_status remote_stream_row_end(struct remote_stream *stream, struct af_error *err)
{
    stream->window_rows++;
    if (!af_rows_is_full(stream->rows))
        return AF_OK;
    if (stream->ready_count == REMOTE_READY_MAX)
        return af_fail(err, AF_EBUG, "more than %d batches out of one piece of an answer", REMOTE_READY_MAX);
    stream->ready[stream->ready_count++] = stream->rows;
    stream->rows = NULL;
    return fresh_rows(stream, err);
}

static int by_key(const void *a, const void *b)
{
    return af_slice_cmp(((const struct iql_tag *)a)->key, ((const struct iql_tag *)b)->key);
}

enum af_status remote_compose_key(struct af_buf *out, struct af_slice measurement, struct iql_tag *tags, size_t tag_count,
                                  struct af_error *err)
{
    if (tag_count > 1)
        qsort(tags, tag_count, sizeof *tags, by_key);
    af_buf_clear(out);
    af_key_append_measurement(out, measurement);
    for (size_t i = 0; i < tag_count; i++) {
        if (tags[i].value.len == 0) /* the series has no such tag */
            continue;
        af_buf_append_char(out, ',');
        af_key_append_tag(out, tags[i].key);
        af_buf_append_char(out, '=');
        af_key_append_tag(out, tags[i].value);
    }
    return af_buf_check(out, "a series key", err);
}

/* --- InfluxQL: events to rows ------------------------------------------------------------------------------------- */

static enum af_status iql_series(void *ctx, struct af_slice name, const struct iql_tag *tags, size_t tag_count, size_t column_count,
                                 struct af_error *err)
{
    struct remote_stream *stream = ctx;
    (void)name;
    if (column_count != stream->field_count + 1)
        return af_fail(err, AF_ECORRUPT, "%s: asked for %zu fields, the answer has %zu columns", stream->remote->base.name,
                       stream->field_count, column_count);
    struct iql_tag *sorted = af_alloc(tag_count * sizeof *sorted);
    if (sorted == NULL)
        return af_fail_nomem(err, "the tags of a series");
    if (tag_count > 0)
        memcpy(sorted, tags, tag_count * sizeof *sorted);
    enum af_status status = remote_compose_key(&stream->key, af_slice_of(stream->measurement), sorted, tag_count, err);
    af_free(sorted);
    return status;
}

static enum af_status bad_value(const struct remote_stream *stream, size_t column, struct af_slice text, struct af_error *err)
{
    const char *name = column == 0 ? "time" : stream->fields[column - 1].name;
    const char *type = column == 0 ? "time" : af_type_name(stream->fields[column - 1].type);
    return af_fail(err, AF_ECORRUPT, "%s: \"%.*s\" in the answer is no %s (field \"%s\")", stream->remote->base.name,
                   (int)(text.len < 100 ? text.len : 100), text.len > 0 ? text.ptr : "", type, name);
}

static enum af_status add_number(struct remote_stream *stream, size_t column, struct af_slice text, struct af_error *err)
{
    double f64;
    int64_t i64;
    uint64_t u64;
    switch (stream->fields[column - 1].type) {
    case AF_TYPE_F64:
        if (!af_f64_parse(text, &f64))
            return bad_value(stream, column, text, err);
        af_rows_f64(stream->rows, column - 1, f64);
        return AF_OK;
    case AF_TYPE_I64:
        if (!af_i64_parse(text, &i64))
            return bad_value(stream, column, text, err);
        af_rows_i64(stream->rows, column - 1, i64);
        return AF_OK;
    case AF_TYPE_U64:
        if (!af_u64_parse(text, &u64))
            return bad_value(stream, column, text, err);
        af_rows_u64(stream->rows, column - 1, u64);
        return AF_OK;
    default:
        return bad_value(stream, column, text, err);
    }
}

static enum af_status iql_cell(void *ctx, size_t column, enum af_json_kind kind, bool is_true, struct af_slice text,
                               struct af_error *err)
{
    struct remote_stream *stream = ctx;
    int64_t time_ns;
    if (column == 0) {
        if (kind != AF_JSON_NUMBER || !af_i64_parse(text, &time_ns))
            return bad_value(stream, column, text, err);
        return af_rows_begin(stream->rows, af_buf_slice(&stream->key), time_ns, err);
    }
    if (kind == AF_JSON_NULL)
        return AF_OK;
    stream->has_value = true;
    enum af_type type = stream->fields[column - 1].type;
    if (kind == AF_JSON_NUMBER)
        return add_number(stream, column, text, err);
    if (kind == AF_JSON_STRING && type == AF_TYPE_STRING)
        return af_rows_text(stream->rows, column - 1, text, err);
    if (kind != AF_JSON_BOOL || type != AF_TYPE_BOOL)
        return bad_value(stream, column, text, err);
    af_rows_bool(stream->rows, column - 1, is_true);
    return AF_OK;
}

static enum af_status iql_row_end(void *ctx, struct af_error *err)
{
    struct remote_stream *stream = ctx;
    bool has_value = stream->has_value;
    stream->has_value = false;
    if (has_value)
        return remote_stream_row_end(stream, err);
    af_rows_drop_last(stream->rows);
    return AF_OK;
}

/* --- InfluxQL: the question --------------------------------------------------------------------------------------- */

static const char *cast_of(enum af_type type)
{
    switch (type) {
    case AF_TYPE_F64: return "float";
    case AF_TYPE_I64: return "integer";
    case AF_TYPE_U64: return "unsigned";
    case AF_TYPE_BOOL: return "boolean";
    default: return "string";
    }
}

/* SELECT "f"::float AS "c0", ... FROM "m" WHERE (...) AND time >= a AND time <= b. The casts choose fields where a tag has the same name;
 * the aliases keep the names out of the answer. */
static void append_select(struct af_buf *out, const struct remote_stream *stream, int64_t from_ns, int64_t last_ns)
{
    af_buf_append_str(out, "SELECT ");
    for (size_t i = 0; i < stream->field_count; i++) {
        af_buf_append_str(out, i > 0 ? ", " : "");
        remote_append_quoted(out, af_slice_of(stream->fields[i].name));
        af_buf_printf(out, "::%s AS \"c%zu\"", cast_of(stream->fields[i].type), i);
    }
    af_buf_append_str(out, " FROM ");
    iql_append_source(out, stream->remote, stream->measurement);
    af_buf_printf(out, " WHERE %stime >= %lld AND time <= %lld", stream->where, (long long)from_ns, (long long)last_ns);
}

static enum af_status iql_ask(struct remote_stream *stream, struct af_error *err)
{
    static const struct iql_handler handler = { .series = iql_series, .cell = iql_cell, .row_end = iql_row_end };
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    append_select(&text, stream, stream->from_ns, stream->window_last_ns);
    af_buf_append_str(&text, " GROUP BY *");
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        iql_request(stream->remote, stream->conn, af_buf_slice(&text), CHUNK_ROWS);
    af_buf_done(&text);
    if (status == AF_OK)
        status = af_buf_check(&stream->conn->body, "a query", err);
    if (status == AF_OK)
        status = iql_reader_new(stream->remote, &handler, stream, &stream->iql, err);
    if (status != AF_OK)
        return status;
    struct remote_sending sending = {
        .method = "POST",
        .body = af_buf_slice(&stream->conn->body),
        .on_body = iql_reader_feed,
        .ctx = stream->iql,
        .cancel = stream->cancel,
    };
    return remote_begin(stream->conn, &sending, err);
}

static enum af_status iql_finish(struct remote_stream *stream, struct af_error *err)
{
    return iql_reader_finish(stream->iql, err);
}

static void iql_drop(struct remote_stream *stream)
{
    iql_reader_free(stream->iql);
    stream->iql = NULL;
}

static const struct remote_language_ops iql_ops = { iql_ask, iql_finish, iql_drop };

struct extent {
    const struct remote *remote;
    int64_t time_ns;
    bool is_found;
};

static enum af_status extent_cell(void *ctx, size_t column, enum af_json_kind kind, bool is_true, struct af_slice text,
                                  struct af_error *err)
{
    struct extent *extent = ctx;
    (void)is_true;
    if (column != 0)
        return AF_OK;
    if (kind != AF_JSON_NUMBER || !af_i64_parse(text, &extent->time_ns))
        return af_fail(err, AF_ECORRUPT, "%s: a row without a time in the answer", extent->remote->base.name);
    extent->is_found = true;
    return AF_OK;
}

static enum af_status iql_end(struct remote_stream *stream, bool is_last, struct extent *out, struct af_error *err)
{
    static const struct iql_handler handler = { .cell = extent_cell };
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    *out = (struct extent){ .remote = stream->remote };
    append_select(&text, stream, stream->from_ns, stream->last_ns);
    af_buf_printf(&text, " ORDER BY time %s LIMIT 1", is_last ? "DESC" : "ASC");
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        status = iql_run(stream->remote, af_buf_slice(&text), stream->cancel, &handler, out, err);
    af_buf_done(&text);
    return status;
}

/* Clip the scan to where there are points: windows over empty centuries would cost a request each. */
static enum af_status iql_extent(struct remote_stream *stream, bool *out_some, struct af_error *err)
{
    struct extent first;
    struct extent last;
    AF_TRY(iql_end(stream, false, &first, err));
    *out_some = first.is_found;
    if (!first.is_found)
        return AF_OK;
    AF_TRY(iql_end(stream, true, &last, err));
    *out_some = last.is_found;
    stream->from_ns = first.time_ns;
    stream->last_ns = last.is_found ? last.time_ns : first.time_ns;
    return AF_OK;
}

/* --- windows ------------------------------------------------------------------------------------------------------ */

static enum af_status ask_window(struct remote_stream *stream, struct af_error *err)
{
    uint64_t left = (uint64_t)stream->last_ns - (uint64_t)stream->from_ns;
    bool reaches_end = stream->window_ns - 1 >= left;
    stream->window_last_ns = reaches_end ? stream->last_ns : (int64_t)((uint64_t)stream->from_ns + stream->window_ns - 1);
    stream->window_rows = 0;
    enum af_status status = stream->ops->ask(stream, err);
    stream->is_asking = status == AF_OK;
    if (status != AF_OK)
        stream->ops->drop(stream);
    return status;
}

/* Few rows: ask for more time at once; many: for less. A window that was asked for stays as it is. */
static void adapt_window(struct remote_stream *stream)
{
    if (stream->remote->scan_window_ns != 0)
        return;
    if (stream->window_rows < WINDOW_ROWS_FEW && stream->window_ns < UINT64_MAX / 4)
        stream->window_ns *= stream->window_rows < WINDOW_ROWS_FEW / 8 ? 4 : 2;
    else if (stream->window_rows > WINDOW_ROWS_MANY && stream->window_ns / 2 >= window_min_ns)
        stream->window_ns /= 2;
}

static enum af_status end_window(struct remote_stream *stream, struct af_error *err)
{
    af_http_end(stream->conn->http);
    stream->is_asking = false;
    enum af_status status = remote_judge(stream->remote, &stream->conn->answer, err);
    if (status == AF_OK)
        status = stream->ops->finish(stream, err);
    stream->ops->drop(stream);
    if (status != AF_OK)
        return status;
    stream->is_over = stream->window_last_ns >= stream->last_ns;
    if (!stream->is_over)
        stream->from_ns = stream->window_last_ns + 1;
    adapt_window(stream);
    return AF_OK;
}

static enum af_status advance(struct remote_stream *stream, struct af_error *err)
{
    bool is_done;
    if (!stream->is_asking)
        AF_TRY(ask_window(stream, err));
    AF_TRY(af_http_pull(stream->conn->http, &is_done, err));
    return is_done ? end_window(stream, err) : AF_OK;
}

/* --- the stream --------------------------------------------------------------------------------------------------- */

/* The oldest full builder as a batch; then it is kept for reuse. */
static enum af_status take_ready(struct remote_stream *stream, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    struct af_rows *rows = stream->ready[0];
    AF_TRY(af_rows_take(rows, arena, out, err));
    stream->ready_count--;
    memmove(stream->ready, stream->ready + 1, stream->ready_count * sizeof *stream->ready);
    if (stream->spare != NULL)
        af_rows_free(rows);
    else
        stream->spare = rows;
    return AF_OK;
}

static enum af_status stream_next(struct af_stream *base, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    struct remote_stream *stream = (struct remote_stream *)base;
    while (stream->ready_count == 0 && !stream->is_over)
        AF_TRY(advance(stream, err));
    if (stream->ready_count > 0)
        return take_ready(stream, arena, out, err);
    return af_rows_take(stream->rows, arena, out, err);
}

static void stream_close(struct af_stream *base)
{
    struct remote_stream *stream = (struct remote_stream *)base;
    if (stream->is_asking) {
        af_http_end(stream->conn->http);
        stream->ops->drop(stream);
    }
    remote_give(stream->remote, stream->conn, stream->is_over);
    af_rows_free(stream->rows);
    af_rows_free(stream->spare);
    for (size_t i = 0; i < stream->ready_count; i++)
        af_rows_free(stream->ready[i]);
    af_buf_done(&stream->key);
    af_free(stream->table);
    af_arena_done(&stream->arena);
    af_free(stream);
}

static const struct af_stream_ops stream_ops = { stream_next, stream_close };

/* --- opening: which fields there are ------------------------------------------------------------------------------ */

static bool is_wanted(const struct af_scan *scan, struct af_slice name)
{
    for (size_t i = 0; i < scan->field_count; i++)
        if (af_slice_is(name, scan->fields[i]))
            return true;
    return scan->fields == NULL;
}

static enum af_status type_of(const struct remote_stream *stream, struct af_slice name, struct af_slice word, enum af_type *out,
                              struct af_error *err)
{
    static const struct {
        const char *word;
        enum af_type type;
    } words[] = { { "float", AF_TYPE_F64 }, { "integer", AF_TYPE_I64 }, { "unsigned", AF_TYPE_U64 }, { "boolean", AF_TYPE_BOOL },
                  { "string", AF_TYPE_STRING } };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (af_slice_is(word, words[i].word)) {
            *out = words[i].type;
            return AF_OK;
        }
    }
    return af_fail(err, AF_EUNSUPPORTED, "%s: field \"%.*s\" of \"%s\" has the unknown type \"%.*s\"", stream->remote->base.name,
                   AF_SLICE_ARG(name), stream->measurement, AF_SLICE_ARG(word));
}

static enum af_status add_field(struct remote_stream *stream, struct af_slice name, struct af_slice word, struct af_error *err)
{
    if (stream->field_count > 0 && af_slice_is(name, stream->fields[stream->field_count - 1].name))
        return af_fail(err, AF_EUNSUPPORTED,
                       "%s: field \"%.*s\" of \"%s\" has different types in different shards (%s and %.*s): name "
                       "the fields to scan without it, or rewrite it with one type", stream->remote->base.name, AF_SLICE_ARG(name),
                       stream->measurement, cast_of(stream->fields[stream->field_count - 1].type), AF_SLICE_ARG(word));
    struct af_field *field = &stream->fields[stream->field_count];
    *field = (struct af_field){ .name = af_arena_copy(&stream->arena, name) };
    if (field->name == NULL)
        return af_arena_fail(&stream->arena, name.len, "the fields of a scan", err);
    AF_TRY(type_of(stream, name, word, &field->type, err));
    stream->field_count++;
    return AF_OK;
}

/* One batch of the fields' listing, in order of their names. */
static enum af_status add_fields(struct remote_stream *stream, const struct af_batch *batch, const struct af_scan *scan,
                                 struct af_error *err)
{
    struct af_field *more = af_arena_zero(&stream->arena, stream->field_count + batch->row_count, sizeof *more);
    if (more == NULL)
        return af_arena_fail(&stream->arena, batch->row_count * sizeof *more, "the fields of a scan", err);
    if (stream->field_count > 0)
        memcpy(more, stream->fields, stream->field_count * sizeof *more);
    stream->fields = more;
    for (size_t row = 0; row < batch->row_count; row++) {
        struct af_slice name = af_column_text(&batch->columns[0], row);
        if (is_wanted(scan, name))
            AF_TRY(add_field(stream, name, af_column_text(&batch->columns[1], row), err));
    }
    return AF_OK;
}

static enum af_status read_fields(struct remote_stream *stream, struct af_stream *fields, const struct af_scan *scan,
                                  struct af_error *err)
{
    struct af_arena arena;
    af_arena_init(&arena, TEXTS_BYTES_MAX);
    enum af_status status;
    struct af_batch *batch;
    while ((status = af_stream_next(fields, &arena, &batch, err)) == AF_OK && batch != NULL) {
        status = add_fields(stream, batch, scan, err);
        if (status != AF_OK)
            break;
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    return status;
}

static enum af_status choose_fields(struct remote_stream *stream, const struct af_scan *scan, struct af_error *err)
{
    struct af_listed *listed;
    AF_TRY(af_listed_new(AF_LIST_FIELDS, &listed, err));
    enum af_status status = remote_list_fields(stream->remote, scan, listed, err);
    struct af_stream *fields = af_listed_stream(listed);
    if (status == AF_OK)
        status = read_fields(stream, fields, scan, err);
    af_stream_close(fields);
    return status;
}

bool remote_clip(const struct af_scan *scan, int64_t *out_from_ns, int64_t *out_last_ns)
{
    *out_from_ns = scan->start_ns < time_min_ns ? time_min_ns : scan->start_ns;
    *out_last_ns = scan->stop_ns > time_max_ns ? time_max_ns : scan->stop_ns - (scan->stop_ns > INT64_MIN);
    return *out_from_ns <= *out_last_ns && scan->start_ns < scan->stop_ns;
}

static enum af_status choose_range(struct remote_stream *stream, const struct af_scan *scan, struct af_error *err)
{
    bool some = remote_clip(scan, &stream->from_ns, &stream->last_ns);
    if (!some || stream->field_count == 0 || remote_reach(scan->predicate) == REACH_NONE) {
        stream->is_over = true;
        return AF_OK;
    }
    AF_TRY(stream->ops == &iql_ops ? iql_extent(stream, &some, err) : flux_extent(stream, &some, err));
    stream->is_over = !some;
    return AF_OK;
}

/* The caller's predicate need not live as long as the scan. */
static enum af_status choose_where(struct remote_stream *stream, const struct af_scan *scan, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    if (stream->ops != &iql_ops) {
        flux_append_filters(&text, scan->measurement, scan->predicate);
    } else if (remote_reach(scan->predicate) == REACH_SOME) {
        iql_append_predicate(&text, scan->predicate);
        af_buf_append_str(&text, " AND ");
    }
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK) {
        stream->where = af_arena_copy(&stream->arena, af_buf_slice(&text));
        status = stream->where != NULL ? AF_OK : af_arena_fail(&stream->arena, text.len, "a query", err);
    }
    af_buf_done(&text);
    return status;
}

static enum af_status open_stream(struct remote_stream *stream, const struct af_scan *scan, struct af_error *err)
{
    struct remote *remote = stream->remote;
    bool is_influxql;
    stream->measurement = af_arena_copy(&stream->arena, af_slice_of(scan->measurement));
    if (stream->measurement == NULL)
        return af_fail_nomem(err, "a scan");
    AF_TRY(remote_speaks_influxql(remote, &is_influxql, err));
    stream->ops = is_influxql ? &iql_ops : &remote_flux_ops;
    stream->window_ns = remote->scan_window_ns != 0 ? remote->scan_window_ns : window_first_ns;
    AF_TRY(choose_fields(stream, scan, err));
    AF_TRY(choose_where(stream, scan, err));
    AF_TRY(choose_range(stream, scan, err));
    AF_TRY(fresh_rows(stream, err));
    return remote_take(remote, &stream->conn, err);
}

enum af_status remote_scan(struct af_store *store, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    if (scan->fold_count > 0 || scan->series != NULL)
        return af_fail(err, AF_EUNSUPPORTED, "a remote InfluxDB is asked for rows of series that match, not for %s",
                       scan->fold_count > 0 ? "folded values" : "series by name");
    struct remote_stream *stream = af_alloc_zero(1, sizeof *stream);
    if (stream == NULL)
        return af_fail_nomem(err, "a scan");
    stream->remote = remote_of(store);
    stream->cancel = scan->cancel;
    af_arena_init(&stream->arena, TEXTS_BYTES_MAX);
    af_buf_init(&stream->key, AF_LP_KEY_BYTES_MAX * 2);
    enum af_status status = open_stream(stream, scan, err);
    if (status != AF_OK) {
        stream_close(&stream->base);
        return status;
    }
    stream->base = (struct af_stream){ .ops = &stream_ops, .schema = af_rows_schema(stream->rows) };
    *out = &stream->base;
    return AF_OK;
}
