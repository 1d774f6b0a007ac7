/*
 * fleet.h - one migration, many machines: objects as messages of a queue, workers that take them, a journal in S3.
 *
 *     migrate --queue URL s3://bucket/prefix --run s3://journal/run     plan: the objects become messages, a manifest says how many
 *     migrate --queue URL --work --to ...                               a worker: any number, anywhere; or the Lambda loader
 *     migrate --status s3://journal/run                                 what is done, what is on its way, what failed
 *
 * A message names one object, its ETag, the run and the mapping. A worker extends the message's visibility while it loads, writes the
 * object's outcome to the journal and only then deletes the message. Everything is safe to happen twice: the same object written again
 * overwrites itself, its outcome has one key. What fails for good (`attempts` times, or for a reason that no repetition mends) goes to the
 * dead-letter queue with the reason, and its outcome says so.
 *
 * The journal of a run, below the prefix that --run names:
 *
 *     manifest.json                                 run, objects, bytes, mapping, target; written only by whoever is first
 *     objects/<2 hex>/<sha-256 of bucket/key>.json  what became of an object
 *     letters/<2 hex>/<the same>.jsonl              its rows that were refused, as `migrate --retry-dead-letters` reads them
 *     workers/<name>.json                           a worker's last sign of life
 *
 * There is no order between objects: where two of them hold the same point, either of them may win.
 */
#ifndef AF_FLEET_FLEET_H
#define AF_FLEET_FLEET_H
#include "aws/s3.h"
#include "aws/sqs.h"
#include "base/arena.h"

enum { AF_FLEET_FAILURES_SHOWN = 20 };

/* --- tasks --------------------------------------------------------------------------------------------------------------- */

struct af_fleet_task {
    const char *run;                /* id of the run, "" of a bare {"bucket", "key"} */
    const char *journal;            /* s3://bucket/prefix of the run, "" */
    const char *bucket, *key, *etag;
    uint64_t bytes;
    const char *format;             /* as it was found when it was listed: "parquet", "csv", ...; "" */
    const char *dataset;            /* a built-in mapping, "" detected */
    const char *mapping;            /* s3:// of a YAML mapping, "" */
};
/* As the body of a message (JSON in characters that a queue takes), and back. AF_EINVAL: it is none. */
void af_fleet_task_print(const struct af_fleet_task *task, struct af_buf *out);
AF_MUST_CHECK enum af_status af_fleet_task_parse(struct af_slice body, struct af_arena *arena, struct af_fleet_task *out,
                                                 struct af_error *err);
/* The same of a tree. */
struct af_json;
AF_MUST_CHECK enum af_status af_fleet_task_read(const struct af_json *node, struct af_arena *arena, struct af_fleet_task *out,
                                                struct af_error *err);

enum af_fleet_outcome { AF_FLEET_DONE, AF_FLEET_REJECTED /* done, with rows refused */, AF_FLEET_FAILED };
struct af_fleet_result {
    enum af_fleet_outcome outcome;
    uint64_t rows_read, points_written, rows_rejected, bytes_read, bytes_sent, milliseconds;
    char reason[512];               /* of a failure, or of the first refused row; "" */
    char etag[64];                  /* of what was read; "": the task's */
    const char *worker;             /* NULL: "" */
    uint32_t attempt;
    bool is_target;                 /* of a load that failed: it was the target, which is no fault of the object */
};

/* --- plan ---------------------------------------------------------------------------------------------------------------- */

struct af_fleet_object {
    const char *bucket, *key, *etag, *format;
    uint64_t bytes;
};
struct af_fleet_plan {
    struct af_s3 *s3;               /* of the journal */
    struct af_aws_client *sqs;
    const char *queue;              /* URL */
    const char *journal;            /* NULL: none is kept, and nothing is left out */
    const char *dataset, *mapping, *target;     /* NULL: "" */
    const struct af_fleet_object *objects;      /* one that is named twice is planned once */
    size_t object_count;
    const bool *cancel;             /* may be NULL */
    void (*progress)(void *ctx, uint64_t sent, uint64_t all); /* may be NULL */
    void *ctx;
};
enum { AF_FLEET_RUN_BYTES = 40 };
struct af_fleet_planned {
    char run[AF_FLEET_RUN_BYTES];
    bool is_new;                    /* no manifest was there */
    uint64_t objects, bytes;        /* all of them */
    uint64_t done, done_bytes;      /* left out: their outcome is there, of the same ETag */
    uint64_t sent;
};
/* Every object becomes a message, those first that are listed first. A run whose manifest exists is gone on with: objects that are done
 * are left out, those that failed are sent again, outcomes of objects that are not named any more are deleted. AF_ECONFLICT: it was planned
 * with another mapping or target, or somebody else plans it in this moment. */
