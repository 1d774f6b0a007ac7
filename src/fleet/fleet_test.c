/* fleet_test.c - plans, workers and status against a queue and a bucket that a thread makes up, and that misbehave to order. */
#include "base/numbers.h"
#include "fleet/fleet_int.h"
#include "format/json/json.h"
#include "os/clock.h"
#include "test/lib/http_peer.h"
#include "test/lib/test.h"
#include <stdio.h>

enum { OBJECTS = 64, MESSAGES = 16, BODY_BYTES = 2048 };

/* Only the peer's thread touches it while something runs. */
struct world {
    struct af_peer *peer;
    struct af_aws *aws;
    struct af_s3 *s3;
    struct af_aws_client *sqs;
    struct af_arena arena;
    struct af_error err;
    struct {
        char key[256], text[BODY_BYTES];
        unsigned version;           /* its ETag; 0: not there */
    } objects[OBJECTS];
    struct {
        char body[BODY_BYTES];
        unsigned receives, hidden_s, extensions;
        bool is_hidden, is_deleted;
    } messages[MESSAGES];
    size_t message_count;
    char letters[MESSAGES][2][BODY_BYTES];  /* body, reason */
    size_t letter_count, batches;
    unsigned refuse_entries;        /* so many entries of batches are refused for the service's fault */
    unsigned max_receives;          /* 0: no redrive policy */
    unsigned put_failures;          /* so many puts of outcomes are answered 500 */
    bool no_extensions;             /* ChangeMessageVisibility is denied */
    unsigned depths, sick_depths;   /* GetQueueAttributes so far; after the first, so many are answered sick_code */
    int sick_code;
    bool is_done_meanwhile;         /* somebody writes "done" just before the next put with a condition */
    const char *closed;             /* what has this in its name may not be read or written */
};
static struct world w;

/* --- the bucket ---------------------------------------------------------------------------------------------------------- */

static void say(struct af_buf *out, int code, const char *headers, const char *text)
{
    af_buf_printf(out, "HTTP/1.1 %d Said\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s", code, strlen(text), headers, text);
}

static bool has(struct af_slice request, const char *part)
{
    return memmem(request.ptr, request.len, part, strlen(part)) != NULL;
}

static struct af_slice body_of(struct af_slice request)
{
    const char *end = memmem(request.ptr, request.len, "\r\n\r\n", 4);
    return af_slice_make(end + 4, request.len - (size_t)(end + 4 - request.ptr));
}

static size_t find(const char *key)
{
    size_t free_place = OBJECTS;
    for (size_t i = 0; i < OBJECTS; i++) {
        if (strcmp(w.objects[i].key, key) == 0)
            return i;
        if (w.objects[i].key[0] == '\0' && free_place == OBJECTS)
            free_place = i;
    }
    AF_CHECK(free_place < OBJECTS);
    (void)snprintf(w.objects[free_place].key, sizeof w.objects[0].key, "%s", key);
    return free_place;
}

static void put(struct af_slice request, const char *key, struct af_buf *out)
{
    const size_t i = find(key);
    char etag[64];
    if (w.is_done_meanwhile && has(request, "f-match: ")) {
        w.is_done_meanwhile = false;
        w.objects[i].version++;
        memcpy(strstr(w.objects[i].text, "\"failed\""), "\"done\"  ", 8);
    }
    (void)snprintf(etag, sizeof etag, "\"e%u\"", w.objects[i].version);
    if (strstr(key, "objects/") != NULL && w.put_failures != 0) {
        w.put_failures--;
        say(out, 500, "", "<Error><Code>InternalError</Code></Error>");
    } else if ((has(request, "f-none-match: *") && w.objects[i].version != 0) || (has(request, "f-match: ") && !has(request, etag))) {
        say(out, 412, "", "<Error><Code>PreconditionFailed</Code></Error>");
    } else {
        const struct af_slice text = body_of(request);
        AF_CHECK(text.len < BODY_BYTES);
        memcpy(w.objects[i].text, text.ptr, text.len);
        w.objects[i].text[text.len] = '\0';
        (void)snprintf(etag, sizeof etag, "ETag: \"e%u\"\r\n", ++w.objects[i].version);
        say(out, 200, etag, "");
    }
}

static void get(const char *key, struct af_buf *out)
{
    char etag[64];
    const size_t i = find(key);
    (void)snprintf(etag, sizeof etag, "ETag: \"e%u\"\r\n", w.objects[i].version);
    if (w.objects[i].version != 0)
        say(out, 200, etag, w.objects[i].text);
    else
        say(out, 404, "", "<Error><Code>NoSuchKey</Code></Error>");
}

