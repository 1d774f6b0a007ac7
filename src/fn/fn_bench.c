/*
 * fn_bench.c - million values a second of kernels that scans feed, each beside the same loop written down plainly.
 *
 * A column of 16,384 values, in cache, as batches are. "by one": af_fn_add called for single rows, as windows of one row are.
 */
#include "base/prng.h"
#include "fn/elementary.h"
#include "fn/fn.h"
#include <math.h>
#include <stdio.h>
#include <time.h>

enum { ROWS = 16384, ROUNDS = 200, PASSES = 5 };

static double floats[ROWS];
static int64_t integers[ROWS], times[ROWS];
static uint64_t validity[ROWS / 64];
static struct af_arena arena;
static struct af_error err;
static volatile double sink;
static const struct af_column *column;
static struct af_fn_call call;

static double now_ns(void)
{
    struct timespec ts;
    timespec_get(&ts, TIME_UTC);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Million rows a second, the best of several passes. */
static double rate_of(void (*run)(void))
{
    double best = INFINITY;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now_ns();
        for (int round = 0; round < ROUNDS; round++)
            run();
        double took = now_ns() - start;
        best = took < best ? took : best;
    }
    return 1e3 * ROWS * ROUNDS / best;
}

static void add_in_runs(size_t run)
{
    _Alignas(16) unsigned char state[256] = { 0 };
    struct af_value value;
    int64_t time;
    af_arena_reset(&arena);
    for (size_t at = 0; at < ROWS; at += run)
        if (af_fn_add(&call, state, times, column, at, run, &arena, &err) != AF_OK)
            return;
    if (af_fn_finish(&call, state, &arena, &value, &time, &err) == AF_OK)
        sink = value.f64;
}

static void add_all(void)
{
    add_in_runs(ROWS);
}

static void add_by_one(void)
{
    add_in_runs(1);
}

static void plain_sum(void)
{
    double sum = 0;
    for (size_t i = 0; i < ROWS; i++)
        sum += floats[i];
    sink = sum;
}

static enum af_fn scalar;
static void eval_with_constant(void)
{
    const double half = 0.5;
    struct af_vector args[] = { { *column, false }, { { .type = AF_TYPE_F64, .f64 = &half }, true } }, out;
    af_arena_reset(&arena);
    if (af_fn_eval(scalar, args, af_fn_get(scalar)->args_min, NULL, ROWS, &arena, &out, &err) == AF_OK)
        sink = (double)out.column.u64[0];
}

static void plain_sin(void)
{
    double sum = 0;
    for (size_t i = 0; i < ROWS; i++)
        sum += sin(floats[i]);
    sink = sum;
}

int main(void)
{
    struct af_prng prng = { 1 };
    for (size_t i = 0; i < ROWS; i++) {
        floats[i] = af_prng_unit(&prng);
        integers[i] = (int64_t)(af_prng_next(&prng) >> 20);
        times[i] = (int64_t)i;
        if (i % 10 != 0)
            af_bit_set(validity, i);
    }
    af_arena_init(&arena, SIZE_MAX);
    const struct af_column plain = { .type = AF_TYPE_F64, .f64 = floats }, whole = { .type = AF_TYPE_I64, .i64 = integers };
    struct af_column holed = plain;
    holed.validity = validity;
    holed.null_count = ROWS / 10 + 1;
    double reference = rate_of(plain_sum);
    printf("million values a second; a plain sum of floats: %.0f\n%-24s %8s %8s %8s %8s %8s\n", reference, "", "f64", "1/10 null", "i64",
           "by one",
           "f64/sum");
    const enum af_fn ids[] = { AF_FN_COUNT, AF_FN_SUM, AF_FN_MEAN, AF_FN_MIN, AF_FN_MAX, AF_FN_FIRST, AF_FN_LAST, AF_FN_SPREAD,
        AF_FN_STDDEV,
                               AF_FN_MEDIAN, AF_FN_PERCENTILE, AF_FN_COUNT_DISTINCT, AF_FN_MODE, AF_FN_SUM_HLL };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        call = (struct af_fn_call){ .id = ids[i], .type = AF_TYPE_F64, .params = { { .type = AF_TYPE_I64, .i64 = 90 } }, .param_count = 1 };
        column = &plain;
        double all = rate_of(add_all), one = rate_of(add_by_one);
        column = &holed;
        double nulls = rate_of(add_all);
        column = &whole;
        call.type = AF_TYPE_I64;
        printf("%-24s %8.0f %8.0f %8.0f %8.0f %8.2f\n", af_fn_get(ids[i])->name, all, nulls, rate_of(add_all), one, all / reference);
    }
    const enum af_fn scalars[] = { AF_FN_ADD, AF_FN_DIVIDE, AF_FN_LESS, AF_FN_EQUAL, AF_FN_ROUND, AF_FN_SIN, AF_FN_LN, AF_FN_EXP,
        AF_FN_POW };
    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
        scalar = scalars[i];
        column = &plain;
        double all = rate_of(eval_with_constant);
        column = &holed;
        printf("%-24s %8.0f %8.0f\n", af_fn_get(scalar)->name, all, rate_of(eval_with_constant));
    }
    printf("%-24s %8.0f\n", "the C library's sin", rate_of(plain_sin));
    af_arena_done(&arena);
    return 0;
}
