/*
 * lambda_int.h - what the functions share: their environment, the target behind its token, the queue of failures, metrics.
 */
#ifndef AF_LAMBDA_INT_H
#define AF_LAMBDA_INT_H
#include "aws/secrets.h"
#include "aws/sqs.h"
#include "fleet/fleet.h"
#include "lambda/lambda.h"
#include "store/store.h"

/* The first member of every function. */
struct af_lambda_function {
    af_lambda_handler handle;
    void (*free)(struct af_lambda_function *function);
};

/* --- settings.c ---------------------------------------------------------------------------------------------------------- */

enum lambda_setting {
#define AF_X(name, otherwise, readers) LAMBDA_##name,
#include "lambda/settings.def"
#undef AF_X
};
/* What the environment says, else the default; NULL: neither. An empty variable is none. */
const char *lambda_text(const struct af_aws *aws, enum lambda_setting setting);
/* AF_EINVAL names the variable. */
AF_MUST_CHECK enum af_status lambda_number(const struct af_aws *aws, enum lambda_setting setting, uint64_t *out, struct af_error *err);
AF_MUST_CHECK enum af_status lambda_flag(const struct af_aws *aws, enum lambda_setting setting, bool *out, struct af_error *err);
/* Is the function one of Lambda's, or is it run by hand? */
bool lambda_is_inside(const struct af_aws *aws);

/* --- target.c: InfluxDB, behind a token that may change ------------------------------------------------------------------------ */

struct lambda_target {
    struct af_aws *aws;
    const char *bucket;
    struct af_secrets *secrets;     /* NULL: the token is in the environment */
    struct af_buf token;            /* what the store was opened with */
    char version[65];               /* of the secret it came from */
    struct af_store *store;         /* NULL: not open yet, or its token was refused */
    uint32_t timeout_ms;            /* of one request, and of connecting; 0: those of net */
    uint32_t open_timeout_ms;       /* of asking for the version; 0: the same */
    const bool *cancel;             /* polled while the secret is fetched; NULL: nothing */
};
/* Checks what is set; contacts nobody. `bucket` NULL: INFLUXDB_BUCKET. */
AF_MUST_CHECK enum af_status lambda_target_open(struct lambda_target *target, struct af_aws *aws, const char *bucket, struct af_error *err);
void lambda_target_close(struct lambda_target *target);
/* The store, opened if need be, or opened anew if the secret holds another token now. */
AF_MUST_CHECK enum af_status lambda_target_store(struct lambda_target *target, struct af_store **out, struct af_error *err);
/* The store refused the token: it is closed, and the secret is asked again the next time. False: there is no other token to be had. */
bool lambda_target_refused(struct lambda_target *target);
/* The text of the secret, appended; AF_ENOTFOUND: the token is in the environment. Wipe it. */
AF_MUST_CHECK enum af_status lambda_target_secret(struct lambda_target *target, struct af_buf *out, struct af_error *err);
void lambda_wipe(struct af_buf *buf); /* and done */

/* --- failures.c: the queue of failures ---------------------------------------------------------------------------------------- */

struct lambda_failures {
    const char *queue;              /* NULL: there is none */
    struct af_aws_client *sqs;
    uint64_t sent;                  /* messages */
};
AF_MUST_CHECK enum af_status lambda_failures_open(struct lambda_failures *failures, struct af_aws *aws, struct af_error *err);
void lambda_failures_close(struct lambda_failures *failures);
/* One message; `reason` is its attribute. */
AF_MUST_CHECK enum af_status lambda_failures_send(struct lambda_failures *failures, struct af_slice body, const char *reason,
                                                  struct af_error *err);
/* The lines of a file of dead letters, some a message, none cut; of a line too long for a queue, what it is about. AF_ECANCELED: the time
 * until `end_mono_ns` (0: for ever) was not enough. */
AF_MUST_CHECK enum af_status lambda_failures_send_file(struct lambda_failures *failures, const char *path, const char *reason,
                                                       int64_t end_mono_ns, struct af_error *err);

