/* gorilla_test.c - the stream of doubles against an encoder that writes one bit at a time. */
#include "base/alloc.h"
#include "base/prng.h"
#include "codec/codec_int.h"
#include "codec/gorilla.h"
#include "test/lib/test.h"
#include <float.h>
#include <math.h>

enum { VALUES = 1100, BYTES = VALUES * 10 + 40 };
#define END_MARK UINT64_C(0x7FF8000000000001)

/* --- the slow encoder ----------------------------------------------------------------------------------------------------- */

struct bits {
    uint8_t bytes[BYTES];
    size_t count;
};

static void add_bits(struct bits *b, uint64_t v, unsigned count)
{
    for (unsigned i = count; i-- > 0; b->count++)
        if (v >> i & 1)
            b->bytes[b->count / 8] |= (uint8_t)(0x80 >> b->count % 8);
}

/* Each value and then `end`; infinities and NaNs too. */
static size_t slow_encode(struct bits *b, const uint64_t *values, size_t count, uint64_t end)
{
    unsigned leading = 64, trailing = 0;
    memset(b, 0, sizeof *b);
    add_bits(b, values[0], 64);
    for (size_t i = 1; i <= count; i++) {
        const uint64_t x = (i < count ? values[i] : end) ^ values[i - 1];
        if (x == 0) {
            add_bits(b, 0, 1);
            continue;
        }
        const unsigned zeros = (unsigned)__builtin_clzll(x) % 32, low = (unsigned)__builtin_ctzll(x);
        if (leading <= zeros && trailing <= low) {
            add_bits(b, 2, 2);
        } else {
            leading = zeros, trailing = low;
            add_bits(b, 3, 2);
            add_bits(b, leading, 5);
            add_bits(b, (64 - leading - trailing) % 64, 6);
        }
        add_bits(b, x >> trailing, 64 - leading - trailing);
    }
    return (b->count + 7) / 8;
}

/* --- the checks ----------------------------------------------------------------------------------------------------------- */

static enum af_status decode_tight(const uint8_t *bytes, size_t len, uint64_t *dst, size_t count)
{
    static uint64_t plain[VALUES];
    uint8_t *src = af_alloc(len);
    double *out = af_alloc(count * 8);
    AF_CHECK(src != NULL && out != NULL);
    if (len > 0)
        memcpy(src, bytes, len);
    enum af_status status = af_gorilla_decode(src, len, out, count, NULL);
    AF_CHECK_INT(af_gorilla_decode_scalar(src, len, (double *)(void *)plain, count, NULL), status);
    if (status == AF_OK) {
        AF_CHECK(memcmp(out, plain, count * 8) == 0);
        memcpy(dst, out, count * 8);
        const size_t some = count - count / 3; /* the first ones alone */
        memset(out, 0, count * 8);
        AF_CHECK_INT(af_gorilla_decode_head(src, len, out, some, NULL), AF_OK);
        AF_CHECK(memcmp(out, plain, some * 8) == 0);
        AF_CHECK_INT(af_gorilla_decode_head(src, len, out, count, NULL), AF_OK);
        AF_CHECK(af_gorilla_decode_head(src, len / 2, out, count, NULL) == AF_ECORRUPT || len / 2 * 8 >= count);
    }
    af_free(src);
    af_free(out);
    return status;
}

static void there_and_back(const uint64_t *values, size_t count)
{
    static struct bits want;
    static uint8_t got[BYTES];
    static uint64_t back[VALUES];
    const size_t len = slow_encode(&want, values, count, END_MARK);
    AF_CHECK_INT(af_gorilla_encode((const double *)(const void *)values, count, got), len);
    AF_CHECK(memcmp(want.bytes, got, len) == 0);
    AF_CHECK(len + 8 <= af_gorilla_bytes_max(count));
    AF_CHECK_INT(decode_tight(got, len, back, count), AF_OK);
    AF_CHECK(memcmp(values, back, count * 8) == 0);
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    return bits;
}

static uint64_t random_finite(struct af_prng *prng)
{
    for (;;) {
        uint64_t bits = af_prng_next(prng);
        if (bits << 1 < UINT64_C(0xFFE0000000000000))
            return bits;
    }
}

/* The next value: every kind of neighbour a value may have. */
static uint64_t step(struct af_prng *prng, uint64_t v, int kind)
{
    double d;
    memcpy(&d, &v, 8);
    switch (kind) {
    case 0: return bits_of(20 + af_prng_unit(prng));
    case 1: return bits_of(floor(af_prng_unit(prng) * 1000) / 100);
    case 2: return bits_of((double)af_prng_below(prng, 50) - 25);
    case 3: return random_finite(prng);
    case 4: return af_prng_below(prng, 8) == 0 ? random_finite(prng) : v;
    case 5: return af_prng_below(prng, 2) << 63;
    case 6: return af_prng_next(prng) >> (12 + af_prng_below(prng, 52));
    case 7: return bits_of(d + 0.25);
    default: v ^= UINT64_C(1) << af_prng_below(prng, 62); return v << 1 < UINT64_C(0xFFE0000000000000) ? v : 0;
    }
}

