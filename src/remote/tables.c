/*
 * tables.c - rows, cell by cell, as tables; see remote_int.h.
 *
 *     statement -> series -> cell cell cell, row_end -> ... -> series_end
 *                               `-- values, row after row --> cut: types found by column, columns made, a part waits
 *
 * Types are found when a table is cut, from the values it has. Numbers of different kinds in a column become the kind that holds them all,
 * other mixtures text. A column of integers stays F64 if the table before had it so and the answer is JSON, which prints the float 2 like
 * the integer.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "remote/remote_int.h"
#include <stdlib.h>

enum { CELLS_MAX = 256 << 10, TEXT_BYTES_CUT = 4 << 20, READY_BYTES_MAX = 1 << 30 };

void tables_init(struct tables *tables, const char *name)
{
    *tables = (struct tables){ .name = name };
    af_arena_init(&tables->ready, READY_BYTES_MAX);
    af_arena_init(&tables->series, READY_BYTES_MAX);
    af_arena_init(&tables->texts, READY_BYTES_MAX);
}

void tables_done(struct tables *tables)
{
    af_arena_done(&tables->ready);
    af_arena_done(&tables->series);
    af_arena_done(&tables->texts);
    af_free(tables->parts);
    af_free(tables->cells);
    af_free(tables->before);
}

/* --- parts -------------------------------------------------------------------------------------------------------------------- */

static enum af_status add_part(struct tables *tables, struct af_remote_part part, struct af_error *err)
{
    if (tables->part_count == tables->part_cap) {
        size_t cap = tables->part_cap == 0 ? 64 : tables->part_cap * 2;
        struct af_remote_part *parts = af_realloc(tables->parts, cap * sizeof *parts);
        if (parts == NULL)
            return af_fail_nomem(err, "a query's answer");
        tables->parts = parts;
        tables->part_cap = cap;
    }
    part.statement = tables->statement;
    tables->parts[tables->part_count++] = part;
    return AF_OK;
}

const struct af_remote_part *tables_take(struct tables *tables)
{
    if (tables->part_next < tables->part_count)
        return &tables->parts[tables->part_next++];
    tables->part_next = tables->part_count = 0;
    af_arena_reset(&tables->ready);
    return NULL;
}

enum af_status tables_words(struct tables *tables, const char *level, struct af_slice words, struct af_error *err)
{
    struct af_remote_part part = { .level = level, .words = af_arena_copy(&tables->ready, words) };
    if (part.words == NULL)
        return af_arena_fail(&tables->ready, words.len, "a query's answer", err);
    return add_part(tables, part, err);
}

/* --- types -------------------------------------------------------------------------------------------------------------------- */

struct kinds {
    bool has[AF_TYPE_JSON + 1];
    bool has_negative, has_huge; /* among integers: below 0; past INT64_MAX */
};

static void look(struct kinds *kinds, const struct af_value *value)
{
    kinds->has[value->type] = true;
    kinds->has_negative |= value->type == AF_TYPE_I64 && value->i64 < 0;
    kinds->has_huge |= value->type == AF_TYPE_U64 && value->u64 > INT64_MAX;
}

static enum af_type number_type(const struct kinds *kinds, enum af_type before)
{
    if (kinds->has[AF_TYPE_F64] || before == AF_TYPE_F64)
        return AF_TYPE_F64;
    if (kinds->has_negative)
        return kinds->has_huge ? AF_TYPE_STRING : AF_TYPE_I64;
    return kinds->has[AF_TYPE_U64] || before == AF_TYPE_U64 ? AF_TYPE_U64 : AF_TYPE_I64;
}

/* `before`: in the table before; NULL: not known. */
static enum af_type type_of(const struct kinds *kinds, enum af_type before, bool is_loose)
{
    const bool has_number = kinds->has[AF_TYPE_I64] || kinds->has[AF_TYPE_U64] || kinds->has[AF_TYPE_F64];
    int families = has_number + kinds->has[AF_TYPE_BOOL] + kinds->has[AF_TYPE_TIME] + kinds->has[AF_TYPE_STRING];
    if (families == 0)
        return before != AF_TYPE_NULL ? before : AF_TYPE_F64;
    if (families > 1 || kinds->has[AF_TYPE_STRING])
        return AF_TYPE_STRING;
    if (kinds->has[AF_TYPE_BOOL] || kinds->has[AF_TYPE_TIME])
        return kinds->has[AF_TYPE_BOOL] ? AF_TYPE_BOOL : AF_TYPE_TIME;
    return number_type(kinds, is_loose ? before : AF_TYPE_NULL);
}

