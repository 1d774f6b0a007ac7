/*
 * fill.c - FILL: windows that have no row, values that are null.
 *
 *     window   0  1  2  3  4  5        A window that the input passes over becomes a row without a source; what columns have there is by
 *     row      .  a  .  .  b  .        their mode: null, a value, the previous one (a), the line from a to b where both ends exist.
 *
 * Output rows are listed with the input row that each comes from, or none; columns are built from the lists. Only a line looks ahead: to
 * the next row, which is at hand. With `nulls_too` the next value may be many rows on: then the group is held whole, on the query's budget.
 *
 * What a column was before comes along as a value: a row's null is "no value" then, except with `nulls_too`, which passes over it.
 */
#include "exec/build.h"

struct filled {
    enum af_fill_mode mode;
    struct af_value value;               /* of VALUE */
    struct af_value previous;            /* NULL type: none, or null */
    int64_t previous_ns;
};
struct fill {
    struct op op;
    const struct af_plan_fill *plan;
    struct groups groups;
    struct filled *columns;
    size_t column_count;                 /* behind the time */
    bool looks_ahead;                    /* a group is held whole */
    struct gathered gathered;
    struct mem text[2];                  /* of `previous`, by turns */
    unsigned turn;
    /* the group at hand */
    const struct af_group_key *key;      /* NULL: none */
    bool is_begun;                       /* a row was seen */
    uint64_t given;                      /* windows */
    /* the window that comes next */
    bool expects;                        /* there is one */
    int64_t expected;
    int64_t zone_ns;                     /* the zone's offset there */
    int64_t final;                       /* the last of the range, where that has an end */
    bool is_endless;                     /* no windows are wanted behind the last row */
    /* input rows at hand */
    const int64_t *times;
    const struct af_column *input;
    size_t row, rows;
    bool is_last;                        /* the group has no more than these */
    /* output rows listed */
    int64_t *list_times;
    uint32_t *list_rows;
    size_t listed;
    struct build build;
};

/* --- windows ---------------------------------------------------------------------------------------------------------------- */

static bool is_before(const struct fill *fill, int64_t a, int64_t b)
{
    return fill->plan->descending ? a > b : a < b;
}

/* Where the zone's clock is set forward or back between two windows, the next one is that much nearer or farther, unless windows are
 * shorter than the change. This is how InfluxDB steps, also where its windows (data/window.h) do not begin at such steps: then the answer
 * has both. */
static int64_t clock_change(struct fill *fill, int64_t next)
{
    const struct af_window *window = &fill->plan->window;
    int64_t before_next = next != INT64_MIN ? next - 1 : next;
    int64_t offset = af_zone_to_wall(&window->zone, before_next) - before_next, change = fill->zone_ns - offset;
    fill->zone_ns = offset;
    return change > -window->every_ns && change < window->every_ns ? change : 0;
}

static void expect_next(struct fill *fill)
{
    const struct af_window *window = &fill->plan->window;
    bool descending = fill->plan->descending;
    int64_t t = fill->expected, next = t, start, stop;
    if (window->every_ns != 0) {
        fill->expects = !__builtin_add_overflow(t, descending ? -window->every_ns : window->every_ns, &next);
        if (fill->expects && !af_window_is_regular(window))
            fill->expects = !__builtin_add_overflow(next, clock_change(fill, next), &next);
    } else {
        af_window_of(window, t, &start, &stop);
        fill->expects = descending ? start != INT64_MIN : stop != INT64_MAX;
        if (descending && fill->expects)
            af_window_of(window, start - 1, &next, &stop);
        else
            next = stop;
    }
    fill->expected = next;
    if (fill->expects)
        fill->expects = is_before(fill, t, next) && (fill->is_endless || !is_before(fill, fill->final, next));
}

/* At the group's first row: where windows begin and end. */
static enum af_status begin_windows(struct fill *fill, int64_t t, struct af_error *err)
{
    const struct af_plan_fill *plan = fill->plan;
    bool has_start = plan->start_ns != INT64_MIN, has_stop = plan->stop_ns != INT64_MAX;
    int64_t low = has_start ? plan->start_ns : t, high = has_stop && plan->stop_ns != INT64_MIN ? plan->stop_ns - 1 : t;
    int64_t low_start, high_start, stop;
    af_window_of(&plan->window, low, &low_start, &stop);
    af_window_of(&plan->window, high, &high_start, &stop);
    fill->expected = plan->descending ? high_start : low_start;
    fill->final = plan->descending ? low_start : high_start;
    fill->is_endless = plan->descending ? !has_start : !has_stop;
    fill->expects = low <= high && (fill->is_endless || !is_before(fill, fill->final, fill->expected));
    fill->zone_ns = af_zone_to_wall(&plan->window.zone, fill->expected) - fill->expected;
    fill->is_begun = true;
    uint64_t max = fill->op.exec->options.limits.windows_max;
    return low < high && af_window_count(&plan->window, low, high, max) > max ? windows_fail(fill->op.exec, err) : AF_OK;
}

