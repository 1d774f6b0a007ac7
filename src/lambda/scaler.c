/*
 * scaler.c - the size of an instance follows its load: one decision an invocation (docs/infra/scaling.md).
 *
 *     lock --> instance, measures --> decision --+--> nothing to do
 *                                                +--> held, or only advised: said once, audited
 *                                                +--> written down (SIZE_PARAMETER, which Terraform reads), then done; refused: written
 *                                                back
 *
 * Only members that change are sent: the service refuses a value that is the present one.
 */
#include "aws/cloudwatch.h"
#include "aws/sns.h"
#include "aws/timestream.h"
#include "base/alloc.h"
#include "lambda/scaler_int.h"
#include "os/clock.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BODY_BYTES_MAX = 64 << 10, NAME_BYTES = 64, LOCK_S = 300 };

struct scaler {
    struct af_lambda_function function;
    struct af_aws *aws;
    struct af_aws_client *tfi, *ssm, *sns, *cloudwatch;
    struct af_s3 *s3;
    struct lambda_publisher publisher;
    struct scaler_policy policy;
    const char *instance_id;
    bool acts;
};

/* One decision. */
struct turn {
    struct scaler *scaler;
    const struct af_lambda_invocation *invocation;
    struct scaler_journal journal;
    struct scaler_state state;
    struct scaling_facts facts;
    struct scaling_decision decision;
    char name[NAME_BYTES], status[NAME_BYTES];
    int64_t now_ns;
    const char *outcome;           /* "nothing", "held", "advised", "done", "refused" */
    struct af_error refusal;
};

/* --- the instance -------------------------------------------------------------------------------------------------------- */

static enum af_status copy_text(const struct af_json *json, const char *member, char out[NAME_BYTES], struct af_error *err)
{
    struct af_slice text = af_json_string(json, member);
    if (text.len == 0 || text.len >= NAME_BYTES)
        return af_fail(err, AF_ECORRUPT, "GetDbInstance: the answer's %s is no text of 1 to %d bytes", member, NAME_BYTES - 1);
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return AF_OK;
}

static enum af_status read_instance(struct turn *t, const struct af_json *json, struct af_error *err)
{
    struct scaling_size *size = &t->facts.size;
    int64_t storage_gib = 0;
    AF_TRY(copy_text(json, "name", t->name, err));
    AF_TRY(copy_text(json, "status", t->status, err));
    if (!scaling_class_find(af_json_string(json, "dbInstanceType"), &size->class_index))
        return af_fail(err, AF_EUNSUPPORTED, "the instance's class is none that the scaler knows");
    if (!scaling_tier_find(af_json_string(json, "dbStorageType"), &size->tier))
        return af_fail(err, AF_EUNSUPPORTED, "the instance's storage type is none that the scaler knows");
    if (!af_json_i64(af_json_get(json, "allocatedStorage"), &storage_gib) || storage_gib < 1 || storage_gib > SCALING_STORAGE_MAX_GIB)
        return af_fail(err, AF_ECORRUPT, "GetDbInstance: the answer's allocatedStorage is no size in GiB");
    size->storage_gib = (uint32_t)storage_gib;
    t->facts.is_available = strcmp(t->status, "AVAILABLE") == 0;
    t->scaler->policy.limits.is_multi_az = af_slice_is(af_json_string(json, "deploymentType"), "WITH_MULTIAZ_STANDBY");
    return AF_OK;
}

static enum af_status get_instance(struct turn *t, struct af_error *err)
{
    const struct af_json *json = NULL;
    struct af_buf body;
    af_buf_init(&body, BODY_BYTES_MAX);
    af_buf_append_str(&body, "{\"identifier\":");
    af_json_append_string(&body, af_slice_of(t->scaler->instance_id));
    af_buf_append_char(&body, '}');
    enum af_status status = af_tfi_call(t->scaler->tfi, AF_TFI_GetDbInstance, af_buf_slice(&body), t->invocation->arena, &json, err);
    if (status == AF_OK)
        status = read_instance(t, json, err);
    af_buf_done(&body);
    return status;
}

static int64_t since_s(int64_t then_ns, int64_t now_ns)
{
    return then_ns == 0 ? INT64_MAX : (now_ns - then_ns) / AF_NS_PER_S;
}

static enum af_status look(struct turn *t, struct af_error *err)
{
    struct scaler *s = t->scaler;
    AF_TRY(get_instance(t, err));
    AF_TRY(scaler_state_get(&t->journal, &t->state, err));
    const struct scaler_sources sources = {
        .cloudwatch = s->cloudwatch, .service_namespace = lambda_text(s->aws, LAMBDA_SERVICE_NAMESPACE),
        .service_dimension = lambda_text(s->aws, LAMBDA_SERVICE_DIMENSION), .instance_name = t->name,
        .name_space = lambda_text(s->aws, LAMBDA_METRICS_NAMESPACE), .monitor = lambda_text(s->aws, LAMBDA_MONITOR_FUNCTION),
    };
    t->facts.is_quiet = scaler_window_holds(&s->policy.window, t->now_ns);
    return scaler_measure(&sources, t->now_ns, &t->facts, err);
}

