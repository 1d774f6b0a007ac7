/*
 * index.c - the series of a bucket: key to id, id to key; see index_int.h for the shape.
 *
 * A lookup is three dependent trips to memory (slot, entry, key), each of which misses the caches when there are many series. Groups of
 * keys make them side by side: all slots are asked for, then all entries, then all keys. The slot holds 32 bits of the hash,
 * so nearly every lookup touches one entry only, and growing the table does not touch the keys.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "tsm/index_int.h"

enum { SLOTS_MIN = 64, CHUNK_MIN = 4 << 10, CHUNK_MAX = 1 << 20 };

/* --- memory ------------------------------------------------------------------------------------------------------------------- */

static bool grow_slots(struct af_index *index)
{
    uint32_t count = index->slots == NULL ? SLOTS_MIN : (index->slot_mask + 1) * 2;
    struct index_slot *slots = af_alloc_zero(count, sizeof *slots);
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; index->slots != NULL && i <= index->slot_mask; i++) {
        if (index->slots[i].id_1 == 0)
            continue;
        uint32_t at = index->slots[i].hash & (count - 1);
        while (slots[at].id_1 != 0)
            at = (at + 1) & (count - 1);
        slots[at] = index->slots[i];
    }
    af_free(index->slots);
    index->slots = slots;
    index->slot_mask = count - 1;
    return true;
}

/* A copy with its length in front; NULL without memory. The caller takes it with `used`. */
static char *keep_key(struct af_index *index, struct af_slice key)
{
    uint16_t len = (uint16_t)key.len;
    size_t need = sizeof len + key.len;
    struct index_chunk *chunk = index->chunks;
    if (chunk == NULL || chunk->cap - chunk->used < need) {
        size_t cap = index->chunk_bytes < CHUNK_MIN ? CHUNK_MIN : index->chunk_bytes > CHUNK_MAX ? CHUNK_MAX : index->chunk_bytes;
        if (cap < need)
            cap = need;
        chunk = af_alloc(sizeof *chunk + cap);
        if (chunk == NULL)
            return NULL;
        *chunk = (struct index_chunk){ .next = index->chunks, .cap = cap };
        index->chunks = chunk;
        index->chunk_bytes += cap;
    }
    char *at = chunk->bytes + chunk->used;
    memcpy(at, &len, sizeof len);
    memcpy(at + sizeof len, key.ptr, key.len);
    chunk->used += need;
    return at + sizeof len;
}

static bool ensure_segment(struct af_index *index, uint32_t id)
{
    uint32_t n = id + INDEX_SEGMENT_FIRST;
    uint32_t segment = 25u - (uint32_t)__builtin_clz(n);
    if (index->segments[segment] == NULL)
        index->segments[segment] = af_alloc((size_t)(INDEX_SEGMENT_FIRST << segment) * sizeof(struct index_entry));
    return index->segments[segment] != NULL;
}

static bool grow_measurements(struct af_index *index)
{
    if (index->names.count < index->measurement_cap)
        return true;
    uint32_t cap = index->measurement_cap == 0 ? 4 : index->measurement_cap * 2;
    struct index_measurement **grown = af_realloc(index->measurements, cap * sizeof *grown);
    if (grown == NULL)
        return false;
    index->measurements = grown;
    index->measurement_cap = cap;
    return true;
}

/* `name` is in the index's own memory. */
static bool find_or_add_measurement(struct af_index *index, struct af_slice name, uint32_t *out)
{
    if (index->count != 0) { /* mostly the same as the last one's */
        *out = index_entry(index, index->count - 1)->measurement;
        if (af_slice_eq(index_names_get(&index->names, *out), name))
            return true;
    }
    *out = index_names_find(&index->names, name);
    if (*out != AF_INDEX_NONE)
        return true;
    struct index_measurement *measurement = grow_measurements(index) ? af_alloc_zero(1, sizeof *measurement) : NULL;
    if (measurement == NULL || !index_names_add(&index->names, name, out)) {
        af_free(measurement);
        return false;
    }
    index->measurements[*out] = measurement;
    return true;
}

