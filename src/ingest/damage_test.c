/*
 * damage_test.c - files with one flipped bit, or cut short: what comes out is what went in, or somebody is told.
 *
 * Parquet: every row that is delivered is compared with the same row of the undamaged file. A row that differs is wrong, and so are
 * rows that are missing without a word. Pages carry checksums; page headers and the footer do not, there the reader lives on what
 * contradicts itself. Text has no checksums at all: a digit may become another one, but only the rows of the flipped byte suffer.
 *
 * Sanitizers watch over the rest; the largest single allocation is watched here.
 */
#include "base/buf.h"
#include "base/hash.h"
#include "base/prng.h"
#include "codec/compress.h"
#include "ingest/ingest.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>

/* Of every sanitizer's runtime. */
extern int __sanitizer_install_malloc_and_free_hooks(void (*malloced)(const volatile void *, size_t),
                                                     void (*freed)(const volatile void *));
static _Atomic size_t largest;

static void see_malloc(const volatile void *ptr, size_t bytes)
{
    (void)ptr;
    if (bytes > largest)
        largest = bytes;
}

static void see_free(const volatile void *ptr)
{
    (void)ptr;
}

/* --- the file -------------------------------------------------------------------------------------------------------------- */

enum { ROWS_MAX = 20000, SERIES = 40 };
static const size_t ALLOCATION_MAX = 48 << 20;

static const char map_text[] = "measurement: m\ntime: time\ntags: { series: series }\n"
                               "fields: { value: value, count: { column: count, type: integer }, text: { column: text, type: string },\n"
                               "          ok: { column: ok, type: boolean } }\n";

struct scene {
    char path[300];
    enum af_source_format format;
    struct af_buf file;
    struct af_map *map;
    struct af_source_list list;
    /* the undamaged file */
    uint64_t reference[ROWS_MAX]; /* of each row that is a point; 0: none. Of text: sorted */
    size_t points;
    /* the run at hand */
    bool is_reference;
    bool seen[ROWS_MAX];
    size_t delivered, wrong, told;
    struct af_error why;
};

static enum af_status append(void *ctx, struct af_slice bytes, struct af_error *err)
{
    af_buf_append_slice(ctx, bytes);
    return af_buf_check(ctx, "the test's file", err);
}

static void save(const struct scene *s, struct af_slice bytes)
{
    struct af_error err;
    AF_CHECK_OK(af_file_write_atomic(s->path, bytes, false, &err), err);
}

static struct scene *scene_new(const char *name, enum af_source_format format)
{
    struct scene *s = calloc(1, sizeof *s);
    AF_CHECK(s != NULL);
    s->format = format;
    snprintf(s->path, sizeof s->path, "%s/%s", af_test_dir(), name);
    af_buf_init(&s->file, 64 << 20);
    struct af_error err;
    if (format != AF_SOURCE_LP)
        AF_CHECK_OK(af_map_parse("map", af_slice_of(map_text), &s->map, &err), err);
    (void)__sanitizer_install_malloc_and_free_hooks(see_malloc, see_free);
    return s;
}

static void scene_free(struct scene *s)
{
    af_source_list_done(&s->list);
    af_map_free(s->map);
    af_buf_done(&s->file);
    free(s);
}

static void fill_batch(struct af_arena *arena, struct af_batch *batch, struct af_column *columns, size_t n, struct af_prng *prng)
{
    int64_t *times = af_arena_array(arena, n, sizeof *times);
    int64_t *counts = af_arena_array(arena, n, sizeof *counts);
    double *values = af_arena_array(arena, n, sizeof *values);
    int32_t *series_ends = af_arena_array(arena, n + 1, sizeof *series_ends);
    int32_t *text_ends = af_arena_array(arena, n + 1, sizeof *text_ends);
    char *series = af_arena_array(arena, n * 16, 1);
    char *text = af_arena_array(arena, n * 64, 1);
    uint64_t *ok = af_bits_new(arena, n, false);
    uint64_t *has_count = af_bits_new(arena, n, true);
    series_ends[0] = text_ends[0] = 0;
    size_t nulls = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t row = batch->first_row + i;
        times[i] = 1700000000000000000 + (int64_t)row * 60000000000;
        counts[i] = (int64_t)(af_prng_next(prng) >> 30);
        values[i] = af_prng_unit(prng) * 1000;
        series_ends[i + 1] = series_ends[i] + snprintf(series + series_ends[i], 16, "s%02d", (int)af_prng_below(prng, SERIES));
        text_ends[i + 1] = text_ends[i] + snprintf(text + text_ends[i], 64, "%016llx%016llx", (unsigned long long)af_prng_next(prng),
                                                   (unsigned long long)af_prng_next(prng));
        if (af_prng_below(prng, 2) != 0)
            af_bit_set(ok, i);
        if (row % 13 == 5) {
            af_bit_clear(has_count, i);
            nulls++;
        }
    }
    columns[0] = (struct af_column){ .type = AF_TYPE_TIME, .i64 = times };
    columns[1] = (struct af_column){ .type = AF_TYPE_STRING, .offsets = series_ends, .bytes = series };
    columns[2] = (struct af_column){ .type = AF_TYPE_F64, .f64 = values };
    columns[3] = (struct af_column){ .type = AF_TYPE_I64, .i64 = counts, .validity = nulls != 0 ? has_count : NULL, .null_count = nulls };
    columns[4] = (struct af_column){ .type = AF_TYPE_STRING, .offsets = text_ends, .bytes = text };
    columns[5] = (struct af_column){ .type = AF_TYPE_BOOL, .bits = ok };
    batch->row_count = n;
    batch->columns = columns;
}

