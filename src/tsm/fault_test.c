/*
 * fault_test.c - the engine when something fails once: the 1st, 2nd ... last allocation, read, write, fsync and rename of a script.
 *
 *     script (open, write, flush, write over it, erase, compact, reopen ...), one call fails --> open again --> compare with a model
 *
 * The model keeps for every cell the values that it may have: one after a step that succeeded, the old and the new after one that
 * failed. A write that failed is there as a whole or not at all.
 */
#include "base/alloc.h"
#include "os/clock.h"
#include "os/fault.h"
#include "os/tree.h"
#include "test/lib/test.h"
#include "tsm/tsm.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERIES = 3, FIELDS = 2, TIMES = 16, CELLS = SERIES * FIELDS * TIMES, MAY = 16, BUCKET = 0xfa, NO_FAULT = 1 << 24 };
static const int64_t STEP_NS = INT64_C(21600) * 1000000000; /* 4 rows a day, 4 shards of a day */
static const int64_t FIRST_NS = INT64_C(1700006400) * 1000000000;

enum step_kind { OPEN, WRITE, WRITE_LATER, ERASE, FLUSH, COMPACT, COMPACT_FULL, PROBE, CLOSE, STEP_KINDS };
static const enum step_kind script[] = {
    OPEN, WRITE, FLUSH, WRITE_LATER, FLUSH, WRITE, ERASE, WRITE, FLUSH, COMPACT, WRITE, ERASE, FLUSH, COMPACT_FULL, PROBE, WRITE, CLOSE,
    OPEN, WRITE, ERASE, FLUSH, WRITE_LATER, COMPACT_FULL,
};
static const char *const step_names[] = { "open", "write", "write", "erase", "flush", "compact", "compact in full", "probe", "close" };

struct cell {
    double may[MAY]; /* 0: nothing */
    size_t count;
    size_t writer;   /* the step that touched it last */
};
struct run {
    char dir[256];
    struct af_tsm *engine;
    struct af_store *store;
    struct cell cells[CELLS];
    bool has_failed[sizeof script / sizeof *script];
    double next_value;
    const char *what;  /* fails in this run: for messages */
    uint64_t nth;
    size_t failures;
    struct af_error err; /* of the first failure */
    bool is_read_only;
    char why[256];       /* it is */
};

static void fail_run(const struct run *run, const char *why, const char *more)
{
    af_test_failed(__FILE__, __LINE__, "%s %llu: %s: %s", run->what, (unsigned long long)run->nth, why, more);
}

static size_t cell_of(size_t series, size_t field, size_t time)
{
    return (series * FIELDS + field) * TIMES + time;
}

/* --- steps ------------------------------------------------------------------------------------------------------------------------- */

static enum af_status open_engine(struct run *run, struct af_error *err)
{
    struct af_tsm_options options = { .dir = run->dir, .cache_bytes = 64 << 10, .is_manual = true, .compact_bytes_per_s = UINT64_MAX };
    struct af_tsm_bucket bucket = { BUCKET, 0, INT64_C(86400) * 1000000000 };
    enum af_status status = af_tsm_open(&options, &run->engine, err);
    if (status == AF_OK)
        status = af_tsm_bucket_set(run->engine, &bucket, err);
    if (status == AF_OK)
        status = af_tsm_store_open(run->engine, BUCKET, "fault", true, &run->store, err);
    if (status != AF_OK) {
        af_tsm_close(run->engine);
        run->engine = NULL;
    }
    return status;
}

static void close_engine(struct run *run)
{
    af_store_close(run->store);
    af_tsm_close(run->engine);
    run->store = NULL;
    run->engine = NULL;
}

static void touch(struct run *run, size_t step, size_t cell, double value, bool is_done)
{
    struct cell *at = &run->cells[cell];
    if (is_done)
        at->count = 0;
    if (at->count == MAY)
        fail_run(run, "the script touches a cell too often", "make MAY larger");
    at->may[at->count++] = value;
    at->writer = step;
}

/* Every third time of all series, beginning elsewhere each step: writes overlap partly. */
static bool is_written(size_t step, size_t time)
{
    return script[step] == WRITE_LATER ? time >= TIMES / 2 : (time + step) % 3 != 0;
}

