/*
 * transform_test.c - TRANSFORM: a state for each group, ranges, what is held back to the end, tables of any size.
 */
#include "exec/feed_fixture.h"

struct setting {
    enum af_fn fn;
    enum af_type type;
    struct af_value params[3];
    size_t param_count;
    int64_t start_ns, stop_ns;
    const struct af_window *window;
};

static const struct af_node *transform_of(struct feed *f, const struct af_node *in, const struct setting *setting)
{
    const struct af_node *node = NULL;
    struct af_plan_transform transform = { .call = { .id = setting->fn, .type = setting->type, .param_count = setting->param_count },
                                           .column = 1, .name = "x", .start_ns = setting->start_ns, .stop_ns = setting->stop_ns,
                                           .descending = f->fix.descending };
    memcpy(transform.call.params, setting->params, sizeof setting->params);
    transform.call.window = setting->window;
    AF_CHECK_OK(af_plan_transform(&f->fix.plan, in, &transform, &node, &f->fix.err), f->fix.err);
    return node;
}

static const char rows[] = "m h=a | 10 1\n"
                           "m h=a | 20 3\n"
                           "m h=a | 30 -\n"
                           "m h=a | 40 6\n"
                           "m h=a | 50 2\n"
                           "m h=b | 20 8\n"
                           "m h=c | 10 8\n"
                           "m h=c | 30 5\n";

AF_TEST(transform_begins_anew_with_each_group)
{
    struct setting setting = { .fn = AF_FN_DIFFERENCE, .type = AF_TYPE_F64, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct feed f;
    feed_begin(&f);
    for (f.rows_per_table = 1; f.rows_per_table <= 6; f.rows_per_table++)
        AF_CHECK_STR(feed_run(&f, transform_of(&f, feed_input(&f, "v:f", rows), &setting)), "m h=a | 20 2\n"
                                                                                            "m h=a | 40 3\n"
                                                                                            "m h=a | 50 -4\n"
                                                                                            "m h=c | 30 -3\n");
    feed_end(&f);
}

AF_TEST(transform_leaves_rows_outside_the_range_out)
{
    struct setting setting = { .fn = AF_FN_CUMULATIVE_SUM, .type = AF_TYPE_I64, .start_ns = 20, .stop_ns = 50 };
    struct feed f;
    feed_begin(&f);
    for (f.rows_per_table = 1; f.rows_per_table <= 6; f.rows_per_table++)
        AF_CHECK_STR(feed_run(&f, transform_of(&f, feed_input(&f, "v:i", rows), &setting)), "m h=a | 20 4\n"
                                                                                            "m h=a | 40 10\n"
                                                                                            "m h=b | 20 8\n"
                                                                                            "m h=c | 30 13\n");
    f.fix.descending = true;
    setting.start_ns = 15;
    AF_CHECK_STR(feed_run(&f, transform_of(&f, feed_input(&f, "v:i", "m | 50 1\nm | 40 2\nm | 20 4\nm | 10 8\n"), &setting)),
                 "m | 40 3\nm | 20 7\n");
    feed_end(&f);
}

AF_TEST(transform_gives_what_it_held_back)
{
    struct setting setting = { .fn = AF_FN_HOLT_WINTERS, .type = AF_TYPE_F64,
                               .params = { af_value_i64(3), af_value_i64(0), af_value_i64(10) }, .param_count = 3,
                               .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct feed f;
    feed_begin(&f);
    const struct af_node *in = feed_input(&f, "v:f", "m h=a | 10 1\nm h=a | 20 2\nm h=a | 30 3\nm h=a | 40 4\n"
                                                     "m h=b | 10 1\nm h=b | 20 2\nm h=b | 30 3\n");
    const char *text = feed_run(&f, transform_of(&f, in, &setting));
    AF_CHECK(strstr(text, "m h=a | 50 ") == text);
    AF_CHECK(strstr(text, "m h=a | 70 ") != NULL && strstr(text, "m h=b | 60 ") != NULL && strstr(text, "m h=a | 80 ") == NULL);
    AF_CHECK_INT(f.fix.tables, 2);
    feed_end(&f);
}

/* As InfluxDB 1.8.10 answers: windows that begin before the range stay; backwards areas are negative and stamped with the windows' ends. */
AF_TEST(transform_gives_areas_of_windows)
{
    const struct af_window window = fix_every(30);
    struct setting setting = { .fn = AF_FN_WINDOW_INTEGRAL, .type = AF_TYPE_I64, .params = { af_value_i64(1) }, .param_count = 1,
                               .start_ns = -50, .stop_ns = 100, .window = &window };
    struct feed f;
    feed_begin(&f);
    AF_CHECK_STR(feed_run(&f, transform_of(&f, feed_input(&f, "v:i", "m | -40 3\nm | 55 7\n"), &setting)),
                 "m | -60 32.1052631579\nm | 30 272.894736842\n");
    f.fix.descending = true;
    AF_CHECK_STR(feed_run(&f, transform_of(&f, feed_input(&f, "v:i", "m | 55 7\nm | -40 3\n"), &setting)),
                 "m | 60 -161.842105263\nm | -30 -453.157894737\n");
    feed_end(&f);
}

AF_TEST(transform_of_many_rows_keeps_tables_in_bounds)
{
    enum { ROWS = AF_BATCH_ROWS + 1000 };
    struct setting setting = { .fn = AF_FN_ELAPSED, .type = AF_TYPE_I64, .params = { af_value_i64(1) }, .param_count = 1,
                               .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    char *text = af_alloc(ROWS * 24), *at = text;
    struct feed f;
    feed_begin(&f);
    f.rows_per_table = AF_BATCH_ROWS;
    for (int i = 0; i < ROWS; i++)
        at += sprintf(at, "m | %d %d\n", i * 2, i);
    const char *got = feed_run(&f, transform_of(&f, feed_input(&f, "v:i", text), &setting));
    AF_CHECK(strstr(got, "m | 2 2\nm | 4 2\n") == got);
    AF_CHECK_INT(f.fix.tables, 2);
    af_free(text);
    feed_end(&f);
}

AF_TEST(transform_without_memory_fails_cleanly)
{
    static const bool cancel = true;
    struct setting setting = { .fn = AF_FN_MOVING_AVERAGE, .type = AF_TYPE_F64, .params = { af_value_i64(2) }, .param_count = 1,
                               .start_ns = 10, .stop_ns = 50 };
    struct feed f;
    feed_begin(&f);
    f.rows_per_table = 2;
    const struct af_node *node = transform_of(&f, feed_input(&f, "v:f", rows), &setting);
    AF_CHECK_STR(feed_run(&f, node), "m h=a | 20 2\nm h=a | 40 4.5\nm h=c | 30 6.5\n");
    feed_sweep(&f, node);
    f.cancel = &cancel;
    AF_CHECK_FAILS(feed_try(&f, node, true), AF_ECANCELED);
    feed_end(&f);
}
