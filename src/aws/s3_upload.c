/*
 * s3_upload.c - an object in parts.
 *
 *     write ---> the part being filled --- full ---> a job of the pool: PutPart ---> ETag, checksum
 *     finish --> one part: PutObject; else the last part, all waited for, CompleteMultipartUpload with what every part is
 *
 * Memory: parts on their way and the one being filled, at most memory_bytes; write waits for room. A part that failed ends the upload:
 * the next call says why. Parts grow as they get many, so that 10,000 of them reach far.
 */
#include "aws/s3_int.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "codec/base64.h"
#include "format/xml/xml.h"
#include "os/clock.h"
#include <stdio.h>

enum { PARTS_MAX = 10000, PARTS_UNTIL_GROWTH = 1000, LOOK_NS = 50000000, COMPLETES_MAX = 3, COMPLETE_PAUSE_MS = 200 };

struct part {
    char etag[64];
    uint8_t digest[AF_SHA256_BYTES];
};

struct af_s3_upload {
    struct af_s3 *s3;
    char *bucket, *key, *content_type;
    char id[1024];            /* "": not begun, there is one part at most */
    struct af_buf filling;
    size_t part_bytes;        /* of the part being filled */
    struct af_mutex lock;     /* of what follows */
    struct af_cond change;
    struct part *parts;
    size_t part_count, part_cap;
    uint64_t held;            /* bytes of parts on their way */
    unsigned on_the_way;
    bool has_failed, is_done;
    bool cancel;
    struct af_error failure;
};

struct part_job {
    struct s3_job job; /* first */
    struct af_s3_upload *upload;
    struct af_buf bytes;
    size_t number;     /* from 1 */
};

static char *copy_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = af_alloc(bytes);
    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}

enum af_status af_s3_upload_begin(struct af_s3 *s3, const char *bucket, const char *key, const char *content_type,
                                  struct af_s3_upload **out, struct af_error *err)
{
    struct af_s3_upload *upload = af_alloc_zero(1, sizeof *upload);
    if (upload == NULL)
        return af_fail_nomem(err, "an upload");
    upload->s3 = s3;
    af_mutex_init(&upload->lock);
    af_cond_init(&upload->change);
    upload->part_bytes = (size_t)s3->options.part_bytes;
    af_buf_init(&upload->filling, upload->part_bytes);
    upload->bucket = copy_text(bucket);
    upload->key = copy_text(key);
    upload->content_type = copy_text(content_type != NULL ? content_type : "application/octet-stream");
    if (upload->bucket == NULL || upload->key == NULL || upload->content_type == NULL) {
        af_s3_upload_free(upload);
        return af_fail_nomem(err, "an upload");
    }
    *out = upload;
    return AF_OK;
}

/* --- begin in earnest -------------------------------------------------------------------------------------------------------- */

static enum af_status take_id(struct af_s3_upload *upload, struct af_slice xml, struct af_error *err)
{
    struct af_arena arena;
    struct af_xml *root;
    af_arena_init(&arena, 1 << 20);
    enum af_status status = af_xml_parse(xml, &arena, &root, err);
    if (status != AF_OK) {
        af_error_prefix(err, "s3://%s/%s: CreateMultipartUpload: ", upload->bucket, upload->key);
    } else {
        struct af_slice id = af_slice_trim(af_xml_text(root, "UploadId"));
        if (id.len == 0 || id.len >= sizeof upload->id || memchr(id.ptr, '\0', id.len) != NULL)
            status = af_fail(err, AF_ECORRUPT, "s3://%s/%s: S3 began an upload without an id", upload->bucket, upload->key);
        else
            memcpy(upload->id, id.ptr, id.len);
    }
    af_arena_done(&arena);
    return status;
}

