/*
 * gzip.c - gzip members one after another, zlib streams, and CRC-32. The only user of libdeflate, which works on whole buffers and one
 * member a call.
 *
 * Zero bytes behind the last member are padding; anything else there is damage.
 */
#include "codec/codec_int.h"
#include <libdeflate.h>

enum { LEVEL_USUAL = 6 };

static bool is_gzip(struct af_slice s)
{
    return s.len >= 2 && (unsigned char)s.ptr[0] == 0x1f && (unsigned char)s.ptr[1] == 0x8b;
}

/* RFC 1950: method 8, and the first two bytes a multiple of 31. */
static bool is_zlib(struct af_slice s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    return s.len >= 2 && (p[0] & 0x0f) == 8 && (p[0] * 256u + p[1]) % 31 == 0;
}

static bool is_padding(struct af_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != 0)
            return false;
    return true;
}

static enum af_status fail(enum libdeflate_result result, size_t src_len, size_t dst_len, struct af_error *err)
{
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
        return af_fail(err, AF_ECORRUPT, "gzip: more than the promised %zu bytes come out", dst_len);
    return af_fail(err, AF_ECORRUPT, "gzip: the data of %zu bytes is damaged (or its checksum is wrong)", src_len);
}

static enum af_status all_members(struct libdeflate_decompressor *deflate, struct af_slice src, char *dst, size_t dst_len,
                                  struct af_error *err)
{
    size_t done = 0;
    struct af_slice left = src;
    do {
        size_t used, got;
        enum libdeflate_result result =
            is_gzip(left) || !is_zlib(left)
                ? libdeflate_gzip_decompress_ex(deflate, left.ptr, left.len, dst + done, dst_len - done, &used, &got)
                : libdeflate_zlib_decompress_ex(deflate, left.ptr, left.len, dst + done, dst_len - done, &used, &got);
        if (result != LIBDEFLATE_SUCCESS)
            return fail(result, src.len, dst_len, err);
        done += got;
        left = af_slice_make(left.ptr + used, left.len - used);
    } while (left.len > 0 && !is_padding(left));
    if (done != dst_len)
        return af_fail(err, AF_ECORRUPT, "gzip: %zu bytes came out where %zu are promised", done, dst_len);
    return AF_OK;
}

enum af_status af_gzip_decompress(struct af_codec_ctx *ctx, struct af_slice src, char *dst, size_t dst_len,
                                  struct af_error *err)
{
    if (ctx->deflate == NULL)
        ctx->deflate = libdeflate_alloc_decompressor();
    if (ctx->deflate == NULL)
        return af_fail_nomem(err, "gzip decoder");
    return all_members(ctx->deflate, src, dst, dst_len, err);
}

/* libdeflate's compressor is made for one level. */
static struct libdeflate_compressor *compressor(struct af_codec_ctx *ctx, int level)
{
    level = level <= 0 ? LEVEL_USUAL : level > 12 ? 12 : level;
    if (ctx->deflate_writer != NULL && ctx->deflate_level == level)
        return ctx->deflate_writer;
    if (ctx->deflate_writer != NULL)
        libdeflate_free_compressor(ctx->deflate_writer);
    ctx->deflate_writer = libdeflate_alloc_compressor(level);
    ctx->deflate_level = level;
    return ctx->deflate_writer;
}

enum af_status af_gzip_compress(struct af_codec_ctx *ctx, int level, struct af_slice src, struct af_buf *out,
                                struct af_error *err)
{
    struct libdeflate_compressor *deflate = compressor(ctx, level);
    if (deflate == NULL)
        return af_fail_nomem(err, "gzip encoder");
    const size_t bound = libdeflate_gzip_compress_bound(deflate, src.len);
    char *to = af_buf_reserve(out, bound);
    if (to == NULL)
        return af_buf_check(out, "gzip member", err);
    size_t len = libdeflate_gzip_compress(deflate, src.len > 0 ? src.ptr : "", src.len, to, bound);
    if (len == 0)
        return af_fail(err, AF_EBUG, "gzip refused to compress %zu bytes", src.len);
    out->len += len;
    return AF_OK;
}

void af_gzip_ctx_done(struct af_codec_ctx *ctx)
{
    if (ctx->deflate != NULL)
        libdeflate_free_decompressor(ctx->deflate);
    if (ctx->deflate_writer != NULL)
        libdeflate_free_compressor(ctx->deflate_writer);
    ctx->deflate = NULL;
    ctx->deflate_writer = NULL;
}

uint32_t af_crc32(uint32_t crc, const void *bytes, size_t len)
{
    return len > 0 ? libdeflate_crc32(crc, bytes, len) : crc;
}
