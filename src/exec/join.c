/*
 * join.c - JOIN: inputs side by side, by key and time.
 *
 *     input 0   t1 a      t3 b                 t1 a x
 *     input 1   t1 x t2 y t3 z t3 w   gives    t2 . y      . is what `absent` says
 *                                              t3 b z
 *                                              t3 . w
 *
 * Each input shows one table of its group at a time. Rows are listed, output row by output row, until an input has no row left to show;
 * then columns are built from the lists, and that input is pulled. Inputs that do not have the group at hand are absent from all of it.
 */
#include "exec/build.h"

struct side {
    struct groups groups;
    const struct af_group_key *key;      /* of the group it stands at; NULL: no more groups */
    bool has_group;                      /* the group at hand is its own */
    const struct af_table *table;        /* with rows to show; NULL: none left in this group */
    const int64_t *times;
    size_t row;
    uint32_t *rows;                      /* listed: of `table`, or NO_ROW */
    size_t first_column;                 /* in the output */
    size_t column_count;
    struct af_value *kept;               /* KEEP: the last value of each column in this group */
    struct mem text[2];                  /* of `kept`, by turns, once its table has gone away */
    unsigned turn;
};
struct join {
    struct op op;
    const struct af_plan_join *plan;
    struct side *sides;
    size_t side_count;
    const struct af_group_key *key;      /* of the group at hand; NULL: none */
    bool is_begun;
    int64_t *times;                      /* listed */
    size_t listed;
    struct build build;
};

/* --- pulling ---------------------------------------------------------------------------------------------------------------- */

/* Kept text that points into the table moves to memory of its own, for the table goes away. */
static enum af_status keep_text(struct side *side, struct af_error *err)
{
    if (side->kept == NULL)
        return AF_OK;
    struct mem *to = &side->text[side->turn ^ 1];
    for (size_t i = 0; i < side->column_count; i++) {
        struct af_value copy;
        if (!af_value_copy(&side->kept[i], &to->arena, &copy))
            return mem_fail(to, side->kept[i].text.len + 1, err);
        side->kept[i] = copy;
    }
    mem_reset(&side->text[side->turn]);
    side->turn ^= 1;
    return mem_charge(to, err);
}

static enum af_status pull(struct side *side, struct af_error *err)
{
    side->row = 0;
    do {
        AF_TRY(groups_next(&side->groups, &side->table, err));
    } while (side->table != NULL && side->table->rows->row_count == 0);
    side->times = side->table != NULL ? side->table->rows->columns[0].i64 : NULL;
    return AF_OK;
}

static int key_order(const struct join *join, const struct side *a, const struct side *b)
{
    int order = af_group_key_compare(a->key, b->key);
    return join->plan->descending ? -order : order;
}

static enum af_status next_keys(struct join *join, struct af_error *err)
{
    for (size_t i = 0; i < join->side_count; i++) {
        struct side *side = &join->sides[i];
        if (!join->is_begun || side->has_group)
            AF_TRY(groups_begin(&side->groups, &side->key, err));
        side->has_group = false;
    }
    join->is_begun = true;
    return AF_OK;
}

/* The group with the first key that any input has. */
static enum af_status begin_group(struct join *join, struct af_error *err)
{
    const struct side *first = NULL;
    join->key = NULL;
    AF_TRY(next_keys(join, err));
    for (size_t i = 0; i < join->side_count; i++)
        if (join->sides[i].key != NULL && (first == NULL || key_order(join, &join->sides[i], first) < 0))
            first = &join->sides[i];
    if (first == NULL)
        return AF_OK;
    for (size_t i = 0; i < join->side_count; i++) {
        struct side *side = &join->sides[i];
        side->has_group = side->key != NULL && key_order(join, side, first) == 0;
        side->table = NULL;
        for (size_t c = 0; side->kept != NULL && c < side->column_count; c++)
            side->kept[c] = af_value_none();
        if (side->has_group)
            AF_TRY(pull(side, err));
    }
    join->key = first->key;
    return AF_OK;
}

/* --- listing ---------------------------------------------------------------------------------------------------------------- */

