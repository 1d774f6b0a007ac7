/*
 * slices.c - the series of one group in order of time, with bounded memory; see scan_int.h.
 *
 *     |<-------------------- the group's range, ascending ------------------->|
 *     [ slice: read, sort, give ][ slice ][   slice   ][ ...
 *
 * The width of a slice is such that it has some rows_aim rows. The first one is as wide as the range: most queries end there. A slice that
 * turns out too full is given up half read. Then the store is asked from when to when it has how much, once; if it cannot say, what was
 * seen until then (rows, from when to when, of how many of the series) tells how wide the next one should be, or it is halved, so that this
 * ends. After a slice that was read the width follows what it held; over empty stretches it grows fast. Descending, the same from the end.
 */
#include "base/limits.h"
#include "exec/scan_int.h"

enum { GROW_MAX = 16, GROW_EMPTY = 256, ROWS_A_SERIES = 256, ROWS_MIN = 32 * 1024 };

/* The more series, the more rows at a time: each of them is looked up for each slice. */
static uint64_t rows_aim(const struct slices *slices)
{
    uint64_t rows = (uint64_t)slices->group->count * ROWS_A_SERIES;
    rows = rows < ROWS_MIN ? ROWS_MIN : rows;
    return rows < slices->rows_most ? rows : slices->rows_most;
}

void slices_init(struct slices *slices, struct exec *exec, const struct af_node *node, const struct series_set *set, uint64_t rows_most)
{
    *slices = (struct slices){ .exec = exec, .node = node, .set = set, .rows_most = rows_most };
    slices->is_listed = (exec->options.stores[node->scan.source]->caps & AF_STORE_CAN_SERIES) != 0;
    mem_init(&slices->mem, exec);
    mem_init(&slices->order_mem, exec);
    mem_init(&slices->piece_mem, exec);
    mem_init(&slices->bounds_mem, exec);
}

void slices_done(struct slices *slices)
{
    mem_done(&slices->mem);
    mem_done(&slices->order_mem);
    mem_done(&slices->piece_mem);
    mem_done(&slices->bounds_mem);
}

static uint64_t width(int64_t first_ns, int64_t last_ns)
{
    return (uint64_t)last_ns - (uint64_t)first_ns; /* less one */
}

static uint64_t scaled(uint64_t step, double factor)
{
    double wanted = ((double)step + 1) * factor - 1;
    return wanted >= 0x1p63 ? (uint64_t)1 << 63 : wanted > 0 ? (uint64_t)wanted : 0;
}

static void apply_bounds(struct slices *slices)
{
    if (slices->bounds == NULL)
        return;
    const struct bounds *bounds = &slices->bounds[slices->group - slices->set->groups];
    slices->first_ns = bounds->first_ns > slices->first_ns ? bounds->first_ns : slices->first_ns;
    slices->last_ns = bounds->last_ns < slices->last_ns ? bounds->last_ns : slices->last_ns;
    slices->is_read |= slices->first_ns > slices->last_ns || bounds->rows == 0;
    slices->step = width(slices->first_ns, slices->last_ns);
    if (bounds->rows > slices->rows_aim)
        slices->step = scaled(slices->step, (double)slices->rows_aim / (double)bounds->rows);
}

/* Before the first group, where much less than everything is wanted. */
enum af_status slices_ask(struct slices *slices, struct af_error *err)
{
    slices->has_asked = true;
    AF_TRY(bounds_find(slices->exec, slices->node, slices->set, &slices->bounds_mem.arena, &slices->bounds, err));
    return mem_charge(&slices->bounds_mem, err);
}

void slices_begin(struct slices *slices, const struct series_group *group, const struct af_predicate *predicate)
{
    const struct af_plan_scan *scan = &slices->node->scan;
    slices->group = group;
    slices->rows_aim = rows_aim(slices);
    slices->predicate = predicate;
    slices->first_ns = scan->start_ns;
    slices->last_ns = scan->stop_ns != INT64_MAX ? scan->stop_ns - (scan->stop_ns > INT64_MIN) : INT64_MAX;
    slices->is_read = scan->start_ns >= scan->stop_ns;
    slices->has_seen = slices->is_searching = false;
    slices->given_up = 0;
    slices->rows = slices->at = 0;
    slices->step = width(slices->first_ns, slices->last_ns);
    apply_bounds(slices);
}

/* --- reading one slice -------------------------------------------------------------------------------------------------------------- */

/* How a slice that was given up looked: enough to guess how dense the data is. */
struct glimpse {
    int64_t first_ns, last_ns;           /* of the rows seen */
    size_t series;                       /* different ones, in the order in which they came */
    uint32_t last_series;
};

static enum af_status make_columns(struct slices *slices, struct af_error *err)
{
    size_t count = 1 + slices->node->scan.field_count;
    slices->columns = af_arena_zero(&slices->mem.arena, count, sizeof *slices->columns);
    if (slices->columns == NULL)
        return mem_fail(&slices->mem, count * sizeof *slices->columns, err);
    for (size_t i = 0; i < count; i++)
        grower_init(&slices->columns[i], slices->node->schema.fields[i].type, &slices->mem.arena);
    return AF_OK;
}

