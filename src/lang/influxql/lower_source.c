/*
 * lower_source.c - rows of a FROM list under a condition: time, then a column for each wanted name.
 *
 *     measurement   SCAN (fields, tags as columns) -- FILTER -- MAP
 *     subquery      lower_sub.c
 *     several       UNION
 *
 * A row of a measurement is there if one of the wanted fields has a value; fields that only the condition names make no rows.
 */
#include "lang/influxql/lower_int.h"

bool scope_is_nested(const struct scope *scope)
{
    for (size_t i = 0; i < scope->origin_count; i++)
        if (scope->origins[i].sub != NULL)
            return true;
    return false;
}

static enum af_status null_of(struct lowering *lo, enum af_ql_cast type, const struct af_expr **out, struct af_error *err)
{
    const struct af_expr *nothing = af_expr_literal(lo->arena, af_value_none());
    if (nothing == NULL)
        return lower_nomem(lo, err);
    return lower_cast(lo, nothing, lower_plan_type(type), false, out, err);
}

enum af_status lower_names_arrays(struct lowering *lo, const struct names *names, const char ***out_names, enum af_type **out_types,
                                   struct af_error *err)
{
    *out_names = af_arena_zero(lo->arena, names->count + 1, sizeof **out_names);
    *out_types = af_arena_zero(lo->arena, names->count + 1, sizeof **out_types);
    if (*out_names == NULL || *out_types == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < names->count; i++) {
        (*out_names)[i] = names->refs[i]->name;
        (*out_types)[i] = lower_plan_type(names->refs[i]->cast);
    }
    return AF_OK;
}

enum af_status lower_no_rows(struct lowering *lo, const struct names *names, const struct af_node **out, struct af_error *err)
{
    const char **labels;
    enum af_type *types;
    AF_TRY(lower_names_arrays(lo, names, &labels, &types, err));
    return lower_nothing(lo, labels, types, names->count, out, err);
}

/* --- a measurement: which columns are read ------------------------------------------------------------------------------------------- */

struct scan_draft {
    const struct place *place;
    const char **fields;
    enum af_type *types;
    size_t field_count, wanted_count;    /* the first `wanted_count` are wanted, the others only the condition's */
    struct af_slice *tags;
    size_t tag_count;
    struct lookup by_field, by_tag;
};

/* Whether the name is a field here whose values can be had as what the name is said to be. */
static bool is_readable(const struct place *place, const struct af_ql_expr *ref, enum af_type *out)
{
    enum af_ql_cast stored = lower_field_type(place, ref->name), wanted = ref->cast;
    bool from_number = stored == AF_QL_CAST_FLOAT || stored == AF_QL_CAST_INTEGER || stored == AF_QL_CAST_UNSIGNED;
    bool to_number = wanted == AF_QL_CAST_FLOAT || wanted == AF_QL_CAST_INTEGER || wanted == AF_QL_CAST_UNSIGNED;
    *out = lower_plan_type(stored);
    return stored != AF_QL_CAST_NONE && (stored == wanted || (from_number && to_number));
}

static bool is_tag_here(const struct place *place, const struct af_ql_expr *ref)
{
    return (ref->cast == AF_QL_CAST_TAG || ref->cast == AF_QL_CAST_NONE) && lower_has_tag(place, ref->name);
}

static size_t find_field(const struct scan_draft *draft, const char *name)
{
    uint64_t hash = lookup_text(name);
    for (size_t i = lookup_first(&draft->by_field, hash); i != SIZE_MAX; i = lookup_next(&draft->by_field, i, hash))
        if (strcmp(draft->fields[i], name) == 0)
            return i;
    return SIZE_MAX;
}

static size_t find_tag(const struct scan_draft *draft, const char *name)
{
    uint64_t hash = lookup_text(name);
    for (size_t i = lookup_first(&draft->by_tag, hash); i != SIZE_MAX; i = lookup_next(&draft->by_tag, i, hash))
        if (af_slice_is(draft->tags[i], name))
            return i;
    return SIZE_MAX;
}

static enum af_status draft_add(struct lowering *lo, struct scan_draft *draft, const struct af_ql_expr *ref, struct af_error *err)
{
    enum af_type type;
    if (is_readable(draft->place, ref, &type)) {
        if (find_field(draft, ref->name) != SIZE_MAX)
            return AF_OK;
        draft->types[draft->field_count] = type;
        draft->fields[draft->field_count++] = ref->name;
        return lookup_add(&draft->by_field, lo->arena, lookup_text(ref->name)) ? AF_OK : lower_nomem(lo, err);
    }
    if (!is_tag_here(draft->place, ref) || find_tag(draft, ref->name) != SIZE_MAX)
        return AF_OK;
    draft->tags[draft->tag_count++] = af_slice_of(ref->name);
    return lookup_add(&draft->by_tag, lo->arena, lookup_text(ref->name)) ? AF_OK : lower_nomem(lo, err);
}