/* How many rows from here on have equal times in all inputs: the usual case, listed in one go. 0 if an input shows nothing. */
static size_t equal_run(const struct join *join, size_t room)
{
    size_t run = room;
    const struct side *first = &join->sides[0];
    for (size_t i = 0; i < join->side_count; i++) {
        const struct side *side = &join->sides[i];
        if (side->table == NULL)
            return 0;
        size_t left = side->table->rows->row_count - side->row;
        run = left < run ? left : run;
    }
    for (size_t i = 1; i < join->side_count; i++) {
        const int64_t *a = first->times + first->row, *b = join->sides[i].times + join->sides[i].row;
        size_t n = 0;
        while (n < run && a[n] == b[n])
            n++;
        run = n;
    }
    return run;
}

static void list_run(struct join *join, size_t count)
{
    const struct side *first = &join->sides[0];
    memcpy(join->times + join->listed, first->times + first->row, count * sizeof *join->times);
    for (size_t i = 0; i < join->side_count; i++) {
        struct side *side = &join->sides[i];
        for (size_t j = 0; j < count; j++)
            side->rows[join->listed + j] = (uint32_t)(side->row + j);
        side->row += count;
    }
    join->listed += count;
}

static void list_row(struct join *join)
{
    bool is_first = true;
    int64_t time = 0;
    for (size_t i = 0; i < join->side_count; i++) {
        const struct side *side = &join->sides[i];
        if (side->table == NULL)
            continue;
        int64_t t = side->times[side->row];
        if (is_first || (join->plan->descending ? t > time : t < time))
            time = t;
        is_first = false;
    }
    for (size_t i = 0; i < join->side_count; i++) {
        struct side *side = &join->sides[i];
        bool has = side->table != NULL && side->times[side->row] == time;
        side->rows[join->listed] = has ? (uint32_t)side->row : NO_ROW;
        side->row += has;
    }
    join->times[join->listed++] = time;
}

/* Some input has shown all rows of its table. */
static bool needs_pull(const struct join *join)
{
    for (size_t i = 0; i < join->side_count; i++)
        if (join->sides[i].table != NULL && join->sides[i].row == join->sides[i].table->rows->row_count)
            return true;
    return false;
}

static bool is_over(const struct join *join)
{
    for (size_t i = 0; i < join->side_count; i++)
        if (join->sides[i].table != NULL)
            return false;
    return true;
}

static void list(struct join *join)
{
    size_t room = build_room(&join->build);
    while (join->listed < room && !needs_pull(join)) {
        size_t run = equal_run(join, room - join->listed);
        if (run != 0)
            list_run(join, run);
        else
            list_row(join);
    }
}

/* --- building --------------------------------------------------------------------------------------------------------------- */

/* The last of these rows that has a value is what is kept. */
static void keep_last(struct af_value *kept, const struct af_column *column, size_t first, size_t count)
{
    for (size_t i = first + count; i-- > first;)
        if (af_column_has(column, i)) {
            *kept = af_column_value(column, i);
            return;
        }
}

/* Rows in which the last value stands for nulls. */
static enum af_status build_kept(struct grower *grower, const struct af_column *column, struct af_value *kept, size_t first, size_t count,
                                 struct af_error *err)
{
    for (size_t i = first; i < first + count; i++) {
        if (af_column_has(column, i))
            *kept = af_column_value(column, i);
        AF_TRY(grower_value(grower, kept, err));
    }
    return AF_OK;
}

static enum af_status build_column(struct join *join, struct side *side, size_t c, struct af_error *err)
{
    struct grower *grower = &join->build.columns[side->first_column + c];
    const struct af_column *column = side->table != NULL ? &side->table->rows->columns[1 + c] : NULL;
    struct af_value absent = af_value_none();
    if (join->plan->absent == AF_ABSENT_VALUE)
        absent = join->plan->values[side->first_column - 1 + c];
    for (size_t i = 0, n; i < join->listed; i += n) {
        const uint32_t *rows = side->rows + i;
        size_t left = join->listed - i;
        n = 1;
        if (rows[0] == NO_ROW) {
            while (n < left && rows[n] == NO_ROW)
                n++;
            AF_TRY(build_repeat(grower, side->kept != NULL ? &side->kept[c] : &absent, n, err));
            continue;
        }
        while (n < left && rows[n] == rows[0] + n)
            n++;
        if (join->plan->nulls_too && side->kept != NULL) {
            AF_TRY(build_kept(grower, column, &side->kept[c], rows[0], n, err));
            continue;
        }
        AF_TRY(grower_rows(grower, column, rows[0], n, err));
        if (side->kept != NULL)
            keep_last(&side->kept[c], column, rows[0], n);
    }
    return AF_OK;
}

