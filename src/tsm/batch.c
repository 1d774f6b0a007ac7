/*
 * batch.c - a write in two steps, without a log: what needs no order, by any number of threads; then the cache, in the caller's order.
 *
 *     prepare    keys and strings, retention, shards, targets, series ids        everything lives in the write's arena
 *     apply      types of fields, cache                                          one after the other
 *
 * Types wait for the second step because the first write of a field decides its type: which one is first must not depend on threads.
 * Series of rows that are dropped there are in the index already; InfluxDB keeps those too.
 */
#include "tsm/write_int.h"
#include <inttypes.h>

struct af_tsm_batch {
    struct job job;
    uint32_t *ids;      /* by row; NULL: no row is left */
    uint64_t *shard_ids;
};

static void release(void *ctx)
{
    struct af_tsm_batch *batch = ctx;
    job_done(&batch->job);
}

static enum af_status prepare(struct af_tsm_batch *batch, struct af_tsm_series_memo *memo, struct af_error *err)
{
    struct job *job = &batch->job;
    const uint32_t *series_before = job->points.series;
    AF_TRY(job_check_points(job, err));
    AF_TRY(job_choose_shards(job, err));
    AF_TRY(job_list_dropped(job, series_before, err));
    job->engine->counts.points_dropped += job->verdict->dropped_row_count;
    if (job->live_count == 0)
        return AF_OK;
    AF_TRY(job_choose_targets(job, err));
    AF_TRY(job_resolve(job, memo, &batch->ids, err));
    return job_shard_ids(job, &batch->shard_ids, err);
}

enum af_status af_tsm_prepare(struct af_tsm *engine, const struct af_tsm_write *write, struct af_tsm_verdict *out,
                              struct af_tsm_batch **out_batch, struct af_error *err)
{
    memset(out, 0, sizeof *out);
    if (engine->wal != NULL)
        return af_fail(err, AF_EINVAL, "%s has a log: its writes are one step", engine->dir);
    struct af_tsm_batch *batch = af_arena_zero(write->arena, 1, sizeof *batch);
    if (batch == NULL)
        return af_arena_fail(write->arena, sizeof *batch, "a batch", err);
    struct af_bucket *bucket = af_bucket_find(engine, write->bucket);
    if (bucket == NULL)
        return af_fail(err, AF_ENOTFOUND, "there is no bucket %016" PRIx64 " in %s", write->bucket, engine->dir);
    batch->job = (struct job){ .engine = engine, .bucket = bucket, .arena = write->arena, .verdict = out, .points = *write->points };
    if (!af_arena_on_reset(write->arena, release, batch)) {
        job_done(&batch->job);
        return af_fail_nomem(err, "a batch");
    }
    AF_TRY(prepare(batch, write->memo, err));
    batch->job.points.set = NULL;
    *out_batch = batch;
    return AF_OK;
}

/* What the types leave of it: rows dropped here are marked in a list of their own, which says that they were not before. */
static enum af_status check_types(struct af_tsm_batch *batch, struct af_tsm_verdict *out, struct af_error *err)
{
    struct job *job = &batch->job;
    const uint32_t *series_before = job->points.series;
    job->own_series = NULL;
    job->verdict = out;
    AF_TRY(job_check_types(job, err));
    AF_TRY(job_list_dropped(job, series_before, err));
    job->engine->counts.points_dropped += out->dropped_row_count;
    return AF_OK;
}

static enum af_status put(struct af_tsm_batch *batch, const uint32_t *ids, uint64_t *out_stretch, struct af_error *err)
{
    struct job *job = &batch->job;
    af_mutex_lock(&job->engine->apply);
    enum af_status status = job_put(job, ids, batch->shard_ids, err);
    *out_stretch = job->engine->at.stretch;
    af_mutex_unlock(&job->engine->apply);
    AF_TRY(status);
    job->engine->counts.points_written += job->live_count;
    job->engine->counts.values_written += job_count_values(job);
    job->engine->counts.commits++;
    return AF_OK;
}

/* The ids without those of dropped rows; batch->ids keeps them, for af_tsm_batch_key. */
static enum af_status kept_ids(const struct af_tsm_batch *batch, const struct af_tsm_verdict *verdict, const uint32_t **out,
                               struct af_error *err)
{
    *out = batch->ids;
    if (verdict->dropped_row_count == 0)
        return AF_OK;
    size_t rows = batch->job.points.row_count;
    uint32_t *ids = af_arena_array(batch->job.arena, rows, sizeof *ids);
    if (ids == NULL)
        return af_arena_fail(batch->job.arena, rows * sizeof *ids, "the series of a write", err);
    memcpy(ids, batch->ids, rows * sizeof *ids);
    for (size_t i = 0; i < verdict->dropped_row_count; i++)
        ids[verdict->dropped_rows[i]] = AF_INDEX_NONE;
    *out = ids;
    return AF_OK;
}

static enum af_status apply(struct af_tsm_batch *batch, struct af_tsm_verdict *out, uint64_t *out_stretch, struct af_error *err)
{
    const uint32_t *ids;
    AF_TRY(check_types(batch, out, err));
    if (batch->job.live_count == 0)
        return AF_OK;
    AF_TRY(kept_ids(batch, out, &ids, err));
    return put(batch, ids, out_stretch, err);
}

enum af_status af_tsm_apply(struct af_tsm_batch *batch, struct af_tsm_verdict *out, uint64_t *out_stretch, struct af_error *err)
{
    struct job *job = &batch->job;
    memset(out, 0, sizeof *out);
    *out_stretch = 0;
    if (job->live_count == 0)
        return AF_OK;
    AF_TRY(core_make_room(job->engine, err));
    core_gate_enter(&job->bucket->gate);
    enum af_status status = apply(batch, out, out_stretch, err);
    core_gate_leave(&job->bucket->gate);
    if (status == AF_OK && job->live_count > 0)
        core_after_write(job->engine);
    return status;
}

struct af_slice af_tsm_batch_key(const struct af_tsm_batch *batch, uint32_t row)
{
    return af_index_key(batch->job.bucket->index, batch->ids[row]);
}

uint64_t af_tsm_durable(struct af_tsm *engine)
{
    af_mutex_lock(&engine->lock);
    uint64_t durable = engine->at.durable;
    af_mutex_unlock(&engine->lock);
    return durable;
}
