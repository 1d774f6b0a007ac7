/* client_test.c - attempts against a service that throttles, fails, lies about the time and forgets credentials. */
#include "aws/service_fixture.h"
#include "aws/sts.h"
#include "base/calendar.h"
#include "os/clock.h"

static void begin(struct service *service, const char *name, const struct service_answer *answers, uint32_t attempts)
{
    service_open(service, answers, attempts);
    AF_CHECK_OK(af_aws_client_new(service->aws, name, &service->client, &service->err), service->err);
}

static enum af_status call(struct service *service)
{
    const struct af_json *answer;
    return af_aws_json(service->client, "Describe", AF_SLICE_LIT("{}"), &service->arena, &answer, &service->err);
}

AF_TEST(throttling_and_passing_faults_are_tried_again)
{
    struct service service;
    begin(&service, "timestream-influxdb", (const struct service_answer[]){
        SAYS(400, "{\"__type\":\"com.amazonaws.x#ThrottlingException\",\"message\":\"slowly\"}"), SAYS(500, "{}"), SAYS(200, "{\"a\":1}"),
            { 0 } }, 4);
    AF_CHECK_OK(call(&service), service.err);
    AF_CHECK_INT(af_peer_requests(service.peer), 3);
    service_end(&service);
}

AF_TEST(a_redirect_is_refused_and_takes_no_signature_along)
{
    struct service service;
    char where[128];
    struct af_peer *other = af_peer_start(&(struct af_peer_step){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" }, 1);
    (void)snprintf(where, sizeof where, "Location: %s/\r\n", af_peer_url(other));
    begin(&service, "kms", (const struct service_answer[]){ { .status = 307, .body = "{}", .headers = where }, { 0 } }, 3);
    AF_CHECK_FAILS(call(&service), AF_EINVAL);
    AF_CHECK(strstr(service.err.message, "kms Describe") != NULL && strstr(service.err.message, "HTTP 307") != NULL);
    AF_CHECK_INT(af_peer_requests(service.peer), 1);
    AF_CHECK_INT(af_peer_connections(other), 0);
    service_end(&service);
    af_peer_stop(other);
}

AF_TEST(a_network_that_fails_is_told_with_the_operation)
{
    struct service service;
    begin(&service, "sns", (const struct service_answer[]){ { .status = -1, .body = "" }, { 0 } }, 1);
    const struct af_xml *answer;
    AF_CHECK_FAILS(af_aws_query(service.client, "Publish", NULL, 0, &service.arena, &answer, &service.err), AF_EIO);
    AF_CHECK(strstr(service.err.message, "sns Publish: http://127.0.0.1:") == service.err.message);
    service_end(&service);
}

AF_TEST(what_is_wrong_is_not_tried_again_and_says_what_the_service_said)
{
    struct service service;
    begin(&service, "timestream-influxdb", (const struct service_answer[]){
        SAYS(400, "{\"__type\":\"ValidationException\",\"message\":\"name is too long\"}"), { 0 } }, 4);
    AF_CHECK_FAILS(call(&service), AF_EINVAL);
    AF_CHECK_OK(call(&service) == AF_EINVAL ? AF_OK : AF_EBUG, service.err);
    AF_CHECK(strstr(service.err.message, "ValidationException: name is too long") != NULL);
    AF_CHECK(strstr(service.err.message, "timestream-influxdb Describe") != NULL);
    AF_CHECK_STR(af_aws_last_code(service.client), "ValidationException");
    AF_CHECK_INT(af_peer_requests(service.peer), 2);
    service_end(&service);
}

AF_TEST(throttled_to_the_end_is_busy)
{
    struct service service;
    begin(&service, "kms", (const struct service_answer[]){ SAYS(400, "{\"__type\":\"ThrottlingException\"}"), { 0 } }, 3);
    AF_CHECK_FAILS(call(&service), AF_EBUSY);
    AF_CHECK_INT(af_peer_requests(service.peer), 3);
    service_end(&service);
}

AF_TEST(an_unanswered_request_is_sent_again)
{
    struct service service;
    begin(&service, "kms", (const struct service_answer[]){ { .status = -1, .body = "" }, SAYS(200, "{}"), { 0 } }, 3);
    AF_CHECK_OK(call(&service), service.err);
    service_end(&service);
}

static bool has(struct af_slice text, const char *part)
{
    return service_has(text, part);
}

AF_TEST(a_skewed_clock_is_corrected_once_for_all_clients)
{
    struct service service;
    begin(&service, "kms", (const struct service_answer[]){
        { .status = 400, .body = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired\"}",
          .headers = "Date: Fri, 01 Mar 2041 10:00:00 GMT\r\n" },
        SAYS(200, "{}"), { 0 } }, 3);
    AF_CHECK_OK(call(&service), service.err);
    AF_CHECK(!has(service_request(&service, 0), "20410301T"));
    AF_CHECK(has(service_request(&service, 1), "20410301T"));
    AF_CHECK_OK(call(&service), service.err);
    AF_CHECK(has(service_request(&service, 2), "20410301T"));
    service_end(&service);
}

AF_TEST(a_wrong_secret_is_no_skew)
{
    struct service service;
    begin(&service, "kms", (const struct service_answer[]){
        SAYS(403, "{\"__type\":\"InvalidSignatureException\",\"message\":\"does not match\"}"), { 0 } }, 3);
    AF_CHECK_FAILS(call(&service), AF_EUNAUTH);
    AF_CHECK_INT(af_peer_requests(service.peer), 1);
    service_end(&service);
}

AF_TEST(expired_credentials_are_fetched_anew_once)
{
    struct service service;
    begin(&service, "kms", (const struct service_answer[]){ SAYS(400, "{\"__type\":\"ExpiredTokenException\"}"), { 0 } }, 3);
    AF_CHECK_FAILS(call(&service), AF_EUNAUTH);
    AF_CHECK_INT(af_peer_requests(service.peer), 2);
    service_end(&service);
}

AF_TEST(requests_are_signed_and_name_their_operation)
{
    struct service service;
    begin(&service, "secretsmanager", (const struct service_answer[]){ SAYS(200, "{}"), { 0 } }, 1);
    AF_CHECK_OK(call(&service), service.err);
    struct af_slice request = service_request(&service, 0);
    AF_CHECK(has(request, "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
    AF_CHECK(has(request, "/eu-west-1/secretsmanager/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="));
    AF_CHECK(has(request, "X-Amz-Target: secretsmanager.Describe\r\n"));
    AF_CHECK(has(request, "Content-Type: application/x-amz-json-1.1\r\n"));
    AF_CHECK(!has(request, "secret/key"));
    service_end(&service);
}

AF_TEST(answers_that_are_no_answers_are_refused_by_name)
{
    static const char *const bodies[] = { "<html>hello</html>", "[1]", "{\"a\":", "\"text\"" };
    for (size_t i = 0; i < 4; i++) {
        struct service service;
        begin(&service, "kms", (const struct service_answer[]){ { .status = 200, .body = bodies[i] }, { 0 } }, 1);
        AF_CHECK_FAILS(call(&service), AF_ECORRUPT);
        AF_CHECK(call(&service) == AF_ECORRUPT && strstr(service.err.message, "kms Describe") != NULL);
        service_end(&service);
    }
}

static const char identity[] = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>"
    "<Arn>arn:aws:iam::1:user/x</Arn><UserId>AIDA</UserId><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

AF_TEST(sts_says_who_one_is)
{
    struct service service;
    struct af_sts_identity who;
    begin(&service, "sts", (const struct service_answer[]){ { .status = 200, .body = identity }, { 0 } }, 1);
    AF_CHECK_OK(af_sts_identity(service.client, &who, &service.err), service.err);
    AF_CHECK_STR(who.arn, "arn:aws:iam::1:user/x");
    AF_CHECK_SLICE(service_asked(&service, 0), "Action=GetCallerIdentity&Version=2011-06-15");
    service_end(&service);
}

static const char refusal[] = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error>"
    "<RequestId>r-1</RequestId></ErrorResponse>";

AF_TEST(refusals_in_xml_are_read)
{
    struct service service;
    struct af_sts_identity who;
    begin(&service, "sts", (const struct service_answer[]){ { .status = 403, .body = refusal }, { 0 } }, 3);
    AF_CHECK_FAILS(af_sts_identity(service.client, &who, &service.err), AF_EDENIED);
    AF_CHECK(af_sts_identity(service.client, &who, &service.err) != AF_OK && strstr(service.err.message, "AccessDenied: not you") != NULL);
    service_end(&service);
}

AF_TEST(a_deadline_ends_the_attempts)
{
    struct service service;
    struct af_aws_answer answer;
    begin(&service, "kms", (const struct service_answer[]){ SAYS(500, "{}"), { 0 } }, 50);
    const struct af_aws_request request = { .target = "X", .body = AF_SLICE_LIT("{}"), .deadline_mono_ns = af_clock_mono_ns() + 300000000 };
    af_aws_answer_init(&answer);
    const int64_t begun_ns = af_clock_mono_ns();
    AF_CHECK_FAILS(af_aws_send(service.client, &request, &answer, &service.err), AF_EIO);
    AF_CHECK(af_clock_mono_ns() - begun_ns < INT64_C(5000000000));
    af_aws_answer_done(&answer);
    service_end(&service);
}
