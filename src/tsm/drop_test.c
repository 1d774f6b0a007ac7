/*
 * drop_test.c - taking a bucket away when there is no room, whatever the engine is at; what a crash then leaves; room that is set aside.
 *
 * The disk is full for all writes, or until DIR/reserve is removed (os/fault.h, os/observe.h).
 */
#include "os/clock.h"
#include "os/fault.h"
#include "os/observe.h"
#include "os/tree.h"
#include "test/lib/crash_disk.h"
#include "tsm/engine_fixture.h"
#include <errno.h>

enum { GONE = 0xb2 };
static const char KEPT_POINTS[] = "m,t=a 1 v=0x1p+0\nm,t=a 2 v=0x1p+1\n";

static void set_bucket(struct world *world, uint64_t id)
{
    AF_CHECK_OK(af_tsm_bucket_set(world->engine, &(struct af_tsm_bucket){ .id = id }, &world->err), world->err);
}

static struct af_store *store_of(struct world *world, uint64_t id)
{
    struct af_store *store;
    AF_CHECK_OK(af_tsm_store_open(world->engine, id, "another", true, &store, &world->err), world->err);
    return store;
}

static void put_gone(struct world *world, const char *lines)
{
    struct af_write write = { .lines = af_slice_of(lines), .precision_ns = 1 };
    struct af_write_answer answer;
    struct af_store *store = store_of(world, GONE);
    AF_CHECK_OK(af_store_write(store, &write, &answer, &world->err), world->err);
    AF_CHECK_INT(answer.verdict, AF_WRITE_DONE);
    af_store_close(store);
}

static char *dump_gone(struct world *world)
{
    struct af_store *store = store_of(world, GONE);
    char *text = world_dump(store, "m");
    af_store_close(store);
    return text;
}

static void check_gone(struct world *world, const char *want)
{
    char *got = dump_gone(world);
    AF_CHECK_STR(got, want);
    free(got);
}

static void fill_disk(void)
{
    af_os_fault(AF_OS_WRITE, 1, UINT64_MAX, ENOSPC);
}

static void empty_disk(void)
{
    af_os_fault(AF_OS_WRITE, 0, 0, 0);
}

/* --- whatever the engine is at -------------------------------------------------------------------------------------------------- */

enum state { EMPTY, IN_LOG, IN_FILES, IN_BOTH, ROTATED, FLUSH_FAILED, FLUSH_FAILED_TWICE, CACHE_FULL, REFUSED, READ_ONLY, STATES };

static void put_both(struct world *world, int time)
{
    char text[64];
    (void)snprintf(text, sizeof text, "m,t=a v=%d %d\n", time, time);
    if (time <= 2)
        world_put(world, text);
    put_gone(world, text);
}

/* A segment of the log that was begun and in which nothing is. */
static void rotate(struct world *world)
{
    uint64_t first;
    af_wal_pause(world->engine->wal);
    AF_CHECK_OK(af_wal_rotate(world->engine->wal, &first, &world->err), world->err);
    af_wal_resume(world->engine->wal);
}

/* As far as the cache takes it; it cannot be written out. */
static void fill_cache(struct world *world)
{
    struct af_write write = { .precision_ns = 1 };
    struct af_write_answer answer;
    struct af_store *store = store_of(world, GONE);
    struct af_buf lines;
    enum af_status status = AF_OK;
    af_buf_init(&lines, 1 << 20);
    for (int i = 0; i < 2000; i++)
        af_buf_printf(&lines, "m,t=a s=\"some text that takes room\" %d\n", 1000 + i);
    write.lines = af_buf_slice(&lines);
    for (int i = 0; i < 100 && status == AF_OK; i++) {
        empty_disk();
        world->engine->at.retry_mono_ns = INT64_MAX; /* no flush when half full */
        status = af_cache_bytes(world->engine->at.active) < world->options.cache_bytes ? af_store_write(store, &write, &answer, &world->err)
                                                                                       : AF_EFULL;
    }
    AF_CHECK_INT(status, AF_EFULL);
    world->engine->at.retry_mono_ns = 0;
    af_buf_done(&lines);
    af_store_close(store);
}

