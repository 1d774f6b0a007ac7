/*
 * v1_msgpack.c - the answer of 1.x as msgpack: what the JSON says, times as extension 5 (seconds and nanoseconds, big-endian) unless an
 * epoch is asked for.
 *
 * Lists begin with their length, which is only known at their end: a place of five bytes is kept and closed up to what the length takes.
 */
#include "wire/wire_int.h"

enum { EXT_TIME = 5, EXT_TIME_BYTES = 12, PLACE = 5 };

static void put_be(struct af_buf *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0;)
        af_buf_append_char(out, (char)(value >> (i * 8) & 0xff));
}

static void put_tagged(struct af_buf *out, unsigned tag, uint64_t value, unsigned bytes)
{
    af_buf_append_char(out, (char)tag);
    put_be(out, value, bytes);
}

/* The head of a map (0x80) or list (0x90) of so many; the longer forms are `wide` and the one after. */
static size_t head_of(unsigned fix, unsigned wide, uint64_t count, unsigned char out[PLACE])
{
    if (count < 16) {
        out[0] = (unsigned char)(fix | count);
        return 1;
    }
    size_t bytes = count <= UINT16_MAX ? 2 : 4;
    out[0] = (unsigned char)(bytes == 2 ? wide : wide + 1);
    for (size_t i = 0; i < bytes; i++)
        out[1 + i] = (unsigned char)(count >> ((bytes - 1 - i) * 8) & 0xff);
    return 1 + bytes;
}

static void put_map(struct af_buf *out, uint64_t count)
{
    unsigned char head[PLACE];
    af_buf_append(out, head, head_of(0x80, 0xde, count, head));
}

static void put_list(struct af_buf *out, uint64_t count)
{
    unsigned char head[PLACE];
    af_buf_append(out, head, head_of(0x90, 0xdc, count, head));
}

static void put_text(struct af_buf *out, struct af_slice text)
{
    if (text.len < 32)
        af_buf_append_char(out, (char)(0xa0 | text.len));
    else if (text.len <= UINT8_MAX)
        put_tagged(out, 0xd9, text.len, 1);
    else if (text.len <= UINT16_MAX)
        put_tagged(out, 0xda, text.len, 2);
    else
        put_tagged(out, 0xdb, text.len, 4);
    af_buf_append_slice(out, text);
}

static void put_str(struct af_buf *out, const char *text)
{
    put_text(out, af_slice_of(text));
}

static void put_unsigned(struct af_buf *out, uint64_t value)
{
    if (value < 128)
        af_buf_append_char(out, (char)value);
    else if (value <= UINT8_MAX)
        put_tagged(out, 0xcc, value, 1);
    else if (value <= UINT16_MAX)
        put_tagged(out, 0xcd, value, 2);
    else if (value <= UINT32_MAX)
        put_tagged(out, 0xce, value, 4);
    else
        put_tagged(out, 0xcf, value, 8);
}

static void put_integer(struct af_buf *out, int64_t value)
{
    if (value >= 0) /* as signed forms: what the client reads is an integer */
        value < 128 ? af_buf_append_char(out, (char)value)
        : value <= INT16_MAX ? put_tagged(out, 0xd1, (uint64_t)value, 2)
        : value <= INT32_MAX ? put_tagged(out, 0xd2, (uint64_t)value, 4)
                             : put_tagged(out, 0xd3, (uint64_t)value, 8);
    else if (value >= -32)
        af_buf_append_char(out, (char)value);
    else if (value >= INT8_MIN)
        put_tagged(out, 0xd0, (uint64_t)value, 1);
    else if (value >= INT16_MIN)
        put_tagged(out, 0xd1, (uint64_t)value, 2);
    else if (value >= INT32_MIN)
        put_tagged(out, 0xd2, (uint64_t)value, 4);
    else
        put_tagged(out, 0xd3, (uint64_t)value, 8);
}

/* --- lists whose length comes later --------------------------------------------------------------------------------------------- */

static size_t keep_place(struct af_buf *out)
{
    size_t at = out->len;
    af_buf_append(out, "\0\0\0\0", PLACE);
    return at;
}

static void fill_place(struct af_buf *out, size_t at, unsigned fix, unsigned wide, uint64_t count)
{
    unsigned char head[PLACE];
    size_t len = head_of(fix, wide, count, head);
    if (out->failed)
        return;
    memcpy(out->ptr + at, head, len);
    memmove(out->ptr + at + len, out->ptr + at + PLACE, out->len - at - PLACE);
    out->len -= PLACE - len;
}

