/*
 * scan_test.c - whole files through the stream: windows, batch sizes, projection, row groups that are damaged, pruning, bounded
 * text, single flipped bytes, files cut short, failing memory.
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "format/parquet/handmade.h"
#include <stdio.h>

enum { ROWS = 5000, COLUMNS = 6 };

static const struct af_field fields[COLUMNS] = {
    { .name = "time", .type = AF_TYPE_TIME, .is_nullable = true },  { .name = "word", .type = AF_TYPE_STRING, .is_nullable = true },
    { .name = "value", .type = AF_TYPE_F64, .is_nullable = true },  { .name = "text", .type = AF_TYPE_STRING, .is_nullable = false },
    { .name = "flag", .type = AF_TYPE_BOOL, .is_nullable = true },  { .name = "count", .type = AF_TYPE_I64, .is_nullable = false },
};
static const struct af_schema schema = { COLUMNS, fields };

static enum af_status emit(void *ctx, struct af_slice bytes, struct af_error *err)
{
    af_buf_append_slice(ctx, bytes);
    return af_buf_check(ctx, "a test file", err);
}

/* Row i: time i seconds, a word of five, every 7th row without time, word, value and flag. */
static void fill_batch(struct af_arena *arena, uint64_t first, size_t rows, struct af_column *columns)
{
    int64_t *time = af_arena_array(arena, rows, 8);
    int64_t *count = af_arena_array(arena, rows, 8);
    double *value = af_arena_array(arena, rows, 8);
    int32_t *word_ends = af_arena_array(arena, rows + 1, 4);
    int32_t *text_ends = af_arena_array(arena, rows + 1, 4);
    char *words = af_arena_array(arena, rows, 8);
    char *texts = af_arena_array(arena, rows, 24);
    uint64_t *flag = af_bits_new(arena, rows, false);
    uint64_t *validity = af_bits_new(arena, rows, true);
    size_t nulls = 0;
    word_ends[0] = text_ends[0] = 0;
    for (size_t i = 0; i < rows; i++) {
        const uint64_t row = first + i;
        if (row % 7 == 3)
            af_bit_clear(validity, i), nulls++;
        time[i] = (int64_t)row * 1000000000;
        count[i] = (int64_t)(row * row);
        value[i] = (double)(row * 37 % 1000) / 8;
        if (row % 3 == 0)
            af_bit_set(flag, i);
        word_ends[i + 1] = word_ends[i] + sprintf(words + word_ends[i], "w%d", (int)(row % 5));
        text_ends[i + 1] = text_ends[i] + sprintf(texts + text_ends[i], "text %llu", (unsigned long long)(row * 7919));
    }
    columns[0] = (struct af_column){ .type = AF_TYPE_TIME, .validity = validity, .null_count = nulls, .i64 = time };
    columns[1] = (struct af_column){ .type = AF_TYPE_STRING, .validity = validity, .null_count = nulls, .offsets = word_ends,
        .bytes = words };
    columns[2] = (struct af_column){ .type = AF_TYPE_F64, .validity = validity, .null_count = nulls, .f64 = value };
    columns[3] = (struct af_column){ .type = AF_TYPE_STRING, .offsets = text_ends, .bytes = texts };
    columns[4] = (struct af_column){ .type = AF_TYPE_BOOL, .validity = validity, .null_count = nulls, .bits = flag };
    columns[5] = (struct af_column){ .type = AF_TYPE_I64, .i64 = count };
}

static struct af_buf write_file(const struct af_parquet_write_options *options, uint64_t rows)
{
    struct af_error err = { 0 };
    struct af_parquet_writer *writer;
    struct af_arena arena;
    struct af_buf file;
    af_buf_init(&file, (size_t)256 << 20);
    af_arena_init(&arena, (size_t)1 << 28);
    AF_CHECK_OK(af_parquet_writer_new(&schema, options, emit, &file, &writer, &err), err);
    for (uint64_t first = 0; first < rows; first += 1000) {
        struct af_column columns[COLUMNS];
        const size_t n = rows - first < 1000 ? (size_t)(rows - first) : 1000;
        fill_batch(&arena, first, n, columns);
        struct af_batch batch = { .schema = &schema, .row_count = n, .columns = columns, .first_row = first };
        AF_CHECK_OK(af_parquet_writer_add(writer, &batch, &err), err);
        af_arena_reset(&arena);
    }
    AF_CHECK_OK(af_parquet_writer_finish(writer, &err), err);
    af_parquet_writer_free(writer);
    af_arena_done(&arena);
    return file;
}

