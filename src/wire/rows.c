/*
 * rows.c - rows for programs: JSON lines (an object a row) and CSV (one header, then all rows). Name and tags are cells of each row.
 *
 *     {"time":"2024-01-01T00:00:00Z","name":"m","tags":{"region":"SE"},"v":1.5}
 *     name,region,time,v
 *
 * CSV has one header: when a later series has other columns or tags, an empty line and a new header come first.
 */
#include "base/numbers.h"
#include "wire/wire_int.h"

static void nothing(struct af_wire *wire)
{
    (void)wire;
}

static void nothing_at_end(struct af_wire *wire, bool is_partial)
{
    (void)wire;
    (void)is_partial;
}

/* What a program reads is rows: words are for the caller to say elsewhere. */
static void nothing_of_words(struct af_wire *wire, const struct af_wire_message *messages, size_t count, const char *error)
{
    (void)wire;
    (void)messages;
    (void)count;
    (void)error;
}

static void put_plain(struct af_buf *out, const struct af_column *column, size_t row, const struct af_wire *wire, bool is_first)
{
    char text[AF_F64_TEXT_MAX];
    switch (column->type) {
    case AF_TYPE_F64: af_buf_append(out, text, (size_t)(af_f64_print(text, column->f64[row]) - text)); break;
    case AF_TYPE_U64: af_buf_printf(out, "%llu", (unsigned long long)column->u64[row]); break;
    case AF_TYPE_BOOL: af_buf_append_str(out, af_bit_get(column->bits, row) ? "true" : "false"); break;
    default: af_buf_printf(out, "%lld", (long long)(column->i64[row] / (is_first && wire->options.epoch_ns != 0 ? wire->options.epoch_ns
                                                                        : 1)));
    }
}

static bool is_text(const struct af_wire *wire, const struct af_column *column, bool is_first)
{
    return af_type_is_text(column->type) || (column->type == AF_TYPE_TIME && !(is_first && wire->options.epoch_ns != 0));
}

/* Text, or a time as text; `time` has room for 48 bytes. */
static struct af_slice text_of(const struct af_wire *wire, const struct af_column *column, size_t row, char *time)
{
    if (column->type != AF_TYPE_TIME)
        return af_column_text(column, row);
    return (struct af_slice){ time, (size_t)(wire_time_print(time, column->i64[row], &wire->zone) - time) };
}

/* --- JSON lines ------------------------------------------------------------------------------------------------------------------- */

static void json_key(struct af_buf *out, const char *name, bool *needs_comma)
{
    if (*needs_comma)
        af_buf_append_char(out, ',');
    *needs_comma = true;
    af_wire_json_text(out, af_slice_of(name));
    af_buf_append_char(out, ':');
}

static void json_series_cells(struct af_wire *wire, bool *needs_comma)
{
    const struct af_key_part *tags;
    struct af_buf *out = wire->out;
    struct af_slice name = wire_name_of(wire->key);
    size_t count = wire_tags_of(wire->key, &tags);
    if (name.len != 0) {
        json_key(out, "name", needs_comma);
        af_wire_json_text(out, name);
    }
    if (count == 0)
        return;
    json_key(out, "tags", needs_comma);
    for (size_t i = 0; i < count; i++) {
        af_buf_append_char(out, i == 0 ? '{' : ',');
        af_wire_json_text(out, tags[i].name);
        af_buf_append_char(out, ':');
        af_wire_json_text(out, tags[i].value.type == AF_TYPE_STRING ? tags[i].value.text : AF_SLICE_LIT(""));
    }
    af_buf_append_char(out, '}');
}

static void json_text(struct af_wire *wire, const struct af_column *column, size_t row)
{
    char time[48];
    const struct af_json *nested = wire_nested(wire, column, row);
    if (nested != NULL)
        af_json_append(wire->out, nested);
    else
        af_wire_json_text(wire->out, text_of(wire, column, row, time));
}

static void json_cell(struct af_wire *wire, const struct af_column *column, size_t row, bool is_first)
{
    if (wire_is_null(column, row) || (column->type == AF_TYPE_F64 && column->f64[row] - column->f64[row] != 0))
        af_buf_append_str(wire->out, "null");
    else if (is_text(wire, column, is_first))
        json_text(wire, column, row);
    else
        put_plain(wire->out, column, row, wire, is_first);
}

