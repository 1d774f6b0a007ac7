/*
 * zone.c - UTC and wall time; the zones of calendar.h.
 *
 * At a transition t (UTC) the offset changes from `before` to `after`. Seen on the wall:
 *
 *     forward (after > before)   ... t+before | gap: nobody reads these | t+after ...
 *     back    (after < before)   ... t+after  | overlap: read twice     | t+before ...
 *
 * So each transition owns the wall times from min to max of t+before and t+after; what lies between two transitions is unique.
 * In a gap and in an overlap alike the UTC time is wall - before: it shifts a gap's time forward, and takes the first reading of an
 * overlap.
 */
#include "base/calendar.h"
#include "base/base_int.h"

/*
 * America/Sao_Paulo: when the offset changed, in UTC seconds (IANA time zone data, release 2026f; 1965 and 1966 were an hour or a day
 * different before). Before the first: local mean time. From the
 * first on, standard time (-03:00) and summer time (-02:00) take turns, so the index tells the offset.
 */
static const int32_t changes_s[] = {
    -1767214412, /* 1914-01-01, until then local mean time */
    -1206957600, -1191362400, /* 1931-10-03 .. 1932-04-01 */
    -1175374800, -1159826400, /* 1932-10-03 .. 1933-04-01 */
    -633819600, -622069200, /* 1949-12-01 .. 1950-04-16 */
    -602283600, -591832800, /* 1950-12-01 .. 1951-04-01 */
    -570747600, -560210400, /* 1951-12-01 .. 1952-04-01 */
    -539125200, -531352800, /* 1952-12-01 .. 1953-03-01 */
    -195426000, -184197600, /* 1963-10-23 .. 1964-03-01 */
    -155163600, -149983200, /* 1965-01-31 .. 1965-04-01 */
    -128898000, -121122000, /* 1965-12-01 .. 1966-03-01 */
    -99954000, -89589600, /* 1966-11-01 .. 1967-03-01 */
    -68418000, -57967200, /* 1967-11-01 .. 1968-03-01 */
    499748400, 511236000, /* 1985-11-02 .. 1986-03-15 */
    530593200, 540266400, /* 1986-10-25 .. 1987-02-14 */
    562129200, 571197600, /* 1987-10-25 .. 1988-02-07 */
    592974000, 602042400, /* 1988-10-16 .. 1989-01-29 */
    624423600, 634701600, /* 1989-10-15 .. 1990-02-11 */
    656478000, 666756000, /* 1990-10-21 .. 1991-02-17 */
    687927600, 697600800, /* 1991-10-20 .. 1992-02-09 */
    719982000, 728445600, /* 1992-10-25 .. 1993-01-31 */
    750826800, 761709600, /* 1993-10-17 .. 1994-02-20 */
    782276400, 793159200, /* 1994-10-16 .. 1995-02-19 */
    813726000, 824004000, /* 1995-10-15 .. 1996-02-11 */
    844570800, 856058400, /* 1996-10-06 .. 1997-02-16 */
    876106800, 888717600, /* 1997-10-06 .. 1998-03-01 */
    908074800, 919562400, /* 1998-10-11 .. 1999-02-21 */
    938919600, 951616800, /* 1999-10-03 .. 2000-02-27 */
    970974000, 982461600, /* 2000-10-08 .. 2001-02-18 */
    1003028400, 1013911200, /* 2001-10-14 .. 2002-02-17 */
    1036292400, 1045360800, /* 2002-11-03 .. 2003-02-16 */
    1066532400, 1076810400, /* 2003-10-19 .. 2004-02-15 */
    1099364400, 1108864800, /* 2004-11-02 .. 2005-02-20 */
    1129431600, 1140314400, /* 2005-10-16 .. 2006-02-19 */
    1162695600, 1172368800, /* 2006-11-05 .. 2007-02-25 */
    1192330800, 1203213600, /* 2007-10-14 .. 2008-02-17 */
    1224385200, 1234663200, /* 2008-10-19 .. 2009-02-15 */
    1255834800, 1266717600, /* 2009-10-18 .. 2010-02-21 */
    1287284400, 1298167200, /* 2010-10-17 .. 2011-02-20 */
    1318734000, 1330221600, /* 2011-10-16 .. 2012-02-26 */
    1350788400, 1361066400, /* 2012-10-21 .. 2013-02-17 */
    1382238000, 1392516000, /* 2013-10-20 .. 2014-02-16 */
    1413687600, 1424570400, /* 2014-10-19 .. 2015-02-22 */
    1445137200, 1456020000, /* 2015-10-18 .. 2016-02-21 */
    1476586800, 1487469600, /* 2016-10-16 .. 2017-02-19 */
    1508036400, 1518919200, /* 2017-10-15 .. 2018-02-18 */
    1541300400, 1550368800, /* 2018-11-04 .. 2019-02-17 */
};

