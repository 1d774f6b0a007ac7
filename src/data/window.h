/*
 * window.h - time cut into windows: every hour, every day of a zone, every month.
 *
 * A window begins at offset + k * every on the clock of its zone, k any integer; months count from 1970-01. With a zone, windows follow the
 * wall clock: a day is 23 or 25 hours long where summer time begins or ends. What shorter windows do there is InfluxQL's rule (window.c).
 * Starts stop at the ends of int64.
 */
#ifndef AF_DATA_WINDOW_H
#define AF_DATA_WINDOW_H
#include "base/arena.h"
#include "base/calendar.h"

struct af_window {
    int64_t every_ns;     /* 0: no windows (all of the range is one), unless every_months */
    int64_t every_months;
    int64_t offset_ns;    /* any sign */
    struct af_zone zone;  /* all zero: UTC */
};
static inline bool af_window_is_none(const struct af_window *window)
{
    return window->every_ns == 0 && window->every_months == 0;
}
/* Every window is equally long: start of t is floor((t - offset) / every) * every + offset. */
static inline bool af_window_is_regular(const struct af_window *window)
{
    return window->every_ns != 0 && window->zone.kind == AF_ZONE_FIXED && window->zone.offset_s == 0;
}
/* The window [start, stop) that holds time t; one without windows is [INT64_MIN, INT64_MAX]. */
void af_window_of(const struct af_window *window, int64_t t, int64_t *out_start, int64_t *out_stop);
/* How many windows touch [start_ns, stop_ns), at most `max` + 1: for limits. */
uint64_t af_window_count(const struct af_window *window, int64_t start_ns, int64_t stop_ns, uint64_t max);
/* Their starts and behind them the stop of the last one: *out_count + 1 ascending times in `arena`. AF_ELIMIT past `max`. */
AF_MUST_CHECK enum af_status af_window_edges(const struct af_window *window, int64_t start_ns, int64_t stop_ns, size_t max,
                                             struct af_arena *arena, int64_t **out, size_t *out_count, struct af_error *err);
#endif
