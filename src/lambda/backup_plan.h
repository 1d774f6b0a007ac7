/*
 * backup_plan.h - what is to be done about the backups of an instance: a decision made of lists and ages alone. No calls, no clock.
 *
 *     backup    make one, unless one is being made; those too many and too old are dropped
 *     test      nothing there --> restore --> (made) wait --> (ready) compare --> removed;  too long, or broken --> given up
 *     look      the same, but none is begun
 *     final     test instance removed --> final backup made, waited for --> our other backups dropped
 *
 * docs/infra/backup.md has the table, which is what the tests run. What is not ours is never dropped, nor the newest backup that is whole,
 * nor the newest that was restored for a test.
 */
#ifndef AF_LAMBDA_BACKUP_PLAN_H
#define AF_LAMBDA_BACKUP_PLAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BACKUPS_MAX = 512 };
enum backup_task { BACKUP_TASK_BACKUP, BACKUP_TASK_TEST, BACKUP_TASK_LOOK, BACKUP_TASK_FINAL };
enum backup_state { BACKUP_IN_PROGRESS, BACKUP_COMPLETED, BACKUP_FAILED, BACKUP_GOING };
enum backup_owner { BACKUP_OTHERS, BACKUP_OURS, BACKUP_FINAL };
enum backup_source { BACKUP_SOURCE_AVAILABLE, BACKUP_SOURCE_BUSY, BACKUP_SOURCE_LOST, BACKUP_SOURCE_GONE };
enum backup_trial { BACKUP_TRIAL_NONE, BACKUP_TRIAL_FOREIGN, BACKUP_TRIAL_MAKING, BACKUP_TRIAL_READY, BACKUP_TRIAL_BROKEN,
                    BACKUP_TRIAL_GOING };

struct backup_seen {
    enum backup_state state;
    enum backup_owner owner;
    int64_t age_s;
    bool is_tested;                /* it was restored, and found equal */
};
struct backup_policy {
    uint64_t keep;                 /* of ours */
    int64_t retention_s;           /* ours that are older are dropped */
    int64_t trial_s_max;           /* a test that takes longer is given up */
    int64_t final_s_max;           /* a final backup that is older is none */
    bool wants_final, keeps_backups;
};
struct backup_facts {
    enum backup_task task;
    enum backup_source source;
    enum backup_trial trial;       /* the instance of a restore test */
    int64_t trial_age_s;
    const struct backup_seen *backups;
    size_t count;                  /* up to BACKUPS_MAX */
};
enum backup_step {
    BACKUP_NOTHING, BACKUP_WAIT, BACKUP_CREATE, BACKUP_CREATE_FINAL, BACKUP_RESTORE, BACKUP_COMPARE, BACKUP_GIVE_UP, BACKUP_REMOVE_TRIAL,
    BACKUP_REFUSE, BACKUP_DONE
};
struct backup_decision {
    enum backup_step step;
    size_t of;                     /* RESTORE: which; DONE: the final one, or count */
    bool drops[BACKUPS_MAX];
    const char *why;
};
void backup_decide(const struct backup_policy *policy, const struct backup_facts *facts, struct backup_decision *out);
const char *backup_step_name(enum backup_step step); /* "nothing", "wait", "create", "create-final", "restore", ... */
/* The newest that is whole; `count`: none. */
size_t backup_newest(const struct backup_facts *facts);
/* Ours that failed since. */
size_t backup_failures(const struct backup_facts *facts);
#endif
