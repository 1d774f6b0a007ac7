/*
 * f64_parse.c - text to the nearest double, ties to even.
 *
 * The text is w * 10^q, with w its first 19 significant digits as an integer. Three ways, the next when one cannot tell:
 *
 *   exact     w and 10^|q| are doubles themselves: one multiplication or division is correctly rounded.
 *   128 bits  w times the leading 128 bits of 10^q gives a 192-bit product that is too low by less than 2^64. Unless rounding changes
 *             within that margin, the answer is certain (the idea of M. Eisel and D. Lemire).
 *   big       compare the decimal with the points halfway between neighbouring doubles in exact integers, from a close guess.
 *
 * More than 19 digits: the value is in [w, w + 1] * 10^q; when both ends round to the same double, that is it.
 */
#include "base/base_int.h"
#include "base/numbers.h"
#include <assert.h>

enum {
    DIGITS19_MAX = 19,    /* fit a uint64_t whatever they are */
    BIG_DIGITS_MAX = 768, /* a point halfway between doubles has at most 767 significant digits: later ones only break ties */
    BIG_LIMBS = 64,       /* 4096 bits; numbers and halfway points below need at most 2,720 */
};

/* Far past what any number of digits in memory could make up for, small enough to add to. */
#define EXPONENT_CLAMP UINT64_C(1000000000000000)
#define INFINITY_BITS (UINT64_C(0x7ff) << 52)

#define ONES UINT64_C(0x0101010101010101)
#define LOW_BITS7 (ONES * 0x7f)

struct number {
    uint64_t w;
    int64_t q;            /* exponent of w's last digit */
    bool is_cut;          /* nonzero digits after w's */
    const char *digits;   /* first significant digit; perhaps a '.' among them */
    const char *digits_end;
    int64_t digits_q;     /* exponent of the last digit before digits_end */
};

/* --- big integers -------------------------------------------------------------------------------------------------------- */

struct big {
    uint64_t limb[BIG_LIMBS]; /* least significant first */
    int count;                /* limbs in use; the last is not 0 */
};

static void big_multiply_add(struct big *x, uint64_t factor, uint64_t addend)
{
    uint64_t carry = addend;
    for (int i = 0; i < x->count; i++) {
        unsigned __int128 part = (unsigned __int128)x->limb[i] * factor + carry;
        x->limb[i] = (uint64_t)part;
        carry = (uint64_t)(part >> 64);
    }
    if (carry != 0) {
        assert(x->count < BIG_LIMBS);
        x->limb[x->count++] = carry;
    }
}

static void big_multiply_pow5(struct big *x, int64_t n)
{
    const uint64_t pow5_27 = UINT64_C(7450580596923828125); /* the highest in 64 bits */
    for (; n >= 27; n -= 27)
        big_multiply_add(x, pow5_27, 0);
    for (; n > 0; n--)
        big_multiply_add(x, 5, 0);
}

static void big_shift_left(struct big *x, int64_t bits)
{
    int limbs = (int)(bits / 64);
    assert(x->count + limbs < BIG_LIMBS);
    if (x->count == 0)
        return;
    memmove(x->limb + limbs, x->limb, (size_t)x->count * sizeof x->limb[0]);
    memset(x->limb, 0, (size_t)limbs * sizeof x->limb[0]);
    x->count += limbs;
    big_multiply_add(x, UINT64_C(1) << (bits % 64), 0);
}

