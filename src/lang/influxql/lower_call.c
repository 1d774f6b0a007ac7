/*
 * lower_call.c - one call of an answer as a branch of the plan: rows of what it is called with, the function, windows filled.
 *
 *     mean(x)                      rows(x) -- AGGREGATE -- FILL
 *     max(x), host (alone)         rows(x, host) -- SELECT -- FILL
 *     derivative(mean(x))          rows(x) -- AGGREGATE -- FILL -- TRANSFORM      over one interval more
 *     top(x, host, 3)              rows(x, host ...) -- SELECT
 *
 * Which time a row has: an aggregate that of its window, or of the beginning of the range, or 0; a selector alone and without windows that
 * of its point; top, bottom and sample always.
 */
#include "lang/influxql/lower_int.h"

/* What all steps of a call look at. */
struct calling {
    struct lowering *lo;
    const struct scope *scope;
    const struct af_ql_expr *call;
    const struct call_name *known;
    bool selector;                       /* the only call of the query, and it chooses points */
    const struct names *aux;
};

/* --- what goes in --------------------------------------------------------------------------------------------------------------------- */

static const char *function_in_words(const struct call_name *known)
{
    switch ((int)known->fn) {
    case AF_FN_NON_NEGATIVE_DERIVATIVE: return "derivative";
    case AF_FN_NON_NEGATIVE_DIFFERENCE: return "difference";
    case AF_FN_HOLT_WINTERS: case AF_FN_HOLT_WINTERS_FIT: return "elapsed"; /* so it says */
    case AF_FN_MOVING_AVERAGE: return "moving average";
    case AF_FN_CUMULATIVE_SUM: return "cumulative sum";
    case AF_FN_EMA: return "exponential moving average";
    case AF_FN_DOUBLE_EMA: return "double exponential moving average";
    case AF_FN_TRIPLE_EMA: return "triple exponential moving average";
    case AF_FN_RSI: return "relative strength index";
    case AF_FN_TRIX: return "triple exponential derivative";
    case AF_FN_KER: return "kaufmans efficiency ratio";
    case AF_FN_KAMA: return "kaufmans adaptive moving average";
    case AF_FN_CMO: return "chande momentum oscillator";
    default: return known->name;
    }
}

static enum af_status check_type(const struct calling *calling, const struct af_node *in, struct af_error *err)
{
    enum af_type type = in->schema.fields[1].type;
    const char *word = type == AF_TYPE_STRING ? "string" : type == AF_TYPE_BOOL ? "boolean" : NULL;
    unsigned bit = type == AF_TYPE_STRING ? TAKES_STRING : TAKES_BOOLEAN;
    bool is_nothing = in->kind == AF_NODE_EMPTY && !scope_is_nested(calling->scope); /* a subquery has its types even without rows */
    if (word == NULL || is_nothing || (calling->known->takes & bit) != 0)
        return AF_OK;
    return af_fail(err, AF_EINVAL, "unsupported %s iterator type: *query.%sInterruptIterator", function_in_words(calling->known), word);
}

/* time, the argument, then the other names. */
static enum af_status build_input(const struct calling *calling, const struct scope *scope, const struct names *others,
                                  const struct af_node **out, struct af_error *err)
{
    struct lowering *lo = calling->lo;
    struct af_ql_expr *arg = calling->call->args[0];
    if (arg->kind == AF_QL_CALL) {
        AF_TRY(lower_branch(lo, scope, arg, false, &(struct names){ NULL, 0 }, out, err));
        return check_type(calling, *out, err);
    }
    struct af_ql_expr **refs = af_arena_zero(lo->arena, others->count + 1, sizeof *refs);
    if (refs == NULL)
        return lower_nomem(lo, err);
    refs[0] = arg;
    for (size_t i = 0; i < others->count; i++)
        refs[1 + i] = others->refs[i];
    AF_TRY(lower_rows(lo, scope, &(struct names){ refs, others->count + 1 }, true, out, err));
    return check_type(calling, *out, err);
}

