/*
 * series.c - the series of a scan and the groups they form; see scan_int.h.
 *
 *     cpu,host=a,region=north   --> values of the grouped tags and of the tag columns --> sorted by (group, key), numbered
 *     cpu,host=b,region=north
 *
 * Everything about a series is looked up once here; a row needs no more than its series' number.
 */
#include "exec/scan_int.h"
#include "base/hash.h"
#include "base/intern.h"
#include <stdlib.h>

/* A series while the set is being made. */
struct candidate {
    struct af_slice key;
    const struct af_slice *values;       /* of the grouped tags, then of the tag columns; ptr NULL: it has none */
};
struct maker {
    struct series_set *set;
    struct exec *exec;
    const struct af_node *node;
    const struct af_plan_scan *scan;
    struct af_buf scratch;
    struct mem mem;                      /* until the set is made */
    struct candidate *items;
    size_t cap;
};

static enum af_status fail(const struct mem *mem, size_t bytes, struct af_error *err)
{
    return mem_fail(mem, bytes, err);
}

/* --- keys taken apart ------------------------------------------------------------------------------------------------------------ */

/* Unescaped; in the arena where it had to be written anew. ptr NULL: no memory. */
static struct af_slice unescaped(struct af_slice raw, struct af_buf *scratch, struct af_arena *arena)
{
    struct af_slice text = af_key_unescape(raw, scratch);
    if (scratch->failed)
        return (struct af_slice){ 0 };
    if (text.ptr != raw.ptr)
        text.ptr = af_arena_copy(arena, text);
    return text;
}

static enum af_status take_values(struct maker *m, struct candidate *item, struct af_error *err)
{
    size_t wanted = m->scan->group_count + m->scan->tag_count;
    struct af_slice *values = af_arena_zero(&m->set->mem.arena, wanted, sizeof *values);
    if (values == NULL)
        return fail(&m->set->mem, wanted * sizeof *values, err);
    item->values = values;
    size_t at = 0;
    struct af_slice tag, value;
    while (wanted > 0 && af_key_next_tag(item->key, &at, &tag, &value)) {
        af_buf_clear(&m->scratch);
        struct af_slice name = af_key_unescape(tag, &m->scratch);
        struct af_buf value_scratch;
        af_buf_init(&value_scratch, SIZE_MAX);
        enum af_status status = AF_OK;
        for (size_t i = 0; status == AF_OK && i < wanted; i++) {
            size_t group_count = m->scan->group_count;
            if (!af_slice_eq(name, i < group_count ? m->scan->group[i] : m->scan->tags[i - group_count]))
                continue;
            values[i] = unescaped(value, &value_scratch, &m->set->mem.arena);
            if (values[i].ptr == NULL)
                status = fail(&m->set->mem, value.len, err);
        }
        af_buf_done(&value_scratch);
        AF_TRY(status);
        AF_TRY(af_buf_check(&m->scratch, "the name of a tag", err));
    }
    return AF_OK;
}

static enum af_status add_key(struct maker *m, struct af_slice key, struct af_error *err)
{
    struct series_set *set = m->set;
    struct candidate *items = af_arena_more(&m->mem.arena, m->items, set->count, &m->cap, sizeof *items);
    if (items == NULL)
        return fail(&m->mem, set->count * sizeof *items, err);
    m->items = items;
    char *own = af_arena_copy(&set->mem.arena, key);
    if (own == NULL)
        return fail(&set->mem, key.len, err);
    m->items[set->count] = (struct candidate){ .key = { own, key.len } };
    AF_TRY(take_values(m, &m->items[set->count], err));
    set->count++;
    return AF_OK;
}

static enum af_status add_batch(struct maker *m, const struct af_batch *batch, struct af_error *err)
{
    AF_TRY(exec_poll(m->exec, err));
    AF_TRY(exec_count(m->exec, m->node, 0, batch->row_count, err));
    for (size_t row = 0; row < batch->row_count; row++)
        if (af_column_has(&batch->columns[0], row))
            AF_TRY(add_key(m, af_column_text(&batch->columns[0], row), err));
    AF_TRY(mem_charge(&m->mem, err));
    return mem_charge(&m->set->mem, err);
}

static const struct af_plan_scan *scan_of(const struct af_node *node)
{
    return node->kind == AF_NODE_FOLD ? &node->fold.scan : &node->scan;
}

