/* engine_test.c - opening and closing, buckets, shards as objects, what is rebuilt when it is lost. */
#include "base/calendar.h"
#include "os/clock.h"
#include "os/fault.h"
#include "os/tree.h"
#include "tsm/engine_fixture.h"
#include "tsm/index_int.h"
#include <errno.h>

#define HOUR (INT64_C(3600) * 1000000000)
#define DAY (24 * HOUR)
#define BUCKET_DIR "engine/data/00000000000000b1"

/* --- shard groups ---------------------------------------------------------------------------------------------------------- */

static void check_group(int64_t shard_ns, int64_t time_ns, int64_t start, int64_t end)
{
    int64_t got_start;
    int64_t got_end;
    core_group_of(shard_ns, time_ns, &got_start, &got_end);
    AF_CHECK_INT(got_start, start);
    AF_CHECK_INT(got_end, end);
    AF_CHECK(got_start <= time_ns && (time_ns < got_end || got_end == INT64_MAX));
}

AF_TEST(groups_are_counted_from_the_year_one)
{
    int64_t monday = af_days_from_civil(2024, 1, 1) * DAY;
    check_group(7 * DAY, monday, monday, monday + 7 * DAY);
    check_group(7 * DAY, monday - 1, monday - 7 * DAY, monday);
    check_group(DAY, 0, 0, DAY);
    check_group(DAY, -1, -DAY, 0);
    check_group(HOUR, 5 * HOUR + 1, 5 * HOUR, 6 * HOUR);
    check_group(7 * DAY, 0, -3 * DAY, 4 * DAY); /* 1970-01-01 was a Thursday */
    int64_t start;
    int64_t end;
    core_group_of(7 * DAY, INT64_MIN + 2, &start, &end);
    AF_CHECK_INT(start, INT64_MIN);
    core_group_of(7 * DAY, INT64_MAX - 1, &start, &end);
    AF_CHECK_INT(end, INT64_MAX);
    core_group_of(INT64_MAX, 0, &start, &end);
    AF_CHECK(start <= 0 && end > 0);
}

AF_TEST(default_lengths_are_influxdbs)
{
    AF_CHECK_INT(af_tsm_default_shard_ns(0), 7 * DAY);
    AF_CHECK_INT(af_tsm_default_shard_ns(HOUR), HOUR);
    AF_CHECK_INT(af_tsm_default_shard_ns(2 * DAY - 1), HOUR);
    AF_CHECK_INT(af_tsm_default_shard_ns(2 * DAY), DAY);
    AF_CHECK_INT(af_tsm_default_shard_ns(180 * DAY - 1), DAY);
    AF_CHECK_INT(af_tsm_default_shard_ns(180 * DAY), 7 * DAY);
}

/* A shorter or longer duration than before: new groups are cut to what the old ones leave. */
AF_TEST(groups_do_not_overlap_when_the_duration_changes)
{
    struct world world;
    world_init(&world, "a");
    world_open(&world);
    world_put(&world, "m v=1 0\n");
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ .id = BUCKET, .shard_ns = 30 * DAY }, &world.err), world.err);
    char text[64];
    for (int64_t day = -40; day < 40; day++) {
        (void)snprintf(text, sizeof text, "m v=1 %lld\n", (long long)(day * DAY));
        world_put(&world, text);
    }
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    for (int round = 0; round < 2; round++) {
        struct af_tsm_shard_info *shards;
        size_t count;
        AF_CHECK_OK(af_tsm_shards(world.engine, BUCKET, &arena, &shards, &count, &world.err), world.err);
        AF_CHECK(count >= 4);
        for (size_t i = 1; i < count; i++)
            AF_CHECK(shards[i - 1].end_ns <= shards[i].start_ns);
        world_flush(&world);
        world_reopen(&world);
    }
    af_arena_done(&arena);
    world_close(&world);
}

/* --- open, close, one owner ------------------------------------------------------------------------------------------------ */

AF_TEST(one_owner)
{
    struct world world;
    struct world other;
    world_init(&world, "a");
    world_init(&other, "a");
    world_open(&world);
    AF_CHECK_FAILS(world_try_open(&other), AF_EBUSY);
    AF_CHECK(strstr(other.err.message, "in use by process") != NULL);
    world_close(&world);
    world_open(&other);
    world_close(&other);
}

