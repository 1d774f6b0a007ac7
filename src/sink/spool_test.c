/* spool_test.c - blocks as bytes, blocks on disk: round trips, every kind of damage, every step of a crash, a disk that fails. */
#include "base/alloc.h"
#include "format/lp/lp.h"
#include "os/fault.h"
#include "sink/sink_int.h"
#include "test/lib/test.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { NS = 1 };

static void add_line(struct af_sink_block *block, struct af_slice line, uint32_t row, const struct af_sink_segment *segment)
{
    uint32_t end = (uint32_t)line.len;
    struct af_lp_text text = { .ends = &end, .rows = &row, .line_count = 1 };
    text.bytes.ptr = (char *)(uintptr_t)line.ptr;
    text.bytes.len = line.len;
    struct af_error err;
    AF_CHECK_OK(af_sink_block_add(block, &text, 0, 1, segment, &err), err);
}

/* A block of `lines` lines over a few segments, repeatable. */
static void make_block(struct af_sink_block *block, size_t lines, uint64_t seed)
{
    static const char *const files[] = { "", "a.parquet", "a longer/path to/b.csv", "c" };
    struct af_prng prng = { seed };
    af_sink_block_init(block);
    for (size_t i = 0; i < lines; i++) {
        char text[128];
        int n = snprintf(text, sizeof text, "m,s=%u v=%llu,t=\"a\nb\" %zu\n", (unsigned)af_prng_below(&prng, 5),
                         (unsigned long long)af_prng_next(&prng), i);
        struct af_sink_segment segment = { .file = files[af_prng_below(&prng, 4)], .row_group = (uint32_t)af_prng_next(&prng),
                                           .first_row = af_prng_next(&prng) >> 1 };
        add_line(block, af_slice_make(text, (size_t)n), (uint32_t)af_prng_next(&prng), &segment);
    }
}

/* `got` is lines [from, ...) of `want`. */
static void check_same(const struct af_sink_block *got, const struct af_sink_block *want, size_t from)
{
    AF_CHECK_INT(got->line_count, want->line_count - from);
    for (size_t i = 0; i < got->line_count; i++) {
        uint64_t row[2];
        AF_CHECK(af_slice_eq(af_sink_block_lines(got, i, i + 1), af_sink_block_lines(want, from + i, from + i + 1)));
        const struct af_sink_segment *a = af_sink_block_origin(got, i, &row[0]);
        const struct af_sink_segment *b = af_sink_block_origin(want, from + i, &row[1]);
        AF_CHECK(row[0] == row[1] && a->row_group == b->row_group);
        AF_CHECK_STR(a->file, b->file);
    }
}

AF_TEST(block_fits_by_lines_and_bytes)
{
    uint32_t ends[] = { 10, 20, 30, 130, 140 };
    uint32_t rows[] = { 0, 1, 2, 3, 4 };
    char bytes[140] = { 0 };
    struct af_lp_text text = { .ends = ends, .rows = rows, .line_count = 5 };
    text.bytes.ptr = bytes;
    text.bytes.len = sizeof bytes;
    struct af_sink_segment segment = { .file = "f" };
    struct af_sink_block block;
    struct af_error err;
    af_sink_block_init(&block);
    AF_CHECK_INT(af_sink_block_fit(&block, &text, 0, 100, 1000), 5);
    AF_CHECK_INT(af_sink_block_fit(&block, &text, 0, 2, 1000), 2);
    AF_CHECK_INT(af_sink_block_fit(&block, &text, 0, 100, 29), 2);
    AF_CHECK_INT(af_sink_block_fit(&block, &text, 0, 100, 30), 3);
    AF_CHECK_INT(af_sink_block_fit(&block, &text, 3, 100, 50), 1); /* empty: one line whatever its size */
    AF_CHECK_OK(af_sink_block_add(&block, &text, 0, 2, &segment, &err), err);
    AF_CHECK_INT(af_sink_block_fit(&block, &text, 3, 100, 50), 0);
    AF_CHECK_INT(af_sink_block_fit(&block, &text, 2, 100, 30), 1);
    AF_CHECK_INT(af_sink_block_fit(&block, &text, 2, 2, 1000), 0);
    AF_CHECK_OK(af_sink_block_add(&block, &text, 4, 1, &segment, &err), err);
    AF_CHECK_INT(block.ends[2], 30);
    AF_CHECK_INT(block.rows[2], 4);
    af_sink_block_done(&block);
}

