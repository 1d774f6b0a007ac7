/*
 * index_bench.c - the series index with a million series of 80 bytes: memory, start, lookups, order.
 *
 *     index_bench [series]
 *
 * References: a plain hash set of the same keys (base/intern.h), and a copy of the ids.
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "base/regex.h"
#include "tsm/tsm_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct af_error err;

static void check(enum af_status status)
{
    if (status == AF_OK)
        return;
    fprintf(stderr, "index_bench: %s\n", err.message);
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* In no order, as series come. */
static void make_keys(struct af_series_set *set, uint32_t count)
{
    static const char *const regions[] = { "southeast", "south", "northeast", "north" };
    static const char *const sources[] = { "hydro", "wind", "solar", "thermal", "nuclear", "biomass" };
    af_series_set_init(set);
    for (uint32_t i = 0; i < count; i++) {
        char key[200];
        uint32_t id;
        uint32_t n = (uint32_t)((uint64_t)i * 7919 % count);
        int len = snprintf(key, sizeof key, "generation_data,energy_source=%s,operator=OP%04u,plant=PLANT%07u,region=%s", sources[n % 6],
                           n % 997, n, regions[n % 4]);
        check(af_intern_add(&set->keys, af_slice_make(key, (size_t)len), &id, &err));
    }
}

/* Batches of 10,000 rows, each of another series, from a set that has just been filled, as a parser does. */
static void bench_resolve(struct af_index *index, const struct af_series_set *set, uint32_t count)
{
    enum { ROWS = 10000 };
    static uint32_t series[ROWS];
    struct af_prng prng = { 9 };
    struct af_arena arena;
    struct af_series_set batch;
    struct af_tsm_series_memo *memo = af_tsm_series_memo_new();
    double cold = 1e9, plain = 1e9, hit = 1e9;
    af_arena_init(&arena, SIZE_MAX);
    af_series_set_init(&batch);
    for (int round = 0; round < 20; round++) {
        uint32_t *ids, sum = 0;
        af_series_set_clear(&batch);
        for (size_t i = 0; i < ROWS; i++)
            check(af_intern_add(&batch.keys, set->keys.keys[af_prng_below(&prng, count)], &series[i], &err));
        struct af_points points = { .row_count = ROWS, .set = &batch, .series = series };
        double start = now_s();
        check(af_index_resolve(index, &points, memo, &arena, &ids, &err));
        double middle = now_s();
        cold = middle - start < cold ? middle - start : cold;
        check(af_index_resolve(index, &points, memo, &arena, &ids, &err));
        hit = now_s() - middle < hit ? now_s() - middle : hit;
        for (size_t i = 0; i < ROWS; i++)
            series[i] = (uint32_t)af_prng_below(&prng, count);
        start = now_s();
        for (size_t i = 0; i < ROWS; i++)
            sum += af_intern_find(&set->keys, set->keys.keys[series[i]]);
        plain = now_s() - start < plain ? now_s() - start : plain;
        __asm__ volatile("" : : "r"(sum));
        af_arena_reset(&arena);
    }
    printf("resolve: %.0f ns a key at first, %.2f ns a row from the memo; a hash set one by one: %.0f ns (%.2f of it)\n", cold / ROWS * 1e9,
           hit / ROWS * 1e9, plain / ROWS * 1e9, cold / plain);
    af_arena_done(&arena);
    af_series_set_done(&batch);
    af_tsm_series_memo_free(memo);
}

static void time_select(struct af_index *index, const char *what, const struct af_predicate *predicate)
{
    struct af_arena arena;
    uint32_t *ids;
    size_t count;
    af_arena_init(&arena, SIZE_MAX);
    double start = now_s();
    check(af_index_select(index, 0, predicate, &arena, &ids, &count, &err));
    printf("select %s: %.1f ms, %zu series\n", what, (now_s() - start) * 1e3, count);
    af_arena_done(&arena);
}

