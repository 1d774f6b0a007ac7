/*
 * bits.c - bit-packed integers, least significant bit first, and varints.
 *
 *     value i of width w lies at bits [i*w, (i+1)*w) of the stream; 8 values take exactly w bytes.
 *
 * Scalar: an unaligned 8-byte load holds any value of up to 57 bits wherever it begins. AVX2, widths to 25: one byte shuffle moves
 * each value's 4 bytes into a lane, one variable shift and a mask finish 8 values; the shuffles are a table by width.
 * Both stop where a load could pass the end of src; the last values are put together byte by byte.
 */
#include "codec/codec_int.h"
#include <assert.h>
#ifdef AF_CODEC_AVX2
#include <immintrin.h>
#endif

enum { SHUFFLE_WIDTH_MAX = 25, LOAD_WIDTH_MAX = 57 };

unsigned af_bits_width(uint32_t max_value)
{
    return max_value == 0 ? 0 : 32u - (unsigned)__builtin_clz(max_value);
}

/* --- unpack, scalar ------------------------------------------------------------------------------------------------------ */

/* One value from the last bytes, where an 8-byte load is not allowed. */
static uint64_t unpack_slow(const uint8_t *src, size_t src_len, unsigned width, size_t index)
{
    unsigned __int128 bits = 0;
    const size_t first = index * width / 8;
    const size_t last = (index * width + width - 1) / 8;
    for (size_t i = first; i <= last && i < src_len; i++)
        bits |= (unsigned __int128)src[i] << (8 * (i - first));
    return (uint64_t)(bits >> (index * width % 8)) & af_low_bits(width);
}

/* How many of `count` values can be read by an 8-byte load inside [src, src + src_len). */
static size_t loadable(size_t src_len, unsigned width, size_t count)
{
    if (src_len < 8 || width > LOAD_WIDTH_MAX)
        return 0;
    size_t values = ((src_len - 8) * 8 + 7) / width + 1;
    return values < count ? values : count;
}

static void unpack32_from(const uint8_t *src, size_t src_len, unsigned width, uint32_t *dst, size_t from, size_t count)
{
    const uint64_t mask = af_low_bits(width);
    const size_t fast = loadable(src_len, width, count);
    size_t bit = from * width;
    size_t i = from;
    for (; i < fast; i++, bit += width)
        dst[i] = (uint32_t)(af_load64(src + bit / 8) >> (bit % 8) & mask);
    for (; i < count; i++)
        dst[i] = (uint32_t)unpack_slow(src, src_len, width, i);
}

static void unpack64_from(const uint8_t *src, size_t src_len, unsigned width, uint64_t *dst, size_t from, size_t count)
{
    const uint64_t mask = af_low_bits(width);
    const size_t fast = loadable(src_len, width, count);
    size_t bit = from * width;
    size_t i = from;
    for (; i < fast; i++, bit += width)
        dst[i] = af_load64(src + bit / 8) >> (bit % 8) & mask;
    for (; i < count; i++)
        dst[i] = unpack_slow(src, src_len, width, i);
}

/* 58..64 bits: a value may span 9 bytes. */
static void unpack64_wide(const uint8_t *src, size_t src_len, unsigned width, uint64_t *dst, size_t count)
{
    const uint64_t mask = af_low_bits(width);
    size_t i = 0;
    for (size_t bit = 0; i < count && bit / 8 + 9 <= src_len; i++, bit += width) {
        unsigned shift = (unsigned)(bit % 8);
        uint64_t low = af_load64(src + bit / 8) >> shift;
        uint64_t high = shift == 0 ? 0 : (uint64_t)src[bit / 8 + 8] << (64 - shift);
        dst[i] = (low | high) & mask;
    }
    for (; i < count; i++)
        dst[i] = unpack_slow(src, src_len, width, i);
}

void af_bits_unpack32_scalar(const uint8_t *src, size_t src_len, unsigned width, uint32_t *dst, size_t count)
{
    if (width == 0)
        memset(dst, 0, count * sizeof *dst);
    else
        unpack32_from(src, src_len, width, dst, 0, count);
}

void af_bits_unpack64_scalar(const uint8_t *src, size_t src_len, unsigned width, uint64_t *dst, size_t count)
{
    if (width == 0)
        memset(dst, 0, count * sizeof *dst);
    else if (width > LOAD_WIDTH_MAX)
        unpack64_wide(src, src_len, width, dst, count);
    else
        unpack64_from(src, src_len, width, dst, 0, count);
}

