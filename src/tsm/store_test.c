/*
 * store_test.c - the engine behind the seam: the contract every store keeps, random work compared with the memory store, threads, and
 * copies in and out.
 */
#include "base/prng.h"
#include "os/clock.h"
#include "os/thread.h"
#include "os/tree.h"
#include "tsm/engine_fixture.h"

#define DAY (INT64_C(24) * 3600 * 1000000000)

/* --- the contract ---------------------------------------------------------------------------------------------------------- */

/* A store that owns its engine: closing it closes both. `mode` says what happens to the points meanwhile. */
enum mode { IN_CACHE, FLUSHED, REOPENED, COMPACTED };
struct owned {
    struct af_store base;
    struct world world;
    enum mode mode;
};

static void settle(struct owned *owned)
{
    bool done;
    if (owned->mode == IN_CACHE)
        return;
    world_flush(&owned->world);
    if (owned->mode == REOPENED)
        world_reopen(&owned->world);
    if (owned->mode == COMPACTED)
        AF_CHECK_OK(af_tsm_compact(owned->world.engine, true, &done, &owned->world.err), owned->world.err);
}

static enum af_status owned_write(struct af_store *base, const struct af_write *write, struct af_write_answer *out, struct af_error *err)
{
    struct owned *owned = (struct owned *)base;
    enum af_status status = af_store_write(owned->world.store, write, out, err);
    if (status == AF_OK)
        settle(owned);
    return status;
}

static enum af_status owned_scan(struct af_store *base, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    return af_store_scan(((struct owned *)base)->world.store, scan, out, err);
}

static enum af_status owned_list(struct af_store *base, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                                 struct af_error *err)
{
    return af_store_list(((struct owned *)base)->world.store, what, scan, out, err);
}

static enum af_status owned_erase(struct af_store *base, const struct af_scan *scan, struct af_error *err)
{
    struct owned *owned = (struct owned *)base;
    enum af_status status = af_store_erase(owned->world.store, scan, err);
    if (status == AF_OK)
        settle(owned);
    return status;
}

static enum af_status owned_create(struct af_store *base, struct af_error *err)
{
    return af_store_create(((struct owned *)base)->world.store, err);
}

static enum af_status owned_ping(struct af_store *base, char *out_version, size_t cap, struct af_error *err)
{
    return af_store_ping(((struct owned *)base)->world.store, out_version, cap, err);
}

static void owned_close(struct af_store *base)
{
    struct owned *owned = (struct owned *)base;
    world_close(&owned->world);
    free(owned);
}

static const struct af_store_ops owned_ops = { .name = "tsm", .write = owned_write, .scan = owned_scan,
                                               .list = owned_list, .erase = owned_erase, .create = owned_create, .ping = owned_ping,
                                               .close = owned_close };

struct kind {
    bool is_v2;
    enum mode mode;
};

static struct af_store *open_owned(void *ctx)
{
    static int number;
    const struct kind *kind = ctx;
    char name[32];
    struct owned *owned = calloc(1, sizeof *owned);
    AF_CHECK(owned != NULL);
    (void)snprintf(name, sizeof name, "owned-%d", number++);
    world_init(&owned->world, name);
    owned->world.options.cache_bytes = 8 << 20;
    owned->world.options.compact_bytes_per_s = UINT64_MAX;
    owned->world.options.dir = owned->world.dir;
    owned->world.options.ctx = &owned->world;
    owned->mode = kind->mode;
    world_open(&owned->world);
    if (kind->is_v2) {
        af_store_close(owned->world.store);
        AF_CHECK_OK(af_tsm_store_open(owned->world.engine, BUCKET, "test", false, &owned->world.store, &owned->world.err),
                    owned->world.err);
    }
    owned->base = (struct af_store){ .ops = &owned_ops, .name = "tsm" };
    return &owned->base;
}

static struct af_store *open_oracle(void *ctx)
{
    struct af_error err;
    struct af_store *store;
    AF_CHECK_OK(af_memory_open(&(struct af_memory_options){ .is_v2 = ((const struct kind *)ctx)->is_v2 }, &store, &err), err);
    return store;
}

static void keeps_contract(const char *name, struct kind kind)
{
    af_store_contract(&(struct af_contract){ .name = name, .open = open_owned, .oracle = open_oracle, .ctx = &kind, .is_v2 = kind.is_v2,
                                             .has_unsigned = true });
}

