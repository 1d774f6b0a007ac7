/*
 * erase.c - deleting by time and predicate: tombstones on every file that has such points, then series without data are hidden.
 *
 * Everything acknowledged before is flushed first, so what is to go is in files. Shard by shard, under shard->work (no compaction runs
 * meanwhile), part by part from the oldest on: a crash half way may leave the newest values of a time, never an older one that had been
 * overwritten. A part of which nothing is left is not given tombstones but unlinked, with an fsync of the directory before the next part
 * is touched. What was done is installed also when a later part fails: memory says what the disk says. Flushes that end meanwhile add
 * newer files, which are not looked at: their points came later.
 *
 * The files of a shard are chosen while no flush runs (engine->flush) and the log has nothing that is in files: a replay would bring back
 * points of a file that a tombstone covers. For the same reason the directory may have no TSM file that is not in the set, one that could
 * not be unlinked when others took its place: it would be data again at the next opening. A deletion is refused then, not the file removed,
 * which somebody may have put there.
 *
 * Series and keys are in one order, so the selected series are walked along a part's index; where they are far apart the cursor seeks.
 *
 * A series is hidden when no file and no cache has a point of it. Files are looked at first, while writes go on. Then writes stand still
 * (the bucket's gate, and af_wal_pause) for the rest: files that came meanwhile and the caches. A writer that found the series before
 * shows it again after it has applied (write.c).
 *
 * A measurement without a series left has no fields any more, in any shard: forgotten in the same moment (types.c), when no writer has
 * claimed one that is not in a cache. What of its old types is in files is under tombstones, and the log has nothing of it: what it had
 * was flushed, and what was not would be in a cache.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "tsm/core_int.h"
#include <inttypes.h>
#include <stdlib.h>

/* --- walking series and keys side by side -------------------------------------------------------------------------------------- */

struct selection {
    struct af_index *index;
    const uint32_t *ids;    /* in order of key + separator */
    bool *is_settled;       /* not to be looked for any more; may be NULL */
    size_t count;
    const bool *cancel;
};
/* An entry of the series number `which` of the selection. */
typedef enum af_status (*on_entry)(void *ctx, size_t which, const struct af_tsm_entry *entry, struct af_error *err);

/* Where `key` stands to the keys of a series: before (< 0), among (0) or behind them. */
static int place(struct af_slice key, struct af_slice series)
{
    static const struct af_slice separator = { AF_TSM_KEY_SEPARATOR, sizeof AF_TSM_KEY_SEPARATOR - 1 };
    const size_t head = key.len < series.len ? key.len : series.len;
    const int c = head > 0 ? memcmp(key.ptr, series.ptr, head) : 0;
    if (c != 0)
        return c;
    if (key.len < series.len)
        return -1;
    const struct af_slice rest = { key.ptr + series.len, key.len - series.len };
    if (rest.len >= separator.len && memcmp(rest.ptr, separator.ptr, separator.len) == 0)
        return 0;
    return af_slice_cmp(rest, separator);
}

static enum af_status check_cancel(const bool *cancel, struct af_error *err)
{
    if (cancel != NULL && __atomic_load_n(cancel, __ATOMIC_RELAXED))
        return af_fail(err, AF_ECANCELED, "the deletion was stopped; part of it may be done");
    return AF_OK;
}

/* To the first entry that is not before the series. */
static enum af_status go_to(struct af_tsm_cursor *cursor, struct af_slice series, struct af_buf *key, struct af_tsm_entry *entry,
                            struct af_error *err)
{
    if (entry->key.ptr == NULL || place(entry->key, series) >= 0)
        return AF_OK;
    af_buf_clear(key);
    af_tsm_key_append(key, series, AF_SLICE_LIT(""));
    AF_TRY(af_buf_check(key, "a key", err));
    AF_TRY(af_tsm_cursor_seek(cursor, af_buf_slice(key), err));
    return af_tsm_cursor_next(cursor, entry, err);
}

