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
#define WHATEVER_AGE INT64_MAX /* as a time that it is */
#define EXPIRE_EVERY_NS (INT64_C(30) * 60 * SECOND_NS)
#define LOOK_EVERY_NS (INT64_C(60) * SECOND_NS)

/* --- compaction ------------------------------------------------------------------------------------------------------------ */

static void put_away(struct af_tsm_part *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        af_part_unref(parts[i]);
}

/* A failed fsync is returned. A file that stays is data again after a restart, with the same values: told, since nothing can be deleted
 * from its shard until then. */
static enum af_status unlink_sources(struct af_tsm *engine, struct af_shard *shard, struct af_tsm_part *const *parts, size_t count,
                                     struct af_error *err)
{
    enum af_status first = AF_OK;
    for (size_t i = 0; i < count; i++) {
        struct af_error why = { 0 };
        enum af_status status = af_part_unlink(parts[i], &why);
        if (!parts[i]->is_unlinked) {
            af_tsm_say(engine, "a file that was compacted stays, and nothing can be deleted from shard %" PRIu64 ": %s", shard->id,
                       why.message);
            af_part_doom(parts[i]);
        } else if (status != AF_OK && first == AF_OK) {
            first = af_fail(err, status, "%s", why.message);
        }
    }
    return first;
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
    return status == AF_OK ? unlink_sources(engine, shard, files->parts + first, count, err) : status;
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

/* One step in a shard. The first failure of several is kept, but for the end of all. */
static void compact_next(struct af_tsm *engine, struct af_shard *shard, enum core_compact how, bool *out_done, enum af_status *first,
                         struct af_error *err)
{
    struct af_error why = { 0 };
    enum af_status status = core_compact_shard(engine, shard, how, out_done, &why);
    if (status != AF_OK && (*first == AF_OK || status == AF_ECANCELED))
        *first = af_fail(err, status, "%s", why.message);
}

enum af_status af_tsm_compact(struct af_tsm *engine, bool full, bool *out_done, struct af_error *err)
{
    struct af_arena arena;
    struct af_shard **shards = NULL;
    size_t count = 0;
    *out_done = false;
    af_arena_init(&arena, SIZE_MAX);
    enum af_status status = af_shard_list(engine, NULL, &arena, &shards, &count, err);
    for (size_t i = 0; i < count && status != AF_ECANCELED && !*out_done; i++)
        compact_next(engine, shards[i], full ? CORE_COMPACT_FULL : CORE_COMPACT_LEVELS, out_done, &status, err);
    unref_all(shards, count);
    af_arena_done(&arena);
    return status;
}

/* All that there is to compact, a step in each shard in turn. A shard that fails is left out: the others go on. */
static enum af_status compact_all(struct af_tsm *engine, struct af_error *err)
{
    struct af_arena arena;
    struct af_shard **shards = NULL;
    size_t count = 0;
    bool is_over = false;
    af_arena_init(&arena, SIZE_MAX);
    enum af_status first = af_shard_list(engine, NULL, &arena, &shards, &count, err);
    while (!is_over && first != AF_ECANCELED) {
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            bool is_done = false;
            if (first != AF_ECANCELED)
                compact_next(engine, shards[i], CORE_COMPACT_LEVELS, &is_done, &first, err);
            if (is_done)
                shards[kept++] = shards[i];
            else
                af_shard_unref(shards[i]);
        }
        count = kept;
        is_over = count == 0;
    }
    unref_all(shards, count);
    af_arena_done(&arena);
    return first;
}

/* --- expiry ---------------------------------------------------------------------------------------------------------------- */

static bool is_over_locked(const struct af_shard *shard, int64_t now_ns)
{
    int64_t retention = shard->bucket->settings.retention_ns;
    return retention > 0 && !shard->is_dropped && now_ns >= INT64_MIN + retention && shard->end_ns < now_ns - retention;
}

static char *away_path(const struct af_shard *shard)
{
    return core_printf("%s.dropped", shard->dir);
}

static enum af_status move_away(const struct af_shard *shard, struct af_error *err)
{
    if (af_path_kind(shard->dir) != AF_PATH_DIR)
        return AF_OK;
    char *away = away_path(shard);
    enum af_status status = away != NULL ? af_dir_remove(away, err) : af_fail_nomem(err, "a path");
    if (status == AF_OK)
        status = af_path_rename(shard->dir, away, err);
    af_free(away);
    return status;
}

/* If it is past the retention (or WHATEVER_AGE), its directory to another name, which takes no room, and out of the tables. A shard that
 * cannot be moved stays and is tried again. A compaction that is at work there finds its directory gone, and the shard dropped. */
