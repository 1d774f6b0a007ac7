/*
 * transform_average.c - moving averages and the indicators of technical analysis that are made of them.
 *
 * An exponential average of period n gives a new value the weight 2 / (n + 1). Before it has seen n values it is warming up:
 *     exponential   the k-th value has the weight 2 / (k + 1), k from 1
 *     simple        the plain mean
 * `hold` values are computed and not given; by default as many as the warmup has. All sums are kept up by adding and subtracting, as
 * InfluxDB keeps them: what rounding leaves in them is part of the answer.
 */
#include "fn/fn_int.h"
#include <math.h>

/* --- moving average ---------------------------------------------------------------------------------------------------------------- */

/* The last values, a ring that grows up to `cap_max`: a large n costs nothing before so many values came. */
struct ring {
    union fn_cell *cells;
    size_t count, cap, cap_max, at;
};
struct moving_average {
    struct ring ring;
    union fn_cell sum;
};

static enum af_status grow(void *cells, size_t bytes, size_t *cap, size_t cap_max, struct af_arena *arena, struct af_error *err)
{
    size_t more = *cap == 0 ? 16 : *cap > SIZE_MAX / 4 / bytes ? SIZE_MAX : *cap * 2;
    more = more < cap_max ? more : cap_max;
    void *made = af_arena_zero(arena, more, bytes), *old;
    if (made == NULL)
        return af_arena_fail(arena, more == SIZE_MAX ? more : more * bytes, "the values of a moving window", err);
    memcpy(&old, cells, sizeof old);
    if (*cap != 0)
        memcpy(made, old, *cap * bytes);
    memcpy(cells, &made, sizeof made);
    *cap = more;
    return AF_OK;
}

static enum af_status moving_average_begin(struct af_transform *transform, struct af_error *err)
{
    (void)err;
    ((struct moving_average *)transform->state)->ring.cap_max = (size_t)fn_param_i64(&transform->call, 0, 2);
    return AF_OK;
}

static enum af_status moving_average_add(struct af_transform *transform, struct dense *rows)
{
    struct moving_average *state = transform->state;
    struct ring *ring = &state->ring;
    const bool is_float = transform->class == FN_F64;
    for (size_t i = 0; i < rows->count; i++) {
        union fn_cell cell = rows->cells[i];
        if (ring->count < ring->cap_max) {
            if (ring->count == ring->cap)
                AF_TRY(grow(&ring->cells, sizeof *ring->cells, &ring->cap, ring->cap_max, transform->arena, rows->err));
            ring->cells[ring->count++] = cell;
        } else {
            union fn_cell oldest = ring->cells[ring->at];
            if (is_float)
                state->sum.f64 -= oldest.f64;
            else
                state->sum.u64 -= oldest.u64;
            ring->cells[ring->at] = cell;
            ring->at = ring->at + 1 == ring->cap_max ? 0 : ring->at + 1;
        }
        if (is_float)
            state->sum.f64 += cell.f64;
        else
            state->sum.u64 += cell.u64;
        if (ring->count < ring->cap_max)
            continue;
        rows->out_time_ns[rows->out_count] = rows->time_ns[i];
        rows->out[rows->out_count++].f64 = fn_cell_f64(state->sum, transform->class) / (double)ring->count;
    }
    return AF_OK;
}

const struct transform_ops moving_average_ops = { sizeof(struct moving_average), false, moving_average_begin, moving_average_add, NULL };

/* --- exponential averages ------------------------------------------------------------------------------------------------------------- */

struct ema {
    int64_t period, count;       /* count stops at period: it is warm */
    double alpha, last;
    bool is_simple;
};

static struct ema ema_make(int64_t period, bool is_simple)
{
    return (struct ema){ .period = period, .alpha = 2 / (double)(int64_t)((uint64_t)period + 1), .is_simple = is_simple };
}

static double ema_add(struct ema *ema, double value)
{
    double average;
    if (ema->count == 0)
        average = value;
    else if (ema->count == ema->period)
        average = (value - ema->last) * ema->alpha + ema->last;
    else if (ema->is_simple)
        average = (ema->last * (double)ema->count + value) / (double)(ema->count + 1);
    else
        average = (value - ema->last) * (2 / (double)(ema->count + 2)) + ema->last;
    ema->last = average;
    ema->count += ema->count < ema->period;
    return average;
}

/* What follows it may begin: it is warm, or warms up so that every value counts. */
static bool ema_gives(const struct ema *ema)
{
    return !ema->is_simple || ema->count == ema->period;
}

