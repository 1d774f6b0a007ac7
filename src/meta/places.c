/*
 * places.c - what nearly every request asks, remembered until something changes: which organisation it is of, and where its database leads.
 *
 * A question is a short text; its answer stands in the slot of its hash, with all that it points to. Every change forgets all of them
 * (meta_forget), so an answer is always that of the file. Under the lock of the catalogue, like everything here.
 */
#include "base/hash.h"
#include "meta/meta_int.h"
#include <stdio.h>

void meta_places_init(struct af_meta *meta)
{
    for (size_t i = 0; i < META_PLACE_SLOTS; i++)
        af_arena_init(&meta->places[i].arena, SIZE_MAX / 2);
}

void meta_places_done(struct af_meta *meta)
{
    for (size_t i = 0; i < META_PLACE_SLOTS; i++)
        af_arena_done(&meta->places[i].arena);
}

void meta_places_forget(struct af_meta *meta)
{
    for (size_t i = 0; i < META_PLACE_SLOTS; i++)
        meta->places[i].is_set = false;
}

void meta_question_make(struct meta_question *out, char kind, uint64_t id, const char *a, const char *b)
{
    /* Names may hold any character but NUL, so that is what ends them; that there is none is told apart from an empty one. */
    int len = snprintf(out->text, sizeof out->text, "%c%016llx%c%s%c%c%s", kind, (unsigned long long)id, a != NULL ? '+' : '-',
                       a != NULL ? a : "", '\0', b != NULL ? '+' : '-', b != NULL ? b : "");
    out->len = len > 0 && (size_t)len < sizeof out->text ? (size_t)len : 0;
}

struct meta_place *meta_place_of(struct af_meta *meta, const struct meta_question *question)
{
    if (question->len == 0)
        return NULL;
    return &meta->places[af_hash_bytes(question->text, question->len, 0) % META_PLACE_SLOTS];
}

bool meta_place_answers(const struct meta_place *place, const struct meta_question *question)
{
    return place != NULL && place->is_set && place->question.len == question->len &&
           memcmp(place->question.text, question->text, question->len) == 0;
}

static bool copy_bucket(const struct af_meta_bucket *from, struct af_arena *arena, struct af_meta_bucket *out)
{
    *out = *from;
    out->name = af_arena_copy(arena, af_slice_of(from->name));
    out->description = af_arena_copy(arena, af_slice_of(from->description));
    return out->name != NULL && out->description != NULL;
}

static bool copy_org(const struct af_meta_org *from, struct af_arena *arena, struct af_meta_org *out)
{
    *out = *from;
    out->name = af_arena_copy(arena, af_slice_of(from->name));
    out->description = af_arena_copy(arena, af_slice_of(from->description));
    return out->name != NULL && out->description != NULL;
}

bool meta_place_bucket(const struct meta_place *place, struct af_arena *arena, struct af_meta_bucket *out)
{
    return copy_bucket(&place->bucket, arena, out);
}

bool meta_place_org(const struct meta_place *place, struct af_arena *arena, struct af_meta_org *out)
{
    return copy_org(&place->org, arena, out);
}

/* Without memory it is not remembered. */
void meta_place_keep(struct meta_place *place, const struct meta_question *question, const struct af_meta_bucket *bucket,
                     const struct af_meta_org *org)
{
    if (place == NULL)
        return;
    place->is_set = false;
    af_arena_reset(&place->arena);
    if (bucket != NULL ? !copy_bucket(bucket, &place->arena, &place->bucket) : !copy_org(org, &place->arena, &place->org))
        return;
    place->question = *question;
    place->is_set = true;
}
