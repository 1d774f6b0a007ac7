/*
 * column.c - one column of a batch, from the pages of its chunk.
 *
 * A batch may span pages. Of each page a piece is taken:
 *
 *     levels  -> validity bits        left out where the page has no nulls; the bitmap is made at the first null of the batch
 *     values  -> dense at the front of the piece
 *     spread  -> each value to its row, backwards, so in place
 *
 * Text stays dictionary codes until a page without the dictionary comes; then the rows so far are turned into bytes.
 */
#include "format/parquet/parquet_int.h"

struct column {
    struct af_pq_reader *reader;
    const struct af_pq_fill *fill;
    struct af_pq_vec vec;
    uint64_t *validity;
    size_t null_count;
};

/* --- levels to validity -------------------------------------------------------------------------------------------------------- */

static enum af_status need_validity(struct column *column, struct af_error *err)
{
    if (column->validity != NULL)
        return AF_OK;
    column->validity = af_bits_new(column->fill->arena, column->fill->rows, true);
    return column->validity != NULL ? AF_OK : af_fail_nomem(err, "the validity of a column");
}

static void clear_range(uint64_t *bits, size_t from, size_t count)
{
    while (count > 0 && from % 64 != 0)
        af_bit_clear(bits, from++), count--;
    for (; count >= 64; count -= 64, from += 64)
        bits[from / 64] = 0;
    while (count > 0)
        af_bit_clear(bits, from++), count--;
}

/* Clear the bits of up to 64 rows whose level is not `max`; how many. */
static unsigned clear_nulls(uint64_t *bits, size_t from, const uint32_t *levels, size_t count, uint32_t max)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < count; i++)
        mask |= (uint64_t)(levels[i] != max) << i;
    const unsigned shift = from % 64;
    bits[from / 64] &= ~(mask << shift);
    if (shift + count > 64)
        bits[from / 64 + 1] &= ~(mask >> (64 - shift));
    return (unsigned)__builtin_popcountll(mask);
}

static enum af_status packed_levels(struct column *column, size_t at, size_t count, size_t *present, struct af_error *err)
{
    uint32_t block[AF_PQ_BLOCK];
    while (count > 0) {
        const size_t n = count < AF_PQ_BLOCK ? count : AF_PQ_BLOCK;
        size_t nulls = 0;
        AF_TRY(af_pq_levels_read(&column->reader->def, block, n, err));
        for (size_t i = 0; i < n; i += 64)
            nulls += clear_nulls(column->validity, at + i, block + i, n - i < 64 ? n - i : 64, column->reader->def.max);
        *present += n - nulls;
        at += n;
        count -= n;
    }
    return AF_OK;
}

/* The validity of rows [at, at + count) of the batch; *out_present: how many have a value. */
static enum af_status read_validity(struct column *column, size_t at, size_t count, size_t *out_present, struct af_error *err)
{
    struct af_pq_levels *def = &column->reader->def;
    size_t present = 0;
    const size_t rows = count;
    while (count > 0) {
        size_t run = 0;
        size_t packed = 0;
        uint32_t level = 0;
        AF_TRY(af_pq_levels_run(def, count, &run, &level, &packed, err));
        if (run != 0 && level == def->max) {
            present += run;
        } else if (run != 0) {
            AF_TRY(need_validity(column, err));
            clear_range(column->validity, at, run);
        } else {
            run = packed;
            AF_TRY(need_validity(column, err));
            AF_TRY(packed_levels(column, at, packed, &present, err));
        }
        at += run;
        count -= run;
    }
    column->null_count += rows - present;
    *out_present = present;
    return AF_OK;
}

/* --- spreading --------------------------------------------------------------------------------------------------------------- */

/* From `present` dense values at the front of [at, at + count) to their rows. Stops as soon as the rest is in place. */
#define SPREAD(type, array, null_value)                                                                      \
    do {                                                                                                     \
        type *const to = (array) + at;                                                                       \
        size_t from = present;                                                                               \
        size_t i = count;                                                                                    \
        while (from > 0 && i > from) {                                                                       \
            i--;                                                                                             \
            const bool has = af_bit_get(validity, at + i);                                                   \
            const type moved = to[from - 1];                                                                 \
            to[i] = has ? moved : (type)(null_value);                                                        \
            from -= has;                                                                                     \
        }                                                                                                    \
        for (; i > from; i--)                                                                                \
            to[i - 1] = (type)(null_value);                                                                  \
    } while (0)

