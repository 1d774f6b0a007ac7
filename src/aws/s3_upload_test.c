/* s3_upload_test.c - objects in parts, against a peer that puts them together and checks what it is told. */
#include "aws/s3_fixture.h"

enum { M = 1 << 20, PARTS_MAX = 64 };

struct store {
    struct af_mutex lock;
    struct af_buf parts[PARTS_MAX + 1];
    unsigned creates, puts, completes, aborts, heads;
    unsigned fail_part;       /* this part is refused */
    unsigned at_once, at_once_max;
    bool lose_answer;         /* of the first complete: it was done, and nobody hears of it */
    const char *complete_code; /* 200 with this error inside ... */
    unsigned complete_fails;  /* ... so many times */
    bool lie_checksum;
    struct af_buf object;
    struct af_buf checksum;
    struct af_peer *peer;
    struct af_aws *aws;
    struct af_s3 *s3;
};

static bool has(struct af_slice request, const char *text)
{
    return memmem(request.ptr, request.len, text, strlen(text)) != NULL;
}

static unsigned number_after(struct af_slice request, const char *text)
{
    const char *at = memmem(request.ptr, request.len, text, strlen(text));
    return at != NULL ? (unsigned)strtoul(at + strlen(text), NULL, 10) : 0;
}

static struct af_slice body_of(struct af_slice request)
{
    const char *end = memmem(request.ptr, request.len, "\r\n\r\n", 4);
    return af_slice_make(end + 4, (size_t)(request.ptr + request.len - end - 4));
}

static void check_part(struct af_slice request, struct af_slice body)
{
    uint8_t digest[AF_SHA256_BYTES];
    struct af_buf text;
    struct af_error err = { 0 };
    af_buf_init(&text, 100);
    AF_CHECK_OK(s3_checksum(body, digest, &text, &err), err);
    AF_CHECK_SLICE(header_of(request, "x-amz-checksum-sha256"), af_buf_cstr(&text));
    af_buf_done(&text);
}

static void put_part(struct store *s, struct af_slice request, struct af_buf *out)
{
    unsigned number = number_after(request, "partNumber=");
    char headers[80];
    struct af_slice body = body_of(request);
    AF_CHECK(number >= 1 && number <= PARTS_MAX && has(request, "uploadId=id%2F1"));
    check_part(request, body);
    s->puts++;
    if (number == s->fail_part) {
        say_error(out, "403 Forbidden", "AccessDenied");
        return;
    }
    af_buf_clear(&s->parts[number]);
    af_buf_append_slice(&s->parts[number], body);
    (void)snprintf(headers, sizeof headers, "ETag: \"etag-%u\"\r\n", number);
    say(out, "200 OK", headers, (struct af_slice){ 0 });
}

static void put_together(struct store *s, struct af_slice body)
{
    struct af_buf digests;
    struct af_error err = { 0 };
    uint8_t digest[AF_SHA256_BYTES];
    struct af_buf unused;
    unsigned count = 0;
    af_buf_init(&digests, 4096);
    af_buf_init(&unused, 100000);
    af_buf_clear(&s->object);
    for (unsigned i = 1; i <= PARTS_MAX && s->parts[i].len != 0; i++, count++) {
        char etag[120];
        af_buf_append_slice(&s->object, af_buf_slice(&s->parts[i]));
        AF_CHECK_OK(s3_checksum(af_buf_slice(&s->parts[i]), digest, &unused, &err), err);
        af_buf_append(&digests, digest, sizeof digest);
        (void)snprintf(etag, sizeof etag, "<ETag>\"etag-%u\"</ETag><ChecksumSHA256>", i);
        AF_CHECK(has(body, etag));
        (void)snprintf(etag, sizeof etag, "</ChecksumSHA256><PartNumber>%u</PartNumber></Part>", i);
        AF_CHECK(has(body, etag));
    }
    af_buf_clear(&s->checksum);
    AF_CHECK_OK(s3_checksum(af_buf_slice(&digests), digest, &s->checksum, &err), err);
    af_buf_printf(&s->checksum, "-%u", count);
    af_buf_done(&digests);
    af_buf_done(&unused);
}

static void complete(struct store *s, struct af_slice request, struct af_buf *out)
{
    char body[300];
    if (s->object.len != 0 && s->completes != 0) {
        s->completes++;
        say_error(out, "404 Not Found", "NoSuchUpload");
        return;
    }
    s->completes++;
    if (s->complete_fails != 0) {
        s->complete_fails--;
        (void)snprintf(body, sizeof body, "<Error><Code>%s</Code><Message>later</Message></Error>",
                       s->complete_code != NULL ? s->complete_code : "");
        say(out, "200 OK", "", s->complete_code != NULL ? af_slice_of(body) : AF_SLICE_LIT("<Complete"));
        return;
    }
    put_together(s, body_of(request));
    if (s->lose_answer)
        return;
    (void)snprintf(body, sizeof body, "<CompleteMultipartUploadResult><ChecksumSHA256>%s</ChecksumSHA256></CompleteMultipartUploadResult>",
                   s->lie_checksum ? "AAAA-3" : af_buf_cstr(&s->checksum));
    say(out, "200 OK", "", af_slice_of(body));
}

