/*
 * names.c - InfluxQL's functions and which of ours they are, and what columns of an answer are called.
 *
 * Names of columns: an alias; else the function, or all names of an expression joined by "_". A name that is there already gets _1, _2 ...;
 * aliases are never changed.
 */
#include "lang/influxql/lower_int.h"

/* What "*" and /re/ inside of a call spread over. */
enum { SPREADS_NUMBERS = TAKES_NUMBERS, SPREADS_MIN_MAX = TAKES_NUMBERS | TAKES_BOOLEAN, SPREADS_ALL = TAKES_ALL };

static const struct call_name calls[] = {
    { "abs", CALL_MATH, AF_FN_ABS, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "acos", CALL_MATH, AF_FN_ACOS, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "asin", CALL_MATH, AF_FN_ASIN, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "atan", CALL_MATH, AF_FN_ATAN, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "atan2", CALL_MATH, AF_FN_ATAN2, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "bottom", CALL_TOP, AF_FN_BOTTOM, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "ceil", CALL_MATH, AF_FN_CEIL, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "chande_momentum_oscillator", CALL_CMO, AF_FN_CMO, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "cos", CALL_MATH, AF_FN_COS, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "count", CALL_AGGREGATE, AF_FN_COUNT, TAKES_ALL, SPREADS_ALL },
    { "cumulative_sum", CALL_DIFFERENCE, AF_FN_CUMULATIVE_SUM, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "derivative", CALL_DERIVATIVE, AF_FN_DERIVATIVE, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "difference", CALL_DIFFERENCE, AF_FN_DIFFERENCE, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "distinct", CALL_DISTINCT, AF_FN_DISTINCT, TAKES_ALL, SPREADS_ALL },
    { "double_exponential_moving_average", CALL_EMA, AF_FN_DOUBLE_EMA, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "elapsed", CALL_DERIVATIVE, AF_FN_ELAPSED, TAKES_ALL, SPREADS_ALL },
    { "exp", CALL_MATH, AF_FN_EXP, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "exponential_moving_average", CALL_EMA, AF_FN_EMA, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "first", CALL_SELECTOR, AF_FN_FIRST, TAKES_ALL, SPREADS_ALL },
    { "floor", CALL_MATH, AF_FN_FLOOR, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "holt_winters", CALL_HOLT_WINTERS, AF_FN_HOLT_WINTERS, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "holt_winters_with_fit", CALL_HOLT_WINTERS, AF_FN_HOLT_WINTERS_FIT, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "integral", CALL_INTEGRAL, AF_FN_INTEGRAL, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "kaufmans_adaptive_moving_average", CALL_KAUFMAN, AF_FN_KAMA, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "kaufmans_efficiency_ratio", CALL_KAUFMAN, AF_FN_KER, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "last", CALL_SELECTOR, AF_FN_LAST, TAKES_ALL, SPREADS_ALL },
    { "ln", CALL_MATH, AF_FN_LN, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "log", CALL_MATH, AF_FN_LOG, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "log10", CALL_MATH, AF_FN_LOG10, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "log2", CALL_MATH, AF_FN_LOG2, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "max", CALL_SELECTOR, AF_FN_MAX, TAKES_NUMBERS | TAKES_BOOLEAN, SPREADS_MIN_MAX },
    { "mean", CALL_AGGREGATE, AF_FN_MEAN, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "median", CALL_AGGREGATE, AF_FN_MEDIAN, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "min", CALL_SELECTOR, AF_FN_MIN, TAKES_NUMBERS | TAKES_BOOLEAN, SPREADS_MIN_MAX },
    { "mode", CALL_AGGREGATE, AF_FN_MODE, TAKES_ALL, SPREADS_ALL },
    { "moving_average", CALL_MOVING_AVERAGE, AF_FN_MOVING_AVERAGE, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "non_negative_derivative", CALL_DERIVATIVE, AF_FN_NON_NEGATIVE_DERIVATIVE, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "non_negative_difference", CALL_DIFFERENCE, AF_FN_NON_NEGATIVE_DIFFERENCE, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "percentile", CALL_PERCENTILE, AF_FN_PERCENTILE, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "pow", CALL_MATH, AF_FN_POW, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "relative_strength_index", CALL_EMA, AF_FN_RSI, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "round", CALL_MATH, AF_FN_ROUND, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "sample", CALL_SAMPLE, AF_FN_SAMPLE, TAKES_ALL, SPREADS_ALL },
    { "sin", CALL_MATH, AF_FN_SIN, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "spread", CALL_AGGREGATE, AF_FN_SPREAD, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "sqrt", CALL_MATH, AF_FN_SQRT, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "stddev", CALL_AGGREGATE, AF_FN_STDDEV, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "sum", CALL_AGGREGATE, AF_FN_SUM, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "tan", CALL_MATH, AF_FN_TAN, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "top", CALL_TOP, AF_FN_TOP, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "triple_exponential_derivative", CALL_EMA, AF_FN_TRIX, TAKES_NUMBERS, SPREADS_NUMBERS },
    { "triple_exponential_moving_average", CALL_EMA, AF_FN_TRIPLE_EMA, TAKES_NUMBERS, SPREADS_NUMBERS },
};