static enum af_status create(struct af_s3_upload *upload, struct af_error *err)
{
    const struct af_aws_pair query = { AF_SLICE_LIT("uploads"), AF_SLICE_LIT("") };
    const struct af_aws_pair headers[] = { { AF_SLICE_LIT("content-type"), af_slice_of(upload->content_type) },
                                           { AF_SLICE_LIT("x-amz-checksum-algorithm"), AF_SLICE_LIT("SHA256") } };
    struct s3_call call = { .operation = "CreateMultipartUpload", .method = "POST", .bucket = upload->bucket, .key = upload->key,
                            .query = &query, .query_count = 1, .headers = headers, .header_count = 2, .encrypts = true };
    struct af_aws_answer answer;
    af_aws_answer_init(&answer);
    enum af_status status = s3_send(upload->s3, &call, &answer, err);
    if (status == AF_OK)
        status = take_id(upload, af_buf_slice(&answer.http.body), err);
    af_aws_answer_done(&answer);
    return status;
}

/* --- parts ------------------------------------------------------------------------------------------------------------------- */

static enum af_status send_part(const struct part_job *job, struct part *part, struct af_error *err)
{
    const struct af_s3_upload *upload = job->upload;
    char number[16];
    struct af_buf checksum;
    struct af_aws_answer answer;
    af_buf_init(&checksum, 64);
    af_aws_answer_init(&answer);
    (void)snprintf(number, sizeof number, "%zu", job->number);
    enum af_status status = s3_checksum(af_buf_slice(&job->bytes), part->digest, &checksum, err);
    if (status == AF_OK) {
        const struct af_aws_pair query[] = { { AF_SLICE_LIT("partNumber"), af_slice_of(number) },
                                             { AF_SLICE_LIT("uploadId"), af_slice_of(upload->id) } };
        const struct af_aws_pair headers[] = { { AF_SLICE_LIT("x-amz-checksum-sha256"), af_buf_slice(&checksum) },
                                               { AF_SLICE_LIT("x-amz-sdk-checksum-algorithm"), AF_SLICE_LIT("SHA256") } };
        struct s3_call call = { .operation = "UploadPart", .method = "PUT", .bucket = upload->bucket, .key = upload->key, .query = query,
                                .query_count = 2, .headers = headers, .header_count = 2, .body = af_buf_slice(&job->bytes),
                                .cancel = &upload->cancel };
        status = s3_send(upload->s3, &call, &answer, err);
    }
    if (status == AF_OK && !s3_etag(af_http_answer_header(&answer.http, "etag"), part->etag))
        status = af_fail(err, AF_ECORRUPT, "s3://%s/%s: S3 took part %zu without an ETag", upload->bucket, upload->key, job->number);
    af_aws_answer_done(&answer);
    af_buf_done(&checksum);
    return status;
}

static void job_free(struct part_job *job)
{
    af_buf_done(&job->bytes);
    af_free(job);
}

static void run_job(struct s3_job *base)
{
    struct part_job *job = (struct part_job *)base;
    struct af_s3_upload *upload = job->upload;
    struct part part = { 0 };
    struct af_error err = { 0 };
    enum af_status status = s3_flag(&upload->cancel) ? af_fail(&err, AF_ECANCELED, "the upload was given up") : send_part(job, &part, &err);
    size_t bytes = job->bytes.cap;
    size_t number = job->number;
    job_free(job);
    af_mutex_lock(&upload->lock);
    upload->held -= bytes;
    upload->on_the_way--;
    if (status == AF_OK) {
        upload->parts[number - 1] = part;
    } else if (!upload->has_failed) {
        upload->has_failed = true;
        upload->failure = err;
    }
    af_cond_broadcast(&upload->change);
    af_mutex_unlock(&upload->lock);
}

static enum af_status check_failed_locked(const struct af_s3_upload *upload, struct af_error *err)
{
    if (!upload->has_failed)
        return AF_OK;
    if (err != NULL)
        *err = upload->failure;
    return upload->failure.status;
}

/* Until no more than `held` bytes are on their way, or something failed. */
static enum af_status wait_locked(struct af_s3_upload *upload, uint64_t held, struct af_error *err)
{
    while (upload->held > held && !upload->has_failed) {
        (void)af_cond_wait_until(&upload->change, &upload->lock, af_clock_mono_ns() + LOOK_NS);
        if (s3_flag(upload->s3->options.cancel)) {
            __atomic_store_n(&upload->cancel, true, __ATOMIC_RELAXED);
            return af_fail(err, AF_ECANCELED, "stopped while writing s3://%s/%s", upload->bucket, upload->key);
        }
    }
    return check_failed_locked(upload, err);
}