static enum af_status walk_series(struct af_tsm_cursor *cursor, const struct selection *selection, struct af_buf *key, on_entry call,
                                  void *ctx, struct af_error *err)
{
    struct af_tsm_entry entry;
    AF_TRY(af_tsm_cursor_next(cursor, &entry, err));
    for (size_t i = 0; i < selection->count && entry.key.ptr != NULL; i++) {
        if (selection->is_settled != NULL && selection->is_settled[i])
            continue;
        const struct af_slice series = af_index_key(selection->index, selection->ids[i]);
        AF_TRY(check_cancel(selection->cancel, err));
        AF_TRY(go_to(cursor, series, key, &entry, err));
        while (entry.key.ptr != NULL && place(entry.key, series) == 0) {
            AF_TRY(call(ctx, i, &entry, err));
            AF_TRY(af_tsm_cursor_next(cursor, &entry, err));
        }
    }
    return AF_OK;
}

static enum af_status walk(struct af_tsm_file *file, const struct selection *selection, on_entry call, void *ctx, struct af_error *err)
{
    struct af_tsm_cursor *cursor;
    struct af_buf key;
    if (selection->count == 0)
        return AF_OK;
    AF_TRY(af_tsm_cursor_open(file, AF_SLICE_LIT(""), &cursor, err));
    af_buf_init(&key, 2 * AF_LP_KEY_BYTES_MAX);
    enum af_status status = walk_series(cursor, selection, &key, call, ctx, err);
    af_buf_done(&key);
    af_tsm_cursor_close(cursor);
    return status;
}

/* --- one part -------------------------------------------------------------------------------------------------------------------- */

struct erasing {
    int64_t start_ns, last_ns; /* inclusive */
    const struct selection *selection;
    struct af_arena arena;     /* of the part at hand */
    const struct af_tsm_part *part;
    struct af_tsm_tomb *tombs;
    size_t count, cap;
    uint64_t whole;            /* keys of which nothing is left */
};

static enum af_status add_tomb(struct erasing *e, struct af_slice key, struct af_error *err)
{
    if (e->count == e->cap) {
        const size_t cap = e->cap == 0 ? 64 : e->cap * 2;
        struct af_tsm_tomb *tombs = af_realloc(e->tombs, cap * sizeof *tombs);
        if (tombs == NULL)
            return af_fail_nomem(err, "tombstones");
        e->tombs = tombs;
        e->cap = cap;
    }
    const char *copy = af_arena_copy(&e->arena, key);
    if (copy == NULL)
        return af_arena_fail(&e->arena, key.len, "tombstones", err);
    e->tombs[e->count++] = (struct af_tsm_tomb){ { copy, key.len }, e->start_ns, e->last_ns };
    return AF_OK;
}

/* Covered by one tombstone? Those of a key are joined. */
static bool is_covered(const struct af_tsm_tomb *tombs, size_t count, int64_t min_ns, int64_t max_ns)
{
    for (size_t i = 0; i < count; i++)
        if (tombs[i].min_ns <= min_ns && tombs[i].max_ns >= max_ns)
            return true;
    return false;
}

static enum af_status erase_entry(void *ctx, size_t which, const struct af_tsm_entry *entry, struct af_error *err)
{
    struct erasing *e = ctx;
    size_t tomb_count;
    bool touches = false;
    bool whole = true;
    (void)which;
    const struct af_tsm_tomb *tombs = af_part_tombs(e->part, entry->key, &tomb_count);
    for (size_t i = 0; i < entry->block_count; i++) {
        const struct af_tsm_block_ref *ref = &entry->blocks[i];
        if (is_covered(tombs, tomb_count, ref->min_ns, ref->max_ns))
            continue;
        touches = touches || (ref->min_ns <= e->last_ns && ref->max_ns >= e->start_ns);
        whole = whole && ref->min_ns >= e->start_ns && ref->max_ns <= e->last_ns;
    }
    e->whole += whole;
    return touches ? add_tomb(e, entry->key, err) : AF_OK;
}

