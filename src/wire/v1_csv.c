/*
 * v1_csv.c - InfluxDB 1.x's CSV: name,tags,columns; an empty line and a new header where statement or columns change. Times are numbers.
 * What a statement failed of is not said, as there.
 */
#include "base/numbers.h"
#include "wire/wire_int.h"

static void csv_nothing(struct af_wire *wire)
{
    (void)wire;
}

static void put_header(struct af_wire *wire)
{
    if (wire->csv.statement != 0)
        af_buf_append_char(wire->out, '\n');
    af_buf_append_str(wire->out, "name,tags");
    for (size_t i = 0; i < wire->column_count; i++) {
        af_buf_append_char(wire->out, ',');
        wire_csv_cell(wire->out, af_slice_of(wire->columns[i]));
    }
    af_buf_append_char(wire->out, '\n');
}

/* The columns of the header that stands last, as one text in the buffer's own terms: a hash is enough to see a change. */
static uint64_t columns_hash(const struct af_wire *wire)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < wire->column_count; i++)
        for (const char *p = wire->columns[i];; p++) {
            hash = (hash ^ (unsigned char)*p) * 1099511628211u;
            if (*p == '\0')
                break;
        }
    return hash;
}

/* In a tag's text, as a series key escapes it. */
static void put_escaped(struct af_buf *out, struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == ',' || text.ptr[i] == '=' || text.ptr[i] == ' ')
            af_buf_append_char(out, '\\');
        af_buf_append_char(out, text.ptr[i]);
    }
}

/* k=v,k=v: tags without a value are not there. */
static void put_tags(struct af_buf *out, const struct af_group_key *group)
{
    const struct af_key_part *tags;
    size_t count = wire_tags_of(group, &tags);
    struct af_buf text;
    af_buf_init(&text, SIZE_MAX / 2);
    for (size_t i = 0; i < count; i++) {
        if (tags[i].value.type != AF_TYPE_STRING || tags[i].value.text.len == 0)
            continue;
        if (text.len != 0)
            af_buf_append_char(&text, ',');
        put_escaped(&text, tags[i].name);
        af_buf_append_char(&text, '=');
        put_escaped(&text, tags[i].value.text);
    }
    out->failed |= text.failed;
    wire_csv_cell(out, af_buf_slice(&text));
    af_buf_done(&text);
}

/* Name and tags are the same in every row of the series: made once. */
static void make_lead(struct af_wire *wire)
{
    struct af_buf lead;
    af_buf_init(&lead, SIZE_MAX / 2);
    wire_csv_cell(&lead, wire_name_of(wire->key));
    af_buf_append_char(&lead, ',');
    put_tags(&lead, wire->key);
    char *copy = lead.failed ? NULL : af_arena_copy(&wire->arena, af_buf_slice(&lead));
    wire->is_failed |= copy == NULL;
    wire->csv.lead = (struct af_slice){ copy, copy != NULL ? lead.len : 0 };
    af_buf_done(&lead);
}

static void csv_series(struct af_wire *wire, const struct af_table *table)
{
    (void)table;
    uint64_t hash = columns_hash(wire);
    make_lead(wire);
    if (wire->csv.statement == wire->statement_id + 1 && wire->csv.columns == hash)
        return;
    put_header(wire);
    wire->csv.statement = wire->statement_id + 1;
    wire->csv.columns = hash;
}

static void put_cell(struct af_wire *wire, const struct af_column *column, size_t row, bool is_first)
{
    struct af_buf *out = wire->out;
    if (wire_is_null(column, row))
        return;
    int64_t unit = is_first && wire->options.epoch_ns != 0 ? wire->options.epoch_ns : 1;
    switch (column->type) {
    case AF_TYPE_TIME: af_buf_printf(out, "%lld", (long long)(column->i64[row] / unit)); break;
    case AF_TYPE_F64: wire_f64_plain(out, column->f64[row]); break;
    case AF_TYPE_I64: af_buf_printf(out, "%lld", (long long)column->i64[row]); break;
    case AF_TYPE_U64: af_buf_printf(out, "%llu", (unsigned long long)column->u64[row]); break;
    case AF_TYPE_BOOL: af_buf_append_str(out, af_bit_get(column->bits, row) ? "true" : "false"); break;
    default: wire_csv_cell(out, af_column_text(column, row)); break;
    }
}

static enum af_status csv_rows(struct af_wire *wire, const struct af_table *table, size_t first, size_t count, struct af_error *err)
{
    struct af_buf *out = wire->out;
    for (size_t row = first; row < first + count; row++) {
        af_buf_append_slice(out, wire->csv.lead);
        for (size_t i = 0; i < wire->column_count; i++) {
            af_buf_append_char(out, ',');
            put_cell(wire, &table->rows->columns[i], row, i == 0);
        }
        af_buf_append_char(out, '\n');
    }
    return wire->is_failed ? af_fail_nomem(err, "an answer") : AF_OK;
}

static void csv_no_end(struct af_wire *wire, bool is_partial)
{
    (void)wire;
    (void)is_partial;
}

static void csv_statement_end(struct af_wire *wire, const struct af_wire_message *messages, size_t count, const char *error)
{
    (void)wire;
    (void)messages;
    (void)count;
    (void)error;
}

const struct wire_ops wire_v1_csv = {
    .begin = csv_nothing,
    .statement = csv_nothing,
    .series = csv_series,
    .rows = csv_rows,
    .series_end = csv_no_end,
    .statement_end = csv_statement_end,
    .chunk_end = csv_no_end,
    .end = csv_nothing,
};
