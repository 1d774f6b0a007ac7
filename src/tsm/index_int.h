/*
 * index_int.h - the series index from inside: what its files share.
 *
 *     hash of key --> slots --> entries, by id --> key bytes (u16 length in front), measurement, flags
 *                                  measurement --> ids in order of arrival; the same sorted by key; columns of tags (index_tags.c)
 *
 * Keys and entries never move: chunks of keys and segments of entries only get neighbours. So who was given an id (under `lock`, or by
 * someone who was) reads its key and measurement without a lock.
 *
 * Locks, in order: file_lock (one writer of the file), tags_lock (the columns of tags), lock (all else).
 */
#ifndef AF_TSM_INDEX_INT_H
#define AF_TSM_INDEX_INT_H
#include "base/hash.h"
#include "tsm/tsm_int.h"
#include <stdatomic.h>

/* --- index_names.c: texts to dense numbers; the texts are borrowed ----------------------------------------------------------- */

struct index_name {
    const char *ptr;
    uint32_t len;
    uint32_t hash;
};
struct index_names {
    struct index_name *list;
    uint32_t count, cap;
    uint32_t *slots; /* number + 1, 0 is free */
    uint32_t slot_mask;
};
uint32_t index_names_find(const struct index_names *names, struct af_slice name); /* AF_INDEX_NONE */
/* A name that is not there. False without memory. */
AF_MUST_CHECK bool index_names_add(struct index_names *names, struct af_slice name, uint32_t *out_number);
struct af_slice index_names_get(const struct index_names *names, uint32_t number);
/* Numbers of names, in order of the names. False without memory. */
AF_MUST_CHECK bool index_names_sort(const struct index_names *names, uint32_t *numbers, size_t count);
size_t index_names_bytes(const struct index_names *names);
void index_names_done(struct index_names *names);

/* --- index.c ----------------------------------------------------------------------------------------------------------------- */

enum {
    INDEX_HIDDEN = 1,        /* flags of an entry */
    INDEX_CHANGED = 2,       /* hidden or shown since that was written to the file */
    INDEX_SEGMENT_FIRST = 64, /* entries of segment 0; each has twice as many as the one before */
    INDEX_SEGMENTS = 23,     /* together more than AF_TSM_SERIES_MAX */
    INDEX_GROUP = 32,        /* keys that are looked up side by side, to wait for memory once */
};

struct index_entry {
    const char *key; /* two bytes of length stand before it */
    uint32_t measurement;
    _Atomic uint32_t flags; /* written under `lock` */
};
struct index_slot {
    uint32_t id_1; /* id + 1, 0 is free */
    uint32_t hash;
};
struct index_chunk {
    struct index_chunk *next;
    size_t cap, used;
    char bytes[];
};
struct index_tags;
struct index_measurement {
    uint32_t live;         /* of its series: not hidden */
    uint32_t *ids;         /* by place: order of arrival */
    uint32_t count, cap;
    uint32_t *sorted;      /* the first `sorted_count` places in order of key */
    uint32_t sorted_count, sorted_cap;
    struct index_tags *tags; /* under tags_lock; NULL: nobody has asked yet */
};

struct af_index {
    struct af_mutex lock;
    struct index_entry *segments[INDEX_SEGMENTS];
    uint32_t count;
    uint32_t live;
    struct index_slot *slots;
    uint32_t slot_mask;
    struct index_chunk *chunks;
    size_t chunk_bytes;
    struct index_names names; /* of measurements */
    struct index_measurement **measurements;
    uint32_t measurement_cap;
    uint64_t serial;          /* of this index in the process, for memos */
    _Atomic uint32_t hides;   /* how often something was hidden: memos that are older forget */
    _Atomic uint32_t hidden;  /* how many are hidden now */

    struct af_mutex tags_lock;

