/*
 * cache_int.h - how a generation of the cache lies in memory; cache_put.c writes it, cache_read.c reads it, cache.c has the rest.
 *
 *     slots (hash of shard, series) --> entry --> chunk --> chunk --> chunk        rows of one series in one shard
 *                                                  |
 *     chunk: | next shape first cap | times[cap] | column of slot 0 | column of slot 1 | ... | missing bits of each slot |
 *                                                  8 bytes a row: F64 I64 U64, STRING (where its bytes are); 1 byte: BOOL
 *
 * A shape is a set of fields in some order; chunks of the same fields share it. A row that lacks a field of its chunk's shape has a
 * missing bit there. Chunks, shapes, names and texts lie in slabs and never move, so that readers need no lock: they know how many rows
 * there were (captured under the lock), and whatever belongs to those rows does not change. Only `next` and the bytes of missing bits
 * are written while others read them; both are atomic.
 */
#ifndef AF_TSM_CACHE_INT_H
#define AF_TSM_CACHE_INT_H
#include "base/hash.h"
#include "tsm/tsm_int.h"
#include <stdatomic.h>

enum {
    AF_CACHE_BUCKETS = 256, /* of names, shapes and shards */
    AF_CACHE_ENTRIES = 256, /* of a block of entries */
};

struct af_cache_name {
    struct af_cache_name *next; /* in its hash bucket */
    struct af_slice text;
    uint32_t id;                /* dense */
    uint32_t slot;              /* the writer's: valid for the mapping with this stamp */
    uint64_t stamp;
};
struct af_cache_slot {
    struct af_cache_name *name;
    enum af_type type;
    uint32_t offset; /* bytes a row of the columns before it */
};
struct af_cache_shape {
    struct af_cache_shape *next;
    uint64_t hash;
    uint32_t id, count;
    uint32_t row_bytes; /* of all columns, without the time */
    struct af_cache_slot slots[];
};
struct af_cache_chunk {
    struct af_cache_chunk *_Atomic next;
    const struct af_cache_shape *shape;
    uint32_t first; /* row of the entry */
    uint32_t cap;
    atomic_bool has_gaps; /* a row of it lacks a field, or may */
    unsigned char _Alignas(8) data[];
};
struct af_cache_entry {
    uint32_t shard, series;          /* shard: number in the cache */
    uint32_t rows;
    uint32_t next;                   /* entry of the same shard, + 1 */
    struct af_cache_chunk *first, *tail;
    uint32_t tail_first, shape;      /* of the tail, to save touching it */
    uint16_t tail_cap;
    uint16_t age;                    /* so many generations its first rows have seen before this one */
    uint32_t run_start;              /* since this row the shape is the same */
};
struct af_cache_text {
    uint32_t len;
    char bytes[];
};

struct af_cache_slab {
    struct af_cache_slab *next;
    size_t cap; /* of bytes */
    size_t used;
    _Alignas(16) unsigned char bytes[];
};
struct af_cache_shard {
    struct af_cache_shard *next;
    uint64_t id;
    uint32_t number;
    uint32_t head; /* its newest entry, + 1 */
    uint32_t entry_count;
};
/* Slabs of the largest size that a generation gave back, for those after it: their pages need not be made again. */
struct af_cache_pool {
    _Atomic uint32_t refs;
    struct af_mutex lock;
    struct af_cache_slab *free;
};
struct af_cache {
    struct af_cache_pool *pool; /* a reference; NULL: none */
    _Atomic uint32_t refs;
    atomic_size_t bytes;
    _Atomic uint64_t rows;
    struct af_mutex lock; /* all below */
    struct af_cache_slab *slabs; /* the first is filled */
    struct af_cache_entry **blocks;
    size_t block_cap;
    uint32_t entry_count;
    uint64_t *slots; /* upper half: of the hash; lower half: entry + 1; 0: free */
    size_t slot_mask;
    struct af_cache_shape **shapes; /* by id */
    size_t shape_cap;
    uint32_t shape_count, name_count, shard_count;
    uint64_t stamp;
    struct af_cache_name *names[AF_CACHE_BUCKETS];
    struct af_cache_shape *shape_buckets[AF_CACHE_BUCKETS];
    struct af_cache_shard *shards[AF_CACHE_BUCKETS];
};

/* cache.c: all with the lock; NULL without memory, but for find_shard. */
void *af_cache_take(struct af_cache *cache, size_t bytes); /* from a slab, aligned to 8 */
struct af_cache_name *af_cache_name_of(struct af_cache *cache, struct af_slice text);
/* The shape with these slots; offsets are filled in. */
struct af_cache_shape *af_cache_shape_of(struct af_cache *cache, const struct af_cache_slot *slots, uint32_t count);
struct af_cache_shard *af_cache_find_shard(const struct af_cache *cache, uint64_t id); /* NULL: there is none */
struct af_cache_shard *af_cache_shard_of(struct af_cache *cache, uint64_t id);
struct af_cache_entry *af_cache_entry_of(struct af_cache *cache, uint64_t hash, struct af_cache_shard *shard, uint32_t series);

static inline struct af_cache_entry *af_cache_entry_at(const struct af_cache *cache, uint32_t number)
{
    return cache->blocks[number / AF_CACHE_ENTRIES] + number % AF_CACHE_ENTRIES;
}

static inline uint64_t af_cache_hash(uint32_t shard, uint32_t series)
{
    return af_hash_mix((uint64_t)shard << 32 | series);
}

/* The entry, or NULL with *out_slot where it would go. */
static inline struct af_cache_entry *af_cache_find_entry(const struct af_cache *cache, uint64_t hash, uint32_t shard, uint32_t series,
                                                         size_t *out_slot)
{
    for (size_t at = hash & cache->slot_mask;; at = (at + 1) & cache->slot_mask) {
        uint64_t slot = cache->slots[at];
        if (slot == 0) {
            *out_slot = at;
            return NULL;
        }
        if (slot >> 32 != hash >> 32)
            continue;
        struct af_cache_entry *entry = af_cache_entry_at(cache, (uint32_t)slot - 1);
        if (entry->series == series && entry->shard == shard)
            return entry;
    }
}

static inline unsigned af_cache_width(enum af_type type)
{
    return type == AF_TYPE_BOOL ? 1 : 8;
}
static inline unsigned char *af_cache_column(const struct af_cache_chunk *chunk, uint32_t offset)
{
    return (unsigned char *)(uintptr_t)chunk->data + (size_t)chunk->cap * (8 + offset);
}
static inline size_t af_cache_missing_bytes(uint32_t cap)
{
    return ((size_t)cap + 7) / 8;
}
static inline unsigned char *af_cache_missing(const struct af_cache_chunk *chunk, uint32_t slot)
{
    return af_cache_column(chunk, chunk->shape->row_bytes) + slot * af_cache_missing_bytes(chunk->cap);
}
#endif
