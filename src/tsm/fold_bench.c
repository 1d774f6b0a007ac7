/*
 * fold_bench.c - folded scans over 20 million values: 1,000 series of five regions with two float fields, hourly, in compacted files.
 *
 *     fold_bench [rows a series [times each [only questions with this in their name [two|week]]]]
 *
 * Each question with one thread (processor time, median and least: others on the machine do not count) and with all (wall time), warm.
 * "values/s" counts the values that are folded, whether they are decoded or known by their statistics. References: the same blocks decoded
 * and nothing else (af_tsm_read_block), and the sum of so many doubles that are in memory already, which is what memory gives.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/prng.h"
#include "os/clock.h"
#include "tsm/fold_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SERIES = 1000, FIELDS = 2, ROWS = AF_BATCH_ROWS, BUCKET = 1, TIMES_MAX = 101 };
#define HOUR INT64_C(3600000000000)
#define DAY (24 * HOUR)
#define WEEK (7 * DAY)
#define START INT64_C(1577836800000000000)

static struct af_error err;
static size_t rows_each = 10000;
static int times_each = 15;
static const char *only = "";

static void check(enum af_status status)
{
    if (status == AF_OK)
        return;
    fprintf(stderr, "fold_bench: %s\n", err.message);
    exit(1);
}

static double wall_s(void)
{
    return (double)af_clock_mono_ns() / 1e9;
}

static double cpu_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- data ----------------------------------------------------------------------------------------------------------------- */

/* Power is noisy, capacity moves in steps of a tenth. */
static double value_of(struct af_prng *prng, int field)
{
    return field == 0 ? af_prng_unit(prng) * 5000 : (double)af_prng_below(prng, 20000) / 10;
}

static void add_keys(struct af_series_set *set)
{
    static const char *const regions[] = { "north", "northeast", "center", "southeast", "south" };
    for (unsigned i = 0; i < SERIES; i++) {
        char key[100];
        uint32_t id;
        int len = snprintf(key, sizeof key, "generation_data,energy_source=hydro,plant=PLANT%04u,region=%s", i, regions[i % 5]);
        check(af_intern_add(&set->keys, af_slice_make(key, (size_t)len), &id, &err));
    }
}