static struct af_reader in_memory(const struct af_buf *file)
{
    struct af_reader reader;
    af_reader_from_memory(&reader, "test", file->ptr, file->len);
    return reader;
}

/* The same bytes behind read_at only: what a file or S3 is. */
struct remote {
    struct af_reader base;
    const uint8_t *content;
    size_t reads;
    size_t fail_at; /* this read fails; 0: none */
};

static enum af_status remote_read(struct af_reader *base, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    struct remote *reader = (struct remote *)base;
    if (++reader->reads == reader->fail_at)
        return af_fail(err, AF_EIO, "the line is cut");
    memcpy(dst, reader->content + offset, len);
    return AF_OK;
}

static struct remote as_remote(const struct af_buf *file)
{
    static const struct af_reader_ops ops = { .read_at = remote_read, .close = NULL };
    return (struct remote){ .base = { .ops = &ops, .name = "remote", .size = file->len }, .content = (const uint8_t *)file->ptr };
}

static struct af_buf rows_of(struct af_reader *reader, const struct af_parquet_scan *scan)
{
    struct af_error err = { 0 };
    struct af_buf text;
    af_buf_init(&text, (size_t)256 << 20);
    AF_CHECK_OK(read_json(reader, scan, &text, &err), err);
    AF_CHECK(!text.failed);
    return text;
}

static void check_same(struct af_buf got, const struct af_buf *want)
{
    AF_CHECK_INT(got.len, want->len);
    AF_CHECK(memcmp(got.ptr, want->ptr, want->len) == 0);
    af_buf_done(&got);
}

static const struct af_parquet_write_options forms[] = {
    { .codec = AF_CODEC_SNAPPY, .row_group_rows = 2000, .page_rows = 300, .page_crc = true },
    { .codec = AF_CODEC_ZSTD, .row_group_rows = 3000, .page_rows = 700, .data_page_v2 = true, .page_index = true, .delta = true },
    { .codec = AF_CODEC_NONE, .row_group_rows = 5000, .no_dictionary = true, .time_form = AF_PARQUET_TIME_INT96 },
    { .codec = AF_CODEC_GZIP, .page_rows = 1, .row_group_rows = 100, .legacy_dictionary = true, .time_form = AF_PARQUET_TIME_INT96 },
    { .codec = AF_CODEC_LZ4, .page_rows = 64, .time_form = AF_PARQUET_TIME_MILLIS, .no_dictionary = true, .delta = true },
};
enum { FORMS = sizeof forms / sizeof forms[0] };

AF_TEST(rows_do_not_depend_on_windows_or_batch_sizes)
{
    struct af_buf want = { 0 };
    for (size_t form = 0; form < FORMS; form++) {
        struct af_buf file = write_file(&forms[form], ROWS);
        struct af_reader memory = in_memory(&file);
        struct remote remote = as_remote(&file);
        if (form == 0)
            want = rows_of(&memory, NULL);
        static const size_t sizes[] = { 1, 17, 999, 100000 };
        for (size_t i = 0; i < 4; i++) {
            check_same(rows_of(&memory, &(struct af_parquet_scan){ .batch_rows_max = sizes[i] }), &want);
            check_same(rows_of(&remote.base, &(struct af_parquet_scan){ .batch_rows_max = sizes[i] }), &want);
        }
        af_buf_done(&file);
    }
    af_buf_done(&want);
}

