/*
 * exec.h - a plan at work: operators that pull tables from each other, one file an operator.
 *
 *     af_exec_open(&options, &tables)   --> af_tables_next ... --> af_tables_close
 *
 * Every limit is checked where the memory is taken: each operator that keeps rows (merging series, windows of WHOLE functions, regrouping)
 * takes it from the query's budget; past it the query ends with AF_ELIMIT and words that name the limit and what to do. Cancellation is
 * polled between batches and inside long loops.
 */
#ifndef AF_EXEC_EXEC_H
#define AF_EXEC_EXEC_H
#include "plan/plan.h"

struct af_exec_limits {
    size_t bytes_max;          /* all memory of the query; 0: AF_QUERY_BYTES_MAX */
    uint64_t points_max;       /* values read from stores; 0: no limit */
    uint64_t series_max;       /* series looked at; 0: no limit */
    uint64_t windows_max;      /* windows of one group: `max-select-buckets`; 0: AF_QUERY_WINDOWS_MAX */
    int64_t deadline_mono_ns;  /* 0: none */
};
/* What each node did, by node id. Written while it runs; read it afterwards. */
struct af_exec_node_stats {
    uint64_t tables, rows;     /* given */
    uint64_t points, series;   /* read from the store: SCAN, FOLD */
    int64_t took_ns;           /* in this node and below; only with `analyze` */
};
struct af_exec_stats {
    struct af_exec_node_stats *nodes; /* by id; caller's, node_count of them; NULL: not wanted */
    uint64_t points, series;
    size_t bytes_peak;
};
struct af_exec_options {
    const struct af_plan *plan;          /* checked; lives until close */
    struct af_store *const *stores;      /* by source number */
    size_t store_count;
    struct af_exec_limits limits;
    const bool *cancel;                  /* may be NULL; handed to the stores too, which know no deadline: who has one sets this */
    const bool *gone;                    /* likewise: the client left; polled between batches */
    bool analyze;                        /* measure time */
    struct af_exec_stats *stats;         /* may be NULL */
    uint64_t seed;                       /* of SAMPLE */
    unsigned workers;                    /* 0: one for each processor */
};
AF_MUST_CHECK enum af_status af_exec_open(const struct af_exec_options *options, struct af_tables **out, struct af_error *err);
#endif
