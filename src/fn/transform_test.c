/* transform_test.c - transforms: values by hand, runs and nulls that must not matter, windows cut by lines, parameters of all kinds. */
#include "fn/fn_fixture.h"

static struct af_arena arena;
static struct af_error err;

static void check_f64(const struct fix_rows *got, size_t count, const int64_t *times, const double *values)
{
    AF_CHECK_INT(got->count, count);
    for (size_t i = 0; i < count; i++) {
        AF_CHECK_INT(got->times[i], times[i]);
        AF_CHECK_F64(got->cells[i].f64, values[i]);
    }
}

static struct fix_rows *of_f64(struct af_fn_call call, const int64_t *times, const double *values, size_t rows)
{
    struct af_column column = fix_f64(values);
    return fix_transform(&call, rows > 1 && times[0] > times[rows - 1], times, &column, rows, rows, &arena);
}

AF_TEST(fn_derivative_and_difference)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t times[] = { 0, 10, 10, 30 }, falling[] = { 30, 10, 0 };
    const double v[] = { 1, 3, 99, 2 }, w[] = { 2, 3, 1 };
    check_f64(of_f64(fix_call_i64(AF_FN_DERIVATIVE, AF_TYPE_F64, 10), times, v, 4), 2, (int64_t[]){ 10, 30 }, (double[]){ 2, -0.5 });
    check_f64(of_f64(fix_call_i64(AF_FN_DERIVATIVE, AF_TYPE_F64, 10), falling, w, 3), 2, (int64_t[]){ 10, 0 }, (double[]){ 0.5, -2 });
    check_f64(of_f64(fix_call_i64(AF_FN_NON_NEGATIVE_DERIVATIVE, AF_TYPE_F64, 5), times, v, 4), 1, (int64_t[]){ 10 }, (double[]){ 1 });
    check_f64(of_f64(fix_call(AF_FN_DIFFERENCE, AF_TYPE_F64), times, v, 4), 2, (int64_t[]){ 10, 30 }, (double[]){ 2, -1 });
    check_f64(of_f64(fix_call(AF_FN_NON_NEGATIVE_DIFFERENCE, AF_TYPE_F64), times, v, 4), 1, (int64_t[]){ 10 }, (double[]){ 2 });
    af_arena_done(&arena);
}

AF_TEST(fn_difference_of_integers)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t times[] = { 1, 2, 3 }, v[] = { INT64_MAX, INT64_MIN, 5 };
    const uint64_t u[] = { 7, 7, 5 };
    struct af_column column = fix_i64(v);
    struct af_fn_call call = fix_call(AF_FN_DIFFERENCE, AF_TYPE_I64);
    struct fix_rows *got = fix_transform(&call, false, times, &column, 3, 3, &arena);
    AF_CHECK(got->count == 2 && got->cells[0].i64 == 1 && got->cells[1].i64 == INT64_MIN + 5);
    column = fix_u64(u);
    call.type = AF_TYPE_U64;
    got = fix_transform(&call, false, times, &column, 3, 1, &arena);
    AF_CHECK(got->count == 2 && got->cells[0].u64 == 0 && got->cells[1].u64 == UINT64_MAX - 1);
    call.id = AF_FN_NON_NEGATIVE_DIFFERENCE;
    AF_CHECK_INT(fix_transform(&call, false, times, &column, 3, 3, &arena)->count, 1);
    call = fix_call_i64(AF_FN_DERIVATIVE, AF_TYPE_U64, 1);
    got = fix_transform(&call, false, times, &column, 3, 3, &arena);
    AF_CHECK_F64(got->cells[0].f64, -0.0);
    AF_CHECK_F64(got->cells[1].f64, -2);
    call = fix_call(AF_FN_CUMULATIVE_SUM, AF_TYPE_I64);
    column = fix_i64(v);
    got = fix_transform(&call, false, times, &column, 3, 2, &arena);
    AF_CHECK(got->count == 3 && got->cells[1].i64 == -1 && got->cells[2].i64 == 4);
    af_arena_done(&arena);
}