static void reach(struct world *world, enum state state)
{
    struct af_write_answer answer;
    if (state == EMPTY) {
        world_put(world, "m,t=a v=1 1\nm,t=a v=2 2\n");
        return;
    }
    put_both(world, 1);
    if (state == IN_FILES || state == IN_BOTH || state == FLUSH_FAILED_TWICE)
        world_flush(world);
    put_both(world, 2);
    if (state == IN_FILES)
        world_flush(world);
    if (state == ROTATED)
        rotate(world);
    if (state == CACHE_FULL)
        fill_cache(world);
    if (state == FLUSH_FAILED || state == FLUSH_FAILED_TWICE) {
        af_os_fault(AF_OS_WRITE, 2, UINT64_MAX, ENOSPC); /* the log begins a segment, and there is a frozen cache */
        AF_CHECK_FAILS(af_tsm_flush(world->engine, &world->err), AF_EFULL);
        AF_CHECK(world->engine->at.frozen != NULL);
        empty_disk();
        put_both(world, 3);
        af_os_fault(AF_OS_WRITE, 3, UINT64_MAX, ENOSPC);
        if (state == FLUSH_FAILED_TWICE)
            AF_CHECK_FAILS(af_tsm_flush(world->engine, &world->err), AF_EFULL);
    }
    fill_disk();
    if (state == REFUSED)
        AF_CHECK_FAILS(world_try_write(world, "m,t=a v=7 7\n", &answer), AF_EFULL);
    if (state == READ_ONLY) {
        empty_disk();
        af_os_fault(AF_OS_SYNC, 1, 1, EIO);
        AF_CHECK_FAILS(world_try_write(world, "m,t=a v=1 1\n", &answer), AF_EIO); /* may be there: it says the same */
        AF_CHECK(world_stats(world).is_read_only);
    }
}

static void run_state(enum state state, bool is_full_at_drop)
{
    struct world world;
    char name[32];
    (void)snprintf(name, sizeof name, "s%d%d", (int)state, (int)is_full_at_drop);
    world_init(&world, name);
    world_open(&world);
    set_bucket(&world, GONE);
    reach(&world, state);
    if (is_full_at_drop)
        fill_disk();
    else
        empty_disk();
    AF_CHECK_OK(af_tsm_bucket_drop(world.engine, GONE, &world.err), world.err);
    AF_CHECK(!af_tsm_bucket_has(world.engine, GONE, NULL));
    AF_CHECK_INT(af_path_kind(world_path(&world, "engine/data/00000000000000b2")), AF_PATH_NONE);
    AF_CHECK_INT(af_path_kind(world_path(&world, "engine/data/00000000000000b2.dropped")), AF_PATH_NONE);
    world_check(&world, "m", KEPT_POINTS);
    world_close(&world); /* as a kill would */
    empty_disk();
    world_open(&world);
    AF_CHECK(!af_tsm_bucket_has(world.engine, GONE, NULL));
    world_check(&world, "m", KEPT_POINTS);
    set_bucket(&world, GONE); /* nothing comes back to it */
    check_gone(&world, "");
    put_gone(&world, "m,t=a v=\"another type\" 1\n");
    world_reopen(&world);
    check_gone(&world, "m,t=a 1 v=\"another type\"\n");
    world_check(&world, "m", KEPT_POINTS);
    world_close(&world);
}

AF_TEST(a_bucket_is_dropped_on_a_full_disk_in_any_state)
{
    for (int state = 0; state < STATES; state++)
        run_state((enum state)state, true);
}

AF_TEST(a_bucket_is_dropped_when_there_is_room_again)
{
    for (int state = 0; state < STATES; state++)
        run_state((enum state)state, false);
}

/* Its points are in the log; a new one of that id is not made before they are out of it. */
AF_TEST(a_bucket_of_the_same_id_waits_for_the_log)
{
    struct world world;
    struct af_tsm_bucket settings = { .id = GONE };
    world_init(&world, "a");
    world_open(&world);
    set_bucket(&world, GONE);
    put_both(&world, 1);
    fill_disk();
    AF_CHECK_OK(af_tsm_bucket_drop(world.engine, GONE, &world.err), world.err);
    for (int round = 0; round < 2; round++) {
        fill_disk();
        AF_CHECK_FAILS(af_tsm_bucket_set(world.engine, &settings, &world.err), AF_EFULL);
        AF_CHECK(!af_tsm_bucket_has(world.engine, GONE, NULL));
        empty_disk();
        if (round == 0)
            world_reopen(&world); /* a replay learns it again */
    }
    set_bucket(&world, GONE);
    check_gone(&world, "");
    world_reopen(&world);
    check_gone(&world, "");
    world_close(&world);
}

