/*
 * influxql.c - answers to InfluxQL, JSON or msgpack, read while they arrive; see remote_int.h.
 *
 *     {"results":[{"statement_id":0,"series":[{"name":"m","tags":{"t":"a"},"columns":["time","v"],"values":[[1,2.5],...],
 *     "partial":true}],"partial":true}]}                                         one such document after the other
 *
 * A state machine over events: `back` says where in that shape we are, anything unknown is skipped by its depth. "error" at the top
 * ends the reading, in a result too unless the handler wants the whole answer. A result whose last document says "partial" was cut short.
 */
#include "base/alloc.h"
#include "base/numbers.h"
#include "net/url.h"
#include "remote/remote_int.h"
#include <stdio.h>

enum place { OUTSIDE, TOP, RESULTS, RESULT, SERIES_LIST, SERIES, TAGS, COLUMNS, VALUES, ROW, MESSAGES, MESSAGE, SKIPPED };

enum member { OTHER, MEMBER_RESULTS, MEMBER_SERIES, MEMBER_ERROR, MEMBER_PARTIAL, MEMBER_NAME, MEMBER_TAGS, MEMBER_COLUMNS,
              MEMBER_VALUES, MEMBER_ID, MEMBER_MESSAGES, MEMBER_LEVEL, MEMBER_TEXT };

enum { TAGS_BYTES_MAX = 16 << 20, TAGS_COUNT_MAX = 4096 };

struct iql_reader {
    const struct remote *remote;
    struct iql_handler handler;
    void *ctx;
    struct af_json_reader *json;
    struct pack_reader *pack;        /* instead of json */
    const struct af_value *packed;   /* the value at hand; NULL: it comes from JSON */
    enum place place;
    enum place back[8];      /* places around it */
    unsigned depth;
    unsigned skip_depth;     /* inside something unknown */
    enum member member;      /* of the object we are in: the key just seen */
    struct af_arena arena;   /* of the current series */
    struct af_slice name;
    struct iql_tag *tags;    /* TAGS_COUNT_MAX */
    size_t tag_count;
    struct af_slice tag_key;
    size_t column_count;
    size_t cell;             /* of the current row */
    bool is_partial;         /* the last result said that more follows */
    bool has_result;
    bool has_values;         /* of the current series */
    struct af_slice level, text; /* of the current message */
    char error[512];
};

static enum af_status odd(const struct iql_reader *reader, const char *what, struct af_error *err)
{
    return af_fail(err, AF_ECORRUPT, "%s: the query's answer has an unknown shape (%s)", reader->remote->base.name, what);
}

static enum af_status keep(struct iql_reader *reader, struct af_slice text, struct af_slice *out, struct af_error *err)
{
    char *copy = af_arena_copy(&reader->arena, text);
    if (copy == NULL)
        return af_arena_fail(&reader->arena, text.len, "the tags of a series", err);
    *out = (struct af_slice){ copy, text.len };
    return AF_OK;
}

/* --- entering and leaving ----------------------------------------------------------------------------------------- */

static enum place inside(const struct iql_reader *reader, enum af_json_kind kind)
{
    bool is_array = kind == AF_JSON_ARRAY;
    switch (reader->place) {
    case OUTSIDE: return is_array ? SKIPPED : TOP;
    case TOP: return reader->member == MEMBER_RESULTS && is_array ? RESULTS : SKIPPED;
    case RESULTS: return is_array ? SKIPPED : RESULT;
    case RESULT:
        if (reader->member == MEMBER_MESSAGES && is_array)
            return MESSAGES;
        return reader->member == MEMBER_SERIES && is_array ? SERIES_LIST : SKIPPED;
    case MESSAGES: return is_array ? SKIPPED : MESSAGE;
    case SERIES_LIST: return is_array ? SKIPPED : SERIES;
    case SERIES:
        if (reader->member == MEMBER_TAGS && !is_array)
            return TAGS;
        if (reader->member == MEMBER_COLUMNS && is_array)
            return COLUMNS;
        return reader->member == MEMBER_VALUES && is_array ? VALUES : SKIPPED;
    case VALUES: return is_array ? ROW : SKIPPED;
    default: return SKIPPED;
    }
}

static enum af_status begin_series(struct iql_reader *reader, struct af_error *err)
{
    reader->has_values = true;
    if (reader->handler.series == NULL)
        return AF_OK;
    return reader->handler.series(reader->ctx, reader->name, reader->tags, reader->tag_count, reader->column_count, err);
}

