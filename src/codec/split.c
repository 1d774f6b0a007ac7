/*
 * split.c - BYTE_STREAM_SPLIT: byte k of every value, then byte k + 1 of every value, ...
 *
 * It is a transposition of a count x width matrix of bytes. For 4 and 8 bytes it is done 16 values at a time with "zip" rounds:
 * interleaving the lower half of the registers with the upper half rotates the bits of every byte's index left by one.
 * (stream k, value j) to (j, k) is a rotation by the bits of k: 2 or 3 rounds; back is a rotation by the 4 bits of j.
 */
#include "codec/codec_int.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

void af_stream_split_decode_scalar(const uint8_t *src, size_t count, size_t width, uint8_t *dst)
{
    for (size_t k = 0; k < width; k++)
        for (size_t i = 0; i < count; i++)
            dst[i * width + k] = src[k * count + i];
}

void af_stream_split_encode_scalar(const uint8_t *src, size_t count, size_t width, uint8_t *dst)
{
    for (size_t k = 0; k < width; k++)
        for (size_t i = 0; i < count; i++)
            dst[k * count + i] = src[i * width + k];
}

#if defined(__SSE2__)
enum { LANES = 16 }; /* values a step */

__attribute__((always_inline)) static inline void zip(__m128i *regs, unsigned n, unsigned rounds)
{
    for (unsigned r = 0; r < rounds; r++) {
        __m128i next[8];
        for (unsigned i = 0; i < n / 2; i++) {
            next[2 * i] = _mm_unpacklo_epi8(regs[i], regs[i + n / 2]);
            next[2 * i + 1] = _mm_unpackhi_epi8(regs[i], regs[i + n / 2]);
        }
        for (unsigned i = 0; i < n; i++)
            regs[i] = next[i];
    }
}

__attribute__((always_inline)) static inline size_t decode_sse2(const uint8_t *src, size_t count, unsigned width, uint8_t *dst)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        __m128i regs[8];
        for (unsigned k = 0; k < width; k++)
            regs[k] = _mm_loadu_si128((const __m128i *)(const void *)(src + k * count + i));
        zip(regs, width, width == 8 ? 3 : 2);
        for (unsigned k = 0; k < width; k++)
            _mm_storeu_si128((__m128i *)(void *)(dst + i * width + k * LANES), regs[k]);
    }
    return i;
}

__attribute__((always_inline)) static inline size_t encode_sse2(const uint8_t *src, size_t count, unsigned width, uint8_t *dst)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        __m128i regs[8];
        for (unsigned k = 0; k < width; k++)
            regs[k] = _mm_loadu_si128((const __m128i *)(const void *)(src + i * width + k * LANES));
        zip(regs, width, 4);
        for (unsigned k = 0; k < width; k++)
            _mm_storeu_si128((__m128i *)(void *)(dst + k * count + i), regs[k]);
    }
    return i;
}

static size_t decode_simd(const uint8_t *src, size_t count, size_t width, uint8_t *dst)
{
    return width == 8 ? decode_sse2(src, count, 8, dst) : width == 4 ? decode_sse2(src, count, 4, dst) : 0;
}

static size_t encode_simd(const uint8_t *src, size_t count, size_t width, uint8_t *dst)
{
    return width == 8 ? encode_sse2(src, count, 8, dst) : width == 4 ? encode_sse2(src, count, 4, dst) : 0;
}
#else
static size_t decode_simd(const uint8_t *src, size_t count, size_t width, uint8_t *dst)
{
    (void)src, (void)count, (void)width, (void)dst;
    return 0;
}
static size_t encode_simd(const uint8_t *src, size_t count, size_t width, uint8_t *dst)
{
    (void)src, (void)count, (void)width, (void)dst;
    return 0;
}
#endif

void af_stream_split_decode(const uint8_t *src, size_t count, size_t width, uint8_t *dst)
{
    const size_t done = decode_simd(src, count, width, dst);
    for (size_t k = 0; k < width; k++)
        for (size_t i = done; i < count; i++)
            dst[i * width + k] = src[k * count + i];
}

void af_stream_split_encode(const uint8_t *src, size_t count, size_t width, uint8_t *dst)
{
    const size_t done = encode_simd(src, count, width, dst);
    for (size_t k = 0; k < width; k++)
        for (size_t i = done; i < count; i++)
            dst[k * count + i] = src[i * width + k];
}
