/* same.c - do two parts of plans mean the same? No is always a safe answer. */
#include "plan/plan_int.h"
#include "base/regex.h"

/* Bit for bit: -0 is not 0, and a NaN is itself. */
bool value_same(const struct af_value *a, const struct af_value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case AF_TYPE_NULL:
        return true;
    case AF_TYPE_BOOL:
        return a->boolean == b->boolean;
    case AF_TYPE_STRING:
        return af_slice_eq(a->text, b->text);
    default:
        return a->u64 == b->u64;
    }
}

static bool values_same(const struct af_value *a, const struct af_value *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!value_same(&a[i], &b[i]))
            return false;
    return true;
}

static bool regex_same(const struct af_regex *a, const struct af_regex *b)
{
    if (a == b)
        return true;
    return a != NULL && b != NULL && af_slice_eq(af_regex_pattern(a), af_regex_pattern(b));
}

bool expr_same(const struct af_expr *a, const struct af_expr *b)
{
    if (a == b)
        return true;
    if (a == NULL || b == NULL || a->kind != b->kind || a->type != b->type)
        return false;
    if (a->kind == AF_EXPR_COLUMN)
        return a->column == b->column;
    if (a->kind == AF_EXPR_LITERAL)
        return value_same(&a->value, &b->value);
    if (a->fn != b->fn || a->arg_count != b->arg_count || !regex_same(a->regex, b->regex))
        return false;
    for (size_t i = 0; i < a->arg_count; i++)
        if (!expr_same(a->args[i], b->args[i]))
            return false;
    return true;
}

bool predicate_same(const struct af_predicate *a, const struct af_predicate *b)
{
    if (a == b)
        return true;
    if (a == NULL || b == NULL || a->op != b->op)
        return false;
    if (a->op == AF_PREDICATE_AND || a->op == AF_PREDICATE_OR || a->op == AF_PREDICATE_NOT) {
        bool same = a->item_count == b->item_count;
        for (size_t i = 0; same && i < a->item_count; i++)
            same = predicate_same(a->items[i], b->items[i]);
        return same;
    }
    bool is_regex = a->op == AF_PREDICATE_MATCH || a->op == AF_PREDICATE_NOT_MATCH;
    return af_slice_eq(a->tag, b->tag) && (is_regex ? regex_same(a->regex, b->regex) : af_slice_eq(a->value, b->value));
}

static bool slices_same(const struct af_slice *a, size_t a_count, const struct af_slice *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (!af_slice_eq(a[i], b[i]))
            return false;
    return true;
}

static bool columns_same(const struct af_plan_scan *a, const struct af_plan_scan *b)
{
    if (a->field_count != b->field_count || !slices_same(a->tags, a->tag_count, b->tags, b->tag_count))
        return false;
    for (size_t i = 0; i < a->field_count; i++)
        if (a->field_types[i] != b->field_types[i] || strcmp(a->fields[i], b->fields[i]) != 0)
            return false;
    return expr_same(a->filter, b->filter);
}

static bool choice_same(const struct af_plan_choice *a, const struct af_plan_choice *b)
{
    if (!a->is_made || !b->is_made)
        return a->is_made == b->is_made;
    return a->offset == b->offset && a->count == b->count && slices_same(a->tags, a->tag_count, b->tags, b->tag_count);
}

bool scan_same(const struct af_plan_scan *a, const struct af_plan_scan *b, bool but_columns)
{
    return a->source == b->source && strcmp(a->measurement, b->measurement) == 0 && a->start_ns == b->start_ns &&
           a->stop_ns == b->stop_ns &&
           a->tags_null == b->tags_null && a->unordered == b->unordered && a->descending == b->descending && a->rows_hint == b->rows_hint &&
           slices_same(a->group, a->group_count, b->group, b->group_count) && predicate_same(a->predicate, b->predicate) &&
           choice_same(&a->choice, &b->choice) && (but_columns || columns_same(a, b));
}

static bool call_same(const struct af_fn_call *a, const struct af_fn_call *b)
{
    return a->id == b->id && a->type == b->type && a->param_count == b->param_count && values_same(a->params, b->params, a->param_count);
}

