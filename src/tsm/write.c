/*
 * write.c - a batch into the engine.
 *
 *     room in the cache? -- is the disk still full? -- what may be written (check.c) -- shards, types, series
 *          --> record --> log (durable; gives the turn) --> cache, in turn --> acknowledged
 *
 * Nothing before the log has an order, so threads overlap there; the turn makes the cache what a replay would make it. Between the log and
 * `applied` no lock of the engine is taken, so a flush can wait for that stretch to be empty (the log's pause).
 *
 * Room: writers wait while active and frozen cache together hold cache_bytes, and are refused at once when the frozen cache cannot be
 * written because the disk is full. After a full disk each write tries the log first with an empty record, so a refusal stays cheap and
 * the engine heals without being told.
 */
#include "base/calendar.h"
#include "base/limits.h"
#include "os/clock.h"
#include "tsm/write_int.h"
#include <inttypes.h>
#include <stdio.h>

enum { RETRY_AFTER_MS = 1000 };

static enum af_status later(struct af_error *err, enum af_status status)
{
    if (err != NULL)
        err->retry_after_ms = RETRY_AFTER_MS;
    return status;
}

/* --- room ------------------------------------------------------------------------------------------------------------------ */

static size_t cached_locked(const struct af_tsm *engine)
{
    return af_cache_bytes(engine->at.active) + (engine->at.frozen != NULL ? af_cache_bytes(engine->at.frozen) : 0);
}

/* Until there is room, it cannot be made, or the time is up. */
static enum af_status wait_locked(struct af_tsm *engine, struct af_error *err)
{
    int64_t until = af_clock_mono_ns() + (int64_t)engine->options.cache_wait_ms * 1000000;
    bool in_time = true;
    engine->counts.waits++;
    while (cached_locked(engine) >= engine->options.cache_bytes) {
        AF_TRY(core_check_writable_locked(engine, err));
        if (engine->at.flush_failure == AF_EFULL) {
            engine->at.must_flush = true; /* when its pause is over */
            af_cond_broadcast(&engine->wake);
            return later(err, af_fail(err, AF_EFULL, "the cache is full and cannot be written out: %s", engine->at.why));
        }
        if (!in_time)
            return later(err, af_fail(err, AF_EBUSY, "the cache held %zu bytes of points for %u ms and could not be written out in time; "
                                      "send less at once, or give it more memory", engine->options.cache_bytes,
                                      engine->options.cache_wait_ms));
        engine->at.must_flush = true;
        af_cond_broadcast(&engine->wake);
        in_time = af_cond_wait_until(&engine->room, &engine->lock, until);
    }
    return AF_OK;
}

enum af_status core_make_room(struct af_tsm *engine, struct af_error *err)
{
    af_mutex_lock(&engine->lock);
    enum af_status status = core_check_writable_locked(engine, err);
    bool is_short = status == AF_OK && cached_locked(engine) >= engine->options.cache_bytes;
    if (is_short && !engine->options.is_manual)
        status = wait_locked(engine, err);
    af_mutex_unlock(&engine->lock);
    if (is_short && engine->options.is_manual)
        status = af_tsm_flush(engine, err);
    return status;
}

/* After a full disk: is there room for the log again? */
static enum af_status heal(struct af_tsm *engine, struct af_error *err)
{
    if (engine->is_reserve_lent)
        return later(err, af_fail(err, AF_EFULL, "no space left on the disk of %s but what is set aside for deletions, and one is at work",
                                  engine->dir));
    af_mutex_lock(&engine->lock);
    bool is_full = engine->at.is_full && engine->wal != NULL;
    af_mutex_unlock(&engine->lock);
    if (!is_full)
        return AF_OK;
    enum af_status status = af_tsm_probe(engine, err);
    return status == AF_EFULL ? later(err, status) : status;
}

static void note_failure(struct af_tsm *engine, enum af_status status, const struct af_error *why)
{
    char words[256];
    if (engine->wal != NULL && (core_is_sync_failure(why) || af_wal_is_sick(engine->wal, words, sizeof words))) {
        af_tsm_set_read_only(engine, why);
    } else if (status == AF_EFULL) {
        af_mutex_lock(&engine->lock);
        bool is_new = !engine->at.is_full;
        engine->at.is_full = true;
        core_copy_words(engine->at.why, sizeof engine->at.why, why->message);
        af_mutex_unlock(&engine->lock);
        if (is_new)
            af_tsm_say(engine, "writes are refused until there is room: %s", why->message);
    }
}

