/* wal_test.c - the log: what was acknowledged comes back, in order; torn ends, damage, full disks, failed fsyncs, many threads. */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/prng.h"
#include "codec/compress.h"
#include "os/fault.h"
#include "os/thread.h"
#include "test/lib/test.h"
#include "tsm/wal_int.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* --- what replay saw ----------------------------------------------------------------------------------------------------------- */

struct seen {
    uint64_t first, last; /* tickets */
    size_t count;
    struct af_buf text;   /* payloads, a comma after each */
};
static void seen_init(struct seen *seen)
{
    *seen = (struct seen){ 0 };
    af_buf_init(&seen->text, 1 << 28);
}
static enum af_status see(void *ctx, uint64_t ticket, struct af_slice payload, struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    AF_CHECK(seen->count == 0 || ticket > seen->last);
    seen->first = seen->count == 0 ? ticket : seen->first;
    seen->last = ticket;
    seen->count++;
    af_buf_append_slice(&seen->text, payload);
    af_buf_append_char(&seen->text, ',');
    return AF_OK;
}

static const char *wal_dir(void)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/wal", af_test_dir());
    return path;
}
static const char *segment(uint64_t number)
{
    static char path[4][600];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%010llu.wal", wal_dir(), (unsigned long long)number);
    return path[turn];
}

static struct af_wal *open_ok(struct seen *seen, struct af_wal_report *report)
{
    struct af_wal *wal = NULL;
    struct af_error err;
    AF_CHECK_OK(af_wal_open(wal_dir(), see, seen, &wal, report, &err), err);
    return wal;
}
static uint64_t append_ok(struct af_wal *wal, const char *text)
{
    uint64_t ticket = 0;
    struct af_error err;
    AF_CHECK_OK(af_wal_append(wal, af_slice_of(text), &ticket, &err), err);
    af_wal_wait_turn(wal, ticket);
    af_wal_applied(wal, ticket);
    return ticket;
}
/* Open, compare all payloads, close. */
static void check_log(const char *want, struct af_wal_report *report)
{
    struct seen seen;
    struct af_wal_report own;
    seen_init(&seen);
    af_wal_close(open_ok(&seen, report != NULL ? report : &own));
    AF_CHECK_STR(af_buf_cstr(&seen.text), want);
    af_buf_done(&seen.text);
}

static void load(const char *path, struct af_buf *out)
{
    struct af_error err;
    af_buf_init(out, 1 << 28);
    AF_CHECK_OK(af_file_read_all(path, out, &err), err);
}
static void store(const char *path, const void *bytes, size_t len)
{
    struct af_file *file;
    struct af_error err;
    AF_CHECK_OK(af_file_open(path, AF_FILE_TRUNCATE, &file, &err), err);
    AF_CHECK_OK(af_file_write(file, af_slice_make(bytes, len), &err), err);
    af_file_close(file);
}
static void flip(const char *path, size_t at)
{
    struct af_buf bytes;
    load(path, &bytes);
    AF_CHECK(at < bytes.len);
    bytes.ptr[at] ^= 0x10;
    store(path, bytes.ptr, bytes.len);
    af_buf_done(&bytes);
}
static void add_raw(struct af_buf *out, uint32_t flags, uint64_t ticket, const char *text)
{
    char head[AF_WAL_RECORD_HEADER];
    size_t len = strlen(text);
    af_wal_put_record(head, (uint32_t)len | flags, af_crc32(0, text, len), ticket);
    af_buf_append(out, head, sizeof head);
    af_buf_append(out, text, len);
}

/* Three groups of one record in segment 1: "one", "two", "three". */
static void make_three(void)
{
    struct seen seen;
    seen_init(&seen);
    struct af_wal *wal = open_ok(&seen, NULL);
    AF_CHECK_INT(append_ok(wal, "one"), 1);
    AF_CHECK_INT(append_ok(wal, "two"), 2);
    AF_CHECK_INT(append_ok(wal, "three"), 3);
    af_wal_close(wal);
    af_buf_done(&seen.text);
}

