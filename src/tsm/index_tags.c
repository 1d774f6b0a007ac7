/*
 * index_tags.c - series by their tags: select, tag keys, tag values.
 *
 * For each tag key of a measurement a column, made when first asked for and extended when series have come since:
 *
 *     places  0 1 2 5 6 ...    the series that have the tag, by place in the measurement (order of arrival)
 *     codes   0 0 1 2 0 ...    which of the key's values
 *     values  "hydro" "wind" ...
 *
 * So memory is eight bytes for each tag of each series and one entry for each value, however the tags are spread. A test of a
 * predicate runs through one column and makes a bitmap of places; and, or, not work on bitmaps. A million series take about a
 * millisecond a test, and nothing has to be kept in order.
 *
 * Select works on copies of a measurement's ids and order, so writers wait for two memcpy only.
 */
#include "base/alloc.h"
#include "base/regex.h"
#include "tsm/index_int.h"
#include <stdlib.h>

enum { DEPTH_MAX = 64, FEW_OF = 16, LITERALS_MAX = 16 };

void index_tags_free(struct index_tags *tags)
{
    if (tags == NULL)
        return;
    for (uint32_t i = 0; i < tags->keys.count; i++) {
        index_names_done(&tags->tags[i].values);
        af_free(tags->tags[i].places);
        af_free(tags->tags[i].codes);
        af_free(tags->tags[i].sorted);
    }
    index_names_done(&tags->keys);
    af_free(tags->tags);
    af_arena_done(&tags->texts);
    af_free(tags);
}

size_t index_tags_bytes(const struct index_tags *tags)
{
    if (tags == NULL)
        return 0;
    size_t bytes = sizeof *tags + index_names_bytes(&tags->keys) + tags->tag_cap * sizeof *tags->tags + tags->texts.bytes_used;
    for (uint32_t i = 0; i < tags->keys.count; i++)
        bytes += index_names_bytes(&tags->tags[i].values) + (size_t)tags->tags[i].cap * 8 +
                 (size_t)tags->tags[i].sorted_count * sizeof(uint32_t);
    return bytes;
}

/* --- building ----------------------------------------------------------------------------------------------------------------- */

static bool find_or_add(struct index_tags *tags, struct index_names *names, struct af_slice raw, struct af_buf *scratch, uint32_t *out)
{
    struct af_slice text = af_key_unescape(raw, scratch);
    if (scratch->failed)
        return false;
    *out = index_names_find(names, text);
    if (*out != AF_INDEX_NONE)
        return true;
    if (text.ptr != raw.ptr) {
        text.ptr = af_arena_copy(&tags->texts, text);
        if (text.ptr == NULL)
            return false;
    }
    return index_names_add(names, text, out);
}

static struct index_tag *find_or_add_tag(struct index_tags *tags, struct af_slice raw, struct af_buf *scratch)
{
    uint32_t number;
    if (tags->keys.count == tags->tag_cap) {
        uint32_t cap = tags->tag_cap == 0 ? 4 : tags->tag_cap * 2;
        struct index_tag *grown = af_realloc(tags->tags, cap * sizeof *grown);
        if (grown == NULL)
            return NULL;
        memset(grown + tags->tag_cap, 0, (cap - tags->tag_cap) * sizeof *grown);
        tags->tags = grown;
        tags->tag_cap = cap;
    }
    return find_or_add(tags, &tags->keys, raw, scratch, &number) ? &tags->tags[number] : NULL;
}

static bool grow(uint32_t **array, uint32_t cap)
{
    uint32_t *grown = af_realloc(*array, cap * sizeof *grown);
    if (grown == NULL)
        return false;
    *array = grown;
    return true;
}

static bool add_tag(struct index_tags *tags, uint32_t place, struct af_slice key_raw, struct af_slice value_raw, struct af_buf *scratch)
{
    uint32_t code;
    struct index_tag *tag = find_or_add_tag(tags, key_raw, scratch);
    if (tag == NULL || !find_or_add(tags, &tag->values, value_raw, scratch, &code))
        return false;
    if (tag->count > 0 && tag->places[tag->count - 1] == place)
        return true; /* an earlier try ran out of memory behind this tag */
    if (tag->count == tag->cap) {
        uint32_t cap = tag->cap < 8 ? tag->cap + 4 : tag->cap + tag->cap / 2;
        if (!grow(&tag->places, cap) || !grow(&tag->codes, cap))
            return false;
        tag->cap = cap;
    }
    tag->places[tag->count] = place;
    tag->codes[tag->count++] = code;
    return true;
}

