/*
 * check.c - does a node fit its inputs? Asked once when it is made (AF_EINVAL: whoever built it was wrong) and once of the whole plan
 * before it runs (AF_EBUG), since rules make nodes too.
 */
#include "plan/plan_int.h"

const char *node_name(enum af_node_kind kind)
{
    static const char *const names[] = {
        [AF_NODE_SCAN] = "scan",           [AF_NODE_FOLD] = "fold",     [AF_NODE_EMPTY] = "empty",         [AF_NODE_FILTER] = "filter",
        [AF_NODE_MAP] = "map",             [AF_NODE_REGROUP] = "regroup", [AF_NODE_AGGREGATE] = "aggregate", [AF_NODE_SELECT] = "select",
        [AF_NODE_TRANSFORM] = "transform", [AF_NODE_FILL] = "fill",     [AF_NODE_JOIN] = "join",           [AF_NODE_UNION] = "union",
        [AF_NODE_LIMIT] = "limit",         [AF_NODE_GROUP_LIMIT] = "group_limit", [AF_NODE_DEDUPE] = "dedupe",
    };
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "unknown node";
}

/* --- comparing ------------------------------------------------------------------------------------------------------------------ */

bool schema_eq(const struct af_schema *a, const struct af_schema *b)
{
    if (a->field_count != b->field_count)
        return false;
    for (size_t i = 0; i < a->field_count; i++)
        if (a->fields[i].type != b->fields[i].type || a->fields[i].is_nullable != b->fields[i].is_nullable ||
            strcmp(a->fields[i].name, b->fields[i].name) != 0)
            return false;
    return true;
}

bool window_eq(const struct af_window *a, const struct af_window *b)
{
    return a->every_ns == b->every_ns && a->every_months == b->every_months && a->offset_ns == b->offset_ns &&
           a->zone.kind == b->zone.kind &&
           a->zone.offset_s == b->zone.offset_s && a->zone.table == b->zone.table;
}

struct key_names node_keys(const struct af_node *node)
{
    while (!node_is_leaf(node) && node->kind != AF_NODE_REGROUP) {
        struct key_names keys = { 0 };
        for (size_t i = 0; i + 1 < node->input_count && !keys.is_known; i++)
            keys = node_keys(node->inputs[i]);
        if (keys.is_known)
            return keys;
        node = node->inputs[node->input_count - 1];
    }
    if (node->kind == AF_NODE_EMPTY)
        return (struct key_names){ 0 };
    if (node->kind == AF_NODE_REGROUP) {
        bool has = node->regroup.group_count != 0 && af_slice_is(node->regroup.group[0], AF_KEY_MEASUREMENT);
        return (struct key_names){ .is_known = true, .has_measurement = has, .group = node->regroup.group + has,
                                   .count = node->regroup.group_count - has };
    }
    const struct af_plan_scan *scan = node->kind == AF_NODE_SCAN ? &node->scan : &node->fold.scan;
    return (struct key_names){ .is_known = true, .has_measurement = true, .group = scan->group, .count = scan->group_count };
}

static bool keys_hold(const struct key_names *keys, struct af_slice name)
{
    if (keys->has_measurement && af_slice_is(name, AF_KEY_MEASUREMENT))
        return true;
    for (size_t i = 0; i < keys->count; i++)
        if (af_slice_eq(keys->group[i], name))
            return true;
    return false;
}

static bool keys_eq(const struct key_names *a, const struct key_names *b)
{
    if (a->count != b->count || a->has_measurement != b->has_measurement)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!af_slice_eq(a->group[i], b->group[i]))
            return false;
    return true;
}

/* --- parts of nodes ---------------------------------------------------------------------------------------------------------------- */

enum af_status call_type(const struct af_fn_call *call, enum af_type *out, struct af_error *err)
{
    enum { PARAMS_MAX = sizeof call->params / sizeof *call->params };
    enum af_type types[PARAMS_MAX + 1] = { call->type };
    if ((unsigned)call->id >= AF_FN_COUNT_OF || call->param_count > PARAMS_MAX)
        return af_fail(err, AF_EINVAL, "a call of function %d with %zu parameters", (int)call->id, call->param_count);
    for (size_t i = 0; i < call->param_count; i++)
        types[1 + i] = call->params[i].type;
    return af_fn_type(call->id, types, 1 + call->param_count, out, err);
}

