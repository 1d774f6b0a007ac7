/*
 * loader.c - the objects of an event into InfluxDB.
 *
 *     event --> records --> objects --> load (ingest, map, sink) --> done
 *                 |            |-- a newer event of the same key is here too: left out
 *                 |            |-- no time left, target or S3 does not answer, settings are wrong: goes back
 *                 |            '-- no repetition mends it --.
 *                 '-- not understood -----------------------+--> queue of failures, with the reason; without one: goes back
 *
 * An answer to a queue names the messages that go back. To anybody else an object that goes back is a failed invocation, so that Lambda's
 * own retries and destinations see it. Nothing is acknowledged before the target has it, or the queue of failures.
 */
#include "aws/s3.h"
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "ingest/ingest.h"
#include "lambda/lambda_int.h"
#include "load/load.h"
#include "os/clock.h"
#include "remote/remote.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    MEMORY_MIB_DEFAULT = 512,
    PROCESSOR_MIB = 1769, /* Lambda gives one processor for so much */
    RETRIES_MAX = 10,
    NAME_BYTES = 1400,
};
static const int64_t NS_PER_MS = 1000000;

struct loader {
    struct af_lambda_function function;
    struct af_aws *aws;
    struct lambda_target target;
    struct lambda_failures failures;
    struct lambda_publisher publisher;
    struct af_s3 *s3;
    struct af_map *map;            /* NULL: detected per object */
    struct lambda_tasks tasks;
    uint64_t memory_bytes, margin_ms, batch_lines, retries, workers;
    bool infer, drops_invalid, is_warm;
    bool flag;                     /* of the event at work: its time is over. What all that waits polls; through __atomic builtins */
};

/* One event at work. */
struct work {
    struct loader *loader;
    const struct af_lambda_invocation *invocation;
    struct lambda_index index;
    int64_t begun_ns, end_mono_ns; /* end: deadline less the margin; 0: none */
    uint64_t loaded, failed, returned, superseded, batches_failed;
    uint64_t points, rejected, batches, rows, retries, bytes_sent;
    char dataset[64];
    struct af_error first;         /* failure */
    struct af_error down;          /* the target does not answer: nobody else of this event waits for it; status AF_OK: it does */
};

/* --- settings ------------------------------------------------------------------------------------------------------------ */

/* MAPPING: a built-in dataset, or the s3:// name of a YAML mapping. */
static enum af_status take_mapping(struct loader *l, struct af_error *err)
{
    const char *mapping = lambda_text(l->aws, LAMBDA_MAPPING);
    return mapping != NULL ? lambda_map_read(l->s3, mapping, &l->map, err) : AF_OK;
}

/* Half of what the function has, unless said; and a thread for each processor that it has a whole share of: a small function sees two and
 * may use a part of one. */
static enum af_status take_memory(struct loader *l, struct af_error *err)
{
    const char *given = af_aws_variable(l->aws, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
    uint64_t mib = 0, all_mib = MEMORY_MIB_DEFAULT;
    AF_TRY(lambda_number(l->aws, LAMBDA_MEMORY_MB, &mib, err));
    bool is_given = given != NULL && af_u64_parse(af_slice_of(given), &all_mib) && all_mib != 0 && all_mib <= UINT32_MAX;
    if (!is_given)
        all_mib = MEMORY_MIB_DEFAULT;
    if (is_given && l->workers == 0)
        l->workers = (all_mib + PROCESSOR_MIB - 1) / PROCESSOR_MIB;
    l->memory_bytes = (mib != 0 ? mib : all_mib / 2) << 20;
    if (mib == 0 && l->memory_bytes > AF_MEMORY_DEFAULT)
        l->memory_bytes = AF_MEMORY_DEFAULT;
    return AF_OK;
}

static enum af_status take_numbers(struct loader *l, struct af_error *err)
{
    AF_TRY(lambda_flag(l->aws, LAMBDA_INFER, &l->infer, err));
    AF_TRY(lambda_flag(l->aws, LAMBDA_DROP_INVALID_RECORDS, &l->drops_invalid, err));
    AF_TRY(lambda_number(l->aws, LAMBDA_DEADLINE_MARGIN_MS, &l->margin_ms, err));
    AF_TRY(lambda_number(l->aws, LAMBDA_MAX_BATCH_SIZE, &l->batch_lines, err));
    AF_TRY(lambda_number(l->aws, LAMBDA_MAX_RETRIES, &l->retries, err));
    AF_TRY(lambda_number(l->aws, LAMBDA_WORKERS, &l->workers, err));
    return take_memory(l, err);
}

static enum af_status open_loader(struct loader *l, struct af_error *err)
{
    AF_TRY(take_numbers(l, err));
    AF_TRY(lambda_target_open(&l->target, l->aws, NULL, err));
    AF_TRY(lambda_failures_open(&l->failures, l->aws, err));
    AF_TRY(lambda_publisher_open(&l->publisher, l->aws, "loader", err));
    const struct af_s3_options s3 = { .memory_bytes = l->memory_bytes / 4, .cancel = &l->flag };
    AF_TRY(af_s3_open(l->aws, &s3, &l->s3, err));
    return take_mapping(l, err);
}

/* --- one object ---------------------------------------------------------------------------------------------------------- */

/* As the earlier loader waited: 1, 2, 4 ... seconds between tries. */
static uint32_t retry_budget_ms(const struct loader *l)
{
    uint64_t n = l->retries < RETRIES_MAX ? l->retries : RETRIES_MAX;
    return n == 0 ? 1 : (uint32_t)((1U << n) - 1) * 1000;
}

static enum af_status give_s3(void *ctx, struct af_s3 **out, struct af_error *err)
{
    (void)err;
    *out = ((struct loader *)ctx)->s3;
    return AF_OK;
}

/* Exactly that object, whatever else its name could stand for: all below it, or all that match it. */
static enum af_status find_object(struct loader *l, const char *name, struct af_source_list *list, struct af_error *err)
{
    const struct af_source_from from = { give_s3, l, &l->flag };
    AF_TRY(af_source_list_make(&name, 1, &from, list, err));
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].path, name) == 0) {
            list->items[0] = list->items[i];
            list->count = 1;
            return AF_OK;
        }
    af_source_list_done(list);
    return af_fail(err, AF_ENOTFOUND, "%s: there is no such object (any more)", name);
}

