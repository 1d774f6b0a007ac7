/*
 * fsck_shard.c - the files of one shard, checked and repaired; see fsck.c.
 *
 * A TSM file that is damaged is first renamed to G-S.tsm.bad, if opening has not done it: from then on the shard is known to be damaged.
 * Its good blocks go to G-S.tsm.tmp; that is renamed to G-S.tsm (the place among the generations stays, and so do its tombstones), and
 * only then the old file to G-S.tsm.salvaged.bad. After a crash in between the same is done again, with the same result.
 */
#include "base/alloc.h"
#include "base/numbers.h"
#include "os/tree.h"
#include "tsm/fsck_int.h"
#include <inttypes.h>

static const size_t TOMB_BYTES_MAX = (size_t)1 << 30;

struct shard_check {
    struct fsck *fsck;
    struct fsck_bucket *bucket;
    const struct fsck_range *range;  /* NULL: the list of shards does not have it */
    const char *dir;
    struct af_types *found;          /* types of fields as the TSM files have them */
    struct af_types *noted;          /* as the file has them; NULL: none that can be used */
    struct af_arena arena;           /* of the list */
    const char **names;
    size_t count, cap;
    struct af_buf last_series;
    struct af_arena key_arena;       /* of one key */
    uint64_t wrong_types;            /* in `noted` */
};

static bool ends_with(const char *name, const char *tail)
{
    const size_t n = strlen(name);
    const size_t t = strlen(tail);
    return n >= t && strcmp(name + n - t, tail) == 0;
}

/* --- the list of files ----------------------------------------------------------------------------------------------------------- */

static enum af_status note_file(void *ctx, const char *path, struct af_error *err)
{
    struct shard_check *c = ctx;
    if (fsck_is_temporary(path))
        return fsck_remove(c->fsck, path, "a temporary file that a crash left", err);
    if (c->count == c->cap) {
        const size_t cap = c->cap == 0 ? 16 : c->cap * 2;
        const char **names = af_realloc(c->names, cap * sizeof *names);
        if (names == NULL)
            return af_fail_nomem(err, "a list of files");
        c->names = names;
        c->cap = cap;
    }
    const char *copy = af_arena_copy(&c->arena, af_slice_of(path));
    if (copy == NULL)
        return af_fail_nomem(err, "a list of files");
    c->names[c->count++] = copy;
    return AF_OK;
}

static enum af_status list_files(struct shard_check *c, struct af_error *err)
{
    c->count = 0;
    return af_dir_list(c->dir, note_file, c, err);
}

/* `path` ends in `from`: the same with `to` there, in the shard's arena. */
static const char *with_suffix(struct shard_check *c, const char *path, const char *from, const char *to)
{
    return af_arena_printf(&c->arena, "%.*s%s", (int)(strlen(path) - strlen(from)), path, to);
}

/* --- keys: series index and types ---------------------------------------------------------------------------------------------- */

static void check_series(struct shard_check *c, const char *path, struct af_slice series)
{
    if (c->bucket->index == NULL || af_slice_eq(series, af_buf_slice(&c->last_series)))
        return;
    af_buf_clear(&c->last_series);
    af_buf_append_slice(&c->last_series, series);
    if (af_index_find(c->bucket->index, series) != AF_INDEX_NONE)
        return;
    if (c->bucket->unknown_series++ == 0)
        fsck_say(c->fsck, "%s: series " AF_SLICE_FMT " is not in the bucket's series index", path, AF_SLICE_ARG(series));
}

static enum af_status check_types(struct shard_check *c, const struct af_tsm_part *part, const struct af_tsm_entry *entry,
                                  struct af_slice series, struct af_slice field, struct af_error *err)
{
    enum af_type has;
    bool has_rows; /* if not, the field may have another type by now */
    const char *path = part->path;
    const enum af_type type = entry->type;
    AF_TRY(af_merge_has_rows(part, entry, &c->key_arena, &has_rows, err));
    if (!has_rows)
        return AF_OK;
    const struct af_slice measurement = af_key_measurement_raw(series);
    AF_TRY(af_types_claim(c->found, measurement, field, type, &has, err));
    if (has != type)
        fsck_fault(c->fsck, "%s: field " AF_SLICE_FMT " of " AF_SLICE_FMT " is %s, in an older file of the shard it is %s; only values of "
                   "the newest type are read", path, AF_SLICE_ARG(field), AF_SLICE_ARG(measurement), af_type_name(type), af_type_name(has));
    if (c->noted == NULL)
        return AF_OK;
    AF_TRY(af_types_claim(c->noted, measurement, field, type, &has, err));
    c->wrong_types += has != type;
    return AF_OK;
}

