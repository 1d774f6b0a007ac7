/*
 * restore.c - a backup directory into a house.
 *
 *     archives --unpack--> house/restore.tmp/BUCKET/SHARD/ --check every block--> and only then: buckets made, files linked in
 */
#include "os/tree.h"
#include "transfer/transfer_int.h"

struct restore {
    const struct af_restore_options *options;
    struct af_transfer_counts *counts;
    struct af_arena arena;
    struct transfer_backup backup;
    const char *scratch;
    uint64_t bytes_done, bytes_all;
};

static bool is_wanted(const struct restore *r, const struct af_portable_bucket *bucket)
{
    return r->options->bucket == NULL ? bucket->database[0] != '_' : strcmp(bucket->database, r->options->bucket) == 0;
}

static const char *shard_dir(struct restore *r, size_t bucket, size_t shard)
{
    return af_arena_printf(&r->arena, "%s/%zu/%zu", r->scratch, bucket, shard);
}

/* --- before anything changes ------------------------------------------------------------------------------------------------ */

static enum af_status check_dir(struct restore *r, const char *dir, struct af_error *err)
{
    struct transfer_file *files = NULL;
    size_t count = 0;
    AF_TRY(transfer_files(dir, &r->arena, &files, &count, err));
    for (size_t i = 0; i < count; i++) {
        struct af_tsm_check check;
        AF_TRY(transfer_go_on(&r->options->watch, err));
        AF_TRY(transfer_check(files[i].path, 0, 0, &check, err));
    }
    return AF_OK;
}

static enum af_status unpack_shard(struct restore *r, const struct af_portable_shard *shard, const char *dir, struct af_error *err)
{
    const char *archive = transfer_path(&r->arena, r->options->dir, transfer_base_name(shard->file_name));
    if (archive == NULL)
        return af_fail_nomem(err, "a path");
    const struct af_backup_elsewhere *elsewhere = r->options->elsewhere;
    if (elsewhere != NULL)
        AF_TRY(elsewhere->get(elsewhere->ctx, archive, shard->file_bytes, err));
    transfer_show(&r->options->watch, "unpacking and checking", r->bytes_done, r->bytes_all);
    AF_TRY(transfer_sum_check(&r->backup, archive, &r->options->watch, err));
    AF_TRY(transfer_unpack(archive, shard->is_gzip, dir, &r->options->watch, err));
    if (elsewhere != NULL)
        AF_TRY(af_path_remove(archive, err));
    r->counts->bytes_packed += shard->file_bytes;
    r->bytes_done += shard->file_bytes;
    return check_dir(r, dir, err);
}

static enum af_status unpack_bucket(struct restore *r, size_t i, struct af_error *err)
{
    const struct af_portable_bucket *bucket = &r->backup.content.buckets[i];
    for (size_t k = 0; k < bucket->shard_count; k++) {
        if (bucket->shards[k].file_name == NULL || bucket->shards[k].file_name[0] == '\0')
            continue; /* an empty shard has no archive */
        const char *dir = shard_dir(r, i, k);
        if (dir == NULL)
            return af_fail_nomem(err, "a path");
        AF_TRY(unpack_shard(r, &bucket->shards[k], dir, err));
    }
    return AF_OK;
}

/* --- into the house --------------------------------------------------------------------------------------------------------- */

/* The bucket's own organisation, where there is one of that name here. */
static const char *choose_org(struct restore *r, const struct af_portable_bucket *bucket)
{
    struct af_meta_org org;
    if (r->options->org != NULL)
        return r->options->org;
    if (bucket->org_name == NULL || bucket->org_name[0] == '\0')
        return NULL;
    bool is_here = af_meta_org_find(r->options->house->meta, bucket->org_name, &r->arena, &org, NULL) == AF_OK;
    struct af_meta_org *any = NULL;
    size_t count = 0;
    struct af_meta_filter first = { .limit = 1 };
    bool is_empty = af_meta_orgs(r->options->house->meta, &first, &r->arena, &any, &count, NULL) == AF_OK && count == 0;
    return is_here || is_empty ? bucket->org_name : NULL;
}

