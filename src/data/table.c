/*
 * table.c - tables made by hand; see table.h.
 *
 * Cells are collected row by row and turned into columns when a table is pulled, in pieces of at most AF_BATCH_ROWS rows. A table that
 * got no rows is handed out too: its columns are the answer.
 */
#include "data/table.h"
#include "base/limits.h"
#include <stdlib.h>

enum { CHUNK_BITS = 10, CHUNK_CELLS = 1 << CHUNK_BITS, FIRST_CELLS = 16 };

struct made_table {
    struct made_table *next;
    struct af_group_key key;
    struct af_key_part *parts; /* key.parts, to grow */
    size_t part_cap;
    struct af_schema schema;
    struct af_field *fields;   /* schema.fields; types are known at the end */
    struct af_value **chunks;  /* of CHUNK_CELLS cells, row after row; while there is one only, of `cell_cap` */
    size_t chunk_count, chunk_cap;
    size_t cell_count, cell_cap;
};

struct af_made {
    struct af_tables base;
    struct af_arena *arena;
    struct made_table *first, *last;
    struct af_error error; /* the first failure; status AF_OK: none */
    size_t next_row;       /* pulling: of `first`, which is the table at hand */
};

static enum af_status made_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err);
static void made_close(struct af_tables *tables)
{
    (void)tables;
}
static const struct af_tables_ops made_ops = { made_next, made_close };

struct af_made *af_made_new(struct af_arena *arena)
{
    struct af_made *made = af_arena_zero(arena, 1, sizeof *made);
    if (made == NULL)
        return NULL;
    made->base.ops = &made_ops;
    made->arena = arena;
    return made;
}

/* --- making -------------------------------------------------------------------------------------------------------------------- */

static bool has_failed(const struct af_made *made)
{
    return made->error.status != AF_OK;
}

static void fail_memory(struct af_made *made, size_t bytes)
{
    (void)af_arena_fail(made->arena, bytes, "a table", &made->error);
}

/* An array of arena memory, twice as large: the old one stays behind until the arena is reset. NULL: no memory, remembered. */
static void *grown(struct af_made *made, const void *old, size_t count, size_t *cap, size_t each)
{
    size_t new_cap = *cap == 0 ? 16 : *cap * 2;
    void *array = af_arena_zero(made->arena, new_cap, each);
    if (array == NULL) {
        fail_memory(made, new_cap * each);
        return NULL;
    }
    if (count != 0)
        memcpy(array, old, count * each);
    *cap = new_cap;
    return array;
}

static void add_part(struct af_made *made, const char *name, struct af_slice value)
{
    struct made_table *table = made->last;
    if (table->key.count == table->part_cap) {
        struct af_key_part *parts = grown(made, table->parts, table->key.count, &table->part_cap, sizeof *parts);
        if (parts == NULL)
            return;
        table->parts = parts;
    }
    char *own_name = af_arena_copy(made->arena, af_slice_of(name));
    char *own_value = af_arena_copy(made->arena, value);
    if (own_name == NULL || own_value == NULL) {
        fail_memory(made, value.len);
        return;
    }
    table->parts[table->key.count++] =
        (struct af_key_part){ af_slice_of(own_name), af_value_text(af_slice_make(own_value, value.len)) };
    table->key.parts = table->parts;
}

static bool row_is_whole(const struct made_table *table)
{
    return table == NULL || table->schema.field_count == 0 || table->cell_count % table->schema.field_count == 0;
}

static void check_row(struct af_made *made)
{
    if (!row_is_whole(made->last))
        (void)af_fail(&made->error, AF_EBUG, "a table ends in the middle of a row: %zu cells in %zu columns", made->last->cell_count,
                      made->last->schema.field_count);
}

void af_made_begin(struct af_made *made, const char *name, size_t column_count, const char *const *columns)
{
    if (has_failed(made))
        return;
    check_row(made);
    struct made_table *table = af_arena_zero(made->arena, 1, sizeof *table);
    struct af_field *fields = af_arena_zero(made->arena, column_count + 1, sizeof *fields);
    if (table == NULL || fields == NULL) {
        fail_memory(made, sizeof *table + column_count * sizeof *fields);
        return;
    }
    for (size_t i = 0; i < column_count; i++) {
        fields[i] = (struct af_field){ .name = af_arena_copy(made->arena, af_slice_of(columns[i])), .is_nullable = true };
        if (fields[i].name == NULL) {
            fail_memory(made, strlen(columns[i]));
            return;
        }
    }
    table->fields = fields;
    table->schema = (struct af_schema){ column_count, fields };
    if (made->last != NULL)
        made->last->next = table;
    else
        made->first = table;
    made->last = table;
    if (name != NULL)
        add_part(made, AF_KEY_MEASUREMENT, af_slice_of(name));
}

