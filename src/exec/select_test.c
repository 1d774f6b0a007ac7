/*
 * select_test.c - SELECT: rows whole, windows over tables of any size, `by`, order, stamps, memory, against a naive one.
 */
#include "base/prng.h"
#include "exec/feed_fixture.h"

struct setting {
    enum af_fn fn;
    enum af_type type;
    size_t column;
    struct af_value param;               /* NULL type: none */
    struct af_window window;
    int64_t start_ns, stop_ns;
    const size_t *by;
    size_t by_count;
    bool stamp_start;
};

static const struct af_node *select_of(struct feed *f, const struct af_node *in, const struct setting *setting)
{
    const struct af_node *node = NULL;
    struct af_plan_select select = { .window = setting->window, .start_ns = setting->start_ns, .stop_ns = setting->stop_ns,
                                     .call = { .id = setting->fn, .type = setting->type }, .column = setting->column, .by = setting->by,
                                     .by_count = setting->by_count, .stamp_start = setting->stamp_start,
                                     .descending = f->fix.descending };
    if (setting->param.type != AF_TYPE_NULL)
        select.call.params[select.call.param_count++] = setting->param;
    AF_CHECK_OK(af_plan_select(&f->fix.plan, in, &select, &node, &f->fix.err), f->fix.err);
    return node;
}

static const char rows[] = "m h=a | 10 1 x 7\n"
                           "m h=a | 11 3 y -\n"
                           "m h=a | 12 3 x 5\n"
                           "m h=a | 15 - z 5\n"
                           "m h=a | 19 2 x 4\n"
                           "m h=a | 25 - z 3\n"
                           "m h=a | 31 3 y 2\n"
                           "m h=a | 32 9 y 1\n"
                           "m h=b | 5 1 w 1\n"
                           "m h=b | 12 8 - -\n";

/* The same for tables of every size. */
static void check(struct setting *setting, const char *columns, const char *text, bool descending, const char *want)
{
    struct feed f;
    feed_begin(&f);
    f.fix.descending = descending;
    for (f.rows_per_table = 1; f.rows_per_table <= 11; f.rows_per_table++)
        AF_CHECK_STR(feed_run(&f, select_of(&f, feed_input(&f, columns, text), setting)), want);
    feed_end(&f);
}