AF_TEST(fn_elapsed_of_anything)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t times[] = { 0, 25, 25, 19 };
    const char *texts[] = { "a", "b", "c", NULL };
    struct af_column column = fix_texts(&arena, 4, texts);
    struct af_fn_call call = fix_call_i64(AF_FN_ELAPSED, AF_TYPE_STRING, 10);
    struct fix_rows *got = fix_transform(&call, false, times, &column, 4, 4, &arena);
    AF_CHECK(got->count == 2 && got->cells[0].i64 == 2 && got->cells[1].i64 == 0);
    call.type = AF_TYPE_F64;
    const double v[] = { 1, 2, 3, 4 };
    column = fix_f64(v);
    got = fix_transform(&call, true, times + 1, &column, 3, 3, &arena);
    AF_CHECK(got->count == 2 && got->cells[1].i64 == 0);
    af_arena_done(&arena);
}

AF_TEST(fn_moving_and_exponential_averages)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t times[] = { 1, 2, 3, 4, 5 };
    const double v[] = { 2, 4, 6, 2, 8 };
    check_f64(of_f64(fix_call_i64(AF_FN_MOVING_AVERAGE, AF_TYPE_F64, 2), times, v, 5), 4, times + 1, (double[]){ 3, 5, 4, 5 });
    AF_CHECK_INT(of_f64(fix_call_i64(AF_FN_MOVING_AVERAGE, AF_TYPE_F64, INT64_MAX), times, v, 5)->count, 0);
    /* period 3: weight 1/2 when warm. Simple warmup: 2, 3, 4, then half the way */
    struct af_fn_call call = fix_call_i64(AF_FN_EMA, AF_TYPE_F64, 3);
    call.params[1] = af_value_i64(0);
    call.params[2] = af_value_text(AF_SLICE_LIT("simple"));
    call.param_count = 3;
    check_f64(of_f64(call, times, v, 5), 5, times, (double[]){ 2, 3, 4, 3, 5.5 });
    call.param_count = 1; /* exponential warmup: 2, then weights 2/3 and 1/2; two held back */
    double third = (6 - ((4 - 2) * (2 / 3.0) + 2)) * (2 / 4.0) + ((4 - 2) * (2 / 3.0) + 2);
    check_f64(of_f64(call, times, v, 5), 3, times + 2, (double[]){ third, (2 - third) * 0.5 + third,
        (8 - ((2 - third) * 0.5 + third)) * 0.5 + ((2 - third) * 0.5 + third) });
    af_arena_done(&arena);
}

AF_TEST(fn_indicators_by_hand)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t times[] = { 1, 2, 3, 4, 5 };
    const double v[] = { 10, 11, 13, 12, 12 };
    /* efficiency over two steps: |13 - 10| / (1 + 2), |12 - 11| / (2 + 1), |12 - 13| / (1 + 0) */
    check_f64(of_f64(fix_call_i64(AF_FN_KER, AF_TYPE_F64, 2), times, v, 5), 3, times + 2, (double[]){ 1, 1.0 / 3.0, 1 });
    /* momentum of three steps, 100 (up - down) / (up + down): up 1 and 2; then 1 down; then 1 up less */
    check_f64(of_f64(fix_call_i64(AF_FN_CMO, AF_TYPE_F64, 3), times, v, 5), 3, times + 2, (double[]){ 100, 50, 100.0 * (1 / 3.0) });
    struct af_fn_call call = fix_call_i64(AF_FN_RSI, AF_TYPE_F64, 2);
    struct fix_rows *got = of_f64(call, times, v, 5);
    AF_CHECK_INT(got->count, 3);
    AF_CHECK(got->cells[0].f64 == 100 && got->cells[1].f64 < 100);
    got = of_f64(fix_call_i64(AF_FN_TRIX, AF_TYPE_F64, 1), times, v, 5);
    AF_CHECK(got->count == 4 && fabs(got->cells[0].f64 - 10) < 1e-12);
    check_f64(of_f64(fix_call_i64(AF_FN_DOUBLE_EMA, AF_TYPE_F64, 1), times, v, 5), 5, times, v);
    check_f64(of_f64(fix_call_i64(AF_FN_TRIPLE_EMA, AF_TYPE_F64, 1), times, v, 5), 5, times, v);
    af_arena_done(&arena);
}

/* --- windows ----------------------------------------------------------------------------------------------------------------------------
 * */

