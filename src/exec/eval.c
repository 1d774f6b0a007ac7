/*
 * eval.c - expressions over the rows of a batch, a column at a time; see exec_int.h. Columns are views, literals one row, calls the kernels
 * of fn/fn.h: what happens to a null is written there.
 */
#include "exec/exec_int.h"

static enum af_status eval_call(const struct af_expr *expr, const struct af_batch *rows, struct af_arena *arena, struct af_vector *out,
                                struct af_error *err)
{
    struct af_vector *args = af_arena_zero(arena, expr->arg_count, sizeof *args);
    if (args == NULL)
        return arena_fail(arena, expr->arg_count * sizeof *args, err);
    for (size_t i = 0; i < expr->arg_count; i++)
        AF_TRY(eval_expr(expr->args[i], rows, arena, &args[i], err));
    return af_fn_eval(expr->fn, args, expr->arg_count, expr->regex, rows->row_count, arena, out, err);
}

enum af_status eval_expr(const struct af_expr *expr, const struct af_batch *rows, struct af_arena *arena, struct af_vector *out,
                         struct af_error *err)
{
    switch (expr->kind) {
    case AF_EXPR_COLUMN:
        *out = (struct af_vector){ .column = rows->columns[expr->column] };
        return AF_OK;
    case AF_EXPR_LITERAL:
        out->is_constant = true;
        return columns_constant(expr->type, &expr->value, 1, arena, &out->column, err);
    case AF_EXPR_CALL: return eval_call(expr, rows, arena, out, err);
    }
    return af_fail(err, AF_EBUG, "an expression is of kind %d", (int)expr->kind);
}

/* --- filters --------------------------------------------------------------------------------------------------------------------- */

static uint64_t true_word(const struct af_column *column, size_t word, size_t rows)
{
    uint64_t bits = column->bits[word];
    if (column->validity != NULL)
        bits &= column->validity[word];
    size_t left = rows - word * 64;
    return left < 64 ? bits & ((UINT64_C(1) << left) - 1) : bits;
}

static size_t list_true(const struct af_column *column, size_t rows, uint32_t *out)
{
    size_t count = 0;
    for (size_t word = 0; word < af_bit_words(rows); word++) {
        uint32_t first = (uint32_t)(word * 64);
        uint64_t bits = true_word(column, word, rows);
        if (bits == UINT64_MAX) {
            for (uint32_t i = 0; i < 64; i++)
                out[count++] = first + i;
            continue;
        }
        for (; bits != 0; bits &= bits - 1)
            out[count++] = first + (uint32_t)__builtin_ctzll(bits);
    }
    return count;
}

enum af_status eval_filter(const struct af_expr *expr, const struct af_batch *rows, struct af_arena *arena, uint32_t **out_rows,
                           size_t *out_count, struct af_error *err)
{
    struct af_vector result;
    AF_TRY(eval_expr(expr, rows, arena, &result, err));
    if (result.column.type != AF_TYPE_BOOL && result.column.type != AF_TYPE_NULL)
        return af_fail(err, AF_EBUG, "a filter is of type %s", af_type_name(result.column.type));
    uint32_t *list = af_arena_array(arena, rows->row_count, sizeof *list);
    if (list == NULL)
        return arena_fail(arena, rows->row_count * sizeof *list, err);
    size_t count = 0;
    if (result.column.type == AF_TYPE_NULL) {
        count = 0;
    } else if (!result.is_constant) {
        count = list_true(&result.column, rows->row_count, list);
    } else if (true_word(&result.column, 0, 1) != 0) {
        for (; count < rows->row_count; count++)
            list[count] = (uint32_t)count;
    }
    *out_rows = list;
    *out_count = count;
    return AF_OK;
}
