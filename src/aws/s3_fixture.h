/*
 * s3_fixture.h - for the tests of S3: a bucket with one object on a loopback port, which tells the truth or does not, and a pool that
 * speaks to it.
 */
#ifndef AF_AWS_S3_FIXTURE_H
#define AF_AWS_S3_FIXTURE_H
#include "aws/s3_int.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "os/clock.h"
#include "test/lib/http_peer.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>

enum lie {
    LIE_NONE,
    LIE_SHORT,        /* fewer bytes than asked for, honest about their number */
    LIE_LONG,         /* more */
    LIE_OTHER_RANGE,  /* Content-Range says another place */
    LIE_NO_RANGE,     /* no Content-Range */
    LIE_SIZE,         /* Content-Range says another size */
    LIE_WHOLE,        /* 200 and all of it */
    LIE_CUT,          /* Content-Length is right, the connection ends before */
    LIE_500,
    LIE_503,          /* SlowDown */
    LIE_404,
    LIE_416,
};

struct bucket {
    uint64_t size;
    char etag[64];
    enum lie lie;
    unsigned lies_left;     /* so many answers lie; UINT_MAX: all */
    unsigned changes_after; /* so many ranges the object becomes another; 0: never */
    /* counted, under lock */
    struct af_mutex lock;
    unsigned ranges;
    uint64_t bytes;
    uint64_t bytes_max_at_once;
    struct af_range asked[512];
    bool has_if_match;
    struct af_peer *peer;
    struct af_aws *aws;
    struct af_s3 *s3;
};

/* The byte at every offset, so that objects of any size need no memory. */
static inline uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)((offset * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static inline struct af_slice header_of(struct af_slice request, const char *name)
{
    char find[80];
    (void)snprintf(find, sizeof find, "\r\n%s:", name);
    for (size_t i = 0; i + strlen(find) < request.len; i++) {
        size_t n = 0;
        while (find[n] != '\0' && (request.ptr[i + n] | 0x20) == (find[n] | 0x20))
            n++;
        if (find[n] != '\0')
            continue;
        const char *from = request.ptr + i + n;
        const char *end = memchr(from, '\r', request.len - i - n);
        return end != NULL ? af_slice_trim(af_slice_make(from, (size_t)(end - from))) : (struct af_slice){ 0 };
    }
    return (struct af_slice){ 0 };
}

static inline void say(struct af_buf *out, const char *status, const char *headers, struct af_slice body)
{
    af_buf_printf(out, "HTTP/1.1 %s\r\n%sConnection: close\r\nContent-Length: %zu\r\n\r\n", status, headers, body.len);
    af_buf_append_slice(out, body);
}

static inline void say_error(struct af_buf *out, const char *status, const char *code)
{
    char body[200];
    (void)snprintf(body, sizeof body, "<Error><Code>%s</Code><Message>words</Message><RequestId>R1</RequestId></Error>", code);
    say(out, status, "Content-Type: application/xml\r\n", af_slice_of(body));
}

static inline void append_range(struct af_buf *out, uint64_t first, uint64_t len)
{
    char *at = af_buf_reserve(out, len);
    AF_CHECK(at != NULL);
    for (uint64_t i = 0; i < len; i++)
        at[i] = (char)byte_at(first + i);
    out->len += len;
}

static inline void say_range(const struct bucket *b, uint64_t first, uint64_t last, enum lie lie, struct af_buf *out)
{
    uint64_t len = last - first + 1;
    uint64_t sent = lie == LIE_SHORT ? len / 2 : lie == LIE_LONG ? len + 3 : len;
    uint64_t told = lie == LIE_OTHER_RANGE ? first + 1 : first;
    if (lie == LIE_WHOLE) {
        first = 0;
        sent = b->size;
        af_buf_append_str(out, "HTTP/1.1 200 OK\r\n");
    } else {
        af_buf_append_str(out, "HTTP/1.1 206 Partial Content\r\n");
        if (lie != LIE_NO_RANGE)
            af_buf_printf(out, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)told,
                          (unsigned long long)(told + len - 1), (unsigned long long)(b->size + (lie == LIE_SIZE)));
    }
    af_buf_printf(out, "Connection: close\r\nETag: \"%s\"\r\nContent-Length: %llu\r\n\r\n", b->etag, (unsigned long long)sent);
    append_range(out, first, lie == LIE_CUT ? sent / 2 : sent);
}

static inline void answer_get(struct bucket *b, struct af_slice request, struct af_buf *out)
{
    unsigned long long first = 0;
    unsigned long long last = b->size - 1;
    struct af_slice range = header_of(request, "range");
    struct af_slice match = header_of(request, "if-match");
    char text[80];
    (void)snprintf(text, sizeof text, "%.*s", (int)range.len, range.len != 0 ? range.ptr : "");
    if (range.len != 0)
        AF_CHECK(sscanf(text, "bytes=%llu-%llu", &first, &last) == 2 && first <= last && last < b->size);
    af_mutex_lock(&b->lock);
    b->has_if_match = match.len != 0;
    if (b->ranges < 512)
        b->asked[b->ranges] = (struct af_range){ first, last - first + 1 };
    b->ranges++;
    b->bytes += last - first + 1;
    if (b->changes_after != 0 && b->ranges > b->changes_after)
        (void)snprintf(b->etag, sizeof b->etag, "another");
    enum lie lie = b->lies_left != 0 ? b->lie : LIE_NONE;
    b->lies_left -= b->lies_left != 0 && b->lies_left != UINT32_MAX;
    af_mutex_unlock(&b->lock);
    (void)snprintf(text, sizeof text, "\"%s\"", b->etag);
    if (match.len != 0 && !af_slice_is(match, text))
        say_error(out, "412 Precondition Failed", "PreconditionFailed");
    else if (lie == LIE_500)
        say_error(out, "500 Internal Server Error", "InternalError");
    else if (lie == LIE_503)
        say_error(out, "503 Slow Down", "SlowDown");
    else if (lie == LIE_404)
        say_error(out, "404 Not Found", "NoSuchKey");
    else if (lie == LIE_416)
        say_error(out, "416 Range", "InvalidRange");
    else
        say_range(b, first, last, lie, out);
}

static inline bool answer_bucket(void *ctx, struct af_slice request, struct af_buf *out)
{
    struct bucket *b = ctx;
    char head[300];
    if (af_slice_has_prefix(request, "HEAD ")) {
        (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nConnection: close\r\nETag: \"%s\"\r\nContent-Length: %llu\r\n"
                       "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n", b->etag, (unsigned long long)b->size);
        af_buf_append_str(out, head);
    } else {
        answer_get(b, request, out);
    }
    return false;
}

/* The variables of a test. */
static inline const char *variable(void *ctx, const char *name)
{
    (void)ctx;
    if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0 || strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0)
        return "testing";
    if (strcmp(name, "AWS_CONFIG_FILE") == 0 || strcmp(name, "AWS_SHARED_CREDENTIALS_FILE") == 0)
        return "/nowhere/at-all";
    return strcmp(name, "AWS_REGION") == 0 ? "us-east-1" : NULL;
}

