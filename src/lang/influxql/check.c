/*
 * check.c - what InfluxDB's compiler refuses, in its words and its order: the condition, GROUP BY, the fields one by one, what they may not
 * be together, then subqueries. Calls are in check_call.c.
 *
 * Nothing here asks the catalogue: a statement is right or wrong whatever is stored.
 */
#include "lang/influxql/lower_int.h"
#include <strings.h>

/* --- the condition ------------------------------------------------------------------------------------------------------------- */

static enum af_status check_condition(struct lowering *lo, struct af_ql_expr *expr, struct af_error *err);

static enum af_status check_condition_call(struct lowering *lo, struct af_ql_expr *call, struct af_error *err)
{
    if (!lower_is_math(call)) {
        char text[300];
        lower_print(call, text, sizeof text);
        return af_fail(err, AF_EINVAL, "invalid function call in condition: %s", text);
    }
    size_t wanted = strcmp(call->name, "atan2") == 0 || strcmp(call->name, "pow") == 0 ? 2 : 1;
    if (call->arg_count != wanted)
        return af_fail(err, AF_EINVAL, "invalid number of arguments for %s, expected %zu, got %zu", call->name, wanted, call->arg_count);
    for (size_t i = 0; i < call->arg_count; i++)
        AF_TRY(check_condition(lo, call->args[i], err));
    return AF_OK;
}

/* What is in parentheses is not looked at, as there. */
static enum af_status check_condition(struct lowering *lo, struct af_ql_expr *expr, struct af_error *err)
{
    struct af_ql_expr **items;
    size_t count;
    if (expr == NULL)
        return AF_OK;
    if (expr->kind != AF_QL_BINARY)
        return expr->kind == AF_QL_CALL ? check_condition_call(lo, expr, err) : AF_OK;
    if (expr->op != AF_QL_AND && expr->op != AF_QL_OR) {
        AF_TRY(check_condition(lo, expr->left, err));
        return check_condition(lo, expr->right, err);
    }
    AF_TRY(lower_chain(lo, expr, expr->op, &items, &count, err));
    for (size_t i = 0; i < count; i++)
        AF_TRY(check_condition(lo, items[i], err));
    return AF_OK;
}

static enum af_status split_condition(struct check *check, struct af_error *err)
{
    struct query *query = check->query;
    struct af_ql_range range = { INT64_MIN, INT64_MAX };
    const struct af_zone *zone = query->select->zone_name != NULL ? &query->select->zone : NULL;
    AF_TRY(af_ql_split_time(query->select->condition, check->lo->options->now_ns, zone, check->lo->arena, &range, &query->condition, err));
    query->condition = query->condition != NULL ? lower_copy_expr(check->lo->arena, query->condition) : NULL;
    query->min_ns = range.start_ns <= QL_TIME_MIN ? QL_TIME_MIN : range.start_ns;
    query->max_ns = range.stop_ns > QL_TIME_MAX ? QL_TIME_MAX : range.stop_ns - 1;
    return check_condition(check->lo, query->condition, err);
}

/* --- GROUP BY ------------------------------------------------------------------------------------------------------------------------ */

/* Time since the last multiple of `every` since the year 1, where InfluxDB's clock has its zero. */
static int64_t offset_of_time(int64_t time_ns, int64_t every_ns)
{
    __int128 since = (__int128)time_ns + (__int128)62135596800 * AF_NS_PER_S;
    __int128 rest = since % every_ns;
    return (int64_t)(rest < 0 ? rest + every_ns : rest);
}

static enum af_status check_offset(struct check *check, struct af_ql_expr *offset, int64_t every_ns, struct af_error *err)
{
    struct query *query = check->query;
    if (offset->kind == AF_QL_DURATION) {
        query->offset_ns = every_ns == -1 ? 0 : offset->integer % every_ns;
        return AF_OK;
    }
    if (offset->kind == AF_QL_TIME) {
        query->offset_ns = offset_of_time(offset->integer, every_ns);
        return AF_OK;
    }
    if (offset->kind == AF_QL_CALL) {
        if (strcmp(offset->name, "now") != 0)
            return af_fail(err, AF_EINVAL, "time dimension offset function must be now()");
        if (offset->arg_count != 0)
            return af_fail(err, AF_EINVAL, "time dimension offset now() function requires no arguments");
        query->offset_ns = offset_of_time(check->lo->options->now_ns, every_ns);
        return AF_OK;
    }
    if (offset->kind == AF_QL_STRING) {
        int64_t ignored_ns;
        bool ignored;
        if (af_time_parse(offset->text, &ignored_ns, &ignored))
            return af_fail(err, AF_EINVAL, "invalid time dimension offset: '" AF_SLICE_FMT "'", AF_SLICE_ARG(offset->text));
    }
    return af_fail(err, AF_EINVAL, "time dimension offset must be duration or now()");
}