enum af_status af_tsm_probe(struct af_tsm *engine, struct af_error *err)
{
    struct af_error why = { 0 };
    af_mutex_lock(&engine->lock);
    enum af_status status = core_check_writable_locked(engine, err);
    af_mutex_unlock(&engine->lock);
    if (status != AF_OK || engine->wal == NULL)
        return status;
    status = af_wal_probe(engine->wal, &why);
    if (status != AF_OK) {
        note_failure(engine, status, &why);
        return af_fail(err, status, "%s", why.message);
    }
    af_mutex_lock(&engine->lock);
    bool was_full = engine->at.is_full;
    engine->at.is_full = false;
    af_mutex_unlock(&engine->lock);
    if (was_full)
        af_tsm_say(engine, "there is room again: writes are taken");
    return AF_OK;
}

/* --- which shards and targets ---------------------------------------------------------------------------------------------- */

static bool time_range(const struct job *job, int64_t *out_min, int64_t *out_max)
{
    int64_t low = INT64_MAX;
    int64_t high = INT64_MIN;
    for (size_t row = 0; row < job->points.row_count; row++) {
        if (!job_is_live(job, row))
            continue;
        int64_t time = job->points.time_ns[row];
        low = time < low ? time : low;
        high = time > high ? time : high;
    }
    *out_min = low;
    *out_max = high;
    return low <= high;
}

static enum af_status add_shard(struct job *job, struct af_shard *shard, size_t *cap, struct af_error *err)
{
    if (job->shard_count == *cap) {
        size_t more = *cap == 0 ? 8 : *cap * 2;
        struct af_shard **list = af_arena_alloc(job->arena, more * sizeof *list);
        if (list == NULL)
            return af_arena_fail(job->arena, more * sizeof *list, "a batch's shards", err);
        if (job->shard_count > 0)
            memcpy(list, job->shards, job->shard_count * sizeof *list);
        job->shards = list;
        *cap = more;
    }
    job->shards[job->shard_count++] = af_shard_ref(shard);
    shard->mark = (uint32_t)job->shard_count;
    return AF_OK;
}

/* Every shard keeps files open. One that could not open its own would keep the whole cache from being written out. */
static bool is_full_of_shards_locked(const struct af_tsm *engine)
{
    return engine->at.shard_count >= af_descriptors_max() / 2;
}

/* NULL: there are too many. What the log holds was acknowledged and gets its shard. */
static enum af_status need_shard_locked(struct job *job, int64_t time_ns, struct af_shard **out, struct af_error *err)
{
    *out = core_shard_at_locked(job->bucket, time_ns);
    if (*out != NULL)
        return AF_OK;
    if (!job->is_replay && (job->new_shards >= AF_TSM_NEW_SHARDS_MAX || job->bucket->shard_count >= AF_TSM_SHARDS_MAX ||
                            is_full_of_shards_locked(job->engine)))
        return AF_OK;
    job->new_shards++;
    return core_shard_need_locked(job->engine, job->bucket, time_ns, out, err);
}

static const char *shards_words(const struct job *job)
{
    static const char BUCKET_WORDS[] = "points need more shards than a bucket may have; give the bucket longer shards";
    static const char WRITE_WORDS[] = "points need more new shards than one write may make; sort points by time, or give the bucket longer "
                                      "shards";
    static const char OPEN_WORDS[] = "points need more shards than this process may keep open; raise ulimit -n, or give buckets longer "
                                     "shards";
    if (job->bucket->shard_count >= AF_TSM_SHARDS_MAX)
        return BUCKET_WORDS;
    return is_full_of_shards_locked(job->engine) ? OPEN_WORDS : WRITE_WORDS;
}

static enum af_status mark_rows_locked(struct job *job, uint32_t *shard_of, struct af_error *err)
{
    size_t cap = 0;
    struct af_shard *shard = NULL;
    for (size_t row = 0; row < job->points.row_count; row++) {
        if (!job_is_live(job, row))
            continue;
        if (shard == NULL || !core_shard_holds(shard, job->points.time_ns[row]))
            AF_TRY(need_shard_locked(job, job->points.time_ns[row], &shard, err));
        if (shard == NULL) {
            AF_TRY(job_drop_unfit(job, row, shards_words(job), err));
            continue;
        }
        if (shard->mark == 0)
            AF_TRY(add_shard(job, shard, &cap, err));
        shard_of[row] = shard->mark - 1;
    }
    return AF_OK;
}

