/*
 * simple8b_bench.c - words of small integers, 1,000 values in cache, best of many rounds, the decoder beside its plain twin.
 *
 *     simple8b_bench [rounds]
 */
#include "base/prng.h"
#include "codec/codec_int.h"
#include "codec/simple8b.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N = 1000, BLOCKS = 64 };

static uint64_t values[BLOCKS][N], back[N + AF_SIMPLE8B_SLACK];
static uint8_t packed[BLOCKS][N * 8], again[N * 8];
static size_t lens[BLOCKS];
static int rounds = 300;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void run_encode(size_t b)
{
    if (af_simple8b_encode(values[b], N, again) != lens[b])
        exit(1);
}
static void run_decode(size_t b)
{
    af_simple8b_decode(packed[b], lens[b] / 8, back);
}
static void run_decode_scalar(size_t b)
{
    af_simple8b_decode_scalar(packed[b], lens[b] / 8, back);
}

static double ns_a_value(void (*run)(size_t b))
{
    double best = 1e9;
    for (int r = 0; r < rounds; r++) {
        double start = now_s();
        for (size_t b = 0; b < BLOCKS; b++)
            run(b);
        double s = now_s() - start;
        best = s < best ? s : best;
    }
    return best / (N * BLOCKS) * 1e9;
}

/* Values of up to `bits` bits: all of that many, or of any width up to it. */
static void bench(const char *name, unsigned bits, unsigned jitter)
{
    struct af_prng prng = { bits };
    size_t bytes = 0;
    for (size_t b = 0; b < BLOCKS; b++) {
        for (size_t i = 0; i < N; i++) {
            const unsigned width = bits - (unsigned)af_prng_below(&prng, jitter + 1);
            values[b][i] = width == 0 ? 1 : af_prng_next(&prng) >> (64 - width);
        }
        bytes += lens[b] = af_simple8b_encode(values[b], N, packed[b]);
    }
    double encode = ns_a_value(run_encode);
    double decode = ns_a_value(run_decode), decode_plain = ns_a_value(run_decode_scalar);
    printf("%-10s %2u bits  %5.2f bytes/value  encode %5.2f ns  decode %5.2f ns (%4.2f x plain)\n", name, bits,
           (double)bytes / (N * BLOCKS), encode, decode, decode / decode_plain);
}

int main(int argc, char **argv)
{
    const unsigned widths[] = { 1, 2, 3, 5, 7, 8, 10, 15, 20, 30, 60 };
    if (argc > 1)
        rounds = (int)strtol(argv[1], NULL, 10);
    bench("ones", 0, 0);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        bench("one width", widths[i], 0);
    bench("jitter", 6, 5);
    bench("jitter", 12, 8);
    bench("jitter", 30, 29);
    bench("jitter", 60, 59);
    return 0;
}
