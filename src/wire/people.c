/*
 * people.c - tables to look at: a heading for each series, columns aligned, numbers to the right.
 *
 *     generation_data  region=SE  source=hydro
 *     time                        mean
 *     -------------------- -----------
 *     2024-01-01T00:00:00Z     1234.5
 *
 * Widths are those of the first rows of a series (a table, at most AF_BATCH_ROWS); later cells that are wider stand out. On a terminal
 * that is narrower, long text is cut with an ellipsis.
 */
#include "base/numbers.h"
#include "wire/wire_int.h"

enum { PEOPLE_CELL_MAX = 200 };

static void nothing(struct af_wire *wire)
{
    (void)wire;
}

static void nothing_at_end(struct af_wire *wire, bool is_partial)
{
    (void)wire;
    (void)is_partial;
}

/* --- cells ------------------------------------------------------------------------------------------------------------------------ */

/* How many places text takes: code points, which is right for the scripts met here. */
static size_t places_of(struct af_slice text)
{
    size_t places = 0;
    for (size_t i = 0; i < text.len; i++)
        places += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return places;
}

/* The text of a cell; `scratch` is used for what is no text already. */
static struct af_slice cell_of(const struct af_wire *wire, const struct af_column *column, size_t row, bool is_first,
                               struct af_buf *scratch)
{
    char text[64];
    char *end = text;
    if (wire_is_null(column, row))
        return AF_SLICE_LIT("");
    switch (column->type) {
    case AF_TYPE_TIME:
        if (is_first && wire->options.epoch_ns != 0)
            end = af_i64_print(text, column->i64[row] / wire->options.epoch_ns);
        else
            end = wire_time_print(text, column->i64[row], &wire->zone);
        break;
    case AF_TYPE_F64:
        if (column->f64[row] - column->f64[row] != 0)
            return column->f64[row] > 0 ? AF_SLICE_LIT("+Inf") : AF_SLICE_LIT("-Inf");
        end = af_f64_print(text, column->f64[row]);
        break;
    case AF_TYPE_I64: end = af_i64_print(text, column->i64[row]); break;
    case AF_TYPE_U64: end = af_u64_print(text, column->u64[row]); break;
    case AF_TYPE_BOOL: return af_bit_get(column->bits, row) ? AF_SLICE_LIT("true") : AF_SLICE_LIT("false");
    default: return af_column_text(column, row);
    }
    af_buf_clear(scratch);
    af_buf_append(scratch, text, (size_t)(end - text));
    return af_buf_slice(scratch);
}

static void put_spaces(struct af_buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        af_buf_append_char(out, ' ');
}

