/* aggregate_test.c - aggregates and selectors of one row: values by hand, and against plain loops; what must not matter does not. */
#include "fn/fn_fixture.h"
#include <stdlib.h>

enum { FOLD_COUNT = 1, FOLD_SUM = 2 };

static struct af_arena arena;
static struct af_error err;
static const int64_t times[] = { 10, 20, 30, 40, 50, 60, 70, 80, 90, 100 };

static struct af_value of_f64(enum af_fn id, size_t rows, const double *values, int64_t *out_time)
{
    struct af_fn_call call = fix_call(id, AF_TYPE_F64);
    struct af_column column = fix_f64(values);
    return fix_aggregate(&call, times, &column, rows, rows, &arena, out_time);
}

static struct af_value of_i64(enum af_fn id, size_t rows, const int64_t *values)
{
    struct af_fn_call call = fix_call(id, AF_TYPE_I64);
    struct af_column column = fix_i64(values);
    return fix_aggregate(&call, times, &column, rows, rows, &arena, NULL);
}

AF_TEST(fn_aggregates_by_hand)
{
    af_arena_init(&arena, SIZE_MAX);
    const double v[] = { 3, 1, 2, 2, 7 };
    AF_CHECK_INT(of_f64(AF_FN_COUNT, 5, v, NULL).i64, 5);
    AF_CHECK_F64(of_f64(AF_FN_SUM, 5, v, NULL).f64, 15);
    AF_CHECK_F64(of_f64(AF_FN_MEAN, 5, v, NULL).f64, 3);
    AF_CHECK_F64(of_f64(AF_FN_MEDIAN, 5, v, NULL).f64, 2);
    AF_CHECK_F64(of_f64(AF_FN_MEDIAN, 4, v, NULL).f64, 2);
    AF_CHECK_F64(of_f64(AF_FN_MEDIAN, 2, v, NULL).f64, 2);
    AF_CHECK_F64(of_f64(AF_FN_MODE, 5, v, NULL).f64, 2);
    AF_CHECK_F64(of_f64(AF_FN_SPREAD, 5, v, NULL).f64, 6);
    AF_CHECK_F64(of_f64(AF_FN_STDDEV, 5, v, NULL).f64, sqrt(5.5));
    AF_CHECK(isnan(of_f64(AF_FN_STDDEV, 1, v, NULL).f64));
    AF_CHECK_INT(of_f64(AF_FN_COUNT_DISTINCT, 5, v, NULL).i64, 4);
    AF_CHECK_INT(of_f64(AF_FN_SUM_HLL, 5, v, NULL).i64, 4);
    /* trapezia of 10 ns: (4 + 3 + 4 + 9) / 2 * 10 ns in units of 1 s */
    AF_CHECK(fabs(of_f64(AF_FN_INTEGRAL, 5, v, NULL).f64 - 100e-9) < 1e-20);
    struct af_fn_call from_50 = fix_call(AF_FN_INTEGRAL, AF_TYPE_F64);
    from_50.params[0] = af_value_i64(1000000000), from_50.params[1] = af_value_i64(50), from_50.param_count = 2;
    struct af_column column = fix_f64(v);
    AF_CHECK_INT(fix_aggregate(&from_50, times, &column, 5, 5, &arena, NULL).type, AF_TYPE_NULL); /* the last point is where it begins */
    const double with_nan[] = { 3, NAN, 5 };
    AF_CHECK(isnan(of_f64(AF_FN_SPREAD, 3, with_nan, NULL).f64));
    int64_t time;
    AF_CHECK_F64(of_f64(AF_FN_FIRST, 5, v, &time).f64, 3);
    AF_CHECK_INT(time, 10);
    AF_CHECK_F64(of_f64(AF_FN_LAST, 5, v, &time).f64, 7);
    AF_CHECK_INT(time, 50);
    AF_CHECK_F64(of_f64(AF_FN_MIN, 5, v, &time).f64, 1);
    AF_CHECK_INT(time, 20);
    AF_CHECK_F64(of_f64(AF_FN_MAX, 5, v, &time).f64, 7);
    for (enum af_fn id = AF_FN_COUNT; id <= AF_FN_MAX; id++)
        AF_CHECK_INT(of_f64(id, 0, v, NULL).type, AF_TYPE_NULL);
    af_arena_done(&arena);
}

