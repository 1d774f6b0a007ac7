/* backup_plan.c - see backup_plan.h. */
#include "lambda/backup_plan.h"
#include <string.h>

const char *backup_step_name(enum backup_step step)
{
    static const char *const names[] = { "nothing", "wait", "create", "create-final", "restore", "compare", "give-up", "remove-trial",
                                         "refuse", "done" };
    return names[step];
}

/* --- lists --------------------------------------------------------------------------------------------------------------- */

static void step(struct backup_decision *out, enum backup_step what, const char *why)
{
    out->step = what;
    out->why = why;
}

/* The youngest in a state; `owner` below 0: of anybody; `is_tested`: that was tested. */
static size_t youngest(const struct backup_facts *f, enum backup_state state, int owner, bool is_tested)
{
    size_t best = f->count;
    for (size_t i = 0; i < f->count; i++) {
        const struct backup_seen *b = &f->backups[i];
        if (b->state == state && (owner < 0 || b->owner == (enum backup_owner)owner) && (!is_tested || b->is_tested) &&
            (best == f->count || b->age_s < f->backups[best].age_s))
            best = i;
    }
    return best;
}

size_t backup_newest(const struct backup_facts *facts)
{
    return youngest(facts, BACKUP_COMPLETED, -1, false);
}

size_t backup_failures(const struct backup_facts *facts)
{
    const size_t newest = backup_newest(facts);
    size_t n = 0;
    for (size_t i = 0; i < facts->count; i++)
        n += facts->backups[i].state == BACKUP_FAILED && facts->backups[i].owner != BACKUP_OTHERS &&
             (newest == facts->count || facts->backups[i].age_s <= facts->backups[newest].age_s);
    return n;
}

/* How many whole ones of ours are younger. */
static uint64_t rank_of(const struct backup_facts *f, size_t which)
{
    uint64_t rank = 0;
    for (size_t i = 0; i < f->count; i++)
        rank += f->backups[i].state == BACKUP_COMPLETED && f->backups[i].owner == BACKUP_OURS &&
                f->backups[i].age_s < f->backups[which].age_s;
    return rank;
}

static void retire(const struct backup_policy *p, const struct backup_facts *f, struct backup_decision *out)
{
    const size_t newest = backup_newest(f), tested = youngest(f, BACKUP_COMPLETED, -1, true);
    for (size_t i = 0; i < f->count; i++) {
        const struct backup_seen *b = &f->backups[i];
        if (b->owner != BACKUP_OURS || i == newest || i == tested)
            continue;
        if (b->state == BACKUP_COMPLETED)
            out->drops[i] = rank_of(f, i) >= p->keep || b->age_s > p->retention_s;
        else if (b->state == BACKUP_FAILED)
            out->drops[i] = newest != f->count && f->backups[newest].age_s < b->age_s;
    }
}

/* --- the tasks ----------------------------------------------------------------------------------------------------------- */

static void decide_backup(const struct backup_policy *p, const struct backup_facts *f, struct backup_decision *out)
{
    retire(p, f, out);
    if (f->source == BACKUP_SOURCE_GONE || f->source == BACKUP_SOURCE_LOST)
        step(out, BACKUP_REFUSE, "the instance is gone or failed: there is nothing to back up");
    else if (youngest(f, BACKUP_IN_PROGRESS, -1, false) != f->count)
        step(out, BACKUP_WAIT, "a backup is being made");
    else if (f->source == BACKUP_SOURCE_BUSY)
        step(out, BACKUP_WAIT, "the service is at work on the instance");
    else
        step(out, BACKUP_CREATE, "no backup is being made");
}

static void begin_trial(const struct backup_facts *f, struct backup_decision *out)
{
    if (f->task == BACKUP_TASK_LOOK) {
        step(out, BACKUP_NOTHING, "no restore test is under way");
        return;
    }
    out->of = backup_newest(f);
    if (out->of == f->count)
        step(out, BACKUP_REFUSE, "there is no completed backup to restore");
    else
        step(out, BACKUP_RESTORE, "the newest completed backup is restored beside the instance");
}

