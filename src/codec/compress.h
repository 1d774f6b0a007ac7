/*
 * compress.h - whole-buffer compression, one library each (codec/snappy.c, zstd.c, lz4.c, brotli.c, gzip.c).
 *
 * Decompression never writes past `dst_len` and fails with AF_ECORRUPT when the result is not exactly `dst_len` bytes:
 * the caller decides how much memory a foreign size may cost before it calls.
 */
#ifndef AF_CODEC_COMPRESS_H
#define AF_CODEC_COMPRESS_H
#include "base/buf.h"

enum af_codec {
    AF_CODEC_NONE,
    AF_CODEC_SNAPPY,   /* raw block */
    AF_CODEC_GZIP,     /* one or more members; zlib streams are taken too */
    AF_CODEC_BROTLI,
    AF_CODEC_ZSTD,     /* frames, with or without a content size */
    AF_CODEC_LZ4,      /* raw block */
    AF_CODEC_LZ4_HADOOP, /* [u32 BE raw size][u32 BE compressed size][block]..., else a raw block */
};
const char *af_codec_name(enum af_codec codec);

/* A context keeps a library's working memory between calls: one thread's own. Zeroed is ready. */
struct af_codec_ctx {
    void *zstd;
    void *zstd_writer;
    void *deflate;
    void *deflate_writer;
    int deflate_level;
};
void af_codec_ctx_done(struct af_codec_ctx *ctx);

AF_MUST_CHECK enum af_status af_decompress(struct af_codec_ctx *ctx, enum af_codec codec, struct af_slice src, void *dst,
                                           size_t dst_len, struct af_error *err);

/* Append the compressed form of `src`. `level` 0: the codec's usual one. */
AF_MUST_CHECK enum af_status af_compress(struct af_codec_ctx *ctx, enum af_codec codec, int level, struct af_slice src,
                                         struct af_buf *out, struct af_error *err);

/* Gzip members of unknown size, unpacked and appended to `out`. AF_ELIMIT: more than out->bytes_max would come out. AF_ECORRUPT in the
 * words of Go's library, which InfluxDB's clients know: "gzip: invalid header", "gzip: invalid checksum", "unexpected EOF". */
AF_MUST_CHECK enum af_status af_gunzip(struct af_codec_ctx *ctx, struct af_slice src, struct af_buf *out, struct af_error *err);

/* CRC-32 (zlib's polynomial), continued from `crc` (0 to begin). */
uint32_t af_crc32(uint32_t crc, const void *bytes, size_t len);
#endif