/* --- listing ---------------------------------------------------------------------------------------------------------------- */

static void list_one(struct fill *fill, int64_t t, uint32_t row)
{
    fill->list_times[fill->listed] = t;
    fill->list_rows[fill->listed++] = row;
}

/* Until the table is full, or more rows are needed, or the group is over. */
static enum af_status list(struct fill *fill, struct af_error *err)
{
    const struct af_window *window = &fill->plan->window;
    bool steps_by_clock = window->every_ns != 0 && !af_window_is_regular(window);
    size_t room = build_room(&fill->build), before = fill->listed;
    while (fill->listed < room) {
        bool has_row = fill->row < fill->rows;
        if (!has_row && (!fill->is_last || !fill->expects || fill->is_endless))
            break;
        if (has_row && !fill->is_begun)
            AF_TRY(begin_windows(fill, fill->times[fill->row], err));
        if (!has_row || (fill->expects && is_before(fill, fill->expected, fill->times[fill->row]))) {
            list_one(fill, fill->expected, NO_ROW);
            expect_next(fill);
            continue;
        }
        int64_t t = fill->times[fill->row];
        list_one(fill, t, (uint32_t)fill->row++);
        if (fill->expects && (steps_by_clock || !is_before(fill, t, fill->expected)))
            expect_next(fill);
    }
    fill->given += fill->listed - before;
    return fill->given > fill->op.exec->options.limits.windows_max ? windows_fail(fill->op.exec, err) : AF_OK;
}

/* --- lines ------------------------------------------------------------------------------------------------------------------ */

/* Conversions as the processor does them, for values that do not fit too: InfluxDB's answers have those. */
static int64_t i64_of(double x)
{
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}

static uint64_t u64_of(double x)
{
    if (x >= 0x1p63)
        return x < 0x1p64 ? (uint64_t)x : (uint64_t)INT64_MIN ^ (uint64_t)i64_of(x - 0x1p63);
    return (uint64_t)i64_of(x);
}

/* Times are counted in whole windows since 1970, so all windows are equally far apart; differences of integers wrap. */
static struct af_value line_at(int64_t unit, int64_t t, int64_t t0, const struct af_value *v0, int64_t t1, const struct af_value *v1)
{
    double width = (double)(t1 / unit - t0 / unit), x = (double)(t / unit - t0 / unit);
    switch (v0->type) {
    case AF_TYPE_F64:
        return af_value_f64((v1->f64 - v0->f64) / width * x + v0->f64);
    case AF_TYPE_I64:
        return af_value_i64(i64_of((double)(int64_t)((uint64_t)v1->i64 - (uint64_t)v0->i64) / width * x + (double)v0->i64));
    case AF_TYPE_U64:
        return af_value_u64(u64_of((double)(v1->u64 - v0->u64) / width * x + (double)v0->u64));
    default:
        return af_value_none();
    }
}

/* --- building --------------------------------------------------------------------------------------------------------------- */

static bool has_entry(const struct fill *fill, const struct af_column *column, size_t row)
{
    return !fill->plan->nulls_too || af_column_has(column, row);
}

/* Listed rows [from, to) have no value: each gets one on the line from the previous one to that of row `next`. */
static enum af_status build_line(struct fill *fill, size_t c, size_t from, size_t to, size_t next, struct grower *grower,
                                 struct af_error *err)
{
    const struct filled *filled = &fill->columns[c];
    const struct af_column *column = &fill->input[1 + c];
    const struct af_value none = af_value_none();
    if (filled->previous.type == AF_TYPE_NULL || next >= fill->rows || !af_column_has(column, next))
        return build_repeat(grower, &none, to - from, err);
    struct af_value ahead = af_column_value(column, next);
    int64_t unit = fill->plan->window.every_ns != 0 ? fill->plan->window.every_ns : 1;
    for (size_t i = from; i < to; i++) {
        struct af_value value = line_at(unit, fill->list_times[i], filled->previous_ns, &filled->previous, fill->times[next], &ahead);
        AF_TRY(grower_value(grower, &value, err));
    }
    return AF_OK;
}

/* The input row, from `row` on, that the next entry of the column is in. `rows`: none. */
static size_t next_entry(const struct fill *fill, const struct af_column *column, size_t row)
{
    while (row < fill->rows && !has_entry(fill, column, row))
        row++;
    return row;
}

