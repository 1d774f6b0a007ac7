/*
 * lambda.h - AWS Lambda: the loop of a custom runtime, and the functions that run in it.
 *
 *     /runtime/invocation/next --> event --> handler --> answer --> /response or /error
 *
 * One process, one invocation at a time. Whatever a handler must keep is kept before it answers: the sandbox may be frozen or killed
 * in that moment. Connections, credentials, secrets and the parsed mapping live from one invocation to the next.
 *
 * Sources: "Building a custom runtime" and "Lambda runtime API" of the Lambda guide; the events' shapes stand in events.c.
 */
#ifndef AF_LAMBDA_LAMBDA_H
#define AF_LAMBDA_LAMBDA_H
#include "aws/aws.h"
#include "format/json/json.h"

/* --- the loop ------------------------------------------------------------------------------------------------------------ */

struct af_lambda_invocation {
    const char *request_id, *function_arn, *trace_id;
    struct af_slice event;              /* JSON */
    int64_t deadline_mono_ns;           /* when Lambda ends it; 0: never */
    const bool *cancel;                 /* may be NULL */
    struct af_arena *arena;             /* of this invocation */
    struct af_lambda_log *log;
};
/* Turn an event into an answer (JSON, into `answer`). A failure becomes the runtime API's error: errorType is the status's name. */
typedef enum af_status (*af_lambda_handler)(void *ctx, const struct af_lambda_invocation *invocation, struct af_buf *answer,
                                            struct af_error *err);
struct af_lambda_runtime {
    const char *api;                    /* host:port; NULL: AWS_LAMBDA_RUNTIME_API */
    af_lambda_handler handler;
    void *ctx;
    const bool *cancel;
};
/* Takes invocations until *cancel, or until the API says that the container is broken or cannot be reached again and again (AF_EIO). */
AF_MUST_CHECK enum af_status af_lambda_run(const struct af_lambda_runtime *runtime, struct af_error *err);
/* The function could not be set up: tell the API (NULL: as above; none: nothing), so that the reason is in Lambda's own log. */
void af_lambda_init_failed(const char *api, const struct af_error *why);

/* --- logs and metrics ---------------------------------------------------------------------------------------------------- */

/* One JSON object a line on standard output: timestamp, level, requestId, message and what else is said (AWS's own JSON log format).
 * AWS_LAMBDA_LOG_LEVEL is heeded. */
struct af_lambda_log {
    const char *request_id;             /* NULL outside of invocations */
    int level;
    void (*write)(void *ctx, struct af_slice line);
    void *ctx;
};
enum af_lambda_level { AF_LOG_DEBUG, AF_LOG_INFO, AF_LOG_WARN, AF_LOG_ERROR };
/* `members`: more members of the object as JSON, without braces; no memory: none. */
void af_lambda_say(const struct af_lambda_log *log, enum af_lambda_level level, struct af_slice members, const char *fmt, ...)
    AF_PRINTF(4, 5);

/* --- events -------------------------------------------------------------------------------------------------------------- */

/* Where the objects that an event speaks of are, whatever envelope it came in: S3's own notification, that inside SQS, SNS or SNS
 * inside SQS (raw delivery or not), EventBridge ("Object Created"), EventBridge inside SQS, Step Functions' and the earlier loader's
 * input {"bucket","key"} (also as a JSON text in `body`, or a list `objects` of them). */
struct af_fleet_task;
struct af_lambda_object {
    const char *bucket, *key;           /* key decoded */
    const char *version, *etag;         /* "" if not said */
    uint64_t bytes;                     /* 0 if not said */
    const char *sequencer;              /* order of events of one key, hex; "" */
    const struct af_fleet_task *task;   /* of a message of a fleet; NULL: it is none */
};
struct af_lambda_record {
    const char *message_id;             /* of an SQS message: what a partial answer names; NULL: the event was no queue's */
    const char *receipt;
    size_t object_count;
    const struct af_lambda_object *objects;
    bool is_test;                       /* s3:TestEvent: nothing to do, and no fault */
    bool is_removal;                    /* ObjectRemoved and such: nothing to load */
    struct af_slice body;               /* as it came, for dead letters */
    struct af_error bad;                /* status AF_OK, or why this record cannot be understood: the others can */
};
struct af_lambda_event {
    bool is_queue;                      /* answered with batchItemFailures */
    size_t record_count;
    const struct af_lambda_record *records;
};
/* AF_EINVAL: no JSON. What is JSON of no known shape is a record that is bad, whose message says which shapes are known. */
AF_MUST_CHECK enum af_status af_lambda_event_parse(struct af_slice json, struct af_arena *arena, struct af_lambda_event *out,
                                                   struct af_error *err);

/* --- functions ----------------------------------------------------------------------------------------------------------- */

/*
 * A function is made once, configured by its environment (docs/lambda.md), and handles invocations until it is freed.
 * loader   objects of an event into the target; partial batch answers; what is refused for good to the queue of failures
 * monitor  connect, write, query, days left of certificate and token: measured and published
 * scaler   class, tier and storage of an instance follow its load, or are proposed
 * backup   backups made and dropped, restored for a test, and the last one before a destroy
 * query    the platform's direct query paths behind API Gateway
 * provision  what Terraform cannot make: a parameter group, the first password replaced, buckets and tokens
 */
struct af_lambda_function;
AF_MUST_CHECK enum af_status af_lambda_loader_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_lambda_provision_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_lambda_scaler_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_lambda_monitor_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_lambda_backup_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_lambda_query_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err);
/* An af_lambda_handler; ctx is the function. */
enum af_status af_lambda_handle(void *function, const struct af_lambda_invocation *invocation, struct af_buf *answer, struct af_error *err);
void af_lambda_function_free(struct af_lambda_function *function); /* NULL is fine */

/* By name ("loader", "loader.handler"): made and run until *cancel. What `afluxo lambda NAME` and the bootstrap of function.zip call. A
 * function that cannot be made is told to the runtime API. */
AF_MUST_CHECK enum af_status af_lambda_main(const char *name, const bool *cancel, struct af_error *err);
/* The same for one event, outside of Lambda: no runtime API, no deadline. */
AF_MUST_CHECK enum af_status af_lambda_once(const char *name, struct af_slice event, struct af_lambda_log *log, const bool *cancel,
                                            struct af_buf *answer, struct af_error *err);
const char *af_lambda_names(void); /* "loader, monitor, query, ...", for messages */
#endif
