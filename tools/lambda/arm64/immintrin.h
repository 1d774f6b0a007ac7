/*
 * immintrin.h - what format/csv/scan.c needs to compile: SSE2 as in emmintrin.h beside this; its AVX2 twin is compiled and never run, since
 * no arm64 has it.
 */
#ifndef AF_ARM64_IMMINTRIN_H
#define AF_ARM64_IMMINTRIN_H
#include <emmintrin.h>

#define target(extensions)               /* of __attribute__: arm64 has none of them */
#define __builtin_cpu_supports(name) 0

typedef struct {
    __m128i low, high;
} __m256i;
AF_ARM64_INLINE __m256i _mm256_loadu_si256(const __m256i *from)
{
    const __m128i *at = (const __m128i *)(const void *)from;
    return (__m256i){ _mm_loadu_si128(at), _mm_loadu_si128(at + 1) };
}
AF_ARM64_INLINE __m256i _mm256_set1_epi8(char a)
{
    return (__m256i){ _mm_set1_epi8(a), _mm_set1_epi8(a) };
}
AF_ARM64_INLINE __m256i _mm256_setzero_si256(void)
{
    return (__m256i){ { 0, 0 }, { 0, 0 } };
}
AF_ARM64_INLINE __m256i _mm256_cmpeq_epi8(__m256i a, __m256i b)
{
    return (__m256i){ _mm_cmpeq_epi8(a.low, b.low), _mm_cmpeq_epi8(a.high, b.high) };
}
AF_ARM64_INLINE __m256i _mm256_or_si256(__m256i a, __m256i b)
{
    return (__m256i){ a.low | b.low, a.high | b.high };
}
AF_ARM64_INLINE int _mm256_movemask_epi8(__m256i a)
{
    return (int)((unsigned)_mm_movemask_epi8(a.low) | (unsigned)_mm_movemask_epi8(a.high) << 16);
}
#endif
