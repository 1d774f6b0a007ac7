/*
 * rules_share.c - JOIN of AGGREGATEs that read the same rows: read them once.
 *
 *     join                                       fill a previous, b previous; nulls too
 *       fill a previous                            aggregate a = mean(x), b = max(y)
 *         aggregate a = mean(x)                      scan cpu; fields x, y
 *           scan cpu; fields x              -->
 *       fill b previous
 *         aggregate b = max(y)
 *           scan cpu; fields y
 *
 * What JOIN gives where a branch has no row must be what the one AGGREGATE, or FILL, gives there: null, or the value of the fill. A call
 * passes over nulls, so a branch may as well see rows that have none of its own fields; where its column could have a value in such a row
 * (a tag, a constant), it is left alone. Each branch may be under a LIMIT of its own if the branches have the same rows.
 */
#include "plan/plan_int.h"

enum { ONE_BY_ONE = 64 };

/* Branches that became one. */
struct shared {
    const struct af_node *aggregate;     /* of the first; its input as it grew */
    const struct af_node *fill;          /* of the first; NULL: none */
    const struct af_node *limit;         /* over these; NULL: none */
    const struct af_node *input;
    const struct af_node *only;          /* the branch while it is one, or cannot be shared */
    bool is_open;                        /* others may join it */
    bool counts_fields;                  /* rows without any field of the SCAN below change nothing */
    struct af_plan_call *calls;
    enum af_fill_mode *modes;
    struct af_value *values;
    size_t *columns;                     /* of the JOIN's schema */
    size_t count;
};

static enum af_status no_memory(struct rules *rules, struct af_error *err)
{
    return af_arena_fail(rules->plan->arena, sizeof(struct af_node), "rewriting a plan", err);
}

/* --- inputs that differ in columns only --------------------------------------------------------------------------------------------- */

struct merging {
    size_t *map_a, *map_b;               /* where columns of a and b are */
    const struct af_node *node;          /* NULL: they do not go together */
};

static enum af_status merge(struct rules *rules, const struct af_node *a, const struct af_node *b, struct merging *out,
                            struct af_error *err);

static size_t tag_find(const struct af_slice *tags, size_t count, struct af_slice name)
{
    size_t i = 0;
    while (i < count && !af_slice_eq(tags[i], name))
        i++;
    return i;
}

static enum af_status merge_tags(struct rules *rules, const struct af_plan_scan *a, const struct af_plan_scan *b, struct af_plan_scan *out,
                                 struct af_error *err)
{
    struct af_slice *tags = af_arena_zero(rules->plan->arena, a->tag_count + b->tag_count + 1, sizeof *tags);
    if (tags == NULL)
        return no_memory(rules, err);
    size_t count = a->tag_count;
    if (count != 0)
        memcpy(tags, a->tags, count * sizeof *tags);
    for (size_t i = 0; i < b->tag_count; i++)
        if (tag_find(tags, count, b->tags[i]) == count)
            tags[count++] = b->tags[i];
    out->tags = tags;
    out->tag_count = count;
    return AF_OK;
}

static size_t field_find(const struct af_plan_scan *scan, const char *name, enum af_type type)
{
    for (size_t i = 0; i < scan->field_count; i++)
        if (scan->field_types[i] == type && strcmp(scan->fields[i], name) == 0)
            return i;
    return scan->field_count;
}

static enum af_status merge_fields(struct rules *rules, const struct af_plan_scan *a, const struct af_plan_scan *b,
                                   struct af_plan_scan *out, struct af_error *err)
{
    const char **fields = af_arena_zero(rules->plan->arena, a->field_count + b->field_count, sizeof *fields);
    enum af_type *types = af_arena_zero(rules->plan->arena, a->field_count + b->field_count, sizeof *types);
    if (fields == NULL || types == NULL)
        return no_memory(rules, err);
    size_t count = a->field_count;
    memcpy(fields, a->fields, count * sizeof *fields);
    memcpy(types, a->field_types, count * sizeof *types);
    for (size_t i = 0; i < b->field_count; i++) {
        if (field_find(a, b->fields[i], b->field_types[i]) != a->field_count)
            continue;
        fields[count] = b->fields[i];
        types[count++] = b->field_types[i];
    }
    out->fields = fields;
    out->field_types = types;
    out->field_count = count;
    return AF_OK;
}