static enum af_status check_time(const struct af_node *node, struct af_error *err)
{
    for (size_t i = 0; i < node->input_count; i++)
        if (!schema_has_time(&node->inputs[i]->schema))
            return af_fail(err, AF_EINVAL, "needs the column time, which its input (%s) does not have first",
                           node_name(node->inputs[i]->kind));
    return AF_OK;
}

static enum af_status check_window(const struct af_window *window, int64_t start_ns, int64_t stop_ns, struct af_error *err)
{
    if (window->every_ns < 0 || window->every_months < 0 || (window->every_ns != 0 && window->every_months != 0))
        return af_fail(err, AF_EINVAL, "windows of %lld ns and %lld months", (long long)window->every_ns, (long long)window->every_months);
    if (window->zone.kind == AF_ZONE_TABLE && window->zone.table == NULL)
        return af_fail(err, AF_EINVAL, "windows of a zone without a table");
    return start_ns <= stop_ns ? AF_OK : af_fail(err, AF_EINVAL, "the range ends before it starts");
}

/* A call on column `column` of the input's schema. */
static enum af_status check_call(const struct af_fn_call *call, const struct af_schema *schema, size_t column, struct af_error *err)
{
    enum af_type type;
    if (column == 0 || column >= schema->field_count)
        return af_fail(err, AF_EINVAL, "a call takes column %zu of %zu", column, schema->field_count);
    AF_TRY(call_type(call, &type, err));
    if (schema->fields[column].type != call->type)
        return af_fail(err, AF_EINVAL, "\"%s\" takes column \"%s\" for %s, it is %s", af_fn_get(call->id)->name,
                       schema->fields[column].name, af_type_name(call->type), af_type_name(schema->fields[column].type));
    return af_fn_check(call, err);
}

static bool gives_one_row(enum af_fn fn)
{
    enum af_fn_kind kind = af_fn_get(fn)->kind;
    return kind == AF_FN_KIND_AGGREGATE || (kind == AF_FN_KIND_SELECTOR && fn != AF_FN_TOP && fn != AF_FN_BOTTOM && fn != AF_FN_SAMPLE &&
                                            fn != AF_FN_DISTINCT);
}

/* What AGGREGATE and FOLD have in common. */
static enum af_status check_calls(const struct af_plan_aggregate *aggregate, struct af_error *err)
{
    AF_TRY(check_window(&aggregate->window, aggregate->start_ns, aggregate->stop_ns, err));
    if (aggregate->call_count == 0)
        return af_fail(err, AF_EINVAL, "no calls");
    for (size_t i = 0; i < aggregate->call_count; i++) {
        const struct af_plan_call *call = &aggregate->calls[i];
        if (!gives_one_row(call->call.id))
            return af_fail(err, AF_EINVAL, "\"%s\" does not give one value a window", af_fn_get(call->call.id)->name);
        if (call->name == NULL)
            return af_fail(err, AF_EINVAL, "a call without a name");
    }
    if (aggregate->stamp != AF_STAMP_POINT)
        return AF_OK;
    if (aggregate->call_count != 1 || af_fn_get(aggregate->calls[0].call.id)->kind != AF_FN_KIND_SELECTOR ||
        !af_window_is_none(&aggregate->window))
        return af_fail(err, AF_EINVAL, "the time of a point is that of one selector without windows");
    return AF_OK;
}

/* A value for column i + 1, where there may be none. */
static enum af_status check_value(const struct af_value *value, const struct af_field *field, struct af_error *err)
{
    if (value->type == AF_TYPE_NULL || field->type == AF_TYPE_NULL || value->type == field->type)
        return AF_OK;
    return af_fail(err, AF_EINVAL, "a value of %s for column \"%s\", which is %s", af_type_name(value->type), field->name,
                   af_type_name(field->type));
}

/* --- nodes by kind ----------------------------------------------------------------------------------------------------------------- */

static enum af_status check_choice(const struct af_plan_scan *scan, struct af_error *err)
{
    const struct af_plan_choice *choice = &scan->choice;
    for (size_t i = 0, j = 0; choice->is_made && i < choice->tag_count; i++, j++) {
        while (j < scan->group_count && !af_slice_eq(scan->group[j], choice->tags[i]))
            j++;
        if (j == scan->group_count)
            return af_fail(err, AF_EINVAL, "series are chosen by \"" AF_SLICE_FMT "\", which is no part of the group, or out of order",
                           AF_SLICE_ARG(choice->tags[i]));
    }
    return AF_OK;
}

