/*
 * compact.c - several TSM files of a shard become one generation.
 *
 *     1-1  2-1  3-1 ... 8-1      eight of level 1    ->  8-2
 *     8-2 16-2 24-2 32-2         four of level 2     -> 32-3          level: sequence of the generation's first file, at most 4
 *
 * Key by key: the pieces of all sources are merged (merge.c). A block that is full and stands alone is copied as it is, as long as no rows
 * are waiting; all else is decoded and cut into full blocks again, so every block of a key but the last is full. In memory: a block of each
 * source, one block of waiting rows, the new file's index (AF_TSM_INDEX_BYTES_MAX). The length of a key does not matter.
 *
 * The new files have the highest generation of the sources and a sequence above all of theirs. So they sort behind every source and before
 * all that is newer, and a large old generation does not fall back to level 2 when a small new one joins it.
 *
 * What a crash leaves. The order of events is: new files written and fsynced under temporary names; each renamed, the directory fsynced;
 * all renamed: the new set takes the old one's place in memory; only then are the sources unlinked, TSM file before tombstones with an
 * fsync between (part.c). Let S be the sources with their tombstones, N the new files. What can be there after a crash is
 *     S and some of N       between the first rename and the first unlink
 *     some of S and N       later; a source's tombstones are there whenever the source is
 * In both cases the merge of what is there is the merge of S:
 *   - N sorts behind S and, key by key and time by time, has the value of the merge of S. Where N has a point, it wins over any subset of S
 *     with the value that is right; where N has none because a tombstone of S took it, the tombstone still stands on its source.
 *   - Files of N that are missing (rolled output, a crash between two renames) are stood in for by S, which is whole as long as any of N
 *     can be missing. N need not appear all at once.
 *   - A tombstone belongs to one file and is never carried over: N needs none, it has no deleted points; files newer than the deletion
 *     never got one. So none is lost and none hides later data.
 *   - A deletion after the new set was installed puts tombstones on N only. The sources must be gone by then, or a crash would bring their
 *     points back. They are: they are unlinked at once, not with the last reader, and the deletion's own fsync of the directory comes later
 *     than these unlinks. Where an unlink failed, the deletion finds the file and is refused (erase.c).
 * What is left over of S after a crash is merged with N once more by a later compaction, and costs nothing but room until then.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "tsm/tsm_int.h"

enum { LEVEL_MAX = 4 };
static const size_t level_generations[LEVEL_MAX + 1] = { 0, 8, 4, 4, 4 };
static const size_t BLOCK_BYTES_MAX = (size_t)2 * AF_TSM_BLOCK_BYTES_MAX;

/* --- the plan ------------------------------------------------------------------------------------------------------------------ */

struct span { /* the parts of a generation */
    size_t first, count;
    unsigned level;
    uint64_t bytes;
};

static bool next_span(const struct af_files *files, size_t at, struct span *out)
{
    if (at == files->count)
        return false;
    const struct af_tsm_part *first = files->parts[at];
    *out = (struct span){ .first = at, .level = first->sequence < LEVEL_MAX ? first->sequence : LEVEL_MAX };
    for (; at < files->count && files->parts[at]->generation == first->generation; at++) {
        out->bytes += files->parts[at]->bytes;
        out->count++;
    }
    return true;
}

/* Of so large generations there is nothing to gain any more. */
static bool is_grown(const struct span *span)
{
    return span->level == LEVEL_MAX && span->bytes >= AF_TSM_FILE_BYTES_MAX / 2;
}

/* The first neighbours of a level that are enough. */
static bool plan_level(const struct af_files *files, unsigned level, size_t *out_first, size_t *out_count)
{
    struct span span;
    size_t run = 0;
    size_t first = 0;
    for (size_t at = 0; next_span(files, at, &span); at += span.count) {
        if (span.level != level || is_grown(&span)) {
            run = 0;
            continue;
        }
        if (run++ == 0)
            first = at;
        if (run == level_generations[level]) {
            *out_first = first;
            *out_count = at + span.count - first;
            return true;
        }
    }
    return false;
}

void af_compact_plan(const struct af_files *files, bool full, size_t *out_first, size_t *out_count)
{
    struct span span;
    bool has_tombs = false;
    *out_first = 0;
    *out_count = 0;
    for (size_t i = 0; i < files->count; i++)
        has_tombs = has_tombs || files->parts[i]->tomb_count > 0;
    if (has_tombs || (full && next_span(files, 0, &span) && span.count < files->count)) {
        *out_count = files->count;
        return;
    }
    for (unsigned level = 1; level <= LEVEL_MAX; level++)
        if (plan_level(files, level, out_first, out_count))
            return;
}

/* --- the doing ----------------------------------------------------------------------------------------------------------------- */

