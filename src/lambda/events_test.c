/* events_test.c - events as AWS's documentation shows them, and as nobody should send them. */
#include "base/alloc.h"
#include "fleet/fleet.h"
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

AF_TEST(a_message_of_a_fleet_is_an_object_with_its_task)
{
    AF_CHECK_OK(parse("{\"Records\":[{\"eventSource\":\"aws:sqs\",\"messageId\":\"m1\",\"body\":\"{\\\"afluxo\\\":1,"
                      "\\\"run\\\":\\\"r\\\",\\\"journal\\\":\\\"s3://journal/r\\\","
                      "\\\"bucket\\\":\\\"data\\\",\\\"key\\\":\\\"a+b\\\",\\\"etag\\\":\\\"e\\\"}\"},"
                      "{\"eventSource\":\"aws:sqs\",\"messageId\":\"m2\",\"body\":\"{\\\"journal\\\":\\\"nowhere\\\","
                      "\\\"bucket\\\":\\\"data\\\",\\\"key\\\":\\\"k\\\"}\"}]}"), err);
    AF_CHECK_INT(event.record_count, 2);
    AF_CHECK_INT(event.records[0].object_count, 1);
    AF_CHECK_STR(event.records[0].objects[0].key, "a+b");
    AF_CHECK_STR(event.records[0].objects[0].task->journal, "s3://journal/r");
    AF_CHECK_STR(event.records[0].objects[0].task->etag, "e");
    AF_CHECK_INT(event.records[1].bad.status, AF_EINVAL);
    af_arena_done(&arena);
}

AF_TEST(a_plan_without_a_journal_keeps_its_mapping)
{
    AF_CHECK_OK(parse("{\"bucket\":\"data\",\"key\":\"k\",\"mapping\":\"s3://maps/m.yaml\",\"afluxo\":1}"), err);
    AF_CHECK_STR(event.records[0].objects[0].task->mapping, "s3://maps/m.yaml");
    AF_CHECK_STR(event.records[0].objects[0].task->journal, "");
    af_arena_done(&arena);
    AF_CHECK_OK(parse("{\"bucket\":\"data\",\"key\":\"k\",\"dataset\":\"d\"}"), err);
    AF_CHECK_STR(event.records[0].objects[0].task->dataset, "d");
    af_arena_done(&arena);
    AF_CHECK_OK(parse("{\"Records\":[{\"eventSource\":\"aws:sqs\",\"body\":\"{\\\"bucket\\\":\\\"data\\\",\\\"key\\\":\\\"k\\\","
                      "\\\"afluxo\\\":99}\"}]}"), err);
    AF_CHECK_INT(event.records[0].bad.status, AF_EINVAL);
    AF_CHECK(strstr(event.records[0].bad.message, "another version") != NULL);
    af_arena_done(&arena);
    AF_CHECK_OK(parse("{\"bucket\":\"data\",\"key\":\"k\"}"), err);
    AF_CHECK(event.records[0].objects[0].task == NULL);
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
    static const char *const keys[] = { "%", "%4", "%zz", "a%00b", "", "%ff", "a%C3", "%ED%A0%80" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char json[512];
        (void)snprintf(json, sizeof json, "{\"Records\":[{\"s3\":{\"bucket\":{\"name\":\"b\"},\"object\":{\"key\":\"%s\"}}}]}", keys[i]);
        AF_CHECK_OK(parse(json), err);
        AF_CHECK_INT(event.records[0].bad.status, AF_EINVAL);
        af_arena_done(&arena);
    }
}

AF_TEST(a_bucket_cannot_say_more_than_its_name)
{
    static const char *const buckets[] = { "", "a/b", "a b", "a%2Fb", "a?b", "a*" };
    for (size_t i = 0; i < sizeof buckets / sizeof *buckets; i++) {
        char json[512];
        (void)snprintf(json, sizeof json, "{\"Records\":[{\"s3\":{\"bucket\":{\"name\":\"%s\"},\"object\":{\"key\":\"k\"}}}]}", buckets[i]);
        AF_CHECK_OK(parse(json), err);
        AF_CHECK_INT(event.records[0].bad.status, AF_EINVAL);
        af_arena_done(&arena);
    }
}

