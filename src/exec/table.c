/*
 * table.c - tables made, gathered, and taken group by group; see exec_int.h.
 */
#include "exec/exec_int.h"

enum af_status table_make(const struct op *op, const struct af_group_key *key, const struct af_column *columns, size_t rows,
                          struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct made {
        struct af_table table;
        struct af_batch batch;
        struct af_column columns[];
    };
    size_t column_bytes = op->node->schema.field_count * sizeof *columns;
    struct made *made = af_arena_alloc(arena, sizeof *made + column_bytes);
    const struct af_group_key *own_key = af_group_key_copy(key, arena);
    if (made == NULL || own_key == NULL)
        return af_arena_fail(arena, sizeof *made + column_bytes, "a table", err);
    if (column_bytes != 0)
        memcpy(made->columns, columns, column_bytes);
    made->batch = (struct af_batch){ .schema = &op->node->schema, .row_count = rows, .columns = made->columns };
    made->table = (struct af_table){ .key = own_key, .rows = &made->batch };
    *out = &made->table;
    return AF_OK;
}

/* --- rows of one group gathered ------------------------------------------------------------------------------------------------- */

static enum af_status make_growers(struct gathered *gathered, struct af_error *err)
{
    const struct af_schema *schema = gathered->schema;
    gathered->columns = af_arena_zero(&gathered->mem.arena, schema->field_count, sizeof *gathered->columns);
    if (gathered->columns == NULL)
        return mem_fail(&gathered->mem, schema->field_count * sizeof *gathered->columns, err);
    for (size_t i = 0; i < schema->field_count; i++)
        grower_init(&gathered->columns[i], schema->fields[i].type, &gathered->mem.arena);
    return AF_OK;
}

enum af_status gathered_init(struct gathered *gathered, struct exec *exec, const struct af_schema *schema, struct af_error *err)
{
    (void)err; /* the columns are made with the first table */
    *gathered = (struct gathered){ .schema = schema };
    mem_init(&gathered->mem, exec);
    return AF_OK;
}

enum af_status gathered_add(struct gathered *gathered, const struct af_table *table, struct af_error *err)
{
    if (gathered->columns == NULL)
        AF_TRY(make_growers(gathered, err));
    if (gathered->key == NULL) {
        gathered->key = af_group_key_copy(table->key, &gathered->mem.arena);
        if (gathered->key == NULL)
            return mem_fail(&gathered->mem, 0, err);
    }
    for (size_t i = 0; i < gathered->schema->field_count; i++)
        AF_TRY(grower_rows(&gathered->columns[i], &table->rows->columns[i], 0, table->rows->row_count, err));
    gathered->rows += table->rows->row_count;
    return mem_charge(&gathered->mem, err);
}

void gathered_column(const struct gathered *gathered, size_t column, struct af_column *out)
{
    grower_column(&gathered->columns[column], out);
}

enum af_status gathered_table(const struct gathered *gathered, const struct op *op, size_t first, size_t count, struct af_arena *arena,
                              const struct af_table **out, struct af_error *err)
{
    size_t column_count = gathered->schema->field_count;
    struct af_column *columns = af_arena_zero(arena, column_count, sizeof *columns);
    if (columns == NULL)
        return af_arena_fail(arena, column_count * sizeof *columns, "a table", err);
    for (size_t i = 0; i < column_count; i++) {
        struct af_column all, part;
        gathered_column(gathered, i, &all);
        AF_TRY(columns_slice(&all, first, count, arena, &part, err));
        AF_TRY(columns_copy(&part, count, arena, &columns[i], err));
    }
    return table_make(op, gathered->key, columns, count, arena, out, err);
}

void gathered_clear(struct gathered *gathered)
{
    mem_reset(&gathered->mem);
    gathered->columns = NULL;
    gathered->key = NULL;
    gathered->rows = 0;
}

void gathered_done(struct gathered *gathered)
{
    mem_done(&gathered->mem);
    *gathered = (struct gathered){ 0 };
}

/* --- groups of an input --------------------------------------------------------------------------------------------------------- */

void groups_init(struct groups *groups, struct exec *exec, struct op *input)
{
    *groups = (struct groups){ .input = input };
    mem_init(&groups->mem, exec);
    mem_init(&groups->key_mem, exec);
}

static enum af_status look_ahead(struct groups *groups, struct af_error *err)
{
    if (groups->ahead != NULL || groups->is_done)
        return AF_OK;
    mem_reset(&groups->mem);
    const struct af_table *table = NULL;
    AF_TRY(op_next(groups->input, &groups->mem.arena, &table, err));
    groups->ahead = table;
    groups->is_done = table == NULL;
    return mem_charge(&groups->mem, err);
}

static bool is_ahead_of_group(const struct groups *groups)
{
    return groups->ahead != NULL && af_group_key_compare(groups->ahead->key, groups->key) == 0;
}

enum af_status groups_begin(struct groups *groups, const struct af_group_key **out, struct af_error *err)
{
    AF_TRY(look_ahead(groups, err));
    while (groups->key != NULL && is_ahead_of_group(groups)) {
        groups->ahead = NULL;
        AF_TRY(look_ahead(groups, err));
    }
    groups->key = NULL;
    mem_reset(&groups->key_mem);
    if (groups->ahead != NULL) {
        groups->key = af_group_key_copy(groups->ahead->key, &groups->key_mem.arena);
        if (groups->key == NULL)
            return mem_fail(&groups->key_mem, 0, err);
    }
    *out = groups->key;
    return AF_OK;
}

enum af_status groups_next(struct groups *groups, const struct af_table **out, struct af_error *err)
{
    *out = NULL;
    AF_TRY(look_ahead(groups, err));
    if (!is_ahead_of_group(groups))
        return AF_OK;
    *out = groups->ahead;
    groups->ahead = NULL;
    return AF_OK;
}

void groups_done(struct groups *groups)
{
    mem_done(&groups->mem);
    mem_done(&groups->key_mem);
    *groups = (struct groups){ 0 };
}