/* Give `part` its tombstones. *out NULL: nothing of it is to go; `part` itself: nothing of it is left. */
static enum af_status erase_part(struct erasing *e, struct af_tsm_part *part, struct af_tsm_part **out, struct af_error *err)
{
    struct af_tsm_file_info info;
    af_tsm_file_info(part->file, &info);
    *out = NULL;
    if (info.max_ns < e->start_ns || info.min_ns > e->last_ns)
        return AF_OK;
    af_arena_reset(&e->arena);
    e->part = part;
    e->count = 0;
    e->whole = 0;
    AF_TRY(walk(part->file, e->selection, erase_entry, e, err));
    if (e->whole == info.key_count) {
        *out = part;
        return AF_OK;
    }
    return e->count > 0 ? af_part_erase(part, e->tombs, e->count, out, err) : AF_OK;
}

/* --- one shard ------------------------------------------------------------------------------------------------------------------- */

struct change {
    struct af_tsm_part **removed, **added;
    size_t removed_count, added_count;
};

static enum af_status erase_parts(struct erasing *e, const struct af_shard *shard, const struct af_files *files, struct change *change,
                                  struct af_error *err)
{
    for (size_t i = 0; i < files->count; i++) {
        struct af_tsm_part *part = files->parts[i];
        struct af_tsm_part *next;
        AF_TRY(erase_part(e, part, &next, err));
        if (next == NULL)
            continue;
        enum af_status status = next == part ? af_part_unlink(part, err) : AF_OK;
        if (next != part || part->is_unlinked)
            change->removed[change->removed_count++] = part;
        if (next != part)
            change->added[change->added_count++] = next;
        else if (status == AF_OK)
            status = af_dir_sync(shard->dir, err);
        AF_TRY(status);
    }
    return AF_OK;
}

static enum af_status erase_files(struct af_tsm *engine, struct erasing *e, struct af_shard *shard, const struct af_files *files,
                                  struct af_error *err)
{
    struct change change = { .removed = af_alloc_zero(files->count + 1, sizeof *change.removed) };
    change.added = af_alloc_zero(files->count + 1, sizeof *change.added);
    enum af_status status = change.removed != NULL && change.added != NULL ? AF_OK : af_fail_nomem(err, "a deletion");
    if (status == AF_OK)
        status = erase_parts(e, shard, files, &change, err);
    if (change.removed_count > 0) {
        struct af_error why = { 0 };
        enum af_status installed = af_shard_replace(engine, shard, change.removed, change.removed_count, change.added,
                                                    change.added_count, &why);
        if (status == AF_OK && installed != AF_OK && installed != AF_ENOTFOUND) /* a shard that is dropped has nothing to delete */
            status = af_fail(err, installed, "%s", why.message);
    }
    for (size_t i = 0; i < change.added_count; i++)
        af_part_unref(change.added[i]);
    af_free(change.removed);
    af_free(change.added);
    return status;
}

struct known {
    const struct af_shard *shard;
    const struct af_files *files;
};

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static enum af_status check_known(void *ctx, const char *path, struct af_error *err)
{
    const struct known *known = ctx;
    uint32_t generation;
    uint32_t sequence;
    if (!af_part_name_parse(path, ".tsm", &generation, &sequence))
        return AF_OK;
    for (size_t i = 0; i < known->files->count; i++)
        if (strcmp(name_of(known->files->parts[i]->path), name_of(path)) == 0)
            return AF_OK;
    return af_fail(err, AF_EIO, "nothing is deleted from shard %" PRIu64 ": %s is not in use but could not be removed, and would bring the "
                   "points back; check the disk, then start again and delete again", known->shard->id, path);
}

/* No segment of the log that is not needed: one that could not be removed is tried once more. */
static enum af_status settle_log(struct af_tsm *engine, struct af_error *err)
{
    af_mutex_lock(&engine->lock);
    const bool is_settled = engine->wal == NULL || engine->at.undropped_segment == 0;
    af_mutex_unlock(&engine->lock);
    return is_settled ? AF_OK : core_flush_all_locked(engine, err);
}

/* Shards are dropped under engine->flush, which the caller holds. */
static bool is_dropped(struct af_tsm *engine, const struct af_shard *shard)
{
    af_mutex_lock(&engine->lock);
    const bool is = shard->is_dropped || shard->bucket->is_dropped;
    af_mutex_unlock(&engine->lock);
    return is;
}

