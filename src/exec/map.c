/*
 * map.c - MAP: other columns out of those of the input, row by row. Time goes along as the first column unless the node drops it.
 *
 * As in filter.c the first table of a pull is made in the caller's arena, and further ones only where a whole table fell to `drops_empty`.
 */
#include "exec/exec_int.h"

struct map {
    struct op op;
    struct mem mem;
    bool has_time;
};

static enum af_status expand(const struct af_vector *vector, size_t rows, struct af_arena *arena, struct af_column *out,
                             struct af_error *err)
{
    if (!vector->is_constant) {
        *out = vector->column;
        return AF_OK;
    }
    struct af_value value = af_column_value(&vector->column, 0);
    return columns_constant(vector->column.type, &value, rows, arena, out, err);
}

/* Parts of the group's key as columns; "" where there is no such part. */
static enum af_status add_keys(const struct map *map, const struct af_group_key *key, size_t rows, struct af_arena *arena,
                               struct af_column *columns, struct af_error *err)
{
    const struct af_plan_map *settings = &map->op.node->map;
    for (size_t i = 0; i < settings->key_count; i++) {
        const struct af_value *part = af_group_key_find(key, settings->keys[i]);
        struct af_value text = part != NULL && part->type == AF_TYPE_STRING ? *part : af_value_text(AF_SLICE_LIT(""));
        AF_TRY(columns_constant(AF_TYPE_STRING, &text, rows, arena, &columns[i], err));
    }
    return AF_OK;
}

static enum af_status eval_columns(const struct map *map, const struct af_table *table, struct af_arena *arena, struct af_column *columns,
                                   struct af_error *err)
{
    const struct af_plan_map *settings = &map->op.node->map;
    const struct af_batch *rows = table->rows;
    struct af_column *at = columns;
    if (map->has_time)
        *at++ = rows->columns[0];
    for (size_t i = 0; i < settings->count; i++) {
        struct af_vector vector = { .is_constant = false };
        AF_TRY(eval_expr(settings->exprs[i], rows, arena, &vector, err));
        AF_TRY(expand(&vector, rows->row_count, arena, at++, err));
    }
    return add_keys(map, table->key, rows->row_count, arena, at, err);
}

/* What is left of the columns without empty rows: in `arena`, wherever they are now. */
static enum af_status drop_empty(const struct map *map, struct af_column *columns, size_t *rows, struct af_arena *work,
                                 struct af_arena *arena, struct af_error *err)
{
    size_t column_count = map->op.node->schema.field_count;
    uint32_t *list;
    size_t count;
    /* Neither time nor the key says that there is something in a row. */
    AF_TRY(rows_present(columns + map->has_time, map->op.node->map.count, *rows, work, &list, &count, err));
    for (size_t i = 0; count > 0 && i < column_count; i++) {
        struct af_column whole = columns[i];
        if (list != NULL)
            AF_TRY(columns_gather(&whole, list, count, arena, &columns[i], err));
        else if (work != arena)
            AF_TRY(columns_copy(&whole, count, arena, &columns[i], err));
    }
    *rows = count;
    return AF_OK;
}

static enum af_status map_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct map *map = (struct map *)tables;
    const struct af_node *node = map->op.node;
    struct af_arena *work = arena;
    for (;;) {
        const struct af_table *table;
        mem_reset(&map->mem);
        AF_TRY(op_next(map->op.inputs[0], work, &table, err));
        if (table == NULL)
            return AF_OK;
        size_t rows = table->rows->row_count;
        struct af_column *columns = af_arena_zero(work, node->schema.field_count, sizeof *columns);
        if (columns == NULL)
            return arena_fail(work, node->schema.field_count * sizeof *columns, err);
        AF_TRY(eval_columns(map, table, work, columns, err));
        if (node->map.drops_empty)
            AF_TRY(drop_empty(map, columns, &rows, work, arena, err));
        if (rows > 0 || !node->map.drops_empty)
            return table_make(&map->op, table->key, columns, rows, arena, out, err);
        work = &map->mem.arena;
    }
}

static void map_close(struct af_tables *tables)
{
    mem_done(&((struct map *)tables)->mem);
}

static const struct af_tables_ops map_ops = { map_next, map_close };

enum af_status open_map(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    AF_TRY(op_new(exec, node, inputs, sizeof(struct map), &map_ops, out, err));
    struct map *map = (struct map *)*out;
    mem_init(&map->mem, exec);
    map->has_time = !node->map.drops_time;
    return AF_OK;
}