static enum af_status check_scan(const struct af_plan_scan *scan, struct af_error *err)
{
    if (scan->measurement == NULL || scan->field_count == 0)
        return af_fail(err, AF_EINVAL, "a measurement and at least one field are needed");
    if (scan->start_ns > scan->stop_ns)
        return af_fail(err, AF_EINVAL, "the range ends before it starts");
    for (size_t i = 0; i < scan->field_count; i++) {
        enum af_type type = scan->field_types[i];
        if (type != AF_TYPE_F64 && type != AF_TYPE_I64 && type != AF_TYPE_U64 && type != AF_TYPE_BOOL && type != AF_TYPE_STRING)
            return af_fail(err, AF_EINVAL, "field \"%s\" has type %s", scan->fields[i], af_type_name(type));
    }
    for (size_t i = 1; i < scan->group_count; i++)
        if (af_slice_cmp(scan->group[i - 1], scan->group[i]) >= 0)
            return af_fail(err, AF_EINVAL, "names of the group do not ascend at \"" AF_SLICE_FMT "\"", AF_SLICE_ARG(scan->group[i]));
    return check_choice(scan, err);
}

static enum af_status check_fold(const struct af_node *node, struct af_error *err)
{
    const struct af_plan_aggregate *aggregate = &node->fold.aggregate;
    const struct af_plan_scan *scan = &node->fold.scan;
    AF_TRY(check_scan(scan, err));
    if (scan->filter != NULL || scan->rows_hint != 0 || scan->tag_count != 0 || scan->choice.is_made)
        return af_fail(err, AF_EINVAL, "the scan has a filter, tags, a hint or a choice of series, which a store does not fold");
    for (size_t i = 0; i < aggregate->call_count; i++) {
        const struct af_plan_call *call = &aggregate->calls[i];
        if (call->column == 0 || call->column > scan->field_count || scan->field_types[call->column - 1] != call->call.type)
            return af_fail(err, AF_EINVAL, "call %zu takes column %zu, which is not a field of its type", i, call->column);
        if (af_fn_folds(&call->call) == 0)
            return af_fail(err, AF_EINVAL, "no store folds \"%s\"", af_fn_get(call->call.id)->name);
    }
    return check_calls(aggregate, err);
}

static enum af_status check_aggregate(const struct af_node *node, struct af_error *err)
{
    const struct af_plan_aggregate *aggregate = &node->aggregate;
    AF_TRY(check_time(node, err));
    for (size_t i = 0; i < aggregate->call_count; i++)
        AF_TRY(check_call(&aggregate->calls[i].call, &node->inputs[0]->schema, aggregate->calls[i].column, err));
    return check_calls(aggregate, err);
}

static enum af_status check_map(const struct af_node *node, struct af_error *err)
{
    const struct af_plan_map *map = &node->map;
    if (!map->drops_time)
        AF_TRY(check_time(node, err));
    if (map->drops_time && map->count + map->key_count == 0)
        return af_fail(err, AF_EINVAL, "no columns are left");
    for (size_t i = 0; i < map->count; i++) {
        AF_TRY(expr_check(map->exprs[i], &node->inputs[0]->schema, err));
        if (map->names[i] == NULL)
            return af_fail(err, AF_EINVAL, "a column without a name");
    }
    return AF_OK;
}

static enum af_status check_regroup(const struct af_node *node, struct af_error *err)
{
    const struct af_schema *schema = &node->inputs[0]->schema;
    struct key_names keys = node_keys(node->inputs[0]);
    for (size_t i = 0; i < node->regroup.group_count; i++) {
        struct af_slice name = node->regroup.group[i];
        bool is_first = i == 0 || (i == 1 && af_slice_is(node->regroup.group[0], AF_KEY_MEASUREMENT));
        if (!is_first && af_slice_cmp(node->regroup.group[i - 1], name) >= 0)
            return af_fail(err, AF_EINVAL, "names of the group do not ascend at \"" AF_SLICE_FMT "\"", AF_SLICE_ARG(name));
        size_t column = af_schema_find(schema, name);
        if (keys.is_known && !keys_hold(&keys, name) &&
            (column == SIZE_MAX || (schema->fields[column].type != AF_TYPE_STRING && schema->fields[column].type != AF_TYPE_NULL)))
            return af_fail(err, AF_EINVAL, "\"" AF_SLICE_FMT "\" is neither part of the key nor a column of text", AF_SLICE_ARG(name));
    }
    return AF_OK;
}

