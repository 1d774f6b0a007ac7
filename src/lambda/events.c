/*
 * events.c - the objects that an event speaks of, taken out of its envelopes.
 *
 *     {"Records": [{"s3": {"bucket": {"name"}, "object": {"key", "size", "eTag", "versionId", "sequencer"}}, "eventName"}]}     S3
 *     {"Event": "s3:TestEvent"}                                                                                       S3, when it is set up
 *     {"Records": [{"eventSource": "aws:sqs", "messageId", "receiptHandle", "body": "any of these"}]}                  SQS
 *     {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "any of these"}}]}                                    SNS
 *     {"Type": "Notification", "Message": "any of these"}                                                             SNS inside SQS
 *     {"detail-type": "Object Created", "detail": {"bucket": {"name"}, "object": {"key", "size", "etag", ...}}}        EventBridge
 *     {"afluxo":1, "journal", "bucket", "key", ...}                                                        a fleet (fleet/task.c)
 *     {"bucket", "key"}, {"objects": [{"bucket", "key"}]}, {"body": "any of these"}                                   Step Functions,
 *     callers
 *
 * Keys are percent-encoded in S3's own notifications (a blank is a plus), and plain elsewhere. Sources: "Event message structure" of the
 * S3 guide, "Amazon S3 event notification" of EventBridge, "Using Lambda with SQS".
 */
#include "base/limits.h"
#include "base/utf8.h"
#include "fleet/fleet.h"
#include "lambda/lambda.h"
#include <stdio.h>

enum { ENVELOPES_DEEP = 4, OBJECTS_MAX = 10000 };

struct reading {
    struct af_arena *arena;
    struct af_arena inner;                  /* JSON inside of the record at hand, so that none takes the memory of the others */
    struct af_lambda_record *records;
    size_t record_count, record_cap;
    struct af_lambda_object *objects;       /* of the record at hand */
    size_t object_count, object_cap;
    bool is_test, is_removal;
};

static const char known[] = "known are those of S3, SQS, SNS and EventBridge, {\"bucket\", \"key\"} and {\"objects\": [...]}";

/* --- parts --------------------------------------------------------------------------------------------------------------- */

static const char *text_of(struct reading *r, const struct af_json *object, const char *name)
{
    struct af_slice text = af_json_string(object, name);
    return text.len != 0 && memchr(text.ptr, '\0', text.len) == NULL ? af_arena_copy(r->arena, text) : "";
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "year%3D2025/a+b" to "year=2025/a b", in place. False: a % without two digits, a byte 0, or what is no UTF-8: S3 has no such key. */
static bool decode_key(char *key, size_t len)
{
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        char c = key[i] == '+' ? ' ' : key[i];
        if (c == '%') {
            if (i + 2 >= len || hex(key[i + 1]) < 0 || hex(key[i + 2]) < 0)
                return false;
            c = (char)(hex(key[i + 1]) * 16 + hex(key[i + 2]));
            i += 2;
        }
        if (c == '\0')
            return false;
        key[at++] = c;
    }
    key[at] = '\0';
    return af_utf8_is_valid(af_slice_make(key, at));
}

/* The bucket becomes part of s3://bucket/key: what is in none of S3's names would make another name of it. */
static bool is_bucket(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '.' || *c == '-' || *c == '_'))
            return false;
    return name[0] != '\0';
}

static enum af_status add_object(struct reading *r, const struct af_lambda_object *object, struct af_error *err)
{
    if (object->bucket == NULL || object->key == NULL || object->version == NULL || object->etag == NULL || object->sequencer == NULL)
        return af_fail_nomem(err, "an event");
    if (!is_bucket(object->bucket))
        return af_fail(err, AF_EINVAL, "\"%.80s\" is no name of a bucket", object->bucket);
    if (object->key[0] == '\0')
        return af_fail(err, AF_EINVAL, "an object of %s without a key", object->bucket);
    if (strlen(object->bucket) > 255 || strlen(object->key) > 1024)
        return af_fail(err, AF_EINVAL, "a bucket's name or a key that is too long for S3");
    if (r->object_count == OBJECTS_MAX)
        return af_fail(err, AF_ELIMIT, "more than %d objects in one message", (int)OBJECTS_MAX);
    struct af_lambda_object *objects = af_arena_more(r->arena, r->objects, r->object_count, &r->object_cap, sizeof *objects);
    if (objects == NULL)
        return af_fail_nomem(err, "an event");
    r->objects = objects;
    r->objects[r->object_count++] = *object;
    return AF_OK;
}