static void list(struct af_slice request, struct af_buf *out)
{
    struct af_buf xml;
    const char *kind = has(request, "objects%2F") ? "objects/" : "workers/";
    af_buf_init(&xml, 1 << 20);
    af_buf_append_str(&xml, "<ListBucketResult><IsTruncated>false</IsTruncated>");
    for (size_t i = 0; i < OBJECTS; i++)
        if (w.objects[i].version != 0 && strstr(w.objects[i].key, kind) != NULL)
            af_buf_printf(&xml, "<Contents><Key>%s</Key><Size>%zu</Size><ETag>\"e\"</ETag><LastModified>"
                          "2024-01-01T00:00:00.000Z</LastModified></Contents>", w.objects[i].key, strlen(w.objects[i].text));
    af_buf_append_str(&xml, "</ListBucketResult>");
    say(out, 200, "Content-Type: application/xml\r\n", af_buf_cstr(&xml));
    af_buf_done(&xml);
}

static void bucket(struct af_slice request, struct af_buf *out)
{
    char key[256] = "";
    const char *at = memchr(request.ptr, ' ', request.len);
    const size_t len = strcspn(at + 1, "? ");
    if (len > sizeof "/journal/" - 1)
        (void)snprintf(key, sizeof key, "%.*s", (int)(len - (sizeof "/journal/" - 1)), at + sizeof "/journal/");
    if (w.closed != NULL && strstr(key, w.closed) != NULL)
        say(out, 403, "", "<Error><Code>AccessDenied</Code></Error>");
    else if (has(request, "list-type=2"))
        list(request, out);
    else if (af_slice_has_prefix(request, "PUT "))
        put(request, key, out);
    else if (af_slice_has_prefix(request, "DELETE "))
        w.objects[find(key)].version = 0, say(out, 204, "", "");
    else
        get(key, out);
}

/* --- the queue ----------------------------------------------------------------------------------------------------------- */

static void receive(struct af_buf *out)
{
    struct af_buf json;
    af_buf_init(&json, 1 << 20);
    for (size_t i = 0; i < w.message_count && json.len == 0; i++) {
        if (w.messages[i].is_hidden || w.messages[i].is_deleted)
            continue;
        w.messages[i].is_hidden = true;
        af_buf_printf(&json, "{\"Messages\":[{\"MessageId\":\"m%zu\",\"ReceiptHandle\":\"%zu\",\"Attributes\":"
                      "{\"ApproximateReceiveCount\":\"%u\"},\"Body\":", i, i, ++w.messages[i].receives);
        af_json_append_string(&json, af_slice_of(w.messages[i].body));
        af_buf_append_str(&json, "}]}");
    }
    say(out, 200, "", json.len != 0 ? af_buf_cstr(&json) : "{}");
    af_buf_done(&json);
}

static void depth(struct af_buf *out)
{
    char json[512];
    unsigned visible = 0;
    if (w.depths++ != 0 && w.sick_depths != 0) {
        w.sick_depths--;
        say(out, w.sick_code, "", w.sick_code == 403 ? "{\"__type\":\"AccessDeniedException\"}" : "{\"__type\":\"InternalError\"}");
        return;
    }
    for (size_t i = 0; i < w.message_count; i++)
        visible += !w.messages[i].is_hidden && !w.messages[i].is_deleted;
    int at = snprintf(json, sizeof json, "{\"Attributes\":{\"ApproximateNumberOfMessages\":\"%u\",\"VisibilityTimeout\":\"30\"", visible);
    if (w.max_receives != 0)
        at += snprintf(json + at, sizeof json - (size_t)at, 
                       ",\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:eu-west-1:1:dead\\\","
                       "\\\"maxReceiveCount\\\":%u}\"", w.max_receives);
    (void)snprintf(json + at, sizeof json - (size_t)at, "}}");
    say(out, 200, "", json);
}

static void keep(const struct af_json *node, const char *name, char out[BODY_BYTES])
{
    const struct af_slice text = af_json_string(node, name);
    (void)snprintf(out, BODY_BYTES, "%.*s", (int)text.len, text.len != 0 ? text.ptr : "");
}

static void send_one(const struct af_json *body, struct af_buf *out)
{
    AF_CHECK(strstr(af_json_string(body, "QueueUrl").ptr, "/dead") != NULL);
    keep(body, "MessageBody", w.letters[w.letter_count][0]);
    keep(af_json_get(af_json_get(body, "MessageAttributes"), "Reason"), "StringValue", w.letters[w.letter_count++][1]);
    say(out, 200, "", "{\"MessageId\":\"x\"}");
}

static void send_batch(const struct af_json *body, struct af_buf *out)
{
    struct af_buf good, bad;
    af_buf_init(&good, 1 << 16);
    af_buf_init(&bad, 1 << 16);
    w.batches++;
    for (const struct af_json *e = af_json_get(body, "Entries")->first; e != NULL; e = e->next) {
        const struct af_slice id = af_json_string(e, "Id");
        if (w.refuse_entries != 0) {
            w.refuse_entries--;
            af_buf_printf(&bad, "%s{\"Id\":\"%.*s\",\"Code\":\"InternalError\",\"SenderFault\":false}", bad.len != 0 ? "," : "",
                          (int)id.len, id.ptr);
            continue;
        }
        AF_CHECK(w.message_count < MESSAGES);
        keep(e, "MessageBody", w.messages[w.message_count++].body);
        af_buf_printf(&good, "%s{\"Id\":\"%.*s\",\"MessageId\":\"x\"}", good.len != 0 ? "," : "", (int)id.len, id.ptr);
    }
    char json[4096];
    (void)snprintf(json, sizeof json, "{\"Successful\":[%s],\"Failed\":[%s]}", af_buf_cstr(&good), af_buf_cstr(&bad));
    say(out, 200, "", json);
    af_buf_done(&good);
    af_buf_done(&bad);
}

