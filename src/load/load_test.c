/* load_test.c - one load: what is written, what becomes of refused rows, who ends it and why. */
#include "base/alloc.h"
#include "base/buf.h"
#include "load/load.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "store/decorate.h"
#include "store/memory.h"
#include "test/lib/test.h"
#include <stdio.h>

enum { LINES = 20000, SOON_MS = 200, LATE_MS = 5000 };

struct world {
    struct af_store *memory, *store; /* store: the memory store behind faults */
    struct af_source_list list;
    struct af_load_options options;
    struct af_load_result result;
    struct af_error err;
    char scratch[300];
    unsigned letters_calls;
    uint64_t letters_count;
    struct af_buf letters;
    enum af_status letters_status;
};

static enum af_status keep_letters(void *ctx, const char *path, uint64_t count, struct af_error *err)
{
    struct world *w = ctx;
    w->letters_calls++;
    w->letters_count = count;
    AF_TRY(af_file_read_all(path, &w->letters, err));
    return w->letters_status != AF_OK ? af_fail(err, w->letters_status, "they are not wanted") : AF_OK;
}

/* `extra` after LINES good lines. */
static void begin(struct world *w, const char *name, const char *extra)
{
    const struct af_fault_plan plan = { .seed = 1 };
    struct af_buf text;
    char path[300];
    const char *paths[] = { path };
    *w = (struct world){ .letters_calls = 0 };
    AF_CHECK_OK(af_memory_open(NULL, &w->memory, &w->err), w->err);
    AF_CHECK_OK(af_fault_open(w->memory, &plan, &w->store, &w->err), w->err);
    af_buf_init(&text, 64 << 20);
    af_buf_init(&w->letters, 1 << 20);
    for (int i = 0; i < LINES; i++)
        af_buf_printf(&text, "m,s=%d v=%di %d\n", i % 7, i, i);
    af_buf_append_str(&text, extra);
    (void)snprintf(path, sizeof path, "%s/%s", af_test_dir(), name);
    (void)snprintf(w->scratch, sizeof w->scratch, "%s/scratch", af_test_dir());
    AF_CHECK_OK(af_file_write_atomic(path, af_buf_slice(&text), false, &w->err), w->err);
    af_buf_done(&text);
    AF_CHECK_OK(af_source_list_make(paths, 1, NULL, &w->list, &w->err), w->err);
    w->options = (struct af_load_options){ .store = w->store, .sources = &w->list, .scratch_dir = w->scratch, .letters = keep_letters,
                                           .ctx = w, .retry_budget_ms = SOON_MS };
}

static enum af_status count_file(void *ctx, const char *path, struct af_error *err)
{
    (void)path, (void)err;
    ++*(unsigned *)ctx;
    return AF_OK;
}

/* Nothing is left behind. */
static void end(struct world *w)
{
    unsigned files = 0;
    if (af_path_kind(w->scratch) == AF_PATH_DIR)
        AF_CHECK_OK(af_dir_list(w->scratch, count_file, &files, &w->err), w->err);
    AF_CHECK_INT(files, 0);
    af_buf_done(&w->letters);
    af_source_list_done(&w->list);
    af_store_close(w->store);
}

static enum af_status load(struct world *w)
{
    return af_load_run(&w->options, &w->result, &w->err);
}

AF_TEST(every_point_of_a_source_is_written)
{
    struct world w;
    begin(&w, "a.lp", "");
    AF_CHECK_OK(load(&w), w.err);
    AF_CHECK_INT(w.result.points_written, LINES);
    AF_CHECK_INT(w.result.totals.rows_read, LINES);
    AF_CHECK_INT(w.result.rows_rejected, 0);
    AF_CHECK_INT(af_memory_values(w.memory), LINES);
    AF_CHECK_INT(w.letters_calls, 0);
    AF_CHECK_STR(w.result.reason, "");
    end(&w);
}

AF_TEST(refused_rows_are_handed_over_once_and_their_file_is_gone)
{
    struct world w;
    begin(&w, "a.lp", "no line\nm v=\"a conflict\" 3\nm,s=0 v=\"another\" 4\n");
    AF_CHECK_OK(load(&w), w.err);
    AF_CHECK_INT(w.result.points_written, LINES);
    AF_CHECK_INT(w.result.rows_rejected, 3);
    AF_CHECK_INT(w.letters_calls, 1);
    AF_CHECK_INT(w.letters_count, 3);
    AF_CHECK(strstr(af_buf_cstr(&w.letters), "no line") != NULL);
    AF_CHECK(strstr(af_buf_cstr(&w.letters), "another") != NULL);
    AF_CHECK(strstr(w.result.reason, "row ") == w.result.reason);
    end(&w);
}

