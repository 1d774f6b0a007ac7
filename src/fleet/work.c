/*
 * work.c - a worker: message after message, until the queue is empty.
 *
 *     receive --> task? -- no --------------------------------------> for good
 *                  |-- of another journal than the worker's --> given back, later each time
 *                  |-- done before (same ETag, same run) --> delete
 *                  '-- load --> outcome into the journal --> delete
 *                        |-- stopped: given back at once, the worker ends
 *                        |-- the target does not answer: waited for, message in hand, and loaded again
 *                        |-- the target says no: given back, the worker ends: no message is to blame
 *                        |-- may pass (S3, rights, replaced meanwhile): given back, later each time; the last time for good
 *                        '-- no repetition mends it: for good
 *                        |-- its journal is not to be had, and the worker has none of its own: given back; the last time for good
 *     for good: outcome with the reason --> dead-letter queue with the reason --> delete
 *
 * A message is deleted when its outcome is written (or it stands in the dead-letter queue), so a worker may die at any place.
 */
#include "base/alloc.h"
#include "base/utf8.h"
#include "fleet/work_int.h"
#include "os/clock.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    ATTEMPTS = 5, VISIBILITY_S = 120, VISIBILITY_S_MAX = 43200, IDLE_MS = 60000, PATIENCE_S = 600, WAIT_S = 20, BACK_S = 5,
    BACK_S_MAX = 900, ASIDE_S = 3600, PAUSE_MS = 500, PAUSE_MS_MAX = 30000, LOOK_MS = 50, ARENA_BYTES = 96 << 20, SHORT_BYTES = 1000
};
static const int64_t NS_PER_MS = 1000000;

struct work {
    const struct af_fleet_worker *worker;
    struct af_fleet_totals *totals;
    struct af_aws_client *sqs;
    struct fleet_beats beats;
    struct af_arena lasting, arena;     /* of the worker; of a message */
    char name[64];
    struct fleet_place place;           /* of the journal that it is for, if it has one */
    const char *dead_letters;           /* NULL: there is none */
    uint32_t attempts, visibility_s, idle_ms, patience_s;
};

static bool is_stopped(const struct work *w)
{
    return fleet_is_up(w->worker->cancel);
}

static void pause_ms(const struct work *w, uint32_t ms)
{
    const int64_t until = af_clock_mono_ns() + ms * NS_PER_MS;
    while (!is_stopped(w) && af_clock_mono_ns() < until)
        af_clock_sleep_ms(LOOK_MS);
}

/* Something fails that may pass: it is tried again and again, with growing pauses, as long as the worker's patience lasts. */
struct patience {
    int64_t end_ns;
    uint32_t pause_ms;
};

static struct patience patience_of(const struct work *w)
{
    return (struct patience){ af_clock_mono_ns() + (int64_t)w->patience_s * 1000 * NS_PER_MS, PAUSE_MS };
}

/* After a pause: is it to be tried again? */
static bool is_patient(const struct work *w, struct patience *p, enum af_status status)
{
    if (!af_status_is_retryable(status) || is_stopped(w) || af_clock_mono_ns() + p->pause_ms * NS_PER_MS >= p->end_ns)
        return false;
    pause_ms(w, p->pause_ms);
    p->pause_ms = p->pause_ms < PAUSE_MS_MAX / 2 ? p->pause_ms * 2 : PAUSE_MS_MAX;
    return !is_stopped(w);
}

/* A message may name any journal. Where the worker was given none, one that is not there, or not for it, is the message's fault. */
static bool is_journals_fault(const struct work *w, enum af_status status)
{
    return w->worker->journal == NULL && (status == AF_EDENIED || status == AF_ENOTFOUND);
}

static enum af_status record(const struct work *w, const struct af_fleet_task *task, const struct af_fleet_result *result,
                             struct af_error *err)
{
    struct patience patience = patience_of(w);
    enum af_status status;
    do {
        status = af_fleet_record(w->worker->s3, task, result, err);
    } while (is_patient(w, &patience, status));
    return status;
}

