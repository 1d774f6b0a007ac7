/*
 * scalar_cast.c - casts. What a type does not hold is null, all rows of it; numbers that do not fit follow fn_f64_to_i64.
 */
#include "fn/fn_int.h"

static void to_f64(const struct af_column *in, size_t rows, double *out)
{
    if (in->type == AF_TYPE_U64)
        for (size_t i = 0; i < rows; i++)
            out[i] = (double)in->u64[i];
    else
        for (size_t i = 0; i < rows; i++)
            out[i] = (double)in->i64[i];
}

static void f64_to_integer(const struct af_column *in, size_t rows, bool is_signed, uint64_t *out)
{
    if (is_signed)
        for (size_t i = 0; i < rows; i++)
            out[i] = (uint64_t)fn_f64_to_i64(in->f64[i]);
    else
        for (size_t i = 0; i < rows; i++)
            out[i] = fn_f64_to_u64(in->f64[i]);
}

static enum af_status to_bool(struct scalar *scalar, const struct af_column *in)
{
    uint64_t *out = af_bits_new(scalar->arena, scalar->rows, false);
    if (out == NULL)
        return af_arena_fail(scalar->arena, scalar->rows / 8, "a column", scalar->err);
    for (size_t i = 0; i < scalar->rows; i++)
        if (in->type == AF_TYPE_F64 ? in->f64[i] != 0 : in->u64[i] != 0)
            af_bit_set(out, i);
    scalar->out->bits = out;
    return scalar_validity(scalar);
}

static bool can_cast(enum af_type from, enum af_type to)
{
    switch (to) {
    case AF_TYPE_F64: case AF_TYPE_U64: case AF_TYPE_BOOL: return fn_is_number(from);
    case AF_TYPE_I64: return fn_is_number(from) || from == AF_TYPE_BOOL || from == AF_TYPE_TIME;
    default: return false;
    }
}

enum af_status scalar_cast(struct scalar *scalar)
{
    const struct af_column *in = &scalar->args[0].column;
    enum af_type to = scalar->out->type;
    if (in->type == to)
        return scalar_coalesce(scalar);
    if (!can_cast(in->type, to))
        return scalar_nulls(scalar);
    if (to == AF_TYPE_BOOL)
        return to_bool(scalar, in);
    uint64_t *out;
    AF_TRY(fn_alloc(scalar->arena, scalar->rows, sizeof *out, &out, scalar->err));
    if (to == AF_TYPE_F64)
        to_f64(in, scalar->rows, (double *)out);
    else if (in->type == AF_TYPE_F64)
        f64_to_integer(in, scalar->rows, to == AF_TYPE_I64, out);
    else if (in->type == AF_TYPE_BOOL)
        for (size_t i = 0; i < scalar->rows; i++)
            out[i] = af_bit_get(in->bits, i);
    else if (scalar->rows != 0)
        memcpy(out, in->values, scalar->rows * sizeof *out);
    scalar->out->values = out;
    return scalar_validity(scalar);
}