struct letters {
    struct work *work;
    const char *name;                   /* s3://bucket/key */
    const struct af_fleet_task *task;   /* NULL: none */
};

static enum af_status take_letters(void *ctx, const char *path, uint64_t count, struct af_error *err)
{
    const struct letters *to = ctx;
    struct loader *l = to->work->loader;
    char reason[NAME_BYTES + 64];
    if (!l->drops_invalid)
        return af_fail(err, AF_EINVAL, "%s: %" PRIu64 " rows are no points, and DROP_INVALID_RECORDS is false", to->name, count);
    if (l->failures.sqs == NULL && to->task != NULL && to->task->journal[0] != '\0')
        return af_fleet_letters(l->s3, to->task, path, err);
    if (l->failures.sqs == NULL) {
        af_lambda_say(to->work->invocation->log, AF_LOG_WARN, (struct af_slice){ NULL, 0 },
                      "%s: %" PRIu64 " rows are no points, and there is no FAILED_WRITES_QUEUE_URL to keep them", to->name, count);
        return AF_OK;
    }
    (void)snprintf(reason, sizeof reason, "rows of %s that are no points", to->name);
    return lambda_failures_send_file(&l->failures, path, reason, to->work->end_mono_ns, err);
}

static void add_up(struct work *w, const struct af_load_result *r)
{
    w->points += r->points_written;
    w->rejected += r->rows_rejected;
    w->batches += r->batches;
    w->rows += r->totals.rows_read;
    w->retries += r->retries;
    w->bytes_sent += r->bytes_sent;
    w->batches_failed += r->store_failed;
    if (w->dataset[0] == '\0')
        memcpy(w->dataset, r->dataset, sizeof w->dataset);
    if (r->rows_rejected != 0 && r->reason[0] != '\0')
        af_lambda_say(w->invocation->log, AF_LOG_WARN, (struct af_slice){ NULL, 0 }, "%" PRIu64 " rows are no points; %s", r->rows_rejected,
                      r->reason);
}

/* What came of a task, in the journal of its run: before its message is over. */
static enum af_status write_down(struct work *w, const struct af_fleet_task *task, const struct af_source *source,
                                 const struct af_load_result *loaded, int64_t begun_ns, struct af_error *err)
{
    struct af_fleet_result result = {
        .outcome = loaded->rows_rejected != 0 ? AF_FLEET_REJECTED : AF_FLEET_DONE, .rows_read = loaded->totals.rows_read,
        .points_written = loaded->points_written, .rows_rejected = loaded->rows_rejected, .bytes_read = source->bytes,
        .bytes_sent = loaded->bytes_sent, .milliseconds = (uint64_t)((af_clock_mono_ns() - begun_ns) / NS_PER_MS), .worker = "lambda",
    };
    memcpy(result.etag, source->etag, sizeof result.etag);
    (void)snprintf(result.reason, sizeof result.reason, "%s", loaded->reason);
    return af_fleet_record(w->loader->s3, task, &result, err);
}

