/*
 * columns.c - columns cut, picked from, copied and grown; see exec_int.h.
 *
 * Four layouts: 8 bytes a row; a bitmap (BOOL, and every validity); offsets and bytes; codes and a dictionary. Bitmaps are moved 64 rows at
 * a time whatever bit they begin at. Bits past the end of a bitmap made here are 0.
 */
#include "exec/exec_int.h"

static bool is_fixed(enum af_type type)
{
    return type == AF_TYPE_I64 || type == AF_TYPE_U64 || type == AF_TYPE_F64 || type == AF_TYPE_TIME;
}

static enum af_status fail_type(enum af_type type, struct af_error *err)
{
    return af_fail(err, AF_EBUG, "a query has a column of type %s where another one is due", af_type_name(type));
}

/* --- bitmaps ------------------------------------------------------------------------------------------------------------------- */

/* `count` <= 64 bits from bit `first` on, the rest 0. */
static uint64_t bits_word(const uint64_t *bits, size_t first, size_t count)
{
    size_t shift = first % 64;
    uint64_t word = bits[first / 64] >> shift;
    if (shift != 0 && shift + count > 64)
        word |= bits[first / 64 + 1] << (64 - shift);
    return count < 64 ? word & ((UINT64_C(1) << count) - 1) : word;
}

/* Behind the `at` bits that `dst` has; `src` NULL: ones. */
static void bits_append(uint64_t *dst, size_t at, const uint64_t *src, size_t first, size_t count)
{
    while (count > 0) {
        size_t shift = at % 64;
        size_t n = 64 - shift < count ? 64 - shift : count;
        uint64_t ones = n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
        uint64_t word = src != NULL ? bits_word(src, first, n) : ones;
        dst[at / 64] = (shift != 0 ? dst[at / 64] & ((UINT64_C(1) << shift) - 1) : 0) | word << shift;
        at += n;
        first += n;
        count -= n;
    }
}

static uint64_t *bits_copy(const uint64_t *bits, size_t first, size_t count, struct af_arena *arena)
{
    uint64_t *copy = af_arena_array(arena, af_bit_words(count), sizeof *copy);
    if (copy != NULL)
        bits_append(copy, 0, bits, first, count);
    return copy;
}

static uint64_t *bits_gather(const uint64_t *bits, const uint32_t *rows, size_t count, struct af_arena *arena)
{
    uint64_t *out = af_arena_array(arena, af_bit_words(count), sizeof *out);
    for (size_t i = 0; out != NULL && i < count; i += 64) {
        size_t n = count - i < 64 ? count - i : 64;
        uint64_t word = 0;
        for (size_t k = 0; k < n; k++)
            if (rows[i + k] != UINT32_MAX)
                word |= (uint64_t)af_bit_get(bits, rows[i + k]) << k;
        out[i / 64] = word;
    }
    return out;
}

static enum af_status set_validity(struct af_column *out, const uint64_t *validity, size_t rows)
{
    out->null_count = rows - af_bits_count(validity, rows);
    out->validity = out->null_count != 0 ? validity : NULL;
    return AF_OK;
}

/* --- slices and copies ----------------------------------------------------------------------------------------------------------- */

static enum af_status slice_bits(const uint64_t *bits, size_t first, size_t count, struct af_arena *arena, const uint64_t **out,
                                 struct af_error *err)
{
    if (first % 64 == 0 && (count % 64 == 0 || bits[(first + count) / 64] >> (count % 64) == 0)) {
        *out = bits + first / 64;
        return AF_OK;
    }
    *out = bits_copy(bits, first, count, arena);
    return *out != NULL ? AF_OK : arena_fail(arena, count / 8, err);
}

enum af_status columns_slice(const struct af_column *column, size_t first, size_t count, struct af_arena *arena, struct af_column *out,
                             struct af_error *err)
{
    struct af_column part = { .type = column->type };
    if (column->type == AF_TYPE_BOOL) {
        AF_TRY(slice_bits(column->bits, first, count, arena, &part.bits, err));
    } else if (is_fixed(column->type)) {
        part.i64 = column->i64 + first;
    } else if (column->dict != NULL) {
        part.codes = column->codes + first;
        part.dict = column->dict;
    } else if (column->type != AF_TYPE_NULL) {
        part.offsets = column->offsets + first;
        part.bytes = column->bytes;
    }
    if (column->validity != NULL && column->null_count != 0) {
        const uint64_t *validity;
        AF_TRY(slice_bits(column->validity, first, count, arena, &validity, err));
        AF_TRY(set_validity(&part, validity, count));
    }
    *out = part;
    return AF_OK;
}

