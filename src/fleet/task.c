/*
 * task.c - one object as the body of a message, and back.
 *
 *     {"afluxo":1,"run":"...","journal":"s3://...","bucket":"...","key":"...","etag":"...","format":"parquet","dataset":"...",
 *      "mapping":"s3://...","size":123}
 *
 * {"bucket", "key"} alone is a task too, of no run: what the Lambda loader puts into its queue of failures. Members that are not known are
 * passed over, other versions are refused. Whatever a message says is foreign: names that are none of S3's are no task.
 */
#include "base/utf8.h"
#include "fleet/fleet_int.h"
#include "format/json/json.h"
#include <inttypes.h>
#include <stdio.h>

enum { KEY_BYTES_MAX = 1024, DATASET_BYTES_MAX = 128 };

/* --- out ----------------------------------------------------------------------------------------------------------------- */

/* U+FFFE and U+FFFF are characters of a key, but a queue takes them only escaped. The rest that it does not take, JSON escapes. */
static void put_text(struct af_buf *out, const char *name, const char *text)
{
    struct af_buf quoted;
    af_buf_init(&quoted, FLEET_JSON_BYTES_MAX);
    af_json_append_string(&quoted, af_slice_of(text));
    out->failed |= quoted.failed;
    af_buf_printf(out, "\"%s\":", name);
    for (size_t i = 0; i < quoted.len; i++) {
        const unsigned char *at = (const unsigned char *)quoted.ptr + i;
        if (i + 2 < quoted.len && at[0] == 0xef && at[1] == 0xbf && at[2] >= 0xbe) {
            af_buf_printf(out, "\\uff%02x", at[2] == 0xbe ? 0xfeU : 0xffU);
            i += 2;
        } else {
            af_buf_append_char(out, quoted.ptr[i]);
        }
    }
    af_buf_done(&quoted);
}

static void put_member(struct af_buf *out, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        put_text(out, name, text);
        af_buf_append_char(out, ',');
    }
}

void af_fleet_task_print(const struct af_fleet_task *task, struct af_buf *out)
{
    af_buf_printf(out, "{\"afluxo\":%d,", FLEET_VERSION);
    put_member(out, "run", task->run);
    put_member(out, "journal", task->journal);
    put_member(out, "bucket", task->bucket);
    put_member(out, "key", task->key);
    put_member(out, "etag", task->etag);
    put_member(out, "format", task->format);
    put_member(out, "dataset", task->dataset);
    put_member(out, "mapping", task->mapping);
    af_buf_printf(out, "\"size\":%" PRIu64 "}", task->bytes);
}

enum af_status fleet_check_queue(const char *queue, struct af_error *err)
{
    static const char fifo[] = ".fifo";
    const size_t len = strlen(queue);
    if (len < sizeof fifo - 1 || strcmp(queue + len - (sizeof fifo - 1), fifo) != 0)
        return AF_OK;
    return af_fail(err, AF_EINVAL, "%.300s is a FIFO queue, and objects have no order: give a standard queue", queue);
}

/* --- in ------------------------------------------------------------------------------------------------------------------ */

struct reading {
    const struct af_json *node;
    struct af_arena *arena;
};

/* A text without a NUL of at most `max` bytes; not there: "". */
static enum af_status take_text(const struct reading *r, const char *name, size_t max, const char **out, struct af_error *err)
{
    const struct af_json *member = af_json_get(r->node, name);
    *out = "";
    if (member == NULL || member->kind == AF_JSON_NULL)
        return AF_OK;
    if (member->kind != AF_JSON_STRING || member->text.len > max ||
        (member->text.len != 0 && memchr(member->text.ptr, '\0', member->text.len) != NULL) || !af_utf8_is_valid(member->text))
        return af_fail(err, AF_EINVAL, "\"%s\" of a task is a text of at most %zu bytes", name, max);
    const char *copy = member->text.len != 0 ? af_arena_copy(r->arena, member->text) : "";
    if (copy == NULL)
        return af_arena_fail(r->arena, member->text.len, "a task", err);
    *out = copy;
    return AF_OK;
}

