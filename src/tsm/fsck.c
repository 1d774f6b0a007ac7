/*
 * fsck.c - a directory that no process has open, checked from end to end; see tsm.h.
 *
 *     LOCK held -> log: every record, decoded -> bucket: list of shards, series index -> shard: fsck_shard.c
 *
 * Without `repair` nothing on disk changes (but for the pid in LOCK). With it:
 *     removed     temporaries; side files, series index and types of fields that are wrong: they are made again from the TSM files
 *     rewritten   damaged segments of the log, without what is broken (the old ones stay as *.wal.bad)
 *     salvaged    TSM files with damage: their good blocks become a new file, the old one stays as *.tsm.salvaged.bad
 *     set aside   tombstones that cannot be read (*.tombstone.bad): the points they hid are there again
 * What cannot be repaired is told: a damaged list of shards, points outside their shard's time, a field with two types in a shard.
 */
#include "tsm/fsck_int.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/numbers.h"
#include "os/tree.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { MANIFEST_BYTES_MAX = 64 << 20 };

/* --- words --------------------------------------------------------------------------------------------------------------------- */

static void say(const struct fsck *fsck, const char *fmt, va_list args)
{
    char words[1536];
    if (fsck->fault == NULL)
        return;
    (void)vsnprintf(words, sizeof words, fmt, args);
    fsck->fault(fsck->ctx, words);
}

void fsck_fault(struct fsck *fsck, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(fsck, fmt, args);
    va_end(args);
    fsck->out->faults++;
}

void fsck_say(struct fsck *fsck, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(fsck, fmt, args);
    va_end(args);
}

enum af_status fsck_remove(struct fsck *fsck, const char *path, const char *why, struct af_error *err)
{
    fsck_fault(fsck, "%s: %s%s", path, why, fsck->repair ? "; removed" : "");
    return fsck->repair ? af_path_remove(path, err) : AF_OK;
}

char *fsck_join(const char *dir, const char *name)
{
    const size_t n = strlen(dir);
    const size_t m = strlen(name);
    char *path = af_alloc(n + m + 2);
    if (path == NULL)
        return NULL;
    memcpy(path, dir, n);
    path[n] = '/';
    memcpy(path + n + 1, name, m + 1);
    return path;
}

const char *fsck_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool fsck_is_temporary(const char *path)
{
    const char *name = fsck_base_name(path);
    const size_t n = strlen(name);
    return (n >= 4 && strcmp(name + n - 4, ".tmp") == 0) || strstr(name, ".tmp-") != NULL;
}

static enum af_status remove_temporary(void *ctx, const char *path, struct af_error *err)
{
    return fsck_is_temporary(path) ? fsck_remove(ctx, path, "a temporary file that a crash left", err) : AF_OK;
}

/* --- the log --------------------------------------------------------------------------------------------------------------------- */

struct log_check {
    struct fsck *fsck;
    struct af_arena arena;
    struct af_series_set set;
};

static enum af_status on_record(void *ctx, uint64_t ticket, struct af_slice payload, struct af_error *err)
{
    struct log_check *check = ctx;
    struct af_points points;
    uint64_t bucket;
    struct af_error why = { 0 };
    af_arena_reset(&check->arena);
    enum af_status status = af_record_decode(payload, &check->arena, &check->set, &bucket, &points, &why);
    if (status == AF_ENOMEM)
        return af_fail(err, status, "%s", why.message);
    if (status != AF_OK)
        fsck_fault(check->fsck, "log: write %" PRIu64 " is whole but cannot be read: %s", ticket, why.message);
    return AF_OK;
}

static void on_log_fault(void *ctx, const char *words)
{
    fsck_fault(ctx, "%s", words);
}

static enum af_status check_log(struct fsck *fsck, const char *dir, struct af_error *err)
{
    struct af_wal_report report = { 0 };
    struct log_check check = { .fsck = fsck };
    char *path = fsck_join(dir, "wal");
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    af_arena_init(&check.arena, SIZE_MAX / 2);
    af_series_set_init(&check.set);
    enum af_status status = af_path_kind(path) == AF_PATH_DIR ? af_dir_list(path, remove_temporary, fsck, err) : AF_OK;
    if (status == AF_OK)
        status = af_wal_check(path, fsck->repair, on_record, &check, on_log_fault, fsck, &report, err);
    fsck->out->wal_records = report.records;
    fsck->out->wal_torn_bytes = report.torn_bytes;
    af_series_set_done(&check.set);
    af_arena_done(&check.arena);
    af_free(path);
    return status;
}

