/* dedupe_test.c - DEDUPE: equal rows, across tables, with nulls, with and without time. */
#include "exec/feed_fixture.h"

static const struct af_node *dedupe_of(struct feed *f, const struct af_node *in)
{
    AF_CHECK_OK(af_plan_dedupe(&f->fix.plan, in, &in, &f->fix.err), f->fix.err);
    return in;
}

static const char rows[] = "m a=1 | 1 1 x true\n"
                           "m a=1 | 1 1 x true\n"
                           "m a=1 | 1 1 x false\n"
                           "m a=1 | 1 - x true\n"
                           "m a=1 | 1 1 - true\n"
                           "m a=1 | 1 - x true\n"
                           "m a=1 | 1 1 x true\n"
                           "m a=1 | 2 1 x true\n"
                           "m a=1 | 3 1 xy true\n"
                           "m a=1 | 3 1 xy true\n"
                           "m a=2 | 3 1 xy true\n"
                           "m a=2 | 3 1 xy true\n";

AF_TEST(equal_rows_of_a_group_come_once)
{
    struct feed f;
    for (size_t size = 1; size <= 8; size++) {
        feed_begin(&f);
        f.rows_per_table = size;
        AF_CHECK_STR(feed_run(&f, dedupe_of(&f, feed_input(&f, "v:f s:s b:b", rows))), "m a=1 | 1 1 \"x\" true\n"
                                                                                      "m a=1 | 1 1 \"x\" false\n"
                                                                                      "m a=1 | 1 null \"x\" true\n"
                                                                                      "m a=1 | 1 1 null true\n"
                                                                                      "m a=1 | 2 1 \"x\" true\n"
                                                                                      "m a=1 | 3 1 \"xy\" true\n"
                                                                                      "m a=2 | 3 1 \"xy\" true\n");
        feed_end(&f);
    }
}

AF_TEST(many_rows_of_one_time)
{
    struct feed f;
    struct af_buf in, want;
    feed_begin(&f);
    af_buf_init(&in, 1 << 20);
    af_buf_init(&want, 1 << 20);
    for (int i = 0; i < 3000; i++)
        af_buf_printf(&in, "m | 7 %d\n", i * 7919 % 1000);
    for (int i = 0; i < 1000; i++)
        af_buf_printf(&want, "m | 7 %d\n", i * 7919 % 1000);
    f.rows_per_table = 100;
    AF_CHECK_STR(feed_run(&f, dedupe_of(&f, feed_input(&f, "v:i", af_buf_cstr(&in)))), af_buf_cstr(&want));
    f.bytes_max = 10000;
    AF_CHECK(strstr(feed_run(&f, dedupe_of(&f, feed_input(&f, "v:i", af_buf_cstr(&in)))), "! ELIMIT: ") != NULL);
    af_buf_done(&in);
    af_buf_done(&want);
    feed_end(&f);
}

/* Rows come back after others: only where there is no time. */
AF_TEST(without_time_the_whole_group_counts)
{
    struct feed f;
    static struct af_field fields[1] = { { .name = "s", .type = AF_TYPE_STRING, .is_nullable = true } };
    static const struct af_schema schema = { 1, fields };
    const struct af_node *in = NULL;
    for (size_t size = 1; size <= 3; size++) {
        feed_begin(&f);
        f.rows_per_table = size;
        AF_CHECK_OK(af_plan_empty(&f.fix.plan, &schema, &in, &f.fix.err), f.fix.err);
        f.inputs[in->id] = "m | x\nm | y\nm | x\nm | -\nm | y\nm | -\nm | z\nn | y\n";
        AF_CHECK_STR(feed_run(&f, dedupe_of(&f, in)), "m | \"x\"\nm | \"y\"\nm | null\nm | \"z\"\nn | \"y\"\n");
        feed_end(&f);
    }
}

AF_TEST(dedupe_without_memory)
{
    struct feed f;
    feed_begin(&f);
    feed_sweep(&f, dedupe_of(&f, feed_input(&f, "v:f s:s b:b", rows)));
    feed_end(&f);
}
