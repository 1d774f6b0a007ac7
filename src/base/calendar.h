/*
 * calendar.h - civil time (proleptic Gregorian) to and from int64 nanoseconds since 1970-01-01T00:00Z, and time zones.
 *
 * Inside afluxo all time is UTC nanoseconds; these calls serve the edges. int64 reaches from 1677-09-21 to 2262-04-11:
 * what lies outside is refused, never wrapped.
 */
#ifndef AF_BASE_CALENDAR_H
#define AF_BASE_CALENDAR_H
#include "base/error.h"
#include "base/slice.h"

#define AF_NS_PER_S INT64_C(1000000000)
#define AF_NS_PER_DAY (INT64_C(86400) * AF_NS_PER_S)

struct af_civil {
    int32_t year;
    uint8_t month, day;       /* 1-based */
    uint8_t hour, minute, second;
    uint32_t nanosecond;
};

int64_t af_days_from_civil(int32_t year, unsigned month, unsigned day); /* days since 1970-01-01 */
void af_civil_from_ns(int64_t ns, struct af_civil *out);               /* UTC */
bool af_civil_to_ns(const struct af_civil *civil, int64_t *out_ns);     /* false: no such date, or out of range */

/* 2024-01-02T03:04:05.000000006Z with exactly `digits` (0..9) decimals; returns the end. Room for 40 bytes. */
char *af_rfc3339_print(char *dst, int64_t ns, unsigned digits);
char *af_date_print(char *dst, int32_t days); /* 2024-01-02 (also years outside 0..9999, with sign) */

/*
 * A date or date and time in the shapes met in files: YYYY-MM-DD or DD/MM/YYYY (Brazilian), then nothing or
 * [T ]HH:MM[:SS[.fraction]], then (after a time only) nothing or Z, +HH:MM, +HHMM, +HH or the same with '-'. Fractions beyond
 * nanoseconds are cut. Hour 24 with 00:00 is the next day's midnight; second 60 is refused. On success *out_has_zone says
 * whether the text itself had an offset (then *out_ns is UTC); otherwise *out_ns is the wall time as if UTC. The whole slice
 * must match.
 */
bool af_time_parse(struct af_slice text, int64_t *out_ns, bool *out_has_zone);

/* A zone: UTC, a fixed offset, or America/Sao_Paulo with its whole summer-time history (built in; from the public IANA
 * data: DST of 1985..2019, gap at midnight forward, overlap 23:00 back), or any zone of the system's database (os/zone.h). */
enum af_zone_kind { AF_ZONE_FIXED, AF_ZONE_SAO_PAULO, AF_ZONE_TABLE };
struct af_zone_table; /* immutable */
struct af_zone {
    enum af_zone_kind kind;
    int32_t offset_s; /* of FIXED, east of UTC positive */
    const struct af_zone_table *table; /* of TABLE */
};

/* The content of a TZif file (RFC 8536), versions 1 to 4 with the rule for later years. The table has no pointer into `bytes`. */
AF_MUST_CHECK enum af_status af_zone_table_new(struct af_slice bytes, const char *name, struct af_zone_table **out, struct af_error *err);
void af_zone_table_free(struct af_zone_table *table);
const char *af_zone_table_name(const struct af_zone_table *table);

/* Z, +HH:MM, +HHMM, +HH and the same with '-', whole slice: seconds east of UTC. */
bool af_offset_parse(struct af_slice text, int32_t *out_s);

/* "UTC", "Z", "+HH:MM", "-03:00", "America/Sao_Paulo"; other names AF_EUNSUPPORTED. */
AF_MUST_CHECK enum af_status af_zone_parse(struct af_slice name, struct af_zone *out, struct af_error *err);

enum af_local { AF_LOCAL_UNIQUE, AF_LOCAL_GAP, AF_LOCAL_OVERLAP, AF_LOCAL_RANGE };
/* Wall time (as if UTC) to UTC. In an overlap the first (summer-time) instant is taken; in a gap the wall time is shifted
 * forward by the gap's length; AF_LOCAL_RANGE: not representable (out is untouched). */
enum af_local af_zone_to_utc(const struct af_zone *zone, int64_t wall_ns, int64_t *out_ns);
/* The offset at an instant, and the stretch of instants [first, end) around it that has it; INT64_MIN and INT64_MAX: no change there. */
int32_t af_zone_span(const struct af_zone *zone, int64_t utc_s, int64_t *out_first_s, int64_t *out_end_s);
int64_t af_zone_to_wall(const struct af_zone *zone, int64_t utc_ns); /* stops at the ends of int64 */

/* Same for a column, cheap when neighbours share an offset (a cached span of equal offset). Values that are not
 * AF_LOCAL_UNIQUE are handed to `odd` (may be NULL) with their row; out of range, out_ns is the wall time. In place is fine. */
void af_zone_to_utc_column(const struct af_zone *zone, const int64_t *wall_ns, size_t count, int64_t *out_ns,
                           void (*odd)(void *ctx, size_t row, enum af_local what), void *ctx);

/* floor(a / b) for b > 0. */
static inline int64_t af_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}
#endif
