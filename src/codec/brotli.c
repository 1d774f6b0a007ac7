/* brotli.c - one brotli stream, no large window. The only user of libbrotli. */
#include "codec/codec_int.h"
#include <brotli/decode.h>
#include <brotli/encode.h>

enum { QUALITY_USUAL = 5 };

enum af_status af_brotli_decompress(struct af_codec_ctx *ctx, struct af_slice src, char *dst, size_t dst_len,
                                    struct af_error *err)
{
    size_t len = dst_len;
    (void)ctx;
    if (BrotliDecoderDecompress(src.len, (const uint8_t *)src.ptr, &len, (uint8_t *)dst) != BROTLI_DECODER_RESULT_SUCCESS)
        return af_fail(err, AF_ECORRUPT, "brotli: the stream of %zu bytes is damaged or holds more than %zu bytes", src.len,
                       dst_len);
    if (len != dst_len)
        return af_fail(err, AF_ECORRUPT, "brotli: %zu bytes came out where %zu are promised", len, dst_len);
    return AF_OK;
}

enum af_status af_brotli_compress(struct af_codec_ctx *ctx, int level, struct af_slice src, struct af_buf *out,
                                  struct af_error *err)
{
    size_t len = BrotliEncoderMaxCompressedSize(src.len);
    (void)ctx;
    if (len == 0)
        return af_fail(err, AF_ELIMIT, "brotli: %zu bytes are too many at once", src.len);
    char *to = af_buf_reserve(out, len);
    if (to == NULL)
        return af_buf_check(out, "brotli stream", err);
    if (!BrotliEncoderCompress(level > 0 ? level : QUALITY_USUAL, BROTLI_DEFAULT_WINDOW, BROTLI_DEFAULT_MODE, src.len,
                               (const uint8_t *)src.ptr, &len, (uint8_t *)to))
        return af_fail(err, AF_ENOMEM, "brotli refused to compress %zu bytes", src.len);
    out->len += len;
    return AF_OK;
}
