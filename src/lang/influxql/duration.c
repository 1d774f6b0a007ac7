/* duration.c - 1h30m: durations as InfluxQL writes them, and back. */
#include "base/numbers.h"
#include "lang/influxql/influxql.h"

#define US INT64_C(1000)
#define MS (INT64_C(1000) * US)
#define SECOND (INT64_C(1000) * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define WEEK (7 * DAY)

/* In printing order: the largest that divides. u is read as the micro sign too. */
static const struct unit {
    const char *name;
    int64_t ns;
} units[] = { { "w", WEEK }, { "d", DAY }, { "h", HOUR }, { "m", MINUTE }, { "s", SECOND }, { "ms", MS }, { "u", US }, { "ns", 1 } };
enum { UNITS = sizeof units / sizeof units[0] };
static const struct unit micro = { "\xc2\xb5", US };

static const struct unit *unit_at(struct af_slice text)
{
    if (af_slice_has_prefix(text, micro.name))
        return &micro;
    const struct unit *best = NULL;
    for (size_t i = 0; i < UNITS; i++)
        if (af_slice_has_prefix(text, units[i].name) && (best == NULL || strlen(units[i].name) > strlen(best->name)))
            best = &units[i];
    return best;
}

static struct af_slice from(struct af_slice text, size_t at)
{
    return (struct af_slice){ text.ptr + at, text.len - at };
}

enum af_status af_ql_duration_parse(struct af_slice text, int64_t *out_ns, struct af_error *err)
{
    uint64_t total = 0;                 /* wraps as InfluxDB's does; only what comes out negative is refused */
    int64_t number = 0;
    const struct unit *unit = NULL;
    bool is_negative = text.len != 0 && text.ptr[0] == '-';
    size_t at = is_negative ? 1 : 0;
    if (text.len < 2)
        return af_fail(err, AF_EINVAL, "invalid duration");
    while (at < text.len) {
        size_t start = at;
        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
            at++;
        unit = unit_at(from(text, at));
        if (unit == NULL || !af_i64_parse((struct af_slice){ text.ptr + start, at - start }, &number))
            return af_fail(err, AF_EINVAL, "invalid duration");
        total += (uint64_t)number * (uint64_t)unit->ns;
        at += strlen(unit->name);
    }
    if ((int64_t)total < 0 && !is_negative)
        return af_fail(err, AF_EINVAL, "overflowed duration %lld%s: choose a smaller duration or INF", (long long)number, unit->name);
    *out_ns = (int64_t)(is_negative ? 0 - total : total);
    return AF_OK;
}

void af_ql_print_duration(struct af_buf *out, int64_t ns)
{
    size_t i = 0;
    while (ns % units[i].ns != 0)
        i++;
    if (ns == 0)
        af_buf_append_str(out, "0s");
    else
        af_buf_printf(out, "%lld%s", (long long)(ns / units[i].ns), units[i].name);
}
