/*
 * digest.c - what is remembered of a TSM file: where the blocks of each series and field are, and what their values add up to.
 *
 *     id of the series --> slots --> first entry of the series --> entry | entry | entry      one a field, in order of field
 *                                                                    |
 *                                                    blocks [first, first + count), statistics of each
 *                                                    days   [first, ...)  of the entry, when somebody asked for days
 *
 * A query over many series otherwise reads the file's index and side file anew each time. A digest is made when a query wants a good part
 * of a file's series, and kept with the part. Those of all engines of the process together hold at most AF_TSM_DIGEST_BYTES_MAX: the one
 * that was used longest ago goes first, but none that recent queries used, since a scan over more than fits would only push out what it
 * needs next. Without a digest the same answers come from cursors and af_tsm_stats_get: slower, to the last bit equal.
 *
 * Threads: a digest does not change once it is published, but for its days, which are published by one atomic pointer. References are
 * counted; the part and the list of all hold one together.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "tsm/digest.h"
#include <assert.h>

enum { SERIES_SHARE = 8, KEYS_FEW = 4096, RECENT = 64, DAYS_FIRST = 1024 };

/* --- all of them ---------------------------------------------------------------------------------------------------------- */

/* Under `lock`: the list, most recently used first, and the parts' pointers to their digests. */
static struct {
    struct af_mutex lock;
    struct af_digest *first, *last;
    size_t bytes, bytes_max;
    uint64_t tick;
} all = { .lock = { PTHREAD_MUTEX_INITIALIZER }, .bytes_max = AF_TSM_DIGEST_BYTES_MAX };

static void unlink_locked(struct af_digest *digest)
{
    *(digest->prev != NULL ? &digest->prev->next : &all.first) = digest->next;
    *(digest->next != NULL ? &digest->next->prev : &all.last) = digest->prev;
    digest->prev = digest->next = NULL;
}

static void push_locked(struct af_digest *digest)
{
    digest->next = all.first;
    *(all.first != NULL ? &all.first->prev : &all.last) = digest;
    all.first = digest;
}

static void days_free(struct digest_days *days)
{
    if (days == NULL)
        return;
    af_free(days->first);
    af_free(days->day);
    af_free(days->count);
    af_free(days->sum);
    af_free(days);
}

void af_digest_unref(struct af_digest *digest)
{
    if (digest == NULL || atomic_fetch_sub(&digest->refs, 1) != 1)
        return;
    days_free(atomic_load(&digest->days));
    af_mutex_done(&digest->lock);
    af_arena_done(&digest->arena);
    af_free(digest->first);
    af_free(digest->slots);
    af_free(digest->entries);
    af_free(digest->blocks);
    af_free(digest->stats);
    af_free(digest);
}

/* Out of the list and off its part. The caller drops the reference. */
static void drop_locked(struct af_digest *digest)
{
    unlink_locked(digest);
    all.bytes -= digest->bytes;
    digest->part->digest = NULL;
    digest->part = NULL;
}

void af_digest_forget(struct af_tsm_part *part)
{
    af_mutex_lock(&all.lock);
    struct af_digest *digest = part->digest;
    if (digest != NULL)
        drop_locked(digest);
    af_mutex_unlock(&all.lock);
    af_digest_unref(digest);
}

/* Room for so many bytes more, made where digests have not been used for long. False: there is none. */
static bool make_room_locked(size_t bytes, const struct af_digest *keep)
{
    if (bytes > all.bytes_max)
        return false;
    while (all.bytes > all.bytes_max - bytes) {
        struct af_digest *oldest = all.last;
        if (oldest == NULL || oldest == keep || oldest->used + RECENT > all.tick)
            return false;
        drop_locked(oldest);
        af_digest_unref(oldest);
    }
    return true;
}

static struct af_digest *find_used(struct af_tsm_part *own)
{
    af_mutex_lock(&all.lock);
    struct af_digest *digest = own->digest;
    if (digest != NULL) {
        digest->used = all.tick;
        unlink_locked(digest);
        push_locked(digest);
        atomic_fetch_add(&digest->refs, 1);
    }
    af_mutex_unlock(&all.lock);
    return digest;
}

