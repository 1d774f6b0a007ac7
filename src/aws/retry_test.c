/* retry_test.c - whether, when and how often again: quota, pauses, rates; clocks and credentials that several threads find wrong. */
#include "aws/aws_int.h"
#include "aws/service_fixture.h"
#include "base/alloc.h"
#include "os/clock.h"
#include "os/thread.h"

static struct af_error err;

static bool has(struct af_slice text, const char *part)
{
    return service_has(text, part);
}

static void open_client(struct service *service, const char *name, const struct service_answer *answers, uint32_t attempts)
{
    service_open(service, answers, attempts);
    AF_CHECK_OK(af_aws_client_new(service->aws, name, &service->client, &service->err), service->err);
}

static enum af_status send_with(struct service *service, const struct af_aws_request *request)
{
    struct af_aws_answer answer;
    af_aws_answer_init(&answer);
    enum af_status status = af_aws_send(service->client, request, &answer, &service->err);
    af_aws_answer_done(&answer);
    return status;
}

/* --- quota and pauses ------------------------------------------------------------------------------------------------------ */

AF_TEST(the_quota_ends_retries_and_success_gives_back)
{
    struct service service;
    open_client(&service, "kms", (const struct service_answer[]){ SAYS(200, "{}"), { 0 } }, 3);
    unsigned cost = 0, count = 0;
    while (aws_retry_take(service.aws, true, &cost))
        count++;
    AF_CHECK_INT(count, 100); /* 500 at 5 each */
    AF_CHECK_INT(cost, 5);
    aws_retry_succeeded(service.aws, 0);
    AF_CHECK(!aws_retry_take(service.aws, true, &cost)); /* 1 came back */
    aws_retry_succeeded(service.aws, 14);
    AF_CHECK(aws_retry_take(service.aws, false, &cost));
    AF_CHECK_INT(cost, 14);
    service_end(&service);
}

AF_TEST(without_quota_the_first_failure_is_the_last)
{
    struct service service;
    open_client(&service, "kms", (const struct service_answer[]){ SAYS(500, "{}"), { 0 } }, 5);
    unsigned cost;
    while (aws_retry_take(service.aws, true, &cost))
        continue;
    AF_CHECK_FAILS(send_with(&service, &(struct af_aws_request){ .target = "X" }), AF_EIO);
    AF_CHECK_INT(af_peer_requests(service.peer), 1);
    service_end(&service);
}

static void check_pauses(bool is_throttled, const uint32_t ceilings[8])
{
    uint32_t most[32] = { 0 };
    for (unsigned i = 0; i < 2000; i++)
        for (unsigned attempt = 1; attempt < 32; attempt++) {
            uint32_t ms = aws_retry_pause_ms(attempt, is_throttled, 0);
            most[attempt] = ms > most[attempt] ? ms : most[attempt];
        }
    for (unsigned attempt = 1; attempt < 8; attempt++)
        AF_CHECK(most[attempt] <= ceilings[attempt] && most[attempt] > ceilings[attempt] / 10 * 9);
    AF_CHECK(most[31] <= 20000 && most[31] > 18000);
}

AF_TEST(pauses_grow_and_end_at_twenty_seconds)
{
    check_pauses(true, (const uint32_t[]){ 0, 1000, 2000, 4000, 8000, 16000, 20000, 20000 });
    check_pauses(false, (const uint32_t[]){ 0, 50, 100, 200, 400, 800, 1600, 3200 });
    for (unsigned i = 0; i < 200; i++) {
        uint32_t most = aws_retry_pause_ms(1, false, UINT64_MAX), some = aws_retry_pause_ms(1, false, 700);
        AF_CHECK(most >= 5000 && most <= 5050); /* what the service asks for, up to five seconds more than ours */
        AF_CHECK_INT(some, 700);
    }
}

AF_TEST(a_queue_is_not_asked_at_once_where_the_quota_is_used_up)
{
    struct service service;
    open_client(&service, "sqs", (const struct service_answer[]){
        { .status = 503, .body = "{}", .headers = "x-amz-retry-after: 400\r\n" }, SAYS(200, "{}"), { 0 } }, 5);
    unsigned cost;
    while (aws_retry_take(service.aws, true, &cost))
        continue;
    int64_t begun_ns = af_clock_mono_ns();
    AF_CHECK_FAILS(send_with(&service, &(struct af_aws_request){ .target = "ReceiveMessage" }), AF_EIO);
    AF_CHECK(af_clock_mono_ns() - begun_ns >= INT64_C(400000000));
    AF_CHECK_INT(af_peer_requests(service.peer), 1);
    service_end(&service);
}

