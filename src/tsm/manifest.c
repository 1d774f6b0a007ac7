/*
 * manifest.c - which shard covers which time, on disk, and loading all of it when the engine opens.
 *
 * DIR/engine/data/<bucket>/shards is text, replaced as a whole:
 *
 *     afluxo shards 1
 *     settings RETENTION_NS SHARD_NS
 *     shard ID START_NS END_NS             one line a shard, by start; [start, end)
 *     check XXH3                           of all bytes before this line, 16 hex digits
 *
 * It is written before the first TSM file of a new shard and after a dropped shard's directory has gone. A directory that is on its
 * way out is renamed to *.dropped first: what a crash leaves of it is removed at the next start. Without a manifest the shards are found
 * from their TSM files (times of the points; retention for ever), so deleting a damaged one loses settings only.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/numbers.h"
#include "os/clock.h"
#include "os/tree.h"
#include "tsm/core_int.h"
#include <inttypes.h>
#include <stdio.h>

enum { MANIFEST_BYTES_MAX = 64 << 20 };
static const char first_line[] = "afluxo shards 1\n";

/* --- writing --------------------------------------------------------------------------------------------------------------- */

static void print(struct af_buf *out, const struct af_bucket *bucket)
{
    af_buf_append_str(out, first_line);
    af_buf_printf(out, "settings %" PRId64 " %" PRId64 "\n", bucket->settings.retention_ns, bucket->settings.shard_ns);
    for (size_t i = 0; i < bucket->shard_count; i++)
        af_buf_printf(out, "shard %" PRIu64 " %" PRId64 " %" PRId64 "\n", bucket->shards[i]->id, bucket->shards[i]->start_ns,
                      bucket->shards[i]->end_ns);
    if (!out->failed)
        af_buf_printf(out, "check %016" PRIx64 "\n", af_hash_bytes(out->ptr, out->len, 0));
}

static enum af_status save(const struct af_bucket *bucket, struct af_slice text, struct af_error *err)
{
    char *path = core_printf("%s/shards", bucket->dir);
    if (path == NULL)
        return af_fail_nomem(err, "a list of shards");
    enum af_status status = af_file_write_atomic(path, text, false, err);
    af_free(path);
    return status;
}

enum af_status core_manifest_save_locked(struct af_tsm *engine, struct af_bucket *bucket, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, MANIFEST_BYTES_MAX);
    af_mutex_lock(&engine->lock);
    bool is_due = bucket->is_changed && !bucket->is_dropped;
    if (is_due)
        print(&text, bucket);
    enum af_status status = af_buf_check(&text, "a list of shards", err);
    if (status == AF_OK)
        bucket->is_changed = false;
    af_mutex_unlock(&engine->lock);
    if (is_due && status == AF_OK) {
        status = save(bucket, af_buf_slice(&text), err);
        if (status != AF_OK) {
            af_mutex_lock(&engine->lock);
            bucket->is_changed = true;
            af_mutex_unlock(&engine->lock);
        }
    }
    af_buf_done(&text);
    return status;
}

enum af_status core_manifest_save(struct af_tsm *engine, struct af_bucket *bucket, struct af_error *err)
{
    af_mutex_lock(&engine->catalog);
    enum af_status status = core_manifest_save_locked(engine, bucket, err);
    af_mutex_unlock(&engine->catalog);
    return status;
}

/* --- reading --------------------------------------------------------------------------------------------------------------- */

struct load {
    struct af_tsm *engine;
    struct af_bucket *bucket;
    bool must_index;     /* the series index is to be rebuilt from the files */
    bool has_manifest;
    struct af_arena arena; /* of one key */
};

static enum af_status corrupt(const struct load *load, const char *what, struct af_error *err)
{
    return af_fail(err, AF_ECORRUPT,
                   "%s/shards: %s; restore it from a backup, or delete it: the shards are then found again from their TSM files, and "
                   "retention and shard length must be set again", load->bucket->dir, what);
}

static bool next_word(struct af_slice *rest, struct af_slice *out)
{
    size_t i = 0;
    while (i < rest->len && rest->ptr[i] != ' ')
        i++;
    *out = (struct af_slice){ rest->ptr, i };
    size_t skip = i < rest->len ? i + 1 : i;
    *rest = (struct af_slice){ rest->ptr + skip, rest->len - skip };
    return out->len > 0;
}