AF_TEST(fn_aggregates_of_integers_wrap)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t v[] = { INT64_MAX, 1, INT64_MIN, INT64_MIN };
    AF_CHECK_INT(of_i64(AF_FN_SUM, 2, v).i64, INT64_MIN);
    AF_CHECK_F64(of_i64(AF_FN_MEAN, 2, v).f64, -0x1p62);
    AF_CHECK_INT(of_i64(AF_FN_SPREAD, 4, v).i64, -1);
    AF_CHECK_F64(of_i64(AF_FN_MEDIAN, 3, v).f64, 1);
    struct af_fn_call call = fix_call(AF_FN_MEAN, AF_TYPE_U64);
    const uint64_t u[] = { UINT64_MAX, 0 };
    struct af_column column = fix_u64(u);
    AF_CHECK_F64(fix_aggregate(&call, times, &column, 2, 2, &arena, NULL).f64, 0x1p63);
    af_arena_done(&arena);
}

/* Of values that are there as often as each other: see distinct.c. */
AF_TEST(fn_mode_ties)
{
    af_arena_init(&arena, SIZE_MAX);
    const double once[] = { 3, 1, 2 }, separate[] = { 5, 5, 9, 9 }, woven[] = { 9, 5, 9, 5 }, three[] = { 1, 2, 2, 2, 1, 1 };
    AF_CHECK_F64(of_f64(AF_FN_MODE, 3, once, NULL).f64, 1);
    AF_CHECK_F64(of_f64(AF_FN_MODE, 4, separate, NULL).f64, 5);
    AF_CHECK_F64(of_f64(AF_FN_MODE, 4, woven, NULL).f64, 9);
    AF_CHECK_F64(of_f64(AF_FN_MODE, 6, three, NULL).f64, 2);
    const char *texts[] = { "b", "a", "b", "a", NULL, "c" };
    struct af_fn_call call = fix_call(AF_FN_MODE, AF_TYPE_STRING);
    struct af_column column = fix_dict(&arena, 6, texts);
    AF_CHECK_SLICE(fix_aggregate(&call, times, &column, 6, 6, &arena, NULL).text, "b");
    AF_CHECK_SLICE(fix_aggregate(&call, times, &column, 2, 1, &arena, NULL).text, "a");
    call.type = AF_TYPE_BOOL;
    const uint64_t bits[] = { 0x5 };
    column = fix_bools(bits);
    AF_CHECK(fix_aggregate(&call, times, &column, 4, 4, &arena, NULL).boolean);
    AF_CHECK(fix_aggregate(&call, times, &column, 5, 5, &arena, NULL).boolean == false);
    af_arena_done(&arena);
}

AF_TEST(fn_first_and_last_of_one_time)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t same[] = { 5, 5, 5 };
    const double v[] = { 1, 3, 2 };
    struct af_column column = fix_f64(v);
    struct af_fn_call first = fix_call(AF_FN_FIRST, AF_TYPE_F64), last = fix_call(AF_FN_LAST, AF_TYPE_F64);
    for (size_t run = 1; run <= 3; run++) {
        AF_CHECK_F64(fix_aggregate(&first, same, &column, 3, run, &arena, NULL).f64, 3);
        AF_CHECK_F64(fix_aggregate(&last, same, &column, 3, run, &arena, NULL).f64, 3);
    }
    const uint64_t bits[] = { 0x5 };
    column = fix_bools(bits);
    first.type = last.type = AF_TYPE_BOOL;
    AF_CHECK(!fix_aggregate(&first, same, &column, 3, 3, &arena, NULL).boolean);
    AF_CHECK(fix_aggregate(&last, same, &column, 3, 3, &arena, NULL).boolean);
    const char *texts[] = { "b", "a", "bb" };
    column = fix_texts(&arena, 3, texts);
    first.type = last.type = AF_TYPE_STRING;
    for (size_t run = 1; run <= 3; run++) {
        AF_CHECK_SLICE(fix_aggregate(&first, same, &column, 3, run, &arena, NULL).text, "bb");
        AF_CHECK_SLICE(fix_aggregate(&last, times, &column, 3, run, &arena, NULL).text, "bb");
        AF_CHECK_SLICE(fix_aggregate(&first, times, &column, 3, run, &arena, NULL).text, "b");
    }
    af_arena_done(&arena);
}

