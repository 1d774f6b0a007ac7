/*
 * stddev.c - standard deviation of a sample, in two passes as InfluxDB has it: a running mean, then the squares of what differs from it.
 * The running mean is kept while values arrive; only the second pass needs them again. Of one value it is not a number.
 */
#include "fn/fn_int.h"
#include <math.h>

struct stddev {
    struct kept kept;
    double mean;
    uint64_t count;              /* without NaN */
};

static enum af_status stddev_add(void *state, const struct span *span)
{
    struct stddev *stddev = state;
    enum fn_class class = fn_class_of(span->column->type);
    AF_TRY(kept_add(&stddev->kept, span, false));
    for (size_t row = span->first; row < span->first + span->count; row++) {
        double value = fn_cell_f64((union fn_cell){ .u64 = span->column->u64[row] }, class);
        if (isnan(value))
            continue;
        stddev->count++;
        stddev->mean += (value - stddev->mean) / (double)stddev->count;
    }
    return AF_OK;
}

static enum af_status stddev_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                    int64_t *out_time_ns, struct af_error *err)
{
    (void)arena, (void)out_time_ns, (void)err;
    const struct stddev *stddev = state;
    if (stddev->kept.count < 2) {
        *out = stddev->kept.count == 0 ? af_value_none() : af_value_f64(NAN);
        return AF_OK;
    }
    enum fn_class class = fn_class_of(call->type);
    double squares = 0;
    for (const struct kept_chunk *chunk = stddev->kept.head; chunk != NULL; chunk = chunk->next)
        for (size_t i = 0; i < chunk->count; i++) {
            double value = fn_cell_f64(chunk->cells[i], class);
            if (!isnan(value))
                squares += (value - stddev->mean) * (value - stddev->mean);
        }
    /* One value and the rest NaN: 0 / 0; none at all: 0 / -1, a zero below. */
    *out = af_value_f64(sqrt(squares / ((double)stddev->count - 1)));
    return AF_OK;
}

const struct aggregate_ops stddev_ops = { sizeof(struct stddev), { stddev_add, stddev_add, stddev_add, NULL, NULL }, stddev_finish };
