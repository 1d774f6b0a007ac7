/*
 * rules.c - the same answer for less work: how rules are applied, and the small ones.
 *
 * Nodes are read-only, and one node may be the input of several. A rule therefore never changes a node but makes another one; rules_apply
 * puts these together, inputs first. What a rule is not sure of it leaves alone.
 */
#include "base/limits.h"
#include "plan/plan_int.h"

enum af_status rules_on_input(struct rules *rules, const struct af_node *node, const struct af_node *input, const struct af_node **out,
                              struct af_error *err)
{
    if (node->inputs[0] == input) {
        *out = node;
        return AF_OK;
    }
    struct af_node draft = *node;
    draft.inputs = &input;
    return plan_add(rules->plan, &draft, out, err);
}

const struct af_expr *expr_remap(struct af_arena *arena, const struct af_expr *expr, const size_t *map)
{
    if (expr->kind == AF_EXPR_LITERAL)
        return expr;
    struct af_expr *copy = af_arena_zero(arena, 1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *expr;
    if (expr->kind == AF_EXPR_COLUMN) {
        copy->column = map[expr->column];
        return copy;
    }
    const struct af_expr **args = af_arena_zero(arena, expr->arg_count + 1, sizeof *args);
    if (args == NULL)
        return NULL;
    for (size_t i = 0; i < expr->arg_count; i++)
        if ((args[i] = expr_remap(arena, expr->args[i], map)) == NULL)
            return NULL;
    copy->args = args;
    return copy;
}

/* --- the walk ------------------------------------------------------------------------------------------------------------------- */

struct walk {
    struct rules *rules;
    rule_fn rule;
    const struct af_node **done;         /* by number of the node that was */
};

static enum af_status rewrite(struct walk *walk, const struct af_node *node, const struct af_node **out, struct af_error *err)
{
    if (walk->done[node->id] != NULL) {
        *out = walk->done[node->id];
        return AF_OK;
    }
    struct af_arena *arena = walk->rules->plan->arena;
    const struct af_node **inputs = af_arena_zero(arena, node->input_count + 1, sizeof *inputs);
    if (inputs == NULL)
        return af_arena_fail(arena, (node->input_count + 1) * sizeof *inputs, "rewriting a plan", err);
    bool is_new = false;
    for (size_t i = 0; i < node->input_count; i++) {
        AF_TRY(rewrite(walk, node->inputs[i], &inputs[i], err));
        is_new = is_new || inputs[i] != node->inputs[i];
    }
    const struct af_node *now = node;
    if (is_new) {
        struct af_node draft = *node;
        draft.inputs = inputs;
        AF_TRY(plan_add(walk->rules->plan, &draft, &now, err));
    }
    AF_TRY(walk->rule(walk->rules, now, &now, err));
    walk->done[node->id] = now;
    *out = now;
    return AF_OK;
}

enum af_status rules_apply(struct rules *rules, rule_fn rule, struct af_error *err)
{
    struct af_plan *plan = rules->plan;
    struct walk walk = { .rules = rules, .rule = rule };
    walk.done = af_arena_zero(plan->arena, plan->node_count, sizeof *walk.done);
    if (walk.done == NULL)
        return af_arena_fail(plan->arena, plan->node_count * sizeof *walk.done, "rewriting a plan", err);
    return rewrite(&walk, plan->root, &plan->root, err);
}

/* Nodes in use, inputs first. */
static void gather(const struct af_node *node, bool *seen, const struct af_node **list, size_t *count)
{
    if (seen[node->id])
        return;
    seen[node->id] = true;
    for (size_t i = 0; i < node->input_count; i++)
        gather(node->inputs[i], seen, list, count);
    list[(*count)++] = node;
}

/* Numbers without holes again. The nodes are the plan's, made in its arena: this is the one place that changes them. */
static enum af_status renumber(struct af_plan *plan, struct af_error *err)
{
    size_t count = 0;
    bool *seen = af_arena_zero(plan->arena, plan->node_count, sizeof *seen);
    const struct af_node **list = af_arena_zero(plan->arena, plan->node_count, sizeof *list);
    if (seen == NULL || list == NULL)
        return af_arena_fail(plan->arena, plan->node_count * sizeof *list, "numbering a plan", err);
    gather(plan->root, seen, list, &count);
    for (size_t i = 0; i < count; i++)
        ((struct af_node *)list[i])->id = (uint32_t)i;
    plan->node_count = (uint32_t)count;
    return AF_OK;
}

enum af_status af_plan_improve(struct af_plan *plan, const struct af_rules_world *world, struct af_error *err)
{
    /* Branches early, as they are alike only before anything is pushed into one of them; folds when scans have all they will have. */
    static const rule_fn order[] = { rule_calls_through_maps, rule_share_branches, rule_filters_into_scans, rule_unused_columns,
                                     rule_limits_into_scans, rule_folds,
                                     rule_order_not_needed };
    struct rules rules = { .plan = plan, .world = world };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        struct af_error why = { 0 };
        enum af_status status = rules_apply(&rules, order[i], &why);
        if (status != AF_OK)
            return af_fail(err, status == AF_EINVAL ? AF_EBUG : status, "plan: rule %zu: %s", i, why.message);
    }
    AF_TRY(renumber(plan, err));
    return af_plan_check(plan, err);
}

