/* check_call.c - what each function takes: how many arguments, which kinds, and where an aggregate must or must not stand inside. */
#include "lang/influxql/lower_int.h"

typedef enum af_status (*rule_fn)(struct check *check, struct af_ql_expr *call, struct af_error *err);

/* --- what may stand where a field is wanted ------------------------------------------------------------------------------------------ */

static enum af_status check_symbol(struct check *check, const char *name, const struct af_ql_expr *arg, struct af_error *err)
{
    if (arg->kind == AF_QL_REF)
        return AF_OK;
    if (arg->kind != AF_QL_WILDCARD && arg->kind != AF_QL_REGEX)
        return af_fail(err, AF_EINVAL, "expected field argument in %s()", name);
    if (!check->allows_wildcard && arg->kind == AF_QL_WILDCARD)
        return af_fail(err, AF_EINVAL, "unsupported expression with wildcard: %s()", name);
    if (!check->allows_wildcard)
        return af_fail(err, AF_EINVAL, "unsupported expression with regex field: %s()", name);
    check->only_selectors = false;
    return AF_OK;
}

/* distinct(x) or DISTINCT x; inside of another call it does not make the query one of distinct values. */
static enum af_status check_distinct(struct check *check, const struct af_ql_expr *call, bool is_nested, struct af_error *err)
{
    if (call->kind == AF_QL_CALL) {
        if (call->arg_count == 0)
            return af_fail(err, AF_EINVAL, "distinct function requires at least one argument");
        if (call->arg_count != 1)
            return af_fail(err, AF_EINVAL, "distinct function can only have one argument");
        if (call->args[0]->kind != AF_QL_REF)
            return af_fail(err, AF_EINVAL, "expected field argument in distinct()");
    }
    check->has_distinct = check->has_distinct || !is_nested;
    check->only_selectors = false;
    return AF_OK;
}

static bool is_distinct(const struct af_ql_expr *expr)
{
    return expr->kind == AF_QL_DISTINCT || lower_is_call(expr, "distinct");
}

/* The argument of a transformation: an aggregate if there are intervals, otherwise a field. */
static enum af_status check_input(struct check *check, const char *name, struct af_ql_expr *arg, bool distinct_is_nested,
                                  struct af_error *err)
{
    check->only_selectors = false;
    if (arg->kind != AF_QL_CALL) {
        if (check->query->every_ns != 0 && !check->query->inherits_interval)
            return af_fail(err, AF_EINVAL, "aggregate function required inside the call to %s", name);
        return check_symbol(check, name, arg, err);
    }
    if (check->query->every_ns == 0)
        return af_fail(err, AF_EINVAL, "%s aggregate requires a GROUP BY interval", name);
    return distinct_is_nested && is_distinct(arg) ? check_distinct(check, arg, true, err) : lower_check_expr(check, arg, err);
}

/* --- arguments --------------------------------------------------------------------------------------------------------------------- */

static enum af_status expect_args(const struct af_ql_expr *call, size_t wanted, struct af_error *err)
{
    if (call->arg_count == wanted)
        return AF_OK;
    return af_fail(err, AF_EINVAL, "invalid number of arguments for %s, expected %zu, got %zu", call->name, wanted, call->arg_count);
}

static enum af_status expect_args_between(const struct af_ql_expr *call, size_t min, size_t max, struct af_error *err)
{
    if (call->arg_count >= min && call->arg_count <= max)
        return AF_OK;
    return af_fail(err, AF_EINVAL, "invalid number of arguments for %s, expected at least %zu but no more than %zu, got %zu", call->name,
                   min, max, call->arg_count);
}

static enum af_status expect_positive(const struct af_ql_expr *duration, struct af_error *err)
{
    if (duration->integer > 0)
        return AF_OK;
    char text[64];
    lower_print(duration, text, sizeof text);
    return af_fail(err, AF_EINVAL, "duration argument must be positive, got %s", text);
}

/* The number of points that a moving average and its kin look at. */
static enum af_status expect_period(const struct af_ql_expr *call, struct af_error *err)
{
    const struct af_ql_expr *period = call->args[1];
    if (period->kind != AF_QL_INTEGER)
        return af_fail(err, AF_EINVAL, "%s period must be an integer", call->name);
    return period->integer >= 1 ? AF_OK : af_fail(err, AF_EINVAL, "%s period must be greater than or equal to 1", call->name);
}

static enum af_status expect_hold(const struct af_ql_expr *call, int64_t least, struct af_error *err)
{
    if (call->arg_count < 3)
        return AF_OK;
    const struct af_ql_expr *hold = call->args[2];
    if (hold->kind != AF_QL_INTEGER)
        return af_fail(err, AF_EINVAL, "%s hold period must be an integer", call->name);
    if (hold->integer < least && hold->integer != -1)
        return af_fail(err, AF_EINVAL, "%s hold period must be greater than or equal to %lld", call->name, (long long)least);
    return AF_OK;
}