static enum af_status check_keys(struct shard_check *c, const struct af_tsm_part *part, struct af_tsm_cursor *cursor, struct af_error *err)
{
    const char *path = part->path;
    for (;;) {
        struct af_tsm_entry entry;
        struct af_slice series;
        struct af_slice field;
        AF_TRY(af_tsm_cursor_next(cursor, &entry, err));
        if (entry.key.ptr == NULL)
            return AF_OK;
        if (!af_tsm_key_split(entry.key, &series, &field)) {
            fsck_fault(c->fsck, "%s: key " AF_SLICE_FMT " has no " AF_TSM_KEY_SEPARATOR, path, AF_SLICE_ARG(entry.key));
            continue;
        }
        check_series(c, path, series);
        AF_TRY(check_types(c, part, &entry, series, field, err));
    }
}

/* --- what stands beside a TSM file --------------------------------------------------------------------------------------------- */

struct side_compare {
    struct af_reader *reader;
    uint64_t at;
    bool differs;
    struct af_buf bytes;
};

static enum af_status compare_some(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct side_compare *compare = ctx;
    if (compare->differs || bytes.len > compare->reader->size - compare->at) {
        compare->differs = true;
        return AF_OK;
    }
    af_buf_clear(&compare->bytes);
    if (af_buf_reserve(&compare->bytes, bytes.len) == NULL)
        return af_buf_check(&compare->bytes, "a side file", err);
    AF_TRY(af_reader_read(compare->reader, compare->at, compare->bytes.ptr, bytes.len, err));
    compare->differs = memcmp(compare->bytes.ptr, bytes.ptr, bytes.len) != 0;
    compare->at += bytes.len;
    return AF_OK;
}

/* The side file is exactly what the TSM file gives. */
static enum af_status check_side(struct shard_check *c, const char *path, struct af_tsm_file *file, struct af_error *err)
{
    struct side_compare compare = { 0 };
    const char *side = with_suffix(c, path, ".tsm", ".stats");
    if (side == NULL)
        return af_fail_nomem(err, "a path");
    if (af_path_kind(side) == AF_PATH_NONE)
        return AF_OK;
    AF_TRY(af_file_reader_open(side, &compare.reader, err));
    af_buf_init(&compare.bytes, SIZE_MAX / 2);
    enum af_status status = af_tsm_stats_build_to(file, compare_some, &compare, err);
    const bool is_right = !compare.differs && compare.at == compare.reader->size;
    af_buf_done(&compare.bytes);
    af_reader_close(compare.reader);
    if (status != AF_OK || is_right)
        return status;
    return fsck_remove(c->fsck, side, "the statistics are not those of the TSM file", err);
}

static enum af_status parse_tombs(const char *path, struct af_error *err)
{
    struct af_buf bytes;
    struct af_arena arena;
    struct af_tsm_tomb *tombs = NULL;
    size_t count = 0;
    struct af_slice series;
    struct af_slice field;
    af_buf_init(&bytes, TOMB_BYTES_MAX);
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = af_file_read_all(path, &bytes, err);
    if (status == AF_OK)
        status = af_tsm_tombs_parse(af_buf_slice(&bytes), path, &arena, &tombs, &count, err);
    for (size_t i = 0; i < count && status == AF_OK; i++)
        if (!af_tsm_key_split(tombs[i].key, &series, &field))
            status = af_fail(err, AF_ECORRUPT, "%s: tombstone %zu is for a key that is none", path, i);
    af_buf_done(&bytes);
    af_arena_done(&arena);
    return status;
}

