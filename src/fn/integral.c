/*
 * integral.c - the area below the straight lines between points, in values times units.
 *
 * INTEGRAL is an aggregate: the area between the points of one window, nothing outside of them. With windows InfluxDB does more: the line
 * from the last point of a window to the next point, wherever that is, is cut at the window's end. That needs rows of two windows at once,
 * so it is a function of the whole group: WINDOW_INTEGRAL, a transform.
 *
 *         *-----.                the part up to the border belongs to the first window; all of the rest, windows without points
 *        /      | `--.           included, to the window of the second point
 *     --*-------|------*---
 *
 * Of integers InfluxDB 1.x computes the part behind the border with the value at the border in place of the second point's, and with the
 * first point's own value at its beginning. Answers must be the same, so it is done here too.
 *
 * When times descend the windows are walked backwards: areas are negative and a row has the time of the window's end.
 * A last point that lies at the very start of its window (INTEGRAL: at the start it is given) ends no area: there is no row.
 */
#include "fn/fn_int.h"

/* --- of one window --------------------------------------------------------------------------------------------------------------- */

struct integral {
    bool has;
    int64_t time_ns;             /* of the last point */
    double value, sum;
};

/* As the machine subtracts: far times wrap. */
static double gap(int64_t from_ns, int64_t to_ns)
{
    return (double)(int64_t)((uint64_t)to_ns - (uint64_t)from_ns);
}

static double area(int64_t from_ns, int64_t to_ns, double from, double to, int64_t unit_ns)
{
    return 0.5 * (to + from) * (gap(from_ns, to_ns) / (double)unit_ns);
}

static enum af_status integral_add(void *state, const struct span *span)
{
    struct integral *integral = state;
    enum fn_class class = fn_class_of(span->column->type);
    int64_t unit = fn_param_i64(span->call, 0, 1000000000);
    for (size_t row = span->first; row < span->first + span->count; row++) {
        double value = fn_cell_f64((union fn_cell){ .u64 = span->column->u64[row] }, class);
        int64_t time = span->time_ns[row];
        if (integral->has && time != integral->time_ns)
            integral->sum += area(integral->time_ns, time, integral->value, value, unit);
        integral->has = true;
        integral->time_ns = time;
        integral->value = value; /* of two at one time the later one counts */
    }
    return AF_OK;
}

static enum af_status integral_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                      int64_t *out_time_ns, struct af_error *err)
{
    (void)arena, (void)out_time_ns, (void)err;
    const struct integral *integral = state;
    *out = !integral->has || integral->time_ns == fn_param_i64(call, 1, 0) ? af_value_none() : af_value_f64(integral->sum);
    return AF_OK;
}

const struct aggregate_ops integral_ops = { sizeof(struct integral), { integral_add, integral_add, integral_add, NULL, NULL },
    integral_finish };

/* --- of all windows of a group ------------------------------------------------------------------------------------------------------ */

struct window_integral {
    struct integral last;
    int64_t start_ns, end_ns;    /* in the direction of the rows */
};

static void find_window(const struct af_transform *transform, struct window_integral *state, int64_t time_ns)
{
    const struct af_window *window = transform->call.window;
    if (window == NULL || af_window_is_none(window)) {
        state->start_ns = 0;
        return;
    }
    int64_t start, stop;
    af_window_of(window, time_ns, &start, &stop);
    state->start_ns = transform->descending ? stop : start;
    state->end_ns = transform->descending ? start : stop;
}

static bool is_behind(const struct af_transform *transform, const struct window_integral *state, int64_t time_ns)
{
    const struct af_window *window = transform->call.window;
    if (window == NULL || af_window_is_none(window))
        return false;
    return transform->descending ? time_ns <= state->end_ns : time_ns >= state->end_ns;
}

static double line_at(int64_t at_ns, int64_t from_ns, int64_t to_ns, double from, double to)
{
    double slope = (to - from) / gap(from_ns, to_ns);
    return slope * gap(from_ns, at_ns) + from;
}

/* The window is over: what the line to (time_ns, *value) has in it. */
static void close_window(const struct af_transform *transform, struct window_integral *state, int64_t time_ns, double *value, int64_t unit)
{
    struct integral *last = &state->last;
    if (last->time_ns == state->end_ns)
        return;
    double border = line_at(state->end_ns, last->time_ns, time_ns, last->value, *value);
    last->sum += area(last->time_ns, state->end_ns, last->value, border, unit);
    last->time_ns = state->end_ns;
    if (transform->class == FN_F64)
        last->value = border;
    else
        *value = border; /* see above */
}

static enum af_status window_integral_add(struct af_transform *transform, struct dense *rows)
{
    struct window_integral *state = transform->state;
    struct integral *last = &state->last;
    int64_t unit = fn_param_i64(&transform->call, 0, 1000000000);
    for (size_t i = 0; i < rows->count; i++) {
        int64_t time = rows->time_ns[i];
        double own = fn_cell_f64(rows->cells[i], transform->class), value = own;
        if (!last->has) {
            find_window(transform, state, time);
        } else if (last->time_ns != time) {
            if (is_behind(transform, state, time)) {
                close_window(transform, state, time, &value, unit);
                rows->out_time_ns[rows->out_count] = state->start_ns;
                rows->out[rows->out_count++].f64 = last->sum;
                find_window(transform, state, time);
                last->sum = 0;
            }
            last->sum += area(last->time_ns, time, last->value, value, unit);
        }
        last->has = true;
        last->time_ns = time;
        last->value = own;
    }
    return AF_OK;
}

static enum af_status window_integral_end(struct af_transform *transform, struct af_error *err)
{
    const struct window_integral *state = transform->state;
    if (!state->last.has || state->last.time_ns == state->start_ns)
        return AF_OK;
    AF_TRY(fn_alloc(transform->arena, 1, sizeof *transform->end_cells, &transform->end_cells, err));
    AF_TRY(fn_alloc(transform->arena, 1, sizeof *transform->end_time_ns, &transform->end_time_ns, err));
    transform->end_cells[0].f64 = state->last.sum;
    transform->end_time_ns[0] = state->start_ns;
    transform->end_count = 1;
    return AF_OK;
}

const struct transform_ops window_integral_ops = { sizeof(struct window_integral), false, NULL, window_integral_add, window_integral_end };
