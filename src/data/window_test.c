/* window_test.c - windows against plain arithmetic, known days of zones, and the rule that they cut time without gaps. */
#include "data/window.h"
#include "base/limits.h"
#include "base/prng.h"
#include "test/lib/test.h"

static struct af_error err;
static const int64_t hour = 3600 * AF_NS_PER_S;

static int64_t ns_of(const char *text)
{
    int64_t ns;
    bool has_zone;
    AF_CHECK(af_time_parse(af_slice_of(text), &ns, &has_zone));
    return ns;
}

/* A zone that is nothing but a rule: a TZif file without a change. It lives as long as the test. */
static struct af_zone zone_of_rule(const char *rule)
{
    static struct af_zone_table *made[10];
    for (size_t i = 0; made[i] != NULL; i++)
        if (strcmp(af_zone_table_name(made[i]), rule) == 0)
            return (struct af_zone){ .kind = AF_ZONE_TABLE, .table = made[i] };
    char bytes[300] = { 0 };
    size_t len = 0;
    for (int half = 0; half < 2; half++) {
        memcpy(bytes + len, "TZif2", 5);
        bytes[len + 39] = 1; /* types */
        bytes[len + 43] = 4; /* bytes of names */
        memcpy(bytes + len + 44 + 6, "LMT", 4);
        len += 44 + 6 + 4;
    }
    bytes[len++] = '\n';
    memcpy(bytes + len, rule, strlen(rule));
    len += strlen(rule);
    bytes[len++] = '\n';
    struct af_zone_table *table;
    AF_CHECK_OK(af_zone_table_new(af_slice_make(bytes, len), rule, &table, &err), err);
    size_t count = 0;
    while (made[count] != NULL)
        count++;
    made[count] = table;
    return (struct af_zone){ .kind = AF_ZONE_TABLE, .table = table };
}
static struct af_zone los_angeles(void)
{
    return zone_of_rule("PST8PDT,M3.2.0,M11.1.0");
}

static void check_window(const struct af_window *window, const char *t, const char *start, const char *stop)
{
    int64_t got_start, got_stop;
    af_window_of(window, ns_of(t), &got_start, &got_stop);
    char a[40], b[40];
    *af_rfc3339_print(a, got_start, 0) = '\0';
    *af_rfc3339_print(b, got_stop, 0) = '\0';
    if (got_start != ns_of(start) || got_stop != ns_of(stop))
        af_test_failed(__FILE__, __LINE__, "%s: [%s, %s), want [%s, %s)", t, a, b, start, stop);
}

AF_TEST(regular_windows)
{
    struct af_prng prng = { 11 };
    for (int round = 0; round < 100000; round++) {
        struct af_window window = { .every_ns = 1 + (int64_t)af_prng_below(&prng, UINT64_C(1) << af_prng_below(&prng, 50)),
                                    .offset_ns = (int64_t)af_prng_next(&prng) >> af_prng_below(&prng, 63) };
        int64_t t = (int64_t)af_prng_next(&prng) >> af_prng_below(&prng, 63);
        int64_t start, stop;
        af_window_of(&window, t, &start, &stop);
        __int128 rel = (__int128)t - window.offset_ns;
        __int128 rest = rel % window.every_ns;
        __int128 want = t - (rest < 0 ? rest + window.every_ns : rest);
        AF_CHECK_INT(start, want < INT64_MIN ? INT64_MIN : (int64_t)want);
        AF_CHECK_INT(stop, want + window.every_ns > INT64_MAX ? INT64_MAX : (int64_t)(want + window.every_ns));
    }
    struct af_window none = { 0 };
    int64_t start, stop;
    af_window_of(&none, 5, &start, &stop);
    AF_CHECK(start == INT64_MIN && stop == INT64_MAX && af_window_is_none(&none));
    struct af_window hours = { .every_ns = hour };
    AF_CHECK(af_window_is_regular(&hours));
    hours.zone.offset_s = -1800;
    AF_CHECK(!af_window_is_regular(&hours));
    check_window(&hours, "1969-12-31T23:59Z", "1969-12-31T23:30Z", "1970-01-01T00:30Z");
}

AF_TEST(months)
{
    struct af_window window = { .every_months = 1 };
    check_window(&window, "2024-02-29T12:00Z", "2024-02-01", "2024-03-01");
    check_window(&window, "1969-12-31T23:59Z", "1969-12-01", "1970-01-01");
    window.every_months = 3;
    check_window(&window, "2024-12-31T12:00Z", "2024-10-01", "2025-01-01");
    check_window(&window, "1960-01-01", "1960-01-01", "1960-04-01");
    window.every_months = 12;
    window.offset_ns = 24 * hour;
    check_window(&window, "2024-01-01", "2023-01-02", "2024-01-02");
    window.offset_ns = 0;
    window.zone = (struct af_zone){ .kind = AF_ZONE_SAO_PAULO };
    check_window(&window, "2018-12-31T12:00Z", "2018-01-01T02:00Z", "2019-01-01T02:00Z");
    window.every_months = INT64_MAX;
    int64_t start, stop;
    af_window_of(&window, 12 * hour, &start, &stop);
    AF_CHECK(start < ns_of("1970-01-02") && stop == INT64_MAX);
    af_window_of(&window, ns_of("1969-01-01"), &start, &stop);
    AF_CHECK(start == INT64_MIN && stop == ns_of("1970-01-01T03:00Z"));
}

