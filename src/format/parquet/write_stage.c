/*
 * write_stage.c - rows of a batch into a column's open page: nulls become levels, values lie close together in the form the page
 * will have (times in the file's unit, text as codes while there is a dictionary).
 *
 * A batch is checked as a whole before its first row is staged: what is wrong with it leaves the writer as it was.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "format/parquet/write_int.h"

enum { ROWS_FIRST = 4096 };

/* --- checks -------------------------------------------------------------------------------------------------------------- */

static enum af_status check_dates(const struct af_field *field, const struct af_column *col, size_t rows, struct af_error *err)
{
    for (size_t i = 0; i < rows; i++)
        if (af_column_has(col, i) && (col->i64[i] < INT32_MIN || col->i64[i] > INT32_MAX))
            return af_fail(err, AF_EINVAL, "column %s, row %zu: a date %lld days from 1970 does not fit Parquet's 32 bits",
                           field->name, i, (long long)col->i64[i]);
    return AF_OK;
}

static __int128 decimal_end(void)
{
    __int128 end = 1;
    for (int i = 0; i < AF_PW_DECIMAL_PRECISION; i++)
        end *= 10;
    return end;
}

static enum af_status check_decimals(const struct af_field *field, const struct af_column *col, size_t rows, struct af_error *err)
{
    const __int128 end = decimal_end();
    if (field->scale > AF_PW_DECIMAL_PRECISION || col->scale != field->scale)
        return af_fail(err, AF_EINVAL, "column %s: decimals with %u digits after the point where the schema says %u (at most %d)",
                       field->name, col->scale, field->scale, AF_PW_DECIMAL_PRECISION);
    for (size_t i = 0; i < rows; i++)
        if (af_column_has(col, i) && (col->i128[i] >= end || col->i128[i] <= -end))
            return af_fail(err, AF_EINVAL, "column %s, row %zu: a decimal of more than %d digits", field->name, i,
                           AF_PW_DECIMAL_PRECISION);
    return AF_OK;
}

static enum af_status check_column(const struct af_field *field, const struct af_column *col, size_t rows, struct af_error *err)
{
    if (!field->is_nullable && (col->type == AF_TYPE_NULL ? rows : col->null_count) > 0)
        return af_fail(err, AF_EINVAL, "column %s has nulls and its field says it has none; set is_nullable", field->name);
    if (col->type == AF_TYPE_NULL)
        return AF_OK;
    if (col->type != field->type)
        return af_fail(err, AF_EINVAL, "column %s: type number %d in the batch, %d in the schema of the file", field->name,
                       (int)col->type, (int)field->type);
    if (col->type == AF_TYPE_DATE)
        return check_dates(field, col, rows, err);
    return col->type == AF_TYPE_DECIMAL ? check_decimals(field, col, rows, err) : AF_OK;
}

enum af_status af_pw_check_batch(const struct af_parquet_writer *w, const struct af_batch *batch, struct af_error *err)
{
    if (batch->schema->field_count != w->column_count)
        return af_fail(err, AF_EINVAL, "a batch of %zu columns for a file of %zu", batch->schema->field_count, w->column_count);
    for (size_t i = 0; i < w->column_count; i++)
        AF_TRY(check_column(&w->columns[i].field, &batch->columns[i], batch->row_count, err));
    return AF_OK;
}

/* --- room ---------------------------------------------------------------------------------------------------------------- */

static bool widen(void *array, size_t count, size_t bytes)
{
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = af_realloc(old, count * bytes);
    if (grown == NULL)
        return false;
    memcpy(array, &grown, sizeof grown);
    return true;
}

