/* compress_test.c - every codec there and back, and every way to lie about a size. */
#include "base/alloc.h"
#include "base/prng.h"
#include "codec/codec_int.h"
#include "test/lib/test.h"

static const enum af_codec all[] = { AF_CODEC_NONE, AF_CODEC_SNAPPY, AF_CODEC_GZIP, AF_CODEC_BROTLI,
                                     AF_CODEC_ZSTD, AF_CODEC_LZ4,    AF_CODEC_LZ4_HADOOP };
enum { CODECS = sizeof all / sizeof *all };

static size_t make_bytes(struct af_prng *prng, char *dst, size_t max)
{
    size_t len = (size_t)af_prng_below(prng, max);
    uint64_t kinds = 1 + af_prng_below(prng, 255);
    for (size_t i = 0; i < len; i++)
        dst[i] = (char)af_prng_below(prng, kinds);
    return len;
}

AF_TEST(codecs_round_trip)
{
    struct af_prng prng = { 7 };
    struct af_codec_ctx ctx = { 0 };
    struct af_error err;
    static char raw[20000], back[20000];
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    for (int round = 0; round < 60; round++) {
        size_t len = round == 0 ? 0 : make_bytes(&prng, raw, sizeof raw);
        for (size_t c = 0; c < CODECS; c++) {
            af_buf_clear(&out);
            af_buf_append_str(&out, "before");
            AF_CHECK_OK(af_compress(&ctx, all[c], round % 4, af_slice_make(raw, len), &out, &err), err);
            AF_CHECK(memcmp(out.ptr, "before", 6) == 0);
            struct af_slice packed = { out.ptr + 6, out.len - 6 };
            memset(back, 1, sizeof back);
            AF_CHECK_OK(af_decompress(&ctx, all[c], packed, back, len, &err), err);
            AF_CHECK(memcmp(raw, back, len) == 0);
            AF_CHECK_FAILS(af_decompress(&ctx, all[c], packed, back, len + 1, &err), AF_ECORRUPT);
            if (len > 0)
                AF_CHECK_FAILS(af_decompress(&ctx, all[c], packed, back, len - 1, &err), AF_ECORRUPT);
            if (packed.len > 0 && len > 0) {
                packed.len--;
                AF_CHECK_FAILS(af_decompress(&ctx, all[c], packed, back, len, &err), AF_ECORRUPT);
            }
        }
    }
    af_buf_done(&out);
    af_codec_ctx_done(&ctx);
    af_codec_ctx_done(&ctx);
}

AF_TEST(names_and_unknown_codecs)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_error err;
    struct af_buf out;
    af_buf_init(&out, 100);
    AF_CHECK_STR(af_codec_name(AF_CODEC_ZSTD), "ZSTD");
    AF_CHECK_STR(af_codec_name((enum af_codec)77), "?");
    AF_CHECK_FAILS(af_decompress(&ctx, (enum af_codec)77, AF_SLICE_LIT(""), NULL, 0, &err), AF_EBUG);
    AF_CHECK_FAILS(af_compress(&ctx, (enum af_codec)77, 0, AF_SLICE_LIT(""), &out, &err), AF_EBUG);
}

static const char lots[] = "the same words again and again, the same words again and again, the same words again and again";

/* Two pieces compressed apart and put one behind the other. */
static void concatenated(enum af_codec codec, enum af_status want)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_error err;
    char back[2 * sizeof lots];
    struct af_buf out;
    af_buf_init(&out, 1 << 16);
    for (int i = 0; i < 2; i++)
        AF_CHECK_OK(af_compress(&ctx, codec, 0, af_slice_make(lots, sizeof lots), &out, &err), err);
    AF_CHECK_FAILS(af_decompress(&ctx, codec, af_buf_slice(&out), back, sizeof back, &err), want);
    if (want == AF_OK)
        AF_CHECK(memcmp(back, lots, sizeof lots) == 0 && memcmp(back + sizeof lots, lots, sizeof lots) == 0);
    af_buf_done(&out);
    af_codec_ctx_done(&ctx);
}

AF_TEST(concatenated_members)
{
    concatenated(AF_CODEC_GZIP, AF_OK);
    concatenated(AF_CODEC_ZSTD, AF_OK);
    concatenated(AF_CODEC_LZ4_HADOOP, AF_OK);
    concatenated(AF_CODEC_SNAPPY, AF_ECORRUPT);
}

