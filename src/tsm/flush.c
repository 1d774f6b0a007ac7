/*
 * flush.c - points from memory to TSM files.
 *
 *     freeze     pause the log, a new segment, the active cache becomes the frozen one         (writers wait for a moment)
 *     write      for each shard: keys in order, blocks, files synced and renamed               (writers go on)
 *     install    one moment under engine->lock: the files are current, the frozen cache is gone
 *     forget     segments of the log before the freeze are removed
 *
 * Before a file that needs them: the manifest (its shard), the series index (its series), the types (its fields) are on disk.
 *
 * A failure anywhere leaves the frozen cache and the log as they are, removes the files of this try, and is tried again later with a
 * growing pause: the log still has every point. Only a failed fsync ends writing for good (af_tsm_set_read_only).
 *
 * shard->work is not taken: a flush only adds files, of a generation of its own, and must not wait for a compaction.
 */
#include "base/alloc.h"
#include "os/clock.h"
#include "tsm/core_int.h"
#include <inttypes.h>
#include <stdlib.h>

enum { BACKOFF_MS_MIN = 250, BACKOFF_MS_MAX = 30000, SEGMENT_HEAD_BYTES = 64 };

struct piece {
    struct af_shard *shard; /* a reference */
    struct af_tsm_part **parts;
    size_t part_count;
    uint64_t values, blocks;
    struct af_files *next;  /* while installing: the set with the parts; then the set before */
};
struct flush {
    struct af_tsm *engine;
    struct af_cache *cache;
    struct af_arena arena;  /* of the whole flush */
    struct piece *pieces;
    size_t piece_count;
};
struct row_of_series {
    struct af_slice key;
    uint32_t id;
};
/* Neighbours among a shard's series, written by one thread into files of their own. */
struct range {
    const struct af_shard *shard;
    const uint32_t *ids;
    const struct af_cache_handle *handles;
    size_t count;
    struct af_part_writer *writer;
    struct af_arena scratch; /* of one series */
    struct af_buf key;
    uint64_t values, blocks;
    struct af_thread thread;
    enum af_status status;
    struct af_error err;
};
enum { RANGES_MAX = 4, RANGE_ROWS_MIN = 100000, RANGE_FILES = 10000 /* sequences set aside */, SEQUENCE_LAST = 900000000 };

/* --- when ------------------------------------------------------------------------------------------------------------------ */

bool core_wants_flush_locked(struct af_tsm *engine, int64_t mono_ns)
{
    if (engine->at.is_read_only || mono_ns < engine->at.retry_mono_ns)
        return false;
    if (engine->at.must_flush || engine->at.frozen != NULL)
        return true;
    if (af_cache_bytes(engine->at.active) >= engine->options.cache_bytes / 2)
        return true;
    return mono_ns - engine->at.written_mono_ns >= (int64_t)engine->options.cold_s * 1000000000 && af_cache_rows(engine->at.active) > 0;
}

/* --- freeze ---------------------------------------------------------------------------------------------------------------- */

/* Nothing is on its way from the log to the cache, and nothing begins, until the other call. */
static void stop_writes(struct af_tsm *engine)
{
    if (engine->wal != NULL)
        af_wal_pause(engine->wal);
    else
        af_mutex_lock(&engine->apply);
}

static void let_writes_go(struct af_tsm *engine)
{
    if (engine->wal != NULL)
        af_wal_resume(engine->wal);
    else
        af_mutex_unlock(&engine->apply);
}

static void swap_caches(struct af_tsm *engine, struct af_cache *fresh, uint64_t segment, unsigned carried)
{
    af_mutex_lock(&engine->lock);
    engine->at.frozen = engine->at.active;
    engine->at.frozen_segment = segment;
    engine->at.active = fresh;
    engine->at.stretch++;
    engine->at.carried = carried;
    af_mutex_unlock(&engine->lock);
}

/* With nothing in the cache the log may still hold records of buckets that are gone: it is emptied all the same. */
static enum af_status freeze(struct af_tsm *engine, bool may_carry, struct af_error *err)
{
    uint64_t segment = 0;
    if (af_cache_rows(engine->at.active) == 0 && (engine->wal == NULL || af_wal_bytes(engine->wal) <= SEGMENT_HEAD_BYTES))
        return AF_OK;
    struct af_cache *fresh = engine->options.no_compaction ? af_cache_new_after(engine->at.active) : af_cache_new();
    if (fresh == NULL)
        return af_fail_nomem(err, "a cache");
    stop_writes(engine);
    enum af_status status = engine->wal != NULL ? af_wal_rotate(engine->wal, &segment, err) : AF_OK;
    if (status == AF_OK)
        swap_caches(engine, fresh, segment, may_carry ? af_cache_carry(engine->at.active, fresh) : 0);
    let_writes_go(engine);
    if (status != AF_OK)
        af_cache_unref(fresh);
    return status;
}

