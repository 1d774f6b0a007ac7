/*
 * base_int.h - what the files of base/ share among themselves: powers of ten and digits by the block.
 */
#ifndef AF_BASE_INT_H
#define AF_BASE_INT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The 128 leading bits of a power of ten, rounded down:
 *
 *     10^k = (hi * 2^64 + lo + e) * 2^(af_pow10_log2(k) - 127),    0 <= e < 1, 2^63 <= hi
 *
 * e is 0 exactly for 0 <= k <= AF_POW10_EXACT_MAX, where 5^k fits.
 */
struct af_pow10 {
    uint64_t hi;
    uint64_t lo;
};

enum { AF_POW10_MIN = -342, AF_POW10_MAX = 324, AF_POW10_EXACT_MAX = 55 };

/*
 * A zone: change i, at at_s[i] (UTC), makes the offset offset_s[i + 1]; before the first it is offset_s[0]. Neighbouring offsets differ,
 * and the stretches of wall time that the changes skip or repeat (zone.c) ascend and do not touch each other.
 */
struct af_zone_table {
    size_t change_count;
    const int64_t *at_s;
    const int32_t *offset_s; /* change_count + 1 */
    char name[65];
};

/* The tables stay inside the library: hidden, they are reached without a detour. */
#pragma GCC visibility push(hidden)
extern struct af_pow10 af_pow10_entries[AF_POW10_MAX - AF_POW10_MIN + 1];
extern atomic_bool af_pow10_is_made;
void af_pow10_make(void);

/* 10^n for n <= 19. */
extern const uint64_t af_u64_pow10[20];

/* 10^n for n <= 22: the powers that are doubles. */
extern const double af_f64_pow10[23];

/* "00" "01" ... "99". */
extern const char af_digit_pairs[201];
#pragma GCC visibility pop

static inline bool af_pow10_is_ready(void)
{
    return atomic_load_explicit(&af_pow10_is_made, memory_order_acquire);
}

/* The table's entry for 10^0; index it from AF_POW10_MIN to AF_POW10_MAX. Made at the first call, by any thread. */
static inline const struct af_pow10 *af_pow10_table(void)
{
    if (__builtin_expect(!af_pow10_is_ready(), 0))
        af_pow10_make();
    return af_pow10_entries - AF_POW10_MIN;
}

/* floor(log2(10^k)), for |k| <= 1233. */
static inline int64_t af_pow10_log2(int64_t k)
{
    return k * 1741647 >> 19;
}

/* 64 x 64 -> 128 bits; returns the upper half. */
static inline uint64_t af_mul128(uint64_t a, uint64_t b, uint64_t *out_lo)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    *out_lo = (uint64_t)product;
    return (uint64_t)(product >> 64);
}

/*
 * The eight digits of x < 10^8 as byte values 0..9, the first digit in the lowest byte. Each step splits every lane in two:
 * 8 digits into 4 + 4, 2 + 2 + 2 + 2, then single ones; the multipliers are reciprocals that are exact in their range.
 */
static inline uint64_t af_digits8(uint32_t x)
{
    uint64_t fours = x / 10000 | (uint64_t)(x % 10000) << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
    uint64_t pairs = hundreds | (fours - hundreds * 100) << 16;
    uint64_t tens = (pairs * 103 >> 10) & UINT64_C(0x000f000f000f000f);
    return tens | (pairs - tens * 10) << 8;
}

#define AF_ASCII_ZEROS UINT64_C(0x3030303030303030)

/* Eight bytes at `ptr`, all ASCII digits? */
static inline bool af_is_digits8(uint64_t word)
{
    return ((word & UINT64_C(0xf0f0f0f0f0f0f0f0)) |
            (((word + UINT64_C(0x0606060606060606)) & UINT64_C(0xf0f0f0f0f0f0f0f0)) >> 4)) ==
           UINT64_C(0x3333333333333333);
}

/* The value of eight bytes 0..9; the lowest byte, read first, is the most significant digit. */
static inline uint32_t af_join_digits8(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8);
    uint64_t outer = (digits & UINT64_C(0x000000ff000000ff)) * (UINT64_C(100) + (UINT64_C(1000000) << 32));
    uint64_t inner = (digits >> 16 & UINT64_C(0x000000ff000000ff)) * (UINT64_C(1) + (UINT64_C(10000) << 32));
    return (uint32_t)((outer + inner) >> 32);
}

/* Same for ASCII. */
static inline uint32_t af_parse_digits8(uint64_t word)
{
    return af_join_digits8(word - AF_ASCII_ZEROS);
}

static inline uint64_t af_load8(const void *ptr)
{
    uint64_t word;
    memcpy(&word, ptr, sizeof word);
    return word;
}

static inline void af_store8(void *ptr, uint64_t word)
{
    memcpy(ptr, &word, sizeof word);
}
/* x < 10^8 without leading zeros, shifted into place rather than branched on; eight bytes are written. */
static inline char *af_put_short(char *dst, uint32_t x)
{
    uint64_t digits = af_digits8(x);
    unsigned zeros = (unsigned)__builtin_ctzll(digits | UINT64_C(1) << 56) / 8; /* the last digit always counts */
    af_store8(dst, (digits | AF_ASCII_ZEROS) >> (8 * zeros));
    return dst + 8 - zeros;
}
#endif
