/*
 * cache.c - points in memory: its memory, its tables, and what it has; see cache_int.h for the layout, cache_put.c for putting.
 */
#include "tsm/cache_int.h"
#include "base/alloc.h"
#include "os/clock.h"

enum {
    SLAB_BYTES_MIN = 8 << 10,
    SLAB_BYTES_MAX = 2 << 20, /* also what is aligned for large pages */
    SLAB_PAD = 64,            /* a column may be read so far past its end */
    SLOTS_MIN = 256,
};

/* --- memory ---------------------------------------------------------------------------------------------------------------- */

/* Large blocks get large pages: faults of small ones would cost more than all else that a row costs. */
static void *grab(struct af_cache *cache, size_t bytes)
{
    bool is_large = bytes >= SLAB_BYTES_MAX;
    void *memory = is_large ? af_alloc_aligned(SLAB_BYTES_MAX, bytes) : af_alloc(bytes);
    if (memory == NULL)
        return NULL;
    if (is_large)
        af_memory_huge(memory, bytes);
    atomic_fetch_add_explicit(&cache->bytes, bytes, memory_order_relaxed);
    return memory;
}

/* From the pool, if it has one of this size. */
static void *grab_slab(struct af_cache *cache, size_t bytes)
{
    struct af_cache_slab *slab = NULL;
    if (cache->pool != NULL && bytes == SLAB_BYTES_MAX) {
        af_mutex_lock(&cache->pool->lock);
        slab = cache->pool->free;
        cache->pool->free = slab != NULL ? slab->next : NULL;
        af_mutex_unlock(&cache->pool->lock);
    }
    if (slab == NULL)
        return grab(cache, bytes);
    atomic_fetch_add_explicit(&cache->bytes, bytes, memory_order_relaxed);
    return slab;
}

static void drop_slab(struct af_cache *cache, struct af_cache_slab *slab)
{
    if (cache->pool == NULL || slab->cap + sizeof *slab + SLAB_PAD != SLAB_BYTES_MAX) {
        af_free(slab);
        return;
    }
    af_mutex_lock(&cache->pool->lock);
    slab->next = cache->pool->free;
    cache->pool->free = slab;
    af_mutex_unlock(&cache->pool->lock);
}