/* The result of a call of which nothing goes in. */
static enum af_status build_no_result(const struct calling *calling, const struct af_node **out, struct af_error *err)
{
    struct lowering *lo = calling->lo;
    size_t count = 1 + calling->aux->count;
    const char **names = af_arena_zero(lo->arena, count, sizeof *names);
    enum af_type *types = af_arena_zero(lo->arena, count, sizeof *types);
    enum af_ql_cast type;
    if (names == NULL || types == NULL)
        return lower_nomem(lo, err);
    AF_TRY(lower_expr_type(calling->call, &type, err));
    names[0] = calling->call->name;
    types[0] = lower_plan_type(type);
    for (size_t i = 0; i < calling->aux->count; i++) {
        names[1 + i] = calling->aux->refs[i]->name;
        types[1 + i] = lower_plan_type(calling->aux->refs[i]->cast);
    }
    return lower_nothing(lo, names, types, count, out, err);
}

/* --- functions and their parameters --------------------------------------------------------------------------------------------------- */

static struct af_value value_of(const struct af_ql_expr *expr)
{
    switch ((int)expr->kind) {
    case AF_QL_NUMBER: return af_value_f64(expr->number);
    case AF_QL_INTEGER: case AF_QL_DURATION: return af_value_i64(expr->integer);
    case AF_QL_UNSIGNED: return af_value_u64(expr->unsigned_integer);
    case AF_QL_STRING: return af_value_text(expr->text);
    default: return af_value_none();
    }
}

static bool is_windowed(const struct scope *scope)
{
    return !af_window_is_none(&scope->window);
}

static void add_param(struct af_fn_call *call, struct af_value value)
{
    call->params[call->param_count++] = value;
}

/* The unit of a rate: as said, else the interval, else `otherwise`. */
static int64_t unit_of(const struct af_ql_expr *call, int64_t every_ns, int64_t otherwise_ns)
{
    if (call->arg_count == 2)
        return call->args[1]->integer;
    return every_ns > 0 ? every_ns : otherwise_ns;
}

static struct af_fn_call make_call(const struct calling *calling, enum af_type type)
{
    const struct af_ql_expr *expr = calling->call;
    int64_t every_ns = calling->scope->window.every_ns;
    struct af_fn_call call = { .id = calling->known->fn, .type = type };
    switch (calling->known->group) {
    case CALL_DERIVATIVE:
        add_param(&call, af_value_i64(call.id == AF_FN_ELAPSED ? unit_of(expr, 0, 1) : unit_of(expr, every_ns, AF_NS_PER_S)));
        break;
    case CALL_INTEGRAL:
        add_param(&call, af_value_i64(unit_of(expr, 0, AF_NS_PER_S)));
        if (type != AF_TYPE_F64 && !calling->scope->query->descending && scope_start(calling->scope) != INT64_MIN &&
            !is_windowed(calling->scope))
            add_param(&call, af_value_i64(scope_start(calling->scope))); /* of floats it is 0 whatever the range */
        break;
    case CALL_TOP:
        add_param(&call, value_of(expr->args[expr->arg_count - 1]));
        break;
    case CALL_HOLT_WINTERS:
        add_param(&call, value_of(expr->args[1]));
        add_param(&call, value_of(expr->args[2]));
        add_param(&call, af_value_i64(every_ns));
        break;
    case CALL_PERCENTILE: case CALL_SAMPLE: case CALL_MOVING_AVERAGE: case CALL_EMA: case CALL_KAUFMAN: case CALL_CMO:
        for (size_t i = 1; i < expr->arg_count && i < 5; i++)
            add_param(&call, value_of(expr->args[i]));
        break;
    case CALL_MATH: case CALL_SELECTOR: case CALL_AGGREGATE: case CALL_DISTINCT: case CALL_DIFFERENCE:
        break;
    }
    return call;
}

/* --- steps ---------------------------------------------------------------------------------------------------------------------------- */

