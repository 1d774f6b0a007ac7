/*
 * metrics.c - AWS: which metrics have data, queues and what is left in them, the loader's event source.
 *
 * Two spellings of the service's metrics are met. The modules take the first unless they are told otherwise:
 *
 *     AWS/Timestream/InfluxDB      DbInstanceName = name of the instance
 *     AWS/TimestreamInfluxDB       DBInstanceIdentifier = its id
 */
#include "aws/cloudwatch.h"
#include "aws/sqs.h"
#include "base/calendar.h"
#include "base/numbers.h"
#include "doctor/doctor_int.h"
#include "os/clock.h"
#include <inttypes.h>
#include <stdio.h>

static const char usual_space[] = "AWS/Timestream/InfluxDB", usual_dimension[] = "DbInstanceName";
static const char other_space[] = "AWS/TimestreamInfluxDB", other_dimension[] = "DBInstanceIdentifier";
enum { BODY_BYTES = 16384, PERIOD_S = 300, PAGES_MAX = 10 };

/* --- metrics ------------------------------------------------------------------------------------------------------------------- */

static void put_question(struct af_buf *body, const char *space, const char *dimension, const char *value, struct af_slice next)
{
    af_buf_append_str(body, "{\"Namespace\":");
    af_json_append_string(body, af_slice_of(space));
    if (dimension != NULL) {
        af_buf_append_str(body, ",\"Dimensions\":[{\"Name\":");
        af_json_append_string(body, af_slice_of(dimension));
        af_buf_append_str(body, ",\"Value\":");
        af_json_append_string(body, af_slice_of(value));
        af_buf_append_str(body, "}]");
    }
    if (next.len != 0) {
        af_buf_append_str(body, ",\"NextToken\":");
        af_json_append_string(body, next);
    }
    af_buf_append_char(body, '}');
}

/* Any metric of that namespace; with a dimension, one that has this value of it. Pages may be empty before the one that is not. */
static enum af_status has_metric(struct doctor *d, const char *space, const char *dimension, const char *value, bool *out,
                                 struct af_error *err)
{
    struct af_buf body;
    struct af_slice next = { NULL, 0 };
    const struct af_json *answer = NULL, *list = NULL;
    enum af_status status = doctor_client(d, "monitoring", &d->cloud.metrics, err);
    af_buf_init(&body, BODY_BYTES);
    *out = false;
    for (unsigned page = 0; status == AF_OK && !*out && page < PAGES_MAX && (page == 0 || next.len != 0); page++) {
        af_buf_clear(&body);
        put_question(&body, space, dimension, value, next);
        status = af_buf_check(&body, "a request", err);
        if (status == AF_OK)
            status = af_aws_json(d->cloud.metrics, "ListMetrics", af_buf_slice(&body), &d->arena, &answer, err);
        list = status == AF_OK ? af_json_get(answer, "Metrics") : NULL;
        next = status == AF_OK ? af_json_string(answer, "NextToken") : next;
        *out = list != NULL && list->first != NULL;
    }
    af_buf_done(&body);
    return status;
}

static void judge_names(bool has_usual, bool has_other, struct af_doctor_finding *f)
{
    switch (doctor_judge_names(has_usual, has_other)) {
    case DOCTOR_NAMES_USUAL:
        doctor_ok(f, "%s by %s, as the modules take it", usual_space, usual_dimension);
        break;
    case DOCTOR_NAMES_BOTH:
        doctor_ok(f, "%s and %s both have data; the modules take the first", usual_space, other_space);
        break;
    case DOCTOR_NAMES_OTHER:
        doctor_fail(f, "they are in %s by %s, where alarms and scaler do not look unless they are told", other_space, other_dimension);
        doctor_advise(f, "set service_namespace = \"%s\" and service_dimension = \"%s\" of infra/modules/observability, and "
                         "SERVICE_NAMESPACE, SERVICE_DIMENSION of the functions", other_space, other_dimension);
        break;
    default:
        doctor_warn(f, "neither %s nor %s has any of it", usual_space, other_space);
        doctor_advise(f, "a new instance takes up to 15 minutes; else the service's role may not publish (service role above)");
        break;
    }
}

