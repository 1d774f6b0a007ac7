/*
 * retype_test.c - a measurement of which all is deleted has no fields: they come back with other types, after a restart, a crash, a lost
 * list of
 * types, a compaction, and while others write and delete.
 */
#include "os/clock.h"
#include "os/fault.h"
#include "os/thread.h"
#include "store/listing.h"
#include "test/lib/crash_disk.h"
#include "tsm/engine_fixture.h"
#include <errno.h>
#include <unistd.h>

#define FIELDS_FILE "engine/data/00000000000000b1/autogen/1/fields"
static const struct af_scan all_of_m = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };

/* --- the list of types -------------------------------------------------------------------------------------------------------------- */

static struct af_error err;

static void claim(struct af_types *types, const char *measurement, const char *field, enum af_type type)
{
    enum af_type has = AF_TYPE_NULL;
    AF_CHECK_OK(af_types_claim(types, af_slice_of(measurement), af_slice_of(field), type, &has, &err), err);
    AF_CHECK_INT(has, type);
}

static size_t count_fields(struct af_types *types, const char *measurement)
{
    struct af_arena arena;
    struct af_types_field *fields;
    size_t count;
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_OK(af_types_list(types, af_slice_of(measurement), &arena, &fields, &count, &err), err);
    af_arena_done(&arena);
    return count;
}

static size_t count_in_file(const char *path, const char *measurement)
{
    struct af_types *types;
    AF_CHECK_OK(af_types_open(path, &types, &err), err);
    size_t count = count_fields(types, measurement);
    af_types_close(types);
    return count;
}

AF_TEST(types_are_forgotten_and_begin_anew)
{
    struct af_types *types;
    enum af_type has;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/fields", af_test_dir());
    AF_CHECK_OK(af_types_new(path, &types, &err), err);
    claim(types, "m", "a", AF_TYPE_F64);
    af_types_forget(types, AF_SLICE_LIT("m")); /* no file: there is nothing to wait for */
    AF_CHECK_OK(af_types_settle(types, &err), err);
    claim(types, "m", "a", AF_TYPE_STRING);
    AF_CHECK_INT(af_path_kind(path), AF_PATH_NONE);
    claim(types, "m", "b", AF_TYPE_F64);
    claim(types, "n", "a", AF_TYPE_F64);
    AF_CHECK_OK(af_types_sync(types, &err), err);
    af_types_forget(types, AF_SLICE_LIT("none"));
    af_types_forget(types, AF_SLICE_LIT("m"));
    af_types_forget(types, AF_SLICE_LIT("m"));
    AF_CHECK_INT(count_fields(types, "m"), 0);
    AF_CHECK_INT(count_in_file(path, "m"), 2);
    af_os_fault(AF_OS_WRITE, 1, UINT64_MAX, ENOSPC);
    AF_CHECK_FAILS(af_types_settle(types, &err), AF_EFULL);
    AF_CHECK_FAILS(af_types_claim(types, AF_SLICE_LIT("m"), AF_SLICE_LIT("a"), AF_TYPE_I64, &has, &err), AF_EFULL);
    claim(types, "n", "b", AF_TYPE_F64); /* others do not wait for it */
    AF_CHECK_INT(count_fields(types, "m"), 0);
    af_os_fault(AF_OS_WRITE, 0, 0, 0);
    claim(types, "m", "a", AF_TYPE_I64); /* not before the file is without it */
    AF_CHECK_INT(count_in_file(path, "m"), 0);
    AF_CHECK_INT(count_fields(types, "m"), 1);
    AF_CHECK_INT(count_fields(types, "n"), 2);
    AF_CHECK_OK(af_types_sync(types, &err), err);
    AF_CHECK_INT(count_in_file(path, "m"), 1);
    af_types_forget(types, AF_SLICE_LIT("m"));
    AF_CHECK_OK(af_types_settle(types, &err), err);
    AF_CHECK_INT(count_in_file(path, "m"), 0);
    AF_CHECK_INT(count_in_file(path, "n"), 2);
    af_types_close(types);
}

/* --- in an engine -------------------------------------------------------------------------------------------------------------------- */

static void check_listed(struct world *world, const char *want)
{
    struct af_stream *stream;
    struct af_arena arena;
    struct af_batch *batch = NULL;
    struct af_buf text;
    af_arena_init(&arena, SIZE_MAX);
    af_buf_init(&text, 1 << 20);
    AF_CHECK_OK(af_store_list(world->store, AF_LIST_FIELDS, &all_of_m, &stream, &world->err), world->err);
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &world->err), world->err);
        if (batch == NULL)
            break;
        for (size_t row = 0; row < batch->row_count; row++)
            for (size_t c = 0; c < 2; c++)
                af_buf_printf(&text, AF_SLICE_FMT "%s", AF_SLICE_ARG(af_column_text(&batch->columns[c], row)), c == 0 ? " " : "\n");
    }
    AF_CHECK_STR(af_buf_cstr(&text), want);
    af_stream_close(stream);
    af_buf_done(&text);
    af_arena_done(&arena);
}

