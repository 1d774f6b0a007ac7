/*
 * backup.c - buckets of a house into a backup directory.
 *
 *     house/backup.tmp/BUCKET/SHARD/G-S.tsm      hard links, of one moment, tombstones applied (af_tsm_snapshot)
 *     DIR/TIME.sSHARD.tar.gz                     members DB/RP/SHARD/G-S.tsm: 1.x wants the four parts, 2.x looks at the last
 *     DIR/TIME.meta                              1.x's catalogue
 *     DIR/TIME.manifest                          written last; what 1.x and what 2.x look for, in one object, and sums of the archives
 *
 * Where the backup is elsewhere, each of them is handed on as soon as it is written, and removed here.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/numbers.h"
#include "os/clock.h"
#include "os/tree.h"
#include "transfer/transfer_int.h"
#include <inttypes.h>

struct backup {
    const struct af_backup_options *options;
    struct af_transfer_counts *counts;
    struct af_arena arena;
    const char *scratch;             /* house/backup.tmp */
    struct af_portable content;      /* as 2.x sees it */
    struct af_portable content_v1;   /* the same shards, other names */
    const char *manifest;            /* its path */
    uint64_t bytes_all;
    struct af_buf sums;              /* "ARCHIVE":"SHA-256",... */
};

/* --- what there is ---------------------------------------------------------------------------------------------------------- */

static void print_name(int64_t now_ns, char out[32])
{
    struct af_civil t;
    af_civil_from_ns(now_ns, &t);
    char *at = af_u64_print_padded(out, (uint64_t)t.year, 4);
    at = af_u64_print_padded(at, t.month, 2);
    at = af_u64_print_padded(at, t.day, 2);
    *at++ = 'T';
    at = af_u64_print_padded(at, t.hour, 2);
    at = af_u64_print_padded(at, t.minute, 2);
    at = af_u64_print_padded(at, t.second, 2);
    *at++ = 'Z';
    *at = '\0';
}

static const char *org_name(struct backup *b, uint64_t id)
{
    struct af_meta_org *orgs = NULL;
    size_t count = 0;
    struct af_meta_filter filter = { .id = id };
    if (af_meta_orgs(b->options->house->meta, &filter, &b->arena, &orgs, &count, NULL) != AF_OK || count == 0)
        return "";
    return orgs[0].name;
}

static enum af_status add_bucket(struct backup *b, const struct af_meta_bucket *bucket, struct af_error *err)
{
    struct af_portable_bucket *out = &b->content.buckets[b->content.bucket_count];
    struct af_tsm_shard_info *shards = NULL;
    size_t count = 0;
    *out = (struct af_portable_bucket){ .database = bucket->name, .policy = "autogen", .id = bucket->id, .org = bucket->org,
                                        .org_name = org_name(b, bucket->org), .description = bucket->description,
                                        .retention_ns = bucket->retention_ns, .shard_ns = bucket->shard_ns };
    b->content_v1.buckets[b->content.bucket_count] = *out;
    struct af_portable_bucket *v1 = &b->content_v1.buckets[b->content.bucket_count++];
    b->content_v1.bucket_count++;
    AF_TRY(transfer_split_name(bucket->name, &b->arena, &v1->database, &v1->policy, err));
    AF_TRY(af_tsm_shards(b->options->house->engine, bucket->id, &b->arena, &shards, &count, err));
    for (size_t i = 0; i < count; i++)
        b->bytes_all += shards[i].bytes;
    return AF_OK;
}

static enum af_status list_buckets(struct backup *b, struct af_error *err)
{
    const struct af_backup_options *o = b->options;
    struct af_meta_bucket *buckets = NULL;
    size_t count = 0;
    struct af_meta_filter filter = { .name = o->bucket };
    struct af_meta_org org;
    if (o->org != NULL) {
        AF_TRY(af_meta_org_find(o->house->meta, o->org, &b->arena, &org, err));
        filter.org = org.id;
    }
    AF_TRY(af_meta_buckets(o->house->meta, &filter, &b->arena, &buckets, &count, err));
    b->content.buckets = af_arena_zero(&b->arena, count + 1, sizeof *b->content.buckets);
    b->content_v1.buckets = af_arena_zero(&b->arena, count + 1, sizeof *b->content.buckets);
    if (b->content.buckets == NULL || b->content_v1.buckets == NULL)
        return af_fail_nomem(err, "a list of buckets");
    for (size_t i = 0; i < count; i++)
        if (!buckets[i].is_system || o->bucket != NULL)
            AF_TRY(add_bucket(b, &buckets[i], err));
    if (b->content.bucket_count == 0 && o->bucket != NULL)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no bucket \"%s\"", o->house->dir, o->bucket);
    return AF_OK;
}

/* --- shards ----------------------------------------------------------------------------------------------------------------- */

