/*
 * values.c - values of one type gathered from many places, and views of stretches of them.
 *
 * Text is kept as offsets from the start of `text`; a view of a stretch has offsets that do not begin at 0. Bitmaps can be viewed where a
 * word begins; else the bits are shifted into place.
 */
#include "base/alloc.h"
#include "tsm/tsm_int.h"

enum af_status af_rows_init(struct af_rows *rows, enum af_type type, size_t cap, struct af_error *err)
{
    *rows = (struct af_rows){ .type = type, .cap = cap };
    af_buf_init(&rows->text, INT32_MAX);
    rows->time_ns = af_alloc(cap * sizeof *rows->time_ns);
    if (type == AF_TYPE_STRING)
        rows->offsets = af_alloc_zero(cap + 1, sizeof *rows->offsets);
    else
        rows->fixed = type == AF_TYPE_BOOL ? af_alloc_zero(af_bit_words(cap), 8) : af_alloc(cap * 8);
    if (rows->time_ns != NULL && (rows->offsets != NULL || rows->fixed != NULL))
        return AF_OK;
    af_rows_done(rows);
    return af_fail_nomem(err, "values to merge");
}

void af_rows_done(struct af_rows *rows)
{
    af_free(rows->time_ns);
    af_free(rows->fixed);
    af_free(rows->offsets);
    af_buf_done(&rows->text);
    *rows = (struct af_rows){ 0 };
}

void af_rows_clear(struct af_rows *rows)
{
    if (rows->type == AF_TYPE_BOOL)
        memset(rows->fixed, 0, af_bit_words(rows->count) * 8);
    rows->count = 0;
    af_buf_clear(&rows->text);
}

/* Word `i` of the bits from `first` on: what is past the end of the source's words is not read. */
static uint64_t shifted_word(const uint64_t *bits, size_t first, size_t count, size_t i)
{
    const size_t word = first / 64 + i;
    const unsigned shift = first % 64;
    uint64_t low = bits[word] >> shift;
    if (shift != 0 && word + 1 < af_bit_words(first + count))
        low |= bits[word + 1] << (64 - shift);
    return low;
}

static void append_bits(uint64_t *dst, size_t at, const uint64_t *src, size_t first, size_t count)
{
    size_t i = 0;
    for (; i < count && (at + i) % 64 != 0; i++)
        if (af_bit_get(src, first + i))
            af_bit_set(dst, at + i);
    for (; count - i >= 64; i += 64)
        dst[(at + i) / 64] = shifted_word(src, first + i, 64, 0);
    for (; i < count; i++)
        if (af_bit_get(src, first + i))
            af_bit_set(dst, at + i);
}

/* How many of the rows fit: the first always does. */
static size_t text_rows(const struct af_rows *rows, const int32_t *offsets, size_t count)
{
    const size_t room = AF_ROWS_TEXT_BYTES - rows->text.len;
    size_t taken = 1;
    while (taken < count && (size_t)(offsets[taken] - offsets[0]) < room)
        taken++;
    return taken;
}

static enum af_status append_text(struct af_rows *rows, const struct af_column *col, size_t first, size_t count, struct af_error *err)
{
    const int32_t *offsets = col->offsets + first;
    const int32_t base = (int32_t)rows->text.len;
    if (offsets[count] > offsets[0])
        af_buf_append(&rows->text, col->bytes + offsets[0], (size_t)(offsets[count] - offsets[0]));
    AF_TRY(af_buf_check(&rows->text, "text to merge", err));
    for (size_t i = 1; i <= count; i++)
        rows->offsets[rows->count + i] = base + (offsets[i] - offsets[0]);
    return AF_OK;
}

enum af_status af_rows_append(struct af_rows *rows, const struct af_tsm_values *src, size_t first, size_t count, size_t *out_taken,
                              struct af_error *err)
{
    const struct af_column *col = &src->values;
    size_t taken = count < rows->cap - rows->count ? count : rows->cap - rows->count;
    if (taken == 0 || af_rows_is_full(rows)) {
        *out_taken = 0;
        return AF_OK;
    }
    if (rows->type == AF_TYPE_STRING) {
        taken = text_rows(rows, col->offsets + first, taken);
        AF_TRY(append_text(rows, col, first, taken, err));
    } else if (rows->type == AF_TYPE_BOOL) {
        append_bits(rows->fixed, rows->count, col->bits, first, taken);
    } else {
        memcpy((uint64_t *)rows->fixed + rows->count, col->u64 + first, taken * 8);
    }
    memcpy(rows->time_ns + rows->count, src->time_ns + first, taken * sizeof *rows->time_ns);
    rows->count += taken;
    *out_taken = taken;
    return AF_OK;
}

void af_rows_values(const struct af_rows *rows, struct af_tsm_values *out)
{
    *out = (struct af_tsm_values){ .count = rows->count, .time_ns = rows->time_ns };
    out->values.type = rows->type;
    out->values.values = rows->fixed;
    out->values.offsets = rows->offsets;
    out->values.bytes = rows->type != AF_TYPE_STRING ? NULL : rows->text.ptr != NULL ? rows->text.ptr : "";
}

enum af_status af_values_slice(const struct af_tsm_values *src, size_t first, size_t count, struct af_arena *arena,
                               struct af_tsm_values *out, struct af_error *err)
{
    struct af_tsm_values view = *src;
    view.count = count;
    view.time_ns = src->time_ns + first;
    if (src->values.type == AF_TYPE_STRING) {
        view.values.offsets = src->values.offsets + first;
    } else if (src->values.type != AF_TYPE_BOOL) {
        view.values.u64 = src->values.u64 + first;
    } else if (first % 64 == 0) {
        view.values.bits = src->values.bits + first / 64;
    } else {
        const size_t words = af_bit_words(count);
        uint64_t *bits = af_arena_array(arena, words, sizeof *bits);
        if (bits == NULL)
            return af_arena_fail(arena, words * sizeof *bits, "values to merge", err);
        for (size_t i = 0; i < words; i++)
            bits[i] = shifted_word(src->values.bits, first, count, i);
        view.values.bits = bits;
    }
    *out = view;
    return AF_OK;
}

size_t af_values_seek(const struct af_tsm_values *values, size_t from, int64_t time_ns)
{
    /* Doubling steps first: what is sought is mostly near. */
    size_t step = 1;
    size_t low = from;
    while (low + step < values->count && values->time_ns[low + step] < time_ns) {
        low += step;
        step *= 2;
    }
    size_t high = low + step < values->count ? low + step : values->count;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (values->time_ns[mid] < time_ns)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}