void af_made_tag(struct af_made *made, const char *name, struct af_slice value)
{
    if (has_failed(made))
        return;
    if (made->last == NULL || made->last->cell_count != 0)
        (void)af_fail(&made->error, AF_EBUG, "a tag of a table after its rows: %s", name);
    else
        add_part(made, name, value);
}

static bool fits(struct af_field *field, enum af_type type)
{
    if (type == AF_TYPE_NULL)
        return true;
    if (field->type == AF_TYPE_NULL)
        field->type = type;
    return field->type == type;
}

/* Where cell number `at` is: there is room for it. */
static struct af_value *cell_at(const struct made_table *table, size_t at)
{
    return &table->chunks[at >> CHUNK_BITS][at & (CHUNK_CELLS - 1)];
}

static bool add_chunk(struct af_made *made, struct made_table *table)
{
    if (table->chunk_count == table->chunk_cap) {
        struct af_value **chunks = grown(made, table->chunks, table->chunk_count, &table->chunk_cap, sizeof(struct af_value *));
        if (chunks == NULL)
            return false;
        table->chunks = chunks;
    }
    struct af_value *cells = af_arena_array(made->arena, CHUNK_CELLS, sizeof *cells);
    if (cells == NULL) {
        fail_memory(made, CHUNK_CELLS * sizeof *cells);
        return false;
    }
    table->chunks[table->chunk_count++] = cells;
    table->cell_cap = table->chunk_count * CHUNK_CELLS;
    return true;
}

/* Most tables are small: their one chunk grows until it is whole. */
static bool has_room(struct af_made *made, struct made_table *table)
{
    if (table->cell_count < table->cell_cap)
        return true;
    if (table->cell_cap >= CHUNK_CELLS)
        return add_chunk(made, table);
    struct af_value *first = table->chunk_count != 0 ? table->chunks[0] : NULL;
    struct af_value *cells = grown(made, first, table->cell_count, &table->cell_cap, sizeof *cells);
    if (cells == NULL)
        return false;
    if (table->chunks == NULL)
        table->chunks = grown(made, NULL, 0, &table->chunk_cap, sizeof(struct af_value *));
    if (table->chunks == NULL)
        return false;
    table->chunks[0] = cells;
    table->chunk_count = 1;
    return true;
}

/* The cell to fill; NULL: none, and why is remembered. */
static struct af_value *new_cell(struct af_made *made, enum af_type type)
{
    if (has_failed(made))
        return NULL;
    struct made_table *table = made->last;
    if (table == NULL || table->schema.field_count == 0) {
        (void)af_fail(&made->error, AF_EBUG, "a cell without a column");
        return NULL;
    }
    struct af_field *field = &table->fields[table->cell_count % table->schema.field_count];
    if (!fits(field, type)) {
        (void)af_fail(&made->error, AF_EBUG, "column %s has the type %s and now a value of type %s", field->name,
                      af_type_name(field->type), af_type_name(type));
        return NULL;
    }
    return has_room(made, table) ? cell_at(table, table->cell_count) : NULL;
}

void af_made_cell(struct af_made *made, struct af_value value)
{
    struct af_value *cell = new_cell(made, value.type);
    if (cell == NULL)
        return;
    if (!af_value_copy(&value, made->arena, cell))
        fail_memory(made, value.text.len);
    else
        made->last->cell_count++;
}

void af_made_borrowed(struct af_made *made, struct af_slice text)
{
    struct af_value *cell = new_cell(made, AF_TYPE_STRING);
    if (cell == NULL)
        return;
    *cell = af_value_text(text);
    made->last->cell_count++;
}

size_t af_made_rows(const struct af_made *made)
{
    const struct made_table *table = made->last;
    return table == NULL || table->schema.field_count == 0 ? 0 : table->cell_count / table->schema.field_count;
}

/* The measurement first, then by name. */
static int by_part_name(const void *a, const void *b)
{
    const struct af_key_part *x = a;
    const struct af_key_part *y = b;
    bool x_is_first = af_slice_is(x->name, AF_KEY_MEASUREMENT);
    bool y_is_first = af_slice_is(y->name, AF_KEY_MEASUREMENT);
    return x_is_first != y_is_first ? (int)y_is_first - (int)x_is_first : af_slice_cmp(x->name, y->name);
}

enum af_status af_made_finish(struct af_made *made, struct af_tables **out, struct af_error *err)
{
    if (!has_failed(made))
        check_row(made);
    if (has_failed(made)) {
        if (err != NULL)
            *err = made->error;
        return made->error.status;
    }
    for (struct made_table *table = made->first; table != NULL; table = table->next)
        if (table->key.count > 1)
            qsort(table->parts, table->key.count, sizeof *table->parts, by_part_name);
    *out = &made->base;
    return AF_OK;
}

