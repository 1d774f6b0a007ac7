/*
 * map_test.c - MAP, FILTER and the expressions they evaluate; a filter pushed into a scan against the same one above it.
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "exec/exec_fixture.h"
#include <stdlib.h>

#define LINES "m,h=a v=1.5,w=3i 10\nm,h=a v=-2 20\nm,h=a w=7i,b=true 30\nm,h=b v=4,w=4i,b=false 15\n"

static const struct af_expr *column(struct fix *f, const struct af_node *in, size_t number)
{
    return af_expr_column(&f->arena, &in->schema, number);
}

static const struct af_expr *call(struct fix *f, enum af_fn fn, const struct af_expr *a, const struct af_expr *b)
{
    const struct af_expr **args = af_arena_zero(&f->arena, 2, sizeof *args);
    const struct af_expr *out = NULL;
    args[0] = a;
    args[1] = b;
    AF_CHECK_OK(af_expr_call(&f->arena, fn, args, b != NULL ? 2 : 1, NULL, &out, &f->err), f->err);
    return out;
}

static const struct af_expr *number(struct fix *f, double value)
{
    return af_expr_literal(&f->arena, af_value_f64(value));
}

static const struct af_node *filter(struct fix *f, const struct af_node *in, const struct af_expr *expr)
{
    const struct af_node *node = NULL;
    AF_CHECK_OK(af_plan_filter(&f->plan, in, expr, &node, &f->err), f->err);
    return node;
}

static const struct af_node *map(struct fix *f, const struct af_node *in, const struct af_expr *a, const struct af_expr *b, bool drops_time,
                                 bool drops_empty)
{
    static const char *const names[] = { "x", "y" };
    const struct af_expr **exprs = af_arena_zero(&f->arena, 2, sizeof *exprs);
    struct af_plan_map settings = { .exprs = exprs, .names = names, .count = b != NULL ? 2 : 1, .drops_time = drops_time,
                                    .drops_empty = drops_empty };
    const struct af_node *node = NULL;
    exprs[0] = a;
    exprs[1] = b;
    AF_CHECK_OK(af_plan_map(&f->plan, in, &settings, &node, &f->err), f->err);
    return node;
}

AF_TEST(filter_keeps_rows_that_are_true)
{
    struct fix f;
    fix_begin(&f, LINES);
    const struct af_node *scan = fix_scan(&f, "m", "v:f w:i b:b", "h", "h");
    AF_CHECK_STR(fix_run(&f, filter(&f, scan, call(&f, AF_FN_GREATER, column(&f, scan, 1), number(&f, 0)))),
                 "m h=a | 10 1.5 3 null \"a\"\nm h=b | 15 4 4 false \"b\"\n");
    AF_CHECK_STR(fix_run(&f, filter(&f, scan, column(&f, scan, 3))), "m h=a | 30 null 7 true \"a\"\n");
    const struct af_expr *host = call(&f, AF_FN_EQUAL, column(&f, scan, 4), af_expr_literal(&f.arena, af_value_text(AF_SLICE_LIT("b"))));
    AF_CHECK_STR(fix_run(&f, filter(&f, scan, host)), "m h=b | 15 4 4 false \"b\"\n");
    AF_CHECK_STR(fix_run(&f, filter(&f, scan, call(&f, AF_FN_NOT, host, NULL))),
                 "m h=a | 10 1.5 3 null \"a\"\nm h=a | 20 -2 null null \"a\"\nm h=a | 30 null 7 true \"a\"\n");
    AF_CHECK_STR(fix_run(&f, filter(&f, scan, af_expr_literal(&f.arena, af_value_bool(false)))), "");
    const char *all = fix_run(&f, filter(&f, scan, af_expr_literal(&f.arena, af_value_bool(true))));
    AF_CHECK_INT(f.tables, 2);
    AF_CHECK(strstr(all, "30 null 7 true") != NULL);
    fix_end(&f);
}

AF_TEST(map_makes_other_columns)
{
    struct fix f;
    fix_begin(&f, LINES);
    const struct af_node *scan = fix_scan(&f, "m", "v:f w:i b:b", "h", "h");
    const struct af_expr *sum = call(&f, AF_FN_ADD, column(&f, scan, 1), column(&f, scan, 2));
    AF_CHECK_STR(fix_run(&f, map(&f, scan, sum, column(&f, scan, 4), false, false)),
                 "m h=a | 10 4.5 \"a\"\nm h=a | 20 null \"a\"\nm h=a | 30 null \"a\"\nm h=b | 15 8 \"b\"\n");
    AF_CHECK_STR(fix_run(&f, map(&f, scan, sum, NULL, false, true)), "m h=a | 10 4.5\nm h=b | 15 8\n");
    AF_CHECK_STR(fix_run(&f, map(&f, scan, column(&f, scan, 2), number(&f, 0.5), true, false)),
                 "m h=a | 3 0.5\nm h=a | null 0.5\nm h=a | 7 0.5\nm h=b | 4 0.5\n");
    AF_CHECK_STR(fix_run(&f, map(&f, scan, column(&f, scan, 3), NULL, true, true)), "m h=a | true\nm h=b | false\n");
    AF_CHECK_STR(fix_run(&f, map(&f, scan, af_expr_literal(&f.arena, af_value_text(AF_SLICE_LIT("k"))), NULL, true, false)),
                 "m h=a | \"k\"\nm h=a | \"k\"\nm h=a | \"k\"\nm h=b | \"k\"\n");
    fix_end(&f);
}

/* Parts of the key as columns: they do not make a row be there. */
AF_TEST(map_gives_parts_of_the_key)
{
    struct fix f;
    fix_begin(&f, LINES);
    const struct af_node *scan = fix_scan(&f, "m", "v:f w:i", "", "h");
    const struct af_expr *expr = column(&f, scan, 1);
    static const char *const names[] = { "v" };
    const struct af_slice keys[] = { AF_SLICE_LIT("h"), AF_SLICE_LIT("none") };
    struct af_plan_map settings = { .exprs = &expr, .names = names, .count = 1, .drops_empty = true, .keys = keys, .key_count = 2 };
    const struct af_node *node = NULL;
    AF_CHECK_OK(af_plan_map(&f.plan, scan, &settings, &node, &f.err), f.err);
    AF_CHECK_STR(fix_run(&f, node), "m h=a | 10 1.5 \"a\" \"\"\nm h=a | 20 -2 \"a\" \"\"\nm h=b | 15 4 \"b\" \"\"\n");
    fix_end(&f);
}

