/*
 * gorilla.c - see gorilla.h for the stream.
 *
 * Writing. Fewer than 8 bits wait in `bits`; each put shifts up to 56 in below them, stores eight bytes where the stream stands and goes
 * on by the whole ones. No branch, and the last partial byte is always there with zeros behind it.
 *
 * Reading. One eight-byte load at any bit gives at least 57 bits, enough for a record of the usual window. Control bits are branches on
 * purpose: where they are guessed right, the next record's place does not wait for this one's bits. AVX2 goes further: it reads four
 * records at the places they have if the window stays, as it mostly does, and looks afterwards whether it did. The fast loop stops where
 * a load could pass the end; the last bytes are read from a copy with zeros behind, and a record that used such zeros is seen by its end.
 */
#include "codec/codec_int.h"
#include "codec/gorilla.h"
#include <assert.h>
#ifdef AF_CODEC_AVX2
#include <immintrin.h>
#define AF_TARGET_AVX2_BMI2 __attribute__((target("avx2,bmi,bmi2"))) /* BMI2: cheaper shifts by a variable */
#endif
#define AF_INLINE inline __attribute__((always_inline)) /* into callers of several targets */

#define END_MARK UINT64_C(0x7FF8000000000001)
#define EXPONENT UINT64_C(0x7FF0000000000000)
enum {
    LOAD_BITS = 57,   /* what a load surely gives */
    FEW = 4,          /* repeated values that are written whether there are so many or not */
    REACH_BYTES = 18, /* a record that begins at bit b is read inside bytes [b / 8, b / 8 + REACH_BYTES) */
};

size_t af_gorilla_bytes_max(size_t count)
{
    /* First value, at most 77 bits (under 10 bytes) for each further one and the end mark, and 8 bytes that a store may pass the end. */
    size_t bytes;
    if (__builtin_mul_overflow(count, (size_t)10, &bytes) || bytes > SIZE_MAX - 32)
        return SIZE_MAX;
    return bytes + 32;
}

static AF_INLINE uint64_t load_be(const uint8_t *src)
{
    return __builtin_bswap64(af_load64(src));
}

static AF_INLINE void store_be(uint8_t *dst, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(dst, &v, sizeof v);
}

/* --- encode --------------------------------------------------------------------------------------------------------------- */

struct writer {
    uint8_t *at;
    uint64_t bits;   /* the lowest `waiting` are not counted by `at` yet; above them is what was written before */
    unsigned waiting; /* 0..7 */
};

/* The low `count` bits (1..56) of v, which has no others. */
static inline void put(struct writer *w, uint64_t v, unsigned count)
{
    w->bits = w->bits << count | v;
    const unsigned waiting = w->waiting + count;
    store_be(w->at, w->bits << (64 - waiting));
    w->at += waiting / 8;
    w->waiting = waiting % 8;
}

static inline void put_wide(struct writer *w, uint64_t v, unsigned count)
{
    if (count > 56) {
        put(w, v >> 32, count - 32);
        put(w, v & UINT32_MAX, 32);
    } else {
        put(w, v, count);
    }
}

static bool all_finite(const uint64_t *src, size_t count)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < count; i++)
        bad |= (src[i] & EXPONENT) + (UINT64_C(1) << 52); /* an exponent of ones carries into the top bit */
    return bad >> 63 == 0;
}

struct window {
    unsigned leading, trailing, bits;
};

static inline void put_record(struct writer *w, struct window *window, uint64_t x)
{
    if (x == 0) {
        put(w, 0, 1);
        return;
    }
    const unsigned leading = (unsigned)__builtin_clzll(x) % 32;
    const unsigned trailing = (unsigned)__builtin_ctzll(x);
    if (leading >= window->leading && trailing >= window->trailing) {
        if (window->bits <= 54) {
            put(w, UINT64_C(2) << window->bits | x >> window->trailing, window->bits + 2);
        } else {
            put(w, 2, 2);
            put_wide(w, x >> window->trailing, window->bits);
        }
        return;
    }
    *window = (struct window){ leading, trailing, 64 - leading - trailing };
    put(w, UINT64_C(3) << 11 | leading << 6 | window->bits % 64, 13);
    put_wide(w, x >> trailing, window->bits);
}

static size_t encode(const uint64_t *src, size_t count, uint8_t *dst)
{
    struct writer w = { .at = dst + 8 };
    struct window window = { .leading = 64 };
    store_be(dst, src[0]);
    for (size_t i = 1; i < count; i++)
        put_record(&w, &window, src[i] ^ src[i - 1]);
    put_record(&w, &window, END_MARK ^ src[count - 1]);
    return (size_t)(w.at - dst) + (w.waiting > 0);
}

