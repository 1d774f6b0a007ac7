/*
 * fold_run.c - rows into cells.
 *
 *     times     | 10 11 12 13 | 14 15 16 17 | 18 19      edges of windows are walked along with the ascending times:
 *     window          0              1          2         a division for the first, a comparison for the next
 *                 one run         one run      one run    of values, in loops that compilers turn into vectors
 *
 * Where each row has a window of its own, at equal steps (hourly values by the hour), there are no runs: value i goes to cell first + i *
 * stride, which is a vector addition where the stride is 1.
 *
 * Sums of floats are added eight (or two) side by side, then together; the order depends on the rows of the run alone. A minimum is found
 * first and its row afterwards, if the cell has no better one: the earliest that has it.
 */
#include "tsm/fold_int.h"

enum { LANES = 8, SHORT_RUN = 16 };

/* --- runs of numbers ------------------------------------------------------------------------------------------------------ */

static double sum_f64(const double *v, size_t from, size_t end)
{
    double lane[LANES] = { 0 };
    size_t i = from;
    double sum = 0, other = 0;
    if (end - from >= SHORT_RUN) {
        for (; i + LANES <= end; i += LANES)
            for (size_t k = 0; k < LANES; k++)
                lane[k] += v[i + k];
        sum = ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
    }
    for (; i + 2 <= end; i += 2) {
        sum += v[i];
        other += v[i + 1];
    }
    return (i < end ? sum + v[i] : sum) + other;
}

static uint64_t sum_ints(const uint64_t *v, size_t from, size_t end)
{
    uint64_t sum = 0;
    for (size_t i = from; i < end; i++)
        sum += v[i];
    return sum;
}

/* The row of the least (or greatest) value, of equal ones the first. `has`: what the cell has; SIZE_MAX: that is better. */
#define AF_EXTREME(name, type, is_better)                                                                                                  \
    static size_t name(const type *v, size_t from, size_t end, const type *has)                                                            \
    {                                                                                                                                      \
        type best = v[from];                                                                                                               \
        size_t i = from;                                                                                                                   \
        if (end - from >= SHORT_RUN) {                                                                                                     \
            type lane[LANES];                                                                                                              \
            for (size_t k = 0; k < LANES; k++)                                                                                             \
                lane[k] = v[i + k];                                                                                                        \
            for (i += LANES; i + LANES <= end; i += LANES)                                                                                 \
                for (size_t k = 0; k < LANES; k++)                                                                                         \
                    lane[k] = v[i + k] is_better lane[k] ? v[i + k] : lane[k];                                                             \
            for (size_t k = 0; k < LANES; k++)                                                                                             \
                best = lane[k] is_better best ? lane[k] : best;                                                                            \
        }                                                                                                                                  \
        type other = best;                                                                                                                 \
        for (; i + 2 <= end; i += 2) {                                                                                                     \
            best = v[i] is_better best ? v[i] : best;                                                                                      \
            other = v[i + 1] is_better other ? v[i + 1] : other;                                                                           \
        }                                                                                                                                  \
        if (i < end)                                                                                                                       \
            best = v[i] is_better best ? v[i] : best;                                                                                      \
        best = other is_better best ? other : best;                                                                                        \
        if (has != NULL && *has is_better best)                                                                                            \
            return SIZE_MAX;                                                                                                               \
        for (i = from; i + 1 < end && v[i] != best; i++)                                                                                   \
            ;                                                                                                                              \
        return i;                                                                                                                          \
    }
AF_EXTREME(least_f64, double, <)
AF_EXTREME(least_i64, int64_t, <)
AF_EXTREME(least_u64, uint64_t, <)
AF_EXTREME(greatest_f64, double, >)
AF_EXTREME(greatest_i64, int64_t, >)
AF_EXTREME(greatest_u64, uint64_t, >)

static size_t find_extreme(enum af_type type, bool is_min, const void *v, size_t from, size_t end, const void *has)
{
    if (type == AF_TYPE_F64)
        return is_min ? least_f64(v, from, end, has) : greatest_f64(v, from, end, has);
    if (type == AF_TYPE_I64)
        return is_min ? least_i64(v, from, end, has) : greatest_i64(v, from, end, has);
    return is_min ? least_u64(v, from, end, has) : greatest_u64(v, from, end, has);
}

