/*
 * block_values.c - the value part of a block, by type.
 *
 *     integers  scheme 2 RLE       20 | z[0] 8 | z[1] uvarint | n - 1 uvarint    three or more values, z[1], z[2], ... equal
 *               scheme 1 simple8b  10 | z[0] 8 | words of z[1], z[2], ...        those below 2^60
 *               scheme 0 raw       00 | z[0] 8 | z[1] 8 | ...                    otherwise
 *     floats    10 | stream of codec/gorilla.h
 *     booleans  10 | n uvarint | bits, most significant first, zero bits to a whole byte
 *     strings   10 | one snappy block of: length uvarint, bytes; length, bytes; ...
 *
 * z[0] is the zigzag form of the first value, z[i] of the difference to the one before (which wraps around). Unsigned integers are
 * written as the signed ones with the same bits.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "codec/bits.h"
#include "codec/compress.h"
#include "codec/gorilla.h"
#include "codec/simple8b.h"
#include "format/tsm/block_int.h"
#include <assert.h>

enum {
    HEAD_BYTES = 9,
    LENGTH_BYTES_MAX = 5,  /* uvarint of an int32 */
    SNAPPY_RATIO_MAX = 22, /* a copy of 64 bytes takes 3 */
    PIECE = 16,            /* bytes of text that are moved at once */
};

/* --- integers ------------------------------------------------------------------------------------------------------------- */

static inline uint64_t zigzag(uint64_t v)
{
    return v << 1 ^ (uint64_t)((int64_t)v >> 63);
}

static inline uint64_t unzigzag(uint64_t z)
{
    return z >> 1 ^ (0 - (z & 1));
}

static size_t encode_int_rle(const uint64_t *z, size_t count, uint8_t *dst)
{
    uint8_t *at = dst + HEAD_BYTES;
    dst[0] = AF_TSM_RLE << 4;
    af_tsm_store_be(dst + 1, z[0]);
    at += af_tsm_put_uvarint(at, z[1]);
    at += af_tsm_put_uvarint(at, count - 1);
    return (size_t)(at - dst);
}

static size_t encode_int_raw(const uint64_t *z, size_t count, uint8_t *dst)
{
    dst[0] = AF_TSM_RAW << 4;
    for (size_t i = 0; i < count; i++)
        af_tsm_store_be(dst + 1 + i * 8, z[i]);
    return 1 + count * 8;
}

size_t af_tsm_ints_encode(const uint64_t *src, size_t count, uint64_t *scratch, uint8_t *dst)
{
    assert(count > 0);
    const uint64_t first = count > 1 ? zigzag(src[1] - src[0]) : 0;
    uint64_t all = 0;
    uint64_t differ = 0;
    scratch[0] = zigzag(src[0]);
    for (size_t i = 1; i < count; i++) {
        const uint64_t z = zigzag(src[i] - src[i - 1]);
        scratch[i] = z;
        all |= z;
        differ |= z ^ first;
    }
    if (count > 2 && differ == 0)
        return encode_int_rle(scratch, count, dst);
    if (all > AF_SIMPLE8B_VALUE_MAX)
        return encode_int_raw(scratch, count, dst);
    dst[0] = AF_TSM_SIMPLE8B << 4;
    af_tsm_store_be(dst + 1, scratch[0]);
    return HEAD_BYTES + af_simple8b_encode(scratch + 1, count - 1, dst + HEAD_BYTES);
}

static bool decode_int_rle(struct af_slice part, size_t count, uint64_t *dst)
{
    const uint8_t *at = (const uint8_t *)part.ptr + HEAD_BYTES;
    const uint8_t *end = (const uint8_t *)part.ptr + part.len;
    uint64_t step, repeats;
    if (!af_uvarint_read(&at, end, &step) || !af_uvarint_read(&at, end, &repeats) || at != end || repeats != count - 1)
        return false;
    const uint64_t first = unzigzag(af_tsm_load_be(part.ptr + 1));
    af_tsm_fill_run(first, unzigzag(step), dst, count);
    return true;
}