/* Whose a failure is, if it is not the object's. */
struct blame {
    bool goes_back, is_target;
};

static enum af_status load_once(struct work *w, const char *name, const struct af_fleet_task *task, struct blame *out, struct af_error *err)
{
    struct loader *l = w->loader;
    const struct af_map *map = l->map;
    const int64_t begun_ns = af_clock_mono_ns();
    struct af_source_list list;
    struct af_load_result result = { .dataset = "" };
    struct letters letters = { w, name, task };
    struct af_store *store;
    *out = (struct blame){ true, true };
    AF_TRY(lambda_target_store(&l->target, &store, err));
    *out = (struct blame){ false, false };
    AF_TRY(lambda_tasks_map(&l->tasks, l->s3, task, &map, err));
    AF_TRY(find_object(l, name, &list, err));
    const struct af_load_options options = {
        .store = store, .sources = &list, .map = map, .infer = l->infer, .memory_bytes = l->memory_bytes, .workers = (unsigned)l->workers,
        .batch_lines = l->batch_lines, .retry_budget_ms = retry_budget_ms(l), .deadline_mono_ns = w->end_mono_ns,
        .cancel = w->invocation->cancel, .flag = &l->flag, .letters = take_letters, .ctx = &letters,
    };
    enum af_status status = af_load_run(&options, &result, err);
    add_up(w, &result);
    *out = (struct blame){ result.store_failed, result.store_failed };
    if (status == AF_OK && task != NULL) {
        status = write_down(w, task, &list.items[0], &result, begun_ns, err);
        out->goes_back = status != AF_OK; /* the journal does not take it */
    }
    af_source_list_done(&list);
    return status;
}

/* Would it help to try again, later or with other settings? */
static bool is_passing(enum af_status status)
{
    return af_status_is_retryable(status) || status == AF_ECANCELED || status == AF_EUNAUTH || status == AF_EDENIED ||
           status == AF_ECONFLICT;
}

static enum af_status load_object(struct work *w, const struct af_lambda_object *object, bool *out_goes_back, struct af_error *err)
{
    char name[NAME_BYTES];
    struct blame blame;
    (void)snprintf(name, sizeof name, "s3://%s/%s", object->bucket, object->key);
    enum af_status status = load_once(w, name, object->task, &blame, err);
    if (status == AF_EUNAUTH && blame.is_target && lambda_target_refused(&w->loader->target))
        status = load_once(w, name, object->task, &blame, err); /* with the token that the secret holds now */
    if (status == AF_EUNAUTH && blame.is_target)
        (void)lambda_target_refused(&w->loader->target);
    if (blame.is_target && af_status_is_retryable(status))
        w->down = *err;
    *out_goes_back = blame.goes_back || is_passing(status);
    return status;
}

/* --- records ------------------------------------------------------------------------------------------------------------- */

static void note_failure(struct work *w, const char *what, const struct af_error *why)
{
    if (w->first.status == AF_OK)
        w->first = *why;
    af_lambda_say(w->invocation->log, AF_LOG_ERROR, (struct af_slice){ NULL, 0 }, "%s%s", what, why->message);
}

/* For good. True: it stands in the queue of failures. */
static bool give_up(struct work *w, struct af_slice body, const struct af_error *why)
{
    struct af_error err = { 0 };
    w->failed++;
    note_failure(w, "", why);
    if (w->loader->failures.sqs == NULL)
        return false;
    if (lambda_failures_send(&w->loader->failures, body, why->message, &err) == AF_OK)
        return true;
    note_failure(w, "", &err);
    return false;
}

static bool give_up_object(struct work *w, const struct af_lambda_object *object, const struct af_error *why)
{
    struct af_buf body;
    struct af_error err = { 0 };
    af_buf_init(&body, 1 << 16);
    if (object->task != NULL) {
        af_fleet_task_print(object->task, &body);
    } else {
        af_buf_append_str(&body, "{\"bucket\":");
        af_json_append_string(&body, af_slice_of(object->bucket));
        af_buf_append_str(&body, ",\"key\":");
        af_json_append_string(&body, af_slice_of(object->key));
        af_buf_append_str(&body, "}");
    }
    bool is_over = !body.failed && give_up(w, af_buf_slice(&body), why);
    if (is_over && object->task != NULL && lambda_tasks_failed(w->loader->s3, object->task, why, &err) != AF_OK) {
        note_failure(w, "", &err);
        is_over = false;
    }
    af_buf_done(&body);
    return is_over;
}

