/*
 * exec_bench.c - what SCAN and FOLD cost beside the store's own stream: nanoseconds a row (or a group), and the ratio to draining the
 * stream.
 *
 * The store is made up: its batches are written with memcpy into the arena of the pull, which is as cheap as a scan can be. So ratios are
 * the worst there can be; a store that decodes takes 3 ns a value and more.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "exec/exec_int.h"
#include <math.h>
#include <stdio.h>
#include <time.h>

enum { SERIES_MAX = 1000, PASSES = 5 };
#define HOUR_NS INT64_C(3600000000000)

static size_t series_count, rows_each;
static char keys[SERIES_MAX][32];
static int64_t times[1 << 20];
static double values[1 << 20];
static struct af_error err;

/* Of this process: others may be at work on the machine. */
static double now_ns(void)
{
    return (double)clock() * (1e9 / CLOCKS_PER_SEC);
}

/* --- the store ---------------------------------------------------------------------------------------------------------------- */

struct stream {
    struct af_stream base;
    size_t series, row, last_row;        /* rows [row, last_row) of series on */
    size_t series_end, first_row;
    bool is_list, is_one_group;
    size_t fold_count;
    enum af_fold_op folds[3];
};
static const struct af_field row_fields[] = {
    { .name = "series", .type = AF_TYPE_STRING }, { .name = "time", .type = AF_TYPE_TIME }, { .name = "v", .type = AF_TYPE_F64 },
    { .name = "0.time", .type = AF_TYPE_TIME },   { .name = "1", .type = AF_TYPE_F64 },     { .name = "1.time", .type = AF_TYPE_TIME },
    { .name = "2", .type = AF_TYPE_F64 },         { .name = "2.time", .type = AF_TYPE_TIME },
};
static const struct af_schema row_schema = { 3, row_fields }, list_schema = { 1, row_fields };
static const struct af_schema fold_schemas[] = { { 4, row_fields }, { 6, row_fields }, { 8, row_fields } };

static bool add_keys(size_t first, size_t count, struct af_arena *arena, struct af_column *out)
{
    int32_t offsets[SERIES_MAX + 1] = { 0 };
    static char bytes[sizeof keys];
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(keys[first + i]);
        memcpy(bytes + offsets[i], keys[first + i], len);
        offsets[i + 1] = offsets[i] + (int32_t)len;
    }
    out->type = AF_TYPE_STRING;
    if (af_dict_new(offsets, bytes, (uint32_t)count, &out->dict, &err) != AF_OK || af_dict_hold(out->dict, arena, &err) != AF_OK)
        return false;
    af_dict_unref(out->dict);
    return true;
}

/* Rows of as many series as fit. */
static enum af_status fill(struct stream *s, struct af_arena *arena, struct af_column *columns, size_t *out_rows)
{
    uint32_t *codes = af_arena_array(arena, AF_BATCH_ROWS, sizeof *codes);
    int64_t *time_ns = af_arena_array(arena, AF_BATCH_ROWS, sizeof *time_ns);
    double *v = af_arena_array(arena, AF_BATCH_ROWS, sizeof *v);
    size_t first = s->series, rows = 0;
    if (codes == NULL || time_ns == NULL || v == NULL)
        return AF_ENOMEM;
    while (s->series < s->series_end && rows < AF_BATCH_ROWS) {
        size_t count = s->last_row - s->row < AF_BATCH_ROWS - rows ? s->last_row - s->row : AF_BATCH_ROWS - rows;
        memcpy(time_ns + rows, times + s->row, count * sizeof *time_ns);
        memcpy(v + rows, values + s->row, count * sizeof *v);
        for (size_t i = 0; i < count; i++)
            codes[rows + i] = (uint32_t)(s->series - first);
        rows += count;
        s->row += count;
        if (s->row == s->last_row) {
            s->series++;
            s->row = s->first_row;
        }
    }
    size_t seen = s->series - first + (s->series < s->series_end);
    if (!add_keys(first, seen, arena, &columns[0]))
        return AF_ENOMEM;
    columns[0].codes = codes;
    columns[1] = (struct af_column){ .type = AF_TYPE_TIME, .i64 = time_ns };
    columns[2] = (struct af_column){ .type = AF_TYPE_F64, .f64 = v };
    *out_rows = rows;
    return AF_OK;
}

