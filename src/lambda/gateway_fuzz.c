/* gateway_fuzz.c - any bytes are a request or a refusal; what is answered to a request is JSON, and its body what was given. */
#include "lambda/lambda_int.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_arena arena;
    struct lambda_request request;
    struct af_json *json;
    struct af_buf out;
    struct af_error err = { 0 };
    af_arena_init(&arena, 64 << 20);
    enum af_status status = lambda_request_read(af_slice_make(data, size), "/v1", &arena, &request, &err);
    assert(status == AF_OK || (status == AF_EINVAL && err.message[0] != '\0') || status == AF_ENOMEM || status == AF_ELIMIT);
    if (status == AF_OK) {
        assert(request.method.ptr != NULL && request.path.ptr != NULL);
        (void)lambda_request_header(&request, "content-encoding");
        af_buf_init(&out, 64 << 20);
        lambda_request_answer(&request, 200, "*", request.path, &out);
        assert(!out.failed && af_json_parse(af_buf_slice(&out), &arena, &json, NULL) == AF_OK);
        assert(af_slice_eq(af_json_string(json, "body"), request.path));
        af_buf_done(&out);
    }
    af_arena_done(&arena);
    return 0;
}
