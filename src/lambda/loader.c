/*
 * loader.c - the objects of an event into InfluxDB.
 *
 *     event --> records --> objects --> load (ingest, map, sink) --> done
 *                 |            |-- older event of the same key: left out
 *                 |            |-- no time left: goes back
 *                 |            |-- the target or S3 does not answer: goes back
 *                 |            '-- no repetition mends it --.
 *                 '-- not understood -----------------------+--> queue of failures, with the reason; without one: goes back
 *
 * An answer to a queue names the messages that go back; to anybody else an object that failed is a failed invocation, so that Lambda's
 * own retries and destinations see it.
 */
#include "aws/cloudwatch.h"
#include "aws/s3.h"
#include "aws/secrets.h"
#include "aws/sqs.h"
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "codec/digest.h"
#include "ingest/ingest.h"
#include "lambda/lambda.h"
#include "load/load.h"
#include "os/clock.h"
#include "os/file.h"
#include "remote/remote.h"
#include <inttypes.h>
#include <stdio.h>

enum { MARGIN_MS = 2000, RETRY_BUDGET_MS = 20000, LETTER_MESSAGE_BYTES = 200 << 10, MEMORY_SHARE = 2, MIB = 1 << 20, FAILURE_BYTES = 700,
       NAME_BYTES = 1400 };

struct af_lambda_loader {
    struct af_aws *aws;
    struct af_s3 *s3;
    struct af_secrets *secrets;
    struct af_aws_client *sqs;          /* NULL: no queue of failures */
    struct af_store *store;             /* NULL: not open yet, or its token was refused */
    struct af_map *map;                 /* NULL: detected per object */
    struct af_buf token;
    const char *queue;
    uint64_t memory_bytes, margin_ms;
    bool infer, is_warm, has_metrics;
    bool stays_false;                   /* what `cancel` of the listing points to */
};

/* What came of one event. */
struct tally {
    uint64_t loaded, failed, returned, superseded, points, rejected, batches, rows, retries;
    uint64_t handed_over;               /* to the queue of failures */
    char dataset[64];
    char reason[FAILURE_BYTES];         /* of the first failure */
};

/* --- settings ------------------------------------------------------------------------------------------------------------ */

static const char *setting(const struct af_lambda_loader *l, const char *name, const char *otherwise)
{
    const char *value = af_aws_variable(l->aws, name);
    return value != NULL ? value : otherwise;
}

static enum af_status number(const struct af_lambda_loader *l, const char *name, uint64_t otherwise, uint64_t *out, struct af_error *err)
{
    const char *value = setting(l, name, NULL);
    *out = otherwise;
    if (value != NULL && !af_u64_parse(af_slice_of(value), out))
        return af_fail(err, AF_EINVAL, "%s is a number, not \"%.60s\"", name, value);
    return AF_OK;
}

static bool is_on(const struct af_lambda_loader *l, const char *name, bool otherwise)
{
    const char *value = setting(l, name, otherwise ? "true" : "false");
    return strcmp(value, "true") == 0 || strcmp(value, "1") == 0 || strcmp(value, "True") == 0;
}

/* MAPPING: a built-in dataset, or the s3:// name of a YAML mapping. */
static enum af_status take_mapping(struct af_lambda_loader *l, struct af_error *err)
{
    const char *mapping = setting(l, "MAPPING", NULL);
    if (mapping == NULL)
        return AF_OK;
    if (!af_s3_is_name(mapping))
        return af_map_builtin(mapping, &l->map, err);
    struct af_s3_name name;
    struct af_buf yaml;
    AF_TRY(af_s3_name_parse(mapping, &name, err));
    af_buf_init(&yaml, AF_YAML_BYTES_MAX);
    enum af_status status = af_s3_get(l->s3, name.bucket, name.key, &yaml, NULL, err);
    if (status == AF_OK)
        status = af_map_parse(mapping, af_buf_slice(&yaml), &l->map, err);
    af_buf_done(&yaml);
    return status;
}