AF_TEST(blocks_round_trip_from_any_line)
{
    struct af_codec_ctx codec = { 0 };
    struct af_buf bytes;
    struct af_error err;
    struct af_sink_block back;
    af_buf_init(&bytes, 1 << 24);
    af_sink_block_init(&back);
    for (uint64_t seed = 1; seed < 60; seed++) {
        struct af_sink_block block;
        make_block(&block, 1 + seed % 17, seed);
        for (size_t from = 0; from < block.line_count; from++) {
            struct af_spool_header header = { .lane = 3, .sequence = seed << 40, .precision_ns = 1000 };
            struct af_spool_header out;
            af_buf_clear(&bytes);
            af_buf_append_str(&bytes, "before");
            AF_CHECK_OK(af_spool_encode(&header, &block, from, &codec, &bytes, &err), err);
            struct af_slice file = { bytes.ptr + 6, bytes.len - 6 };
            AF_CHECK_OK(af_spool_decode(file, &codec, &out, &back, &err), err);
            AF_CHECK(out.lane == 3 && out.sequence == seed << 40 && out.precision_ns == 1000);
            AF_CHECK_INT(out.line_count, block.line_count - from);
            check_same(&back, &block, from);
        }
        af_sink_block_done(&block);
    }
    af_sink_block_done(&back);
    af_buf_done(&bytes);
    af_codec_ctx_done(&codec);
}

AF_TEST(damage_is_always_seen)
{
    struct af_codec_ctx codec = { 0 };
    struct af_buf bytes;
    struct af_error err;
    struct af_sink_block block;
    struct af_sink_block back;
    struct af_spool_header header = { .lane = 1, .sequence = 2, .precision_ns = 1 };
    af_buf_init(&bytes, 1 << 20);
    af_sink_block_init(&back);
    make_block(&block, 9, 4);
    AF_CHECK_OK(af_spool_encode(&header, &block, 0, &codec, &bytes, &err), err);
    for (size_t len = 0; len < bytes.len; len++) /* cut anywhere */
        AF_CHECK_FAILS(af_spool_decode(af_slice_make(bytes.ptr, len), &codec, &header, &back, &err), AF_ECORRUPT);
    for (size_t bit = 0; bit < bytes.len * 8; bit++) { /* any bit flipped */
        bytes.ptr[bit / 8] = (char)(bytes.ptr[bit / 8] ^ 1 << bit % 8);
        AF_CHECK_FAILS(af_spool_check(af_buf_slice(&bytes), &header, &err), AF_ECORRUPT);
        bytes.ptr[bit / 8] = (char)(bytes.ptr[bit / 8] ^ 1 << bit % 8);
    }
    AF_CHECK_OK(af_spool_check(af_buf_slice(&bytes), &header, &err), err);
    af_buf_append_char(&bytes, 'x');
    AF_CHECK_FAILS(af_spool_check(af_buf_slice(&bytes), &header, &err), AF_ECORRUPT);
    af_sink_block_done(&block);
    af_sink_block_done(&back);
    af_buf_done(&bytes);
    af_codec_ctx_done(&codec);
}

AF_TEST(every_allocation_may_fail)
{
    struct af_sink_block block;
    struct af_error err;
    make_block(&block, 40, 5);
    for (size_t nth = 1;; nth++) {
        struct af_codec_ctx codec = { 0 };
        struct af_buf bytes;
        struct af_sink_block back;
        struct af_spool_header header = { .lane = 1, .sequence = 2, .precision_ns = 1 };
        af_buf_init(&bytes, 1 << 20);
        af_sink_block_init(&back);
        af_alloc_fail_nth(nth);
        enum af_status status = af_spool_encode(&header, &block, 0, &codec, &bytes, &err);
        if (status == AF_OK)
            status = af_spool_decode(af_buf_slice(&bytes), &codec, &header, &back, &err);
        else
            AF_CHECK_INT(bytes.len, 0);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK_INT(back.line_count, status == AF_OK ? 40 : 0);
        af_sink_block_done(&back);
        af_buf_done(&bytes);
        af_codec_ctx_done(&codec);
        if (status == AF_OK)
            break;
        AF_CHECK(nth < 1000);
    }
    af_sink_block_done(&block);
}

