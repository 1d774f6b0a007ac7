/* union_test.c - UNION: order of groups, groups that meet, equal times, both directions, which inputs are begun, and against a naive one.
 * */
#include "base/prng.h"
#include "exec/feed_fixture.h"

static const struct af_node *union_of(struct feed *f, const struct af_node *const *in, size_t count)
{
    const struct af_node *node = NULL;
    AF_CHECK_OK(af_plan_union(&f->fix.plan, in, count, f->fix.descending, &node, &f->fix.err), f->fix.err);
    return node;
}

AF_TEST(union_orders_groups_and_merges_those_that_meet)
{
    struct feed f;
    for (size_t size = 1; size <= 5; size++) {
        feed_begin(&f);
        f.rows_per_table = size;
        const struct af_node *in[3] = { feed_input(&f, "v:i s:s",
                                                   "m host=b | 1 1 x\nm host=b | 3 2 -\nm host=b | 3 3 z\nm host=c | 1 4 x\n"),
                                        feed_input(&f, "v:i s:s",
                                                   "m host=a | 9 5 x\nm host=b | 0 6 -\nm host=b | 3 7 y\nm host=b | 4 8 -\n"),
                                        feed_input(&f, "v:i s:s", "") };
        AF_CHECK_STR(feed_run(&f, union_of(&f, in, 3)), "m host=a | 9 5 \"x\"\n"
                                                        "m host=b | 0 6 null\n"
                                                        "m host=b | 1 1 \"x\"\n"
                                                        "m host=b | 3 2 null\n"
                                                        "m host=b | 3 3 \"z\"\n"
                                                        "m host=b | 3 7 \"y\"\n"
                                                        "m host=b | 4 8 null\n"
                                                        "m host=c | 1 4 \"x\"\n");
        feed_end(&f);
    }
}

AF_TEST(union_descending)
{
    struct feed f;
    feed_begin(&f);
    f.fix.descending = true;
    const struct af_node *in[2] = { feed_input(&f, "v:i", "m host=b | 9 1\nm host=b | 3 2\nm host=a | 1 3\n"),
                                    feed_input(&f, "v:i", "m host=c | 1 4\nm host=b | 9 5\nm host=b | 4 6\nm host=b | 3 7\n") };
    AF_CHECK_STR(feed_run(&f, union_of(&f, in, 2)), "m host=c | 1 4\n"
                                                    "m host=b | 9 1\n"
                                                    "m host=b | 9 5\n"
                                                    "m host=b | 4 6\n"
                                                    "m host=b | 3 2\n"
                                                    "m host=b | 3 7\n"
                                                    "m host=a | 1 3\n");
    feed_end(&f);
}

AF_TEST(union_of_one_and_without_time)
{
    struct feed f;
    static struct af_field fields[1] = { { .name = "s", .type = AF_TYPE_STRING, .is_nullable = true } };
    static const struct af_schema schema = { 1, fields };
    const struct af_node *in[2];
    feed_begin(&f);
    for (size_t i = 0; i < 2; i++) {
        AF_CHECK_OK(af_plan_empty(&f.fix.plan, &schema, &in[i], &f.fix.err), f.fix.err);
        f.inputs[in[i]->id] = i == 0 ? "m | x\nm | b\nn | c\n" : "l | y\nm | a\nm | x\n";
    }
    AF_CHECK_STR(feed_run(&f, union_of(&f, in, 1)), "m | \"x\"\nm | \"b\"\nn | \"c\"\n");
    AF_CHECK_STR(feed_run(&f, union_of(&f, in, 2)), "l | \"y\"\nm | \"x\"\nm | \"b\"\nm | \"a\"\nm | \"x\"\nn | \"c\"\n");
    feed_end(&f);
}

/* --- which inputs are begun ------------------------------------------------------------------------------------------------- */

static void list_order(struct fix *f, const char *const *measurements, size_t count)
{
    const struct af_node *in[4], *root = NULL;
    for (size_t i = 0; i < count; i++)
        in[i] = fix_scan(f, measurements[i], "v:i", "", "host");
    AF_CHECK_OK(af_plan_union(&f->plan, in, count, f->descending, &root, &f->err), f->err);
    AF_CHECK_OK(af_plan_limit(&f->plan, root, 0, 1, true, &root, &f->err), f->err);
    (void)fix_run(f, root);
}