static enum af_status open_loader(struct af_lambda_loader *l, struct af_error *err)
{
    uint64_t memory_mib;
    l->queue = setting(l, "FAILED_WRITES_QUEUE_URL", NULL);
    l->infer = is_on(l, "INFER", false);
    l->has_metrics = is_on(l, "ENABLE_METRICS", true);
    if (setting(l, "INFLUXDB_URL", NULL) == NULL)
        return af_fail(err, AF_EINVAL, "INFLUXDB_URL is not set: where should the points go?");
    if (setting(l, "INFLUXDB_TOKEN", NULL) == NULL && setting(l, "INFLUXDB_TOKEN_SECRET_NAME", NULL) == NULL)
        return af_fail(err, AF_EINVAL, "neither INFLUXDB_TOKEN_SECRET_NAME nor INFLUXDB_TOKEN is set");
    AF_TRY(number(l, "DEADLINE_MARGIN_MS", MARGIN_MS, &l->margin_ms, err));
    AF_TRY(number(l, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 512, &memory_mib, err));
    l->memory_bytes = memory_mib * MIB / MEMORY_SHARE;
    const struct af_s3_options s3 = { .memory_bytes = l->memory_bytes / 4 };
    AF_TRY(af_s3_open(l->aws, &s3, &l->s3, err));
    AF_TRY(af_secrets_open(l->aws, 0, &l->secrets, err));
    if (l->queue != NULL)
        AF_TRY(af_aws_client_new(l->aws, "sqs", &l->sqs, err));
    return take_mapping(l, err);
}

enum af_status af_lambda_loader_new(struct af_aws *aws, struct af_lambda_loader **out, struct af_error *err)
{
    struct af_lambda_loader *l = af_alloc_zero(1, sizeof *l);
    if (l == NULL)
        return af_fail_nomem(err, "the loader");
    l->aws = aws;
    af_buf_init(&l->token, 1 << 16);
    enum af_status status = open_loader(l, err);
    if (status != AF_OK) {
        af_lambda_loader_free(l);
        return status;
    }
    *out = l;
    return AF_OK;
}

static void forget_token(struct af_lambda_loader *l)
{
    if (l->token.ptr != NULL)
        af_wipe(l->token.ptr, l->token.cap);
    af_buf_clear(&l->token);
}

void af_lambda_loader_free(struct af_lambda_loader *l)
{
    if (l == NULL)
        return;
    af_store_close(l->store);
    af_map_free(l->map);
    af_aws_client_free(l->sqs);
    af_secrets_close(l->secrets);
    af_s3_close(l->s3);
    forget_token(l);
    af_buf_done(&l->token);
    af_free(l);
}

/* --- the target ---------------------------------------------------------------------------------------------------------- */

static enum af_status take_token(struct af_lambda_loader *l, struct af_error *err)
{
    const char *secret = setting(l, "INFLUXDB_TOKEN_SECRET_NAME", NULL), *token = setting(l, "INFLUXDB_TOKEN", NULL);
    struct af_buf text;
    forget_token(l);
    if (token != NULL) {
        af_buf_append_str(&l->token, token);
        return af_buf_check(&l->token, "a token", err);
    }
    af_buf_init(&text, 1 << 16);
    enum af_status status = af_secrets_get(l->secrets, secret, &text, NULL, err);
    if (status == AF_OK)
        status = af_secrets_token(af_buf_slice(&text), &l->token, err);
    if (text.ptr != NULL)
        af_wipe(text.ptr, text.cap);
    af_buf_done(&text);
    return status;
}

static enum af_status open_store(struct af_lambda_loader *l, struct af_error *err)
{
    if (l->store != NULL)
        return AF_OK;
    AF_TRY(take_token(l, err));
    const struct af_remote_options options = { .url = setting(l, "INFLUXDB_URL", NULL), .bucket = setting(l, "INFLUXDB_BUCKET",
                                                                                                          "energy_data"),
                                               .org = setting(l, "INFLUXDB_ORG", "ons-energy"), .token = af_buf_cstr(&l->token),
                                               .http = { .ca_file = setting(l, "INFLUXDB_CA_FILE", NULL) } };
    return af_remote_open(&options, &l->store, err);
}

/* The token was refused: another one may have taken its place. */
static void close_refused(struct af_lambda_loader *l)
{
    const char *secret = setting(l, "INFLUXDB_TOKEN_SECRET_NAME", NULL);
    af_store_close(l->store);
    l->store = NULL;
    if (secret != NULL)
        af_secrets_refused(l->secrets, secret);
}

