/*
 * zone_table.c - TZif files (RFC 8536) read into tables; see calendar.h.
 *
 *     "TZif" version 15 reserved bytes, six counts         44 bytes
 *     times of changes, types after them, types            first with 32 bits; then, from version 2 on, header and data again with 64
 *     "\n" rule "\n"                                       from version 2 on: what holds after the last change, in POSIX's TZ form
 *
 *     EST5EDT,M3.2.0,M11.1.0/2     standard time and its offset (west positive), summer time (one hour more unless it says), when it begins
 *                                  and ends: month.week.weekday, Jn (day 1..365, never 29 February), n (day 0..365); time of day, 02:00
 *
 * The rule is written out as changes up to the last year of int64 nanoseconds, so that whoever asks needs to know of one list only. Changes
 * that leave the offset as it was (another name, another year of summer time) are left out.
 */
#include "base/alloc.h"
#include "base/base_int.h"
#include "base/calendar.h"
#include <stdlib.h>

enum {
    HEADER_BYTES = 44,
    OFFSET_MAX_S = 26 * 3600,
    RULE_YEAR_FIRST = 1677,
    RULE_YEAR_LAST = 2262,
    RULE_CHANGES_MAX = 2 * (RULE_YEAR_LAST - RULE_YEAR_FIRST + 1),
    RULE_HOURS_MAX = 167,
    NAME_BYTES_MIN = 3,
};
static const int64_t first_s = INT64_MIN / AF_NS_PER_S - 1; /* what comes before or after is no time here */
static const int64_t last_s = INT64_MAX / AF_NS_PER_S;

struct change {
    int64_t at_s;
    int32_t offset_s;
};

struct builder {
    const char *name;
    struct change *list;
    size_t count;
    int32_t initial_s;
    struct af_error *err;
};

static enum af_status corrupt(const struct builder *to, const char *what)
{
    return af_fail(to->err, AF_ECORRUPT, "the time zone file of %s is damaged: %s", to->name, what);
}

static int32_t last_offset(const struct builder *to)
{
    return to->count == 0 ? to->initial_s : to->list[to->count - 1].offset_s;
}

/* Times ascend. Of several at one time the last holds. */
static void add_change(struct builder *to, int64_t at_s, int32_t offset_s)
{
    if (at_s > last_s)
        return;
    if (at_s < first_s) {
        to->initial_s = offset_s;
        return;
    }
    if (to->count > 0 && to->list[to->count - 1].at_s == at_s)
        to->count--;
    if (last_offset(to) != offset_s)
        to->list[to->count++] = (struct change){ at_s, offset_s };
}

/* --- the rule for later years ---------------------------------------------------------------------------------------------------- */

struct rule_day {
    char kind; /* 'M', 'J' or 'n' */
    int month, week, day;
    int32_t clock_s; /* from midnight, on the wall before the change */
};

struct rule {
    int32_t standard_s, summer_s; /* offsets, east positive */
    bool has_summer;
    struct rule_day begin, end;   /* of summer time */
};

struct text {
    const char *at, *end;
};

