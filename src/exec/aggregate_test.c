/*
 * aggregate_test.c - AGGREGATE: windows, ranges, stamps, order, what has a row, limits; ordered and unordered input alike; against a naive
 * one.
 */
#include "base/prng.h"
#include "exec/feed_fixture.h"

struct setting {
    struct af_window window;
    int64_t start_ns, stop_ns;
    enum af_stamp stamp;
};

static struct af_plan_call call_of(enum af_fn fn, enum af_type type, size_t column)
{
    return (struct af_plan_call){ .call = { .id = fn, .type = type }, .column = column, .name = af_fn_get(fn)->name };
}

static const struct af_node *aggregate_of(struct feed *f, const struct af_node *in, const struct setting *setting,
                                          const struct af_plan_call *calls, size_t call_count)
{
    const struct af_node *node = NULL;
    struct af_plan_call *copy = af_arena_zero(&f->fix.arena, call_count, sizeof *copy);
    memcpy(copy, calls, call_count * sizeof *copy);
    struct af_plan_aggregate aggregate = { .window = setting->window, .start_ns = setting->start_ns, .stop_ns = setting->stop_ns,
                                           .stamp = setting->stamp, .calls = copy, .call_count = call_count,
                                           .descending = f->fix.descending };
    AF_CHECK_OK(af_plan_aggregate(&f->fix.plan, in, &aggregate, &node, &f->fix.err), f->fix.err);
    return node;
}

static const struct setting everything = { .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
static const char rows[] = "m h=a | 10 1 5\n"
                           "m h=a | 13 3 -\n"
                           "m h=a | 19 2 7\n"
                           "m h=a | 20 - 1\n"
                           "m h=a | 35 4 -\n"
                           "m h=b | 12 8 2\n";

AF_TEST(aggregate_gives_a_row_for_each_window_with_a_value)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_COUNT, AF_TYPE_F64, 1), call_of(AF_FN_MEAN, AF_TYPE_F64, 1),
                                          call_of(AF_FN_SUM, AF_TYPE_I64, 2), call_of(AF_FN_FIRST, AF_TYPE_I64, 2) };
    struct setting setting = everything;
    setting.window = fix_every(10);
    struct feed f;
    feed_begin(&f);
    for (f.rows_per_table = 1; f.rows_per_table <= 5; f.rows_per_table++)
        for (int ordered = 0; ordered < 2; ordered++) {
            const struct af_node *in = ordered ? feed_input(&f, "v:f w:i", rows) : feed_unordered(&f, "v:f w:i", rows);
            AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &setting, calls, 4)), "m h=a | 10 3 2 12 5\n"
                                                                                 "m h=a | 20 null null 1 1\n"
                                                                                 "m h=a | 30 1 4 null null\n"
                                                                                 "m h=b | 10 1 8 2 2\n");
        }
    feed_end(&f);
}

AF_TEST(aggregate_takes_rows_in_any_order)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_COUNT, AF_TYPE_F64, 1), call_of(AF_FN_FIRST, AF_TYPE_F64, 1),
                                          call_of(AF_FN_LAST, AF_TYPE_F64, 1) };
    struct feed f;
    feed_begin(&f);
    const struct af_node *in = feed_unordered(&f, "v:f", "m | 31 1\nm | 12 2\nm | 44 3\nm | 11 4\nm | 32 5\nm | 19 6\n");
    struct setting settings[2] = { { fix_every(10), INT64_MIN, INT64_MAX, AF_STAMP_START }, { fix_every(10), 11, 44, AF_STAMP_START } };
    AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &settings[0], calls, 3)), "m | 10 3 4 6\nm | 30 2 1 5\nm | 40 1 3 3\n");
    AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &settings[1], calls, 3)), "m | 10 3 4 6\nm | 30 2 1 5\n");
    f.fix.descending = true;
    AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &settings[0], calls, 3)), "m | 40 1 3 3\nm | 30 2 1 5\nm | 10 3 4 6\n");
    feed_end(&f);
}