static bool add_series(struct index_tags *tags, uint32_t place, struct af_slice key, struct af_buf *scratch)
{
    size_t at = 0;
    struct af_slice tag, value;
    while (af_key_next_tag(key, &at, &tag, &value))
        if (value.len != 0 && !add_tag(tags, place, tag, value, scratch))
            return false;
    return true;
}

enum af_status index_tags_build(struct af_index *index, struct index_measurement *measurement, const uint32_t *ids, uint32_t count,
                            struct af_error *err)
{
    struct index_tags *tags = measurement->tags;
    if (tags == NULL) {
        tags = measurement->tags = af_alloc_zero(1, sizeof *tags);
        if (tags == NULL)
            return af_fail_nomem(err, "the tags of a measurement");
        af_arena_init(&tags->texts, SIZE_MAX);
    }
    struct af_buf scratch;
    af_buf_init(&scratch, SIZE_MAX);
    bool is_ok = true;
    for (; is_ok && tags->built < count; tags->built += is_ok)
        is_ok = add_series(tags, tags->built, index_key(index, ids[tags->built]), &scratch);
    af_buf_done(&scratch);
    return is_ok ? AF_OK : af_fail_nomem(err, "the tags of a measurement");
}

/* --- predicates as bitmaps ------------------------------------------------------------------------------------------------------ */

struct match {
    const struct index_tags *tags;
    uint32_t count;              /* of places */
    size_t words;
    struct af_arena *arena;
    uint64_t *spare[DEPTH_MAX];  /* one bitmap for each depth, made when needed */
};

static void fill_bits(const struct match *match, uint64_t *bits, bool value)
{
    memset(bits, value ? 0xff : 0, match->words * sizeof *bits);
}

/* Set (or clear) the bits of the series that have the tag with this value; code AF_INDEX_NONE: with any. */
static void mark(const struct match *match, const struct index_tag *tag, uint32_t code, uint64_t *bits, bool value)
{
    for (uint32_t i = 0; i < tag->count && tag->places[i] < match->count; i++) {
        uint32_t place = tag->places[i];
        uint64_t hit = (uint64_t)(code == AF_INDEX_NONE || tag->codes[i] == code) << place % 64;
        if (value)
            bits[place / 64] |= hit;
        else
            bits[place / 64] &= ~hit;
    }
}

static void match_equal(const struct match *match, const struct af_predicate *predicate, uint64_t *bits)
{
    bool is_absent = predicate->value.len == 0;
    fill_bits(match, bits, is_absent);
    uint32_t number = index_names_find(&match->tags->keys, predicate->tag);
    if (number == AF_INDEX_NONE)
        return;
    const struct index_tag *tag = &match->tags->tags[number];
    uint32_t code = is_absent ? AF_INDEX_NONE : index_names_find(&tag->values, predicate->value);
    if (is_absent || code != AF_INDEX_NONE)
        mark(match, tag, code, bits, !is_absent);
}

static bool is_match(const struct af_regex *regex, struct af_slice text)
{
    bool hit;
    return af_regex_match(regex, text, &hit, NULL) == AF_OK && hit;
}

/* Which of the tag's values match: each is tried once, or what can match is looked up. */
static void match_values(const struct index_names *values, const struct af_regex *regex, uint64_t *hits)
{
    struct af_slice literals[LITERALS_MAX];
    size_t count = af_regex_literals(regex, literals, LITERALS_MAX);
    for (size_t i = 0; i < count; i++) {
        uint32_t code = index_names_find(values, literals[i]);
        if (code != AF_INDEX_NONE)
            af_bit_set(hits, code);
    }
    for (uint32_t code = 0; count == 0 && code < values->count; code++)
        if (is_match(regex, index_names_get(values, code)))
            af_bit_set(hits, code);
}

