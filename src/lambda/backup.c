/*
 * backup.c - backups of an instance, proof that they can be restored, and the last one before a destroy (docs/infra/backup.md):
 *
 *     {"do": "backup"}         one more, the old ones dropped; any event without "do", as a schedule sends it, is the same
 *     {"do": "restore-test"}   the newest restored beside the instance, compared, removed; one step a call, since a restore takes long
 *     {"do": "look"}           the next step of a restore test that is under way, and the metrics
 *     {"do": "final", "instance": id, "final_backup": true, "keep_backups": false}   what Terraform calls: something at its delete alone
 *
 * No state is kept: what is found at the service by names and tags (backup_look.c) says how far it is. Killed anywhere, the next call goes
 * on from there.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "lambda/backup_int.h"
#include "load/load.h"
#include "os/clock.h"
#include <stdio.h>

enum { MARGIN_MS = 3000, LONGEST_S = 840, EVERY_MS = 3000, NAP_MS = 100, PREFIX_BYTES_MAX = 26, URL_BYTES_MAX = 320, HOUR_S = 3600 };
static const int64_t NS_PER_MS = 1000000, FINAL_S_MAX = 86400;

struct backups {
    struct af_lambda_function function;
    struct af_aws *aws;
    struct af_aws_client *tfi;
    struct lambda_publisher publisher;
    uint64_t keep, retention_days, days_back, hours_max;
};

/* One call. */
struct turn {
    struct backups *backups;
    const struct af_lambda_invocation *invocation;
    const struct af_json *event;
    struct backup_look *look;
    struct backup_policy policy;
    struct backup_decision decision;
    struct lambda_metrics metrics;
    bool flag;                     /* time is up; through __atomic builtins */
    bool is_created;               /* the final backup, in this call */
    int test;                      /* 1: equal, 0: it failed; -1: not finished */
    uint64_t measurements, values;
    char why[400];
    struct af_buf dropped, kept;   /* names, as JSON */
};

static void say(const struct turn *t, enum af_lambda_level level, const char *what, const char *why)
{
    af_lambda_say(t->invocation->log, level, (struct af_slice){ NULL, 0 }, "%s: %s", what, why);
}

static void because(struct turn *t, const char *why)
{
    (void)snprintf(t->why, sizeof t->why, "%s", why);
}

/* --- dropping -------------------------------------------------------------------------------------------------------------- */

static void name_in(struct af_buf *list, const char *name)
{
    af_buf_append_str(list, list->len != 0 ? "," : "");
    af_json_append_string(list, af_slice_of(name));
}

/* What cannot be dropped now can be the next time, unless there is none. */
static enum af_status drop(struct turn *t, bool must, struct af_error *err)
{
    for (size_t i = 0; i < t->look->facts.count; i++) {
        struct af_error why = { 0 };
        if (!t->decision.drops[i])
            continue;
        const enum af_status status = backup_drop(t->look, i, &why);
        if (status == AF_OK) {
            name_in(&t->dropped, t->look->things[i].name);
            continue;
        }
        say(t, AF_LOG_WARN, t->look->things[i].name, why.message);
        if (must)
            return af_fail(err, status, "the backup %s cannot be deleted: %.500s", t->look->things[i].name, why.message);
    }
    return AF_OK;
}

/* --- the test ---------------------------------------------------------------------------------------------------------------- */

/* The UTC day, some before the one on which the backup was begun. */
static void choose_day(const struct turn *t, struct backup_compare *c)
{
    int64_t at_ns = t->look->trial.at_ns;
    for (size_t i = 0; i < t->look->facts.count; i++)
        if (strcmp(t->look->things[i].id, t->look->trial_backup) == 0)
            at_ns = t->look->things[i].at_ns;
    c->from_ns = (af_floor_div(at_ns, AF_NS_PER_DAY) - (int64_t)t->backups->days_back) * AF_NS_PER_DAY;
    c->to_ns = c->from_ns + AF_NS_PER_DAY;
}

static enum af_status end_trial(struct turn *t, bool is_well, struct af_error *err)
{
    t->test = is_well ? 1 : 0;
    if (is_well)
        AF_TRY(backup_mark_tested(t->look, err));
    return backup_remove_trial(t->look, err);
}