static enum af_status room_for_part_locked(struct af_s3_upload *upload, struct af_error *err)
{
    if (upload->part_count == PARTS_MAX)
        return af_fail(err, AF_ELIMIT, "s3://%s/%s: %d parts are all that S3 takes, and all are used; larger parts reach further",
                       upload->bucket, upload->key, (int)PARTS_MAX);
    if (upload->part_count < upload->part_cap)
        return AF_OK;
    /* Jobs write into the list, so it must not move under them. */
    AF_TRY(wait_locked(upload, 0, err));
    size_t cap = upload->part_cap == 0 ? 64 : upload->part_cap * 4;
    struct part *parts = af_realloc(upload->parts, cap * sizeof *parts);
    if (parts == NULL)
        return af_fail_nomem(err, "an upload");
    upload->parts = parts;
    upload->part_cap = cap;
    return AF_OK;
}

/* The part that was filled on its way, its bytes with it. */
static enum af_status start_part_locked(struct af_s3_upload *upload, struct af_error *err)
{
    AF_TRY(room_for_part_locked(upload, err));
    uint64_t memory = upload->s3->options.memory_bytes;
    uint64_t next = upload->filling.cap + upload->part_bytes;
    AF_TRY(wait_locked(upload, memory > next ? memory - next : 0, err));
    struct part_job *job = af_alloc_zero(1, sizeof *job);
    if (job == NULL)
        return af_fail_nomem(err, "an upload");
    job->job.run = run_job;
    job->upload = upload;
    job->bytes = upload->filling;
    job->number = upload->part_count + 1;
    const size_t held = job->bytes.cap;
    if (!s3_submit(upload->s3, &job->job)) { /* done and freed by now, if it was taken */
        af_free(job);
        return af_fail_nomem(err, "a thread of an upload");
    }
    upload->held += held;
    upload->on_the_way++;
    upload->part_count++;
    uint64_t most = memory / 2 > upload->part_bytes ? memory / 2 : upload->part_bytes;
    if (upload->part_count % PARTS_UNTIL_GROWTH == 0 && upload->part_bytes * 2 <= most)
        upload->part_bytes *= 2;
    af_buf_init(&upload->filling, upload->part_bytes);
    return AF_OK;
}

static enum af_status start_part(struct af_s3_upload *upload, struct af_error *err)
{
    if (upload->id[0] == '\0')
        AF_TRY(create(upload, err));
    af_mutex_lock(&upload->lock);
    enum af_status status = start_part_locked(upload, err);
    af_mutex_unlock(&upload->lock);
    return status;
}

enum af_status af_s3_upload_write(struct af_s3_upload *upload, struct af_slice bytes, struct af_error *err)
{
    af_mutex_lock(&upload->lock);
    enum af_status status = check_failed_locked(upload, err);
    af_mutex_unlock(&upload->lock);
    AF_TRY(status);
    while (bytes.len != 0) {
        if (upload->filling.len == upload->part_bytes)
            AF_TRY(start_part(upload, err));
        size_t room = upload->part_bytes - upload->filling.len;
        size_t take = bytes.len < room ? bytes.len : room;
        af_buf_append(&upload->filling, bytes.ptr, take);
        AF_TRY(af_buf_check(&upload->filling, "a part of an upload", err));
        bytes = af_slice_make(bytes.ptr + take, bytes.len - take);
    }
    return AF_OK;
}

/* --- the end ----------------------------------------------------------------------------------------------------------------- */

