/*
 * engine.c - the engine as a whole: opening with replay, closing, buckets, state and statistics.
 *
 *     open    LOCK -- what the last process left (manifest.c) -- the log, replayed into the cache -- keepers
 *     close   keepers -- log -- caches -- buckets: nothing is written, the log has it
 *
 * While the log is replayed the engine has none (`wal` is NULL): a cache that fills up is flushed, and the log stays whole until the next
 * flush after it. A crash in between replays all of it again over files that hold a part already: the last value of a point wins both
 * times.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "os/clock.h"
#include "os/tree.h"
#include "tsm/core_int.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { CACHE_WAIT_MS = 10000, COLD_S = 600, COMPACT_BYTES_PER_S = 48 << 20 };

/* --- small things ---------------------------------------------------------------------------------------------------------- */

int64_t core_now_ns(const struct af_tsm *engine)
{
    return engine->options.now_ns != NULL ? engine->options.now_ns(engine->options.ctx) : af_clock_now_ns();
}

char *core_printf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = len >= 0 ? af_alloc((size_t)len + 1) : NULL;
    if (text == NULL)
        return NULL;
    va_start(args, fmt);
    (void)vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return text;
}

void core_copy_words(char *out, size_t cap, const char *words)
{
    size_t len = strlen(words);
    len = len < cap ? len : cap - 1;
    memcpy(out, words, len);
    out[len] = '\0';
}

bool core_grow(void **array, size_t *cap, size_t need, size_t bytes)
{
    if (need <= *cap)
        return true;
    size_t more = *cap < 8 ? 8 : *cap * 2;
    void *grown = af_realloc(*array, more * bytes);
    if (grown == NULL)
        return false;
    *array = grown;
    *cap = more;
    return true;
}

bool core_is_sync_failure(const struct af_error *err)
{
    if (af_os_sync_failures() == 0 || err->status == AF_EINVAL || err->status == AF_ECORRUPT || err->status == AF_ELIMIT)
        return false; /* the words may be foreign: a field's name, say */
    return strstr(err->message, "cannot fsync") != NULL || strstr(err->message, "an earlier fsync failed") != NULL;
}

void af_tsm_say(struct af_tsm *engine, const char *fmt, ...)
{
    char words[1024];
    va_list args;
    if (engine->options.say == NULL)
        return;
    va_start(args, fmt);
    (void)vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    engine->options.say(engine->options.ctx, words);
}

enum af_status core_check_writable_locked(const struct af_tsm *engine, struct af_error *err)
{
    if (!engine->at.is_read_only)
        return AF_OK;
    return af_fail(err, AF_EIO, "%s is read-only since what was written could not be made durable: %s; check the disk, then open it again",
                   engine->dir, engine->at.why);
}

void af_tsm_set_read_only(struct af_tsm *engine, const struct af_error *why)
{
    af_mutex_lock(&engine->lock);
    bool is_new = !engine->at.is_read_only;
    engine->at.is_read_only = true;
    if (is_new)
        core_copy_words(engine->at.why, sizeof engine->at.why, why->message);
    af_cond_broadcast(&engine->room);
    af_mutex_unlock(&engine->lock);
    if (is_new)
        af_tsm_say(engine, "%s is read-only from now on: %s", engine->dir, why->message);
}

enum af_status core_settle(struct af_tsm *engine, enum af_status status, const struct af_error *why, struct af_error *err)
{
    if (status == AF_OK)
        return AF_OK;
    if (core_is_sync_failure(why))
        af_tsm_set_read_only(engine, why);
    return af_fail(err, status, "%s", why->message);
}

/* --- buckets --------------------------------------------------------------------------------------------------------------- */