/* --- the queue of failures ----------------------------------------------------------------------------------------------- */

static enum af_status hand_over(struct af_lambda_loader *l, struct af_slice body, const char *reason, struct af_error *err)
{
    const struct af_sqs_message message = { .body = body, .reason = af_slice_of(reason) };
    return af_sqs_send(l->sqs, l->queue, &message, 0, err);
}

struct letters {
    struct af_lambda_loader *loader;
    const struct af_lambda_invocation *invocation;
    struct tally *tally;
    const char *name;                   /* s3://bucket/key */
};

/* Whole lines, as many as a message holds; a line that is longer alone is cut off by the queue's own limit and said so. */
static enum af_status send_lines(struct letters *to, struct af_slice text, struct af_error *err)
{
    char reason[NAME_BYTES + 64];
    (void)snprintf(reason, sizeof reason, "rows of %s that are no points", to->name);
    while (text.len != 0) {
        size_t len = text.len < LETTER_MESSAGE_BYTES ? text.len : LETTER_MESSAGE_BYTES;
        size_t cut = len;
        while (len < text.len && cut > 0 && text.ptr[cut - 1] != '\n')
            cut--;
        len = cut != 0 ? cut : len;
        AF_TRY(hand_over(to->loader, af_slice_make(text.ptr, len), reason, err));
        to->tally->handed_over++;
        text = af_slice_make(text.ptr + len, text.len - len);
    }
    return AF_OK;
}

static enum af_status take_letters(void *ctx, const char *path, uint64_t count, struct af_error *err)
{
    struct letters *to = ctx;
    struct af_buf text;
    if (to->loader->sqs == NULL) {
        af_lambda_say(to->invocation->log, AF_LOG_WARN, (struct af_slice){ NULL, 0 },
                      "%s: %" PRIu64 " rows are no points, and there is no FAILED_WRITES_QUEUE_URL to keep them", to->name, count);
        return AF_OK;
    }
    af_buf_init(&text, to->loader->memory_bytes / 4);
    enum af_status status = af_file_read_all(path, &text, err);
    if (status == AF_OK)
        status = send_lines(to, af_buf_slice(&text), err);
    af_buf_done(&text);
    return status;
}

/* --- one object ---------------------------------------------------------------------------------------------------------- */

static enum af_status give_s3(void *ctx, struct af_s3 **out, struct af_error *err)
{
    (void)err;
    *out = ((struct af_lambda_loader *)ctx)->s3;
    return AF_OK;
}

static enum af_status load_once(struct af_lambda_loader *l, const struct af_lambda_invocation *invocation, const char *name,
                                struct tally *tally, struct af_error *err)
{
    struct af_source_list list;
    struct af_load_result result = { .dataset = "" };
    struct letters letters = { l, invocation, tally, name };
    const struct af_source_from from = { give_s3, l, &l->stays_false };
    AF_TRY(open_store(l, err));
    AF_TRY(af_source_list_make(&name, 1, &from, &list, err));
    const struct af_load_options options = {
        .store = l->store, .sources = &list, .map = l->map, .infer = l->infer, .memory_bytes = l->memory_bytes,
        .retry_budget_ms = RETRY_BUDGET_MS, .letters = take_letters, .ctx = &letters,
        .deadline_mono_ns = invocation->deadline_mono_ns != 0 ? invocation->deadline_mono_ns - (int64_t)l->margin_ms * 1000000 : 0,
    };
    enum af_status status = af_load_run(&options, &result, err);
    af_source_list_done(&list);
    tally->points += result.points_written;
    tally->rejected += result.rows_rejected;
    tally->batches += result.batches;
    tally->rows += result.totals.rows_read;
    tally->retries += result.retries;
    if (tally->dataset[0] == '\0')
        memcpy(tally->dataset, result.dataset, sizeof tally->dataset);
    return status;
}

static enum af_status load_object(struct af_lambda_loader *l, const struct af_lambda_invocation *invocation,
                                  const struct af_lambda_object *object, struct tally *tally, struct af_error *err)
{
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof name, "s3://%s/%s", object->bucket, object->key);
    enum af_status status = load_once(l, invocation, name, tally, err);
    if (status == AF_EUNAUTH && setting(l, "INFLUXDB_TOKEN", NULL) == NULL) {
        close_refused(l);
        status = load_once(l, invocation, name, tally, err);
    }
    if (status == AF_EUNAUTH || status == AF_EDENIED)
        close_refused(l);
    return status;
}

