/* backup_act.c - what is asked of the service: backups made and deleted, one restored beside the instance, that one deleted again. */
#include "base/calendar.h"
#include "lambda/backup_int.h"

enum { BODY_BYTES_MAX = 4096 };

static void put(struct af_buf *body, const char *name, const char *text)
{
    af_buf_printf(body, "%s\"%s\":", body->len > 1 ? "," : "", name);
    af_json_append_string(body, af_slice_of(text));
}

static enum af_status send(const struct backup_look *look, enum af_tfi_operation operation, struct af_buf *body, struct af_error *err)
{
    const struct af_json *json = NULL;
    af_buf_append_char(body, '}');
    enum af_status status = af_buf_check(body, "a request", err);
    if (status == AF_OK)
        status = af_tfi_call(look->tfi, operation, af_buf_slice(body), look->arena, &json, err);
    af_buf_done(body);
    return status;
}

static void begin(struct af_buf *body)
{
    af_buf_init(body, BODY_BYTES_MAX);
    af_buf_append_char(body, '{');
}

enum af_status backup_create(struct backup_look *look, bool is_final, uint64_t days, struct af_error *err)
{
    char name[BACKUP_NAME_BYTES];
    struct af_buf body;
    backup_name(look, is_final, name);
    begin(&body);
    put(&body, "name", name);
    put(&body, "dbResourceId", look->instance);
    if (days != 0)
        af_buf_printf(&body, ",\"retentionDays\":%llu", (unsigned long long)days);
    af_buf_append_str(&body, ",\"tags\":{\"afluxo:backup-of\":");
    af_json_append_string(&body, af_slice_of(look->instance));
    af_buf_append_char(&body, '}');
    return send(look, AF_TFI_CreateDbBackup, &body, err);
}

enum af_status backup_restore(struct backup_look *look, size_t which, struct af_error *err)
{
    char now[40];
    struct af_buf body;
    *af_rfc3339_print(now, look->now_ns, 0) = '\0';
    begin(&body);
    put(&body, "name", look->trial_name);
    put(&body, "dbBackupId", look->things[which].id);
    put(&body, "restoreMode", "NEW_RESOURCE");
    af_buf_append_str(&body, ",\"publiclyAccessible\":false,\"tags\":{\"afluxo:restore-test-of\":");
    af_json_append_string(&body, af_slice_of(look->instance));
    put(&body, "afluxo:backup", look->things[which].id);
    put(&body, "afluxo:started", now);
    af_buf_append_char(&body, '}');
    return send(look, AF_TFI_RestoreFromDbBackup, &body, err);
}

enum af_status backup_remove_trial(struct backup_look *look, struct af_error *err)
{
    struct af_buf body;
    begin(&body);
    put(&body, "identifier", look->trial.id);
    const enum af_status status = send(look, AF_TFI_DeleteDbInstance, &body, err);
    return status == AF_ENOTFOUND ? AF_OK : status;
}

enum af_status backup_drop(struct backup_look *look, size_t which, struct af_error *err)
{
    struct af_buf body;
    begin(&body);
    put(&body, "identifier", look->things[which].id);
    const enum af_status status = send(look, AF_TFI_DeleteDbBackup, &body, err);
    return status == AF_ENOTFOUND ? AF_OK : status;
}

enum af_status backup_mark_tested(struct backup_look *look, struct af_error *err)
{
    char now[40];
    struct af_buf body;
    for (size_t i = 0; i < look->facts.count; i++) {
        if (strcmp(look->things[i].id, look->trial_backup) != 0)
            continue;
        *af_rfc3339_print(now, look->now_ns, 0) = '\0';
        begin(&body);
        put(&body, "resourceArn", look->things[i].arn);
        af_buf_append_str(&body, ",\"tags\":{\"afluxo:restore-tested\":");
        af_json_append_string(&body, af_slice_of(now));
        af_buf_append_char(&body, '}');
        const enum af_status status = send(look, AF_TFI_TagResource, &body, err);
        if (status == AF_OK)
            look->tested_ns = look->now_ns;
        return status == AF_ENOTFOUND ? AF_OK : status;
    }
    return AF_OK;
}
