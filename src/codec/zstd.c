/*
 * zstd.c - Zstandard frames, with or without a content size, one after another; an own context keeps its tables. The only user of
 * libzstd. The whole result goes to one place, so a frame's window costs no memory of its own.
 */
#include "codec/codec_int.h"
#include <zstd.h>

enum { LEVEL_USUAL = 3 };

enum af_status af_zstd_decompress(struct af_codec_ctx *ctx, struct af_slice src, char *dst, size_t dst_len,
                                  struct af_error *err)
{
    if (ctx->zstd == NULL)
        ctx->zstd = ZSTD_createDCtx();
    if (ctx->zstd == NULL)
        return af_fail_nomem(err, "zstd decoder");
    size_t got = ZSTD_decompressDCtx(ctx->zstd, dst, dst_len, src.ptr, src.len);
    if (ZSTD_isError(got))
        return af_fail(err, AF_ECORRUPT, "zstd: %s, %zu bytes to %zu", ZSTD_getErrorName(got), src.len, dst_len);
    if (got != dst_len)
        return af_fail(err, AF_ECORRUPT, "zstd: %zu bytes came out where %zu are promised", got, dst_len);
    return AF_OK;
}

enum af_status af_zstd_compress(struct af_codec_ctx *ctx, int level, struct af_slice src, struct af_buf *out,
                                struct af_error *err)
{
    const size_t bound = ZSTD_compressBound(src.len);
    char *to = af_buf_reserve(out, bound);
    if (to == NULL)
        return af_buf_check(out, "zstd frame", err);
    if (ctx->zstd_writer == NULL)
        ctx->zstd_writer = ZSTD_createCCtx();
    if (ctx->zstd_writer == NULL)
        return af_fail_nomem(err, "zstd encoder");
    size_t len = ZSTD_compressCCtx(ctx->zstd_writer, to, bound, src.ptr, src.len, level != 0 ? level : LEVEL_USUAL);
    if (ZSTD_isError(len))
        return af_fail(err, AF_ENOMEM, "zstd: %s while compressing %zu bytes", ZSTD_getErrorName(len), src.len);
    out->len += len;
    return AF_OK;
}

void af_zstd_ctx_done(struct af_codec_ctx *ctx)
{
    ZSTD_freeDCtx(ctx->zstd);
    ZSTD_freeCCtx(ctx->zstd_writer);
    ctx->zstd = NULL;
    ctx->zstd_writer = NULL;
}