/* A long stretch of rows that do not pass, in many batches, and tables that pass whole. */
AF_TEST(filter_and_map_over_many_batches)
{
    struct fix f;
    fix_begin(&f, "");
    struct af_buf lines;
    af_buf_init(&lines, SIZE_MAX);
    for (int i = 0; i < 100000; i++)
        af_buf_printf(&lines, "m v=%d %d\n", i, i);
    fix_write(&f, af_buf_cstr(&lines));
    const struct af_node *scan = fix_scan(&f, "m", "v:f", "", "");
    AF_CHECK_STR(fix_run(&f, filter(&f, scan, call(&f, AF_FN_GREATER, column(&f, scan, 1), number(&f, 99997)))),
                 "m | 99998 99998\nm | 99999 99999\n");
    fix_run(&f, filter(&f, scan, call(&f, AF_FN_GREATER, column(&f, scan, 1), number(&f, 49999))));
    AF_CHECK_INT(f.nodes[2].rows, 50000);
    /* Null where it is not: those of 99998 and up are left. */
    const struct af_expr *none = af_expr_literal(&f.arena, af_value_none());
    const struct af_node *far = filter(&f, scan, call(&f, AF_FN_LESS, column(&f, scan, 1), number(&f, 10)));
    fix_run(&f, map(&f, far, call(&f, AF_FN_ADD, column(&f, far, 1), none), NULL, false, true));
    AF_CHECK_INT(f.tables, 0);
    af_buf_done(&lines);
    fix_end(&f);
}

/* --- pushed down or not ------------------------------------------------------------------------------------------------------- */