static bool go_back(struct work *w, const struct af_error *why)
{
    w->returned++;
    note_failure(w, "goes back: ", why);
    return false;
}

static bool is_stopped(const struct work *w)
{
    const bool *cancel = w->invocation->cancel;
    return (w->end_mono_ns != 0 && af_clock_mono_ns() >= w->end_mono_ns) || (cancel != NULL && __atomic_load_n(cancel, __ATOMIC_RELAXED));
}

/* Some consoles and tools make an empty object for a folder. */
static bool is_folder(const struct af_lambda_object *object)
{
    return object->key[strlen(object->key) - 1] == '/';
}

/* True: nothing of it is left to do. */
static bool do_object(struct work *w, const struct af_lambda_object *object)
{
    struct af_error err = { 0 };
    bool goes_back = false, is_done = false;
    if (is_folder(object))
        return true;
    if (lambda_index_is_superseded(&w->index, object)) {
        w->superseded++;
        return true;
    }
    if (is_stopped(w)) {
        (void)af_fail(&err, AF_ECANCELED, "s3://%s/%.600s: no time is left for it", object->bucket, object->key);
        return go_back(w, &err);
    }
    if (w->down.status != AF_OK)
        return go_back(w, &w->down);
    if (object->task != NULL && af_fleet_is_done(w->loader->s3, object->task, &is_done, &err) != AF_OK)
        return go_back(w, &err);
    if (is_done)
        return true;
    if (load_object(w, object, &goes_back, &err) == AF_OK) {
        w->loaded++;
        return true;
    }
    if (strstr(err.message, object->key) == NULL)
        af_error_prefix(&err, "s3://%s/%.300s: ", object->bucket, object->key);
    return goes_back ? go_back(w, &err) : give_up_object(w, object, &err);
}

static bool do_record(struct work *w, const struct af_lambda_record *record)
{
    bool is_over = true;
    if (record->bad.status != AF_OK)
        return give_up(w, record->body.len != 0 ? record->body : w->invocation->event, &record->bad);
    for (size_t i = 0; i < record->object_count; i++)
        is_over &= do_object(w, &record->objects[i]);
    return is_over;
}

/* --- answers ------------------------------------------------------------------------------------------------------------- */

static const char *message_of(const struct work *w)
{
    if (w->failed != 0)
        return w->first.message;
    if (w->loaded + w->superseded == 0)
        return "No data to process";
    return w->points == 0 ? "No valid data to process" : "Successfully loaded data to InfluxDB";
}

/* The earlier loader's object. What failed here stands in the queue of failures: else the invocation would have failed. */
static void print_answer(const struct work *w, struct af_buf *out)
{
    char time[40];
    const struct loader *l = w->loader;
    *af_rfc3339_print(time, af_clock_now_ns(), 6) = '\0';
    time[strlen(time) - 1] = '\0'; /* it had no zone */
    af_buf_printf(out, "{\"statusCode\":%d,\"message\":", w->failed == 0 ? 200 : w->loaded != 0 ? 207 : 400);
    af_json_append_string(out, af_slice_of(message_of(w)));
    af_buf_printf(out, ",\"timestamp\":\"%s\",\"data\":{\"points_written\":%" PRIu64 ",\"batches_processed\":%" PRIu64
                  ",\"dataset_type\":", time, w->points, w->batches);
    af_json_append_string(out, af_slice_of(w->dataset));
    af_buf_printf(out, ",\"processing_time_seconds\":%.3f,\"source_records\":%" PRIu64 ",\"health_check\":",
                  (double)(af_clock_mono_ns() - w->begun_ns) / 1e9, w->rows);
    if (l->target.store != NULL) {
        af_buf_append_str(out, "{\"status\":\"healthy\",\"version\":");
        af_json_append_string(out, af_slice_of(af_remote_version(l->target.store)));
        af_buf_append_char(out, '}');
    } else {
        af_buf_append_str(out, "null"); /* nothing was to be written, so nobody asked */
    }
    af_buf_printf(out, ",\"objects_loaded\":%" PRIu64 ",\"objects_failed\":%" PRIu64 ",\"rows_rejected\":%" PRIu64 "}}", w->loaded,
                  w->failed, w->rejected);
}

