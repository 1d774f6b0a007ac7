/*
 * intern.h - bytes to dense ids: 0, 1, 2 ... in order of first appearance.
 *
 * Keys are copied; a key's slice stays valid until the set is cleared. Not thread-safe.
 */
#ifndef AF_BASE_INTERN_H
#define AF_BASE_INTERN_H
#include "base/error.h"
#include "base/slice.h"

struct af_intern {
    struct af_slice *keys; /* by id */
    uint32_t count;
    uint32_t cap;
    uint32_t *slots;       /* open addressing: id + 1, 0 is free */
    uint64_t *hashes;      /* by id */
    uint32_t slot_mask;
    struct af_intern_chunk *chunks;
    size_t bytes;          /* of keys held */
};

void af_intern_init(struct af_intern *set);
void af_intern_done(struct af_intern *set);
void af_intern_clear(struct af_intern *set); /* ids start at 0 again */

/* The id of `key`, added when new. AF_ENOMEM leaves the set as it was. */
AF_MUST_CHECK enum af_status af_intern_add(struct af_intern *set, struct af_slice key, uint32_t *out_id,
                                           struct af_error *err);

/* The id, or UINT32_MAX. */
uint32_t af_intern_find(const struct af_intern *set, struct af_slice key);
#endif
