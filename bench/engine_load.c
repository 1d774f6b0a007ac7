/*
 * engine_load.c - what the server has no route for: the embedded engine of a directory that nobody serves. JSON on standard output.
 *
 *     engine_load settle DIR                   everything to files, each shard to one generation, log empty
 *     engine_load latency DIR SECONDS LINES    writes at a steady rate: alone, while a compaction runs, while a scan runs beside it too
 *
 * The writes of `latency` are what the server does with a body: parse 10,000 lines, write, durable when it returns. They are due
 * RATE times a second, and a write that comes late because of the one before counts as late. The directory must be new; LINES go there
 * before, so that compaction and scan have something to chew.
 */
#include "base/alloc.h"
#include "bench/lines.h"
#include "format/lp/lp.h"
#include "os/clock.h"
#include "os/thread.h"
#include "tsm/tsm.h"
#include <stdatomic.h>
#include <time.h>

enum { BATCH = 10000, RATE = 25, BUCKET = 1 };
#define NS_PER_S INT64_C(1000000000)
#define SHARD_NS (INT64_C(364) * 24 * 3600 * NS_PER_S)

static void must(enum af_status status, const struct af_error *err)
{
    if (status == AF_OK)
        return;
    fprintf(stderr, "engine_load: %s\n", err->message);
    exit(1);
}

static struct af_tsm *open_engine(const char *dir, uint64_t compact_bytes_per_s)
{
    struct af_tsm_options options = { .dir = dir, .compact_bytes_per_s = compact_bytes_per_s };
    struct af_tsm *engine;
    struct af_error err;
    must(af_tsm_open(&options, &engine, &err), &err);
    return engine;
}

static void compact_all(struct af_tsm *engine)
{
    struct af_error err;
    bool done = true;
    must(af_tsm_flush(engine, &err), &err);
    while (done)
        must(af_tsm_compact(engine, true, &done, &err), &err);
}

static void settle(const char *dir)
{
    struct af_tsm *engine = open_engine(dir, UINT64_MAX);
    struct af_tsm_stats_now now;
    compact_all(engine);
    af_tsm_stats_get_now(engine, &now);
    af_tsm_close(engine);
    printf("{\"series\":%llu,\"files\":%llu,\"file_bytes\":%llu,\"index_bytes\":%llu}\n", (unsigned long long)now.series,
           (unsigned long long)now.files, (unsigned long long)now.file_bytes, (unsigned long long)now.index_bytes);
}

/* --- writes ----------------------------------------------------------------------------------------------------------------- */

struct writer {
    struct af_tsm *engine;
    struct lines lines;
    struct af_lp_parser *parser;
    struct af_tsm_series_memo *memo;
    struct af_arena arena;
    char *text;
};

static void writer_open(struct writer *w, struct af_tsm *engine)
{
    struct af_lp_parse_options options = { .precision = AF_PRECISION_NS };
    struct af_error err;
    *w = (struct writer){ .engine = engine, .memo = af_tsm_series_memo_new(), .text = malloc((size_t)BATCH * LINES_BYTES_MAX) };
    af_arena_init(&w->arena, SIZE_MAX / 2);
    must(af_lp_parser_new(&options, &w->parser, &err), &err);
    if (w->text == NULL || !lines_init(&w->lines, "plants", 0, 0))
        exit(1);
}

static void writer_close(struct writer *w)
{
    af_lp_parser_free(w->parser);
    af_tsm_series_memo_free(w->memo);
    af_arena_done(&w->arena);
    lines_done(&w->lines);
    free(w->text);
}

static size_t make_text(struct writer *w)
{
    char *end = w->text;
    for (int i = 0; i < BATCH; i++)
        end = lines_next(&w->lines, end);
    return (size_t)(end - w->text);
}