static void pool_unref(struct af_cache_pool *pool)
{
    if (pool == NULL || atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (struct af_cache_slab *slab = pool->free; slab != NULL;) {
        struct af_cache_slab *next = slab->next;
        af_free(slab);
        slab = next;
    }
    af_mutex_done(&pool->lock);
    af_free(pool);
}

static struct af_cache_slab *new_slab(struct af_cache *cache, size_t bytes)
{
    size_t whole = (bytes + sizeof(struct af_cache_slab) + SLAB_PAD + SLAB_BYTES_MIN - 1) / SLAB_BYTES_MIN * SLAB_BYTES_MIN;
    struct af_cache_slab *slab = grab_slab(cache, whole);
    if (slab != NULL)
        *slab = (struct af_cache_slab){ .cap = whole - sizeof *slab - SLAB_PAD };
    return slab;
}

void *af_cache_take(struct af_cache *cache, size_t bytes)
{
    struct af_cache_slab *slab = cache->slabs;
    bytes = (bytes + 7) & ~(size_t)7;
    if (slab != NULL && bytes <= slab->cap - slab->used) {
        slab->used += bytes;
        return slab->bytes + slab->used - bytes;
    }
    size_t most = SLAB_BYTES_MAX - sizeof *slab - SLAB_PAD;
    size_t next = af_cache_bytes(cache) / 4; /* a quarter more each time: little is taken before it is used */
    next = next < most ? next : most;
    bool is_own = slab != NULL && bytes > next / 4;
    struct af_cache_slab *fresh = new_slab(cache, is_own || bytes > next ? bytes : next);
    if (fresh == NULL)
        return NULL;
    fresh->used = bytes;
    struct af_cache_slab **at = is_own ? &slab->next : &cache->slabs; /* large things stand behind: the first goes on being filled */
    fresh->next = *at;
    *at = fresh;
    return fresh->bytes;
}

/* An array of pointers that is full becomes twice as long. */
static bool grow_pointers(struct af_cache *cache, void **array, size_t *cap)
{
    size_t more = *cap == 0 ? 16 : *cap * 2;
    void *grown = af_realloc(*array, more * sizeof(void *));
    if (grown == NULL)
        return false;
    atomic_fetch_add_explicit(&cache->bytes, (more - *cap) * sizeof(void *), memory_order_relaxed);
    *array = grown;
    *cap = more;
    return true;
}

struct af_cache *af_cache_new(void)
{
    struct af_cache *cache = af_alloc_zero(1, sizeof *cache);
    uint64_t *slots = af_alloc_zero(SLOTS_MIN, sizeof *slots);
    if (cache == NULL || slots == NULL) {
        af_free(cache);
        af_free(slots);
        return NULL;
    }
    atomic_init(&cache->refs, 1);
    atomic_init(&cache->bytes, sizeof *cache + SLOTS_MIN * sizeof *slots);
    cache->slots = slots;
    cache->slot_mask = SLOTS_MIN - 1;
    af_mutex_init(&cache->lock);
    return cache;
}

struct af_cache *af_cache_new_after(struct af_cache *before)
{
    struct af_cache *cache = af_cache_new();
    if (cache == NULL)
        return NULL;
    if (before->pool == NULL && (before->pool = af_alloc_zero(1, sizeof *before->pool)) != NULL) {
        atomic_init(&before->pool->refs, 1);
        af_mutex_init(&before->pool->lock);
    }
    if (before->pool != NULL)
        atomic_fetch_add_explicit(&before->pool->refs, 1, memory_order_relaxed);
    cache->pool = before->pool;
    return cache;
}

struct af_cache *af_cache_ref(struct af_cache *cache)
{
    atomic_fetch_add_explicit(&cache->refs, 1, memory_order_relaxed);
    return cache;
}

void af_cache_unref(struct af_cache *cache)
{
    if (cache == NULL || atomic_fetch_sub_explicit(&cache->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (struct af_cache_slab *slab = cache->slabs; slab != NULL;) {
        struct af_cache_slab *next = slab->next;
        drop_slab(cache, slab);
        slab = next;
    }
    pool_unref(cache->pool);
    af_free(cache->blocks);
    af_free(cache->slots);
    af_free(cache->shapes);
    af_mutex_done(&cache->lock);
    af_free(cache);
}

size_t af_cache_bytes(struct af_cache *cache)
{
    return atomic_load_explicit(&cache->bytes, memory_order_relaxed);
}

uint64_t af_cache_rows(struct af_cache *cache)
{
    return atomic_load_explicit(&cache->rows, memory_order_relaxed);
}

/* --- names, shapes, shards ------------------------------------------------------------------------------------------------- */

struct af_cache_name *af_cache_name_of(struct af_cache *cache, struct af_slice text)
{
    struct af_cache_name **bucket = &cache->names[af_hash_bytes(text.ptr, text.len, 0) % AF_CACHE_BUCKETS];
    for (struct af_cache_name *name = *bucket; name != NULL; name = name->next)
        if (af_slice_eq(name->text, text))
            return name;
    struct af_cache_name *name = af_cache_take(cache, sizeof *name + text.len);
    if (name == NULL)
        return NULL;
    char *copy = (char *)(name + 1);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    *name = (struct af_cache_name){ .next = *bucket, .text = { copy, text.len }, .id = cache->name_count++ };
    *bucket = name;
    return name;
}

static uint64_t shape_hash(const struct af_cache_slot *slots, uint32_t count)
{
    uint64_t hash = count;
    for (uint32_t i = 0; i < count; i++)
        hash = af_hash_mix(hash ^ ((uint64_t)slots[i].name->id << 8 | (unsigned)slots[i].type));
    return hash;
}

static bool is_shape(const struct af_cache_shape *shape, uint64_t hash, const struct af_cache_slot *slots, uint32_t count)
{
    if (shape->hash != hash || shape->count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (shape->slots[i].name != slots[i].name || shape->slots[i].type != slots[i].type)
            return false;
    return true;
}

struct af_cache_shape *af_cache_shape_of(struct af_cache *cache, const struct af_cache_slot *slots, uint32_t count)
{
    uint64_t hash = shape_hash(slots, count);
    struct af_cache_shape **bucket = &cache->shape_buckets[hash % AF_CACHE_BUCKETS];
    for (struct af_cache_shape *shape = *bucket; shape != NULL; shape = shape->next)
        if (is_shape(shape, hash, slots, count))
            return shape;
    if (cache->shape_count == cache->shape_cap && !grow_pointers(cache, (void **)&cache->shapes, &cache->shape_cap))
        return NULL;
    struct af_cache_shape *shape = af_cache_take(cache, sizeof *shape + count * sizeof *slots);
    if (shape == NULL)
        return NULL;
    *shape = (struct af_cache_shape){ .next = *bucket, .hash = hash, .id = cache->shape_count, .count = count };
    for (uint32_t i = 0; i < count; i++) {
        shape->slots[i] = slots[i];
        shape->slots[i].offset = shape->row_bytes;
        shape->row_bytes += af_cache_width(slots[i].type);
    }
    *bucket = shape;
    cache->shapes[cache->shape_count++] = shape;
    return shape;
}

struct af_cache_shard *af_cache_find_shard(const struct af_cache *cache, uint64_t id)
{
    struct af_cache_shard *shard = cache->shards[af_hash_mix(id) % AF_CACHE_BUCKETS];
    while (shard != NULL && shard->id != id)
        shard = shard->next;
    return shard;
}

struct af_cache_shard *af_cache_shard_of(struct af_cache *cache, uint64_t id)
{
    struct af_cache_shard *shard = af_cache_find_shard(cache, id);
    if (shard != NULL)
        return shard;
    shard = af_cache_take(cache, sizeof *shard);
    if (shard == NULL)
        return NULL;
    struct af_cache_shard **bucket = &cache->shards[af_hash_mix(id) % AF_CACHE_BUCKETS];
    *shard = (struct af_cache_shard){ .next = *bucket, .id = id, .number = cache->shard_count++ };
    *bucket = shard;
    return shard;
}

/* --- entries ----------------------------------------------------------------------------------------------------------------- */

static bool grow_slots(struct af_cache *cache)
{
    size_t count = (cache->slot_mask + 1) * 2;
    uint64_t *slots = grab(cache, count * sizeof *slots);
    if (slots == NULL)
        return false;
    memset(slots, 0, count * sizeof *slots);
    for (uint32_t i = 0; i < cache->entry_count; i++) {
        const struct af_cache_entry *entry = af_cache_entry_at(cache, i);
        uint64_t hash = af_cache_hash(entry->shard, entry->series);
        size_t at = hash & (count - 1);
        while (slots[at] != 0)
            at = (at + 1) & (count - 1);
        slots[at] = (hash >> 32) << 32 | (i + 1);
    }
    atomic_fetch_sub_explicit(&cache->bytes, count / 2 * sizeof *slots, memory_order_relaxed);
    af_free(cache->slots);
    cache->slots = slots;
    cache->slot_mask = count - 1;
    return true;
}

static bool make_room(struct af_cache *cache)
{
    size_t block = cache->entry_count / AF_CACHE_ENTRIES;
    if (cache->entry_count + cache->entry_count / 2 > cache->slot_mask && !grow_slots(cache))
        return false;
    if (cache->entry_count % AF_CACHE_ENTRIES != 0)
        return true;
    if (block == cache->block_cap && !grow_pointers(cache, (void **)&cache->blocks, &cache->block_cap))
        return false;
    cache->blocks[block] = af_cache_take(cache, AF_CACHE_ENTRIES * sizeof **cache->blocks);
    return cache->blocks[block] != NULL;
}

struct af_cache_entry *af_cache_entry_of(struct af_cache *cache, uint64_t hash, struct af_cache_shard *shard, uint32_t series)
{
    size_t at;
    struct af_cache_entry *entry = af_cache_find_entry(cache, hash, shard->number, series, &at);
    if (entry != NULL)
        return entry;
    if (!make_room(cache))
        return NULL;
    (void)af_cache_find_entry(cache, hash, shard->number, series, &at); /* the slots may be others now */
    uint32_t number = cache->entry_count++;
    entry = af_cache_entry_at(cache, number);
    *entry = (struct af_cache_entry){ .shard = shard->number, .series = series, .next = shard->head };
    cache->slots[at] = (hash >> 32) << 32 | (number + 1);
    shard->head = number + 1;
    shard->entry_count++;
    return entry;
}

/* --- what there is ------------------------------------------------------------------------------------------------------------- */

static bool has_rows(const struct af_cache *cache, const struct af_cache_shard *shard)
{
    for (uint32_t at = shard->head; at != 0; at = af_cache_entry_at(cache, at - 1)->next)
        if (af_cache_entry_at(cache, at - 1)->rows > 0)
            return true;
    return false;
}

static void sort_ids(uint64_t *ids, size_t count)
{
    for (size_t i = 1; i < count; i++) { /* a few shards; ids grow with time, so they are nearly in order */
        uint64_t id = ids[i];
        size_t k = i;
        for (; k > 0 && ids[k - 1] > id; k--)
            ids[k] = ids[k - 1];
        ids[k] = id;
    }
}

enum af_status af_cache_shards(struct af_cache *cache, struct af_arena *arena, uint64_t **out, size_t *out_count,
                               struct af_error *err)
{
    enum af_status status = AF_OK;
    size_t count = 0;
    af_mutex_lock(&cache->lock);
    uint64_t *ids = af_arena_array(arena, cache->shard_count, sizeof *ids);
    if (ids == NULL)
        status = af_arena_fail(arena, cache->shard_count * sizeof *ids, "a list of shards", err);
    for (size_t i = 0; ids != NULL && i < AF_CACHE_BUCKETS; i++)
        for (const struct af_cache_shard *shard = cache->shards[i]; shard != NULL; shard = shard->next)
            if (has_rows(cache, shard))
                ids[count++] = shard->id;
    af_mutex_unlock(&cache->lock);
    if (status != AF_OK)
        return status;
    sort_ids(ids, count);
    *out = ids;
    *out_count = count;
    return AF_OK;
}

enum af_status af_cache_series(struct af_cache *cache, uint64_t shard_id, struct af_arena *arena, uint32_t **out,
                               size_t *out_count, struct af_error *err)
{
    enum af_status status = AF_OK;
    size_t count = 0;
    af_mutex_lock(&cache->lock);
    const struct af_cache_shard *shard = af_cache_find_shard(cache, shard_id);
    size_t most = shard != NULL ? shard->entry_count : 0;
    uint32_t *ids = af_arena_array(arena, most, sizeof *ids);
    if (ids == NULL)
        status = af_arena_fail(arena, most * sizeof *ids, "a list of series", err);
    for (uint32_t at = shard != NULL && ids != NULL ? shard->head : 0; at != 0;) {
        const struct af_cache_entry *entry = af_cache_entry_at(cache, at - 1);
        if (entry->rows > 0)
            ids[count++] = entry->series;
        at = entry->next;
    }
    af_mutex_unlock(&cache->lock);
    if (status != AF_OK)
        return status;
    *out = ids;
    *out_count = count;
    return AF_OK;
}

void af_cache_capture(struct af_cache *cache, uint64_t shard_id, const uint32_t *series, size_t count, struct af_cache_handle *out)
{
    af_mutex_lock(&cache->lock);
    const struct af_cache_shard *shard = af_cache_find_shard(cache, shard_id);
    for (size_t i = 0; i < count; i++) {
        size_t at;
        out[i] = (struct af_cache_handle){ 0 };
        if (shard == NULL)
            continue;
        if (i + 8 < count)
            __builtin_prefetch(&cache->slots[af_cache_hash(shard->number, series[i + 8]) & cache->slot_mask]);
        const struct af_cache_entry *entry = af_cache_find_entry(cache, af_cache_hash(shard->number, series[i]), shard->number,
                                                                 series[i], &at);
        if (entry != NULL && entry->rows > 0)
            out[i] = (struct af_cache_handle){ entry->first, entry->rows };
    }
    af_mutex_unlock(&cache->lock);
}
