/*
 * lower.c - a SELECT put together from its parts.
 *
 *     rows (lower_source.c) ---------- LIMIT --.
 *     call 1 (lower_call.c) -- LIMIT --.        >-- MAP
 *     call 2                -- LIMIT ---- JOIN -'
 *
 * Each call that differs from the others is a branch of its own, as InfluxDB has an iterator for each; rules put equal branches together
 * again. Several measurements are planned one by one and united at the end, since their groups never meet.
 */
#include "lang/influxql/lower_int.h"

/* What the outputs are made of: names, and calls with all that is in them. Each once, in the order in which they appear. */
struct symbols {
    struct af_ql_expr **calls, **refs;
    size_t call_count, ref_count;
    size_t asked_count;                  /* calls, with those that no name is known of */
    struct lookup by_call, by_ref;
};

static bool count_symbols(void *ctx, struct af_ql_expr *expr)
{
    *(size_t *)ctx += expr->kind == AF_QL_REF || expr->kind == AF_QL_CALL;
    return true;
}

static bool add_symbol(struct lowering *lo, struct af_ql_expr **list, size_t *count, struct lookup *lookup, struct af_ql_expr *expr)
{
    uint64_t hash = lookup_expr(expr);
    for (size_t i = lookup_first(lookup, hash); i != SIZE_MAX; i = lookup_next(lookup, i, hash))
        if (lower_expr_eq(list[i], expr))
            return true;
    list[(*count)++] = expr;
    return lookup_add(lookup, lo->arena, hash);
}

/* False: no memory. */
static bool find_symbols(struct lowering *lo, struct symbols *symbols, struct af_ql_expr *expr)
{
    if (expr == NULL)
        return true;
    if (expr->kind == AF_QL_CALL && !lower_is_math(expr))
        return add_symbol(lo, symbols->calls, &symbols->call_count, &symbols->by_call, expr);
    if (expr->kind == AF_QL_REF)
        return add_symbol(lo, symbols->refs, &symbols->ref_count, &symbols->by_ref, expr);
    for (size_t i = 0; i < expr->arg_count; i++)
        if (!find_symbols(lo, symbols, expr->args[i]))
            return false;
    return find_symbols(lo, symbols, expr->left) && find_symbols(lo, symbols, expr->right);
}

static enum af_status symbols_of(struct lowering *lo, const struct output *outputs, size_t count, struct symbols *out, struct af_error *err)
{
    size_t cap = 1;
    for (size_t i = 0; i < count; i++)
        (void)lower_walk(outputs[i].expr, count_symbols, &cap);
    *out = (struct symbols){ .calls = af_arena_zero(lo->arena, cap, sizeof *out->calls),
                             .refs = af_arena_zero(lo->arena, cap, sizeof *out->refs) };
    if (out->calls == NULL || out->refs == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < count; i++)
        if (!find_symbols(lo, out, outputs[i].expr))
            return lower_nomem(lo, err);
    return AF_OK;
}

/* Calls of names that are nowhere have no type, and are null without being asked. */
static enum af_status drop_unknown_calls(struct symbols *symbols, struct af_error *err)
{
    size_t kept = 0;
    symbols->asked_count = symbols->call_count;
    for (size_t i = 0; i < symbols->call_count; i++) {
        enum af_ql_cast type;
        AF_TRY(lower_expr_type(symbols->calls[i], &type, err));
        if (type != AF_QL_CAST_NONE)
            symbols->calls[kept++] = symbols->calls[i];
    }
    symbols->call_count = kept;
    return AF_OK;
}

/* Does any of the names stand for anything? */
static bool knows_a_name(const struct symbols *symbols)
{
    for (size_t i = 0; i < symbols->ref_count; i++)
        if (symbols->refs[i]->cast != AF_QL_CAST_NONE)
            return true;
    return false;
}

/* --- branches ------------------------------------------------------------------------------------------------------------------------ */

static enum af_status add_limit(struct lowering *lo, const struct af_ql_select *select, const struct af_node **node, struct af_error *err)
{
    if ((select->limit <= 0 && select->offset <= 0) || (*node)->kind == AF_NODE_EMPTY)
        return AF_OK;
    return af_plan_limit(lo->plan, *node, (uint64_t)select->offset, (uint64_t)select->limit, false, node, err);
}

