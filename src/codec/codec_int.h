/*
 * codec_int.h - what the files of codec/ share: bit packing for writers and one pair of calls per compression library.
 */
#ifndef AF_CODEC_INT_H
#define AF_CODEC_INT_H
#include "codec/bits.h"
#include "codec/compress.h"
#include <string.h>

#if defined(__x86_64__)
#define AF_CODEC_AVX2 1
#define AF_TARGET_AVX2 __attribute__((target("avx2")))
#endif

static inline uint64_t af_load64(const uint8_t *src)
{
    uint64_t v;
    memcpy(&v, src, sizeof v);
    return v;
}

/* The low `width` bits set; width 0..64. */
static inline uint64_t af_low_bits(unsigned width)
{
    return width == 0 ? 0 : UINT64_MAX >> (64 - width);
}

/* Append ceil(count * width / 8) bytes; values have no bits above `width` (0..64). */
void af_bits_pack32(const uint32_t *src, size_t count, unsigned width, struct af_buf *out);
void af_bits_pack64(const uint64_t *src, size_t count, unsigned width, struct af_buf *out);

/* The plain C twins of what has a SIMD form, for tests. */
void af_bits_unpack32_scalar(const uint8_t *src, size_t src_len, unsigned width, uint32_t *dst, size_t count);
void af_bits_unpack64_scalar(const uint8_t *src, size_t src_len, unsigned width, uint64_t *dst, size_t count);
void af_stream_split_decode_scalar(const uint8_t *src, size_t count, size_t width, uint8_t *dst);
void af_stream_split_encode_scalar(const uint8_t *src, size_t count, size_t width, uint8_t *dst);
void af_simple8b_decode_scalar(const uint8_t *words, size_t word_count, uint64_t *dst);
enum af_status af_gorilla_decode_scalar(const uint8_t *src, size_t len, double *dst, size_t count, struct af_error *err);

typedef enum af_status af_decompress_fn(struct af_codec_ctx *ctx, struct af_slice src, char *dst, size_t dst_len,
                                        struct af_error *err);
typedef enum af_status af_compress_fn(struct af_codec_ctx *ctx, int level, struct af_slice src, struct af_buf *out,
                                      struct af_error *err);
af_decompress_fn af_snappy_decompress, af_gzip_decompress, af_brotli_decompress, af_zstd_decompress, af_lz4_decompress,
    af_lz4_hadoop_decompress;
af_compress_fn af_snappy_compress, af_gzip_compress, af_brotli_compress, af_zstd_compress, af_lz4_compress,
    af_lz4_hadoop_compress;
void af_gzip_ctx_done(struct af_codec_ctx *ctx);
void af_zstd_ctx_done(struct af_codec_ctx *ctx);
#endif