/* The first one's columns keep their places among fields and tags. */
static void map_first(const struct af_plan_scan *from, const struct af_plan_scan *to, size_t *map)
{
    for (size_t i = 0; i < from->field_count; i++)
        map[1 + i] = 1 + i;
    for (size_t i = 0; i < from->tag_count; i++)
        map[1 + from->field_count + i] = 1 + to->field_count + i;
}

static void map_columns(const struct af_plan_scan *from, const struct af_plan_scan *to, size_t *map)
{
    for (size_t i = 0; i < from->field_count; i++)
        map[1 + i] = 1 + field_find(to, from->fields[i], from->field_types[i]);
    for (size_t i = 0; i < from->tag_count; i++)
        map[1 + from->field_count + i] = 1 + to->field_count + tag_find(to->tags, to->tag_count, from->tags[i]);
}

static enum af_status merge_scans(struct rules *rules, const struct af_node *a, const struct af_node *b, struct merging *out,
                                  struct af_error *err)
{
    if (a->scan.filter != NULL || b->scan.filter != NULL || a->scan.rows_hint != 0 || !scan_same(&a->scan, &b->scan, true))
        return AF_OK;
    struct af_node draft = *a;
    AF_TRY(merge_fields(rules, &a->scan, &b->scan, &draft.scan, err));
    AF_TRY(merge_tags(rules, &a->scan, &b->scan, &draft.scan, err));
    map_first(&a->scan, &draft.scan, out->map_a);
    map_columns(&b->scan, &draft.scan, out->map_b);
    return plan_add(rules->plan, &draft, &out->node, err);
}

static enum af_status merge_filters(struct rules *rules, const struct af_node *a, const struct af_node *b, struct merging *out,
                                    struct af_error *err)
{
    AF_TRY(merge(rules, a->inputs[0], b->inputs[0], out, err));
    const struct af_node *input = out->node;
    out->node = NULL;
    if (input == NULL)
        return AF_OK;
    const struct af_expr *of_a = expr_remap(rules->plan->arena, a->filter, out->map_a);
    const struct af_expr *of_b = expr_remap(rules->plan->arena, b->filter, out->map_b);
    if (of_a == NULL || of_b == NULL)
        return no_memory(rules, err);
    return expr_same(of_a, of_b) ? af_plan_filter(rules->plan, input, of_a, &out->node, err) : AF_OK;
}

/* The columns of a, behind them those of b that are not there yet. */
static enum af_status merge_maps(struct rules *rules, const struct af_node *a, const struct af_node *b, struct merging *out,
                                 struct af_error *err)
{
    struct af_arena *arena = rules->plan->arena;
    struct af_plan_map both = a->map;
    struct merging below;
    if (a->map.drops_time || b->map.drops_time || a->map.drops_empty != b->map.drops_empty || a->map.key_count != 0 ||
        b->map.key_count != 0)
        return AF_OK;
    const struct af_expr **exprs = af_arena_zero(arena, a->map.count + b->map.count + 1, sizeof *exprs);
    const char **names = af_arena_zero(arena, a->map.count + b->map.count + 1, sizeof *names);
    if (exprs == NULL || names == NULL)
        return no_memory(rules, err);
    AF_TRY(merge(rules, a->inputs[0], b->inputs[0], &below, err));
    if (below.node == NULL)
        return AF_OK;
    for (size_t i = 0; i < a->map.count; i++) {
        names[i] = a->map.names[i];
        exprs[i] = expr_remap(arena, a->map.exprs[i], below.map_a);
        if (exprs[i] == NULL)
            return no_memory(rules, err);
    }
    for (size_t i = 0; i < b->map.count; i++) {
        size_t at = 0;
        const struct af_expr *expr = expr_remap(arena, b->map.exprs[i], below.map_b);
        if (expr == NULL)
            return no_memory(rules, err);
        while (at < both.count && !expr_same(exprs[at], expr))
            at++;
        out->map_b[1 + i] = 1 + at;
        if (at != both.count)
            continue;
        exprs[at] = expr;
        names[both.count++] = b->map.names[i];
    }
    both.exprs = exprs;
    both.names = names;
    return af_plan_map(rules->plan, below.node, &both, &out->node, err);
}

