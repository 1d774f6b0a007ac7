/*
 * scan_cost_test.c - what SCAN asks of a store: no more scans and rows than the question needs; and how it ends at limits, on cancellation
 * and without memory.
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "exec/exec_fixture.h"
#include "os/clock.h"

/* --- a store that counts ------------------------------------------------------------------------------------------------------------- */

struct counting {
    struct af_store base;
    struct af_store *inner;
    struct af_store_ops ops;
    int scans, folds, lists;
    bool *cancel_at_scan;                /* set when a scan is opened; NULL: never */
};

static enum af_status counting_scan(struct af_store *store, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    struct counting *counting = (struct counting *)store;
    counting->scans += scan->fold_count == 0;
    counting->folds += scan->fold_count != 0;
    if (counting->cancel_at_scan != NULL)
        *counting->cancel_at_scan = true;
    return af_store_scan(counting->inner, scan, out, err);
}

static enum af_status counting_list(struct af_store *store, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                                    struct af_error *err)
{
    struct counting *counting = (struct counting *)store;
    counting->lists++;
    return af_store_list(counting->inner, what, scan, out, err);
}

static void counting_begin(struct counting *counting, struct fix *f, uint32_t caps)
{
    *counting = (struct counting){ .inner = f->store, .ops = { .name = "counting", .scan = counting_scan, .list = counting_list } };
    counting->base = (struct af_store){ .ops = &counting->ops, .name = "counting", .caps = caps };
    f->store = &counting->base;
}

static void counting_end(struct counting *counting, struct fix *f)
{
    f->store = counting->inner;
    fix_end(f);
}

/* --- data --------------------------------------------------------------------------------------------------------------------- */

enum { HOUR = 3600 };
#define NS INT64_C(1000000000)

/* `series` series with `rows` rows each, an hour apart, from `first` on. */
static void fill_hours(struct fix *f, int series, int rows, int64_t first_ns)
{
    struct af_buf lines;
    af_buf_init(&lines, SIZE_MAX);
    for (int i = 0; i < series; i++)
        for (int k = 0; k < rows; k++)
            af_buf_printf(&lines, "m,host=h%03d v=%d %lld\n", i, k, (long long)(first_ns + k * HOUR * NS));
    fix_write(f, af_buf_cstr(&lines));
    af_buf_done(&lines);
}

static const struct af_node *hinted(struct fix *f, const char *group, uint64_t rows_hint, bool descending)
{
    struct af_plan_scan scan = fix_scan_settings(f, "m", "v:f", "", group);
    scan.rows_hint = rows_hint;
    scan.descending = f->descending = descending;
    return fix_scan_node(f, &scan);
}

/* --- cost --------------------------------------------------------------------------------------------------------------------- */

AF_TEST(scan_of_single_series_is_one_scan)
{
    struct fix f;
    struct counting c;
    fix_begin(&f, "");
    fill_hours(&f, 20, 10, 0);
    counting_begin(&c, &f, AF_STORE_CAN_SERIES);
    fix_run(&f, fix_scan(&f, "m", "v:f", "", "host"));
    AF_CHECK_INT(f.tables, 20);
    AF_CHECK_INT(f.nodes[0].rows, 200);
    AF_CHECK_INT(c.scans, 1);
    AF_CHECK_INT(c.lists, 1);
    c.scans = 0;
    fix_run(&f, fix_scan(&f, "m", "v:f", "", ""));
    AF_CHECK_INT(f.nodes[1].rows, 200);
    AF_CHECK_INT(c.scans, 1);
    counting_end(&c, &f);
}

AF_TEST(scan_unordered_whole_lists_nothing)
{
    struct fix f;
    struct counting c;
    fix_begin(&f, "");
    fill_hours(&f, 3, 10, 0);
    counting_begin(&c, &f, 0);
    struct af_plan_scan scan = fix_scan_settings(&f, "m", "v:f", "", "");
    scan.unordered = f.any_time_order = true;
    fix_run(&f, fix_scan_node(&f, &scan));
    AF_CHECK_INT(f.nodes[0].rows, 30);
    AF_CHECK_INT(c.scans, 1);
    AF_CHECK_INT(c.lists, 0);
    counting_end(&c, &f);
}