/* --- tasks.c: objects that a fleet's messages name --------------------------------------------------------------------------- */

struct lambda_tasks {
    struct af_map *map;             /* of the last task that named one */
    char name[1400];
};
/* A built-in dataset, or s3:// of a YAML mapping. */
AF_MUST_CHECK enum af_status lambda_map_read(struct af_s3 *s3, const char *name, struct af_map **out, struct af_error *err);
/* That of the task; *out stays as it is where it names none, or where there is no task (NULL). */
AF_MUST_CHECK enum af_status lambda_tasks_map(struct lambda_tasks *tasks, struct af_s3 *s3, const struct af_fleet_task *task,
                                              const struct af_map **out, struct af_error *err);
void lambda_tasks_close(struct lambda_tasks *tasks);
/* Into the journal: it failed for good. */
AF_MUST_CHECK enum af_status lambda_tasks_failed(struct af_s3 *s3, const struct af_fleet_task *task, const struct af_error *why,
                                                 struct af_error *err);

/* --- index.c: several events of one key ---------------------------------------------------------------------------------------- */

struct lambda_index {
    const struct af_lambda_object **objects;
    size_t count;
};
AF_MUST_CHECK enum af_status lambda_index_make(const struct af_lambda_event *event, struct af_arena *arena, struct lambda_index *out,
                                               struct af_error *err);
/* Does the event speak of a newer state of the same object? Of equal ones the one that stands last is the newest. */
bool lambda_index_is_superseded(const struct lambda_index *index, const struct af_lambda_object *object);

/* --- gateway.c: an HTTP request inside of an event ---------------------------------------------------------------------------- */

struct lambda_request {
    const struct af_json *event;
    struct af_slice method, path;   /* path without stage and base path */
    struct af_slice body;           /* decoded */
    bool is_balancer, is_multi;     /* the answer has `statusDescription`; its headers are lists */
    bool is_broken;                 /* the body is said to be base64 and is not */
};
/* AF_EINVAL: the event is no request. `base_path` NULL: none. */
AF_MUST_CHECK enum af_status lambda_request_read(struct af_slice event, const char *base_path, struct af_arena *arena,
                                                 struct lambda_request *out, struct af_error *err);
struct af_slice lambda_request_header(const struct lambda_request *request, const char *name); /* any case; {NULL, 0}: it has none */
/* `origin`: of Access-Control-Allow-Origin; NULL: no such headers. */
void lambda_request_answer(const struct lambda_request *request, int http_status, const char *origin, struct af_slice body,
                           struct af_buf *out);

/* --- metrics.c ----------------------------------------------------------------------------------------------------------- */

enum lambda_metric {
#define AF_X(name, unit) LAMBDA_METRIC_##name,
#include "lambda/metrics.def"
#undef AF_X
    LAMBDA_METRICS
};
struct lambda_metrics {
    double values[LAMBDA_METRICS];
    bool has[LAMBDA_METRICS];
};
static inline void lambda_metric_set(struct lambda_metrics *metrics, enum lambda_metric metric, double value)
{
    metrics->values[metric] = value;
    metrics->has[metric] = true;
}
/* Those that are set as members of a JSON object, without braces. */
void lambda_metrics_print(const struct lambda_metrics *metrics, struct af_buf *out);

struct lambda_publisher {
    struct af_aws *aws;
    struct af_aws_client *cloudwatch; /* NULL: metrics are lines of the log, or nothing */
    bool to_log;
    const char *name_space, *function;
};
AF_MUST_CHECK enum af_status lambda_publisher_open(struct lambda_publisher *publisher, struct af_aws *aws, const char *function,
                                                   struct af_error *err);
void lambda_publisher_close(struct lambda_publisher *publisher);
/* A failure is a line of the log: metrics that are lost harm no data. */
void lambda_publish(struct lambda_publisher *publisher, const struct lambda_metrics *metrics, const struct af_lambda_log *log);
#endif