static enum af_status copy_text(const struct af_column *column, size_t rows, struct af_arena *arena, struct af_column *out,
                                struct af_error *err)
{
    size_t base = rows != 0 ? (size_t)column->offsets[0] : 0;
    size_t text_len = rows != 0 ? (size_t)column->offsets[rows] - base : 0;
    int32_t *offsets = af_arena_array(arena, rows + 1, sizeof *offsets);
    char *bytes = af_arena_array(arena, text_len, 1);
    if (offsets == NULL || bytes == NULL)
        return arena_fail(arena, (rows + 1) * sizeof *offsets + text_len, err);
    for (size_t i = 0; i <= rows; i++)
        offsets[i] = rows != 0 ? column->offsets[i] - (int32_t)base : 0;
    if (text_len != 0)
        memcpy(bytes, column->bytes + base, text_len);
    out->offsets = offsets;
    out->bytes = bytes;
    return AF_OK;
}

static enum af_status copy_array(const void *from, size_t rows, size_t width, struct af_arena *arena, const void **out,
                                 struct af_error *err)
{
    void *copy = af_arena_array(arena, rows, width);
    if (copy == NULL)
        return arena_fail(arena, rows * width, err);
    if (rows != 0)
        memcpy(copy, from, rows * width);
    *out = copy;
    return AF_OK;
}

enum af_status columns_copy(const struct af_column *column, size_t rows, struct af_arena *arena, struct af_column *out,
                            struct af_error *err)
{
    struct af_column copy = { .type = column->type };
    const void *array = NULL;
    if (column->type == AF_TYPE_BOOL) {
        copy.bits = bits_copy(column->bits, 0, rows, arena);
        if (copy.bits == NULL)
            return arena_fail(arena, rows / 8, err);
    } else if (is_fixed(column->type)) {
        AF_TRY(copy_array(column->values, rows, 8, arena, &copy.values, err));
    } else if (column->dict != NULL) {
        AF_TRY(copy_array(column->codes, rows, sizeof *column->codes, arena, &array, err));
        copy.codes = array;
        copy.dict = column->dict;
        AF_TRY(af_dict_hold(column->dict, arena, err));
    } else if (column->type != AF_TYPE_NULL) {
        AF_TRY(copy_text(column, rows, arena, &copy, err));
    }
    if (column->validity != NULL && column->null_count != 0) {
        copy.validity = bits_copy(column->validity, 0, rows, arena);
        copy.null_count = column->null_count;
        if (copy.validity == NULL)
            return arena_fail(arena, rows / 8, err);
    }
    *out = copy;
    return AF_OK;
}

/* --- rows picked ------------------------------------------------------------------------------------------------------------------ */

static bool has_gaps(const uint32_t *rows, size_t count)
{
    bool found = false;
    for (size_t i = 0; i < count; i++)
        found |= rows[i] == UINT32_MAX;
    return found;
}

static enum af_status gather_fixed(const uint64_t *values, const uint32_t *rows, size_t count, bool gaps, struct af_arena *arena,
                                   struct af_column *out, struct af_error *err)
{
    uint64_t *made = af_arena_array(arena, count, sizeof *made);
    if (made == NULL)
        return arena_fail(arena, count * sizeof *made, err);
    if (gaps)
        for (size_t i = 0; i < count; i++)
            made[i] = rows[i] != UINT32_MAX ? values[rows[i]] : 0;
    else
        for (size_t i = 0; i < count; i++)
            made[i] = values[rows[i]];
    out->u64 = made;
    return AF_OK;
}

static enum af_status gather_codes(const struct af_column *column, const uint32_t *rows, size_t count, struct af_arena *arena,
                                   struct af_column *out, struct af_error *err)
{
    uint32_t *codes = af_arena_array(arena, count, sizeof *codes);
    if (codes == NULL)
        return arena_fail(arena, count * sizeof *codes, err);
    for (size_t i = 0; i < count; i++)
        codes[i] = rows[i] != UINT32_MAX ? column->codes[rows[i]] : 0;
    out->codes = codes;
    out->dict = column->dict;
    return af_dict_hold(column->dict, arena, err);
}

static enum af_status fail_text(struct af_error *err)
{
    return af_fail(err, AF_ELIMIT, "a query has more than 2 GiB of text in one column: ask for fewer rows");
}

