/*
 * regroup.c - REGROUP: other keys, from parts of the old ones and from columns of text.
 *
 *     the new key has the parts of the old one              tables go through as they are
 *     it is how the old one begins: (m, a) of (m, a, b)     groups that meet are neighbours: only these are gathered
 *     anything else                                         everything is gathered
 *
 * What is gathered is a block: rows in the order in which they came, and for each the number of its new key. Given out, rows are ordered by
 * key, then time, then arrival: a list of row numbers is sorted, rows stay where they are. A null in a column, and a part that is nowhere,
 * is the empty text.
 */
#include "base/hash.h"
#include "exec/build.h"
#include <stdlib.h>

/* --- the new keys of a block -------------------------------------------------------------------------------------------------------- */

struct key_entry {
    uint64_t hash;
    const struct af_group_key *key;
    size_t rows;
    size_t first;                        /* of its rows in the list */
};
struct key_set {
    struct key_entry *entries;
    size_t count, cap;
    uint32_t *slots;                     /* 1 + entry */
    size_t slot_count;
};

static uint64_t key_hash(const struct af_group_key *key)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < key->count; i++) {
        const struct af_value *value = &key->parts[i].value;
        if (value->type == AF_TYPE_STRING)
            hash = af_hash_bytes(value->text.ptr, value->text.len, hash + 1);
        else if (value->type == AF_TYPE_BOOL)
            hash = af_hash_mix(hash + 2 + value->boolean);
        else if (value->type == AF_TYPE_F64)
            hash = af_hash_mix(hash + 4); /* equal ones differ in bits: -0 */
        else
            hash = af_hash_mix(hash + 5 + (value->type == AF_TYPE_NULL ? 0 : value->u64));
    }
    return hash;
}

static enum af_status key_set_grow(struct key_set *set, struct mem *mem, struct af_error *err)
{
    if (set->count < set->cap)
        return AF_OK;
    size_t cap = set->cap == 0 ? 16 : set->cap * 2, slot_count = cap * 2;
    if (cap > UINT32_MAX / 2)
        return mem_fail(mem, SIZE_MAX, err);
    struct key_entry *entries = af_arena_zero(&mem->arena, cap, sizeof *entries);
    uint32_t *slots = af_arena_zero(&mem->arena, slot_count, sizeof *slots);
    if (entries == NULL || slots == NULL)
        return mem_fail(mem, cap * (sizeof *entries + 2 * sizeof *slots), err);
    if (set->count != 0)
        memcpy(entries, set->entries, set->count * sizeof *entries);
    for (size_t i = 0; i < set->count; i++) {
        size_t at = entries[i].hash & (slot_count - 1);
        while (slots[at] != 0)
            at = (at + 1) & (slot_count - 1);
        slots[at] = (uint32_t)(i + 1);
    }
    *set = (struct key_set){ entries, set->count, cap, slots, slot_count };
    return AF_OK;
}

/* The number of the key, which is copied if it is new. */
static enum af_status key_set_add(struct key_set *set, const struct af_group_key *key, struct mem *mem, uint32_t *out, struct af_error *err)
{
    AF_TRY(key_set_grow(set, mem, err));
    uint64_t hash = key_hash(key);
    size_t at = hash & (set->slot_count - 1);
    for (; set->slots[at] != 0; at = (at + 1) & (set->slot_count - 1)) {
        *out = set->slots[at] - 1;
        if (set->entries[*out].hash == hash && af_group_key_compare(set->entries[*out].key, key) == 0)
            return AF_OK;
    }
    const struct af_group_key *copy = af_group_key_copy(key, &mem->arena);
    if (copy == NULL)
        return mem_fail(mem, 0, err);
    *out = (uint32_t)set->count;
    set->entries[set->count++] = (struct key_entry){ .hash = hash, .key = copy };
    set->slots[at] = *out + 1;
    return AF_OK;
}

/* --- the operator's state --------------------------------------------------------------------------------------------------- */

enum source { FROM_KEY, FROM_COLUMN, FROM_NOTHING };
struct part {
    enum source source;
    size_t index;                        /* of the old key's parts, of the columns */
};
struct regroup_op {
    struct op op;
    struct groups groups;
    const struct af_group_key *next;     /* the input's group that is not taken yet */
    bool is_begun, passes, is_prefix, has_columns, has_time;
    struct part *parts;                  /* of the new key */
    struct af_key_part *scratch;         /* one new key */
    struct gathered rows;                /* the block */
    struct mem mem;                      /* of what follows */
    struct key_set keys;
    uint32_t *key_of;                    /* by row */
    size_t key_of_cap;
    uint32_t *list;                      /* rows in the order in which they are given out; NULL: nothing is gathered */
    struct key_entry **order;            /* entries by key */
    size_t at_key, at_row;               /* given out so far */
};

