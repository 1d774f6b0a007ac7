/*
 * simple8b.c - see simple8b.h for the words.
 *
 * Decoding. AVX2: a word in four lanes, shifted by what the selector's row says, masked: four values a step. A word of few values is
 * always written as eight, whatever its selector, so that the processor has nothing to guess; the values too many are written over by
 * the next word, and the last word's go to the slack.
 *
 * Encoding. A selector of n values of b bits fits when the OR of the next n values is below 2^b. Fitting is monotone: where n values fit,
 * fewer do too (each in the wider fields of its selector). So the first selector that fits is found by going on while the OR of k values
 * is below the limit of k, and then taking the next smaller number there is a selector for.
 */
#include "codec/codec_int.h"
#include "codec/simple8b.h"
#include <assert.h>
#ifdef AF_CODEC_AVX2
#include <immintrin.h>
#endif

enum { SELECTORS = 16, PACKED_MAX = 60 };

static const uint8_t values_of[SELECTORS] = { 240, 120, 60, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1 };
static const uint8_t bits_of[SELECTORS] = { 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 60 };

static inline uint64_t load_word(const uint8_t *src)
{
    return __builtin_bswap64(af_load64(src));
}

size_t af_simple8b_count(const uint8_t *words, size_t word_count)
{
    size_t count = 0;
    for (size_t i = 0; i < word_count; i++)
        count += values_of[words[i * 8] >> 4];
    return count;
}

/* --- decode --------------------------------------------------------------------------------------------------------------- */

void af_simple8b_decode_scalar(const uint8_t *words, size_t word_count, uint64_t *dst)
{
    for (size_t i = 0; i < word_count; i++) {
        uint64_t word = load_word(words + i * 8);
        const unsigned selector = (unsigned)(word >> 60);
        const unsigned bits = bits_of[selector];
        const uint64_t mask = af_low_bits(bits);
        if (bits == 0)
            word = 0;
        for (unsigned k = 0; k < values_of[selector]; k++, word >>= bits)
            dst[k] = bits == 0 ? 1 : word & mask;
        dst += values_of[selector];
    }
}

#ifdef AF_CODEC_AVX2
/* Shifts of the values of a word; 64 and more give 0, which nobody reads. */
#define ROW(b) { 0, b, 2 * b, 3 * b, 4 * b, 5 * b, 6 * b, 7 * b }
static const _Alignas(32) uint64_t shifts_of[SELECTORS][8] = {
    ROW(0),  ROW(0),  ROW(1),  ROW(2),  ROW(3),  ROW(4),  ROW(5),  ROW(6),
    ROW(7),  ROW(8),  ROW(10), ROW(12), ROW(15), ROW(20), ROW(30), ROW(60),
};

AF_TARGET_AVX2 static inline void store4(uint64_t *dst, __m256i word, __m256i shifts, __m256i mask)
{
    _mm256_storeu_si256((__m256i *)(void *)dst, _mm256_and_si256(_mm256_srlv_epi64(word, shifts), mask));
}

AF_TARGET_AVX2 static void fill_ones(uint64_t *dst, unsigned count)
{
    const __m256i one = _mm256_set1_epi64x(1);
    for (unsigned k = 0; k < count; k += 4)
        _mm256_storeu_si256((__m256i *)(void *)(dst + k), one);
}

/* More than eight values: whole fours, the first eight by the table and the rest by shifting on. */
AF_TARGET_AVX2 static inline void unpack_many(uint64_t *dst, __m256i word, __m256i shifts, __m256i mask, unsigned selector)
{
    const __m256i step = _mm256_set1_epi64x(4 * bits_of[selector]);
    for (unsigned k = 0; k < values_of[selector]; k += 4) {
        store4(dst + k, word, shifts, mask);
        shifts = _mm256_add_epi64(shifts, step);
    }
}