/* Count and last value, by a folded scan. */
static void check_fold(struct world *world, const char *field, int64_t count)
{
    const struct af_fold folds[] = { { AF_FOLD_COUNT, field }, { AF_FOLD_LAST, field } };
    struct af_scan scan = all_of_m;
    struct af_stream *stream;
    struct af_arena arena;
    struct af_batch *batch = NULL;
    scan.folds = folds;
    scan.fold_count = 2;
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_OK(af_store_scan(world->store, &scan, &stream, &world->err), world->err);
    AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &world->err), world->err);
    AF_CHECK((batch != NULL && batch->row_count == 1) == (count > 0));
    if (batch != NULL && count > 0)
        AF_CHECK_INT(batch->columns[2].i64[0], count);
    af_stream_close(stream);
    af_arena_done(&arena);
}

static void erase_m(struct world *world)
{
    AF_CHECK_OK(af_store_erase(world->store, &all_of_m, &world->err), world->err);
}

static void on_fault(void *ctx, const char *words)
{
    af_test_failed(__FILE__, __LINE__, "%s: %s", (const char *)ctx, words);
}

static void check_directory(struct world *world)
{
    struct af_tsm_fsck fsck;
    AF_CHECK_OK(af_tsm_fsck(world->dir, false, on_fault, world->dir, &fsck, &world->err), world->err);
}

/* Numbers of floats in a file with another measurement, so that they stay there under tombstones. */
static void begin(struct world *world, const char *name)
{
    world_init(world, name);
    world_open(world);
    world_put(world, "m,t=a v=1,w=1 1\nm,t=a v=2 2\nm,t=b v=3 3\nk v=1 1\n");
    world_flush(world);
    check_listed(world, "v float\nw float\n");
}

static const char TEXTS[] = "m,t=a v=\"x\" 2\nm,t=c v=\"y\" 5\n";
static const char TEXTS_READ[] = "m,t=a 2 v=\"x\"\nm,t=c 5 v=\"y\"\n";

static void check_texts(struct world *world)
{
    world_check(world, "m", TEXTS_READ);
    check_listed(world, "v string\n");
    check_fold(world, "v", 2);
    check_fold(world, "w", 0);
    world_check(world, "k", "k 1 v=0x1p+0\n");
}

AF_TEST(fields_of_a_deleted_measurement_come_back_with_another_type)
{
    struct world world;
    bool done;
    begin(&world, "a");
    erase_m(&world);
    check_listed(&world, "");
    world_check(&world, "m", "");
    world_put(&world, TEXTS);
    check_texts(&world);
    world_reopen(&world); /* from the log */
    check_texts(&world);
    world_flush(&world);
    check_texts(&world);
    world_reopen(&world);
    check_texts(&world);
    struct af_write_answer answer = world_write(&world, "m v=1 1\n");
    AF_CHECK(answer.verdict == AF_WRITE_BAD_LINES && strstr(answer.reason, "already exists as type string") != NULL);
    world_close(&world);
    check_directory(&world);
    AF_CHECK(unlink(world_path(&world, FIELDS_FILE)) == 0); /* found again from the files */
    world_open(&world);
    check_texts(&world);
    AF_CHECK_OK(af_tsm_compact(world.engine, true, &done, &world.err), world.err);
    AF_CHECK(done);
    check_texts(&world);
    world_reopen(&world);
    check_texts(&world);
    world_close(&world);
    check_directory(&world);
}

/* By one series after the other, and by times. */
AF_TEST(the_last_series_that_goes_takes_the_fields_along)
{
    struct world world;
    struct af_predicate a = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("t"), .value = AF_SLICE_LIT("a") };
    struct af_scan of_a = all_of_m;
    struct af_scan early = all_of_m;
    struct af_scan late = all_of_m;
    of_a.predicate = &a;
    early.stop_ns = 3;
    late.start_ns = 3;
    begin(&world, "a");
    AF_CHECK_OK(af_store_erase(world.store, &of_a, &world.err), world.err);
    check_listed(&world, "v float\nw float\n"); /* as in InfluxDB: names are forgotten with the measurement */
    AF_CHECK_OK(af_store_erase(world.store, &early, &world.err), world.err);
    check_listed(&world, "v float\nw float\n");
    AF_CHECK_OK(af_store_erase(world.store, &late, &world.err), world.err);
    check_listed(&world, "");
    world_put(&world, TEXTS);
    check_texts(&world);
    erase_m(&world); /* again, while they are only in the log */
    world_put(&world, "m,t=a v=true 2\n");
    world_reopen(&world);
    world_check(&world, "m", "m,t=a 2 v=true\n");
    check_listed(&world, "v boolean\n");
    world_close(&world);
    check_directory(&world);
}

