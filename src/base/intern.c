/* intern.c - a hash set with dense ids; see intern.h. */
#include "base/intern.h"
#include "base/alloc.h"
#include "base/hash.h"
#include <assert.h>

enum { CHUNK_BYTES = 64 * 1024, SLOTS_MIN = 64 };

struct af_intern_chunk {
    struct af_intern_chunk *next;
    size_t cap;
    size_t used;
    char bytes[];
};

void af_intern_init(struct af_intern *set)
{
    *set = (struct af_intern){ 0 };
}

static void free_chunks(struct af_intern *set)
{
    while (set->chunks != NULL) {
        struct af_intern_chunk *next = set->chunks->next;
        af_free(set->chunks);
        set->chunks = next;
    }
}

void af_intern_done(struct af_intern *set)
{
    free_chunks(set);
    af_free(set->keys);
    af_free(set->hashes);
    af_free(set->slots);
    *set = (struct af_intern){ 0 };
}

void af_intern_clear(struct af_intern *set)
{
    free_chunks(set);
    set->count = 0;
    set->bytes = 0;
    if (set->slots != NULL)
        memset(set->slots, 0, ((size_t)set->slot_mask + 1) * sizeof *set->slots);
}

static uint32_t probe(const struct af_intern *set, struct af_slice key, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & set->slot_mask;
    for (;; at = (at + 1) & set->slot_mask) {
        uint32_t slot = set->slots[at];
        if (slot == 0 || (set->hashes[slot - 1] == hash && af_slice_eq(set->keys[slot - 1], key)))
            return at;
    }
}

uint32_t af_intern_find(const struct af_intern *set, struct af_slice key)
{
    if (set->count == 0)
        return UINT32_MAX;
    uint32_t slot = set->slots[probe(set, key, af_hash_bytes(key.ptr, key.len, 0))];
    return slot != 0 ? slot - 1 : UINT32_MAX;
}

static bool grow_slots(struct af_intern *set)
{
    uint32_t count = set->slots == NULL ? SLOTS_MIN : (set->slot_mask + 1) * 2;
    uint32_t *slots = count != 0 ? af_alloc_zero(count, sizeof *slots) : NULL;
    if (slots == NULL)
        return false;
    af_free(set->slots);
    set->slots = slots;
    set->slot_mask = count - 1;
    for (uint32_t id = 0; id < set->count; id++) {
        uint32_t at = (uint32_t)set->hashes[id] & set->slot_mask;
        while (slots[at] != 0)
            at = (at + 1) & set->slot_mask;
        slots[at] = id + 1;
    }
    return true;
}

static bool grow_keys(struct af_intern *set)
{
    uint32_t cap = set->cap == 0 ? 32 : set->cap * 2;
    struct af_slice *keys = af_realloc(set->keys, cap * sizeof *keys);
    if (keys == NULL)
        return false;
    set->keys = keys;
    uint64_t *hashes = af_realloc(set->hashes, cap * sizeof *hashes);
    if (hashes == NULL)
        return false;
    set->hashes = hashes;
    set->cap = cap;
    return true;
}

static char *keep(struct af_intern *set, struct af_slice key)
{
    struct af_intern_chunk *chunk = set->chunks;
    if (chunk == NULL || chunk->cap - chunk->used < key.len) {
        size_t cap = key.len > CHUNK_BYTES ? key.len : CHUNK_BYTES;
        chunk = af_alloc(sizeof *chunk + cap);
        if (chunk == NULL)
            return NULL;
        *chunk = (struct af_intern_chunk){ .next = set->chunks, .cap = cap };
        set->chunks = chunk;
    }
    char *at = chunk->bytes + chunk->used;
    if (key.len != 0)
        memcpy(at, key.ptr, key.len);
    chunk->used += key.len;
    return at;
}

enum af_status af_intern_add(struct af_intern *set, struct af_slice key, uint32_t *out_id, struct af_error *err)
{
    if ((set->slots == NULL || set->count >= set->slot_mask / 2) && !grow_slots(set))
        return af_fail_nomem(err, "a set of names");
    uint64_t hash = af_hash_bytes(key.ptr, key.len, 0);
    uint32_t at = probe(set, key, hash);
    if (set->slots[at] != 0) {
        *out_id = set->slots[at] - 1;
        return AF_OK;
    }
    if (set->count == set->cap && !grow_keys(set))
        return af_fail_nomem(err, "a set of names");
    char *kept = keep(set, key);
    if (kept == NULL)
        return af_fail_nomem(err, "a set of names");
    uint32_t id = set->count++;
    set->keys[id] = (struct af_slice){ kept, key.len };
    set->hashes[id] = hash;
    set->slots[at] = id + 1;
    set->bytes += key.len;
    *out_id = id;
    return AF_OK;
}