/* --- doing it ------------------------------------------------------------------------------------------------------------ */

/* What Terraform reads as the wanted size (modules/influxdb). */
static enum af_status write_size(struct turn *t, const struct scaling_size *size, struct af_error *err)
{
    const char *parameter = lambda_text(t->scaler->aws, LAMBDA_SIZE_PARAMETER);
    const struct af_json *json = NULL;
    struct af_buf value, body;
    if (parameter == NULL)
        return AF_OK;
    af_buf_init(&value, BODY_BYTES_MAX);
    af_buf_init(&body, BODY_BYTES_MAX);
    af_buf_printf(&value, "{\"class\":\"%s\",\"storage_gib\":%u,\"tier\":\"T%u\"}", scaling_class_name(size->class_index),
                  size->storage_gib,
                  size->tier + 1);
    af_buf_append_str(&body, "{\"Overwrite\":true,\"Type\":\"String\",\"Name\":");
    af_json_append_string(&body, af_slice_of(parameter));
    af_buf_append_str(&body, ",\"Value\":");
    af_json_append_string(&body, af_buf_slice(&value));
    af_buf_append_char(&body, '}');
    enum af_status status = af_buf_check(&body, "a parameter", err);
    if (status == AF_OK)
        status = af_aws_json(t->scaler->ssm, "PutParameter", af_buf_slice(&body), t->invocation->arena, &json, err);
    af_buf_done(&value);
    af_buf_done(&body);
    return status;
}

static enum af_status update(struct turn *t, struct af_error *err)
{
    const struct scaling_size *from = &t->facts.size, *to = &t->decision.to;
    const struct af_json *json = NULL;
    struct af_buf body;
    af_buf_init(&body, BODY_BYTES_MAX);
    af_buf_append_str(&body, "{\"identifier\":");
    af_json_append_string(&body, af_slice_of(t->scaler->instance_id));
    if (to->class_index != from->class_index)
        af_buf_printf(&body, ",\"dbInstanceType\":\"%s\"", scaling_class_name(to->class_index));
    if (to->tier != from->tier)
        af_buf_printf(&body, ",\"dbStorageType\":\"%s\"", scaling_tier_name(to->tier));
    if (to->storage_gib != from->storage_gib)
        af_buf_printf(&body, ",\"allocatedStorage\":%u", to->storage_gib);
    af_buf_append_char(&body, '}');
    enum af_status status = af_tfi_call(t->scaler->tfi, AF_TFI_UpdateDbInstance, af_buf_slice(&body), t->invocation->arena, &json, err);
    af_buf_done(&body);
    return status;
}

/* The size is what it is. */
static void write_back(struct turn *t)
{
    struct af_error err;
    if (write_size(t, &t->facts.size, &err) != AF_OK)
        af_lambda_say(t->invocation->log, AF_LOG_ERROR, (struct af_slice){ NULL, 0 }, "the size could not be written back: %s",
                      err.message);
}

/* Written down first: between the two, Terraform would ask for what we are about to do, never undo it. The state too, as unsure: of one
 * who dies before the service has answered the next look tells whether it was done. It must not be done twice, and not be waited for in
 * vain either. */
static enum af_status act(struct turn *t, struct af_error *err)
{
    const struct scaler_state before = t->state;
    if (t->decision.to.class_index != t->facts.size.class_index)
        t->state.changed_ns = t->now_ns;
    else
        t->state.stored_ns = t->now_ns;
    t->state.is_unsure = true;
    t->state.from = t->facts.size;
    t->state.before_changed_ns = before.changed_ns;
    t->state.before_stored_ns = before.stored_ns;
    AF_TRY(scaler_state_put(&t->journal, &t->state, err));
    enum af_status status = write_size(t, &t->decision.to, &t->refusal);
    if (status == AF_OK)
        status = update(t, &t->refusal);
    t->outcome = status == AF_OK ? "done" : "refused";
    /* No answer; or a conflict, maybe with our own first attempt: was it done? What is written down stays, and the state unsure. */
    if (status == AF_OK) {
        t->state.is_unsure = false;
    } else if (status != AF_EIO && status != AF_ECONFLICT) {
        t->state = before;
        write_back(t);
    }
    return scaler_state_put(&t->journal, &t->state, err);
}

static bool is_same_size(const struct scaling_size *a, const struct scaling_size *b)
{
    return a->class_index == b->class_index && a->tier == b->tier && a->storage_gib == b->storage_gib;
}

