/* write_test.c - what is refused and in which words; late data; the whole range of time; a cache and a disk that are full. */
#include "base/limits.h"
#include "os/clock.h"
#include "os/fault.h"
#include "tsm/engine_fixture.h"
#include "tsm/index_int.h"
#include <errno.h>

#define HOUR (INT64_C(3600) * 1000000000)
#define DAY (24 * HOUR)

/* --- types ----------------------------------------------------------------------------------------------------------------- */

AF_TEST(conflicts_are_told_in_influxdbs_words)
{
    struct world world;
    world_init(&world, "a");
    world_open(&world);
    world_put(&world, "m v=1 1\nm\\ x,t=a b=true,s=\"\" 1\n");
    struct af_write_answer answer = world_write(&world, "m v=2 2\nm v=3i 3\nm v=\"x\" 4\nm v=5,w=1i 5\n");
    AF_CHECK_INT(answer.verdict, AF_WRITE_BAD_LINES);
    AF_CHECK_INT(answer.dropped, 2);
    AF_CHECK(answer.others_kept);
    AF_CHECK_STR(answer.reason, "partial write: field type conflict: input field \"v\" on measurement \"m\" is type integer, already "
                                "exists as type float dropped=2");
    answer = world_write(&world, "m\\ x,t=b s=1 1\n");
    AF_CHECK_STR(answer.reason, "partial write: field type conflict: input field \"s\" on measurement \"m\\ x\" is type float, already "
                                "exists as type string dropped=1");
    world_check(&world, "m", "m 1 v=0x1p+0\nm 2 v=0x1p+1\nm 5 v=0x1.4p+2 w=1i\n");
    world_check(&world, "m x", "m\\ x,t=a 1 b=true s=\"\"\n");
    world_close(&world);
}

/* In one batch the first row decides, whatever the order of the columns. */
AF_TEST(the_first_row_decides_a_type)
{
    struct world world;
    world_init(&world, "a");
    world_open(&world);
    struct af_write_answer answer = world_write(&world, "m v=1i,w=1 1\nm v=2,w=2 2\nm w=3i 3\nm v=4i 4\nn v=1 1\nn v=2i 2\n");
    AF_CHECK_INT(answer.dropped, 3);
    AF_CHECK_STR(answer.reason, "partial write: field type conflict: input field \"v\" on measurement \"m\" is type float, already "
                                "exists as type integer dropped=3");
    world_check(&world, "m", "m 1 v=1i w=0x1p+0\nm 4 v=4i\n");
    world_check(&world, "n", "n 1 v=0x1p+0\n");
    world_close(&world);
}

/* Types are a shard's: the next week may have another; both are read. A conflict in one shard does not touch the other's points. */
AF_TEST(types_are_decided_shard_by_shard)
{
    struct world world;
    char text[512];
    world_init(&world, "a");
    world_open(&world);
    int64_t other = 30 * DAY;
    (void)snprintf(text, sizeof text, "m v=1i 1\nm v=1 %lld\n", (long long)other);
    world_put(&world, text);
    (void)snprintf(text, sizeof text, "m v=2i 2\nm v=2 %lld\nm v=3 3\nm v=3i %lld\n", (long long)other + 1, (long long)other + 2);
    for (int i = 0; i < 3; i++) {
        AF_CHECK_INT(world_write(&world, text).dropped, 2);
        if (i == 0)
            world_flush(&world);
        if (i == 1)
            world_reopen(&world);
    }
    AF_CHECK_INT(world_stats(&world).shards, 2);
    world_close(&world);
}

/* --- retention, sizes ------------------------------------------------------------------------------------------------------ */

