/*
 * numbers_bench.c - printing against snprintf("%.17g"), reading against strtod: ns a value, and the ratio.
 *
 * Random: bit patterns of finite doubles. Grid: measured values of 0 to 3 decimals, as power systems publish them.
 * Each figure is the best of several passes over the same 100,000 values.
 */
#include "base/calendar.h"
#include "base/numbers.h"
#include "base/prng.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { VALUES = 100000, PASSES = 7, TEXT_CAP = 48 };

static double values[VALUES];
static char texts[VALUES][TEXT_CAP];
static uint8_t lens[VALUES];
static uint64_t sink;

static double now_ns(void)
{
    struct timespec ts;
    timespec_get(&ts, TIME_UTC);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double best_of(void (*run)(void))
{
    double best = INFINITY;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now_ns();
        run();
        double took = (now_ns() - start) / VALUES;
        best = took < best ? took : best;
    }
    return best;
}

static void print_ours(void)
{
    char text[AF_F64_TEXT_MAX];
    for (size_t i = 0; i < VALUES; i++)
        sink += (uint64_t)(af_f64_print(text, values[i]) - text) + (unsigned char)text[0];
}

static void print_libc(void)
{
    char text[TEXT_CAP];
    for (size_t i = 0; i < VALUES; i++)
        sink += (uint64_t)snprintf(text, sizeof text, "%.17g", values[i]) + (unsigned char)text[0];
}

static void read_ours(void)
{
    for (size_t i = 0; i < VALUES; i++) {
        double value = 0;
        sink += (uint64_t)af_f64_parse(af_slice_make(texts[i], lens[i]), &value) + (uint64_t)(value > 1);
    }
}

static void read_libc(void)
{
    for (size_t i = 0; i < VALUES; i++)
        sink += (uint64_t)(strtod(texts[i], NULL) > 1);
}

static void print_times(void)
{
    char text[40];
    for (size_t i = 0; i < VALUES; i++)
        sink += (uint64_t)(af_rfc3339_print(text, (int64_t)i * 3600 * AF_NS_PER_S + INT64_C(1700000000000000000), 9) - text);
}

static void print_integers(void)
{
    char text[AF_I64_TEXT_MAX];
    for (size_t i = 0; i < VALUES; i++)
        sink += (uint64_t)(af_i64_print(text, (int64_t)i * 3600 * AF_NS_PER_S + INT64_C(1700000000000000000)) - text);
}

static void fill_texts(void)
{
    for (size_t i = 0; i < VALUES; i++) {
        char *end = af_f64_print(texts[i], values[i]);
        *end = '\0';
        lens[i] = (uint8_t)(end - texts[i]);
    }
}

static void report(const char *name)
{
    fill_texts();
    double print = best_of(print_ours), print_ref = best_of(print_libc);
    double read = best_of(read_ours), read_ref = best_of(read_libc);
    printf("%-22s print %6.1f ns (snprintf %6.1f, %5.1fx)   read %6.1f ns (strtod %6.1f, %5.1fx)\n", name, print, print_ref,
           print_ref / print, read, read_ref, read_ref / read);
}

static void fill_random(struct af_prng *prng)
{
    for (size_t i = 0; i < VALUES;) {
        uint64_t bits = af_prng_next(prng);
        memcpy(&values[i], &bits, sizeof bits);
        i += isfinite(values[i]) != 0;
    }
}

static void fill_grid(struct af_prng *prng, unsigned decimals_min, unsigned decimals_max)
{
    static const double pow10[] = { 1, 10, 100, 1000, 1e4, 1e5, 1e6 };
    for (size_t i = 0; i < VALUES; i++) {
        unsigned decimals = decimals_min + (unsigned)af_prng_below(prng, decimals_max - decimals_min + 1);
        values[i] = (double)af_prng_below(prng, UINT64_C(90000) * (uint64_t)pow10[decimals]) / pow10[decimals];
    }
}

int main(void)
{
    struct af_prng prng = { 7 };
    fill_random(&prng);
    report("random");
    for (size_t i = 0; i < VALUES; i++)
        values[i] = af_prng_unit(&prng) * 90000;
    report("17 digits, 0..90000");
    fill_grid(&prng, 1, 3);
    report("grid, 1-3 decimals");
    fill_grid(&prng, 3, 3);
    report("grid, 3 decimals");
    fill_grid(&prng, 0, 0);
    report("integers");
    fill_grid(&prng, 6, 6);
    report("6 decimals");
    printf("%-22s print %6.1f ns\n", "nanosecond integers", best_of(print_integers));
    printf("%-22s print %6.1f ns\n", "RFC 3339 times", best_of(print_times));
    fprintf(stderr, "%s", sink == 0 ? " " : "");
    return 0;
}