/* Would it help to try again? */
static bool goes_back(enum af_status status)
{
    return af_status_is_retryable(status) || status == AF_ECANCELED || status == AF_EUNAUTH || status == AF_EDENIED ||
        status == AF_ECONFLICT;
}

/* Is there a later event of the same key in this one? */
static bool is_superseded(const struct af_lambda_event *event, const struct af_lambda_object *object)
{
    for (size_t i = 0; i < event->record_count; i++)
        for (size_t j = 0; j < event->records[i].object_count; j++) {
            const struct af_lambda_object *o = &event->records[i].objects[j];
            size_t a = strlen(object->sequencer), b = strlen(o->sequencer);
            if (o != object && a != 0 && b != 0 && strcmp(o->bucket, object->bucket) == 0 && strcmp(o->key, object->key) == 0 &&
                (b > a || (b == a && strcmp(o->sequencer, object->sequencer) > 0)))
                return true;
        }
    return false;
}

/* --- records ------------------------------------------------------------------------------------------------------------- */

static void note_failure(struct tally *tally, const struct af_lambda_invocation *invocation, const char *what, const char *words)
{
    if (tally->reason[0] == '\0')
        (void)snprintf(tally->reason, sizeof tally->reason, "%.600s", words);
    af_lambda_say(invocation->log, AF_LOG_ERROR, (struct af_slice){ NULL, 0 }, "%s%s", what, words);
}

/* For good. True: it stands in the queue of failures. */
static bool give_up(struct af_lambda_loader *l, const struct af_lambda_invocation *invocation, struct af_slice body, const char *words,
                    struct tally *tally)
{
    struct af_error err;
    tally->failed++;
    note_failure(tally, invocation, "", words);
    if (l->sqs == NULL)
        return false;
    if (hand_over(l, body, words, &err) != AF_OK) {
        note_failure(tally, invocation, "the queue of failures: ", err.message);
        return false;
    }
    tally->handed_over++;
    return true;
}

static void print_object(struct af_buf *out, const struct af_lambda_object *object)
{
    af_buf_append_str(out, "{\"bucket\":");
    af_json_append_string(out, af_slice_of(object->bucket));
    af_buf_append_str(out, ",\"key\":");
    af_json_append_string(out, af_slice_of(object->key));
    af_buf_append_str(out, "}");
}

static bool has_time(const struct af_lambda_loader *l, const struct af_lambda_invocation *invocation)
{
    return invocation->deadline_mono_ns == 0 ||
           af_clock_mono_ns() + (int64_t)l->margin_ms * 1000000 < invocation->deadline_mono_ns;
}

/* True: nothing of it is left to do. */
static bool do_object(struct af_lambda_loader *l, const struct af_lambda_invocation *invocation, const struct af_lambda_event *event,
                      const struct af_lambda_object *object, struct tally *tally)
{
    struct af_error err = { 0 };
    if (is_superseded(event, object)) {
        tally->superseded++;
        return true;
    }
    if (!has_time(l, invocation)) {
        tally->returned++;
        note_failure(tally, invocation, "", "no time left: it goes back");
        return false;
    }
    enum af_status status = load_object(l, invocation, object, tally, &err);
    if (status == AF_OK) {
        tally->loaded++;
        return true;
    }
    if (goes_back(status)) {
        tally->returned++;
        note_failure(tally, invocation, "goes back: ", err.message);
        return false;
    }
    struct af_buf body;
    af_buf_init(&body, 1 << 16);
    print_object(&body, object);
    bool is_over = give_up(l, invocation, af_buf_slice(&body), err.message, tally);
    af_buf_done(&body);
    return is_over;
}

static bool do_record(struct af_lambda_loader *l, const struct af_lambda_invocation *invocation, const struct af_lambda_event *event,
                      const struct af_lambda_record *record, struct tally *tally)
{
    bool is_over = true;
    if (record->bad.status != AF_OK)
        return give_up(l, invocation, record->body.len != 0 ? record->body : AF_SLICE_LIT("{}"), record->bad.message, tally);
    for (size_t i = 0; i < record->object_count; i++)
        is_over &= do_object(l, invocation, event, &record->objects[i], tally);
    return is_over;
}