/* Every byte that a key of UTF-8 can have, as S3 writes it. */
AF_TEST(a_key_may_have_every_byte_that_s3_takes)
{
    char key[128] = "", encoded[512] = "", json[1024];
    for (int c = 1; c < 128; c++) {
        size_t at = strlen(encoded);
        key[c - 1] = (char)c;
        (void)snprintf(encoded + at, sizeof encoded - at, c == ' ' ? "+" : "%%%02X", c);
    }
    (void)snprintf(json, sizeof json, "{\"Records\":[{\"s3\":{\"bucket\":{\"name\":\"b\"},\"object\":{\"key\":\"%s\"}}}]}", encoded);
    AF_CHECK_OK(parse(json), err);
    AF_CHECK_INT(event.records[0].bad.status, AF_OK);
    AF_CHECK_STR(event.records[0].objects[0].key, key);
    af_arena_done(&arena);
}

AF_TEST(events_of_no_known_shape_are_refused_with_what_is_known)
{
    static const char *const events[] = { "{}", "[]", "1", "null", "\"x\"", "{\"a\":1}", "{\"Records\":{}}", "", "{",
                                          "{\"body\":\"{\\\"body\\\":\\\"[]\\\"}\"}" };
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        const enum af_status status = parse(events[i]);
        AF_CHECK_INT(status == AF_OK ? event.records[0].bad.status : status, AF_EINVAL);
        AF_CHECK(status != AF_OK || (event.record_count == 1 && event.records[0].object_count == 0));
        af_arena_done(&arena);
    }
    AF_CHECK_OK(parse("{\"a\":1}"), err); /* a record that is bad: it goes to the queue of failures as others do */
    AF_CHECK(strstr(event.records[0].bad.message, "EventBridge") != NULL);
    af_arena_done(&arena);
    AF_CHECK_OK(parse("{\"objects\":[{\"bucket\":\"b\",\"key\":\"k\"},{\"bucket\":\"b\"}]}"), err);
    AF_CHECK(event.records[0].bad.status == AF_EINVAL && event.records[0].object_count == 0);
    af_arena_done(&arena);
    AF_CHECK_OK(parse("{\"Records\":[]}"), err);
    AF_CHECK_INT(event.records[0].object_count, 0);
    af_arena_done(&arena);
}

/* Short of memory an event fails as a whole: a message is never taken for one that nobody understands. */
AF_TEST(without_memory_no_record_is_called_bad)
{
    static const char text[] = "{\"Records\":[" S3("ObjectCreated:Put", "a%20b") ",{\"EventSource\":\"aws:sns\",\"Sns\":{\"Message\":"
        "\"{\\\"bucket\\\":\\\"b\\\",\\\"key\\\":\\\"k\\\"}\"}}]}";
    for (size_t nth = 1;; nth++) {
        af_arena_init(&arena, 64 << 20);
        af_alloc_fail_nth(nth);
        enum af_status status = af_lambda_event_parse(af_slice_of(text), &arena, &event, &err);
        bool is_over = af_alloc_fail_nth(0) < nth;
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        for (size_t i = 0; status == AF_OK && i < event.record_count; i++)
            AF_CHECK(event.records[i].bad.status == AF_OK && event.records[i].object_count == 1);
        af_arena_done(&arena);
        if (is_over)
            break;
    }
    /* the same where the arena's own bound is met */
    for (size_t bytes = 1024; bytes < 65536; bytes += 256) {
        af_arena_init(&arena, bytes);
        enum af_status status = af_lambda_event_parse(af_slice_of(text), &arena, &event, &err);
        for (size_t i = 0; status == AF_OK && i < event.record_count; i++)
            AF_CHECK(event.records[i].bad.status == AF_OK && event.records[i].object_count == 1);
        af_arena_done(&arena);
    }
}

AF_TEST(a_message_of_many_values_takes_nobody_elses_memory)
{
    enum { BYTES = 5 << 20 };
    struct af_buf json;
    af_buf_init(&json, 8 << 20);
    af_buf_append_str(&json, "{\"Records\":[{\"eventSource\":\"aws:sqs\",\"messageId\":\"m1\",\"body\":\"[0");
    while (json.len < BYTES)
        af_buf_append_str(&json, ",0");
    af_buf_append_str(&json, "]\"},{\"eventSource\":\"aws:sqs\",\"messageId\":\"m2\",\"body\":\"{\\\"bucket\\\":\\\"b\\\","
                             "\\\"key\\\":\\\"k\\\"}\"}]}");
    AF_CHECK_OK(parse(af_buf_cstr(&json)), err);
    AF_CHECK_INT(event.records[0].bad.status, AF_EINVAL);
    AF_CHECK_INT(event.records[1].bad.status, AF_OK);
    AF_CHECK_INT(event.records[1].object_count, 1);
    af_arena_done(&arena);
    af_buf_done(&json);
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