static enum af_status read_keys(struct maker *m, struct af_error *err)
{
    struct af_store *store = m->exec->options.stores[m->scan->source];
    struct af_scan scan = { .measurement = m->scan->measurement, .start_ns = m->scan->start_ns, .stop_ns = m->scan->stop_ns,
                            .predicate = m->scan->predicate, .cancel = m->exec->options.cancel };
    if (m->scan->choice.is_made) {
        scan.start_ns = INT64_MIN;
        scan.stop_ns = INT64_MAX;
    }
    struct af_stream *stream;
    AF_TRY(af_store_list(store, AF_LIST_SERIES, &scan, &stream, err));
    struct mem mem;
    mem_init(&mem, m->exec);
    struct af_batch *batch = NULL;
    enum af_status status;
    while ((status = af_stream_next(stream, &mem.arena, &batch, err)) == AF_OK && batch != NULL) {
        status = add_batch(m, batch, err);
        if (status != AF_OK)
            break;
        mem_reset(&mem);
    }
    mem_done(&mem);
    af_stream_close(stream);
    return status;
}

/* --- a choice among them ------------------------------------------------------------------------------------------------------------ */

/* "host|region|a|north": names of the chosen-by tags that the series has, then their values. ptr NULL: no memory. */
static struct af_slice choice_key(struct maker *m, const struct candidate *item)
{
    const struct af_plan_choice *choice = &m->scan->choice;
    af_buf_clear(&m->scratch);
    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0, j = 0; i < choice->tag_count; i++, j++) {
            while (!af_slice_eq(m->scan->group[j], choice->tags[i]))
                j++;
            if (item->values[j].ptr == NULL)
                continue;
            if (m->scratch.len != 0)
                af_buf_append_char(&m->scratch, '|');
            af_buf_append_slice(&m->scratch, pass == 0 ? choice->tags[i] : item->values[j]);
        }
    struct af_slice text = af_buf_slice(&m->scratch);
    return (struct af_slice){ m->scratch.failed ? NULL : af_arena_copy(&m->mem.arena, text), text.len };
}

static int compare_slices(const void *a, const void *b)
{
    return af_slice_cmp(*(const struct af_slice *)a, *(const struct af_slice *)b);
}

/* Keeps the candidates whose key is from the `offset`th on, `count` of them. */
static void keep_chosen(struct maker *m, const struct af_slice *keys, struct af_slice *sorted)
{
    const struct af_plan_choice *choice = &m->scan->choice;
    size_t count = m->set->count, distinct = 0, kept = 0;
    qsort(sorted, count, sizeof *sorted, compare_slices);
    for (size_t i = 0; i < count; i++)
        if (distinct == 0 || !af_slice_eq(sorted[distinct - 1], sorted[i]))
            sorted[distinct++] = sorted[i];
    if (choice->offset >= distinct) {
        m->set->count = 0;
        return;
    }
    size_t last = choice->count == 0 || choice->count > distinct - choice->offset ? distinct - 1
                                                                                : (size_t)(choice->offset + choice->count - 1);
    for (size_t i = 0; i < count; i++)
        if (af_slice_cmp(keys[i], sorted[choice->offset]) >= 0 && af_slice_cmp(keys[i], sorted[last]) <= 0)
            m->items[kept++] = m->items[i];
    m->set->count = kept;
}

static enum af_status choose(struct maker *m, struct af_error *err)
{
    size_t count = m->set->count;
    if (!m->scan->choice.is_made || count == 0)
        return AF_OK;
    struct af_slice *keys = af_arena_array(&m->mem.arena, count, sizeof *keys), *sorted = af_arena_array(&m->mem.arena, count,
                                                                                                         sizeof *keys);
    if (keys == NULL || sorted == NULL)
        return fail(&m->mem, 2 * count * sizeof *keys, err);
    for (size_t i = 0; i < count; i++) {
        keys[i] = choice_key(m, &m->items[i]);
        if (keys[i].ptr == NULL)
            return fail(&m->mem, keys[i].len, err);
        sorted[i] = keys[i];
    }
    keep_chosen(m, keys, sorted);
    return mem_charge(&m->mem, err);
}

/* --- order and numbers ----------------------------------------------------------------------------------------------------------- */

struct order {
    size_t group_count;
    bool descending;
};

static int compare_groups(const struct candidate *a, const struct candidate *b, const struct order *order)
{
    for (size_t i = 0; i < order->group_count; i++) {
        int c = af_slice_cmp(a->values[i], b->values[i]);
        if (c != 0)
            return order->descending ? -c : c;
    }
    return 0;
}