static enum af_status look_up(const struct work *w, const struct af_fleet_task *task, bool *out, struct af_error *err)
{
    struct patience patience = patience_of(w);
    enum af_status status;
    do {
        status = af_fleet_is_done(w->worker->s3, task, out, err);
    } while (is_patient(w, &patience, status));
    return status;
}

static void tell(const struct work *w, const struct af_fleet_task *task, const struct af_fleet_result *result, const struct af_error *why)
{
    if (w->worker->done != NULL)
        w->worker->done(w->worker->ctx, task, result, why);
}

/* --- the end of a message ------------------------------------------------------------------------------------------------ */

/* Who cannot speak to the queue for good has nothing to do here; what may pass, passes: the message comes again and is found done. */
static enum af_status unless_passing(enum af_status status)
{
    return af_status_is_retryable(status) || status == AF_ENOTFOUND ? AF_OK : status;
}

static enum af_status delete_message(struct work *w, const struct af_sqs_message *message, struct af_error *err)
{
    fleet_beats_release(&w->beats, w->totals);
    return unless_passing(af_sqs_delete(w->sqs, w->worker->queue, message->receipt, err));
}

static enum af_status give_back(struct work *w, const struct af_sqs_message *message, uint32_t seconds, struct af_error *err)
{
    fleet_beats_release(&w->beats, w->totals);
    return unless_passing(af_sqs_visibility(w->sqs, w->worker->queue, message->receipt, seconds, err));
}

/* `why` ends the worker; the message goes to the others. */
static enum af_status give_up(struct work *w, const struct af_sqs_message *message, const struct af_fleet_task *task,
                              const struct af_error *why, struct af_error *err)
{
    w->totals->returned++;
    (void)give_back(w, message, 0, NULL); /* or it comes back by itself */
    tell(w, task, NULL, why);
    if (err != NULL)
        *err = *why;
    return why->status;
}

/* --- for good ------------------------------------------------------------------------------------------------------------ */

static enum af_status send_dead_letter(struct work *w, const struct af_sqs_message *message, const char *reason, struct af_error *err)
{
    struct af_sqs_message letter = { .body = message->body, .reason = af_slice_of(reason) };
    enum af_status status = af_sqs_send(w->sqs, w->dead_letters, &letter, 0, err);
    if (status == AF_EINVAL && letter.body.len > SHORT_BYTES) { /* too long for that queue: a task never is */
        letter.body.len = af_utf8_valid_prefix(letter.body.ptr, SHORT_BYTES);
        status = af_sqs_send(w->sqs, w->dead_letters, &letter, 0, err);
    }
    if (status != AF_OK)
        af_error_prefix(err, "the dead-letter queue: ");
    return status;
}

/* task NULL: the message is none. Without a dead-letter queue the journal alone keeps the reason; what has neither is put aside. */
static enum af_status bury(struct work *w, const struct af_sqs_message *message, const struct af_fleet_task *task,
                           struct af_fleet_result *result, const struct af_error *why, struct af_error *err)
{
    enum af_status status = AF_OK;
    struct af_error trouble = { 0 };
    bool has_journal = task != NULL && task->journal[0] != '\0';
    result->outcome = AF_FLEET_FAILED;
    (void)snprintf(result->reason, sizeof result->reason, "%.*s", (int)sizeof result->reason - 1, why->message);
    fleet_clean(result->reason);
    if (result->reason[0] == '\0')
        (void)snprintf(result->reason, sizeof result->reason, "%s", af_status_text(why->status));
    if (has_journal)
        status = record(w, task, result, &trouble);
    if (has_journal && is_journals_fault(w, status)) {
        status = AF_OK;
        has_journal = false;
    }
    if (status == AF_OK && w->dead_letters != NULL)
        status = send_dead_letter(w, message, result->reason, &trouble);
    if (status != AF_OK)
        return give_up(w, message, task, &trouble, err);
    w->totals->failed++;
    tell(w, task, result, why);
    return w->dead_letters != NULL || has_journal ? delete_message(w, message, err) : give_back(w, message, ASIDE_S, err);
}

static uint32_t seconds_back(uint32_t receives)
{
    const uint32_t shift = receives < 10 ? receives : 10;
    return BACK_S << shift < BACK_S_MAX ? (uint32_t)BACK_S << shift : BACK_S_MAX;
}

