/*
 * sink.c - the front of the room: options, put, finish, statistics, and the one failure. The picture is in sink.h; who does what
 * is in sink_int.h.
 *
 * Threads: put, reject, the units and finish are called by any thread; each lane has a thread of its own (lane.c). The first
 * failure is kept, sets `stop` and wakes everybody; from then on nothing is sent and nothing settles.
 */
#include "sink/sink_int.h"
#include "base/alloc.h"
#include "format/lp/lp.h"
#include "os/clock.h"
#include <assert.h>
#include <stdio.h>

/* cancel is only a flag: whoever waits looks at it this often. */
static const int64_t CANCEL_LOOK_MS = 50;

int64_t af_sink_now_ms(void)
{
    return af_clock_mono_ns() / 1000000;
}

bool af_sink_is_stopped(const struct af_sink *sink)
{
    return __atomic_load_n(&sink->stop, __ATOMIC_ACQUIRE);
}

void af_sink_nudge(struct af_sink *sink)
{
    for (uint32_t i = 0; i < sink->lane_count; i++) {
        struct af_sink_lane *lane = &sink->lanes[i];
        af_mutex_lock(&lane->lock);
        lane->queue.is_nudged = true;
        af_cond_broadcast(&lane->work);
        af_cond_broadcast(&lane->room);
        af_mutex_unlock(&lane->lock);
    }
}

static void stop(struct af_sink *sink)
{
    __atomic_store_n(&sink->stop, true, __ATOMIC_RELEASE);
    af_sink_nudge(sink);
}

enum af_status af_sink_fail(struct af_sink *sink, const struct af_error *err)
{
    af_mutex_lock(&sink->lock);
    if (!atomic_load(&sink->has_failed)) {
        sink->shared.failure = *err;
        atomic_store(&sink->has_failed, true);
    }
    enum af_status status = err->status;
    af_cond_broadcast(&sink->moved);
    af_mutex_unlock(&sink->lock);
    stop(sink);
    return status;
}

/* AF_OK, or the failure again. */
static enum af_status check(struct af_sink *sink, struct af_error *err)
{
    if (!atomic_load(&sink->has_failed) && sink->options.cancel != NULL && __atomic_load_n(sink->options.cancel, __ATOMIC_RELAXED)) {
        struct af_error canceled;
        (void)af_fail(&canceled, AF_ECANCELED, "stopped on request while writing to %s", sink->store->name);
        (void)af_sink_fail(sink, &canceled);
    }
    if (!atomic_load(&sink->has_failed))
        return AF_OK;
    af_mutex_lock(&sink->lock);
    enum af_status status = sink->shared.failure.status;
    if (err != NULL)
        *err = sink->shared.failure;
    af_mutex_unlock(&sink->lock);
    return status;
}

/* --- opening and closing ------------------------------------------------------------------------------------------------- */

static void fill_defaults(struct af_sink_options *o)
{
    o->lanes = o->lanes != 0 ? o->lanes : 2;
    o->batch_lines = o->batch_lines != 0 ? o->batch_lines : AF_SINK_BATCH_LINES;
    o->batch_bytes = o->batch_bytes != 0 ? o->batch_bytes : AF_SINK_BATCH_BYTES;
    o->batch_age_ms = o->batch_age_ms != 0 ? o->batch_age_ms : 1000;
    o->precision_ns = o->precision_ns != 0 ? o->precision_ns : 1;
    o->backoff_first_ms = o->backoff_first_ms != 0 ? o->backoff_first_ms : 100;
    o->backoff_max_ms = o->backoff_max_ms != 0 ? o->backoff_max_ms : 30000;
    o->batch_budget_ms = o->batch_budget_ms != 0 ? o->batch_budget_ms : 60000;
    o->breaker_failures = o->breaker_failures != 0 ? o->breaker_failures : 5;
    o->breaker_open_ms = o->breaker_open_ms != 0 ? o->breaker_open_ms : 1000;
    o->patience_ms = o->patience_ms != 0 ? o->patience_ms : 600000;
    o->spool_bytes_max = o->spool_bytes_max != 0 ? o->spool_bytes_max : (uint64_t)4 << 30;
    if (o->seed == 0)
        af_random_bytes(&o->seed, sizeof o->seed);
}