static void make_parquet(struct scene *s, size_t rows, const struct af_parquet_write_options *options)
{
    static const struct af_field fields[] = {
        { .name = "time", .type = AF_TYPE_TIME },
        { .name = "series", .type = AF_TYPE_STRING },
        { .name = "value", .type = AF_TYPE_F64 },
        { .name = "count", .type = AF_TYPE_I64, .is_nullable = true },
        { .name = "text", .type = AF_TYPE_STRING },
        { .name = "ok", .type = AF_TYPE_BOOL },
    };
    static const struct af_schema schema = { sizeof fields / sizeof fields[0], fields };
    struct af_prng prng = { 7 };
    struct af_error err;
    struct af_parquet_writer *writer;
    AF_CHECK_OK(af_parquet_writer_new(&schema, options, append, &s->file, &writer, &err), err);
    for (size_t row = 0; row < rows; row += 500) {
        struct af_arena arena;
        struct af_column columns[6];
        struct af_batch batch = { .schema = &schema, .first_row = row };
        af_arena_init(&arena, 16 << 20);
        fill_batch(&arena, &batch, columns, rows - row < 500 ? rows - row : 500, &prng);
        AF_CHECK_OK(af_parquet_writer_add(writer, &batch, &err), err);
        af_arena_done(&arena);
    }
    AF_CHECK_OK(af_parquet_writer_finish(writer, &err), err);
    af_parquet_writer_free(writer);
}

/* --- reading it ---------------------------------------------------------------------------------------------------------- */