static enum af_status gather_text(const struct af_column *column, const uint32_t *rows, size_t count, struct af_arena *arena,
                                  struct af_column *out, struct af_error *err)
{
    int32_t *offsets = af_arena_array(arena, count + 1, sizeof *offsets);
    if (offsets == NULL)
        return arena_fail(arena, (count + 1) * sizeof *offsets, err);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        offsets[i] = (int32_t)at;
        if (rows[i] != UINT32_MAX)
            at += (size_t)(column->offsets[rows[i] + 1] - column->offsets[rows[i]]);
        if (at > INT32_MAX)
            return fail_text(err);
    }
    offsets[count] = (int32_t)at;
    char *bytes = af_arena_array(arena, at, 1);
    if (bytes == NULL)
        return arena_fail(arena, at, err);
    for (size_t i = 0; i < count; i++)
        if (offsets[i + 1] != offsets[i])
            memcpy(bytes + offsets[i], column->bytes + column->offsets[rows[i]], (size_t)(offsets[i + 1] - offsets[i]));
    out->offsets = offsets;
    out->bytes = bytes;
    return AF_OK;
}

static enum af_status gather_validity(const struct af_column *column, const uint32_t *rows, size_t count, struct af_arena *arena,
                                      struct af_column *out, struct af_error *err)
{
    uint64_t *validity;
    if (column->validity != NULL) {
        validity = bits_gather(column->validity, rows, count, arena);
    } else {
        validity = af_bits_new(arena, count, true);
        for (size_t i = 0; validity != NULL && i < count; i++)
            if (rows[i] == UINT32_MAX)
                af_bit_clear(validity, i);
    }
    return validity != NULL ? set_validity(out, validity, count) : arena_fail(arena, count / 8, err);
}

enum af_status columns_gather(const struct af_column *column, const uint32_t *rows, size_t count, struct af_arena *arena,
                              struct af_column *out, struct af_error *err)
{
    struct af_column made = { .type = column->type };
    bool gaps = has_gaps(rows, count);
    if (column->type == AF_TYPE_BOOL) {
        made.bits = bits_gather(column->bits, rows, count, arena);
        if (made.bits == NULL)
            return arena_fail(arena, count / 8, err);
    } else if (is_fixed(column->type)) {
        AF_TRY(gather_fixed(column->u64, rows, count, gaps, arena, &made, err));
    } else if (column->dict != NULL) {
        AF_TRY(gather_codes(column, rows, count, arena, &made, err));
    } else if (column->type != AF_TYPE_NULL) {
        AF_TRY(gather_text(column, rows, count, arena, &made, err));
    }
    if (column->type != AF_TYPE_NULL && (gaps || (column->validity != NULL && column->null_count != 0)))
        AF_TRY(gather_validity(column, rows, count, arena, &made, err));
    *out = made;
    return AF_OK;
}

enum af_status rows_present(const struct af_column *columns, size_t column_count, size_t rows, struct af_arena *arena, uint32_t **out,
                            size_t *out_count, struct af_error *err)
{
    *out = NULL;
    *out_count = rows;
    for (size_t i = 0; i < column_count; i++)
        if (columns[i].type != AF_TYPE_NULL && (columns[i].validity == NULL || columns[i].null_count == 0))
            return AF_OK;
    uint32_t *list = af_arena_array(arena, rows, sizeof *list);
    if (list == NULL)
        return arena_fail(arena, rows * sizeof *list, err);
    size_t count = 0;
    for (size_t word = 0; word < af_bit_words(rows); word++) {
        uint64_t present = 0;
        for (size_t i = 0; i < column_count; i++)
            present |= columns[i].type != AF_TYPE_NULL ? columns[i].validity[word] : 0;
        for (; present != 0; present &= present - 1) {
            size_t row = word * 64 + (size_t)__builtin_ctzll(present);
            if (row < rows)
                list[count++] = (uint32_t)row;
        }
    }
    *out = count != rows ? list : NULL;
    *out_count = count;
    return AF_OK;
}

/* --- one value, many times ---------------------------------------------------------------------------------------------------------- */

/* One row has its text beside it; many share a dictionary of one entry. */
static enum af_status constant_text(struct af_slice text, size_t count, struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    if (text.len > INT32_MAX)
        return fail_text(err);
    int32_t offsets[2] = { 0, (int32_t)text.len };
    if (count == 1)
        return copy_text(&(struct af_column){ .offsets = offsets, .bytes = text.ptr }, 1, arena, out, err);
    out->codes = af_arena_zero(arena, count + 1, sizeof *out->codes);
    if (out->codes == NULL)
        return arena_fail(arena, count * sizeof *out->codes, err);
    AF_TRY(af_dict_new(offsets, text.ptr, 1, &out->dict, err));
    enum af_status status = af_dict_hold(out->dict, arena, err);
    af_dict_unref(out->dict);
    return status;
}