static const struct af_tsm_shard_info *find_shard(const struct af_tsm_shard_info *shards, size_t count, const char *name)
{
    uint64_t id;
    for (size_t i = 0; i < count; i++)
        if (af_u64_parse(af_slice_of(name), &id) && shards[i].id == id)
            return &shards[i];
    return NULL;
}

/* A file that is written goes where the backup is. */
static enum af_status hand_on(struct backup *b, const char *path, struct af_error *err)
{
    const struct af_backup_elsewhere *elsewhere = b->options->elsewhere;
    if (elsewhere == NULL)
        return AF_OK;
    AF_TRY(elsewhere->put(elsewhere->ctx, path, err));
    return af_path_remove(path, err);
}

static enum af_status keep_archive(struct backup *b, const char *path, const char *name, struct af_error *err)
{
    char sum[TRANSFER_SUM_TEXT];
    AF_TRY(transfer_sum(path, &b->options->watch, sum, err));
    af_buf_printf(&b->sums, "%s\"%s\":\"%s\"", b->sums.len != 0 ? "," : "", name, sum);
    AF_TRY(af_buf_check(&b->sums, "a manifest", err));
    return hand_on(b, path, err);
}

static enum af_status pack_shard(struct backup *b, size_t bucket, const struct af_tsm_shard_info *shard, const char *dir,
                                 struct af_error *err)
{
    struct af_portable_bucket *to = &b->content.buckets[bucket];
    const struct af_portable_bucket *v1 = &b->content_v1.buckets[bucket];
    const char *file = af_arena_printf(&b->arena, "%s.s%" PRIu64 ".tar.gz", b->counts->name, shard->id);
    const char *prefix = af_arena_printf(&b->arena, "%s/%s/%" PRIu64, v1->database, v1->policy, shard->id);
    const char *archive = file != NULL ? transfer_path(&b->arena, b->options->dir, file) : NULL;
    if (archive == NULL || prefix == NULL)
        return af_fail_nomem(err, "a path");
    struct af_portable_shard *out = &to->shards[to->shard_count++]; /* already now: a failure removes it */
    *out = (struct af_portable_shard){ .id = shard->id, .start_ns = shard->start_ns, .end_ns = shard->end_ns,
                                       .file_name = file, .is_gzip = true };
    struct transfer_pack pack = { .dir = dir, .prefix = prefix, .archive = archive, .watch = &b->options->watch,
                                  .bytes_before = b->counts->bytes, .bytes_all = b->bytes_all };
    AF_TRY(transfer_pack(&pack, err));
    out->file_bytes = pack.bytes_packed;
    b->counts->files += pack.files;
    b->counts->bytes += pack.bytes;
    b->counts->bytes_packed += pack.bytes_packed;
    b->counts->shards++;
    return keep_archive(b, archive, file, err);
}

static enum af_status pack_bucket(struct backup *b, size_t i, const char *dir, struct af_error *err)
{
    const char **names = NULL;
    struct af_tsm_shard_info *shards = NULL;
    size_t count = 0, shard_count = 0;
    AF_TRY(af_tsm_shards(b->options->house->engine, b->content.buckets[i].id, &b->arena, &shards, &shard_count, err));
    AF_TRY(transfer_dirs(dir, &b->arena, &names, &count, err));
    b->content.buckets[i].shards = af_arena_zero(&b->arena, count + 1, sizeof(struct af_portable_shard));
    if (b->content.buckets[i].shards == NULL)
        return af_fail_nomem(err, "a list of shards");
    for (size_t k = 0; k < shard_count; k++) /* in order of time */
        for (size_t n = 0; n < count; n++)
            if (find_shard(&shards[k], 1, names[n]) != NULL) {
                const char *shard_dir = transfer_path(&b->arena, dir, names[n]);
                if (shard_dir == NULL)
                    return af_fail_nomem(err, "a path");
                AF_TRY(pack_shard(b, i, &shards[k], shard_dir, err));
            }
    return AF_OK;
}

