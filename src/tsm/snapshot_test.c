/* snapshot_test.c - a copy of a bucket while others write, delete and compact: it is of one moment, and they need not wait for it. */
#include "os/observe.h"
#include "tsm/engine_fixture.h"

enum event { COMPACTED, ERASED, FLUSHED };

struct meanwhile {
    struct world *world;
    enum event event;
    unsigned count;
};

/* With the first directory of the copy: the files to be copied have been chosen, and none is linked. */
static void on_change(void *ctx, const struct af_os_event *event)
{
    struct meanwhile *m = ctx;
    const struct af_scan all = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    bool done;
    if (event->change != AF_OS_MADE_DIR || strstr(event->path, "/copy/1") == NULL || m->count++ > 0)
        return;
    if (m->event == COMPACTED)
        AF_CHECK_OK(af_tsm_compact(m->world->engine, true, &done, &m->world->err), m->world->err);
    if (m->event == ERASED)
        AF_CHECK_OK(af_store_erase(m->world->store, &all, &m->world->err), m->world->err);
    world_put(m->world, "m,t=a v=9 1\nm,t=z v=9 9\n");
    world_flush(m->world);
}

static void copy_while(enum event event, const char *name)
{
    struct world world;
    struct world other;
    char dir[1024];
    struct af_error err;
    world_init(&world, name);
    world_open(&world);
    world_put(&world, "m,t=a v=1 1\nm,t=b v=2 2\n");
    world_flush(&world);
    world_put(&world, "m,t=a v=3 1\n");
    struct meanwhile meanwhile = { .world = &world, .event = event };
    (void)snprintf(dir, sizeof dir, "%s", world_path(&world, "copy"));
    af_os_observe(on_change, &meanwhile);
    AF_CHECK_OK(af_tsm_snapshot(world.engine, BUCKET, dir, &err), err);
    af_os_observe(NULL, NULL);
    AF_CHECK(meanwhile.count > 0);
    (void)snprintf(dir, sizeof dir, "%s", world_path(&world, "copy/1"));
    char to[64];
    (void)snprintf(to, sizeof to, "%s-to", name);
    world_init(&other, to);
    world_open(&other);
    struct af_shard *shard = world.engine->at.shards[0];
    AF_CHECK_OK(af_tsm_install(other.engine, BUCKET, shard->start_ns, shard->end_ns, dir, &err), err);
    world_check(&other, "m", "m,t=a 1 v=0x1.8p+1\nm,t=b 2 v=0x1p+1\n");
    world_close(&other);
    world_close(&world);
}

AF_TEST(a_copy_beside_a_compaction_is_of_one_moment)
{
    copy_while(COMPACTED, "c");
}

AF_TEST(a_copy_beside_a_deletion_is_of_one_moment)
{
    copy_while(ERASED, "e");
}

AF_TEST(a_copy_beside_a_flush_is_of_one_moment)
{
    copy_while(FLUSHED, "f");
}