static void change(const struct af_json *body, bool is_delete, struct af_buf *out)
{
    uint64_t i = 0;
    int64_t seconds = 0;
    AF_CHECK(af_u64_parse(af_json_string(body, "ReceiptHandle"), &i) && i < w.message_count);
    (void)af_json_i64(af_json_get(body, "VisibilityTimeout"), &seconds);
    if (is_delete) {
        w.messages[i].is_deleted = true;
    } else if (w.no_extensions && seconds != 0) {
        say(out, 403, "", "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}");
        return;
    } else {
        w.messages[i].extensions++;
        w.messages[i].hidden_s = (unsigned)seconds;
    }
    say(out, 200, "", "{}");
}

static bool answer(void *ctx, struct af_slice request, struct af_buf *out)
{
    struct af_arena arena;
    struct af_json *body = NULL;
    (void)ctx;
    if (!has(request, "AmazonSQS.")) {
        bucket(request, out);
        return false;
    }
    af_arena_init(&arena, 8 << 20);
    AF_CHECK(af_json_parse(body_of(request), &arena, &body, NULL) == AF_OK);
    if (has(request, "AmazonSQS.ReceiveMessage"))
        receive(out);
    else if (has(request, "AmazonSQS.GetQueueAttributes"))
        depth(out);
    else if (has(request, "AmazonSQS.GetQueueUrl"))
        say(out, 200, "", "{\"QueueUrl\":\"http://127.0.0.1/1/dead\"}");
    else if (has(request, "AmazonSQS.SendMessageBatch"))
        send_batch(body, out);
    else if (has(request, "AmazonSQS.SendMessage"))
        send_one(body, out);
    else
        change(body, has(request, "AmazonSQS.DeleteMessage"), out);
    af_arena_done(&arena);
    return false;
}

/* --- beginning and end --------------------------------------------------------------------------------------------------- */

static const char *variable(void *ctx, const char *name)
{
    static const char *const fixed[][2] = { { "AWS_ACCESS_KEY_ID", "AKIDEXAMPLE" }, { "AWS_SECRET_ACCESS_KEY", "secret/key" },
                                            { "AWS_REGION", "eu-west-1" }, { "AWS_CONFIG_FILE", "/nonexistent" },
                                            { "AWS_SHARED_CREDENTIALS_FILE", "/nonexistent" }, { "AWS_EC2_METADATA_DISABLED", "true" } };
    (void)ctx;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strcmp(fixed[i][0], name) == 0)
            return fixed[i][1];
    return strcmp(name, "AWS_ENDPOINT_URL") == 0 ? af_peer_url(w.peer) : NULL;
}

static void begin(void)
{
    w = (struct world){ .max_receives = 5 };
    w.peer = af_peer_start_with(answer, NULL);
    const struct af_aws_options options = { .max_attempts = 1, .variable = variable };
    AF_CHECK_OK(af_aws_open(&options, &w.aws, &w.err), w.err);
    AF_CHECK_OK(af_s3_open(w.aws, &(struct af_s3_options){ .connections = 2 }, &w.s3, &w.err), w.err);
    AF_CHECK_OK(af_aws_client_new(w.aws, "sqs", &w.sqs, &w.err), w.err);
    af_arena_init(&w.arena, 8 << 20);
}

static void end(void)
{
    af_arena_done(&w.arena);
    af_aws_client_free(w.sqs);
    af_s3_close(w.s3);
    af_aws_close(w.aws);
    af_peer_stop(w.peer);
}

static const char queue[] = "http://127.0.0.1/1/work", journal[] = "s3://journal/run";
static struct af_fleet_object objects[12];

static enum af_status plan(size_t count, struct af_fleet_planned *out)
{
    static char keys[12][32];
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "in/%zu.lp", i);
        objects[i] = (struct af_fleet_object){ .bucket = "data", .key = keys[i], .etag = "v1", .format = "lp", .bytes = 10 };
    }
    const struct af_fleet_plan p = { .s3 = w.s3, .sqs = w.sqs, .queue = queue, .journal = journal, .dataset = "d", .objects = objects,
                                     .object_count = count };
    return af_fleet_plan(&p, out, &w.err);
}

/* What the next loads come to; the last one goes on. */
struct script {
    const enum af_status *statuses;
    bool is_target;
    unsigned sleep_ms, loads;
    bool cancel, cancels;
    char keys[MESSAGES][64];
};