static enum af_status join_branches(struct lowering *lo, const struct scope *scope, const struct af_node **nodes, size_t count,
                                    bool nulls_too,
                                    const struct af_node **out, struct af_error *err)
{
    size_t columns = 0, at = 0;
    bool has_rows = false;
    for (size_t i = 0; i < count; i++) {
        columns += nodes[i]->schema.field_count - 1;
        has_rows = has_rows || nodes[i]->kind != AF_NODE_EMPTY;
    }
    struct af_value *values = af_arena_zero(lo->arena, columns + 1, sizeof *values);
    if (values == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 1; j < nodes[i]->schema.field_count; j++)
            values[at++] = lower_fill_value(scope->query->select, nodes[i]->schema.fields[j].type);
    struct af_plan_join join = {
        .absent = scope->fill == AF_QL_FILL_NUMBER ? AF_ABSENT_VALUE : scope->fill == AF_QL_FILL_PREVIOUS ? AF_ABSENT_KEEP : AF_ABSENT_NULL,
        .values = values, .nulls_too = nulls_too, .descending = scope->query->descending,
    };
    AF_TRY(af_plan_join(lo->plan, nodes, count, &join, out, err));
    return has_rows ? AF_OK : af_plan_empty(lo->plan, &(*out)->schema, out, err);
}

/* Columns: the calls', then the names'. */
static enum af_status build_branches(struct lowering *lo, const struct scope *scope, const struct symbols *symbols,
                                     const struct af_node **out, struct af_error *err)
{
    const struct af_ql_select *select = scope->query->select;
    struct names names = { symbols->refs, symbols->ref_count };
    bool keeps = scope->fill == AF_QL_FILL_PREVIOUS && names.count != 0; /* nulls of names that are there are filled as well */
    if (symbols->call_count == 0) {
        AF_TRY(lower_rows(lo, scope, &names, false, out, err));
        AF_TRY(add_limit(lo, select, out, err));
        return keeps ? join_branches(lo, scope, out, 1, true, out, err) : AF_OK;
    }
    const struct af_node **nodes = af_arena_zero(lo->arena, symbols->call_count, sizeof *nodes);
    if (nodes == NULL)
        return lower_nomem(lo, err);
    bool selector = symbols->asked_count == 1 && lower_is_selector_call(lower_call_name(symbols->calls[0]->name));
    for (size_t i = 0; i < symbols->call_count; i++) {
        AF_TRY(lower_branch(lo, scope, symbols->calls[i], selector, &names, &nodes[i], err));
        AF_TRY(add_limit(lo, select, &nodes[i], err));
    }
    *out = nodes[0];
    return symbols->call_count > 1 || keeps ? join_branches(lo, scope, nodes, symbols->call_count, keeps, out, err) : AF_OK;
}

/* --- outputs -------------------------------------------------------------------------------------------------------------------------- */

/* fill(number) fills nulls that are there as well, of names. */
static enum af_status fill_nulls(struct lowering *lo, const struct scope *scope, const struct af_expr **value, struct af_error *err)
{
    const struct af_ql_expr *asked = scope->query->select->fill_value;
    enum af_type type = (*value)->type;
    if (type == AF_TYPE_NULL && asked != NULL) /* a name that is nowhere */
        type = asked->kind == AF_QL_NUMBER ? AF_TYPE_F64 : AF_TYPE_I64;
    struct af_value number = lower_fill_value(scope->query->select, type);
    if (scope->fill != AF_QL_FILL_NUMBER || number.type == AF_TYPE_NULL)
        return AF_OK;
    const struct af_expr *instead = af_expr_literal(lo->arena, number);
    return instead != NULL ? lower_fn(lo, AF_FN_COALESCE, *value, instead, value, err) : lower_nomem(lo, err);
}

static enum af_status bind_symbols(struct lowering *lo, const struct scope *scope, const struct symbols *symbols,
                                   const struct af_node *node, struct bindings *out, struct af_error *err)
{
    size_t count = symbols->call_count + symbols->ref_count;
    *out = (struct bindings){ .items = af_arena_zero(lo->arena, count + 1, sizeof *out->items), .rules = RULES_FIELDS };
    if (out->items == NULL)
        return lower_nomem(lo, err);
    for (; out->count < count && out->count + 1 < node->schema.field_count; out->count++) {
        struct binding *binding = &out->items[out->count];
        bool is_call = out->count < symbols->call_count;
        binding->expr = is_call ? symbols->calls[out->count] : symbols->refs[out->count - symbols->call_count];
        if ((binding->value = af_expr_column(lo->arena, &node->schema, 1 + out->count)) == NULL)
            return lower_nomem(lo, err);
        if (!is_call)
            AF_TRY(fill_nulls(lo, scope, &binding->value, err));
        if (!lookup_add(&out->lookup, lo->arena, lookup_expr(binding->expr)))
            return lower_nomem(lo, err);
    }
    return AF_OK;
}