AF_TEST(fn_extremes_prefer_the_earlier_of_equal_values)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t mixed[] = { 50, 20, 90, 20, 10, 60, 70, 5, 15, 25, 35, 45 };
    const double v[] = { 4, 1, 1, 9, 9, 1, 2, 2, 1, 9, 3, 3 };
    struct af_column column = fix_f64(v);
    int64_t time;
    for (size_t run = 1; run <= 12; run++) {
        struct af_fn_call call = fix_call(AF_FN_MIN, AF_TYPE_F64);
        AF_CHECK_F64(fix_aggregate(&call, mixed, &column, 12, run, &arena, &time).f64, 1);
        AF_CHECK_INT(time, 15);
        call.id = AF_FN_MAX;
        AF_CHECK_F64(fix_aggregate(&call, mixed, &column, 12, run, &arena, &time).f64, 9);
        AF_CHECK_INT(time, 10);
    }
    const double nan_first[] = { NAN, 1, 2, 3, 4, 5, 6, 7, 8, 9 }, nan_later[] = { 1, NAN, 2, 3, 0, NAN, 6, 7, 8, 9 };
    AF_CHECK(isnan(of_f64(AF_FN_MIN, 10, nan_first, NULL).f64) && isnan(of_f64(AF_FN_MAX, 10, nan_first, NULL).f64));
    AF_CHECK_F64(of_f64(AF_FN_MIN, 10, nan_later, NULL).f64, 0);
    AF_CHECK_F64(of_f64(AF_FN_MAX, 10, nan_later, NULL).f64, 9);
    af_arena_done(&arena);
}

AF_TEST(fn_percentile_by_rank)
{
    af_arena_init(&arena, SIZE_MAX);
    const double v[] = { 5, 5, 5, 5 }, w[] = { 40, 10, 30, 20 };
    const int64_t down[] = { 40, 30, 20, 10 };
    struct af_fn_call call = fix_call_i64(AF_FN_PERCENTILE, AF_TYPE_F64, 50);
    struct af_column same = fix_f64(v), different = fix_f64(w);
    int64_t time;
    AF_CHECK_F64(fix_aggregate(&call, times, &different, 4, 4, &arena, &time).f64, 20);
    AF_CHECK_INT(time, 40);
    AF_CHECK_F64(fix_aggregate(&call, times, &same, 4, 4, &arena, &time).f64, 5);
    AF_CHECK_INT(time, 20);
    AF_CHECK_F64(fix_aggregate(&call, down, &same, 4, 4, &arena, &time).f64, 5);
    AF_CHECK_INT(time, 30);
    const double none[] = { 0, -5, 101 * 2, 12.4 }, some[] = { 12.5, 100, 112.4 };
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        call.params[0] = af_value_f64(none[i]);
        AF_CHECK_INT(fix_aggregate(&call, times, &different, 4, 4, &arena, &time).type, AF_TYPE_NULL);
    }
    for (size_t i = 0; i < COUNT_OF(some); i++) {
        call.params[0] = af_value_f64(some[i]);
        AF_CHECK_F64(fix_aggregate(&call, times, &different, 4, 4, &arena, &time).f64, i == 0 ? 10 : 40);
    }
    call.params[0] = af_value_f64(NAN);
    AF_CHECK_FAILS(af_fn_check(&call, &err), AF_EINVAL);
    af_arena_done(&arena);
}

/* --- what must not matter ------------------------------------------------------------------------------------------------------------ */