static enum af_status load(void *ctx, const struct af_fleet_task *task, struct af_fleet_result *out, struct af_arena *arena,
                           struct af_error *err)
{
    struct script *s = ctx;
    (void)arena;
    const enum af_status status = *s->statuses;
    s->statuses += s->statuses[1] != AF_EBUG;
    (void)snprintf(s->keys[s->loads++ % MESSAGES], sizeof s->keys[0], "%s", task->key);
    af_clock_sleep_ms(s->sleep_ms);
    *out = (struct af_fleet_result){ .outcome = AF_FLEET_DONE, .points_written = 3, .rows_read = 4, .is_target = s->is_target };
    if (s->cancels)
        __atomic_store_n(&s->cancel, true, __ATOMIC_RELAXED);
    return status == AF_OK ? AF_OK : af_fail(err, status, "it is \xc3\xa9 so");
}

static enum af_status work(struct script *s, const enum af_status *statuses, const struct af_fleet_worker *like,
                           struct af_fleet_totals *totals)
{
    struct af_fleet_worker worker = *like;
    s->statuses = statuses;
    worker.s3 = w.s3;
    worker.aws = w.aws;
    worker.queue = queue;
    worker.load = load;
    worker.ctx = s;
    worker.cancel = &s->cancel;
    worker.idle_ms = 30;
    if (worker.visibility_s == 0)
        worker.visibility_s = 30;
    return af_fleet_work(&worker, totals, &w.err);
}
static const enum af_status fine[] = { AF_OK, AF_EBUG };

/* --- plans --------------------------------------------------------------------------------------------------------------- */

AF_TEST(a_plan_sends_ten_messages_a_request_after_a_manifest)
{
    struct af_fleet_planned p;
    struct af_fleet_task task;
    begin();
    w.refuse_entries = 3;
    AF_CHECK_OK(plan(12, &p), w.err);
    AF_CHECK(p.is_new && p.objects == 12 && p.bytes == 120 && p.sent == 12 && p.done == 0);
    AF_CHECK_INT(w.message_count, 12);
    AF_CHECK_INT(w.batches, 3); /* 10, the 3 that were refused, 2 */
    AF_CHECK(strstr(w.objects[find("run/manifest.json")].text, "\"objects\":12,\"bytes\":120") != NULL);
    AF_CHECK_OK(af_fleet_task_parse(af_slice_of(w.messages[11].body), &w.arena, &task, &w.err), w.err);
    AF_CHECK_STR(task.key, "in/11.lp");
    AF_CHECK_STR(task.run, p.run);
    AF_CHECK_STR(task.dataset, "d");
    AF_CHECK_STR(task.format, "lp");
    AF_CHECK_STR(task.journal, journal);
    end();
}

AF_TEST(a_run_is_gone_on_with)
{
    struct af_fleet_planned first, second;
    struct af_fleet_totals totals;
    struct script script = { .loads = 0 };
    static const enum af_status mixed[] = { AF_OK, AF_ECORRUPT, AF_OK, AF_EBUG };
    begin();
    w.max_receives = 5;
    AF_CHECK_OK(plan(4, &first), w.err);
    AF_CHECK_OK(work(&script, mixed, &(struct af_fleet_worker){ .name = "a/b c" }, &totals), w.err);
    AF_CHECK(totals.done == 3 && totals.failed == 1);
    objects[3].etag = "v2";
    const struct af_fleet_plan again = { .s3 = w.s3, .sqs = w.sqs, .queue = queue, .journal = journal, .dataset = "d", .objects = objects,
                                         .object_count = 5 };
    objects[4] = (struct af_fleet_object){ .bucket = "data", .key = "in/new.lp", .etag = "v1", .bytes = 10 };
    AF_CHECK_OK(af_fleet_plan(&again, &second, &w.err), w.err);
    AF_CHECK_STR(second.run, first.run);
    AF_CHECK(!second.is_new && second.done == 2 && second.sent == 3); /* what failed, what changed, what is new */
    struct af_fleet_status status;
    AF_CHECK_OK(af_fleet_status(w.s3, w.sqs, queue, journal, NULL, &w.arena, &status, &w.err), w.err);
    AF_CHECK(status.objects == 5 && status.done == 2 && status.failed == 0 && status.visible == 3);
    const struct af_fleet_plan other = { .s3 = w.s3, .sqs = w.sqs, .queue = queue, .journal = journal, .dataset = "another" };
    AF_CHECK_INT(af_fleet_plan(&other, &second, &w.err), AF_ECONFLICT);
    AF_CHECK(strstr(w.err.message, "another dataset") != NULL);
    end();
}