/* --- the answer ---------------------------------------------------------------------------------------------------------------------- */

static void open_answer(struct af_wire *wire)
{
    put_map(wire->out, 1);
    put_str(wire->out, "results");
}

static void pack_begin(struct af_wire *wire)
{
    if (wire->options.chunked)
        return;
    open_answer(wire);
    wire->msgpack.results_at = keep_place(wire->out);
}

static void pack_statement(struct af_wire *wire)
{
    wire->msgpack.result_at = wire->out->len;
}

/* A result begins with how many entries it has, so it is opened when its first series is known and its head filled in at the end. */
static void open_result(struct af_wire *wire)
{
    if (wire->options.chunked) {
        open_answer(wire);
        put_list(wire->out, 1);
    }
    wire->msgpack.result_at = keep_place(wire->out);
    put_str(wire->out, "statement_id");
    put_unsigned(wire->out, wire->statement_id);
    put_str(wire->out, "series");
    wire->msgpack.list_at = keep_place(wire->out);
}

static void pack_series(struct af_wire *wire, const struct af_table *table)
{
    struct af_buf *out = wire->out;
    const struct af_key_part *tags;
    size_t tag_count = wire_tags_of(table->key, &tags);
    struct af_slice name = wire_name_of(table->key);
    if (wire->series == 0)
        open_result(wire);
    wire->msgpack.series_at = keep_place(out);
    wire->msgpack.series_entries = 2u + (name.len != 0) + (tag_count != 0);
    if (name.len != 0) {
        put_str(out, "name");
        put_text(out, name);
    }
    if (tag_count != 0) {
        put_str(out, "tags");
        put_map(out, tag_count);
    }
    for (size_t i = 0; i < tag_count; i++) {
        put_text(out, tags[i].name);
        put_text(out, tags[i].value.type == AF_TYPE_STRING ? tags[i].value.text : AF_SLICE_LIT(""));
    }
    put_str(out, "columns");
    put_list(out, wire->column_count);
    for (size_t i = 0; i < wire->column_count; i++)
        put_str(out, wire->columns[i]);
    put_str(out, "values");
    wire->msgpack.values_at = keep_place(out);
}

static void put_time(struct af_wire *wire, int64_t ns, bool is_first)
{
    if (is_first && wire->options.epoch_ns != 0) {
        put_integer(wire->out, ns / wire->options.epoch_ns);
        return;
    }
    int64_t seconds = af_floor_div(ns, AF_NS_PER_S), rest = ns % AF_NS_PER_S;
    af_buf_append_char(wire->out, (char)0xc7);
    af_buf_append_char(wire->out, EXT_TIME_BYTES);
    af_buf_append_char(wire->out, EXT_TIME);
    put_be(wire->out, (uint64_t)seconds, 8);
    put_be(wire->out, (uint64_t)(rest < 0 ? rest + AF_NS_PER_S : rest), 4);
}

static void put_number(struct af_buf *out, const struct af_json *json)
{
    int64_t integer;
    double value = 0;
    uint64_t bits;
    if (af_json_i64(json, &integer)) {
        put_integer(out, integer);
        return;
    }
    (void)af_json_f64(json, &value);
    memcpy(&bits, &value, sizeof bits);
    put_tagged(out, 0xcb, bits, 8);
}

/* Lists and objects inside of a cell. */
static void put_nested(struct af_buf *out, const struct af_json *json)
{
    uint64_t count = 0;
    for (const struct af_json *item = json->first; item != NULL; item = item->next)
        count++;
    switch (json->kind) {
    case AF_JSON_NULL: af_buf_append_char(out, (char)0xc0); return;
    case AF_JSON_BOOL: af_buf_append_char(out, (char)(json->is_true ? 0xc3 : 0xc2)); return;
    case AF_JSON_NUMBER: put_number(out, json); return;
    case AF_JSON_STRING: put_text(out, json->text); return;
    case AF_JSON_ARRAY: put_list(out, count); break;
    case AF_JSON_OBJECT: put_map(out, count); break;
    }
    for (const struct af_json *item = json->first; item != NULL; item = item->next) {
        if (json->kind == AF_JSON_OBJECT)
            put_text(out, item->key);
        put_nested(out, item); /* no deeper than JSON is read */
    }
}