AF_TARGET_AVX2 static void decode_avx2(const uint8_t *words, size_t word_count, uint64_t *dst)
{
    for (size_t i = 0; i < word_count; i++) {
        const uint64_t bits = load_word(words + i * 8);
        const unsigned selector = (unsigned)(bits >> 60);
        const __m256i word = _mm256_set1_epi64x((int64_t)bits);
        const __m256i mask = _mm256_set1_epi64x((int64_t)af_low_bits(bits_of[selector]));
        const uint64_t *shifts = shifts_of[selector];
        const __m256i low = _mm256_load_si256((const __m256i *)(const void *)shifts);
        if (selector >= 12) {
            store4(dst, word, low, mask);
        } else if (selector >= 8) {
            store4(dst, word, low, mask);
            store4(dst + 4, word, _mm256_load_si256((const __m256i *)(const void *)(shifts + 4)), mask);
        } else if (selector >= 2) {
            unpack_many(dst, word, low, mask, selector);
        } else {
            fill_ones(dst, values_of[selector]);
        }
        dst += values_of[selector];
    }
}
#endif

void af_simple8b_decode(const uint8_t *words, size_t word_count, uint64_t *dst)
{
#ifdef AF_CODEC_AVX2
    if (__builtin_cpu_supports("avx2")) {
        decode_avx2(words, word_count, dst);
        return;
    }
#endif
    af_simple8b_decode_scalar(words, word_count, dst);
}

/* --- encode --------------------------------------------------------------------------------------------------------------- */

/* The densest selector of at most k values, for k 1..60. */
static const uint8_t selector_of[PACKED_MAX + 1] = {
    0, 15, 14, 13, 12, 11, 10, 9, 8, 8, 7, 7, 6, 6, 6, 5, 5, 5, 5, 5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3,
    3, 3,  3,  3,  3,  3,  3,  3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2,
};
/* Bits that each of k values may have at most, for k 1..60: those of the smallest selector of k or more values. */
static const uint8_t width_of[PACKED_MAX + 1] = {
    0, 60, 30, 20, 15, 12, 10, 8, 7, 6, 6, 5, 5, 4, 4, 4, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    1, 1,  1,  1,  1,  1,  1,  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
};

/* 240 or 120 if that many ones are next, else 0. */
static size_t ones_run(const uint64_t *src, size_t left)
{
    if (left < 120 || src[0] != 1)
        return 0;
    const size_t max = left < 240 ? 120 : 240;
    size_t run = 1;
    while (run < max && src[run] == 1)
        run++;
    return run == 240 ? 240 : run >= 120 ? 120 : 0;
}

static unsigned choose(const uint64_t *src, size_t left)
{
    const size_t max = left < PACKED_MAX ? left : PACKED_MAX;
    uint64_t all = 0;
    size_t k = 0;
    while (k < max) {
        all |= src[k];
        if (all >> width_of[k + 1] != 0)
            break;
        k++;
    }
    return selector_of[k];
}

static uint64_t pack(const uint64_t *src, unsigned selector)
{
    const unsigned bits = bits_of[selector];
    uint64_t word = (uint64_t)selector << 60;
    for (unsigned k = 0; k < values_of[selector]; k++)
        word |= src[k] << (k * bits);
    return word;
}

static inline void store_word(uint8_t *dst, uint64_t word)
{
    word = __builtin_bswap64(word);
    memcpy(dst, &word, sizeof word);
}

size_t af_simple8b_encode(const uint64_t *src, size_t count, uint8_t *dst)
{
    uint8_t *at = dst;
    for (size_t i = 0; i < count; at += 8) {
        const size_t ones = ones_run(src + i, count - i);
        if (ones != 0) {
            store_word(at, ones == 240 ? 0 : UINT64_C(1) << 60);
            i += ones;
            continue;
        }
        const unsigned selector = choose(src + i, count - i);
        if (selector == 0)
            return SIZE_MAX;
        store_word(at, pack(src + i, selector));
        i += values_of[selector];
    }
    return (size_t)(at - dst);
}
