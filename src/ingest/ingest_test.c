/* ingest_test.c - order under many workers, units, resume, bad files, the journal. */
#include "base/buf.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "ingest/ingest.h"
#include "os/clock.h"
#include "os/fault.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *write_text(const char *name, struct af_slice text)
{
    static char path[8][256];
    static int next;
    char *at = path[next++ % 8];
    snprintf(at, sizeof path[0], "%s/%s", af_test_dir(), name);
    struct af_error err;
    AF_CHECK_OK(af_file_write_atomic(at, text, false, &err), err);
    return at;
}

/* `count` lines m,s=<i % 7> v=<i>i <i>, the times offset by `base`. */
static const char *write_lines(const char *name, size_t count, uint64_t base)
{
    struct af_buf buf;
    af_buf_init(&buf, 64 << 20);
    for (size_t i = 0; i < count; i++)
        af_buf_printf(&buf, "m,s=%zu v=%zui %llu\n", i % 7, i, (unsigned long long)(base + i));
    const char *path = write_text(name, af_buf_slice(&buf));
    af_buf_done(&buf);
    return path;
}

struct seen {
    uint64_t next_ticket;
    int64_t next_time;
    size_t points, rejects, sources_ended, bad_ended, units;
    size_t bad_told;
    uint64_t last_first_row;
};

static enum af_status check_order(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct seen *seen = ctx;
    (void)scratch, (void)err;
    AF_CHECK_INT(block->ticket, seen->next_ticket);
    seen->next_ticket++;
    seen->rejects += block->rejects.count;
    seen->units += block->unit_begins;
    seen->sources_ended += block->source_ends;
    seen->bad_ended += block->source_ends && block->source_is_bad;
    for (size_t i = 0; block->points != NULL && i < block->points->row_count; i++) {
        AF_CHECK_INT(block->points->time_ns[i], seen->next_time);
        seen->next_time++;
        seen->points++;
    }
    return AF_OK;
}

static void count_bad(void *ctx, const struct af_source *source, uint32_t part, uint64_t first_row, uint64_t rows,
                      const struct af_error *why)
{
    (void)source, (void)part, (void)first_row, (void)rows;
    AF_CHECK(why->message[0] != '\0');
    ((struct seen *)ctx)->bad_told++;
}

static enum af_status run(struct af_source_list *list, unsigned workers, size_t resume_source, uint32_t resume_part,
                          struct seen *seen, struct af_ingest_totals *totals, struct af_error *err)
{
    struct af_ingest_options options = { .sources = list, .workers = workers, .resume_source = resume_source,
                                         .resume_part = resume_part, .bad_source = count_bad, .ctx = seen };
    struct af_ingest_stage stage = { .ctx = seen, .deliver = check_order };
    return af_ingest_run(&options, &stage, totals, err);
}

AF_TEST(blocks_come_in_source_order_whatever_the_workers)
{
    const char *args[] = { write_lines("a.lp", 200000, 0), write_lines("b.lp", 50, 200000) };
    for (unsigned workers = 1; workers <= 5; workers += 2) {
        struct af_source_list list;
        struct af_error err;
        AF_CHECK_OK(af_source_list_make(args, 2, NULL, &list, &err), err);
        struct seen seen = { 0 };
        struct af_ingest_totals totals;
        AF_CHECK_OK(run(&list, workers, 0, 0, &seen, &totals, &err), err);
        AF_CHECK_INT(seen.points, 200050);
        AF_CHECK_INT(totals.points, 200050);
        AF_CHECK_INT(seen.sources_ended, 2);
        AF_CHECK_INT(totals.files, 2);
        AF_CHECK_INT(totals.bytes_done, list.items[0].bytes + list.items[1].bytes);
        af_source_list_done(&list);
    }
}