/* --- unpack, AVX2 -------------------------------------------------------------------------------------------------------- */
#ifdef AF_CODEC_AVX2

/* For values 0..7 of width w: the four bytes that hold value i, counted from the start of its 16-byte half. The upper half is loaded
 * from byte 4w/8, so both halves index from near 0. */
#define AT(w, i) ((w) * (i) / 8 - ((i) < 4 ? 0 : (w) * 4 / 8))
#define FOUR(w, i) AT(w, i), AT(w, i) + 1, AT(w, i) + 2, AT(w, i) + 3
#define SHUFFLE(w) { FOUR(w, 0), FOUR(w, 1), FOUR(w, 2), FOUR(w, 3), FOUR(w, 4), FOUR(w, 5), FOUR(w, 6), FOUR(w, 7) }
#define SHIFT(w) { 0, (w) % 8, (w) * 2 % 8, (w) * 3 % 8, (w) * 4 % 8, (w) * 5 % 8, (w) * 6 % 8, (w) * 7 % 8 }
#define ALL_WIDTHS(X)                                                                                                   \
    X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13), X(14), X(15), X(16), X(17), \
        X(18), X(19), X(20), X(21), X(22), X(23), X(24), X(25)
static const _Alignas(32) uint8_t shuffles[SHUFFLE_WIDTH_MAX + 1][32] = { ALL_WIDTHS(SHUFFLE) };
static const _Alignas(32) uint32_t shifts[SHUFFLE_WIDTH_MAX + 1][8] = { ALL_WIDTHS(SHIFT) };

/* Values that whole groups of 8 give, each group's upper load inside src. */
static size_t groupable(size_t src_len, unsigned width, size_t count)
{
    const size_t reach = width * 4 / 8 + 16;
    if (src_len < reach)
        return 0;
    size_t groups = (src_len - reach) / width + 1;
    return groups < count / 8 ? groups * 8 : count / 8 * 8;
}

AF_TARGET_AVX2 static inline __m256i unpack8(const uint8_t *at, unsigned high, __m256i shuffle, __m256i shift,
                                             __m256i mask)
{
    __m256i bytes = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)at));
    bytes = _mm256_inserti128_si256(bytes, _mm_loadu_si128((const __m128i *)(const void *)(at + high)), 1);
    return _mm256_and_si256(_mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, shuffle), shift), mask);
}

AF_TARGET_AVX2 static size_t unpack32_avx2(const uint8_t *src, size_t src_len, unsigned width, uint32_t *dst, size_t count)
{
    const __m256i shuffle = _mm256_load_si256((const __m256i *)(const void *)shuffles[width]);
    const __m256i shift = _mm256_load_si256((const __m256i *)(const void *)shifts[width]);
    const __m256i mask = _mm256_set1_epi32((int)af_low_bits(width));
    const size_t whole = groupable(src_len, width, count);
    for (size_t i = 0; i < whole; i += 8, src += width)
        _mm256_storeu_si256((__m256i *)(void *)(dst + i), unpack8(src, width / 2, shuffle, shift, mask));
    return whole;
}

AF_TARGET_AVX2 static size_t unpack64_avx2(const uint8_t *src, size_t src_len, unsigned width, uint64_t *dst, size_t count)
{
    const __m256i shuffle = _mm256_load_si256((const __m256i *)(const void *)shuffles[width]);
    const __m256i shift = _mm256_load_si256((const __m256i *)(const void *)shifts[width]);
    const __m256i mask = _mm256_set1_epi32((int)af_low_bits(width));
    const size_t whole = groupable(src_len, width, count);
    for (size_t i = 0; i < whole; i += 8, src += width) {
        __m256i v = unpack8(src, width / 2, shuffle, shift, mask);
        _mm256_storeu_si256((__m256i *)(void *)(dst + i), _mm256_cvtepu32_epi64(_mm256_castsi256_si128(v)));
        _mm256_storeu_si256((__m256i *)(void *)(dst + i + 4), _mm256_cvtepu32_epi64(_mm256_extracti128_si256(v, 1)));
    }
    return whole;
}
#endif

