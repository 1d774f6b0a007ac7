/*
 * backup_look.c - the instance, its backups and the instance of a restore test, as the service shows them. Nothing is remembered anywhere
 * else: whose a thing is stands in its name and tags.
 *
 *     PREFIX-YYYYMMDDTHHMM          a backup of ours               tag afluxo:restore-tested: when it was restored and found equal
 *     final-PREFIX-YYYYMMDDTHHMM    the one before a destroy
 *     NAME-restore-test             an instance of ours if its tag afluxo:restore-test-of names ours; afluxo:backup, afluxo:started
 */
#include "base/calendar.h"
#include "lambda/backup_int.h"
#include <stdio.h>
#include <string.h>

enum { STAMP_BYTES = 13, BODY_BYTES_MAX = 4096, TRIAL_BASE_BYTES = 27, OURS_BASE_BYTES = 26, FINAL_BASE_BYTES = 20 };
static const char trial_tail[] = "-restore-test", final_head[] = "final-";

static enum af_status copy(const struct af_json *json, const char *member, char *out, size_t cap, struct af_error *err)
{
    const struct af_slice text = af_json_string(json, member);
    if (text.len == 0 || text.len >= cap)
        return af_fail(err, AF_ECORRUPT, "Timestream for InfluxDB: \"%s\" of an answer is no text of 1 to %zu bytes", member, cap - 1);
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return AF_OK;
}

/* Seconds since 1970 as a number, or a text. */
static int64_t time_of(const struct af_json *json)
{
    double seconds;
    int64_t ns = 0;
    bool has_zone;
    if (json == NULL)
        return 0;
    if (af_json_f64(json, &seconds))
        return seconds > 0 && seconds < 9e9 ? (int64_t)(seconds * 1e3) * (AF_NS_PER_S / 1000) : 0;
    return json->kind == AF_JSON_STRING && af_time_parse(json->text, &ns, &has_zone) ? ns : 0;
}

static enum af_status call(const struct backup_look *look, enum af_tfi_operation operation, const char *member, const char *value,
                           const struct af_json **out, struct af_error *err)
{
    struct af_buf body;
    af_buf_init(&body, BODY_BYTES_MAX);
    af_buf_printf(&body, "{\"%s\":", member);
    af_json_append_string(&body, af_slice_of(value));
    af_buf_append_char(&body, '}');
    const enum af_status status = af_tfi_call(look->tfi, operation, af_buf_slice(&body), look->arena, out, err);
    af_buf_done(&body);
    return status;
}

static enum af_status tags_of(const struct backup_look *look, const char *arn, const struct af_json **out, struct af_error *err)
{
    const struct af_json *json = NULL;
    AF_TRY(call(look, AF_TFI_ListTagsForResource, "resourceArn", arn, &json, err));
    *out = af_json_get(json, "tags");
    return AF_OK;
}

