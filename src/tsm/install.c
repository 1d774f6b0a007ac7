/*
 * install.c - TSM files that somebody else made become data of a bucket: bulk loads and restores.
 *
 *     list the files -- check each whole (every block decoded, order, times) -- types agree? -- link them in as *.tmp
 *          -- types and series index on disk -- rename -- current
 *
 * Until the renames nothing that readers see has changed; types that were claimed for new fields may stay behind a failure, harmless as
 * those of any refused write. A file keeps its place among the others: each generation of theirs becomes a new one of the shard's, newer
 * than all before, its sequences stay. The cache is flushed first, because a cached point would win over a file's, and engine->flush is
 * held until all is in: no file of a flush comes between, and no bucket goes.
 */
#include "base/alloc.h"
#include "os/tree.h"
#include "tsm/core_int.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct source {
    const char *path;
    const char *target;         /* in the shard's directory */
    uint32_t generation, sequence;
    struct af_tsm_file *file;
    struct af_tsm_part *part;   /* once it is in */
};
struct install {
    struct af_tsm *engine;
    struct af_bucket *bucket;
    struct af_shard *shard;     /* a reference */
    int64_t start_ns, end_ns;
    struct af_arena arena;
    struct source *sources;
    size_t count, cap;
    char fault[512];            /* the first of the file that is being checked */
};

/* --- the files ------------------------------------------------------------------------------------------------------------- */

static enum af_status on_file(void *ctx, const char *path, struct af_error *err)
{
    struct install *install = ctx;
    struct source source = { 0 };
    if (!af_part_name_parse(path, ".tsm", &source.generation, &source.sequence))
        return af_part_name_parse(path, ".tombstone", &source.generation, &source.sequence)
            ? af_fail(err, AF_EINVAL, "%s: files with tombstones are not taken in; compact them first", path) : AF_OK;
    if (!core_grow((void **)&install->sources, &install->cap, install->count + 1, sizeof source))
        return af_fail_nomem(err, "a list of files");
    source.path = af_arena_copy(&install->arena, af_slice_of(path));
    if (source.path == NULL)
        return af_fail_nomem(err, path);
    install->sources[install->count++] = source;
    return AF_OK;
}

static void on_fault(void *ctx, const char *words)
{
    struct install *install = ctx;
    if (install->fault[0] == '\0')
        core_copy_words(install->fault, sizeof install->fault, words);
}

static enum af_status check_content(struct install *install, const struct source *source, struct af_error *err)
{
    struct af_tsm_check check;
    install->fault[0] = '\0';
    AF_TRY(af_tsm_check(source->file, on_fault, install, &check, err));
    if (check.bad_blocks > 0 || check.bad_entries > 0)
        return af_fail(err, AF_EINVAL, "%s is damaged and was not taken in: %s", source->path, install->fault);
    if (check.min_ns < install->start_ns || (check.max_ns >= install->end_ns && install->end_ns != INT64_MAX))
        return af_fail(err, AF_EINVAL, "%s has points from %" PRId64 " to %" PRId64 ", outside [%" PRId64 ", %" PRId64 ")", source->path,
                       check.min_ns, check.max_ns, install->start_ns, install->end_ns);
    return AF_OK;
}

static enum af_status open_source(struct install *install, struct source *source, struct af_error *err)
{
    struct af_reader *reader;
    AF_TRY(af_file_reader_open(source->path, &reader, err));
    enum af_status status = af_tsm_file_open(reader, NULL, &source->file, err);
    if (status == AF_ECORRUPT)
        return af_fail(err, AF_EINVAL, "%s is no whole TSM file and was not taken in", source->path);
    return status == AF_OK ? check_content(install, source, err) : status;
}

/* --- the shard ------------------------------------------------------------------------------------------------------------- */

/* The one that covers the range, or a new one of exactly the range. */
static enum af_status find_shard_locked(struct install *install, struct af_error *err)
{
    struct af_bucket *bucket = install->bucket;
    if (bucket->is_dropped)
        return af_fail(err, AF_ENOTFOUND, "the bucket was deleted meanwhile");
    for (size_t i = 0; i < bucket->shard_count; i++) {
        struct af_shard *shard = bucket->shards[i];
        if (install->start_ns >= shard->end_ns || install->end_ns <= shard->start_ns)
            continue;
        if (install->start_ns < shard->start_ns || install->end_ns > shard->end_ns)
            return af_fail(err, AF_EINVAL, "[%" PRId64 ", %" PRId64 ") overlaps shard %" PRIu64 ", [%" PRId64 ", %" PRId64
                           "), but is not inside it: split the files along the bucket's shards", install->start_ns, install->end_ns,
                           shard->id, shard->start_ns, shard->end_ns);
        install->shard = af_shard_ref(shard);
        return AF_OK;
    }
    AF_TRY(core_shard_new(bucket, install->engine->at.next_shard, install->start_ns, install->end_ns, &install->shard, err));
    enum af_status status = core_shard_add_locked(install->engine, install->shard, err);
    bucket->is_changed = status == AF_OK || bucket->is_changed;
    return status;
}