static enum af_status check_select(const struct af_node *node, struct af_error *err)
{
    const struct af_plan_select *select = &node->select;
    const struct af_schema *schema = &node->inputs[0]->schema;
    AF_TRY(check_time(node, err));
    AF_TRY(check_window(&select->window, select->start_ns, select->stop_ns, err));
    AF_TRY(check_call(&select->call, schema, select->column, err));
    if (af_fn_get(select->call.id)->kind != AF_FN_KIND_SELECTOR)
        return af_fail(err, AF_EINVAL, "\"%s\" does not choose rows", af_fn_get(select->call.id)->name);
    if (select->by_count != 0 && select->call.id != AF_FN_TOP && select->call.id != AF_FN_BOTTOM)
        return af_fail(err, AF_EINVAL, "\"%s\" does not choose by other columns", af_fn_get(select->call.id)->name);
    for (size_t i = 0; i < select->by_count; i++)
        if (select->by[i] >= schema->field_count)
            return af_fail(err, AF_EINVAL, "rows are chosen by column %zu of %zu", select->by[i], schema->field_count);
    return AF_OK;
}

static enum af_status check_transform(const struct af_node *node, struct af_error *err)
{
    const struct af_plan_transform *transform = &node->transform;
    AF_TRY(check_time(node, err));
    AF_TRY(check_call(&transform->call, &node->inputs[0]->schema, transform->column, err));
    if (af_fn_get(transform->call.id)->kind != AF_FN_KIND_TRANSFORM)
        return af_fail(err, AF_EINVAL, "\"%s\" does not make a column of a column", af_fn_get(transform->call.id)->name);
    if (transform->name == NULL)
        return af_fail(err, AF_EINVAL, "a column without a name");
    return AF_OK;
}

static enum af_status check_fill(const struct af_node *node, struct af_error *err)
{
    const struct af_plan_fill *fill = &node->fill;
    const struct af_schema *schema = &node->inputs[0]->schema;
    AF_TRY(check_time(node, err));
    AF_TRY(check_window(&fill->window, fill->start_ns, fill->stop_ns, err));
    if (af_window_is_none(&fill->window))
        return af_fail(err, AF_EINVAL, "no windows to fill");
    for (size_t i = 0; i + 1 < schema->field_count; i++) {
        if (fill->modes[i] != AF_FILL_VALUE)
            continue;
        if (fill->values == NULL)
            return af_fail(err, AF_EINVAL, "no value for column \"%s\"", schema->fields[1 + i].name);
        AF_TRY(check_value(&fill->values[i], &schema->fields[1 + i], err));
    }
    return AF_OK;
}

/* Streams that meet have equal names in their keys, or keys would have no order. */
static enum af_status check_meeting(const struct af_node *node, struct af_error *err)
{
    struct key_names first = { 0 };
    if (node->input_count == 0)
        return af_fail(err, AF_EINVAL, "no inputs");
    for (size_t i = 0; i < node->input_count; i++) {
        struct key_names keys = node_keys(node->inputs[i]);
        if (!first.is_known)
            first = keys;
        else if (keys.is_known && !keys_eq(&first, &keys))
            return af_fail(err, AF_EINVAL, "input %zu is grouped otherwise than those before", i);
    }
    return AF_OK;
}

static enum af_status check_join(const struct af_node *node, struct af_error *err)
{
    AF_TRY(check_meeting(node, err));
    AF_TRY(check_time(node, err));
    if (node->join.absent != AF_ABSENT_VALUE)
        return AF_OK;
    size_t at = 0;
    for (size_t i = 0; i < node->input_count; i++)
        for (size_t j = 1; j < node->inputs[i]->schema.field_count; j++) {
            if (node->join.values == NULL)
                return af_fail(err, AF_EINVAL, "no values for what is absent");
            AF_TRY(check_value(&node->join.values[at++], &node->inputs[i]->schema.fields[j], err));
        }
    return AF_OK;
}

static enum af_status check_union(const struct af_node *node, struct af_error *err)
{
    AF_TRY(check_meeting(node, err));
    for (size_t i = 1; i < node->input_count; i++)
        if (!schema_eq(&node->inputs[0]->schema, &node->inputs[i]->schema))
            return af_fail(err, AF_EINVAL, "input %zu has other columns than the first", i);
    return AF_OK;
}

