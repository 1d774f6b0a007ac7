/*
 * scalar_math.c - rounding, which keeps the type, and functions of floats (elementary.c).
 */
#include "fn/elementary.h"
#include "fn/fn_int.h"
#include <math.h>

static double round_away(double x)
{
    double whole = trunc(x);
    return fabs(x - whole) >= 0.5 ? whole + copysign(1, x) : whole;
}

static void round_f64(enum af_fn id, const double *in, double *restrict out, size_t rows)
{
    switch (id) {
    case AF_FN_ABS:
        for (size_t i = 0; i < rows; i++)
            out[i] = fabs(in[i]);
        break;
    case AF_FN_CEIL:
        for (size_t i = 0; i < rows; i++)
            out[i] = ceil(in[i]);
        break;
    case AF_FN_FLOOR:
        for (size_t i = 0; i < rows; i++)
            out[i] = floor(in[i]);
        break;
    default:
        for (size_t i = 0; i < rows; i++)
            out[i] = round_away(in[i]);
        break;
    }
}

enum af_status scalar_round(struct scalar *scalar)
{
    const struct af_column *in = &scalar->args[0].column;
    uint64_t *out;
    AF_TRY(fn_alloc(scalar->arena, scalar->rows, sizeof *out, &out, scalar->err));
    AF_TRY(scalar_validity(scalar));
    if (in->type == AF_TYPE_F64) {
        round_f64(scalar->id, in->f64, (double *)out, scalar->rows);
    } else {
        /* Only abs changes an integer; of the smallest one it is that itself. */
        bool is_abs = scalar->id == AF_FN_ABS && in->type == AF_TYPE_I64;
        for (size_t i = 0; i < scalar->rows; i++) {
            uint64_t sign = is_abs && in->i64[i] < 0 ? ~UINT64_C(0) : 0;
            out[i] = (in->u64[i] ^ sign) - sign;
        }
    }
    scalar->out->values = out;
    return AF_OK;
}

typedef double (*unary_fn)(double x);
typedef double (*binary_fn)(double x, double y);

static double log_of_base(double x, double base)
{
    return elementary_log(x) / elementary_log(base);
}

static unary_fn unary_of(enum af_fn id)
{
    switch (id) {
    case AF_FN_SIN: return elementary_sin;
    case AF_FN_COS: return elementary_cos;
    case AF_FN_TAN: return elementary_tan;
    case AF_FN_ASIN: return elementary_asin;
    case AF_FN_ACOS: return elementary_acos;
    case AF_FN_ATAN: return elementary_atan;
    case AF_FN_EXP: return elementary_exp;
    case AF_FN_LN: return elementary_log;
    case AF_FN_LOG2: return elementary_log2;
    case AF_FN_LOG10: return elementary_log10;
    default: return sqrt;
    }
}

static binary_fn binary_of(enum af_fn id)
{
    return id == AF_FN_ATAN2 ? elementary_atan2 : id == AF_FN_LOG ? log_of_base : elementary_pow;
}

enum af_status scalar_math(struct scalar *scalar)
{
    const double *x, *y = NULL;
    AF_TRY(scalar_f64(scalar, &scalar->args[0], &x));
    if (scalar->arg_count == 2)
        AF_TRY(scalar_f64(scalar, &scalar->args[1], &y));
    double *out;
    AF_TRY(fn_alloc(scalar->arena, scalar->rows, sizeof *out, &out, scalar->err));
    AF_TRY(scalar_validity(scalar));
    if (y == NULL) {
        unary_fn fn = unary_of(scalar->id);
        for (size_t i = 0; i < scalar->rows; i++)
            out[i] = fn(x[i]);
    } else {
        binary_fn fn = binary_of(scalar->id);
        size_t step_x = !scalar->args[0].is_constant, step_y = !scalar->args[1].is_constant;
        for (size_t i = 0; i < scalar->rows; i++)
            out[i] = fn(x[i * step_x], y[i * step_y]);
    }
    scalar->out->values = out;
    return AF_OK;
}
