/* numbers_test.c - numbers.h against the C library's printf and strtod, and by its own promises. */
#include "base/base_int.h"
#include "base/numbers.h"
#include "base/prng.h"
#include "test/lib/test.h"
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANDOM_ROUNDS = 1000000 };

static double f64_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static struct af_slice print(char *dst, double value)
{
    return af_slice_make(dst, (size_t)(af_f64_print(dst, value) - dst));
}

/* Digits and exponent of a printed number: "-12.30e+5" has 3 digits, 1.23 * 10^6. */
struct parts {
    char digits[40];
    int count;
    int exponent;
};

static struct parts take_apart(const char *text)
{
    struct parts parts = { .count = 0 };
    int point = 0;
    bool seen_point = false;
    const char *at = text + (*text == '-');
    for (; *at != '\0' && *at != 'e'; at++) {
        if (*at == '.') {
            seen_point = true;
        } else {
            if (parts.count > 0 || *at != '0')
                parts.digits[parts.count++] = *at;
            else if (seen_point)
                point--;
            if (!seen_point && parts.count > 0)
                point++;
        }
    }
    parts.exponent = point - 1 + (*at == 'e' ? atoi(at + 1) : 0);
    while (parts.count > 0 && parts.digits[parts.count - 1] == '0')
        parts.count--;
    return parts;
}

/*
 * The C library's shortest: the first precision that reads back. It is also the closest of that length. Only at powers of two,
 * whose interval is lopsided, may there be a shorter one: rounding goes to the near side and leaves the interval there, while its
 * neighbour on the wide side is inside.
 */
static int libc_shortest(char *dst, size_t cap, double value)
{
    int digits = 0;
    do {
        snprintf(dst, cap, "%.*e", digits, value);
        digits++;
    } while (strtod(dst, NULL) != value);
    return digits;
}

static void check_shortest(double value)
{
    char got[AF_F64_TEXT_MAX + 1];
    char want[64];
    struct af_slice text = print(got, value);
    got[text.len] = '\0';
    libc_shortest(want, sizeof want, value);
    struct parts a = take_apart(got);
    struct parts b = take_apart(want);
    bool is_lopsided = (bits_of(value) & ((UINT64_C(1) << 52) - 1)) == 0;
    if (is_lopsided && a.count < b.count && strtod(got, NULL) == value)
        return;
    if (a.count != b.count || a.exponent != b.exponent || memcmp(a.digits, b.digits, (size_t)a.count) != 0)
        af_test_failed(__FILE__, __LINE__, "%.17g prints as %s, the C library finds %s", value, got, want);
}

/* Prints, reads back with both readers. */
static void check_round_trip(uint64_t bits)
{
    double value = f64_of(bits);
    if (!isfinite(value))
        return;
    char text[AF_F64_TEXT_MAX + 1];
    struct af_slice printed = print(text, value);
    AF_CHECK(printed.len <= 25);
    double back;
    AF_CHECK(af_f64_parse(printed, &back));
    text[printed.len] = '\0';
    if (bits_of(back) != bits || bits_of(strtod(text, NULL)) != bits)
        af_test_failed(__FILE__, __LINE__, "%.17g prints as %s", value, text);
}

static void check_parse(const char *text)
{
    double got = -1;
    double want = strtod(text, NULL);
    bool is_number = af_f64_parse(af_slice_of(text), &got);
    if (is_number != (isfinite(want) != 0) || (is_number && bits_of(got) != bits_of(want)))
        af_test_failed(__FILE__, __LINE__, "%.60s... (%zu bytes) reads as %.17g, want %.17g", text, strlen(text), got,
                       want);
}

