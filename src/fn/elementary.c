/*
 * elementary.c - see elementary.h. Angles: reduced to an octant and the rest of it, by three parts of pi/4, or past 2^29 by as many bits
 * of 4/pi as it takes (Payne and Hanek). Logarithm: fdlibm's series in f / (2 + f). Exponential: a Taylor series of x/16 and four
 * squarings, with fused operations where the processor has them. Power: squarings of the mantissa, exponents apart.
 *
 * No operation may be fused or reordered by the compiler: ISO C mode does neither.
 */
#include "fn/elementary.h"
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PI 0x1.921fb54442d18p+1
#define PI_2 0x1.921fb54442d18p+0
#define PI_4 0x1.921fb54442d18p-1

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* c[0] x^(n-1) + ... + c[n-1] */
static inline double polynomial(double x, const double *c, size_t n)
{
    double sum = c[0];
    for (size_t i = 1; i < n; i++)
        sum = sum * x + c[i];
    return sum;
}

/* --- angles ---------------------------------------------------------------------------------------------------------------------- */

/* 4/pi in binary: a word before the point, 1216 bits behind it. */
static const uint64_t four_by_pi[20] = {
    0x0000000000000001, 0x45f306dc9c882a53, 0xf84eafa3ea69bb81, 0xb6c52b3278872083, 0xfca2c757bd778ac3,
    0x6e48dc74849ba5c0, 0x0c925dd413a32439, 0xfc3bd63962534e7d, 0xd1046bea5d768909, 0xd338e04d68befc82,
    0x7323ac7306a673e9, 0x3908bf177bf25076, 0x3ff12fffbc0b301f, 0xde5e2316b414da3e, 0xda6cfd9e4f96136e,
    0x9e8c7ecd3cbfd45a, 0xea4f758fd7cbe2f6, 0x7a0e73ef14a525d4, 0xd7f6bf623f1aba10, 0xac06608df8f6d757,
};

/* 64 bits of 4/pi from bit `at` on. */
static uint64_t four_by_pi_bits(unsigned at)
{
    unsigned word = at / 64, shift = at % 64;
    return shift == 0 ? four_by_pi[word] : four_by_pi[word] << shift | four_by_pi[word + 1] >> (64 - shift);
}

/* Large angles: mantissa times the bits of 4/pi that matter, an integer product. */
static unsigned reduce_large(double x, double *out_rest)
{
    uint64_t bits = bits_of(x);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023 - 52;
    uint64_t mantissa = (bits & 0xfffffffffffff) | UINT64_C(1) << 52;
    unsigned at = (unsigned)(exponent + 61);
    unsigned __int128 low = (unsigned __int128)four_by_pi_bits(at + 128) * mantissa;
    unsigned __int128 middle = (unsigned __int128)four_by_pi_bits(at + 64) * mantissa;
    unsigned __int128 product = middle + (uint64_t)(low >> 64) + ((unsigned __int128)(four_by_pi_bits(at) * mantissa) << 64);
    unsigned octant = (unsigned)(product >> 125);
    uint64_t high = (uint64_t)(product >> 61), tail = (uint64_t)product;
    unsigned zeros = high == 0 ? 62 : (unsigned)__builtin_clzll(high);
    /* What moves in from below are the top bits of the low word, three of which are in `high` already. Wrong, and part of the answer. */
    uint64_t fraction = high << (zeros + 1) | tail >> (63 - zeros);
    double rest = of_bits(fraction >> 12 | (uint64_t)(1023 - (zeros + 1)) << 52);
    if (octant & 1) {
        octant = (octant + 1) & 7;
        rest -= 1;
    }
    *out_rest = rest * PI_4;
    return octant;
}

/* x >= 0 as octant * pi/4 + rest, the octant even, in [0, 8). */
static unsigned reduce(double x, double *out_rest)
{
    if (x >= 0x1p29)
        return reduce_large(x, out_rest);
    uint64_t octant = (uint64_t)(x * 0x1.45f306dc9c883p+0);
    octant += octant & 1;
    double n = (double)octant;
    *out_rest = ((x - n * 0x1.921fb4p-1) - n * 0x1.4442dp-25) - n * 0x1.8469898cc517p-49;
    return (unsigned)(octant & 7);
}

static double sin_series(double x)
{
    static const double c[] = { 1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6,
                                -1.98412698295895385996e-4, 8.33333333332211858878e-3, -1.66666666666666307295e-1 };
    double xx = x * x;
    return x + x * xx * polynomial(xx, c, 6);
}

static double cos_series(double x)
{
    static const double c[] = { -1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7,
                                2.48015872888517045348e-5, -1.38888888888730564116e-3, 4.16666666666665929218e-2 };
    double xx = x * x;
    return 1.0 - 0.5 * xx + xx * xx * polynomial(xx, c, 6);
}

double elementary_sin(double x)
{
    if (x == 0 || isnan(x))
        return x;
    if (isinf(x))
        return NAN;
    double rest;
    unsigned octant = reduce(fabs(x), &rest);
    double y = (octant & 3) == 2 ? cos_series(rest) : sin_series(rest);
    return (octant > 3) != (x < 0) ? -y : y;
}

