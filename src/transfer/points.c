/*
 * points.c - values of one key after another become batches of points: a row for each value, a column for each field.
 *
 *     key, times, values --> rows [0, 16384) --> at the end of the rows, of the columns or of room for text: handed on
 *
 * Rows of one series and time are not joined: whoever takes them keeps what each says of its own field.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "transfer/transfer_int.h"

enum { ROWS = AF_BATCH_ROWS, COLUMNS = 64, TEXT_BYTES = 16 << 20 };

struct column {
    enum af_type type;
    struct af_buf escaped;
    uint64_t *values;            /* ROWS; of booleans a bitmap */
    uint64_t *validity;
    int32_t *offsets;            /* ROWS + 1, of text */
    size_t offsets_filled;       /* rows whose end is known */
    struct af_buf text;
    size_t count;                /* rows with a value */
};

struct transfer_points {
    transfer_take take;
    void *ctx;
    struct af_series_set set;
    uint32_t *series;
    int64_t *times;
    size_t rows;
    struct af_intern names;      /* type, then the field's name */
    struct column columns[COLUMNS];
    size_t text_bytes;
};

/* --- life ------------------------------------------------------------------------------------------------------------------- */

enum af_status transfer_points_new(transfer_take take, void *ctx, struct transfer_points **out, struct af_error *err)
{
    struct transfer_points *p = af_alloc_zero(1, sizeof *p);
    if (p == NULL)
        return af_fail_nomem(err, "a batch of points");
    p->take = take;
    p->ctx = ctx;
    af_series_set_init(&p->set);
    af_intern_init(&p->names);
    p->series = af_alloc_zero(ROWS, sizeof *p->series);
    p->times = af_alloc_zero(ROWS, sizeof *p->times);
    for (size_t i = 0; i < COLUMNS; i++) {
        af_buf_init(&p->columns[i].escaped, SIZE_MAX / 2);
        af_buf_init(&p->columns[i].text, INT32_MAX);
    }
    if (p->series == NULL || p->times == NULL) {
        transfer_points_free(p);
        return af_fail_nomem(err, "a batch of points");
    }
    *out = p;
    return AF_OK;
}

void transfer_points_free(struct transfer_points *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < COLUMNS; i++) {
        struct column *c = &p->columns[i];
        af_buf_done(&c->escaped);
        af_buf_done(&c->text);
        af_free(c->values);
        af_free(c->validity);
        af_free(c->offsets);
    }
    af_intern_done(&p->names);
    af_series_set_done(&p->set);
    af_free(p->series);
    af_free(p->times);
    af_free(p);
}

/* --- columns ---------------------------------------------------------------------------------------------------------------- */

static enum af_status begin_column(struct column *c, enum af_type type, struct af_slice name, struct af_error *err)
{
    if (c->values == NULL)
        c->values = af_alloc_zero(ROWS, sizeof *c->values);
    if (c->validity == NULL)
        c->validity = af_alloc_zero(af_bit_words(ROWS), sizeof *c->validity);
    if (c->offsets == NULL && type == AF_TYPE_STRING)
        c->offsets = af_alloc_zero(ROWS + 1, sizeof *c->offsets);
    af_buf_clear(&c->escaped);
    af_buf_clear(&c->text);
    af_key_append_tag(&c->escaped, name);
    if (c->values == NULL || c->validity == NULL || (type == AF_TYPE_STRING && c->offsets == NULL) || c->escaped.failed)
        return af_fail_nomem(err, "a column of points");
    memset(c->validity, 0, af_bit_words(ROWS) * sizeof *c->validity);
    if (type == AF_TYPE_BOOL)
        memset(c->values, 0, af_bit_words(ROWS) * sizeof *c->values);
    c->type = type;
    c->count = 0;
    c->offsets_filled = 0;
    return AF_OK;
}

/* The column of a field, with room for it; a full batch is handed on first. */
static enum af_status find_column(struct transfer_points *p, enum af_type type, struct af_slice name, struct column **out,
                                  struct af_error *err)
{
    char key[AF_LP_KEY_BYTES_MAX + 2];
    if (name.len > AF_LP_KEY_BYTES_MAX)
        return af_fail(err, AF_ECORRUPT, "a field's name of %zu bytes", name.len);
    key[0] = (char)type;
    memcpy(key + 1, name.ptr, name.len);
    struct af_slice typed = { key, name.len + 1 };
    uint32_t id = af_intern_find(&p->names, typed);
    if (id == UINT32_MAX && p->names.count == COLUMNS)
        AF_TRY(transfer_points_flush(p, err));
    if (id == UINT32_MAX) {
        AF_TRY(begin_column(&p->columns[p->names.count], type, name, err));
        AF_TRY(af_intern_add(&p->names, typed, &id, err));
    }
    *out = &p->columns[id];
    return AF_OK;
}

