/*
 * arrow_import.c - rows of an ArrowArray as a batch.
 *
 *     root (struct) --- child --- child (struct) --- leaf       row r of the table is row r + root.offset of the root's children,
 *                                                               and so on down: offsets add up, validity is what all on the way have
 *
 * A dictionary of text becomes an af_dict, kept from array to array while its content stays: what a mapping knows of it stays good then.
 * Dictionaries of other values are looked up, row by row.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "ffi/ffi_int.h"

/* Nodes from the root to a leaf, with the row of each where a batch begins. */
struct route {
    struct arrow_at at[ARROW_DEPTH_MAX + 1];
    size_t count;
};

static enum af_status check_node(const struct ArrowArray *array, const char *name, struct af_error *err)
{
    if (array == NULL || array->length < 0 || array->offset < 0 || array->null_count < -1 || array->n_buffers < 0 ||
        array->n_children < 0 ||
        (array->n_buffers > 0 && array->buffers == NULL) || (array->n_children > 0 && array->children == NULL) ||
        array->length > INT64_MAX / 32 - array->offset)
        return af_fail(err, AF_EINVAL, "column '%s': an Arrow array whose lengths cannot be", name);
    return AF_OK;
}

/* `first`: a row of the table. */
static enum af_status find_route(const struct arrow_table *table, const struct ArrowArray *root, size_t column, size_t first,
                                 struct route *out, struct af_error *err)
{
    const struct arrow_column *col = &table->columns[column];
    const char *name = table->schema.fields[column].name;
    const struct ArrowArray *array = root;
    size_t row = first;
    AF_TRY(check_node(root, name, err));
    out->count = 0;
    for (size_t i = 0;; i++) {
        row += (size_t)array->offset;
        out->at[out->count++] = (struct arrow_at){ array, row };
        if (i == col->depth)
            return AF_OK;
        if (col->path[i] >= (size_t)array->n_children)
            return af_fail(err, AF_EINVAL, "column '%s': an Arrow array with %lld children, fewer than its schema says", name,
                           (long long)array->n_children);
        const struct ArrowArray *child = array->children[col->path[i]];
        AF_TRY(check_node(child, name, err));
        if ((uint64_t)child->length < (uint64_t)array->offset + (uint64_t)array->length)
            return af_fail(err, AF_EINVAL, "column '%s': an Arrow array of %lld rows where %lld are needed", name,
                           (long long)child->length, (long long)(array->offset + array->length));
        array = child;
    }
}

/* --- validity -------------------------------------------------------------------------------------------------------------- */

static enum af_status and_bits(const uint64_t *more, size_t rows, struct af_arena *arena, const uint64_t **validity, struct af_error *err)
{
    if (*validity == NULL) {
        *validity = more;
        return AF_OK;
    }
    uint64_t *both = af_bits_new(arena, rows, false);
    if (both == NULL)
        return af_arena_fail(arena, rows / 8, "a column", err);
    for (size_t i = 0; i < af_bit_words(rows); i++)
        both[i] = more[i] & (*validity)[i];
    *validity = both;
    return AF_OK;
}

static enum af_status find_validity(const struct route *route, size_t rows, struct af_arena *arena, struct af_column *col,
                                    struct af_error *err)
{
    for (size_t i = 0; i < route->count; i++) {
        const void *bitmap = arrow_buffer(route->at[i].array, 0);
        if (bitmap == NULL || route->at[i].array->null_count == 0 || rows == 0)
            continue;
        const uint64_t *bits = arrow_bits(bitmap, route->at[i].row, rows, arena);
        if (bits == NULL)
            return af_arena_fail(arena, rows / 8, "a column", err);
        AF_TRY(and_bits(bits, rows, arena, &col->validity, err));
    }
    return AF_OK;
}

/* What `invalid` marks is null too; rows that were null anyway are not marked. */
static enum af_status settle_validity(struct af_column *col, size_t rows, struct af_arena *arena, struct af_error *err)
{
    if (col->invalid != NULL) {
        uint64_t *wrong = (uint64_t *)col->invalid, *valid = af_bits_new(arena, rows, true);
        if (valid == NULL)
            return af_arena_fail(arena, rows / 8, "a column", err);
        for (size_t i = 0; i < af_bit_words(rows); i++) {
            const uint64_t had = col->validity != NULL ? col->validity[i] : valid[i];
            valid[i] = had & ~wrong[i];
            wrong[i] &= had;
        }
        col->validity = valid;
        if (af_bits_count(wrong, rows) == 0)
            col->invalid = NULL, col->invalid_why = NULL;
    }
    col->null_count = col->validity != NULL ? rows - af_bits_count(col->validity, rows) : 0;
    if (col->null_count == 0)
        col->validity = NULL;
    return AF_OK;
}

/* --- dictionaries ---------------------------------------------------------------------------------------------------------- */

