/*
 * job.c - one block on its way to the store: requests, answers, and the search for refused lines.
 *
 *     lines  0        at            ends[1]        ends[0]
 *            |  done  |  next request  |  after that  |
 *
 * DONE        at = the end of the request, its entry leaves the stack
 * BAD_LINES   the request is halved (a smaller end is pushed) until single lines remain: a dead letter each. When the store
 *             says that it refused as many lines as it got, all of them are, with that reason
 * TOO_LARGE   halved too; a single line that is too large is a dead letter
 *
 * Halves are sent from left to right and none is left out, even where the store says that it kept the good ones: a line
 * sent again overwrites itself, and the last value of a point is sent last. A block of n lines takes at most 2n - 1
 * answered requests. A failure in the middle leaves `at` and the stack as they are.
 */
#include "os/clock.h"
#include "sink/sink_int.h"
#include <assert.h>
#include <stdio.h>

void af_sink_job_begin(struct af_sink_job *job, struct af_sink_lane *lane, struct af_sink_block *block, int64_t precision_ns,
                       uint32_t budget_ms)
{
    const struct af_sink_options *options = &lane->sink->options;
    *job = (struct af_sink_job){ .block = block, .precision_ns = precision_ns, .depth = 1 };
    job->ends[0] = block->line_count;
    job->retry = (struct af_retry){ .first_ms = options->backoff_first_ms, .max_ms = options->backoff_max_ms,
                                    .budget_ms = budget_ms };
    af_retry_begin(&job->retry, af_sink_now_ms());
}

/* --- when ---------------------------------------------------------------------------------------------------------------- */

bool af_sink_job_may_send(struct af_sink_job *job, struct af_sink *sink, int64_t *out_again_ms)
{
    int64_t now_ms = af_sink_now_ms();
    af_mutex_lock(&sink->lock);
    struct af_breaker *breaker = &sink->shared.breaker;
    if (breaker->closings != job->closings && job->retry.at_ms > job->retry.floor_ms)
        job->retry.at_ms = job->retry.floor_ms; /* another lane got through meanwhile */
    job->closings = breaker->closings;
    bool may = now_ms >= job->retry.at_ms;
    if (may)
        may = af_breaker_ask(breaker, now_ms, out_again_ms);
    else
        *out_again_ms = job->retry.at_ms;
    af_mutex_unlock(&sink->lock);
    return may;
}

static void wait_for_rate(struct af_sink_lane *lane, size_t lines)
{
    struct af_sink *sink = lane->sink;
    af_mutex_lock(&sink->lock);
    int64_t wait_ns = af_rate_take(&sink->shared.rate, lines, af_clock_mono_ns());
    af_mutex_unlock(&sink->lock);
    int64_t until_ms = af_sink_now_ms() + (wait_ns + 999999) / 1000000;
    while (wait_ns > 0 && !af_sink_is_stopped(sink) && af_sink_now_ms() < until_ms)
        af_sink_lane_pause(lane, until_ms);
}

/* --- what came of it ----------------------------------------------------------------------------------------------------- */

static void note_answer(struct af_sink *sink)
{
    int64_t now_ms = af_sink_now_ms();
    af_mutex_lock(&sink->lock);
    bool has_closed = af_breaker_succeeded(&sink->shared.breaker);
    sink->shared.last_error[0] = '\0';
    af_mutex_unlock(&sink->lock);
    atomic_store(&sink->is_unwell, false);
    atomic_store(&sink->progress_ms, now_ms);
    if (has_closed)
        af_sink_nudge(sink);
}

static enum af_sink_sent note_failure(struct af_sink_job *job, struct af_sink_lane *lane, const struct af_error *why)
{
    struct af_sink *sink = lane->sink;
    int64_t now_ms = af_sink_now_ms();
    af_mutex_lock(&sink->lock);
    af_breaker_failed(&sink->shared.breaker, now_ms, why->retry_after_ms);
    (void)snprintf(sink->shared.last_error, sizeof sink->shared.last_error, "%.*s", (int)sizeof sink->shared.last_error - 1,
                   why->message);
    af_mutex_unlock(&sink->lock);
    atomic_store(&sink->is_unwell, true);
    atomic_fetch_add(&sink->count.retries, 1);
    return af_retry_failed(&job->retry, now_ms, why->retry_after_ms, &lane->sender.prng) ? AF_SENT_FAILED : AF_SENT_OVER;
}

static enum af_sink_sent advance(struct af_sink_job *job)
{
    job->at = job->ends[job->depth - 1];
    job->depth--;
    af_retry_begin(&job->retry, af_sink_now_ms());
    return job->depth > 0 ? AF_SENT_PART : AF_SENT_ALL;
}