/* A change that was never answered, and the instance at rest: it was done, or it was not and never happened. */
static void settle(struct turn *t)
{
    struct scaler_state *state = &t->state;
    if (!state->is_unsure || !t->facts.is_available)
        return;
    if (is_same_size(&state->from, &t->facts.size)) {
        state->changed_ns = state->before_changed_ns;
        state->stored_ns = state->before_stored_ns;
        write_back(t);
    }
    state->is_unsure = false;
}

/* --- saying it ----------------------------------------------------------------------------------------------------------- */

static void print_number(struct af_buf *out, const char *name, double value)
{
    af_buf_printf(out, ",\"%s\":", name);
    af_json_append_f64(out, value);
}

static void print_size(struct af_buf *out, const char *name, const struct scaling_size *size)
{
    af_buf_printf(out, ",\"%s\":{\"class\":\"%s\",\"tier\":\"T%u\",\"storage_gib\":%u}", name, scaling_class_name(size->class_index),
                  size->tier + 1, size->storage_gib);
}

static void print_event(const struct turn *t, struct af_buf *out)
{
    const struct scaling_facts *f = &t->facts;
    char time[40];
    *af_rfc3339_print(time, t->now_ns, 3) = '\0';
    af_buf_printf(out, "{\"timestamp\":\"%s\",\"instance\":", time);
    af_json_append_string(out, af_slice_of(t->name));
    af_buf_printf(out, ",\"decision\":\"%s\",\"outcome\":\"%s\",\"why\":", scaling_step_name(t->decision.step), t->outcome);
    af_json_append_string(out, af_slice_of(t->decision.why));
    print_size(out, "from", &f->size);
    print_size(out, "to", &t->decision.to);
    print_number(out, "cpu", f->cpu);
    print_number(out, "memory", f->memory);
    print_number(out, "disk", f->disk);
    print_number(out, "operations", f->operations);
    print_number(out, "write_ms", f->write_ms);
    if (t->refusal.status != AF_OK) {
        af_buf_append_str(out, ",\"refusal\":");
        af_json_append_string(out, af_slice_of(t->refusal.message));
    }
    af_buf_append_char(out, '}');
}

/* What was said already is not said again: a held decision comes back every quarter of an hour. */
static void announce(struct turn *t, struct af_slice event)
{
    const char *topic = lambda_text(t->scaler->aws, LAMBDA_NOTIFY_TOPIC);
    char said[sizeof t->state.said], subject[96];
    struct af_error err;
    (void)snprintf(said, sizeof said, "%s %s %s %u", scaling_step_name(t->decision.step), t->outcome,
                   scaling_class_name(t->decision.to.class_index), t->decision.to.storage_gib);
    bool is_new = strcmp(said, t->state.said) != 0 || strcmp(t->outcome, "done") == 0;
    memcpy(t->state.said, said, sizeof said);
    if (topic == NULL || !is_new || t->decision.step == SCALING_STAY)
        return;
    (void)snprintf(subject, sizeof subject, "%s: %s %s", t->name, scaling_step_name(t->decision.step), t->outcome);
    if (af_sns_publish(t->scaler->sns, topic, subject, event, &err) != AF_OK)
        af_lambda_say(t->invocation->log, AF_LOG_WARN, (struct af_slice){ NULL, 0 }, "nobody was told: %s", err.message);
}

static void count(struct turn *t)
{
    struct lambda_metrics metrics = { 0 };
    lambda_metric_set(&metrics, LAMBDA_METRIC_ScalerDecisions, t->decision.step != SCALING_STAY);
    lambda_metric_set(&metrics, LAMBDA_METRIC_ScalerActions, strcmp(t->outcome, "done") == 0);
    lambda_metric_set(&metrics, LAMBDA_METRIC_ScalerRefusals, strcmp(t->outcome, "refused") == 0);
    lambda_metric_set(&metrics, LAMBDA_METRIC_ScalerHeld, t->decision.is_held);
    lambda_publish(&t->scaler->publisher, &metrics, t->invocation->log);
}

static enum af_status tell(struct turn *t, struct af_buf *answer, struct af_error *err)
{
    enum af_status status = AF_OK;
    print_event(t, answer);
    af_lambda_say(t->invocation->log, strcmp(t->outcome, "refused") == 0 ? AF_LOG_ERROR : AF_LOG_INFO, (struct af_slice){ NULL, 0 },
                  "%s (%s): %s%s%s", scaling_step_name(t->decision.step), t->outcome, t->decision.why,
                  t->refusal.status != AF_OK ? ": " : "", t->refusal.status != AF_OK ? t->refusal.message : "");
    announce(t, af_buf_slice(answer));
    count(t);
    if (t->decision.step != SCALING_STAY)
        status = scaler_audit(&t->journal, t->invocation->request_id, t->now_ns, af_buf_slice(answer), err);
    return status == AF_OK ? scaler_state_put(&t->journal, &t->state, err) : status;
}