/* Series without the tag have the empty text there. */
static enum af_status match_regex(const struct match *match, const struct af_predicate *predicate, uint64_t *bits, struct af_error *err)
{
    fill_bits(match, bits, is_match(predicate->regex, AF_SLICE_LIT("")));
    uint32_t number = index_names_find(&match->tags->keys, predicate->tag);
    if (number == AF_INDEX_NONE)
        return AF_OK;
    const struct index_tag *tag = &match->tags->tags[number];
    uint64_t *hits = af_bits_new(match->arena, tag->values.count, false);
    if (hits == NULL)
        return af_arena_fail(match->arena, tag->values.count / 8, "the series that match", err);
    match_values(&tag->values, predicate->regex, hits);
    for (uint32_t i = 0; i < tag->count && tag->places[i] < match->count; i++) {
        uint32_t place = tag->places[i];
        uint64_t bit = UINT64_C(1) << place % 64;
        bits[place / 64] = af_bit_get(hits, tag->codes[i]) ? bits[place / 64] | bit : bits[place / 64] & ~bit;
    }
    return AF_OK;
}

static void invert(const struct match *match, uint64_t *bits)
{
    for (size_t i = 0; i < match->words; i++)
        bits[i] = ~bits[i];
}

static enum af_status run(struct match *match, const struct af_predicate *predicate, size_t depth, uint64_t *bits, struct af_error *err);

static enum af_status run_items(struct match *match, const struct af_predicate *predicate, size_t depth, uint64_t *bits, // NOLINT
                                struct af_error *err)
{
    bool is_and = predicate->op != AF_PREDICATE_OR;
    if (depth == DEPTH_MAX)
        return af_fail(err, AF_ELIMIT, "a condition on tags that is nested deeper than %d", DEPTH_MAX);
    if (match->spare[depth] == NULL)
        match->spare[depth] = af_bits_new(match->arena, match->words * 64, false);
    if (match->spare[depth] == NULL)
        return af_arena_fail(match->arena, match->words * 8, "the series that match", err);
    fill_bits(match, bits, is_and);
    for (size_t i = 0; i < predicate->item_count; i++) {
        uint64_t *item = match->spare[depth];
        AF_TRY(run(match, predicate->items[i], depth + 1, item, err));
        for (size_t w = 0; w < match->words; w++)
            bits[w] = is_and ? bits[w] & item[w] : bits[w] | item[w];
    }
    return AF_OK;
}

static enum af_status run(struct match *match, const struct af_predicate *predicate, size_t depth, uint64_t *bits, // NOLINT
                          struct af_error *err)
{
    if (predicate->op == AF_PREDICATE_EQUAL || predicate->op == AF_PREDICATE_NOT_EQUAL)
        match_equal(match, predicate, bits);
    else if (predicate->op == AF_PREDICATE_MATCH || predicate->op == AF_PREDICATE_NOT_MATCH)
        AF_TRY(match_regex(match, predicate, bits, err));
    else
        AF_TRY(run_items(match, predicate, depth, bits, err));
    if (predicate->op == AF_PREDICATE_NOT || predicate->op == AF_PREDICATE_NOT_EQUAL || predicate->op == AF_PREDICATE_NOT_MATCH)
        invert(match, bits);
    return AF_OK;
}

/* Under tags_lock, built. */
static enum af_status match_places(const struct index_tags *tags, uint32_t count, const struct af_predicate *predicate,
                                   struct af_arena *arena, uint64_t **out, struct af_error *err)
{
    struct match match = { .tags = tags, .count = count, .words = af_bit_words(count), .arena = arena };
    uint64_t *bits = af_bits_new(arena, count, true);
    if (bits == NULL)
        return af_arena_fail(arena, match.words * 8, "the series that match", err);
    if (predicate != NULL)
        AF_TRY(run(&match, predicate, 0, bits, err));
    if (count % 64 != 0)
        bits[match.words - 1] &= (UINT64_C(1) << count % 64) - 1;
    *out = bits;
    return AF_OK;
}

enum af_status index_tags_match(struct af_index *index, struct index_measurement *measurement, const uint32_t *ids, uint32_t count,
                                const struct af_predicate *predicate, struct af_arena *arena, uint64_t **out, struct af_error *err)
{
    af_mutex_lock(&index->tags_lock);
    enum af_status status = index_tags_build(index, measurement, ids, count, err);
    if (status == AF_OK)
        status = match_places(measurement->tags, count, predicate, arena, out, err);
    af_mutex_unlock(&index->tags_lock);
    return status;
}

/* --- select ------------------------------------------------------------------------------------------------------------------------ */

/* What a measurement has now, in `arena`. */
struct places {
    struct index_measurement *measurement;
    uint32_t *ids;    /* by place */
    uint32_t *sorted; /* places; the first `sorted_count` in order, the others in order of arrival */
    uint32_t count, sorted_count;
};