/* --- plain --------------------------------------------------------------------------------------------------------------------------- */

AF_TEST(wal_replays_what_was_appended)
{
    struct seen seen;
    struct af_wal_report report;
    make_three();
    seen_init(&seen);
    struct af_wal *wal = open_ok(&seen, &report);
    AF_CHECK_STR(af_buf_cstr(&seen.text), "one,two,three,");
    AF_CHECK(seen.first == 1 && seen.last == 3 && report.records == 3 && report.torn_bytes == 0 && report.torn_file == NULL);
    AF_CHECK_INT(append_ok(wal, "four"), 4);
    struct af_error err;
    AF_CHECK_OK(af_wal_probe(wal, &err), err);
    AF_CHECK_INT(append_ok(wal, "six"), 6);
    AF_CHECK_INT(af_wal_bytes(wal), 16 + 6 * 16 + 3 + 3 + 5 + 4 + 3);
    AF_CHECK_INT(af_wal_syncs(wal), 3);
    af_wal_close(wal);
    check_log("one,two,three,four,six,", &report);
    AF_CHECK_INT(report.records, 6);
    af_buf_done(&seen.text);
}

AF_TEST(wal_bytes_are_these)
{
    static const unsigned char want[] = { 'A', 'F', 'W', 'A', 'L', 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
                                          3, 0, 0, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'o', 'n', 'e' };
    struct af_buf bytes;
    make_three();
    load(segment(1), &bytes);
    AF_CHECK_INT(bytes.len, 16 + 3 * 16 + 11);
    for (size_t i = 0; i < sizeof want; i++)
        AF_CHECK(i / 4 == 5 || (unsigned char)bytes.ptr[i] == want[i]);
    uint32_t crc = af_crc32(af_crc32(af_crc32(0, "one", 3), bytes.ptr + 16, 4), bytes.ptr + 24, 8);
    AF_CHECK(memcmp(&crc, bytes.ptr + 20, 4) == 0);
    af_buf_done(&bytes);
}

AF_TEST(wal_drops_segments_that_were_flushed)
{
    struct seen seen;
    struct af_error err;
    uint64_t first;
    make_three();
    seen_init(&seen);
    struct af_wal *wal = open_ok(&seen, NULL);
    af_wal_pause(wal);
    AF_CHECK_OK(af_wal_rotate(wal, &first, &err), err);
    af_wal_resume(wal);
    AF_CHECK_INT(first, 2);
    append_ok(wal, "four");
    AF_CHECK_OK(af_wal_drop_before(wal, first, &err), err);
    AF_CHECK_OK(af_wal_drop_before(wal, 100, &err), err); /* the current one stays */
    AF_CHECK(af_path_kind(segment(1)) == AF_PATH_NONE && af_path_kind(segment(2)) == AF_PATH_FILE);
    AF_CHECK_INT(af_wal_bytes(wal), 16 + 16 + 4);
    af_wal_close(wal);
    af_buf_clear(&seen.text);
    seen.count = 0;
    wal = open_ok(&seen, NULL);
    AF_CHECK(seen.first == 4 && seen.count == 1);
    af_wal_pause(wal);
    AF_CHECK_OK(af_wal_rotate(wal, &first, &err), err);
    AF_CHECK_INT(first, 3);
    AF_CHECK_OK(af_wal_rotate(wal, &first, &err), err);
    AF_CHECK_INT(first, 3); /* it is empty yet */
    af_wal_resume(wal);
    AF_CHECK_OK(af_wal_drop_before(wal, first, &err), err);
    af_wal_close(wal);
    check_log("", NULL);
    af_buf_done(&seen.text);
}

