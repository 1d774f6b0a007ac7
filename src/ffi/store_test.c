/* store_test.c - files read as Arrow, a mapping printed, a directory as a store. */
#include "ffi/arrow_fixture.h"
#include "format/parquet/parquet.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <stdio.h>

static const char *path_of(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", af_test_dir(), name);
    return path;
}

static enum af_status emit(void *ctx, struct af_slice bytes, struct af_error *err)
{
    af_buf_append_slice(ctx, bytes);
    return af_buf_check(ctx, "a file", err);
}

enum { ROWS = 40000 };

/* Rows i: n = i (null in every seventh), s one of 5 words (so a dictionary), t = i seconds, d = days, b. */
static void write_parquet(const char *path)
{
    static const struct af_field fields[] = { { .name = "n", .type = AF_TYPE_I64, .is_nullable = true }, { .name = "s",
                                                                                                           .type = AF_TYPE_STRING },
                                              { .name = "t", .type = AF_TYPE_TIME }, { .name = "d", .type = AF_TYPE_DATE },
                                              { .name = "b", .type = AF_TYPE_BOOL } };
    static const struct af_schema schema = { 5, fields };
    struct af_parquet_writer *writer = NULL;
    struct af_arena arena;
    struct af_buf file;
    struct af_error err;
    struct af_parquet_write_options options = { .row_group_rows = 15000 };
    af_arena_init(&arena, 64 << 20);
    af_buf_init(&file, 64 << 20);
    AF_CHECK_OK(af_parquet_writer_new(&schema, &options, emit, &file, &writer, &err), err);
    for (size_t first = 0; first < ROWS; first += 10000) {
        int64_t *n = af_arena_array(&arena, 10000, 8), *t = af_arena_array(&arena, 10000, 8), *d = af_arena_array(&arena, 10000, 8);
        int32_t *offsets = af_arena_array(&arena, 10001, 4);
        char *bytes = af_arena_array(&arena, 10000, 2);
        offsets[0] = 0;
        uint64_t *valid = af_bits_new(&arena, 10000, true), *bits = af_bits_new(&arena, 10000, false);
        for (size_t i = 0; i < 10000; i++) {
            const size_t row = first + i;
            n[i] = d[i] = (int64_t)row;
            t[i] = (int64_t)row * 1000000000;
            memcpy(bytes + 2 * i, &"a1b2c3d4e5"[2 * (row % 5)], 2);
            offsets[i + 1] = offsets[i] + 2;
            if (row % 7 == 0)
                af_bit_clear(valid, i);
            if (row % 3 == 0)
                af_bit_set(bits, i);
        }
        const struct af_column columns[] = { { .type = AF_TYPE_I64, .values = n, .validity = valid,
                                               .null_count = 10000 - af_bits_count(valid, 10000) },
                                             { .type = AF_TYPE_STRING, .offsets = offsets, .bytes = bytes }, { .type = AF_TYPE_TIME,
                                                                                                               .values = t },
                                             { .type = AF_TYPE_DATE, .values = d }, { .type = AF_TYPE_BOOL, .values = bits } };
        const struct af_batch batch = { .schema = &schema, .row_count = 10000, .columns = columns };
        AF_CHECK_OK(af_parquet_writer_add(writer, &batch, &err), err);
        af_arena_reset(&arena);
    }
    AF_CHECK_OK(af_parquet_writer_finish(writer, &err), err);
    AF_CHECK_OK(af_file_write_atomic(path, af_buf_slice(&file), false, &err), err);
    af_parquet_writer_free(writer);
    af_buf_done(&file);
    af_arena_done(&arena);
}

static void check_batch(const struct ArrowArray *a, size_t first)
{
    const int64_t *n = a->children[0]->buffers[1], *t = a->children[2]->buffers[1];
    const int32_t *offsets = a->children[1]->buffers[1], *d = a->children[3]->buffers[1];
    const uint64_t *valid = a->children[0]->buffers[0], *b = a->children[4]->buffers[1];
    for (size_t i = 0; i < (size_t)a->length; i++) {
        const size_t row = first + i;
        AF_CHECK_INT(af_bit_get(valid, i), row % 7 != 0);
        AF_CHECK(row % 7 == 0 || n[i] == (int64_t)row);
        AF_CHECK_INT(t[i], (int64_t)row * 1000000000);
        AF_CHECK_INT(d[i], (int64_t)row);
        AF_CHECK_INT(af_bit_get(b, i), row % 3 == 0);
        AF_CHECK_INT(offsets[i + 1] - offsets[i], 2);
        AF_CHECK_INT(((const char *)a->children[1]->buffers[2])[offsets[i]], "abcde"[row % 5]);
    }
}

