/*
 * index_resolve.c - the rows of points to series ids.
 *
 * Points name their series by ids of a series set. A memo remembers, for the sets a thread has used last, which id of the index each
 * of them is; a row whose series is known costs two loads. Others are looked up in groups, by the hashes the set has already.
 *
 *     row --> id of the set --> memo.map[id] --> id of the index
 *
 * A memo forgets everything when something was hidden since: whoever writes to a hidden series must pass through the index.
 */
#include "base/alloc.h"
#include "tsm/index_int.h"

enum { SETS = 4 }; /* a parser's set for each bucket that one thread writes to in turn */

struct memo_set {
    uint64_t index_serial; /* 0: unused */
    uint64_t generation;
    uint32_t hides;
    uint32_t *map;         /* by id of the set; AF_INDEX_NONE: not known yet */
    uint32_t count, cap;
};
struct af_tsm_series_memo {
    struct memo_set sets[SETS];
    uint32_t next;         /* the one that is given up for another set */
};

enum { PENDING = AF_INDEX_NONE - 1u }; /* in a map, while it is being looked up */

struct af_tsm_series_memo *af_tsm_series_memo_new(void)
{
    return af_alloc_zero(1, sizeof(struct af_tsm_series_memo));
}

void af_tsm_series_memo_free(struct af_tsm_series_memo *memo)
{
    if (memo == NULL)
        return;
    for (int i = 0; i < SETS; i++)
        af_free(memo->sets[i].map);
    af_free(memo);
}

static struct memo_set *find_set(struct af_tsm_series_memo *memo, uint64_t serial, uint64_t generation)
{
    for (int i = 0; i < SETS; i++)
        if (memo->sets[i].index_serial == serial && memo->sets[i].generation == generation)
            return &memo->sets[i];
    struct memo_set *set = &memo->sets[memo->next++ % SETS];
    set->index_serial = serial;
    set->generation = generation;
    set->count = 0;
    return set;
}

/* The map for `points`, large enough for all ids of its set. */
static enum af_status prepare(struct af_tsm_series_memo *memo, const struct af_index *index, const struct af_points *points,
                              struct memo_set **out, struct af_error *err)
{
    struct memo_set *set = find_set(memo, index->serial, points->set->generation);
    uint32_t hides = atomic_load(&index->hides);
    if (set->hides != hides) {
        set->hides = hides;
        set->count = 0;
    }
    uint32_t need = points->set->keys.count;
    if (need > set->cap) {
        uint32_t cap = need + need / 2;
        uint32_t *map = af_realloc(set->map, cap * sizeof *map);
        if (map == NULL)
            return af_fail_nomem(err, "the series of a write");
        set->map = map;
        set->cap = cap;
    }
    if (need > set->count) {
        memset(set->map + set->count, 0xff, (need - set->count) * sizeof *set->map);
        set->count = need;
    }
    *out = set;
    return AF_OK;
}

/* Ids of the set that are not known, each once. */
static size_t list_unknown(const struct af_points *points, uint32_t *map, uint32_t *out)
{
    size_t count = 0;
    for (size_t row = 0; row < points->row_count; row++) {
        uint32_t id = points->series[row];
        if (id == UINT32_MAX || map[id] != AF_INDEX_NONE)
            continue;
        map[id] = PENDING;
        out[count++] = id;
    }
    return count;
}

/* What the set has of the next group is as far away as what the index has. */
static void prefetch_keys(const struct af_intern *keys, const uint32_t *todo, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(&keys->keys[todo[i]]);
        __builtin_prefetch(&keys->hashes[todo[i]]);
    }
}

static enum af_status look_up(struct af_index *index, const struct af_intern *keys, const uint32_t *todo, size_t count, uint32_t *map,
                              struct af_error *err)
{
    enum af_status status = AF_OK;
    prefetch_keys(keys, todo, count < INDEX_GROUP ? count : INDEX_GROUP);
    af_mutex_lock(&index->lock);
    for (size_t i = 0; i < count && status == AF_OK; i += INDEX_GROUP) {
        struct af_slice group[INDEX_GROUP];
        uint64_t hashes[INDEX_GROUP];
        uint32_t ids[INDEX_GROUP];
        size_t n = count - i < INDEX_GROUP ? count - i : INDEX_GROUP, done;
        size_t after = count - i - n;
        prefetch_keys(keys, todo + i + n, after < INDEX_GROUP ? after : INDEX_GROUP);
        for (size_t k = 0; k < n; k++) {
            group[k] = keys->keys[todo[i + k]];
            hashes[k] = keys->hashes[todo[i + k]];
        }
        status = index_add_group(index, group, hashes, n, ids, &done, err);
        for (size_t k = 0; k < done; k++)
            map[todo[i + k]] = ids[k];
    }
    af_mutex_unlock(&index->lock);
    for (size_t i = 0; i < count; i++)
        if (map[todo[i]] == PENDING)
            map[todo[i]] = AF_INDEX_NONE;
    return status;
}

static bool fill(const struct af_points *points, const uint32_t *map, uint32_t *ids)
{
    uint32_t unknown = 0;
    for (size_t row = 0; row < points->row_count; row++) {
        uint32_t id = points->series[row];
        ids[row] = id != UINT32_MAX ? map[id] : AF_INDEX_NONE;
        unknown |= (id != UINT32_MAX) & (ids[row] == AF_INDEX_NONE);
    }
    return unknown == 0;
}

static enum af_status resolve(struct af_index *index, const struct af_points *points, struct af_tsm_series_memo *memo,
                              struct af_arena *arena, uint32_t **out_ids, struct af_error *err)
{
    struct memo_set *set = NULL;
    AF_TRY(prepare(memo, index, points, &set, err));
    uint32_t *ids = af_arena_array(arena, points->row_count, sizeof *ids);
    if (ids == NULL)
        return af_arena_fail(arena, points->row_count * sizeof *ids, "the series of a write", err);
    if (!fill(points, set->map, ids)) {
        uint32_t *todo = af_arena_array(arena, points->row_count, sizeof *todo);
        if (todo == NULL)
            return af_arena_fail(arena, points->row_count * sizeof *todo, "the series of a write", err);
        size_t count = list_unknown(points, set->map, todo);
        AF_TRY(look_up(index, &points->set->keys, todo, count, set->map, err));
        fill(points, set->map, ids);
    }
    *out_ids = ids;
    return AF_OK;
}

enum af_status af_index_resolve(struct af_index *index, const struct af_points *points, struct af_tsm_series_memo *memo,
                                struct af_arena *arena, uint32_t **out_ids, struct af_error *err)
{
    struct af_tsm_series_memo once = { 0 };
    if (memo != NULL)
        return resolve(index, points, memo, arena, out_ids, err);
    enum af_status status = resolve(index, points, &once, arena, out_ids, err);
    af_free(once.sets[0].map);
    return status;
}