static bool append_place(struct index_measurement *measurement, uint32_t id)
{
    if (measurement->count == measurement->cap) {
        uint32_t cap = measurement->cap < 8 ? measurement->cap + 4 : measurement->cap + measurement->cap / 2;
        uint32_t *ids = af_realloc(measurement->ids, cap * sizeof *ids);
        if (ids == NULL)
            return false;
        measurement->ids = ids;
        measurement->cap = cap;
    }
    measurement->ids[measurement->count++] = id;
    return true;
}

/* --- adding and finding --------------------------------------------------------------------------------------------------------- */

static uint32_t probe(const struct af_index *index, struct af_slice key, uint32_t hash)
{
    if (index->slots == NULL)
        return AF_INDEX_NONE;
    for (uint32_t at = hash & index->slot_mask;; at = (at + 1) & index->slot_mask) {
        const struct index_slot *slot = &index->slots[at];
        if (slot->id_1 == 0)
            return AF_INDEX_NONE;
        if (slot->hash == hash && af_slice_eq(index_key(index, slot->id_1 - 1), key))
            return slot->id_1 - 1;
    }
}

static void set_slot(struct af_index *index, uint32_t hash, uint32_t id)
{
    uint32_t at = hash & index->slot_mask;
    while (index->slots[at].id_1 != 0)
        at = (at + 1) & index->slot_mask;
    index->slots[at] = (struct index_slot){ id + 1, hash };
}

static enum af_status check_key(const struct af_index *index, struct af_slice key, struct af_error *err)
{
    if (key.len == 0 || key.len > AF_LP_KEY_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "a series key of %zu bytes: from 1 to %d are possible", key.len, AF_LP_KEY_BYTES_MAX);
    if (index->count >= AF_TSM_SERIES_MAX)
        return af_fail(err, AF_ELIMIT, "%d series in one bucket, no more are possible: a tag may hold values that never repeat",
                       AF_TSM_SERIES_MAX);
    return AF_OK;
}

static enum af_status add_new(struct af_index *index, struct af_slice key, uint32_t hash, uint32_t *out_id, struct af_error *err)
{
    AF_TRY(check_key(index, key, err));
    uint32_t id = index->count;
    uint32_t measurement;
    if ((index->slots == NULL || id >= index->slot_mask / 4 * 3) && !grow_slots(index))
        return af_fail_nomem(err, "the series index");
    char *kept = ensure_segment(index, id) ? keep_key(index, key) : NULL;
    if (kept == NULL)
        return af_fail_nomem(err, "the series index");
    if (!find_or_add_measurement(index, af_key_measurement_raw(af_slice_make(kept, key.len)), &measurement) ||
        !append_place(index->measurements[measurement], id))
        return af_fail_nomem(err, "the series index"); /* the copy stays: a measurement may be named by it */
    struct index_entry *entry = index_entry(index, id);
    entry->key = kept;
    entry->measurement = measurement;
    atomic_init(&entry->flags, 0);
    set_slot(index, hash, id);
    index->count++;
    index->live++;
    index->measurements[measurement]->live++;
    *out_id = id;
    return AF_OK;
}

