/*
 * delta.c - DELTA_BINARY_PACKED.
 *
 *     header    = varint(values a block) varint(miniblocks a block) varint(count) zigzag(first value)
 *     block     = zigzag(least delta) width[miniblocks] miniblock...
 *     miniblock = (values a block / miniblocks) deltas minus the least, packed in `width` bits
 *
 * Of the last block, miniblocks after the last value have a width (any byte) but no bytes, and the last one with values is padded; we
 * also take it without the padding. All arithmetic is modulo 2^64, 32-bit results are cut and sign-extended at the end:
 * sums modulo 2^64 and modulo 2^32 agree in the low 32 bits. So 32-bit integers may have deltas of up to 64 bits: DuckDB, which does
 * not wrap its differences around, writes 33.
 */
#include "codec/codec_int.h"

enum { BLOCK = 128, MINIBLOCKS = 4, MINI = BLOCK / MINIBLOCKS };

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ -(v & 1));
}
static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

struct delta {
    const uint8_t *at;
    const uint8_t *end;
    unsigned bits;
    size_t miniblocks;
    size_t mini_values; /* of a miniblock */
    uint64_t last;      /* value */
};

static enum af_status ends_early(struct af_error *err)
{
    return af_fail(err, AF_ECORRUPT, "delta data ends before the last value");
}

static enum af_status read_header(struct delta *d, size_t expected, struct af_error *err)
{
    uint64_t block, minis, count, first;
    if (!af_uvarint_read(&d->at, d->end, &block) || !af_uvarint_read(&d->at, d->end, &minis) ||
        !af_uvarint_read(&d->at, d->end, &count) || !af_uvarint_read(&d->at, d->end, &first))
        return af_fail(err, AF_ECORRUPT, "delta data: the header is cut off or no varint");
    if (block == 0 || block > INT32_MAX || minis == 0 || minis > block || block % minis != 0 || block / minis % 8 != 0)
        return af_fail(err, AF_ECORRUPT, "delta data: blocks of %llu values in %llu miniblocks", (unsigned long long)block,
                       (unsigned long long)minis);
    if (count != expected)
        return af_fail(err, AF_ECORRUPT, "delta data: header says %llu values, the page has %zu", (unsigned long long)count,
                       expected);
    d->miniblocks = (size_t)minis;
    d->mini_values = (size_t)(block / minis);
    d->last = (uint64_t)unzigzag(first);
    return AF_OK;
}

/* Differences in dst become values. */
static uint64_t sum64(uint64_t *dst, size_t n, uint64_t least, uint64_t last)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = last += dst[i] + least;
    return last;
}

static uint64_t sum32(uint64_t *dst, size_t n, uint64_t least, uint64_t last)
{
    for (size_t i = 0; i < n; i++) {
        last += dst[i] + least;
        dst[i] = (uint64_t)(int64_t)(int32_t)(uint32_t)last;
    }
    return last;
}

/* Steps of one size: no need of the chain of additions. */
static uint64_t step(uint64_t *dst, size_t n, uint64_t least, uint64_t last, unsigned bits)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = last + least * (i + 1);
    for (size_t i = 0; bits == 32 && i < n; i++)
        dst[i] = (uint64_t)(int64_t)(int32_t)(uint32_t)dst[i];
    return last + least * n;
}

static enum af_status read_miniblock(struct delta *d, unsigned width, uint64_t least, uint64_t *dst, size_t n,
                                     struct af_error *err)
{
    if (width > 64)
        return af_fail(err, AF_ECORRUPT, "delta data: a miniblock of %u bits a value, more than 64", width);
    if (width == 0) {
        d->last = step(dst, n, least, d->last, d->bits);
        return AF_OK;
    }
    const size_t there = (size_t)(d->end - d->at);
    const size_t need = (n * width + 7) / 8;
    const size_t whole = d->mini_values / 8 * width;
    if (there < need)
        return ends_early(err);
    af_bits_unpack64(d->at, there, width, dst, n);
    d->last = d->bits == 32 ? sum32(dst, n, least, d->last) : sum64(dst, n, least, d->last);
    d->at += whole < there ? whole : there;
    return AF_OK;
}

