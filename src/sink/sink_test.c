/* sink_test.c - one behaviour a test: what arrives, what is refused, what fails, what waits, what the spool takes. */
#include "os/fault.h"
#include "sink/sink_world.h"
#include <errno.h>

/* --- plain behaviour ----------------------------------------------------------------------------------------------------- */

AF_TEST(lines_arrive_and_counts_add_up)
{
    struct world *w = world_new(1);
    struct af_sink_stats stats;
    w->refused_percent = 3;
    w->options.precision_ns = 1000;
    plan_units(w, 10, 400);
    world_open(w);
    AF_CHECK(af_sink_dead_letters(w->sink) == NULL);
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.lines_put, w->line_count - 1);
    AF_CHECK_INT(stats.values_put, w->line_count - 1);
    AF_CHECK_INT(stats.lines_written + stats.lines_rejected, stats.lines_put);
    AF_CHECK(stats.lines_rejected > 0 && stats.splits > 0 && stats.retries == 0 && stats.lines_spooled == 0);
    AF_CHECK(stats.bytes_sent > 0 && !stats.breaker_is_open);
    AF_CHECK_STR(stats.last_error, "");
    AF_CHECK(af_sink_dead_letters(w->sink) != NULL);
    AF_CHECK_INT(w->model.precision_seen, 1000);
    AF_CHECK(w->model.lines_max_seen <= 20 && w->model.lines_max_seen > 15);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err); /* again is fine */
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(old_blocks_go_out_without_being_full)
{
    struct world *w = world_new(2);
    w->options.batch_lines = 10000;
    plan_units(w, 1, 50);
    world_open(w);
    put_all(w);
    for (int i = 0; i < 1000 && atomic_load(&w->units[0].settled) == 0; i++)
        af_clock_sleep_ms(2);
    check_outcome(w, true); /* and nobody called finish */
    world_done(w);
}

AF_TEST(empty_units_settle_and_rejects_settle_with_them)
{
    struct world *w = world_new(3);
    struct af_sink_unit *unit;
    struct af_sink_stats stats;
    w->unit_count = 2;
    w->units[0].first = w->units[0].end = w->units[1].first = w->units[1].end = 1;
    world_open(w);
    AF_CHECK_OK(put_unit(w, 0), w->err);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 1);
    AF_CHECK_OK(af_sink_unit_begin(w->sink, 1, "f", 0, on_settled, w, &unit, &w->err), w->err);
    struct af_sink_reject reject = { .row = 5, .column = "c", .reason = "r", .raw = AF_SLICE_LIT("{\"a\":1}") };
    AF_CHECK_OK(af_sink_reject(w->sink, unit, &reject, &w->err), w->err);
    AF_CHECK_INT(atomic_load(&w->units[1].settled), 0);
    af_sink_unit_end(w->sink, unit);
    AF_CHECK_INT(atomic_load(&w->units[1].settled), 1);
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.rows_rejected, 1);
    AF_CHECK(strstr(af_sink_dead_letters(w->sink), "dead-letters-run1.jsonl") != NULL);
    world_done(w);
}

AF_TEST(unit_does_not_settle_without_its_letters_on_disk)
{
    struct world *w = world_new(4);
    struct af_sink_unit *unit;
    w->unit_count = 1;
    world_open(w);
    AF_CHECK_OK(af_sink_unit_begin(w->sink, 0, "f", 0, on_settled, w, &unit, &w->err), w->err);
    struct af_sink_reject reject = { .reason = "r", .raw = AF_SLICE_LIT("x") };
    AF_CHECK_OK(af_sink_reject(w->sink, unit, &reject, &w->err), w->err);
    af_os_fault(AF_OS_SYNC, 1, 1, EIO);
    af_sink_unit_end(w->sink, unit);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 0);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EIO);
    world_done(w);
}

