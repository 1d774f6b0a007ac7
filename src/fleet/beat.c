/*
 * beat.c - what goes on beside a worker's load: the message at hand is extended, and the journal hears that the worker lives.
 *
 * A thread of its own, with a connection of its own. `lock` guards what both see; while the thread is in a call it is not held, and
 * work_release waits for the call to end, so that no extension arrives after the message was given back.
 */
#include "fleet/work_int.h"
#include "os/clock.h"
#include <stdio.h>

enum { BEAT_MS = 30000 };
static const int64_t NS_PER_MS = 1000000;

static int64_t now_ms(void)
{
    return af_clock_now_ns() / NS_PER_MS;
}

static void set_next(struct fleet_beats *b, int64_t mono_ns)
{
    b->next_extension_ns = mono_ns + (int64_t)b->visibility_s * 1000 * NS_PER_MS / 3;
}

/* Under the lock, which is given up meanwhile. A message that is not ours any more is somebody else's too: both do the same. */
static void extend(struct fleet_beats *b)
{
    struct af_buf receipt;
    struct af_error err = { 0 };
    enum af_status status = AF_OK;
    af_buf_init(&receipt, FLEET_JSON_BYTES_MAX);
    af_buf_append_slice(&receipt, b->receipt);
    set_next(b, af_clock_mono_ns());
    b->is_calling = true;
    af_mutex_unlock(&b->lock);
    if (!receipt.failed)
        status = af_sqs_visibility(b->sqs, b->queue, af_buf_slice(&receipt), b->visibility_s, &err);
    af_buf_done(&receipt);
    af_mutex_lock(&b->lock);
    if (status == AF_EDENIED)
        b->trouble = err;
    b->is_calling = false;
    af_cond_broadcast(&b->cond);
}

static void tell(struct fleet_beats *b)
{
    struct fleet_beat beat = b->beat;
    const struct fleet_place place = b->place;
    beat.heard_ms = now_ms();
    b->is_calling = true;
    af_mutex_unlock(&b->lock);
    const bool is_heard = fleet_beat_put(b->s3, &place, &beat, NULL) == AF_OK;
    af_mutex_lock(&b->lock);
    b->next_beat_ns = af_clock_mono_ns() + (is_heard ? BEAT_MS : BEAT_MS / 3) * NS_PER_MS;
    b->is_calling = false;
    af_cond_broadcast(&b->cond);
}

static void run(void *ctx)
{
    struct fleet_beats *b = ctx;
    af_mutex_lock(&b->lock);
    while (!b->is_over) {
        const int64_t now = af_clock_mono_ns();
        const bool has_message = b->receipt.ptr != NULL, has_journal = b->beat.run[0] != '\0';
        if (has_message && now >= b->next_extension_ns) {
            extend(b);
            continue;
        }
        if (has_journal && now >= b->next_beat_ns) {
            tell(b);
            continue;
        }
        int64_t until = INT64_MAX;
        if (has_message)
            until = b->next_extension_ns;
        if (has_journal && b->next_beat_ns < until)
            until = b->next_beat_ns;
        if (until == INT64_MAX)
            af_cond_wait(&b->cond, &b->lock);
        else
            (void)af_cond_wait_until(&b->cond, &b->lock, until);
    }
    af_mutex_unlock(&b->lock);
}

enum af_status fleet_beats_begin(struct fleet_beats *b, const struct af_fleet_worker *worker, const char *name, uint32_t visibility_s,
                                 struct af_error *err)
{
    *b = (struct fleet_beats){ .queue = worker->queue, .s3 = worker->s3, .visibility_s = visibility_s };
    (void)snprintf(b->beat.worker, sizeof b->beat.worker, "%s", name);
    b->beat.begun_ms = now_ms();
    AF_TRY(af_aws_client_new(worker->aws, "sqs", &b->sqs, err));
    af_mutex_init(&b->lock);
    af_cond_init(&b->cond);
    const enum af_status status = af_thread_start(&b->thread, "af-beat", run, b, err);
    if (status != AF_OK)
        fleet_beats_end(b);
    return status;
}

void fleet_beats_end(struct fleet_beats *b)
{
    if (b->sqs == NULL)
        return;
    af_mutex_lock(&b->lock);
    b->is_over = true;
    af_cond_broadcast(&b->cond);
    af_mutex_unlock(&b->lock);
    af_thread_join(&b->thread);
    b->beat.is_over = true;
    b->beat.heard_ms = now_ms();
    if (b->beat.run[0] != '\0' && fleet_beat_put(b->s3, &b->place, &b->beat, NULL) != AF_OK)
        b->beat.is_over = false; /* nobody heard it: the journal finds out in two minutes */
    af_cond_done(&b->cond);
    af_mutex_done(&b->lock);
    af_aws_client_free(b->sqs);
    b->sqs = NULL;
}

void fleet_beats_hold(struct fleet_beats *b, struct af_slice receipt, const struct af_fleet_task *task,
                      const struct af_fleet_totals *totals)
{
    struct fleet_place place;
    const bool has_journal = task != NULL && task->journal[0] != '\0' && task->run[0] != '\0' &&
                             fleet_place_parse(task->journal, &place, NULL) == AF_OK;
    af_mutex_lock(&b->lock);
    b->receipt = receipt;
    set_next(b, af_clock_mono_ns());
    b->beat.totals = *totals;
    if (has_journal) {
        if (strcmp(b->beat.run, task->run) != 0)
            b->next_beat_ns = 0; /* at once */
        (void)snprintf(b->beat.run, sizeof b->beat.run, "%s", task->run);
        b->place = place;
    }
    af_cond_broadcast(&b->cond);
    af_mutex_unlock(&b->lock);
}

void fleet_beats_release(struct fleet_beats *b, const struct af_fleet_totals *totals)
{
    af_mutex_lock(&b->lock);
    b->receipt = (struct af_slice){ NULL, 0 };
    b->beat.totals = *totals;
    while (b->is_calling)
        af_cond_wait(&b->cond, &b->lock);
    af_mutex_unlock(&b->lock);
}

enum af_status fleet_beats_check(struct fleet_beats *b, struct af_error *err)
{
    af_mutex_lock(&b->lock);
    const enum af_status status = b->trouble.status;
    if (status != AF_OK && err != NULL)
        *err = b->trouble;
    af_mutex_unlock(&b->lock);
    if (status != AF_OK)
        af_error_prefix(err, "messages cannot be kept while they are worked on: ");
    return status;
}
