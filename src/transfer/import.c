/*
 * import.c - the data directory of a real InfluxDB, whose server is not running, into a house.
 *
 *     1.x   DIR/data/DB/RP/SHARD/G-S.tsm          DIR/wal/DB/RP/SHARD/_N.wal           DIR/meta/meta.db: retention, shards' times
 *     2.x   DIR[/engine]/data/BUCKET/autogen/SHARD/...   DIR[/engine]/wal/BUCKET/autogen/SHARD/...   (names are in influxd.bolt: not read)
 *
 * Order in a shard is InfluxDB's: files by generation and sequence, then the log, a later value wins.
 */
#include "os/tree.h"
#include "transfer/transfer_int.h"
#include <stdlib.h>

enum { META_BYTES_MAX = 256 << 20 };

struct import {
    const struct af_import_options *options;
    struct af_transfer_counts *counts;
    struct af_arena arena;
    const char *root;            /* has data/, perhaps wal/ and meta/ */
    struct af_portable catalogue; /* of 1.x; else empty */
    size_t found;                /* buckets that were wanted */
};

/* --- where things are ------------------------------------------------------------------------------------------------------- */

static bool has_dir(struct af_arena *arena, const char *dir, const char *name)
{
    const char *path = transfer_path(arena, dir, name);
    return path != NULL && af_path_kind(path) == AF_PATH_DIR;
}

static const char *find_root(struct af_arena *arena, const char *dir)
{
    const char *engine = transfer_path(arena, dir, "engine");
    if (engine != NULL && has_dir(arena, engine, "data"))
        return engine;
    return has_dir(arena, dir, "data") ? dir : NULL;
}

/* Ours has an engine/data, too, but a log and names of its own. */
static bool is_ours(struct af_arena *arena, const char *dir)
{
    const char *path = transfer_path(arena, dir, "afluxo.sqlite");
    return path != NULL && af_path_kind(path) == AF_PATH_FILE;
}

bool af_import_is(const char *dir)
{
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX / 2);
    bool is = af_path_kind(dir) == AF_PATH_DIR && find_root(&arena, dir) != NULL && !is_ours(&arena, dir);
    af_arena_done(&arena);
    return is;
}

static enum af_status read_catalogue(struct import *im, struct af_error *err)
{
    const char *path = transfer_path(&im->arena, im->root, "meta/meta.db");
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    if (af_path_kind(path) != AF_PATH_FILE)
        return AF_OK;
    struct af_buf bytes;
    af_buf_init(&bytes, META_BYTES_MAX);
    enum af_status status = af_file_read_all(path, &bytes, err);
    if (status == AF_OK)
        status = af_portable_v1_catalogue_parse(af_buf_slice(&bytes), true, &im->arena, &im->catalogue, err);
    if (status != AF_OK)
        af_error_prefix(err, "%s: ", path);
    af_buf_done(&bytes);
    return status;
}

static const struct af_portable_bucket *find_policy(const struct import *im, const char *database, const char *policy)
{
    for (size_t i = 0; i < im->catalogue.bucket_count; i++) {
        const struct af_portable_bucket *b = &im->catalogue.buckets[i];
        if (strcmp(b->database, database) == 0 && strcmp(b->policy, policy) == 0)
            return b;
    }
    return NULL;
}

/* --- shards ----------------------------------------------------------------------------------------------------------------- */

/* Numbers in their order: an older shard's points do not matter to a younger one's, but logs are read better so. */
static int by_number(const void *a, const void *b)
{
    const char *x = *(const char *const *)a;
    const char *y = *(const char *const *)b;
    size_t x_len = strlen(x), y_len = strlen(y);
    return x_len != y_len ? (x_len < y_len ? -1 : 1) : strcmp(x, y);
}

