/*
 * cache_carry.c - what does not fill a block stays in memory: the last rows of each series go from a generation that is about to be written
 * to the one after it, as its first rows.
 *
 *     from:  |======== 2,000 rows ========|-- 333 --|      to:  |-- 333 --|
 *                                          ^ rows % AF_TSM_BLOCK_POINTS
 *
 * So a build's files have full blocks without a compaction. A series with fewer rows than a block stays whole, at most AGE_MAX times and as
 * long as such series are a small part of the memory. Rows are split by their arrival, so later values still win: what stays goes to a
 * later file.
 *
 * Both generations' layout: cache_int.h. Nobody reads or writes either meanwhile, as in a build.
 */
#include "tsm/cache_int.h"

struct carry {
    struct af_cache *from, *to;
    struct af_arena arena;
    const struct af_cache_shard **shards;  /* of `from`, by number */
    const struct af_cache_shape **shapes;  /* of `to`, by number in `from`; NULL: not met yet */
    uint64_t last_cell;                    /* a text of `from` and its copy in `to` */
    const struct af_cache_text *last_text;
    uint64_t rows;
    size_t whole_bytes[2];                 /* of series that stay whole; [1]: the small ones, of which a file has more key than values */
    unsigned age;                          /* the highest of what was carried; a tail has 1 */
};
enum { AGE_MAX = 4, WHOLE_SHARE = 6, SMALL_ROWS = 128 };

static bool list_shards(struct carry *c)
{
    c->shards = af_arena_zero(&c->arena, c->from->shard_count + 1, sizeof *c->shards);
    c->shapes = af_arena_zero(&c->arena, c->from->shape_count + 1, sizeof *c->shapes);
    if (c->shards == NULL || c->shapes == NULL)
        return false;
    for (size_t i = 0; i < AF_CACHE_BUCKETS; i++)
        for (const struct af_cache_shard *shard = c->from->shards[i]; shard != NULL; shard = shard->next)
            c->shards[shard->number] = shard;
    return true;
}

static const struct af_cache_shape *shape_in_to(struct carry *c, const struct af_cache_shape *shape)
{
    if (c->shapes[shape->id] != NULL)
        return c->shapes[shape->id];
    struct af_cache_slot *slots = af_arena_array(&c->arena, shape->count, sizeof *slots);
    if (slots == NULL)
        return NULL;
    for (uint32_t s = 0; s < shape->count; s++) {
        slots[s] = (struct af_cache_slot){ af_cache_name_of(c->to, shape->slots[s].name->text), shape->slots[s].type, 0 };
        if (slots[s].name == NULL)
            return NULL;
    }
    return c->shapes[shape->id] = af_cache_shape_of(c->to, slots, shape->count);
}

/* The chunk that has row `row`, if all from there on have its shape and no gaps. */
static const struct af_cache_chunk *find_chunk(const struct af_cache_entry *entry, uint32_t row)
{
    const struct af_cache_chunk *chunk = entry->first;
    const struct af_cache_chunk *next;
    while ((next = atomic_load_explicit(&chunk->next, memory_order_relaxed)) != NULL && next->first <= row)
        chunk = next;
    for (next = chunk; next != NULL; next = atomic_load_explicit(&next->next, memory_order_relaxed))
        if (next->shape != chunk->shape || atomic_load_explicit(&next->has_gaps, memory_order_relaxed))
            return NULL;
    return chunk;
}

static bool copy_texts(struct carry *c, const unsigned char *from, unsigned char *to, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t cell;
        memcpy(&cell, from + (size_t)i * 8, 8);
        if (cell != c->last_cell) {
            const struct af_cache_text *text = (const void *)(uintptr_t)cell;
            struct af_cache_text *kept = af_cache_take(c->to, sizeof *kept + text->len);
            if (kept == NULL)
                return false;
            memcpy(kept, text, sizeof *kept + text->len);
            c->last_cell = cell;
            c->last_text = kept;
        }
        memcpy(to + (size_t)i * 8, &c->last_text, 8);
    }
    return true;
}

