/*
 * fold_read.c - blocks of one piece into cells, by what they need:
 *
 *     all in one window, statistics suffice     count, sum, first and last are added; nothing is read
 *     windows of whole days, counts and sums    the days of the side file are added; what the range cuts off is decoded
 *     a minimum or maximum                      only where the block's own could be a new one: its time is not in the statistics
 *     a count                                   times only
 *     otherwise                                 the block is read and decoded, all at once; times that are regular are not
 *
 * Which way is taken depends on the data and the query, not on what is in memory, so that sums come out the same to the last bit.
 */
#include "tsm/fold_int.h"

static const struct fold_column *column_of(const struct fold_worker *worker, size_t column)
{
    return &worker->fold->columns[column];
}

/* --- rows ----------------------------------------------------------------------------------------------------------------- */

/* Rows in the worker's range; all of one series. */
static void trim(const struct fold_worker *worker, struct fold_rows *rows)
{
    if (fold_row_time(rows, rows->from) < worker->start_ns)
        rows->from = fold_rows_until(rows, rows->from, worker->start_ns - 1, 0);
    if (rows->from < rows->end && fold_row_time(rows, rows->end - 1) > worker->last_ns)
        rows->end = fold_rows_until(rows, rows->from, worker->last_ns, 0);
}

/* Of a column that only wants one end. */
static void keep_end(const struct fold_column *column, struct fold_rows *rows)
{
    if (column->pass == FOLD_FROM_END)
        rows->from = rows->end - 1;
    else if (column->pass == FOLD_FROM_START)
        rows->end = rows->from + 1;
}

static enum af_status widen_bits(const struct af_column *column, size_t count, struct af_arena *arena, const void **out,
                                 struct af_error *err)
{
    uint64_t *numbers = af_arena_array(arena, count, sizeof *numbers);
    if (numbers == NULL)
        return af_arena_fail(arena, count * sizeof *numbers, "values of a query", err);
    for (size_t i = 0; i < count; i++)
        numbers[i] = column->bits[i / 64] >> (i % 64) & 1;
    *out = numbers;
    return AF_OK;
}

/* The values for the kernels: of the column's type. */
static enum af_status set_numbers(struct fold_worker *worker, const struct fold_column *column, struct af_column *values, size_t count,
                                  struct fold_rows *rows, struct af_error *err)
{
    AF_TRY(scan_cast(values, count, column->type, &worker->block, err));
    rows->texts = values;
    if (column->type == AF_TYPE_STRING)
        return AF_OK;
    if (column->type == AF_TYPE_BOOL)
        return widen_bits(values, count, &worker->block, &rows->numbers, err);
    rows->numbers = values->values;
    return AF_OK;
}

enum af_status fold_values(struct fold_worker *worker, size_t number, const struct af_tsm_values *values, bool *out_some,
                           struct af_error *err)
{
    const struct fold_column *column = column_of(worker, number);
    struct fold_rows rows = { .time_ns = values->time_ns, .end = values->count };
    struct af_column copy = values->values;
    trim(worker, &rows);
    if (rows.from >= rows.end)
        return AF_OK;
    *out_some = true;
    keep_end(column, &rows);
    af_arena_reset(&worker->block);
    if (column->ops != FOLD_COUNT)
        AF_TRY(set_numbers(worker, column, &copy, values->count, &rows, err));
    return fold_add_rows(worker->table, number, worker->group, &rows, err);
}

/* --- one block, decoded --------------------------------------------------------------------------------------------------- */

static enum af_status set_times(struct fold_worker *worker, const struct fold_piece *piece, const struct af_tsm_block_ref *ref,
                                const struct af_tsm_block_view *view, struct fold_rows *rows, struct af_error *err)
{
    int64_t *times;
    *rows = (struct fold_rows){ .first_ns = view->first_ns, .step_ns = view->step_ns, .end = view->count };
    if (view->is_regular)
        return AF_OK;
    enum af_status status = af_tsm_block_times(view, &worker->block, &times, err);
    if (status == AF_OK && times[view->count - 1] != ref->max_ns)
        status = af_fail(err, AF_ECORRUPT, "the last time is %lld where the index says %lld", (long long)times[view->count - 1],
                         (long long)ref->max_ns);
    if (status != AF_OK) {
        af_error_prefix(err, "%s: the block at offset %llu: ", piece->part->part->path, (unsigned long long)ref->offset);
        return status;
    }
    rows->time_ns = times;
    return AF_OK;
}