static void publish(struct work *w, uint64_t letters_before)
{
    struct loader *l = w->loader;
    struct lambda_metrics m = { .has = { false } };
    lambda_metric_set(&m, LAMBDA_METRIC_ObjectsLoaded, (double)w->loaded);
    lambda_metric_set(&m, LAMBDA_METRIC_ObjectsFailed, (double)w->failed);
    lambda_metric_set(&m, LAMBDA_METRIC_ObjectsReturned, (double)w->returned);
    lambda_metric_set(&m, LAMBDA_METRIC_ObjectsSuperseded, (double)w->superseded);
    lambda_metric_set(&m, LAMBDA_METRIC_PointsWritten, (double)w->points);
    lambda_metric_set(&m, LAMBDA_METRIC_PointsRejected, (double)w->rejected);
    lambda_metric_set(&m, LAMBDA_METRIC_RowsRead, (double)w->rows);
    lambda_metric_set(&m, LAMBDA_METRIC_BatchesWritten, (double)w->batches);
    lambda_metric_set(&m, LAMBDA_METRIC_BatchesFailed, (double)w->batches_failed);
    lambda_metric_set(&m, LAMBDA_METRIC_WriteRetries, (double)w->retries);
    lambda_metric_set(&m, LAMBDA_METRIC_DeadLetters, (double)(l->failures.sent - letters_before));
    lambda_metric_set(&m, LAMBDA_METRIC_BytesSent, (double)w->bytes_sent);
    lambda_metric_set(&m, LAMBDA_METRIC_LoadMs, (double)(af_clock_mono_ns() - w->begun_ns) / 1e6);
    lambda_metric_set(&m, LAMBDA_METRIC_ColdStart, l->is_warm ? 0 : 1);
    lambda_publish(&l->publisher, &m, w->invocation->log);
    l->is_warm = true;
}

static void print_return(struct af_buf *out, const char *id, bool is_first)
{
    af_buf_append_str(out, is_first ? "{\"itemIdentifier\":" : ",{\"itemIdentifier\":");
    af_json_append_string(out, af_slice_of(id));
    af_buf_append_char(out, '}');
}

/* Everything of an event that is understood. Returns how many of its records are not over. A message without a name makes the queue
 * give all of them again: an empty name does that. */
static size_t do_event(struct work *w, const struct af_lambda_event *event, struct af_buf *answer)
{
    size_t left = 0;
    if (event->is_queue)
        af_buf_append_str(answer, "{\"batchItemFailures\":[");
    for (size_t i = 0; i < event->record_count; i++) {
        if (do_record(w, &event->records[i]))
            continue;
        if (event->is_queue)
            print_return(answer, event->records[i].message_id, left == 0);
        left++;
    }
    if (event->is_queue)
        af_buf_append_str(answer, "]}");
    return left;
}

static enum af_status handle(void *function, const struct af_lambda_invocation *invocation, struct af_buf *answer, struct af_error *err)
{
    struct loader *l = function;
    struct af_lambda_event event;
    struct af_load_watch watch;
    struct work w = { .loader = l, .invocation = invocation, .begun_ns = af_clock_mono_ns() };
    const uint64_t letters_before = l->failures.sent;
    __atomic_store_n(&l->flag, false, __ATOMIC_RELAXED);
    if (invocation->deadline_mono_ns != 0)
        w.end_mono_ns = invocation->deadline_mono_ns - (int64_t)l->margin_ms * NS_PER_MS;
    AF_TRY(af_lambda_event_parse(invocation->event, invocation->arena, &event, err));
    AF_TRY(lambda_index_make(&event, invocation->arena, &w.index, err));
    AF_TRY(af_load_watch_begin(&watch, w.end_mono_ns, invocation->cancel, &l->flag, err));
    size_t left = do_event(&w, &event, answer);
    af_load_watch_end(&watch);
    publish(&w, letters_before);
    if (event.is_queue)
        return AF_OK;
    if (left != 0)
        return af_fail(err, w.first.status != AF_OK ? w.first.status : AF_ENOMEM, "%s", w.first.message);
    print_answer(&w, answer);
    return AF_OK;
}

/* --- beginning and end --------------------------------------------------------------------------------------------------- */

static void free_loader(struct af_lambda_function *function)
{
    struct loader *l = (struct loader *)function;
    lambda_target_close(&l->target);
    lambda_failures_close(&l->failures);
    lambda_publisher_close(&l->publisher);
    af_map_free(l->map);
    lambda_tasks_close(&l->tasks);
    af_s3_close(l->s3);
    af_free(l);
}

enum af_status af_lambda_loader_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err)
{
    struct loader *l = af_alloc_zero(1, sizeof *l);
    if (l == NULL)
        return af_fail_nomem(err, "the loader");
    l->function = (struct af_lambda_function){ handle, free_loader };
    l->aws = aws;
    enum af_status status = open_loader(l, err);
    if (status != AF_OK) {
        free_loader(&l->function);
        return status;
    }
    *out = &l->function;
    return AF_OK;
}