/* Where the parts of the new key come from: the names are the same in all groups. */
static void find_parts(struct regroup_op *regroup, const struct af_group_key *key)
{
    const struct af_node *node = regroup->op.node;
    size_t count = node->regroup.group_count;
    regroup->is_prefix = count <= key->count;
    for (size_t i = 0; i < count; i++) {
        struct part *part = &regroup->parts[i];
        struct af_slice name = node->regroup.group[i];
        regroup->scratch[i].name = name;
        *part = (struct part){ FROM_KEY, 0 };
        while (part->index < key->count && !af_slice_eq(key->parts[part->index].name, name))
            part->index++;
        if (part->index == key->count) {
            part->index = af_schema_find(&node->schema, name);
            part->source = part->index != SIZE_MAX ? FROM_COLUMN : FROM_NOTHING;
        }
        regroup->has_columns = regroup->has_columns || part->source == FROM_COLUMN;
        regroup->is_prefix = regroup->is_prefix && part->source == FROM_KEY && part->index == i;
    }
    regroup->passes = regroup->is_prefix && count == key->count;
}

static void parts_of_key(struct regroup_op *regroup, const struct af_group_key *key)
{
    for (size_t i = 0; i < regroup->op.node->regroup.group_count; i++)
        if (regroup->parts[i].source != FROM_COLUMN)
            regroup->scratch[i].value = regroup->parts[i].source == FROM_KEY ? key->parts[regroup->parts[i].index].value
                                                                             : af_value_text(AF_SLICE_LIT(""));
}

static void parts_of_row(struct regroup_op *regroup, const struct af_batch *rows, size_t row)
{
    for (size_t i = 0; i < regroup->op.node->regroup.group_count; i++) {
        if (regroup->parts[i].source != FROM_COLUMN)
            continue;
        struct af_value value = af_column_value(&rows->columns[regroup->parts[i].index], row);
        regroup->scratch[i].value = value.type == AF_TYPE_STRING ? value : af_value_text(AF_SLICE_LIT(""));
    }
}

/* Is the row's key that of the row before it? */
static bool is_like_before(const struct regroup_op *regroup, const struct af_batch *rows, size_t row)
{
    for (size_t i = 0; i < regroup->op.node->regroup.group_count; i++) {
        if (regroup->parts[i].source != FROM_COLUMN)
            continue;
        const struct af_column *column = &rows->columns[regroup->parts[i].index];
        struct af_value now = af_column_value(column, row), before = af_column_value(column, row - 1);
        if (!af_value_eq(&now, &before))
            return false;
    }
    return true;
}

/* --- a block gathered ------------------------------------------------------------------------------------------------------- */

static enum af_status reserve_rows(struct regroup_op *regroup, size_t more, struct af_error *err)
{
    size_t rows = regroup->rows.rows, need = rows + more;
    if (need <= regroup->key_of_cap)
        return AF_OK;
    size_t cap = regroup->key_of_cap < AF_BATCH_ROWS ? AF_BATCH_ROWS : regroup->key_of_cap * 2;
    cap = cap < need ? need : cap;
    if (cap >= NO_ROW)
        return mem_fail(&regroup->mem, SIZE_MAX, err);
    uint32_t *key_of = af_arena_array(&regroup->mem.arena, cap, sizeof *key_of);
    if (key_of == NULL)
        return mem_fail(&regroup->mem, cap * sizeof *key_of, err);
    if (rows != 0)
        memcpy(key_of, regroup->key_of, rows * sizeof *key_of);
    regroup->key_of = key_of;
    regroup->key_of_cap = cap;
    return AF_OK;
}

static enum af_status gather_table(struct regroup_op *regroup, const struct af_group_key *key, const struct af_table *table,
                                   struct af_error *err)
{
    size_t first = regroup->rows.rows, count = table->rows->row_count;
    uint32_t number = 0;
    AF_TRY(reserve_rows(regroup, count, err));
    parts_of_key(regroup, key);
    struct af_group_key new_key = { regroup->op.node->regroup.group_count, regroup->scratch };
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || (regroup->has_columns && !is_like_before(regroup, table->rows, i))) {
            parts_of_row(regroup, table->rows, i);
            AF_TRY(key_set_add(&regroup->keys, &new_key, &regroup->mem, &number, err));
        }
        regroup->key_of[first + i] = number;
        regroup->keys.entries[number].rows++;
    }
    AF_TRY(gathered_add(&regroup->rows, table, err));
    return mem_charge(&regroup->mem, err);
}