AF_TEST(wal_begins_a_segment_when_one_is_full)
{
    enum { BIG = 9 << 20, COUNT = 15 };
    struct seen seen;
    struct af_error err;
    char *big = malloc(BIG);
    memset(big, 'x', BIG);
    seen_init(&seen);
    struct af_wal *wal = open_ok(&seen, NULL);
    for (int i = 0; i < COUNT; i++) {
        uint64_t ticket;
        AF_CHECK_OK(af_wal_append(wal, af_slice_make(big, BIG), &ticket, &err), err);
        af_wal_applied(wal, ticket);
        append_ok(wal, "small");
    }
    AF_CHECK(af_path_kind(segment(2)) == AF_PATH_FILE && af_path_kind(segment(3)) == AF_PATH_NONE);
    uint64_t ticket;
    AF_CHECK_FAILS(af_wal_append(wal, af_slice_make(big, (size_t)AF_TSM_WAL_RECORD_BYTES_MAX + 1), &ticket, &err), AF_ELIMIT);
    af_wal_close(wal);
    wal = open_ok(&seen, NULL);
    AF_CHECK_INT(seen.count, 2 * COUNT);
    AF_CHECK_INT(seen.text.len, (size_t)COUNT * (BIG + 7));
    af_wal_close(wal);
    af_buf_done(&seen.text);
    free(big);
}

/* --- torn ends --------------------------------------------------------------------------------------------------------------------- */

AF_TEST(wal_cuts_a_torn_tail_of_any_length)
{
    struct af_buf whole;
    make_three();
    load(segment(1), &whole);
    const size_t third = whole.len - 16 - 5;
    for (size_t len = 0; len < whole.len; len++) {
        struct af_wal_report report;
        struct seen seen;
        seen_init(&seen);
        store(segment(1), whole.ptr, len);
        struct af_wal *wal = open_ok(&seen, &report);
        const char *want = len >= third ? "one,two," : len >= third - 19 ? "one," : "";
        AF_CHECK_STR(af_buf_cstr(&seen.text), want);
        size_t kept = len >= third ? third : len >= third - 19 ? third - 19 : len < 16 ? 0 : 16;
        AF_CHECK_INT(report.torn_bytes, len - kept);
        AF_CHECK((report.torn_file != NULL) == (len > kept));
        AF_CHECK_INT(append_ok(wal, "new"), report.records + 1);
        af_wal_close(wal);
        char after[64];
        (void)snprintf(after, sizeof after, "%snew,", want);
        check_log(after, &report);
        AF_CHECK_INT(report.torn_bytes, 0);
        af_buf_done(&seen.text);
    }
    af_buf_done(&whole);
}

AF_TEST(wal_cuts_a_last_record_that_is_changed)
{
    struct af_buf whole;
    make_three();
    load(segment(1), &whole);
    for (size_t at = whole.len - 21; at < whole.len; at++) {
        struct af_wal_report report;
        store(segment(1), whole.ptr, whole.len);
        flip(segment(1), at);
        check_log("one,two,", &report);
        AF_CHECK_INT(report.torn_bytes, 21);
    }
    af_buf_done(&whole);
}

/* Power fails while a group is on its way: pages reach the disk in any order. None of it was acknowledged. */
AF_TEST(wal_cuts_a_group_that_is_torn_inside)
{
    struct af_buf bytes;
    struct af_wal_report report;
    make_three();
    load(segment(1), &bytes);
    size_t group = bytes.len;
    add_raw(&bytes, AF_WAL_FIRST, 4, "four");
    add_raw(&bytes, 0, 5, "five");
    add_raw(&bytes, 0, 6, "six");
    store(segment(1), bytes.ptr, bytes.len);
    flip(segment(1), group + 17);
    check_log("one,two,three,", &report);
    AF_CHECK_INT(report.torn_bytes, bytes.len - group);
    store(segment(1), bytes.ptr, bytes.len);
    flip(segment(1), group + 20 + 17);
    check_log("one,two,three,four,", &report);
    AF_CHECK_INT(report.torn_bytes, bytes.len - group - 20);
    af_buf_done(&bytes);
}