/* LIMIT 10 over years: the store says where the data is, and little of it is read. */
AF_TEST(scan_with_a_hint_reads_little)
{
    struct fix f;
    struct counting c;
    fix_begin(&f, "");
    fill_hours(&f, 20, 5000, 1000 * HOUR * NS);
    counting_begin(&c, &f, AF_STORE_CAN_SERIES | AF_STORE_CAN_FOLD);
    for (int descending = 0; descending < 2; descending++) {
        c.scans = c.folds = 0;
        const char *got = fix_run(&f, hinted(&f, "", 10, descending != 0));
        AF_CHECK(af_slice_has_prefix(af_slice_of(got), descending != 0 ? "m | 21596400000000000 4999\n" : "m | 3600000000000000 0\n"));
        AF_CHECK(f.stats.points < 5000);
        AF_CHECK_INT(c.folds, 1);
        AF_CHECK(c.scans <= 2);
    }
    c.scans = 0;
    fix_run(&f, hinted(&f, "host", 1, true)); /* the last row of every series */
    AF_CHECK_INT(f.tables, 20);
    AF_CHECK_INT(c.scans, 20);
    AF_CHECK(f.stats.points <= 20 * 2500);
    counting_end(&c, &f);
}

/* The same where the store cannot say: the first slice is given up, the next one knows how dense the data is. */
AF_TEST(scan_with_a_hint_learns_density)
{
    struct fix f;
    struct counting c;
    fix_begin(&f, "");
    fill_hours(&f, 20, 5000, 1000 * HOUR * NS);
    counting_begin(&c, &f, AF_STORE_CAN_SERIES);
    for (int descending = 0; descending < 2; descending++) {
        c.scans = 0;
        fix_run(&f, hinted(&f, "", 10, descending != 0));
        AF_CHECK(f.stats.points < 3 * AF_BATCH_ROWS);
        AF_CHECK(c.scans <= 4);
    }
    counting_end(&c, &f);
}

/* Two heaps of data, centuries apart: the emptiness between costs a few scans, not one an hour. */
AF_TEST(scan_passes_empty_stretches_fast)
{
    struct fix f;
    struct counting c;
    fix_begin(&f, "");
    fill_hours(&f, 2, 30000, -INT64_C(9000000000) * NS);
    fill_hours(&f, 2, 30000, INT64_C(9000000000) * NS);
    for (int i = 0; i < 3; i++) {
        counting_begin(&c, &f, i == 0 ? AF_STORE_CAN_SERIES : i == 1 ? 0 : AF_STORE_CAN_SERIES | AF_STORE_CAN_FOLD);
        f.options.limits.bytes_max = 1 << 20; /* slices of some thousand rows */
        f.descending = i != 0;
        fix_run(&f, fix_scan(&f, "m", "v:f", "", ""));
        AF_CHECK_INT(f.nodes[i].rows, 120000);
        AF_CHECK(f.stats.bytes_peak <= 1 << 20);
        AF_CHECK(c.scans < 150);
        AF_CHECK_INT(c.folds, i == 2 ? 1 : 0); /* once a slice was too full */
        f.store = c.inner;
    }
    fix_end(&f);
}

/* --- limits ------------------------------------------------------------------------------------------------------------------- */

AF_TEST(scan_ends_at_limits)
{
    struct fix f;
    fix_begin(&f, "");
    fill_hours(&f, 20, 100, 0);
    f.options.limits.series_max = 19;
    AF_CHECK_STR(fix_run(&f, fix_scan(&f, "m", "v:f", "", "host")), "! ELIMIT: max-select-series limit exceeded: (20/19)\n");
    struct af_plan_scan scan = fix_scan_settings(&f, "m", "v:f", "", "");
    scan.unordered = true;
    AF_CHECK_STR(fix_run(&f, fix_scan_node(&f, &scan)), "! ELIMIT: max-select-series limit exceeded: (20/19)\n");
    f.options.limits.series_max = 20;
    f.options.limits.points_max = 1999;
    AF_CHECK_STR(fix_run(&f, fix_scan(&f, "m", "v:f", "", "")), "! ELIMIT: max-select-point limit exceeed: (2000/1999)\n");
    f.options.limits.points_max = 2000;
    fix_run(&f, fix_scan(&f, "m", "v:f", "", "host"));
    AF_CHECK_INT(f.nodes[3].rows, 2000);
    f.options.limits.deadline_mono_ns = 1;
    AF_CHECK_STR(fix_run(&f, fix_scan(&f, "m", "v:f", "", "host")), "! ELIMIT: query-timeout limit exceeded\n");
    fix_end(&f);
}