/* A row a series: how many rows it has, or the first or last of them. */
static enum af_status fold(struct stream *s, struct af_arena *arena, struct af_column *columns, size_t *out_rows)
{
    if (!add_keys(0, series_count, arena, &columns[0]))
        return AF_ENOMEM;
    uint32_t *codes = af_arena_array(arena, series_count, sizeof *codes);
    for (size_t k = 0; k < s->fold_count; k++) {
        bool is_count = s->folds[k] == AF_FOLD_COUNT;
        size_t row = s->folds[k] == AF_FOLD_LAST ? rows_each - 1 : 0;
        int64_t *cells = af_arena_array(arena, series_count, sizeof *cells), *time_ns = af_arena_array(arena, series_count,
                                        sizeof *time_ns);
        if (codes == NULL || cells == NULL || time_ns == NULL)
            return AF_ENOMEM;
        for (size_t i = 0; i < series_count; i++) {
            codes[i] = (uint32_t)i;
            time_ns[i] = times[row];
            cells[i] = (int64_t)(rows_each * (s->is_one_group ? series_count : 1)); /* of the others: some value */
        }
        columns[2 + 2 * k] = (struct af_column){ .type = is_count ? AF_TYPE_I64 : AF_TYPE_F64, .i64 = cells };
        columns[3 + 2 * k] = (struct af_column){ .type = AF_TYPE_TIME, .i64 = time_ns };
        columns[1] = columns[3];
    }
    columns[0].codes = codes;
    s->series = s->series_end;
    *out_rows = s->is_one_group ? 1 : series_count;
    return AF_OK;
}

static enum af_status list(struct stream *s, struct af_arena *arena, struct af_column *columns, size_t *out_rows)
{
    uint32_t *codes = af_arena_array(arena, series_count, sizeof *codes);
    if (codes == NULL || !add_keys(0, series_count, arena, &columns[0]))
        return AF_ENOMEM;
    for (size_t i = 0; i < series_count; i++)
        codes[i] = (uint32_t)i;
    columns[0].codes = codes;
    s->series = s->series_end;
    *out_rows = series_count;
    return AF_OK;
}

static enum af_status stream_next(struct af_stream *base, struct af_arena *arena, struct af_batch **out, struct af_error *e)
{
    (void)e;
    struct stream *s = (struct stream *)base;
    *out = NULL;
    if (s->series == s->series_end)
        return AF_OK;
    struct af_batch *batch = af_arena_zero(arena, 1, sizeof *batch);
    struct af_column *columns = af_arena_zero(arena, 8, sizeof *columns);
    if (batch == NULL || columns == NULL)
        return AF_ENOMEM;
    *batch = (struct af_batch){ .schema = base->schema, .columns = columns };
    *out = batch;
    if (s->fold_count != 0)
        return fold(s, arena, columns, &batch->row_count);
    return s->is_list ? list(s, arena, columns, &batch->row_count) : fill(s, arena, columns, &batch->row_count);
}

static void stream_close(struct af_stream *base)
{
    af_free(base);
}

static const struct af_stream_ops stream_ops = { stream_next, stream_close };

/* The first row that is not before `t`: one an hour. */
static size_t row_of(int64_t t)
{
    if (t <= 0)
        return 0;
    return t / HOUR_NS >= (int64_t)rows_each ? rows_each : (size_t)((t + HOUR_NS - 1) / HOUR_NS);
}

static enum af_status open_stream(const struct af_scan *scan, bool is_list, struct af_stream **out)
{
    struct stream *s = af_alloc_zero(1, sizeof *s);
    if (s == NULL)
        return AF_ENOMEM;
    *s = (struct stream){ .base = { &stream_ops, &row_schema }, .series_end = series_count, .is_list = is_list, .last_row = rows_each };
    s->fold_count = scan->fold_count;
    s->is_one_group = scan->group_count == 0;
    for (size_t i = 0; i < s->fold_count && i < 3; i++)
        s->folds[i] = scan->folds[i].op;
    if (is_list)
        s->base.schema = &list_schema;
    if (s->fold_count != 0)
        s->base.schema = &fold_schemas[s->fold_count - 1];
    if (!is_list && s->fold_count == 0) {
        s->first_row = row_of(scan->start_ns);
        s->last_row = row_of(scan->stop_ns);
    }
    s->row = s->first_row;
    if (s->first_row == s->last_row)
        s->series = s->series_end;
    *out = &s->base;
    return AF_OK;
}

static enum af_status store_scan(struct af_store *store, const struct af_scan *scan, struct af_stream **out, struct af_error *e)
{
    (void)store, (void)e;
    return open_stream(scan, false, out);
}

static enum af_status store_list(struct af_store *store, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                                 struct af_error *e)
{
    (void)store, (void)e, (void)what;
    return open_stream(scan, true, out);
}

static const struct af_store_ops store_ops = { .name = "made up", .scan = store_scan, .list = store_list };

