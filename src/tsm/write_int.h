/*
 * write_int.h - a batch on its way into the engine, shared by write.c (the way), check.c (what may go) and batch.c (in two steps).
 */
#ifndef AF_TSM_WRITE_INT_H
#define AF_TSM_WRITE_INT_H
#include "tsm/core_int.h"

/*
 * A target is a pair of measurement and shard: where types of fields are decided. The usual batch has one; then no row needs to be
 * looked at for it.
 */
struct target {
    struct af_slice measurement; /* escaped */
    struct af_shard *shard;
};
struct job {
    struct af_tsm *engine;
    struct af_bucket *bucket;
    struct af_arena *arena;
    struct af_tsm_verdict *verdict;
    struct af_points points;        /* the caller's; `series` becomes a copy of ours when a row is dropped */
    uint32_t *own_series;           /* NULL: nothing was dropped */
    const char **why_of;            /* by row that was dropped */
    size_t live_count;              /* rows that are still points */
    size_t conflict_row;            /* the first row of those with a conflict, once there is one */

    const uint32_t *measurement_of; /* by row: which measurement; NULL: all are of measurements[0] */
    struct af_slice *measurements;
    size_t measurement_count;

    struct af_shard **shards;       /* references */
    size_t shard_count;
    size_t new_shards;              /* that it has made */
    bool is_replay;                 /* of the log: what was acknowledged is bound by no limit that guards the engine's size */
    const uint32_t *shard_of;       /* by row; NULL: all are in shards[0] */

    struct target *targets;
    size_t target_count;
    const uint32_t *target_of;      /* by row; NULL: all are targets[0] */
};

static inline bool job_is_live(const struct job *job, size_t row)
{
    return job->points.series[row] != UINT32_MAX;
}

/* Take a live row out; `why` lives as long as the job's arena. */
AF_MUST_CHECK enum af_status job_drop(struct job *job, size_t row, const char *why, struct af_error *err);
/* The same, counted and worded as what does not fit. */
AF_MUST_CHECK enum af_status job_drop_unfit(struct job *job, size_t row, const char *why, struct af_error *err);
/* After all drops: verdict->dropped_rows and their reasons. */
AF_MUST_CHECK enum af_status job_list_dropped(struct job *job, const uint32_t *series_before, struct af_error *err);

/* write.c, in this order; what there is of the job is freed by job_done. */
AF_MUST_CHECK enum af_status core_make_room(struct af_tsm *engine, struct af_error *err);
AF_MUST_CHECK enum af_status job_check_points(struct job *job, struct af_error *err); /* sizes, cost, retention */
AF_MUST_CHECK enum af_status job_choose_shards(struct job *job, struct af_error *err);
AF_MUST_CHECK enum af_status job_choose_targets(struct job *job, struct af_error *err);
AF_MUST_CHECK enum af_status job_resolve(struct job *job, struct af_tsm_series_memo *memo, uint32_t **out_ids, struct af_error *err);
/* By row; NULL: all are in shards[0]. */
AF_MUST_CHECK enum af_status job_shard_ids(struct job *job, uint64_t **out, struct af_error *err);
AF_MUST_CHECK enum af_status job_put(struct job *job, const uint32_t *ids, const uint64_t *shards, struct af_error *err);
uint64_t job_count_values(const struct job *job);
void job_done(struct job *job);
void core_after_write(struct af_tsm *engine); /* tells the flusher, or is it */

/* check.c, in this order. */
AF_MUST_CHECK enum af_status job_check_sizes(struct job *job, struct af_error *err);     /* and the measurements */
AF_MUST_CHECK enum af_status job_check_keys_bytes(struct job *job, struct af_error *err);
AF_MUST_CHECK enum af_status job_check_retention(struct job *job, int64_t retention_ns, struct af_error *err);
AF_MUST_CHECK enum af_status job_check_types(struct job *job, struct af_error *err);     /* after shards are chosen */
#endif