static void clear_block(struct regroup_op *regroup)
{
    gathered_clear(&regroup->rows);
    mem_reset(&regroup->mem);
    regroup->keys = (struct key_set){ 0 };
    regroup->key_of = NULL;
    regroup->key_of_cap = 0;
    regroup->list = NULL;
    regroup->order = NULL;
    regroup->at_key = regroup->at_row = 0;
}

/* Does the group that is next go into the block? */
static bool belongs(struct regroup_op *regroup)
{
    if (!regroup->is_prefix || regroup->keys.count == 0)
        return true;
    const struct af_group_key *first = regroup->keys.entries[0].key;
    for (size_t i = 0; i < first->count; i++)
        if (!af_value_eq(&first->parts[i].value, &regroup->next->parts[i].value))
            return false;
    return true;
}

static enum af_status gather_block(struct regroup_op *regroup, struct af_error *err)
{
    while (regroup->next != NULL && belongs(regroup)) {
        const struct af_table *table;
        for (;;) {
            AF_TRY(groups_next(&regroup->groups, &table, err));
            if (table == NULL)
                break;
            AF_TRY(gather_table(regroup, regroup->next, table, err));
        }
        AF_TRY(groups_begin(&regroup->groups, &regroup->next, err));
    }
    return AF_OK;
}

/* --- the block in order ----------------------------------------------------------------------------------------------------- */

static void *new_array(struct regroup_op *regroup, size_t count, size_t bytes)
{
    return af_arena_array(&regroup->mem.arena, count, bytes);
}

static bool is_behind(const int64_t *times, uint32_t a, uint32_t b, bool descending)
{
    return descending ? times[a] < times[b] : times[a] > times[b];
}

/* Where the run that is in order ends. */
static size_t run_end(const uint32_t *list, size_t first, size_t count, const int64_t *times, bool descending)
{
    size_t end = first + 1;
    while (end < count && !is_behind(times, list[end - 1], list[end], descending))
        end++;
    return end;
}

static void merge_runs(const uint32_t *list, size_t first, size_t middle, size_t end, const int64_t *times, bool descending, uint32_t *out)
{
    size_t a = first, b = middle, at = first;
    while (a < middle && b < end)
        out[at++] = is_behind(times, list[a], list[b], descending) ? list[b++] : list[a++];
    while (a < middle)
        out[at++] = list[a++];
    while (b < end)
        out[at++] = list[b++];
}

/* Rows of one key by time, arrival kept: runs (each was a group, or part of one) merged two by two. */
static enum af_status sort_by_time(struct regroup_op *regroup, uint32_t *list, size_t count, const int64_t *times, uint32_t *spare,
                                   struct af_error *err)
{
    bool descending = regroup->op.node->regroup.descending;
    size_t runs;
    do {
        AF_TRY(exec_poll(regroup->op.exec, err));
        runs = 0;
        for (size_t first = 0; first < count; runs++) {
            size_t middle = run_end(list, first, count, times, descending);
            size_t end = middle < count ? run_end(list, middle, count, times, descending) : middle;
            if (runs == 0 && middle == count)
                return AF_OK;
            merge_runs(list, first, middle, end, times, descending, spare);
            first = end;
        }
        memcpy(list, spare, count * sizeof *list);
    } while (runs > 1);
    return AF_OK;
}

static int by_key(const void *a, const void *b)
{
    return af_group_key_compare((*(struct key_entry *const *)a)->key, (*(struct key_entry *const *)b)->key);
}

static enum af_status order_keys(struct regroup_op *regroup, struct af_error *err)
{
    size_t count = regroup->keys.count;
    regroup->order = new_array(regroup, count, sizeof *regroup->order);
    if (regroup->order == NULL)
        return mem_fail(&regroup->mem, count * sizeof *regroup->order, err);
    for (size_t i = 0; i < count; i++)
        regroup->order[i] = &regroup->keys.entries[i];
    qsort(regroup->order, count, sizeof *regroup->order, by_key);
    for (size_t i = 0; regroup->op.node->regroup.descending && i < count / 2; i++) {
        struct key_entry *swap = regroup->order[i];
        regroup->order[i] = regroup->order[count - 1 - i];
        regroup->order[count - 1 - i] = swap;
    }
    size_t first = 0;
    for (size_t i = 0; i < count; i++) {
        regroup->order[i]->first = first;
        first += regroup->order[i]->rows;
    }
    return AF_OK;
}