AF_TEST(fn_window_integral_cuts_at_borders)
{
    af_arena_init(&arena, SIZE_MAX);
    struct af_window window = { .every_ns = 10 };
    struct af_fn_call call = fix_call_i64(AF_FN_WINDOW_INTEGRAL, AF_TYPE_F64, 1);
    call.window = &window;
    const int64_t times[] = { 5, 15, 25, 40 };
    const double v[] = { 1, 3, 3, 0 };
    /* [0,10): from 1 to 2 in 5; [10,20): 2 to 3 in 5, 3 in 5; [20,30): 3 in 5, then falls by 1 in 5; the rest, up to 40, belongs to
     * [40,50) */
    struct fix_rows *got = of_f64(call, times, v, 4);
    const double want[] = { 7.5, 27.5, 27.5, 10 };
    const int64_t starts[] = { 0, 10, 20, 40 };
    AF_CHECK_INT(got->count, 3); /* the last point lies at the start of its window */
    for (size_t i = 0; i < 3; i++) {
        AF_CHECK_INT(got->times[i], starts[i]);
        AF_CHECK(fabs(got->cells[i].f64 - want[i]) < 1e-12);
    }
    call.window = NULL;
    got = of_f64(call, times, v, 4);
    AF_CHECK(got->count == 1 && got->times[0] == 0 && got->cells[0].f64 == 72.5);
    af_arena_done(&arena);
}

/* Areas of all windows are the area of the whole, but for what integers do at borders. */
AF_TEST(fn_window_integral_adds_up)
{
    struct af_prng prng = { 31 };
    for (int round = 0; round < 50; round++) {
        af_arena_init(&arena, SIZE_MAX);
        int64_t times[100];
        double v[100], total = 0;
        for (size_t i = 0; i < 100; i++) {
            times[i] = (i == 0 ? 3 : times[i - 1]) + (int64_t)af_prng_below(&prng, 30);
            v[i] = af_prng_unit(&prng) * 10;
        }
        struct af_window window = { .every_ns = 1 + (int64_t)af_prng_below(&prng, 40), .offset_ns = (int64_t)af_prng_below(&prng, 9) };
        struct af_fn_call call = fix_call_i64(AF_FN_WINDOW_INTEGRAL, AF_TYPE_F64, 1), whole = fix_call_i64(AF_FN_INTEGRAL, AF_TYPE_F64, 1);
        call.window = &window;
        struct af_column column = fix_f64(v);
        struct fix_rows *got = of_f64(call, times, v, 100);
        for (size_t i = 0; i < got->count; i++)
            total += got->cells[i].f64;
        struct af_value want = fix_aggregate(&whole, times, &column, 100, 9, &arena, NULL);
        int64_t start, stop;
        af_window_of(&window, times[99], &start, &stop);
        /* A last point at a border ends no area. */
        AF_CHECK(start == times[99] ? total <= want.f64 + 1e-9 : fabs(total - want.f64) < 1e-9 * (1 + want.f64));
        af_arena_done(&arena);
    }
}

/* --- forecasts
 * ---------------------------------------------------------------------------------------------------------------------------- */

static struct af_fn_call forecast(enum af_fn id, int64_t ahead, int64_t season, int64_t interval)
{
    struct af_fn_call call = fix_call(id, AF_TYPE_I64);
    call.params[0] = af_value_i64(ahead);
    call.params[1] = af_value_i64(season);
    call.params[2] = af_value_i64(interval);
    call.param_count = 3;
    return call;
}