static bool answer_store(void *ctx, struct af_slice request, struct af_buf *out)
{
    struct store *s = ctx;
    char headers[200];
    af_mutex_lock(&s->lock);
    if (af_slice_has_prefix(request, "POST /bucket/k?uploads= ") || af_slice_has_prefix(request, "POST /bucket/k?uploads ")) {
        s->creates++;
        AF_CHECK_SLICE(header_of(request, "x-amz-checksum-algorithm"), "SHA256");
        AF_CHECK_SLICE(header_of(request, "content-type"), "text/plain");
        say(out, "200 OK", "", AF_SLICE_LIT("<R xmlns=\"x\"><UploadId>id/1</UploadId></R>"));
    } else if (af_slice_has_prefix(request, "PUT /bucket/k?")) {
        put_part(s, request, out);
    } else if (af_slice_has_prefix(request, "PUT /bucket/k ")) {
        s->puts++;
        af_buf_clear(&s->object);
        af_buf_append_slice(&s->object, body_of(request));
        say(out, "200 OK", "ETag: \"whole\"\r\n", (struct af_slice){ 0 });
    } else if (af_slice_has_prefix(request, "POST /bucket/k?uploadId=id%2F1 ")) {
        complete(s, request, out);
    } else if (af_slice_has_prefix(request, "DELETE /bucket/k?uploadId=id%2F1 ")) {
        s->aborts++;
        say(out, "204 No Content", "", (struct af_slice){ 0 });
    } else if (af_slice_has_prefix(request, "HEAD /bucket/k ")) {
        s->heads++;
        (void)snprintf(headers, sizeof headers, "x-amz-checksum-sha256: %s\r\n", af_buf_cstr(&s->checksum));
        say(out, "200 OK", headers, (struct af_slice){ 0 });
    } else {
        say_error(out, "400 Bad Request", "What");
    }
    af_mutex_unlock(&s->lock);
    return false;
}

static void store_open(struct store *s, const struct af_s3_options *options)
{
    *s = (struct store){ 0 };
    af_mutex_init(&s->lock);
    for (size_t i = 0; i <= PARTS_MAX; i++)
        af_buf_init(&s->parts[i], 64 * M);
    af_buf_init(&s->object, 512 * M);
    af_buf_init(&s->checksum, 200);
    s->peer = af_peer_start_with(answer_store, s);
    pool_open(af_peer_url(s->peer), options, &s->aws, &s->s3);
}

static void store_close(struct store *s)
{
    af_s3_close(s->s3);
    af_aws_close(s->aws);
    af_peer_stop(s->peer);
    for (size_t i = 0; i <= PARTS_MAX; i++)
        af_buf_done(&s->parts[i]);
    af_buf_done(&s->object);
    af_buf_done(&s->checksum);
    af_mutex_done(&s->lock);
}

/* `bytes` in uneven pieces. */
static enum af_status upload(struct store *s, size_t bytes, bool finish, struct af_error *err)
{
    struct af_s3_upload *upload;
    AF_TRY(af_s3_upload_begin(s->s3, "bucket", "k", "text/plain", &upload, err));
    static char piece[300001];
    enum af_status status = AF_OK;
    for (size_t at = 0; at < bytes && status == AF_OK;) {
        size_t take = bytes - at < sizeof piece ? bytes - at : sizeof piece;
        for (size_t i = 0; i < take; i++)
            piece[i] = (char)byte_at(at + i);
        status = af_s3_upload_write(upload, af_slice_make(piece, take), err);
        at += take;
    }
    if (status == AF_OK && finish)
        status = af_s3_upload_finish(upload, err);
    af_s3_upload_free(upload);
    return status;
}

static void check_object(const struct store *s, size_t bytes)
{
    AF_CHECK_INT(s->object.len, bytes);
    for (size_t i = 0; i < bytes; i++)
        if ((uint8_t)s->object.ptr[i] != byte_at(i))
            af_test_failed(__FILE__, __LINE__, "byte %zu is another", i);
}

