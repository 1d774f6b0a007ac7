/*
 * snappy.c - a decoder of Snappy's raw block, about twice as fast as Debian's libsnappy 1.1.9 on columns of doubles
 * (snappy_bench.c), where decompression is most of the time of a scan. Writing stays with the library (codec/compress.h).
 *
 *     varint raw size | elements
 *     element    lllllloo   oo = 0: literal of l + 1 bytes; l = 60..63: the length - 1 follows in 1..4 bytes
 *                           oo = 1: copy of (l & 7) + 4 bytes, offset (l >> 3) << 8 | byte
 *                           oo = 2: copy of l + 1 bytes, offset in 2 bytes LE;  oo = 3: in 4 bytes LE
 *
 * Two loops. The quick one runs while an element of any short kind can be read and written with slack: 64 bytes are then moved in
 * whole registers, whatever the length. The careful one does the rest, byte-exact. Both check every offset and length.
 */
#include "format/parquet/parquet_int.h"

enum { SLACK = 64, HEAD_MAX = 5 };

struct spot {
    const uint8_t *in;
    const uint8_t *in_end;
    uint8_t *out;
    uint8_t *out_start;
    uint8_t *out_end;
};

static inline void move16(uint8_t *to, const uint8_t *from)
{
    memcpy(to, from, 16);
}

/* 64 bytes, where reading and writing past the length is fine and the source is 16 bytes or more behind. */
static inline void move64(uint8_t *to, const uint8_t *from, size_t len)
{
    move16(to, from);
    if (len > 16) {
        move16(to + 16, from + 16);
        if (len > 32) {
            move16(to + 32, from + 32);
            move16(to + 48, from + 48);
        }
    }
}

/* The source overlaps what is written: the pattern of `offset` bytes repeats. */
static inline void repeat(uint8_t *to, size_t offset, size_t len)
{
    const uint8_t *from = to - offset;
    if (offset >= 8) {
        for (size_t i = 0; i < len; i += 8)
            memcpy(to + i, from + i, 8);
        return;
    }
    for (size_t i = 0; i < len; i++)
        to[i] = from[i];
}

/* Short literals and all copies, while there is slack on both sides. False: damaged. */
static bool quick_loop(struct spot *spot)
{
    const uint8_t *in = spot->in;
    uint8_t *out = spot->out;
    const uint8_t *const in_stop = spot->in_end - (SLACK + HEAD_MAX);
    uint8_t *const out_stop = spot->out_end - SLACK;
    while (in <= in_stop && out <= out_stop) {
        const uint32_t tag = *in;
        size_t len = (tag >> 2) + 1;
        size_t offset;
        uint32_t word;
        if ((tag & 3) == 0) {
            if (len > 60)
                break; /* for the careful loop */
            move64(out, in + 1, len);
            in += len + 1;
            out += len;
            continue;
        }
        /* Near and far copies mix without pattern: no branch between them. */
        memcpy(&word, in + 1, 4);
        const uint32_t near = 0 - (uint32_t)((tag & 3) == 1);
        len = (((tag >> 2 & 7) + 4) & near) | ((uint32_t)len & ~near);
        offset = (((tag & 0xe0) << 3 | (word & 0xff)) & near) | (word & 0xffff & ~near);
        in += (tag & 3) + 1;
        if (__builtin_expect((tag & 3) == 3, 0)) {
            offset = word;
            in++;
        }
        if (offset - 1 >= (size_t)(out - spot->out_start))
            return false;
        if (offset >= 16)
            move64(out, out - offset, len);
        else
            repeat(out, offset, len);
        out += len;
    }
    spot->in = in;
    spot->out = out;
    return true;
}

/* One element, exactly. False: damaged. */
static bool careful_step(struct spot *spot)
{
    static const uint8_t extra_bytes[4] = { 0, 1, 2, 4 };
    const uint32_t tag = *spot->in++;
    uint64_t len = (tag >> 2) + 1;
    uint32_t extra = 0;
    size_t extra_len = (tag & 3) != 0 ? extra_bytes[tag & 3] : len > 60 ? (size_t)(len - 60) : 0;
    if (extra_len > (size_t)(spot->in_end - spot->in))
        return false;
    for (size_t i = 0; i < extra_len; i++)
        extra |= (uint32_t)spot->in[i] << (8 * i);
    spot->in += extra_len;
    if ((tag & 3) == 0) {
        len = extra_len != 0 ? (uint64_t)extra + 1 : len;
        if (len > (uint64_t)(spot->in_end - spot->in) || len > (uint64_t)(spot->out_end - spot->out))
            return false;
        memcpy(spot->out, spot->in, (size_t)len);
        spot->in += len;
        spot->out += len;
        return true;
    }
    size_t offset = extra;
    if ((tag & 3) == 1) {
        len = (tag >> 2 & 7) + 4;
        offset |= (size_t)(tag >> 5) << 8;
    }
    if (offset - 1 >= (size_t)(spot->out - spot->out_start) || len > (uint64_t)(spot->out_end - spot->out))
        return false;
    for (; len > 0; len--, spot->out++)
        *spot->out = *(spot->out - offset);
    return true;
}

enum af_status af_pq_snappy_decode(struct af_slice src, uint8_t *dst, size_t dst_len, struct af_error *err)
{
    struct spot spot = { .in = (const uint8_t *)src.ptr, .in_end = (const uint8_t *)src.ptr + src.len, .out = dst, .out_start = dst,
                         .out_end = dst + dst_len };
    uint64_t len;
    if (!af_uvarint_read(&spot.in, spot.in_end, &len) || len != dst_len)
        return af_fail(err, AF_ECORRUPT, "snappy: the block does not say that it holds the %zu bytes that are promised", dst_len);
    bool is_good = true;
    while (is_good && spot.in < spot.in_end) {
        if (spot.in_end - spot.in > SLACK + HEAD_MAX && spot.out_end - spot.out > SLACK)
            is_good = quick_loop(&spot);
        is_good = is_good && careful_step(&spot);
    }
    if (!is_good || spot.out != spot.out_end)
        return af_fail(err, AF_ECORRUPT, "snappy: the block of %zu bytes is damaged", src.len);
    return AF_OK;
}
