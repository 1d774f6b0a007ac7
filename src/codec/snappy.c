/* snappy.c - snappy's raw block: varint of the raw size, then literals and copies; no framing. The only user of libsnappy. */
#include "codec/codec_int.h"
#include <snappy-c.h>

enum af_status af_snappy_decompress(struct af_codec_ctx *ctx, struct af_slice src, char *dst, size_t dst_len,
                                    struct af_error *err)
{
    size_t len = 0;
    (void)ctx;
    if (snappy_uncompressed_length(src.ptr, src.len, &len) != SNAPPY_OK)
        return af_fail(err, AF_ECORRUPT, "snappy: no size at the start of %zu bytes", src.len);
    if (len != dst_len)
        return af_fail(err, AF_ECORRUPT, "snappy: the block says it holds %zu bytes where %zu are promised", len, dst_len);
    if (snappy_uncompress(src.ptr, src.len, dst, &len) != SNAPPY_OK || len != dst_len)
        return af_fail(err, AF_ECORRUPT, "snappy: the block of %zu bytes is damaged", src.len);
    return AF_OK;
}

enum af_status af_snappy_compress(struct af_codec_ctx *ctx, int level, struct af_slice src, struct af_buf *out,
                                  struct af_error *err)
{
    size_t len = snappy_max_compressed_length(src.len);
    char *to = af_buf_reserve(out, len);
    (void)ctx, (void)level;
    if (to == NULL)
        return af_buf_check(out, "snappy block", err);
    if (snappy_compress(src.len > 0 ? src.ptr : "", src.len, to, &len) != SNAPPY_OK)
        return af_fail(err, AF_EBUG, "snappy refused to compress %zu bytes", src.len);
    out->len += len;
    return AF_OK;
}