static enum af_status expect_warmup(const struct af_ql_expr *call, bool knows_none, struct af_error *err)
{
    if (call->arg_count < 4)
        return AF_OK;
    const struct af_ql_expr *warmup = call->args[3];
    if (warmup->kind != AF_QL_STRING)
        return af_fail(err, AF_EINVAL, "%s warmup type must be a string", call->name);
    if (af_slice_is(warmup->text, "exponential") || af_slice_is(warmup->text, "simple") ||
        (knows_none && af_slice_is(warmup->text, "none")))
        return AF_OK;
    return af_fail(err, AF_EINVAL, "%s warmup type must be one of: %s'exponential' 'simple'", call->name, knows_none ? "'none' " : "");
}

/* --- rules by function ---------------------------------------------------------------------------------------------------------------- */

static enum af_status rule_math(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    bool takes_two = strcmp(call->name, "atan2") == 0 || strcmp(call->name, "pow") == 0 || strcmp(call->name, "log") == 0;
    AF_TRY(expect_args(call, takes_two ? 2 : 1, err));
    for (size_t i = 0; i < call->arg_count; i++)
        if (!lower_is_literal(call->args[i]))
            AF_TRY(lower_check_expr(check, call->args[i], err));
    return AF_OK;
}

static enum af_status rule_plain(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    if (lower_call_name(call->name)->group == CALL_AGGREGATE)
        check->only_selectors = false;
    AF_TRY(expect_args(call, 1, err));
    if (strcmp(call->name, "count") == 0 && is_distinct(call->args[0]))
        return check_distinct(check, call->args[0], true, err);
    return check_symbol(check, call->name, call->args[0], err);
}

static enum af_status rule_percentile(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    AF_TRY(expect_args(call, 2, err));
    if (call->args[1]->kind != AF_QL_INTEGER && call->args[1]->kind != AF_QL_NUMBER)
        return af_fail(err, AF_EINVAL, "expected float argument in percentile()");
    return check_symbol(check, "percentile", call->args[0], err);
}

static enum af_status rule_sample(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    AF_TRY(expect_args(call, 2, err));
    if (call->args[1]->kind != AF_QL_INTEGER)
        return af_fail(err, AF_EINVAL, "expected integer argument in sample()");
    if (call->args[1]->integer <= 0)
        return af_fail(err, AF_EINVAL, "sample window must be greater than 1, got %lld", (long long)call->args[1]->integer);
    return check_symbol(check, "sample", call->args[0], err);
}

static enum af_status rule_distinct(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    return check_distinct(check, call, false, err);
}

static enum af_status check_top_limit(const struct check *check, const struct af_ql_expr *call, struct af_error *err)
{
    const struct af_ql_expr *count = call->args[call->arg_count - 1];
    int64_t limit = check->query->select->limit;
    if (count->kind != AF_QL_INTEGER) {
        char text[300];
        lower_print(count, text, sizeof text);
        return af_fail(err, AF_EINVAL, "expected integer as last argument in %s(), found %s", call->name, text);
    }
    if (count->integer <= 0)
        return af_fail(err, AF_EINVAL, "limit (%lld) in %s function must be at least 1", (long long)count->integer, call->name);
    if (limit > 0 && count->integer > limit)
        return af_fail(err, AF_EINVAL, "limit (%lld) in %s function can not be larger than the LIMIT (%lld) in the select statement",
                       (long long)count->integer, call->name, (long long)limit);
    return AF_OK;
}

static enum af_status rule_top(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    char text[300];
    if (check->top != NULL)
        return af_fail(err, AF_EINVAL, "selector function %s() cannot be combined with other functions", check->top);
    if (call->arg_count < 2)
        return af_fail(err, AF_EINVAL, "invalid number of arguments for %s, expected at least 2, got %zu", call->name, call->arg_count);
    AF_TRY(check_top_limit(check, call, err));
    if (call->args[0]->kind != AF_QL_REF) {
        lower_print(call->args[0], text, sizeof text);
        return af_fail(err, AF_EINVAL, "expected first argument to be a field in %s(), found %s", call->name, text);
    }
    for (size_t i = 1; i + 1 < call->arg_count; i++) {
        if (call->args[i]->kind != AF_QL_REF) {
            lower_print(call->args[i], text, sizeof text);
            return af_fail(err, AF_EINVAL, "only fields or tags are allowed in %s(), found %s", call->name, text);
        }
        if (check->query->select->target != NULL)
            continue;
        check->field_count++;
        check->has_names = true;
    }
    check->top = call->name;
    return AF_OK;
}

static enum af_status rule_derivative(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    AF_TRY(expect_args_between(call, 1, 2, err));
    if (call->arg_count == 2) {
        if (call->args[1]->kind != AF_QL_DURATION)
            return af_fail(err, AF_EINVAL, "second argument to %s must be a duration, got *influxql.%s", call->name,
                           lower_go_type(call->args[1]));
        AF_TRY(expect_positive(call->args[1], err));
    }
    return check_input(check, call->name, call->args[0], true, err);
}

static enum af_status rule_difference(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    AF_TRY(expect_args(call, 1, err));
    return check_input(check, call->name, call->args[0], true, err);
}