AF_TEST(a_long_text_has_several_units_and_resumes_at_one)
{
    size_t count = AF_UNIT_ROWS + 1000;
    const char *args[] = { write_lines("long.lp", count, 0) };
    struct af_source_list list;
    struct af_error err;
    AF_CHECK_OK(af_source_list_make(args, 1, NULL, &list, &err), err);
    struct seen all = { 0 };
    struct af_ingest_totals totals;
    AF_CHECK_OK(run(&list, 2, 0, 0, &all, &totals, &err), err);
    AF_CHECK_INT(all.points, count);
    AF_CHECK_INT(all.units, 2);
    struct seen rest = { .next_time = -1 };
    /* Blocks need not end at the unit's border: the first block of part 1 begins at or after it. */
    rest.next_time = (int64_t)(AF_UNIT_ROWS + AF_BATCH_ROWS - 1) / AF_BATCH_ROWS * AF_BATCH_ROWS;
    struct af_ingest_totals again;
    enum af_status status = run(&list, 2, 0, 1, &rest, &again, &err);
    AF_CHECK_OK(status, err);
    AF_CHECK(rest.points > 0 && rest.points <= 1000);
    AF_CHECK_INT(rest.units, 1);
    af_source_list_done(&list);
}

AF_TEST(a_bad_file_among_good_ones_is_told_and_left_out)
{
    const char *args[] = { write_lines("1.lp", 10, 0), write_text("2.parquet", AF_SLICE_LIT("PAR1 this is not one")),
                           write_lines("3.lp", 10, 10) };
    struct af_source_list list;
    struct af_error err;
    AF_CHECK_OK(af_source_list_make(args, 3, NULL, &list, &err), err);
    struct seen seen = { 0 };
    struct af_ingest_totals totals;
    AF_CHECK_OK(run(&list, 2, 0, 0, &seen, &totals, &err), err);
    AF_CHECK_INT(seen.points, 20);
    AF_CHECK_INT(seen.sources_ended, 3);
    AF_CHECK_INT(seen.bad_ended, 1);
    AF_CHECK_INT(seen.bad_told, 1);
    AF_CHECK_INT(totals.files_bad, 1);
    struct af_ingest_options strict = { .sources = &list, .workers = 2, .strict = true };
    struct af_ingest_stage stage = { .ctx = &seen };
    AF_CHECK_FAILS(af_ingest_run(&strict, &stage, &totals, &err), AF_ECORRUPT);
    AF_CHECK(strstr(err.message, "2.parquet") != NULL);
    af_source_list_done(&list);
}

AF_TEST(bad_lines_are_rejects_with_their_number)
{
    const char *args[] = { write_text("bad.lp", AF_SLICE_LIT("m v=1 0\nthis is bad\nm v=2 1\n# comment\nm v=NaN 9\nm v=3 2")) };
    struct af_source_list list;
    struct af_error err;
    AF_CHECK_OK(af_source_list_make(args, 1, NULL, &list, &err), err);
    struct seen seen = { 0 };
    struct af_ingest_totals totals;
    AF_CHECK_OK(run(&list, 1, 0, 0, &seen, &totals, &err), err);
    AF_CHECK_INT(seen.points, 3);
    AF_CHECK_INT(seen.rejects, 2);
    AF_CHECK_INT(totals.rows_rejected, 2);
    af_source_list_done(&list);
}

static enum af_status fail_deliver(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    (void)ctx, (void)scratch;
    return block->ticket == 2 ? af_fail(err, AF_EFULL, "the disk is full") : AF_OK;
}

AF_TEST(a_failing_stage_ends_the_run_with_its_words)
{
    const char *args[] = { write_lines("many.lp", 300000, 0) };
    struct af_source_list list;
    struct af_error err;
    AF_CHECK_OK(af_source_list_make(args, 1, NULL, &list, &err), err);
    struct af_ingest_options options = { .sources = &list, .workers = 4 };
    struct af_ingest_stage stage = { .deliver = fail_deliver };
    struct af_ingest_totals totals;
    AF_CHECK_FAILS(af_ingest_run(&options, &stage, &totals, &err), AF_EFULL);
    AF_CHECK_STR(err.message, "the disk is full");
    bool cancel = true;
    options.cancel = &cancel;
    stage.deliver = NULL;
    AF_CHECK_FAILS(af_ingest_run(&options, &stage, &totals, &err), AF_ECANCELED);
    af_source_list_done(&list);
}

