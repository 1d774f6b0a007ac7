/* tombs_test.c - tombstone files of the four versions, cut and without memory. */
#include "base/alloc.h"
#include "codec/compress.h"
#include "format/tsm/tsm.h"
#include "test/lib/test.h"

static const struct af_tsm_tomb three[] = {
    { { "cpu,h=a#!~#v", 12 }, INT64_MIN, INT64_MAX },
    { { "cpu,h=b#!~#v", 12 }, -5, 5 },
    { { "x", 1 }, 0, 0 },
};

static void check_three(struct af_slice bytes, size_t count, bool is_whole)
{
    struct af_error err;
    struct af_arena arena;
    struct af_tsm_tomb *tombs;
    size_t got;
    af_arena_init(&arena, 1 << 20);
    AF_CHECK_OK(af_tsm_tombs_parse(bytes, "t", &arena, &tombs, &got, &err), err);
    AF_CHECK_INT(got, count);
    for (size_t i = 0; i < count; i++) {
        AF_CHECK(af_slice_eq(tombs[i].key, three[i % 3].key));
        AF_CHECK_INT(tombs[i].min_ns, is_whole ? INT64_MIN : three[i % 3].min_ns);
        AF_CHECK_INT(tombs[i].max_ns, is_whole ? INT64_MAX : three[i % 3].max_ns);
    }
    af_arena_done(&arena);
}

/* What is in the gzip members of a version 4 file. */
static void unpack(struct af_slice file, struct af_buf *out)
{
    struct af_error err;
    struct af_codec_ctx ctx = { 0 };
    AF_CHECK_OK(af_gunzip(&ctx, af_slice_make(file.ptr + 4, file.len - 4), out, &err), err);
    af_codec_ctx_done(&ctx);
}

AF_TEST(tsm_tombs_versions)
{
    struct af_error err;
    struct af_buf file, plain, second;
    af_buf_init(&file, 1 << 20);
    af_buf_init(&plain, 1 << 20);
    af_buf_init(&second, 1 << 20);
    AF_CHECK_OK(af_tsm_tombs_print(three, 3, &file, &err), err);
    AF_CHECK(memcmp(file.ptr, "\0\0\x15\4", 4) == 0);
    check_three(af_buf_slice(&file), 3, false);
    AF_CHECK_OK(af_tsm_tombs_print(three, 3, &second, &err), err);
    af_buf_append(&file, second.ptr + 4, second.len - 4); /* another member */
    check_three(af_buf_slice(&file), 6, false);
    file.ptr[3] = 3;
    check_three(af_buf_slice(&file), 6, false);
    af_buf_append(&plain, "\0\0\x15\2", 4);
    unpack(af_buf_slice(&second), &plain);
    check_three(af_buf_slice(&plain), 3, false);
    for (size_t cut = 0; cut <= plain.len - 4; cut++) /* a short record is the end */
        check_three(af_slice_make(plain.ptr, 4 + cut), cut < 32 ? 0 : cut < 64 ? 1 : cut < 85 ? 2 : 3, false);
    check_three(AF_SLICE_LIT("cpu,h=a#!~#v\n\ncpu,h=b#!~#v\r\nx"), 3, true);
    check_three(AF_SLICE_LIT("cpu,h=a#!~#v\ncpu,h=b#!~#v\nx\n"), 3, true);
    check_three(AF_SLICE_LIT(""), 0, true);
    check_three(AF_SLICE_LIT("\0\0\x15\4"), 0, true);
    af_buf_done(&file);
    af_buf_done(&plain);
    af_buf_done(&second);
}

AF_TEST(tsm_tombs_damaged)
{
    struct af_error err;
    struct af_arena arena;
    struct af_buf file;
    struct af_tsm_tomb *tombs;
    size_t count;
    af_buf_init(&file, 1 << 20);
    af_arena_init(&arena, 1 << 24);
    AF_CHECK_OK(af_tsm_tombs_print(three, 3, &file, &err), err);
    for (size_t len = 5; len < file.len; len++)
        AF_CHECK_FAILS(af_tsm_tombs_parse(af_slice_make(file.ptr, len), "t", &arena, &tombs, &count, &err), AF_ECORRUPT);
    file.ptr[file.len - 10] ^= 1;
    AF_CHECK_FAILS(af_tsm_tombs_parse(af_buf_slice(&file), "t", &arena, &tombs, &count, &err), AF_ECORRUPT);
    file.ptr[3] = 9;
    AF_CHECK_FAILS(af_tsm_tombs_parse(af_buf_slice(&file), "t", &arena, &tombs, &count, &err), AF_EUNSUPPORTED);
    af_arena_done(&arena);
    af_buf_done(&file);
}

AF_TEST(tsm_tombs_without_memory)
{
    struct af_error err;
    enum af_status status;
    size_t nth = 0;
    do {
        struct af_buf file;
        struct af_arena arena;
        struct af_tsm_tomb *tombs;
        size_t count;
        af_buf_init(&file, 1 << 20);
        af_arena_init(&arena, 1 << 20);
        af_alloc_fail_nth(++nth);
        status = af_tsm_tombs_print(three, 3, &file, &err);
        if (status == AF_OK)
            status = af_tsm_tombs_parse(af_buf_slice(&file), "t", &arena, &tombs, &count, &err);
        else
            AF_CHECK_INT(file.len, 0);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        af_arena_done(&arena);
        af_buf_done(&file);
    } while (status != AF_OK);
    AF_CHECK(nth > 3);
}
