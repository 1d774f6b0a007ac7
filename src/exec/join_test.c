/*
 * join_test.c - JOIN: pairs by key and time, what is absent, order, tables of any size, many inputs, against a naive one.
 */
#include "base/prng.h"
#include "exec/feed_fixture.h"

static const struct af_node *join_of(struct feed *f, const struct af_node *const *in, size_t count, enum af_absent absent,
                                     const struct af_value *values)
{
    const struct af_node *node = NULL;
    struct af_plan_join join = { .absent = absent, .values = values, .descending = f->fix.descending };
    AF_CHECK_OK(af_plan_join(&f->fix.plan, in, count, &join, &node, &f->fix.err), f->fix.err);
    return node;
}

static const char left[] = "m host=a | 10 1 x\n"
                           "m host=a | 20 2 -\n"
                           "m host=a | 40 4 z\n"
                           "m host=c | 10 5 c\n";
static const char right[] = "m host=a | 10 100\n"
                            "m host=a | 30 -\n"
                            "m host=a | 40 400\n"
                            "m host=b | 5 500\n";

AF_TEST(join_pairs_by_key_and_time)
{
    struct feed f;
    feed_begin(&f);
    for (f.rows_per_table = 1; f.rows_per_table <= 4; f.rows_per_table++) {
        const struct af_node *in[2] = { feed_input(&f, "v:f s:s", left), feed_input(&f, "w:i", right) };
        AF_CHECK_STR(feed_run(&f, join_of(&f, in, 2, AF_ABSENT_NULL, NULL)), "m host=a | 10 1 \"x\" 100\n"
                                                                             "m host=a | 20 2 null null\n"
                                                                             "m host=a | 30 null null null\n"
                                                                             "m host=a | 40 4 \"z\" 400\n"
                                                                             "m host=b | 5 null null 500\n"
                                                                             "m host=c | 10 5 \"c\" null\n");
    }
    feed_end(&f);
}

AF_TEST(join_puts_a_value_where_an_input_is_absent)
{
    struct feed f;
    feed_begin(&f);
    const struct af_value values[3] = { af_value_f64(-1), af_value_text(AF_SLICE_LIT("?")), af_value_i64(7) };
    const struct af_node *in[2] = { feed_input(&f, "v:f s:s", left), feed_input(&f, "w:i", right) };
    AF_CHECK_STR(feed_run(&f, join_of(&f, in, 2, AF_ABSENT_VALUE, values)), "m host=a | 10 1 \"x\" 100\n"
                                                                            "m host=a | 20 2 null 7\n"
                                                                            "m host=a | 30 -1 \"?\" null\n"
                                                                            "m host=a | 40 4 \"z\" 400\n"
                                                                            "m host=b | 5 -1 \"?\" 500\n"
                                                                            "m host=c | 10 5 \"c\" 7\n");
    feed_end(&f);
}

AF_TEST(join_keeps_the_last_value_within_the_group)
{
    struct feed f;
    feed_begin(&f);
    for (f.rows_per_table = 1; f.rows_per_table <= 4; f.rows_per_table++) {
        const struct af_node *in[2] = { feed_input(&f, "v:f s:s", left), feed_input(&f, "w:i", right) };
        AF_CHECK_STR(feed_run(&f, join_of(&f, in, 2, AF_ABSENT_KEEP, NULL)), "m host=a | 10 1 \"x\" 100\n"
                                                                             "m host=a | 20 2 null 100\n"
                                                                             "m host=a | 30 2 \"x\" null\n"
                                                                             "m host=a | 40 4 \"z\" 400\n"
                                                                             "m host=b | 5 null null 500\n"
                                                                             "m host=c | 10 5 \"c\" null\n");
    }
    feed_end(&f);
}