enum {
    SAO_PAULO_COUNT = sizeof changes_s / sizeof changes_s[0],
    OFFSET_MEAN_S = -(3 * 3600 + 6 * 60 + 28),
    OFFSET_STANDARD_S = -3 * 3600,
    OFFSET_SUMMER_S = -2 * 3600,
};

/* A stretch of wall time with one offset, or a gap or overlap. */
struct span {
    int64_t first_s;
    int64_t last_s;
    int32_t offset_s; /* what to subtract from the wall time */
    enum af_local kind;
};

static size_t change_count(const struct af_zone *zone)
{
    switch (zone->kind) {
    case AF_ZONE_SAO_PAULO: return SAO_PAULO_COUNT;
    case AF_ZONE_TABLE: return zone->table->change_count;
    default: return 0;
    }
}

static int64_t change_at(const struct af_zone *zone, size_t i)
{
    return zone->kind == AF_ZONE_TABLE ? zone->table->at_s[i] : changes_s[i];
}

/* The offset after the first `count` changes. */
static int32_t offset_after(const struct af_zone *zone, size_t count)
{
    switch (zone->kind) {
    case AF_ZONE_SAO_PAULO: return count == 0 ? OFFSET_MEAN_S : count % 2 != 0 ? OFFSET_STANDARD_S : OFFSET_SUMMER_S;
    case AF_ZONE_TABLE: return zone->table->offset_s[count];
    default: return zone->offset_s;
    }
}

/* The wall seconds [first, end) that change i (counted from 0) owns; never empty, as the offsets differ. */
static void wall_of_change(const struct af_zone *zone, size_t i, int64_t *out_first_s, int64_t *out_end_s)
{
    int64_t before = change_at(zone, i) + offset_after(zone, i);
    int64_t after = change_at(zone, i) + offset_after(zone, i + 1);
    *out_first_s = before < after ? before : after;
    *out_end_s = before < after ? after : before;
}

static struct span find_span(const struct af_zone *zone, int64_t wall_s)
{
    size_t count = 0; /* changes whose first wall second is not after wall_s */
    size_t end = change_count(zone);
    const size_t all = end;
    int64_t first_s, end_s;
    while (count < end) {
        size_t middle = (count + end) / 2;
        wall_of_change(zone, middle, &first_s, &end_s);
        if (first_s <= wall_s)
            count = middle + 1;
        else
            end = middle;
    }
    struct span span = { INT64_MIN, INT64_MAX, offset_after(zone, count), AF_LOCAL_UNIQUE };
    if (count > 0) {
        wall_of_change(zone, count - 1, &first_s, &end_s);
        if (wall_s < end_s) {
            int32_t before_s = offset_after(zone, count - 1);
            bool is_gap = offset_after(zone, count) > before_s;
            return (struct span){ first_s, end_s - 1, before_s, is_gap ? AF_LOCAL_GAP : AF_LOCAL_OVERLAP };
        }
        span.first_s = end_s;
    }
    if (count < all) {
        wall_of_change(zone, count, &first_s, &end_s);
        span.last_s = first_s - 1;
    }
    return span;
}

enum af_local af_zone_to_utc(const struct af_zone *zone, int64_t wall_ns, int64_t *out_ns)
{
    struct span span = find_span(zone, af_floor_div(wall_ns, AF_NS_PER_S));
    int64_t utc_ns;
    if (__builtin_sub_overflow(wall_ns, span.offset_s * AF_NS_PER_S, &utc_ns))
        return AF_LOCAL_RANGE;
    *out_ns = utc_ns;
    return span.kind;
}

int32_t af_zone_span(const struct af_zone *zone, int64_t utc_s, int64_t *out_first_s, int64_t *out_end_s)
{
    size_t count = 0; /* changes that are not after utc_s */
    size_t end = change_count(zone);
    const size_t all = end;
    while (count < end) {
        size_t middle = (count + end) / 2;
        if (change_at(zone, middle) <= utc_s)
            count = middle + 1;
        else
            end = middle;
    }
    *out_first_s = count > 0 ? change_at(zone, count - 1) : INT64_MIN;
    *out_end_s = count < all ? change_at(zone, count) : INT64_MAX;
    return offset_after(zone, count);
}