/* Up to a block of values; *io_left counts down. */
static enum af_status read_block(struct delta *d, uint64_t **io_dst, size_t *io_left, struct af_error *err)
{
    uint64_t least;
    if (!af_uvarint_read(&d->at, d->end, &least) || (size_t)(d->end - d->at) < d->miniblocks)
        return ends_early(err);
    least = (uint64_t)unzigzag(least);
    const uint8_t *widths = d->at;
    d->at += d->miniblocks;
    for (size_t m = 0; m < d->miniblocks && *io_left > 0; m++) {
        size_t n = d->mini_values < *io_left ? d->mini_values : *io_left;
        AF_TRY(read_miniblock(d, widths[m], least, *io_dst, n, err));
        *io_dst += n;
        *io_left -= n;
    }
    return AF_OK;
}

enum af_status af_delta_decode(const uint8_t *src, size_t len, unsigned bits, int64_t *dst, size_t expected, size_t *out_used,
                               struct af_error *err)
{
    struct delta d = { .at = src, .end = len > 0 ? src + len : src, .bits = bits };
    uint64_t *to = (uint64_t *)dst;
    if (len == 0 && expected == 0) { /* some writers give a page of nulls no header */
        *out_used = 0;
        return AF_OK;
    }
    AF_TRY(read_header(&d, expected, err));
    if (expected > 0)
        *to++ = bits == 32 ? (uint64_t)(int64_t)(int32_t)(uint32_t)d.last : d.last;
    for (size_t left = expected > 0 ? expected - 1 : 0; left > 0;)
        AF_TRY(read_block(&d, &to, &left, err));
    *out_used = (size_t)(d.at - src);
    return AF_OK;
}

/* --- writing ------------------------------------------------------------------------------------------------------------- */

static int64_t difference(int64_t a, int64_t b, unsigned bits)
{
    uint64_t d = (uint64_t)a - (uint64_t)b;
    return bits == 32 ? (int64_t)(int32_t)(uint32_t)d : (int64_t)d;
}

static unsigned width_of(const uint64_t *deltas, size_t n)
{
    uint64_t all = 0;
    for (size_t i = 0; i < n; i++)
        all |= deltas[i];
    return all == 0 ? 0 : 64u - (unsigned)__builtin_clzll(all);
}

/* src[-1] is the value before the block. */
static void append_block(const int64_t *src, size_t n, unsigned bits, struct af_buf *out)
{
    uint64_t deltas[BLOCK] = { 0 };
    char widths[MINIBLOCKS] = { 0 };
    int64_t least = INT64_MAX;
    const size_t minis = (n + MINI - 1) / MINI;

    for (size_t i = 0; i < n; i++) {
        int64_t delta = difference(src[i], src[(ptrdiff_t)i - 1], bits);
        deltas[i] = (uint64_t)delta;
        least = delta < least ? delta : least;
    }
    for (size_t i = 0; i < n; i++) {
        deltas[i] -= (uint64_t)least;
        if (bits == 32)
            deltas[i] &= UINT32_MAX;
    }
    for (size_t m = 0; m < minis; m++)
        widths[m] = (char)width_of(deltas + m * MINI, MINI);
    af_uvarint_append(out, zigzag(least));
    af_buf_append(out, widths, sizeof widths);
    for (size_t m = 0; m < minis; m++)
        af_bits_pack64(deltas + m * MINI, MINI, (unsigned char)widths[m], out);
}

void af_delta_encode(const int64_t *src, size_t count, unsigned bits, struct af_buf *out)
{
    af_uvarint_append(out, BLOCK);
    af_uvarint_append(out, MINIBLOCKS);
    af_uvarint_append(out, count);
    af_uvarint_append(out, zigzag(count > 0 ? src[0] : 0));
    for (size_t i = 1; i < count; i += BLOCK)
        append_block(src + i, count - i < BLOCK ? count - i : BLOCK, bits, out);
}