static enum af_status entered(struct iql_reader *reader, struct af_error *err)
{
    switch (reader->place) {
    case RESULT:
        reader->is_partial = false;
        reader->has_result = true;
        return reader->handler.whole != NULL ? reader->handler.whole->result(reader->ctx, err) : AF_OK;
    case MESSAGE:
        af_arena_reset(&reader->arena);
        reader->level = reader->text = (struct af_slice){ 0 };
        return AF_OK;
    case SERIES:
        af_arena_reset(&reader->arena);
        reader->name = (struct af_slice){ 0 };
        reader->tag_count = 0;
        reader->column_count = 0;
        reader->has_values = false;
        return AF_OK;
    case VALUES:
        return begin_series(reader, err);
    case ROW:
        reader->cell = 0;
        return AF_OK;
    default:
        return AF_OK;
    }
}

static enum af_status on_begin(void *ctx, enum af_json_kind kind, struct af_error *err)
{
    struct iql_reader *reader = ctx;
    if (reader->place == SKIPPED) {
        reader->skip_depth++;
        return AF_OK;
    }
    if (reader->depth == sizeof reader->back / sizeof reader->back[0])
        return odd(reader, "too deep", err);
    enum place place = inside(reader, kind);
    if (reader->place == ROW)
        return odd(reader, "a list or object as a value", err);
    reader->back[reader->depth++] = reader->place;
    reader->place = place;
    reader->skip_depth = 0;
    reader->member = OTHER;
    return entered(reader, err);
}

static enum af_status left_whole(struct iql_reader *reader, enum place left, struct af_error *err)
{
    const struct iql_whole *whole = reader->handler.whole;
    switch (left) {
    case RESULT: return whole->result_end(reader->ctx, reader->is_partial, err);
    case SERIES:
        if (!reader->has_values)
            AF_TRY(begin_series(reader, err));
        return whole->series_end(reader->ctx, err);
    case MESSAGE: return whole->message(reader->ctx, reader->level, reader->text, err);
    default: return AF_OK;
    }
}

static enum af_status on_end(void *ctx, enum af_json_kind kind, struct af_error *err)
{
    struct iql_reader *reader = ctx;
    (void)kind;
    if (reader->place == SKIPPED && reader->skip_depth > 0) {
        reader->skip_depth--;
        return AF_OK;
    }
    enum place left = reader->place;
    reader->place = reader->back[--reader->depth];
    reader->member = OTHER;
    if (left != ROW)
        return reader->handler.whole != NULL ? left_whole(reader, left, err) : AF_OK;
    if (reader->cell != reader->column_count)
        return odd(reader, "a row with too few values", err);
    return reader->handler.row_end != NULL ? reader->handler.row_end(reader->ctx, err) : AF_OK;
}

/* --- keys and values ---------------------------------------------------------------------------------------------- */

