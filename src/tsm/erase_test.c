/* erase_test.c - deletions: against the memory store, across reopening and compaction, with writers beside them, with faults half way. */
#include "base/alloc.h"
#include "base/prng.h"
#include "os/fault.h"
#include "os/thread.h"
#include "tsm/engine_fixture.h"
#include <errno.h>

static const struct af_predicate host_a = { .op = AF_PREDICATE_EQUAL, .tag = { "h", 1 }, .value = { "a", 1 } };

static void both_write(struct world *world, struct af_store *oracle, const char *lines)
{
    world_put(world, lines);
    af_contract_write(oracle, af_slice_of(lines), 1);
}

static void both_erase(struct world *world, struct af_store *oracle, const struct af_scan *scan)
{
    AF_CHECK_OK(af_store_erase(world->store, scan, &world->err), world->err);
    AF_CHECK_OK(af_store_erase(oracle, scan, &world->err), world->err);
}

static char *series_of(struct world *world, const char *measurement)
{
    struct af_scan scan = { .measurement = measurement, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    struct af_buf text;
    af_arena_init(&arena, SIZE_MAX / 2);
    af_buf_init(&text, 1 << 20);
    AF_CHECK_OK(af_store_list(world->store, AF_LIST_SERIES, &scan, &stream, &world->err), world->err);
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &world->err), world->err);
        if (batch == NULL)
            break;
        for (size_t row = 0; row < batch->row_count; row++) {
            af_buf_append_slice(&text, af_column_text(&batch->columns[0], row));
            af_buf_append_char(&text, ';');
        }
    }
    af_stream_close(stream);
    char *copy = strdup(af_buf_cstr(&text));
    af_buf_done(&text);
    af_arena_done(&arena);
    return copy;
}

static void check_series(struct world *world, const char *measurement, const char *want)
{
    char *got = series_of(world, measurement);
    AF_CHECK_STR(got, want);
    free(got);
}

static struct af_store *oracle_new(struct world *world)
{
    struct af_store *oracle;
    AF_CHECK_OK(af_memory_open(NULL, &oracle, &world->err), world->err);
    return oracle;
}

AF_TEST(erase_random_equals_the_memory_store)
{
    struct world world;
    struct af_prng prng = { 4 };
    world_init(&world, "e");
    world_open(&world);
    struct af_store *oracle = oracle_new(&world);
    for (int round = 0; round < 60; round++) {
        char lines[8192] = "";
        size_t len = 0;
        for (size_t i = 0; i < 60; i++)
            len += (size_t)snprintf(lines + len, sizeof lines - len, "%s,h=%c%s v=%u%s %lld\n",
                                    af_prng_below(&prng, 2) != 0 ? "m" : "n\\,x",
                                    (int)('a' + af_prng_below(&prng, 3)), af_prng_below(&prng, 2) != 0 ? ",g=1" : "",
                                    (unsigned)af_prng_below(&prng, 1000), af_prng_below(&prng, 3) == 0 ? ",s=\"t\",b=true" : "",
                                    (long long)af_prng_below(&prng, 40) * 86400 * 1000000000);
        both_write(&world, oracle, lines);
        struct af_scan scan = { .measurement = round % 3 == 0 ? NULL : round % 3 == 1 ? "m" : "n,x",
                                .predicate = round % 2 != 0 ? &host_a : NULL };
        scan.start_ns = round % 7 == 0 ? INT64_MIN : (int64_t)af_prng_below(&prng, 40) * 86400 * 1000000000;
        scan.stop_ns = round % 11 == 0 ? INT64_MAX : scan.start_ns + (int64_t)af_prng_below(&prng, 20) * 86400 * 1000000000;
        if (round % 7 == 0 && round % 11 != 0)
            scan.stop_ns = 86400 * INT64_C(1000000000) * 5;
        both_erase(&world, oracle, &scan);
        if (round % 5 == 4)
            world_reopen(&world);
        bool done = round % 4 == 3;
        while (done)
            AF_CHECK_OK(af_tsm_compact(world.engine, round % 8 == 7, &done, &world.err), world.err);
        world_check_same(&world, oracle, "m");
        world_check_same(&world, oracle, "n,x");
    }
    world_close(&world);
    af_store_close(oracle);
}

AF_TEST(erased_series_are_hidden)
{
    struct world world;
    const struct af_scan all = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .predicate = &host_a };
    const struct af_scan some = { .measurement = "m", .start_ns = 0, .stop_ns = 15 };
    world_init(&world, "h");
    world_open(&world);
    world_put(&world, "m,h=a v=1 10\nm,h=b v=1 20\nm,h=c v=1 10\n");
    world_flush(&world);
    check_series(&world, "m", "m,h=a;m,h=b;m,h=c;");
    AF_CHECK_OK(af_store_erase(world.store, &all, &world.err), world.err);
    check_series(&world, "m", "m,h=b;m,h=c;");
    AF_CHECK_OK(af_store_erase(world.store, &some, &world.err), world.err); /* h=b has a point later */
    check_series(&world, "m", "m,h=b;");
    world_put(&world, "m,h=a v=2 11\n");
    check_series(&world, "m", "m,h=a;m,h=b;");
    world_check(&world, "m", "m,h=a 11 v=0x1p+1\nm,h=b 20 v=0x1p+0\n");
    world_flush(&world);
    world_reopen(&world);
    check_series(&world, "m", "m,h=a;m,h=b;");
    world_check(&world, "m", "m,h=a 11 v=0x1p+1\nm,h=b 20 v=0x1p+0\n");
    world_close(&world);
}

