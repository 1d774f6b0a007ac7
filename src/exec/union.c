/*
 * union.c - UNION: streams of equal columns into one. Groups come in the order of their keys; groups with equal keys, of several inputs,
 * become one, their rows merged by time: of equal times those of the earlier input first.
 *
 * An input is begun only when its first group can be next: where the plan says which measurement an input reads and measurements are the
 * first part of keys, inputs of later measurements hold nothing yet. So a union of thousands of measurements holds a table of one of them.
 */
#include "exec/build.h"

struct side {
    struct groups groups;
    struct af_slice measurement;         /* of all its keys, if has_measurement */
    bool has_measurement;
    bool is_begun, is_done;
    const struct af_group_key *key;      /* of its group that is next or at hand; NULL: to be asked for */
    bool is_active;                      /* the group at hand is (also) of this input */
    const struct af_table *table;        /* active: rows from `row` on are next */
    size_t row;
};
struct union_op {
    struct op op;
    struct side *sides;
    struct mem key_mem;
    const struct af_group_key *key;      /* of the group at hand; NULL: none */
    bool has_time, descending;
};

/* --- which group is next ------------------------------------------------------------------------------------------------------------ */

/* The measurement that all keys of a node's groups begin with. */
static bool measurement_of(const struct af_node *node, struct af_slice *out)
{
    while (node->kind != AF_NODE_SCAN && node->kind != AF_NODE_FOLD) {
        bool keeps = node->kind != AF_NODE_REGROUP ||
                     (node->regroup.group_count != 0 && af_slice_is(node->regroup.group[0], AF_KEY_MEASUREMENT));
        if (node->input_count != 1 || !keeps)
            return false;
        node = node->inputs[0];
    }
    *out = af_slice_of(node->kind == AF_NODE_SCAN ? node->scan.measurement : node->fold.scan.measurement);
    return true;
}

static int in_order(const struct union_op *un, int order)
{
    return un->descending ? -order : order;
}

/* The first of the measurements that inputs are at; false: not known of all that are left. */
static bool first_measurement(const struct union_op *un, struct af_slice *out)
{
    bool has_one = false;
    for (size_t i = 0; i < un->op.input_count; i++) {
        const struct side *side = &un->sides[i];
        if (side->is_done)
            continue;
        if (!side->has_measurement)
            return false;
        if (!has_one || in_order(un, af_slice_cmp(side->measurement, *out)) < 0)
            *out = side->measurement;
        has_one = true;
    }
    return has_one;
}

static enum af_status ask(struct side *side, struct af_error *err)
{
    side->is_begun = true;
    AF_TRY(groups_begin(&side->groups, &side->key, err));
    if (side->key == NULL) {
        side->is_done = true;
        groups_done(&side->groups);
    }
    return AF_OK;
}

/* Inputs that can have the next group know their key. */
static enum af_status ask_all(struct union_op *un, struct af_error *err)
{
    for (;;) {
        struct af_slice first = { 0 };
        bool is_known = first_measurement(un, &first), is_settled = true;
        for (size_t i = 0; i < un->op.input_count; i++) {
            struct side *side = &un->sides[i];
            if (side->is_done || side->key != NULL || (is_known && !af_slice_eq(side->measurement, first)))
                continue;
            AF_TRY(ask(side, err));
            is_settled = is_settled && !side->is_done;
        }
        if (is_settled)
            return AF_OK;
    }
}

static enum af_status begin_group(struct union_op *un, struct af_error *err)
{
    const struct af_group_key *first = NULL;
    AF_TRY(ask_all(un, err));
    for (size_t i = 0; i < un->op.input_count; i++) {
        const struct af_group_key *key = un->sides[i].key;
        if (key != NULL && (first == NULL || in_order(un, af_group_key_compare(key, first)) < 0))
            first = key;
    }
    un->key = NULL;
    mem_reset(&un->key_mem);
    if (first == NULL)
        return AF_OK;
    for (size_t i = 0; i < un->op.input_count; i++) {
        struct side *side = &un->sides[i];
        side->is_active = side->key != NULL && af_group_key_compare(side->key, first) == 0;
    }
    un->key = af_group_key_copy(first, &un->key_mem.arena);
    return un->key != NULL ? mem_charge(&un->key_mem, err) : mem_fail(&un->key_mem, 0, err);
}

/* --- rows of a group -------------------------------------------------------------------------------------------------------- */

/* Every active input has rows at hand, or is active no more. *out_count: how many are left. */
static enum af_status fill_sides(struct union_op *un, size_t *out_count, struct af_error *err)
{
    *out_count = 0;
    for (size_t i = 0; i < un->op.input_count; i++) {
        struct side *side = &un->sides[i];
        if (!side->is_active)
            continue;
        if (side->table != NULL && side->row == side->table->rows->row_count)
            side->table = NULL;
        if (side->table == NULL) {
            side->row = 0;
            AF_TRY(groups_next(&side->groups, &side->table, err));
        }
        side->is_active = side->table != NULL;
        if (!side->is_active)
            side->key = NULL;
        *out_count += side->is_active;
    }
    return AF_OK;
}

