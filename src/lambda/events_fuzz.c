/* events_fuzz.c - any bytes are an event or a refusal; what an event says is whole. */
#include "lambda/lambda.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_arena arena;
    struct af_lambda_event event;
    struct af_error err = { 0 };
    af_arena_init(&arena, 64 << 20);
    enum af_status status = af_lambda_event_parse(af_slice_make(data, size), &arena, &event, &err);
    assert(status == AF_OK || (status == AF_EINVAL && err.message[0] != '\0') || status == AF_ENOMEM);
    for (size_t i = 0; status == AF_OK && i < event.record_count; i++) {
        const struct af_lambda_record *record = &event.records[i];
        assert(record->bad.status == AF_OK || record->object_count == 0);
        for (size_t j = 0; j < record->object_count; j++) {
            const struct af_lambda_object *o = &record->objects[j];
            assert(o->bucket[0] != '\0' && o->key[0] != '\0' && strlen(o->key) <= 1024);
            assert(o->version != NULL && o->etag != NULL && o->sequencer != NULL);
        }
    }
    af_arena_done(&arena);
    return 0;
}