static enum af_status copy_places(struct af_index *index, uint32_t number, struct af_arena *arena, struct places *out,
                                  struct af_error *err)
{
    *out = (struct places){ 0 };
    af_mutex_lock(&index->lock);
    if (number < index->names.count) {
        const struct index_measurement *measurement = out->measurement = index->measurements[number];
        out->count = measurement->count;
        out->ids = af_arena_array(arena, out->count, sizeof *out->ids);
        if (out->ids != NULL && out->count != 0)
            memcpy(out->ids, measurement->ids, out->count * sizeof *out->ids);
    }
    af_mutex_unlock(&index->lock);
    if (out->measurement != NULL && out->ids == NULL)
        return af_arena_fail(arena, out->count * sizeof *out->ids, "the series of a measurement", err);
    return AF_OK;
}

enum af_status index_tags_ready(struct af_index *index, uint32_t measurement, struct af_arena *arena, struct af_error *err)
{
    struct places places;
    AF_TRY(copy_places(index, measurement, arena, &places, err));
    if (places.count == 0)
        return AF_OK;
    af_mutex_lock(&index->tags_lock);
    enum af_status status = index_tags_build(index, places.measurement, places.ids, places.count, err);
    af_mutex_unlock(&index->tags_lock);
    return status;
}

/* And their order, as far as it is known. What came after copy_places is left out. */
static enum af_status copy_order(struct af_index *index, struct places *places, struct af_arena *arena, struct af_error *err)
{
    uint32_t *sorted = places->sorted = af_arena_array(arena, places->count, sizeof *sorted);
    if (sorted == NULL)
        return af_arena_fail(arena, places->count * sizeof *sorted, "the series of a measurement", err);
    af_mutex_lock(&index->lock);
    const struct index_measurement *measurement = places->measurement;
    for (uint32_t i = 0; i < measurement->sorted_count; i++) {
        sorted[places->sorted_count] = measurement->sorted[i];
        places->sorted_count += measurement->sorted[i] < places->count;
        if (places->sorted_count == places->count)
            break;
    }
    af_mutex_unlock(&index->lock);
    for (uint32_t place = places->sorted_count; place < places->count; place++)
        sorted[place] = place;
    return AF_OK;
}

/* Let the measurement have the order that was found, unless it has a better one by now. Without memory it is sorted again next time. */
static void keep_order(struct af_index *index, const struct places *places)
{
    struct index_measurement *measurement = places->measurement;
    af_mutex_lock(&index->lock);
    if (measurement->sorted_count < places->count) {
        uint32_t cap = places->count > measurement->sorted_cap ? measurement->cap : measurement->sorted_cap;
        if (cap == measurement->sorted_cap || grow(&measurement->sorted, cap)) {
            measurement->sorted_cap = cap;
            memcpy(measurement->sorted, places->sorted, places->count * sizeof *places->sorted);
            measurement->sorted_count = places->count;
        }
    }
    af_mutex_unlock(&index->lock);
}

static enum af_status order(struct af_index *index, struct places *places, struct af_error *err)
{
    if (places->sorted_count == places->count)
        return AF_OK;
    if (!index_sort_tail(index, places->ids, places->sorted, places->sorted_count, places->count))
        return af_fail_nomem(err, "the order of the series");
    keep_order(index, places);
    return AF_OK;
}

/* Matches that are few are cheaper to sort than to pick out of the order of all. */
static enum af_status select_few(struct af_index *index, const struct places *places, const uint64_t *bits, size_t matches,
                                 struct af_arena *arena, uint32_t **out_ids, size_t *out_count, struct af_error *err)
{
    uint32_t *list = af_arena_array(arena, matches, sizeof *list);
    size_t count = 0;
    if (list == NULL)
        return af_arena_fail(arena, matches * sizeof *list, "the series that match", err);
    for (uint32_t word = 0; word < af_bit_words(places->count); word++)
        for (uint64_t left = bits[word]; left != 0; left &= left - 1) {
            list[count] = word * 64 + (uint32_t)__builtin_ctzll(left);
            count += !index_is_hidden(index, places->ids[list[count]]);
        }
    if (count > 1 && !index_sort(index, places->ids, list, count))
        return af_fail_nomem(err, "the order of the series");
    for (size_t i = 0; i < count; i++)
        list[i] = places->ids[list[i]];
    *out_ids = list;
    *out_count = count;
    return AF_OK;
}

