/*
 * first.c - the first write of a shard is made by one request alone.
 *
 * InfluxDB makes a shard when its first points come, and its write cache (1.6 to 2.7) is set up by the first request in: a second one that
 * comes in that moment gets 204 and its points are not found, until a restart reads them out of the log (docs/formats/influxdb-http.md).
 * Two lanes that go through the same time side by side meet there. So:
 *
 *     weeks that a write of ours has reached and was answered      known    any number of requests at once
 *     a request with another week in it                           the turn  one at a time; then its weeks are known
 *
 * The shards of a bucket kept for ever cover whole weeks from Monday on, one or more (Go's zero time was a Monday). Where shards are
 * shorter (retention below half a year) the first of a week is covered and the others are left to luck: history is not loaded there.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "os/clock.h"
#include "remote/remote_int.h"
#include <stdlib.h>

enum { WAIT_NS = 100 * 1000 * 1000, MONDAY = 4 /* days from 1970-01-01 to the first one */ };

/* The time at the end of a line; false: it has none. */
static bool time_of(struct af_slice line, int64_t unit_ns, int64_t *out)
{
    size_t at = line.len;
    int64_t value;
    while (at > 0 && line.len - at < AF_I64_TEXT_MAX && line.ptr[at - 1] != ' ')
        at--;
    return af_i64_parse((struct af_slice){ line.ptr + at, line.len - at }, &value) && !__builtin_mul_overflow(value, unit_ns, out);
}

static int64_t week_of(int64_t ns)
{
    return af_floor_div(af_floor_div(ns, AF_NS_PER_DAY) - MONDAY, 7);
}

static enum af_status add_week(struct remote_weeks *weeks, int64_t week, struct af_error *err)
{
    if (weeks->count > 0 && weeks->items[weeks->count - 1] == week)
        return AF_OK;
    if (weeks->count == weeks->cap) {
        size_t cap = weeks->cap == 0 ? 64 : weeks->cap * 2;
        int64_t *items = af_realloc(weeks->items, cap * sizeof *items);
        if (items == NULL)
            return af_fail_nomem(err, "the weeks of a write");
        weeks->items = items;
        weeks->cap = cap;
    }
    weeks->items[weeks->count++] = week;
    return AF_OK;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Every week of the lines once, ascending. A newline inside a string splits its line: what follows is taken for a time or not, and
 * costs at most a turn more. */
static enum af_status collect(const struct af_write *write, struct remote_weeks *weeks, struct af_error *err)
{
    struct af_slice rest = write->lines;
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
        int64_t ns;
        if (time_of((struct af_slice){ rest.ptr, len }, write->precision_ns, &ns))
            AF_TRY(add_week(weeks, week_of(ns), err));
        len += end != NULL;
        rest = (struct af_slice){ rest.ptr + len, rest.len - len };
    }
    if (weeks->count > 1)
        qsort(weeks->items, weeks->count, sizeof *weeks->items, compare);
    size_t kept = 0;
    for (size_t i = 0; i < weeks->count; i++)
        if (kept == 0 || weeks->items[kept - 1] != weeks->items[i])
            weeks->items[kept++] = weeks->items[i];
    weeks->count = kept;
    return AF_OK;
}

static void drop_known_locked(const struct remote_first *first, struct remote_weeks *weeks)
{
    size_t kept = 0;
    size_t at = 0;
    for (size_t i = 0; i < weeks->count; i++) {
        while (at < first->known.count && first->known.items[at] < weeks->items[i])
            at++;
        if (at == first->known.count || first->known.items[at] != weeks->items[i])
            weeks->items[kept++] = weeks->items[i];
    }
    weeks->count = first->known.count < AF_REMOTE_WEEKS_MAX ? kept : 0; /* so many: no history that goes forward */
}

enum af_status remote_first_enter(struct remote_first *first, const struct af_write *write, struct remote_weeks *weeks,
                                  struct af_error *err)
{
    enum af_status status = collect(write, weeks, err);
    af_mutex_lock(&first->lock);
    drop_known_locked(first, weeks);
    while (status == AF_OK && weeks->count > 0 && first->is_taken) {
        (void)af_cond_wait_until(&first->cond, &first->lock, af_clock_mono_ns() + WAIT_NS);
        drop_known_locked(first, weeks);
        if (write->cancel != NULL && *(const volatile bool *)write->cancel)
            status = af_fail(err, AF_ECANCELED, "interrupted");
    }
    if (status == AF_OK && weeks->count > 0) { /* `known` stays as it is while the turn is taken */
        weeks->room = af_alloc((first->known.count + weeks->count) * sizeof *weeks->room);
        status = weeks->room != NULL ? AF_OK : af_fail_nomem(err, "the weeks of a write");
    }
    if (status != AF_OK)
        weeks->count = 0;
    first->is_taken = first->is_taken || weeks->count > 0;
    af_mutex_unlock(&first->lock);
    return status;
}

/* Both ascending, nothing in common. */
static void merge_locked(struct remote_first *first, struct remote_weeks *weeks)
{
    size_t count = first->known.count + weeks->count;
    int64_t *items = weeks->room;
    size_t a = 0;
    size_t b = 0;
    for (size_t i = 0; i < count; i++) {
        bool takes_known = b == weeks->count || (a < first->known.count && first->known.items[a] < weeks->items[b]);
        items[i] = takes_known ? first->known.items[a++] : weeks->items[b++];
    }
    af_free(first->known.items);
    first->known = (struct remote_weeks){ .items = items, .count = count };
    weeks->room = NULL;
}

void remote_first_leave(struct remote_first *first, struct remote_weeks *weeks, bool is_done)
{
    if (weeks->count > 0) {
        af_mutex_lock(&first->lock);
        if (is_done)
            merge_locked(first, weeks);
        first->is_taken = false;
        af_cond_broadcast(&first->cond);
        af_mutex_unlock(&first->lock);
    }
    af_free(weeks->room);
    af_free(weeks->items);
    *weeks = (struct remote_weeks){ 0 };
}

void remote_first_init(struct remote_first *first)
{
    *first = (struct remote_first){ 0 };
    af_mutex_init(&first->lock);
    af_cond_init(&first->cond);
}

void remote_first_done(struct remote_first *first)
{
    af_free(first->known.items);
    af_cond_done(&first->cond);
    af_mutex_done(&first->lock);
}