AF_TEST(wal_starts_over_a_segment_without_a_header)
{
    struct seen seen;
    struct af_error err;
    uint64_t first;
    seen_init(&seen);
    make_three();
    for (size_t len = 0; len <= 16; len++) {
        struct af_wal_report report;
        char zeros[16] = { 0 };
        store(segment(2), zeros, len);
        check_log("one,two,three,", &report);
        AF_CHECK_INT(report.torn_bytes, len);
    }
    struct af_wal *wal = open_ok(&seen, NULL);
    af_wal_pause(wal);
    AF_CHECK_OK(af_wal_rotate(wal, &first, &err), err);
    af_wal_resume(wal);
    AF_CHECK_INT(first, 2);
    AF_CHECK_INT(append_ok(wal, "four"), 4);
    af_wal_close(wal);
    check_log("one,two,three,four,", NULL);
    af_buf_done(&seen.text);
}

/* --- damage ------------------------------------------------------------------------------------------------------------------------ */

static void check_corrupt(const char *file, const char *words)
{
    struct seen seen;
    struct af_wal *wal = NULL;
    struct af_error err;
    seen_init(&seen);
    AF_CHECK_FAILS(af_wal_open(wal_dir(), see, &seen, &wal, NULL, &err), AF_ECORRUPT);
    if (strstr(err.message, file) == NULL || strstr(err.message, words) == NULL || strstr(err.message, "afluxo tsm verify") == NULL)
        af_test_failed(__FILE__, __LINE__, "says: %s", err.message);
    AF_CHECK(wal == NULL);
    af_buf_done(&seen.text);
}

struct faults {
    size_t count;
    char last[512];
};
static void note(void *ctx, const char *words)
{
    struct faults *faults = ctx;
    faults->count++;
    (void)snprintf(faults->last, sizeof faults->last, "%s", words);
}
/* `faults` are told before the repair, none after it; then the log opens and says `want`. */
static void check_repair(size_t fault_count, const char *want)
{
    struct faults faults = { 0 };
    struct seen seen;
    struct af_wal_report report;
    struct af_error err;
    seen_init(&seen);
    AF_CHECK_OK(af_wal_check(wal_dir(), true, see, &seen, note, &faults, &report, &err), err);
    if (faults.count != fault_count)
        af_test_failed(__FILE__, __LINE__, "%zu faults, the last: %s", faults.count, faults.last);
    AF_CHECK_STR(af_buf_cstr(&seen.text), want);
    AF_CHECK_INT(report.records, seen.count);
    faults.count = 0;
    AF_CHECK_OK(af_wal_check(wal_dir(), true, NULL, NULL, note, &faults, &report, &err), err);
    AF_CHECK_INT(faults.count, 0);
    check_log(want, NULL);
    af_buf_done(&seen.text);
}

AF_TEST(wal_tells_damage_from_a_torn_tail)
{
    struct af_buf whole;
    make_three();
    load(segment(1), &whole);
    for (size_t at = 16; at < whole.len - 21; at++) {
        store(segment(1), whole.ptr, whole.len);
        flip(segment(1), at);
        check_corrupt("0000000001.wal", "whole ones follow");
    }
    check_repair(2, "one,three,"); /* broken bytes, and the write that is missing */
    AF_CHECK(af_path_kind(segment(1)) == AF_PATH_FILE);
    struct seen seen;
    seen_init(&seen);
    struct af_wal *wal = open_ok(&seen, NULL);
    AF_CHECK_INT(append_ok(wal, "four"), 4);
    af_wal_close(wal);
    check_log("one,three,four,", NULL);
    af_buf_done(&seen.text);
    af_buf_done(&whole);
}

/* Segments 1 to 3 with "one,two,three," "four," "five,". */
static void make_segments(void)
{
    struct seen seen;
    struct af_error err;
    uint64_t first;
    make_three();
    seen_init(&seen);
    struct af_wal *wal = open_ok(&seen, NULL);
    for (int i = 0; i < 2; i++) {
        af_wal_pause(wal);
        AF_CHECK_OK(af_wal_rotate(wal, &first, &err), err);
        af_wal_resume(wal);
        append_ok(wal, i == 0 ? "four" : "five");
    }
    af_wal_close(wal);
    check_log("one,two,three,four,five,", NULL);
    af_buf_done(&seen.text);
}