static enum af_sink_sent halve(struct af_sink_job *job, struct af_sink *sink)
{
    size_t end = job->ends[job->depth - 1];
    assert(end - job->at > 1 && job->depth < AF_SPLIT_DEPTH_MAX);
    job->ends[job->depth++] = job->at + (end - job->at) / 2;
    atomic_fetch_add(&sink->count.splits, 1);
    af_retry_begin(&job->retry, af_sink_now_ms());
    return AF_SENT_PART;
}

static enum af_status bury_line(struct af_sink_job *job, struct af_sink *sink, size_t line, const char *reason, struct af_error *err)
{
    struct af_slice text = af_sink_block_lines(job->block, line, line + 1);
    struct af_dead_letter letter = { .reason = reason, .is_line = true, .text = { text.ptr, text.len - 1 } };
    const struct af_sink_segment *segment = af_sink_block_origin(job->block, line, &letter.row);
    letter.file = segment->file;
    letter.row_group = segment->row_group;
    AF_TRY(af_sink_bury(sink, &letter, err));
    job->has_dead_letters = true;
    if (segment->unit != NULL)
        atomic_store(&segment->unit->has_dead_letters, true);
    atomic_fetch_add(&sink->count.lines_rejected, 1);
    return AF_OK;
}

/* All lines of the request are refused. */
static enum af_sink_sent bury(struct af_sink_job *job, struct af_sink *sink, const char *reason)
{
    struct af_error err;
    for (size_t line = job->at; line < job->ends[job->depth - 1]; line++)
        if (bury_line(job, sink, line, reason, &err) != AF_OK) {
            (void)af_sink_fail(sink, &err);
            return AF_SENT_STOP;
        }
    return advance(job);
}

/* Later blocks of the lane should not meet the same refusal: half of what was too large is the new size. Half of the refused request,
 * not of the setting, so that one huge line among small ones does not shrink it step by step. */
static void learn_size(struct af_sink_lane *lane, size_t refused_bytes)
{
    af_mutex_lock(&lane->lock);
    size_t bytes_max = refused_bytes / 2 > 1 ? refused_bytes / 2 : 1;
    if (bytes_max < lane->queue.bytes_max)
        lane->queue.bytes_max = bytes_max;
    af_mutex_unlock(&lane->lock);
}

static enum af_sink_sent accept(struct af_sink_job *job, struct af_sink_lane *lane, const struct af_write *write,
                                const struct af_write_answer *answer)
{
    struct af_sink *sink = lane->sink;
    const char *reason = answer->reason[0] != '\0' ? answer->reason : "the store refused it without a reason";
    bool is_single = write->line_count == 1;
    struct af_error err;
    note_answer(sink);
    atomic_fetch_add(&sink->count.bytes_sent, answer->bytes_sent);
    switch (answer->verdict) {
    case AF_WRITE_DONE:
        atomic_fetch_add(&sink->count.lines_written, write->line_count);
        atomic_fetch_add(&sink->count.batches_written, 1);
        return advance(job);
    case AF_WRITE_BAD_LINES:
        return is_single || answer->dropped == write->line_count ? bury(job, sink, reason) : halve(job, sink);
    case AF_WRITE_TOO_LARGE:
        if (!is_single)
            learn_size(lane, write->lines.len);
        return is_single ? bury(job, sink, reason) : halve(job, sink);
    }
    (void)af_fail(&err, AF_EBUG, "%s: the store gave a verdict that does not exist: %d", sink->store->name, (int)answer->verdict);
    (void)af_sink_fail(sink, &err);
    return AF_SENT_STOP;
}

enum af_sink_sent af_sink_job_send(struct af_sink_job *job, struct af_sink_lane *lane)
{
    struct af_sink *sink = lane->sink;
    size_t end = job->ends[job->depth - 1];
    wait_for_rate(lane, end - job->at);
    if (af_sink_is_stopped(sink))
        return AF_SENT_STOP;
    struct af_write write = { .lines = af_sink_block_lines(job->block, job->at, end), .line_count = end - job->at,
                              .precision_ns = job->precision_ns, .cancel = &sink->stop };
    struct af_write_answer answer = { 0 };
    struct af_error err = { 0 };
    enum af_status status = af_store_write(sink->store, &write, &answer, &err);
    if (status == AF_OK)
        return accept(job, lane, &write, &answer);
    if (af_sink_is_stopped(sink))
        return AF_SENT_STOP;
    if (af_status_is_retryable(status))
        return note_failure(job, lane, &err);
    err.status = status;
    (void)af_sink_fail(sink, &err);
    return AF_SENT_STOP;
}