/* To come again, later each time. */
static enum af_status put_off(struct work *w, const struct af_sqs_message *message, const struct af_fleet_task *task,
                              const struct af_error *why, struct af_error *err)
{
    w->totals->returned++;
    tell(w, task, NULL, why);
    return give_back(w, message, seconds_back(message->receive_count), err);
}

/* The journal cannot be read or written. */
static enum af_status fail_journal(struct work *w, const struct af_sqs_message *message, const struct af_fleet_task *task,
                                   const struct af_error *why, struct af_error *err)
{
    struct af_fleet_result result = { .worker = w->name, .attempt = message->receive_count };
    struct af_fleet_task alone = *task;
    if (!is_journals_fault(w, why->status))
        return give_up(w, message, task, why, err);
    if (message->receive_count < w->attempts)
        return put_off(w, message, task, why, err);
    alone.journal = "";
    return bury(w, message, &alone, &result, why, err);
}

/* --- one task ------------------------------------------------------------------------------------------------------------ */

/* Would it help to try again, later or with other rights? */
static bool may_pass(enum af_status status)
{
    return af_status_is_retryable(status) || status == AF_EUNAUTH || status == AF_EDENIED || status == AF_ECONFLICT;
}

/* While the target does not answer the message stays in hand: giving it back would use up its attempts for what is not its fault. */
static enum af_status load(struct work *w, const struct af_fleet_task *task, struct af_fleet_result *result, struct af_error *err)
{
    const int64_t begun = af_clock_mono_ns();
    const uint32_t attempt = result->attempt;
    struct patience patience = patience_of(w);
    enum af_status status;
    do {
        *result = (struct af_fleet_result){ .worker = w->name, .attempt = attempt };
        status = w->worker->load(w->worker->ctx, task, result, &w->arena, err);
    } while (status != AF_OK && result->is_target && is_patient(w, &patience, status));
    result->milliseconds = (uint64_t)((af_clock_mono_ns() - begun) / NS_PER_MS);
    result->worker = w->name;
    result->attempt = attempt;
    return status != AF_OK && is_stopped(w) ? af_fail(err, AF_ECANCELED, "stopped on request") : status;
}

static enum af_status finish(struct work *w, const struct af_sqs_message *message, const struct af_fleet_task *task,
                             const struct af_fleet_result *result, struct af_error *err)
{
    struct af_error why = { 0 };
    if (record(w, task, result, &why) != AF_OK)
        return fail_journal(w, message, task, &why, err);
    w->totals->done += result->outcome == AF_FLEET_DONE;
    w->totals->rejected += result->outcome == AF_FLEET_REJECTED;
    w->totals->rows_read += result->rows_read;
    w->totals->points_written += result->points_written;
    w->totals->rows_rejected += result->rows_rejected;
    w->totals->bytes_read += result->bytes_read;
    tell(w, task, result, NULL);
    return delete_message(w, message, err);
}

static enum af_status fail(struct work *w, const struct af_sqs_message *message, const struct af_fleet_task *task,
                           struct af_fleet_result *result, const struct af_error *why, struct af_error *err)
{
    if (why->status == AF_ECANCELED || result->is_target)
        return give_up(w, message, task, why, err);
    if (!may_pass(why->status) || message->receive_count >= w->attempts)
        return bury(w, message, task, result, why, err);
    return put_off(w, message, task, why, err);
}

/* Is the task one of the worker's journal, however that is written? */
static bool is_ours(const struct work *w, const struct af_fleet_task *task)
{
    struct fleet_place place;
    return w->worker->journal == NULL || (task->journal[0] != '\0' && fleet_place_parse(task->journal, &place, NULL) == AF_OK &&
                                          strcmp(place.bucket, w->place.bucket) == 0 && strcmp(place.prefix, w->place.prefix) == 0);
}

