/*
 * zone_fuzz.c - bytes as a TZif file: what is accepted has offsets within a day, spans that meet, and walls that go there and back.
 */
#include "base/calendar.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_walls(const struct af_zone *zone, int64_t utc_ns)
{
    int64_t wall_ns = af_zone_to_wall(zone, utc_ns);
    int64_t back_ns = utc_ns;
    enum af_local kind = af_zone_to_utc(zone, wall_ns, &back_ns);
    if (wall_ns == INT64_MIN || wall_ns == INT64_MAX || kind == AF_LOCAL_RANGE)
        return;
    check(kind != AF_LOCAL_GAP);
    check(kind == AF_LOCAL_UNIQUE ? back_ns == utc_ns : back_ns <= utc_ns);
    check(af_zone_to_wall(zone, back_ns) == wall_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_zone_table *table;
    struct af_error err = { 0 };
    if (af_zone_table_new(af_slice_make(data, size), "fuzz", &table, &err) != AF_OK) {
        check(err.message[0] != '\0');
        return 0;
    }
    struct af_zone zone = { .kind = AF_ZONE_TABLE, .table = table };
    int64_t first_s, end_s = INT64_MIN, previous_s = 0;
    int32_t offset_s = 0;
    do {
        int64_t at_s = end_s;
        int32_t before_s = offset_s;
        offset_s = af_zone_span(&zone, at_s, &first_s, &end_s);
        check(first_s == at_s && end_s > first_s);
        check(offset_s >= -26 * 3600 && offset_s <= 26 * 3600);
        check(at_s == INT64_MIN || offset_s != before_s);
        if (at_s != INT64_MIN && at_s > INT64_MIN / AF_NS_PER_S && at_s < INT64_MAX / AF_NS_PER_S) {
            check_walls(&zone, at_s * AF_NS_PER_S);
            check_walls(&zone, at_s * AF_NS_PER_S - 1);
            check(at_s > previous_s || previous_s == 0);
            previous_s = at_s;
        }
    } while (end_s != INT64_MAX);
    af_zone_table_free(table);
    return 0;
}