static enum af_status check_tombs(struct shard_check *c, const char *path, struct af_error *err)
{
    struct af_error why = { 0 };
    enum af_status status = parse_tombs(path, &why);
    if (status == AF_OK)
        return AF_OK;
    if (status != AF_ECORRUPT && status != AF_EUNSUPPORTED)
        return af_fail(err, status, "%s", why.message);
    fsck_fault(c->fsck, "%s%s", why.message, c->fsck->repair ? "; set aside as *.bad: the points that it hid are there again" : "");
    const char *bad = with_suffix(c, path, ".tombstone", ".tombstone.bad");
    if (bad == NULL)
        return af_fail_nomem(err, "a path");
    return c->fsck->repair ? af_path_rename(path, bad, err) : AF_OK;
}

/* What the side file says of the index, if it is one of a file of this size. */
static enum af_status side_denies(const char *side, const struct af_tsm_file_info *info, bool *out, struct af_error *err)
{
    struct af_reader *reader;
    struct af_tsm_stats *stats;
    uint64_t bytes;
    uint32_t crc;
    *out = false;
    if (af_path_kind(side) != AF_PATH_FILE)
        return AF_OK;
    AF_TRY(af_file_reader_open(side, &reader, err));
    enum af_status status = af_tsm_stats_open_reader(reader, &stats, err);
    if (status != AF_OK)
        return status == AF_ENOMEM || status == AF_EIO ? status : AF_OK;
    af_tsm_stats_of(stats, &bytes, &crc);
    af_tsm_stats_close(stats);
    *out = bytes == info->bytes && crc != info->index_crc;
    return AF_OK;
}

/* --- a TSM file ---------------------------------------------------------------------------------------------------------------- */

static void on_tsm_fault(void *ctx, const char *words)
{
    fsck_fault(ctx, "%s", words);
}

/* NULL in *out with AF_OK: it cannot be opened; `why` says so. */
static enum af_status open_tsm(const char *path, struct af_tsm_file **out, struct af_error *why, struct af_error *err)
{
    struct af_reader *reader;
    *out = NULL;
    AF_TRY(af_file_reader_open(path, &reader, err));
    enum af_status status = af_tsm_file_open(reader, NULL, out, why);
    if (status == AF_ECORRUPT || status == AF_EUNSUPPORTED) {
        *out = NULL;
        return AF_OK;
    }
    return status == AF_OK ? AF_OK : af_fail(err, status, "%s", why->message);
}

static void check_times(struct shard_check *c, const char *path, const struct af_tsm_check *check)
{
    const struct fsck_range *range = c->range;
    if (range == NULL || check->points == 0)
        return;
    if (check->min_ns < range->start_ns || (check->max_ns >= range->end_ns && range->end_ns != INT64_MAX))
        fsck_fault(c->fsck, "%s: it has points from %" PRId64 " to %" PRId64 ", its shard covers %" PRId64 " to %" PRId64
                   ": those outside are not found by queries", path, check->min_ns, check->max_ns, range->start_ns, range->end_ns);
}

/* A damaged key looks like any other: only the checksum of the index shows it. */
static enum af_status check_index_crc(struct shard_check *c, const char *path, struct af_tsm_file *file, bool *out_whole,
                                      struct af_error *err)
{
    struct af_tsm_file_info info;
    bool denied;
    const char *side = with_suffix(c, path, ".tsm", ".stats");
    if (side == NULL)
        return af_fail_nomem(err, "a path");
    af_tsm_file_info(file, &info);
    AF_TRY(side_denies(side, &info, &denied, err));
    if (denied)
        fsck_fault(c->fsck, "%s: the index is not the one that the side file names: a key may be damaged", path);
    *out_whole = !denied;
    return AF_OK;
}

