/*
 * sink_random_test.c - nothing is lost, order holds, units settle once: random options, random plans, random failures, with
 * and without crashes. AF_RUNS=n makes n times as many runs; a failure prints the seed, AF_SEED=n repeats it.
 */
#include "sink/sink_world.h"

static void random_options(struct world *w)
{
    struct af_sink_options *o = &w->options;
    o->lanes = 1 + random_below(w, 4);
    o->batch_lines = 1 + random_below(w, 60);
    o->batch_bytes = 50 + random_below(w, 2000);
    o->batch_age_ms = 1 + random_below(w, 3);
    o->backoff_first_ms = 1;
    o->backoff_max_ms = 1 + random_below(w, 3);
    o->breaker_failures = 1 + random_below(w, 6);
    o->breaker_open_ms = 1 + random_below(w, 3);
    if (random_below(w, 2) == 0) {
        o->spool_dir = w->spool;
        o->batch_budget_ms = 1 + random_below(w, 5);
        if (random_below(w, 3) == 0)
            o->spool_bytes_max = 1500 + random_below(w, 10000);
    }
    w->refused_percent = random_below(w, 3) == 0 ? random_below(w, 20) : 0;
    w->model.fail_percent = random_below(w, 2) == 0 ? random_below(w, 50) : 0;
    w->model.bytes_max = random_below(w, 4) == 0 ? 60 + random_below(w, 1000) : 0;
    w->model.counts_dropped = random_below(w, 2) == 0;
    w->model.keeps_others = random_below(w, 2) == 0;
}

static void random_outage(struct world *w)
{
    af_mutex_lock(&w->model.lock);
    if (random_below(w, 4) == 0)
        w->model.fail_next = random_below(w, 30);
    af_mutex_unlock(&w->model.lock);
}

/* A whole run without a crash: every line exactly once in its place. */
static void run_whole(uint64_t seed)
{
    struct world *w = world_new(seed);
    struct af_sink_stats stats;
    random_options(w);
    plan_units(w, 1 + random_below(w, 8), 200);
    world_open(w);
    for (long u = 0; u < w->unit_count; u++) {
        AF_CHECK_OK(put_unit(w, u), w->err);
        random_outage(w);
    }
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.lines_written + stats.lines_rejected, w->line_count - 1);
    AF_CHECK_INT(stats.lines_spooled, 0);
    check_outcome(w, true);
    world_done(w);
}

/* Runs that are closed in the middle; the next one puts the units again that had not settled. */
static void run_with_crashes(uint64_t seed)
{
    struct world *w = world_new(seed);
    random_options(w);
    w->points_are_own = true; /* else a unit that is put again would rightly overwrite later ones */
    plan_units(w, 1 + random_below(w, 16), 100);
    for (int life = 0;; life++) {
        bool is_last = life == 3;
        w->options.lanes = 1 + random_below(w, 4);
        world_open(w);
        for (long u = 0; u < w->unit_count; u++) {
            if (!is_last && random_below(w, 8) == 0)
                break;
            if (atomic_load(&w->units[u].settled) == 0)
                AF_CHECK_OK(put_unit(w, u), w->err);
            random_outage(w);
        }
        if (is_last)
            break;
        if (random_below(w, 3) == 0)
            af_clock_sleep_ms(random_below(w, 4));
        af_sink_close(w->sink);
        w->sink = NULL;
    }
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    check_outcome(w, false);
    world_done(w);
}

AF_TEST(random_whole_runs)
{
    many(run_whole, 100000, 120);
}
AF_TEST(more_random_whole_runs)
{
    many(run_whole, 200000, 120);
}
AF_TEST(random_runs_with_crashes)
{
    many(run_with_crashes, 300000, 40);
}
AF_TEST(more_random_runs_with_crashes)
{
    many(run_with_crashes, 400000, 40);
}
