/*
 * tables_v1.c - an answer to InfluxQL as tables, of msgpack or JSON; see remote.h.
 *
 *     result(s) of a statement --> series --> rows; "partial" says that more of it follows in the next document
 *
 * Failures in msgpack do not say which statement they are of: it is the one after the last, or the last if that was not whole. Times:
 * typed in msgpack; in JSON (asked for without an epoch) text in the first column, if that is called time.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "remote/remote_int.h"

enum { NAMES_BYTES_MAX = 16 << 20 };

struct v1_tables {
    struct iql_reader *reader;
    struct tables *tables;
    const char *name;
    bool is_begun;            /* the Content-Type was looked at */
    bool has_id;              /* of the result at hand: its number is known */
    bool was_partial;
    struct af_arena arena;    /* names of the columns at hand */
    struct af_slice *names;
    size_t name_count, name_cap;
    bool has_time;            /* the first column is a time */
};

/* --- results ------------------------------------------------------------------------------------------------------------------ */

static enum af_status on_result(void *ctx, struct af_error *err)
{
    struct v1_tables *v1 = ctx;
    (void)err;
    v1->has_id = false;
    v1->name_count = 0;
    return AF_OK;
}

static enum af_status on_statement(void *ctx, uint64_t id, struct af_error *err)
{
    struct v1_tables *v1 = ctx;
    v1->has_id = true;
    return tables_statement(v1->tables, id, err);
}

static enum af_status need_statement(struct v1_tables *v1, struct af_error *err)
{
    const struct tables *tables = v1->tables;
    if (v1->has_id)
        return AF_OK;
    return on_statement(v1, !tables->has_statement ? 0 : tables->statement + !v1->was_partial, err);
}

static enum af_status on_result_end(void *ctx, bool is_partial, struct af_error *err)
{
    struct v1_tables *v1 = ctx;
    AF_TRY(need_statement(v1, err));
    v1->was_partial = is_partial;
    return AF_OK;
}

static enum af_status on_message(void *ctx, struct af_slice level, struct af_slice text, struct af_error *err)
{
    struct v1_tables *v1 = ctx;
    AF_TRY(need_statement(v1, err));
    const char *kept = af_arena_copy(&v1->tables->ready, level.len != 0 && !af_slice_is(level, "error") ? level : AF_SLICE_LIT("warning"));
    return kept != NULL ? tables_words(v1->tables, kept, text, err) : af_arena_fail(&v1->tables->ready, level.len, "a query's answer", err);
}

static enum af_status on_failed(void *ctx, struct af_slice text, struct af_error *err)
{
    struct v1_tables *v1 = ctx;
    AF_TRY(need_statement(v1, err));
    return tables_words(v1->tables, "error", text, err);
}

/* --- series ------------------------------------------------------------------------------------------------------------------- */

static enum af_status on_column(void *ctx, struct af_slice name, struct af_error *err)
{
    struct v1_tables *v1 = ctx;
    if (v1->name_count == 0)
        af_arena_reset(&v1->arena);
    if (v1->name_count == v1->name_cap) {
        size_t cap = v1->name_cap == 0 ? 16 : v1->name_cap * 2;
        struct af_slice *names = af_realloc(v1->names, cap * sizeof *names);
        if (names == NULL)
            return af_fail_nomem(err, "a query's answer");
        v1->names = names;
        v1->name_cap = cap;
    }
    if (v1->name_count > AF_COLUMNS_MAX)
        return af_fail(err, AF_ELIMIT, "%s: more than %d columns in the answer", v1->name, AF_COLUMNS_MAX);
    const char *copy = af_arena_copy(&v1->arena, name);
    if (copy == NULL)
        return af_arena_fail(&v1->arena, name.len, "a query's answer", err);
    v1->names[v1->name_count++] = af_slice_make(copy, name.len);
    return AF_OK;
}

static enum af_status on_series(void *ctx, struct af_slice name, const struct iql_tag *tags, size_t tag_count, size_t column_count,
                                struct af_error *err)
{
    struct v1_tables *v1 = ctx;
    AF_TRY(need_statement(v1, err));
    struct af_key_part *parts = af_arena_zero(&v1->arena, tag_count + 1, sizeof *parts);
    if (parts == NULL)
        return af_arena_fail(&v1->arena, tag_count * sizeof *parts, "a query's answer", err);
    size_t count = 0;
    if (name.len != 0)
        parts[count++] = (struct af_key_part){ af_slice_of(AF_KEY_MEASUREMENT), af_value_text(name) };
    for (size_t i = 0; i < tag_count; i++)
        parts[count++] = (struct af_key_part){ tags[i].key, af_value_text(tags[i].value) };
    v1->has_time = column_count > 0 && af_slice_is(v1->names[0], "time");
    const struct tables_head head = { .parts = parts, .part_count = count, .names = v1->names, .column_count = column_count };
    return tables_series(v1->tables, &head, err);
}