static const char *const hard_texts[] = {
    "0", "-0", "0.0", "00000", "1", "-1", ".5", "5.", "+5", "1e0", "1E+2", "1e-2", "0e999999999999999999999", "-0e-5",
    "5e-324", "4.9e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "2.5e-324", "1e-324", "1e-400",
    "2.2250738585072011e-308", "2.2250738585072012e-308", "2.2250738585072014e-308", "1.7976931348623157e308",
    "1.7976931348623158e308", "1.7976931348623159e308", "1.797693134862315807e308", "1.8e308", "1e309", "1e400",
    "9007199254740991", "9007199254740992", "9007199254740993", "9007199254740993.0", "9007199254740995",
    "90071992547409930e-1", "900719925474099300000e-5", "9007199254740993.00000000000000000000000000000000000001",
    "9007199254740992.99999999999999999999999999999999999999", "4503599627370496.5", "4503599627370497.5",
    "18446744073709551615", "18446744073709551616", "9999999999999999999", "10000000000000000000", "1e22", "1e23",
    "123456789012345678901234567890", "0.000000000000000000000000000000000000001234567890123456789012345678901234567890",
    "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692"
    "88791094655554785194040263065748867150582068190890200070838367627385484581771153176447573027006985557136695962284"
    "2914819860834936475292719074168444365510704342711559699508093042880",
    "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692"
    "88791094655554785194040263065748867150582068190890200070838367627385484581771153176447573027006985557136695962284"
    "2914819860834936475292719074168444365510704342711559699508093042879.999",
    "6.929001713869936e236", "1.00000000000000011102230246251565404236316680908203125",
    "1.00000000000000011102230246251565404236316680908203124", "1.00000000000000011102230246251565404236316680908203126",
    "8.4e-323", "1e-323", "2.9802322387695312e-8", "7.2057594037927933e16", "30078505129381147446200", "1777820000000000000001",
};

AF_TEST(f64_parse_hard_texts)
{
    for (size_t i = 0; i < sizeof hard_texts / sizeof hard_texts[0]; i++)
        check_parse(hard_texts[i]);
}

AF_TEST(f64_parse_refuses)
{
    static const char *const texts[] = { "", " ", "-", "+", ".", "-.", "e5", "1e", "1e+", "1e-", "1.e", " 1", "1 ", "1..2",
                                         "1.2.3", "0x10", "inf", "nan", "NaN", "Infinity", "1,5", "--1", "+-1", "1e5.0",
                                         "1_000", "1e400", "-1e400", ".e1", "1f" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        double value = 7;
        if (af_f64_parse(af_slice_of(texts[i]), &value) || value != 7)
            af_test_failed(__FILE__, __LINE__, "\"%s\" reads as %g", texts[i], value);
    }
}

/*
 * Short texts over a mean alphabet, and longer ones with the odd character anywhere, against strtod. Both readers, and the scanner also
 * with more text behind the number, where it takes other ways.
 */
static void check_cell(const char *text, size_t len)
{
    char *end;
    double want = strtod(text, &end);
    bool is_plain = strspn(text, "0123456789.eE+-") == len;
    char *exact = malloc(len); /* the sanitizer sees a byte too many */
    memcpy(exact, text, len);
    double got = -1;
    bool is_number = af_f64_parse(af_slice_make(exact, len), &got);
    if (is_number != (is_plain && end == text + len && isfinite(want)) || (is_number && bits_of(got) != bits_of(want)))
        af_test_failed(__FILE__, __LINE__, "\"%s\" reads as %.17g (%d), want %.17g", text, got, is_number, want);
    free(exact);
    if (!is_plain)
        return;
    char room[80];
    memset(room, ",e. 7x\"="[len % 8], sizeof room);
    memcpy(room, text, len);
    room[len] = ' ';
    for (size_t behind = 0; behind < 50; behind += 7) {
        const char *stop = af_f64_scan(room, room + len + behind, &got);
        bool is_good = end != text && isfinite(want) ? stop == room + (end - text) && bits_of(got) == bits_of(want) : stop == NULL;
        if (!is_good)
            af_test_failed(__FILE__, __LINE__, "\"%s\" and %zu bytes scan as %.17g, want %.17g", text, behind, got, want);
    }
}

