/*
 * exec.c - a plan opened: one operator a node, inputs first; and what every pull has in common. See exec.h, exec_int.h.
 *
 *     af_exec_open -> struct query { exec, root }     the stream that the caller holds
 *                       root -> op -> op -> ... -> scans
 *
 * Who closes: an operator that was made closes its inputs with itself; where making it fails, its inputs are closed here.
 */
#include "exec/exec_int.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "os/clock.h"

enum { SLICE_ROWS = 256 * 1024 };

struct query {
    struct af_tables base;
    struct exec exec;
    struct op *root;
};

static const op_open_fn openers[] = {
    [AF_NODE_SCAN] = open_scan,           [AF_NODE_FOLD] = open_fold,     [AF_NODE_EMPTY] = open_empty,
    [AF_NODE_FILTER] = open_filter,       [AF_NODE_MAP] = open_map,       [AF_NODE_REGROUP] = open_regroup,
    [AF_NODE_AGGREGATE] = open_aggregate, [AF_NODE_SELECT] = open_select, [AF_NODE_TRANSFORM] = open_transform,
    [AF_NODE_FILL] = open_fill,           [AF_NODE_JOIN] = open_join,     [AF_NODE_UNION] = open_union,
    [AF_NODE_LIMIT] = open_limit,         [AF_NODE_GROUP_LIMIT] = open_group_limit,
    [AF_NODE_DEDUPE] = open_dedupe,
};

/* --- opening and closing ------------------------------------------------------------------------------------------------------- */

enum af_status op_new(struct exec *exec, const struct af_node *node, struct op **inputs, size_t bytes, const struct af_tables_ops *ops,
                      struct op **out, struct af_error *err)
{
    struct op *op = af_arena_zero(&exec->arena, 1, bytes);
    if (op == NULL)
        return af_arena_fail(&exec->arena, bytes, "an operator", err);
    op->base.ops = ops;
    op->exec = exec;
    op->node = node;
    op->inputs = inputs;
    op->input_count = node->input_count;
    *out = op;
    return AF_OK;
}

static void close_all(struct op **ops, size_t count)
{
    for (size_t i = 0; i < count; i++)
        op_close(ops[i]);
}

void op_close(struct op *op)
{
    if (op == NULL)
        return;
    op->base.ops->close(&op->base);
    close_all(op->inputs, op->input_count);
}

static enum af_status open_node(struct exec *exec, const struct af_node *node, struct op **out, struct af_error *err)
{
    struct op **inputs = af_arena_zero(&exec->arena, node->input_count + 1, sizeof(struct op *));
    if (inputs == NULL)
        return af_arena_fail(&exec->arena, sizeof(struct op *), "an operator", err);
    enum af_status status = AF_OK;
    for (size_t i = 0; status == AF_OK && i < node->input_count; i++)
        status = open_node(exec, node->inputs[i], &inputs[i], err);
    if (status == AF_OK && (size_t)node->kind >= sizeof openers / sizeof openers[0])
        status = af_fail(err, AF_EBUG, "a plan has a node of kind %d", (int)node->kind);
    if (status == AF_OK)
        status = openers[node->kind](exec, node, inputs, out, err);
    if (status != AF_OK)
        close_all(inputs, node->input_count);
    return status;
}

/* --- one pull ------------------------------------------------------------------------------------------------------------------ */

static bool is_set(const bool *flag)
{
    return flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED);
}

/* The deadline first: whoever watches it for the stores sets `cancel` too. */
enum af_status exec_poll(struct exec *exec, struct af_error *err)
{
    int64_t deadline = exec->options.limits.deadline_mono_ns;
    if (deadline != 0 && af_clock_mono_ns() >= deadline)
        return af_fail(err, AF_ELIMIT, "query-timeout limit exceeded");
    if (is_set(exec->options.cancel) || is_set(exec->options.gone))
        return af_fail(err, AF_ECANCELED, "query interrupted");
    return AF_OK;
}