AF_TEST(buckets_are_kept)
{
    struct world world;
    struct af_tsm_bucket got;
    world_init(&world, "a");
    world_open(&world);
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ 7, 30 * DAY, DAY }, &world.err), world.err);
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ 9, 0, 0 }, &world.err), world.err);
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ 7, 31 * DAY, 2 * DAY }, &world.err), world.err);
    AF_CHECK_OK(af_tsm_bucket_drop(world.engine, 9, &world.err), world.err);
    AF_CHECK_OK(af_tsm_bucket_drop(world.engine, 12345, &world.err), world.err);
    world_reopen(&world);
    AF_CHECK(af_tsm_bucket_has(world.engine, 7, &got) && got.retention_ns == 31 * DAY && got.shard_ns == 2 * DAY);
    AF_CHECK(!af_tsm_bucket_has(world.engine, 9, NULL));
    AF_CHECK_INT(world_stats(&world).buckets, 2);
    AF_CHECK_FAILS(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ 7, -1, 0 }, &world.err), AF_EINVAL);
    world_close(&world);
}

AF_TEST(a_dropped_bucket_stays_gone)
{
    struct world world;
    world_init(&world, "a");
    world_open(&world);
    world_put(&world, "m v=1 1\n");
    world_flush(&world);
    world_put(&world, "m v=2 2\n");
    AF_CHECK_OK(af_tsm_bucket_drop(world.engine, BUCKET, &world.err), world.err);
    struct af_write_answer answer;
    AF_CHECK_FAILS(world_try_write(&world, "m v=1 1\n", &answer), AF_ENOTFOUND);
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ .id = BUCKET }, &world.err), world.err);
    world_check(&world, "m", "");
    world_put(&world, "m v=3i 3\n"); /* another type: nothing is left of the old one */
    world_reopen(&world);
    world_check(&world, "m", "m 3 v=3i\n");
    world_close(&world);
}

/* --- what is lost and found ------------------------------------------------------------------------------------------------ */

static void fill(struct world *world)
{
    world_open(world);
    world_put(world, "m,t=a v=1,s=\"x\" 1\nm,t=b v=2 2\nn w=3i 3\nm,t=a v=4 700000000000000000\n");
    world_flush(world);
    world_put(world, "m,t=c v=5 5\n");
}

static void check_points(struct world *world)
{
    world_check(world, "m", "m,t=a 1 s=\"x\" v=0x1p+0\nm,t=a 700000000000000000 v=0x1p+2\nm,t=b 2 v=0x1p+1\nm,t=c 5 v=0x1.4p+2\n");
    world_check(world, "n", "n 3 w=3i\n");
    AF_CHECK_INT(world_write(world, "m v=1i 1\n").dropped, 1);
}

static void check_filled(struct world *world)
{
    check_points(world);
    AF_CHECK_INT(world_stats(world).shards, 2);
}

static const char *const rebuilt[] = { BUCKET_DIR "/series", BUCKET_DIR "/autogen/1/fields", BUCKET_DIR "/autogen/2/fields" };

AF_TEST(index_and_types_are_rebuilt_when_missing)
{
    struct world world;
    world_init(&world, "a");
    fill(&world);
    world_close(&world);
    for (size_t i = 0; i < sizeof rebuilt / sizeof rebuilt[0]; i++) {
        AF_CHECK_INT(af_path_kind(world_path(&world, rebuilt[i])), AF_PATH_FILE);
        AF_CHECK_OK(af_path_remove(world_path(&world, rebuilt[i]), &world.err), world.err);
    }
    world_open(&world);
    check_filled(&world);
    world_flush(&world);
    world_reopen(&world);
    check_filled(&world);
    world_close(&world);
}

