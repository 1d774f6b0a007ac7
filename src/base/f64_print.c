/*
 * f64_print.c - the shortest decimal of a double.
 *
 * A double stands for an interval of reals, from halfway to its lower neighbour to halfway to its upper one (ends included when
 * its significand is even). Wanted is the decimal with the fewest digits inside; among those, the closest.
 *
 * Scale by a power of ten 10^-k such that the interval holds at least one and at most ten integers (R. Giulietti's Schubfach,
 * 2020). If a multiple of ten is inside, it is the shortest once its zeros are cut off; else the integer closest to the value is.
 * Two ways to find out which:
 *
 *   near    The scaled value from one product with the 128-bit power, half the interval's width from a shift of that power: both
 *           are off by less than 2^-62. Unless a comparison comes out closer than that, it is certain.
 *   exact   Value and both ends by a product each, rounded to odd, which keeps comparisons against integers and halves exact
 *           (the paper proves it). Ties need it, and subnormal numbers, which have fewer digits.
 *
 * Nothing about the digits of measured values can be predicted: choices are made by masks and tables, not by branches, and the
 * text is made of whole words with what is too much left behind its end.
 */
#include "base/base_int.h"
#include "base/numbers.h"
#include <assert.h>
#include <emmintrin.h>

enum { SIGNIFICAND_BITS = 52, EXPONENT_BIAS = 1075 };

#define E8 UINT64_C(100000000)
#define E15 (E8 * 10000000)

/* d.dddd * 10^exponent of seventeen digits, zeros at the end included: sixteen, and the last. */
struct decimal {
    uint64_t digits;
    uint64_t last;
    int64_t exponent;
};

/* floor(log10(2^q)), or floor(log10(3/4 * 2^q)) for the lopsided interval. */
static inline int64_t floor_log10(int64_t q, bool is_lopsided)
{
    return (q * 1262611 - (is_lopsided ? 524031 : 0)) >> 22;
}

/* --- the decimal ------------------------------------------------------------------------------------------------------------ */

/* Number of decimal digits of x > 0. */
static int digit_count(uint64_t x)
{
    int bits = 64 - __builtin_clzll(x);
    int guess = bits * 1233 >> 12; /* floor(bits * log10(2)) */
    return guess + (x >= af_u64_pow10[guess]);
}

/* floor(power * x / 2^128) with the lowest bit set if anything was cut off. */
static uint64_t scale_to_odd(struct af_pow10 power, uint64_t x)
{
    uint64_t unused, middle;
    uint64_t carry = af_mul128(power.lo, x, &unused);
    uint64_t high = af_mul128(power.hi, x, &middle);
    high += __builtin_add_overflow(middle, carry, &middle);
    return high | (middle > 1);
}

/* `biased` is the raw exponent field; not both 0. */
__attribute__((noinline)) static struct decimal shortest_exactly(uint64_t fraction, unsigned biased)
{
    uint64_t c = biased != 0 ? fraction | UINT64_C(1) << SIGNIFICAND_BITS : fraction;
    int64_t q = (int64_t)(biased != 0 ? biased : 1) - EXPONENT_BIAS;
    uint64_t is_odd = c & 1;
    uint64_t lower_is_closer = fraction == 0 && biased > 1; /* a power of two: its lower neighbour is half as far */

    int64_t k = floor_log10(q, lower_is_closer);
    int64_t shift = q + af_pow10_log2(-k) + 1;
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
    uint64_t digits = tens_fit ? tens + tens_above : ones;
    int missing = 17 - digit_count(digits);
    digits *= af_u64_pow10[missing];
    return (struct decimal){ digits / 10, digits % 10, k + tens_fit + 16 - missing };
}

/* What the numbers compared the near way may be off by, with room to spare: each by less than 2 of its last place, `tenths` by 20. */
enum { MARGIN = 4, MARGIN_TENTHS = 32 };

static inline bool is_close_to_0(uint64_t x, uint64_t margin)
{
    return x + margin <= 2 * margin;
}

/*
 * Scaled by 10^-(k + 1), tens are integers, half the width is in [0.05, 0.5), and the 64 bits after the point tell: they carry or
 * borrow when that half is added or subtracted. False: exactly, please. Not for powers of two (fraction 0), whose lower neighbour is
 * half as far, and subnormal numbers.
 */
