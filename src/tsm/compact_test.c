/* compact_test.c - plans, and the property that matters: what is compacted reads as its sources did, in full blocks, whatever fails. */
#include "base/limits.h"
#include "os/clock.h"
#include "os/fault.h"
#include "tsm/parts_test.h"
#include <errno.h>

/* --- the plan ------------------------------------------------------------------------------------------------------------------ */

static struct af_files *fake_set(const uint32_t (*names)[2], size_t count, size_t tombs_at)
{
    struct af_files *files = af_alloc_zero(1, sizeof *files + count * sizeof files->parts[0]);
    AF_CHECK(files != NULL);
    files->refs = 1;
    files->count = count;
    for (size_t i = 0; i < count; i++) {
        files->parts[i] = af_alloc_zero(1, sizeof *files->parts[i]);
        AF_CHECK(files->parts[i] != NULL);
        files->parts[i]->refs = 1;
        files->parts[i]->generation = names[i][0];
        files->parts[i]->sequence = names[i][1];
        files->parts[i]->tomb_count = i == tombs_at;
    }
    return files;
}

static void check_plan(const uint32_t (*names)[2], size_t count, size_t tombs_at, bool full, size_t first, size_t want)
{
    size_t got_first;
    size_t got_count;
    struct af_files *files = fake_set(names, count, tombs_at);
    af_compact_plan(files, full, &got_first, &got_count);
    AF_CHECK_INT(got_count, want);
    if (want > 0)
        AF_CHECK_INT(got_first, first);
    af_files_unref(files);
}

AF_TEST(plan_levels)
{
    static const uint32_t young[][2] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 }, { 5, 1 }, { 6, 1 }, { 7, 1 }, { 8, 1 }, { 9, 1 } };
    static const uint32_t second[][2] = { { 4, 5 }, { 8, 2 }, { 16, 2 }, { 16, 3 }, { 24, 2 }, { 32, 2 }, { 33, 1 } };
    static const uint32_t old[][2] = { { 1, 4 }, { 2, 9 }, { 3, 5 }, { 4, 4 }, { 5, 3 } };
    check_plan(young, 0, SIZE_MAX, true, 0, 0);
    check_plan(young, 1, SIZE_MAX, true, 0, 0);
    check_plan(young, 1, 0, false, 0, 1);
    check_plan(young, 7, SIZE_MAX, false, 0, 0);
    check_plan(young, 8, SIZE_MAX, false, 0, 8);
    check_plan(young, 9, SIZE_MAX, false, 0, 8);
    check_plan(young, 3, SIZE_MAX, true, 0, 3);
    check_plan(young, 3, 1, false, 0, 3);
    check_plan(second, 7, SIZE_MAX, false, 1, 5);
    check_plan(second, 4, SIZE_MAX, false, 0, 0);
    check_plan(old, 5, SIZE_MAX, false, 0, 4);
    check_plan(old + 1, 4, SIZE_MAX, false, 0, 0);
}

/* Generations of level 4 that are large already are left alone. */
AF_TEST(plan_leaves_the_grown_alone)
{
    static const uint32_t old[][2] = { { 1, 4 }, { 2, 4 }, { 3, 4 }, { 4, 4 }, { 5, 4 } };
    size_t first;
    size_t count;
    struct af_files *files = fake_set(old, 5, SIZE_MAX);
    files->parts[1]->bytes = AF_TSM_FILE_BYTES_MAX / 2;
    af_compact_plan(files, false, &first, &count);
    AF_CHECK_INT(count, 0);
    af_compact_plan(files, true, &first, &count);
    AF_CHECK_INT(count, 5);
    af_files_unref(files);
}

/* --- the doing ----------------------------------------------------------------------------------------------------------------- */

struct world {
    struct af_prng prng;
    struct af_arena arena;
    struct t_cells *all, *cells;
    struct af_files *files;
};

/* `count` generations in the test's directory, some with deletions. */
static void world_init(struct world *w, uint64_t seed, uint32_t count)
{
    struct af_error err;
    struct af_tsm_part *parts[16];
    size_t n = 0;
    *w = (struct world){ .prng = { seed }, .all = af_alloc_zero(1, sizeof *w->all), .cells = af_alloc(sizeof *w->cells) };
    AF_CHECK(w->all != NULL && w->cells != NULL);
    af_arena_init(&w->arena, SIZE_MAX / 2);
    for (uint32_t i = 1; i <= count; i++) {
        struct af_tsm_part **made;
        size_t made_count;
        t_fill(w->cells, &w->prng);
        AF_CHECK_OK(t_write(af_test_dir(), i, 1 + i % 2, w->cells, &w->prng, &w->arena, &made, &made_count, &err), err);
        if (made_count == 0)
            continue;
        parts[n] = made[0];
        if (af_prng_below(&w->prng, 3) == 0)
            t_erase(&parts[n], w->cells, &w->prng);
        t_lay_over(w->all, w->cells);
        n++;
    }
    w->files = t_set(parts, n);
}