static enum af_status select_many(struct af_index *index, struct places *places, const uint64_t *bits, struct af_arena *arena,
                                  uint32_t **out_ids, size_t *out_count, struct af_error *err)
{
    AF_TRY(copy_order(index, places, arena, err));
    AF_TRY(order(index, places, err));
    bool some_hidden = atomic_load(&index->hidden) != 0;
    size_t count = 0;
    for (uint32_t i = 0; i < places->count; i++) {
        uint32_t place = places->sorted[i];
        uint32_t id = places->ids[place];
        places->sorted[count] = id; /* never before it was read */
        count += (bits == NULL || af_bit_get(bits, place)) && !(some_hidden && index_is_hidden(index, id));
    }
    *out_ids = places->sorted;
    *out_count = count;
    return AF_OK;
}

static enum af_status select_one(struct af_index *index, uint32_t number, const struct af_predicate *predicate, struct af_arena *arena,
                                 uint32_t **out_ids, size_t *out_count, struct af_error *err)
{
    struct places places;
    uint64_t *bits = NULL;
    *out_count = 0;
    AF_TRY(copy_places(index, number, arena, &places, err));
    if (places.count == 0)
        return AF_OK;
    if (predicate == NULL)
        return select_many(index, &places, NULL, arena, out_ids, out_count, err);
    AF_TRY(index_tags_match(index, places.measurement, places.ids, places.count, predicate, arena, &bits, err));
    size_t matches = af_bits_count(bits, places.count);
    if (matches < places.count / FEW_OF)
        return select_few(index, &places, bits, matches, arena, out_ids, out_count, err);
    return select_many(index, &places, bits, arena, out_ids, out_count, err);
}

/* Keys of several measurements do not follow each other: "m!" comes before "m,a=b". */
static enum af_status select_all(struct af_index *index, const struct af_predicate *predicate, struct af_arena *arena, uint32_t **out_ids,
                                 size_t *out_count, struct af_error *err)
{
    uint32_t measurements = af_index_measurement_count(index);
    uint32_t **lists = af_arena_zero(arena, measurements, sizeof *lists);
    size_t *counts = af_arena_zero(arena, measurements, sizeof *counts);
    size_t total = 0;
    if (lists == NULL || counts == NULL)
        return af_arena_fail(arena, measurements * sizeof *lists, "the series of a bucket", err);
    for (uint32_t i = 0; i < measurements; i++) {
        AF_TRY(select_one(index, i, predicate, arena, &lists[i], &counts[i], err));
        total += counts[i];
    }
    uint32_t *ids = af_arena_array(arena, total, sizeof *ids);
    uint32_t *places = af_arena_array(arena, total, sizeof *places);
    if (ids == NULL || places == NULL)
        return af_arena_fail(arena, total * sizeof *ids, "the series of a bucket", err);
    for (uint32_t i = 0, at = 0; i < measurements; at += (uint32_t)counts[i], i++)
        if (counts[i] != 0)
            memcpy(ids + at, lists[i], counts[i] * sizeof *ids);
    for (uint32_t i = 0; i < total; i++)
        places[i] = i;
    if (measurements > 1 && !index_sort(index, ids, places, total))
        return af_fail_nomem(err, "the order of the series");
    for (size_t i = 0; i < total; i++)
        places[i] = ids[places[i]];
    *out_ids = places;
    *out_count = total;
    return AF_OK;
}

enum af_status af_index_select(struct af_index *index, uint32_t measurement, const struct af_predicate *predicate, struct af_arena *arena,
                               uint32_t **out_ids, size_t *out_count, struct af_error *err)
{
    if (measurement == AF_INDEX_NONE)
        return select_all(index, predicate, arena, out_ids, out_count, err);
    return select_one(index, measurement, predicate, arena, out_ids, out_count, err);
}

/* --- counts ------------------------------------------------------------------------------------------------------------------------- */

static enum af_status count_matching(struct af_index *index, uint32_t number, const struct af_predicate *predicate, struct af_arena *arena,
                                     uint64_t *out, struct af_error *err)
{
    struct places places;
    uint64_t *bits;
    AF_TRY(copy_places(index, number, arena, &places, err));
    if (places.count == 0)
        return AF_OK;
    AF_TRY(index_tags_match(index, places.measurement, places.ids, places.count, predicate, arena, &bits, err));
    for (uint32_t place = 0; place < places.count && atomic_load(&index->hidden) != 0; place++)
        if (index_is_hidden(index, places.ids[place]))
            af_bit_clear(bits, place);
    *out += af_bits_count(bits, places.count);
    return AF_OK;
}

