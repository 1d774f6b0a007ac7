/*
 * part_writer.c - new TSM files of a shard: written under a temporary name, made durable, then given their names.
 *
 *     add/copy ... -> DIR/G-S.tsm.tmp   (and G-S.stats)        limit reached: G-(S+1).tsm.tmp ...
 *     finish       -> fsync of each file as it ends, then each is renamed to G-S.tsm and the directory fsynced
 *
 * The side file needs no fsync and no temporary name: it names the TSM file's size and index and checks itself, and one without a TSM file
 * is removed at opening. If anything fails, no file of this writer stays, also none that was renamed already: whoever wrote still has the
 * values elsewhere (in the log or in the files that were to be replaced).
 *
 * The pace: with a limit of bytes a second the writer sleeps so that it is never ahead, and syncs as it goes, so that the last fsync does
 * not hold up the log's for seconds.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "os/clock.h"
#include "tsm/tsm_int.h"
#include <stdio.h>

enum { KEY_BLOCKS_MAX = 65535, SYNC_BYTES = 8 << 20, SLEEP_MS_MIN = 5, SLEEP_MS_MAX = 250 };

struct af_part_writer {
    char *dir;
    uint32_t generation, sequence; /* of the next file */
    uint64_t bytes_per_s;          /* 0: no limit */
    int64_t pace_start_ns;
    uint64_t pace_bytes;
    struct af_tsm_writer *tsm;     /* NULL: between files */
    struct af_file *file, *side;
    uint64_t unsynced;
    struct af_buf key;             /* the last one added */
    size_t key_blocks;             /* of it in this file */
    char **paths;                  /* of all files so far, without ".tmp" */
    size_t count, cap;
    bool is_done;                  /* the files are somebody else's now */
};

enum af_status af_part_writer_new(const char *dir, uint32_t generation, uint32_t sequence, uint64_t bytes_per_s,
                                  struct af_part_writer **out, struct af_error *err)
{
    const size_t len = strlen(dir);
    struct af_part_writer *writer = af_alloc_zero(1, sizeof *writer);
    char *copy = af_alloc(len + 1);
    if (writer == NULL || copy == NULL) {
        af_free(writer);
        af_free(copy);
        return af_fail_nomem(err, "a TSM writer");
    }
    memcpy(copy, dir, len + 1);
    writer->dir = copy;
    writer->generation = generation;
    writer->sequence = sequence;
    writer->bytes_per_s = bytes_per_s == UINT64_MAX ? 0 : bytes_per_s;
    af_buf_init(&writer->key, AF_LP_KEY_BYTES_MAX);
    *out = writer;
    return AF_OK;
}

/* --- one file ------------------------------------------------------------------------------------------------------------------ */

/* Not ahead of the limit. Time in which nothing was written is no credit. */
static void keep_pace(struct af_part_writer *writer, size_t bytes)
{
    if (writer->bytes_per_s == 0)
        return;
    const int64_t now = af_clock_mono_ns();
    writer->pace_bytes += bytes;
    const int64_t needs = (int64_t)((unsigned __int128)writer->pace_bytes * 1000000000u / writer->bytes_per_s);
    const int64_t ahead_ms = (writer->pace_start_ns + needs - now) / 1000000;
    if (writer->pace_start_ns == 0 || ahead_ms < -SLEEP_MS_MAX) {
        writer->pace_start_ns = now;
        writer->pace_bytes = 0;
    } else if (ahead_ms >= SLEEP_MS_MIN) {
        af_clock_sleep_ms((uint32_t)(ahead_ms < SLEEP_MS_MAX ? ahead_ms : SLEEP_MS_MAX));
    }
}

static enum af_status emit_tsm(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct af_part_writer *writer = ctx;
    AF_TRY(af_file_write(writer->file, bytes, err));
    writer->unsynced += bytes.len;
    if (writer->bytes_per_s != 0 && writer->unsynced >= SYNC_BYTES) {
        AF_TRY(af_file_sync(writer->file, err));
        writer->unsynced = 0;
    }
    keep_pace(writer, bytes.len);
    return AF_OK;
}

static enum af_status emit_side(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct af_part_writer *writer = ctx;
    return af_file_write(writer->side, bytes, err);
}