static bool decode_int_raw(struct af_slice part, size_t count, uint64_t *dst)
{
    if ((part.len - 1) / 8 != count || part.len % 8 != 1)
        return false;
    for (size_t i = 0; i < count; i++)
        dst[i] = af_tsm_load_be(part.ptr + 1 + i * 8);
    af_tsm_sum_ints(0, dst, count);
    return true;
}

static bool decode_int_words(struct af_slice part, size_t count, uint64_t *dst)
{
    const uint8_t *words = (const uint8_t *)part.ptr + HEAD_BYTES;
    const size_t word_count = part.len / 8 - 1;
    if (part.len % 8 != 1 || af_simple8b_count(words, word_count) != count - 1)
        return false;
    dst[0] = unzigzag(af_tsm_load_be(part.ptr + 1));
    af_simple8b_decode(words, word_count, dst + 1);
    af_tsm_sum_ints(dst[0], dst + 1, count - 1);
    return true;
}

enum af_status af_tsm_ints_decode(struct af_slice part, size_t count, uint64_t *dst, struct af_error *err)
{
    const unsigned scheme = part.len < HEAD_BYTES ? 15 : (uint8_t)part.ptr[0];
    bool ok = false;
    if (scheme == AF_TSM_RLE << 4)
        ok = decode_int_rle(part, count, dst);
    else if (scheme == AF_TSM_SIMPLE8B << 4)
        ok = decode_int_words(part, count, dst);
    else if (scheme == AF_TSM_RAW << 4)
        ok = decode_int_raw(part, count, dst);
    return ok ? AF_OK : af_fail(err, AF_ECORRUPT, "integers: %zu bytes do not hold the block's %zu values", part.len, count);
}

static enum af_status encode_ints(const uint64_t *src, size_t count, uint64_t *scratch, struct af_buf *out, struct af_error *err)
{
    uint8_t *at = (uint8_t *)af_buf_reserve(out, af_tsm_part_bytes_max(count));
    if (at == NULL)
        return af_buf_check(out, "a block of integers", err);
    out->len += af_tsm_ints_encode(src, count, scratch, at);
    return AF_OK;
}

/* --- floats --------------------------------------------------------------------------------------------------------------- */

static enum af_status encode_floats(const double *src, size_t count, struct af_buf *out, struct af_error *err)
{
    uint8_t *at = (uint8_t *)af_buf_reserve(out, 1 + af_gorilla_bytes_max(count));
    if (at == NULL)
        return af_buf_check(out, "a block of floats", err);
    at[0] = AF_TSM_GORILLA << 4;
    const size_t len = af_gorilla_encode(src, count, at + 1);
    if (len == 0)
        return af_fail(err, AF_EINVAL, "a float that is not finite cannot be stored");
    out->len += 1 + len;
    return AF_OK;
}

/* --- booleans ------------------------------------------------------------------------------------------------------------- */

/* The bits of each byte in the other order. */
static inline uint64_t mirror(uint64_t v)
{
    v = (v >> 1 & UINT64_C(0x5555555555555555)) | (v & UINT64_C(0x5555555555555555)) << 1;
    v = (v >> 2 & UINT64_C(0x3333333333333333)) | (v & UINT64_C(0x3333333333333333)) << 2;
    return (v >> 4 & UINT64_C(0x0F0F0F0F0F0F0F0F)) | (v & UINT64_C(0x0F0F0F0F0F0F0F0F)) << 4;
}

/* Up to 64 bits from bit `at` on; those past `end` are 0. */
static uint64_t bits_from(const uint64_t *bits, size_t at, size_t end)
{
    uint64_t v = bits[at / 64] >> (at % 64);
    if (at % 64 != 0 && (at / 64 + 1) * 64 < end)
        v |= bits[at / 64 + 1] << (64 - at % 64);
    return end - at < 64 ? v & (UINT64_MAX >> (64 - (end - at))) : v;
}

static enum af_status encode_bools(const uint64_t *bits, size_t first, size_t count, struct af_buf *out, struct af_error *err)
{
    uint8_t *dst = (uint8_t *)af_buf_reserve(out, count / 8 + AF_TSM_PART_HEAD_MAX);
    if (dst == NULL)
        return af_buf_check(out, "a block of booleans", err);
    dst[0] = AF_TSM_BITS << 4;
    const size_t head = 1 + af_tsm_put_uvarint(dst + 1, count);
    for (size_t i = 0; i < count; i += 64) {
        const uint64_t word = mirror(bits_from(bits, first + i, first + count));
        memcpy(dst + head + i / 8, &word, sizeof word);
    }
    out->len += head + (count + 7) / 8;
    return AF_OK;
}