static enum af_status clear(struct slices *slices, struct af_error *err)
{
    mem_reset(&slices->order_mem);
    slices->order = NULL;
    slices->rows = slices->at = 0;
    if (slices->columns == NULL)
        return make_columns(slices, err);
    for (size_t i = 0; i <= slices->node->scan.field_count; i++)
        grower_clear(&slices->columns[i]);
    return AF_OK;
}

static enum af_status add_series(struct slices *slices, const struct piece *piece, struct af_error *err)
{
    size_t rows = slices->rows + piece->rows;
    if (rows > slices->series_cap) {
        size_t cap = rows > slices->series_cap * 2 ? rows : slices->series_cap * 2;
        uint32_t *series = af_arena_array(&slices->mem.arena, cap, sizeof *series);
        if (series == NULL)
            return mem_fail(&slices->mem, cap * sizeof *series, err);
        if (slices->rows != 0)
            memcpy(series, slices->series, slices->rows * sizeof *series);
        slices->series = series;
        slices->series_cap = cap;
    }
    memcpy(slices->series + slices->rows, piece->series, piece->rows * sizeof *slices->series);
    return AF_OK;
}

static void look(struct glimpse *glimpse, const struct piece *piece, bool is_first)
{
    const int64_t *time_ns = piece->columns[0].i64;
    if (is_first)
        *glimpse = (struct glimpse){ time_ns[0], time_ns[0], 1, piece->series[0] };
    for (size_t i = 0; i < piece->rows; i++) {
        glimpse->first_ns = time_ns[i] < glimpse->first_ns ? time_ns[i] : glimpse->first_ns;
        glimpse->last_ns = time_ns[i] > glimpse->last_ns ? time_ns[i] : glimpse->last_ns;
        glimpse->series += piece->series[i] != glimpse->last_series;
        glimpse->last_series = piece->series[i];
    }
}

static enum af_status add_piece(struct slices *slices, const struct piece *piece, struct glimpse *glimpse, struct af_error *err)
{
    if (piece->rows == 0)
        return AF_OK;
    look(glimpse, piece, slices->rows == 0);
    for (size_t i = 0; i <= slices->node->scan.field_count; i++)
        AF_TRY(grower_rows(&slices->columns[i], &piece->columns[i], 0, piece->rows, err));
    AF_TRY(add_series(slices, piece, err));
    slices->rows += piece->rows;
    return mem_charge(&slices->mem, err);
}

/* Rows of [first_ns, last_ns]; more than rows_max of them: *out_is_full, given up. */
static enum af_status read_slice(struct slices *slices, int64_t first_ns, int64_t last_ns, uint64_t rows_max, struct glimpse *glimpse,
                                 bool *out_is_full, struct af_error *err)
{
    const struct series_group *group = slices->group;
    struct source source;
    *out_is_full = false;
    AF_TRY(clear(slices, err));
    AF_TRY(source_open(&source, slices->exec, slices->node, slices->set, slices->is_listed ? NULL : slices->predicate,
                       slices->is_listed ? slices->set->keys + group->first : NULL, slices->is_listed ? group->count : 0, first_ns, last_ns,
                       err));
    enum af_status status = AF_OK;
    for (bool is_end = false; status == AF_OK && !is_end && !*out_is_full;) {
        struct piece piece;
        mem_reset(&slices->piece_mem);
        status = source_next(&source, &slices->piece_mem.arena, &piece, &is_end, err);
        if (status == AF_OK && !is_end)
            status = add_piece(slices, &piece, glimpse, err);
        *out_is_full = slices->rows > rows_max;
    }
    source_close(&source);
    return status;
}

/* --- how wide ----------------------------------------------------------------------------------------------------------------------- */

/* The slice [*first, *last] at hand, out of what is left. */
static void next_slice(const struct slices *slices, int64_t *first, int64_t *last)
{
    uint64_t left = width(slices->first_ns, slices->last_ns);
    uint64_t step = slices->step;
    *first = slices->first_ns;
    *last = slices->last_ns;
    if (step >= left)
        return;
    if (!slices->node->scan.descending) {
        /* What comes before the data seen costs nothing: it goes along. */
        int64_t from = slices->has_seen && slices->seen_first_ns > *first ? slices->seen_first_ns : *first;
        if (width(from, slices->last_ns) > step)
            *last = (int64_t)((uint64_t)from + step);
    } else {
        int64_t from = slices->has_seen && slices->seen_last_ns < *last ? slices->seen_last_ns : *last;
        if (width(slices->first_ns, from) > step)
            *first = (int64_t)((uint64_t)from - step);
    }
}

/* After a slice [first, last] that was too full. What was seen is the beginning of it: ascending, that is where to go on; descending it
 * helps only if a whole series was among it. Otherwise, and if that did not help, the width is halved until the data is found. */