/* --- a crash ------------------------------------------------------------------------------------------------------------------------- */

static void work_to_be_cut(struct world *world, struct crash_disk *disk, size_t *out_began, size_t *out_ended)
{
    world_open(world);
    set_bucket(world, GONE);
    put_both(world, 1);
    world_flush(world);
    put_both(world, 2);
    *out_began = crash_disk_moment(disk);
    AF_CHECK_OK(af_tsm_bucket_drop(world->engine, GONE, &world->err), world->err);
    *out_ended = crash_disk_moment(disk);
    set_bucket(world, GONE);
    put_gone(world, "m,t=a v=\"new\" 1\n");
    world_close(world);
}

/* Whole, or gone, or begun anew; and so again when it is opened once more. */
static void check_cut(struct world *cut, bool may_be_whole, bool may_be_gone, bool may_be_new)
{
    for (int round = 0; round < 2; round++) {
        world_open(cut);
        world_check(cut, "m", KEPT_POINTS);
        bool has = af_tsm_bucket_has(cut->engine, GONE, NULL);
        char *got = has ? dump_gone(cut) : NULL;
        bool is_whole = has && strcmp(got, KEPT_POINTS) == 0;
        bool is_new = has && (got[0] == '\0' || strcmp(got, "m,t=a 1 v=\"new\"\n") == 0);
        if (!((may_be_whole && is_whole) || (may_be_gone && !has) || (may_be_new && is_new)))
            af_test_failed(__FILE__, __LINE__, "the bucket has\n%s", has ? got : "(it is not there)");
        free(got);
        world_close(cut);
    }
}

AF_TEST(a_bucket_that_is_dropped_survives_a_crash_whole_or_not_at_all)
{
    struct world world;
    struct world cut;
    size_t began;
    size_t ended;
    world_init(&world, "power");
    world_init(&cut, "cut");
    struct crash_disk *disk = crash_disk_new(world.dir);
    work_to_be_cut(&world, disk, &began, &ended);
    size_t last = crash_disk_moment(disk);
    crash_disk_stop(disk);
    AF_CHECK(began < ended && ended < last);
    for (size_t moment = began; moment <= last; moment++)
        for (uint64_t seed = 0; seed < 8; seed++) {
            crash_disk_build(disk, moment, seed, cut.dir);
            check_cut(&cut, moment < ended, true, moment > ended);
        }
    crash_disk_free(disk);
}

/* --- room that is set aside ------------------------------------------------------------------------------------------------------- */

static unsigned lent;

static void on_change(void *ctx, const struct af_os_event *event)
{
    size_t len = strlen(event->path);
    (void)ctx;
    if (event->change != AF_OS_REMOVED || len < 8 || strcmp(event->path + len - 8, "/reserve") != 0)
        return;
    lent++;
    empty_disk();
}

static void open_with_reserve(struct world *world, const char *name)
{
    world_init(world, name);
    world->options.is_manual = false;
    world->options.cold_s = 3600;
    world_open(world);
    set_bucket(world, GONE);
    AF_CHECK_INT(af_path_kind(world_path(world, "reserve")), AF_PATH_FILE);
    lent = 0;
    af_os_observe(on_change, NULL);
}

static void close_with_reserve(struct world *world)
{
    af_os_observe(NULL, NULL);
    empty_disk();
    world_close(world);
}