AF_TEST(aggregate_descending_gives_windows_backwards)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_SUM, AF_TYPE_F64, 1), call_of(AF_FN_LAST, AF_TYPE_F64, 1) };
    struct setting setting = { fix_every(10), 5, 100, AF_STAMP_START };
    struct feed f;
    feed_begin(&f);
    f.fix.descending = true;
    for (f.rows_per_table = 1; f.rows_per_table <= 5; f.rows_per_table++) {
        const struct af_node *in = feed_input(&f, "v:f", "m h=b | 8 1\nm h=a | 100 9\nm h=a | 31 1\nm h=a | 30 2\n"
                                                         "m h=a | 9 3\nm h=a | 5 4\nm h=a | 4 5\n");
        AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &setting, calls, 2)), "m h=b | 0 1 1\nm h=a | 30 3 1\nm h=a | 0 7 3\n");
    }
    feed_end(&f);
}

AF_TEST(aggregate_without_windows_is_stamped_with_the_start_or_the_point)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_MAX, AF_TYPE_F64, 1), call_of(AF_FN_COUNT, AF_TYPE_F64, 1) };
    struct feed f;
    feed_begin(&f);
    for (int ordered = 0; ordered < 2; ordered++) {
        const struct af_node *in = ordered ? feed_input(&f, "v:f w:i", rows) : feed_unordered(&f, "v:f w:i", rows);
        struct setting setting = everything;
        AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &setting, calls, 2)), "m h=a | 0 4 4\nm h=b | 0 8 1\n");
        setting.start_ns = 11;
        setting.stop_ns = 35;
        AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &setting, calls, 2)), "m h=a | 11 3 2\nm h=b | 11 8 1\n");
        setting.stop_ns = 36;
        setting.stamp = AF_STAMP_POINT;
        AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &setting, calls, 1)), "m h=a | 35 4\nm h=b | 12 8\n");
        setting.start_ns = setting.stop_ns = 12;
        AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &setting, calls, 1)), "");
    }
    feed_end(&f);
}

AF_TEST(aggregate_has_a_row_for_what_is_not_a_number)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_STDDEV, AF_TYPE_F64, 1) };
    struct setting setting = everything;
    setting.window = fix_every(10);
    struct feed f;
    feed_begin(&f);
    for (int ordered = 0; ordered < 2; ordered++) {
        const struct af_node *in = ordered ? feed_input(&f, "v:f w:i", rows) : feed_unordered(&f, "v:f w:i", rows);
        AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &setting, calls, 1)), "m h=a | 10 1\nm h=a | 30 nan\nm h=b | 10 nan\n");
    }
    feed_end(&f);
}

AF_TEST(aggregate_knows_days_of_a_zone_and_months)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_COUNT, AF_TYPE_I64, 1) };
    const int64_t day = AF_NS_PER_DAY, hour = day / 24;
    struct feed f;
    char text[4096], want[256], *at = text;
    feed_begin(&f);
    /* 2018-11-03T00:00 in Brazil, then hour by hour; the next day begins at 01:00, summer time, and has 23 hours. */
    int64_t from = af_days_from_civil(2018, 11, 3) * day + 3 * hour;
    for (int i = 0; i < 72; i++)
        at += sprintf(at, "m | %lld %d\n", (long long)(from + i * hour), i);
    struct setting setting = { { .every_ns = day, .zone = { .kind = AF_ZONE_SAO_PAULO } }, from, from + 71 * hour, AF_STAMP_START };
    (void)snprintf(want, sizeof want, "m | %lld 24\nm | %lld 23\nm | %lld 24\n", (long long)from, (long long)(from + day),
                   (long long)(from + 2 * day - hour));
    for (int ordered = 0; ordered < 2; ordered++) {
        const struct af_node *in = ordered ? feed_input(&f, "v:i", text) : feed_unordered(&f, "v:i", text);
        AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &setting, calls, 1)), want);
    }
    setting = (struct setting){ { .every_months = 1 }, INT64_MIN, INT64_MAX, AF_STAMP_START };
    (void)snprintf(want, sizeof want, "m | %lld 72\n", (long long)(af_days_from_civil(2018, 11, 1) * day));
    AF_CHECK_STR(feed_run(&f, aggregate_of(&f, feed_unordered(&f, "v:i", text), &setting, calls, 1)), want);
    feed_end(&f);
}