static enum member member_of(struct af_slice key)
{
    static const struct {
        const char *name;
        enum member member;
    } members[] = {
        { "results", MEMBER_RESULTS }, { "series", MEMBER_SERIES },   { "error", MEMBER_ERROR },     { "partial", MEMBER_PARTIAL },
        { "name", MEMBER_NAME },       { "tags", MEMBER_TAGS },       { "columns", MEMBER_COLUMNS }, { "values", MEMBER_VALUES },
        { "statement_id", MEMBER_ID }, { "messages", MEMBER_MESSAGES }, { "level", MEMBER_LEVEL },   { "text", MEMBER_TEXT },
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (af_slice_is(key, members[i].name))
            return members[i].member;
    return OTHER;
}

static enum af_status on_key(void *ctx, struct af_slice key, struct af_error *err)
{
    struct iql_reader *reader = ctx;
    if (reader->place == TAGS)
        return keep(reader, key, &reader->tag_key, err);
    if (reader->place != SKIPPED)
        reader->member = member_of(key);
    return AF_OK;
}

static enum af_status on_tag(struct iql_reader *reader, struct af_slice value, struct af_error *err)
{
    if (reader->tag_count == TAGS_COUNT_MAX)
        return af_fail(err, AF_ELIMIT, "%s: a series with more than %d tags", reader->remote->base.name, TAGS_COUNT_MAX);
    struct iql_tag *tag = &reader->tags[reader->tag_count];
    tag->key = reader->tag_key;
    AF_TRY(keep(reader, value, &tag->value, err));
    reader->tag_count++;
    return AF_OK;
}

static enum af_status on_cell(struct iql_reader *reader, enum af_json_kind kind, bool is_true, struct af_slice text,
                              struct af_error *err)
{
    if (reader->cell >= reader->column_count)
        return odd(reader, "a row with too many values, or values before columns", err);
    size_t cell = reader->cell++;
    if (reader->packed != NULL && reader->handler.whole != NULL)
        return reader->handler.whole->packed(reader->ctx, reader->packed, err);
    return reader->handler.cell != NULL ? reader->handler.cell(reader->ctx, cell, kind, is_true, text, err) : AF_OK;
}

static enum af_status on_error(struct iql_reader *reader, struct af_slice text, struct af_error *err)
{
    if (reader->place == RESULT && reader->handler.whole != NULL)
        return reader->handler.whole->failed(reader->ctx, text, err);
    (void)snprintf(reader->error, sizeof reader->error, "%.*s", AF_SLICE_ARG(text));
    return remote_judge_text(reader->remote, reader->error, err);
}

static enum af_status on_id(struct iql_reader *reader, struct af_slice text, struct af_error *err)
{
    uint64_t id;
    if (reader->packed != NULL && reader->packed->type == AF_TYPE_I64 && reader->packed->i64 >= 0)
        id = reader->packed->u64;
    else if (reader->packed != NULL || !af_u64_parse(text, &id))
        return odd(reader, "a statement without a number", err);
    return reader->handler.whole->statement(reader->ctx, id, err);
}

static enum af_status on_result_member(struct iql_reader *reader, bool is_true, struct af_slice text, struct af_error *err)
{
    if (reader->member == MEMBER_ERROR)
        return on_error(reader, text, err);
    if (reader->member == MEMBER_PARTIAL)
        reader->is_partial = is_true;
    if (reader->member == MEMBER_ID && reader->place == RESULT && reader->handler.whole != NULL)
        return on_id(reader, text, err);
    return AF_OK;
}

static enum af_status on_value(void *ctx, enum af_json_kind kind, bool is_true, struct af_slice text, struct af_error *err)
{
    struct iql_reader *reader = ctx;
    switch (reader->place) {
    case ROW:
        return on_cell(reader, kind, is_true, text, err);
    case TAGS:
        return on_tag(reader, text, err);
    case COLUMNS:
        reader->column_count++;
        return reader->handler.whole != NULL ? reader->handler.whole->column(reader->ctx, text, err) : AF_OK;
    case TOP:
    case RESULT:
        return on_result_member(reader, is_true, text, err);
    case SERIES:
        return reader->member == MEMBER_NAME ? keep(reader, text, &reader->name, err) : AF_OK;
    case MESSAGE:
        if (reader->member == MEMBER_LEVEL)
            return keep(reader, text, &reader->level, err);
        return reader->member == MEMBER_TEXT ? keep(reader, text, &reader->text, err) : AF_OK;
    default:
        return AF_OK;
    }
}

/* The same from msgpack: only cells need more than the text. */
static enum af_status on_packed(void *ctx, const struct af_value *value, struct af_error *err)
{
    struct iql_reader *reader = ctx;
    const bool is_text = value->type == AF_TYPE_STRING;
    enum af_json_kind kind = is_text                         ? AF_JSON_STRING
                             : value->type == AF_TYPE_NULL   ? AF_JSON_NULL
                             : value->type == AF_TYPE_BOOL   ? AF_JSON_BOOL
                                                             : AF_JSON_NUMBER;
    reader->packed = value;
    enum af_status status = on_value(reader, kind, value->type == AF_TYPE_BOOL && value->boolean,
                                     is_text ? value->text : (struct af_slice){ 0 }, err);
    reader->packed = NULL;
    return status;
}

/* --- the reader --------------------------------------------------------------------------------------------------- */

enum af_status iql_reader_new(const struct remote *remote, const struct iql_handler *handler, void *ctx, struct iql_reader **out,
                              struct af_error *err)
{
    static const struct af_json_handler events = { .value = on_value, .begin = on_begin, .end = on_end, .key = on_key };
    struct iql_reader *reader = af_alloc_zero(1, sizeof *reader);
    if (reader == NULL)
        return af_fail_nomem(err, "a query");
    reader->remote = remote;
    reader->handler = *handler;
    reader->ctx = ctx;
    af_arena_init(&reader->arena, TAGS_BYTES_MAX);
    reader->tags = af_alloc_zero(TAGS_COUNT_MAX, sizeof *reader->tags);
    enum af_status status = reader->tags == NULL ? af_fail_nomem(err, "a query") : AF_OK;
    if (status == AF_OK)
        status = af_json_reader_new(&events, reader, &reader->json, err);
    if (status != AF_OK) {
        iql_reader_free(reader);
        return status;
    }
    *out = reader;
    return AF_OK;
}

enum af_status iql_reader_expect_msgpack(struct iql_reader *reader, struct af_error *err)
{
    static const struct pack_handler events = { .value = on_packed, .begin = on_begin, .end = on_end, .key = on_key };
    return pack_reader_new(&events, reader, &reader->pack, err);
}

void iql_reader_free(struct iql_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->json != NULL)
        af_json_reader_free(reader->json);
    pack_reader_free(reader->pack);
    af_free(reader->tags);
    af_arena_done(&reader->arena);
    af_free(reader);
}