/* What InfluxDB 1.8.10 gives for the same rows. */
AF_TEST(fn_holt_winters_to_the_last_bit)
{
    af_arena_init(&arena, SIZE_MAX);
    int64_t times[12], line[8], wave[] = { 10, 20, 30, 40, 12, 22, 32, 42, 14, 24, 34, 44 };
    for (int i = 0; i < 12; i++)
        times[i] = 10 * i;
    for (int i = 0; i < 8; i++)
        line[i] = i + 1;
    struct af_column column = fix_i64(line);
    struct af_fn_call call = forecast(AF_FN_HOLT_WINTERS, 3, 0, 10);
    check_f64(fix_transform(&call, false, times, &column, 8, 3, &arena), 3, (int64_t[]){ 80, 90, 100 },
              (double[]){ 0x1.209585900f01cp+03, 0x1.41c5871f0bff4p+03, 0x1.6396d461c7d7ep+03 });
    column = fix_i64(wave);
    call = forecast(AF_FN_HOLT_WINTERS, 4, 4, 10);
    check_f64(fix_transform(&call, false, times, &column, 12, 2, &arena), 4, (int64_t[]){ 120, 130, 140, 150 },
              (double[]){ 0x1.8c6019b3ccc74p+04, 0x1.4b45783128fc4p+04, 0x1.8c0a357c4c53ap+04, 0x1.4a86c2e490ddcp+05 });
    const int64_t holes[] = { 5, 7, 9 }, hole_times[] = { 0, 20, 30 };
    column = fix_i64(holes);
    call = forecast(AF_FN_HOLT_WINTERS_FIT, 2, 0, 10);
    check_f64(fix_transform(&call, false, hole_times, &column, 3, 3, &arena), 6, (int64_t[]){ 0, 10, 20, 30, 40, 50 },
              (double[]){ 5, 0x1.64727d570d38fp+02, 0x1.c031a0aca2e26p+02, 0x1.1fc95d134868ap+03, 0x1.7f77654d9c902p+03,
                  0x1.0c1a30a2a57b3p+04 });
    af_arena_done(&arena);
}

AF_TEST(fn_holt_winters_without_enough_says_nothing)
{
    af_arena_init(&arena, SIZE_MAX);
    const int64_t times[] = { 0, 10, 20, 30 }, falling[] = { 30, 20, 10, 0 }, same[] = { 1, 2, 3, 4 };
    struct af_column column = fix_i64(same);
    struct af_fn_call call = forecast(AF_FN_HOLT_WINTERS, 3, 0, 10), season = forecast(AF_FN_HOLT_WINTERS, 3, 5, 10);
    AF_CHECK_INT(fix_transform(&call, false, times, &column, 1, 1, &arena)->count, 0);
    AF_CHECK_INT(fix_transform(&season, false, times, &column, 4, 4, &arena)->count, 0);
    AF_CHECK_INT(fix_transform(&call, true, falling, &column, 4, 4, &arena)->count, 0);
    call.params[2] = af_value_i64(1000);
    AF_CHECK_INT(fix_transform(&call, false, times, &column, 4, 4, &arena)->count, 0);
    af_arena_done(&arena);
}

AF_TEST(fn_holt_winters_knows_its_limits)
{
    af_arena_init(&arena, 64 << 20);
    struct af_transform *transform;
    const int64_t far[] = { 0, INT64_MAX }, near[] = { 0, 10, 20 }, v[] = { 1, 2, 3 };
    struct af_column column = fix_i64(v), out;
    int64_t *times;
    size_t count;
    struct af_fn_call call = forecast(AF_FN_HOLT_WINTERS, 1, 0, 1);
    AF_CHECK_OK(af_transform_new(&call, false, &arena, &transform, &err), err);
    AF_CHECK_FAILS(af_transform_add(transform, far, &column, 2, &arena, &times, &out, &count, &err), AF_ELIMIT);
    call = forecast(AF_FN_HOLT_WINTERS, INT64_MAX, 0, 10);
    AF_CHECK_OK(af_transform_new(&call, false, &arena, &transform, &err), err);
    AF_CHECK_OK(af_transform_add(transform, near, &column, 3, &arena, &times, &out, &count, &err), err);
    AF_CHECK_FAILS(af_transform_end(transform, 10, &arena, &times, &out, &count, &err), AF_ELIMIT);
    call = forecast(AF_FN_HOLT_WINTERS, 1, INT64_MAX, 10);
    AF_CHECK_OK(af_transform_new(&call, false, &arena, &transform, &err), err);
    AF_CHECK_OK(af_transform_add(transform, near, &column, 3, &arena, &times, &out, &count, &err), err);
    AF_CHECK_OK(af_transform_end(transform, 10, &arena, &times, &out, &count, &err), err);
    AF_CHECK_INT(count, 0);
    af_arena_done(&arena);
}

