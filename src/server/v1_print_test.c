/* v1_print_test.c - JSON byte for byte as InfluxDB prints it. */
#include "server/v1_query.h"
#include "test/lib/test.h"

static void check_text(struct af_slice text, const char *want)
{
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    v1_text(&out, text);
    AF_CHECK_SLICE(af_buf_slice(&out), want);
    af_buf_done(&out);
}

AF_TEST(v1_text_is_escaped_as_go_does)
{
    check_text(AF_SLICE_LIT(""), "\"\"");
    check_text(AF_SLICE_LIT("plain"), "\"plain\"");
    check_text(AF_SLICE_LIT("a<b>&c"), "\"a\\u003cb\\u003e\\u0026c\"");
    check_text(AF_SLICE_LIT("<"), "\"\\u003c\"");
    check_text(AF_SLICE_LIT("\"\\\n\r\t\b\f\x01"), "\"\\\"\\\\\\n\\r\\t\\u0008\\u000c\\u0001\"");
    check_text(AF_SLICE_LIT("\xc3\xa9\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"), "\"\xc3\xa9\\u2028\\u2029\xe2\x80\xaa\"");
    check_text(AF_SLICE_LIT("a\xff"), "\"a\xef\xbf\xbd\"");
}

AF_TEST(v1_pretty_json)
{
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    v1_prettify(AF_SLICE_LIT("{\"a\":[1,\"x,{\\\"\"],\"b\":{},\"c\":[]}\n"), &out);
    AF_CHECK_SLICE(af_buf_slice(&out), "{\n    \"a\": [\n        1,\n        \"x,{\\\"\"\n    ],\n    \"b\": {},\n    \"c\": []\n}\n");
    af_buf_done(&out);
}

AF_TEST(v1_durations_are_gos)
{
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    AF_CHECK_STR(v1_duration_print(&arena, 0), "0s");
    AF_CHECK_STR(v1_duration_print(&arena, INT64_C(604800000000000)), "168h0m0s");
    AF_CHECK_STR(v1_duration_print(&arena, INT64_C(3661000000000)), "1h1m1s");
    AF_CHECK_STR(v1_duration_print(&arena, INT64_C(3600500000000)), "1h0m0.5s");
    AF_CHECK_STR(v1_duration_print(&arena, INT64_C(61000000001)), "1m1.000000001s");
    af_arena_done(&arena);
}
