/*
 * rows.c - tables to rows: an object a row, flat.
 *
 *     {"_time":"2024-01-01T00:00:00Z","_value":1.5,"_field":"power_mw","_measurement":"generation_data","region":"SE"}
 *
 * Columns first, then the parts of the table's key that no column is named like. InfluxQL's `time` is `_time`, so that both languages
 * answer alike. Numbers that JSON has no word for, and what is not there, are null.
 *
 * An answer has a ceiling of rows and of bytes. What is over it is left out and said; it never fails the query.
 */
#include "base/calendar.h"
#include "base/limits.h"
#include "platform/platform_int.h"

enum { COLUMNS_MAX = 1000, NAMES_BYTES_MAX = 16 << 10 }; /* of the metadata */

void platform_rows_init(struct platform_rows *rows, struct af_buf *out, uint64_t rows_max, size_t bytes_max)
{
    *rows = (struct platform_rows){ .out = out, .rows_max = rows_max, .bytes_max = bytes_max };
    af_arena_init(&rows->arena, 1 << 20);
}

void platform_rows_done(struct platform_rows *rows)
{
    af_arena_done(&rows->arena);
}

/* --- what columns there are ------------------------------------------------------------------------------------------------ */

static const char *type_name(enum af_type type)
{
    switch (type) {
    case AF_TYPE_F64: return "float";
    case AF_TYPE_I64: return "integer";
    case AF_TYPE_U64: return "unsigned";
    case AF_TYPE_BOOL: return "boolean";
    case AF_TYPE_TIME: return "datetime";
    default: return "string";
    }
}

static struct af_slice column_name(const struct af_table *table, size_t i)
{
    const char *name = table->rows->schema->fields[i].name;
    return i == 0 && strcmp(name, "time") == 0 ? AF_SLICE_LIT("_time") : af_slice_of(name);
}

/* Keys come as text, times among them. */
static const char *key_type(struct af_slice name)
{
    return af_slice_is(name, "_time") || af_slice_is(name, "_start") || af_slice_is(name, "_stop") ? "datetime" : "string";
}

static enum af_status note(struct platform_rows *rows, struct af_slice name, const char *type, struct af_error *err)
{
    for (size_t i = 0; i < rows->count; i++)
        if (af_slice_eq(rows->names[i], name))
            return AF_OK;
    if (rows->count == COLUMNS_MAX || name.len > NAMES_BYTES_MAX - rows->names_bytes)
        return AF_OK;
    const char *copy = af_arena_copy(&rows->arena, name);
    struct af_slice *names = af_arena_more(&rows->arena, rows->names, rows->count, &rows->cap, sizeof *names);
    rows->names = names != NULL ? names : rows->names;
    const char **types = af_arena_more(&rows->arena, rows->types, rows->count, &rows->types_cap, sizeof *types);
    rows->types = types != NULL ? types : rows->types;
    if (copy == NULL || names == NULL || types == NULL)
        return af_fail_nomem(err, "the columns of an answer");
    names[rows->count] = (struct af_slice){ copy, name.len };
    types[rows->count++] = type;
    rows->names_bytes += name.len;
    return AF_OK;
}

static bool is_column(const struct af_table *table, struct af_slice name)
{
    for (size_t i = 0; i < table->rows->schema->field_count; i++)
        if (af_slice_eq(column_name(table, i), name))
            return true;
    return false;
}

/* A part of the key that stands in every row: it has a name, and no column has it. */
static bool is_shown(const struct af_table *table, const struct af_key_part *part)
{
    bool is_nameless = af_slice_is(part->name, AF_KEY_MEASUREMENT) && part->value.type == AF_TYPE_STRING && part->value.text.len == 0;
    return !is_nameless && !is_column(table, part->name);
}

/* --- cells ------------------------------------------------------------------------------------------------------------------- */

static void put_time(struct af_buf *out, int64_t ns)
{
    char text[48];
    char *end = af_rfc3339_print(text, ns, 9) - 1; /* before the Z */
    while (end[-1] == '0')
        end--;
    if (end[-1] == '.')
        end--;
    af_buf_append_char(out, '"');
    af_buf_append(out, text, (size_t)(end - text));
    af_buf_append_str(out, "Z\"");
}