static void check_service_metrics(struct doctor *d, struct af_doctor_finding *f)
{
    bool has_usual = false, has_other = false;
    struct af_error err = { 0 };
    enum af_status status = has_metric(d, usual_space, usual_dimension, d->cloud.name, &has_usual, &err);
    if (status == AF_OK)
        status = has_metric(d, other_space, other_dimension, d->cloud.id, &has_other, &err);
    if (status == AF_OK && !has_other) /* its name is met there, too */
        status = has_metric(d, other_space, other_dimension, d->cloud.name, &has_other, &err);
    if (status == AF_OK)
        judge_names(has_usual, has_other, f);
    else
        doctor_call_failed(f, &err, "cloudwatch:ListMetrics");
}

static void check_own_metrics(struct doctor *d, struct af_doctor_finding *f)
{
    bool has = false;
    struct af_error err = { 0 };
    if (has_metric(d, "Afluxo", NULL, NULL, &has, &err) != AF_OK) {
        doctor_call_failed(f, &err, "cloudwatch:ListMetrics");
    } else if (has) {
        doctor_ok(f, "namespace Afluxo has data");
    } else {
        doctor_warn(f, "namespace Afluxo is empty: neither monitor nor loader has run here in the last two weeks");
        doctor_advise(f, "connection, latency and dead letters are watched by the monitor: infra/modules/observability");
    }
}

/* --- queues --------------------------------------------------------------------------------------------------------------------- */

static bool has_queue(const struct doctor *d)
{
    return doctor_has_cloud(d) && d->options->queue != NULL;
}

static const char *arn_of_queue(struct doctor *d, const char *url, struct af_error *err)
{
    struct af_buf body;
    const struct af_json *answer = NULL;
    af_buf_init(&body, BODY_BYTES);
    af_buf_append_str(&body, "{\"AttributeNames\":[\"QueueArn\"],\"QueueUrl\":");
    af_json_append_string(&body, af_slice_of(url));
    af_buf_append_char(&body, '}');
    const enum af_status status = af_aws_json(d->cloud.sqs, "GetQueueAttributes", af_buf_slice(&body), &d->arena, &answer, err);
    af_buf_done(&body);
    return status == AF_OK ? doctor_text(d, af_json_get(answer, "Attributes"), "QueueArn") : "";
}

static enum af_status find_queue(struct doctor *d, const char *name, const char **out_url, struct af_sqs_depth *out, struct af_error *err)
{
    AF_TRY(doctor_client(d, "sqs", &d->cloud.sqs, err));
    AF_TRY(af_sqs_url(d->cloud.sqs, name, &d->arena, out_url, err));
    return af_sqs_depth(d->cloud.sqs, *out_url, out, err);
}

/* By the queue's metric, which the service writes every minute while there is something in it: seconds, or 0. */
static uint64_t oldest_in(struct doctor *d, const char *arn)
{
    const char *name = strrchr(arn, ':');
    struct af_metric_point *points = NULL;
    size_t count = 0;
    const int64_t now_ns = af_clock_now_ns();
    if (name == NULL || doctor_client(d, "monitoring", &d->cloud.metrics, NULL) != AF_OK)
        return 0;
    const struct af_metric_dimension dimension = { "QueueName", name + 1 };
    const struct af_metric_query query = { .name_space = "AWS/SQS", .name = "ApproximateAgeOfOldestMessage", .statistic = "Maximum",
                                           .dimensions = &dimension, .dimension_count = 1, .period_s = PERIOD_S,
                                           .from_ns = now_ns - 1800 * AF_NS_PER_S, .to_ns = now_ns + 60 * AF_NS_PER_S };
    if (af_metric_get(d->cloud.metrics, &query, &d->arena, &points, &count, NULL) != AF_OK || count == 0)
        return 0;
    return points[count - 1].value > 0 ? (uint64_t)points[count - 1].value : 0;
}

static void check_queue(struct doctor *d, struct af_doctor_finding *f)
{
    struct af_sqs_depth depth;
    struct af_error err = { 0 };
    char age[32];
    if (find_queue(d, d->options->queue, &d->cloud.queue_url, &depth, &err) != AF_OK) {
        doctor_call_failed(f, &err, "sqs:GetQueueUrl and sqs:GetQueueAttributes");
        return;
    }
    d->cloud.queue_arn = arn_of_queue(d, d->cloud.queue_url, NULL);
    d->cloud.dead_arn = af_arena_copy(&d->arena, af_slice_of(depth.dead_letters));
    const uint64_t oldest_s = oldest_in(d, d->cloud.queue_arn);
    doctor_say(f, doctor_judge_age(oldest_s), "%" PRIu64 " wait, %" PRIu64 " are being loaded%s%s", depth.visible, depth.in_flight,
               oldest_s != 0 ? ", the oldest since " : "", oldest_s != 0 ? doctor_span(age, (int64_t)oldest_s) : "");
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "docs/runbooks/queue-ages.md");
}

