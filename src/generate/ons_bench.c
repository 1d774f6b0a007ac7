/*
 * ons_bench.c - rows a second: values alone, and whole files (snappy, INT96, as the platform writes them), against copying the bytes
 * of the values.
 *
 *     ons_bench [DIR]     where the files go; /tmp/afluxo-ons-bench by default, overwritten
 */
#include "base/calendar.h"
#include "codec/compress.h"
#include "generate/generate_int.h"
#include <stdio.h>
#include <time.h>

enum { PLANTS = 710, HOURS = 2000 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double bench_values(void)
{
    static double values[PLANTS];
    static uint32_t quality[PLANTS];
    struct af_arena arena;
    struct af_gen_table t;
    struct af_gen_weather weather;
    af_arena_init(&arena, 1 << 24);
    if (af_gen_table_make(AF_GEN_GENERATION, PLANTS, true, 1, &arena, &t, NULL) != AF_OK)
        return 0;
    double start = now_s();
    for (int64_t h = 0; h < HOURS; h++) {
        af_gen_weather_at(h * 3600 * AF_NS_PER_S, 1, AF_GEN_GENERATION, &weather);
        af_gen_values(&t, &weather, h * 3600 * AF_NS_PER_S, 1, 0, PLANTS, values, quality);
    }
    double s = now_s() - start;
    af_arena_done(&arena);
    return s;
}

static double bench_copy(void)
{
    static double from[PLANTS], to[PLANTS];
    double start = now_s();
    for (int h = 0; h < HOURS; h++) {
        memcpy(to, from, sizeof to);
        __asm__ volatile("" ::: "memory");
    }
    return now_s() - start;
}

static void bench_files(const char *dir, const char *name, struct af_parquet_write_options parquet)
{
    struct af_error err;
    struct af_generate_result result;
    struct af_generate_options o = { .out_dir = dir, .from_ns = 0, .to_ns = 365 * AF_NS_PER_DAY, .plants = PLANTS, .seed = 1,
                                     .generation = true, .realistic_plants = true, .parquet = parquet };
    double start = now_s();
    if (af_generate_ons(&o, &result, &err) != AF_OK) {
        printf("%s\n", err.message);
        return;
    }
    double s = now_s() - start;
    printf("files, %-24s %6.1f M rows/s, %5.1f MB/s, %.2f bytes a row\n", name, (double)result.rows / s * 1e-6,
           (double)result.bytes / s * 1e-6, (double)result.bytes / (double)result.rows);
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "/tmp/afluxo-ons-bench";
    double values = bench_values(), copy = bench_copy();
    printf("values                          %6.1f M rows/s, %.0f x the time of copying them\n", PLANTS * (double)HOURS / values * 1e-6,
           values / copy);
    bench_files(dir, "snappy int96 v1", (struct af_parquet_write_options){ .codec = AF_CODEC_SNAPPY, .legacy_dictionary = true,
                                                                         .time_form = AF_PARQUET_TIME_INT96 });
    bench_files(dir, "none", (struct af_parquet_write_options){ .codec = AF_CODEC_NONE });
    bench_files(dir, "zstd v2 delta", (struct af_parquet_write_options){ .codec = AF_CODEC_ZSTD, .data_page_v2 = true, .delta = true,
                                                                        .page_crc = true, .page_index = true });
    return 0;
}