static enum af_status find_shard(struct install *install, struct af_error *err)
{
    af_mutex_lock(&install->engine->lock);
    enum af_status status = find_shard_locked(install, err);
    af_mutex_unlock(&install->engine->lock);
    return status;
}

/* --- keys ------------------------------------------------------------------------------------------------------------------ */

typedef enum af_status (*key_each)(struct install *install, const struct source *source, struct af_slice series, struct af_slice field,
                                   enum af_type type, struct af_error *err);

static enum af_status each_key(struct install *install, const struct source *source, struct af_tsm_cursor *cursor, key_each each,
                               struct af_error *err)
{
    for (;;) {
        struct af_tsm_entry entry;
        struct af_slice series;
        struct af_slice field;
        AF_TRY(af_tsm_cursor_next(cursor, &entry, err));
        if (entry.key.ptr == NULL)
            return AF_OK;
        if (!af_tsm_key_split(entry.key, &series, &field))
            return af_fail(err, AF_EINVAL, "%s has a key without \"" AF_TSM_KEY_SEPARATOR "\"", source->path);
        AF_TRY(each(install, source, series, field, entry.type, err));
    }
}

static enum af_status each_key_of_all(struct install *install, key_each each, struct af_error *err)
{
    for (size_t i = 0; i < install->count; i++) {
        struct af_tsm_cursor *cursor;
        AF_TRY(af_tsm_cursor_open(install->sources[i].file, (struct af_slice){ "", 0 }, &cursor, err));
        enum af_status status = each_key(install, &install->sources[i], cursor, each, err);
        af_tsm_cursor_close(cursor);
        AF_TRY(status);
    }
    return AF_OK;
}

static enum af_status claim_type(struct install *install, const struct source *source, struct af_slice series, struct af_slice field,
                                 enum af_type type, struct af_error *err)
{
    enum af_type has;
    struct af_slice measurement = af_key_measurement_raw(series);
    AF_TRY(af_types_claim(install->shard->types, measurement, field, type, &has, err));
    if (has != type)
        return af_fail(err, AF_EINVAL, "%s: field \"%.*s\" on measurement \"%.*s\" is of type %s, already exists as type %s in that shard",
                       source->path, (int)(field.len < 128 ? field.len : 128), field.ptr,
                       (int)(measurement.len < 128 ? measurement.len : 128), measurement.ptr, af_type_name(type), af_type_name(has));
    return AF_OK;
}

static enum af_status add_series(struct install *install, const struct source *source, struct af_slice series, struct af_slice field,
                                 enum af_type type, struct af_error *err)
{
    uint32_t id;
    (void)source;
    (void)field;
    (void)type;
    return af_index_add(install->bucket->index, series, &id, err);
}

/* --- in -------------------------------------------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct source *x = a;
    const struct source *y = b;
    if (x->generation != y->generation)
        return x->generation < y->generation ? -1 : 1;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static enum af_status name_targets(struct install *install, struct af_error *err)
{
    uint32_t generation = 0;
    qsort(install->sources, install->count, sizeof *install->sources, by_place);
    for (size_t i = 0; i < install->count; i++) {
        struct source *source = &install->sources[i];
        if (i == 0 || source->generation != install->sources[i - 1].generation)
            generation = af_shard_next_generation(install->engine, install->shard);
        source->target = af_arena_printf(&install->arena, "%s/%09u-%09u.tsm", install->shard->dir, generation, source->sequence);
        if (source->target == NULL)
            return af_arena_fail(&install->arena, 0, "a path", err);
    }
    return AF_OK;
}

static enum af_status link_sources(struct install *install, struct af_error *err)
{
    for (size_t i = 0; i < install->count; i++) {
        const char *temporary = af_arena_printf(&install->arena, "%s.tmp", install->sources[i].target);
        if (temporary == NULL)
            return af_arena_fail(&install->arena, 0, "a path", err);
        AF_TRY(af_path_remove(temporary, err));
        AF_TRY(af_path_link(install->sources[i].path, temporary, err));
    }
    return AF_OK;
}

static enum af_status rename_sources(struct install *install, struct af_error *err)
{
    for (size_t i = 0; i < install->count; i++) {
        const char *temporary = af_arena_printf(&install->arena, "%s.tmp", install->sources[i].target);
        if (temporary == NULL)
            return af_arena_fail(&install->arena, 0, "a path", err);
        AF_TRY(af_path_rename(temporary, install->sources[i].target, err));
    }
    for (size_t i = 0; i < install->count; i++)
        AF_TRY(af_part_open(install->sources[i].target, &install->sources[i].part, err));
    return AF_OK;
}

static enum af_status make_current(struct install *install, struct af_error *err)
{
    struct af_tsm_part **parts = af_arena_alloc(&install->arena, (install->count + 1) * sizeof *parts);
    if (parts == NULL)
        return af_arena_fail(&install->arena, 0, "a list of files", err);
    for (size_t i = 0; i < install->count; i++)
        parts[i] = install->sources[i].part;
    install->shard->build_generation = 0; /* what a build flushes from here on must win over these files */
    return af_shard_replace(install->engine, install->shard, NULL, 0, parts, install->count, err);
}