static enum af_status decode_bools(struct af_slice part, size_t count, uint64_t *dst, struct af_error *err)
{
    const uint8_t *at = (const uint8_t *)part.ptr + 1;
    const uint8_t *end = (const uint8_t *)part.ptr + part.len;
    uint64_t said = 0;
    if (part.len < 2 || part.ptr[0] != AF_TSM_BITS << 4 || !af_uvarint_read(&at, end, &said) || said != count ||
        (size_t)(end - at) != (count + 7) / 8)
        return af_fail(err, AF_ECORRUPT, "booleans: %zu bytes do not hold the block's %zu values", part.len, count);
    memcpy(dst, at, (count + 7) / 8);
    for (size_t i = 0; i < af_bit_words(count); i++)
        dst[i] = mirror(dst[i]);
    if (count % 64 != 0)
        dst[count / 64] &= UINT64_MAX >> (64 - count % 64);
    return AF_OK;
}

/* --- strings -------------------------------------------------------------------------------------------------------------- */

/* Length and text of each. */
static enum af_status join_strings(const int32_t *offsets, size_t count, const char *bytes, struct af_buf *out, struct af_error *err)
{
    const size_t text_len = (size_t)(offsets[count] - offsets[0]);
    uint8_t *at = (uint8_t *)af_buf_reserve(out, text_len + count * LENGTH_BYTES_MAX);
    if (at == NULL)
        return af_buf_check(out, "the strings of a block", err);
    for (size_t i = 0; i < count; i++) {
        const size_t len = (size_t)(offsets[i + 1] - offsets[i]);
        at += af_tsm_put_uvarint(at, len);
        if (len > 0)
            memcpy(at, bytes + offsets[i], len);
        at += len;
    }
    out->len = (size_t)((char *)at - out->ptr);
    return AF_OK;
}

static enum af_status encode_strings(const struct af_column *column, size_t first, size_t count, struct af_buf *out,
                                     struct af_error *err)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_buf plain;
    af_buf_init(&plain, AF_TSM_BLOCK_BYTES_MAX);
    enum af_status status = join_strings(column->offsets + first, count, column->bytes, &plain, err);
    af_buf_append_char(out, AF_TSM_SNAPPY << 4);
    if (status == AF_OK)
        status = af_compress(&ctx, AF_CODEC_SNAPPY, 0, af_buf_slice(&plain), out, err);
    af_buf_done(&plain);
    af_codec_ctx_done(&ctx);
    return status;
}

/* To a lower place, `gap` bytes before. Once the gap is a whole piece, whole pieces are moved, past the end of the text: what they write
 * over there was read before. `bytes` are readable and writable for a piece past their end (af_arena_array). */
static inline void move_down(char *at, size_t gap, size_t len)
{
    if (gap < PIECE || len > 4 * PIECE) {
        memmove(at - gap, at, len);
        return;
    }
    for (size_t i = 0; i < len; i += PIECE)
        memcpy(at + i - gap, at + i, PIECE);
}

/* Text behind text, without the lengths, in place: what is written never passes what is read. */
static bool split_strings(char *bytes, size_t len, size_t count, int32_t *offsets)
{
    const uint8_t *at = (const uint8_t *)bytes;
    const uint8_t *end = at + len;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t size = at < end && *at < 0x80 ? *at++ : UINT64_MAX;
        offsets[i] = (int32_t)used;
        if ((size == UINT64_MAX && !af_uvarint_read(&at, end, &size)) || size > (size_t)(end - at))
            return false;
        const size_t from = (size_t)((const char *)at - bytes);
        move_down(bytes + from, from - used, (size_t)size);
        used += (size_t)size;
        at += size;
    }
    offsets[count] = (int32_t)used;
    return at == end;
}