static bool is_same_dict(const struct af_dict *dict, const struct af_column *text, size_t count)
{
    if (dict == NULL || dict->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!af_slice_eq(af_dict_get(dict, (uint32_t)i), af_column_text(text, i)))
            return false;
    return true;
}

/* Entries without a value; an owned bitmap, or NULL: there are none. */
static enum af_status keep_nulls(struct arrow_column *column, struct af_column *text, size_t count, struct af_arena *arena,
                                 struct af_error *err)
{
    AF_TRY(settle_validity(text, count, arena, err));
    af_free(column->dict_nulls);
    column->dict_nulls = NULL;
    if (text->validity == NULL)
        return AF_OK;
    const size_t words = af_bit_words(count);
    column->dict_nulls = af_alloc_zero(words, sizeof *column->dict_nulls);
    if (column->dict_nulls == NULL)
        return af_fail_nomem(err, "a dictionary");
    for (size_t i = 0; i < words; i++)
        column->dict_nulls[i] = ~text->validity[i];
    return AF_OK;
}

static enum af_status take_dict(struct arrow_column *column, const struct ArrowArray *values, struct af_arena *arena, struct af_error *err)
{
    struct af_column text = { .type = column->cells.type };
    struct route route = { .at[0] = { values, (size_t)values->offset }, .count = 1 };
    const size_t count = (size_t)values->length;
    if (count > INT32_MAX)
        return af_fail(err, AF_ELIMIT, "a dictionary of %zu entries", count);
    AF_TRY(arrow_values(&column->cells, route.at[0], count, arena, &text, err));
    AF_TRY(find_validity(&route, count, arena, &text, err));
    AF_TRY(keep_nulls(column, &text, count, arena, err));
    if (is_same_dict(column->dict, &text, count))
        return AF_OK;
    af_dict_unref(column->dict);
    column->dict = NULL;
    return af_dict_new(text.offsets, text.bytes, (uint32_t)count, &column->dict, err);
}

static enum af_status begin_dictionary(struct arrow_table *table, const struct ArrowArray *root, size_t column, struct af_error *err)
{
    struct arrow_column *col = &table->columns[column];
    struct route route;
    AF_TRY(find_route(table, root, column, 0, &route, err));
    const struct ArrowArray *values = route.at[route.count - 1].array->dictionary;
    AF_TRY(check_node(values, table->schema.fields[column].name, err));
    col->dict_of = values;
    if (!af_type_is_text(col->cells.type))
        return AF_OK;
    struct af_arena arena;
    af_arena_init(&arena, AF_BATCH_ARENA_BYTES_MAX);
    enum af_status status = take_dict(col, values, &arena, err);
    af_arena_done(&arena);
    return status;
}

enum af_status arrow_array_begin(struct arrow_table *table, const struct ArrowArray *array, const size_t *wanted, size_t count,
                                 struct af_error *err)
{
    struct route route;
    AF_TRY(check_node(array, "", err));
    for (size_t i = 0; i < count; i++) {
        const struct arrow_column *col = &table->columns[wanted[i]];
        const char *name = table->schema.fields[wanted[i]].name;
        if (col->unsupported != NULL)
            return af_fail(err, AF_EUNSUPPORTED, "column '%s' is %s, which afluxo does not read: cast it or leave it out", name,
                           col->unsupported);
        AF_TRY(find_route(table, array, wanted[i], 0, &route, err));
        enum af_status status = col->has_codes ? begin_dictionary(table, array, wanted[i], err) : AF_OK;
        if (status != AF_OK) {
            af_error_prefix(err, "column '%s': ", name);
            return status;
        }
    }
    return AF_OK;
}

/* Every entry of a dictionary of numbers, then one of them a row; what uses an invalid one is invalid. */
static enum af_status look_up(const struct arrow_column *column, const uint32_t *codes, size_t rows, struct af_arena *arena,
                              struct af_column *col, struct af_error *err)
{
    const struct ArrowArray *values = column->dict_of;
    struct route route = { .at[0] = { values, (size_t)values->offset }, .count = 1 };
    struct af_column entries = { .type = col->type };
    const size_t count = (size_t)values->length, size = col->type == AF_TYPE_DECIMAL ? 16 : 8;
    AF_TRY(arrow_values(&column->cells, route.at[0], count, arena, &entries, err));
    AF_TRY(find_validity(&route, count, arena, &entries, err));
    AF_TRY(settle_validity(&entries, count, arena, err));
    char *to = af_arena_array(arena, rows, size);
    uint64_t *valid = af_bits_new(arena, rows, true), *bits = af_bits_new(arena, rows, false);
    uint64_t *wrong = entries.invalid != NULL ? af_bits_new(arena, rows, false) : NULL;
    if (to == NULL || valid == NULL || bits == NULL || (entries.invalid != NULL && wrong == NULL))
        return af_arena_fail(arena, rows * size, "a column", err);
    col->invalid = wrong;
    col->invalid_why = entries.invalid_why;
    for (size_t i = 0; i < rows; i++) {
        const bool is_used = col->validity == NULL || af_bit_get(col->validity, i);
        if (is_used && wrong != NULL && af_bit_get(entries.invalid, codes[i]))
            af_bit_set(wrong, i); /* settle_validity makes it null */
        else if (!is_used || !af_column_has(&entries, codes[i]))
            af_bit_clear(valid, i);
        else if (col->type != AF_TYPE_BOOL)
            memcpy(to + i * size, (const char *)entries.values + codes[i] * size, size);
        else if (af_bit_get(entries.bits, codes[i]))
            af_bit_set(bits, i);
    }
    col->validity = valid;
    col->values = col->type == AF_TYPE_BOOL ? (void *)bits : to;
    return AF_OK;
}