int64_t af_zone_to_wall(const struct af_zone *zone, int64_t utc_ns)
{
    int64_t first_s, end_s;
    int64_t offset_ns = af_zone_span(zone, af_floor_div(utc_ns, AF_NS_PER_S), &first_s, &end_s) * AF_NS_PER_S;
    int64_t wall_ns;
    if (__builtin_add_overflow(utc_ns, offset_ns, &wall_ns))
        return offset_ns < 0 ? INT64_MIN : INT64_MAX;
    return wall_ns;
}

/* --- columns ------------------------------------------------------------------------------------------------------------- */

enum { BLOCK_ROWS = 64 };

/* The part of a unique span, in ns, from which its offset can be subtracted without leaving int64; else nothing. */
struct safe {
    int64_t first_ns;
    uint64_t width_ns; /* wall - first_ns <= width_ns, unsigned: inside */
    int64_t offset_ns;
};

static int64_t clamp_ns(__int128 ns)
{
    return ns < INT64_MIN ? INT64_MIN : ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

/* False: the span is a gap or an overlap. */
static bool find_safe(const struct af_zone *zone, int64_t wall_ns, struct safe *out)
{
    struct span span = find_span(zone, af_floor_div(wall_ns, AF_NS_PER_S));
    int64_t offset_ns = span.offset_s * AF_NS_PER_S;
    __int128 first = (__int128)span.first_s * AF_NS_PER_S;
    __int128 last = (__int128)span.last_s * AF_NS_PER_S + AF_NS_PER_S - 1;
    if (first < (__int128)INT64_MIN + offset_ns)
        first = (__int128)INT64_MIN + offset_ns;
    if (last > (__int128)INT64_MAX + offset_ns)
        last = (__int128)INT64_MAX + offset_ns;
    int64_t first_ns = clamp_ns(first);
    int64_t last_ns = clamp_ns(last);
    if (span.kind != AF_LOCAL_UNIQUE || wall_ns < first_ns || wall_ns > last_ns)
        return false;
    *out = (struct safe){ first_ns, (uint64_t)last_ns - (uint64_t)first_ns, offset_ns };
    return true;
}

/* Convert a block by one span without branches; false if a value was outside (the block is then done again). */
static bool convert_block(const struct safe *safe, const int64_t *wall_ns, size_t count, int64_t *out_ns)
{
    uint64_t outside = 0;
    for (size_t i = 0; i < count; i++) {
        outside |= (uint64_t)wall_ns[i] - (uint64_t)safe->first_ns > safe->width_ns;
        out_ns[i] = (int64_t)((uint64_t)wall_ns[i] - (uint64_t)safe->offset_ns);
    }
    return outside == 0;
}

void af_zone_to_utc_column(const struct af_zone *zone, const int64_t *wall_ns, size_t count, int64_t *out_ns,
                           void (*odd)(void *ctx, size_t row, enum af_local what), void *ctx)
{
    struct safe safe;
    for (size_t start = 0; start < count; start += BLOCK_ROWS) {
        size_t rows = count - start < BLOCK_ROWS ? count - start : BLOCK_ROWS;
        int64_t wall[BLOCK_ROWS]; /* a copy: out_ns may be wall_ns itself */
        memcpy(wall, wall_ns + start, rows * sizeof wall[0]);
        if (find_safe(zone, wall[0], &safe) && convert_block(&safe, wall, rows, out_ns + start))
            continue;
        for (size_t i = 0; i < rows; i++) {
            out_ns[start + i] = wall[i];
            enum af_local what = af_zone_to_utc(zone, wall[i], &out_ns[start + i]);
            if (what != AF_LOCAL_UNIQUE && odd != NULL)
                odd(ctx, start + i, what);
        }
    }
}

enum af_status af_zone_parse(struct af_slice name, struct af_zone *out, struct af_error *err)
{
    int32_t offset_s = 0;
    if (af_slice_is(name, "America/Sao_Paulo")) {
        *out = (struct af_zone){ .kind = AF_ZONE_SAO_PAULO };
        return AF_OK;
    }
    if (af_slice_is(name, "UTC") || af_offset_parse(name, &offset_s)) {
        *out = (struct af_zone){ .kind = AF_ZONE_FIXED, .offset_s = offset_s };
        return AF_OK;
    }
    return af_fail(err, AF_EUNSUPPORTED,
                   "time zone \"" AF_SLICE_FMT "\" is not known; use UTC, an offset such as -03:00, or America/Sao_Paulo",
                   AF_SLICE_ARG(name));
}