static int big_compare(const struct big *a, const struct big *b)
{
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (int i = a->count - 1; i >= 0; i--)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

/* All digits up to BIG_DIGITS_MAX, and one more that stands for any later ones. *out_q: exponent of the last. */
static void big_from_digits(struct big *x, const struct number *number, int64_t *out_q)
{
    x->count = 0;
    int64_t left = 0;
    for (const char *at = number->digits; at < number->digits_end; at++)
        left += *at != '.';
    *out_q = number->digits_q;
    int kept = 0;
    for (const char *at = number->digits; at < number->digits_end; at++) {
        if (*at == '.')
            continue;
        if (kept < BIG_DIGITS_MAX) {
            big_multiply_add(x, 10, (uint64_t)(*at - '0'));
            kept++;
            left--;
        } else if (*at != '0') {
            big_multiply_add(x, 10, 1);
            left--;
            break;
        }
    }
    *out_q += left;
}

/* The sign of (digits * 10^q) - (m * 2^e). */
static int compare_exactly(const struct big *digits, int64_t q, uint64_t m, int64_t e)
{
    struct big left = *digits;
    struct big right = { .limb = { m }, .count = 1 };
    if (q >= 0)
        big_multiply_pow5(&left, q);
    else
        big_multiply_pow5(&right, -q);
    if (q >= e)
        big_shift_left(&left, q - e);
    else
        big_shift_left(&right, e - q);
    return big_compare(&left, &right);
}

/* Bits of a finite, positive double or of infinity; their order is that of the values. */
static void significand_of(uint64_t bits, uint64_t *out_m, int64_t *out_e)
{
    uint64_t biased = bits >> 52;
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    *out_m = biased != 0 ? fraction | UINT64_C(1) << 52 : fraction;
    *out_e = (int64_t)(biased != 0 ? biased : 1) - 1075;
}

/* `guess` is within a few steps of the answer. */
__attribute__((noinline)) static uint64_t round_exactly(const struct number *number, uint64_t guess)
{
    struct big digits;
    int64_t q;
    big_from_digits(&digits, number, &q);
    for (;;) {
        uint64_t m;
        int64_t e;
        significand_of(guess, &m, &e);
        int above = guess < INFINITY_BITS ? compare_exactly(&digits, q, 2 * m + 1, e - 1) : -1;
        if (above > 0 || (above == 0 && (m & 1) != 0)) {
            guess++;
            continue;
        }
        if (guess == 0)
            return guess;
        significand_of(guess - 1, &m, &e);
        int below = compare_exactly(&digits, q, 2 * m + 1, e - 1);
        if (below > 0 || (below == 0 && (m & 1) != 0))
            return guess;
        guess--;
    }
}

/* --- 128 bits ------------------------------------------------------------------------------------------------------------ */

/* Round hi * 2^e2 with hi's highest bit set to a double's bits. `is_more`: the true value is a little above. No branches on digits. */
static inline uint64_t round_product(uint64_t hi, bool is_more, int e2)
{
    int drop = 11; /* 64 - 53 */
    int biased = e2 + 63 + 1023;
    if (__builtin_expect(biased <= 0, 0)) { /* subnormal */
        drop += 1 - biased;
        biased = 1;
        if (drop > 64)
            return 0;
        if (drop == 64)
            return hi > UINT64_C(1) << 63 || is_more;
    }
    uint64_t kept = hi >> drop;
    uint64_t half = hi >> (drop - 1) & 1;
    uint64_t is_below_half = (hi & ((UINT64_C(1) << (drop - 1)) - 1)) != 0;
    kept += half & (is_below_half | is_more | kept);
    /* kept has its 53rd bit set unless subnormal: adding it to the field minus one carries correctly in every case. */
    uint64_t bits = ((uint64_t)(biased - 1) << 52) + kept;
    return bits < INFINITY_BITS ? bits : INFINITY_BITS;
}

/* w * 10^q as bits, w > 0. False: *out is next to the answer, perhaps not the answer. */
static bool scale(uint64_t w, int64_t q, uint64_t *out)
{
    if (q < AF_POW10_MIN) {
        *out = 0; /* even 10^19 * 10^-343 is below half of the smallest double */
        return true;
    }
    if (q > 308) {
        *out = INFINITY_BITS;
        return true;
    }
    struct af_pow10 power = af_pow10_table()[q];
    int zeros = __builtin_clzll(w);
    int e2 = af_pow10_log2((int)q) + 1 - zeros;
    uint64_t lo, middle;
    uint64_t carry = af_mul128(power.lo, w << zeros, &lo);
    uint64_t hi = af_mul128(power.hi, w << zeros, &middle);
    hi += __builtin_add_overflow(middle, carry, &middle);

    /* The true product is above hi:middle:lo by less than 1 of `middle`; not at all where the power is exact. */
    bool is_exact = q >= 0 && q <= AF_POW10_EXACT_MAX;
    bool is_certain = is_exact || middle != UINT64_MAX;
    unsigned shift = (unsigned)(hi >> 63 ^ 1);
    hi = hi << shift | (middle >> 63 & shift);
    bool is_more = (!is_exact) | ((middle << shift | lo) != 0);
    *out = round_product(hi, is_more, e2 - (int)shift);
    return is_certain;
}

/* w * 10^q is w / 5^-q * 2^q: when that division leaves no rest, the product is short, and may be a tie. */
static bool scale_dyadic(uint64_t w, int64_t q, uint64_t *out)
{
    if (q >= 0 || q < -27)
        return false;
    uint64_t pow5 = 1;
    for (int64_t i = 0; i < -q; i++)
        pow5 *= 5;
    if (w % pow5 != 0)
        return false;
    w /= pow5;
    int zeros = __builtin_clzll(w);
    *out = round_product(w << zeros, false, (int)q - zeros);
    return true;
}

static uint64_t round_number(const struct number *number)
{
    uint64_t bits;
    bool is_certain = scale(number->w, number->q, &bits);
    if (number->is_cut) {
        uint64_t next_bits;
        if (is_certain && scale(number->w + 1, number->q, &next_bits) && bits == next_bits)
            return bits;
    } else if (is_certain || scale_dyadic(number->w, number->q, &bits)) {
        return bits;
    }
    return round_exactly(number, bits);
}

/* --- the text ------------------------------------------------------------------------------------------------------------ */

/* Up to eight bytes, zeros past `end`. Never reads outside [at, end). */
static inline uint64_t load_word(const char *at, const char *end)
{
    size_t len = (size_t)(end - at);
    if (len >= 8)
        return af_load8(at);
    if (len >= 4) {
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, end - 4, 4);
        return low | (uint64_t)high << (8 * (len - 4)); /* where they overlap, they agree */
    }
    if (len == 0)
        return 0;
    const unsigned char *byte = (const unsigned char *)at;
    return byte[0] | (uint64_t)byte[len / 2] << (8 * (len / 2)) | (uint64_t)byte[len - 1] << (8 * (len - 1));
}