static uint64_t bytes_of(const struct af_json *object)
{
    int64_t bytes = 0;
    return af_json_i64(af_json_get(object, "size"), &bytes) && bytes > 0 ? (uint64_t)bytes : 0;
}

static enum af_status take_s3(struct reading *r, const struct af_json *record, struct af_error *err)
{
    const struct af_json *s3 = af_json_get(record, "s3"), *object = af_json_get(s3, "object");
    struct af_slice name = af_json_string(record, "eventName");
    bool is_creation = name.len == 0 || af_slice_has_prefix(name, "ObjectCreated") || af_slice_has_prefix(name, "s3:ObjectCreated") ||
                       af_slice_has_prefix(name, "ObjectRestore:Completed");
    if (!is_creation) {
        r->is_removal = true;
        return AF_OK;
    }
    struct af_slice encoded = af_json_string(object, "key");
    char *key = af_arena_copy(r->arena, encoded);
    if (key != NULL && !decode_key(key, encoded.len))
        return af_fail(err, AF_EINVAL, "the key of an object is not percent-encoded UTF-8");
    struct af_lambda_object found = { .bucket = text_of(r, af_json_get(s3, "bucket"), "name"), .key = key,
                                      .version = text_of(r, object, "versionId"), .etag = text_of(r, object, "eTag"),
                                      .bytes = bytes_of(object), .sequencer = text_of(r, object, "sequencer") };
    return add_object(r, &found, err);
}

static enum af_status take_bridge(struct reading *r, const struct af_json *event, struct af_error *err)
{
    const struct af_json *detail = af_json_get(event, "detail"), *object = af_json_get(detail, "object");
    if (!af_slice_is(af_json_string(event, "detail-type"), "Object Created")) {
        r->is_removal = true;
        return AF_OK;
    }
    struct af_lambda_object found = { .bucket = text_of(r, af_json_get(detail, "bucket"), "name"), .key = text_of(r, object, "key"),
                                      .version = text_of(r, object, "version-id"), .etag = text_of(r, object, "etag"),
                                      .bytes = bytes_of(object), .sequencer = text_of(r, object, "sequencer") };
    return add_object(r, &found, err);
}

/* What a fleet's planner writes has at least its version; with or without a journal. */
static bool is_task(const struct af_json *node)
{
    return af_json_get(node, "afluxo") != NULL || af_json_get(node, "journal") != NULL || af_json_get(node, "dataset") != NULL ||
           af_json_get(node, "mapping") != NULL;
}

static enum af_status take_plain(struct reading *r, const struct af_json *node, struct af_error *err)
{
    struct af_lambda_object found = { .bucket = text_of(r, node, "bucket"), .key = text_of(r, node, "key"),
                                      .version = text_of(r, node, "version"), .etag = text_of(r, node, "etag"), .bytes = bytes_of(node),
                                      .sequencer = "" };
    if (is_task(node)) {
        struct af_fleet_task *task = af_arena_zero(r->arena, 1, sizeof *task);
        if (task == NULL)
            return af_fail_nomem(err, "an event");
        AF_TRY(af_fleet_task_read(node, r->arena, task, err));
        found.task = task;
    }
    return add_object(r, &found, err);
}

/* --- envelopes ----------------------------------------------------------------------------------------------------------- */

static enum af_status take(struct reading *r, const struct af_json *node, unsigned deep, struct af_error *err);

static enum af_status take_text(struct reading *r, struct af_slice text, unsigned deep, struct af_error *err)
{
    struct af_json *root = NULL;
    if (deep > ENVELOPES_DEEP)
        return af_fail(err, AF_EINVAL, "envelopes inside envelopes, more than %d", (int)ENVELOPES_DEEP);
    enum af_status status = af_json_parse(text, &r->inner, &root, err);
    if (status != AF_OK) {
        af_error_prefix(err, "what it carries cannot be read as JSON: ");
        return status == AF_ENOMEM ? status : AF_EINVAL;
    }
    return take(r, root, deep + 1, err);
}

static enum af_status take_record(struct reading *r, const struct af_json *record, unsigned deep, struct af_error *err)
{
    const struct af_json *sns = af_json_get(record, "Sns");
    if (af_json_get(record, "s3") != NULL)
        return take_s3(r, record, err);
    if (sns != NULL)
        return take_text(r, af_json_string(sns, "Message"), deep, err);
    if (af_slice_is(af_json_string(record, "eventSource"), "aws:sqs"))
        return take_text(r, af_json_string(record, "body"), deep, err);
    return af_fail(err, AF_EINVAL, "a record of no known kind; %s", known);
}

