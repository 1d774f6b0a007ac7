/* condition_test.c - times out of conditions, constants, literals of time, predicates of tags. */
#include "base/alloc.h"
#include "base/limits.h"
#include "lang/influxql/parse_int.h"
#include "os/zone.h"
#include "test/lib/test.h"

#define NOW INT64_C(946684800000000000) /* 2000-01-01 */
#define H INT64_C(3600000000000)

static struct af_arena arena;
static struct af_buf out;
static struct af_error err;

static void setup(void)
{
    af_arena_init(&arena, 16 << 20);
    af_buf_init(&out, 1 << 20);
}

static void teardown(void)
{
    af_buf_done(&out);
    af_arena_done(&arena);
}

static struct af_ql_expr *expr_of(const char *text)
{
    struct af_ql_expr *expr = NULL;
    AF_CHECK_OK(af_ql_parse_expr(af_slice_of(text), &arena, &expr, &err), err);
    return expr;
}

static const char *print(const struct af_ql_expr *expr)
{
    af_buf_clear(&out);
    if (expr != NULL)
        af_ql_print_expr(&out, expr);
    return af_buf_cstr(&out);
}

static struct af_zone zone_of(const char *name)
{
    struct af_zone zone;
    AF_CHECK_OK(af_zone_find(af_slice_of(name), &zone, &err), err);
    return zone;
}

/* --- ranges ---------------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *zone;
    int64_t start_ns, stop_ns;
    const char *rest;
} splits[] = {
    { "host = 'a'", "UTC", INT64_MIN, INT64_MAX, "host = 'a'" },
    { "time >= '2000-01-01' AND time < now() + 1h", "UTC", NOW, NOW + H, "" },
    { "time > now() - 1h AND (host = 'a' AND '2000-01-01T01:00:00Z' >= TIME)", "UTC", NOW - H + 1, NOW + H + 1, "host = 'a'" },
    { "host = 'a' OR host = 'b' AND time >= now()", "UTC", NOW, INT64_MAX, "host = 'a' OR host = 'b'" },
    { "time > 10 OR time > 5 OR time = 20", "UTC", 20, 21, "" },
    { "time = 1s", "UTC", 1000000000, 1000000001, "" },
    { "time <= 1.9", "UTC", INT64_MIN, 2, "" },
    { "time < 1000000000000000000000000.0", "UTC", INT64_MIN, INT64_MAX, "" }, /* wraps, as in InfluxDB */
    { "true AND (false OR a = 'x') AND 1 = 1", "UTC", INT64_MIN, INT64_MAX, "a = 'x'" },
    { "a = 'x' AND 2 > 3", "UTC", INT64_MIN, INT64_MAX, "false" },
    { "a > 0 OR true", "UTC", INT64_MIN, INT64_MAX, "" },
    { "a = 1 + 2 AND (((b = 2)))", "UTC", INT64_MIN, INT64_MAX, "a = 3 AND (b = 2)" },
    { "time >= '2000-01-01 02:00:00'", "Europe/Berlin", NOW + H, INT64_MAX, "" },
    { "time >= '1999-12-31 22:00:00'", "America/Sao_Paulo", NOW, INT64_MAX, "" },
    /* Where summer time begins and ends, Go's choice: */
    { "time >= '2021-03-28 02:30:00' AND time <= '2021-10-31 02:30:00'", "Europe/Berlin", INT64_C(1616895000000000000),
      INT64_C(1635643800000000001), "" },
    { "time >= '2021-03-14 02:30:00' AND time <= '2021-11-07 01:30:00'", "America/New_York", INT64_C(1615703400000000000),
      INT64_C(1636263000000000001), "" },
    { "time >= '2000-01-01T02:00:00+02:00'", "America/New_York", NOW, INT64_MAX, "" },
    { "time > '2262-04-11 23:47:16.854775805'", "UTC", INT64_MAX - 1, INT64_MAX, "" },
    { "time >= '2300-01-01' - 18262d", "UTC", INT64_C(8835955200000000000), INT64_MAX, "" },
    { "time >= \"now()\"", "UTC", NOW, INT64_MAX, "" },
};