/* What is whole gone leaves no file. */
AF_TEST(erase_of_everything_unlinks)
{
    struct world world;
    struct af_tsm_stats_now now;
    const struct af_scan all = { .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    world_init(&world, "w");
    world_open(&world);
    for (int i = 0; i < 3; i++) {
        world_put(&world, "m,h=a v=1 10\nm,h=b v=1 20\nn v=3 10\n");
        world_flush(&world);
    }
    af_tsm_stats_get_now(world.engine, &now);
    AF_CHECK_INT(now.files, 3);
    AF_CHECK_OK(af_store_erase(world.store, &all, &world.err), world.err);
    af_tsm_stats_get_now(world.engine, &now);
    AF_CHECK_INT(now.files, 0);
    AF_CHECK_INT(now.series, 0);
    world_reopen(&world);
    world_check(&world, "m", "");
    world_put(&world, "m,h=a v=1 10\n");
    world_flush(&world);
    world_reopen(&world);
    world_check(&world, "m", "m,h=a 10 v=0x1p+0\n");
    world_close(&world);
}

/* A point was overwritten in a later file. A deletion that fails half way, at whatever call, and a restart: it is gone or it is the newest,
 * never what it was before. */
AF_TEST(erase_half_done_brings_nothing_back)
{
    static const struct {
        enum af_os_call call;
        int code;
    } faults[] = { { AF_OS_WRITE, ENOSPC }, { AF_OS_SYNC, EIO }, { AF_OS_RENAME, EIO }, { AF_OS_READ, EIO } };
    const struct af_scan scan = { .measurement = "m", .start_ns = 5, .stop_ns = INT64_MAX, .predicate = &host_a };
    for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++)
        for (uint64_t n = 1;; n++) {
            struct world world;
            char name[64];
            (void)snprintf(name, sizeof name, "f%zu-%u", f, (unsigned)n);
            world_init(&world, name);
            world_open(&world);
            world_put(&world, "m,h=a v=1 10\nm,h=b v=1 20\n");
            world_flush(&world);
            world_put(&world, "m,h=a v=2 10\n"); /* wholly covered: unlinked */
            world_flush(&world);
            world_put(&world, "m,h=a v=3 10\nm,h=a v=3 1\n");
            world_flush(&world);
            af_os_fault(faults[f].call, n, 1, faults[f].code);
            enum af_status status = af_store_erase(world.store, &scan, &world.err);
            af_os_fault(faults[f].call, 0, 0, 0);
            world_reopen(&world);
            char *got = world_dump(world.store, "m");
            const bool gone = strcmp(got, "m,h=a 1 v=0x1.8p+1\nm,h=b 20 v=0x1p+0\n") == 0;
            const bool newest = strcmp(got, "m,h=a 1 v=0x1.8p+1\nm,h=a 10 v=0x1.8p+1\nm,h=b 20 v=0x1p+0\n") == 0;
            if (!gone && !newest)
                fprintf(stderr, "fault %zu, call %u: %s", f, (unsigned)n, got);
            AF_CHECK(gone || (newest && status != AF_OK));
            free(got);
            world_close(&world);
            AF_CHECK(n < 200);
            if (status == AF_OK)
                break;
        }
}

/* --- beside writers --------------------------------------------------------------------------------------------------------------- */

struct writer {
    struct world *world;
    _Atomic bool *stop;
    unsigned rounds;
};

static void write_on(void *ctx)
{
    struct writer *writer = ctx;
    while (!*writer->stop) {
        char line[64];
        struct af_write_answer answer;
        (void)snprintf(line, sizeof line, "m,h=w v=%u 1000\n", ++writer->rounds);
        AF_CHECK_OK(world_try_write(writer->world, line, &answer), writer->world->err);
    }
}

/* Series are hidden while a writer writes them: after its last write the series and its point are there. */
AF_TEST(erase_beside_a_writer)
{
    struct world world;
    _Atomic bool stop = false;
    struct af_thread thread;
    const struct af_scan all = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_error err;
    world_init(&world, "b");
    world_open(&world);
    struct writer writer = { .world = &world, .stop = &stop };
    AF_CHECK_OK(af_thread_start(&thread, "writer", write_on, &writer, &err), err);
    for (int i = 0; i < 60; i++)
        AF_CHECK_OK(af_tsm_erase(world.engine, BUCKET, &all, &err), err);
    stop = true;
    af_thread_join(&thread);
    world_put(&world, "m,h=w v=7 1000\n");
    check_series(&world, "m", "m,h=w;");
    world_check(&world, "m", "m,h=w 1000 v=0x1.cp+2\n");
    AF_CHECK_OK(af_tsm_erase(world.engine, BUCKET, &all, &err), err);
    check_series(&world, "m", "");
    world_close(&world);
}

AF_TEST(erase_without_memory)
{
    struct world world;
    const struct af_scan scan = { .measurement = "m", .start_ns = 5, .stop_ns = 30, .predicate = &host_a };
    world_init(&world, "a");
    world_open(&world);
    world_put(&world, "m,h=a v=1 10\nm,h=b v=1 20\nm,h=a v=1 40\n");
    enum af_status status = AF_ENOMEM;
    size_t n = 0;
    while (status != AF_OK) {
        af_alloc_fail_nth(++n);
        status = af_tsm_erase(world.engine, BUCKET, &scan, &world.err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK(n < 20000);
    }
    world_check(&world, "m", "m,h=a 40 v=0x1p+0\nm,h=b 20 v=0x1p+0\n");
    world_reopen(&world);
    world_check(&world, "m", "m,h=a 40 v=0x1p+0\nm,h=b 20 v=0x1p+0\n");
    world_close(&world);
}
