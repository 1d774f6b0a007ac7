/*
 * index_group.c - series by their tags: those that are named, and groups of those that are equal in some tags.
 *
 *     series   region code   plant code        group, tag after tag             in order of the texts
 *     a             1             1       1  ->  (1, 1) = 0                        0 -> 1
 *     b             2             0       2  ->  (2, 0) = 1                        1 -> 0
 *     c             1             1       1  ->  (1, 1) = 0
 *
 * Codes are those of the columns (index_tags.c), plus one: 0 is for series without the tag. Pairs of the group so far and the next tag's
 * code get numbers as they are met, so no text is looked at before there is one of each group left.
 */
#include "base/alloc.h"
#include "tsm/index_int.h"
#include <stdlib.h>

/* --- named series -------------------------------------------------------------------------------------------------------------------- */

enum af_status af_index_pick(struct af_index *index, uint32_t measurement, const struct af_predicate *predicate,
                             const struct af_slice *keys, size_t key_count, struct af_arena *arena, uint32_t **out_ids, size_t *out_count,
                             struct af_error *err)
{
    uint32_t *ids = af_arena_array(arena, key_count, sizeof *ids);
    size_t count = 0;
    if (ids == NULL)
        return af_arena_fail(arena, key_count * sizeof *ids, "the series of a scan", err);
    for (size_t i = 0; i < key_count; i++) {
        uint32_t id = af_index_find(index, keys[i]);
        if (id != AF_INDEX_NONE && index_entry(index, id)->measurement == measurement && !index_is_hidden(index, id) &&
            af_predicate_match(predicate, keys[i]))
            ids[count++] = id;
    }
    *out_ids = ids;
    *out_count = count;
    return AF_OK;
}

/* --- groups ------------------------------------------------------------------------------------------------------------------------- */

struct groups {
    struct af_arena *arena;
    const struct index_measurement *measurement;
    uint32_t *of;         /* by series */
    size_t id_count;
    uint32_t *places;     /* by series */
    uint32_t place_count;
    uint32_t count;       /* of groups */
    uint32_t *codes;      /* by group: one for each tag that is done; stride `tag_count` */
    uint32_t *ranks;      /* the same as ranks of the values */
    size_t tag_count;
};

/* The measurement's ids as they are now; they ascend. */
static enum af_status copy_ids(struct af_index *index, uint32_t number, struct groups *groups, uint32_t **out, struct af_error *err)
{
    af_mutex_lock(&index->lock);
    groups->measurement = index->measurements[number];
    groups->place_count = groups->measurement->count;
    uint32_t *ids = af_arena_array(groups->arena, groups->place_count, sizeof *ids);
    if (ids != NULL)
        memcpy(ids, groups->measurement->ids, groups->place_count * sizeof *ids);
    af_mutex_unlock(&index->lock);
    *out = ids;
    return ids != NULL ? AF_OK : af_arena_fail(groups->arena, groups->place_count * sizeof *ids, "groups of series", err);
}

/* Where the series stand in their measurement. */
static enum af_status find_places(struct af_index *index, uint32_t number, const uint32_t *ids, struct groups *groups, struct af_error *err)
{
    uint32_t *all;
    AF_TRY(copy_ids(index, number, groups, &all, err));
    groups->places = af_arena_array(groups->arena, groups->id_count, sizeof *groups->places);
    groups->of = af_arena_zero(groups->arena, groups->id_count, sizeof *groups->of);
    if (groups->places == NULL || groups->of == NULL)
        return af_arena_fail(groups->arena, groups->id_count * 8, "groups of series", err);
    const bool is_alone = all[groups->place_count - 1] == groups->place_count - 1; /* no other measurement: ids are places */
    for (size_t i = 0; i < groups->id_count; i++) {
        uint32_t low = is_alone ? ids[i] : 0;
        uint32_t high = is_alone ? low : groups->place_count;
        while (low < high) {
            uint32_t mid = low + (high - low) / 2;
            if (all[mid] < ids[i])
                low = mid + 1;
            else
                high = mid;
        }
        groups->places[i] = low;
    }
    return AF_OK;
}