/* A side that does not answer is asked again by the next call, until the test has taken too long. */
static enum af_status compare(struct turn *t, struct af_error *err)
{
    char url[URL_BYTES_MAX];
    const char *said = lambda_text(t->backups->aws, LAMBDA_RESTORE_TEST_URL);
    struct backup_compare c = { .aws = t->backups->aws, .trial_url = said != NULL ? said : url, .cancel = &t->flag };
    struct af_error why = { 0 };
    bool is_equal = false;
    (void)snprintf(url, sizeof url, "https://%s:%lld", t->look->trial_host, (long long)t->look->trial_port);
    choose_day(t, &c);
    if (backup_compare(&c, &is_equal, &why) != AF_OK) {
        t->decision.step = BACKUP_WAIT;
        (void)snprintf(t->why, sizeof t->why, "it could not be compared yet: %.300s", why.message);
        say(t, AF_LOG_WARN, "compare", why.message);
        return AF_OK;
    }
    t->measurements = c.measurements;
    t->values = c.values;
    because(t, is_equal ? "what was restored is what was there" : c.why);
    return end_trial(t, is_equal, err);
}

/* Nothing is restored, and paid for, that could not be compared. */
static enum af_status restore(struct turn *t, struct af_error *err)
{
    struct lambda_target target;
    const enum af_status status = lambda_target_open(&target, t->backups->aws, NULL, err);
    lambda_target_close(&target);
    AF_TRY(status);
    return backup_restore(t->look, t->decision.of, err);
}

/* --- steps --------------------------------------------------------------------------------------------------------------------- */

static enum af_status create(struct turn *t, struct af_error *err)
{
    const bool is_final = t->decision.step == BACKUP_CREATE_FINAL;
    const struct af_json *days = af_json_get(t->event, "retention_days");
    int64_t final_days = 0;
    if (is_final && t->is_created)
        return af_fail(err, AF_EIO, "the final backup failed: look at the instance, then run destroy again, or set final_backup = false");
    if (days != NULL && days->kind != AF_JSON_NULL && (!af_json_i64(days, &final_days) || final_days < 1 || final_days > 3650))
        return af_fail(err, AF_EINVAL, "\"retention_days\" is 1 to 3650, or left out: the final backup is kept until it is deleted");
    t->is_created = is_final;
    return backup_create(t->look, is_final, is_final ? (uint64_t)final_days : t->backups->retention_days, err);
}

/* A conflict is somebody who does it already, or the service at work: no fault, and seen at the next look. Nor is it one that an instance
 * cannot be deleted while an operation is in progress, which the service calls invalid. */
static enum af_status do_step(struct turn *t, struct af_error *err)
{
    struct af_error why = { 0 };
    enum af_status status = AF_OK;
    switch (t->decision.step) {
    case BACKUP_CREATE: case BACKUP_CREATE_FINAL: status = create(t, &why); break;
    case BACKUP_RESTORE: status = restore(t, &why); break;
    case BACKUP_COMPARE: status = compare(t, &why); break;
    case BACKUP_GIVE_UP: status = end_trial(t, false, &why); break;
    case BACKUP_REMOVE_TRIAL: status = backup_remove_trial(t->look, &why); break;
    case BACKUP_REFUSE: return af_fail(err, AF_ECONFLICT, "%s (%s is %s)", t->why, t->look->instance, t->look->source_status);
    default: break;
    }
    const bool is_trial = t->decision.step == BACKUP_GIVE_UP || t->decision.step == BACKUP_REMOVE_TRIAL;
    if (status == AF_ECONFLICT || (status == AF_EINVAL && is_trial)) {
        t->decision.step = BACKUP_WAIT;
        (void)snprintf(t->why, sizeof t->why, "%.380s", why.message);
        return AF_OK;
    }
    if (status != AF_OK && err != NULL)
        *err = why;
    return status;
}

static enum af_status look_and_decide(struct turn *t, struct af_error *err)
{
    t->look->now_ns = af_clock_now_ns();
    AF_TRY(backup_look(t->look, err));
    backup_decide(&t->policy, &t->look->facts, &t->decision);
    because(t, t->decision.why);
    return AF_OK;
}

/* --- the final one ----------------------------------------------------------------------------------------------------------------- */

static bool is_over(const struct turn *t)
{
    return __atomic_load_n(&t->flag, __ATOMIC_RELAXED);
}