bool af_digest_is_there(const struct af_tsm_part *part)
{
    af_mutex_lock(&all.lock);
    const bool is = (part->owner != NULL ? part->owner : part)->digest != NULL;
    af_mutex_unlock(&all.lock);
    return is;
}

/* Keep it with the part, if there is room; if another thread was faster, that one's. The caller's reference stays. */
static void publish(struct af_tsm_part *own, struct af_digest *digest)
{
    af_mutex_lock(&all.lock);
    if (own->digest == NULL && make_room_locked(digest->bytes, NULL)) {
        digest->used = all.tick;
        digest->part = own;
        own->digest = digest;
        all.bytes += digest->bytes;
        push_locked(digest);
        atomic_fetch_add(&digest->refs, 1);
    }
    af_mutex_unlock(&all.lock);
}

void af_digest_begin_query(void)
{
    af_mutex_lock(&all.lock);
    all.tick++;
    af_mutex_unlock(&all.lock);
}

void af_digest_limit(size_t bytes_max)
{
    af_mutex_lock(&all.lock);
    all.bytes_max = bytes_max;
    while (all.last != NULL && all.bytes > bytes_max) {
        struct af_digest *oldest = all.last;
        drop_locked(oldest);
        af_digest_unref(oldest);
    }
    af_mutex_unlock(&all.lock);
}

size_t af_digest_bytes(void)
{
    af_mutex_lock(&all.lock);
    size_t bytes = all.bytes;
    af_mutex_unlock(&all.lock);
    return bytes;
}

/* --- making one: entries -------------------------------------------------------------------------------------------------- */

struct maker {
    struct af_digest *digest;
    struct af_tsm_part *part;
    struct af_index *index;
    size_t entry_cap, block_cap;
    struct af_slice series;      /* of the last entry, in the index's memory */
    uint32_t next_field;          /* fields repeat in the same order: the likely one */
};

static size_t size_of(const struct af_tsm_file_info *info)
{
    return info->key_count * (sizeof(struct digest_entry) + 2 * sizeof(struct digest_slot)) +
           info->block_count * (sizeof(struct af_tsm_block_ref) + sizeof(struct af_tsm_stat));
}

/* The number of a field's name; UINT16_MAX: too many, or no memory. */
static uint16_t field_number(struct maker *maker, struct af_slice name)
{
    struct af_digest *digest = maker->digest;
    for (uint32_t i = 0; i < digest->field_count; i++) {
        uint32_t at = (maker->next_field + i) % digest->field_count;
        if (af_slice_eq(digest->fields[at], name)) {
            maker->next_field = at + 1;
            return (uint16_t)at;
        }
    }
    if (digest->field_count == DIGEST_FIELDS_MAX)
        return UINT16_MAX;
    char *copy = af_arena_copy(&digest->arena, name);
    if (copy == NULL)
        return UINT16_MAX;
    digest->fields[digest->field_count] = (struct af_slice){ copy, name.len };
    return (uint16_t)digest->field_count++;
}

static void add_slot(struct af_digest *digest, uint32_t id)
{
    size_t at = id & digest->slot_mask;
    while (digest->slots[at].number != 0)
        at = (at + 1) & digest->slot_mask;
    digest->first[digest->series_count] = digest->entry_count;
    digest->slots[at] = (struct digest_slot){ id, ++digest->series_count };
}

static bool has_overlap(const struct af_tsm_entry *entry)
{
    for (size_t i = 1; i < entry->block_count; i++)
        if (entry->blocks[i].min_ns <= entry->blocks[i - 1].max_ns)
            return true;
    return false;
}