AF_TEST(join_keeps_the_last_value_where_there_is_null_too)
{
    struct feed f;
    feed_begin(&f);
    struct af_plan_join join = { .absent = AF_ABSENT_KEEP, .nulls_too = true };
    for (f.rows_per_table = 1; f.rows_per_table <= 4; f.rows_per_table++) {
        const struct af_node *in[2] = { feed_input(&f, "v:f s:s", left), feed_input(&f, "w:i", right) }, *node = NULL;
        AF_CHECK_OK(af_plan_join(&f.fix.plan, in, 2, &join, &node, &f.fix.err), f.fix.err);
        AF_CHECK_STR(feed_run(&f, node), "m host=a | 10 1 \"x\" 100\n"
                                         "m host=a | 20 2 \"x\" 100\n"
                                         "m host=a | 30 2 \"x\" 100\n"
                                         "m host=a | 40 4 \"z\" 400\n"
                                         "m host=b | 5 null null 500\n"
                                         "m host=c | 10 5 \"c\" null\n");
        AF_CHECK_OK(af_plan_join(&f.fix.plan, in + 1, 1, &join, &node, &f.fix.err), f.fix.err);
        AF_CHECK_STR(feed_run(&f, node), "m host=a | 10 100\nm host=a | 30 100\nm host=a | 40 400\nm host=b | 5 500\n");
    }
    feed_end(&f);
}

AF_TEST(join_pairs_equal_times_in_order)
{
    struct feed f;
    feed_begin(&f);
    for (f.rows_per_table = 1; f.rows_per_table <= 4; f.rows_per_table++) {
        const struct af_node *in[2] = { feed_input(&f, "v:f", "m | 1 1\nm | 1 2\nm | 1 3\nm | 2 4\n"),
                                        feed_input(&f, "w:f", "m | 1 10\nm | 1 20\nm | 2 30\nm | 2 40\n") };
        AF_CHECK_STR(feed_run(&f, join_of(&f, in, 2, AF_ABSENT_NULL, NULL)), "m | 1 1 10\n"
                                                                             "m | 1 2 20\n"
                                                                             "m | 1 3 null\n"
                                                                             "m | 2 4 30\n"
                                                                             "m | 2 null 40\n");
    }
    feed_end(&f);
}

AF_TEST(join_descending_takes_keys_and_times_backwards)
{
    struct feed f;
    feed_begin(&f);
    f.fix.descending = true;
    const struct af_node *in[3] = { feed_input(&f, "v:f", "m h=b | 9 1\nm h=a | 8 2\nm h=a | 3 3\n"),
                                    feed_input(&f, "w:f", "m h=c | 7 4\nm h=a | 5 5\nm h=a | 3 6\n"), feed_input(&f, "x:b", "") };
    AF_CHECK_STR(feed_run(&f, join_of(&f, in, 3, AF_ABSENT_KEEP, NULL)), "m h=c | 7 null 4 null\n"
                                                                         "m h=b | 9 1 null null\n"
                                                                         "m h=a | 8 2 null null\n"
                                                                         "m h=a | 5 2 5 null\n"
                                                                         "m h=a | 3 3 6 null\n");
    feed_end(&f);
}

/* --- many inputs, against one that looks rows up ---------------------------------------------------------------------------- */

enum { SIDES = 5, GROUPS = 6, TIMES = 40 };
struct model {
    int value[SIDES][GROUPS][TIMES]; /* -1: no row; 0: null */
};

static char *model_input(struct model *model, struct af_prng *prng, size_t side, char *out)
{
    char *at = out;
    unsigned density = 1 + (unsigned)af_prng_below(prng, 9);
    for (int g = 0; g < GROUPS; g++) {
        bool has_group = af_prng_below(prng, 4) != 0;
        for (int t = 0; t < TIMES; t++) {
            int *value = &model->value[side][g][t];
            *value = has_group && af_prng_below(prng, 10) < density ? (int)af_prng_below(prng, 20) : -1;
            if (*value == 0)
                at += sprintf(at, "m g=%d | %d -\n", g, t);
            else if (*value > 0)
                at += sprintf(at, "m g=%d | %d %d\n", g, t, *value);
        }
    }
    *at = '\0';
    return out;
}

