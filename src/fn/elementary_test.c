/* elementary_test.c - single values to the last bit, and everything else within a few units in the last place of the C library. */
#include "fn/elementary.h"
#include "fn/fn_fixture.h"

/* As servers compute them; in some of these the C library's last bit is another one. */
AF_TEST(fn_elementary_to_the_last_bit)
{
    static const struct {
        double (*fn)(double x);
        double x, want;
    } cases[] = {
        { elementary_sin, 0x1.999999999999ap-04, 0x1.98eaecb8bcb2cp-04 },
        { elementary_sin, 0x1.0f0cf064dd592p+73, -0x1.b453ab76bf398p-01 },
        { elementary_sin, -0x1.5d3ef798p+38, -0x1.f3f3bcefeee7dp-03 },
        { elementary_cos, 0x1.91p+06, 0x1.ebec72ba6b0ecp-01 },
        { elementary_cos, 0x1.dcd65004p+29, 0x1.e4fda92f2f1dcp-02 },
        { elementary_tan, -0x1.8p+00, -0x1.c33ed50b88777p+03 },
        { elementary_tan, 0x1.89d3f983639d3p+31, 0x1.a603c5bdd8e4dp-20 },
        { elementary_asin, 0x1.3333333333333p-02, 0x1.380159e14f6ffp-02 },
        { elementary_asin, -0x1.999999999999ap-01, -0x1.dac670561bb5p-01 },
        { elementary_acos, 0x1.3333333333333p-02, 0x1.441f5ecbeef58p+00 },
        { elementary_acos, -0x1.ccccccccccccdp-01, 0x1.586476251e745p+01 },
        { elementary_atan, 0x1.4p+00, 0x1.cac7c57846f9ep-01 },
        { elementary_atan, -0x1.cp+02, -0x1.6dcc57bb565fcp+00 },
        { elementary_log, 0x1.6666666666666p-01, -0x1.6d3c324e13f5p-02 },
        { elementary_log, 0x1.81cd6c8b43958p+13, 0x1.2d79559791e31p+03 },
        { elementary_log2, 0x1p+03, 0x1.8p+01 },
        { elementary_log2, 0x1.8p+01, 0x1.95c01a39fbd69p+00 },
        { elementary_log2, 0x1.2688b70e62bp-1030, -0x1.01730dabca5f6p+10 },
        { elementary_log10, 0x1p+01, 0x1.34413509f79ffp-02 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        AF_CHECK_F64(cases[i].fn(cases[i].x), cases[i].want);
    AF_CHECK_F64(elementary_pow(1.1, 10), 0x1.4bffc0c03023dp+01);
    AF_CHECK_F64(elementary_pow(-2, 63), -0x1p+63);
    AF_CHECK_F64(elementary_atan2(-1, -3), -0x1.68f095fdf593cp+01);
}

/* How many floats lie between. */
static uint64_t distance(double a, double b)
{
    if ((isnan(a) && isnan(b)) || a == b)
        return 0;
    uint64_t x = fn_key((union fn_cell){ .f64 = a }, FN_F64), y = fn_key((union fn_cell){ .f64 = b }, FN_F64);
    return x > y ? x - y : y - x;
}

AF_TEST(fn_elementary_is_near_the_c_library)
{
    static const struct {
        double (*fn)(double x), (*reference)(double x);
        double scale;
        uint64_t most;
    } cases[] = {
        { elementary_sin, sin, 100, 1 << 12 }, { elementary_cos, cos, 100, 1 << 12 }, { elementary_tan, tan, 1, 8 },
        { elementary_asin, asin, 1.1, 8 },     { elementary_acos, acos, 1, 64 },      { elementary_atan, atan, 50, 8 },
        { elementary_exp, exp, 700, 8 },       { elementary_log, log, 1e6, 8 },       { elementary_log2, log2, 1e6, 64 },
        { elementary_log10, log10, 1e6, 8 },
    };
    struct af_prng prng = { 5 };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (int k = 0; k < 2000; k++) {
            double x = (af_prng_unit(&prng) * 2 - 1) * cases[i].scale;
            if (distance(cases[i].fn(x), cases[i].reference(x)) > cases[i].most)
                af_test_failed(__FILE__, __LINE__, "case %zu: f(%.17g) is %.17g, not %.17g", i, x, cases[i].fn(x), cases[i].reference(x));
        }
    for (int k = 0; k < 2000; k++) {
        double x = af_prng_unit(&prng) * 100, y = af_prng_unit(&prng) * 40 - 20, z = af_prng_unit(&prng) * 40 - 20;
        AF_CHECK(distance(elementary_pow(x, y), pow(x, y)) < 256);
        AF_CHECK(distance(elementary_atan2(y, z), atan2(y, z)) < 8);
    }
}

AF_TEST(fn_elementary_at_the_ends)
{
    const double infinite = INFINITY;
    AF_CHECK(isnan(elementary_sin(infinite)) && isnan(elementary_cos(-infinite)) && isnan(elementary_tan(infinite)));
    AF_CHECK(isnan(elementary_asin(1.5)) && isnan(elementary_acos(-2)) && isnan(elementary_log(-1)));
    AF_CHECK_F64(elementary_sin(-0.0), -0.0);
    AF_CHECK_F64(elementary_log(0), -infinite);
    AF_CHECK_F64(elementary_log2(infinite), infinite);
    AF_CHECK_F64(elementary_exp(-infinite), 0);
    AF_CHECK_F64(elementary_exp(710), infinite);
    AF_CHECK_F64(elementary_exp(-1e300), 0);
    AF_CHECK_F64(elementary_exp(0), 1);
    AF_CHECK_F64(elementary_atan2(-0.0, -1), -0x1.921fb54442d18p+1);
    const double corners[] = { 0, -0.0, 1, -1, 2, -3, 0.5, INFINITY, -INFINITY, 1e300, -1e300 };
    for (size_t i = 0; i < COUNT_OF(corners); i++)
        for (size_t j = 0; j < COUNT_OF(corners); j++)
            AF_CHECK(distance(elementary_pow(corners[i], corners[j]), pow(corners[i], corners[j])) == 0);
}