/* The high bit of each byte that is no digit. */
static inline uint64_t find_others(uint64_t word)
{
    return (((word & LOW_BITS7) + (LOW_BITS7 - 9 * ONES)) | word) & ~LOW_BITS7;
}

/*
 * Append the digits at `at` to *w, which wraps when there are more than 19: the caller counts. Eight at a time, and a shorter run by
 * shifting it to the end of its word, so that its length costs no branch.
 */
static inline const char *scan_digits(const char *at, const char *end, uint64_t *w)
{
    for (;;) {
        uint64_t word = load_word(at, end) ^ AF_ASCII_ZEROS;
        uint64_t others = find_others(word);
        if (others != 0) {
            unsigned count = (unsigned)__builtin_ctzll(others) / 8;
            *w = *w * af_u64_pow10[count] + af_join_digits8(word << (56 - 8 * count) << 8);
            return at + count;
        }
        *w = *w * 100000000 + af_join_digits8(word);
        at += 8;
    }
}

/* An exponent at `at`, which points to 'e' or 'E'; without digits behind it there is none. */
static const char *scan_exponent(const char *at, const char *end, int64_t *q)
{
    const char *digit = at + 1;
    bool is_negative = digit < end && *digit == '-';
    digit += digit < end && (*digit == '-' || *digit == '+');
    uint64_t exponent = 0;
    const char *stop = scan_digits(digit, end, &exponent);
    if (stop == digit)
        return at;
    if (stop - digit > 15) { /* with that many digits only leading zeros keep it small */
        exponent = 0;
        for (const char *next = digit; next < stop; next++)
            if (exponent < EXPONENT_CLAMP)
                exponent = exponent * 10 + (uint64_t)(*next - '0');
    }
    *q += is_negative ? -(int64_t)exponent : (int64_t)exponent;
    return stop;
}

/* The text has more than 19 digits, leading zeros counted: find the first 19 that matter. */
static void cut_digits(struct number *number, const char *start, const char *end, int64_t q_last)
{
    while (start < end && (*start == '0' || *start == '.'))
        start++;
    number->digits = start;
    number->digits_end = end;
    number->digits_q = q_last;
    number->w = 0;
    number->is_cut = false;
    int taken = 0;
    int64_t left = 0;
    for (const char *at = start; at < end; at++) {
        if (*at == '.')
            continue;
        if (taken < DIGITS19_MAX) {
            number->w = number->w * 10 + (uint64_t)(*at - '0');
            taken++;
        } else {
            left++;
            number->is_cut |= *at != '0';
        }
    }
    number->q = q_last + left;
}

static inline double with_sign(double value, bool is_negative)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits |= (uint64_t)is_negative << 63;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* w * 10^q where both are doubles: one operation, rounded once. */
static double scale_small(uint64_t w, int64_t q)
{
    return q < 0 ? (double)(int64_t)w / af_f64_pow10[-q] : (double)(int64_t)w * af_f64_pow10[q];
}

