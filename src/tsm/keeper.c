/*
 * keeper.c - the two threads that keep house, and the steps they take.
 *
 *     flusher    a cache half full, or left alone for cold_s, to files
 *     compactor  after each flush and once a minute: shards that have something to compact, one after the other, at a limited rate;
 *                every half hour: shards past their retention
 *
 * Two, because a compaction takes minutes and a full cache cannot wait for it.
 */
#include "base/alloc.h"
#include "os/clock.h"
#include "os/tree.h"
#include "tsm/core_int.h"
#include <inttypes.h>

#define SECOND_NS INT64_C(1000000000)
#define SHARD_COLD_NS (INT64_C(4) * 3600 * SECOND_NS) /* as InfluxDB: then all of a shard becomes one generation */
#define EXPIRE_EVERY_NS (INT64_C(30) * 60 * SECOND_NS)
#define LOOK_EVERY_NS (INT64_C(60) * SECOND_NS)

/* --- compaction ------------------------------------------------------------------------------------------------------------ */

static void put_away(struct af_tsm_part *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        af_part_unref(parts[i]);
}

/* The parts that were made take the place of those they were made from; on failure they are removed again. */
static enum af_status swap_in(struct af_tsm *engine, struct af_shard *shard, struct af_files *files, size_t first, size_t count,
                              struct af_tsm_part *const *made, size_t made_count, struct af_error *err)
{
    enum af_status status = af_shard_replace(engine, shard, files->parts + first, count, made, made_count, err);
    for (size_t i = 0; i < made_count; i++) {
        if (status == AF_OK)
            engine->counts.bytes_compacted += made[i]->bytes;
        else
            af_part_doom(made[i]);
    }
    for (size_t i = 0; i < count && status == AF_OK; i++)
        af_part_doom(files->parts[first + i]);
    return status;
}

static enum af_status compact_files(struct af_tsm *engine, struct af_shard *shard, struct af_files *files, enum core_compact how,
                                    bool *out_done, struct af_error *err)
{
    size_t first = 0;
    size_t count = files->count;
    struct af_tsm_part **made;
    size_t made_count;
    struct af_arena arena;
    if (how != CORE_COMPACT_WHOLE)
        af_compact_plan(files, how == CORE_COMPACT_FULL, &first, &count);
    if (count == 0)
        return AF_OK;
    af_arena_init(&arena, SIZE_MAX);
    enum af_status status = af_compact_run(shard->dir, files, first, count, engine->options.compact_bytes_per_s, engine->cancel,
                                           &arena, &made, &made_count, err);
    if (status == AF_OK) {
        status = swap_in(engine, shard, files, first, count, made, made_count, err);
        put_away(made, made_count);
    }
    af_arena_done(&arena);
    if (status == AF_OK) {
        engine->counts.compactions++;
        *out_done = true;
    }
    return status;
}

static bool may_compact(struct af_tsm *engine, struct af_shard *shard, bool *out_cold)
{
    af_mutex_lock(&engine->lock);
    *out_cold = af_clock_mono_ns() - shard->changed_mono_ns >= SHARD_COLD_NS;
    bool may = !shard->is_dropped && !shard->bucket->is_dropped && !shard->is_damaged && !engine->at.is_read_only;
    af_mutex_unlock(&engine->lock);
    return may;
}

/* Its directory may have been taken away under a compaction. */
static bool is_gone(struct af_tsm *engine, const struct af_shard *shard)
{
    af_mutex_lock(&engine->lock);
    bool gone = shard->is_dropped || shard->bucket->is_dropped;
    af_mutex_unlock(&engine->lock);
    return gone;
}

static enum af_status compact_locked(struct af_tsm *engine, struct af_shard *shard, enum core_compact how, bool *out_done,
                                     struct af_error *err)
{
    bool is_cold;
    if (shard->is_stuck || !may_compact(engine, shard, &is_cold))
        return AF_OK;
    struct af_error why = { 0 };
    struct af_files *files = af_shard_files(engine, shard);
    if (how == CORE_COMPACT_LEVELS && is_cold)
        how = CORE_COMPACT_FULL;
    enum af_status status = compact_files(engine, shard, files, how, out_done, &why);
    af_files_unref(files);
    if (status != AF_OK && !core_is_sync_failure(&why) && is_gone(engine, shard))
        return AF_OK;
    shard->is_stuck = status == AF_ECORRUPT;
    if (shard->is_stuck)
        af_tsm_say(engine, "shard %" PRIu64 " is not compacted any more: %s", shard->id, why.message);
    return core_settle(engine, status, &why, err);
}