static uint64_t hash_row(const struct af_points *points, size_t row)
{
    struct af_slice key = points->set->keys.keys[points->series[row]];
    uint64_t h = af_hash_bytes(key.ptr, key.len, (uint64_t)points->time_ns[row]);
    for (size_t f = 0; f < points->field_count; f++) {
        const struct af_column *column = &points->fields[f].column;
        if (!af_column_has(column, row))
            continue;
        uint64_t field = af_hash_bytes(points->fields[f].name.ptr, points->fields[f].name.len, (uint64_t)column->type);
        if (af_type_is_text(column->type)) {
            struct af_slice text = af_column_text(column, row);
            h += af_hash_bytes(text.ptr, text.len, field);
        } else {
            uint64_t bits = column->type == AF_TYPE_BOOL ? af_bit_get(column->bits, row) : column->u64[row];
            h += af_hash_mix(bits ^ field);
        }
    }
    return h | 1;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void see_row(struct scene *s, uint64_t row, uint64_t hash)
{
    s->delivered++;
    if (s->is_reference) {
        AF_CHECK(row < ROWS_MAX);
        s->reference[s->format == AF_SOURCE_PARQUET ? row : s->points] = hash;
        s->points++;
        return;
    }
    if (s->format != AF_SOURCE_PARQUET) { /* numbers of rows shift when a line end is lost */
        s->wrong += bsearch(&hash, s->reference, s->points, sizeof hash, by_value) == NULL;
        return;
    }
    bool is_right = row < ROWS_MAX && s->reference[row] == hash && !s->seen[row];
    s->wrong += !is_right;
    if (row < ROWS_MAX)
        s->seen[row] = true;
}

static enum af_status deliver(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct scene *s = ctx;
    const struct af_points *points = block->points;
    (void)scratch, (void)err;
    s->told += block->rejects.count;
    if (block->rejects.count != 0)
        snprintf(s->why.message, sizeof s->why.message, "%s", block->rejects.items[0].reason);
    for (size_t row = 0; points != NULL && row < points->row_count; row++)
        if (points->series[row] != UINT32_MAX)
            see_row(s, block->lines != NULL ? block->lines[row] : block->first_row + row, hash_row(points, row));
    return AF_OK;
}

static void tell(void *ctx, const struct af_source *source, uint32_t part, uint64_t first_row, uint64_t rows,
                 const struct af_error *why)
{
    struct scene *s = ctx;
    (void)part, (void)first_row, (void)rows;
    AF_CHECK(strstr(why->message, source->path) != NULL);
    s->told++;
    s->why = *why;
}

static void read_it(struct scene *s)
{
    struct af_ingest_options options = { .sources = &s->list, .map = s->map, .workers = 1, .bad_source = tell, .ctx = s };
    struct af_ingest_stage stage = { .ctx = s, .deliver = deliver };
    struct af_ingest_totals totals;
    struct af_error err = { 0 };
    s->delivered = s->wrong = s->told = 0;
    memset(s->seen, 0, sizeof s->seen);
    largest = 0;
    AF_CHECK_OK(af_ingest_run(&options, &stage, &totals, &err), err);
    if (largest > ALLOCATION_MAX)
        af_test_failed(__FILE__, __LINE__, "%zu bytes at once: %s", (size_t)largest, s->why.message);
}

static void read_reference(struct scene *s, size_t rows)
{
    const char *args[] = { s->path };
    struct af_error err;
    save(s, af_buf_slice(&s->file));
    AF_CHECK_OK(af_source_list_make(args, 1, NULL, &s->list, &err), err);
    s->is_reference = true;
    read_it(s);
    s->is_reference = false;
    if (s->format != AF_SOURCE_PARQUET)
        qsort(s->reference, s->points, sizeof s->reference[0], by_value);
    if (s->told != 0)
        af_test_failed(__FILE__, __LINE__, "the undamaged file: %s", s->why.message);
    AF_CHECK_INT(s->points, rows);
}

/* --- damage -------------------------------------------------------------------------------------------------------------- */

typedef void (*judge)(struct scene *s, size_t at);

/* `count` positions evenly spread over [from, to), one bit of each. */
static void flip_bits(struct scene *s, size_t count, size_t from, size_t to, judge each)
{
    FILE *file = fopen(s->path, "r+b");
    AF_CHECK(file != NULL);
    for (size_t i = 0; i < count; i++) {
        size_t at = from + (to - from) * i / count;
        int flipped = (unsigned char)s->file.ptr[at] ^ 1 << (i * 5 + at) % 8;
        AF_CHECK(fseek(file, (long)at, SEEK_SET) == 0 && fputc(flipped, file) != EOF && fflush(file) == 0);
        read_it(s);
        each(s, at);
        AF_CHECK(fseek(file, (long)at, SEEK_SET) == 0 && fputc((unsigned char)s->file.ptr[at], file) != EOF && fflush(file) == 0);
    }
    AF_CHECK(fclose(file) == 0);
}

static void cut_short(struct scene *s, size_t count, judge each)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = s->file.len * i / count;
        save(s, (struct af_slice){ s->file.ptr, len });
        read_it(s);
        each(s, len);
    }
}

/* --- Parquet --------------------------------------------------------------------------------------------------------------- */

static size_t same, told; /* over the flips of a test */

static void judge_parquet(struct scene *s, size_t at)
{
    bool is_whole = s->wrong == 0 && s->delivered == s->points;
    same += is_whole && s->told == 0;
    told += s->told != 0;
    if (s->wrong != 0 || (!is_whole && s->told == 0))
        af_test_failed(__FILE__, __LINE__, "byte %zu of %zu: %zu of %zu rows, %zu of them wrong, %zu told: %s", at, s->file.len,
                       s->delivered, s->points, s->wrong, s->told, s->why.message);
}

static void judge_cut_parquet(struct scene *s, size_t len)
{
    (void)len;
    AF_CHECK_INT(s->delivered, 0);
    AF_CHECK_INT(s->told, 1);
}

static void damage_parquet(size_t rows, const struct af_parquet_write_options *options)
{
    struct scene *s = scene_new("damaged.parquet", AF_SOURCE_PARQUET);
    make_parquet(s, rows, options);
    read_reference(s, rows);
    uint32_t footer;
    memcpy(&footer, s->file.ptr + s->file.len - 8, sizeof footer);
    same = told = 0;
    flip_bits(s, 700, 0, s->file.len, judge_parquet);
    AF_CHECK(told > 650); /* nearly all of the file is pages */
    same = told = 0;
    flip_bits(s, footer + 8, s->file.len - 8 - footer, s->file.len, judge_parquet);
    AF_CHECK(told > footer / 4 && same > footer / 4); /* statistics, offsets nobody needs */
    cut_short(s, 70, judge_cut_parquet);
    scene_free(s);
}

AF_TEST(damaged_parquet_plain)
{
    damage_parquet(8000, &(struct af_parquet_write_options){ .codec = AF_CODEC_NONE, .page_crc = true, .no_dictionary = true,
                                                             .row_group_rows = 3000, .page_rows = 700 });
}