AF_TEST(batches_say_where_they_come_from)
{
    struct af_error err = { 0 };
    struct af_buf file = write_file(&forms[0], ROWS);
    struct af_reader reader = in_memory(&file);
    struct af_parquet *parquet;
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    static const size_t columns[] = { 5, 1 };
    af_arena_init(&arena, (size_t)1 << 28);
    AF_CHECK_OK(af_parquet_open(&reader, &parquet, &err), err);
    AF_CHECK_INT(af_parquet_row_group_rows(parquet, 2), 1000);
    const struct af_parquet_scan scan = { .columns = columns, .column_count = 2, .row_group_first = 1, .row_group_count = 1,
        .batch_rows_max = 1500 };
    AF_CHECK_OK(af_parquet_scan(parquet, &scan, &stream, &err), err);
    AF_CHECK_STR(stream->schema->fields[0].name, "count");
    AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
    AF_CHECK_INT(batch->row_count, 1500);
    AF_CHECK_INT(batch->first_row, 2000);
    AF_CHECK_INT(batch->columns[0].i64[1], 2001 * 2001);
    AF_CHECK(batch->columns[1].codes != NULL);
    AF_CHECK_SLICE(af_column_text(&batch->columns[1], 1), "w1");
    const struct af_dict *dict = batch->columns[1].dict;
    AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
    AF_CHECK_INT(batch->row_count, 500);
    AF_CHECK_INT(batch->first_row, 3500);
    AF_CHECK_INT(batch->row_group, 1);
    AF_CHECK(batch->columns[1].dict == dict); /* one dictionary a chunk, shared by its batches */
    AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
    AF_CHECK(batch == NULL);
    af_stream_close(stream);
    AF_CHECK_FAILS(af_parquet_scan(parquet, &(struct af_parquet_scan){ .row_group_first = 3, .row_group_count = 1 }, &stream,
        &err), AF_EINVAL);
    static const size_t beyond = 6;
    AF_CHECK_FAILS(af_parquet_scan(parquet, &(struct af_parquet_scan){ .columns = &beyond, .column_count = 1 }, &stream, &err), AF_EINVAL);
    af_parquet_close(parquet);
    af_arena_done(&arena);
    af_buf_done(&file);
}

/* Damage a page of the second row group: its rows are lost, named, and the others come. */
AF_TEST(a_damaged_row_group_can_be_skipped)
{
    struct af_error err = { 0 };
    struct af_buf file = write_file(&forms[0], ROWS);
    struct af_reader reader = in_memory(&file);
    struct af_parquet *parquet;
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    uint64_t rows = 0;
    uint64_t lost = 0;
    uint32_t group = 99;
    af_arena_init(&arena, (size_t)1 << 28);
    AF_CHECK_OK(af_parquet_open(&reader, &parquet, &err), err);
    const struct af_pq_chunk *chunk = &parquet->row_groups[1].chunks[5];
    file.ptr[chunk->data_offset + chunk->stored_bytes - 5] ^= 1;
    AF_CHECK_OK(af_parquet_scan(parquet, &(struct af_parquet_scan){ .batch_rows_max = 300 }, &stream, &err), err);
    for (;;) {
        enum af_status status = af_stream_next(stream, &arena, &batch, &err);
        if (status == AF_OK && batch == NULL)
            break;
        if (status != AF_OK) {
            AF_CHECK_INT(status, AF_ECORRUPT);
            AF_CHECK(strstr(err.message, "test: row group 1, column count, page 6: the page's CRC") == err.message);
            AF_CHECK_FAILS(af_stream_next(stream, &arena, &batch, &err), AF_EINVAL);
            af_parquet_skip_row_group(stream, &group, &lost);
            continue;
        }
        rows += batch->row_count;
        AF_CHECK(batch->columns[5].i64[0] == (int64_t)(batch->first_row * batch->first_row));
        af_arena_reset(&arena);
    }
    AF_CHECK_INT(group, 1);
    AF_CHECK_INT(lost, 200);
    AF_CHECK_INT(rows, ROWS - 200);
    af_stream_close(stream);
    AF_CHECK_OK(af_parquet_scan(parquet, &(struct af_parquet_scan){ .skip_crc = true }, &stream, &err), err);
    af_stream_close(stream);
    af_parquet_close(parquet);
    af_arena_done(&arena);
    af_buf_done(&file);
}