/* What scanning the digits found; everything af_f64_scan does not finish itself. */
__attribute__((noinline)) static const char *finish(const char *digits, const char *digits_end, const char *at, uint64_t w,
                                                    int64_t q, bool is_negative, double *out)
{
    struct number number = { .w = w, .q = q, .digits = digits, .digits_end = digits_end, .digits_q = q };
    if (digits_end - digits > DIGITS19_MAX)
        cut_digits(&number, digits, digits_end, q);
    double value;
    if (number.w <= UINT64_C(1) << 53 && number.q >= -22 && number.q <= 22) {
        value = scale_small(number.w, number.q);
    } else {
        uint64_t bits = number.w != 0 ? round_number(&number) : 0;
        if (bits == INFINITY_BITS)
            return NULL;
        memcpy(&value, &bits, sizeof value);
    }
    *out = with_sign(value, is_negative);
    return at;
}

const char *af_f64_scan(const char *ptr, const char *end, double *out)
{
    const char *at = ptr;
    if (at == end)
        return NULL;
    bool is_negative = *at == '-';
    at += is_negative | (*at == '+');
    const char *start = at;
    uint64_t w = 0;
    int64_t q = 0;
    at = scan_digits(at, end, &w);
    int64_t count = at - start;
    if (at < end && *at == '.') {
        const char *point = at + 1;
        at = scan_digits(point, end, &w);
        q = point - at;
        count -= q;
    }
    if (count == 0)
        return NULL;
    const char *digits_end = at;
    if (at < end && (*at | 0x20) == 'e')
        at = scan_exponent(at, end, &q);
    else if (count <= DIGITS19_MAX && w <= UINT64_C(1) << 53) { /* so q >= -19 */
        *out = with_sign((double)(int64_t)w / af_f64_pow10[-q], is_negative);
        return at;
    }
    return finish(start, digits_end, at, w, q, is_negative, out);
}

/*
 * The common cell: digits and perhaps one point, 16 bytes at most. They are loaded right-aligned into two words, xored with '0', so that
 * what precedes the text is zero digits; the point is squeezed out by moving what is before it up by one byte.
 */
struct cell {
    uint64_t low, high; /* text order: low, then high; lowest byte first */
};

static inline struct cell load_cell(const char *at, const char *end)
{
    unsigned len = (unsigned)(end - at);
    if (len < 8)
        return (struct cell){ 0, (load_word(at, end) ^ AF_ASCII_ZEROS) << (64 - 8 * len) };
    uint64_t low = len == 8 ? 0 : (af_load8(at) ^ AF_ASCII_ZEROS) << (128 - 8 * len);
    return (struct cell){ low, af_load8(end - 8) ^ AF_ASCII_ZEROS };
}

/* `others` has one bit, at the point; returns how many bytes follow it in the word, or 8 if it is something else. */
static inline unsigned squeeze(uint64_t *word, uint64_t others, uint64_t carry)
{
    unsigned at = (unsigned)__builtin_ctzll(others) & 0x38; /* in bits */
    bool is_point = (others & (others - 1)) == 0 && (*word >> at & 0xff) == ('.' ^ '0');
    uint64_t before = *word & ((UINT64_C(1) << at) - 1);
    uint64_t after = *word & (~UINT64_C(1) << (at + 7));
    *word = after | before << 8 | carry;
    return is_point ? 7 - at / 8 : 8;
}

/* False: not such a cell; the general way knows. */
static inline bool parse_cell(const char *at, const char *end, uint64_t *out_w, unsigned *out_decimals)
{
    struct cell cell = load_cell(at, end);
    uint64_t high_others = find_others(cell.high);
    uint64_t low_others = find_others(cell.low);
    unsigned decimals = 0;
    if (high_others != 0) {
        decimals = squeeze(&cell.high, high_others, cell.low >> 56);
        cell.low <<= 8;
        if (decimals == 8 || low_others != 0 || end - at == 1)
            return false;
    } else if (low_others != 0) {
        decimals = squeeze(&cell.low, low_others, 0) + 8;
        if (decimals == 16)
            return false;
    }
    *out_w = (uint64_t)af_join_digits8(cell.low) * 100000000 + af_join_digits8(cell.high);
    *out_decimals = decimals;
    return true;
}

bool af_f64_parse(struct af_slice text, double *out)
{
    const char *end = text.ptr + text.len;
    if (text.len == 0)
        return false;
    bool is_negative = *text.ptr == '-';
    size_t len = text.len - is_negative;
    uint64_t w;
    unsigned decimals;
    if (len - 1 < 16 && parse_cell(end - len, end, &w, &decimals) && w <= UINT64_C(1) << 53) {
        *out = with_sign((double)(int64_t)w / af_f64_pow10[decimals], is_negative);
        return true;
    }
    double value;
    if (af_f64_scan(text.ptr, end, &value) != end)
        return false;
    *out = value;
    return true;
}
