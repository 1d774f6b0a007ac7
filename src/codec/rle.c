/*
 * rle.c - Parquet's hybrid of runs and bit-packed groups.
 *
 *     stream   = { run | packed }
 *     run      = varint(length << 1)      value in ceil(width / 8) bytes, little-endian
 *     packed   = varint(groups << 1 | 1)  groups * width bytes: 8 values a group
 *
 * The last packed stretch may be cut short by the end of the bytes (old writers leave the padding out); whole values in what is
 * there are good. A value never has bits above `width`: readers may index tables of 2^width entries with it.
 *
 * Reader state: exactly one of run_left, or (buffered, packed_left) is non-zero; all zero means a header comes next. `at` is behind
 * the bytes of `buffer`, before those of packed_left. Buffered values are buffer[8 - buffered .. 7].
 */
#include "codec/codec_int.h"
#include <assert.h>

enum { RUN_MIN = 8, RUN_MAX = 1 << 30, GROUPS_MAX = UINT32_MAX / 8 };

enum af_status af_rle_open(struct af_rle_reader *rle, const uint8_t *src, size_t len, unsigned width, struct af_error *err)
{
    if (width > 32)
        return af_fail(err, AF_ECORRUPT, "run-length data of %u-bit values; 32 is the most there is", width);
    *rle = (struct af_rle_reader){ .at = src, .end = len > 0 ? src + len : src, .width = (uint8_t)width };
    return AF_OK;
}

static enum af_status open_packed(struct af_rle_reader *rle, uint64_t groups, struct af_error *err)
{
    if (groups > GROUPS_MAX)
        return af_fail(err, AF_ECORRUPT, "run-length data: a packed stretch of %llu groups", (unsigned long long)groups);
    const uint64_t bytes = groups * rle->width;
    const size_t there = (size_t)(rle->end - rle->at);
    rle->packed_left = (uint32_t)(bytes <= there ? groups * 8 : there * 8 / rle->width);
    return AF_OK;
}

static enum af_status open_run(struct af_rle_reader *rle, uint64_t length, struct af_error *err)
{
    const size_t bytes = (rle->width + 7u) / 8;
    uint32_t value = 0;
    if (length > INT32_MAX)
        return af_fail(err, AF_ECORRUPT, "run-length data: a run of %llu values", (unsigned long long)length);
    if ((size_t)(rle->end - rle->at) < bytes)
        return af_fail(err, AF_ECORRUPT, "run-length data ends inside the value of a run");
    for (size_t i = 0; i < bytes; i++)
        value |= (uint32_t)rle->at[i] << (8 * i);
    if ((value & ~af_low_bits(rle->width)) != 0)
        return af_fail(err, AF_ECORRUPT, "run-length data: the value %u of a run has more than %u bits", value, rle->width);
    rle->at += bytes;
    rle->run_left = (uint32_t)length;
    rle->run_value = value;
    return AF_OK;
}

/* Read headers until there is a value to give. Each takes a byte or more, so empty ones cannot hold us up. */
static enum af_status fill(struct af_rle_reader *rle, struct af_error *err)
{
    while (rle->run_left == 0 && rle->packed_left == 0 && rle->buffered == 0) {
        uint64_t header;
        if (rle->at == rle->end)
            return af_fail(err, AF_ECORRUPT, "run-length data ends before the last value");
        if (!af_uvarint_read(&rle->at, rle->end, &header) || header > UINT32_MAX)
            return af_fail(err, AF_ECORRUPT, "run-length data: the header of a run is no 32-bit varint");
        AF_TRY((header & 1) != 0 ? open_packed(rle, header >> 1, err) : open_run(rle, header >> 1, err));
    }
    return AF_OK;
}

/* Unpack the next group (or what a cut leaves of it) into the buffer. */
static void buffer_group(struct af_rle_reader *rle)
{
    const size_t n = rle->packed_left < 8 ? rle->packed_left : 8;
    const size_t there = (size_t)(rle->end - rle->at);
    af_bits_unpack32(rle->at, there, rle->width, rle->buffer + (8 - n), n);
    rle->at += n == 8 ? rle->width : there; /* a short group is the last thing in the bytes */
    rle->packed_left -= (uint32_t)n;
    rle->buffered = (uint8_t)n;
}