/* False: the digest cannot hold it. */
static bool add_entry(struct maker *maker, const struct af_tsm_entry *entry)
{
    struct af_digest *digest = maker->digest;
    struct af_slice series, field;
    if (digest->entry_count == maker->entry_cap || entry->block_count > maker->block_cap - digest->block_count ||
        !af_tsm_key_split(entry->key, &series, &field))
        return false;
    if (maker->series.ptr == NULL || !af_slice_eq(maker->series, series)) {
        uint32_t id = af_index_find(maker->index, series);
        if (id == AF_INDEX_NONE)
            return false;
        maker->series = af_index_key(maker->index, id);
        add_slot(digest, id);
    }
    const uint16_t number = field_number(maker, field);
    if (number == UINT16_MAX)
        return false;
    digest->entries[digest->entry_count++] = (struct digest_entry){
        .min_ns = entry->blocks[0].min_ns, .max_ns = entry->blocks[entry->block_count - 1].max_ns, .first_block = digest->block_count,
        .key = (uint32_t)entry->number, .block_count = (uint16_t)entry->block_count, .field = number, .type = (uint8_t)entry->type,
        .overlaps = has_overlap(entry),
    };
    digest->has_overlaps = digest->has_overlaps || digest->entries[digest->entry_count - 1].overlaps;
    memcpy(digest->blocks + digest->block_count, entry->blocks, entry->block_count * sizeof *entry->blocks);
    digest->block_count += (uint32_t)entry->block_count;
    digest->first[digest->series_count] = digest->entry_count;
    return true;
}

static bool add_entries(struct maker *maker)
{
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry;
    if (af_tsm_cursor_open(maker->part->file, AF_SLICE_LIT(""), &cursor, NULL) != AF_OK)
        return false;
    bool is_ok = true;
    while (is_ok) {
        is_ok = af_tsm_cursor_next(cursor, &entry, NULL) == AF_OK;
        if (is_ok && entry.key.ptr == NULL)
            break;
        is_ok = is_ok && add_entry(maker, &entry);
    }
    af_tsm_cursor_close(cursor);
    return is_ok;
}

static bool make_arrays(struct maker *maker, const struct af_tsm_file_info *info)
{
    struct af_digest *digest = maker->digest;
    size_t slots = 16;
    while (slots < info->key_count + info->key_count / 2)
        slots *= 2;
    maker->entry_cap = (size_t)info->key_count;
    maker->block_cap = (size_t)info->block_count;
    digest->slot_mask = slots - 1;
    digest->slots = af_alloc_zero(slots, sizeof *digest->slots);
    digest->first = af_alloc((maker->entry_cap + 1) * sizeof *digest->first);
    digest->entries = af_alloc(maker->entry_cap * sizeof *digest->entries);
    digest->blocks = af_alloc(maker->block_cap * sizeof *digest->blocks);
    digest->fields = af_arena_array(&digest->arena, DIGEST_FIELDS_MAX, sizeof *digest->fields);
    return digest->slots != NULL && digest->first != NULL && digest->entries != NULL && digest->blocks != NULL && digest->fields != NULL;
}

/* --- making one: statistics ----------------------------------------------------------------------------------------------- */

/* The side file, whole in memory for as long as all of it is read. */
struct side {
    struct af_buf bytes;
    struct af_tsm_stats *stats; /* NULL: there is none that belongs to the file */
    struct af_arena arena;
};

static void side_close(struct side *side)
{
    af_tsm_stats_close(side->stats);
    af_arena_done(&side->arena);
    af_buf_done(&side->bytes);
}

static bool belongs(const struct af_tsm_stats *stats, const struct af_tsm_file_info *info)
{
    uint64_t tsm_bytes;
    uint32_t crc;
    af_tsm_stats_of(stats, &tsm_bytes, &crc);
    return tsm_bytes == info->bytes && crc == info->index_crc;
}

