/*
 * msgpack_fuzz.c - msgpack of servers, hostile or broken. Properties: how the bytes are cut into pieces changes nothing of what is
 * reported; lists and objects that begin end, innermost first, when the reader says that all is whole.
 */
#include "base/hash.h"
#include "base/limits.h"
#include "remote/remote_int.h"
#include <stdlib.h>

struct seen {
    uint64_t hash;
    enum af_status status;
    unsigned depth;
    bool is_array[AF_JSON_DEPTH_MAX];
};

static void mix(struct seen *seen, uint64_t value)
{
    seen->hash = af_hash_mix(seen->hash ^ value);
}

static enum af_status on_value(void *ctx, const struct af_value *value, struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    mix(seen, (uint64_t)value->type + 10);
    if (value->type == AF_TYPE_STRING)
        mix(seen, af_hash_bytes(value->text.len != 0 ? value->text.ptr : "", value->text.len, value->text.len));
    else if (value->type == AF_TYPE_BOOL)
        mix(seen, value->boolean);
    else if (value->type != AF_TYPE_NULL)
        mix(seen, value->u64);
    return AF_OK;
}

static enum af_status on_begin(void *ctx, enum af_json_kind kind, struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    if (seen->depth == AF_JSON_DEPTH_MAX)
        abort();
    seen->is_array[seen->depth++] = kind == AF_JSON_ARRAY;
    mix(seen, 1);
    return AF_OK;
}

static enum af_status on_end(void *ctx, enum af_json_kind kind, struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    if (seen->depth == 0 || seen->is_array[--seen->depth] != (kind == AF_JSON_ARRAY))
        abort();
    mix(seen, 2);
    return AF_OK;
}

static enum af_status on_key(void *ctx, struct af_slice key, struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    if (seen->depth == 0 || seen->is_array[seen->depth - 1])
        abort();
    mix(seen, 3 + af_hash_bytes(key.len != 0 ? key.ptr : "", key.len, key.len));
    return AF_OK;
}

static struct seen read_all(struct af_slice bytes, size_t piece)
{
    static const struct pack_handler handler = { on_value, on_begin, on_end, on_key };
    struct seen seen = { 0 };
    struct pack_reader *reader;
    if (pack_reader_new(&handler, &seen, &reader, NULL) != AF_OK)
        abort();
    for (size_t at = 0; at < bytes.len && seen.status == AF_OK; at += piece)
        seen.status = pack_reader_feed(reader, af_slice_make(bytes.ptr + at, bytes.len - at < piece ? bytes.len - at : piece), NULL);
    if (seen.status == AF_OK) {
        seen.status = pack_reader_finish(reader, NULL);
        if (seen.status == AF_OK && seen.depth != 0)
            abort();
    }
    pack_reader_free(reader);
    return seen;
}

/* The same bytes as an answer: nothing but that it ends well. */
static void read_answer(const char *type, struct af_slice bytes, size_t piece)
{
    static const struct remote remote = { .base = { .name = "fuzz" } };
    struct tables tables;
    struct v1_tables *v1;
    tables_init(&tables, "fuzz");
    if (v1_tables_new(&remote, &tables, &v1, NULL) != AF_OK)
        abort();
    enum af_status status = AF_OK;
    for (size_t at = 0; at < bytes.len && status == AF_OK; at += piece) {
        status = v1_tables_feed(v1, type, af_slice_make(bytes.ptr + at, bytes.len - at < piece ? bytes.len - at : piece), NULL);
        const struct af_remote_part *part;
        while ((part = tables_take(&tables)) != NULL)
            if (part->table != NULL && part->table->rows->row_count > AF_BATCH_ROWS)
                abort();
    }
    if (status == AF_OK)
        status = v1_tables_finish(v1, NULL);
    v1_tables_free(v1);
    tables_done(&tables);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct af_slice bytes = af_slice_make(data + 1, size - 1);
    size_t piece = 1 + data[0] % 16;
    struct seen whole = read_all(bytes, SIZE_MAX / 2);
    struct seen pieces = read_all(bytes, piece);
    if (whole.hash != pieces.hash || whole.status != pieces.status)
        abort();
    read_answer((data[0] & 16) != 0 ? "application/json" : "application/x-msgpack", bytes, piece);
    return 0;
}
