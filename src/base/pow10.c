/*
 * pow10.c - the 128 leading bits of 10^-342 .. 10^324, computed exactly when first asked for (about 30 microseconds).
 *
 * Powers of ten and of five have the same leading bits. Upwards, 5^k is a big integer multiplied by 5 each step; downwards,
 * 2^B is divided by 5 each step. Both give the floor: floor(floor(x / 5) / 5) = floor(x / 25), and with B = 1024 even the
 * quotient by 5^342 (795 bits) keeps more than 128 bits, so its leading bits are those of the true value.
 */
#include "base/base_int.h"

enum { ENTRIES = AF_POW10_MAX - AF_POW10_MIN + 1, LIMBS = 33, BITS_DOWN = 1024 };

struct big {
    uint32_t limb[LIMBS]; /* least significant first */
    int count;            /* limbs in use; the last is not 0 */
};

struct af_pow10 af_pow10_entries[ENTRIES];
atomic_bool af_pow10_is_made;
static atomic_bool is_taken; /* by a thread that makes it */

const uint64_t af_u64_pow10[20] = {
    1ULL,
    10ULL,
    100ULL,
    1000ULL,
    10000ULL,
    100000ULL,
    1000000ULL,
    10000000ULL,
    100000000ULL,
    1000000000ULL,
    10000000000ULL,
    100000000000ULL,
    1000000000000ULL,
    10000000000000ULL,
    100000000000000ULL,
    1000000000000000ULL,
    10000000000000000ULL,
    100000000000000000ULL,
    1000000000000000000ULL,
    10000000000000000000ULL,
};

const char af_digit_pairs[201] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                 "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                 "8081828384858687888990919293949596979899";

const double af_f64_pow10[23] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static void times5(struct big *x)
{
    uint64_t carry = 0;
    for (int i = 0; i < x->count; i++) {
        carry += (uint64_t)x->limb[i] * 5;
        x->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0)
        x->limb[x->count++] = (uint32_t)carry;
}

static void divide5(struct big *x)
{
    uint64_t rest = 0;
    for (int i = x->count - 1; i >= 0; i--) {
        uint64_t part = rest << 32 | x->limb[i];
        x->limb[i] = (uint32_t)(part / 5);
        rest = part % 5;
    }
    if (x->limb[x->count - 1] == 0)
        x->count--;
}

/* The 128 bits below and with the highest set one; zeros follow a shorter number. */
static struct af_pow10 leading_bits(const struct big *x)
{
    uint32_t top[5];
    for (int i = 0; i < 5; i++)
        top[i] = i < x->count ? x->limb[x->count - 1 - i] : 0;
    int shift = __builtin_clz(top[0]);
    uint64_t hi = (uint64_t)top[0] << 32 | top[1];
    uint64_t lo = (uint64_t)top[2] << 32 | top[3];
    if (shift != 0) {
        hi = hi << shift | lo >> (64 - shift);
        lo = lo << shift | top[4] >> (32 - shift);
    }
    return (struct af_pow10){ hi, lo };
}

static void fill_table(void)
{
    struct big x = { .limb = { 1 }, .count = 1 };
    for (int k = 0; k <= AF_POW10_MAX; k++) {
        af_pow10_entries[k - AF_POW10_MIN] = leading_bits(&x);
        times5(&x);
    }
    x = (struct big){ .count = BITS_DOWN / 32 + 1 };
    x.limb[BITS_DOWN / 32] = 1;
    for (int k = -1; k >= AF_POW10_MIN; k--) {
        divide5(&x);
        af_pow10_entries[k - AF_POW10_MIN] = leading_bits(&x);
    }
}

/* The others wait those microseconds: base/ has no locks. */
__attribute__((cold)) void af_pow10_make(void)
{
    if (!atomic_exchange(&is_taken, true)) {
        fill_table();
        atomic_store_explicit(&af_pow10_is_made, true, memory_order_release);
        return;
    }
    while (!atomic_load_explicit(&af_pow10_is_made, memory_order_acquire))
        __builtin_ia32_pause();
}
