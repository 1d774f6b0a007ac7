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
 * The common texts, cells of up to 24 bytes, have short cuts at the end of this file; what they cannot tell comes back here.
 *
 * More than 19 digits: the value is in [w, w + 1] * 10^q; when both ends round to the same double, that is it.
 */
#include "base/base_int.h"
#include "base/numbers.h"
#include <assert.h>
#include <emmintrin.h>

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
    int e2 = (int)af_pow10_log2(q) + 1 - zeros;
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

/* Every text. */
static const char *scan_generally(const char *ptr, const char *end, double *out)
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

/* --- cells ---------------------------------------------------------------------------------------------------------------- */

/*
 * The common texts: digits and perhaps one point, 24 bytes at most. They are loaded right-aligned and xored with '0', so that what
 * precedes the text is zero digits; the point is squeezed out by moving what is before it up by one byte. Neither the number of digits
 * nor the place of the point costs a branch, as the cells of a column differ in both.
 *
 *     - - - - - - - - 2 7 3 . 1 5 0      the text 273.150
 *     0 0 0 0 0 0 0 0 2 7 3 . 1 5 0      loaded; `others` has a bit at the point
 *     0 0 0 0 0 0 0 0 0 2 7 3 1 5 0      w = 273150, decimals = 3
 */
enum { CELL_SHORT_MIN = 4, CELL_SHORT_MAX = 16, CELL_LONG_MAX = 20 };

struct cell {
    uint64_t w;
    uint64_t decimals;
};

static inline uint64_t load4(const char *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

/* 4 to 16 bytes at the end of the vector. */
static inline __m128i load_short(const char *at, size_t len)
{
    uint64_t gap = (8 - len) & (0 - (uint64_t)(len < 8)); /* bytes before the text in the upper word */
    uint64_t upper = load4(at + len - 4) << 32 | load4(at + len - 8 + gap) << (8 * gap); /* where they overlap, they agree */
    uint64_t lower = load4(at) | load4(at + 4 - gap) << 32;
    uint64_t shift = 64 - 4 * len; /* half of it: together it may be 64 and more */
    upper ^= AF_ASCII_ZEROS << (8 * gap);
    lower = (lower ^ AF_ASCII_ZEROS) << shift << shift;
    return _mm_set_epi64x((int64_t)upper, (int64_t)lower);
}

/* 1 to 3. A lone point, which is no number, comes as something else that is none. */
static inline __m128i load_tiny(const char *at, const char *end)
{
    uint64_t word = (load_word(at, end) ^ AF_ASCII_ZEROS) << (64 - 8 * (end - at));
    return _mm_set_epi64x(end - at == 1 && *at == '.' ? -1 : (int64_t)word, 0);
}

/* A bit for each byte that is no digit, one for each that is a point. */
static inline unsigned others_in(__m128i bytes)
{
    return (unsigned)_mm_movemask_epi8(_mm_adds_epu8(bytes, _mm_set1_epi8(0x7f - 9)));
}
static inline unsigned points_in(__m128i bytes)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.' ^ '0')));
}

/*
 * Ones where bytes are to be moved, up to and with the point; zeros behind it. `behind`: how many those are. (Zeros are counted from
 * the low end: counting from the high end is slow on some processors.)
 */
static inline const unsigned char *find_masks(unsigned behind)
{
    static const unsigned char masks[48] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                             255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
    return masks + behind;
}

static inline __m128i blend(const unsigned char *mask, __m128i if_ones, __m128i if_zeros)
{
    __m128i ones = _mm_loadu_si128((const __m128i *)mask);
    return _mm_or_si128(_mm_and_si128(ones, if_ones), _mm_andnot_si128(ones, if_zeros));
}

/* The value of sixteen bytes 0..9. */
static inline uint64_t join_digits16(__m128i digits)
{
    __m128i factor = _mm_set1_epi16(1 + 10 * 256);
    __asm__("" : "+x"(factor)); /* else gcc makes shifts and adds of it */
    __m128i twos = _mm_srli_epi16(_mm_mullo_epi16(digits, factor), 8);
    __m128i fours = _mm_madd_epi16(twos, _mm_set1_epi32(1 << 16 | 100));
    __m128i eights = _mm_madd_epi16(_mm_packs_epi32(fours, fours), _mm_set1_epi32(1 << 16 | 10000));
    uint64_t halves = (uint64_t)_mm_cvtsi128_si64(eights);
    return (halves & UINT32_MAX) * 100000000 + (halves >> 32);
}