AF_TEST(points_past_the_retention_are_dropped)
{
    struct world world;
    char text[512];
    struct af_store *v2;
    world_init(&world, "a");
    world_open(&world);
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ BUCKET, HOUR, HOUR }, &world.err), world.err);
    AF_CHECK_OK(af_tsm_store_open(world.engine, BUCKET, "v2", false, &v2, &world.err), world.err);
    (void)snprintf(text, sizeof text, "m v=1i %lld\nm,a=b v=2i %lld\nm v=3i %lld\nm v=4i 5\n", (long long)world.now,
                   (long long)(world.now - HOUR - 1), (long long)(world.now - HOUR));
    struct af_write_answer answer = world_write(&world, text);
    AF_CHECK_INT(answer.dropped, 2);
    AF_CHECK_STR(answer.reason, "partial write: points beyond retention policy dropped=2");
    struct af_write write = { .lines = af_slice_of(text), .precision_ns = 1 };
    AF_CHECK_OK(af_store_write(v2, &write, &answer, &world.err), world.err);
    AF_CHECK_STR(answer.reason,
                 "failure writing points to database: partial write: dropped 2 points outside retention policy of duration 1h0m0s - oldest "
                 "point m at 1970-01-01T00:00:00Z dropped because it violates a Retention Policy Lower Bound at 2023-11-14T21:13:20Z, "
                 "newest point m,a=b at 2023-11-14T21:13:19Z dropped because it violates a Retention Policy Lower Bound at "
                 "2023-11-14T21:13:20Z dropped=2");
    (void)snprintf(text, sizeof text, "m %lld v=3i\nm %lld v=1i\n", (long long)(world.now - HOUR), (long long)world.now);
    world_check(&world, "m", text);
    af_store_close(v2);
    world_close(&world);
}

AF_TEST(strings_and_keys_that_do_not_fit_are_dropped)
{
    struct world world;
    struct af_buf lines;
    world_init(&world, "a");
    world.options.cache_bytes = 64 << 20;
    world_open(&world);
    af_buf_init(&lines, 8 << 20);
    af_buf_append_str(&lines, "m s=\"");
    for (int i = 0; i < AF_TSM_STRING_BYTES_MAX + 1; i++)
        af_buf_append_char(&lines, 'x');
    af_buf_append_str(&lines, "\" 1\nm s=\"ok\" 2\n");
    struct af_write_answer answer = world_write(&world, af_buf_cstr(&lines));
    AF_CHECK_STR(answer.reason, "partial write: input field \"s\" on measurement \"m\" is too long, 1048577 > 1048576 dropped=1");
    world_check(&world, "m", "m 2 s=\"ok\"\n");
    world_put(&world, "n,a=#! v=1 1\nn,a=x#!~y v=1 1\nn,a=# v=1 1\n"); /* not the separator, also with one behind it */
    answer = world_write(&world, "n,a=#!~# v=1 1\nn,b=x#!~ v=1 1\nn,c=#!~#y v=1 1\n");
    AF_CHECK_INT(answer.dropped, 3);
    AF_CHECK(strstr(answer.reason, "which separates keys from fields") != NULL);
    af_buf_done(&lines);
    world_close(&world);
}

/* --- time ------------------------------------------------------------------------------------------------------------------ */

AF_TEST(the_whole_range_of_time)
{
    struct world world;
    struct af_store *oracle;
    static const char lines[] = "m v=1i -9223372036854775806\nm v=2i -9223372036854775805\nm v=3i -1\nm v=4i 0\nm v=5i 1\n"
                                "m v=6i 1700000000000000000\nm v=7i 9223372036854775805\nm v=8i 9223372036854775806\n";
    world_init(&world, "a");
    AF_CHECK_OK(af_memory_open(NULL, &oracle, &world.err), world.err);
    af_contract_write(oracle, af_slice_of(lines), 1);
    world_open(&world);
    world_put(&world, lines);
    for (int i = 0; i < 3; i++) {
        world_check_same(&world, oracle, "m");
        world_flush(&world);
        world_check_same(&world, oracle, "m");
        world_reopen(&world);
    }
    struct af_scan scan = { .measurement = "m", .start_ns = -9223372036854775805, .stop_ns = 9223372036854775806 };
    struct af_buf got;
    struct af_buf want;
    af_buf_init(&got, 1 << 20);
    af_buf_init(&want, 1 << 20);
    af_contract_dump(world.store, &scan, &got);
    af_contract_dump(oracle, &scan, &want);
    AF_CHECK_SLICE(af_buf_slice(&got), af_buf_cstr(&want));
    af_buf_done(&got);
    af_buf_done(&want);
    af_store_close(oracle);
    world_close(&world);
}

AF_TEST(late_data_goes_into_old_shards)
{
    struct world world;
    char text[128];
    world_init(&world, "a");
    world_open(&world);
    for (int round = 0; round < 3; round++) {
        for (int week = 9; week >= 0; week--) {
            (void)snprintf(text, sizeof text, "m v=%di %lld\n", round * 100 + week, (long long)(week * 7 * DAY + round * HOUR));
            world_put(&world, text);
        }
        world_flush(&world);
    }
    world_put(&world, "m v=-1i 0\n"); /* over a point of a file */
    AF_CHECK_INT(world_stats(&world).shards, 10);
    AF_CHECK_INT(world_stats(&world).files, 30);
    for (int i = 0; i < 2; i++) {
        char *got = world_dump(world.store, "m");
        AF_CHECK(strncmp(got, "m 0 v=-1i\nm 3600000000000 v=100i\nm 7200000000000 v=200i\nm 604800000000000 v=1i\n", 79) == 0);
        free(got);
        world_reopen(&world);
    }
    world_close(&world);
}

