/*
 * condition.c - WHERE taken apart: what it says of time becomes a range, what is left is for rows.
 *
 *     time >= '2024-01-01' AND time < now() AND host = 'a'     -->   [2024-01-01, now)   and   host = 'a'
 *
 * InfluxDB's rule is simple and so are its surprises: wherever a comparison with time stands in the tree of ANDs and ORs, it narrows the
 * one range, under an OR too; then it is gone from the tree. Only < <= = >= > compare with time.
 */
#include "lang/influxql/reduce_int.h"

#define TIME_MIN (INT64_MIN + 2) /* InfluxDB keeps the outermost values for itself */
#define TIME_MAX (INT64_MAX - 1)

struct split {
    struct af_ql_reducer reducer;
    bool has_min, has_max;
    __int128 min, max;                  /* both included; past int64 they wrap in the end, as InfluxDB's do: time < 1e30 says nothing */
    struct af_error *err;
};

static enum af_status nomem(const struct split *s)
{
    return af_arena_fail(s->reducer.arena, s->reducer.wanted, "a query's condition", s->err);
}

/* --- comparisons with time ------------------------------------------------------------------------------------------------------- */

static bool is_time(const struct af_ql_expr *expr)
{
    return expr->kind == AF_QL_REF && af_ql_is_word(af_slice_of(expr->name), "time");
}

/* InfluxDB's errors name its own types. */
static const char *type_name(enum af_ql_expr_kind kind)
{
    static const char *const names[] = {
        [AF_QL_REF] = "VarRef",
        [AF_QL_CALL] = "Call",
        [AF_QL_BINARY] = "BinaryExpr",
        [AF_QL_PAREN] = "ParenExpr",
        [AF_QL_WILDCARD] = "Wildcard",
        [AF_QL_DISTINCT] = "Distinct",
        [AF_QL_NUMBER] = "NumberLiteral",
        [AF_QL_INTEGER] = "IntegerLiteral",
        [AF_QL_UNSIGNED] = "UnsignedLiteral",
        [AF_QL_STRING] = "StringLiteral",
        [AF_QL_BOOLEAN] = "BooleanLiteral",
        [AF_QL_DURATION] = "DurationLiteral",
        [AF_QL_TIME] = "TimeLiteral",
        [AF_QL_REGEX] = "RegexLiteral",
        [AF_QL_LIST] = "ListLiteral",
        [AF_QL_NIL] = "NilLiteral",
    };
    return names[kind];
}

static enum af_status check_instant(const struct split *s, __int128 ns)
{
    if (ns > TIME_MIN && ns <= TIME_MAX)
        return AF_OK;
    char words[64];
    af_ql_time_words(words, ns, s->reducer.zone);
    return af_fail(s->err, AF_EINVAL, "time %s %s time literal", words, ns > 0 ? "overflows" : "underflows");
}

/* The instant that time is compared with. */
static enum af_status evaluate(struct split *s, const struct af_ql_expr *expr, int64_t *out)
{
    __int128 ns;
    if (expr->kind == AF_QL_STRING && af_ql_is_time_text(expr->text)) {
        if (!af_ql_time_parse(expr->text, s->reducer.zone, &ns))
            return af_fail(s->err, AF_EINVAL, "invalid timestamp string");
        AF_TRY(check_instant(s, ns));
        *out = (int64_t)ns;
        return AF_OK;
    }
    const struct af_ql_expr *value = af_ql_fold_tree(&s->reducer, expr);
    if (value == NULL)
        return nomem(s);
    if (value->kind == AF_QL_PAREN)
        value = value->left;
    switch (value->kind) {
    case AF_QL_TIME:
        AF_TRY(check_instant(s, af_ql_time_of(value)));
        *out = value->integer;
        return AF_OK;
    case AF_QL_DURATION:
    case AF_QL_INTEGER:
        *out = value->integer;
        return AF_OK;
    case AF_QL_NUMBER:
        *out = af_ql_number_to_integer(value->number);
        return AF_OK;
    default:
        return af_fail(s->err, AF_EINVAL, "invalid operation: time and *influxql.%s are not compatible", type_name(value->kind));
    }
}

static void raise_min(struct split *s, __int128 min)
{
    if (!s->has_min || min > s->min)
        s->min = min;
    s->has_min = true;
}

static void lower_max(struct split *s, __int128 max)
{
    if (!s->has_max || max < s->max)
        s->max = max;
    s->has_max = true;
}

