/*
 * rows.c - rows into batches; see rows.h.
 *
 * Each column is a growing array of 8-byte cells; a text cell says where its bytes begin in the column's buffer. Taking copies the
 * used part of every column into the caller's arena: the builder keeps its memory for the next batch. Null rows of a text
 * column get an empty range.
 */
#include "store/rows.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/intern.h"
#include "base/limits.h"
#include <assert.h>

enum { ROWS_FIRST = 256, CELL_BYTES_MAX = 64 << 20, ROWS_MIN = 64 };

union cell {
    double f64;
    int64_t i64;
    uint64_t u64; /* also BOOL; of text: where it begins */
};

struct column {
    enum af_type type;
    union cell *cells;
    uint32_t *lengths;   /* text only */
    uint64_t *validity;
    struct af_buf bytes; /* text only */
};

struct af_rows {
    struct af_schema schema;
    struct af_arena arena; /* the schema's */
    struct af_intern series;
    uint32_t *codes;
    int64_t *time_ns;
    struct column *columns;
    size_t field_count;
    size_t count;
    size_t cap;
    size_t rows_max;
    size_t text_bytes; /* in this batch */
};

static enum af_status copy_schema(struct af_schema *out, const struct af_schema *from, struct af_arena *arena, struct af_error *err)
{
    struct af_field *fields = af_arena_zero(arena, from->field_count, sizeof *fields);
    if (fields == NULL)
        return af_arena_fail(arena, from->field_count * sizeof *fields, "the columns of a scan", err);
    for (size_t i = 0; i < from->field_count; i++) {
        fields[i] = from->fields[i];
        fields[i].source_type = NULL;
        fields[i].name = af_arena_copy(arena, af_slice_of(from->fields[i].name));
        if (fields[i].name == NULL)
            return af_arena_fail(arena, 1, "the columns of a scan", err);
    }
    *out = (struct af_schema){ .field_count = from->field_count, .fields = fields };
    return AF_OK;
}

static enum af_status make_schema(struct af_rows *rows, const struct af_field *fields, size_t field_count, struct af_error *err)
{
    struct af_field *all = af_arena_zero(&rows->arena, field_count + 2, sizeof *all);
    if (all == NULL)
        return af_arena_fail(&rows->arena, (field_count + 2) * sizeof *all, "the columns of a scan", err);
    all[0] = (struct af_field){ .name = "series", .type = AF_TYPE_STRING };
    all[1] = (struct af_field){ .name = "time", .type = AF_TYPE_TIME };
    for (size_t i = 0; i < field_count; i++)
        all[i + 2] = (struct af_field){ .name = fields[i].name, .type = fields[i].type, .is_nullable = true };
    struct af_schema schema = { .field_count = field_count + 2, .fields = all };
    return copy_schema(&rows->schema, &schema, &rows->arena, err);
}

enum af_status af_rows_new(const struct af_field *fields, size_t field_count, struct af_rows **out, struct af_error *err)
{
    if (field_count > AF_COLUMNS_MAX)
        return af_fail(err, AF_ELIMIT, "%zu fields in one scan, more than %d: name the ones you need", field_count, AF_COLUMNS_MAX);
    struct af_rows *rows = af_alloc_zero(1, sizeof *rows);
    if (rows == NULL)
        return af_fail_nomem(err, "rows");
    af_arena_init(&rows->arena, SIZE_MAX);
    af_intern_init(&rows->series);
    rows->field_count = field_count;
    rows->rows_max = CELL_BYTES_MAX / (sizeof(union cell) * (field_count + 2));
    rows->rows_max = rows->rows_max > AF_BATCH_ROWS ? AF_BATCH_ROWS : rows->rows_max < ROWS_MIN ? ROWS_MIN : rows->rows_max;
    rows->columns = af_alloc_zero(field_count, sizeof *rows->columns);
    enum af_status status = rows->columns != NULL ? make_schema(rows, fields, field_count, err) : af_fail_nomem(err, "rows");
    if (status != AF_OK) {
        af_rows_free(rows);
        return status;
    }
    for (size_t i = 0; i < field_count; i++) {
        rows->columns[i].type = fields[i].type;
        af_buf_init(&rows->columns[i].bytes, INT32_MAX);
    }
    *out = rows;
    return AF_OK;
}

void af_rows_free(struct af_rows *rows)
{
    if (rows == NULL)
        return;
    for (size_t i = 0; rows->columns != NULL && i < rows->field_count; i++) {
        af_free(rows->columns[i].cells);
        af_free(rows->columns[i].lengths);
        af_free(rows->columns[i].validity);
        af_buf_done(&rows->columns[i].bytes);
    }
    af_free(rows->columns);
    af_free(rows->codes);
    af_free(rows->time_ns);
    af_intern_done(&rows->series);
    af_arena_done(&rows->arena);
    af_free(rows);
}

const struct af_schema *af_rows_schema(const struct af_rows *rows)
{
    return &rows->schema;
}

/* --- growing ---------------------------------------------------------------------------------------------------------------- */