AF_TEST(a_service_says_how_long_to_wait)
{
    static const char *const ways[] = { "x-amz-retry-after: 1400\r\n", "Retry-After: 1\r\nx-amz-retry-after: 1400\r\n" };
    for (size_t i = 0; i < 2; i++) {
        struct service service;
        open_client(&service, "kms", (const struct service_answer[]){
            { .status = 503, .body = "{}", .headers = ways[i] }, SAYS(200, "{}"), { 0 } }, 2);
        int64_t begun_ns = af_clock_mono_ns();
        AF_CHECK_OK(send_with(&service, &(struct af_aws_request){ .target = "X" }), service.err);
        AF_CHECK(af_clock_mono_ns() - begun_ns >= INT64_C(1400000000));
        service_end(&service);
    }
}

AF_TEST(a_pause_heeds_cancel)
{
    struct service service;
    bool cancel = true;
    open_client(&service, "kms", (const struct service_answer[]){ SAYS(500, "{}"), { 0 } }, 5);
    AF_CHECK_FAILS(send_with(&service, &(struct af_aws_request){ .target = "X", .cancel = &cancel }), AF_ECANCELED);
    service_end(&service);
}

AF_TEST(once_means_once)
{
    struct service service;
    open_client(&service, "kms", (const struct service_answer[]){ SAYS(500, "{}"), { 0 } }, 5);
    AF_CHECK_FAILS(send_with(&service, &(struct af_aws_request){ .target = "X", .once = true }), AF_EIO);
    AF_CHECK_INT(af_peer_requests(service.peer), 1);
    service_end(&service);
}

static const struct {
    int status;
    const char *code;
    enum aws_verdict verdict;
    enum af_status end;
} judgements[] = {
    { 400, "ThrottlingException", AWS_THROTTLED, AF_EBUSY },
    { 503, "SlowDown", AWS_THROTTLED, AF_EBUSY },
    { 429, "", AWS_THROTTLED, AF_EBUSY },
    { 400, "RequestTimeout", AWS_TRANSIENT, AF_EIO },
    { 408, "ModelTimeoutException", AWS_FAILED, AF_EIO }, /* it would be paid for again */
    { 429, "ModelNotReadyException", AWS_TRANSIENT, AF_EBUSY },
    { 500, "", AWS_TRANSIENT, AF_EIO },
    { 502, "", AWS_TRANSIENT, AF_EIO },
    { 504, "", AWS_TRANSIENT, AF_EIO },
    { 501, "NotImplemented", AWS_FAILED, AF_EIO },
    { 400, "ExpiredTokenException", AWS_EXPIRED, AF_EUNAUTH },
    { 403, "RequestTimeTooSkewed", AWS_SKEWED, AF_EDENIED },
    { 403, "SignatureDoesNotMatch", AWS_SKEWED, AF_EUNAUTH },
    { 403, "AccessDenied", AWS_FAILED, AF_EDENIED },
    { 400, "AccessDeniedException", AWS_FAILED, AF_EDENIED },
    { 404, "NoSuchKey", AWS_FAILED, AF_ENOTFOUND },
    { 400, "QueueDoesNotExist", AWS_FAILED, AF_ENOTFOUND },
    { 412, "PreconditionFailed", AWS_FAILED, AF_ECONFLICT },
    { 409, "", AWS_FAILED, AF_ECONFLICT },
    { 400, "ValidationException", AWS_FAILED, AF_EINVAL },
    { 301, "PermanentRedirect", AWS_FAILED, AF_EINVAL },
};

AF_TEST(what_failures_mean)
{
    for (size_t i = 0; i < sizeof judgements / sizeof *judgements; i++) {
        if (aws_judge(judgements[i].status, judgements[i].code) != judgements[i].verdict ||
            aws_status_of(judgements[i].status, judgements[i].code) != judgements[i].end)
            af_test_failed(__FILE__, __LINE__, "%d %s: %d, %s", judgements[i].status, judgements[i].code,
                           (int)aws_judge(judgements[i].status, judgements[i].code),
                           af_status_name(aws_status_of(judgements[i].status, judgements[i].code)));
    }
    AF_CHECK_INT(aws_judge(304, ""), AWS_DONE);
}

