/*
 * house.c - a data directory opened whole: the engine and the catalogue; see server.h.
 *
 * The engine keeps points of buckets that are numbers to it; the catalogue says which numbers there are. At opening the catalogue wins: its
 * buckets are made known to the engine, and one that the catalogue dropped is dropped there too, if a crash came between the two halves. A
 * bucket that the catalogue never heard of stays: it may have lost its catalogue, and points are never dropped on a guess.
 */
#include "base/alloc.h"
#include "os/file.h"
#include "server/server.h"
#include <stdio.h>

/* What a process that was killed left of files it was replacing; nobody else is here, the lock is ours. */
static enum af_status remove_temporary(void *ctx, const char *path, struct af_error *err)
{
    (void)ctx;
    const char *name = strrchr(path, '/') + 1; /* only of our own two: the directory is the user's */
    bool is_ours = strncmp(name, "server.json.tmp-", 16) == 0 || strncmp(name, "operator-token.tmp-", 19) == 0;
    return is_ours ? af_path_remove(path, err) : AF_OK;
}

static enum af_status tell_engine(struct af_house *house, struct af_error *err)
{
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX / 2);
    struct af_meta_bucket *buckets = NULL;
    size_t count = 0;
    struct af_meta_filter all = { 0 };
    enum af_status status = af_meta_buckets(house->meta, &all, &arena, &buckets, &count, err);
    for (size_t i = 0; i < count && status == AF_OK; i++) {
        struct af_tsm_bucket bucket = { buckets[i].id, buckets[i].retention_ns, buckets[i].shard_ns };
        status = af_tsm_bucket_set(house->engine, &bucket, err);
    }
    af_arena_done(&arena);
    return status;
}

static enum af_status finish_drop(struct af_house *house, const struct af_tsm_options *options, uint64_t id, struct af_error *err)
{
    char id_text[AF_ID_TEXT_BYTES], words[128];
    bool is_there = af_tsm_bucket_has(house->engine, id, NULL);
    AF_TRY(af_tsm_bucket_drop(house->engine, id, err));
    AF_TRY(af_meta_dropped_done(house->meta, id, err));
    if (!is_there || options->say == NULL)
        return AF_OK;
    af_id_print(id, id_text);
    (void)snprintf(words, sizeof words, "bucket %s was dropped when the process ended: its points are dropped now", id_text);
    options->say(options->ctx, words);
    return AF_OK;
}

static enum af_status finish_drops(struct af_house *house, const struct af_tsm_options *options, struct af_error *err)
{
    struct af_arena arena;
    uint64_t *ids = NULL;
    size_t count = 0;
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = af_meta_dropped(house->meta, &arena, &ids, &count, err);
    for (size_t i = 0; i < count && status == AF_OK; i++)
        status = finish_drop(house, options, ids[i], err);
    af_arena_done(&arena);
    return status;
}

static enum af_status open_meta(struct af_house *house, struct af_error *err)
{
    struct af_buf path;
    af_buf_init(&path, SIZE_MAX / 2);
    af_buf_printf(&path, "%s/afluxo.sqlite", house->dir);
    enum af_status status = af_buf_check(&path, "a path", err);
    if (status == AF_OK)
        status = af_meta_open(af_buf_cstr(&path), &house->meta, err);
    af_buf_done(&path);
    return status;
}

enum af_status af_house_open(const struct af_house_options *options, struct af_house *out, struct af_error *err)
{
    *out = (struct af_house){ 0 };
    size_t len = strlen(options->engine.dir);
    out->dir = af_alloc(len + 1);
    if (out->dir == NULL)
        return af_fail_nomem(err, "a data directory");
    memcpy(out->dir, options->engine.dir, len + 1);
    enum af_status status = af_tsm_open(&options->engine, &out->engine, err); /* takes the lock: first */
    if (status == AF_OK)
        status = af_dir_list(out->dir, remove_temporary, NULL, err);
    if (status == AF_OK)
        status = open_meta(out, err);
    if (status == AF_OK)
        status = tell_engine(out, err);
    if (status == AF_OK)
        status = finish_drops(out, &options->engine, err);
    if (status != AF_OK)
        af_house_close(out);
    return status;
}

void af_house_close(struct af_house *house)
{
    if (house->engine != NULL)
        af_tsm_close(house->engine);
    if (house->meta != NULL)
        af_meta_close(house->meta);
    af_free(house->dir);
    *house = (struct af_house){ 0 };
}

/* --- a bucket for the command line ------------------------------------------------------------------------------------------- */

static enum af_status find_org(struct af_house *house, const char *name, struct af_arena *arena, struct af_meta_org *out,
                               struct af_error *err)
{
    if (name != NULL) {
        struct af_error why = { 0 };
        enum af_status status = af_meta_org_find(house->meta, name, arena, out, &why);
        if (status != AF_ENOTFOUND) {
            if (status != AF_OK && err != NULL)
                *err = why;
            return status;
        }
    } else {
        struct af_meta_org *orgs = NULL;
        size_t count = 0;
        struct af_meta_filter first = { .limit = 1 };
        AF_TRY(af_meta_orgs(house->meta, &first, arena, &orgs, &count, err));
        if (count != 0) {
            *out = orgs[0];
            return AF_OK;
        }
    }
    *out = (struct af_meta_org){ .name = name != NULL ? name : "afluxo", .description = "" };
    return af_meta_org_put(house->meta, out, true, err);
}

static enum af_status make_bucket(struct af_house *house, uint64_t org, const char *name, int64_t shard_ns, uint64_t *out_id,
                                  struct af_error *err)
{
    struct af_meta_bucket bucket = { .org = org, .name = name, .description = "",
                                     .shard_ns = shard_ns != 0 ? shard_ns : af_tsm_default_shard_ns(0) };
    AF_TRY(af_meta_bucket_put(house->meta, &bucket, true, err));
    *out_id = bucket.id;
    struct af_tsm_bucket settings = { bucket.id, bucket.retention_ns, bucket.shard_ns };
    return af_tsm_bucket_set(house->engine, &settings, err);
}

static enum af_status find_bucket(struct af_house *house, const char *org_name, const char *name, bool create, int64_t shard_ns,
                                  struct af_arena *arena, uint64_t *out_id, struct af_error *err)
{
    struct af_meta_org org;
    AF_TRY(find_org(house, org_name, arena, &org, err));
    struct af_meta_bucket bucket;
    struct af_error why = { 0 };
    enum af_status status = af_meta_bucket_find(house->meta, org.id, name, arena, &bucket, &why);
    if (status == AF_OK) {
        *out_id = bucket.id;
        return AF_OK;
    }
    if (status != AF_ENOTFOUND) {
        if (err != NULL)
            *err = why;
        return status;
    }
    if (!create)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no bucket \"%s\" in organisation \"%s\"; say --create to make it", house->dir, name,
                       org.name);
    return make_bucket(house, org.id, name, shard_ns, out_id, err);
}

enum af_status af_house_bucket(struct af_house *house, const char *org, const char *name, bool create, int64_t shard_ns, uint64_t *out_id,
                               struct af_error *err)
{
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = find_bucket(house, org, name, create, shard_ns, &arena, out_id, err);
    af_arena_done(&arena);
    return status;
}
