/*
 * block_bench.c - whole blocks of 1,000 points, encoded and decoded, in cache, best of many rounds; "x memcpy" is how many times as long as
 * copying times and values takes.
 *
 *     block_bench [rounds]
 */
#include "base/prng.h"
#include "format/tsm/tsm.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N = AF_TSM_BLOCK_POINTS, BLOCKS = 32 };

static int64_t times[BLOCKS * N];
static uint64_t numbers[BLOCKS * N], copy_to[2 * N];
static int32_t offsets[BLOCKS * N + 1];
static char text[BLOCKS * N * 16];
static struct af_buf packed[BLOCKS], again;
static struct af_arena arena;
static struct af_prng prng = { 1 };
static int rounds = 200;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum what { ENCODE, DECODE, COPY };

static void run(enum what what, const struct af_tsm_values *v, size_t b)
{
    struct af_tsm_values out;
    if (what == ENCODE) {
        af_buf_clear(&again);
        if (af_tsm_block_encode(v, b * N, N, &again, NULL) != AF_OK)
            exit(1);
    } else if (what == DECODE) {
        af_arena_reset(&arena);
        if (af_tsm_block_decode(af_buf_slice(&packed[b]), &arena, &out, NULL) != AF_OK)
            exit(1);
    } else {
        memcpy(copy_to, times + b * N, N * 8);
        memcpy(copy_to + N, numbers + b * N, N * 8);
        __asm__ volatile("" ::: "memory");
    }
}

static double ns_a_point(enum what what, const struct af_tsm_values *v)
{
    double best = 1e9;
    for (int r = 0; r < rounds; r++) {
        double start = now_s();
        for (size_t b = 0; b < BLOCKS; b++)
            run(what, v, b);
        double s = now_s() - start;
        best = s < best ? s : best;
    }
    return best / (BLOCKS * N) * 1e9;
}

static void bench(const char *name, const struct af_tsm_values *v)
{
    size_t bytes = 0;
    for (size_t b = 0; b < BLOCKS; b++) {
        af_buf_clear(&packed[b]);
        if (af_tsm_block_encode(v, b * N, N, &packed[b], NULL) != AF_OK)
            exit(1);
        bytes += packed[b].len;
    }
    double encode = ns_a_point(ENCODE, v), decode = ns_a_point(DECODE, v), copy = ns_a_point(COPY, v);
    printf("%-34s %5.2f bytes/point  encode %5.2f ns (%4.1f x memcpy)  decode %5.2f ns (%4.1f x memcpy)\n", name,
           (double)bytes / (BLOCKS * N), encode, encode / copy, decode, decode / copy);
}

/* --- shapes of times: only they cost, the integers beside them are regular --- */

static void make_times(uint64_t step, uint64_t jitter)
{
    int64_t t = 1700000000000000000;
    for (size_t i = 0; i < BLOCKS * N; i++)
        times[i] = t += (int64_t)(step + (jitter > 0 ? af_prng_below(&prng, jitter) : 0));
}

static void make_gaps(uint64_t step)
{
    int64_t t = 1700000000000000000;
    for (size_t i = 0; i < BLOCKS * N; i++)
        times[i] = t += (int64_t)(step * (af_prng_below(&prng, 100) == 0 ? 2 : 1));
}

static void bench_times(const struct af_tsm_values *v)
{
    for (size_t i = 0; i < BLOCKS * N; i++)
        numbers[i] = i;
    make_times(1000000000, 0);
    bench("regular times, regular integers", v);
    make_gaps(10000000000);
    bench("times with gaps", v);
    make_times(1000000000, 1000000);
    bench("jitter of 1 ms, in ns", v);
    for (size_t i = 0; i < BLOCKS * N; i++)
        times[i] = (int64_t)(i * 1000 + af_prng_below(&prng, 900)) * 1000000;
    bench("jitter of 0.9 s, in ms", v);
    make_times(1000000000, 0);
}

static void bench_integers(const struct af_tsm_values *v)
{
    for (size_t i = 1; i < BLOCKS * N; i++)
        numbers[i] = numbers[i - 1] + af_prng_below(&prng, 100) - 40;
    bench("integers, steps of 7 bits", v);
    for (size_t i = 1; i < BLOCKS * N; i++)
        numbers[i] = af_prng_next(&prng) >> 44;
    bench("integers, steps of 21 bits", v);
    for (size_t i = 1; i < BLOCKS * N; i++)
        numbers[i] = af_prng_next(&prng);
    bench("integers, raw", v);
}

static void bench_floats(const struct af_tsm_values *v)
{
    double *f = (double *)(void *)numbers;
    for (size_t i = 0; i < BLOCKS * N; i++)
        f[i] = 20 + af_prng_unit(&prng) * 5;
    bench("floats, noisy", v);
    for (size_t i = 0; i < BLOCKS * N; i++)
        f[i] = floor(af_prng_unit(&prng) * 1000) / 100;
    bench("floats, two decimals", v);
}

static void bench_strings(const struct af_tsm_values *v)
{
    size_t used = 0;
    for (size_t i = 0; i < BLOCKS * N; i++) {
        offsets[i] = (int32_t)used;
        for (size_t k = 4 + af_prng_below(&prng, 9); k > 0; k--)
            text[used++] = (char)('a' + af_prng_below(&prng, 26));
    }
    offsets[BLOCKS * N] = (int32_t)used;
    bench("strings of 4 to 12 letters", v);
}

int main(int argc, char **argv)
{
    struct af_tsm_values v = { BLOCKS * N, times, { .type = AF_TYPE_I64, .values = numbers } };
    if (argc > 1)
        rounds = (int)strtol(argv[1], NULL, 10);
    for (size_t b = 0; b < BLOCKS; b++)
        af_buf_init(&packed[b], 1 << 20);
    af_buf_init(&again, 1 << 20);
    af_arena_init(&arena, 1 << 24);
    bench_times(&v);
    bench_integers(&v);
    v.values.type = AF_TYPE_F64;
    bench_floats(&v);
    v.values.type = AF_TYPE_BOOL;
    for (size_t i = 0; i < BLOCKS * N; i++)
        numbers[i] = af_prng_next(&prng);
    bench("booleans", &v);
    v.values = (struct af_column){ .type = AF_TYPE_STRING, .offsets = offsets, .bytes = text };
    bench_strings(&v);
    for (size_t b = 0; b < BLOCKS; b++)
        af_buf_done(&packed[b]);
    af_buf_done(&again);
    af_arena_done(&arena);
    return 0;
}
