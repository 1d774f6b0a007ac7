/* gunzip_test.c - gzip bodies whose size nobody knows: members, headers, damage, bombs. */
#include "base/alloc.h"
#include "base/prng.h"
#include "codec/codec_int.h"
#include "test/lib/test.h"

static void add_member(struct af_buf *out, struct af_slice plain)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_error err;
    AF_CHECK_OK(af_compress(&ctx, AF_CODEC_GZIP, 6, plain, out, &err), err);
    af_codec_ctx_done(&ctx);
}

static enum af_status gunzip(struct af_slice packed, struct af_buf *out, struct af_error *err)
{
    struct af_codec_ctx ctx = { 0 };
    enum af_status status = af_gunzip(&ctx, packed, out, err);
    af_codec_ctx_done(&ctx);
    return status;
}

AF_TEST(gunzip_members)
{
    struct af_prng prng = { 5 };
    static char plain[100000];
    for (int round = 0; round < 40; round++) {
        struct af_buf packed, want, got;
        struct af_error err;
        af_buf_init(&packed, 1 << 24);
        af_buf_init(&want, 1 << 24);
        af_buf_init(&got, 1 << 24);
        af_buf_append_str(&got, "before");
        af_buf_append_str(&want, "before");
        for (uint64_t members = 1 + af_prng_below(&prng, 4); members > 0; members--) {
            size_t len = (size_t)af_prng_below(&prng, round % 4 == 0 ? 3 : sizeof plain);
            uint64_t kinds = 1 + af_prng_below(&prng, 255);
            for (size_t i = 0; i < len; i++)
                plain[i] = (char)af_prng_below(&prng, kinds);
            add_member(&packed, af_slice_make(plain, len));
            af_buf_append(&want, plain, len);
        }
        if (round % 3 == 0)
            af_buf_append(&packed, "\0\0\0", 3); /* padding */
        AF_CHECK_OK(gunzip(af_buf_slice(&packed), &got, &err), err);
        AF_CHECK(af_slice_eq(af_buf_slice(&got), af_buf_slice(&want)));
        af_buf_done(&packed);
        af_buf_done(&want);
        af_buf_done(&got);
    }
}

AF_TEST(gunzip_headers)
{
    struct af_buf packed, odd, got;
    struct af_error err;
    af_buf_init(&packed, 1 << 20);
    af_buf_init(&odd, 1 << 20);
    af_buf_init(&got, 1 << 20);
    add_member(&packed, AF_SLICE_LIT("hello"));
    af_buf_append(&odd, "\x1f\x8b\x08\x1c\0\0\0\0\0\xff\x03\0xyzname\0comment\0", 10 + 2 + 3 + 5 + 8); /* extra, name, comment */
    af_buf_append(&odd, packed.ptr + 10, packed.len - 10);
    AF_CHECK_OK(gunzip(af_buf_slice(&odd), &got, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&got), "hello");
    odd.ptr[odd.len - 8] ^= 1; /* its checksum */
    AF_CHECK_FAILS(gunzip(af_buf_slice(&odd), &got, &err), AF_ECORRUPT);
    AF_CHECK_STR(err.message, "gzip: invalid checksum");
    af_buf_rewind(&odd, 19); /* within the name */
    AF_CHECK_FAILS(gunzip(af_buf_slice(&odd), &got, &err), AF_ECORRUPT);
    AF_CHECK_STR(err.message, "unexpected EOF");
    AF_CHECK_SLICE(af_buf_slice(&got), "hello"); /* as it was */
    af_buf_done(&packed);
    af_buf_done(&odd);
    af_buf_done(&got);
}