static enum af_status do_task(struct work *w, const struct af_sqs_message *message, const struct af_fleet_task *task, struct af_error *err)
{
    struct af_fleet_result result = { .worker = w->name, .attempt = message->receive_count };
    struct af_error why = { 0 };
    bool is_done = false;
    if (!is_ours(w, task)) { /* there may be workers for it */
        (void)af_fail(&why, AF_EINVAL, "a task of the journal \"%.200s\", and this worker is for %.200s", task->journal,
                      w->worker->journal);
        return put_off(w, message, task, &why, err);
    }
    if (look_up(w, task, &is_done, &why) != AF_OK)
        return why.status == AF_EINVAL ? bury(w, message, NULL, &result, &why, err) : fail_journal(w, message, task, &why, err);
    if (is_done) {
        w->totals->skipped++;
        return delete_message(w, message, err);
    }
    if (load(w, task, &result, &why) == AF_OK)
        return finish(w, message, task, &result, err);
    return fail(w, message, task, &result, &why, err);
}

static enum af_status do_message(struct work *w, const struct af_sqs_message *message, struct af_error *err)
{
    struct af_fleet_task task;
    struct af_fleet_result result = { .worker = w->name, .attempt = message->receive_count };
    struct af_error why = { 0 };
    const enum af_status status = af_fleet_task_parse(message->body, &w->arena, &task, &why);
    w->totals->tasks++;
    fleet_beats_hold(&w->beats, message->receipt, status == AF_OK ? &task : NULL, w->totals);
    if (status == AF_OK)
        return do_task(w, message, &task, err);
    return status == AF_ENOMEM ? give_up(w, message, NULL, &why, err) : bury(w, message, NULL, &result, &why, err);
}

/* --- the loop ------------------------------------------------------------------------------------------------------------ */

/* Nothing came for a while. Messages in the hands of others may yet come back: their workers may die. Who may not ask believes that it is
 * empty; who is not answered asks again later. */
static enum af_status look_if_empty(struct work *w, bool *out, struct af_error *err)
{
    struct af_sqs_depth depth = { .visible = 0 };
    struct af_error why = { 0 };
    const enum af_status status = af_sqs_depth(w->sqs, w->worker->queue, &depth, &why);
    *out = status == AF_EDENIED || (status == AF_OK && depth.visible + depth.in_flight + depth.delayed == 0);
    if (status == AF_OK || status == AF_EDENIED || status == AF_ECORRUPT || af_status_is_retryable(status))
        return AF_OK;
    if (err != NULL)
        *err = why;
    return status;
}

static enum af_status receive_once(struct work *w, struct af_sqs_message *out, size_t *out_count, struct af_error *err)
{
    const uint32_t wait_s = w->idle_ms < 1000 ? 1 : w->idle_ms < WAIT_S * 1000 ? w->idle_ms / 1000 : WAIT_S;
    *out_count = 0;
    if (is_stopped(w))
        return af_fail(err, AF_ECANCELED, "stopped on request");
    return af_sqs_receive(w->sqs, w->worker->queue, 1, wait_s, w->visibility_s, w->worker->cancel, &w->arena, out, out_count, err);
}

/* A message that was altered on its way comes again, as what did not come at all. */
static enum af_status receive(struct work *w, struct af_sqs_message *out, size_t *out_count, struct af_error *err)
{
    struct patience patience = patience_of(w);
    enum af_status status;
    do {
        status = receive_once(w, out, out_count, err);
    } while (is_patient(w, &patience, status == AF_ECORRUPT ? AF_EIO : status));
    return status;
}

static enum af_status run(struct work *w, struct af_error *err)
{
    int64_t last_ns = af_clock_mono_ns();
    for (;;) {
        struct af_sqs_message message;
        size_t count;
        bool is_empty = false;
        af_arena_reset(&w->arena);
        AF_TRY(receive(w, &message, &count, err));
        if (count != 0) {
            AF_TRY(do_message(w, &message, err));
            AF_TRY(fleet_beats_check(&w->beats, err));
            last_ns = af_clock_mono_ns();
        } else if (w->idle_ms != UINT32_MAX && af_clock_mono_ns() - last_ns >= w->idle_ms * NS_PER_MS) {
            AF_TRY(look_if_empty(w, &is_empty, err));
            if (is_empty)
                return AF_OK;
        }
    }
}