static enum af_status check_options(const struct af_sink_options *o, struct af_error *err)
{
    if (o->lanes > AF_SINK_LANES_MAX)
        return af_fail(err, AF_EINVAL, "%u lanes to the store, at most %d are possible", o->lanes, AF_SINK_LANES_MAX);
    if (o->batch_bytes > AF_LP_LINE_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "batches of %zu bytes, at most %d are possible", o->batch_bytes, AF_LP_LINE_BYTES_MAX);
    if (o->batch_lines > UINT32_MAX)
        return af_fail(err, AF_EINVAL, "batches of %zu lines, at most %u are possible", o->batch_lines, UINT32_MAX);
    if (o->precision_ns != 1 && o->precision_ns != 1000 && o->precision_ns != 1000000 && o->precision_ns != 1000000000)
        return af_fail(err, AF_EINVAL, "times in units of %lld ns; a store knows 1, 1000, 1000000 and 1000000000",
                       (long long)o->precision_ns);
    return AF_OK;
}

static void init(struct af_sink *sink, struct af_store *store, const struct af_sink_options *options)
{
    sink->store = store;
    sink->options = *options;
    sink->options.spool_dir = sink->options.dead_letters_dir = sink->options.run_id = NULL; /* not ours beyond the call */
    af_mutex_init(&sink->lock);
    af_mutex_init(&sink->units_lock);
    af_cond_init(&sink->moved);
    sink->shared.breaker = (struct af_breaker){ .failures_max = options->breaker_failures, .open_ms = options->breaker_open_ms };
    sink->shared.rate.per_s = options->lines_per_s;
    atomic_store(&sink->progress_ms, af_sink_now_ms());
}

static enum af_status open_files(struct af_sink *sink, const struct af_sink_options *options, struct af_error *err)
{
    if (options->spool_dir != NULL)
        AF_TRY(af_spool_open(&sink->spool, options->spool_dir, options->spool_bytes_max, options->lanes, err));
    if (options->dead_letters_dir != NULL)
        AF_TRY(af_dead_letters_open(&sink->dead, options->dead_letters_dir, options->run_id, err));
    return AF_OK;
}

static enum af_status start_lanes(struct af_sink *sink, struct af_error *err)
{
    sink->lanes = af_alloc_zero(sink->options.lanes, sizeof *sink->lanes);
    if (sink->lanes == NULL)
        return af_fail_nomem(err, "the lanes of the sink");
    for (uint32_t i = 0; i < sink->options.lanes; i++)
        af_sink_lane_init(&sink->lanes[i], sink, i);
    sink->lane_count = sink->options.lanes;
    for (uint32_t i = 0; i < sink->lane_count; i++)
        AF_TRY(af_thread_start(&sink->lanes[i].thread, "af-sink", af_sink_lane_run, &sink->lanes[i], err));
    return AF_OK;
}

enum af_status af_sink_open(struct af_store *store, const struct af_sink_options *options, struct af_sink **out, struct af_error *err)
{
    struct af_sink_options full = *options;
    fill_defaults(&full);
    AF_TRY(check_options(&full, err));
    struct af_sink *sink = af_alloc_zero(1, sizeof *sink);
    if (sink == NULL)
        return af_fail_nomem(err, "a sink");
    init(sink, store, &full);
    enum af_status status = open_files(sink, &full, err);
    if (status == AF_OK)
        status = start_lanes(sink, err);
    if (status != AF_OK) {
        af_sink_close(sink);
        return status;
    }
    *out = sink;
    return AF_OK;
}

void af_sink_close(struct af_sink *sink)
{
    if (sink == NULL)
        return;
    stop(sink);
    for (uint32_t i = 0; i < sink->lane_count; i++)
        af_thread_join(&sink->lanes[i].thread);
    for (uint32_t i = 0; i < sink->lane_count; i++)
        af_sink_lane_done(&sink->lanes[i]);
    af_free(sink->lanes);
    af_sink_units_free(sink);
    enum af_status ignored = af_dead_letters_sync(&sink->dead, NULL); /* no unit waits for it, people may */
    (void)ignored;
    af_dead_letters_close(&sink->dead);
    af_spool_close(&sink->spool);
    af_cond_done(&sink->moved);
    af_mutex_done(&sink->units_lock);
    af_mutex_done(&sink->lock);
    af_free(sink);
}

uint32_t af_sink_lanes(const struct af_sink *sink)
{
    return sink->lane_count;
}

/* --- put ----------------------------------------------------------------------------------------------------------------- */

static void wait_for_room(struct af_sink_lane *lane)
{
    if (af_sink_is_stopped(lane->sink)) /* tested under the lock that the nudge of a failure takes */
        return;
    if (lane->sink->options.cancel != NULL)
        (void)af_cond_wait_until(&lane->room, &lane->lock, (af_sink_now_ms() + CANCEL_LOOK_MS) * 1000000);
    else
        af_cond_wait(&lane->room, &lane->lock);
}