/* offsets[at + i + 1] is the end of row i: a null ends where the row before it ends. */
static void spread_offsets(int32_t *offsets, const uint64_t *validity, size_t at, size_t count, size_t present)
{
    size_t from = present;
    for (size_t i = count; i > 0; i--) {
        const int32_t end = offsets[at + from];
        from -= af_bit_get(validity, at + i - 1);
        offsets[at + i] = end;
    }
}

static void spread_bits(uint64_t *bits, const uint64_t *validity, size_t at, size_t count, size_t present)
{
    for (size_t i = count; i > 0 && present > 0; i--) {
        if (!af_bit_get(validity, at + i - 1))
            continue;
        present--;
        if (af_bit_get(bits, at + present))
            af_bit_set(bits, at + i - 1);
        else
            af_bit_clear(bits, at + i - 1);
    }
}

static void spread(struct column *column, size_t at, size_t count, size_t present)
{
    const uint64_t *validity = column->validity;
    struct af_pq_vec *vec = &column->vec;
    const uint8_t form = column->reader->leaf->form;
    if (form == AF_PQ_FORM_BOOL)
        spread_bits(vec->bits, validity, at, count, present);
    else if (form == AF_PQ_FORM_DECIMAL)
        SPREAD(__int128, vec->i128, 0);
    else if (!af_pq_form_is_text(form))
        SPREAD(int64_t, vec->i64, 0);
    else if (vec->is_coded)
        SPREAD(uint32_t, vec->codes, 0);
    else
        spread_offsets(vec->offsets, validity, at, count, present);
}

/* --- pieces ------------------------------------------------------------------------------------------------------------------ */

static enum af_status need_offsets(struct column *column, struct af_error *err)
{
    struct af_pq_vec *vec = &column->vec;
    if (vec->offsets == NULL)
        vec->offsets = af_arena_array(column->fill->arena, column->fill->rows + 1, sizeof *vec->offsets);
    if (vec->offsets == NULL)
        return af_fail_nomem(err, "the text of a column");
    vec->offsets[0] = 0;
    return AF_OK;
}

/* Whether text begins as codes depends on the page the batch begins with. */
static enum af_status need_memory(struct column *column, struct af_error *err)
{
    struct af_pq_vec *vec = &column->vec;
    const struct af_pq_reader *reader = column->reader;
    const uint8_t form = reader->leaf->form;
    const size_t rows = column->fill->rows;
    if (af_pq_form_is_text(form)) {
        vec->is_coded = reader->values.source == AF_PQ_SOURCE_DICT ||
                        (reader->values.source == AF_PQ_SOURCE_EMPTY && reader->dict.is_loaded);
        if (!vec->is_coded)
            return need_offsets(column, err);
        vec->codes = af_arena_array(column->fill->arena, rows, sizeof *vec->codes);
        return vec->codes != NULL ? AF_OK : af_fail_nomem(err, "the codes of a column");
    }
    if (form == AF_PQ_FORM_BOOL)
        vec->bits = af_bits_new(column->fill->arena, rows, false);
    else
        vec->fixed = af_arena_array(column->fill->arena, rows, af_pq_form_bytes(form));
    return vec->bits != NULL || vec->fixed != NULL ? AF_OK : af_fail_nomem(err, "the values of a column");
}

static enum af_status take_piece(struct column *column, size_t at, size_t count, struct af_error *err)
{
    struct af_pq_reader *reader = column->reader;
    const enum af_pq_source source = reader->values.source;
    size_t present = count;
    if (column->vec.is_coded && source != AF_PQ_SOURCE_DICT && source != AF_PQ_SOURCE_EMPTY) {
        AF_TRY(need_offsets(column, err));
        AF_TRY(af_pq_vec_decode(&column->vec, reader->dict.text, at, err)); /* nulls hold entry 0: anything is fine */
    }
    if (!reader->page_is_full)
        AF_TRY(read_validity(column, at, count, &present, err));
    AF_TRY(af_pq_values_read(reader, present, &column->vec, at, err));
    if (present < count)
        spread(column, at, count, present);
    reader->page_left -= (uint32_t)count;
    return reader->page_left == 0 ? af_pq_values_end(reader, err) : AF_OK;
}

/* --- the column -------------------------------------------------------------------------------------------------------------- */