AF_TEST(sources_that_are_not_there_are_named)
{
    struct af_source_list list;
    struct af_error err;
    const char *none[] = { "/nonexistent/data" };
    AF_CHECK_FAILS(af_source_list_make(none, 1, NULL, &list, &err), AF_ENOTFOUND);
    AF_CHECK(strstr(err.message, "/nonexistent/data") != NULL);
    const char *empty[] = { af_test_dir() };
    AF_CHECK_FAILS(af_source_list_make(empty, 1, NULL, &list, &err), AF_ENOTFOUND);
}

#define SOURCE(name, size, mtime) { .path = name, .format = AF_SOURCE_LP, .bytes = size, .mtime_ns = mtime }

static void settle_all(struct af_journal *journal, const struct af_source *source, uint32_t parts)
{
    for (uint32_t part = 0; part < parts; part++)
        af_journal_settle(journal, source, part, part + 1 == parts ? AF_JOURNAL_LAST : AF_JOURNAL_MORE);
}

AF_TEST(the_journal_resumes_after_the_longest_settled_run)
{
    struct af_source items[3] = { SOURCE("a", 10, 1), SOURCE("b", 20, 2), SOURCE("c", 30, 3) };
    struct af_source_list list = { .count = 3, .items = items };
    char path[256];
    snprintf(path, sizeof path, "%s/journal", af_test_dir());
    struct af_journal *journal;
    struct af_error err;
    bool resumed;
    char run_id[AF_RUN_ID_BYTES] = "first";
    AF_CHECK_OK(af_journal_open(path, 77, true, run_id, &journal, &resumed, &err), err);
    AF_CHECK(!resumed);
    settle_all(journal, &items[0], 2);
    af_journal_settle(journal, &items[1], 0, AF_JOURNAL_MORE);
    af_journal_settle(journal, &items[1], 2, AF_JOURNAL_MORE); /* 1 is missing */
    settle_all(journal, &items[2], 1);
    AF_CHECK_OK(af_journal_sync(journal, &err), err);
    af_journal_close(journal);

    struct af_file *file; /* a torn tail */
    AF_CHECK_OK(af_file_open(path, AF_FILE_APPEND, &file, &err), err);
    AF_CHECK_OK(af_file_write(file, AF_SLICE_LIT("0badc0de 00000000000"), &err), err);
    af_file_close(file);

    size_t source;
    uint32_t part;
    uint64_t bad;
    snprintf(run_id, sizeof run_id, "second");
    AF_CHECK_OK(af_journal_open(path, 77, true, run_id, &journal, &resumed, &err), err);
    AF_CHECK(resumed);
    AF_CHECK_STR(run_id, "first");
    af_journal_resume_point(journal, &list, &source, &part, &bad);
    AF_CHECK_INT(source, 1);
    AF_CHECK_INT(part, 1);
    af_journal_settle(journal, &items[1], 1, AF_JOURNAL_BAD);
    af_journal_resume_point(journal, &list, &source, &part, &bad);
    AF_CHECK_INT(source, 3);
    AF_CHECK_INT(bad, 1);
    items[0].mtime_ns++; /* the file changed: it is another one */
    af_journal_resume_point(journal, &list, &source, &part, &bad);
    AF_CHECK_INT(source, 0);
    af_journal_close(journal);

    snprintf(run_id, sizeof run_id, "third");
    AF_CHECK_OK(af_journal_open(path, 78, true, run_id, &journal, &resumed, &err), err);
    AF_CHECK(!resumed);
    AF_CHECK_STR(run_id, "third");
    af_journal_close(journal);
}