/* --- calls through maps ------------------------------------------------------------------------------------------------------------- */

enum af_status rules_on_columns(struct rules *rules, const struct af_node *node, const struct af_node *input, const size_t *map,
                                const struct af_node **out, struct af_error *err)
{
    struct af_plan_aggregate now = node->aggregate;
    if (node->kind == AF_NODE_TRANSFORM) {
        struct af_plan_transform transform = node->transform;
        transform.column = map[transform.column];
        return af_plan_transform(rules->plan, input, &transform, out, err);
    }
    struct af_plan_call *calls = af_arena_zero(rules->plan->arena, now.call_count, sizeof *calls);
    if (calls == NULL)
        return af_arena_fail(rules->plan->arena, now.call_count * sizeof *calls, "rewriting a plan", err);
    for (size_t i = 0; i < now.call_count; i++) {
        calls[i] = now.calls[i];
        calls[i].column = map[now.calls[i].column];
    }
    now.calls = calls;
    return af_plan_aggregate(rules->plan, input, &now, out, err);
}

/* Is the column one of the MAP's input, unchanged? */
static bool is_renamed(const struct af_node *map, size_t column)
{
    if (column == 0 || column > map->map.count)
        return false;
    const struct af_expr *expr = map->map.exprs[column - 1];
    return expr->kind == AF_EXPR_COLUMN && expr->column != 0;
}

/* A call passes over nulls: rows that a MAP drops because they are empty make no difference. */
enum af_status rule_calls_through_maps(struct rules *rules, const struct af_node *node, const struct af_node **out, struct af_error *err)
{
    *out = node;
    bool is_aggregate = node->kind == AF_NODE_AGGREGATE;
    if ((!is_aggregate && node->kind != AF_NODE_TRANSFORM) || node->inputs[0]->kind != AF_NODE_MAP || node->inputs[0]->map.drops_time)
        return AF_OK;
    const struct af_node *map = node->inputs[0];
    bool fits = is_aggregate || is_renamed(map, node->transform.column);
    for (size_t i = 0; is_aggregate && i < node->aggregate.call_count && fits; i++)
        fits = is_renamed(map, node->aggregate.calls[i].column);
    if (!fits)
        return AF_OK;
    size_t *columns = af_arena_zero(rules->plan->arena, map->map.count + 1, sizeof *columns);
    if (columns == NULL)
        return af_arena_fail(rules->plan->arena, map->map.count * sizeof *columns, "rewriting a plan", err);
    for (size_t i = 1; i <= map->map.count; i++)
        if (is_renamed(map, i))
            columns[i] = map->map.exprs[i - 1]->column;
    AF_TRY(rules_on_columns(rules, node, map->inputs[0], columns, &node, err));
    return rule_calls_through_maps(rules, node, out, err);
}