static double as_f64(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

int fold_compare(enum af_type type, uint64_t a, uint64_t b)
{
    if (type == AF_TYPE_F64)
        return (as_f64(a) > as_f64(b)) - (as_f64(a) < as_f64(b));
    if (type == AF_TYPE_I64)
        return ((int64_t)a > (int64_t)b) - ((int64_t)a < (int64_t)b);
    return (a > b) - (a < b);
}

static void add_f64(uint64_t *to, double more)
{
    double v = as_f64(*to) + more;
    memcpy(to, &v, sizeof v);
}

static struct af_slice text_of(uint64_t value)
{
    const struct fold_text *text = (const struct fold_text *)(uintptr_t)value;
    return (struct af_slice){ text->bytes, text->len };
}

/* --- which of two --------------------------------------------------------------------------------------------------------- */

/* Is (value, time) to be in the cell instead of what it has? Extremes: the earliest of equal ones. */
static inline bool beats_extreme(enum af_type type, bool is_min, uint64_t value, int64_t time, uint64_t has, int64_t has_time)
{
    int order = fold_compare(type, value, has);
    order = is_min ? -order : order;
    return order > 0 || (order == 0 && time < has_time);
}

/* First and last: of the same time the larger value, by `order`. */
static inline bool beats_end(bool is_first, int64_t time, int64_t has_time, int order)
{
    return time == has_time ? order > 0 : (time < has_time) == is_first;
}

static void put_extreme(struct fold_cells *cells, enum af_type type, enum fold_cell which, size_t cell, uint64_t value, int64_t time)
{
    uint64_t *values = cells->at[which];
    uint64_t *times = cells->at[which + 1];
    if (cells->at[CELL_COUNT][cell] != 0 && !beats_extreme(type, which == CELL_MIN, value, time, values[cell], (int64_t)times[cell]))
        return;
    values[cell] = value;
    times[cell] = (uint64_t)time;
}

/* Of a run. Mostly the cell has a better one already, whatever the time. */
static void run_extreme(struct fold_cells *cells, enum af_type type, enum fold_cell which, size_t cell, const struct fold_rows *rows,
                        size_t from, size_t end)
{
    const uint64_t *v = rows->numbers;
    const uint64_t *has = cells->at[CELL_COUNT][cell] != 0 ? &cells->at[which][cell] : NULL;
    const size_t i = find_extreme(type, which == CELL_MIN, v, from, end, has);
    if (i != SIZE_MAX)
        put_extreme(cells, type, which, cell, v[i], fold_row_time(rows, i));
}

static void put_end(struct fold_cells *cells, enum af_type type, enum fold_cell which, size_t cell, uint64_t value, int64_t time)
{
    uint64_t *values = cells->at[which];
    uint64_t *times = cells->at[which + 1];
    if (cells->at[CELL_COUNT][cell] != 0 &&
        !beats_end(which == CELL_FIRST, time, (int64_t)times[cell], fold_compare(type, value, values[cell])))
        return;
    values[cell] = value;
    times[cell] = (uint64_t)time;
}

/* Texts are copied, over the one that was there where they fit. */
static enum af_status put_text(struct fold_table *table, size_t column, enum fold_cell which, size_t cell, struct af_slice text,
                               int64_t time, struct af_error *err)
{
    struct fold_cells *cells = &table->columns[column];
    uint64_t *values = cells->at[which];
    uint64_t *times = cells->at[which + 1];
    struct fold_text *has = NULL;
    if (cells->at[CELL_COUNT][cell] != 0) {
        has = (struct fold_text *)(uintptr_t)values[cell];
        if (!beats_end(which == CELL_FIRST, time, (int64_t)times[cell], af_slice_cmp(text, text_of(values[cell]))))
            return AF_OK;
    }
    if (has == NULL || has->cap < text.len) {
        const size_t cap = text.len + text.len / 2 + 8;
        has = af_arena_alloc(&table->texts, sizeof *has + cap);
        if (has == NULL)
            return af_arena_fail(&table->texts, cap, "the texts of a query", err);
        has->cap = (uint32_t)cap;
    }
    has->len = (uint32_t)text.len;
    if (text.len != 0)
        memcpy(has->bytes, text.ptr, text.len);
    values[cell] = (uint64_t)(uintptr_t)has;
    times[cell] = (uint64_t)time;
    return AF_OK;
}

/* --- one run -------------------------------------------------------------------------------------------------------------- */

static void add_selected(struct fold_cells *cells, const struct fold_column *column, size_t cell, const struct fold_rows *rows, size_t from,
                         size_t end)
{
    const uint64_t *v = rows->numbers;
    const enum af_type type = column->type;
    if ((column->ops & FOLD_MIN) != 0)
        run_extreme(cells, type, CELL_MIN, cell, rows, from, end);
    if ((column->ops & FOLD_MAX) != 0)
        run_extreme(cells, type, CELL_MAX, cell, rows, from, end);
    if ((column->ops & FOLD_FIRST) != 0)
        put_end(cells, type, CELL_FIRST, cell, v[from], fold_row_time(rows, from));
    if ((column->ops & FOLD_LAST) != 0)
        put_end(cells, type, CELL_LAST, cell, v[end - 1], fold_row_time(rows, end - 1));
}

static enum af_status add_texts(struct fold_table *table, size_t column, size_t cell, const struct fold_rows *rows, size_t from, size_t end,
                                struct af_error *err)
{
    const unsigned ops = table->shape->columns[column].ops;
    if ((ops & FOLD_FIRST) != 0)
        AF_TRY(put_text(table, column, CELL_FIRST, cell, af_column_text(rows->texts, from), fold_row_time(rows, from), err));
    if ((ops & FOLD_LAST) != 0)
        AF_TRY(put_text(table, column, CELL_LAST, cell, af_column_text(rows->texts, end - 1), fold_row_time(rows, end - 1), err));
    return AF_OK;
}

enum { SELECTING = FOLD_MIN | FOLD_MAX | FOLD_FIRST | FOLD_LAST };

/* Rows [from, end) are all of one cell. */
static inline enum af_status add_run(struct fold_table *table, size_t number, size_t cell, const struct fold_rows *rows, size_t from,
                                     size_t end, struct af_error *err)
{
    const struct fold_column *column = &table->shape->columns[number];
    struct fold_cells *cells = &table->columns[number];
    if ((column->ops & SELECTING) != 0) {
        if (column->type == AF_TYPE_STRING)
            AF_TRY(add_texts(table, number, cell, rows, from, end, err));
        else
            add_selected(cells, column, cell, rows, from, end);
    }
    cells->at[CELL_COUNT][cell] += end - from;
    if ((column->ops & FOLD_SUM) == 0)
        return AF_OK;
    if (column->type == AF_TYPE_F64)
        add_f64(&cells->at[CELL_SUM][cell], sum_f64(rows->numbers, from, end));
    else
        cells->at[CELL_SUM][cell] += sum_ints(rows->numbers, from, end);
    return AF_OK;
}

/* --- a window for each row ------------------------------------------------------------------------------------------------ */

static void spread_sums(struct fold_cells *cells, enum af_type type, const void *numbers, size_t from, size_t end, size_t cell,
                        size_t stride)
{
    uint64_t *sums = cells->at[CELL_SUM] + cell;
    if (type == AF_TYPE_F64) {
        const double *v = (const double *)numbers + from;
        double *to = (double *)(void *)sums;
        if (stride == 1)
            for (size_t i = 0; i < end - from; i++)
                to[i] += v[i];
        else
            for (size_t i = 0; i < end - from; i++)
                to[i * stride] += v[i];
        return;
    }
    const uint64_t *v = (const uint64_t *)numbers + from;
    for (size_t i = 0; i < end - from; i++)
        sums[i * stride] += v[i];
}

static void spread(struct fold_cells *cells, const struct fold_column *column, const struct fold_rows *rows, size_t cell, size_t stride)
{
    const size_t from = rows->from;
    uint64_t *counts = cells->at[CELL_COUNT] + cell;
    if ((column->ops & SELECTING) != 0)
        for (size_t i = from; i < rows->end; i++)
            add_selected(cells, column, cell + (i - from) * stride, rows, i, i + 1);
    if (stride == 1)
        for (size_t i = 0; i < rows->end - from; i++)
            counts[i]++;
    else
        for (size_t i = 0; i < rows->end - from; i++)
            counts[i * stride]++;
    if ((column->ops & FOLD_SUM) != 0)
        spread_sums(cells, column->type, rows->numbers, from, rows->end, cell, stride);
}

/* --- the walk ------------------------------------------------------------------------------------------------------------- */

static bool is_end(const struct fold_rows *rows, size_t from, size_t i, int64_t last_ns)
{
    return i > from && i <= rows->end && fold_row_time(rows, i - 1) <= last_ns && (i == rows->end || fold_row_time(rows, i) > last_ns);
}

size_t fold_rows_until(const struct fold_rows *rows, size_t from, int64_t last_ns, size_t guess)
{
    if (from == rows->end || is_end(rows, from, guess, last_ns))
        return from == rows->end ? from : guess;
    if (fold_row_time(rows, rows->end - 1) <= last_ns)
        return rows->end;
    if (rows->time_ns == NULL) { /* more than one row, so there is a step */
        const int64_t time = fold_row_time(rows, from);
        return time > last_ns ? from : from + (size_t)(((uint64_t)last_ns - (uint64_t)time) / rows->step_ns) + 1;
    }
    const struct af_tsm_values times = { .count = rows->end, .time_ns = rows->time_ns };
    return last_ns == INT64_MAX ? rows->end : af_values_seek(&times, from, last_ns + 1);
}

/* Regular rows in regular windows of `length` rows each: behind the first one no time is looked at. */
static enum af_status walk_even(struct fold_table *table, size_t column, uint32_t group, const struct fold_rows *rows, uint64_t length,
                                struct af_error *err)
{
    int64_t last_ns;
    size_t cell;
    const uint64_t window = fold_window_find(&table->shape->windows, fold_row_time(rows, rows->from), &last_ns);
    AF_TRY(fold_table_find(table, group, window, &cell, err));
    for (size_t from = rows->from, end = fold_rows_until(rows, from, last_ns, 0); from < rows->end; cell++) {
        AF_TRY(add_run(table, column, cell, rows, from, end, err));
        from = end;
        end = rows->end - from < length ? rows->end : from + (size_t)length;
    }
    return AF_OK;
}

static enum af_status walk(struct fold_table *table, size_t column, uint32_t group, const struct fold_rows *rows, struct af_error *err)
{
    const struct fold_windows *windows = &table->shape->windows;
    int64_t last_ns = INT64_MIN;
    uint64_t window = 0;
    size_t run = 1;
    for (size_t from = rows->from, end; from < rows->end; from = end) {
        const int64_t time = fold_row_time(rows, from);
        size_t cell;
        if (windows->kind == FOLD_REGULAR && from > rows->from && (uint64_t)time - (uint64_t)last_ns <= windows->every) {
            window++; /* the window behind the last one */
            last_ns = last_ns > INT64_MAX - (int64_t)windows->every ? INT64_MAX : last_ns + (int64_t)windows->every;
        } else {
            window = fold_window_find(windows, time, &last_ns);
        }
        end = fold_rows_until(rows, from, last_ns, from + run);
        run = end - from;
        AF_TRY(fold_table_find(table, group, window, &cell, err));
        AF_TRY(add_run(table, column, cell, rows, from, end, err));
    }
    return AF_OK;
}

enum af_status fold_add_rows(struct fold_table *table, size_t column, uint32_t group, const struct fold_rows *rows, struct af_error *err)
{
    const struct fold_windows *windows = &table->shape->windows;
    size_t cell;
    if (windows->kind == FOLD_WHOLE) {
        AF_TRY(fold_table_find(table, group, 0, &cell, err));
        return add_run(table, column, cell, rows, rows->from, rows->end, err);
    }
    if (windows->kind != FOLD_REGULAR || rows->time_ns != NULL || table->shape->is_sparse || rows->step_ns == 0)
        return walk(table, column, group, rows, err);
    if (windows->every % rows->step_ns == 0 && windows->every > rows->step_ns)
        return walk_even(table, column, group, rows, windows->every / rows->step_ns, err);
    if (rows->step_ns % windows->every != 0 || table->shape->columns[column].type == AF_TYPE_STRING)
        return walk(table, column, group, rows, err);
    int64_t last_ns;
    const uint64_t window = fold_window_find(windows, fold_row_time(rows, rows->from), &last_ns);
    AF_TRY(fold_table_find(table, group, window, &cell, err));
    spread(&table->columns[column], &table->shape->columns[column], rows, cell, (size_t)(rows->step_ns / windows->every));
    return AF_OK;
}

/* --- statistics ----------------------------------------------------------------------------------------------------------- */

void fold_add_stat(struct fold_table *table, size_t number, size_t cell, const struct af_tsm_stat *stat, int64_t min_ns, int64_t max_ns)
{
    const struct fold_column *column = &table->shape->columns[number];
    struct fold_cells *cells = &table->columns[number];
    if ((column->ops & FOLD_FIRST) != 0)
        put_end(cells, column->type, CELL_FIRST, cell, stat->first, min_ns);
    if ((column->ops & FOLD_LAST) != 0)
        put_end(cells, column->type, CELL_LAST, cell, stat->last, max_ns);
    cells->at[CELL_COUNT][cell] += stat->count;
    if ((column->ops & FOLD_SUM) == 0)
        return;
    if (column->type == AF_TYPE_F64)
        add_f64(&cells->at[CELL_SUM][cell], as_f64(stat->sum));
    else
        cells->at[CELL_SUM][cell] += stat->sum;
}

bool fold_needs_values(const struct fold_table *table, size_t number, size_t cell, const struct af_tsm_stat *stat, int64_t min_ns)
{
    const struct fold_column *column = &table->shape->columns[number];
    const struct fold_cells *cells = &table->columns[number];
    if ((column->ops & (FOLD_MIN | FOLD_MAX)) == 0)
        return false;
    if (cells->at[CELL_COUNT][cell] == 0)
        return true;
    if ((column->ops & FOLD_MIN) != 0 &&
        beats_extreme(column->type, true, stat->min, min_ns, cells->at[CELL_MIN][cell], (int64_t)cells->at[CELL_MIN_NS][cell]))
        return true;
    return (column->ops & FOLD_MAX) != 0 &&
           beats_extreme(column->type, false, stat->max, min_ns, cells->at[CELL_MAX][cell], (int64_t)cells->at[CELL_MAX_NS][cell]);
}

/* --- merging -------------------------------------------------------------------------------------------------------------- */

static enum af_status merge_selected(struct fold_table *to, size_t to_cell, const struct fold_table *from, size_t from_cell, size_t number,
                                     struct af_error *err)
{
    const struct fold_column *column = &to->shape->columns[number];
    struct fold_cells *cells = &to->columns[number];
    uint64_t *const *other = from->columns[number].at;
    for (int which = CELL_MIN; which < CELL_ARRAYS; which += 2) {
        if (other[which] == NULL)
            continue;
        const uint64_t value = other[which][from_cell];
        const int64_t time = (int64_t)other[which + 1][from_cell];
        if (column->type == AF_TYPE_STRING)
            AF_TRY(put_text(to, number, (enum fold_cell)which, to_cell, text_of(value), time, err));
        else if (which == CELL_MIN || which == CELL_MAX)
            put_extreme(cells, column->type, (enum fold_cell)which, to_cell, value, time);
        else
            put_end(cells, column->type, (enum fold_cell)which, to_cell, value, time);
    }
    return AF_OK;
}

enum af_status fold_merge_cell(struct fold_table *to, size_t to_cell, const struct fold_table *from, size_t from_cell, size_t number,
                               struct af_error *err)
{
    const struct fold_column *column = &to->shape->columns[number];
    struct fold_cells *cells = &to->columns[number];
    uint64_t *const *other = from->columns[number].at;
    if (other[CELL_COUNT][from_cell] == 0)
        return AF_OK;
    if ((column->ops & SELECTING) != 0)
        AF_TRY(merge_selected(to, to_cell, from, from_cell, number, err));
    cells->at[CELL_COUNT][to_cell] += other[CELL_COUNT][from_cell];
    if ((column->ops & FOLD_SUM) == 0)
        return AF_OK;
    if (column->type == AF_TYPE_F64)
        add_f64(&cells->at[CELL_SUM][to_cell], as_f64(other[CELL_SUM][from_cell]));
    else
        cells->at[CELL_SUM][to_cell] += other[CELL_SUM][from_cell];
    return AF_OK;
}