AF_TEST(wal_wants_earlier_segments_whole)
{
    make_segments();
    struct af_buf whole;
    load(segment(1), &whole);
    store(segment(1), whole.ptr, whole.len - 1);
    check_corrupt("0000000001.wal", "newer segments follow");
    check_repair(2, "one,two,four,five,"); /* its end, and what segment 2 misses */
    store(segment(1), whole.ptr, whole.len);
    flip(segment(1), 3);
    check_corrupt("0000000001.wal", "does not begin");
    check_repair(1, "one,two,three,four,five,");
    af_buf_done(&whole);
}

AF_TEST(wal_misses_a_segment)
{
    struct af_error err;
    make_segments();
    AF_CHECK_OK(af_path_remove(segment(2), &err), err);
    check_corrupt("0000000003.wal", "is missing");
    check_repair(1, "one,two,three,five,");
    AF_CHECK_OK(af_path_remove(segment(1), &err), err); /* the oldest may begin anywhere */
    check_log("five,", NULL);
}

AF_TEST(wal_knows_an_old_segment)
{
    struct af_buf old;
    make_segments();
    load(segment(2), &old);
    old.ptr[8] = 4;
    store(segment(4), old.ptr, old.len);
    check_corrupt("0000000004.wal", "put back");
    check_repair(1, "one,two,three,four,five,");
    af_buf_done(&old);
}

AF_TEST(wal_check_changes_nothing_unasked)
{
    struct faults faults = { 0 };
    struct af_wal_report report;
    struct af_error err;
    struct af_buf before;
    struct af_buf after;
    make_three();
    flip(segment(1), 40);
    load(segment(1), &before);
    AF_CHECK_OK(af_wal_check(wal_dir(), false, NULL, NULL, note, &faults, &report, &err), err);
    AF_CHECK(faults.count == 2 && report.records == 2);
    load(segment(1), &after);
    AF_CHECK(af_slice_eq(af_buf_slice(&before), af_buf_slice(&after)));
    AF_CHECK_OK(af_wal_check("/nonexistent/wal", false, NULL, NULL, note, &faults, &report, &err), err);
    AF_CHECK_INT(report.records, 0);
    af_buf_done(&before);
    af_buf_done(&after);
}

static enum af_status refuse(void *ctx, uint64_t ticket, struct af_slice payload, struct af_error *err)
{
    (void)ctx, (void)payload;
    return ticket == 2 ? af_fail(err, AF_EBUSY, "no") : AF_OK;
}
AF_TEST(wal_replay_may_refuse)
{
    struct af_wal *wal = NULL;
    struct af_error err;
    make_three();
    AF_CHECK_FAILS(af_wal_open(wal_dir(), refuse, NULL, &wal, NULL, &err), AF_EBUSY);
    check_log("one,two,three,", NULL);
}

/* --- disks that fail ---------------------------------------------------------------------------------------------------------------- */

AF_TEST(wal_goes_on_after_a_full_disk)
{
    struct seen seen;
    struct af_buf want;
    char *big = malloc(200 << 10);
    struct af_error err;
    memset(big, 'b', 200 << 10);
    seen_init(&seen);
    af_buf_init(&want, 1 << 28);
    struct af_wal *wal = open_ok(&seen, NULL);
    uint64_t ticket;
    uint64_t next = 1;
    for (uint64_t n = 1; n <= 3; n++) { /* a large record takes two writes */
        af_os_fault(AF_OS_WRITE, n, 1, ENOSPC);
        enum af_status status = af_wal_append(wal, af_slice_make(big, 200 << 10), &ticket, &err);
        af_os_fault(AF_OS_WRITE, 0, 0, 0);
        if (status == AF_OK) {
            AF_CHECK(n == 3 && ticket == next++);
            af_wal_applied(wal, ticket);
            af_buf_append(&want, big, 200 << 10);
            af_buf_append_char(&want, ',');
        } else {
            AF_CHECK(status == AF_EFULL && n < 3);
        }
        AF_CHECK_INT(append_ok(wal, "ok"), next++);
        af_buf_append_str(&want, "ok,");
    }
    AF_CHECK(!af_wal_is_sick(wal, big, 100));
    af_wal_close(wal);
    check_log(af_buf_cstr(&want), NULL);
    af_buf_done(&want);
    af_buf_done(&seen.text);
    free(big);
}