/* --- limits into scans --------------------------------------------------------------------------------------------------------------- */

static enum af_status hint(struct rules *rules, const struct af_node *node, uint64_t rows, const struct af_node **out,
                           struct af_error *err);

/* The first rows of a group that is merged are among the first rows of those it is merged of. */
static enum af_status hint_union(struct rules *rules, const struct af_node *node, uint64_t rows, const struct af_node **out,
                                 struct af_error *err)
{
    struct af_arena *arena = rules->plan->arena;
    const struct af_node **inputs = af_arena_zero(arena, node->input_count, sizeof *inputs);
    if (inputs == NULL)
        return af_arena_fail(arena, node->input_count * sizeof *inputs, "rewriting a plan", err);
    bool is_new = false;
    for (size_t i = 0; i < node->input_count; i++) {
        AF_TRY(hint(rules, node->inputs[i], rows, &inputs[i], err));
        is_new = is_new || inputs[i] != node->inputs[i];
    }
    if (!is_new)
        return AF_OK;
    struct af_node draft = *node;
    draft.inputs = inputs;
    return plan_add(rules->plan, &draft, out, err);
}

/* `node` of which not more than `rows` of each group are asked for. */
static enum af_status hint(struct rules *rules, const struct af_node *node, uint64_t rows, const struct af_node **out, struct af_error *err)
{
    *out = node;
    if (node->kind == AF_NODE_UNION)
        return hint_union(rules, node, rows, out, err);
    if (node->kind == AF_NODE_GROUP_LIMIT || (node->kind == AF_NODE_MAP && !node->map.drops_empty)) {
        const struct af_node *input;
        AF_TRY(hint(rules, node->inputs[0], rows, &input, err));
        return rules_on_input(rules, node, input, out, err);
    }
    if (node->kind != AF_NODE_SCAN || node->scan.unordered || (node->scan.rows_hint != 0 && node->scan.rows_hint <= rows))
        return AF_OK;
    struct af_node draft = *node;
    draft.scan.rows_hint = rows;
    return plan_add(rules->plan, &draft, out, err);
}

enum af_status rule_limits_into_scans(struct rules *rules, const struct af_node *node, const struct af_node **out, struct af_error *err)
{
    *out = node;
    if (node->kind != AF_NODE_LIMIT || node->limit.count == 0 || node->limit.offset > UINT64_MAX - node->limit.count)
        return AF_OK;
    const struct af_node *input;
    AF_TRY(hint(rules, node->inputs[0], node->limit.offset + node->limit.count, &input, err));
    return rules_on_input(rules, node, input, out, err);
}

/* --- folds ------------------------------------------------------------------------------------------------------------------ */

/* Windows that follow a clock are told to the store as a list of their edges: could that be too long? Not if the range is short, or they
 * are hours. */
static bool has_many_edges(const struct af_window *window, int64_t start_ns, int64_t stop_ns)
{
    if (window->every_ns == 0 || af_window_is_regular(window))
        return false;
    return ((uint64_t)stop_ns - (uint64_t)start_ns) / (uint64_t)window->every_ns >= AF_QUERY_WINDOWS_MAX - 2;
}

static bool can_fold(const struct rules *rules, const struct af_node *node)
{
    if (node->kind != AF_NODE_AGGREGATE || node->inputs[0]->kind != AF_NODE_SCAN)
        return false;
    const struct af_plan_scan *scan = &node->inputs[0]->scan;
    if (scan->source >= rules->world->source_count || (rules->world->caps[scan->source] & AF_STORE_CAN_FOLD) == 0 || scan->filter != NULL ||
        scan->rows_hint != 0 || scan->choice.is_made)
        return false;
    for (size_t i = 0; i < node->aggregate.call_count; i++) {
        const struct af_plan_call *call = &node->aggregate.calls[i];
        if (call->column > scan->field_count || af_fn_folds(&call->call) == 0)
            return false;
    }
    int64_t start_ns = scan->start_ns > node->aggregate.start_ns ? scan->start_ns : node->aggregate.start_ns;
    int64_t stop_ns = scan->stop_ns < node->aggregate.stop_ns ? scan->stop_ns : node->aggregate.stop_ns;
    return start_ns <= stop_ns && !has_many_edges(&node->aggregate.window, start_ns, stop_ns);
}