static void put_cell(struct af_buf *out, const struct af_column *column, size_t row)
{
    if (!af_column_has(column, row)) {
        af_buf_append_str(out, "null");
        return;
    }
    switch (column->type) {
    case AF_TYPE_F64: af_json_append_f64(out, column->f64[row]); break;
    case AF_TYPE_I64: af_buf_printf(out, "%lld", (long long)column->i64[row]); break;
    case AF_TYPE_U64: af_buf_printf(out, "%llu", (unsigned long long)column->u64[row]); break;
    case AF_TYPE_BOOL: af_buf_append_str(out, af_bit_get(column->bits, row) ? "true" : "false"); break;
    case AF_TYPE_TIME: put_time(out, column->i64[row]); break;
    case AF_TYPE_STRING:
    case AF_TYPE_BYTES:
    case AF_TYPE_JSON: af_json_append_string(out, af_column_text(column, row)); break;
    default: af_buf_append_str(out, "null"); /* none of these comes from a query */
    }
}

static void put_name(struct af_buf *out, struct af_slice name, bool *needs_comma)
{
    if (*needs_comma)
        af_buf_append_char(out, ',');
    *needs_comma = true;
    af_json_append_string(out, name);
    af_buf_append_char(out, ':');
}

/* --- rows -------------------------------------------------------------------------------------------------------------------- */

/* `key`: the parts of the key, printed once for the table: ,"name":"text" ... */
static void put_row(struct platform_rows *rows, const struct af_table *table, size_t row, struct af_slice key)
{
    struct af_buf *out = rows->out;
    bool needs_comma = false;
    af_buf_append_str(out, rows->rows == 0 ? "{" : ",{");
    for (size_t i = 0; i < table->rows->schema->field_count; i++) {
        put_name(out, column_name(table, i), &needs_comma);
        put_cell(out, &table->rows->columns[i], row);
    }
    if (key.len != 0 && !needs_comma)
        key = af_slice_make(key.ptr + 1, key.len - 1);
    af_buf_append_slice(out, key);
    af_buf_append_char(out, '}');
}

static void put_rows(struct platform_rows *rows, const struct af_table *table, struct af_slice key)
{
    struct af_buf *out = rows->out;
    for (size_t row = 0; row < table->rows->row_count && !rows->is_full; row++) {
        size_t before = out->len;
        if (rows->rows < rows->rows_max)
            put_row(rows, table, row, key);
        if (rows->rows == rows->rows_max || out->len > rows->bytes_max || out->is_too_large) {
            af_buf_rewind(out, before);
            rows->is_full = rows->is_cut = true;
            return;
        }
        rows->rows++;
        rows->values += table->rows->schema->field_count;
    }
}

static enum af_status put_key(struct platform_rows *rows, const struct af_table *table, struct af_buf *out, struct af_error *err)
{
    const struct af_group_key *key = table->key;
    bool needs_comma = true;
    for (size_t i = 0; key != NULL && i < key->count; i++) {
        if (!is_shown(table, &key->parts[i]))
            continue;
        AF_TRY(note(rows, key->parts[i].name, key_type(key->parts[i].name), err));
        put_name(out, key->parts[i].name, &needs_comma);
        af_json_append_string(out, key->parts[i].value.type == AF_TYPE_STRING ? key->parts[i].value.text : AF_SLICE_LIT(""));
    }
    return out->failed && !out->is_too_large ? af_fail_nomem(err, "an answer") : AF_OK;
}

enum af_status platform_rows_table(struct platform_rows *rows, const struct af_table *table, struct af_error *err)
{
    struct af_buf key;
    if (table->rows->row_count == 0)
        return AF_OK;
    for (size_t i = 0; i < table->rows->schema->field_count; i++)
        AF_TRY(note(rows, column_name(table, i), type_name(table->rows->columns[i].type), err));
    af_buf_init(&key, rows->bytes_max);
    enum af_status status = put_key(rows, table, &key, err);
    if (status == AF_OK && key.is_too_large)
        rows->is_full = rows->is_cut = true;
    else if (status == AF_OK)
        put_rows(rows, table, af_buf_slice(&key));
    af_buf_done(&key);
    return status == AF_OK && rows->out->failed ? af_fail_nomem(err, "an answer") : status;
}

void platform_rows_metadata(const struct platform_rows *rows)
{
    struct af_buf *out = rows->out;
    af_buf_append_str(out, "{\"columns\":[");
    for (size_t i = 0; i < rows->count; i++) {
        af_buf_append_str(out, i == 0 ? "" : ",");
        af_json_append_string(out, rows->names[i]);
    }
    af_buf_append_str(out, "],\"data_types\":[");
    for (size_t i = 0; i < rows->count; i++)
        af_buf_printf(out, "%s\"%s\"", i == 0 ? "" : ",", rows->types[i]);
    af_buf_append_str(out, "],\"query_cost\":");
    af_json_append_f64(out, (double)rows->values / 1e6);
    af_buf_append_char(out, '}');
}