static enum af_status back_up_bucket(struct backup *b, size_t i, struct af_error *err)
{
    struct af_portable_bucket *bucket = &b->content.buckets[i];
    const char *dir = af_arena_printf(&b->arena, "%s/%016" PRIx64, b->scratch, bucket->id);
    if (dir == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(transfer_go_on(&b->options->watch, err));
    AF_TRY(af_tsm_snapshot(b->options->house->engine, bucket->id, dir, err));
    AF_TRY(pack_bucket(b, i, dir, err));
    b->content_v1.buckets[i].shards = bucket->shards;
    b->content_v1.buckets[i].shard_count = bucket->shard_count;
    b->counts->buckets++;
    return af_dir_remove(dir, err);
}

/* --- the manifest ----------------------------------------------------------------------------------------------------------- */

static const char *file_path(struct backup *b, const char *ending)
{
    return af_arena_printf(&b->arena, "%s/%s.%s", b->options->dir, b->counts->name, ending);
}

/* {...} and {...} become one object. */
static void join(struct af_buf *out, const struct af_buf *more)
{
    if (out->len == 0) {
        af_buf_append_slice(out, af_buf_slice(more));
    } else if (more->len > 1) {
        out->len--;
        af_buf_append_char(out, ',');
        af_buf_append(out, more->ptr + 1, more->len - 1);
    }
    out->failed = out->failed || more->failed;
}

static enum af_status print_manifest(struct backup *b, unsigned forms, struct af_buf *manifest, struct af_buf *more, struct af_buf *meta,
                                     struct af_error *err)
{
    const char *meta_path = file_path(b, "meta");
    if (meta_path == NULL)
        return af_fail_nomem(err, "a path");
    if ((forms & AF_BACKUP_V2) != 0)
        AF_TRY(af_portable_v2_print(&b->content, manifest, err));
    if ((forms & AF_BACKUP_V1) != 0) {
        AF_TRY(af_portable_v1_print(&b->content_v1, transfer_base_name(meta_path), more, meta, err));
        AF_TRY(af_file_write_atomic(meta_path, af_buf_slice(meta), false, err));
        AF_TRY(hand_on(b, meta_path, err));
        join(manifest, more);
    }
    af_buf_clear(more);
    af_buf_printf(more, "{\"sha256\":{");
    af_buf_append_slice(more, af_buf_slice(&b->sums));
    af_buf_append_str(more, "}}");
    join(manifest, more);
    AF_TRY(af_buf_check(manifest, "a manifest", err));
    AF_TRY(af_dir_sync(b->options->dir, err));
    AF_TRY(af_file_write_atomic(b->manifest, af_buf_slice(manifest), false, err));
    return hand_on(b, b->manifest, err);
}

static enum af_status write_manifest(struct backup *b, struct af_error *err)
{
    struct af_buf manifest, more, meta;
    af_buf_init(&manifest, 256 << 20);
    af_buf_init(&more, 256 << 20);
    af_buf_init(&meta, 256 << 20);
    unsigned forms = b->options->forms != 0 ? b->options->forms : AF_BACKUP_V1 | AF_BACKUP_V2;
    enum af_status status = print_manifest(b, forms, &manifest, &more, &meta, err);
    af_buf_done(&manifest);
    af_buf_done(&more);
    af_buf_done(&meta);
    return status;
}

/* What a failed backup leaves is no backup, only bytes: away with it. The manifest first: it may be there although its writing failed at
 * the very end, and must not be without its archives. */
static void take_back(struct backup *b)
{
    if (af_path_remove(b->manifest, NULL) != AF_OK)
        return;
    for (size_t i = 0; i < b->content.bucket_count; i++)
        for (size_t k = 0; k < b->content.buckets[i].shard_count; k++) {
            const char *path = transfer_path(&b->arena, b->options->dir, b->content.buckets[i].shards[k].file_name);
            if (path != NULL)
                (void)!af_path_remove(path, NULL);
        }
    const char *meta = file_path(b, "meta");
    if (meta != NULL)
        (void)!af_path_remove(meta, NULL);
}

static enum af_status run(struct backup *b, struct af_error *err)
{
    print_name(af_clock_now_ns(), b->counts->name);
    b->scratch = transfer_path(&b->arena, b->options->house->dir, "backup.tmp");
    b->manifest = file_path(b, "manifest");
    if (b->scratch == NULL || b->manifest == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(af_dir_make(b->options->dir, err));
    if (af_path_kind(b->manifest) != AF_PATH_NONE)
        return af_fail(err, AF_ECONFLICT, "%s is there already", b->manifest);
    if (b->options->elsewhere != NULL)
        AF_TRY(b->options->elsewhere->begin(b->options->elsewhere->ctx, b->counts->name, err));
    AF_TRY(af_dir_remove(b->scratch, err));
    AF_TRY(list_buckets(b, err));
    enum af_status status = AF_OK;
    for (size_t i = 0; i < b->content.bucket_count && status == AF_OK; i++)
        status = back_up_bucket(b, i, err);
    if (status == AF_OK)
        status = write_manifest(b, err);
    if (status != AF_OK)
        take_back(b);
    (void)!af_dir_remove(b->scratch, NULL);
    return status;
}

enum af_status af_backup(const struct af_backup_options *options, struct af_transfer_counts *out, struct af_error *err)
{
    struct backup b = { .options = options, .counts = out };
    *out = (struct af_transfer_counts){ 0 };
    af_arena_init(&b.arena, SIZE_MAX / 2);
    af_buf_init(&b.sums, 256 << 20);
    enum af_status status = run(&b, err);
    af_buf_done(&b.sums);
    af_arena_done(&b.arena);
    return status;
}
