/*
 * gorilla_bench.c - encoder and decoder of doubles, blocks of 1,000 values in cache, best of many rounds, beside a decoder and an encoder
 * written the plain way (a bit at a time for control bits, a byte at a time for the rest).
 *
 *     gorilla_bench [rounds]
 */
#include "base/prng.h"
#include "codec/gorilla.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N = 1000, BLOCKS = 64 };

static double values[BLOCKS][N], back[N];
static uint8_t packed[BLOCKS][N * 10 + 64], again[N * 10 + 64];
static size_t lens[BLOCKS];

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- the plain reference --- */

struct plain {
    const uint8_t *src;
    size_t bit;
};

static uint64_t plain_bits(struct plain *p, unsigned count)
{
    uint64_t v = 0;
    while (count > 0) {
        unsigned room = 8 - p->bit % 8, n = count < room ? count : room;
        v = v << n | (p->src[p->bit / 8] >> (room - n) & ((1u << n) - 1));
        p->bit += n;
        count -= n;
    }
    return v;
}

static void plain_decode(const uint8_t *src, double *dst, size_t count)
{
    struct plain p = { src, 0 };
    uint64_t value = plain_bits(&p, 64);
    unsigned bits = 64, trailing = 0;
    memcpy(dst, &value, 8);
    for (size_t i = 1; i < count; i++) {
        if (plain_bits(&p, 1)) {
            if (plain_bits(&p, 1)) {
                unsigned leading = (unsigned)plain_bits(&p, 5);
                bits = (unsigned)plain_bits(&p, 6);
                bits = bits == 0 ? 64 : bits;
                trailing = 64 - leading - bits;
            }
            value ^= plain_bits(&p, bits) << trailing;
        }
        memcpy(dst + i, &value, 8);
    }
}

/* --- shapes --- */

static struct af_prng prng = { 1 };

static double next_noisy(double v, size_t i)
{
    (void)v, (void)i;
    return 20 + af_prng_unit(&prng) * 5;
}
static double next_walk(double v, size_t i)
{
    (void)i;
    return v + af_prng_unit(&prng) - 0.5;
}
static double next_decimals(double v, size_t i)
{
    (void)i;
    return floor((v + af_prng_unit(&prng) * 4 - 2) * 100) / 100;
}
static double next_small_ints(double v, size_t i)
{
    (void)v, (void)i;
    return (double)af_prng_below(&prng, 100);
}
static double next_mostly_same(double v, size_t i)
{
    (void)i;
    return af_prng_below(&prng, 10) == 0 ? (double)af_prng_below(&prng, 1000) / 10 : v;
}
static double next_half_same(double v, size_t i)
{
    (void)i;
    return af_prng_below(&prng, 2) == 0 ? (double)af_prng_below(&prng, 1000) / 10 : v;
}
static double next_same(double v, size_t i)
{
    (void)i;
    return v;
}
static double next_sine(double v, size_t i)
{
    (void)v;
    return 230 + 10 * sin((double)i / 40);
}

static int rounds = 300;

enum what { ENCODE, DECODE, PLAIN };

static void run(enum what what, size_t b)
{
    if (what == ENCODE && af_gorilla_encode(values[b], N, again) != lens[b])
        exit(1);
    if (what == DECODE && af_gorilla_decode(packed[b], lens[b], back, N, NULL) != AF_OK)
        exit(1);
    if (what == PLAIN)
        plain_decode(packed[b], back, N);
}

static double ns_a_value(enum what what)
{
    double best = 1e9;
    for (int r = 0; r < rounds; r++) {
        double start = now_s();
        for (size_t b = 0; b < BLOCKS; b++)
            run(what, b);
        double s = now_s() - start;
        best = s < best ? s : best;
    }
    return best / (N * BLOCKS) * 1e9;
}

static void bench(const char *name, double (*next)(double, size_t))
{
    size_t bytes = 0;
    double v = 100;
    for (size_t b = 0; b < BLOCKS; b++) {
        for (size_t i = 0; i < N; i++)
            values[b][i] = v = next(v, b * N + i);
        bytes += lens[b] = af_gorilla_encode(values[b], N, packed[b]);
    }
    double encode = ns_a_value(ENCODE), decode = ns_a_value(DECODE), plain = ns_a_value(PLAIN);
    printf("%-14s %5.2f bytes/value  encode %5.2f ns  decode %5.2f ns (%4.0f M/s)  %4.2f x plain\n", name,
           (double)bytes / (N * BLOCKS), encode, decode, 1e3 / decode, decode / plain);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        rounds = (int)strtol(argv[1], NULL, 10);
    bench("noisy", next_noisy);
    bench("walk", next_walk);
    bench("two decimals", next_decimals);
    bench("small ints", next_small_ints);
    bench("half the same", next_half_same);
    bench("mostly same", next_mostly_same);
    bench("all the same", next_same);
    bench("sine", next_sine);
    return 0;
}
