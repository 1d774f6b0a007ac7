/* node.c - the calls that build a plan, and the schema of each kind of node. What fits and what does not is in check.c. */
#include "plan/plan_int.h"
#include "base/limits.h"

/* --- schemas --------------------------------------------------------------------------------------------------------------------- */

static const struct af_field time_field = { .name = "time", .type = AF_TYPE_TIME };

static struct af_field field_of(const char *name, enum af_type type)
{
    return (struct af_field){ .name = name, .type = type, .is_nullable = true };
}

static enum af_status new_fields(struct af_arena *arena, size_t count, struct af_field **out, struct af_error *err)
{
    if (count > AF_COLUMNS_MAX)
        return af_fail(err, AF_ELIMIT, "%zu columns are more than the %d that a table may have", count, (int)AF_COLUMNS_MAX);
    *out = af_arena_zero(arena, count + 1, sizeof **out); /* room for time where there is none */
    return *out != NULL ? AF_OK : af_arena_fail(arena, count * sizeof **out, "the columns of a plan", err);
}

/* Columns of text, named like tags. */
static enum af_status tag_fields(struct af_arena *arena, const struct af_slice *tags, size_t count, struct af_field *out,
                                 struct af_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = af_arena_copy(arena, tags[i]);
        if (name == NULL)
            return af_arena_fail(arena, tags[i].len + 1, "the name of a column", err);
        out[i] = field_of(name, AF_TYPE_STRING);
    }
    return AF_OK;
}

static enum af_status scan_schema(struct af_arena *arena, const struct af_plan_scan *scan, struct af_schema *out, struct af_error *err)
{
    struct af_field *fields;
    AF_TRY(new_fields(arena, 1 + scan->field_count + scan->tag_count, &fields, err));
    fields[0] = time_field;
    for (size_t i = 0; i < scan->field_count; i++)
        fields[1 + i] = field_of(scan->fields[i], scan->field_types[i]);
    AF_TRY(tag_fields(arena, scan->tags, scan->tag_count, fields + 1 + scan->field_count, err));
    *out = (struct af_schema){ 1 + scan->field_count + scan->tag_count, fields };
    return AF_OK;
}

static enum af_status calls_schema(struct af_arena *arena, const struct af_plan_aggregate *aggregate, struct af_schema *out,
                                   struct af_error *err)
{
    struct af_field *fields;
    AF_TRY(new_fields(arena, 1 + aggregate->call_count, &fields, err));
    fields[0] = time_field;
    for (size_t i = 0; i < aggregate->call_count; i++) {
        enum af_type type;
        AF_TRY(call_type(&aggregate->calls[i].call, &type, err));
        fields[1 + i] = field_of(aggregate->calls[i].name, type);
    }
    *out = (struct af_schema){ 1 + aggregate->call_count, fields };
    return AF_OK;
}

static enum af_status map_schema(struct af_arena *arena, const struct af_plan_map *map, struct af_schema *out, struct af_error *err)
{
    struct af_field *fields;
    size_t at = map->drops_time ? 0 : 1;
    AF_TRY(new_fields(arena, at + map->count + map->key_count, &fields, err));
    fields[0] = time_field;
    for (size_t i = 0; i < map->count; i++)
        fields[at + i] = field_of(map->names[i], map->exprs[i]->type);
    AF_TRY(tag_fields(arena, map->keys, map->key_count, fields + at + map->count, err));
    *out = (struct af_schema){ at + map->count + map->key_count, fields };
    return AF_OK;
}

static enum af_status transform_schema(struct af_arena *arena, const struct af_plan_transform *transform, struct af_schema *out,
                                       struct af_error *err)
{
    struct af_field *fields;
    enum af_type type;
    AF_TRY(call_type(&transform->call, &type, err));
    AF_TRY(new_fields(arena, 2, &fields, err));
    fields[0] = time_field;
    fields[1] = field_of(transform->name, type);
    *out = (struct af_schema){ 2, fields };
    return AF_OK;
}

static enum af_status join_schema(struct af_arena *arena, const struct af_node *node, struct af_schema *out, struct af_error *err)
{
    struct af_field *fields;
    size_t count = 1;
    for (size_t i = 0; i < node->input_count; i++)
        count += node->inputs[i]->schema.field_count - 1;
    AF_TRY(new_fields(arena, count, &fields, err));
    fields[0] = time_field;
    size_t at = 1;
    for (size_t i = 0; i < node->input_count; i++) {
        const struct af_schema *from = &node->inputs[i]->schema;
        memcpy(fields + at, from->fields + 1, (from->field_count - 1) * sizeof *fields);
        at += from->field_count - 1;
    }
    *out = (struct af_schema){ count, fields };
    return AF_OK;
}

