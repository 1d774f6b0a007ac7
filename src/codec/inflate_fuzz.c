/*
 * inflate_fuzz.c - any bytes as gzip: the stream decoder and the library agree, on what comes out and on whether it is whole, in whatever
 * pieces the bytes come.
 */
#include "codec/compress.h"
#include "codec/inflate.h"
#include <stdlib.h>

struct input {
    const uint8_t *data;
    size_t size, at, step;
};

static enum af_status read(void *ctx, void *dst, size_t cap, size_t *out_len, struct af_error *err)
{
    struct input *in = ctx;
    size_t len = in->size - in->at;
    (void)err;
    len = len < in->step ? len : in->step;
    len = len < cap ? len : cap;
    if (len != 0)
        memcpy(dst, in->data + in->at, len);
    in->at += len;
    *out_len = len;
    return AF_OK;
}

enum { OUT_MAX = 8 << 20 };

static enum af_status emit(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct af_buf *out = ctx;
    if (out->len + bytes.len > OUT_MAX)
        return af_fail(err, AF_ELIMIT, "enough");
    af_buf_append_slice(out, bytes);
    return AF_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_buf ours, theirs, pieces;
    struct af_codec_ctx codec = { 0 };
    af_buf_init(&ours, OUT_MAX);
    af_buf_init(&theirs, OUT_MAX);
    af_buf_init(&pieces, OUT_MAX);
    struct input in = { data, size, 0, size + 1 };
    enum af_status status = af_gunzip_stream(read, &in, emit, &ours, NULL);
    in = (struct input){ data, size, 0, 3 };
    enum af_status again = af_gunzip_stream(read, &in, emit, &pieces, NULL);
    if (status != again || !af_slice_eq(af_buf_slice(&ours), af_buf_slice(&pieces)))
        abort();
    if (status == AF_OK && size != 0) {
        if (af_gunzip(&codec, af_slice_make(data, size), &theirs, NULL) == AF_OK && !af_slice_eq(af_buf_slice(&ours),
                                                                                                 af_buf_slice(&theirs)))
            abort();
    } else if (status == AF_ECORRUPT && size != 0 && af_gunzip(&codec, af_slice_make(data, size), &theirs, NULL) == AF_OK) {
        abort();
    }
    af_codec_ctx_done(&codec);
    af_buf_done(&ours);
    af_buf_done(&theirs);
    af_buf_done(&pieces);
    return 0;
}