const struct call_name *lower_call_name(const char *name)
{
    size_t low = 0, high = sizeof calls / sizeof *calls;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(name, calls[mid].name);
        if (order == 0)
            return &calls[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

bool lower_is_selector_call(const struct call_name *call)
{
    return call->group == CALL_SELECTOR || call->group == CALL_PERCENTILE || call->group == CALL_SAMPLE || call->group == CALL_TOP;
}

/* --- columns ------------------------------------------------------------------------------------------------------------------------- */

/* Names in an expression, from left to right; of a call only the function's. */
static void join_names(struct af_buf *out, const struct af_ql_expr *expr, bool *first)
{
    if (expr == NULL)
        return;
    if (expr->kind == AF_QL_REF || expr->kind == AF_QL_CALL) {
        af_buf_append_str(out, *first ? "" : "_");
        af_buf_append_str(out, expr->name);
        *first = false;
        return;
    }
    join_names(out, expr->left, first);
    join_names(out, expr->right, first);
}

static const char *joined(struct af_arena *arena, const struct af_ql_expr *expr)
{
    struct af_buf buf;
    bool first = true;
    af_buf_init(&buf, 1 << 20);
    join_names(&buf, expr, &first);
    const char *name = buf.failed ? NULL : af_arena_copy(arena, af_buf_slice(&buf));
    af_buf_done(&buf);
    return name;
}

static const char *plain_name(struct af_arena *arena, const struct af_ql_expr *expr)
{
    while (expr->kind == AF_QL_PAREN)
        expr = expr->left;
    if (expr->kind == AF_QL_REF || expr->kind == AF_QL_CALL)
        return expr->name;
    if (expr->kind == AF_QL_DISTINCT)
        return "distinct";
    return expr->kind == AF_QL_BINARY ? joined(arena, expr) : "";
}

const char *lower_field_name(struct af_arena *arena, const struct af_ql_field *field)
{
    return field->alias != NULL ? field->alias : plain_name(arena, field->expr);
}

static bool is_listed_top(const struct query *query, const struct af_ql_expr *expr)
{
    return query->select->target == NULL && (lower_is_call(expr, "top") || lower_is_call(expr, "bottom"));
}

/* Aliases first, since nothing may push them away; then what was named by itself. */
struct taken {
    const char *name;
    size_t count; /* the next number to try */
};
struct taken_list {
    struct taken *items;
    struct lookup lookup;
};
static struct taken *find_taken(struct taken_list *taken, const char *name)
{
    uint64_t hash = lookup_text(name);
    for (size_t i = lookup_first(&taken->lookup, hash); i != SIZE_MAX; i = lookup_next(&taken->lookup, i, hash))
        if (strcmp(taken->items[i].name, name) == 0)
            return &taken->items[i];
    return NULL;
}

static bool take(struct taken_list *taken, struct af_arena *arena, const char *name)
{
    taken->items[taken->lookup.count] = (struct taken){ name, 1 };
    return lookup_add(&taken->lookup, arena, lookup_text(name));
}

static const char *unique_name(struct af_arena *arena, struct taken_list *taken, const char *name)
{
    struct taken *old = find_taken(taken, name);
    while (old != NULL) {
        const char *other = af_arena_printf(arena, "%s_%zu", name, old->count++);
        if (other == NULL)
            return NULL;
        if (find_taken(taken, other) == NULL) {
            name = other;
            break;
        }
    }
    return take(taken, arena, name) ? name : NULL;
}

static enum af_status name_outputs(struct lowering *lo, struct output *outputs, size_t count, struct af_error *err)
{
    struct taken_list taken = { .items = af_arena_zero(lo->arena, count + 1, sizeof *taken.items) };
    if (taken.items == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < count; i++) {
        outputs[i].name = outputs[i].alias;
        if (outputs[i].alias != NULL && find_taken(&taken, outputs[i].alias) == NULL && !take(&taken, lo->arena, outputs[i].alias))
            return lower_nomem(lo, err);
    }
    for (size_t i = 0; i < count; i++) {
        const char *plain = outputs[i].name == NULL ? plain_name(lo->arena, outputs[i].expr) : NULL;
        if (outputs[i].name == NULL)
            outputs[i].name = plain != NULL ? unique_name(lo->arena, &taken, plain) : NULL;
        if (outputs[i].name == NULL)
            return lower_nomem(lo, err);
    }
    return AF_OK;
}

enum af_status lower_outputs(struct lowering *lo, const struct query *query, struct output **out, size_t *out_count, struct af_error *err)
{
    const struct af_ql_select *select = query->select;
    size_t count = 0;
    for (size_t i = 0; i < select->field_count; i++)
        count += 1 + (is_listed_top(query, select->fields[i].expr) ? select->fields[i].expr->arg_count : 0);
    struct output *outputs = af_arena_zero(lo->arena, count + 1, sizeof *outputs);
    if (outputs == NULL)
        return lower_nomem(lo, err);
    count = 0;
    for (size_t i = 0; i < select->field_count; i++) {
        struct af_ql_expr *expr = select->fields[i].expr;
        outputs[count++] = (struct output){ .expr = expr, .alias = select->fields[i].alias };
        for (size_t j = 1; is_listed_top(query, expr) && j + 1 < expr->arg_count; j++)
            outputs[count++] = (struct output){ .expr = expr->args[j] };
    }
    AF_TRY(name_outputs(lo, outputs, count, err));
    *out = outputs;
    *out_count = count;
    return AF_OK;
}