/* --- columns ------------------------------------------------------------------------------------------------------------------ */

static double as_f64(const struct af_value *value)
{
    return value->type == AF_TYPE_F64 ? value->f64 : value->type == AF_TYPE_U64 ? (double)value->u64 : (double)value->i64;
}

/* The text of a value in a column of mixed ones; `scratch` has room for it. */
static struct af_slice as_text(const struct af_value *value, char scratch[AF_F64_TEXT_MAX + 40])
{
    char *end = scratch;
    switch (value->type) {
    case AF_TYPE_STRING: return value->text;
    case AF_TYPE_BOOL: return value->boolean ? AF_SLICE_LIT("true") : AF_SLICE_LIT("false");
    case AF_TYPE_TIME: end = af_rfc3339_print(scratch, value->i64, 9); break;
    case AF_TYPE_I64: end = af_i64_print(scratch, value->i64); break;
    case AF_TYPE_U64: end = af_u64_print(scratch, value->u64); break;
    default:
        if (value->f64 - value->f64 != 0)
            return value->f64 != value->f64 ? AF_SLICE_LIT("NaN") : value->f64 > 0 ? AF_SLICE_LIT("+Inf") : AF_SLICE_LIT("-Inf");
        end = af_f64_print(scratch, value->f64);
    }
    return (struct af_slice){ scratch, (size_t)(end - scratch) };
}

struct cutting {
    struct tables *tables;
    size_t rows;
};

static const struct af_value *cell_of(const struct cutting *cut, size_t row, size_t column)
{
    return &cut->tables->cells[row * cut->tables->column_count + column];
}

static enum af_status fill_text(const struct cutting *cut, size_t column, struct af_column *out, struct af_error *err)
{
    struct af_arena *arena = &cut->tables->ready;
    char scratch[AF_F64_TEXT_MAX + 40];
    size_t total = 0;
    for (size_t row = 0; row < cut->rows; row++)
        if (cell_of(cut, row, column)->type != AF_TYPE_NULL)
            total += as_text(cell_of(cut, row, column), scratch).len;
    if (total > INT32_MAX)
        return af_fail(err, AF_ELIMIT, "%s: %zu bytes of text in one column of a table", cut->tables->name, total);
    int32_t *offsets = af_arena_array(arena, cut->rows + 1, sizeof *offsets);
    char *bytes = af_arena_array(arena, total + 1, 1);
    if (offsets == NULL || bytes == NULL)
        return af_arena_fail(arena, total, "a query's answer", err);
    size_t at = 0;
    for (size_t row = 0; row < cut->rows; row++) {
        const struct af_value *cell = cell_of(cut, row, column);
        struct af_slice text = cell->type != AF_TYPE_NULL ? as_text(cell, scratch) : (struct af_slice){ 0 };
        offsets[row] = (int32_t)at;
        if (text.len != 0)
            memcpy(bytes + at, text.ptr, text.len);
        at += text.len;
    }
    offsets[cut->rows] = (int32_t)at;
    out->offsets = offsets;
    out->bytes = bytes;
    return AF_OK;
}

static enum af_status fill_words(const struct cutting *cut, size_t column, struct af_column *out, struct af_error *err)
{
    struct af_arena *arena = &cut->tables->ready;
    const bool is_bool = out->type == AF_TYPE_BOOL;
    uint64_t *words = is_bool ? af_bits_new(arena, cut->rows, false) : af_arena_array(arena, cut->rows + 1, sizeof *words);
    if (words == NULL)
        return af_arena_fail(arena, cut->rows * sizeof *words, "a query's answer", err);
    for (size_t row = 0; row < cut->rows; row++) {
        const struct af_value *cell = cell_of(cut, row, column);
        double value = as_f64(cell);
        if (is_bool && cell->type == AF_TYPE_BOOL && cell->boolean)
            af_bit_set(words, row);
        else if (!is_bool && out->type != AF_TYPE_F64)
            words[row] = cell->type != AF_TYPE_NULL ? cell->u64 : 0; /* I64, U64, TIME: the same bits */
        else if (!is_bool)
            memcpy(&words[row], &value, sizeof value);
    }
    out->u64 = words;
    return AF_OK;
}