static enum af_status decode(struct fold_worker *worker, size_t number, const struct fold_piece *piece, size_t block, bool *out_some,
                             struct af_error *err)
{
    const struct fold_column *column = column_of(worker, number);
    const struct af_tsm_block_ref *ref = &piece->blocks[block];
    const struct af_tsm_block_ref *last = &piece->blocks[piece->end - 1];
    struct af_tsm_file *file = piece->part->part->file;
    struct af_tsm_block_view view;
    struct af_column values;
    struct fold_rows rows;
    af_arena_reset(&worker->block);
    AF_TRY(af_tsm_read_view(&worker->ahead, file, piece->type, ref, last->offset + last->size, &view, err));
    AF_TRY(set_times(worker, piece, ref, &view, &rows, err));
    trim(worker, &rows);
    if (rows.from >= rows.end)
        return AF_OK;
    *out_some = true;
    keep_end(column, &rows);
    if (column->ops != FOLD_COUNT) {
        enum af_status status = af_tsm_block_column(&view, rows.end, &worker->block, &values, err);
        if (status != AF_OK) {
            af_error_prefix(err, "%s: the block at offset %llu: ", piece->part->part->path, (unsigned long long)ref->offset);
            return status;
        }
        AF_TRY(set_numbers(worker, column, &values, rows.end, &rows, err));
    }
    return fold_add_rows(worker->table, number, worker->group, &rows, err);
}

/* --- statistics ----------------------------------------------------------------------------------------------------------- */

/* Do they tell what is asked? */
static bool can_tell(const struct fold_column *column, enum af_type type)
{
    return column->ops == FOLD_COUNT || (type == column->type && type != AF_TYPE_STRING);
}

/* A block of few points costs less than the three reads of its statistics. */
enum { SMALL_BLOCK_BYTES = 512 };

/* Of a part without a digest. Damaged ones are as good as none. Where only extremes are asked of one block, reading it is as fast. */
static enum af_status load_stats(struct fold_worker *worker, const struct fold_column *column, struct fold_piece *piece,
                                 struct af_error *err)
{
    struct af_tsm_stats *stats;
    struct af_tsm_stat *blocks;
    struct af_tsm_day *days;
    size_t count, day_count;
    const bool is_extreme = (column->ops & (FOLD_MIN | FOLD_MAX)) != 0 && (column->ops & FOLD_SUM) == 0;
    const bool is_one = piece->block_count == 1;
    if (piece->knows_stats || (is_one && (is_extreme || piece->blocks[0].size <= SMALL_BLOCK_BYTES)))
        return AF_OK;
    piece->knows_stats = true;
    AF_TRY(af_part_stats(piece->part->part, &stats, err));
    if (stats == NULL)
        return AF_OK;
    enum af_status status = af_tsm_stats_get(stats, piece->key, &worker->work, &blocks, &count, &days, &day_count, err);
    if (status == AF_OK && count == piece->block_count) {
        piece->stats = blocks;
        piece->days = days;
        piece->day_count = day_count;
    }
    return status == AF_ENOMEM ? status : AF_OK;
}

/* The block is whole in the range. *out_done: it is all in one window and nothing of it has to be read. */
static enum af_status add_by_stat(struct fold_worker *worker, size_t number, struct fold_piece *piece, size_t block, bool *out_done,
                                  struct af_error *err)
{
    const struct fold_column *column = column_of(worker, number);
    const struct af_tsm_block_ref *ref = &piece->blocks[block];
    int64_t last_ns;
    size_t cell;
    const uint64_t window = fold_window_find(&worker->table->shape->windows, ref->min_ns, &last_ns);
    if (ref->max_ns > last_ns || !can_tell(column, piece->type))
        return AF_OK;
    AF_TRY(load_stats(worker, column, piece, err));
    if (piece->stats == NULL || piece->stats[block].count == 0)
        return AF_OK;
    AF_TRY(fold_table_find(worker->table, worker->group, window, &cell, err));
    if (fold_needs_values(worker->table, number, cell, &piece->stats[block], ref->min_ns))
        return AF_OK;
    fold_add_stat(worker->table, number, cell, &piece->stats[block], ref->min_ns, ref->max_ns);
    *out_done = true;
    return AF_OK;
}