AF_TEST(gzip_padding_zlib_and_garbage)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_error err;
    char back[16];
    struct af_buf out;
    af_buf_init(&out, 1 << 16);
    AF_CHECK_OK(af_compress(&ctx, AF_CODEC_GZIP, 12, AF_SLICE_LIT("hello"), &out, &err), err);
    AF_CHECK_OK(af_compress(&ctx, AF_CODEC_GZIP, 1, AF_SLICE_LIT(""), &out, &err), err);
    af_buf_append(&out, "\0\0\0", 3);
    AF_CHECK_OK(af_decompress(&ctx, AF_CODEC_GZIP, af_buf_slice(&out), back, 5, &err), err);
    AF_CHECK(memcmp(back, "hello", 5) == 0);
    af_buf_append_str(&out, "x");
    AF_CHECK_FAILS(af_decompress(&ctx, AF_CODEC_GZIP, af_buf_slice(&out), back, 5, &err), AF_ECORRUPT);
    const char zlib[] = "\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15"; /* zlib.compress(b"hello") */
    AF_CHECK_OK(af_decompress(&ctx, AF_CODEC_GZIP, af_slice_make(zlib, 13), back, 5, &err), err);
    AF_CHECK(memcmp(back, "hello", 5) == 0);
    AF_CHECK_FAILS(af_decompress(&ctx, AF_CODEC_GZIP, af_slice_make(zlib, 12), back, 5, &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_decompress(&ctx, AF_CODEC_GZIP, AF_SLICE_LIT(""), back, 0, &err), AF_ECORRUPT);
    af_buf_done(&out);
    af_codec_ctx_done(&ctx);
}

AF_TEST(zstd_without_content_size)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_error err;
    char back[8];
    /* magic, descriptor without content size (window 1 KiB), one last raw block of 5 bytes */
    const char frame[] = "\x28\xb5\x2f\xfd\x00\x00\x29\x00\x00hello";
    AF_CHECK_OK(af_decompress(&ctx, AF_CODEC_ZSTD, af_slice_make(frame, 14), back, 5, &err), err);
    AF_CHECK(memcmp(back, "hello", 5) == 0);
    /* a frame of nothing, where nothing is promised */
    const char empty[] = "\x28\xb5\x2f\xfd\x00\x00\x01\x00\x00";
    AF_CHECK_OK(af_decompress(&ctx, AF_CODEC_ZSTD, af_slice_make(empty, 9), NULL, 0, &err), err);
    af_codec_ctx_done(&ctx);
}

AF_TEST(lz4_hadoop_shapes)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_error err;
    char back[16];
    /* one frame with two inner blocks of literals */
    const char two[] = "\0\0\0\x05\0\0\0\x04\x30" "hel" "\0\0\0\x03\x20" "lo";
    AF_CHECK_OK(af_decompress(&ctx, AF_CODEC_LZ4_HADOOP, af_slice_make(two, 19), back, 5, &err), err);
    AF_CHECK(memcmp(back, "hello", 5) == 0);
    /* no framing at all */
    AF_CHECK_OK(af_decompress(&ctx, AF_CODEC_LZ4_HADOOP, AF_SLICE_LIT("\x50hello"), back, 5, &err), err);
    AF_CHECK(memcmp(back, "hello", 5) == 0);
    AF_CHECK_FAILS(af_decompress(&ctx, AF_CODEC_LZ4_HADOOP, af_slice_make(two, 18), back, 5, &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_decompress(&ctx, AF_CODEC_LZ4, AF_SLICE_LIT("\x50hell"), back, 5, &err), AF_ECORRUPT);
}

AF_TEST(compress_keeps_out_as_it_was_on_failure)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_error err;
    for (size_t c = 0; c < CODECS; c++) {
        struct af_buf out;
        af_buf_init(&out, 16);
        af_buf_append_str(&out, "kept");
        AF_CHECK(af_compress(&ctx, all[c], 0, af_slice_make(lots, sizeof lots), &out, &err) != AF_OK);
        AF_CHECK_SLICE(af_buf_slice(&out), "kept");
        AF_CHECK(!out.failed);
        af_buf_done(&out);
        af_buf_init(&out, 1 << 20);
        af_alloc_fail_nth(1);
        AF_CHECK_FAILS(af_compress(&ctx, all[c], 0, af_slice_make(lots, sizeof lots), &out, &err), AF_ENOMEM);
        af_alloc_fail_nth(0);
        af_buf_done(&out);
    }
    af_codec_ctx_done(&ctx);
}

AF_TEST(crc32_known)
{
    AF_CHECK_INT(af_crc32(0, "123456789", 9), 0xcbf43926);
    AF_CHECK_INT(af_crc32(af_crc32(0, "12345", 5), "6789", 4), 0xcbf43926);
    AF_CHECK_INT(af_crc32(5, NULL, 0), 5);
}