static enum af_status fill_validity(const struct cutting *cut, size_t column, struct af_column *out, struct af_error *err)
{
    uint64_t *validity = af_bits_new(&cut->tables->ready, cut->rows, true);
    if (validity == NULL)
        return af_arena_fail(&cut->tables->ready, cut->rows / 8, "a query's answer", err);
    for (size_t row = 0; row < cut->rows; row++) {
        if (cell_of(cut, row, column)->type == AF_TYPE_NULL) {
            af_bit_clear(validity, row);
            out->null_count++;
        }
    }
    if (out->null_count != 0)
        out->validity = validity;
    return AF_OK;
}

static enum af_status fill_column(const struct cutting *cut, size_t column, struct af_column *out, struct af_error *err)
{
    struct kinds kinds = { 0 };
    for (size_t row = 0; row < cut->rows; row++)
        look(&kinds, cell_of(cut, row, column));
    enum af_type *before = &cut->tables->before[column];
    if (cut->tables->types != NULL)
        out->type = cut->tables->types[column];
    else
        out->type = type_of(&kinds, *before, cut->tables->is_loose);
    if (cut->rows != 0)
        *before = out->type;
    AF_TRY(fill_validity(cut, column, out, err));
    return out->type == AF_TYPE_STRING ? fill_text(cut, column, out, err) : fill_words(cut, column, out, err);
}

/* --- tables ------------------------------------------------------------------------------------------------------------------- */

/* Types of the tables before count for as long as columns are the same in number: they are those of one SELECT. */
static enum af_status keep_before(struct tables *tables, struct af_error *err)
{
    if (tables->before != NULL && tables->before_count == tables->column_count)
        return AF_OK;
    af_free(tables->before);
    tables->before_count = tables->column_count;
    tables->before = af_alloc_zero(tables->column_count + 1, sizeof *tables->before);
    return tables->before != NULL ? AF_OK : af_fail_nomem(err, "a query's answer");
}

static enum af_status make_schema(struct tables *tables, const struct af_column *columns, struct af_schema *out, struct af_error *err)
{
    struct af_field *fields = af_arena_zero(&tables->ready, tables->column_count + 1, sizeof *fields);
    bool fits = fields != NULL;
    for (size_t i = 0; fits && i < tables->column_count; i++) {
        fields[i] = (struct af_field){ .name = af_arena_copy(&tables->ready, tables->names[i]), .type = columns[i].type,
                                       .is_nullable = true };
        fits = fields[i].name != NULL;
    }
    *out = (struct af_schema){ tables->column_count, fields };
    return fits ? AF_OK : af_arena_fail(&tables->ready, sizeof *fields, "a query's answer", err);
}

/* What was collected becomes a table; perhaps one without rows. */
static enum af_status cut_table(struct tables *tables, struct af_error *err)
{
    struct {
        struct af_table table;
        struct af_batch batch;
        struct af_schema schema;
    } *made = af_arena_zero(&tables->ready, 1, sizeof *made);
    struct af_column *columns = af_arena_zero(&tables->ready, tables->column_count + 1, sizeof *columns);
    const struct af_group_key *key = af_group_key_copy(&tables->key, &tables->ready);
    struct cutting cut = { tables, tables->column_count != 0 ? tables->cell_count / tables->column_count : 0 };
    if (made == NULL || columns == NULL || key == NULL)
        return af_arena_fail(&tables->ready, sizeof *made, "a query's answer", err);
    AF_TRY(keep_before(tables, err));
    for (size_t i = 0; i < tables->column_count; i++)
        AF_TRY(fill_column(&cut, i, &columns[i], err));
    AF_TRY(make_schema(tables, columns, &made->schema, err));
    made->batch = (struct af_batch){ .schema = &made->schema, .row_count = cut.rows, .columns = columns };
    made->table = (struct af_table){ key, &made->batch };
    tables->cell_count = 0;
    tables->text_bytes = 0;
    tables->has_rows = true;
    af_arena_reset(&tables->texts);
    return add_part(tables, (struct af_remote_part){ .table = &made->table }, err);
}

enum af_status tables_series_end(struct tables *tables, bool is_shown_empty, struct af_error *err)
{
    if (!tables->is_open)
        return AF_OK;
    tables->is_open = false;
    if (tables->cell_count == 0 && (tables->has_rows || !is_shown_empty))
        return AF_OK;
    return cut_table(tables, err);
}