static int compare_candidates(const void *a, const void *b, void *ctx)
{
    int c = compare_groups(a, b, ctx);
    return c != 0 ? c : af_slice_cmp(((const struct candidate *)a)->key, ((const struct candidate *)b)->key);
}

/* Stores list keys in order, which often is the order of the groups too. */
static void sort_candidates(struct candidate *items, size_t count, struct order *order)
{
    for (size_t i = 1; i < count; i++)
        if (compare_candidates(&items[i - 1], &items[i], order) > 0) {
            qsort_r(items, count, sizeof *items, compare_candidates, order);
            return;
        }
}

static enum af_status make_key(const struct maker *m, const struct af_slice *values, const struct af_group_key **out, struct af_error *err)
{
    struct af_arena *arena = &m->set->mem.arena;
    size_t count = m->scan->group_count + 1;
    struct af_key_part *parts = af_arena_zero(arena, count, sizeof *parts);
    struct af_group_key *key = af_arena_zero(arena, 1, sizeof *key);
    if (parts == NULL || key == NULL)
        return fail(&m->set->mem, count * sizeof *parts, err);
    parts[0] = (struct af_key_part){ AF_SLICE_LIT(AF_KEY_MEASUREMENT), af_value_text(af_slice_of(m->scan->measurement)) };
    for (size_t i = 1; i < count; i++) {
        struct af_slice value = values != NULL && values[i - 1].ptr != NULL ? values[i - 1] : AF_SLICE_LIT("");
        parts[i] = (struct af_key_part){ m->scan->group[i - 1], af_value_text(value) };
    }
    *key = (struct af_group_key){ count, parts };
    *out = key;
    return AF_OK;
}

static enum af_status make_groups(struct maker *m, const struct order *order, struct af_error *err)
{
    struct series_set *set = m->set;
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++)
        count += i == 0 || compare_groups(&m->items[i - 1], &m->items[i], order) != 0;
    set->groups = af_arena_zero(&set->mem.arena, count, sizeof *set->groups);
    set->keys = af_arena_zero(&set->mem.arena, set->count, sizeof *set->keys);
    set->group_of = af_arena_zero(&set->mem.arena, set->count, sizeof *set->group_of);
    if (set->groups == NULL || set->keys == NULL || set->group_of == NULL)
        return fail(&set->mem, set->count * sizeof *set->keys, err);
    for (size_t i = 0; i < set->count; i++) {
        if (i == 0 || compare_groups(&m->items[i - 1], &m->items[i], order) != 0) {
            struct series_group *group = &set->groups[set->group_count++];
            group->first = (uint32_t)i;
            AF_TRY(make_key(m, m->items[i].values, &group->key, err));
        }
        set->groups[set->group_count - 1].count++;
        set->group_of[i] = (uint32_t)set->group_count - 1;
        set->keys[i] = m->items[i].key;
    }
    return AF_OK;
}

static enum af_status make_slots(struct series_set *set, struct af_error *err)
{
    size_t cap = 16;
    while (cap < set->count * 2)
        cap *= 2;
    set->slots = af_arena_zero(&set->mem.arena, cap, sizeof *set->slots);
    if (set->slots == NULL)
        return fail(&set->mem, cap * sizeof *set->slots, err);
    set->slot_mask = cap - 1;
    for (size_t i = 0; i < set->count; i++) {
        size_t slot = af_hash_bytes(set->keys[i].ptr, set->keys[i].len, 0) & set->slot_mask;
        while (set->slots[slot] != 0)
            slot = (slot + 1) & set->slot_mask;
        set->slots[slot] = (uint32_t)i + 1;
    }
    return AF_OK;
}

uint32_t series_find(const struct series_set *set, struct af_slice key)
{
    size_t slot = af_hash_bytes(key.ptr, key.len, 0) & set->slot_mask;
    for (; set->slots[slot] != 0; slot = (slot + 1) & set->slot_mask)
        if (af_slice_eq(set->keys[set->slots[slot] - 1], key))
            return set->slots[slot] - 1;
    return UINT32_MAX;
}

/* --- tags as columns -------------------------------------------------------------------------------------------------------------- */

