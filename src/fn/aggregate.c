/*
 * aggregate.c - the values of a window to one value: state, add, finish; and count, sum, mean, spread themselves.
 *
 * af_fn_add takes any rows and hands on spans that have a value each, so that no kernel looks at a bitmap. Floats are added one after the
 * other in the order they come: the sum is then the same to the last bit as that of any server that does so, and a dependent addition every
 * four cycles is still faster than decoding. Integers wrap, and are added in whatever order the compiler likes.
 */
#include "fn/fn_int.h"
#include <math.h>

/* store/store.h's enum af_fold_op as bits; this folder does not know stores. */
enum { FOLD_COUNT = 1, FOLD_SUM = 2, FOLD_MIN = 4, FOLD_MAX = 8, FOLD_FIRST = 16, FOLD_LAST = 32 };

/* --- count, sum, mean ------------------------------------------------------------------------------------------------------------ */

struct sum {
    union fn_cell sum;
    uint64_t count;
};

static enum af_status count_add(void *state, const struct span *span)
{
    ((struct sum *)state)->count += span->count;
    return AF_OK;
}

static enum af_status count_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                   int64_t *out_time_ns, struct af_error *err)
{
    (void)call, (void)arena, (void)out_time_ns, (void)err;
    uint64_t count = ((const struct sum *)state)->count;
    *out = count == 0 ? af_value_none() : af_value_i64((int64_t)count);
    return AF_OK;
}

static enum af_status sum_f64(void *state, const struct span *span)
{
    struct sum *sum = state;
    const double *values = span->column->f64 + span->first;
    double total = sum->sum.f64;
    for (size_t i = 0; i < span->count; i++)
        total += values[i];
    sum->sum.f64 = total;
    sum->count += span->count;
    return AF_OK;
}

static enum af_status sum_integers(void *state, const struct span *span)
{
    struct sum *sum = state;
    const uint64_t *values = span->column->u64 + span->first;
    uint64_t total = 0;
    for (size_t i = 0; i < span->count; i++)
        total += values[i];
    sum->sum.u64 += total;
    sum->count += span->count;
    return AF_OK;
}

static enum af_status sum_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                 int64_t *out_time_ns, struct af_error *err)
{
    (void)arena, (void)out_time_ns, (void)err;
    const struct sum *sum = state;
    *out = sum->count == 0 ? af_value_none() : fn_cell_value(sum->sum, call->type);
    return AF_OK;
}

static enum af_status mean_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                  int64_t *out_time_ns, struct af_error *err)
{
    (void)arena, (void)out_time_ns, (void)err;
    const struct sum *sum = state;
    *out = sum->count == 0 ? af_value_none() : af_value_f64(fn_cell_f64(sum->sum, fn_class_of(call->type)) / (double)sum->count);
    return AF_OK;
}

/* --- spread ---------------------------------------------------------------------------------------------------------------------- */

struct spread {
    bool has, has_nan;                   /* one NaN makes the spread one */
    union fn_cell min, max;
};

#define SPREAD(name, T, member, is_nan)                                                                                            \
    static enum af_status name(void *state, const struct span *span)                                                               \
    {                                                                                                                              \
        struct spread *spread = state;                                                                                             \
        const T *values = span->column->member + span->first;                                                                      \
        T min = spread->has ? spread->min.member : values[0], max = spread->has ? spread->max.member : values[0];                  \
        bool has_nan = spread->has_nan;                                                                                            \
        for (size_t i = 0; i < span->count; i++) {                                                                                 \
            has_nan |= is_nan(values[i]);                                                                                          \
            min = values[i] < min ? values[i] : min;                                                                               \
            max = values[i] > max ? values[i] : max;                                                                               \
        }                                                                                                                          \
        spread->min.member = min;                                                                                                  \
        spread->max.member = max;                                                                                                  \
        spread->has = true;                                                                                                        \
        spread->has_nan = has_nan;                                                                                                 \
        return AF_OK;                                                                                                              \
    }
#define NEVER_NAN(value) false
SPREAD(spread_f64, double, f64, isnan)
SPREAD(spread_i64, int64_t, i64, NEVER_NAN)
SPREAD(spread_u64, uint64_t, u64, NEVER_NAN)

static enum af_status spread_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                    int64_t *out_time_ns, struct af_error *err)
{
    (void)arena, (void)out_time_ns, (void)err;
    const struct spread *spread = state;
    if (!spread->has)
        *out = af_value_none();
    else if (call->type == AF_TYPE_F64)
        *out = af_value_f64(spread->has_nan ? NAN : spread->max.f64 - spread->min.f64 + 0.0); /* never -0 */
    else
        *out = fn_cell_value((union fn_cell){ .u64 = spread->max.u64 - spread->min.u64 }, call->type);
    return AF_OK;
}

/* --- the table --------------------------------------------------------------------------------------------------------------------- */

static const struct aggregate_ops count_ops = { sizeof(struct sum), { count_add, count_add, count_add, count_add, count_add },
    count_finish };