size_t af_gorilla_encode(const double *src, size_t count, uint8_t *dst)
{
    const uint64_t *bits = (const uint64_t *)(const void *)src;
    if (count == 0 || !all_finite(bits, count))
        return 0;
    return encode(bits, count, dst);
}

/* --- decode --------------------------------------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *src;
    uint64_t bit;      /* of the next record */
    uint64_t value;    /* the last one */
    unsigned bits;     /* of the window */
    unsigned trailing;
    bool is_bad;       /* a window wider than a value */
};

/* `count` bits (1..64) at any bit, from up to nine bytes. */
static AF_INLINE uint64_t peek(const uint8_t *src, uint64_t bit, unsigned count)
{
    const uint8_t *at = src + bit / 8;
    const unsigned shift = bit % 8;
    const uint64_t v = load_be(at) << shift | (uint64_t)at[8] >> (8 - shift);
    return v >> (64 - count);
}

/* A record that opens a window. False: the window is wider than a value. */
static AF_INLINE bool read_window(struct reader *r, uint64_t record)
{
    const unsigned leading = record >> 57 & 31;
    const unsigned bits = record >> 51 & 63;
    r->bits = bits == 0 ? 64 : bits;
    if (leading + r->bits > 64) {
        r->is_bad = true;
        return false;
    }
    r->trailing = 64 - leading - r->bits;
    r->value ^= peek(r->src, r->bit + 13, r->bits) << r->trailing;
    r->bit += 13 + r->bits;
    return true;
}

/* Records of the window that is open, one behind the other; stops at any other. Returns how many. */
static AF_INLINE size_t read_same_window(struct reader *r, uint64_t last, uint64_t *dst, size_t count)
{
    const uint8_t *src = r->src;
    const unsigned bits = r->bits, trailing = r->trailing;
    uint64_t bit = r->bit, value = r->value;
    size_t i = 0;
    for (; i < count && bit <= last; i++, bit += 2 + bits) {
        const uint64_t record = load_be(src + bit / 8) << (bit % 8);
        if (record >> 62 != 2)
            break;
        value ^= (bits <= LOAD_BITS - 2 ? record << 2 >> (64 - bits) : peek(src, bit + 2, bits)) << trailing;
        dst[i] = value;
    }
    r->bit = bit;
    r->value = value;
    return i;
}

static AF_INLINE size_t read_zeros(struct reader *r, uint64_t record, uint64_t *dst, size_t count)
{
    size_t run = (size_t)__builtin_clzll(record | UINT64_C(1) << (64 - LOAD_BITS));
    run = run < count ? run : count;
    r->bit += run;
    if (count >= FEW) { /* usual runs are short, and of a length nobody can guess: write a few, needed or not */
        for (size_t i = 0; i < FEW; i++)
            dst[i] = r->value;
        for (size_t i = FEW; i < run; i += FEW)
            for (size_t k = 0; k < FEW; k++)
                dst[(i + FEW <= count ? i : count - FEW) + k] = r->value;
        return run;
    }
    for (size_t i = 0; i < run; i++)
        dst[i] = r->value;
    return run;
}

/* Reads up to `count` values, as long as records begin at or before bit `last`. Returns how many. */
typedef size_t decode_fn(struct reader *reader, uint64_t last, uint64_t *dst, size_t count);

static size_t decode_scalar(struct reader *reader, uint64_t last, uint64_t *dst, size_t count)
{
    struct reader r = *reader;
    size_t i = 0;
    while (i < count && r.bit <= last) {
        const uint64_t record = load_be(r.src + r.bit / 8) << (r.bit % 8);
        if (record >> 63 == 0) {
            i += read_zeros(&r, record, dst + i, count - i);
        } else if (record >> 62 == 2) {
            i += read_same_window(&r, last, dst + i, count - i);
        } else {
            if (!read_window(&r, record))
                break;
            dst[i++] = r.value;
        }
    }
    *reader = r;
    return i;
}

#ifdef AF_CODEC_AVX2
AF_TARGET_AVX2_BMI2 static inline __m128i load_two(const uint8_t *src, uint64_t bit_a, uint64_t bit_b)
{
    const __m128i a = _mm_loadl_epi64((const __m128i *)(const void *)(src + bit_a / 8));
    return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(a), (const double *)(const void *)(src + bit_b / 8)));
}