/* Rows of a span of time must all come; whole pages outside must not. */
static void check_prune(const struct af_parquet_write_options *options, int64_t start_s, int64_t stop_s, uint64_t at_most,
    uint32_t want_groups)
{
    struct af_error err = { 0 };
    struct af_buf file = write_file(options, ROWS);
    struct remote reader = as_remote(&file);
    struct af_parquet *parquet;
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    uint64_t rows = 0;
    uint64_t inside = 0;
    uint64_t groups;
    uint64_t pruned;
    af_arena_init(&arena, (size_t)1 << 28);
    AF_CHECK_OK(af_parquet_open(&reader.base, &parquet, &err), err);
    const struct af_parquet_scan scan = { .has_prune = true, .prune_column = 0, .prune_start_ns = start_s * 1000000000,
                                          .prune_stop_ns = stop_s * 1000000000 };
    AF_CHECK_OK(af_parquet_scan(parquet, &scan, &stream, &err), err);
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        rows += batch->row_count;
        for (size_t i = 0; i < batch->row_count; i++) {
            const int64_t row = (int64_t)(batch->first_row + i);
            AF_CHECK_INT(batch->columns[5].i64[i], row * row); /* the other columns stand at the same rows */
            if (row >= start_s && row < stop_s)
                inside++;
        }
        af_arena_reset(&arena);
    }
    af_parquet_scan_pruned(stream, &groups, &pruned);
    AF_CHECK_INT(inside, stop_s - start_s);
    AF_CHECK_INT(rows + pruned, ROWS);
    AF_CHECK(rows <= at_most);
    AF_CHECK_INT(groups, want_groups);
    af_stream_close(stream);
    af_parquet_close(parquet);
    af_arena_done(&arena);
    af_buf_done(&file);
}

AF_TEST(pruning_keeps_every_row_inside)
{
    struct af_parquet_write_options options = { .codec = AF_CODEC_SNAPPY, .row_group_rows = 2000, .page_rows = 100 };
    check_prune(&options, 2100, 2150, 2000, 2); /* whole row groups only */
    options.page_index = true;
    check_prune(&options, 2100, 2150, 100, 2);
    check_prune(&options, 1990, 2010, 200, 1);
    options.data_page_v2 = true;
    options.no_dictionary = true;
    options.time_form = AF_PARQUET_TIME_MILLIS;
    check_prune(&options, 4150, 4250, 200, 2);
    options.time_form = AF_PARQUET_TIME_INT96; /* bounds of INT96 cannot be trusted */
    check_prune(&options, 2100, 2150, ROWS, 0);
}

/* 64 texts of 1 MiB: a batch is cut before its text passes the bound; no row is lost or comes twice. */
AF_TEST(text_of_a_batch_is_bounded)
{
    enum { TEXTS = 64, BYTES = 1 << 20 };
    struct make m;
    struct af_error err = { 0 };
    struct af_parquet *parquet;
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    struct af_buf page;
    make_begin(&m);
    m.out.bytes_max = (size_t)256 << 20;
    make_leaf(&m, "n", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    make_leaf(&m, "x", AF_PQ_BYTE_ARRAY, AF_PQ_REQUIRED, MAKE_UTF8);
    make_chunk(&m, TEXTS);
    af_buf_init(&page, (size_t)128 << 20);
    for (int32_t i = 0; i < TEXTS; i++)
        af_buf_append(&page, &i, 4);
    make_page(&m, &(struct make_page){ .slots = TEXTS, .bytes = page.ptr, .len = page.len });
    make_chunk(&m, TEXTS);
    af_buf_clear(&page);
    for (uint32_t i = 0; i < TEXTS; i++) {
        const uint32_t len = BYTES;
        af_buf_append(&page, &len, 4);
        char *at = af_buf_reserve(&page, BYTES);
        AF_CHECK(at != NULL);
        memset(at, (int)('a' + i % 26), BYTES);
        page.len += BYTES;
    }
    make_page(&m, &(struct make_page){ .slots = TEXTS, .bytes = page.ptr, .len = page.len });
    af_buf_done(&page);
    struct af_reader reader = make_finish(&m, TEXTS);
    af_arena_init(&arena, (size_t)256 << 20);
    AF_CHECK_OK(af_parquet_open(&reader, &parquet, &err), err);
    AF_CHECK_OK(af_parquet_scan(parquet, &(struct af_parquet_scan){ 0 }, &stream, &err), err);
    uint64_t row = 0;
    unsigned batches = 0;
    for (;; batches++) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        AF_CHECK_INT(batch->first_row, row);
        AF_CHECK(batch->columns[1].offsets[batch->row_count] <= AF_BATCH_TEXT_BYTES_MAX);
        for (size_t i = 0; i < batch->row_count; i++, row++) {
            struct af_slice text = af_column_text(&batch->columns[1], i);
            AF_CHECK_INT(batch->columns[0].i64[i], row);
            AF_CHECK_INT(text.len, BYTES);
            AF_CHECK(text.ptr[0] == (char)('a' + row % 26) && text.ptr[BYTES - 1] == text.ptr[0]);
        }
        af_arena_reset(&arena);
    }
    AF_CHECK_INT(row, TEXTS);
    AF_CHECK(batches >= 2 && batches < 10);
    af_stream_close(stream);
    af_parquet_close(parquet);
    af_arena_done(&arena);
    af_buf_done(&m.out);
}

