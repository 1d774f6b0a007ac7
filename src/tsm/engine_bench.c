/*
 * engine_bench.c - points a second through af_tsm_write, and what a point costs where.
 *
 *     engine_bench [directory] [millions of rows]
 *
 * Batches of 10,000 rows of 2 floats over 1,000 series, two threads, hourly times as sensors send them: with the log (each batch is on
 * disk when the call returns), without, and the parts alone on one thread. The reference is a bare append + fdatasync of the same bytes
 * that the log gets: what any durable store must at least do.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "os/clock.h"
#include "os/thread.h"
#include "os/tree.h"
#include "tsm/core_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SERIES = 1000, ROWS = 10000, THREADS = 2, BUCKET = 1 };
#define HOUR_NS (INT64_C(3600) * 1000000000)

static void must(enum af_status status, const struct af_error *err)
{
    if (status == AF_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* Processor time of this thread, so that others on the machine do not count. */
static int64_t cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double seconds_since(int64_t mono_ns)
{
    return (double)(af_clock_mono_ns() - mono_ns) / 1e9;
}

/* One thread's batch: its own series set, columns that are filled anew for each batch. */
struct batch {
    struct af_series_set set;
    struct af_points points;
    uint32_t series[ROWS];
    int64_t time_ns[ROWS];
    double values[2][ROWS];
    struct af_point_field fields[2];
};

static struct batch *batch_new(unsigned thread)
{
    struct batch *batch = calloc(1, sizeof *batch);
    struct af_error err;
    char key[128];
    af_series_set_init(&batch->set);
    for (unsigned i = 0; i < SERIES; i++) {
        uint32_t id;
        int len = snprintf(key, sizeof key, "generation_data,plant=plant_%04u,region=r%u,source=hydro",
                           thread * SERIES / THREADS + i / THREADS, i % 5);
        must(af_intern_add(&batch->set.keys, af_slice_make(key, (size_t)len), &id, &err), &err);
    }
    static const char *const names[] = { "power_mw", "flow_m3s" };
    for (int f = 0; f < 2; f++)
        batch->fields[f] = (struct af_point_field){ .name = af_slice_of(names[f]), .escaped = af_slice_of(names[f]),
                                                    .column = { .type = AF_TYPE_F64, .f64 = batch->values[f] } };
    batch->points = (struct af_points){ .row_count = ROWS, .set = &batch->set, .series = batch->series, .time_ns = batch->time_ns,
                                        .field_count = 2, .fields = batch->fields };
    return batch;
}

static void batch_fill(struct batch *batch, unsigned number)
{
    uint32_t count = batch->set.keys.count;
    for (unsigned i = 0; i < ROWS; i++) {
        unsigned step = number * (ROWS / SERIES) + i / SERIES;
        batch->series[i] = i % count;
        batch->time_ns[i] = INT64_C(1700000000000000000) / HOUR_NS * HOUR_NS + (int64_t)step * HOUR_NS + (i / count % 2) * (HOUR_NS / 2);
        batch->values[0][i] = (double)((i * 7919 + step * 31) % 100000) / 100;
        batch->values[1][i] = (double)((i * 104729 + step * 17) % 10000) / 10;
    }
}

static void batch_free(struct batch *batch)
{
    af_series_set_done(&batch->set);
    free(batch);
}

/* --- whole writes ---------------------------------------------------------------------------------------------------------- */

struct worker {
    struct af_tsm *engine;
    unsigned thread, batches;
    double worst_ms;
};

static void run_worker(void *ctx)
{
    struct worker *worker = ctx;
    struct batch *batch = batch_new(worker->thread);
    struct af_tsm_series_memo *memo = af_tsm_series_memo_new();
    struct af_arena arena;
    struct af_tsm_verdict verdict;
    struct af_error err;
    af_arena_init(&arena, SIZE_MAX);
    for (unsigned i = 0; i < worker->batches; i++) {
        batch_fill(batch, i);
        struct af_tsm_write write = { .bucket = BUCKET, .points = &batch->points, .arena = &arena, .memo = memo };
        int64_t begin = af_clock_mono_ns();
        must(af_tsm_write(worker->engine, &write, &verdict, &err), &err);
        double ms = seconds_since(begin) * 1e3;
        if (ms > worker->worst_ms)
            worker->worst_ms = ms;
        if (verdict.dropped_row_count != 0)
            exit(1);
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    af_tsm_series_memo_free(memo);
    batch_free(batch);
}

static struct af_tsm *open_engine(const char *dir, bool no_wal, size_t cache_bytes)
{
    struct af_error err;
    struct af_tsm *engine;
    must(af_dir_remove(dir, &err), &err);
    struct af_tsm_options options = { .dir = dir, .no_wal = no_wal, .cache_bytes = cache_bytes };
    must(af_tsm_open(&options, &engine, &err), &err);
    must(af_tsm_bucket_set(engine, &(struct af_tsm_bucket){ BUCKET, 0, INT64_C(364) * 24 * HOUR_NS }, &err), &err);
    return engine;
}

static void bench_writes(const char *dir, const char *name, bool no_wal, size_t cache_bytes, double rows)
{
    struct af_error err;
    struct worker workers[THREADS];
    struct af_thread threads[THREADS];
    struct af_tsm *engine = open_engine(dir, no_wal, cache_bytes);
    struct af_tsm_stats_now stats;
    unsigned batches = (unsigned)(rows / ROWS / THREADS);
    int64_t begin = af_clock_mono_ns();
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ engine, i, batches, 0 };
        must(af_thread_start(&threads[i], "writer", run_worker, &workers[i], &err), &err);
    }
    for (unsigned i = 0; i < THREADS; i++)
        af_thread_join(&threads[i]);
    double seconds = seconds_since(begin);
    must(af_tsm_flush(engine, &err), &err);
    double flushed = seconds_since(begin);
    af_tsm_stats_get_now(engine, &stats);
    double written = (double)batches * ROWS * THREADS;
    printf("%-28s %6.2f M rows/s  %6.2f M values/s  all in files after %.2f s: %.2f M values/s  syncs %llu of %llu batches, flushes %llu, "
           "waits %llu, worst %.0f ms, %.2f bytes a value\n", name, written / seconds / 1e6, 2 * written / seconds / 1e6, flushed,
           2 * written / flushed / 1e6, (unsigned long long)stats.syncs, (unsigned long long)stats.commits,
           (unsigned long long)stats.flushes, (unsigned long long)stats.waits,
           workers[0].worst_ms > workers[1].worst_ms ? workers[0].worst_ms : workers[1].worst_ms,
           (double)stats.bytes_flushed / written / 2);
    af_tsm_close(engine);
    must(af_dir_remove(dir, &err), &err);
}

