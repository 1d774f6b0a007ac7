/*
 * drop.c - taking a bucket away, also on a disk without a free byte: what an administrator can do there is to delete.
 *
 *     the bucket's directory to another name, synced     the moment: before it nothing has changed, after it the bucket is gone
 *     that directory removed                             here is the room
 *     the cache and the log emptied                      if it can be: a drop does not fail for want of that
 *
 * A rename takes no room, or next to none. What the log still has of the bucket is passed over by a replay, for there is no such bucket;
 * only
 * a new one with the same id would get the points back. So it is remembered whose points the log may have (`departed`), and a bucket of
 * such an id is made after the log was emptied, or not at all. The list ends with every flush of all and begins anew with a replay.
 *
 * DIR/reserve is a file of nothing: room that is lent to deletions (drops, erase.c) which failed because there is none. While it is lent
 * writes are refused, so that none of them takes it; then it is made again, and if there is no room for it, after a later flush. It
 * may be missing at any time. Its bytes are random: file systems that compress must not make it small.
 *
 * Dropping (a bucket here, shards in keeper.c) holds engine->flush: a flush makes directories that it needs and must not bring back
 * one that is on its way out.
 */
#include "base/alloc.h"
#include "os/clock.h"
#include "os/tree.h"
#include "tsm/core_int.h"
#include <inttypes.h>

enum { RESERVE_BYTES = 1 << 20, STEP_BYTES = 64 << 10 };

/* --- room that is set aside ------------------------------------------------------------------------------------------------ */

static char *reserve_path(const struct af_tsm *engine)
{
    return core_printf("%s/reserve", engine->dir);
}

static bool is_whole(const char *path)
{
    uint64_t bytes = 0;
    return af_path_kind(path) == AF_PATH_FILE && af_path_size(path, &bytes, NULL, NULL) == AF_OK && bytes == RESERVE_BYTES;
}

static enum af_status fill(const char *path)
{
    struct af_file *file;
    char *step = af_alloc(STEP_BYTES);
    if (step == NULL)
        return AF_ENOMEM;
    enum af_status status = af_file_open(path, AF_FILE_TRUNCATE, &file, NULL);
    for (size_t at = 0; at < RESERVE_BYTES && status == AF_OK; at += STEP_BYTES) {
        af_random_bytes(step, STEP_BYTES);
        status = af_file_write(file, af_slice_make(step, STEP_BYTES), NULL);
        if (status != AF_OK || at + STEP_BYTES == RESERVE_BYTES)
            af_file_close(file);
    }
    af_free(step);
    return status; /* not synced: there is nothing in it to be lost */
}

static void make_reserve_locked(struct af_tsm *engine)
{
    char *path = reserve_path(engine);
    if (path == NULL)
        return;
    engine->has_reserve = is_whole(path) || fill(path) == AF_OK;
    if (!engine->has_reserve && af_path_remove(path, NULL) != AF_OK)
        af_tsm_say(engine, "%s is not whole and could not be removed", path);
    af_free(path);
}

void core_reserve_make(struct af_tsm *engine)
{
    if (engine->options.no_wal || engine->options.is_manual) /* nobody serves from it */
        return;
    af_mutex_lock(&engine->reserve);
    if (!engine->has_reserve && !engine->is_reserve_lent)
        make_reserve_locked(engine);
    af_mutex_unlock(&engine->reserve);
}

/* False: there is none, or somebody has it. */
static bool lend_reserve(struct af_tsm *engine)
{
    af_mutex_lock(&engine->reserve);
    char *path = engine->has_reserve ? reserve_path(engine) : NULL;
    if (path != NULL) {
        engine->is_reserve_lent = true; /* before there is room */
        engine->has_reserve = af_path_remove(path, NULL) != AF_OK;
        engine->is_reserve_lent = !engine->has_reserve;
    }
    bool is_lent = path != NULL && !engine->has_reserve;
    af_mutex_unlock(&engine->reserve);
    af_free(path);
    return is_lent;
}

static void return_reserve(struct af_tsm *engine)
{
    af_mutex_lock(&engine->reserve);
    make_reserve_locked(engine);
    engine->is_reserve_lent = false;
    af_mutex_unlock(&engine->reserve);
}

enum af_status core_delete(struct af_tsm *engine, core_deletion call, void *ctx, struct af_error *err)
{
    enum af_status status = call(ctx, err);
    if (status != AF_EFULL || !lend_reserve(engine))
        return status;
    status = call(ctx, err);
    return_reserve(engine);
    return status;
}

/* --- whose points the log may have ------------------------------------------------------------------------------------------- */