/* The value of four bytes 0..9. */
static inline uint64_t join_digits4(uint64_t digits)
{
    uint64_t twos = (digits * 10 + (digits >> 8)) & 0xff00ff;
    return twos * (100 << 16 | 1) >> 16 & 0xffff;
}

/* What load_short or load_tiny made. False: not such a text. */
static inline bool parse_short_cell(__m128i bytes, struct cell *out)
{
    unsigned others = others_in(bytes);
    unsigned behind = 16 - (((unsigned)__builtin_ctz(others | 1U << 31) + 1) & 31); /* without a point 16 */
    out->w = join_digits16(blend(find_masks(behind + 8), _mm_slli_si128(bytes, 1), bytes));
    out->decimals = behind & 15;
    return others == points_in(bytes) && (others & (others - 1)) == 0;
}

/*
 * 17 to 20 bytes: the sixteen digits before and behind the point, and up to three that are left. A point must be among the first sixteen
 * bytes. Sixteen bytes from `at` and sixteen from the next byte on differ in nothing but what the point moves:
 *
 *     1 2 3 . 4 5 6 7 8 9 0 1 2 3 4 5 | 6 7      from `at`
 *     2 3 . 4 5 6 7 8 9 0 1 2 3 4 5 6 | 7        from at + 1
 *     1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 | 7        before the point the one, from it on the other
 */
static inline bool parse_long_cell(const char *at, const char *end, struct cell *out)
{
    static const unsigned char masks[32] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
    size_t left = (size_t)(end - at) - 17;
    __m128i from_here = _mm_loadu_si128((const __m128i *)at);
    __m128i from_next = _mm_loadu_si128((const __m128i *)(at + 1));
    unsigned point = (unsigned)__builtin_ctz((unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(from_here, _mm_set1_epi8('.'))) | 1U << 16);
    __m128i digits = _mm_xor_si128(blend(masks + 16 - point, from_here, from_next), _mm_set1_epi8('0'));

    uint64_t last = (load4(end - 4) ^ (AF_ASCII_ZEROS >> 32)) & UINT64_MAX << (32 - 8 * left);
    uint64_t others = others_in(digits) | (((last + (LOW_BITS7 - 9 * ONES)) | last) & 0x80808080);
    out->w = join_digits16(digits) * af_u64_pow10[left] + join_digits4(last);
    out->decimals = 16 + left - point;
    return others == 0 && point < 16;
}

static inline bool parse_cell(const char *at, const char *end, struct cell *out)
{
    int64_t len = end - at;
    if (len > CELL_SHORT_MAX)
        return len <= CELL_LONG_MAX && parse_long_cell(at, end, out);
    return len > 0 && parse_short_cell(len < CELL_SHORT_MIN ? load_tiny(at, end) : load_short(at, (size_t)len), out);
}

/* Sixteen digits are below 2^54 and convert to the nearest double; with a point there are fifteen, which are exact. */
static inline double short_value(const struct cell *cell)
{
    return (double)(int64_t)cell->w / af_f64_pow10[cell->decimals];
}

/*
 * 10^-n for n <= 19: the upper 64 bits, and the biased exponent of the product with a w whose highest bit is set, less one.
 * Never exact but for n = 0, which is not asked for.
 */
struct inverse {
    uint64_t hi;
    uint64_t biased;
};
#define INVERSE(log2, hi) { UINT64_C(hi), (log2) + 63 + 1022 }
static const struct inverse inverses[20] = {
    INVERSE(0, 0x8000000000000000),   INVERSE(-4, 0xcccccccccccccccc),  INVERSE(-7, 0xa3d70a3d70a3d70a),  INVERSE(-10, 0x83126e978d4fdf3b),
    INVERSE(-14, 0xd1b71758e219652b), INVERSE(-17, 0xa7c5ac471b478423), INVERSE(-20, 0x8637bd05af6c69b5), INVERSE(-24, 0xd6bf94d5e57a42bc),
    INVERSE(-27, 0xabcc77118461cefc), INVERSE(-30, 0x89705f4136b4a597), INVERSE(-34, 0xdbe6fecebdedd5be), INVERSE(-37, 0xafebff0bcb24aafe),
    INVERSE(-40, 0x8cbccc096f5088cb), INVERSE(-44, 0xe12e13424bb40e13), INVERSE(-47, 0xb424dc35095cd80f), INVERSE(-50, 0x901d7cf73ab0acd9),
    INVERSE(-54, 0xe69594bec44de15b), INVERSE(-57, 0xb877aa3236a4b449), INVERSE(-60, 0x9392ee8e921d5d07), INVERSE(-64, 0xec1e4a7db69561a5),
};

