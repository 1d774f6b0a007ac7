/*
 * dedupe.c - DEDUPE: of rows of a group that are equal in all columns, the first.
 *
 * Where there is time, equal rows are neighbours in time: rows are remembered as long as the time stays, and a row that is alone at its
 * time is not looked at. Without time all rows of a group are remembered, under the budget. Floats are compared as bits.
 */
#include "base/hash.h"
#include "exec/exec_int.h"

struct seen_row {
    uint64_t hash;
    struct af_slice text;                /* the row, encoded */
};
struct dedupe_op {
    struct op op;
    struct mem key_mem, mem;
    const struct af_group_key *key;
    struct seen_row *rows;               /* in mem */
    size_t count, cap;
    uint32_t *slots;                     /* 1 + row; a power of two of them */
    size_t slot_count;
    int64_t time_ns;                     /* of the rows that are remembered */
    struct af_buf text;                  /* one row, encoded */
};

enum { DEDUPE_ROW_BYTES_MAX = 1 << 30 };

static void forget(struct dedupe_op *dedupe)
{
    if (dedupe->count == 0)
        return;
    mem_reset(&dedupe->mem);
    dedupe->rows = NULL;
    dedupe->slots = NULL;
    dedupe->count = dedupe->cap = dedupe->slot_count = 0;
}

/* A byte that says whether there is a value, then the value; text with its length. */
static enum af_status encode(struct dedupe_op *dedupe, const struct af_batch *batch, size_t row, struct af_error *err)
{
    af_buf_clear(&dedupe->text);
    for (size_t i = 0; i < batch->schema->field_count; i++) {
        struct af_value value = af_column_value(&batch->columns[i], row);
        af_buf_append_char(&dedupe->text, (char)value.type);
        if (value.type == AF_TYPE_STRING) {
            af_buf_append(&dedupe->text, &value.text.len, sizeof value.text.len);
            af_buf_append_slice(&dedupe->text, value.text);
        } else if (value.type == AF_TYPE_BOOL) {
            af_buf_append_char(&dedupe->text, value.boolean ? 1 : 0);
        } else if (value.type != AF_TYPE_NULL) {
            af_buf_append(&dedupe->text, &value.u64, sizeof value.u64);
        }
    }
    return af_buf_check(&dedupe->text, "a row", err);
}

/* --- the set ----------------------------------------------------------------------------------------------------------------------- */

/* The slot of the row, or the free one where it belongs. */
static uint32_t *slot_of(const struct dedupe_op *dedupe, uint64_t hash, struct af_slice text)
{
    size_t mask = dedupe->slot_count - 1, at = hash & mask;
    for (; dedupe->slots[at] != 0; at = (at + 1) & mask) {
        const struct seen_row *seen = &dedupe->rows[dedupe->slots[at] - 1];
        if (seen->hash == hash && af_slice_eq(seen->text, text))
            break;
    }
    return &dedupe->slots[at];
}

static enum af_status grow(struct dedupe_op *dedupe, struct af_error *err)
{
    if (dedupe->count < dedupe->cap)
        return AF_OK;
    size_t cap = dedupe->cap == 0 ? 16 : dedupe->cap * 2;
    if (cap > UINT32_MAX / 2)
        return mem_fail(&dedupe->mem, SIZE_MAX, err);
    struct seen_row *rows = af_arena_zero(&dedupe->mem.arena, cap, sizeof *rows);
    uint32_t *slots = af_arena_zero(&dedupe->mem.arena, cap * 2, sizeof *slots);
    if (rows == NULL || slots == NULL)
        return mem_fail(&dedupe->mem, cap * (sizeof *rows + 2 * sizeof *slots), err);
    if (dedupe->count != 0)
        memcpy(rows, dedupe->rows, dedupe->count * sizeof *rows);
    dedupe->rows = rows;
    dedupe->slots = slots;
    dedupe->cap = cap;
    dedupe->slot_count = cap * 2;
    for (size_t i = 0; i < dedupe->count; i++) {
        size_t at = rows[i].hash & (dedupe->slot_count - 1);
        while (slots[at] != 0)
            at = (at + 1) & (dedupe->slot_count - 1);
        slots[at] = (uint32_t)(i + 1);
    }
    return AF_OK;
}