static enum af_status take(struct reading *r, const struct af_json *node, unsigned deep, struct af_error *err)
{
    const struct af_json *list = af_json_get(node, "Records"), *objects = af_json_get(node, "objects");
    if (list != NULL && list->kind == AF_JSON_ARRAY) {
        for (const struct af_json *record = list->first; record != NULL; record = record->next)
            AF_TRY(take_record(r, record, deep, err));
        return AF_OK;
    }
    if (objects != NULL && objects->kind == AF_JSON_ARRAY) {
        for (const struct af_json *one = objects->first; one != NULL; one = one->next)
            AF_TRY(take_plain(r, one, err));
        return AF_OK;
    }
    if (af_slice_is(af_json_string(node, "Event"), "s3:TestEvent")) {
        r->is_test = true;
        return AF_OK;
    }
    if (af_json_get(node, "detail-type") != NULL)
        return take_bridge(r, node, err);
    if (af_json_string(node, "bucket").len != 0)
        return take_plain(r, node, err);
    if (af_slice_is(af_json_string(node, "Type"), "Notification"))
        return take_text(r, af_json_string(node, "Message"), deep, err);
    if (af_json_string(node, "body").len != 0)
        return take_text(r, af_json_string(node, "body"), deep, err);
    return af_fail(err, AF_EINVAL, "an event of no known shape; %s", known);
}

/* --- records ------------------------------------------------------------------------------------------------------------- */

static enum af_status end_record(struct reading *r, struct af_lambda_record *record, struct af_error *err)
{
    record->objects = r->objects;
    record->object_count = record->bad.status == AF_OK ? r->object_count : 0;
    record->is_test = r->is_test;
    record->is_removal = r->is_removal && r->object_count == 0;
    struct af_lambda_record *records = af_arena_more(r->arena, r->records, r->record_count, &r->record_cap, sizeof *records);
    if (records == NULL)
        return af_fail_nomem(err, "an event");
    r->records = records;
    r->records[r->record_count++] = *record;
    r->objects = NULL;
    r->object_count = r->object_cap = 0;
    r->is_test = r->is_removal = false;
    af_arena_reset(&r->inner);
    return AF_OK;
}

/* One member of Records is one record: what is wrong with it is its own affair. An event without any is one record as a whole. */
static enum af_status read_record(struct reading *r, const struct af_json *node, struct af_error *err)
{
    struct af_lambda_record record = { 0 };
    if (af_slice_is(af_json_string(node, "eventSource"), "aws:sqs")) {
        record.message_id = text_of(r, node, "messageId");
        record.receipt = text_of(r, node, "receiptHandle");
        record.body = af_json_string(node, "body");
        if (record.message_id == NULL || record.receipt == NULL)
            return af_fail_nomem(err, "an event");
    }
    enum af_status status = take_record(r, node, 0, &record.bad);
    if (status == AF_ENOMEM)
        return af_fail_nomem(err, "an event");
    record.bad.status = status;
    return end_record(r, &record, err);
}

static bool is_queue(const struct af_json *list)
{
    return list->first != NULL && af_slice_is(af_json_string(list->first, "eventSource"), "aws:sqs");
}

static enum af_status read_event(struct reading *r, const struct af_json *root, struct af_lambda_event *out, struct af_error *err)
{
    const struct af_json *list = af_json_get(root, "Records");
    if (list == NULL || list->kind != AF_JSON_ARRAY || list->first == NULL) {
        struct af_lambda_record record = { 0 };
        const enum af_status status = take(r, root, 0, &record.bad);
        if (status == AF_ENOMEM)
            return af_fail_nomem(err, "an event");
        record.bad.status = status;
        return end_record(r, &record, err);
    }
    out->is_queue = is_queue(list);
    for (const struct af_json *node = list->first; node != NULL; node = node->next)
        AF_TRY(read_record(r, node, err));
    return AF_OK;
}

enum af_status af_lambda_event_parse(struct af_slice json, struct af_arena *arena, struct af_lambda_event *out, struct af_error *err)
{
    struct reading r = { .arena = arena };
    struct af_json *root = NULL;
    enum af_status status = af_json_parse(json, arena, &root, err);
    *out = (struct af_lambda_event){ 0 };
    if (status != AF_OK) {
        af_error_prefix(err, "the event cannot be read as JSON: ");
        return status == AF_ENOMEM ? status : AF_EINVAL;
    }
    af_arena_init(&r.inner, AF_LAMBDA_ARENA_BYTES_MAX);
    status = read_event(&r, root, out, err);
    af_arena_done(&r.inner);
    out->records = r.records;
    out->record_count = r.record_count;
    return status;
}