/* Control characters would move the cursor. */
static void put_text(struct af_buf *out, struct af_slice text, size_t places_max)
{
    size_t places = 0, all = places_of(text);
    for (size_t i = 0; i < text.len; i++) {
        bool is_start = ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
        if (is_start && all > places_max && places + 1 >= places_max) {
            af_buf_append_str(out, "\xe2\x80\xa6");
            return;
        }
        places += is_start;
        af_buf_append_char(out, (unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 127 ? '?' : text.ptr[i]);
    }
}

static void put_cell(struct af_buf *out, struct af_slice text, size_t width, bool is_right, bool is_last, bool is_narrowed)
{
    size_t places = places_of(text);
    size_t pad = places < width ? width - places : 0;
    if (is_right)
        put_spaces(out, pad);
    put_text(out, text, is_narrowed ? width : SIZE_MAX);
    if (!is_right && !is_last)
        put_spaces(out, pad);
}

/* --- series ------------------------------------------------------------------------------------------------------------------------- */

static void put_heading(struct af_wire *wire, const struct af_table *table)
{
    const struct af_key_part *tags;
    struct af_buf *out = wire->out;
    size_t count = wire_tags_of(table->key, &tags);
    struct af_slice name = wire_name_of(table->key);
    if (wire->people.tables++ != 0)
        af_buf_append_char(out, '\n');
    if (name.len == 0 && count == 0)
        return;
    if (wire->options.colour)
        af_buf_append_str(out, "\033[1m");
    put_text(out, name, SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        af_buf_append_str(out, i == 0 && name.len == 0 ? "" : "  ");
        put_text(out, tags[i].name, SIZE_MAX);
        af_buf_append_char(out, '=');
        put_text(out, tags[i].value.type == AF_TYPE_STRING ? tags[i].value.text : AF_SLICE_LIT(""), SIZE_MAX);
    }
    if (wire->options.colour)
        af_buf_append_str(out, "\033[0m");
    af_buf_append_char(out, '\n');
}

static void people_series(struct af_wire *wire, const struct af_table *table)
{
    put_heading(wire, table);
    wire->people.widths = NULL;
}

static bool is_right(const struct af_column *column)
{
    return column->type == AF_TYPE_F64 || column->type == AF_TYPE_I64 || column->type == AF_TYPE_U64;
}

static void measure(struct af_wire *wire, const struct af_batch *rows, size_t first, size_t count, struct af_buf *scratch)
{
    for (size_t i = 0; i < wire->column_count; i++) {
        size_t width = places_of(af_slice_of(wire->columns[i]));
        for (size_t row = first; row < first + count; row++) {
            size_t places = places_of(cell_of(wire, &rows->columns[i], row, i == 0, scratch));
            width = places > width ? places : width;
        }
        wire->people.widths[i] = width < PEOPLE_CELL_MAX ? width : PEOPLE_CELL_MAX;
    }
}

/* The widest text gives way until the line fits; numbers and times never do. */
static void fit(struct af_wire *wire, const struct af_batch *rows)
{
    size_t total = wire->column_count, widest = SIZE_MAX;
    wire->people.narrowed = SIZE_MAX;
    for (size_t i = 0; i < wire->column_count; i++) {
        total += wire->people.widths[i];
        if (af_type_is_text(rows->columns[i].type) && (widest == SIZE_MAX || wire->people.widths[i] > wire->people.widths[widest]))
            widest = i;
    }
    if (wire->options.width == 0 || total <= wire->options.width || widest == SIZE_MAX || wire->people.widths[widest] <= 24)
        return;
    wire->people.narrowed = widest;
    size_t over = total - wire->options.width;
    wire->people.widths[widest] = wire->people.widths[widest] > 24 + over ? wire->people.widths[widest] - over : 24;
}

static void put_header(struct af_wire *wire, const struct af_batch *rows)
{
    struct af_buf *out = wire->out;
    for (size_t i = 0; i < wire->column_count; i++) {
        if (i != 0)
            af_buf_append_char(out, ' ');
        put_cell(out, af_slice_of(wire->columns[i]), wire->people.widths[i], is_right(&rows->columns[i]), i + 1 == wire->column_count,
                 i == wire->people.narrowed);
    }
    af_buf_append_char(out, '\n');
    for (size_t i = 0; i < wire->column_count; i++) {
        if (i != 0)
            af_buf_append_char(out, ' ');
        for (size_t k = 0; k < wire->people.widths[i]; k++)
            af_buf_append_char(out, '-');
    }
    af_buf_append_char(out, '\n');
}

static enum af_status people_rows(struct af_wire *wire, const struct af_table *table, size_t first, size_t count, struct af_error *err)
{
    struct af_buf scratch;
    af_buf_init(&scratch, 4096);
    if (wire->people.widths == NULL) {
        wire->people.widths = af_arena_zero(&wire->arena, wire->column_count + 1, sizeof *wire->people.widths);
        if (wire->people.widths == NULL) {
            af_buf_done(&scratch);
            return af_fail_nomem(err, "an answer");
        }
        measure(wire, table->rows, first, count, &scratch);
        fit(wire, table->rows);
        put_header(wire, table->rows);
    }
    for (size_t row = first; row < first + count; row++) {
        for (size_t i = 0; i < wire->column_count; i++) {
            const struct af_column *column = &table->rows->columns[i];
            if (i != 0)
                af_buf_append_char(wire->out, ' ');
            put_cell(wire->out, cell_of(wire, column, row, i == 0, &scratch), wire->people.widths[i], is_right(column),
                     i + 1 == wire->column_count, i == wire->people.narrowed);
        }
        af_buf_append_char(wire->out, '\n');
    }
    wire->people.rows += count;
    af_buf_done(&scratch);
    return AF_OK;
}

static void people_series_end(struct af_wire *wire, bool is_partial)
{
    if (is_partial)
        af_buf_append_str(wire->out, wire->options.portuguese ? "(h\xc3\xa1 mais linhas)\n" : "(there are more rows)\n");
}

static void people_statement(struct af_wire *wire)
{
    wire->people.rows = 0;
    wire->people.tables = 0;
    if (wire->statements != 0)
        af_buf_append_char(wire->out, '\n');
}

static void people_statement_end(struct af_wire *wire, const struct af_wire_message *messages, size_t count, const char *error)
{
    struct af_buf *out = wire->out;
    const bool is_pt = wire->options.portuguese;
    for (size_t i = 0; i < count; i++)
        af_buf_printf(out, "%s: %s\n", messages[i].level, messages[i].text);
    if (error != NULL)
        af_buf_printf(out, "%s: %s\n", is_pt ? "erro" : "error", error);
    else if (wire->people.rows == 0)
        af_buf_append_str(out, is_pt ? "(nenhuma linha)\n" : "(no rows)\n");
    else
        af_buf_printf(out, "(%llu %s)\n", (unsigned long long)wire->people.rows,
                      wire->people.rows == 1 ? (is_pt ? "linha" : "row") : (is_pt ? "linhas" : "rows"));
}

const struct wire_ops wire_table = {
    .begin = nothing,
    .statement = people_statement,
    .series = people_series,
    .rows = people_rows,
    .series_end = people_series_end,
    .statement_end = people_statement_end,
    .chunk_end = nothing_at_end,
    .end = nothing,
};
