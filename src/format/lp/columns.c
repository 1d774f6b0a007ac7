/*
 * columns.c - rows being collected into columns, one a (field name, type).
 *
 *     row        0    1    2    3      next: rows [0, next) are settled
 *     values     1.5  2    ?    4      validity: made when the first gap is seen; until then every settled row has a value
 *
 * A batch must not take memory by what its text claims: a column holds row_cap rows, and row_cap times the number of columns stays
 * under LP_CELLS_MAX. So a batch with many field names holds fewer rows. Text of a column doubles in the arena as it grows.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "format/lp/lp_int.h"

enum { TEXT_BYTES_FIRST = 1024, MATCH_PAD = 32 };

void lp_columns_init(struct lp_columns *cols)
{
    *cols = (struct lp_columns){ 0 };
    af_intern_init(&cols->names);
}

void lp_columns_done(struct lp_columns *cols)
{
    af_intern_done(&cols->names);
    af_free(cols->name);
    af_free(cols->column);
    *cols = (struct lp_columns){ 0 };
}

void lp_columns_begin(struct lp_columns *cols, struct af_arena *arena, uint32_t row_cap)
{
    af_intern_clear(&cols->names);
    cols->arena = arena;
    cols->count = 0;
    cols->row_cap = row_cap;
    cols->is_full = false;
}

static bool grow(void **ptr, uint32_t *cap, uint32_t need, size_t item_bytes)
{
    if (need <= *cap)
        return true;
    uint32_t more = *cap < 16 ? 16 : *cap * 2;
    void *grown = af_realloc(*ptr, more * item_bytes);
    if (grown == NULL)
        return false;
    *ptr = grown;
    *cap = more;
    return true;
}

static enum af_status name_id(struct lp_columns *cols, struct af_slice name, uint32_t *out, struct af_error *err)
{
    void *list = cols->name;
    bool fits = grow(&list, &cols->name_cap, cols->names.count + 1, sizeof *cols->name);
    cols->name = list;
    if (!fits)
        return af_fail_nomem(err, "field names");
    uint32_t before = cols->names.count;
    AF_TRY(af_intern_add(&cols->names, name, out, err));
    if (cols->names.count == before)
        return AF_OK;
    struct lp_name *entry = &cols->name[*out];
    for (unsigned i = 0; i < LP_TYPE_COUNT; i++)
        entry->columns[i] = LP_NONE;
    return AF_OK;
}

/* May the fast path take `name=` for this name when it meets the escaped form? Only where all rules about escapes agree. */
static bool is_plain(struct af_slice name)
{
    if (name.len > AF_LP_KEY_BYTES_MAX / 4 || name.ptr[0] == '\t' || name.ptr[0] == '\0' || af_slice_is(name, "time"))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] == '\\' || name.ptr[i] == '"' || name.ptr[i] == '\n')
            return false;
    return true;
}

/* Both forms of the name in the arena; the escaped one with '=' behind it, to compare with. */
static bool keep_name(struct lp_columns *cols, struct lp_column *col, struct af_slice name)
{
    struct af_buf escaped;
    af_buf_init(&escaped, AF_LP_LINE_BYTES_MAX);
    af_key_append_tag(&escaped, name);
    char *human = af_arena_copy(cols->arena, name);
    char *match = af_arena_alloc(cols->arena, escaped.len + 1 + MATCH_PAD);
    bool kept = !escaped.failed && human != NULL && match != NULL;
    if (kept) {
        memcpy(match, escaped.ptr, escaped.len);
        memset(match + escaped.len, 0, 1 + MATCH_PAD);
        match[escaped.len] = '=';
        cols->name[col->name_id].name = (struct af_slice){ human, name.len };
        col->escaped = (struct af_slice){ match, escaped.len };
        col->match = (struct af_slice){ match, is_plain(name) ? escaped.len + 1 : 0 };
    }
    af_buf_done(&escaped);
    return kept;
}

static bool make_values(struct lp_columns *cols, struct lp_column *col)
{
    struct af_arena *arena = cols->arena;
    size_t rows = col->row_cap;
    switch (col->type) {
    case AF_TYPE_BOOL:
        col->bits = af_bits_new(arena, rows, false);
        return col->bits != NULL;
    case AF_TYPE_STRING:
        col->offsets = af_arena_array(arena, rows + 1, sizeof *col->offsets);
        col->bytes = af_arena_array(arena, TEXT_BYTES_FIRST, 1);
        if (col->offsets == NULL || col->bytes == NULL)
            return false;
        col->offsets[0] = 0;
        col->bytes_cap = TEXT_BYTES_FIRST;
        return true;
    default:
        col->values = af_arena_array(arena, rows, 8);
        return col->values != NULL;
    }
}