static enum af_status json_rows(struct af_wire *wire, const struct af_table *table, size_t first, size_t count, struct af_error *err)
{
    (void)err;
    for (size_t row = first; row < first + count; row++) {
        bool needs_comma = false;
        af_buf_append_char(wire->out, '{');
        for (size_t i = 0; i < wire->column_count; i++) {
            json_key(wire->out, wire->columns[i], &needs_comma);
            json_cell(wire, &table->rows->columns[i], row, i == 0);
            if (i == 0 && table->rows->columns[0].type == AF_TYPE_TIME)
                json_series_cells(wire, &needs_comma);
        }
        if (wire->column_count == 0 || table->rows->columns[0].type != AF_TYPE_TIME)
            json_series_cells(wire, &needs_comma);
        af_buf_append_str(wire->out, "}\n");
    }
    return AF_OK;
}

static void json_series(struct af_wire *wire, const struct af_table *table)
{
    (void)wire;
    (void)table;
}

const struct wire_ops wire_json_lines = {
    .begin = nothing,
    .statement = nothing,
    .series = json_series,
    .rows = json_rows,
    .series_end = nothing_at_end,
    .statement_end = nothing_of_words,
    .chunk_end = nothing_at_end,
    .end = nothing,
};

/* --- CSV --------------------------------------------------------------------------------------------------------------------------- */

static uint64_t hash_text(uint64_t hash, struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * 1099511628211u;
    return (hash ^ 255) * 1099511628211u;
}

static uint64_t header_hash(const struct af_wire *wire)
{
    const struct af_key_part *tags;
    size_t count = wire_tags_of(wire->key, &tags);
    uint64_t hash = 14695981039346656037u + (wire_name_of(wire->key).len != 0);
    for (size_t i = 0; i < count; i++)
        hash = hash_text(hash, tags[i].name);
    for (size_t i = 0; i < wire->column_count; i++)
        hash = hash_text(hash, af_slice_of(wire->columns[i]));
    return hash;
}

static void csv_next(struct af_buf *out, size_t *cells, struct af_slice text)
{
    if ((*cells)++ != 0)
        af_buf_append_char(out, ',');
    wire_csv_cell(out, text);
}

static void csv_series(struct af_wire *wire, const struct af_table *table)
{
    const struct af_key_part *tags;
    size_t cells = 0, count = wire_tags_of(wire->key, &tags);
    uint64_t hash = header_hash(wire);
    (void)table;
    if (wire->csv.statement == wire->statement_id + 1 && wire->csv.columns == hash)
        return;
    if (wire->csv.statement != 0)
        af_buf_append_char(wire->out, '\n');
    wire->csv.statement = wire->statement_id + 1;
    wire->csv.columns = hash;
    if (wire_name_of(wire->key).len != 0)
        csv_next(wire->out, &cells, AF_SLICE_LIT("name"));
    for (size_t i = 0; i < count; i++)
        csv_next(wire->out, &cells, tags[i].name);
    for (size_t i = 0; i < wire->column_count; i++)
        csv_next(wire->out, &cells, af_slice_of(wire->columns[i]));
    af_buf_append_char(wire->out, '\n');
}

static void csv_row(struct af_wire *wire, const struct af_batch *rows, size_t row)
{
    const struct af_key_part *tags;
    size_t cells = 0, count = wire_tags_of(wire->key, &tags);
    char time[48];
    if (wire_name_of(wire->key).len != 0)
        csv_next(wire->out, &cells, wire_name_of(wire->key));
    for (size_t i = 0; i < count; i++)
        csv_next(wire->out, &cells, tags[i].value.type == AF_TYPE_STRING ? tags[i].value.text : AF_SLICE_LIT(""));
    for (size_t i = 0; i < wire->column_count; i++) {
        const struct af_column *column = &rows->columns[i];
        if (wire_is_null(column, row)) {
            csv_next(wire->out, &cells, AF_SLICE_LIT(""));
        } else if (is_text(wire, column, i == 0)) {
            csv_next(wire->out, &cells, text_of(wire, column, row, time));
        } else {
            csv_next(wire->out, &cells, AF_SLICE_LIT(""));
            put_plain(wire->out, column, row, wire, i == 0);
        }
    }
    af_buf_append_char(wire->out, '\n');
}

static enum af_status csv_rows(struct af_wire *wire, const struct af_table *table, size_t first, size_t count, struct af_error *err)
{
    (void)err;
    for (size_t row = first; row < first + count; row++)
        csv_row(wire, table->rows, row);
    return AF_OK;
}

const struct wire_ops wire_csv = {
    .begin = nothing,
    .statement = nothing,
    .series = csv_series,
    .rows = csv_rows,
    .series_end = nothing_at_end,
    .statement_end = nothing_of_words,
    .chunk_end = nothing_at_end,
    .end = nothing,
};