/*
 * w > 0 times a power of ten by one product. In units of `hi` the true product is above hi and below hi + 2, so that rounding may differ
 * only where hi ends in nine ones: there, and at a tie, which looks like that, false. Ties aside, half and more rounds up. `biased` as in
 * struct inverse; no subnormal number and no infinity may come out. *out_rest: what is below hi.
 */
static inline bool scale_once(uint64_t w, uint64_t power_hi, uint64_t biased, uint64_t *out_rest, double *out)
{
    unsigned zeros = (unsigned)__builtin_clzll(w);
    uint64_t hi = af_mul128(power_hi, w << zeros, out_rest);
    uint64_t is_high = hi >> 63;
    uint64_t kept = ((hi >> (9 + is_high)) + 1) >> 1;
    uint64_t bits = ((biased + is_high - zeros) << 52) + kept; /* the 53rd bit of `kept` counts one up */
    memcpy(out, &bits, sizeof bits);
    return (hi & 0x1ff) != 0x1ff;
}

static inline bool long_value(const struct cell *cell, double *out)
{
    const struct inverse *inverse = &inverses[cell->decimals];
    uint64_t rest;
    return cell->w != 0 && scale_once(cell->w, inverse->hi, inverse->biased, &rest, out);
}

/* w * 10^q, w > 0. False: ask `scale`. With q >= 0 the power may be exact; then the rest is 0 where there may be a tie. */
static inline bool scale_far(uint64_t w, int64_t q, double *out)
{
    if (q < -290 || q > 280 || !af_pow10_is_ready())
        return false;
    uint64_t rest;
    uint64_t biased = (uint64_t)(af_pow10_log2(q) + 63 + 1022);
    return scale_once(w, af_pow10_entries[q - AF_POW10_MIN].hi, biased, &rest, out) && rest != 0;
}

/* 17 to 20 bytes with a point. False: ask the general way. */
static inline bool convert_long(const char *at, const char *end, bool is_negative, double *out)
{
    struct cell cell;
    double value;
    if (end - at > CELL_LONG_MAX || !parse_long_cell(at, end, &cell) || !long_value(&cell, &value))
        return false;
    *out = with_sign(value, is_negative);
    return true;
}

static inline bool convert_short(__m128i bytes, bool is_negative, double *out)
{
    struct cell cell;
    if (!parse_short_cell(bytes, &cell))
        return false;
    *out = with_sign(short_value(&cell), is_negative);
    return true;
}

/*
 * The exponent that begins in the lowest byte of `word`, with one to four digits; behind them at least one byte that is none. Returns how
 * many bytes it has, 0: another sort of exponent, or none.
 */
static inline unsigned read_exponent(uint64_t word, int64_t *out_q)
{
    uint64_t sign = word >> 8 & 0xff;
    unsigned is_signed = (sign == '-') | (sign == '+');
    uint64_t digits = (word >> 8 >> 8 * is_signed) ^ AF_ASCII_ZEROS;
    unsigned count = (unsigned)__builtin_ctzll(find_others(digits)) / 8; /* the top byte is none */
    if (((word | 0x20) & 0xff) != 'e' || count - 1 > 3)
        return 0;
    int64_t exponent = (int64_t)join_digits4(digits << (32 - 8 * count) & UINT32_MAX);
    *out_q = sign == '-' ? -exponent : exponent;
    return 1 + is_signed + count;
}

/* Digits and a point with an exponent behind them. */
static bool convert_with_exponent(const char *at, const char *end, int64_t q, bool is_negative, double *out)
{
    struct cell cell = { 0, 0 };
    if (!parse_cell(at, end, &cell) || cell.w == 0)
        return false;
    q -= (int64_t)cell.decimals;
    double value;
    if (!scale_far(cell.w, q, &value)) {
        uint64_t bits;
        if (!scale(cell.w, q, &bits) || bits == INFINITY_BITS)
            return false;
        memcpy(&value, &bits, sizeof value);
    }
    *out = with_sign(value, is_negative);
    return true;
}

/* --- entry points --------------------------------------------------------------------------------------------------------- */

/* How many of the sixteen bytes at `at` are digits and points, up to the first that is neither. */
static inline unsigned count_digits16(const char *at)
{
    __m128i bytes = _mm_xor_si128(_mm_loadu_si128((const __m128i *)at), _mm_set1_epi8('0'));
    unsigned others = others_in(bytes) & ~points_in(bytes);
    return others != 0 ? (unsigned)__builtin_ctz(others) : 16;
}