static void shrink_row_cap(struct lp_columns *cols)
{
    uint32_t cap = (uint32_t)LP_CELLS_MAX / (cols->count + 1);
    if (cap < 1)
        cap = 1;
    if (cap < cols->row_cap)
        cols->row_cap = cap;
}

enum af_status lp_columns_get(struct lp_columns *cols, struct af_slice name, enum af_type type, uint32_t *out, struct af_error *err)
{
    uint32_t id;
    AF_TRY(name_id(cols, name, &id, err));
    uint32_t *slot = &cols->name[id].columns[lp_type_index(type)];
    if (*slot != LP_NONE) {
        *out = *slot;
        return AF_OK;
    }
    void *list = cols->column;
    bool fits = grow(&list, &cols->cap, cols->count + 1, sizeof *cols->column);
    cols->column = list;
    if (!fits)
        return af_fail_nomem(err, "field columns");
    shrink_row_cap(cols);
    struct lp_column *col = &cols->column[cols->count];
    *col = (struct lp_column){ .type = type, .name_id = id, .row_cap = cols->row_cap };
    if (!keep_name(cols, col, name) || !make_values(cols, col))
        return af_arena_fail(cols->arena, (size_t)cols->row_cap * 8, "a column of parsed fields", err);
    *slot = *out = cols->count++;
    return AF_OK;
}

char *lp_column_text(struct lp_columns *cols, struct lp_column *col, size_t len)
{
    size_t need = col->bytes_len + len;
    if (need > INT32_MAX)
        return NULL;
    if (need > col->bytes_cap) {
        size_t cap = col->bytes_cap;
        while (cap < need)
            cap *= 2;
        char *grown = af_arena_array(cols->arena, cap, 1);
        if (grown == NULL)
            return NULL;
        memcpy(grown, col->bytes, col->bytes_len);
        col->bytes = grown;
        col->bytes_cap = cap;
        cols->is_full |= cap > AF_BATCH_TEXT_BYTES_MAX;
    }
    return col->bytes + col->bytes_len;
}

/* Rows [col->next, row) have no value. */
static bool skip_rows(struct lp_columns *cols, struct lp_column *col, uint32_t row)
{
    if (col->next == row)
        return true;
    if (col->validity == NULL) {
        col->validity = af_bits_new(cols->arena, col->row_cap, false);
        if (col->validity == NULL)
            return false;
        for (uint32_t i = 0; i < col->next; i++)
            af_bit_set(col->validity, i);
    }
    for (uint32_t i = col->next; i < row; i++) {
        if (col->type == AF_TYPE_STRING)
            col->offsets[i + 1] = (int32_t)col->bytes_len;
        else if (col->type != AF_TYPE_BOOL)
            col->u64[i] = 0;
    }
    col->next = row;
    return true;
}

bool lp_column_settle_gap(struct lp_columns *cols, struct lp_column *col, uint32_t row)
{
    if (col->next == row + 1) /* the field stands twice in the line: its later value is there already */
        return true;
    if (!skip_rows(cols, col, row))
        return false;
    if (col->type == AF_TYPE_STRING) {
        col->bytes_len += col->pending;
        col->offsets[row + 1] = (int32_t)col->bytes_len;
    }
    if (col->validity != NULL)
        af_bit_set(col->validity, row);
    col->next = row + 1;
    col->valid++;
    return true;
}

static bool finish_column(struct lp_columns *cols, struct lp_column *col, uint32_t rows, struct af_point_field *out)
{
    if (!skip_rows(cols, col, rows))
        return false;
    if (col->type == AF_TYPE_BOOL && rows % 64 != 0) /* a line that was given up may have left a bit behind */
        col->bits[rows / 64] &= (UINT64_C(1) << rows % 64) - 1;
    *out = (struct af_point_field){ .name = cols->name[col->name_id].name, .escaped = col->escaped };
    out->column = (struct af_column){ .type = col->type, .validity = col->validity, .null_count = rows - col->valid };
    if (col->type == AF_TYPE_STRING) {
        out->column.offsets = col->offsets;
        out->column.bytes = col->bytes;
    } else {
        out->column.values = col->values;
    }
    return true;
}

enum af_status lp_columns_finish(struct lp_columns *cols, uint32_t row_count, struct af_points *out, struct af_error *err)
{
    struct af_point_field *fields = af_arena_zero(cols->arena, cols->count + 1, sizeof *fields);
    if (fields == NULL)
        return af_arena_fail(cols->arena, (cols->count + 1) * sizeof *fields, "parsed fields", err);
    size_t count = 0;
    for (uint32_t i = 0; i < cols->count; i++) {
        if (cols->column[i].valid == 0)
            continue;
        if (!finish_column(cols, &cols->column[i], row_count, &fields[count]))
            return af_arena_fail(cols->arena, row_count / 8 + 64, "parsed fields", err);
        count++;
    }
    out->fields = fields;
    out->field_count = count;
    return AF_OK;
}
