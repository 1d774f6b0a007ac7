/*
 * decorate.h - stores around a store: one that tells what happens, one that makes it fail. Each owns the store inside and
 * closes it.
 */
#ifndef AF_STORE_DECORATE_H
#define AF_STORE_DECORATE_H
#include "store/store.h"

/* One line a call, without line end: "write 120 lines, 4096 bytes: done, 0.8 ms". Called from whichever thread made the call. */
typedef void (*af_trace_line)(void *ctx, const char *line);
AF_MUST_CHECK enum af_status af_trace_open(struct af_store *inner, af_trace_line line, void *ctx, struct af_store **out,
                                           struct af_error *err);

/*
 * Failures by plan. Each write draws from a generator seeded with `seed`: the same seed gives the same sequence of fates
 * (which thread meets which is up to the threads). Permilles are tried in this order; what is left of 1,000 goes well.
 * Scans, listings and pings fail only while the store is down.
 */
struct af_fault_plan {
    uint64_t seed;
    uint32_t before_permille; /* AF_EIO, nothing was written */
    uint32_t after_permille;  /* the write took effect, then AF_EIO: the answer was lost */
    uint32_t half_permille;   /* the first half of the lines took effect, then AF_EIO */
    uint32_t busy_permille;   /* AF_EBUSY with retry_after_ms, nothing was written */
    uint32_t retry_after_ms;
    uint32_t delay_permille;  /* drawn apart: so many writes first sleep up to delay_ms_max */
    uint32_t delay_ms_max;
};
AF_MUST_CHECK enum af_status af_fault_open(struct af_store *inner, const struct af_fault_plan *plan, struct af_store **out,
                                           struct af_error *err);

/* While down every call is AF_EIO. */
void af_fault_set_down(struct af_store *store, bool is_down);

/* The next `count` writes fail with `status`; with `after`, once they took effect. Comes before the plan. */
void af_fault_next(struct af_store *store, uint32_t count, enum af_status status, bool after);

struct af_fault_stats {
    uint64_t writes; /* calls */
    uint64_t failed; /* of them, made to fail */
};
void af_fault_stats(struct af_store *store, struct af_fault_stats *out);
#endif