AF_TEST(select_gives_the_best_rows_of_each_window_by_time)
{
    struct setting setting = { .fn = AF_FN_TOP, .type = AF_TYPE_F64, .column = 1, .param = af_value_i64(2), .window = fix_every(10),
                               .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    check(&setting, "v:f s:s w:i", rows, false, "m h=a | 11 3 \"y\" null\n"
                                                "m h=a | 12 3 \"x\" 5\n"
                                                "m h=a | 31 3 \"y\" 2\n"
                                                "m h=a | 32 9 \"y\" 1\n"
                                                "m h=b | 5 1 \"w\" 1\n"
                                                "m h=b | 12 8 null null\n");
    setting.fn = AF_FN_BOTTOM;
    check(&setting, "v:f s:s w:i", rows, false, "m h=a | 10 1 \"x\" 7\n"
                                                "m h=a | 19 2 \"x\" 4\n"
                                                "m h=a | 31 3 \"y\" 2\n"
                                                "m h=a | 32 9 \"y\" 1\n"
                                                "m h=b | 5 1 \"w\" 1\n"
                                                "m h=b | 12 8 null null\n");
}

AF_TEST(select_without_windows_and_in_a_range)
{
    struct setting setting = { .fn = AF_FN_MAX, .type = AF_TYPE_F64, .column = 1, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    check(&setting, "v:f s:s w:i", rows, false, "m h=a | 32 9 \"y\" 1\nm h=b | 12 8 null null\n");
    setting.stop_ns = 32;
    check(&setting, "v:f s:s w:i", rows, false, "m h=a | 11 3 \"y\" null\nm h=b | 12 8 null null\n");
    setting.start_ns = 12;
    setting.stamp_start = true;
    check(&setting, "v:f s:s w:i", rows, false, "m h=a | 12 3 \"x\" 5\nm h=b | 12 8 null null\n");
    setting.start_ns = setting.stop_ns = 12;
    check(&setting, "v:f s:s w:i", rows, false, "");
}

AF_TEST(select_stamps_rows_with_the_start_of_their_window)
{
    struct setting setting = { .fn = AF_FN_FIRST, .type = AF_TYPE_I64, .column = 3, .window = fix_every(10), .start_ns = 1, .stop_ns = 40,
                               .stamp_start = true };
    check(&setting, "v:f s:s w:i", rows, false, "m h=a | 10 1 \"x\" 7\n"
                                                "m h=a | 20 null \"z\" 3\n"
                                                "m h=a | 30 3 \"y\" 2\n"
                                                "m h=b | 0 1 \"w\" 1\n");
    setting = (struct setting){ .fn = AF_FN_LAST, .type = AF_TYPE_STRING, .column = 2, .start_ns = INT64_MIN, .stop_ns = INT64_MAX,
                                .stamp_start = true };
    check(&setting, "v:f s:s w:i", rows, false, "m h=a | 0 9 \"y\" 1\nm h=b | 0 1 \"w\" 1\n");
}

AF_TEST(select_chooses_among_the_best_of_each_combination)
{
    static const size_t by[2] = { 2, 3 };
    struct setting setting = { .fn = AF_FN_TOP, .type = AF_TYPE_F64, .column = 1, .param = af_value_i64(2), .start_ns = INT64_MIN,
                               .stop_ns = INT64_MAX, .by = by, .by_count = 1 };
    const char text[] = "m | 1 5 x p\nm | 2 9 x q\nm | 3 9 x p\nm | 4 7 y p\nm | 5 8 - p\nm | 6 8 - q\nm | 7 - z q\n";
    check(&setting, "v:f s:s t:s", text, false, "m | 2 9 \"x\" \"q\"\nm | 5 8 null \"p\"\n");
    setting.by_count = 2;
    setting.param = af_value_i64(3);
    check(&setting, "v:f s:s t:s", text, false, "m | 2 9 \"x\" \"q\"\nm | 3 9 \"x\" \"p\"\nm | 5 8 null \"p\"\n");
    setting.fn = AF_FN_BOTTOM;
    setting.param = af_value_i64(2);
    check(&setting, "v:f s:s t:s", text, false, "m | 1 5 \"x\" \"p\"\nm | 4 7 \"y\" \"p\"\n");
}

AF_TEST(select_descending_runs_backwards_and_ties_stay)
{
    struct setting setting = { .fn = AF_FN_TOP, .type = AF_TYPE_I64, .column = 1, .param = af_value_i64(2), .window = fix_every(10),
                               .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    check(&setting, "v:i", "m h=b | 25 1\nm h=b | 24 3\nm h=b | 23 3\nm h=b | 22 3\nm h=b | 19 4\nm h=a | 7 1\n", true,
          "m h=b | 23 3\nm h=b | 22 3\nm h=b | 19 4\nm h=a | 7 1\n");
    /* Rows of one time: the larger value first either way. */
    check(&setting, "v:i", "m | 5 1\nm | 5 2\nm | 5 3\n", true, "m | 5 3\nm | 5 2\n");
    check(&setting, "v:i", "m | 5 1\nm | 5 2\nm | 5 3\n", false, "m | 5 3\nm | 5 2\n");
}

AF_TEST(select_gives_different_values_in_the_order_of_their_first_rows)
{
    struct setting setting = { .fn = AF_FN_DISTINCT, .type = AF_TYPE_STRING, .column = 1, .window = fix_every(10), .start_ns = INT64_MIN,
                               .stop_ns = INT64_MAX };
    check(&setting, "s:s", "m | 1 c\nm | 2 a\nm | 3 c\nm | 3 b\nm | 3 -\nm | 12 b\n", false,
          "m | 1 \"c\"\nm | 2 \"a\"\nm | 3 \"b\"\nm | 12 \"b\"\n");
    check(&setting, "s:s", "m | 1 c\nm | 1 a\nm | 1 c\n", false, "m | 1 \"a\"\nm | 1 \"c\"\n");
    setting.stamp_start = true;
    check(&setting, "s:s", "m | 13 b\nm | 3 c\nm | 2 a\nm | 1 c\n", true, "m | 10 \"b\"\nm | 0 \"c\"\nm | 0 \"a\"\n");
}

AF_TEST(select_keeps_whole_windows_for_percentiles_and_samples)
{
    struct setting setting = { .fn = AF_FN_PERCENTILE, .type = AF_TYPE_F64, .column = 1, .param = af_value_f64(50), .window = fix_every(10),
                               .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    check(&setting, "v:f s:s w:i", rows, false, "m h=a | 19 2 \"x\" 4\n"
                                                "m h=a | 31 3 \"y\" 2\n"
                                                "m h=b | 5 1 \"w\" 1\n"
                                                "m h=b | 12 8 null null\n");
    setting = (struct setting){ .fn = AF_FN_SAMPLE, .type = AF_TYPE_I64, .column = 3, .param = af_value_i64(100), .window = fix_every(10),
                                .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    check(&setting, "v:f s:s w:i", rows, false, "m h=a | 10 1 \"x\" 7\n"
                                                "m h=a | 12 3 \"x\" 5\n"
                                                "m h=a | 15 null \"z\" 5\n"
                                                "m h=a | 19 2 \"x\" 4\n"
                                                "m h=a | 25 null \"z\" 3\n"
                                                "m h=a | 31 3 \"y\" 2\n"
                                                "m h=a | 32 9 \"y\" 1\n"
                                                "m h=b | 5 1 \"w\" 1\n");
}

AF_TEST(select_samples_by_seed)
{
    struct setting setting = { .fn = AF_FN_SAMPLE, .type = AF_TYPE_I64, .column = 1, .param = af_value_i64(1), .window = fix_every(100),
                               .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    char text[200 * 16], *at = text, first[64] = "";
    struct feed f;
    bool differs = false;
    for (int i = 0; i < 200; i++)
        at += sprintf(at, "m | %d %d\n", i, i);
    feed_begin(&f);
    f.rows_per_table = 64;
    for (f.seed = 1; f.seed < 10; f.seed++) {
        const struct af_node *node = select_of(&f, feed_input(&f, "v:i", text), &setting);
        (void)snprintf(first, sizeof first, "%s", feed_run(&f, node));
        AF_CHECK_STR(feed_run(&f, node), first);
        int a = -1, b = -1, c = -1, d = -1;
        AF_CHECK_INT(sscanf(first, "m | %d %d\nm | %d %d\n", &a, &b, &c, &d), 4);
        AF_CHECK(a == b && a < 100 && c == d && c >= 100);
        differs |= c != a + 100; /* each window draws anew */
    }
    AF_CHECK(differs);
    feed_end(&f);
}

/* --- against a naive one ---------------------------------------------------------------------------------------------------- */

struct naive_row {
    int time, value, by; /* value 0: null */
    bool chosen;
};

static bool is_before(const struct naive_row *a, const struct naive_row *b, bool bottom)
{
    if (a->value != b->value)
        return bottom ? a->value < b->value : a->value > b->value;
    return a->time < b->time;
}

/* Rows [first, stop) are a window: n times the best that is left, of combinations not yet chosen. Times are all different. */
static void naive_choose(struct naive_row *all, size_t first, size_t stop, size_t n, bool bottom, bool has_by)
{
    for (; n > 0; n--) {
        struct naive_row *best = NULL;
        for (size_t i = first; i < stop; i++) {
            bool is_used = all[i].chosen || all[i].value == 0;
            for (size_t j = first; has_by && j < stop; j++)
                is_used |= all[j].chosen && all[j].by == all[i].by;
            if (!is_used && (best == NULL || is_before(&all[i], best, bottom)))
                best = &all[i];
        }
        if (best == NULL)
            return;
        best->chosen = true;
    }
}

AF_TEST(select_answers_as_a_naive_one_does)
{
    enum { ROWS = 200 };
    static const size_t by[1] = { 2 };
    struct af_prng prng = { 5 };
    char text[ROWS * 24];
    for (int round = 0; round < 200; round++) {
        struct naive_row all[ROWS];
        struct feed f;
        struct af_buf want;
        char *at = text;
        int every = 1 + (int)af_prng_below(&prng, 150), n = 1 + (int)af_prng_below(&prng, 5);
        bool bottom = af_prng_below(&prng, 2) != 0, has_by = af_prng_below(&prng, 2) != 0, descending = af_prng_below(&prng, 2) != 0;
        feed_begin(&f);
        af_buf_init(&want, SIZE_MAX);
        for (int i = 0; i < ROWS; i++) {
            int time = descending ? ROWS - 1 - i : i;
            all[i] = (struct naive_row){ time, (int)af_prng_below(&prng, 12), (int)af_prng_below(&prng, 4), false };
            at += sprintf(at, "m | %d ", time);
            at += all[i].value != 0 ? sprintf(at, "%d k%d\n", all[i].value, all[i].by) : sprintf(at, "- k%d\n", all[i].by);
        }
        for (size_t first = 0, stop; first < ROWS; first = stop) {
            for (stop = first; stop < ROWS && all[stop].time / every == all[first].time / every;)
                stop++;
            naive_choose(all, first, stop, (size_t)n, bottom, has_by);
        }
        for (int i = 0; i < ROWS; i++)
            if (all[i].chosen)
                af_buf_printf(&want, "m | %d %d \"k%d\"\n", all[i].time, all[i].value, all[i].by);
        f.fix.descending = descending;
        f.rows_per_table = 1 + af_prng_below(&prng, 100);
        struct setting setting = { .fn = bottom ? AF_FN_BOTTOM : AF_FN_TOP, .type = AF_TYPE_I64, .column = 1, .param = af_value_i64(n),
                                   .window = fix_every(every), .start_ns = 0, .stop_ns = ROWS, .by = by, .by_count = has_by };
        AF_CHECK_STR(feed_run(&f, select_of(&f, feed_input(&f, "v:i s:s", text), &setting)), af_buf_cstr(&want));
        af_buf_done(&want);
        feed_end(&f);
    }
}

/* --- memory ----------------------------------------------------------------------------------------------------------------- */

AF_TEST(select_of_many_rows_keeps_only_what_can_still_be_chosen)
{
    enum { ROWS = 300000 };
    char *text = af_alloc(ROWS * 24), *at = text;
    struct setting setting = { .fn = AF_FN_TOP, .type = AF_TYPE_I64, .column = 1, .param = af_value_i64(1000), .start_ns = INT64_MIN,
                               .stop_ns = INT64_MAX };
    struct feed f;
    feed_begin(&f);
    f.rows_per_table = 1000;
    f.bytes_max = 3 << 20;
    for (int i = 0; i < ROWS; i++)
        at += sprintf(at, "m | %d %d\n", i, i % 100003);
    AF_CHECK_OK(feed_try(&f, select_of(&f, feed_input(&f, "v:i", text), &setting), false), f.fix.err);
    /* Two or three rows of each value, down to one of 99666: the first. */
    AF_CHECK(strstr(af_buf_cstr(&f.fix.text), "m | 99666 99666\nm | 99667 99667\n") == af_buf_cstr(&f.fix.text));
    /* All of them are asked for: more tables than one, or too much. */
    setting.param = af_value_i64(ROWS);
    AF_CHECK_FAILS(feed_try(&f, select_of(&f, feed_input(&f, "v:i", text), &setting), true), AF_ELIMIT);
    f.bytes_max = 0;
    AF_CHECK_OK(feed_try(&f, select_of(&f, feed_input(&f, "v:i", text), &setting), false), f.fix.err);
    AF_CHECK_STR(af_buf_cstr(&f.fix.text), text);
    AF_CHECK_INT(f.fix.tables, ROWS / AF_BATCH_ROWS + 1);
    f.bytes_max = 3 << 20;
    setting = (struct setting){ .fn = AF_FN_PERCENTILE, .type = AF_TYPE_I64, .column = 1, .param = af_value_f64(50), .start_ns = INT64_MIN,
                                .stop_ns = INT64_MAX };
    AF_CHECK_FAILS(feed_try(&f, select_of(&f, feed_input(&f, "v:i", text), &setting), true), AF_ELIMIT);
    af_free(text);
    feed_end(&f);
}

AF_TEST(select_without_memory_fails_cleanly)
{
    static const size_t by[1] = { 2 };
    static const bool cancel = true;
    struct setting setting = { .fn = AF_FN_TOP, .type = AF_TYPE_F64, .column = 1, .param = af_value_i64(2), .window = fix_every(10),
                               .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .by = by, .by_count = 1 };
    struct feed f;
    feed_begin(&f);
    for (f.rows_per_table = 1; f.rows_per_table < 6; f.rows_per_table += 4)
        feed_sweep(&f, select_of(&f, feed_input(&f, "v:f s:s w:i", rows), &setting));
    f.cancel = &cancel;
    AF_CHECK_FAILS(feed_try(&f, select_of(&f, feed_input(&f, "v:f s:s w:i", rows), &setting), true), AF_ECANCELED);
    feed_end(&f);
}