static bool take(struct text *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static bool take_number(struct text *in, int max, int *out)
{
    int value = 0;
    const char *start = in->at;
    for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++) {
        value = value * 10 + (*in->at - '0');
        if (value > max)
            return false;
    }
    *out = value;
    return in->at > start;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* EST or <-03> */
static bool take_name(struct text *in)
{
    const char *start = in->at;
    if (take(in, '<')) {
        while (in->at < in->end && *in->at != '>')
            in->at++;
        return take(in, '>');
    }
    while (in->at < in->end && is_letter(*in->at))
        in->at++;
    return in->at - start >= NAME_BYTES_MIN;
}

/* [+-]hh[:mm[:ss]] */
static bool take_clock(struct text *in, int hours_max, int32_t *out_s)
{
    bool is_negative = take(in, '-');
    int hours, minutes = 0, seconds = 0;
    if (!is_negative)
        (void)take(in, '+');
    if (!take_number(in, hours_max, &hours))
        return false;
    if (take(in, ':') && !take_number(in, 59, &minutes))
        return false;
    if (take(in, ':') && !take_number(in, 59, &seconds))
        return false;
    int32_t value = hours * 3600 + minutes * 60 + seconds;
    *out_s = is_negative ? -value : value;
    return true;
}

static bool take_day(struct text *in, struct rule_day *out)
{
    *out = (struct rule_day){ .kind = 'n', .clock_s = 2 * 3600 };
    if (take(in, 'M')) {
        out->kind = 'M';
        if (!take_number(in, 12, &out->month) || !take(in, '.') || !take_number(in, 5, &out->week) || !take(in, '.') ||
            !take_number(in, 6, &out->day) || out->month == 0 || out->week == 0)
            return false;
    } else {
        if (take(in, 'J'))
            out->kind = 'J';
        if (!take_number(in, 365, &out->day) || (out->kind == 'J' && out->day == 0))
            return false;
    }
    return !take(in, '/') || take_clock(in, RULE_HOURS_MAX, &out->clock_s);
}

static bool parse_rule(struct text in, struct rule *out)
{
    int32_t west_s;
    *out = (struct rule){ 0 };
    if (!take_name(&in) || !take_clock(&in, 24, &west_s))
        return false;
    out->standard_s = -west_s;
    if (in.at == in.end)
        return true;
    out->has_summer = true;
    out->summer_s = out->standard_s + 3600;
    if (!take_name(&in))
        return false;
    if (in.at < in.end && *in.at != ',') {
        if (!take_clock(&in, 24, &west_s))
            return false;
        out->summer_s = -west_s;
    }
    return take(&in, ',') && take_day(&in, &out->begin) && take(&in, ',') && take_day(&in, &out->end) && in.at == in.end;
}

static int64_t day_of_rule(const struct rule_day *rule, int32_t year)
{
    int64_t new_year = af_days_from_civil(year, 1, 1);
    if (rule->kind == 'n')
        return new_year + rule->day;
    if (rule->kind == 'J') {
        bool is_leap = af_days_from_civil(year, 3, 1) - new_year == 60;
        return new_year + rule->day - 1 + (is_leap && rule->day >= 60);
    }
    int64_t first = af_days_from_civil(year, (unsigned)rule->month, 1);
    int64_t next = rule->month == 12 ? af_days_from_civil(year + 1, 1, 1) : af_days_from_civil(year, (unsigned)rule->month + 1, 1);
    int64_t weekday = first + 4 - af_floor_div(first + 4, 7) * 7; /* 1970-01-01 was a Thursday, Sunday is 0 */
    int64_t day = first + (rule->day - weekday + 7) % 7 + 7 * (int64_t)(rule->week - 1);
    return day < next ? day : day - 7; /* week 5: the last one */
}

static int by_time(const void *a, const void *b)
{
    const struct change *x = a;
    const struct change *y = b;
    return (x->at_s > y->at_s) - (x->at_s < y->at_s);
}

/* All changes that the rule makes behind the last of the file. Summer time that lasts all year ends and begins at one instant: no
 * change. */
static void add_rule(struct builder *to, const struct rule *rule)
{
    int64_t after_s = to->count == 0 ? first_s : to->list[to->count - 1].at_s;
    if (!rule->has_summer) {
        if (to->count == 0)
            to->initial_s = rule->standard_s;
        return;
    }
    struct change all[RULE_CHANGES_MAX];
    size_t count = 0;
    for (int32_t year = RULE_YEAR_FIRST; year <= RULE_YEAR_LAST; year++) {
        int64_t begin_s = day_of_rule(&rule->begin, year) * 86400 + rule->begin.clock_s - rule->standard_s;
        int64_t end_s = day_of_rule(&rule->end, year) * 86400 + rule->end.clock_s - rule->summer_s;
        bool is_joined = count > 0 && all[count - 1].at_s == begin_s;
        if (is_joined)
            count--;
        else
            all[count++] = (struct change){ begin_s, rule->summer_s };
        all[count++] = (struct change){ end_s, rule->standard_s };
    }
    qsort(all, count, sizeof *all, by_time);
    for (size_t i = 0; i < count; i++)
        if (all[i].at_s > after_s)
            add_change(to, all[i].at_s, all[i].offset_s);
}

/* --- the file -------------------------------------------------------------------------------------------------------------------- */

static uint64_t read_be(const char *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)at[i];
    return value;
}

struct block {
    char version;
    uint32_t utc_flags, standard_flags, leaps, times, types, name_bytes;
    const char *data;
    size_t time_bytes; /* 4 or 8 */
    size_t bytes;      /* of the data */
};

/* The block at the start of `bytes`. */
static bool find_block(struct af_slice bytes, size_t time_bytes, struct block *out)
{
    if (bytes.len < HEADER_BYTES || memcmp(bytes.ptr, "TZif", 4) != 0)
        return false;
    uint32_t counts[6];
    for (size_t i = 0; i < 6; i++)
        counts[i] = (uint32_t)read_be(bytes.ptr + 20 + 4 * i, 4);
    *out = (struct block){ .version = bytes.ptr[4], .utc_flags = counts[0], .standard_flags = counts[1], .leaps = counts[2],
                           .times = counts[3], .types = counts[4], .name_bytes = counts[5], .data = bytes.ptr + HEADER_BYTES,
                           .time_bytes = time_bytes };
    uint64_t size = (uint64_t)out->times * (time_bytes + 1) + (uint64_t)out->types * 6 + out->name_bytes +
                    (uint64_t)out->leaps * (time_bytes + 4) + out->standard_flags + (uint64_t)out->utc_flags;
    out->bytes = (size_t)size;
    return size <= bytes.len - HEADER_BYTES && out->types > 0;
}