static enum af_status drop_null_entries(const uint64_t *nulls, const uint32_t *codes, size_t rows, struct af_arena *arena,
                                        struct af_column *col, struct af_error *err)
{
    uint64_t *valid = af_bits_new(arena, rows, true);
    if (valid == NULL)
        return af_arena_fail(arena, rows / 8, "a column", err);
    for (size_t i = 0; i < rows; i++)
        if ((col->validity != NULL && !af_bit_get(col->validity, i)) || af_bit_get(nulls, codes[i]))
            af_bit_clear(valid, i);
    col->validity = valid;
    return AF_OK;
}

static enum af_status coded(const struct arrow_column *column, struct arrow_at at, size_t rows, struct af_arena *arena,
                            struct af_column *col, struct af_error *err)
{
    const uint32_t *codes = NULL;
    const size_t entries = (size_t)column->dict_of->length;
    AF_TRY(arrow_codes(&column->codes, at, rows, entries, col->validity, arena, &codes, err));
    if (!af_type_is_text(column->cells.type))
        return look_up(column, codes, rows, arena, col, err);
    AF_TRY(af_dict_hold(column->dict, arena, err));
    col->codes = codes;
    col->dict = column->dict;
    return column->dict_nulls != NULL ? drop_null_entries(column->dict_nulls, codes, rows, arena, col, err) : AF_OK;
}

/* --- a batch --------------------------------------------------------------------------------------------------------------- */

static size_t text_bytes(const struct arrow_table *table, const struct ArrowArray *array, const size_t *wanted, size_t count, size_t first,
                         size_t rows)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const struct arrow_column *col = &table->columns[wanted[i]];
        struct route route;
        if (col->has_codes || !af_type_is_text(col->cells.type) || find_route(table, array, wanted[i], first, &route, NULL) != AF_OK)
            continue;
        size_t bytes = arrow_text_span(&col->cells, route.at[route.count - 1], rows);
        sum += bytes <= INT64_MAX ? bytes : 0; /* what is wrong the import will say, with the column's name */
    }
    return sum;
}

enum af_status arrow_rows(const struct arrow_table *table, const struct ArrowArray *array, const size_t *wanted, size_t count, size_t first,
                          size_t *out_rows, struct af_error *err)
{
    size_t rows = (size_t)array->length - first < AF_BATCH_ROWS ? (size_t)array->length - first : AF_BATCH_ROWS;
    while (rows > 1 && text_bytes(table, array, wanted, count, first, rows) > AF_BATCH_TEXT_BYTES_MAX)
        rows /= 2;
    if (rows == 1 && text_bytes(table, array, wanted, count, first, 1) > AF_BATCH_TEXT_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "a row with more than %d bytes of text", (int)AF_BATCH_TEXT_BYTES_MAX);
    *out_rows = rows;
    return AF_OK;
}

static enum af_status import_column(struct arrow_table *table, const struct ArrowArray *array, size_t column, size_t first, size_t rows,
                                    struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    const struct arrow_column *col = &table->columns[column];
    struct route route;
    *out = (struct af_column){ .type = col->cells.type, .scale = col->cells.scale };
    AF_TRY(find_route(table, array, column, first, &route, err));
    if (col->cells.layout == ARROW_NONE) {
        out->null_count = rows;
        return AF_OK;
    }
    struct arrow_at leaf = route.at[route.count - 1];
    AF_TRY(find_validity(&route, rows, arena, out, err));
    AF_TRY(col->has_codes ? coded(col, leaf, rows, arena, out, err) : arrow_values(&col->cells, leaf, rows, arena, out, err));
    return settle_validity(out, rows, arena, err);
}

enum af_status arrow_import(struct arrow_table *table, const struct ArrowArray *array, const size_t *wanted, size_t count, size_t first,
                            size_t rows, struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    for (size_t i = 0; i < count; i++) {
        enum af_status status = import_column(table, array, wanted[i], first, rows, arena, &out[i], err);
        if (status != AF_OK) {
            af_error_prefix(err, "column '%s': ", table->schema.fields[wanted[i]].name);
            return status;
        }
    }
    return AF_OK;
}