/* *out NULL: the shard is gone. */
static enum af_status choose_files(struct af_tsm *engine, struct af_shard *shard, struct af_files **out, struct af_error *err)
{
    *out = NULL;
    af_mutex_lock(&engine->flush);
    enum af_status status = settle_log(engine, err);
    if (status == AF_OK && !is_dropped(engine, shard)) {
        *out = af_shard_files(engine, shard);
        if (af_path_kind(shard->dir) == AF_PATH_DIR)
            status = af_dir_list(shard->dir, check_known, &(struct known){ shard, *out }, err);
    }
    af_mutex_unlock(&engine->flush);
    return status;
}

/* Its directory may have been taken away under the deletion. */
static bool is_gone(struct af_tsm *engine, const struct af_shard *shard)
{
    af_mutex_lock(&engine->flush);
    const bool is = is_dropped(engine, shard);
    af_mutex_unlock(&engine->flush);
    return is;
}

static enum af_status erase_shard(struct af_tsm *engine, struct erasing *e, struct af_shard *shard, struct af_error *err)
{
    if (shard->start_ns > e->last_ns || (shard->end_ns <= e->start_ns && shard->end_ns != INT64_MAX))
        return AF_OK;
    if (shard->is_damaged)
        return af_fail(err, AF_ECORRUPT, "shard %" PRIu64 " in %s is damaged: stop the server and run `afluxo tsm verify --repair` "
                       "before deleting from it", shard->id, shard->dir);
    struct af_error why = { 0 };
    af_mutex_lock(&shard->work);
    struct af_files *files;
    enum af_status status = choose_files(engine, shard, &files, &why);
    if (status == AF_OK && files != NULL)
        status = erase_files(engine, e, shard, files, &why);
    if (files != NULL)
        af_files_unref(files);
    af_mutex_unlock(&shard->work);
    if (status != AF_OK && !core_is_sync_failure(&why) && is_gone(engine, shard))
        return AF_OK;
    return core_settle(engine, status, &why, err);
}

static enum af_status erase_shards(struct af_tsm *engine, struct af_bucket *bucket, const struct selection *selection,
                                   const struct af_scan *scan, struct af_error *err)
{
    struct erasing e = { .start_ns = scan->start_ns, .selection = selection };
    struct af_arena arena;
    struct af_shard **shards = NULL;
    size_t count = 0;
    e.last_ns = scan->stop_ns == INT64_MAX ? INT64_MAX : scan->stop_ns - 1;
    af_arena_init(&arena, SIZE_MAX / 2);
    af_arena_init(&e.arena, SIZE_MAX / 2);
    enum af_status status = af_shard_list(engine, bucket, &arena, &shards, &count, err);
    for (size_t i = 0; i < count && status == AF_OK; i++)
        status = erase_shard(engine, &e, shards[i], err);
    for (size_t i = 0; i < count; i++)
        af_shard_unref(shards[i]);
    af_free(e.tombs);
    af_arena_done(&e.arena);
    af_arena_done(&arena);
    return status;
}

/* --- series without data ------------------------------------------------------------------------------------------------------------ */

struct looking {
    struct selection selection; /* is_settled: has data */
    const struct af_tsm_part *part;
    struct af_arena arena;      /* of one key */
};

static enum af_status look_at_entry(void *ctx, size_t which, const struct af_tsm_entry *entry, struct af_error *err)
{
    struct looking *look = ctx;
    bool has = true;
    if (look->selection.is_settled[which])
        return AF_OK;
    enum af_status status = af_merge_has_rows(look->part, entry, &look->arena, &has, err);
    look->selection.is_settled[which] = has;
    return status;
}

static bool has_part(const struct af_view *view, const struct af_tsm_part *part)
{
    for (size_t i = 0; view != NULL && i < view->shard_count; i++)
        for (size_t j = 0; j < view->shards[i].files->count; j++)
            if (view->shards[i].files->parts[j] == part)
                return true;
    return false;
}

/* Series of the selection that have data in the files of `view`, but for those that `seen` has too. */
static enum af_status look_in_files(struct looking *look, const struct af_view *view, const struct af_view *seen, struct af_error *err)
{
    for (size_t i = 0; i < view->shard_count; i++)
        for (size_t j = 0; j < view->shards[i].files->count; j++) {
            look->part = view->shards[i].files->parts[j];
            if (!has_part(seen, look->part))
                AF_TRY(walk(look->part->file, &look->selection, look_at_entry, look, err));
        }
    return AF_OK;
}

