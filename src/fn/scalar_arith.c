/*
 * scalar_arith.c - sums, products, bits: one loop for each operation and type, in three forms (column and column, column and constant,
 * constant and column), so that each vectorises.
 *
 * Mixed types: a float makes both floats; of I64 and U64 the bits of the I64 are taken as U64, as InfluxDB does.
 */
#include "fn/fn_int.h"
#include <math.h>

typedef void (*arith_fn)(const void *left, size_t left_step, const void *right, size_t right_step, void *out, size_t rows);

#define KERNEL(name, T, expr)                                                                                                      \
    static void name(const void *left, size_t left_step, const void *right, size_t right_step, void *out, size_t rows)             \
    {                                                                                                                              \
        const T *a = left, *b = right;                                                                                             \
        T *restrict o = out;                                                                                                       \
        if (left_step != 0 && right_step != 0) {                                                                                   \
            for (size_t i = 0; i < rows; i++) {                                                                                    \
                const T x = a[i], y = b[i];                                                                                        \
                o[i] = expr;                                                                                                       \
            }                                                                                                                      \
        } else if (left_step != 0) {                                                                                               \
            const T y = *b;                                                                                                        \
            for (size_t i = 0; i < rows; i++) {                                                                                    \
                const T x = a[i];                                                                                                  \
                o[i] = expr;                                                                                                       \
            }                                                                                                                      \
        } else {                                                                                                                   \
            const T x = *a;                                                                                                        \
            for (size_t i = 0; i < rows; i++) {                                                                                    \
                const T y = b[i]; /* two constants: one row */                                                                     \
                o[i] = expr;                                                                                                       \
            }                                                                                                                      \
        }                                                                                                                          \
    }

KERNEL(add_f64, double, x + y)
KERNEL(subtract_f64, double, x - y)
KERNEL(multiply_f64, double, x * y)
KERNEL(divide_f64, double, y == 0 ? 0 : x / y)
KERNEL(modulo_f64, double, fmod(x, y))
/* Two's complement does not care for signs here. */
KERNEL(add_u64, uint64_t, x + y)
KERNEL(subtract_u64, uint64_t, x - y)
KERNEL(multiply_u64, uint64_t, x * y)
KERNEL(divide_u64, uint64_t, y == 0 ? 0 : x / y)
KERNEL(modulo_u64, uint64_t, y == 0 ? 0 : x % y)
/* The smallest number by -1 wraps; the processor would trap. */
KERNEL(divide_i64, int64_t, y == 0 ? 0 : y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y)
KERNEL(modulo_i64, int64_t, y == 0 || y == -1 ? 0 : x % y)
KERNEL(and_u64, uint64_t, x & y)
KERNEL(or_u64, uint64_t, x | y)
KERNEL(xor_u64, uint64_t, x ^ y)

static arith_fn kernel_of(enum af_fn id, enum af_type type)
{
    bool is_float = type == AF_TYPE_F64, is_signed = type == AF_TYPE_I64;
    switch (id) {
    case AF_FN_ADD: return is_float ? add_f64 : add_u64;
    case AF_FN_SUBTRACT: return is_float ? subtract_f64 : subtract_u64;
    case AF_FN_MULTIPLY: return is_float ? multiply_f64 : multiply_u64;
    case AF_FN_DIVIDE: return divide_f64;
    case AF_FN_DIVIDE_INTEGER: return is_signed ? divide_i64 : divide_u64;
    case AF_FN_MODULO: return is_float ? modulo_f64 : is_signed ? modulo_i64 : modulo_u64;
    case AF_FN_BIT_AND: return and_u64;
    case AF_FN_BIT_OR: return or_u64;
    default: return xor_u64;
    }
}

enum af_status scalar_arith(struct scalar *scalar)
{
    const struct af_vector *left = &scalar->args[0], *right = &scalar->args[1];
    const void *a = left->column.values, *b = right->column.values;
    if (scalar->out->type == AF_TYPE_F64) {
        const double *converted;
        AF_TRY(scalar_f64(scalar, left, &converted));
        a = converted;
        AF_TRY(scalar_f64(scalar, right, &converted));
        b = converted;
    }
    uint64_t *out;
    AF_TRY(fn_alloc(scalar->arena, scalar->rows, sizeof *out, &out, scalar->err));
    AF_TRY(scalar_validity(scalar));
    kernel_of(scalar->id, scalar->out->type)(a, !left->is_constant, b, !right->is_constant, out, scalar->rows);
    scalar->out->values = out;
    return AF_OK;
}

enum af_status scalar_bits(struct scalar *scalar)
{
    if (scalar->out->type != AF_TYPE_BOOL)
        return scalar_arith(scalar);
    size_t words = af_bit_words(scalar->rows);
    uint64_t *out;
    AF_TRY(fn_alloc(scalar->arena, words, sizeof *out, &out, scalar->err));
    AF_TRY(scalar_validity(scalar));
    for (size_t word = 0; word < words; word++) {
        uint64_t a = scalar_bits_word(&scalar->args[0], word), b = scalar_bits_word(&scalar->args[1], word);
        uint64_t bits = scalar->id == AF_FN_BIT_AND ? a & b : scalar->id == AF_FN_BIT_OR ? a | b : a ^ b;
        out[word] = bits & scalar_row_mask(scalar->rows, word);
    }
    scalar->out->bits = out;
    return AF_OK;
}

enum af_status scalar_negate(struct scalar *scalar)
{
    uint64_t *out;
    AF_TRY(fn_alloc(scalar->arena, scalar->rows, sizeof *out, &out, scalar->err));
    AF_TRY(scalar_validity(scalar));
    const uint64_t *in = scalar->args[0].column.u64;
    const uint64_t sign = scalar->out->type == AF_TYPE_F64 ? UINT64_C(1) << 63 : 0;
    if (sign != 0)
        for (size_t i = 0; i < scalar->rows; i++)
            out[i] = in[i] ^ sign;
    else
        for (size_t i = 0; i < scalar->rows; i++)
            out[i] = 0 - in[i];
    scalar->out->values = out;
    return AF_OK;
}