static double valley(void *ctx, double *x)
{
    (void)ctx;
    return 100 * (x[1] - x[0] * x[0]) * (x[1] - x[0] * x[0]) + (1 - x[0]) * (1 - x[0]);
}

AF_TEST(fn_simplex_finds_the_bottom_of_a_valley)
{
    double work[64], x[] = { -1.2, 1 }, min;
    uint64_t steps = 1000000;
    AF_CHECK(simplex_cells(2) <= COUNT_OF(work));
    struct simplex simplex = { valley, NULL, 2, work, 1e-9, &steps, 1 };
    AF_CHECK(simplex_search(&simplex, x, &min));
    AF_CHECK(min < 1e-6 && fabs(x[0] - 1) < 1e-2 && fabs(x[1] - 1) < 1e-2);
    steps = 50;
    x[0] = -1.2;
    AF_CHECK(!simplex_search(&simplex, x, &min));
    AF_CHECK_INT(simplex_cells((size_t)1 << 40), SIZE_MAX);
}

/* --- what must not matter
 * ------------------------------------------------------------------------------------------------------------------ */

static struct af_fn_call some_call(enum af_fn id, enum af_type type, const struct af_window *window)
{
    struct af_fn_call call = fix_call(id, type);
    if (id == AF_FN_HOLT_WINTERS || id == AF_FN_HOLT_WINTERS_FIT)
        return (struct af_fn_call){ .id = id, .type = type, .params = { af_value_i64(3), af_value_i64(4), af_value_i64(5) },
            .param_count = 3 };
    if (af_fn_get(id)->args_max > 1) {
        call.params[0] = af_value_i64(3);
        call.param_count = 1;
    }
    if (id == AF_FN_WINDOW_INTEGRAL)
        call.window = window;
    return call;
}

AF_TEST(fn_transforms_do_not_see_runs_and_nulls)
{
    struct af_prng prng = { 33 };
    const struct af_window window = { .every_ns = 17 };
    for (int round = 0; round < 12; round++) {
        const enum af_type types[] = { AF_TYPE_F64, AF_TYPE_I64, AF_TYPE_U64 };
        enum af_type type = types[round % 3];
        int64_t times[60], dense_times[60];
        uint64_t cells[60], dense_cells[60], validity[1] = { 0 };
        size_t dense = 0;
        for (size_t i = 0; i < 60; i++) {
            times[i] = (int64_t)i * 5 + (int64_t)af_prng_below(&prng, 3);
            union fn_cell cell = { .i64 = 1 + (int64_t)af_prng_below(&prng, 20) };
            if (type == AF_TYPE_F64)
                cell.f64 = (double)cell.i64 / 3;
            cells[i] = cell.u64;
            if (af_prng_below(&prng, 3) == 0)
                continue;
            af_bit_set(validity, i);
            dense_times[dense] = times[i];
            dense_cells[dense++] = cell.u64;
        }
        struct af_column whole = { .type = type, .u64 = dense_cells }, holed = { .type = type, .u64 = cells };
        holed = fix_nulls(holed, validity, 60);
        for (enum af_fn id = AF_FN_DERIVATIVE; id <= AF_FN_HOLT_WINTERS_FIT; id++) {
            af_arena_init(&arena, SIZE_MAX);
            struct af_fn_call call = some_call(id, type, &window);
            struct fix_rows *a = fix_transform(&call, false, dense_times, &whole, dense, 60, &arena);
            struct fix_rows *b = fix_transform(&call, false, times, &holed, 60, 1 + (size_t)af_prng_below(&prng, 10), &arena);
            AF_CHECK(a->count > 0);
            AF_CHECK_INT(a->count, b->count);
            AF_CHECK(memcmp(a->times, b->times, a->count * sizeof *a->times) == 0);
            AF_CHECK(memcmp(a->cells, b->cells, a->count * sizeof *a->cells) == 0);
            af_arena_done(&arena);
        }
    }
}

