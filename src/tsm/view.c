/*
 * view.c - what a reader holds: shards with their files, and caches, all of one moment.
 *
 * Taken under engine->lock, where a flush also swaps its frozen cache for files: a view has each point in one place or the other, and later
 * changes do not touch what it has. Caches go on growing; a scan fixes what it sees when it captures (af_cache_capture).
 */
#include "base/alloc.h"
#include "tsm/core_int.h"
#include <inttypes.h>

/* Shards of the range, in the view. */
static enum af_status take_shards_locked(struct af_view *view, int64_t start_ns, int64_t stop_ns, struct af_error *err)
{
    const struct af_bucket *bucket = view->bucket;
    view->shards = af_alloc((bucket->shard_count + 1) * sizeof *view->shards);
    if (view->shards == NULL)
        return af_fail_nomem(err, "a view");
    for (size_t i = 0; i < bucket->shard_count; i++) {
        struct af_shard *shard = bucket->shards[i];
        bool is_before = shard->end_ns <= start_ns && shard->end_ns != INT64_MAX;
        bool is_after = shard->start_ns >= stop_ns && !(stop_ns == INT64_MAX && shard->start_ns == INT64_MAX);
        if (is_before || is_after)
            continue;
        if (shard->is_damaged)
            return af_fail(err, AF_ECORRUPT, "shard %" PRIu64 " in %s has lost a damaged file (its name ends in .bad): stop the server and "
                           "run fsck --repair, which says what is lost; until then nothing of that time is read", shard->id, shard->dir);
        view->shards[view->shard_count++] = (struct af_view_shard){ af_shard_ref(shard), af_files_ref(shard->files) };
    }
    return AF_OK;
}

static enum af_status fill(struct af_tsm *engine, struct af_view *view, int64_t start_ns, int64_t stop_ns, struct af_error *err)
{
    af_mutex_lock(&engine->lock);
    enum af_status status = take_shards_locked(view, start_ns, stop_ns, err);
    if (status == AF_OK && engine->at.frozen != NULL)
        view->caches[view->cache_count++] = af_cache_ref(engine->at.frozen);
    if (status == AF_OK)
        view->caches[view->cache_count++] = af_cache_ref(engine->at.active);
    af_mutex_unlock(&engine->lock);
    return status;
}

enum af_status af_view_open(struct af_tsm *engine, uint64_t bucket, int64_t start_ns, int64_t stop_ns, struct af_view **out,
                            struct af_error *err)
{
    struct af_view *view = af_alloc_zero(1, sizeof *view);
    if (view == NULL)
        return af_fail_nomem(err, "a view");
    view->bucket = af_bucket_find(engine, bucket);
    enum af_status status = view->bucket == NULL
        ? af_fail(err, AF_ENOTFOUND, "there is no bucket %016" PRIx64 " in %s", bucket, engine->dir)
        : fill(engine, view, start_ns, stop_ns, err);
    if (status != AF_OK) {
        af_view_close(view);
        return status;
    }
    *out = view;
    return AF_OK;
}

void af_view_close(struct af_view *view)
{
    if (view == NULL)
        return;
    for (size_t i = 0; i < view->shard_count; i++) {
        af_files_unref(view->shards[i].files);
        af_shard_unref(view->shards[i].shard);
    }
    for (size_t i = 0; i < view->cache_count; i++)
        af_cache_unref(view->caches[i]);
    af_bucket_unref(view->bucket);
    af_free(view->shards);
    af_free(view);
}
