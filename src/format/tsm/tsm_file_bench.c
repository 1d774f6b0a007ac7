/*
 * tsm_file_bench.c - opening, finding, writing, statistics. Each beside the least that the same bytes could cost:
 *   open    against reading the index and its crc
 *   find    against one pread of 8 KiB
 *   write   against encoding the blocks alone
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "codec/compress.h"
#include "format/tsm/file_int.h"
#include "os/clock.h"
#include "os/file.h"
#include <stdio.h>
#include <stdlib.h>

enum { SERIES = 1000000, FINDS = 200000, PIECE = 256 << 10, PLANTS = 1000, HOURS = 8760 };

static void must(enum af_status status, const struct af_error *err)
{
    if (status == AF_OK)
        return;
    fprintf(stderr, "%s: %s\n", af_status_name(status), err->message);
    exit(1);
}

static enum af_status to_file(void *ctx, struct af_slice bytes, struct af_error *err)
{
    return af_file_write(ctx, bytes, err);
}

static enum af_status count_bytes(void *ctx, struct af_slice bytes, struct af_error *err)
{
    (void)err;
    *(uint64_t *)ctx += bytes.len;
    return AF_OK;
}

static int key_of(char *out, size_t cap, int i)
{
    return snprintf(out, cap, "cpu,datacenter=dc-%d,hostname=host_%07d,region=south-america#!~#usage_%s", i / 300000, i / 2,
                    i % 2 == 0 ? "system" : "user");
}

/* A point a key: nearly all of the file is index. */
static void write_wide(const char *path)
{
    struct af_error err;
    struct af_file *file;
    struct af_tsm_writer *w;
    const int64_t time = 1700000000000000000;
    const double value = 12.5;
    const struct af_tsm_values one = { 1, &time, { .type = AF_TYPE_F64, .f64 = &value } };
    must(af_file_open(path, AF_FILE_TRUNCATE, &file, &err), &err);
    must(af_tsm_writer_new(to_file, file, &w, &err), &err);
    for (int i = 0; i < SERIES * 2; i++) {
        char key[128];
        const int len = key_of(key, sizeof key, i);
        must(af_tsm_writer_add(w, af_slice_make(key, (size_t)len), &one, &err), &err);
    }
    must(af_tsm_writer_finish(w, NULL, &err), &err);
    af_tsm_writer_free(w);
    af_file_close(file);
}

static double seconds_since(int64_t start)
{
    return (double)(af_clock_mono_ns() - start) * 1e-9;
}

static double read_plainly(struct af_reader *reader, uint64_t at, uint64_t end)
{
    struct af_error err;
    char *piece = af_alloc(PIECE);
    uint32_t crc = 0;
    if (piece == NULL)
        exit(1);
    const int64_t start = af_clock_mono_ns();
    while (at < end) {
        const size_t n = end - at < PIECE ? (size_t)(end - at) : PIECE;
        must(af_reader_read(reader, at, piece, n, &err), &err);
        crc = af_crc32(crc, piece, n);
        at += n;
    }
    const double s = seconds_since(start);
    if (crc == 0)
        printf("(a checksum of 0)\n");
    af_free(piece);
    return s;
}