static bool grow_array(void **array, size_t count, size_t bytes)
{
    void *grown = af_realloc(*array, count * bytes);
    if (grown == NULL)
        return false;
    *array = grown;
    return true;
}

static bool grow_column(struct column *column, size_t old_cap, size_t cap)
{
    if (!grow_array((void **)&column->cells, cap, sizeof *column->cells) ||
        !grow_array((void **)&column->validity, af_bit_words(cap), sizeof *column->validity) ||
        (column->type == AF_TYPE_STRING && !grow_array((void **)&column->lengths, cap, sizeof *column->lengths)))
        return false;
    memset(column->cells + old_cap, 0, (cap - old_cap) * sizeof *column->cells); /* cells of null rows are copied too */
    memset(column->validity + af_bit_words(old_cap), 0, (af_bit_words(cap) - af_bit_words(old_cap)) * sizeof *column->validity);
    return true;
}

/* `cap` moves only when every array has grown: a failure half way is harmless. Capacities are multiples of 64. */
static bool grow(struct af_rows *rows)
{
    size_t cap = rows->cap == 0 ? ROWS_FIRST : rows->cap * 2;
    if (!grow_array((void **)&rows->codes, cap, sizeof *rows->codes) ||
        !grow_array((void **)&rows->time_ns, cap, sizeof *rows->time_ns))
        return false;
    for (size_t i = 0; i < rows->field_count; i++)
        if (!grow_column(&rows->columns[i], rows->cap, cap))
            return false;
    rows->cap = cap;
    return true;
}

enum af_status af_rows_begin(struct af_rows *rows, struct af_slice series, int64_t time_ns, struct af_error *err)
{
    uint32_t code;
    if (rows->count == rows->cap && !grow(rows))
        return af_fail_nomem(err, "rows");
    AF_TRY(af_intern_add(&rows->series, series, &code, err));
    rows->codes[rows->count] = code;
    rows->time_ns[rows->count] = time_ns;
    rows->count++;
    return AF_OK;
}

static union cell *last_cell(struct af_rows *rows, size_t field, enum af_type type)
{
    assert(field < rows->field_count && rows->count > 0);
    struct column *column = &rows->columns[field];
    assert(column->type == type || (column->type == AF_TYPE_TIME && type == AF_TYPE_I64));
    (void)type;
    af_bit_set(column->validity, rows->count - 1);
    return &column->cells[rows->count - 1];
}

void af_rows_f64(struct af_rows *rows, size_t field, double value)
{
    last_cell(rows, field, AF_TYPE_F64)->f64 = value;
}

void af_rows_i64(struct af_rows *rows, size_t field, int64_t value)
{
    last_cell(rows, field, AF_TYPE_I64)->i64 = value;
}

void af_rows_u64(struct af_rows *rows, size_t field, uint64_t value)
{
    last_cell(rows, field, AF_TYPE_U64)->u64 = value;
}

void af_rows_bool(struct af_rows *rows, size_t field, bool value)
{
    last_cell(rows, field, AF_TYPE_BOOL)->u64 = value;
}

enum af_status af_rows_text(struct af_rows *rows, size_t field, struct af_slice value, struct af_error *err)
{
    struct column *column = &rows->columns[field];
    size_t at = column->bytes.len;
    if (value.len > AF_STRING_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "a string of %zu bytes, more than %d", value.len, AF_STRING_BYTES_MAX);
    af_buf_append_slice(&column->bytes, value);
    if (column->bytes.failed) {
        enum af_status status = af_buf_check(&column->bytes, "the strings of a batch", err);
        af_buf_rewind(&column->bytes, at);
        return status;
    }
    last_cell(rows, field, AF_TYPE_STRING)->u64 = at;
    column->lengths[rows->count - 1] = (uint32_t)value.len;
    rows->text_bytes += value.len;
    return AF_OK;
}

void af_rows_drop_last(struct af_rows *rows)
{
    assert(rows->count > 0);
    rows->count--;
    for (size_t i = 0; i < rows->field_count; i++)
        af_bit_clear(rows->columns[i].validity, rows->count);
}

bool af_rows_is_full(const struct af_rows *rows)
{
    return rows->count >= rows->rows_max || rows->text_bytes >= AF_BATCH_TEXT_BYTES_MAX ||
           rows->series.bytes >= AF_BATCH_TEXT_BYTES_MAX;
}

/* --- taking ----------------------------------------------------------------------------------------------------------------- */

static void *copy_array(struct af_arena *arena, const void *from, size_t count, size_t bytes)
{
    void *to = af_arena_array(arena, count, bytes);
    if (to != NULL && count > 0)
        memcpy(to, from, count * bytes);
    return to;
}

static enum af_status take_text(const struct column *from, size_t count, struct af_arena *arena, struct af_column *out,
                                struct af_error *err)
{
    int32_t *offsets = af_arena_array(arena, count + 1, sizeof *offsets);
    char *bytes = af_arena_array(arena, from->bytes.len + 1, 1);
    if (offsets == NULL || bytes == NULL)
        return af_arena_fail(arena, from->bytes.len, "the strings of a batch", err);
    size_t at = 0;
    offsets[0] = 0;
    for (size_t row = 0; row < count; row++) {
        if (af_bit_get(from->validity, row)) {
            memcpy(bytes + at, from->bytes.ptr + from->cells[row].u64, from->lengths[row]);
            at += from->lengths[row];
        }
        offsets[row + 1] = (int32_t)at;
    }
    out->offsets = offsets;
    out->bytes = bytes;
    return AF_OK;
}

