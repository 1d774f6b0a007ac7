/* task_test.c - tasks as messages carry them, and as nobody should write them. */
#include "base/alloc.h"
#include "fleet/fleet_int.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_arena arena;
static struct af_fleet_task task;
static struct af_error err;

static enum af_status parse(const char *body)
{
    af_arena_init(&arena, 8 << 20);
    return af_fleet_task_parse(af_slice_of(body), &arena, &task, &err);
}

AF_TEST(a_task_is_printed_and_read_back)
{
    const struct af_fleet_task out = { .run = "r1", .journal = "s3://journal/run", .bucket = "bucket",
                                       .key = "a b/\"c\"\\\n\x7f\xc3\xa9.parquet",
                                       .etag = "d41d8", .bytes = 1234567890123, .format = "parquet", .dataset = "",
                                       .mapping = "s3://maps/y.yaml" };
    struct af_buf text;
    af_buf_init(&text, 1 << 16);
    af_fleet_task_print(&out, &text);
    for (size_t i = 0; i < text.len; i++)
        AF_CHECK((unsigned char)text.ptr[i] >= ' ');
    AF_CHECK_OK(parse(af_buf_cstr(&text)), err);
    AF_CHECK_STR(task.run, out.run);
    AF_CHECK_STR(task.journal, out.journal);
    AF_CHECK_STR(task.bucket, out.bucket);
    AF_CHECK_STR(task.key, out.key);
    AF_CHECK_STR(task.etag, out.etag);
    AF_CHECK_STR(task.format, out.format);
    AF_CHECK_STR(task.dataset, "");
    AF_CHECK_STR(task.mapping, out.mapping);
    AF_CHECK_INT(task.bytes, out.bytes);
    af_buf_done(&text);
    af_arena_done(&arena);
}

/* U+FFFE and U+FFFF are characters of keys that a queue does not take as they are; their neighbour U+FFFD is one like any. */
AF_TEST(characters_that_a_queue_refuses_are_escaped)
{
    const struct af_fleet_task out = { .bucket = "bucket", .key = "x\xef\xbf\xbey\xef\xbf\xbfz\xef\xbf\xbd\x01" };
    struct af_buf text;
    af_buf_init(&text, 1 << 16);
    af_fleet_task_print(&out, &text);
    AF_CHECK(strstr(af_buf_cstr(&text), "x\\ufffey\\uffffz\xef\xbf\xbd\\u0001") != NULL);
    AF_CHECK_OK(parse(af_buf_cstr(&text)), err);
    AF_CHECK_STR(task.key, out.key);
    af_buf_done(&text);
    af_arena_done(&arena);
}

AF_TEST(a_bucket_and_a_key_are_enough)
{
    AF_CHECK_OK(parse("{\"bucket\":\"bucket\",\"key\":\"k\",\"what\":[1,{}],\"run\":null}"), err);
    AF_CHECK_STR(task.bucket, "bucket");
    AF_CHECK_STR(task.key, "k");
    AF_CHECK_STR(task.run, "");
    AF_CHECK_STR(task.journal, "");
    AF_CHECK_INT(task.bytes, 0);
    af_arena_done(&arena);
}

AF_TEST(what_is_no_task_is_refused_with_words)
{
    static const char *const bodies[] = {
        "", "{", "[]", "1", "\"x\"", "null", "{}", "{\"bucket\":\"bucket\"}", "{\"key\":\"k\"}", "{\"bucket\":\"\",\"key\":\"k\"}",
        "{\"bucket\":\"bucket\",\"key\":\"\"}", "{\"bucket\":\"bucket\",\"key\":\"folder/\"}", "{\"bucket\":\"a/b\",\"key\":\"k\"}",
        "{\"bucket\":\"..\",\"key\":\"k\"}", "{\"bucket\":\"bucket\",\"key\":1}", "{\"bucket\":\"bucket\",\"key\":\"a\\u0000b\"}",
        "{\"bucket\":\"bucket\",\"key\":\"k\",\"size\":-1}", "{\"bucket\":\"bucket\",\"key\":\"k\",\"size\":\"1\"}",
        "{\"bucket\":\"bucket\",\"key\":\"k\",\"afluxo\":2}", "{\"bucket\":\"bucket\",\"key\":\"k\",\"afluxo\":\"1\"}",
        "{\"bucket\":\"bucket\",\"key\":\"k\",\"journal\":\"http://x\"}",
        "{\"bucket\":\"bucket\",\"key\":\"k\",\"mapping\":\"/etc/passwd\"}",
        "{\"bucket\":\"bucket\",\"key\":\"k\",\"mapping\":\"s3://bucket/m\",\"dataset\":\"d\"}",
        "{\"Records\":[{\"s3\":{\"bucket\":{\"name\":\"bucket\"},\"object\":{\"key\":\"k\"}}}]}", "{\"Event\":\"s3:TestEvent\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        err = (struct af_error){ 0 };
        AF_CHECK_INT(parse(bodies[i]), AF_EINVAL);
        AF_CHECK_INT(err.status, AF_EINVAL);
        AF_CHECK(err.message[0] != '\0');
        af_arena_done(&arena);
    }
}