/* --- on disk ------------------------------------------------------------------------------------------------------------- */

struct fixture {
    struct af_codec_ctx codec;
    struct af_buf scratch;
    struct af_sink_block block;
    struct af_spool spool;
    struct af_error err;
};

static void set_up(struct fixture *f)
{
    *f = (struct fixture){ 0 };
    af_buf_init(&f->scratch, 1 << 24);
}

static void tear_down(struct fixture *f)
{
    af_spool_close(&f->spool);
    af_buf_done(&f->scratch);
    af_codec_ctx_done(&f->codec);
}

static enum af_status open_spool(struct fixture *f, uint64_t bytes_max, uint32_t lanes)
{
    return af_spool_open(&f->spool, af_test_dir(), bytes_max, lanes, &f->err);
}

static enum af_status put(struct fixture *f, uint32_t lane, uint64_t seed)
{
    make_block(&f->block, 5, seed);
    enum af_status status = af_spool_put(&f->spool, lane, NS, &f->block, 0, &f->codec, &f->scratch, &f->err);
    af_sink_block_done(&f->block);
    return status;
}

/* The head of the lane is the block made with `seed`; drop it. */
static void check_head(struct fixture *f, uint32_t lane, uint64_t seed)
{
    struct af_sink_block got;
    struct af_spool_entry entry;
    struct af_spool_header header;
    af_sink_block_init(&got);
    make_block(&f->block, 5, seed);
    AF_CHECK(af_spool_head(&f->spool, lane, &entry));
    AF_CHECK_OK(af_spool_load(&f->spool, &entry, &f->codec, &f->scratch, &header, &got, &f->err), f->err);
    check_same(&got, &f->block, 0);
    AF_CHECK_OK(af_spool_drop(&f->spool, lane, &f->err), f->err);
    af_sink_block_done(&got);
    af_sink_block_done(&f->block);
}

static enum af_status count_file(void *ctx, const char *path, struct af_error *err)
{
    (void)err;
    if (strstr(path, ".blk") != NULL)
        ++*(size_t *)ctx;
    return AF_OK;
}

static size_t files_left(void)
{
    size_t count = 0;
    struct af_error err;
    AF_CHECK_OK(af_dir_list(af_test_dir(), count_file, &count, &err), err);
    return count;
}

AF_TEST(lanes_are_fifo_and_earlier_runs_go_first)
{
    struct fixture f;
    struct af_spool_entry entry;
    set_up(&f);
    AF_CHECK_OK(open_spool(&f, 1 << 20, 2), f.err);
    AF_CHECK_OK(put(&f, 1, 1), f.err);
    AF_CHECK_OK(put(&f, 0, 2), f.err);
    AF_CHECK_OK(put(&f, 1, 3), f.err);
    AF_CHECK_OK(put(&f, 0, 4), f.err);
    check_head(&f, 1, 1);
    check_head(&f, 1, 3);
    AF_CHECK(af_spool_is_empty(&f.spool, 1) && !af_spool_is_empty(&f.spool, 0) && !af_spool_has_earlier(&f.spool));
    AF_CHECK_OK(put(&f, 1, 5), f.err);
    af_spool_close(&f.spool);

    AF_CHECK_OK(open_spool(&f, 1 << 20, 3), f.err); /* another life, with more lanes: 2 4 5 in the order they were put */
    AF_CHECK(af_spool_has_earlier(&f.spool) && !af_spool_is_empty(&f.spool, 2));
    AF_CHECK_OK(put(&f, 2, 6), f.err);
    AF_CHECK_OK(put(&f, 0, 7), f.err);
    af_spool_close(&f.spool);

    AF_CHECK_OK(open_spool(&f, 1 << 20, 1), f.err); /* and another: what the second life put comes after what it had found */
    for (uint64_t seed = 2; seed < 8; seed++)
        if (seed != 3)
            check_head(&f, 0, seed);
    AF_CHECK(!af_spool_head(&f.spool, 0, &entry));
    AF_CHECK_INT(files_left(), 0);
    uint64_t lines;
    uint64_t bytes;
    af_spool_totals(&f.spool, &lines, &bytes);
    AF_CHECK(lines == 0 && bytes == 0);
    tear_down(&f);
}

