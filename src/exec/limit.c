/*
 * limit.c - LIMIT: rows [offset, offset + count) of each group; GROUP_LIMIT: groups [offset, offset + count).
 *
 * A table that is given out whole goes straight through, in the arena of the pull. While nothing of a group can be wanted any more, or
 * a whole table is surely skipped, tables are pulled into memory of our own that is reset each time, so that skipping a long group takes
 * none.
 */
#include "base/limits.h"
#include "exec/exec_int.h"

struct limit_op {
    struct op op;
    struct mem key_mem, skip_mem;
    const struct af_group_key *key;      /* of the group at hand, in key_mem; NULL: none yet */
    uint64_t skip, left;                 /* LIMIT: rows of this group; GROUP_LIMIT: groups, this one included once it is counted */
    bool is_wanted;                      /* GROUP_LIMIT: this group */
    bool is_done;
};

static void limit_close(struct af_tables *tables)
{
    struct limit_op *limit = (struct limit_op *)tables;
    mem_done(&limit->key_mem);
    mem_done(&limit->skip_mem);
}

static enum af_status open_any(struct exec *exec, const struct af_node *node, struct op **inputs, const struct af_tables_ops *ops,
                               struct op **out, struct af_error *err)
{
    AF_TRY(op_new(exec, node, inputs, sizeof(struct limit_op), ops, out, err));
    struct limit_op *limit = (struct limit_op *)*out;
    mem_init(&limit->key_mem, exec);
    mem_init(&limit->skip_mem, exec);
    limit->skip = node->limit.offset;
    limit->left = node->limit.count != 0 ? node->limit.count : UINT64_MAX;
    return AF_OK;
}

/* Is this the first table of a group? */
static enum af_status note_group(struct limit_op *limit, const struct af_group_key *key, bool *out_is_new, struct af_error *err)
{
    *out_is_new = limit->key == NULL || af_group_key_compare(limit->key, key) != 0;
    if (!*out_is_new)
        return AF_OK;
    mem_reset(&limit->key_mem);
    limit->key = af_group_key_copy(key, &limit->key_mem.arena);
    return limit->key != NULL ? mem_charge(&limit->key_mem, err) : mem_fail(&limit->key_mem, 0, err);
}

/* Rows [first, first + count) of a table. `is_foreign`: it is not in the arena of the pull. */
static enum af_status cut(struct limit_op *limit, const struct af_table *table, size_t first, size_t count, bool is_foreign,
                          struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    if (!is_foreign && first == 0 && count == table->rows->row_count) {
        *out = table;
        return AF_OK;
    }
    size_t column_count = table->rows->schema->field_count;
    struct af_column *columns = af_arena_zero(arena, column_count, sizeof *columns);
    if (columns == NULL)
        return af_arena_fail(arena, column_count * sizeof *columns, "a table", err);
    for (size_t i = 0; i < column_count; i++) {
        struct af_column part;
        AF_TRY(columns_slice(&table->rows->columns[i], first, count, arena, &part, err));
        if (!is_foreign)
            columns[i] = part;
        else
            AF_TRY(columns_copy(&part, count, arena, &columns[i], err));
    }
    return table_make(&limit->op, table->key, columns, count, arena, out, err);
}

/* The next table of the input; `is_skipping`: into memory of our own. */
static enum af_status pull(struct limit_op *limit, bool is_skipping, struct af_arena *arena, const struct af_table **out,
                           struct af_error *err)
{
    mem_reset(&limit->skip_mem);
    AF_TRY(op_next(limit->op.inputs[0], is_skipping ? &limit->skip_mem.arena : arena, out, err));
    return mem_charge(&limit->skip_mem, err);
}

/* --- rows ------------------------------------------------------------------------------------------------------------------------- */

static enum af_status limit_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct limit_op *limit = (struct limit_op *)tables;
    const struct af_plan_limit *settings = &limit->op.node->limit;
    for (;;) {
        const struct af_table *table;
        bool is_new, is_skipping = limit->key != NULL && (limit->left == 0 || limit->skip >= AF_BATCH_ROWS);
        AF_TRY(pull(limit, is_skipping, arena, &table, err));
        if (table == NULL) {
            *out = NULL;
            return AF_OK;
        }
        AF_TRY(note_group(limit, table->key, &is_new, err));
        if (is_new) {
            limit->skip = settings->offset;
            limit->left = settings->count != 0 ? settings->count : UINT64_MAX;
        }
        size_t rows = table->rows->row_count;
        size_t first = limit->skip < rows ? (size_t)limit->skip : rows;
        size_t count = limit->left < rows - first ? (size_t)limit->left : rows - first;
        limit->skip -= first;
        limit->left -= count;
        if (count != 0)
            return cut(limit, table, first, count, is_skipping, arena, out, err);
    }
}

static const struct af_tables_ops limit_ops = { limit_next, limit_close };

enum af_status open_limit(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    return open_any(exec, node, inputs, &limit_ops, out, err);
}

/* --- groups ------------------------------------------------------------------------------------------------------------------------ */

/* A group begins: is it one of those that are wanted? */
static void begin_group(struct limit_op *limit)
{
    limit->is_wanted = limit->skip == 0 && limit->left != 0;
    limit->is_done = limit->skip == 0 && limit->left == 0;
    if (limit->skip != 0)
        limit->skip--;
    else if (limit->left != 0)
        limit->left--;
}

static enum af_status group_limit_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct limit_op *limit = (struct limit_op *)tables;
    *out = NULL;
    while (!limit->is_done) {
        const struct af_table *table;
        bool is_new, is_skipping = limit->key == NULL ? limit->skip != 0 : !limit->is_wanted;
        AF_TRY(pull(limit, is_skipping, arena, &table, err));
        if (table == NULL) {
            limit->is_done = true;
            break;
        }
        AF_TRY(note_group(limit, table->key, &is_new, err));
        if (is_new)
            begin_group(limit);
        if (limit->is_wanted)
            return cut(limit, table, 0, table->rows->row_count, is_skipping, arena, out, err);
    }
    return AF_OK;
}

static const struct af_tables_ops group_limit_ops = { group_limit_next, limit_close };

enum af_status open_group_limit(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    return open_any(exec, node, inputs, &group_limit_ops, out, err);
}
