/*
 * house_store.c - a bucket of a data directory behind the seam, for commands that work on a directory; see server.h.
 *
 * The bucket is looked for at every call until it is there: `create` or the first write make it.
 */
#include "base/alloc.h"
#include "os/thread.h"
#include "server/server.h"
#include "store/listing.h"

struct house_store {
    struct af_store base;
    struct af_house house;
    char *org, *bucket;
    int64_t shard_ns;
    struct af_mutex lock;       /* around making `inner` */
    struct af_store *inner;     /* the engine's store of the bucket; NULL: not known to be there */
};

static enum af_status find_inner(struct house_store *s, bool create, struct af_store **out, struct af_error *err)
{
    af_mutex_lock(&s->lock);
    enum af_status status = AF_OK;
    if (s->inner == NULL) {
        uint64_t id = 0;
        status = af_house_bucket(&s->house, s->org, s->bucket, create, s->shard_ns, &id, err);
        if (status == AF_OK)
            status = af_tsm_store_open(s->house.engine, id, s->bucket, true, &s->inner, err);
    }
    *out = s->inner;
    af_mutex_unlock(&s->lock);
    return status;
}

static enum af_status house_write(struct af_store *store, const struct af_write *write, struct af_write_answer *out, struct af_error *err)
{
    struct af_store *inner;
    AF_TRY(find_inner((struct house_store *)store, true, &inner, err));
    return af_store_write(inner, write, out, err);
}

static enum af_status house_scan(struct af_store *store, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    struct af_store *inner;
    AF_TRY(find_inner((struct house_store *)store, false, &inner, err));
    return af_store_scan(inner, scan, out, err);
}

static enum af_status list_buckets(struct house_store *s, struct af_arena *arena, struct af_stream **out, struct af_error *err)
{
    struct af_meta_bucket *buckets = NULL;
    size_t count = 0;
    struct af_meta_filter all = { 0 };
    AF_TRY(af_meta_buckets(s->house.meta, &all, arena, &buckets, &count, err));
    struct af_listed *listed = NULL;
    AF_TRY(af_listed_new(AF_LIST_BUCKETS, &listed, err));
    enum af_status status = AF_OK;
    for (size_t i = 0; i < count && status == AF_OK; i++)
        status = af_listed_add(listed, af_slice_of(buckets[i].name), NULL, buckets[i].retention_ns / 1000000000, err);
    struct af_stream *stream = af_listed_stream(listed);
    if (status == AF_OK)
        *out = stream;
    else
        af_stream_close(stream);
    return status;
}

static enum af_status house_list(struct af_store *store, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                                 struct af_error *err)
{
    struct house_store *s = (struct house_store *)store;
    if (what == AF_LIST_BUCKETS) {
        struct af_arena arena;
        af_arena_init(&arena, SIZE_MAX / 2);
        enum af_status status = list_buckets(s, &arena, out, err);
        af_arena_done(&arena);
        return status;
    }
    struct af_store *inner;
    AF_TRY(find_inner(s, false, &inner, err));
    return af_store_list(inner, what, scan, out, err);
}

static enum af_status house_erase(struct af_store *store, const struct af_scan *scan, struct af_error *err)
{
    struct af_store *inner;
    AF_TRY(find_inner((struct house_store *)store, false, &inner, err));
    return af_store_erase(inner, scan, err);
}

static enum af_status house_create(struct af_store *store, struct af_error *err)
{
    struct af_store *inner;
    return find_inner((struct house_store *)store, true, &inner, err);
}

static enum af_status house_ping(struct af_store *store, char *out_version, size_t version_cap, struct af_error *err)
{
    static const char version[] = "afluxo";
    if (version_cap != 0) {
        size_t len = sizeof version - 1 < version_cap - 1 ? sizeof version - 1 : version_cap - 1;
        memcpy(out_version, version, len);
        out_version[len] = '\0';
    }
    return af_tsm_probe(((struct house_store *)store)->house.engine, err);
}

/* What the log holds is safe without this; files are what the next start reads fastest. */
static void house_close(struct af_store *store)
{
    struct house_store *s = (struct house_store *)store;
    af_store_close(s->inner);
    if (s->house.engine != NULL)
        (void)!af_tsm_flush(s->house.engine, NULL);
    af_house_close(&s->house);
    af_mutex_done(&s->lock);
    af_free(s->org);
    af_free(s->bucket);
    af_free(s);
}

static const struct af_store_ops house_ops = { .name = "directory", .write = house_write, .scan = house_scan, .list = house_list,
                                               .erase = house_erase, .create = house_create, .ping = house_ping, .close = house_close };

struct af_house *af_house_of_store(struct af_store *store)
{
    return store->ops == &house_ops ? &((struct house_store *)store)->house : NULL;
}

enum af_status af_house_store_bucket(struct af_store *store, bool create, uint64_t *out_id, struct af_error *err)
{
    struct house_store *s = (struct house_store *)store;
    return af_house_bucket(&s->house, s->org, s->bucket, create, s->shard_ns, out_id, err);
}

static char *copy(const char *text)
{
    size_t len = strlen(text) + 1;
    char *out = af_alloc(len);
    if (out != NULL)
        memcpy(out, text, len);
    return out;
}

enum af_status af_house_store_open(const struct af_house_options *options, const char *org, const char *bucket, int64_t shard_ns,
                                   struct af_store **out, struct af_error *err)
{
    struct house_store *s = af_alloc_zero(1, sizeof *s);
    if (s == NULL)
        return af_fail_nomem(err, "a data directory");
    af_mutex_init(&s->lock);
    s->base.ops = &house_ops;
    s->base.caps = AF_STORE_CAN_FOLD | AF_STORE_CAN_SERIES;
    s->shard_ns = shard_ns;
    s->bucket = copy(bucket);
    s->org = org != NULL ? copy(org) : NULL;
    enum af_status status = s->bucket == NULL || (org != NULL && s->org == NULL) ? af_fail_nomem(err, "a data directory") : AF_OK;
    if (status == AF_OK)
        status = af_house_open(options, &s->house, err);
    if (status != AF_OK) {
        house_close(&s->base);
        return status;
    }
    s->base.name = s->house.dir;
    *out = &s->base;
    return AF_OK;
}