AF_TEST(all_refused_at_once_needs_no_search)
{
    struct world *w = world_new(5);
    w->model.counts_dropped = true;
    w->options.lanes = 1;
    w->refused_percent = 100;
    w->options.batch_lines = 500;
    w->options.batch_age_ms = 100000;
    plan_units(w, 1, 300);
    world_open(w);
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    AF_CHECK_INT(calls_of(&w->model), 1);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(search_for_refused_lines_is_bounded)
{
    struct world *w = world_new(6);
    w->options.lanes = 1;
    w->refused_percent = 50;
    w->options.batch_lines = 1000;
    w->options.batch_age_ms = 100000;
    plan_units(w, 1, 400);
    world_open(w);
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    AF_CHECK(calls_of(&w->model) <= 2 * w->line_count);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(too_large_is_halved_and_remembered)
{
    struct world *w = world_new(7);
    w->options.lanes = 1;
    w->options.batch_lines = 1000;
    w->model.bytes_max = 600;
    plan_units(w, 20, 300);
    world_open(w);
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    struct af_sink_stats stats;
    af_sink_stats(w->sink, &stats);
    AF_CHECK(stats.splits > 0 && (long)stats.splits < calls_of(&w->model) / 2);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(single_line_too_large_is_a_letter)
{
    struct world *w = world_new(8);
    struct af_sink_unit *unit;
    struct af_lp_text text;
    w->model.bytes_max = 8;
    w->unit_count = 1;
    world_open(w);
    text_init(&text);
    text_add(&text, 0, "m,s=1 v=1 1\n");
    text_add(&text, 1, "m,s=1 v=2 2\n");
    AF_CHECK_OK(af_sink_unit_begin(w->sink, 0, "f", 0, on_settled, w, &unit, &w->err), w->err);
    AF_CHECK_OK(af_sink_put(w->sink, unit, 0, &text, 0, &w->err), w->err);
    af_sink_unit_end(w->sink, unit);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    struct af_sink_stats stats;
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.lines_rejected, 2);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 1);
    text_done(&text);
    world_done(w);
}

/* --- failures ------------------------------------------------------------------------------------------------------------ */

static void check_fatal(enum af_status status)
{
    struct world *w = world_new(100 + (uint64_t)status);
    w->model.is_down = true;
    w->model.fail_status = status;
    plan_units(w, 2, 200);
    w->units[1].first = w->units[1].end; /* nothing, but after the failure */
    w->options.spool_dir = w->spool;
    world_open(w);
    enum af_status got = put_unit(w, 0);
    AF_CHECK(got == AF_OK || got == status);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), status);
    AF_CHECK_STR(w->err.message, "the model is unwell");
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), status);
    struct af_sink_reject reject = { .reason = "r" };
    struct af_sink_unit *unit;
    AF_CHECK_OK(af_sink_unit_begin(w->sink, 1, "f", 0, on_settled, w, &unit, &w->err), w->err);
    AF_CHECK_FAILS(af_sink_reject(w->sink, unit, &reject, &w->err), status);
    AF_CHECK_FAILS(put_lines(w, unit, w->units[0].first, w->units[0].end), status);
    af_sink_unit_end(w->sink, unit);
    AF_CHECK_INT(atomic_load(&w->units[0].settled) + atomic_load(&w->units[1].settled), 0);
    AF_CHECK(calls_of(&w->model) <= 2); /* one a lane */
    world_done(w);
}

AF_TEST(fatal_failures_are_given_as_they_are)
{
    static const enum af_status fatal[] = { AF_EUNAUTH, AF_EDENIED, AF_ENOTFOUND, AF_EINVAL, AF_EUNSUPPORTED, AF_ECONFLICT,
                                            AF_ELIMIT, AF_ECORRUPT, AF_EBUG };
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        check_fatal(fatal[i]);
}