struct source {
    struct af_tsm_part *part;
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry; /* key.ptr NULL: the end */
};
struct compaction {
    struct source *sources;
    struct af_piece *pieces;
    size_t count;
    const bool *cancel;
    struct af_part_writer *writer;
    struct af_arena key_arena;
    struct af_arena block_arena;
    struct af_rows waiting;   /* of the key, less than a block */
    enum af_type waiting_type; /* AF_TYPE_NULL: `waiting` is not made */
};

static enum af_status check_cancel(const struct compaction *c, struct af_error *err)
{
    if (c->cancel != NULL && __atomic_load_n(c->cancel, __ATOMIC_RELAXED))
        return af_fail(err, AF_ECANCELED, "compaction was stopped");
    return AF_OK;
}

static enum af_status waiting_for(struct compaction *c, enum af_type type, struct af_error *err)
{
    if (c->waiting_type == type)
        return AF_OK;
    if (c->waiting_type != AF_TYPE_NULL)
        af_rows_done(&c->waiting);
    c->waiting_type = AF_TYPE_NULL;
    AF_TRY(af_rows_init(&c->waiting, type, AF_TSM_BLOCK_POINTS, err));
    c->waiting_type = type;
    return AF_OK;
}

static enum af_status write_waiting(struct compaction *c, struct af_slice key, struct af_error *err)
{
    struct af_tsm_values values;
    if (c->waiting.count == 0)
        return AF_OK;
    af_rows_values(&c->waiting, &values);
    AF_TRY(af_part_writer_add(c->writer, key, &values, err));
    af_rows_clear(&c->waiting);
    return AF_OK;
}

static enum af_status wait_rows(struct compaction *c, struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    for (size_t at = 0; at < values->count;) {
        size_t taken;
        AF_TRY(af_rows_append(&c->waiting, values, at, values->count - at, &taken, err));
        at += taken;
        if (af_rows_is_full(&c->waiting))
            AF_TRY(write_waiting(c, key, err));
    }
    return AF_OK;
}

/* A block that nothing else touches: copied if it is full, else its rows wait. */
static enum af_status take_block(struct compaction *c, struct af_slice key, enum af_type type, struct af_tsm_part *part,
                                 const struct af_tsm_block_ref *ref, struct af_error *err)
{
    struct af_slice raw;
    struct af_tsm_values values;
    enum af_type has_type;
    size_t points;
    const char *names[2];
    af_arena_reset(&c->block_arena);
    AF_TRY(af_tsm_read_raw(part->file, ref, &c->block_arena, &raw, err));
    const struct af_slice block = af_slice_make(raw.ptr + 4, raw.len - 4);
    enum af_status status = af_tsm_block_describe(block, &has_type, &points, &names[0], &names[1], err);
    if (status == AF_OK && points >= AF_TSM_BLOCK_POINTS)
        return af_part_writer_copy(c->writer, key, type, ref, raw, err);
    if (status == AF_OK)
        status = af_tsm_block_decode(block, &c->block_arena, &values, err);
    if (status != AF_OK) {
        af_error_prefix(err, "%s: block at %llu: ", part->path, (unsigned long long)ref->offset);
        return status;
    }
    if (values.values.type != type || values.time_ns[0] != ref->min_ns || values.time_ns[values.count - 1] != ref->max_ns)
        return af_fail(err, AF_ECORRUPT, "%s: the block at %llu is not of the type and times that the index says", part->path,
                       (unsigned long long)ref->offset);
    return wait_rows(c, key, &values, err);
}

static enum af_status merge_key(struct compaction *c, struct af_slice key, struct af_merge *merge, struct af_error *err)
{
    struct af_tsm_part *part;
    const struct af_tsm_block_ref *ref;
    struct af_tsm_values values;
    for (;;) {
        AF_TRY(check_cancel(c, err));
        if (c->waiting.count == 0 && af_merge_free_block(merge, &part, &ref)) {
            AF_TRY(take_block(c, key, af_merge_type(merge), part, ref, err));
            af_merge_skip_block(merge);
            continue;
        }
        AF_TRY(af_merge_next(merge, &values, err));
        if (values.count == 0)
            return write_waiting(c, key, err);
        AF_TRY(wait_rows(c, key, &values, err));
    }
}

/* The least key of the sources, and a piece of each that has it. */
static struct af_slice gather_pieces(struct compaction *c, size_t *out_count)
{
    struct af_slice key = { 0 };
    *out_count = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct source *source = &c->sources[i];
        if (source->entry.key.ptr == NULL)
            continue;
        const int order = key.ptr == NULL ? -1 : af_slice_cmp(source->entry.key, key);
        if (order > 0)
            continue;
        if (order < 0) {
            key = source->entry.key;
            *out_count = 0;
        }
        struct af_piece *piece = &c->pieces[(*out_count)++];
        *piece = (struct af_piece){ .part = source->part, .entry = source->entry };
        piece->tombs = af_part_tombs(source->part, key, &piece->tomb_count);
    }
    return key;
}

