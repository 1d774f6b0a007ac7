/*
 * lower_sub.c - rows of a subquery, as those of a measurement: a column for each wanted name.
 *
 *     its plan -- MAP with parts of its key as columns -- FILTER -- MAP -- REGROUP to the groups of the query around it
 *
 * A subquery reads no more than the range of the query around it, is grouped by its tags too, and takes its interval if it has none of its
 * own. Its columns are cast to the types that they are said to have: a mean of i / 2 is one of integers.
 */
#include "lang/influxql/lower_int.h"
#include <stdlib.h>

static int by_slice(const void *a, const void *b)
{
    return af_slice_cmp(*(const struct af_slice *)a, *(const struct af_slice *)b);
}

enum af_status lower_groups(struct lowering *lo, const struct query *query, const struct af_slice *outer, size_t outer_count,
                            const struct af_slice **out, size_t *out_count, struct af_error *err)
{
    const struct af_ql_select *select = query->select;
    size_t count = 0, kept = 0;
    struct af_slice *group = af_arena_zero(lo->arena, select->dimension_count + outer_count + 1, sizeof *group);
    if (group == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < select->dimension_count; i++)
        if (select->dimensions[i]->kind == AF_QL_REF)
            group[count++] = af_slice_of(select->dimensions[i]->name);
    for (size_t i = 0; i < outer_count; i++)
        group[count++] = outer[i];
    qsort(group, count, sizeof *group, by_slice);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !af_slice_eq(group[kept - 1], group[i]))
            group[kept++] = group[i];
    *out = group;
    *out_count = kept;
    return AF_OK;
}

static enum af_status scope_of_sub(struct lowering *lo, const struct scope *outer, const struct query *sub, struct scope *out,
                                   struct af_error *err)
{
    const struct af_ql_select *select = sub->select;
    *out = (struct scope){ .query = sub, .origins = sub->origins, .origin_count = select->source_count, .fill = select->fill };
    out->min_ns = sub->min_ns > outer->min_ns ? sub->min_ns : outer->min_ns;
    out->max_ns = sub->max_ns < outer->max_ns ? sub->max_ns : outer->max_ns;
    if (sub->every_ns > 0 && !sub->inherits_interval) {
        out->window = (struct af_window){ .every_ns = sub->every_ns, .offset_ns = sub->offset_ns };
        if (out->max_ns >= QL_TIME_MAX)
            out->max_ns = lo->options->now_ns;
    } else if (sub->every_ns == 0 || sub->inherits_interval) {
        out->window = outer->window;
    }
    out->window.zone = select->zone;
    lower_series_limits(out, outer);
    if (sub->has_calls && out->fill == AF_QL_FILL_NULL)
        out->fill = AF_QL_FILL_NONE;
    return lower_groups(lo, sub, outer->group, outer->group_count, &out->group, &out->group_count, err);
}

/* What a name of the outer query is in the subquery: a column, a part of the key, or nothing. */
struct sub_name {
    size_t column;                       /* of the subquery's node, SIZE_MAX: none */
    bool is_key;
};
static bool has_group(const struct scope *scope, const char *name)
{
    for (size_t i = 0; i < scope->group_count; i++)
        if (af_slice_is(scope->group[i], name))
            return true;
    return false;
}

static enum af_status find_wanted(struct lowering *lo, const struct scope *inner, const char *name, struct sub_name *out,
                                  struct af_error *err)
{
    struct af_ql_expr *ignored;
    AF_TRY(lower_sub_column(lo, inner->query, name, &out->column, &ignored, err));
    out->is_key = out->column == SIZE_MAX && lower_sub_groups_by(inner->query, name);
    out->column += out->column != SIZE_MAX;
    return AF_OK;
}

/* Conditions go by the names that columns have in the end. */
static struct sub_name find_tested(const struct scope *inner, const struct af_node *node, const char *name)
{
    for (size_t i = 1; i < node->schema.field_count; i++)
        if (strcmp(node->schema.fields[i].name, name) == 0)
            return (struct sub_name){ i, false };
    return (struct sub_name){ SIZE_MAX, has_group(inner, name) };
}