static void decide_trial(const struct backup_policy *p, const struct backup_facts *f, struct backup_decision *out)
{
    const bool is_late = f->trial_age_s > p->trial_s_max;
    switch (f->trial) {
    case BACKUP_TRIAL_NONE:
        begin_trial(f, out);
        return;
    case BACKUP_TRIAL_FOREIGN:
        step(out, BACKUP_REFUSE, "an instance of this name is not ours: it does not carry our tag");
        return;
    case BACKUP_TRIAL_MAKING:
        step(out, is_late ? BACKUP_GIVE_UP : BACKUP_WAIT, is_late ? "the restore takes too long" : "the instance is being restored");
        return;
    case BACKUP_TRIAL_READY:
        step(out, is_late ? BACKUP_GIVE_UP : BACKUP_COMPARE,
             is_late ? "it could not be compared in time" : "the restored instance is available");
        return;
    case BACKUP_TRIAL_BROKEN:
        step(out, BACKUP_GIVE_UP, "the restore failed");
        return;
    case BACKUP_TRIAL_GOING:
        step(out, BACKUP_WAIT, "the instance of the last test is being deleted");
        return;
    }
}

static void drop_ours(const struct backup_policy *p, const struct backup_facts *f, struct backup_decision *out)
{
    for (size_t i = 0; i < f->count && !p->keeps_backups; i++)
        out->drops[i] = f->backups[i].owner == BACKUP_OURS &&
                        (f->backups[i].state == BACKUP_COMPLETED || f->backups[i].state == BACKUP_FAILED);
}

/* With a final backup: true, it is there, and the others may go; or nothing is left that could be backed up, and they stay. */
static bool has_final(const struct backup_policy *p, const struct backup_facts *f, struct backup_decision *out)
{
    out->of = youngest(f, BACKUP_COMPLETED, BACKUP_FINAL, false);
    if (out->of != f->count && f->backups[out->of].age_s <= p->final_s_max)
        return true;
    out->of = f->count;
    if (f->source == BACKUP_SOURCE_BUSY)
        step(out, BACKUP_WAIT, "the service is at work on the instance");
    else if (f->source == BACKUP_SOURCE_AVAILABLE)
        step(out, BACKUP_CREATE_FINAL, "there is no final backup");
    else
        step(out, BACKUP_DONE, "the instance is gone or failed: no final backup can be made, and what backups there are stay");
    return false;
}

static void decide_final(const struct backup_policy *p, const struct backup_facts *f, struct backup_decision *out)
{
    if (f->trial == BACKUP_TRIAL_READY || f->trial == BACKUP_TRIAL_BROKEN) {
        step(out, BACKUP_REMOVE_TRIAL, "the instance of a restore test goes first");
    } else if (f->trial == BACKUP_TRIAL_MAKING || f->trial == BACKUP_TRIAL_GOING) { /* the service deletes none that it is at work on */
        step(out, BACKUP_WAIT, "the instance of a restore test is being restored or deleted");
    } else if (youngest(f, BACKUP_IN_PROGRESS, -1, false) != f->count) {
        step(out, BACKUP_WAIT, "a backup is being made");
    } else if (!p->wants_final || has_final(p, f, out)) {
        step(out, BACKUP_DONE, p->wants_final ? "the final backup is there" : "no final backup is wanted");
        drop_ours(p, f, out);
    }
}

void backup_decide(const struct backup_policy *policy, const struct backup_facts *facts, struct backup_decision *out)
{
    memset(out, 0, sizeof *out);
    out->of = facts->count;
    if (facts->task == BACKUP_TASK_BACKUP)
        decide_backup(policy, facts, out);
    else if (facts->task == BACKUP_TASK_FINAL)
        decide_final(policy, facts, out);
    else
        decide_trial(policy, facts, out);
}