static enum af_status not_yet(const struct turn *t, struct af_error *err)
{
    const struct backup_look *look = t->look;
    for (size_t i = 0; i < look->facts.count; i++)
        if (look->seen[i].state == BACKUP_IN_PROGRESS)
            return af_fail(err, AF_EBUSY, "the backup %s is IN_PROGRESS: run destroy again, it goes on from here",
                           look->things[i].name[0] != '\0' ? look->things[i].name : look->things[i].id);
    return af_fail(err, AF_EBUSY, "%s: run destroy again, it goes on from here", t->why);
}

static enum af_status finish(struct turn *t, struct af_error *err)
{
    for (;;) {
        AF_TRY(look_and_decide(t, err));
        if (t->decision.step == BACKUP_DONE)
            return drop(t, true, err);
        AF_TRY(do_step(t, err));
        for (int slept = 0; slept < EVERY_MS && !is_over(t); slept += NAP_MS)
            af_clock_sleep_ms(NAP_MS);
        if (is_over(t))
            return not_yet(t, err);
    }
}

static enum af_status read_flag(const struct af_json *event, const char *name, bool *out, struct af_error *err)
{
    const struct af_json *node = af_json_get(event, name);
    if (node == NULL || node->kind == AF_JSON_NULL)
        return AF_OK;
    if (node->kind != AF_JSON_BOOL)
        return af_fail(err, AF_EINVAL, "\"%s\" is true or false", name);
    *out = node->is_true;
    return AF_OK;
}

/* --- what is said ------------------------------------------------------------------------------------------------------------------ */

static double hours(int64_t seconds)
{
    return (double)seconds / HOUR_S;
}

/* Never tested: since there is something that could have been. */
static void measure(struct turn *t)
{
    const struct backup_look *look = t->look;
    const size_t newest = backup_newest(&look->facts);
    int64_t untested_s = -1;
    if (newest != look->facts.count)
        lambda_metric_set(&t->metrics, LAMBDA_METRIC_BackupAgeHours, hours(look->seen[newest].age_s));
    lambda_metric_set(&t->metrics, LAMBDA_METRIC_BackupsFailed, (double)backup_failures(&look->facts));
    for (size_t i = 0; i < look->facts.count; i++)
        if (look->seen[i].state == BACKUP_COMPLETED && look->seen[i].age_s > untested_s)
            untested_s = look->seen[i].age_s;
    if (look->tested_ns != 0)
        untested_s = (look->now_ns - look->tested_ns) / AF_NS_PER_S;
    if (untested_s >= 0)
        lambda_metric_set(&t->metrics, LAMBDA_METRIC_RestoreTestAgeHours, hours(untested_s));
    if (t->test >= 0)
        lambda_metric_set(&t->metrics, LAMBDA_METRIC_RestoreTestOk, t->test);
    lambda_publish(&t->backups->publisher, &t->metrics, t->invocation->log);
}

static void print_begin(const struct turn *t, const char *task, struct af_buf *out)
{
    af_buf_printf(out, "{\"do\":\"%s\",\"step\":\"%s\",\"why\":", task, backup_step_name(t->decision.step));
    af_json_append_string(out, af_slice_of(t->why));
    af_buf_append_str(out, ",\"dropped\":[");
    af_buf_append_slice(out, af_buf_slice(&t->dropped));
    af_buf_append_char(out, ']');
}

static void print_turn(const struct turn *t, const char *task, struct af_buf *out)
{
    char name[BACKUP_NAME_BYTES];
    print_begin(t, task, out);
    if (t->decision.step == BACKUP_CREATE) {
        backup_name(t->look, false, name);
        af_buf_append_str(out, ",\"backup\":");
        af_json_append_string(out, af_slice_of(name));
    }
    if (t->test >= 0)
        af_buf_printf(out, ",\"restore_test_ok\":%s,\"measurements\":%llu,\"values\":%llu", t->test != 0 ? "true" : "false",
                      (unsigned long long)t->measurements, (unsigned long long)t->values);
    af_buf_append_str(out, ",\"metrics\":{");
    lambda_metrics_print(&t->metrics, out);
    af_buf_append_str(out, "}}");
}

