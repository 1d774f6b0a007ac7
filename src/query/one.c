/* one.c - a single store as a host: every database and policy is this one. */
#include "base/alloc.h"
#include "query/query_int.h"

/* The store belongs to the caller: closing what `open` gave closes nothing. */
struct borrowed {
    struct af_store base;
    struct af_store_ops ops;
    struct af_store *inner;
};

static struct af_store *inner_of(struct af_store *store)
{
    return ((struct borrowed *)store)->inner;
}

static enum af_status borrowed_write(struct af_store *store, const struct af_write *write, struct af_write_answer *out,
                                     struct af_error *err)
{
    return af_store_write(inner_of(store), write, out, err);
}

static enum af_status borrowed_scan(struct af_store *store, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    return af_store_scan(inner_of(store), scan, out, err);
}

static enum af_status borrowed_list(struct af_store *store, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                                    struct af_error *err)
{
    return af_store_list(inner_of(store), what, scan, out, err);
}

static enum af_status borrowed_erase(struct af_store *store, const struct af_scan *scan, struct af_error *err)
{
    return af_store_erase(inner_of(store), scan, err);
}

static enum af_status borrowed_create(struct af_store *store, struct af_error *err)
{
    return af_store_create(inner_of(store), err);
}

static enum af_status borrowed_ping(struct af_store *store, char *out_version, size_t version_cap, struct af_error *err)
{
    return af_store_ping(inner_of(store), out_version, version_cap, err);
}

static void borrowed_close(struct af_store *store)
{
    af_free(store);
}

static enum af_status one_open(void *ctx, const char *database, const char *policy, bool is_write, struct af_store **out,
                               struct af_error *err)
{
    struct af_query_one *one = ctx;
    (void)database;
    (void)policy;
    (void)is_write;
    struct borrowed *borrowed = af_alloc_zero(1, sizeof *borrowed);
    if (borrowed == NULL)
        return af_fail_nomem(err, "a store");
    borrowed->ops = (struct af_store_ops){
        .name = one->store->ops->name,
        .write = borrowed_write,
        .scan = borrowed_scan,
        .list = borrowed_list,
        .erase = borrowed_erase,
        .create = borrowed_create,
        .ping = borrowed_ping,
        .close = borrowed_close,
    };
    borrowed->base = (struct af_store){ .ops = &borrowed->ops, .name = one->store->name, .caps = one->store->caps };
    borrowed->inner = one->store;
    *out = &borrowed->base;
    return AF_OK;
}

static enum af_status one_places(void *ctx, const char *database, struct af_arena *arena, struct af_query_place **out, size_t *out_count,
                                 struct af_error *err)
{
    (void)ctx;
    struct af_query_place *place = af_arena_zero(arena, 1, sizeof *place);
    if (place == NULL)
        return af_fail_nomem(err, "a database");
    *place = (struct af_query_place){ .database = database, .policy = "autogen", .is_default = true };
    *out = place;
    *out_count = 1;
    return AF_OK;
}

static enum af_status one_administer(void *ctx, const struct af_ql_statement *statement, const char *database, struct af_arena *arena,
                                     struct af_tables **out, struct af_error *err)
{
    (void)ctx;
    (void)database;
    (void)arena;
    *out = NULL;
    return af_fail(err, AF_EUNSUPPORTED, AF_SLICE_FMT ": there is one store here and nothing to administer", AF_SLICE_ARG(statement->text));
}

void af_query_one_init(struct af_query_one *one, struct af_store *store)
{
    *one = (struct af_query_one){
        .host = { .ctx = one, .open = one_open, .places = one_places, .administer = one_administer },
        .store = store,
    };
}
