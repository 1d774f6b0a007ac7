/*
 * forward.c - a bucket's store whose writes go on to subscriptions, as those of /write do: what INTO and continuous queries write.
 */
#include "base/alloc.h"
#include "server/core.h"

struct forward {
    struct af_store base;
    struct af_store *inner;
    struct af_server *server;
    uint64_t bucket;
};

static struct af_store *inner_of(struct af_store *store)
{
    return ((struct forward *)store)->inner;
}

/* InfluxDB sends on all points of a write, also those that its shards refuse; one that fails altogether is tried again by the client. */
static enum af_status forward_write(struct af_store *store, const struct af_write *write, struct af_write_answer *out,
                                    struct af_error *err)
{
    struct forward *forward = (struct forward *)store;
    AF_TRY(af_store_write(forward->inner, write, out, err));
    if (out->verdict != AF_WRITE_TOO_LARGE && write->precision_ns == 1)
        core_subscriptions_offer_lines(forward->server, forward->bucket, write->lines, write->line_count);
    return AF_OK;
}

static enum af_status forward_scan(struct af_store *store, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    return af_store_scan(inner_of(store), scan, out, err);
}

static enum af_status forward_list(struct af_store *store, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                                   struct af_error *err)
{
    return af_store_list(inner_of(store), what, scan, out, err);
}

static enum af_status forward_erase(struct af_store *store, const struct af_scan *scan, struct af_error *err)
{
    return af_store_erase(inner_of(store), scan, err);
}

static enum af_status forward_create(struct af_store *store, struct af_error *err)
{
    return af_store_create(inner_of(store), err);
}

static enum af_status forward_ping(struct af_store *store, char *out_version, size_t version_cap, struct af_error *err)
{
    return af_store_ping(inner_of(store), out_version, version_cap, err);
}

static void forward_close(struct af_store *store)
{
    af_store_close(inner_of(store));
    af_free(store);
}

enum af_status core_forward_open(struct af_server *server, uint64_t bucket, struct af_store *inner, struct af_store **out,
                                 struct af_error *err)
{
    static const struct af_store_ops ops = { .name = "bucket", .write = forward_write, .scan = forward_scan, .list = forward_list,
                                             .erase = forward_erase, .create = forward_create, .ping = forward_ping,
                                             .close = forward_close };
    struct forward *forward = af_alloc_zero(1, sizeof *forward);
    if (forward == NULL) {
        af_store_close(inner);
        return af_fail_nomem(err, "a store");
    }
    *forward = (struct forward){ .base = { .ops = &ops, .name = inner->name, .caps = inner->caps }, .inner = inner, .server = server,
                                 .bucket = bucket };
    *out = &forward->base;
    return AF_OK;
}
