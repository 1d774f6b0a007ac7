/*
 * aggregate.c - AGGREGATE: one row a window.
 *
 * Rows are cut into runs of one window, and a run is handed to each call as it is. Where rows come ordered by time, one window is at work
 * at a time, and its row goes out when the next one begins; where they do not (SCAN gives series one after the other), all windows of the
 * group are kept until its end (states.h).
 */
#include "exec/states.h"

enum phase { BETWEEN_GROUPS, READING, GIVING };
struct aggregate {
    struct op op;
    const struct af_plan_aggregate *plan;
    struct windows windows;
    struct groups groups;
    struct states states;
    size_t *offsets;                     /* of each call's state, in a window's */
    struct af_value *values;             /* of the window that is finished */
    bool is_ordered;                     /* rows of the input, by time: one window at a time */
    enum phase phase;
    const struct af_group_key *key;
    const struct af_table *table;        /* READING: NULL: pull */
    size_t row;
    struct window_state *window;         /* at work, if is_ordered */
    uint64_t window_count;               /* of the group, if is_ordered */
    size_t given;                        /* GIVING: windows */
    struct build build;
};

/* --- rows in ---------------------------------------------------------------------------------------------------------------- */

static enum af_status add_run(struct aggregate *aggregate, struct window_state *window, size_t first, size_t count, struct af_error *err)
{
    const struct af_plan_aggregate *plan = aggregate->plan;
    const struct af_batch *rows = aggregate->table->rows;
    for (size_t i = 0; i < plan->call_count; i++) {
        const struct af_fn_call *call = &plan->calls[i].call;
        const struct af_column *column = &rows->columns[plan->calls[i].column];
        AF_TRY(af_fn_add(call, (char *)window + aggregate->offsets[i], rows->columns[0].i64, column, first, count,
                         &aggregate->states.mem.arena, err));
    }
    return AF_OK;
}

/* --- rows out --------------------------------------------------------------------------------------------------------------- */

static enum af_status give_window(struct aggregate *aggregate, struct window_state *window, struct af_error *err)
{
    const struct af_plan_aggregate *plan = aggregate->plan;
    int64_t point_ns = window->start_ns;
    bool has_row = false;
    for (size_t i = 0; i < plan->call_count; i++) {
        aggregate->values[i] = af_value_none();
        AF_TRY(af_fn_finish(&plan->calls[i].call, (char *)window + aggregate->offsets[i], &aggregate->states.mem.arena,
                            &aggregate->values[i], &point_ns, err));
        has_row |= aggregate->values[i].type != AF_TYPE_NULL;
    }
    AF_TRY(states_charge(&aggregate->states, err));
    if (!has_row)
        return AF_OK;
    struct af_value stamp = af_value_time(plan->stamp == AF_STAMP_POINT ? point_ns : window->start_ns);
    AF_TRY(grower_value(&aggregate->build.columns[0], &stamp, err));
    for (size_t i = 0; i < plan->call_count; i++)
        AF_TRY(grower_value(&aggregate->build.columns[1 + i], &aggregate->values[i], err));
    aggregate->build.rows++;
    return AF_OK;
}

static enum af_status give_windows(struct aggregate *aggregate, struct af_error *err)
{
    const struct states *states = &aggregate->states;
    while (aggregate->given < states->count && build_room(&aggregate->build) != 0) {
        size_t at = aggregate->plan->descending ? states->count - 1 - aggregate->given : aggregate->given;
        aggregate->given++;
        AF_TRY(give_window(aggregate, states->slots[at].state, err));
    }
    return AF_OK;
}

/* The window that begins at `start_ns`, made if it is new. */
static enum af_status enter_window(struct aggregate *aggregate, int64_t start_ns, struct window_state **out, struct af_error *err)
{
    if (!aggregate->is_ordered)
        return states_at(&aggregate->states, start_ns, out, err);
    if (aggregate->window == NULL || aggregate->window->start_ns != start_ns) {
        if (aggregate->window != NULL)
            AF_TRY(give_window(aggregate, aggregate->window, err));
        aggregate->window = NULL;
        if (++aggregate->window_count > aggregate->op.exec->options.limits.windows_max)
            return windows_fail(aggregate->op.exec, err);
        AF_TRY(states_only(&aggregate->states, start_ns, &aggregate->window, err));
    }
    *out = aggregate->window;
    return AF_OK;
}

/* Rows of the table at hand, until the output is full. */
static enum af_status add_rows(struct aggregate *aggregate, struct af_error *err)
{
    const struct af_batch *rows = aggregate->table->rows;
    const int64_t *times = rows->columns[0].i64;
    while (aggregate->row < rows->row_count && build_room(&aggregate->build) != 0) {
        struct window_state *window = NULL;
        struct span span;
        int64_t start_ns = 0;
        size_t first = aggregate->row;
        bool is_inside = windows_around(&aggregate->windows, times[first], &span, &start_ns);
        aggregate->row = windows_run_end(&span, times, first, rows->row_count, aggregate->is_ordered);
        if (!is_inside)
            continue;
        AF_TRY(enter_window(aggregate, start_ns, &window, err));
        AF_TRY(add_run(aggregate, window, first, aggregate->row - first, err));
    }
    if (aggregate->row == rows->row_count)
        aggregate->table = NULL;
    return mem_charge(&aggregate->states.mem, err);
}