static enum af_status draft_new(struct lowering *lo, const struct place *place, size_t cap, struct scan_draft *out, struct af_error *err)
{
    *out = (struct scan_draft){
        .place = place, .fields = af_arena_zero(lo->arena, cap + 1, sizeof *out->fields),
        .types = af_arena_zero(lo->arena, cap + 1, sizeof *out->types), .tags = af_arena_zero(lo->arena, cap + 1, sizeof *out->tags),
    };
    return out->fields != NULL && out->types != NULL && out->tags != NULL ? AF_OK : lower_nomem(lo, err);
}

/* The column of a name, uncast; a typed null where there is none. */
static enum af_status draft_column(struct lowering *lo, const struct scan_draft *draft, const struct af_schema *schema,
                                   const struct af_ql_expr *ref, const struct af_expr **out, struct af_error *err)
{
    enum af_type type;
    size_t at = SIZE_MAX;
    if (is_readable(draft->place, ref, &type))
        at = 1 + find_field(draft, ref->name);
    else if (is_tag_here(draft->place, ref))
        at = 1 + draft->field_count + find_tag(draft, ref->name);
    if (at == SIZE_MAX)
        return null_of(lo, ref->cast, out, err);
    *out = af_expr_column(lo->arena, schema, at);
    return *out != NULL ? lower_cast(lo, *out, lower_plan_type(ref->cast), false, out, err) : lower_nomem(lo, err);
}

static enum af_status filter_scan(struct lowering *lo, const struct scan_draft *draft, const struct ref_list *refs,
                                  struct af_ql_expr *condition, const struct af_node *in, const struct af_node **out, struct af_error *err)
{
    struct bindings bindings = { .rules = RULES_CONDITION, .measurement = draft->place->measurement };
    const struct af_expr *filter;
    bindings.items = af_arena_zero(lo->arena, refs->count + 1, sizeof *bindings.items);
    if (bindings.items == NULL)
        return lower_nomem(lo, err);
    for (; bindings.count < refs->count; bindings.count++) {
        const struct af_ql_expr *ref = refs->items[bindings.count];
        struct binding *binding = &bindings.items[bindings.count];
        *binding = (struct binding){ .expr = ref, .is_tag = lower_is_tag_name(ref) };
        AF_TRY(draft_column(lo, draft, &in->schema, ref, &binding->value, err));
        if (!lookup_add(&bindings.lookup, lo->arena, lookup_expr(ref)))
            return lower_nomem(lo, err);
    }
    AF_TRY(lower_condition(lo, &bindings, condition, &filter, err));
    return af_plan_filter(lo->plan, in, filter, out, err);
}

/* Rows in which some wanted field has a value. */
static enum af_status filter_present(struct lowering *lo, const struct scan_draft *draft, const struct af_node *in,
                                     const struct af_node **out, struct af_error *err)
{
    const struct af_expr *all_null, *filter;
    const struct af_expr **nulls = af_arena_zero(lo->arena, draft->wanted_count + 1, sizeof *nulls);
    if (nulls == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < draft->wanted_count; i++) {
        const struct af_expr *column = af_expr_column(lo->arena, &in->schema, 1 + i);
        if (column == NULL)
            return lower_nomem(lo, err);
        AF_TRY(lower_fn(lo, AF_FN_IS_NULL, column, NULL, &nulls[i], err));
    }
    AF_TRY(lower_join(lo, AF_FN_AND, nulls, draft->wanted_count, &all_null, err));
    AF_TRY(lower_fn(lo, AF_FN_NOT, all_null, NULL, &filter, err));
    return af_plan_filter(lo->plan, in, filter, out, err);
}

/* --- a measurement -------------------------------------------------------------------------------------------------------------------- */

/* Limits of series of subqueries are added to those of the queries around them. */
void lower_series_limits(struct scope *scope, const struct scope *outer)
{
    const struct af_ql_select *select = scope->query->select;
    scope->slimit = select->slimit > 0 ? (uint64_t)select->slimit : 0;
    scope->soffset = select->soffset > 0 ? (uint64_t)select->soffset : 0;
    if (outer == NULL)
        return;
    scope->slimit += outer->slimit;
    scope->soffset += outer->soffset;
    scope->limit_tags = outer->limit_tags;
    scope->limit_tag_count = outer->limit_tag_count;
}

static bool can_read(const struct lowering *lo, const struct scope *scope)
{
    return !scope_is_empty(scope) && scope->min_ns <= lo->read_max_ns && scope->max_ns >= lo->read_min_ns;
}