static void side_load(struct side *side, const struct af_tsm_part *part)
{
    struct af_tsm_file_info info;
    char *path = af_part_side_path(part->path, ".stats");
    *side = (struct side){ 0 };
    af_buf_init(&side->bytes, AF_TSM_DIGEST_BYTES_MAX);
    af_arena_init(&side->arena, SIZE_MAX);
    af_tsm_file_info(part->file, &info);
    if (path != NULL && af_file_read_all(path, &side->bytes, NULL) == AF_OK &&
        af_tsm_stats_open(af_buf_slice(&side->bytes), part->path, &side->stats, NULL) != AF_OK)
        side->stats = NULL;
    if (side->stats != NULL && !belongs(side->stats, &info)) {
        af_tsm_stats_close(side->stats);
        side->stats = NULL;
    }
    af_free(path);
}

/* Of one entry. False: they are damaged, or memory is short. Counts of 0 where there is nothing. */
static bool get(struct side *side, const struct digest_entry *entry, struct af_tsm_stat **out, struct af_tsm_day **out_days,
                size_t *out_day_count)
{
    size_t count;
    af_arena_reset(&side->arena);
    if (af_tsm_stats_get(side->stats, entry->key, &side->arena, out, &count, out_days, out_day_count, NULL) != AF_OK)
        return false;
    if (count != entry->block_count) {
        *out = NULL;
        *out_day_count = 0;
    }
    return true;
}

/* A damaged side file is as good as none. */
static void add_stats(struct af_digest *digest, const struct af_tsm_part *part)
{
    struct side side;
    side_load(&side, part);
    if (side.stats != NULL)
        digest->stats = af_alloc_zero(digest->block_count, sizeof *digest->stats);
    for (uint32_t i = 0; digest->stats != NULL && i < digest->entry_count; i++) {
        struct digest_entry *entry = &digest->entries[i];
        struct af_tsm_stat *stats;
        struct af_tsm_day *days;
        size_t day_count;
        if (!get(&side, entry, &stats, &days, &day_count)) {
            af_free(digest->stats);
            digest->stats = NULL;
        } else if (stats != NULL) {
            memcpy(digest->stats + entry->first_block, stats, entry->block_count * sizeof *stats);
            entry->has_stats = true;
            entry->has_days = day_count > 0;
        }
    }
    for (uint32_t i = 0; digest->stats == NULL && i < digest->entry_count; i++)
        digest->entries[i].has_stats = digest->entries[i].has_days = false;
    side_close(&side);
}

static struct af_digest *digest_new(void)
{
    struct af_digest *digest = af_alloc_zero(1, sizeof *digest);
    if (digest == NULL)
        return NULL;
    atomic_init(&digest->refs, 1);
    atomic_init(&digest->days, NULL);
    af_mutex_init(&digest->lock);
    af_arena_init(&digest->arena, SIZE_MAX);
    return digest;
}

static struct af_digest *make(struct af_tsm_part *part, struct af_tsm_part *own, struct af_index *index)
{
    struct af_tsm_file_info info;
    struct maker maker = { .digest = digest_new(), .part = part, .index = index };
    af_tsm_file_info(part->file, &info);
    if (maker.digest == NULL || !make_arrays(&maker, &info) || !add_entries(&maker)) {
        af_digest_unref(maker.digest);
        return NULL;
    }
    add_stats(maker.digest, own);
    maker.digest->bytes = sizeof *maker.digest + size_of(&info) + DIGEST_FIELDS_MAX * sizeof(struct af_slice);
    return maker.digest;
}

/* Is it worth it: does the query want a good part of the series, or is the file small? */
static bool is_worth_it(const struct af_tsm_file_info *info, size_t series_wanted)
{
    const size_t bytes = size_of(info);
    if (bytes > AF_TSM_DIGEST_BYTES_MAX / 2 || info->key_count > UINT32_MAX || info->block_count > UINT32_MAX)
        return false;
    if (info->key_count > KEYS_FEW && series_wanted < info->key_count / SERIES_SHARE)
        return false;
    af_mutex_lock(&all.lock);
    const bool has_room = make_room_locked(bytes, NULL);
    af_mutex_unlock(&all.lock);
    return has_room;
}

