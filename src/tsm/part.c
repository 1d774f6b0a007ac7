/*
 * part.c - one TSM file of a shard with what stands beside it: tombstones and statistics.
 *
 *     G-S.tsm          never changes once it has its name
 *     G-S.tombstone    replaced as a whole by each deletion (af_part_erase): a new part over the same open file
 *     G-S.stats        made by the writer, or here when it is missing, damaged or of another file
 *
 * A part is opened with the checksum of the index that its statistics name, so a damaged index does not pass. The statistics themselves are
 * checked and let go: they are read again when somebody asks.
 *
 * Unlinking. The TSM file goes first, and is gone for good (fsync of the directory) before its tombstones go: the other way round a crash
 * in between would bring deleted points back. Tombstones without a TSM file are removed at the next opening, before a file can take the
 * name. A TSM file that could not be unlinked is data again at the next opening. That is harmless as long as nothing is deleted from the
 * files that took its place: a deletion looks for such files first (erase.c).
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "tsm/digest.h"
#include <stdatomic.h>
#include <stdlib.h>

static const size_t TOMB_BYTES_MAX = (size_t)1 << 30;

/* --- names ------------------------------------------------------------------------------------------------------------------- */

static bool number_parse(const char *from, const char *to, uint32_t *out)
{
    uint64_t value;
    if (!af_u64_parse(af_slice_make(from, (size_t)(to - from)), &value) || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

bool af_part_name_parse(const char *path, const char *suffix, uint32_t *out_generation, uint32_t *out_sequence)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *dash = strchr(name, '-');
    const size_t len = strlen(name);
    const size_t tail = strlen(suffix);
    if (dash == NULL || len < tail || memcmp(name + len - tail, suffix, tail) != 0 || name + len - tail <= dash)
        return false;
    return number_parse(name, dash, out_generation) && number_parse(dash + 1, name + len - tail, out_sequence);
}

char *af_part_side_path(const char *path, const char *suffix)
{
    const size_t stem = strlen(path) - strlen(".tsm");
    const size_t tail = strlen(suffix);
    char *side = af_alloc(stem + tail + 1);
    if (side == NULL)
        return NULL;
    memcpy(side, path, stem);
    memcpy(side + stem, suffix, tail + 1);
    return side;
}

/* Where a failure changes nothing: what stays is dealt with at the next opening. */
static void try_remove(const char *path)
{
    enum af_status status = af_path_remove(path, NULL);
    (void)status;
}

/* --- tombstones -------------------------------------------------------------------------------------------------------------- */

static int tomb_order(const void *a, const void *b)
{
    const struct af_tsm_tomb *x = a;
    const struct af_tsm_tomb *y = b;
    const int c = af_slice_cmp(x->key, y->key);
    return c != 0 ? c : (x->min_ns > y->min_ns) - (x->min_ns < y->min_ns);
}

/* In order, and ranges of a key that overlap or touch made one. Returns how many are left. */
static size_t tombs_settle(struct af_tsm_tomb *tombs, size_t count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(tombs, count, sizeof *tombs, tomb_order);
    for (size_t i = 0; i < count; i++) {
        struct af_tsm_tomb *last = kept > 0 ? &tombs[kept - 1] : NULL;
        if (tombs[i].min_ns > tombs[i].max_ns)
            continue;
        const bool joins = last != NULL && af_slice_eq(last->key, tombs[i].key) &&
                           (last->max_ns == INT64_MAX || tombs[i].min_ns <= last->max_ns + 1);
        if (!joins)
            tombs[kept++] = tombs[i];
        else if (tombs[i].max_ns > last->max_ns)
            last->max_ns = tombs[i].max_ns;
    }
    return kept;
}

/* Version 1 files are bare text, which damage to the others' first bytes looks like: their keys then have no separator. */
static enum af_status tombs_check(const char *path, const struct af_tsm_tomb *tombs, size_t count, struct af_error *err)
{
    struct af_slice series;
    struct af_slice field;
    if (count == 0) /* nobody writes such a file */
        return af_fail(err, AF_ECORRUPT, "%s: there is no tombstone in it; the file was cut short", path);
    for (size_t i = 0; i < count; i++)
        if (!af_tsm_key_split(tombs[i].key, &series, &field))
            return af_fail(err, AF_ECORRUPT, "%s: tombstone %zu is for a key that is none; the file is damaged", path, i);
    return AF_OK;
}

static enum af_status tombs_read(struct af_tsm_part *part, const char *path, struct af_error *err)
{
    struct af_buf bytes;
    af_buf_init(&bytes, TOMB_BYTES_MAX);
    enum af_status status = af_file_read_all(path, &bytes, err);
    if (status == AF_OK)
        status = af_tsm_tombs_parse(af_buf_slice(&bytes), path, &part->tomb_arena, &part->tombs, &part->tomb_count, err);
    if (status == AF_OK)
        status = tombs_check(path, part->tombs, part->tomb_count, err);
    if (status == AF_OK)
        part->tomb_count = tombs_settle(part->tombs, part->tomb_count);
    af_buf_done(&bytes);
    return status;
}

enum af_status af_part_tombs_load(struct af_tsm_part *part, struct af_error *err)
{
    char *path = af_part_side_path(part->path, ".tombstone");
    if (path == NULL)
        return af_fail_nomem(err, part->path);
    enum af_status status = af_path_kind(path) == AF_PATH_NONE ? AF_OK : tombs_read(part, path, err);
    af_free(path);
    return status;
}

const struct af_tsm_tomb *af_part_tombs(const struct af_tsm_part *part, struct af_slice key, size_t *out_count)
{
    size_t low = 0;
    size_t high = part->tomb_count;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (af_slice_cmp(part->tombs[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    size_t end = low;
    while (end < part->tomb_count && af_slice_eq(part->tombs[end].key, key))
        end++;
    *out_count = end - low;
    return end > low ? &part->tombs[low] : NULL;
}

/* --- statistics -------------------------------------------------------------------------------------------------------------- */

/* NULL in *out: there is no side file, or it is not one of this TSM file. */
static enum af_status side_open(const char *path, uint64_t tsm_bytes, struct af_tsm_stats **out, uint32_t *out_crc, struct af_error *err)
{
    struct af_reader *reader;
    struct af_tsm_stats *stats;
    uint64_t named;
    *out = NULL;
    if (af_path_kind(path) != AF_PATH_FILE)
        return AF_OK;
    AF_TRY(af_file_reader_open(path, &reader, err));
    enum af_status status = af_tsm_stats_open_reader(reader, &stats, err);
    if (status != AF_OK)
        return status == AF_ENOMEM || status == AF_EIO ? status : AF_OK;
    af_tsm_stats_of(stats, &named, out_crc);
    if (named != tsm_bytes)
        af_tsm_stats_close(stats);
    else
        *out = stats;
    return AF_OK;
}

static enum af_status side_emit(void *ctx, struct af_slice bytes, struct af_error *err)
{
    return af_file_write(ctx, bytes, err);
}

/* A side file that cannot be written is only a loss of time: the next opening makes it again. Blocks that cannot be read are noted. */
static enum af_status side_build(struct af_tsm_part *part, const char *path, struct af_error *err)
{
    struct af_file *file;
    enum af_status status = af_file_open(path, AF_FILE_TRUNCATE, &file, err);
    if (status != AF_OK)
        return status == AF_ENOMEM ? status : AF_OK;
    status = af_tsm_stats_build_to(part->file, side_emit, file, err);
    af_file_close(file);
    if (status == AF_OK)
        return AF_OK;
    part->has_bad_blocks = status == AF_ECORRUPT;
    try_remove(path);
    return status == AF_ENOMEM ? status : AF_OK;
}

static enum af_status side_load(struct af_tsm_part *own, struct af_tsm_stats **out, struct af_error *err)
{
    struct af_tsm_file_info info;
    uint32_t crc = 0;
    char *path = af_part_side_path(own->path, ".stats");
    if (path == NULL)
        return af_fail_nomem(err, own->path);
    af_tsm_file_info(own->file, &info);
    enum af_status status = side_open(path, info.bytes, out, &crc, err);
    af_free(path);
    if (status == AF_OK && *out != NULL && crc != info.index_crc) {
        af_tsm_stats_close(*out);
        *out = NULL;
    }
    return status;
}

enum af_status af_part_stats(struct af_tsm_part *part, struct af_tsm_stats **out, struct af_error *err)
{
    struct af_tsm_part *own = part->owner != NULL ? part->owner : part;
    struct af_tsm_stats *first = atomic_load_explicit(&own->stats, memory_order_acquire);
    struct af_tsm_stats *stats = NULL;
    if (first == NULL)
        AF_TRY(side_load(own, &stats, err));
    if (stats != NULL && !atomic_compare_exchange_strong(&own->stats, &first, stats)) {
        af_tsm_stats_close(stats); /* another thread was faster */
        stats = NULL;
    }
    *out = stats != NULL ? stats : first;
    return AF_OK;
}

/* --- opening and closing ----------------------------------------------------------------------------------------------------- */

static struct af_tsm_part *part_new(const char *path)
{
    const size_t len = strlen(path);
    struct af_tsm_part *part = af_alloc_zero(1, sizeof *part);
    if (part == NULL)
        return NULL;
    part->path = af_alloc(len + 1);
    if (part->path == NULL) {
        af_free(part);
        return NULL;
    }
    memcpy(part->path, path, len + 1);
    af_arena_init(&part->tomb_arena, 2 * TOMB_BYTES_MAX);
    atomic_init(&part->refs, 1);
    return part;
}

static enum af_status open_file(struct af_tsm_part *part, const char *side_path, struct af_error *err)
{
    struct af_reader *reader;
    struct af_tsm_stats *stats;
    uint32_t crc = 0;
    AF_TRY(af_file_reader_open(part->path, &reader, err));
    enum af_status status = side_open(side_path, reader->size, &stats, &crc, err);
    if (status != AF_OK) {
        af_reader_close(reader);
        return status;
    }
    const bool has_side = stats != NULL;
    if (has_side)
        af_tsm_stats_close(stats);
    part->bytes = reader->size;
    AF_TRY(af_tsm_file_open(reader, has_side ? &crc : NULL, &part->file, err));
    return has_side ? AF_OK : side_build(part, side_path, err);
}

enum af_status af_part_open(const char *path, struct af_tsm_part **out, struct af_error *err)
{
    uint32_t generation;
    uint32_t sequence;
    if (!af_part_name_parse(path, ".tsm", &generation, &sequence))
        return af_fail(err, AF_EINVAL, "%s: the name is not generation-sequence.tsm", path);
    struct af_tsm_part *part = part_new(path);
    char *side_path = af_part_side_path(path, ".stats");
    enum af_status status = part != NULL && side_path != NULL ? AF_OK : af_fail_nomem(err, path);
    if (status == AF_OK) {
        part->generation = generation;
        part->sequence = sequence;
        status = open_file(part, side_path, err);
    }
    if (status == AF_OK)
        status = af_part_tombs_load(part, err);
    af_free(side_path);
    if (status != AF_OK) {
        af_part_unref(part);
        return status;
    }
    *out = part;
    return AF_OK;
}

static enum af_status remove_tombs(const char *path, const char *tombs, struct af_error *err)
{
    const char *slash = strrchr(path, '/');
    const size_t len = slash != NULL ? (size_t)(slash - path) : 0;
    char *dir = af_alloc(len + 2);
    if (dir == NULL)
        return AF_OK; /* they stay, as orphans */
    memcpy(dir, path, len);
    memcpy(dir + len, len == 0 ? "." : "", len == 0 ? 2 : 1);
    enum af_status status = af_dir_sync(dir, err);
    if (status == AF_OK)
        try_remove(tombs);
    af_free(dir);
    return status;
}

/* After the TSM file. Without memory they stay and are removed at the next opening. */
static enum af_status remove_sides(const char *path, struct af_error *err)
{
    char *tombs = af_part_side_path(path, ".tombstone");
    char *side = af_part_side_path(path, ".stats");
    enum af_status status = AF_OK;
    if (tombs != NULL && af_path_kind(tombs) != AF_PATH_NONE)
        status = remove_tombs(path, tombs, err);
    if (side != NULL)
        try_remove(side);
    af_free(tombs);
    af_free(side);
    return status;
}

enum af_status af_part_unlink(struct af_tsm_part *part, struct af_error *err)
{
    if (part->is_unlinked)
        return AF_OK;
    AF_TRY(af_path_remove(part->path, err));
    part->is_unlinked = true;
    atomic_store(&part->is_doomed, true);
    return remove_sides(part->path, err);
}

/* What cannot be removed is tried again with the last reference. */
void af_part_doom(struct af_tsm_part *part)
{
    atomic_store(&part->is_doomed, true);
    enum af_status status = af_part_unlink(part, NULL);
    (void)status;
}

void af_part_unref(struct af_tsm_part *part)
{
    if (part == NULL || atomic_fetch_sub(&part->refs, 1) != 1)
        return;
    if (atomic_load(&part->is_doomed))
        af_part_doom(part);
    if (part->owner != NULL)
        af_part_unref(part->owner);
    else if (part->file != NULL)
        af_tsm_file_close(part->file);
    af_digest_forget(part);
    if (atomic_load(&part->stats) != NULL)
        af_tsm_stats_close(atomic_load(&part->stats));
    af_arena_done(&part->tomb_arena);
    af_free(part->path);
    af_free(part);
}

/* --- deleting ---------------------------------------------------------------------------------------------------------------- */

/* The old and the new tombstones, in the new part's own memory. */
static enum af_status tombs_join(const struct af_tsm_part *old, const struct af_tsm_tomb *tombs, size_t count, struct af_tsm_part *part,
                                 struct af_error *err)
{
    const size_t total = old->tomb_count + count;
    struct af_tsm_tomb *all = af_arena_zero(&part->tomb_arena, total, sizeof *all);
    if (all == NULL)
        return af_arena_fail(&part->tomb_arena, total * sizeof *all, "tombstones", err);
    for (size_t i = 0; i < total; i++) {
        all[i] = i < old->tomb_count ? old->tombs[i] : tombs[i - old->tomb_count];
        if (i > 0 && af_slice_eq(all[i].key, all[i - 1].key)) {
            all[i].key = all[i - 1].key;
            continue;
        }
        all[i].key.ptr = af_arena_copy(&part->tomb_arena, all[i].key);
        if (all[i].key.ptr == NULL)
            return af_arena_fail(&part->tomb_arena, all[i].key.len, "tombstones", err);
    }
    part->tombs = all;
    part->tomb_count = tombs_settle(all, total);
    return AF_OK;
}

static enum af_status tombs_write(const struct af_tsm_part *part, struct af_error *err)
{
    struct af_buf bytes;
    char *path = af_part_side_path(part->path, ".tombstone");
    af_buf_init(&bytes, TOMB_BYTES_MAX);
    enum af_status status = path != NULL ? AF_OK : af_fail_nomem(err, part->path);
    if (status == AF_OK)
        status = af_tsm_tombs_print(part->tombs, part->tomb_count, &bytes, err);
    if (status == AF_OK)
        status = af_file_write_atomic(path, af_buf_slice(&bytes), false, err);
    af_buf_done(&bytes);
    af_free(path);
    return status;
}

enum af_status af_part_erase(const struct af_tsm_part *part, const struct af_tsm_tomb *tombs, size_t count, struct af_tsm_part **out,
                             struct af_error *err)
{
    struct af_tsm_part *own = part->owner != NULL ? part->owner : (struct af_tsm_part *)part;
    struct af_tsm_part *next = part_new(part->path);
    if (next == NULL)
        return af_fail_nomem(err, part->path);
    next->generation = part->generation;
    next->sequence = part->sequence;
    next->bytes = part->bytes;
    next->has_bad_blocks = part->has_bad_blocks;
    next->file = own->file;
    next->owner = own;
    atomic_fetch_add(&own->refs, 1);
    enum af_status status = tombs_join(part, tombs, count, next, err);
    if (status == AF_OK)
        status = tombs_write(next, err);
    if (status != AF_OK) {
        af_part_unref(next);
        return status;
    }
    *out = next;
    return AF_OK;
}
