/*
 * services_test.c - the smaller services (KMS, SNS, Bedrock), and two things that hold for all of them: whatever is answered, a call ends
 * with success or a clear error that names service and operation; and an allocation that fails is an error too.
 */
#include "aws/bedrock.h"
#include "aws/cloudwatch.h"
#include "aws/kms.h"
#include "aws/secrets.h"
#include "aws/service_fixture.h"
#include "aws/sns.h"
#include "aws/sqs.h"
#include "aws/timestream.h"
#include "base/alloc.h"
#include "base/limits.h"

/* --- KMS -------------------------------------------------------------------------------------------------------------------------- */

#define PLAIN "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" /* 0, 1, ... 31 */

AF_TEST(kms_keys_are_made_and_opened)
{
    struct service s;
    const struct service_answer answers[] = {
        WHEN("TrentService.GenerateDataKey", 200, "{\"CiphertextBlob\":\"AQID\",\"Plaintext\":\"" PLAIN "\",\"KeyId\":\"arn:aws:kms:"
                                                                                                        "eu-west-1:1:key/k\"}"),
        WHEN("TrentService.Decrypt", 200, "{\"Plaintext\":\"" PLAIN "\",\"KeyId\":\"arn:aws:kms:eu-west-1:1:key/k\"}"),
        WHEN("TrentService.DescribeKey", 200, "{\"KeyMetadata\":{\"KeyState\":\"PendingDeletion\"}}"), { 0 } };
    struct af_kms_data_key key, opened = { .sealed = { 1, 2, 3 }, .sealed_len = 3 };
    char state[32];
    const struct af_slice context = AF_SLICE_LIT(" { \"file\" : \"a\" } ");
    service_begin(&s, "kms", answers);
    AF_CHECK_OK(af_kms_data_key(s.client, "alias/data", context, &key, &s.err), s.err);
    AF_CHECK_SLICE(service_asked(&s, 0), "{\"KeyId\":\"alias/data\",\"EncryptionContext\":{\"file\":\"a\"},\"KeySpec\":\"AES_256\"}");
    AF_CHECK_STR(key.key_id, "arn:aws:kms:eu-west-1:1:key/k");
    AF_CHECK_INT(key.sealed_len, 3);
    AF_CHECK(memcmp(key.sealed, "\1\2\3", 3) == 0);
    for (int i = 0; i < AF_KMS_DATA_KEY_BYTES; i++)
        AF_CHECK_INT(key.plain[i], i);
    AF_CHECK_OK(af_kms_open(s.client, context, &opened, &s.err), s.err);
    AF_CHECK_SLICE(service_asked(&s, 1), "{\"CiphertextBlob\":\"AQID\",\"EncryptionContext\":{\"file\":\"a\"}}");
    AF_CHECK(memcmp(opened.plain, key.plain, sizeof key.plain) == 0);
    AF_CHECK_OK(af_kms_state(s.client, "alias/data", state, &s.err), s.err);
    AF_CHECK_STR(state, "PendingDeletion");
    service_end(&s);
}

