/* simple8b_test.c - words against a slow encoder that tries one selector after another, and the decoder's two forms. */
#include "base/alloc.h"
#include "base/prng.h"
#include "codec/codec_int.h"
#include "codec/simple8b.h"
#include "test/lib/test.h"

enum { VALUES = 1200 };

static const unsigned counts[] = { 240, 120, 60, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1 };
static const unsigned widths[] = { 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 60 };

static bool fits(const uint64_t *src, size_t left, unsigned selector)
{
    if (left < counts[selector])
        return false;
    for (unsigned k = 0; k < counts[selector]; k++)
        if (widths[selector] == 0 ? src[k] != 1 : src[k] >> widths[selector] != 0)
            return false;
    return true;
}

static size_t slow_encode(const uint64_t *src, size_t count, uint8_t *dst)
{
    size_t len = 0;
    for (size_t i = 0; i < count; len += 8) {
        unsigned selector = 0;
        while (!fits(src + i, count - i, selector))
            selector++;
        uint64_t word = (uint64_t)selector << 60;
        for (unsigned k = 0; k < counts[selector] && widths[selector] > 0; k++)
            word |= src[i + k] << (k * widths[selector]);
        for (int k = 0; k < 8; k++)
            dst[len + (size_t)k] = (uint8_t)(word >> (56 - 8 * k));
        i += counts[selector];
    }
    return len;
}

/* Encoded as the slow way does, and decoded again by both decoders, in memory that ends where it may end. */
static void there_and_back(const uint64_t *src, size_t count)
{
    static uint8_t want[VALUES * 8], got[VALUES * 8];
    const size_t len = slow_encode(src, count, want);
    AF_CHECK_INT(af_simple8b_encode(src, count, got), len);
    AF_CHECK(memcmp(want, got, len) == 0);
    AF_CHECK_INT(af_simple8b_count(got, len / 8), count);
    uint8_t *words = af_alloc(len);
    uint64_t *back = af_alloc((count + AF_SIMPLE8B_SLACK) * 8);
    uint64_t *plain = af_alloc(count * 8);
    AF_CHECK(words != NULL && back != NULL && plain != NULL);
    if (len > 0)
        memcpy(words, got, len);
    af_simple8b_decode(words, len / 8, back);
    af_simple8b_decode_scalar(words, len / 8, plain);
    AF_CHECK(count == 0 || memcmp(src, back, count * 8) == 0);
    AF_CHECK(count == 0 || memcmp(src, plain, count * 8) == 0);
    af_free(words);
    af_free(back);
    af_free(plain);
}

AF_TEST(simple8b_is_greedy_and_comes_back)
{
    struct af_prng prng = { 1 };
    static uint64_t values[VALUES];
    for (int round = 0; round < 600; round++) {
        const size_t count = (size_t)af_prng_below(&prng, round % 3 == 0 ? VALUES : 70);
        const unsigned width = 1 + (unsigned)af_prng_below(&prng, 60);
        const unsigned jitter = (unsigned)af_prng_below(&prng, width + 1);
        for (size_t i = 0; i < count; i++) {
            unsigned bits = width - (unsigned)af_prng_below(&prng, jitter + 1);
            values[i] = bits == 0 ? 0 : af_prng_next(&prng) >> (64 - bits);
        }
        there_and_back(values, count);
    }
}

AF_TEST(simple8b_every_width_and_count)
{
    uint64_t values[260];
    for (unsigned width = 0; width <= 60; width++)
        for (size_t count = 0; count <= 260; count += count < 64 ? 1 : 7) {
            for (size_t i = 0; i < count; i++)
                values[i] = af_low_bits(width);
            there_and_back(values, count);
        }
}

AF_TEST(simple8b_runs_of_ones)
{
    uint64_t values[VALUES];
    for (size_t count = 100; count < 800; count += count % 120 < 4 || count % 120 > 116 ? 1 : 37)
        for (size_t hole = 0; hole <= count; hole += hole % 120 < 3 || hole % 120 > 117 ? 1 : 19) {
            for (size_t i = 0; i < count; i++)
                values[i] = i == hole ? 0 : 1;
            there_and_back(values, count);
        }
}

AF_TEST(simple8b_refuses_a_value_of_61_bits)
{
    uint64_t values[300];
    uint8_t dst[300 * 8];
    for (size_t at = 0; at < 300; at += 13) {
        for (size_t i = 0; i < 300; i++)
            values[i] = i == at ? AF_SIMPLE8B_VALUE_MAX : 1;
        AF_CHECK(af_simple8b_encode(values, 300, dst) != SIZE_MAX);
        values[at]++;
        AF_CHECK(af_simple8b_encode(values, 300, dst) == SIZE_MAX);
        values[at] = UINT64_MAX;
        AF_CHECK(af_simple8b_encode(values, 300, dst) == SIZE_MAX);
    }
}

AF_TEST(simple8b_decodes_any_word)
{
    struct af_prng prng = { 5 };
    uint8_t words[64];
    uint64_t back[8 * 240 + AF_SIMPLE8B_SLACK];
    uint64_t plain[8 * 240];
    for (int round = 0; round < 3000; round++) {
        for (size_t i = 0; i < sizeof words; i++)
            words[i] = (uint8_t)af_prng_next(&prng);
        const size_t count = af_simple8b_count(words, 8);
        af_simple8b_decode(words, 8, back);
        af_simple8b_decode_scalar(words, 8, plain);
        AF_CHECK(memcmp(back, plain, count * 8) == 0);
    }
}
