/*
 * fill_test.c - FILL: which windows there are, what each mode puts in them, look-ahead, limits, against a naive one.
 */
#include "base/prng.h"
#include "exec/feed_fixture.h"

struct setting {
    struct af_window window;
    int64_t start_ns, stop_ns;
    const enum af_fill_mode *modes;
    const struct af_value *values;
    bool nulls_too;
};

static const struct af_node *fill_of(struct feed *f, const struct af_node *in, const struct setting *setting)
{
    const struct af_node *node = NULL;
    struct af_plan_fill fill = { .window = setting->window, .start_ns = setting->start_ns, .stop_ns = setting->stop_ns,
                                 .modes = setting->modes, .values = setting->values, .nulls_too = setting->nulls_too,
                                 .descending = f->fix.descending };
    AF_CHECK_OK(af_plan_fill(&f->fix.plan, in, &fill, &node, &f->fix.err), f->fix.err);
    return node;
}

static const enum af_fill_mode all_modes[4] = { AF_FILL_NULL, AF_FILL_VALUE, AF_FILL_PREVIOUS, AF_FILL_LINEAR };
static const struct af_value all_values[4] = { { 0 }, { .type = AF_TYPE_F64, .f64 = 7 }, { 0 }, { 0 } };
static const char rows[] = "m h=a | 20 2 2 2 2\n"
                           "m h=a | 50 5 5 5 5\n"
                           "m h=b | 30 3 - - 3\n"
                           "m h=b | 40 4 4 4 -\n"
                           "m h=b | 60 6 6 6 6\n";

AF_TEST(fill_gives_every_window_of_the_range)
{
    struct feed f;
    feed_begin(&f);
    for (f.rows_per_table = 1; f.rows_per_table <= 4; f.rows_per_table++) {
        const struct af_node *in = feed_input(&f, "n:f v:f p:f l:f", rows);
        struct setting setting = { fix_every(10), 15, 70, all_modes, all_values, false };
        AF_CHECK_STR(feed_run(&f, fill_of(&f, in, &setting)), "m h=a | 10 null 7 null null\n"
                                                              "m h=a | 20 2 2 2 2\n"
                                                              "m h=a | 30 null 7 2 3\n"
                                                              "m h=a | 40 null 7 2 4\n"
                                                              "m h=a | 50 5 5 5 5\n"
                                                              "m h=a | 60 null 7 5 null\n"
                                                              "m h=b | 10 null 7 null null\n"
                                                              "m h=b | 20 null 7 null null\n"
                                                              "m h=b | 30 3 null null 3\n"
                                                              "m h=b | 40 4 4 4 null\n"
                                                              "m h=b | 50 null 7 4 null\n"
                                                              "m h=b | 60 6 6 6 6\n");
    }
    feed_end(&f);
}

AF_TEST(fill_takes_nulls_of_rows_too_if_asked)
{
    struct feed f;
    feed_begin(&f);
    for (f.rows_per_table = 1; f.rows_per_table <= 4; f.rows_per_table++) {
        const char text[] = "m | 10 - - 1 -\nm | 20 - 2 - 2\nm | 40 1 - - -\nm | 50 - - 5 5\nm | 60 - - - -\n";
        const struct af_node *in = feed_input(&f, "n:f v:f p:f l:f", text);
        struct setting setting = { fix_every(10), 10, 80, all_modes, all_values, true };
        AF_CHECK_STR(feed_run(&f, fill_of(&f, in, &setting)), "m | 10 null 7 1 null\n"
                                                              "m | 20 null 2 1 2\n"
                                                              "m | 30 null 7 1 3\n"
                                                              "m | 40 1 7 1 4\n"
                                                              "m | 50 null 7 5 5\n"
                                                              "m | 60 null 7 5 null\n"
                                                              "m | 70 null 7 5 null\n");
    }
    feed_end(&f);
}

