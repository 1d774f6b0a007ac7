/* select_test.c - which rows of a window, and in which order. */
#include "fn/fn_fixture.h"

static struct af_arena arena;
static struct af_error err;
static uint32_t rows[1000];

static size_t run(const struct af_fn_call *call, const int64_t *times, const struct af_column *column, size_t count)
{
    size_t chosen = 77;
    AF_CHECK_OK(af_fn_check(call, &err), err);
    AF_CHECK_OK(af_fn_select(call, times, column, count, 42, &arena, rows, &chosen, &err), err);
    return chosen;
}

static void check_rows(size_t count, const uint32_t *want, size_t want_count)
{
    AF_CHECK_INT(count, want_count);
    for (size_t i = 0; i < count; i++)
        AF_CHECK_INT(rows[i], want[i]);
}
#define CHECK_ROWS(count, ...) check_rows(count, (const uint32_t[]){ __VA_ARGS__ }, COUNT_OF(((const uint32_t[]){ __VA_ARGS__ })))

AF_TEST(fn_top_and_bottom_by_time)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t times[] = { 1, 2, 3, 4, 5, 6 };
    const double v[] = { 7, 9, 7, 1, 9, 1 };
    struct af_column column = fix_f64(v);
    struct af_fn_call call = fix_call_i64(AF_FN_TOP, AF_TYPE_F64, 3);
    CHECK_ROWS(run(&call, times, &column, 6), 0, 1, 4); /* of the two 7 the earlier */
    call.id = AF_FN_BOTTOM;
    CHECK_ROWS(run(&call, times, &column, 6), 0, 3, 5);
    call.params[0] = af_value_i64(INT64_MAX);
    CHECK_ROWS(run(&call, times, &column, 6), 0, 1, 2, 3, 4, 5);
    const uint64_t validity[] = { 0x2d };
    column = fix_nulls(column, validity, 6);
    call = fix_call_i64(AF_FN_TOP, AF_TYPE_F64, 2);
    CHECK_ROWS(run(&call, times, &column, 6), 0, 2);
    AF_CHECK_INT(run(&call, times, &column, 0), 0);
    call.params[0] = af_value_i64(0);
    AF_CHECK_FAILS(af_fn_check(&call, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "\"top\": the number of rows must be at least 1, not 0");
    af_arena_done(&arena);
}

AF_TEST(fn_top_of_one_time_and_of_falling_times)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t times[] = { 5, 5, 5, 3, 3 };
    const int64_t v[] = { 1, 3, 2, 2, 9 };
    struct af_column column = fix_i64(v);
    struct af_fn_call call = fix_call_i64(AF_FN_TOP, AF_TYPE_I64, 4);
    CHECK_ROWS(run(&call, times, &column, 5), 1, 2, 4, 3);
    call.id = AF_FN_BOTTOM;
    CHECK_ROWS(run(&call, times, &column, 5), 0, 2, 1, 3);
    af_arena_done(&arena);
}

AF_TEST(fn_top_agrees_with_sorting)
{
    struct af_prng prng = { 21 };
    for (int round = 0; round < 60; round++) {
        af_arena_init(&arena, SIZE_MAX);
        size_t count = 1 + (size_t)af_prng_below(&prng, 300), n = 1 + (size_t)af_prng_below(&prng, 40);
        int64_t times[300];
        uint64_t v[300];
        for (size_t i = 0; i < count; i++) {
            times[i] = (int64_t)i * 3;
            v[i] = af_prng_below(&prng, 30);
        }
        struct af_column column = fix_u64(v);
        struct af_fn_call call = fix_call_i64(AF_FN_TOP, AF_TYPE_U64, (int64_t)n);
        size_t chosen = run(&call, times, &column, count), at = 0;
        AF_CHECK_INT(chosen, n < count ? n : count);
        /* A row belongs to the answer if fewer than n rows are larger, or as large and earlier. */
        for (size_t i = 0; i < count; i++) {
            size_t better = 0;
            for (size_t j = 0; j < count; j++)
                better += v[j] > v[i] || (v[j] == v[i] && j < i);
            if (better < n)
                AF_CHECK_INT(rows[at++], i);
        }
        AF_CHECK_INT(at, chosen);
        af_arena_done(&arena);
    }
}

AF_TEST(fn_distinct_gives_first_rows)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t times[] = { 1, 2, 3, 4, 4, 6 }, falling[] = { 6, 5, 4, 3, 2, 1 };
    const double v[] = { 3, 1, 3, 2, 0, 1 }, zeros[] = { 0, -0.0, 0, NAN, NAN, 1 };
    struct af_column column = fix_f64(v);
    struct af_fn_call call = fix_call(AF_FN_DISTINCT, AF_TYPE_F64);
    CHECK_ROWS(run(&call, times, &column, 6), 0, 1, 4, 3); /* at one time by value */
    CHECK_ROWS(run(&call, falling, &column, 6), 0, 1, 3, 4);
    column = fix_f64(zeros);
    CHECK_ROWS(run(&call, times, &column, 6), 0, 3, 5);
    const char *texts[] = { "b", "a", "b", NULL, "c", "a" };
    const int64_t one_time[] = { 9, 9, 9, 9, 9, 9 };
    call.type = AF_TYPE_STRING;
    column = fix_texts(&arena, 6, texts);
    CHECK_ROWS(run(&call, times, &column, 6), 0, 1, 4);
    CHECK_ROWS(run(&call, one_time, &column, 6), 1, 0, 4);
    column = fix_dict(&arena, 6, texts);
    CHECK_ROWS(run(&call, times, &column, 6), 0, 1, 4);
    const uint64_t bits[] = { 0x3e };
    call.type = AF_TYPE_BOOL;
    column = fix_bools(bits);
    CHECK_ROWS(run(&call, times, &column, 6), 0, 1);
    af_arena_done(&arena);
}

