/*
 * window.c - time cut into windows; see window.h.
 *
 * On the wall of the zone the starts are a grid: offset + k * every, or the first of each `every_months`th month, plus offset. What is left
 * is to carry a grid point w to UTC, and that is only a question near a change of the zone's offset (by `shift`, from `before` to `after`).
 *
 * InfluxQL 1.8 finds the window of a time t with the offset at t, moves start and stop if another offset holds there, and moves neither if
 * the shift is not smaller than a window. Followed through, that is:
 *
 *     every > |shift|    The start is the instant at which the wall shows w. If it shows it twice, the first time; if it skips it, w
 *                        shifted forward by what is skipped (both: w - before). Windows around the change are shorter or longer by
 *                        the shift: days of 23 and 25 hours, and where [02:00, 03:00) comes twice, [02:00, 04:00) is three hours long.
 *     every <= |shift|   Windows are equally long on both sides. Hours stay hours; the one that the wall shows twice is two windows. If the
 *                        grids on both sides are not the same (shift is no multiple of every), a window ends and one begins at the change.
 *
 * Two corners are cleaner here than there. 1.8 looks the zone up at t - offset, so with an offset it changes `offset` too late, and two of
 * its windows then overlap; and a start that the wall shows twice is there either of the two, according to where its first row lies. Here
 * windows never overlap and depend on nothing but time.
 */
#include "data/window.h"

typedef __int128 wide; /* times past the ends of int64, which appear on the way */

enum { MONTHS_MAX = 100000 }; /* longer than all of int64 */

