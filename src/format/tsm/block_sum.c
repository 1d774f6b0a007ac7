/*
 * block_sum.c - from steps to values: the running sums and the regular runs that decoding ends with.
 *
 * AVX2: four values at a time. Two shifted additions make the sums within the four, and one more adds what came before; only that last
 * addition waits for the four before.
 */
#include "format/tsm/block_int.h"
#if defined(__x86_64__)
#define AF_TSM_AVX2 1
#define AF_TARGET_AVX2 __attribute__((target("avx2")))
#include <immintrin.h>
#endif

static inline uint64_t unzigzag(uint64_t z)
{
    return z >> 1 ^ (0 - (z & 1));
}

bool af_tsm_sum_times_scalar(uint64_t first, uint64_t scale, uint64_t *at, size_t count)
{
    const uint64_t step_max = UINT64_MAX / scale;
    uint64_t last = first;
    bool bad = false;
    for (size_t i = 0; i < count; i++) {
        const uint64_t now = last + at[i] * scale;
        bad |= at[i] > step_max || (int64_t)now <= (int64_t)last;
        at[i] = last = now;
    }
    return !bad;
}

void af_tsm_sum_ints_scalar(uint64_t first, uint64_t *at, size_t count)
{
    uint64_t sum = first;
    for (size_t i = 0; i < count; i++)
        at[i] = sum += unzigzag(at[i]);
}

void af_tsm_fill_run_scalar(uint64_t first, uint64_t step, uint64_t *at, size_t count)
{
    for (size_t i = 0; i < count; i++)
        at[i] = first + i * step;
}

#ifdef AF_TSM_AVX2
AF_TARGET_AVX2 static inline __m256i load4(const uint64_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

AF_TARGET_AVX2 static inline void store4(uint64_t *at, __m256i v)
{
    _mm256_storeu_si256((__m256i *)(void *)at, v);
}

/* a, a + b, a + b + c, a + b + c + d */
AF_TARGET_AVX2 static inline __m256i sums4(__m256i v)
{
    v = _mm256_add_epi64(v, _mm256_slli_si256(v, 8));
    const __m256i low = _mm256_permute2x128_si256(v, v, 0x08); /* the lower half, above zeros */
    return _mm256_add_epi64(v, _mm256_unpackhi_epi64(low, low));
}

AF_TARGET_AVX2 static inline __m256i last_of_4(__m256i v)
{
    return _mm256_permute4x64_epi64(v, 0xFF);
}

/* Low 64 bits of the products. */
AF_TARGET_AVX2 static inline __m256i multiply4(__m256i a, __m256i b, __m256i b_high)
{
    const __m256i across =
        _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(a, 32), b), _mm256_mul_epu32(a, b_high));
    return _mm256_add_epi64(_mm256_mul_epu32(a, b), _mm256_slli_epi64(across, 32));
}

/* Comparisons are of signed numbers: steps that are scaled are below 2^60, others have nothing to exceed. */
AF_TARGET_AVX2 static bool sum_times_avx2(uint64_t first, uint64_t scale, uint64_t *at, size_t count)
{
    const __m256i by = _mm256_set1_epi64x((int64_t)scale), by_high = _mm256_srli_epi64(by, 32);
    const __m256i step_max = _mm256_set1_epi64x(scale == 1 ? INT64_MAX : (int64_t)(UINT64_MAX / scale));
    __m256i before = _mm256_set1_epi64x((int64_t)first);
    __m256i good = _mm256_set1_epi64x(-1);
    const size_t whole = count / 4 * 4;
    for (size_t i = 0; i < whole; i += 4) {
        __m256i step = load4(at + i);
        good = _mm256_andnot_si256(_mm256_cmpgt_epi64(step, step_max), good);
        if (scale != 1)
            step = multiply4(step, by, by_high);
        const __m256i sums = sums4(step);
        const __m256i now = _mm256_add_epi64(sums, before);
        good = _mm256_and_si256(good, _mm256_cmpgt_epi64(now, _mm256_sub_epi64(now, step)));
        before = _mm256_add_epi64(before, last_of_4(sums));
        store4(at + i, now);
    }
    const uint64_t last = (uint64_t)_mm256_extract_epi64(before, 0);
    return af_tsm_sum_times_scalar(last, scale, at + whole, count - whole) && _mm256_movemask_epi8(good) == -1;
}

AF_TARGET_AVX2 static void sum_ints_avx2(uint64_t first, uint64_t *at, size_t count)
{
    const __m256i one = _mm256_set1_epi64x(1);
    __m256i before = _mm256_set1_epi64x((int64_t)first);
    const size_t whole = count / 4 * 4;
    for (size_t i = 0; i < whole; i += 4) {
        const __m256i z = load4(at + i);
        const __m256i sign = _mm256_sub_epi64(_mm256_setzero_si256(), _mm256_and_si256(z, one));
        const __m256i sums = sums4(_mm256_xor_si256(_mm256_srli_epi64(z, 1), sign));
        store4(at + i, _mm256_add_epi64(sums, before));
        before = _mm256_add_epi64(before, last_of_4(sums));
    }
    af_tsm_sum_ints_scalar((uint64_t)_mm256_extract_epi64(before, 0), at + whole, count - whole);
}

AF_TARGET_AVX2 static void fill_run_avx2(uint64_t first, uint64_t step, uint64_t *at, size_t count)
{
    __m256i now = _mm256_setr_epi64x((int64_t)first, (int64_t)(first + step), (int64_t)(first + 2 * step), (int64_t)(first + 3 * step));
    const __m256i on = _mm256_set1_epi64x((int64_t)(4 * step));
    const size_t whole = count / 4 * 4;
    for (size_t i = 0; i < whole; i += 4) {
        store4(at + i, now);
        now = _mm256_add_epi64(now, on);
    }
    af_tsm_fill_run_scalar(first + whole * step, step, at + whole, count - whole);
}
#endif

bool af_tsm_sum_times(uint64_t first, uint64_t scale, uint64_t *at, size_t count)
{
#ifdef AF_TSM_AVX2
    if (__builtin_cpu_supports("avx2"))
        return sum_times_avx2(first, scale, at, count);
#endif
    return af_tsm_sum_times_scalar(first, scale, at, count);
}

void af_tsm_sum_ints(uint64_t first, uint64_t *at, size_t count)
{
#ifdef AF_TSM_AVX2
    if (__builtin_cpu_supports("avx2")) {
        sum_ints_avx2(first, at, count);
        return;
    }
#endif
    af_tsm_sum_ints_scalar(first, at, count);
}

void af_tsm_fill_run(uint64_t first, uint64_t step, uint64_t *at, size_t count)
{
#ifdef AF_TSM_AVX2
    if (__builtin_cpu_supports("avx2")) {
        fill_run_avx2(first, step, at, count);
        return;
    }
#endif
    af_tsm_fill_run_scalar(first, step, at, count);
}