static enum af_status many_shards_locked(struct job *job, struct af_error *err)
{
    uint32_t *shard_of = af_arena_array(job->arena, job->points.row_count, sizeof *shard_of);
    if (shard_of == NULL)
        return af_arena_fail(job->arena, job->points.row_count * sizeof *shard_of, "a batch's shards", err);
    enum af_status status = mark_rows_locked(job, shard_of, err);
    for (size_t i = 0; i < job->shard_count; i++)
        job->shards[i]->mark = 0;
    job->shard_of = shard_of;
    return status;
}

static enum af_status one_shard(struct job *job, struct af_shard *shard, struct af_error *err)
{
    size_t cap = 0;
    enum af_status status = add_shard(job, shard, &cap, err);
    shard->mark = 0;
    return status;
}

enum af_status job_choose_shards(struct job *job, struct af_error *err)
{
    int64_t low;
    int64_t high;
    struct af_shard *shard;
    if (!time_range(job, &low, &high))
        return AF_OK;
    af_mutex_lock(&job->engine->lock);
    enum af_status status = job->bucket->is_dropped ? af_fail(err, AF_ENOTFOUND, "the bucket was deleted meanwhile")
                                                    : need_shard_locked(job, low, &shard, err);
    if (status == AF_OK)
        status = shard != NULL && core_shard_holds(shard, high) ? one_shard(job, shard, err) : many_shards_locked(job, err);
    af_mutex_unlock(&job->engine->lock);
    return status;
}

/* Row by row the pair of measurement and shard, numbered. */
static enum af_status number_targets(struct job *job, struct af_intern *pairs, uint32_t *target_of, struct af_error *err)
{
    uint32_t last[2] = { UINT32_MAX, UINT32_MAX };
    uint32_t number = 0;
    for (size_t row = 0; row < job->points.row_count; row++) {
        if (!job_is_live(job, row))
            continue;
        uint32_t pair[2] = { job->measurement_of != NULL ? job->measurement_of[row] : 0,
                             job->shard_of != NULL ? job->shard_of[row] : 0 };
        if (pair[0] != last[0] || pair[1] != last[1])
            AF_TRY(af_intern_add(pairs, af_slice_make(pair, sizeof pair), &number, err));
        memcpy(last, pair, sizeof last);
        target_of[row] = number;
    }
    return AF_OK;
}

static enum af_status many_targets(struct job *job, struct af_error *err)
{
    uint32_t *target_of = af_arena_array(job->arena, job->points.row_count, sizeof *target_of);
    if (target_of == NULL)
        return af_arena_fail(job->arena, job->points.row_count * sizeof *target_of, "a batch's targets", err);
    struct af_intern pairs;
    af_intern_init(&pairs);
    enum af_status status = number_targets(job, &pairs, target_of, err);
    if (status == AF_OK) {
        job->targets = af_arena_alloc(job->arena, (pairs.count + 1) * sizeof *job->targets);
        status = job->targets != NULL ? AF_OK : af_arena_fail(job->arena, pairs.count * sizeof *job->targets, "a batch's targets", err);
    }
    for (uint32_t i = 0; i < pairs.count && status == AF_OK; i++) {
        uint32_t pair[2];
        memcpy(pair, pairs.keys[i].ptr, sizeof pair);
        job->targets[i] = (struct target){ job->measurements[pair[0]], job->shards[pair[1]] };
    }
    job->target_count = pairs.count;
    job->target_of = target_of;
    af_intern_done(&pairs);
    return status;
}

enum af_status job_choose_targets(struct job *job, struct af_error *err)
{
    if (job->measurement_of != NULL || job->shard_of != NULL)
        return many_targets(job, err);
    job->targets = af_arena_alloc(job->arena, sizeof *job->targets);
    if (job->targets == NULL)
        return af_arena_fail(job->arena, sizeof *job->targets, "a batch's targets", err);
    job->targets[0] = (struct target){ job->measurements[0], job->shards[0] };
    job->target_count = 1;
    return AF_OK;
}

/* --- log and cache --------------------------------------------------------------------------------------------------------- */

/* Shown before the log or engine->apply lets a flush begin: the flush writes down which series are hidden, then drops the log. */
enum af_status job_put(struct job *job, const uint32_t *ids, const uint64_t *shards, struct af_error *err)
{
    enum af_status status = af_cache_put(job->engine->at.active, &job->points, ids, shards, job->shards[0]->id, err);
    if (status == AF_OK)
        af_index_show(job->bucket->index, ids, job->points.row_count);
    return status;
}