AF_TEST(days_of_zones_have_23_and_25_hours)
{
    struct af_window day = { .every_ns = 24 * hour, .zone = los_angeles() };
    check_window(&day, "2021-03-14T12:00Z", "2021-03-14T08:00Z", "2021-03-15T07:00Z");
    check_window(&day, "2021-11-07T12:00Z", "2021-11-07T07:00Z", "2021-11-08T08:00Z");
    check_window(&day, "2021-11-07T06:59Z", "2021-11-06T07:00Z", "2021-11-07T07:00Z");
    struct af_window noon = { .every_ns = 24 * hour, .offset_ns = 12 * hour, .zone = day.zone };
    check_window(&noon, "2021-03-14T19:30Z", "2021-03-14T19:00Z", "2021-03-15T19:00Z");
    check_window(&noon, "2021-03-14T18:30Z", "2021-03-13T20:00Z", "2021-03-14T19:00Z");
    day.zone = (struct af_zone){ .kind = AF_ZONE_SAO_PAULO }; /* changes at midnight: the wall skips and repeats it */
    check_window(&day, "2018-11-04T02:59Z", "2018-11-03T03:00Z", "2018-11-04T03:00Z");
    check_window(&day, "2018-11-04T03:00Z", "2018-11-04T03:00Z", "2018-11-05T02:00Z");
    check_window(&day, "2019-02-17T02:59Z", "2019-02-16T02:00Z", "2019-02-17T03:00Z");
}

AF_TEST(short_windows_do_not_follow_the_wall)
{
    struct af_window window = { .every_ns = 2 * hour, .zone = los_angeles() };
    check_window(&window, "2021-03-14T10:30Z", "2021-03-14T10:00Z", "2021-03-14T11:00Z"); /* 02:00 to 04:00 but for what is skipped */
    check_window(&window, "2021-11-07T08:30Z", "2021-11-07T07:00Z", "2021-11-07T10:00Z"); /* 01:00 comes twice: three hours */
    check_window(&window, "2021-11-07T09:30Z", "2021-11-07T07:00Z", "2021-11-07T10:00Z");
    window.every_ns = hour;
    check_window(&window, "2021-11-07T08:30Z", "2021-11-07T08:00Z", "2021-11-07T09:00Z"); /* twice 01:00 to 02:00 */
    check_window(&window, "2021-11-07T09:30Z", "2021-11-07T09:00Z", "2021-11-07T10:00Z");
    window.every_ns = 45 * 60 * AF_NS_PER_S; /* another grid on the other side: cut at the change */
    check_window(&window, "2021-11-07T08:59Z", "2021-11-07T08:30Z", "2021-11-07T09:00Z");
    check_window(&window, "2021-11-07T09:01Z", "2021-11-07T09:00Z", "2021-11-07T09:30Z");
    window.every_ns = 90 * 60 * AF_NS_PER_S;
    window.offset_ns = 45 * 60 * AF_NS_PER_S; /* 02:15 is skipped: a quarter past three begins the window */
    check_window(&window, "2021-03-14T10:05Z", "2021-03-14T08:45Z", "2021-03-14T10:15Z");
    check_window(&window, "2021-03-14T10:20Z", "2021-03-14T10:15Z", "2021-03-14T10:45Z");
}