static inline void pool_open(const char *url, const struct af_s3_options *options, struct af_aws **out_aws, struct af_s3 **out_s3)
{
    struct af_error err = { 0 };
    const struct af_aws_options aws = { .endpoint_url = url, .variable = variable, .max_attempts = 2 };
    const struct af_s3_options none = { 0 };
    AF_CHECK_OK(af_aws_open(&aws, out_aws, &err), err);
    AF_CHECK_OK(af_s3_open(*out_aws, options != NULL ? options : &none, out_s3, &err), err);
}

static inline void bucket_open(struct bucket *b, uint64_t size, const struct af_s3_options *options)
{
    *b = (struct bucket){ .size = size, .etag = "one", .lies_left = 0 };
    af_mutex_init(&b->lock);
    b->peer = af_peer_start_with(answer_bucket, b);
    pool_open(af_peer_url(b->peer), options, &b->aws, &b->s3);
}

static inline void bucket_close(struct bucket *b)
{
    af_s3_close(b->s3);
    af_aws_close(b->aws);
    af_peer_stop(b->peer);
    af_mutex_done(&b->lock);
}

static inline unsigned ranges_so_far(struct bucket *b)
{
    af_mutex_lock(&b->lock);
    unsigned ranges = b->ranges;
    af_mutex_unlock(&b->lock);
    return ranges;
}

static inline struct af_reader *open_object(struct bucket *b)
{
    struct af_error err = { 0 };
    struct af_reader *reader;
    const struct af_s3_object known = { .bytes = b->size, .etag = "one" };
    AF_CHECK_OK(af_s3_reader_open(b->s3, "bucket", "data/x.parquet", &known, &reader, &err), err);
    AF_CHECK_INT(reader->size, b->size);
    AF_CHECK_STR(reader->name, "s3://bucket/data/x.parquet");
    return reader;
}

static inline void check_read(struct af_reader *reader, uint64_t offset, size_t len)
{
    struct af_error err = { 0 };
    uint8_t *got = malloc(len + 1);
    AF_CHECK(got != NULL);
    AF_CHECK_OK(af_reader_read(reader, offset, got, len, &err), err);
    for (size_t i = 0; i < len; i++)
        if (got[i] != byte_at(offset + i))
            af_test_failed(__FILE__, __LINE__, "byte %llu is another", (unsigned long long)(offset + i));
    free(got);
}
#endif