static enum af_status map_outputs(struct lowering *lo, const struct bindings *bindings, const struct output *outputs, size_t count,
                                  const struct af_node *in, const struct af_node **out, struct af_error *err)
{
    const struct af_expr **exprs = af_arena_zero(lo->arena, count + 1, sizeof *exprs);
    const char **names = af_arena_zero(lo->arena, count + 1, sizeof *names);
    enum af_type *types = af_arena_zero(lo->arena, count + 1, sizeof *types);
    if (exprs == NULL || names == NULL || types == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < count; i++) {
        names[i] = outputs[i].name;
        AF_TRY(lower_expr(lo, bindings, outputs[i].expr, &exprs[i], err));
        types[i] = exprs[i]->type;
    }
    if (in->kind == AF_NODE_EMPTY)
        return lower_nothing(lo, names, types, count, out, err);
    return lower_map(lo, in, exprs, names, count, out, err);
}

/* One plan for all origins of the scope. */
static enum af_status build_together(struct lowering *lo, const struct scope *scope, const struct af_node **out, struct af_error *err)
{
    struct output *outputs;
    size_t count;
    struct symbols symbols;
    struct bindings bindings;
    const struct af_node *node;
    AF_TRY(lower_outputs(lo, scope->query, &outputs, &count, err));
    AF_TRY(symbols_of(lo, outputs, count, &symbols, err));
    AF_TRY(drop_unknown_calls(&symbols, err));
    if (symbols.call_count == 0 && (symbols.asked_count != 0 || !knows_a_name(&symbols)))
        AF_TRY(lower_nothing(lo, NULL, NULL, 0, &node, err));
    else
        AF_TRY(build_branches(lo, scope, &symbols, &node, err));
    AF_TRY(bind_symbols(lo, scope, &symbols, node, &bindings, err));
    return map_outputs(lo, &bindings, outputs, count, node, out, err);
}

/* --- several measurements ------------------------------------------------------------------------------------------------------------- */

/* Only measurements, more than one, no two of one name. */
static enum af_status is_separable(struct lowering *lo, const struct scope *scope, bool *out, size_t *out_count, struct af_error *err)
{
    size_t cap = 0, count = 0;
    *out = false;
    for (size_t i = 0; i < scope->origin_count; i++)
        cap += scope->origins[i].place_count;
    *out_count = cap;
    if (cap < 2 || scope_is_nested(scope))
        return AF_OK;
    struct lookup names = { 0 };
    const char **list = af_arena_zero(lo->arena, cap, sizeof *list);
    if (list == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < scope->origin_count; i++)
        for (size_t j = 0; j < scope->origins[i].place_count; j++) {
            list[count] = scope->origins[i].places[j]->measurement;
            uint64_t hash = lookup_text(list[count]);
            for (size_t at = lookup_first(&names, hash); at != SIZE_MAX; at = lookup_next(&names, at, hash))
                if (strcmp(list[at], list[count]) == 0)
                    return AF_OK;
            if (!lookup_add(&names, lo->arena, hash))
                return lower_nomem(lo, err);
            count++;
        }
    *out = true;
    return AF_OK;
}

enum af_status lower_query(struct lowering *lo, const struct scope *scope, const struct af_node **out, struct af_error *err)
{
    size_t place_count, count = 0;
    bool separable;
    AF_TRY(is_separable(lo, scope, &separable, &place_count, err));
    if (!separable)
        return build_together(lo, scope, out, err);
    const struct af_node **nodes = af_arena_zero(lo->arena, place_count, sizeof *nodes), *last = NULL;
    if (nodes == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < scope->origin_count; i++)
        for (size_t j = 0; j < scope->origins[i].place_count; j++) {
            struct origin origin = { .places = scope->origins[i].places + j, .place_count = 1 };
            struct scope one = *scope;
            one.origins = &origin;
            one.origin_count = 1;
            AF_TRY(build_together(lo, &one, &nodes[count], err));
            last = nodes[count];
            count += last->kind != AF_NODE_EMPTY;
        }
    *out = count != 0 ? nodes[0] : last;
    return count > 1 ? af_plan_union(lo->plan, nodes, count, scope->query->descending, out, err) : AF_OK;
}

/* --- the outermost -------------------------------------------------------------------------------------------------------------------- */