/* --- windows of prices ------------------------------------------------------------------------------------------------------------------
 * */

/* The last prices, each with how it differs from the one before. Slots that were not written yet are zero; the first price goes to slot 1.
 * */
struct price {
    double value, difference;
};
struct prices {
    struct price *slots;
    size_t cap, size, newest;
};

static enum af_status prices_next(struct prices *prices, struct af_transform *transform, size_t *out_oldest, struct af_error *err)
{
    *out_oldest = prices->newest + 1 >= prices->size ? 0 : prices->newest + 1;
    while (*out_oldest >= prices->cap || prices->newest >= prices->cap)
        AF_TRY(grow(&prices->slots, sizeof *prices->slots, &prices->cap, prices->size, transform->arena, err));
    return AF_OK;
}

/* --- the indicators
 * ----------------------------------------------------------------------------------------------------------------------- */

struct average {
    uint32_t hold, seen;
    struct ema ema[3];
    double last;                 /* TRIX: average before; RSI, CMO: price before; KAMA: average */
    struct prices prices;
    double noise, up, down;
    bool is_smooth;              /* CMO with a warmup: over averages */
    size_t count;                /* prices seen: KAMA up to size + 1, CMO up to size + 2 */
};
static double add_double(struct average *state, double value)
{
    double first = ema_add(&state->ema[0], value);
    double second = ema_gives(&state->ema[0]) ? ema_add(&state->ema[1], first) : first;
    return 2 * first - second;
}

static double add_triple(struct average *state, double value)
{
    double first = ema_add(&state->ema[0], value);
    double second = ema_gives(&state->ema[0]) ? ema_add(&state->ema[1], first) : first;
    double third = ema_gives(&state->ema[1]) ? ema_add(&state->ema[2], second) : second;
    return 3 * first - 3 * second + third;
}

static double add_trix(struct average *state, double value)
{
    double average = ema_add(&state->ema[0], value);
    if (ema_gives(&state->ema[0])) {
        average = ema_add(&state->ema[1], average);
        if (ema_gives(&state->ema[1]))
            average = ema_add(&state->ema[2], average);
    }
    double rate = (average / state->last - 1) * 100;
    state->last = average;
    return rate;
}

/* Averages of the steps up and of the steps down; the first step is from 0. */
static void add_steps(struct average *state, double value)
{
    ema_add(&state->ema[0], value > state->last ? value - state->last : 0);
    ema_add(&state->ema[1], value < state->last ? state->last - value : 0);
    state->last = value;
}

static double add_rsi(struct average *state, double value)
{
    add_steps(state, value);
    return 100 - (100 / (1 + state->ema[0].last / state->ema[1].last));
}

static double add_smooth_momentum(struct average *state, double value)
{
    add_steps(state, value);
    double up = state->ema[0].last, down = state->ema[1].last;
    return 100.0 * ((up - down) / (up + down));
}

static enum af_status add_efficiency(struct af_transform *transform, double value, double *out, struct af_error *err)
{
    struct average *state = transform->state;
    struct prices *prices = &state->prices;
    size_t oldest;
    AF_TRY(prices_next(prices, transform, &oldest, err));
    double signal = fabs(value - prices->slots[oldest].value), difference = fabs(value - prices->slots[prices->newest].value);
    state->noise -= prices->slots[oldest].difference;
    state->noise += difference;
    prices->newest = oldest;
    prices->slots[oldest] = (struct price){ value, difference };
    state->count += state->count <= prices->size;
    *out = signal == 0 || state->noise == 0 ? 0 : signal / state->noise;
    return AF_OK;
}

static enum af_status add_adaptive(struct af_transform *transform, double value, double *out, struct af_error *err)
{
    struct average *state = transform->state;
    if (state->count <= state->prices.size)
        state->last = state->count == 0 ? 0 : state->prices.slots[state->prices.newest].value;
    double ratio;
    AF_TRY(add_efficiency(transform, value, &ratio, err));
    const double span = 56.0 / 93.0, slow = 2.0 / 31.0; /* between 2 / (2 + 1) and 2 / (30 + 1) */
    double weight = ratio * span + slow;
    weight *= weight;
    state->last = state->last + weight * (value - state->last);
    *out = state->last;
    return AF_OK;
}