static enum af_status check_interval(struct check *check, struct af_ql_expr *call, struct af_error *err)
{
    struct query *query = check->query;
    if (strcmp(call->name, "time") != 0)
        return af_fail(err, AF_EINVAL, "only time() calls allowed in dimensions");
    if (call->arg_count < 1 || call->arg_count > 2)
        return af_fail(err, AF_EINVAL, "time dimension expected 1 or 2 arguments");
    if (call->args[0]->kind != AF_QL_DURATION)
        return af_fail(err, AF_EINVAL, "time dimension must have duration argument");
    if (query->every_ns != 0)
        return af_fail(err, AF_EINVAL, "multiple time dimensions not allowed");
    query->every_ns = call->args[0]->integer;
    if (call->arg_count == 1)
        return AF_OK;
    if (query->every_ns <= 0)
        return af_fail(err, AF_EINVAL, "time dimension must be longer than nothing to have an offset");
    return check_offset(check, call->args[1], query->every_ns, err);
}

static enum af_status check_dimensions(struct check *check, struct af_error *err)
{
    struct af_ql_select *select = check->query->select;
    for (size_t i = 0; i < select->dimension_count; i++) {
        AF_TRY(lower_fold(check->lo, &select->dimensions[i], err));
        struct af_ql_expr *expr = select->dimensions[i];
        if (expr->kind == AF_QL_REF && strcasecmp(expr->name, "time") == 0)
            return af_fail(err, AF_EINVAL, "time() is a function and expects at least one argument");
        if (expr->kind == AF_QL_CALL)
            AF_TRY(check_interval(check, expr, err));
        else if (expr->kind != AF_QL_REF && expr->kind != AF_QL_WILDCARD && expr->kind != AF_QL_REGEX)
            return af_fail(err, AF_EINVAL, "only time and tag dimensions allowed");
    }
    return AF_OK;
}

/* --- fields --------------------------------------------------------------------------------------------------------------------------- */

static enum af_status check_binary(struct check *check, struct af_ql_expr *expr, struct af_error *err)
{
    check->allows_wildcard = false;
    bool left = lower_is_literal(expr->left), right = lower_is_literal(expr->right);
    if (left && right)
        return af_fail(err, AF_EINVAL, "cannot perform a binary expression on two literals");
    if (!left)
        AF_TRY(lower_check_expr(check, expr->left, err));
    return right ? AF_OK : lower_check_expr(check, expr->right, err);
}

enum af_status lower_check_expr(struct check *check, struct af_ql_expr *expr, struct af_error *err)
{
    switch (expr->kind) {
    case AF_QL_WILDCARD:
        check->has_names = true;
        return check->allows_wildcard ? AF_OK : af_fail(err, AF_EINVAL, "unable to use wildcard in a binary expression");
    case AF_QL_REGEX:
        if (!check->allows_wildcard)
            return af_fail(err, AF_EINVAL, "unable to use regex in a binary expression");
        check->has_names = true;
        return AF_OK;
    case AF_QL_REF:
        check->has_names = true;
        return AF_OK;
    case AF_QL_CALL: case AF_QL_DISTINCT:
        return lower_check_call(check, expr, err);
    case AF_QL_BINARY:
        return check_binary(check, expr, err);
    case AF_QL_PAREN:
        return lower_check_expr(check, expr->left, err);
    case AF_QL_NUMBER: case AF_QL_INTEGER: case AF_QL_UNSIGNED: case AF_QL_STRING: case AF_QL_BOOLEAN: case AF_QL_DURATION: case AF_QL_TIME:
    case AF_QL_LIST: case AF_QL_NIL:
        break;
    }
    return af_fail(err, AF_EINVAL, "field must contain at least one variable");
}

/* `time` is always a column; naming it among the fields may give it another name. */
static enum af_status check_fields(struct check *check, struct af_error *err)
{
    struct af_ql_select *select = check->query->select;
    size_t kept = 0;
    for (size_t i = 0; i < select->field_count; i++) {
        struct af_ql_field field = select->fields[i];
        if (field.expr->kind == AF_QL_REF && strcmp(field.expr->name, "time") == 0) {
            if (field.alias != NULL)
                check->query->time_name = field.alias;
            continue;
        }
        AF_TRY(lower_fold(check->lo, &field.expr, err));
        check->field_count++;
        check->allows_wildcard = true;
        AF_TRY(lower_check_expr(check, field.expr, err));
        select->fields[kept++] = field;
    }
    select->field_count = kept;
    return AF_OK;
}