AF_TEST(conditions_come_apart)
{
    setup();
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        struct af_ql_range range;
        struct af_ql_expr *rest;
        struct af_zone zone = zone_of(splits[i].zone);
        AF_CHECK_OK(af_ql_split_time(expr_of(splits[i].text), NOW, &zone, &arena, &range, &rest, &err), err);
        AF_CHECK_STR(print(rest), splits[i].rest);
        AF_CHECK_INT(range.start_ns, splits[i].start_ns);
        AF_CHECK_INT(range.stop_ns, splits[i].stop_ns);
    }
    struct af_ql_range range;
    struct af_ql_expr *rest = NULL;
    AF_CHECK_OK(af_ql_split_time(NULL, NOW, NULL, &arena, &range, &rest, &err), err);
    AF_CHECK(rest == NULL && range.start_ns == INT64_MIN && range.stop_ns == INT64_MAX);
    teardown();
}

AF_TEST(what_cannot_be_a_condition_is_named)
{
    static const struct {
        const char *text, *zone, *words;
    } cases[] = {
        { "value", "UTC", "invalid condition expression: value" },
        { "a = 1 AND f(x)", "UTC", "invalid condition expression: f(x)" },
        { "time != '2000-01-01'", "UTC", "invalid time comparison operator: !=" },
        { "time + 1", "UTC", "invalid time comparison operator: +" },
        { "time = 'today'", "UTC", "invalid operation: time and *influxql.StringLiteral are not compatible" },
        { "time =~ /x/", "UTC", "invalid operation: time and *influxql.RegexLiteral are not compatible" },
        { "time > host", "UTC", "invalid operation: time and *influxql.VarRef are not compatible" },
        { "time > (host + 1)", "UTC", "invalid operation: time and *influxql.BinaryExpr are not compatible" },
        { "time > true", "UTC", "invalid operation: time and *influxql.BooleanLiteral are not compatible" },
        { "time > f(1)", "UTC", "invalid operation: time and *influxql.Call are not compatible" },
        { "time > 9223372036854775808", "UTC", "invalid operation: time and *influxql.UnsignedLiteral are not compatible" },
        { "time > '2000-02-30'", "UTC", "invalid timestamp string" },
        { "time > '2000-01-01T00:00:00'", "UTC", "invalid timestamp string" },
        { "time > '2262-04-11 23:47:17'", "UTC", "time 2262-04-11T23:47:17Z overflows time literal" },
        { "time > '1677-09-20 19:12:43'", "UTC", "time 1677-09-20T19:12:43Z underflows time literal" },
        { "time > '2300-07-01'", "Europe/Berlin", "time 2300-07-01T00:00:00+02:00 overflows time literal" },
        { "time > '2262-01-01' + 52w", "UTC", "time 2262-12-31T00:00:00Z overflows time literal" },
    };
    setup();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct af_ql_range range;
        struct af_ql_expr *rest;
        struct af_zone zone = zone_of(cases[i].zone);
        AF_CHECK_FAILS(af_ql_split_time(expr_of(cases[i].text), NOW, &zone, &arena, &range, &rest, &err), AF_EINVAL);
        AF_CHECK_STR(err.message, cases[i].words);
    }
    teardown();
}

/* --- constants ------------------------------------------------------------------------------------------------------------------- */

