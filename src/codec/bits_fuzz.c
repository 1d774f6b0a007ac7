/*
 * bits_fuzz.c - the decoders of bits.h over any bytes. Byte 0 chooses the decoder, byte 1 the width, bytes 2-3 the count.
 *
 * Properties: nothing outside the bytes is read (ASan); what decodes well, encoded again, decodes to the same; reading a hybrid in
 * pieces gives what reading it at once gives; the plain twins agree.
 */
#include "base/alloc.h"
#include "codec/codec_int.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static bool read_in_pieces(const uint8_t *src, size_t len, unsigned width, uint32_t *dst, size_t count)
{
    struct af_rle_reader rle;
    if (af_rle_open(&rle, src, len, width, NULL) != AF_OK)
        return false;
    for (size_t i = 0, step = 1; i < count; step = step * 5 % 13 + 1) {
        size_t run, packed, n = step < count - i ? step : count - i;
        uint32_t value;
        if (af_rle_peek_run(&rle, n, &run, &value, &packed, NULL) != AF_OK)
            return false;
        must(run <= n && (run != 0 || packed != 0));
        n = run != 0 ? run : n < packed ? n : packed;
        for (size_t k = 0; k < run; k++)
            dst[i + k] = value;
        if (run != 0)
            af_rle_skip_run(&rle, run);
        else
            must(af_rle_read(&rle, dst + i, n, NULL) == AF_OK);
        i += n;
    }
    return true;
}

static void fuzz_rle(const uint8_t *src, size_t len, unsigned width, size_t count)
{
    static uint32_t at_once[65536], pieces[65536];
    struct af_rle_reader rle;
    if (af_rle_open(&rle, src, len, width, NULL) != AF_OK)
        return;
    bool ok = af_rle_read(&rle, at_once, count, NULL) == AF_OK;
    must(read_in_pieces(src, len, width, pieces, count) == ok);
    if (!ok)
        return;
    must(memcmp(at_once, pieces, count * sizeof *pieces) == 0);
    struct af_buf out;
    af_buf_init(&out, 1 << 24);
    af_rle_encode(at_once, count, width, &out);
    must(!out.failed && af_rle_open(&rle, (uint8_t *)out.ptr, out.len, width, NULL) == AF_OK);
    must(af_rle_read(&rle, pieces, count, NULL) == AF_OK);
    must(memcmp(at_once, pieces, count * sizeof *pieces) == 0);
    af_buf_done(&out);
}

static void fuzz_delta(const uint8_t *src, size_t len, unsigned bits, size_t count)
{
    static int64_t first[65536], second[65536];
    size_t used;
    if (af_delta_decode(src, len, bits, first, count, &used, NULL) != AF_OK)
        return;
    must(used <= len);
    struct af_buf out;
    af_buf_init(&out, 1 << 24);
    af_delta_encode(first, count, bits, &out);
    must(!out.failed && af_delta_decode((uint8_t *)out.ptr, out.len, bits, second, count, &used, NULL) == AF_OK);
    must(used == out.len && memcmp(first, second, count * sizeof *first) == 0);
    af_buf_done(&out);
}

static void fuzz_unpack(const uint8_t *src, size_t len, unsigned width, size_t count)
{
    static uint64_t wide[65536], twin[65536];
    static uint32_t msb[65536];
    must((af_bits_unpack_msb(src, len, width, msb, count, NULL) == AF_OK) == (width <= 32 && count * width <= len * 8));
    if (width > 64 || (count * width + 7) / 8 > len)
        return;
    af_bits_unpack64(src, len, width, wide, count);
    af_bits_unpack64_scalar(src, len, width, twin, count);
    must(memcmp(wide, twin, count * sizeof *wide) == 0);
}

static void fuzz_split(const uint8_t *src, size_t len, size_t width)
{
    if (width == 0 || width > 64)
        return;
    const size_t count = len / width;
    uint8_t *there = af_alloc(count * width);
    uint8_t *back = af_alloc(count * width);
    must(there != NULL && back != NULL);
    af_stream_split_decode(src, count, width, there);
    af_stream_split_encode(there, count, width, back);
    must(count == 0 || memcmp(src, back, count * width) == 0);
    af_free(there);
    af_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    const size_t count = (size_t)data[2] | (size_t)data[3] << 8;
    switch (data[0] % 5) {
    case 0: fuzz_rle(data + 4, size - 4, data[1], count); break;
    case 1: fuzz_delta(data + 4, size - 4, 64, count); break;
    case 2: fuzz_delta(data + 4, size - 4, 32, count); break;
    case 3: fuzz_unpack(data + 4, size - 4, data[1], count); break;
    default: fuzz_split(data + 4, size - 4, data[1]); break;
    }
    return 0;
}