static const struct aggregate_ops sum_ops = {
    sizeof(struct sum), { [FN_F64] = sum_f64, [FN_I64] = sum_integers, [FN_U64] = sum_integers }, sum_finish
};
static const struct aggregate_ops mean_ops = {
    sizeof(struct sum), { [FN_F64] = sum_f64, [FN_I64] = sum_integers, [FN_U64] = sum_integers }, mean_finish
};
static const struct aggregate_ops spread_ops = {
    sizeof(struct spread), { [FN_F64] = spread_f64, [FN_I64] = spread_i64, [FN_U64] = spread_u64 }, spread_finish
};
static const struct aggregate_ops *const table[AF_FN_COUNT_OF] = {
    [AF_FN_COUNT] = &count_ops, [AF_FN_SUM] = &sum_ops, [AF_FN_MEAN] = &mean_ops, [AF_FN_MEDIAN] = &median_ops, [AF_FN_MODE] = &mode_ops,
    [AF_FN_STDDEV] = &stddev_ops, [AF_FN_SPREAD] = &spread_ops, [AF_FN_INTEGRAL] = &integral_ops,
        [AF_FN_COUNT_DISTINCT] = &count_distinct_ops,
    [AF_FN_SUM_HLL] = &hll_ops, [AF_FN_FIRST] = &pick_first_ops, [AF_FN_LAST] = &pick_last_ops, [AF_FN_MIN] = &pick_min_ops,
    [AF_FN_MAX] = &pick_max_ops, [AF_FN_PERCENTILE] = &percentile_ops,
};

size_t af_fn_state_bytes(const struct af_fn_call *call)
{
    const struct aggregate_ops *ops = table[call->id];
    return ops == NULL ? 0 : (ops->state_bytes + 15) / 16 * 16;
}

enum af_status af_fn_add(const struct af_fn_call *call, void *state, const int64_t *time_ns, const struct af_column *column, size_t first,
                         size_t count, struct af_arena *arena, struct af_error *err)
{
    if (count == 0 || column->type == AF_TYPE_NULL)
        return AF_OK;
    const struct aggregate_ops *ops = table[call->id];
    enum fn_class class = fn_class_of(column->type);
    if (ops == NULL || class == FN_NO_CLASS || class != fn_class_of(call->type) || ops->add[class] == NULL)
        return af_fail(err, AF_EBUG, "\"%s\" of %s was given %s", af_fn_get(call->id)->name, fn_type_words(call->type),
                       fn_type_words(column->type));
    struct span span = { call, time_ns, column, first, count, arena, err };
    if (column->validity == NULL)
        return ops->add[class](state, &span);
    if (ops == &count_ops) {
        span.count = fn_count_valid(column, first, count);
        return count_add(state, &span);
    }
    for (size_t at = first; (span.count = fn_span_next(column->validity, &at, first + count)) != 0; at += span.count) {
        span.first = at;
        AF_TRY(ops->add[class](state, &span));
    }
    return AF_OK;
}

enum af_status af_fn_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out, int64_t *out_time_ns,
                            struct af_error *err)
{
    if (table[call->id] == NULL)
        return af_fail(err, AF_EBUG, "\"%s\" has no state", af_fn_get(call->id)->name);
    return table[call->id]->finish(call, state, arena, out, out_time_ns, err);
}

/* --- folds ------------------------------------------------------------------------------------------------------------------------- */

uint32_t af_fn_folds(const struct af_fn_call *call)
{
    bool is_number = fn_is_number(call->type);
    switch (call->id) {
    case AF_FN_COUNT: return FOLD_COUNT;
    case AF_FN_SUM: return is_number ? FOLD_SUM : 0;
    case AF_FN_MEAN: return is_number ? FOLD_COUNT | FOLD_SUM : 0;
    case AF_FN_MIN: return is_number || call->type == AF_TYPE_BOOL ? FOLD_MIN : 0;
    case AF_FN_MAX: return is_number || call->type == AF_TYPE_BOOL ? FOLD_MAX : 0;
    /* Of two first values at one time stores take the larger one; of booleans that would be true, and first is false there. */
    case AF_FN_FIRST: return call->type == AF_TYPE_BOOL ? 0 : FOLD_FIRST;
    case AF_FN_LAST: return FOLD_LAST;
    default: return 0;
    }
}

void af_fn_from_folds(const struct af_fn_call *call, const struct af_value *values, const int64_t *times_ns, struct af_value *out,
                      int64_t *out_time_ns)
{
    if (call->id == AF_FN_MEAN) {
        const struct af_value *count = &values[0], *sum = &values[1];
        if (count->type == AF_TYPE_NULL || sum->type == AF_TYPE_NULL || count->i64 == 0)
            *out = af_value_none();
        else
            *out = af_value_f64(fn_cell_f64((union fn_cell){ .u64 = sum->u64 }, fn_class_of(sum->type)) / (double)count->i64);
        return;
    }
    *out = values[0];
    if (af_fn_get(call->id)->kind == AF_FN_KIND_SELECTOR && values[0].type != AF_TYPE_NULL)
        *out_time_ns = times_ns[0];
}