AF_TEST(wal_is_done_after_a_failed_fsync)
{
    struct seen seen;
    struct af_error err;
    uint64_t ticket;
    char why[300];
    make_three();
    seen_init(&seen);
    struct af_wal *wal = open_ok(&seen, NULL);
    af_os_fault(AF_OS_SYNC, 1, 1, ENOSPC); /* whatever it is called */
    AF_CHECK_FAILS(af_wal_append(wal, AF_SLICE_LIT("four"), &ticket, &err), AF_EIO);
    af_os_fault(AF_OS_SYNC, 0, 0, 0);
    AF_CHECK(strstr(err.message, "open the data directory again") != NULL && strstr(err.message, "not tried again") != NULL);
    for (int i = 0; i < 3; i++)
        AF_CHECK_FAILS(af_wal_append(wal, AF_SLICE_LIT("five"), &ticket, &err), AF_EIO);
    AF_CHECK(strstr(err.message, "0000000001.wal") != NULL);
    AF_CHECK_FAILS(af_wal_probe(wal, &err), AF_EIO);
    AF_CHECK(af_wal_is_sick(wal, why, sizeof why) && strlen(why) > 20);
    uint64_t first;
    af_wal_pause(wal);
    AF_CHECK_FAILS(af_wal_rotate(wal, &first, &err), AF_EIO);
    af_wal_resume(wal);
    af_wal_close(wal);
    check_log("one,two,three,four,", NULL); /* it may be there: its caller was told that nobody knows */
    af_buf_done(&seen.text);
}

/* Each write and each fsync of a sequence fails once: what was acknowledged is there afterwards, what was refused as full is not. */
static void run_faults(enum af_os_call call, int code, uint64_t n)
{
    struct seen seen;
    struct af_buf want;
    struct af_wal *wal = NULL;
    struct af_error err;
    bool is_unsure = false;
    seen_init(&seen);
    af_buf_init(&want, 1 << 20);
    af_os_fault(call, n, 1, code);
    enum af_status status = af_wal_open(wal_dir(), see, &seen, &wal, NULL, &err);
    for (int i = 0; i < 9 && status == AF_OK; i++) {
        char text[16];
        uint64_t ticket;
        uint64_t first;
        (void)snprintf(text, sizeof text, "%d", i);
        enum af_status got = af_wal_append(wal, af_slice_of(text), &ticket, &err);
        is_unsure = is_unsure || got == AF_EIO;
        if (got == AF_OK) {
            af_wal_applied(wal, ticket);
            af_buf_printf(&want, "%d,", i);
        }
        if (i % 3 == 2) {
            af_wal_pause(wal);
            got = af_wal_rotate(wal, &first, &err);
            AF_CHECK(got == AF_OK || got == AF_EFULL || got == AF_EIO);
            af_wal_resume(wal);
        }
    }
    af_os_fault(call, 0, 0, 0);
    af_wal_close(wal);
    af_buf_clear(&seen.text);
    seen.count = 0;
    af_wal_close(open_ok(&seen, NULL));
    AF_CHECK(seen.text.len >= want.len && memcmp(af_buf_cstr(&seen.text), af_buf_cstr(&want), want.len) == 0);
    AF_CHECK(is_unsure || seen.text.len == want.len);
    for (uint64_t i = 1; i < 20; i++)
        AF_CHECK_OK(af_path_remove(segment(i), &err), err);
    af_buf_done(&seen.text);
    af_buf_done(&want);
}
AF_TEST(wal_survives_every_failed_call)
{
    for (uint64_t n = 1; n < 20; n++)
        run_faults(AF_OS_WRITE, ENOSPC, n);
    for (uint64_t n = 1; n < 24; n++)
        run_faults(AF_OS_SYNC, EIO, n);
}