/* --- write ----------------------------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const struct row_of_series *x = a;
    const struct row_of_series *y = b;
    return af_tsm_key_compare(x->key, (struct af_slice){ "", 0 }, y->key, (struct af_slice){ "", 0 });
}

static int by_field(const void *a, const void *b)
{
    return af_slice_cmp(((const struct af_cache_values *)a)->field, ((const struct af_cache_values *)b)->field);
}

/* The series of a shard in the order of their keys. */
static enum af_status sorted_series(struct flush *flush, struct af_shard *shard, uint32_t **out_ids, size_t *out_count,
                                    struct af_error *err)
{
    uint32_t *ids;
    size_t count;
    AF_TRY(af_cache_series(flush->cache, shard->id, &flush->arena, &ids, &count, err));
    struct row_of_series *rows = af_alloc((count + 1) * sizeof *rows);
    if (rows == NULL)
        return af_fail_nomem(err, "a list of series");
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct row_of_series){ af_index_key(shard->bucket->index, ids[i]), ids[i] };
    qsort(rows, count, sizeof *rows, by_key);
    for (size_t i = 0; i < count; i++)
        ids[i] = rows[i].id;
    af_free(rows);
    *out_ids = ids;
    *out_count = count;
    return AF_OK;
}

static enum af_status write_series(struct range *range, struct af_slice series, const struct af_cache_handle *handle, struct af_error *err)
{
    struct af_cache_values *fields;
    size_t count;
    AF_TRY(af_cache_all(handle, &range->scratch, &fields, &count, err));
    qsort(fields, count, sizeof *fields, by_field);
    for (size_t i = 0; i < count; i++) {
        const struct af_tsm_values *values = &fields[i].values;
        if (values->count == 0)
            continue;
        range->values += values->count;
        range->blocks += (values->count - 1) / AF_TSM_BLOCK_POINTS + 1;
        af_buf_clear(&range->key);
        af_tsm_key_append(&range->key, series, fields[i].field);
        AF_TRY(af_buf_check(&range->key, "a key", err));
        AF_TRY(af_part_writer_add(range->writer, af_buf_slice(&range->key), values, err));
    }
    return AF_OK;
}

static void write_range(void *ctx)
{
    struct range *range = ctx;
    for (size_t i = 0; i < range->count && range->status == AF_OK; i++) {
        if (range->handles[i].rows > 0)
            range->status = write_series(range, af_index_key(range->shard->bucket->index, range->ids[i]), &range->handles[i], &range->err);
        af_arena_reset(&range->scratch);
    }
}

/* Several threads only where nobody else is served: in a build. */
static size_t range_count(const struct flush *flush, size_t rows)
{
    size_t most = flush->engine->options.no_compaction ? af_cpu_count() : 1;
    size_t worth = rows / RANGE_ROWS_MIN + 1;
    most = most < RANGES_MAX ? most : RANGES_MAX;
    return most < worth ? most : worth;
}

/* Where range `n` of `ranges` begins: each has about as many rows. */
static size_t range_start(const struct af_cache_handle *handles, size_t count, size_t rows, size_t n, size_t ranges)
{
    size_t before = 0;
    size_t i = 0;
    for (; i < count && before < rows / ranges * n; i++)
        before += handles[i].rows;
    return n == ranges ? count : i;
}

static void run_ranges(struct range *ranges, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (af_thread_start(&ranges[i].thread, "tsm-flush", write_range, &ranges[i], NULL) != AF_OK)
            write_range(&ranges[i]);
    write_range(&ranges[0]);
    for (size_t i = 1; i < count; i++)
        af_thread_join(&ranges[i].thread);
}

/* To the piece, whoever has to give them back. */
static enum af_status take_parts(struct flush *flush, struct piece *piece, struct af_tsm_part *const *parts, size_t count,
                                 struct af_error *err)
{
    size_t total = piece->part_count + count;
    struct af_tsm_part **list = af_arena_array(&flush->arena, total + 1, sizeof *list);
    if (list == NULL) {
        for (size_t i = 0; i < count; i++) {
            af_part_doom(parts[i]);
            af_part_unref(parts[i]);
        }
        return af_arena_fail(&flush->arena, total * sizeof *list, "a list of files", err);
    }
    if (piece->part_count > 0)
        memcpy(list, piece->parts, piece->part_count * sizeof *list);
    if (count > 0)
        memcpy(list + piece->part_count, parts, count * sizeof *list);
    piece->parts = list;
    piece->part_count = total;
    return AF_OK;
}