static int by_id(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Those with rows in a cache, of shards of this bucket. */
static enum af_status look_in_cache(struct looking *look, const struct af_view *view, struct af_cache *cache, struct af_error *err)
{
    for (size_t i = 0; i < view->shard_count; i++) {
        uint32_t *series;
        size_t count;
        af_arena_reset(&look->arena);
        AF_TRY(af_cache_series(cache, view->shards[i].shard->id, &look->arena, &series, &count, err));
        if (count == 0)
            continue;
        qsort(series, count, sizeof *series, by_id);
        for (size_t s = 0; s < look->selection.count; s++)
            if (bsearch(&look->selection.ids[s], series, count, sizeof *series, by_id) != NULL)
                look->selection.is_settled[s] = true;
    }
    return AF_OK;
}

/* A measurement of which the last series was hidden has no fields any more: they may come back with other types. */
static enum af_status forget_types(struct looking *look, const struct af_view *view, uint32_t measurement, struct af_error *err)
{
    struct af_index *index = look->selection.index;
    uint64_t measurements;
    uint64_t series;
    af_arena_reset(&look->arena);
    AF_TRY(af_index_counts(index, measurement, NULL, &look->arena, &measurements, &series, err));
    for (size_t i = 0; i < view->shard_count && series == 0; i++)
        af_types_forget(view->shards[i].shard->types, af_index_measurement_name(index, measurement));
    return AF_OK;
}

/* Series are in order of their keys, those of a measurement are neighbours. */
static enum af_status hide(struct looking *look, const struct af_view *view, struct af_error *err)
{
    const struct selection *selection = &look->selection;
    bool has_hidden = false;
    for (size_t s = 0; s < selection->count; s++) {
        uint32_t measurement = af_index_measurement(selection->index, selection->ids[s]);
        if (!selection->is_settled[s])
            af_index_hide(selection->index, selection->ids[s]);
        has_hidden = has_hidden || !selection->is_settled[s];
        bool is_last = s + 1 == selection->count || af_index_measurement(selection->index, selection->ids[s + 1]) != measurement;
        if (!is_last)
            continue;
        if (has_hidden)
            AF_TRY(forget_types(look, view, measurement, err));
        has_hidden = false;
    }
    return AF_OK;
}

/* While nothing is claimed or applied: files that came since `seen`, and the caches. */
static enum af_status hide_rest(struct af_tsm *engine, struct looking *look, uint64_t bucket, const struct af_view *seen,
                                struct af_error *err)
{
    struct af_view *view;
    AF_TRY(af_view_open(engine, bucket, INT64_MIN, INT64_MAX, &view, err));
    enum af_status status = look_in_files(look, view, seen, err);
    for (size_t i = 0; i < view->cache_count && status == AF_OK; i++)
        status = look_in_cache(look, view, view->caches[i], err);
    if (status == AF_OK)
        status = hide(look, view, err);
    af_view_close(view);
    return status;
}

/* Nobody writes to the bucket meanwhile; to others, nobody is between the log and the cache. */
static enum af_status hide_alone(struct af_tsm *engine, struct looking *look, struct af_bucket *bucket, const struct af_view *seen,
                                 struct af_error *err)
{
    core_gate_close(&bucket->gate);
    if (engine->wal != NULL)
        af_wal_pause(engine->wal);
    else
        af_mutex_lock(&engine->apply);
    enum af_status status = hide_rest(engine, look, bucket->settings.id, seen, err);
    if (engine->wal != NULL)
        af_wal_resume(engine->wal);
    else
        af_mutex_unlock(&engine->apply);
    core_gate_open(&bucket->gate);
    return status;
}

/* The deletion is done, so only a failed fsync is a failure: else the old types may be there again after a restart. */
static enum af_status settle_types(struct af_tsm *engine, const struct af_view *view, struct af_error *err)
{
    for (size_t i = 0; i < view->shard_count; i++) {
        struct af_error why = { 0 };
        enum af_status status = af_types_settle(view->shards[i].shard->types, &why);
        if (status != AF_OK && core_is_sync_failure(&why))
            return core_settle(engine, status, &why, err);
    }
    return AF_OK;
}

static bool all_settled(const struct looking *look)
{
    for (size_t s = 0; s < look->selection.count; s++)
        if (!look->selection.is_settled[s])
            return false;
    return true;
}

static enum af_status hide_series(struct af_tsm *engine, struct looking *look, struct af_bucket *bucket, struct af_error *err)
{
    struct af_view *seen;
    enum af_status status = af_view_open(engine, bucket->settings.id, INT64_MIN, INT64_MAX, &seen, err);
    if (status == AF_ECORRUPT) /* a damaged shard: what it has nobody knows, so nothing is hidden */
        return AF_OK;
    if (status != AF_OK)
        return status;
    status = look_in_files(look, seen, NULL, err);
    if (status == AF_OK && !all_settled(look)) {
        status = hide_alone(engine, look, bucket, seen, err);
        if (status == AF_OK)
            status = settle_types(engine, seen, err);
    }
    af_view_close(seen);
    return status;
}

/* --- the whole ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status select_series(struct af_index *index, const struct af_scan *scan, struct af_arena *arena, uint32_t **out,
                                    size_t *out_count, struct af_error *err)
{
    uint32_t measurement = AF_INDEX_NONE;
    *out_count = 0;
    if (scan->measurement != NULL) {
        struct af_buf name;
        af_buf_init(&name, 2 * AF_LP_KEY_BYTES_MAX);
        af_key_append_measurement(&name, af_slice_of(scan->measurement));
        enum af_status status = af_buf_check(&name, "a measurement's name", err);
        if (status == AF_OK)
            measurement = af_index_measurement_find(index, af_buf_slice(&name));
        af_buf_done(&name);
        if (status != AF_OK || measurement == AF_INDEX_NONE)
            return status;
    }
    return af_index_select(index, measurement, scan->predicate, arena, out, out_count, err);
}

static enum af_status erase(struct af_tsm *engine, struct af_bucket *bucket, const struct af_scan *scan, struct af_arena *arena,
                            struct af_error *err)
{
    struct looking look = { .selection = { .index = bucket->index, .cancel = scan->cancel } };
    uint32_t *ids = NULL;
    AF_TRY(af_tsm_flush(engine, err));
    AF_TRY(select_series(bucket->index, scan, arena, &ids, &look.selection.count, err));
    if (look.selection.count == 0)
        return AF_OK;
    look.selection.ids = ids;
    AF_TRY(erase_shards(engine, bucket, &look.selection, scan, err));
    look.selection.is_settled = af_arena_zero(arena, look.selection.count, sizeof *look.selection.is_settled);
    if (look.selection.is_settled == NULL)
        return af_arena_fail(arena, look.selection.count, "a deletion", err);
    look.selection.cancel = NULL; /* the points are gone: the rest is quick and cannot be half done */
    af_arena_init(&look.arena, SIZE_MAX / 2);
    enum af_status status = hide_series(engine, &look, bucket, err);
    af_arena_done(&look.arena);
    return status;
}

struct deletion {
    struct af_tsm *engine;
    struct af_bucket *bucket;
    const struct af_scan *scan;
};

static enum af_status delete(void *ctx, struct af_error *err)
{
    const struct deletion *deletion = ctx;
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = erase(deletion->engine, deletion->bucket, deletion->scan, &arena, err);
    af_arena_done(&arena);
    return status;
}

enum af_status af_tsm_erase(struct af_tsm *engine, uint64_t bucket, const struct af_scan *scan, struct af_error *err)
{
    if (scan->fields != NULL)
        return af_fail(err, AF_EINVAL, "points are deleted with all their fields");
    if (scan->start_ns >= scan->stop_ns && scan->stop_ns != INT64_MAX)
        return AF_OK;
    struct af_bucket *found = af_bucket_find(engine, bucket);
    if (found == NULL)
        return af_fail(err, AF_ENOTFOUND, "there is no bucket %016" PRIx64 " in %s", bucket, engine->dir);
    enum af_status status = core_delete(engine, delete, &(struct deletion){ engine, found, scan }, err);
    af_bucket_unref(found);
    return status;
}