enum { ROWS_MAX = 700 };
struct sample {
    size_t rows;
    int64_t times[ROWS_MAX], dense_times[ROWS_MAX];
    uint64_t cells[ROWS_MAX], dense_cells[ROWS_MAX], validity[ROWS_MAX / 64 + 1];
    size_t dense;
};

static void make_sample(struct sample *sample, enum af_type type, struct af_prng *prng)
{
    *sample = (struct sample){ .rows = 1 + (size_t)af_prng_below(prng, ROWS_MAX - 1) };
    unsigned holes = (unsigned)af_prng_below(prng, 4);
    int64_t time = (int64_t)af_prng_below(prng, 100);
    for (size_t i = 0; i < sample->rows; i++) {
        time += (int64_t)af_prng_below(prng, 4);
        union fn_cell cell = { .i64 = (int64_t)af_prng_below(prng, 50) };
        if (type == AF_TYPE_F64)
            cell.f64 = (double)af_prng_below(prng, 1000) / 7;
        sample->times[i] = time;
        sample->cells[i] = cell.u64;
        if (holes != 0 && af_prng_below(prng, holes + 1) == 0)
            continue;
        af_bit_set(sample->validity, i);
        sample->dense_times[sample->dense] = time;
        sample->dense_cells[sample->dense++] = cell.u64;
    }
}