bool aggregate_same(const struct af_plan_aggregate *a, const struct af_plan_aggregate *b, bool but_calls)
{
    if (!window_eq(&a->window, &b->window) || a->start_ns != b->start_ns || a->stop_ns != b->stop_ns || a->stamp != b->stamp ||
        a->uncut != b->uncut || a->descending != b->descending)
        return false;
    if (but_calls)
        return true;
    if (a->call_count != b->call_count)
        return false;
    for (size_t i = 0; i < a->call_count; i++)
        if (a->calls[i].column != b->calls[i].column || !call_same(&a->calls[i].call, &b->calls[i].call))
            return false;
    return true; /* names are in the schema */
}

static bool map_same(const struct af_plan_map *a, const struct af_plan_map *b)
{
    if (a->count != b->count || !slices_same(a->keys, a->key_count, b->keys, b->key_count) || a->drops_time != b->drops_time ||
        a->drops_empty != b->drops_empty)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!expr_same(a->exprs[i], b->exprs[i]))
            return false;
    return true;
}

static bool select_same(const struct af_plan_select *a, const struct af_plan_select *b)
{
    return window_eq(&a->window, &b->window) && a->start_ns == b->start_ns && a->stop_ns == b->stop_ns && call_same(&a->call, &b->call) &&
           a->call.id != AF_FN_SAMPLE && a->column == b->column && a->by_count == b->by_count && a->stamp_start == b->stamp_start &&
           a->uncut == b->uncut && a->descending == b->descending && (a->by_count == 0 || memcmp(a->by, b->by,
                                                                                                 a->by_count * sizeof *a->by) == 0);
}

static bool transform_same(const struct af_plan_transform *a, const struct af_plan_transform *b)
{
    return call_same(&a->call, &b->call) && a->column == b->column && a->start_ns == b->start_ns && a->stop_ns == b->stop_ns &&
           a->descending == b->descending;
}

static bool fill_same(const struct af_plan_fill *a, const struct af_plan_fill *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (a->modes[i] != b->modes[i] || (a->modes[i] == AF_FILL_VALUE && !value_same(&a->values[i], &b->values[i])))
            return false;
    return window_eq(&a->window, &b->window) && a->start_ns == b->start_ns && a->stop_ns == b->stop_ns && a->nulls_too == b->nulls_too &&
           a->descending == b->descending;
}

static bool join_same(const struct af_plan_join *a, const struct af_plan_join *b, size_t count)
{
    return a->absent == b->absent && a->descending == b->descending && a->nulls_too == b->nulls_too &&
           (a->absent != AF_ABSENT_VALUE || values_same(a->values, b->values, count));
}

static bool settings_same(const struct af_node *a, const struct af_node *b)
{
    size_t count = a->schema.field_count;
    switch (a->kind) {
    case AF_NODE_SCAN:
        return scan_same(&a->scan, &b->scan, false);
    case AF_NODE_FOLD:
        return scan_same(&a->fold.scan, &b->fold.scan, false) && aggregate_same(&a->fold.aggregate, &b->fold.aggregate, false);
    case AF_NODE_FILTER:
        return expr_same(a->filter, b->filter);
    case AF_NODE_MAP:
        return map_same(&a->map, &b->map);
    case AF_NODE_REGROUP:
        return a->regroup.descending == b->regroup.descending &&
               slices_same(a->regroup.group, a->regroup.group_count, b->regroup.group, b->regroup.group_count);
    case AF_NODE_AGGREGATE:
        return aggregate_same(&a->aggregate, &b->aggregate, false);
    case AF_NODE_SELECT:
        return select_same(&a->select, &b->select);
    case AF_NODE_TRANSFORM:
        return transform_same(&a->transform, &b->transform);
    case AF_NODE_FILL:
        return fill_same(&a->fill, &b->fill, count - 1);
    case AF_NODE_JOIN:
        return join_same(&a->join, &b->join, count - 1);
    case AF_NODE_UNION:
        return a->merge.descending == b->merge.descending;
    case AF_NODE_LIMIT: case AF_NODE_GROUP_LIMIT:
        return a->limit.offset == b->limit.offset && a->limit.count == b->limit.count;
    case AF_NODE_EMPTY: case AF_NODE_DEDUPE:
        return true;
    }
    return false;
}

bool node_same(const struct af_node *a, const struct af_node *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->input_count != b->input_count || !schema_eq(&a->schema, &b->schema) || !settings_same(a, b))
        return false;
    for (size_t i = 0; i < a->input_count; i++)
        if (!node_same(a->inputs[i], b->inputs[i]))
            return false;
    return true;
}
