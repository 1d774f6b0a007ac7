/*
 * s3_call.c - one call to S3, by a connection of the pool; and objects small enough for one call.
 *
 *     bucket where we thought:    call ---> answer
 *     bucket of another region:   call ---> 301, 307, 400 AuthorizationHeaderMalformed: "it is in eu-west-1"
 *                                 call there ---> answer        the next calls for this bucket go there at once
 */
#include "aws/s3_int.h"
#include "base/alloc.h"
#include "base/numbers.h"
#include "codec/base64.h"
#include "codec/digest.h"
#include "format/xml/xml.h"
#include "os/clock.h"
#include <stdio.h>

enum { UNSETTLED_MAX = 6, UNSETTLED_PAUSE_MS = 25 };

struct s3_connection {
    struct s3_connection *next;
    struct af_aws_client *client;
    char region[S3_REGION_BYTES]; /* that it was pointed to; "": as configured */
};

/* --- connections ------------------------------------------------------------------------------------------------------------- */

static void connection_free(struct s3_connection *connection)
{
    if (connection == NULL)
        return;
    af_aws_client_free(connection->client);
    af_free(connection);
}

void s3_connections_free(struct af_s3 *s3)
{
    while (s3->idle != NULL) {
        struct s3_connection *connection = s3->idle;
        s3->idle = connection->next;
        connection_free(connection);
    }
}

/* An idle one that speaks to that region. */
static struct s3_connection *take_idle(struct af_s3 *s3, const char *region)
{
    struct s3_connection *found = NULL;
    af_mutex_lock(&s3->lock);
    for (struct s3_connection **at = &s3->idle; *at != NULL && found == NULL; at = &(*at)->next) {
        if (strcmp((*at)->region, region) != 0)
            continue;
        found = *at;
        *at = found->next;
        break;
    }
    af_mutex_unlock(&s3->lock);
    return found;
}

static enum af_status take_connection(struct af_s3 *s3, const char *region, struct s3_connection **out, struct af_error *err)
{
    *out = take_idle(s3, region);
    if (*out != NULL)
        return AF_OK;
    struct s3_connection *connection = af_alloc_zero(1, sizeof *connection);
    if (connection == NULL)
        return af_fail_nomem(err, "a connection to S3");
    (void)snprintf(connection->region, sizeof connection->region, "%s", region);
    enum af_status status = af_aws_client_new(s3->aws, "s3", &connection->client, err);
    if (status == AF_OK && region[0] != '\0')
        status = af_aws_client_point(connection->client, NULL, region, err);
    if (status != AF_OK) {
        connection_free(connection);
        return status;
    }
    *out = connection;
    return AF_OK;
}

static void give_back(struct af_s3 *s3, struct s3_connection *connection)
{
    af_mutex_lock(&s3->lock);
    connection->next = s3->idle;
    s3->idle = connection;
    af_mutex_unlock(&s3->lock);
}

/* --- regions ----------------------------------------------------------------------------------------------------------------- */

static void known_region(struct af_s3 *s3, const char *bucket, char out[S3_REGION_BYTES])
{
    out[0] = '\0';
    af_mutex_lock(&s3->lock);
    size_t kept = s3->region_count < S3_REGIONS_KEPT ? s3->region_count : S3_REGIONS_KEPT;
    for (size_t i = 0; i < kept; i++)
        if (strcmp(s3->regions[i].bucket, bucket) == 0)
            (void)snprintf(out, S3_REGION_BYTES, "%s", s3->regions[i].region);
    af_mutex_unlock(&s3->lock);
}

static void learn_region(struct af_s3 *s3, const char *bucket, const char *region)
{
    af_mutex_lock(&s3->lock);
    size_t kept = s3->region_count < S3_REGIONS_KEPT ? s3->region_count : S3_REGIONS_KEPT;
    size_t at = 0;
    while (at < kept && strcmp(s3->regions[at].bucket, bucket) != 0)
        at++;
    if (at == kept)
        at = s3->region_count++ % S3_REGIONS_KEPT;
    (void)snprintf(s3->regions[at].bucket, sizeof s3->regions[at].bucket, "%s", bucket);
    (void)snprintf(s3->regions[at].region, sizeof s3->regions[at].region, "%s", region);
    af_mutex_unlock(&s3->lock);
}