static void world_done(struct world *w)
{
    for (size_t i = 0; i < w->files->count; i++)
        af_part_doom(w->files->parts[i]);
    af_files_unref(w->files);
    af_arena_done(&w->arena);
    af_free(w->all);
    af_free(w->cells);
}

static void check_reads(const struct af_files *files, const struct t_cells *want)
{
    struct af_error err;
    bool equal;
    AF_CHECK_OK(t_read(files, want, INT64_MIN, INT64_MAX, &equal, &err), err);
    AF_CHECK(equal);
}

/* Every block of a key has 1,000 points but the last; the file passes the checker, its statistics are those of its content. */
static void check_shape(struct af_tsm_part *part)
{
    struct af_error err;
    struct af_arena arena;
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry;
    struct af_tsm_check check;
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK_OK(af_tsm_check(part->file, NULL, NULL, &check, &err), err);
    AF_CHECK_INT(check.bad_blocks + check.bad_entries, 0);
    AF_CHECK_OK(af_tsm_cursor_open(part->file, AF_SLICE_LIT(""), &cursor, &err), err);
    for (;;) {
        AF_CHECK_OK(af_tsm_cursor_next(cursor, &entry, &err), err);
        if (entry.key.ptr == NULL)
            break;
        for (size_t b = 0; b < entry.block_count; b++) {
            struct af_tsm_values values;
            AF_CHECK_OK(af_tsm_read_block(part->file, entry.type, &entry.blocks[b], &arena, &values, &err), err);
            if (b + 1 < entry.block_count)
                AF_CHECK_INT(values.count, AF_TSM_BLOCK_POINTS);
            AF_CHECK(values.count <= AF_TSM_BLOCK_POINTS);
            af_arena_reset(&arena);
        }
    }
    af_tsm_cursor_close(cursor);
    struct af_tsm_stats *stats;
    AF_CHECK_OK(af_part_stats(part, &stats, &err), err);
    AF_CHECK(stats != NULL);
    af_arena_done(&arena);
}

static struct af_files *install(struct world *w, size_t first, size_t count, struct af_tsm_part **made, size_t made_count)
{
    struct af_error err;
    struct af_files *next;
    AF_CHECK_OK(af_files_replace(w->files, &w->files->parts[first], count, made, made_count, &next, &err), err);
    for (size_t i = 0; i < made_count; i++)
        af_part_unref(made[i]);
    return next;
}

AF_TEST(compact_equals_the_sources)
{
    struct af_error err;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct world w;
        struct af_tsm_part **made;
        size_t made_count;
        world_init(&w, seed, 2 + (uint32_t)(seed % 6));
        if (w.files->count == 0) {
            world_done(&w);
            continue;
        }
        size_t first = af_prng_below(&w.prng, w.files->count);
        size_t count = 1 + af_prng_below(&w.prng, w.files->count - first);
        if (seed % 2 == 0) {
            first = 0;
            count = w.files->count;
        }
        const uint32_t generation = w.files->parts[first + count - 1]->generation;
        AF_CHECK_OK(af_compact_run(af_test_dir(), w.files, first, count, 0, NULL, &w.arena, &made, &made_count, &err), err);
        for (size_t i = 0; i < made_count; i++) {
            AF_CHECK_INT(made[i]->generation, generation);
            check_shape(made[i]);
        }
        struct af_files *old = w.files;
        struct af_files *both;
        w.files = install(&w, first, count, made, made_count);
        check_reads(w.files, w.all);
        check_reads(old, w.all); /* readers of the old set go on */
        /* a crash before the sources are gone: what is there now reads the same */
        bool damaged;
        AF_CHECK_OK(af_files_open(af_test_dir(), NULL, NULL, &both, &damaged, &err), err);
        AF_CHECK(!damaged);
        AF_CHECK_INT(both->count, old->count + made_count);
        check_reads(both, w.all);
        af_files_unref(both);
        /* and with any of the sources gone already */
        for (size_t i = first; i < first + count; i++) {
            af_part_doom(old->parts[i]);
            AF_CHECK_OK(af_files_open(af_test_dir(), NULL, NULL, &both, &damaged, &err), err);
            check_reads(both, w.all);
            af_files_unref(both);
        }
        check_reads(old, w.all); /* unlinked, but still open */
        af_files_unref(old);
        world_done(&w);
    }
}