enum af_status job_shard_ids(struct job *job, uint64_t **out, struct af_error *err)
{
    *out = NULL;
    if (job->shard_of == NULL)
        return AF_OK;
    uint64_t *list = af_arena_array(job->arena, job->points.row_count, sizeof *list);
    if (list == NULL)
        return af_arena_fail(job->arena, job->points.row_count * sizeof *list, "a batch's shards", err);
    for (size_t row = 0; row < job->points.row_count; row++)
        list[row] = job_is_live(job, row) ? job->shards[job->shard_of[row]]->id : 0;
    *out = list;
    return AF_OK;
}

static enum af_status append(struct job *job, uint64_t *out_ticket, struct af_error *err)
{
    struct af_error why = { 0 };
    struct af_buf record;
    af_buf_init(&record, AF_TSM_WAL_RECORD_BYTES_MAX);
    enum af_status status = af_record_encode(job->bucket->settings.id, &job->points, &record, &why);
    if (status == AF_OK) {
        status = af_wal_append(job->engine->wal, af_buf_slice(&record), out_ticket, &why);
        if (status != AF_OK)
            note_failure(job->engine, status, &why);
    }
    af_buf_done(&record);
    if (status == AF_OK)
        return AF_OK;
    status = af_fail(err, status, "%s", why.message);
    return af_status_is_retryable(status) ? later(err, status) : status;
}

/* Durable, then visible. */
static enum af_status commit(struct job *job, const uint32_t *ids, struct af_error *err)
{
    struct af_tsm *engine = job->engine;
    uint64_t *shards;
    uint64_t ticket;
    AF_TRY(job_shard_ids(job, &shards, err));
    if (engine->wal == NULL) {
        af_mutex_lock(&engine->apply);
        enum af_status status = job_put(job, ids, shards, err);
        af_mutex_unlock(&engine->apply);
        return status;
    }
    AF_TRY(append(job, &ticket, err));
    af_wal_wait_turn(engine->wal, ticket);
    enum af_status status = job_put(job, ids, shards, err);
    af_wal_applied(engine->wal, ticket);
    return status;
}

/* What is left of the batch after the checks, to where it belongs. */
static enum af_status place(struct job *job, struct af_error *err)
{
    if (job->live_count == 0)
        return AF_OK;
    AF_TRY(job_choose_shards(job, err));
    if (job->live_count == 0)
        return AF_OK;
    AF_TRY(job_choose_targets(job, err));
    return job_check_types(job, err);
}

enum af_status job_resolve(struct job *job, struct af_tsm_series_memo *memo, uint32_t **out_ids, struct af_error *err)
{
    return af_index_resolve(job->bucket->index, &job->points, memo, job->arena, out_ids, err);
}

void job_done(struct job *job)
{
    for (size_t i = 0; i < job->shard_count; i++)
        af_shard_unref(job->shards[i]);
    af_bucket_unref(job->bucket);
}

/* --- writing --------------------------------------------------------------------------------------------------------------- */

uint64_t job_count_values(const struct job *job)
{
    uint64_t count = 0;
    const struct af_points *points = &job->points;
    for (size_t i = 0; i < points->field_count; i++) {
        const struct af_column *column = &points->fields[i].column;
        if (column->validity == NULL)
            count += job->live_count;
        else if (job->live_count == points->row_count)
            count += af_bits_count(column->validity, points->row_count);
        else
            for (size_t row = 0; row < points->row_count; row++)
                count += job_is_live(job, row) && af_bit_get(column->validity, row);
    }
    return count;
}

/* Tell the flusher, or be it. */
void core_after_write(struct af_tsm *engine)
{
    int64_t now = af_clock_mono_ns();
    af_mutex_lock(&engine->lock);
    engine->at.written_mono_ns = now;
    bool is_due = engine->at.frozen == NULL && now >= engine->at.retry_mono_ns &&
                  af_cache_bytes(engine->at.active) >= engine->options.cache_bytes / 2;
    if (is_due && !engine->options.is_manual)
        af_cond_broadcast(&engine->wake);
    af_mutex_unlock(&engine->lock);
    if (is_due && engine->options.is_manual)
        (void)core_flush_once(engine, NULL); /* the points are in the log; its failure is in the engine's state */
}