static enum af_status check_filter(const struct af_node *node, struct af_error *err)
{
    AF_TRY(expr_check(node->filter, &node->inputs[0]->schema, err));
    if (node->filter->type != AF_TYPE_BOOL && node->filter->type != AF_TYPE_NULL)
        return af_fail(err, AF_EINVAL, "the expression is %s, not true or false", af_type_name(node->filter->type));
    return AF_OK;
}

static enum af_status check_inputs(const struct af_node *node, struct af_error *err)
{
    bool takes_many = node->kind == AF_NODE_JOIN || node->kind == AF_NODE_UNION;
    if (!takes_many && node->input_count != (node_is_leaf(node) ? 0U : 1U))
        return af_fail(err, AF_EINVAL, "%zu inputs", node->input_count);
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] == NULL)
            return af_fail(err, AF_EINVAL, "input %zu is missing", i);
    return AF_OK;
}

static enum af_status check_kind(const struct af_node *node, struct af_error *err)
{
    AF_TRY(check_inputs(node, err));
    switch (node->kind) {
    case AF_NODE_SCAN:
        return check_scan(&node->scan, err);
    case AF_NODE_FOLD:
        return check_fold(node, err);
    case AF_NODE_FILTER:
        return check_filter(node, err);
    case AF_NODE_MAP:
        return check_map(node, err);
    case AF_NODE_REGROUP:
        return check_regroup(node, err);
    case AF_NODE_AGGREGATE:
        return check_aggregate(node, err);
    case AF_NODE_SELECT:
        return check_select(node, err);
    case AF_NODE_TRANSFORM:
        return check_transform(node, err);
    case AF_NODE_FILL:
        return check_fill(node, err);
    case AF_NODE_JOIN:
        return check_join(node, err);
    case AF_NODE_UNION:
        return check_union(node, err);
    case AF_NODE_EMPTY: case AF_NODE_LIMIT: case AF_NODE_GROUP_LIMIT: case AF_NODE_DEDUPE:
        return AF_OK;
    }
    return af_fail(err, AF_EINVAL, "a node of kind %d", (int)node->kind);
}

enum af_status node_judge(struct af_arena *arena, const struct af_node *node, struct af_schema *out, struct af_error *err)
{
    AF_TRY(check_kind(node, err));
    AF_TRY(node_schema(arena, node, out, err));
    return node->kind == AF_NODE_SCAN && node->scan.filter != NULL ? expr_check(node->scan.filter, out, err) : AF_OK;
}

/* --- the whole --------------------------------------------------------------------------------------------------------------------- */

/* `seen`: nodes by number. A node that several take (the input of two branches) is fine; a number that two nodes have is not. */
static enum af_status check_tree(const struct af_plan *plan, const struct af_node *node, const struct af_node **seen, struct af_error *err)
{
    if (node->id >= plan->node_count)
        return af_fail(err, AF_EBUG, "plan: node %u of %u", node->id, plan->node_count);
    if (seen[node->id] == node)
        return AF_OK;
    if (seen[node->id] != NULL)
        return af_fail(err, AF_EBUG, "plan: two nodes have the number %u", node->id);
    seen[node->id] = node;
    for (size_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] == NULL || node->inputs[i]->id >= node->id)
            return af_fail(err, AF_EBUG, "plan: node %u (%s): input %zu does not come before it", node->id, node_name(node->kind), i);
        AF_TRY(check_tree(plan, node->inputs[i], seen, err));
    }
    struct af_error why = { 0 };
    struct af_schema schema;
    enum af_status status = node_judge(plan->arena, node, &schema, &why);
    if (status == AF_ENOMEM)
        return af_fail(err, status, "%s", why.message);
    if (status != AF_OK)
        return af_fail(err, AF_EBUG, "plan: node %u (%s): %s", node->id, node_name(node->kind), why.message);
    if (!schema_eq(&schema, &node->schema))
        return af_fail(err, AF_EBUG, "plan: node %u (%s) does not have the columns that it gives", node->id, node_name(node->kind));
    return AF_OK;
}

enum af_status af_plan_check(const struct af_plan *plan, struct af_error *err)
{
    if (plan->root == NULL)
        return af_fail(err, AF_EBUG, "plan: it has no root");
    const struct af_node **seen = af_arena_zero(plan->arena, plan->node_count, sizeof *seen);
    if (seen == NULL)
        return af_arena_fail(plan->arena, plan->node_count * sizeof *seen, "checking a plan", err);
    return check_tree(plan, plan->root, seen, err);
}