/* The subquery's columns, and behind them all parts of its key. */
static enum af_status add_keys(struct lowering *lo, const struct scope *inner, const struct af_node *in, const struct af_node **out,
                               struct af_error *err)
{
    size_t count = in->schema.field_count - 1;
    const struct af_expr **exprs = af_arena_zero(lo->arena, count + 1, sizeof *exprs);
    const char **labels = af_arena_zero(lo->arena, count + 1, sizeof *labels);
    if (exprs == NULL || labels == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < count; i++) {
        labels[i] = in->schema.fields[1 + i].name;
        if ((exprs[i] = af_expr_column(lo->arena, &in->schema, 1 + i)) == NULL)
            return lower_nomem(lo, err);
    }
    struct af_plan_map map = { .exprs = exprs, .names = labels, .count = count, .keys = inner->group, .key_count = inner->group_count };
    return af_plan_map(lo->plan, in, &map, out, err);
}

struct sub_draft {
    const struct scope *inner;
    const struct af_node *node;          /* the subquery's, before its keys were added */
    const struct af_node *with_keys;     /* the same if none are needed */
};

static enum af_status sub_column(struct lowering *lo, const struct sub_draft *draft, const char *name, struct sub_name found,
                                 const struct af_expr **out, struct af_error *err)
{
    size_t at = found.column;
    for (size_t i = 0; found.is_key && i < draft->inner->group_count; i++)
        if (af_slice_is(draft->inner->group[i], name))
            at = draft->node->schema.field_count + i;
    *out = at != SIZE_MAX ? af_expr_column(lo->arena, &draft->with_keys->schema, at) : af_expr_literal(lo->arena, af_value_none());
    return *out != NULL ? AF_OK : lower_nomem(lo, err);
}

static enum af_status filter_sub(struct lowering *lo, const struct sub_draft *draft, const struct ref_list *refs,
                                 struct af_ql_expr *condition, const struct af_node **out, struct af_error *err)
{
    struct bindings bindings = { .rules = RULES_SUBQUERY };
    const struct af_expr *filter;
    bindings.items = af_arena_zero(lo->arena, refs->count + 1, sizeof *bindings.items);
    if (bindings.items == NULL)
        return lower_nomem(lo, err);
    for (; bindings.count < refs->count; bindings.count++) {
        const struct af_ql_expr *ref = refs->items[bindings.count];
        struct binding *binding = &bindings.items[bindings.count];
        struct sub_name found = find_tested(draft->inner, draft->node, ref->name);
        binding->expr = ref;
        if (found.column == SIZE_MAX && !found.is_key)
            binding->value = af_expr_literal(lo->arena, af_value_text(AF_SLICE_LIT(""))); /* a tag that no row has */
        else
            AF_TRY(sub_column(lo, draft, ref->name, found, &binding->value, err));
        if (binding->value == NULL)
            return lower_nomem(lo, err);
        if (found.column != SIZE_MAX)
            AF_TRY(lower_cast(lo, binding->value, lower_plan_type(ref->cast), true, &binding->value, err));
        if (!lookup_add(&bindings.lookup, lo->arena, lookup_expr(ref)))
            return lower_nomem(lo, err);
    }
    AF_TRY(lower_condition(lo, &bindings, condition, &filter, err));
    return af_plan_filter(lo->plan, draft->with_keys, filter, out, err);
}