static enum af_status take_away(struct af_tsm *engine, struct af_shard *shard, int64_t now_ns, bool *out_gone, struct af_error *err)
{
    *out_gone = false;
    af_mutex_lock(&engine->lock);
    bool goes = now_ns == WHATEVER_AGE ? !shard->is_dropped : is_over_locked(shard, now_ns);
    shard->is_dropped = shard->is_dropped || goes;
    af_mutex_unlock(&engine->lock);
    if (!goes)
        return AF_OK;
    enum af_status status = move_away(shard, err);
    *out_gone = status == AF_OK || af_path_kind(shard->dir) != AF_PATH_DIR; /* moved, if not durably */
    af_mutex_lock(&engine->lock);
    if (*out_gone)
        core_shard_remove_locked(engine, shard);
    else
        shard->is_dropped = false;
    af_mutex_unlock(&engine->lock);
    return status;
}

/* The shards that went, in front; the first failure is returned after all were tried. */
static enum af_status take_all_away(struct af_tsm *engine, struct af_shard **shards, size_t *count, int64_t now_ns, struct af_error *err)
{
    enum af_status first = AF_OK;
    size_t gone = 0;
    for (size_t i = 0; i < *count; i++) {
        struct af_error why = { 0 };
        bool is_gone_now;
        enum af_status status = take_away(engine, shards[i], now_ns, &is_gone_now, &why);
        if (status != AF_OK && first == AF_OK)
            first = af_fail(err, status, "%s", why.message);
        if (is_gone_now)
            shards[gone++] = shards[i];
        else
            af_shard_unref(shards[i]);
    }
    *count = gone;
    return first;
}

static void remove_shard_dir(struct af_tsm *engine, const struct af_shard *shard, bool was_asked)
{
    char *away = away_path(shard);
    af_tsm_say(engine, "shard %" PRIu64 " %s: removed", shard->id, was_asked ? "was dropped" : "is past the retention of its bucket");
    if (away == NULL || af_dir_remove(away, NULL) != AF_OK)
        af_tsm_say(engine, "%s.dropped could not be removed and is left for the next start", shard->dir);
    af_free(away);
}

/* The room first: on a full disk there may be none for the lists of shards before. A list that still has a shard without a directory is no
 * harm, it is empty then. The log may hold points of the shards, of other types than a shard of the same time could have after the
 * retention is changed. */
static enum af_status clear_up(struct af_tsm *engine, struct af_shard *const *gone, size_t count, bool was_asked, struct af_error *err)
{
    enum af_status status = AF_OK;
    for (size_t i = 0; i < count; i++)
        remove_shard_dir(engine, gone[i], was_asked);
    for (size_t i = 0; i < count && status == AF_OK; i++)
        status = core_manifest_save(engine, gone[i]->bucket, err);
    return status == AF_OK && count > 0 ? af_tsm_flush(engine, err) : status;
}

/* These shards, which are referenced by the list. Under engine->flush no flush makes a directory that is on its way out. */
static enum af_status drop_shards(struct af_tsm *engine, struct af_shard **shards, size_t count, int64_t now_ns, struct af_error *err)
{
    struct af_error why = { 0 };
    struct af_error later = { 0 };
    af_mutex_lock(&engine->flush);
    enum af_status status = take_all_away(engine, shards, &count, now_ns, &why);
    af_mutex_unlock(&engine->flush);
    if (core_is_sync_failure(&why))
        af_tsm_set_read_only(engine, &why);
    enum af_status cleared = clear_up(engine, shards, count, now_ns == WHATEVER_AGE, &later);
    unref_all(shards, count);
    return status != AF_OK ? core_settle(engine, status, &why, err) : core_settle(engine, cleared, &later, err);
}

enum af_status af_tsm_expire(struct af_tsm *engine, struct af_error *err)
{
    struct af_arena arena;
    struct af_shard **shards = NULL;
    size_t count = 0;
    af_arena_init(&arena, SIZE_MAX);
    enum af_status status = af_shard_list(engine, NULL, &arena, &shards, &count, err);
    if (status == AF_OK)
        status = drop_shards(engine, shards, count, core_now_ns(engine), err);
    af_arena_done(&arena);
    return status;
}

enum af_status af_tsm_drop_shard(struct af_tsm *engine, uint64_t bucket, uint64_t id, struct af_error *err)
{
    af_mutex_lock(&engine->lock);
    struct af_shard *shard = core_shard_by_id_locked(engine, id);
    if (shard != NULL)
        shard = shard->bucket->settings.id == bucket ? af_shard_ref(shard) : NULL;
    af_mutex_unlock(&engine->lock);
    return shard != NULL ? drop_shards(engine, &shard, 1, WHATEVER_AGE, err) : AF_OK;
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

/* False: something failed, and it is not tried again at once. */
static bool compact_some(struct af_tsm *engine)
{
    struct af_error err = { 0 };
    enum af_status status = compact_all(engine, &err);
    if (status == AF_OK || status == AF_ECANCELED || status == AF_ECORRUPT || status == AF_ENOTFOUND) /* told already, or the end */
        return true;
    af_tsm_say(engine, "compaction is put off: %s", err.message);
    return false;
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