/* Remembers the row; was it there? */
static enum af_status add(struct dedupe_op *dedupe, const struct af_batch *batch, size_t row, bool *out_was_there, struct af_error *err)
{
    AF_TRY(encode(dedupe, batch, row, err));
    AF_TRY(grow(dedupe, err));
    struct af_slice text = af_buf_slice(&dedupe->text);
    uint64_t hash = af_hash_bytes(text.ptr, text.len, 0);
    uint32_t *slot = slot_of(dedupe, hash, text);
    *out_was_there = *slot != 0;
    if (*out_was_there)
        return AF_OK;
    char *copy = af_arena_copy(&dedupe->mem.arena, text);
    if (copy == NULL)
        return mem_fail(&dedupe->mem, text.len, err);
    dedupe->rows[dedupe->count++] = (struct seen_row){ hash, af_slice_make(copy, text.len) };
    *slot = (uint32_t)dedupe->count;
    return mem_charge(&dedupe->mem, err);
}

/* --- the operator ----------------------------------------------------------------------------------------------------------- */

static enum af_status note_group(struct dedupe_op *dedupe, const struct af_group_key *key, struct af_error *err)
{
    if (dedupe->key != NULL && af_group_key_compare(dedupe->key, key) == 0)
        return AF_OK;
    forget(dedupe);
    mem_reset(&dedupe->key_mem);
    dedupe->key = af_group_key_copy(key, &dedupe->key_mem.arena);
    return dedupe->key != NULL ? mem_charge(&dedupe->key_mem, err) : mem_fail(&dedupe->key_mem, 0, err);
}

/* Rows that are new. */
static enum af_status sift(struct dedupe_op *dedupe, const struct af_batch *batch, uint32_t *rows, size_t *out_count, struct af_error *err)
{
    bool has_time = batch->schema->field_count != 0 && batch->schema->fields[0].type == AF_TYPE_TIME;
    size_t count = 0;
    for (size_t row = 0; row < batch->row_count; row++) {
        bool was_there = false;
        if (has_time) {
            int64_t t = batch->columns[0].i64[row];
            if (dedupe->count != 0 && dedupe->time_ns != t)
                forget(dedupe);
            bool is_alone = dedupe->count == 0 && row + 1 < batch->row_count && batch->columns[0].i64[row + 1] != t;
            dedupe->time_ns = t;
            if (!is_alone)
                AF_TRY(add(dedupe, batch, row, &was_there, err));
        } else {
            AF_TRY(add(dedupe, batch, row, &was_there, err));
        }
        if (!was_there)
            rows[count++] = (uint32_t)row;
    }
    *out_count = count;
    return AF_OK;
}

static enum af_status dedupe_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct dedupe_op *dedupe = (struct dedupe_op *)tables;
    for (;;) {
        const struct af_table *table;
        size_t count = 0;
        AF_TRY(op_next(dedupe->op.inputs[0], arena, &table, err));
        *out = table;
        if (table == NULL)
            return AF_OK;
        AF_TRY(note_group(dedupe, table->key, err));
        uint32_t *rows = af_arena_array(arena, table->rows->row_count, sizeof *rows);
        if (rows == NULL)
            return af_arena_fail(arena, table->rows->row_count * sizeof *rows, "a list of rows", err);
        AF_TRY(sift(dedupe, table->rows, rows, &count, err));
        if (count == table->rows->row_count)
            return AF_OK;
        if (count == 0)
            continue;
        size_t column_count = table->rows->schema->field_count;
        struct af_column *columns = af_arena_zero(arena, column_count, sizeof *columns);
        if (columns == NULL)
            return af_arena_fail(arena, column_count * sizeof *columns, "a table", err);
        for (size_t i = 0; i < column_count; i++)
            AF_TRY(columns_gather(&table->rows->columns[i], rows, count, arena, &columns[i], err));
        return table_make(&dedupe->op, table->key, columns, count, arena, out, err);
    }
}

static void dedupe_close(struct af_tables *tables)
{
    struct dedupe_op *dedupe = (struct dedupe_op *)tables;
    mem_done(&dedupe->key_mem);
    mem_done(&dedupe->mem);
    af_buf_done(&dedupe->text);
}

static const struct af_tables_ops dedupe_ops = { dedupe_next, dedupe_close };

enum af_status open_dedupe(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    AF_TRY(op_new(exec, node, inputs, sizeof(struct dedupe_op), &dedupe_ops, out, err));
    struct dedupe_op *dedupe = (struct dedupe_op *)*out;
    mem_init(&dedupe->key_mem, exec);
    mem_init(&dedupe->mem, exec);
    af_buf_init(&dedupe->text, DEDUPE_ROW_BYTES_MAX);
    return AF_OK;
}