AF_TEST(gorilla_bits_are_as_described)
{
    struct af_prng prng = { 3 };
    static uint64_t values[VALUES];
    for (int round = 0; round < 900; round++) {
        const size_t count = 1 + (size_t)af_prng_below(&prng, round % 3 == 0 ? VALUES - 1 : 40);
        uint64_t v = bits_of(1.5);
        for (size_t i = 0; i < count; i++)
            values[i] = v = step(&prng, v, round % 9);
        there_and_back(values, count);
    }
}

/* Runs of one window, of every width at every place in a byte: the four-at-once path and where it ends. */
AF_TEST(gorilla_every_window)
{
    struct af_prng prng = { 4 };
    uint64_t values[60];
    for (unsigned width = 1; width <= 62; width++)
        for (unsigned low = 0; low + width <= 62; low += low < 3 ? 1 : 11)
            for (size_t other = 5; other < 60; other += 9) {
                values[0] = 0;
                for (size_t i = 1; i < 60; i++) {
                    uint64_t x = af_prng_next(&prng) >> (64 - width) | (i == 1 ? (UINT64_C(1) << (width - 1)) | 1 : 0);
                    values[i] = i == other ? values[i - 1] : values[i - 1] ^ x << low;
                    values[i] &= ~(UINT64_C(1) << 62); /* finite */
                }
                there_and_back(values, 60);
            }
}

AF_TEST(gorilla_special_values)
{
    const double values[] = { -0.0, 0.0, DBL_MIN, -DBL_MIN, 0x1p-1074, -0x1p-1074, DBL_MAX, -DBL_MAX, 1, 1, 1, -1, 0.1, 1e308, -0.0 };
    uint64_t bits[15];
    memcpy(bits, values, sizeof bits);
    for (size_t first = 0; first < 15; first++)
        for (size_t count = 1; count <= 15 - first; count++)
            there_and_back(bits + first, count);
}

AF_TEST(gorilla_refuses_what_is_not_finite)
{
    const double bad[] = { NAN, -NAN, INFINITY, -INFINITY };
    double values[300];
    uint8_t dst[300 * 10 + 40];
    for (size_t k = 0; k < 4; k++)
        for (size_t at = 0; at < 300; at += 7) {
            for (size_t i = 0; i < 300; i++)
                values[i] = i == at ? bad[k] : 1.0;
            AF_CHECK_INT(af_gorilla_encode(values, 300, dst), 0);
        }
    AF_CHECK_INT(af_gorilla_encode(values, 0, dst), 0);
    AF_CHECK(af_gorilla_bytes_max(SIZE_MAX / 8) == SIZE_MAX);
}

AF_TEST(gorilla_reads_infinities_but_no_nan)
{
    static struct bits b;
    uint64_t back[20];
    uint64_t values[20];
    for (size_t i = 0; i < 20; i++)
        values[i] = bits_of(i == 7 ? INFINITY : i == 9 ? -INFINITY : (double)i);
    size_t len = slow_encode(&b, values, 20, END_MARK);
    AF_CHECK_INT(decode_tight(b.bytes, len, back, 20), AF_OK);
    AF_CHECK(memcmp(values, back, sizeof back) == 0);
    for (size_t at = 0; at < 20; at++) {
        const uint64_t was = values[at];
        values[at] = at % 2 == 0 ? END_MARK : bits_of(NAN) | 5;
        len = slow_encode(&b, values, 20, END_MARK);
        AF_CHECK_INT(decode_tight(b.bytes, len, back, 20), AF_ECORRUPT);
        values[at] = was;
    }
    len = slow_encode(&b, values, 20, bits_of(NAN));
    AF_CHECK_INT(decode_tight(b.bytes, len, back, 20), AF_ECORRUPT);
}

AF_TEST(gorilla_refuses_other_lengths_and_counts)
{
    struct af_prng prng = { 9 };
    static uint8_t bytes[BYTES];
    static uint64_t values[VALUES], back[VALUES];
    for (int kind = 0; kind < 9; kind++) {
        uint64_t v = bits_of(1.5);
        for (size_t i = 0; i < 90; i++)
            values[i] = v = step(&prng, v, kind);
        const size_t len = af_gorilla_encode((const double *)(const void *)values, 90, bytes);
        for (size_t count = 1; count <= 200; count++)
            AF_CHECK_INT(decode_tight(bytes, len, back, count), count == 90 ? AF_OK : AF_ECORRUPT);
        for (size_t cut = 0; cut < len; cut++)
            AF_CHECK_INT(decode_tight(bytes, cut, back, 90), AF_ECORRUPT);
        bytes[len] = 0;
        AF_CHECK_INT(decode_tight(bytes, len + 1, back, 90), AF_ECORRUPT);
    }
}

AF_TEST(gorilla_refuses_a_window_wider_than_a_value)
{
    static struct bits b;
    uint64_t back[2];
    struct af_error err;
    add_bits(&b, 0, 64);
    add_bits(&b, 3, 2);
    add_bits(&b, 31, 5);
    add_bits(&b, 34, 6);
    b.count = 30 * 8;
    AF_CHECK_INT(decode_tight(b.bytes, 30, back, 2), AF_ECORRUPT);
    AF_CHECK_FAILS(af_gorilla_decode(b.bytes, 30, (double *)(void *)back, 2, &err), AF_ECORRUPT);
    AF_CHECK(strstr(err.message, "wider") != NULL);
}
