/*
 * scan.c - SCAN: rows of a measurement, by groups; see plan.h and scan_int.h.
 *
 *     one pass      every group is one series (or its order does not matter): one scan of the store with the series in group order; its
 *                   batches are cut where the group changes
 *     group by      anything else: a scan of its own for each group, straight through where it is one series and time ascends,
 *     group         in slices where series must be merged or time turned around
 *
 * A store that takes no lists of series is asked for a group by the values of its tags.
 *
 * A batch that belongs to one group whole goes out as it came, in the arena of the pull. One that must be cut waits in `pending`.
 */
#include "base/limits.h"
#include "exec/scan_int.h"

enum { SLICE_ROWS_MIN = 512, HINT_ROWS_MIN = 1024 };

struct scan {
    struct op op;
    struct series_set set;
    const struct series_set *numbers;    /* &set, or NULL: series are not told apart */
    bool is_begun, is_one_pass;
    size_t group;                        /* at hand, if group by group */
    uint64_t given;                      /* rows of it */
    bool is_in_group, is_sliced;
    struct source source;
    struct mem pending_mem;
    struct piece pending;                /* rows from pending_at on are left */
    size_t pending_at;
    bool was_cut;                        /* the last batch; the next one will be too */
    struct slices slices;
    struct mem group_mem;                /* the predicate of the group at hand */
};

static const struct af_plan_scan *settings(const struct scan *scan)
{
    return &scan->op.node->scan;
}

static bool takes_lists(const struct scan *scan)
{
    return (scan->op.exec->options.stores[settings(scan)->source]->caps & AF_STORE_CAN_SERIES) != 0;
}

/* Do the rows of a group come out right as the store gives them? */
static bool is_straight(const struct scan *scan, const struct series_group *group)
{
    return settings(scan)->unordered || (group->count == 1 && !settings(scan)->descending);
}

/* --- pieces cut by group ---------------------------------------------------------------------------------------------------------- */

static size_t run_length(const struct scan *scan, const struct piece *piece, size_t at)
{
    if (piece->series == NULL || piece->is_one_series)
        return piece->rows - at;
    const uint32_t *group_of = scan->set.group_of;
    uint32_t group = group_of[piece->series[at]];
    size_t end = at + 1;
    while (end < piece->rows && (piece->series[end] == piece->series[end - 1] || group_of[piece->series[end]] == group))
        end++;
    return end - at;
}

static const struct af_group_key *key_of(const struct scan *scan, const struct piece *piece, size_t at)
{
    return scan->set.groups[piece->series != NULL ? scan->set.group_of[piece->series[at]] : 0].key;
}

static enum af_status keep_piece(struct scan *scan, const struct piece *piece, struct af_error *err)
{
    struct af_arena *arena = &scan->pending_mem.arena;
    size_t column_count = scan->op.node->schema.field_count;
    mem_reset(&scan->pending_mem);
    scan->pending = (struct piece){ .rows = piece->rows };
    scan->pending.columns = af_arena_zero(arena, column_count, sizeof *piece->columns);
    uint32_t *series = af_arena_array(arena, piece->rows, sizeof *series);
    if (scan->pending.columns == NULL || series == NULL)
        return mem_fail(&scan->pending_mem, piece->rows * sizeof *series, err);
    for (size_t i = 0; i < column_count; i++)
        AF_TRY(columns_copy(&piece->columns[i], piece->rows, arena, &scan->pending.columns[i], err));
    memcpy(series, piece->series, piece->rows * sizeof *series);
    scan->pending.series = series;
    return mem_charge(&scan->pending_mem, err);
}

static enum af_status give_pending(struct scan *scan, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    size_t at = scan->pending_at;
    size_t count = run_length(scan, &scan->pending, at);
    size_t column_count = scan->op.node->schema.field_count;
    struct af_column *columns = af_arena_zero(arena, column_count, sizeof *columns);
    if (columns == NULL)
        return arena_fail(arena, column_count * sizeof *columns, err);
    for (size_t i = 0; i < column_count; i++) {
        struct af_column part;
        AF_TRY(columns_slice(&scan->pending.columns[i], at, count, &scan->pending_mem.arena, &part, err));
        AF_TRY(columns_copy(&part, count, arena, &columns[i], err));
    }
    scan->pending_at += count;
    return table_make(&scan->op, key_of(scan, &scan->pending, at), columns, count, arena, out, err);
}

