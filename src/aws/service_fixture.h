/*
 * service_fixture.h - a service for tests: answers JSON in the order the test wrote it down, and keeps what it was asked.
 *
 *     struct service service;
 *     service_begin(&service, "sqs", (const struct service_answer[]){ SAYS(200, "{}"), { 0 } });
 *     ... service.client ...
 *     service_asked(&service, 0)      body of the first request
 *     service_end(&service);
 *
 * The last answer is given again to whoever asks more.
 */
#ifndef AF_AWS_SERVICE_FIXTURE_H
#define AF_AWS_SERVICE_FIXTURE_H
#include "aws/aws.h"
#include "test/lib/http_peer.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>

struct service_answer {
    int status;          /* 0: the end of the list; -1: the connection is closed unanswered; -200: 200, and closed before all of it came */
    const char *body;
    const char *headers; /* more of them, "Name: value\r\n"; NULL: none */
    const char *when;    /* only for a request that has this in it; NULL: for any */
};
#define SAYS(code, text) { .status = (code), .body = (text) }
#define WHEN(asked, code, text) { .status = (code), .body = (text), .when = (asked) }

struct service {
    const struct service_answer *answers;
    size_t at;
    struct af_peer *peer;
    struct af_aws *aws;
    struct af_aws_client *client;
    struct af_arena arena;
    struct af_error err;
};

static inline bool service_has(struct af_slice text, const char *part)
{
    const size_t len = strlen(part);
    for (size_t i = 0; i + len <= text.len; i++)
        if (memcmp(text.ptr + i, part, len) == 0)
            return true;
    return false;
}

static inline bool service_says(void *ctx, struct af_slice request, struct af_buf *out)
{
    struct service *service = ctx;
    const struct service_answer *answer = &service->answers[service->at];
    if (answer[1].status != 0)
        service->at++;
    if (answer->when != NULL)
        AF_CHECK(service_has(request, answer->when));
    if (answer->status == -1)
        return false;
    const bool is_cut = answer->status < 0;
    af_buf_printf(out, "HTTP/1.1 %d Said\r\nContent-Type: application/x-amz-json-1.0\r\nx-amzn-RequestId: r-%zu\r\nContent-Length: %zu\r"
                       "\n%s\r\n",
                  abs(answer->status), service->at, strlen(answer->body) + (is_cut ? 100 : 0),
                      answer->headers != NULL ? answer->headers : "");
    af_buf_append_str(out, answer->body);
    return !is_cut;
}

/* As a client of AWS finds it: nothing of the machine that the tests run on. */
static inline const char *service_variable(void *ctx, const char *name)
{
    struct service *service = ctx;
    static const char *const fixed[][2] = { { "AWS_ACCESS_KEY_ID", "AKIDEXAMPLE" }, { "AWS_SECRET_ACCESS_KEY", "secret/key" },
                                            { "AWS_REGION", "eu-west-1" }, { "AWS_CONFIG_FILE", "/nonexistent" },
                                            { "AWS_SHARED_CREDENTIALS_FILE", "/nonexistent" }, { "AWS_EC2_METADATA_DISABLED", "true" } };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strcmp(fixed[i][0], name) == 0)
            return fixed[i][1];
    return strcmp(name, "AWS_ENDPOINT_URL") == 0 ? af_peer_url(service->peer) : NULL;
}

static inline void service_open(struct service *service, const struct service_answer *answers, uint32_t attempts)
{
    *service = (struct service){ .answers = answers };
    service->peer = af_peer_start_with(service_says, service);
    const struct af_aws_options options = { .max_attempts = attempts, .variable = service_variable, .ctx = service };
    AF_CHECK_OK(af_aws_open(&options, &service->aws, &service->err), service->err);
    af_arena_init(&service->arena, 64 << 20);
}

static inline void service_begin(struct service *service, const char *name, const struct service_answer *answers)
{
    service_open(service, answers, 1);
    AF_CHECK_OK(af_aws_client_new(service->aws, name, &service->client, &service->err), service->err);
}

static inline void service_end(struct service *service)
{
    af_aws_client_free(service->client);
    af_aws_close(service->aws);
    af_arena_done(&service->arena);
    af_peer_stop(service->peer);
}

static inline struct af_slice service_request(struct service *service, size_t i)
{
    AF_CHECK(i < af_peer_requests(service->peer));
    return af_peer_request(service->peer, i);
}

/* The body of a request. */
static inline struct af_slice service_asked(struct service *service, size_t i)
{
    struct af_slice request = service_request(service, i);
    for (size_t at = 0; at + 4 <= request.len; at++)
        if (memcmp(request.ptr + at, "\r\n\r\n", 4) == 0)
            return (struct af_slice){ request.ptr + at + 4, request.len - at - 4 };
    return (struct af_slice){ 0 };
}
#endif