/* The size the snappy block says it has when uncompressed, if so many bytes can come out of it. */
static bool plain_size(struct af_slice packed, size_t count, size_t *out)
{
    const uint8_t *at = (const uint8_t *)packed.ptr;
    uint64_t size;
    if (!af_uvarint_read(&at, at + packed.len, &size))
        return false;
    *out = (size_t)size;
    return size <= AF_TSM_BLOCK_BYTES_MAX && size >= count && size / SNAPPY_RATIO_MAX <= packed.len;
}

static enum af_status decode_strings(struct af_slice part, size_t count, struct af_arena *arena, struct af_column *out,
                                     struct af_error *err)
{
    struct af_codec_ctx ctx = { 0 };
    const struct af_slice packed = { part.ptr + 1, part.len > 0 ? part.len - 1 : 0 };
    size_t size = 0;
    if (part.len < 2 || part.ptr[0] != AF_TSM_SNAPPY << 4 || !plain_size(packed, count, &size))
        return af_fail(err, AF_ECORRUPT, "strings: %zu bytes do not hold the block's %zu values", part.len, count);
    char *bytes = af_arena_array(arena, size, 1);
    int32_t *offsets = af_arena_array(arena, count + 1, sizeof *offsets);
    if (bytes == NULL || offsets == NULL)
        return af_arena_fail(arena, size, "the strings of a block", err);
    AF_TRY(af_decompress(&ctx, AF_CODEC_SNAPPY, packed, bytes, size, err));
    af_codec_ctx_done(&ctx);
    if (!split_strings(bytes, size, count, offsets))
        return af_fail(err, AF_ECORRUPT, "strings: their lengths do not make %zu strings of %zu bytes", count, size);
    out->offsets = offsets;
    out->bytes = bytes;
    return AF_OK;
}

/* --- any type ------------------------------------------------------------------------------------------------------------- */

enum af_status af_tsm_values_encode(const struct af_column *column, size_t first, size_t count, uint64_t *scratch,
                                    struct af_buf *out, struct af_error *err)
{
    switch (column->type) {
    case AF_TYPE_F64:
        return encode_floats(column->f64 + first, count, out, err);
    case AF_TYPE_I64:
    case AF_TYPE_U64:
        return encode_ints(column->u64 + first, count, scratch, out, err);
    case AF_TYPE_BOOL:
        return encode_bools(column->bits, first, count, out, err);
    case AF_TYPE_STRING:
        return encode_strings(column, first, count, out, err);
    default:
        return af_fail(err, AF_EINVAL, "a field of type %s cannot be stored", af_type_name(column->type));
    }
}

static enum af_status check_floats(struct af_slice part, struct af_error *err)
{
    if (part.len < 1 || part.ptr[0] != AF_TSM_GORILLA << 4)
        return af_fail(err, AF_ECORRUPT, "floats: the encoding of %zu bytes is not known", part.len);
    return AF_OK;
}

enum af_status af_tsm_floats_head(struct af_slice part, size_t rows, struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    double *dst = af_arena_array(arena, rows, sizeof *dst);
    if (dst == NULL)
        return af_arena_fail(arena, rows * sizeof *dst, "the values of a block", err);
    AF_TRY(check_floats(part, err));
    *out = (struct af_column){ .type = AF_TYPE_F64, .f64 = dst };
    return af_gorilla_decode_head((const uint8_t *)part.ptr + 1, part.len - 1, dst, rows, err);
}

enum af_status af_tsm_values_decode(struct af_slice part, enum af_type type, size_t count, struct af_arena *arena,
                                    struct af_column *out, struct af_error *err)
{
    *out = (struct af_column){ .type = type };
    if (type == AF_TYPE_STRING)
        return decode_strings(part, count, arena, out, err);
    const size_t numbers = type == AF_TYPE_BOOL ? af_bit_words(count) : count;
    uint64_t *dst = af_arena_array(arena, numbers, sizeof *dst);
    if (dst == NULL)
        return af_arena_fail(arena, numbers * sizeof *dst, "the values of a block", err);
    out->values = dst;
    if (type == AF_TYPE_BOOL)
        return decode_bools(part, count, dst, err);
    if (type != AF_TYPE_F64)
        return af_tsm_ints_decode(part, count, dst, err);
    AF_TRY(check_floats(part, err));
    return af_gorilla_decode((const uint8_t *)part.ptr + 1, part.len - 1, (double *)(void *)dst, count, err);
}