/* What a destroy cannot take away stands in its last answer. */
static void print_final(struct turn *t, struct af_buf *out)
{
    const struct backup_look *look = t->look;
    print_begin(t, "final", out);
    af_buf_append_str(out, ",\"final_backup\":");
    if (t->decision.of < look->facts.count) {
        af_buf_append_str(out, "{\"id\":");
        af_json_append_string(out, af_slice_of(look->things[t->decision.of].id));
        af_buf_append_str(out, ",\"name\":");
        af_json_append_string(out, af_slice_of(look->things[t->decision.of].name));
        af_buf_append_char(out, '}');
    } else {
        af_buf_append_str(out, "null");
    }
    for (size_t i = 0; i < look->facts.count; i++)
        if (!t->decision.drops[i] && look->things[i].name[0] != '\0')
            name_in(&t->kept, look->things[i].name);
    af_buf_append_str(out, ",\"kept\":[");
    af_buf_append_slice(out, af_buf_slice(&t->kept));
    af_buf_append_str(out, "],\"stays\":[\"backups on demand that are kept\","
                           "\"parameter groups: the service has no call that deletes one\","
                           "\"the service-linked role AWSServiceRoleForTimestreamInfluxDB\"]}");
}

/* --- the function ------------------------------------------------------------------------------------------------------------------ */

static enum af_status run_final(struct turn *t, struct af_buf *answer, struct af_error *err)
{
    const struct af_json *terraform = af_json_get(t->event, "tf");
    AF_TRY(read_flag(t->event, "final_backup", &t->policy.wants_final, err));
    AF_TRY(read_flag(t->event, "keep_backups", &t->policy.keeps_backups, err));
    if (!af_slice_is(af_json_string(terraform, "action"), "delete")) {
        because(t, "only a delete makes a final backup");
        print_begin(t, "final", answer);
        af_buf_append_char(answer, '}');
        return AF_OK;
    }
    AF_TRY(finish(t, err));
    print_final(t, answer);
    return AF_OK;
}

static enum af_status run_one(struct turn *t, const char *task, struct af_buf *answer, struct af_error *err)
{
    struct af_error why = { 0 };
    AF_TRY(look_and_decide(t, err));
    enum af_status status = do_step(t, &why);
    if (status == AF_OK)
        status = drop(t, false, &why);
    measure(t); /* a refusal too: alarms look at the metrics */
    if (status != AF_OK && err != NULL)
        *err = why;
    if (status == AF_OK)
        print_turn(t, task, answer);
    return status;
}

static enum af_status take_instance(struct turn *t, struct af_error *err)
{
    const struct af_slice said = af_json_string(t->event, "instance");
    t->look->instance = said.len != 0 ? af_arena_copy(t->invocation->arena, said) : lambda_text(t->backups->aws, LAMBDA_INSTANCE_ID);
    if (t->look->instance == NULL)
        return af_fail(err, AF_EINVAL, "INSTANCE_ID must be set, or the event name an \"instance\": whose backups?");
    return AF_OK;
}

static enum af_status dispatch(struct turn *t, struct af_buf *answer, struct af_error *err)
{
    static const char *const tasks[] = { "backup", "restore-test", "look", "final" };
    struct af_json *event = NULL;
    AF_TRY(af_json_parse(t->invocation->event, t->invocation->arena, &event, err));
    t->event = event;
    struct af_slice what = af_json_string(event, "do");
    if (what.ptr == NULL)
        what = AF_SLICE_LIT("backup");
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        if (!af_slice_is(what, tasks[i]))
            continue;
        t->look->facts.task = (enum backup_task)i;
        AF_TRY(take_instance(t, err));
        AF_TRY(i == BACKUP_TASK_FINAL ? run_final(t, answer, err) : run_one(t, tasks[i], answer, err));
        AF_TRY(af_buf_check(answer, "an answer", err));
        say(t, AF_LOG_INFO, tasks[i], af_buf_cstr(answer));
        return AF_OK;
    }
    return af_fail(err, AF_EINVAL, "\"do\" is backup, restore-test, look or final, not \"%.*s\"", (int)(what.len < 60 ? what.len : 60),
                   what.ptr);
}

static enum af_status handle_in_time(struct turn *t, struct af_buf *answer, struct af_error *err)
{
    struct af_load_watch watch;
    const int64_t deadline_ns = t->invocation->deadline_mono_ns;
    const int64_t end_ns = deadline_ns != 0 ? deadline_ns - MARGIN_MS * NS_PER_MS : af_clock_mono_ns() + LONGEST_S * AF_NS_PER_S;
    AF_TRY(af_load_watch_begin(&watch, end_ns, t->invocation->cancel, &t->flag, err));
    const enum af_status status = dispatch(t, answer, err);
    af_load_watch_end(&watch);
    return status;
}