static enum af_status make_bucket(struct af_tsm *engine, const struct af_tsm_bucket *settings, struct af_error *err)
{
    struct af_bucket *bucket;
    char *dir = core_printf("%s/%016" PRIx64, engine->data_dir, settings->id);
    enum af_status status = dir == NULL ? af_fail_nomem(err, "a bucket") : af_dir_make(dir, err);
    af_free(dir);
    AF_TRY(status);
    AF_TRY(core_bucket_new(engine->data_dir, settings, &bucket, err));
    bucket->is_changed = true;
    status = core_manifest_save_locked(engine, bucket, err);
    if (status == AF_OK) {
        af_mutex_lock(&engine->lock);
        status = core_bucket_add_locked(engine, bucket, err);
        af_mutex_unlock(&engine->lock);
    }
    if (status != AF_OK)
        af_bucket_unref(bucket);
    return status;
}

static enum af_status change_bucket(struct af_tsm *engine, struct af_bucket *bucket, const struct af_tsm_bucket *settings,
                                    struct af_error *err)
{
    af_mutex_lock(&engine->lock);
    bool is_same = bucket->settings.retention_ns == settings->retention_ns && bucket->settings.shard_ns == settings->shard_ns;
    struct af_tsm_bucket before = bucket->settings;
    bucket->settings.retention_ns = settings->retention_ns;
    bucket->settings.shard_ns = settings->shard_ns;
    bucket->is_changed = bucket->is_changed || !is_same;
    af_mutex_unlock(&engine->lock);
    enum af_status status = is_same ? AF_OK : core_manifest_save_locked(engine, bucket, err);
    if (status != AF_OK) {
        af_mutex_lock(&engine->lock);
        bucket->settings.retention_ns = before.retention_ns;
        bucket->settings.shard_ns = before.shard_ns;
        af_mutex_unlock(&engine->lock);
    }
    return status;
}

/* The catalogue is locked, and the log has no points of an earlier bucket of this id (drop.c). */
static enum af_status lock_catalog_for(struct af_tsm *engine, uint64_t id, struct af_error *err)
{
    for (;;) {
        af_mutex_lock(&engine->catalog);
        if (!core_is_departed(engine, id))
            return AF_OK;
        af_mutex_unlock(&engine->catalog);
        AF_TRY(af_tsm_flush(engine, err));
    }
}

enum af_status af_tsm_bucket_set(struct af_tsm *engine, const struct af_tsm_bucket *settings, struct af_error *err)
{
    if (settings->retention_ns < 0 || settings->shard_ns < 0)
        return af_fail(err, AF_EINVAL, "a bucket's retention and shard length cannot be negative");
    struct af_error why = { 0 };
    AF_TRY(lock_catalog_for(engine, settings->id, err));
    struct af_bucket *bucket = af_bucket_find(engine, settings->id);
    enum af_status status = bucket != NULL ? change_bucket(engine, bucket, settings, &why) : make_bucket(engine, settings, &why);
    af_bucket_unref(bucket);
    af_mutex_unlock(&engine->catalog);
    return core_settle(engine, status, &why, err);
}

bool af_tsm_bucket_has(struct af_tsm *engine, uint64_t id, struct af_tsm_bucket *out)
{
    struct af_bucket *bucket = af_bucket_find(engine, id);
    if (bucket == NULL)
        return false;
    if (out != NULL) {
        af_mutex_lock(&engine->lock);
        *out = bucket->settings;
        af_mutex_unlock(&engine->lock);
    }
    af_bucket_unref(bucket);
    return true;
}

/* --- opening --------------------------------------------------------------------------------------------------------------- */

static void set_defaults(struct af_tsm_options *options)
{
    if (options->cache_bytes == 0)
        options->cache_bytes = AF_TSM_CACHE_BYTES;
    if (options->cache_wait_ms == 0)
        options->cache_wait_ms = CACHE_WAIT_MS;
    if (options->compact_bytes_per_s == 0)
        options->compact_bytes_per_s = COMPACT_BYTES_PER_S;
    if (options->cold_s == 0)
        options->cold_s = COLD_S;
}