AF_TEST(fn_runs_and_nulls_do_not_matter)
{
    struct af_prng prng = { 11 };
    const enum af_type types[] = { AF_TYPE_F64, AF_TYPE_I64, AF_TYPE_U64 };
    struct sample *sample = af_alloc_zero(1, sizeof *sample);
    AF_CHECK(sample != NULL);
    for (int round = 0; round < 60; round++) {
        enum af_type type = types[round % 3];
        make_sample(sample, type, &prng);
        for (enum af_fn id = AF_FN_COUNT; id <= AF_FN_PERCENTILE; id++) {
            af_arena_init(&arena, SIZE_MAX);
            struct af_fn_call call = fix_call(id, type);
            if (id == AF_FN_PERCENTILE) {
                call.params[0] = af_value_i64(30);
                call.param_count = 1;
            }
            struct af_column dense = { .type = type, .u64 = sample->dense_cells }, holed = { .type = type, .u64 = sample->cells };
            holed = fix_nulls(holed, sample->validity, sample->rows);
            int64_t time, run_time, holed_time;
            struct af_value whole = fix_aggregate(&call, sample->dense_times, &dense, sample->dense, ROWS_MAX, &arena, &time);
            struct af_value runs = fix_aggregate(&call, sample->dense_times, &dense, sample->dense, 1 + (size_t)af_prng_below(&prng, 30),
                                                 &arena, &run_time);
            struct af_value nulls = fix_aggregate(&call, sample->times, &holed, sample->rows, 1 + (size_t)af_prng_below(&prng, 200), &arena,
                                                  &holed_time);
            AF_CHECK(fix_same(&whole, &runs) && time == run_time);
            AF_CHECK(fix_same(&whole, &nulls) && time == holed_time);
            af_arena_done(&arena);
        }
    }
    af_free(sample);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Plain computations, one after the other, of the same rows. */
AF_TEST(fn_aggregates_agree_with_plain_loops)
{
    struct af_prng prng = { 12 };
    struct sample *sample = af_alloc_zero(1, sizeof *sample);
    AF_CHECK(sample != NULL);
    for (int round = 0; round < 40; round++) {
        af_arena_init(&arena, SIZE_MAX);
        make_sample(sample, AF_TYPE_F64, &prng);
        double sorted[ROWS_MAX], sum = 0, mean = 0, squares = 0;
        size_t n = sample->dense, different = 0;
        memcpy(sorted, sample->dense_cells, n * sizeof *sorted);
        for (size_t i = 0; i < n; i++) {
            sum += sorted[i];
            mean += (sorted[i] - mean) / (double)(i + 1);
        }
        for (size_t i = 0; i < n; i++)
            squares += (sorted[i] - mean) * (sorted[i] - mean);
        qsort(sorted, n, sizeof *sorted, compare_doubles);
        for (size_t i = 0; i < n; i++)
            different += i == 0 || sorted[i] != sorted[i - 1];
        struct af_column column = { .type = AF_TYPE_F64, .u64 = sample->dense_cells };
        const struct af_fn_call calls[] = {
            fix_call(AF_FN_SUM, AF_TYPE_F64), fix_call(AF_FN_MEAN, AF_TYPE_F64), fix_call(AF_FN_STDDEV, AF_TYPE_F64),
            fix_call(AF_FN_MEDIAN, AF_TYPE_F64), fix_call(AF_FN_MIN, AF_TYPE_F64), fix_call(AF_FN_MAX, AF_TYPE_F64),
        };
        double median = n % 2 == 1 ? sorted[n / 2] : n == 0 ? 0 : sorted[n / 2 - 1] + (sorted[n / 2] - sorted[n / 2 - 1]) / 2;
        const double want[] = { sum, sum / (double)n, sqrt(squares / ((double)n - 1)), median, sorted[0], n == 0 ? 0 : sorted[n - 1] };
        for (size_t i = 0; n > 1 && i < COUNT_OF(calls); i++)
            AF_CHECK_F64(fix_aggregate(&calls[i], sample->dense_times, &column, n, 100, &arena, NULL).f64, want[i]);
        struct af_fn_call distinct = fix_call(AF_FN_COUNT_DISTINCT, AF_TYPE_F64);
        struct af_value count = fix_aggregate(&distinct, sample->dense_times, &column, n, 100, &arena, NULL);
        AF_CHECK_INT(n == 0 ? 0 : count.i64, different);
        af_arena_done(&arena);
    }
    af_free(sample);
}

AF_TEST(fn_folds_are_what_adding_gives)
{
    struct af_prng prng = { 13 };
    struct sample *sample = af_alloc_zero(1, sizeof *sample);
    AF_CHECK(sample != NULL);
    const enum af_fn ids[] = { AF_FN_COUNT, AF_FN_SUM, AF_FN_MEAN, AF_FN_MIN, AF_FN_MAX, AF_FN_FIRST, AF_FN_LAST };
    for (int round = 0; round < 30; round++) {
        const enum af_type types[] = { AF_TYPE_F64, AF_TYPE_I64, AF_TYPE_U64 };
        enum af_type type = types[round % 3];
        make_sample(sample, type, &prng);
        struct af_column column = { .type = type, .u64 = sample->dense_cells };
        for (size_t i = 0; i < COUNT_OF(ids); i++) {
            af_arena_init(&arena, SIZE_MAX);
            /* What a store would give: the fold itself is the function of that name. */
            struct af_fn_call call = fix_call(ids[i], type), count = fix_call(AF_FN_COUNT, type), sum = fix_call(AF_FN_SUM, type);
            struct af_value folds[2];
            int64_t fold_times[2] = { 0, 0 }, time, fold_time = INT64_MIN;
            struct af_value want = fix_aggregate(&call, sample->dense_times, &column, sample->dense, 50, &arena, &time), got;
            if (ids[i] == AF_FN_MEAN) {
                AF_CHECK_INT(af_fn_folds(&call), FOLD_COUNT | FOLD_SUM);
                folds[0] = fix_aggregate(&count, sample->dense_times, &column, sample->dense, 50, &arena, NULL);
                folds[1] = fix_aggregate(&sum, sample->dense_times, &column, sample->dense, 50, &arena, NULL);
            } else {
                AF_CHECK(__builtin_popcount(af_fn_folds(&call)) == 1);
                folds[0] = want;
                fold_times[0] = time;
            }
            af_fn_from_folds(&call, folds, fold_times, &got, &fold_time);
            AF_CHECK(fix_same(&want, &got));
            AF_CHECK(af_fn_get(ids[i])->kind != AF_FN_KIND_SELECTOR || fold_time == time);
            af_arena_done(&arena);
        }
    }
    struct af_fn_call text = fix_call(AF_FN_MIN, AF_TYPE_STRING), first = fix_call(AF_FN_FIRST, AF_TYPE_BOOL),
        median = fix_call(AF_FN_MEDIAN, AF_TYPE_F64);
    AF_CHECK(af_fn_folds(&text) == 0 && af_fn_folds(&first) == 0 && af_fn_folds(&median) == 0);
    af_free(sample);
}

AF_TEST(fn_hll_estimates_within_three_percent)
{
    enum { MANY = 100000 };
    int64_t *values = af_alloc_zero(MANY, sizeof *values);
    AF_CHECK(values != NULL);
    for (size_t i = 0; i < MANY; i++)
        values[i] = (int64_t)i * 7919;
    const size_t counts[] = { 1, 500, 513, 2000, 20000, MANY };
    struct af_fn_call call = fix_call(AF_FN_SUM_HLL, AF_TYPE_I64);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        af_arena_init(&arena, SIZE_MAX);
        struct af_column column = fix_i64(values);
        struct af_value got = fix_aggregate(&call, values, &column, counts[i], 4096, &arena, NULL);
        AF_CHECK(fabs((double)got.i64 - (double)counts[i]) <= (counts[i] <= 512 ? 0 : 0.03 * (double)counts[i]));
        af_arena_done(&arena);
    }
    af_free(values);
}

