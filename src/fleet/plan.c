/*
 * plan.c - objects become messages: manifest first, then ten messages a request, without what is done already.
 *
 *     manifest there? -- no --> write it (only if new) --------.
 *           | yes: the same mapping and target?                '--> outcomes (id -> done, ETag, run) --> objects without one of this ETag
 *           '--> manifest's numbers brought up to date ----------^  and run; another outcome of theirs, and those of objects that are not
 *                                                                   planned, are taken away: the journal says what is still to do
 *
 * A planner that dies has sent some of the messages: planned again, the run gets them twice, which is harmless.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "fleet/fleet_int.h"
#include "os/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- what is done -------------------------------------------------------------------------------------------------------- */

struct done {
    struct fleet_id id;
    uint64_t etag;                  /* a hash */
    bool is_failure, is_other_run;
};
struct done_list {
    struct done *items;
    size_t count, cap;
    struct fleet_place place;
    const char *run;
};

/* The objects that are to be planned, by id; one that was named twice is planned once. */
struct wanted {
    struct fleet_id id;
    size_t index;
};
struct wanted_list {
    struct wanted *items;
    bool *is_twice;                 /* by index: it was named before */
    size_t count;
};

static int compare_wanted(const void *a, const void *b)
{
    const struct wanted *x = a, *y = b;
    const int order = memcmp(x->id.bytes, y->id.bytes, AF_SHA256_BYTES);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

static void wanted_free(struct wanted_list *list)
{
    af_free(list->items);
    af_free(list->is_twice);
}

static enum af_status wanted_make(const struct af_fleet_plan *plan, struct wanted_list *out, struct af_fleet_planned *sum,
                                  struct af_error *err)
{
    *out = (struct wanted_list){ .count = plan->object_count };
    if (plan->object_count == 0)
        return AF_OK;
    out->items = af_alloc_zero(plan->object_count, sizeof *out->items);
    out->is_twice = af_alloc_zero(plan->object_count, sizeof *out->is_twice);
    if (out->items == NULL || out->is_twice == NULL)
        return af_fail_nomem(err, "the list of objects");
    for (size_t i = 0; i < out->count; i++) {
        AF_TRY(fleet_id_of(plan->objects[i].bucket, plan->objects[i].key, &out->items[i].id, err));
        out->items[i].index = i;
    }
    qsort(out->items, out->count, sizeof *out->items, compare_wanted);
    for (size_t i = 0; i < out->count; i++) {
        const bool is_twice = i != 0 && memcmp(out->items[i].id.bytes, out->items[i - 1].id.bytes, AF_SHA256_BYTES) == 0;
        out->is_twice[out->items[i].index] = is_twice;
        sum->objects += !is_twice;
        sum->bytes += is_twice ? 0 : plan->objects[out->items[i].index].bytes;
    }
    return AF_OK;
}

static bool is_wanted(const struct wanted_list *list, const struct fleet_id *id)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = memcmp(list->items[middle].id.bytes, id->bytes, AF_SHA256_BYTES);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static int compare(const void *a, const void *b)
{
    return memcmp(((const struct done *)a)->id.bytes, ((const struct done *)b)->id.bytes, AF_SHA256_BYTES);
}

static uint64_t hash_of(const char *etag)
{
    return af_hash_bytes(etag, strlen(etag), 7);
}

static enum af_status add(struct done_list *list, const struct done *done, struct af_error *err)
{
    if (list->count == list->cap) {
        const size_t cap = list->cap != 0 ? 2 * list->cap : 256;
        struct done *items = cap < SIZE_MAX / sizeof *items ? af_realloc(list->items, cap * sizeof *items) : NULL;
        if (items == NULL)
            return af_fail_nomem(err, "what is done already");
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = *done;
    return AF_OK;
}

/* What cannot be read, or stands where it should not, is not done. */
static enum af_status take_outcome(void *ctx, const char *key, struct af_slice bytes, struct af_error *err)
{
    struct done_list *list = ctx;
    struct fleet_outcome outcome;
    struct done done = { .etag = 0 };
    struct af_arena arena;
    af_arena_init(&arena, 4 << 20);
    enum af_status status = fleet_outcome_parse(bytes, &arena, &outcome, err);
    bool is_one = false;
    if (status == AF_OK && fleet_outcome_is_at(&outcome, &list->place, key, &done.id)) {
        done.etag = hash_of(outcome.result.etag);
        done.is_failure = outcome.result.outcome == AF_FLEET_FAILED;
        done.is_other_run = !fleet_is_of_run(&outcome, list->run);
        is_one = true;
    }
    af_arena_done(&arena);
    if (status == AF_ENOMEM)
        return status;
    return is_one ? add(list, &done, err) : AF_OK;
}

/* The object's outcome; NULL: there is none. */
static const struct done *find(const struct done_list *list, const struct af_fleet_object *object)
{
    struct done wanted;
    if (list->count == 0 || fleet_id_of(object->bucket, object->key, &wanted.id, NULL) != AF_OK)
        return NULL;
    return bsearch(&wanted, list->items, list->count, sizeof wanted, compare);
}

/* The outcome last: as long as it is there, the planner comes back to both. */
static enum af_status forget(const struct af_fleet_plan *plan, const struct done_list *list, const struct done *done, struct af_error *err)
{
    char key[FLEET_KEY_BYTES];
    fleet_key_of(&list->place, "letters", &done->id, ".jsonl", key);
    AF_TRY(af_s3_delete(plan->s3, list->place.bucket, key, err));
    fleet_key_of(&list->place, "objects", &done->id, ".json", key);
    return af_s3_delete(plan->s3, list->place.bucket, key, err);
}

/* Outcomes of objects that the sources do not have any more: the run is about those that they have. */
static enum af_status forget_others(const struct af_fleet_plan *plan, const struct done_list *list, const struct wanted_list *wanted,
                                    struct af_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        if (is_wanted(wanted, &list->items[i].id))
            continue;
        if (fleet_is_up(plan->cancel))
            return af_fail(err, AF_ECANCELED, "stopped on request; the same command goes on");
        AF_TRY(forget(plan, list, &list->items[i], err));
    }
    return AF_OK;
}

/* --- the manifest -------------------------------------------------------------------------------------------------------- */

static const char *text(const char *given)
{
    return given != NULL ? given : "";
}

static void make_run(char out[AF_FLEET_RUN_BYTES])
{
    uint64_t random[2];
    af_random_bytes(random, sizeof random);
    (void)snprintf(out, AF_FLEET_RUN_BYTES, "%016" PRIx64 "%08" PRIx32, random[0], (uint32_t)random[1]);
}

static enum af_status check_same(const struct af_fleet_plan *plan, const struct fleet_manifest *there, struct af_error *err)
{
    const char *const names[] = { "dataset", "mapping", "target" };
    const char *const now[] = { text(plan->dataset), text(plan->mapping), text(plan->target) };
    const char *const before[] = { there->dataset, there->mapping, there->target };
    for (size_t i = 0; i < 3; i++)
        if (strcmp(now[i], before[i]) != 0)
            return af_fail(err, AF_ECONFLICT, "the run of %.200s was planned with another %s (\"%.100s\", now \"%.100s\"): give the same, "
                           "or another --run", plan->journal, names[i], before[i], now[i]);
    return AF_OK;
}

/* The run that is there, if there is one; its numbers become those of now. */
static enum af_status go_on(const struct af_fleet_plan *plan, const struct fleet_place *place, struct af_fleet_planned *out,
                            struct af_error *err)
{
    struct af_arena arena;
    struct fleet_manifest there;
    char etag[64];
    af_arena_init(&arena, 4 << 20);
    enum af_status status = fleet_manifest_get(plan->s3, place, &arena, &there, etag, err);
    if (status == AF_OK)
        status = check_same(plan, &there, err);
    if (status == AF_OK) {
        memcpy(out->run, there.run, sizeof out->run);
        there.objects = out->objects;
        there.bytes = out->bytes;
        status = fleet_manifest_put(plan->s3, place, &there, AF_S3_IF_MATCH, etag, err);
        if (status == AF_ECONFLICT)
            af_error_prefix(err, "somebody else plans this run in this moment: ");
    }
    af_arena_done(&arena);
    return status;
}

static enum af_status open_run(const struct af_fleet_plan *plan, const struct fleet_place *place, struct af_fleet_planned *out,
                               struct af_error *err)
{
    struct af_error why = { 0 };
    struct fleet_manifest fresh = { .objects = out->objects, .bytes = out->bytes, .dataset = text(plan->dataset),
                                    .mapping = text(plan->mapping), .target = text(plan->target) };
    enum af_status status = go_on(plan, place, out, &why);
    if (status == AF_ENOTFOUND) {
        memcpy(fresh.run, out->run, sizeof fresh.run);
        out->is_new = true;
        status = fleet_manifest_put(plan->s3, place, &fresh, AF_S3_IF_NEW, NULL, &why);
        if (status == AF_ECONFLICT)
            af_error_prefix(&why, "somebody else plans this run in this moment: ");
    }
    if (status != AF_OK && err != NULL)
        *err = why;
    return status;
}

/* --- messages ------------------------------------------------------------------------------------------------------------ */

struct batch {
    const struct af_fleet_plan *plan;
    struct af_fleet_planned *out;
    struct af_buf bodies[AF_SQS_BATCH_MAX];
    size_t count;
};

static enum af_status flush(struct batch *batch, struct af_error *err)
{
    struct af_sqs_message messages[AF_SQS_BATCH_MAX] = { { .body = { 0 } } };
    if (batch->count == 0)
        return AF_OK;
    if (fleet_is_up(batch->plan->cancel))
        return af_fail(err, AF_ECANCELED, "stopped on request after %" PRIu64 " messages; the same command goes on", batch->out->sent);
    for (size_t i = 0; i < batch->count; i++)
        messages[i].body = af_buf_slice(&batch->bodies[i]);
    AF_TRY(af_sqs_send_batch(batch->plan->sqs, batch->plan->queue, messages, batch->count, err));
    batch->out->sent += batch->count;
    for (size_t i = 0; i < batch->count; i++)
        af_buf_clear(&batch->bodies[i]);
    batch->count = 0;
    if (batch->plan->progress != NULL)
        batch->plan->progress(batch->plan->ctx, batch->out->sent + batch->out->done, batch->out->objects);
    return AF_OK;
}

static enum af_status send(struct batch *batch, const struct af_fleet_object *object, struct af_error *err)
{
    const struct af_fleet_plan *plan = batch->plan;
    const struct af_fleet_task task = { .run = plan->journal != NULL ? batch->out->run : "", .journal = text(plan->journal),
                                        .bucket = object->bucket, .key = object->key, .etag = object->etag, .bytes = object->bytes,
                                        .format = text(object->format), .dataset = text(plan->dataset), .mapping = text(plan->mapping) };
    struct af_buf *body = &batch->bodies[batch->count];
    af_fleet_task_print(&task, body);
    AF_TRY(af_buf_check(body, "a message", err));
    return ++batch->count == AF_SQS_BATCH_MAX ? flush(batch, err) : AF_OK;
}

static enum af_status send_all(struct batch *batch, const struct done_list *list, const struct wanted_list *wanted, struct af_error *err)
{
    const struct af_fleet_plan *plan = batch->plan;
    for (size_t i = 0; i < plan->object_count; i++) {
        if (wanted->is_twice[i])
            continue;
        const struct done *found = find(list, &plan->objects[i]);
        if (found != NULL && !found->is_failure && !found->is_other_run && found->etag == hash_of(plan->objects[i].etag)) {
            batch->out->done++;
            batch->out->done_bytes += plan->objects[i].bytes;
            continue;
        }
        if (found != NULL)
            AF_TRY(forget(plan, list, found, err));
        AF_TRY(send(batch, &plan->objects[i], err));
    }
    return flush(batch, err);
}

static enum af_status send_what_is_left(const struct af_fleet_plan *plan, const struct done_list *list, const struct wanted_list *wanted,
                                        struct af_fleet_planned *out, struct af_error *err)
{
    struct batch batch = { .plan = plan, .out = out };
    for (size_t i = 0; i < AF_SQS_BATCH_MAX; i++)
        af_buf_init(&batch.bodies[i], FLEET_JSON_BYTES_MAX);
    const enum af_status status = send_all(&batch, list, wanted, err);
    for (size_t i = 0; i < AF_SQS_BATCH_MAX; i++)
        af_buf_done(&batch.bodies[i]);
    return status;
}

/* Of a new run too: where a manifest was taken away, outcomes of the run before it may stand yet. */
static enum af_status find_done(const struct af_fleet_plan *plan, struct done_list *list, struct af_fleet_planned *out,
                                struct af_error *err)
{
    if (plan->journal == NULL)
        return AF_OK;
    AF_TRY(fleet_place_parse(plan->journal, &list->place, err));
    AF_TRY(open_run(plan, &list->place, out, err));
    list->run = out->run;
    AF_TRY(fleet_each(plan->s3, &list->place, "objects", plan->cancel, take_outcome, list, err));
    if (list->count != 0)
        qsort(list->items, list->count, sizeof *list->items, compare);
    return AF_OK;
}

enum af_status af_fleet_plan(const struct af_fleet_plan *plan, struct af_fleet_planned *out, struct af_error *err)
{
    struct done_list list = { .items = NULL };
    struct wanted_list wanted;
    *out = (struct af_fleet_planned){ .objects = 0 };
    AF_TRY(fleet_check_queue(plan->queue, err));
    make_run(out->run);
    enum af_status status = wanted_make(plan, &wanted, out, err);
    if (status == AF_OK)
        status = find_done(plan, &list, out, err);
    if (status == AF_OK)
        status = forget_others(plan, &list, &wanted, err);
    if (status == AF_OK)
        status = send_what_is_left(plan, &list, &wanted, out, err);
    af_free(list.items);
    wanted_free(&wanted);
    return status;
}