/* Room for `rows` rows in the open page, doubling, never past rows_max. */
static enum af_status make_room(struct af_pw_column *c, size_t rows, size_t rows_max, struct af_error *err)
{
    size_t cap = c->rows_cap == 0 ? ROWS_FIRST : c->rows_cap;
    if (rows <= c->rows_cap)
        return AF_OK;
    while (cap < rows)
        cap *= 2;
    if (cap > rows_max)
        cap = rows_max;
    if (!widen(&c->levels, cap, sizeof *c->levels) || !widen(&c->words, cap, sizeof *c->words) ||
        !widen(&c->codes, cap, sizeof *c->codes) ||
        (c->field.type == AF_TYPE_DECIMAL && !widen(&c->wides, cap, sizeof *c->wides)))
        return af_fail_nomem(err, "page of a Parquet column");
    c->rows_cap = cap;
    return AF_OK;
}

static size_t text_len(const struct af_column *col, size_t row)
{
    return af_column_has(col, row) ? af_column_text(col, row).len : 0;
}

size_t af_pw_stage_fit(const struct af_pw_column *c, const struct af_column *col, size_t from, size_t n)
{
    if (!af_type_is_text(col->type))
        return n;
    if (col->dict != NULL) {
        /* Before remap knows the dictionary, its whole text is the bound. */
        size_t longest = c->dict.remap_id == col->dict->id ? c->dict.entry_bytes_max : (size_t)col->dict->offsets[col->dict->count];
        if (longest == 0 || n <= AF_PW_SLICE_TEXT_MAX / longest)
            return n;
    } else if (col->offsets[from + n] - col->offsets[from] <= AF_PW_SLICE_TEXT_MAX) {
        return n;
    }
    size_t fit = 0;
    for (size_t bytes = 0; fit < n && (fit == 0 || bytes <= AF_PW_SLICE_TEXT_MAX); fit++)
        bytes += text_len(col, from + fit);
    return fit;
}

/* --- levels -------------------------------------------------------------------------------------------------------------- */

static void fill(uint32_t *dst, size_t n, uint32_t value)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = value;
}

/* Levels exist only once the page has a null; then the rows before get theirs. */
static void stage_levels(struct af_pw_column *c, const struct af_column *col, size_t from, size_t n)
{
    const bool none = col->type != AF_TYPE_NULL && col->validity == NULL;
    const bool had_nulls = c->count < c->rows;
    if (none && !had_nulls)
        return;
    if (!had_nulls)
        fill(c->levels, c->rows, 1);
    for (size_t i = 0; i < n; i++)
        c->levels[c->rows + i] = af_column_has(col, from + i);
}

/* --- values -------------------------------------------------------------------------------------------------------------- */

static size_t stage_words(struct af_pw_column *c, const struct af_column *col, size_t from, size_t n)
{
    const int64_t *src = col->i64 + from;
    int64_t *dst = c->words + c->count;
    size_t k = 0;
    if (col->validity == NULL) {
        memcpy(dst, src, n * sizeof *dst);
        return n;
    }
    for (size_t i = 0; i < n; i++) {
        dst[k] = src[i]; /* overwritten by the next one if this is null */
        k += af_bit_get(col->validity, from + i);
    }
    return k;
}

static size_t stage_bools(struct af_pw_column *c, const struct af_column *col, size_t from, size_t n)
{
    size_t k = 0;
    for (size_t i = from; i < from + n; i++)
        if (af_column_has(col, i))
            c->words[c->count + k++] = af_bit_get(col->bits, i);
    return k;
}

static size_t stage_wides(struct af_pw_column *c, const struct af_column *col, size_t from, size_t n)
{
    size_t k = 0;
    for (size_t i = from; i < from + n; i++)
        if (af_column_has(col, i))
            c->wides[c->count + k++] = col->i128[i];
    return k;
}

static size_t stage_times(struct af_pw_column *c, enum af_parquet_time_form form, const struct af_column *col, size_t from,
                          size_t n)
{
    const size_t k = stage_words(c, col, from, n);
    int64_t *words = c->words + c->count;
    /* The unit is written out so that the compiler makes a multiplication of the division. */
    if (form == AF_PARQUET_TIME_MICROS)
        for (size_t i = 0; i < k; i++)
            words[i] = af_floor_div(words[i], 1000);
    else if (form == AF_PARQUET_TIME_MILLIS)
        for (size_t i = 0; i < k; i++)
            words[i] = af_floor_div(words[i], 1000000);
    return k;
}

