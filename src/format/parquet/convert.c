/*
 * convert.c - single values of Parquet into afluxo's: times, decimals, half floats, UUIDs.
 *
 *     INT96       8 bytes LE nanoseconds of the day (any int64 in the wild) | 4 bytes LE Julian day; 2440588 is 1970-01-01
 *     decimal     big-endian two's complement of any length; more than 16 bytes only if the rest is sign
 *     FLOAT16     IEEE 754 binary16, LE
 */
#include "base/calendar.h"
#include "base/numbers.h"
#include "format/parquet/parquet_int.h"

enum { JULIAN_EPOCH = 2440588 };

bool af_pq_convert_int96(const uint8_t *src, size_t count, int64_t *dst)
{
    bool has_misfit = false;
    for (size_t i = 0; i < count; i++, src += 12) {
        int64_t ns;
        int32_t day;
        int64_t start;
        memcpy(&ns, src, 8);
        memcpy(&day, src + 8, 4);
        bool bad = __builtin_mul_overflow((int64_t)day - JULIAN_EPOCH, AF_NS_PER_DAY, &start);
        bad |= __builtin_add_overflow(start, ns, &dst[i]);
        bad |= dst[i] == AF_PQ_NO_TIME;
        if (__builtin_expect(bad, 0)) {
            /* The day alone may be a little too early while the sum is not. */
            __int128 exact = ((__int128)day - JULIAN_EPOCH) * AF_NS_PER_DAY + ns;
            const bool fits = exact > INT64_MIN && exact <= INT64_MAX;
            dst[i] = fits ? (int64_t)exact : AF_PQ_NO_TIME;
            has_misfit |= !fits;
        }
    }
    return has_misfit;
}

bool af_pq_convert_scale(int64_t *values, size_t count, int64_t factor)
{
    const int64_t limit = INT64_MAX / factor;
    uint64_t bad = 0;
    for (size_t i = 0; i < count; i++)
        bad |= (uint64_t)((uint64_t)values[i] + (uint64_t)limit > 2 * (uint64_t)limit);
    for (size_t i = 0; i < count && bad != 0; i++)
        if (values[i] > limit || values[i] < -limit)
            values[i] = AF_PQ_NO_TIME;
    for (size_t i = 0; i < count; i++)
        values[i] = bad != 0 && values[i] == AF_PQ_NO_TIME ? AF_PQ_NO_TIME : (int64_t)((uint64_t)values[i] * (uint64_t)factor);
    return bad != 0;
}

bool af_pq_convert_decimal(const uint8_t *src, size_t len, __int128 *dst)
{
    const bool is_negative = len != 0 && src[0] >= 0x80;
    unsigned __int128 value = is_negative ? ~(unsigned __int128)0 : 0;
    while (len > 16) {
        if (*src != (is_negative ? 0xff : 0)) {
            *dst = AF_PQ_NO_DECIMAL;
            return true;
        }
        src++, len--;
    }
    if (len == 16 && (src[0] >= 0x80) != is_negative) {
        *dst = AF_PQ_NO_DECIMAL;
        return true;
    }
    for (size_t i = 0; i < len; i++)
        value = value << 8 | src[i];
    *dst = (__int128)value;
    return *dst == AF_PQ_NO_DECIMAL;
}

double af_pq_convert_f16(const uint8_t *src)
{
    const uint32_t half = (uint32_t)src[0] | (uint32_t)src[1] << 8;
    const uint64_t sign = (uint64_t)(half >> 15) << 63;
    const uint64_t exponent = half >> 10 & 31;
    const uint64_t fraction = half & 0x3ff;
    uint64_t bits;
    double value;
    if (exponent == 31)
        bits = sign | UINT64_C(0x7ff) << 52 | fraction << 42;
    else if (exponent != 0)
        bits = sign | (exponent - 15 + 1023) << 52 | fraction << 42;
    else {
        value = (double)fraction * 0x1p-24;
        return sign != 0 ? -value : value;
    }
    memcpy(&value, &bits, 8);
    return value;
}

void af_pq_convert_uuid(const uint8_t *src, char dst[36])
{
    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *dst++ = '-';
        dst = af_hex_print(dst, &src[i], 1);
    }
}
