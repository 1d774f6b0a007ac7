/*
 * s3_int.h - what the files of S3 share.
 *
 *     s3_name.c    s3://bucket/key                    s3_list.c     listings
 *     s3.c         the pool: connections, threads     s3_read.c     the reader that fetches ahead
 *     s3_call.c    one call; small objects            s3_plan.c     which range is fetched next
 *     s3_answer.c  what S3 says, checked              s3_upload.c   objects in parts
 *
 * The pool (struct af_s3) owns connections and threads. A call takes a connection, and gives it back: they are kept alive and chosen by
 * the region they speak to. Threads are started when there is work for them, as many as `connections` at most, and take jobs in the order
 * in which they came; all readers and uploads of the pool share them.
 *
 * Locks, in order: reader, upload; pool.
 */
#ifndef AF_AWS_S3_INT_H
#define AF_AWS_S3_INT_H
#include "aws/s3.h"
#include "codec/digest.h"
#include "os/thread.h"

enum { S3_REGION_BYTES = 64, S3_NAME_TEXT_BYTES = 1400 };

struct s3_connection;
struct s3_job {
    struct s3_job *next;
    void (*run)(struct s3_job *job); /* in a thread of the pool; the job may be freed by it */
};

struct s3_region {
    char bucket[256];
    char region[S3_REGION_BYTES];
};
enum { S3_REGIONS_KEPT = 64, S3_THREADS_MAX = 64 };

struct af_s3 {
    struct af_aws *aws;
    struct af_s3_options options; /* strings copied */
    char *owned[2];
    struct af_mutex lock;         /* of what follows */
    struct af_cond work;          /* a job came, or the end */
    struct s3_connection *idle;
    struct s3_region regions[S3_REGIONS_KEPT]; /* where buckets were found that are not where we thought; the oldest goes */
    size_t region_count;
    struct s3_job *first, **last;
    struct af_thread threads[S3_THREADS_MAX];
    uint32_t thread_count, threads_idle;
    bool is_closing;
};

/* One call to S3: to a bucket's region, with what the options say about payer, owner and encryption. */
struct s3_call {
    const char *operation;    /* for messages: "GetObject" */
    const char *method;
    const char *bucket, *key; /* key NULL: the bucket itself */
    const struct af_aws_pair *query;
    size_t query_count;
    const struct af_aws_pair *headers;
    size_t header_count;
    bool encrypts;            /* the answer makes an object: kms_key_id counts */
    struct af_slice body;
    enum af_status (*on_body)(void *ctx, struct af_slice bytes, struct af_error *err);
    void (*again)(void *ctx);
    void *ctx;
    const bool *cancel;       /* NULL: that of the options */
};
void s3_connections_free(struct af_s3 *s3);
AF_MUST_CHECK enum af_status s3_send(struct af_s3 *s3, const struct s3_call *call, struct af_aws_answer *answer, struct af_error *err);

/* SHA-256 of `bytes`, also as base64 appended to `text`. */
AF_MUST_CHECK enum af_status s3_checksum(struct af_slice bytes, uint8_t digest[AF_SHA256_BYTES], struct af_buf *text, struct af_error *err);

/* Does the object have that checksum? `answer` is that of the HEAD. */
bool s3_holds(struct af_s3 *s3, const char *bucket, const char *key, struct af_slice checksum, struct af_aws_answer *answer);

/* False: no thread could be had, the job is the caller's again. */
AF_MUST_CHECK bool s3_submit(struct af_s3 *s3, struct s3_job *job);
/* True: the job had not begun, and never will. */
AF_MUST_CHECK bool s3_withdraw(struct af_s3 *s3, struct s3_job *job);

static inline bool s3_flag(const bool *flag) /* written by another thread, or a signal */
{
    return flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED);
}

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

/* Without quotes; false: too long, or none. */
bool s3_etag(struct af_slice text, char out[64]);
/* "bytes 0-9/100" */
bool s3_content_range(struct af_slice text, uint64_t *out_first, uint64_t *out_last, uint64_t *out_size);
bool s3_http_date(struct af_slice text, int64_t *out_ns); /* Wed, 21 Oct 2015 07:28:00 GMT */
/* What encoding-type=url stands for, in place; returns the length, SIZE_MAX if it is none. */
size_t s3_url_decode(char *text, size_t len);
/* One page of ListObjectsV2, whose keys all begin with `prefix`. *out_next: the token of the next page, "" at the end. */
struct s3_page {
    struct af_s3_object *objects;
    size_t count;
    const char *next;
};
AF_MUST_CHECK enum af_status s3_page_parse(struct af_slice xml, const char *prefix, struct af_arena *arena, struct s3_page *out,
                                           struct af_error *err);

/* --- s3_plan.c --------------------------------------------------------------------------------------------------------------- */

/* Announced ranges, and how far they have been cut into blocks. Neighbours closer than AF_S3_GAP_BYTES are one block. */
struct s3_plan {
    struct af_range *ranges;
    size_t count, cap;
    size_t index;        /* of the range that is cut next ... */
    uint64_t done;       /* ... and how many of its bytes are cut */
    uint64_t block_bytes;
};
struct s3_cut {
    uint64_t offset;
    size_t len;
    size_t wanted;       /* without the gaps */
    size_t index;        /* the plan's after it */
    uint64_t done;
};
/* Ranges past `size` are cut off. Blocks are such that `memory_bytes` has room for one a connection. False: no memory; the plan is
 * empty. */
bool s3_plan_set(struct s3_plan *plan, const struct af_range *ranges, size_t count, uint64_t size, uint32_t connections,
                 uint64_t memory_bytes);
void s3_plan_done(struct s3_plan *plan);
bool s3_plan_next(const struct s3_plan *plan, struct s3_cut *out); /* false: all is cut */
void s3_plan_take(struct s3_plan *plan, const struct s3_cut *cut);
/* The first `bytes` of what comes next are not needed: they are there already. */
void s3_plan_skip(struct s3_plan *plan, uint64_t bytes);
/* Go on at `offset`, without what is before it. False: it is not in what is left. */
bool s3_plan_seek(struct s3_plan *plan, uint64_t offset);
#endif
