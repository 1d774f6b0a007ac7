/* calendar_test.c - civil time by counting days one by one, text forms, zones against the C library's zone data. */
#include "base/calendar.h"
#include "base/prng.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct af_zone sao_paulo = { .kind = AF_ZONE_SAO_PAULO };

static int64_t ns_of(const char *text)
{
    int64_t ns;
    bool has_zone;
    if (!af_time_parse(af_slice_of(text), &ns, &has_zone))
        af_test_failed(__FILE__, __LINE__, "%s does not parse", text);
    return ns;
}

static struct af_slice show(char dst[40], int64_t ns)
{
    return af_slice_make(dst, (size_t)(af_rfc3339_print(dst, ns, 9) - dst));
}

/* Count days from 1600-01-01 by the rules for leap years. */
AF_TEST(every_day_of_seven_centuries)
{
    static const unsigned lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int32_t days = -135140;
    for (int32_t year = 1600; year < 2300; year++) {
        bool leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
        for (unsigned month = 1; month <= 12; month++) {
            for (unsigned day = 1; day <= lengths[month - 1] + (leap && month == 2); day++, days++) {
                char got[40], want[40];
                AF_CHECK_INT(af_days_from_civil(year, month, day), days);
                *af_date_print(got, days) = '\0';
                snprintf(want, sizeof want, "%04d-%02u-%02u", year, month, day);
                AF_CHECK_STR(got, want);
            }
        }
    }
    AF_CHECK_INT(af_days_from_civil(1970, 1, 1), 0);
}

