/* regroup_test.c - REGROUP: parts kept, dropped, taken from columns; order; what is gathered; and against a naive one. */
#include "base/prng.h"
#include "exec/feed_fixture.h"

/* `group`: "_measurement host". */
static const struct af_node *regroup_of(struct feed *f, const struct af_node *in, const char *group)
{
    size_t count;
    const struct af_slice *names = fix_words(&f->fix, group, &count);
    AF_CHECK_OK(af_plan_regroup(&f->fix.plan, in, names, count, f->fix.descending, &in, &f->fix.err), f->fix.err);
    return in;
}

static const char rows[] = "m host=a region=x | 1 1 p\n"
                           "m host=a region=x | 5 2 q\n"
                           "m host=a region=y | 1 3 -\n"
                           "m host=a region=y | 2 4 p\n"
                           "m host=b region=x | 1 5 q\n"
                           "m host=b region=x | 9 6 p\n";

AF_TEST(keys_that_stay_go_straight_through)
{
    struct feed f;
    feed_begin(&f);
    f.rows_per_table = 1;
    AF_CHECK_STR(feed_run(&f, regroup_of(&f, feed_input(&f, "v:i s:s", rows), "_measurement host region")),
                 "m host=a region=x | 1 1 \"p\"\n"
                 "m host=a region=x | 5 2 \"q\"\n"
                 "m host=a region=y | 1 3 null\n"
                 "m host=a region=y | 2 4 \"p\"\n"
                 "m host=b region=x | 1 5 \"q\"\n"
                 "m host=b region=x | 9 6 \"p\"\n");
    AF_CHECK_INT(f.fix.tables, 6);
    feed_end(&f);
}

AF_TEST(groups_that_meet_are_merged_by_time)
{
    struct feed f;
    for (size_t size = 1; size <= 4; size++) {
        feed_begin(&f);
        f.rows_per_table = size;
        AF_CHECK_STR(feed_run(&f, regroup_of(&f, feed_input(&f, "v:i s:s", rows), "_measurement host")), "m host=a | 1 1 \"p\"\n"
                                                                                                         "m host=a | 1 3 null\n"
                                                                                                         "m host=a | 2 4 \"p\"\n"
                                                                                                         "m host=a | 5 2 \"q\"\n"
                                                                                                         "m host=b | 1 5 \"q\"\n"
                                                                                                         "m host=b | 9 6 \"p\"\n");
        AF_CHECK_STR(feed_run(&f, regroup_of(&f, feed_input(&f, "v:i s:s", rows), "_measurement region")), "m region=x | 1 1 \"p\"\n"
                                                                                                           "m region=x | 1 5 \"q\"\n"
                                                                                                           "m region=x | 5 2 \"q\"\n"
                                                                                                           "m region=x | 9 6 \"p\"\n"
                                                                                                           "m region=y | 1 3 null\n"
                                                                                                           "m region=y | 2 4 \"p\"\n");
        AF_CHECK_STR(feed_run(&f, regroup_of(&f, feed_input(&f, "v:i s:s", rows), "")), "| 1 1 \"p\"\n"
                                                                                        "| 1 3 null\n"
                                                                                        "| 1 5 \"q\"\n"
                                                                                        "| 2 4 \"p\"\n"
                                                                                        "| 5 2 \"q\"\n"
                                                                                        "| 9 6 \"p\"\n");
        feed_end(&f);
    }
}

AF_TEST(columns_become_keys)
{
    struct feed f;
    for (size_t size = 1; size <= 4; size++) {
        feed_begin(&f);
        f.rows_per_table = size;
        const struct af_node *node = regroup_of(&f, feed_input(&f, "v:i s:s", rows), "_measurement region s");
        AF_CHECK_STR(feed_run(&f, node), "m region=x s=p | 1 1 \"p\"\n"
                                         "m region=x s=p | 9 6 \"p\"\n"
                                         "m region=x s=q | 1 5 \"q\"\n"
                                         "m region=x s=q | 5 2 \"q\"\n"
                                         "m region=y s= | 1 3 null\n"
                                         "m region=y s=p | 2 4 \"p\"\n");
        feed_end(&f);
    }
}

AF_TEST(regroup_descending)
{
    struct feed f;
    feed_begin(&f);
    f.fix.descending = true;
    AF_CHECK_STR(feed_run(&f, regroup_of(&f, feed_input(&f, "v:i s:s", "m host=b region=x | 9 1 p\n"
                                                                       "m host=b region=x | 1 2 q\n"
                                                                       "m host=a region=y | 3 3 p\n"
                                                                       "m host=a region=x | 9 4 p\n"
                                                                       "m host=a region=x | 4 5 p\n"), "_measurement region")),
                 "m region=y | 3 3 \"p\"\n"
                 "m region=x | 9 1 \"p\"\n"
                 "m region=x | 9 4 \"p\"\n"
                 "m region=x | 4 5 \"p\"\n"
                 "m region=x | 1 2 \"q\"\n");
    feed_end(&f);
}

/* --- what is kept at a time ------------------------------------------------------------------------------------------------- */

static void many(struct af_buf *out, int hosts, int regions, int times)
{
    for (int h = 0; h < hosts; h++)
        for (int r = 0; r < regions; r++)
            for (int t = 0; t < times; t++)
                af_buf_printf(out, "m host=%03d region=%d | %d %d\n", h, r, t, h * regions + r);
}

