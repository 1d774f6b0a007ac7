/*
 * scalar.c - columns of equal length to a column: which kernel, and what all kernels share: constants, nulls, conversion to floats.
 *
 * Kernels compute every row, with a value or not: a row without one holds anything, and its result is thrown away by the bitmap. That keeps
 * loops free of branches. So no kernel may trap on any bits.
 */
#include "fn/fn_int.h"

static const scalar_fn kernels[AF_FN_COUNT_OF] = {
    [AF_FN_ADD] = scalar_arith, [AF_FN_SUBTRACT] = scalar_arith, [AF_FN_MULTIPLY] = scalar_arith, [AF_FN_DIVIDE] = scalar_arith,
    [AF_FN_DIVIDE_INTEGER] = scalar_arith, [AF_FN_MODULO] = scalar_arith, [AF_FN_NEGATE] = scalar_negate,
    [AF_FN_BIT_AND] = scalar_bits, [AF_FN_BIT_OR] = scalar_bits, [AF_FN_BIT_XOR] = scalar_bits,
    [AF_FN_EQUAL] = scalar_compare, [AF_FN_NOT_EQUAL] = scalar_compare, [AF_FN_LESS] = scalar_compare, [AF_FN_LESS_EQUAL] = scalar_compare,
    [AF_FN_GREATER] = scalar_compare, [AF_FN_GREATER_EQUAL] = scalar_compare, [AF_FN_MATCH] = scalar_match,
        [AF_FN_NOT_MATCH] = scalar_match,
    [AF_FN_AND] = scalar_and_or, [AF_FN_OR] = scalar_and_or, [AF_FN_NOT] = scalar_not, [AF_FN_IS_NULL] = scalar_is_null,
    [AF_FN_COALESCE] = scalar_coalesce, [AF_FN_TO_FLOAT] = scalar_cast, [AF_FN_TO_INTEGER] = scalar_cast, [AF_FN_TO_UNSIGNED] = scalar_cast,
    [AF_FN_TO_STRING] = scalar_cast, [AF_FN_TO_BOOLEAN] = scalar_cast, [AF_FN_ABS] = scalar_round, [AF_FN_CEIL] = scalar_round,
    [AF_FN_FLOOR] = scalar_round, [AF_FN_ROUND] = scalar_round, [AF_FN_SIN] = scalar_math, [AF_FN_COS] = scalar_math,
        [AF_FN_TAN] = scalar_math,
    [AF_FN_ASIN] = scalar_math, [AF_FN_ACOS] = scalar_math, [AF_FN_ATAN] = scalar_math, [AF_FN_ATAN2] = scalar_math,
        [AF_FN_EXP] = scalar_math,
    [AF_FN_LN] = scalar_math, [AF_FN_LOG] = scalar_math, [AF_FN_LOG2] = scalar_math, [AF_FN_LOG10] = scalar_math,
        [AF_FN_SQRT] = scalar_math,
    [AF_FN_POW] = scalar_math,
};

/* Those that give null when an argument can have no value at all. */
static bool is_strict(enum af_fn id)
{
    return id != AF_FN_AND && id != AF_FN_OR && id != AF_FN_IS_NULL && id != AF_FN_COALESCE;
}

enum af_status scalar_f64(struct scalar *scalar, const struct af_vector *arg, const double **out)
{
    const struct af_column *column = &arg->column;
    if (column->type == AF_TYPE_F64) {
        *out = column->f64;
        return AF_OK;
    }
    size_t rows = arg->is_constant ? 1 : scalar->rows;
    double *made;
    AF_TRY(fn_alloc(scalar->arena, rows, sizeof *made, &made, scalar->err));
    if (column->type == AF_TYPE_U64)
        for (size_t i = 0; i < rows; i++)
            made[i] = (double)column->u64[i];
    else
        for (size_t i = 0; i < rows; i++)
            made[i] = (double)column->i64[i];
    *out = made;
    return AF_OK;
}

enum af_status scalar_validity(struct scalar *scalar)
{
    bool has_nulls = false;
    for (size_t i = 0; i < scalar->arg_count; i++)
        has_nulls |= scalar->args[i].column.validity != NULL;
    if (!has_nulls)
        return AF_OK;
    size_t words = af_bit_words(scalar->rows);
    uint64_t *validity;
    AF_TRY(fn_alloc(scalar->arena, words, sizeof *validity, &validity, scalar->err));
    size_t valid = 0;
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = scalar_row_mask(scalar->rows, word);
        for (size_t i = 0; i < scalar->arg_count; i++)
            bits &= scalar_valid_word(&scalar->args[i], word);
        validity[word] = bits;
        valid += (size_t)__builtin_popcountll(bits);
    }
    if (valid == scalar->rows)
        return AF_OK;
    scalar->out->validity = validity;
    scalar->out->null_count = scalar->rows - valid;
    return AF_OK;
}

enum af_status scalar_nulls(struct scalar *scalar)
{
    struct af_column *out = scalar->out;
    size_t rows = scalar->rows;
    if (out->type == AF_TYPE_NULL)
        return AF_OK;
    void *zeros = af_arena_zero(scalar->arena, rows + 1, 8);
    uint64_t *validity = af_bits_new(scalar->arena, rows, false);
    if (zeros == NULL || validity == NULL)
        return af_arena_fail(scalar->arena, 8 * (rows + 1), "a column of nulls", scalar->err);
    if (out->type == AF_TYPE_STRING) {
        out->offsets = zeros;
        out->bytes = "";
    } else {
        out->values = zeros;
    }
    out->validity = validity;
    out->null_count = rows;
    return AF_OK;
}

enum af_status af_fn_eval(enum af_fn id, const struct af_vector *args, size_t arg_count, const struct af_regex *regex, size_t rows,
                          struct af_arena *arena, struct af_vector *out, struct af_error *err)
{
    enum af_type types[16] = { AF_TYPE_NULL };
    if (kernels[id] == NULL || arg_count > sizeof types / sizeof types[0])
        return af_fail(err, AF_EBUG, "\"%s\" with %zu arguments is not a scalar function", af_fn_get(id)->name, arg_count);
    bool is_constant = true, has_null_type = false;
    for (size_t i = 0; i < arg_count; i++) {
        types[i] = args[i].column.type;
        is_constant &= args[i].is_constant;
        has_null_type |= types[i] == AF_TYPE_NULL;
    }
    struct af_column made = { .type = AF_TYPE_NULL };
    AF_TRY(af_fn_type(id, types, arg_count, &made.type, err));
    struct scalar scalar = { id, args, arg_count, regex, is_constant ? 1 : rows, arena, &made, err };
    AF_TRY(has_null_type && is_strict(id) ? scalar_nulls(&scalar) : kernels[id](&scalar));
    *out = (struct af_vector){ made, is_constant };
    return AF_OK;
}