AF_TEST(constants_are_computed)
{
    static const struct {
        const char *text, *folded;
    } cases[] = {
        { "1 + 2 * 3", "7" }, { "1 / 2", "0.500" }, { "7 % 0", "0" }, { "-9223372036854775808 % -1", "0" }, { "2.5 % 0", "NaN" },
        { "1 / 0", "0.000" }, { "8 & 0.5", "8.000 & 0.500" }, { "3 ^ 1", "2" }, { "9223372036854775807 + 1", "-9223372036854775808" },
        { "18446744073709551615 + 1", "0" }, { "-1 < 9223372036854775808", "true" }, { "9223372036854775808 / 2", "4611686018427387904" },
        { "9223372036854775808 & 1", "9223372036854775808 & 1" }, { "1h * 2", "2h" }, { "1h / 0", "0s" }, { "1h * 0.5", "0s" },
        { "1h / -1", "-1h" }, { "1h + 30m", "90m" }, { "1h > 30m", "true" }, { "now() - 1h", "'1999-12-31T23:00:00Z'" },
        { "now() - (now() - 5m)", "5m" }, { "10 + 1s", "'1970-01-01T00:00:01.00000001Z'" }, { "'2000-01-01' = now()", "true" },
        { "'2000-01-01' = '2000-01-01T00:00:00Z'", "true" }, { "'a' + 'b'", "'ab'" }, { "'a' < 'b'", "'a' < 'b'" },
        { "true = false", "false" }, { "true ^ true", "false" }, { "true + false", "true + false" }, { "(a = b) OR true", "true" },
        { "f(1 + 1, g(now()))", "f(2, g('2000-01-01T00:00:00Z'))" }, { "x + (1 + 2)", "x + 3" }, { "((x + 1))", "x + 1" }, { "x", "x" },
    };
    const int64_t now = NOW;
    setup();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct af_ql_expr *folded;
        AF_CHECK_OK(af_ql_reduce(expr_of(cases[i].text), &now, NULL, &arena, &folded, &err), err);
        AF_CHECK_STR(print(folded), cases[i].folded);
    }
    struct af_ql_expr *folded;
    AF_CHECK_OK(af_ql_reduce(expr_of("now() - 1h"), NULL, NULL, &arena, &folded, &err), err);
    AF_CHECK_STR(print(folded), "now() - 1h");
    teardown();
}

AF_TEST(times_are_read_as_go_reads_them)
{
    static const struct {
        const char *text;
        int64_t ns; /* -1: not a time */
    } cases[] = {
        { "1970-01-01", 0 }, { "1970-01-01 00:00:01", 1000000000 }, { "1970-01-01   0:00:01", 1000000000 },
        { "1970-01-01 00:00:00.5", 500000000 }, { "1970-01-01 00:00:00.123456789", 123456789 }, { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T01:00:00.000000001+01:00", 1 }, { "1970-01-01T1:00:00-01:00", 2 * H }, { "1970-01-01 00:00:00.1234567891", -1 },
        { "1970-01-01 00:00", -1 }, { "1970-01-01T00:00:00", -1 }, { "1970-01-01T00:00:00z", -1 }, { "1970-01-01 24:00:00", -1 },
        { "1970-01-01 00:60:00", -1 }, { "1970-13-01", -1 }, { "1970-00-01", -1 }, { "1970-01-00", -1 }, { "1971-02-29", -1 },
        { "1970-1-1", -1 }, { "", -1 }, { "1970-01-01 ", -1 }, { "1970-01-01 00:00:00.", -1 }, { "1970-01-01 00:00:00Z", -1 },
        { "1970-01-01\n00:00:00", -1 }, { "1970-01-01T00:00:00+0100", -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        __int128 ns = -1;
        bool is_time = af_ql_time_parse(af_slice_of(cases[i].text), NULL, &ns);
        AF_CHECK_INT(is_time, cases[i].ns >= 0);
        if (is_time)
            AF_CHECK_INT((int64_t)ns, cases[i].ns);
    }
    AF_CHECK(af_ql_is_time_text(AF_SLICE_LIT("1970-01-01 x")) && !af_ql_is_time_text(AF_SLICE_LIT("1970-01-0")));
}

/* --- predicates ------------------------------------------------------------------------------------------------------------------ */

static bool is_value(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "value") == 0;
}

AF_TEST(predicates_match_series)
{
    static const struct {
        const char *text;
        const char *matches; /* of the four series below */
    } cases[] = {
        { "host = 'a'", "1000" }, { "host != 'a'", "0111" }, { "host = ''", "0001" }, { "host != ''", "1110" }, { "'a' = host", "1000" },
        { "host =~ /^[ab]/", "1100" }, { "host !~ /a/", "0111" }, { "host =~ /x?/", "1111" },
        { "host = 'a' OR (host = 'b' AND dc = 'x')", "1100" },
        { "host = dc", "0100" }, { "host != dc", "1010" }, { "host::tag = 'c c'", "0010" }, { "true", "1111" }, { "false", "0000" },
        { "host = 'a' AND true", "1000" },
    };
    static const char *const series[] = { "cpu,host=a", "cpu,dc=x,host=b", "cpu,host=c\\ c", "cpu" };
    setup();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct af_predicate *predicate;
        char got[5] = "0000";
        AF_CHECK_OK(af_ql_predicate(expr_of(cases[i].text), &arena, &predicate, &err), err);
        for (size_t s = 0; s < 4; s++)
            got[s] = af_predicate_match(predicate, af_slice_of(series[s])) ? '1' : '0';
        AF_CHECK_STR(got, cases[i].matches);
    }
    const struct af_predicate *none;
    AF_CHECK_OK(af_ql_predicate(NULL, &arena, &none, &err), err);
    AF_CHECK(none == NULL);
    teardown();
}

