/*
 * scalar_compare.c - comparisons. Three relations are enough: `a > b` is `b < a`, `a != b` is not `a = b`; and each is made 64 rows at a
 * time: bytes of 0 and 1, which vectorise, then packed into a word of the bitmap.
 *
 * Of I64 and U64: equality looks at the bits (so -1 equals 2^64 - 1), order knows that a negative number is less, both as InfluxDB has it.
 */
#include "fn/fn_int.h"

typedef void (*compare_fn)(const void *left, size_t left_step, const void *right, size_t right_step, uint64_t *out, size_t rows);

#define COMPARE(name, A, B, expr)                                                                                                  \
    static void name(const void *left, size_t left_step, const void *right, size_t right_step, uint64_t *out, size_t rows)         \
    {                                                                                                                              \
        const A *a = left;                                                                                                         \
        const B *b = right;                                                                                                        \
        for (size_t base = 0; base < rows; base += 64) {                                                                           \
            uint8_t hits[64] = { 0 };                                                                                              \
            const size_t left_rows = rows - base, n = left_rows < 64 ? left_rows : 64;                                             \
            const A *pa = a + base * left_step;                                                                                    \
            const B *pb = b + base * right_step;                                                                                   \
            if (left_step != 0 && right_step != 0) {                                                                               \
                for (size_t i = 0; i < n; i++) {                                                                                   \
                    const A x = pa[i];                                                                                             \
                    const B y = pb[i];                                                                                             \
                    hits[i] = expr;                                                                                                \
                }                                                                                                                  \
            } else if (left_step != 0) {                                                                                           \
                const B y = *pb;                                                                                                   \
                for (size_t i = 0; i < n; i++) {                                                                                   \
                    const A x = pa[i];                                                                                             \
                    hits[i] = expr;                                                                                                \
                }                                                                                                                  \
            } else {                                                                                                               \
                const A x = *pa;                                                                                                   \
                for (size_t i = 0; i < n; i++) {                                                                                   \
                    const B y = pb[i]; /* two constants: one row */                                                                \
                    hits[i] = expr;                                                                                                \
                }                                                                                                                  \
            }                                                                                                                      \
            out[base / 64] = scalar_pack(hits);                                                                                    \
        }                                                                                                                          \
    }

COMPARE(equal_f64, double, double, x == y)
COMPARE(less_f64, double, double, x < y)
COMPARE(less_equal_f64, double, double, x <= y)
COMPARE(equal_u64, uint64_t, uint64_t, x == y)
COMPARE(less_u64, uint64_t, uint64_t, x < y)
COMPARE(less_equal_u64, uint64_t, uint64_t, x <= y)
COMPARE(less_i64, int64_t, int64_t, x < y)
COMPARE(less_equal_i64, int64_t, int64_t, x <= y)
COMPARE(less_i64_u64, int64_t, uint64_t, (x < 0) | ((uint64_t)x < y))
COMPARE(less_equal_i64_u64, int64_t, uint64_t, (x < 0) | ((uint64_t)x <= y))
COMPARE(less_u64_i64, uint64_t, int64_t, (y >= 0) & (x < (uint64_t)y))
COMPARE(less_equal_u64_i64, uint64_t, int64_t, (y >= 0) & (x <= (uint64_t)y))

enum relation { EQUAL, LESS, LESS_EQUAL };

static compare_fn number_kernel(enum relation relation, enum fn_class left, enum fn_class right)
{
    static const compare_fn same[3][3] = {
        [EQUAL] = { [FN_F64] = equal_f64, [FN_I64] = equal_u64, [FN_U64] = equal_u64 },
        [LESS] = { [FN_F64] = less_f64, [FN_I64] = less_i64, [FN_U64] = less_u64 },
        [LESS_EQUAL] = { [FN_F64] = less_equal_f64, [FN_I64] = less_equal_i64, [FN_U64] = less_equal_u64 },
    };
    if (relation == EQUAL || left == right)
        return same[relation][left];
    if (left == FN_I64)
        return relation == LESS ? less_i64_u64 : less_equal_i64_u64;
    return relation == LESS ? less_u64_i64 : less_equal_u64_i64;
}

static enum af_status compare_numbers(struct scalar *scalar, enum relation relation, const struct af_vector *left,
                                      const struct af_vector *right, uint64_t *out)
{
    const void *a = left->column.values, *b = right->column.values;
    enum fn_class left_class = fn_class_of(left->column.type), right_class = fn_class_of(right->column.type);
    if (left_class != right_class && (left_class == FN_F64 || right_class == FN_F64)) {
        const double *converted;
        AF_TRY(scalar_f64(scalar, left, &converted));
        a = converted;
        AF_TRY(scalar_f64(scalar, right, &converted));
        b = converted;
        left_class = right_class = FN_F64;
    }
    number_kernel(relation, left_class, right_class)(a, !left->is_constant, b, !right->is_constant, out, scalar->rows);
    return AF_OK;
}

