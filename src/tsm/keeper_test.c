/* keeper_test.c - keeping house when something fails: a full disk, an fsync, one shard of many. */
#include "os/fault.h"
#include "tsm/engine_fixture.h"
#include <errno.h>
#include <unistd.h>

#define HOUR (INT64_C(3600) * 1000000000)
#define AUTOGEN "engine/data/00000000000000b1/autogen"
enum { CALLS_MAX = 1000 };

/* --- expiry ---------------------------------------------------------------------------------------------------------------- */

/* Two shards of an hour, the first of which is past the retention of three. */
static void open_two_shards(struct world *world)
{
    char text[128];
    world_init(world, "a");
    world_open(world);
    AF_CHECK_OK(af_tsm_bucket_set(world->engine, &(struct af_tsm_bucket){ BUCKET, 3 * HOUR, HOUR }, &world->err), world->err);
    int64_t hour = world->now / HOUR * HOUR;
    world->now = hour + HOUR / 2;
    (void)snprintf(text, sizeof text, "m v=1i %lld\nm v=2i %lld\n", (long long)(hour - HOUR), (long long)(hour + HOUR / 4));
    world_put(world, text);
    world_flush(world);
    AF_CHECK_INT(world_stats(world).shards, 2);
    world->now = hour + 3 * HOUR + HOUR / 2;
}

static void check_one_shard(struct world *world)
{
    char text[64];
    (void)snprintf(text, sizeof text, "m %lld v=2i\n", (long long)(world->now - 3 * HOUR - HOUR / 4));
    world_check(world, "m", text);
    AF_CHECK_INT(world_stats(world).shards, 1);
    AF_CHECK_INT(af_path_kind(world_path(world, AUTOGEN "/1")), AF_PATH_NONE);
    AF_CHECK_INT(af_path_kind(world_path(world, AUTOGEN "/1.dropped")), AF_PATH_NONE);
    AF_CHECK_INT(af_path_kind(world_path(world, AUTOGEN "/2")), AF_PATH_DIR);
}

/* The list of shards cannot be written; the room is there all the same, and nothing is left for ever. */
AF_TEST(expiry_frees_a_full_disk)
{
    struct world world;
    open_two_shards(&world);
    af_os_fault(AF_OS_WRITE, 1, UINT64_MAX, ENOSPC);
    AF_CHECK_FAILS(af_tsm_expire(world.engine, &world.err), AF_EFULL);
    check_one_shard(&world);
    world_close(&world);
    af_os_fault(AF_OS_WRITE, 0, 0, 0);
    unsigned said = world.said;
    world_open(&world); /* its list has a shard without a directory */
    AF_CHECK_INT(world.said, said);
    AF_CHECK_OK(af_tsm_expire(world.engine, &world.err), world.err);
    check_one_shard(&world);
    world_reopen(&world);
    check_one_shard(&world);
    world_close(&world);
}

AF_TEST(expiry_that_fails_is_tried_again)
{
    struct world world;
    open_two_shards(&world);
    af_os_fault(AF_OS_RENAME, 1, 1, EIO);
    AF_CHECK_FAILS(af_tsm_expire(world.engine, &world.err), AF_EIO);
    af_os_fault(AF_OS_RENAME, 0, 0, 0);
    AF_CHECK_INT(world_stats(&world).shards, 2);
    AF_CHECK_OK(af_tsm_expire(world.engine, &world.err), world.err);
    check_one_shard(&world);
    world_reopen(&world);
    check_one_shard(&world);
    world_close(&world);
}

/* The directory has its other name, if not durably: the shard is gone, and nothing is written any more. */
AF_TEST(expiry_that_is_not_durable_ends_writing)
{
    struct world world;
    open_two_shards(&world);
    af_os_fault(AF_OS_SYNC, 1, 1, EIO);
    AF_CHECK_FAILS(af_tsm_expire(world.engine, &world.err), AF_EIO);
    af_os_fault(AF_OS_SYNC, 0, 0, 0);
    AF_CHECK(world_stats(&world).is_read_only);
    check_one_shard(&world);
    world_reopen(&world);
    AF_CHECK_OK(af_tsm_expire(world.engine, &world.err), world.err);
    check_one_shard(&world);
    world_close(&world);
}

/* --- compaction ------------------------------------------------------------------------------------------------------------ */

static enum af_status compact_with_tombstones(struct world *world, uint64_t nth)
{
    char name[32];
    bool done;
    const struct af_scan scan = { .measurement = "m", .start_ns = 1, .stop_ns = 2 };
    (void)snprintf(name, sizeof name, "s%u", (unsigned)nth);
    world_init(world, name);
    world_open(world);
    world_put(world, "m,t=a v=1 1\nm,t=a v=2 2\nk v=1 1\n");
    world_flush(world);
    AF_CHECK_OK(af_store_erase(world->store, &scan, &world->err), world->err);
    world_put(world, "m,t=a v=3 3\n");
    world_flush(world);
    af_os_fault(AF_OS_SYNC, nth, 1, EIO);
    return af_tsm_compact(world->engine, true, &done, &world->err);
}

/* Also the one between the unlink of a source and that of its tombstones. */
AF_TEST(every_failed_fsync_of_a_compaction_ends_writing)
{
    struct world world;
    uint64_t left = 1;
    AF_CHECK_OK(compact_with_tombstones(&world, CALLS_MAX), world.err);
    while (af_os_fault_due(AF_OS_SYNC) == 0)
        left++;
    world_close(&world);
    AF_CHECK(CALLS_MAX - left >= 3);
    for (uint64_t nth = 1; nth <= CALLS_MAX - left; nth++) {
        AF_CHECK_FAILS(compact_with_tombstones(&world, nth), AF_EIO);
        af_os_fault(AF_OS_SYNC, 0, 0, 0);
        AF_CHECK(world_stats(&world).is_read_only);
        world_reopen(&world);
        world_check(&world, "m", "m,t=a 2 v=0x1p+1\nm,t=a 3 v=0x1.8p+1\n");
        world_close(&world);
    }
}

/* A shard in which there is no sequence number left. The other one is compacted all the same. */
AF_TEST(a_shard_that_fails_does_not_hold_up_others)
{
    struct world world;
    bool done;
    char from[1024];
    const char *second = "m v=1 7000000000000000000\n";
    world_init(&world, "z");
    world_open(&world);
    world_put(&world, "m v=1 1\n");
    world_put(&world, second);
    world_flush(&world);
    world_close(&world);
    (void)snprintf(from, sizeof from, "%s", world_path(&world, AUTOGEN "/1/000000001-000000001.tsm"));
    AF_CHECK(rename(from, world_path(&world, AUTOGEN "/1/000000001-4294967295.tsm")) == 0);
    world_open(&world);
    world_put(&world, "m v=2 1\n");
    world_put(&world, second);
    world_flush(&world);
    AF_CHECK_INT(world_stats(&world).files, 4);
    AF_CHECK(af_tsm_compact(world.engine, true, &done, &world.err) != AF_OK);
    AF_CHECK(done && world.err.message[0] != '\0');
    AF_CHECK_INT(world_stats(&world).files, 3);
    world_check(&world, "m", "m 1 v=0x1p+1\nm 7000000000000000000 v=0x1p+0\n");
    world_close(&world);
}
