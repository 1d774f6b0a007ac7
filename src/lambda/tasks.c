/*
 * tasks.c - objects that come as messages of a fleet (fleet/fleet.h): which mapping theirs is, and their outcome in the run's journal.
 *
 * A task that is done already, of the same ETag, is left out. What becomes of the others is written down before the message is
 * acknowledged; what goes back is nobody's outcome yet.
 */
#include "base/limits.h"
#include "lambda/lambda_int.h"
#include "map/map.h"
#include <stdio.h>

enum af_status lambda_map_read(struct af_s3 *s3, const char *name, struct af_map **out, struct af_error *err)
{
    struct af_s3_name object;
    struct af_buf yaml;
    if (!af_s3_is_name(name))
        return af_map_builtin(name, out, err);
    AF_TRY(af_s3_name_parse(name, &object, err));
    af_buf_init(&yaml, AF_YAML_BYTES_MAX);
    enum af_status status = af_s3_get(s3, object.bucket, object.key, &yaml, NULL, err);
    if (status == AF_OK)
        status = af_map_parse(name, af_buf_slice(&yaml), out, err);
    af_buf_done(&yaml);
    return status;
}

enum af_status lambda_tasks_map(struct lambda_tasks *tasks, struct af_s3 *s3, const struct af_fleet_task *task, const struct af_map **out,
                                struct af_error *err)
{
    const char *name = task == NULL ? "" : task->mapping[0] != '\0' ? task->mapping : task->dataset;
    struct af_map *map = NULL;
    char full[sizeof tasks->name];
    if (name[0] == '\0')
        return AF_OK;
    (void)snprintf(full, sizeof full, "%s %s", task->run, name); /* another run may have another mapping in the same place */
    if (strcmp(full, tasks->name) != 0) {
        AF_TRY(lambda_map_read(s3, name, &map, err));
        af_map_free(tasks->map);
        tasks->map = map;
        memcpy(tasks->name, full, sizeof full);
    }
    *out = tasks->map;
    return AF_OK;
}

void lambda_tasks_close(struct lambda_tasks *tasks)
{
    af_map_free(tasks->map);
    *tasks = (struct lambda_tasks){ .name = "" };
}

enum af_status lambda_tasks_failed(struct af_s3 *s3, const struct af_fleet_task *task, const struct af_error *why, struct af_error *err)
{
    struct af_fleet_result result = { .outcome = AF_FLEET_FAILED, .worker = "lambda" };
    (void)snprintf(result.reason, sizeof result.reason, "%.*s", (int)sizeof result.reason - 1, why->message);
    for (char *c = result.reason; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
            *c = '?';
    return af_fleet_record(s3, task, &result, err);
}