AF_TARGET_AVX2_BMI2 static inline __m256i load_four(const uint8_t *src, uint64_t bit, uint64_t step)
{
    const __m128i low = load_two(src, bit, bit + step), high = load_two(src, bit + 2 * step, bit + 3 * step);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* Four records at once: if all are of the window that is open, their places are known. Stops before four of which one is not.
 * `is_wide`: eight bytes may not be enough for a record, so those two bytes further on are loaded too. */
AF_TARGET_AVX2_BMI2 static AF_INLINE size_t read_fours(struct reader *r, uint64_t last, uint64_t *dst, size_t count, bool is_wide)
{
    const uint64_t step = 2 + r->bits;
    const __m256i swap = _mm256_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14,
                                          13, 12, 11, 10, 9, 8);
    const __m256i control = _mm256_set1_epi64x((int64_t)(UINT64_C(3) << 62));
    const __m256i same = _mm256_set1_epi64x(INT64_MIN);
    const __m128i right = _mm_cvtsi32_si128((int)(64 - r->bits)), left = _mm_cvtsi32_si128((int)r->trailing);
    const __m256i seven = _mm256_set1_epi64x(7), fourteen = _mm256_set1_epi64x(14);
    const __m256i four_steps = _mm256_set1_epi64x((int64_t)(4 * step));
    uint64_t bit = r->bit;
    __m256i bits = _mm256_setr_epi64x((int64_t)bit, (int64_t)(bit + step), (int64_t)(bit + 2 * step), (int64_t)(bit + 3 * step));
    __m256i value = _mm256_set1_epi64x((int64_t)r->value);
    size_t i = 0;
    for (; i + 4 <= count && bit + 3 * step <= last; i += 4, bit += 4 * step) {
        const __m256i shift = _mm256_and_si256(bits, seven);
        __m256i v = _mm256_sllv_epi64(_mm256_shuffle_epi8(load_four(r->src, bit, step), swap), shift);
        if (!_mm256_testz_si256(_mm256_xor_si256(v, same), control))
            break;
        v = _mm256_slli_epi64(v, 2);
        if (is_wide) { /* from two bytes on, so that 64 bits behind the two of control are whole */
            const __m256i next = _mm256_shuffle_epi8(load_four(r->src + 2, bit, step), swap);
            v = _mm256_or_si256(v, _mm256_srlv_epi64(next, _mm256_sub_epi64(fourteen, shift)));
        }
        v = _mm256_sll_epi64(_mm256_srl_epi64(v, right), left);
        v = _mm256_xor_si256(v, _mm256_slli_si256(v, 8));
        const __m256i low = _mm256_permute2x128_si256(v, v, 0x08); /* the lower half, above zeros */
        v = _mm256_xor_si256(v, _mm256_unpackhi_epi64(low, low));
        _mm256_storeu_si256((__m256i *)(void *)(dst + i), _mm256_xor_si256(v, value));
        value = _mm256_xor_si256(value, _mm256_permute4x64_epi64(v, 0xFF));
        bits = _mm256_add_epi64(bits, four_steps);
    }
    r->bit = bit;
    r->value = (uint64_t)_mm256_extract_epi64(value, 0);
    return i;
}

enum { SURE_AFTER = 4 }; /* records of one window before four at once are tried */

AF_TARGET_AVX2_BMI2 static size_t decode_avx2(struct reader *reader, uint64_t last, uint64_t *dst, size_t count)
{
    struct reader r = *reader;
    size_t i = 0;
    while (i < count && r.bit <= last) {
        const uint64_t record = load_be(r.src + r.bit / 8) << (r.bit % 8);
        if (record >> 63 == 0) {
            i += read_zeros(&r, record, dst + i, count - i);
        } else if (record >> 62 == 2) {
            const size_t left = count - i;
            size_t got = read_same_window(&r, last, dst + i, left < SURE_AFTER ? left : SURE_AFTER);
            if (got == SURE_AFTER && r.bits <= LOAD_BITS - 2)
                got += read_fours(&r, last, dst + i + got, left - got, false);
            else if (got == SURE_AFTER)
                got += read_fours(&r, last, dst + i + got, left - got, true);
            i += got;
        } else {
            if (!read_window(&r, record))
                break;
            dst[i++] = r.value;
        }
    }
    *reader = r;
    return i;
}
#endif