AF_TEST(fn_states_refuse_another_type)
{
    af_arena_init(&arena, SIZE_MAX);
    struct af_fn_call call = fix_call(AF_FN_SUM, AF_TYPE_I64);
    const double v[] = { 1 };
    struct af_column column = fix_f64(v), nothing = { .type = AF_TYPE_NULL };
    _Alignas(16) unsigned char state[64] = { 0 };
    AF_CHECK(af_fn_state_bytes(&call) <= sizeof state);
    AF_CHECK_FAILS(af_fn_add(&call, state, times, &column, 0, 1, &arena, &err), AF_EBUG);
    AF_CHECK_OK(af_fn_add(&call, state, times, &nothing, 0, 1, &arena, &err), err);
    call.type = AF_TYPE_STRING;
    AF_CHECK_FAILS(af_fn_check(&call, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "\"sum\" takes numbers, not string");
    af_arena_done(&arena);
}

AF_TEST(fn_states_survive_failing_allocations)
{
    const char *texts[] = { "a", "b", NULL, "a", "cc", "d", "e", "f", "g", "h" };
    struct af_arena fixed;
    af_arena_init(&fixed, SIZE_MAX);
    double many[900];
    int64_t many_times[900];
    for (size_t i = 0; i < 900; i++) {
        many[i] = (double)i;
        many_times[i] = (int64_t)i;
    }
    struct af_column column = fix_f64(many), text = fix_texts(&fixed, 10, texts);
    for (enum af_fn id = AF_FN_COUNT; id <= AF_FN_PERCENTILE; id++) {
        bool takes_text = id == AF_FN_MODE || id == AF_FN_COUNT_DISTINCT || id == AF_FN_SUM_HLL || id == AF_FN_FIRST || id == AF_FN_LAST;
        for (int is_text = 0; is_text <= (takes_text ? 1 : 0); is_text++) {
            struct af_fn_call call = fix_call_i64(id, is_text ? AF_TYPE_STRING : AF_TYPE_F64, 50);
            call.param_count = id == AF_FN_PERCENTILE;
            bool has_passed = false;
            for (size_t nth = 1; !has_passed && nth < 200; nth++) {
                af_arena_init(&arena, SIZE_MAX);
                _Alignas(16) unsigned char state[256] = { 0 };
                AF_CHECK(af_fn_state_bytes(&call) <= sizeof state);
                struct af_value value;
                int64_t time;
                af_alloc_fail_nth(nth);
                enum af_status status = af_fn_add(&call, state, many_times, is_text ? &text : &column, 0, is_text ? 10 : 900, &arena, &err);
                if (status == AF_OK)
                    status = af_fn_finish(&call, state, &arena, &value, &time, &err);
                af_alloc_fail_nth(0);
                has_passed = status == AF_OK;
                AF_CHECK(has_passed || status == AF_ENOMEM);
                af_arena_done(&arena);
            }
            AF_CHECK(has_passed);
        }
    }
    af_arena_done(&fixed);
}
