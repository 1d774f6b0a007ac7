/*
 * remote_fuzz.c - answers of servers, hostile or broken. The property: how the bytes are cut into pieces changes nothing of
 * what a reader reports, neither its rows nor its end. The first byte chooses the reader and the size of the pieces.
 */
#include "base/hash.h"
#include "remote/remote_int.h"
#include <stdlib.h>

struct seen {
    uint64_t hash;
    enum af_status status;
    struct af_error err;
};

static void mix(struct seen *seen, struct af_slice text)
{
    seen->hash = af_hash_mix(seen->hash ^ af_hash_bytes(text.ptr != NULL ? text.ptr : "", text.len, text.len));
}

static enum af_status on_series(void *ctx, struct af_slice name, const struct iql_tag *tags, size_t tag_count, size_t column_count,
                                struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    mix(seen, name);
    for (size_t i = 0; i < tag_count; i++) {
        mix(seen, tags[i].key);
        mix(seen, tags[i].value);
    }
    seen->hash += column_count;
    return AF_OK;
}

static enum af_status on_cell(void *ctx, size_t column, enum af_json_kind kind, bool is_true, struct af_slice text,
                              struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    seen->hash = af_hash_mix(seen->hash ^ (column << 4) ^ ((uint64_t)kind << 1) ^ is_true);
    mix(seen, kind == AF_JSON_STRING || kind == AF_JSON_NUMBER ? text : (struct af_slice){ 0 });
    return AF_OK;
}

static enum af_status on_row_end(void *ctx, struct af_error *err)
{
    (void)err;
    mix(ctx, AF_SLICE_LIT("row"));
    return AF_OK;
}

static enum af_status on_table(void *ctx, const struct csv_column *columns, size_t count, struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        mix(seen, columns[i].name);
        mix(seen, columns[i].type);
        seen->hash += columns[i].is_key;
    }
    return AF_OK;
}

static enum af_status on_csv_row(void *ctx, const struct af_slice *cells, size_t count, struct af_error *err)
{
    (void)err;
    for (size_t i = 0; i < count; i++)
        mix(ctx, cells[i]);
    return AF_OK;
}

static const struct remote remote = { .base = { .name = "fuzz" } };

static struct seen read_json(struct af_slice bytes, size_t piece)
{
    static const struct iql_handler handler = { .series = on_series, .cell = on_cell, .row_end = on_row_end };
    struct seen seen = { 0 };
    struct iql_reader *reader;
    if (iql_reader_new(&remote, &handler, &seen, &reader, NULL) != AF_OK)
        abort();
    for (size_t at = 0; at < bytes.len && seen.status == AF_OK; at += piece)
        seen.status = iql_reader_feed(reader, af_slice_make(bytes.ptr + at, bytes.len - at < piece ? bytes.len - at : piece),
                                      &seen.err);
    if (seen.status == AF_OK)
        seen.status = iql_reader_finish(reader, &seen.err);
    iql_reader_free(reader);
    return seen;
}

static struct seen read_csv(struct af_slice bytes, size_t piece)
{
    static const struct csv_handler handler = { on_table, on_csv_row };
    struct seen seen = { 0 };
    struct csv_reader *reader;
    if (csv_reader_new(&remote, &handler, &seen, &reader, NULL) != AF_OK)
        abort();
    for (size_t at = 0; at < bytes.len && seen.status == AF_OK; at += piece)
        seen.status = csv_reader_feed(reader, af_slice_make(bytes.ptr + at, bytes.len - at < piece ? bytes.len - at : piece),
                                      &seen.err);
    if (seen.status == AF_OK)
        seen.status = csv_reader_finish(reader, &seen.err);
    csv_reader_free(reader);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct af_slice bytes = af_slice_make(data + 1, size - 1);
    size_t piece = 1 + (data[0] >> 1) % 16;
    bool is_csv = (data[0] & 1) != 0;
    struct seen whole = is_csv ? read_csv(bytes, SIZE_MAX / 2) : read_json(bytes, SIZE_MAX / 2);
    struct seen pieces = is_csv ? read_csv(bytes, piece) : read_json(bytes, piece);
    if (whole.hash != pieces.hash || whole.status != pieces.status)
        abort();
    return 0;
}