/* --- against a naive one ---------------------------------------------------------------------------------------------------- */

enum { TIMES = 300 };
struct random_case {
    int values[2][TIMES];                /* by group and time; 0: none */
    int64_t every, offset, start, stop;
    bool is_ordered, descending;
};

/* Rows of both groups, in order or shuffled, as text. */
static void random_rows(struct random_case *c, struct af_prng *prng, char *out)
{
    *out = '\0';
    for (int n = 0; n < 2; n++) {
        int group = c->descending ? 1 - n : n, order[TIMES];
        for (int t = 0; t < TIMES; t++)
            order[t] = c->descending ? TIMES - 1 - t : t;
        for (int t = TIMES - 1; t > 0 && !c->is_ordered; t--) {
            int other = (int)af_prng_below(prng, (uint64_t)t + 1), swap = order[t];
            order[t] = order[other];
            order[other] = swap;
        }
        for (int t = 0; t < TIMES; t++) {
            int *value = &c->values[group][order[t]];
            *value = af_prng_below(prng, 3) == 0 ? (int)af_prng_below(prng, 100) + 1 : 0;
            if (*value != 0)
                out += sprintf(out, "m g=%d | %d %d\n", group, order[t] - 100, *value);
        }
    }
}

/* Count, sum and largest of each window, by walking over all times for each. */
static void naive_answer(const struct random_case *c, struct af_buf *out)
{
    for (int n = 0; n < 2; n++)
        for (int64_t k = 0; k <= 800; k++) {
            int group = c->descending ? 1 - n : n, count = 0, sum = 0, max = 0;
            int64_t from = ((c->descending ? 400 - k : k - 400)) * c->every + c->offset;
            for (int t = 0; t < TIMES; t++) {
                int64_t time = t - 100;
                int value = c->values[group][t];
                if (value == 0 || time < c->start || time >= c->stop || time < from || time >= from + c->every)
                    continue;
                count++;
                sum += value;
                max = value > max ? value : max;
            }
            if (count != 0)
                af_buf_printf(out, "m g=%d | %lld %d %d %d\n", group, (long long)from, count, sum, max);
        }
}

AF_TEST(aggregate_answers_as_a_naive_one_does)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_COUNT, AF_TYPE_I64, 1), call_of(AF_FN_SUM, AF_TYPE_I64, 1),
                                          call_of(AF_FN_MAX, AF_TYPE_I64, 1) };
    static char text[2 * TIMES * 32];
    struct af_prng prng = { 11 };
    for (int round = 0; round < 200; round++) {
        struct random_case c = { .every = 1 + (int64_t)af_prng_below(&prng, 60), .is_ordered = af_prng_below(&prng, 2) != 0,
                                 .descending = af_prng_below(&prng, 2) != 0, .start = (int64_t)af_prng_below(&prng, 150) - 120 };
        struct feed f;
        struct af_buf want;
        feed_begin(&f);
        af_buf_init(&want, SIZE_MAX);
        c.offset = (int64_t)af_prng_below(&prng, (uint64_t)c.every);
        c.stop = c.start + (int64_t)af_prng_below(&prng, 300);
        random_rows(&c, &prng, text);
        bool is_open = af_prng_below(&prng, 3) == 0;
        c.start = is_open ? INT64_MIN : c.start;
        c.stop = is_open ? INT64_MAX : c.stop;
        f.fix.descending = c.descending;
        f.rows_per_table = 1 + af_prng_below(&prng, 100);
        const struct af_node *in = c.is_ordered ? feed_input(&f, "v:i", text) : feed_unordered(&f, "v:i", text);
        struct setting setting = { { .every_ns = c.every, .offset_ns = c.offset }, c.start, c.stop, AF_STAMP_START };
        naive_answer(&c, &want);
        AF_CHECK_STR(feed_run(&f, aggregate_of(&f, in, &setting, calls, 3)), af_buf_cstr(&want));
        af_buf_done(&want);
        feed_end(&f);
    }
}

/* --- limits ----------------------------------------------------------------------------------------------------------------- */