/* The list of types cannot be written: the deletion is done, a write that would need it waits for room. */
AF_TEST(types_that_cannot_be_forgotten_on_disk_hold_up_what_needs_it)
{
    struct world world;
    struct af_write_answer answer;
    begin(&world, "a");
    world_put(&world, "k v=2 2\n");
    world_flush(&world);
    af_os_fault(AF_OS_RENAME, 2, UINT64_MAX, ENOSPC); /* tombstones first */
    enum af_status status = af_store_erase(world.store, &all_of_m, &world.err);
    AF_CHECK_OK(status, world.err);
    AF_CHECK_FAILS(world_try_write(&world, TEXTS, &answer), AF_EFULL);
    world_put(&world, "k v=3 3\n");
    af_os_fault(AF_OS_RENAME, 0, 0, 0);
    world_put(&world, TEXTS);
    world_reopen(&world);
    world_check(&world, "m", TEXTS_READ);
    check_listed(&world, "v string\n");
    world_close(&world);
}

/* --- a crash -------------------------------------------------------------------------------------------------------------------------- */

enum { MOMENTS = 5 };

static void work_to_be_cut(struct world *world, const struct crash_disk *disk, size_t moments[MOMENTS])
{
    begin(world, "power");
    moments[0] = crash_disk_moment(disk);
    erase_m(world);
    moments[1] = crash_disk_moment(disk);
    world_put(world, TEXTS);
    moments[2] = crash_disk_moment(disk);
    world_flush(world);
    moments[3] = crash_disk_moment(disk);
    world_put(world, "m,t=a v=\"z\" 2\n");
    moments[4] = crash_disk_moment(disk);
    world_close(world);
}

static bool has_lines(const char *text, const char *a, const char *b)
{
    return strstr(text, a) != NULL && strstr(text, b) != NULL;
}

static void check_cut(struct world *cut, size_t moment, const size_t moments[MOMENTS])
{
    for (int round = 0; round < 2; round++) {
        world_open(cut);
        char *got = world_dump(cut->store, "m");
        bool is_old = strstr(got, "v=0x") != NULL;
        bool is_right = moment < moments[1] || !is_old; /* any part of the deletion, then none of the numbers */
        if (moment >= moments[2])
            is_right = is_right && has_lines(got, moment >= moments[4] ? "m,t=a 2 v=\"z\"\n" : "m,t=a 2 v=", "m,t=c 5 v=\"y\"\n");
        if (!is_right)
            af_test_failed(__FILE__, __LINE__, "moment %zu of %zu %zu %zu %zu: it has\n%s", moment, moments[0], moments[1], moments[2],
                           moments[4], got);
        free(got);
        if (moment >= moments[2])
            check_listed(cut, "v string\n");
        if (round == 1 && moment >= moments[1])
            world_put(cut, "m,t=a v=\"fits\" 9\n");
        world_close(cut);
    }
}

AF_TEST(types_after_a_crash_are_those_of_what_was_acknowledged)
{
    struct world world;
    struct world cut;
    size_t moments[MOMENTS];
    char dir[512];
    (void)snprintf(dir, sizeof dir, "%s/power", af_test_dir());
    struct crash_disk *disk = crash_disk_new(dir);
    work_to_be_cut(&world, disk, moments);
    crash_disk_stop(disk);
    world_init(&cut, "cut");
    for (size_t moment = moments[0]; moment <= moments[4]; moment++)
        for (uint64_t seed = 0; seed < 10; seed++) {
            crash_disk_build(disk, moment, seed, cut.dir);
            check_cut(&cut, moment, moments);
        }
    crash_disk_free(disk);
}

/* --- while others write --------------------------------------------------------------------------------------------------------------- */

enum { WRITERS = 3, ROUNDS = 120, ERASES = 40 };

struct worker {
    struct world *world;
    struct af_thread thread;
    unsigned number;
    unsigned kept, refused;
    bool *is_over;
};

/* Of a type of its own: what is refused is refused for its type. */
static void write_lines(void *ctx)
{
    static const char *const values[WRITERS] = { "1", "2i", "\"x\"" };
    struct worker *w = ctx;
    for (int i = 0; i < ROUNDS || !__atomic_load_n(w->is_over, __ATOMIC_ACQUIRE); i++) {
        char text[128];
        struct af_error why = { 0 };
        struct af_write_answer answer = { 0 };
        (void)snprintf(text, sizeof text, "m,t=%u v=%s %d\n", w->number, values[w->number], i % 50);
        struct af_write write = { .lines = af_slice_of(text), .precision_ns = 1 };
        AF_CHECK_OK(af_store_write(w->world->store, &write, &answer, &why), why);
        w->kept += answer.verdict == AF_WRITE_DONE;
        w->refused += answer.verdict != AF_WRITE_DONE;
        AF_CHECK(answer.verdict == AF_WRITE_DONE || strstr(answer.reason, "field type conflict") != NULL);
    }
}

