/* zone_test.c - names of zones; every zone of the system's database against the C library, and against the one that is built in. */
#include "os/zone.h"
#include "base/buf.h"
#include "base/prng.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DATABASE "/usr/share/zoneinfo"

static struct af_error err;

static bool has_database(void)
{
    return af_path_kind(DATABASE) == AF_PATH_DIR;
}

static struct af_zone find(const char *name)
{
    struct af_zone zone;
    AF_CHECK_OK(af_zone_find(af_slice_of(name), &zone, &err), err);
    return zone;
}

static int64_t ns_of(const char *text)
{
    int64_t ns;
    bool has_zone;
    AF_CHECK(af_time_parse(af_slice_of(text), &ns, &has_zone));
    return ns;
}

AF_TEST(names)
{
    AF_CHECK_INT(find("").kind, AF_ZONE_FIXED);
    AF_CHECK_INT(find("UTC").offset_s, 0);
    AF_CHECK_INT(find("-03:00").offset_s, -10800);
    AF_CHECK_INT(find("America/Sao_Paulo").kind, AF_ZONE_SAO_PAULO);
    static const char *const bad[] = { "Mars/Base", "../etc/passwd", "/etc/localtime", "America", "america/new_york", "zone.tab",
                                       "tzdata.zi",
                                       "America/../America/New_York", "leapseconds", "Europe/Berlin\n",
                                       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" };
    struct af_zone zone = { .offset_s = 5 };
    for (size_t i = 0; has_database() && i < sizeof bad / sizeof *bad; i++) {
        AF_CHECK_FAILS(af_zone_find(af_slice_of(bad[i]), &zone, &err), AF_EINVAL);
        char want[120];
        (void)snprintf(want, sizeof want, "unknown time zone %s", bad[i]);
        AF_CHECK_STR(err.message, want);
        AF_CHECK_INT(zone.offset_s, 5);
    }
}

AF_TEST(tables_are_read_once)
{
    if (!has_database())
        return;
    struct af_zone a = find("Asia/Kolkata"), b = find("Asia/Kolkata");
    AF_CHECK(a.kind == AF_ZONE_TABLE && a.table == b.table);
    AF_CHECK_STR(af_zone_table_name(a.table), "Asia/Kolkata");
    AF_CHECK_INT(af_zone_to_wall(&a, ns_of("2024-01-01T00:00Z")), ns_of("2024-01-01T05:30Z"));
}

AF_TEST(known_civil_times)
{
    if (!has_database())
        return;
    struct af_zone la = find("America/Los_Angeles");
    int64_t utc;
    AF_CHECK_INT(af_zone_to_wall(&la, ns_of("2021-03-14T09:59:59Z")), ns_of("2021-03-14T01:59:59Z"));
    AF_CHECK_INT(af_zone_to_wall(&la, ns_of("2021-03-14T10:00Z")), ns_of("2021-03-14T03:00Z"));
    AF_CHECK_INT(af_zone_to_utc(&la, ns_of("2021-03-14T02:30Z"), &utc), AF_LOCAL_GAP);
    AF_CHECK_INT(utc, ns_of("2021-03-14T10:30Z"));
    AF_CHECK_INT(af_zone_to_utc(&la, ns_of("2021-11-07T01:30Z"), &utc), AF_LOCAL_OVERLAP);
    AF_CHECK_INT(utc, ns_of("2021-11-07T08:30Z"));
    AF_CHECK_INT(af_zone_to_wall(&la, ns_of("2200-07-01T00:00Z")), ns_of("2200-06-30T17:00Z")); /* by the rule for later years */
    AF_CHECK_INT(af_zone_to_wall(&la, ns_of("2200-01-01T00:00Z")), ns_of("2199-12-31T16:00Z"));
}

static struct af_zone_table *read_table(const char *path, const char *name)
{
    struct af_buf bytes;
    struct af_zone_table *table;
    af_buf_init(&bytes, 1 << 20);
    AF_CHECK_OK(af_file_read_all(path, &bytes, &err), err);
    AF_CHECK_OK(af_zone_table_new(af_buf_slice(&bytes), name, &table, &err), err);
    af_buf_done(&bytes);
    return table;
}

/* The table of the file and the history that is built in: the same offset every hour of 45 years, and the same changes. */
AF_TEST(sao_paulo_is_what_is_built_in)
{
    if (!has_database())
        return;
    struct af_zone built_in = { .kind = AF_ZONE_SAO_PAULO };
    struct af_zone read = { .kind = AF_ZONE_TABLE };
    struct af_zone_table *table = read_table(DATABASE "/America/Sao_Paulo", "x");
    read.table = table;
    for (int64_t ns = ns_of("1985-01-01"); ns < ns_of("2030-01-01"); ns += 3600 * AF_NS_PER_S) {
        int64_t a = ns, b = ns;
        AF_CHECK_INT(af_zone_to_wall(&read, ns), af_zone_to_wall(&built_in, ns));
        AF_CHECK_INT(af_zone_to_utc(&read, ns, &a), af_zone_to_utc(&built_in, ns, &b));
        AF_CHECK_INT(a, b);
    }
    int64_t first_s = 0, end_s = ns_of("1967-01-01") / AF_NS_PER_S, x, y; /* releases of the data differ in what was before */
    for (size_t changes = 0; end_s != INT64_MAX; changes++) {
        int64_t at_s = end_s;
        int32_t offset_s = af_zone_span(&read, at_s, &first_s, &end_s);
        AF_CHECK_INT(af_zone_span(&built_in, at_s, &x, &y), offset_s);
        AF_CHECK(changes == 0 || x == first_s);
        AF_CHECK_INT(y, end_s);
        AF_CHECK(changes < 200);
    }
    af_zone_table_free(table);
}

static size_t tables_seen;

static enum af_status check_zone(void *ctx, const char *path, struct af_error *e)
{
    const char *name = path + sizeof DATABASE;
    (void)ctx;
    (void)e;
    struct af_zone zone;
    if (strncmp(name, "right/", 6) == 0 || strncmp(name, "posix/", 6) == 0 || strcmp(name, "localtime") == 0 ||
        af_zone_find(af_slice_of(name), &zone, &err) != AF_OK)
        return AF_OK;
    if (zone.kind != AF_ZONE_TABLE)
        return AF_OK;
    tables_seen++;
    setenv("TZ", name, 1);
    tzset();
    struct af_prng prng = { tables_seen };
    const int64_t start_s = ns_of("1902-01-01") / AF_NS_PER_S;
    for (int i = 0; i < 300; i++) {
        time_t utc_s = start_s + (int64_t)af_prng_below(&prng, UINT64_C(340) * 366 * 86400);
        struct tm tm;
        if (localtime_r(&utc_s, &tm) == NULL)
            abort();
        int64_t first_s, end_s;
        int32_t offset_s = af_zone_span(&zone, utc_s, &first_s, &end_s);
        if (offset_s != tm.tm_gmtoff)
            af_test_failed(__FILE__, __LINE__, "%s at %lld: offset %d, the C library says %ld", name, (long long)utc_s, offset_s,
                           tm.tm_gmtoff);
    }
    return AF_OK;
}

AF_TEST(every_zone_agrees_with_the_c_library)
{
    if (!has_database())
        return;
    AF_CHECK_OK(af_dir_walk(DATABASE, check_zone, NULL, &err), err);
    AF_CHECK(tables_seen > 300);
    struct af_zone zone;
    if (af_path_kind(DATABASE "/right/Europe/Berlin") == AF_PATH_FILE)
        AF_CHECK_FAILS(af_zone_find(af_slice_of("right/Europe/Berlin"), &zone, &err), AF_EUNSUPPORTED);
}

AF_TEST(damaged_files)
{
    if (!has_database())
        return;
    struct af_buf bytes;
    struct af_zone_table *table;
    af_buf_init(&bytes, 1 << 20);
    AF_CHECK_OK(af_file_read_all(DATABASE "/America/Los_Angeles", &bytes, &err), err);
    for (size_t len = 0; len < bytes.len; len++)
        AF_CHECK_FAILS(af_zone_table_new(af_slice_make(bytes.ptr, len), "x", &table, &err), AF_ECORRUPT);
    struct af_prng prng = { 2 };
    for (int round = 0; round < 3000; round++) {
        size_t at = (size_t)af_prng_below(&prng, bytes.len);
        char was = bytes.ptr[at];
        bytes.ptr[at] = (char)af_prng_next(&prng);
        enum af_status status = af_zone_table_new(af_buf_slice(&bytes), "x", &table, &err);
        if (status == AF_OK)
            af_zone_table_free(table);
        else
            AF_CHECK(status == AF_ECORRUPT || status == AF_EUNSUPPORTED);
        bytes.ptr[at] = was;
    }
    af_buf_done(&bytes);
}