static enum af_status constant_null(enum af_type type, size_t count, struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    if (type == AF_TYPE_NULL)
        return AF_OK;
    out->validity = af_bits_new(arena, count, false);
    out->null_count = count;
    const void *zeros = af_arena_zero(arena, count + 1 + AF_ARENA_ALIGN / 8, 8);
    if (out->validity == NULL || zeros == NULL)
        return arena_fail(arena, count * 8, err);
    if (type == AF_TYPE_STRING) {
        out->offsets = zeros;
        out->bytes = "";
    } else {
        out->values = zeros;
    }
    return AF_OK;
}

enum af_status columns_constant(enum af_type type, const struct af_value *value, size_t count, struct af_arena *arena,
                                struct af_column *out, struct af_error *err)
{
    struct af_column made = { .type = type };
    if (value->type == AF_TYPE_NULL) {
        AF_TRY(constant_null(type, count, arena, &made, err));
    } else if (value->type != type) {
        return fail_type(value->type, err);
    } else if (type == AF_TYPE_STRING) {
        AF_TRY(constant_text(value->text, count, arena, &made, err));
    } else if (type == AF_TYPE_BOOL) {
        made.bits = af_bits_new(arena, count, value->boolean);
        if (made.bits == NULL)
            return arena_fail(arena, count / 8, err);
    } else {
        uint64_t *values = af_arena_array(arena, count, sizeof *values);
        if (values == NULL)
            return arena_fail(arena, count * sizeof *values, err);
        for (size_t i = 0; i < count; i++)
            values[i] = value->u64;
        made.u64 = values;
    }
    *out = made;
    return AF_OK;
}

/* --- a column that grows ------------------------------------------------------------------------------------------------------------ */

void grower_init(struct grower *grower, enum af_type type, struct af_arena *arena)
{
    *grower = (struct grower){ .arena = arena, .type = type };
}

/* A larger array with what the old one has; `*at` is untouched on failure. */
static bool enlarge(struct af_arena *arena, void *at, size_t used, size_t cap, size_t width)
{
    void *old;
    memcpy(&old, at, sizeof old);
    void *made = af_arena_array(arena, cap, width);
    if (made == NULL)
        return false;
    if (used != 0)
        memcpy(made, old, used * width);
    memcpy(at, &made, sizeof made);
    return true;
}

static bool enlarge_rows(struct grower *g, size_t cap)
{
    if (g->validity != NULL && !enlarge(g->arena, &g->validity, af_bit_words(g->count), af_bit_words(cap), 8))
        return false;
    if (g->type == AF_TYPE_NULL)
        return true;
    if (g->type == AF_TYPE_BOOL)
        return enlarge(g->arena, &g->fixed, af_bit_words(g->count), af_bit_words(cap), 8);
    if (g->type != AF_TYPE_STRING)
        return enlarge(g->arena, &g->fixed, g->count, cap, 8);
    if (!enlarge(g->arena, &g->offsets, g->offsets != NULL ? g->count + 1 : 0, cap + 1, sizeof *g->offsets))
        return false;
    g->offsets[0] = 0;
    return true;
}

static enum af_status reserve_rows(struct grower *g, size_t extra, struct af_error *err)
{
    if (extra <= g->cap - g->count)
        return AF_OK;
    size_t cap = g->cap < 32 ? 64 : g->cap * 2;
    if (cap < g->count + extra)
        cap = (g->count + extra + 63) / 64 * 64;
    if (!enlarge_rows(g, cap))
        return arena_fail(g->arena, cap * 8, err);
    g->cap = cap;
    return AF_OK;
}

static enum af_status reserve_text(struct grower *g, size_t extra, struct af_error *err)
{
    if (extra <= g->text_cap - g->text_len)
        return AF_OK;
    if (extra > INT32_MAX - g->text_len)
        return fail_text(err);
    size_t cap = g->text_cap * 2 > 256 ? g->text_cap * 2 : 256;
    if (cap < g->text_len + extra)
        cap = g->text_len + extra;
    if (!enlarge(g->arena, &g->text, g->text_len, cap, 1))
        return arena_fail(g->arena, cap, err);
    g->text_cap = cap;
    return AF_OK;
}

/* Validity of `count` more rows; `bits` NULL: all have a value. Room for them is there. */
static enum af_status append_validity(struct grower *g, const uint64_t *bits, size_t first, size_t count, struct af_error *err)
{
    if (g->validity == NULL && bits == NULL)
        return AF_OK;
    if (g->validity == NULL) {
        g->validity = af_arena_array(g->arena, af_bit_words(g->cap), sizeof *g->validity);
        if (g->validity == NULL)
            return arena_fail(g->arena, g->cap / 8, err);
        bits_append(g->validity, 0, NULL, 0, g->count);
    }
    bits_append(g->validity, g->count, bits, first, count);
    for (size_t i = 0; bits != NULL && i < count; i += 64) {
        size_t n = count - i < 64 ? count - i : 64;
        g->null_count += n - (size_t)__builtin_popcountll(bits_word(bits, first + i, n));
    }
    return AF_OK;
}