AF_TEST(a_pipe_is_never_skipped)
{
    struct af_source items[2] = { SOURCE("a", 10, 1), { .path = "-", .format = AF_SOURCE_LP, .is_pipe = true } };
    struct af_source_list list = { .count = 2, .items = items };
    char path[256];
    snprintf(path, sizeof path, "%s/journal-stdin", af_test_dir());
    struct af_journal *journal;
    struct af_error err;
    bool resumed;
    char run_id[AF_RUN_ID_BYTES] = "run";
    AF_CHECK_OK(af_journal_open(path, 1, false, run_id, &journal, &resumed, &err), err);
    settle_all(journal, &items[0], 1);
    settle_all(journal, &items[1], 3);
    size_t source;
    uint32_t part;
    uint64_t bad;
    af_journal_resume_point(journal, &list, &source, &part, &bad);
    AF_CHECK_INT(source, 1);
    AF_CHECK_INT(part, 0);
    af_journal_close(journal);
}

AF_TEST(a_full_disk_does_not_make_the_journal_forget)
{
    struct af_source item = SOURCE("a", 10, 1);
    struct af_source_list list = { .count = 1, .items = &item };
    char path[256];
    snprintf(path, sizeof path, "%s/journal-full", af_test_dir());
    struct af_journal *journal;
    struct af_error err;
    bool resumed;
    char run_id[AF_RUN_ID_BYTES] = "run";
    AF_CHECK_OK(af_journal_open(path, 1, false, run_id, &journal, &resumed, &err), err);
    af_journal_settle(journal, &item, 0, AF_JOURNAL_MORE);
    af_os_fault(AF_OS_WRITE, 1, 1, ENOSPC);
    AF_CHECK_FAILS(af_journal_sync(journal, &err), AF_EFULL);
    af_os_fault(AF_OS_WRITE, 0, 0, 0);
    af_journal_settle(journal, &item, 1, AF_JOURNAL_LAST);
    AF_CHECK_OK(af_journal_sync(journal, &err), err);
    af_journal_close(journal);
    AF_CHECK_OK(af_journal_open(path, 1, true, run_id, &journal, &resumed, &err), err);
    size_t source;
    uint32_t part;
    uint64_t bad;
    af_journal_resume_point(journal, &list, &source, &part, &bad);
    AF_CHECK_INT(source, 1);
    af_journal_close(journal);
}

struct wide_seen {
    uint64_t next_row;
    size_t points, blocks, units, last_ticket_row;
};

static enum af_status check_wide(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct wide_seen *seen = ctx;
    (void)scratch, (void)err;
    seen->units += block->unit_begins;
    if (block->points == NULL)
        return AF_OK;
    AF_CHECK(block->lines != NULL);
    AF_CHECK(block->unit_begins ? block->ticket_row == 0 : block->ticket_row > 0);
    for (size_t i = 0; i < block->points->row_count; i++) {
        AF_CHECK_INT(block->lines[i], block->points->time_ns[i]); /* the test writes the line's number as its time */
        AF_CHECK_INT(block->ticket_row + i, seen->next_row++);
    }
    seen->points += block->points->row_count;
    seen->blocks++;
    return AF_OK;
}

/* Each line with a field of its own: more columns than one batch can have. */
AF_TEST(lines_with_very_many_fields_come_in_several_blocks)
{
    enum { LINES = 8000 };
    struct af_buf buf;
    af_buf_init(&buf, 64 << 20);
    for (int i = 0; i < LINES; i++)
        af_buf_printf(&buf, "m,s=1 field%d=%d %d\n", i, i, i);
    const char *args[] = { write_text("wide.lp", af_buf_slice(&buf)) };
    af_buf_done(&buf);
    struct af_source_list list;
    struct af_error err;
    AF_CHECK_OK(af_source_list_make(args, 1, NULL, &list, &err), err);
    struct wide_seen seen = { 0 };
    struct af_ingest_options options = { .sources = &list, .workers = 2 };
    struct af_ingest_stage stage = { .ctx = &seen, .deliver = check_wide };
    struct af_ingest_totals totals;
    AF_CHECK_OK(af_ingest_run(&options, &stage, &totals, &err), err);
    AF_CHECK_INT(seen.points, LINES);
    AF_CHECK_INT(totals.rows_read, LINES);
    AF_CHECK_INT(totals.points, LINES);
    AF_CHECK_INT(seen.units, 1);
    AF_CHECK(seen.blocks > 1);
    af_source_list_done(&list);
}