AF_TEST(f64_parse_cells)
{
    static const char pool[] = "0195.e-+ ,:/";
    static const char digits[] = "0123456789";
    struct af_prng prng = { 13 };
    for (int round = 0; round < 600000; round++) {
        char text[32] = { 0 };
        size_t len = 1 + af_prng_below(&prng, round % 3 == 0 ? 5 : 28);
        for (size_t i = 0; i < len; i++)
            text[i] = round % 3 == 0 ? pool[af_prng_below(&prng, 12)] : digits[af_prng_below(&prng, 10)];
        if (round % 3 == 1)
            text[af_prng_below(&prng, len)] = '.';
        if (round % 5 == 1)
            memset(text, '0', af_prng_below(&prng, len + 1));
        if (round % 6 == 1)
            text[0] = '-';
        if (round % 9 == 2)
            text[af_prng_below(&prng, len)] = (char)(1 + af_prng_below(&prng, 255));
        if (round % 9 == 5 && len > 5)
            memcpy(text + len - 4, round % 2 == 0 ? "e-07" : "E+12", 4);
        check_cell(text, len);
    }
}

/* Points halfway between doubles that have 17 to 19 digits, and their neighbours by one in the last place. */
AF_TEST(f64_parse_halfway_cells)
{
    struct af_prng prng = { 15 };
    for (int round = 0; round < 200000; round++) {
        int decimals = 1 + round % 3;
        uint64_t odd = (UINT64_C(1) << 53 | af_prng_below(&prng, UINT64_C(1) << (round % 4 == 0 ? 8 : 53))) | 1;
        char text[48];
        int len = snprintf(text, sizeof text, "%s%.*Lf", round % 5 == 0 ? "-" : "", decimals, (long double)odd / (1 << decimals));
        check_cell(text, (size_t)len);
        text[len - 1]++; /* a 5: it carries nowhere */
        check_cell(text, (size_t)len);
        text[len - 1] -= 2;
        check_cell(text, (size_t)len);
    }
}

AF_TEST(f64_parse_exponents_of_cells)
{
    static const char *const forms[] = { "e%d", "E%+d", "e%03d", "e%+05d", "e%06d", "e%+d.", "e%dx" };
    struct af_prng prng = { 16 };
    for (int round = 0; round < 300000; round++) {
        char text[64];
        uint64_t w = af_prng_next(&prng) >> af_prng_below(&prng, 60);
        int len = snprintf(text, sizeof text - 20, "%0*llu", round % 20, (unsigned long long)w);
        int point = (int)af_prng_below(&prng, (uint64_t)len + 1);
        if (round % 8 != 0) {
            memmove(text + point + 1, text + point, (size_t)(len - point));
            text[point] = '.';
            len++;
        }
        int exponent = (int)af_prng_below(&prng, round % 3 == 0 ? 700 : 40) - (round % 3 == 0 ? 360 : 20);
        len += snprintf(text + len, 20, forms[af_prng_below(&prng, 7)], exponent);
        check_cell(text, (size_t)len);
    }
}

/* Values near the top of 64 bits, with the point at every place. */
AF_TEST(f64_parse_long_cells)
{
    struct af_prng prng = { 14 };
    for (int round = 0; round < 100000; round++) {
        char text[40];
        uint64_t w = UINT64_MAX - af_prng_below(&prng, 3000) * (round % 2 == 0 ? 1 : UINT64_C(1000000000000000));
        size_t len = (size_t)snprintf(text, sizeof text, "%0*llu", 16 + round % 9, (unsigned long long)(w >> af_prng_below(&prng, 20)));
        size_t point = af_prng_below(&prng, len + 1);
        memmove(text + point + 1, text + point, len + 1 - point);
        text[point] = '.';
        check_cell(text, len + 1);
    }
}