static const struct af_expr *random_test(struct fix *f, const struct af_node *scan, struct af_prng *prng, int depth)
{
    static const enum af_fn comparisons[] = { AF_FN_LESS, AF_FN_GREATER_EQUAL, AF_FN_EQUAL, AF_FN_NOT_EQUAL };
    uint64_t kind = af_prng_below(prng, depth > 0 ? 6 : 3);
    if (kind == 0)
        return call(f, comparisons[af_prng_below(prng, 4)], column(f, scan, 1), number(f, (double)af_prng_below(prng, 10)));
    if (kind == 1)
        return call(f, comparisons[af_prng_below(prng, 4)], column(f, scan, 2), af_expr_literal(&f->arena,
                    af_value_i64((int64_t)af_prng_below(prng, 10))));
    if (kind == 2)
        return call(f, AF_FN_EQUAL, column(f, scan, 4), af_expr_literal(&f->arena, af_value_text(AF_SLICE_LIT("b"))));
    if (kind == 3)
        return call(f, AF_FN_NOT, random_test(f, scan, prng, depth - 1), NULL);
    return call(f, kind == 4 ? AF_FN_AND : AF_FN_OR, random_test(f, scan, prng, depth - 1), random_test(f, scan, prng, depth - 1));
}

AF_TEST(filter_in_the_scan_equals_filter_above)
{
    struct af_prng prng = { 11 };
    struct fix f;
    struct af_buf lines;
    fix_begin(&f, "");
    af_buf_init(&lines, SIZE_MAX);
    for (int i = 0; i < 300; i++) {
        uint64_t v = af_prng_below(&prng, 10), w = af_prng_below(&prng, 10), time = af_prng_below(&prng, 100);
        const char *what = af_prng_below(&prng, 3) == 0 ? "m,h=%c v=%llu %llu\n" : "m,h=%c w=%llui %llu\n";
        af_buf_printf(&lines, what, (int)('a' + af_prng_below(&prng, 3)), (unsigned long long)(what[7] == 'v' ? v : w),
                      (unsigned long long)time);
    }
    fix_write(&f, af_buf_cstr(&lines));
    for (int i = 0; i < 200; i++) {
        af_plan_init(&f.plan, &f.arena);
        f.descending = i % 3 == 0;
        struct af_plan_scan settings = fix_scan_settings(&f, "m", "v:f w:i b:b", "h", i % 2 == 0 ? "h" : "");
        settings.descending = f.descending;
        const struct af_node *scan = fix_scan_node(&f, &settings);
        const struct af_expr *expr = random_test(&f, scan, &prng, 3);
        char *want = strdup(fix_run(&f, filter(&f, scan, expr)));
        settings.filter = expr;
        AF_CHECK_STR(fix_run(&f, fix_scan_node(&f, &settings)), want);
        free(want);
    }
    af_buf_done(&lines);
    fix_end(&f);
}

/* --- without memory ----------------------------------------------------------------------------------------------------------- */

AF_TEST(map_and_filter_without_memory)
{
    struct fix f;
    fix_begin(&f, LINES);
    const struct af_node *scan = fix_scan(&f, "m", "v:f w:i b:b", "h", "h");
    const struct af_node *kept = filter(&f, scan, call(&f, AF_FN_NOT_EQUAL, column(&f, scan, 1), number(&f, -2)));
    const struct af_node *root = map(&f, kept, call(&f, AF_FN_ADD, column(&f, kept, 1), number(&f, 1)), column(&f, kept, 4), false, true);
    size_t failures = 0;
    for (enum af_status status = AF_ENOMEM; status != AF_OK; failures += status != AF_OK) {
        AF_CHECK(failures < 2000);
        fix_prepare(&f, root);
        af_alloc_fail_nth(failures + 1);
        struct af_tables *tables = NULL;
        struct af_arena arena;
        const struct af_table *table = NULL;
        af_arena_init(&arena, SIZE_MAX);
        status = af_exec_open(&f.options, &tables, &f.err);
        while (status == AF_OK && (status = af_tables_next(tables, &arena, &table, &f.err)) == AF_OK && table != NULL) {
            af_arena_done(&arena);
            af_arena_init(&arena, SIZE_MAX);
        }
        af_alloc_fail_nth(0);
        af_tables_close(tables);
        af_arena_done(&arena);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
    }
    AF_CHECK(failures > 10);
    AF_CHECK_STR(fix_run(&f, root), "m h=a | 10 2.5 \"a\"\nm h=b | 15 5 \"b\"\n");
    fix_end(&f);
}
