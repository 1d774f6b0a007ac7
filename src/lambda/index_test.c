/* index_test.c - which events of a key are overtaken. */
#include "lambda/lambda_int.h"
#include "test/lib/test.h"
#include <stdio.h>

enum { OBJECTS = 3000 };
static struct af_lambda_object objects[OBJECTS];
static struct af_lambda_record records[OBJECTS];
static struct lambda_index list;
static struct af_arena arena;

static void index_of(size_t count)
{
    struct af_error err;
    for (size_t i = 0; i < count; i++)
        records[i] = (struct af_lambda_record){ .object_count = 1, .objects = &objects[i] };
    const struct af_lambda_event event = { true, count, records };
    af_arena_init(&arena, 16 << 20);
    AF_CHECK_OK(lambda_index_make(&event, &arena, &list, &err), err);
}

static void set(size_t i, const char *bucket, const char *key, const char *sequencer)
{
    objects[i] = (struct af_lambda_object){ .bucket = bucket, .key = key, .sequencer = sequencer };
}

AF_TEST(the_newest_of_a_key_is_loaded_wherever_it_stands)
{
    set(0, "b", "k", "0055AED6DCD90281E6");
    set(1, "b", "k", "0055AED6DCD90281E5");
    set(2, "b", "other", "0055AED6DCD90281E4");
    set(3, "c", "k", "0055AED6DCD90281E4");
    set(4, "b", "k", "");
    index_of(5);
    static const bool want[] = { false, true, false, false, false };
    for (size_t i = 0; i < 5; i++)
        AF_CHECK_INT(lambda_index_is_superseded(&list, &objects[i]), want[i]);
    AF_CHECK_INT(list.count, 4);
    af_arena_done(&arena);
}

AF_TEST(shorter_sequencers_are_filled_up_on_their_right)
{
    set(0, "b", "k", "00B"); /* 00B00 */
    set(1, "b", "k", "00AFF");
    set(2, "d", "k", "0A");
    set(3, "d", "k", "0A00"); /* equal: the last one stands for both */
    index_of(4);
    AF_CHECK(!lambda_index_is_superseded(&list, &objects[0]));
    AF_CHECK(lambda_index_is_superseded(&list, &objects[1]));
    AF_CHECK(lambda_index_is_superseded(&list, &objects[2]));
    AF_CHECK(!lambda_index_is_superseded(&list, &objects[3]));
    af_arena_done(&arena);
}

/* Of each key exactly one event is left, and it has the greatest sequencer. */
AF_TEST(of_every_key_one_event_is_left)
{
    enum { KEYS = 100 };
    static char keys[KEYS][16], sequencers[OBJECTS][16];
    size_t left[KEYS] = { 0 };
    for (size_t i = 0; i < OBJECTS; i++) {
        (void)snprintf(keys[i % KEYS], sizeof keys[0], "k%zu", i % KEYS);
        (void)snprintf(sequencers[i], sizeof sequencers[0], "%08X", (unsigned)(i * 2654435761u));
        set(i, "b", keys[i % KEYS], sequencers[i]);
    }
    index_of(OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++) {
        if (lambda_index_is_superseded(&list, &objects[i]))
            continue;
        left[i % KEYS]++;
        for (size_t j = i % KEYS; j < OBJECTS; j += KEYS)
            AF_CHECK(strcmp(sequencers[j], sequencers[i]) <= 0);
    }
    for (size_t k = 0; k < KEYS; k++)
        AF_CHECK_INT(left[k], 1);
    af_arena_done(&arena);
}
