/*
 * bounds.c - from when to when the groups of a scan have data, and how much: see scan_int.h.
 *
 * One folded scan over all of it: COUNT, FIRST and LAST of every field. Where blocks lie inside the range whole, their statistics answer.
 */
#include "exec/scan_int.h"

static enum af_status make_folds(const struct af_plan_scan *scan, struct af_arena *arena, struct af_fold **out, struct af_error *err)
{
    struct af_fold *folds = af_arena_zero(arena, scan->field_count * 3, sizeof *folds);
    if (folds == NULL)
        return arena_fail(arena, scan->field_count * 3 * sizeof *folds, err);
    for (size_t i = 0; i < scan->field_count; i++) {
        folds[3 * i] = (struct af_fold){ AF_FOLD_COUNT, scan->fields[i] };
        folds[3 * i + 1] = (struct af_fold){ AF_FOLD_FIRST, scan->fields[i] };
        folds[3 * i + 2] = (struct af_fold){ AF_FOLD_LAST, scan->fields[i] };
    }
    *out = folds;
    return AF_OK;
}

/* What a row says, field by field. */
static void widen(struct bounds *bounds, const struct af_batch *batch, size_t row, size_t field_count)
{
    for (size_t i = 0; i < field_count; i++) {
        const struct af_column *columns = &batch->columns[2 + 6 * i];
        if (!af_column_has(&columns[0], row) || columns[0].i64[row] == 0)
            continue;
        int64_t first_ns = columns[3].i64[row];
        int64_t last_ns = columns[5].i64[row];
        uint64_t rows = (uint64_t)columns[0].i64[row];
        bool is_new = bounds->rows == 0;
        bounds->first_ns = is_new || first_ns < bounds->first_ns ? first_ns : bounds->first_ns;
        bounds->last_ns = is_new || last_ns > bounds->last_ns ? last_ns : bounds->last_ns;
        bounds->rows = rows > bounds->rows ? rows : bounds->rows;
    }
}

struct finder {
    const struct af_plan_scan *scan;
    const struct series_set *set;
    struct bounds *bounds;
    size_t at;                           /* groups before it, ascending, are done */
};

/* Rows and groups both ascend. A group that the store has no row for has no data. */
static enum af_status take_row(struct finder *finder, const struct af_batch *batch, size_t row, struct af_arena *arena,
                               struct af_error *err)
{
    const struct af_plan_scan *scan = finder->scan;
    const struct af_group_key *key =
        series_group_key(scan->measurement, scan->group, scan->group_count, af_column_text(&batch->columns[0], row), arena);
    if (key == NULL)
        return arena_fail(arena, 0, err);
    size_t count = finder->set->group_count;
    for (; finder->at < count; finder->at++) {
        size_t group = scan->descending ? count - 1 - finder->at : finder->at;
        int order = af_group_key_compare(finder->set->groups[group].key, key);
        if (order == 0)
            widen(&finder->bounds[group], batch, row, scan->field_count);
        if (order >= 0)
            break;
    }
    return AF_OK;
}

static enum af_status read_all(struct finder *finder, struct exec *exec, struct af_stream *stream, struct af_error *err)
{
    struct mem mem;
    mem_init(&mem, exec);
    struct af_batch *batch = NULL;
    enum af_status status;
    while ((status = af_stream_next(stream, &mem.arena, &batch, err)) == AF_OK && batch != NULL) {
        for (size_t row = 0; status == AF_OK && row < batch->row_count; row++)
            status = take_row(finder, batch, row, &mem.arena, err);
        if (status == AF_OK)
            status = exec_poll(exec, err);
        if (status != AF_OK)
            break;
        mem_reset(&mem);
    }
    mem_done(&mem);
    return status;
}

enum af_status bounds_find(struct exec *exec, const struct af_node *node, const struct series_set *set, struct af_arena *arena,
                           struct bounds **out, struct af_error *err)
{
    const struct af_plan_scan *s = &node->scan;
    struct af_store *store = exec->options.stores[s->source];
    *out = NULL;
    if ((store->caps & AF_STORE_CAN_FOLD) == 0)
        return AF_OK;
    struct finder finder = { .scan = s, .set = set, .bounds = af_arena_zero(arena, set->group_count, sizeof *finder.bounds) };
    struct af_fold *folds = NULL;
    if (finder.bounds == NULL)
        return arena_fail(arena, set->group_count * sizeof *finder.bounds, err);
    AF_TRY(make_folds(s, arena, &folds, err));
    struct af_scan scan = { .measurement = s->measurement, .start_ns = s->start_ns, .stop_ns = s->stop_ns, .predicate = s->predicate,
                            .cancel = exec->options.cancel, .folds = folds, .fold_count = s->field_count * 3, .group = s->group,
                            .group_count = s->group_count, .workers = exec->options.workers };
    struct af_stream *stream;
    AF_TRY(af_store_scan(store, &scan, &stream, err));
    enum af_status status = read_all(&finder, exec, stream, err);
    af_stream_close(stream);
    if (status == AF_OK)
        *out = finder.bounds;
    return status;
}