static enum af_status print_parts(const struct af_s3_upload *upload, struct af_buf *out, struct af_error *err)
{
    af_buf_append_str(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < upload->part_count; i++) {
        af_buf_append_str(out, "<Part><ETag>\"");
        af_xml_append_text(out, af_slice_of(upload->parts[i].etag));
        af_buf_append_str(out, "\"</ETag><ChecksumSHA256>");
        af_base64_append(out, af_slice_make(upload->parts[i].digest, AF_SHA256_BYTES));
        af_buf_printf(out, "</ChecksumSHA256><PartNumber>%zu</PartNumber></Part>", i + 1);
    }
    af_buf_append_str(out, "</CompleteMultipartUpload>");
    return af_buf_check(out, "the list of an upload's parts", err);
}

/* SHA-256 over the parts' digests, as S3 calls that of the whole: "base64-PARTS". */
static enum af_status whole_checksum(const struct af_s3_upload *upload, struct af_buf *out, struct af_error *err)
{
    struct af_buf digests;
    uint8_t digest[AF_SHA256_BYTES];
    af_buf_init(&digests, (size_t)PARTS_MAX * AF_SHA256_BYTES);
    for (size_t i = 0; i < upload->part_count; i++)
        af_buf_append(&digests, upload->parts[i].digest, AF_SHA256_BYTES);
    enum af_status status = af_buf_check(&digests, "a checksum", err);
    if (status == AF_OK)
        status = s3_checksum(af_buf_slice(&digests), digest, out, err);
    af_buf_done(&digests);
    af_buf_printf(out, "-%zu", upload->part_count);
    return status == AF_OK ? af_buf_check(out, "a checksum", err) : status;
}

/* Failures that pass: the same call may do the next time. */
static bool is_passing(struct af_slice code)
{
    return af_slice_is(code, "InternalError") || af_slice_is(code, "SlowDown") || af_slice_is(code, "ServiceUnavailable") ||
           af_slice_is(code, "RequestTimeout");
}

/* S3 answers 200 at once and may say later, in the body, that it failed. AF_EIO: it can be asked again. */
static enum af_status check_complete(const struct af_s3_upload *upload, const struct af_aws_answer *answer, struct af_slice checksum,
                                     struct af_error *err)
{
    struct af_arena arena;
    struct af_xml *root;
    af_arena_init(&arena, 1 << 20);
    enum af_status status = af_xml_parse(af_buf_slice(&answer->http.body), &arena, &root, err);
    if (status == AF_ECORRUPT) {
        status = af_fail(err, AF_EIO, "s3://%s/%s: S3's answer to the list of parts is not to be understood", upload->bucket, upload->key);
    } else if (status == AF_OK && af_slice_is(root->name, "Error")) {
        struct af_slice code = af_slice_trim(af_xml_text(root, "Code"));
        struct af_slice words = af_xml_text(root, "Message");
        status = af_fail(err, is_passing(code) ? AF_EIO : AF_EINVAL,
                         "s3://%s/%s: S3 could not put the parts together: " AF_SLICE_FMT ": " AF_SLICE_FMT, upload->bucket, upload->key,
                         AF_SLICE_ARG(code), AF_SLICE_ARG(words));
    } else if (status == AF_OK) {
        struct af_slice said = af_slice_trim(af_xml_text(root, "ChecksumSHA256"));
        if (said.len != 0 && !af_slice_eq(said, checksum))
            status = af_fail(err, AF_ECORRUPT, "s3://%s/%s: S3 put other parts together than were sent: its checksum is " AF_SLICE_FMT
                             ", ours " AF_SLICE_FMT, upload->bucket, upload->key, AF_SLICE_ARG(said), AF_SLICE_ARG(checksum));
    }
    af_arena_done(&arena);
    return status;
}

/* A call that was answered by nobody may have been carried out, and then finds no upload any more: is the object ours? */
static bool is_there(const struct af_s3_upload *upload, struct af_slice checksum)
{
    struct af_aws_answer answer;
    af_aws_answer_init(&answer);
    bool holds = s3_holds(upload->s3, upload->bucket, upload->key, checksum, &answer);
    af_aws_answer_done(&answer);
    return holds;
}