/* --- pulling ------------------------------------------------------------------------------------------------------------------- */

static const struct af_value *cell_of(const struct made_table *table, size_t row, size_t column)
{
    return cell_at(table, row * table->schema.field_count + column);
}

static enum af_status text_column(const struct made_table *table, size_t first, size_t count, size_t column, struct af_arena *arena,
                                  struct af_column *out, struct af_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        if (cell_of(table, first + i, column)->type != AF_TYPE_NULL)
            total += cell_of(table, first + i, column)->text.len;
    if (total > INT32_MAX)
        return af_fail(err, AF_ELIMIT, "%zu bytes of text in column %s of one table", total, table->fields[column].name);
    int32_t *offsets = af_arena_array(arena, count + 1, sizeof *offsets);
    char *bytes = af_arena_array(arena, total + 1, 1);
    if (offsets == NULL || bytes == NULL)
        return af_arena_fail(arena, total, "a table", err);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct af_value *cell = cell_of(table, first + i, column);
        offsets[i] = (int32_t)at;
        if (cell->type == AF_TYPE_NULL || cell->text.len == 0)
            continue;
        memcpy(bytes + at, cell->text.ptr, cell->text.len);
        at += cell->text.len;
    }
    offsets[count] = (int32_t)at;
    out->offsets = offsets;
    out->bytes = bytes;
    return AF_OK;
}

static enum af_status word_column(const struct made_table *table, size_t first, size_t count, size_t column, struct af_arena *arena,
                                  struct af_column *out, struct af_error *err)
{
    bool is_bool = out->type == AF_TYPE_BOOL;
    uint64_t *words = is_bool ? af_bits_new(arena, count, false) : af_arena_array(arena, count, sizeof *words);
    if (words == NULL)
        return af_arena_fail(arena, count * sizeof *words, "a table", err);
    for (size_t i = 0; i < count; i++) {
        const struct af_value *cell = cell_of(table, first + i, column);
        if (!is_bool)
            words[i] = cell->type == AF_TYPE_NULL ? 0 : cell->u64; /* the bits, whatever they are */
        else if (cell->type != AF_TYPE_NULL && cell->boolean)
            af_bit_set(words, i);
    }
    if (is_bool)
        out->bits = words;
    else
        out->u64 = words;
    return AF_OK;
}

static enum af_status make_column(const struct made_table *table, size_t first, size_t count, size_t column, struct af_arena *arena,
                                  struct af_column *out, struct af_error *err)
{
    *out = (struct af_column){ .type = table->fields[column].type };
    if (out->type == AF_TYPE_NULL) {
        out->null_count = count;
        return AF_OK;
    }
    uint64_t *validity = af_bits_new(arena, count, true);
    if (validity == NULL)
        return af_arena_fail(arena, count / 8, "a table", err);
    for (size_t i = 0; i < count; i++)
        if (cell_of(table, first + i, column)->type == AF_TYPE_NULL) {
            af_bit_clear(validity, i);
            out->null_count++;
        }
    if (out->null_count > 0)
        out->validity = validity;
    if (af_type_is_text(out->type))
        return text_column(table, first, count, column, arena, out, err);
    return word_column(table, first, count, column, arena, out, err);
}

static enum af_status made_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct af_made *made = (struct af_made *)tables;
    const struct made_table *table = made->first;
    *out = NULL;
    if (table == NULL)
        return AF_OK;
    size_t width = table->schema.field_count;
    size_t rows = width == 0 ? 0 : table->cell_count / width;
    size_t count = rows - made->next_row < AF_BATCH_ROWS ? rows - made->next_row : AF_BATCH_ROWS;
    struct af_table *piece = af_arena_zero(arena, 1, sizeof *piece);
    struct af_batch *batch = af_arena_zero(arena, 1, sizeof *batch);
    struct af_column *columns = af_arena_zero(arena, width + 1, sizeof *columns);
    if (piece == NULL || batch == NULL || columns == NULL)
        return af_arena_fail(arena, sizeof *batch + width * sizeof *columns, "a table", err);
    for (size_t i = 0; i < width; i++)
        AF_TRY(make_column(table, made->next_row, count, i, arena, &columns[i], err));
    *batch = (struct af_batch){ .schema = &table->schema, .row_count = count, .columns = columns, .first_row = made->next_row };
    *piece = (struct af_table){ &table->key, batch };
    made->next_row += count;
    if (made->next_row == rows) {
        made->first = table->next;
        made->next_row = 0;
    }
    *out = piece;
    return AF_OK;
}