/* Codes of the batch's dictionary become ours. */
static enum af_status stage_codes(struct af_pw_column *c, const struct af_column *col, size_t from, size_t n, size_t *out_count,
                                  struct af_error *err)
{
    struct af_pw_dict *dict = &c->dict;
    const uint32_t *src = col->codes + from;
    uint32_t *dst = c->codes + c->count;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (col->validity != NULL && !af_bit_get(col->validity, from + i))
            continue;
        uint32_t code = dict->remap[src[i]];
        if (code == UINT32_MAX) {
            AF_TRY(af_intern_add(&dict->set, af_dict_get(col->dict, src[i]), &code, err));
            dict->remap[src[i]] = code;
        }
        dst[k++] = code;
    }
    *out_count = k;
    return AF_OK;
}

static enum af_status stage_interned(struct af_pw_column *c, const struct af_column *col, size_t from, size_t n,
                                     size_t *out_count, struct af_error *err)
{
    size_t k = 0;
    for (size_t i = from; i < from + n; i++)
        if (af_column_has(col, i))
            AF_TRY(af_intern_add(&c->dict.set, af_column_text(col, i), &c->codes[c->count + k++], err));
    *out_count = k;
    return AF_OK;
}

static enum af_status stage_plain_text(struct af_pw_column *c, const struct af_column *col, size_t from, size_t n,
                                       size_t *out_count, struct af_error *err)
{
    size_t k = 0;
    for (size_t i = from; i < from + n; i++) {
        if (!af_column_has(col, i))
            continue;
        struct af_slice text = af_column_text(col, i);
        af_buf_append_slice(&c->text, text);
        c->words[c->count + k++] = (int64_t)text.len;
    }
    *out_count = k;
    return af_buf_check(&c->text, "page of a Parquet column", err);
}

static enum af_status stage_text(struct af_pw_column *c, const struct af_column *col, size_t from, size_t n, size_t *out_count,
                                 struct af_error *err)
{
    if (col->dict != NULL)
        AF_TRY(af_pw_dict_remap(&c->dict, col->dict, err));
    if (c->dict.state != AF_PW_DICT_OPEN)
        return stage_plain_text(c, col, from, n, out_count, err);
    if (col->dict != NULL && c->dict.remap_count == col->dict->count)
        return stage_codes(c, col, from, n, out_count, err);
    return stage_interned(c, col, from, n, out_count, err);
}

enum af_status af_pw_stage(struct af_pw_column *c, enum af_parquet_time_form form, const struct af_column *col, size_t from,
                           size_t n, size_t rows_max, struct af_error *err)
{
    size_t count = 0;
    AF_TRY(make_room(c, c->rows + n, rows_max, err));
    stage_levels(c, col, from, n);
    switch (col->type) {
    case AF_TYPE_NULL: break;
    case AF_TYPE_BOOL: count = stage_bools(c, col, from, n); break;
    case AF_TYPE_DECIMAL: count = stage_wides(c, col, from, n); break;
    case AF_TYPE_CLOCK: form = form == AF_PARQUET_TIME_MILLIS ? AF_PARQUET_TIME_MICROS : form; /* see unit_of in write_meta.c */
    /* fall through */
    case AF_TYPE_TIME: count = stage_times(c, form, col, from, n); break;
    case AF_TYPE_STRING:
    case AF_TYPE_BYTES:
    case AF_TYPE_JSON: AF_TRY(stage_text(c, col, from, n, &count, err)); break;
    default: count = stage_words(c, col, from, n); break;
    }
    c->count += count;
    c->rows += n;
    return AF_OK;
}