static void put_text_cell(struct af_wire *wire, const struct af_column *column, size_t row)
{
    const struct af_json *json = wire_nested(wire, column, row);
    if (json != NULL)
        put_nested(wire->out, json);
    else
        put_text(wire->out, af_column_text(column, row));
}

static void put_cell(struct af_wire *wire, const struct af_column *column, size_t row, bool is_first)
{
    struct af_buf *out = wire->out;
    uint64_t bits;
    if (wire_is_null(column, row)) {
        af_buf_append_char(out, (char)0xc0);
        return;
    }
    switch (column->type) {
    case AF_TYPE_TIME: put_time(wire, column->i64[row], is_first); break;
    case AF_TYPE_F64:
        memcpy(&bits, &column->f64[row], sizeof bits);
        put_tagged(out, 0xcb, bits, 8);
        break;
    case AF_TYPE_I64: put_integer(out, column->i64[row]); break;
    case AF_TYPE_U64: put_unsigned(out, column->u64[row]); break;
    case AF_TYPE_BOOL: af_buf_append_char(out, (char)(af_bit_get(column->bits, row) ? 0xc3 : 0xc2)); break;
    default: put_text_cell(wire, column, row); break;
    }
}

static enum af_status pack_rows(struct af_wire *wire, const struct af_table *table, size_t first, size_t count, struct af_error *err)
{
    (void)err;
    for (size_t row = first; row < first + count; row++) {
        put_list(wire->out, wire->column_count);
        for (size_t i = 0; i < wire->column_count; i++)
            put_cell(wire, &table->rows->columns[i], row, i == 0);
    }
    return AF_OK;
}

static void put_partial(struct af_wire *wire)
{
    put_str(wire->out, "partial");
    af_buf_append_char(wire->out, (char)0xc3);
}

static void pack_series_end(struct af_wire *wire, bool is_partial)
{
    fill_place(wire->out, wire->msgpack.values_at, 0x90, 0xdc, wire->rows);
    if (is_partial)
        put_partial(wire);
    fill_place(wire->out, wire->msgpack.series_at, 0x80, 0xde, wire->msgpack.series_entries + is_partial);
}

static void pack_chunk_end(struct af_wire *wire, bool is_partial)
{
    fill_place(wire->out, wire->msgpack.list_at, 0x90, 0xdc, wire->series);
    if (is_partial)
        put_partial(wire);
    fill_place(wire->out, wire->msgpack.result_at, 0x80, 0xde, 2 + (uint64_t)is_partial);
}

void wire_msgpack_refusal(struct af_buf *out, const char *words)
{
    put_map(out, 1);
    put_str(out, "error");
    put_str(out, words);
}

static void pack_error(struct af_wire *wire, const char *error)
{
    if (!wire->options.chunked || wire->series != 0) {
        af_buf_rewind(wire->out, wire->msgpack.result_at);
    } else {
        open_answer(wire);
        put_list(wire->out, 1);
    }
    wire_msgpack_refusal(wire->out, error);
}

static void pack_statement_end(struct af_wire *wire, const struct af_wire_message *messages, size_t count, const char *error)
{
    struct af_buf *out = wire->out;
    if (error != NULL) {
        pack_error(wire, error);
        return;
    }
    if (wire->series == 0)
        open_result(wire);
    fill_place(out, wire->msgpack.list_at, 0x90, 0xdc, wire->series);
    if (count != 0) {
        put_str(out, "messages");
        put_list(out, count);
    }
    for (size_t i = 0; i < count; i++) {
        put_map(out, 2);
        put_str(out, "level");
        put_str(out, messages[i].level);
        put_str(out, "text");
        put_str(out, messages[i].text);
    }
    fill_place(out, wire->msgpack.result_at, 0x80, 0xde, 2 + (count != 0));
}

static void pack_end(struct af_wire *wire)
{
    if (!wire->options.chunked)
        fill_place(wire->out, wire->msgpack.results_at, 0x90, 0xdc, wire->statements);
}

const struct wire_ops wire_v1_msgpack = {
    .begin = pack_begin,
    .statement = pack_statement,
    .series = pack_series,
    .rows = pack_rows,
    .series_end = pack_series_end,
    .statement_end = pack_statement_end,
    .chunk_end = pack_chunk_end,
    .end = pack_end,
};