/* The group has something later (or earlier) than all of the block already. */
static bool is_beaten(const struct fold_worker *worker, size_t number, const struct af_tsm_block_ref *ref)
{
    const struct fold_column *column = column_of(worker, number);
    const struct fold_cells *cells = &worker->table->columns[number];
    size_t cell;
    if (column->pass == FOLD_EVERY || fold_table_find(worker->table, worker->group, 0, &cell, NULL) != AF_OK ||
        cells->at[CELL_COUNT][cell] == 0)
        return false;
    return column->pass == FOLD_FROM_END ? (int64_t)cells->at[CELL_LAST_NS][cell] > ref->max_ns
                                         : (int64_t)cells->at[CELL_FIRST_NS][cell] < ref->min_ns;
}

enum af_status fold_block(struct fold_worker *worker, size_t number, struct fold_piece *piece, size_t block, bool *out_some,
                          struct af_error *err)
{
    const struct af_tsm_block_ref *ref = &piece->blocks[block];
    bool is_done = is_beaten(worker, number, ref);
    if (!is_done && ref->min_ns >= worker->start_ns && ref->max_ns <= worker->last_ns)
        AF_TRY(add_by_stat(worker, number, piece, block, &is_done, err));
    if (is_done) {
        *out_some = true;
        return AF_OK;
    }
    return decode(worker, number, piece, block, out_some, err);
}

/* --- days ----------------------------------------------------------------------------------------------------------------- */

struct days {
    const int32_t *day;
    const uint32_t *count;
    const uint64_t *sum;
    size_t end;
};