AF_MUST_CHECK enum af_status af_fleet_plan(const struct af_fleet_plan *plan, struct af_fleet_planned *out, struct af_error *err);

/* --- work ---------------------------------------------------------------------------------------------------------------- */

struct af_fleet_totals {
    uint64_t tasks;                 /* taken */
    uint64_t done, rejected, failed, skipped /* done before */, returned;
    uint64_t rows_read, points_written, rows_rejected, bytes_read;
};
struct af_fleet_worker {
    struct af_s3 *s3;               /* of journals. Its cancel should be NULL: what was loaded is written down whatever happens */
    struct af_aws *aws;
    const char *queue;              /* URL */
    const char *dead_letters;       /* URL; NULL: that of the queue's redrive policy. Neither: AF_EINVAL without a journal */
    const char *journal;            /* only tasks of this one, others are given back; NULL: of any */
    uint32_t attempts;              /* 0: 5; no more than the redrive policy allows */
    uint32_t visibility_s;          /* 0: 120; extended while a task is worked on */
    uint32_t idle_ms;               /* ends after so long without a message, if none is in flight; 0: a minute; UINT32_MAX: never */
    uint32_t patience_s;            /* how long a target that does not answer is waited for, message in hand; 0: 600 */
    const char *name;               /* of this worker; NULL: made */
    /* Load one object and say what became of it. AF_OK with an outcome DONE or REJECTED, or a failure with is_target. */
    enum af_status (*load)(void *ctx, const struct af_fleet_task *task, struct af_fleet_result *out, struct af_arena *arena,
                           struct af_error *err);
    /* Of every task; task NULL: of a message that is none. why NULL: it is over; else what happened, `returned` or failed for good. */
    void (*done)(void *ctx, const struct af_fleet_task *task, const struct af_fleet_result *result, const struct af_error *why);
    void *ctx;
    const bool *cancel;             /* may be NULL */
};
/* AF_OK: the queue is empty. AF_ECANCELED: *cancel; the message at hand was given back. Anything else ends the worker too: a target that
 * refuses it, rights that it has not. `out` is filled in any case. */
AF_MUST_CHECK enum af_status af_fleet_work(const struct af_fleet_worker *worker, struct af_fleet_totals *out, struct af_error *err);

/* The outcome of one task written to its run's journal (nothing for a task without). A failure overwrites nothing that was done.
 * For the Lambda loader, which has its own loop. */
AF_MUST_CHECK enum af_status af_fleet_record(struct af_s3 *s3, const struct af_fleet_task *task, const struct af_fleet_result *result,
                                             struct af_error *err);
/* Is there an outcome other than FAILED already, of the same ETag and run? */
AF_MUST_CHECK enum af_status af_fleet_is_done(struct af_s3 *s3, const struct af_fleet_task *task, bool *out, struct af_error *err);
/* The file of refused rows into the journal; AF_EINVAL: the task has none. */
AF_MUST_CHECK enum af_status af_fleet_letters(struct af_s3 *s3, const struct af_fleet_task *task, const char *path, struct af_error *err);

/* --- status -------------------------------------------------------------------------------------------------------------- */

struct af_fleet_failure {
    const char *object, *reason;                        /* s3://bucket/key */
};
struct af_fleet_status {
    const char *run, *target;
    uint64_t objects, bytes;                            /* of the manifest */
    uint64_t done, rejected, failed;                    /* objects with that outcome */
    uint64_t unreadable;                                /* outcomes that are none */
    uint64_t bytes_done, rows_read, points_written, rows_rejected, milliseconds;
    uint64_t workers, workers_alive;                    /* heard of within two minutes */
    int64_t begun_ms, ended_ms;                         /* since 1970: the first object taken, the last one over; 0: none */
    uint64_t bytes_lately, objects_lately;              /* over in the last lately_ms */
    uint64_t lately_ms;
    bool has_queue;
    uint64_t visible, in_flight;                        /* of the queue, where one is given */
    size_t failure_count;                               /* those shown, in `arena` */
    struct af_fleet_failure failures[AF_FLEET_FAILURES_SHOWN];
};
/* `sqs` NULL: without a queue. AF_ENOTFOUND: there is no such run. */
AF_MUST_CHECK enum af_status af_fleet_status(struct af_s3 *s3, struct af_aws_client *sqs, const char *queue, const char *journal,
                                             const bool *cancel, struct af_arena *arena, struct af_fleet_status *out,
                                             struct af_error *err);
#endif