static void narrow(struct slices *slices, int64_t first_ns, int64_t last_ns, const struct glimpse *glimpse)
{
    bool is_whole = slices->is_listed && glimpse->series > 1; /* the series that came last was cut off */
    double expected = is_whole ? (double)slices->rows * (double)slices->group->count / ((double)glimpse->series - 1)
                               : (double)slices->rows * (slices->is_listed ? (double)slices->group->count : 1);
    uint64_t half = width(first_ns, last_ns) / 2;
    slices->has_seen = slices->given_up++ == 0 && (is_whole || !slices->node->scan.descending);
    slices->is_searching = !slices->has_seen;
    slices->step = slices->has_seen ? scaled(width(glimpse->first_ns, glimpse->last_ns), (double)slices->rows_aim / expected) : half;
    if (slices->step > half)
        slices->step = half;
    slices->seen_first_ns = glimpse->first_ns;
    slices->seen_last_ns = glimpse->last_ns;
}

/* After one that was read whole. */
static void adapt(struct slices *slices, int64_t first_ns, int64_t last_ns)
{
    bool descending = slices->node->scan.descending;
    slices->is_read = descending ? first_ns == slices->first_ns : last_ns == slices->last_ns;
    if (!slices->is_read && descending)
        slices->last_ns = first_ns - 1;
    else if (!slices->is_read)
        slices->first_ns = last_ns + 1;
    uint64_t was = width(first_ns, last_ns);
    was = was < slices->step ? was : slices->step;
    double factor = slices->is_searching ? 1 : GROW_EMPTY; /* searching, there is data within as much again */
    if (slices->rows > 0) {
        factor = (double)slices->rows_aim / (double)slices->rows;
        factor = factor < GROW_MAX ? factor : GROW_MAX;
        slices->is_searching = false;
        slices->given_up = 0;
    }
    slices->step = scaled(was, factor);
    slices->has_seen = false;
}

/* The first slice that is given up is reason enough to ask the store where the data is, if it can say. */
static enum af_status ask_bounds(struct slices *slices, bool *out_helped, struct af_error *err)
{
    *out_helped = false;
    if (slices->has_asked)
        return AF_OK;
    AF_TRY(slices_ask(slices, err));
    *out_helped = slices->bounds != NULL;
    apply_bounds(slices);
    return AF_OK;
}

static enum af_status order_rows(struct slices *slices, struct af_error *err)
{
    AF_TRY(sort_rows(slices->columns[0].fixed, slices->group->count > 1 ? slices->series : NULL, slices->rows,
                     slices->node->scan.descending, &slices->order_mem.arena, &slices->order, err));
    return mem_charge(&slices->order_mem, err);
}

static enum af_status read_next(struct slices *slices, struct af_error *err)
{
    while (!slices->is_read) {
        int64_t first_ns, last_ns;
        struct glimpse glimpse = { .series = 0 };
        bool is_full;
        AF_TRY(exec_poll(slices->exec, err));
        next_slice(slices, &first_ns, &last_ns);
        /* Of one instant everything has to be read. */
        uint64_t rows_max = first_ns != last_ns ? slices->rows_aim * 2 : UINT64_MAX;
        AF_TRY(read_slice(slices, first_ns, last_ns, rows_max, &glimpse, &is_full, err));
        if (is_full) {
            bool has_helped;
            AF_TRY(ask_bounds(slices, &has_helped, err));
            if (!has_helped)
                narrow(slices, first_ns, last_ns, &glimpse);
            continue;
        }
        adapt(slices, first_ns, last_ns);
        if (slices->rows > 0)
            return order_rows(slices, err);
    }
    slices->rows = slices->at = 0;
    return AF_OK;
}

/* --- giving ------------------------------------------------------------------------------------------------------------------------- */

static enum af_status give(struct slices *slices, const struct op *op, size_t count, struct af_arena *arena, const struct af_table **out,
                           struct af_error *err)
{
    const struct af_plan_scan *scan = &slices->node->scan;
    const uint32_t *order = slices->order + slices->at;
    struct af_column *columns = af_arena_zero(arena, op->node->schema.field_count, sizeof *columns);
    uint32_t *series = af_arena_array(arena, count, sizeof *series);
    if (columns == NULL || series == NULL)
        return arena_fail(arena, count * sizeof *series, err);
    for (size_t i = 0; i <= scan->field_count; i++) {
        struct af_column whole;
        grower_column(&slices->columns[i], &whole);
        AF_TRY(columns_gather(&whole, order, count, arena, &columns[i], err));
    }
    for (size_t i = 0; scan->tag_count > 0 && i < count; i++)
        series[i] = slices->series[order[i]];
    for (size_t i = 0; i < scan->tag_count; i++)
        AF_TRY(series_tag_column(slices->set, i, series, count, arena, &columns[1 + scan->field_count + i], err));
    slices->at += count;
    return table_make(op, slices->group->key, columns, count, arena, out, err);
}

enum af_status slices_next(struct slices *slices, const struct op *op, struct af_arena *arena, const struct af_table **out,
                           struct af_error *err)
{
    if (slices->at == slices->rows)
        AF_TRY(read_next(slices, err));
    size_t count = slices->rows - slices->at;
    if (count == 0) {
        *out = NULL;
        return AF_OK;
    }
    return give(slices, op, count < AF_BATCH_ROWS ? count : AF_BATCH_ROWS, arena, out, err);
}
