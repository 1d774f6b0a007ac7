/*
 * build.c - tables on the way and rows cut into windows; see build.h.
 */
#include "exec/build.h"

enum af_status build_begin(struct build *build, const struct op *op, struct af_arena *arena, struct af_error *err)
{
    if (build->columns != NULL)
        return AF_OK;
    const struct af_schema *schema = &op->node->schema;
    struct grower *columns = af_arena_zero(arena, schema->field_count, sizeof *columns);
    if (columns == NULL)
        return af_arena_fail(arena, schema->field_count * sizeof *columns, "columns of a result", err);
    for (size_t i = 0; i < schema->field_count; i++)
        grower_init(&columns[i], schema->fields[i].type, arena);
    *build = (struct build){ .op = op, .arena = arena, .columns = columns };
    return AF_OK;
}

enum af_status build_times(struct build *build, const int64_t *times, size_t count, struct af_error *err)
{
    struct af_column column = { .type = AF_TYPE_TIME, .i64 = times };
    return count != 0 ? grower_rows(&build->columns[0], &column, 0, count, err) : AF_OK;
}

enum af_status build_repeat(struct grower *grower, const struct af_value *value, size_t count, struct af_error *err)
{
    for (size_t i = 0; i < count; i++)
        AF_TRY(grower_value(grower, value, err));
    return AF_OK;
}

enum af_status build_rows(struct grower *grower, const struct af_column *column, const uint32_t *rows, size_t count, struct af_error *err)
{
    const struct af_value none = af_value_none();
    for (size_t i = 0, n; i < count; i += n) {
        n = 1;
        if (rows[i] == NO_ROW) {
            AF_TRY(grower_value(grower, &none, err));
            continue;
        }
        while (i + n < count && rows[i + n] == rows[i] + n)
            n++;
        AF_TRY(grower_rows(grower, column, rows[i], n, err));
    }
    return AF_OK;
}

enum af_status build_take(struct build *build, const struct af_group_key *key, const struct af_table **out, struct af_error *err)
{
    *out = NULL;
    if (build->rows == 0)
        return AF_OK;
    struct af_arena *arena = build->arena;
    size_t count = build->op->node->schema.field_count;
    struct af_column *columns = af_arena_zero(arena, count, sizeof *columns);
    if (columns == NULL)
        return af_arena_fail(arena, count * sizeof *columns, "columns of a result", err);
    for (size_t i = 0; i < count; i++)
        grower_column(&build->columns[i], &columns[i]);
    AF_TRY(table_make(build->op, key, columns, build->rows, arena, out, err));
    *build = (struct build){ 0 };
    return AF_OK;
}

/* --- windows ---------------------------------------------------------------------------------------------------------------- */

void windows_init(struct windows *windows, const struct af_window *window, int64_t start_ns, int64_t stop_ns)
{
    *windows = (struct windows){
        .window = window,
        .range = { start_ns, stop_ns == INT64_MAX || stop_ns == INT64_MIN ? stop_ns : stop_ns - 1 },
        .is_empty = start_ns >= stop_ns && stop_ns != INT64_MAX,
        .whole_ns = start_ns == INT64_MIN ? 0 : start_ns,
    };
}

void windows_uncut(struct windows *windows)
{
    windows->range = (struct span){ INT64_MIN, INT64_MAX };
    windows->is_empty = false;
}

/* af_window_of, without the call where that is easy. */
static void window_at(const struct af_window *window, int64_t t, int64_t *out_start, int64_t *out_stop)
{
    int64_t shifted, start, stop;
    if (af_window_is_regular(window) && !__builtin_sub_overflow(t, window->offset_ns, &shifted)) {
        int64_t rest = shifted % window->every_ns;
        rest += rest < 0 ? window->every_ns : 0;
        if (!__builtin_sub_overflow(t, rest, &start) && !__builtin_add_overflow(start, window->every_ns, &stop)) {
            *out_start = start;
            *out_stop = stop;
            return;
        }
    }
    af_window_of(window, t, out_start, out_stop);
}

bool windows_around(const struct windows *windows, int64_t t, struct span *out, int64_t *out_start_ns)
{
    const struct span *range = &windows->range;
    if (windows->is_empty || t < range->first_ns || t > range->last_ns) {
        *out = (struct span){ INT64_MIN, INT64_MAX };
        if (!windows->is_empty && t < range->first_ns)
            out->last_ns = range->first_ns - 1;
        else if (!windows->is_empty)
            out->first_ns = range->last_ns + 1;
        return false;
    }
    if (af_window_is_none(windows->window)) {
        *out = *range;
        *out_start_ns = windows->whole_ns;
        return true;
    }
    int64_t start, stop;
    window_at(windows->window, t, &start, &stop);
    int64_t last = stop == INT64_MAX ? INT64_MAX : stop - 1;
    *out = (struct span){ start > range->first_ns ? start : range->first_ns, last < range->last_ns ? last : range->last_ns };
    /* Where odd hours of a zone make a window that does not hold its own time, the row still has a run of its own. */
    out->first_ns = out->first_ns < t ? out->first_ns : t;
    out->last_ns = out->last_ns > t ? out->last_ns : t;
    *out_start_ns = start;
    return true;
}

size_t windows_run_end(const struct span *span, const int64_t *times, size_t first, size_t count, bool is_ordered)
{
    if (is_ordered) {
        /* Doubling steps, then halving: long windows cost little. */
        size_t good = first, step = 1;
        while (good + step < count && span_has(span, times[good + step])) {
            good += step;
            step *= 2;
        }
        for (; step != 0; step /= 2)
            if (good + step < count && span_has(span, times[good + step]))
                good += step;
        return good + 1;
    }
    uint64_t width = (uint64_t)span->last_ns - (uint64_t)span->first_ns;
    size_t i = first;
    for (; i + 8 <= count; i += 8) {
        unsigned outside = 0;
        for (size_t j = 0; j < 8; j++)
            outside |= (uint64_t)times[i + j] - (uint64_t)span->first_ns > width;
        if (outside != 0)
            break;
    }
    while (i < count && (uint64_t)times[i] - (uint64_t)span->first_ns <= width)
        i++;
    return i > first ? i : first + 1;
}

enum af_status windows_fail(const struct exec *exec, struct af_error *err)
{
    return af_fail(err, AF_ELIMIT, "a group has more windows of time than the %llu that a query may have (max-select-buckets): take longer "
                   "windows or a shorter range of time", (unsigned long long)exec->options.limits.windows_max);
}
