/*
 * scan_bench.c - reading 20 million values of 1,000 series with two float fields, hourly, from compacted files.
 *
 *     scan_bench [rows a series]
 *
 * References: decoding the same blocks without making rows of them (af_tsm_read_block over the whole file), and a copy of the values.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/prng.h"
#include "os/clock.h"
#include "tsm/tsm_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { SERIES = 1000, FIELDS = 2, ROWS = AF_BATCH_ROWS, BUCKET = 1 };
#define HOUR INT64_C(3600000000000)
#define WEEK (INT64_C(7) * 24 * HOUR)

static struct af_error err;

static void check(enum af_status status)
{
    if (status == AF_OK)
        return;
    fprintf(stderr, "scan_bench: %s\n", err.message);
    exit(1);
}

static double now_s(void)
{
    return (double)af_clock_mono_ns() / 1e9;
}

static double random_value(struct af_prng *prng)
{
    switch (af_prng_below(prng, 3)) {
    case 0: return (double)af_prng_below(prng, 100000) / 10;
    case 1: return (double)af_prng_below(prng, 10000000) / 1000;
    default: return af_prng_unit(prng) * 5000;
    }
}

static void write_all(struct af_tsm *engine, size_t rows_each)
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
    for (unsigned i = 0; i < SERIES; i++) {
        char key[100];
        uint32_t id;
        int len = snprintf(key, sizeof key, "generation_data,energy_source=hydro,plant=PLANT%04u,region=southeast", i);
        check(af_intern_add(&set.keys, af_slice_make(key, (size_t)len), &id, &err));
    }
    for (size_t done = 0; done < rows_each * SERIES;) {
        size_t count = rows_each * SERIES - done < ROWS ? rows_each * SERIES - done : ROWS;
        for (size_t i = 0; i < count; i++, done++) {
            series[i] = (uint32_t)(done % SERIES);
            times[i] = INT64_C(1577836800000000000) + (int64_t)(done / SERIES) * HOUR;
            for (int f = 0; f < FIELDS; f++)
                values[f][i] = random_value(&prng);
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

static double scan_once(struct af_tsm *engine, const struct af_scan *scan, size_t *out_values, double *out_sum)
{
    struct af_view *view;
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    double start = now_s();
    *out_values = 0;
    *out_sum = 0;
    check(af_view_open(engine, BUCKET, scan->start_ns, scan->stop_ns, &view, &err));
    check(af_tsm_scan(view, scan, &stream, &err));
    for (;;) {
        check(af_stream_next(stream, &arena, &batch, &err));
        if (batch == NULL)
            break;
        for (size_t i = 2; i < batch->schema->field_count; i++)
            *out_values += batch->row_count - batch->columns[i].null_count;
        *out_sum += batch->columns[2].f64[0];
        af_arena_reset(&arena);
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    return now_s() - start;
}

/* Every block of every file, read and decoded. */
static double decode_once(struct af_tsm *engine, size_t *out_values)
{
    struct af_view *view;
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    check(af_view_open(engine, BUCKET, INT64_MIN, INT64_MAX, &view, &err));
    double start = now_s();
    *out_values = 0;
    for (size_t i = 0; i < view->shard_count; i++)
        for (size_t k = 0; k < view->shards[i].files->count; k++) {
            struct af_tsm_file *file = view->shards[i].files->parts[k]->file;
            struct af_tsm_cursor *cursor;
            struct af_tsm_entry entry;
            check(af_tsm_cursor_open(file, AF_SLICE_LIT(""), &cursor, &err));
            for (check(af_tsm_cursor_next(cursor, &entry, &err)); entry.key.ptr != NULL; check(af_tsm_cursor_next(cursor, &entry, &err)))
                for (size_t b = 0; b < entry.block_count; b++) {
                    struct af_tsm_values values;
                    check(af_tsm_read_block(file, entry.type, &entry.blocks[b], &arena, &values, &err));
                    *out_values += values.count;
                    af_arena_reset(&arena);
                }
            af_tsm_cursor_close(cursor);
        }
    double took = now_s() - start;
    af_view_close(view);
    af_arena_done(&arena);
    return took;
}

static void compare(struct af_tsm *engine, const char *what)
{
    struct af_scan all = { .measurement = "generation_data", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    const struct af_predicate plant = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("plant"), .value = AF_SLICE_LIT("PLANT0500") };
    struct af_scan one = all;
    one.predicate = &plant;
    double best = 1e9, decode = 1e9, single = 1e9, sum;
    size_t values = 0, decoded = 0, few = 0;
    for (int i = 0; i < 5; i++) {
        double took = scan_once(engine, &all, &values, &sum);
        best = took < best ? took : best;
        took = decode_once(engine, &decoded);
        decode = took < decode ? took : decode;
        took = scan_once(engine, &one, &few, &sum);
        single = took < single ? took : single;
    }
    printf("%s: %.1f M values scanned in %.3f s: %.0f M/s, %.2f of decoding alone (%.0f M/s); one series: %zu values in %.2f ms\n", what,
           (double)values / 1e6, best, (double)values / best / 1e6, decode / best, (double)decoded / decode / 1e6, few, single * 1e3);
}

static void bench(const char *what, int64_t shard_ns, size_t rows_each)
{
    struct af_tsm *engine;
    struct af_tsm_options options = { .dir = "scan_bench.dir", .no_wal = true, .is_manual = true, .compact_bytes_per_s = UINT64_MAX };
    struct af_tsm_bucket bucket = { .id = BUCKET, .shard_ns = shard_ns };
    bool done = true;
    if (system("rm -rf scan_bench.dir") != 0)
        exit(1);
    check(af_tsm_open(&options, &engine, &err));
    check(af_tsm_bucket_set(engine, &bucket, &err));
    double start = now_s();
    write_all(engine, rows_each);
    check(af_tsm_flush(engine, &err));
    while (done)
        check(af_tsm_compact(engine, true, &done, &err));
    struct af_tsm_stats_now stats;
    af_tsm_stats_get_now(engine, &stats);
    printf("%s: %llu shards, %llu files, %.2f bytes a value, made in %.1f s\n", what, (unsigned long long)stats.shards,
           (unsigned long long)stats.files, (double)stats.file_bytes / (double)(rows_each * SERIES * FIELDS), now_s() - start);
    compare(engine, what);
    af_tsm_close(engine);
    if (system("rm -rf scan_bench.dir") != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    size_t rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
    bench("shards of two years", 104 * WEEK, rows);
    bench("shards of a week", WEEK, rows);
    return 0;
}