/* A deviation has a row even where it has no value: of a single point. The count that stands beside it sees to that. */
static enum af_status build_deviation(const struct calling *calling, const struct af_node *in, struct af_plan_aggregate *aggregate,
                                      const struct af_node **out, struct af_error *err)
{
    struct lowering *lo = calling->lo;
    struct af_plan_call *calls = af_arena_zero(lo->arena, 2, sizeof *calls);
    const struct af_expr **exprs = af_arena_zero(lo->arena, 1, sizeof *exprs);
    const char **names = af_arena_zero(lo->arena, 1, sizeof *names);
    const struct af_node *node;
    if (calls == NULL || exprs == NULL || names == NULL)
        return lower_nomem(lo, err);
    calls[0] = aggregate->calls[0];
    calls[1] = (struct af_plan_call){ { .id = AF_FN_COUNT, .type = in->schema.fields[1].type }, 1, "count" };
    aggregate->calls = calls;
    aggregate->call_count = 2;
    AF_TRY(af_plan_aggregate(lo->plan, in, aggregate, &node, err));
    if ((exprs[0] = af_expr_column(lo->arena, &node->schema, 1)) == NULL)
        return lower_nomem(lo, err);
    names[0] = calling->call->name;
    return lower_map(lo, node, exprs, names, 1, out, err);
}

static enum af_status build_aggregate(const struct calling *calling, const struct af_node *in, const struct af_node **out,
                                      struct af_error *err)
{
    struct lowering *lo = calling->lo;
    const struct scope *scope = calling->scope;
    struct af_plan_call *call = af_arena_zero(lo->arena, 1, sizeof *call);
    if (call == NULL)
        return lower_nomem(lo, err);
    *call = (struct af_plan_call){ make_call(calling, in->schema.fields[1].type), 1, calling->call->name };
    if (calling->known->fn == AF_FN_COUNT && lower_is_call(calling->call->args[0], "distinct"))
        call->call.id = AF_FN_COUNT_DISTINCT;
    struct af_plan_aggregate aggregate = {
        .window = scope->window, .start_ns = scope_start(scope), .stop_ns = scope_stop(scope), .uncut = scope_is_nested(scope),
        .stamp = calling->selector && !is_windowed(scope) ? AF_STAMP_POINT : AF_STAMP_START, .calls = call, .call_count = 1,
        .descending = scope->query->descending,
    };
    if (calling->known->group == CALL_INTEGRAL && in->schema.fields[1].type == AF_TYPE_F64)
        aggregate.start_ns = INT64_MIN; /* of floats the time is 0 whatever the range */
    else if (calling->known->group == CALL_INTEGRAL && aggregate.descending) {
        aggregate.start_ns = aggregate.stop_ns; /* of integers, backwards, that of the end */
        aggregate.uncut = true;
    }
    if (calling->known->fn == AF_FN_STDDEV)
        return build_deviation(calling, in, &aggregate, out, err);
    return af_plan_aggregate(lo->plan, in, &aggregate, out, err);
}

static enum af_status build_select(const struct calling *calling, const struct af_node *in, bool stamp_start, const size_t *by,
                                   size_t by_count, const struct af_node **out, struct af_error *err)
{
    const struct scope *scope = calling->scope;
    struct af_plan_select select = {
        .window = scope->window, .start_ns = scope_start(scope), .stop_ns = scope_stop(scope), .uncut = scope_is_nested(scope),
        .call = make_call(calling, in->schema.fields[1].type), .column = 1, .by = by, .by_count = by_count, .stamp_start = stamp_start,
        .descending = scope->query->descending,
    };
    return af_plan_select(calling->lo->plan, in, &select, out, err);
}

static enum af_status build_transform(const struct calling *calling, const struct af_node *in, const struct af_node **out,
                                      struct af_error *err)
{
    struct af_plan_transform transform = {
        .call = make_call(calling, in->schema.fields[1].type), .column = 1, .name = calling->call->name, .start_ns = INT64_MIN,
        .stop_ns = INT64_MAX, .descending = calling->scope->query->descending,
    };
    if (calling->known->group == CALL_INTEGRAL) {
        struct af_window *window = af_arena_zero(calling->lo->arena, 1, sizeof *window);
        if (window == NULL)
            return lower_nomem(calling->lo, err);
        *window = calling->scope->window;
        transform.call.id = AF_FN_WINDOW_INTEGRAL;
        transform.call.window = window;
    }
    return af_plan_transform(calling->lo->plan, in, &transform, out, err);
}

/* --- windows filled ------------------------------------------------------------------------------------------------------------------- */