enum af_status node_schema(struct af_arena *arena, const struct af_node *node, struct af_schema *out, struct af_error *err)
{
    switch (node->kind) {
    case AF_NODE_SCAN:
        return scan_schema(arena, &node->scan, out, err);
    case AF_NODE_FOLD:
        return calls_schema(arena, &node->fold.aggregate, out, err);
    case AF_NODE_AGGREGATE:
        return calls_schema(arena, &node->aggregate, out, err);
    case AF_NODE_MAP:
        return map_schema(arena, &node->map, out, err);
    case AF_NODE_TRANSFORM:
        return transform_schema(arena, &node->transform, out, err);
    case AF_NODE_JOIN:
        return join_schema(arena, node, out, err);
    case AF_NODE_EMPTY:
        *out = node->schema;
        return AF_OK;
    case AF_NODE_FILTER: case AF_NODE_REGROUP: case AF_NODE_SELECT: case AF_NODE_FILL: case AF_NODE_UNION: case AF_NODE_LIMIT:
    case AF_NODE_GROUP_LIMIT: case AF_NODE_DEDUPE:
        break;
    }
    *out = node->inputs[0]->schema;
    return AF_OK;
}

/* --- nodes ----------------------------------------------------------------------------------------------------------------------- */

void af_plan_init(struct af_plan *plan, struct af_arena *arena)
{
    *plan = (struct af_plan){ .arena = arena };
}

enum af_status plan_add(struct af_plan *plan, const struct af_node *draft, const struct af_node **out, struct af_error *err)
{
    struct af_schema schema;
    enum af_status status = node_judge(plan->arena, draft, &schema, err);
    if (status != AF_OK) {
        af_error_prefix(err, "%s: ", node_name(draft->kind));
        return status;
    }
    struct af_node *node = af_arena_zero(plan->arena, 1, sizeof *node);
    const struct af_node **inputs = af_arena_zero(plan->arena, draft->input_count + 1, sizeof *inputs);
    if (node == NULL || inputs == NULL)
        return af_arena_fail(plan->arena, sizeof *node, "a node of the plan", err);
    for (size_t i = 0; i < draft->input_count; i++)
        inputs[i] = draft->inputs[i];
    *node = *draft;
    node->id = plan->node_count++;
    node->schema = schema;
    node->inputs = inputs;
    *out = node;
    return AF_OK;
}

static struct af_node draft_of(enum af_node_kind kind, const struct af_node *const *inputs, size_t count)
{
    struct af_node draft;
    memset(&draft, 0, sizeof draft);
    draft.kind = kind;
    draft.inputs = inputs;
    draft.input_count = count;
    return draft;
}

enum af_status af_plan_scan(struct af_plan *plan, const struct af_plan_scan *scan, const struct af_node **out, struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_SCAN, NULL, 0);
    draft.scan = *scan;
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_empty(struct af_plan *plan, const struct af_schema *schema, const struct af_node **out, struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_EMPTY, NULL, 0);
    draft.schema = *schema;
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_filter(struct af_plan *plan, const struct af_node *in, const struct af_expr *filter, const struct af_node **out,
                              struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_FILTER, &in, 1);
    draft.filter = filter;
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_map(struct af_plan *plan, const struct af_node *in, const struct af_plan_map *map, const struct af_node **out,
                           struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_MAP, &in, 1);
    draft.map = *map;
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_regroup(struct af_plan *plan, const struct af_node *in, const struct af_slice *group, size_t group_count,
                               bool descending, const struct af_node **out, struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_REGROUP, &in, 1);
    draft.regroup.group = group;
    draft.regroup.group_count = group_count;
    draft.regroup.descending = descending;
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_aggregate(struct af_plan *plan, const struct af_node *in, const struct af_plan_aggregate *aggregate,
                                 const struct af_node **out, struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_AGGREGATE, &in, 1);
    draft.aggregate = *aggregate;
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_select(struct af_plan *plan, const struct af_node *in, const struct af_plan_select *select,
                              const struct af_node **out, struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_SELECT, &in, 1);
    draft.select = *select;
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_transform(struct af_plan *plan, const struct af_node *in, const struct af_plan_transform *transform,
                                 const struct af_node **out, struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_TRANSFORM, &in, 1);
    draft.transform = *transform;
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_fill(struct af_plan *plan, const struct af_node *in, const struct af_plan_fill *fill, const struct af_node **out,
                            struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_FILL, &in, 1);
    draft.fill = *fill;
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_join(struct af_plan *plan, const struct af_node *const *in, size_t count, const struct af_plan_join *join,
                            const struct af_node **out, struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_JOIN, in, count);
    draft.join = *join;
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_union(struct af_plan *plan, const struct af_node *const *in, size_t count, bool descending,
                             const struct af_node **out, struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_UNION, in, count);
    draft.merge.descending = descending;
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_limit(struct af_plan *plan, const struct af_node *in, uint64_t offset, uint64_t count, bool of_groups,
                             const struct af_node **out, struct af_error *err)
{
    struct af_node draft = draft_of(of_groups ? AF_NODE_GROUP_LIMIT : AF_NODE_LIMIT, &in, 1);
    draft.limit = (struct af_plan_limit){ .offset = offset, .count = count };
    return plan_add(plan, &draft, out, err);
}

enum af_status af_plan_dedupe(struct af_plan *plan, const struct af_node *in, const struct af_node **out, struct af_error *err)
{
    struct af_node draft = draft_of(AF_NODE_DEDUPE, &in, 1);
    return plan_add(plan, &draft, out, err);
}