AF_TEST(strict_sinks_fail_on_the_first_refusal)
{
    struct world *w = world_new(10);
    w->options.dead_letters_dir = NULL;
    w->refused_percent = 100;
    plan_units(w, 1, 30);
    world_open(w);
    enum af_status status = put_unit(w, 0);
    AF_CHECK(status == AF_OK || status == AF_EINVAL);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EINVAL);
    AF_CHECK(strstr(w->err.message, "file0") != NULL && strstr(w->err.message, "because") != NULL);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 0);
    world_done(w);
}

AF_TEST(without_a_spool_the_budget_is_the_end)
{
    struct world *w = world_new(11);
    w->model.is_down = true;
    w->options.batch_budget_ms = 40;
    plan_units(w, 1, 30);
    world_open(w);
    int64_t began_ms = af_sink_now_ms();
    AF_CHECK_OK(put_unit(w, 0), w->err);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EIO);
    AF_CHECK(af_sink_now_ms() - began_ms >= 40);
    AF_CHECK(strstr(w->err.message, "the model is unwell") != NULL && strstr(w->err.message, "no spool") != NULL);
    world_done(w);
}

AF_TEST(a_pause_that_the_store_asks_for_is_kept)
{
    struct world *w = world_new(12);
    w->options.lanes = 1;
    w->model.fail_next = 1;
    w->model.retry_after_ms = 150;
    w->options.batch_age_ms = 1;
    plan_units(w, 1, 5);
    world_open(w);
    AF_CHECK_OK(put_unit(w, 0), w->err);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    AF_CHECK(w->model.last_call_ms - w->model.first_call_ms >= 150);
    AF_CHECK_INT(calls_of(&w->model), 2);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(breaker_spares_a_store_that_is_down)
{
    struct world *w = world_new(13);
    struct af_sink_stats stats;
    w->options.lanes = 4;
    w->options.breaker_open_ms = 50;
    w->options.spool_dir = w->spool;
    w->model.is_down = true;
    plan_units(w, 1, 400);
    world_open(w);
    AF_CHECK_OK(put_unit(w, 0), w->err);
    af_clock_sleep_ms(300);
    af_sink_stats(w->sink, &stats);
    AF_CHECK(stats.breaker_is_open);
    AF_CHECK_STR(stats.last_error, "the model is unwell");
    AF_CHECK(calls_of(&w->model) < 4 + 4 + 8); /* until it opens, those under way, a probe each 50 ms */
    set_down(&w->model, false);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(rate_is_kept)
{
    struct world *w = world_new(14);
    w->options.lines_per_s = 2000;
    plan_units(w, 10, 200);
    world_open(w);
    int64_t began_ms = af_sink_now_ms();
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    int64_t least_ms = (w->line_count - 1 - 2 * 20) * 1000 / 2000 - 110; /* the last batches of both lanes and the burst are free */
    AF_CHECK(af_sink_now_ms() - began_ms >= least_ms);
    check_outcome(w, true);
    world_done(w);
}

/* --- cancelling and closing ---------------------------------------------------------------------------------------------- */

struct canceler {
    bool *flag;
    int64_t at_ms;
    struct af_thread thread;
};

static void cancel_later(void *ctx)
{
    struct canceler *c = ctx;
    af_clock_sleep_ms(60);
    c->at_ms = af_sink_now_ms();
    __atomic_store_n(c->flag, true, __ATOMIC_RELEASE);
}

/* How long the calls go on after the flag is set, closing included; ms. */
static int64_t cancel_once(bool hangs, bool in_put)
{
    struct world *w = world_new(20 + (uint64_t)hangs + 2 * (uint64_t)in_put);
    bool flag = false;
    struct canceler canceler = { .flag = &flag };
    w->options.cancel = &flag;
    w->options.backoff_first_ms = w->options.backoff_max_ms = 60000;
    w->options.batch_budget_ms = 600000;
    w->model.hangs = hangs;
    w->model.is_down = true;
    plan_units(w, 1, in_put ? 10000 : 100);
    world_open(w);
    AF_CHECK_OK(af_thread_start(&canceler.thread, "cancel", cancel_later, &canceler, &w->err), w->err);
    enum af_status status = put_unit(w, 0);
    AF_CHECK(status == AF_ECANCELED || (status == AF_OK && !in_put));
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_ECANCELED);
    af_thread_join(&canceler.thread);
    world_done(w);
    return af_sink_now_ms() - canceler.at_ms;
}

/* Within 100 ms; on a busy machine not every time, so one of some tries must do. */
static void check_cancel(bool hangs, bool in_put)
{
    int64_t best_ms = INT64_MAX;
    for (int i = 0; i < 8 && best_ms > 100; i++) {
        int64_t ms = cancel_once(hangs, in_put);
        best_ms = ms < best_ms ? ms : best_ms;
    }
    AF_CHECK(best_ms <= 100);
}

AF_TEST(cancel_ends_finish_while_backing_off)
{
    check_cancel(false, false);
}
AF_TEST(cancel_ends_finish_while_the_store_hangs)
{
    check_cancel(true, false);
}
AF_TEST(cancel_ends_put_that_waits_for_room)
{
    check_cancel(false, true);
    check_cancel(true, true);
}

AF_TEST(close_ends_a_store_that_hangs)
{
    struct world *w = world_new(24);
    w->model.hangs = true;
    plan_units(w, 3, 100);
    world_open(w);
    put_all(w);
    af_clock_sleep_ms(20);
    int64_t began_ms = af_sink_now_ms();
    af_sink_close(w->sink);
    w->sink = NULL;
    AF_CHECK(af_sink_now_ms() - began_ms < 2000);
    for (long u = 0; u < 3; u++) /* dropped lines never settle */
        AF_CHECK_INT(atomic_load(&w->units[u].settled), w->units[u].first == w->units[u].end);
    world_done(w);
}

AF_TEST(wrong_options_are_refused)
{
    struct model m;
    struct af_sink *sink = NULL;
    struct af_error err;
    model_init(&m, 1);
    struct af_sink_options bad[] = { { .lanes = AF_SINK_LANES_MAX + 1 }, { .batch_bytes = (size_t)AF_LP_LINE_BYTES_MAX + 1 },
                                     { .precision_ns = 7 }, { .dead_letters_dir = "/tmp", .run_id = "a/b" } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        AF_CHECK_FAILS(af_sink_open(&m.base, &bad[i], &sink, &err), AF_EINVAL);
    AF_CHECK(sink == NULL);
    af_sink_close(NULL);
}

AF_TEST(every_allocation_of_open_and_put_may_fail)
{
    for (size_t nth = 1;; nth++) {
        struct world *w = world_new(5000 + nth);
        struct af_sink_unit *unit = NULL;
        struct af_lp_text text;
        text_init(&text);
        text_add(&text, 0, "m,s=1 v=1 1\n");
        w->options.spool_dir = w->spool;
        w->options.run_id = "x";
        af_alloc_fail_nth(nth);
        enum af_status status = af_sink_open(&w->model.base, &w->options, &w->sink, &w->err);
        if (status == AF_OK)
            status = af_sink_unit_begin(w->sink, 0, "f", 0, on_settled, w, &unit, &w->err);
        if (status == AF_OK)
            status = af_sink_put(w->sink, unit, 0, &text, 0, &w->err);
        struct af_sink_reject reject = { .reason = "r", .raw = AF_SLICE_LIT("x") };
        if (status == AF_OK)
            status = af_sink_reject(w->sink, unit, &reject, &w->err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        if (unit != NULL)
            af_sink_unit_end(w->sink, unit);
        if (status == AF_OK)
            AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
        text_done(&text);
        world_done(w);
        if (status == AF_OK)
            break;
        AF_CHECK(nth < 1000);
    }
}

/* --- the spool ----------------------------------------------------------------------------------------------------------- */

AF_TEST(spool_takes_over_and_gives_back_in_order)
{
    struct world *w = world_new(30);
    struct af_sink_stats stats;
    w->options.spool_dir = w->spool;
    w->options.batch_budget_ms = 5;
    w->options.patience_ms = 1000; /* more than a busy disk takes for an fsync */
    w->model.is_down = true;
    plan_units(w, 10, 300);
    world_open(w);
    put_all(w);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EIO);
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.lines_spooled, w->line_count - 1);
    AF_CHECK(stats.spool_bytes > 0 && stats.batches_spooled > 0);
    for (long u = 0; u < w->unit_count; u++) /* on disk: settled */
        AF_CHECK_INT(atomic_load(&w->units[u].settled), 1);
    set_down(&w->model, false);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err); /* patience is not failure */
    af_sink_stats(w->sink, &stats);
    AF_CHECK(stats.lines_spooled == 0 && stats.spool_bytes == 0);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(spool_of_an_earlier_run_goes_first)
{
    struct world *w = world_new(31);
    w->options.spool_dir = w->spool;
    w->options.batch_budget_ms = 5;
    w->options.lanes = 3;
    w->refused_percent = 5;
    w->model.is_down = true;
    plan_units(w, 30, 100);
    for (int run = 0; run < 3; run++) {
        w->options.patience_ms = run < 2 ? 40 : 5000;
        world_open(w);
        for (long u = run * 10; u < run * 10 + 10; u++)
            AF_CHECK_OK(put_unit(w, u), w->err);
        if (run < 2) {
            AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EIO);
            af_sink_close(w->sink);
            w->sink = NULL;
        }
        w->options.lanes = run == 0 ? 5 : 2;
        set_down(&w->model, run == 0);
    }
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(full_spool_makes_put_wait_and_then_fail)
{
    struct world *w = world_new(32);
    w->options.spool_dir = w->spool;
    w->options.spool_bytes_max = 2000;
    w->options.batch_budget_ms = 5;
    w->options.patience_ms = 100;
    w->model.is_down = true;
    plan_units(w, 1, 10000);
    world_open(w);
    int64_t began_ms = af_sink_now_ms();
    AF_CHECK_FAILS(put_unit(w, 0), AF_EFULL);
    AF_CHECK(af_sink_now_ms() - began_ms >= 100);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 0);
    world_done(w);
}