AF_TEST(fn_transforms_check_parameters)
{
    err = (struct af_error){ 0 };
    af_arena_init(&arena, SIZE_MAX);
    struct af_transform *transform;
    const struct af_fn_call wrong[] = {
        fix_call(AF_FN_DERIVATIVE, AF_TYPE_F64),                    fix_call_i64(AF_FN_DERIVATIVE, AF_TYPE_F64, 0),
        fix_call_i64(AF_FN_ELAPSED, AF_TYPE_F64, -1),               fix_call_i64(AF_FN_MOVING_AVERAGE, AF_TYPE_F64, 1),
        fix_call_i64(AF_FN_EMA, AF_TYPE_F64, 0),                    fix_call_i64(AF_FN_EMA, AF_TYPE_STRING, 3),
        fix_call_i64(AF_FN_CMO, AF_TYPE_F64, 1),                    fix_call_i64(AF_FN_WINDOW_INTEGRAL, AF_TYPE_F64, 0),
        fix_call_i64(AF_FN_HOLT_WINTERS, AF_TYPE_F64, 3),           fix_call_i64(AF_FN_DIFFERENCE, AF_TYPE_F64, 3),
        { .id = AF_FN_EMA, .type = AF_TYPE_F64, .params = { af_value_i64(3), af_value_i64(-2) }, .param_count = 2 },
        { .id = AF_FN_TRIX, .type = AF_TYPE_F64, .params = { af_value_i64(3), af_value_i64(0) }, .param_count = 2 },
        { .id = AF_FN_EMA, .type = AF_TYPE_F64, .params = { af_value_f64(3) }, .param_count = 1 },
        { .id = AF_FN_RSI, .type = AF_TYPE_F64, .params = { af_value_i64(3), af_value_i64(1), { .type = AF_TYPE_STRING, .text = { "none",
            4 } } }, .param_count = 3 },
        { .id = AF_FN_KER, .type = AF_TYPE_F64, .params = { af_value_i64(3), af_value_i64(1), af_value_i64(1) }, .param_count = 3 },
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        AF_CHECK_FAILS(af_transform_new(&wrong[i], false, &arena, &transform, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "\"kaufmans_efficiency_ratio\" takes at most 2 parameters, not 3");
    struct af_fn_call sum = fix_call(AF_FN_SUM, AF_TYPE_F64);
    AF_CHECK_FAILS(af_transform_new(&sum, false, &arena, &transform, &err), AF_EBUG);
    af_arena_done(&arena);
}

/* The largest period there can be needs no memory for values that never come. */
AF_TEST(fn_transforms_of_huge_periods)
{
    const int64_t times[] = { 1, 2, 3 };
    const double v[] = { 1, 2, 3 };
    for (enum af_fn id = AF_FN_MOVING_AVERAGE; id <= AF_FN_CMO; id++) {
        af_arena_init(&arena, 1 << 20);
        struct af_fn_call call = fix_call_i64(id, AF_TYPE_F64, INT64_MAX);
        AF_CHECK(of_f64(call, times, v, 3)->count <= 3);
        af_arena_done(&arena);
    }
}

AF_TEST(fn_transforms_survive_failing_allocations)
{
    const struct af_window window = { .every_ns = 17 };
    int64_t times[40], v[40];
    uint64_t validity[1] = { 0xfffffffff7 };
    for (int i = 0; i < 40; i++) {
        times[i] = 5 * i;
        v[i] = 10 + i % 4;
    }
    struct af_column column = fix_nulls(fix_i64(v), validity, 40), out;
    for (enum af_fn id = AF_FN_DERIVATIVE; id <= AF_FN_HOLT_WINTERS_FIT; id++) {
        struct af_fn_call call = some_call(id, AF_TYPE_I64, &window);
        bool has_passed = false;
        for (size_t nth = 1; !has_passed && nth < 100; nth++) {
            struct af_transform *transform;
            int64_t *out_times;
            size_t count;
            af_arena_init(&arena, SIZE_MAX);
            af_alloc_fail_nth(nth);
            enum af_status status = af_transform_new(&call, false, &arena, &transform, &err);
            if (status == AF_OK)
                status = af_transform_add(transform, times, &column, 40, &arena, &out_times, &out, &count, &err);
            if (status == AF_OK)
                status = af_transform_end(transform, 5, &arena, &out_times, &out, &count, &err);
            af_alloc_fail_nth(0);
            has_passed = status == AF_OK;
            AF_CHECK(has_passed || status == AF_ENOMEM);
            af_arena_done(&arena);
        }
        AF_CHECK(has_passed);
    }
}
