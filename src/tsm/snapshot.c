/*
 * snapshot.c - what shards there are, and a consistent copy of a bucket.
 *
 * The copy is of one moment: all is flushed, and nothing is flushed again (engine->flush is held) until the files of every shard have been
 * referred to. They are linked without a lock. A file that a compaction or a deletion has unlinked by then is still open: its shard is
 * merged into the copy from the files that were held. So are shards with tombstones: who restores a copy may not know tombstones.
 */
#include "os/tree.h"
#include "tsm/core_int.h"
#include <inttypes.h>

/* --- shards ---------------------------------------------------------------------------------------------------------------- */

static void info_locked(const struct af_shard *shard, struct af_tsm_shard_info *out)
{
    *out = (struct af_tsm_shard_info){ .id = shard->id, .start_ns = shard->start_ns, .end_ns = shard->end_ns, .dir = shard->dir,
                                       .file_count = shard->files->count };
    for (size_t i = 0; i < shard->files->count; i++)
        out->bytes += shard->files->parts[i]->bytes;
}

static enum af_status list_locked(const struct af_bucket *bucket, struct af_arena *arena, struct af_tsm_shard_info **out,
                                  struct af_error *err)
{
    struct af_tsm_shard_info *list = af_arena_alloc(arena, (bucket->shard_count + 1) * sizeof *list);
    if (list == NULL)
        return af_arena_fail(arena, bucket->shard_count * sizeof *list, "a list of shards", err);
    for (size_t i = 0; i < bucket->shard_count; i++) {
        info_locked(bucket->shards[i], &list[i]);
        list[i].dir = af_arena_copy(arena, af_slice_of(list[i].dir));
        if (list[i].dir == NULL)
            return af_arena_fail(arena, 0, "a path", err);
    }
    *out = list;
    return AF_OK;
}

enum af_status af_tsm_shards(struct af_tsm *engine, uint64_t id, struct af_arena *arena, struct af_tsm_shard_info **out,
                             size_t *out_count, struct af_error *err)
{
    struct af_bucket *bucket = af_bucket_find(engine, id);
    if (bucket == NULL)
        return af_fail(err, AF_ENOTFOUND, "there is no bucket %016" PRIx64 " in %s", id, engine->dir);
    af_mutex_lock(&engine->lock);
    enum af_status status = list_locked(bucket, arena, out, err);
    if (status == AF_OK)
        *out_count = bucket->shard_count;
    af_mutex_unlock(&engine->lock);
    af_bucket_unref(bucket);
    return status;
}

/* --- the copy -------------------------------------------------------------------------------------------------------------- */

struct copy {
    struct af_tsm *engine;
    const char *dir;
    struct af_arena arena;
    struct copy_shard {
        struct af_shard *shard;   /* a reference */
        struct af_files *files;   /* a reference: of the moment */
    } *shards;
    size_t count;
};

static bool has_tombs(const struct af_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        if (files->parts[i]->tomb_count > 0)
            return true;
    return false;
}

static const char *shard_dir(struct copy *copy, const struct af_shard *shard)
{
    return af_arena_printf(&copy->arena, "%s/%" PRIu64, copy->dir, shard->id);
}

static enum af_status link_files(struct copy *copy, const struct af_files *files, const char *dir, struct af_error *err)
{
    AF_TRY(af_dir_make(dir, err));
    for (size_t i = 0; i < files->count; i++) {
        const struct af_tsm_part *part = files->parts[i];
        const char *to = af_arena_printf(&copy->arena, "%s/%09u-%09u.tsm", dir, part->generation, part->sequence);
        if (to == NULL)
            return af_arena_fail(&copy->arena, 0, "a path", err);
        AF_TRY(af_path_link(part->path, to, err));
    }
    return af_dir_sync(dir, err);
}

