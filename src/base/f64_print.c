/*
 * f64_print.c - the shortest decimal of a double.
 *
 * A double stands for an interval of reals, from halfway to its lower neighbour to halfway to its upper one (ends included when
 * its significand is even). Wanted is the decimal with the fewest digits inside; among those, the closest.
 *
 * Two ways to it:
 *
 *   short  |v| = n / 10^8 with an integer n < 2^23 * 10^8 < 10^15: most measured values. If dividing n by 10^8 gives v back, then
 *          n * 10^-8 reads as v, as a division of two exact doubles is correctly rounded. Decimals of up to 15 digits read as
 *          different doubles, so no other one of 15 digits or fewer is in the interval: n without its trailing zeros is it.
 *          Likewise n / 10^3 with n < 2^39 * 10^3 < 10^15. And integers below 2^53, since the next decimal with fewer digits is
 *          an integer too, and an exact double itself.
 *
 *   general  Schubfach (R. Giulietti, 2020). Scale the interval by a power of ten 10^-k such that it holds at least one and at
 *          most ten integers, in units of a quarter; products with the 128-bit power are rounded to odd, which keeps comparisons
 *          against integers and halves exact. Then look first for a multiple of ten inside, next for the integers at both sides.
 */
#include "base/base_int.h"
#include "base/numbers.h"
#include <assert.h>

enum { SIGNIFICAND_BITS = 52, EXPONENT_BIAS = 1075 };

#define E8 UINT64_C(100000000)
#define E16 (E8 * E8)

/* Exponent fields from which on the short way tries 8 decimals (2^-13, above 0.0001), 3 decimals (2^23), integers (2^39). */
#define E8_BIASED_MIN 1010U
#define E3_BIASED_MIN 1046U
#define E0_BIASED_MIN 1062U

struct decimal {
    uint64_t digits;
    int exponent;
};

/* floor(power * x / 2^128) with the lowest bit set if anything was cut off. */
static uint64_t scale_to_odd(struct af_pow10 power, uint64_t x)
{
    uint64_t unused, middle;
    uint64_t carry = af_mul128(power.lo, x, &unused);
    uint64_t high = af_mul128(power.hi, x, &middle);
    high += __builtin_add_overflow(middle, carry, &middle);
    return high | (middle > 1);
}

/* `biased` is the raw exponent field; not both 0. Choices are made without branches: random digits could not be predicted. */
static inline struct decimal shortest(uint64_t fraction, unsigned biased)
{
    uint64_t c = biased != 0 ? fraction | UINT64_C(1) << SIGNIFICAND_BITS : fraction;
    int q = (biased != 0 ? (int)biased : 1) - EXPONENT_BIAS;
    uint64_t is_odd = c & 1;
    uint64_t lower_is_closer = fraction == 0 && biased > 1; /* a power of two: its lower neighbour is half as far */

    /* k = floor(log10(2^q)), or floor(log10(3/4 * 2^q)) for the lopsided interval. */
    int k = (int)((int64_t)q * 1262611 - (lower_is_closer ? 524031 : 0)) >> 22;
    int shift = q + af_pow10_log2(-k) + 1;
    struct af_pow10 power = af_pow10_table()[-k];
    bool is_exact = -k >= 0 && -k <= AF_POW10_EXACT_MAX; /* else rounded up: the proof wants floor + 1 */
    power.hi += __builtin_add_overflow(power.lo, (uint64_t)!is_exact, &power.lo);

    uint64_t lower = scale_to_odd(power, (4 * c - 2 + lower_is_closer) << shift) + is_odd;
    uint64_t value = scale_to_odd(power, (4 * c) << shift);
    uint64_t upper = scale_to_odd(power, (4 * c + 2) << shift) - is_odd;

    uint64_t whole = value / 4;
    uint64_t tens = whole / 10;
    bool tens_above = 40 * tens + 40 <= upper;
    bool tens_fit = (tens != 0) & ((lower <= 40 * tens) != tens_above);
    bool below_fits = lower <= 4 * whole;
    bool above_fits = 4 * whole + 4 <= upper;
    uint64_t half = 4 * whole + 2;
    bool is_nearer = (value > half) | ((value == half) & (whole & 1));
    bool ones_fit = below_fits != above_fits;
    uint64_t ones = whole + ((ones_fit & above_fits) | (!ones_fit & is_nearer));
    uint64_t mask = 0 - (uint64_t)tens_fit;
    return (struct decimal){ (mask & (tens + tens_above)) | (~mask & ones), k + tens_fit };
}

/* Number of decimal digits of x > 0. */
static int digit_count(uint64_t x)
{
    int bits = 64 - __builtin_clzll(x);
    int guess = bits * 1233 >> 12; /* floor(bits * log10(2)) */
    return guess + (x >= af_u64_pow10[guess]);
}

/* Two or three digits, chosen by a shift. */
static char *put_exponent(char *dst, int exponent)
{
    unsigned magnitude = (unsigned)(exponent < 0 ? -exponent : exponent);
    unsigned is_short = magnitude < 100;
    uint32_t digits = (magnitude / 100 | magnitude / 10 % 10 << 8 | magnitude % 10 << 16 | 0x303030) >> (8 * is_short);
    dst[0] = 'e';
    dst[1] = exponent < 0 ? '-' : '+';
    memcpy(dst + 2, &digits, 4);
    return dst + 5 - is_short;
}

