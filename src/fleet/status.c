/* status.c - the journal of a run summed up: manifest, outcomes, signs of life, and the depth of the queue. */
#include "fleet/fleet_int.h"
#include "os/clock.h"
#include <stdio.h>

enum { LATELY_MS = 300000, ALIVE_MS = 120000, SCRATCH_BYTES = 4 << 20 };

struct sum {
    struct af_fleet_status *out;
    const struct fleet_place *place;
    struct af_arena *arena;         /* of what is told */
    struct af_arena scratch;        /* of one outcome */
    int64_t now_ms;
};

static enum af_status note_failure(struct sum *sum, const struct fleet_outcome *outcome, struct af_error *err)
{
    struct af_fleet_status *out = sum->out;
    if (out->failure_count == AF_FLEET_FAILURES_SHOWN)
        return AF_OK;
    struct af_fleet_failure *failure = &out->failures[out->failure_count];
    failure->object = af_arena_printf(sum->arena, "s3://%s/%s", outcome->task.bucket, outcome->task.key);
    failure->reason = af_arena_printf(sum->arena, "%s", outcome->result.reason);
    if (failure->object == NULL || failure->reason == NULL)
        return af_fail_nomem(err, "what failed");
    out->failure_count++;
    return AF_OK;
}

/* What foreigners write there may be any number: it stays at the largest. */
static void add(uint64_t *sum, uint64_t n)
{
    *sum = n > UINT64_MAX - *sum ? UINT64_MAX : *sum + n;
}

static enum af_status count(struct sum *sum, const struct fleet_outcome *outcome, struct af_error *err)
{
    struct af_fleet_status *out = sum->out;
    const struct af_fleet_result *r = &outcome->result;
    const int64_t begun_ms = outcome->ended_ms - (int64_t)r->milliseconds;
    out->done += r->outcome == AF_FLEET_DONE;
    out->rejected += r->outcome == AF_FLEET_REJECTED;
    out->failed += r->outcome == AF_FLEET_FAILED;
    add(&out->bytes_done, outcome->task.bytes);
    add(&out->rows_read, r->rows_read);
    add(&out->points_written, r->points_written);
    add(&out->rows_rejected, r->rows_rejected);
    add(&out->milliseconds, r->milliseconds);
    if (out->begun_ms == 0 || begun_ms < out->begun_ms)
        out->begun_ms = begun_ms;
    if (outcome->ended_ms > out->ended_ms)
        out->ended_ms = outcome->ended_ms;
    if (outcome->ended_ms > sum->now_ms - LATELY_MS) {
        add(&out->bytes_lately, outcome->task.bytes);
        out->objects_lately++;
    }
    return r->outcome == AF_FLEET_FAILED ? note_failure(sum, outcome, err) : AF_OK;
}

/* Of another run of the same place: it says nothing of this one. */
static enum af_status take_outcome(void *ctx, const char *key, struct af_slice bytes, struct af_error *err)
{
    struct sum *sum = ctx;
    struct fleet_outcome outcome;
    struct fleet_id id;
    enum af_status status = fleet_outcome_parse(bytes, &sum->scratch, &outcome, err);
    if (status == AF_OK && fleet_outcome_is_at(&outcome, sum->place, key, &id))
        status = fleet_is_of_run(&outcome, sum->out->run) ? count(sum, &outcome, err) : AF_OK;
    else if (status != AF_ENOMEM)
        sum->out->unreadable++, status = AF_OK;
    af_arena_reset(&sum->scratch);
    return status;
}

static enum af_status take_beat(void *ctx, const char *key, struct af_slice bytes, struct af_error *err)
{
    struct sum *sum = ctx;
    struct fleet_beat beat;
    (void)key, (void)err;
    if (fleet_beat_parse(bytes, &beat, NULL) != AF_OK)
        return AF_OK;
    sum->out->workers++;
    sum->out->workers_alive += !beat.is_over && beat.heard_ms > sum->now_ms - ALIVE_MS;
    return AF_OK;
}

static enum af_status take_manifest(struct sum *sum, struct af_s3 *s3, const struct fleet_place *place, struct af_error *err)
{
    struct fleet_manifest manifest;
    char etag[64];
    AF_TRY(fleet_manifest_get(s3, place, sum->arena, &manifest, etag, err));
    sum->out->run = af_arena_printf(sum->arena, "%s", manifest.run);
    sum->out->target = manifest.target;
    sum->out->objects = manifest.objects;
    sum->out->bytes = manifest.bytes;
    return sum->out->run != NULL ? AF_OK : af_fail_nomem(err, "the name of a run");
}

static enum af_status take_queue(struct af_fleet_status *out, struct af_aws_client *sqs, const char *queue, struct af_error *err)
{
    struct af_sqs_depth depth;
    if (sqs == NULL || queue == NULL)
        return AF_OK;
    AF_TRY(af_sqs_depth(sqs, queue, &depth, err));
    out->has_queue = true;
    out->visible = depth.visible + depth.delayed;
    out->in_flight = depth.in_flight;
    return AF_OK;
}

/* From when on the rate of late counts: what began later than that has not had the whole time. */
static uint64_t lately_ms(const struct sum *sum)
{
    const int64_t since_begin = sum->out->begun_ms != 0 ? sum->now_ms - sum->out->begun_ms : 0;
    return since_begin <= 0 ? 0 : since_begin < LATELY_MS ? (uint64_t)since_begin : LATELY_MS;
}

enum af_status af_fleet_status(struct af_s3 *s3, struct af_aws_client *sqs, const char *queue, const char *journal, const bool *cancel,
                               struct af_arena *arena, struct af_fleet_status *out, struct af_error *err)
{
    struct sum sum = { .out = out, .arena = arena, .now_ms = af_clock_now_ns() / 1000000 };
    struct fleet_place place;
    *out = (struct af_fleet_status){ .run = "", .target = "" };
    AF_TRY(fleet_place_parse(journal, &place, err));
    sum.place = &place;
    AF_TRY(take_manifest(&sum, s3, &place, err));
    af_arena_init(&sum.scratch, SCRATCH_BYTES);
    enum af_status status = fleet_each(s3, &place, "objects", cancel, take_outcome, &sum, err);
    af_arena_done(&sum.scratch);
    AF_TRY(status);
    AF_TRY(fleet_each(s3, &place, "workers", cancel, take_beat, &sum, err));
    out->lately_ms = lately_ms(&sum);
    return take_queue(out, sqs, queue, err);
}