AF_TEST(comparisons_with_fields_are_refused_or_hold)
{
    static const char *const of_fields[] = { "value::field = 'x'", "value > 1", "host = 1", "1 = 2 + x", "host::float = 'x'",
                                           "a + b = 'x'" };
    setup();
    const struct af_predicate *predicate;
    for (size_t i = 0; i < sizeof of_fields / sizeof of_fields[0]; i++) {
        AF_CHECK_FAILS(af_ql_predicate(expr_of(of_fields[i]), &arena, &predicate, &err), AF_EINVAL);
        AF_CHECK_STR(err.message, "fields not supported in WHERE clause during deletion");
        AF_CHECK_OK(af_ql_predicate_of_tags(expr_of(of_fields[i]), NULL, NULL, &arena, &predicate, &err), err);
        AF_CHECK(af_predicate_match(predicate, AF_SLICE_LIT("cpu")));
    }
    AF_CHECK_OK(af_ql_predicate_of_tags(expr_of("value = 'x' AND host = 'a'"), is_value, NULL, &arena, &predicate, &err), err);
    AF_CHECK(af_predicate_match(predicate, AF_SLICE_LIT("cpu,host=a")) && !af_predicate_match(predicate, AF_SLICE_LIT("cpu,host=b")));
    AF_CHECK_FAILS(af_ql_predicate(expr_of("host > 'a'"), &arena, &predicate, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_ql_predicate(expr_of("_name = 'cpu'"), &arena, &predicate, &err), AF_EINVAL);
    teardown();
}

AF_TEST(no_memory_is_an_error_not_a_crash)
{
    bool has_failed = true;
    for (size_t nth = 1; has_failed; nth++) {
        struct af_ql_range range;
        struct af_ql_expr *rest, *folded;
        const struct af_predicate *predicate;
        setup();
        struct af_ql_expr *expr = expr_of("(time > now() - 1h AND host = 'a' + 'b') OR f(1 + 2) = 8 & 0.5 "
                                          "OR dc = host AND '2000-01-01' = '2000-01-01'");
        const int64_t now = NOW;
        struct af_arena small;
        af_arena_init(&small, 16 << 20);
        (void)af_alloc_fail_nth(nth);
        enum af_status status = af_ql_reduce(expr, &now, NULL, &small, &folded, &err);
        if (status == AF_OK)
            status = af_ql_split_time(expr, NOW, NULL, &small, &range, &rest, &err);
        if (status == AF_OK)
            status = af_ql_predicate_of_tags(rest, NULL, NULL, &small, &predicate, &err);
        (void)af_alloc_fail_nth(0);
        has_failed = status != AF_OK;
        if (has_failed)
            AF_CHECK_INT(status, AF_ENOMEM);
        af_arena_done(&small);
        teardown();
    }
    for (size_t bytes = 128; bytes < 16384; bytes += 64) {
        struct af_ql_range range;
        struct af_ql_expr *rest;
        setup();
        struct af_ql_expr *expr = expr_of("host = 'a' + 'b' AND (x = 2 + 3 OR y = f(1 + 1)) AND time > now() - 1h");
        struct af_arena small;
        af_arena_init(&small, bytes);
        enum af_status status = af_ql_split_time(expr, NOW, NULL, &small, &range, &rest, &err);
        AF_CHECK(status == AF_OK || status == AF_ELIMIT);
        af_arena_done(&small);
        teardown();
    }
}