AF_TEST(long_queues_keep_their_order)
{
    struct fixture f;
    struct af_prng prng = { 9 };
    uint64_t in = 0;
    uint64_t out = 0;
    set_up(&f);
    AF_CHECK_OK(open_spool(&f, 1 << 30, 1), f.err);
    for (int i = 0; i < 400; i++) {
        bool grows = af_prng_below(&prng, 100) < (i < 250 ? 70 : 40);
        if (grows)
            AF_CHECK_OK(put(&f, 0, ++in), f.err);
        else if (out < in)
            check_head(&f, 0, ++out);
    }
    while (out < in)
        check_head(&f, 0, ++out);
    tear_down(&f);
}

AF_TEST(one_owner_at_a_time)
{
    struct fixture f;
    struct af_spool second;
    set_up(&f);
    AF_CHECK_OK(open_spool(&f, 1 << 20, 1), f.err);
    AF_CHECK_FAILS(af_spool_open(&second, af_test_dir(), 1 << 20, 1, &f.err), AF_EBUSY);
    tear_down(&f);
}

static void write_file(const char *name, const void *bytes, size_t len)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", af_test_dir(), name);
    FILE *file = fopen(path, "wb");
    AF_CHECK(file != NULL && fwrite(bytes, 1, len, file) == len && fclose(file) == 0);
}

AF_TEST(leftovers_of_a_crash_are_cleared_and_strangers_left_alone)
{
    struct fixture f;
    set_up(&f);
    write_file("00-00000000000000000009.blk.tmp-1234", "half", 4);
    write_file("00-00000000000000000010.blk.tmp-1234", "", 0);
    write_file("notes.txt", "mine", 4);
    write_file("00-12.blk", "not a name of ours", 18);
    AF_CHECK_OK(open_spool(&f, 1 << 20, 1), f.err);
    AF_CHECK(!af_spool_has_earlier(&f.spool));
    AF_CHECK_INT(files_left(), 1);
    char path[300];
    snprintf(path, sizeof path, "%s/notes.txt", af_test_dir());
    AF_CHECK(af_path_kind(path) == AF_PATH_FILE);
    AF_CHECK_OK(put(&f, 0, 1), f.err);
    struct af_spool_entry entry;
    AF_CHECK(af_spool_head(&f.spool, 0, &entry) && entry.sequence == 11); /* no number is used twice */
    tear_down(&f);
}

/* Damage the file of the second of three blocks with `how`; the spool must say so and stay shut until somebody removes it. */
static void check_damage(void (*how)(const char *path))
{
    struct fixture f;
    char path[300];
    char aside[320];
    set_up(&f);
    AF_CHECK_OK(open_spool(&f, 1 << 20, 1), f.err);
    for (uint64_t seed = 1; seed <= 3; seed++)
        AF_CHECK_OK(put(&f, 0, seed), f.err);
    af_spool_close(&f.spool);
    snprintf(path, sizeof path, "%s/00-00000000000000000002.blk", af_test_dir());
    snprintf(aside, sizeof aside, "%s.corrupt", path);
    how(path);
    for (int i = 0; i < 3; i++) {
        AF_CHECK_FAILS(open_spool(&f, 1 << 20, 1), AF_ECORRUPT);
        AF_CHECK(strstr(f.err.message, "00-00000000000000000002.blk.corrupt") != NULL);
        AF_CHECK(af_path_kind(path) == AF_PATH_NONE && af_path_kind(aside) == AF_PATH_FILE);
    }
    AF_CHECK(unlink(aside) == 0);
    AF_CHECK_OK(open_spool(&f, 1 << 20, 1), f.err);
    check_head(&f, 0, 1);
    check_head(&f, 0, 3);
    tear_down(&f);
}

static void cut_it(const char *path)
{
    uint64_t bytes;
    struct af_error err;
    AF_CHECK_OK(af_path_size(path, &bytes, NULL, &err), err);
    AF_CHECK(truncate(path, (off_t)bytes / 2) == 0);
}

static void empty_it(const char *path)
{
    AF_CHECK(truncate(path, 0) == 0);
}