static enum af_status check_together(const struct check *check, struct af_error *err)
{
    const struct query *query = check->query;
    if (check->field_count == 0)
        return af_fail(err, AF_EINVAL, "at least 1 non-time field must be queried");
    if (check->call_count > 1 && check->top != NULL)
        return af_fail(err, AF_EINVAL, "selector function %s() cannot be combined with other functions", check->top);
    if (check->call_count == 0) {
        if (query->select->fill == AF_QL_FILL_NONE)
            return af_fail(err, AF_EINVAL, "fill(none) must be used with a function");
        if (query->select->fill == AF_QL_FILL_LINEAR)
            return af_fail(err, AF_EINVAL, "fill(linear) must be used with a function");
        if (query->every_ns != 0 && !query->inherits_interval)
            return af_fail(err, AF_EINVAL, "GROUP BY requires at least one aggregate function");
    }
    if (check->has_distinct && (check->call_count != 1 || check->has_names))
        return af_fail(err, AF_EINVAL, "aggregate function distinct() cannot be combined with other functions or fields");
    if (check->has_names && !check->only_selectors)
        return af_fail(err, AF_EINVAL, "mixing aggregate and non-aggregate queries is not supported");
    if (check->has_names && check->call_count > 1)
        return af_fail(err, AF_EINVAL, "mixing multiple selector functions with tags or fields is not supported");
    return AF_OK;
}

/* --- statements ---------------------------------------------------------------------------------------------------------------------- */

static bool note_call(void *ctx, struct af_ql_expr *expr)
{
    if (expr->kind == AF_QL_CALL || expr->kind == AF_QL_DISTINCT)
        *(bool *)ctx = true;
    return true;
}

/* distinct x and distinct(x) are one thing from here on. */
static bool distinct_to_call(void *ctx, struct af_ql_expr *expr)
{
    struct lowering *lo = ctx;
    if (expr->kind != AF_QL_DISTINCT)
        return true;
    struct af_ql_expr *ref = af_arena_zero(lo->arena, 1, sizeof *ref);
    struct af_ql_expr **args = af_arena_zero(lo->arena, 1, sizeof *args);
    if (ref == NULL || args == NULL)
        return false;
    *ref = (struct af_ql_expr){ .kind = AF_QL_REF, .name = expr->name };
    args[0] = ref;
    *expr = (struct af_ql_expr){ .kind = AF_QL_CALL, .name = "distinct", .args = args, .arg_count = 1 };
    return true;
}

static enum af_status check_statement(struct lowering *lo, struct af_ql_select *select, const struct query *outer, struct query **out,
                                      struct af_error *err);

static enum af_status check_sources(struct lowering *lo, struct query *query, struct af_error *err)
{
    struct af_ql_select *select = query->select;
    query->origins = af_arena_zero(lo->arena, select->source_count + 1, sizeof *query->origins);
    if (query->origins == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < select->source_count; i++)
        if (select->sources[i].subquery != NULL)
            AF_TRY(check_statement(lo, select->sources[i].subquery, query, &query->origins[i].sub, err));
    return AF_OK;
}

static enum af_status check_as_inner(struct query *query, const struct query *outer, struct af_error *err)
{
    if (query->select->sort_count != 0 && query->descending != outer->descending)
        return af_fail(err, AF_EINVAL, "subqueries must be ordered in the same direction as the query itself");
    query->descending = outer->descending;
    if (query->every_ns != 0 && query->select->fill == AF_QL_FILL_NULL)
        query->select->fill = AF_QL_FILL_NONE; /* whoever reads it passes over nulls */
    if (outer->every_ns != 0 && query->every_ns == 0) {
        query->every_ns = outer->every_ns;
        query->offset_ns = outer->offset_ns;
        query->inherits_interval = true;
    }
    return AF_OK;
}

static enum af_status check_statement(struct lowering *lo, struct af_ql_select *select, const struct query *outer, struct query **out,
                                      struct af_error *err)
{
    struct query *query = af_arena_zero(lo->arena, 1, sizeof *query);
    if (query == NULL)
        return lower_nomem(lo, err);
    *query = (struct query){ .select = select, .time_name = "time" };
    query->descending = select->sort_count != 0 && select->sorts[0].descending;
    struct check check = { .lo = lo, .query = query, .only_selectors = true };
    AF_TRY(split_condition(&check, err));
    AF_TRY(check_dimensions(&check, err));
    if (outer != NULL)
        AF_TRY(check_as_inner(query, outer, err));
    AF_TRY(check_fields(&check, err));
    AF_TRY(check_together(&check, err));
    AF_TRY(check_sources(lo, query, err));
    for (size_t i = 0; i < select->field_count; i++) {
        (void)lower_walk(select->fields[i].expr, note_call, &query->has_calls);
        if (!lower_walk(select->fields[i].expr, distinct_to_call, lo))
            return lower_nomem(lo, err);
    }
    *out = query;
    return AF_OK;
}

enum af_status lower_check(struct lowering *lo, const struct af_ql_select *select, struct query **out, struct af_error *err)
{
    struct af_ql_select *copy = lower_copy_select(lo->arena, select);
    return copy != NULL ? check_statement(lo, copy, NULL, out, err) : lower_nomem(lo, err);
}