static uint32_t live_of(struct af_index *index, uint32_t number)
{
    af_mutex_lock(&index->lock);
    uint32_t live = index->measurements[number]->live;
    af_mutex_unlock(&index->lock);
    return live;
}

enum af_status af_index_counts(struct af_index *index, uint32_t measurement, const struct af_predicate *predicate, struct af_arena *arena,
                               uint64_t *out_measurements, uint64_t *out_series, struct af_error *err)
{
    uint32_t first = measurement == AF_INDEX_NONE ? 0 : measurement;
    uint32_t end = measurement == AF_INDEX_NONE ? af_index_measurement_count(index) : measurement + 1;
    uint64_t measurements = 0, series = 0;
    for (uint32_t i = first; i < end; i++) {
        uint64_t has = 0;
        if (predicate == NULL)
            has = live_of(index, i);
        else
            AF_TRY(count_matching(index, i, predicate, arena, &has, err));
        measurements += has > 0;
        series += has;
    }
    *out_measurements = measurements;
    *out_series = series;
    return AF_OK;
}

/* --- tag keys and values ------------------------------------------------------------------------------------------------------------ */

/* The names whose bit is set, sorted. */
static enum af_status list_names(const struct index_names *names, const uint64_t *bits, struct af_arena *arena, struct af_slice **out,
                                 size_t *out_count, struct af_error *err)
{
    size_t count = 0;
    uint32_t *codes = af_arena_array(arena, names->count, sizeof *codes);
    struct af_slice *list = af_arena_array(arena, af_bits_count(bits, names->count), sizeof *list);
    if (codes == NULL || list == NULL)
        return af_arena_fail(arena, names->count * sizeof *list, "a list of tags", err);
    for (uint32_t i = 0; i < names->count; i++)
        if (af_bit_get(bits, i))
            codes[count++] = i;
    if (!index_names_sort(names, codes, count))
        return af_fail_nomem(err, "a list of tags");
    for (size_t i = 0; i < count; i++)
        list[i] = index_names_get(names, codes[i]);
    *out = list;
    *out_count = count;
    return AF_OK;
}

/* Places [0, count) that are live and match. */
static enum af_status live_places(struct af_index *index, const struct places *places, const struct af_predicate *predicate,
                                  struct af_arena *arena, uint64_t **out, struct af_error *err)
{
    AF_TRY(match_places(places->measurement->tags, places->count, predicate, arena, out, err));
    for (uint32_t place = 0; place < places->count && atomic_load(&index->hidden) != 0; place++)
        if (index_is_hidden(index, places->ids[place]))
            af_bit_clear(*out, place);
    return AF_OK;
}

static bool has_live(const struct index_tag *tag, const uint64_t *live, uint32_t count)
{
    for (uint32_t i = 0; i < tag->count && tag->places[i] < count; i++)
        if (af_bit_get(live, tag->places[i]))
            return true;
    return false;
}

static enum af_status keys_locked(struct af_index *index, const struct places *places, const struct af_predicate *predicate,
                                  struct af_arena *arena, struct af_slice **out, size_t *out_count, struct af_error *err)
{
    uint64_t *live;
    AF_TRY(index_tags_build(index, places->measurement, places->ids, places->count, err));
    AF_TRY(live_places(index, places, predicate, arena, &live, err));
    const struct index_tags *tags = places->measurement->tags;
    uint64_t *used = af_bits_new(arena, tags->keys.count, false);
    if (used == NULL)
        return af_arena_fail(arena, tags->keys.count / 8, "a list of tags", err);
    for (uint32_t i = 0; i < tags->keys.count; i++)
        if (has_live(&tags->tags[i], live, places->count))
            af_bit_set(used, i);
    return list_names(&tags->keys, used, arena, out, out_count, err);
}

enum af_status af_index_tag_keys(struct af_index *index, uint32_t measurement, const struct af_predicate *predicate, struct af_arena *arena,
                                 struct af_slice **out, size_t *out_count, struct af_error *err)
{
    struct places places;
    AF_TRY(copy_places(index, measurement, arena, &places, err));
    *out_count = 0;
    if (places.count == 0)
        return AF_OK;
    af_mutex_lock(&index->tags_lock);
    enum af_status status = keys_locked(index, &places, predicate, arena, out, out_count, err);
    af_mutex_unlock(&index->tags_lock);
    return status;
}