static enum af_status do_write(struct run *run, size_t step, struct af_error *err)
{
    struct af_buf lines;
    struct af_write_answer answer = { 0 };
    size_t count = 0;
    double first = run->next_value;
    af_buf_init(&lines, 1 << 20);
    for (size_t s = 0; s < SERIES; s++)
        for (size_t t = 0; t < TIMES; t++) {
            if (!is_written(step, t))
                continue;
            af_buf_printf(&lines, "m,s=%zu f0=%.1f,f1=%.1f %lld\n", s, run->next_value + 1, run->next_value + 2,
                          (long long)(FIRST_NS + (int64_t)t * STEP_NS));
            run->next_value += 2;
            count++;
        }
    enum af_status status = af_buf_check(&lines, "the test", err);
    bool is_short = status != AF_OK; /* the allocation that fails was the test's own */
    struct af_write write = { .lines = af_buf_slice(&lines), .line_count = count, .precision_ns = 1 };
    if (!is_short)
        status = af_store_write(run->store, &write, &answer, err);
    if (status == AF_OK && answer.verdict != AF_WRITE_DONE)
        fail_run(run, "a good write is refused", answer.reason);
    af_buf_done(&lines);
    for (size_t s = 0; s < SERIES && !is_short; s++)
        for (size_t t = 0; t < TIMES; t++)
            for (size_t f = 0; f < FIELDS && is_written(step, t); f++)
                touch(run, step, cell_of(s, f, t), ++first, status == AF_OK);
    return status;
}

static enum af_status do_erase(struct run *run, size_t step, struct af_error *err)
{
    size_t series = step % SERIES;
    size_t from = step % (TIMES / 2);
    size_t to = from + TIMES / 2;
    char name[8];
    (void)snprintf(name, sizeof name, "%zu", series);
    struct af_predicate predicate = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("s"), .value = af_slice_of(name) };
    struct af_scan scan = { .measurement = "m", .start_ns = FIRST_NS + (int64_t)from * STEP_NS,
                            .stop_ns = FIRST_NS + (int64_t)to * STEP_NS, .predicate = &predicate };
    enum af_status status = af_store_erase(run->store, &scan, err);
    for (size_t f = 0; f < FIELDS; f++)
        for (size_t t = from; t < to; t++)
            touch(run, step, cell_of(series, f, t), 0, status == AF_OK);
    return status;
}

static enum af_status do_step(struct run *run, size_t step, struct af_error *err)
{
    bool done;
    if (script[step] == OPEN)
        return open_engine(run, err);
    if (run->engine == NULL) /* could not be opened: this step is left out */
        return AF_OK;
    switch (script[step]) {
    case WRITE:
    case WRITE_LATER: return do_write(run, step, err);
    case ERASE: return do_erase(run, step, err);
    case FLUSH: return af_tsm_flush(run->engine, err);
    case COMPACT: return af_tsm_compact(run->engine, false, &done, err);
    case COMPACT_FULL: return af_tsm_compact(run->engine, true, &done, err);
    case PROBE: return af_tsm_probe(run->engine, err);
    default: close_engine(run); return AF_OK;
    }
}

/* --- reading back ------------------------------------------------------------------------------------------------------------------ */

static void read_batch(const struct run *run, const struct af_batch *batch, double *got)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        struct af_slice key = af_column_text(&batch->columns[0], row);
        size_t series = (size_t)(key.ptr[key.len - 1] - '0');
        int64_t time = (batch->columns[1].i64[row] - FIRST_NS) / STEP_NS;
        if (series >= SERIES || time < 0 || time >= TIMES)
            fail_run(run, "a point that nobody wrote", "series or time");
        for (size_t c = 2; c < batch->schema->field_count; c++) {
            size_t field = (size_t)(batch->schema->fields[c].name[1] - '0');
            if (af_column_has(&batch->columns[c], row))
                got[cell_of(series, field, (size_t)time)] = batch->columns[c].f64[row];
        }
    }
}