/* Rows of one instant cannot be cut into slices: what they need is refused in words. */
AF_TEST(scan_ends_at_the_memory_limit)
{
    struct fix f;
    fix_begin(&f, "");
    struct af_buf lines;
    af_buf_init(&lines, SIZE_MAX);
    for (int i = 0; i < 20000; i++)
        af_buf_printf(&lines, "m,host=h%05d v=%d 7\n", i, i);
    fix_write(&f, af_buf_cstr(&lines));
    f.options.limits.bytes_max = 1 << 20;
    const char *got = fix_run(&f, fix_scan(&f, "m", "v:f", "host", ""));
    AF_CHECK_STR(got, "! ELIMIT: the query needs more than 1048576 bytes, its limit of memory: ask for a shorter time range, fewer "
                      "series or larger windows, or raise the limit\n");
    f.options.limits.bytes_max = 0;
    fix_run(&f, fix_scan(&f, "m", "v:f", "host", ""));
    AF_CHECK_INT(f.nodes[1].rows, 20000);
    af_buf_done(&lines);
    fix_end(&f);
}

AF_TEST(scan_is_cancelled)
{
    struct fix f;
    struct counting c;
    bool cancel = false;
    fix_begin(&f, "");
    fill_hours(&f, 3, 100, 0);
    counting_begin(&c, &f, AF_STORE_CAN_SERIES);
    f.options.cancel = &cancel;
    c.cancel_at_scan = &cancel; /* the store notices it first */
    AF_CHECK_STR(fix_run(&f, fix_scan(&f, "m", "v:f", "", "host")), "! ECANCELED: query interrupted\n");
    AF_CHECK_STR(fix_run(&f, fix_scan(&f, "m", "v:f", "", "")), "! ECANCELED: query interrupted\n");
    counting_end(&c, &f);
}

/* --- allocation N fails, for every N ------------------------------------------------------------------------------------------ */

static void sweep(struct fix *f, const struct af_node *node, const char *want)
{
    size_t failures = 0;
    for (size_t nth = 1;; nth++) {
        AF_CHECK(nth < 2000);
        af_alloc_fail_nth(nth);
        fix_prepare(f, node);
        struct af_tables *tables = NULL;
        enum af_status status = af_exec_open(&f->options, &tables, &f->err);
        struct af_arena arena;
        af_arena_init(&arena, SIZE_MAX);
        const struct af_table *table = NULL;
        while (status == AF_OK && (status = af_tables_next(tables, &arena, &table, &f->err)) == AF_OK && table != NULL) {
            af_arena_done(&arena); /* so that its chunks are asked for again */
            af_arena_init(&arena, SIZE_MAX);
        }
        af_alloc_fail_nth(0);
        af_tables_close(tables);
        af_arena_done(&arena);
        if (status == AF_OK)
            break;
        AF_CHECK_INT(status, AF_ENOMEM);
        failures++;
    }
    AF_CHECK(failures > 10);
    AF_CHECK_STR(fix_run(f, node), want);
}

AF_TEST(scan_without_memory)
{
    struct fix f;
    fix_begin(&f, "m,host=a,r=x v=1 1\nm,host=a,r=y v=2,s=\"t\" 2\nm,host=b v=3 3\nm,host=c\\ d w=4i 1\n");
    for (int i = 0; i < 3; i++) {
        f.store->caps = i == 0 ? AF_STORE_CAN_SERIES : i == 1 ? 0 : AF_STORE_CAN_SERIES | AF_STORE_CAN_FOLD;
        struct af_plan_scan scan = fix_scan_settings(&f, "m", "v:f s:s", "r host", "host");
        scan.rows_hint = i == 2 ? 1 : 0;
        sweep(&f, fix_scan_node(&f, &scan),
              "m host=a | 1 1 null \"x\" \"a\"\nm host=a | 2 2 \"t\" \"y\" \"a\"\nm host=b | 3 3 null \"\" \"b\"\n");
    }
    fix_end(&f);
}
