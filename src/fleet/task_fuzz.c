/* task_fuzz.c - any bytes are a task or a refusal with words; a task printed is a text for a queue, and reads back the same. */
#include "base/utf8.h"
#include "fleet/fleet_int.h"
#include <assert.h>

static void same(const char *a, const char *b)
{
    assert(strcmp(a, b) == 0);
}

static bool is_for_a_queue(struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ')
            return false;
    return af_utf8_is_valid(text);
}

static void check_outcome(struct af_slice text, struct af_arena *arena)
{
    struct fleet_outcome outcome;
    struct fleet_beat beat;
    struct af_error err = { 0 };
    enum af_status status = fleet_outcome_parse(text, arena, &outcome, &err);
    assert(status == AF_OK || err.message[0] != '\0');
    if (status == AF_OK)
        assert(outcome.result.outcome <= AF_FLEET_FAILED && outcome.result.worker != NULL);
    assert(fleet_beat_parse(text, &beat, &err) != AF_OK || beat.worker[sizeof beat.worker - 1] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_arena arena;
    struct af_fleet_task task, again;
    struct af_error err = { 0 };
    struct af_buf text;
    af_arena_init(&arena, 64 << 20);
    af_buf_init(&text, 1 << 20);
    const enum af_status status = af_fleet_task_parse(af_slice_make(data, size), &arena, &task, &err);
    assert(status == AF_OK || ((status == AF_EINVAL || status == AF_ENOMEM) && err.message[0] != '\0'));
    if (status == AF_OK) {
        assert(task.bucket[0] != '\0' && task.key[0] != '\0');
        af_fleet_task_print(&task, &text);
        assert(!text.failed && is_for_a_queue(af_buf_slice(&text)));
        assert(af_fleet_task_parse(af_buf_slice(&text), &arena, &again, &err) == AF_OK);
        same(task.run, again.run);
        same(task.journal, again.journal);
        same(task.bucket, again.bucket);
        same(task.key, again.key);
        same(task.etag, again.etag);
        same(task.format, again.format);
        same(task.dataset, again.dataset);
        same(task.mapping, again.mapping);
        assert(task.bytes == again.bytes);
    }
    check_outcome(af_slice_make(data, size), &arena);
    af_buf_done(&text);
    af_arena_done(&arena);
    return 0;
}