static bool use_shuffle(unsigned width, size_t count)
{
#ifdef AF_CODEC_AVX2
    return width > 0 && width <= SHUFFLE_WIDTH_MAX && count >= 8 && __builtin_cpu_supports("avx2");
#else
    (void)width, (void)count;
    return false;
#endif
}

void af_bits_unpack32(const uint8_t *src, size_t src_len, unsigned width, uint32_t *dst, size_t count)
{
    assert(width <= 32);
    assert((count * width + 7) / 8 <= src_len);
    if (width == 32 && count > 0) {
        memcpy(dst, src, count * 4);
    } else if (use_shuffle(width, count)) {
#ifdef AF_CODEC_AVX2
        size_t done = unpack32_avx2(src, src_len, width, dst, count);
        unpack32_from(src, src_len, width, dst, done, count);
#endif
    } else {
        af_bits_unpack32_scalar(src, src_len, width, dst, count);
    }
}

void af_bits_unpack64(const uint8_t *src, size_t src_len, unsigned width, uint64_t *dst, size_t count)
{
    assert(width <= 64);
    assert((count * width + 7) / 8 <= src_len);
    if (width == 64 && count > 0) {
        memcpy(dst, src, count * 8);
    } else if (use_shuffle(width, count)) {
#ifdef AF_CODEC_AVX2
        size_t done = unpack64_avx2(src, src_len, width, dst, count);
        unpack64_from(src, src_len, width, dst, done, count);
#endif
    } else {
        af_bits_unpack64_scalar(src, src_len, width, dst, count);
    }
}

enum af_status af_bits_unpack_msb(const uint8_t *src, size_t len, unsigned width, uint32_t *dst, size_t count,
                                  struct af_error *err)
{
    if (width > 32)
        return af_fail(err, AF_ECORRUPT, "bit-packed levels of width %u; 32 is the most there is", width);
    if (width != 0 && len < SIZE_MAX / 8 && len * 8 / width < count)
        return af_fail(err, AF_ECORRUPT, "bit-packed levels: %zu values of %u bits do not fit in %zu bytes", count, width, len);
    uint64_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < count; i++) {
        for (; have < width; have += 8)
            bits = bits << 8 | *src++;
        have -= width;
        dst[i] = (uint32_t)(bits >> have & af_low_bits(width));
    }
    return AF_OK;
}

/* --- pack ---------------------------------------------------------------------------------------------------------------- */

/* Collects bits in a word and writes it when full. */
struct packer {
    uint8_t *at;
    uint64_t word;
    unsigned used; /* bits of word, < 64 */
};

static inline void pack_one(struct packer *p, uint64_t value, unsigned width)
{
    p->word |= value << p->used;
    unsigned used = p->used + width;
    if (used >= 64) {
        memcpy(p->at, &p->word, 8);
        p->at += 8;
        used -= 64;
        p->word = used == 0 ? 0 : value >> (width - used);
    }
    p->used = used;
}

static void pack_end(struct packer *p)
{
    for (; p->used > 0; p->used = p->used > 8 ? p->used - 8 : 0, p->word >>= 8)
        *p->at++ = (uint8_t)p->word;
}

void af_bits_pack32(const uint32_t *src, size_t count, unsigned width, struct af_buf *out)
{
    const size_t bytes = (count * width + 7) / 8;
    struct packer p = { .at = (uint8_t *)af_buf_reserve(out, bytes) };
    if (p.at == NULL || width == 0)
        return;
    for (size_t i = 0; i < count; i++)
        pack_one(&p, src[i], width);
    pack_end(&p);
    out->len += bytes;
}

void af_bits_pack64(const uint64_t *src, size_t count, unsigned width, struct af_buf *out)
{
    const size_t bytes = (count * width + 7) / 8;
    struct packer p = { .at = (uint8_t *)af_buf_reserve(out, bytes) };
    if (p.at == NULL || width == 0)
        return;
    for (size_t i = 0; i < count; i++)
        pack_one(&p, src[i], width);
    pack_end(&p);
    out->len += bytes;
}

/* --- varints ------------------------------------------------------------------------------------------------------------- */

void af_uvarint_append(struct af_buf *out, uint64_t value)
{
    char bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (char)(value | 0x80);
    bytes[n++] = (char)value;
    af_buf_append(out, bytes, n);
}

bool af_uvarint_read(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    uint64_t value = 0;
    const uint8_t *p = *at;
    for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *at = p;
            *out = value;
            return true;
        }
    }
    return false;
}