AF_TEST(the_cache_keeps_the_contract)
{
    keeps_contract("tsm, in the cache, 1.x", (struct kind){ false, IN_CACHE });
}
AF_TEST(the_cache_keeps_the_contract_of_2x)
{
    keeps_contract("tsm, in the cache, 2.x", (struct kind){ true, IN_CACHE });
}
AF_TEST(files_keep_the_contract)
{
    keeps_contract("tsm, flushed after each write", (struct kind){ false, FLUSHED });
}
AF_TEST(files_keep_the_contract_when_opened_again)
{
    keeps_contract("tsm, opened again after each write", (struct kind){ false, REOPENED });
}
AF_TEST(compacted_files_keep_the_contract)
{
    keeps_contract("tsm, compacted after each write", (struct kind){ true, COMPACTED });
}

/* --- random work ----------------------------------------------------------------------------------------------------------- */

static void random_lines(struct af_prng *prng, struct af_buf *out, size_t count)
{
    static const int64_t bases[] = { 0, 0, 1700000000000000000, -9223372036854775806, 9223372036854775000, -1000000000 };
    for (size_t i = 0; i < count; i++) {
        af_buf_printf(out, "%s", af_prng_below(prng, 4) == 0 ? "n" : "m");
        if (af_prng_below(prng, 3) != 0)
            af_buf_printf(out, ",a=%d", (int)af_prng_below(prng, 4));
        if (af_prng_below(prng, 3) == 0)
            af_buf_printf(out, ",b\\ =x\\,%d", (int)af_prng_below(prng, 3));
        const char *gap = " ";
        unsigned fields = 1 + (unsigned)af_prng_below(prng, 31);
        if (fields & 1)
            af_buf_printf(out, "%sf=%d.25", gap, (int)af_prng_below(prng, 1000)), gap = ",";
        if (fields & 2)
            af_buf_printf(out, "%si=%di", gap, (int)af_prng_below(prng, 1000) - 500), gap = ",";
        if (fields & 4)
            af_buf_printf(out, "%sb=%s", gap, af_prng_below(prng, 2) == 0 ? "t" : "f"), gap = ",";
        if (fields & 8)
            af_buf_printf(out, "%ss=\"%d\"", gap, (int)af_prng_below(prng, 100000)), gap = ",";
        if (fields & 16)
            af_buf_printf(out, "%su=%du", gap, (int)af_prng_below(prng, 1000)), gap = ",";
        int64_t time = bases[af_prng_below(prng, 6)] + (int64_t)af_prng_below(prng, 800);
        if (af_prng_below(prng, 3) == 0 && time > -1000 && time < 1000)
            time += (int64_t)af_prng_below(prng, 60) * DAY;
        af_buf_printf(out, " %lld\n", (long long)time);
    }
}

static void random_action(struct world *world, struct af_prng *prng)
{
    bool done;
    switch (af_prng_below(prng, 8)) {
    case 0: world_reopen(world); break;
    case 1: AF_CHECK_OK(af_tsm_compact(world->engine, true, &done, &world->err), world->err); break;
    case 2: AF_CHECK_OK(af_tsm_compact(world->engine, false, &done, &world->err), world->err); break;
    case 3: case 4: world_flush(world); break;
    default: break;
    }
}

AF_TEST(random_work_equals_the_memory_store)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct world world;
        struct af_store *oracle;
        struct af_prng prng = { seed };
        struct af_buf lines;
        world_init(&world, "a");
        world.options.compact_bytes_per_s = UINT64_MAX;
        AF_CHECK_OK(af_memory_open(&(struct af_memory_options){ .is_v2 = true }, &oracle, &world.err), world.err);
        world_open(&world);
        af_buf_init(&lines, 16 << 20);
        for (int round = 0; round < 40; round++) {
            af_buf_clear(&lines);
            random_lines(&prng, &lines, 1 + af_prng_below(&prng, 300));
            world_put(&world, af_buf_cstr(&lines));
            af_contract_write(oracle, af_buf_slice(&lines), 1);
            random_action(&world, &prng);
            if (round % 10 == 9) {
                world_check_same(&world, oracle, "m");
                world_check_same(&world, oracle, "n");
            }
        }
        af_buf_done(&lines);
        af_store_close(oracle);
        world_close(&world);
        AF_CHECK_OK(af_dir_remove(world.dir, &world.err), world.err);
    }
}