static enum af_status rule_moving_average(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    AF_TRY(expect_args(call, 2, err));
    const struct af_ql_expr *count = call->args[1];
    if (count->kind != AF_QL_INTEGER)
        return af_fail(err, AF_EINVAL, "second argument for moving_average must be an integer, got *influxql.%s", lower_go_type(count));
    if (count->integer <= 1)
        return af_fail(err, AF_EINVAL, "moving_average window must be greater than 1, got %lld", (long long)count->integer);
    return check_input(check, call->name, call->args[0], true, err);
}

static enum af_status rule_ema(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    if (call->arg_count < 2 || call->arg_count > 4)
        return expect_args_between(call, 2, 4, err);
    AF_TRY(expect_period(call, err));
    AF_TRY(expect_hold(call, strcmp(call->name, "triple_exponential_derivative") == 0 ? 1 : 0, err));
    AF_TRY(expect_warmup(call, false, err));
    return check_input(check, call->name, call->args[0], false, err);
}

static enum af_status rule_kaufman(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    AF_TRY(expect_args_between(call, 2, 3, err));
    AF_TRY(expect_period(call, err));
    AF_TRY(expect_hold(call, 0, err));
    return check_input(check, call->name, call->args[0], false, err);
}

static enum af_status rule_cmo(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    AF_TRY(expect_args_between(call, 2, 4, err));
    AF_TRY(expect_period(call, err));
    AF_TRY(expect_hold(call, 0, err));
    AF_TRY(expect_warmup(call, true, err));
    return check_input(check, call->name, call->args[0], false, err);
}

static enum af_status rule_integral(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    AF_TRY(expect_args_between(call, 1, 2, err));
    if (call->arg_count == 2) {
        if (call->args[1]->kind != AF_QL_DURATION)
            return af_fail(err, AF_EINVAL, "second argument must be a duration");
        AF_TRY(expect_positive(call->args[1], err));
    }
    check->only_selectors = false;
    return check_symbol(check, "integral", call->args[0], err);
}

static enum af_status rule_holt_winters(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    AF_TRY(expect_args(call, 3, err));
    const struct af_ql_expr *count = call->args[1], *season = call->args[2];
    if (count->kind != AF_QL_INTEGER)
        return af_fail(err, AF_EINVAL, "expected integer argument as second arg in %s", call->name);
    if (count->integer <= 0)
        return af_fail(err, AF_EINVAL, "second arg to %s must be greater than 0, got %lld", call->name, (long long)count->integer);
    if (season->kind != AF_QL_INTEGER)
        return af_fail(err, AF_EINVAL, "expected integer argument as third arg in %s", call->name);
    if (season->integer < 0)
        return af_fail(err, AF_EINVAL, "third arg to %s cannot be negative, got %lld", call->name, (long long)season->integer);
    if (call->args[0]->kind != AF_QL_CALL)
        return af_fail(err, AF_EINVAL, "must use aggregate function with %s", call->name);
    return check_input(check, call->name, call->args[0], true, err);
}

/* How many intervals before the first one a function wants to see. */
static void note_extra(struct check *check, const struct call_name *known, const struct af_ql_expr *call)
{
    int64_t extra = 0;
    switch (known->group) {
    case CALL_DERIVATIVE: case CALL_DIFFERENCE:
        extra = 1;
        break;
    case CALL_MOVING_AVERAGE: case CALL_EMA: case CALL_KAUFMAN: case CALL_CMO:
        extra = call->args[1]->integer;
        break;
    case CALL_MATH: case CALL_SELECTOR: case CALL_AGGREGATE: case CALL_PERCENTILE: case CALL_SAMPLE: case CALL_DISTINCT: case CALL_TOP:
    case CALL_INTEGRAL: case CALL_HOLT_WINTERS:
        break;
    }
    if (extra > check->query->extra_intervals)
        check->query->extra_intervals = extra;
}

enum af_status lower_check_call(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    static const rule_fn rules[] = {
        [CALL_MATH] = rule_math,             [CALL_SELECTOR] = rule_plain,     [CALL_AGGREGATE] = rule_plain,
        [CALL_PERCENTILE] = rule_percentile, [CALL_SAMPLE] = rule_sample,      [CALL_DISTINCT] = rule_distinct,
        [CALL_TOP] = rule_top,               [CALL_DERIVATIVE] = rule_derivative, [CALL_DIFFERENCE] = rule_difference,
        [CALL_MOVING_AVERAGE] = rule_moving_average, [CALL_EMA] = rule_ema,    [CALL_KAUFMAN] = rule_kaufman,
        [CALL_CMO] = rule_cmo,               [CALL_INTEGRAL] = rule_integral,  [CALL_HOLT_WINTERS] = rule_holt_winters,
    };
    const struct call_name *known = call->kind == AF_QL_DISTINCT ? lower_call_name("distinct") : lower_call_name(call->name);
    if (known == NULL || known->group != CALL_MATH)
        check->call_count++;
    if (known == NULL)
        return af_fail(err, AF_EINVAL, "undefined function %s()", call->name);
    AF_TRY(rules[known->group](check, call, err));
    note_extra(check, known, call);
    return AF_OK;
}