AF_TEST(a_file_cut_short_is_refused)
{
    struct af_error err = { 0 };
    struct af_buf file = write_file(&forms[1], 200);
    struct af_parquet *parquet;
    for (size_t len = 0; len < file.len; len++) {
        struct af_reader reader;
        char *copy = af_alloc(len); /* of its exact size */
        AF_CHECK(copy != NULL);
        memcpy(copy, file.ptr, len);
        af_reader_from_memory(&reader, "cut", copy, len);
        AF_CHECK_FAILS(af_parquet_open(&reader, &parquet, &err), AF_ECORRUPT);
        af_free(copy);
    }
    af_buf_done(&file);
}

/* With CRCs, a flipped byte of a page is refused or harmless (in a page header's statistics). Without, it may change values, but never
 * the number of rows, and never crashes. */
static void check_flips(const struct af_parquet_write_options *options)
{
    struct af_buf file = write_file(options, 60);
    struct af_reader reader = in_memory(&file);
    struct af_buf want = rows_of(&reader, NULL);
    struct af_buf got;
    struct af_error err = { 0 };
    struct af_parquet *parquet;
    size_t caught = 0;
    AF_CHECK_OK(af_parquet_open(&reader, &parquet, &err), err);
    const uint64_t data_end = parquet->data_end;
    af_parquet_close(parquet);
    af_buf_init(&got, (size_t)64 << 20);
    for (size_t at = 0; at < file.len; at++) {
        const uint8_t flip = (uint8_t)(1u << (at % 8));
        af_buf_clear(&got);
        file.ptr[at] = (char)(file.ptr[at] ^ flip);
        enum af_status status = read_json(&reader, NULL, &got, &err);
        file.ptr[at] = (char)(file.ptr[at] ^ flip);
        caught += status != AF_OK;
        if (status == AF_OK && options->page_crc && at < data_end)
            AF_CHECK(got.len == want.len && memcmp(got.ptr, want.ptr, want.len) == 0);
    }
    AF_CHECK(caught > file.len / 8);
    af_buf_done(&got);
    af_buf_done(&want);
    af_buf_done(&file);
}

AF_TEST(flipped_bytes)
{
    check_flips(&(struct af_parquet_write_options){ .codec = AF_CODEC_SNAPPY, .page_crc = true });
    check_flips(&(struct af_parquet_write_options){ .codec = AF_CODEC_NONE, .page_crc = true, .data_page_v2 = true,
        .delta = true, .no_dictionary = true });
    check_flips(&(struct af_parquet_write_options){ .codec = AF_CODEC_SNAPPY, .page_index = true });
    check_flips(&(struct af_parquet_write_options){ .codec = AF_CODEC_ZSTD, .delta = true, .no_dictionary = true });
    check_flips(&(struct af_parquet_write_options){ .codec = AF_CODEC_NONE, .data_page_v2 = true, .time_form = AF_PARQUET_TIME_INT96 });
}

static void sweep_memory(const struct af_parquet_write_options *options)
{
    struct af_buf file = write_file(options, 200);
    struct remote reader = as_remote(&file);
    struct af_buf text;
    struct af_error err = { 0 };
    size_t counted = 0;
    size_t nth = 0;
    af_buf_init(&text, (size_t)64 << 20);
    do {
        nth++;
        af_buf_clear(&text);
        (void)af_alloc_fail_nth(nth);
        enum af_status status = read_json(&reader.base, NULL, &text, &err);
        counted = af_alloc_fail_nth(0);
        AF_CHECK(status == AF_ENOMEM || status == AF_OK); /* OK: the test's own buffer, or a batch made again with fewer rows */
    } while (counted >= nth);
    AF_CHECK(nth > 20);
    af_buf_done(&text);
    af_buf_done(&file);
}