AF_TEST(gunzip_damage)
{
    static const char text[] = "some text, some text, some more text";
    struct af_buf packed, got;
    struct af_error err;
    af_buf_init(&packed, 1 << 20);
    af_buf_init(&got, 1 << 20);
    add_member(&packed, af_slice_of(text));
    for (size_t len = 0; len < packed.len; len++) {
        struct af_slice cut = { packed.ptr, len };
        AF_CHECK_FAILS(gunzip(cut, &got, &err), AF_ECORRUPT);
        AF_CHECK_STR(err.message, len < 2 ? "gzip: invalid header" : "unexpected EOF");
        AF_CHECK_INT(got.len, 0);
    }
    for (size_t i = 0; i < packed.len; i++) { /* every byte that counts: not the time, the hints and the system of the header */
        if (i >= 4 && i < 10)
            continue;
        packed.ptr[i] ^= 0x10;
        enum af_status status = gunzip(af_buf_slice(&packed), &got, &err);
        bool is_harmless = status == AF_OK && af_slice_is(af_buf_slice(&got), text); /* bits behind the last code */
        if (status != AF_ECORRUPT && !is_harmless)
            af_test_failed(__FILE__, __LINE__, "byte %zu of %zu: %s", i, packed.len, af_status_name(status));
        packed.ptr[i] ^= 0x10;
        af_buf_clear(&got);
    }
    AF_CHECK_FAILS(gunzip(AF_SLICE_LIT("m f=1"), &got, &err), AF_ECORRUPT);
    AF_CHECK_STR(err.message, "gzip: invalid header");
    af_buf_append_str(&packed, "m f=1"); /* behind a good member */
    AF_CHECK_FAILS(gunzip(af_buf_slice(&packed), &got, &err), AF_ECORRUPT);
    AF_CHECK_INT(got.len, 0);
    af_buf_done(&packed);
    af_buf_done(&got);
}

/* What comes out is bounded by the receiver, and so is the memory for it, whatever the trailer says. */
AF_TEST(gunzip_bombs)
{
    static const char trailers[][4] = { { 0 }, { 1, 0, 0, 0 }, { 0, 0, 16, 0 }, { '\xff', '\xff', '\xff', '\x7f' }, { '\xff', '\xff',
        '\xff', '\xff' } };
    struct af_buf packed, got, zeros;
    struct af_error err;
    af_buf_init(&packed, 1 << 24);
    af_buf_init(&zeros, 1 << 24);
    AF_CHECK(af_buf_reserve(&zeros, 10000000) != NULL);
    memset(zeros.ptr, 0, 10000000);
    zeros.len = 10000000;
    add_member(&packed, af_buf_slice(&zeros));
    for (size_t i = 0; i < sizeof trailers / sizeof trailers[0]; i++) {
        memcpy(packed.ptr + packed.len - 4, trailers[i], 4);
        af_buf_init(&got, 9999999);
        AF_CHECK_FAILS(gunzip(af_buf_slice(&packed), &got, &err), AF_ELIMIT);
        AF_CHECK_INT(got.len, 0);
        AF_CHECK(got.cap <= 9999999);
        af_buf_done(&got);
    }
    memcpy(packed.ptr + packed.len - 4, "\x80\x96\x98\0", 4); /* the truth */
    af_buf_init(&got, 10000000);
    AF_CHECK_OK(gunzip(af_buf_slice(&packed), &got, &err), err);
    AF_CHECK_INT(got.len, 10000000);
    af_buf_done(&got);
    af_buf_done(&packed);
    af_buf_done(&zeros);
}

AF_TEST(gunzip_without_memory)
{
    struct af_buf packed;
    af_buf_init(&packed, 1 << 20);
    add_member(&packed, AF_SLICE_LIT("hello"));
    for (size_t nth = 1;; nth++) {
        struct af_buf got;
        struct af_error err = { 0 };
        af_buf_init(&got, 1 << 20);
        (void)af_alloc_fail_nth(nth);
        enum af_status status = gunzip(af_buf_slice(&packed), &got, &err);
        (void)af_alloc_fail_nth(0);
        af_buf_done(&got);
        if (status == AF_OK)
            break;
        AF_CHECK_INT(status, AF_ENOMEM);
    }
    af_buf_done(&packed);
}