static int64_t time_of(const struct side *side, size_t row)
{
    return side->table->rows->columns[0].i64[row];
}

/* Do rows of `a` at time `t` go before the row at hand of `b`? */
static bool goes_before(const struct union_op *un, const struct side *a, int64_t t, const struct side *b)
{
    if (!un->has_time)
        return a < b;
    int64_t other = time_of(b, b->row);
    if (t == other)
        return a < b;
    return un->descending ? t > other : t < other;
}

/* The input whose row is next, and the one that is next after it (NULL: there is no other). */
static struct side *best_side(const struct union_op *un, const struct side **out_second)
{
    struct side *best = NULL;
    const struct side *second = NULL;
    for (size_t i = 0; i < un->op.input_count; i++) {
        struct side *side = &un->sides[i];
        if (!side->is_active)
            continue;
        int64_t t = un->has_time ? time_of(side, side->row) : 0;
        if (best == NULL || goes_before(un, side, t, best)) {
            second = best;
            best = side;
        } else if (second == NULL || goes_before(un, side, t, second)) {
            second = side;
        }
    }
    *out_second = second;
    return best;
}

static size_t run_end(const struct union_op *un, const struct side *side, const struct side *second, size_t most)
{
    size_t end = side->row + 1, stop = side->table->rows->row_count;
    if (stop - side->row > most)
        stop = side->row + most;
    if (second == NULL || !un->has_time)
        return stop;
    while (end < stop && goes_before(un, side, time_of(side, end), second))
        end++;
    return end;
}

/* A table of one input only: copied whole. */
static enum af_status pass_on(struct union_op *un, struct side *side, struct af_arena *arena, const struct af_table **out,
                              struct af_error *err)
{
    const struct af_batch *rows = side->table->rows;
    size_t count = rows->schema->field_count;
    struct af_column *columns = af_arena_zero(arena, count, sizeof *columns);
    if (columns == NULL)
        return af_arena_fail(arena, count * sizeof *columns, "a table", err);
    for (size_t i = 0; i < count; i++)
        AF_TRY(columns_copy(&rows->columns[i], rows->row_count, arena, &columns[i], err));
    side->row = rows->row_count;
    return table_make(&un->op, un->key, columns, rows->row_count, arena, out, err);
}

/* *out NULL: the group is over. */
static enum af_status group_table(struct union_op *un, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct build build = { 0 };
    size_t active;
    *out = NULL;
    while (build.columns == NULL || build_room(&build) != 0) {
        AF_TRY(fill_sides(un, &active, err));
        if (active == 0)
            break;
        const struct side *second;
        struct side *best = best_side(un, &second);
        if (second == NULL && best->row == 0 && build.columns == NULL)
            return pass_on(un, best, arena, out, err);
        AF_TRY(build_begin(&build, &un->op, arena, err));
        size_t end = run_end(un, best, second, build_room(&build));
        for (size_t i = 0; i < un->op.node->schema.field_count; i++)
            AF_TRY(grower_rows(&build.columns[i], &best->table->rows->columns[i], best->row, end - best->row, err));
        build.rows += end - best->row;
        best->row = end;
    }
    return build.columns != NULL ? build_take(&build, un->key, out, err) : AF_OK;
}

/* --- the operator ----------------------------------------------------------------------------------------------------------- */

static enum af_status union_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct union_op *un = (struct union_op *)tables;
    *out = NULL;
    for (;;) {
        if (un->key == NULL)
            AF_TRY(begin_group(un, err));
        if (un->key == NULL)
            return AF_OK;
        AF_TRY(group_table(un, arena, out, err));
        if (*out != NULL)
            return AF_OK;
        un->key = NULL;
    }
}

static void union_close(struct af_tables *tables)
{
    struct union_op *un = (struct union_op *)tables;
    for (size_t i = 0; un->sides != NULL && i < un->op.input_count; i++)
        groups_done(&un->sides[i].groups);
    mem_done(&un->key_mem);
}

static const struct af_tables_ops union_ops = { union_next, union_close };

enum af_status open_union(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    struct side *sides = af_arena_zero(&exec->arena, node->input_count, sizeof *sides);
    if (sides == NULL)
        return af_arena_fail(&exec->arena, node->input_count * sizeof *sides, "an operator", err);
    AF_TRY(op_new(exec, node, inputs, sizeof(struct union_op), &union_ops, out, err));
    struct union_op *un = (struct union_op *)*out;
    un->sides = sides;
    un->has_time = node->schema.field_count != 0 && node->schema.fields[0].type == AF_TYPE_TIME;
    un->descending = node->merge.descending;
    mem_init(&un->key_mem, exec);
    for (size_t i = 0; i < node->input_count; i++) {
        groups_init(&sides[i].groups, exec, inputs[i]);
        sides[i].has_measurement = measurement_of(node->inputs[i], &sides[i].measurement);
    }
    return AF_OK;
}