static enum af_status merge(struct rules *rules, const struct af_node *a, const struct af_node *b, struct merging *out,
                            struct af_error *err)
{
    struct af_arena *arena = rules->plan->arena;
    *out = (struct merging){ .map_a = af_arena_zero(arena, a->schema.field_count, sizeof *out->map_a),
                             .map_b = af_arena_zero(arena, b->schema.field_count, sizeof *out->map_b) };
    if (out->map_a == NULL || out->map_b == NULL)
        return no_memory(rules, err);
    for (size_t i = 0; i < a->schema.field_count; i++)
        out->map_a[i] = i;
    for (size_t i = 0; i < b->schema.field_count; i++)
        out->map_b[i] = i;
    if (node_same(a, b)) {
        out->node = a;
        return AF_OK;
    }
    if (a->kind == AF_NODE_SCAN && b->kind == AF_NODE_SCAN)
        return merge_scans(rules, a, b, out, err);
    if (a->kind == AF_NODE_FILTER && b->kind == AF_NODE_FILTER)
        return merge_filters(rules, a, b, out, err);
    if (a->kind == AF_NODE_MAP && b->kind == AF_NODE_MAP)
        return merge_maps(rules, a, b, out, err);
    return AF_OK;
}

/* Is the column null in every row that has no field of the SCAN below? */
static enum af_status is_of_fields(struct rules *rules, const struct af_node *node, size_t column, bool *out, struct af_error *err)
{
    *out = false;
    if (node->kind == AF_NODE_FILTER)
        return is_of_fields(rules, node->inputs[0], column, out, err);
    if (node->kind == AF_NODE_SCAN) {
        *out = column != 0 && column <= node->scan.field_count;
        return AF_OK;
    }
    if (node->kind != AF_NODE_MAP || column == 0 || column > node->map.count)
        return AF_OK;
    size_t count = node->inputs[0]->schema.field_count;
    bool *witness = af_arena_zero(rules->plan->arena, count, 1);
    if (witness == NULL)
        return no_memory(rules, err);
    bool all = expr_witness(witness, node->map.exprs[column - 1]);
    for (size_t i = 0; i < count && all; i++)
        if (witness[i])
            AF_TRY(is_of_fields(rules, node->inputs[0], i, &all, err));
    *out = all;
    return AF_OK;
}

/* --- branches --------------------------------------------------------------------------------------------------------------- */

/* Has the branch, of every group, all rows that there can be, or none? */
static bool has_all_rows(const struct shared *branch)
{
    if (branch->fill == NULL)
        return af_window_is_none(&branch->aggregate->aggregate.window);
    return branch->fill->fill.start_ns != INT64_MIN && branch->fill->fill.stop_ns != INT64_MAX;
}

/* Is what the JOIN gives for column `at` (time apart), where this branch has no row, what the shared nodes would give? */
static bool absent_fits(const struct af_plan_join *join, const struct shared *branch, size_t i, size_t at)
{
    const struct af_value *value = join->absent == AF_ABSENT_VALUE ? &join->values[at] : NULL;
    bool is_null = value == NULL || value->type == AF_TYPE_NULL;
    if (branch->fill == NULL)
        return is_null && (join->absent != AF_ABSENT_KEEP || has_all_rows(branch));
    const struct af_plan_fill *fill = &branch->fill->fill;
    if (fill->modes[i] == AF_FILL_VALUE)
        return value != NULL && value_same(value, &fill->values[i]);
    if (!is_null)
        return false;
    if (has_all_rows(branch))
        return true;
    /* Rows of one branch begin where its first one is: before it there is nothing to go on from. Not so at the other end. */
    return join->absent == AF_ABSENT_NULL && (fill->modes[i] == AF_FILL_NULL || (!fill->descending && fill->stop_ns != INT64_MAX));
}

