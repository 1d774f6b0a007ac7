/*
 * block_time.c - the time part of a block: int64 nanoseconds, ascending.
 *
 *     scheme 2 RLE       byte | first time 8 | step / scale, uvarint | number of times, uvarint     two or more times, all steps equal
 *     scheme 1 simple8b  byte | first time 8 | words of the steps / scale                           all steps below 2^60
 *     scheme 0 raw       byte | first time 8 | each step 8                                          otherwise
 *
 * Steps are unsigned differences, scale the largest power of ten up to 10^12 that divides all of them; its exponent is the low nibble of
 * the byte (0 for raw; 12 for a single time, which has no steps). The number of times is that of the RLE form, one more than the words'
 * values, or the bytes / 8.
 *
 * Whether v is a multiple of 5^k needs no division: it is if v times the inverse of 5^k modulo 2^64 is at most (2^64 - 1) / 5^k, and the
 * product then is the quotient. Powers of two are seen in the OR of the steps.
 */
#include "base/limits.h"
#include "codec/bits.h"
#include "codec/simple8b.h"
#include "format/tsm/block_int.h"
#include <assert.h>

enum { HEAD_BYTES = 9 }; /* scheme and first time */

static const uint64_t powers_of_ten[AF_TSM_SCALE_MAX + 1] = {
    1,         10,         100,         1000,         10000,         100000,       1000000,
    10000000,  100000000,  1000000000,  10000000000,  100000000000,  1000000000000,
};

/* --- encode --------------------------------------------------------------------------------------------------------------- */

/* 1/5 modulo 2^64, and its powers. */
static uint64_t inverse_of_five(unsigned power)
{
    uint64_t inverse = 1;
    for (unsigned i = 0; i < power; i++)
        inverse *= UINT64_C(0xCCCCCCCCCCCCCCCD);
    return inverse;
}

struct steps {
    uint64_t all;     /* OR of them */
    bool are_equal;
};

/* One pass that compilers turn into vectors: every test is an OR. */
static struct steps take_steps(const int64_t *src, size_t count, uint64_t *steps)
{
    const uint64_t first = count > 1 ? (uint64_t)src[1] - (uint64_t)src[0] : 0;
    uint64_t all = 0;
    uint64_t differ = 0;
    for (size_t i = 1; i < count; i++) {
        const uint64_t step = (uint64_t)src[i] - (uint64_t)src[i - 1];
        steps[i - 1] = step;
        all |= step;
        differ |= step ^ first;
    }
    return (struct steps){ all, differ == 0 };
}

/* The exponent of the largest power of ten that divides all steps. */
static unsigned common_scale(const uint64_t *steps, size_t count, uint64_t all)
{
    unsigned scale = all == 0 ? AF_TSM_SCALE_MAX : (unsigned)__builtin_ctzll(all);
    scale = scale > AF_TSM_SCALE_MAX ? AF_TSM_SCALE_MAX : scale;
    for (size_t i = 0; i < count && scale > 0;) {
        const uint64_t inverse = inverse_of_five(scale);
        const uint64_t quotient_max = UINT64_MAX / (powers_of_ten[scale] >> scale);
        while (i < count && steps[i] * inverse <= quotient_max)
            i++;
        if (i < count)
            scale--;
    }
    return scale;
}

static void divide(uint64_t *steps, size_t count, unsigned scale)
{
    const uint64_t inverse = inverse_of_five(scale);
    for (size_t i = 0; i < count; i++)
        steps[i] = steps[i] * inverse >> scale;
}

static size_t encode_rle(int64_t first, uint64_t step, size_t count, uint8_t *dst)
{
    const unsigned scale = common_scale(&step, 1, step);
    uint8_t *at = dst + HEAD_BYTES;
    dst[0] = (uint8_t)(AF_TSM_RLE << 4 | scale);
    af_tsm_store_be(dst + 1, (uint64_t)first);
    at += af_tsm_put_uvarint(at, step / powers_of_ten[scale]);
    at += af_tsm_put_uvarint(at, count);
    return (size_t)(at - dst);
}

static size_t encode_raw(int64_t first, const uint64_t *steps, size_t step_count, uint8_t *dst)
{
    dst[0] = AF_TSM_RAW << 4;
    af_tsm_store_be(dst + 1, (uint64_t)first);
    for (size_t i = 0; i < step_count; i++)
        af_tsm_store_be(dst + HEAD_BYTES + i * 8, steps[i]);
    return HEAD_BYTES + step_count * 8;
}

size_t af_tsm_times_encode(const int64_t *src, size_t count, uint64_t *scratch, uint8_t *dst)
{
    assert(count > 0);
    const struct steps steps = take_steps(src, count, scratch);
    if (count > 1 && steps.are_equal)
        return encode_rle(src[0], scratch[0], count, dst);
    if (steps.all > AF_SIMPLE8B_VALUE_MAX)
        return encode_raw(src[0], scratch, count - 1, dst);
    const unsigned scale = common_scale(scratch, count - 1, steps.all);
    if (scale > 0)
        divide(scratch, count - 1, scale);
    dst[0] = (uint8_t)(AF_TSM_SIMPLE8B << 4 | scale);
    af_tsm_store_be(dst + 1, (uint64_t)src[0]);
    return HEAD_BYTES + af_simple8b_encode(scratch, count - 1, dst + HEAD_BYTES);
}