static void drop_pending(struct scan *scan)
{
    scan->pending.rows = scan->pending_at = 0;
    mem_reset(&scan->pending_mem);
}

/* The next table of the open source; *out NULL: it is at its end. */
static enum af_status stream_next(struct scan *scan, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    *out = NULL;
    struct af_arena *work = scan->was_cut ? &scan->pending_mem.arena : arena;
    while (scan->pending_at == scan->pending.rows) {
        struct piece piece;
        bool is_end;
        drop_pending(scan);
        AF_TRY(source_next(&scan->source, work, &piece, &is_end, err));
        if (is_end)
            return AF_OK;
        if (piece.rows > 0) {
            scan->was_cut = run_length(scan, &piece, 0) != piece.rows;
            if (work == arena && !scan->was_cut)
                return table_make(&scan->op, key_of(scan, &piece, 0), piece.columns, piece.rows, arena, out, err);
            if (work == arena)
                AF_TRY(keep_piece(scan, &piece, err));
            else
                scan->pending = piece;
        }
        work = &scan->pending_mem.arena; /* a batch of which nothing is left must not pile up in the caller's */
    }
    return give_pending(scan, arena, out, err);
}

/* --- groups ------------------------------------------------------------------------------------------------------------------------- */

static enum af_status open_source(struct scan *scan, const struct af_predicate *predicate, const struct af_slice *list, size_t list_count,
                                  struct af_error *err)
{
    const struct af_plan_scan *s = settings(scan);
    int64_t last_ns = s->stop_ns == INT64_MAX || s->stop_ns == INT64_MIN ? s->stop_ns : s->stop_ns - 1;
    AF_TRY(source_open(&scan->source, scan->op.exec, scan->op.node, scan->numbers, predicate, list, list_count, s->start_ns, last_ns, err));
    scan->source.wants_tags = true;
    drop_pending(scan);
    return AF_OK;
}

/* The scan's own predicate and the group's values of its tags. */
static enum af_status group_predicate(struct scan *scan, const struct series_group *group, const struct af_predicate **out,
                                      struct af_error *err)
{
    const struct af_plan_scan *s = settings(scan);
    mem_reset(&scan->group_mem);
    struct af_arena *arena = &scan->group_mem.arena;
    struct af_predicate *tests = af_arena_zero(arena, s->group_count + 1, sizeof *tests);
    const struct af_predicate **items = af_arena_zero(arena, s->group_count + 1, sizeof *items);
    if (tests == NULL || items == NULL)
        return mem_fail(&scan->group_mem, s->group_count * sizeof *tests, err);
    size_t count = 0;
    if (s->predicate != NULL)
        items[count++] = s->predicate;
    for (size_t i = 0; i < s->group_count; i++) {
        const struct af_key_part *part = &group->key->parts[i + 1];
        tests[i] = (struct af_predicate){ .op = AF_PREDICATE_EQUAL, .tag = part->name, .value = part->value.text };
        items[count++] = &tests[i];
    }
    tests[s->group_count] = (struct af_predicate){ .op = AF_PREDICATE_AND, .items = items, .item_count = count };
    *out = &tests[s->group_count];
    return AF_OK;
}

static enum af_status begin_group(struct scan *scan, struct af_error *err)
{
    const struct series_group *group = &scan->set.groups[scan->group];
    const struct af_predicate *predicate = settings(scan)->predicate;
    bool by_list = takes_lists(scan) && scan->numbers != NULL;
    if (!by_list && settings(scan)->group_count > 0)
        AF_TRY(group_predicate(scan, group, &predicate, err));
    scan->given = 0;
    scan->is_in_group = true;
    scan->is_sliced = !is_straight(scan, group);
    if (scan->is_sliced)
        slices_begin(&scan->slices, group, predicate);
    else if (by_list)
        return open_source(scan, NULL, scan->set.keys + group->first, group->count, err);
    else
        return open_source(scan, predicate, NULL, 0, err);
    return AF_OK;
}

static void end_group(struct scan *scan)
{
    if (!scan->is_sliced)
        source_close(&scan->source);
    drop_pending(scan);
    scan->is_in_group = false;
    scan->group++;
}