AF_TEST(fill_descending_runs_backwards)
{
    struct feed f;
    feed_begin(&f);
    f.fix.descending = true;
    for (f.rows_per_table = 1; f.rows_per_table <= 4; f.rows_per_table++) {
        const struct af_node *in = feed_input(&f, "n:f v:f p:f l:f", "m | 50 5 5 5 5\nm | 20 2 2 2 2\n");
        struct setting setting = { fix_every(10), 15, 61, all_modes, all_values, false };
        AF_CHECK_STR(feed_run(&f, fill_of(&f, in, &setting)), "m | 60 null 7 null null\n"
                                                              "m | 50 5 5 5 5\n"
                                                              "m | 40 null 7 5 4\n"
                                                              "m | 30 null 7 5 3\n"
                                                              "m | 20 2 2 2 2\n"
                                                              "m | 10 null 7 2 null\n");
        /* Without a start: down to the last row. */
        setting.start_ns = INT64_MIN;
        AF_CHECK_STR(feed_run(&f, fill_of(&f, in, &setting)), "m | 60 null 7 null null\n"
                                                              "m | 50 5 5 5 5\n"
                                                              "m | 40 null 7 5 4\n"
                                                              "m | 30 null 7 5 3\n"
                                                              "m | 20 2 2 2 2\n");
    }
    feed_end(&f);
}

AF_TEST(fill_of_an_open_range_begins_at_the_first_row_of_each_group)
{
    static const enum af_fill_mode modes[1] = { AF_FILL_PREVIOUS };
    struct feed f;
    feed_begin(&f);
    const struct af_node *in = feed_input(&f, "v:s", "m h=a | 20 x\nm h=a | 40 -\nm h=b | -10 y\n");
    struct setting setting = { fix_every(10), INT64_MIN, 60, modes, NULL, false };
    AF_CHECK_STR(feed_run(&f, fill_of(&f, in, &setting)), "m h=a | 20 \"x\"\n"
                                                          "m h=a | 30 \"x\"\n"
                                                          "m h=a | 40 null\n"
                                                          "m h=a | 50 null\n"
                                                          "m h=b | -10 \"y\"\n"
                                                          "m h=b | 0 \"y\"\n"
                                                          "m h=b | 10 \"y\"\n"
                                                          "m h=b | 20 \"y\"\n"
                                                          "m h=b | 30 \"y\"\n"
                                                          "m h=b | 40 \"y\"\n"
                                                          "m h=b | 50 \"y\"\n");
    setting.stop_ns = INT64_MAX;
    AF_CHECK_STR(feed_run(&f, fill_of(&f, in, &setting)), "m h=a | 20 \"x\"\n"
                                                          "m h=a | 30 \"x\"\n"
                                                          "m h=a | 40 null\n"
                                                          "m h=b | -10 \"y\"\n");
    feed_end(&f);
}

/* Integers are drawn through floats and cut; unsigned differences wrap; text and truth have no lines. */
AF_TEST(fill_draws_lines_as_types_have_them)
{
    static const enum af_fill_mode modes[5] = { AF_FILL_LINEAR, AF_FILL_LINEAR, AF_FILL_LINEAR, AF_FILL_LINEAR, AF_FILL_LINEAR };
    struct feed f;
    feed_begin(&f);
    const struct af_node *in = feed_input(&f, "i:i u:u b:b s:s f:f", "m | 0 1 4 true x 1\n"
                                                                     "m | 30 -9 10 false y 2\n"
                                                                     "m | 50 9223372036854775807 6 false y -3\n"
                                                                     "m | 70 -9223372036854775807 8 false y 1\n");
    struct setting setting = { fix_every(10), 0, 80, modes, NULL, false };
    AF_CHECK_STR(feed_run(&f, fill_of(&f, in, &setting)), "m | 0 1 4u true \"x\" 1\n"
                                                          "m | 10 -2 6u null null 1.33333333333\n"
                                                          "m | 20 -5 8u null null 1.66666666667\n"
                                                          "m | 30 -9 10u false \"y\" 2\n"
                                                          "m | 40 -4611686018427387904 9223372036854775808u null null -0.5\n"
                                                          "m | 50 9223372036854775807 6u false \"y\" -3\n"
                                                          "m | 60 -9223372036854775808 7u null null -1\n"
                                                          "m | 70 -9223372036854775807 8u false \"y\" 1\n");
    feed_end(&f);
}