static enum af_status make_scan(struct lowering *lo, const struct scope *scope, const struct scan_draft *draft,
                                const struct af_predicate *predicate, const struct af_node **out, struct af_error *err)
{
    struct scope read = *scope;
    read.min_ns = scope->min_ns > lo->read_min_ns ? scope->min_ns : lo->read_min_ns;
    read.max_ns = scope->max_ns < lo->read_max_ns ? scope->max_ns : lo->read_max_ns;
    struct af_plan_scan scan = {
        .source = draft->place->source, .source_name = draft->place->source_name, .measurement = draft->place->measurement,
        .start_ns = scope_start(&read), .stop_ns = scope_stop(&read), .fields = draft->fields, .field_types = draft->types,
        .field_count = draft->field_count, .tags = draft->tags, .tag_count = draft->tag_count, .tags_null = true, .predicate = predicate,
        .group = scope->group, .group_count = scope->group_count, .descending = scope->query->descending,
        .choice = { .is_made = scope->slimit != 0 || scope->soffset != 0, .tags = scope->limit_tags, .tag_count = scope->limit_tag_count,
                    .offset = scope->soffset, .count = scope->slimit },
    };
    return af_plan_scan(lo->plan, &scan, out, err);
}

static enum af_status map_scan(struct lowering *lo, const struct scan_draft *draft, const struct names *names, const struct af_node *in,
                               const struct af_node **out, struct af_error *err)
{
    const char **labels;
    enum af_type *types;
    const struct af_expr **exprs = af_arena_zero(lo->arena, names->count + 1, sizeof *exprs);
    if (exprs == NULL)
        return lower_nomem(lo, err);
    AF_TRY(lower_names_arrays(lo, names, &labels, &types, err));
    for (size_t i = 0; i < names->count; i++)
        AF_TRY(draft_column(lo, draft, &in->schema, names->refs[i], &exprs[i], err));
    return lower_map(lo, in, exprs, labels, names->count, out, err);
}

static enum af_status rows_of_place(struct lowering *lo, const struct scope *scope, const struct place *place, const struct names *names,
                                    bool driver, const struct af_node **out, struct af_error *err)
{
    struct af_ql_expr *rest = NULL;
    const struct af_predicate *predicate = NULL;
    struct ref_list refs = { 0 };
    struct scan_draft draft;
    const struct af_node *node;
    enum af_type ignored;
    if (scope->query->condition != NULL)
        AF_TRY(lower_split_tags(lo, NULL, scope->query->condition, &predicate, &rest, err));
    AF_TRY(lower_both(lo, scope->also, predicate, &predicate, err));
    if (rest != NULL)
        AF_TRY(lower_refs(lo, rest, &refs, err));
    AF_TRY(draft_new(lo, place, names->count + refs.count, &draft, err));
    for (size_t i = 0; i < names->count; i++)
        AF_TRY(draft_add(lo, &draft, names->refs[i], err));
    draft.wanted_count = draft.field_count;
    if (draft.wanted_count == 0 || (driver && !is_readable(place, names->refs[0], &ignored)) || lower_holds_never(predicate) ||
        !can_read(lo, scope))
        return lower_no_rows(lo, names, out, err);
    for (size_t i = 0; i < refs.count; i++)
        AF_TRY(draft_add(lo, &draft, refs.items[i], err));
    AF_TRY(make_scan(lo, scope, &draft, predicate, &node, err));
    if (rest != NULL)
        AF_TRY(filter_scan(lo, &draft, &refs, rest, node, &node, err));
    if (!driver && draft.field_count > draft.wanted_count)
        AF_TRY(filter_present(lo, &draft, node, &node, err));
    return map_scan(lo, &draft, names, node, out, err);
}

/* --- all of them ---------------------------------------------------------------------------------------------------------------------- */

enum af_status lower_rows(struct lowering *lo, const struct scope *scope, const struct names *names, bool driver,
                          const struct af_node **out, struct af_error *err)
{
    size_t cap = 0, count = 0;
    for (size_t i = 0; i < scope->origin_count; i++)
        cap += scope->origins[i].sub != NULL ? 1 : scope->origins[i].place_count;
    const struct af_node **nodes = af_arena_zero(lo->arena, cap + 1, sizeof *nodes);
    if (nodes == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < scope->origin_count; i++) {
        const struct origin *origin = &scope->origins[i];
        for (size_t j = 0; j < (origin->sub != NULL ? 1 : origin->place_count); j++) {
            if (origin->sub != NULL)
                AF_TRY(lower_sub_rows(lo, scope, origin->sub, names, driver, &nodes[count], err));
            else
                AF_TRY(rows_of_place(lo, scope, origin->places[j], names, driver, &nodes[count], err));
            count += nodes[count]->kind != AF_NODE_EMPTY;
        }
    }
    if (count == 0)
        return lower_no_rows(lo, names, out, err);
    *out = nodes[0];
    return count > 1 ? af_plan_union(lo->plan, nodes, count, scope->query->descending, out, err) : AF_OK;
}