AF_TEST(a_run_is_about_the_objects_that_there_are)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct af_fleet_status status;
    struct script script = { .loads = 0 };
    begin();
    AF_CHECK_OK(plan(3, &p), w.err);
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .name = NULL }, &totals), w.err);
    objects[2] = objects[1]; /* one is gone, another named twice */
    objects[3] = (struct af_fleet_object){ .bucket = "data", .key = "in/new.lp", .etag = "v1", .bytes = 7 };
    const struct af_fleet_plan again = { .s3 = w.s3, .sqs = w.sqs, .queue = queue, .journal = journal, .dataset = "d", .objects = objects,
                                         .object_count = 4 };
    AF_CHECK_OK(af_fleet_plan(&again, &p, &w.err), w.err);
    AF_CHECK(p.objects == 3 && p.bytes == 27 && p.done == 2 && p.sent == 1);
    AF_CHECK_OK(af_fleet_status(w.s3, NULL, NULL, journal, NULL, &w.arena, &status, &w.err), w.err);
    AF_CHECK(status.objects == 3 && status.done == 2 && status.bytes_done == 20);
    end();
}

static size_t of_object(const char *folder, const char *object, const char *extension)
{
    struct fleet_id id;
    struct fleet_place place;
    char key[FLEET_KEY_BYTES];
    AF_CHECK_OK(fleet_place_parse(journal, &place, &w.err), w.err);
    AF_CHECK_OK(fleet_id_of("data", object, &id, &w.err), w.err);
    fleet_key_of(&place, folder, &id, extension, key);
    return find(key);
}

/* The manifest was taken away, and the rest of the journal not. */
AF_TEST(outcomes_of_another_run_count_for_nothing)
{
    struct af_fleet_planned first, second;
    struct af_fleet_totals totals;
    struct af_fleet_status status;
    struct script script = { .loads = 0 };
    begin();
    AF_CHECK_OK(plan(2, &first), w.err);
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .name = NULL }, &totals), w.err);
    const size_t letters = of_object("letters", "in/0.lp", ".jsonl"), outcome = of_object("objects", "in/0.lp", ".json");
    w.objects[letters].version = 1;
    w.objects[find("run/manifest.json")].version = 0;
    AF_CHECK_OK(plan(2, &second), w.err);
    AF_CHECK(second.is_new && second.sent == 2 && second.done == 0 && strcmp(first.run, second.run) != 0);
    AF_CHECK(w.objects[letters].version == 0 && w.objects[outcome].version == 0);
    /* A worker of the run before comes late. */
    struct af_fleet_task task = { .run = first.run, .journal = journal, .bucket = "data", .key = "in/0.lp", .etag = "v1", .dataset = "" };
    AF_CHECK_OK(af_fleet_record(w.s3, &task, &(struct af_fleet_result){ .outcome = AF_FLEET_DONE }, &w.err), w.err);
    AF_CHECK_OK(af_fleet_status(w.s3, NULL, NULL, journal, NULL, &w.arena, &status, &w.err), w.err);
    AF_CHECK(status.done == 0 && status.unreadable == 0);
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .name = NULL }, &totals), w.err);
    AF_CHECK(totals.done == 2 && totals.skipped == 0);
    AF_CHECK_OK(af_fleet_status(w.s3, NULL, NULL, journal, NULL, &w.arena, &status, &w.err), w.err);
    AF_CHECK_INT(status.done, 2);
    end();
}

/* --- workers ------------------------------------------------------------------------------------------------------------- */

AF_TEST(a_worker_loads_records_deletes_and_ends)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct af_fleet_status status;
    struct script script = { .loads = 0 };
    begin();
    AF_CHECK_OK(plan(3, &p), w.err);
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .name = "one" }, &totals), w.err);
    AF_CHECK(totals.tasks == 3 && totals.done == 3 && totals.points_written == 9 && script.loads == 3);
    for (size_t i = 0; i < 3; i++)
        AF_CHECK(w.messages[i].is_deleted);
    AF_CHECK_OK(af_fleet_status(w.s3, NULL, NULL, journal, NULL, &w.arena, &status, &w.err), w.err);
    AF_CHECK(status.done == 3 && status.points_written == 9 && status.bytes_done == 30 && status.workers == 1 && status.workers_alive == 0);
    AF_CHECK(!status.has_queue && status.failure_count == 0);
    end();
}

AF_TEST(what_is_done_is_not_done_again)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct script script = { .loads = 0 };
    begin();
    AF_CHECK_OK(plan(2, &p), w.err);
    AF_CHECK_OK(plan(2, &p), w.err);
    AF_CHECK_INT(w.message_count, 4);
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .name = NULL }, &totals), w.err);
    AF_CHECK(totals.done == 2 && totals.skipped == 2 && script.loads == 2);
    end();
}

