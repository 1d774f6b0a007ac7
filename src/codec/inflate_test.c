/* inflate_test.c - the gzip stream against the library's encoder, in all levels and sizes, and what gzip's own tools write. */
#include "base/alloc.h"
#include "base/prng.h"
#include "codec/compress.h"
#include "codec/inflate.h"
#include "test/lib/test.h"

struct input {
    struct af_slice bytes;
    size_t step;
};

static enum af_status read_some(void *ctx, void *dst, size_t cap, size_t *out_len, struct af_error *err)
{
    struct input *in = ctx;
    (void)err;
    size_t len = in->bytes.len < in->step ? in->bytes.len : in->step;
    len = len < cap ? len : cap;
    memcpy(dst, in->bytes.ptr, len);
    in->bytes = af_slice_make(in->bytes.ptr + len, in->bytes.len - len);
    *out_len = len;
    return AF_OK;
}

static enum af_status append(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct af_buf *out = ctx;
    af_buf_append_slice(out, bytes);
    return af_buf_check(out, "a test", err);
}

static enum af_status unpack(struct af_slice packed, size_t step, struct af_buf *out, struct af_error *err)
{
    struct input in = { packed, step };
    af_buf_init(out, 64 << 20);
    return af_gunzip_stream(read_some, &in, append, out, err);
}

/* `kind` 0: noise, 1: a few letters, 2: far repeats, 3: zeros. */
static void make(struct af_buf *out, size_t len, int kind, uint64_t seed)
{
    struct af_prng prng = { seed };
    af_buf_init(out, 64 << 20);
    for (size_t i = 0; i < len; i++) {
        uint64_t r = af_prng_next(&prng);
        char c = kind == 0 ? (char)r : kind == 1 ? "abcdefgh"[r % 8] : kind == 2 &&
            i >= 32768 ? out->ptr[i - 32768] : kind == 3 ? 0 : (char)(r % 64);
        af_buf_append_char(out, c);
    }
}

AF_TEST(all_levels_and_sizes_come_out_as_they_went_in)
{
    static const size_t sizes[] = { 0, 1, 2, 257, 258, 259, 32767, 32768, 32769, 65535, 65536, 98304, 98305, 300000 };
    struct af_codec_ctx codec = { 0 };
    struct af_error err = { 0 };
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int kind = 0; kind < 4; kind++)
            for (int level = 1; level <= 12; level += level == 1 ? 5 : 6) {
                struct af_buf raw, packed, back;
                make(&raw, sizes[s], kind, s * 10 + (size_t)kind);
                af_buf_init(&packed, 64 << 20);
                AF_CHECK_OK(af_compress(&codec, AF_CODEC_GZIP, level, af_buf_slice(&raw), &packed, &err), err);
                AF_CHECK_OK(unpack(af_buf_slice(&packed), kind == 1 ? 13 : 1 << 20, &back, &err), err);
                AF_CHECK(af_slice_eq(af_buf_slice(&raw), af_buf_slice(&back)));
                af_buf_done(&raw);
                af_buf_done(&packed);
                af_buf_done(&back);
            }
    af_codec_ctx_done(&codec);
}

AF_TEST(members_follow_each_other_and_zeros_pad)
{
    struct af_codec_ctx codec = { 0 };
    struct af_error err = { 0 };
    struct af_buf packed, back;
    af_buf_init(&packed, 1 << 20);
    AF_CHECK_OK(af_compress(&codec, AF_CODEC_GZIP, 0, AF_SLICE_LIT("one "), &packed, &err), err);
    AF_CHECK_OK(af_compress(&codec, AF_CODEC_GZIP, 0, AF_SLICE_LIT(""), &packed, &err), err);
    AF_CHECK_OK(af_compress(&codec, AF_CODEC_GZIP, 0, AF_SLICE_LIT("two"), &packed, &err), err);
    af_buf_append(&packed, "\0\0\0", 3);
    AF_CHECK_OK(unpack(af_buf_slice(&packed), 5, &back, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&back), "one two");
    af_buf_done(&back);
    af_buf_append(&packed, "x", 1);
    AF_CHECK_FAILS(unpack(af_buf_slice(&packed), 5, &back, &err), AF_ECORRUPT);
    af_buf_done(&back);
    af_buf_done(&packed);
    af_codec_ctx_done(&codec);
}

/* `printf hello | gzip -n`, with a name, a comment, an extra field and a checksum of the header put in by hand. */
AF_TEST(a_header_with_everything_is_passed_over)
{
    static const uint8_t bytes[] = { 0x1f, 0x8b, 8, 0x1f, 0, 0, 0, 0, 0, 3, 3, 0, 'e', 'x', 't', 'n', 'a', 'm', 'e', 0, 'c', 0, 0x12, 0x34,
                                     0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0 };
    struct af_error err = { 0 };
    struct af_buf back;
    AF_CHECK_OK(unpack(af_slice_make(bytes, sizeof bytes), 1, &back, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&back), "hello");
    af_buf_done(&back);
}

AF_TEST(every_cut_and_every_flipped_byte_is_told)
{
    struct af_codec_ctx codec = { 0 };
    struct af_error err = { 0 };
    struct af_buf raw, packed, back;
    make(&raw, 3000, 1, 5);
    af_buf_init(&packed, 1 << 20);
    AF_CHECK_OK(af_compress(&codec, AF_CODEC_GZIP, 6, af_buf_slice(&raw), &packed, &err), err);
    for (size_t len = 0; len < packed.len; len++) {
        AF_CHECK_FAILS(unpack((struct af_slice){ packed.ptr, len }, 100, &back, &err), AF_ECORRUPT);
        af_buf_done(&back);
    }
    for (size_t i = 10; i < packed.len; i++) {
        packed.ptr[i] ^= 0x10;
        AF_CHECK_FAILS(unpack(af_buf_slice(&packed), 100, &back, &err), AF_ECORRUPT);
        af_buf_done(&back);
        packed.ptr[i] ^= 0x10;
    }
    af_buf_done(&raw);
    af_buf_done(&packed);
    af_codec_ctx_done(&codec);
}

static enum af_status refuse(void *ctx, struct af_slice bytes, struct af_error *err)
{
    (void)ctx, (void)bytes;
    return af_fail(err, AF_EFULL, "no room");
}

AF_TEST(failures_of_either_end_are_handed_on)
{
    struct af_codec_ctx codec = { 0 };
    struct af_error err = { 0 };
    struct af_buf packed, back;
    af_buf_init(&packed, 1 << 20);
    AF_CHECK_OK(af_compress(&codec, AF_CODEC_GZIP, 0, AF_SLICE_LIT("one "), &packed, &err), err);
    struct input in = { af_buf_slice(&packed), 100 };
    AF_CHECK_FAILS(af_gunzip_stream(read_some, &in, refuse, NULL, &err), AF_EFULL);
    (void)af_alloc_fail_nth(1);
    AF_CHECK_FAILS(unpack(af_buf_slice(&packed), 5, &back, &err), AF_ENOMEM);
    (void)af_alloc_fail_nth(0);
    af_buf_done(&back);
    af_buf_done(&packed);
    af_codec_ctx_done(&codec);
}
