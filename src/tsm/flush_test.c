/*
 * flush_test.c - every write, fsync and rename fails in turn: what was acknowledged is there after the next open, whatever failed; and
 * every allocation fails in turn.
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "os/fault.h"
#include "os/tree.h"
#include "tsm/engine_fixture.h"
#include <errno.h>

enum { STEPS = 14 };

/* One step of the script; what was acknowledged goes to the oracle too. */
static enum af_status step(struct world *world, struct af_store *oracle, int i)
{
    char text[512];
    struct af_write_answer answer;
    bool done;
    if (i == 4 || i == 9)
        return af_tsm_flush(world->engine, &world->err);
    if (i == 11)
        return af_tsm_compact(world->engine, true, &done, &world->err);
    (void)snprintf(text, sizeof text, "m,t=a v=%di,s=\"text %d\" %d\nm,t=b w=%d.5 %lld\nm,t=%d v=%di %d\n", i, i, i % 5, i,
                   700000000000000000LL * (i % 2), i, i, i);
    enum af_status status = world_try_write(world, text, &answer);
    if (status == AF_OK && answer.verdict == AF_WRITE_DONE)
        af_contract_write(oracle, af_slice_of(text), 1);
    return status;
}

/* The oracle has all that was acknowledged. What was not may be there or not, as it may for a client, who writes it again. */
static void check_acknowledged(struct world *world, struct af_store *oracle, int failed_step)
{
    char text[512];
    int i = failed_step;
    if (i >= 0 && i != 4 && i != 9 && i != 11) { /* a client would write it again */
        (void)snprintf(text, sizeof text, "m,t=a v=%di,s=\"text %d\" %d\nm,t=b w=%d.5 %lld\nm,t=%d v=%di %d\n", i, i, i % 5, i,
                       700000000000000000LL * (i % 2), i, i, i);
        world_put(world, text);
        af_contract_write(oracle, af_slice_of(text), 1);
    }
    world_check_same(world, oracle, "m");
}

/* Run the script with the `nth` call failing; stops at the first step that fails. False: nothing failed, the experiment is over. */
static bool run_with_fault(enum af_os_call call, uint64_t nth, uint64_t times, int code)
{
    struct world world;
    struct af_store *oracle;
    world_init(&world, "a");
    AF_CHECK_OK(af_memory_open(NULL, &oracle, &world.err), world.err);
    world_open(&world);
    world_put(&world, "m,t=a v=-1i 1000\n");
    af_contract_write(oracle, AF_SLICE_LIT("m,t=a v=-1i 1000\n"), 1);
    af_os_fault(call, nth, times, code);
    int failed = -1;
    for (int i = 0; i < STEPS && failed < 0; i++)
        if (step(&world, oracle, i) != AF_OK)
            failed = i;
    if (failed >= 0 && failed != 4 && failed != 9 && failed != 11) {
        char *got = world_dump(world.store, "m"); /* reads go on */
        free(got);
    } else if (failed >= 0) {
        world_check_same(&world, oracle, "m");
    }
    if (failed >= 0 && call == AF_OS_SYNC) {
        struct af_write_answer answer;
        AF_CHECK(world_stats(&world).is_read_only && world_stats(&world).why[0] != '\0');
        AF_CHECK_FAILS(world_try_write(&world, "m,t=a v=5i 5\n", &answer), AF_EIO);
        AF_CHECK(strstr(world.err.message, "read-only") != NULL || strstr(world.err.message, "fsync") != NULL);
    }
    af_os_fault(call, 0, 0, 0);
    world_reopen(&world);
    check_acknowledged(&world, oracle, failed);
    world_flush(&world);
    world_check_same(&world, oracle, "m");
    af_store_close(oracle);
    world_close(&world);
    AF_CHECK_OK(af_dir_remove(world.dir, &world.err), world.err);
    return failed >= 0;
}

