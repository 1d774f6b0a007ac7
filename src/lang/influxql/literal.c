/*
 * literal.c - times in quotes: '2024-01-02', '2024-01-02 03:04:05.5', '2024-01-02T03:04:05Z'.
 *
 * Exactly what InfluxDB reads (it is Go's parser with three layouts): the date alone or with more behind it decides; then spaces or a T,
 * hours of one or two digits, minutes and seconds of two, up to nine decimals; an offset with the T only, and there it must be. Years are
 * 0000 to 9999: instants are wider than int64 here, since '1600-01-01' is an error of its own and '2300-01-01' - 100y is fine.
 */
#include "base/calendar.h"
#include "lang/influxql/parse_int.h"
#include <stdio.h>

/* --- reading --------------------------------------------------------------------------------------------------------------------- */

struct scan {
    struct af_slice text;
    size_t at;
};

static bool is_digit_at(const struct scan *s, size_t at)
{
    return at < s->text.len && s->text.ptr[at] >= '0' && s->text.ptr[at] <= '9';
}

static bool take(struct scan *s, char c)
{
    if (s->at >= s->text.len || s->text.ptr[s->at] != c)
        return false;
    s->at++;
    return true;
}

/* `least` to `most` digits. */
static bool take_digits(struct scan *s, unsigned least, unsigned most, int64_t *out)
{
    unsigned count = 0;
    for (*out = 0; count < most && is_digit_at(s, s->at); count++)
        *out = *out * 10 + (s->text.ptr[s->at++] - '0');
    return count >= least;
}

static bool take_date(struct scan *s, int64_t *out_days)
{
    static const unsigned char lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t year, month, day;
    if (!take_digits(s, 4, 4, &year) || !take(s, '-') || !take_digits(s, 2, 2, &month) || !take(s, '-') || !take_digits(s, 2, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1)
        return false;
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > lengths[month - 1] + (month == 2 && is_leap ? 1 : 0))
        return false;
    *out_days = af_days_from_civil((int32_t)year, (unsigned)month, (unsigned)day);
    return true;
}

/* The decimals behind a point; without a digit the point is not ours. */
static int64_t take_fraction(struct scan *s)
{
    if (s->at >= s->text.len || s->text.ptr[s->at] != '.' || !is_digit_at(s, s->at + 1))
        return 0;
    size_t start = ++s->at;
    int64_t value;
    (void)take_digits(s, 1, 9, &value);
    for (size_t i = s->at - start; i < 9; i++)
        value *= 10;
    return value;
}

static bool take_clock(struct scan *s, __int128 *out_ns)
{
    int64_t hour, minute, second;
    if (!take_digits(s, 1, 2, &hour) || !take(s, ':') || !take_digits(s, 2, 2, &minute) || !take(s, ':') || !take_digits(s, 2, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *out_ns = (__int128)(hour * 3600 + minute * 60 + second) * AF_NS_PER_S + take_fraction(s);
    return true;
}

static bool take_offset(struct scan *s, int64_t *out_s)
{
    *out_s = 0;
    if (take(s, 'Z'))
        return true;
    int64_t hour, minute, sign = take(s, '-') ? -1 : 1;
    if ((sign == 1 && !take(s, '+')) || !take_digits(s, 2, 2, &hour) || !take(s, ':') || !take_digits(s, 2, 2, &minute))
        return false;
    *out_s = sign * (hour * 3600 + minute * 60);
    return true;
}

/* --- zones, past int64 too ------------------------------------------------------------------------------------------------------- */

/* Where the zone's tables do not reach, rules go on as they were: a year with the same calendar stands for a later one. */
static int64_t shift_into_range(__int128 ns)
{
    const __int128 cycle = (__int128)146097 * AF_NS_PER_DAY, rules = (__int128)28 * 365 * AF_NS_PER_DAY + 7 * (__int128)AF_NS_PER_DAY;
    const __int128 late = (__int128)INT64_MAX - 2 * AF_NS_PER_DAY, early = (__int128)INT64_MIN + 2 * AF_NS_PER_DAY;
    while (ns > late + cycle)
        ns -= cycle;
    while (ns > late)
        ns -= rules;
    return ns < early ? (int64_t)early : (int64_t)ns;
}

static int64_t offset_at(const struct af_zone *zone, __int128 utc_ns)
{
    int64_t utc = shift_into_range(utc_ns);
    return zone == NULL ? 0 : af_zone_to_wall(zone, utc) - utc;
}

/* Go's rule for a wall time: the offset that would be right if it were UTC leads to an instant, and that instant's offset counts. */
static __int128 wall_to_utc(const struct af_zone *zone, __int128 wall_ns)
{
    return wall_ns - offset_at(zone, wall_ns - offset_at(zone, wall_ns));
}

/* --- times ----------------------------------------------------------------------------------------------------------------------- */

bool af_ql_is_time_text(struct af_slice text)
{
    static const char shape[] = "dddd-dd-dd";
    if (text.len < sizeof shape - 1)
        return false;
    for (size_t i = 0; i < sizeof shape - 1; i++)
        if (shape[i] == 'd' ? text.ptr[i] < '0' || text.ptr[i] > '9' : text.ptr[i] != '-')
            return false;
    return text.len == sizeof shape - 1 || text.ptr[sizeof shape - 1] != '\n';
}

bool af_ql_time_parse(struct af_slice text, const struct af_zone *zone, __int128 *out_ns)
{
    struct scan s = { text, 0 };
    int64_t days, offset_s = 0;
    __int128 clock = 0;
    if (!af_ql_is_time_text(text) || !take_date(&s, &days))
        return false;
    bool has_clock = s.at < text.len, has_offset = has_clock && text.ptr[s.at] == 'T';
    if (has_clock && !has_offset && !take(&s, ' '))
        return false;
    while (has_clock && !has_offset && take(&s, ' '))
        ;
    s.at += has_offset ? 1 : 0;
    if ((has_clock && !take_clock(&s, &clock)) || (has_offset && !take_offset(&s, &offset_s)) || s.at != text.len)
        return false;
    __int128 wall = (__int128)days * AF_NS_PER_DAY + clock;
    *out_ns = has_offset ? wall - (__int128)offset_s * AF_NS_PER_S : wall_to_utc(zone, wall);
    return true;
}

void af_ql_time_words(char dst[64], __int128 ns, const struct af_zone *zone)
{
    int64_t offset_s = offset_at(zone, ns) / AF_NS_PER_S;
    __int128 seconds = ns / AF_NS_PER_S - (ns % AF_NS_PER_S < 0) + offset_s;
    __int128 days = seconds / 86400 - (seconds % 86400 < 0);
    int rest = (int)(seconds - days * 86400), minutes = (int)(offset_s < 0 ? -offset_s : offset_s) / 60;
    const __int128 most = INT32_MAX / 2;
    char *end = af_date_print(dst, (int32_t)(days > most ? most : days < -most ? -most : days));
    size_t room = 64 - (size_t)(end - dst);
    int len = snprintf(end, room, "T%02d:%02d:%02d", rest / 3600, rest / 60 % 60, rest % 60);
    if (offset_s == 0)
        (void)snprintf(end + len, room - (size_t)len, "Z");
    else
        (void)snprintf(end + len, room - (size_t)len, "%c%02d:%02d", offset_s < 0 ? '-' : '+', minutes / 60, minutes % 60);
}