/* Every time is in its window, the window's ends say the same, and the next begins where it stops. */
AF_TEST(windows_cut_time_without_gaps)
{
    struct af_zone zones[] = { los_angeles(), { .kind = AF_ZONE_SAO_PAULO }, { .kind = AF_ZONE_FIXED, .offset_s = 19800 },
                               zone_of_rule("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"), zone_of_rule("IST-1GMT0,M10.5.0,M3.5.0/1"),
                               zone_of_rule("CET-1CEST,M3.5.0,M10.5.0/3"), zone_of_rule("ABC-3"),
                               zone_of_rule("LMT-0:06:28<+00>0,M1.1.0,J350/-7") };
    struct af_prng prng = { 12 };
    for (int round = 0; round < 60000; round++) {
        struct af_window window = { .zone = zones[af_prng_below(&prng, sizeof zones / sizeof *zones)] };
        if (round % 10 == 0)
            window.every_months = 1 + (int64_t)af_prng_below(&prng, 30);
        else
            window.every_ns = (1 + (int64_t)af_prng_below(&prng, round % 5 == 0 ? 12 : 100)) * (round % 3 == 0 ? hour : 300 * AF_NS_PER_S);
        if (round % 4 == 0)
            window.offset_ns = ((int64_t)af_prng_below(&prng, 200) - 100) * 900 * AF_NS_PER_S;
        int64_t first_s, change_s; /* most of them beside a change */
        int64_t t = ns_of("1910-01-01") + (int64_t)af_prng_below(&prng, UINT64_C(1) << 62);
        (void)af_zone_span(&window.zone, t / AF_NS_PER_S, &first_s, &change_s);
        if (round % 8 != 0 && change_s < INT64_MAX / AF_NS_PER_S - 100 * 86400)
            t = change_s * AF_NS_PER_S + ((int64_t)af_prng_below(&prng, 400) - 200) * 900 * AF_NS_PER_S;
        int64_t start, stop, s, e;
        af_window_of(&window, t, &start, &stop);
        if (start > t || t >= stop)
            af_test_failed(__FILE__, __LINE__, "every %lld, offset %lld: %lld is not in [%lld, %lld)", (long long)window.every_ns,
                           (long long)window.offset_ns, (long long)t, (long long)start, (long long)stop);
        const int64_t inside[] = { start, stop - 1, start + (int64_t)af_prng_below(&prng, (uint64_t)(stop - start)) };
        for (int i = 0; i < 3; i++) {
            af_window_of(&window, inside[i], &s, &e);
            if (s != start || e != stop)
                af_test_failed(__FILE__, __LINE__,
                               "round %d (every %lld, offset %lld, zone %d): %lld is in [%lld, %lld), %lld in [%lld, %lld)", round,
                               (long long)window.every_ns, (long long)window.offset_ns, (int)window.zone.kind, (long long)t,
                               (long long)start, (long long)stop, (long long)inside[i], (long long)s, (long long)e);
        }
        af_window_of(&window, stop, &s, &e);
        AF_CHECK_INT(s, stop);
        af_window_of(&window, start - 1, &s, &e);
        AF_CHECK_INT(e, start);
    }
}

AF_TEST(edges_and_counts)
{
    struct af_arena arena;
    af_arena_init(&arena, 1 << 24);
    struct af_window windows[] = { { .every_ns = hour }, { .every_ns = hour, .offset_ns = -7 }, { .every_months = 2 }, { 0 },
                                   { .every_ns = 24 * hour, .zone = los_angeles() }, { .every_ns = hour, .zone = los_angeles() } };
    struct af_prng prng = { 13 };
    for (int round = 0; round < 600; round++) {
        const struct af_window *window = &windows[round % 6];
        int64_t start_ns = ns_of("1969-01-01") + (int64_t)af_prng_below(&prng, (uint64_t)(50 * 366 * 24 * hour));
        int64_t stop_ns = start_ns + (int64_t)af_prng_below(&prng, (uint64_t)(2000 * hour));
        int64_t *edges;
        size_t count;
        AF_CHECK_OK(af_window_edges(window, start_ns, stop_ns, 3000, &arena, &edges, &count, &err), err);
        AF_CHECK_INT(af_window_count(window, start_ns, stop_ns, 3000), count);
        AF_CHECK(count > 0 || start_ns == stop_ns);
        for (size_t i = 0; i < count; i++) {
            int64_t s, e;
            af_window_of(window, edges[i], &s, &e);
            AF_CHECK(s == edges[i] && e == edges[i + 1]);
        }
        if (count > 0) {
            AF_CHECK(edges[0] <= start_ns && edges[1] > start_ns && edges[count - 1] < stop_ns && edges[count] >= stop_ns);
            AF_CHECK_INT(af_window_count(window, start_ns, stop_ns, count - 1), count);
        }
        if (count > 1)
            AF_CHECK_FAILS(af_window_edges(window, start_ns, stop_ns, count - 1, &arena, &edges, &count, &err), AF_ELIMIT);
        af_arena_reset(&arena);
    }
    struct af_window tiny = { .every_ns = 1, .zone = los_angeles() };
    AF_CHECK_INT(af_window_count(&tiny, 0, 366 * 24 * hour, AF_QUERY_WINDOWS_MAX), AF_QUERY_WINDOWS_MAX + 1);
    tiny.zone = (struct af_zone){ 0 };
    AF_CHECK(af_window_count(&tiny, INT64_MIN, INT64_MAX, UINT64_MAX - 1) == UINT64_MAX);
    AF_CHECK_INT(af_window_count(&tiny, INT64_MIN, INT64_MAX, 7), 8);
    AF_CHECK_INT(af_window_count(&tiny, 5, 5, 7), 0);
    AF_CHECK_INT(af_window_count(&tiny, 6, 5, 7), 0);
    af_arena_done(&arena);
}