static char *many_rows(int count)
{
    char *text = af_alloc((size_t)count * 24 + 1), *at = text;
    *at = '\0';
    for (int i = 0; i < count; i++)
        at += sprintf(at, "m | %d %d\n", i, i % 100);
    return text;
}

AF_TEST(aggregate_gives_more_windows_than_a_table_holds)
{
    enum { ROWS = AF_BATCH_ROWS * 2 + 10 };
    const struct af_plan_call calls[] = { call_of(AF_FN_SUM, AF_TYPE_F64, 1) };
    struct setting setting = everything;
    setting.window = fix_every(1);
    char *text = many_rows(ROWS);
    struct feed f;
    feed_begin(&f);
    f.rows_per_table = 5000;
    for (int ordered = 0; ordered < 2; ordered++) {
        const struct af_node *in = ordered ? feed_input(&f, "v:f", text) : feed_unordered(&f, "v:f", text);
        AF_CHECK_OK(feed_try(&f, aggregate_of(&f, in, &setting, calls, 1), false), f.fix.err);
        AF_CHECK_STR(af_buf_cstr(&f.fix.text), text);
        AF_CHECK_INT(f.fix.tables, 3);
    }
    af_free(text);
    feed_end(&f);
}

AF_TEST(aggregate_has_a_limit_of_windows_and_of_memory)
{
    const struct af_plan_call sum = call_of(AF_FN_SUM, AF_TYPE_F64, 1), median = call_of(AF_FN_MEDIAN, AF_TYPE_F64, 1);
    struct setting setting = everything;
    char *text = many_rows(30000);
    struct feed f;
    feed_begin(&f);
    f.rows_per_table = 1000;
    for (int ordered = 0; ordered < 2; ordered++) {
        const struct af_node *in = ordered ? feed_input(&f, "v:f", text) : feed_unordered(&f, "v:f", text);
        setting.window = fix_every(1);
        f.windows_max = 30000;
        AF_CHECK_OK(feed_try(&f, aggregate_of(&f, in, &setting, &sum, 1), true), f.fix.err);
        f.windows_max = 29999;
        AF_CHECK_FAILS(feed_try(&f, aggregate_of(&f, in, &setting, &sum, 1), true), AF_ELIMIT);
        AF_CHECK(strstr(f.fix.err.message, "max-select-buckets") != NULL);
        f.windows_max = 0;
        setting.window = (struct af_window){ 0 };
        f.bytes_max = 200000;
        AF_CHECK_FAILS(feed_try(&f, aggregate_of(&f, in, &setting, &median, 1), true), AF_ELIMIT);
        AF_CHECK(strstr(f.fix.err.message, "needs more than 200000 bytes") != NULL);
        /* In small windows only rows that come ordered spare the memory: one window is at work at a time. */
        setting.window = fix_every(100);
        AF_CHECK_INT(feed_try(&f, aggregate_of(&f, in, &setting, &median, 1), true), ordered ? AF_OK : AF_ELIMIT);
        f.bytes_max = 0;
    }
    af_free(text);
    feed_end(&f);
}

AF_TEST(aggregate_without_memory_fails_cleanly)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_MEDIAN, AF_TYPE_F64, 1), call_of(AF_FN_LAST, AF_TYPE_STRING, 2) };
    struct setting settings[2] = { { fix_every(10), 0, 100, AF_STAMP_START }, { fix_every(10), INT64_MIN, INT64_MAX, AF_STAMP_START } };
    const char text[] = "m h=a | 35 1 x\nm h=a | 10 2 y\nm h=b | 20 3 z\n", in_order[] = "m h=a | 10 1 x\nm h=a | 35 2 y\nm h=b | 20 3 z\n";
    struct feed f;
    feed_begin(&f);
    f.rows_per_table = 1;
    for (size_t i = 0; i < 2; i++) {
        feed_sweep(&f, aggregate_of(&f, feed_unordered(&f, "v:f s:s", text), &settings[i], calls, 2));
        feed_sweep(&f, aggregate_of(&f, feed_input(&f, "v:f s:s", in_order), &settings[i], calls, 2));
    }
    feed_end(&f);
}
