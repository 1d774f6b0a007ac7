/* scan.c - reading the store, measurement by measurement. */
#include "base/alloc.h"
#include "base/limits.h"
#include "verify/verify_int.h"

void af_key_measurement(struct af_slice key, struct af_buf *out)
{
    af_buf_clear(out);
    for (size_t i = 0; i < key.len && key.ptr[i] != ','; i++) {
        if (key.ptr[i] == '\\' && i + 1 < key.len && (key.ptr[i + 1] == ',' || key.ptr[i + 1] == ' '))
            i++;
        af_buf_append_char(out, key.ptr[i]);
    }
}

static enum af_status scan_one(const struct af_verify_options *options, const struct af_scan *scan,
                               enum af_status (*each)(void *ctx, const struct af_batch *batch, struct af_error *err),
                               void *ctx, struct af_error *err)
{
    struct af_stream *stream;
    AF_TRY(af_store_scan(options->store, scan, &stream, err));
    struct af_arena arena;
    af_arena_init(&arena, AF_BATCH_ARENA_BYTES_MAX);
    enum af_status status;
    struct af_batch *batch = NULL;
    while ((status = af_stream_next(stream, &arena, &batch, err)) == AF_OK && batch != NULL) {
        status = each(ctx, batch, err);
        if (status != AF_OK)
            break;
        af_arena_reset(&arena);
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    return status;
}

enum af_status af_verify_scan(const struct af_verify_options *options, const struct af_slice *measurements,
                              size_t measurement_count, int64_t start_ns, int64_t stop_ns,
                              enum af_status (*each)(void *ctx, const struct af_batch *batch, struct af_error *err),
                              void *ctx, struct af_error *err)
{
    if (start_ns >= stop_ns)
        return AF_OK;
    for (size_t i = 0; i < measurement_count; i++) {
        struct af_arena arena;
        af_arena_init(&arena, 1 << 20);
        char *name = af_arena_copy(&arena, measurements[i]);
        struct af_scan scan = { .measurement = name, .start_ns = start_ns, .stop_ns = stop_ns,
                                .cancel = options->ingest->cancel };
        enum af_status status = name != NULL ? scan_one(options, &scan, each, ctx, err) : af_fail_nomem(err, "a name");
        if (status == AF_ENOTFOUND) /* no such measurement: nothing is there */
            status = AF_OK;
        if (status != AF_OK)
            af_error_prefix(err, "reading measurement \"%.200s\" back: ", name != NULL ? name : "");
        af_arena_done(&arena);
        AF_TRY(status);
    }
    return AF_OK;
}