/* --- threads --------------------------------------------------------------------------------------------------------------- */

enum { ROUNDS = 60, ROWS = 200 };
struct crew {
    struct world *world;
    bool stop;
    uint64_t scans;
};

/* Both writers write the same points, so whoever comes last the result is the same. */
static void write_points(void *ctx)
{
    struct crew *crew = ctx;
    struct af_error err;
    struct af_buf lines;
    af_buf_init(&lines, 1 << 20);
    for (int round = 0; round < ROUNDS; round++) {
        af_buf_clear(&lines);
        for (int i = 0; i < ROWS; i++)
            af_buf_printf(&lines, "m,t=%d v=%di,s=\"%d\" %lld\n", i % 7, round * ROWS + i, i,
                          (long long)(round * ROWS + i) * 3600000000000);
        struct af_write write = { .lines = af_buf_slice(&lines), .precision_ns = 1 };
        struct af_write_answer answer;
        AF_CHECK_OK(af_store_write(crew->world->store, &write, &answer, &err), err);
        AF_CHECK_INT(answer.verdict, AF_WRITE_DONE);
    }
    af_buf_done(&lines);
}

static void scan_points(void *ctx)
{
    struct crew *crew = ctx;
    struct af_tsm_stats_now stats;
    size_t before = 0;
    while (!__atomic_load_n(&crew->stop, __ATOMIC_RELAXED)) {
        char *got = world_dump(crew->world->store, "m");
        size_t len = strlen(got);
        AF_CHECK(len >= before); /* what was seen stays */
        before = len;
        free(got);
        af_tsm_stats_get_now(crew->world->engine, &stats);
        crew->scans++;
    }
}

static void keep_house(void *ctx)
{
    struct crew *crew = ctx;
    struct af_error err;
    bool done;
    while (!__atomic_load_n(&crew->stop, __ATOMIC_RELAXED)) {
        AF_CHECK_OK(af_tsm_flush(crew->world->engine, &err), err);
        AF_CHECK_OK(af_tsm_compact(crew->world->engine, true, &done, &err), err);
        AF_CHECK_OK(af_tsm_expire(crew->world->engine, &err), err);
        AF_CHECK_OK(af_tsm_probe(crew->world->engine, &err), err);
    }
}

AF_TEST(writers_readers_and_flushes_together)
{
    struct world world;
    struct crew crew = { .world = &world };
    struct af_thread threads[4];
    world_init(&world, "a");
    world.options.is_manual = false;
    world.options.cache_bytes = 512 << 10;
    world.options.compact_bytes_per_s = UINT64_MAX;
    world_open(&world);
    AF_CHECK_OK(af_thread_start(&threads[0], "writer", write_points, &crew, &world.err), world.err);
    AF_CHECK_OK(af_thread_start(&threads[1], "writer", write_points, &crew, &world.err), world.err);
    AF_CHECK_OK(af_thread_start(&threads[2], "reader", scan_points, &crew, &world.err), world.err);
    AF_CHECK_OK(af_thread_start(&threads[3], "keeper", keep_house, &crew, &world.err), world.err);
    af_thread_join(&threads[0]);
    af_thread_join(&threads[1]);
    __atomic_store_n(&crew.stop, true, __ATOMIC_RELAXED);
    af_thread_join(&threads[2]);
    af_thread_join(&threads[3]);
    AF_CHECK(crew.scans > 0);
    char *before = world_dump(world.store, "m");
    size_t rows = 0;
    for (const char *at = before; *at != '\0'; at++)
        rows += *at == '\n';
    AF_CHECK_INT(rows, ROUNDS * ROWS);
    AF_CHECK_INT(world_stats(&world).points_written, 2 * ROUNDS * ROWS);
    world_reopen(&world);
    world_check(&world, "m", before);
    free(before);
    world_close(&world);
}

