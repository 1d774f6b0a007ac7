/* sign_test.c - signatures beside those of AWS's own examples, and what must not change them. */
#include "aws/aws.h"
#include "test/lib/test.h"
#include <stdio.h>

static const struct af_aws_credentials example = { .access_key = "AKIDEXAMPLE",
                                                   .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
enum { EMPTY_HASH_LEN = 64 };
static const char empty_hash[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
#define NOON_NS (INT64_C(1440938160) * 1000000000) /* 2015-08-30T12:36:00Z */

static struct af_aws_to_sign vanilla(const struct af_aws_pair *headers, size_t count)
{
    return (struct af_aws_to_sign){ .method = AF_SLICE_LIT("GET"), .path = AF_SLICE_LIT("/"), .headers = headers, .header_count = count,
                                    .payload_hash = af_slice_make(empty_hash, EMPTY_HASH_LEN), .region = "us-east-1", .service = "service",
                                    .credentials = &example, .now_ns = NOON_NS };
}
static const struct af_aws_pair usual[] = { { { "Host", 4 }, { "example.amazonaws.com", 21 } },
                                            { { "X-Amz-Date", 10 }, { "20150830T123600Z", 16 } } };

AF_TEST(the_plainest_request_has_the_published_signature)
{
    struct af_aws_to_sign request = vanilla(usual, 2);
    struct af_aws_signed made;
    struct af_error err;
    AF_CHECK_OK(af_aws_sign(&request, &made, &err), err);
    AF_CHECK_STR(made.signature, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    AF_CHECK_SLICE(af_buf_slice(&made.authorization),
                   "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
                   "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    AF_CHECK_STR(made.date, "20150830T123600Z");
    af_aws_signed_done(&made);
}

static void check_canonical(const struct af_aws_to_sign *request, const char *wanted)
{
    struct af_aws_signed made;
    struct af_error err;
    AF_CHECK_OK(af_aws_sign(request, &made, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&made.canonical_request), wanted);
    af_aws_signed_done(&made);
}
#define TAIL "host:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n" \
             "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

AF_TEST(queries_are_sorted_by_their_encoded_names_then_values)
{
    const struct af_aws_pair query[] = { { AF_SLICE_LIT("b"), AF_SLICE_LIT("2") }, { AF_SLICE_LIT("a"), AF_SLICE_LIT("z y") },
                                         { AF_SLICE_LIT("a"), AF_SLICE_LIT("") }, { AF_SLICE_LIT("\xE1\x88\xB4"), AF_SLICE_LIT("bar") } };
    struct af_aws_to_sign request = vanilla(usual, 2);
    request.query = query;
    request.query_count = 4;
    check_canonical(&request, "GET\n/\n%E1%88%B4=bar&a=&a=z%20y&b=2\n" TAIL);
}

AF_TEST(paths_are_normalised_but_not_those_of_s3)
{
    struct af_aws_to_sign request = vanilla(usual, 2);
    request.path = AF_SLICE_LIT("/a/./b//c/../d/");
    check_canonical(&request, "GET\n/a/b/d/\n\n" TAIL);
    request.path = AF_SLICE_LIT("/..");
    check_canonical(&request, "GET\n/\n\n" TAIL);
    request.path = AF_SLICE_LIT("/x%20y");
    check_canonical(&request, "GET\n/x%2520y\n\n" TAIL);
    request.is_s3 = true;
    request.path = AF_SLICE_LIT("/a/./b//c/../x%20y");
    check_canonical(&request, "GET\n/a/./b//c/../x%20y\n\n" TAIL);
}

AF_TEST(headers_are_lowered_sorted_trimmed_and_joined)
{
    const struct af_aws_pair headers[] = { { AF_SLICE_LIT("X-Amz-Date"), AF_SLICE_LIT("20150830T123600Z") },
                                           { AF_SLICE_LIT("My-Header1"), AF_SLICE_LIT("  value4   5 ") },
                                           { AF_SLICE_LIT("Host"), AF_SLICE_LIT("example.amazonaws.com") },
                                           { AF_SLICE_LIT("my-header1"), AF_SLICE_LIT("value1") } };
    struct af_aws_to_sign request = vanilla(headers, 4);
    check_canonical(&request, "GET\n/\n\nhost:example.amazonaws.com\nmy-header1:value4 5,value1\nx-amz-date:20150830T123600Z\n\n"
                              "host;my-header1;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* The example of "Authenticating Requests: Using Query Parameters" of the S3 reference. */
AF_TEST(a_signed_url_is_that_of_the_s3_reference)
{
    static const struct af_aws_credentials who = { .access_key = "AKIAIOSFODNN7EXAMPLE",
                                                   .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
    const struct af_aws_pair host[] = { { AF_SLICE_LIT("host"), AF_SLICE_LIT("examplebucket.s3.amazonaws.com") } };
    struct af_aws_to_sign request = { .method = AF_SLICE_LIT("GET"), .path = AF_SLICE_LIT("/test.txt"), .headers = host, .header_count = 1,
                                      .payload_hash = AF_SLICE_LIT("UNSIGNED-PAYLOAD"), .region = "us-east-1", .service = "s3",
                                      .credentials = &who, .now_ns = INT64_C(1369353600) * 1000000000, .is_s3 = true };
    struct af_buf url;
    struct af_error err;
    af_buf_init(&url, 1 << 16);
    AF_CHECK_OK(af_aws_presign(&request, AF_SLICE_LIT("https://examplebucket.s3.amazonaws.com"), 86400, &url, &err), err);
    AF_CHECK(strstr(af_buf_cstr(&url), "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404") != NULL);
    AF_CHECK(strncmp(af_buf_cstr(&url), "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&", 80) == 0);
    af_buf_done(&url);
}

/* The chunks of "Signature Calculations: Transferring Payload in Multiple Chunks" of the S3 reference. */
AF_TEST(chunks_are_chained_as_in_the_s3_reference)
{
    static const struct af_aws_credentials who = { .access_key = "AKIAIOSFODNN7EXAMPLE",
                                                   .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
    static char bytes[65536];
    const struct af_aws_pair headers[] = {
        { AF_SLICE_LIT("content-encoding"), AF_SLICE_LIT("aws-chunked") }, { AF_SLICE_LIT("content-length"), AF_SLICE_LIT("66824") },
        { AF_SLICE_LIT("host"), AF_SLICE_LIT("s3.amazonaws.com") },
        { AF_SLICE_LIT("x-amz-content-sha256"), AF_SLICE_LIT("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") },
        { AF_SLICE_LIT("x-amz-date"), AF_SLICE_LIT("20130524T000000Z") },
        { AF_SLICE_LIT("x-amz-decoded-content-length"), AF_SLICE_LIT("66560") },
        { AF_SLICE_LIT("x-amz-storage-class"), AF_SLICE_LIT("REDUCED_REDUNDANCY") } };
    struct af_aws_to_sign request = { .method = AF_SLICE_LIT("PUT"), .path = AF_SLICE_LIT("/examplebucket/chunkObject.txt"),
                                      .headers = headers, .header_count = 7,
                                          .payload_hash = AF_SLICE_LIT("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
                                      .region = "us-east-1", .service = "s3", .credentials = &who,
                                      .now_ns = INT64_C(1369353600) * 1000000000, .is_s3 = true };
    struct af_aws_signed seed;
    struct af_error err;
    char first[65], second[65], last[65];
    memset(bytes, 'a', sizeof bytes);
    AF_CHECK_OK(af_aws_sign(&request, &seed, &err), err);
    AF_CHECK_STR(seed.signature, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
    AF_CHECK_OK(af_aws_sign_chunk(&request, seed.key, seed.signature, af_slice_make(bytes, 65536), first, &err), err);
    AF_CHECK_STR(first, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
    AF_CHECK_OK(af_aws_sign_chunk(&request, seed.key, first, af_slice_make(bytes, 1024), second, &err), err);
    AF_CHECK_STR(second, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
    AF_CHECK_OK(af_aws_sign_chunk(&request, seed.key, second, af_slice_make("", 0), last, &err), err);
    AF_CHECK_STR(last, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
    af_aws_signed_done(&seed);
}
