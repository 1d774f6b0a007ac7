/*
 * lz4.c - LZ4's raw block, and the framing that Hadoop's LZ4 codec puts around it. The only user of liblz4.
 *
 *     hadoop = { u32 BE raw size  { u32 BE compressed size  block } until raw size bytes came out }
 *
 * Parquet's codec 5 is either, depending on the writer: the framing is tried first, and where it does not hold to the last byte,
 * the bytes are taken as one raw block.
 */
#include "codec/codec_int.h"
#include <limits.h>
#include <lz4.h>
#include <lz4hc.h>

enum { LEVEL_HC = 3 }; /* levels from here on use the slow, denser compressor */

enum af_status af_lz4_decompress(struct af_codec_ctx *ctx, struct af_slice src, char *dst, size_t dst_len,
                                 struct af_error *err)
{
    (void)ctx;
    if (src.len > INT_MAX || dst_len > INT_MAX)
        return af_fail(err, AF_ELIMIT, "lz4: a block of %zu bytes for %zu; 2 GiB is the most it can be", src.len, dst_len);
    int got = LZ4_decompress_safe(src.ptr, dst, (int)src.len, (int)dst_len);
    if (got < 0)
        return af_fail(err, AF_ECORRUPT, "lz4: the block of %zu bytes is damaged or holds more than %zu bytes", src.len, dst_len);
    if ((size_t)got != dst_len)
        return af_fail(err, AF_ECORRUPT, "lz4: %d bytes came out where %zu are promised", got, dst_len);
    return AF_OK;
}

static bool take_u32(struct af_slice *src, size_t *out)
{
    const unsigned char *p = (const unsigned char *)src->ptr;
    if (src->len < 4)
        return false;
    *out = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    src->ptr += 4;
    src->len -= 4;
    return true;
}

/* The inner blocks of one frame; they give exactly `raw` bytes. */
static bool hadoop_frame(struct af_slice *src, char *dst, size_t raw)
{
    for (size_t done = 0; done < raw;) {
        size_t packed;
        if (!take_u32(src, &packed) || packed > src->len || packed > INT_MAX || raw - done > INT_MAX)
            return false;
        int got = LZ4_decompress_safe(src->ptr, dst + done, (int)packed, (int)(raw - done));
        if (got <= 0)
            return false;
        src->ptr += packed;
        src->len -= packed;
        done += (size_t)got;
    }
    return true;
}

static bool hadoop_all(struct af_slice src, char *dst, size_t dst_len)
{
    size_t done = 0;
    while (src.len > 0) {
        size_t raw;
        if (!take_u32(&src, &raw) || raw > dst_len - done || !hadoop_frame(&src, dst + done, raw))
            return false;
        done += raw;
    }
    return done == dst_len;
}

enum af_status af_lz4_hadoop_decompress(struct af_codec_ctx *ctx, struct af_slice src, char *dst, size_t dst_len,
                                        struct af_error *err)
{
    return hadoop_all(src, dst, dst_len) ? AF_OK : af_lz4_decompress(ctx, src, dst, dst_len, err);
}

enum af_status af_lz4_compress(struct af_codec_ctx *ctx, int level, struct af_slice src, struct af_buf *out,
                               struct af_error *err)
{
    (void)ctx;
    if (src.len > LZ4_MAX_INPUT_SIZE)
        return af_fail(err, AF_ELIMIT, "lz4: %zu bytes are more than one block can take", src.len);
    const int bound = LZ4_compressBound((int)src.len);
    char *to = af_buf_reserve(out, (size_t)bound);
    const char *from = src.len > 0 ? src.ptr : "";
    if (to == NULL)
        return af_buf_check(out, "lz4 block", err);
    int len = level >= LEVEL_HC ? LZ4_compress_HC(from, to, (int)src.len, bound, level)
                                : LZ4_compress_default(from, to, (int)src.len, bound);
    if (len <= 0)
        return af_fail(err, AF_ENOMEM, "lz4 refused to compress %zu bytes", src.len);
    out->len += (size_t)len;
    return AF_OK;
}

static void put_u32(char *at, size_t v)
{
    const char bytes[4] = { (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v };
    memcpy(at, bytes, 4);
}

enum af_status af_lz4_hadoop_compress(struct af_codec_ctx *ctx, int level, struct af_slice src, struct af_buf *out,
                                      struct af_error *err)
{
    const size_t mark = out->len;
    af_buf_append(out, "\0\0\0\0\0\0\0\0", src.len > 0 ? 8 : 4);
    if (src.len == 0) /* a frame of nothing has no block */
        return af_buf_check(out, "lz4 frame", err);
    AF_TRY(af_buf_check(out, "lz4 frame", err));
    AF_TRY(af_lz4_compress(ctx, level, src, out, err));
    put_u32(out->ptr + mark, src.len);
    put_u32(out->ptr + mark + 4, out->len - mark - 8);
    return AF_OK;
}