    struct af_mutex file_lock;
    char *path;
    struct af_file *file;     /* NULL until the first sync */
    uint64_t file_bytes;      /* that are whole records */
    uint32_t written;         /* ids below are in the file */
    bool is_dir_synced;       /* the file's name is on disk */
    bool is_synced;           /* nothing is written that was not synced */
    bool is_torn;             /* as it was opened: af_index_is_torn */
};

static inline struct index_entry *index_entry(const struct af_index *index, uint32_t id)
{
    uint32_t n = id + INDEX_SEGMENT_FIRST;
    uint32_t segment = 25u - (uint32_t)__builtin_clz(n);
    return &index->segments[segment][n - ((uint32_t)INDEX_SEGMENT_FIRST << segment)];
}
static inline struct af_slice index_key(const struct af_index *index, uint32_t id)
{
    const char *key = index_entry(index, id)->key;
    uint16_t len;
    memcpy(&len, key - sizeof len, sizeof len);
    return (struct af_slice){ key, len };
}
static inline bool index_is_hidden(const struct af_index *index, uint32_t id)
{
    return (atomic_load_explicit(&index_entry(index, id)->flags, memory_order_relaxed) & INDEX_HIDDEN) != 0;
}

/* Find or add `count` <= INDEX_GROUP keys, in order; hidden ones are shown. Under `lock`. On failure the first *out_done are in. */
AF_MUST_CHECK enum af_status index_add_group(struct af_index *index, const struct af_slice *keys, const uint64_t *hashes, size_t count,
                                             uint32_t *out_ids, size_t *out_done, struct af_error *err);
void index_set_hidden(struct af_index *index, uint32_t id, bool hidden); /* under `lock` */

/* --- index_file.c ------------------------------------------------------------------------------------------------------------ */

AF_MUST_CHECK enum af_status index_load(struct af_index *index, struct af_error *err); /* the file at `path`; absent is fine */

/* --- index_sort.c: order of key + separator ---------------------------------------------------------------------------------- */

int index_compare(struct af_slice a, struct af_slice b);
/* Sort places[0..count); the series at place p is ids[p]. False without memory. */
AF_MUST_CHECK bool index_sort(const struct af_index *index, const uint32_t *ids, uint32_t *places, size_t count);
/* places[0..sorted) are in order: bring in the others. */
AF_MUST_CHECK bool index_sort_tail(const struct af_index *index, const uint32_t *ids, uint32_t *places, size_t sorted, size_t count);

/* --- index_tags.c ------------------------------------------------------------------------------------------------------------ */

struct index_tag {
    struct index_names values; /* unescaped */
    uint32_t *places, *codes;
    uint32_t count, cap;
    uint32_t *sorted;          /* codes in order of their values, when somebody asked for all */
    uint32_t sorted_count;
};
struct index_tags {
    uint32_t built;            /* places below are in the columns */
    struct index_names keys;   /* unescaped */
    struct index_tag *tags;    /* by key */
    uint32_t tag_cap;
    struct af_arena texts;     /* what had to be unescaped; all else points into the keys */
};
void index_tags_free(struct index_tags *tags);
/* The measurement's columns, with the places below `count`; under tags_lock. */
AF_MUST_CHECK enum af_status index_tags_build(struct af_index *index, struct index_measurement *measurement, const uint32_t *ids,
                                              uint32_t count, struct af_error *err);
/* With all places that there are now; takes the lock. */
AF_MUST_CHECK enum af_status index_tags_ready(struct af_index *index, uint32_t measurement, struct af_arena *arena, struct af_error *err);
size_t index_tags_bytes(const struct index_tags *tags); /* under tags_lock; NULL is fine */
/* Which of the places [0, count) of a measurement match: a bitmap in `arena`. */
AF_MUST_CHECK enum af_status index_tags_match(struct af_index *index, struct index_measurement *measurement, const uint32_t *ids,
                                              uint32_t count, const struct af_predicate *predicate, struct af_arena *arena,
                                              uint64_t **out, struct af_error *err);
#endif
