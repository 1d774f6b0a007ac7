/*
 * s3.h - objects: listed, read in ranges by several connections at once, written whole, in parts or only if nobody was first.
 *
 * Buckets are addressed by host (https://bucket.s3.region...) where the endpoint is AWS's own and the name has no dot, by path otherwise.
 * A bucket of another region is found by the answer that says so, once.
 */
#ifndef AF_AWS_S3_H
#define AF_AWS_S3_H
#include "aws/aws.h"
#include "base/reader.h"

/* s3://bucket/key; the key may be a prefix, a pattern, or empty. AF_EINVAL says what is wrong with it. */
struct af_s3_name {
    char bucket[256];
    char key[1025];      /* bytes as they are, not encoded */
};
bool af_s3_is_name(const char *text);
AF_MUST_CHECK enum af_status af_s3_name_parse(const char *text, struct af_s3_name *out, struct af_error *err);

struct af_s3_options {
    bool requester_pays;
    const char *expected_owner;  /* account id; NULL: not checked */
    const char *kms_key_id;      /* writes: SSE-KMS with this key; "" the account's default key; NULL: as the bucket says */
    uint32_t connections;        /* of a reader or an upload at once; 0: 8 */
    uint64_t memory_bytes;       /* that a reader or an upload may hold; 0: 64 MiB */
    uint64_t part_bytes;         /* of an upload; 0: 8 MiB, grown so that 10,000 parts are enough */
    uint32_t patience_ms;        /* readers try a part so long beyond the retries of each call; 0: not */
    const bool *cancel;          /* of all calls, polled; may be NULL */
};

struct af_s3; /* a pool of connections over one af_aws; any thread */
AF_MUST_CHECK enum af_status af_s3_open(struct af_aws *aws, const struct af_s3_options *options, struct af_s3 **out, struct af_error *err);
void af_s3_close(struct af_s3 *s3);

struct af_s3_object {
    const char *key;     /* lives for the call */
    uint64_t bytes;
    int64_t mtime_ns;
    char etag[64];       /* without quotes */
};
/* Every object whose key begins with `prefix`, in bytewise order of keys; a failing `each` ends the walk. */
AF_MUST_CHECK enum af_status af_s3_list(struct af_s3 *s3, const char *bucket, const char *prefix, const bool *cancel,
                                        enum af_status (*each)(void *ctx, const struct af_s3_object *object, struct af_error *err),
                                        void *ctx, struct af_error *err);
AF_MUST_CHECK enum af_status af_s3_head(struct af_s3 *s3, const char *bucket, const char *key, const char *version,
                                        struct af_s3_object *out, struct af_error *err); /* version NULL: the latest */

/*
 * Random access to an object as it is now: every range is asked for with If-Match, so an object replaced in the meantime is AF_ECONFLICT,
 * never a mixture. Ranges announced by will_need (base/reader.h) are fetched ahead by several connections within memory_bytes; others
 * when they are read, never less than AF_S3_READ_BYTES_MIN at once. Answers of another length than asked for are AF_ECORRUPT after retries.
 * `size_hint` and `etag_hint` (from a listing) save the HEAD; NULL: asked for.
 */
AF_MUST_CHECK enum af_status af_s3_reader_open(struct af_s3 *s3, const char *bucket, const char *key, const struct af_s3_object *known,
                                               struct af_reader **out, struct af_error *err);

/* A small object whole; AF_ELIMIT past out->bytes_max. out_etag may be NULL. */
AF_MUST_CHECK enum af_status af_s3_get(struct af_s3 *s3, const char *bucket, const char *key, struct af_buf *out, char out_etag[64],
                                       struct af_error *err);
/* With a condition: a conflict after an attempt whose answer was lost is none if the object then holds these very bytes; so writers that
 * compete should write bytes that differ. */
enum af_s3_if { AF_S3_ALWAYS, AF_S3_IF_NEW /* AF_ECONFLICT: it is there */, AF_S3_IF_MATCH /* AF_ECONFLICT: another etag */ };
AF_MUST_CHECK enum af_status af_s3_put(struct af_s3 *s3, const char *bucket, const char *key, struct af_slice bytes,
                                       const char *content_type, enum af_s3_if when, const char *etag, char out_etag[64],
                                       struct af_error *err);
AF_MUST_CHECK enum af_status af_s3_delete(struct af_s3 *s3, const char *bucket, const char *key, struct af_error *err);

/* A large object in parts, sent by several connections while the next is written. Nothing is visible before `finish`; `abort` (also by
 * free) leaves no parts behind. Each part has its checksum (SHA-256), and so has the whole. */
struct af_s3_upload;
AF_MUST_CHECK enum af_status af_s3_upload_begin(struct af_s3 *s3, const char *bucket, const char *key, const char *content_type,
                                                struct af_s3_upload **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_s3_upload_write(struct af_s3_upload *upload, struct af_slice bytes, struct af_error *err);
AF_MUST_CHECK enum af_status af_s3_upload_finish(struct af_s3_upload *upload, struct af_error *err);
void af_s3_upload_free(struct af_s3_upload *upload);
#endif