AF_TEST(parquet_comes_out_as_arrow)
{
    struct ArrowArrayStream stream = { 0 };
    struct ArrowSchema schema = { 0 };
    size_t rows = 0;
    write_parquet(path_of("x.parquet"));
    AF_CHECK_INT(af_ffi_read_file(path_of("x.parquet"), NULL, 0, &stream), 0);
    AF_CHECK_INT(stream.get_schema(&stream, &schema), 0);
    AF_CHECK_INT(schema.n_children, 5);
    static const char *const formats[] = { "l", "u", "tsn:UTC", "tdD", "b" };
    for (int i = 0; i < 5; i++)
        AF_CHECK_STR(schema.children[i]->format, formats[i]);
    schema.release(&schema);
    struct ArrowArray kept = { 0 };
    for (;;) {
        struct ArrowArray array;
        AF_CHECK_INT(stream.get_next(&stream, &array), 0);
        if (array.release == NULL)
            break;
        AF_CHECK_INT(array.n_children, 5);
        check_batch(&array, rows);
        rows += (size_t)array.length;
        ARROW_RELEASE(&kept);
        kept = *array.children[3]; /* moved out: it lives on without its parent */
        array.children[3]->release = NULL;
        array.release(&array);
    }
    AF_CHECK_INT(rows, ROWS);
    stream.release(&stream);
    AF_CHECK_INT(((const int32_t *)kept.buffers[1])[kept.length - 1], ROWS - 1);
    kept.release(&kept);
}

AF_TEST(columns_are_chosen_by_name)
{
    static const char *const names[] = { "t", "n" }, *const wrong[] = { "t", "nope" };
    struct ArrowArrayStream stream = { 0 };
    struct ArrowSchema schema = { 0 };
    struct ArrowArray array = { 0 };
    write_parquet(path_of("x.parquet"));
    AF_CHECK_INT(af_ffi_read_file(path_of("x.parquet"), names, 2, &stream), 0);
    AF_CHECK_INT(stream.get_schema(&stream, &schema), 0);
    AF_CHECK_STR(schema.children[0]->name, "t");
    AF_CHECK_STR(schema.children[1]->name, "n");
    schema.release(&schema);
    AF_CHECK_INT(stream.get_next(&stream, &array), 0);
    AF_CHECK_INT(array.n_children, 2);
    AF_CHECK_INT(((const int64_t *)array.children[0]->buffers[1])[1], 1000000000);
    array.release(&array);
    stream.release(&stream);
    AF_CHECK_INT(af_ffi_read_file(path_of("x.parquet"), wrong, 2, &stream), -(int)AF_ENOTFOUND);
    AF_CHECK(strstr(af_ffi_message(), "'nope'") != NULL && stream.release == NULL);
}

AF_TEST(a_csv_too_and_what_is_no_table)
{
    struct ArrowArrayStream stream = { 0 };
    struct ArrowArray array = { 0 };
    struct af_error err;
    static const char *const names[] = { "b" };
    AF_CHECK_OK(af_file_write_atomic(path_of("x.csv"), AF_SLICE_LIT("a;b\n1;x\n2;y\n"), false, &err), err);
    AF_CHECK_INT(af_ffi_read_file(path_of("x.csv"), names, 1, &stream), 0);
    AF_CHECK_INT(stream.get_next(&stream, &array), 0);
    AF_CHECK_INT(array.n_children, 1);
    AF_CHECK_INT(array.length, 2);
    array.release(&array);
    stream.release(&stream);
    AF_CHECK_OK(af_file_write_atomic(path_of("x.lp"), AF_SLICE_LIT("m v=1 1\n"), false, &err), err);
    AF_CHECK_INT(af_ffi_read_file(path_of("x.lp"), NULL, 0, &stream), -(int)AF_EUNSUPPORTED);
    AF_CHECK_INT(af_ffi_read_file(af_test_dir(), NULL, 0, &stream), -(int)AF_EINVAL);
}

