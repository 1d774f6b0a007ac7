/* compress.c - from a codec's number to its file, and the rules common to all of them; see compress.h. */
#include "codec/codec_int.h"

static const struct {
    const char *name;
    af_decompress_fn *decompress;
    af_compress_fn *compress;
} codecs[] = {
    [AF_CODEC_NONE] = { "NONE", NULL, NULL },
    [AF_CODEC_SNAPPY] = { "SNAPPY", af_snappy_decompress, af_snappy_compress },
    [AF_CODEC_GZIP] = { "GZIP", af_gzip_decompress, af_gzip_compress },
    [AF_CODEC_BROTLI] = { "BROTLI", af_brotli_decompress, af_brotli_compress },
    [AF_CODEC_ZSTD] = { "ZSTD", af_zstd_decompress, af_zstd_compress },
    [AF_CODEC_LZ4] = { "LZ4", af_lz4_decompress, af_lz4_compress },
    [AF_CODEC_LZ4_HADOOP] = { "LZ4_HADOOP", af_lz4_hadoop_decompress, af_lz4_hadoop_compress },
};

static bool is_known(enum af_codec codec)
{
    return (size_t)codec < sizeof codecs / sizeof *codecs;
}

const char *af_codec_name(enum af_codec codec)
{
    return is_known(codec) ? codecs[codec].name : "?";
}

void af_codec_ctx_done(struct af_codec_ctx *ctx)
{
    af_gzip_ctx_done(ctx);
    af_zstd_ctx_done(ctx);
}

static enum af_status copy(struct af_slice src, char *dst, size_t dst_len, struct af_error *err)
{
    if (src.len != dst_len)
        return af_fail(err, AF_ECORRUPT, "uncompressed data of %zu bytes where %zu are promised", src.len, dst_len);
    if (dst_len > 0)
        memcpy(dst, src.ptr, dst_len);
    return AF_OK;
}

enum af_status af_decompress(struct af_codec_ctx *ctx, enum af_codec codec, struct af_slice src, void *dst, size_t dst_len,
                             struct af_error *err)
{
    char none[8]; /* libraries do not like NULL, even for no bytes */
    char *to = dst_len > 0 ? dst : none;
    if (!is_known(codec))
        return af_fail(err, AF_EBUG, "there is no codec number %d", (int)codec);
    if (codec == AF_CODEC_NONE)
        return copy(src, to, dst_len, err);
    return codecs[codec].decompress(ctx, src, to, dst_len, err);
}

enum af_status af_compress(struct af_codec_ctx *ctx, enum af_codec codec, int level, struct af_slice src, struct af_buf *out,
                           struct af_error *err)
{
    if (!is_known(codec))
        return af_fail(err, AF_EBUG, "there is no codec number %d", (int)codec);
    const size_t mark = out->len;
    enum af_status status = AF_OK;
    if (codec == AF_CODEC_NONE)
        af_buf_append_slice(out, src);
    else
        status = codecs[codec].compress(ctx, level, src, out, err);
    if (status == AF_OK)
        status = af_buf_check(out, "compressed data", err);
    if (status != AF_OK)
        af_buf_rewind(out, mark);
    return status;
}