enum af_status core_compact_shard(struct af_tsm *engine, struct af_shard *shard, enum core_compact how, bool *out_done,
                                  struct af_error *err)
{
    *out_done = false;
    af_mutex_lock(&shard->work);
    enum af_status status = compact_locked(engine, shard, how, out_done, err);
    af_mutex_unlock(&shard->work);
    return status;
}

static void unref_all(struct af_shard **shards, size_t count)
{
    for (size_t i = 0; i < count; i++)
        af_shard_unref(shards[i]);
}

enum af_status af_tsm_compact(struct af_tsm *engine, bool full, bool *out_done, struct af_error *err)
{
    struct af_arena arena;
    struct af_shard **shards = NULL;
    size_t count = 0;
    *out_done = false;
    af_arena_init(&arena, SIZE_MAX);
    enum af_status status = af_shard_list(engine, NULL, &arena, &shards, &count, err);
    for (size_t i = 0; i < count && status == AF_OK && !*out_done; i++)
        status = core_compact_shard(engine, shards[i], full ? CORE_COMPACT_FULL : CORE_COMPACT_LEVELS, out_done, err);
    unref_all(shards, count);
    af_arena_done(&arena);
    return status;
}

/* --- expiry ---------------------------------------------------------------------------------------------------------------- */

/* Out of the tables if it is past the retention. */
static bool take_out(struct af_tsm *engine, struct af_shard *shard, int64_t now_ns)
{
    af_mutex_lock(&engine->lock);
    int64_t retention = shard->bucket->settings.retention_ns;
    bool is_over = retention > 0 && !shard->is_dropped && now_ns >= INT64_MIN + retention && shard->end_ns < now_ns - retention;
    if (is_over)
        core_shard_remove_locked(engine, shard);
    af_mutex_unlock(&engine->lock);
    return is_over;
}

/* A compaction that is at work there finds its directory gone, and the shard dropped. What cannot be removed now goes at the next start. */
static enum af_status remove_shard_dir(struct af_tsm *engine, const struct af_shard *shard, struct af_error *err)
{
    if (af_path_kind(shard->dir) != AF_PATH_DIR)
        return AF_OK;
    char *away = core_printf("%s.dropped", shard->dir);
    if (away == NULL)
        return af_fail_nomem(err, "a path");
    enum af_status status = af_path_rename(shard->dir, away, err);
    if (status == AF_OK && af_dir_remove(away, NULL) != AF_OK)
        af_tsm_say(engine, "%s could not be removed and is left for the next start", away);
    af_free(away);
    return status;
}

static enum af_status expire_shard(struct af_tsm *engine, struct af_shard *shard, bool *out_some, struct af_error *err)
{
    if (!take_out(engine, shard, core_now_ns(engine)))
        return AF_OK;
    *out_some = true;
    af_tsm_say(engine, "shard %" PRIu64 " is past the retention of its bucket: removed", shard->id);
    AF_TRY(core_manifest_save(engine, shard->bucket, err));
    return remove_shard_dir(engine, shard, err);
}

enum af_status af_tsm_expire(struct af_tsm *engine, struct af_error *err)
{
    struct af_arena arena;
    struct af_shard **shards = NULL;
    size_t count = 0;
    bool some = false;
    struct af_error why = { 0 };
    af_arena_init(&arena, SIZE_MAX);
    af_mutex_lock(&engine->flush);
    enum af_status status = af_shard_list(engine, NULL, &arena, &shards, &count, &why);
    for (size_t i = 0; i < count && status == AF_OK; i++)
        status = expire_shard(engine, shards[i], &some, &why);
    unref_all(shards, count);
    /* The log may hold their points, of other types than a shard of the same time could have after the retention is changed. */
    if (status == AF_OK && some)
        status = core_flush_all_locked(engine, &why);
    af_mutex_unlock(&engine->flush);
    af_arena_done(&arena);
    return core_settle(engine, status, &why, err);
}

