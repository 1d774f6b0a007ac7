/* tree.c - syntax trees copied, compared, walked, and what is constant in them computed. */
#include "lang/influxql/lower_int.h"
#include "base/limits.h"
#include <math.h>

enum af_status lower_nomem(const struct lowering *lo, struct af_error *err)
{
    return af_arena_fail(lo->arena, sizeof(struct af_ql_expr), "the plan of a query", err);
}

/* --- copies ---------------------------------------------------------------------------------------------------------------------- */

static struct af_ql_expr *copy_without_left(struct af_arena *arena, const struct af_ql_expr *expr)
{
    struct af_ql_expr *copy = af_arena_zero(arena, 1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *expr;
    copy->left = NULL;
    if (expr->right != NULL && (copy->right = lower_copy_expr(arena, expr->right)) == NULL)
        return NULL;
    if (expr->arg_count != 0 && (copy->args = af_arena_zero(arena, expr->arg_count, sizeof *copy->args)) == NULL)
        return NULL;
    for (size_t i = 0; i < expr->arg_count; i++)
        if ((copy->args[i] = lower_copy_expr(arena, expr->args[i])) == NULL)
            return NULL;
    return copy;
}

/* Chains of AND and OR are as long as a text may be, and hang to the left: there is no recursion that way, here and elsewhere. */
struct af_ql_expr *lower_copy_expr(struct af_arena *arena, const struct af_ql_expr *expr)
{
    struct af_ql_expr *top = NULL, **slot = &top;
    for (; expr != NULL; expr = expr->left) {
        struct af_ql_expr *copy = copy_without_left(arena, expr);
        if (copy == NULL)
            return NULL;
        *slot = copy;
        slot = &copy->left;
    }
    return top;
}

static bool copy_lists(struct af_arena *arena, const struct af_ql_select *select, struct af_ql_select *copy)
{
    copy->fields = af_arena_zero(arena, select->field_count + 1, sizeof *copy->fields);
    copy->sources = af_arena_zero(arena, select->source_count + 1, sizeof *copy->sources);
    copy->dimensions = af_arena_zero(arena, select->dimension_count + 1, sizeof *copy->dimensions);
    if (copy->fields == NULL || copy->sources == NULL || copy->dimensions == NULL)
        return false;
    for (size_t i = 0; i < select->field_count; i++) {
        copy->fields[i] = select->fields[i];
        if ((copy->fields[i].expr = lower_copy_expr(arena, select->fields[i].expr)) == NULL)
            return false;
    }
    for (size_t i = 0; i < select->dimension_count; i++)
        if ((copy->dimensions[i] = lower_copy_expr(arena, select->dimensions[i])) == NULL)
            return false;
    for (size_t i = 0; i < select->source_count; i++) {
        copy->sources[i] = select->sources[i];
        if (select->sources[i].subquery != NULL &&
            (copy->sources[i].subquery = lower_copy_select(arena, select->sources[i].subquery)) == NULL)
            return false;
    }
    return true;
}

struct af_ql_select *lower_copy_select(struct af_arena *arena, const struct af_ql_select *select)
{
    struct af_ql_select *copy = af_arena_zero(arena, 1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *select;
    if (!copy_lists(arena, select, copy))
        return NULL;
    if (select->condition != NULL && (copy->condition = lower_copy_expr(arena, select->condition)) == NULL)
        return NULL;
    return copy;
}

/* --- compared -------------------------------------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_leaf(const struct af_ql_expr *a, const struct af_ql_expr *b)
{
    switch (a->kind) {
    case AF_QL_NUMBER:
        return memcmp(&a->number, &b->number, sizeof a->number) == 0;
    case AF_QL_INTEGER: case AF_QL_DURATION: case AF_QL_TIME:
        return a->integer == b->integer;
    case AF_QL_UNSIGNED:
        return a->unsigned_integer == b->unsigned_integer;
    case AF_QL_BOOLEAN:
        return a->boolean == b->boolean;
    case AF_QL_STRING: case AF_QL_REGEX:
        return af_slice_eq(a->text, b->text);
    case AF_QL_REF: case AF_QL_WILDCARD:
        return a->cast == b->cast && same_text(a->name, b->name);
    case AF_QL_CALL: case AF_QL_DISTINCT:
        return same_text(a->name, b->name);
    case AF_QL_BINARY:
        return a->op == b->op;
    case AF_QL_PAREN: case AF_QL_LIST: case AF_QL_NIL:
        break;
    }
    return true;
}

bool lower_expr_eq(const struct af_ql_expr *a, const struct af_ql_expr *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->kind != b->kind || a->arg_count != b->arg_count || !same_leaf(a, b))
        return false;
    for (size_t i = 0; i < a->arg_count; i++)
        if (!lower_expr_eq(a->args[i], b->args[i]))
            return false;
    return lower_expr_eq(a->left, b->left) && lower_expr_eq(a->right, b->right);
}

bool lower_is_literal(const struct af_ql_expr *expr)
{
    switch (expr->kind) {
    case AF_QL_NUMBER: case AF_QL_INTEGER: case AF_QL_UNSIGNED: case AF_QL_STRING: case AF_QL_BOOLEAN: case AF_QL_DURATION: case AF_QL_TIME:
    case AF_QL_REGEX: case AF_QL_LIST: case AF_QL_NIL:
        return true;
    case AF_QL_REF: case AF_QL_CALL: case AF_QL_BINARY: case AF_QL_PAREN: case AF_QL_WILDCARD: case AF_QL_DISTINCT:
        break;
    }
    return false;
}

bool lower_is_call(const struct af_ql_expr *expr, const char *name)
{
    return expr->kind == AF_QL_CALL && strcmp(expr->name, name) == 0;
}

bool lower_walk(struct af_ql_expr *expr, lower_visit_fn visit, void *ctx)
{
    for (; expr != NULL; expr = expr->left) {
        if (!visit(ctx, expr))
            return false;
        for (size_t i = 0; i < expr->arg_count; i++)
            if (!lower_walk(expr->args[i], visit, ctx))
                return false;
        if (!lower_walk(expr->right, visit, ctx))
            return false;
    }
    return true;
}

enum af_status lower_chain(struct lowering *lo, struct af_ql_expr *expr, enum af_ql_op op, struct af_ql_expr ***out, size_t *out_count,
                           struct af_error *err)
{
    size_t count = 1, at;
    for (struct af_ql_expr *link = expr; link->kind == AF_QL_BINARY && link->op == op; link = link->left)
        count++;
    struct af_ql_expr **items = af_arena_zero(lo->arena, count, sizeof *items);
    if (items == NULL)
        return lower_nomem(lo, err);
    for (at = count; at > 1; expr = expr->left)
        items[--at] = expr->right;
    items[0] = expr;
    *out = items;
    *out_count = count;
    return AF_OK;
}

/* --- for messages ---------------------------------------------------------------------------------------------------------------- */

void lower_print(const struct af_ql_expr *expr, char *out, size_t cap)
{
    struct af_buf buf;
    af_buf_init(&buf, AF_SERVER_TEXT_BYTES_MAX);
    af_ql_print_expr(&buf, expr);
    size_t len = buf.len < cap - 1 ? buf.len : cap - 1;
    if (len != 0)
        memcpy(out, buf.ptr, len);
    out[len] = '\0';
    af_buf_done(&buf);
}

const char *lower_go_type(const struct af_ql_expr *expr)
{
    static const char *const names[] = {
        [AF_QL_REF] = "VarRef",               [AF_QL_CALL] = "Call",                 [AF_QL_BINARY] = "BinaryExpr",
        [AF_QL_PAREN] = "ParenExpr",          [AF_QL_WILDCARD] = "Wildcard",         [AF_QL_DISTINCT] = "Distinct",
        [AF_QL_NUMBER] = "NumberLiteral",     [AF_QL_INTEGER] = "IntegerLiteral",    [AF_QL_UNSIGNED] = "UnsignedLiteral",
        [AF_QL_STRING] = "StringLiteral",     [AF_QL_BOOLEAN] = "BooleanLiteral",    [AF_QL_DURATION] = "DurationLiteral",
        [AF_QL_TIME] = "TimeLiteral",         [AF_QL_REGEX] = "RegexLiteral",        [AF_QL_LIST] = "ListLiteral",
        [AF_QL_NIL] = "NilLiteral",
    };
    return names[expr->kind];
}

/* --- mathematics of literals ---------------------------------------------------------------------------------------------------------- */

static bool is_number(const struct af_ql_expr *expr)
{
    return expr->kind == AF_QL_NUMBER || expr->kind == AF_QL_INTEGER || expr->kind == AF_QL_UNSIGNED;
}

static double as_number(const struct af_ql_expr *expr)
{
    return expr->kind == AF_QL_NUMBER ? expr->number : expr->kind == AF_QL_INTEGER ? (double)expr->integer : (double)expr->unsigned_integer;
}

static bool math_of_one(const char *name, double x, double *out)
{
    static const struct {
        const char *name;
        double (*fn)(double);
    } table[] = {
        { "sin", sin }, { "cos", cos }, { "tan", tan }, { "asin", asin }, { "acos", acos }, { "atan", atan }, { "exp", exp }, { "ln", log },
        { "log2", log2 }, { "log10", log10 }, { "sqrt", sqrt }, { "abs", fabs }, { "floor", floor }, { "ceil", ceil }, { "round", round },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0) {
            *out = table[i].fn(x);
            return true;
        }
    return false;
}

static bool math_of_two(const char *name, double x, double y, double *out)
{
    if (strcmp(name, "atan2") == 0)
        *out = atan2(x, y);
    else if (strcmp(name, "pow") == 0)
        *out = pow(x, y);
    else if (strcmp(name, "log") == 0)
        *out = log(x) / log(y);
    else
        return false;
    return true;
}

static bool keeps_integers(const char *name)
{
    return strcmp(name, "abs") == 0 || strcmp(name, "floor") == 0 || strcmp(name, "ceil") == 0 || strcmp(name, "round") == 0;
}

/* Mathematics of nothing but literals is a literal; of those that are no numbers, nil. */
static void fold_call(struct af_ql_expr *call)
{
    for (size_t i = 0; i < call->arg_count; i++)
        if (!lower_is_literal(call->args[i]))
            return;
    double ignored, result = 0;
    bool takes_one = call->arg_count == 1 && math_of_one(call->name, 0, &ignored);
    if (!takes_one && (call->arg_count != 2 || !math_of_two(call->name, 1, 1, &ignored)))
        return;
    const struct af_ql_expr *x = call->args[0], *y = call->arg_count == 2 ? call->args[1] : x;
    struct af_ql_expr value = { .kind = AF_QL_NIL };
    if (is_number(x) && is_number(y)) {
        value.kind = AF_QL_NUMBER;
        if (takes_one)
            (void)math_of_one(call->name, as_number(x), &result);
        else
            (void)math_of_two(call->name, as_number(x), as_number(y), &result);
        value.number = result;
        if (x->kind != AF_QL_NUMBER && keeps_integers(call->name)) {
            value = *x;
            if (x->kind == AF_QL_INTEGER && x->integer < 0 && strcmp(call->name, "abs") == 0)
                value.integer = (int64_t)(0 - (uint64_t)x->integer);
        }
    }
    *call = value;
}

static enum af_status fold_calls(struct lowering *lo, struct af_ql_expr *expr, struct af_error *err)
{
    if (expr->left != NULL)
        AF_TRY(fold_calls(lo, expr->left, err));
    if (expr->right != NULL)
        AF_TRY(fold_calls(lo, expr->right, err));
    if (expr->kind != AF_QL_CALL)
        return AF_OK;
    for (size_t i = 0; i < expr->arg_count; i++)
        AF_TRY(lower_fold(lo, &expr->args[i], err));
    fold_call(expr);
    return AF_OK;
}

enum af_status lower_fold(struct lowering *lo, struct af_ql_expr **expr, struct af_error *err)
{
    AF_TRY(fold_calls(lo, *expr, err));
    return af_ql_reduce(*expr, NULL, NULL, lo->arena, expr, err);
}
