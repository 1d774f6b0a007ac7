/*
 * calendar.c - civil dates and times; see calendar.h. Zones are in zone.c.
 *
 * Days are counted in years that start in March, so the leap day is the last of a year and the months before it have lengths that a
 * linear formula gives. 400 years (an era) are 146,097 days; shifting by whole eras keeps all divisions positive.
 */
#include "base/calendar.h"
#include "base/base_int.h"
#include "base/numbers.h"

enum {
    DAYS_PER_ERA = 146097,
    DAYS_TO_EPOCH = 719468, /* 0000-03-01 to 1970-01-01 */
    ERAS_BEFORE = 14700, /* from before the first day an int32 can name */
    OFFSET_HOURS_MAX = 23,
};

int64_t af_days_from_civil(int32_t year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = af_floor_div(y, 400);
    unsigned year_of_era = (unsigned)(y - era * 400);
    unsigned month_from_march = month > 2 ? month - 3 : month + 9;
    unsigned day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH;
}

/* Any int32 of days. */
static inline void civil_from_days(int64_t days, struct af_civil *out)
{
    uint64_t shifted = (uint64_t)(days + DAYS_TO_EPOCH + (int64_t)ERAS_BEFORE * DAYS_PER_ERA);
    uint64_t era = shifted / DAYS_PER_ERA;
    uint32_t day_of_era = (uint32_t)(shifted - era * DAYS_PER_ERA);
    uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t month_from_march = (5 * day_of_year + 2) / 153;
    uint32_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    out->day = (uint8_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    out->month = (uint8_t)month;
    out->year = (int32_t)(((int64_t)era - ERAS_BEFORE) * 400 + year_of_era + (month <= 2));
}

void af_civil_from_ns(int64_t ns, struct af_civil *out)
{
    int64_t days = af_floor_div(ns, AF_NS_PER_DAY);
    uint64_t rest = (uint64_t)ns - (uint64_t)days * (uint64_t)AF_NS_PER_DAY; /* the first day's start is below INT64_MIN */
    unsigned seconds = (unsigned)(rest / (uint64_t)AF_NS_PER_S);
    civil_from_days(days, out);
    out->hour = (uint8_t)(seconds / 3600);
    out->minute = (uint8_t)(seconds / 60 % 60);
    out->second = (uint8_t)(seconds % 60);
    out->nanosecond = (uint32_t)(rest % (uint64_t)AF_NS_PER_S);
}

static bool is_leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool is_date(int32_t year, unsigned month, unsigned day)
{
    static const uint8_t days_in[13] = { 0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (month < 1 || month > 12 || day < 1)
        return false;
    return day <= days_in[month] + (unsigned)(month == 2 && is_leap(year));
}

/* days, ns of the day (may leave it) and an offset to ns; false out of range. */
static bool join_ns(int64_t days, int64_t ns_of_day, int64_t *out_ns)
{
    __int128 ns = (__int128)days * AF_NS_PER_DAY + ns_of_day;
    if (ns < INT64_MIN || ns > INT64_MAX)
        return false;
    *out_ns = (int64_t)ns;
    return true;
}

bool af_civil_to_ns(const struct af_civil *civil, int64_t *out_ns)
{
    if (!is_date(civil->year, civil->month, civil->day) || civil->hour > 23 || civil->minute > 59 ||
        civil->second > 59 || civil->nanosecond >= AF_NS_PER_S)
        return false;
    int64_t seconds = civil->hour * 3600 + civil->minute * 60 + civil->second;
    return join_ns(af_days_from_civil(civil->year, civil->month, civil->day),
                   seconds * AF_NS_PER_S + civil->nanosecond, out_ns);
}

/* --- printing ------------------------------------------------------------------------------------------------------------ */

static void put2(char *dst, unsigned value)
{
    memcpy(dst, af_digit_pairs + (size_t)2 * value, 2);
}

static char *put_date(char *dst, const struct af_civil *civil)
{
    uint32_t magnitude = (uint32_t)(civil->year < 0 ? -civil->year : civil->year);
    if (civil->year < 0 || magnitude > 9999)
        *dst++ = civil->year < 0 ? '-' : '+';
    if (magnitude > 9999) {
        dst = af_u64_print(dst, magnitude / 10000);
        magnitude %= 10000;
    }
    put2(dst, magnitude / 100);
    put2(dst + 2, magnitude % 100);
    dst[4] = '-';
    put2(dst + 5, civil->month);
    dst[7] = '-';
    put2(dst + 8, civil->day);
    return dst + 10;
}

char *af_date_print(char *dst, int32_t days)
{
    struct af_civil civil;
    civil_from_days(days, &civil);
    return put_date(dst, &civil);
}

char *af_rfc3339_print(char *dst, int64_t ns, unsigned digits)
{
    struct af_civil civil;
    af_civil_from_ns(ns, &civil);
    dst = put_date(dst, &civil);
    dst[0] = 'T';
    put2(dst + 1, civil.hour);
    dst[3] = ':';
    put2(dst + 4, civil.minute);
    dst[6] = ':';
    put2(dst + 7, civil.second);
    dst += 9;
    if (digits > 9)
        digits = 9;
    if (digits > 0) {
        uint64_t fraction = af_digits8(civil.nanosecond / 10) | AF_ASCII_ZEROS;
        dst[0] = '.';
        af_store8(dst + 1, fraction); /* what `digits` leaves out is overwritten */
        dst[9] = (char)('0' + civil.nanosecond % 10);
        dst += digits + 1;
    }
    *dst++ = 'Z';
    return dst;
}

/* --- reading ------------------------------------------------------------------------------------------------------------- */

/* A cursor that fails for good at the first mismatch. */
struct scanner {
    const char *at;
    const char *end;
};

static bool next_is(struct scanner *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

/* Exactly `count` digits. */
static bool scan_fixed(struct scanner *in, unsigned count, unsigned *out)
{
    if ((size_t)(in->end - in->at) < count)
        return false;
    unsigned value = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned digit = (unsigned)(unsigned char)in->at[i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    in->at += count;
    *out = value;
    return true;
}

/* YYYY-MM-DD or DD/MM/YYYY */
static bool scan_date(struct scanner *in, int64_t *out_days)
{
    unsigned year, month, day;
    if (in->end - in->at < 10)
        return false;
    if (in->at[2] == '/') {
        if (!scan_fixed(in, 2, &day) || !next_is(in, '/') || !scan_fixed(in, 2, &month) || !next_is(in, '/') ||
            !scan_fixed(in, 4, &year))
            return false;
    } else if (!scan_fixed(in, 4, &year) || !next_is(in, '-') || !scan_fixed(in, 2, &month) || !next_is(in, '-') ||
               !scan_fixed(in, 2, &day)) {
        return false;
    }
    if (!is_date((int32_t)year, month, day))
        return false;
    *out_days = af_days_from_civil((int32_t)year, month, day);
    return true;
}

/* Digits after a point, at least one; nanoseconds, the rest cut. */
static bool scan_fraction(struct scanner *in, uint32_t *out_ns)
{
    uint32_t ns = 0;
    unsigned count = 0;
    for (; in->at < in->end && (unsigned char)(*in->at - '0') <= 9; in->at++, count++)
        if (count < 9)
            ns = ns * 10 + (uint32_t)(*in->at - '0');
    if (count == 0)
        return false;
    *out_ns = count < 9 ? ns * (uint32_t)af_u64_pow10[9 - count] : ns;
    return true;
}

/* HH:MM[:SS[.fraction]] */
static bool scan_clock(struct scanner *in, int64_t *out_ns)
{
    unsigned hour, minute, second = 0;
    uint32_t fraction = 0;
    if (!scan_fixed(in, 2, &hour) || !next_is(in, ':') || !scan_fixed(in, 2, &minute))
        return false;
    if (next_is(in, ':')) {
        if (!scan_fixed(in, 2, &second))
            return false;
        if (next_is(in, '.') && !scan_fraction(in, &fraction))
            return false;
    }
    if (hour > 24 || minute > 59 || second > 59 || (hour == 24 && (minute != 0 || second != 0 || fraction != 0)))
        return false;
    *out_ns = (int64_t)(hour * 3600 + minute * 60 + second) * AF_NS_PER_S + fraction;
    return true;
}

/* Z, +HH:MM, +HHMM, +HH and the same with '-'. */
static bool scan_offset(struct scanner *in, int32_t *out_s)
{
    unsigned hours, minutes = 0;
    if (next_is(in, 'Z') || next_is(in, 'z')) {
        *out_s = 0;
        return true;
    }
    bool is_west = next_is(in, '-');
    if ((!is_west && !next_is(in, '+')) || !scan_fixed(in, 2, &hours))
        return false;
    if (next_is(in, ':')) {
        if (!scan_fixed(in, 2, &minutes))
            return false;
    } else if (in->at != in->end && !scan_fixed(in, 2, &minutes)) {
        return false;
    }
    if (hours > OFFSET_HOURS_MAX || minutes > 59)
        return false;
    int32_t seconds = (int32_t)(hours * 3600 + minutes * 60);
    *out_s = is_west ? -seconds : seconds;
    return true;
}

bool af_offset_parse(struct af_slice text, int32_t *out_s)
{
    struct scanner in = { text.ptr, text.ptr + text.len };
    int32_t seconds;
    if (text.len == 0 || !scan_offset(&in, &seconds) || in.at != in.end)
        return false;
    *out_s = seconds;
    return true;
}

bool af_time_parse(struct af_slice text, int64_t *out_ns, bool *out_has_zone)
{
    struct scanner in = { text.ptr, text.ptr + text.len };
    int64_t days;
    int64_t clock_ns = 0;
    int32_t offset_s = 0;
    bool has_zone = false;
    if (text.len == 0 || !scan_date(&in, &days))
        return false;
    if (next_is(&in, 'T') || next_is(&in, ' ')) {
        if (!scan_clock(&in, &clock_ns))
            return false;
        if (in.at != in.end) {
            if (!scan_offset(&in, &offset_s))
                return false;
            has_zone = true;
        }
    }
    if (in.at != in.end || !join_ns(days, clock_ns - offset_s * AF_NS_PER_S, out_ns))
        return false;
    *out_has_zone = has_zone;
    return true;
}