/* Place of the first id that is not less. */
static size_t departed_place_locked(const struct af_tsm *engine, uint64_t id)
{
    size_t low = 0;
    size_t high = engine->at.departed_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (engine->at.departed[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool core_is_departed(struct af_tsm *engine, uint64_t id)
{
    af_mutex_lock(&engine->lock);
    size_t at = departed_place_locked(engine, id);
    bool is = at < engine->at.departed_count && engine->at.departed[at] == id;
    af_mutex_unlock(&engine->lock);
    return is;
}

enum af_status core_note_departed(struct af_tsm *engine, uint64_t id, struct af_error *err)
{
    enum af_status status = AF_OK;
    af_mutex_lock(&engine->lock);
    size_t count = engine->at.departed_count;
    size_t at = departed_place_locked(engine, id);
    if (at == count || engine->at.departed[at] != id) {
        if (core_grow((void **)&engine->at.departed, &engine->at.departed_cap, count + 1, sizeof *engine->at.departed)) {
            uint64_t *list = engine->at.departed;
            memmove(list + at + 1, list + at, (count - at) * sizeof *list);
            list[at] = id;
            engine->at.departed_count++;
        } else {
            status = af_fail_nomem(err, "a list of buckets");
        }
    }
    af_mutex_unlock(&engine->lock);
    return status;
}

void core_forget_departed(struct af_tsm *engine)
{
    af_mutex_lock(&engine->lock);
    engine->at.departed_count = 0;
    af_mutex_unlock(&engine->lock);
}

/* --- a bucket ------------------------------------------------------------------------------------------------------------------ */

static void set_dropped(struct af_tsm *engine, struct af_bucket *bucket, bool is_dropped)
{
    af_mutex_lock(&engine->lock);
    bucket->is_dropped = is_dropped; /* nobody finds it from here on */
    af_mutex_unlock(&engine->lock);
}

struct moving {
    const struct af_bucket *bucket;
    const char *away;
};

static enum af_status move_away(void *ctx, struct af_error *err)
{
    const struct moving *moving = ctx;
    return af_path_rename(moving->bucket->dir, moving->away, err);
}

static enum af_status take_away(struct af_tsm *engine, struct af_bucket *bucket, const char *away, struct af_error *err)
{
    set_dropped(engine, bucket, true);
    enum af_status status = af_dir_remove(away, err);
    if (status == AF_OK && engine->wal != NULL)
        status = core_note_departed(engine, bucket->settings.id, err);
    if (status == AF_OK)
        status = core_delete(engine, move_away, &(struct moving){ bucket, away }, err);
    if (status != AF_OK) {
        set_dropped(engine, bucket, false);
    } else {
        af_mutex_lock(&engine->lock);
        core_bucket_remove_locked(engine, bucket);
        af_mutex_unlock(&engine->lock);
    }
    return status;
}

/* *out_away: where its directory is now; NULL: there is no such bucket. */
static enum af_status drop_bucket(struct af_tsm *engine, uint64_t id, char **out_away, struct af_error *err)
{
    struct af_bucket *bucket = af_bucket_find(engine, id);
    *out_away = NULL;
    if (bucket == NULL)
        return AF_OK;
    char *away = core_printf("%s.dropped", bucket->dir);
    enum af_status status = away == NULL ? af_fail_nomem(err, "a path") : take_away(engine, bucket, away, err);
    af_bucket_unref(bucket);
    if (status == AF_OK)
        *out_away = away;
    else
        af_free(away);
    return status;
}

static enum af_status flush_all(void *engine, struct af_error *err)
{
    return af_tsm_flush(engine, err);
}

/* What fails here is no failure of the drop: the next start removes what is left, and a flush that failed is in the engine's state, told
 * and
 * tried again. */
static void clear_up(struct af_tsm *engine, const char *away)
{
    struct af_error err;
    if (af_dir_remove(away, NULL) != AF_OK)
        af_tsm_say(engine, "%s could not be removed and is left for the next start", away);
    enum af_status status = core_delete(engine, flush_all, engine, &err);
    (void)status;
}

enum af_status af_tsm_bucket_drop(struct af_tsm *engine, uint64_t id, struct af_error *err)
{
    char *away;
    struct af_error why = { 0 };
    af_mutex_lock(&engine->flush);
    af_mutex_lock(&engine->catalog);
    enum af_status status = drop_bucket(engine, id, &away, &why);
    af_mutex_unlock(&engine->catalog);
    af_mutex_unlock(&engine->flush);
    if (away != NULL)
        clear_up(engine, away);
    af_free(away);
    return core_settle(engine, status, &why, err);
}