/* --- the list of shards -------------------------------------------------------------------------------------------------------- */

static bool take_number(struct af_slice *line, int64_t *out)
{
    size_t n = 0;
    while (n < line->len && line->ptr[n] != ' ')
        n++;
    if (!af_i64_parse(af_slice_make(line->ptr, n), out))
        return false;
    n += n < line->len;
    *line = af_slice_make(line->ptr + n, line->len - n);
    return true;
}

static enum af_status add_range(struct fsck *fsck, struct fsck_bucket *bucket, struct af_slice line, struct af_error *err)
{
    int64_t id;
    struct fsck_range range;
    struct af_slice rest = { line.ptr + 6, line.len - 6 };
    if (!take_number(&rest, &id) || !take_number(&rest, &range.start_ns) || !take_number(&rest, &range.end_ns) || id < 0 ||
        range.start_ns >= range.end_ns) {
        fsck_fault(fsck, "%s/shards: a line of a shard is not one", bucket->dir);
        return AF_OK;
    }
    range.id = (uint64_t)id;
    for (size_t i = 0; i < bucket->count; i++)
        if (bucket->ranges[i].id == range.id ||
            (range.start_ns < bucket->ranges[i].end_ns && bucket->ranges[i].start_ns < range.end_ns))
            fsck_fault(fsck, "%s/shards: shards %" PRIu64 " and %" PRIu64 " overlap", bucket->dir, bucket->ranges[i].id, range.id);
    if (bucket->count == bucket->cap) {
        const size_t cap = bucket->cap == 0 ? 16 : bucket->cap * 2;
        struct fsck_range *ranges = af_realloc(bucket->ranges, cap * sizeof *ranges);
        if (ranges == NULL)
            return af_fail_nomem(err, "a list of shards");
        bucket->ranges = ranges;
        bucket->cap = cap;
    }
    bucket->ranges[bucket->count++] = range;
    return AF_OK;
}

/* Text that ends in a line with the hash of all before it (manifest.c). */
static bool has_right_check(struct af_slice text)
{
    enum { LINE = sizeof "check 0123456789abcdef\n" - 1 };
    char check[LINE + 1];
    if (text.len < LINE)
        return false;
    (void)snprintf(check, sizeof check, "check %016" PRIx64 "\n", af_hash_bytes(text.ptr, text.len - LINE, 0));
    return memcmp(check, text.ptr + text.len - LINE, LINE) == 0;
}

static enum af_status parse_manifest(struct fsck *fsck, struct fsck_bucket *bucket, struct af_slice text, struct af_error *err)
{
    if (!has_right_check(text)) {
        bucket->has_manifest = false;
        fsck_fault(fsck, "%s/shards: the list of shards is damaged; restore it from a backup, or delete it: the shards are found again "
                   "from their files, retention and shard length must be set again", bucket->dir);
        return AF_OK;
    }
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        const struct af_slice line = { text.ptr, end != NULL ? (size_t)(end - text.ptr) : text.len };
        text = af_slice_make(line.ptr + line.len + (end != NULL), text.len - line.len - (end != NULL));
        if (af_slice_has_prefix(line, "shard "))
            AF_TRY(add_range(fsck, bucket, line, err));
    }
    return AF_OK;
}

static enum af_status read_manifest(struct fsck *fsck, struct fsck_bucket *bucket, struct af_error *err)
{
    struct af_buf text;
    char *path = fsck_join(bucket->dir, "shards");
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    af_buf_init(&text, MANIFEST_BYTES_MAX);
    bucket->has_manifest = af_path_kind(path) != AF_PATH_NONE;
    enum af_status status = bucket->has_manifest ? af_file_read_all(path, &text, err) : AF_OK;
    if (status == AF_OK && bucket->has_manifest)
        status = parse_manifest(fsck, bucket, af_buf_slice(&text), err);
    af_buf_done(&text);
    af_free(path);
    return status;
}

/* --- buckets --------------------------------------------------------------------------------------------------------------------- */

