/*
 * holt_winters.c - forecasts by triple exponential smoothing, damped, multiplicative seasons (Holt 1957, Winters 1960).
 *
 *     level   l' = a (y / s) + (1 - a) (l + p b)
 *     trend   b' = d (l' - l) + (1 - d) p b
 *     season  s' = g (y / (l + p b)) + (1 - g) s
 *     value   y' = (l' + (p + p + p^2 + ...) b') s
 *
 * a, d, g, p in [0, 1], and the first level, trend and seasons, are those with the smallest squared error, searched for (simplex.c) from
 * each of the sixteen corners {0.3, 0.7}^4. As in InfluxDB, whose answers these are to be, y on the right side is the value forecast
 * before, and a measurement leaves its last seasons in the point that it measured.
 *
 * Values are put into slots of `interval`; a slot without one is a hole, a second value for a slot is dropped.
 */
#include "base/limits.h"
#include "fn/fn_int.h"
#include <math.h>

enum { ALPHA, BETA, GAMMA, PHI, LEVEL, TREND, SEASONS };

struct holt_winters {
    int64_t interval;
    uint64_t season;             /* 0: none */
    int64_t first_ns, last_ns;   /* of the rows */
    uint64_t row_count;
    int64_t slot_ns;             /* of the newest slot */
    double *y;                   /* NaN: a hole */
    size_t count, cap;
    double *powers;              /* of phi, room for all forecast values */
    uint64_t steps_left;
};

/* To the nearest slot; halves down, times before the epoch towards it. */
static int64_t round_time(const struct holt_winters *state, int64_t time_ns)
{
    int64_t slots = time_ns / state->interval;
    if (time_ns % state->interval > state->interval / 2)
        slots++;
    return (int64_t)((uint64_t)slots * (uint64_t)state->interval);
}

static enum af_status holt_winters_begin(struct af_transform *transform, struct af_error *err)
{
    (void)err;
    struct holt_winters *state = transform->state;
    uint64_t season = (uint64_t)fn_param_i64(&transform->call, 1, 0);
    state->season = season < 2 ? 0 : season;
    state->interval = fn_param_i64(&transform->call, 2, 1);
    return AF_OK;
}

static enum af_status push(struct af_transform *transform, double value, struct af_error *err)
{
    struct holt_winters *state = transform->state;
    if (state->count == state->cap) {
        size_t cap = state->cap == 0 ? 64 : state->cap * 2;
        if (state->count >= AF_QUERY_WINDOWS_MAX)
            return af_fail(err, AF_ELIMIT,
                           "\"%s\": more than %d intervals between the first and the last value: choose a shorter range or a "
                           "longer interval", af_fn_get(transform->call.id)->name, AF_QUERY_WINDOWS_MAX);
        double *y;
        AF_TRY(fn_alloc(transform->arena, cap, sizeof *y, &y, err));
        if (state->count != 0)
            memcpy(y, state->y, state->count * sizeof *y);
        state->y = y;
        state->cap = cap;
    }
    state->y[state->count++] = value;
    return AF_OK;
}

static enum af_status holt_winters_add(struct af_transform *transform, struct dense *rows)
{
    struct holt_winters *state = transform->state;
    for (size_t i = 0; i < rows->count; i++) {
        int64_t slot = round_time(state, rows->time_ns[i]);
        state->last_ns = rows->time_ns[i];
        if (state->row_count++ == 0) {
            state->first_ns = rows->time_ns[i];
        } else {
            if (slot <= state->slot_ns)
                continue;
            uint64_t holes = ((uint64_t)slot - (uint64_t)state->slot_ns) / (uint64_t)state->interval - 1;
            for (; holes > 0; holes--)
                AF_TRY(push(transform, NAN, rows->err));
        }
        state->slot_ns = slot;
        AF_TRY(push(transform, rows->cells[i].f64, rows->err));
    }
    return AF_OK;
}

/* --- the model ---------------------------------------------------------------------------------------------------------------------- */

static void clamp(double *x)
{
    for (int i = ALPHA; i <= PHI; i++) {
        if (x[i] > 1)
            x[i] = 1;
        if (x[i] < 0)
            x[i] = 0;
    }
}

