/*
 * rules_columns.c - columns of a SCAN that nobody takes are not read.
 *
 * AGGREGATE, TRANSFORM and MAP say which columns they take; what lies between them and the SCAN adds its own. A column of a tag can
 * always go. A field is more than a column: a row is there if any of its fields has a value, so without a field rows vanish. That is fine
 * where they do not count: the witness is a set of columns such that a row in which all of these are null changes nothing.
 *
 *     mean(a) over rows of (a, b)      rows without an a do not count: b can go
 *     map a over rows of (a, b)        a row with nothing but b is a row all the same: b stays
 */
#include "plan/plan_int.h"

struct need {
    bool *columns;                       /* of the node's schema */
    bool *witness;                       /* all of them among `columns` */
    bool has_witness;
};

static enum af_status need_new(struct rules *rules, size_t count, struct need *out, struct af_error *err)
{
    struct af_arena *arena = rules->plan->arena;
    *out = (struct need){ .columns = af_arena_zero(arena, count, 1), .witness = af_arena_zero(arena, count, 1) };
    return out->columns != NULL && out->witness != NULL ? AF_OK : af_arena_fail(arena, 2 * count, "rewriting a plan", err);
}

/* Only this column counts: rows without a value there are passed over. */
static void need_value(struct need *need, size_t column)
{
    need->columns[column] = true;
    need->witness[column] = true;
    need->has_witness = true;
}

static void need_expr(bool *columns, const struct af_expr *expr)
{
    if (expr->kind == AF_EXPR_COLUMN)
        columns[expr->column] = true;
    for (size_t i = 0; expr->kind == AF_EXPR_CALL && i < expr->arg_count; i++)
        need_expr(columns, expr->args[i]);
}

bool expr_witness(bool *columns, const struct af_expr *expr)
{
    if (expr->kind == AF_EXPR_COLUMN) {
        columns[expr->column] = true;
        return true;
    }
    if (expr->kind != AF_EXPR_CALL || expr->fn == AF_FN_IS_NULL || expr->fn == AF_FN_COALESCE || expr->fn == AF_FN_AND ||
        expr->fn == AF_FN_OR)
        return false;
    for (size_t i = 0; i < expr->arg_count; i++)
        if (expr_witness(columns, expr->args[i]))
            return true;
    return false;
}

/* --- downwards: what is needed; upwards: nodes over fewer columns --------------------------------------------------------------------- */

/* `map`: where columns of the node are in *out, SIZE_MAX: nowhere. */
static enum af_status narrow(struct rules *rules, const struct af_node *node, struct need *need, size_t *map, const struct af_node **out,
                             struct af_error *err);

static enum af_status narrow_filter(struct rules *rules, const struct af_node *node, struct need *need, size_t *map,
                                    const struct af_node **out, struct af_error *err)
{
    const struct af_node *input;
    need_expr(need->columns, node->filter);
    AF_TRY(narrow(rules, node->inputs[0], need, map, &input, err));
    if (input == node->inputs[0])
        return AF_OK;
    const struct af_expr *filter = expr_remap(rules->plan->arena, node->filter, map);
    if (filter == NULL)
        return af_arena_fail(rules->plan->arena, sizeof *filter, "rewriting a plan", err);
    return af_plan_filter(rules->plan, input, filter, out, err);
}