AF_TEST(f64_scan_stops_where_the_number_does)
{
    static const struct {
        const char *text;
        ptrdiff_t used;
        double value;
    } rows[] = { { "1.5,", 4 - 1, 1.5 }, { "12e,", 2, 12 }, { "12e+", 2, 12 }, { "-3;4", 2, -3 }, { "1e5x", 3, 1e5 }, { "7..", 2, 7 },
                 { "1.2.3", 3, 1.2 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double value;
        const char *end = rows[i].text + strlen(rows[i].text);
        AF_CHECK_INT(af_f64_scan(rows[i].text, end, &value) - rows[i].text, rows[i].used);
        AF_CHECK_F64(value, rows[i].value);
    }
    double value;
    const char *none = "x";
    AF_CHECK(af_f64_scan(none, none + 1, &value) == NULL);
    AF_CHECK(af_f64_scan(none, none, &value) == NULL);
}

/* Every power of two, its neighbours, and the points halfway, written out in full and with a crumb to either side. */
AF_TEST(f64_hard_values_round_trip)
{
    for (uint64_t biased = 0; biased < 2047; biased++) {
        for (int step = -2; step <= 2; step++) {
            uint64_t bits = (biased << 52) + (uint64_t)(int64_t)step;
            check_round_trip(bits);
            if (isfinite(f64_of(bits)) && f64_of(bits) > 0 && biased % 8 == 0)
                check_shortest(f64_of(bits));
        }
    }
    for (uint64_t bits = 1; bits < 3000; bits++) {
        check_round_trip(bits);
        check_shortest(f64_of(bits));
    }
    check_shortest(DBL_MAX);
    check_shortest(DBL_MIN);
    check_shortest(9007199254740993.0 * 3);
}

static void print_halfway(char *dst, size_t cap, uint64_t bits)
{
    long double half = ((long double)f64_of(bits) + (long double)f64_of(bits + 1)) / 2; /* 64-bit significand: exact */
    snprintf(dst, cap, "%.1100Lf", half);
}

AF_TEST(f64_parse_halfway_points)
{
    static char text[2048];
    struct af_prng prng = { 11 };
    for (int round = 0; round < 3000; round++) {
        uint64_t bits = af_prng_next(&prng) >> 1;
        if (round % 3 == 0)
            bits >>= 11 - 1; /* subnormals and small ones */
        if (round % 3 == 1)
            bits = (bits & ((UINT64_C(1) << 52) - 1)) | (1000 + af_prng_below(&prng, 100)) << 52;
        if (!isfinite(f64_of(bits)) || !isfinite(f64_of(bits + 1)))
            continue;
        print_halfway(text, sizeof text - 4, bits);
        check_parse(text);
        size_t len = strlen(text);
        text[len] = '1';
        text[len + 1] = '\0';
        check_parse(text);
        text[len] = '\0';
        while (len > 0 && (text[len - 1] == '0' || text[len - 1] == '.'))
            len--;
        text[len - 1]--; /* ends in 5 */
        check_parse(text);
    }
}

AF_TEST(f64_parse_long_texts)
{
    static char text[5000];
    struct af_prng prng = { 12 };
    for (int round = 0; round < 20000; round++) {
        size_t digits = 1 + af_prng_below(&prng, round % 10 == 0 ? 1200 : 40);
        size_t point = af_prng_below(&prng, digits + 1);
        size_t len = 0;
        for (size_t i = 0; i < digits; i++) {
            if (i == point)
                text[len++] = '.';
            bool zero = round % 7 == 0 && i > 2;
            text[len++] = (char)('0' + (zero ? (i + 1 == digits) : af_prng_below(&prng, 10)));
        }
        snprintf(text + len, 20, "e%d", (int)af_prng_below(&prng, 700) - 350 - (round % 10 == 0 ? (int)point : 0));
        check_parse(text);
    }
    /* Zeros that an exponent takes back. */
    memset(text, '0', sizeof text);
    text[1] = '.';
    snprintf(text + 4000, 20, "125e4002");
    check_parse(text);
    text[0] = '1';
    memset(text + 1, '0', 4000);
    snprintf(text + 4001, 20, "e-4001");
    check_parse(text);
}

AF_TEST(f64_random_bits_round_trip)
{
    struct af_prng prng = { 1 };
    for (int round = 0; round < RANDOM_ROUNDS; round++)
        check_round_trip(af_prng_next(&prng));
}

AF_TEST(f64_random_is_shortest)
{
    struct af_prng prng = { 2 };
    for (int round = 0; round < 60000; round++) {
        double value = f64_of(af_prng_next(&prng) >> 1);
        if (isfinite(value))
            check_shortest(value);
        check_shortest((double)(1 + af_prng_below(&prng, 1000000000)) / 1000); /* the short way */
        check_shortest((double)(1 + af_prng_next(&prng) % 1000000000000000) / 1000);
        check_shortest((double)(1 + (af_prng_next(&prng) >> af_prng_below(&prng, 60))));
        check_shortest((double)(1 + af_prng_below(&prng, 100000000)) / 1e7);
    }
}

AF_TEST(f64_parse_random_17_digits)
{
    struct af_prng prng = { 3 };
    for (int round = 0; round < 300000; round++) {
        char text[64];
        uint64_t digits = af_prng_next(&prng) >> af_prng_below(&prng, 50);
        int exponent = (int)af_prng_below(&prng, 680) - 350;
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)digits, round % 2 == 0 ? exponent : exponent / 12);
        check_parse(text);
    }
}