/* The block to fill, waiting for one while all are on their way. Failing, the lock is held all the same. */
static enum af_status open_block_locked(struct af_sink_lane *lane, struct af_error *err)
{
    while (lane->queue.open == NULL && lane->queue.free == NULL) {
        wait_for_room(lane);
        af_mutex_unlock(&lane->lock); /* the failure has a lock of its own */
        enum af_status status = check(lane->sink, err);
        af_mutex_lock(&lane->lock);
        AF_TRY(status);
    }
    if (lane->queue.open == NULL) {
        lane->queue.open = lane->queue.free;
        lane->queue.free = lane->queue.free->next;
        lane->queue.open->next = NULL;
    }
    return AF_OK;
}

static void push_locked(struct af_sink_lane *lane)
{
    struct af_sink_block *block = lane->queue.open;
    lane->queue.open = NULL;
    if (lane->queue.last != NULL)
        lane->queue.last->next = block;
    else
        lane->queue.first = block;
    lane->queue.last = block;
    af_cond_signal(&lane->work);
}

static enum af_status refuse_long_line(const struct af_lp_text *text, size_t line, struct af_error *err)
{
    size_t len = text->ends[line] - (line > 0 ? text->ends[line - 1] : 0);
    if (len <= (size_t)AF_LP_LINE_BYTES_MAX)
        return AF_OK;
    return af_fail(err, AF_ELIMIT, "a line of %zu bytes, at most %d are possible", len, AF_LP_LINE_BYTES_MAX);
}

/* As many lines as the block to fill takes; *from moves on. */
static enum af_status put_some_locked(struct af_sink_lane *lane, const struct af_sink_segment *segment,
                                      const struct af_lp_text *text, size_t *from, struct af_error *err)
{
    struct af_sink *sink = lane->sink;
    AF_TRY(open_block_locked(lane, err));
    struct af_sink_block *block = lane->queue.open;
    size_t count = af_sink_block_fit(block, text, *from, sink->options.batch_lines, lane->queue.bytes_max);
    if (count == 0) {
        push_locked(lane);
        return AF_OK;
    }
    if (count == 1)
        AF_TRY(refuse_long_line(text, *from, err));
    bool is_first = block->line_count == 0;
    AF_TRY(af_sink_block_add(block, text, *from, count, segment, err));
    af_sink_unit_add(segment->unit, count);
    atomic_fetch_add(&sink->lines_open, count);
    *from += count;
    if (is_first)
        block->since_ms = af_sink_now_ms();
    if (block->line_count >= sink->options.batch_lines || block->bytes.len >= lane->queue.bytes_max)
        push_locked(lane);
    else if (is_first)
        af_cond_signal(&lane->work); /* the sender must know when it gets old */
    return AF_OK;
}

enum af_status af_sink_put(struct af_sink *sink, struct af_sink_unit *unit, uint32_t lane_id, const struct af_lp_text *text,
                           uint64_t first_row, struct af_error *err)
{
    AF_TRY(check(sink, err));
    if (lane_id >= sink->lane_count)
        return af_fail(err, AF_EBUG, "lane %u of a sink with %u lanes", lane_id, sink->lane_count);
    struct af_sink_lane *lane = &sink->lanes[lane_id];
    struct af_sink_segment segment = { .unit = unit, .file = unit->file, .first_row = first_row, .row_group = unit->row_group };
    enum af_status status = AF_OK;
    struct af_error why = { 0 };
    af_mutex_lock(&lane->lock);
    for (size_t from = 0; from < text->line_count && status == AF_OK;)
        status = put_some_locked(lane, &segment, text, &from, &why);
    af_mutex_unlock(&lane->lock);
    if (status != AF_OK) { /* part of the text may be queued: there is no way back */
        (void)af_sink_fail(sink, &why);
        return check(sink, err);
    }
    atomic_fetch_add(&sink->count.lines_put, text->line_count);
    atomic_fetch_add(&sink->count.values_put, text->value_count);
    atomic_fetch_add(&sink->count.bytes_put, text->bytes.len);
    return AF_OK;
}

/* --- dead letters -------------------------------------------------------------------------------------------------------- */

enum af_status af_sink_bury(struct af_sink *sink, const struct af_dead_letter *letter, struct af_error *err)
{
    if (sink->dead.dir != NULL)
        return af_dead_letters_add(&sink->dead, letter, err);
    struct af_slice text = letter->text;
    return af_fail(err, AF_EINVAL, "%s, row group %u, row %llu%s%s: %s (strict: there are no dead letters to put it into): %.*s",
                   letter->file, letter->row_group, (unsigned long long)letter->row, letter->column != NULL ? ", column " : "",
                   letter->column != NULL ? letter->column : "", letter->reason, (int)(text.len < 200 ? text.len : 200), text.ptr);
}