/* What a failure leaves in the shard's directory. */
static void take_back(struct install *install)
{
    for (size_t i = 0; i < install->count; i++) {
        struct source *source = &install->sources[i];
        if (source->part != NULL)
            af_part_doom(source->part);
        if (source->target == NULL)
            continue;
        const char *temporary = af_arena_printf(&install->arena, "%s.tmp", source->target);
        if (temporary != NULL)
            (void)(af_path_remove(temporary, NULL) == AF_OK);
        (void)(af_path_remove(source->target, NULL) == AF_OK);
    }
}

static enum af_status bring_in(struct install *install, struct af_error *err)
{
    AF_TRY(each_key_of_all(install, claim_type, err));
    AF_TRY(core_manifest_save(install->engine, install->bucket, err));
    AF_TRY(af_dir_make(install->shard->dir, err));
    AF_TRY(name_targets(install, err));
    enum af_status status = link_sources(install, err);
    if (status == AF_OK)
        status = each_key_of_all(install, add_series, err);
    if (status == AF_OK)
        status = af_index_sync(install->bucket->index, err);
    if (status == AF_OK)
        status = af_types_sync(install->shard->types, err);
    if (status == AF_OK)
        status = rename_sources(install, err);
    if (status == AF_OK)
        status = make_current(install, err);
    if (status != AF_OK)
        take_back(install);
    return status;
}

static enum af_status check_all(struct install *install, const char *dir, struct af_error *err)
{
    if (install->start_ns >= install->end_ns)
        return af_fail(err, AF_EINVAL, "[%" PRId64 ", %" PRId64 ") is no stretch of time", install->start_ns, install->end_ns);
    AF_TRY(af_dir_list(dir, on_file, install, err));
    if (install->count == 0)
        return af_fail(err, AF_EINVAL, "%s has no TSM files", dir);
    for (size_t i = 0; i < install->count; i++)
        AF_TRY(open_source(install, &install->sources[i], err));
    return AF_OK;
}

static enum af_status install_all(struct install *install, const char *dir, struct af_error *err)
{
    struct af_error why = { 0 };
    AF_TRY(check_all(install, dir, err));
    af_mutex_lock(&install->engine->flush);
    enum af_status status = core_flush_all_locked(install->engine, &why);
    if (status == AF_OK)
        status = find_shard(install, &why);
    if (status == AF_OK) {
        core_gate_enter(&install->bucket->gate);
        status = bring_in(install, &why);
        core_gate_leave(&install->bucket->gate);
    }
    af_mutex_unlock(&install->engine->flush);
    return core_settle(install->engine, status, &why, err);
}

static void install_done(struct install *install)
{
    for (size_t i = 0; i < install->count; i++) {
        if (install->sources[i].file != NULL)
            af_tsm_file_close(install->sources[i].file);
        af_part_unref(install->sources[i].part);
    }
    af_free(install->sources);
    af_shard_unref(install->shard);
    af_bucket_unref(install->bucket);
    af_arena_done(&install->arena);
}

enum af_status af_tsm_install(struct af_tsm *engine, uint64_t id, int64_t start_ns, int64_t end_ns, const char *dir,
                              struct af_error *err)
{
    struct install install = { .engine = engine, .start_ns = start_ns, .end_ns = end_ns };
    install.bucket = af_bucket_find(engine, id);
    if (install.bucket == NULL)
        return af_fail(err, AF_ENOTFOUND, "there is no bucket %016" PRIx64 " in %s", id, engine->dir);
    af_arena_init(&install.arena, SIZE_MAX);
    enum af_status status = install_all(&install, dir, err);
    install_done(&install);
    return status;
}
