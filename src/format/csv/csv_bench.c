/*
 * csv_bench.c - reading CSV against copying it, finding its line ends, and a plain loop that does the least a reader could.
 *
 *     csv_bench [file]      default: rows like those of ONS, made here
 *
 * Prints MB/s, the best of several rounds, and the ratio to memcpy.
 */
#include "base/alloc.h"
#include "format/csv/csv_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 15 };

static struct af_slice text;
static char *copy;
static volatile uint64_t sink;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void make_rows(struct af_buf *out)
{
    static const char *const regions[] = { "N;NORTE", "NE;NORDESTE", "S;SUL", "SE;SUDESTE" };
    af_buf_append_str(out, "id_subsistema;nom_subsistema;din_instante;val_cargaenergiahomwmed\n");
    uint64_t x = 1;
    for (int hour = 0; hour < 400000; hour++)
        for (int r = 0; r < 4; r++) {
            x = x * 6364136223846793005U + 1;
            af_buf_printf(out, "%s;2%03d-%02d-%02d %02d:00:00;%d.%03d\n", regions[r], hour / 8064, hour / 672 % 12 + 1,
                          hour / 24 % 28 + 1, hour % 24, (int)(x >> 50), (int)(x >> 40) % 1000 & 511);
        }
}

static void run_memcpy(void)
{
    memcpy(copy, text.ptr, text.len);
    sink += (uint64_t)copy[text.len / 2];
}

static void run_memchr(void)
{
    uint64_t lines = 0;
    const char *end = text.ptr + text.len;
    for (const char *p = text.ptr; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        lines++;
    sink += lines;
}

static void run_naive(void)
{
    uint64_t cells = 0;
    char *to = copy;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == ';' || c == '\n')
            cells++;
        else
            *to++ = c;
    }
    sink += cells;
}

static void run_scan(void)
{
    static uint32_t ends[200000], records[200000];
    size_t pos = 0;
    while (pos < text.len) {
        struct af_csv_marks marks = { .ends = ends, .end_cap = 200000, .records = records, .record_cap = 200000 };
        enum af_csv_stop stop;
        pos = af_csv_scan(text.ptr, pos, text.len, ';', &marks, &stop);
        pos += stop == AF_CSV_STOP_SPECIAL;
        sink += marks.end_count;
    }
}

static void run_reader(struct af_reader *reader)
{
    struct af_stream *stream;
    struct af_error err;
    if (af_csv_open(reader, NULL, &stream, NULL, &err) != AF_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    static struct af_arena arena;
    arena.bytes_max = (size_t)1 << 30;
    struct af_batch *batch;
    while (af_stream_next(stream, &arena, &batch, &err) == AF_OK && batch != NULL) {
        sink += batch->row_count;
        af_arena_reset(&arena);
    }
    af_stream_close(stream);
}

static void run_csv(void)
{
    struct af_reader reader;
    af_reader_from_memory(&reader, "bench", text.ptr, text.len);
    run_reader(&reader);
}

static enum af_status read_at(struct af_reader *reader, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    (void)reader;
    (void)err;
    memcpy(dst, text.ptr + offset, len);
    return AF_OK;
}

static void run_csv_read(void)
{
    static const struct af_reader_ops ops = { .read_at = read_at, .close = NULL };
    struct af_reader reader = { &ops, "bench", text.len, NULL };
    run_reader(&reader);
}

static double best(void (*fn)(void))
{
    double least = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double start = now_s();
        fn();
        double took = now_s() - start;
        least = took < least ? took : least;
    }
    return least;
}

int main(int argc, char **argv)
{
    struct af_buf buf;
    af_buf_init(&buf, (size_t)1 << 31);
    if (argc > 1) {
        FILE *file = fopen(argv[1], "rb");
        for (size_t got = 1; file != NULL && got != 0; buf.len += got)
            got = fread(af_buf_reserve(&buf, 1 << 20), 1, 1 << 20, file);
    } else {
        make_rows(&buf);
    }
    text = af_buf_slice(&buf);
    copy = af_alloc(text.len + 1);
    if (copy == NULL || text.len == 0)
        return 1;
    static const struct { const char *name; void (*fn)(void); } runs[] = {
        { "memcpy", run_memcpy }, { "memchr of line ends", run_memchr }, { "plain loop", run_naive },
        { "scan alone", run_scan }, { "csv, in memory", run_csv }, { "csv, read in pieces", run_csv_read },
    };
    double base = 0;
    printf("%zu bytes\n", text.len);
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        double took = best(runs[i].fn);
        base = i == 0 ? took : base;
        printf("%-22s %8.0f MB/s   %.2f of memcpy\n", runs[i].name, (double)text.len / took / 1e6, base / took);
    }
    af_free(copy);
    af_buf_done(&buf);
    return 0;
}
