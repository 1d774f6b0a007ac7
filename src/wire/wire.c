/*
 * wire.c - the writer that all formats share: which series is open, where chunks end, what may be sent; see wire.h.
 *
 *     table --> another series? close, open --> rows up to the chunk's end --> close, chunk_end, open again --> ...
 *
 * Whether a chunk was the last one is only known when more comes or the statement ends: so a full chunk stays open until then.
 */
#include "wire/wire_int.h"
#include "base/alloc.h"
#include "base/limits.h"

static const struct wire_ops *ops_of(enum af_wire_format format)
{
    switch (format) {
    case AF_WIRE_V1_JSON: return &wire_v1_json;
    case AF_WIRE_V1_CSV: return &wire_v1_csv;
    case AF_WIRE_V1_MSGPACK: return &wire_v1_msgpack;
    case AF_WIRE_TABLE: return &wire_table;
    case AF_WIRE_JSON_LINES: return &wire_json_lines;
    case AF_WIRE_CSV: return &wire_csv;
    default: return &wire_arrow;
    }
}

enum af_status af_wire_new(const struct af_wire_options *options, struct af_buf *out, struct af_wire **out_wire, struct af_error *err)
{
    struct af_wire *wire = af_alloc_zero(1, sizeof *wire);
    if (wire == NULL)
        return af_fail_nomem(err, "an answer");
    wire->options = *options;
    if (wire->options.chunk_rows == 0)
        wire->options.chunk_rows = AF_WIRE_CHUNK_ROWS;
    wire->ops = ops_of(options->format);
    wire->out = out;
    af_arena_init(&wire->arena, SIZE_MAX);
    if (options->format == AF_WIRE_ARROW)
        af_arena_init(&wire->arrow.arena, SIZE_MAX / 2);
    *out_wire = wire;
    return AF_OK;
}

void af_wire_free(struct af_wire *wire)
{
    if (wire == NULL)
        return;
    if (wire->options.format == AF_WIRE_ARROW) {
        for (size_t i = 0; wire->arrow.values != NULL && i < wire->arrow.key_count; i++)
            af_buf_done(&wire->arrow.values[i]);
        af_arena_done(&wire->arrow.arena);
    }
    af_arena_done(&wire->arena);
    af_free(wire);
}

void af_wire_begin(struct af_wire *wire)
{
    wire->ops->begin(wire);
}

void af_wire_statement(struct af_wire *wire, uint64_t id)
{
    wire->statement_id = id;
    wire->series = 0;
    wire->rows = 0;
    wire->mark = wire->out->len;
    wire->is_mark_gone = false;
    wire->is_settled = false;
    wire->zone = wire->options.zone;
    wire->cut = AF_WIRE_BY_ROWS;
    wire->ops->statement(wire);
    wire->statements++;
}

void af_wire_zone(struct af_wire *wire, const struct af_zone *zone)
{
    wire->zone = *zone;
}

void af_wire_cut(struct af_wire *wire, enum af_wire_cut cut)
{
    wire->cut = cut;
}

void af_wire_refusal(struct af_buf *out, const struct af_wire_options *options, const char *words)
{
    switch (options->format) {
    case AF_WIRE_V1_CSV:
        af_buf_append_str(out, "error\n");
        wire_csv_cell(out, af_slice_of(words));
        af_buf_append_char(out, '\n');
        break;
    case AF_WIRE_V1_MSGPACK: wire_msgpack_refusal(out, words); break;
    default:
        af_buf_append_str(out, options->pretty ? "{\n    \"error\": " : "{\"error\":");
        af_wire_json_text(out, af_slice_of(words));
        af_buf_append_str(out, options->pretty ? "\n}\n" : "}\n");
    }
}

/* --- series -------------------------------------------------------------------------------------------------------------------------- */

static bool same_columns(const struct af_wire *wire, const struct af_schema *schema)
{
    if (schema->field_count != wire->column_count)
        return false;
    for (size_t i = 0; i < wire->column_count; i++)
        if (strcmp(schema->fields[i].name, wire->columns[i]) != 0)
            return false;
    return true;
}

static bool is_same_series(const struct af_wire *wire, const struct af_table *table)
{
    return wire->key != NULL && af_group_key_compare(wire->key, table->key) == 0 && same_columns(wire, table->rows->schema);
}