/* The fields that calls take, each once; calls take these. */
static enum af_status fold_fields(struct af_arena *arena, const struct af_plan_scan *scan, struct af_plan_fold *fold, struct af_error *err)
{
    size_t call_count = fold->aggregate.call_count;
    struct af_plan_call *calls = af_arena_zero(arena, call_count, sizeof *calls);
    const char **fields = af_arena_zero(arena, scan->field_count, sizeof *fields);
    enum af_type *types = af_arena_zero(arena, scan->field_count, sizeof *types);
    size_t *at = af_arena_zero(arena, scan->field_count + 1, sizeof *at);
    if (calls == NULL || fields == NULL || types == NULL || at == NULL)
        return af_arena_fail(arena, call_count * sizeof *calls, "the folds of a plan", err);
    size_t count = 0;
    for (size_t i = 0; i < call_count; i++) {
        size_t column = fold->aggregate.calls[i].column;
        if (at[column] == 0) {
            fields[count] = scan->fields[column - 1];
            types[count] = scan->field_types[column - 1];
            at[column] = ++count;
        }
        calls[i] = fold->aggregate.calls[i];
        calls[i].column = at[column];
    }
    fold->aggregate.calls = calls;
    fold->scan.fields = fields;
    fold->scan.field_types = types;
    fold->scan.field_count = count;
    return AF_OK;
}

enum af_status rule_folds(struct rules *rules, const struct af_node *node, const struct af_node **out, struct af_error *err)
{
    *out = node;
    if (!can_fold(rules, node))
        return AF_OK;
    const struct af_plan_scan *scan = &node->inputs[0]->scan;
    struct af_node draft;
    memset(&draft, 0, sizeof draft);
    draft.kind = AF_NODE_FOLD;
    draft.fold = (struct af_plan_fold){ .scan = *scan, .aggregate = node->aggregate };
    draft.fold.scan.tags = NULL;
    draft.fold.scan.tag_count = 0;
    draft.fold.scan.unordered = false;
    if (node->aggregate.start_ns > scan->start_ns)
        draft.fold.scan.start_ns = node->aggregate.start_ns;
    if (node->aggregate.stop_ns < scan->stop_ns)
        draft.fold.scan.stop_ns = node->aggregate.stop_ns;
    AF_TRY(fold_fields(rules->plan->arena, scan, &draft.fold, err));
    return plan_add(rules->plan, &draft, out, err);
}

/* --- order not needed ------------------------------------------------------------------------------------------------------- */

static enum af_status without_order(struct rules *rules, const struct af_node *node, const struct af_node **out, struct af_error *err)
{
    *out = node;
    if (node->kind == AF_NODE_FILTER || node->kind == AF_NODE_MAP) {
        const struct af_node *input;
        AF_TRY(without_order(rules, node->inputs[0], &input, err));
        return rules_on_input(rules, node, input, out, err);
    }
    if (node->kind != AF_NODE_SCAN || node->scan.unordered || node->scan.rows_hint != 0)
        return AF_OK;
    struct af_node draft = *node;
    draft.scan.unordered = true;
    return plan_add(rules->plan, &draft, out, err);
}

enum af_status rule_order_not_needed(struct rules *rules, const struct af_node *node, const struct af_node **out, struct af_error *err)
{
    *out = node;
    if (node->kind != AF_NODE_AGGREGATE)
        return AF_OK;
    for (size_t i = 0; i < node->aggregate.call_count; i++)
        if ((af_fn_get(node->aggregate.calls[i].call.id)->flags & AF_FN_ORDERED) != 0)
            return AF_OK;
    const struct af_node *input;
    AF_TRY(without_order(rules, node->inputs[0], &input, err));
    return rules_on_input(rules, node, input, out, err);
}