static enum af_status read_all(const struct run *run, double *got, struct af_error *err)
{
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_stream *stream = NULL;
    struct af_arena arena;
    memset(got, 0, CELLS * sizeof *got);
    AF_TRY(af_store_scan(run->store, &scan, &stream, err));
    af_arena_init(&arena, SIZE_MAX / 2);
    struct af_batch *batch = NULL;
    enum af_status status;
    while ((status = af_stream_next(stream, &arena, &batch, err)) == AF_OK && batch != NULL) {
        read_batch(run, batch, got);
        af_arena_reset(&arena);
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    return status;
}

/* A write that failed and that nothing has touched since: whole or not at all. */
static void check_whole(const struct run *run, size_t step, const double *got, const char *when)
{
    size_t there = 0;
    size_t all = 0;
    for (size_t i = 0; i < CELLS; i++)
        if (run->cells[i].writer == step) {
            there += got[i] == run->cells[i].may[run->cells[i].count - 1];
            all++;
        }
    char words[160];
    (void)snprintf(words, sizeof words, "%zu of %zu values of the write of step %zu, which failed, are there", there, all, step);
    if (there != 0 && there != all)
        fail_run(run, when, words);
}

static void check_cells(const struct run *run, const double *got, const char *when)
{
    for (size_t i = 0; i < CELLS; i++) {
        const struct cell *cell = &run->cells[i];
        bool is_right = false;
        for (size_t k = 0; k < cell->count; k++)
            is_right = is_right || cell->may[k] == got[i];
        char words[200];
        (void)snprintf(words, sizeof words, "cell %zu is %g, not one of %zu, the newest %g of step %zu; first failure: %.80s", i, got[i],
                       cell->count, cell->may[cell->count - 1], cell->writer, run->err.message);
        if (!is_right)
            fail_run(run, when, words);
    }
    for (size_t step = 0; step < sizeof script / sizeof *script; step++)
        if (run->has_failed[step] && (script[step] == WRITE || script[step] == WRITE_LATER))
            check_whole(run, step, got, when);
}

/* --- a run ------------------------------------------------------------------------------------------------------------------------- */

static void note(struct run *run, size_t step, enum af_status status, const struct af_error *err)
{
    if (status == AF_OK)
        return;
    if (err->message[0] == '\0')
        fail_run(run, step_names[script[step]], "it failed without a word");
    run->has_failed[step] = true;
    if (run->failures++ == 0)
        run->err = *err;
}

static void look_at_state(struct run *run)
{
    struct af_tsm_stats_now now;
    if (run->engine == NULL)
        return;
    af_tsm_stats_get_now(run->engine, &now);
    run->is_read_only = run->is_read_only || now.is_read_only;
    if (now.is_read_only)
        (void)snprintf(run->why, sizeof run->why, "%s", now.why);
}

static void run_script(struct run *run)
{
    for (size_t step = 0; step < sizeof script / sizeof *script; step++) {
        struct af_error err = { 0 };
        note(run, step, do_step(run, step, &err), &err);
        look_at_state(run);
    }
}

static void run_init(struct run *run, const char *what, uint64_t nth)
{
    static uint64_t number;
    const char *shm = af_path_kind("/dev/shm") == AF_PATH_DIR ? "/dev/shm" : af_test_dir();
    uint64_t salt;
    af_random_bytes(&salt, sizeof salt);
    *run = (struct run){ .what = what, .nth = nth };
    for (size_t i = 0; i < CELLS; i++)
        run->cells[i].count = 1; /* it may be nothing, and must be */
    (void)snprintf(run->dir, sizeof run->dir, "%s/afluxo-fault-%016llx-%llu", shm, (unsigned long long)salt,
                   (unsigned long long)number++);
}

/* With nothing failing any more: it opens, has what it may have, takes writes, and has the same after another start. */
static void check_after(struct run *run)
{
    double got[CELLS];
    struct af_error err = { 0 };
    if (run->engine != NULL) {
        if (read_all(run, got, &err) != AF_OK)
            fail_run(run, "cannot be read after the script", err.message);
        check_cells(run, got, "after the script");
        close_engine(run);
    }
    for (unsigned round = 0; round < 2; round++) {
        if (open_engine(run, &err) != AF_OK || read_all(run, got, &err) != AF_OK)
            fail_run(run, round == 0 ? "does not open again" : "does not open a second time", err.message);
        check_cells(run, got, round == 0 ? "opened again" : "opened a second time");
        if (round == 0 && (do_write(run, 1, &err) != AF_OK || af_tsm_flush(run->engine, &err) != AF_OK))
            fail_run(run, "cannot be written after it was opened again", err.message);
        close_engine(run);
    }
    if (af_dir_remove(run->dir, &err) != AF_OK)
        fail_run(run, "clearing up", err.message);
}

/* How many calls of this kind the script makes: the counter is far from its end, so what is left of it says how far it came. */
static uint64_t calls_of(enum af_os_call call)
{
    struct run *run = calloc(1, sizeof *run);
    run_init(run, "nothing fails", 0);
    af_os_fault(call, NO_FAULT, UINT64_MAX, EIO);
    run_script(run);
    uint64_t left = 1;
    while (af_os_fault_due(call) == 0)
        left++;
    af_os_fault(call, 0, 0, 0);
    if (run->failures > 0)
        fail_run(run, "the script fails by itself", run->err.message);
    check_after(run);
    free(run);
    return NO_FAULT - left;
}

/* The calls of `call` from the nth on, `times` of them, fail, for every nth. Returns in how many of the runs a step failed. */
static size_t sweep(const char *what, enum af_os_call call, uint64_t times, int code, void (*also)(struct run *run))
{
    uint64_t calls = calls_of(call);
    size_t failed = 0;
    struct run *run = calloc(1, sizeof *run);
    AF_CHECK(calls > 0);
    for (uint64_t nth = 1; nth <= calls; nth++) {
        run_init(run, what, nth);
        af_os_fault(call, nth, times, code);
        run_script(run);
        af_os_fault(call, 0, 0, 0);
        failed += run->failures > 0;
        if (also != NULL)
            also(run);
        check_after(run);
    }
    free(run);
    (void)printf("  %s: %llu places, a step failed in %zu\n", what, (unsigned long long)calls, failed);
    return failed;
}

AF_TEST(a_failed_write_is_told_and_loses_nothing)
{
    AF_CHECK(sweep("write (EIO)", AF_OS_WRITE, 1, EIO, NULL) > 0);
}

/* It takes writes again as soon as there is room, without being opened again. */
static void check_full(struct run *run)
{
    struct af_error err = { 0 };
    if (run->is_read_only)
        fail_run(run, "a full disk has made it read-only", run->err.message);
    if (run->engine != NULL && do_write(run, 1, &err) != AF_OK)
        fail_run(run, "there is room again and writes are still refused", err.message);
}

AF_TEST(a_disk_that_stays_full_loses_nothing)
{
    AF_CHECK(sweep("writes from (ENOSPC)", AF_OS_WRITE, UINT64_MAX, ENOSPC, check_full) > 0);
}

AF_TEST(a_disk_that_heals_takes_writes_again)
{
    AF_CHECK(sweep("seven writes from (ENOSPC)", AF_OS_WRITE, 7, ENOSPC, check_full) > 0);
}

AF_TEST(a_failed_read_is_told_and_loses_nothing)
{
    AF_CHECK(sweep("read (EIO)", AF_OS_READ, 1, EIO, NULL) > 0);
}

AF_TEST(a_failed_rename_is_told_and_loses_nothing)
{
    AF_CHECK(sweep("rename (EIO)", AF_OS_RENAME, 1, EIO, NULL) > 0);
}

/* Whatever is not synced, nothing is written after it; a step has failed, or the engine says that it is read-only. */
static void check_sync(struct run *run)
{
    if (run->failures == 0 && !run->is_read_only)
        fail_run(run, "a failed fsync", "was passed over");
    if (run->is_read_only && strstr(run->why, "fsync") == NULL)
        fail_run(run, "it does not say that an fsync failed", run->why);
    bool is_open = false;
    bool has_failed = false;
    for (size_t step = 0; step < sizeof script / sizeof *script; step++) {
        if (script[step] == OPEN) {
            is_open = !run->has_failed[step];
            has_failed = false;
        } else if (is_open && has_failed && (script[step] == WRITE || script[step] == WRITE_LATER) && !run->has_failed[step]) {
            fail_run(run, "a write was taken after a failed fsync", run->err.message);
        }
        has_failed = has_failed || (is_open && run->has_failed[step]);
    }
}

AF_TEST(a_failed_fsync_ends_writing)
{
    AF_CHECK(sweep("fsync (EIO)", AF_OS_SYNC, 1, EIO, check_sync) > 0);
}

/* The first 200, then every 13th: all of them (AFLUXO_FAULT_ALL=1) take minutes. */
AF_TEST(a_failed_allocation_is_told_and_loses_nothing)
{
    struct run *run = calloc(1, sizeof *run);
    const char *all = getenv("AFLUXO_FAULT_ALL");
    size_t step = all != NULL ? 1 : 13;
    size_t failed = 0;
    size_t runs = 0;
    bool is_over = false;
    for (size_t nth = 1; !is_over; nth += nth < 200 ? 1 : step) {
        run_init(run, "allocation", nth);
        (void)af_alloc_fail_nth(nth);
        run_script(run);
        is_over = af_alloc_fail_nth(0) < nth;
        failed += run->failures > 0;
        runs++;
        if (run->is_read_only)
            fail_run(run, "an allocation that failed has made it read-only", run->err.message);
        check_after(run);
    }
    free(run);
    (void)printf("  allocation: %zu runs, a step failed in %zu\n", runs, failed);
    AF_CHECK(failed > 0);
}
