/*
 * compact_bench.c - compaction by what it has to do: copying full blocks, and cutting small ones into full ones.
 *
 *     reference: reading the same files through a merge, and writing the bytes of the result with one fsync
 *
 * Hourly data: SERIES keys of floats, POINTS each. "copy": two files, one after the other in time, full blocks. "re-chunk": eight files
 * with a block of 900 points each. "interleave": eight files whose points alternate, so each row is picked.
 */
#include "base/alloc.h"
#include "os/clock.h"
#include "tsm/tsm_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SERIES = 1000, POINTS = 8000 };

static void must(enum af_status status, const struct af_error *err)
{
    if (status == AF_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* Points first, first + step ... of every series. */
static struct af_tsm_part *make(const char *dir, uint32_t generation, size_t first, size_t step, size_t count, struct af_arena *arena)
{
    static int64_t times[POINTS];
    static double values[POINTS];
    struct af_error err;
    struct af_part_writer *writer;
    struct af_tsm_part **parts;
    size_t made;
    must(af_part_writer_new(dir, generation, 1, 0, &writer, &err), &err);
    for (int s = 0; s < SERIES; s++) {
        char key[64];
        const int n = snprintf(key, sizeof key, "generation,plant=%06d" AF_TSM_KEY_SEPARATOR "mw", s);
        for (size_t i = 0; i < count; i++) {
            const size_t at = first + i * step;
            times[i] = (int64_t)at * 3600 * 1000000000;
            values[i] = (double)((at * 7919 + (size_t)s * 31) % 5000) / 10;
        }
        const struct af_tsm_values rows = { count, times, { .type = AF_TYPE_F64, .f64 = values } };
        must(af_part_writer_add(writer, af_slice_make(key, (size_t)n), &rows, &err), &err);
    }
    must(af_part_writer_finish(writer, arena, &parts, &made, &err), &err);
    af_part_writer_free(writer);
    return parts[0];
}

static uint64_t bytes_of(struct af_tsm_part *const *parts, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += parts[i]->bytes;
    return bytes;
}

static double read_all(struct af_tsm_part *const *parts, size_t count)
{
    struct af_error err;
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX / 2);
    const int64_t start = af_clock_mono_ns();
    for (int s = 0; s < SERIES; s++) {
        char key[64];
        struct af_merge *merge;
        struct af_tsm_values values;
        struct af_piece pieces[16] = { 0 };
        const int n = snprintf(key, sizeof key, "generation,plant=%06d" AF_TSM_KEY_SEPARATOR "mw", s);
        for (size_t i = 0; i < count; i++) {
            pieces[i].part = parts[i];
            must(af_tsm_find(parts[i]->file, af_slice_make(key, (size_t)n), &arena, &pieces[i].entry, &err), &err);
        }
        must(af_merge_open(pieces, count, INT64_MIN, INT64_MAX, &arena, &merge, &err), &err);
        do
            must(af_merge_next(merge, &values, &err), &err);
        while (values.count > 0);
        af_merge_close(merge);
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    return (double)(af_clock_mono_ns() - start) / 1e9;
}

static double write_plain(const char *dir, uint64_t bytes)
{
    enum { PIECE = 256 << 10 };
    static char piece[PIECE];
    struct af_error err;
    struct af_file *file;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/plain", dir);
    const int64_t start = af_clock_mono_ns();
    must(af_file_open(path, AF_FILE_TRUNCATE, &file, &err), &err);
    for (uint64_t done = 0; done < bytes; done += PIECE)
        must(af_file_write(file, af_slice_make(piece, bytes - done < PIECE ? (size_t)(bytes - done) : PIECE), &err), &err);
    must(af_file_sync(file, &err), &err);
    const double seconds = (double)(af_clock_mono_ns() - start) / 1e9;
    af_file_close(file);
    must(af_path_remove(path, &err), &err);
    return seconds;
}

static void bench(const char *name, const char *dir, struct af_tsm_part **parts, size_t count, double values, struct af_arena *arena)
{
    struct af_error err;
    struct af_files *empty = af_alloc_zero(1, sizeof *empty);
    struct af_files *files;
    double best = 1e9;
    uint64_t out_bytes = 0;
    if (empty == NULL)
        exit(1);
    empty->refs = 1;
    must(af_files_replace(empty, NULL, 0, parts, count, &files, &err), &err);
    af_files_unref(empty);
    const double reading = read_all(parts, count);
    for (int round = 0; round < 3; round++) {
        struct af_tsm_part **made;
        size_t made_count;
        const int64_t start = af_clock_mono_ns();
        must(af_compact_run(dir, files, 0, count, 0, NULL, arena, &made, &made_count, &err), &err);
        const double seconds = (double)(af_clock_mono_ns() - start) / 1e9;
        best = seconds < best ? seconds : best;
        out_bytes = bytes_of(made, made_count);
        for (size_t i = 0; i < made_count; i++) {
            af_part_doom(made[i]);
            af_part_unref(made[i]);
        }
    }
    const double plain = write_plain(dir, out_bytes);
    printf("%-11s %6.1f MB/s in, %6.1f M values/s, %.2f bytes a value; %.2f of reading by merge + plain write (%.3f + %.3f s)\n", name,
           (double)bytes_of(parts, count) / 1e6 / best, values / 1e6 / best, (double)out_bytes / values, (reading + plain) / best, reading,
           plain);
    for (size_t i = 0; i < count; i++) {
        af_part_doom(parts[i]);
        af_part_unref(parts[i]);
    }
    af_files_unref(files);
}

int main(void)
{
    struct af_arena arena;
    struct af_tsm_part *parts[8];
    char dir[] = "/tmp/afluxo-bench-XXXXXX";
    if (mkdtemp(dir) == NULL)
        return 1;
    af_arena_init(&arena, SIZE_MAX / 2);
    for (uint32_t i = 0; i < 2; i++)
        parts[i] = make(dir, i + 1, i * (POINTS / 2), 1, POINTS / 2, &arena);
    bench("copy", dir, parts, 2, SERIES * POINTS, &arena);
    for (uint32_t i = 0; i < 8; i++)
        parts[i] = make(dir, i + 1, i * (POINTS / 8), 1, POINTS / 8 - 100, &arena);
    bench("re-chunk", dir, parts, 8, SERIES * (POINTS - 800), &arena);
    for (uint32_t i = 0; i < 8; i++)
        parts[i] = make(dir, i + 1, i, 8, POINTS / 8, &arena);
    bench("interleave", dir, parts, 8, SERIES * POINTS, &arena);
    af_arena_done(&arena);
    printf("peak memory %.0f MB\n", (double)af_memory_peak() / 1e6);
    return rmdir(dir) != 0;
}