/* Ask memory for what the lookups will need. */
static void prefetch_group(const struct af_index *index, const struct af_slice *keys, const uint64_t *hashes, size_t count)
{
    const struct index_entry *entries[INDEX_GROUP];
    if (index->slots == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(&index->slots[(uint32_t)hashes[i] & index->slot_mask]);
        __builtin_prefetch(keys[i].ptr);
        __builtin_prefetch(keys[i].ptr + 64);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)hashes[i] & index->slot_mask;
        while (index->slots[at].id_1 != 0 && index->slots[at].hash != (uint32_t)hashes[i])
            at = (at + 1) & index->slot_mask;
        entries[i] = index->slots[at].id_1 != 0 ? index_entry(index, index->slots[at].id_1 - 1) : NULL;
        __builtin_prefetch(entries[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (entries[i] != NULL) {
            __builtin_prefetch(entries[i]->key - 2);
            __builtin_prefetch(entries[i]->key + 62);
        }
}

enum af_status index_add_group(struct af_index *index, const struct af_slice *keys, const uint64_t *hashes, size_t count,
                               uint32_t *out_ids, size_t *out_done, struct af_error *err)
{
    prefetch_group(index, keys, hashes, count);
    for (*out_done = 0; *out_done < count; ++*out_done) {
        size_t i = *out_done;
        out_ids[i] = probe(index, keys[i], (uint32_t)hashes[i]);
        if (out_ids[i] == AF_INDEX_NONE)
            AF_TRY(add_new(index, keys[i], (uint32_t)hashes[i], &out_ids[i], err));
        else if (index_is_hidden(index, out_ids[i]))
            index_set_hidden(index, out_ids[i], false);
    }
    return AF_OK;
}

enum af_status af_index_add(struct af_index *index, struct af_slice key, uint32_t *out_id, struct af_error *err)
{
    uint64_t hash = af_hash_bytes(key.ptr, key.len, 0);
    size_t done;
    af_mutex_lock(&index->lock);
    enum af_status status = index_add_group(index, &key, &hash, 1, out_id, &done, err);
    af_mutex_unlock(&index->lock);
    return status;
}

uint32_t af_index_find(struct af_index *index, struct af_slice key)
{
    uint32_t hash = (uint32_t)af_hash_bytes(key.ptr, key.len, 0);
    af_mutex_lock(&index->lock);
    uint32_t id = probe(index, key, hash);
    af_mutex_unlock(&index->lock);
    return id;
}

/* --- reading -------------------------------------------------------------------------------------------------------------------- */

struct af_slice af_index_key(struct af_index *index, uint32_t id)
{
    return index_key(index, id);
}

uint32_t af_index_measurement(struct af_index *index, uint32_t id)
{
    return index_entry(index, id)->measurement;
}

struct af_slice af_index_measurement_name(struct af_index *index, uint32_t measurement)
{
    af_mutex_lock(&index->lock);
    struct af_slice name = index_names_get(&index->names, measurement);
    af_mutex_unlock(&index->lock);
    return name;
}

uint32_t af_index_measurement_find(struct af_index *index, struct af_slice name_escaped)
{
    af_mutex_lock(&index->lock);
    uint32_t measurement = index_names_find(&index->names, name_escaped);
    af_mutex_unlock(&index->lock);
    return measurement;
}

uint32_t af_index_measurement_count(struct af_index *index)
{
    af_mutex_lock(&index->lock);
    uint32_t count = index->names.count;
    af_mutex_unlock(&index->lock);
    return count;
}

/* --- hiding --------------------------------------------------------------------------------------------------------------------- */

void index_set_hidden(struct af_index *index, uint32_t id, bool hidden)
{
    struct index_entry *entry = index_entry(index, id);
    uint32_t flags = atomic_load_explicit(&entry->flags, memory_order_relaxed);
    if (((flags & INDEX_HIDDEN) != 0) == hidden)
        return;
    atomic_store_explicit(&entry->flags, (flags ^ INDEX_HIDDEN) | INDEX_CHANGED, memory_order_relaxed);
    if (hidden) {
        index->measurements[entry->measurement]->live--;
        index->live--;
        atomic_fetch_add(&index->hidden, 1);
        atomic_fetch_add(&index->hides, 1);
    } else {
        index->measurements[entry->measurement]->live++;
        index->live++;
        atomic_fetch_sub(&index->hidden, 1);
    }
}

void af_index_hide(struct af_index *index, uint32_t id)
{
    af_mutex_lock(&index->lock);
    index_set_hidden(index, id, true);
    af_mutex_unlock(&index->lock);
}

void af_index_show(struct af_index *index, const uint32_t *ids, size_t count)
{
    if (atomic_load(&index->hidden) == 0)
        return;
    af_mutex_lock(&index->lock);
    for (size_t i = 0; i < count; i++)
        if (ids[i] != AF_INDEX_NONE)
            index_set_hidden(index, ids[i], false);
    af_mutex_unlock(&index->lock);
}

uint64_t af_index_count(struct af_index *index)
{
    af_mutex_lock(&index->lock);
    uint64_t live = index->live;
    af_mutex_unlock(&index->lock);
    return live;
}

uint64_t af_index_bytes(struct af_index *index)
{
    af_mutex_lock(&index->tags_lock);
    af_mutex_lock(&index->lock);
    uint64_t bytes = sizeof *index + index->chunk_bytes + index_names_bytes(&index->names);
    bytes += index->slots != NULL ? ((uint64_t)index->slot_mask + 1) * sizeof *index->slots : 0;
    bytes += index->measurement_cap * sizeof *index->measurements;
    for (int i = 0; i < INDEX_SEGMENTS && index->segments[i] != NULL; i++)
        bytes += (uint64_t)(INDEX_SEGMENT_FIRST << i) * sizeof(struct index_entry);
    for (uint32_t i = 0; i < index->names.count; i++) {
        const struct index_measurement *measurement = index->measurements[i];
        bytes += sizeof *measurement + ((uint64_t)measurement->cap + measurement->sorted_cap) * sizeof(uint32_t);
        bytes += index_tags_bytes(measurement->tags);
    }
    af_mutex_unlock(&index->lock);
    af_mutex_unlock(&index->tags_lock);
    return bytes;
}

/* --- opening -------------------------------------------------------------------------------------------------------------------- */

enum af_status af_index_open(const char *path, struct af_index **out, struct af_error *err)
{
    static _Atomic uint64_t last_serial;
    struct af_index *index = af_alloc_zero(1, sizeof *index);
    if (index == NULL)
        return af_fail_nomem(err, "the series index");
    af_mutex_init(&index->lock);
    af_mutex_init(&index->tags_lock);
    af_mutex_init(&index->file_lock);
    index->serial = atomic_fetch_add(&last_serial, 1) + 1;
    size_t path_len = strlen(path);
    index->path = af_alloc(path_len + 1);
    enum af_status status = index->path != NULL ? AF_OK : af_fail_nomem(err, "the series index");
    if (status == AF_OK) {
        memcpy(index->path, path, path_len + 1);
        af_mutex_lock(&index->lock);
        status = index_load(index, err);
        af_mutex_unlock(&index->lock);
    }
    if (status != AF_OK) {
        af_index_close(index);
        return status;
    }
    *out = index;
    return AF_OK;
}

static void free_measurements(struct af_index *index)
{
    for (uint32_t i = 0; i < index->names.count; i++) {
        af_free(index->measurements[i]->ids);
        af_free(index->measurements[i]->sorted);
        index_tags_free(index->measurements[i]->tags);
        af_free(index->measurements[i]);
    }
    af_free(index->measurements);
    index_names_done(&index->names);
}

void af_index_close(struct af_index *index)
{
    if (index == NULL)
        return;
    free_measurements(index);
    for (int i = 0; i < INDEX_SEGMENTS; i++)
        af_free(index->segments[i]);
    while (index->chunks != NULL) {
        struct index_chunk *next = index->chunks->next;
        af_free(index->chunks);
        index->chunks = next;
    }
    af_free(index->slots);
    af_file_close(index->file);
    af_free(index->path);
    af_mutex_done(&index->file_lock);
    af_mutex_done(&index->tags_lock);
    af_mutex_done(&index->lock);
    af_free(index);
}

bool af_index_is_torn(const struct af_index *index)
{
    return index->is_torn;
}