static enum af_status narrow(struct split *s, enum af_ql_op op, const struct af_ql_expr *other)
{
    int64_t ns = 0;
    AF_TRY(evaluate(s, other, &ns));
    switch (op) {
    case AF_QL_GT:
        raise_min(s, (__int128)ns + 1);
        return AF_OK;
    case AF_QL_GTE:
        raise_min(s, ns);
        return AF_OK;
    case AF_QL_LT:
        lower_max(s, (__int128)ns - 1);
        return AF_OK;
    case AF_QL_LTE:
        lower_max(s, ns);
        return AF_OK;
    case AF_QL_EQ:
        raise_min(s, ns);
        lower_max(s, ns);
        return AF_OK;
    default:
        return af_fail(s->err, AF_EINVAL, "invalid time comparison operator: %s", af_ql_op_text(op));
    }
}

static enum af_ql_op turned(enum af_ql_op op)
{
    switch (op) {
    case AF_QL_LT:
        return AF_QL_GT;
    case AF_QL_LTE:
        return AF_QL_GTE;
    case AF_QL_GT:
        return AF_QL_LT;
    case AF_QL_GTE:
        return AF_QL_LTE;
    default:
        return op;
    }
}

/* --- the tree -------------------------------------------------------------------------------------------------------------------- */

/* What of `expr` is not about time, folded; *out NULL: nothing. */
static enum af_status split(struct split *s, const struct af_ql_expr *expr, struct af_ql_expr **out);

static enum af_status split_both(struct split *s, const struct af_ql_expr *expr, struct af_ql_expr **out)
{
    struct af_ql_expr *left, *right;
    AF_TRY(split(s, expr->left, &left));
    AF_TRY(split(s, expr->right, &right));
    if (left == NULL || right == NULL) {
        *out = left != NULL ? left : right;
        return AF_OK;
    }
    *out = af_ql_fold(&s->reducer, expr->op, left, right);
    return *out != NULL ? AF_OK : nomem(s);
}

static enum af_status split(struct split *s, const struct af_ql_expr *expr, struct af_ql_expr **out)
{
    *out = NULL;
    if (expr->kind == AF_QL_BOOLEAN) {
        *out = (struct af_ql_expr *)expr;
        return AF_OK;
    }
    if (expr->kind == AF_QL_PAREN) {
        AF_TRY(split(s, expr->left, out));
        if (*out == NULL)
            return AF_OK;
        *out = af_ql_fold_paren(&s->reducer, *out);
        return *out != NULL ? AF_OK : nomem(s);
    }
    if (expr->kind != AF_QL_BINARY) {
        struct af_buf words;
        af_buf_init(&words, 600);
        af_ql_print_expr(&words, expr);
        enum af_status status = af_fail(s->err, AF_EINVAL, "invalid condition expression: %s", af_buf_cstr(&words));
        af_buf_done(&words);
        return status;
    }
    if (expr->op == AF_QL_AND || expr->op == AF_QL_OR)
        return split_both(s, expr, out);
    if (is_time(expr->left))
        return narrow(s, expr->op, expr->right);
    if (is_time(expr->right))
        return narrow(s, turned(expr->op), expr->left);
    *out = af_ql_fold_tree(&s->reducer, expr);
    return *out != NULL ? AF_OK : nomem(s);
}

enum af_status af_ql_split_time(const struct af_ql_expr *condition, int64_t now_ns, const struct af_zone *zone, struct af_arena *arena,
                                struct af_ql_range *out_range, struct af_ql_expr **out_rest, struct af_error *err)
{
    struct split s = { .reducer = { .now_ns = &now_ns, .zone = zone, .arena = arena }, .err = err };
    struct af_ql_expr *rest = NULL;
    if (condition != NULL)
        AF_TRY(split(&s, condition, &rest));
    if (rest != NULL && rest->kind == AF_QL_PAREN)
        rest = rest->left;
    if (rest != NULL && rest->kind == AF_QL_BOOLEAN && rest->boolean)
        rest = NULL;
    af_ql_cut_times(rest);
    *out_rest = rest;
    int64_t max = s.has_max ? (int64_t)(uint64_t)s.max : INT64_MAX;
    out_range->start_ns = s.has_min ? (int64_t)(uint64_t)s.min : INT64_MIN;
    out_range->stop_ns = max < INT64_MAX ? max + 1 : INT64_MAX;
    return AF_OK;
}