static bool next_number(struct af_slice *rest, int64_t *out)
{
    struct af_slice word;
    return next_word(rest, &word) && af_i64_parse(word, out);
}

/* The type of a key, unless all of it is deleted: its field may have another type by now. */
static enum af_status learn_type(struct load *load, struct af_shard *shard, const struct af_tsm_part *part,
                                 const struct af_tsm_entry *entry, struct af_slice series, struct af_slice field, struct af_error *err)
{
    enum af_type has;
    bool has_rows;
    AF_TRY(af_merge_has_rows(part, entry, &load->arena, &has_rows, err));
    return has_rows ? af_types_claim(shard->types, af_key_measurement_raw(series), field, entry->type, &has, err) : AF_OK;
}

/* A TSM file's keys into whatever is to be rebuilt. */
static enum af_status learn_keys(struct load *load, struct af_shard *shard, bool must_type, const struct af_tsm_part *part,
                                 struct af_tsm_cursor *cursor, struct af_error *err)
{
    for (;;) {
        struct af_tsm_entry entry;
        struct af_slice series;
        struct af_slice field;
        uint32_t id;
        AF_TRY(af_tsm_cursor_next(cursor, &entry, err));
        if (entry.key.ptr == NULL)
            return AF_OK;
        if (!af_tsm_key_split(entry.key, &series, &field))
            continue;
        if (must_type)
            AF_TRY(learn_type(load, shard, part, &entry, series, field, err));
        if (load->must_index)
            AF_TRY(af_index_add(load->bucket->index, series, &id, err));
    }
}

static enum af_status learn(struct load *load, struct af_shard *shard, bool must_type, struct af_error *err)
{
    for (size_t i = 0; i < shard->files->count && (must_type || load->must_index); i++) {
        struct af_tsm_cursor *cursor;
        AF_TRY(af_tsm_cursor_open(shard->files->parts[i]->file, (struct af_slice){ "", 0 }, &cursor, err));
        enum af_status status = learn_keys(load, shard, must_type, shard->files->parts[i], cursor, err);
        af_tsm_cursor_close(cursor);
        AF_TRY(status);
    }
    return AF_OK;
}

/* The types that are on disk; *out_must_type: there are none to be trusted. */
static enum af_status load_types(struct load *load, struct af_shard *shard, bool *out_must_type, struct af_error *err)
{
    struct af_error why = { 0 };
    struct af_types *types = NULL;
    char *path = core_printf("%s/fields", shard->dir);
    if (path == NULL)
        return af_fail_nomem(err, "a shard");
    enum af_status status = af_types_open(path, &types, &why);
    af_free(path);
    *out_must_type = status == AF_ENOTFOUND || status == AF_ECORRUPT;
    if (status == AF_ECORRUPT)
        af_tsm_say(load->engine, "types of fields are taken from the TSM files again: %s", why.message);
    if (*out_must_type)
        return AF_OK;
    if (status != AF_OK)
        return af_fail(err, status, "%s", why.message);
    af_types_close(shard->types);
    shard->types = types;
    return AF_OK;
}

static enum af_status load_files(struct load *load, struct af_shard *shard, struct af_error *err)
{
    bool must_type;
    struct af_files *files;
    if (af_path_kind(shard->dir) != AF_PATH_DIR)
        return AF_OK;
    AF_TRY(af_files_open(shard->dir, load->engine->options.say, load->engine->options.ctx, &files, &shard->is_damaged, err));
    af_files_unref(shard->files);
    shard->files = files;
    if (files->generation_max >= shard->next_generation)
        shard->next_generation = files->generation_max + 1;
    shard->changed_mono_ns = af_clock_mono_ns();
    AF_TRY(load_types(load, shard, &must_type, err));
    return learn(load, shard, must_type, err);
}

static enum af_status add_shard(struct load *load, struct af_shard *shard, struct af_error *err)
{
    af_mutex_lock(&load->engine->lock);
    enum af_status status = AF_OK;
    if (core_shard_by_id_locked(load->engine, shard->id) != NULL)
        status = corrupt(load, "a number of a shard is there twice", err);
    for (size_t i = 0; i < load->bucket->shard_count && status == AF_OK; i++)
        if (shard->start_ns < load->bucket->shards[i]->end_ns && load->bucket->shards[i]->start_ns < shard->end_ns)
            status = corrupt(load, "two shards overlap in time", err);
    if (status == AF_OK)
        status = core_shard_add_locked(load->engine, shard, err);
    af_mutex_unlock(&load->engine->lock);
    return status;
}

