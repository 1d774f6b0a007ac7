/*
 * fold_test.c - FOLD: answers written by hand, the same ones as AGGREGATE over SCAN gives for random data, and its limits.
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "exec/exec_fixture.h"
#include <stdlib.h>

struct setting {
    const char *fields, *group;
    struct af_window window;
    int64_t start_ns, stop_ns;
    enum af_stamp stamp;
    bool descending;
};

static struct af_plan_call call_of(enum af_fn fn, enum af_type type, size_t column)
{
    return (struct af_plan_call){ .call = { .id = fn, .type = type }, .column = column, .name = af_fn_get(fn)->name };
}

/* AGGREGATE over SCAN. */
static const struct af_node *aggregate_of(struct fix *f, const struct setting *setting, const struct af_plan_call *calls, size_t call_count)
{
    struct af_plan_scan scan = fix_scan_settings(f, "m", setting->fields, "", setting->group);
    scan.descending = f->descending = setting->descending;
    scan.start_ns = setting->start_ns;
    scan.stop_ns = setting->stop_ns;
    struct af_plan_aggregate aggregate = { .window = setting->window, .start_ns = setting->start_ns, .stop_ns = setting->stop_ns,
                                           .stamp = setting->stamp, .calls = calls, .call_count = call_count,
                                           .descending = setting->descending };
    const struct af_node *node = NULL;
    AF_CHECK_OK(af_plan_aggregate(&f->plan, fix_scan_node(f, &scan), &aggregate, &node, &f->err), f->err);
    return node;
}

/* The same as FOLD: what the rules make of it. */
static const struct af_node *fold_of(struct fix *f, const struct setting *setting, const struct af_plan_call *calls, size_t call_count)
{
    uint32_t caps = AF_STORE_CAN_FOLD | AF_STORE_CAN_SERIES;
    struct af_rules_world world = { .caps = &caps, .source_count = 1 };
    f->plan.root = aggregate_of(f, setting, calls, call_count);
    AF_CHECK_OK(af_plan_improve(&f->plan, &world, &f->err), f->err);
    AF_CHECK_INT(f->plan.root->kind, AF_NODE_FOLD);
    return f->plan.root;
}

static const struct setting everything = { .fields = "v:f w:i", .group = "host", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
static const char LINES[] = "m,host=a v=1,w=5i 10\nm,host=a v=3 13\nm,host=a v=2,w=7i 19\nm,host=a w=1i 20\nm,host=a v=4 35\n"
                            "m,host=b,x=y v=8,w=2i 12\nm w=6i 31\n";

AF_TEST(fold_gives_calls_by_group_and_window)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_COUNT, AF_TYPE_F64, 1), call_of(AF_FN_MEAN, AF_TYPE_F64, 1),
                                          call_of(AF_FN_SUM, AF_TYPE_I64, 2), call_of(AF_FN_MAX, AF_TYPE_I64, 2) };
    struct fix f;
    fix_begin(&f, LINES);
    struct setting setting = everything;
    setting.window = fix_every(10);
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, calls, 4)),
                 "m host= | 30 null null 6 6\nm host=a | 10 3 2 12 7\nm host=a | 20 null null 1 1\nm host=a | 30 1 4 null null\n"
                 "m host=b | 10 1 8 2 2\n");
    setting.descending = true;
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, calls, 4)),
                 "m host=b | 10 1 8 2 2\nm host=a | 30 1 4 null null\nm host=a | 20 null null 1 1\nm host=a | 10 3 2 12 7\n"
                 "m host= | 30 null null 6 6\n");
    setting.group = "";
    setting.start_ns = 12, setting.stop_ns = 31;
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, calls, 4)), "m | 20 null null 1 1\nm | 10 3 4.33333333333 9 7\n");
    fix_end(&f);
}

AF_TEST(fold_without_windows_has_one_row)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_COUNT, AF_TYPE_F64, 1), call_of(AF_FN_MEAN, AF_TYPE_I64, 2) };
    struct fix f;
    fix_begin(&f, LINES);
    struct setting setting = everything;
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, calls, 2)),
                 "m host= | 0 null 6\nm host=a | 0 4 4.33333333333\nm host=b | 0 1 2\n");
    setting.group = "";
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, calls, 2)), "m | 0 5 4.2\n");
    setting.start_ns = 5, setting.stop_ns = 20;
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, calls, 2)), "m | 5 4 4.66666666667\n");
    setting.stop_ns = 6;
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, calls, 2)), "");
    fix_end(&f);
}