static enum af_status on_series_end(void *ctx, struct af_error *err)
{
    struct v1_tables *v1 = ctx;
    v1->name_count = 0;
    return tables_series_end(v1->tables, true, err);
}

/* --- cells -------------------------------------------------------------------------------------------------------------------- */

static enum af_status on_packed(void *ctx, const struct af_value *value, struct af_error *err)
{
    struct v1_tables *v1 = ctx;
    return tables_cell(v1->tables, value, err);
}

static bool is_integer(struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '.' || text.ptr[i] == 'e' || text.ptr[i] == 'E')
            return false;
    return true;
}

static bool read_number(struct af_slice text, struct af_value *out)
{
    out->type = AF_TYPE_I64;
    if (is_integer(text) && af_i64_parse(text, &out->i64))
        return true;
    out->type = AF_TYPE_U64;
    if (is_integer(text) && af_u64_parse(text, &out->u64))
        return true;
    out->type = AF_TYPE_F64;
    return af_f64_parse(text, &out->f64);
}

static enum af_status on_cell(void *ctx, size_t column, enum af_json_kind kind, bool is_true, struct af_slice text, struct af_error *err)
{
    struct v1_tables *v1 = ctx;
    struct af_value value = af_value_none();
    bool has_zone = true;
    if (kind == AF_JSON_BOOL)
        value = af_value_bool(is_true);
    else if (kind == AF_JSON_STRING)
        value = af_value_text(text);
    else if (kind == AF_JSON_NUMBER && !read_number(text, &value))
        return af_fail(err, AF_ECORRUPT, "%s: \"%.*s\" in the answer is no number", v1->name, AF_SLICE_ARG(text));
    if (column == 0 && v1->has_time && kind == AF_JSON_STRING) {
        value.type = AF_TYPE_TIME;
        if (!af_time_parse(text, &value.i64, &has_zone) || !has_zone)
            value = af_value_text(text);
    }
    return tables_cell(v1->tables, &value, err);
}

static enum af_status on_row_end(void *ctx, struct af_error *err)
{
    struct v1_tables *v1 = ctx;
    return tables_row_end(v1->tables, err);
}

/* --- the reader --------------------------------------------------------------------------------------------------------------- */

enum af_status v1_tables_new(const struct remote *remote, struct tables *tables, struct v1_tables **out, struct af_error *err)
{
    static const struct iql_whole whole = { on_result, on_statement, on_column, on_packed, on_series_end, on_message, on_failed,
                                            on_result_end };
    static const struct iql_handler handler = { .series = on_series, .cell = on_cell, .row_end = on_row_end, .whole = &whole };
    struct v1_tables *v1 = af_alloc_zero(1, sizeof *v1);
    if (v1 == NULL)
        return af_fail_nomem(err, "a query");
    v1->tables = tables;
    v1->name = remote->base.name;
    af_arena_init(&v1->arena, NAMES_BYTES_MAX);
    enum af_status status = iql_reader_new(remote, &handler, v1, &v1->reader, err);
    if (status != AF_OK) {
        v1_tables_free(v1);
        return status;
    }
    *out = v1;
    return AF_OK;
}

enum af_status v1_tables_feed(struct v1_tables *v1, const char *content_type, struct af_slice bytes, struct af_error *err)
{
    if (!v1->is_begun) {
        v1->tables->is_loose = strstr(content_type, "msgpack") == NULL;
        if (!v1->tables->is_loose)
            AF_TRY(iql_reader_expect_msgpack(v1->reader, err));
    }
    v1->is_begun = true;
    return iql_reader_feed(v1->reader, bytes, err);
}

enum af_status v1_tables_finish(struct v1_tables *v1, struct af_error *err)
{
    return iql_reader_finish(v1->reader, err);
}

void v1_tables_free(struct v1_tables *v1)
{
    if (v1 == NULL)
        return;
    iql_reader_free(v1->reader);
    af_free(v1->names);
    af_arena_done(&v1->arena);
    af_free(v1);
}