static enum af_status send_complete(struct af_s3_upload *upload, struct af_slice body, struct af_slice checksum, struct af_error *err)
{
    const struct af_aws_pair query = { AF_SLICE_LIT("uploadId"), af_slice_of(upload->id) };
    const struct af_aws_pair header = { AF_SLICE_LIT("content-type"), AF_SLICE_LIT("application/xml") };
    struct s3_call call = { .operation = "CompleteMultipartUpload", .method = "POST", .bucket = upload->bucket, .key = upload->key,
                            .query = &query, .query_count = 1, .headers = &header, .header_count = 1, .body = body };
    enum af_status status = AF_EIO;
    for (unsigned i = 0; i < COMPLETES_MAX && status == AF_EIO; i++) {
        struct af_aws_answer answer;
        if (i != 0)
            af_clock_sleep_ms(COMPLETE_PAUSE_MS);
        af_aws_answer_init(&answer);
        status = s3_send(upload->s3, &call, &answer, err);
        bool is_answered = status == AF_OK;
        if (is_answered)
            status = check_complete(upload, &answer, checksum, err);
        af_aws_answer_done(&answer);
        if (!is_answered) /* after all its attempts */
            break;
    }
    if ((status == AF_ENOTFOUND || status == AF_EIO || status == AF_EBUSY) && is_there(upload, checksum)) {
        status = AF_OK;
        if (err != NULL)
            *err = (struct af_error){ 0 };
    }
    return status;
}

static enum af_status complete(struct af_s3_upload *upload, struct af_error *err)
{
    struct af_buf body;
    struct af_buf checksum;
    af_buf_init(&body, 4 << 20);
    af_buf_init(&checksum, 128);
    enum af_status status = print_parts(upload, &body, err);
    if (status == AF_OK)
        status = whole_checksum(upload, &checksum, err);
    if (status == AF_OK)
        status = send_complete(upload, af_buf_slice(&body), af_buf_slice(&checksum), err);
    af_buf_done(&body);
    af_buf_done(&checksum);
    return status;
}

enum af_status af_s3_upload_finish(struct af_s3_upload *upload, struct af_error *err)
{
    if (upload->id[0] == '\0') {
        AF_TRY(af_s3_put(upload->s3, upload->bucket, upload->key, af_buf_slice(&upload->filling), upload->content_type, AF_S3_ALWAYS, NULL,
                         NULL, err));
    } else {
        if (upload->filling.len != 0)
            AF_TRY(start_part(upload, err));
        af_mutex_lock(&upload->lock);
        enum af_status status = wait_locked(upload, 0, err);
        af_mutex_unlock(&upload->lock);
        AF_TRY(status);
        AF_TRY(complete(upload, err));
    }
    upload->is_done = true;
    return AF_OK;
}

/* Parts that were sent cost money until they are put together or given up. */
static void abort_upload(struct af_s3_upload *upload)
{
    static const bool never = false; /* also when the run was stopped */
    const struct af_aws_pair query = { AF_SLICE_LIT("uploadId"), af_slice_of(upload->id) };
    struct s3_call call = { .operation = "AbortMultipartUpload", .method = "DELETE", .bucket = upload->bucket, .key = upload->key,
                            .query = &query, .query_count = 1, .cancel = &never };
    struct af_aws_answer answer;
    af_aws_answer_init(&answer);
    (void)!s3_send(upload->s3, &call, &answer, NULL);
    af_aws_answer_done(&answer);
}

void af_s3_upload_free(struct af_s3_upload *upload)
{
    if (upload == NULL)
        return;
    __atomic_store_n(&upload->cancel, true, __ATOMIC_RELAXED);
    af_mutex_lock(&upload->lock);
    while (upload->on_the_way != 0)
        af_cond_wait(&upload->change, &upload->lock);
    af_mutex_unlock(&upload->lock);
    if (upload->id[0] != '\0' && !upload->is_done)
        abort_upload(upload);
    af_buf_done(&upload->filling);
    af_cond_done(&upload->change);
    af_mutex_done(&upload->lock);
    af_free(upload->parts);
    af_free(upload->bucket);
    af_free(upload->key);
    af_free(upload->content_type);
    af_free(upload);
}
