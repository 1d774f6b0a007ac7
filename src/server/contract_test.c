/*
 * contract_test.c - remote --> our server --> engine, by the contract every store keeps.
 *
 * Writes and deletes go over HTTP; what is read back is read from the engine itself, beside the server, and so is deleted what the client
 * needs a query for: those are not served yet. A delete that the client can say in one request must not need that.
 */
#include "remote/remote.h"
#include "server/server.h"
#include "store/memory.h"
#include "test/lib/store_contract.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>

static struct af_error err;

struct world {
    struct af_house house;
    struct af_server *server;
    struct af_arena arena;
    const char *token;
    unsigned buckets;
    unsigned writes, erases; /* that the server did */
    unsigned unserved;       /* deletes that were done beside it */
};

/* A bucket, from both sides. */
struct served {
    struct af_store base;
    struct world *world;
    struct af_store *remote;
    struct af_store *engine;
};

static enum af_status served_write(struct af_store *base, const struct af_write *write, struct af_write_answer *out, struct af_error *e)
{
    struct served *served = (struct served *)base;
    served->world->writes++;
    return af_store_write(served->remote, write, out, e);
}

static enum af_status served_scan(struct af_store *base, const struct af_scan *scan, struct af_stream **out, struct af_error *e)
{
    return af_store_scan(((struct served *)base)->engine, scan, out, e);
}

static enum af_status served_list(struct af_store *base, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                                  struct af_error *e)
{
    return af_store_list(((struct served *)base)->engine, what, scan, out, e);
}

/* Deletes that the client says in one request, without a query before it. Others may be too; these must. */
static bool is_plain(const struct af_predicate *predicate)
{
    return predicate == NULL || (predicate->op == AF_PREDICATE_EQUAL && predicate->value.len > 0);
}

static enum af_status served_erase(struct af_store *base, const struct af_scan *scan, struct af_error *e)
{
    struct served *served = (struct served *)base;
    enum af_status status = af_store_erase(served->remote, scan, e);
    if (status == AF_OK || is_plain(scan->predicate)) {
        served->world->erases++;
        return status;
    }
    served->world->unserved++;
    return af_store_erase(served->engine, scan, e);
}

static enum af_status served_create(struct af_store *base, struct af_error *e)
{
    return af_store_create(((struct served *)base)->engine, e);
}

static enum af_status served_ping(struct af_store *base, char *out_version, size_t cap, struct af_error *e)
{
    return af_store_ping(((struct served *)base)->remote, out_version, cap, e);
}

static void served_close(struct af_store *base)
{
    struct served *served = (struct served *)base;
    af_store_close(served->remote);
    af_store_close(served->engine);
    free(served);
}

static const struct af_store_ops served_ops = { .name = "served", .write = served_write, .scan = served_scan, .list = served_list,
                                                .erase = served_erase, .create = served_create, .ping = served_ping,
                                                .close = served_close };

static struct af_store *open_served(void *ctx)
{
    struct world *world = ctx;
    struct served *served = calloc(1, sizeof *served);
    char url[64];
    char name[64];
    uint64_t bucket;
    AF_CHECK(served != NULL);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)af_server_port(world->server));
    (void)snprintf(name, sizeof name, "bucket %u \xc3\xa9&=/", ++world->buckets);
    AF_CHECK_OK(af_house_bucket(&world->house, "afluxo", name, true, 0, &bucket, &err), err);
    AF_CHECK_OK(af_tsm_store_open(world->house.engine, bucket, "engine", false, &served->engine, &err), err);
    struct af_remote_options options = { .url = url, .bucket = name, .org = "afluxo", .token = world->token, .version = AF_INFLUX_2 };
    AF_CHECK_OK(af_remote_open(&options, &served->remote, &err), err);
    served->world = world;
    served->base = (struct af_store){ &served_ops, "served" };
    return &served->base;
}

static struct af_store *open_oracle(void *ctx)
{
    struct af_store *store;
    (void)ctx;
    AF_CHECK_OK(af_memory_open(&(struct af_memory_options){ .is_v2 = true }, &store, &err), err);
    return store;
}

AF_TEST(a_served_engine_keeps_the_contract)
{
    struct world world = { 0 };
    af_arena_init(&world.arena, 1 << 24);
    struct af_house_options options = { .engine = { .dir = af_arena_printf(&world.arena, "%s/data", af_test_dir()) } };
    AF_CHECK_OK(af_house_open(&options, &world.house, &err), err);
    struct af_server_options server = { .house = &world.house, .version = "7.7" };
    AF_CHECK_OK(af_server_start(&server, &world.arena, &world.token, &world.server, &err), err);
    af_store_contract(&(struct af_contract){ .name = "remote, our server, engine", .open = open_served, .oracle = open_oracle,
                                             .ctx = &world, .is_v2 = true, .has_unsigned = true });
    AF_CHECK(world.writes > 80 && world.erases > 50);
    printf("note: %u deletes were served, %u need queries and were done beside the server\n", world.erases, world.unserved);
    af_server_stop(world.server, 1000);
    af_house_close(&world.house);
    af_arena_done(&world.arena);
}