AF_TEST(memory_may_fail_anywhere_while_reading)
{
    sweep_memory(&(struct af_parquet_write_options){ .codec = AF_CODEC_ZSTD, .row_group_rows = 100, .page_rows = 30 });
    sweep_memory(&(struct af_parquet_write_options){ .codec = AF_CODEC_GZIP, .no_dictionary = true, .delta = true, .data_page_v2 = true });
}

AF_TEST(reads_may_fail_anywhere)
{
    struct af_buf file = write_file(&forms[0], 3000);
    struct af_buf text;
    struct af_error err = { 0 };
    enum af_status status = AF_EIO;
    af_buf_init(&text, (size_t)64 << 20);
    for (size_t nth = 1; status != AF_OK; nth++) {
        struct remote reader = as_remote(&file);
        reader.fail_at = nth;
        af_buf_clear(&text);
        status = read_json(&reader.base, NULL, &text, &err);
        AF_CHECK(status == AF_EIO || (status == AF_OK && nth > 10));
    }
    af_buf_done(&text);
    af_buf_done(&file);
}

/* --- schemas ------------------------------------------------------------------------------------------------------------------- */

AF_TEST(schemas_that_lie)
{
    struct make m;
    make_begin(&m);
    make_group(&m, "g", AF_PQ_REQUIRED, 0, MAKE_NONE)->children = 1000000;
    make_leaf(&m, "x", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    make_chunk(&m, 0);
    check_refused(&m, 0, AF_ECORRUPT, "is neither a column nor a group"); /* the root is left with fewer than none */

    make_begin(&m);
    make_group(&m, "g", AF_PQ_REQUIRED, -5, MAKE_NONE);
    make_chunk(&m, 0);
    check_refused(&m, 0, AF_ECORRUPT, "schema element 1 is neither a column nor a group");

    make_begin(&m);
    make_group(&m, "g", AF_PQ_REQUIRED, 2, MAKE_NONE);
    make_leaf(&m, "x", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    make_leaf(&m, "y", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    make_chunk(&m, 0);
    check_refused(&m, 0, AF_ECORRUPT, "not as many column chunks as the schema has columns");

    make_begin(&m);
    make_leaf(&m, "x", AF_PQ_INT32, 3, MAKE_NONE);
    make_chunk(&m, 0);
    check_refused(&m, 0, AF_ECORRUPT, "type or repetition is not one that exists");
}

AF_TEST(schemas_are_not_endlessly_deep)
{
    struct af_error err = { 0 };
    struct af_parquet *parquet;
    struct af_buf out;
    struct af_reader reader;
    int last = 0;
    af_buf_init(&out, 1 << 20);
    af_buf_append(&out, "PAR1", 4);
    make_int(&out, &last, 1, 1);
    make_list(&out, &last, 2, 1000, AF_THRIFT_STRUCT);
    for (int i = 0; i < 1000; i++) {
        int field = 0;
        make_text(&out, &field, 4, "g");
        make_int(&out, &field, 5, 1);
        make_stop(&out);
    }
    make_stop(&out);
    const uint32_t len = (uint32_t)out.len - 4;
    af_buf_append(&out, &len, 4);
    af_buf_append(&out, "PAR1", 4);
    af_reader_from_memory(&reader, "deep", out.ptr, out.len);
    AF_CHECK_FAILS(af_parquet_open(&reader, &parquet, &err), AF_ELIMIT);
    AF_CHECK(strstr(err.message, "nested more than 64 deep") != NULL);
    memcpy(out.ptr + out.len - 4, "PARE", 4);
    AF_CHECK_FAILS(af_parquet_open(&reader, &parquet, &err), AF_EUNSUPPORTED);
    AF_CHECK(strstr(err.message, "encryption is not supported") != NULL);
    af_buf_done(&out);
}

/* A file without rows, and one without columns. */
AF_TEST(empty_files)
{
    struct make m;
    make_begin(&m);
    make_leaf(&m, "x", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    make_chunk(&m, 0);
    check_rows(&m, 0, "");
    make_begin(&m);
    check_rows(&m, 2, "{}\n{}\n");
}