static bool has_enough(const struct scan *scan)
{
    return settings(scan)->rows_hint != 0 && scan->given >= settings(scan)->rows_hint;
}

static enum af_status group_by_group(struct scan *scan, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    for (; scan->group < scan->set.group_count; end_group(scan)) {
        if (!scan->is_in_group)
            AF_TRY(begin_group(scan, err));
        if (has_enough(scan))
            continue;
        if (scan->is_sliced)
            AF_TRY(slices_next(&scan->slices, &scan->op, arena, out, err));
        else
            AF_TRY(stream_next(scan, arena, out, err));
        if (*out == NULL)
            continue;
        scan->given += (*out)->rows->row_count;
        return AF_OK;
    }
    *out = NULL;
    return AF_OK;
}

/* --- the beginning ------------------------------------------------------------------------------------------------------------------ */

/* Such that a slice, its order and its growing take a quarter of the budget. */
static uint64_t rows_aim(const struct scan *scan)
{
    const struct af_plan_scan *s = settings(scan);
    uint64_t row_bytes = 64 + 16 * (1 + (uint64_t)s->field_count);
    uint64_t most = scan->op.exec->options.limits.bytes_max / 4 / row_bytes;
    uint64_t aim = scan->op.exec->slice_rows;
    if (s->rows_hint != 0 && s->rows_hint < aim)
        aim = s->rows_hint > HINT_ROWS_MIN || HINT_ROWS_MIN > aim ? s->rows_hint : HINT_ROWS_MIN;
    most = most < SLICE_ROWS_MIN ? SLICE_ROWS_MIN : most;
    return aim < most ? aim : most;
}

static bool are_all_straight(const struct scan *scan)
{
    for (size_t i = 0; i < scan->set.group_count; i++)
        if (!is_straight(scan, &scan->set.groups[i]))
            return false;
    return true;
}

static enum af_status begin(struct scan *scan, struct af_error *err)
{
    const struct af_plan_scan *s = settings(scan);
    if (s->field_count == 0 || s->start_ns >= s->stop_ns) /* no rows; no groups were found either */
        return AF_OK;
    if (s->group_count == 0 && s->tag_count == 0 && s->unordered && !s->choice.is_made) {
        AF_TRY(series_unlisted(&scan->set, scan->op.exec, scan->op.node, err));
    } else {
        AF_TRY(series_list(&scan->set, scan->op.exec, scan->op.node, err));
        scan->numbers = &scan->set;
    }
    slices_init(&scan->slices, scan->op.exec, scan->op.node, &scan->set, rows_aim(scan));
    bool is_straight_whole = are_all_straight(scan);
    scan->is_one_pass = is_straight_whole && s->rows_hint == 0 && scan->set.group_count > 1 && takes_lists(scan);
    if (scan->is_one_pass)
        return open_source(scan, NULL, scan->set.keys, scan->set.count, err);
    if (!is_straight_whole && s->rows_hint != 0)
        return slices_ask(&scan->slices, err);
    return AF_OK;
}

static enum af_status scan_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct scan *scan = (struct scan *)tables;
    if (!scan->is_begun) {
        scan->is_begun = true;
        AF_TRY(begin(scan, err));
    }
    return scan->is_one_pass ? stream_next(scan, arena, out, err) : group_by_group(scan, arena, out, err);
}

static void scan_close(struct af_tables *tables)
{
    struct scan *scan = (struct scan *)tables;
    source_close(&scan->source);
    slices_done(&scan->slices);
    mem_done(&scan->pending_mem);
    mem_done(&scan->group_mem);
    series_done(&scan->set);
}

static const struct af_tables_ops scan_ops = { scan_next, scan_close };

enum af_status open_scan(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    if (node->scan.source >= exec->options.store_count)
        return af_fail(err, AF_EBUG, "a plan reads source %u of %zu", node->scan.source, exec->options.store_count);
    AF_TRY(op_new(exec, node, inputs, sizeof(struct scan), &scan_ops, out, err));
    struct scan *scan = (struct scan *)*out;
    mem_init(&scan->pending_mem, exec);
    mem_init(&scan->group_mem, exec);
    return AF_OK;
}
