/*
 * bulkload_int.h - what bulkload.c (which shards, counting), bulkload_v1.c and bulkload_v2.c share.
 */
#ifndef AF_TRANSFER_BULKLOAD_INT_H
#define AF_TRANSFER_BULKLOAD_INT_H
#include "transfer/transfer_int.h"

/* --- tally.c: values of every field, here ----------------------------------------------------------------------------------- */

struct tally_field {
    struct af_slice measurement;  /* escaped, as in keys */
    struct af_slice field;
    enum af_type type;
    uint64_t values;
};
struct tally {
    struct af_arena arena;
    struct af_intern names;       /* measurement, NUL, field */
    struct tally_field *fields;   /* by id */
    size_t cap;
    int64_t min_ns, max_ns;
    uint64_t values;
};
void tally_init(struct tally *tally);
void tally_done(struct tally *tally);
/* Of all files together: a time that several files have counts once. */
AF_MUST_CHECK enum af_status tally_dir(struct tally *tally, const char *dir, const struct af_transfer_watch *watch, struct af_error *err);

/* --- a load ----------------------------------------------------------------------------------------------------------------- */

struct load_shard {
    const struct af_portable_shard *shard;
    const char *dir;              /* unpacked */
    const char *archive;          /* where it came from; NULL: a house */
    struct tally tally;
    bool has_tally;
};
struct load {
    const struct af_bulkload_options *options;
    struct af_transfer_counts *counts;
    struct af_arena arena;
    struct transfer_backup backup;
    const char *scratch;
    struct af_http *http;
    const char *base;             /* the URL without a slash at its end */
    const char *const *headers;   /* with the credentials */
    const char *org_id;           /* 2.x */
    uint64_t bytes_sent, bytes_all;
};

AF_MUST_CHECK enum af_status load_open(struct load *load, struct af_error *err); /* base, headers, http */
/* 2.x: all buckets and shards that the server has, without files. */
AF_MUST_CHECK enum af_status load_metadata(struct load *load, struct af_portable *out, struct af_error *err);
const char *load_name(const struct load *load, const struct af_portable_bucket *bucket); /* there */
/* Unpacked, checked and counted; tombstones are refused. `out` has bucket->shard_count places. */
AF_MUST_CHECK enum af_status load_unpack(struct load *load, const struct af_portable_bucket *bucket, struct load_shard *out,
                                         size_t *out_count,
                                         struct af_error *err);
void load_shards_done(struct load *load, struct load_shard *shards, size_t count); /* files and tallies */
/* An answer of 200..299, or its words as a failure. `body` in answer. `what` is for messages. */
AF_MUST_CHECK enum af_status load_call(struct load *load, const char *what, const struct af_http_request *request,
                                       struct af_http_answer *answer,
                                       struct af_error *err);
AF_MUST_CHECK enum af_status load_get(struct load *load, const char *what, const char *path, struct af_http_answer *answer,
                                      struct af_error *err);
AF_MUST_CHECK enum af_status load_post(struct load *load, const char *what, const char *path, struct af_slice json,
                                       struct af_http_answer *answer,
                                       struct af_error *err);
/* What the server counts for each field in the range of the shard is what was sent (`is_new`) or no less. Waits for a shard that opens. */
AF_MUST_CHECK enum af_status load_compare(struct load *load, const struct af_portable_bucket *bucket, struct load_shard *shard, bool is_new,
                                          struct af_error *err);
/* GET /query of InfluxQL in database and policy of a bucket. */
AF_MUST_CHECK enum af_status load_query(struct load *load, const char *bucket, const char *q, struct af_http_answer *answer,
                                        struct af_error *err);
/* A run of [start, end) as InfluxQL knows times. */
int64_t load_clamp(int64_t time_ns);

AF_MUST_CHECK enum af_status load_v1(struct load *load, struct af_error *err);
AF_MUST_CHECK enum af_status load_v2(struct load *load, struct af_error *err);
bool load_is_wanted(const struct load *load, const struct af_portable_bucket *bucket);
#endif