static void sweep(enum af_os_call call, uint64_t times, int code, uint64_t most)
{
    uint64_t quiet = 0;
    uint64_t n = 1;
    for (; n < most && quiet < 3; n++) /* a failure that nobody needs to hear of (a side file) is no end yet */
        quiet = run_with_fault(call, n, times, code) ? 0 : quiet + 1;
    AF_CHECK(n > 10 && n < most);
}

AF_TEST(no_acknowledged_point_is_lost_when_a_write_fails)
{
    sweep(AF_OS_WRITE, 1, EIO, 200);
}
AF_TEST(no_acknowledged_point_is_lost_when_the_disk_fills_up)
{
    sweep(AF_OS_WRITE, UINT64_MAX, ENOSPC, 200);
}
AF_TEST(no_acknowledged_point_is_lost_when_a_sync_fails)
{
    sweep(AF_OS_SYNC, 1, EIO, 200);
}
AF_TEST(no_acknowledged_point_is_lost_when_syncs_fail_from_then_on)
{
    sweep(AF_OS_SYNC, UINT64_MAX, EIO, 200);
}
AF_TEST(no_acknowledged_point_is_lost_when_a_rename_fails)
{
    uint64_t n = 1;
    while (n < 50 && run_with_fault(AF_OS_RENAME, n, 1, EIO))
        n++;
    AF_CHECK(n > 3 && n < 50);
}

/* A disk that is full while a flush writes, and then is not: the engine goes on without being opened again. */
AF_TEST(a_flush_heals)
{
    for (uint64_t n = 1; n < 60; n++) {
        struct world world;
        struct af_store *oracle;
        bool failed = false;
        world_init(&world, "a");
        AF_CHECK_OK(af_memory_open(NULL, &oracle, &world.err), world.err);
        world_open(&world);
        for (int i = 0; i < 4; i++)
            AF_CHECK_OK(step(&world, oracle, i), world.err);
        af_os_fault(AF_OS_WRITE, n, UINT64_MAX, ENOSPC);
        for (int i = 0; i < 2; i++)
            failed = af_tsm_flush(world.engine, &world.err) != AF_OK || failed;
        world_check_same(&world, oracle, "m");
        AF_CHECK_INT(world_stats(&world).is_full, failed);
        af_os_fault(AF_OS_WRITE, 0, 0, 0);
        world_flush(&world);
        AF_CHECK(!world_stats(&world).is_full && !world_stats(&world).is_read_only);
        for (int i = 5; i < STEPS; i++)
            AF_CHECK_OK(step(&world, oracle, i), world.err);
        world_check_same(&world, oracle, "m");
        world_reopen(&world);
        world_check_same(&world, oracle, "m");
        af_store_close(oracle);
        world_close(&world);
        AF_CHECK_OK(af_dir_remove(world.dir, &world.err), world.err);
        if (!failed)
            return;
    }
    af_test_failed(__FILE__, __LINE__, "it never stopped failing");
}

/* --- replay ---------------------------------------------------------------------------------------------------------------- */

/* More in the log than the cache may hold: replay flushes on its way. */
AF_TEST(a_long_log_is_replayed_in_little_memory)
{
    struct world world;
    struct af_store *oracle;
    world_init(&world, "a");
    world.options.cache_bytes = 64 << 20;
    AF_CHECK_OK(af_memory_open(NULL, &oracle, &world.err), world.err);
    world_open(&world);
    struct af_prng prng = { 7 };
    struct af_buf lines;
    af_buf_init(&lines, 16 << 20);
    for (int i = 0; i < 30; i++) {
        af_buf_clear(&lines);
        for (int k = 0; k < 1000; k++)
            af_buf_printf(&lines, "m,t=%d v=%d.25,w=%di %d\n", (int)af_prng_below(&prng, 5), (int)af_prng_below(&prng, 1000), i * 1000 + k,
                          (int)af_prng_below(&prng, 3000));
        world_put(&world, af_buf_cstr(&lines));
        af_contract_write(oracle, af_buf_slice(&lines), 1);
    }
    AF_CHECK_INT(world_stats(&world).flushes, 0);
    world.options.cache_bytes = 256 << 10;
    for (int i = 0; i < 2; i++) {
        world_reopen(&world);
        AF_CHECK(world_stats(&world).flushes > 2);
        AF_CHECK(world_stats(&world).cache_bytes < world.options.cache_bytes);
        world_check_same(&world, oracle, "m");
    }
    world_flush(&world);
    world_reopen(&world);
    AF_CHECK_INT(world_stats(&world).flushes, 0);
    world_check_same(&world, oracle, "m");
    af_buf_done(&lines);
    af_store_close(oracle);
    world_close(&world);
}