static int64_t day_start(int32_t day)
{
    const __int128 ns = (__int128)day * AF_NS_PER_DAY;
    return ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

static int64_t day_last(int32_t day)
{
    const __int128 ns = (__int128)day * AF_NS_PER_DAY + AF_NS_PER_DAY - 1;
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

static enum af_status copy_days(struct fold_worker *worker, const struct fold_piece *piece, struct days *out, struct af_error *err)
{
    int32_t *day = af_arena_array(&worker->work, piece->day_count, sizeof *day);
    uint32_t *count = af_arena_array(&worker->work, piece->day_count, sizeof *count);
    uint64_t *sum = af_arena_array(&worker->work, piece->day_count, sizeof *sum);
    if (day == NULL || count == NULL || sum == NULL)
        return af_arena_fail(&worker->work, piece->day_count * 16, "days of a query", err);
    for (size_t i = 0; i < piece->day_count; i++) {
        day[i] = (int32_t)piece->days[i].day;
        count[i] = piece->days[i].stat.count;
        sum[i] = piece->days[i].stat.sum;
    }
    *out = (struct days){ day, count, sum, piece->day_count };
    return AF_OK;
}

/* The piece's days; none: end 0. */
static enum af_status find_days(struct fold_worker *worker, const struct fold_column *column, struct fold_piece *piece, struct days *out,
                                struct af_error *err)
{
    const struct digest_days *days = NULL;
    *out = (struct days){ 0 };
    if (piece->entry != NULL && !piece->entry->has_days)
        return AF_OK;
    if (piece->entry != NULL)
        days = af_digest_days(piece->part->digest, piece->part->part);
    if (days != NULL) {
        const size_t entry = (size_t)(piece->entry - piece->part->digest->entries);
        const uint32_t first = days->first[entry];
        *out = (struct days){ days->day + first, days->count + first, days->sum + first, days->first[entry + 1] - first };
        return AF_OK;
    }
    piece->knows_stats = piece->knows_stats && piece->entry == NULL; /* the digest has no room for days: from the side file */
    AF_TRY(load_stats(worker, column, piece, err));
    return piece->day_count > 0 ? copy_days(worker, piece, out, err) : AF_OK;
}

/* Days that are a window each follow each other in the cells. */
static void add_even_days(struct fold_cells *cells, const struct fold_column *column, const struct days *days, size_t from, size_t cell)
{
    uint64_t *counts = cells->at[CELL_COUNT] + cell;
    for (size_t i = from; i < days->end; i++)
        counts[days->day[i] - days->day[from]] += days->count[i];
    if ((column->ops & FOLD_SUM) == 0)
        return;
    uint64_t *sums = cells->at[CELL_SUM] + cell;
    double *f64 = (double *)(void *)sums;
    const double *more = (const double *)(const void *)days->sum;
    if (column->type == AF_TYPE_F64)
        for (size_t i = from; i < days->end; i++)
            f64[days->day[i] - days->day[from]] += more[i];
    else
        for (size_t i = from; i < days->end; i++)
            sums[days->day[i] - days->day[from]] += days->sum[i];
}

static enum af_status add_days(struct fold_worker *worker, size_t number, const struct days *days, size_t from, struct af_error *err)
{
    const struct fold_windows *windows = &worker->table->shape->windows;
    struct fold_table *table = worker->table;
    int64_t last_ns = INT64_MIN;
    size_t cell = 0;
    for (size_t i = from; i < days->end; i++) {
        const int64_t start_ns = day_start(days->day[i]);
        if (i == from || start_ns > last_ns) {
            const uint64_t window = fold_window_find(windows, start_ns, &last_ns);
            AF_TRY(fold_table_find(table, worker->group, window, &cell, err));
        }
        if (i == from && windows->kind == FOLD_REGULAR && windows->every == (uint64_t)AF_NS_PER_DAY && !table->shape->is_sparse) {
            add_even_days(&table->columns[number], column_of(worker, number), days, from, cell);
            return AF_OK;
        }
        const struct af_tsm_stat stat = { .count = days->count[i], .sum = days->sum[i] };
        fold_add_stat(table, number, cell, &stat, 0, 0);
    }
    return AF_OK;
}

/* Blocks of [start_ns, last_ns] only. */
static enum af_status fold_part_of(struct fold_worker *worker, size_t number, struct fold_piece *piece, int64_t start_ns, int64_t last_ns,
                                   struct af_error *err)
{
    const int64_t start_before = worker->start_ns, last_before = worker->last_ns;
    enum af_status status = AF_OK;
    bool some;
    worker->start_ns = start_ns;
    worker->last_ns = last_ns;
    for (uint32_t i = piece->first; i < piece->end && status == AF_OK; i++)
        if (piece->blocks[i].max_ns >= start_ns && piece->blocks[i].min_ns <= last_ns)
            status = fold_block(worker, number, piece, i, &some, err);
    worker->start_ns = start_before;
    worker->last_ns = last_before;
    return status;
}

/* Days of which the range holds all that the piece has. *out_done false: there are none. */
static enum af_status fold_days(struct fold_worker *worker, size_t number, struct fold_piece *piece, bool *out_done, struct af_error *err)
{
    const int64_t min_ns = piece->blocks[0].min_ns, max_ns = piece->blocks[piece->block_count - 1].max_ns;
    struct days days;
    size_t from = 0;
    AF_TRY(find_days(worker, column_of(worker, number), piece, &days, err));
    const size_t all = days.end;
    while (from < days.end && day_start(days.day[from]) < worker->start_ns && min_ns < worker->start_ns)
        from++;
    while (days.end > from && day_last(days.day[days.end - 1]) > worker->last_ns && max_ns > worker->last_ns)
        days.end--;
    *out_done = from < days.end;
    if (from >= days.end)
        return AF_OK;
    AF_TRY(add_days(worker, number, &days, from, err));
    if (from > 0)
        AF_TRY(fold_part_of(worker, number, piece, worker->start_ns, day_start(days.day[from]) - 1, err));
    return days.end < all ? fold_part_of(worker, number, piece, day_last(days.day[days.end - 1]) + 1, worker->last_ns, err) : AF_OK;
}

/* --- one piece ------------------------------------------------------------------------------------------------------------ */

static enum af_status from_one_end(struct fold_worker *worker, size_t number, struct fold_piece *piece, bool *out_some,
                                   struct af_error *err)
{
    const bool is_last = column_of(worker, number)->pass == FOLD_FROM_END;
    for (uint32_t i = piece->first; i < piece->end && !*out_some; i++)
        AF_TRY(fold_block(worker, number, piece, is_last ? piece->end - 1 - (i - piece->first) : i, out_some, err));
    return AF_OK;
}

/* The blocks with the least and the greatest value, so that the others need not be read. */
static void find_extremes(const struct fold_worker *worker, const struct fold_column *column, const struct fold_piece *piece, size_t out[2])
{
    const bool is_asked[2] = { (column->ops & FOLD_MIN) != 0, (column->ops & FOLD_MAX) != 0 };
    out[0] = out[1] = SIZE_MAX;
    for (uint32_t i = piece->first; i < piece->end; i++) {
        const struct af_tsm_stat *stat = &piece->stats[i];
        if (piece->blocks[i].min_ns < worker->start_ns || piece->blocks[i].max_ns > worker->last_ns || stat->count == 0)
            continue;
        if (is_asked[0] && (out[0] == SIZE_MAX || fold_compare(column->type, stat->min, piece->stats[out[0]].min) < 0))
            out[0] = i;
        if (is_asked[1] && (out[1] == SIZE_MAX || fold_compare(column->type, stat->max, piece->stats[out[1]].max) > 0))
            out[1] = i;
    }
}

static enum af_status fold_all(struct fold_worker *worker, size_t number, struct fold_piece *piece, bool *out_some, struct af_error *err)
{
    const struct fold_column *column = column_of(worker, number);
    size_t early[2] = { SIZE_MAX, SIZE_MAX };
    if ((column->ops & (FOLD_MIN | FOLD_MAX)) != 0 && worker->table->shape->windows.kind == FOLD_WHOLE && can_tell(column, piece->type) &&
        piece->end - piece->first > 1) {
        AF_TRY(load_stats(worker, column, piece, err));
        if (piece->stats != NULL)
            find_extremes(worker, column, piece, early);
    }
    for (int i = 0; i < 2; i++)
        if (early[i] != SIZE_MAX && (i == 0 || early[1] != early[0]))
            AF_TRY(fold_block(worker, number, piece, early[i], out_some, err));
    for (uint32_t i = piece->first; i < piece->end; i++)
        if (i != early[0] && i != early[1])
            AF_TRY(fold_block(worker, number, piece, i, out_some, err));
    return AF_OK;
}

enum af_status fold_entry(struct fold_worker *worker, size_t number, const struct af_digest *digest, const struct digest_entry *entry,
                          bool *out_done, struct af_error *err)
{
    const struct fold_column *column = column_of(worker, number);
    int64_t last_ns;
    size_t cell;
    if (!entry->has_stats || entry->min_ns < worker->start_ns || entry->max_ns > worker->last_ns || column->pass != FOLD_EVERY ||
        (column->ops & (FOLD_MIN | FOLD_MAX)) != 0 || !can_tell(column, (enum af_type)entry->type))
        return AF_OK;
    const uint64_t window = fold_window_find(&worker->table->shape->windows, entry->min_ns, &last_ns);
    if (entry->max_ns > last_ns)
        return AF_OK;
    AF_TRY(fold_table_find(worker->table, worker->group, window, &cell, err));
    *out_done = true;
    const struct af_tsm_stat *stats = digest->stats + entry->first_block;
    if (entry->block_count == 1) {
        fold_add_stat(worker->table, number, cell, stats, entry->min_ns, entry->max_ns);
        return AF_OK;
    }
    const struct af_tsm_block_ref *blocks = digest->blocks + entry->first_block;
    for (uint32_t i = 0; i < entry->block_count; i++)
        fold_add_stat(worker->table, number, cell, &stats[i], blocks[i].min_ns, blocks[i].max_ns);
    return AF_OK;
}

enum af_status fold_piece(struct fold_worker *worker, size_t number, struct fold_piece *piece, bool *out_some, struct af_error *err)
{
    const struct fold_column *column = column_of(worker, number);
    bool is_done = false;
    if (piece->part == NULL)
        return fold_values(worker, number, piece->values, out_some, err);
    if (column->pass != FOLD_EVERY)
        return from_one_end(worker, number, piece, out_some, err);
    if (piece->entry != NULL)
        AF_TRY(fold_entry(worker, number, piece->part->digest, piece->entry, &is_done, err));
    if (is_done)
        return AF_OK;
    if (worker->table->shape->windows.are_days && (column->ops & ~(unsigned)(FOLD_COUNT | FOLD_SUM)) == 0 && can_tell(column, piece->type))
        AF_TRY(fold_days(worker, number, piece, &is_done, err));
    return is_done ? AF_OK : fold_all(worker, number, piece, out_some, err);
}