AF_TEST(fn_sample_is_fair_and_in_order)
{
    af_arena_init(&arena, SIZE_MAX);
    int64_t times[20];
    const char *texts[20];
    unsigned seen[20] = { 0 };
    for (int i = 0; i < 20; i++) {
        times[i] = i;
        texts[i] = i == 7 ? NULL : "x";
    }
    struct af_column column = fix_texts(&arena, 20, texts);
    struct af_fn_call call = fix_call_i64(AF_FN_SAMPLE, AF_TYPE_STRING, 5);
    for (uint64_t seed = 0; seed < 4000; seed++) {
        size_t count;
        AF_CHECK_OK(af_fn_select(&call, times, &column, 20, seed, &arena, rows, &count, &err), err);
        AF_CHECK_INT(count, 5);
        for (size_t i = 0; i < count; i++) {
            AF_CHECK(i == 0 || rows[i - 1] < rows[i]);
            seen[rows[i]]++;
        }
    }
    for (size_t i = 0; i < 20; i++) /* 4000 * 5 / 19 = 1053, five deviations wide */
        AF_CHECK(i == 7 ? seen[i] == 0 : seen[i] > 910 && seen[i] < 1200);
    call.params[0] = af_value_i64(INT64_MAX);
    AF_CHECK_INT(run(&call, times, &column, 20), 19);
    af_arena_done(&arena);
}

/* Selectors of one row choose the row whose value and time the state gives. */
AF_TEST(fn_select_agrees_with_states)
{
    struct af_prng prng = { 22 };
    for (int round = 0; round < 200; round++) {
        af_arena_init(&arena, SIZE_MAX);
        size_t count = 1 + (size_t)af_prng_below(&prng, 60);
        int64_t times[60], v[60];
        uint64_t validity[1] = { af_prng_next(&prng) | 1 };
        for (size_t i = 0; i < count; i++) {
            times[i] = (int64_t)af_prng_below(&prng, 40);
            v[i] = (int64_t)af_prng_below(&prng, 10);
        }
        validity[0] &= scalar_row_mask(count, 0);
        struct af_column column = fix_nulls(fix_i64(v), validity, count);
        for (enum af_fn id = AF_FN_FIRST; id <= AF_FN_PERCENTILE; id++) {
            struct af_fn_call call = fix_call_i64(id, AF_TYPE_I64, (int64_t)af_prng_below(&prng, 100));
            call.param_count = id == AF_FN_PERCENTILE;
            int64_t time;
            struct af_value value = fix_aggregate(&call, times, &column, count, 7, &arena, &time);
            size_t chosen = run(&call, times, &column, count);
            AF_CHECK_INT(chosen, value.type != AF_TYPE_NULL);
            if (chosen == 0 || (id == AF_FN_PERCENTILE && (times[0] > times[count - 1] || !af_bit_get(validity, count - 1))))
                continue; /* which way times go is seen with nulls in one, without in the other */
            AF_CHECK(v[rows[0]] == value.i64 && times[rows[0]] == time);
        }
        af_arena_done(&arena);
    }
}

AF_TEST(fn_sorting_and_selecting_many_equal)
{
    enum { MANY = 20000 };
    struct af_prng prng = { 23 };
    struct ranked *items = af_alloc_zero(MANY, sizeof *items), *other = af_alloc_zero(MANY, sizeof *other);
    AF_CHECK(items != NULL && other != NULL);
    for (int kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < MANY; i++) {
            uint64_t key = kind == 0 ? af_prng_next(&prng) : kind == 1 ? 5 : kind == 2 ? i : af_prng_below(&prng, 3);
            items[i] = other[i] = (struct ranked){ key, kind == 1 ? 1 : MANY - i, (uint32_t)i };
        }
        ranked_sort(items, MANY);
        for (size_t i = 1; i < MANY; i++)
            AF_CHECK(ranked_before(&items[i - 1], &items[i]));
        for (size_t k = 0; k < 20; k++) {
            size_t nth = (size_t)af_prng_below(&prng, MANY);
            ranked_nth(other, MANY, nth);
            AF_CHECK_INT(other[nth].row, items[nth].row);
        }
    }
    af_free(items);
    af_free(other);
}

AF_TEST(fn_selectors_survive_failing_allocations)
{
    int64_t times[300], v[300];
    for (size_t i = 0; i < 300; i++)
        times[i] = v[i] = (int64_t)i;
    struct af_column column = fix_i64(v);
    for (enum af_fn id = AF_FN_FIRST; id <= AF_FN_DISTINCT; id++) {
        struct af_fn_call call = fix_call_i64(id, AF_TYPE_I64, 50);
        bool has_passed = false;
        for (size_t nth = 1; !has_passed && nth < 100; nth++) {
            size_t count;
            af_arena_init(&arena, SIZE_MAX);
            af_alloc_fail_nth(nth);
            enum af_status status = af_fn_select(&call, times, &column, 300, 1, &arena, rows, &count, &err);
            af_alloc_fail_nth(0);
            has_passed = status == AF_OK;
            AF_CHECK(has_passed || (status == AF_ENOMEM && count == 0));
            af_arena_done(&arena);
        }
        AF_CHECK(has_passed);
    }
}