/* DIR/G-S.tsm among the paths; free_paths frees it. */
static enum af_status add_path(struct af_part_writer *writer, char **out, struct af_error *err)
{
    char name[40];
    const size_t len = strlen(writer->dir);
    if (writer->count == writer->cap) {
        const size_t cap = writer->cap == 0 ? 4 : writer->cap * 2;
        char **paths = af_realloc(writer->paths, cap * sizeof *paths);
        if (paths == NULL)
            return af_fail_nomem(err, "a list of files");
        writer->paths = paths;
        writer->cap = cap;
    }
    if (writer->sequence == UINT32_MAX)
        return af_fail(err, AF_ELIMIT, "%s: no sequence numbers are left", writer->dir);
    const int n = snprintf(name, sizeof name, "/%09u-%09u.tsm", writer->generation, writer->sequence);
    char *path = af_alloc(len + (size_t)n + 1);
    if (path == NULL)
        return af_fail_nomem(err, "a file name");
    memcpy(path, writer->dir, len);
    memcpy(path + len, name, (size_t)n + 1);
    if (af_path_kind(path) != AF_PATH_NONE) { /* not among the paths: they are removed on failure */
        enum af_status status = af_fail(err, AF_EBUG, "%s is there already: a generation was used again", path);
        af_free(path);
        return status;
    }
    writer->paths[writer->count++] = path;
    writer->sequence++;
    *out = path;
    return AF_OK;
}

static enum af_status open_tmp(struct af_part_writer *writer, const char *path, struct af_error *err)
{
    char *tmp = af_part_side_path(path, ".tsm.tmp");
    char *side = af_part_side_path(path, ".stats");
    char *tombs = af_part_side_path(path, ".tombstone");
    enum af_status status = tmp != NULL && side != NULL && tombs != NULL ? AF_OK : af_fail_nomem(err, path);
    if (status == AF_OK) /* of a file that had this name: they are not for this one */
        status = af_path_remove(tombs, err);
    if (status == AF_OK)
        status = af_file_open(tmp, AF_FILE_TRUNCATE, &writer->file, err);
    if (status == AF_OK)
        status = af_file_open(side, AF_FILE_TRUNCATE, &writer->side, err);
    af_free(tmp);
    af_free(side);
    af_free(tombs);
    return status;
}

static enum af_status begin_file(struct af_part_writer *writer, struct af_error *err)
{
    char *path = NULL;
    AF_TRY(add_path(writer, &path, err));
    AF_TRY(open_tmp(writer, path, err));
    AF_TRY(af_tsm_writer_new(emit_tsm, writer, &writer->tsm, err));
    af_tsm_writer_emit_stats(writer->tsm, emit_side, writer);
    writer->key_blocks = 0;
    writer->unsynced = 0;
    return AF_OK;
}

static void close_file(struct af_part_writer *writer)
{
    af_tsm_writer_free(writer->tsm);
    af_file_close(writer->file);
    af_file_close(writer->side);
    writer->tsm = NULL;
    writer->file = NULL;
    writer->side = NULL;
}

static enum af_status end_file(struct af_part_writer *writer, struct af_error *err)
{
    if (writer->tsm == NULL)
        return AF_OK;
    AF_TRY(af_tsm_writer_finish(writer->tsm, NULL, err));
    AF_TRY(af_file_sync(writer->file, err));
    close_file(writer);
    return AF_OK;
}

/* --- adding ------------------------------------------------------------------------------------------------------------------ */

/* A file with room for `blocks` of `key`. */
static enum af_status make_room(struct af_part_writer *writer, struct af_slice key, size_t blocks, struct af_error *err)
{
    if (blocks > KEY_BLOCKS_MAX)
        return af_fail(err, AF_ELIMIT, "%zu blocks of one key at once; at most %d are possible", blocks, KEY_BLOCKS_MAX);
    if (!af_slice_eq(key, af_buf_slice(&writer->key))) {
        af_buf_clear(&writer->key);
        af_buf_append_slice(&writer->key, key);
        AF_TRY(af_buf_check(&writer->key, "a key", err));
        writer->key_blocks = 0;
    }
    if (writer->tsm != NULL && (af_tsm_writer_bytes(writer->tsm) >= AF_TSM_FILE_BYTES_MAX ||
                                af_tsm_writer_index_bytes(writer->tsm) >= AF_TSM_INDEX_BYTES_MAX ||
                                writer->key_blocks + blocks > KEY_BLOCKS_MAX))
        AF_TRY(end_file(writer, err));
    if (writer->tsm == NULL)
        AF_TRY(begin_file(writer, err));
    writer->key_blocks += blocks;
    return AF_OK;
}

