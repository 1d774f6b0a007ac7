/*
 * parquet_bench.c - how fast a Parquet file is read into batches, all columns and each alone.
 *
 *     parquet_bench FILE [rounds]
 *
 * Prints M rows/s of the best of `rounds` (5) and its ratio to a memcpy of the file's uncompressed bytes, then ns a row for each column.
 */
#include "base/alloc.h"
#include "format/parquet/parquet.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct bench_file {
    struct af_reader base;
    int fd;
};

static enum af_status bench_read(struct af_reader *reader, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    struct bench_file *file = (struct bench_file *)reader;
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(file->fd, (char *)dst + done, len - done, (off_t)(offset + done));
        if (n <= 0)
            return af_fail(err, AF_EIO, "%s: cannot be read", reader->name);
        done += (size_t)n;
    }
    return AF_OK;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds of one whole scan; exits on failure. */
static double scan_once(struct af_parquet *file, const size_t *columns, size_t count, uint64_t *out_rows)
{
    struct af_error err = { 0 };
    struct af_parquet_scan scan = { .columns = columns, .column_count = count };
    struct af_stream *stream;
    struct af_arena arena;
    struct af_batch *batch = NULL;
    enum af_status status;
    const double start = now();
    af_arena_init(&arena, (size_t)1 << 31);
    *out_rows = 0;
    status = af_parquet_scan(file, &scan, &stream, &err);
    while (status == AF_OK && (status = af_stream_next(stream, &arena, &batch, &err)) == AF_OK && batch != NULL) {
        *out_rows += batch->row_count;
        af_arena_reset(&arena);
    }
    if (status != AF_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    return now() - start;
}

static double best_of(struct af_parquet *file, const size_t *columns, size_t count, int rounds, uint64_t *out_rows)
{
    double best = 1e9;
    for (int i = 0; i < rounds; i++) {
        double seconds = scan_once(file, columns, count, out_rows);
        best = seconds < best ? seconds : best;
    }
    return best;
}

static double copy_seconds(uint64_t bytes)
{
    enum { BLOCK = 1 << 20 };
    char *from = malloc(BLOCK);
    char *to = malloc(BLOCK);
    if (from == NULL || to == NULL)
        exit(1);
    memset(from, 1, BLOCK);
    const double start = now();
    for (uint64_t done = 0; done < bytes; done += BLOCK) {
        memcpy(to, from, BLOCK);
        __asm__ volatile("" : : "r"(to) : "memory");
    }
    const double seconds = now() - start;
    free(from);
    free(to);
    return seconds;
}

int main(int argc, char **argv)
{
    static const struct af_reader_ops ops = { .read_at = bench_read, .close = NULL };
    struct af_error err = { 0 };
    struct bench_file reader = { { .ops = &ops }, -1 };
    struct af_parquet *file;
    if (argc < 2) {
        fprintf(stderr, "usage: parquet_bench FILE [rounds]\n");
        return 2;
    }
    reader.base.name = argv[1];
    reader.fd = open(argv[1], O_RDONLY);
    if (reader.fd < 0) {
        perror(argv[1]);
        return 1;
    }
    reader.base.size = (uint64_t)lseek(reader.fd, 0, SEEK_END);
    const int rounds = argc > 2 ? atoi(argv[2]) : 5;
    if (af_parquet_open(&reader.base, &file, &err) != AF_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct af_schema *schema = af_parquet_schema(file);
    uint64_t rows;
    uint64_t raw = 0;
    struct af_parquet_column_info info;
    const double all = best_of(file, NULL, 0, rounds, &rows);
    for (size_t i = 0; i < schema->field_count; i++) {
        af_parquet_column_info(file, i, &info);
        raw += info.bytes_raw;
    }
    printf("%s: %llu rows, %zu columns: %.1f M rows/s, %.2f ns/row; %.1f x the time of copying its %.1f MB\n", argv[1],
           (unsigned long long)rows, schema->field_count, (double)rows / all / 1e6, all / (double)rows * 1e9, all / copy_seconds(raw),
           (double)raw / 1e6);
    for (size_t i = 0; i < schema->field_count; i++) {
        af_parquet_column_info(file, i, &info);
        if (info.unsupported != NULL)
            continue;
        const double one = best_of(file, &i, 1, rounds, &rows);
        printf("  %-28s %-8s %-10s %6.2f ns/row  %s\n", schema->fields[i].name, af_type_name(schema->fields[i].type), info.codec,
               one / (double)rows * 1e9, info.encodings);
    }
    af_parquet_close(file);
    close(reader.fd);
    return 0;
}