/* Numbers for pairs (group so far, code). */
struct pairs {
    uint64_t *keys;
    uint32_t *numbers; /* number + 1, 0: free */
    size_t mask;
};

static uint32_t number_of(struct pairs *pairs, uint64_t key, uint32_t *count)
{
    size_t at = af_hash_mix(key) & pairs->mask;
    while (pairs->numbers[at] != 0 && pairs->keys[at] != key)
        at = (at + 1) & pairs->mask;
    if (pairs->numbers[at] == 0) {
        pairs->keys[at] = key;
        pairs->numbers[at] = ++*count;
    }
    return pairs->numbers[at] - 1;
}

static bool pairs_new(struct pairs *pairs, size_t id_count, struct af_arena *arena)
{
    size_t size = 16;
    while (size < id_count * 2)
        size *= 2;
    pairs->mask = size - 1;
    pairs->keys = af_arena_array(arena, size, sizeof *pairs->keys);
    pairs->numbers = af_arena_zero(arena, size, sizeof *pairs->numbers);
    return pairs->keys != NULL && pairs->numbers != NULL;
}

/* Codes + 1 by place. */
static uint32_t *spread(const struct index_tag *tag, const struct groups *groups)
{
    uint32_t *by_place = af_arena_zero(groups->arena, groups->place_count, sizeof *by_place);
    for (uint32_t i = 0; by_place != NULL && i < tag->count && tag->places[i] < groups->place_count; i++)
        by_place[tag->places[i]] = tag->codes[i] + 1;
    return by_place;
}

/* Tag number `t` divides the groups further. */
static enum af_status divide(struct groups *groups, const struct index_tag *tag, size_t t, struct af_error *err)
{
    struct pairs pairs;
    uint32_t count = 0;
    uint32_t *by_place = spread(tag, groups);
    uint32_t *codes = af_arena_zero(groups->arena, groups->id_count * groups->tag_count, sizeof *codes);
    if (by_place == NULL || codes == NULL || !pairs_new(&pairs, groups->id_count, groups->arena))
        return af_arena_fail(groups->arena, groups->id_count * 24, "groups of series", err);
    for (size_t i = 0; i < groups->id_count; i++) {
        uint32_t before = groups->of[i], code = by_place[groups->places[i]];
        uint32_t number = number_of(&pairs, (uint64_t)before << 32 | code, &count);
        uint32_t *to = codes + number * groups->tag_count;
        if (t > 0)
            memcpy(to, groups->codes + before * groups->tag_count, t * sizeof *to);
        to[t] = code;
        groups->of[i] = number;
    }
    groups->codes = codes;
    groups->count = count;
    return AF_OK;
}

/* --- in order ----------------------------------------------------------------------------------------------------------------- */

/* Ranks instead of codes of tag number `t`: texts are compared once for each value, not for each pair of groups. */
static enum af_status rank_codes(struct groups *groups, const struct index_tag *tag, size_t t, struct af_error *err)
{
    const uint32_t count = tag->values.count;
    uint32_t *rank = af_arena_zero(groups->arena, count + (size_t)1, sizeof *rank);
    uint32_t *used = af_arena_array(groups->arena, count, sizeof *used);
    size_t used_count = 0;
    if (rank == NULL || used == NULL)
        return af_arena_fail(groups->arena, count * sizeof *rank, "groups of series", err);
    for (uint32_t g = 0; g < groups->count; g++) {
        const uint32_t code = groups->codes[g * groups->tag_count + t];
        if (code != 0 && rank[code] == 0)
            used[used_count++] = code - 1;
        rank[code] = 1;
    }
    const bool is_known = tag->sorted_count == count && count > 0;
    if (!is_known && !index_names_sort(&tag->values, used, used_count))
        return af_fail_nomem(err, "groups of series");
    rank[0] = 0;
    for (uint32_t i = 0; i < (is_known ? count : used_count); i++)
        rank[(is_known ? tag->sorted[i] : used[i]) + 1] = i + 1;
    for (uint32_t g = 0; g < groups->count; g++) {
        const size_t at = g * groups->tag_count + t;
        groups->ranks[at] = rank[groups->codes[at]];
    }
    return AF_OK;
}

struct group {
    const uint32_t *ranks;
    uint32_t tag_count, number;
};