static bool is_in(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

/* --- names --------------------------------------------------------------------------------------------------------------- */

/* The beginning of a name in `room` bytes, with no hyphen at its end. */
static size_t base_len(const char *name, size_t room)
{
    size_t len = strlen(name) < room ? strlen(name) : room;
    while (len > 0 && name[len - 1] == '-')
        len--;
    return len;
}

static const char *base_of(const struct backup_look *look)
{
    return look->prefix != NULL ? look->prefix : look->source.name;
}

static bool is_stamp(const char *text)
{
    for (size_t i = 0; i < STAMP_BYTES; i++)
        if (i == 8 ? text[i] != 'T' : text[i] < '0' || text[i] > '9')
            return false;
    return text[STAMP_BYTES] == '\0';
}

static enum backup_owner owner_of(const struct backup_look *look, const char *name)
{
    const size_t final_len = sizeof final_head - 1, ours = base_len(base_of(look), OURS_BASE_BYTES);
    const size_t last = base_len(base_of(look), FINAL_BASE_BYTES);
    if (strncmp(name, final_head, final_len) == 0 && strncmp(name + final_len, base_of(look), last) == 0 && name[final_len + last] == '-' &&
        is_stamp(name + final_len + last + 1))
        return BACKUP_FINAL;
    return strncmp(name, base_of(look), ours) == 0 && name[ours] == '-' && is_stamp(name + ours + 1) ? BACKUP_OURS : BACKUP_OTHERS;
}

void backup_name(const struct backup_look *look, bool is_final, char out[BACKUP_NAME_BYTES])
{
    const size_t len = base_len(base_of(look), is_final ? FINAL_BASE_BYTES : OURS_BASE_BYTES);
    struct af_civil c;
    af_civil_from_ns(look->now_ns, &c);
    (void)snprintf(out, BACKUP_NAME_BYTES, "%s%.*s-%04u%02u%02uT%02u%02u", is_final ? final_head : "", (int)len, base_of(look),
                   (unsigned)c.year % 10000, c.month % 100u, c.day % 100u, c.hour % 100u, c.minute % 100u);
}

/* --- the instance -------------------------------------------------------------------------------------------------------- */

static enum af_status look_at_source(struct backup_look *look, struct af_error *err)
{
    static const char *const lost[] = { "FAILED", "RESTORE_FAILED", "REBOOT_FAILED", NULL };
    static const char *const going[] = { "DELETING", "DELETED", NULL };
    const struct af_json *json = NULL;
    const enum af_status status = call(look, AF_TFI_GetDbInstance, "identifier", look->instance, &json, err);
    look->facts.source = BACKUP_SOURCE_GONE;
    (void)snprintf(look->source_status, sizeof look->source_status, "gone");
    if (status == AF_ENOTFOUND) {
        if (look->prefix != NULL)
            (void)snprintf(look->source.name, sizeof look->source.name, "%s", look->prefix);
        return AF_OK;
    }
    AF_TRY(status);
    AF_TRY(copy(json, "name", look->source.name, sizeof look->source.name, err));
    AF_TRY(copy(json, "arn", look->source.arn, sizeof look->source.arn, err));
    AF_TRY(copy(json, "status", look->source_status, sizeof look->source_status, err));
    look->facts.source = is_in(look->source_status, going) ? BACKUP_SOURCE_GONE
                         : is_in(look->source_status, lost) ? BACKUP_SOURCE_LOST
                         : strcmp(look->source_status, "AVAILABLE") == 0 ? BACKUP_SOURCE_AVAILABLE : BACKUP_SOURCE_BUSY;
    return AF_OK;
}

/* --- its backups --------------------------------------------------------------------------------------------------------- */

static enum backup_state state_of(struct af_slice status)
{
    return af_slice_is(status, "COMPLETED") ? BACKUP_COMPLETED
           : af_slice_is(status, "FAILED") ? BACKUP_FAILED
           : af_slice_is(status, "IN_PROGRESS") ? BACKUP_IN_PROGRESS : BACKUP_GOING;
}

/* Of the service's own, hourly for a year maybe, the newest that is whole stands for all. */
static size_t place_of(struct backup_look *look, const struct backup_seen *seen)
{
    for (size_t i = 0; i < look->facts.count && seen->owner == BACKUP_OTHERS && seen->state == BACKUP_COMPLETED; i++)
        if (look->seen[i].owner == BACKUP_OTHERS && look->seen[i].state == BACKUP_COMPLETED)
            return look->seen[i].age_s <= seen->age_s ? BACKUPS_MAX : i;
    return look->facts.count;
}

static enum af_status take_backup(void *ctx, const struct af_json *item, struct af_error *err)
{
    struct backup_look *look = ctx;
    struct backup_thing thing = { .at_ns = time_of(af_json_get(item, "createdAt")) };
    struct backup_seen seen = { .state = state_of(af_json_string(item, "status")) };
    if (!af_slice_is(af_json_string(item, "dbResourceId"), look->instance))
        return AF_OK;
    AF_TRY(copy(item, "id", thing.id, sizeof thing.id, err));
    AF_TRY(copy(item, "arn", thing.arn, sizeof thing.arn, err));
    if (af_slice_is(af_json_string(item, "type"), "ON_DEMAND")) {
        AF_TRY(copy(item, "name", thing.name, sizeof thing.name, err));
        seen.owner = owner_of(look, thing.name);
    }
    seen.age_s = look->now_ns > thing.at_ns ? (look->now_ns - thing.at_ns) / AF_NS_PER_S : 0;
    const size_t at = place_of(look, &seen);
    if (at == BACKUPS_MAX && look->facts.count < BACKUPS_MAX)
        return AF_OK;
    if (at >= BACKUPS_MAX)
        return af_fail(err, AF_ELIMIT, "there are more than %d backups on demand of %s: delete some", BACKUPS_MAX, look->instance);
    look->seen[at] = seen;
    look->things[at] = thing;
    look->facts.count += at == look->facts.count;
    return AF_OK;
}

static enum af_status look_at_tags(struct backup_look *look, size_t which, struct af_error *err)
{
    const struct af_json *tags = NULL;
    const enum af_status status = tags_of(look, look->things[which].arn, &tags, err);
    if (status == AF_ENOTFOUND) /* it went in this moment */
        look->seen[which].state = BACKUP_GOING;
    const int64_t at_ns = status == AF_OK ? time_of(af_json_get(tags, "afluxo:restore-tested")) : 0;
    look->seen[which].is_tested = at_ns != 0;
    if (at_ns > look->tested_ns)
        look->tested_ns = at_ns;
    return status == AF_ENOTFOUND ? AF_OK : status;
}

static enum af_status look_at_backups(struct backup_look *look, struct af_error *err)
{
    struct af_buf body;
    af_buf_init(&body, BODY_BYTES_MAX);
    af_buf_append_str(&body, "{\"dbResourceId\":");
    af_json_append_string(&body, af_slice_of(look->instance));
    af_buf_append_char(&body, '}');
    enum af_status status = af_tfi_list(look->tfi, AF_TFI_ListDbBackups, af_buf_slice(&body), take_backup, look, err);
    af_buf_done(&body);
    for (size_t i = 0; status == AF_OK && i < look->facts.count; i++)
        if (look->seen[i].state == BACKUP_COMPLETED)
            status = look_at_tags(look, i, err);
    return status;
}

/* --- the instance of a restore test ------------------------------------------------------------------------------------------ */

static enum af_status take_trial(void *ctx, const struct af_json *item, struct af_error *err)
{
    struct backup_look *look = ctx;
    if (!af_slice_is(af_json_string(item, "name"), look->trial_name))
        return AF_OK;
    const struct af_slice host = af_json_string(item, "endpoint");
    AF_TRY(copy(item, "id", look->trial.id, sizeof look->trial.id, err));
    AF_TRY(copy(item, "arn", look->trial.arn, sizeof look->trial.arn, err));
    AF_TRY(copy(item, "status", look->trial_status, sizeof look->trial_status, err));
    look->trial_port = 8086;
    (void)af_json_i64(af_json_get(item, "port"), &look->trial_port);
    return host.len != 0 ? copy(item, "endpoint", look->trial_host, sizeof look->trial_host, err) : AF_OK;
}

static enum af_status judge_trial(struct backup_look *look, struct af_error *err)
{
    static const char *const broken[] = { "FAILED", "RESTORE_FAILED", "REBOOT_FAILED", NULL };
    static const char *const going[] = { "DELETING", "DELETED", NULL };
    const struct af_json *tags = NULL;
    const enum af_status status = tags_of(look, look->trial.arn, &tags, err);
    if (status == AF_ENOTFOUND)
        return AF_OK; /* it went in this moment */
    AF_TRY(status);
    look->facts.trial = BACKUP_TRIAL_FOREIGN;
    if (!af_slice_is(af_json_string(tags, "afluxo:restore-test-of"), look->instance))
        return AF_OK;
    AF_TRY(copy(tags, "afluxo:backup", look->trial_backup, sizeof look->trial_backup, err));
    look->trial.at_ns = time_of(af_json_get(tags, "afluxo:started"));
    look->facts.trial_age_s = (look->now_ns - look->trial.at_ns) / AF_NS_PER_S;
    look->facts.trial = is_in(look->trial_status, broken) ? BACKUP_TRIAL_BROKEN
                        : is_in(look->trial_status, going) ? BACKUP_TRIAL_GOING
                        : strcmp(look->trial_status, "AVAILABLE") == 0 ? BACKUP_TRIAL_READY : BACKUP_TRIAL_MAKING;
    return AF_OK;
}

static enum af_status look_at_trial(struct backup_look *look, struct af_error *err)
{
    look->facts.trial = BACKUP_TRIAL_NONE;
    if (look->source.name[0] == '\0')
        return AF_OK;
    (void)snprintf(look->trial_name, sizeof look->trial_name, "%.*s%s", (int)base_len(look->source.name, TRIAL_BASE_BYTES),
                   look->source.name, trial_tail);
    AF_TRY(af_tfi_list(look->tfi, AF_TFI_ListDbInstances, AF_SLICE_LIT("{}"), take_trial, look, err));
    return look->trial.id[0] != '\0' ? judge_trial(look, err) : AF_OK;
}

enum af_status backup_look(struct backup_look *look, struct af_error *err)
{
    look->facts.backups = look->seen;
    look->facts.count = 0;
    look->tested_ns = 0;
    look->trial = (struct backup_thing){ 0 };
    AF_TRY(look_at_source(look, err));
    if (look->source.name[0] == '\0')
        return AF_OK; /* gone, and nobody says what its backups are called: they are nobody's */
    AF_TRY(look_at_backups(look, err));
    return look_at_trial(look, err);
}
