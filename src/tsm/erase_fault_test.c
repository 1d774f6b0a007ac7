/*
 * erase_fault_test.c - deletions beside what could not be removed: TSM files that are not unlinked, segments of the log that stay.
 * Either the deletion fails, or its points stay away after a restart too.
 */
#include "os/clock.h"
#include "os/thread.h"
#include "tsm/engine_fixture.h"
#include <sys/stat.h>
#include <unistd.h>

#define SHARD_DIR "engine/data/00000000000000b1/autogen/1"

/* A file that cannot be unlinked: a directory has its name. The file itself is kept under another one. */
static void block(struct world *world, const char *name)
{
    char path[1024];
    char hidden[1100];
    (void)snprintf(path, sizeof path, "%s", world_path(world, name));
    (void)snprintf(hidden, sizeof hidden, "%s.hidden", path);
    AF_CHECK(rename(path, hidden) == 0 && mkdir(path, 0777) == 0);
}

static void unblock(struct world *world, const char *name)
{
    char path[1024];
    char hidden[1100];
    (void)snprintf(path, sizeof path, "%s", world_path(world, name));
    (void)snprintf(hidden, sizeof hidden, "%s.hidden", path);
    AF_CHECK(rmdir(path) == 0 && rename(hidden, path) == 0);
}

static const struct af_scan early = { .measurement = "m", .start_ns = 0, .stop_ns = 100 };

AF_TEST(erase_of_a_file_that_stays_is_refused)
{
    struct world world;
    static const char all[] = "m,t=a 1 v=0x1p+0\nm,t=a 2 v=0x1p+1\nm,t=a 700 v=0x1.cp+2\n";
    world_init(&world, "a");
    world_open(&world);
    world_put(&world, "m,t=a v=1 1\nm,t=a v=2 2\n");
    world_flush(&world);
    world_put(&world, "m,t=a v=7 700\n");
    world_flush(&world);
    block(&world, SHARD_DIR "/000000001-000000001.tsm");
    AF_CHECK(af_store_erase(world.store, &early, &world.err) != AF_OK);
    unblock(&world, SHARD_DIR "/000000001-000000001.tsm");
    world_check(&world, "m", all);
    world_reopen(&world);
    world_check(&world, "m", all);
    AF_CHECK_OK(af_store_erase(world.store, &early, &world.err), world.err);
    world_check(&world, "m", "m,t=a 700 v=0x1.cp+2\n");
    world_reopen(&world);
    world_check(&world, "m", "m,t=a 700 v=0x1.cp+2\n");
    world_close(&world);
}

/* Tombstones on the file that a compaction made do not cover what it was made from. */
AF_TEST(erase_beside_a_source_that_stays_is_refused)
{
    struct world world;
    bool done;
    world_init(&world, "b");
    world_open(&world);
    world_put(&world, "m,t=a v=1 1\nm,t=a v=2 2\nk v=1 1\n");
    world_flush(&world);
    world_put(&world, "m,t=a v=3 3\nm,t=a v=7 700\n");
    world_flush(&world);
    block(&world, SHARD_DIR "/000000001-000000001.tsm");
    AF_CHECK_OK(af_tsm_compact(world.engine, true, &done, &world.err), world.err);
    AF_CHECK(done && strstr(world.words, "nothing can be deleted") != NULL);
    unblock(&world, SHARD_DIR "/000000001-000000001.tsm");
    char *before = world_dump(world.store, "m");
    AF_CHECK_FAILS(af_store_erase(world.store, &early, &world.err), AF_EIO);
    world_check(&world, "m", before);
    world_reopen(&world); /* the source is a file like others now */
    world_check(&world, "m", before);
    free(before);
    AF_CHECK_OK(af_store_erase(world.store, &early, &world.err), world.err);
    world_reopen(&world);
    world_check(&world, "m", "m,t=a 700 v=0x1.cp+2\n");
    world_close(&world);
}

/* --- the log ------------------------------------------------------------------------------------------------------------------------- */

struct eraser {
    struct world *world;
    enum af_status status;
    struct af_error err;
};

static void erase_early(void *ctx)
{
    struct eraser *eraser = ctx;
    eraser->status = af_tsm_erase(eraser->world->engine, BUCKET, &early, &eraser->err);
}

static enum af_status note_first(void *ctx, const char *path, struct af_error *err)
{
    char *first = ctx;
    (void)err;
    if (first[0] == '\0')
        (void)snprintf(first, 256, "wal/%s", strrchr(path, '/') + 1);
    return AF_OK;
}

/* A point comes between a deletion's flush and its choice of files, is written to a file, and its segment of the log stays. */
AF_TEST(erase_does_not_trust_files_that_are_in_the_log_too)
{
    struct world world;
    struct af_thread thread;
    char segment[256] = "";
    world_init(&world, "l");
    world_open(&world);
    world_put(&world, "m,t=a v=1 1\nm,t=a v=9 900\n");
    world_flush(&world);
    world_put(&world, "m,t=a v=3 3\n");
    struct eraser eraser = { .world = &world };
    uint64_t flushes = world_stats(&world).flushes;
    struct af_shard *shard = world.engine->at.shards[0];
    af_mutex_lock(&shard->work); /* a compaction */
    AF_CHECK_OK(af_thread_start(&thread, "eraser", erase_early, &eraser, &world.err), world.err);
    while (world_stats(&world).flushes == flushes)
        af_clock_sleep_ms(1);
    af_mutex_lock(&world.engine->flush); /* that flush is over */
    af_mutex_unlock(&world.engine->flush);
    world_put(&world, "m,t=a v=2 2\n");
    AF_CHECK_OK(af_dir_list(world_path(&world, "wal"), note_first, segment, &world.err), world.err);
    block(&world, segment);
    struct af_error err;
    AF_CHECK(af_tsm_flush(world.engine, &err) != AF_OK);
    af_mutex_unlock(&shard->work);
    af_thread_join(&thread);
    unblock(&world, segment);
    AF_CHECK(eraser.status != AF_OK && eraser.err.message[0] != 0);
    world_reopen(&world);
    AF_CHECK_OK(af_store_erase(world.store, &early, &world.err), world.err);
    world_reopen(&world);
    world_check(&world, "m", "m,t=a 900 v=0x1.2p+3\n");
    world_close(&world);
}