static enum af_status build_missing(struct fill *fill, size_t c, size_t from, size_t to, struct grower *grower, struct af_error *err)
{
    const struct filled *filled = &fill->columns[c];
    const struct af_value none = af_value_none();
    switch (filled->mode) {
    case AF_FILL_VALUE:
        return build_repeat(grower, &filled->value, to - from, err);
    case AF_FILL_PREVIOUS:
        return build_repeat(grower, &filled->previous, to - from, err);
    case AF_FILL_LINEAR:
        break;
    case AF_FILL_NULL:
        return build_repeat(grower, &none, to - from, err);
    }
    size_t after = to < fill->listed ? fill->list_rows[to] : fill->row;
    return build_line(fill, c, from, to, next_entry(fill, &fill->input[1 + c], after), grower, err);
}

/* How many listed rows from `from` on are neighbours in the input, with entries. */
static size_t present_run(const struct fill *fill, const struct af_column *column, size_t from)
{
    size_t n = 0, first = fill->list_rows[from];
    bool sees_nulls = fill->plan->nulls_too && column->null_count != 0;
    if (column->type == AF_TYPE_NULL)
        sees_nulls = fill->plan->nulls_too;
    while (from + n < fill->listed && fill->list_rows[from + n] != NO_ROW && fill->list_rows[from + n] == first + n &&
           (!sees_nulls || af_column_has(column, first + n)))
        n++;
    return n;
}

static size_t missing_run(const struct fill *fill, const struct af_column *column, size_t from)
{
    size_t n = 1;
    while (from + n < fill->listed && (fill->list_rows[from + n] == NO_ROW || !has_entry(fill, column, fill->list_rows[from + n])))
        n++;
    return n;
}

static enum af_status build_column(struct fill *fill, size_t c, struct af_error *err)
{
    struct grower *grower = &fill->build.columns[1 + c];
    const struct af_column *column = &fill->input[1 + c];
    struct filled *filled = &fill->columns[c];
    if (filled->mode == AF_FILL_NULL)
        return build_rows(grower, column, fill->list_rows, fill->listed, err);
    for (size_t i = 0, n; i < fill->listed; i += n) {
        n = fill->list_rows[i] != NO_ROW ? present_run(fill, column, i) : 0;
        if (n == 0) {
            n = missing_run(fill, column, i);
            AF_TRY(build_missing(fill, c, i, i + n, grower, err));
            continue;
        }
        AF_TRY(grower_rows(grower, column, fill->list_rows[i], n, err));
        size_t last = fill->list_rows[i + n - 1];
        filled->previous = af_column_has(column, last) ? af_column_value(column, last) : af_value_none();
        filled->previous_ns = fill->times[last];
    }
    return AF_OK;
}

static enum af_status build_listed(struct fill *fill, struct af_error *err)
{
    if (fill->listed == 0)
        return AF_OK;
    AF_TRY(build_times(&fill->build, fill->list_times, fill->listed, err));
    for (size_t c = 0; c < fill->column_count; c++)
        AF_TRY(build_column(fill, c, err));
    fill->build.rows += fill->listed;
    fill->listed = 0;
    return AF_OK;
}

/* --- pulling ---------------------------------------------------------------------------------------------------------------- */

/* What columns were before moves to memory of its own, for the rows go away. */
static enum af_status keep_text(struct fill *fill, struct af_error *err)
{
    struct mem *to = &fill->text[fill->turn ^ 1];
    for (size_t c = 0; c < fill->column_count; c++) {
        struct af_value copy;
        if (!af_value_copy(&fill->columns[c].previous, &to->arena, &copy))
            return mem_fail(to, fill->columns[c].previous.text.len + 1, err);
        fill->columns[c].previous = copy;
    }
    mem_reset(&fill->text[fill->turn]);
    fill->turn ^= 1;
    return mem_charge(to, err);
}

static void show(struct fill *fill, const struct af_column *columns, size_t rows, bool is_last)
{
    fill->input = columns;
    fill->times = rows != 0 ? columns[0].i64 : NULL;
    fill->row = 0;
    fill->rows = rows;
    fill->is_last = is_last;
}

static enum af_status gather_group(struct fill *fill, struct af_error *err)
{
    const struct af_table *table;
    if (fill->gathered.schema == NULL)
        AF_TRY(gathered_init(&fill->gathered, fill->op.exec, &fill->op.inputs[0]->node->schema, err));
    gathered_clear(&fill->gathered);
    do {
        AF_TRY(groups_next(&fill->groups, &table, err));
        if (table != NULL)
            AF_TRY(gathered_add(&fill->gathered, table, err));
    } while (table != NULL);
    struct af_arena *arena = &fill->gathered.mem.arena;
    struct af_column *columns = af_arena_zero(arena, fill->column_count + 1, sizeof *columns);
    if (columns == NULL)
        return mem_fail(&fill->gathered.mem, (fill->column_count + 1) * sizeof *columns, err);
    for (size_t c = 0; c < fill->column_count + 1; c++)
        grower_column(&fill->gathered.columns[c], &columns[c]);
    show(fill, columns, fill->gathered.rows, true);
    return AF_OK;
}