static enum af_status merge_shard(struct copy *copy, const struct copy_shard *shard, const char *dir, struct af_error *err)
{
    struct af_tsm_part **parts;
    size_t count;
    AF_TRY(af_dir_remove(dir, err));
    AF_TRY(af_dir_make(dir, err));
    AF_TRY(af_compact_run(dir, shard->files, 0, shard->files->count, UINT64_MAX, &copy->engine->is_cancelled, &copy->arena, &parts, &count,
                          err));
    for (size_t i = 0; i < count; i++)
        af_part_unref(parts[i]);
    return AF_OK;
}

static enum af_status copy_shard(struct copy *copy, const struct copy_shard *shard, struct af_error *err)
{
    struct af_error why = { 0 };
    const char *dir = shard_dir(copy, shard->shard);
    if (dir == NULL)
        return af_arena_fail(&copy->arena, 0, "a path", err);
    if (shard->files->count == 0)
        return AF_OK;
    if (has_tombs(shard->files))
        return merge_shard(copy, shard, dir, err);
    enum af_status status = link_files(copy, shard->files, dir, &why);
    if (status == AF_ENOTFOUND)
        return merge_shard(copy, shard, dir, err);
    return status == AF_OK ? AF_OK : af_fail(err, status, "%s", why.message);
}

/* All files of one moment: the caller holds engine->flush. */
static enum af_status hold_all(struct copy *copy, struct af_bucket *bucket, struct af_error *err)
{
    struct af_shard **shards;
    AF_TRY(core_flush_all_locked(copy->engine, err));
    AF_TRY(af_shard_list(copy->engine, bucket, &copy->arena, &shards, &copy->count, err));
    copy->shards = af_arena_zero(&copy->arena, copy->count + 1, sizeof *copy->shards);
    for (size_t i = 0; i < copy->count; i++) {
        if (copy->shards == NULL)
            af_shard_unref(shards[i]);
        else
            copy->shards[i] = (struct copy_shard){ shards[i], af_shard_files(copy->engine, shards[i]) };
    }
    if (copy->shards == NULL) {
        copy->count = 0;
        return af_arena_fail(&copy->arena, 0, "a list of shards", err);
    }
    return AF_OK;
}

/* Shards that have lost a file are not copied as if they were whole. */
static enum af_status check_whole(struct copy *copy, struct af_error *err)
{
    for (size_t i = 0; i < copy->count; i++)
        if (copy->shards[i].shard->is_damaged)
            return af_fail(err, AF_ECORRUPT, "shard %" PRIu64 " in %s has lost a damaged file: run fsck --repair before it is copied",
                           copy->shards[i].shard->id, copy->shards[i].shard->dir);
    return AF_OK;
}

static enum af_status copy_bucket(struct copy *copy, struct af_bucket *bucket, struct af_error *err)
{
    AF_TRY(af_dir_make(copy->dir, err));
    af_mutex_lock(&copy->engine->flush);
    enum af_status status = hold_all(copy, bucket, err);
    af_mutex_unlock(&copy->engine->flush);
    if (status == AF_OK)
        status = check_whole(copy, err);
    for (size_t i = 0; i < copy->count && status == AF_OK; i++)
        status = copy_shard(copy, &copy->shards[i], err);
    return status == AF_OK ? af_dir_sync(copy->dir, err) : status;
}

enum af_status af_tsm_snapshot(struct af_tsm *engine, uint64_t id, const char *dir, struct af_error *err)
{
    struct copy copy = { .engine = engine, .dir = dir };
    struct af_bucket *bucket = af_bucket_find(engine, id);
    if (bucket == NULL)
        return af_fail(err, AF_ENOTFOUND, "there is no bucket %016" PRIx64 " in %s", id, engine->dir);
    af_arena_init(&copy.arena, SIZE_MAX);
    enum af_status status = copy_bucket(&copy, bucket, err);
    for (size_t i = 0; i < copy.count; i++) {
        af_files_unref(copy.shards[i].files);
        af_shard_unref(copy.shards[i].shard);
    }
    af_arena_done(&copy.arena);
    af_bucket_unref(bucket);
    return status;
}