AF_TEST(what_fails_for_good_is_told_with_the_reason)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct af_fleet_status status;
    struct script script = { .loads = 0 };
    static const enum af_status bad[] = { AF_ECORRUPT, AF_EBUG };
    begin();
    w.max_receives = 3;
    AF_CHECK_OK(plan(1, &p), w.err);
    AF_CHECK_OK(work(&script, bad, &(struct af_fleet_worker){ .name = NULL }, &totals), w.err);
    AF_CHECK(totals.failed == 1 && w.letter_count == 1 && w.messages[0].is_deleted);
    AF_CHECK_STR(w.letters[0][0], w.messages[0].body);
    AF_CHECK_STR(w.letters[0][1], "it is ?? so");
    AF_CHECK_OK(af_fleet_status(w.s3, NULL, NULL, journal, NULL, &w.arena, &status, &w.err), w.err);
    AF_CHECK(status.failed == 1 && status.failure_count == 1);
    AF_CHECK_STR(status.failures[0].object, "s3://data/in/0.lp");
    AF_CHECK_STR(status.failures[0].reason, "it is ?? so");
    end();
}

/* Later each time, and for good when the policy of the queue would take it away without a reason. */
AF_TEST(what_may_pass_goes_back_until_its_attempts_are_used_up)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct script script = { .loads = 0 };
    static const enum af_status busy[] = { AF_EIO, AF_EBUG };
    begin();
    w.max_receives = 2;
    AF_CHECK_OK(plan(1, &p), w.err);
    AF_CHECK_OK(work(&script, busy, &(struct af_fleet_worker){ .name = NULL }, &totals), w.err);
    AF_CHECK(totals.returned == 1 && totals.failed == 0 && w.letter_count == 0 && w.messages[0].hidden_s == 10);
    w.messages[0].is_hidden = false;
    AF_CHECK_OK(work(&script, busy, &(struct af_fleet_worker){ .name = NULL }, &totals), w.err);
    AF_CHECK(totals.failed == 1 && w.letter_count == 1 && w.messages[0].is_deleted);
    end();
}

AF_TEST(a_target_that_is_away_is_waited_for_and_one_that_refuses_ends_the_worker)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct script script = { .is_target = true };
    static const enum af_status comes_back[] = { AF_EIO, AF_OK, AF_EBUG }, refuses[] = { AF_EUNAUTH, AF_EBUG },
                                 away[] = { AF_EIO, AF_EBUG };
    begin();
    AF_CHECK_OK(plan(1, &p), w.err);
    AF_CHECK_OK(work(&script, comes_back, &(struct af_fleet_worker){ .attempts = 1 }, &totals), w.err);
    AF_CHECK(totals.done == 1 && totals.returned == 0 && w.messages[0].receives == 1);
    objects[0].etag = "v2";
    const struct af_fleet_plan again = { .s3 = w.s3, .sqs = w.sqs, .queue = queue, .journal = journal, .dataset = "d", .objects = objects,
                                         .object_count = 1 };
    AF_CHECK_OK(af_fleet_plan(&again, &p, &w.err), w.err);
    AF_CHECK_INT(work(&script, refuses, &(struct af_fleet_worker){ .attempts = 1 }, &totals), AF_EUNAUTH);
    AF_CHECK(totals.returned == 1 && totals.failed == 0 && w.messages[1].extensions == 1 && w.messages[1].hidden_s == 0);
    w.messages[1].is_hidden = false;
    AF_CHECK_INT(work(&script, away, &(struct af_fleet_worker){ .attempts = 1, .patience_s = 1 }, &totals), AF_EIO);
    AF_CHECK(totals.returned == 1 && !w.messages[1].is_deleted);
    end();
}

AF_TEST(a_stopped_worker_gives_its_message_back)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct script script = { .cancels = true };
    static const enum af_status stopped[] = { AF_ECANCELED, AF_EBUG };
    begin();
    AF_CHECK_OK(plan(2, &p), w.err);
    AF_CHECK_INT(work(&script, stopped, &(struct af_fleet_worker){ .name = NULL }, &totals), AF_ECANCELED);
    AF_CHECK(totals.returned == 1 && script.loads == 1 && !w.messages[0].is_deleted);
    AF_CHECK(w.messages[0].extensions == 1 && w.messages[0].hidden_s == 0);
    /* What is loaded when the word comes is written down. */
    script.cancel = false;
    AF_CHECK_INT(work(&script, fine, &(struct af_fleet_worker){ .name = NULL }, &totals), AF_ECANCELED);
    AF_CHECK(totals.done == 1 && w.messages[1].is_deleted);
    end();
}

AF_TEST(a_message_is_extended_while_it_is_worked_on)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct script script = { .sleep_ms = 1500 };
    begin();
    AF_CHECK_OK(plan(1, &p), w.err);
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .visibility_s = 2 }, &totals), w.err);
    AF_CHECK(w.messages[0].extensions >= 1 && w.messages[0].hidden_s == 2 && totals.done == 1);
    end();
}

AF_TEST(a_worker_that_may_not_extend_says_so)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct script script = { .sleep_ms = 1500 };
    begin();
    w.no_extensions = true;
    AF_CHECK_OK(plan(2, &p), w.err);
    AF_CHECK_INT(work(&script, fine, &(struct af_fleet_worker){ .visibility_s = 2 }, &totals), AF_EDENIED);
    AF_CHECK(totals.done == 1 && script.loads == 1);
    end();
}