static enum af_status read_changes(struct builder *to, const struct block *block)
{
    const char *kinds = block->data + block->times * block->time_bytes;
    const char *types = kinds + block->times;
    int64_t previous = INT64_MIN;
    for (uint32_t i = 0; i < block->types; i++) {
        int32_t offset_s = (int32_t)read_be(types + 6 * (size_t)i, 4);
        if (offset_s < -OFFSET_MAX_S || offset_s > OFFSET_MAX_S)
            return corrupt(to, "an offset of more than 26 hours");
    }
    to->initial_s = (int32_t)read_be(types, 4);
    for (uint32_t i = 0; i < block->times; i++) {
        uint64_t raw = read_be(block->data + i * block->time_bytes, block->time_bytes);
        int64_t at_s = block->time_bytes == 4 ? (int32_t)(uint32_t)raw : (int64_t)raw;
        unsigned kind = (unsigned char)kinds[i];
        if (kind >= block->types)
            return corrupt(to, "a change to a type that is not there");
        if (i > 0 && at_s <= previous)
            return corrupt(to, "its changes do not ascend");
        add_change(to, at_s, (int32_t)read_be(types + 6 * (size_t)kind, 4));
        previous = at_s;
    }
    return AF_OK;
}

/* What the wall skips or repeats at one change must end before the next one's begins: zone.c looks walls up by halving. */
static enum af_status check_walls(const struct builder *to)
{
    int64_t wall_end = INT64_MIN;
    for (size_t i = 0; i < to->count; i++) {
        int64_t before = to->list[i].at_s + (i == 0 ? to->initial_s : to->list[i - 1].offset_s);
        int64_t after = to->list[i].at_s + to->list[i].offset_s;
        if ((before < after ? before : after) < wall_end)
            return corrupt(to, "changes of its offset that are closer together than what they change");
        wall_end = before < after ? after : before;
    }
    return AF_OK;
}

static enum af_status make_table(const struct builder *to, struct af_zone_table **out)
{
    size_t time_bytes = to->count * sizeof(int64_t);
    struct af_zone_table *table = af_alloc(sizeof *table + time_bytes + (to->count + 1) * sizeof(int32_t));
    if (table == NULL)
        return af_fail_nomem(to->err, "a time zone");
    int64_t *at_s = (int64_t *)(void *)(table + 1);
    int32_t *offset_s = (int32_t *)(void *)((char *)(table + 1) + time_bytes);
    offset_s[0] = to->initial_s;
    for (size_t i = 0; i < to->count; i++) {
        at_s[i] = to->list[i].at_s;
        offset_s[i + 1] = to->list[i].offset_s;
    }
    *table = (struct af_zone_table){ .change_count = to->count, .at_s = at_s, .offset_s = offset_s };
    size_t name_bytes = strlen(to->name);
    memcpy(table->name, to->name, name_bytes < sizeof table->name ? name_bytes : sizeof table->name - 1);
    *out = table;
    return AF_OK;
}

/* The block to use and, behind it, the rule (empty: none). */
static enum af_status find_content(const struct builder *to, struct af_slice bytes, struct block *out, struct text *out_rule)
{
    struct block block;
    *out_rule = (struct text){ NULL, NULL };
    if (!find_block(bytes, 4, &block))
        return corrupt(to, "not a whole TZif file");
    if (block.version >= '2') {
        size_t skip = HEADER_BYTES + block.bytes;
        struct af_slice rest = { bytes.ptr + skip, bytes.len - skip };
        if (!find_block(rest, 8, &block))
            return corrupt(to, "its second half is not whole");
        const char *footer = block.data + block.bytes;
        const char *end = bytes.ptr + bytes.len;
        const char *newline = footer < end && *footer == '\n' ? memchr(footer + 1, '\n', (size_t)(end - footer - 1)) : NULL;
        if (newline == NULL)
            return corrupt(to, "the rule for later years is missing");
        *out_rule = (struct text){ footer + 1, newline };
    }
    if (block.leaps != 0)
        return af_fail(to->err, AF_EUNSUPPORTED, "time zone %s counts leap seconds; times here do not: use the zone without \"right/\"",
                       to->name);
    *out = block;
    return AF_OK;
}

static enum af_status build(struct builder *to, const struct block *block, struct text rule_text, struct af_zone_table **out)
{
    AF_TRY(read_changes(to, block));
    if (rule_text.at < rule_text.end) {
        struct rule rule;
        if (!parse_rule(rule_text, &rule))
            return corrupt(to, "the rule for later years cannot be read");
        add_rule(to, &rule);
    }
    AF_TRY(check_walls(to));
    return make_table(to, out);
}

enum af_status af_zone_table_new(struct af_slice bytes, const char *name, struct af_zone_table **out, struct af_error *err)
{
    struct builder to = { .name = name, .err = err };
    struct block block = { 0 };
    struct text rule_text;
    AF_TRY(find_content(&to, bytes, &block, &rule_text));
    to.list = af_alloc(((size_t)block.times + RULE_CHANGES_MAX) * sizeof *to.list);
    if (to.list == NULL)
        return af_fail_nomem(err, "a time zone");
    enum af_status status = build(&to, &block, rule_text, out);
    af_free(to.list);
    return status;
}

void af_zone_table_free(struct af_zone_table *table)
{
    af_free(table);
}

const char *af_zone_table_name(const struct af_zone_table *table)
{
    return table->name;
}