static void compare_booleans(const struct scalar *scalar, enum relation relation, const struct af_vector *left,
                             const struct af_vector *right, uint64_t *out)
{
    for (size_t word = 0; word < af_bit_words(scalar->rows); word++) {
        uint64_t a = scalar_bits_word(left, word), b = scalar_bits_word(right, word);
        out[word] = relation == EQUAL ? ~(a ^ b) : relation == LESS ? ~a & b : ~a | b;
    }
}

/* --- text ------------------------------------------------------------------------------------------------------------------------ */

static bool relates(enum relation relation, struct af_slice a, struct af_slice b)
{
    if (relation == EQUAL)
        return af_slice_eq(a, b);
    int order = af_slice_cmp(a, b);
    return relation == LESS ? order < 0 : order <= 0;
}

/* A dictionary and one text: each text of the dictionary that a row has is looked at once. `is_left`: which side the column is on. */
static void compare_dict(const struct scalar *scalar, enum relation relation, const struct af_column *column, struct af_slice text,
                         bool is_left, uint8_t *memo, uint64_t *out)
{
    for (size_t i = 0; i < scalar->rows; i++) {
        if (!af_column_has(column, i))
            continue;
        uint8_t *known = &memo[column->codes[i]];
        if (*known == 0) {
            struct af_slice own = af_dict_get(column->dict, column->codes[i]);
            *known = (is_left ? relates(relation, own, text) : relates(relation, text, own)) ? 2 : 1;
        }
        if (*known == 2)
            af_bit_set(out, i);
    }
}

static enum af_status compare_text(struct scalar *scalar, enum relation relation, const struct af_vector *left,
                                   const struct af_vector *right, uint64_t *out)
{
    memset(out, 0, af_bit_words(scalar->rows) * sizeof *out);
    for (int side = 0; side < 2; side++) {
        const struct af_vector *many = side == 0 ? left : right, *one = side == 0 ? right : left;
        const struct af_column *column = &many->column;
        if (many->is_constant || !one->is_constant || column->dict == NULL || column->dict->count / 4 > scalar->rows)
            continue;
        if (!af_column_has(&one->column, 0))
            return AF_OK;
        uint8_t *memo = af_arena_zero(scalar->arena, (size_t)column->dict->count + 1, 1);
        if (memo == NULL)
            return af_arena_fail(scalar->arena, column->dict->count, "a comparison with a dictionary", scalar->err);
        compare_dict(scalar, relation, column, af_column_text(&one->column, 0), side == 0, memo, out);
        return AF_OK;
    }
    for (size_t i = 0; i < scalar->rows; i++) {
        size_t a = left->is_constant ? 0 : i, b = right->is_constant ? 0 : i;
        if (af_column_has(&left->column, a) && af_column_has(&right->column, b)
            && relates(relation, af_column_text(&left->column, a), af_column_text(&right->column, b)))
            af_bit_set(out, i);
    }
    return AF_OK;
}

enum af_status scalar_compare(struct scalar *scalar)
{
    enum af_fn id = scalar->id;
    bool is_swapped = id == AF_FN_GREATER || id == AF_FN_GREATER_EQUAL;
    const struct af_vector *left = &scalar->args[is_swapped], *right = &scalar->args[!is_swapped];
    enum relation relation = id == AF_FN_EQUAL || id == AF_FN_NOT_EQUAL ? EQUAL : id == AF_FN_LESS || id == AF_FN_GREATER ? LESS
        : LESS_EQUAL;
    enum af_type a = left->column.type, b = right->column.type;
    bool are_numbers = fn_is_number(a) && fn_is_number(b);
    if (!are_numbers && a != b)
        return scalar_nulls(scalar);
    size_t words = af_bit_words(scalar->rows);
    uint64_t *out;
    AF_TRY(fn_alloc(scalar->arena, words, sizeof *out, &out, scalar->err));
    AF_TRY(scalar_validity(scalar));
    if (a == AF_TYPE_STRING)
        AF_TRY(compare_text(scalar, relation, left, right, out));
    else if (a == AF_TYPE_BOOL)
        compare_booleans(scalar, relation, left, right, out);
    else
        AF_TRY(compare_numbers(scalar, relation, left, right, out));
    const uint64_t flip = id == AF_FN_NOT_EQUAL ? ~UINT64_C(0) : 0;
    for (size_t word = 0; word < words; word++)
        out[word] = (out[word] ^ flip) & scalar_row_mask(scalar->rows, word);
    scalar->out->bits = out;
    return AF_OK;
}