static enum af_status check_lines(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    size_t *rejects = ctx;
    (void)scratch, (void)err;
    for (size_t i = 0; block->points != NULL && i < block->points->row_count; i++)
        AF_CHECK_INT(block->lines[i], block->points->time_ns[i]);
    for (size_t i = 0; i < block->rejects.count; i++) {
        AF_CHECK_INT(block->rejects.items[i].row, SIZE_MAX);
        AF_CHECK_INT(block->rejects.items[i].file_row % 10, 5);
    }
    *rejects += block->rejects.count;
    return AF_OK;
}

/* Comments, blank lines, bad lines and strings with line ends: a line keeps the number that an editor shows (from 0). */
AF_TEST(lines_know_their_number)
{
    enum { TENS = 20000 };
    struct af_buf buf;
    af_buf_init(&buf, 64 << 20);
    for (int i = 0; i < TENS * 10; i += 10)
        af_buf_printf(&buf, "m,s=1 v=1 %d\n# comment\n\nm,s=2 t=\"a\nb\" %d\nm v=x\nm,s=1 v=1 %d\nm,s=%d v=2 %d\nm t=\"\\\"\n\" %d\n",
                      i, i + 3, i + 6, i % 3, i + 7, i + 8);
    const char *args[] = { write_text("numbered.lp", af_buf_slice(&buf)) };
    af_buf_done(&buf);
    struct af_source_list list;
    struct af_error err;
    AF_CHECK_OK(af_source_list_make(args, 1, NULL, &list, &err), err);
    for (unsigned workers = 1; workers <= 3; workers += 2) {
        size_t rejects = 0;
        struct af_ingest_options options = { .sources = &list, .workers = workers };
        struct af_ingest_stage stage = { .ctx = &rejects, .deliver = check_lines };
        struct af_ingest_totals totals;
        AF_CHECK_OK(af_ingest_run(&options, &stage, &totals, &err), err);
        AF_CHECK_INT(rejects, TENS);
        AF_CHECK_INT(totals.points, TENS * 5);
    }
    af_source_list_done(&list);
}

static void write_later(const char *path, const char *text, unsigned pause_ms)
{
    if (fork() != 0)
        return;
    int fd = open(path, O_WRONLY);
    for (const char *at = text; *at != '\0'; at++) {
        size_t len = strcspn(at, "|");
        if (write(fd, at, len) != (ssize_t)len)
            _exit(1);
        at += len - (at[len] == '\0');
        af_clock_sleep_ms(pause_ms);
    }
    _exit(0);
}

static const char *make_fifo(const char *name)
{
    const char *path = write_text(name, AF_SLICE_LIT(""));
    struct af_error err;
    AF_CHECK_OK(af_path_remove(path, &err), err);
    AF_CHECK(mkfifo(path, 0600) == 0);
    return path;
}

