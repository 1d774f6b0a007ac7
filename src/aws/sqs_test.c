/* sqs_test.c - queues against a service that says what a test wrote down. The digests below are of other hands (md5sum, botocore). */
#include "aws/service_fixture.h"
#include "aws/sqs.h"
#include "aws/sqs_int.h"

static const char queue[] = "https://sqs.us-east-1.amazonaws.com/123456789012/jobs";

AF_TEST(sqs_where_a_queue_is)
{
    static const struct {
        const char *url, *base, *region;
    } cases[] = {
        { "https://sqs.us-east-1.amazonaws.com/1/q", "https://sqs.us-east-1.amazonaws.com", "us-east-1" },
        { "https://sqs-fips.us-west-2.amazonaws.com/1/q", "https://sqs-fips.us-west-2.amazonaws.com", "us-west-2" },
        { "https://eu-west-3.queue.amazonaws.com/1/q", "https://eu-west-3.queue.amazonaws.com", "eu-west-3" },
        { "https://queue.amazonaws.com/1/q", "https://queue.amazonaws.com", "" },
        { "https://vpce-1.sqs.sa-east-1.vpce.amazonaws.com/1/q", "https://vpce-1.sqs.sa-east-1.vpce.amazonaws.com", "sa-east-1" },
        { "https://sqs.cn-north-1.amazonaws.com.cn/1/q", "https://sqs.cn-north-1.amazonaws.com.cn", "cn-north-1" },
        { "https://sqs.ap-south-2.api.aws/1/q", "https://sqs.ap-south-2.api.aws", "ap-south-2" },
        { "http://localhost:4566/000000000000/q", "http://localhost:4566", "" },
        { "http://sqs.lab:4566/000000000000/q", "http://sqs.lab:4566", "" },
    };
    struct sqs_place place;
    struct af_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AF_CHECK_OK(sqs_place(cases[i].url, &place, &err), err);
        AF_CHECK_STR(place.base, cases[i].base);
        AF_CHECK_STR(place.region, cases[i].region);
    }
    static const char *const bad[] = { "", "jobs", "https://", "https:///q", "https://host", "https://host/", "ftp://host/q",
                                       "https://user:pass@host/1/q", "arn:aws:sqs:eu-west-1:1:q" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        AF_CHECK_FAILS(sqs_place(bad[i], &place, &err), AF_EINVAL);
}

static const char *nowhere(void *ctx, const char *name)
{
    return strcmp(name, "AWS_ENDPOINT_URL") == 0 ? NULL : service_variable(ctx, name);
}

/* Without an endpoint of somebody's, the queue's URL says where to go. */
AF_TEST(sqs_goes_where_the_queue_is)
{
    const struct service_answer answers[] = { SAYS(200, "{}"), { 0 } };
    struct service s = { .answers = answers };
    struct af_sqs_message message;
    char url[128];
    size_t count = 9;
    s.peer = af_peer_start_with(service_says, &s);
    const struct af_aws_options options = { .max_attempts = 1, .variable = nowhere, .ctx = &s };
    AF_CHECK_OK(af_aws_open(&options, &s.aws, &s.err), s.err);
    af_arena_init(&s.arena, 1 << 20);
    AF_CHECK_OK(af_aws_client_new(s.aws, "sqs", &s.client, &s.err), s.err);
    AF_CHECK_STR(af_aws_client_url(s.client), "https://sqs.eu-west-1.amazonaws.com");
    (void)snprintf(url, sizeof url, "%s/1/q", af_peer_url(s.peer));
    AF_CHECK_OK(af_sqs_receive(s.client, url, 1, 0, 0, NULL, &s.arena, &message, &count, &s.err), s.err);
    AF_CHECK_INT(count, 0);
    AF_CHECK_STR(af_aws_client_url(s.client), af_peer_url(s.peer));
    AF_CHECK(service_has(service_request(&s, 0), "/eu-west-1/sqs/aws4_request"));
    service_end(&s);
}

