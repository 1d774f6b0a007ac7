/*
 * scaler_int.h - the parts of the scaler: what it may do, what it measures, what it remembers.
 *
 *     scaler.c   lock -> instance -> measures -> scaling_decide -> write down -> UpdateDbInstance -> say
 */
#ifndef AF_LAMBDA_SCALER_INT_H
#define AF_LAMBDA_SCALER_INT_H
#include "aws/s3.h"
#include "base/calendar.h"
#include "lambda/lambda_int.h"
#include "lambda/scaling.h"

/* --- scaler_policy.c: SCALING_POLICY, a JSON object; every member has a default (docs/infra/scaling.md) ------------------------- */

struct scaler_window {
    int64_t first_s, last_s;     /* seconds of the week, from Monday 00:00 of its zone; last_s may be past the week's end. Equal: none */
    struct af_zone zone;
};
struct scaler_policy {
    struct scaling_policy limits;
    struct scaler_window window;
};
/* AF_EINVAL names the member. `text` NULL: the defaults. */
AF_MUST_CHECK enum af_status scaler_policy_parse(const char *text, struct scaler_policy *out, struct af_error *err);
bool scaler_window_holds(const struct scaler_window *window, int64_t now_ns);

/* --- scaler_measure.c: CloudWatch ------------------------------------------------------------------------------------------------ */

struct scaler_sources {
    struct af_aws_client *cloudwatch;
    const char *service_namespace, *service_dimension, *instance_name; /* of the service's own metrics */
    const char *name_space, *monitor;                                  /* of ours; monitor NULL: there is none */
};
/* What has no data is NAN; what cannot be asked for is a failure. */
AF_MUST_CHECK enum af_status scaler_measure(const struct scaler_sources *sources, int64_t now_ns, struct scaling_facts *facts,
                                            struct af_error *err);

/* --- scaler_journal.c: objects in S3 below scaler/INSTANCE/ ------------------------------------------------------------------------ */

struct scaler_state {
    int64_t changed_ns, stored_ns; /* when the class, and storage or tier, were changed last; 0: never */
    char said[320];                /* what was announced last */
    /* A change whose call was not answered: was it done? The next look tells. The sizes before it, and what these were then. */
    bool is_unsure;
    struct scaling_size from;
    int64_t before_changed_ns, before_stored_ns;
};
struct scaler_journal {
    struct af_s3 *s3;
    const char *bucket, *instance;
    char lock_etag[64];
};
/* AF_ECONFLICT: another one holds it (until when, in the message). A lock whose time is over is taken. */
AF_MUST_CHECK enum af_status scaler_lock(struct scaler_journal *journal, const char *who, int64_t now_ns, int64_t until_ns,
                                         struct af_error *err);
void scaler_unlock(struct scaler_journal *journal);
AF_MUST_CHECK enum af_status scaler_state_get(struct scaler_journal *journal, struct scaler_state *out, struct af_error *err);
AF_MUST_CHECK enum af_status scaler_state_put(struct scaler_journal *journal, const struct scaler_state *state, struct af_error *err);
/* One audit event: an object that is never written again. */
AF_MUST_CHECK enum af_status scaler_audit(struct scaler_journal *journal, const char *id, int64_t now_ns, struct af_slice json,
                                          struct af_error *err);
#endif
