/*
 * fleet.h - one migration, many machines: objects as messages of a queue, workers that take them, journals in S3.
 *
 *     migrate --queue URL s3://bucket/prefix --to ...        plan: the prefix becomes messages, a manifest becomes an object
 *     migrate --queue URL --work --to ...                    a worker: any number, anywhere; or the Lambda loader on the same queue
 *     migrate --status s3://journal/run                      what is done, what is on its way, what failed
 *
 * A message names one object, its etag, the run and the mapping. A worker extends the message's visibility while it loads, writes the
 * object's outcome to the journal and only then deletes the message. Everything is safe to happen twice: the same object written again
 * overwrites itself, its outcome has one key. What fails for good (`attempts` times, or for a reason that no repetition mends) goes to the
 * dead-letter queue with the reason, and its outcome says so.
 *
 * Journal of a run, below the prefix given: manifest.json (objects, bytes, mapping, target; written only if new),
 * objects/<first 2 hex>/<sha-256 of bucket/key, hex>.json (outcome of one object), workers/<id>.json (heartbeat of a worker).
 */
#ifndef AF_FLEET_FLEET_H
#define AF_FLEET_FLEET_H
#include "aws/s3.h"
#include "aws/sqs.h"
#include "base/arena.h"

struct af_fleet_task {
    const char *run;                /* id of the run, "" of a bare S3 event */
    const char *journal;            /* s3://bucket/prefix of the run, "" */
    const char *bucket, *key, *etag;
    uint64_t bytes;
    const char *dataset;            /* a built-in mapping, "" detected */
    const char *mapping;            /* s3:// of a YAML mapping, "" */
};
/* As the body of a message (JSON), and back. AF_EINVAL: it is none. */
void af_fleet_task_print(const struct af_fleet_task *task, struct af_buf *out);
AF_MUST_CHECK enum af_status af_fleet_task_parse(struct af_slice body, struct af_arena *arena, struct af_fleet_task *out,
                                                 struct af_error *err);

enum af_fleet_outcome { AF_FLEET_DONE, AF_FLEET_REJECTED /* done, with rows refused */, AF_FLEET_FAILED };
struct af_fleet_result {
    enum af_fleet_outcome outcome;
    uint64_t rows_read, points_written, rows_rejected, bytes_read, bytes_sent, milliseconds;
    const char *reason;             /* of a failure, or of the first refused row; "" */
    const char *worker;
    uint32_t attempt;
};

/* --- plan ---------------------------------------------------------------------------------------------------------------- */
struct af_fleet_plan {
    struct af_s3 *s3;
    struct af_aws_client *sqs;
    const char *queue, *run, *journal, *dataset, *mapping, *target;
    const bool *cancel;
    void (*progress)(void *ctx, uint64_t objects, uint64_t bytes);
    void *ctx;
};
/* Every object below the sources that is of a format we read becomes a message. A run whose manifest exists is gone on with: objects
 * with an outcome are left out. */
AF_MUST_CHECK enum af_status af_fleet_plan(const struct af_fleet_plan *plan, const char *const *sources, size_t source_count,
                                           uint64_t *out_objects, uint64_t *out_bytes, struct af_error *err);

/* --- work ---------------------------------------------------------------------------------------------------------------- */
struct af_fleet_worker {
    struct af_s3 *s3;
    struct af_aws *aws;
    const char *queue, *dead_letters;   /* dead_letters: URL; NULL: the queue's own redrive policy takes them */
    uint32_t attempts;                  /* 0: 5 */
    uint32_t visibility_s;              /* 0: 120; extended while a task is worked on */
    uint32_t idle_s;                    /* ends after so long without a message; 0: 60; UINT32_MAX: never */
    const char *name;                   /* of this worker; NULL: made */
    /* Load one object and say what became of it. AF_OK with an outcome, or a failure: retryable ones go back to the queue. */
    enum af_status (*load)(void *ctx, const struct af_fleet_task *task, struct af_fleet_result *out, struct af_arena *arena,
                           struct af_error *err);
    void (*done)(void *ctx, const struct af_fleet_task *task, const struct af_fleet_result *result);
    void *ctx;
    const bool *cancel;
};
struct af_fleet_totals {
    uint64_t tasks, done, rejected, failed, returned, points_written, rows_rejected;
};
AF_MUST_CHECK enum af_status af_fleet_work(const struct af_fleet_worker *worker, struct af_fleet_totals *out, struct af_error *err);
/* The outcome of one task written to its run's journal (nothing for a bare S3 event). For the Lambda loader, which has its own loop. */
AF_MUST_CHECK enum af_status af_fleet_record(struct af_s3 *s3, const struct af_fleet_task *task, const struct af_fleet_result *result,
                                             struct af_error *err);
/* Is there an outcome other than FAILED already, of the same etag? */
AF_MUST_CHECK enum af_status af_fleet_is_done(struct af_s3 *s3, const struct af_fleet_task *task, bool *out, struct af_error *err);

/* --- status -------------------------------------------------------------------------------------------------------------- */
struct af_fleet_status {
    uint64_t objects, bytes;                            /* of the manifest */
    uint64_t done, rejected, failed;                    /* objects with that outcome */
    uint64_t bytes_done, rows_read, points_written, rows_rejected, milliseconds;
    uint64_t workers, workers_alive;                    /* heard of within two minutes */
    uint64_t visible, in_flight;                        /* of the queue, where one is given */
    size_t failure_count;                               /* the first AF_FLEET_FAILURES_SHOWN, in `arena` */
    struct {
        const char *key, *reason;
    } failures[20];
};
AF_MUST_CHECK enum af_status af_fleet_status(struct af_s3 *s3, struct af_aws_client *sqs /* or NULL */, const char *queue,
                                             const char *journal, struct af_arena *arena, struct af_fleet_status *out,
                                             struct af_error *err);
#endif
