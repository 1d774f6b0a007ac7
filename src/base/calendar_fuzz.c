/*
 * calendar_fuzz.c - whatever parses as a time prints and parses as the same instant; whatever instant there is does too; zones stay
 * inverse to each other.
 */
#include "base/calendar.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_instant(int64_t ns)
{
    char text[40];
    int64_t back;
    bool has_zone;
    size_t len = (size_t)(af_rfc3339_print(text, ns, 9) - text);
    if (!af_time_parse(af_slice_make(text, len), &back, &has_zone) || !has_zone || back != ns)
        abort();
    const struct af_zone zone = { .kind = AF_ZONE_SAO_PAULO };
    int64_t utc_ns;
    enum af_local kind = af_zone_to_utc(&zone, ns, &utc_ns);
    if ((kind == AF_LOCAL_UNIQUE || kind == AF_LOCAL_OVERLAP) && af_zone_to_wall(&zone, utc_ns) != ns)
        abort();
    if (kind == AF_LOCAL_GAP && af_zone_to_wall(&zone, utc_ns) <= ns)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ns;
    bool has_zone;
    if (af_time_parse(af_slice_make(data, size), &ns, &has_zone))
        check_instant(ns);
    if (size >= sizeof ns) {
        memcpy(&ns, data, sizeof ns);
        check_instant(ns);
    }
    struct af_zone zone;
    (void)!af_zone_parse(af_slice_make(data, size), &zone, NULL);
    return 0;
}