struct af_value lower_fill_value(const struct af_ql_select *select, enum af_type type)
{
    const struct af_ql_expr *value = select->fill_value;
    if (value == NULL || (type != AF_TYPE_F64 && type != AF_TYPE_I64 && type != AF_TYPE_U64))
        return af_value_none();
    bool is_float = value->kind == AF_QL_NUMBER;
    double number = is_float ? value->number : (double)value->integer;
    int64_t whole = !is_float ? value->integer : number >= -0x1p63 && number < 0x1p63 ? (int64_t)number : INT64_MIN;
    if (type == AF_TYPE_F64)
        return af_value_f64(number);
    if (type == AF_TYPE_I64)
        return af_value_i64(whole);
    return af_value_u64(is_float && number >= 0x1p63 && number < 0x1p64 ? (uint64_t)number : (uint64_t)whole);
}

/* What a window without a point has of the call itself. Text and truth have no numbers: "" and false. */
static struct af_value filled_value(const struct calling *calling, enum af_type type)
{
    if (calling->scope->fill == AF_QL_FILL_NULL)
        return af_value_i64(0); /* count */
    if (type == AF_TYPE_STRING)
        return af_value_text(AF_SLICE_LIT(""));
    return type == AF_TYPE_BOOL ? af_value_bool(false) : lower_fill_value(calling->scope->query->select, type);
}

static enum af_fill_mode mode_of(const struct calling *calling, enum af_type type)
{
    bool is_number = type == AF_TYPE_F64 || type == AF_TYPE_I64 || type == AF_TYPE_U64;
    switch (calling->scope->fill) {
    case AF_QL_FILL_NULL:
        return calling->known->fn == AF_FN_COUNT ? AF_FILL_VALUE : AF_FILL_NULL;
    case AF_QL_FILL_NUMBER:
        return AF_FILL_VALUE;
    case AF_QL_FILL_PREVIOUS:
        return AF_FILL_PREVIOUS;
    case AF_QL_FILL_LINEAR:
        return is_number ? AF_FILL_LINEAR : AF_FILL_NULL;
    case AF_QL_FILL_NONE:
        break;
    }
    return AF_FILL_NULL;
}

/* The other names of a filled window are null: what stands there instead comes when the answer is put together. */
static enum af_status build_fill(const struct calling *calling, const struct af_node *in, const struct af_node **out, struct af_error *err)
{
    struct lowering *lo = calling->lo;
    const struct scope *scope = calling->scope;
    size_t count = in->schema.field_count - 1;
    enum af_fill_mode *modes = af_arena_zero(lo->arena, count, sizeof *modes);
    struct af_value *values = af_arena_zero(lo->arena, count, sizeof *values);
    if (modes == NULL || values == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < count; i++) {
        modes[i] = i == 0 ? mode_of(calling, in->schema.fields[1].type) : AF_FILL_NULL;
        values[i] = modes[i] == AF_FILL_VALUE ? filled_value(calling, in->schema.fields[1].type) : af_value_none();
    }
    struct af_plan_fill fill = {
        .window = scope->window, .start_ns = scope_start(scope), .stop_ns = scope_stop(scope), .modes = modes, .values = values,
        .descending = scope->query->descending,
    };
    return af_plan_fill(lo->plan, in, &fill, out, err);
}

/* --- calls by what they are ----------------------------------------------------------------------------------------------------------- */

/* count mean ... first max ... percentile: one row a window. */
static enum af_status build_one_row(const struct calling *calling, const struct af_node **out, struct af_error *err)
{
    const struct scope *scope = calling->scope;
    const struct af_ql_expr *arg = calling->call->args[0];
    const struct af_node *node;
    if (calling->known->fn == AF_FN_COUNT && lower_is_call(arg, "distinct")) {
        struct af_ql_expr *ref = arg->args[0];
        AF_TRY(lower_rows(calling->lo, scope, &(struct names){ &ref, 1 }, true, &node, err));
    } else {
        AF_TRY(build_input(calling, scope, calling->aux, &node, err));
    }
    if (node->kind == AF_NODE_EMPTY)
        return build_no_result(calling, out, err);
    if (calling->aux->count != 0)
        AF_TRY(build_select(calling, node, is_windowed(scope), NULL, 0, &node, err));
    else
        AF_TRY(build_aggregate(calling, node, &node, err));
    *out = node;
    return is_windowed(scope) && scope->fill != AF_QL_FILL_NONE ? build_fill(calling, node, out, err) : AF_OK;
}