static void write_text(struct writer *w, size_t len)
{
    struct af_points points;
    struct af_tsm_verdict verdict;
    struct af_error err;
    size_t used;
    must(af_lp_parse(w->parser, (struct af_slice){ w->text, len }, true, &w->arena, &points, NULL, &used, &err), &err);
    struct af_tsm_write write = { .bucket = BUCKET, .points = &points, .arena = &w->arena, .memo = w->memo };
    must(af_tsm_write(w->engine, &write, &verdict, &err), &err);
    if (verdict.dropped_row_count != 0 || used != len)
        exit(1);
    af_arena_reset(&w->arena);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void write_steadily(struct writer *w, size_t count, const char *name)
{
    double *took_ms = calloc(count, sizeof *took_ms);
    if (took_ms == NULL)
        exit(1);
    int64_t begin_ns = af_clock_mono_ns();
    for (size_t i = 0; i < count; i++) {
        size_t len = make_text(w);
        int64_t due_ns = begin_ns + (int64_t)i * (NS_PER_S / RATE);
        struct timespec until = { due_ns / NS_PER_S, due_ns % NS_PER_S };
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        write_text(w, len);
        took_ms[i] = (double)(af_clock_mono_ns() - due_ns) / 1e6;
    }
    qsort(took_ms, count, sizeof *took_ms, by_size);
    printf("\"%s\":{\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f},", name, took_ms[count / 2], took_ms[count * 99 / 100],
           took_ms[count - 1]);
    free(took_ms);
}

/* --- what runs beside them ---------------------------------------------------------------------------------------------------- */

struct beside {
    struct af_tsm *engine;
    _Atomic bool is_over;
    _Atomic uint64_t rounds, rows;
    struct af_thread compactor, scanner;
};

static void run_compactor(void *ctx)
{
    struct beside *b = ctx;
    while (!atomic_load(&b->is_over)) {
        compact_all(b->engine);
        atomic_fetch_add(&b->rounds, 1);
    }
}

static void scan_all(struct beside *b, struct af_store *store, struct af_arena *arena)
{
    struct af_scan scan = { .measurement = "generation_data", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_error err;
    must(af_store_scan(store, &scan, &stream, &err), &err);
    for (;;) {
        must(af_stream_next(stream, arena, &batch, &err), &err);
        if (batch == NULL || atomic_load(&b->is_over))
            break;
        atomic_fetch_add(&b->rows, batch->row_count);
        af_arena_reset(arena);
    }
    af_stream_close(stream);
    af_arena_reset(arena);
}

static void run_scanner(void *ctx)
{
    struct beside *b = ctx;
    struct af_arena arena;
    struct af_store *store;
    struct af_error err;
    af_arena_init(&arena, SIZE_MAX / 2);
    must(af_tsm_store_open(b->engine, BUCKET, "bench", false, &store, &err), &err);
    while (!atomic_load(&b->is_over))
        scan_all(b, store, &arena);
    af_store_close(store);
    af_arena_done(&arena);
}

static void latency(const char *dir, double seconds, double lines)
{
    struct af_tsm *engine = open_engine(dir, 0);
    struct beside b = { .engine = engine };
    struct writer w;
    struct af_error err;
    size_t count = (size_t)(seconds * RATE) + 1;
    must(af_tsm_bucket_set(engine, &(struct af_tsm_bucket){ BUCKET, 0, SHARD_NS }, &err), &err);
    writer_open(&w, engine);
    for (double done = 0; done < lines; done += BATCH)
        write_text(&w, make_text(&w));
    compact_all(engine);
    printf("{");
    write_steadily(&w, count, "idle");
    must(af_thread_start(&b.compactor, "bench-compact", run_compactor, &b, &err), &err);
    write_steadily(&w, count, "compacting");
    must(af_thread_start(&b.scanner, "bench-scan", run_scanner, &b, &err), &err);
    write_steadily(&w, count, "compacting_and_scanning");
    atomic_store(&b.is_over, true);
    af_thread_join(&b.compactor);
    af_thread_join(&b.scanner);
    struct af_tsm_stats_now now;
    af_tsm_stats_get_now(engine, &now);
    printf("\"compactions\":%llu,\"bytes_compacted\":%llu,\"rows_scanned\":%llu}\n", (unsigned long long)now.compactions,
           (unsigned long long)now.bytes_compacted, (unsigned long long)b.rows);
    writer_close(&w);
    af_tsm_close(engine);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "settle") == 0)
        settle(argv[2]);
    else if (argc == 5 && strcmp(argv[1], "latency") == 0)
        latency(argv[2], strtod(argv[3], NULL), strtod(argv[4], NULL));
    else
        return fprintf(stderr, "engine_load settle DIR | latency DIR SECONDS LINES\n"), 2;
    return 0;
}