static void write_all(struct af_tsm *engine)
{
    static uint32_t series[ROWS];
    static int64_t times[ROWS];
    static double values[FIELDS][ROWS];
    struct af_prng prng = { 4 };
    struct af_series_set set;
    struct af_arena arena;
    struct af_tsm_series_memo *memo = af_tsm_series_memo_new();
    const struct af_point_field fields[FIELDS] = {
        { AF_SLICE_LIT("power_mw"), AF_SLICE_LIT("power_mw"), { .type = AF_TYPE_F64, .f64 = values[0] } },
        { AF_SLICE_LIT("capacity_mw"), AF_SLICE_LIT("capacity_mw"), { .type = AF_TYPE_F64, .f64 = values[1] } },
    };
    af_series_set_init(&set);
    af_arena_init(&arena, SIZE_MAX);
    add_keys(&set);
    for (size_t done = 0; done < rows_each * SERIES;) {
        size_t count = rows_each * SERIES - done < ROWS ? rows_each * SERIES - done : ROWS;
        for (size_t i = 0; i < count; i++, done++) {
            series[i] = (uint32_t)(done % SERIES);
            times[i] = START + (int64_t)(done / SERIES) * HOUR;
            for (int f = 0; f < FIELDS; f++)
                values[f][i] = value_of(&prng, f);
        }
        const struct af_points points = { .row_count = count, .set = &set, .series = series, .time_ns = times, .field_count = FIELDS,
                                          .fields = fields };
        const struct af_tsm_write write = { .bucket = BUCKET, .points = &points, .arena = &arena, .memo = memo };
        struct af_tsm_verdict verdict;
        check(af_tsm_write(engine, &write, &verdict, &err));
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    af_series_set_done(&set);
    af_tsm_series_memo_free(memo);
}

/* --- questions ------------------------------------------------------------------------------------------------------------ */

static double run_once(struct af_tsm *engine, const struct af_scan *scan, double (*clock_s)(void), size_t *out_rows)
{
    struct af_view *view;
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    double start = clock_s();
    *out_rows = 0;
    check(af_view_open(engine, BUCKET, scan->start_ns, scan->stop_ns, &view, &err));
    check(af_tsm_scan(view, scan, &stream, &err));
    for (;;) {
        check(af_stream_next(stream, &arena, &batch, &err));
        if (batch == NULL)
            break;
        *out_rows += batch->row_count;
        af_arena_reset(&arena);
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    return clock_s() - start;
}

static int by_size(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double median(struct af_tsm *engine, const struct af_scan *scan, double (*clock_s)(void), size_t *out_rows, double *out_least)
{
    double took[TIMES_MAX];
    (void)run_once(engine, scan, clock_s, out_rows);
    for (int i = 0; i < times_each; i++)
        took[i] = run_once(engine, scan, clock_s, out_rows);
    qsort(took, (size_t)times_each, sizeof *took, by_size);
    *out_least = took[0];
    return took[times_each / 2];
}

static void ask(struct af_tsm *engine, const char *what, struct af_scan scan, double values, double reference)
{
    size_t rows;
    double least_one, least_all;
    if (strstr(what, only) == NULL)
        return;
    scan.measurement = "generation_data";
    scan.workers = 1;
    double one = median(engine, &scan, cpu_s, &rows, &least_one);
    scan.workers = 0;
    double all = median(engine, &scan, wall_s, &rows, &least_all);
    printf("  %-46s %6zu rows  1 thread %7.2f ms (least %7.2f)", what, rows, one * 1e3, least_one * 1e3);
    if (values > 0)
        printf("  %6.0f M values/s", values / least_one / 1e6);
    if (reference > 0)
        printf(" = %.2f of decoding", values / least_one / reference);
    printf("  %u threads %7.2f ms (least %7.2f)\n", af_cpu_count(), all * 1e3, least_all * 1e3);
}

static void ask_all(struct af_tsm *engine, double decoding)
{
    const struct af_fold mean[] = { { AF_FOLD_COUNT, "power_mw" }, { AF_FOLD_SUM, "power_mw" } };
    const struct af_fold means[] = { { AF_FOLD_COUNT, "power_mw" }, { AF_FOLD_SUM, "power_mw" }, { AF_FOLD_COUNT, "capacity_mw" },
                                     { AF_FOLD_SUM, "capacity_mw" } };
    const struct af_fold counts[] = { { AF_FOLD_COUNT, "power_mw" }, { AF_FOLD_COUNT, "capacity_mw" } };
    const struct af_fold lasts[] = { { AF_FOLD_LAST, "power_mw" }, { AF_FOLD_LAST, "capacity_mw" } };
    const struct af_fold max[] = { { AF_FOLD_MAX, "power_mw" } };
    const struct af_fold sum[] = { { AF_FOLD_SUM, "power_mw" } };
    const struct af_slice region[] = { AF_SLICE_LIT("region") }, plant[] = { AF_SLICE_LIT("plant") };
    const struct af_predicate one = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("plant"), .value = AF_SLICE_LIT("PLANT0500") };
    const double n = (double)rows_each * SERIES;
    const struct af_scan all = { .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_scan scan = all;
    scan.folds = lasts, scan.fold_count = 2, scan.group_all = true;
    ask(engine, "last of every series, 2 fields", scan, 0, 0);
    scan = all;
    scan.folds = mean, scan.fold_count = 2, scan.window.every_ns = HOUR;
    scan.start_ns = START + 100 * DAY + HOUR / 2, scan.stop_ns = scan.start_ns + 30 * DAY;
    ask(engine, "mean by 1 h over all series, 30 days", scan, 720.0 * SERIES, decoding);
    scan.folds = means, scan.fold_count = 4;
    ask(engine, "the same of both fields", scan, 1440.0 * SERIES, decoding);
    scan = all;
    scan.folds = counts, scan.fold_count = 2;
    ask(engine, "count of everything", scan, 2 * n, 0);
    scan.folds = mean;
    scan.group = region, scan.group_count = 1, scan.window.every_ns = DAY;
    ask(engine, "mean by region and day, everything, statistics", scan, n, 0);
    scan.window.offset_ns = HOUR;
    ask(engine, "mean by region and day + 1 h, decoded", scan, n, decoding);
    scan.window = (struct af_window){ .every_ns = HOUR };
    ask(engine, "mean by region and hour, everything", scan, n, decoding);
    scan.window = (struct af_window){ .every_ns = 6 * HOUR };
    ask(engine, "mean by region and 6 hours, everything", scan, n, decoding);
    scan.folds = max, scan.fold_count = 1;
    ask(engine, "max by region and 6 hours, everything", scan, n, decoding);
    scan = all;
    scan.folds = sum, scan.fold_count = 1, scan.group = plant, scan.group_count = 1;
    scan.start_ns = START + 10 * DAY + HOUR / 2, scan.stop_ns = scan.start_ns + 365 * DAY;
    ask(engine, "sum by plant, 365 days", scan, 8760.0 * SERIES, 0);
    scan = all;
    scan.folds = max, scan.fold_count = 1;
    ask(engine, "max of everything", scan, n, 0);
    scan.predicate = &one;
    ask(engine, "max of one plant, everything", scan, (double)rows_each, 0);
    scan = all;
    scan.folds = means, scan.fold_count = 4, scan.group_all = true, scan.window.every_ns = DAY, scan.window.offset_ns = HOUR;
    ask(engine, "mean by series and day + 1 h, 2 fields", scan, 2 * n, decoding);
}

/* --- references ----------------------------------------------------------------------------------------------------------- */

/* Blocks of one field, read and decoded: values a second. */
static double decode_once(struct af_tsm *engine)
{
    struct af_view *view;
    struct af_arena arena;
    size_t values = 0;
    af_arena_init(&arena, SIZE_MAX);
    check(af_view_open(engine, BUCKET, INT64_MIN, INT64_MAX, &view, &err));
    double start = cpu_s();
    for (size_t i = 0; i < view->shard_count; i++)
        for (size_t k = 0; k < view->shards[i].files->count; k++) {
            struct af_tsm_file *file = view->shards[i].files->parts[k]->file;
            struct af_tsm_cursor *cursor;
            struct af_tsm_entry entry;
            check(af_tsm_cursor_open(file, AF_SLICE_LIT(""), &cursor, &err));
            for (check(af_tsm_cursor_next(cursor, &entry, &err)); entry.key.ptr != NULL; check(af_tsm_cursor_next(cursor, &entry, &err)))
                for (size_t b = 0; b < entry.block_count && entry.key.ptr[entry.key.len - 8] == 'p'; b++) {
                    struct af_tsm_values block;
                    check(af_tsm_read_block(file, entry.type, &entry.blocks[b], &arena, &block, &err));
                    values += block.count;
                    af_arena_reset(&arena);
                }
            af_tsm_cursor_close(cursor);
        }
    double took = cpu_s() - start;
    af_view_close(view);
    af_arena_done(&arena);
    return (double)values / took;
}

static double decode_best(struct af_tsm *engine)
{
    double best = 0;
    for (int i = 0; i < 5; i++) {
        double each = decode_once(engine);
        best = each > best ? each : best;
    }
    return best;
}

static void bench_memory(void)
{
    const size_t count = (size_t)16 << 20;
    double *values = malloc(count * sizeof *values), best = 1e9, total = 0;
    const struct fold_column column = { .type = AF_TYPE_F64, .ops = FOLD_COUNT | FOLD_SUM };
    const struct fold_shape shape = { .columns = &column, .column_count = 1, .windows = { .kind = FOLD_WHOLE, .count = 1 } };
    struct fold_table *table = fold_table_new(&shape);
    check(fold_table_reset(table, 0, 1, &err));
    for (size_t i = 0; i < count; i++)
        values[i] = (double)i;
    for (int i = 0; i < 5; i++) {
        const struct fold_rows rows = { .numbers = values, .step_ns = 1, .end = count };
        double start = cpu_s();
        check(fold_add_rows(table, 0, 0, &rows, &err));
        double took = cpu_s() - start;
        best = took < best ? took : best;
    }
    total += (double)table->columns[0].at[CELL_COUNT][0];
    printf("sum of %zu M doubles in memory: %.0f M values/s, %.1f GB/s (%g)\n", count >> 20, (double)count / best / 1e6,
           (double)count * 8 / best / 1e9, total);
    fold_table_free(table);
    free(values);
}

static void bench(const char *what, int64_t shard_ns)
{
    struct af_tsm *engine;
    struct af_tsm_options options = { .dir = "fold_bench.dir", .no_wal = true, .is_manual = true, .compact_bytes_per_s = UINT64_MAX };
    struct af_tsm_bucket bucket = { .id = BUCKET, .shard_ns = shard_ns };
    bool done = true;
    if (system("rm -rf fold_bench.dir") != 0)
        exit(1);
    check(af_tsm_open(&options, &engine, &err));
    check(af_tsm_bucket_set(engine, &bucket, &err));
    write_all(engine);
    check(af_tsm_flush(engine, &err));
    while (done)
        check(af_tsm_compact(engine, true, &done, &err));
    struct af_tsm_stats_now stats;
    af_tsm_stats_get_now(engine, &stats);
    const double decoding = decode_best(engine);
    printf("%s: %llu shards, %llu files, %.2f bytes a value; decoding alone: %.0f M values/s\n", what, (unsigned long long)stats.shards,
           (unsigned long long)stats.files, (double)stats.file_bytes / (double)(rows_each * SERIES * FIELDS), decoding / 1e6);
    ask_all(engine, decoding);
    printf("  digests: %.1f MB\n", (double)af_digest_bytes() / 1e6);
    af_tsm_close(engine);
    if (system("rm -rf fold_bench.dir") != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    rows_each = argc > 1 ? strtoul(argv[1], NULL, 10) : rows_each;
    times_each = argc > 2 ? (int)strtol(argv[2], NULL, 10) : times_each;
    only = argc > 3 ? argv[3] : only;
    times_each = times_each < 1 ? 1 : times_each > TIMES_MAX ? TIMES_MAX : times_each;
    bench_memory();
    const char *shards = argc > 4 ? argv[4] : "";
    if (strstr("two", shards) != NULL)
        bench("shards of two years", 104 * WEEK);
    if (strstr("week", shards) != NULL)
        bench("shards of a week", WEEK);
    return 0;
}