static enum af_status build_rows_chosen(const struct calling *calling, const struct af_node **out, struct af_error *err)
{
    const struct af_node *node;
    AF_TRY(build_input(calling, calling->scope, calling->aux, &node, err));
    if (node->kind == AF_NODE_EMPTY)
        return build_no_result(calling, out, err);
    return build_select(calling, node, calling->known->group == CALL_DISTINCT, NULL, 0, out, err);
}

/* Differences need the value before the first one: one interval more is read, and answered where a function has an answer there. */
static enum af_status build_transformed(const struct calling *calling, const struct af_node **out, struct af_error *err)
{
    struct scope scope = *calling->scope;
    const struct af_node *node;
    bool looks_back = calling->known->group != CALL_HOLT_WINTERS && calling->known->fn != AF_FN_CUMULATIVE_SUM &&
        calling->known->group != CALL_INTEGRAL;
    if (looks_back && is_windowed(&scope)) {
        if (scope.query->descending)
            scope.max_ns = lower_time_add(scope.max_ns, scope.window.every_ns);
        else
            scope.min_ns = lower_time_add(scope.min_ns, -scope.window.every_ns);
    }
    AF_TRY(build_input(calling, &scope, &(struct names){ NULL, 0 }, &node, err));
    return node->kind == AF_NODE_EMPTY ? build_no_result(calling, out, err) : build_transform(calling, node, out, err);
}

/* --- top and bottom ------------------------------------------------------------------------------------------------------------------- */

static size_t find_name(const struct names *names, const struct af_ql_expr *ref)
{
    for (size_t i = 0; i < names->count; i++)
        if (lower_expr_eq(names->refs[i], ref))
            return i;
    return SIZE_MAX;
}

/* The names wanted beside the value, and those that the call itself names if they are not among them. */
static enum af_status names_with_tags(const struct calling *calling, struct names *out, struct af_error *err)
{
    const struct af_ql_expr *call = calling->call;
    struct af_ql_expr **refs = af_arena_zero(calling->lo->arena, calling->aux->count + call->arg_count, sizeof *refs);
    if (refs == NULL)
        return lower_nomem(calling->lo, err);
    *out = (struct names){ refs, calling->aux->count };
    for (size_t i = 0; i < calling->aux->count; i++)
        refs[i] = calling->aux->refs[i];
    for (size_t i = 1; i + 1 < call->arg_count; i++)
        if (find_name(out, call->args[i]) == SIZE_MAX)
            refs[out->count++] = call->args[i];
    return AF_OK;
}

/* The best of each combination of tags is looked for in columns behind all others, which have "" where there is no such tag: a field does
 * not tell rows apart. */
static enum af_status add_tag_columns(const struct calling *calling, const struct names *names, const struct af_node *in, size_t *by,
                                      const struct af_node **out, struct af_error *err)
{
    struct lowering *lo = calling->lo;
    const struct af_ql_expr *call = calling->call;
    size_t count = in->schema.field_count - 1, tag_count = call->arg_count - 2;
    const struct af_expr **exprs = af_arena_zero(lo->arena, count + tag_count, sizeof *exprs), *empty;
    const char **labels = af_arena_zero(lo->arena, count + tag_count, sizeof *labels);
    if (exprs == NULL || labels == NULL || (empty = af_expr_literal(lo->arena, af_value_text(AF_SLICE_LIT("")))) == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < count; i++) {
        labels[i] = in->schema.fields[1 + i].name;
        if ((exprs[i] = af_expr_column(lo->arena, &in->schema, 1 + i)) == NULL)
            return lower_nomem(lo, err);
    }
    for (size_t i = 0; i < tag_count; i++) {
        const struct af_ql_expr *ref = call->args[1 + i];
        const struct af_expr *column = exprs[1 + find_name(names, ref)];
        by[i] = 1 + count + i;
        labels[count + i] = ref->name;
        exprs[count + i] = empty;
        if (ref->cast == AF_QL_CAST_TAG && column->type == AF_TYPE_STRING)
            AF_TRY(lower_fn(lo, AF_FN_COALESCE, column, empty, &exprs[count + i], err));
    }
    return lower_map(lo, in, exprs, labels, count + tag_count, out, err);
}