/* Every byte flipped: the answers are the same. */
AF_TEST(index_and_types_are_rebuilt_when_damaged)
{
    struct world world;
    world_init(&world, "a");
    fill(&world);
    world_flush(&world);
    world_close(&world);
    for (size_t i = 0; i < sizeof rebuilt / sizeof rebuilt[0]; i++) {
        struct af_buf bytes;
        af_buf_init(&bytes, 1 << 20);
        AF_CHECK_OK(af_file_read_all(world_path(&world, rebuilt[i]), &bytes, &world.err), world.err);
        for (size_t at = 0; at < bytes.len; at++) {
            bytes.ptr[at] = (char)(bytes.ptr[at] ^ 0x10);
            AF_CHECK_OK(af_file_write_atomic(world_path(&world, rebuilt[i]), af_buf_slice(&bytes), false, &world.err), world.err);
            bytes.ptr[at] = (char)(bytes.ptr[at] ^ 0x10);
            world_open(&world);
            check_filled(&world);
            world_close(&world);
        }
        AF_CHECK_OK(af_file_write_atomic(world_path(&world, rebuilt[i]), af_buf_slice(&bytes), false, &world.err), world.err);
        af_buf_done(&bytes);
    }
}

AF_TEST(a_damaged_list_of_shards_is_named)
{
    struct world world;
    struct af_buf bytes;
    world_init(&world, "a");
    fill(&world);
    world_close(&world);
    af_buf_init(&bytes, 1 << 20);
    AF_CHECK_OK(af_file_read_all(world_path(&world, BUCKET_DIR "/shards"), &bytes, &world.err), world.err);
    for (size_t at = 0; at < bytes.len; at++) {
        bytes.ptr[at] = (char)(bytes.ptr[at] ^ 1);
        AF_CHECK_OK(af_file_write_atomic(world_path(&world, BUCKET_DIR "/shards"), af_buf_slice(&bytes), false, &world.err), world.err);
        bytes.ptr[at] = (char)(bytes.ptr[at] ^ 1);
        AF_CHECK_FAILS(world_try_open(&world), AF_ECORRUPT);
        AF_CHECK(strstr(world.err.message, BUCKET_DIR "/shards") != NULL);
    }
    af_buf_done(&bytes);
    AF_CHECK_OK(af_path_remove(world_path(&world, BUCKET_DIR "/shards"), &world.err), world.err);
    world_open(&world); /* each shard covers what its points cover; the one in the log has a shard of its own */
    check_points(&world);
    AF_CHECK_INT(world_stats(&world).shards, 3);
    world_flush(&world);
    world_reopen(&world);
    check_points(&world);
    world_close(&world);
}

/* A TSM file that is none any more: its shard refuses to be read by name, writes and other shards go on. */
AF_TEST(a_shard_that_lost_a_file_refuses_to_be_read)
{
    struct world world;
    struct af_stream *stream;
    world_init(&world, "a");
    fill(&world);
    world_flush(&world);
    world_close(&world);
    const char *path = world_path(&world, BUCKET_DIR "/autogen/1/000000001-000000001.tsm");
    AF_CHECK_OK(af_file_write_atomic(path, AF_SLICE_LIT("no TSM file"), false, &world.err), world.err);
    for (int i = 0; i < 2; i++) {
        world_open(&world);
        struct af_scan scan = { .measurement = "m", .start_ns = 0, .stop_ns = 10 };
        AF_CHECK_FAILS(af_store_scan(world.store, &scan, &stream, &world.err), AF_ECORRUPT);
        AF_CHECK(strstr(world.err.message, "autogen/1 has lost a damaged file") != NULL);
        scan.start_ns = 600000000000000000;
        scan.stop_ns = INT64_MAX;
        AF_CHECK_OK(af_store_scan(world.store, &scan, &stream, &world.err), world.err);
        af_stream_close(stream);
        world_put(&world, "m,t=a v=6 6\n");
        AF_CHECK_FAILS(af_tsm_snapshot(world.engine, BUCKET, world_path(&world, "copy"), &world.err), AF_ECORRUPT);
        AF_CHECK_OK(af_dir_remove(world_path(&world, "copy"), &world.err), world.err);
        world_close(&world);
    }
}

/* --- retention ------------------------------------------------------------------------------------------------------------- */