/* phi^t by the powers of its squares, lowest bit of t first: phi^t = phi^(t without its highest bit) * phi^(that bit). One product each. */
struct powers {
    double *of;                  /* [0, t) are there */
    size_t high;                 /* the highest bit of t */
    double square;               /* phi^high */
};

static double power_next(struct powers *powers, size_t t)
{
    if (t == 2 * powers->high) {
        powers->high = t;
        powers->square *= powers->square;
    }
    double power = t == powers->high ? powers->square : powers->of[t - powers->high] * powers->square;
    powers->of[t] = power;
    return power;
}

/* Values [0, count) from parameters x, whose seasons move on. */
static void forecast(const struct holt_winters *state, double *x, size_t count, double *out)
{
    clamp(x);
    const double alpha = x[ALPHA], beta = x[BETA], gamma = x[GAMMA], phi = x[PHI];
    double y = state->y[0], level = x[LEVEL], trend = x[TREND], damping = phi;
    double *seasons = x + SEASONS, none = 1;
    const size_t m = (size_t)state->season;
    struct powers powers = { state->powers, 1, phi };
    bool is_growing = true;      /* powers of phi still change the damping */
    out[0] = y;
    for (size_t t = 1, at = 0, ahead = m == 0 ? 0 : 1 % m; t < count; t++) {
        double *season = m == 0 ? &none : &seasons[at];
        const double other = m == 0 ? 1 : seasons[at + ahead >= m ? at + ahead - m : at + ahead];
        const double damped = level + phi * trend, old_level = level, old_season = *season;
        level = alpha * (y / old_season) + (1 - alpha) * damped;
        trend = beta * (level - old_level) + (1 - beta) * phi * trend;
        if (m != 0) {
            *season = gamma * (y / damped) + (1 - gamma) * old_season;
            at = at + 2 >= m ? at + 2 - m : at + 2;
            ahead = ahead + 1 == m ? 0 : ahead + 1;
        }
        y = (level + damping * trend) * other;
        out[t] = y;
        if (is_growing) {
            double power = power_next(&powers, t);
            damping += power;
            is_growing = !(power < damping * 0x1p-60);
        }
    }
}

struct fit {
    const struct holt_winters *state;
    double *forecast;
};

static double squared_error(void *ctx, double *x)
{
    const struct fit *fit = ctx;
    const struct holt_winters *state = fit->state;
    forecast(state, x, state->count, fit->forecast);
    double error = 0;
    for (size_t i = 0; i < state->count; i++) {
        if (isnan(state->y[i]))
            continue;
        if (isnan(fit->forecast[i]))
            return INFINITY;
        double difference = fit->forecast[i] - state->y[i];
        error += difference * difference;
    }
    return error;
}

/* Level, trend and seasons to start from; holes are passed over. */
static void guess(const struct holt_winters *state, double *x)
{
    const double *y = state->y;
    size_t m = (size_t)state->season;
    double level = 0, trend = 0;
    if (m == 0) {
        level = 0.5 * y[0];
        trend = isnan(y[1]) ? 0 : 0.5 * (y[1] - y[0]);
    }
    for (size_t i = 0; i < m; i++)
        if (!isnan(y[i]))
            level += 1 / (double)m * y[i];
    for (size_t i = 0; i < m && m + i < state->count; i++)
        if (!isnan(y[i]) && !isnan(y[m + i]))
            trend += 1 / (double)(m * m) * (y[m + i] - y[i]);
    x[LEVEL] = level;
    x[TREND] = trend;
    for (size_t i = 0; i < m; i++)
        x[SEASONS + i] = isnan(y[i]) ? 0 : y[i] / level;
}

static enum af_status out_of_steps(const struct af_transform *transform, struct af_error *err)
{
    return af_fail(err, AF_ELIMIT,
                   "\"%s\": the fit takes more than %d million steps: choose a shorter range, a longer interval or a shorter season",
                   af_fn_get(transform->call.id)->name, AF_HOLT_WINTERS_MSTEPS_MAX);
}