static enum af_status add_some(struct af_part_writer *writer, struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    AF_TRY(make_room(writer, key, (values->count + AF_TSM_BLOCK_POINTS - 1) / AF_TSM_BLOCK_POINTS, err));
    return af_tsm_writer_add(writer->tsm, key, values, err);
}

/* Blocks of long texts are shorter, so that they can be read again. */
static enum af_status add_text(struct af_part_writer *writer, struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    const int32_t *offsets = values->values.offsets;
    for (size_t at = 0; at < values->count;) {
        size_t end = at + 1;
        while (end < values->count && end - at < AF_TSM_BLOCK_POINTS && offsets[end] - offsets[at] < AF_ROWS_TEXT_BYTES)
            end++;
        struct af_tsm_values some;
        AF_TRY(af_values_slice(values, at, end - at, NULL, &some, err));
        AF_TRY(add_some(writer, key, &some, err));
        at = end;
    }
    return AF_OK;
}

enum af_status af_part_writer_add(struct af_part_writer *writer, struct af_slice key, const struct af_tsm_values *values,
                                  struct af_error *err)
{
    if (values->values.type == AF_TYPE_STRING)
        return add_text(writer, key, values, err);
    return add_some(writer, key, values, err);
}

enum af_status af_part_writer_copy(struct af_part_writer *writer, struct af_slice key, enum af_type type,
                                   const struct af_tsm_block_ref *ref, struct af_slice raw, struct af_error *err)
{
    AF_TRY(make_room(writer, key, 1, err));
    return af_tsm_writer_copy(writer->tsm, key, type, ref, raw, err);
}

/* --- the end ----------------------------------------------------------------------------------------------------------------- */

static enum af_status rename_one(const char *path, struct af_error *err)
{
    char *tmp = af_part_side_path(path, ".tsm.tmp");
    if (tmp == NULL)
        return af_fail_nomem(err, path);
    enum af_status status = af_path_rename(tmp, path, err);
    af_free(tmp);
    return status;
}

static enum af_status finish(struct af_part_writer *writer, struct af_tsm_part **parts, size_t *opened, struct af_error *err)
{
    AF_TRY(end_file(writer, err));
    for (size_t i = 0; i < writer->count; i++)
        AF_TRY(rename_one(writer->paths[i], err));
    for (; *opened < writer->count; ++*opened)
        AF_TRY(af_part_open(writer->paths[*opened], &parts[*opened], err));
    return AF_OK;
}

enum af_status af_part_writer_finish(struct af_part_writer *writer, struct af_arena *arena, struct af_tsm_part ***out, size_t *out_count,
                                     struct af_error *err)
{
    size_t opened = 0;
    struct af_tsm_part **parts = af_arena_zero(arena, writer->count + 1, sizeof *parts);
    if (parts == NULL)
        return af_arena_fail(arena, (writer->count + 1) * sizeof *parts, "a list of files", err);
    enum af_status status = finish(writer, parts, &opened, err);
    if (status != AF_OK) {
        for (size_t i = 0; i < opened; i++)
            af_part_unref(parts[i]);
        return status;
    }
    writer->is_done = true;
    *out = parts;
    *out_count = opened;
    return AF_OK;
}

static void remove_files(const char *path)
{
    static const char *const suffixes[] = { ".tsm.tmp", ".tsm", ".stats" };
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char *file = af_part_side_path(path, suffixes[i]);
        /* What stays is removed at opening, or is merged with the files that have the same values. Deletions look for it (erase.c). */
        enum af_status status = file != NULL ? af_path_remove(file, NULL) : AF_ENOMEM;
        (void)status;
        af_free(file);
    }
}

void af_part_writer_free(struct af_part_writer *writer)
{
    if (writer == NULL)
        return;
    close_file(writer);
    for (size_t i = 0; i < writer->count; i++) {
        if (!writer->is_done)
            remove_files(writer->paths[i]);
        af_free(writer->paths[i]);
    }
    af_free(writer->paths);
    af_buf_done(&writer->key);
    af_free(writer->dir);
    af_free(writer);
}