static void erase_again_and_again(void *ctx)
{
    struct worker *w = ctx;
    for (int i = 0; i < ERASES; i++) {
        struct af_error why = { 0 };
        AF_CHECK_OK(af_store_erase(w->world->store, &all_of_m, &why), why);
        if (i % 8 == 3)
            AF_CHECK_OK(af_tsm_flush(w->world->engine, &why), why);
    }
}

/* What a reader sees is what a replay gives: nothing that was taken is of another type than the log's order decides. */
static void run_workers(struct world *world, bool *is_over)
{
    struct worker writers[WRITERS];
    struct worker erasers[2];
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct worker){ .world = world, .number = i, .is_over = is_over };
        AF_CHECK_OK(af_thread_start(&writers[i].thread, "writer", write_lines, &writers[i], &world->err), world->err);
    }
    for (unsigned i = 0; i < 2; i++) {
        erasers[i] = (struct worker){ .world = world };
        AF_CHECK_OK(af_thread_start(&erasers[i].thread, "eraser", erase_again_and_again, &erasers[i], &world->err), world->err);
    }
    for (unsigned i = 0; i < 2; i++)
        af_thread_join(&erasers[i].thread);
    __atomic_store_n(is_over, true, __ATOMIC_RELEASE);
    unsigned kept = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        af_thread_join(&writers[i].thread);
        kept += writers[i].kept;
    }
    AF_CHECK(kept > 0);
}

static void write_one(void *ctx)
{
    struct worker *w = ctx;
    struct af_write write = { .lines = AF_SLICE_LIT("m,t=a v=7 7\n"), .precision_ns = 1 };
    struct af_write_answer answer = { 0 };
    struct af_error why = { 0 };
    AF_CHECK_OK(af_store_write(w->world->store, &write, &answer, &why), why);
    w->kept = answer.verdict == AF_WRITE_DONE;
}

static void erase_once(void *ctx)
{
    struct worker *w = ctx;
    struct af_error why = { 0 };
    AF_CHECK_OK(af_store_erase(w->world->store, &all_of_m, &why), why);
}

/* A writer that knows the old type comes when a deletion is about to forget it, and both wait for the log. */
AF_TEST(a_type_is_not_forgotten_between_its_claim_and_the_log)
{
    struct world world;
    begin(&world, "a");
    struct worker eraser = { .world = &world };
    struct worker writer = { .world = &world };
    struct af_shard *shard = world.engine->at.shards[0];
    world_put(&world, "k v=2 2\n");
    uint64_t flushes = world_stats(&world).flushes;
    af_mutex_lock(&shard->work); /* as a compaction would: the deletion has flushed and waits */
    AF_CHECK_OK(af_thread_start(&eraser.thread, "eraser", erase_once, &eraser, &world.err), world.err);
    while (world_stats(&world).flushes == flushes)
        af_clock_sleep_ms(1);
    af_mutex_lock(&world.engine->flush); /* that flush is over */
    af_mutex_unlock(&world.engine->flush);
    af_wal_pause(world.engine->wal);
    af_mutex_unlock(&shard->work);
    af_clock_sleep_ms(50);
    AF_CHECK_OK(af_thread_start(&writer.thread, "writer", write_one, &writer, &world.err), world.err);
    af_clock_sleep_ms(50);
    af_wal_resume(world.engine->wal);
    af_thread_join(&writer.thread);
    af_thread_join(&eraser.thread);
    AF_CHECK(writer.kept);
    struct af_write_answer answer = world_write(&world, TEXTS);
    AF_CHECK(answer.verdict == AF_WRITE_BAD_LINES);
    char *before = world_dump(world.store, "m");
    AF_CHECK_STR(before, "m,t=a 7 v=0x1.cp+2\n");
    world_reopen(&world);
    world_check(&world, "m", before);
    free(before);
    world_close(&world);
}

AF_TEST(types_change_hands_among_writers_and_deletions)
{
    struct world world;
    bool is_over = false;
    world_init(&world, "a");
    world_open(&world);
    world_put(&world, "k v=1 1\n");
    for (int round = 0; round < 3; round++) {
        is_over = false;
        run_workers(&world, &is_over);
        char *before = world_dump(world.store, "m");
        world_reopen(&world);
        world_check(&world, "m", before);
        world_flush(&world);
        world_check(&world, "m", before);
        free(before);
        world_close(&world);
        check_directory(&world);
        world_open(&world);
    }
    world_close(&world);
}