/* af_tsm_write alone: one thread, no log, flushes on another. What it costs beyond series and cache are the checks. */
static double whole_write_ns(const char *dir, double rows)
{
    struct af_error err;
    struct af_tsm *engine = open_engine(dir, true, (size_t)64 << 20);
    struct batch *batch = batch_new(0);
    struct af_tsm_series_memo *memo = af_tsm_series_memo_new();
    struct af_arena arena;
    struct af_tsm_verdict verdict;
    int64_t spent = 0;
    af_arena_init(&arena, SIZE_MAX);
    for (unsigned i = 0; i < rows / ROWS; i++) {
        batch_fill(batch, i);
        struct af_tsm_write write = { .bucket = BUCKET, .points = &batch->points, .arena = &arena, .memo = memo };
        int64_t begin = cpu_ns();
        must(af_tsm_write(engine, &write, &verdict, &err), &err);
        spent += cpu_ns() - begin;
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    af_tsm_series_memo_free(memo);
    batch_free(batch);
    af_tsm_close(engine);
    return (double)spent / rows / 2;
}

/* --- the parts, one thread ------------------------------------------------------------------------------------------------- */

enum part { PART_FILL, PART_RESOLVE, PART_ENCODE, PART_PUT, PART_SYNC, PARTS };
static const char *const part_names[PARTS] = { "make the batch", "series", "record", "cache", "append + fdatasync" };

static void bench_parts(const char *dir, double rows)
{
    struct af_error err;
    struct af_tsm *engine = open_engine(dir, true, (size_t)1 << 32);
    struct af_bucket *bucket = af_bucket_find(engine, BUCKET);
    struct batch *batch = batch_new(0);
    struct af_tsm_series_memo *memo = af_tsm_series_memo_new();
    struct af_arena arena;
    struct af_file *file;
    struct af_buf record;
    struct af_cache *cache = af_cache_new();
    double spent[PARTS] = { 0 };
    double bytes = 0;
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/bare", dir);
    must(af_file_open(path, AF_FILE_NEW, &file, &err), &err);
    af_arena_init(&arena, SIZE_MAX);
    af_buf_init(&record, AF_TSM_WAL_RECORD_BYTES_MAX);
    for (unsigned i = 0; i < rows / ROWS; i++) {
        uint32_t *ids;
        int64_t at[PARTS + 1];
        at[0] = af_clock_mono_ns();
        batch_fill(batch, i);
        at[1] = af_clock_mono_ns();
        must(af_index_resolve(bucket->index, &batch->points, memo, &arena, &ids, &err), &err);
        at[2] = af_clock_mono_ns();
        af_buf_clear(&record);
        must(af_record_encode(BUCKET, &batch->points, &record, &err), &err);
        at[3] = af_clock_mono_ns();
        must(af_cache_put(cache, &batch->points, ids, NULL, 1, &err), &err);
        at[4] = af_clock_mono_ns();
        must(af_file_write(file, af_buf_slice(&record), &err), &err);
        must(af_file_sync(file, &err), &err);
        at[5] = af_clock_mono_ns();
        for (int p = 0; p < PARTS; p++)
            spent[p] += (double)(at[p + 1] - at[p]);
        bytes += (double)record.len;
        af_arena_reset(&arena);
        if (af_cache_bytes(cache) > 32 << 20) {
            af_cache_unref(cache);
            cache = af_cache_new();
        }
    }
    for (int p = 0; p < PARTS; p++)
        printf("  %-20s %7.2f ns a value\n", part_names[p], spent[p] / rows / 2);
    printf("  record: %.2f bytes a value; bare append + fdatasync alone: %.2f M rows/s\n", bytes / rows / 2,
           rows / spent[PART_SYNC] * 1e3);
    af_cache_unref(cache);
    af_file_close(file);
    af_buf_done(&record);
    af_arena_done(&arena);
    af_tsm_series_memo_free(memo);
    batch_free(batch);
    af_bucket_unref(bucket);
    af_tsm_close(engine);
    must(af_dir_remove(dir, &err), &err);
}

int main(int argc, char **argv)
{
    char dir[512];
    double rows = (argc > 2 ? atof(argv[2]) : 4) * 1e6;
    (void)snprintf(dir, sizeof dir, "%s/engine-bench", argc > 1 ? argv[1] : "/tmp");
    bench_parts(dir, rows);
    printf("  %-20s %7.2f ns a value\n", "all but the log", whole_write_ns(dir, rows < 2e6 ? rows : 2e6));
    bench_writes(dir, "with the log", false, 0, rows);
    bench_writes(dir, "without", true, 0, rows);
    return 0;
}