/* --- a cache that is full -------------------------------------------------------------------------------------------------- */

static void put_many(struct world *world, int from, int count)
{
    struct af_buf lines;
    af_buf_init(&lines, 16 << 20);
    for (int i = from; i < from + count; i++)
        af_buf_printf(&lines, "m,t=%d v=%di,w=%d.5 %lld\n", i % 10, i, i, (long long)i * 1000000000);
    world_put(world, af_buf_cstr(&lines));
    af_buf_done(&lines);
}

AF_TEST(a_half_full_cache_is_flushed)
{
    struct world world;
    world_init(&world, "a");
    world_open(&world);
    for (int i = 0; i < 40; i++)
        put_many(&world, i * 1000, 1000);
    AF_CHECK(world_stats(&world).flushes > 0);
    AF_CHECK(world_stats(&world).cache_bytes < world.options.cache_bytes);
    AF_CHECK(world_stats(&world).wal_bytes < 1 << 20);
    AF_CHECK_INT(world_stats(&world).points_written, 40000);
    AF_CHECK_INT(world_stats(&world).values_written, 80000);
    world_close(&world);
    world.options.is_manual = false;
    world_open(&world);
    for (int i = 0; i < 40; i++)
        put_many(&world, i * 1000, 1000);
    int64_t until = af_clock_mono_ns() + 10 * INT64_C(1000000000);
    while (world_stats(&world).flushes == 0 && af_clock_mono_ns() < until)
        af_clock_sleep_ms(5);
    AF_CHECK(world_stats(&world).flushes > 0);
    world_close(&world);
}

AF_TEST(cold_points_are_flushed)
{
    struct world world;
    world_init(&world, "a");
    world.options.is_manual = false;
    world.options.cold_s = 1;
    world_open(&world);
    world_put(&world, "m v=1 1\n");
    int64_t until = af_clock_mono_ns() + 20 * INT64_C(1000000000);
    while (world_stats(&world).flushes == 0 && af_clock_mono_ns() < until)
        af_clock_sleep_ms(20);
    AF_CHECK_INT(world_stats(&world).files, 1);
    world_check(&world, "m", "m 1 v=0x1p+0\n");
    world_close(&world);
}

AF_TEST(a_writer_does_not_wait_for_ever)
{
    struct world world;
    struct af_write_answer answer;
    world_init(&world, "a");
    world.options.is_manual = false;
    world.options.cache_bytes = 64 << 10;
    world.options.cache_wait_ms = 100;
    world_open(&world);
    af_mutex_lock(&world.engine->flush); /* a flush that takes its time */
    put_many(&world, 0, 4000);
    AF_CHECK_FAILS(world_try_write(&world, "m v=2i 2\n", &answer), AF_EBUSY);
    AF_CHECK(world.err.retry_after_ms > 0);
    AF_CHECK_INT(world_stats(&world).waits, 1);
    af_mutex_unlock(&world.engine->flush);
    world_flush(&world);
    world_put(&world, "m v=2i 2\n");
    world_close(&world);
}

/* --- a disk that is full --------------------------------------------------------------------------------------------------- */

AF_TEST(a_full_disk_refuses_and_heals)
{
    struct world world;
    struct af_write_answer answer;
    world_init(&world, "a");
    world_open(&world);
    world_put(&world, "m v=1i 1\n");
    af_os_fault(AF_OS_WRITE, 1, UINT64_MAX, ENOSPC);
    for (int i = 0; i < 3; i++) {
        AF_CHECK_FAILS(world_try_write(&world, "m v=2i 2\n", &answer), AF_EFULL);
        AF_CHECK(world.err.retry_after_ms > 0);
        AF_CHECK(world_stats(&world).is_full && world_stats(&world).why[0] != '\0');
    }
    AF_CHECK_FAILS(af_tsm_probe(world.engine, &world.err), AF_EFULL);
    world_check(&world, "m", "m 1 v=1i\n");
    unsigned said = world.said;
    AF_CHECK_INT(said, 1);
    af_os_fault(AF_OS_WRITE, 0, 0, 0);
    world_put(&world, "m v=3i 3\n");
    AF_CHECK(!world_stats(&world).is_full);
    AF_CHECK_INT(world.said, said + 1);
    world_reopen(&world);
    world_check(&world, "m", "m 1 v=1i\nm 3 v=3i\n");
    AF_CHECK_OK(af_tsm_probe(world.engine, &world.err), world.err);
    world_close(&world);
}