/* As many as lie far enough from the end, then the rest from a copy of the last bytes. */
static size_t decode_all(struct reader *reader, decode_fn *decode_some, size_t len, uint64_t *dst, size_t count)
{
    uint8_t tail[2 * REACH_BYTES + 16] = { 0 };
    size_t done = 0;
    if (len >= REACH_BYTES)
        done = decode_some(reader, (uint64_t)(len - REACH_BYTES) * 8 + 7, dst, count);
    if (done == count || reader->is_bad || reader->bit >= len * 8)
        return done;
    const uint8_t *src = reader->src;
    const size_t from = (size_t)(reader->bit / 8);
    memcpy(tail, src + from, len - from);
    reader->src = tail;
    reader->bit -= from * 8;
    done += decode_some(reader, (len - from) * 8 - 1, dst + done, count - done);
    reader->src = src;
    reader->bit += from * 8;
    return done;
}

static bool any_nan(const uint64_t *src, size_t count)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < count; i++)
        bad |= (src[i] & INT64_MAX) + (INT64_MAX - EXPONENT); /* above the exponent's ones alone: carries into the top bit */
    return bad >> 63 != 0;
}

static enum af_status corrupt(struct af_error *err, const struct reader *reader, size_t done, size_t count, size_t len)
{
    if (reader->is_bad)
        return af_fail(err, AF_ECORRUPT, "float %zu of %zu: its window is wider than 64 bits", done, count);
    return af_fail(err, AF_ECORRUPT, "floats: %zu of %zu values and their end mark are in %zu bytes", done, count, len);
}

/* `count` values; the reader then stands behind them. */
static enum af_status decode_values(decode_fn *some, struct reader *reader, size_t len, double *dst, size_t count, struct af_error *err)
{
    if (len < 9 || (uint64_t)len * 8 < count)
        return af_fail(err, AF_ECORRUPT, "floats: %zu bytes cannot hold %zu values", len, count);
    uint64_t *out = (uint64_t *)(void *)dst;
    *reader = (struct reader){ .src = reader->src, .bit = 64, .bits = 64, .value = load_be(reader->src) };
    out[0] = reader->value;
    const size_t done = 1 + decode_all(reader, some, len, out + 1, count - 1);
    return done == count && reader->bit <= (uint64_t)len * 8 ? AF_OK : corrupt(err, reader, done, count, len);
}

static enum af_status decode(decode_fn *some, const uint8_t *src, size_t len, double *dst, size_t count, struct af_error *err)
{
    struct reader reader = { .src = src };
    uint64_t end = 0;
    AF_TRY(decode_values(some, &reader, len, dst, count, err));
    if (decode_all(&reader, some, len, &end, 1) < 1 || reader.bit > (uint64_t)len * 8)
        return corrupt(err, &reader, count, count, len);
    if (end != END_MARK || any_nan((const uint64_t *)(const void *)dst, count))
        return af_fail(err, AF_ECORRUPT, "floats: the end mark is not behind value %zu", count);
    if ((reader.bit + 7) / 8 != len)
        return af_fail(err, AF_ECORRUPT, "floats: %zu bytes follow the end mark", len - (size_t)((reader.bit + 7) / 8));
    return AF_OK;
}

static enum af_status decode_head(decode_fn *some, const uint8_t *src, size_t len, double *dst, size_t count, struct af_error *err)
{
    struct reader reader = { .src = src };
    AF_TRY(decode_values(some, &reader, len, dst, count, err));
    if (any_nan((const uint64_t *)(const void *)dst, count))
        return af_fail(err, AF_ECORRUPT, "floats: there is a NaN among the first %zu", count);
    return AF_OK;
}

enum af_status af_gorilla_decode_scalar(const uint8_t *src, size_t len, double *dst, size_t count, struct af_error *err)
{
    return decode(decode_scalar, src, len, dst, count, err);
}

enum af_status af_gorilla_decode_head(const uint8_t *src, size_t len, double *dst, size_t count, struct af_error *err)
{
    assert(count > 0);
#ifdef AF_CODEC_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        return decode_head(decode_avx2, src, len, dst, count, err);
#endif
    return decode_head(decode_scalar, src, len, dst, count, err);
}

enum af_status af_gorilla_decode(const uint8_t *src, size_t len, double *dst, size_t count, struct af_error *err)
{
    assert(count > 0);
#ifdef AF_CODEC_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        return decode(decode_avx2, src, len, dst, count, err);
#endif
    return decode(decode_scalar, src, len, dst, count, err);
}