AF_TEST(shards_past_the_retention_go)
{
    struct world world;
    char text[128];
    world_init(&world, "a");
    world_open(&world);
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ BUCKET, 3 * HOUR, HOUR }, &world.err), world.err);
    int64_t hour = world.now / HOUR * HOUR;
    world.now = hour + HOUR / 2;
    for (int i = 0; i < 3; i++) {
        (void)snprintf(text, sizeof text, "m v=%di %lld\n", i, (long long)(hour - i * HOUR));
        world_put(&world, text);
    }
    world_flush(&world);
    AF_CHECK_INT(world_stats(&world).shards, 3);
    AF_CHECK_OK(af_tsm_expire(world.engine, &world.err), world.err);
    AF_CHECK_INT(world_stats(&world).shards, 3);
    world.now = hour + 3 * HOUR; /* the oldest ends 4 hours before */
    AF_CHECK_OK(af_tsm_expire(world.engine, &world.err), world.err);
    AF_CHECK_INT(world_stats(&world).shards, 2);
    AF_CHECK_INT(af_path_kind(world_path(&world, BUCKET_DIR "/autogen/3")), AF_PATH_NONE);
    world_reopen(&world);
    AF_CHECK_INT(world_stats(&world).shards, 2);
    (void)snprintf(text, sizeof text, "m %lld v=1i\nm %lld v=0i\n", (long long)(hour - HOUR), (long long)hour);
    world_check(&world, "m", text);
    world_close(&world);
}

AF_TEST(a_shard_is_dropped_when_asked)
{
    struct world world;
    world_init(&world, "a");
    world_open(&world);
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ BUCKET, 0, HOUR }, &world.err), world.err);
    world_put(&world, "m v=1i 0\nm v=2i 3600000000000\nm v=3i 7200000000000\n");
    world_flush(&world);
    world_put(&world, "m v=4i 1\nm v=5i 3600000000001\n"); /* in the cache and the log */
    AF_CHECK_OK(af_tsm_drop_shard(world.engine, BUCKET, 99, &world.err), world.err);
    AF_CHECK_OK(af_tsm_drop_shard(world.engine, BUCKET + 1, 2, &world.err), world.err);
    AF_CHECK_INT(world_stats(&world).shards, 3);
    AF_CHECK_OK(af_tsm_drop_shard(world.engine, BUCKET, 2, &world.err), world.err);
    AF_CHECK_INT(world_stats(&world).shards, 2);
    AF_CHECK_INT(af_path_kind(world_path(&world, BUCKET_DIR "/autogen/2")), AF_PATH_NONE);
    AF_CHECK_INT(af_path_kind(world_path(&world, BUCKET_DIR "/autogen/2.dropped")), AF_PATH_NONE);
    world_check(&world, "m", "m 0 v=1i\nm 1 v=4i\nm 7200000000000 v=3i\n");
    world_reopen(&world);
    world_check(&world, "m", "m 0 v=1i\nm 1 v=4i\nm 7200000000000 v=3i\n");
    world_put(&world, "m v=6i 3600000000002\n");
    AF_CHECK_INT(world_stats(&world).shards, 3);
    AF_CHECK_INT(af_path_kind(world_path(&world, BUCKET_DIR "/autogen/2")), AF_PATH_NONE); /* ids are not used twice */
    world_flush(&world);
    AF_CHECK_INT(af_path_kind(world_path(&world, BUCKET_DIR "/autogen/4")), AF_PATH_DIR);
    world_check(&world, "m", "m 0 v=1i\nm 1 v=4i\nm 3600000000002 v=6i\nm 7200000000000 v=3i\n");
    world_close(&world);
}

/* A reader that has a view reads on when the shard is dropped under it. */
AF_TEST(readers_outlive_expiry)
{
    struct world world;
    struct af_view *view;
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    world_init(&world, "a");
    world_open(&world);
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ BUCKET, HOUR, HOUR }, &world.err), world.err);
    char text[64];
    (void)snprintf(text, sizeof text, "m v=1i %lld\n", (long long)world.now);
    world_put(&world, text);
    world_flush(&world);
    AF_CHECK_OK(af_view_open(world.engine, BUCKET, INT64_MIN, INT64_MAX, &view, &world.err), world.err);
    world.now += 10 * HOUR;
    AF_CHECK_OK(af_tsm_expire(world.engine, &world.err), world.err);
    AF_CHECK_INT(world_stats(&world).shards, 0);
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    AF_CHECK_OK(af_tsm_scan(view, &scan, &stream, &world.err), world.err);
    af_arena_init(&arena, 1 << 26);
    AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &world.err), world.err);
    AF_CHECK(batch != NULL && batch->row_count == 1);
    af_stream_close(stream);
    af_arena_done(&arena);
    world_check(&world, "m", "");
    world_close(&world);
}

