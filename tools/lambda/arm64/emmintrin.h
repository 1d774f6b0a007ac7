/*
 * emmintrin.h - the SSE2 of <emmintrin.h> that our source uses, by NEON: one source for both processors. On the include path of the arm64
 * build only (tools/lambda/build.sh). Each does what Intel's intrinsics guide says of its namesake; the unit tests of base/ and format/
 * judge it (tools/lambda/arm64-unit.sh).
 */
#ifndef AF_ARM64_EMMINTRIN_H
#define AF_ARM64_EMMINTRIN_H
#include <arm_neon.h>

typedef long long __m128i __attribute__((vector_size(16), may_alias));
typedef long long af_m128i_anywhere __attribute__((vector_size(16), may_alias, aligned(1)));
#define AF_ARM64_INLINE static inline __attribute__((always_inline, unused))

/* --- in, out, the same everywhere ------------------------------------------------------------------------------------------ */

AF_ARM64_INLINE __m128i _mm_loadu_si128(const __m128i *from)
{
    return *(const af_m128i_anywhere *)from;
}
AF_ARM64_INLINE void _mm_storeu_si128(__m128i *to, __m128i a)
{
    *(af_m128i_anywhere *)to = a;
}
AF_ARM64_INLINE __m128i _mm_setzero_si128(void)
{
    return (__m128i){ 0, 0 };
}
AF_ARM64_INLINE __m128i _mm_set_epi64x(long long high, long long low)
{
    return (__m128i){ low, high };
}
AF_ARM64_INLINE __m128i _mm_cvtsi64_si128(long long a)
{
    return (__m128i){ a, 0 };
}
AF_ARM64_INLINE long long _mm_cvtsi128_si64(__m128i a)
{
    return a[0];
}
AF_ARM64_INLINE __m128i _mm_set1_epi8(char a)
{
    return (__m128i)vdupq_n_s8((signed char)a);
}
AF_ARM64_INLINE __m128i _mm_set1_epi16(short a)
{
    return (__m128i)vdupq_n_s16(a);
}
AF_ARM64_INLINE __m128i _mm_set1_epi32(int a)
{
    return (__m128i)vdupq_n_s32(a);
}
AF_ARM64_INLINE __m128i _mm_set1_epi64x(long long a)
{
    return (__m128i){ a, a };
}

/* --- bits ---------------------------------------------------------------------------------------------------------------- */

AF_ARM64_INLINE __m128i _mm_and_si128(__m128i a, __m128i b)
{
    return a & b;
}
AF_ARM64_INLINE __m128i _mm_andnot_si128(__m128i a, __m128i b)
{
    return ~a & b;
}
AF_ARM64_INLINE __m128i _mm_or_si128(__m128i a, __m128i b)
{
    return a | b;
}
AF_ARM64_INLINE __m128i _mm_xor_si128(__m128i a, __m128i b)
{
    return a ^ b;
}
/* By bytes, 1 to 15 of them. */
#define _mm_slli_si128(a, bytes) ((__m128i)vextq_u8(vdupq_n_u8(0), (uint8x16_t)(a), 16 - (bytes)))
/* By bits, fewer than a lane has. */
AF_ARM64_INLINE __m128i _mm_slli_epi16(__m128i a, int bits)
{
    return (__m128i)((uint16x8_t)a << bits);
}
AF_ARM64_INLINE __m128i _mm_slli_epi32(__m128i a, int bits)
{
    return (__m128i)((uint32x4_t)a << bits);
}
AF_ARM64_INLINE __m128i _mm_srli_epi16(__m128i a, int bits)
{
    return (__m128i)((uint16x8_t)a >> bits);
}
AF_ARM64_INLINE __m128i _mm_srli_epi64(__m128i a, int bits)
{
    return (__m128i)((uint64x2_t)a >> bits);
}
/* The sign of each byte. */
AF_ARM64_INLINE int _mm_movemask_epi8(__m128i a)
{
    const int8x16_t places = { 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7 };
    uint8x16_t bits = vshlq_u8(vshrq_n_u8((uint8x16_t)a, 7), places);
    return vaddv_u8(vget_low_u8(bits)) | vaddv_u8(vget_high_u8(bits)) << 8;
}

/* --- numbers ------------------------------------------------------------------------------------------------------------- */

AF_ARM64_INLINE __m128i _mm_add_epi64(__m128i a, __m128i b)
{
    return (__m128i)((uint64x2_t)a + (uint64x2_t)b);
}
AF_ARM64_INLINE __m128i _mm_sub_epi16(__m128i a, __m128i b)
{
    return (__m128i)((uint16x8_t)a - (uint16x8_t)b);
}
AF_ARM64_INLINE __m128i _mm_adds_epu8(__m128i a, __m128i b)
{
    return (__m128i)vqaddq_u8((uint8x16_t)a, (uint8x16_t)b);
}
AF_ARM64_INLINE __m128i _mm_mullo_epi16(__m128i a, __m128i b)
{
    return (__m128i)((uint16x8_t)a * (uint16x8_t)b);
}
AF_ARM64_INLINE __m128i _mm_mulhi_epu16(__m128i a, __m128i b)
{
    uint32x4_t low = vmull_u16(vget_low_u16((uint16x8_t)a), vget_low_u16((uint16x8_t)b));
    uint32x4_t high = vmull_high_u16((uint16x8_t)a, (uint16x8_t)b);
    return (__m128i)vuzp2q_u16((uint16x8_t)low, (uint16x8_t)high);
}
AF_ARM64_INLINE __m128i _mm_mul_epu32(__m128i a, __m128i b)
{
    return (__m128i)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
}
AF_ARM64_INLINE __m128i _mm_madd_epi16(__m128i a, __m128i b)
{
    int32x4_t low = vmull_s16(vget_low_s16((int16x8_t)a), vget_low_s16((int16x8_t)b));
    return (__m128i)vpaddq_s32(low, vmull_high_s16((int16x8_t)a, (int16x8_t)b));
}
AF_ARM64_INLINE __m128i _mm_cmpeq_epi8(__m128i a, __m128i b)
{
    return (__m128i)((int8x16_t)a == (int8x16_t)b);
}
AF_ARM64_INLINE __m128i _mm_cmpgt_epi8(__m128i a, __m128i b)
{
    return (__m128i)((int8x16_t)a > (int8x16_t)b);
}
AF_ARM64_INLINE __m128i _mm_cmplt_epi8(__m128i a, __m128i b)
{
    return (__m128i)((int8x16_t)a < (int8x16_t)b);
}

/* --- lanes elsewhere ----------------------------------------------------------------------------------------------------- */

#define _MM_SHUFFLE(d, c, b, a) ((d) << 6 | (c) << 4 | (b) << 2 | (a))
AF_ARM64_INLINE __m128i _mm_shuffle_epi32(__m128i a, int from)
{
    const uint32x4_t lanes = { from & 3, from >> 2 & 3, from >> 4 & 3, from >> 6 & 3 };
    return (__m128i)__builtin_shuffle((uint32x4_t)a, lanes);
}
AF_ARM64_INLINE __m128i _mm_packs_epi32(__m128i a, __m128i b)
{
    return (__m128i)vcombine_s16(vqmovn_s32((int32x4_t)a), vqmovn_s32((int32x4_t)b));
}
AF_ARM64_INLINE __m128i _mm_unpacklo_epi64(__m128i a, __m128i b)
{
    return (__m128i){ a[0], b[0] };
}
AF_ARM64_INLINE __m128i _mm_unpackhi_epi64(__m128i a, __m128i b)
{
    return (__m128i){ a[1], b[1] };
}
#endif