/* The best parameters of sixteen searches. */
static enum af_status search(struct af_transform *transform, double *best, size_t dims, double *scratch, struct af_error *err)
{
    struct holt_winters *state = transform->state;
    struct fit fit = { state, scratch };
    double *start, *x, *work;
    if (simplex_cells(dims) == SIZE_MAX)
        return out_of_steps(transform, err);
    AF_TRY(fn_alloc(transform->arena, simplex_cells(dims), sizeof *work, &work, err));
    AF_TRY(fn_alloc(transform->arena, dims, sizeof *start, &start, err));
    AF_TRY(fn_alloc(transform->arena, dims, sizeof *x, &x, err));
    /* Of a step of the walk most is moving points, dims of them at once: counted with the measurement. */
    struct simplex simplex = { squared_error, &fit, dims, work, 1.0e-4, &state->steps_left, state->count + dims * dims / 8 };
    guess(state, start);
    double least = INFINITY;
    for (unsigned corner = 0; corner < 16; corner++) {
        for (unsigned i = ALPHA; i <= PHI; i++)
            start[i] = corner >> (3 - i) & 1 ? 0.3 + 0.4 : 0.3;
        memcpy(x, start, dims * sizeof *x);
        double error;
        if (!simplex_search(&simplex, x, &error))
            return out_of_steps(transform, err);
        if (error < least || corner == 0) {
            least = error;
            memcpy(best, x, dims * sizeof *best);
        }
    }
    return AF_OK;
}

/* --- the end ------------------------------------------------------------------------------------------------------------------------- */

static bool has_enough(const struct holt_winters *state)
{
    if (state->row_count < 2 || state->row_count < state->season || state->count < 2 || state->count < state->season)
        return false;
    int64_t start = round_time(state, state->first_ns), stop = round_time(state, state->last_ns);
    return (int64_t)((uint64_t)stop - (uint64_t)start) / state->interval > 0;
}

static enum af_status hand_out(struct af_transform *transform, const double *values, size_t count, int64_t first_ns, struct af_error *err)
{
    const struct holt_winters *state = transform->state;
    AF_TRY(fn_alloc(transform->arena, count, sizeof *transform->end_cells, &transform->end_cells, err));
    AF_TRY(fn_alloc(transform->arena, count, sizeof *transform->end_time_ns, &transform->end_time_ns, err));
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i]))
            continue;
        transform->end_cells[transform->end_count].f64 = values[i];
        transform->end_time_ns[transform->end_count++] = (int64_t)((uint64_t)first_ns + (uint64_t)state->interval * i);
    }
    return AF_OK;
}

static enum af_status holt_winters_end(struct af_transform *transform, struct af_error *err)
{
    struct holt_winters *state = transform->state;
    uint64_t ahead = (uint64_t)fn_param_i64(&transform->call, 0, 1);
    if (!has_enough(state))
        return AF_OK;
    if (ahead > AF_QUERY_WINDOWS_MAX)
        return af_fail(err, AF_ELIMIT, "\"%s\": more than %d values to predict", af_fn_get(transform->call.id)->name, AF_QUERY_WINDOWS_MAX);
    size_t all = state->count + (size_t)ahead, dims = SEASONS + (size_t)state->season;
    double *best, *values;
    state->steps_left = (uint64_t)AF_HOLT_WINTERS_MSTEPS_MAX * 1000000;
    AF_TRY(fn_alloc(transform->arena, all, sizeof *state->powers, &state->powers, err));
    AF_TRY(fn_alloc(transform->arena, all, sizeof *values, &values, err));
    AF_TRY(fn_alloc(transform->arena, dims, sizeof *best, &best, err));
    AF_TRY(search(transform, best, dims, values, err));
    forecast(state, best, all, values);
    if (transform->call.id == AF_FN_HOLT_WINTERS_FIT)
        return hand_out(transform, values, all, state->first_ns, err);
    return hand_out(transform, values + state->count, (size_t)ahead, (int64_t)((uint64_t)state->last_ns + (uint64_t)state->interval), err);
}

const struct transform_ops holt_winters_ops = { sizeof(struct holt_winters), true, holt_winters_begin, holt_winters_add, holt_winters_end };
