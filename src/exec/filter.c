/*
 * filter.c - FILTER: rows for which an expression is true.
 *
 * Tables that pass whole are handed on as they came, so the first one of a pull is made in the caller's arena. Where nothing of it is left,
 * the next ones go through an arena of our own, or a long stretch of rows that do not pass would pile up in the caller's.
 */
#include "exec/exec_int.h"

struct filter {
    struct op op;
    struct mem mem;
};

static enum af_status pick(const struct op *op, const struct af_table *table, const uint32_t *rows, size_t count, struct af_arena *arena,
                           const struct af_table **out, struct af_error *err)
{
    size_t column_count = op->node->schema.field_count;
    struct af_column *columns = af_arena_zero(arena, column_count, sizeof *columns);
    if (columns == NULL)
        return arena_fail(arena, column_count * sizeof *columns, err);
    for (size_t i = 0; i < column_count; i++)
        AF_TRY(columns_gather(&table->rows->columns[i], rows, count, arena, &columns[i], err));
    return table_make(op, table->key, columns, count, arena, out, err);
}

static enum af_status filter_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct filter *filter = (struct filter *)tables;
    struct af_arena *work = arena;
    for (;;) {
        const struct af_table *table;
        uint32_t *rows;
        size_t count;
        mem_reset(&filter->mem);
        AF_TRY(op_next(filter->op.inputs[0], work, &table, err));
        if (table == NULL)
            return AF_OK;
        AF_TRY(eval_filter(filter->op.node->filter, table->rows, work, &rows, &count, err));
        if (count == table->rows->row_count && work == arena) {
            *out = table;
            return AF_OK;
        }
        if (count > 0)
            return pick(&filter->op, table, rows, count, arena, out, err);
        work = &filter->mem.arena;
    }
}

static void filter_close(struct af_tables *tables)
{
    mem_done(&((struct filter *)tables)->mem);
}

static const struct af_tables_ops filter_ops = { filter_next, filter_close };

enum af_status open_filter(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    AF_TRY(op_new(exec, node, inputs, sizeof(struct filter), &filter_ops, out, err));
    mem_init(&((struct filter *)*out)->mem, exec);
    return AF_OK;
}