AF_TEST(wal_open_survives_failures)
{
    for (uint64_t n = 1; n < 12; n++) {
        struct seen seen;
        struct af_wal *wal = NULL;
        struct af_error err;
        seen_init(&seen);
        if (n == 1)
            make_segments();
        af_os_fault(AF_OS_READ, n, 1, EIO);
        enum af_status status = af_wal_open(wal_dir(), see, &seen, &wal, NULL, &err);
        af_os_fault(AF_OS_READ, 0, 0, 0);
        AF_CHECK(status == AF_OK || status == AF_EIO);
        af_wal_close(wal);
        check_log("one,two,three,four,five,", NULL);
        af_buf_done(&seen.text);
    }
}

AF_TEST(wal_survives_any_failed_allocation)
{
    make_segments();
    for (size_t n = 1, is_over = 0; !is_over; n++) {
        struct seen seen;
        struct af_wal *wal = NULL;
        struct af_error err;
        uint64_t ticket;
        uint64_t first;
        seen_init(&seen);
        af_alloc_fail_nth(n);
        enum af_status status = af_wal_open(wal_dir(), NULL, NULL, &wal, NULL, &err);
        if (status == AF_OK)
            status = af_wal_append(wal, AF_SLICE_LIT(""), &ticket, &err);
        if (status == AF_OK) {
            af_wal_applied(wal, ticket);
            af_wal_pause(wal);
            status = af_wal_rotate(wal, &first, &err);
            af_wal_resume(wal);
        }
        is_over = af_alloc_fail_nth(0) < n;
        AF_CHECK(status == (is_over ? AF_OK : AF_ENOMEM));
        af_wal_close(wal);
        check_log("one,two,three,four,five,", NULL);
        af_buf_done(&seen.text);
    }
}

/* --- many threads -------------------------------------------------------------------------------------------------------------------- */

enum { THREADS = 6, APPENDS = 250 };
struct crowd {
    struct af_wal *wal;
    _Atomic uint64_t applied;
    uint64_t dropped_before;      /* tickets below are in segments that are gone */
    _Atomic uint32_t next_thread;
    atomic_size_t running;
    bool has_faults;
    atomic_size_t refused;
    bool is_acked[THREADS][APPENDS];
};

static void crowd_append(void *ctx)
{
    struct crowd *crowd = ctx;
    uint32_t me = atomic_fetch_add(&crowd->next_thread, 1);
    struct af_prng prng = { me };
    char *text = malloc(100000);
    for (int i = 0; i < APPENDS; i++) {
        struct af_error err;
        uint64_t ticket;
        size_t len = af_prng_below(&prng, 20) == 0 ? 100000 : 11 + (size_t)af_prng_below(&prng, 500);
        memset(text, 'a' + (int)me, len);
        (void)snprintf(text, 32, "%04u%06d", me, i); /* a NUL follows */
        enum af_status status = af_wal_append(crowd->wal, af_slice_make(text, len), &ticket, &err);
        if (status != AF_OK) {
            AF_CHECK(crowd->has_faults && status == AF_EFULL);
            atomic_fetch_add(&crowd->refused, 1);
            continue;
        }
        crowd->is_acked[me][i] = true;
        af_wal_wait_turn(crowd->wal, ticket);
        AF_CHECK_INT(atomic_exchange(&crowd->applied, ticket), ticket - 1); /* one at a time, in order */
        af_wal_applied(crowd->wal, ticket);
    }
    free(text);
    atomic_fetch_sub(&crowd->running, 1);
}