static enum af_status handle(void *function, const struct af_lambda_invocation *invocation, struct af_buf *answer, struct af_error *err)
{
    struct backups *b = function;
    struct turn t = { .backups = b, .invocation = invocation, .test = -1 };
    const size_t mark = answer->len;
    t.look = af_alloc_zero(1, sizeof *t.look);
    if (t.look == NULL)
        return af_fail_nomem(err, "a list of backups");
    t.look->tfi = b->tfi;
    t.look->arena = invocation->arena;
    t.look->prefix = lambda_text(b->aws, LAMBDA_BACKUP_PREFIX);
    t.policy = (struct backup_policy){ .keep = b->keep, .retention_s = (int64_t)b->retention_days * 86400,
                                       .trial_s_max = (int64_t)b->hours_max * HOUR_S, .final_s_max = FINAL_S_MAX, .wants_final = true };
    af_buf_init(&t.dropped, 64 << 10);
    af_buf_init(&t.kept, 64 << 10);
    const enum af_status status = handle_in_time(&t, answer, err);
    if (status != AF_OK)
        af_buf_rewind(answer, mark);
    af_buf_done(&t.dropped);
    af_buf_done(&t.kept);
    af_free(t.look);
    return status;
}

static void free_backups(struct af_lambda_function *function)
{
    struct backups *b = (struct backups *)function;
    lambda_publisher_close(&b->publisher);
    af_aws_client_free(b->tfi);
    af_free(b);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static enum af_status check_prefix(const char *prefix, struct af_error *err)
{
    bool is_well = prefix == NULL || (is_letter(prefix[0]) && strlen(prefix) <= PREFIX_BYTES_MAX && strncmp(prefix, "final-", 6) != 0);
    for (const char *at = prefix; is_well && at != NULL && *at != '\0'; at++)
        is_well = is_letter(*at) || (*at >= '0' && *at <= '9') || (*at == '-' && at[1] != '-' && at[1] != '\0');
    return is_well ? AF_OK
                   : af_fail(err, AF_EINVAL, "BACKUP_PREFIX is a letter, then letters, digits and single hyphens, at most %d in all, and "
                                             "does not begin with final-", PREFIX_BYTES_MAX);
}

static enum af_status open_backups(struct backups *b, struct af_error *err)
{
    AF_TRY(check_prefix(lambda_text(b->aws, LAMBDA_BACKUP_PREFIX), err));
    AF_TRY(lambda_number(b->aws, LAMBDA_KEEP_BACKUPS, &b->keep, err));
    AF_TRY(lambda_number(b->aws, LAMBDA_BACKUP_RETENTION_DAYS, &b->retention_days, err));
    AF_TRY(lambda_number(b->aws, LAMBDA_COMPARE_DAYS_BACK, &b->days_back, err));
    AF_TRY(lambda_number(b->aws, LAMBDA_TEST_HOURS_MAX, &b->hours_max, err));
    if (b->keep < 1 || b->retention_days < 1 || b->retention_days > 3650 || b->days_back < 1 || b->days_back > 3650 || b->hours_max < 1 ||
        b->hours_max > 168)
        return af_fail(err, AF_EINVAL, "KEEP_BACKUPS is at least 1, BACKUP_RETENTION_DAYS and COMPARE_DAYS_BACK are "
                                       "1 to 3650, and TEST_HOURS_MAX is 1 to 168");
    AF_TRY(af_aws_client_new(b->aws, "timestream-influxdb", &b->tfi, err));
    return lambda_publisher_open(&b->publisher, b->aws, "backup", err);
}

enum af_status af_lambda_backup_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err)
{
    struct backups *b = af_alloc_zero(1, sizeof *b);
    if (b == NULL)
        return af_fail_nomem(err, "the backups");
    b->function = (struct af_lambda_function){ handle, free_backups };
    b->aws = aws;
    const enum af_status status = open_backups(b, err);
    if (status != AF_OK) {
        free_backups(&b->function);
        return status;
    }
    *out = &b->function;
    return AF_OK;
}