AF_TEST(fill_follows_offsets_zones_and_months)
{
    static const enum af_fill_mode modes[1] = { AF_FILL_VALUE };
    static const struct af_value values[1] = { { .type = AF_TYPE_I64, .i64 = 0 } };
    const int64_t day = AF_NS_PER_DAY, hour = day / 24;
    struct feed f;
    char text[256];
    feed_begin(&f);
    /* Summer time began in Brazil on 2018-11-04, at midnight: that day has 23 hours. */
    int64_t from = af_days_from_civil(2018, 11, 3) * day + 3 * hour;
    (void)snprintf(text, sizeof text, "m | %lld 1\n", (long long)from);
    struct af_window days = { .every_ns = day, .zone = { .kind = AF_ZONE_SAO_PAULO } };
    struct setting setting = { days, from, from + 3 * day - hour, modes, values, false };
    (void)feed_run(&f, fill_of(&f, feed_input(&f, "v:i", text), &setting));
    char want[512];
    (void)snprintf(want, sizeof want, "m | %lld 1\nm | %lld 0\nm | %lld 0\n", (long long)from, (long long)(from + day),
                   (long long)(from + 2 * day - hour));
    AF_CHECK_STR(af_buf_cstr(&f.fix.text), want);
    /* Months are as long as they are. */
    int64_t january = af_days_from_civil(2024, 1, 1) * day;
    (void)snprintf(text, sizeof text, "m | %lld 1\n", (long long)january);
    setting = (struct setting){ { .every_months = 1 }, january, january + 70 * day, modes, values, false };
    (void)feed_run(&f, fill_of(&f, feed_input(&f, "v:i", text), &setting));
    (void)snprintf(want, sizeof want, "m | %lld 1\nm | %lld 0\nm | %lld 0\n", (long long)january, (long long)(january + 31 * day),
                   (long long)(january + 60 * day));
    AF_CHECK_STR(af_buf_cstr(&f.fix.text), want);
    /* An offset moves all windows. */
    setting = (struct setting){ { .every_ns = 10, .offset_ns = -3 }, 0, 20, modes, values, false };
    AF_CHECK_STR(feed_run(&f, fill_of(&f, feed_input(&f, "v:i", "m | 7 1\n"), &setting)), "m | -3 0\nm | 7 1\nm | 17 0\n");
    feed_end(&f);
}

AF_TEST(fill_refuses_windows_without_number)
{
    static const enum af_fill_mode modes[1] = { AF_FILL_NULL };
    struct feed f;
    feed_begin(&f);
    const struct af_node *in = feed_input(&f, "v:f", "m | 1000000000000 1\nm | 2000000000000 1\n");
    struct setting setting = { fix_every(1), 0, 365 * AF_NS_PER_DAY, modes, NULL, false };
    AF_CHECK_FAILS(feed_try(&f, fill_of(&f, in, &setting), false), AF_ELIMIT);
    AF_CHECK(strstr(f.fix.err.message, "max-select-buckets") != NULL);
    AF_CHECK_INT(f.fix.tables, 0);
    /* What an open range comes to is seen at the first row, or while it goes on. */
    setting.start_ns = INT64_MIN;
    AF_CHECK_FAILS(feed_try(&f, fill_of(&f, in, &setting), false), AF_ELIMIT);
    AF_CHECK_INT(f.fix.tables, 0);
    setting.stop_ns = INT64_MAX;
    f.windows_max = 100000;
    AF_CHECK_FAILS(feed_try(&f, fill_of(&f, in, &setting), true), AF_ELIMIT);
    AF_CHECK(f.fix.tables < 10);
    setting = (struct setting){ fix_every(10), 0, 100, modes, NULL, false };
    in = feed_input(&f, "v:f", "m | 10 1\n");
    f.windows_max = 10;
    AF_CHECK_OK(feed_try(&f, fill_of(&f, in, &setting), false), f.fix.err);
    f.windows_max = 9;
    AF_CHECK_FAILS(feed_try(&f, fill_of(&f, in, &setting), false), AF_ELIMIT);
    feed_end(&f);
}