static enum af_status append_text(struct grower *g, struct af_slice text, size_t row, struct af_error *err)
{
    AF_TRY(reserve_text(g, text.len, err));
    if (text.len != 0)
        memcpy(g->text + g->text_len, text.ptr, text.len);
    g->text_len += text.len;
    g->offsets[row + 1] = (int32_t)g->text_len;
    return AF_OK;
}

enum af_status grower_value(struct grower *grower, const struct af_value *value, struct af_error *err)
{
    static const uint64_t none = 0;
    bool is_null = value->type == AF_TYPE_NULL;
    if (!is_null && value->type != grower->type)
        return fail_type(value->type, err);
    AF_TRY(reserve_rows(grower, 1, err));
    AF_TRY(append_validity(grower, is_null ? &none : NULL, 0, 1, err));
    uint64_t bit = !is_null && grower->type == AF_TYPE_BOOL && value->boolean;
    if (grower->type == AF_TYPE_STRING)
        AF_TRY(append_text(grower, is_null ? (struct af_slice){ 0 } : value->text, grower->count, err));
    else if (grower->type == AF_TYPE_BOOL)
        bits_append(grower->fixed, grower->count, &bit, 0, 1);
    else if (grower->type != AF_TYPE_NULL)
        ((uint64_t *)grower->fixed)[grower->count] = is_null ? 0 : value->u64;
    grower->count++;
    return AF_OK;
}

static enum af_status append_nulls(struct grower *g, size_t count, struct af_error *err)
{
    struct af_value none = af_value_none();
    for (size_t i = 0; i < count; i++)
        AF_TRY(grower_value(g, &none, err));
    return AF_OK;
}

/* Text that lies in one piece: bytes at once, offsets moved. */
static enum af_status append_texts(struct grower *g, const struct af_column *column, size_t first, size_t count, struct af_error *err)
{
    if (column->dict != NULL || column->null_count != 0) {
        for (size_t i = 0; i < count; i++) {
            bool has = af_column_has(column, first + i);
            AF_TRY(append_text(g, has ? af_column_text(column, first + i) : (struct af_slice){ 0 }, g->count + i, err));
        }
        return AF_OK;
    }
    int32_t base = column->offsets[first];
    size_t text_len = (size_t)(column->offsets[first + count] - base);
    AF_TRY(reserve_text(g, text_len, err));
    if (text_len != 0)
        memcpy(g->text + g->text_len, column->bytes + base, text_len);
    for (size_t i = 1; i <= count; i++)
        g->offsets[g->count + i] = column->offsets[first + i] - base + (int32_t)g->text_len;
    g->text_len += text_len;
    return AF_OK;
}

enum af_status grower_rows(struct grower *grower, const struct af_column *column, size_t first, size_t count, struct af_error *err)
{
    if (count == 0)
        return AF_OK;
    if (column->type == AF_TYPE_NULL)
        return append_nulls(grower, count, err);
    if (column->type != grower->type)
        return fail_type(column->type, err);
    AF_TRY(reserve_rows(grower, count, err));
    if (grower->type == AF_TYPE_STRING)
        AF_TRY(append_texts(grower, column, first, count, err));
    else if (grower->type == AF_TYPE_BOOL)
        bits_append(grower->fixed, grower->count, column->bits, first, count);
    else
        memcpy((uint64_t *)grower->fixed + grower->count, column->u64 + first, count * sizeof(uint64_t));
    AF_TRY(append_validity(grower, column->null_count != 0 ? column->validity : NULL, first, count, err));
    grower->count += count;
    return AF_OK;
}

void grower_clear(struct grower *grower)
{
    grower->count = grower->text_len = grower->null_count = 0;
    grower->validity = NULL;
}

void grower_column(const struct grower *grower, struct af_column *out)
{
    static const int32_t no_offsets[1];
    *out = (struct af_column){ .type = grower->type };
    if (grower->type == AF_TYPE_STRING) {
        out->offsets = grower->offsets != NULL ? grower->offsets : no_offsets;
        out->bytes = grower->text != NULL ? grower->text : "";
    } else {
        out->values = grower->fixed;
    }
    if (grower->null_count != 0 && grower->type != AF_TYPE_NULL) {
        out->validity = grower->validity;
        out->null_count = grower->null_count;
    }
}