static enum af_status order_block(struct regroup_op *regroup, struct af_error *err)
{
    size_t rows = regroup->rows.rows;
    AF_TRY(order_keys(regroup, err));
    uint32_t *list = new_array(regroup, rows, sizeof *list), *spare = new_array(regroup, rows, sizeof *spare);
    size_t *fill = af_arena_zero(&regroup->mem.arena, regroup->keys.count, sizeof *fill);
    if (list == NULL || spare == NULL || fill == NULL)
        return mem_fail(&regroup->mem, 2 * rows * sizeof *list, err);
    AF_TRY(mem_charge(&regroup->mem, err));
    for (size_t i = 0; i < rows; i++) {
        uint32_t number = regroup->key_of[i];
        list[regroup->keys.entries[number].first + fill[number]++] = (uint32_t)i;
    }
    struct af_column times;
    if (regroup->has_time)
        gathered_column(&regroup->rows, 0, &times);
    for (size_t i = 0; regroup->has_time && i < regroup->keys.count; i++) {
        const struct key_entry *entry = &regroup->keys.entries[i];
        AF_TRY(sort_by_time(regroup, list + entry->first, entry->rows, times.i64, spare, err));
    }
    regroup->list = list;
    return AF_OK;
}

/* --- given out -------------------------------------------------------------------------------------------------------------- */

static enum af_status give(struct regroup_op *regroup, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    const struct key_entry *entry = regroup->order[regroup->at_key];
    size_t count = entry->rows - regroup->at_row;
    if (count > AF_BATCH_ROWS)
        count = AF_BATCH_ROWS;
    struct build build = { 0 };
    AF_TRY(build_begin(&build, &regroup->op, arena, err));
    for (size_t i = 0; i < regroup->op.node->schema.field_count; i++) {
        struct af_column all;
        gathered_column(&regroup->rows, i, &all);
        AF_TRY(build_rows(&build.columns[i], &all, regroup->list + entry->first + regroup->at_row, count, err));
    }
    build.rows = count;
    AF_TRY(build_take(&build, entry->key, out, err));
    regroup->at_row += count;
    if (regroup->at_row == entry->rows) {
        regroup->at_key++;
        regroup->at_row = 0;
    }
    return AF_OK;
}

/* Of an input whose keys are those that are wanted: straight through. */
static enum af_status pass(struct regroup_op *regroup, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    if (regroup->next == NULL)
        return op_next(regroup->op.inputs[0], arena, out, err);
    /* The first table was looked at. */
    const struct af_table *table;
    AF_TRY(groups_next(&regroup->groups, &table, err));
    regroup->next = NULL;
    size_t count = table->rows->schema->field_count;
    struct af_column *columns = af_arena_zero(arena, count, sizeof *columns);
    if (columns == NULL)
        return af_arena_fail(arena, count * sizeof *columns, "a table", err);
    for (size_t i = 0; i < count; i++)
        AF_TRY(columns_copy(&table->rows->columns[i], table->rows->row_count, arena, &columns[i], err));
    return table_make(&regroup->op, table->key, columns, table->rows->row_count, arena, out, err);
}

static enum af_status regroup_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct regroup_op *regroup = (struct regroup_op *)tables;
    *out = NULL;
    if (!regroup->is_begun) {
        AF_TRY(groups_begin(&regroup->groups, &regroup->next, err));
        regroup->is_begun = true;
        if (regroup->next != NULL)
            find_parts(regroup, regroup->next);
    }
    if (regroup->passes)
        return pass(regroup, arena, out, err);
    if (regroup->list != NULL && regroup->at_key == regroup->keys.count)
        clear_block(regroup);
    if (regroup->list == NULL) {
        AF_TRY(gather_block(regroup, err));
        if (regroup->keys.count == 0)
            return AF_OK;
        AF_TRY(order_block(regroup, err));
    }
    return give(regroup, arena, out, err);
}

static void regroup_close(struct af_tables *tables)
{
    struct regroup_op *regroup = (struct regroup_op *)tables;
    groups_done(&regroup->groups);
    gathered_done(&regroup->rows);
    mem_done(&regroup->mem);
}

static const struct af_tables_ops regroup_ops = { regroup_next, regroup_close };

enum af_status open_regroup(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    size_t count = node->regroup.group_count;
    struct part *parts = af_arena_zero(&exec->arena, count + 1, sizeof *parts);
    struct af_key_part *scratch = af_arena_zero(&exec->arena, count + 1, sizeof *scratch);
    if (parts == NULL || scratch == NULL)
        return af_arena_fail(&exec->arena, (count + 1) * sizeof *scratch, "an operator", err);
    AF_TRY(op_new(exec, node, inputs, sizeof(struct regroup_op), &regroup_ops, out, err));
    struct regroup_op *regroup = (struct regroup_op *)*out;
    regroup->parts = parts;
    regroup->scratch = scratch;
    regroup->has_time = node->schema.field_count != 0 && node->schema.fields[0].type == AF_TYPE_TIME;
    AF_TRY(gathered_init(&regroup->rows, exec, &node->schema, err));
    groups_init(&regroup->groups, exec, inputs[0]);
    mem_init(&regroup->mem, exec);
    return AF_OK;
}