/* What can be said of the points alone: sizes, cost, age. */
enum af_status job_check_points(struct job *job, struct af_error *err)
{
    af_mutex_lock(&job->engine->lock);
    int64_t retention_ns = job->bucket->settings.retention_ns;
    af_mutex_unlock(&job->engine->lock);
    AF_TRY(job_check_sizes(job, err));
    AF_TRY(job_check_keys_bytes(job, err));
    return job_check_retention(job, retention_ns, err);
}

/* Inside the bucket's gate. */
static enum af_status write_placed(struct job *job, struct af_tsm_series_memo *memo, const uint32_t *series_before, struct af_error *err)
{
    uint32_t *ids;
    AF_TRY(place(job, err));
    AF_TRY(job_list_dropped(job, series_before, err));
    job->engine->counts.points_dropped += job->verdict->dropped_row_count;
    if (job->live_count == 0)
        return AF_OK;
    AF_TRY(job_resolve(job, memo, &ids, err));
    return commit(job, ids, err);
}

static enum af_status write_rows(struct job *job, struct af_tsm_series_memo *memo, struct af_error *err)
{
    const uint32_t *series_before = job->points.series;
    AF_TRY(job_check_points(job, err));
    core_gate_enter(&job->bucket->gate);
    enum af_status status = write_placed(job, memo, series_before, err);
    core_gate_leave(&job->bucket->gate);
    if (status != AF_OK || job->live_count == 0)
        return status;
    job->engine->counts.points_written += job->live_count;
    job->engine->counts.values_written += job_count_values(job);
    job->engine->counts.commits++;
    return AF_OK;
}

enum af_status af_tsm_write(struct af_tsm *engine, const struct af_tsm_write *write, struct af_tsm_verdict *out,
                            struct af_error *err)
{
    memset(out, 0, sizeof *out);
    AF_TRY(heal(engine, err));
    AF_TRY(core_make_room(engine, err));
    struct af_bucket *bucket = af_bucket_find(engine, write->bucket);
    if (bucket == NULL)
        return af_fail(err, AF_ENOTFOUND, "there is no bucket %016" PRIx64 " in %s", write->bucket, engine->dir);
    struct job job = { .engine = engine, .bucket = bucket, .arena = write->arena, .verdict = out, .points = *write->points };
    enum af_status status = write_rows(&job, write->memo, err);
    job_done(&job);
    if (status == AF_OK && job.live_count > 0)
        core_after_write(engine);
    return status;
}

/* --- replay ---------------------------------------------------------------------------------------------------------------- */

static enum af_status replay_rows(struct core_replay *replay, struct job *job, struct af_error *err)
{
    uint32_t *ids;
    uint64_t *shards;
    AF_TRY(job_check_sizes(job, err));
    AF_TRY(place(job, err));
    replay->conflict_points += job->verdict->conflicts;
    if (job->live_count == 0)
        return AF_OK;
    AF_TRY(job_resolve(job, NULL, &ids, err));
    AF_TRY(job_shard_ids(job, &shards, err));
    return job_put(job, ids, shards, err);
}

static enum af_status replay_record(struct core_replay *replay, struct af_slice payload, struct af_error *err)
{
    uint64_t id;
    struct af_tsm_verdict verdict = { 0 };
    struct job job = { .engine = replay->engine, .is_replay = true, .arena = &replay->arena, .verdict = &verdict };
    AF_TRY(af_record_decode(payload, &replay->arena, &replay->set, &id, &job.points, err));
    job.bucket = af_bucket_find(replay->engine, id);
    if (job.bucket == NULL) {
        replay->orphan_points += job.points.row_count;
        return core_note_departed(replay->engine, id, err);
    }
    enum af_status status = replay_rows(replay, &job, err);
    job_done(&job);
    return status;
}

enum af_status core_replay(void *ctx, uint64_t ticket, struct af_slice payload, struct af_error *err)
{
    struct core_replay *replay = ctx;
    struct af_tsm *engine = replay->engine;
    (void)ticket;
    if (payload.len == 0) /* a probe */
        return AF_OK;
    enum af_status status = replay_record(replay, payload, err);
    af_arena_reset(&replay->arena);
    if (status != AF_OK)
        return status;
    af_mutex_lock(&engine->lock);
    bool is_due = af_cache_bytes(engine->at.active) >= engine->options.cache_bytes / 2 &&
                  af_clock_mono_ns() >= engine->at.retry_mono_ns;
    af_mutex_unlock(&engine->lock);
    status = is_due ? core_flush_once(engine, err) : AF_OK;
    return status == AF_EFULL ? AF_OK : status; /* on a full disk all of the log is held in memory: who reads can be served */
}
