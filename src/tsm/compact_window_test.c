/*
 * compact_window_test.c - compaction of files whose indexes are longer than a window of a cursor: keys that a cursor gave are gone when
 * it goes on, and no file's key may be passed over because of that.
 */
#include "tsm/engine_fixture.h"

enum { SERIES = 4000 };

/* Series first, first + step ... in one file; keys of the same length, which are compared byte by byte. */
static void put_file(struct world *world, int64_t time, size_t first, size_t step)
{
    struct af_buf lines;
    af_buf_init(&lines, (size_t)1 << 30);
    for (size_t i = first; i < SERIES; i += step)
        af_buf_printf(&lines, "m,host=h%05zu,where=somewhere-in-a-long-tag-value v=%zu %lld\n", i, i, (long long)time);
    world_put(world, af_buf_cstr(&lines));
    af_buf_done(&lines);
    world_flush(world);
}

static void compact_and_compare(struct world *world)
{
    bool done;
    char *before = world_dump(world->store, "m");
    AF_CHECK_OK(af_tsm_compact(world->engine, true, &done, &world->err), world->err);
    AF_CHECK(done);
    AF_CHECK_INT(world_stats(world).files, 1);
    world_check(world, "m", before);
    free(before);
    world_close(world);
}

/* The oldest file begins with a greater key than the next one, again and again. */
AF_TEST(an_older_file_is_behind_a_newer_one)
{
    struct world world;
    world_init(&world, "d");
    world.options.cache_bytes = 64 << 20;
    world_open(&world);
    put_file(&world, 1, 7, 10);
    put_file(&world, 2, 1, 1);
    put_file(&world, 3, 3, 4);
    compact_and_compare(&world);
}

AF_TEST(all_files_have_all_keys)
{
    struct world world;
    world_init(&world, "d");
    world.options.cache_bytes = 64 << 20;
    world_open(&world);
    for (int64_t time = 1; time <= 4; time++)
        put_file(&world, time, 0, 1);
    compact_and_compare(&world);
}