AF_TEST(f64_layout)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        { 0.0, "0" }, { -0.0, "-0" }, { 1, "1" }, { -1.5, "-1.5" }, { 1500.5, "1500.5" }, { 38271.462, "38271.462" }, { 0.1, "0.1" },
        { 0.25, "0.25" }, { 0.001, "0.001" }, { 0.0001, "0.0001" }, { 0.00001, "1e-05" }, { 0.00012345, "0.00012345" },
        { -0.00012345678901234567, "-0.00012345678901234567" }, { 1.5e-7, "1.5e-07" }, { 1e20, "100000000000000000000" }, { 1e21, "1e+21" },
        { 1.25e21, "1.25e+21" }, { 123456789012345678.0, "123456789012345680" }, { 1e15, "1000000000000000" },
        { 9007199254740991, "9007199254740991" }, { 1e100, "1e+100" }, { 5e-324, "5e-324" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" }, { -2.2250738585072014e-308, "-2.2250738585072014e-308" },
        { 999999999999.999, "999999999999.999" }, { 1234567890123.25, "1234567890123.25" }, { 0.3, "0.3" }, { 100, "100" },
        { 120.05, "120.05" }, { 0.1 + 0.2, "0.30000000000000004" }, { 1e23, "1e+23" }, { 2e-3, "0.002" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[AF_F64_TEXT_MAX];
        AF_CHECK_SLICE(print(text, rows[i].value), rows[i].text);
    }
}

/* The printer writes only inside its AF_F64_TEXT_MAX bytes. */
AF_TEST(f64_print_keeps_its_room)
{
    struct af_prng prng = { 4 };
    char room[AF_F64_TEXT_MAX + 16];
    for (int round = 0; round < 200000; round++) {
        double value = f64_of(af_prng_next(&prng) | UINT64_C(1) << 63);
        if (round % 2 == 0)
            value = -ldexp((double)(af_prng_next(&prng) >> 11), (int)af_prng_below(&prng, 140) - 120);
        if (!isfinite(value))
            continue;
        memset(room + AF_F64_TEXT_MAX, '#', 16);
        af_f64_print(room, value);
        AF_CHECK(memcmp(room + AF_F64_TEXT_MAX, "################", 16) == 0);
    }
}

/* --- the table ----------------------------------------------------------------------------------------------------------- */

/* Its entries, folded; the value was computed with Python's integers. */
AF_TEST(pow10_table_is_exact)
{
    const struct af_pow10 *table = af_pow10_table();
    uint64_t fold = 0;
    for (int k = AF_POW10_MIN; k <= AF_POW10_MAX; k++) {
        fold = (fold ^ table[k].hi) * UINT64_C(0x100000001b3);
        fold = (fold ^ table[k].lo) * UINT64_C(0x100000001b3);
        AF_CHECK(table[k].hi >> 63 == 1);
    }
    AF_CHECK(fold == UINT64_C(0xae75b4456fb1d03c));
}