static enum af_status make_dict(const struct af_intern *values, struct mem *mem, struct af_dict **out, struct af_error *err)
{
    if (values->bytes > INT32_MAX)
        return af_fail(err, AF_ELIMIT, "a tag has more than 2 GiB of different values: select fewer series");
    int32_t *offsets = af_arena_array(&mem->arena, (size_t)values->count + 1, sizeof *offsets);
    char *bytes = af_arena_array(&mem->arena, values->bytes, 1);
    if (offsets == NULL || bytes == NULL)
        return fail(mem, values->bytes, err);
    size_t at = 0;
    for (uint32_t i = 0; i < values->count; i++) {
        offsets[i] = (int32_t)at;
        memcpy(bytes + at, values->keys[i].ptr, values->keys[i].len);
        at += values->keys[i].len;
    }
    offsets[values->count] = (int32_t)at;
    return af_dict_new(offsets, bytes, values->count, out, err);
}

static enum af_status number_values(struct maker *m, size_t tag, struct af_intern *values, struct series_tag *out, struct af_error *err)
{
    struct series_set *set = m->set;
    for (size_t i = 0; i < set->count; i++) {
        struct af_slice value = m->items[i].values[m->scan->group_count + tag];
        if (out->present != NULL && value.ptr != NULL)
            af_bit_set(out->present, i);
        if (out->present == NULL || value.ptr != NULL)
            AF_TRY(af_intern_add(values, value.ptr != NULL ? value : AF_SLICE_LIT(""), &out->codes[i], err));
    }
    return AF_OK;
}

static enum af_status make_tag(struct maker *m, size_t tag, struct af_error *err)
{
    struct series_set *set = m->set;
    struct series_tag *out = &set->tags[tag];
    out->codes = af_arena_zero(&set->mem.arena, set->count, sizeof *out->codes);
    out->present = m->scan->tags_null ? af_bits_new(&set->mem.arena, set->count, false) : NULL;
    if (out->codes == NULL || (m->scan->tags_null && out->present == NULL))
        return fail(&set->mem, set->count * sizeof *out->codes, err);
    struct af_intern values;
    af_intern_init(&values);
    enum af_status status = number_values(m, tag, &values, out, err);
    if (status == AF_OK)
        status = make_dict(&values, &m->mem, &out->dict, err);
    af_intern_done(&values);
    return status;
}

static enum af_status make_tags(struct maker *m, struct af_error *err)
{
    m->set->tags = af_arena_zero(&m->set->mem.arena, m->scan->tag_count, sizeof *m->set->tags);
    if (m->set->tags == NULL)
        return fail(&m->set->mem, m->scan->tag_count * sizeof *m->set->tags, err);
    for (size_t i = 0; i < m->scan->tag_count; i++) {
        AF_TRY(make_tag(m, i, err));
        enum af_status status = af_dict_hold(m->set->tags[i].dict, &m->set->mem.arena, err);
        af_dict_unref(m->set->tags[i].dict);
        AF_TRY(status);
    }
    return AF_OK;
}

/* Of most pieces all rows are of one series: one code, again and again. */
enum af_status series_tag_column(const struct series_set *set, size_t tag, const uint32_t *series, size_t rows, struct af_arena *arena,
                                 struct af_column *out, struct af_error *err)
{
    const struct series_tag *from = &set->tags[tag];
    uint32_t *codes = af_arena_array(arena, rows, sizeof *codes);
    uint64_t *validity = from->present != NULL ? af_bits_new(arena, rows, true) : NULL;
    if (codes == NULL || (from->present != NULL && validity == NULL))
        return arena_fail(arena, rows * sizeof *codes, err);
    for (size_t i = 0; i < rows; i++)
        codes[i] = from->codes[series[i]];
    size_t null_count = 0;
    for (size_t i = 0; validity != NULL && i < rows; i++)
        if (!af_bit_get(from->present, series[i])) {
            af_bit_clear(validity, i);
            null_count++;
        }
    *out = (struct af_column){ .type = AF_TYPE_STRING, .codes = codes, .dict = from->dict, .null_count = null_count };
    out->validity = null_count != 0 ? validity : NULL;
    return af_dict_hold(from->dict, arena, err);
}

/* --- the whole --------------------------------------------------------------------------------------------------------------------- */

static enum af_status make_set(struct maker *m, struct af_error *err)
{
    struct order order = { m->scan->group_count, m->scan->descending };
    AF_TRY(read_keys(m, err));
    AF_TRY(choose(m, err));
    sort_candidates(m->items, m->set->count, &order);
    AF_TRY(make_groups(m, &order, err));
    AF_TRY(make_slots(m->set, err));
    AF_TRY(make_tags(m, err));
    return mem_charge(&m->set->mem, err);
}