static enum af_status finish_ranges(struct flush *flush, struct piece *piece, struct range *ranges, size_t count, struct af_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].status == AF_OK)
            continue;
        if (err != NULL)
            *err = ranges[i].err;
        return ranges[i].status;
    }
    for (size_t i = 0; i < count; i++) {
        struct af_tsm_part **parts;
        size_t parts_here;
        AF_TRY(af_part_writer_finish(ranges[i].writer, &flush->arena, &parts, &parts_here, err));
        AF_TRY(take_parts(flush, piece, parts, parts_here, err));
        piece->values += ranges[i].values;
        piece->blocks += ranges[i].blocks;
    }
    return AF_OK;
}

/* All flushes of a build into a shard are one generation, until its sequences would not fit into nine digits: what came later wins by its
 * sequence. */
static uint32_t choose_generation(struct flush *flush, struct af_shard *shard, size_t ranges, uint32_t *out_sequence)
{
    *out_sequence = 1;
    if (!flush->engine->options.no_compaction)
        return af_shard_next_generation(flush->engine, shard);
    if (shard->build_generation == 0 || shard->build_sequence > SEQUENCE_LAST) {
        shard->build_generation = af_shard_next_generation(flush->engine, shard);
        shard->build_sequence = 1;
    }
    *out_sequence = shard->build_sequence;
    shard->build_sequence += (uint32_t)ranges * RANGE_FILES;
    return shard->build_generation;
}

static enum af_status write_ranges(struct flush *flush, struct piece *piece, const uint32_t *ids, const struct af_cache_handle *handles,
                                   size_t count, struct af_error *err)
{
    struct range ranges[RANGES_MAX] = { 0 };
    uint32_t sequence;
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += handles[i].rows;
    size_t n = range_count(flush, rows);
    uint32_t generation = choose_generation(flush, piece->shard, n, &sequence);
    enum af_status status = AF_OK;
    for (size_t i = 0; i < n; i++) {
        size_t start = range_start(handles, count, rows, i, n);
        ranges[i] = (struct range){ .shard = piece->shard, .ids = ids + start, .handles = handles + start,
                                    .count = range_start(handles, count, rows, i + 1, n) - start };
        af_arena_init(&ranges[i].scratch, SIZE_MAX);
        af_buf_init(&ranges[i].key, SIZE_MAX);
        if (status == AF_OK)
            status = af_part_writer_new(piece->shard->dir, generation, sequence + (uint32_t)i * RANGE_FILES, UINT64_MAX, &ranges[i].writer,
                                        err);
    }
    if (status == AF_OK) {
        run_ranges(ranges, n);
        status = finish_ranges(flush, piece, ranges, n, err);
    }
    for (size_t i = 0; i < n; i++) {
        af_part_writer_free(ranges[i].writer);
        af_buf_done(&ranges[i].key);
        af_arena_done(&ranges[i].scratch);
    }
    return status;
}

static enum af_status write_all(struct flush *flush, struct piece *piece, struct af_error *err)
{
    uint32_t *ids = NULL;
    size_t count = 0;
    AF_TRY(sorted_series(flush, piece->shard, &ids, &count, err));
    struct af_cache_handle *handles = af_arena_alloc(&flush->arena, (count + 1) * sizeof *handles);
    if (handles == NULL)
        return af_arena_fail(&flush->arena, count * sizeof *handles, "a list of series", err);
    af_cache_capture(flush->cache, piece->shard->id, ids, count, handles);
    return write_ranges(flush, piece, ids, handles, count, err);
}

/* What the shard's files will need, on disk. */
static enum af_status prepare(struct flush *flush, struct af_shard *shard, struct af_error *err)
{
    AF_TRY(core_manifest_save(flush->engine, shard->bucket, err));
    if (af_path_kind(shard->dir) != AF_PATH_DIR)
        AF_TRY(af_dir_make(shard->dir, err));
    AF_TRY(af_index_sync(shard->bucket->index, err));
    return af_types_sync(shard->types, err);
}

static enum af_status write_shard(struct flush *flush, struct piece *piece, struct af_error *err)
{
    AF_TRY(prepare(flush, piece->shard, err));
    return write_all(flush, piece, err);
}

static bool is_dropped(struct flush *flush, const struct af_shard *shard)
{
    af_mutex_lock(&flush->engine->lock);
    bool dropped = shard->is_dropped || shard->bucket->is_dropped;
    af_mutex_unlock(&flush->engine->lock);
    return dropped;
}

