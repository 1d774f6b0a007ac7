/*
 * bits.h - packed integers as Parquet has them: bit-packing, the RLE hybrid, the DELTA family, BYTE_STREAM_SPLIT.
 *
 * Decoders take [ptr, end) and never read past it; every count and width from the bytes is checked. They say how far they read.
 * Source: apache/parquet-format Encodings.md.
 */
#ifndef AF_CODEC_BITS_H
#define AF_CODEC_BITS_H
#include "base/buf.h"

/* `count` values of `width` bits (0..32), least significant bit first, from ceil(count * width / 8) bytes that must be there. */
void af_bits_unpack32(const uint8_t *src, size_t src_len, unsigned width, uint32_t *dst, size_t count);
void af_bits_unpack64(const uint8_t *src, size_t src_len, unsigned width, uint64_t *dst, size_t count); /* 0..64 */

/* The hybrid of runs and bit-packed groups, pulled in pieces. Embedded; no memory of its own. */
struct af_rle_reader {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t run_left;    /* of a repeated value */
    uint32_t run_value;
    uint32_t packed_left; /* values left in the current packed stretch, whole groups of 8 */
    uint8_t width;        /* 0..32 */
    uint8_t buffered;     /* values already unpacked and not yet given */
    uint32_t buffer[8];
};
AF_MUST_CHECK enum af_status af_rle_open(struct af_rle_reader *rle, const uint8_t *src, size_t len, unsigned width,
                                         struct af_error *err); /* width > 32: AF_ECORRUPT */
/* Exactly `count` values, or AF_ECORRUPT: the bytes end before. Runs go to dst as fills. */
AF_MUST_CHECK enum af_status af_rle_read(struct af_rle_reader *rle, uint32_t *dst, size_t count, struct af_error *err);
/* The next values without copying a run: the length of a stretch of equal values (<= max) with its value, or 0 when the next ones
 * are packed (then af_rle_read them, at most *out_packed for this stretch). Callers use it to skip work on constant columns. */
AF_MUST_CHECK enum af_status af_rle_peek_run(struct af_rle_reader *rle, size_t max, size_t *out_run, uint32_t *out_value,
                                             size_t *out_packed, struct af_error *err);
void af_rle_skip_run(struct af_rle_reader *rle, size_t count); /* of the run just peeked */

/* Levels of the old BIT_PACKED encoding: most significant bit first. */
AF_MUST_CHECK enum af_status af_bits_unpack_msb(const uint8_t *src, size_t len, unsigned width, uint32_t *dst, size_t count,
                                                struct af_error *err);

/* DELTA_BINARY_PACKED. `expected` is the count the page promises: more or fewer in the header is AF_ECORRUPT. Arithmetic wraps in
 * `bits` (32 or 64); 32-bit results are sign-extended. *out_used: bytes consumed. Reads and writes whole pages. */
AF_MUST_CHECK enum af_status af_delta_decode(const uint8_t *src, size_t len, unsigned bits, int64_t *dst, size_t expected,
                                             size_t *out_used, struct af_error *err);
void af_delta_encode(const int64_t *src, size_t count, unsigned bits, struct af_buf *out);

/* BYTE_STREAM_SPLIT: `count` values of `width` bytes (1..64); len must be count * width (checked by the caller). */
void af_stream_split_decode(const uint8_t *src, size_t count, size_t width, uint8_t *dst);
void af_stream_split_encode(const uint8_t *src, size_t count, size_t width, uint8_t *dst);

/* Writers: the hybrid with runs of >= 8 as runs, the rest packed. */
void af_rle_encode(const uint32_t *src, size_t count, unsigned width, struct af_buf *out);
unsigned af_bits_width(uint32_t max_value); /* 0 for 0, 1 for 1, 8 for 255 */

/* Unsigned LEB128, at most 64 bits. */
void af_uvarint_append(struct af_buf *out, uint64_t value);
bool af_uvarint_read(const uint8_t **at, const uint8_t *end, uint64_t *out);
#endif