static enum af_status map_sub(struct lowering *lo, const struct sub_draft *draft, const struct names *names, bool driver,
                              const struct af_node *in, const struct af_node **out, struct af_error *err)
{
    const char **labels;
    enum af_type *types;
    const struct af_expr **exprs = af_arena_zero(lo->arena, names->count + 1, sizeof *exprs);
    if (exprs == NULL)
        return lower_nomem(lo, err);
    AF_TRY(lower_names_arrays(lo, names, &labels, &types, err));
    for (size_t i = 0; i < names->count; i++) {
        struct sub_name found;
        bool keeps = !driver || i != 0;
        AF_TRY(find_wanted(lo, draft->inner, names->refs[i]->name, &found, err));
        AF_TRY(sub_column(lo, draft, names->refs[i]->name, found, &exprs[i], err));
        AF_TRY(lower_cast(lo, exprs[i], types[i], keeps, &exprs[i], err));
    }
    return lower_map(lo, in, exprs, labels, names->count, out, err);
}

static enum af_status regroup_sub(struct lowering *lo, const struct scope *scope, const struct af_node *in, const struct af_node **out,
                                  struct af_error *err)
{
    struct af_slice *group = af_arena_zero(lo->arena, scope->group_count + 1, sizeof *group);
    if (group == NULL)
        return lower_nomem(lo, err);
    group[0] = AF_SLICE_LIT(AF_KEY_MEASUREMENT);
    for (size_t i = 0; i < scope->group_count; i++)
        group[1 + i] = scope->group[i];
    return af_plan_regroup(lo->plan, in, group, scope->group_count + 1, scope->query->descending, out, err);
}

/* Are parts of the key wanted as columns? `*out_none`: the name that rows need a value of is nothing at all. */
static enum af_status needs_keys(struct lowering *lo, const struct sub_draft *draft, const struct names *names, const struct ref_list *refs,
                                 bool driver, bool *out, bool *out_none, struct af_error *err)
{
    *out = false;
    *out_none = false;
    for (size_t i = 0; i < names->count; i++) {
        struct sub_name found;
        AF_TRY(find_wanted(lo, draft->inner, names->refs[i]->name, &found, err));
        *out = *out || found.is_key;
        if (driver && i == 0)
            *out_none = found.column == SIZE_MAX && !found.is_key;
    }
    for (size_t i = 0; i < refs->count; i++)
        *out = *out || find_tested(draft->inner, draft->node, refs->items[i]->name).is_key;
    return AF_OK;
}

enum af_status lower_sub_rows(struct lowering *lo, const struct scope *scope, const struct query *sub, const struct names *names,
                              bool driver, const struct af_node **out, struct af_error *err)
{
    struct scope inner;
    struct tag_space space = { .inner = &inner };
    struct ref_list refs = { 0 };
    struct af_ql_expr *rest = NULL;
    const struct af_predicate *predicate = NULL;
    bool has_keys, has_none;
    AF_TRY(scope_of_sub(lo, scope, sub, &inner, err));
    AF_TRY(lower_outputs(lo, sub, &space.outputs, &space.output_count, err));
    if (scope->query->condition != NULL)
        AF_TRY(lower_split_tags(lo, &space, scope->query->condition, &predicate, &rest, err));
    AF_TRY(lower_both(lo, scope->also, predicate, &inner.also, err));
    struct sub_draft draft = { .inner = &inner };
    AF_TRY(lower_query(lo, &inner, &draft.node, err));
    if (rest != NULL)
        AF_TRY(lower_refs(lo, rest, &refs, err));
    AF_TRY(needs_keys(lo, &draft, names, &refs, driver, &has_keys, &has_none, err));
    if (has_none || draft.node->kind == AF_NODE_EMPTY)
        return lower_no_rows(lo, names, out, err);
    draft.with_keys = draft.node;
    if (has_keys)
        AF_TRY(add_keys(lo, &inner, draft.node, &draft.with_keys, err));
    const struct af_node *node = draft.with_keys;
    if (rest != NULL)
        AF_TRY(filter_sub(lo, &draft, &refs, rest, &node, err));
    AF_TRY(map_sub(lo, &draft, names, driver, node, &node, err));
    *out = node;
    return inner.group_count != scope->group_count ? regroup_sub(lo, scope, node, out, err) : AF_OK;
}