/* A bucket that comes and goes while points are written to it and flushed: nothing of it is left, and the other is whole. */
static void write_to_passing(void *ctx)
{
    struct crew *crew = ctx;
    struct af_error err;
    struct af_store *store;
    struct af_write_answer answer;
    char text[128];
    AF_CHECK_OK(af_tsm_store_open(crew->world->engine, 77, "passing", true, &store, &err), err);
    for (int i = 0; !__atomic_load_n(&crew->stop, __ATOMIC_RELAXED); i++) {
        (void)snprintf(text, sizeof text, "m,t=%d v=%di %lld\nm v=1i %d\n", i % 50, i, (long long)i * 3600000000000, i);
        struct af_write write = { .lines = af_slice_of(text), .precision_ns = 1 };
        enum af_status status = af_store_write(store, &write, &answer, &err);
        AF_CHECK(status == AF_OK || status == AF_ENOTFOUND);
        crew->scans++;
    }
    af_store_close(store);
}

AF_TEST(buckets_come_and_go_under_load)
{
    struct world world;
    struct crew crew = { .world = &world };
    struct af_thread threads[2];
    world_init(&world, "a");
    world.options.is_manual = false;
    world.options.cache_bytes = 128 << 10;
    world_open(&world);
    world_put(&world, "m v=1i 1\n");
    AF_CHECK_OK(af_thread_start(&threads[0], "writer", write_to_passing, &crew, &world.err), world.err);
    AF_CHECK_OK(af_thread_start(&threads[1], "keeper", keep_house, &crew, &world.err), world.err);
    for (int i = 0; i < 25; i++) {
        AF_CHECK_OK(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ 77, 0, 0 }, &world.err), world.err);
        af_clock_sleep_ms(5);
        AF_CHECK_OK(af_tsm_bucket_drop(world.engine, 77, &world.err), world.err);
        AF_CHECK_INT(af_path_kind(world_path(&world, "engine/data/000000000000004d")), AF_PATH_NONE);
    }
    __atomic_store_n(&crew.stop, true, __ATOMIC_RELAXED);
    af_thread_join(&threads[0]);
    af_thread_join(&threads[1]);
    AF_CHECK_INT(af_path_kind(world_path(&world, "engine/data/000000000000004d")), AF_PATH_NONE);
    AF_CHECK_INT(af_path_kind(world_path(&world, "engine/data/000000000000004d.dropped")), AF_PATH_NONE);
    world_reopen(&world);
    AF_CHECK_INT(world_stats(&world).buckets, 1);
    world_check(&world, "m", "m 1 v=1i\n");
    world_close(&world);
}

/* --- copies ---------------------------------------------------------------------------------------------------------------- */

static void install_all(struct world *from, struct world *to, const char *dir, struct af_error *err)
{
    struct af_arena arena;
    struct af_tsm_shard_info *shards;
    size_t count;
    af_arena_init(&arena, 1 << 20);
    AF_CHECK_OK(af_tsm_shards(from->engine, BUCKET, &arena, &shards, &count, err), *err);
    for (size_t i = 0; i < count; i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%llu", dir, (unsigned long long)shards[i].id);
        if (af_path_kind(path) == AF_PATH_DIR)
            AF_CHECK_OK(af_tsm_install(to->engine, BUCKET, shards[i].start_ns, shards[i].end_ns, path, err), *err);
    }
    af_arena_done(&arena);
}

AF_TEST(a_snapshot_installs_as_it_was)
{
    struct world world;
    struct world other;
    char copy[1024];
    world_init(&world, "a");
    world_init(&other, "b");
    world_open(&world);
    world_open(&other);
    world_put(&world, "m,t=a v=1i,s=\"x\" 1\nm,t=b v=2i 700000000000000000\nn w=1 5\nm v=8i 9223372036854775806\n");
    world_flush(&world);
    world_put(&world, "m,t=a v=3i 1\nm,t=c v=4i 2\n");
    (void)snprintf(copy, sizeof copy, "%s/copy", af_test_dir());
    AF_CHECK_OK(af_tsm_snapshot(world.engine, BUCKET, copy, &world.err), world.err);
    world_put(&world, "m,t=d v=9i 9\n"); /* after the copy */
    install_all(&world, &other, copy, &other.err);
    static const char want[] = "m 9223372036854775806 v=8i\nm,t=a 1 s=\"x\" v=3i\nm,t=b 700000000000000000 v=2i\nm,t=c 2 v=4i\n";
    for (int i = 0; i < 2; i++) {
        world_check(&other, "m", want);
        world_check(&other, "n", "n 5 w=0x1p+0\n");
        world_reopen(&other);
    }
    world_put(&other, "m,t=a v=5i 1\n"); /* newer than what came in */
    install_all(&world, &other, copy, &other.err);
    world_check(&other, "m", want); /* and the other way round */
    AF_CHECK_INT(world_write(&other, "m v=1.5 1\n").dropped, 1);
    world_close(&world);
    world_close(&other);
}