/* With INTO the tags stay tags: they are not columns but parts of the key. */
static enum af_status keep_as_tags(const struct calling *calling, const struct af_node *in, const struct af_node **out,
                                   struct af_error *err)
{
    struct lowering *lo = calling->lo;
    const struct scope *scope = calling->scope;
    const struct af_slice *tags;
    size_t count, own = 0;
    struct af_slice *group = af_arena_zero(lo->arena, calling->call->arg_count + scope->group_count + 1, sizeof *group);
    if (group == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 1; i + 1 < calling->call->arg_count; i++)
        if (calling->call->args[i]->cast == AF_QL_CAST_TAG)
            group[own++] = af_slice_of(calling->call->args[i]->name);
    for (size_t i = 0; i < scope->group_count; i++)
        group[own++] = scope->group[i];
    struct query none = { .select = &(struct af_ql_select){ 0 } };
    AF_TRY(lower_groups(lo, &none, group, own, &tags, &count, err));
    group = af_arena_zero(lo->arena, count + 1, sizeof *group);
    if (group == NULL)
        return lower_nomem(lo, err);
    group[0] = AF_SLICE_LIT(AF_KEY_MEASUREMENT);
    for (size_t i = 0; i < count; i++)
        group[1 + i] = tags[i];
    return af_plan_regroup(lo->plan, in, group, count + 1, scope->query->descending, out, err);
}

static enum af_status build_top(const struct calling *calling, const struct af_node **out, struct af_error *err)
{
    struct lowering *lo = calling->lo;
    const struct af_ql_expr *call = calling->call;
    struct names names;
    const struct af_node *node;
    size_t *by = af_arena_zero(lo->arena, call->arg_count, sizeof *by);
    if (by == NULL)
        return lower_nomem(lo, err);
    AF_TRY(names_with_tags(calling, &names, err));
    AF_TRY(build_input(calling, calling->scope, &names, &node, err));
    if (node->kind == AF_NODE_EMPTY)
        return build_no_result(calling, out, err);
    if (call->arg_count > 2)
        AF_TRY(add_tag_columns(calling, &names, node, by, &node, err));
    AF_TRY(build_select(calling, node, false, by, call->arg_count - 2, &node, err));
    *out = node;
    return call->arg_count > 2 && calling->scope->query->select->target != NULL ? keep_as_tags(calling, node, out, err) : AF_OK;
}

enum af_status lower_branch(struct lowering *lo, const struct scope *scope, const struct af_ql_expr *call, bool selector,
                            const struct names *aux,
                          const struct af_node **out, struct af_error *err)
{
    struct calling calling = { lo, scope, call, lower_call_name(call->name), selector, aux };
    if (calling.known == NULL)
        return af_fail(err, AF_EINVAL, "unsupported call: %s", call->name);
    switch (calling.known->group) {
    case CALL_SELECTOR: case CALL_AGGREGATE: case CALL_PERCENTILE:
        return build_one_row(&calling, out, err);
    case CALL_SAMPLE: case CALL_DISTINCT:
        return build_rows_chosen(&calling, out, err);
    case CALL_TOP:
        return build_top(&calling, out, err);
    case CALL_INTEGRAL: {
        const struct af_node *node;
        if (is_windowed(scope))
            return build_transformed(&calling, out, err);
        AF_TRY(build_input(&calling, scope, aux, &node, err));
        return node->kind == AF_NODE_EMPTY ? build_no_result(&calling, out, err) : build_aggregate(&calling, node, out, err);
    }
    case CALL_DERIVATIVE: case CALL_DIFFERENCE: case CALL_MOVING_AVERAGE: case CALL_EMA: case CALL_KAUFMAN: case CALL_CMO:
    case CALL_HOLT_WINTERS:
        return build_transformed(&calling, out, err);
    case CALL_MATH:
        break;
    }
    return af_fail(err, AF_EINVAL, "unsupported call: %s", call->name);
}
