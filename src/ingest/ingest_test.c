/* ingest_test.c - order under many workers, units, resume, bad files, the journal. */
#include "base/buf.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "ingest/ingest.h"
#include "os/fault.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <errno.h>
#include <stdio.h>

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
        AF_CHECK_OK(af_source_list_make(args, 2, &list, &err), err);
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
    AF_CHECK_OK(af_source_list_make(args, 1, &list, &err), err);
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
    AF_CHECK_OK(af_source_list_make(args, 3, &list, &err), err);
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
    AF_CHECK_OK(af_source_list_make(args, 1, &list, &err), err);
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
    AF_CHECK_OK(af_source_list_make(args, 1, &list, &err), err);
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
    AF_CHECK_FAILS(af_source_list_make(none, 1, &list, &err), AF_ENOTFOUND);
    AF_CHECK(strstr(err.message, "/nonexistent/data") != NULL);
    const char *empty[] = { af_test_dir() };
    AF_CHECK_FAILS(af_source_list_make(empty, 1, &list, &err), AF_ENOTFOUND);
}

static void settle_all(struct af_journal *journal, const struct af_source *source, uint32_t parts)
{
    for (uint32_t part = 0; part < parts; part++)
        af_journal_settle(journal, source, part, part + 1 == parts ? AF_JOURNAL_LAST : AF_JOURNAL_MORE);
}

AF_TEST(the_journal_resumes_after_the_longest_settled_run)
{
    struct af_source items[3] = { { "a", AF_SOURCE_LP, 10, 1 }, { "b", AF_SOURCE_LP, 20, 2 }, { "c", AF_SOURCE_LP, 30, 3 } };
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

AF_TEST(standard_input_is_never_skipped)
{
    struct af_source items[2] = { { "a", AF_SOURCE_LP, 10, 1 }, { "-", AF_SOURCE_LP, 0, 0 } };
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
    struct af_source item = { "a", AF_SOURCE_LP, 10, 1 };
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
