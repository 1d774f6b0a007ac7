/*
 * contract_test.c - remote --> our server --> engine, by the contract every store keeps: all of it over HTTP, written, read, listed and
 * deleted through either generation's API.
 */
#include "remote/remote.h"
#include "server/server.h"
#include "store/memory.h"
#include "test/lib/store_contract.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_error err;

struct world {
    struct af_house house;
    struct af_server *server;
    struct af_arena arena;
    const char *token;
    unsigned buckets;
    bool is_v2;
};

static struct af_store *open_served(void *ctx)
{
    struct world *world = ctx;
    struct af_store *store;
    char url[64];
    char name[64];
    uint64_t bucket;
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)af_server_port(world->server));
    (void)snprintf(name, sizeof name, "bucket %u \xc3\xa9&=", ++world->buckets);
    AF_CHECK_OK(af_house_bucket(&world->house, "afluxo", name, true, 0, &bucket, &err), err);
    struct af_remote_options options = { .url = url, .bucket = name, .version = world->is_v2 ? AF_INFLUX_2 : AF_INFLUX_1 };
    if (world->is_v2) {
        options.org = "afluxo";
        options.token = world->token;
    } else {
        options.user = "anybody";
        options.password = world->token; /* as good as a password */
    }
    AF_CHECK_OK(af_remote_open(&options, &store, &err), err);
    return store;
}

static struct af_store *open_oracle(void *ctx)
{
    const struct world *world = ctx;
    struct af_store *store;
    AF_CHECK_OK(af_memory_open(&(struct af_memory_options){ .is_v2 = world->is_v2 }, &store, &err), err);
    return store;
}

static void keep_contract(const char *name, bool is_v2)
{
    struct world world = { .is_v2 = is_v2 };
    af_arena_init(&world.arena, 1 << 24);
    struct af_house_options options = { .engine = { .dir = af_arena_printf(&world.arena, "%s/data%d", af_test_dir(), is_v2) } };
    AF_CHECK_OK(af_house_open(&options, &world.house, &err), err);
    struct af_server_options server = { .house = &world.house, .version = "7.7" };
    AF_CHECK_OK(af_server_start(&server, &world.arena, &world.token, &world.server, &err), err);
    af_store_contract(&(struct af_contract){ .name = name, .open = open_served, .oracle = open_oracle, .ctx = &world, .is_v2 = is_v2,
                                             .has_unsigned = true });
    AF_CHECK(world.buckets > 10);
    af_server_stop(world.server, 1000);
    af_house_close(&world.house);
    af_arena_done(&world.arena);
}

AF_TEST(a_served_engine_keeps_the_contract)
{
    keep_contract("remote 2.x, our server, engine", true);
}

AF_TEST(a_served_engine_keeps_the_contract_for_1x)
{
    keep_contract("remote 1.x, our server, engine", false);
}