struct af_digest *af_digest_get(struct af_tsm_part *part, struct af_index *index, size_t series_wanted)
{
    struct af_tsm_file_info info;
    struct af_tsm_part *own = part->owner != NULL ? part->owner : part;
    struct af_digest *digest = find_used(own);
    af_tsm_file_info(part->file, &info);
    if (digest != NULL || !is_worth_it(&info, series_wanted))
        return digest;
    digest = make(part, own, index);
    if (digest != NULL)
        publish(own, digest);
    return digest;
}

/* --- days ----------------------------------------------------------------------------------------------------------------- */

static bool grow(struct digest_days *days, size_t *cap, size_t need)
{
    if (need <= *cap)
        return true;
    size_t more = need + need / 2 + DAYS_FIRST;
    int32_t *day = af_realloc(days->day, more * sizeof *day);
    days->day = day != NULL ? day : days->day;
    uint32_t *count = day != NULL ? af_realloc(days->count, more * sizeof *count) : NULL;
    days->count = count != NULL ? count : days->count;
    uint64_t *sum = count != NULL ? af_realloc(days->sum, more * sizeof *sum) : NULL;
    days->sum = sum != NULL ? sum : days->sum;
    *cap = sum != NULL ? more : *cap;
    return sum != NULL;
}

/* NULL: the side file cannot be read, or no memory. */
static struct digest_days *make_days(const struct af_digest *digest, const struct af_tsm_part *own)
{
    struct side side;
    struct digest_days *days = af_alloc_zero(1, sizeof *days);
    size_t used = 0, cap = 0;
    side_load(&side, own);
    if (days != NULL)
        days->first = af_alloc((digest->entry_count + (size_t)1) * sizeof *days->first);
    bool is_ok = days != NULL && days->first != NULL && side.stats != NULL;
    for (uint32_t i = 0; is_ok && i < digest->entry_count; i++) {
        struct af_tsm_stat *stats;
        struct af_tsm_day *list;
        size_t count = 0;
        is_ok = get(&side, &digest->entries[i], &stats, &list, &count) && used + count <= UINT32_MAX && grow(days, &cap, used + count);
        days->first[i] = (uint32_t)used;
        for (size_t d = 0; is_ok && d < count; d++, used++) {
            days->day[used] = (int32_t)list[d].day;
            days->count[used] = list[d].stat.count;
            days->sum[used] = list[d].stat.sum;
        }
    }
    side_close(&side);
    if (!is_ok) {
        days_free(days);
        return NULL;
    }
    days->first[digest->entry_count] = (uint32_t)used;
    days->bytes = sizeof *days + cap * 16 + (digest->entry_count + (size_t)1) * sizeof *days->first;
    return days;
}

/* Counted, if they may stay. A digest that is in no list is about to go, with its days. */
static bool keep_days(struct af_digest *digest, const struct digest_days *days)
{
    af_mutex_lock(&all.lock);
    const bool fits = digest->part == NULL || make_room_locked(days->bytes, digest);
    if (fits && digest->part != NULL) {
        all.bytes += days->bytes;
        digest->bytes += days->bytes;
    }
    af_mutex_unlock(&all.lock);
    return fits;
}

const struct digest_days *af_digest_days(struct af_digest *digest, const struct af_tsm_part *part)
{
    const struct af_tsm_part *own = part->owner != NULL ? part->owner : part;
    struct digest_days *days = atomic_load_explicit(&digest->days, memory_order_acquire);
    if (days != NULL || atomic_load(&digest->has_no_days))
        return days;
    af_mutex_lock(&digest->lock);
    days = atomic_load(&digest->days);
    if (days == NULL && !atomic_load(&digest->has_no_days)) {
        days = make_days(digest, own);
        if (days != NULL && !keep_days(digest, days)) {
            days_free(days);
            days = NULL;
        }
        atomic_store(&digest->has_no_days, days == NULL);
        atomic_store_explicit(&digest->days, days, memory_order_release);
    }
    af_mutex_unlock(&digest->lock);
    return days;
}