/* --- the function -------------------------------------------------------------------------------------------------------- */

static enum af_status decide(struct turn *t, struct af_buf *answer, struct af_error *err)
{
    AF_TRY(look(t, err));
    settle(t);
    t->facts.since_change_s = since_s(t->state.changed_ns, t->now_ns);
    t->facts.since_storage_s = since_s(t->state.stored_ns, t->now_ns);
    scaling_decide(&t->scaler->policy.limits, &t->facts, &t->decision);
    t->outcome = t->decision.step == SCALING_STAY ? "nothing" : t->decision.is_held ? "held" : "advised";
    if (t->decision.step != SCALING_STAY && !t->decision.is_held && t->scaler->acts)
        AF_TRY(act(t, err));
    return tell(t, answer, err);
}

static enum af_status handle(void *function, const struct af_lambda_invocation *invocation, struct af_buf *answer, struct af_error *err)
{
    struct scaler *s = function;
    struct turn t = { .scaler = s, .invocation = invocation, .now_ns = af_clock_now_ns(), .outcome = "nothing" };
    struct af_error why = { 0 };
    t.journal = (struct scaler_journal){ .s3 = s->s3, .bucket = lambda_text(s->aws, LAMBDA_SCALING_BUCKET), .instance = s->instance_id };
    enum af_status status = scaler_lock(&t.journal, invocation->request_id, t.now_ns, t.now_ns + LOCK_S * AF_NS_PER_S, &why);
    if (status == AF_ECONFLICT) { /* no fault: somebody does it */
        af_lambda_say(invocation->log, AF_LOG_INFO, (struct af_slice){ NULL, 0 }, "%s", why.message);
        af_buf_append_str(answer, "{\"decision\":\"stay\",\"outcome\":\"locked\",\"why\":");
        af_json_append_string(answer, af_slice_of(why.message));
        af_buf_append_char(answer, '}');
        return AF_OK;
    }
    if (status == AF_OK) {
        status = decide(&t, answer, &why);
        scaler_unlock(&t.journal);
    }
    if (status != AF_OK && err != NULL)
        *err = why;
    return status;
}

static void free_scaler(struct af_lambda_function *function)
{
    struct scaler *s = (struct scaler *)function;
    lambda_publisher_close(&s->publisher);
    af_s3_close(s->s3);
    af_aws_client_free(s->tfi);
    af_aws_client_free(s->ssm);
    af_aws_client_free(s->sns);
    af_aws_client_free(s->cloudwatch);
    af_free(s);
}

static enum af_status open_scaler(struct scaler *s, struct af_error *err)
{
    const struct af_s3_options s3_options = { .connections = 1 };
    const char *mode = lambda_text(s->aws, LAMBDA_SCALING_MODE);
    s->instance_id = lambda_text(s->aws, LAMBDA_INSTANCE_ID);
    if (s->instance_id == NULL || lambda_text(s->aws, LAMBDA_SCALING_BUCKET) == NULL)
        return af_fail(err, AF_EINVAL, "INSTANCE_ID and SCALING_BUCKET must be set: which instance, and where the scaler keeps lock, state "
                                       "and audit");
    if (strcmp(mode, "act") != 0 && strcmp(mode, "advise") != 0)
        return af_fail(err, AF_EINVAL, "SCALING_MODE is act or advise, not \"%.20s\"", mode);
    s->acts = strcmp(mode, "act") == 0;
    AF_TRY(scaler_policy_parse(lambda_text(s->aws, LAMBDA_SCALING_POLICY), &s->policy, err));
    AF_TRY(af_aws_client_new(s->aws, "timestream-influxdb", &s->tfi, err));
    AF_TRY(af_aws_client_new(s->aws, "ssm", &s->ssm, err));
    AF_TRY(af_aws_client_new(s->aws, "sns", &s->sns, err));
    AF_TRY(af_aws_client_new(s->aws, "monitoring", &s->cloudwatch, err));
    AF_TRY(af_s3_open(s->aws, &s3_options, &s->s3, err));
    return lambda_publisher_open(&s->publisher, s->aws, "scaler", err);
}

enum af_status af_lambda_scaler_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err)
{
    struct scaler *s = af_alloc_zero(1, sizeof *s);
    if (s == NULL)
        return af_fail_nomem(err, "the scaler");
    s->function = (struct af_lambda_function){ handle, free_scaler };
    s->aws = aws;
    enum af_status status = open_scaler(s, err);
    if (status != AF_OK) {
        free_scaler(&s->function);
        return status;
    }
    *out = &s->function;
    return AF_OK;
}