/* The log has room and the files have not: writes are taken until the cache is full, then refused, and go on when there is room. */
AF_TEST(a_full_cache_on_a_full_disk_refuses_at_once)
{
    struct world world;
    struct af_write_answer answer;
    world_init(&world, "a");
    world.options.is_manual = false;
    world.options.no_wal = true; /* so that only files can fail */
    world.options.cache_bytes = 256 << 10;
    world_open(&world);
    af_os_fault(AF_OS_WRITE, 1, UINT64_MAX, ENOSPC);
    enum af_status status = AF_OK;
    int done = 0;
    char text[64];
    int64_t begin = af_clock_mono_ns();
    for (; status == AF_OK && done < 100000; done++) {
        (void)snprintf(text, sizeof text, "m v=%di %d\n", done, done);
        status = world_try_write(&world, text, &answer);
    }
    AF_CHECK_INT(status, AF_EFULL);
    AF_CHECK(af_clock_mono_ns() - begin < INT64_C(9000000000));
    af_os_fault(AF_OS_WRITE, 0, 0, 0);
    int64_t until = af_clock_mono_ns() + 20 * INT64_C(1000000000);
    while (world_try_write(&world, "m v=-1i -1\n", &answer) != AF_OK && af_clock_mono_ns() < until)
        af_clock_sleep_ms(20);
    world_flush(&world);
    AF_CHECK_INT(world_stats(&world).points_written, done);
    char *got = world_dump(world.store, "m");
    int rows = 0;
    for (const char *at = got; *at != '\0'; at++)
        rows += *at == '\n';
    AF_CHECK_INT(rows, done); /* the refused one is not there, the last one is */
    free(got);
    world_close(&world);
}

/* --- what one write may cost ------------------------------------------------------------------------------------------------ */

static struct af_write_answer write_hours(struct world *world, int first, int count)
{
    char *text = malloc((size_t)count * 48 + 1);
    size_t len = 0;
    text[0] = '\0';
    for (int i = first; i < first + count; i++)
        len += (size_t)sprintf(text + len, "m v=1i %lld\n", (long long)(i * HOUR));
    struct af_write_answer answer = world_write(world, text);
    free(text);
    return answer;
}

AF_TEST(shards_have_a_ceiling)
{
    struct world world;
    struct af_tsm_bucket settings = { .id = BUCKET, .shard_ns = HOUR };
    world_init(&world, "a");
    world.options.cache_bytes = (size_t)256 << 20;
    world_open(&world);
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &settings, &world.err), world.err);
    struct af_write_answer answer = write_hours(&world, 0, AF_TSM_NEW_SHARDS_MAX + 200);
    AF_CHECK_INT(answer.dropped, 200);
    AF_CHECK(answer.others_kept && strstr(answer.reason, "more new shards than one write may make") != NULL);
    AF_CHECK_INT(world_stats(&world).shards, AF_TSM_NEW_SHARDS_MAX);
    AF_CHECK_INT(write_hours(&world, 0, AF_TSM_NEW_SHARDS_MAX + 1).dropped, 0); /* those that are there cost nothing */
    for (int i = 1; world_stats(&world).shards < AF_TSM_SHARDS_MAX && i < 50; i++)
        if (write_hours(&world, i * 1000, 1000).dropped > 0)
            break;
    answer = write_hours(&world, 100000, 1);
    AF_CHECK_INT(answer.dropped, 1);
    AF_CHECK(strstr(answer.reason, "more shards than") != NULL);
    AF_CHECK(world_stats(&world).shards <= AF_TSM_SHARDS_MAX);
    AF_CHECK_INT(write_hours(&world, 0, 3).dropped, 0);
    world_close(&world);
}

/* A series with a key of `key_bytes` and so many fields. */
static struct af_write_answer write_wide(struct world *world, int series, size_t key_bytes, int fields)
{
    char *text = malloc(key_bytes + (size_t)fields * 16 + 64);
    size_t len = (size_t)sprintf(text, "m,t=%d", series);
    memset(text + len, 'x', key_bytes);
    len += key_bytes;
    text[len++] = ' ';
    for (int i = 0; i < fields; i++)
        len += (size_t)sprintf(text + len, "%sf%d=1i", i > 0 ? "," : "", i);
    (void)sprintf(text + len, " 1\n");
    struct af_write_answer answer = world_write(world, text);
    free(text);
    return answer;
}

