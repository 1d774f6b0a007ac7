/*
 * parquet_fuzz.c - any bytes as a Parquet file. Properties: no crash, no leak, bounded memory; a row group that reads to its end gives
 * as many rows as the footer says, with columns whose offsets ascend and whose codes are inside their dictionary; the rows do not
 * depend on how the file is read (in memory, or in windows with another batch size).
 */
#include "base/hash.h"
#include "format/parquet/parquet.h"

#define REQUIRE(condition)     \
    do {                        \
        if (!(condition))       \
            __builtin_trap();   \
    } while (0)

enum { ARENA_BYTES = 64 << 20, ROWS_MAX = 200000 };

struct window_reader {
    struct af_reader base;
    const uint8_t *content;
};

static enum af_status window_read(struct af_reader *base, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    (void)err;
    memcpy(dst, ((struct window_reader *)base)->content + offset, len);
    return AF_OK;
}

static void check_column(const struct af_column *col, size_t rows)
{
    for (size_t i = 0; af_type_is_text(col->type) && i < rows; i++) {
        if (col->dict == NULL)
            REQUIRE(col->offsets[i] <= col->offsets[i + 1]);
        else
            REQUIRE(col->codes[i] < col->dict->count || (col->dict->count == 0 && !af_column_has(col, i)));
    }
    if (col->validity != NULL)
        REQUIRE(rows - af_bits_count(col->validity, rows) == col->null_count);
}

/* A hash of all rows as JSON; rows of groups that were given whole are counted against the footer. */
static uint64_t read_all(struct af_reader *reader, size_t batch_rows, enum af_status *out_status)
{
    struct af_error err = { 0 };
    struct af_parquet *file;
    struct af_stream *stream;
    struct af_arena arena;
    struct af_buf text;
    uint64_t hash = 0;
    uint64_t next = 0;
    *out_status = af_parquet_open(reader, &file, &err);
    if (*out_status != AF_OK)
        return 0;
    af_arena_init(&arena, ARENA_BYTES);
    af_buf_init(&text, (size_t)64 << 20);
    const struct af_parquet_scan scan = { .batch_rows_max = batch_rows };
    *out_status = af_parquet_scan(file, &scan, &stream, &err);
    while (*out_status == AF_OK) {
        struct af_batch *batch;
        *out_status = af_stream_next(stream, &arena, &batch, &err);
        if (*out_status != AF_OK || batch == NULL)
            break;
        REQUIRE(batch->first_row == next && batch->row_count > 0);
        next += batch->row_count;
        for (size_t c = 0; c < batch->schema->field_count; c++)
            check_column(&batch->columns[c], batch->row_count);
        for (size_t i = 0; i < batch->row_count; i++) {
            af_buf_clear(&text);
            af_batch_print_row_json(&text, batch, i);
            hash = af_hash_bytes(text.ptr, text.len, hash);
        }
        af_arena_reset(&arena);
        if (next > ROWS_MAX)
            *out_status = AF_ELIMIT;
    }
    struct af_parquet_info info;
    af_parquet_info(file, &info);
    if (*out_status == AF_OK)
        REQUIRE(next == info.rows);
    af_stream_close(stream);
    af_buf_done(&text);
    af_arena_done(&arena);
    af_parquet_close(file);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct af_reader_ops ops = { .read_at = window_read, .close = NULL };
    struct af_reader memory;
    struct window_reader windows = { { .ops = &ops, .name = "fuzz", .size = size }, data };
    enum af_status one;
    enum af_status two;
    af_reader_from_memory(&memory, "fuzz", data, size);
    const uint64_t first = read_all(&memory, 0, &one);
    const uint64_t second = read_all(&windows.base, 13, &two);
    if (one == AF_OK && two == AF_OK)
        REQUIRE(first == second);
    REQUIRE((one == AF_OK) == (two == AF_OK) || one == AF_ELIMIT || two == AF_ELIMIT || one == AF_ENOMEM || two == AF_ENOMEM);
    return 0;
}