static enum af_status compact_key(struct compaction *c, struct af_slice key, size_t count, struct af_error *err)
{
    struct af_merge *merge;
    af_arena_reset(&c->key_arena);
    AF_TRY(af_merge_open(c->pieces, count, INT64_MIN, INT64_MAX, &c->key_arena, &merge, err));
    enum af_status status = waiting_for(c, af_merge_type(merge), err);
    if (status == AF_OK)
        status = merge_key(c, key, merge, err);
    af_merge_close(merge);
    return status;
}

static enum af_status compact_keys(struct compaction *c, struct af_error *err)
{
    for (;;) {
        size_t count;
        const struct af_slice key = gather_pieces(c, &count);
        if (key.ptr == NULL)
            return AF_OK;
        AF_TRY(compact_key(c, key, count, err));
        /* The key lives in the entry of the first source that has it: when that one has gone on, the key is no more. */
        bool is_there = true;
        for (size_t i = c->count; is_there && i-- > 0;) {
            struct source *source = &c->sources[i];
            if (source->entry.key.ptr == NULL || !af_slice_eq(source->entry.key, key))
                continue;
            is_there = source->entry.key.ptr != key.ptr;
            AF_TRY(af_tsm_cursor_next(source->cursor, &source->entry, err));
        }
    }
}

static enum af_status open_sources(struct compaction *c, struct af_tsm_part *const *parts, size_t count, struct af_error *err)
{
    c->sources = af_alloc_zero(count, sizeof *c->sources);
    c->pieces = af_alloc_zero(count, sizeof *c->pieces);
    if (c->sources == NULL || c->pieces == NULL)
        return af_fail_nomem(err, "a compaction");
    for (; c->count < count; c->count++) {
        struct source *source = &c->sources[c->count];
        source->part = parts[c->count];
        AF_TRY(af_tsm_cursor_open(source->part->file, AF_SLICE_LIT(""), &source->cursor, err));
        enum af_status status = af_tsm_cursor_next(source->cursor, &source->entry, err);
        if (status != AF_OK) {
            af_tsm_cursor_close(source->cursor);
            return status;
        }
    }
    return AF_OK;
}

static void compaction_done(struct compaction *c)
{
    for (size_t i = 0; i < c->count; i++)
        af_tsm_cursor_close(c->sources[i].cursor);
    if (c->waiting_type != AF_TYPE_NULL)
        af_rows_done(&c->waiting);
    af_part_writer_free(c->writer);
    af_arena_done(&c->key_arena);
    af_arena_done(&c->block_arena);
    af_free(c->sources);
    af_free(c->pieces);
}

static enum af_status check_stretch(const struct af_files *files, size_t first, size_t count, struct af_error *err)
{
    if (count == 0 || first > files->count || count > files->count - first)
        return af_fail(err, AF_EBUG, "files %zu to %zu of %zu are to be compacted", first, first + count, files->count);
    const size_t end = first + count;
    if ((first > 0 && files->parts[first - 1]->generation == files->parts[first]->generation) ||
        (end < files->count && files->parts[end - 1]->generation == files->parts[end]->generation))
        return af_fail(err, AF_EBUG, "a part of a generation is to be compacted");
    return AF_OK;
}

enum af_status af_compact_run(const char *dir, struct af_files *files, size_t first, size_t count, uint64_t bytes_per_s,
                              const bool *cancel, struct af_arena *arena, struct af_tsm_part ***out, size_t *out_count,
                              struct af_error *err)
{
    struct compaction c = { .cancel = cancel, .waiting_type = AF_TYPE_NULL };
    AF_TRY(check_stretch(files, first, count, err));
    struct af_tsm_part *const *parts = &files->parts[first];
    uint32_t sequence = 0;
    for (size_t i = 0; i < count; i++)
        sequence = parts[i]->sequence > sequence ? parts[i]->sequence : sequence;
    if (sequence == UINT32_MAX)
        return af_fail(err, AF_ELIMIT, "%s: no sequence numbers are left", dir);
    af_arena_init(&c.key_arena, BLOCK_BYTES_MAX);
    af_arena_init(&c.block_arena, BLOCK_BYTES_MAX);
    enum af_status status = af_part_writer_new(dir, parts[count - 1]->generation, sequence + 1, bytes_per_s, &c.writer, err);
    if (status == AF_OK)
        status = open_sources(&c, parts, count, err);
    if (status == AF_OK)
        status = compact_keys(&c, err);
    if (status == AF_OK)
        status = af_part_writer_finish(c.writer, arena, out, out_count, err);
    compaction_done(&c);
    return status;
}