static void fill_offsets(struct column *c, size_t rows)
{
    for (; c->offsets_filled < rows; c->offsets_filled++)
        c->offsets[c->offsets_filled + 1] = (int32_t)c->text.len;
}

/* Value `i` becomes that of row `row`. */
static void set_value(struct transfer_points *p, struct column *c, size_t row, const struct af_column *from, size_t i)
{
    if (c->type == AF_TYPE_STRING) {
        struct af_slice text = af_column_text(from, i);
        fill_offsets(c, row);
        af_buf_append_slice(&c->text, text);
        fill_offsets(c, row + 1);
        p->text_bytes += text.len;
    } else if (c->type == AF_TYPE_BOOL) {
        if (af_bit_get(from->bits, i))
            af_bit_set(c->values, row);
    } else {
        c->values[row] = from->u64[i];
    }
    af_bit_set(c->validity, row);
    c->count++;
}

/* --- rows ------------------------------------------------------------------------------------------------------------------- */

static bool is_full(const struct transfer_points *p)
{
    return p->rows == ROWS || p->text_bytes >= TEXT_BYTES;
}

static enum af_status add_some(struct transfer_points *p, struct af_slice series, struct af_slice field, const struct af_tsm_values *values,
                               size_t *first, size_t end, struct af_error *err)
{
    struct column *column;
    uint32_t id;
    AF_TRY(find_column(p, values->values.type, field, &column, err));
    AF_TRY(af_intern_add(&p->set.keys, series, &id, err));
    for (; *first < end && !is_full(p); (*first)++) {
        set_value(p, column, p->rows, &values->values, *first);
        p->series[p->rows] = id;
        p->times[p->rows] = values->time_ns[*first];
        p->rows++;
    }
    return af_buf_check(&column->text, "a batch of points", err);
}

enum af_status transfer_points_add(struct transfer_points *p, struct af_slice key, const struct af_tsm_values *values, size_t first,
                                   size_t count, struct af_error *err)
{
    struct af_slice series, field;
    if (!af_tsm_key_split(key, &series, &field))
        return af_fail(err, AF_ECORRUPT, "a key without \"" AF_TSM_KEY_SEPARATOR "\": %.*s", (int)(key.len < 200 ? key.len : 200), key.ptr);
    for (size_t end = first + count; first < end;) {
        if (is_full(p))
            AF_TRY(transfer_points_flush(p, err));
        AF_TRY(add_some(p, series, field, values, &first, end, err));
    }
    return AF_OK;
}

/* --- handing on ------------------------------------------------------------------------------------------------------------- */

static void make_field(struct transfer_points *p, size_t i, struct af_point_field *out)
{
    struct column *c = &p->columns[i];
    struct af_slice name = p->names.keys[i];
    *out = (struct af_point_field){ .name = { name.ptr + 1, name.len - 1 }, .escaped = af_buf_slice(&c->escaped),
                                    .column = { .type = c->type, .validity = c->validity, .null_count = p->rows - c->count } };
    if (c->type == AF_TYPE_STRING) {
        fill_offsets(c, p->rows);
        out->column.offsets = c->offsets;
        out->column.bytes = c->text.ptr != NULL ? c->text.ptr : "";
    } else {
        out->column.values = c->values;
    }
}

enum af_status transfer_points_flush(struct transfer_points *p, struct af_error *err)
{
    struct af_point_field fields[COLUMNS];
    size_t count = p->names.count;
    for (size_t i = 0; i < count; i++)
        make_field(p, i, &fields[i]);
    const struct af_points points = { .row_count = p->rows, .set = &p->set, .series = p->series, .time_ns = p->times, .field_count = count,
                                      .fields = fields };
    enum af_status status = p->rows != 0 ? p->take(p->ctx, &points, err) : AF_OK;
    p->rows = 0;
    p->text_bytes = 0;
    af_intern_clear(&p->names);
    if (p->set.keys.bytes > AF_SERIES_BYTES_MAX / 2)
        af_series_set_clear(&p->set);
    return status;
}