static enum af_status open_index(struct fsck *fsck, struct fsck_bucket *bucket, const char *path, struct af_error *err)
{
    struct af_error why = { 0 };
    if (af_path_kind(path) == AF_PATH_NONE)
        return AF_OK;
    enum af_status status = af_index_open(path, &bucket->index, &why);
    if (status == AF_ECORRUPT)
        return fsck_remove(fsck, path, why.message, err);
    return status == AF_OK ? AF_OK : af_fail(err, status, "%s", why.message);
}

static enum af_status judge_index(struct fsck *fsck, const struct fsck_bucket *bucket, const char *path, struct af_error *err)
{
    char words[96];
    if (bucket->unknown_series == 0)
        return AF_OK;
    (void)snprintf(words, sizeof words, "%" PRIu64 " series that the TSM files have are not in it", bucket->unknown_series);
    return fsck_remove(fsck, path, words, err);
}

struct shard_dirs {
    struct fsck *fsck;
    struct fsck_bucket *bucket;
};

static enum af_status on_shard(void *ctx, const char *path, struct af_error *err)
{
    struct shard_dirs *dirs = ctx;
    return fsck_shard(dirs->fsck, dirs->bucket, path, err);
}

static enum af_status check_shards(struct fsck *fsck, struct fsck_bucket *bucket, struct af_error *err)
{
    struct shard_dirs dirs = { fsck, bucket };
    char *path = fsck_join(bucket->dir, "autogen");
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    enum af_status status = af_path_kind(path) == AF_PATH_DIR ? af_dir_dirs(path, on_shard, &dirs, err) : AF_OK;
    af_free(path);
    return status;
}

static enum af_status check_bucket(struct fsck *fsck, const char *dir, struct af_error *err)
{
    struct fsck_bucket bucket = { .dir = dir };
    char *index_path = fsck_join(dir, "series");
    if (index_path == NULL)
        return af_fail_nomem(err, "a path");
    enum af_status status = af_dir_list(dir, remove_temporary, fsck, err);
    if (status == AF_OK)
        status = read_manifest(fsck, &bucket, err);
    if (status == AF_OK)
        status = open_index(fsck, &bucket, index_path, err);
    if (status == AF_OK)
        status = check_shards(fsck, &bucket, err);
    if (status == AF_OK)
        status = judge_index(fsck, &bucket, index_path, err);
    if (bucket.index != NULL)
        af_index_close(bucket.index);
    af_free(bucket.ranges);
    af_free(index_path);
    return status;
}

static bool is_bucket_name(const char *name)
{
    return strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16;
}

static enum af_status on_bucket(void *ctx, const char *path, struct af_error *err)
{
    struct fsck *fsck = ctx;
    const char *name = fsck_base_name(path);
    if (strlen(name) > 8 && strcmp(name + strlen(name) - 8, ".dropped") == 0) {
        fsck_fault(fsck, "%s: left of a bucket that was deleted%s", path, fsck->repair ? "; removed" : "");
        return fsck->repair ? af_dir_remove(path, err) : AF_OK;
    }
    if (!is_bucket_name(name)) {
        fsck_fault(fsck, "%s: the name is not that of a bucket (16 hex digits); it is not read", path);
        return AF_OK;
    }
    return check_bucket(fsck, path, err);
}

static enum af_status check_all(struct fsck *fsck, const char *dir, struct af_error *err)
{
    AF_TRY(af_dir_list(dir, remove_temporary, fsck, err));
    AF_TRY(check_log(fsck, dir, err));
    char *data = fsck_join(dir, "engine/data");
    if (data == NULL)
        return af_fail_nomem(err, "a path");
    enum af_status status = af_path_kind(data) == AF_PATH_DIR ? af_dir_dirs(data, on_bucket, fsck, err) : AF_OK;
    af_free(data);
    return status;
}

enum af_status af_tsm_fsck(const char *dir, bool repair, void (*fault)(void *ctx, const char *words), void *ctx,
                           struct af_tsm_fsck *out, struct af_error *err)
{
    struct fsck fsck = { .repair = repair, .fault = fault, .ctx = ctx, .out = out };
    struct af_file *lock;
    *out = (struct af_tsm_fsck){ 0 };
    if (af_path_kind(dir) != AF_PATH_DIR)
        return af_fail(err, AF_ENOTFOUND, "%s is not a directory", dir);
    char *path = fsck_join(dir, "LOCK");
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    enum af_status status = af_file_lock(path, &lock, err);
    if (status == AF_OK) {
        status = check_all(&fsck, dir, err);
        af_file_close(lock);
    }
    af_free(path);
    return status;
}