static enum af_status open_branch(struct rules *rules, const struct af_plan_join *join, const struct af_node *input, size_t first_column,
                                  struct shared *out, struct af_error *err)
{
    *out = (struct shared){ .only = input, .aggregate = input };
    if (input->kind == AF_NODE_LIMIT) {
        out->limit = input;
        out->aggregate = input->inputs[0];
    }
    if (out->aggregate->kind == AF_NODE_FILL) {
        out->fill = out->aggregate;
        out->aggregate = out->fill->inputs[0];
    }
    out->is_open = out->aggregate->kind == AF_NODE_AGGREGATE && out->aggregate->aggregate.stamp == AF_STAMP_START;
    bool forgets = join->nulls_too && out->limit != NULL && out->limit->limit.offset != 0; /* what the offset leaves out is not kept */
    if (!out->is_open || forgets || (out->limit != NULL && !has_all_rows(out))) {
        out->is_open = false;
        return AF_OK;
    }
    out->input = out->aggregate->inputs[0];
    out->counts_fields = true;
    for (size_t i = 0; i < out->aggregate->aggregate.call_count && out->counts_fields; i++)
        AF_TRY(is_of_fields(rules, out->input, out->aggregate->aggregate.calls[i].column, &out->counts_fields, err));
    if (out->fill != NULL && !out->fill->fill.nulls_too && out->aggregate->aggregate.call_count != 1)
        out->is_open = false; /* it may have nulls that are to stay */
    for (size_t i = 0; i < out->aggregate->aggregate.call_count && out->is_open; i++)
        out->is_open = absent_fits(join, out, i, first_column - 1 + i);
    return AF_OK;
}

static bool is_alike(const struct shared *a, const struct shared *b)
{
    if (!a->is_open || !b->is_open || (a->fill == NULL) != (b->fill == NULL) || (a->limit == NULL) != (b->limit == NULL) ||
        (a->limit != NULL && (a->limit->limit.offset != b->limit->limit.offset || a->limit->limit.count != b->limit->limit.count)) ||
        !aggregate_same(&a->aggregate->aggregate, &b->aggregate->aggregate, true))
        return false;
    if (a->fill == NULL)
        return true;
    const struct af_plan_fill *x = &a->fill->fill, *y = &b->fill->fill;
    return window_eq(&x->window, &y->window) && x->start_ns == y->start_ns && x->stop_ns == y->stop_ns && x->descending == y->descending;
}

/* Room for so many calls in all; what is there stays. */
static enum af_status make_room(struct rules *rules, struct shared *shared, size_t cap, struct af_error *err)
{
    struct af_arena *arena = rules->plan->arena;
    struct shared old = *shared;
    shared->calls = af_arena_zero(arena, cap + 1, sizeof *shared->calls);
    shared->modes = af_arena_zero(arena, cap + 1, sizeof *shared->modes);
    shared->values = af_arena_zero(arena, cap + 1, sizeof *shared->values);
    shared->columns = af_arena_zero(arena, cap + 1, sizeof *shared->columns);
    if (shared->calls == NULL || shared->modes == NULL || shared->values == NULL || shared->columns == NULL)
        return no_memory(rules, err);
    if (old.count == 0)
        return AF_OK;
    memcpy(shared->calls, old.calls, old.count * sizeof *old.calls);
    memcpy(shared->modes, old.modes, old.count * sizeof *old.modes);
    memcpy(shared->values, old.values, old.count * sizeof *old.values);
    memcpy(shared->columns, old.columns, old.count * sizeof *old.columns);
    return AF_OK;
}