/* A pipe says its bytes once: what must be read at random or again is copied. */
AF_TEST(pipes_are_copied_where_once_is_not_enough)
{
    const char *args[] = { make_fifo("t.csv"), make_fifo("guess"), make_fifo("u.lp") };
    struct af_source_list list;
    struct af_error err;
    AF_CHECK_OK(af_source_list_make(args, 3, NULL, &list, &err), err);
    for (size_t i = 0; i < 3; i++)
        AF_CHECK(list.items[i].is_pipe);
    write_later(args[0], "s;v;time\na;1;2024-01-01T00:00:00Z\n", 0);
    AF_CHECK_OK(af_source_list_keep(&list, &(struct af_source_keep){ 0 }, &err), err);
    AF_CHECK(list.items[0].copy != NULL && list.items[1].copy == NULL && list.items[2].copy == NULL);
    AF_CHECK_INT(list.items[1].format, AF_SOURCE_LP);
    write_later(args[1], "s;v;time\na;2;2024-01-01T00:00:00Z\n", 0);
    write_later(args[2], "m,s=a v=3 0\n", 0);
    struct af_source_keep all = { .are_tables = true, .must_repeat = true, .scratch_dir = af_test_dir() };
    AF_CHECK_OK(af_source_list_keep(&list, &all, &err), err);
    AF_CHECK_INT(list.items[1].format, AF_SOURCE_CSV);
    AF_CHECK_INT(list.items[2].format, AF_SOURCE_LP);
    AF_CHECK_INT(list.items[2].bytes, 12);
    struct af_map *map;
    AF_CHECK_OK(af_map_parse("m", AF_SLICE_LIT("measurement: m\ntime: time\ntags:\n  s: s\nfields:\n  v: v\n"), &map, &err), err);
    struct af_ingest_options options = { .sources = &list, .map = map, .workers = 2 };
    struct af_ingest_stage stage = { .ctx = NULL };
    for (int again = 0; again < 2; again++) {
        struct af_ingest_totals totals;
        AF_CHECK_OK(af_ingest_run(&options, &stage, &totals, &err), err);
        AF_CHECK_INT(totals.points, 3);
        AF_CHECK_INT(totals.files_bad, 0);
    }
    af_map_free(map);
    af_source_list_done(&list);
}

struct slow_seen {
    size_t blocks;
    size_t points;
};

static enum af_status count_blocks(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct slow_seen *seen = ctx;
    (void)scratch, (void)err;
    seen->blocks += block->points != NULL;
    seen->points += block->points != NULL ? block->points->row_count : 0;
    return AF_OK;
}

/* Somebody types: a line goes on its way when it is there, not when a megabyte is. */
AF_TEST(lines_of_a_slow_pipe_do_not_wait_for_more)
{
    const char *args[] = { make_fifo("slow.lp") };
    struct af_source_list list;
    struct af_error err;
    AF_CHECK_OK(af_source_list_make(args, 1, NULL, &list, &err), err);
    write_later(args[0], "m v=1 1\nm v=2 2\n|m t=\"a\n|\" 3\n|m v=4 4", 100);
    struct slow_seen seen = { 0 };
    struct af_ingest_options options = { .sources = &list, .workers = 1 };
    struct af_ingest_stage stage = { .ctx = &seen, .deliver = count_blocks };
    struct af_ingest_totals totals;
    AF_CHECK_OK(af_ingest_run(&options, &stage, &totals, &err), err);
    AF_CHECK_INT(seen.points, 4);
    AF_CHECK_INT(seen.blocks, 3);
    af_source_list_done(&list);
}

/* What was read before a line that is too long is not lost with it. */
AF_TEST(whole_lines_before_an_endless_one_are_kept)
{
    struct af_buf buf;
    af_buf_init(&buf, (size_t)AF_LP_LINE_BYTES_MAX + 4096);
    af_buf_append_str(&buf, "m v=1 1\nm v=2 2\nm t=\"");
    memset(af_buf_reserve(&buf, AF_LP_LINE_BYTES_MAX), 'x', AF_LP_LINE_BYTES_MAX);
    buf.len += AF_LP_LINE_BYTES_MAX;
    af_buf_append_str(&buf, "\" 3\nm v=4 4\n");
    const char *args[] = { write_text("endless.lp", af_buf_slice(&buf)) };
    af_buf_done(&buf);
    struct af_source_list list;
    struct af_error err;
    AF_CHECK_OK(af_source_list_make(args, 1, NULL, &list, &err), err);
    struct seen seen = { .next_time = 1 };
    struct af_ingest_totals totals;
    AF_CHECK_OK(run(&list, 1, 0, 0, &seen, &totals, &err), err);
    AF_CHECK_INT(seen.points, 2);
    AF_CHECK_INT(totals.files_bad, 1);
    AF_CHECK_INT(seen.bad_told, 1);
    af_source_list_done(&list);
}