static enum af_status add_momentum(struct af_transform *transform, double value, double *out, struct af_error *err)
{
    struct average *state = transform->state;
    struct prices *prices = &state->prices;
    size_t oldest;
    AF_TRY(prices_next(prices, transform, &oldest, err));
    double difference = 0;
    if (state->count != 0) {
        difference = value - prices->slots[prices->newest].value;
        if (difference > 0)
            state->up += difference;
        else if (difference < 0)
            state->down -= difference;
    }
    *out = state->up != 0 || state->down != 0 ? 100.0 * ((state->up - state->down) / (state->up + state->down)) : 0;
    double gone = prices->slots[oldest].difference;
    if (gone > 0)
        state->up -= gone;
    else if (gone < 0)
        state->down += gone;
    prices->slots[oldest] = (struct price){ value, difference };
    prices->newest = oldest;
    state->count += state->count < prices->size + 2;
    return AF_OK;
}

/* --- all of them
 * ---------------------------------------------------------------------------------------------------------------------------- */

/* How many values a warmup has, by default held back. */
static uint64_t warm_count(enum af_fn id, uint64_t period, bool is_simple, bool is_smooth)
{
    switch (id) {
    case AF_FN_EMA: return period - 1;
    case AF_FN_DOUBLE_EMA: return is_simple ? 2 * (period - 1) : period - 1;
    case AF_FN_TRIPLE_EMA: return is_simple ? 3 * (period - 1) : period - 1;
    case AF_FN_TRIX: return (is_simple ? 3 * (period - 1) : period - 1) + 1;
    case AF_FN_CMO: return is_smooth ? period : period - 1;
    default: return period;
    }
}

static enum af_status average_begin(struct af_transform *transform, struct af_error *err)
{
    (void)err;
    struct average *state = transform->state;
    const struct af_fn_call *call = &transform->call;
    int64_t period = fn_param_i64(call, 0, 1), hold = fn_param_i64(call, 1, -1);
    bool is_simple = call->param_count >= 3 && af_slice_is(call->params[2].text, "simple");
    state->is_smooth = call->id == AF_FN_CMO && call->param_count >= 3 && !af_slice_is(call->params[2].text, "none");
    state->hold = (uint32_t)(hold == -1 ? warm_count(call->id, (uint64_t)period, is_simple, state->is_smooth) : (uint64_t)hold);
    state->prices.size = (size_t)(call->id == AF_FN_CMO ? period - 1 : period);
    bool is_steps = call->id == AF_FN_RSI || call->id == AF_FN_CMO;
    for (size_t i = 0; i < 3; i++) {
        state->ema[i] = ema_make(is_steps && period < INT64_MAX ? period + 1 : period, is_simple);
        if (is_steps)
            state->ema[i].alpha = 1 / (double)period;
    }
    return AF_OK;
}

static enum af_status average_next(struct af_transform *transform, double value, double *out, struct af_error *err)
{
    struct average *state = transform->state;
    switch (transform->call.id) {
    case AF_FN_EMA: *out = ema_add(&state->ema[0], value); return AF_OK;
    case AF_FN_DOUBLE_EMA: *out = add_double(state, value); return AF_OK;
    case AF_FN_TRIPLE_EMA: *out = add_triple(state, value); return AF_OK;
    case AF_FN_RSI: *out = add_rsi(state, value); return AF_OK;
    case AF_FN_TRIX: *out = add_trix(state, value); return AF_OK;
    case AF_FN_KER: return add_efficiency(transform, value, out, err);
    case AF_FN_KAMA: return add_adaptive(transform, value, out, err);
    default: break;
    }
    if (!state->is_smooth)
        return add_momentum(transform, value, out, err);
    *out = add_smooth_momentum(state, value);
    return AF_OK;
}

static enum af_status average_add(struct af_transform *transform, struct dense *rows)
{
    struct average *state = transform->state;
    enum af_fn id = transform->call.id;
    bool drops_infinite = id == AF_FN_TRIX || id == AF_FN_KER || id == AF_FN_KAMA;
    for (size_t i = 0; i < rows->count; i++) {
        double value;
        AF_TRY(average_next(transform, rows->cells[i].f64, &value, rows->err));
        state->seen++;
        if (state->seen <= state->hold || (drops_infinite && isinf(value)))
            continue;
        rows->out_time_ns[rows->out_count] = rows->time_ns[i];
        rows->out[rows->out_count++].f64 = value;
    }
    return AF_OK;
}

const struct transform_ops average_ops = { sizeof(struct average), true, average_begin, average_add, NULL };