/* --- beginning and end --------------------------------------------------------------------------------------------------- */

/* The queue's own dead-letter queue, where none is named; and no more attempts than its policy leaves to us. */
static enum af_status read_policy(struct work *w, struct af_error *err)
{
    struct af_sqs_depth depth;
    const enum af_status status = af_sqs_depth(w->sqs, w->worker->queue, &depth, err);
    w->dead_letters = w->worker->dead_letters;
    if (status == AF_EDENIED) /* who may not ask for the attributes can still work */
        return AF_OK;
    AF_TRY(status);
    if (depth.max_receives != 0 && depth.max_receives < w->attempts)
        w->attempts = depth.max_receives;
    if (w->dead_letters == NULL && depth.dead_letters[0] != '\0')
        return af_sqs_url(w->sqs, depth.dead_letters, &w->lasting, &w->dead_letters, err);
    return AF_OK;
}

/* What fails for good is written somewhere, or it is not taken at all. */
static enum af_status check_dead_letters(const struct work *w, struct af_error *err)
{
    if (w->dead_letters != NULL || w->worker->journal != NULL)
        return AF_OK;
    return af_fail(err, AF_EINVAL, "%.300s has no dead-letter queue (or its attributes may not be read), so nobody would hear of what "
                   "fails: give it a redrive policy, or name another with --dead-letter-queue, or the journal with --run",
                   w->worker->queue);
}

static void set_name(struct work *w)
{
    uint64_t random;
    af_random_bytes(&random, sizeof random);
    if (w->worker->name != NULL)
        (void)snprintf(w->name, sizeof w->name, "%s", w->worker->name);
    else
        (void)snprintf(w->name, sizeof w->name, "w%012" PRIx64, random & UINT64_C(0xffffffffffff));
    fleet_clean(w->name);
    for (char *c = w->name; *c != '\0'; c++)
        if (*c == '/' || *c == '?' || *c == ' ')
            *c = '-';
}

static enum af_status open_and_run(struct work *w, struct af_error *err)
{
    AF_TRY(af_aws_client_new(w->worker->aws, "sqs", &w->sqs, err));
    AF_TRY(read_policy(w, err));
    AF_TRY(check_dead_letters(w, err));
    AF_TRY(fleet_beats_begin(&w->beats, w->worker, w->name, w->visibility_s, err));
    const enum af_status status = run(w, err);
    fleet_beats_release(&w->beats, w->totals);
    fleet_beats_end(&w->beats);
    return status;
}

enum af_status af_fleet_work(const struct af_fleet_worker *worker, struct af_fleet_totals *out, struct af_error *err)
{
    struct fleet_place place = { .bucket = "" };
    *out = (struct af_fleet_totals){ 0 };
    if (worker->visibility_s > VISIBILITY_S_MAX)
        return af_fail(err, AF_EINVAL, "a queue hides a message for at most %d s, not %" PRIu32, VISIBILITY_S_MAX, worker->visibility_s);
    AF_TRY(fleet_check_queue(worker->queue, err));
    if (worker->journal != NULL)
        AF_TRY(fleet_place_parse(worker->journal, &place, err));
    struct work *w = af_alloc_zero(1, sizeof *w);
    if (w == NULL)
        return af_fail_nomem(err, "a worker");
    w->worker = worker;
    w->place = place;
    w->totals = out;
    w->attempts = worker->attempts != 0 ? worker->attempts : ATTEMPTS;
    w->visibility_s = worker->visibility_s != 0 ? worker->visibility_s : VISIBILITY_S;
    w->idle_ms = worker->idle_ms != 0 ? worker->idle_ms : IDLE_MS;
    w->patience_s = worker->patience_s != 0 ? worker->patience_s : PATIENCE_S;
    af_arena_init(&w->lasting, 1 << 20);
    af_arena_init(&w->arena, ARENA_BYTES);
    set_name(w);
    const enum af_status status = open_and_run(w, err);
    af_aws_client_free(w->sqs);
    af_arena_done(&w->arena);
    af_arena_done(&w->lasting);
    af_free(w);
    return status;
}