static enum af_status take_column(const struct column *from, size_t count, struct af_arena *arena, struct af_column *out,
                                  struct af_error *err)
{
    out->type = from->type;
    size_t valid = af_bits_count(from->validity, count);
    out->null_count = count - valid;
    if (out->null_count > 0) {
        out->validity = copy_array(arena, from->validity, af_bit_words(count), sizeof *from->validity);
        if (out->validity == NULL)
            return af_arena_fail(arena, count / 8, "a batch", err);
    }
    if (from->type == AF_TYPE_STRING)
        return take_text(from, count, arena, out, err);
    if (from->type == AF_TYPE_BOOL) {
        uint64_t *bits = af_bits_new(arena, count, false);
        for (size_t row = 0; bits != NULL && row < count; row++)
            if (from->cells[row].u64 != 0 && af_bit_get(from->validity, row))
                af_bit_set(bits, row);
        out->bits = bits;
    } else {
        out->values = copy_array(arena, from->cells, count, sizeof *from->cells);
    }
    return out->values != NULL ? AF_OK : af_arena_fail(arena, count * 8, "a batch", err);
}

/* The series column: a dictionary of its own for each batch, held by the arena. */
static enum af_status take_series(struct af_rows *rows, struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    uint32_t count = rows->series.count;
    int32_t *offsets = af_alloc(((size_t)count + 1) * sizeof *offsets);
    struct af_buf bytes;
    af_buf_init(&bytes, INT32_MAX);
    if (offsets == NULL)
        return af_fail_nomem(err, "a batch");
    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = (int32_t)bytes.len;
        af_buf_append_slice(&bytes, rows->series.keys[i]);
    }
    offsets[count] = (int32_t)bytes.len;
    struct af_dict *dict = NULL;
    enum af_status status = af_buf_check(&bytes, "the series of a batch", err);
    if (status == AF_OK)
        status = af_dict_new(offsets, bytes.ptr != NULL ? bytes.ptr : "", count, &dict, err);
    if (status == AF_OK)
        status = af_dict_hold(dict, arena, err);
    af_dict_unref(dict);
    af_free(offsets);
    af_buf_done(&bytes);
    if (status != AF_OK)
        return status;
    out->type = AF_TYPE_STRING;
    out->dict = dict;
    out->codes = copy_array(arena, rows->codes, rows->count, sizeof *rows->codes);
    return out->codes != NULL ? AF_OK : af_arena_fail(arena, rows->count * 4, "a batch", err);
}

static enum af_status take_all(struct af_rows *rows, struct af_arena *arena, struct af_batch *batch, struct af_error *err)
{
    struct af_schema *schema = af_arena_zero(arena, 1, sizeof *schema);
    struct af_column *columns = af_arena_zero(arena, rows->schema.field_count, sizeof *columns);
    if (schema == NULL || columns == NULL)
        return af_arena_fail(arena, rows->schema.field_count * sizeof *columns, "a batch", err);
    AF_TRY(copy_schema(schema, &rows->schema, arena, err)); /* a batch outlives the stream that made it */
    AF_TRY(take_series(rows, arena, &columns[0], err));
    columns[1].type = AF_TYPE_TIME;
    columns[1].i64 = copy_array(arena, rows->time_ns, rows->count, sizeof *rows->time_ns);
    if (columns[1].i64 == NULL)
        return af_arena_fail(arena, rows->count * 8, "a batch", err);
    for (size_t i = 0; i < rows->field_count; i++)
        AF_TRY(take_column(&rows->columns[i], rows->count, arena, &columns[i + 2], err));
    batch->schema = schema;
    batch->row_count = rows->count;
    batch->columns = columns;
    return AF_OK;
}

static void clear(struct af_rows *rows)
{
    for (size_t i = 0; i < rows->field_count; i++) {
        memset(rows->columns[i].validity, 0, af_bit_words(rows->count) * sizeof(uint64_t));
        if (rows->columns[i].type != AF_TYPE_STRING)
            memset(rows->columns[i].cells, 0, rows->count * sizeof(union cell));
        af_buf_clear(&rows->columns[i].bytes);
    }
    af_intern_clear(&rows->series);
    rows->count = 0;
    rows->text_bytes = 0;
}

enum af_status af_rows_take(struct af_rows *rows, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    if (rows->count == 0) {
        *out = NULL;
        return AF_OK;
    }
    struct af_batch *batch = af_arena_zero(arena, 1, sizeof *batch);
    if (batch == NULL)
        return af_arena_fail(arena, sizeof *batch, "a batch", err);
    AF_TRY(take_all(rows, arena, batch, err));
    clear(rows);
    *out = batch;
    return AF_OK;
}