AF_TEST(fill_at_the_ends_of_time)
{
    static const enum af_fill_mode modes[1] = { AF_FILL_NULL };
    struct feed f;
    char text[128];
    feed_begin(&f);
    (void)snprintf(text, sizeof text, "m | %lld 1\n", (long long)INT64_MAX / 1000 * 1000);
    const struct af_node *in = feed_input(&f, "v:f", text);
    struct setting setting = { fix_every(1000), INT64_MAX - 1500, INT64_MAX, modes, NULL, false };
    AF_CHECK_OK(feed_try(&f, fill_of(&f, in, &setting), false), f.fix.err);
    f.fix.descending = true;
    AF_CHECK_OK(feed_try(&f, fill_of(&f, in, &setting), false), f.fix.err);
    setting = (struct setting){ fix_every(1000), INT64_MIN, INT64_MIN + 1500, modes, NULL, false };
    in = feed_input(&f, "v:f", "m | -9223372036854775808 1\n");
    AF_CHECK_OK(feed_try(&f, fill_of(&f, in, &setting), false), f.fix.err);
    f.fix.descending = false;
    AF_CHECK_OK(feed_try(&f, fill_of(&f, in, &setting), false), f.fix.err);
    feed_end(&f);
}

/* --- against a naive one ---------------------------------------------------------------------------------------------------- */

enum { WINDOWS = 60 };
struct naive {
    int64_t cell[WINDOWS]; /* by window: -1 no row, 0 null, else a value */
    enum af_fill_mode mode;
    bool nulls_too, descending;
    size_t first, stop;
};

static bool is_entry(const struct naive *naive, size_t i)
{
    return naive->nulls_too ? naive->cell[i] > 0 : naive->cell[i] >= 0;
}

/* The nearest entry from window i in a direction; SIZE_MAX: none. */
static size_t nearest(const struct naive *naive, size_t i, bool up)
{
    while (i != naive->first || up) {
        i = up ? i + 1 : i - 1;
        if (i >= naive->stop)
            return SIZE_MAX;
        if (is_entry(naive, i))
            return i;
    }
    return SIZE_MAX;
}

static void naive_cell(const struct naive *naive, size_t i, struct af_buf *out)
{
    size_t before = nearest(naive, i, naive->descending), after = nearest(naive, i, !naive->descending);
    if (is_entry(naive, i) && naive->cell[i] > 0)
        af_buf_printf(out, "%lld", (long long)naive->cell[i]);
    else if (is_entry(naive, i) || naive->mode == AF_FILL_NULL)
        af_buf_append_str(out, "null");
    else if (naive->mode == AF_FILL_VALUE)
        af_buf_append_str(out, "77");
    else if (before == SIZE_MAX || naive->cell[before] == 0)
        af_buf_append_str(out, "null");
    else if (naive->mode == AF_FILL_PREVIOUS)
        af_buf_printf(out, "%lld", (long long)naive->cell[before]);
    else if (after == SIZE_MAX || naive->cell[after] == 0)
        af_buf_append_str(out, "null");
    else
        af_buf_printf(out, "%lld", (long long)((double)(naive->cell[after] - naive->cell[before]) / ((double)after - (double)before) *
                                               ((double)i - (double)before) + (double)naive->cell[before]));
}

static void naive_fill(const struct naive *naive, struct af_buf *out)
{
    for (size_t n = 0; n < naive->stop - naive->first; n++) {
        size_t i = naive->descending ? naive->stop - 1 - n : naive->first + n;
        af_buf_printf(out, "m | %lld ", (long long)i * 10);
        naive_cell(naive, i, out);
        af_buf_append_char(out, '\n');
    }
}

static bool random_cells(struct naive *naive, struct af_prng *prng, char *text)
{
    unsigned density = 1 + (unsigned)af_prng_below(prng, 9);
    char *at = text;
    naive->first = af_prng_below(prng, 20);
    naive->stop = 40 + af_prng_below(prng, 20);
    for (size_t n = 0; n < WINDOWS; n++) {
        size_t i = naive->descending ? WINDOWS - 1 - n : n;
        naive->cell[i] = -1;
        if (i < naive->first || i >= naive->stop || af_prng_below(prng, 10) >= density)
            continue;
        naive->cell[i] = (int64_t)af_prng_below(prng, 30);
        at += naive->cell[i] == 0 ? sprintf(at, "m | %d -\n", (int)i * 10) : sprintf(at, "m | %d %d\n", (int)i * 10, (int)naive->cell[i]);
    }
    *at = '\0';
    return at != text;
}

