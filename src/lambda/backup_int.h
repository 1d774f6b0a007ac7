/*
 * backup_int.h - the parts of the backups' function: what it sees, what it does, how it compares.
 *
 *     backup.c   event -> look -> backup_decide -> act (final: until done or out of time) -> publish, answer
 */
#ifndef AF_LAMBDA_BACKUP_INT_H
#define AF_LAMBDA_BACKUP_INT_H
#include "aws/timestream.h"
#include "lambda/backup_plan.h"
#include "lambda/lambda_int.h"

enum { BACKUP_ID_BYTES = 80, BACKUP_NAME_BYTES = 41, BACKUP_ARN_BYTES = 256 };
struct backup_thing {              /* a backup, or an instance */
    char id[BACKUP_ID_BYTES], name[BACKUP_NAME_BYTES], arn[BACKUP_ARN_BYTES];
    int64_t at_ns;                 /* when it was made */
};
/* One look at the service. */
struct backup_look {
    struct af_aws_client *tfi;
    struct af_arena *arena;
    const char *instance;          /* its identifier */
    const char *prefix;            /* of our backups' names; NULL: the instance's name */
    int64_t now_ns;
    struct backup_thing source, trial;
    char source_status[32], trial_status[32];
    char trial_name[BACKUP_NAME_BYTES];
    char trial_host[256];
    int64_t trial_port;
    char trial_backup[BACKUP_ID_BYTES]; /* which backup it was restored from */
    int64_t tested_ns;             /* when a test succeeded last, as far as backups remember; 0: never */
    struct backup_facts facts;
    struct backup_seen seen[BACKUPS_MAX];
    struct backup_thing things[BACKUPS_MAX];
};

/* --- backup_look.c --------------------------------------------------------------------------------------------------------- */

/* Everything that a decision needs; facts.task stays. An instance that is not found is BACKUP_SOURCE_GONE, and its name then `prefix`. */
AF_MUST_CHECK enum af_status backup_look(struct backup_look *look, struct af_error *err);
/* "grid-20261125T1640", "final-grid-20261125T1640": at most 40 bytes. */
void backup_name(const struct backup_look *look, bool is_final, char out[BACKUP_NAME_BYTES]);

/* --- backup_act.c ---------------------------------------------------------------------------------------------------------- */

/* `days` 0: until it is deleted. */
AF_MUST_CHECK enum af_status backup_create(struct backup_look *look, bool is_final, uint64_t days, struct af_error *err);
AF_MUST_CHECK enum af_status backup_restore(struct backup_look *look, size_t which, struct af_error *err);
AF_MUST_CHECK enum af_status backup_remove_trial(struct backup_look *look, struct af_error *err);
AF_MUST_CHECK enum af_status backup_drop(struct backup_look *look, size_t which, struct af_error *err);
/* The backup that the test restored is one that can be restored. One that is gone meanwhile is no failure. */
AF_MUST_CHECK enum af_status backup_mark_tested(struct backup_look *look, struct af_error *err);

/* --- backup_compare.c ------------------------------------------------------------------------------------------------------ */

/* Number and digest of the values of a day, by measurement, in the instance and in the one restored. The first difference is said in
 * `why`; AF_OK and *out_equal. */
struct backup_compare {
    struct af_aws *aws;
    const char *trial_url;
    int64_t from_ns, to_ns;
    const bool *cancel;
    uint64_t measurements, values;
    char why[320];
};
AF_MUST_CHECK enum af_status backup_compare(struct backup_compare *compare, bool *out_equal, struct af_error *err);
#endif