/* With its tombstones, if they can be read: those that cannot are told of on their own. */
static enum af_status check_keys_of(struct shard_check *c, const char *path, struct af_tsm_file *file, struct af_error *err)
{
    struct af_tsm_part part = { .path = (char *)(uintptr_t)path, .file = file };
    struct af_tsm_cursor *cursor;
    af_arena_init(&part.tomb_arena, SIZE_MAX / 2);
    enum af_status status = af_part_tombs_load(&part, err);
    if (status == AF_ECORRUPT || status == AF_EUNSUPPORTED) {
        part.tomb_count = 0;
        status = AF_OK;
    }
    if (status == AF_OK)
        status = af_tsm_cursor_open(file, AF_SLICE_LIT(""), &cursor, err);
    if (status == AF_OK) {
        status = check_keys(c, &part, cursor, err);
        af_tsm_cursor_close(cursor);
    }
    af_arena_done(&part.tomb_arena);
    return status;
}

static enum af_status check_open_tsm(struct shard_check *c, const char *path, struct af_tsm_file *file, bool *out_whole,
                                     struct af_error *err)
{
    struct af_tsm_check check;
    AF_TRY(af_tsm_check(file, on_tsm_fault, c->fsck, &check, err));
    c->fsck->out->blocks += check.blocks;
    c->fsck->out->points += check.points;
    *out_whole = check.bad_blocks == 0 && check.bad_entries == 0;
    if (*out_whole)
        AF_TRY(check_index_crc(c, path, file, out_whole, err));
    if (!*out_whole)
        return AF_OK;
    check_times(c, path, &check);
    AF_TRY(check_side(c, path, file, err));
    return check_keys_of(c, path, file, err);
}

static enum af_status check_tsm(struct shard_check *c, const char *path, bool *out_whole, struct af_error *err)
{
    struct af_tsm_file *file;
    struct af_error why = { 0 };
    c->fsck->out->files++;
    *out_whole = false;
    AF_TRY(open_tsm(path, &file, &why, err));
    if (file == NULL) {
        fsck_fault(c->fsck, "%s", why.message);
        return AF_OK;
    }
    enum af_status status = check_open_tsm(c, path, file, out_whole, err);
    af_tsm_file_close(file);
    return status;
}

/* --- salvage ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status is_whole(const char *path, const char *side, bool *out, struct af_error *err)
{
    struct af_tsm_file *file;
    struct af_tsm_file_info info;
    struct af_tsm_check check = { 0 };
    struct af_error why = { 0 };
    bool denied = false;
    *out = false;
    AF_TRY(open_tsm(path, &file, &why, err));
    if (file == NULL)
        return AF_OK;
    af_tsm_file_info(file, &info);
    enum af_status status = af_tsm_check(file, NULL, NULL, &check, err);
    if (status == AF_OK)
        status = side_denies(side, &info, &denied, err);
    af_tsm_file_close(file);
    *out = status == AF_OK && check.bad_blocks == 0 && check.bad_entries == 0 && !denied;
    return status;
}

/* A key of a damaged file is believed when the series index has its series and the types of fields its field. */
static enum af_status knows_key(void *ctx, struct af_slice series, struct af_slice field, bool *out, struct af_error *err)
{
    struct shard_check *c = ctx;
    struct af_arena arena;
    struct af_types_field *fields = NULL;
    size_t count = 0;
    *out = c->bucket->index == NULL || af_index_find(c->bucket->index, series) != AF_INDEX_NONE;
    if (!*out || c->noted == NULL)
        return AF_OK;
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = af_types_list(c->noted, af_key_measurement_raw(series), &arena, &fields, &count, err);
    *out = false;
    for (size_t i = 0; i < count && status == AF_OK; i++)
        *out = *out || af_slice_eq(fields[i].name, field);
    af_arena_done(&arena);
    return status;
}

static void on_lost(void *ctx, const char *words)
{
    struct shard_check *c = ctx;
    fsck_say(c->fsck, "%s", words);
}

static enum af_status are_equal(const char *a, const char *b, bool *out, struct af_error *err)
{
    struct side_compare compare = { 0 };
    struct af_buf bytes;
    af_buf_init(&bytes, SIZE_MAX / 2);
    af_buf_init(&compare.bytes, SIZE_MAX / 2);
    enum af_status status = af_file_read_all(a, &bytes, err);
    if (status == AF_OK)
        status = af_file_reader_open(b, &compare.reader, err);
    if (status == AF_OK) {
        status = compare_some(&compare, af_buf_slice(&bytes), err);
        *out = !compare.differs && compare.at == compare.reader->size;
        af_reader_close(compare.reader);
    }
    af_buf_done(&compare.bytes);
    af_buf_done(&bytes);
    return status;
}