AF_TEST(reading_without_memory)
{
    write_parquet(path_of("x.parquet"));
    for (size_t nth = 1; nth < 5000; nth++) {
        struct ArrowArrayStream stream = { 0 };
        struct ArrowSchema schema = { 0 };
        struct ArrowArray array = { 0 };
        (void)af_alloc_fail_nth(nth);
        int code = af_ffi_read_file(path_of("x.parquet"), NULL, 0, &stream);
        if (code == 0)
            code = stream.get_schema(&stream, &schema);
        if (code == 0)
            code = stream.get_next(&stream, &array);
        const size_t count = af_alloc_fail_nth(0);
        ARROW_RELEASE(&array);
        ARROW_RELEASE(&schema);
        ARROW_RELEASE(&stream);
        if (count < nth) {
            AF_CHECK_INT(code, 0);
            return;
        }
        AF_CHECK(code != 0);
    }
    AF_CHECK_STR("an end", "more than 5,000 allocations");
}

AF_TEST(a_mapping_is_printed)
{
    struct ArrowSchema *schema = fixture_schema("+s", "");
    struct afluxo_mapping_options options = { .path = "dataset=generation/x.parquet" };
    char *yaml = NULL;
    fixture_add_schema(schema, fixture_schema("tsm:", "timestamp"));
    fixture_add_schema(schema, fixture_schema("g", "value"));
    fixture_add_schema(schema, fixture_schema("u", "region"));
    AF_CHECK_INT(af_ffi_mapping_yaml(&options, schema, &yaml), 0);
    AF_CHECK(strstr(yaml, "measurement: generation_data") != NULL);
    af_ffi_free(yaml);
    options = (struct afluxo_mapping_options){ .infer = 1, .measurement = "mine" };
    AF_CHECK_INT(af_ffi_mapping_yaml(&options, schema, &yaml), 0);
    AF_CHECK(strstr(yaml, "measurement: mine") != NULL);
    af_ffi_free(yaml);
    fixture_release_schema(schema);
    free(schema);
}

AF_TEST(a_directory_is_a_store)
{
    struct afluxo_target target = { .to = path_of("data"), .bucket = "b", .create = 1 };
    static const char lines[] = "m,k=a v=1 1\nm,k=a v= 2\nm,k=b v=2 3\nm,k=b v=\"text\" 4";
    struct afluxo_store *store = NULL;
    uint64_t rejected = 0;
    char *answer = NULL;
    AF_CHECK_INT(af_ffi_store_open(&target, &store), 0);
    AF_CHECK_INT(af_ffi_store_write(store, lines, strlen(lines), "s", &rejected), 0);
    AF_CHECK_INT(rejected, 2);
    AF_CHECK(af_ffi_message()[0] != '\0');
    AF_CHECK_INT(af_ffi_store_query(store, "influxql", "SELECT v FROM m; SELECT v FROM", &answer), -(int)AF_EINVAL);
    AF_CHECK_INT(af_ffi_store_query(store, NULL, "SELECT sum(v) FROM m", &answer), 0);
    AF_CHECK(strstr(answer, "\"sum\"") != NULL && strstr(answer, ",3]") != NULL);
    af_ffi_free(answer);
    AF_CHECK_INT(af_ffi_store_query(store, "flux", "from(bucket:\"b\")", &answer), -(int)AF_EUNSUPPORTED);
    AF_CHECK_INT(af_ffi_store_query(store, "sql", "SELECT 1", &answer), -(int)AF_EINVAL);
    AF_CHECK(af_ffi_store_write(store, lines, 5, "eons", &rejected) < 0);
    af_ffi_store_close(store);
    AF_CHECK(af_ffi_store_open(&(struct afluxo_target){ .to = "" }, &store) < 0);
    AF_CHECK(af_ffi_store_open(&(struct afluxo_target){ .to = "/x" }, &store) < 0);
}
