/* limit_test.c - LIMIT, GROUP_LIMIT and EMPTY: what is cut, across tables, and when the input is not asked any more. */
#include "exec/feed_fixture.h"

static const struct af_node *limit_of(struct feed *f, const struct af_node *in, uint64_t offset, uint64_t count, bool of_groups)
{
    AF_CHECK_OK(af_plan_limit(&f->fix.plan, in, offset, count, of_groups, &in, &f->fix.err), f->fix.err);
    return in;
}

static const char rows[] = "m host=a | 1 1 x\n"
                           "m host=a | 2 2 -\n"
                           "m host=a | 3 3 z\n"
                           "m host=a | 4 4 u\n"
                           "m host=b | 1 5 v\n"
                           "m host=c | 1 6 w\n"
                           "m host=c | 2 7 -\n"
                           "m host=c | 3 8 y\n";

AF_TEST(limit_cuts_each_group)
{
    static const struct {
        uint64_t offset, count;
        const char *want; /* the second column */
    } cases[] = {
        { 0, 1, "1 5 6 " }, { 0, 2, "1 2 5 6 7 " }, { 1, 2, "2 3 7 8 " }, { 2, 0, "3 4 8 " }, { 3, 5, "4 " }, { 4, 1, "" },
        { 0, 0, "1 2 3 4 5 6 7 8 " }, { UINT64_MAX, UINT64_MAX, "" }, { 0, UINT64_MAX, "1 2 3 4 5 6 7 8 " },
    };
    struct feed f;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t size = 1; size <= 5; size++) {
            struct af_buf got;
            af_buf_init(&got, 1 << 12);
            feed_begin(&f);
            f.rows_per_table = size;
            const char *text = feed_run(&f, limit_of(&f, feed_input(&f, "v:i s:s", rows), cases[i].offset, cases[i].count, false));
            for (const char *at = text; (at = strchr(at, '|')) != NULL; at++)
                af_buf_printf(&got, "%c ", at[4]);
            AF_CHECK_STR(af_buf_cstr(&got), cases[i].want);
            af_buf_done(&got);
            feed_end(&f);
        }
}

AF_TEST(limit_keeps_whole_rows)
{
    struct feed f;
    feed_begin(&f);
    AF_CHECK_STR(feed_run(&f, limit_of(&f, feed_input(&f, "v:i s:s", rows), 1, 2, false)), "m host=a | 2 2 null\n"
                                                                                            "m host=a | 3 3 \"z\"\n"
                                                                                            "m host=c | 2 7 null\n"
                                                                                            "m host=c | 3 8 \"y\"\n");
    feed_end(&f);
}

AF_TEST(group_limit_cuts_groups)
{
    struct feed f;
    for (size_t size = 1; size <= 5; size++) {
        feed_begin(&f);
        f.rows_per_table = size;
        AF_CHECK_STR(feed_run(&f, limit_of(&f, feed_input(&f, "v:i s:s", rows), 1, 1, true)), "m host=b | 1 5 \"v\"\n");
        AF_CHECK_STR(feed_run(&f, limit_of(&f, feed_input(&f, "v:i s:s", rows), 2, 0, true)), "m host=c | 1 6 \"w\"\n"
                                                                                               "m host=c | 2 7 null\n"
                                                                                               "m host=c | 3 8 \"y\"\n");
        AF_CHECK_STR(feed_run(&f, limit_of(&f, feed_input(&f, "v:i s:s", rows), 3, 1, true)), "");
        const char *all = feed_run(&f, limit_of(&f, feed_input(&f, "v:i s:s", rows), 0, 9, true));
        AF_CHECK(strstr(all, "host=a") != NULL && strstr(all, "host=c | 3 8") != NULL);
        feed_end(&f);
    }
}

/* Tables that were pulled from the input of a limit. */
static size_t pulled(struct feed *f, const struct af_node *input, const struct af_node *root)
{
    struct af_exec_node_stats nodes[8] = { 0 };
    struct af_exec_stats stats = { .nodes = nodes };
    struct af_arena arena;
    struct op *op = NULL;
    const struct af_table *table = NULL;
    feed_begin_exec(f);
    f->exec.options.stats = &stats;
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_OK(feed_open(f, root, &op, &f->fix.err), f->fix.err);
    do
        AF_CHECK_OK(op_next(op, &arena, &table, &f->fix.err), f->fix.err);
    while (table != NULL);
    op_close(op);
    af_arena_done(&arena);
    af_arena_done(&f->exec.arena);
    return nodes[input->id].tables;
}

AF_TEST(group_limit_stops)
{
    struct feed f;
    feed_begin(&f);
    f.rows_per_table = 1;
    const struct af_node *in = feed_input(&f, "v:i s:s", rows);
    AF_CHECK_INT(pulled(&f, in, limit_of(&f, in, 0, 1, true)), 5); /* four, and the one that says that the group is over */
    AF_CHECK_INT(pulled(&f, in, limit_of(&f, in, 1, 1, true)), 6);
    AF_CHECK_INT(pulled(&f, in, limit_of(&f, in, 0, 0, true)), 8);
    feed_end(&f);
}

AF_TEST(limits_without_memory)
{
    struct feed f;
    feed_begin(&f);
    feed_sweep(&f, limit_of(&f, limit_of(&f, feed_input(&f, "v:i s:s", rows), 1, 2, false), 1, 1, true));
    feed_end(&f);
}

AF_TEST(empty_gives_nothing)
{
    struct fix f;
    fix_begin(&f, "");
    const struct af_field field = { .name = "v", .type = AF_TYPE_F64, .is_nullable = true };
    const struct af_node *node = NULL;
    AF_CHECK_OK(af_plan_empty(&f.plan, &(struct af_schema){ 1, &field }, &node, &f.err), f.err);
    AF_CHECK_STR(fix_run(&f, node), "");
    fix_end(&f);
}