static inline bool shortest_nearly(uint64_t fraction, unsigned biased, struct decimal *out)
{
    uint64_t c = fraction | UINT64_C(1) << SIGNIFICAND_BITS;
    int64_t q = (int64_t)biased - EXPONENT_BIAS;
    int64_t k = floor_log10(q, false) + 1;
    struct af_pow10 power = af_pow10_entries[-k - AF_POW10_MIN];
    unsigned shift = (unsigned)(q + af_pow10_log2(-k) + 4); /* 0..3; what follows has three bits after the point in `hi` */

    uint64_t unused, middle;
    uint64_t carry = af_mul128(power.lo, c << shift, &unused);
    uint64_t hi = af_mul128(power.hi, c << shift, &middle);
    hi += __builtin_add_overflow(middle, carry, &middle);
    uint64_t tens = hi >> 3;
    uint64_t part = hi << 61 | middle >> 3;
    uint64_t half_width = power.hi >> (4 - shift);
    uint64_t rest_below, rest_above, tenths;
    bool fits_below = __builtin_sub_overflow(part, half_width, &rest_below);
    bool fits_above = __builtin_add_overflow(part, half_width, &rest_above);
    uint64_t last = af_mul128(part, 10, &tenths);
    last += tenths >> 63; /* to the closest: when that is the tens above, it fits */
    last &= (uint64_t)(fits_below | fits_above) - 1;
    tens += fits_above;

    uint64_t is_short = 0 - (uint64_t)(tens < E15); /* a mask; else 16 digits, as the scaled value is in [c / 10, c) */
    out->digits = tens + ((9 * tens + last) & is_short);
    out->last = last & ~is_short;
    out->exponent = k + 15 + (int64_t)is_short;
    return !is_close_to_0(rest_below, MARGIN) && !is_close_to_0(rest_above, MARGIN) &&
           !is_close_to_0(tenths - (UINT64_C(1) << 63), MARGIN_TENTHS);
}

/* --- the text ------------------------------------------------------------------------------------------------------------ */

/* The digits of x < 10^16 as byte values 0..9, in order: af_digits8 for two at a time. */
static inline __m128i digits16(uint64_t x)
{
    uint64_t halves = x + x / E8 * ((UINT64_C(1) << 32) - E8); /* first eight above, last eight below */
    __m128i eights = _mm_shuffle_epi32(_mm_cvtsi64_si128((int64_t)halves), _MM_SHUFFLE(2, 0, 2, 1));
    __m128i q = _mm_srli_epi64(_mm_mul_epu32(eights, _mm_set1_epi64x(0xd1b71759)), 45); /* / 10^4 */
    __m128i fours = _mm_add_epi64(eights, _mm_mul_epu32(q, _mm_set1_epi64x((INT64_C(1) << 32) - 10000)));
    fours = _mm_shuffle_epi32(fours, _MM_SHUFFLE(2, 3, 0, 1));
    q = _mm_srli_epi16(_mm_mulhi_epu16(fours, _mm_set1_epi16(5243)), 3); /* / 100 */
    __m128i rest = _mm_sub_epi16(fours, _mm_madd_epi16(q, _mm_set1_epi16(100)));
    __m128i twos = _mm_or_si128(q, _mm_slli_epi32(rest, 16));
    q = _mm_mulhi_epu16(twos, _mm_set1_epi16(6554)); /* / 10 */
    __m128i factor = _mm_set1_epi16(2559);
    __asm__("" : "+x"(factor)); /* gcc knows five shifts and adds for it */
    return _mm_sub_epi16(_mm_slli_epi16(twos, 8), _mm_mullo_epi16(q, factor)); /* q + (twos - 10 q) * 256 */
}

/* Seventeen ASCII digits, of which `count` matter. */
struct text17 {
    __m128i digits;
    char last;
    int64_t count;
};

static inline struct text17 make_text(const struct decimal *decimal)
{
    __m128i digits = digits16(decimal->digits);
    unsigned others = (unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(digits, _mm_setzero_si128()));
    uint64_t is_nonzero = others | ((decimal->last + 0xffff) & 0x10000); /* a bit a digit */
    return (struct text17){ _mm_or_si128(digits, _mm_set1_epi8('0')), (char)('0' + decimal->last), 64 - __builtin_clzll(is_nonzero) };
}

static void store16(char *dst, __m128i bytes)
{
    _mm_storeu_si128((__m128i *)dst, bytes);
}

/* The first `count` bytes from `head`, the others from `tail`. */
static inline __m128i splice(__m128i head, __m128i tail, unsigned count)
{
    static const unsigned char masks[33] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
    __m128i mask = _mm_loadu_si128((const __m128i *)(masks + 17 - count));
    return _mm_or_si128(_mm_and_si128(mask, head), _mm_andnot_si128(mask, tail));
}

/*
 * Where things go, for every exponent that is written plainly but whose digits end behind the point or just before it. The point is
 * always put; behind the last digit it is left outside.
 */
