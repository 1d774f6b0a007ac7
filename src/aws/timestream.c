/*
 * timestream.c - LiveAnalytics: the upper half of timestream.h.
 *
 * The region's own host knows DescribeEndpoints alone; everything else goes to a cell that it names, for as long as it says (a day, as a
 * rule). A cell that answers 421 or InvalidEndpointException is not ours any more: one question, one more try, then the failure is told.
 * A question that fails while an old answer is there lets that one go on for a minute, as the SDKs do.
 *
 *     call --> fresh? --no--> DescribeEndpoints (region's host) --> point the client there
 *       |                                                              |
 *       +--------------------------- the operation <------------------+
 *                                       | 421
 *                                       +----> DescribeEndpoints, and once more
 */
#include "aws/timestream.h"
#include "aws/aws_int.h"
#include "aws/call.h"
#include "aws/timestream_int.h"
#include "os/clock.h"
#include <stdio.h>

enum { ADDRESS_BYTES_MAX = 1024, MINUTES_MAX = 7 * 24 * 60, AGAIN_MINUTES = 1 };
static const int64_t NS_PER_MINUTE = INT64_C(60) * 1000000000;
static const char service[] = "Timestream", discovery[] = "DescribeEndpoints";

/* A host, host:port, or a URL as emulators answer; nothing that could carry more than a place. */
static bool is_address(struct af_slice text)
{
    static const char others[] = "-.:/[]";
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        const bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!is_alnum && strchr(others, c) == NULL)
            return false;
    }
    return text.len != 0 && text.len <= ADDRESS_BYTES_MAX && text.ptr[0] != '/';
}

static enum af_status take_endpoint(const struct aws_call *call, struct af_error *err)
{
    const struct af_json *endpoint;
    struct af_slice address;
    int64_t minutes = 0;
    char url[ADDRESS_BYTES_MAX + 16];
    AF_TRY(aws_take_list(call, call->answer, "Endpoints", &endpoint, err));
    if (endpoint == NULL)
        return aws_bad_answer(call, err, "has no \"Endpoints\"");
    AF_TRY(aws_need_text(call, endpoint, "Address", &address, err));
    if (!is_address(address))
        return aws_bad_answer(call, err, "has an \"Address\" that is no host: \"%.*s\"", (int)(address.len < 100 ? address.len : 100),
                              address.ptr);
    if (!af_json_i64(af_json_get(endpoint, "CachePeriodInMinutes"), &minutes) || minutes < 1)
        return aws_bad_answer(call, err, "has no \"CachePeriodInMinutes\" of at least one");
    (void)snprintf(url, sizeof url, "%s%.*s", af_slice_has_prefix(address, "http") ? "" : "https://", (int)address.len, address.ptr);
    AF_TRY(af_aws_client_point(call->client, url, NULL, err));
    *aws_client_until(call->client) = af_clock_mono_ns() + (minutes < MINUTES_MAX ? minutes : MINUTES_MAX) * NS_PER_MINUTE;
    return AF_OK;
}

/* Discovery says which version it speaks, as the SDKs do. */
static void begin(struct aws_call *call, struct af_aws_client *client, const char *operation)
{
    static const struct af_aws_pair version = { { "x-amz-api-version", 17 }, { "2018-11-01", 10 } };
    aws_call_begin(call, client, service, operation);
    call->headers = &version;
    call->header_count = strcmp(operation, discovery) == 0;
}

/* With the region's own host again. */
static enum af_status ask(struct af_aws_client *client, struct af_error *err)
{
    struct aws_call call;
    AF_TRY(af_aws_client_point(client, NULL, NULL, err));
    begin(&call, client, discovery);
    enum af_status status = aws_call_send(&call, err);
    if (status == AF_OK)
        status = take_endpoint(&call, err);
    aws_call_end(&call);
    return status;
}

/* Where the client points now, so that it can be pointed there again. */
static enum af_status keep_place(const struct af_aws_client *client, char *out, size_t cap, struct af_error *err)
{
    const char *url = af_aws_client_url(client);
    if (strlen(url) >= cap)
        return af_fail(err, AF_ELIMIT, "an endpoint of more than %zu bytes", cap - 1);
    (void)snprintf(out, cap, "%s", url);
    return AF_OK;
}

static enum af_status discover(struct af_aws_client *client, bool is_refused, struct af_error *err)
{
    char before[ADDRESS_BYTES_MAX + 32];
    const bool has_old = *aws_client_until(client) != 0 && !is_refused;
    if (has_old && af_clock_mono_ns() < *aws_client_until(client))
        return AF_OK;
    AF_TRY(keep_place(client, before, sizeof before, err));
    enum af_status status = ask(client, err);
    if (status == AF_OK || !has_old || !af_status_is_retryable(status))
        return status;
    *aws_client_until(client) = af_clock_mono_ns() + AGAIN_MINUTES * NS_PER_MINUTE;
    return af_aws_client_point(client, before, NULL, err);
}

enum af_status af_timestream_discover(struct af_aws_client *client, struct af_error *err)
{
    return aws_client_is_configured(client) ? AF_OK : discover(client, false, err);
}

static enum af_status call_once(struct af_aws_client *client, const char *operation, struct af_slice body, struct af_arena *arena,
                                const struct af_json **out, bool *out_elsewhere, struct af_error *err)
{
    struct aws_call call;
    struct af_json *kept = NULL;
    begin(&call, client, operation);
    enum af_status status = aws_call_send_body(&call, body.len != 0 ? body : AF_SLICE_LIT("{}"), err);
    *out_elsewhere = status != AF_OK && (call.http_status == 421 || strcmp(call.code, "InvalidEndpointException") == 0);
    if (status == AF_OK) {
        const struct af_slice text = af_slice_trim(af_buf_slice(&call.text));
        status = af_json_parse(text.len != 0 ? text : AF_SLICE_LIT("{}"), arena, &kept, err);
    }
    if (status == AF_OK)
        *out = kept;
    aws_call_end(&call);
    return status;
}

enum af_status timestream_call(struct af_aws_client *client, const char *operation, struct af_slice body, bool finds_place,
                               struct af_arena *arena, const struct af_json **out, struct af_error *err)
{
    bool is_elsewhere = false;
    if (finds_place)
        AF_TRY(discover(client, false, err));
    const enum af_status status = call_once(client, operation, body, arena, out, &is_elsewhere, err);
    if (!is_elsewhere || !finds_place)
        return status;
    AF_TRY(discover(client, true, err));
    return call_once(client, operation, body, arena, out, &is_elsewhere, err);
}

enum af_status af_timestream_call(struct af_aws_client *client, const char *operation, struct af_slice body, struct af_arena *arena,
                                  const struct af_json **out, struct af_error *err)
{
    return timestream_call(client, operation, body, !aws_client_is_configured(client), arena, out, err);
}