static enum af_status check_buckets(const struct lowering *lo, const struct scope *scope, struct af_error *err)
{
    uint64_t max = lo->options->windows_max;
    int64_t first, last, ignored, every_ns = scope->window.every_ns;
    if (max == 0 || every_ns == 0 || !scope->query->has_calls || scope->min_ns <= QL_TIME_MIN)
        return AF_OK;
    af_window_of(&scope->window, scope->min_ns, &first, &ignored);
    af_window_of(&scope->window, scope->max_ns - 1, &last, &ignored);
    __int128 buckets = ((__int128)last - first + every_ns) / every_ns;
    if (buckets <= (__int128)max)
        return AF_OK;
    return af_fail(err, AF_EINVAL, "max-select-buckets limit exceeded: (%lld/%llu)", (long long)buckets, (unsigned long long)max);
}

/* What may be read: the range of the outermost query, and what its own functions look back over. Without a beginning there are as many
 * windows as are allowed, counted from the end. */
static void limit_reading(struct lowering *lo, const struct scope *scope)
{
    const struct query *query = scope->query;
    int64_t last, ignored, every_ns = scope->window.every_ns, extra_ns;
    lo->read_min_ns = scope->min_ns;
    lo->read_max_ns = scope->max_ns;
    if (every_ns == 0)
        return;
    if (lo->options->windows_max != 0 && query->has_calls && scope->min_ns <= QL_TIME_MIN) {
        __int128 span = (__int128)(lo->options->windows_max - 1) * every_ns;
        af_window_of(&scope->window, scope->max_ns - 1, &last, &ignored);
        lo->read_min_ns = span > INT64_MAX ? QL_TIME_MIN : lower_time_add(last, -(int64_t)span);
    }
    if (__builtin_mul_overflow(query->extra_intervals, every_ns, &extra_ns))
        extra_ns = INT64_MAX;
    if (query->descending)
        lo->read_max_ns = lower_time_add(lo->read_max_ns, extra_ns);
    else
        lo->read_min_ns = lower_time_add(lo->read_min_ns, -extra_ns);
}

static enum af_status scope_of_outermost(struct lowering *lo, struct query *query, struct scope *out, struct af_error *err)
{
    const struct af_ql_select *select = query->select;
    *out = (struct scope){
        .query = query, .min_ns = query->min_ns, .max_ns = query->max_ns, .fill = select->fill, .origins = query->origins,
        .origin_count = select->source_count, .window = { .zone = select->zone },
    };
    if (query->every_ns != 0 && query->max_ns >= QL_TIME_MAX)
        out->max_ns = lo->options->now_ns;
    if (query->every_ns > 0)
        out->window = (struct af_window){ .every_ns = query->every_ns, .offset_ns = query->offset_ns, .zone = select->zone };
    if (select->target != NULL && out->fill == AF_QL_FILL_NULL)
        out->fill = AF_QL_FILL_NONE; /* nulls are not written */
    lower_series_limits(out, NULL);
    AF_TRY(lower_groups(lo, query, NULL, 0, &out->group, &out->group_count, err));
    out->limit_tags = out->group;
    out->limit_tag_count = out->group_count;
    return AF_OK;
}

static enum af_status describe(struct lowering *lo, const struct scope *scope, struct af_ql_lowered *out, struct af_error *err)
{
    struct output *outputs;
    size_t count;
    AF_TRY(lower_outputs(lo, scope->query, &outputs, &count, err));
    const char **columns = af_arena_zero(lo->arena, count + 1, sizeof *columns);
    if (columns == NULL)
        return lower_nomem(lo, err);
    columns[0] = scope->query->time_name;
    for (size_t i = 0; i < count; i++)
        columns[1 + i] = outputs[i].name;
    *out = (struct af_ql_lowered){
        .has_interval = !af_window_is_none(&scope->window), .zone = scope->query->select->zone,
        .range = { scope_start(scope), scope_stop(scope) }, .columns = columns, .column_count = count + 1,
    };
    return AF_OK;
}

enum af_status af_ql_lower(const struct af_ql_select *select, const struct af_ql_lower_options *options, struct af_plan *plan,
                           struct af_ql_lowered *out, struct af_error *err)
{
    struct lowering lo = { .options = options, .plan = plan, .arena = plan->arena };
    struct query *query;
    struct scope scope;
    const struct af_node *root;
    AF_TRY(lower_check(&lo, select, &query, err));
    AF_TRY(lower_rewrite(&lo, query, err));
    for (size_t i = 0; i < query->select->field_count; i++) {
        enum af_ql_cast ignored;
        AF_TRY(lower_expr_type(query->select->fields[i].expr, &ignored, err));
    }
    AF_TRY(scope_of_outermost(&lo, query, &scope, err));
    AF_TRY(check_buckets(&lo, &scope, err));
    limit_reading(&lo, &scope);
    AF_TRY(lower_query(&lo, &scope, &root, err));
    AF_TRY(describe(&lo, &scope, out, err));
    plan->root = root;
    return AF_OK;
}