/* All that the bucket has is in the log, nobody else gives room, and it heals. */
AF_TEST(dropping_a_bucket_that_is_only_in_the_log_makes_room)
{
    struct world world;
    struct af_write_answer answer;
    open_with_reserve(&world, "a");
    put_both(&world, 1);
    put_both(&world, 2);
    fill_disk();
    AF_CHECK_FAILS(world_try_write(&world, "m,t=a v=7 7\n", &answer), AF_EFULL);
    AF_CHECK_OK(af_tsm_bucket_drop(world.engine, GONE, &world.err), world.err);
    AF_CHECK_INT(lent, 1);
    AF_CHECK(world_stats(&world).wal_bytes < 64);
    AF_CHECK_INT(af_path_kind(world_path(&world, "reserve")), AF_PATH_FILE);
    world_check(&world, "m", KEPT_POINTS);
    world_put(&world, "m,t=a v=2 2\n");
    AF_CHECK(!world_stats(&world).is_full);
    close_with_reserve(&world);
    world_open(&world);
    world_check(&world, "m", KEPT_POINTS);
    world_close(&world);
}

AF_TEST(points_are_deleted_with_the_room_that_is_set_aside)
{
    struct world world;
    struct af_scan all = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = 2 };
    open_with_reserve(&world, "a");
    put_both(&world, 1);
    put_both(&world, 2);
    fill_disk();
    AF_CHECK_OK(af_store_erase(world.store, &all, &world.err), world.err);
    AF_CHECK_INT(lent, 1);
    world_check(&world, "m", "m,t=a 2 v=0x1p+1\n");
    close_with_reserve(&world);
    world_open(&world);
    world_check(&world, "m", "m,t=a 2 v=0x1p+1\n");
    world_close(&world);
}

/* A directory that has no room for a longer name. */
AF_TEST(a_rename_that_needs_room_gets_it)
{
    struct world world;
    open_with_reserve(&world, "a");
    put_both(&world, 1);
    put_both(&world, 2);
    af_os_fault(AF_OS_RENAME, 1, 1, ENOSPC);
    AF_CHECK_OK(af_tsm_bucket_drop(world.engine, GONE, &world.err), world.err);
    af_os_fault(AF_OS_RENAME, 0, 0, 0);
    AF_CHECK_INT(lent, 1);
    AF_CHECK(!af_tsm_bucket_has(world.engine, GONE, NULL));
    AF_CHECK_INT(af_path_kind(world_path(&world, "reserve")), AF_PATH_FILE);
    close_with_reserve(&world);
}

/* Without it a drop that cannot even rename fails, and nothing has changed. */
AF_TEST(a_drop_that_fails_changes_nothing)
{
    struct world world;
    world_init(&world, "a");
    world_open(&world);
    set_bucket(&world, GONE);
    put_both(&world, 1);
    put_both(&world, 2);
    af_os_fault(AF_OS_RENAME, 1, 1, ENOSPC);
    AF_CHECK_FAILS(af_tsm_bucket_drop(world.engine, GONE, &world.err), AF_EFULL);
    af_os_fault(AF_OS_RENAME, 0, 0, 0);
    check_gone(&world, KEPT_POINTS);
    put_both(&world, 1);
    world_reopen(&world);
    check_gone(&world, KEPT_POINTS);
    AF_CHECK_OK(af_tsm_bucket_drop(world.engine, GONE, &world.err), world.err);
    world_close(&world);
}

/* What is left of it by a kill is made whole; where there is no room it is not there, until there is. */
AF_TEST(the_reserve_comes_and_goes)
{
    struct world world;
    uint64_t bytes = 0;
    world_init(&world, "a");
    world.options.is_manual = false;
    world_open(&world);
    world_close(&world);
    AF_CHECK_OK(af_path_size(world_path(&world, "reserve"), &bytes, NULL, &world.err), world.err);
    AF_CHECK(bytes > 100000);
    AF_CHECK_OK(af_file_write_atomic(world_path(&world, "reserve"), AF_SLICE_LIT("half"), false, &world.err), world.err);
    af_os_fault(AF_OS_WRITE, 3, UINT64_MAX, ENOSPC); /* the lock and the log are written */
    world_open(&world);
    AF_CHECK_INT(af_path_kind(world_path(&world, "reserve")), AF_PATH_NONE);
    empty_disk();
    world_put(&world, "m v=1 1\n");
    world_flush(&world);
    AF_CHECK_OK(af_path_size(world_path(&world, "reserve"), &bytes, NULL, &world.err), world.err);
    AF_CHECK(bytes > 100000);
    world_close(&world);
}
