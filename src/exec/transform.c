/*
 * transform.c - TRANSFORM: one column through a function that looks at rows in order (fn.h). A function keeps one state for a group; what
 * it holds back comes at the group's end. Rows outside the range served only to have something before the first row, and are left out.
 */
#include "exec/build.h"

struct transform {
    struct op op;
    const struct af_plan_transform *plan;
    struct groups groups;
    struct mem mem;                      /* of the state */
    struct af_transform *state;          /* NULL: no group at hand */
    const struct af_group_key *key;
    bool is_ending;                      /* all rows of the group are in */
};

/* What a function gave: times and values without nulls. */
struct given {
    int64_t *times;
    struct af_column values;
    size_t count;
};

static bool in_range(const struct af_plan_transform *plan, int64_t t)
{
    return t >= plan->start_ns && (t < plan->stop_ns || plan->stop_ns == INT64_MAX);
}

/* Rows outside the range leave `given`. They are at its ends, times being in order. */
static enum af_status cut_to_range(const struct transform *transform, struct given *given, struct af_arena *arena, struct af_error *err)
{
    size_t first = 0, stop = given->count;
    if (transform->plan->call.id == AF_FN_WINDOW_INTEGRAL)
        return AF_OK; /* its rows are windows, which may begin before the range */
    while (first < stop && !in_range(transform->plan, given->times[first]))
        first++;
    while (stop > first && !in_range(transform->plan, given->times[stop - 1]))
        stop--;
    if (stop - first == given->count)
        return AF_OK;
    struct af_column values;
    if (stop > first) {
        AF_TRY(columns_slice(&given->values, first, stop - first, arena, &values, err));
        given->values = values;
    }
    given->times += first;
    given->count = stop - first;
    return AF_OK;
}

static enum af_status give(const struct transform *transform, struct given *given, struct af_arena *arena, const struct af_table **out,
                           struct af_error *err)
{
    *out = NULL;
    AF_TRY(cut_to_range(transform, given, arena, err));
    if (given->count == 0)
        return AF_OK;
    const struct af_column columns[2] = { { .type = AF_TYPE_TIME, .i64 = given->times }, given->values };
    return table_make(&transform->op, transform->key, columns, given->count, arena, out, err);
}

static enum af_status add_table(struct transform *transform, const struct af_table *table, struct af_arena *arena, struct given *out,
                                struct af_error *err)
{
    const struct af_batch *rows = table->rows;
    AF_TRY(af_transform_add(transform->state, rows->columns[0].i64, &rows->columns[transform->plan->column], rows->row_count, arena,
                            &out->times, &out->values, &out->count, err));
    return mem_charge(&transform->mem, err);
}

/* The next rows of the group at hand; *out_done: there are no more. */
static enum af_status more(struct transform *transform, struct af_arena *arena, struct given *out, bool *out_done, struct af_error *err)
{
    *out_done = false;
    *out = (struct given){ 0 };
    if (!transform->is_ending) {
        const struct af_table *table;
        AF_TRY(groups_next(&transform->groups, &table, err));
        if (table != NULL)
            return add_table(transform, table, arena, out, err);
        transform->is_ending = true;
    }
    AF_TRY(exec_poll(transform->op.exec, err));
    AF_TRY(af_transform_end(transform->state, AF_BATCH_ROWS, arena, &out->times, &out->values, &out->count, err));
    *out_done = out->count == 0;
    return mem_charge(&transform->mem, err);
}

static enum af_status begin_group(struct transform *transform, struct af_error *err)
{
    transform->state = NULL;
    transform->is_ending = false;
    mem_reset(&transform->mem);
    AF_TRY(groups_begin(&transform->groups, &transform->key, err));
    if (transform->key == NULL)
        return AF_OK;
    AF_TRY(af_transform_new(&transform->plan->call, transform->plan->descending, &transform->mem.arena, &transform->state, err));
    return mem_charge(&transform->mem, err);
}

static enum af_status transform_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct transform *transform = (struct transform *)tables;
    *out = NULL;
    while (*out == NULL) {
        struct given given;
        bool is_done;
        if (transform->state == NULL) {
            AF_TRY(begin_group(transform, err));
            if (transform->key == NULL)
                return AF_OK;
        }
        AF_TRY(more(transform, arena, &given, &is_done, err));
        AF_TRY(give(transform, &given, arena, out, err));
        if (is_done)
            transform->state = NULL;
    }
    return AF_OK;
}

static void transform_close(struct af_tables *tables)
{
    struct transform *transform = (struct transform *)tables;
    groups_done(&transform->groups);
    mem_done(&transform->mem);
}

enum af_status open_transform(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    static const struct af_tables_ops ops = { transform_next, transform_close };
    struct op *op;
    AF_TRY(op_new(exec, node, inputs, sizeof(struct transform), &ops, &op, err));
    struct transform *transform = (struct transform *)op;
    transform->plan = &node->transform;
    groups_init(&transform->groups, exec, inputs[0]);
    mem_init(&transform->mem, exec);
    *out = op;
    return AF_OK;
}