AF_TEST(full_spool_waits_for_a_store_that_comes_back)
{
    struct world *w = world_new(33);
    w->options.spool_dir = w->spool;
    w->options.spool_bytes_max = 3000;
    w->options.batch_budget_ms = 5;
    w->model.fail_percent = 70;
    w->refused_percent = 2;
    plan_units(w, 5, 1000);
    world_open(w);
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(broken_spool_leaves_the_store)
{
    struct world *w = world_new(34);
    struct af_sink_stats stats;
    w->options.spool_dir = w->spool;
    w->options.batch_budget_ms = 5;
    w->model.is_down = true;
    plan_units(w, 1, 100);
    world_open(w);
    af_os_fault(AF_OS_SYNC, 1, UINT64_MAX, EIO);
    AF_CHECK_OK(put_unit(w, 0), w->err);
    af_clock_sleep_ms(100);
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.batches_spooled, 0);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 0);
    set_down(&w->model, false);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(broken_spool_and_no_store_is_the_end)
{
    struct world *w = world_new(35);
    w->options.spool_dir = w->spool;
    w->options.batch_budget_ms = 5;
    w->options.patience_ms = 60;
    w->model.is_down = true;
    plan_units(w, 1, 100);
    world_open(w);
    af_os_fault(AF_OS_RENAME, 1, UINT64_MAX, EIO);
    enum af_status status = put_unit(w, 0);
    AF_CHECK(status == AF_OK || status == AF_EIO);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EIO);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 0);
    world_done(w);
}