/* The calls of `more` behind those that are there; where their columns are now says `map`. */
static enum af_status append(struct rules *rules, struct shared *shared, const struct shared *more, const size_t *map, struct af_error *err)
{
    AF_TRY(make_room(rules, shared, shared->count + more->count, err));
    for (size_t i = 0; i < more->count; i++, shared->count++) {
        shared->calls[shared->count] = more->calls[i];
        shared->calls[shared->count].column = map[more->calls[i].column];
        shared->modes[shared->count] = more->modes[i];
        shared->values[shared->count] = more->values[i];
        shared->columns[shared->count] = more->columns[i];
    }
    return AF_OK;
}

/* *out_done: the branches of `more` are in `shared` now. */
static enum af_status share(struct rules *rules, struct shared *shared, const struct shared *more, bool *out_done, struct af_error *err)
{
    struct merging merging;
    *out_done = false;
    if (!is_alike(shared, more))
        return AF_OK;
    AF_TRY(merge(rules, shared->input, more->input, &merging, err));
    if (merging.node == NULL)
        return AF_OK;
    bool is_equal = merging.node == shared->input && node_same(shared->input, more->input);
    if (!is_equal && (!shared->counts_fields || !more->counts_fields))
        return AF_OK;
    for (size_t i = 0; i < shared->count; i++)
        shared->calls[i].column = merging.map_a[shared->calls[i].column];
    AF_TRY(append(rules, shared, more, merging.map_b, err));
    shared->input = merging.node;
    shared->counts_fields = shared->counts_fields && more->counts_fields;
    shared->only = NULL;
    *out_done = true;
    return AF_OK;
}

static enum af_status new_shared(struct rules *rules, const struct af_node *join, size_t number, size_t first_column, struct shared *out,
                                 struct af_error *err)
{
    AF_TRY(open_branch(rules, &join->join, join->inputs[number], first_column, out, err));
    const struct af_plan_aggregate *aggregate = &out->aggregate->aggregate;
    size_t count = out->is_open ? aggregate->call_count : out->only->schema.field_count - 1;
    AF_TRY(make_room(rules, out, count, err));
    for (; out->count < count; out->count++) {
        size_t i = out->count;
        out->columns[i] = first_column + i;
        if (!out->is_open)
            continue;
        out->calls[i] = aggregate->calls[i];
        if (out->fill == NULL)
            continue;
        out->modes[i] = out->fill->fill.modes[i];
        out->values[i] = out->fill->fill.modes[i] == AF_FILL_VALUE ? out->fill->fill.values[i] : af_value_none();
    }
    return AF_OK;
}

/* --- the rule --------------------------------------------------------------------------------------------------------------- */

static enum af_status build(struct rules *rules, const struct shared *shared, const struct af_node **out, struct af_error *err)
{
    if (shared->only != NULL) {
        *out = shared->only;
        return AF_OK;
    }
    struct af_plan_aggregate aggregate = shared->aggregate->aggregate;
    aggregate.calls = shared->calls;
    aggregate.call_count = shared->count;
    AF_TRY(af_plan_aggregate(rules->plan, shared->input, &aggregate, out, err));
    if (shared->fill != NULL) {
        struct af_plan_fill fill = shared->fill->fill;
        fill.modes = shared->modes;
        fill.values = shared->values;
        fill.nulls_too = true;
        AF_TRY(af_plan_fill(rules->plan, *out, &fill, out, err));
    }
    return shared->limit != NULL ? rules_on_input(rules, shared->limit, *out, out, err) : AF_OK;
}