AF_TEST(sqs_one_message_is_sent)
{
    struct service s;
    /* of "hello" and of the attribute Reason = "why" */
    const struct service_answer answers[] = { WHEN("AmazonSQS.SendMessage", 200,
                                                   "{\"MessageId\":\"m-1\",\"MD5OfMessageBody\":\"5d41402abc4b2a76b9719d911017c592\","
                                                     "\"MD5OfMessageAttributes\":\"5b7a4022c351db19f4884e7fb09da89c\"}"), { 0 } };
    const struct af_sqs_message message = { .body = AF_SLICE_LIT("hello"), .reason = AF_SLICE_LIT("why") };
    service_begin(&s, "sqs", answers);
    AF_CHECK_OK(af_sqs_send(s.client, queue, &message, 7, &s.err), s.err);
    AF_CHECK_SLICE(service_asked(&s, 0), "{\"QueueUrl\":\"https://sqs.us-east-1.amazonaws.com/123456789012/jobs\",\"MessageBody\":\""
                                         "hello\","
                                         "\"MessageAttributes\":{\"Reason\":{\"DataType\":\"String\",\"StringValue\":\"why\"}},\""
                                         "DelaySeconds\":7}");
    service_end(&s);
}

AF_TEST(sqs_a_message_that_was_altered)
{
    struct service s;
    const struct service_answer answers[] = {
        SAYS(200, "{\"MessageId\":\"m\",\"MD5OfMessageBody\":\"00000000000000000000000000000000\"}"),
        SAYS(200, "{\"MessageId\":\"m\",\"MD5OfMessageBody\":\"5d41402abc4b2a76b9719d911017c592\","
               "\"MD5OfMessageAttributes\":\"00000000000000000000000000000000\"}"), { 0 } };
    const struct af_sqs_message message = { .body = AF_SLICE_LIT("hello"), .reason = AF_SLICE_LIT("why") };
    service_begin(&s, "sqs", answers);
    for (int i = 0; i < 2; i++) {
        AF_CHECK_FAILS(af_sqs_send(s.client, queue, &message, 0, &s.err), AF_ECORRUPT);
        AF_CHECK(strstr(s.err.message, "SQS SendMessage") != NULL && strstr(s.err.message, "MD5") != NULL);
    }
    service_end(&s);
}

