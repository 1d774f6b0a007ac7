/* run_test.c - blocks that overtake each other: order, parking, its bound, failure and cancel while blocks wait. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/limits.h"
#include "ingest/ingest.h"
#include "os/clock.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCKS = 16, LINES = BLOCKS * AF_BATCH_ROWS, WAIT_MS = 20000 };

static void list_of(const char *const *paths, size_t count, struct af_source_list *list)
{
    struct af_error err;
    AF_CHECK_OK(af_source_list_make(paths, count, NULL, list, &err), err);
}

static void write_file(const char *path, const struct af_buf *text)
{
    struct af_error err;
    AF_CHECK_OK(af_file_write_atomic(path, af_buf_slice(text), false, &err), err);
}

/* BLOCKS blocks of lines m,s=<i / 64> v=1i <i>: each block brings new series. */
static void many_lines(struct af_source_list *list)
{
    char path[256];
    const char *paths[] = { path };
    struct af_buf text;
    snprintf(path, sizeof path, "%s/many.lp", af_test_dir());
    af_buf_init(&text, 64 << 20);
    for (int i = 0; i < LINES; i++)
        af_buf_printf(&text, "m,s=%d v=1i %d\n", i / 64, i);
    write_file(path, &text);
    af_buf_done(&text);
    list_of(paths, 1, list);
}

/* --- a stage that is slow where the test says --------------------------------------------------------------------------------- */

struct slow {
    _Atomic unsigned worked, delivered; /* blocks */
    uint64_t held;                      /* the ticket that is held, in work or in deliver, until `until` blocks were worked on */
    unsigned until;
    bool is_held_in_deliver, fails, cancels, is_uneven;
    bool has_waited_in_vain;
    bool cancel;
    unsigned settled;                   /* blocks worked on when all had come to rest */
    int64_t next_time;
    uint64_t next_ticket;
};

struct note { /* the scratch: what work leaves for deliver */
    uint64_t ticket;
    int64_t first_time;
};

static void *note_new(void *ctx)
{
    (void)ctx;
    return af_alloc_zero(1, sizeof(struct note));
}

static void note_free(void *ctx, void *scratch)
{
    (void)ctx;
    af_free(scratch);
}

static enum af_status hold(struct slow *slow, struct af_error *err)
{
    unsigned waited = 0;
    while (slow->worked < slow->until && waited++ < WAIT_MS)
        af_clock_sleep_ms(1);
    slow->has_waited_in_vain = slow->worked < slow->until;
    af_clock_sleep_ms(100);
    slow->settled = slow->worked;
    if (slow->cancels)
        __atomic_store_n(&slow->cancel, true, __ATOMIC_RELAXED);
    return slow->fails ? af_fail(err, AF_EIO, "this one fails") : AF_OK;
}

static enum af_status slow_work(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct slow *slow = ctx;
    struct note *note = scratch;
    AF_CHECK(block->points->set != NULL);
    *note = (struct note){ block->ticket, block->points->time_ns[0] };
    if (slow->is_uneven)
        af_clock_sleep_ms((unsigned)(block->ticket * 7 % 5));
    if (!slow->is_held_in_deliver && block->ticket == slow->held && slow->until != 0)
        AF_TRY(hold(slow, err));
    slow->worked++;
    return AF_OK;
}

static enum af_status slow_deliver(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct slow *slow = ctx;
    const struct note *note = scratch;
    AF_CHECK_INT(block->ticket, slow->next_ticket);
    slow->next_ticket++;
    slow->delivered++;
    if (block->points == NULL)
        return AF_OK;
    AF_CHECK(block->points->set == NULL); /* it may be another block's by now: nobody may look */
    AF_CHECK_INT(note->ticket, block->ticket);
    AF_CHECK_INT(note->first_time, slow->next_time);
    for (size_t i = 0; i < block->points->row_count; i++)
        AF_CHECK_INT(block->points->time_ns[i], slow->next_time++);
    return slow->is_held_in_deliver && block->ticket == slow->held ? hold(slow, err) : AF_OK;
}

static enum af_status run_slow(const struct af_source_list *list, unsigned workers, struct slow *slow,
                               struct af_ingest_totals *totals, struct af_error *err)
{
    struct af_ingest_options options = { .sources = list, .workers = workers, .cancel = &slow->cancel };
    struct af_ingest_stage stage = { .ctx = slow, .scratch_new = note_new, .scratch_free = note_free, .work = slow_work,
                                     .deliver = slow_deliver };
    return af_ingest_run(&options, &stage, totals, err);
}

AF_TEST(order_holds_when_blocks_take_unequal_times)
{
    struct af_source_list list;
    many_lines(&list);
    for (unsigned workers = 1; workers <= 7; workers += 3) {
        struct slow slow = { .is_uneven = true };
        struct af_ingest_totals totals;
        struct af_error err;
        AF_CHECK_OK(run_slow(&list, workers, &slow, &totals, &err), err);
        AF_CHECK_INT(slow.next_time, LINES);
        AF_CHECK_INT(slow.delivered, BLOCKS + 1);
        AF_CHECK_INT(totals.points, LINES);
    }
    af_source_list_done(&list);
}