AF_TEST(only_neighbours_are_gathered_where_that_is_enough)
{
    struct feed f;
    struct af_buf text;
    feed_begin(&f);
    af_buf_init(&text, 1 << 22);
    many(&text, 100, 3, 100);
    f.rows_per_table = 50;
    AF_CHECK_OK(feed_try(&f, regroup_of(&f, feed_input(&f, "v:i", af_buf_cstr(&text)), "_measurement host"), true), f.fix.err);
    size_t some = f.bytes_peak;
    AF_CHECK_OK(feed_try(&f, regroup_of(&f, feed_input(&f, "v:i", af_buf_cstr(&text)), "_measurement region"), true), f.fix.err);
    AF_CHECK(some * 4 < f.bytes_peak);
    f.bytes_max = f.bytes_peak / 2;
    AF_CHECK_FAILS(feed_try(&f, regroup_of(&f, feed_input(&f, "v:i", af_buf_cstr(&text)), "_measurement region"), true), AF_ELIMIT);
    AF_CHECK(strstr(f.fix.err.message, "its limit of memory") != NULL);
    AF_CHECK_OK(feed_try(&f, regroup_of(&f, feed_input(&f, "v:i", af_buf_cstr(&text)), "_measurement host"), true), f.fix.err);
    af_buf_done(&text);
    feed_end(&f);
}

/* More rows of one group than a table holds. */
AF_TEST(long_groups_come_in_tables)
{
    struct feed f;
    struct af_buf text;
    feed_begin(&f);
    af_buf_init(&text, 1 << 22);
    many(&text, 2, 1, AF_BATCH_ROWS);
    f.rows_per_table = 5000;
    const char *got = feed_run(&f, regroup_of(&f, feed_input(&f, "v:i", af_buf_cstr(&text)), "_measurement region"));
    AF_CHECK_INT(f.fix.tables, 2);
    AF_CHECK(strncmp(got, "m region=0 | 0 0\nm region=0 | 0 1\nm region=0 | 1 0\n", 51) == 0);
    af_buf_done(&text);
    feed_end(&f);
}

/* --- against a naive one ---------------------------------------------------------------------------------------------------- */

struct line {
    int host, region, text, time, number;
};
static bool by_region, by_text; /* else by host */
static int by_place(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int order = !by_region && !by_text ? x->host - y->host : 0;
    if (order == 0 && by_region)
        order = x->region - y->region;
    if (order == 0 && by_text)
        order = x->text - y->text;
    if (order == 0)
        order = x->time - y->time;
    return order != 0 ? order : x->number - y->number;
}

static void print_line(struct af_buf *out, const struct line *line)
{
    af_buf_append_char(out, 'm');
    if (!by_region && !by_text)
        af_buf_printf(out, " host=%d", line->host);
    if (by_region)
        af_buf_printf(out, " region=%d", line->region);
    if (by_text)
        af_buf_printf(out, " text=%d", line->text);
    af_buf_printf(out, " | %d %d \"%d\"\n", line->time, line->number, line->text);
}

AF_TEST(regroup_of_random_inputs)
{
    struct af_prng prng = { 12 };
    for (int round = 0; round < 60; round++) {
        struct feed f;
        struct line lines[300];
        struct af_buf text, want;
        int count = 0;
        by_region = (round & 1) != 0;
        by_text = (round & 2) != 0;
        feed_begin(&f);
        f.rows_per_table = 1 + af_prng_below(&prng, 9);
        af_buf_init(&text, 1 << 16);
        af_buf_init(&want, 1 << 16);
        for (int host = 0; host < 4; host++)
            for (int region = 0; region < 4; region++)
                for (int left = (int)af_prng_below(&prng, 15), time = 0; left > 0; left--, count++) {
                    time += (int)af_prng_below(&prng, 3);
                    lines[count] = (struct line){ host, region, (int)af_prng_below(&prng, 3), time, count };
                    af_buf_printf(&text, "m host=%d region=%d | %d %d %d\n", host, region, time, count, lines[count].text);
                }
        qsort(lines, (size_t)count, sizeof *lines, by_place);
        for (int i = 0; i < count; i++)
            print_line(&want, &lines[i]);
        const char *group = by_region && by_text ? "_measurement region text" : by_region ? "_measurement region"
                            : by_text            ? "_measurement text"
                                                 : "_measurement host";
        AF_CHECK_STR(feed_run(&f, regroup_of(&f, feed_input(&f, "v:i text:s", af_buf_cstr(&text)), group)), af_buf_cstr(&want));
        af_buf_done(&text);
        af_buf_done(&want);
        feed_end(&f);
    }
}

AF_TEST(regroup_without_memory)
{
    struct feed f;
    feed_begin(&f);
    feed_sweep(&f, regroup_of(&f, feed_input(&f, "v:i s:s", rows), "_measurement s"));
    feed_sweep(&f, regroup_of(&f, feed_input(&f, "v:i s:s", rows), "_measurement host region"));
    feed_end(&f);
}

AF_TEST(regroup_stops_when_nobody_waits)
{
    struct feed f;
    const bool cancel = true;
    feed_begin(&f);
    f.cancel = &cancel;
    AF_CHECK_FAILS(feed_try(&f, regroup_of(&f, feed_input(&f, "v:i s:s", rows), "_measurement region"), true), AF_ECANCELED);
    feed_end(&f);
}