static enum af_status parse_shard(struct load *load, struct af_slice words, struct af_error *err)
{
    int64_t id;
    int64_t start;
    int64_t end;
    struct af_shard *shard;
    if (!next_number(&words, &id) || !next_number(&words, &start) || !next_number(&words, &end) || id < 0 || start >= end)
        return corrupt(load, "a line of a shard is not one", err);
    AF_TRY(core_shard_new(load->bucket, (uint64_t)id, start, end, &shard, err));
    enum af_status status = load_files(load, shard, err);
    if (status == AF_OK)
        status = add_shard(load, shard, err);
    af_shard_unref(shard);
    return status;
}

/* The lines between the first and the check, of which the caller has made sure. */
static enum af_status parse_lines(struct load *load, struct af_slice text, struct af_error *err)
{
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct af_slice line = { text.ptr, end != NULL ? (size_t)(end - text.ptr) : text.len };
        struct af_slice word;
        text = (struct af_slice){ line.ptr + line.len + 1, text.len - line.len - (end != NULL) };
        bool has_word = next_word(&line, &word);
        if (has_word && af_slice_is(word, "shard")) {
            AF_TRY(parse_shard(load, line, err));
        } else if (!has_word || !af_slice_is(word, "settings") || !next_number(&line, &load->bucket->settings.retention_ns) ||
                   !next_number(&line, &load->bucket->settings.shard_ns)) {
            return corrupt(load, "a line is not understood", err);
        }
    }
    return AF_OK;
}

static enum af_status parse(struct load *load, struct af_slice text, struct af_error *err)
{
    enum { CHECK_BYTES = 6 + 16 + 1 };
    char check[CHECK_BYTES + 1];
    size_t head = sizeof first_line - 1;
    if (text.len < head + CHECK_BYTES || memcmp(text.ptr, first_line, head) != 0)
        return corrupt(load, "it does not begin as a list of shards", err);
    struct af_slice body = { text.ptr, text.len - CHECK_BYTES };
    (void)snprintf(check, sizeof check, "check %016" PRIx64 "\n", af_hash_bytes(body.ptr, body.len, 0));
    if (memcmp(check, body.ptr + body.len, CHECK_BYTES) != 0)
        return corrupt(load, "its check sum is wrong", err);
    return parse_lines(load, (struct af_slice){ body.ptr + head, body.len - head }, err);
}

static enum af_status read_manifest(struct load *load, struct af_error *err)
{
    struct af_buf text;
    char *path = core_printf("%s/shards", load->bucket->dir);
    if (path == NULL)
        return af_fail_nomem(err, "a list of shards");
    af_buf_init(&text, MANIFEST_BYTES_MAX);
    load->has_manifest = af_path_kind(path) != AF_PATH_NONE;
    enum af_status status = load->has_manifest ? af_file_read_all(path, &text, err) : AF_OK;
    af_free(path);
    if (load->has_manifest && status == AF_OK)
        status = parse(load, af_buf_slice(&text), err);
    af_buf_done(&text);
    return status;
}

/* --- directories that no manifest names ------------------------------------------------------------------------------------ */

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path);
    size_t m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* A shard whose manifest is lost: it covers what its points cover. */
static bool find_range(struct af_shard *shard)
{
    shard->start_ns = INT64_MAX;
    shard->end_ns = INT64_MIN;
    for (size_t i = 0; i < shard->files->count; i++) {
        struct af_tsm_file_info info;
        af_tsm_file_info(shard->files->parts[i]->file, &info);
        if (info.min_ns < shard->start_ns)
            shard->start_ns = info.min_ns;
        if (info.max_ns >= shard->end_ns)
            shard->end_ns = info.max_ns < INT64_MAX ? info.max_ns + 1 : INT64_MAX;
    }
    return shard->files->count > 0;
}

static enum af_status adopt(struct load *load, uint64_t id, struct af_error *err)
{
    struct af_shard *shard;
    AF_TRY(core_shard_new(load->bucket, id, 0, 1, &shard, err));
    enum af_status status = load_files(load, shard, err);
    if (status == AF_OK && find_range(shard)) {
        af_tsm_say(load->engine, "%s is not in the list of shards, which is lost: taken for the times of its points", shard->dir);
        status = add_shard(load, shard, err);
        load->bucket->is_changed = true;
    }
    af_shard_unref(shard);
    return status;
}