/* --- measuring ---------------------------------------------------------------------------------------------------------------- */

struct run {
    struct af_store store;
    struct af_plan plan;
    size_t rows;
};

/* What the store alone takes. */
static double drain(struct run *run, const struct af_scan *scan)
{
    double best = INFINITY;
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    for (int pass = 0; pass < PASSES; pass++) {
        struct af_stream *stream;
        struct af_batch *batch;
        double start = now_ns();
        run->rows = 0;
        if (af_store_scan(&run->store, scan, &stream, &err) != AF_OK)
            return 0;
        while (af_stream_next(stream, &arena, &batch, &err) == AF_OK && batch != NULL) {
            run->rows += batch->row_count;
            af_arena_reset(&arena);
        }
        af_stream_close(stream);
        double took = now_ns() - start;
        best = took < best ? took : best;
    }
    af_arena_done(&arena);
    return best;
}

static double execute(struct run *run)
{
    struct af_store *stores[] = { &run->store };
    struct af_exec_options options = { .plan = &run->plan, .stores = stores, .store_count = 1 };
    double best = INFINITY;
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    for (int pass = 0; pass < PASSES; pass++) {
        struct af_tables *tables;
        const struct af_table *table;
        double start = now_ns();
        run->rows = 0;
        if (af_exec_open(&options, &tables, &err) != AF_OK)
            return 0;
        while (af_tables_next(tables, &arena, &table, &err) == AF_OK && table != NULL) {
            run->rows += table->rows->row_count;
            af_arena_reset(&arena);
        }
        af_tables_close(tables);
        double took = now_ns() - start;
        best = took < best ? took : best;
    }
    af_arena_done(&arena);
    return best;
}

static void measure(const char *what, size_t series, size_t rows, const char *group, bool descending, bool fold)
{
    static const char *const fields[] = { "v" };
    static const enum af_type types[] = { AF_TYPE_F64 };
    struct af_slice tag = af_slice_of(group);
    struct run run = { .store = { .ops = &store_ops, .name = "made up", .caps = AF_STORE_CAN_SERIES | AF_STORE_CAN_FOLD } };
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    af_plan_init(&run.plan, &arena);
    series_count = series;
    rows_each = rows;
    struct af_plan_scan scan = { .source_name = "", .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .fields = fields,
                                 .field_types = types, .field_count = 1, .group = &tag, .group_count = *group != '\0',
                                 .descending = descending };
    struct af_plan_call call = { .call = { .id = AF_FN_MAX, .type = AF_TYPE_F64 }, .column = 1, .name = "max" };
    struct af_plan_aggregate aggregate = { .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .calls = &call, .call_count = 1,
                                           .descending = descending };
    struct af_fold folds[] = { { AF_FOLD_MAX, "v" } };
    struct af_scan plain = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .fields = fields, .field_count = 1 };
    enum af_status status = af_plan_scan(&run.plan, &scan, &run.plan.root, &err);
    if (fold && status == AF_OK) {
        plain.folds = folds;
        plain.fold_count = 1;
        status = af_plan_aggregate(&run.plan, run.plan.root, &aggregate, &run.plan.root, &err);
    }
    if (fold && status == AF_OK)
        status = af_plan_improve(&run.plan, &(struct af_rules_world){ &run.store.caps, 1 }, &err);
    if (status != AF_OK) {
        printf("%s: %s\n", what, err.message);
        return;
    }
    double alone = drain(&run, &plain);
    double took = execute(&run);
    printf("%-44s %9zu rows %9.3f ms %7.2f ns/row   stream alone %6.2f ns/row, ratio %5.2f\n", what, run.rows, took / 1e6,
           took / (double)run.rows, alone / (double)run.rows, took / alone);
    af_arena_done(&arena);
}

int main(void)
{
    for (size_t i = 0; i < SERIES_MAX; i++)
        (void)snprintf(keys[i], sizeof keys[i], "m,host=h%04zu,region=r%zu", i, i % 7);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        times[i] = (int64_t)i * HOUR_NS;
        values[i] = (double)i;
    }
    measure("one series", 1, 1000000, "", false, false);
    measure("one series, descending", 1, 1000000, "", true, false);
    measure("1000 series, each a group", 1000, 1000, "host", false, false);
    measure("1000 series of 168 rows, each a group", 1000, 168, "host", false, false);
    measure("1000 series, merged", 1000, 1000, "", false, false);
    measure("1000 groups folded, a row each", 1000, 1000, "host", false, true);
    measure("1000 groups folded, descending", 1000, 1000, "host", true, true);
    return 0;
}