AF_TEST(without_a_log_points_are_durable_when_flushed)
{
    struct world world;
    world_init(&world, "a");
    world_open(&world);
    world_put(&world, "m v=1i 1\n");
    world.options.no_wal = true;
    world_reopen(&world); /* the log of before is taken up */
    world_check(&world, "m", "m 1 v=1i\n");
    world_put(&world, "m v=2i 2\n");
    world_flush(&world);
    world_put(&world, "m v=3i 3\n");
    world_check(&world, "m", "m 1 v=1i\nm 2 v=2i\nm 3 v=3i\n");
    AF_CHECK_INT(world_stats(&world).syncs, 0);
    world.options.no_wal = false;
    world_reopen(&world);
    world_check(&world, "m", "m 1 v=1i\nm 2 v=2i\n");
    world_close(&world);
}

/* --- memory ---------------------------------------------------------------------------------------------------------------- */

/* Open, write, flush, write, read: false if something failed. */
static bool small_script(struct world *world)
{
    struct af_write_answer answer;
    bool done;
    if (world_try_open(world) != AF_OK)
        return false;
    return world_try_write(world, "m,t=a v=1i,s=\"x\" 1\nm,t=b v=2i 700000000000000000\nn w=1 1\n", &answer) == AF_OK &&
           world_try_write(world, "m,t=c v=1 1\nm,t=c v=3i 1\n", &answer) == AF_OK &&
           af_tsm_flush(world->engine, &world->err) == AF_OK && world_try_write(world, "m,t=a v=4i 4\n", &answer) == AF_OK &&
           af_tsm_flush(world->engine, &world->err) == AF_OK && af_tsm_compact(world->engine, true, &done, &world->err) == AF_OK &&
           world_try_write(world, "m,t=a v=5i 5\n", &answer) == AF_OK;
}

AF_TEST(every_allocation_may_fail)
{
    size_t n = 1;
    for (;; n++) {
        struct world world;
        world_init(&world, "a");
        (void)af_alloc_fail_nth(n);
        bool is_done = small_script(&world);
        bool is_over = af_alloc_fail_nth(0) < n; /* no allocation failed */
        AF_CHECK(is_done || !is_over);
        world_close(&world);
        world_open(&world);
        struct af_write_answer answer;
        AF_CHECK_OK(world_try_write(&world, "m,t=a v=6i 6\n", &answer), world.err);
        world_flush(&world);
        char *got = world_dump(world.store, "m");
        AF_CHECK(strstr(got, "m,t=a 6 v=6i\n") != NULL);
        if (is_done)
            AF_CHECK_STR(got, "m,t=a 1 s=\"x\" v=1i\nm,t=a 4 v=4i\nm,t=a 5 v=5i\nm,t=a 6 v=6i\nm,t=b 700000000000000000 v=2i\n"
                              "m,t=c 1 v=3i\n");
        free(got);
        world_close(&world);
        AF_CHECK_OK(af_dir_remove(world.dir, &world.err), world.err);
        if (is_over)
            break;
        AF_CHECK(n < 20000);
    }
    AF_CHECK(n > 100);
}