static void bench_select(struct af_index *index)
{
    const struct af_predicate wind = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("energy_source"), .value = AF_SLICE_LIT("wind") };
    const struct af_predicate south = { .op = AF_PREDICATE_NOT_EQUAL, .tag = AF_SLICE_LIT("region"), .value = AF_SLICE_LIT("south") };
    const struct af_predicate *both[] = { &wind, &south };
    const struct af_predicate and = { .op = AF_PREDICATE_AND, .items = both, .item_count = 2 };
    uint64_t before = af_index_bytes(index);
    uint32_t id;
    time_select(index, "all, the first time (sorts)", NULL);
    time_select(index, "all, again", NULL);
    for (int i = 0; i < 1000; i++) {
        char key[100];
        int len = snprintf(key, sizeof key, "generation_data,energy_source=tidal,plant=%d", i);
        check(af_index_add(index, af_slice_make(key, (size_t)len), &id, &err));
    }
    time_select(index, "all, 1,000 series later", NULL);
    uint64_t sorted = af_index_bytes(index);
    time_select(index, "by two tags, the first time (makes columns)", &and);
    time_select(index, "by two tags, again", &and);
    const struct af_predicate plant = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("plant"), .value = AF_SLICE_LIT("PLANT0000500") };
    time_select(index, "one of them", &plant);
    double n = (double)af_index_count(index);
    printf("memory: %.1f bytes a series for the order, %.1f for four tags\n", (double)(sorted - before) / n,
           (double)(af_index_bytes(index) - sorted) / n);
}

/* Lists and counts: the first time and again. */
static void bench_lists(struct af_index *index)
{
    struct af_regex *regex;
    struct af_predicate match = { .op = AF_PREDICATE_MATCH, .tag = AF_SLICE_LIT("plant") };
    const struct af_slice region[] = { AF_SLICE_LIT("region") }, plant[] = { AF_SLICE_LIT("plant") };
    check(af_regex_new(AF_SLICE_LIT("7.*5$"), &regex, &err));
    match.regex = regex;
    for (int i = 0; i < 2; i++) {
        struct af_arena arena;
        struct af_slice *texts, *values;
        uint32_t *ids, *groups;
        uint64_t measurements, series;
        size_t count, group_count;
        af_arena_init(&arena, SIZE_MAX);
        double start = now_s();
        check(af_index_tag_values(index, 0, AF_SLICE_LIT("plant"), NULL, &arena, &texts, &count, &err));
        printf("values of a tag: %.2f ms, %zu\n", (now_s() - start) * 1e3, count);
        start = now_s();
        check(af_index_counts(index, 0, NULL, &arena, &measurements, &series, &err));
        printf("how many series: %.4f ms\n", (now_s() - start) * 1e3);
        time_select(index, "by a regular expression on that tag", &match);
        check(af_index_select(index, 0, NULL, &arena, &ids, &count, &err));
        start = now_s();
        check(af_index_group(index, 0, ids, count, region, 1, &arena, &groups, &values, &group_count, &err));
        double middle = now_s();
        check(af_index_group(index, 0, ids, count, plant, 1, &arena, &groups, &values, &count, &err));
        printf("%zu groups: %.1f ms, %zu groups: %.1f ms\n", group_count, (middle - start) * 1e3, count, (now_s() - middle) * 1e3);
        af_arena_done(&arena);
    }
    af_regex_free(regex);
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    const char *path = "index_bench.series";
    struct af_series_set set;
    struct af_index *index;
    make_keys(&set, count);
    remove(path);
    check(af_index_open(path, &index, &err));
    double start = now_s();
    uint32_t id;
    for (uint32_t i = 0; i < count; i++)
        check(af_index_add(index, set.keys.keys[i], &id, &err));
    double added = now_s();
    check(af_index_sync(index, &err));
    printf("%u series, %.0f bytes a key: added in %.3f s, written and synced in %.3f s\n", count, (double)set.keys.bytes / count,
           added - start, now_s() - added);
    af_index_close(index);
    for (int i = 0; i < 3; i++) {
        start = now_s();
        check(af_index_open(path, &index, &err));
        printf("opened in %.3f s\n", now_s() - start);
        if (i < 2)
            af_index_close(index);
    }
    printf("memory: %.1f bytes a series besides its key\n", ((double)af_index_bytes(index) - (double)set.keys.bytes) / count);
    bench_resolve(index, &set, count);
    bench_select(index);
    bench_lists(index);
    af_index_close(index);
    af_series_set_done(&set);
    remove(path);
    return 0;
}