static enum af_status narrow_map(struct rules *rules, const struct af_node *node, const struct need *need, const struct af_node **out,
                                 struct af_error *err)
{
    struct af_arena *arena = rules->plan->arena;
    const struct af_plan_map *settings = &node->map;
    size_t input_columns = node->inputs[0]->schema.field_count, time = settings->drops_time ? 0 : 1;
    struct need below;
    size_t *map = af_arena_zero(arena, input_columns, sizeof *map);
    const struct af_expr **exprs = af_arena_zero(arena, settings->count + 1, sizeof *exprs);
    if (map == NULL || exprs == NULL)
        return af_arena_fail(arena, input_columns * sizeof *map, "rewriting a plan", err);
    AF_TRY(need_new(rules, input_columns, &below, err));
    bool all_count = settings->drops_empty && settings->key_count == 0;
    below.has_witness = settings->count != 0 && (all_count || need->has_witness);
    for (size_t i = 0; i < settings->count; i++) {
        need_expr(below.columns, settings->exprs[i]);
        if (all_count || need->witness[time + i])
            below.has_witness = expr_witness(below.witness, settings->exprs[i]) && below.has_witness;
    }
    for (size_t i = 0; i < node->schema.field_count && !all_count; i++) {
        bool is_expr = i >= time && i < time + settings->count;
        below.has_witness = below.has_witness && (is_expr || !need->witness[i]); /* time and parts of keys are never null */
    }
    const struct af_node *input;
    AF_TRY(narrow(rules, node->inputs[0], &below, map, &input, err));
    if (input == node->inputs[0])
        return AF_OK;
    for (size_t i = 0; i < settings->count; i++)
        if ((exprs[i] = expr_remap(arena, settings->exprs[i], map)) == NULL)
            return af_arena_fail(arena, sizeof **exprs, "rewriting a plan", err);
    struct af_plan_map now = *settings;
    now.exprs = exprs;
    return af_plan_map(rules->plan, input, &now, out, err);
}

static enum af_status narrow_select(struct rules *rules, const struct af_node *node, struct need *need, size_t *map,
                                    const struct af_node **out, struct af_error *err)
{
    const struct af_plan_select *settings = &node->select;
    size_t *by = af_arena_zero(rules->plan->arena, settings->by_count + 1, sizeof *by);
    if (by == NULL)
        return af_arena_fail(rules->plan->arena, settings->by_count * sizeof *by, "rewriting a plan", err);
    memset(need->witness, 0, node->schema.field_count);
    need_value(need, settings->column);
    for (size_t i = 0; i < settings->by_count; i++)
        need->columns[settings->by[i]] = true;
    const struct af_node *input;
    AF_TRY(narrow(rules, node->inputs[0], need, map, &input, err));
    if (input == node->inputs[0])
        return AF_OK;
    struct af_plan_select now = *settings;
    now.column = map[settings->column];
    now.by = by;
    for (size_t i = 0; i < settings->by_count; i++)
        by[i] = map[settings->by[i]];
    return af_plan_select(rules->plan, input, &now, out, err);
}

/* REGROUP takes columns by name; limits let columns through, but every row counts. */
static enum af_status narrow_through(struct rules *rules, const struct af_node *node, struct need *need, size_t *map,
                                     const struct af_node **out, struct af_error *err)
{
    const struct af_node *input;
    for (size_t i = 0; node->kind == AF_NODE_REGROUP && i < node->regroup.group_count; i++) {
        size_t column = af_schema_find(&node->schema, node->regroup.group[i]);
        if (column != SIZE_MAX)
            need->columns[column] = true;
    }
    if (node->kind != AF_NODE_REGROUP)
        need->has_witness = false;
    AF_TRY(narrow(rules, node->inputs[0], need, map, &input, err));
    return rules_on_input(rules, node, input, out, err);
}

/* Fields can go if what counts does not depend on them: rows that vanish have none of the fields that stay, the witness among them. */
static bool may_drop_fields(const struct af_plan_scan *scan, const struct need *need)
{
    bool has_field = false;
    if (!need->has_witness)
        return false;
    for (size_t i = 0; i <= scan->field_count + scan->tag_count; i++) {
        bool is_field = i != 0 && i <= scan->field_count;
        if (need->witness[i] && !is_field)
            return false; /* never null: a row without fields would count */
        has_field = has_field || need->witness[i];
    }
    return has_field;
}