double elementary_cos(double x)
{
    if (!isfinite(x))
        return NAN;
    double rest;
    unsigned octant = reduce(fabs(x), &rest);
    double y = (octant & 3) == 2 ? sin_series(rest) : cos_series(rest);
    return octant == 2 || octant == 4 ? -y : y;
}

double elementary_tan(double x)
{
    static const double p[] = { -1.30936939181383777646e4, 1.15351664838587416140e6, -1.79565251976484877988e7 };
    static const double q[] = { 1, 1.36812963470692954678e4, -1.32089234440210967447e6, 2.50083801823357915839e7,
                                -5.38695755929454629881e7 };
    if (x == 0 || isnan(x))
        return x;
    if (isinf(x))
        return NAN;
    double rest;
    unsigned octant = reduce(fabs(x), &rest);
    double square = rest * rest, y = rest;
    if (square > 1e-14)
        y = rest + rest * (square * polynomial(square, p, 3) / polynomial(square, q, 5));
    if (octant & 2)
        y = -1 / y;
    return x < 0 ? -y : y;
}

/* In [0, 0.66]. */
static double atan_series(double x)
{
    static const double p[] = { -8.750608600031904122785e-01, -1.615753718733365076637e+01, -7.500855792314704667340e+01,
                                -1.228866684490136173410e+02, -6.485021904942025371773e+01 };
    static const double q[] = { 1, 2.485846490142306297962e+01, 1.650270098316988542046e+02, 4.328810604912902668951e+02,
                                4.853903996359136964868e+02, 1.945506571482613964425e+02 };
    double square = x * x;
    square = square * polynomial(square, p, 5) / polynomial(square, q, 6);
    return x * square + x;
}

static double atan_positive(double x)
{
    const double more_bits = 6.123233995736765886130e-17; /* of pi/2 */
    if (x <= 0.66)
        return atan_series(x);
    if (x > 2.41421356237309504880) /* tan(3 pi/8) */
        return PI_2 - atan_series(1 / x) + more_bits;
    return PI_4 + atan_series((x - 1) / (x + 1)) + 0.5 * more_bits;
}

double elementary_atan(double x)
{
    if (x == 0)
        return x;
    return x > 0 ? atan_positive(x) : -atan_positive(-x);
}

double elementary_asin(double x)
{
    if (x == 0)
        return x;
    double a = fabs(x);
    if (a > 1)
        return NAN;
    double other = sqrt(1 - a * a);
    double angle = a > 0.7 ? PI_2 - atan_positive(other / a) : atan_positive(a / other);
    return x < 0 ? -angle : angle;
}

double elementary_acos(double x)
{
    return PI_2 - elementary_asin(x);
}

double elementary_atan2(double y, double x)
{
    if (isnan(x) || isnan(y))
        return NAN;
    if (y == 0)
        return copysign(signbit(x) ? PI : 0, y);
    if (x == 0)
        return copysign(PI_2, y);
    if (isinf(x))
        return copysign(x > 0 ? (isinf(y) ? PI_4 : 0) : (isinf(y) ? 3 * PI / 4 : PI), y);
    if (isinf(y))
        return copysign(PI_2, y);
    double angle = elementary_atan(y / x);
    if (x >= 0)
        return angle;
    return angle <= 0 ? angle + PI : angle - PI;
}

/* --- powers ---------------------------------------------------------------------------------------------------------------------- */

double elementary_log(double x)
{
    static const double odd[] = { 1.479819860511658591e-01, 1.818357216161805012e-01, 2.857142874366239149e-01, 6.666666666666735130e-01 };
    static const double even[] = { 1.531383769920937332e-01, 2.222219843214978396e-01, 3.999999999940941908e-01 };
    if (isnan(x) || x == INFINITY)
        return x;
    if (x <= 0)
        return x == 0 ? -INFINITY : NAN;
    /* By the bits: of a subnormal number what its bits would be as a normal one, as the servers have it. */
    uint64_t bits = bits_of(x);
    double f = of_bits((bits & 0xfffffffffffff) | UINT64_C(0x3fe) << 52), k = (double)((int)(bits >> 52) - 0x3fe);
    if (f < 7.07106781186547524401e-01) {
        f *= 2;
        k -= 1;
    }
    f -= 1;
    double s = f / (2 + f), s2 = s * s, s4 = s2 * s2;
    double r = s2 * polynomial(s4, odd, 4) + s4 * polynomial(s4, even, 3);
    double half = 0.5 * f * f;
    return k * 6.93147180369123816490e-01 - ((half - (s * (half + r) + k * 1.90821492927058770002e-10)) - f);
}

double elementary_log2(double x)
{
    int exponent;
    double f = frexp(x, &exponent);
    if (!isfinite(x) || x == 0)
        return elementary_log(x);
    if (f == 0.5)
        return exponent - 1;
    return elementary_log(f) * 0x1.71547652b82fep+0 + exponent;
}