AF_TEST(inputs_of_later_measurements_wait)
{
    struct fix f;
    static const char *const measurements[] = { "n", "o", "m", "m" };
    fix_begin(&f, "m,host=a v=1i 1\nm,host=b v=2i 2\nn,host=a v=3i 3\no,host=a v=4i 4\n");
    list_order(&f, measurements, 4);
    AF_CHECK_STR(af_buf_cstr(&f.text), "m host=a | 1 1\nm host=a | 1 1\n");
    AF_CHECK(f.nodes[2].tables != 0 && f.nodes[3].tables != 0);
    AF_CHECK(f.nodes[0].tables == 0 && f.nodes[1].tables == 0);
    fix_end(&f);
}

AF_TEST(measurements_in_order_both_ways)
{
    for (int descending = 0; descending < 2; descending++) {
        struct fix f;
        const struct af_node *in[3], *root = NULL;
        fix_begin(&f, "m,host=a v=1i 1\nm,host=b v=2i 2\nn,host=a v=3i 3\no,host=a v=4i 4\n");
        f.descending = descending != 0;
        in[0] = fix_scan(&f, "o", "v:i", "", "host");
        in[1] = fix_scan(&f, "none", "v:i", "", "host");
        in[2] = fix_scan(&f, "m", "v:i", "", "host");
        AF_CHECK_OK(af_plan_union(&f.plan, in, 3, f.descending, &root, &f.err), f.err);
        AF_CHECK_STR(fix_run(&f, root), descending ? "o host=a | 4 4\nm host=b | 2 2\nm host=a | 1 1\n"
                                                   : "m host=a | 1 1\nm host=b | 2 2\no host=a | 4 4\n");
        fix_end(&f);
    }
}

/* --- against a naive one ---------------------------------------------------------------------------------------------------- */

struct line {
    int key, time, input, number;
};
static int by_place(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    if (x->key != y->key)
        return x->key - y->key;
    if (x->time != y->time)
        return x->time - y->time;
    return x->number - y->number; /* by input, in it by arrival */
}

AF_TEST(union_of_random_inputs)
{
    struct af_prng prng = { 11 };
    for (int round = 0; round < 40; round++) {
        struct feed f;
        struct line lines[300];
        struct af_buf texts[4], want;
        const struct af_node *in[4];
        int count = 0;
        feed_begin(&f);
        f.rows_per_table = 1 + af_prng_below(&prng, 9);
        for (int i = 0; i < 4; i++) {
            af_buf_init(&texts[i], 1 << 16);
            for (int key = 0; key < 5; key++)
                for (int rows = (int)af_prng_below(&prng, 14), time = 0; rows > 0; rows--) {
                    time += (int)af_prng_below(&prng, 3);
                    lines[count] = (struct line){ key, time, i, count };
                    af_buf_printf(&texts[i], "m k=%d | %d %d\n", key, time, count++);
                }
            in[i] = feed_input(&f, "v:i", af_buf_cstr(&texts[i]));
        }
        qsort(lines, (size_t)count, sizeof *lines, by_place);
        af_buf_init(&want, 1 << 16);
        for (int i = 0; i < count; i++)
            af_buf_printf(&want, "m k=%d | %d %d\n", lines[i].key, lines[i].time, lines[i].number);
        AF_CHECK_STR(feed_run(&f, union_of(&f, in, 4)), af_buf_cstr(&want));
        for (int i = 0; i < 4; i++)
            af_buf_done(&texts[i]);
        af_buf_done(&want);
        feed_end(&f);
    }
}

AF_TEST(union_without_memory)
{
    struct feed f;
    feed_begin(&f);
    const struct af_node *in[2] = { feed_input(&f, "v:i s:s", "m host=b | 1 1 x\nm host=b | 3 2 -\n"),
                                    feed_input(&f, "v:i s:s", "m host=a | 9 5 x\nm host=b | 0 6 -\n") };
    feed_sweep(&f, union_of(&f, in, 2));
    feed_end(&f);
}
