/*
 * bench_points.h - the points that both benches use: hourly readings of SERIES power plants, in time order, as a grid operator
 * publishes them. Two thirds of the values have one to three decimals, one third all 17 digits.
 */
#ifndef AF_FORMAT_LP_BENCH_POINTS_H
#define AF_FORMAT_LP_BENCH_POINTS_H
#include "base/alloc.h"
#include "base/limits.h"
#include "base/prng.h"
#include "format/lp/lp.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BENCH_SERIES = 48, BENCH_ROWS = AF_BATCH_ROWS };

struct bench_points {
    struct af_series_set set;
    struct af_points points;
    struct af_point_field fields[2];
    uint32_t series[BENCH_ROWS];
    int64_t time_ns[BENCH_ROWS];
    double power[BENCH_ROWS];
    uint32_t codes[BENCH_ROWS];
    struct af_dict *units;
};

static void bench_check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench: %s\n", what);
        exit(1);
    }
}

static double bench_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double bench_value(struct af_prng *prng)
{
    switch (af_prng_below(prng, 3)) {
    case 0: return (double)af_prng_below(prng, 100000) / 10;
    case 1: return (double)af_prng_below(prng, 10000000) / 1000;
    default: return af_prng_unit(prng) * 5000;
    }
}

static void bench_fill(struct bench_points *b)
{
    static const char *const regions[] = { "southeast", "south", "northeast", "north" };
    static const char *const sources[] = { "hydro", "wind", "solar", "thermal", "nuclear", "biomass" };
    static const int32_t offsets[] = { 0, 2 };
    struct af_prng prng = { 1 };
    af_intern_init(&b->set.keys);
    for (unsigned i = 0; i < BENCH_SERIES; i++) {
        char key[160];
        uint32_t id;
        int len = snprintf(key, sizeof key, "generation_data,energy_source=%s,plant=PLANT%02u,region=%s", sources[i % 6], i,
                           regions[i % 4]);
        bench_check(af_intern_add(&b->set.keys, af_slice_make(key, (size_t)len), &id, NULL) == AF_OK, "no memory");
    }
    bench_check(af_dict_new(offsets, "MW", 1, &b->units, NULL) == AF_OK, "no memory");
    for (unsigned i = 0; i < BENCH_ROWS; i++) {
        b->series[i] = i % BENCH_SERIES;
        b->time_ns[i] = INT64_C(1704110400000000000) + (int64_t)(i / BENCH_SERIES) * INT64_C(3600000000000);
        b->power[i] = bench_value(&prng);
        b->codes[i] = 0;
    }
    b->fields[0] = (struct af_point_field){ AF_SLICE_LIT("power_mw"), AF_SLICE_LIT("power_mw"), { .type = AF_TYPE_F64, .f64 = b->power } };
    b->fields[1] = (struct af_point_field){ AF_SLICE_LIT("unit"), AF_SLICE_LIT("unit"),
                                            { .type = AF_TYPE_STRING, .codes = b->codes, .dict = b->units } };
    b->points = (struct af_points){ .row_count = BENCH_ROWS, .set = &b->set, .series = b->series, .time_ns = b->time_ns,
                                    .field_count = 2, .fields = b->fields };
}

enum { BENCH_COPY_BYTES = 64 << 20 };

/* Bytes a second of copying `text` until `bytes` are copied, to a place as large: what is larger than the caches comes from memory. */
static double bench_memcpy(struct af_slice text, size_t bytes, int rounds)
{
    size_t copies = bytes > text.len ? bytes / text.len : 1;
    char *from = af_alloc(copies * text.len);
    char *to = af_alloc(copies * text.len);
    bench_check(from != NULL && to != NULL, "no memory");
    for (size_t i = 0; i < copies; i++)
        memcpy(from + i * text.len, text.ptr, text.len);
    double best = 1e9;
    for (int i = 0; i < rounds; i++) {
        double start = bench_now_s();
        memcpy(to, from, copies * text.len);
        __asm__ volatile("" : : "r"(to) : "memory");
        double took = bench_now_s() - start;
        best = took < best ? took : best;
    }
    af_free(from);
    af_free(to);
    return (double)(copies * text.len) / best;
}

/* One line of result: against copies of the same text, from memory and within the cache. */
static void bench_report(const char *what, struct af_slice text, double seconds, size_t lines, int rounds)
{
    double rate = (double)text.len / seconds;
    double far = bench_memcpy(text, BENCH_COPY_BYTES, rounds / 40 + 2);
    double near = bench_memcpy(text, 0, rounds);
    printf("%s: %.2f GB/s, %.1f ns a line of %.0f bytes; ", what, rate / 1e9, seconds * 1e9 / (double)lines,
           (double)text.len / (double)lines);
    printf("%.2f of memcpy from memory (%.1f GB/s), %.3f of memcpy in cache (%.1f GB/s)\n", rate / far, far / 1e9, rate / near, near / 1e9);
}
#endif