AF_TEST(what_does_not_fit_is_not_installed)
{
    struct world world;
    struct world other;
    char copy[1024];
    char shard[1100];
    world_init(&world, "a");
    world_init(&other, "b");
    world_open(&world);
    world_open(&other);
    world_put(&world, "m v=1i 1\nm v=2i 100000000000000\n");
    (void)snprintf(copy, sizeof copy, "%s/copy", af_test_dir());
    AF_CHECK_OK(af_tsm_snapshot(world.engine, BUCKET, copy, &world.err), world.err);
    (void)snprintf(shard, sizeof shard, "%s/1", copy);
    AF_CHECK_FAILS(af_tsm_install(other.engine, BUCKET, 1, 100000000000000, shard, &other.err), AF_EINVAL); /* a point past the end */
    AF_CHECK_FAILS(af_tsm_install(other.engine, BUCKET, 2, 200000000000000, shard, &other.err), AF_EINVAL);
    AF_CHECK_FAILS(af_tsm_install(other.engine, BUCKET, 1, 1, shard, &other.err), AF_EINVAL);
    AF_CHECK_FAILS(af_tsm_install(other.engine, BUCKET, 1, 200000000000000, copy, &other.err), AF_EINVAL); /* no files */
    AF_CHECK_FAILS(af_tsm_install(other.engine, 77, 1, 200000000000000, shard, &other.err), AF_ENOTFOUND);
    world_put(&other, "m v=1.5 7\n");
    AF_CHECK_FAILS(af_tsm_install(other.engine, BUCKET, 0, 200000000000000, shard, &other.err), AF_EINVAL); /* another type */
    AF_CHECK(strstr(other.err.message, "already exists as type") != NULL);
    AF_CHECK_FAILS(af_tsm_install(other.engine, BUCKET, INT64_MIN, INT64_MAX, shard, &other.err), AF_EINVAL); /* across shards */
    world_check(&other, "m", "m 7 v=0x1.8p+0\n");
    char path[1200];
    struct af_buf bytes;
    (void)snprintf(path, sizeof path, "%s/000000001-000000001.tsm", shard);
    af_buf_init(&bytes, 1 << 20);
    AF_CHECK_OK(af_file_read_all(path, &bytes, &other.err), other.err);
    for (size_t at = 0; at < bytes.len; at += 3) {
        bytes.ptr[at] = (char)(bytes.ptr[at] ^ 4);
        AF_CHECK_OK(af_file_write_atomic(path, af_buf_slice(&bytes), false, &other.err), other.err);
        bytes.ptr[at] = (char)(bytes.ptr[at] ^ 4);
        AF_CHECK(af_tsm_install(other.engine, BUCKET, 0, 200000000000000, shard, &other.err) != AF_OK);
    }
    af_buf_done(&bytes);
    world_check(&other, "m", "m 7 v=0x1.8p+0\n");
    world_close(&world);
    world_close(&other);
}

/* What a build flushes after files were taken in wins over them, also in a shard that it had flushed to before. */
AF_TEST(a_build_wins_over_what_was_installed_before)
{
    struct world world;
    struct world other;
    char copy[1024];
    world_init(&world, "a");
    world_init(&other, "b");
    other.options.no_wal = other.options.no_compaction = true;
    world_open(&world);
    world_open(&other);
    world_put(&world, "m v=2i 1\n");
    (void)snprintf(copy, sizeof copy, "%s/copy", af_test_dir());
    AF_CHECK_OK(af_tsm_snapshot(world.engine, BUCKET, copy, &world.err), world.err);
    world_put(&other, "m v=1i 1\n");
    world_flush(&other);
    install_all(&world, &other, copy, &other.err);
    world_check(&other, "m", "m 1 v=2i\n");
    world_put(&other, "m v=3i 1\n");
    world_flush(&other);
    world_check(&other, "m", "m 1 v=3i\n");
    world_close(&world);
    world_close(&other);
}