enum af_status series_list(struct series_set *set, struct exec *exec, const struct af_node *node, struct af_error *err)
{
    *set = (struct series_set){ .keys = NULL };
    struct maker m = { .set = set, .exec = exec, .node = node, .scan = scan_of(node) };
    mem_init(&set->mem, exec);
    mem_init(&m.mem, exec);
    af_buf_init(&m.scratch, SIZE_MAX);
    enum af_status status = make_set(&m, err);
    af_buf_done(&m.scratch);
    mem_done(&m.mem);
    return status;
}

enum af_status series_unlisted(struct series_set *set, struct exec *exec, const struct af_node *node, struct af_error *err)
{
    *set = (struct series_set){ .group_count = 1 };
    struct maker m = { .set = set, .exec = exec, .node = node, .scan = scan_of(node) };
    mem_init(&set->mem, exec);
    set->groups = af_arena_zero(&set->mem.arena, 1, sizeof *set->groups);
    if (set->groups == NULL)
        return fail(&set->mem, sizeof *set->groups, err);
    AF_TRY(make_key(&m, NULL, &set->groups[0].key, err));
    return series_count(exec, node, m.scan, err);
}

void series_done(struct series_set *set)
{
    mem_done(&set->mem);
    *set = (struct series_set){ .keys = NULL };
}

/* --- for FOLD ---------------------------------------------------------------------------------------------------------------------- */

static bool value_of(struct af_slice series_key, struct af_slice name, struct af_buf *scratch, struct af_arena *arena, struct af_slice *out)
{
    size_t at = 0;
    struct af_slice tag, value;
    *out = AF_SLICE_LIT("");
    while (af_key_next_tag(series_key, &at, &tag, &value)) {
        if (!af_slice_eq(af_key_unescape(tag, scratch), name))
            continue;
        *out = unescaped(value, scratch, arena);
        return out->ptr != NULL;
    }
    return !scratch->failed;
}

const struct af_group_key *series_group_key(const char *measurement, const struct af_slice *group, size_t group_count,
                                            struct af_slice series_key, struct af_arena *arena)
{
    struct af_key_part *parts = af_arena_zero(arena, group_count + 1, sizeof *parts);
    struct af_group_key *key = af_arena_zero(arena, 1, sizeof *key);
    const char *own = af_arena_copy(arena, series_key); /* values point into it */
    if (parts == NULL || key == NULL || own == NULL)
        return NULL;
    struct af_buf scratch;
    af_buf_init(&scratch, SIZE_MAX);
    bool is_fine = true;
    parts[0] = (struct af_key_part){ AF_SLICE_LIT(AF_KEY_MEASUREMENT), af_value_text(af_slice_of(measurement)) };
    for (size_t i = 0; is_fine && i < group_count; i++) {
        struct af_slice value;
        is_fine = value_of((struct af_slice){ own, series_key.len }, group[i], &scratch, arena, &value);
        parts[i + 1] = (struct af_key_part){ group[i], af_value_text(value) };
    }
    af_buf_done(&scratch);
    *key = (struct af_group_key){ group_count + 1, parts };
    return is_fine ? key : NULL;
}

static enum af_status read_count(struct af_stream *stream, uint64_t *out, struct af_error *err)
{
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    struct af_batch *batch = NULL;
    enum af_status status;
    while ((status = af_stream_next(stream, &arena, &batch, err)) == AF_OK && batch != NULL) {
        for (size_t row = 0; row < batch->row_count; row++)
            if (af_slice_is(af_column_text(&batch->columns[0], row), "series"))
                *out = (uint64_t)batch->columns[1].i64[row];
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    return status;
}

enum af_status series_count(struct exec *exec, const struct af_node *node, const struct af_plan_scan *scan, struct af_error *err)
{
    const struct af_exec_stats *stats = exec->options.stats;
    if (exec->options.limits.series_max == 0 && (stats == NULL || stats->nodes == NULL || !exec->options.analyze))
        return AF_OK;
    struct af_store *store = exec->options.stores[scan->source];
    struct af_scan what = { .measurement = scan->measurement, .start_ns = scan->start_ns, .stop_ns = scan->stop_ns,
                            .predicate = scan->predicate, .cancel = exec->options.cancel };
    struct af_stream *stream;
    uint64_t count = 0;
    AF_TRY(af_store_list(store, AF_LIST_COUNTS, &what, &stream, err));
    enum af_status status = read_count(stream, &count, err);
    af_stream_close(stream);
    return status == AF_OK ? exec_count(exec, node, 0, count, err) : status;
}