/* --- answers ------------------------------------------------------------------------------------------------------------- */

static void print_answer(const struct tally *t, int64_t begun_ns, struct af_buf *out)
{
    char time[40];
    *af_rfc3339_print(time, af_clock_now_ns(), 6) = '\0';
    time[26] = '\0'; /* as the earlier loader: no zone */
    const char *message = t->loaded == 0 && t->superseded == 0 ? "No data to process" :
                          t->points == 0 ? "No valid data to process" : "Successfully loaded data to InfluxDB";
    af_buf_printf(out, "{\"statusCode\":200,\"message\":\"%s\",\"timestamp\":\"%s\",\"data\":{\"points_written\":%" PRIu64
                  ",\"batches_processed\":%" PRIu64 ",\"dataset_type\":", message, time, t->points, t->batches);
    af_json_append_string(out, af_slice_of(t->dataset));
    af_buf_printf(out, ",\"processing_time_seconds\":%.3f,\"source_records\":%" PRIu64 ",\"objects_loaded\":%" PRIu64
                  ",\"rows_rejected\":%" PRIu64 "}}", (double)(af_clock_mono_ns() - begun_ns) / 1e9, t->rows, t->loaded, t->rejected);
}

static void publish(const struct af_lambda_loader *l, const struct af_lambda_invocation *invocation, const struct tally *t,
                    int64_t begun_ns)
{
    if (!l->has_metrics)
        return;
    const struct af_metric_dimension dimension = { "Function", setting(l, "AWS_LAMBDA_FUNCTION_NAME", "loader") };
    const struct af_metric metrics[] = {
        { "ObjectsLoaded", "Count", (double)t->loaded },     { "ObjectsFailed", "Count", (double)t->failed },
        { "ObjectsReturned", "Count", (double)t->returned }, { "PointsWritten", "Count", (double)t->points },
        { "PointsRejected", "Count", (double)t->rejected },  { "WriteRetries", "Count", (double)t->retries },
        { "LoadMs", "Milliseconds", (double)(af_clock_mono_ns() - begun_ns) / 1e6 },
        { "ColdStart", "Count", l->is_warm ? 0 : 1 },
    };
    struct af_buf line;
    af_buf_init(&line, 1 << 16);
    af_metric_emf(&line, setting(l, "METRICS_NAMESPACE", "Afluxo"), &dimension, 1, metrics, sizeof metrics / sizeof metrics[0],
                  (struct af_slice){ NULL, 0 }, af_clock_now_ns());
    af_buf_append_char(&line, '\n');
    if (!line.failed)
        invocation->log->write(invocation->log->ctx, af_buf_slice(&line));
    af_buf_done(&line);
}

static void print_return(struct af_buf *out, const char *id, bool is_first)
{
    af_buf_append_str(out, is_first ? "{\"itemIdentifier\":" : ",{\"itemIdentifier\":");
    af_json_append_string(out, af_slice_of(id));
    af_buf_append_char(out, '}');
}

enum af_status af_lambda_load(void *loader, const struct af_lambda_invocation *invocation, struct af_buf *answer, struct af_error *err)
{
    struct af_lambda_loader *l = loader;
    struct af_lambda_event event;
    struct tally tally = { .reason = "" };
    const int64_t begun_ns = af_clock_mono_ns();
    AF_TRY(af_lambda_event_parse(invocation->event, invocation->arena, &event, err));
    if (event.is_queue)
        af_buf_append_str(answer, "{\"batchItemFailures\":[");
    size_t left = 0;
    for (size_t i = 0; i < event.record_count; i++) {
        bool is_over = do_record(l, invocation, &event, &event.records[i], &tally);
        if (!is_over && event.is_queue)
            print_return(answer, event.records[i].message_id, left == 0);
        left += !is_over;
    }
    if (event.is_queue)
        af_buf_append_str(answer, "]}");
    publish(l, invocation, &tally, begun_ns);
    l->is_warm = true;
    if (event.is_queue)
        return AF_OK;
    if (left != 0)
        return af_fail(err, tally.returned != 0 ? AF_EIO : AF_EINVAL, "%s", tally.reason);
    print_answer(&tally, begun_ns, answer);
    return AF_OK;
}