/* It becomes part of a host's name. */
static bool take_region(struct af_slice text, char out[S3_REGION_BYTES])
{
    if (text.len == 0 || text.len >= S3_REGION_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!((text.ptr[i] >= 'a' && text.ptr[i] <= 'z') || (text.ptr[i] >= '0' && text.ptr[i] <= '9') || text.ptr[i] == '-'))
            return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

/* Does a failed answer say where the bucket is? HEAD has no body, so its status and header must do. */
static bool says_region(const struct af_aws_answer *answer, char out[S3_REGION_BYTES])
{
    int status = answer->http.status;
    bool is_elsewhere = status == 301 || status == 307 || strcmp(answer->code, "AuthorizationHeaderMalformed") == 0 ||
                        strcmp(answer->code, "IllegalLocationConstraintException") == 0 || (status == 400 && answer->http.body.len == 0);
    if (!is_elsewhere)
        return false;
    if (take_region(af_http_answer_header(&answer->http, "x-amz-bucket-region"), out))
        return true;
    struct af_arena arena;
    struct af_xml *root = NULL;
    af_arena_init(&arena, 1 << 20);
    bool found = af_xml_parse(af_buf_slice(&answer->http.body), &arena, &root, NULL) == AF_OK &&
                 take_region(af_slice_trim(af_xml_text(root, "Region")), out);
    af_arena_done(&arena);
    return found;
}

/* --- a call ------------------------------------------------------------------------------------------------------------------ */

enum { HEADERS_MAX = 16 };

static struct af_aws_pair pair(const char *name, const char *value)
{
    return (struct af_aws_pair){ af_slice_of(name), af_slice_of(value) };
}

static size_t common_headers(const struct af_s3 *s3, const struct s3_call *call, struct af_aws_pair headers[HEADERS_MAX])
{
    const struct af_s3_options *o = &s3->options;
    size_t count = 0;
    for (; count < call->header_count; count++)
        headers[count] = call->headers[count];
    if (o->requester_pays)
        headers[count++] = pair("x-amz-request-payer", "requester");
    if (o->expected_owner != NULL)
        headers[count++] = pair("x-amz-expected-bucket-owner", o->expected_owner);
    if (call->encrypts && o->kms_key_id != NULL) {
        headers[count++] = pair("x-amz-server-side-encryption", "aws:kms");
        if (o->kms_key_id[0] != '\0')
            headers[count++] = pair("x-amz-server-side-encryption-aws-kms-key-id", o->kms_key_id);
    }
    return count;
}

/* By host where AWS's certificates fit the name: without dots, capitals and underscores. */
static bool goes_by_host(const struct s3_connection *connection, const char *bucket)
{
    return af_aws_client_is_own(connection->client) && strpbrk(bucket, "._ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL && strlen(bucket) <= 63;
}

static enum af_status send_to(struct af_s3 *s3, const struct s3_call *call, struct s3_connection *connection,
                              struct af_aws_answer *answer, struct af_error *err)
{
    struct af_aws_pair headers[HEADERS_MAX];
    char prefix[300];
    char path[1400];
    const char *key = call->key != NULL ? call->key : "";
    bool by_host = goes_by_host(connection, call->bucket);
    (void)snprintf(prefix, sizeof prefix, "%s.", call->bucket);
    int len = by_host ? snprintf(path, sizeof path, "/%s", key)
                      : snprintf(path, sizeof path, call->key != NULL ? "/%s/%s" : "/%s", call->bucket, key);
    if (len < 0 || (size_t)len >= sizeof path)
        return af_fail(err, AF_EINVAL, "s3://%s: a key of %zu bytes; S3 has none longer than 1024", call->bucket, strlen(key));
    struct af_aws_request request = {
        .method = call->method, .host_prefix = by_host ? prefix : NULL, .path = af_slice_make(path, (size_t)len), .query = call->query,
        .query_count = call->query_count, .headers = headers, .header_count = common_headers(s3, call, headers), .body = call->body,
        .on_body = call->on_body, .again = call->again, .ctx = call->ctx,
        .cancel = call->cancel != NULL ? call->cancel : s3->options.cancel };
    return af_aws_send(connection->client, &request, answer, err);
}

static enum af_status send_there(struct af_s3 *s3, const struct s3_call *call, const char *region, struct af_aws_answer *answer,
                                 struct af_error *err)
{
    struct s3_connection *connection;
    AF_TRY(take_connection(s3, region, &connection, err));
    enum af_status status = send_to(s3, call, connection, answer, err);
    give_back(s3, connection);
    return status;
}

enum af_status s3_send(struct af_s3 *s3, const struct s3_call *call, struct af_aws_answer *answer, struct af_error *err)
{
    char region[S3_REGION_BYTES];
    char there[S3_REGION_BYTES];
    struct af_error why = { 0 };
    if (call->key != NULL && call->key[0] == '\0') /* it would be a call to the bucket: DELETE would delete that */
        return af_fail(err, AF_EINVAL, "s3://%s/: %s of an object without a name", call->bucket, call->operation);
    known_region(s3, call->bucket, region);
    enum af_status status = send_there(s3, call, region, answer, &why);
    if (status != AF_OK && says_region(answer, there) && strcmp(region, there) != 0) {
        learn_region(s3, call->bucket, there);
        if (call->again != NULL)
            call->again(call->ctx);
        af_aws_answer_done(answer); /* with its count of attempts */
        af_aws_answer_init(answer);
        status = send_there(s3, call, there, answer, &why);
    }
    if (status != AF_OK && err != NULL) {
        *err = why;
        af_error_prefix(err, call->key != NULL ? "s3://%s/%s: " : "s3://%s: ", call->bucket, call->key);
    }
    return status;
}

/* --- small objects ----------------------------------------------------------------------------------------------------------- */

static enum af_status take_head(const struct af_aws_answer *answer, const char *bucket, const char *key, struct af_s3_object *out,
                                struct af_error *err)
{
    struct af_s3_object object = { .key = key };
    const struct af_http_answer *http = &answer->http;
    if (!af_u64_parse(af_http_answer_header(http, "content-length"), &object.bytes) || object.bytes > INT64_MAX)
        return af_fail(err, AF_ECORRUPT, "s3://%s/%s: S3 does not say how long it is", bucket, key);
    if (!s3_etag(af_http_answer_header(http, "etag"), object.etag))
        return af_fail(err, AF_ECORRUPT, "s3://%s/%s: S3 does not say which version it is (no ETag)", bucket, key);
    (void)s3_http_date(af_http_answer_header(http, "last-modified"), &object.mtime_ns);
    *out = object;
    return AF_OK;
}

enum af_status af_s3_head(struct af_s3 *s3, const char *bucket, const char *key, const char *version, struct af_s3_object *out,
                          struct af_error *err)
{
    struct af_aws_pair query = { AF_SLICE_LIT("versionId"), af_slice_of(version) };
    struct s3_call call = { .operation = "HeadObject", .method = "HEAD", .bucket = bucket, .key = key, .query = &query,
                            .query_count = version != NULL };
    struct af_aws_answer answer;
    af_aws_answer_init(&answer);
    enum af_status status = s3_send(s3, &call, &answer, err);
    if (status == AF_OK)
        status = take_head(&answer, bucket, key, out, err);
    af_aws_answer_done(&answer);
    return status;
}

struct whole {
    struct af_buf *out;
    size_t mark;
};

static enum af_status take_whole(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct whole *whole = ctx;
    af_buf_append_slice(whole->out, bytes);
    return af_buf_check(whole->out, "an object of S3", err);
}

static void forget_whole(void *ctx)
{
    struct whole *whole = ctx;
    af_buf_rewind(whole->out, whole->mark);
}

/* A body that ends where the connection does may have been cut. */
static bool says_its_end(const struct af_http_answer *http)
{
    return af_http_answer_header(http, "content-length").len != 0 || af_http_answer_header(http, "transfer-encoding").len != 0;
}

enum af_status af_s3_get(struct af_s3 *s3, const char *bucket, const char *key, struct af_buf *out, char out_etag[64], struct af_error *err)
{
    struct whole whole = { out, out->len };
    char etag[64] = "";
    struct s3_call call = { .operation = "GetObject", .method = "GET", .bucket = bucket, .key = key, .on_body = take_whole,
                            .again = forget_whole, .ctx = &whole };
    struct af_aws_answer answer;
    af_aws_answer_init(&answer);
    enum af_status status = s3_send(s3, &call, &answer, err);
    if (status == AF_OK && !says_its_end(&answer.http))
        status = af_fail(err, AF_ECORRUPT, "s3://%s/%s: S3 does not say how long it is, so its end may be missing", bucket, key);
    if (status == AF_OK && !s3_etag(af_http_answer_header(&answer.http, "etag"), etag) && out_etag != NULL)
        status = af_fail(err, AF_ECORRUPT, "s3://%s/%s: S3 does not say which version it is (no ETag)", bucket, key);
    if (status == AF_OK && out_etag != NULL)
        memcpy(out_etag, etag, sizeof etag);
    if (status != AF_OK)
        forget_whole(&whole);
    af_aws_answer_done(&answer);
    return status;
}

enum af_status s3_checksum(struct af_slice bytes, uint8_t digest[AF_SHA256_BYTES], struct af_buf *text, struct af_error *err)
{
    if (!af_sha256(bytes, digest))
        return af_fail_nomem(err, "a checksum");
    af_base64_append(text, af_slice_make(digest, AF_SHA256_BYTES));
    return af_buf_check(text, "a checksum", err);
}

bool s3_holds(struct af_s3 *s3, const char *bucket, const char *key, struct af_slice checksum, struct af_aws_answer *answer)
{
    const struct af_aws_pair header = pair("x-amz-checksum-mode", "ENABLED");
    struct s3_call call = { .operation = "HeadObject", .method = "HEAD", .bucket = bucket, .key = key, .headers = &header,
                            .header_count = 1 };
    return s3_send(s3, &call, answer, NULL) == AF_OK &&
           af_slice_eq(af_http_answer_header(&answer->http, "x-amz-checksum-sha256"), checksum);
}

/* Others write at the same time, and who was first is not settled: so it is asked again, until the condition itself answers. */
static enum af_status send_settled(struct af_s3 *s3, const struct s3_call *call, struct af_aws_answer *answer, bool *out_is_again,
                                   struct af_error *err)
{
    enum af_status status = s3_send(s3, call, answer, err);
    for (unsigned i = 0; i < UNSETTLED_MAX && status == AF_ECONFLICT && answer->http.status == 409; i++) {
        for (unsigned looks = 0; looks < 1u << i && !s3_flag(s3->options.cancel); looks++)
            af_clock_sleep_ms(UNSETTLED_PAUSE_MS);
        if (s3_flag(s3->options.cancel))
            return af_fail(err, AF_ECANCELED, "stopped while writing s3://%s/%s", call->bucket, call->key);
        *out_is_again = *out_is_again || answer->attempts > 1;
        af_aws_answer_done(answer);
        af_aws_answer_init(answer);
        status = s3_send(s3, call, answer, err);
    }
    *out_is_again = *out_is_again || answer->attempts > 1;
    return status;
}

/* A condition that fails after a first attempt whose answer was lost may have been met by that attempt. */
static enum af_status put(struct af_s3 *s3, const struct s3_call *call, struct af_slice checksum, char out_etag[64], struct af_error *err)
{
    char etag[64];
    bool is_again = false;
    struct af_aws_answer answer;
    af_aws_answer_init(&answer);
    enum af_status status = send_settled(s3, call, &answer, &is_again, err);
    if (status == AF_ECONFLICT && is_again && s3_holds(s3, call->bucket, call->key, checksum, &answer))
        status = AF_OK;
    if (status == AF_OK && out_etag != NULL) {
        if (s3_etag(af_http_answer_header(&answer.http, "etag"), etag))
            memcpy(out_etag, etag, sizeof etag);
        else
            status = af_fail(err, AF_ECORRUPT, "s3://%s/%s: S3 does not say which version it made (no ETag)", call->bucket, call->key);
    }
    af_aws_answer_done(&answer);
    return status;
}

enum af_status af_s3_put(struct af_s3 *s3, const char *bucket, const char *key, struct af_slice bytes, const char *content_type,
                         enum af_s3_if when, const char *etag, char out_etag[64], struct af_error *err)
{
    uint8_t digest[AF_SHA256_BYTES];
    char quoted[70];
    struct af_buf checksum;
    af_buf_init(&checksum, 64);
    enum af_status status = s3_checksum(bytes, digest, &checksum, err);
    if (status == AF_OK) {
        struct af_aws_pair headers[8] = { pair("content-type", content_type != NULL ? content_type : "application/octet-stream"),
                                          { AF_SLICE_LIT("x-amz-checksum-sha256"), af_buf_slice(&checksum) },
                                          pair("x-amz-sdk-checksum-algorithm", "SHA256") };
        size_t count = 3;
        (void)snprintf(quoted, sizeof quoted, "\"%s\"", etag != NULL ? etag : "");
        if (when == AF_S3_IF_NEW)
            headers[count++] = pair("if-none-match", "*");
        else if (when == AF_S3_IF_MATCH)
            headers[count++] = pair("if-match", quoted);
        struct s3_call call = { .operation = "PutObject", .method = "PUT", .bucket = bucket, .key = key, .headers = headers,
                                .header_count = count, .encrypts = true, .body = bytes };
        status = put(s3, &call, af_buf_slice(&checksum), out_etag, err);
    }
    af_buf_done(&checksum);
    return status;
}

enum af_status af_s3_delete(struct af_s3 *s3, const char *bucket, const char *key, struct af_error *err)
{
    struct s3_call call = { .operation = "DeleteObject", .method = "DELETE", .bucket = bucket, .key = key };
    struct af_aws_answer answer;
    af_aws_answer_init(&answer);
    enum af_status status = s3_send(s3, &call, &answer, err);
    af_aws_answer_done(&answer);
    return status;
}