/* With an exponent at `stop`, a tiny cell, or none. */
__attribute__((noinline)) static const char *scan_rest(const char *ptr, const char *stop, const char *end, double *out)
{
    bool is_negative = *ptr == '-';
    const char *at = ptr + is_negative;
    int64_t q = 0;
    if ((*stop | 0x20) == 'e') {
        unsigned len = end - stop >= 8 ? read_exponent(af_load8(stop), &q) : 0;
        const char *after = len != 0 ? stop + len : scan_exponent(stop, end, &q);
        if (after != stop && convert_with_exponent(at, stop, q, is_negative, out))
            return after;
    } else if (stop - at < CELL_SHORT_MIN && stop != at && convert_short(load_tiny(at, stop), is_negative, out)) {
        return stop;
    }
    return scan_generally(ptr, end, out);
}

/* No short cell that ends at `stop`. */
__attribute__((noinline)) static const char *scan_long(const char *ptr, const char *stop, const char *end, double *out)
{
    bool is_negative = *ptr == '-';
    const char *at = ptr + is_negative;
    if (stop - at == 16)
        stop += count_digits16(stop);
    if (stop - at > CELL_SHORT_MAX && (*stop | 0x20) != 'e' && convert_long(at, stop, is_negative, out))
        return stop;
    return scan_rest(ptr, stop, end, out);
}

const char *af_f64_scan(const char *ptr, const char *end, double *out)
{
    if (end - ptr <= 34) /* a sign, two times 16 bytes, and what follows them */
        return scan_generally(ptr, end, out);
    bool is_negative = *ptr == '-';
    const char *at = ptr + is_negative;
    const char *stop = at + count_digits16(at);
    size_t len = (size_t)(stop - at);
    bool is_short = len - CELL_SHORT_MIN < CELL_SHORT_MAX - CELL_SHORT_MIN;
    if (is_short && (*stop | 0x20) != 'e' && convert_short(load_short(at, len), is_negative, out))
        return stop;
    return scan_long(ptr, stop, end, out);
}

/* The last eight bytes, from the 'e' of an exponent on; what is shifted in ends its digits. Without any, 0. */
static inline uint64_t load_exponent(const char *end)
{
    uint64_t word = af_load8(end - 8);
    uint64_t differs = (word | ONES * 0x20) ^ ONES * 'e';
    uint64_t others = (((differs & LOW_BITS7) + LOW_BITS7) | differs) & ~LOW_BITS7;
    uint64_t found = others ^ ~LOW_BITS7;
    return found != 0 ? word >> (__builtin_ctzll(found) & 56) : 0;
}

/* No cell. With an exponent, what is before it may be one. */
__attribute__((noinline)) static bool parse_generally(struct af_slice text, double *out)
{
    const char *end = text.ptr + text.len;
    if (text.len == 0)
        return false;
    bool is_negative = *text.ptr == '-';
    const char *at = text.ptr + is_negative;
    if (end - at < CELL_SHORT_MIN && end != at && convert_short(load_tiny(at, end), is_negative, out))
        return true;
    if (end - at > 8) {
        int64_t q = 0;
        unsigned len = read_exponent(load_exponent(end), &q); /* when something follows it, what precedes its length is no cell */
        if (len != 0 && convert_with_exponent(at, end - len, q, is_negative, out))
            return true;
    }
    double value;
    if (scan_generally(text.ptr, end, &value) != end)
        return false;
    *out = value;
    return true;
}

/* No short cell. What is more is left to tail calls, so that the common ways save few registers: a caller's loop waits for those. */
__attribute__((noinline)) static bool parse_long(struct af_slice text, double *out)
{
    if (text.len > CELL_SHORT_MAX) {
        bool is_negative = *text.ptr == '-';
        const char *at = text.ptr + is_negative;
        if (text.len - is_negative > CELL_SHORT_MAX && convert_long(at, text.ptr + text.len, is_negative, out))
            return true;
    }
    return parse_generally(text, out);
}

bool af_f64_parse(struct af_slice text, double *out)
{
    if (text.len >= CELL_SHORT_MIN) {
        bool is_negative = *text.ptr == '-';
        const char *at = text.ptr + is_negative;
        size_t len = text.len - is_negative;
        if (len - CELL_SHORT_MIN <= CELL_SHORT_MAX - CELL_SHORT_MIN && convert_short(load_short(at, len), is_negative, out))
            return true;
    }
    return parse_long(text, out);
}