static void crowd_flush(void *ctx)
{
    struct crowd *crowd = ctx;
    struct af_error err;
    while (atomic_load(&crowd->running) > 0) {
        uint64_t first;
        af_wal_pause(crowd->wal);
        uint64_t applied = atomic_load(&crowd->applied);
        enum af_status status = af_wal_rotate(crowd->wal, &first, &err);
        AF_CHECK_INT(atomic_load(&crowd->applied), applied); /* nothing moves meanwhile */
        af_wal_resume(crowd->wal);
        AF_CHECK(status == AF_OK || (crowd->has_faults && status == AF_EFULL));
        if (status == AF_OK) {
            AF_CHECK_OK(af_wal_drop_before(crowd->wal, first, &err), err);
            crowd->dropped_before = applied + 1;
        }
        AF_CHECK(af_wal_bytes(crowd->wal) >= 16 && !af_wal_is_sick(crowd->wal, NULL, 0));
    }
}

struct crowd_seen {
    struct crowd *crowd;
    uint64_t last;
    size_t count;
};
static enum af_status crowd_see(void *ctx, uint64_t ticket, struct af_slice payload, struct af_error *err)
{
    struct crowd_seen *seen = ctx;
    char head[11] = "";
    unsigned me;
    int i;
    (void)err;
    memcpy(head, payload.ptr, 10);
    AF_CHECK(sscanf(head, "%4u%6d", &me, &i) == 2 && me < THREADS && i < APPENDS);
    AF_CHECK(seen->last == 0 || ticket == seen->last + 1);
    AF_CHECK(seen->crowd->is_acked[me][i]); /* what was refused is not there */
    for (size_t k = 10; k < payload.len; k++)
        AF_CHECK(payload.ptr[k] == (k == 10 ? 0 : (char)('a' + (int)me)));
    seen->last = ticket;
    seen->count++;
    return AF_OK;
}

static void run_crowd(struct crowd *crowd, bool has_flusher)
{
    struct af_thread threads[THREADS + 1];
    struct seen seen;
    struct af_error err;
    seen_init(&seen);
    crowd->wal = open_ok(&seen, NULL);
    atomic_store(&crowd->running, THREADS);
    for (int i = 0; i < THREADS; i++)
        AF_CHECK_OK(af_thread_start(&threads[i], "append", crowd_append, crowd, &err), err);
    if (has_flusher)
        AF_CHECK_OK(af_thread_start(&threads[THREADS], "flush", crowd_flush, crowd, &err), err);
    for (int i = 0; i < THREADS + has_flusher; i++)
        af_thread_join(&threads[i]);
    af_os_fault(AF_OS_WRITE, 0, 0, 0);
    AF_CHECK(af_wal_syncs(crowd->wal) <= atomic_load(&crowd->applied));
    af_wal_close(crowd->wal);

    struct crowd_seen all = { .crowd = crowd };
    struct af_wal *wal = NULL;
    AF_CHECK_OK(af_wal_open(wal_dir(), crowd_see, &all, &wal, NULL, &err), err);
    af_wal_close(wal);
    AF_CHECK_INT(all.count, atomic_load(&crowd->applied) + 1 - (has_flusher ? crowd->dropped_before : 1));
    AF_CHECK(all.count == 0 || all.last == atomic_load(&crowd->applied));
    af_buf_done(&seen.text);
}

AF_TEST(wal_takes_many_writers)
{
    static struct crowd crowd;
    run_crowd(&crowd, false);
    AF_CHECK_INT(atomic_load(&crowd.applied), THREADS * APPENDS);
}

AF_TEST(wal_takes_many_writers_and_a_flusher)
{
    static struct crowd crowd;
    run_crowd(&crowd, true);
    AF_CHECK_INT(atomic_load(&crowd.applied), THREADS * APPENDS);
}

AF_TEST(wal_refuses_whole_groups)
{
    static struct crowd crowd = { .has_faults = true };
    af_os_fault(AF_OS_WRITE, 20, 40, ENOSPC);
    run_crowd(&crowd, false);
    AF_CHECK(atomic_load(&crowd.refused) >= 40);
    AF_CHECK_INT(atomic_load(&crowd.applied) + atomic_load(&crowd.refused), THREADS * APPENDS);
}