AF_TEST(dates_far_away)
{
    static const struct {
        int32_t days;
        const char *text;
    } rows[] = { { -719528, "0000-01-01" }, { -719529, "-0001-12-31" }, { 2932896, "9999-12-31" }, { 2932897, "+10000-01-01" },
                 { INT32_MAX, "+5881580-07-11" }, { INT32_MIN, "-5877641-06-23" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[40];
        AF_CHECK_SLICE(af_slice_make(text, (size_t)(af_date_print(text, rows[i].days) - text)), rows[i].text);
    }
}

AF_TEST(civil_and_ns_are_inverse)
{
    struct af_prng prng = { 1 };
    for (int round = 0; round < 300000; round++) {
        int64_t ns = (int64_t)(af_prng_next(&prng));
        if (round < 10)
            ns = round < 5 ? INT64_MIN + round : INT64_MAX - (round - 5);
        struct af_civil civil;
        int64_t back;
        af_civil_from_ns(ns, &civil);
        AF_CHECK(af_civil_to_ns(&civil, &back));
        AF_CHECK_INT(back, ns);
    }
    struct af_civil civil = { .year = 2262, .month = 4, .day = 11, .hour = 23, .minute = 47, .second = 16, .nanosecond = 854775807 };
    int64_t ns;
    AF_CHECK(af_civil_to_ns(&civil, &ns) && ns == INT64_MAX);
    civil.nanosecond++;
    AF_CHECK(!af_civil_to_ns(&civil, &ns));
    civil = (struct af_civil){ .year = 2023, .month = 2, .day = 29 };
    AF_CHECK(!af_civil_to_ns(&civil, &ns));
    civil = (struct af_civil){ .year = INT32_MAX, .month = 12, .day = 31 };
    AF_CHECK(!af_civil_to_ns(&civil, &ns));
}

AF_TEST(rfc3339)
{
    char text[40];
    AF_CHECK_SLICE(show(text, 0), "1970-01-01T00:00:00.000000000Z");
    AF_CHECK_SLICE(show(text, -1), "1969-12-31T23:59:59.999999999Z");
    AF_CHECK_SLICE(show(text, INT64_MIN), "1677-09-21T00:12:43.145224192Z");
    AF_CHECK_SLICE(show(text, INT64_MAX), "2262-04-11T23:47:16.854775807Z");
    static const char *const cut[] = { "Z", ".1Z", ".12Z", ".123Z", ".1234Z", ".12345Z",
                                       ".123456Z", ".1234567Z", ".12345678Z", ".123456789Z" };
    for (unsigned digits = 0; digits <= 9; digits++) {
        char want[40];
        snprintf(want, sizeof want, "2001-09-09T01:46:40%s", cut[digits]);
        char *end = af_rfc3339_print(text, 1000000000123456789, digits);
        AF_CHECK_SLICE(af_slice_make(text, (size_t)(end - text)), want);
    }
}

AF_TEST(time_parse_shapes)
{
    static const struct {
        const char *text;
        const char *want;
        bool has_zone;
    } rows[] = {
        { "2024-01-02", "2024-01-02T00:00:00.000000000Z", false },
        { "02/01/2024", "2024-01-02T00:00:00.000000000Z", false },
        { "02/01/2024 13:05", "2024-01-02T13:05:00.000000000Z", false },
        { "2024-01-02 03:04", "2024-01-02T03:04:00.000000000Z", false },
        { "2024-01-02T03:04:05", "2024-01-02T03:04:05.000000000Z", false },
        { "2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000000000Z", true },
        { "2024-01-02T03:04Z", "2024-01-02T03:04:00.000000000Z", true },
        { "2024-01-02T03:04:05.5", "2024-01-02T03:04:05.500000000Z", false },
        { "2024-01-02 03:04:05.123456789123-03:00", "2024-01-02T06:04:05.123456789Z", true },
        { "2024-01-02 03:04:05+0530", "2024-01-01T21:34:05.000000000Z", true },
        { "2024-01-02 03:04:05-03", "2024-01-02T06:04:05.000000000Z", true },
        { "2024-12-31 24:00", "2025-01-01T00:00:00.000000000Z", false },
        { "31/12/2024 24:00:00.000-03:00", "2025-01-01T03:00:00.000000000Z", true },
        { "1677-09-21T00:12:43.145224192Z", "1677-09-21T00:12:43.145224192Z", true },
        { "2262-04-11 23:47:16.854775807999", "2262-04-11T23:47:16.854775807Z", false },
        { "1677-09-20T23:12:43.145224192-01:00", "1677-09-21T00:12:43.145224192Z", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ns;
        bool has_zone;
        char text[40];
        if (!af_time_parse(af_slice_of(rows[i].text), &ns, &has_zone))
            af_test_failed(__FILE__, __LINE__, "%s does not parse", rows[i].text);
        AF_CHECK_SLICE(show(text, ns), rows[i].want);
        AF_CHECK_INT(has_zone, rows[i].has_zone);
    }
}

AF_TEST(time_parse_refuses)
{
    static const char *const texts[] = {
        "", "2024", "2024-01", "2024-1-02", "2024-01-2", "2024-13-01", "2024-00-01", "2024-01-00", "2024-02-30", "2023-02-29",
        "1900-02-29", "2024-01-02 ", " 2024-01-02", "2024-01-02T", "2024-01-02T3:04", "2024-01-02T03", "2024-01-02T03:04:",
        "2024-01-02T03:04:5", "2024-01-02T03:04:05.", "2024-01-02T03:60", "2024-01-02T03:04:60", "2024-01-02T24:01", "2024-01-02T25:00",
        "2024-01-02T24:00:00.000000001", "2024-01-02T03:04X", "2024-01-02T03:04+3", "2024-01-02T03:04+03:", "2024-01-02T03:04+03:0",
        "2024-01-02T03:04+24:00", "2024-01-02T03:04+03:60", "2024-01-02T03:04ZZ", "2024-01-02-03:00", "2024-01-02Z", "2024/01/02",
        "02-01-2024", "31/02/2024", "2/1/2024", "2024-01-02  03:04", "2024-01-02 03:04 -03:00", "1677-09-21T00:12:43.145224191Z",
        "2262-04-11T23:47:16.854775808Z", "0000-00-00 00:00:00", "9999-12-31", "2024-01-02T03:04:05,5", "2024-01-0a", "nan",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t ns = 7;
        bool has_zone = false;
        if (af_time_parse(af_slice_of(texts[i]), &ns, &has_zone) || ns != 7)
            af_test_failed(__FILE__, __LINE__, "\"%s\" parses as %lld", texts[i], (long long)ns);
    }
}

AF_TEST(printed_times_parse_back)
{
    struct af_prng prng = { 2 };
    for (int round = 0; round < 200000; round++) {
        int64_t ns = (int64_t)af_prng_next(&prng), back;
        bool has_zone;
        char text[40];
        AF_CHECK(af_time_parse(show(text, ns), &back, &has_zone) && has_zone);
        AF_CHECK_INT(back, ns);
    }
}

/* --- zones --------------------------------------------------------------------------------------------------------------- */

AF_TEST(zone_names)
{
    static const struct {
        const char *name;
        int32_t offset_s;
    } rows[] = { { "UTC", 0 }, { "Z", 0 }, { "+00:00", 0 }, { "-03:00", -10800 }, { "+05:30", 19800 }, { "-0300", -10800 } };
    struct af_zone zone;
    struct af_error err;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AF_CHECK_OK(af_zone_parse(af_slice_of(rows[i].name), &zone, &err), err);
        AF_CHECK_INT(zone.kind, AF_ZONE_FIXED);
        AF_CHECK_INT(zone.offset_s, rows[i].offset_s);
    }
    AF_CHECK_OK(af_zone_parse(af_slice_of("America/Sao_Paulo"), &zone, &err), err);
    AF_CHECK_INT(zone.kind, AF_ZONE_SAO_PAULO);
    static const char *const bad[] = { "", "utc+3", "America/Bahia", "03:00", "+3", "-03:00 ", "America/Sao_Paulo " };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        AF_CHECK_FAILS(af_zone_parse(af_slice_of(bad[i]), &zone, &err), AF_EUNSUPPORTED);
    AF_CHECK(strstr(err.message, "America/Sao_Paulo") != NULL);
}

AF_TEST(sao_paulo_gap_and_overlap)
{
    static const struct {
        const char *wall;
        const char *utc;
        enum af_local kind;
    } rows[] = {
        { "2018-11-03 23:59:59", "2018-11-04T02:59:59.000000000Z", AF_LOCAL_UNIQUE },
        { "2018-11-04 00:00", "2018-11-04T03:00:00.000000000Z", AF_LOCAL_GAP }, /* what the clock showed as 01:00 */
        { "2018-11-04 00:59:59.999999999", "2018-11-04T03:59:59.999999999Z", AF_LOCAL_GAP },
        { "2018-11-04 01:00", "2018-11-04T03:00:00.000000000Z", AF_LOCAL_UNIQUE },
        { "2019-02-16 22:59:59.999999999", "2019-02-17T00:59:59.999999999Z", AF_LOCAL_UNIQUE },
        { "2019-02-16 23:00", "2019-02-17T01:00:00.000000000Z", AF_LOCAL_OVERLAP },
        { "2019-02-16 23:59:59", "2019-02-17T01:59:59.000000000Z", AF_LOCAL_OVERLAP },
        { "2019-02-17 00:00", "2019-02-17T03:00:00.000000000Z", AF_LOCAL_UNIQUE },
        { "2024-01-15 12:00", "2024-01-15T15:00:00.000000000Z", AF_LOCAL_UNIQUE },
        { "1975-01-15 12:00", "1975-01-15T15:00:00.000000000Z", AF_LOCAL_UNIQUE },
        { "1913-12-31 23:59:59", "1914-01-01T03:06:27.000000000Z", AF_LOCAL_UNIQUE },
        { "1914-01-01 00:00:01", "1914-01-01T03:06:29.000000000Z", AF_LOCAL_GAP },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t utc_ns;
        char text[40];
        AF_CHECK_INT(af_zone_to_utc(&sao_paulo, ns_of(rows[i].wall), &utc_ns), rows[i].kind);
        AF_CHECK_SLICE(show(text, utc_ns), rows[i].utc);
    }
}

AF_TEST(zone_range_ends)
{
    int64_t utc_ns = 7;
    AF_CHECK_INT(af_zone_to_utc(&sao_paulo, INT64_MAX, &utc_ns), AF_LOCAL_RANGE);
    AF_CHECK_INT(utc_ns, 7);
    struct af_zone east = { .kind = AF_ZONE_FIXED, .offset_s = 3600 };
    AF_CHECK_INT(af_zone_to_utc(&east, INT64_MIN, &utc_ns), AF_LOCAL_RANGE);
    AF_CHECK_INT(utc_ns, 7);
    AF_CHECK_INT(af_zone_to_utc(&sao_paulo, INT64_MAX - 3 * 3600 * AF_NS_PER_S, &utc_ns), AF_LOCAL_UNIQUE);
    AF_CHECK_INT(utc_ns, INT64_MAX);
    AF_CHECK_INT(af_zone_to_wall(&sao_paulo, INT64_MIN), INT64_MIN);
    AF_CHECK_INT(af_zone_to_wall(&east, INT64_MAX), INT64_MAX);
    AF_CHECK_INT(af_zone_to_wall(&east, 0), 3600 * AF_NS_PER_S);
}

/* The C library's offset at an instant; false where the machine has no zone data. */
static bool libc_offset(time_t utc_s, long *out_s)
{
    struct tm tm;
    return localtime_r(&utc_s, &tm) != NULL && (*out_s = tm.tm_gmtoff, true);
}

AF_TEST(sao_paulo_agrees_with_the_zone_data)
{
    FILE *data = fopen("/usr/share/zoneinfo/America/Sao_Paulo", "rb");
    if (data == NULL)
        return;
    fclose(data);
    setenv("TZ", "America/Sao_Paulo", 1);
    tzset();
    struct af_prng prng = { 3 };
    const int64_t start_s = ns_of("1967-01-01") / AF_NS_PER_S; /* releases of the data differ in what was before */
    const int64_t stop_s = ns_of("2100-01-01") / AF_NS_PER_S;
    for (int64_t utc_s = start_s; utc_s < stop_s; utc_s += 1200 + (int64_t)af_prng_below(&prng, 1800)) {
        long offset_s = 0;
        AF_CHECK(libc_offset(utc_s, &offset_s));
        AF_CHECK_INT(af_zone_to_wall(&sao_paulo, utc_s * AF_NS_PER_S), (utc_s + offset_s) * AF_NS_PER_S);
    }
}

/* What to_utc says must follow from to_wall alone: list the instants whose wall time it is. */
AF_TEST(to_utc_is_the_inverse_of_to_wall)
{
    const int64_t stop_ns = ns_of("2021-01-01");
    for (int64_t wall_ns = ns_of("1913-12-25"); wall_ns < stop_ns; wall_ns += 599 * AF_NS_PER_S) {
        static const int32_t offsets_s[] = { -7200, -10800, -11188 };
        int64_t first_ns = 0;
        int found = 0;
        for (int i = 0; i < 3; i++) {
            int64_t utc_ns = wall_ns - offsets_s[i] * AF_NS_PER_S;
            if (af_zone_to_wall(&sao_paulo, utc_ns) != wall_ns)
                continue;
            first_ns = found++ == 0 || utc_ns < first_ns ? utc_ns : first_ns;
        }
        int64_t utc_ns;
        enum af_local kind = af_zone_to_utc(&sao_paulo, wall_ns, &utc_ns);
        AF_CHECK_INT(kind, found == 0 ? AF_LOCAL_GAP : found == 1 ? AF_LOCAL_UNIQUE : AF_LOCAL_OVERLAP);
        if (found > 0)
            AF_CHECK_INT(utc_ns, first_ns);
        else
            AF_CHECK(af_zone_to_wall(&sao_paulo, utc_ns) > wall_ns);
    }
}

struct odd_rows {
    size_t count;
    size_t sum;
};

static void note_odd(void *ctx, size_t row, enum af_local what)
{
    struct odd_rows *odd = ctx;
    odd->count++;
    odd->sum += row * (size_t)what;
}

AF_TEST(columns_agree_with_single_values)
{
    enum { ROWS = 100000 };
    static int64_t wall[ROWS], utc[ROWS], again[ROWS];
    struct af_prng prng = { 4 };
    for (int round = 0; round < 3; round++) {
        int64_t ns = ns_of("2017-06-01");
        for (size_t i = 0; i < ROWS; i++) {
            wall[i] = ns;
            ns += round == 0 ? 600 * AF_NS_PER_S : (int64_t)af_prng_below(&prng, 1800) * AF_NS_PER_S;
            if (round == 2)
                ns = (int64_t)af_prng_next(&prng);
        }
        wall[ROWS / 2] = INT64_MAX;
        wall[ROWS / 2 + 1] = INT64_MIN;
        struct odd_rows got = { 0 }, want = { 0 };
        af_zone_to_utc_column(&sao_paulo, wall, ROWS - 3, utc, note_odd, &got);
        for (size_t i = 0; i < ROWS - 3; i++) {
            int64_t one = wall[i];
            enum af_local what = af_zone_to_utc(&sao_paulo, wall[i], &one);
            if (what != AF_LOCAL_UNIQUE)
                note_odd(&want, i, what);
            AF_CHECK_INT(utc[i], one);
        }
        AF_CHECK_INT(got.count, want.count);
        AF_CHECK_INT(got.sum, want.sum);
        AF_CHECK(got.count > 0);
        memcpy(again, wall, sizeof again);
        af_zone_to_utc_column(&sao_paulo, again, ROWS - 3, again, NULL, NULL);
        AF_CHECK(memcmp(again, utc, (ROWS - 3) * sizeof utc[0]) == 0);
    }
}
