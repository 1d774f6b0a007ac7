/*
 * arrow_cells.c - cells of an Arrow array as afluxo's: the same memory where the layouts agree and it is aligned, else a copy.
 *
 *     same memory          copied
 *     int64 uint64         narrower integers, widened
 *     double               half, float
 *     timestamp[ns]        other units, multiplied; what leaves int64 is marked invalid
 *     time64[ns]           other units; dates (int32, or ms)
 *     decimal128           narrower decimals
 *     offsets32 + bytes    offsets64 (their bytes stay where they are), views, fixed width
 *     bitmaps of 64s       bitmaps that begin or end inside a word
 *     codes of 32 bits     codes of other widths, and those with nulls among them
 *
 * Whoever made an array is trusted with its memory: buffers are as long as the array says. What can be seen to be wrong is refused: codes
 * past their dictionary, offsets that descend, views past the buffers whose sizes are told.
 */
#include "base/limits.h"
#include "ffi/ffi_int.h"

/* --- numbers --------------------------------------------------------------------------------------------------------------- */

static int64_t int_at(const struct arrow_cells *cells, const char *from, size_t i)
{
    from += i * cells->width;
    switch (cells->width) {
    case 1: return (int8_t)*from;
    case 2: return (int16_t)(uint16_t)((uint8_t)from[0] | (uint8_t)from[1] << 8);
    case 4: {
        int32_t v;
        memcpy(&v, from, sizeof v);
        return v;
    }
    default: {
        int64_t v;
        memcpy(&v, from, sizeof v);
        return v;
    }
    }
}

static uint64_t uint_at(const struct arrow_cells *cells, const char *from, size_t i)
{
    uint64_t v = (uint64_t)int_at(cells, from, i);
    return cells->width == 8 ? v : v & ((UINT64_C(1) << 8 * cells->width) - 1);
}

static double half(uint16_t bits)
{
    const int exponent = bits >> 10 & 31;
    const uint64_t sign = (uint64_t)(bits >> 15) << 63, fraction = bits & 0x3ff;
    uint64_t out = sign | (uint64_t)(exponent - 15 + 1023) << 52 | fraction << 42;
    double value;
    if (exponent == 0) {
        value = (double)fraction * 0x1p-24;
        return sign != 0 ? -value : value;
    }
    if (exponent == 31)
        out = sign | UINT64_C(0x7ff) << 52 | fraction << 42;
    memcpy(&value, &out, sizeof value);
    return value;
}

static double float_at(const struct arrow_cells *cells, const char *from, size_t i)
{
    from += i * cells->width;
    if (cells->width == 2)
        return half((uint16_t)((uint8_t)from[0] | (uint8_t)from[1] << 8));
    if (cells->width == 4) {
        float v;
        memcpy(&v, from, sizeof v);
        return (double)v;
    }
    double v;
    memcpy(&v, from, sizeof v);
    return v;
}