enum af_status iql_reader_feed(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct iql_reader *reader = ctx;
    return reader->pack != NULL ? pack_reader_feed(reader->pack, bytes, err) : af_json_reader_feed(reader->json, bytes, err);
}

enum af_status iql_reader_finish(struct iql_reader *reader, struct af_error *err)
{
    AF_TRY(reader->pack != NULL ? pack_reader_finish(reader->pack, err) : af_json_reader_finish(reader->json, err));
    if (!reader->has_result)
        return odd(reader, "no result", err);
    if (reader->is_partial)
        return af_fail(err, AF_EIO, "%s: the query's answer ended although the server promised more of it",
                       reader->remote->base.name);
    return AF_OK;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

void remote_append_quoted(struct af_buf *out, struct af_slice text)
{
    af_buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '"' || c == '\\')
            af_buf_append_char(out, '\\');
        if (c == '\n')
            af_buf_append_str(out, "\\n");
        else
            af_buf_append_char(out, c);
    }
    af_buf_append_char(out, '"');
}

void iql_append_source(struct af_buf *out, const struct remote *remote, const char *measurement)
{
    if (remote->policy != NULL) {
        remote_append_quoted(out, af_slice_of(remote->policy));
        af_buf_append_char(out, '.');
    }
    remote_append_quoted(out, af_slice_of(measurement));
}

void iql_append_where(struct af_buf *out, const struct af_predicate *predicate)
{
    if (remote_reach(predicate) != REACH_SOME)
        return;
    af_buf_append_str(out, " WHERE ");
    iql_append_predicate(out, predicate);
}

void iql_request(struct remote *remote, struct remote_conn *conn, struct af_slice text, unsigned chunk_rows)
{
    remote_request(remote, conn, "/query");
    remote_param(conn, "db", af_slice_of(remote->database));
    if (remote->is_v2 && remote->org[0] != '\0')
        remote_param(conn, "org", af_slice_of(remote->org));
    remote_param(conn, "epoch", AF_SLICE_LIT("ns"));
    if (chunk_rows > 0) {
        char number[16];
        (void)snprintf(number, sizeof number, "%u", chunk_rows);
        remote_param(conn, "chunked", AF_SLICE_LIT("true"));
        remote_param(conn, "chunk_size", af_slice_of(number));
    }
    remote_header(conn, "Content-Type: application/x-www-form-urlencoded");
    remote_header(conn, "Accept: application/json");
    af_buf_clear(&conn->body); /* the text goes into the body: a URL has no room for a thousand fields */
    af_buf_append_str(&conn->body, "q=");
    af_url_append_escaped(&conn->body, text);
}

static enum af_status run_on(struct remote *remote, struct remote_conn *conn, struct af_slice text, const bool *cancel,
                             struct iql_reader *reader, struct af_error *err)
{
    iql_request(remote, conn, text, 10000);
    AF_TRY(af_buf_check(&conn->body, "a query", err));
    struct remote_sending sending = {
        .method = "POST", .body = af_buf_slice(&conn->body), .on_body = iql_reader_feed, .ctx = reader, .cancel = cancel
    };
    AF_TRY(remote_send(conn, &sending, err));
    AF_TRY(remote_judge(remote, &conn->answer, err));
    return iql_reader_finish(reader, err);
}

enum af_status iql_run(struct remote *remote, struct af_slice text, const bool *cancel, const struct iql_handler *handler,
                       void *ctx, struct af_error *err)
{
    struct remote_conn *conn = NULL;
    struct iql_reader *reader;
    AF_TRY(iql_reader_new(remote, handler, ctx, &reader, err));
    enum af_status status = remote_take(remote, &conn, err);
    if (status == AF_OK) {
        status = run_on(remote, conn, text, cancel, reader, err);
        remote_give(remote, conn, status == AF_OK);
    }
    iql_reader_free(reader);
    return status;
}