/* While the first block takes its time, the other worker does not sleep; but it cannot run away either. */
AF_TEST(a_slow_block_lets_some_others_pass_and_no_more)
{
    struct af_source_list list;
    many_lines(&list);
    for (int in_deliver = 0; in_deliver < 2; in_deliver++) {
        struct slow slow = { .held = 1, .until = 5, .is_held_in_deliver = in_deliver };
        struct af_ingest_totals totals;
        struct af_error err;
        AF_CHECK_OK(run_slow(&list, 2, &slow, &totals, &err), err);
        AF_CHECK(!slow.has_waited_in_vain);
        AF_CHECK(slow.settled <= 10);
        AF_CHECK_INT(slow.next_time, LINES);
    }
    af_source_list_done(&list);
}

AF_TEST(a_failure_with_blocks_parked_behind_it_delivers_none_of_them)
{
    struct af_source_list list;
    many_lines(&list);
    for (int in_deliver = 0; in_deliver < 2; in_deliver++) {
        struct slow slow = { .held = 3, .until = 6, .is_held_in_deliver = in_deliver, .fails = true };
        struct af_ingest_totals totals;
        struct af_error err;
        AF_CHECK_FAILS(run_slow(&list, 3, &slow, &totals, &err), AF_EIO);
        AF_CHECK(strstr(err.message, "this one fails") != NULL);
        AF_CHECK(!slow.has_waited_in_vain);
        AF_CHECK(slow.delivered <= 3u + (unsigned)in_deliver);
    }
    af_source_list_done(&list);
}

AF_TEST(a_cancel_with_blocks_parked_ends_the_run)
{
    struct af_source_list list;
    many_lines(&list);
    struct slow slow = { .held = 3, .until = 6, .cancels = true };
    struct af_ingest_totals totals;
    struct af_error err;
    AF_CHECK_FAILS(run_slow(&list, 2, &slow, &totals, &err), AF_ECANCELED);
    AF_CHECK(!slow.has_waited_in_vain);
    AF_CHECK(slow.delivered >= 3 && slow.delivered <= 10);
    AF_CHECK_INT(totals.rows_read, (uint64_t)slow.delivered * AF_BATCH_ROWS);
    af_source_list_done(&list);
}

/* --- other stages ------------------------------------------------------------------------------------------------------------ */

static enum af_status check_keys(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    size_t *points = ctx;
    (void)scratch, (void)err;
    af_clock_sleep_ms(5);
    if (block->points != NULL) /* its last series is the set's last: no other block was mapped with it since */
        AF_CHECK_INT(block->points->series[block->points->row_count - 1] + 1, block->points->set->keys.count);
    for (size_t i = 0; block->points != NULL && i < block->points->row_count; i++) {
        struct af_slice key = block->points->set->keys.keys[block->points->series[i]];
        AF_CHECK_INT(strtol(key.ptr + 4, NULL, 10), block->points->time_ns[i] / 64);
        AF_CHECK_INT(block->points->time_ns[i], *points);
        ++*points;
    }
    return AF_OK;
}

AF_TEST(without_work_deliver_has_the_series)
{
    struct af_source_list list;
    many_lines(&list);
    for (unsigned workers = 1; workers <= 3; workers++) {
        size_t points = 0;
        struct af_ingest_options options = { .sources = &list, .workers = workers };
        struct af_ingest_stage stage = { .ctx = &points, .deliver = check_keys };
        struct af_ingest_totals totals;
        struct af_error err;
        AF_CHECK_OK(af_ingest_run(&options, &stage, &totals, &err), err);
        AF_CHECK_INT(points, LINES);
    }
    af_source_list_done(&list);
}

static enum af_status no_work(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    (void)ctx, (void)scratch, (void)err;
    if (block->ticket % 3 == 0)
        af_clock_sleep_ms(2);
    return AF_OK;
}

struct letters {
    size_t rejects, sources;
    uint64_t next_ticket, next_row;
};

static enum af_status check_rejects(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct letters *seen = ctx;
    (void)scratch, (void)err;
    AF_CHECK_INT(block->ticket, seen->next_ticket++);
    for (size_t i = 0; i < block->rejects.count; i++) {
        AF_CHECK_STR(block->rejects.items[i].column, "v");
        AF_CHECK_STR(block->rejects.items[i].reason, "not a number: 'x'");
        AF_CHECK(block->rejects.items[i].raw.len != 0);
    }
    seen->rejects += block->rejects.count;
    seen->sources += block->source_ends;
    return AF_OK;
}