/* --- adaptive ---------------------------------------------------------------------------------------------------------------- */

AF_TEST(adaptive_slows_down_when_a_service_throttles_and_recovers)
{
    struct service service;
    open_client(&service, "kms", (const struct service_answer[]){ SAYS(200, "{}"), { 0 } }, 3);
    for (int i = 0; i < 20; i++)
        aws_rate_heard(service.aws, true);
    AF_CHECK_INT(aws_rate_wait_ms(service.aws), 0); /* standard mode has no rate */
    service.aws->retry_mode = AF_AWS_RETRY_ADAPTIVE;
    for (int i = 0; i < 5; i++)
        aws_rate_heard(service.aws, false);
    AF_CHECK_INT(aws_rate_wait_ms(service.aws), 0); /* nor has adaptive before the first throttling */
    aws_rate_heard(service.aws, true);
    AF_CHECK(service.aws->retry.is_limited);
    uint32_t first_ms = aws_rate_wait_ms(service.aws), later_ms = aws_rate_wait_ms(service.aws);
    AF_CHECK(later_ms > first_ms && later_ms >= 1000 && later_ms <= 20000); /* half a request a second at the least */
    double cut = service.aws->retry.rate;
    service.aws->retry.measured = 100;
    service.aws->retry.throttled_at_ns -= INT64_C(10000000000);
    aws_rate_heard(service.aws, false);
    AF_CHECK(service.aws->retry.rate > cut);
    service_end(&service);
}

/* --- clocks -------------------------------------------------------------------------------------------------------------------- */

static bool say_2041(void *ctx, struct af_slice request, struct af_buf *out)
{
    (void)ctx;
    bool is_right = has(request, "20410301T");
    const char *body = is_right ? "{}" : "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired\"}";
    af_buf_printf(out, "HTTP/1.1 %d Said\r\nConnection: close\r\nDate: Fri, 01 Mar 2041 10:00:00 GMT\r\nContent-Length: %zu\r\n\r\n%s",
                  is_right ? 200 : 403, strlen(body), body);
    return false;
}

struct caller {
    struct service *service;
    enum af_status status;
    struct af_error err;
};

static void call(void *ctx)
{
    struct caller *caller = ctx;
    struct af_aws_client *client;
    struct af_aws_answer answer;
    caller->status = af_aws_client_new(caller->service->aws, "kms", &client, &caller->err);
    if (caller->status != AF_OK)
        return;
    af_aws_answer_init(&answer);
    caller->status = af_aws_send(client, &(struct af_aws_request){ .target = "X", .body = AF_SLICE_LIT("{}") }, &answer, &caller->err);
    af_aws_answer_done(&answer);
    af_aws_client_free(client);
}

static void call_at_once(struct service *service, af_peer_answer say)
{
    enum { CALLERS = 6 };
    struct caller callers[CALLERS];
    struct af_thread threads[CALLERS];
    *service = (struct service){ .at = 0 };
    service->peer = af_peer_start_with(say, service);
    const struct af_aws_options options = { .max_attempts = 1, .variable = service_variable, .ctx = service };
    AF_CHECK_OK(af_aws_open(&options, &service->aws, &err), err);
    af_arena_init(&service->arena, 1 << 20);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){ .service = service };
        AF_CHECK_OK(af_thread_start(&threads[i], "caller", call, &callers[i], &err), err);
    }
    for (int i = 0; i < CALLERS; i++) {
        af_thread_join(&threads[i]);
        AF_CHECK_OK(callers[i].status, callers[i].err);
    }
}

AF_TEST(requests_signed_before_the_clock_was_corrected_are_signed_again)
{
    struct service service;
    call_at_once(&service, say_2041);
    service_end(&service);
}

AF_TEST(a_refused_head_has_no_words_but_a_date)
{
    struct service service;
    open_client(&service, "s3", (const struct service_answer[]){
        { .status = 403, .body = "", .headers = "Date: Fri, 01 Mar 2041 10:00:00 GMT\r\n" }, SAYS(200, ""), { 0 } }, 2);
    AF_CHECK_OK(send_with(&service, &(struct af_aws_request){ .method = "HEAD", .path = AF_SLICE_LIT("/b/k") }), service.err);
    AF_CHECK(has(service_request(&service, 1), "20410301T"));
    service_end(&service);
    open_client(&service, "s3", (const struct service_answer[]){ SAYS(403, ""), SAYS(200, ""), { 0 } }, 2);
    AF_CHECK_FAILS(send_with(&service, &(struct af_aws_request){ .method = "HEAD", .path = AF_SLICE_LIT("/b/k") }), AF_EDENIED);
    service_end(&service);
}