static size_t read_packed(struct af_rle_reader *rle, uint32_t *dst, size_t count)
{
    if (rle->buffered == 0 && count >= 8 && rle->packed_left >= 8) {
        size_t n = (count < rle->packed_left ? count : rle->packed_left) / 8 * 8;
        af_bits_unpack32(rle->at, (size_t)(rle->end - rle->at), rle->width, dst, n);
        rle->at += n / 8 * rle->width;
        rle->packed_left -= (uint32_t)n;
        return n;
    }
    if (rle->buffered == 0)
        buffer_group(rle);
    size_t n = count < rle->buffered ? count : rle->buffered;
    memcpy(dst, rle->buffer + (8 - rle->buffered), n * sizeof *dst);
    rle->buffered = (uint8_t)(rle->buffered - n);
    return n;
}

static size_t read_run(struct af_rle_reader *rle, uint32_t *dst, size_t count)
{
    const size_t n = count < rle->run_left ? count : rle->run_left;
    const uint32_t value = rle->run_value;
    for (size_t i = 0; i < n; i++)
        dst[i] = value;
    rle->run_left -= (uint32_t)n;
    return n;
}

enum af_status af_rle_read(struct af_rle_reader *rle, uint32_t *dst, size_t count, struct af_error *err)
{
    while (count > 0) {
        AF_TRY(fill(rle, err));
        size_t n = rle->run_left > 0 ? read_run(rle, dst, count) : read_packed(rle, dst, count);
        dst += n;
        count -= n;
    }
    return AF_OK;
}

enum af_status af_rle_peek_run(struct af_rle_reader *rle, size_t max, size_t *out_run, uint32_t *out_value,
                               size_t *out_packed, struct af_error *err)
{
    if (max > 0)
        AF_TRY(fill(rle, err));
    *out_run = rle->run_left < max ? rle->run_left : max;
    *out_value = rle->run_value;
    *out_packed = (size_t)rle->packed_left + rle->buffered;
    if (rle->run_left == 0)
        *out_run = 0;
    return AF_OK;
}

void af_rle_skip_run(struct af_rle_reader *rle, size_t count)
{
    assert(count <= rle->run_left);
    rle->run_left -= (uint32_t)count;
}

/* --- writing ------------------------------------------------------------------------------------------------------------- */

static size_t run_length(const uint32_t *src, size_t count)
{
    size_t n = 1;
    while (n < count && n < RUN_MAX && src[n] == src[0])
        n++;
    return n;
}

static void append_run(struct af_buf *out, uint32_t value, size_t length, unsigned width)
{
    uint8_t bytes[4] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24) };
    af_uvarint_append(out, (uint64_t)length << 1);
    af_buf_append(out, bytes, (width + 7) / 8);
}

/* `count` values; a group that is not full is padded with zeros. */
static void append_packed(struct af_buf *out, const uint32_t *src, size_t count, unsigned width)
{
    if (count == 0)
        return;
    const size_t groups = (count + 7) / 8;
    af_uvarint_append(out, (uint64_t)groups << 1 | 1);
    const size_t bytes = groups * width;
    const size_t mark = out->len;
    af_bits_pack32(src, count, width, out);
    char *pad = af_buf_reserve(out, bytes);
    if (pad == NULL || width == 0)
        return;
    memset(pad, 0, mark + bytes - out->len);
    out->len = mark + bytes;
}

void af_rle_encode(const uint32_t *src, size_t count, unsigned width, struct af_buf *out)
{
    size_t packed = 0; /* [packed, i) waits to be written as groups */
    size_t i = 0;
    while (i < count) {
        size_t run = run_length(src + i, count - i);
        /* Groups are whole, so runs begin where a group could: at the stretch's start or 8, 16... after it. */
        if (run >= RUN_MIN || (run == count - i && packed == i)) {
            append_packed(out, src + packed, i - packed, width);
            append_run(out, src[i], run, width);
            i += run;
            packed = i;
        } else {
            i += count - i < 8 ? count - i : 8;
            if (i - packed >= (size_t)GROUPS_MAX * 8 / 2) {
                append_packed(out, src + packed, i - packed, width);
                packed = i;
            }
        }
    }
    append_packed(out, src + packed, i - packed, width);
}