/* Values that could not be held become nulls that are marked. */
static enum af_status mark_misfits(struct column *column, struct af_column *out, struct af_error *err)
{
    const struct af_pq_vec *vec = &column->vec;
    const size_t rows = column->fill->rows;
    const bool is_decimal = column->reader->leaf->form == AF_PQ_FORM_DECIMAL;
    uint64_t *invalid = NULL;
    for (size_t i = 0; i < rows; i++) {
        if (is_decimal ? vec->i128[i] != AF_PQ_NO_DECIMAL : vec->i64[i] != AF_PQ_NO_TIME)
            continue;
        AF_TRY(need_validity(column, err));
        if (!af_bit_get(column->validity, i))
            continue;
        if (invalid == NULL && (invalid = af_bits_new(column->fill->arena, rows, false)) == NULL)
            return af_fail_nomem(err, "the validity of a column");
        af_bit_clear(column->validity, i);
        af_bit_set(invalid, i);
        column->null_count++;
    }
    out->invalid = invalid;
    out->invalid_why = invalid == NULL ? NULL : is_decimal ? "decimal out of range" : "time out of range";
    return AF_OK;
}

static enum af_status finish_text(const struct af_pq_fill *fill, struct af_column *out, int32_t *offsets, struct af_error *err)
{
    char *bytes = af_arena_array(fill->arena, fill->text->len, 1);
    if (bytes == NULL)
        return af_arena_fail(fill->arena, fill->text->len, "the text of a column", err);
    if (fill->text->len != 0)
        memcpy(bytes, fill->text->ptr, fill->text->len);
    out->offsets = offsets;
    out->bytes = bytes;
    return AF_OK;
}

static enum af_status finish(struct column *column, struct af_column *out, struct af_error *err)
{
    const struct af_pq_reader *reader = column->reader;
    struct af_pq_vec *vec = &column->vec;
    *out = (struct af_column){ .type = reader->leaf->type, .scale = reader->leaf->scale };
    if (vec->has_misfit)
        AF_TRY(mark_misfits(column, out, err));
    if (column->null_count != 0) {
        out->validity = column->validity;
        out->null_count = column->null_count;
    }
    if (!af_pq_form_is_text(reader->leaf->form)) {
        out->values = vec->bits != NULL ? (const void *)vec->bits : vec->fixed;
        return AF_OK;
    }
    if (!vec->is_coded)
        return finish_text(column->fill, out, vec->offsets, err);
    AF_TRY(af_dict_hold(reader->dict.text, column->fill->arena, err));
    out->codes = vec->codes;
    out->dict = reader->dict.text;
    return AF_OK;
}

static enum af_status fill_pieces(struct column *column, struct af_error *err)
{
    struct af_pq_reader *reader = column->reader;
    const size_t rows = column->fill->rows;
    for (size_t at = 0; at < rows;) {
        if (reader->page_left == 0)
            AF_TRY(af_pq_page_next(reader, err));
        if (at == 0)
            AF_TRY(need_memory(column, err));
        const size_t n = rows - at < reader->page_left ? rows - at : reader->page_left;
        AF_TRY(take_piece(column, at, n, err));
        at += n;
    }
    return AF_OK;
}

enum af_status af_pq_fill_flat(struct af_pq_reader *reader, const struct af_pq_fill *fill, struct af_column *out, struct af_error *err)
{
    struct column column = { .reader = reader, .fill = fill };
    if (reader->leaf->form == AF_PQ_FORM_NULL) {
        *out = (struct af_column){ .type = AF_TYPE_NULL };
        return AF_OK;
    }
    column.vec.text = *fill->text;
    enum af_status status = fill_pieces(&column, err);
    *fill->text = column.vec.text;
    return status == AF_OK ? finish(&column, out, err) : status;
}

enum af_status af_pq_fill_nested(struct af_pq_nested *nested, const struct af_pq_fill *fill, struct af_column *out, struct af_error *err)
{
    int32_t *offsets = af_arena_array(fill->arena, fill->rows + 1, sizeof *offsets);
    uint64_t *validity = af_bits_new(fill->arena, fill->rows, true);
    size_t null_count = 0;
    if (offsets == NULL || validity == NULL)
        return af_fail_nomem(err, "a nested column");
    offsets[0] = 0;
    for (size_t i = 0; i < fill->rows; i++) {
        bool is_null = false;
        AF_TRY(af_pq_nested_row(nested, fill->text, &is_null, err));
        offsets[i + 1] = (int32_t)fill->text->len;
        if (is_null) {
            af_bit_clear(validity, i);
            null_count++;
        }
    }
    *out = (struct af_column){ .type = AF_TYPE_JSON };
    if (null_count != 0) {
        out->validity = validity;
        out->null_count = null_count;
    }
    return finish_text(fill, out, offsets, err);
}