/* Several threads ask for the table that nobody has made yet; under TSan this checks the guard. */
static void *ask_for_table(void *ctx)
{
    const struct af_pow10 *table = af_pow10_table();
    bool is_good = table[0].hi == UINT64_C(1) << 63 && table[AF_POW10_MAX].hi >> 63 == 1 && table[AF_POW10_MIN].hi >> 63 == 1;
    return is_good ? ctx : NULL;
}

AF_TEST(pow10_table_is_made_once)
{
    pthread_t threads[4];
    int tokens[4];
    for (int i = 0; i < 4; i++)
        AF_CHECK_INT(pthread_create(&threads[i], NULL, ask_for_table, &tokens[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *answer = NULL;
        AF_CHECK_INT(pthread_join(threads[i], &answer), 0);
        AF_CHECK(answer == &tokens[i]);
    }
}

AF_TEST(digits8_for_every_value)
{
    for (uint32_t x = 0; x < 100000000; x += x < 20000 ? 1 : 97) {
        uint64_t word = af_digits8(x) | AF_ASCII_ZEROS;
        char text[16];
        snprintf(text, sizeof text, "%08u", x);
        if (memcmp(text, &word, 8) != 0 || !af_is_digits8(word) || af_parse_digits8(word) != x)
            af_test_failed(__FILE__, __LINE__, "%u", x);
    }
}

AF_TEST(is_digits8_sees_each_other_byte)
{
    for (unsigned at = 0; at < 8; at++) {
        for (unsigned c = 0; c < 256; c++) {
            unsigned char text[8] = { '0', '9', '5', '0', '9', '1', '2', '3' };
            text[at] = (unsigned char)c;
            AF_CHECK_INT(af_is_digits8(af_load8(text)), c >= '0' && c <= '9');
        }
    }
}

/* --- integers and decimals ----------------------------------------------------------------------------------------------- */

static void check_u64(uint64_t value)
{
    char got[AF_I64_TEXT_MAX];
    char want[32];
    snprintf(want, sizeof want, "%llu", (unsigned long long)value);
    AF_CHECK_SLICE(af_slice_make(got, (size_t)(af_u64_print(got, value) - got)), want);
    uint64_t back;
    AF_CHECK(af_u64_parse(af_slice_of(want), &back) && back == value);
    int64_t is = (int64_t)value;
    snprintf(want, sizeof want, "%lld", (long long)is);
    AF_CHECK_SLICE(af_slice_make(got, (size_t)(af_i64_print(got, is) - got)), want);
    int64_t signed_back;
    AF_CHECK(af_i64_parse(af_slice_of(want), &signed_back) && signed_back == is);
}

AF_TEST(integers_round_trip)
{
    struct af_prng prng = { 5 };
    for (int n = 0; n < 20; n++)
        for (int64_t step = -2; step <= 2; step++)
            check_u64(af_u64_pow10[n] + (uint64_t)step);
    for (int bit = 0; bit < 64; bit++)
        for (int64_t step = -1; step <= 1; step++)
            check_u64((UINT64_C(1) << bit) + (uint64_t)step);
    for (int round = 0; round < 300000; round++)
        check_u64(af_prng_next(&prng) >> af_prng_below(&prng, 64));
}

AF_TEST(integers_refuse)
{
    static const char *const texts[] = { "", "-", "+1", "1.0", "1e3", " 1", "1 ", "9223372036854775808", "-9223372036854775809",
                                         "18446744073709551616", "99999999999999999999", "123456789012345678901234", "--1",
                                         "0x1", "12345678a", "a2345678", "1234567:", "12345678/2345678" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t value = 7;
        if (af_i64_parse(af_slice_of(texts[i]), &value) || value != 7)
            af_test_failed(__FILE__, __LINE__, "\"%s\" reads as %lld", texts[i], (long long)value);
    }
    uint64_t value = 7;
    AF_CHECK(!af_u64_parse(af_slice_of("-1"), &value) && value == 7);
    AF_CHECK(!af_u64_parse(af_slice_of("18446744073709551616"), &value) && value == 7);
    AF_CHECK(af_u64_parse(af_slice_of("000000000000000000000000000018"), &value) && value == 18);
    int64_t is;
    AF_CHECK(af_i64_parse(af_slice_of("-0"), &is) && is == 0);
}

AF_TEST(padded_integers)
{
    char text[32];
    for (unsigned digits = 1; digits <= 19; digits++) {
        char want[32];
        snprintf(want, sizeof want, "%0*llu", (int)digits, (unsigned long long)(af_u64_pow10[digits] - 7));
        AF_CHECK_SLICE(af_slice_make(text, (size_t)(af_u64_print_padded(text, af_u64_pow10[digits] - 7, digits) - text)), want);
        snprintf(want, sizeof want, "%0*d", (int)digits, 3);
        AF_CHECK_SLICE(af_slice_make(text, (size_t)(af_u64_print_padded(text, 3, digits) - text)), want);
    }
}

AF_TEST(decimals)
{
    const __int128 e19 = (__int128)af_u64_pow10[19];
    const __int128 max38 = e19 * e19 - 1;
    const struct {
        __int128 unscaled;
        unsigned scale;
        const char *text;
    } rows[] = {
        { 12345, 2, "123.45" }, { -12345, 2, "-123.45" }, { 5, 2, "0.05" }, { -5, 3, "-0.005" }, { 0, 2, "0.00" }, { 0, 0, "0" },
        { 12, 2, "0.12" },
        { 100, 0, "100" }, { max38, 0, "99999999999999999999999999999999999999" },
        { -max38, 38, "-0.99999999999999999999999999999999999999" }, { max38, 19, "9999999999999999999.9999999999999999999" },
        { (__int128)1 << 126, 10, "8507059173023461586584365185.7942052864" },
        { (__int128)((unsigned __int128)1 << 127), 0, "-170141183460469231731687303715884105728" },
        { (__int128)((unsigned __int128)1 << 127), 38, "-1.70141183460469231731687303715884105728" },
        { 7, 255, "7e-255" },
        { (__int128)((unsigned __int128)1 << 127), 255, "-170141183460469231731687303715884105728e-255" },
        { e19 * 10, 1, "10000000000000000000.0" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[48 + 8] = { 0 };
        AF_CHECK_SLICE(af_slice_make(text, (size_t)(af_decimal_print(text, rows[i].unscaled, rows[i].scale) - text)), rows[i].text);
        AF_CHECK(memcmp(text + 48, "\0\0\0\0\0\0\0\0", 8) == 0);
        AF_CHECK_F64(af_decimal_to_f64(rows[i].unscaled, rows[i].scale), strtod(rows[i].text, NULL));
    }
    struct af_prng prng = { 6 };
    for (int round = 0; round < 100000; round++) {
        unsigned __int128 bits = (unsigned __int128)af_prng_next(&prng) << 64 | af_prng_next(&prng);
        __int128 unscaled = (__int128)bits >> af_prng_below(&prng, 128);
        unsigned scale = (unsigned)af_prng_below(&prng, 39);
        char text[49];
        *af_decimal_print(text, unscaled, scale) = '\0';
        double want = strtod(text, NULL);
        if (want == 0)
            want = 0;
        AF_CHECK_F64(af_decimal_to_f64(unscaled, scale), want);
    }
}

AF_TEST(bytes_in_hexadecimal)
{
    char text[16] = "";
    AF_CHECK(af_hex_print(text, "\x00\x7f\x80\xff\x1a", 5) == text + 10);
    AF_CHECK_STR(text, "007f80ff1a");
    AF_CHECK(af_hex_print(text, NULL, 0) == text);
}