static enum af_status on_shard_dir(void *ctx, const char *path, struct af_error *err)
{
    struct load *load = ctx;
    uint64_t id;
    if (ends_with(path, ".dropped"))
        return af_dir_remove(path, err);
    if (!af_u64_parse(af_slice_of(base_name(path)), &id) || id > INT64_MAX)
        return AF_OK;
    af_mutex_lock(&load->engine->lock);
    bool is_known = core_shard_by_id_locked(load->engine, id) != NULL;
    if (load->engine->at.next_shard <= id)
        load->engine->at.next_shard = id + 1;
    af_mutex_unlock(&load->engine->lock);
    if (is_known)
        return AF_OK;
    if (!load->has_manifest)
        return adopt(load, id, err);
    af_tsm_say(load->engine, "%s is not in the bucket's list of shards and is left alone", path);
    return AF_OK;
}

static enum af_status look_around(struct load *load, struct af_error *err)
{
    char *path = core_printf("%s/autogen", load->bucket->dir);
    if (path == NULL)
        return af_fail_nomem(err, "a bucket");
    enum af_status status = AF_OK;
    if (af_path_kind(path) == AF_PATH_DIR)
        status = af_dir_dirs(path, on_shard_dir, load, err);
    af_free(path);
    return status;
}

/* --- buckets --------------------------------------------------------------------------------------------------------------- */

/* The bucket with its series index; an index that is missing or damaged starts empty and is filled from the files. */
static enum af_status open_bucket(struct load *load, uint64_t id, const char *dir, struct af_error *err)
{
    struct af_error why = { 0 };
    struct af_tsm_bucket settings = { .id = id };
    char *path = core_printf("%s/series", dir);
    if (path == NULL)
        return af_fail_nomem(err, "a bucket");
    load->must_index = af_path_kind(path) == AF_PATH_NONE;
    enum af_status status = core_bucket_new(load->engine->data_dir, &settings, &load->bucket, &why);
    if (status == AF_ECORRUPT) {
        af_tsm_say(load->engine, "the series index is built from the TSM files again: %s", why.message);
        load->must_index = true;
        status = af_path_remove(path, &why);
        if (status == AF_OK)
            status = core_bucket_new(load->engine->data_dir, &settings, &load->bucket, &why);
    }
    af_free(path);
    if (status != AF_OK)
        return af_fail(err, status, "%s", why.message);
    load->must_index = load->must_index || af_index_is_torn(load->bucket->index);
    return AF_OK;
}

static enum af_status load_bucket(struct af_tsm *engine, uint64_t id, const char *dir, struct af_error *err)
{
    struct load load = { .engine = engine };
    AF_TRY(open_bucket(&load, id, dir, err));
    af_mutex_lock(&engine->lock);
    enum af_status status = core_bucket_add_locked(engine, load.bucket, err);
    af_mutex_unlock(&engine->lock);
    if (status != AF_OK) {
        af_bucket_unref(load.bucket);
        return status;
    }
    af_arena_init(&load.arena, SIZE_MAX);
    status = read_manifest(&load, err);
    if (status == AF_OK)
        status = look_around(&load, err);
    af_arena_done(&load.arena);
    AF_TRY(status);
    if (!load.has_manifest)
        load.bucket->is_changed = true;
    return AF_OK;
}

static bool bucket_id(const char *name, uint64_t *out)
{
    uint64_t id = 0;
    size_t i = 0;
    for (; i < 16; i++) {
        char c = name[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        id = id << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out = id;
    return name[i] == '\0';
}

static enum af_status on_bucket_dir(void *ctx, const char *path, struct af_error *err)
{
    struct af_tsm *engine = ctx;
    uint64_t id;
    if (ends_with(path, ".dropped"))
        return af_dir_remove(path, err);
    if (bucket_id(base_name(path), &id))
        return load_bucket(engine, id, path, err);
    af_tsm_say(engine, "%s is no bucket and is left alone", path);
    return AF_OK;
}

enum af_status core_load(struct af_tsm *engine, struct af_error *err)
{
    return af_dir_dirs(engine->data_dir, on_bucket_dir, engine, err);
}