/* --- credentials that end while at work -------------------------------------------------------------------------------------- */

/* The same peer is a container's endpoint, which gives a fresh key each time, and a service that takes none but the second. */
static bool say_expired(void *ctx, struct af_slice request, struct af_buf *out)
{
    struct service *service = ctx;
    char body[256];
    int status = 200;
    if (has(request, "GET /creds")) {
        (void)snprintf(body, sizeof body, "{\"AccessKeyId\":\"AK%zu\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":"
                       "\"2200-01-01T00:00:00Z\"}", ++service->at);
    } else {
        status = has(request, "Credential=AK1/") ? 400 : 200;
        (void)snprintf(body, sizeof body, "%s", status == 200 ? "{}" : "{\"__type\":\"ExpiredTokenException\",\"message\":\"old\"}");
    }
    af_buf_printf(out, "HTTP/1.1 %d Said\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
    return false;
}

static const char *container_variable(void *ctx, const char *name)
{
    static char url[128];
    struct service *service = ctx;
    if (strcmp(name, "AWS_CONTAINER_CREDENTIALS_FULL_URI") == 0) {
        (void)snprintf(url, sizeof url, "%s/creds", af_peer_url(service->peer));
        return url;
    }
    return strncmp(name, "AWS_ACCESS", 10) == 0 || strncmp(name, "AWS_SECRET", 10) == 0 ? NULL : service_variable(ctx, name);
}

AF_TEST(credentials_that_expire_at_work_are_fetched_once_for_all)
{
    enum { CALLERS = 6 };
    struct service service = { .at = 0 };
    struct caller callers[CALLERS];
    struct af_thread threads[CALLERS];
    service.peer = af_peer_start_with(say_expired, &service);
    const struct af_aws_options options = { .max_attempts = 1, .variable = container_variable, .ctx = &service };
    AF_CHECK_OK(af_aws_open(&options, &service.aws, &err), err);
    af_arena_init(&service.arena, 1 << 20);
    struct af_aws_credentials first;
    AF_CHECK_OK(af_aws_credentials_get(service.aws, &first, &err), err); /* all begin with the same */
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){ .service = &service };
        AF_CHECK_OK(af_thread_start(&threads[i], "caller", call, &callers[i], &err), err);
    }
    for (int i = 0; i < CALLERS; i++) {
        af_thread_join(&threads[i]);
        AF_CHECK_OK(callers[i].status, callers[i].err);
    }
    AF_CHECK_INT(service.at, 2); /* fetches */
    service_end(&service);
}

/* --- words --------------------------------------------------------------------------------------------------------------------- */

AF_TEST(a_service_that_repeats_what_was_signed_is_cut_short)
{
    struct service service;
    open_client(&service, "kms", (const struct service_answer[]){
        SAYS(403, "{\"__type\":\"InvalidSignatureException\",\"message\":\"The request signature does not match.\\n\\nThe Canonical String "
                  "for this request should have been\\n'POST\\n/\\n\\nx-amz-security-token:hunter2\\n'\"}"), { 0 } }, 1);
    AF_CHECK_FAILS(send_with(&service, &(struct af_aws_request){ .target = "X" }), AF_EUNAUTH);
    AF_CHECK(strstr(service.err.message, "does not match") != NULL && strstr(service.err.message, "hunter2") == NULL);
    service_end(&service);
}