AF_TEST(fold_may_have_the_time_of_its_point)
{
    static const struct {
        enum af_fn fn;
        const char *want;
    } cases[] = {
        { AF_FN_MIN, "m host=a | 10 1\nm host=b | 12 8\n" },
        { AF_FN_MAX, "m host=a | 35 4\nm host=b | 12 8\n" },
        { AF_FN_FIRST, "m host=a | 10 1\nm host=b | 12 8\n" },
        { AF_FN_LAST, "m host=a | 35 4\nm host=b | 12 8\n" },
    };
    struct fix f;
    fix_begin(&f, LINES);
    for (size_t i = 0; i < 4; i++) {
        struct setting setting = everything;
        setting.stamp = AF_STAMP_POINT;
        const struct af_plan_call call = call_of(cases[i].fn, AF_TYPE_F64, 1);
        AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, &call, 1)), cases[i].want);
    }
    fix_end(&f);
}

AF_TEST(fold_casts_what_the_store_has)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_SUM, AF_TYPE_F64, 1), call_of(AF_FN_MEAN, AF_TYPE_F64, 1),
                                          call_of(AF_FN_LAST, AF_TYPE_STRING, 2) };
    struct fix f;
    fix_begin(&f, "m v=1i,s=\"x\" 1\nm v=4i,s=\"y\" 2\n");
    struct setting setting = everything;
    setting.fields = "v:f s:s";
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, calls, 3)), "m host= | 0 5 2.5 \"y\"\n");
    setting.fields = "v:f gone:s";
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, calls, 3)), "m host= | 0 5 2.5 null\n");
    fix_end(&f);
}

/* --- as AGGREGATE over SCAN --------------------------------------------------------------------------------------------------- */

static void random_lines(struct fix *f, struct af_prng *prng)
{
    struct af_buf lines;
    af_buf_init(&lines, SIZE_MAX);
    for (uint64_t i = af_prng_below(prng, 200); i > 0; i--) {
        uint64_t host = af_prng_below(prng, 4);
        /* No two series have a point at the same time: which of them FIRST means is another test. */
        uint64_t time = af_prng_below(prng, 300) * 8 + host * 2 + af_prng_below(prng, 2);
        af_buf_printf(&lines, time % 2 == 0 ? "m,host=h%llu" : "m,host=h%llu,x=y", (unsigned long long)host);
        uint64_t fields = 1 + af_prng_below(prng, 7);
        const char *separator = " ";
        for (int k = 0; k < 3; k++) {
            if ((fields >> k & 1) == 0)
                continue;
            af_buf_printf(&lines, "%s%c=", separator, "vwb"[k]);
            uint64_t v = af_prng_below(prng, 20);
            if (k == 2)
                af_buf_append_str(&lines, v < 10 ? "true" : "false");
            else
                af_buf_printf(&lines, k == 0 ? "%llu.5" : "%llui", (unsigned long long)v);
            separator = ",";
        }
        af_buf_printf(&lines, " %llu\n", (unsigned long long)time);
    }
    fix_write(f, af_buf_cstr(&lines));
    af_buf_done(&lines);
}

AF_TEST(fold_equals_aggregate_over_scan)
{
    const struct af_plan_call calls[] = {
        call_of(AF_FN_COUNT, AF_TYPE_BOOL, 3), call_of(AF_FN_MEAN, AF_TYPE_F64, 1), call_of(AF_FN_MEAN, AF_TYPE_I64, 2),
        call_of(AF_FN_MIN, AF_TYPE_F64, 1),    call_of(AF_FN_MAX, AF_TYPE_I64, 2),  call_of(AF_FN_SUM, AF_TYPE_I64, 2),
        call_of(AF_FN_FIRST, AF_TYPE_I64, 2),  call_of(AF_FN_LAST, AF_TYPE_BOOL, 3), call_of(AF_FN_MIN, AF_TYPE_F64, 1),
    };
    static const char *const groups[] = { "", "host", "host x", "x" };
    struct af_prng prng = { 7 };
    for (int round = 0; round < 60; round++) {
        struct fix f;
        fix_begin(&f, "");
        random_lines(&f, &prng);
        for (int i = 0; i < 6; i++) {
            af_plan_init(&f.plan, &f.arena);
            struct setting setting = everything;
            setting.fields = "v:f w:i b:b";
            setting.group = groups[af_prng_below(&prng, 4)];
            setting.descending = af_prng_below(&prng, 2) == 0;
            if (af_prng_below(&prng, 3) != 0)
                setting.window = (struct af_window){ .every_ns = 1 + (int64_t)af_prng_below(&prng, 900),
                                                     .offset_ns = (int64_t)af_prng_below(&prng, 50) };
            if (af_prng_below(&prng, 2) == 0)
                setting.start_ns = (int64_t)af_prng_below(&prng, 1200);
            if (af_prng_below(&prng, 2) == 0)
                setting.stop_ns = 1200 + (int64_t)af_prng_below(&prng, 1300);
            size_t first = (size_t)af_prng_below(&prng, 6);
            size_t count = 1 + (size_t)af_prng_below(&prng, 3);
            if (i == 0) {
                setting.stamp = AF_STAMP_POINT;
                setting.window = fix_every(0);
                first = 6 + (size_t)af_prng_below(&prng, 3);
                count = 1;
            }
            char *want = strdup(fix_run(&f, aggregate_of(&f, &setting, calls + first, count)));
            AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, calls + first, count)), want);
            free(want);
        }
        fix_end(&f);
    }
}