static enum af_status pull(struct fill *fill, struct af_error *err)
{
    const struct af_table *table;
    if (fill->looks_ahead)
        return gather_group(fill, err);
    AF_TRY(keep_text(fill, err));
    AF_TRY(groups_next(&fill->groups, &table, err));
    if (table == NULL)
        show(fill, fill->input, 0, true); /* only rows without a source follow: no column is looked at */
    else
        show(fill, table->rows->columns, table->rows->row_count, false);
    return AF_OK;
}

static enum af_status begin_group(struct fill *fill, struct af_error *err)
{
    AF_TRY(groups_begin(&fill->groups, &fill->key, err));
    fill->is_begun = false;
    fill->expects = false;
    fill->given = 0;
    for (size_t c = 0; c < fill->column_count; c++)
        fill->columns[c].previous = af_value_none();
    show(fill, NULL, 0, false);
    return AF_OK;
}

static bool is_over(const struct fill *fill)
{
    return fill->is_last && fill->row == fill->rows && (!fill->expects || fill->is_endless);
}

static enum af_status fill_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct fill *fill = (struct fill *)tables;
    *out = NULL;
    fill->build = (struct build){ 0 };
    for (;;) {
        if (fill->key == NULL) {
            AF_TRY(begin_group(fill, err));
            if (fill->key == NULL)
                return AF_OK;
        }
        AF_TRY(build_begin(&fill->build, &fill->op, arena, err));
        if (fill->row == fill->rows && !fill->is_last)
            AF_TRY(pull(fill, err));
        AF_TRY(list(fill, err));
        AF_TRY(build_listed(fill, err));
        if (build_room(&fill->build) != 0 && !is_over(fill))
            continue;
        AF_TRY(build_take(&fill->build, fill->key, out, err));
        if (is_over(fill))
            fill->key = NULL;
        if (*out != NULL)
            return AF_OK;
    }
}

static void fill_close(struct af_tables *tables)
{
    struct fill *fill = (struct fill *)tables;
    groups_done(&fill->groups);
    if (fill->gathered.schema != NULL)
        gathered_done(&fill->gathered);
    mem_done(&fill->text[0]);
    mem_done(&fill->text[1]);
}

/* --- opening ---------------------------------------------------------------------------------------------------------------- */

static bool looks_ahead(const struct af_node *node)
{
    bool has_line = false;
    for (size_t c = 0; c + 1 < node->schema.field_count; c++)
        has_line |= node->fill.modes[c] == AF_FILL_LINEAR;
    return has_line && node->fill.nulls_too;
}

/* Windows without number are refused before anything is read. */
static enum af_status check_range(const struct exec *exec, const struct af_plan_fill *plan, struct af_error *err)
{
    uint64_t max = exec->options.limits.windows_max;
    if (plan->start_ns == INT64_MIN || plan->stop_ns == INT64_MAX || plan->start_ns >= plan->stop_ns)
        return AF_OK;
    return af_window_count(&plan->window, plan->start_ns, plan->stop_ns, max) > max ? windows_fail(exec, err) : AF_OK;
}

enum af_status open_fill(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    static const struct af_tables_ops ops = { fill_next, fill_close };
    const struct af_plan_fill *plan = &node->fill;
    size_t count = node->schema.field_count - 1;
    struct op *op;
    AF_TRY(check_range(exec, plan, err));
    struct filled *columns = af_arena_zero(&exec->arena, count + 1, sizeof *columns);
    int64_t *times = af_arena_array(&exec->arena, AF_BATCH_ROWS, sizeof *times);
    uint32_t *rows = af_arena_array(&exec->arena, AF_BATCH_ROWS, sizeof *rows);
    if (columns == NULL || times == NULL || rows == NULL)
        return af_arena_fail(&exec->arena, AF_BATCH_ROWS * sizeof *times, "lists of windows", err);
    AF_TRY(op_new(exec, node, inputs, sizeof(struct fill), &ops, &op, err));
    struct fill *fill = (struct fill *)op;
    fill->plan = plan;
    fill->columns = columns;
    fill->column_count = count;
    fill->list_times = times;
    fill->list_rows = rows;
    for (size_t c = 0; c < count; c++)
        columns[c] = (struct filled){ .mode = plan->modes[c], .value = plan->values != NULL ? plan->values[c] : af_value_none() };
    fill->looks_ahead = looks_ahead(node);
    groups_init(&fill->groups, exec, inputs[0]);
    mem_init(&fill->text[0], exec);
    mem_init(&fill->text[1], exec);
    *out = op;
    return AF_OK;
}