static enum af_status values_locked(struct af_index *index, const struct places *places, struct af_slice name,
                                    const struct af_predicate *predicate, struct af_arena *arena, struct af_slice **out,
                                    size_t *out_count, struct af_error *err)
{
    uint64_t *live;
    AF_TRY(index_tags_build(index, places->measurement, places->ids, places->count, err));
    AF_TRY(live_places(index, places, predicate, arena, &live, err));
    uint32_t number = index_names_find(&places->measurement->tags->keys, name);
    if (number == AF_INDEX_NONE)
        return AF_OK;
    const struct index_tag *tag = &places->measurement->tags->tags[number];
    uint64_t *used = af_bits_new(arena, tag->values.count, false);
    if (used == NULL)
        return af_arena_fail(arena, tag->values.count / 8, "a list of tags", err);
    for (uint32_t i = 0; i < tag->count && tag->places[i] < places->count; i++)
        if (af_bit_get(live, tag->places[i]))
            af_bit_set(used, tag->codes[i]);
    return list_names(&tag->values, used, arena, out, out_count, err);
}

/* Every value that was ever seen, for when no series is hidden: its order is kept, the series are not looked at. */
static enum af_status all_values(struct index_tag *tag, struct af_arena *arena, struct af_slice **out, size_t *out_count,
                                 struct af_error *err)
{
    const uint32_t count = tag->values.count;
    struct af_slice *list = af_arena_array(arena, count, sizeof *list);
    if (list == NULL)
        return af_arena_fail(arena, count * sizeof *list, "a list of tags", err);
    if (tag->sorted_count != count) {
        if (!grow(&tag->sorted, count))
            return af_fail_nomem(err, "a list of tags");
        tag->sorted_count = 0;
        for (uint32_t i = 0; i < count; i++)
            tag->sorted[i] = i;
        if (!index_names_sort(&tag->values, tag->sorted, count))
            return af_fail_nomem(err, "a list of tags");
        tag->sorted_count = count;
    }
    for (uint32_t i = 0; i < count; i++)
        list[i] = index_names_get(&tag->values, tag->sorted[i]);
    *out = list;
    *out_count = count;
    return AF_OK;
}

/* Without a predicate and with nothing hidden, where the columns are up to date. *out_done false: it must be done the long way. */
static enum af_status values_at_once(struct af_index *index, uint32_t measurement, struct af_slice name, struct af_arena *arena,
                                     struct af_slice **out, size_t *out_count, bool *out_done, struct af_error *err)
{
    struct index_tags *tags = NULL;
    af_mutex_lock(&index->lock);
    if (measurement < index->names.count && index->measurements[measurement]->tags != NULL &&
        index->measurements[measurement]->tags->built >= index->measurements[measurement]->count && atomic_load(&index->hidden) == 0)
        tags = index->measurements[measurement]->tags;
    af_mutex_unlock(&index->lock);
    *out_done = tags != NULL;
    uint32_t number = tags != NULL ? index_names_find(&tags->keys, name) : AF_INDEX_NONE;
    return number != AF_INDEX_NONE ? all_values(&tags->tags[number], arena, out, out_count, err) : AF_OK;
}

enum af_status af_index_tag_values(struct af_index *index, uint32_t measurement, struct af_slice tag, const struct af_predicate *predicate,
                                   struct af_arena *arena, struct af_slice **out, size_t *out_count, struct af_error *err)
{
    struct places places;
    bool is_done = false;
    *out_count = 0;
    for (int i = 0; i < 2 && predicate == NULL && !is_done; i++) { /* mostly the columns are there; else they are made, then it works */
        af_mutex_lock(&index->tags_lock);
        enum af_status status = values_at_once(index, measurement, tag, arena, out, out_count, &is_done, err);
        af_mutex_unlock(&index->tags_lock);
        AF_TRY(status);
        if (!is_done && i == 0)
            AF_TRY(index_tags_ready(index, measurement, arena, err));
    }
    if (is_done)
        return AF_OK;
    AF_TRY(copy_places(index, measurement, arena, &places, err));
    if (places.count == 0)
        return AF_OK;
    af_mutex_lock(&index->tags_lock);
    enum af_status status = values_locked(index, &places, tag, predicate, arena, out, out_count, err);
    af_mutex_unlock(&index->tags_lock);
    return status;
}