AF_TEST(messages_that_are_no_tasks_harm_nobody)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct script script = { .loads = 0 };
    begin();
    w.max_receives = 5;
    (void)snprintf(w.messages[w.message_count++].body, BODY_BYTES, "nothing");
    AF_CHECK_OK(plan(2, &p), w.err);
    (void)snprintf(w.messages[w.message_count++].body, BODY_BYTES, "{\"bucket\":\"data\",\"key\":\"k\",\"journal\":\"s3://other/run\"}");
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .journal = journal }, &totals), w.err);
    AF_CHECK(totals.done == 2 && totals.failed == 1 && totals.returned == 1 && w.letter_count == 1);
    AF_CHECK_STR(w.letters[0][0], "nothing");
    AF_CHECK(!w.messages[3].is_deleted && w.messages[3].hidden_s == 10);
    end();
}

AF_TEST(a_journal_is_the_same_however_it_is_written)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct script script = { .loads = 0 };
    begin();
    AF_CHECK_OK(plan(2, &p), w.err);
    (void)snprintf(w.messages[w.message_count++].body, BODY_BYTES, "{\"bucket\":\"data\",\"key\":\"k\",\"journal\":\"s3://journal/run2\"}");
    (void)snprintf(w.messages[w.message_count++].body, BODY_BYTES, "{\"bucket\":\"data\",\"key\":\"bare\"}");
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .journal = "s3://journal/run/", .attempts = 1 }, &totals), w.err);
    AF_CHECK(totals.done == 2 && totals.failed == 0 && totals.returned == 2 && w.letter_count == 0);
    end();
}

AF_TEST(a_journal_that_is_not_to_be_had_is_its_messages_fault)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct script script = { .loads = 0 };
    begin();
    w.closed = "shut/";
    (void)snprintf(w.messages[w.message_count++].body, BODY_BYTES, "{\"bucket\":\"data\",\"key\":\"k\",\"journal\":\"s3://journal/shut\"}");
    AF_CHECK_OK(plan(1, &p), w.err);
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .attempts = 2 }, &totals), w.err);
    AF_CHECK(totals.done == 1 && totals.returned == 1 && totals.failed == 0 && w.messages[0].hidden_s == 10);
    w.messages[0].is_hidden = false;
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .attempts = 2 }, &totals), w.err);
    AF_CHECK(totals.failed == 1 && w.letter_count == 1 && w.messages[0].is_deleted && script.loads == 1);
    /* The worker's own is another matter: without it nothing is to be done. */
    w.messages[0].is_hidden = w.messages[0].is_deleted = false;
    AF_CHECK_INT(work(&script, fine, &(struct af_fleet_worker){ .journal = "s3://journal/shut/" }, &totals), AF_EDENIED);
    AF_CHECK(totals.returned == 1 && !w.messages[0].is_deleted);
    end();
}

AF_TEST(a_queue_that_does_not_say_how_deep_it_is_is_asked_again)
{
    struct af_fleet_totals totals;
    struct script script = { .loads = 0 };
    begin();
    w.sick_depths = 2;
    w.sick_code = 500;
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .name = NULL }, &totals), w.err);
    AF_CHECK_INT(w.depths, 4);
    w.depths = 0;
    w.sick_depths = 1000;
    w.sick_code = 403;
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .name = NULL }, &totals), w.err);
    AF_CHECK_INT(w.depths, 2);
    end();
}

AF_TEST(a_worker_wants_a_standard_queue_and_a_place_for_what_fails)
{
    struct af_fleet_totals totals;
    struct af_fleet_planned p;
    struct script script = { .loads = 0 };
    const struct af_fleet_worker worker = { .s3 = w.s3, .aws = w.aws, .queue = "http://127.0.0.1/1/work.fifo", .load = load };
    const struct af_fleet_plan in_order = { .s3 = w.s3, .sqs = w.sqs, .queue = "http://127.0.0.1/1/work.fifo" };
    begin();
    w.max_receives = 0;
    AF_CHECK_INT(work(&script, fine, &(struct af_fleet_worker){ .name = NULL }, &totals), AF_EINVAL);
    AF_CHECK(strstr(w.err.message, "--dead-letter-queue") != NULL);
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .dead_letters = "http://127.0.0.1/1/dead" }, &totals), w.err);
    AF_CHECK_INT(af_fleet_work(&worker, &totals, &w.err), AF_EINVAL);
    AF_CHECK(strstr(w.err.message, "FIFO") != NULL);
    AF_CHECK_INT(af_fleet_plan(&in_order, &p, &w.err), AF_EINVAL);
    AF_CHECK(strstr(w.err.message, "FIFO") != NULL);
    end();
}