static enum af_status keep_series(struct af_wire *wire, const struct af_table *table, struct af_error *err)
{
    static const struct af_group_key none = { 0 };
    const struct af_schema *schema = table->rows->schema;
    af_arena_reset(&wire->arena);
    wire->key = NULL;
    wire->column_count = schema->field_count;
    wire->columns = af_arena_alloc(&wire->arena, (schema->field_count + 1) * sizeof *wire->columns);
    if (wire->columns == NULL)
        return af_fail_nomem(err, "an answer");
    for (size_t i = 0; i < schema->field_count; i++)
        if ((wire->columns[i] = af_arena_copy(&wire->arena, af_slice_of(schema->fields[i].name))) == NULL)
            return af_fail_nomem(err, "an answer");
    wire->key = af_group_key_copy(table->key != NULL ? table->key : &none, &wire->arena);
    return wire->key != NULL ? AF_OK : af_fail_nomem(err, "an answer");
}

static void close_series(struct af_wire *wire, bool is_partial)
{
    if (wire->key != NULL)
        wire->ops->series_end(wire, is_partial);
    wire->key = NULL;
}

static void close_chunk(struct af_wire *wire)
{
    wire->ops->chunk_end(wire, wire->cut == AF_WIRE_BY_ROWS);
    wire->is_chunk_open = false;
    wire->is_settled = true;
    wire->series = 0;
}

static enum af_status open_series(struct af_wire *wire, const struct af_table *table, struct af_error *err)
{
    AF_TRY(keep_series(wire, table, err));
    wire->rows = 0;
    wire->is_chunk_open = true;
    wire->is_settled = false;
    wire->ops->series(wire, table);
    wire->series++;
    return AF_OK;
}

/* As many of the rows from `first` on as the chunk takes. */
static enum af_status put_rows(struct af_wire *wire, const struct af_table *table, size_t first, size_t end, size_t *out_next,
                               struct af_error *err)
{
    size_t count = end - first;
    bool is_cut = wire->options.chunked && wire->cut == AF_WIRE_BY_ROWS;
    if (is_cut && wire->rows == wire->options.chunk_rows) {
        close_series(wire, true);
        close_chunk(wire);
        AF_TRY(open_series(wire, table, err));
    }
    if (is_cut && count > wire->options.chunk_rows - wire->rows)
        count = wire->options.chunk_rows - wire->rows;
    AF_TRY(wire->ops->rows(wire, table, first, count, err));
    wire->rows += count;
    wire->all_rows += count;
    *out_next = first + count;
    return AF_OK;
}

enum af_status af_wire_table(struct af_wire *wire, const struct af_table *table, bool *out_full, struct af_error *err)
{
    size_t end = table->rows->row_count;
    const uint64_t rows_max = wire->options.rows_max;
    *out_full = rows_max != 0 && !wire->options.chunked && wire->all_rows + end >= rows_max;
    bool is_cut = *out_full && wire->all_rows + end > rows_max;
    if (is_cut)
        end = (size_t)(rows_max - wire->all_rows);
    if (!is_same_series(wire, table)) {
        bool had = wire->key != NULL;
        close_series(wire, false);
        if (had && wire->options.chunked && wire->cut != AF_WIRE_UNCUT)
            close_chunk(wire);
        AF_TRY(open_series(wire, table, err));
    }
    for (size_t at = 0; at < end;)
        AF_TRY(put_rows(wire, table, at, end, &at, err));
    if (is_cut)
        close_series(wire, true);
    return af_buf_check(wire->out, "the answer", err);
}

void af_wire_statement_end(struct af_wire *wire, const struct af_wire_message *messages, size_t message_count, const char *error)
{
    if (error != NULL && !wire->is_mark_gone && !wire->options.chunked) { /* nothing but the error */
        af_buf_rewind(wire->out, wire->mark);
        wire->key = NULL;
        wire->series = 0;
        wire->statements--;
        wire->ops->statement(wire);
        wire->statements++;
    }
    close_series(wire, false);
    wire->ops->statement_end(wire, messages, message_count, error);
    wire->is_chunk_open = false;
    wire->mark = wire->out->len;
}

void af_wire_end(struct af_wire *wire)
{
    wire->ops->end(wire);
    wire->is_settled = true;
}

void af_wire_settle(struct af_wire *wire)
{
    wire->is_settled = true;
}

/* --- sending ------------------------------------------------------------------------------------------------------------------------- */

size_t af_wire_ready(const struct af_wire *wire)
{
    if (wire->is_settled)
        return wire->out->len;
    if (wire->options.format == AF_WIRE_V1_MSGPACK)
        return 0;
    return wire->options.chunked || wire->out->len >= AF_WIRE_HOLD_BYTES ? wire->out->len : 0;
}

void af_wire_taken(struct af_wire *wire, size_t bytes)
{
    struct af_buf *out = wire->out;
    if (bytes == 0)
        return;
    if (bytes > wire->mark)
        wire->is_mark_gone = true;
    else
        wire->mark -= bytes;
    memmove(out->ptr, out->ptr + bytes, out->len - bytes);
    out->len -= bytes;
}
