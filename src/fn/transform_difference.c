/*
 * transform_difference.c - each row with the one before: derivative, difference, elapsed; and the running sum.
 *
 * Derivative and difference pass over rows whose time is that of the row before (merged series have such): the first one counts.
 */
#include "fn/fn_int.h"

struct previous {
    bool has;
    int64_t time_ns;
    union fn_cell cell;
};

/* b - a of unsigned numbers as floats see it: the sign apart, so that equal ones give -0. */
static double unsigned_difference(uint64_t a, uint64_t b)
{
    return b > a ? (double)(b - a) : -(double)(a - b);
}

static double step(union fn_cell before, union fn_cell now, enum fn_class class)
{
    switch (class) {
    case FN_F64: return now.f64 - before.f64;
    case FN_I64: return (double)(int64_t)(now.u64 - before.u64);
    default: return unsigned_difference(before.u64, now.u64);
    }
}

static enum af_status derivative_add(struct af_transform *transform, struct dense *rows)
{
    struct previous *previous = transform->state;
    const double unit = (double)fn_param_i64(&transform->call, 0, 1000000000);
    const bool is_non_negative = transform->call.id == AF_FN_NON_NEGATIVE_DERIVATIVE;
    for (size_t i = 0; i < rows->count; i++) {
        int64_t time = rows->time_ns[i];
        if (previous->has && time == previous->time_ns)
            continue;
        if (previous->has) {
            double difference = step(previous->cell, rows->cells[i], transform->class);
            uint64_t elapsed = (uint64_t)time - (uint64_t)previous->time_ns;
            if (transform->descending)
                elapsed = 0 - elapsed;
            if (!(is_non_negative && difference < 0)) {
                rows->out_time_ns[rows->out_count] = time;
                rows->out[rows->out_count++].f64 = difference / ((double)(int64_t)elapsed / unit);
            }
        }
        *previous = (struct previous){ true, time, rows->cells[i] };
    }
    return AF_OK;
}

static enum af_status difference_add(struct af_transform *transform, struct dense *rows)
{
    struct previous *previous = transform->state;
    const bool is_non_negative = transform->call.id == AF_FN_NON_NEGATIVE_DIFFERENCE;
    for (size_t i = 0; i < rows->count; i++) {
        int64_t time = rows->time_ns[i];
        if (previous->has && time == previous->time_ns)
            continue;
        if (previous->has) {
            union fn_cell before = previous->cell, now = rows->cells[i], difference = { .u64 = now.u64 - before.u64 };
            bool is_negative = transform->class == FN_U64 ? now.u64 < before.u64 : difference.i64 < 0;
            if (transform->class == FN_F64) {
                difference.f64 = now.f64 - before.f64;
                is_negative = difference.f64 < 0;
            }
            if (!(is_non_negative && is_negative)) {
                rows->out_time_ns[rows->out_count] = time;
                rows->out[rows->out_count++] = difference;
            }
        }
        *previous = (struct previous){ true, time, rows->cells[i] };
    }
    return AF_OK;
}

static enum af_status elapsed_add(struct af_transform *transform, struct dense *rows)
{
    struct previous *previous = transform->state;
    const int64_t unit = fn_param_i64(&transform->call, 0, 1);
    for (size_t i = 0; i < rows->count; i++) {
        int64_t time = rows->time_ns[i];
        if (previous->has) {
            rows->out_time_ns[rows->out_count] = time;
            rows->out[rows->out_count++].i64 = (int64_t)((uint64_t)time - (uint64_t)previous->time_ns) / unit;
        }
        previous->has = true;
        previous->time_ns = time;
    }
    return AF_OK;
}

static enum af_status cumulative_sum_add(struct af_transform *transform, struct dense *rows)
{
    struct previous *previous = transform->state;
    union fn_cell sum = previous->cell;
    memcpy(rows->out_time_ns, rows->time_ns, rows->count * sizeof *rows->time_ns);
    if (transform->class == FN_F64)
        for (size_t i = 0; i < rows->count; i++)
            rows->out[i].f64 = sum.f64 += rows->cells[i].f64;
    else
        for (size_t i = 0; i < rows->count; i++)
            rows->out[i].u64 = sum.u64 += rows->cells[i].u64;
    previous->cell = sum;
    rows->out_count = rows->count;
    return AF_OK;
}

const struct transform_ops derivative_ops = { sizeof(struct previous), false, NULL, derivative_add, NULL };
const struct transform_ops difference_ops = { sizeof(struct previous), false, NULL, difference_add, NULL };
const struct transform_ops elapsed_ops = { sizeof(struct previous), false, NULL, elapsed_add, NULL };
const struct transform_ops cumulative_sum_ops = { sizeof(struct previous), false, NULL, cumulative_sum_add, NULL };