/* Full blocks are copied byte for byte. */
AF_TEST(compact_copies_full_blocks)
{
    struct af_error err;
    struct world w;
    struct af_tsm_part *parts[2];
    struct af_tsm_part **made;
    size_t made_count;
    world_init(&w, 5, 0);
    af_files_unref(w.files);
    w.prng.state = 2; /* whole keys at once */
    for (size_t p = 0; p < 2; p++) {
        memset(w.cells, 0, sizeof *w.cells);
        for (size_t i = p * 2000; i < p * 2000 + 2000; i++) {
            w.cells->has[0][i] = true;
            w.cells->value[0][i] = (uint32_t)af_prng_next(&w.prng);
        }
        struct af_part_writer *writer;
        struct af_tsm_values values;
        AF_CHECK_OK(af_part_writer_new(af_test_dir(), (uint32_t)p + 1, 1, 0, &writer, &err), err);
        t_values(w.cells, 0, 0, T_TIMES, &w.arena, &values);
        AF_CHECK_OK(af_part_writer_add(writer, t_key(0), &values, &err), err);
        AF_CHECK_OK(af_part_writer_finish(writer, &w.arena, &made, &made_count, &err), err);
        af_part_writer_free(writer);
        parts[p] = made[0];
        t_lay_over(w.all, w.cells);
    }
    w.files = t_set(parts, 2);
    AF_CHECK_OK(af_compact_run(af_test_dir(), w.files, 0, 2, 0, NULL, &w.arena, &made, &made_count, &err), err);
    AF_CHECK_INT(made_count, 1);
    check_shape(made[0]);
    struct af_tsm_entry entry;
    AF_CHECK_OK(af_tsm_find(made[0]->file, t_key(0), &w.arena, &entry, &err), err);
    AF_CHECK_INT(entry.block_count, 4);
    for (size_t b = 0; b < 4; b++) {
        struct af_tsm_entry source;
        struct af_slice raw[2];
        AF_CHECK_OK(af_tsm_find(w.files->parts[b / 2]->file, t_key(0), &w.arena, &source, &err), err);
        AF_CHECK_OK(af_tsm_read_raw(w.files->parts[b / 2]->file, &source.blocks[b % 2], &w.arena, &raw[0], &err), err);
        AF_CHECK_OK(af_tsm_read_raw(made[0]->file, &entry.blocks[b], &w.arena, &raw[1], &err), err);
        AF_CHECK(af_slice_eq(raw[0], raw[1]));
    }
    af_part_doom(made[0]);
    af_part_unref(made[0]);
    world_done(&w);
}

/* All deleted: no file, and nothing comes back. */
AF_TEST(compact_of_nothing_left)
{
    struct af_error err;
    struct world w;
    struct af_tsm_part **made;
    size_t made_count;
    struct af_tsm_tomb tombs[T_KEYS];
    world_init(&w, 8, 3);
    struct af_tsm_part *parts[16];
    for (size_t key = 0; key < T_KEYS; key++)
        tombs[key] = (struct af_tsm_tomb){ t_key(key), INT64_MIN, INT64_MAX };
    const size_t count = w.files->count;
    for (size_t i = 0; i < count; i++)
        AF_CHECK_OK(af_part_erase(w.files->parts[i], tombs, T_KEYS, &parts[i], &err), err);
    af_files_unref(w.files);
    w.files = t_set(parts, count);
    memset(w.all, 0, sizeof *w.all);
    check_reads(w.files, w.all);
    AF_CHECK_OK(af_compact_run(af_test_dir(), w.files, 0, count, 0, NULL, &w.arena, &made, &made_count, &err), err);
    AF_CHECK_INT(made_count, 0);
    for (size_t i = 0; i < count; i++)
        af_part_doom(w.files->parts[i]);
    struct af_files *after;
    bool damaged;
    AF_CHECK_OK(af_files_open(af_test_dir(), NULL, NULL, &after, &damaged, &err), err);
    AF_CHECK_INT(after->count, 0);
    af_files_unref(after);
    world_done(&w);
}

AF_TEST(compact_stops_when_told)
{
    struct af_error err;
    struct world w;
    struct af_tsm_part **made;
    size_t made_count;
    const bool cancel = true;
    world_init(&w, 11, 3);
    AF_CHECK_FAILS(af_compact_run(af_test_dir(), w.files, 0, w.files->count, 0, &cancel, &w.arena, &made, &made_count, &err), AF_ECANCELED);
    check_reads(w.files, w.all);
    world_done(&w);
}