/* Columns in the order in which they were. */
static enum af_status reorder(struct rules *rules, const struct af_node *join, const size_t *order, const struct af_node **out,
                              struct af_error *err)
{
    struct af_arena *arena = rules->plan->arena;
    size_t count = join->schema.field_count - 1;
    bool is_same = true;
    const struct af_expr **exprs = af_arena_zero(arena, count + 1, sizeof *exprs);
    const char **names = af_arena_zero(arena, count + 1, sizeof *names);
    if (exprs == NULL || names == NULL)
        return no_memory(rules, err);
    for (size_t at = 0; at < count; at++) {
        size_t column = order[at] - 1;
        is_same = is_same && column == at;
        names[column] = join->schema.fields[order[at]].name;
        exprs[column] = af_expr_column(arena, &(*out)->schema, 1 + at);
        if (exprs[column] == NULL)
            return no_memory(rules, err);
    }
    return is_same ? AF_OK : af_plan_map(rules->plan, *out, &(struct af_plan_map){ .exprs = exprs, .names = names, .count = count }, out,
                                         err);
}

static enum af_status assemble(struct rules *rules, const struct af_node *join, const struct shared *shared, size_t count,
                               const struct af_node **out, struct af_error *err)
{
    struct af_arena *arena = rules->plan->arena;
    const struct af_node **inputs = af_arena_zero(arena, count, sizeof *inputs);
    size_t *order = af_arena_zero(arena, join->schema.field_count, sizeof *order); /* the old column at each new place */
    struct af_value *values = af_arena_zero(arena, join->schema.field_count, sizeof *values);
    if (inputs == NULL || order == NULL || values == NULL)
        return no_memory(rules, err);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        AF_TRY(build(rules, &shared[i], &inputs[i], err));
        for (size_t j = 0; j < shared[i].count; j++, at++) {
            order[at] = shared[i].columns[j];
            values[at] = join->join.absent == AF_ABSENT_VALUE ? join->join.values[order[at] - 1] : af_value_none();
        }
    }
    *out = inputs[0];
    if (count > 1) {
        struct af_plan_join settings = join->join;
        settings.values = values;
        AF_TRY(af_plan_join(rules->plan, inputs, count, &settings, out, err));
    }
    return reorder(rules, join, order, out, err);
}

/* Inputs [first, first + count) of the JOIN as few branches: those of a second part into those of the first. A few are taken one by one,
 * which
 * finds most that is equal; of many, halves, because a branch is copied whenever it grows: each of thousands of columns a dozen times. */
static enum af_status share_range(struct rules *rules, const struct af_node *join, const size_t *columns, size_t first, size_t count,
                                  struct shared *list, size_t *out_count, struct af_error *err)
{
    const size_t part = count > ONE_BY_ONE ? count / 2 : count - 1;
    size_t left, right;
    if (count == 1) {
        *out_count = 1;
        return new_shared(rules, join, first, columns[first], list, err);
    }
    AF_TRY(share_range(rules, join, columns, first, part, list, &left, err));
    AF_TRY(share_range(rules, join, columns, first + part, count - part, list + left, &right, err));
    *out_count = left;
    for (size_t i = left; i < left + right; i++) {
        bool done = false;
        for (size_t j = 0; j < left && !done; j++)
            AF_TRY(share(rules, &list[j], &list[i], &done, err));
        if (!done)
            list[(*out_count)++] = list[i];
    }
    return AF_OK;
}

enum af_status rule_share_branches(struct rules *rules, const struct af_node *node, const struct af_node **out, struct af_error *err)
{
    struct af_arena *arena = rules->plan->arena;
    size_t count;
    *out = node;
    if (node->kind != AF_NODE_JOIN || node->input_count < 2)
        return AF_OK;
    struct shared *list = af_arena_zero(arena, node->input_count, sizeof *list);
    size_t *columns = af_arena_zero(arena, node->input_count, sizeof *columns); /* the first of each input */
    if (list == NULL || columns == NULL)
        return no_memory(rules, err);
    columns[0] = 1;
    for (size_t i = 1; i < node->input_count; i++)
        columns[i] = columns[i - 1] + node->inputs[i - 1]->schema.field_count - 1;
    AF_TRY(share_range(rules, node, columns, 0, node->input_count, list, &count, err));
    return count == node->input_count ? AF_OK : assemble(rules, node, list, count, out, err);
}
