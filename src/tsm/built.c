/*
 * built.c - the end of a build: shards as a compaction would leave them.
 *
 * All flushes of a build into a shard are files of one generation. Where the points came in order of time that is all there is to wish for:
 * no block of a key overlaps another, and nearly all are full. Else, or when the shard had files before, it is compacted.
 */
#include "base/alloc.h"
#include "tsm/core_int.h"

enum {
    OLDER_SHARE_MAX = 4,    /* a large shard of which less than this part is new is not written again: levels take care of it */
    LARGE_BYTES = 256 << 20,
    BLOCK_POINTS_FEW = 300, /* on average: blocks of fewer points waste room */
};

/* --- do blocks overlap? ---------------------------------------------------------------------------------------------------- */

struct place {
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry;
};
struct look {
    struct place *places;
    size_t count;
};

static void look_done(struct look *look)
{
    for (size_t i = 0; i < look->count; i++)
        af_tsm_cursor_close(look->places[i].cursor);
    af_free(look->places);
}

static enum af_status look_begin(struct look *look, const struct af_files *files, struct af_error *err)
{
    look->places = af_alloc_zero(files->count, sizeof *look->places);
    if (look->places == NULL)
        return af_fail_nomem(err, "a look at files");
    for (; look->count < files->count; look->count++) {
        struct place *place = &look->places[look->count];
        AF_TRY(af_tsm_cursor_open(files->parts[look->count]->file, AF_SLICE_LIT(""), &place->cursor, err));
        enum af_status status = af_tsm_cursor_next(place->cursor, &place->entry, err);
        if (status != AF_OK) {
            af_tsm_cursor_close(place->cursor);
            return status;
        }
    }
    return AF_OK;
}

/* The least key of all; no memory: the end. */
static struct af_slice least_key(const struct look *look)
{
    struct af_slice least = { 0 };
    for (size_t i = 0; i < look->count; i++) {
        struct af_slice key = look->places[i].entry.key;
        if (key.ptr != NULL && (least.ptr == NULL || af_slice_cmp(key, least) < 0))
            least = key;
    }
    return least;
}

/* Each file's blocks of this key after those of the files before? Then on to the next one. The key lives in one of the entries. */
static enum af_status pass_key(struct look *look, struct af_slice least, struct af_buf *key, bool *out_overlaps, struct af_error *err)
{
    const struct af_tsm_block_ref *last = NULL;
    struct af_tsm_block_ref kept;
    af_buf_clear(key);
    af_buf_append_slice(key, least);
    AF_TRY(af_buf_check(key, "a key", err));
    for (size_t i = 0; i < look->count; i++) {
        struct place *place = &look->places[i];
        if (place->entry.key.ptr == NULL || !af_slice_eq(place->entry.key, af_buf_slice(key)))
            continue;
        if (last != NULL && place->entry.blocks[0].min_ns <= last->max_ns)
            *out_overlaps = true;
        kept = place->entry.blocks[place->entry.block_count - 1];
        last = &kept;
        AF_TRY(af_tsm_cursor_next(place->cursor, &place->entry, err));
    }
    return AF_OK;
}

static enum af_status find_overlap(const struct af_files *files, bool *out, struct af_error *err)
{
    struct look look = { 0 };
    struct af_buf key;
    struct af_slice least;
    *out = false;
    af_buf_init(&key, SIZE_MAX / 2);
    enum af_status status = look_begin(&look, files, err);
    while (status == AF_OK && !*out && (least = least_key(&look)).ptr != NULL)
        status = pass_key(&look, least, &key, out, err);
    look_done(&look);
    af_buf_done(&key);
    return status;
}

/* --- what is to be done ---------------------------------------------------------------------------------------------------- */

struct sizes {
    uint64_t bytes, built_bytes, values, blocks;
};

static struct sizes measure(struct af_tsm *engine, const struct af_shard *shard, const struct af_files *files)
{
    af_mutex_lock(&engine->lock);
    struct sizes sizes = { .built_bytes = shard->built_bytes, .values = shard->built_values, .blocks = shard->built_blocks };
    af_mutex_unlock(&engine->lock);
    for (size_t i = 0; i < files->count; i++)
        sizes.bytes += files->parts[i]->bytes;
    return sizes;
}

static enum af_status wants_compaction(struct af_tsm *engine, struct af_shard *shard, struct af_files *files, bool *out,
                                       struct af_error *err)
{
    struct sizes sizes = measure(engine, shard, files);
    *out = false;
    bool is_mostly_old = sizes.bytes > LARGE_BYTES && sizes.bytes / OLDER_SHARE_MAX > sizes.built_bytes;
    if (sizes.built_bytes == 0 || files->count < 2 || is_mostly_old)
        return AF_OK;
    *out = files->parts[0]->generation != files->parts[files->count - 1]->generation || sizes.values / BLOCK_POINTS_FEW < sizes.blocks;
    return *out ? AF_OK : find_overlap(files, out, err);
}

static enum af_status settle_shard(struct af_tsm *engine, struct af_shard *shard, struct af_error *err)
{
    bool is_wanted;
    struct af_files *files = af_shard_files(engine, shard);
    enum af_status status = wants_compaction(engine, shard, files, &is_wanted, err);
    af_files_unref(files);
    if (status != AF_OK || !is_wanted)
        return status;
    return core_compact_shard(engine, shard, CORE_COMPACT_WHOLE, &is_wanted, err);
}

static enum af_status settle_all(struct af_tsm *engine, const bool *cancel, struct af_error *err)
{
    struct af_arena arena;
    struct af_shard **shards = NULL;
    size_t count = 0;
    af_arena_init(&arena, SIZE_MAX);
    enum af_status status = af_shard_list(engine, NULL, &arena, &shards, &count, err);
    for (size_t i = 0; i < count && status == AF_OK; i++) {
        if (__atomic_load_n(cancel, __ATOMIC_RELAXED))
            status = af_fail(err, AF_ECANCELED, "interrupted");
        else
            status = settle_shard(engine, shards[i], err);
    }
    for (size_t i = 0; i < count; i++)
        af_shard_unref(shards[i]);
    af_arena_done(&arena);
    return status;
}

enum af_status af_tsm_compact_built(struct af_tsm *engine, const bool *cancel, struct af_error *err)
{
    if (!engine->options.no_compaction && !engine->options.is_manual)
        return af_fail(err, AF_EBUG, "%s is compacted in the background", engine->dir);
    engine->cancel = cancel;
    enum af_status status = settle_all(engine, cancel, err);
    engine->cancel = &engine->is_cancelled;
    return status;
}
