/*
 * v1_json.c - InfluxDB 1.x's JSON, byte for byte as its Go prints it, plain or pretty.
 *
 *     {"results":[{"statement_id":0,"series":[{"name":..,"tags":{..},"columns":[..],"values":[[..],..]}]}]}\n
 *
 * A result's keys in order: statement_id, series, messages, partial, error. Chunked: an object of this kind for each chunk.
 */
#include "base/numbers.h"
#include "wire/wire_int.h"
#include <math.h>

/* Pretty: a new line and so many fours of spaces. */
static void line(struct af_wire *wire, size_t depth)
{
    if (!wire->options.pretty)
        return;
    char *dst = af_buf_reserve(wire->out, 1 + depth * 4);
    if (dst == NULL)
        return;
    dst[0] = '\n';
    memset(dst + 1, ' ', depth * 4);
    wire->out->len += 1 + depth * 4;
}

static void key(struct af_wire *wire, size_t depth, const char *name)
{
    line(wire, depth);
    af_wire_json_text(wire->out, af_slice_of(name));
    af_buf_append_str(wire->out, wire->options.pretty ? ": " : ":");
}

enum { DEPTH_RESULTS = 1, DEPTH_RESULT = 2, DEPTH_IN_RESULT = 3, DEPTH_SERIES = 4, DEPTH_IN_SERIES = 5, DEPTH_ROW = 6, DEPTH_CELL = 7 };

static void open_answer(struct af_wire *wire)
{
    af_buf_append_char(wire->out, '{');
    key(wire, DEPTH_RESULTS, "results");
    af_buf_append_char(wire->out, '[');
}

static void close_answer(struct af_wire *wire)
{
    line(wire, DEPTH_RESULTS);
    af_buf_append_char(wire->out, ']');
    line(wire, 0);
    af_buf_append_str(wire->out, "}\n");
}

static void json_begin(struct af_wire *wire)
{
    if (!wire->options.chunked)
        open_answer(wire);
}

static void open_result(struct af_wire *wire)
{
    if (wire->options.chunked)
        open_answer(wire);
    line(wire, DEPTH_RESULT);
    af_buf_append_char(wire->out, '{');
    key(wire, DEPTH_IN_RESULT, "statement_id");
    af_buf_printf(wire->out, "%llu", (unsigned long long)wire->statement_id);
}

static void json_statement(struct af_wire *wire)
{
    if (wire->options.chunked)
        return; /* its first chunk opens it */
    if (wire->statements != 0)
        af_buf_append_char(wire->out, ',');
    open_result(wire);
}

/* --- series ------------------------------------------------------------------------------------------------------------------------- */

static void put_tags(struct af_wire *wire, const struct af_group_key *group)
{
    const struct af_key_part *tags;
    size_t count = wire_tags_of(group, &tags);
    if (count == 0)
        return;
    key(wire, DEPTH_IN_SERIES, "tags");
    af_buf_append_char(wire->out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            af_buf_append_char(wire->out, ',');
        line(wire, DEPTH_ROW);
        af_wire_json_text(wire->out, tags[i].name);
        af_buf_append_str(wire->out, wire->options.pretty ? ": " : ":");
        af_wire_json_text(wire->out, tags[i].value.type == AF_TYPE_STRING ? tags[i].value.text : AF_SLICE_LIT(""));
    }
    line(wire, DEPTH_IN_SERIES);
    af_buf_append_str(wire->out, "},");
}

static void put_columns(struct af_wire *wire)
{
    key(wire, DEPTH_IN_SERIES, "columns");
    af_buf_append_char(wire->out, '[');
    for (size_t i = 0; i < wire->column_count; i++) {
        if (i != 0)
            af_buf_append_char(wire->out, ',');
        line(wire, DEPTH_ROW);
        af_wire_json_text(wire->out, af_slice_of(wire->columns[i]));
    }
    line(wire, DEPTH_IN_SERIES);
    af_buf_append_char(wire->out, ']');
}