static enum af_status build_listed(struct join *join, struct af_error *err)
{
    if (join->listed == 0)
        return AF_OK;
    AF_TRY(build_times(&join->build, join->times, join->listed, err));
    for (size_t i = 0; i < join->side_count; i++)
        for (size_t c = 0; c < join->sides[i].column_count; c++)
            AF_TRY(build_column(join, &join->sides[i], c, err));
    join->build.rows += join->listed;
    join->listed = 0;
    return AF_OK;
}

static enum af_status pull_sides(struct join *join, struct af_error *err)
{
    for (size_t i = 0; i < join->side_count; i++) {
        struct side *side = &join->sides[i];
        if (side->table == NULL || side->row < side->table->rows->row_count)
            continue;
        AF_TRY(keep_text(side, err));
        AF_TRY(pull(side, err));
    }
    return AF_OK;
}

static enum af_status join_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct join *join = (struct join *)tables;
    *out = NULL;
    join->build = (struct build){ 0 };
    for (;;) {
        if (join->key == NULL) {
            AF_TRY(begin_group(join, err));
            if (join->key == NULL)
                return AF_OK;
        }
        AF_TRY(build_begin(&join->build, &join->op, arena, err));
        list(join);
        AF_TRY(build_listed(join, err));
        AF_TRY(pull_sides(join, err));
        if (build_room(&join->build) != 0 && !is_over(join))
            continue;
        AF_TRY(build_take(&join->build, join->key, out, err));
        if (is_over(join))
            join->key = NULL;
        if (*out != NULL)
            return AF_OK;
    }
}

static void join_close(struct af_tables *tables)
{
    struct join *join = (struct join *)tables;
    for (size_t i = 0; i < join->side_count; i++) {
        groups_done(&join->sides[i].groups);
        mem_done(&join->sides[i].text[0]);
        mem_done(&join->sides[i].text[1]);
    }
}

static enum af_status new_sides(struct exec *exec, const struct af_node *node, struct side **out, struct af_error *err)
{
    struct side *sides = af_arena_zero(&exec->arena, node->input_count, sizeof *sides);
    size_t column = 1;
    if (sides == NULL)
        return af_arena_fail(&exec->arena, node->input_count * sizeof *sides, "inputs of a join", err);
    for (size_t i = 0; i < node->input_count; i++) {
        struct side *side = &sides[i];
        side->first_column = column;
        side->column_count = node->inputs[i]->schema.field_count - 1;
        column += side->column_count;
        side->rows = af_arena_array(&exec->arena, AF_BATCH_ROWS, sizeof *side->rows);
        if (node->join.absent == AF_ABSENT_KEEP)
            side->kept = af_arena_zero(&exec->arena, side->column_count + 1, sizeof *side->kept);
        if (side->rows == NULL || (node->join.absent == AF_ABSENT_KEEP && side->kept == NULL))
            return af_arena_fail(&exec->arena, AF_BATCH_ROWS * sizeof *side->rows, "lists of a join", err);
    }
    *out = sides;
    return AF_OK;
}

enum af_status open_join(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    static const struct af_tables_ops ops = { join_next, join_close };
    struct side *sides = NULL;
    struct op *op;
    AF_TRY(new_sides(exec, node, &sides, err));
    int64_t *times = af_arena_array(&exec->arena, AF_BATCH_ROWS, sizeof *times);
    if (times == NULL)
        return af_arena_fail(&exec->arena, AF_BATCH_ROWS * sizeof *times, "lists of a join", err);
    AF_TRY(op_new(exec, node, inputs, sizeof(struct join), &ops, &op, err));
    struct join *join = (struct join *)op;
    join->plan = &node->join;
    join->sides = sides;
    join->side_count = node->input_count;
    join->times = times;
    for (size_t i = 0; i < join->side_count; i++) {
        groups_init(&sides[i].groups, exec, inputs[i]);
        mem_init(&sides[i].text[0], exec);
        mem_init(&sides[i].text[1], exec);
    }
    *out = op;
    return AF_OK;
}