static enum af_status find_pieces(struct flush *flush, struct af_error *err)
{
    uint64_t *ids;
    size_t count;
    AF_TRY(af_cache_shards(flush->cache, &flush->arena, &ids, &count, err));
    flush->pieces = af_arena_zero(&flush->arena, count + 1, sizeof *flush->pieces);
    if (flush->pieces == NULL)
        return af_arena_fail(&flush->arena, count * sizeof *flush->pieces, "a list of shards", err);
    af_mutex_lock(&flush->engine->lock);
    for (size_t i = 0; i < count; i++) {
        struct af_shard *shard = core_shard_by_id_locked(flush->engine, ids[i]);
        if (shard != NULL) /* else it was dropped, and its points with it */
            flush->pieces[flush->piece_count++].shard = af_shard_ref(shard);
    }
    af_mutex_unlock(&flush->engine->lock);
    return AF_OK;
}

static enum af_status write_pieces(struct flush *flush, struct af_error *err)
{
    AF_TRY(find_pieces(flush, err));
    for (size_t i = 0; i < flush->piece_count; i++) {
        struct piece *piece = &flush->pieces[i];
        enum af_status status = write_shard(flush, piece, err);
        if (status != AF_OK && !is_dropped(flush, piece->shard))
            return status;
    }
    return AF_OK;
}

/* --- install --------------------------------------------------------------------------------------------------------------- */

/* All new sets, or none. */
static enum af_status make_sets_locked(struct flush *flush, struct af_error *err)
{
    for (size_t i = 0; i < flush->piece_count; i++) {
        struct piece *piece = &flush->pieces[i];
        if (piece->part_count == 0 || piece->shard->is_dropped)
            continue;
        AF_TRY(af_files_replace(piece->shard->files, NULL, 0, piece->parts, piece->part_count, &piece->next, err));
    }
    return AF_OK;
}

static void use_sets_locked(struct flush *flush)
{
    struct af_tsm *engine = flush->engine;
    int64_t now = af_clock_mono_ns();
    for (size_t i = 0; i < flush->piece_count; i++) {
        struct piece *piece = &flush->pieces[i];
        if (piece->next == NULL)
            continue;
        struct af_files *before = piece->shard->files;
        piece->shard->files = piece->next;
        piece->shard->changed_mono_ns = now;
        for (size_t k = 0; k < piece->part_count; k++)
            piece->shard->built_bytes += piece->parts[k]->bytes;
        piece->shard->built_values += piece->values;
        piece->shard->built_blocks += piece->blocks;
        piece->next = before;
    }
    engine->at.frozen = NULL;
    engine->at.durable = engine->at.stretch - 1 - engine->at.carried;
    if (engine->at.frozen_segment != 0)
        engine->at.undropped_segment = engine->at.frozen_segment;
    af_cond_broadcast(&engine->room);
    af_cond_broadcast(&engine->wake); /* there may be something to compact */
}

static enum af_status install(struct flush *flush, struct af_error *err)
{
    af_mutex_lock(&flush->engine->lock);
    enum af_status status = make_sets_locked(flush, err);
    if (status == AF_OK)
        use_sets_locked(flush);
    af_mutex_unlock(&flush->engine->lock);
    for (size_t i = 0; i < flush->piece_count; i++)
        if (flush->pieces[i].next != NULL)
            af_files_unref(flush->pieces[i].next);
    if (status == AF_OK)
        af_cache_unref(flush->cache);
    return status;
}

static void flush_done(struct flush *flush, bool is_installed)
{
    for (size_t i = 0; i < flush->piece_count; i++) {
        struct piece *piece = &flush->pieces[i];
        for (size_t k = 0; k < piece->part_count; k++) {
            if (is_installed)
                flush->engine->counts.bytes_flushed += piece->parts[k]->bytes;
            else
                af_part_doom(piece->parts[k]);
            af_part_unref(piece->parts[k]);
        }
        af_shard_unref(piece->shard);
    }
    af_arena_done(&flush->arena);
}

static enum af_status write_out(struct af_tsm *engine, struct af_error *err)
{
    struct flush flush = { .engine = engine, .cache = engine->at.frozen }; /* only the holder of engine->flush changes it */
    if (flush.cache == NULL)
        return AF_OK;
    af_arena_init(&flush.arena, SIZE_MAX);
    enum af_status status = write_pieces(&flush, err);
    if (status == AF_OK)
        status = install(&flush, err);
    flush_done(&flush, status == AF_OK);
    if (status == AF_OK)
        engine->counts.flushes++;
    return status;
}