static void json_series(struct af_wire *wire, const struct af_table *table)
{
    if (wire->options.chunked && wire->series == 0)
        open_result(wire);
    af_buf_append_char(wire->out, ',');
    if (wire->series == 0) {
        key(wire, DEPTH_IN_RESULT, "series");
        af_buf_append_char(wire->out, '[');
    }
    line(wire, DEPTH_SERIES);
    af_buf_append_char(wire->out, '{');
    struct af_slice name = wire_name_of(table->key);
    if (name.len != 0) {
        key(wire, DEPTH_IN_SERIES, "name");
        af_wire_json_text(wire->out, name);
        af_buf_append_char(wire->out, ',');
    }
    put_tags(wire, table->key);
    put_columns(wire);
}

static void put_time(struct af_wire *wire, int64_t ns, bool is_first)
{
    char *dst = af_buf_reserve(wire->out, 64);
    if (dst == NULL)
        return;
    char *end = dst;
    if (wire->options.epoch_ns != 0 && is_first) {
        end = af_i64_print(dst, ns / wire->options.epoch_ns);
    } else {
        *end++ = '"';
        end = wire_time_print(end, ns, &wire->zone);
        *end++ = '"';
    }
    wire->out->len += (size_t)(end - dst);
}

static enum af_status put_float(struct af_buf *out, double value, struct af_error *err)
{
    if (isinf(value))
        return af_fail(err, AF_EINVAL, "json: unsupported value: %cInf", value > 0 ? '+' : '-');
    af_wire_json_float(out, value);
    return AF_OK;
}

static void put_integer(struct af_buf *out, int64_t value)
{
    char *dst = af_buf_reserve(out, AF_I64_TEXT_MAX);
    if (dst != NULL)
        out->len += (size_t)(af_i64_print(dst, value) - dst);
}

/* Lists and objects inside of a cell, spaced as all else. */
static void put_nested(struct af_wire *wire, const struct af_json *json, size_t depth)
{
    bool is_object = json->kind == AF_JSON_OBJECT;
    if (json->kind == AF_JSON_STRING)
        af_wire_json_text(wire->out, json->text);
    if (json->kind != AF_JSON_ARRAY && !is_object) {
        if (json->kind != AF_JSON_STRING)
            af_json_append(wire->out, json);
        return;
    }
    af_buf_append_char(wire->out, is_object ? '{' : '[');
    for (const struct af_json *item = json->first; item != NULL; item = item->next) {
        if (item != json->first)
            af_buf_append_char(wire->out, ',');
        line(wire, depth + 1);
        if (is_object) {
            af_wire_json_text(wire->out, item->key);
            af_buf_append_str(wire->out, wire->options.pretty ? ": " : ":");
        }
        put_nested(wire, item, depth + 1); /* no deeper than JSON is read */
    }
    if (json->first != NULL)
        line(wire, depth);
    af_buf_append_char(wire->out, is_object ? '}' : ']');
}

static void put_text(struct af_wire *wire, const struct af_column *column, size_t row)
{
    const struct af_json *json = wire_nested(wire, column, row);
    if (json != NULL)
        put_nested(wire, json, DEPTH_CELL);
    else
        af_wire_json_text(wire->out, af_column_text(column, row));
}

static enum af_status put_cell(struct af_wire *wire, const struct af_column *column, size_t row, bool is_first, struct af_error *err)
{
    struct af_buf *out = wire->out;
    if (wire_is_null(column, row)) {
        af_buf_append_str(out, "null");
        return AF_OK;
    }
    switch (column->type) {
    case AF_TYPE_TIME: put_time(wire, column->i64[row], is_first); return AF_OK;
    case AF_TYPE_F64: return put_float(out, column->f64[row], err);
    case AF_TYPE_I64: put_integer(out, column->i64[row]); return AF_OK;
    case AF_TYPE_U64: af_buf_printf(out, "%llu", (unsigned long long)column->u64[row]); return AF_OK;
    case AF_TYPE_BOOL: af_buf_append_str(out, af_bit_get(column->bits, row) ? "true" : "false"); return AF_OK;
    default: put_text(wire, column, row); return AF_OK;
    }
}