AF_TEST(codes_are_found_wherever_services_put_them)
{
    static const struct service_answer answers[] = {
        SAYS(400, "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"m\"}"),
        SAYS(400, "{\"code\":\"QueueDoesNotExist\",\"Message\":\"m\"}"),
        { .status = 400, .body = "{\"message\":\"m\"}", .headers = "x-amzn-ErrorType: QueueDoesNotExist:http://internal.amazon.com/\r\n" },
        SAYS(400, "<ErrorResponse><Error><Code>QueueDoesNotExist</Code><Message>m</Message></Error></ErrorResponse>"),
        SAYS(400, "<?xml version=\"1.0\"?>\n<Error><Code>QueueDoesNotExist</Code><Message>m</Message></Error>"),
        SAYS(400, "<Response><Errors><Error><Code>QueueDoesNotExist</Code><Message>m</Message></Error></Errors></Response>"), { 0 } };
    struct service service;
    open_client(&service, "sqs", answers, 1);
    for (int i = 0; i < 6; i++) {
        AF_CHECK_FAILS(send_with(&service, &(struct af_aws_request){ .target = "X" }), AF_ENOTFOUND);
        AF_CHECK_STR(af_aws_last_code(service.client), "QueueDoesNotExist");
        AF_CHECK(strstr(service.err.message, "sqs X: QueueDoesNotExist: m") != NULL);
    }
    service_end(&service);
}

AF_TEST(failures_that_are_not_what_they_should_be_are_told_by_their_status)
{
    static const char *const bodies[] = { "", "{", "<", "<a>", "[]", "{\"__type\":1}", "{\"__type\":{},\"message\":[]}",
                                          "<html>Bad gateway</html>",
                                          "{\"__type\":\"#\"}", "\xff\xfe", "{\"__type\":\"a b\\u0001c\"}" };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct service service;
        open_client(&service, "kms", (const struct service_answer[]){ { .status = 418, .body = bodies[i] }, { 0 } }, 1);
        AF_CHECK_FAILS(send_with(&service, &(struct af_aws_request){ .target = "X" }), AF_EINVAL);
        AF_CHECK(strstr(service.err.message, "HTTP 418") != NULL);
        for (const char *c = service.err.message; *c != '\0'; c++)
            AF_CHECK((unsigned char)*c >= ' ');
        service_end(&service);
    }
}

AF_TEST(a_region_that_an_answer_names_is_no_way_to_another_host)
{
    struct service service;
    open_client(&service, "s3", (const struct service_answer[]){ SAYS(200, ""), { 0 } }, 1);
    static const char *const bad[] = { "evil.example/", "a.b", "", "eu-west-1#", "-x", "EU-WEST-1", "eu\r\nwest" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        AF_CHECK_FAILS(af_aws_client_point(service.client, NULL, bad[i], &service.err), AF_EINVAL);
    AF_CHECK_OK(af_aws_client_point(service.client, NULL, "eu-central-2", &service.err), service.err);
    service_end(&service);
}

/* --- memory -------------------------------------------------------------------------------------------------------------------- */

AF_TEST(every_allocation_of_a_request_may_fail)
{
    struct service service;
    open_client(&service, "kms", (const struct service_answer[]){ SAYS(200, "{\"a\":[1,2]}"), { 0 } }, 1);
    for (size_t n = 1;; n++) {
        struct af_arena arena;
        const struct af_json *answer = NULL;
        af_arena_init(&arena, 1 << 20);
        (void)af_alloc_fail_nth(n);
        enum af_status status = af_aws_json(service.client, "X", AF_SLICE_LIT("{}"), &arena, &answer, &service.err);
        size_t counted = af_alloc_fail_nth(0);
        af_arena_done(&arena);
        if (counted < n) {
            AF_CHECK_OK(status, service.err);
            AF_CHECK(n > 10);
            break;
        }
        if (status != AF_OK) /* a header of the answer may be lost without harm */
            AF_CHECK_INT(status, AF_ENOMEM);
    }
    service_end(&service);
}

AF_TEST(every_allocation_of_opening_may_fail)
{
    struct service service = { .at = 0 };
    service.peer = af_peer_start_with(service_says, &service);
    const struct af_aws_options options = { .variable = service_variable, .ctx = &service, .user_agent = "tests/1", .region = "eu-west-1" };
    for (size_t n = 1;; n++) {
        struct af_aws *aws = NULL;
        struct af_aws_client *client = NULL;
        (void)af_alloc_fail_nth(n);
        enum af_status status = af_aws_open(&options, &aws, &err);
        if (status == AF_OK)
            status = af_aws_client_new(aws, "sqs", &client, &err);
        size_t counted = af_alloc_fail_nth(0);
        af_aws_client_free(client);
        af_aws_close(aws);
        if (counted < n) {
            AF_CHECK_OK(status, err);
            AF_CHECK(n > 5);
            break;
        }
        AF_CHECK_INT(status, AF_ENOMEM);
    }
    af_peer_stop(service.peer);
}
