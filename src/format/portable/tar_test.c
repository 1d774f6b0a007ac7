/* tar_test.c - archives written and read, in pieces, from other writers, and damaged. */
#include "base/alloc.h"
#include "format/portable/portable.h"
#include "test/lib/test.h"
#include <stdio.h>

enum { BLOCK = 512 };

/* What was read, as text: "name:bytes:content\n" for each member. */
struct seen {
    struct af_buf text;
};

static enum af_status on_member(void *ctx, const char *name, uint64_t bytes, struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    af_buf_printf(&seen->text, "%s%s:%llu:", seen->text.len != 0 ? "\n" : "", name, (unsigned long long)bytes);
    return AF_OK;
}

static enum af_status on_data(void *ctx, struct af_slice bytes, struct af_error *err)
{
    (void)err;
    af_buf_append_slice(&((struct seen *)ctx)->text, bytes);
    return AF_OK;
}

/* Fed in pieces of `step` bytes. */
static enum af_status read_in(struct af_slice tar, size_t step, struct seen *seen, struct af_error *err)
{
    struct af_tar_reader reader;
    af_tar_reader_init(&reader);
    reader.member = on_member;
    reader.data = on_data;
    reader.ctx = seen;
    af_buf_init(&seen->text, 16 << 20);
    enum af_status status = AF_OK;
    for (size_t at = 0; at < tar.len && status == AF_OK; at += step)
        status = af_tar_feed(&reader, (struct af_slice){ tar.ptr + at, tar.len - at < step ? tar.len - at : step }, err);
    if (status == AF_OK)
        status = af_tar_finish(&reader, err);
    af_tar_reader_done(&reader);
    return status;
}

static void pad(struct af_buf *out, uint64_t bytes)
{
    static const char zeros[BLOCK];
    af_buf_append(out, zeros, (size_t)af_tar_padding(bytes));
}

static void put(struct af_buf *out, const char *name, struct af_slice content)
{
    struct af_error err = { 0 };
    AF_CHECK_OK(af_tar_headers(name, content.len, 1700000000, out, &err), err);
    af_buf_append_slice(out, content);
    pad(out, content.len);
}

static void end(struct af_buf *out)
{
    static const char zeros[2 * BLOCK];
    af_buf_append(out, zeros, sizeof zeros);
}

/* A member of any type, sealed. */
static void put_typed(struct af_buf *out, const char *name, char type, struct af_slice content)
{
    char header[BLOCK];
    struct af_error err = { 0 };
    AF_CHECK_OK(af_tar_header(name, content.len, 0, header, &err), err);
    header[156] = type;
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (uint8_t)header[i];
    (void)snprintf(header + 148, 8, "%06o", sum);
    af_buf_append(out, header, BLOCK);
    af_buf_append_slice(out, content);
    pad(out, content.len);
}

static const char *long_name(void)
{
    static char name[400];
    memset(name, 'd', 390);
    memcpy(name + 150, "/", 1);
    memcpy(name + 385, "/1.tsm", 7);
    return name;
}

AF_TEST(what_is_written_is_read_whatever_the_pieces)
{
    static const size_t steps[] = { 1, 7, 511, 512, 513, 1 << 20 };
    char big[1500];
    memset(big, 'x', sizeof big);
    struct af_buf tar;
    af_buf_init(&tar, 1 << 20);
    put(&tar, "db/rp/1/000000001-000000001.tsm", AF_SLICE_LIT("hello"));
    put(&tar, "empty", AF_SLICE_LIT(""));
    put(&tar, "exact", (struct af_slice){ big, BLOCK });
    put(&tar, long_name(), (struct af_slice){ big, sizeof big });
    end(&tar);
    AF_CHECK_INT(tar.len % BLOCK, 0);
    struct af_buf want;
    af_buf_init(&want, 1 << 20);
    af_buf_printf(&want, "db/rp/1/000000001-000000001.tsm:5:hello\nempty:0:\nexact:512:%.512s\n%s:1500:%.1500s", big, long_name(), big);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct seen seen;
        struct af_error err = { 0 };
        AF_CHECK_OK(read_in(af_buf_slice(&tar), steps[i], &seen, &err), err);
        AF_CHECK_SLICE(af_buf_slice(&seen.text), af_buf_cstr(&want));
        af_buf_done(&seen.text);
    }
    af_buf_done(&want);
    af_buf_done(&tar);
}

AF_TEST(a_pax_header_names_the_next_member_and_its_size)
{
    struct af_buf tar;
    struct seen seen;
    struct af_error err = { 0 };
    af_buf_init(&tar, 1 << 20);
    put_typed(&tar, "pax", 'x', AF_SLICE_LIT("18 path=a/b/1.tsm\n10 size=3\n20 comment=whatever\n"));
    put_typed(&tar, "short", '0', AF_SLICE_LIT("abc"));
    put_typed(&tar, "plain", '0', AF_SLICE_LIT("z"));
    end(&tar);
    AF_CHECK_OK(read_in(af_buf_slice(&tar), 100, &seen, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&seen.text), "a/b/1.tsm:3:abc\nplain:1:z");
    af_buf_done(&seen.text);
    af_buf_done(&tar);
}