static void check_dead_queue(struct doctor *d, struct af_doctor_finding *f)
{
    struct af_sqs_depth depth;
    struct af_error err = { 0 };
    const char *url, *arn = d->cloud.dead_arn;
    char age[32];
    if (arn == NULL || arn[0] == '\0') {
        doctor_warn(f, "the queue has none: what cannot be loaded is tried for ever, or lost");
        doctor_advise(f, "give it a redrive policy (infra/modules/ingest does)");
        return;
    }
    if (find_queue(d, arn, &url, &depth, &err) != AF_OK) {
        doctor_call_failed(f, &err, "sqs:GetQueueUrl and sqs:GetQueueAttributes of the dead-letter queue");
        return;
    }
    const uint64_t oldest_s = depth.visible != 0 ? oldest_in(d, arn) : 0;
    doctor_say(f, doctor_judge_dead_letters(depth.visible), "%" PRIu64 " message%s%s%s", depth.visible, depth.visible == 1 ? "" : "s",
               oldest_s != 0 ? ", the oldest since " : "", oldest_s != 0 ? doctor_span(age, (int64_t)oldest_s) : "");
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "afluxo aws queue peek %.200s shows them; docs/runbooks/dead-letters.md", arn);
}

/* --- the loader ------------------------------------------------------------------------------------------------------------------ */

static enum af_status event_sources(struct doctor *d, const struct af_json **out, struct af_error *err)
{
    const struct af_aws_pair query = { AF_SLICE_LIT("EventSourceArn"), af_slice_of(d->cloud.queue_arn) };
    const struct af_aws_request request = { .method = "GET", .path = AF_SLICE_LIT("/2015-03-31/event-source-mappings/"), .query = &query,
                                            .query_count = 1 };
    struct af_aws_answer answer;
    struct af_json *json = NULL;
    AF_TRY(doctor_client(d, "lambda", &d->cloud.lambda, err));
    af_aws_answer_init(&answer);
    enum af_status status = af_aws_send(d->cloud.lambda, &request, &answer, err);
    if (status == AF_OK && af_json_parse(af_buf_slice(&answer.http.body), &d->arena, &json, NULL) != AF_OK)
        status = af_fail(err, AF_ECORRUPT, "Lambda ListEventSourceMappings: the answer is no JSON");
    af_aws_answer_done(&answer);
    *out = json;
    return status;
}

static void check_loader(struct doctor *d, struct af_doctor_finding *f)
{
    const struct af_json *answer = NULL;
    struct af_error err = { 0 };
    if (d->cloud.queue_arn == NULL || d->cloud.queue_arn[0] == '\0') {
        doctor_skip(f, "the queue's ARN is not known");
        return;
    }
    if (event_sources(d, &answer, &err) != AF_OK) {
        doctor_call_failed(f, &err, "lambda:ListEventSourceMappings");
        return;
    }
    const struct af_json *list = af_json_get(answer, "EventSourceMappings"), *first = list != NULL ? list->first : NULL;
    if (first == NULL) {
        doctor_warn(f, "no function reads the queue");
        doctor_advise(f, "infra/modules/ingest makes the event source; or load with: afluxo migrate --queue --work");
        return;
    }
    const char *state = doctor_text(d, first, "State"), *function = doctor_text(d, first, "FunctionArn");
    if (strcmp(state, "Enabled") == 0) {
        doctor_ok(f, "%.200s reads it", function);
        return;
    }
    doctor_fail(f, "the event source of %.200s is %.40s: nothing is loaded", function, state);
    doctor_advise(f, "turn it on again: aws lambda update-event-source-mapping --uuid %.60s --enabled", doctor_text(d, first, "UUID"));
}

#define GROUP "AWS, running"
const struct doctor_row doctor_metrics[] = {
    { GROUP, "service metrics", "instance", doctor_has_cloud, check_service_metrics },
    { GROUP, "own metrics", "identity", doctor_has_cloud, check_own_metrics },
    { GROUP, "queue", "identity", has_queue, check_queue },
    { GROUP, "dead-letter queue", "queue", has_queue, check_dead_queue },
    { GROUP, "loader", "queue", has_queue, check_loader },
    { NULL, NULL, NULL, NULL, NULL },
};
