/* expr.c - expressions: made, judged, printed. */
#include "plan/plan_int.h"
#include "base/regex.h"

const struct af_expr *af_expr_column(struct af_arena *arena, const struct af_schema *schema, size_t column)
{
    struct af_expr *expr = af_arena_zero(arena, 1, sizeof *expr);
    if (expr == NULL)
        return NULL;
    *expr = (struct af_expr){ .kind = AF_EXPR_COLUMN, .type = schema->fields[column].type, .column = column };
    return expr;
}

const struct af_expr *af_expr_literal(struct af_arena *arena, struct af_value value)
{
    struct af_expr *expr = af_arena_zero(arena, 1, sizeof *expr);
    if (expr == NULL)
        return NULL;
    *expr = (struct af_expr){ .kind = AF_EXPR_LITERAL, .type = value.type, .value = value };
    return expr;
}

/* --- calls --------------------------------------------------------------------------------------------------------------------- */

enum { ARGS_MAX = 16 };

static bool takes_regex(enum af_fn fn)
{
    return fn == AF_FN_MATCH || fn == AF_FN_NOT_MATCH;
}

static enum af_status type_of_call(enum af_fn fn, const struct af_expr *const *args, size_t arg_count, bool has_regex, enum af_type *out,
                                   struct af_error *err)
{
    if ((unsigned)fn >= AF_FN_COUNT_OF || af_fn_get(fn)->kind != AF_FN_KIND_SCALAR)
        return af_fail(err, AF_EINVAL, "function %d is not one of expressions", (int)fn);
    const struct af_fn_info *info = af_fn_get(fn);
    if (arg_count < info->args_min || arg_count > info->args_max || arg_count > ARGS_MAX)
        return af_fail(err, AF_EINVAL, "\"%s\" takes %d to %d arguments, not %zu", info->name, info->args_min, info->args_max, arg_count);
    if (takes_regex(fn) != has_regex)
        return af_fail(err, AF_EINVAL, "\"%s\" %s a regular expression", info->name, has_regex ? "does not take" : "needs");
    enum af_type types[ARGS_MAX] = { 0 };
    for (size_t i = 0; i < arg_count; i++)
        types[i] = args[i]->type;
    return af_fn_type(fn, types, arg_count, out, err);
}

enum af_status af_expr_call(struct af_arena *arena, enum af_fn fn, const struct af_expr *const *args, size_t arg_count,
                            const struct af_regex *regex, const struct af_expr **out, struct af_error *err)
{
    enum af_type type;
    AF_TRY(type_of_call(fn, args, arg_count, regex != NULL, &type, err));
    struct af_expr *expr = af_arena_zero(arena, 1, sizeof *expr);
    const struct af_expr **copy = af_arena_zero(arena, arg_count, sizeof *copy);
    if (expr == NULL || copy == NULL)
        return af_arena_fail(arena, sizeof *expr + arg_count * sizeof *copy, "an expression", err);
    memcpy(copy, args, arg_count * sizeof *copy);
    *expr = (struct af_expr){ .kind = AF_EXPR_CALL, .type = type, .fn = fn, .args = copy, .arg_count = arg_count, .regex = regex };
    *out = expr;
    return AF_OK;
}

/* --- judged ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status check_at(const struct af_expr *expr, const struct af_schema *schema, unsigned depth, struct af_error *err)
{
    if (expr == NULL)
        return af_fail(err, AF_EINVAL, "an expression is missing");
    if (depth > PLAN_EXPR_DEPTH_MAX)
        return af_fail(err, AF_ELIMIT, "an expression is nested deeper than %d", PLAN_EXPR_DEPTH_MAX);
    if (expr->kind == AF_EXPR_LITERAL)
        return expr->type == expr->value.type ? AF_OK : af_fail(err, AF_EINVAL, "a literal of %s claims to be %s",
                                                                 af_type_name(expr->value.type), af_type_name(expr->type));
    if (expr->kind == AF_EXPR_COLUMN) {
        if (expr->column >= schema->field_count)
            return af_fail(err, AF_EINVAL, "column %zu of %zu in an expression", expr->column, schema->field_count);
        enum af_type type = schema->fields[expr->column].type;
        return type == expr->type ? AF_OK : af_fail(err, AF_EINVAL, "column \"%s\" is %s, the expression takes it for %s",
                                                    schema->fields[expr->column].name, af_type_name(type), af_type_name(expr->type));
    }
    if (expr->kind != AF_EXPR_CALL)
        return af_fail(err, AF_EINVAL, "an expression of kind %d", (int)expr->kind);
    for (size_t i = 0; i < expr->arg_count; i++)
        AF_TRY(check_at(expr->args[i], schema, depth + 1, err));
    enum af_type type;
    AF_TRY(type_of_call(expr->fn, expr->args, expr->arg_count, expr->regex != NULL, &type, err));
    return type == expr->type ? AF_OK : af_fail(err, AF_EINVAL, "\"%s\" gives %s, the expression says %s", af_fn_get(expr->fn)->name,
                                                af_type_name(type), af_type_name(expr->type));
}

enum af_status expr_check(const struct af_expr *expr, const struct af_schema *schema, struct af_error *err)
{
    return check_at(expr, schema, 0, err);
}

/* --- printed --------------------------------------------------------------------------------------------------------------------- */

void af_expr_print(struct af_buf *out, const struct af_expr *expr, const struct af_schema *schema)
{
    switch (expr->kind) {
    case AF_EXPR_LITERAL:
        print_value(out, &expr->value);
        return;
    case AF_EXPR_COLUMN:
        if (schema != NULL && expr->column < schema->field_count)
            af_buf_append_str(out, schema->fields[expr->column].name);
        else
            af_buf_printf(out, "#%zu", expr->column);
        return;
    case AF_EXPR_CALL:
        break;
    }
    af_buf_printf(out, "%s(", af_fn_get(expr->fn)->name);
    for (size_t i = 0; i < expr->arg_count; i++) {
        af_buf_append_str(out, i != 0 ? ", " : "");
        af_expr_print(out, expr->args[i], schema);
    }
    if (expr->regex != NULL) {
        struct af_slice pattern = af_regex_pattern(expr->regex);
        af_buf_printf(out, ", /" AF_SLICE_FMT "/", AF_SLICE_ARG(pattern));
    }
    af_buf_append_char(out, ')');
}