/* --- rows that need no care: not pretty, every text plain. One look for room a row, not one a byte. ---------------------------------- */

enum { PLAIN_CELL_BYTES = 64 }; /* of anything but text, with a comma */

/* Bytes that the row may take; 0: a cell of it needs more care. */
static size_t plain_row_bytes(const struct af_wire *wire, const struct af_batch *rows, size_t row)
{
    size_t bytes = 3;
    for (size_t i = 0; i < wire->column_count; i++) {
        const struct af_column *column = &rows->columns[i];
        bytes += PLAIN_CELL_BYTES;
        if (column->type == AF_TYPE_JSON || (column->type == AF_TYPE_F64 && isinf(column->f64[row])))
            return 0;
        if (column->type == AF_TYPE_STRING && af_column_has(column, row)) {
            struct af_slice text = af_column_text(column, row);
            if (!wire_text_is_plain(text))
                return 0;
            bytes += text.len;
        }
    }
    return bytes;
}

static char *put_plain_text(char *dst, struct af_slice text)
{
    *dst++ = '"';
    if (text.len != 0)
        memcpy(dst, text.ptr, text.len);
    dst += text.len;
    *dst++ = '"';
    return dst;
}

static char *put_word(char *dst, struct af_slice word)
{
    memcpy(dst, word.ptr, word.len);
    return dst + word.len;
}

/* NULL: of a type that is not printed here. */
static char *put_plain_cell(const struct af_wire *wire, const struct af_column *column, size_t row, bool is_first, char *dst)
{
    if (wire_is_null(column, row))
        return put_word(dst, AF_SLICE_LIT("null"));
    switch (column->type) {
    case AF_TYPE_TIME:
        return is_first && wire->options.epoch_ns != 0 ? af_i64_print(dst, column->i64[row] / wire->options.epoch_ns) : NULL;
    case AF_TYPE_F64: return wire_f64_print_json(dst, column->f64[row]);
    case AF_TYPE_I64: return af_i64_print(dst, column->i64[row]);
    case AF_TYPE_BOOL: return put_word(dst, af_bit_get(column->bits, row) ? AF_SLICE_LIT("true") : AF_SLICE_LIT("false"));
    case AF_TYPE_STRING: return put_plain_text(dst, af_column_text(column, row));
    default: return NULL;
    }
}

/* `[cell,cell]`, or nothing at all. */
static bool put_plain_row(struct af_wire *wire, const struct af_batch *rows, size_t row)
{
    size_t bytes = wire->options.pretty ? 0 : plain_row_bytes(wire, rows, row);
    char *dst = bytes != 0 ? af_buf_reserve(wire->out, bytes) : NULL;
    if (dst == NULL)
        return false;
    *dst++ = '[';
    for (size_t i = 0; i < wire->column_count && dst != NULL; i++) {
        if (i != 0)
            *dst++ = ',';
        dst = put_plain_cell(wire, &rows->columns[i], row, i == 0, dst);
    }
    if (dst == NULL)
        return false;
    *dst++ = ']';
    wire->out->len = (size_t)(dst - wire->out->ptr);
    return true;
}

static enum af_status put_row(struct af_wire *wire, const struct af_batch *rows, size_t row, struct af_error *err)
{
    struct af_buf *out = wire->out;
    line(wire, DEPTH_ROW);
    af_buf_append_char(out, '[');
    for (size_t i = 0; i < wire->column_count; i++) {
        if (i != 0)
            af_buf_append_char(out, ',');
        line(wire, DEPTH_CELL);
        AF_TRY(put_cell(wire, &rows->columns[i], row, i == 0, err));
    }
    line(wire, DEPTH_ROW);
    af_buf_append_char(out, ']');
    return AF_OK;
}