/* Rows [start, start + count) of `from` to row `at` of `to`, whose shape is the same. */
static bool copy_rows(struct carry *c, const struct af_cache_chunk *from, uint32_t start, uint32_t count, struct af_cache_chunk *to,
                      uint32_t at)
{
    memcpy(to->data + (size_t)at * 8, from->data + (size_t)start * 8, (size_t)count * 8);
    for (uint32_t s = 0; s < to->shape->count; s++) {
        const struct af_cache_slot *slot = &to->shape->slots[s];
        const size_t width = af_cache_width(slot->type);
        const unsigned char *source = af_cache_column(from, slot->offset) + start * width;
        unsigned char *target = af_cache_column(to, slot->offset) + at * width;
        if (slot->type == AF_TYPE_STRING) {
            if (!copy_texts(c, source, target, count))
                return false;
        } else {
            memcpy(target, source, count * width);
        }
    }
    return true;
}

static struct af_cache_chunk *new_chunk(struct carry *c, const struct af_cache_shape *shape, uint32_t rows)
{
    uint32_t cap = rows < 64 ? (rows + 15) / 8 * 8 : (rows + 64) / 8 * 8;
    size_t missing = shape->count * af_cache_missing_bytes(cap);
    struct af_cache_chunk *chunk = af_cache_take(c->to, sizeof *chunk + (size_t)cap * (8 + shape->row_bytes) + missing);
    if (chunk == NULL)
        return NULL;
    atomic_init(&chunk->next, NULL);
    atomic_init(&chunk->has_gaps, false);
    chunk->shape = shape;
    chunk->first = 0;
    chunk->cap = cap;
    memset(af_cache_missing(chunk, 0), 0, missing);
    return chunk;
}

/* How many of its last rows stay. */
static uint32_t rows_that_stay(const struct carry *c, const struct af_cache_entry *entry)
{
    if (entry->rows >= AF_TSM_BLOCK_POINTS)
        return entry->rows % AF_TSM_BLOCK_POINTS;
    bool is_small = entry->rows <= SMALL_ROWS;
    bool fits = c->whole_bytes[is_small] <= af_cache_bytes(c->from) / WHOLE_SHARE;
    return entry->age < AGE_MAX && fits ? entry->rows : 0;
}

/* False: without memory; then it stays where it is. */
static bool carry_entry(struct carry *c, struct af_cache_entry *entry)
{
    const uint32_t rows = rows_that_stay(c, entry);
    const uint32_t start = entry->rows - rows;
    const struct af_cache_chunk *from = rows > 0 ? find_chunk(entry, start) : NULL;
    if (from == NULL)
        return true;
    const struct af_cache_shape *shape = shape_in_to(c, from->shape);
    struct af_cache_chunk *chunk = shape != NULL ? new_chunk(c, shape, rows) : NULL;
    for (uint32_t at = 0; chunk != NULL && at < rows;) {
        const struct af_cache_chunk *next = atomic_load_explicit(&from->next, memory_order_relaxed);
        uint32_t end = next != NULL && next->first < entry->rows ? next->first : entry->rows;
        uint32_t count = end - (start + at);
        if (!copy_rows(c, from, start + at - from->first, count, chunk, at))
            return false;
        at += count;
        from = next;
    }
    struct af_cache_shard *shard = chunk != NULL ? af_cache_shard_of(c->to, c->shards[entry->shard]->id) : NULL;
    struct af_cache_entry *to = shard != NULL ? af_cache_entry_of(c->to, af_cache_hash(shard->number, entry->series), shard, entry->series)
                                              : NULL;
    if (to == NULL)
        return false;
    to->first = to->tail = chunk;
    to->tail_cap = (uint16_t)chunk->cap;
    to->shape = shape->id;
    to->rows = rows;
    to->age = start == 0 ? (uint16_t)(entry->age + 1) : 1;
    entry->rows = start;
    c->rows += rows;
    c->age = to->age > c->age ? to->age : c->age;
    if (start == 0)
        c->whole_bytes[rows <= SMALL_ROWS] += (size_t)chunk->cap * (8 + shape->row_bytes);
    return true;
}

unsigned af_cache_carry(struct af_cache *from, struct af_cache *to)
{
    struct carry c = { .from = from, .to = to };
    af_arena_init(&c.arena, SIZE_MAX);
    af_mutex_lock(&from->lock);
    af_mutex_lock(&to->lock);
    bool goes_on = list_shards(&c);
    for (uint32_t i = 0; i < from->entry_count && goes_on; i++)
        goes_on = carry_entry(&c, af_cache_entry_at(from, i));
    af_mutex_unlock(&to->lock);
    af_mutex_unlock(&from->lock);
    atomic_fetch_sub_explicit(&from->rows, c.rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&to->rows, c.rows, memory_order_relaxed);
    af_arena_done(&c.arena);
    return c.age;
}