/* Each file brings a mapper of its own, and the parked blocks of one outlive it in its worker. */
AF_TEST(rejects_of_small_files_outlive_their_mappers)
{
    enum { FILES = 60 };
    char dir[200], path[256];
    const char *dirs[] = { dir };
    struct af_error err;
    snprintf(dir, sizeof dir, "%s/small", af_test_dir());
    AF_CHECK_OK(af_dir_make(dir, &err), err);
    for (int i = 0; i < FILES; i++) {
        struct af_buf text;
        af_buf_init(&text, 4096);
        snprintf(path, sizeof path, "%s/%03d.csv", dir, i);
        af_buf_printf(&text, "s;v;time\na;%d;2024-01-01T00:00:00Z\nb;x;2024-01-01T00:00:00Z\n", i);
        write_file(path, &text);
        af_buf_done(&text);
    }
    struct af_source_list list;
    list_of(dirs, 1, &list);
    struct af_map *map;
    AF_CHECK_OK(af_map_parse("m", AF_SLICE_LIT("measurement: m\ntime: time\ntags:\n  s: s\nfields:\n  v: { column: v, type: float }\n"),
                             &map, &err), err);
    struct letters seen = { 0 };
    struct af_ingest_options options = { .sources = &list, .map = map, .workers = 3 };
    struct af_ingest_stage stage = { .ctx = &seen, .work = no_work, .deliver = check_rejects };
    struct af_ingest_totals totals;
    AF_CHECK_OK(af_ingest_run(&options, &stage, &totals, &err), err);
    AF_CHECK_INT(seen.rejects, FILES);
    AF_CHECK_INT(seen.sources, FILES);
    AF_CHECK_INT(totals.points, FILES);
    af_map_free(map);
    af_source_list_done(&list);
}

struct wide {
    uint64_t next_row;
    unsigned later_parts;
};

static enum af_status check_wide(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct wide *wide = ctx;
    (void)scratch, (void)err;
    for (size_t i = 0; block->points != NULL && i < block->points->row_count; i++) {
        AF_CHECK_INT(block->lines[i], wide->next_row);
        AF_CHECK_INT(block->points->time_ns[i], wide->next_row);
        wide->next_row++;
    }
    wide->later_parts += block->ticket_row != 0;
    return AF_OK;
}

/* Blocks that come in parts cannot be parked before the last: they meet others that are. */
AF_TEST(blocks_in_parts_keep_their_place_among_parked_ones)
{
    enum { ROWS = 3 * AF_BATCH_ROWS, WIDE = 5000 };
    char path[256];
    const char *paths[] = { path };
    struct af_buf text;
    struct af_source_list list;
    snprintf(path, sizeof path, "%s/parts.lp", af_test_dir());
    af_buf_init(&text, 64 << 20);
    for (int i = 0; i < ROWS; i++)
        af_buf_printf(&text, "m,s=1 f%d=1 %d\n", i / AF_BATCH_ROWS % 2 == 1 ? i % WIDE : 0, i);
    write_file(path, &text);
    af_buf_done(&text);
    list_of(paths, 1, &list);
    for (unsigned workers = 2; workers <= 4; workers++) {
        struct wide wide = { 0 };
        struct af_ingest_options options = { .sources = &list, .workers = workers };
        struct af_ingest_stage stage = { .ctx = &wide, .work = no_work, .deliver = check_wide };
        struct af_ingest_totals totals;
        struct af_error err;
        AF_CHECK_OK(af_ingest_run(&options, &stage, &totals, &err), err);
        AF_CHECK_INT(wide.next_row, ROWS);
        AF_CHECK(wide.later_parts > 1);
        AF_CHECK_INT(totals.points, ROWS);
    }
    af_source_list_done(&list);
}

/* Of the thread that calls: slots, workers, scratch. With fewer of them the work is done too. */
AF_TEST(a_run_short_of_memory_fails_or_does_all)
{
    char path[256];
    const char *paths[] = { path };
    struct af_buf text;
    struct af_source_list list;
    snprintf(path, sizeof path, "%s/few.lp", af_test_dir());
    af_buf_init(&text, 4096);
    for (int i = 0; i < 20; i++)
        af_buf_printf(&text, "m v=1 %d\n", i);
    write_file(path, &text);
    af_buf_done(&text);
    list_of(paths, 1, &list);
    bool has_succeeded_short = false;
    for (size_t n = 1; n < 40; n++) {
        struct slow slow = { 0 };
        struct af_ingest_totals totals;
        struct af_error err;
        af_alloc_fail_nth(n);
        enum af_status status = run_slow(&list, 3, &slow, &totals, &err);
        bool was_short = af_alloc_fail_nth(0) >= n;
        AF_CHECK(status == AF_OK || (status == AF_ENOMEM && was_short));
        AF_CHECK(status != AF_OK || slow.next_time == 20);
        has_succeeded_short |= status == AF_OK && was_short;
    }
    AF_CHECK(has_succeeded_short);
    af_source_list_done(&list);
}
