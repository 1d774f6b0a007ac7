/*
 * fleet_int.h - the journal as its files see it: where things stand in S3, and one outcome as text and back.
 */
#ifndef AF_FLEET_INT_H
#define AF_FLEET_INT_H
#include "codec/digest.h"
#include "fleet/fleet.h"

enum { FLEET_JSON_BYTES_MAX = 64 << 10, FLEET_KEY_BYTES = 1024 + 128, FLEET_VERSION = 1 };

/* s3://bucket/prefix, taken apart; the prefix is "" or ends in a slash. */
struct fleet_place {
    char bucket[256];
    char prefix[1026];
};
AF_MUST_CHECK enum af_status fleet_place_parse(const char *journal, struct fleet_place *out, struct af_error *err);

struct fleet_id {
    uint8_t bytes[AF_SHA256_BYTES]; /* of bucket/key */
};
AF_MUST_CHECK enum af_status fleet_id_of(const char *bucket, const char *key, struct fleet_id *out, struct af_error *err);
/* prefix + folder/ab/abcd...extension */
void fleet_key_of(const struct fleet_place *place, const char *folder, const struct fleet_id *id, const char *extension,
                  char out[FLEET_KEY_BYTES]);

/* What stands below objects/. Texts live in the arena. */
struct fleet_outcome {
    struct af_fleet_task task;
    struct af_fleet_result result;
    int64_t ended_ms;               /* since 1970 */
};
void fleet_outcome_print(const struct fleet_outcome *outcome, struct af_buf *out);
AF_MUST_CHECK enum af_status fleet_outcome_parse(struct af_slice text, struct af_arena *arena, struct fleet_outcome *out,
                                                 struct af_error *err);

/* Does it stand where its object's outcome belongs? The id is the object's. */
bool fleet_outcome_is_at(const struct fleet_outcome *outcome, const struct fleet_place *place, const char *key, struct fleet_id *out_id);
/* Of that run, where both say which. */
bool fleet_is_of_run(const struct fleet_outcome *outcome, const char *run);

/* Everything below prefix + folder, fetched by several connections at once; `each` is called by one thread at a time, in no order. */
AF_MUST_CHECK enum af_status fleet_each(struct af_s3 *s3, const struct fleet_place *place, const char *folder, const bool *cancel,
                                        enum af_status (*each)(void *ctx, const char *key, struct af_slice bytes, struct af_error *err),
                                        void *ctx, struct af_error *err);

struct fleet_manifest {
    char run[AF_FLEET_RUN_BYTES];
    uint64_t objects, bytes;
    const char *dataset, *mapping, *target;
};
/* AF_ENOTFOUND: there is none. */
AF_MUST_CHECK enum af_status fleet_manifest_get(struct af_s3 *s3, const struct fleet_place *place, struct af_arena *arena,
                                                struct fleet_manifest *out, char etag[64], struct af_error *err);
AF_MUST_CHECK enum af_status fleet_manifest_put(struct af_s3 *s3, const struct fleet_place *place, const struct fleet_manifest *manifest,
                                                enum af_s3_if when, const char *etag, struct af_error *err);

/* A worker's sign of life. */
struct fleet_beat {
    char worker[64], run[AF_FLEET_RUN_BYTES];
    int64_t begun_ms, heard_ms;
    bool is_over;                   /* it said goodbye */
    struct af_fleet_totals totals;
};
AF_MUST_CHECK enum af_status fleet_beat_put(struct af_s3 *s3, const struct fleet_place *place, const struct fleet_beat *beat,
                                            struct af_error *err);
AF_MUST_CHECK enum af_status fleet_beat_parse(struct af_slice text, struct fleet_beat *out, struct af_error *err);

/* Printable ASCII, for the attribute of a message and for terminals. */
void fleet_clean(char *text);
/* AF_EINVAL: a FIFO queue, which delays all messages of a group by one that is given back, and sends nothing twice for five minutes. */
AF_MUST_CHECK enum af_status fleet_check_queue(const char *queue, struct af_error *err);
static inline bool fleet_is_up(const bool *flag)
{
    return flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED);
}
#endif