static int64_t clamp(wide ns)
{
    return ns < INT64_MIN ? INT64_MIN : ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

/* floor(a / b), b > 0 */
static wide divide(wide a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* --- the grid ------------------------------------------------------------------------------------------------------------------ */

static int64_t months_of(const struct af_window *window)
{
    return window->every_months < MONTHS_MAX ? window->every_months : MONTHS_MAX;
}

/* The number of the last grid point that is not after `wall`. */
static wide grid_index(const struct af_window *window, wide wall)
{
    if (window->every_months == 0)
        return divide(wall - window->offset_ns, window->every_ns);
    struct af_civil civil;
    af_civil_from_ns(clamp(wall - window->offset_ns), &civil);
    return divide(((wide)civil.year - 1970) * 12 + civil.month - 1, months_of(window));
}

static wide grid_point(const struct af_window *window, wide index)
{
    if (window->every_months == 0)
        return index * window->every_ns + window->offset_ns;
    wide month = index * months_of(window);
    wide year = divide(month, 12);
    int64_t days = af_days_from_civil((int32_t)(year + 1970), (unsigned)(month - year * 12) + 1, 1);
    return (wide)days * AF_NS_PER_DAY + window->offset_ns;
}

/* --- one window ---------------------------------------------------------------------------------------------------------------- */

/* A grid point as an instant, by the wall. */
static wide instant_of(const struct af_zone *zone, wide wall)
{
    int64_t utc_ns, first_s, end_s;
    if (wall >= INT64_MIN && wall <= INT64_MAX && af_zone_to_utc(zone, (int64_t)wall, &utc_ns) != AF_LOCAL_RANGE)
        return utc_ns;
    return wall - af_zone_span(zone, clamp(wall) / AF_NS_PER_S, &first_s, &end_s) * AF_NS_PER_S;
}

struct span {
    int32_t offset_s;
    int64_t first_s, end_s; /* instants with this offset */
};

static struct span span_at(const struct af_zone *zone, int64_t utc_s)
{
    struct span span;
    span.offset_s = af_zone_span(zone, utc_s, &span.first_s, &span.end_s);
    return span;
}

/* At the change that begins or ends the span: is its shift too large for windows that follow the wall? False where there is no change.
 * *out_same_grid: it leaves the grid as it is. */
static bool is_too_large(const struct af_window *window, const struct span *span, bool at_end, bool *out_same_grid)
{
    if (window->every_months != 0 || (at_end ? span->end_s == INT64_MAX : span->first_s == INT64_MIN))
        return false;
    int32_t other_s = span_at(&window->zone, at_end ? span->end_s : span->first_s - 1).offset_s;
    int64_t shift_ns = (other_s - span->offset_s) * AF_NS_PER_S;
    *out_same_grid = shift_ns % window->every_ns == 0;
    return window->every_ns <= (shift_ns < 0 ? -shift_ns : shift_ns);
}

static wide find_start(const struct af_window *window, const struct span *span, int64_t t, wide *index)
{
    wide start = grid_point(window, *index) - span->offset_s * AF_NS_PER_S;
    bool same_grid;
    if (span->first_s == INT64_MIN)
        return start;
    if (is_too_large(window, span, false, &same_grid)) {
        wide change = (wide)span->first_s * AF_NS_PER_S;
        return start < change && !same_grid ? change : start;
    }
    /* The instants of two grid points and their walls may lie on different sides of t: where the wall skipped the first, or repeats the
     * second and reads it for the second time after t. */
    start = instant_of(&window->zone, grid_point(window, *index));
    wide next = instant_of(&window->zone, grid_point(window, *index + 1));
    if (start <= t && t < next)
        return start;
    *index += next <= t ? 1 : -1;
    return next <= t ? next : instant_of(&window->zone, grid_point(window, *index));
}

static wide find_stop(const struct af_window *window, const struct span *span, wide index)
{
    wide change = (wide)span->end_s * AF_NS_PER_S;
    wide stop = grid_point(window, index + 1) - span->offset_s * AF_NS_PER_S;
    bool same_grid;
    if (is_too_large(window, span, true, &same_grid))
        return stop > change && !same_grid ? change : stop;
    if (stop <= change && is_too_large(window, span, false, &same_grid))
        return stop; /* perhaps its wall was there before */
    return instant_of(&window->zone, grid_point(window, index + 1));
}

void af_window_of(const struct af_window *window, int64_t t, int64_t *out_start, int64_t *out_stop)
{
    if (af_window_is_none(window)) {
        *out_start = INT64_MIN;
        *out_stop = INT64_MAX;
        return;
    }
    struct span span = span_at(&window->zone, af_floor_div(t, AF_NS_PER_S));
    wide index = grid_index(window, (wide)t + span.offset_s * AF_NS_PER_S);
    *out_start = clamp(find_start(window, &span, t, &index));
    *out_stop = clamp(find_stop(window, &span, index));
}

/* --- many ---------------------------------------------------------------------------------------------------------------------- */

/* The last time of [start_ns, stop_ns); false if there is none. INT64_MAX as stop is a time itself. */
static bool last_of(int64_t start_ns, int64_t stop_ns, int64_t *out)
{
    *out = stop_ns == INT64_MAX ? stop_ns : stop_ns - 1;
    return stop_ns != INT64_MIN && start_ns <= *out;
}

uint64_t af_window_count(const struct af_window *window, int64_t start_ns, int64_t stop_ns, uint64_t max)
{
    int64_t last, start, stop;
    if (!last_of(start_ns, stop_ns, &last))
        return 0;
    if (af_window_is_none(window))
        return 1;
    if (window->zone.kind == AF_ZONE_FIXED) {
        wide offset_ns = window->zone.offset_s * AF_NS_PER_S;
        wide count = grid_index(window, last + offset_ns) - grid_index(window, start_ns + offset_ns) + 1;
        return count > max ? max + 1 : (uint64_t)count;
    }
    /* At most twice as long as `every`, so many are seen to be too many without walking over them. */
    if (window->every_months == 0 && ((wide)last - start_ns) / window->every_ns / 2 > max)
        return max + 1;
    uint64_t count = 0;
    for (int64_t t = start_ns; count <= max; t = stop) {
        af_window_of(window, t, &start, &stop);
        count++;
        if (stop > last || stop == INT64_MAX)
            break;
    }
    return count;
}

enum af_status af_window_edges(const struct af_window *window, int64_t start_ns, int64_t stop_ns, size_t max, struct af_arena *arena,
                               int64_t **out, size_t *out_count, struct af_error *err)
{
    uint64_t count = af_window_count(window, start_ns, stop_ns, max);
    if (count > max)
        return af_fail(err, AF_ELIMIT, "the range holds more than %zu windows: ask for a shorter range or longer windows", max);
    int64_t *edges = af_arena_array(arena, (size_t)count + 1, sizeof *edges);
    if (edges == NULL)
        return af_arena_fail(arena, ((size_t)count + 1) * sizeof *edges, "the windows of a query", err);
    int64_t stop = start_ns;
    af_window_of(window, start_ns, &edges[0], &stop);
    for (size_t i = 0; i < count; i++) {
        int64_t t = i == 0 ? start_ns : edges[i];
        af_window_of(window, t, &edges[i], &edges[i + 1]);
    }
    *out = edges;
    *out_count = (size_t)count;
    return AF_OK;
}