AF_TEST(without_a_dead_letter_queue_garbage_is_put_aside)
{
    struct af_fleet_totals totals;
    struct script script = { .loads = 0 };
    begin();
    w.max_receives = 0;
    (void)snprintf(w.messages[w.message_count++].body, BODY_BYTES, "nothing");
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .journal = journal }, &totals), w.err);
    AF_CHECK(totals.failed == 1 && !w.messages[0].is_deleted && w.messages[0].hidden_s == 3600);
    end();
}

AF_TEST(an_outcome_that_cannot_be_written_is_tried_again)
{
    struct af_fleet_planned p;
    struct af_fleet_totals totals;
    struct script script = { .loads = 0 };
    begin();
    AF_CHECK_OK(plan(1, &p), w.err);
    w.put_failures = 2;
    AF_CHECK_OK(work(&script, fine, &(struct af_fleet_worker){ .name = NULL }, &totals), w.err);
    AF_CHECK(totals.done == 1 && w.messages[0].is_deleted && script.loads == 1);
    end();
}

/* --- the journal --------------------------------------------------------------------------------------------------------- */

AF_TEST(a_failure_overwrites_nothing_that_was_done)
{
    const struct af_fleet_task task = { .run = "r", .journal = journal, .bucket = "data", .key = "k", .etag = "v1",
                                        .dataset = "", .mapping = "" };
    struct af_fleet_task other = task;
    const struct af_fleet_result failed = { .outcome = AF_FLEET_FAILED, .reason = "late" }, done = { .outcome = AF_FLEET_DONE };
    bool is_done;
    begin();
    AF_CHECK_OK(af_fleet_record(w.s3, &task, &failed, &w.err), w.err);
    AF_CHECK_OK(af_fleet_is_done(w.s3, &task, &is_done, &w.err), w.err);
    AF_CHECK(!is_done);
    AF_CHECK_OK(af_fleet_record(w.s3, &task, &failed, &w.err), w.err);
    w.is_done_meanwhile = true;
    AF_CHECK_OK(af_fleet_record(w.s3, &task, &failed, &w.err), w.err);
    AF_CHECK_OK(af_fleet_is_done(w.s3, &task, &is_done, &w.err), w.err);
    AF_CHECK(is_done && !w.is_done_meanwhile);
    AF_CHECK_OK(af_fleet_record(w.s3, &task, &done, &w.err), w.err);
    AF_CHECK_OK(af_fleet_record(w.s3, &task, &failed, &w.err), w.err);
    other.etag = "lie";
    AF_CHECK_OK(af_fleet_record(w.s3, &other, &failed, &w.err), w.err);
    AF_CHECK_OK(af_fleet_is_done(w.s3, &task, &is_done, &w.err), w.err);
    AF_CHECK(is_done);
    AF_CHECK_OK(af_fleet_is_done(w.s3, &other, &is_done, &w.err), w.err);
    AF_CHECK(!is_done);
    end();
}

AF_TEST(outcomes_that_are_none_are_counted_and_done_again)
{
    struct af_fleet_planned p;
    struct af_fleet_status status;
    struct fleet_id id;
    struct fleet_place place;
    char key[FLEET_KEY_BYTES];
    begin();
    AF_CHECK_OK(plan(2, &p), w.err);
    AF_CHECK_OK(fleet_place_parse(journal, &place, &w.err), w.err);
    AF_CHECK_OK(fleet_id_of("data", "in/0.lp", &id, &w.err), w.err);
    fleet_key_of(&place, "objects", &id, ".json", key);
    const size_t i = find(key);
    w.objects[i].version = 1;
    (void)snprintf(w.objects[i].text, BODY_BYTES, "{\"afluxo\":1,\"outcome\":");
    AF_CHECK_OK(af_fleet_status(w.s3, NULL, NULL, journal, NULL, &w.arena, &status, &w.err), w.err);
    AF_CHECK(status.unreadable == 1 && status.done == 0);
    AF_CHECK_OK(plan(2, &p), w.err);
    AF_CHECK(p.sent == 2 && p.done == 0);
    AF_CHECK_INT(af_fleet_status(w.s3, NULL, NULL, "s3://journal/none", NULL, &w.arena, &status, &w.err), AF_ENOTFOUND);
    /* Numbers that nobody has: they stay within what is counted with. */
    for (unsigned at = 0; at < 2; at++) {
        const size_t which = of_object("objects", at == 0 ? "in/0.lp" : "in/1.lp", ".json");
        w.objects[which].version = 1;
        (void)snprintf(w.objects[which].text, BODY_BYTES, "{\"afluxo\":1,\"outcome\":\"done\",\"bucket\":\"data\",\"key\":\"in/%u.lp\","
                       "\"milliseconds\":9223372036854775807,\"ended_ms\":9223372036854775807,\"size\":9223372036854775807}", at);
    }
    AF_CHECK_OK(af_fleet_status(w.s3, NULL, NULL, journal, NULL, &w.arena, &status, &w.err), w.err);
    AF_CHECK(status.done == 2 && status.bytes_done == UINT64_C(1) << 54 && status.ended_ms == INT64_C(1) << 53);
    end();
}
