/* snappy_test.c - the decoder against the library: what it compresses comes back; damage is met as the library meets it. */
#include "base/alloc.h"
#include "base/prng.h"
#include "format/parquet/parquet_int.h"
#include "test/lib/test.h"

/* Bytes with matches of many lengths and distances. */
static void fill(struct af_prng *prng, uint8_t *bytes, size_t len, unsigned kind)
{
    for (size_t i = 0; i < len;) {
        size_t n = 1 + (size_t)af_prng_below(prng, kind == 0 ? 8 : 200);
        const size_t reach = kind == 2 ? 9 : 70000;
        size_t back = 1 + (size_t)af_prng_below(prng, i < reach ? i + 1 : reach);
        bool is_copy = back <= i && af_prng_below(prng, 2) == 0;
        for (; n > 0 && i < len; n--, i++)
            bytes[i] = is_copy ? bytes[i - back] : (uint8_t)af_prng_next(prng);
    }
}

AF_TEST(snappy_decodes_what_the_library_wrote)
{
    struct af_prng prng = { 11 };
    struct af_codec_ctx ctx = { 0 };
    struct af_error err = { 0 };
    struct af_buf block;
    af_buf_init(&block, 1 << 20);
    for (unsigned round = 0; round < 300; round++) {
        size_t len = (size_t)af_prng_below(&prng, round % 10 == 0 ? 200000 : 400);
        uint8_t *raw = af_alloc(len);
        uint8_t *back = af_alloc(len);
        AF_CHECK(raw != NULL && back != NULL);
        fill(&prng, raw, len, round % 3);
        af_buf_clear(&block);
        AF_CHECK_OK(af_compress(&ctx, AF_CODEC_SNAPPY, 0, af_slice_make(raw, len), &block, &err), err);
        AF_CHECK_OK(af_pq_snappy_decode(af_buf_slice(&block), back, len, &err), err);
        AF_CHECK(len == 0 || memcmp(raw, back, len) == 0);
        af_free(raw);
        af_free(back);
    }
    af_buf_done(&block);
    af_codec_ctx_done(&ctx);
}

AF_TEST(snappy_damage_is_met_as_by_the_library)
{
    enum { LEN = 700 };
    struct af_prng prng = { 12 };
    struct af_codec_ctx ctx = { 0 };
    struct af_error err = { 0 };
    struct af_buf block;
    uint8_t raw[LEN];
    unsigned refused = 0;
    af_buf_init(&block, 1 << 20);
    fill(&prng, raw, LEN, 0);
    AF_CHECK_OK(af_compress(&ctx, AF_CODEC_SNAPPY, 0, af_slice_make(raw, LEN), &block, &err), err);
    for (size_t at = 0; at < block.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t *copy = af_alloc(block.len); /* of its exact size: ASan sees an overrun */
            uint8_t *ours = af_alloc(LEN);
            uint8_t *theirs = af_alloc(LEN);
            AF_CHECK(copy != NULL && ours != NULL && theirs != NULL);
            memcpy(copy, block.ptr, block.len);
            copy[at] ^= (uint8_t)(1u << bit);
            enum af_status want = af_decompress(&ctx, AF_CODEC_SNAPPY, af_slice_make(copy, block.len), theirs, LEN, NULL);
            enum af_status got = af_pq_snappy_decode(af_slice_make(copy, block.len), ours, LEN, NULL);
            AF_CHECK_INT(got, want);
            AF_CHECK(want != AF_OK || memcmp(ours, theirs, LEN) == 0);
            refused += got != AF_OK;
            af_free(copy);
            af_free(ours);
            af_free(theirs);
        }
    }
    AF_CHECK(refused > 100);
    for (size_t len = 0; len < block.len; len++)
        AF_CHECK_FAILS(af_pq_snappy_decode(af_slice_make(block.ptr, len), raw, LEN, NULL), AF_ECORRUPT);
    af_buf_done(&block);
    af_codec_ctx_done(&ctx);
}