static int by_ranks(const void *a, const void *b)
{
    const struct group *x = a;
    const struct group *y = b;
    for (uint32_t i = 0; i < x->tag_count; i++)
        if (x->ranks[i] != y->ranks[i])
            return x->ranks[i] < y->ranks[i] ? -1 : 1;
    return 0;
}

static enum af_status order_groups(struct groups *groups, const struct index_tag *const *columns, struct af_slice **out_values,
                                   struct af_error *err)
{
    const size_t stride = groups->tag_count;
    struct group *list = af_arena_array(groups->arena, groups->count, sizeof *list);
    struct af_slice *values = af_arena_zero(groups->arena, groups->count * stride, sizeof *values);
    uint32_t *place = af_arena_array(groups->arena, groups->count, sizeof *place);
    bool is_sorted = true;
    if (list == NULL || values == NULL || place == NULL)
        return af_arena_fail(groups->arena, groups->count * sizeof *list, "groups of series", err);
    for (uint32_t g = 0; g < groups->count; g++) {
        list[g] = (struct group){ groups->ranks + g * stride, (uint32_t)stride, g };
        is_sorted = is_sorted && (g == 0 || by_ranks(&list[g - 1], &list[g]) < 0);
    }
    if (!is_sorted)
        qsort(list, groups->count, sizeof *list, by_ranks);
    for (uint32_t g = 0; g < groups->count; g++) {
        place[list[g].number] = g;
        for (size_t t = 0; t < stride; t++) {
            const uint32_t code = groups->codes[list[g].number * stride + t];
            values[g * stride + t] = code != 0 ? index_names_get(&columns[t]->values, code - 1) : AF_SLICE_LIT("");
        }
    }
    for (size_t i = 0; i < groups->id_count; i++)
        groups->of[i] = place[groups->of[i]];
    *out_values = values;
    return AF_OK;
}

static enum af_status group_locked(const struct index_tags *tags, const struct af_slice *names, struct groups *groups,
                                   struct af_slice **out_values, struct af_error *err)
{
    static const struct index_tag nobody_has_it;
    const struct index_tag **columns = af_arena_array(groups->arena, groups->tag_count, sizeof *columns);
    if (columns == NULL)
        return af_arena_fail(groups->arena, groups->tag_count * sizeof *columns, "groups of series", err);
    for (size_t t = 0; t < groups->tag_count; t++) {
        uint32_t number = tags != NULL ? index_names_find(&tags->keys, names[t]) : AF_INDEX_NONE;
        columns[t] = number != AF_INDEX_NONE ? &tags->tags[number] : &nobody_has_it;
        AF_TRY(divide(groups, columns[t], t, err));
    }
    groups->ranks = af_arena_array(groups->arena, groups->count * groups->tag_count, sizeof *groups->ranks);
    if (groups->ranks == NULL)
        return af_arena_fail(groups->arena, groups->count * sizeof *groups->ranks, "groups of series", err);
    for (size_t t = 0; t < groups->tag_count; t++)
        AF_TRY(rank_codes(groups, columns[t], t, err));
    return order_groups(groups, columns, out_values, err);
}

enum af_status af_index_group(struct af_index *index, uint32_t measurement, const uint32_t *ids, size_t id_count,
                              const struct af_slice *tags, size_t tag_count, struct af_arena *arena, uint32_t **out_groups,
                              struct af_slice **out_values, size_t *out_group_count, struct af_error *err)
{
    struct groups groups = { .arena = arena, .id_count = id_count, .count = 1, .tag_count = tag_count };
    *out_values = NULL;
    *out_groups = NULL;
    *out_group_count = 0;
    if (id_count == 0)
        return AF_OK;
    AF_TRY(index_tags_ready(index, measurement, arena, err));
    AF_TRY(find_places(index, measurement, ids, &groups, err));
    if (tag_count > 0) {
        af_mutex_lock(&index->tags_lock);
        enum af_status status = group_locked(groups.measurement->tags, tags, &groups, out_values, err);
        af_mutex_unlock(&index->tags_lock);
        AF_TRY(status);
    }
    *out_groups = groups.of;
    *out_group_count = groups.count;
    return AF_OK;
}