static enum af_status narrow_scan(struct rules *rules, const struct af_node *node, struct need *need, size_t *map,
                                  const struct af_node **out, struct af_error *err)
{
    const struct af_plan_scan *scan = &node->scan;
    struct af_arena *arena = rules->plan->arena;
    struct af_node draft = *node;
    const char **fields = af_arena_zero(arena, scan->field_count, sizeof *fields);
    enum af_type *types = af_arena_zero(arena, scan->field_count, sizeof *types);
    struct af_slice *tags = af_arena_zero(arena, scan->tag_count + 1, sizeof *tags);
    if (fields == NULL || types == NULL || tags == NULL)
        return af_arena_fail(arena, node->schema.field_count * sizeof *tags, "rewriting a plan", err);
    if (scan->filter != NULL)
        need_expr(need->columns, scan->filter);
    size_t field_count = 0, tag_count = 0;
    bool drops_fields = may_drop_fields(scan, need);
    for (size_t i = 0; i < scan->field_count; i++) {
        map[1 + i] = drops_fields && !need->columns[1 + i] ? SIZE_MAX : 1 + field_count;
        if (map[1 + i] == SIZE_MAX)
            continue;
        fields[field_count] = scan->fields[i];
        types[field_count++] = scan->field_types[i];
    }
    for (size_t i = 0; i < scan->tag_count; i++) {
        size_t column = 1 + scan->field_count + i;
        map[column] = need->columns[column] ? 1 + field_count + tag_count : SIZE_MAX;
        if (need->columns[column])
            tags[tag_count++] = scan->tags[i];
    }
    if (field_count == scan->field_count && tag_count == scan->tag_count)
        return AF_OK;
    draft.scan.fields = fields;
    draft.scan.field_types = types;
    draft.scan.field_count = field_count;
    draft.scan.tags = tags;
    draft.scan.tag_count = tag_count;
    if (scan->filter != NULL && (draft.scan.filter = expr_remap(arena, scan->filter, map)) == NULL)
        return af_arena_fail(arena, sizeof *scan->filter, "rewriting a plan", err);
    return plan_add(rules->plan, &draft, out, err);
}

static enum af_status narrow(struct rules *rules, const struct af_node *node, struct need *need, size_t *map, const struct af_node **out,
                             struct af_error *err)
{
    *out = node;
    for (size_t i = 0; i < node->schema.field_count; i++)
        map[i] = i;
    switch (node->kind) {
    case AF_NODE_SCAN:
        return narrow_scan(rules, node, need, map, out, err);
    case AF_NODE_FILTER:
        return narrow_filter(rules, node, need, map, out, err);
    case AF_NODE_MAP:
        return narrow_map(rules, node, need, out, err);
    case AF_NODE_SELECT:
        return narrow_select(rules, node, need, map, out, err);
    case AF_NODE_REGROUP: case AF_NODE_LIMIT: case AF_NODE_GROUP_LIMIT:
        return narrow_through(rules, node, need, map, out, err);
    default:
        return AF_OK; /* all its columns count, or it has said itself what it takes */
    }
}

/* --- the rule --------------------------------------------------------------------------------------------------------------- */

enum af_status rule_unused_columns(struct rules *rules, const struct af_node *node, const struct af_node **out, struct af_error *err)
{
    *out = node;
    struct need need;
    if (node->kind == AF_NODE_MAP) {
        AF_TRY(need_new(rules, node->schema.field_count, &need, err));
        return narrow_map(rules, node, &need, out, err);
    }
    if (node->kind != AF_NODE_AGGREGATE && node->kind != AF_NODE_TRANSFORM)
        return AF_OK;
    const struct af_node *input = node->inputs[0];
    size_t *map = af_arena_zero(rules->plan->arena, input->schema.field_count, sizeof *map);
    if (map == NULL)
        return af_arena_fail(rules->plan->arena, input->schema.field_count * sizeof *map, "rewriting a plan", err);
    AF_TRY(need_new(rules, input->schema.field_count, &need, err));
    for (size_t i = 0; node->kind == AF_NODE_AGGREGATE && i < node->aggregate.call_count; i++)
        need_value(&need, node->aggregate.calls[i].column);
    if (node->kind == AF_NODE_TRANSFORM)
        need_value(&need, node->transform.column);
    AF_TRY(narrow(rules, input, &need, map, &input, err));
    if (input == node->inputs[0])
        return AF_OK;
    return rules_on_columns(rules, node, input, map, out, err);
}