AF_TEST(texts_have_limits)
{
    char body[4096], key[1100];
    memset(key, 'k', sizeof key);
    key[1024] = '\0';
    (void)snprintf(body, sizeof body, "{\"bucket\":\"bucket\",\"key\":\"%s\"}", key);
    AF_CHECK_OK(parse(body), err);
    af_arena_done(&arena);
    key[1024] = 'k';
    key[1025] = '\0';
    (void)snprintf(body, sizeof body, "{\"bucket\":\"bucket\",\"key\":\"%s\"}", key);
    AF_CHECK_INT(parse(body), AF_EINVAL);
    af_arena_done(&arena);
}

/* --- outcomes ------------------------------------------------------------------------------------------------------------ */

AF_TEST(an_outcome_is_printed_and_read_back)
{
    struct fleet_outcome out = { .task = { .run = "r", .bucket = "bucket", .key = "k\"", .etag = "planned", .bytes = 7 },
                                 .ended_ms = 1700000000123,
                                 .result = { .outcome = AF_FLEET_REJECTED, .rows_read = 1, .points_written = 2, .rows_rejected = 3,
                                             .bytes_read = 4, .bytes_sent = 5, .milliseconds = 6, .reason = "row 3: \"x\"",
                                             .etag = "read", .worker = "w", .attempt = 8 } };
    struct fleet_outcome in;
    struct af_buf text;
    af_arena_init(&arena, 1 << 20);
    af_buf_init(&text, 1 << 16);
    fleet_outcome_print(&out, &text);
    AF_CHECK_OK(fleet_outcome_parse(af_buf_slice(&text), &arena, &in, &err), err);
    AF_CHECK_INT(in.result.outcome, AF_FLEET_REJECTED);
    AF_CHECK_STR(in.task.key, "k\"");
    AF_CHECK_STR(in.result.etag, "read");
    AF_CHECK_STR(in.result.reason, out.result.reason);
    AF_CHECK_STR(in.result.worker, "w");
    AF_CHECK_INT(in.ended_ms, out.ended_ms);
    AF_CHECK_INT(in.task.bytes, 7);
    AF_CHECK_INT(in.result.rows_read, 1);
    AF_CHECK_INT(in.result.points_written, 2);
    AF_CHECK_INT(in.result.rows_rejected, 3);
    AF_CHECK_INT(in.result.attempt, 8);
    af_buf_done(&text);
    af_arena_done(&arena);
}

AF_TEST(what_is_no_outcome_is_none)
{
    static const char *const texts[] = { "", "{}", "{\"afluxo\":1}",
                                         "{\"afluxo\":1,\"outcome\":\"well\"}", "{\"afluxo\":2,\"outcome\":\"done\"}",
                                         "[1]" };
    struct fleet_outcome in;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        af_arena_init(&arena, 1 << 20);
        AF_CHECK(fleet_outcome_parse(af_slice_of(texts[i]), &arena, &in, &err) != AF_OK);
        af_arena_done(&arena);
    }
}

AF_TEST(places_and_keys_of_a_journal)
{
    struct fleet_place place;
    struct fleet_id id;
    char key[FLEET_KEY_BYTES];
    AF_CHECK_OK(fleet_place_parse("s3://bucket", &place, &err), err);
    AF_CHECK_STR(place.prefix, "");
    AF_CHECK_OK(fleet_place_parse("s3://bucket/a/b", &place, &err), err);
    AF_CHECK_STR(place.prefix, "a/b/");
    AF_CHECK_OK(fleet_place_parse("s3://bucket/a/b/", &place, &err), err);
    AF_CHECK_STR(place.prefix, "a/b/");
    AF_CHECK_OK(fleet_id_of("bucket", "key", &id, &err), err);
    fleet_key_of(&place, "objects", &id, ".json", key);
    AF_CHECK(strncmp(key, "a/b/objects/", 12) == 0 && strlen(key) == 12 + 3 + 64 + 5 && strncmp(key + 12, key + 15, 2) == 0);
    AF_CHECK_INT(fleet_place_parse("/a/b", &place, &err), AF_EINVAL);
}

AF_TEST(every_allocation_of_a_task_may_fail)
{
    const char *body = "{\"afluxo\":1,\"run\":\"r\",\"journal\":\"s3://journal/x\",\"bucket\":\"bucket\",\"key\":\"k\",\"etag\":\"e\"}";
    size_t failures = 0;
    for (size_t nth = 1;; nth++) {
        (void)af_alloc_fail_nth(nth);
        const enum af_status status = parse(body);
        (void)af_alloc_fail_nth(0);
        af_arena_done(&arena);
        if (status == AF_OK)
            break;
        AF_CHECK_INT(status, AF_ENOMEM);
        failures++;
    }
    AF_CHECK(failures > 0);
}