AF_TEST(directories_links_and_global_headers_are_passed_over)
{
    struct af_buf tar;
    struct seen seen;
    struct af_error err = { 0 };
    af_buf_init(&tar, 1 << 20);
    put_typed(&tar, "dir/", '5', AF_SLICE_LIT(""));
    put_typed(&tar, "link", '2', AF_SLICE_LIT(""));
    put_typed(&tar, "global", 'g', AF_SLICE_LIT("18 path=a/b/1.tsm\n"));
    put_typed(&tar, "file", '0', AF_SLICE_LIT("f"));
    end(&tar);
    AF_CHECK_OK(read_in(af_buf_slice(&tar), 1 << 20, &seen, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&seen.text), "file:1:f");
    af_buf_done(&seen.text);
    af_buf_done(&tar);
}

/* As GNU tar writes sizes from 8 GiB on: the top bit, then the number. */
AF_TEST(sizes_in_base_256_are_understood)
{
    char header[BLOCK];
    struct af_error err = { 0 };
    struct af_tar_reader reader;
    struct seen seen;
    AF_CHECK_OK(af_tar_header("huge", 0, 0, header, &err), err);
    memset(header + 124, 0, 12);
    header[124] = (char)0x80;
    header[124 + 7] = 2; /* 2 * 2^32 */
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (uint8_t)header[i];
    (void)snprintf(header + 148, 8, "%06o", sum);
    af_tar_reader_init(&reader);
    reader.member = on_member;
    reader.data = on_data;
    reader.ctx = &seen;
    af_buf_init(&seen.text, 1 << 20);
    AF_CHECK_OK(af_tar_feed(&reader, (struct af_slice){ header, BLOCK }, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&seen.text), "huge:8589934592:");
    AF_CHECK_FAILS(af_tar_finish(&reader, &err), AF_ECORRUPT);
    af_buf_done(&seen.text);
    af_tar_reader_done(&reader);
}

AF_TEST(what_is_cut_short_or_damaged_is_told)
{
    struct af_buf tar;
    struct seen seen;
    struct af_error err = { 0 };
    af_buf_init(&tar, 1 << 20);
    put(&tar, "a.tsm", AF_SLICE_LIT("hello"));
    put(&tar, "b.tsm", AF_SLICE_LIT("world"));
    end(&tar);
    for (size_t len = 0; len < tar.len; len++) {
        AF_CHECK_FAILS(read_in((struct af_slice){ tar.ptr, len }, 512, &seen, &err), AF_ECORRUPT);
        af_buf_done(&seen.text);
    }
    for (size_t i = 0; i < BLOCK; i++) { /* every byte of a header counts, but the one behind its checksum */
        if (i == 155)
            continue;
        tar.ptr[i] ^= 0x41;
        AF_CHECK_FAILS(read_in(af_buf_slice(&tar), 512, &seen, &err), AF_ECORRUPT);
        af_buf_done(&seen.text);
        tar.ptr[i] ^= 0x41;
    }
    af_buf_done(&tar);
}

AF_TEST(names_and_sizes_past_the_format_are_refused)
{
    char header[BLOCK];
    struct af_error err = { 0 };
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    AF_CHECK_FAILS(af_tar_header(long_name(), 1, 0, header, &err), AF_ELIMIT);
    AF_CHECK_FAILS(af_tar_header("x", UINT64_C(1) << 33, 0, header, &err), AF_ELIMIT);
    AF_CHECK_OK(af_tar_header("x", (UINT64_C(1) << 33) - 1, 0, header, &err), err);
    char *huge = af_alloc(70000);
    memset(huge, 'n', 69999);
    huge[69999] = '\0';
    AF_CHECK_FAILS(af_tar_headers(huge, 1, 0, &out, &err), AF_ELIMIT);
    af_free(huge);
    af_buf_done(&out);
}

AF_TEST(a_failing_member_stops_the_reading)
{
    struct af_buf tar;
    struct af_error err = { 0 };
    af_buf_init(&tar, 1 << 20);
    put(&tar, long_name(), AF_SLICE_LIT("hello"));
    end(&tar);
    for (size_t n = 1; n < 40; n++) {
        struct seen seen;
        (void)af_alloc_fail_nth(n);
        enum af_status status = read_in(af_buf_slice(&tar), 300, &seen, &err);
        (void)af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        af_buf_done(&seen.text);
    }
    af_buf_done(&tar);
}