AF_TEST(damaged_parquet_as_spark_writes_it)
{
    damage_parquet(8000, &(struct af_parquet_write_options){ .codec = AF_CODEC_SNAPPY, .page_crc = true, .legacy_dictionary = true,
                                                             .time_form = AF_PARQUET_TIME_INT96, .row_group_rows = 3000,
                                                             .page_rows = 700 });
}

AF_TEST(damaged_parquet_of_the_second_version)
{
    damage_parquet(8000, &(struct af_parquet_write_options){ .codec = AF_CODEC_ZSTD, .page_crc = true, .delta = true,
                                                             .data_page_v2 = true, .page_index = true,
                                                             .time_form = AF_PARQUET_TIME_MICROS, .row_group_rows = 3000,
                                                             .page_rows = 700 });
}

/* Every bit of a small file, page headers among them: those have no checksum. */
AF_TEST(damaged_parquet_every_bit)
{
    struct scene *s = scene_new("small.parquet", AF_SOURCE_PARQUET);
    make_parquet(s, 12, &(struct af_parquet_write_options){ .codec = AF_CODEC_NONE, .page_crc = true, .delta = true,
                                                            .data_page_v2 = true, .row_group_rows = 6 });
    read_reference(s, 12);
    for (int bit = 0; bit < 8; bit++)
        flip_bits(s, s->file.len, 0, s->file.len, judge_parquet);
    scene_free(s);
}

/* --- text ------------------------------------------------------------------------------------------------------------------ */

enum { TEXT_ROWS = 2000 };

static void make_csv(struct scene *s)
{
    struct af_prng prng = { 11 };
    af_buf_append_str(&s->file, "time;series;value;count;text;ok\n");
    for (int i = 0; i < TEXT_ROWS; i++)
        af_buf_printf(&s->file, "2023-%02d-%02d %02d:%02d:00;s%02d;%d.%03d;%d;%s;%d\n", 1 + i / 672, 1 + i / 24 % 28, i % 24, i % 60,
                      (int)af_prng_below(&prng, SERIES), (int)af_prng_below(&prng, 2000), i % 1000, i,
                      i % 7 == 0 ? "\"quoted; with \"\"quotes\"\"\"" : i % 3 == 0 ? "S\xc3\xa3o Jo\xc3\xa3o" : "plain", i % 2);
}

static void make_lines(struct scene *s)
{
    struct af_prng prng = { 13 };
    for (int i = 0; i < TEXT_ROWS; i++)
        af_buf_printf(&s->file, "m,series=s%02d,region=S\xc3\xa3o\\ Jo\xc3\xa3o value=%d.%03d,count=%di,text=\"a \\\"b\\\" c\",ok=%s %d\n",
                      (int)af_prng_below(&prng, SERIES), (int)af_prng_below(&prng, 2000), i % 1000, i, i % 2 ? "t" : "false",
                      1700000000 + i);
}

/* A flip spoils the row it is in, or joins it with its neighbour, and no other; unless somebody is told of more. */
static void judge_text(struct scene *s, size_t at)
{
    bool is_local = s->wrong <= 2 && s->delivered <= s->points + 1 && s->delivered + 2 >= s->points;
    bool is_told = s->wrong <= 2 && s->told != 0;
    if (!is_local && !is_told)
        af_test_failed(__FILE__, __LINE__, "byte %zu of %zu: %zu of %zu rows, %zu of them wrong, %zu told: %s", at, s->file.len,
                       s->delivered, s->points, s->wrong, s->told, s->why.message);
}

/* Whole lines come, and perhaps what is left of one. */
static void judge_cut_text(struct scene *s, size_t len)
{
    size_t lines = s->format == AF_SOURCE_CSV ? 0 : 1;
    for (size_t i = 0; i < len; i++)
        lines += s->file.ptr[i] == '\n';
    AF_CHECK(s->wrong <= 1);
    AF_CHECK(s->delivered <= lines);
    AF_CHECK(s->delivered + 2 >= lines || s->told != 0);
}

AF_TEST(damaged_csv)
{
    struct scene *s = scene_new("damaged.csv", AF_SOURCE_CSV);
    make_csv(s);
    read_reference(s, TEXT_ROWS);
    flip_bits(s, 1000, 0, s->file.len, judge_text);
    flip_bits(s, 31, 0, 31, judge_text); /* the header */
    cut_short(s, 200, judge_cut_text);
    scene_free(s);
}

AF_TEST(damaged_line_protocol)
{
    struct scene *s = scene_new("damaged.lp", AF_SOURCE_LP);
    make_lines(s);
    read_reference(s, TEXT_ROWS);
    flip_bits(s, 1000, 0, s->file.len, judge_text);
    cut_short(s, 200, judge_cut_text);
    scene_free(s);
}