/* --- statistics ------------------------------------------------------------------------------------------------------------ */

struct asker {
    struct world *world;
    bool has_stats, has_bucket;
};

static void ask_stats(void *ctx)
{
    struct asker *asker = ctx;
    (void)world_stats(asker->world);
    __atomic_store_n(&asker->has_stats, true, __ATOMIC_SEQ_CST);
}

static void ask_bucket(void *ctx)
{
    struct asker *asker = ctx;
    __atomic_store_n(&asker->has_bucket, af_tsm_bucket_has(asker->world->engine, BUCKET, NULL), __ATOMIC_SEQ_CST);
}

/* Whoever builds the columns of tags holds up the statistics, and nobody through them. */
AF_TEST(statistics_hold_nobody_up)
{
    struct world world;
    struct af_thread threads[2] = { 0 };
    world_init(&world, "a");
    world_open(&world);
    world_put(&world, "m,t=a v=1i 1\n");
    struct asker asker = { .world = &world };
    struct af_bucket *bucket = af_bucket_find(world.engine, BUCKET);
    af_mutex_lock(&bucket->index->tags_lock);
    AF_CHECK_OK(af_thread_start(&threads[0], "stats", ask_stats, &asker, &world.err), world.err);
    af_clock_sleep_ms(50);
    AF_CHECK_OK(af_thread_start(&threads[1], "bucket", ask_bucket, &asker, &world.err), world.err);
    for (int i = 0; i < 200 && !__atomic_load_n(&asker.has_bucket, __ATOMIC_SEQ_CST); i++)
        af_clock_sleep_ms(10);
    AF_CHECK(asker.has_bucket);
    AF_CHECK(!__atomic_load_n(&asker.has_stats, __ATOMIC_SEQ_CST));
    af_mutex_unlock(&bucket->index->tags_lock);
    af_thread_join(&threads[0]);
    af_thread_join(&threads[1]);
    af_bucket_unref(bucket);
    AF_CHECK_INT(world_stats(&world).series, 1);
    world_close(&world);
}

AF_TEST(a_flush_that_fails_is_in_the_statistics)
{
    struct world world;
    world_init(&world, "a");
    world_open(&world);
    world_put(&world, "m v=1i 1\n");
    AF_CHECK(!world_stats(&world).is_flush_failing);
    af_os_fault(AF_OS_RENAME, 1, UINT64_MAX, EMFILE);
    AF_CHECK(af_tsm_flush(world.engine, &world.err) != AF_OK);
    af_os_fault(AF_OS_RENAME, 0, 0, 0);
    struct af_tsm_stats_now stats = world_stats(&world);
    AF_CHECK(stats.is_flush_failing && !stats.is_full && !stats.is_read_only);
    AF_CHECK(strstr(stats.why, "too many files") != NULL);
    world_flush(&world);
    AF_CHECK(!world_stats(&world).is_flush_failing);
    world_close(&world);
}

AF_TEST(foreign_words_are_no_failed_fsync)
{
    struct af_error err = { 0 };
    AF_CHECK_FAILS(af_fail(&err, AF_EINVAL, "field \"cannot fsync\" is of type float"), AF_EINVAL);
    AF_CHECK(!core_is_sync_failure(&err));
    uint64_t before = af_os_sync_failures();
    af_os_fault(AF_OS_SYNC, 1, 1, EIO);
    AF_CHECK_FAILS(af_dir_sync(af_test_dir(), &err), AF_EIO);
    af_os_fault(AF_OS_SYNC, 0, 0, 0);
    AF_CHECK_INT(af_os_sync_failures(), before + 1);
    AF_CHECK(core_is_sync_failure(&err));
}
