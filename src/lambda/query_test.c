/* query_test.c - requests inside of events as AWS's documentation shows them, and the answers that become HTTP. */
#include "lambda/lambda_int.h"
#include "test/lib/test.h"

static struct af_arena arena;
static struct lambda_request request;
static struct af_error err;

static enum af_status read_event(const char *event, const char *base_path)
{
    af_arena_done(&arena);
    af_arena_init(&arena, 64 << 20);
    return lambda_request_read(af_slice_of(event), base_path, &arena, &request, &err);
}

#define REST(path, more) "{\"resource\":\"/{proxy+}\",\"path\":\"" path "\",\"httpMethod\":\"POST\"," \
    "\"headers\":{\"CONTENT-type\":\"a/b\"},\"multiValueHeaders\":{\"X-Many\":[\"one\",\"two\"]}," \
    "\"queryStringParameters\":null,\"requestContext\":{\"stage\":\"prod\"," \
    "\"path\":\"/prod" path "\",\"httpMethod\":\"POST\",\"requestId\":\"r\"}," more "}"
#define HTTP(stage, path, more) "{\"version\":\"2.0\",\"routeKey\":\"$default\",\"rawPath\":\"" path "\",\"rawQueryString\":\"\"," \
    "\"headers\":{\"content-encoding\":\"gzip\"},\"requestContext\":{\"stage\":\"" stage "\",\"http\":{\"method\":\"POST\"," \
    "\"path\":\"" path "\"}}," more "}"

AF_TEST(gateway_rest_requests)
{
    AF_CHECK_OK(read_event(REST("/query/flux", "\"body\":\"{}\",\"isBase64Encoded\":false"), NULL), err);
    AF_CHECK_SLICE(request.method, "POST");
    AF_CHECK_SLICE(request.path, "/query/flux");
    AF_CHECK_SLICE(request.body, "{}");
    AF_CHECK(!request.is_balancer && !request.is_multi && !request.is_broken);
    AF_CHECK_SLICE(lambda_request_header(&request, "Content-Type"), "a/b");
    AF_CHECK_SLICE(lambda_request_header(&request, "x-many"), "one");
    AF_CHECK(lambda_request_header(&request, "absent").ptr == NULL);
    AF_CHECK_OK(read_event(REST("/health", "\"body\":null,\"isBase64Encoded\":false"), NULL), err);
    AF_CHECK_INT(request.body.len, 0);
    af_arena_done(&arena);
}

AF_TEST(gateway_http_requests_begin_with_their_stage)
{
    AF_CHECK_OK(read_event(HTTP("$default", "/query/influxql", "\"isBase64Encoded\":false"), NULL), err);
    AF_CHECK_SLICE(request.path, "/query/influxql");
    AF_CHECK_SLICE(lambda_request_header(&request, "Content-Encoding"), "gzip");
    AF_CHECK_OK(read_event(HTTP("dev", "/dev/query/influxql", "\"isBase64Encoded\":false"), NULL), err);
    AF_CHECK_SLICE(request.path, "/query/influxql");
    AF_CHECK_OK(read_event(HTTP("dev", "/device", "\"isBase64Encoded\":false"), NULL), err);
    AF_CHECK_SLICE(request.path, "/device");
    AF_CHECK_OK(read_event(HTTP("dev", "/dev", "\"isBase64Encoded\":false"), NULL), err);
    AF_CHECK_SLICE(request.path, "/");
    AF_CHECK_OK(read_event(HTTP("dev", "/dev/v1/energy/health", "\"isBase64Encoded\":false"), "v1/energy/"), err);
    AF_CHECK_SLICE(request.path, "/health");
    AF_CHECK_OK(read_event(REST("/query/flux", "\"body\":\"\""), "/query"), err); /* said so: that is the base then */
    AF_CHECK_SLICE(request.path, "/flux");
    af_arena_done(&arena);
}

AF_TEST(gateway_bodies_are_decoded)
{
    AF_CHECK_OK(read_event(REST("/query/flux", "\"body\":\"eyJxdWVyeSI6IsOhIn0=\",\"isBase64Encoded\":true"), NULL), err);
    AF_CHECK_SLICE(request.body, "{\"query\":\"\xC3\xA1\"}");
    AF_CHECK_OK(read_event(REST("/query/flux", "\"body\":\"not base64!\",\"isBase64Encoded\":true"), NULL), err);
    AF_CHECK(request.is_broken);
    AF_CHECK_OK(read_event(REST("/query/flux", "\"body\":7,\"isBase64Encoded\":\"true\""), NULL), err);
    AF_CHECK(request.body.len == 0 && !request.is_broken);
    af_arena_done(&arena);
}

AF_TEST(gateway_other_events_are_refused)
{
    static const char *const events[] = { "", "[", "[]", "null", "{}", "{\"Records\":[]}", "{\"httpMethod\":\"GET\"}", "{\"path\":\"/\"}",
                                          "{\"httpMethod\":1,\"path\":[]}", "{\"requestContext\":{\"http\":{}}}",
                                          "{\"requestContext\":{\"http\":{\"method\":\"GET\"}},\"path\":\"/\"}" };
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        AF_CHECK_FAILS(read_event(events[i], NULL), AF_EINVAL);
        AF_CHECK(strstr(err.message, "API Gateway") != NULL);
    }
    af_arena_done(&arena);
}

static const char *answered(int status, const char *origin, const char *body)
{
    static struct af_buf out;
    af_buf_done(&out);
    af_buf_init(&out, 1 << 20);
    lambda_request_answer(&request, status, origin, af_slice_of(body), &out);
    return af_buf_cstr(&out);
}

AF_TEST(gateway_answers)
{
    AF_CHECK_OK(read_event(REST("/query/flux", "\"body\":\"{}\""), NULL), err);
    AF_CHECK_STR(answered(200, "*", "{\"a\":\"\\\"\"}"),
                 "{\"statusCode\":200,\"headers\":{\"Content-Type\":\"application/json\",\"Cache-Control\":\"no-store\","
                 "\"Access-Control-Allow-Origin\":\"*\","
                 "\"Access-Control-Allow-Headers\":\"Content-Type,X-Amz-Date,Authorization,X-Api-Key,X-Amz-Security-Token\","
                 "\"Access-Control-Allow-Methods\":\"POST,GET,OPTIONS\"},\"isBase64Encoded\":false,"
                 "\"body\":\"{\\\"a\\\":\\\"\\\\\\\"\\\"}\"}");
    AF_CHECK_STR(answered(503, NULL, ""),
                 "{\"statusCode\":503,\"headers\":{\"Content-Type\":\"application/json\",\"Cache-Control\":\"no-store\","
                 "\"Retry-After\":\"1\"},\"isBase64Encoded\":false,\"body\":\"\"}");
    AF_CHECK_OK(read_event("{\"requestContext\":{\"elb\":{\"targetGroupArn\":\"a\"}},\"httpMethod\":\"GET\",\"path\":\"/health\","
                           "\"multiValueHeaders\":{\"Accept\":[\"x\"]},\"body\":\"\",\"isBase64Encoded\":false}", NULL), err);
    AF_CHECK(request.is_balancer && request.is_multi);
    AF_CHECK_STR(answered(404, NULL, "{}"),
                 "{\"statusCode\":404,\"statusDescription\":\"404 Not Found\","
                 "\"multiValueHeaders\":{\"Content-Type\":[\"application/json\"],"
                 "\"Cache-Control\":[\"no-store\"]},\"isBase64Encoded\":false,\"body\":\"{}\"}");
    af_arena_done(&arena);
}