/*
 * Seventeen digits d.ddd * 10^exponent: the first, and two words of eight as ASCII; `count` of them matter. Whole words are stored, and
 * what is too much is overwritten or left behind the end: hence AF_F64_TEXT_MAX.
 */
struct digits17 {
    char first;
    uint64_t middle;
    uint64_t last;
    int count;
};

static char *put_fraction_only(char *dst, const struct digits17 *digits, int exponent)
{
    af_store8(dst, UINT64_C(0x303030303030302e) << 8 | '0'); /* 0.000000 */
    dst += 1 - exponent;
    dst[0] = digits->first;
    af_store8(dst + 1, digits->middle);
    af_store8(dst + 9, digits->last);
    return dst + digits->count;
}

static char *put_plain(char *dst, const struct digits17 *digits, int exponent)
{
    dst[0] = digits->first;
    af_store8(dst + 1, digits->middle);
    af_store8(dst + 9, digits->last);
    int whole = exponent + 1;
    if (digits->count <= whole) {
        af_store8(dst + 17, AF_ASCII_ZEROS);
        return dst + whole;
    }
    /* The digits from `whole` on, once more and one place further right. */
    unsigned __int128 rest = ((unsigned __int128)digits->last << 64 | digits->middle) >> (8 * (whole - 1));
    dst[whole] = '.';
    af_store8(dst + whole + 1, (uint64_t)rest);
    af_store8(dst + whole + 9, (uint64_t)(rest >> 64));
    return dst + digits->count + 1;
}

static char *put_scientific(char *dst, const struct digits17 *digits, int exponent)
{
    dst[0] = digits->first;
    dst[1] = '.';
    af_store8(dst + 2, digits->middle);
    af_store8(dst + 10, digits->last);
    return put_exponent(dst + (digits->count == 1 ? 1 : digits->count + 1), exponent);
}

static char *put_decimal(char *dst, struct decimal decimal)
{
    int count = digit_count(decimal.digits);
    int exponent = decimal.exponent + count - 1;
    uint64_t all = decimal.digits * af_u64_pow10[17 - count];
    uint64_t first = all / E16;
    uint64_t rest = all - first * E16;
    uint64_t middle = af_digits8((uint32_t)(rest / E8));
    uint64_t last = af_digits8((uint32_t)(rest % E8));
    struct digits17 digits = { (char)('0' + first), middle | AF_ASCII_ZEROS, last | AF_ASCII_ZEROS, 1 };
    if (last != 0)
        digits.count = 17 - (int)((unsigned)__builtin_clzll(last) / 8);
    else if (middle != 0)
        digits.count = 9 - (int)((unsigned)__builtin_clzll(middle) / 8);
    if (exponent < -4 || exponent > 20)
        return put_scientific(dst, &digits, exponent);
    return exponent < 0 ? put_fraction_only(dst, &digits, exponent) : put_plain(dst, &digits, exponent);
}

/* n * 10^-8, n < 10^16, without trailing zeros. */
static char *put_plain_e8(char *dst, uint64_t n)
{
    dst = af_put_short(dst, (uint32_t)(n / E8));
    uint64_t digits = af_digits8((uint32_t)(n % E8));
    if (digits == 0)
        return dst;
    dst[0] = '.';
    af_store8(dst + 1, digits | AF_ASCII_ZEROS);
    return dst + 9 - (unsigned)__builtin_clzll(digits) / 8;
}

/* n * 10^-3 likewise. */
static char *put_plain_e3(char *dst, uint64_t n)
{
    dst = af_u64_print(dst, n / 1000);
    uint32_t rest = (uint32_t)(n % 1000);
    if (rest == 0)
        return dst;
    dst[0] = '.';
    dst[1] = (char)('0' + rest / 100);
    dst[2] = (char)('0' + rest / 10 % 10);
    dst[3] = (char)('0' + rest % 10);
    return dst + 4 - (rest % 10 == 0) - (rest % 100 == 0);
}

char *af_f64_print(char *dst, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t fraction = bits & ((UINT64_C(1) << SIGNIFICAND_BITS) - 1);
    unsigned biased = (unsigned)(bits >> SIGNIFICAND_BITS) & 0x7ff;
    assert(biased != 0x7ff);
    *dst = '-';
    dst += bits >> 63;

    double magnitude = __builtin_fabs(value);
    if (biased - E8_BIASED_MIN < E3_BIASED_MIN - E8_BIASED_MIN) {
        int64_t n = (int64_t)(magnitude * 1e8 + 0.5);
        if ((double)n / 1e8 == magnitude)
            return put_plain_e8(dst, (uint64_t)n);
    } else if (biased - E3_BIASED_MIN < E0_BIASED_MIN - E3_BIASED_MIN) {
        int64_t n = (int64_t)(magnitude * 1e3 + 0.5);
        if ((double)n / 1e3 == magnitude)
            return put_plain_e3(dst, (uint64_t)n);
    } else if (biased - E0_BIASED_MIN < EXPONENT_BIAS + 1 - E0_BIASED_MIN) {
        if ((double)(int64_t)magnitude == magnitude)
            return af_u64_print(dst, (uint64_t)magnitude);
    } else if (bits << 1 == 0) {
        *dst = '0';
        return dst + 1;
    }
    return put_decimal(dst, shortest(fraction, biased));
}
