/*
 * compress_fuzz.c - decompressors over any bytes. Byte 0 chooses the codec, bytes 1-2 the promised size.
 *
 * Properties: never a byte past the promised size (ASan, the block is exactly that long); what came out well, compressed again, comes
 * out the same; the input taken as raw bytes survives the codec.
 */
#include "base/alloc.h"
#include "codec/codec_int.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void there_and_back(struct af_codec_ctx *ctx, enum af_codec codec, struct af_slice raw)
{
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    must(af_compress(ctx, codec, 1, raw, &out, NULL) == AF_OK);
    char *back = af_alloc(raw.len);
    must(back != NULL && af_decompress(ctx, codec, af_buf_slice(&out), back, raw.len, NULL) == AF_OK);
    must(raw.len == 0 || memcmp(back, raw.ptr, raw.len) == 0);
    af_free(back);
    af_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct af_codec_ctx ctx;
    if (size < 3)
        return 0;
    const enum af_codec codec = (enum af_codec)(data[0] % 7);
    const size_t promised = (size_t)data[1] | (size_t)data[2] << 8;
    const struct af_slice src = af_slice_make(data + 3, size - 3);
    char *dst = af_alloc(promised);
    must(dst != NULL);
    if (af_decompress(&ctx, codec, src, dst, promised, NULL) == AF_OK)
        there_and_back(&ctx, codec, af_slice_make(dst, promised));
    there_and_back(&ctx, codec, src);
    af_free(dst);
    return 0;
}