/* --- forget ---------------------------------------------------------------------------------------------------------------- */

static enum af_status drop_segments(struct af_tsm *engine, struct af_error *err)
{
    af_mutex_lock(&engine->lock);
    uint64_t segment = engine->at.undropped_segment;
    af_mutex_unlock(&engine->lock);
    if (segment == 0 || engine->wal == NULL)
        return AF_OK;
    AF_TRY(af_wal_drop_before(engine->wal, segment, err));
    af_mutex_lock(&engine->lock);
    engine->at.undropped_segment = 0;
    af_mutex_unlock(&engine->lock);
    return AF_OK;
}

/* --- rounds ---------------------------------------------------------------------------------------------------------------- */

static void note_success(struct af_tsm *engine)
{
    af_mutex_lock(&engine->lock);
    bool was_full = engine->at.flush_failure == AF_EFULL;
    engine->at.flush_failure = AF_OK;
    engine->at.backoff_ms = 0;
    engine->at.retry_mono_ns = 0;
    af_mutex_unlock(&engine->lock);
    if (was_full)
        af_tsm_say(engine, "there is room again: the cache was written out");
    core_reserve_make(engine);
}

static void note_failure(struct af_tsm *engine, enum af_status status, const struct af_error *why)
{
    char words[256];
    if (core_is_sync_failure(why) || (engine->wal != NULL && af_wal_is_sick(engine->wal, words, sizeof words))) {
        af_tsm_set_read_only(engine, why);
        return;
    }
    af_mutex_lock(&engine->lock);
    bool is_new = engine->at.flush_failure != status;
    engine->at.flush_failure = status;
    engine->at.backoff_ms = engine->at.backoff_ms == 0 ? BACKOFF_MS_MIN : engine->at.backoff_ms * 2;
    if (engine->at.backoff_ms > BACKOFF_MS_MAX)
        engine->at.backoff_ms = BACKOFF_MS_MAX;
    engine->at.retry_mono_ns = af_clock_mono_ns() + (int64_t)engine->at.backoff_ms * 1000000;
    core_copy_words(engine->at.why, sizeof engine->at.why, why->message);
    af_cond_broadcast(&engine->room); /* who waits for room hears the bad news */
    af_mutex_unlock(&engine->lock);
    if (is_new)
        af_tsm_say(engine, "the cache could not be written out and is kept, with its log; it is tried again: %s", why->message);
}

/* *out_frozen: what was active when it was called is what was written, but for rows that were carried. */
static enum af_status round_locked(struct af_tsm *engine, bool may_carry, bool *out_frozen, struct af_error *err)
{
    af_mutex_lock(&engine->lock);
    enum af_status status = core_check_writable_locked(engine, err);
    engine->at.must_flush = false;
    *out_frozen = engine->at.frozen == NULL;
    af_mutex_unlock(&engine->lock);
    AF_TRY(status);
    AF_TRY(drop_segments(engine, err));
    if (*out_frozen)
        AF_TRY(freeze(engine, may_carry, err));
    AF_TRY(write_out(engine, err));
    return drop_segments(engine, err);
}

static enum af_status round_noted(struct af_tsm *engine, bool may_carry, bool *out_frozen, struct af_error *err)
{
    struct af_error why = { 0 };
    enum af_status status = round_locked(engine, may_carry, out_frozen, &why);
    if (status == AF_OK) {
        note_success(engine);
        return AF_OK;
    }
    note_failure(engine, status, &why);
    return af_fail(err, status, "%s", why.message);
}

enum af_status core_flush_once(struct af_tsm *engine, struct af_error *err)
{
    bool is_fresh;
    af_mutex_lock(&engine->flush);
    enum af_status status = round_noted(engine, engine->options.no_compaction && engine->wal == NULL, &is_fresh, err);
    af_mutex_unlock(&engine->flush);
    return status;
}

enum af_status core_flush_all_locked(struct af_tsm *engine, struct af_error *err)
{
    bool is_fresh = false;
    enum af_status status = AF_OK;
    for (int i = 0; i < 2 && status == AF_OK && !is_fresh; i++)
        status = round_noted(engine, false, &is_fresh, err);
    if (status == AF_OK)
        core_forget_departed(engine); /* buckets are dropped under engine->flush: none has gone since the log was emptied */
    return status;
}

enum af_status af_tsm_flush(struct af_tsm *engine, struct af_error *err)
{
    af_mutex_lock(&engine->flush);
    enum af_status status = core_flush_all_locked(engine, err);
    af_mutex_unlock(&engine->flush);
    return status;
}