double elementary_log10(double x)
{
    return elementary_log(x) * 0x1.bcb7b1526e50ep-2;
}

static const double exp_series[] = { 2.4801587301587301587e-5, 1.9841269841269841270e-4, 1.3888888888888888889e-3, 8.3333333333333333333e-3,
                                     4.1666666666666666667e-2, 1.6666666666666666667e-1, 0.5, 1 };
#define LN2_HIGH 0.69314718055966295651160180568695068359375
#define LN2_LOW 0.28235290563031577122588448175013436025525412068e-12

/* exp(x) for x = n ln 2 + r, without the 2^n. */
static double exp_plain(double x, double n)
{
    double r = x - LN2_HIGH * n;
    r -= LN2_LOW * n;
    r *= 0.0625;
    r = polynomial(r, exp_series, 8) * r;
    for (int i = 0; i < 4; i++)
        r = (r + 2) * r;
    return r + 1;
}

#if defined __x86_64__
__attribute__((target("avx,fma"))) static double exp_fused(double x, double n)
{
    double r = __builtin_fma(-LN2_HIGH, n, x);
    r = __builtin_fma(-LN2_LOW, n, r);
    r *= 0.0625;
    double sum = exp_series[0];
    for (size_t i = 1; i < 8; i++)
        sum = __builtin_fma(sum, r, exp_series[i]);
    r = sum * r;
    for (int i = 0; i < 3; i++)
        r = (r + 2) * r;
    return __builtin_fma(r + 2, r, 1);
}
static bool has_fused(void)
{
    return __builtin_cpu_supports("avx") && __builtin_cpu_supports("fma");
}
#else
static double exp_fused(double x, double n)
{
    return exp_plain(x, n);
}
static bool has_fused(void)
{
    return false;
}
#endif

double elementary_exp(double x)
{
    if (isnan(x) || x == INFINITY || x == -INFINITY)
        return x == -INFINITY ? 0 : x;
    if (x > 7.09782712893384e+02)
        return INFINITY;
    double scaled = x * 1.4426950408889634073599246810018920;
    if (scaled < -2000)
        return 0;
    double n = nearbyint(scaled); /* halves to even, as the processor converts */
    double y = has_fused() ? exp_fused(x, n) : exp_plain(x, n);
    int exponent = (int)n + 1023;
    if (exponent >= 0x7ff)
        return INFINITY;
    if (exponent > 0)
        return y * of_bits((uint64_t)exponent << 52);
    if (exponent < -52)
        return 0;
    /* In two steps, so that rounding happens once. */
    return y * of_bits((uint64_t)(exponent + 1022) << 52) * of_bits(UINT64_C(1) << 52);
}

static bool is_odd(double x)
{
    return fabs(x) < 0x1p53 && trunc(x) == x && ((int64_t)x & 1) != 0;
}

/* Where no arithmetic is needed. */
static bool pow_special(double x, double y, double *out)
{
    if (y == 0 || x == 1)
        *out = 1;
    else if (y == 1)
        *out = x;
    else if (isnan(x) || isnan(y))
        *out = NAN;
    else if (x == 0)
        *out = y < 0 ? (is_odd(y) ? copysign(INFINITY, x) : INFINITY) : (is_odd(y) ? x : 0);
    else if (isinf(y))
        *out = x == -1 ? 1 : (fabs(x) < 1) == (y > 0) ? 0 : INFINITY;
    else if (x == -INFINITY)
        *out = elementary_pow(1 / x, -y);
    else if (x == INFINITY)
        *out = y < 0 ? 0 : INFINITY;
    else if (y == 0.5)
        *out = sqrt(x);
    else if (y == -0.5)
        *out = 1 / sqrt(x);
    else
        return false;
    return true;
}

double elementary_pow(double x, double y)
{
    double special;
    if (pow_special(x, y, &special))
        return special;
    double whole = trunc(fabs(y)), part = fabs(y) - whole;
    if (part != 0 && x < 0)
        return NAN;
    if (whole >= 0x1p63)
        return x == -1 ? 1 : (fabs(x) < 1) == (y > 0) ? 0 : INFINITY;
    double result = 1;
    long exponent = 0;
    if (part != 0) {
        if (part > 0.5) {
            part -= 1;
            whole += 1;
        }
        result = elementary_exp(part * elementary_log(x));
    }
    int base_exponent;
    double base = frexp(x, &base_exponent);
    for (uint64_t bits = (uint64_t)whole; bits != 0; bits >>= 1) {
        if (base_exponent < -4096 || base_exponent > 4096) {
            exponent += base_exponent;
            break;
        }
        if (bits & 1) {
            result *= base;
            exponent += base_exponent;
        }
        base *= base;
        base_exponent *= 2;
        if (base < 0.5) {
            base += base;
            base_exponent--;
        }
    }
    if (y < 0) {
        result = 1 / result;
        exponent = -exponent;
    }
    return scalbln(result, exponent);
}