AF_TEST(letters_that_are_not_taken_fail_the_load)
{
    struct world w;
    begin(&w, "a.lp", "no line\n");
    w.letters_status = AF_EINVAL;
    AF_CHECK_FAILS(load(&w), AF_EINVAL);
    AF_CHECK_STR(w.err.message, "they are not wanted");
    AF_CHECK(!w.result.store_failed);
    end(&w);
    begin(&w, "b.lp", "no line\n");
    w.options.letters = NULL;
    AF_CHECK_OK(load(&w), w.err);
    AF_CHECK_INT(w.result.rows_rejected, 1);
    end(&w);
}

AF_TEST(a_store_that_stays_away_ends_it_after_the_budget)
{
    struct world w;
    begin(&w, "a.lp", "");
    af_fault_set_down(w.store, true);
    int64_t begun_ns = af_clock_mono_ns();
    AF_CHECK_FAILS(load(&w), AF_EIO);
    AF_CHECK(w.result.store_failed);
    AF_CHECK(af_clock_mono_ns() - begun_ns < (int64_t)LATE_MS * 1000000);
    af_fault_set_down(w.store, false);
    AF_CHECK_OK(load(&w), w.err);
    AF_CHECK_INT(af_memory_values(w.memory), LINES);
    end(&w);
}

AF_TEST(a_store_that_refuses_us_is_not_the_sources_fault)
{
    static const enum af_status refusals[] = { AF_EUNAUTH, AF_EDENIED, AF_ENOTFOUND };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct world w;
        begin(&w, "a.lp", "");
        af_fault_next(w.store, 100, refusals[i], false);
        AF_CHECK_FAILS(load(&w), refusals[i]);
        AF_CHECK(w.result.store_failed);
        end(&w);
    }
}

AF_TEST(a_deadline_ends_what_waits)
{
    struct world w;
    bool flag = false;
    begin(&w, "a.lp", "");
    af_fault_set_down(w.store, true);
    w.options.retry_budget_ms = 60000;
    w.options.flag = &flag;
    int64_t begun_ns = af_clock_mono_ns();
    w.options.deadline_mono_ns = begun_ns + (int64_t)SOON_MS * 1000000;
    AF_CHECK_FAILS(load(&w), AF_ECANCELED);
    AF_CHECK(strstr(w.err.message, "the deadline came") != NULL);
    AF_CHECK(af_clock_mono_ns() >= w.options.deadline_mono_ns);
    AF_CHECK(af_clock_mono_ns() - begun_ns < (int64_t)LATE_MS * 1000000);
    AF_CHECK(flag);
    end(&w);
}

AF_TEST(a_flag_of_the_caller_ends_what_waits)
{
    struct world w;
    bool cancel = true;
    begin(&w, "a.lp", "");
    af_fault_set_down(w.store, true);
    w.options.retry_budget_ms = 60000;
    w.options.cancel = &cancel;
    AF_CHECK_FAILS(load(&w), AF_ECANCELED);
    AF_CHECK(strstr(w.err.message, "stopped on request") != NULL);
    end(&w);
}

AF_TEST(files_that_cannot_be_read_fail_for_good)
{
    static const struct {
        const char *name;
        enum af_status status;
    } files[] = { { "broken.parquet", AF_ECORRUPT }, { "unknown.csv", AF_ENOTFOUND } };
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        begin(&w, files[i].name, "");
        AF_CHECK_FAILS(load(&w), files[i].status);
        AF_CHECK(!w.result.store_failed);
        AF_CHECK(w.result.reason[0] != '\0');
        AF_CHECK_INT(w.result.points_written, 0);
        end(&w);
    }
}

AF_TEST(without_memory_nothing_is_left_behind)
{
    for (size_t nth = 1;; nth++) {
        struct world w;
        begin(&w, "a.lp", "no line\n");
        w.options.workers = 1;
        af_alloc_fail_nth(nth);
        enum af_status status = load(&w);
        bool is_over = af_alloc_fail_nth(0) < nth;
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        end(&w);
        if (is_over)
            break;
    }
}

AF_TEST(memory_is_divided)
{
    AF_CHECK_INT(af_load_workers(3, 1 << 20), 3);
    AF_CHECK_INT(af_load_workers(0, 1 << 20), 1);
    AF_CHECK(af_load_workers(1 << 20, 0) <= 64);
    AF_CHECK(af_load_batch_bytes(64 << 20, 2) < af_load_batch_bytes(0, 2));
    AF_CHECK_INT(af_load_batch_bytes(1, 64), 64 << 10);
}