static enum af_status land_shards(struct restore *r, size_t i, struct transfer_land *land, struct af_error *err)
{
    const struct af_portable_bucket *bucket = &r->backup.content.buckets[i];
    for (size_t k = 0; k < bucket->shard_count; k++) {
        const struct af_portable_shard *shard = &bucket->shards[k];
        const char *dir = shard_dir(r, i, k);
        if (dir == NULL)
            return af_fail_nomem(err, "a path");
        if (af_path_kind(dir) != AF_PATH_DIR)
            continue;
        AF_TRY(transfer_go_on(&r->options->watch, err));
        AF_TRY(transfer_land_dir(land, dir, shard->start_ns, shard->end_ns, err));
        r->counts->shards++;
    }
    return AF_OK;
}

static enum af_status restore_bucket(struct restore *r, size_t i, struct af_error *err)
{
    const struct af_portable_bucket *from = &r->backup.content.buckets[i];
    const struct transfer_bucket to = { .name = r->options->new_bucket != NULL ? r->options->new_bucket : from->database,
                                        .org = choose_org(r, from), .description = from->description, .retention_ns = from->retention_ns,
                                        .shard_ns = from->shard_ns };
    struct transfer_land land;
    uint64_t id;
    AF_TRY(transfer_bucket(r->options->house, &to, &id, err));
    enum af_status status = transfer_land_begin(&land, r->options->house, id, &r->options->watch, r->counts, err);
    if (status == AF_OK)
        status = land_shards(r, i, &land, err);
    transfer_land_end(&land);
    r->counts->buckets += status == AF_OK;
    return status;
}

/* --- both ------------------------------------------------------------------------------------------------------------------- */

static enum af_status choose(struct restore *r, size_t *out_count, struct af_error *err)
{
    *out_count = 0;
    if (r->options->new_bucket != NULL && r->options->bucket == NULL)
        return af_fail(err, AF_EINVAL, "which bucket shall be called \"%s\"? Name the one in the backup, too", r->options->new_bucket);
    for (size_t i = 0; i < r->backup.content.bucket_count; i++) {
        const struct af_portable_bucket *bucket = &r->backup.content.buckets[i];
        if (!is_wanted(r, bucket))
            continue;
        ++*out_count;
        for (size_t k = 0; k < bucket->shard_count; k++)
            r->bytes_all += bucket->shards[k].file_bytes;
    }
    if (*out_count == 0 && r->options->bucket != NULL)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no bucket \"%s\" in the backup", r->options->dir, r->options->bucket);
    return AF_OK;
}

static enum af_status run(struct restore *r, struct af_error *err)
{
    size_t count;
    AF_TRY(transfer_manifest_read(r->options->dir, &r->arena, &r->backup, err));
    AF_TRY(choose(r, &count, err));
    r->scratch = transfer_path(&r->arena, r->options->house->dir, "restore.tmp");
    if (r->scratch == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(af_dir_remove(r->scratch, err));
    enum af_status status = AF_OK;
    for (size_t i = 0; i < r->backup.content.bucket_count && status == AF_OK; i++)
        if (is_wanted(r, &r->backup.content.buckets[i]))
            status = unpack_bucket(r, i, err);
    for (size_t i = 0; i < r->backup.content.bucket_count && status == AF_OK; i++)
        if (is_wanted(r, &r->backup.content.buckets[i]))
            status = restore_bucket(r, i, err);
    if (status == AF_OK)
        status = af_tsm_flush(r->options->house->engine, err);
    (void)!af_dir_remove(r->scratch, NULL);
    return status;
}

enum af_status af_restore(const struct af_restore_options *options, struct af_transfer_counts *out, struct af_error *err)
{
    struct restore r = { .options = options, .counts = out };
    *out = (struct af_transfer_counts){ 0 };
    af_arena_init(&r.arena, SIZE_MAX / 2);
    enum af_status status = run(&r, err);
    af_arena_done(&r.arena);
    return status;
}
