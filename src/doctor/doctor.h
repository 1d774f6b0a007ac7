/*
 * doctor.h - what is wrong with this set-up: checks of this machine, a target and AWS, each with what was seen and what to do.
 *
 *     ok            as it should be
 *     warning       works, but look at it
 *     failed        something will not work
 *     not checked   with the reason: it needs a check that failed, a right that is missing, something that was not given
 *
 * Read only, but for write_test. Checks go on after failures. Nothing waits longer than limit_ms for one answer.
 */
#ifndef AF_DOCTOR_DOCTOR_H
#define AF_DOCTOR_DOCTOR_H
#include "aws/aws.h"
#include "net/http.h"

enum af_doctor_state { AF_DOCTOR_OK, AF_DOCTOR_WARNING, AF_DOCTOR_FAILED, AF_DOCTOR_UNCHECKED, AF_DOCTOR_STATES };
struct af_doctor_finding {
    const char *group, *name;      /* "this machine", "memory" */
    enum af_doctor_state state;
    uint64_t took_ms;
    char seen[640];                /* what was seen, or why it was not checked */
    char advice[640];              /* what to do; "": nothing */
};

struct af_doctor_options {
    const char *version;           /* of the program */
    const char *state_dir;         /* what migrations left is looked for here and in the directories below; NULL: nowhere */
    const char *scratch_dir;       /* where temporary files go; NULL: /tmp */
    /* The target: a server, a data directory, or neither. A directory that a server has is looked at through it, too. */
    const char *url, *dir;
    const char *org, *bucket;      /* bucket: also "database/policy" */
    const char *token, *user, *password;
    bool only_reads, only_writes;  /* the other right may be missing */
    bool has_proxy;                /* the environment names one */
    struct af_http_options http;   /* certificate authorities, skip_verify; limits are the doctor's own */
    bool write_test;               /* write one point to measurement afluxo_doctor and delete it */
    /* AWS; NULL: it is not looked at */
    const struct af_aws_options *aws;
    const char *instance;          /* name or id; NULL: the only one there is */
    const char *queue;             /* URL, ARN or name; NULL: none */

    uint32_t limit_ms;             /* for an answer; 0: 5,000 */
    uint32_t patience_ms;          /* of the run: what comes later is not checked; 0: 120,000 */
    const bool *cancel;            /* may be NULL */
    void (*found)(void *ctx, const struct af_doctor_finding *finding); /* each as it comes, in order */
    void *ctx;
};
struct af_doctor_totals {
    size_t of[AF_DOCTOR_STATES];
};
/* AF_OK: all was looked at, whatever was found. AF_ENOMEM, AF_ECANCELED. */
AF_MUST_CHECK enum af_status af_doctor_run(const struct af_doctor_options *options, struct af_doctor_totals *out, struct af_error *err);
#endif