AF_TEST(sqs_messages_that_no_queue_takes)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(500, ""), { 0 } };
    char *large = calloc(1, AF_SQS_BODY_BYTES_MAX + 1);
    AF_CHECK(large != NULL);
    memset(large, 'x', AF_SQS_BODY_BYTES_MAX + 1);
    const struct af_slice bodies[] = { AF_SLICE_LIT(""), AF_SLICE_LIT("a\x01" "b"), AF_SLICE_LIT("\xff"), AF_SLICE_LIT("x\xef\xbf\xbe"),
                                       { "\0", 1 },
                                       { large, AF_SQS_BODY_BYTES_MAX + 1 } };
    service_begin(&s, "sqs", answers);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        const struct af_sqs_message message = { .body = bodies[i] };
        AF_CHECK_FAILS(af_sqs_send(s.client, queue, &message, 0, &s.err), AF_EINVAL);
        AF_CHECK_FAILS(af_sqs_send_batch(s.client, queue, &message, 1, &s.err), AF_EINVAL);
    }
    const struct af_sqs_message fine = { .body = AF_SLICE_LIT("x") };
    static const char fifo[] = "https://sqs.eu-west-1.amazonaws.com/1/q.fifo";
    const struct af_sqs_message bad_group = { .body = fine.body, .group = AF_SLICE_LIT("a b") };
    const struct af_sqs_message bad_id = { .body = fine.body, .duplicate = AF_SLICE_LIT("") };
    AF_CHECK_FAILS(af_sqs_send(s.client, fifo, &fine, 1, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_sqs_send(s.client, fifo, &bad_group, 0, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_sqs_send_batch(s.client, fifo, &bad_id, 1, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_sqs_send(s.client, queue, &fine, 901, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_sqs_send(s.client, "jobs", &fine, 0, &s.err), AF_EINVAL);
    AF_CHECK_INT(af_peer_requests(s.peer), 0);
    service_end(&s);
    free(large);
}

/* Of three, one arrives, one is refused for the service's fault and one is not spoken of: those two go again. */
AF_TEST(sqs_a_batch_goes_on_with_what_is_left)
{
    struct service s;
    const struct service_answer answers[] = {
        WHEN("AmazonSQS.SendMessageBatch", 200, "{\"Successful\":[{\"Id\":\"1\",\"MessageId\":\"m\",\"MD5OfMessageBody\":\""
                                                "92eb5ffee6ae2fec3ad71c777531578f\"}],"
               "\"Failed\":[{\"Id\":\"0\",\"SenderFault\":false,\"Code\":\"InternalError\"}]}"),
        SAYS(200, "{\"Successful\":[{\"Id\":\"0\",\"MessageId\":\"m\"},{\"Id\":\"2\",\"MessageId\":\"m\"}],\"Failed\":null}"), { 0 } };
    const struct af_sqs_message messages[] = { { .body = AF_SLICE_LIT("a") }, { .body = AF_SLICE_LIT("b") },
                                               { .body = AF_SLICE_LIT("c") } };
    service_begin(&s, "sqs", answers);
    AF_CHECK_OK(af_sqs_send_batch(s.client, queue, messages, 3, &s.err), s.err);
    AF_CHECK_INT(af_peer_requests(s.peer), 2);
    AF_CHECK(service_has(service_asked(&s, 0), "\"Entries\":[{\"Id\":\"0\",\"MessageBody\":\"a\"},{\"Id\":\"1\",\"MessageBody\":\"b\"},"));
    AF_CHECK(service_has(service_asked(&s, 1), "\"Entries\":[{\"Id\":\"0\",\"MessageBody\":\"a\"},{\"Id\":\"2\",\"MessageBody\":\"c\"}]"));
    service_end(&s);
}

AF_TEST(sqs_a_batch_tells_whose_fault_it_is)
{
    struct service s;
    const struct service_answer answers[] = {
        SAYS(200, "{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"InvalidMessageContents\",\"Message\":\"no such letter\"}]}"),
        SAYS(200, "{\"Successful\":[{\"Id\":\"1\",\"MessageId\":\"m\"}]}"), { 0 } };
    const struct af_sqs_message messages[] = { { .id = AF_SLICE_LIT("job-7"), .body = AF_SLICE_LIT("a") }, { .body = AF_SLICE_LIT("b") } };
    service_begin(&s, "sqs", answers);
    AF_CHECK_FAILS(af_sqs_send_batch(s.client, queue, messages, 2, &s.err), AF_EINVAL);
    AF_CHECK(strstr(s.err.message, "job-7") != NULL && strstr(s.err.message, "no such letter") != NULL);
    AF_CHECK_INT(af_peer_requests(s.peer), 2); /* the other one was sent all the same */
    service_end(&s);
}

AF_TEST(sqs_a_batch_larger_than_a_request_is_sent_in_two)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, "{\"Successful\":[{\"Id\":\"0\",\"MessageId\":\"m\"}]}"),
                                              SAYS(200, "{\"Successful\":[{\"Id\":\"1\",\"MessageId\":\"m\"}]}"), { 0 } };
    enum { HALF = AF_SQS_BODY_BYTES_MAX * 2 / 3 };
    char *large = malloc(HALF);
    AF_CHECK(large != NULL);
    memset(large, 'x', HALF);
    const struct af_sqs_message messages[] = { { .body = { large, HALF } }, { .body = { large, HALF } } };
    service_begin(&s, "sqs", answers);
    AF_CHECK_OK(af_sqs_send_batch(s.client, queue, messages, 2, &s.err), s.err);
    AF_CHECK_INT(af_peer_requests(s.peer), 2);
    service_end(&s);
    free(large);
}