AF_TEST(kms_contexts_that_are_none)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(500, ""), { 0 } };
    struct af_kms_data_key key = { .sealed_len = 0 };
    service_begin(&s, "kms", answers);
    AF_CHECK_FAILS(af_kms_data_key(s.client, "k", AF_SLICE_LIT("{\"a\":7}"), &key, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_kms_data_key(s.client, "k", AF_SLICE_LIT("[]"), &key, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_kms_data_key(s.client, "k", AF_SLICE_LIT("{"), &key, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_kms_open(s.client, (struct af_slice){ 0 }, &key, &s.err), AF_EINVAL);
    AF_CHECK_INT(af_peer_requests(s.peer), 0);
    service_end(&s);
}

AF_TEST(kms_answers_that_cannot_be)
{
    static const char *const bad[] = {
        "{}", "{\"CiphertextBlob\":\"AQID\",\"Plaintext\":\"AQID\",\"KeyId\":\"k\"}",
            "{\"CiphertextBlob\":\"?\",\"Plaintext\":\"" PLAIN "\",\"KeyId\":\"k\"}",
        "{\"CiphertextBlob\":\"AQID\",\"Plaintext\":\"" PLAIN "\"}", "{\"CiphertextBlob\":7,\"Plaintext\":\"" PLAIN "\",\"KeyId\":\"k\"}",
        "{\"CiphertextBlob\":\"AQID\",\"Plaintext\":\"" PLAIN "AAAA\",\"KeyId\":\"k\"}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct service s;
        const struct service_answer answers[] = { SAYS(200, bad[i]), { 0 } };
        struct af_kms_data_key key;
        service_begin(&s, "kms", answers);
        AF_CHECK_FAILS(af_kms_data_key(s.client, "k", (struct af_slice){ 0 }, &key, &s.err), AF_ECORRUPT);
        AF_CHECK(strstr(s.err.message, "KMS GenerateDataKey") != NULL && strstr(s.err.message, "AAEC") == NULL);
        service_end(&s);
    }
}

/* --- SNS --------------------------------------------------------------------------------------------------------------------------- */

AF_TEST(sns_publishes)
{
    struct service s;
    const struct service_answer answers[] = {
        SAYS(200, "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>m</MessageId></"
                  "PublishResult>"
                  "</PublishResponse>"),
        SAYS(200, "<PublishResponse><PublishResult/></PublishResponse>"), { 0 } };
    static const char *const subjects[] = { "", " a", "a\nb", "caf\xc3\xa9",
                                            "01234567890123456789012345678901234567890123456789"
                                            "01234567890123456789012345678901234567890123456789x" };
    service_begin(&s, "sns", answers);
    AF_CHECK_OK(af_sns_publish(s.client, "arn:aws:sns:eu-west-1:1:t", "Down", AF_SLICE_LIT("a&b caf\xc3\xa9"), &s.err), s.err);
    AF_CHECK(service_has(service_asked(&s, 0), "Action=Publish"));
    AF_CHECK(service_has(service_asked(&s, 0), "Message=a%26b%20caf%C3%A9"));
    AF_CHECK(service_has(service_asked(&s, 0), "TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A1%3At"));
    AF_CHECK_FAILS(af_sns_publish(s.client, "t", NULL, AF_SLICE_LIT("m"), &s.err), AF_ECORRUPT);
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        AF_CHECK_FAILS(af_sns_publish(s.client, "t", subjects[i], AF_SLICE_LIT("m"), &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_sns_publish(s.client, "t", NULL, AF_SLICE_LIT(""), &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_sns_publish(s.client, "t", NULL, AF_SLICE_LIT("\xff"), &s.err), AF_EINVAL);
    AF_CHECK_INT(af_peer_requests(s.peer), 2);
    service_end(&s);
}

/* --- Bedrock ------------------------------------------------------------------------------------------------------------------------ */

AF_TEST(bedrock_has_a_conversation)
{
    struct service s;
    const struct service_answer answers[] = {
        WHEN("POST /model/anthropic.x%3A0/converse ", 200,
             "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"reasoningContent\":{}},{\"text\":\"He\"},{\"text\":\"llo\""
             "}]}},"
             "\"stopReason\":\"end_turn\",\"usage\":{}}"),
        WHEN("POST /model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x/converse ", 200,
             "{\"output\":{\"message\":{\"content\":[]}},\"stopReason\":\"max_tokens\"}"), { 0 } };
    struct af_bedrock_turn turn = { .model = "anthropic.x:0", .system = AF_SLICE_LIT("Be \"brief\""), .user = AF_SLICE_LIT("Hi"),
                                    .temperature = 0.5 };
    struct af_buf out;
    const char *stop = NULL;
    af_buf_init(&out, 1000);
    service_begin(&s, "bedrock-runtime", answers);
    AF_CHECK_OK(af_bedrock_converse(s.client, &turn, &s.arena, &out, &stop, &s.err), s.err);
    AF_CHECK_SLICE(af_buf_slice(&out), "Hello");
    AF_CHECK_STR(stop, "end_turn");
    AF_CHECK_SLICE(service_asked(&s, 0), "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]}],\"system\":[{\"text\":\"Be "
                                         "\\\"brief\\\"\"}],"
                                         "\"inferenceConfig\":{\"maxTokens\":1024,\"temperature\":0.5}}");
    AF_CHECK(!service_has(service_request(&s, 0), "X-Amz-Target"));
    turn = (struct af_bedrock_turn){ .model = "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x", .user = AF_SLICE_LIT("Hi"),
                                     .max_tokens = 7 };
    AF_CHECK_OK(af_bedrock_converse(s.client, &turn, &s.arena, &out, &stop, &s.err), s.err);
    AF_CHECK_STR(stop, "max_tokens");
    turn.user = (struct af_slice){ 0 };
    AF_CHECK_FAILS(af_bedrock_converse(s.client, &turn, &s.arena, &out, &stop, &s.err), AF_EINVAL);
    service_end(&s);
    af_buf_done(&out);
}

AF_TEST(bedrock_embeds)
{
    struct service s;
    const struct service_answer answers[] = { WHEN("POST /model/amazon.titan-embed-text-v2%3A0/invoke ", 200,
                                                   "{\"embedding\":[0.5,-1,2e-3]}"),
                                              SAYS(200, "{\"embedding\":[1,2]}"), SAYS(200, "{\"embedding\":[1,\"2\",3]}"),
                                              SAYS(200, "{\"embedding\":[1,1e39,3]}"), SAYS(200, "{\"embedding\":[]}"), SAYS(200, "{}"),
                                                  { 0 } };
    float *vector = NULL;
    size_t count = 0;
    static const char model[] = "amazon.titan-embed-text-v2:0";
    service_begin(&s, "bedrock-runtime", answers);
    AF_CHECK_OK(af_bedrock_embed(s.client, model, AF_SLICE_LIT("words"), 3, &s.arena, &vector, &count, &s.err), s.err);
    AF_CHECK_INT(count, 3);
    AF_CHECK(vector[0] == 0.5f && vector[1] == -1.0f && vector[2] == 2e-3f);
    AF_CHECK_SLICE(service_asked(&s, 0), "{\"inputText\":\"words\",\"dimensions\":3}");
    for (int i = 0; i < 5; i++)
        AF_CHECK_FAILS(af_bedrock_embed(s.client, model, AF_SLICE_LIT("words"), 3, &s.arena, &vector, &count, &s.err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_bedrock_embed(s.client, "", AF_SLICE_LIT("words"), 3, &s.arena, &vector, &count, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_bedrock_embed(s.client, model, (struct af_slice){ 0 }, 3, &s.arena, &vector, &count, &s.err), AF_EINVAL);
    service_end(&s);
}

/* --- whatever is answered --------------------------------------------------------------------------------------------------------- */

static const char queue[] = "https://sqs.us-east-1.amazonaws.com/1/q";

static enum af_status sqs_send(struct service *s, struct af_error *err)
{
    const struct af_sqs_message m = { .body = AF_SLICE_LIT("b"), .reason = AF_SLICE_LIT("r") };
    return af_sqs_send(s->client, queue, &m, 0, err);
}

static enum af_status sqs_receive(struct service *s, struct af_error *err)
{
    struct af_sqs_message m[AF_SQS_BATCH_MAX];
    size_t n;
    return af_sqs_receive(s->client, queue, 10, 0, 0, NULL, &s->arena, m, &n, err);
}

static enum af_status sqs_depth(struct service *s, struct af_error *err)
{
    struct af_sqs_depth depth;
    return af_sqs_depth(s->client, queue, &depth, err);
}

static enum af_status sqs_url(struct service *s, struct af_error *err)
{
    const char *url;
    return af_sqs_url(s->client, "q", &s->arena, &url, err);
}

static enum af_status sqs_delete(struct service *s, struct af_error *err)
{
    return af_sqs_delete(s->client, queue, AF_SLICE_LIT("r"), err);
}

static enum af_status secret(struct service *s, struct af_error *err)
{
    struct af_secrets *secrets = NULL;
    struct af_buf value;
    enum af_status status = af_secrets_open(s->aws, 0, &secrets, err);
    af_buf_init(&value, 1 << 20);
    if (status == AF_OK)
        status = af_secrets_get(secrets, "n", &value, NULL, err);
    af_buf_done(&value);
    af_secrets_close(secrets);
    return status;
}

static enum af_status metric_put(struct service *s, struct af_error *err)
{
    const struct af_metric metric = { "m", "Count", 1 };
    return af_metric_put(s->client, "N", NULL, 0, &metric, 1, 0, err);
}

static enum af_status metric_get(struct service *s, struct af_error *err)
{
    const struct af_metric_query query = { "N", "m", "Sum", NULL, 0, 60, 0, 1 };
    struct af_metric_point *points;
    size_t n;
    return af_metric_get(s->client, &query, &s->arena, &points, &n, err);
}

static enum af_status metric_exists(struct service *s, struct af_error *err)
{
    bool is_there;
    return af_metric_exists(s->client, "N", "D", &is_there, err);
}

static enum af_status kms(struct service *s, struct af_error *err)
{
    struct af_kms_data_key key;
    return af_kms_data_key(s->client, "k", AF_SLICE_LIT("{\"a\":\"b\"}"), &key, err);
}

static enum af_status kms_state(struct service *s, struct af_error *err)
{
    char state[32];
    return af_kms_state(s->client, "k", state, err);
}

static enum af_status tfi(struct service *s, struct af_error *err)
{
    const struct af_json *out;
    return af_tfi_call(s->client, AF_TFI_GetDbInstance, AF_SLICE_LIT("{\"identifier\":\"i\"}"), &s->arena, &out, err);
}

static enum af_status pass(void *ctx, const struct af_json *item, struct af_error *err)
{
    (void)ctx;
    (void)item;
    (void)err;
    return AF_OK;
}

static enum af_status tfi_list(struct service *s, struct af_error *err)
{
    return af_tfi_list(s->client, AF_TFI_ListDbInstances, (struct af_slice){ 0 }, pass, NULL, err);
}

static enum af_status timestream(struct service *s, struct af_error *err)
{
    const struct af_json *out;
    return af_timestream_call(s->client, "ListDatabases", (struct af_slice){ 0 }, &s->arena, &out, err);
}

static enum af_status converse(struct service *s, struct af_error *err)
{
    const struct af_bedrock_turn turn = { .model = "m", .user = AF_SLICE_LIT("u") };
    struct af_buf out;
    const char *stop;
    af_buf_init(&out, 1000);
    const enum af_status status = af_bedrock_converse(s->client, &turn, &s->arena, &out, &stop, err);
    af_buf_done(&out);
    return status;
}

static enum af_status embed(struct service *s, struct af_error *err)
{
    float *vector;
    size_t n;
    return af_bedrock_embed(s->client, "m", AF_SLICE_LIT("t"), 2, &s->arena, &vector, &n, err);
}

static const struct {
    const char *service, *name;                  /* the name is in every message */
    enum af_status (*run)(struct service *s, struct af_error *err);
    bool can_be_empty;                           /* {} is a good answer */
    const char *good;
} calls[] = {
    { "sqs", "SQS SendMessage", sqs_send, false, "{\"MessageId\":\"m\"}" },
    { "sqs", "SQS ReceiveMessage", sqs_receive, true,
      "{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"b\",\"Attributes\":{},\"MessageAttributes\":{\"Reason\":{\""
      "StringValue\":\"x\"}}}]}" },
    { "sqs", "SQS GetQueueAttributes", sqs_depth, false,
      "{\"Attributes\":{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"a\\\",\\\"maxReceiveCount\\\":4}\"}}" },
    { "sqs", "SQS GetQueueUrl", sqs_url, false, "{\"QueueUrl\":\"http://h/1/q\"}" },
    { "sqs", "SQS DeleteMessage", sqs_delete, true, "" },
    { "secretsmanager", "Secrets Manager GetSecretValue", secret, false, "{\"VersionId\":\"v\",\"SecretBinary\":\"AQID\"}" },
    { "monitoring", "CloudWatch PutMetricData", metric_put, true, "{}" },
    { "monitoring", "CloudWatch GetMetricData", metric_get, true, "{\"MetricDataResults\":[{\"Timestamps\":[1,2],\"Values\":[1,2]}]}" },
    { "monitoring", "CloudWatch ListMetrics", metric_exists, true, "{\"Metrics\":[{}]}" },
    { "kms", "KMS GenerateDataKey", kms, false, "{\"CiphertextBlob\":\"AQID\",\"Plaintext\":\"" PLAIN "\",\"KeyId\":\"k\"}" },
    { "kms", "KMS DescribeKey", kms_state, false, "{\"KeyMetadata\":{\"KeyState\":\"Enabled\"}}" },
    { "timestream-influxdb", "Timestream for InfluxDB GetDbInstance", tfi, true, "{\"id\":\"i\",\"a\":[1,{\"b\":null}]}" },
    { "timestream-influxdb", "Timestream for InfluxDB ListDbInstances", tfi_list, true, "{\"items\":[{\"id\":\"i\"}]}" },
    { "timestream-query", "Timestream ListDatabases", timestream, true, "{\"Databases\":[]}" },
    { "bedrock-runtime", "Bedrock Converse", converse, false, "{\"output\":{\"message\":{\"content\":[{\"text\":\"x\"}]}},\"stopReason\":"
                                                              "\"s\"}" },
    { "bedrock-runtime", "Bedrock InvokeModel", embed, false, "{\"embedding\":[1,2]}" },
};
enum { CALLS = sizeof calls / sizeof *calls };

static enum af_status call_with(size_t i, const struct service_answer *answers, struct af_error *err)
{
    struct service s;
    service_begin(&s, calls[i].service, answers);
    const enum af_status status = calls[i].run(&s, err);
    service_end(&s);
    return status;
}

AF_TEST(services_take_what_they_should)
{
    for (size_t i = 0; i < CALLS; i++) {
        const struct service_answer answers[] = { SAYS(200, calls[i].good), { 0 } };
        struct af_error err = { 0 };
        AF_CHECK_OK(call_with(i, answers, &err), err);
        const struct service_answer empty[] = { SAYS(200, "{}"), { 0 } };
        AF_CHECK_FAILS(call_with(i, empty, &err), calls[i].can_be_empty ? AF_OK : AF_ECORRUPT);
        if (!calls[i].can_be_empty)
            AF_CHECK(strstr(err.message, calls[i].name) != NULL);
    }
}

AF_TEST(services_answer_what_is_no_json)
{
    static const char *const bad[] = { "<!DOCTYPE html><html>log in</html>", "{\"a\":", "[]", "7", "\"x\"", "null", "{}{}", "\xff\xfe\x00",
                                       "nope" };
    for (size_t i = 0; i < CALLS; i++) {
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            const struct service_answer answers[] = { SAYS(200, bad[k]), { 0 } };
            struct af_error err = { 0 };
            AF_CHECK_FAILS(call_with(i, answers, &err), AF_ECORRUPT);
            AF_CHECK(strstr(err.message, calls[i].name) != NULL);
        }
    }
}

/* The first `len` bytes of JSON, then `value`, then what closes all that is open. */
static void put_closed(char out[600], const char *json, size_t len, const char *value)
{
    char stack[32];
    size_t open = 0, end = (size_t)snprintf(out, 600, "%.*s%s", (int)len, json, value);
    bool is_text = false;
    for (size_t i = 0; i < len; i++) {
        const char c = json[i];
        if (c == '\\')
            i++;
        else if (c == '"')
            is_text = !is_text;
        else if (!is_text && (c == '{' || c == '['))
            stack[open++] = c == '{' ? '}' : ']';
        else if (!is_text && (c == '}' || c == ']'))
            open--;
    }
    while (open != 0 && end + 1 < 600)
        out[end++] = stack[--open];
    out[end] = '\0';
}

/* Every member of a good answer replaced by each other kind of value. */
AF_TEST(services_answer_other_kinds)
{
    static const char *const kinds[] = { "null", "true", "7", "-1", "1e999", "\"\"", "\"x\"", "[]", "{}", "[[]]", "{\"a\":[{}]}" };
    for (size_t i = 0; i < CALLS; i++) {
        struct service s;
        char body[600] = "";
        const struct service_answer answers[] = { SAYS(200, body), { 0 } };
        service_begin(&s, calls[i].service, answers);
        for (const char *at = strstr(calls[i].good, "\":"); at != NULL; at = strstr(at + 1, "\":")) {
            for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
                put_closed(body, calls[i].good, (size_t)(at - calls[i].good) + 2, kinds[k]);
                const enum af_status status = calls[i].run(&s, &s.err);
                AF_CHECK(status == AF_OK || (status == AF_ECORRUPT && strstr(s.err.message, calls[i].name) != NULL));
            }
        }
        service_end(&s);
    }
}

AF_TEST(services_answer_without_end)
{
    enum { BYTES = 40 << 20 };
    char *large = malloc(BYTES + 1);
    AF_CHECK(large != NULL);
    memset(large, ' ', BYTES);
    large[0] = '{';
    large[BYTES] = '\0';
    const struct service_answer answers[] = { SAYS(200, large), { 0 } };
    struct af_error err = { 0 };
    AF_CHECK_FAILS(call_with(1, answers, &err), AF_ELIMIT);
    AF_CHECK(strstr(err.message, "SQS ReceiveMessage") != NULL);
    char deep[2 * AF_JSON_DEPTH_MAX + 200] = "";
    for (int i = 0; i < AF_JSON_DEPTH_MAX + 20; i++)
        memcpy(deep + strlen(deep), "[", 2);
    const struct service_answer nested[] = { SAYS(200, deep), { 0 } };
    AF_CHECK_FAILS(call_with(1, nested, &err), AF_ELIMIT);
    free(large);
}

/* The connection ends before the answer does. */
AF_TEST(services_answer_half)
{
    for (size_t i = 0; i < CALLS; i++) {
        const struct service_answer answers[] = { SAYS(-200, "{\"a\":"), { 0 } };
        struct af_error err = { 0 };
        AF_CHECK_FAILS(call_with(i, answers, &err), AF_EIO);
        const struct service_answer none[] = { SAYS(-1, ""), { 0 } };
        AF_CHECK_FAILS(call_with(i, none, &err), AF_EIO);
    }
}

/* Allocation N of a call fails, for every N: an error, nothing leaked, nothing broken. */
AF_TEST(services_without_memory)
{
    for (size_t i = 0; i < CALLS; i++) {
        const struct service_answer answers[] = { SAYS(200, calls[i].good), { 0 } };
        struct service s;
        service_begin(&s, calls[i].service, answers);
        for (size_t nth = 1;; nth++) {
            (void)af_alloc_fail_nth(nth);
            const enum af_status status = calls[i].run(&s, &s.err);
            const size_t counted = af_alloc_fail_nth(0);
            if (counted < nth) {
                AF_CHECK_OK(status, s.err);
                break;
            }
            /* what there was no memory to decode counts as broken */
            AF_CHECK(status == AF_OK || status == AF_ENOMEM || status == AF_EIO || status == AF_ECORRUPT);
        }
        service_end(&s);
    }
}