static __int128 decimal_at(const struct arrow_cells *cells, const char *from, size_t i)
{
    __int128 v;
    if (cells->width != 16)
        return int_at(cells, from, i);
    memcpy(&v, from + i * 16, sizeof v);
    return v;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static enum af_status mark_invalid(struct af_column *col, size_t row, size_t rows, struct af_arena *arena, struct af_error *err)
{
    if (col->invalid == NULL)
        col->invalid = af_bits_new(arena, rows, false);
    if (col->invalid == NULL)
        return af_arena_fail(arena, rows / 8, "a column", err);
    col->invalid_why = "time out of range";
    af_bit_set((uint64_t *)col->invalid, row);
    return AF_OK;
}

/* Rows without a value may hold anything: they are marked invalid and null. */
static enum af_status scale_times(const struct arrow_cells *cells, const char *from, size_t rows, int64_t *to, struct af_column *col,
                                  struct af_arena *arena, struct af_error *err)
{
    for (size_t i = 0; i < rows; i++) {
        int64_t v = int_at(cells, from, i);
        if (cells->divisor != 0)
            to[i] = floor_div(v, cells->divisor);
        else if (__builtin_mul_overflow(v, cells->factor, &to[i])) {
            to[i] = 0;
            AF_TRY(mark_invalid(col, i, rows, arena, err));
        }
    }
    return AF_OK;
}

static enum af_status widen(const struct arrow_cells *cells, const char *from, size_t rows, struct af_arena *arena, struct af_column *col,
                            struct af_error *err)
{
    const size_t size = cells->layout == ARROW_DECIMAL ? 16 : 8;
    void *to = af_arena_array(arena, rows, size);
    if (to == NULL)
        return af_arena_fail(arena, rows * size, "a column", err);
    col->values = to;
    switch (cells->layout) {
    case ARROW_UINT:
        for (size_t i = 0; i < rows; i++)
            ((uint64_t *)to)[i] = uint_at(cells, from, i);
        return AF_OK;
    case ARROW_FLOAT:
        for (size_t i = 0; i < rows; i++)
            ((double *)to)[i] = float_at(cells, from, i);
        return AF_OK;
    case ARROW_DECIMAL:
        for (size_t i = 0; i < rows; i++)
            ((__int128 *)to)[i] = decimal_at(cells, from, i);
        return AF_OK;
    default:
        if (cells->factor > 1 || cells->divisor != 0)
            return scale_times(cells, from, rows, to, col, arena, err);
        for (size_t i = 0; i < rows; i++)
            ((int64_t *)to)[i] = int_at(cells, from, i);
        return AF_OK;
    }
}

static enum af_status numbers(const struct arrow_cells *cells, struct arrow_at at, size_t rows, struct af_arena *arena,
                              struct af_column *col, struct af_error *err)
{
    static const char nothing[16];
    const char *from = arrow_buffer(at.array, 1);
    const size_t size = cells->layout == ARROW_DECIMAL ? 16 : 8;
    if (from == NULL && rows != 0)
        return af_fail(err, AF_EINVAL, "an Arrow array of %zu rows has no values", rows);
    from = from == NULL ? nothing : from + at.row * cells->width;
    if (cells->width == size && cells->factor <= 1 && cells->divisor == 0 && arrow_is_aligned(from, size)) {
        col->values = from;
        return AF_OK;
    }
    return widen(cells, from, rows, arena, col, err);
}

/* --- bitmaps --------------------------------------------------------------------------------------------------------------- */

const uint64_t *arrow_bits(const void *bitmap, size_t from, size_t rows, struct af_arena *arena)
{
    const uint8_t *bytes = (const uint8_t *)bitmap + from / 8;
    const unsigned shift = (unsigned)(from % 8);
    const size_t count = (shift + rows + 7) / 8; /* bytes that may be read */
    if (shift == 0 && rows % 64 == 0 && arrow_is_aligned(bytes, 8))
        return (const uint64_t *)(const void *)bytes;
    uint64_t *to = af_arena_array(arena, af_bit_words(rows) + 1, sizeof *to);
    if (to == NULL)
        return NULL;
    for (size_t word = 0; word < af_bit_words(rows); word++) {
        uint8_t part[16] = { 0 };
        uint64_t low, high;
        memcpy(part, bytes + word * 8, count - word * 8 < 9 ? count - word * 8 : 9);
        memcpy(&low, part, 8);
        memcpy(&high, part + 8, 8);
        to[word] = shift == 0 ? low : low >> shift | high << (64 - shift);
    }
    if (rows % 64 != 0)
        to[rows / 64] &= (UINT64_C(1) << rows % 64) - 1;
    return to;
}

static enum af_status truths(struct arrow_at at, size_t rows, struct af_arena *arena, struct af_column *col, struct af_error *err)
{
    const void *bitmap = arrow_buffer(at.array, 1);
    if (bitmap == NULL && rows != 0)
        return af_fail(err, AF_EINVAL, "an Arrow array of %zu rows has no values", rows);
    col->bits = bitmap != NULL ? arrow_bits(bitmap, at.row, rows, arena) : af_bits_new(arena, 0, false);
    return col->bits != NULL ? AF_OK : af_arena_fail(arena, rows / 8, "a column", err);
}

/* --- text ------------------------------------------------------------------------------------------------------------------ */

/* Rows without a value may hold any view. */
static bool leaf_has(struct arrow_at at, size_t i)
{
    const uint8_t *bits = arrow_buffer(at.array, 0);
    i += at.row;
    return bits == NULL || at.array->null_count == 0 || (bits[i / 8] >> i % 8 & 1) != 0;
}

/* Buffers of views: validity, views, any number with text, and last how long each of those is. ptr NULL: it leads nowhere. */
static struct af_slice view_at(struct arrow_at at, size_t i)
{
    static const struct af_slice nowhere;
    struct {
        int32_t len;
        char head[4];
        int32_t buffer, offset;
    } view;
    const char *from = (const char *)arrow_buffer(at.array, 1) + (at.row + i) * sizeof view;
    if (!leaf_has(at, i))
        return (struct af_slice){ "", 0 };
    memcpy(&view, from, sizeof view);
    if (view.len < 0)
        return nowhere;
    if (view.len <= 12)
        return (struct af_slice){ from + 4, (size_t)view.len };
    const int64_t count = at.array->n_buffers - 3;
    const char *sizes = arrow_buffer(at.array, count + 2);
    int64_t size;
    if (view.buffer < 0 || view.buffer >= count || view.offset < 0 || sizes == NULL)
        return nowhere;
    memcpy(&size, sizes + (size_t)view.buffer * sizeof size, sizeof size);
    const char *data = arrow_buffer(at.array, 2 + (int64_t)view.buffer);
    return data != NULL && (int64_t)view.offset + view.len <= size ? (struct af_slice){ data + view.offset, (size_t)view.len } : nowhere;
}

/* Where the bytes of a row are: views, and texts of one width. */
static struct af_slice text_at(const struct arrow_cells *cells, struct arrow_at at, size_t i)
{
    const size_t width = (size_t)cells->fixed_width;
    if (cells->layout == ARROW_VIEW)
        return view_at(at, i);
    return (struct af_slice){ (const char *)arrow_buffer(at.array, 1) + (at.row + i) * width, width };
}

static int64_t offset_at(const struct arrow_cells *cells, struct arrow_at at, size_t i)
{
    const struct arrow_cells edge = { .width = cells->layout == ARROW_TEXT32 ? 4 : 8 };
    return int_at(&edge, arrow_buffer(at.array, 1), at.row + i);
}

static bool is_ascending(const struct arrow_cells *cells, struct arrow_at at, size_t rows)
{
    const int32_t *offsets = arrow_buffer(at.array, 1);
    uint32_t descends = 0;
    if (cells->layout == ARROW_TEXT32 && arrow_is_aligned(offsets, 4)) {
        for (size_t i = at.row; i < at.row + rows; i++)
            descends |= offsets[i + 1] < offsets[i];
        return descends == 0;
    }
    for (size_t i = 0; i < rows; i++)
        descends |= offset_at(cells, at, i + 1) < offset_at(cells, at, i);
    return descends == 0;
}

/* As far as the first and the last offset say. */
static size_t span_of_offsets(const struct arrow_cells *cells, struct arrow_at at, size_t rows)
{
    if (rows == 0)
        return 0;
    if (arrow_buffer(at.array, 1) == NULL)
        return SIZE_MAX;
    int64_t first = offset_at(cells, at, 0), last = offset_at(cells, at, rows);
    if (first < 0 || last < first || (last > first && arrow_buffer(at.array, 2) == NULL))
        return SIZE_MAX;
    return (size_t)(last - first);
}

size_t arrow_text_span(const struct arrow_cells *cells, struct arrow_at at, size_t rows)
{
    if (cells->layout == ARROW_TEXT32 || cells->layout == ARROW_TEXT64)
        return span_of_offsets(cells, at, rows);
    if (rows == 0 || (cells->layout != ARROW_VIEW && cells->layout != ARROW_FIXED))
        return 0;
    if (arrow_buffer(at.array, 1) == NULL)
        return SIZE_MAX;
    if (cells->layout == ARROW_FIXED)
        return rows * (size_t)cells->fixed_width;
    size_t sum = 0;
    for (size_t i = 0; i < rows; i++) {
        struct af_slice text = text_at(cells, at, i);
        if (text.ptr == NULL)
            return SIZE_MAX;
        sum += text.len;
    }
    return sum;
}

static enum af_status copy_text(const struct arrow_cells *cells, struct arrow_at at, size_t rows, size_t bytes, struct af_arena *arena,
                                struct af_column *col, struct af_error *err)
{
    int32_t *offsets = af_arena_array(arena, rows + 1, sizeof *offsets);
    char *text = af_arena_array(arena, bytes + 1, 1);
    size_t used = 0;
    if (offsets == NULL || text == NULL)
        return af_arena_fail(arena, bytes, "a column of text", err);
    offsets[0] = 0;
    for (size_t i = 0; i < rows; i++) {
        struct af_slice s = text_at(cells, at, i);
        if (s.len != 0)
            memcpy(text + used, s.ptr, s.len);
        used += s.len;
        offsets[i + 1] = (int32_t)used;
    }
    col->offsets = offsets;
    col->bytes = text;
    return AF_OK;
}

/* Offsets of 64 bits: their bytes stay where they are. */
static enum af_status rebase(struct arrow_at at, size_t rows, struct af_arena *arena, struct af_column *col, struct af_error *err)
{
    static const struct arrow_cells edge = { .width = 8 };
    const char *from = (const char *)arrow_buffer(at.array, 1) + at.row * 8;
    const char *bytes = arrow_buffer(at.array, 2);
    int32_t *offsets = af_arena_array(arena, rows + 1, sizeof *offsets);
    if (offsets == NULL)
        return af_arena_fail(arena, rows * 4, "a column of text", err);
    int64_t first = int_at(&edge, from, 0);
    for (size_t i = 0; i <= rows; i++)
        offsets[i] = (int32_t)(int_at(&edge, from, i) - first);
    col->offsets = offsets;
    col->bytes = bytes != NULL ? bytes + first : "";
    return AF_OK;
}

static enum af_status texts(const struct arrow_cells *cells, struct arrow_at at, size_t rows, struct af_arena *arena,
                            struct af_column *col, struct af_error *err)
{
    static const int32_t no_offsets[1];
    const size_t bytes = arrow_text_span(cells, at, rows);
    const char *main = arrow_buffer(at.array, 1);
    const bool has_offsets = cells->layout == ARROW_TEXT32 || cells->layout == ARROW_TEXT64;
    if (bytes == SIZE_MAX || (has_offsets && rows != 0 && !is_ascending(cells, at, rows)))
        return af_fail(err, AF_EINVAL, "an Arrow array of text whose offsets descend or lead nowhere");
    if (bytes > INT32_MAX)
        return af_fail(err, AF_ELIMIT, "%zu bytes of text in %zu rows", bytes, rows);
    if (rows == 0) {
        col->offsets = no_offsets;
        col->bytes = "";
        return AF_OK;
    }
    if (cells->layout == ARROW_TEXT64)
        return rebase(at, rows, arena, col, err);
    if (cells->layout != ARROW_TEXT32 || !arrow_is_aligned(main, 4))
        return copy_text(cells, at, rows, bytes, arena, col, err);
    const char *data = arrow_buffer(at.array, 2);
    col->offsets = (const int32_t *)(const void *)main + at.row;
    col->bytes = data != NULL ? data : "";
    return AF_OK;
}

enum af_status arrow_values(const struct arrow_cells *cells, struct arrow_at at, size_t rows, struct af_arena *arena,
                            struct af_column *col, struct af_error *err)
{
    switch (cells->layout) {
    case ARROW_NONE: return AF_OK;
    case ARROW_BITS: return truths(at, rows, arena, col, err);
    case ARROW_INT:
    case ARROW_UINT:
    case ARROW_FLOAT:
    case ARROW_DECIMAL: return numbers(cells, at, rows, arena, col, err);
    default: return texts(cells, at, rows, arena, col, err);
    }
}

/* --- codes ----------------------------------------------------------------------------------------------------------------- */

static bool has_row(const uint64_t *validity, size_t row)
{
    return validity == NULL || af_bit_get(validity, row);
}

static enum af_status copy_codes(const struct arrow_cells *cells, const char *from, size_t rows, size_t entries, const uint64_t *validity,
                                 struct af_arena *arena, const uint32_t **out, struct af_error *err)
{
    uint32_t *to = af_arena_array(arena, rows, sizeof *to);
    if (to == NULL)
        return af_arena_fail(arena, rows * sizeof *to, "codes of a dictionary", err);
    for (size_t i = 0; i < rows; i++) {
        uint64_t code = has_row(validity, i) ? cells->layout == ARROW_UINT ? uint_at(cells, from, i) : (uint64_t)int_at(cells, from, i) : 0;
        if (code >= entries && has_row(validity, i))
            return af_fail(err, AF_EINVAL, "an Arrow array with code %lld of a dictionary of %zu", (long long)code, entries);
        to[i] = (uint32_t)code;
    }
    *out = to;
    return AF_OK;
}

enum af_status arrow_codes(const struct arrow_cells *cells, struct arrow_at at, size_t rows, size_t entries, const uint64_t *validity,
                           struct af_arena *arena, const uint32_t **out, struct af_error *err)
{
    const char *from = arrow_buffer(at.array, 1);
    if (from == NULL && rows != 0)
        return af_fail(err, AF_EINVAL, "an Arrow array of %zu rows has no codes", rows);
    from = from == NULL ? "" : from + at.row * cells->width;
    if (cells->width != 4 || validity != NULL || !arrow_is_aligned(from, 4))
        return copy_codes(cells, from, rows, entries, validity, arena, out, err);
    const uint32_t *codes = (const uint32_t *)(const void *)from;
    uint32_t largest = 0;
    for (size_t i = 0; i < rows; i++)
        largest = codes[i] > largest ? codes[i] : largest;
    if (rows != 0 && largest >= entries)
        return af_fail(err, AF_EINVAL, "an Arrow array with code %d of a dictionary of %zu", (int)largest, entries);
    *out = codes;
    return AF_OK;
}