static enum af_status land_shard(struct import *im, struct transfer_land *land, const char *policy_path, const char *name,
                                 const struct af_portable_bucket *policy, struct af_error *err)
{
    int64_t start_ns = 0, end_ns = 0;
    for (size_t i = 0; policy != NULL && i < policy->shard_count; i++)
        if (policy->shards[i].id == strtoull(name, NULL, 10)) {
            start_ns = policy->shards[i].start_ns;
            end_ns = policy->shards[i].end_ns;
        }
    const char *data = af_arena_printf(&im->arena, "%s/data/%s/%s", im->root, policy_path, name);
    const char *wal = af_arena_printf(&im->arena, "%s/wal/%s/%s", im->root, policy_path, name);
    if (data == NULL || wal == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(transfer_go_on(&im->options->watch, err));
    if (af_path_kind(data) == AF_PATH_DIR)
        AF_TRY(transfer_land_dir(land, data, start_ns, end_ns, err));
    if (af_path_kind(wal) == AF_PATH_DIR)
        AF_TRY(transfer_land_wal(land, wal, err));
    im->counts->shards++;
    transfer_show(&im->options->watch, "importing", im->counts->bytes, 0);
    return AF_OK;
}

static bool is_number(const char *name)
{
    return name[0] != '\0' && strspn(name, "0123456789") == strlen(name);
}

static enum af_status land_policy(struct import *im, struct transfer_land *land, const char *policy_path,
                                  const struct af_portable_bucket *policy, struct af_error *err)
{
    const char **names = NULL;
    size_t count = 0;
    const char *path = af_arena_printf(&im->arena, "%s/data/%s", im->root, policy_path);
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(transfer_dirs(path, &im->arena, &names, &count, err));
    if (count > 1)
        qsort(names, count, sizeof *names, by_number);
    for (size_t i = 0; i < count; i++)
        if (is_number(names[i]))
            AF_TRY(land_shard(im, land, policy_path, names[i], policy, err));
    return AF_OK;
}

/* --- buckets ---------------------------------------------------------------------------------------------------------------- */

static enum af_status import_policy(struct import *im, const char *database, const char *policy_name, struct af_error *err)
{
    const struct af_portable_bucket *policy = find_policy(im, database, policy_name);
    const char *name = transfer_join_name(&im->arena, database, policy_name);
    const char *path = af_arena_printf(&im->arena, "%s/%s", database, policy_name);
    struct transfer_land land;
    uint64_t id;
    if (name == NULL || path == NULL)
        return af_fail_nomem(err, "a name");
    if (im->options->bucket != NULL ? strcmp(im->options->bucket, name) != 0 && strcmp(im->options->bucket, path) != 0
                                    : strcmp(database, "_internal") == 0)
        return AF_OK;
    im->found++;
    const struct transfer_bucket to = { .name = im->options->new_bucket != NULL ? im->options->new_bucket : name, .org = im->options->org,
                                        .retention_ns = policy != NULL ? policy->retention_ns : 0,
                                        .shard_ns = policy != NULL ? policy->shard_ns : 0 };
    AF_TRY(transfer_bucket(im->options->house, &to, &id, err));
    enum af_status status = transfer_land_begin(&land, im->options->house, id, &im->options->watch, im->counts, err);
    if (status == AF_OK)
        status = land_policy(im, &land, path, policy, err);
    transfer_land_end(&land);
    im->counts->buckets += status == AF_OK;
    return status;
}

static enum af_status import_database(struct import *im, const char *database, struct af_error *err)
{
    const char **names = NULL;
    size_t count = 0;
    const char *path = af_arena_printf(&im->arena, "%s/data/%s", im->root, database);
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(transfer_dirs(path, &im->arena, &names, &count, err));
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], "_series") != 0)
            AF_TRY(import_policy(im, database, names[i], err));
    return AF_OK;
}

static enum af_status run(struct import *im, struct af_error *err)
{
    const char **names = NULL;
    size_t count = 0;
    if (is_ours(&im->arena, im->options->dir))
        return af_fail(err, AF_EINVAL, "%s is a data directory of ours: afluxo backup, then restore", im->options->dir);
    im->root = find_root(&im->arena, im->options->dir);
    if (im->root == NULL)
        return af_fail(err, AF_ENOTFOUND, "%s is not the data directory of an InfluxDB: there is no data/ or engine/data/ in it",
                       im->options->dir);
    if (im->options->new_bucket != NULL && im->options->bucket == NULL)
        return af_fail(err, AF_EINVAL, "which bucket shall be called \"%s\"? Name the one that is there, too", im->options->new_bucket);
    AF_TRY(read_catalogue(im, err));
    const char *data = transfer_path(&im->arena, im->root, "data");
    if (data == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(transfer_dirs(data, &im->arena, &names, &count, err));
    for (size_t i = 0; i < count; i++)
        AF_TRY(import_database(im, names[i], err));
    if (im->found == 0 && im->options->bucket != NULL)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no \"%s\" in it", data, im->options->bucket);
    return af_tsm_flush(im->options->house->engine, err);
}

enum af_status af_import(const struct af_import_options *options, struct af_transfer_counts *out, struct af_error *err)
{
    struct import im = { .options = options, .counts = out };
    *out = (struct af_transfer_counts){ 0 };
    af_arena_init(&im.arena, SIZE_MAX / 2);
    enum af_status status = run(&im, err);
    af_arena_done(&im.arena);
    return status;
}