static enum af_status json_rows(struct af_wire *wire, const struct af_table *table, size_t first, size_t count, struct af_error *err)
{
    for (size_t row = first; row < first + count; row++) {
        af_buf_append_char(wire->out, ',');
        if (wire->rows == 0 && row == first) {
            key(wire, DEPTH_IN_SERIES, "values");
            af_buf_append_char(wire->out, '[');
        }
        if (!put_plain_row(wire, table->rows, row))
            AF_TRY(put_row(wire, table->rows, row, err));
    }
    return AF_OK;
}

static void put_partial(struct af_wire *wire, size_t depth)
{
    af_buf_append_char(wire->out, ',');
    key(wire, depth, "partial");
    af_buf_append_str(wire->out, "true");
}

static void json_series_end(struct af_wire *wire, bool is_partial)
{
    if (wire->rows != 0) {
        line(wire, DEPTH_IN_SERIES);
        af_buf_append_char(wire->out, ']');
    }
    if (is_partial)
        put_partial(wire, DEPTH_IN_SERIES);
    line(wire, DEPTH_SERIES);
    af_buf_append_char(wire->out, '}');
}

/* --- ends --------------------------------------------------------------------------------------------------------------------------- */

static void close_list(struct af_wire *wire)
{
    if (wire->series == 0)
        return;
    line(wire, DEPTH_IN_RESULT);
    af_buf_append_char(wire->out, ']');
}

static void close_result(struct af_wire *wire)
{
    line(wire, DEPTH_RESULT);
    af_buf_append_char(wire->out, '}');
    if (wire->options.chunked)
        close_answer(wire);
}

static void json_chunk_end(struct af_wire *wire, bool is_partial)
{
    close_list(wire);
    if (is_partial)
        put_partial(wire, DEPTH_IN_RESULT);
    close_result(wire);
}

static void put_messages(struct af_wire *wire, const struct af_wire_message *messages, size_t count)
{
    if (count == 0)
        return;
    af_buf_append_char(wire->out, ',');
    key(wire, DEPTH_IN_RESULT, "messages");
    af_buf_append_char(wire->out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            af_buf_append_char(wire->out, ',');
        line(wire, DEPTH_SERIES);
        af_buf_append_char(wire->out, '{');
        key(wire, DEPTH_IN_SERIES, "level");
        af_wire_json_text(wire->out, af_slice_of(messages[i].level));
        af_buf_append_char(wire->out, ',');
        key(wire, DEPTH_IN_SERIES, "text");
        af_wire_json_text(wire->out, af_slice_of(messages[i].text));
        line(wire, DEPTH_SERIES);
        af_buf_append_char(wire->out, '}');
    }
    line(wire, DEPTH_IN_RESULT);
    af_buf_append_char(wire->out, ']');
}

static void json_statement_end(struct af_wire *wire, const struct af_wire_message *messages, size_t count, const char *error)
{
    if (wire->options.chunked && wire->series == 0)
        open_result(wire);
    close_list(wire);
    put_messages(wire, messages, count);
    if (error != NULL) {
        af_buf_append_char(wire->out, ',');
        key(wire, DEPTH_IN_RESULT, "error");
        af_wire_json_text(wire->out, af_slice_of(error));
    }
    close_result(wire);
}

static void json_end(struct af_wire *wire)
{
    if (!wire->options.chunked)
        close_answer(wire);
}

const struct wire_ops wire_v1_json = {
    .begin = json_begin,
    .statement = json_statement,
    .series = json_series,
    .rows = json_rows,
    .series_end = json_series_end,
    .statement_end = json_statement_end,
    .chunk_end = json_chunk_end,
    .end = json_end,
};
