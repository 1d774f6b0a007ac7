/*
 * cache_bench.c - nanoseconds a row of two floats into the cache, and bytes a row, against the plainest store there could be: three
 * arrays to which time and both values are appended, whatever the series.
 *
 *     few     10,000 rows at a time, 1,000 series in turn: what a collector sends
 *     runs    the same, 10 rows of a series after each other
 *     many    every row is another of 1,000,000 series, in random order: first all are new, then all are known
 *     read    captured and gathered, a value
 *
 * Time of the processor, in memory that the process has used before: pages the kernel has to clear first (in a virtual machine, the
 * host too) cost up to 2 ns a byte more, whoever uses them.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/prng.h"
#include "tsm/tsm_int.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROWS = 10000, MANY = 1000000 };

static int64_t times[ROWS];
static double values[2][ROWS];
static uint32_t ids[ROWS];
static double plain_ns;
static bool is_quiet;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void plain(size_t batches)
{
    size_t rows = batches * ROWS;
    int64_t *t = af_alloc(rows * 8);
    double *a = af_alloc(rows * 8);
    double *b = af_alloc(rows * 8);
    if (t == NULL || a == NULL || b == NULL)
        exit(1);
    double start = now();
    for (size_t i = 0; i < batches; i++) {
        for (size_t k = 0; k < ROWS; k++) {
            t[i * ROWS + k] = times[k];
            a[i * ROWS + k] = values[0][k];
            b[i * ROWS + k] = values[1][k];
        }
        __asm__ volatile("" ::: "memory");
    }
    plain_ns = (now() - start) * 1e9 / (double)rows;
    printf("%-24s %6.1f ns/row\n", "three arrays", plain_ns);
    af_free(t);
    af_free(a);
    af_free(b);
}

static void put(struct af_cache *cache)
{
    static struct af_series_set set;
    struct af_point_field fields[2] = { { .name = AF_SLICE_LIT("a"), .column = { .type = AF_TYPE_F64, .f64 = values[0] } },
                                        { .name = AF_SLICE_LIT("b"), .column = { .type = AF_TYPE_F64, .f64 = values[1] } } };
    struct af_points points = { .row_count = ROWS, .set = &set, .series = ids, .time_ns = times, .field_count = 2, .fields = fields };
    if (af_cache_put(cache, &points, ids, NULL, 1, NULL) != AF_OK)
        exit(1);
}

static void report(const char *name, double seconds, size_t rows)
{
    double ns = seconds * 1e9 / (double)rows;
    if (!is_quiet)
        printf("%-24s %6.1f ns/row  %5.1f x three arrays\n", name, ns, ns / plain_ns);
}

static void bench_few(const char *name, size_t batches, unsigned run)
{
    struct af_cache *cache = af_cache_new();
    double spent = 0;
    for (size_t i = 0; i < batches; i++) {
        for (size_t k = 0; k < ROWS; k++) {
            ids[k] = (uint32_t)(k / run % 1000);
            times[k] = (int64_t)((i * ROWS + k) * 1000);
        }
        double start = now();
        put(cache);
        spent += now() - start;
    }
    report(name, spent, batches * ROWS);
    printf("%-24s %6.1f bytes/row\n", "", (double)af_cache_bytes(cache) / (double)af_cache_rows(cache));

    struct af_arena arena;
    size_t got = 0;
    af_arena_init(&arena, (size_t)1 << 30);
    double start = now();
    for (uint32_t s = 0; s < 1000; s++) {
        struct af_cache_handle handle;
        struct af_tsm_values out;
        af_cache_capture(cache, 1, &s, 1, &handle);
        if (af_cache_field(&handle, AF_SLICE_LIT("b"), &arena, &out, NULL) != AF_OK)
            exit(1);
        got += out.count;
        af_arena_reset(&arena);
    }
    double ns = (now() - start) * 1e9 / (double)got;
    printf("%-24s %6.1f ns/value\n", "  read", ns);
    af_arena_done(&arena);
    af_cache_unref(cache);
}

static void bench_many(void)
{
    struct af_cache *cache = af_cache_new();
    uint32_t *order = af_alloc(MANY * sizeof *order);
    struct af_prng prng = { 1 };
    if (order == NULL)
        exit(1);
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t k = (uint32_t)af_prng_below(&prng, i + 1);
        order[i] = order[k];
        order[k] = i;
    }
    for (int round = 0; round < 3; round++) {
        double spent = 0;
        for (size_t i = 0; i < MANY; i += ROWS) {
            memcpy(ids, order + i, sizeof ids);
            double start = now();
            put(cache);
            spent += now() - start;
        }
        report(round == 0 ? "many, all new" : "many, all known", spent, MANY);
        if (!is_quiet)
            printf("%-24s %6.1f bytes/series, %d rows each\n", "", (double)af_cache_bytes(cache) / MANY, round + 1);
    }
    af_free(order);
    af_cache_unref(cache);
}

int main(int argc, char **argv)
{
    size_t batches = argc > 1 ? strtoul(argv[1], NULL, 10) : 200;
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, INT32_MAX);
    is_quiet = true;
    bench_many(); /* the memory it gives back is what the others get */
    is_quiet = false;
    plain(batches);
    bench_few("few", batches, 1);
    bench_few("runs", batches, 10);
    bench_many();
    return 0;
}