static struct af_tsm *engine_new(const struct af_tsm_options *options)
{
    struct af_tsm *engine = af_alloc_zero(1, sizeof *engine);
    if (engine == NULL)
        return NULL;
    engine->options = *options;
    set_defaults(&engine->options);
    af_mutex_init(&engine->flush);
    af_mutex_init(&engine->catalog);
    af_mutex_init(&engine->apply);
    af_mutex_init(&engine->lock);
    af_mutex_init(&engine->reserve);
    af_cond_init(&engine->room);
    af_cond_init(&engine->wake);
    engine->at.next_shard = 1;
    engine->at.stretch = 1;
    engine->cancel = &engine->is_cancelled;
    engine->at.written_mono_ns = af_clock_mono_ns();
    engine->dir = core_printf("%s", options->dir);
    engine->data_dir = core_printf("%s/engine/data", options->dir);
    engine->at.active = af_cache_new();
    if (engine->dir != NULL && engine->data_dir != NULL && engine->at.active != NULL)
        return engine;
    af_tsm_close(engine);
    return NULL;
}

static enum af_status take_lock(struct af_tsm *engine, struct af_error *err)
{
    char *path = core_printf("%s/LOCK", engine->dir);
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    enum af_status status = af_file_lock(path, &engine->lock_file, err);
    af_free(path);
    return status;
}

static void report_replay(struct af_tsm *engine, const struct core_replay *replay, const struct af_wal_report *report)
{
    if (report->torn_bytes > 0)
        af_tsm_say(engine, "%s ended in %" PRIu64 " bytes of a record that was never acknowledged: cut off",
                   report->torn_file != NULL ? report->torn_file : "the log", report->torn_bytes);
    if (replay->conflict_points > 0)
        af_tsm_say(engine, "%" PRIu64 " points of the log have another type than their field and were left out", replay->conflict_points);
    if (replay->orphan_points > 0)
        af_tsm_say(engine, "%" PRIu64 " points of the log are of buckets that were deleted", replay->orphan_points);
}

static enum af_status open_log(struct af_tsm *engine, struct af_error *err)
{
    struct core_replay replay = { .engine = engine };
    struct af_wal_report report = { 0 };
    struct af_wal *wal = NULL;
    char *dir = core_printf("%s/wal", engine->dir);
    if (dir == NULL)
        return af_fail_nomem(err, "a path");
    af_arena_init(&replay.arena, SIZE_MAX);
    af_series_set_init(&replay.set);
    enum af_status status = af_dir_make(dir, err);
    if (status == AF_OK)
        status = af_wal_open(dir, core_replay, &replay, &wal, &report, err);
    if (status == AF_OK)
        report_replay(engine, &replay, &report);
    af_series_set_done(&replay.set);
    af_arena_done(&replay.arena);
    af_free(dir);
    engine->wal = wal;
    return status;
}

/* A log is replayed also when there will be none: points of an earlier run must not be lost. Then it is emptied and closed. */
static enum af_status leave_log(struct af_tsm *engine, struct af_error *err)
{
    if (!engine->options.no_wal)
        return AF_OK;
    AF_TRY(af_tsm_flush(engine, err));
    af_wal_close(engine->wal);
    engine->wal = NULL;
    return AF_OK;
}

static enum af_status open_all(struct af_tsm *engine, struct af_error *err)
{
    AF_TRY(af_dir_make(engine->data_dir, err));
    AF_TRY(take_lock(engine, err));
    AF_TRY(core_load(engine, err));
    AF_TRY(open_log(engine, err));
    AF_TRY(leave_log(engine, err));
    core_reserve_make(engine);
    return engine->options.is_manual ? AF_OK : core_keepers_start(engine, err);
}