static void bench_wide(const char *path)
{
    struct af_error err;
    struct af_reader *reader;
    struct af_tsm_file *file = NULL;
    struct af_tsm_file_info info;
    struct af_arena arena;
    struct af_prng prng = { 1 };
    static char piece[8192];
    double best = 1e9;
    double plain = 1e9;
    for (int i = 0; i < 5; i++) {
        af_tsm_file_close(file);
        must(af_file_reader_open(path, &reader, &err), &err);
        const int64_t start = af_clock_mono_ns();
        must(af_tsm_file_open(reader, NULL, &file, &err), &err);
        const double s = seconds_since(start);
        best = s < best ? s : best;
        af_tsm_file_info(file, &info);
        const double p = read_plainly(reader, info.index_offset, info.index_offset + info.index_bytes);
        plain = p < plain ? p : plain;
    }
    printf("open   %llu keys, index %.1f MB: %.1f ms, %.2f GB/s, %.2f of reading and crc alone; sample %.2f byte a key\n",
           (unsigned long long)info.key_count, (double)info.index_bytes * 1e-6, best * 1e3, (double)info.index_bytes / best * 1e-9,
           plain / best,
           (double)(file->sample_count * sizeof *file->samples + file->text.len) / (double)info.key_count);
    af_arena_init(&arena, 1 << 28);
    int64_t start = af_clock_mono_ns();
    for (int i = 0; i < FINDS; i++) {
        char key[128];
        struct af_tsm_entry entry;
        const int len = key_of(key, sizeof key, (int)af_prng_below(&prng, SERIES * 2));
        af_arena_reset(&arena);
        must(af_tsm_find(file, af_slice_make(key, (size_t)len), &arena, &entry, &err), &err);
        if (entry.key.ptr == NULL)
            exit(1);
    }
    const double finds = seconds_since(start) / FINDS;
    start = af_clock_mono_ns();
    for (int i = 0; i < FINDS; i++) {
        const uint64_t at = info.index_offset + af_prng_below(&prng, info.index_bytes - sizeof piece);
        must(af_reader_read(reader, at, piece, sizeof piece, &err), &err);
    }
    printf("find   %.2f us, %.2f times a pread of 8 KiB\n", finds * 1e6, finds / (seconds_since(start) / FINDS));
    af_arena_done(&arena);
    af_tsm_file_close(file);
}

/* Hourly values of two decimals, a year of each plant. */
static void bench_hourly(void)
{
    static int64_t times[HOURS];
    static double values[HOURS];
    struct af_error err;
    struct af_prng prng = { 2 };
    struct af_tsm_writer *w;
    uint64_t bytes = 0;
    uint64_t side = 0;
    struct af_buf block;
    double writing = 0;
    double encoding = 0;
    const struct af_tsm_values all = { HOURS, times, { .type = AF_TYPE_F64, .f64 = values } };
    af_buf_init(&block, 1 << 20);
    must(af_tsm_writer_new(count_bytes, &bytes, &w, &err), &err);
    af_tsm_writer_emit_stats(w, count_bytes, &side);
    for (int plant = 0; plant < PLANTS; plant++) {
        char key[128];
        double level = 500;
        for (int i = 0; i < HOURS; i++) {
            level += (double)((int)af_prng_below(&prng, 2001) - 1000) / 50;
            level = level < 0 ? 0 : level > 1000 ? 1000 : level;
            times[i] = 1600000000000000000 + i * INT64_C(3600000000000);
            values[i] = (double)(int64_t)(level * 100) / 100;
        }
        const int len = snprintf(key, sizeof key, "generation,plant=P%04d#!~#mw", plant);
        int64_t start = af_clock_mono_ns();
        must(af_tsm_writer_add(w, af_slice_make(key, (size_t)len), &all, &err), &err);
        writing += seconds_since(start);
        start = af_clock_mono_ns();
        for (size_t at = 0; at < HOURS; at += AF_TSM_BLOCK_POINTS) {
            af_buf_clear(&block);
            must(af_tsm_block_encode(&all, at, HOURS - at < AF_TSM_BLOCK_POINTS ? HOURS - at : AF_TSM_BLOCK_POINTS, &block, &err), &err);
        }
        encoding += seconds_since(start);
    }
    must(af_tsm_writer_finish(w, NULL, &err), &err);
    af_tsm_writer_free(w);
    const double points = (double)PLANTS * HOURS;
    printf("write  %.1f M values/s, %.2f of encoding alone; %.2f bytes a value, side file %.2f %%, %.1f bytes a day\n",
           points / writing * 1e-6, encoding / writing, (double)bytes / points, 100.0 * (double)side / (double)bytes,
           (double)side / (points / 24));
    af_buf_done(&block);
}

int main(void)
{
    char path[] = "/tmp/tsm-bench-XXXXXX";
    const int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    write_wide(path);
    bench_wide(path);
    bench_hourly();
    remove(path);
    return 0;
}
