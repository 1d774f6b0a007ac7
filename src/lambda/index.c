/*
 * index.c - which events of one key are overtaken by others of the same invocation: all objects in order of bucket, key and sequencer.
 *
 * A sequencer is hexadecimal text that grows with each change of a key; "Event message structure" of the S3 guide says that the shorter of
 * two is filled up with zeros on its right before they are compared.
 */
#include "lambda/lambda_int.h"
#include <stdlib.h>

static int compare_sequencers(const char *a, const char *b)
{
    while (*a != '\0' || *b != '\0') {
        char x = *a != '\0' ? *a++ : '0', y = *b != '\0' ? *b++ : '0';
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

static int compare_keys(const struct af_lambda_object *a, const struct af_lambda_object *b)
{
    int c = strcmp(a->bucket, b->bucket);
    return c != 0 ? c : strcmp(a->key, b->key);
}

/* `at` decides between equal ones. */
struct place {
    const struct af_lambda_object *object;
    size_t at;
};

static int compare(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    int c = compare_keys(a->object, b->object);
    if (c == 0)
        c = compare_sequencers(a->object->sequencer, b->object->sequencer);
    return c != 0 ? c : (a->at > b->at) - (a->at < b->at);
}

static size_t take(const struct af_lambda_event *event, struct place *out)
{
    size_t count = 0;
    for (size_t i = 0; i < event->record_count; i++)
        for (size_t j = 0; j < event->records[i].object_count; j++) {
            const struct af_lambda_object *object = &event->records[i].objects[j];
            if (object->sequencer[0] == '\0')
                continue;
            if (out != NULL)
                out[count] = (struct place){ object, count };
            count++;
        }
    return count;
}

enum af_status lambda_index_make(const struct af_lambda_event *event, struct af_arena *arena, struct lambda_index *out,
                                 struct af_error *err)
{
    size_t count = take(event, NULL);
    *out = (struct lambda_index){ NULL, 0 };
    if (count == 0)
        return AF_OK;
    struct place *places = af_arena_zero(arena, count, sizeof *places);
    const struct af_lambda_object **objects = af_arena_zero(arena, count, sizeof *objects);
    if (places == NULL || objects == NULL)
        return af_arena_fail(arena, count * sizeof *places, "an event", err);
    (void)take(event, places);
    qsort(places, count, sizeof *places, compare);
    for (size_t i = 0; i < count; i++)
        objects[i] = places[i].object;
    *out = (struct lambda_index){ objects, count };
    return AF_OK;
}

bool lambda_index_is_superseded(const struct lambda_index *index, const struct af_lambda_object *object)
{
    size_t low = 0, high = index->count;
    if (object->sequencer[0] == '\0')
        return false;
    while (low < high) { /* the end of this key's run */
        size_t middle = low + (high - low) / 2;
        if (compare_keys(index->objects[middle], object) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low != 0 && index->objects[low - 1] != object;
}