static enum af_status take_number(const struct reading *r, const char *name, uint64_t *out, struct af_error *err)
{
    const struct af_json *member = af_json_get(r->node, name);
    int64_t value = 0;
    if (member != NULL && (!af_json_i64(member, &value) || value < 0))
        return af_fail(err, AF_EINVAL, "\"%s\" of a task is a whole number", name);
    *out = (uint64_t)value;
    return AF_OK;
}

/* Whatever S3 would call them: a message with such names is no task. */
static enum af_status no_task(enum af_status status, struct af_error *err)
{
    if (status != AF_OK && err != NULL)
        err->status = AF_EINVAL;
    return status != AF_OK ? AF_EINVAL : AF_OK;
}

static enum af_status check_names(const struct af_fleet_task *task, struct af_error *err)
{
    struct af_s3_name name;
    struct fleet_place place;
    char text[300];
    if (task->bucket[0] == '\0' || task->key[0] == '\0')
        return af_fail(err, AF_EINVAL, "a task names an object: {\"bucket\": ..., \"key\": ...}");
    (void)snprintf(text, sizeof text, "s3://%s/", task->bucket);
    if (af_s3_name_parse(text, &name, NULL) != AF_OK || strcmp(name.bucket, task->bucket) != 0)
        return af_fail(err, AF_EINVAL, "\"%.80s\" is no name of a bucket", task->bucket);
    if (task->key[strlen(task->key) - 1] == '/')
        return af_fail(err, AF_EINVAL, "s3://%s/%.300s is a folder, not an object", task->bucket, task->key);
    if (task->journal[0] != '\0')
        AF_TRY(no_task(fleet_place_parse(task->journal, &place, err), err));
    if (task->mapping[0] != '\0')
        AF_TRY(no_task(af_s3_name_parse(task->mapping, &name, err), err));
    if (task->mapping[0] != '\0' && task->dataset[0] != '\0')
        return af_fail(err, AF_EINVAL, "a task has a dataset or a mapping, not both");
    return AF_OK;
}

enum af_status af_fleet_task_read(const struct af_json *node, struct af_arena *arena, struct af_fleet_task *out, struct af_error *err)
{
    const struct reading r = { node, arena };
    struct af_fleet_task task;
    int64_t version = FLEET_VERSION;
    if (node == NULL || node->kind != AF_JSON_OBJECT)
        return af_fail(err, AF_EINVAL, "a task is an object of JSON: {\"bucket\": ..., \"key\": ...}");
    if (af_json_get(node, "afluxo") != NULL && (!af_json_i64(af_json_get(node, "afluxo"), &version) || version != FLEET_VERSION))
        return af_fail(err, AF_EINVAL, "a task of another version of afluxo than this one, which knows %d", FLEET_VERSION);
    AF_TRY(take_text(&r, "run", AF_FLEET_RUN_BYTES - 1, &task.run, err));
    AF_TRY(take_text(&r, "journal", KEY_BYTES_MAX, &task.journal, err));
    AF_TRY(take_text(&r, "bucket", 255, &task.bucket, err));
    AF_TRY(take_text(&r, "key", KEY_BYTES_MAX, &task.key, err));
    AF_TRY(take_text(&r, "etag", sizeof((struct af_s3_object *)0)->etag - 1, &task.etag, err));
    AF_TRY(take_text(&r, "format", 15, &task.format, err));
    AF_TRY(take_text(&r, "dataset", DATASET_BYTES_MAX, &task.dataset, err));
    AF_TRY(take_text(&r, "mapping", KEY_BYTES_MAX + 300, &task.mapping, err));
    AF_TRY(take_number(&r, "size", &task.bytes, err));
    AF_TRY(check_names(&task, err));
    *out = task;
    return AF_OK;
}

enum af_status af_fleet_task_parse(struct af_slice body, struct af_arena *arena, struct af_fleet_task *out, struct af_error *err)
{
    struct af_json *root = NULL;
    const enum af_status status = af_json_parse(body, arena, &root, err);
    if (status == AF_OK)
        return af_fleet_task_read(root, arena, out, err);
    if (status == AF_ENOMEM)
        return status;
    af_error_prefix(err, "no task, since it is no JSON: ");
    if (err != NULL)
        err->status = AF_EINVAL;
    return AF_EINVAL;
}