AF_TEST(sqs_messages_are_received)
{
    struct service s;
    const struct service_answer answers[] = {
        WHEN("AmazonSQS.ReceiveMessage", 200, "{\"Messages\":[{\"MessageId\":\"m-1\",\"ReceiptHandle\":\"r-1\",\"Body\":\"hello\",\""
                                              "MD5OfBody\":\"5d41402abc4b2a76b9719d911017c592\","
               "\"Attributes\":{\"ApproximateReceiveCount\":\"3\",\"SentTimestamp\":\"1700000000123\"},"
               "\"MessageAttributes\":{\"Reason\":{\"DataType\":\"String\",\"StringValue\":\"why\"}}},"
               "{\"MessageId\":\"m-2\",\"ReceiptHandle\":\"r-2\",\"Body\":\"altered\",\"MD5OfBody\":\"5d41402abc4b2a76b9719d911017c592\"}"
               "]}"),
        SAYS(200, "{}"), SAYS(200, ""), SAYS(200, "{\"Messages\":null}"), { 0 } };
    struct af_sqs_message messages[AF_SQS_BATCH_MAX];
    size_t count = 9;
    service_begin(&s, "sqs", answers);
    AF_CHECK_OK(af_sqs_receive(s.client, queue, 10, 20, 300, NULL, &s.arena, messages, &count, &s.err), s.err);
    AF_CHECK_INT(count, 1); /* the altered one comes again when its time is over */
    AF_CHECK_SLICE(messages[0].id, "m-1");
    AF_CHECK_SLICE(messages[0].body, "hello");
    AF_CHECK_SLICE(messages[0].receipt, "r-1");
    AF_CHECK_SLICE(messages[0].reason, "why");
    AF_CHECK_INT(messages[0].receive_count, 3);
    AF_CHECK_INT(messages[0].sent_ns, 1700000000123000000);
    AF_CHECK(service_has(service_asked(&s, 0), "\"MaxNumberOfMessages\":10,\"VisibilityTimeout\":300,\"WaitTimeSeconds\":20"));
    for (int i = 0; i < 3; i++) {
        AF_CHECK_OK(af_sqs_receive(s.client, queue, 1, 0, 0, NULL, &s.arena, messages, &count, &s.err), s.err);
        AF_CHECK_INT(count, 0);
    }
    AF_CHECK_FAILS(af_sqs_receive(s.client, queue, 11, 0, 0, NULL, &s.arena, messages, &count, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_sqs_receive(s.client, queue, 1, 21, 0, NULL, &s.arena, messages, &count, &s.err), AF_EINVAL);
    service_end(&s);
}

/* Ten messages of 1 MiB with a line end at every other letter: 15 MB of JSON, more than other answers may have. */
AF_TEST(sqs_the_largest_answer)
{
    enum { BODY = AF_SQS_BODY_BYTES_MAX };
    struct service s;
    struct af_buf text;
    af_buf_init(&text, 64 << 20);
    af_buf_append_str(&text, "{\"Messages\":[");
    for (int m = 0; m < AF_SQS_BATCH_MAX; m++) {
        af_buf_printf(&text, "%s{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"", m != 0 ? "," : "");
        for (size_t i = 0; i < BODY; i += 2)
            af_buf_append_str(&text, "x\\n");
        af_buf_append_str(&text, "\"}");
    }
    af_buf_append_str(&text, "]}");
    const struct service_answer answers[] = { SAYS(200, af_buf_cstr(&text)), { 0 } };
    struct af_sqs_message messages[AF_SQS_BATCH_MAX];
    size_t count = 0;
    service_begin(&s, "sqs", answers);
    AF_CHECK_OK(af_sqs_receive(s.client, queue, 10, 0, 30, NULL, &s.arena, messages, &count, &s.err), s.err);
    AF_CHECK_INT(count, AF_SQS_BATCH_MAX);
    AF_CHECK_INT(messages[9].body.len, BODY);
    service_end(&s);
    af_buf_done(&text);
}

AF_TEST(sqs_answers_that_cannot_be)
{
#define MESSAGE(more) "{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"b\"" more "}"
    static const char *const bad[] = {
        "{\"Messages\":{}}",
        "{\"Messages\":[{}]}",
        "{\"Messages\":[7]}",
        "{\"Messages\":[{\"MessageId\":7,\"ReceiptHandle\":\"r\",\"Body\":\"b\"}]}",
        "{\"Messages\":[{\"MessageId\":\"m\",\"Body\":\"b\"}]}",
        "{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"\"}]}",
        "{\"Messages\":[" MESSAGE(",\"MD5OfBody\":\"x\"") "]}",
        "{\"Messages\":[" MESSAGE(",\"Attributes\":{\"SentTimestamp\":\"soon\"}") "]}",
        ("{\"Messages\":[" MESSAGE("") "," MESSAGE("") "]}"),
        "{\"Messages\":[",
        "[]",
        "7",
        "null",
        "<html><body>proxy</body></html>",
        "\xff\xfe",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct service s;
        const struct service_answer answers[] = { SAYS(200, bad[i]), { 0 } };
        struct af_sqs_message messages[1];
        size_t count = 42;
        service_begin(&s, "sqs", answers);
        AF_CHECK_FAILS(af_sqs_receive(s.client, queue, 1, 0, 0, NULL, &s.arena, messages, &count, &s.err), AF_ECORRUPT);
        AF_CHECK(strstr(s.err.message, "SQS ReceiveMessage") != NULL);
        AF_CHECK_INT(count, 42);
        service_end(&s);
    }
}

AF_TEST(sqs_a_receipt_that_is_worth_nothing)
{
    struct service s;
    const struct service_answer answers[] = {
        WHEN("AmazonSQS.ChangeMessageVisibility", 400, "{\"__type\":\"com.amazonaws.sqs#MessageNotInflight\",\"message\":\"gone\"}"),
        WHEN("AmazonSQS.DeleteMessage", 404, "{\"__type\":\"com.amazonaws.sqs#ReceiptHandleIsInvalid\",\"message\":\"gone\"}"),
        SAYS(200, ""), { 0 } };
    service_begin(&s, "sqs", answers);
    AF_CHECK_FAILS(af_sqs_visibility(s.client, queue, AF_SLICE_LIT("r"), 0, &s.err), AF_ENOTFOUND);
    AF_CHECK_INT(s.err.status, AF_ENOTFOUND);
    AF_CHECK_FAILS(af_sqs_delete(s.client, queue, AF_SLICE_LIT("r"), &s.err), AF_ENOTFOUND);
    AF_CHECK_OK(af_sqs_delete(s.client, queue, AF_SLICE_LIT("r"), &s.err), s.err);
    AF_CHECK_FAILS(af_sqs_visibility(s.client, queue, AF_SLICE_LIT("r"), 43201, &s.err), AF_EINVAL);
    service_end(&s);
}

AF_TEST(sqs_how_deep_a_queue_is)
{
    struct service s;
    const struct service_answer answers[] = {
        SAYS(200, "{\"Attributes\":{\"ApproximateNumberOfMessages\":\"5\",\"ApproximateNumberOfMessagesNotVisible\":\"2\","
               "\"ApproximateNumberOfMessagesDelayed\":\"1\",\"VisibilityTimeout\":\"30\","
               "\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:eu-west-1:1:dead\\\","
               "\\\"maxReceiveCount\\\":\\\"4\\\"}\"}}"),
        SAYS(200, "{\"Attributes\":{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"a\\\",\\\"maxReceiveCount\\\":4}\"}}"),
        SAYS(200, "{\"Attributes\":{\"RedrivePolicy\":\"{\"}}"), SAYS(200, "{\"Attributes\":{\"RedrivePolicy\":\"{}\"}}"),
        SAYS(200, "{\"Attributes\":{\"VisibilityTimeout\":\"-1\"}}"), SAYS(200, "{\"Attributes\":7}"), SAYS(200, "{}"), { 0 } };
    struct af_sqs_depth depth = { 0 };
    service_begin(&s, "sqs", answers);
    AF_CHECK_OK(af_sqs_depth(s.client, queue, &depth, &s.err), s.err);
    AF_CHECK(depth.visible == 5 && depth.in_flight == 2 && depth.delayed == 1 && depth.visibility_s == 30 && depth.max_receives == 4);
    AF_CHECK_STR(depth.dead_letters, "arn:aws:sqs:eu-west-1:1:dead");
    AF_CHECK_OK(af_sqs_depth(s.client, queue, &depth, &s.err), s.err);
    AF_CHECK_INT(depth.max_receives, 4);
    for (int i = 0; i < 5; i++)
        AF_CHECK_FAILS(af_sqs_depth(s.client, queue, &depth, &s.err), AF_ECORRUPT);
    AF_CHECK_INT(depth.max_receives, 4);
    service_end(&s);
}

AF_TEST(sqs_the_url_of_a_name)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, "{\"QueueUrl\":\"https://sqs.eu-west-1.amazonaws.com/1/jobs\"}"),
                                              SAYS(200, "{\"QueueUrl\":\"https://sqs.eu-west-1.amazonaws.com/1/jobs\"}"),
                                              SAYS(200, "{\"QueueUrl\":\"jobs\"}"),
                                              SAYS(400, "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"no\"}"), { 0 } };
    const char *url = NULL;
    service_begin(&s, "sqs", answers);
    AF_CHECK_OK(af_sqs_url(s.client, "jobs", &s.arena, &url, &s.err), s.err);
    AF_CHECK_STR(url, "https://sqs.eu-west-1.amazonaws.com/1/jobs");
    AF_CHECK_SLICE(service_asked(&s, 0), "{\"QueueName\":\"jobs\"}");
    AF_CHECK_OK(af_sqs_url(s.client, "arn:aws:sqs:eu-west-1:42:jobs", &s.arena, &url, &s.err), s.err);
    AF_CHECK_SLICE(service_asked(&s, 1), "{\"QueueName\":\"jobs\",\"QueueOwnerAWSAccountId\":\"42\"}");
    AF_CHECK_FAILS(af_sqs_url(s.client, "jobs", &s.arena, &url, &s.err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_sqs_url(s.client, "jobs", &s.arena, &url, &s.err), AF_ENOTFOUND);
    AF_CHECK_OK(af_sqs_url(s.client, queue, &s.arena, &url, &s.err), s.err);
    AF_CHECK_STR(url, queue);
    AF_CHECK_INT(af_peer_requests(s.peer), 4);
    service_end(&s);
}