/* --- threads --------------------------------------------------------------------------------------------------------------- */

static int64_t next_look_locked(const struct af_tsm *engine, int64_t now)
{
    int64_t at = now + SECOND_NS;
    return engine->at.retry_mono_ns > now && engine->at.retry_mono_ns < at ? engine->at.retry_mono_ns : at;
}

static void run_flusher(void *ctx)
{
    struct af_tsm *engine = ctx;
    af_mutex_lock(&engine->lock);
    while (!engine->at.must_stop) {
        int64_t now = af_clock_mono_ns();
        if (core_wants_flush_locked(engine, now)) {
            af_mutex_unlock(&engine->lock);
            (void)core_flush_once(engine, NULL); /* what fails is in the engine's state, and told */
            af_mutex_lock(&engine->lock);
            continue;
        }
        (void)af_cond_wait_until(&engine->wake, &engine->lock, next_look_locked(engine, now));
    }
    af_mutex_unlock(&engine->lock);
}

/* All that there is to compact, without holding up whoever waits for the thread to end. False: something failed, and it is not tried again
 * at once. */
static bool compact_some(struct af_tsm *engine)
{
    struct af_error err = { 0 };
    bool is_done = true;
    while (is_done && !__atomic_load_n(&engine->is_cancelled, __ATOMIC_RELAXED)) {
        enum af_status status = af_tsm_compact(engine, false, &is_done, &err);
        if (status == AF_ECANCELED || status == AF_ECORRUPT || status == AF_ENOTFOUND)
            continue; /* of one shard */
        if (status != AF_OK) {
            af_tsm_say(engine, "compaction is put off: %s", err.message);
            return false;
        }
    }
    return true;
}

static void run_compactor(void *ctx)
{
    struct af_tsm *engine = ctx;
    struct af_error err = { 0 };
    int64_t expire_at = af_clock_mono_ns() + LOOK_EVERY_NS;
    uint64_t flushes_seen = UINT64_MAX;
    int64_t look_at = 0;
    af_mutex_lock(&engine->lock);
    while (!engine->at.must_stop) {
        int64_t now = af_clock_mono_ns();
        bool is_due = now >= look_at || (flushes_seen != engine->counts.flushes && look_at - now <= LOOK_EVERY_NS);
        flushes_seen = is_due ? engine->counts.flushes : flushes_seen;
        af_mutex_unlock(&engine->lock);
        if (is_due)
            look_at = now + (compact_some(engine) ? LOOK_EVERY_NS : 2 * LOOK_EVERY_NS);
        if (now >= expire_at) {
            if (af_tsm_expire(engine, &err) != AF_OK)
                af_tsm_say(engine, "old shards could not be removed: %s", err.message);
            expire_at = now + EXPIRE_EVERY_NS;
        }
        af_mutex_lock(&engine->lock);
        if (!engine->at.must_stop)
            (void)af_cond_wait_until(&engine->wake, &engine->lock, af_clock_mono_ns() + SECOND_NS);
    }
    af_mutex_unlock(&engine->lock);
}

enum af_status core_keepers_start(struct af_tsm *engine, struct af_error *err)
{
    AF_TRY(af_thread_start(&engine->flusher, "tsm-flush", run_flusher, engine, err));
    return engine->options.no_compaction ? AF_OK : af_thread_start(&engine->compactor, "tsm-compact", run_compactor, engine, err);
}

void core_keepers_stop(struct af_tsm *engine)
{
    __atomic_store_n(&engine->is_cancelled, true, __ATOMIC_RELAXED);
    af_mutex_lock(&engine->lock);
    engine->at.must_stop = true;
    af_cond_broadcast(&engine->wake);
    af_mutex_unlock(&engine->lock);
    af_thread_join(&engine->flusher);
    af_thread_join(&engine->compactor);
}