static void model_answer(const struct model *model, enum af_absent absent, struct af_buf *out)
{
    for (int g = 0; g < GROUPS; g++) {
        int last[SIDES] = { 0 };
        for (int t = 0; t < TIMES; t++) {
            int max = -1;
            for (int s = 0; s < SIDES; s++)
                max = model->value[s][g][t] > max ? model->value[s][g][t] : max;
            if (max < 0)
                continue;
            af_buf_printf(out, "m g=%d | %d", g, t);
            for (int s = 0; s < SIDES; s++) {
                int value = model->value[s][g][t];
                last[s] = value > 0 ? value : last[s];
                int shown = value >= 0 ? value : absent == AF_ABSENT_KEEP ? last[s] : absent == AF_ABSENT_VALUE ? 99 : 0;
                if (shown == 0)
                    af_buf_append_str(out, " null");
                else
                    af_buf_printf(out, " %d", shown);
            }
            af_buf_append_char(out, '\n');
        }
    }
}

AF_TEST(join_answers_as_a_naive_one_does)
{
    struct af_prng prng = { 7 };
    static struct model model;
    static char texts[SIDES][GROUPS * TIMES * 32];
    const struct af_value values[SIDES] = { af_value_i64(99), af_value_i64(99), af_value_i64(99), af_value_i64(99), af_value_i64(99) };
    for (int round = 0; round < 40; round++) {
        const struct af_node *in[SIDES];
        struct feed f;
        struct af_buf want;
        feed_begin(&f);
        af_buf_init(&want, SIZE_MAX);
        f.rows_per_table = 1 + af_prng_below(&prng, 50);
        for (size_t s = 0; s < SIDES; s++)
            in[s] = feed_input(&f, "v:i", model_input(&model, &prng, s, texts[s]));
        enum af_absent absent = (enum af_absent)af_prng_below(&prng, 3);
        model_answer(&model, absent, &want);
        AF_CHECK_STR(feed_run(&f, join_of(&f, in, SIDES, absent, values)), af_buf_cstr(&want));
        af_buf_done(&want);
        feed_end(&f);
    }
}

AF_TEST(join_fills_tables_and_goes_on)
{
    enum { ROWS = AF_BATCH_ROWS * 2 + 100 };
    struct feed f;
    char *text[2];
    feed_begin(&f);
    f.rows_per_table = 1000;
    for (int s = 0; s < 2; s++) {
        char *at = text[s] = af_alloc(ROWS * 24);
        for (int i = 0; i < ROWS; i++)
            if (i % 7 != s)
                at += sprintf(at, "m | %d %d\n", i, i);
    }
    const struct af_node *in[2] = { feed_input(&f, "v:i", text[0]), feed_input(&f, "w:i", text[1]) };
    AF_CHECK_OK(feed_try(&f, join_of(&f, in, 2, AF_ABSENT_NULL, NULL), false), f.fix.err);
    AF_CHECK_INT(f.fix.tables, 3);
    struct af_slice text_out = af_buf_slice(&f.fix.text);
    size_t lines = 0;
    for (size_t i = 0; i < text_out.len; i++)
        lines += text_out.ptr[i] == '\n';
    AF_CHECK_INT(lines, ROWS);
    af_free(text[0]);
    af_free(text[1]);
    feed_end(&f);
}

AF_TEST(join_without_memory_fails_cleanly)
{
    struct feed f;
    feed_begin(&f);
    f.rows_per_table = 1;
    const struct af_node *in[2] = { feed_input(&f, "v:f s:s", left), feed_input(&f, "w:i", right) };
    feed_sweep(&f, join_of(&f, in, 2, AF_ABSENT_KEEP, NULL));
    feed_end(&f);
}

AF_TEST(join_is_cancelled)
{
    static const bool cancel = true;
    struct feed f;
    feed_begin(&f);
    f.cancel = &cancel;
    const struct af_node *in[2] = { feed_input(&f, "v:f s:s", left), feed_input(&f, "w:i", right) };
    AF_CHECK_FAILS(feed_try(&f, join_of(&f, in, 2, AF_ABSENT_NULL, NULL), false), AF_ECANCELED);
    feed_end(&f);
}