static void flip_it(const char *path)
{
    FILE *file = fopen(path, "r+b");
    AF_CHECK(file != NULL && fseek(file, 100, SEEK_SET) == 0);
    int c = fgetc(file);
    AF_CHECK(fseek(file, 100, SEEK_SET) == 0 && fputc(c ^ 4, file) != EOF && fclose(file) == 0);
}

static void swap_it(const char *path) /* a whole block under another's name */
{
    char other[300];
    char command[700];
    snprintf(other, sizeof other, "%s/00-00000000000000000001.blk", af_test_dir());
    snprintf(command, sizeof command, "cp '%s' '%s'", other, path);
    AF_CHECK(system(command) == 0);
}

AF_TEST(cut_block_is_data_loss_said_aloud)
{
    check_damage(cut_it);
}
AF_TEST(empty_block_is_data_loss_said_aloud)
{
    check_damage(empty_it);
}
AF_TEST(changed_block_is_data_loss_said_aloud)
{
    check_damage(flip_it);
}
AF_TEST(block_under_a_wrong_name_is_refused)
{
    check_damage(swap_it);
}

AF_TEST(full_spool_takes_again_when_there_is_room)
{
    struct fixture f;
    uint64_t lines;
    uint64_t one;
    set_up(&f);
    AF_CHECK_OK(open_spool(&f, 1 << 20, 1), f.err);
    AF_CHECK_OK(put(&f, 0, 1), f.err);
    af_spool_totals(&f.spool, &lines, &one);
    AF_CHECK_INT(lines, 5);
    af_spool_close(&f.spool);
    AF_CHECK_OK(open_spool(&f, one * 5 / 2, 1), f.err);
    AF_CHECK_OK(put(&f, 0, 2), f.err);
    AF_CHECK_FAILS(put(&f, 0, 3), AF_EFULL);
    AF_CHECK_FAILS(put(&f, 0, 3), AF_EFULL);
    check_head(&f, 0, 1);
    AF_CHECK_OK(put(&f, 0, 4), f.err);
    check_head(&f, 0, 2);
    check_head(&f, 0, 4);
    tear_down(&f);
}

/* Call `n` of `call` fails: nothing may stay behind that looks like a block. */
static void check_failing_disk(enum af_os_call call, uint64_t nth, int code, bool stays_open)
{
    struct fixture f;
    set_up(&f);
    AF_CHECK_OK(open_spool(&f, 1 << 20, 1), f.err);
    AF_CHECK_OK(put(&f, 0, 1), f.err);
    af_os_fault(call, nth, 1, code);
    enum af_status status = put(&f, 0, 2);
    af_os_fault(call, 0, 0, 0);
    AF_CHECK(status == (code == ENOSPC ? AF_EFULL : AF_EIO));
    AF_CHECK_INT(files_left(), 1);
    status = put(&f, 0, 3);
    AF_CHECK(stays_open ? status == AF_OK : status == AF_EIO);
    check_head(&f, 0, 1); /* read-only, not dead */
    if (stays_open)
        check_head(&f, 0, 3);
    tear_down(&f);
}

AF_TEST(full_disk_is_not_the_end)
{
    check_failing_disk(AF_OS_WRITE, 1, ENOSPC, true);
    check_failing_disk(AF_OS_SYNC, 1, ENOSPC, true);
}

AF_TEST(failed_write_makes_it_read_only)
{
    check_failing_disk(AF_OS_WRITE, 1, EIO, false);
}
AF_TEST(failed_fsync_makes_it_read_only)
{
    check_failing_disk(AF_OS_SYNC, 1, EIO, false); /* of the file */
    check_failing_disk(AF_OS_SYNC, 2, EIO, false); /* of the directory, when the block has its name already */
}
AF_TEST(failed_rename_makes_it_read_only)
{
    check_failing_disk(AF_OS_RENAME, 1, EIO, false);
}

AF_TEST(block_that_cannot_be_removed_is_no_success)
{
    struct fixture f;
    set_up(&f);
    AF_CHECK_OK(open_spool(&f, 1 << 20, 1), f.err);
    AF_CHECK_OK(put(&f, 0, 1), f.err);
    af_os_fault(AF_OS_SYNC, 1, 1, EIO);
    AF_CHECK_FAILS(af_spool_drop(&f.spool, 0, &f.err), AF_EIO);
    tear_down(&f);
}
