/* s3_test.c - names, what S3 says in headers and listings, and calls for small objects, against a scripted peer. */
#include "aws/s3_fixture.h"

/* --- names ------------------------------------------------------------------------------------------------------------------- */

AF_TEST(s3_names)
{
    struct af_error err = { 0 };
    struct af_s3_name name;
    AF_CHECK(af_s3_is_name("s3://b") && !af_s3_is_name("s3:/b") && !af_s3_is_name("/tmp/s3://"));
    static const char *const good[][3] = {
        { "s3://bucket", "bucket", "" },
        { "s3://bucket/", "bucket", "" },
        { "s3://my.bucket-1/a/b.parquet", "my.bucket-1", "a/b.parquet" },
        { "s3://bucket//leading", "bucket", "/leading" },
        { "s3://bucket/a//b/../c/.", "bucket", "a//b/../c/." },
        { "s3://bucket/%41+ \n\xc3\xa9?#", "bucket", "%41+ \n\xc3\xa9?#" },
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        AF_CHECK_OK(af_s3_name_parse(good[i][0], &name, &err), err);
        AF_CHECK_STR(name.bucket, good[i][1]);
        AF_CHECK_STR(name.key, good[i][2]);
    }
    static const char *const bad[] = { "s3://", "s3:///key", "s3://ab/key", "s3://buc ket/key", ("s3://b\xc3\xbc" "cket"), "s3://.bucket/k",
                                       "s3://bucket@host/k", "s3://bucket:80/k", "http://bucket/key" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        AF_CHECK_FAILS(af_s3_name_parse(bad[i], &name, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_s3_name_parse("s3://arn:aws:s3:us-east-1:1:accesspoint/x", &name, &err), AF_EUNSUPPORTED);
    AF_CHECK_FAILS(af_s3_name_parse("s3://fast--use1-az4--x-s3/k", &name, &err), AF_EUNSUPPORTED);
}

AF_TEST(s3_names_have_longest_keys)
{
    struct af_error err = { 0 };
    struct af_s3_name name;
    char text[1100] = "s3://bucket/";
    memset(text + 12, 'k', 1024);
    text[12 + 1024] = '\0';
    AF_CHECK_OK(af_s3_name_parse(text, &name, &err), err);
    AF_CHECK_INT(strlen(name.key), 1024);
    strcat(text, "k");
    AF_CHECK_FAILS(af_s3_name_parse(text, &name, &err), AF_EINVAL);
}

/* --- headers ----------------------------------------------------------------------------------------------------------------- */

AF_TEST(s3_etags)
{
    char etag[64];
    AF_CHECK(s3_etag(af_slice_of("\"abc-2\""), etag));
    AF_CHECK_STR(etag, "abc-2");
    AF_CHECK(s3_etag(af_slice_of("abc"), etag));
    AF_CHECK(!s3_etag(af_slice_of("\"\""), etag) && !s3_etag(af_slice_of(""), etag) && !s3_etag(af_slice_of("a\"b"), etag));
    AF_CHECK(!s3_etag(af_slice_of("0123456789012345678901234567890123456789012345678901234567890123"), etag));
    AF_CHECK(!s3_etag(af_slice_of("a\r\nHost: x"), etag));
}

AF_TEST(s3_content_ranges)
{
    uint64_t first, last, size;
    AF_CHECK(s3_content_range(af_slice_of("bytes 5-9/10"), &first, &last, &size));
    AF_CHECK(first == 5 && last == 9 && size == 10);
    static const char *const bad[] = { "", "bytes", "bytes 5-9", "bytes 5-9/*", "bytes 9-5/10", "bytes 5-10/10", "bytes -1-5/10",
                                       "bytes 5-9/10 ", "bytes 18446744073709551616-1/2", "items 5-9/10", "bytes 5-/10" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        AF_CHECK(!s3_content_range(af_slice_of(bad[i]), &first, &last, &size));
}

AF_TEST(s3_http_dates)
{
    int64_t ns;
    AF_CHECK(s3_http_date(af_slice_of("Wed, 21 Oct 2015 07:28:00 GMT"), &ns));
    AF_CHECK_INT(ns, INT64_C(1445412480000000000));
    AF_CHECK(!s3_http_date(af_slice_of("Wed, 21 Okt 2015 07:28:00 GMT"), &ns));
    AF_CHECK(!s3_http_date(af_slice_of("Wed, 31 Feb 2015 07:28:00 GMT"), &ns));
    AF_CHECK(!s3_http_date(af_slice_of("Wed, 21 anF 2015 07:28:00 GMT"), &ns));
    AF_CHECK(!s3_http_date(af_slice_of(""), &ns) && !s3_http_date(af_slice_of("2015-10-21T07:28:00Z"), &ns));
}

AF_TEST(s3_keys_are_decoded)
{
    char text[] = "a%2Fb+c%2B%25%0A%c3%a9";
    size_t len = s3_url_decode(text, strlen(text));
    AF_CHECK_SLICE(af_slice_make(text, len), "a/b c+%\n\xc3\xa9");
    char cut[] = "a%2";
    char wrong[] = "a%2g";
    AF_CHECK(s3_url_decode(cut, 3) == SIZE_MAX && s3_url_decode(wrong, 4) == SIZE_MAX);
}

/* --- the plan ---------------------------------------------------------------------------------------------------------------- */

static void check_cut(struct s3_plan *plan, uint64_t offset, size_t len, size_t wanted)
{
    struct s3_cut cut;
    AF_CHECK(s3_plan_next(plan, &cut));
    AF_CHECK_INT(cut.offset, offset);
    AF_CHECK_INT(cut.len, len);
    AF_CHECK_INT(cut.wanted, wanted);
    s3_plan_take(plan, &cut);
}

AF_TEST(s3_plan_joins_and_divides)
{
    enum { K = 1 << 10, M = 1 << 20 };
    struct s3_plan plan = { 0 };
    struct s3_cut cut;
    const struct af_range ranges[] = { { 4, 100 }, { 104, 200 }, { 304 + 256 * K, 10 }, { 2 * M, 5 }, { 0, 0 }, { 64 * M, 1 },
                                       { 3 * M, UINT64_MAX } };
    AF_CHECK(s3_plan_set(&plan, ranges, 7, 20 * M, 2, 64 * M));
    check_cut(&plan, 4, 310 + 256 * K, 310);    /* two that touch, and one behind a gap of exactly what is allowed */
    check_cut(&plan, 2 * M, 5, 5);
    check_cut(&plan, 3 * M, 8 * M, 8 * M);      /* cut at the end of the object, divided */
    check_cut(&plan, 11 * M, 8 * M, 8 * M);
    AF_CHECK(s3_plan_seek(&plan, 19 * M + 7) && !s3_plan_seek(&plan, 12 * M) && !s3_plan_seek(&plan, 20 * M));
    check_cut(&plan, 19 * M + 7, M - 7, M - 7);
    AF_CHECK(!s3_plan_next(&plan, &cut));
    AF_CHECK(s3_plan_set(&plan, ranges, 0, 20 * M, 2, 64 * M) && !s3_plan_next(&plan, &cut));
    const struct af_range large = { 0, 100 * M };
    AF_CHECK(s3_plan_set(&plan, &large, 1, 100 * M, 8, 16 * M));
    check_cut(&plan, 0, 2 * M, 2 * M);          /* little memory: every connection has its block all the same */
    AF_CHECK(s3_plan_set(&plan, &large, 1, 100 * M, 8, 1));
    check_cut(&plan, 0, M, M);
    AF_CHECK(s3_plan_set(&plan, &large, 1, 100 * M, 8, UINT64_MAX));
    check_cut(&plan, 0, 8 * M, 8 * M);
    s3_plan_done(&plan);
}

/* Whatever is announced, in whatever order: each byte of it once, in order, and no byte that is far from all. */
AF_TEST(s3_plan_covers_what_was_announced)
{
    uint64_t seed = 7;
    for (unsigned round = 0; round < 300; round++) {
        struct af_range ranges[20];
        struct s3_plan plan = { 0 };
        struct s3_cut cut;
        uint64_t wanted = 0;
        uint64_t got = 0;
        uint64_t at = 0;
        for (size_t i = 0; i < 20; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            at += seed >> 44;
            ranges[i] = (struct af_range){ at, 1 + ((seed >> 20) & 0x3fffff) };
            at += ranges[i].len;
            wanted += ranges[i].len;
        }
        AF_CHECK(s3_plan_set(&plan, ranges, 20, UINT64_MAX, 4, UINT64_MAX));
        for (uint64_t end = 0; s3_plan_next(&plan, &cut); end = cut.offset + cut.len) {
            AF_CHECK(cut.offset >= end && cut.len <= AF_S3_BLOCK_BYTES && cut.wanted <= cut.len && cut.wanted != 0);
            AF_CHECK(cut.len - cut.wanted <= (uint64_t)20 * AF_S3_GAP_BYTES);
            got += cut.wanted;
            s3_plan_take(&plan, &cut);
        }
        AF_CHECK_INT(got, wanted);
        s3_plan_done(&plan);
    }
}

/* --- listings ---------------------------------------------------------------------------------------------------------------- */

#define OBJECT(key, size) "<Contents><Key>" key "</Key><LastModified>2024-01-02T03:04:05.000Z</LastModified>" \
    "<ETag>&quot;e1&quot;</ETag><Size>" size "</Size></Contents>"
#define LISTING(inside) "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" \
    inside "</ListBucketResult>"

static enum af_status parse(const char *xml, const char *prefix, struct s3_page *page, struct af_arena *arena, struct af_error *err)
{
    af_arena_reset(arena);
    return s3_page_parse(af_slice_of(xml), prefix, arena, page, err);
}

AF_TEST(s3_pages)
{
    struct af_error err = { 0 };
    struct af_arena arena;
    struct s3_page page;
    af_arena_init(&arena, 1 << 20);
    AF_CHECK_OK(parse(LISTING("<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
                              "<NextContinuationToken>t/+=</NextContinuationToken>"
                              OBJECT("p%2Fa+b", "5") OBJECT("p%2Fz", "9223372036854775807")), "p/", &page, &arena, &err), err);
    AF_CHECK_INT(page.count, 2);
    AF_CHECK_STR(page.objects[0].key, "p/a b");
    AF_CHECK_STR(page.objects[0].etag, "e1");
    AF_CHECK_INT(page.objects[0].bytes, 5);
    AF_CHECK_INT(page.objects[0].mtime_ns, INT64_C(1704164645000000000));
    AF_CHECK_STR(page.next, "t/+=");
    AF_CHECK_OK(parse(LISTING("<IsTruncated>false</IsTruncated>" OBJECT("a+b", "0")), "", &page, &arena, &err), err);
    AF_CHECK_STR(page.objects[0].key, "a+b"); /* not encoded: as it stands */
    AF_CHECK_STR(page.next, "");
    af_arena_done(&arena);
}

AF_TEST(s3_pages_that_make_no_sense)
{
    static const char *const bad[] = {
        "", "<", "<html/>", "{\"not\":\"xml\"}", "<ListBucketResult>", LISTING(""), LISTING("<IsTruncated>perhaps</IsTruncated>"),
        LISTING("<IsTruncated>true</IsTruncated>"), LISTING("<IsTruncated>false</IsTruncated>" OBJECT("elsewhere", "5")),
        LISTING("<IsTruncated>false</IsTruncated>" OBJECT("p/x", "-5")), LISTING("<IsTruncated>false</IsTruncated>" OBJECT("p/x", "")),
        LISTING("<IsTruncated>false</IsTruncated>" OBJECT("p/x", "9223372036854775808")),
        LISTING("<IsTruncated>false</IsTruncated>" OBJECT("", "5")),
        LISTING("<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>" OBJECT("p/%", "5")),
        LISTING("<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>" OBJECT("p/%00", "5")),
        LISTING("<IsTruncated>false</IsTruncated><Contents><Key>p/x</Key><Size>5</Size></Contents>"),
        "<!DOCTYPE x [<!ENTITY a \"b\">]>" LISTING("<IsTruncated>false</IsTruncated>"),
    };
    struct af_error err = { 0 };
    struct af_arena arena;
    struct s3_page page;
    af_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse(bad[i], "p/", &page, &arena, &err) == AF_OK)
            af_test_failed(__FILE__, __LINE__, "listing %zu was taken", i);
    af_arena_done(&arena);
}

/* --- calls ------------------------------------------------------------------------------------------------------------------- */

struct service {
    struct af_peer *peer;
    struct af_aws *aws;
    struct af_s3 *s3;
};

static void service_open(struct service *s, const struct af_peer_step *steps, size_t count, const struct af_s3_options *options)
{
    s->peer = af_peer_start(steps, count);
    pool_open(af_peer_url(s->peer), options, &s->aws, &s->s3);
}

static void service_close(struct service *s)
{
    af_s3_close(s->s3);
    af_aws_close(s->aws);
    af_peer_stop(s->peer);
}

#define ANSWER(status, headers, body) "HTTP/1.1 " status "\r\n" headers "Connection: close\r\n\r\n" body

struct keys {
    struct af_buf text;
    size_t stop_after;
};

static enum af_status add_key(void *ctx, const struct af_s3_object *object, struct af_error *err)
{
    struct keys *keys = ctx;
    af_buf_printf(&keys->text, "%s;", object->key);
    if (keys->stop_after != 0 && --keys->stop_after == 0)
        return af_fail(err, AF_ECANCELED, "enough");
    return AF_OK;
}

AF_TEST(s3_listing_of_two_pages)
{
    static const struct af_peer_step steps[] = {
        { .bytes = ANSWER("200 OK", "", LISTING("<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
                          "<NextContinuationToken>a+b/c=</NextContinuationToken>" OBJECT("p%2F1", "1") OBJECT("p%2F2", "2"))),
          .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("200 OK", "", LISTING("<IsTruncated>false</IsTruncated>" OBJECT("p/3", "3"))), .then = AF_PEER_CLOSE },
    };
    struct service s;
    struct af_error err = { 0 };
    struct keys keys = { 0 };
    af_buf_init(&keys.text, 1000);
    service_open(&s, steps, 2, &(struct af_s3_options){ .requester_pays = true, .expected_owner = "123456789012" });
    AF_CHECK_OK(af_s3_list(s.s3, "bucket", "p/", NULL, add_key, &keys, &err), err);
    AF_CHECK_STR(af_buf_cstr(&keys.text), "p/1;p/2;p/3;");
    AF_CHECK_INT(af_peer_requests(s.peer), 2);
    struct af_slice first = af_peer_request(s.peer, 0);
    AF_CHECK(af_slice_has_prefix(first, "GET /bucket?encoding-type=url&list-type=2&prefix=p%2F HTTP/1.1\r\n"));
    AF_CHECK_SLICE(header_of(first, "x-amz-request-payer"), "requester");
    AF_CHECK_SLICE(header_of(first, "x-amz-expected-bucket-owner"), "123456789012");
    AF_CHECK(strstr(header_of(first, "authorization").ptr, "x-amz-request-payer") != NULL); /* signed */
    AF_CHECK(af_slice_has_prefix(af_peer_request(s.peer, 1),
                                 "GET /bucket?continuation-token=a%2Bb%2Fc%3D&encoding-type=url&list-type=2&prefix=p%2F HTTP/1.1\r\n"));
    service_close(&s);
    af_buf_done(&keys.text);
}

AF_TEST(s3_listing_stops_where_each_does)
{
    static const struct af_peer_step steps[] = {
        { .bytes = ANSWER("200 OK", "", LISTING("<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
                          OBJECT("1", "1") OBJECT("2", "2"))), .then = AF_PEER_CLOSE },
    };
    struct service s;
    struct af_error err = { 0 };
    struct keys keys = { .stop_after = 1 };
    af_buf_init(&keys.text, 1000);
    service_open(&s, steps, 1, NULL);
    AF_CHECK_FAILS(af_s3_list(s.s3, "bucket", "", NULL, add_key, &keys, &err), AF_ECANCELED);
    AF_CHECK_STR(af_buf_cstr(&keys.text), "1;");
    service_close(&s);
    af_buf_done(&keys.text);
}

/* A listing whose next page is itself must end. */
struct circle {
    unsigned pages, lead_in, length; /* 0 1 [2 3 4] [2 3 4] ... */
};

static bool page_of_circle(void *ctx, struct af_slice request, struct af_buf *out)
{
    struct circle *c = ctx;
    (void)request;
    unsigned number = c->pages < c->lead_in ? c->pages : c->lead_in + (c->pages - c->lead_in) % c->length;
    c->pages++;
    af_buf_printf(out, ANSWER("200 OK", "", LISTING("<IsTruncated>true</IsTruncated><NextContinuationToken>t%u</NextContinuationToken>"
                                                    OBJECT("1", "1"))), number);
    return false;
}

AF_TEST(s3_listing_that_goes_in_circles)
{
    static const struct circle circles[] = { { 0, 0, 1 }, { 0, 0, 2 }, { 0, 1, 1 }, { 0, 3, 5 }, { 0, 9, 20 } };
    for (size_t i = 0; i < sizeof circles / sizeof circles[0]; i++) {
        struct af_error err = { 0 };
        struct service s;
        struct keys keys = { 0 };
        struct circle circle = circles[i];
        af_buf_init(&keys.text, 1000);
        s.peer = af_peer_start_with(page_of_circle, &circle);
        pool_open(af_peer_url(s.peer), NULL, &s.aws, &s.s3);
        AF_CHECK_FAILS(af_s3_list(s.s3, "bucket", "", NULL, add_key, &keys, &err), AF_ECORRUPT);
        AF_CHECK(circle.pages > circle.lead_in + circle.length && circle.pages <= 3 * (circle.lead_in + circle.length) + 1);
        service_close(&s);
        af_buf_done(&keys.text);
    }
}

/* Half a page, twice; then half a page for good. */
AF_TEST(s3_listing_that_was_cut)
{
#define HALF { .bytes = ANSWER("200 OK", "", "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"), .then = AF_PEER_CLOSE }
    static const struct af_peer_step steps[] = {
        HALF, HALF,
        { .bytes = ANSWER("200 OK", "", LISTING("<IsTruncated>false</IsTruncated>" OBJECT("p/3", "3"))), .then = AF_PEER_CLOSE },
        HALF, HALF, HALF,
    };
    struct service s;
    struct af_error err = { 0 };
    struct keys keys = { 0 };
    af_buf_init(&keys.text, 1000);
    service_open(&s, steps, 6, NULL);
    AF_CHECK_OK(af_s3_list(s.s3, "bucket", "p/", NULL, add_key, &keys, &err), err);
    AF_CHECK_STR(af_buf_cstr(&keys.text), "p/3;");
    AF_CHECK_FAILS(af_s3_list(s.s3, "bucket", "p/", NULL, add_key, &keys, &err), AF_ECORRUPT);
    AF_CHECK(strstr(err.message, "s3://bucket/p/: ") != NULL);
    AF_CHECK_STR(af_buf_cstr(&keys.text), "p/3;");
    AF_CHECK_INT(af_peer_requests(s.peer), 6);
    service_close(&s);
    af_buf_done(&keys.text);
}

AF_TEST(s3_head_and_get)
{
    static const struct af_peer_step steps[] = {
        { .bytes = ANSWER("200 OK", "ETag: \"v1\"\r\nContent-Length: 1234\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n", ""),
          .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("200 OK", "ETag: \"v1\"\r\nContent-Length: 5\r\n", "hello"), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("200 OK", "ETag: \"v1\"\r\nContent-Length: 5\r\n", "hello"), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("404 Not Found", "Content-Length: 0\r\n", ""), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("200 OK", "ETag: \"v1\"\r\n", "hel"), .then = AF_PEER_CLOSE }, /* all of it, or cut? */
    };
    struct service s;
    struct af_error err = { 0 };
    struct af_s3_object object;
    struct af_buf text;
    char etag[64];
    service_open(&s, steps, 5, NULL);
    AF_CHECK_OK(af_s3_head(s.s3, "bucket", "a b", "v 1", &object, &err), err);
    AF_CHECK_INT(object.bytes, 1234);
    AF_CHECK_STR(object.etag, "v1");
    AF_CHECK_INT(object.mtime_ns, INT64_C(1445412480000000000));
    AF_CHECK(af_slice_has_prefix(af_peer_request(s.peer, 0), "HEAD /bucket/a%20b?versionId=v%201 HTTP/1.1\r\n"));
    af_buf_init(&text, 100);
    AF_CHECK_OK(af_s3_get(s.s3, "bucket", "a", &text, etag, &err), err);
    AF_CHECK_STR(af_buf_cstr(&text), "hello");
    AF_CHECK_STR(etag, "v1");
    af_buf_done(&text);
    af_buf_init(&text, 8);
    af_buf_append_str(&text, "hello");
    AF_CHECK_FAILS(af_s3_get(s.s3, "bucket", "a", &text, NULL, &err), AF_ELIMIT);
    AF_CHECK_STR(af_buf_cstr(&text), "hello");
    AF_CHECK_FAILS(af_s3_head(s.s3, "bucket", "a", NULL, &object, &err), AF_ENOTFOUND);
    AF_CHECK(strstr(err.message, "s3://bucket/a: ") != NULL);
    AF_CHECK_FAILS(af_s3_get(s.s3, "bucket", "a", &text, NULL, &err), AF_ECORRUPT);
    AF_CHECK_STR(af_buf_cstr(&text), "hello");
    af_buf_done(&text);
    service_close(&s);
}

/* Each byte of a key is sent as itself or as its code, once. */
AF_TEST(s3_keys_of_every_byte)
{
    static const struct af_peer_step step = { .bytes = ANSWER("200 OK", "ETag: \"v\"\r\nContent-Length: 0\r\n", ""),
                                              .then = AF_PEER_CLOSE };
    static const char *const keys[][2] = {
        { "a b+c%d%20e", "a%20b%2Bc%25d%2520e" }, { "/x", "/x" }, { "a//b", "a//b" }, { "a/../b/./c", "a/../b/./c" },
        { "\n\r\t\x01\x7f", "%0A%0D%09%01%7F" }, { "\xc3\xa9\xe2\x82\xac", "%C3%A9%E2%82%AC" },
        { "!\"#$&'()*,:;<=>?@[\\]^`{|}~-._", "%21%22%23%24%26%27%28%29%2A%2C%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7C%7D~-._" },
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct service s;
        struct af_error err = { 0 };
        struct af_buf text;
        char line[300];
        af_buf_init(&text, 100);
        service_open(&s, &step, 1, NULL);
        AF_CHECK_OK(af_s3_get(s.s3, "bucket", keys[i][0], &text, NULL, &err), err);
        (void)snprintf(line, sizeof line, "GET /bucket/%s HTTP/1.1\r\n", keys[i][1]);
        struct af_slice request = af_peer_request(s.peer, 0);
        request.len = request.len < strlen(line) ? request.len : strlen(line);
        AF_CHECK_SLICE(request, line);
        service_close(&s);
        af_buf_done(&text);
    }
}

AF_TEST(s3_bucket_of_another_region_is_found_once)
{
    static const struct af_peer_step steps[] = {
        { .bytes = ANSWER("400 Bad Request", "Content-Type: application/xml\r\n",
                          "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; expecting 'eu-west-1'"
                          "</Message><Region>eu-west-1</Region></Error>"), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("200 OK", "ETag: \"v\"\r\nContent-Length: 0\r\n", ""), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("200 OK", "ETag: \"v\"\r\nContent-Length: 7\r\n", ""), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("301 Moved Permanently", "x-amz-bucket-region: sa-east-1\r\nContent-Length: 0\r\n", ""), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("200 OK", "ETag: \"v\"\r\nContent-Length: 8\r\n", ""), .then = AF_PEER_CLOSE },
    };
    struct service s;
    struct af_error err = { 0 };
    struct af_buf text;
    struct af_s3_object object;
    af_buf_init(&text, 100);
    service_open(&s, steps, 5, NULL);
    AF_CHECK_OK(af_s3_get(s.s3, "elsewhere", "k", &text, NULL, &err), err);
    AF_CHECK_OK(af_s3_head(s.s3, "elsewhere", "k", NULL, &object, &err), err); /* there at once */
    AF_CHECK_OK(af_s3_head(s.s3, "other", "k", NULL, &object, &err), err);     /* HEAD has no body: by the header */
    AF_CHECK_INT(object.bytes, 8);
    AF_CHECK_INT(af_peer_requests(s.peer), 5);
    static const char *const regions[] = { "/us-east-1/s3/", "/eu-west-1/s3/", "/eu-west-1/s3/", "/us-east-1/s3/", "/sa-east-1/s3/" };
    for (size_t i = 0; i < 5; i++) {
        struct af_slice auth = header_of(af_peer_request(s.peer, i), "authorization");
        AF_CHECK(memmem(auth.ptr, auth.len, regions[i], strlen(regions[i])) != NULL);
    }
    service_close(&s);
    af_buf_done(&text);
}

/* A region becomes part of a host's name. */
AF_TEST(s3_region_must_be_one)
{
    static const struct af_peer_step steps[] = {
        { .bytes = ANSWER("301 Moved Permanently", "x-amz-bucket-region: evil.example.org/\r\nContent-Length: 0\r\n", ""),
          .then = AF_PEER_CLOSE },
    };
    struct service s;
    struct af_error err = { 0 };
    struct af_s3_object object;
    service_open(&s, steps, 1, NULL);
    AF_CHECK(af_s3_head(s.s3, "other", "k", NULL, &object, &err) != AF_OK);
    AF_CHECK_INT(af_peer_requests(s.peer), 1);
    service_close(&s);
}

AF_TEST(s3_put)
{
    static const struct af_peer_step steps[] = {
        { .bytes = ANSWER("200 OK", "ETag: \"v1\"\r\nContent-Length: 0\r\n", ""), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("412 Precondition Failed", "", "<Error><Code>PreconditionFailed</Code></Error>"), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("200 OK", "ETag: \"v2\"\r\nContent-Length: 0\r\n", ""), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("204 No Content", "", ""), .then = AF_PEER_CLOSE },
    };
    struct service s;
    struct af_error err = { 0 };
    char etag[64];
    service_open(&s, steps, 4, &(struct af_s3_options){ .kms_key_id = "key/1" });
    AF_CHECK_OK(af_s3_put(s.s3, "bucket", "k", af_slice_of("hello"), "text/plain", AF_S3_ALWAYS, NULL, etag, &err), err);
    AF_CHECK_STR(etag, "v1");
    struct af_slice request = af_peer_request(s.peer, 0);
    AF_CHECK(af_slice_has_prefix(request, "PUT /bucket/k HTTP/1.1\r\n"));
    AF_CHECK_SLICE(header_of(request, "content-type"), "text/plain");
    AF_CHECK_SLICE(header_of(request, "x-amz-server-side-encryption"), "aws:kms");
    AF_CHECK_SLICE(header_of(request, "x-amz-server-side-encryption-aws-kms-key-id"), "key/1");
    AF_CHECK_SLICE(header_of(request, "x-amz-checksum-sha256"), "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    AF_CHECK(request.len > 5 && memcmp(request.ptr + request.len - 5, "hello", 5) == 0);
    AF_CHECK_FAILS(af_s3_put(s.s3, "bucket", "k", af_slice_of("hello"), NULL, AF_S3_IF_NEW, NULL, etag, &err), AF_ECONFLICT);
    AF_CHECK_SLICE(header_of(af_peer_request(s.peer, 1), "if-none-match"), "*");
    AF_CHECK_OK(af_s3_put(s.s3, "bucket", "k", af_slice_of("hello"), NULL, AF_S3_IF_MATCH, "v1", etag, &err), err);
    AF_CHECK_SLICE(header_of(af_peer_request(s.peer, 2), "if-match"), "\"v1\"");
    AF_CHECK_OK(af_s3_delete(s.s3, "bucket", "k", &err), err);
    AF_CHECK(af_slice_has_prefix(af_peer_request(s.peer, 3), "DELETE /bucket/k HTTP/1.1\r\n"));
    service_close(&s);
}

/* The first attempt was carried out, its answer lost; the second finds the object there, which is ours. Or it is not. */
AF_TEST(s3_put_whose_answer_was_lost)
{
    static const struct af_peer_step steps[] = {
        { .then = AF_PEER_RESET },
        { .bytes = ANSWER("412 Precondition Failed", "", "<Error><Code>PreconditionFailed</Code></Error>"), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("200 OK", "ETag: \"v1\"\r\nContent-Length: 5\r\n"
                          "x-amz-checksum-sha256: LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=\r\n", ""), .then = AF_PEER_CLOSE },
        { .then = AF_PEER_RESET },
        { .bytes = ANSWER("412 Precondition Failed", "", "<Error><Code>PreconditionFailed</Code></Error>"), .then = AF_PEER_CLOSE },
        { .bytes = ANSWER("200 OK", "ETag: \"v2\"\r\nContent-Length: 5\r\nx-amz-checksum-sha256: AAAA\r\n", ""), .then = AF_PEER_CLOSE },
    };
    struct service s;
    struct af_error err = { 0 };
    char etag[64];
    service_open(&s, steps, 6, NULL);
    AF_CHECK_OK(af_s3_put(s.s3, "bucket", "k", af_slice_of("hello"), NULL, AF_S3_IF_NEW, NULL, etag, &err), err);
    AF_CHECK_STR(etag, "v1");
    AF_CHECK_FAILS(af_s3_put(s.s3, "bucket", "k", af_slice_of("hello"), NULL, AF_S3_IF_NEW, NULL, etag, &err), AF_ECONFLICT);
    service_close(&s);
}

/* 409: others write at the same time. Asked again until it is settled, one way or the other; not for ever. */
AF_TEST(s3_put_beside_others)
{
#define UNSETTLED { .bytes = ANSWER("409 Conflict", "", "<Error><Code>ConditionalRequestConflict</Code></Error>"), .then = AF_PEER_CLOSE }
    static const struct af_peer_step steps[] = {
        UNSETTLED, UNSETTLED,
        { .bytes = ANSWER("200 OK", "ETag: \"v1\"\r\nContent-Length: 0\r\n", ""), .then = AF_PEER_CLOSE },
        UNSETTLED,
        { .bytes = ANSWER("412 Precondition Failed", "", "<Error><Code>PreconditionFailed</Code></Error>"), .then = AF_PEER_CLOSE },
        UNSETTLED, UNSETTLED, UNSETTLED, UNSETTLED, UNSETTLED, UNSETTLED, UNSETTLED,
    };
    struct service s;
    struct af_error err = { 0 };
    char etag[64];
    bool stop = false;
    service_open(&s, steps, 12, &(struct af_s3_options){ .cancel = &stop });
    AF_CHECK_OK(af_s3_put(s.s3, "bucket", "k", af_slice_of("hello"), NULL, AF_S3_IF_NEW, NULL, etag, &err), err);
    AF_CHECK_STR(etag, "v1");
    AF_CHECK_FAILS(af_s3_put(s.s3, "bucket", "k", af_slice_of("hello"), NULL, AF_S3_IF_NEW, NULL, etag, &err), AF_ECONFLICT);
    AF_CHECK_INT(af_peer_requests(s.peer), 5);
    AF_CHECK_FAILS(af_s3_put(s.s3, "bucket", "k", af_slice_of("hello"), NULL, AF_S3_IF_NEW, NULL, etag, &err), AF_ECONFLICT);
    AF_CHECK_INT(af_peer_requests(s.peer), 12);
    service_close(&s);
}

/* DELETE of the bucket itself is one slash away. */
AF_TEST(s3_object_without_a_name_is_none)
{
    struct service s;
    struct af_error err = { 0 };
    struct af_s3_object object;
    struct af_buf text;
    af_buf_init(&text, 100);
    service_open(&s, NULL, 0, NULL);
    AF_CHECK_FAILS(af_s3_delete(s.s3, "bucket", "", &err), AF_EINVAL);
    AF_CHECK_FAILS(af_s3_put(s.s3, "bucket", "", af_slice_of("x"), NULL, AF_S3_ALWAYS, NULL, NULL, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_s3_get(s.s3, "bucket", "", &text, NULL, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_s3_head(s.s3, "bucket", "", NULL, &object, &err), AF_EINVAL);
    AF_CHECK_INT(af_peer_requests(s.peer), 0);
    service_close(&s);
    af_buf_done(&text);
}

/* The memory fails at every place in turn: an error, nothing lost. */
AF_TEST(s3_without_memory)
{
    struct bucket b;
    struct af_error err = { 0 };
    bucket_open(&b, 1000, NULL);
    for (size_t nth = 1; nth < 200; nth++) {
        struct af_s3_object object;
        (void)af_alloc_fail_nth(nth);
        enum af_status status = af_s3_head(b.s3, "bucket", "k", NULL, &object, &err);
        size_t made = af_alloc_fail_nth(0);
        /* headers for which there was no memory are missing ones */
        AF_CHECK(status == AF_OK || status == AF_ENOMEM || status == AF_ECORRUPT);
        if (status == AF_OK && made < nth)
            break;
    }
    bucket_close(&b);
}
