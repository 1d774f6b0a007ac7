/* empty.c - EMPTY: no tables. */
#include "exec/exec_int.h"

static enum af_status empty_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    (void)tables, (void)arena, (void)err;
    *out = NULL;
    return AF_OK;
}

static void empty_close(struct af_tables *tables)
{
    (void)tables;
}

static const struct af_tables_ops empty_ops = { empty_next, empty_close };

enum af_status open_empty(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    return op_new(exec, node, inputs, sizeof(struct op), &empty_ops, out, err);
}