/* --- the stream ------------------------------------------------------------------------------------------------------------- */

static enum af_status begin_group(struct aggregate *aggregate, struct af_error *err)
{
    states_clear(&aggregate->states);
    aggregate->window = NULL;
    aggregate->table = NULL;
    aggregate->window_count = 0;
    aggregate->given = 0;
    AF_TRY(groups_begin(&aggregate->groups, &aggregate->key, err));
    aggregate->phase = READING;
    return AF_OK;
}

static enum af_status read_rows(struct aggregate *aggregate, struct af_error *err)
{
    if (aggregate->table == NULL) {
        AF_TRY(groups_next(&aggregate->groups, &aggregate->table, err));
        aggregate->row = 0;
    }
    if (aggregate->table != NULL)
        return add_rows(aggregate, err);
    aggregate->phase = GIVING;
    return states_sort(&aggregate->states, err);
}

static enum af_status aggregate_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct aggregate *aggregate = (struct aggregate *)tables;
    *out = NULL;
    aggregate->build = (struct build){ 0 };
    for (;;) {
        if (aggregate->phase == BETWEEN_GROUPS)
            AF_TRY(begin_group(aggregate, err));
        if (aggregate->key == NULL)
            return AF_OK;
        AF_TRY(build_begin(&aggregate->build, &aggregate->op, arena, err));
        if (aggregate->phase == READING)
            AF_TRY(read_rows(aggregate, err));
        else
            AF_TRY(give_windows(aggregate, err));
        bool is_over = aggregate->phase == GIVING && aggregate->given == aggregate->states.count;
        if (build_room(&aggregate->build) != 0 && !is_over)
            continue;
        AF_TRY(build_take(&aggregate->build, aggregate->key, out, err));
        if (is_over)
            aggregate->phase = BETWEEN_GROUPS;
        if (*out != NULL)
            return AF_OK;
    }
}

static void aggregate_close(struct af_tables *tables)
{
    struct aggregate *aggregate = (struct aggregate *)tables;
    groups_done(&aggregate->groups);
    states_done(&aggregate->states);
}

/* --- opening ---------------------------------------------------------------------------------------------------------------- */

/* Rows of its groups are in order of time: of all nodes but a SCAN that was told it need not be, and those that pass its rows on. */
static bool is_ordered(const struct af_node *node)
{
    while (node->kind == AF_NODE_FILTER || node->kind == AF_NODE_MAP || node->kind == AF_NODE_LIMIT || node->kind == AF_NODE_GROUP_LIMIT ||
           node->kind == AF_NODE_DEDUPE)
        node = node->inputs[0];
    return node->kind != AF_NODE_SCAN || !node->scan.unordered;
}

/* Where each call's state lies behind the head of a window's. */
static size_t lay_out(const struct af_plan_aggregate *plan, size_t *offsets)
{
    size_t bytes = sizeof(struct window_state);
    for (size_t i = 0; i < plan->call_count; i++) {
        offsets[i] = bytes;
        bytes += (af_fn_state_bytes(&plan->calls[i].call) + 15) / 16 * 16;
    }
    return bytes;
}

enum af_status open_aggregate(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    static const struct af_tables_ops ops = { aggregate_next, aggregate_close };
    const struct af_plan_aggregate *plan = &node->aggregate;
    struct op *op;
    size_t *offsets = af_arena_zero(&exec->arena, plan->call_count, sizeof *offsets);
    struct af_value *values = af_arena_zero(&exec->arena, plan->call_count, sizeof *values);
    if (offsets == NULL || values == NULL)
        return af_arena_fail(&exec->arena, plan->call_count * sizeof *values, "calls of an aggregation", err);
    AF_TRY(op_new(exec, node, inputs, sizeof(struct aggregate), &ops, &op, err));
    struct aggregate *aggregate = (struct aggregate *)op;
    aggregate->plan = plan;
    aggregate->offsets = offsets;
    aggregate->values = values;
    aggregate->is_ordered = is_ordered(inputs[0]->node);
    windows_init(&aggregate->windows, &plan->window, plan->start_ns, plan->stop_ns);
    if (plan->uncut)
        windows_uncut(&aggregate->windows);
    states_init(&aggregate->states, exec, &aggregate->windows, lay_out(plan, offsets));
    groups_init(&aggregate->groups, exec, inputs[0]);
    *out = op;
    return AF_OK;
}
