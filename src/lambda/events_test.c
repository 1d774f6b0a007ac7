/* events_test.c - events as AWS's documentation shows them, and as nobody should send them. */
#include "lambda/lambda.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_arena arena;
static struct af_lambda_event event;
static struct af_error err;

static enum af_status parse(const char *json)
{
    af_arena_init(&arena, 64 << 20);
    return af_lambda_event_parse(af_slice_of(json), &arena, &event, &err);
}
#define S3(name, key) "{\"eventSource\":\"aws:s3\",\"eventName\":\"" name "\",\"s3\":{\"bucket\":{\"name\":\"b\"},\"object\":{\"key\":" \
                                                                          "\"" key \
    "\",\"size\":12,\"eTag\":\"e\",\"versionId\":\"v\",\"sequencer\":\"0A\"}}}"

AF_TEST(s3_says_its_keys_encoded)
{
    AF_CHECK_OK(parse("{\"Records\":[" S3("ObjectCreated:Put", "year%3D2025/a+b%2Bc%C3%A9.parquet") "]}"), err);
    AF_CHECK(!event.is_queue);
    AF_CHECK_INT(event.record_count, 1);
    const struct af_lambda_object *o = event.records[0].objects;
    AF_CHECK_STR(o->key, "year=2025/a b+c\xC3\xA9.parquet");
    AF_CHECK_STR(o->bucket, "b");
    AF_CHECK_STR(o->etag, "e");
    AF_CHECK_STR(o->version, "v");
    AF_CHECK_INT(o->bytes, 12);
    af_arena_done(&arena);
}

AF_TEST(eventbridge_says_them_plain)
{
    AF_CHECK_OK(parse("{\"detail-type\":\"Object Created\",\"detail\":{\"bucket\":{\"name\":\"b\"},\"object\":{\"key\":\"a+b%20c\",\""
                      "size\":5}}}"), err);
    AF_CHECK_STR(event.records[0].objects[0].key, "a+b%20c");
    af_arena_done(&arena);
}

AF_TEST(messages_of_a_queue_keep_their_names_and_their_faults)
{
    AF_CHECK_OK(parse("{\"Records\":[{\"eventSource\":\"aws:sqs\",\"messageId\":\"m1\",\"body\":\"{\\\"bucket\\\":\\\"b\\\",\\\"key\\\":"
                      "\\\"k\\\"}\"},"
                      "{\"eventSource\":\"aws:sqs\",\"messageId\":\"m2\",\"body\":\"nothing\"}]}"), err);
    AF_CHECK(event.is_queue);
    AF_CHECK_INT(event.record_count, 2);
    AF_CHECK_STR(event.records[0].message_id, "m1");
    AF_CHECK_INT(event.records[0].object_count, 1);
    AF_CHECK_INT(event.records[1].bad.status, AF_EINVAL);
    AF_CHECK_INT(event.records[1].object_count, 0);
    af_arena_done(&arena);
}

AF_TEST(removals_and_tests_are_nothing_to_load)
{
    AF_CHECK_OK(parse("{\"Records\":[" S3("ObjectRemoved:Delete", "k") "]}"), err);
    AF_CHECK(event.records[0].is_removal && event.records[0].object_count == 0);
    af_arena_done(&arena);
    AF_CHECK_OK(parse("{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\"}"), err);
    AF_CHECK(event.records[0].is_test);
    af_arena_done(&arena);
}

AF_TEST(keys_that_are_not_encoded_text_are_refused)
{
    static const char *const keys[] = { "%", "%4", "%zz", "a%00b", "" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char json[512];
        (void)snprintf(json, sizeof json, "{\"Records\":[{\"s3\":{\"bucket\":{\"name\":\"b\"},\"object\":{\"key\":\"%s\"}}}]}", keys[i]);
        AF_CHECK_OK(parse(json), err);
        AF_CHECK_INT(event.records[0].bad.status, AF_EINVAL);
        af_arena_done(&arena);
    }
}

AF_TEST(events_of_no_known_shape_are_refused_with_what_is_known)
{
    static const char *const events[] = { "{}", "[]", "1", "null", "\"x\"", "{\"a\":1}", "{\"Records\":{}}", "", "{",
                                          "{\"body\":\"{\\\"body\\\":\\\"[]\\\"}\"}" };
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        AF_CHECK_INT(parse(events[i]), AF_EINVAL);
        af_arena_done(&arena);
    }
    AF_CHECK_INT(parse("{\"a\":1}"), AF_EINVAL);
    AF_CHECK(strstr(err.message, "EventBridge") != NULL);
    af_arena_done(&arena);
    AF_CHECK_OK(parse("{\"Records\":[]}"), err);
    AF_CHECK_INT(event.records[0].object_count, 0);
    af_arena_done(&arena);
}

AF_TEST(six_megabytes_of_brackets_end_at_once)
{
    enum { BYTES = 6 << 20 };
    static char text[BYTES];
    memset(text, '[', sizeof text);
    af_arena_init(&arena, 64 << 20);
    AF_CHECK_INT(af_lambda_event_parse(af_slice_make(text, sizeof text), &arena, &event, &err), AF_EINVAL);
    af_arena_done(&arena);
}