enum af_status af_sink_reject(struct af_sink *sink, struct af_sink_unit *unit, const struct af_sink_reject *reject,
                              struct af_error *err)
{
    AF_TRY(check(sink, err));
    struct af_dead_letter letter = { .file = unit->file, .row_group = unit->row_group, .row = reject->row, .column = reject->column,
                                     .reason = reject->reason, .is_line = reject->is_line, .text = reject->raw };
    struct af_error why = { 0 };
    if (af_sink_bury(sink, &letter, &why) != AF_OK) {
        (void)af_sink_fail(sink, &why);
        return check(sink, err);
    }
    atomic_store(&unit->has_dead_letters, true);
    atomic_fetch_add(reject->is_line ? &sink->count.lines_rejected : &sink->count.rows_rejected, 1);
    return AF_OK;
}

const char *af_sink_dead_letters(const struct af_sink *sink)
{
    return sink->dead.dir != NULL && atomic_load(&sink->dead.is_there) ? sink->dead.path : NULL;
}

/* --- finish -------------------------------------------------------------------------------------------------------------- */

static enum af_status fail_impatient(struct af_sink *sink, uint64_t lines, struct af_error *err)
{
    char last[256];
    af_mutex_lock(&sink->lock);
    memcpy(last, sink->shared.last_error, sizeof last);
    af_mutex_unlock(&sink->lock);
    return af_fail(err, AF_EIO, "%llu lines wait in the spool %s: %s took none for %u ms%s%s; the next run takes them up first",
                   (unsigned long long)lines, sink->spool.dir, sink->store->name, sink->options.patience_ms,
                   last[0] != '\0' ? ", it said: " : "", last);
}

/* Wait until everything is written; a spool may stay, after patience. */
static enum af_status drain(struct af_sink *sink, struct af_error *err)
{
    int64_t began_ms = af_sink_now_ms();
    for (;;) {
        uint64_t spooled;
        uint64_t bytes;
        AF_TRY(check(sink, err));
        bool is_sent = atomic_load(&sink->lines_open) == 0; /* before the spool is looked at: lines go from here to there */
        af_spool_totals(&sink->spool, &spooled, &bytes);
        if (is_sent && spooled == 0)
            return AF_OK;
        int64_t now_ms = af_sink_now_ms();
        int64_t progress_ms = atomic_load(&sink->progress_ms);
        if (is_sent && now_ms - (progress_ms > began_ms ? progress_ms : began_ms) >= sink->options.patience_ms)
            return fail_impatient(sink, spooled, err);
        af_mutex_lock(&sink->lock);
        (void)af_cond_wait_until(&sink->moved, &sink->lock, (now_ms + CANCEL_LOOK_MS) * 1000000);
        af_mutex_unlock(&sink->lock);
    }
}

enum af_status af_sink_finish(struct af_sink *sink, struct af_error *err)
{
    atomic_fetch_add(&sink->flushing, 1);
    af_sink_nudge(sink);
    enum af_status status = drain(sink, err);
    atomic_fetch_sub(&sink->flushing, 1);
    struct af_error why;
    if (af_dead_letters_sync(&sink->dead, &why) != AF_OK)
        (void)af_sink_fail(sink, &why);
    enum af_status failure = check(sink, status == AF_OK ? err : NULL);
    return status == AF_OK ? failure : status;
}

/* --- statistics ---------------------------------------------------------------------------------------------------------- */

void af_sink_stats(struct af_sink *sink, struct af_sink_stats *out)
{
    *out = (struct af_sink_stats){
        .lines_put = atomic_load(&sink->count.lines_put),
        .values_put = atomic_load(&sink->count.values_put),
        .lines_written = atomic_load(&sink->count.lines_written),
        .lines_rejected = atomic_load(&sink->count.lines_rejected),
        .rows_rejected = atomic_load(&sink->count.rows_rejected),
        .batches_written = atomic_load(&sink->count.batches_written),
        .batches_spooled = atomic_load(&sink->count.batches_spooled),
        .retries = atomic_load(&sink->count.retries),
        .splits = atomic_load(&sink->count.splits),
        .bytes_put = atomic_load(&sink->count.bytes_put),
        .bytes_sent = atomic_load(&sink->count.bytes_sent),
    };
    af_spool_totals(&sink->spool, &out->lines_spooled, &out->spool_bytes);
    af_mutex_lock(&sink->lock);
    out->breaker_is_open = sink->shared.breaker.is_open;
    memcpy(out->last_error, sink->shared.last_error, sizeof out->last_error);
    af_mutex_unlock(&sink->lock);
}