static struct af_exec_node_stats *stats_of(const struct exec *exec, const struct af_node *node)
{
    const struct af_exec_stats *stats = exec->options.stats;
    return stats != NULL && stats->nodes != NULL ? &stats->nodes[node->id] : NULL;
}

enum af_status exec_count(struct exec *exec, const struct af_node *node, uint64_t points, uint64_t series, struct af_error *err)
{
    const struct af_exec_limits *limits = &exec->options.limits;
    uint64_t all_points = atomic_fetch_add_explicit(&exec->points, points, memory_order_relaxed) + points;
    uint64_t all_series = atomic_fetch_add_explicit(&exec->series, series, memory_order_relaxed) + series;
    struct af_exec_node_stats *stats = stats_of(exec, node);
    if (stats != NULL) {
        stats->points += points;
        stats->series += series;
    }
    /* The words that clients of the database know, one of them misspelt. */
    if (limits->points_max != 0 && all_points > limits->points_max)
        return af_fail(err, AF_ELIMIT, "max-select-point limit exceeed: (%llu/%llu)", (unsigned long long)all_points,
                       (unsigned long long)limits->points_max);
    if (limits->series_max != 0 && all_series > limits->series_max)
        return af_fail(err, AF_ELIMIT, "max-select-series limit exceeded: (%llu/%llu)", (unsigned long long)all_series,
                       (unsigned long long)limits->series_max);
    return AF_OK;
}

enum af_status op_next(struct op *op, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    AF_TRY(exec_poll(op->exec, err));
    struct af_exec_node_stats *stats = stats_of(op->exec, op->node);
    int64_t start_ns = stats != NULL && op->exec->options.analyze ? af_clock_mono_ns() : 0;
    *out = NULL;
    enum af_status status = op->base.ops->next(&op->base, arena, out, err);
    if (status == AF_ECANCELED) /* a store was stopped: why is told here */
        AF_TRY(exec_poll(op->exec, err));
    if (stats == NULL)
        return status;
    if (op->exec->options.analyze)
        stats->took_ns += af_clock_mono_ns() - start_ns;
    if (status == AF_OK && *out != NULL) {
        stats->tables++;
        stats->rows += (*out)->rows->row_count;
    }
    return status;
}

/* --- the stream ---------------------------------------------------------------------------------------------------------------- */

static void note_totals(struct exec *exec)
{
    struct af_exec_stats *stats = exec->options.stats;
    if (stats == NULL)
        return;
    stats->points = atomic_load_explicit(&exec->points, memory_order_relaxed);
    stats->series = atomic_load_explicit(&exec->series, memory_order_relaxed);
    stats->bytes_peak = atomic_load_explicit(&exec->bytes_peak, memory_order_relaxed);
}

static enum af_status query_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct query *query = (struct query *)tables;
    enum af_status status = op_next(query->root, arena, out, err);
    note_totals(&query->exec);
    return status;
}

static void query_close(struct af_tables *tables)
{
    struct query *query = (struct query *)tables;
    op_close(query->root);
    note_totals(&query->exec);
    af_arena_done(&query->exec.arena);
    af_free(query);
}

static const struct af_tables_ops query_ops = { query_next, query_close };

enum af_status af_exec_open(const struct af_exec_options *options, struct af_tables **out, struct af_error *err)
{
    struct query *query = af_alloc_zero(1, sizeof *query);
    if (query == NULL)
        return af_fail_nomem(err, "a query");
    query->base.ops = &query_ops;
    query->exec.options = *options;
    struct af_exec_limits *limits = &query->exec.options.limits;
    if (limits->bytes_max == 0)
        limits->bytes_max = AF_QUERY_BYTES_MAX;
    if (limits->windows_max == 0)
        limits->windows_max = AF_QUERY_WINDOWS_MAX;
    query->exec.slice_rows = SLICE_ROWS;
    af_arena_init(&query->exec.arena, limits->bytes_max);
    enum af_status status = open_node(&query->exec, options->plan->root, &query->root, err);
    if (status != AF_OK) {
        query->root = NULL;
        query_close(&query->base);
        return status;
    }
    *out = &query->base;
    return AF_OK;
}
