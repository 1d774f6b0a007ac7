/*
 * numbers.c - integers and decimals of numbers.h; floats are in f64_print.c and f64_parse.c.
 *
 * Digits are made and read eight at a time in one 64-bit word (base_int.h); the leading group is shifted to its length.
 */
#include "base/numbers.h"
#include "base/base_int.h"
#include <assert.h>

enum { E8 = 100000000 };

static char *put8(char *dst, uint32_t value)
{
    af_store8(dst, af_digits8(value) | AF_ASCII_ZEROS);
    return dst + 8;
}

char *af_u64_print(char *dst, uint64_t value)
{
    if (value < E8)
        return af_put_short(dst, (uint32_t)value);
    if (value < (uint64_t)E8 * E8) {
        dst = af_put_short(dst, (uint32_t)(value / E8));
        return put8(dst, (uint32_t)(value % E8));
    }
    uint64_t low = value % ((uint64_t)E8 * E8);
    dst = af_put_short(dst, (uint32_t)(value / ((uint64_t)E8 * E8)));
    dst = put8(dst, (uint32_t)(low / E8));
    return put8(dst, (uint32_t)(low % E8));
}

char *af_i64_print(char *dst, int64_t value)
{
    uint64_t magnitude = (uint64_t)value;
    if (value < 0) {
        *dst++ = '-';
        magnitude = 0 - magnitude;
    }
    return af_u64_print(dst, magnitude);
}

char *af_u64_print_padded(char *dst, uint64_t value, unsigned digits)
{
    assert(digits > 19 || value < af_u64_pow10[digits]);
    char *end = dst + digits;
    char *at = end;
    while (at - dst >= 8) {
        at -= 8;
        put8(at, (uint32_t)(value % E8));
        value /= E8;
    }
    while (at - dst >= 2) {
        at -= 2;
        memcpy(at, af_digit_pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (at != dst)
        *dst = (char)('0' + value % 10);
    return end;
}

/* --- decimals ------------------------------------------------------------------------------------------------------------ */

/* All digits of a 128-bit number. */
static char *print_u128(char *dst, unsigned __int128 value)
{
    const uint64_t e19 = af_u64_pow10[19];
    if (value <= UINT64_MAX)
        return af_u64_print(dst, (uint64_t)value);
    unsigned __int128 high = value / e19;
    uint64_t low = (uint64_t)(value % e19);
    dst = high > UINT64_MAX ? print_u128(dst, high) : af_u64_print(dst, (uint64_t)high);
    return af_u64_print_padded(dst, low, 19);
}

static unsigned __int128 magnitude_of(__int128 value)
{
    unsigned __int128 magnitude = (unsigned __int128)value;
    return value < 0 ? 0 - magnitude : magnitude;
}

enum { SCALE_PLAIN_MAX = 38 }; /* what 128-bit decimals can have; the text of others would not fit 48 bytes */

char *af_hex_print(char *dst, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++) {
        *dst++ = digits[at[i] >> 4];
        *dst++ = digits[at[i] & 15];
    }
    return dst;
}

char *af_decimal_print(char *dst, __int128 unscaled, unsigned scale)
{
    if (unscaled < 0)
        *dst++ = '-';
    char digits[AF_F64_TEXT_MAX + 8];
    size_t len = (size_t)(print_u128(digits, magnitude_of(unscaled)) - digits);
    if (scale > SCALE_PLAIN_MAX) {
        memcpy(dst, digits, len);
        dst += len;
        *dst++ = 'e';
        *dst++ = '-';
        char text[AF_I64_TEXT_MAX]; /* a detour, as the printer stores more than it keeps */
        size_t text_len = (size_t)(af_u64_print(text, scale) - text);
        memcpy(dst, text, text_len);
        return dst + text_len;
    }
    if (len > scale) {
        memcpy(dst, digits, len - scale);
        dst += len - scale;
    } else {
        *dst++ = '0';
    }
    if (scale == 0)
        return dst;
    *dst++ = '.';
    size_t zeros = len < scale ? scale - len : 0;
    memset(dst, '0', zeros);
    size_t kept = scale - zeros;
    memcpy(dst + zeros, digits + len - kept, kept);
    return dst + scale;
}

double af_decimal_to_f64(__int128 unscaled, unsigned scale)
{
    unsigned __int128 magnitude = magnitude_of(unscaled);
    double value = 0;
    if (magnitude <= UINT64_C(1) << 53 && scale <= 22) {
        value = (double)(uint64_t)magnitude / af_f64_pow10[scale];
    } else {
        char text[80];
        char *end = print_u128(text, magnitude);
        *end++ = 'e';
        *end++ = '-';
        end = af_u64_print(end, scale);
        bool is_number = af_f64_parse(af_slice_make(text, (size_t)(end - text)), &value);
        assert(is_number);
        (void)is_number;
    }
    return unscaled < 0 ? -value : value;
}

/* --- reading integers ---------------------------------------------------------------------------------------------------- */

bool af_u64_parse(struct af_slice text, uint64_t *out)
{
    if (text.len == 0) /* before text.ptr, which may be NULL, is reckoned with */
        return false;
    const char *at = text.ptr;
    const char *end = at + text.len;
    uint64_t value = 0;
    if (text.len < 20) { /* cannot overflow */
        for (; end - at >= 8; at += 8) {
            uint64_t word = af_load8(at);
            if (!af_is_digits8(word))
                return false;
            value = value * E8 + af_parse_digits8(word);
        }
    }
    for (; at < end; at++) {
        unsigned digit = (unsigned)(unsigned char)*at - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

bool af_i64_parse(struct af_slice text, int64_t *out)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    if (is_negative)
        text = af_slice_make(text.ptr + 1, text.len - 1);
    uint64_t magnitude;
    if (!af_u64_parse(text, &magnitude) || magnitude > (uint64_t)INT64_MAX + is_negative)
        return false;
    *out = (int64_t)(is_negative ? 0 - magnitude : magnitude);
    return true;
}