enum af_status af_tsm_open(const struct af_tsm_options *options, struct af_tsm **out, struct af_error *err)
{
    struct af_tsm *engine = engine_new(options);
    if (engine == NULL)
        return af_fail_nomem(err, "the engine");
    enum af_status status = open_all(engine, err);
    if (status != AF_OK) {
        af_tsm_close(engine);
        return status;
    }
    *out = engine;
    return AF_OK;
}

void af_tsm_close(struct af_tsm *engine)
{
    if (engine == NULL)
        return;
    core_keepers_stop(engine);
    if (engine->wal != NULL)
        af_wal_close(engine->wal);
    if (engine->at.frozen != NULL)
        af_cache_unref(engine->at.frozen);
    if (engine->at.active != NULL)
        af_cache_unref(engine->at.active);
    while (engine->at.bucket_count > 0)
        core_bucket_remove_locked(engine, engine->at.buckets[engine->at.bucket_count - 1]);
    af_free(engine->at.buckets);
    af_free(engine->at.shards);
    af_free(engine->at.departed);
    af_file_close(engine->lock_file);
    af_free(engine->dir);
    af_free(engine->data_dir);
    af_mutex_done(&engine->flush);
    af_mutex_done(&engine->catalog);
    af_mutex_done(&engine->apply);
    af_mutex_done(&engine->lock);
    af_mutex_done(&engine->reserve);
    af_cond_done(&engine->room);
    af_cond_done(&engine->wake);
    af_free(engine);
}

/* --- statistics ------------------------------------------------------------------------------------------------------------ */

static void add_sizes_locked(const struct af_tsm *engine, struct af_tsm_stats_now *out)
{
    out->buckets = engine->at.bucket_count;
    out->shards = engine->at.shard_count;
    for (size_t i = 0; i < engine->at.shard_count; i++) {
        const struct af_files *files = engine->at.shards[i]->files;
        out->files += files->count;
        for (size_t k = 0; k < files->count; k++)
            out->file_bytes += files->parts[k]->bytes;
    }
    out->cache_bytes = af_cache_bytes(engine->at.active) + (engine->at.frozen != NULL ? af_cache_bytes(engine->at.frozen) : 0);
}

/* Not under engine->lock: an index may be busy for seconds making the columns of its tags, and writers would wait for that too. */
static void add_indexes(struct af_tsm *engine, struct af_tsm_stats_now *out)
{
    struct af_bucket *bucket = core_bucket_from(engine, 0);
    while (bucket != NULL) {
        out->series += af_index_count(bucket->index);
        out->index_bytes += af_index_bytes(bucket->index);
        uint64_t id = bucket->settings.id;
        af_bucket_unref(bucket);
        bucket = id != UINT64_MAX ? core_bucket_from(engine, id + 1) : NULL;
    }
}

void af_tsm_stats_get_now(struct af_tsm *engine, struct af_tsm_stats_now *out)
{
    const struct af_tsm_counts *counts = &engine->counts;
    *out = (struct af_tsm_stats_now){
        .points_written = counts->points_written, .values_written = counts->values_written, .points_dropped = counts->points_dropped,
        .commits = counts->commits, .flushes = counts->flushes, .compactions = counts->compactions,
        .bytes_flushed = counts->bytes_flushed, .bytes_compacted = counts->bytes_compacted, .waits = counts->waits,
    };
    if (engine->wal != NULL) {
        out->wal_bytes = af_wal_bytes(engine->wal);
        out->syncs = af_wal_syncs(engine->wal);
    }
    af_mutex_lock(&engine->lock);
    add_sizes_locked(engine, out);
    out->is_read_only = engine->at.is_read_only;
    out->is_full = engine->at.is_full || engine->at.flush_failure == AF_EFULL;
    out->is_flush_failing = engine->at.flush_failure != AF_OK;
    if (out->is_read_only || out->is_full || out->is_flush_failing)
        core_copy_words(out->why, sizeof out->why, engine->at.why);
    af_mutex_unlock(&engine->lock);
    add_indexes(engine, out);
}