/* The new file takes the old one's place. False in *out_done: another file has it. */
static enum af_status put_in_place(struct shard_check *c, const char *tmp, const char *tsm, const char *side, bool *out_done,
                                   struct af_error *err)
{
    *out_done = true;
    if (af_path_kind(tsm) == AF_PATH_NONE) {
        AF_TRY(af_path_remove(side, err));
        return af_path_rename(tmp, tsm, err);
    }
    AF_TRY(are_equal(tmp, tsm, out_done, err));
    if (!*out_done)
        fsck_fault(c->fsck, "%s: there is another file of this name beside the damaged one: move one of them away by hand", tsm);
    return af_path_remove(tmp, err);
}

/* Nothing was good: nothing stands beside it any more. */
static enum af_status remove_beside(struct shard_check *c, const char *bad, struct af_error *err)
{
    const char *side = with_suffix(c, bad, ".tsm.bad", ".stats");
    const char *tombs = with_suffix(c, bad, ".tsm.bad", ".tombstone");
    if (side == NULL || tombs == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(af_path_remove(side, err));
    return af_path_remove(tombs, err);
}

/* `bad` ends in .tsm.bad. */
static enum af_status salvage(struct shard_check *c, const char *bad, struct af_error *err)
{
    struct af_salvage got;
    bool whole;
    bool done = true;
    const char *tsm = with_suffix(c, bad, ".tsm.bad", ".tsm");
    const char *tmp = with_suffix(c, bad, ".tsm.bad", ".tsm.tmp");
    const char *side = with_suffix(c, bad, ".tsm.bad", ".stats");
    const char *kept = with_suffix(c, bad, ".tsm.bad", ".tsm.salvaged.bad");
    if (tsm == NULL || tmp == NULL || side == NULL || kept == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(is_whole(bad, side, &whole, err));
    if (whole && af_path_kind(tsm) == AF_PATH_NONE) {
        fsck_say(c->fsck, "%s is whole: used again", bad);
        AF_TRY(af_path_remove(side, err));
        return af_path_rename(bad, tsm, err);
    }
    AF_TRY(af_tsm_salvage(bad, tmp, &(struct af_salvage_calls){ c, knows_key, on_lost }, &got, err));
    if (got.blocks > 0)
        AF_TRY(put_in_place(c, tmp, tsm, side, &done, err));
    if (!done)
        return AF_OK;
    fsck_say(c->fsck, "%s: %" PRIu64 " good blocks with %" PRIu64 " points are kept, %" PRIu64 " blocks are lost; the damaged file stays "
             "as %s", bad, got.blocks, got.points, got.lost_blocks, kept);
    AF_TRY(af_path_rename(bad, kept, err));
    return got.blocks == 0 ? remove_beside(c, bad, err) : AF_OK;
}

static enum af_status set_aside(struct shard_check *c, const char *tsm, struct af_error *err)
{
    const char *bad = with_suffix(c, tsm, ".tsm", ".tsm.bad");
    if (bad == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(af_path_rename(tsm, bad, err));
    return salvage(c, bad, err);
}

/* --- the shard ------------------------------------------------------------------------------------------------------------------ */

/* Files that were set aside when the engine opened. */
static enum af_status check_set_aside(struct shard_check *c, struct af_error *err)
{
    for (size_t i = 0; i < c->count; i++) {
        if (!ends_with(c->names[i], ".tsm.bad"))
            continue;
        fsck_fault(c->fsck, "%s was set aside because it is damaged", c->names[i]);
        if (c->fsck->repair)
            AF_TRY(salvage(c, c->names[i], err));
    }
    return c->fsck->repair ? list_files(c, err) : AF_OK;
}

static enum af_status check_beside(struct shard_check *c, const char *path, const char *suffix, struct af_error *err)
{
    uint32_t generation;
    uint32_t sequence;
    const char *tsm = with_suffix(c, path, suffix, ".tsm");
    const char *bad = with_suffix(c, path, suffix, ".tsm.bad");
    if (tsm == NULL || bad == NULL)
        return af_fail_nomem(err, "a path");
    if (!af_part_name_parse(path, suffix, &generation, &sequence) ||
        (af_path_kind(tsm) == AF_PATH_NONE && af_path_kind(bad) == AF_PATH_NONE))
        return fsck_remove(c->fsck, path, "it stands beside no TSM file", err);
    return strcmp(suffix, ".tombstone") == 0 ? check_tombs(c, path, err) : AF_OK;
}

static enum af_status check_file(struct shard_check *c, const char *path, struct af_error *err)
{
    uint32_t generation;
    uint32_t sequence;
    bool whole;
    if (ends_with(path, ".tombstone"))
        return check_beside(c, path, ".tombstone", err);
    if (ends_with(path, ".stats"))
        return check_beside(c, path, ".stats", err);
    if (!ends_with(path, ".tsm"))
        return AF_OK;
    if (!af_part_name_parse(path, ".tsm", &generation, &sequence)) {
        fsck_fault(c->fsck, "%s: the name is not generation-sequence.tsm; it is not read", path);
        return AF_OK;
    }
    AF_TRY(check_tsm(c, path, &whole, err));
    return !whole && c->fsck->repair ? set_aside(c, path, err) : AF_OK;
}

static enum af_status open_types(struct shard_check *c, const char *path, struct af_error *err)
{
    struct af_error why = { 0 };
    AF_TRY(af_types_new(path, &c->found, err));
    if (af_path_kind(path) == AF_PATH_NONE)
        return AF_OK;
    enum af_status status = af_types_open(path, &c->noted, &why);
    if (status == AF_ECORRUPT)
        return fsck_remove(c->fsck, path, why.message, err);
    return status == AF_OK ? AF_OK : af_fail(err, status, "%s", why.message);
}

static enum af_status check_shard(struct shard_check *c, struct af_error *err)
{
    const char *types = af_arena_printf(&c->arena, "%s/fields", c->dir);
    if (types == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(list_files(c, err));
    AF_TRY(open_types(c, types, err));
    AF_TRY(check_set_aside(c, err));
    for (size_t i = 0; i < c->count; i++)
        AF_TRY(check_file(c, c->names[i], err));
    return c->wrong_types > 0 ? fsck_remove(c->fsck, types, "the types of fields are not those of the TSM files", err) : AF_OK;
}

static const struct fsck_range *range_of(const struct fsck_bucket *bucket, const char *dir)
{
    uint64_t id;
    for (size_t i = 0; af_u64_parse(af_slice_of(fsck_base_name(dir)), &id) && i < bucket->count; i++)
        if (bucket->ranges[i].id == id)
            return &bucket->ranges[i];
    return NULL;
}

enum af_status fsck_shard(struct fsck *fsck, struct fsck_bucket *bucket, const char *dir, struct af_error *err)
{
    struct shard_check c = { .fsck = fsck, .bucket = bucket, .dir = dir, .range = range_of(bucket, dir) };
    if (ends_with(dir, ".dropped")) {
        fsck_fault(fsck, "%s: left of a shard that was deleted%s", dir, fsck->repair ? "; removed" : "");
        return fsck->repair ? af_dir_remove(dir, err) : AF_OK;
    }
    if (c.range == NULL && bucket->has_manifest)
        fsck_fault(fsck, "%s: the bucket's list of shards does not have it: what it holds is not read", dir);
    fsck->out->shards++;
    af_arena_init(&c.arena, SIZE_MAX / 2);
    af_arena_init(&c.key_arena, SIZE_MAX / 2);
    af_buf_init(&c.last_series, SIZE_MAX / 2);
    enum af_status status = check_shard(&c, err);
    if (c.found != NULL)
        af_types_close(c.found);
    if (c.noted != NULL)
        af_types_close(c.noted);
    af_buf_done(&c.last_series);
    af_free(c.names);
    af_arena_done(&c.key_arena);
    af_arena_done(&c.arena);
    return status;
}