AF_TEST(keys_times_fields_have_a_ceiling)
{
    struct world world;
    world_init(&world, "a");
    world.options.cache_bytes = (size_t)64 << 20;
    world_open(&world);
    struct af_write_answer answer = write_wide(&world, 1, 60000, 5000); /* 300 MB in files */
    AF_CHECK_INT(answer.dropped, 1);
    AF_CHECK(strstr(answer.reason, "series keys times fields") != NULL);
    AF_CHECK_INT(write_wide(&world, 2, 60000, 1100).dropped, 0);
    AF_CHECK_INT(write_wide(&world, 3, 10, 5000).dropped, 0);
    world_flush(&world);
    AF_CHECK(world_stats(&world).files >= 2); /* of one flush: an index of 66 MB is too much for one file */
    world_close(&world);
}

struct late {
    struct world *world;
    bool is_through;
};

static void write_late(void *ctx)
{
    struct late *late = ctx;
    world_put(late->world, "m,t=a v=2i 2\n");
}

static void pause_log(void *ctx)
{
    struct late *late = ctx;
    af_wal_pause(late->world->engine->wal);
    __atomic_store_n(&late->is_through, true, __ATOMIC_SEQ_CST);
    af_wal_resume(late->world->engine->wal);
}

/* A series that was hidden after the writer had looked it up is visible again before a flush can begin, which would write down that it is
 * hidden and drop the log. The index's lock stops the writer where it shows the series. */
AF_TEST(a_hidden_series_is_shown_before_a_flush_can_begin)
{
    struct world world;
    struct af_thread threads[2] = { 0 };
    world_init(&world, "a");
    world_open(&world);
    struct late late = { .world = &world };
    world_put(&world, "m,t=a v=1i 1\n");
    struct af_bucket *bucket = af_bucket_find(world.engine, BUCKET);
    uint32_t id = af_index_find(bucket->index, af_slice_of("m,t=a"));
    af_wal_pause(world.engine->wal);
    AF_CHECK_OK(af_thread_start(&threads[0], "writer", write_late, &late, &world.err), world.err);
    af_clock_sleep_ms(100); /* it has resolved and waits for the log */
    af_index_hide(bucket->index, id);
    af_mutex_lock(&bucket->index->lock);
    af_wal_resume(world.engine->wal);
    af_clock_sleep_ms(50); /* it is in the log */
    AF_CHECK_OK(af_thread_start(&threads[1], "flusher", pause_log, &late, &world.err), world.err);
    af_clock_sleep_ms(100);
    AF_CHECK(!__atomic_load_n(&late.is_through, __ATOMIC_SEQ_CST));
    af_mutex_unlock(&bucket->index->lock);
    af_thread_join(&threads[0]);
    af_thread_join(&threads[1]);
    af_bucket_unref(bucket);
    world_check(&world, "m", "m,t=a 1 v=1i\nm,t=a 2 v=2i\n");
    world_close(&world);
}

/* A parser that has met many series is asked for a few: those are checked as in a large batch. */
AF_TEST(a_small_write_after_many_series_is_checked_too)
{
    struct world world;
    struct af_buf text;
    world_init(&world, "a");
    world.options.cache_bytes = (size_t)64 << 20;
    world_open(&world);
    af_buf_init(&text, 1 << 26);
    for (int i = 0; i < 17000; i++) /* in the request's second batch the set is many times its rows */
        af_buf_printf(&text, "m%d,t=%d v=1i 1\n", i % 3, i);
    af_buf_append_str(&text, "m0,t=1 v=2i 2\nm1,t=a\\ #!~# v=2i 2\nm9,t=");
    size_t start = text.len;
    while (text.len - start < 66000)
        af_buf_append_str(&text, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    af_buf_append_str(&text, " v=1i 3\nm1,t=#!~# v=3i 3\nm1,t=1 v=1.5 4\nm8 v=1.5 5\nm1,t=#!~# v=4i 5\n");
    struct af_write_answer answer = world_write(&world, af_buf_cstr(&text));
    af_buf_done(&text);
    AF_CHECK(answer.dropped >= 4); /* three separators or more, a key, a type */
    world_check(&world, "m8", "m8 5 v=0x1.8p+0\n");
    world_check(&world, "m9", "");
    world_close(&world);
}
