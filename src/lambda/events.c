/*
 * events.c - the objects that an event speaks of, taken out of its envelopes.
 *
 *     {"Records": [{"s3": {"bucket": {"name"}, "object": {"key", "size", "eTag", "versionId", "sequencer"}}, "eventName"}]}     S3
 *     {"Event": "s3:TestEvent"}                                                                                       S3, when it is set up
 *     {"Records": [{"eventSource": "aws:sqs", "messageId", "receiptHandle", "body": "any of these"}]}                  SQS
 *     {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "any of these"}}]}                                    SNS
 *     {"Type": "Notification", "Message": "any of these"}                                                             SNS inside SQS
 *     {"detail-type": "Object Created", "detail": {"bucket": {"name"}, "object": {"key", "size", "etag", ...}}}        EventBridge
 *     {"bucket", "key"}, {"objects": [{"bucket", "key"}]}, {"body": "any of these"}                                   Step Functions,
 *     callers
 *
 * Keys are percent-encoded in S3's own notifications (a blank is a plus), and plain elsewhere. Sources: "Event message structure" of the S3
 * guide,
 * "Amazon S3 event notification" of EventBridge, "Using Lambda with SQS".
 */
#include "base/limits.h"
#include "lambda/lambda.h"
#include <stdio.h>

enum { ENVELOPES_DEEP = 4, OBJECTS_MAX = 10000 };

struct reading {
    struct af_arena *arena;
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

/* "year%3D2025/a+b" to "year=2025/a b". NULL: no memory, or a % without two digits, or a byte 0. */
static const char *decode_key(struct reading *r, struct af_slice key)
{
    char *out = af_arena_copy(r->arena, key);
    size_t at = 0;
    for (size_t i = 0; out != NULL && i < key.len; i++) {
        char c = key.ptr[i] == '+' ? ' ' : key.ptr[i];
        if (c == '%') {
            if (i + 2 >= key.len || hex(key.ptr[i + 1]) < 0 || hex(key.ptr[i + 2]) < 0)
                return NULL;
            c = (char)(hex(key.ptr[i + 1]) * 16 + hex(key.ptr[i + 2]));
            i += 2;
        }
        if (c == '\0')
            return NULL;
        out[at++] = c;
    }
    if (out != NULL)
        out[at] = '\0';
    return out;
}

static enum af_status add_object(struct reading *r, const struct af_lambda_object *object, struct af_error *err)
{
    if (object->bucket == NULL || object->key == NULL)
        return af_fail(err, AF_EINVAL, "the key of an object is not percent-encoded text");
    if (object->bucket[0] == '\0' || object->key[0] == '\0')
        return af_fail(err, AF_EINVAL, "an object without a bucket's name or without a key");
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
    struct af_lambda_object found = { .bucket = text_of(r, af_json_get(s3, "bucket"), "name"),
                                      .key = decode_key(r, af_json_string(object, "key")), .version = text_of(r, object, "versionId"),
                                      .etag = text_of(r, object, "eTag"), .bytes = bytes_of(object),
                                      .sequencer = text_of(r, object, "sequencer") };
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

static enum af_status take_plain(struct reading *r, const struct af_json *node, struct af_error *err)
{
    struct af_lambda_object found = { .bucket = text_of(r, node, "bucket"), .key = text_of(r, node, "key"),
                                      .version = text_of(r, node, "version"), .etag = text_of(r, node, "etag"), .bytes = bytes_of(node),
                                      .sequencer = "" };
    return add_object(r, &found, err);
}

/* --- envelopes ----------------------------------------------------------------------------------------------------------- */

static enum af_status take(struct reading *r, const struct af_json *node, unsigned deep, struct af_error *err);

static enum af_status take_text(struct reading *r, struct af_slice text, unsigned deep, struct af_error *err)
{
    struct af_json *root = NULL;
    if (deep > ENVELOPES_DEEP)
        return af_fail(err, AF_EINVAL, "envelopes inside envelopes, more than %d", (int)ENVELOPES_DEEP);
    enum af_status status = af_json_parse(text, r->arena, &root, err);
    if (status != AF_OK) {
        af_error_prefix(err, "what it carries is no JSON: ");
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
    return AF_OK;
}

/* One member of Records is one record: what is wrong with it is its own affair. */
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

enum af_status af_lambda_event_parse(struct af_slice json, struct af_arena *arena, struct af_lambda_event *out, struct af_error *err)
{
    struct reading r = { .arena = arena };
    struct af_json *root = NULL;
    enum af_status status = af_json_parse(json, arena, &root, err);
    *out = (struct af_lambda_event){ 0 };
    if (status != AF_OK) {
        af_error_prefix(err, "the event is no JSON: ");
        return status == AF_ENOMEM ? status : AF_EINVAL;
    }
    const struct af_json *list = af_json_get(root, "Records");
    if (list != NULL && list->kind == AF_JSON_ARRAY && list->first != NULL) {
        out->is_queue = is_queue(list);
        for (const struct af_json *node = list->first; node != NULL; node = node->next)
            AF_TRY(read_record(&r, node, err));
    } else {
        struct af_lambda_record record = { 0 };
        status = take(&r, root, 0, err);
        if (status != AF_OK)
            return status;
        AF_TRY(end_record(&r, &record, err));
    }
    out->records = r.records;
    out->record_count = r.record_count;
    return AF_OK;
}
