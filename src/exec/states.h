/*
 * states.h - the windows of one group that AGGREGATE is at work on: a state for each call in each window, found by the window's start.
 *
 *     states_at(states, start_ns, &window)  ->  struct window_state [ call 0 | call 1 | ... ]
 *
 * In a range of modest size with regular windows the place of a start is counted out (an array over the range); otherwise it is hashed.
 * Windows are numbered as they appear; states_sort brings them in order.
 */
#ifndef AF_EXEC_STATES_H
#define AF_EXEC_STATES_H
#include "exec/build.h"

struct window_state {
    _Alignas(16) int64_t start_ns;
};
struct window_slot {
    int64_t start_ns;                    /* again, so that sorting does not visit the states */
    struct window_state *state;
};
struct states {
    struct mem mem;                      /* of the group: states and what calls grow in them */
    struct mem index_mem;                /* of the query: the array over the range */
    const struct windows *windows;
    size_t state_bytes;                  /* of a window, the head included */
    struct window_slot *slots;           /* in the order in which they appeared */
    size_t count, cap;
    bool is_sorted;                      /* as they appeared, they ascend */
    char *block;                         /* states not handed out yet */
    size_t block_left;
    uint32_t *places;                    /* of a start in the range: number + 1, 0: none */
    size_t place_count;                  /* 0: starts are hashed */
    int64_t first_start_ns;
    uint32_t *table;                     /* hashed: number + 1 */
    size_t table_cap;                    /* a power of two */
    struct window_state *recent;         /* the window found last */
    size_t charged_at;                   /* bytes in use when it was charged last */
};
void states_init(struct states *states, struct exec *exec, const struct windows *windows, size_t state_bytes);
AF_MUST_CHECK enum af_status states_at(struct states *states, int64_t start_ns, struct window_state **out, struct af_error *err);
/* For windows that come one behind the other: the one that was there before makes room. */
AF_MUST_CHECK enum af_status states_only(struct states *states, int64_t start_ns, struct window_state **out, struct af_error *err);
/* Charges what calls have grown, every now and then. */
AF_MUST_CHECK enum af_status states_charge(struct states *states, struct af_error *err);
AF_MUST_CHECK enum af_status states_sort(struct states *states, struct af_error *err); /* slots ascend; nothing is found any more */
void states_clear(struct states *states);
void states_done(struct states *states);
#endif