/* --- sizes and limits --------------------------------------------------------------------------------------------------------- */

static void many(struct fix *f, int series, int rows)
{
    struct af_buf lines;
    af_buf_init(&lines, SIZE_MAX);
    for (int i = 0; i < series; i++)
        for (int k = 0; k < rows; k++)
            af_buf_printf(&lines, "m,host=h%05d v=%d %d\n", i, k, k);
    fix_write(f, af_buf_cstr(&lines));
    af_buf_done(&lines);
}

AF_TEST(fold_of_many_groups_and_many_windows)
{
    const struct af_plan_call call = call_of(AF_FN_SUM, AF_TYPE_F64, 1);
    struct fix f;
    fix_begin(&f, "");
    many(&f, 1, 40000);
    struct setting setting = everything;
    setting.window = fix_every(1);
    for (int i = 0; i < 2; i++) {
        setting.descending = i == 1;
        fix_run(&f, fold_of(&f, &setting, &call, 1));
        AF_CHECK_INT(f.tables, 3);
        AF_CHECK_INT(f.nodes[f.plan.root->id].rows, 40000);
    }
    fix_end(&f);
    fix_begin(&f, "");
    many(&f, 20000, 1);
    setting = everything;
    fix_run(&f, fold_of(&f, &setting, &call, 1));
    AF_CHECK_INT(f.tables, 20000);
    fix_end(&f);
}

AF_TEST(fold_ends_at_limits)
{
    const struct af_plan_call call = call_of(AF_FN_SUM, AF_TYPE_F64, 1);
    struct fix f;
    bool cancel = true;
    fix_begin(&f, "");
    many(&f, 20, 10);
    struct setting setting = everything;
    setting.window = fix_every(1);
    setting.start_ns = 0, setting.stop_ns = 1000;
    f.options.limits.windows_max = 999;
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, &call, 1)), "! ELIMIT: max-select-buckets limit exceeded: (1000/999)\n");
    f.options.limits.windows_max = 1000;
    f.options.limits.series_max = 19;
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, &call, 1)), "! ELIMIT: max-select-series limit exceeded: (20/19)\n");
    f.options.limits.series_max = 20;
    f.options.limits.points_max = 199;
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, &call, 1)), "! ELIMIT: max-select-point limit exceeed: (200/199)\n");
    f.options.limits.points_max = 200;
    f.options.limits.bytes_max = 1000;
    AF_CHECK(strncmp(fix_run(&f, fold_of(&f, &setting, &call, 1)), "! ELIMIT: ", 10) == 0);
    f.options.limits.bytes_max = 0;
    fix_run(&f, fold_of(&f, &setting, &call, 1));
    AF_CHECK_INT(f.tables, 20);
    f.options.cancel = &cancel;
    AF_CHECK_STR(fix_run(&f, fold_of(&f, &setting, &call, 1)), "! ECANCELED: query interrupted\n");
    fix_end(&f);
}

AF_TEST(fold_without_memory)
{
    const struct af_plan_call calls[] = { call_of(AF_FN_MEAN, AF_TYPE_F64, 1), call_of(AF_FN_LAST, AF_TYPE_I64, 2) };
    struct fix f;
    fix_begin(&f, LINES);
    for (int i = 0; i < 2; i++) {
        struct setting setting = everything;
        setting.descending = i == 1;
        const struct af_node *node = fold_of(&f, &setting, calls, 2);
        size_t failures = 0;
        for (enum af_status status = AF_ENOMEM; status != AF_OK; failures += status != AF_OK) {
            AF_CHECK(failures < 2000);
            af_alloc_fail_nth(failures + 1);
            fix_prepare(&f, node);
            struct af_tables *tables = NULL;
            struct af_arena arena;
            const struct af_table *table = NULL;
            af_arena_init(&arena, SIZE_MAX);
            status = af_exec_open(&f.options, &tables, &f.err);
            while (status == AF_OK && (status = af_tables_next(tables, &arena, &table, &f.err)) == AF_OK && table != NULL) {
                af_arena_done(&arena); /* so that its chunks are asked for again */
                af_arena_init(&arena, SIZE_MAX);
            }
            af_alloc_fail_nth(0);
            af_tables_close(tables);
            af_arena_done(&arena);
            AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        }
        AF_CHECK(failures > 10);
    }
    fix_end(&f);
}