/* --- count ---------------------------------------------------------------------------------------------------------------- */

struct rle {
    uint64_t step; /* not scaled back */
    uint64_t count;
};

static bool parse_rle(struct af_slice part, struct rle *out)
{
    const uint8_t *at = (const uint8_t *)part.ptr + HEAD_BYTES;
    const uint8_t *end = (const uint8_t *)part.ptr + part.len;
    return af_uvarint_read(&at, end, &out->step) && af_uvarint_read(&at, end, &out->count) && at == end;
}

static enum af_status count_points(struct af_slice part, unsigned scheme, uint64_t *out, struct af_error *err)
{
    struct rle rle;
    switch (scheme) {
    case AF_TSM_RLE:
        if (!parse_rle(part, &rle))
            return af_fail(err, AF_ECORRUPT, "times: %zu bytes are no step and count", part.len - HEAD_BYTES);
        *out = rle.count;
        return AF_OK;
    case AF_TSM_SIMPLE8B:
    case AF_TSM_RAW:
        if (part.len % 8 != 1)
            return af_fail(err, AF_ECORRUPT, "times: %zu bytes are not whole words", part.len - 1);
        *out = scheme == AF_TSM_RAW ? (part.len - 1) / 8
                                    : 1 + af_simple8b_count((const uint8_t *)part.ptr + HEAD_BYTES, part.len / 8 - 1);
        return AF_OK;
    default:
        return af_fail(err, AF_ECORRUPT, "times: encoding %u is not known", scheme);
    }
}

enum af_status af_tsm_times_count(struct af_slice part, size_t *out_count, struct af_error *err)
{
    if (part.len < HEAD_BYTES)
        return af_fail(err, AF_ECORRUPT, "times: %zu bytes, where the first time alone takes %d", part.len, HEAD_BYTES);
    const unsigned scheme = (uint8_t)part.ptr[0] >> 4;
    const unsigned scale = (uint8_t)part.ptr[0] & 15;
    uint64_t count = 0;
    AF_TRY(count_points(part, scheme, &count, err));
    if (scale > (scheme == AF_TSM_RAW ? 0 : AF_TSM_SCALE_MAX))
        return af_fail(err, AF_ECORRUPT, "times: encoding %u has the scale 10^%u", scheme, scale);
    if (count == 0 || count > AF_TSM_BLOCK_POINTS_MAX)
        return af_fail(err, AF_ECORRUPT, "times: a block of %llu points; 1 to %d can be read", (unsigned long long)count,
                       AF_TSM_BLOCK_POINTS_MAX);
    *out_count = (size_t)count;
    return AF_OK;
}

/* --- decode --------------------------------------------------------------------------------------------------------------- */

/* The step of regular times, scaled; false: they are none, or do not ascend. */
static bool rle_step(struct af_slice part, size_t count, uint64_t *out)
{
    const uint64_t scale = powers_of_ten[(uint8_t)part.ptr[0] & 15];
    const uint64_t first = af_tsm_load_be(part.ptr + 1);
    struct rle rle;
    uint64_t span;
    if (!parse_rle(part, &rle) || __builtin_mul_overflow(rle.step, scale, out) || __builtin_mul_overflow(*out, (uint64_t)count - 1, &span))
        return false;
    return count == 1 || (int64_t)(first + span) > (int64_t)first;
}

static bool decode_rle(struct af_slice part, size_t count, uint64_t *dst)
{
    uint64_t step;
    if (!rle_step(part, count, &step))
        return false;
    af_tsm_fill_run(af_tsm_load_be(part.ptr + 1), step, dst, count);
    return true;
}

static bool decode_raw(struct af_slice part, size_t count, uint64_t *dst)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = af_tsm_load_be(part.ptr + 1 + i * 8);
    return af_tsm_sum_times(dst[0], 1, dst + 1, count - 1);
}

static bool decode_words(struct af_slice part, uint64_t scale, size_t count, uint64_t *dst)
{
    dst[0] = af_tsm_load_be(part.ptr + 1);
    af_simple8b_decode((const uint8_t *)part.ptr + HEAD_BYTES, part.len / 8 - 1, dst + 1);
    return af_tsm_sum_times(dst[0], scale, dst + 1, count - 1);
}

static enum af_status descends(size_t count, struct af_error *err)
{
    return af_fail(err, AF_ECORRUPT, "times: the %zu times of a block do not ascend", count);
}

enum af_status af_tsm_times_regular(struct af_slice part, size_t count, bool *out_is, uint64_t *out_step, struct af_error *err)
{
    const bool is_rle = (uint8_t)part.ptr[0] >> 4 == AF_TSM_RLE;
    *out_step = 0;
    *out_is = is_rle || count == 1;
    return !is_rle || rle_step(part, count, out_step) ? AF_OK : descends(count, err);
}

enum af_status af_tsm_times_decode(struct af_slice part, size_t count, int64_t *dst, struct af_error *err)
{
    const unsigned scheme = (uint8_t)part.ptr[0] >> 4;
    const uint64_t scale = powers_of_ten[(uint8_t)part.ptr[0] & 15];
    uint64_t *at = (uint64_t *)dst;
    const bool ok = scheme == AF_TSM_RLE        ? decode_rle(part, count, at)
                    : scheme == AF_TSM_SIMPLE8B ? decode_words(part, scale, count, at)
                                                : decode_raw(part, count, at);
    return ok ? AF_OK : descends(count, err);
}