enum af_status tables_statement(struct tables *tables, uint64_t id, struct af_error *err)
{
    if (tables->has_statement && tables->statement == id)
        return AF_OK;
    AF_TRY(tables_series_end(tables, false, err));
    tables->has_statement = true;
    tables->statement = id;
    af_free(tables->before);
    tables->before = NULL;
    return add_part(tables, (struct af_remote_part){ 0 }, err);
}

/* The measurement first, then by name. */
static int by_name(const void *a, const void *b)
{
    const struct af_key_part *x = a;
    const struct af_key_part *y = b;
    bool x_is_first = af_slice_is(x->name, AF_KEY_MEASUREMENT);
    bool y_is_first = af_slice_is(y->name, AF_KEY_MEASUREMENT);
    return x_is_first != y_is_first ? (int)y_is_first - (int)x_is_first : af_slice_cmp(x->name, y->name);
}

static bool keep_columns(struct tables *tables, const struct tables_head *head)
{
    struct af_arena *arena = &tables->series;
    tables->names = af_arena_zero(arena, head->column_count + 1, sizeof *tables->names);
    tables->types = head->types != NULL ? af_arena_zero(arena, head->column_count + 1, sizeof *tables->types) : NULL;
    if (tables->names == NULL || (head->types != NULL && tables->types == NULL))
        return false;
    for (size_t i = 0; i < head->column_count; i++) {
        const char *name = af_arena_copy(arena, head->names[i]);
        if (name == NULL)
            return false;
        tables->names[i] = af_slice_make(name, head->names[i].len);
        if (head->types != NULL)
            tables->types[i] = head->types[i];
    }
    return true;
}

static bool keep_key(struct tables *tables, const struct tables_head *head)
{
    const struct af_group_key given = { head->part_count, head->parts };
    const struct af_group_key *key = af_group_key_copy(&given, &tables->series);
    struct af_key_part *sorted = af_arena_zero(&tables->series, head->part_count + 1, sizeof *sorted);
    if (key == NULL || sorted == NULL)
        return false;
    if (head->part_count > 0) {
        memcpy(sorted, key->parts, head->part_count * sizeof *sorted);
        qsort(sorted, head->part_count, sizeof *sorted, by_name);
    }
    tables->key = (struct af_group_key){ head->part_count, sorted };
    return true;
}

enum af_status tables_series(struct tables *tables, const struct tables_head *head, struct af_error *err)
{
    AF_TRY(tables_series_end(tables, false, err));
    if (head->column_count > AF_COLUMNS_MAX)
        return af_fail(err, AF_ELIMIT, "%s: %zu columns in the answer; at most %d are read", tables->name, head->column_count,
                       AF_COLUMNS_MAX);
    af_arena_reset(&tables->series);
    if (!keep_key(tables, head) || !keep_columns(tables, head))
        return af_arena_fail(&tables->series, head->column_count * sizeof *tables->names, "a query's answer", err);
    tables->column_count = head->column_count;
    tables->is_open = true;
    tables->has_rows = false;
    return AF_OK;
}

enum af_status tables_cell(struct tables *tables, const struct af_value *value, struct af_error *err)
{
    if (tables->cell_count == tables->cell_cap) {
        size_t cap = tables->cell_cap == 0 ? 1024 : tables->cell_cap * 2;
        struct af_value *cells = af_realloc(tables->cells, cap * sizeof *cells);
        if (cells == NULL)
            return af_fail_nomem(err, "a query's answer");
        tables->cells = cells;
        tables->cell_cap = cap;
    }
    if (!af_value_copy(value, &tables->texts, &tables->cells[tables->cell_count]))
        return af_arena_fail(&tables->texts, value->text.len, "a query's answer", err);
    if (value->type == AF_TYPE_STRING)
        tables->text_bytes += value->text.len;
    tables->cell_count++;
    return AF_OK;
}

enum af_status tables_row_end(struct tables *tables, struct af_error *err)
{
    const bool is_full = tables->cell_count + tables->column_count > CELLS_MAX || tables->text_bytes > TEXT_BYTES_CUT ||
                         tables->cell_count / (tables->column_count + (tables->column_count == 0)) >= AF_BATCH_ROWS;
    return is_full ? cut_table(tables, err) : AF_OK;
}
