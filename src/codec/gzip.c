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

/* What the trailer of a single member promises, as a first guess: the size modulo 2^32. */
static size_t guess_size(struct af_slice src)
{
    const unsigned char *p = (const unsigned char *)src.ptr + src.len - 4;
    size_t promised = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    return promised <= src.len * 1032 ? promised : src.len * 4; /* deflate's best ratio is 1032 */
}

/* Where the compressed data of a member begins (RFC 1952); 0: it does not. */
static size_t data_start(struct af_slice s)
{
    enum { HEAD = 10, HCRC = 2, EXTRA = 4, NAME = 8, COMMENT = 16 };
    const unsigned char *p = (const unsigned char *)s.ptr;
    unsigned flags = p[3];
    size_t at = HEAD;
    if ((flags & EXTRA) != 0 && at + 2 <= s.len)
        at += 2 + (size_t)p[at] + ((size_t)p[at + 1] << 8);
    for (unsigned text = NAME; text <= COMMENT; text <<= 1) {
        if ((flags & text) == 0)
            continue;
        const char *end = at < s.len ? memchr(s.ptr + at, '\0', s.len - at) : NULL;
        if (end == NULL)
            return 0;
        at = (size_t)(end - s.ptr) + 1;
    }
    at += (flags & HCRC) != 0 ? 2 : 0;
    return at < s.len ? at : 0;
}

/* The library only says "bad": is it the checksum? What is cut short and what is damaged cannot be told apart. */
static enum af_status fail_member(struct libdeflate_decompressor *deflate, struct af_slice member, char *dst, size_t room,
                                  struct af_error *err)
{
    size_t start = data_start(member);
    size_t used = 0;
    size_t got = 0;
    bool is_whole = start != 0 && libdeflate_deflate_decompress_ex(deflate, member.ptr + start, member.len - start, dst, room, &used,
                                                                   &got) == LIBDEFLATE_SUCCESS;
    bool has_trailer = is_whole && member.len - start - used >= 8;
    return af_fail(err, AF_ECORRUPT, has_trailer ? "gzip: invalid checksum" : "unexpected EOF");
}

/* One member, appended to `out`; its memory doubles until the member fits. */
static enum af_status one_member(struct libdeflate_decompressor *deflate, struct af_slice *left, struct af_buf *out,
                                 struct af_error *err)
{
    if (!is_gzip(*left) || left->len < 18)
        return af_fail(err, AF_ECORRUPT, !is_gzip(*left) ? "gzip: invalid header" : "unexpected EOF");
    for (size_t room = guess_size(*left) + 1;; room *= 2) {
        size_t used, got;
        size_t most = out->bytes_max - out->len;
        room = room < most ? room : most;
        char *dst = af_buf_reserve(out, room);
        if (dst == NULL)
            return af_fail_nomem(err, "a gzip body");
        enum libdeflate_result result = libdeflate_gzip_decompress_ex(deflate, left->ptr, left->len, dst, room, &used, &got);
        if (result == LIBDEFLATE_SUCCESS) {
            out->len += got;
            *left = af_slice_make(left->ptr + used, left->len - used);
            return AF_OK;
        }
        if (result != LIBDEFLATE_INSUFFICIENT_SPACE)
            return fail_member(deflate, *left, dst, room, err);
        if (room == most)
            return af_fail(err, AF_ELIMIT, "the body unpacks to more than %zu bytes; send it in smaller requests", out->bytes_max);
    }
}

enum af_status af_gunzip(struct af_codec_ctx *ctx, struct af_slice src, struct af_buf *out, struct af_error *err)
{
    if (ctx->deflate == NULL)
        ctx->deflate = libdeflate_alloc_decompressor();
    if (ctx->deflate == NULL)
        return af_fail_nomem(err, "gzip decoder");
    const size_t mark = out->len;
    struct af_slice left = src;
    do {
        enum af_status status = one_member(ctx->deflate, &left, out, err);
        if (status != AF_OK) {
            af_buf_rewind(out, mark);
            return status;
        }
    } while (left.len > 0 && !is_padding(left));
    return AF_OK;
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