AF_TEST(fill_answers_as_a_naive_one_does)
{
    static const struct af_value values[1] = { { .type = AF_TYPE_I64, .i64 = 77 } };
    struct af_prng prng = { 3 };
    char text[WINDOWS * 16];
    for (int round = 0; round < 400; round++) {
        struct naive naive = { .mode = (enum af_fill_mode)af_prng_below(&prng, 4), .nulls_too = af_prng_below(&prng, 2) != 0,
                               .descending = af_prng_below(&prng, 2) != 0 };
        struct feed f;
        struct af_buf want;
        if (!random_cells(&naive, &prng, text))
            continue;
        feed_begin(&f);
        af_buf_init(&want, SIZE_MAX);
        f.fix.descending = naive.descending;
        f.rows_per_table = 1 + af_prng_below(&prng, 30);
        struct setting setting = { fix_every(10), (int64_t)naive.first * 10 + 3, (int64_t)naive.stop * 10 - 2, &naive.mode, values,
                                   naive.nulls_too };
        naive_fill(&naive, &want);
        AF_CHECK_STR(feed_run(&f, fill_of(&f, feed_input(&f, "v:i", text), &setting)), af_buf_cstr(&want));
        af_buf_done(&want);
        feed_end(&f);
    }
}

AF_TEST(fill_spreads_gaps_over_tables)
{
    struct feed f;
    feed_begin(&f);
    const struct af_node *in = feed_input(&f, "n:f v:f p:f l:f", "m | 0 0 0 0 0\nm | 1000000 1 1 1 100000\n");
    struct setting setting = { fix_every(10), 0, 1000010, all_modes, all_values, false };
    AF_CHECK_OK(feed_try(&f, fill_of(&f, in, &setting), false), f.fix.err);
    AF_CHECK_INT(f.fix.tables, 100001 / AF_BATCH_ROWS + 1);
    AF_CHECK(strstr(af_buf_cstr(&f.fix.text), "m | 654320 null 7 0 65432\n") != NULL);
    setting.nulls_too = true;
    AF_CHECK_OK(feed_try(&f, fill_of(&f, in, &setting), false), f.fix.err);
    AF_CHECK(strstr(af_buf_cstr(&f.fix.text), "m | 654320 null 7 0 65432\n") != NULL);
    feed_end(&f);
}

AF_TEST(fill_without_memory_fails_cleanly)
{
    static const enum af_fill_mode modes[2] = { AF_FILL_PREVIOUS, AF_FILL_LINEAR };
    struct feed f;
    feed_begin(&f);
    f.rows_per_table = 1;
    const struct af_node *in = feed_input(&f, "v:s w:f", "m h=a | 20 x 1\nm h=a | 40 - -\nm h=b | 50 y 3\n");
    struct setting setting = { fix_every(10), 0, 60, modes, NULL, false };
    feed_sweep(&f, fill_of(&f, in, &setting));
    setting.nulls_too = true;
    feed_sweep(&f, fill_of(&f, in, &setting));
    feed_end(&f);
}

AF_TEST(fill_holds_groups_on_the_budget_where_it_looks_ahead)
{
    static const enum af_fill_mode modes[1] = { AF_FILL_LINEAR };
    enum { ROWS = 20000 };
    struct feed f;
    char *text = af_alloc(ROWS * 24), *at = text;
    feed_begin(&f);
    f.rows_per_table = 1000;
    for (int i = 0; i < ROWS; i++)
        at += sprintf(at, "m | %d0 %s\n", i, i == 0 || i == ROWS - 1 ? "5" : "-");
    const struct af_node *in = feed_input(&f, "v:f", text);
    struct setting setting = { fix_every(10), 0, ROWS * 10, modes, NULL, true };
    AF_CHECK_OK(feed_try(&f, fill_of(&f, in, &setting), false), f.fix.err);
    AF_CHECK(strstr(af_buf_cstr(&f.fix.text), "m | 100000 5\n") != NULL);
    f.bytes_max = 200000;
    AF_CHECK_FAILS(feed_try(&f, fill_of(&f, in, &setting), true), AF_ELIMIT);
    setting.nulls_too = false; /* row by row it is no burden */
    AF_CHECK_OK(feed_try(&f, fill_of(&f, in, &setting), true), f.fix.err);
    af_free(text);
    feed_end(&f);
}