AF_TEST(s3_upload_of_one_part_is_a_put)
{
    struct store s;
    struct af_error err = { 0 };
    store_open(&s, NULL);
    AF_CHECK_OK(upload(&s, 3 * M, true, &err), err);
    check_object(&s, 3 * M);
    AF_CHECK_OK(upload(&s, 0, true, &err), err);
    check_object(&s, 0);
    AF_CHECK(s.creates == 0 && s.puts == 2 && s.aborts == 0);
    store_close(&s);
}

AF_TEST(s3_upload_in_parts)
{
    struct store s;
    struct af_error err = { 0 };
    store_open(&s, &(struct af_s3_options){ .connections = 3, .memory_bytes = 20 * M, .part_bytes = 5 * M });
    AF_CHECK_OK(upload(&s, 23 * M + 5, true, &err), err);
    check_object(&s, 23 * M + 5);
    AF_CHECK(s.creates == 1 && s.puts == 5 && s.completes == 1 && s.aborts == 0);
    store_close(&s);
}

AF_TEST(s3_upload_given_up_leaves_nothing)
{
    struct store s;
    struct af_error err = { 0 };
    store_open(&s, &(struct af_s3_options){ .part_bytes = 5 * M });
    AF_CHECK_OK(upload(&s, 12 * M, false, &err), err);
    AF_CHECK(s.creates == 1 && s.completes == 0 && s.aborts == 1 && s.object.len == 0);
    store_close(&s);
}

AF_TEST(s3_upload_with_a_part_refused)
{
    struct store s;
    struct af_error err = { 0 };
    store_open(&s, &(struct af_s3_options){ .part_bytes = 5 * M });
    s.fail_part = 2;
    AF_CHECK_FAILS(upload(&s, 22 * M, true, &err), AF_EDENIED);
    AF_CHECK(strstr(err.message, "s3://bucket/k") != NULL);
    AF_CHECK(s.completes == 0 && s.aborts == 1 && s.object.len == 0);
    store_close(&s);
}

AF_TEST(s3_upload_that_fails_at_the_end)
{
    struct store s;
    struct af_error err = { 0 };
    store_open(&s, &(struct af_s3_options){ .part_bytes = 5 * M });
    s.complete_code = "InternalError";
    s.complete_fails = 3;
    AF_CHECK_FAILS(upload(&s, 11 * M, true, &err), AF_EIO);
    AF_CHECK(strstr(err.message, "InternalError") != NULL && s.aborts == 1 && s.completes == 3 && s.heads == 1);
    store_close(&s);
    store_open(&s, &(struct af_s3_options){ .part_bytes = 5 * M });
    s.complete_code = "InvalidPart"; /* will not be another the next time */
    s.complete_fails = 3;
    AF_CHECK_FAILS(upload(&s, 11 * M, true, &err), AF_EINVAL);
    AF_CHECK(s.completes == 1 && s.heads == 0 && s.aborts == 1);
    store_close(&s);
    for (size_t i = 0; i < 2; i++) { /* it passes; an answer in pieces, too */
        store_open(&s, &(struct af_s3_options){ .part_bytes = 5 * M });
        s.complete_code = i == 0 ? "SlowDown" : NULL;
        s.complete_fails = 2;
        AF_CHECK_OK(upload(&s, 11 * M, true, &err), err);
        AF_CHECK(s.completes == 3 && s.aborts == 0);
        check_object(&s, 11 * M);
        store_close(&s);
    }
    store_open(&s, &(struct af_s3_options){ .part_bytes = 5 * M });
    s.lie_checksum = true;
    AF_CHECK_FAILS(upload(&s, 11 * M, true, &err), AF_ECORRUPT);
    store_close(&s);
}

/* Done, and the answer lost: the second attempt finds no upload, but the object. */
AF_TEST(s3_upload_whose_end_nobody_heard_of)
{
    struct store s;
    struct af_error err = { 0 };
    store_open(&s, &(struct af_s3_options){ .part_bytes = 5 * M });
    s.lose_answer = true;
    AF_CHECK_OK(upload(&s, 11 * M, true, &err), err);
    check_object(&s, 11 * M);
    AF_CHECK(s.completes == 2 && s.heads == 1 && s.aborts == 0);
    store_close(&s);
}

AF_TEST(s3_upload_without_memory)
{
    struct store s;
    store_open(&s, &(struct af_s3_options){ .part_bytes = 5 * M });
    for (size_t nth = 1; nth < 2000; nth += nth < 60 ? 1 : 7) {
        struct af_error err = { 0 };
        s.completes = 0;
        af_buf_clear(&s.object);
        (void)af_alloc_fail_nth(nth);
        enum af_status status = upload(&s, 6 * M, true, &err);
        size_t made = af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        if (status == AF_OK)
            check_object(&s, 6 * M);
        if (status == AF_OK && made < nth)
            break;
    }
    store_close(&s);
}