/* 1 MB at 4 MB a second. */
AF_TEST(compact_keeps_its_pace)
{
    struct af_error err;
    struct world w;
    struct af_tsm_part **made;
    size_t made_count;
    struct af_part_writer *writer;
    world_init(&w, 3, 0);
    af_files_unref(w.files);
    AF_CHECK_OK(af_part_writer_new(af_test_dir(), 1, 1, 0, &writer, &err), err);
    int64_t times[1000];
    uint64_t values[1000];
    const struct af_tsm_values rows = { 1000, times, { .type = AF_TYPE_U64, .u64 = values } };
    for (int64_t block = 0; block < 130; block++) {
        for (int64_t i = 0; i < 1000; i++) {
            times[i] = block * 1000 + i;
            values[i] = af_prng_next(&w.prng);
        }
        AF_CHECK_OK(af_part_writer_add(writer, t_key(4), &rows, &err), err);
    }
    AF_CHECK_OK(af_part_writer_finish(writer, &w.arena, &made, &made_count, &err), err);
    af_part_writer_free(writer);
    w.files = t_set(made, made_count);
    AF_CHECK(w.files->parts[0]->bytes > 1000000);
    const int64_t start = af_clock_mono_ns();
    AF_CHECK_OK(af_compact_run(af_test_dir(), w.files, 0, 1, 4000000, NULL, &w.arena, &made, &made_count, &err), err);
    AF_CHECK(af_clock_mono_ns() - start > 120000000);
    af_part_unref(made[0]);
    world_done(&w);
}

static enum af_status count_file(void *ctx, const char *path, struct af_error *err)
{
    (void)path;
    (void)err;
    ++*(size_t *)ctx;
    return AF_OK;
}

static size_t files_in_dir(void)
{
    struct af_error err;
    size_t n = 0;
    AF_CHECK_OK(af_dir_list(af_test_dir(), count_file, &n, &err), err);
    return n;
}

/* The nth write, sync, read or rename fails: the failure is told, no new file stays, the sources read as before, and so does the directory
 * when it is opened again. */
static void sweep_faults(enum af_os_call call, int code, enum af_status want)
{
    struct af_error err;
    struct world w;
    world_init(&w, 21, 4);
    const size_t before = files_in_dir();
    for (uint64_t n = 1;; n++) {
        struct af_tsm_part **made;
        size_t made_count;
        AF_CHECK(n < 5000);
        af_os_fault(call, n, 1, code);
        enum af_status status = af_compact_run(af_test_dir(), w.files, 0, w.files->count, 0, NULL, &w.arena, &made, &made_count, &err);
        af_os_fault(call, 0, 0, 0);
        if (status == AF_OK) {
            AF_CHECK(n > 1);
            struct af_files *files = install(&w, 0, w.files->count, made, made_count);
            check_reads(files, w.all);
            for (size_t i = 0; i < files->count; i++)
                af_part_doom(files->parts[i]);
            af_files_unref(files);
            break;
        }
        AF_CHECK_INT(status, want);
        AF_CHECK_INT(files_in_dir(), before);
    }
    struct af_files *again;
    bool damaged;
    AF_CHECK_OK(af_files_open(af_test_dir(), NULL, NULL, &again, &damaged, &err), err);
    AF_CHECK(!damaged);
    check_reads(again, w.all);
    af_files_unref(again);
    world_done(&w);
}

AF_TEST(compact_write_faults)
{
    sweep_faults(AF_OS_WRITE, ENOSPC, AF_EFULL);
}

AF_TEST(compact_sync_faults)
{
    sweep_faults(AF_OS_SYNC, EIO, AF_EIO);
}

AF_TEST(compact_rename_faults)
{
    sweep_faults(AF_OS_RENAME, EIO, AF_EIO);
}

AF_TEST(compact_read_faults)
{
    sweep_faults(AF_OS_READ, EIO, AF_EIO);
}

AF_TEST(compact_without_memory)
{
    struct af_error err;
    struct world w;
    world_init(&w, 31, 3);
    const size_t before = files_in_dir();
    enum af_status status = AF_ENOMEM;
    size_t n = 0;
    while (status != AF_OK) {
        struct af_tsm_part **made;
        size_t made_count;
        struct af_arena arena;
        AF_CHECK(n < 20000);
        af_arena_init(&arena, SIZE_MAX / 2);
        af_alloc_fail_nth(++n);
        status = af_compact_run(af_test_dir(), w.files, 0, w.files->count, 0, NULL, &arena, &made, &made_count, &err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        if (status == AF_OK) {
            struct af_files *files = install(&w, 0, w.files->count, made, made_count);
            check_reads(files, w.all);
            for (size_t i = 0; i < files->count; i++)
                af_part_doom(files->parts[i]);
            af_files_unref(files);
        } else {
            AF_CHECK_INT(files_in_dir(), before);
        }
        af_arena_done(&arena);
    }
    AF_CHECK(n > 20);
    world_done(&w);
}
