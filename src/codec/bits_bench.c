/*
 * bits_bench.c - decoders against memcpy of the bytes they produce: "x memcpy" is how many times its time they take.
 *
 *     bits_bench [rounds]
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "codec/codec_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N = 16384 }; /* a batch: stays in the second-level cache */

static uint64_t words[N], back[N];
static uint32_t narrow[N];
static uint8_t bytes[N * 8 + 64];
static double memcpy_s;
static int rounds = 400;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct bench {
    const char *name;
    unsigned width;
    size_t bytes; /* produced */
    void (*run)(const struct bench *b);
    struct af_buf in;
};

static double best_of(const struct bench *b)
{
    double best = 1e9;
    for (int i = 0; i < rounds; i++) {
        double start = now_s();
        b->run(b);
        double s = now_s() - start;
        best = s < best ? s : best;
    }
    return best;
}

static void report(const struct bench *b)
{
    double s = best_of(b);
    printf("%-28s width %2u  %6.2f G values/s  %6.2f GB/s  %5.2f x memcpy\n", b->name, b->width, N / s * 1e-9,
           (double)b->bytes / s * 1e-9, s / (memcpy_s * (double)b->bytes / (N * 8.0)));
}

static void run_memcpy(const struct bench *b)
{
    (void)b;
    memcpy(back, words, sizeof back);
    __asm__ volatile("" ::: "memory");
}
static void run_unpack32(const struct bench *b)
{
    af_bits_unpack32(bytes, sizeof bytes, b->width, narrow, N);
}
static void run_unpack32_scalar(const struct bench *b)
{
    af_bits_unpack32_scalar(bytes, sizeof bytes, b->width, narrow, N);
}
static void run_unpack64(const struct bench *b)
{
    af_bits_unpack64(bytes, sizeof bytes, b->width, back, N);
}
static void run_rle(const struct bench *b)
{
    struct af_rle_reader rle;
    if (af_rle_open(&rle, (const uint8_t *)b->in.ptr, b->in.len, b->width, NULL) != AF_OK ||
        af_rle_read(&rle, narrow, N, NULL) != AF_OK)
        exit(1);
}
static void run_delta(const struct bench *b)
{
    size_t used;
    if (af_delta_decode((const uint8_t *)b->in.ptr, b->in.len, 64, (int64_t *)back, N, &used, NULL) != AF_OK)
        exit(1);
}
static void run_split(const struct bench *b)
{
    af_stream_split_decode(bytes, N, b->width, (uint8_t *)back);
}
static void run_split_scalar(const struct bench *b)
{
    af_stream_split_decode_scalar(bytes, N, b->width, (uint8_t *)back);
}
static void run_split_encode(const struct bench *b)
{
    af_stream_split_encode(bytes, N, b->width, (uint8_t *)back);
}
static void run_rle_encode(const struct bench *b)
{
    struct af_buf *out = (struct af_buf *)&b->in;
    af_buf_clear(out);
    af_rle_encode(narrow, N, b->width, out);
}

static void bench_unpack(void)
{
    const unsigned widths[] = { 1, 2, 5, 8, 11, 16, 20, 25, 29 };
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        report(&(struct bench){ "unpack32", widths[i], N * 4, run_unpack32, { 0 } });
        report(&(struct bench){ "unpack32, scalar", widths[i], N * 4, run_unpack32_scalar, { 0 } });
        report(&(struct bench){ "unpack64", widths[i], N * 8, run_unpack64, { 0 } });
    }
}

static void bench_rle(unsigned width, bool runs)
{
    struct af_prng prng = { width };
    struct bench b = { runs ? "rle, runs of 100" : "rle, packed", width, N * 4, run_rle, { 0 } };
    af_buf_init(&b.in, 1 << 24);
    for (size_t i = 0; i < N; i++)
        narrow[i] = (uint32_t)(runs && i % 100 != 0 ? narrow[i - 1] : af_prng_next(&prng) & af_low_bits(width));
    af_rle_encode(narrow, N, width, &b.in);
    report(&b);
    b.name = runs ? "rle encode, runs of 100" : "rle encode, packed";
    b.run = run_rle_encode;
    report(&b);
    af_buf_done(&b.in);
}

static void bench_delta(unsigned width)
{
    struct af_prng prng = { width };
    struct bench b = { "delta", width, N * 8, run_delta, { 0 } };
    int64_t value = 0;
    af_buf_init(&b.in, 1 << 24);
    for (size_t i = 0; i < N; i++)
        words[i] = (uint64_t)(value += 3600 + (int64_t)(af_prng_next(&prng) & af_low_bits(width)));
    af_delta_encode((const int64_t *)words, N, 64, &b.in);
    report(&b);
    af_buf_done(&b.in);
}

int main(int argc, char **argv)
{
    struct af_prng prng = { 1 };
    if (argc > 1)
        rounds = (int)strtol(argv[1], NULL, 10);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)af_prng_next(&prng);
    memcpy_s = best_of(&(struct bench){ .run = run_memcpy });
    printf("memcpy of %d bytes: %.2f GB/s\n", N * 8, N * 8 / memcpy_s * 1e-9);
    bench_unpack();
    bench_rle(1, false), bench_rle(7, false), bench_rle(13, false), bench_rle(7, true);
    bench_delta(0), bench_delta(7), bench_delta(20), bench_delta(40);
    report(&(struct bench){ "byte stream split", 4, N * 4, run_split, { 0 } });
    report(&(struct bench){ "byte stream split, scalar", 4, N * 4, run_split_scalar, { 0 } });
    report(&(struct bench){ "byte stream split, encode", 4, N * 4, run_split_encode, { 0 } });
    report(&(struct bench){ "byte stream split", 8, N * 8, run_split, { 0 } });
    report(&(struct bench){ "byte stream split, scalar", 8, N * 8, run_split_scalar, { 0 } });
    report(&(struct bench){ "byte stream split, encode", 8, N * 8, run_split_encode, { 0 } });
    return 0;
}