struct layout {
    uint8_t first;  /* the digits start here */
    uint8_t kept;   /* so many of them in one piece, the others one place further right */
    uint8_t last;   /* the seventeenth's place */
    uint8_t point;  /* the point's */
    uint8_t whole;  /* digits before it, which are written even if they are zeros */
};
#define SMALL(zeros) { 2 + zeros, 17, 2 + zeros + 16, 1, 0 }
#define LARGE(whole) { 0, whole, 16 + (whole < 17), whole, whole }
enum { PLAIN_MIN = -4, PLAIN_MAX = 16 };
static const struct layout layouts[] = { SMALL(3),  SMALL(2),  SMALL(1),  SMALL(0),  LARGE(1),  LARGE(2),  LARGE(3),
                                         LARGE(4),  LARGE(5),  LARGE(6),  LARGE(7),  LARGE(8),  LARGE(9),  LARGE(10),
                                         LARGE(11), LARGE(12), LARGE(13), LARGE(14), LARGE(15), LARGE(16), LARGE(17) };

static inline char *put_plain(char *dst, struct text17 text, int64_t exponent)
{
    const struct layout *layout = &layouts[exponent - PLAIN_MIN];
    af_store8(dst, AF_ASCII_ZEROS);
    char *at = dst + layout->first;
    store16(at + 1, text.digits);
    store16(at, splice(text.digits, _mm_slli_si128(text.digits, 1), layout->kept));
    dst[layout->last] = text.last;
    dst[layout->point] = '.';
    int64_t len = layout->first + text.count + (text.count > layout->kept);
    return dst + (len > layout->whole ? len : layout->whole);
}

static char *put_long_integer(char *dst, struct text17 text, int64_t exponent)
{
    store16(dst, text.digits);
    af_store8(dst + 16, AF_ASCII_ZEROS);
    dst[16] = text.last;
    return dst + exponent + 1;
}

/* Two or three digits, chosen by a shift. */
static char *put_exponent(char *dst, int64_t exponent)
{
    unsigned magnitude = (unsigned)(exponent < 0 ? -exponent : exponent);
    unsigned is_short = magnitude < 100;
    uint32_t digits = (magnitude / 100 | magnitude / 10 % 10 << 8 | magnitude % 10 << 16 | 0x303030) >> (8 * is_short);
    dst[0] = 'e';
    dst[1] = exponent < 0 ? '-' : '+';
    memcpy(dst + 2, &digits, 4);
    return dst + 5 - is_short;
}

static char *put_scientific(char *dst, struct text17 text, int64_t exponent)
{
    store16(dst + 1, text.digits);
    dst[0] = dst[1];
    dst[1] = '.';
    dst[17] = text.last;
    return put_exponent(dst + text.count + (text.count != 1), exponent);
}

static inline char *put_decimal(char *dst, const struct decimal *decimal)
{
    struct text17 text = make_text(decimal);
    if (decimal->exponent >= PLAIN_MIN && decimal->exponent <= PLAIN_MAX)
        return put_plain(dst, text, decimal->exponent);
    if (decimal->exponent > PLAIN_MAX && decimal->exponent <= 20)
        return put_long_integer(dst, text, decimal->exponent);
    return put_scientific(dst, text, decimal->exponent);
}

static inline unsigned take_apart(double value, uint64_t *out_fraction)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    *out_fraction = bits & ((UINT64_C(1) << SIGNIFICAND_BITS) - 1);
    return (unsigned)(bits >> SIGNIFICAND_BITS) & 0x7ff;
}

/* The rest of af_f64_print where the near way is none; a tail call, so that the near way need not save registers. */
__attribute__((noinline)) static char *print_exactly(char *dst, double value)
{
    uint64_t fraction;
    unsigned biased = take_apart(value, &fraction);
    if (fraction == 0 && biased == 0) {
        *dst = '0';
        return dst + 1;
    }
    if (fraction == 0 && biased >= EXPONENT_BIAS - SIGNIFICAND_BITS && biased <= EXPONENT_BIAS) /* 1, 2, 4, ... are frequent */
        return af_u64_print(dst, UINT64_C(1) << (biased - (EXPONENT_BIAS - SIGNIFICAND_BITS)));
    struct decimal decimal = shortest_exactly(fraction, biased);
    return put_decimal(dst, &decimal);
}

char *af_f64_print(char *dst, double value)
{
    uint64_t fraction;
    unsigned biased = take_apart(value, &fraction);
    assert(biased != 0x7ff);
    *dst = '-';
    dst += __builtin_signbit(value) != 0;
    struct decimal decimal;
    if (fraction != 0 && biased != 0 && af_pow10_is_ready() && shortest_nearly(fraction, biased, &decimal))
        return put_decimal(dst, &decimal);
    return print_exactly(dst, value);
}
