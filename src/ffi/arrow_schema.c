/*
 * arrow_schema.c - an ArrowSchema becomes the columns of a table: structs flattened to `a.b`, every leaf with its type and layout.
 *
 *     b                    bool         td[Dm]  tt[smun]      days, time of day      u U vu    text of 32, 64 bit offsets, views
 *     c C s S i I l L      integers     ts[smun]:zone         instant; wall time     z Z vz    bytes likewise     w:N  N bytes
 *     e f g                floats       d:P,S[,bits]          decimal                n         nothing            +s   struct
 *
 * Lists, maps, unions, runs, durations, intervals and decimals of 256 bits are refused when a mapping wants them, by name.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "ffi/ffi_int.h"

struct walk {
    struct arrow_table *table;
    size_t cap;
    size_t path[ARROW_DEPTH_MAX];
};

/* --- types ----------------------------------------------------------------------------------------------------------------- */

static const struct {
    char format[3];
    struct arrow_cells cells;
} plain_types[] = {
    { "n", { .layout = ARROW_NONE, .type = AF_TYPE_NULL } },
    { "b", { .layout = ARROW_BITS, .type = AF_TYPE_BOOL } },
    { "c", { .layout = ARROW_INT, .width = 1, .type = AF_TYPE_I64 } },
    { "C", { .layout = ARROW_UINT, .width = 1, .type = AF_TYPE_U64 } },
    { "s", { .layout = ARROW_INT, .width = 2, .type = AF_TYPE_I64 } },
    { "S", { .layout = ARROW_UINT, .width = 2, .type = AF_TYPE_U64 } },
    { "i", { .layout = ARROW_INT, .width = 4, .type = AF_TYPE_I64 } },
    { "I", { .layout = ARROW_UINT, .width = 4, .type = AF_TYPE_U64 } },
    { "l", { .layout = ARROW_INT, .width = 8, .type = AF_TYPE_I64 } },
    { "L", { .layout = ARROW_UINT, .width = 8, .type = AF_TYPE_U64 } },
    { "e", { .layout = ARROW_FLOAT, .width = 2, .type = AF_TYPE_F64 } },
    { "f", { .layout = ARROW_FLOAT, .width = 4, .type = AF_TYPE_F64 } },
    { "g", { .layout = ARROW_FLOAT, .width = 8, .type = AF_TYPE_F64 } },
    { "z", { .layout = ARROW_TEXT32, .type = AF_TYPE_BYTES } },
    { "Z", { .layout = ARROW_TEXT64, .type = AF_TYPE_BYTES } },
    { "vz", { .layout = ARROW_VIEW, .type = AF_TYPE_BYTES } },
    { "u", { .layout = ARROW_TEXT32, .type = AF_TYPE_STRING } },
    { "U", { .layout = ARROW_TEXT64, .type = AF_TYPE_STRING } },
    { "vu", { .layout = ARROW_VIEW, .type = AF_TYPE_STRING } },
};

static int64_t unit_ns(char unit)
{
    return unit == 's' ? AF_NS_PER_S : unit == 'm' ? 1000000 : unit == 'u' ? 1000 : unit == 'n' ? 1 : 0;
}

static bool parse_time(const char *format, struct arrow_cells *out)
{
    int64_t ns = format[1] != '\0' ? unit_ns(format[2]) : 0;
    *out = (struct arrow_cells){ .layout = ARROW_INT, .width = 8, .factor = ns };
    switch (format[1]) {
    case 'd':
        out->type = AF_TYPE_DATE;
        out->width = format[2] == 'D' ? 4 : 8;
        out->factor = 1;
        out->divisor = format[2] == 'm' ? 86400000 : 0;
        return (format[2] == 'D' || format[2] == 'm') && format[3] == '\0';
    case 't':
        out->type = AF_TYPE_CLOCK;
        out->width = format[2] == 's' || format[2] == 'm' ? 4 : 8;
        return ns != 0 && format[3] == '\0';
    case 's':
        out->type = AF_TYPE_TIME;
        out->is_local = ns != 0 && format[3] == ':' && format[4] == '\0';
        return ns != 0 && format[3] == ':';
    default:
        return false;
    }
}

/* "P,S" or "P,S,bits" */
static bool parse_decimal(const char *text, struct arrow_cells *out)
{
    int64_t part[3] = { 0, 0, 128 };
    struct af_slice rest = af_slice_of(text);
    for (size_t i = 0; i < 3 && rest.len != 0; i++) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        size_t len = comma != NULL ? (size_t)(comma - rest.ptr) : rest.len;
        if (!af_i64_parse((struct af_slice){ rest.ptr, len }, &part[i]))
            return false;
        size_t used = comma != NULL ? len + 1 : len;
        rest = (struct af_slice){ rest.ptr + used, rest.len - used };
    }
    *out = (struct arrow_cells){ .layout = ARROW_DECIMAL, .width = (uint8_t)(part[2] / 8), .type = AF_TYPE_DECIMAL,
                                 .scale = (uint8_t)part[1] };
    return (part[2] == 32 || part[2] == 64 || part[2] == 128) && part[1] >= 0 && part[1] <= 38;
}

static bool parse_type(const char *format, struct arrow_cells *out)
{
    for (size_t i = 0; i < sizeof plain_types / sizeof plain_types[0]; i++) {
        if (strcmp(format, plain_types[i].format) == 0) {
            *out = plain_types[i].cells;
            return true;
        }
    }
    if (strncmp(format, "d:", 2) == 0)
        return parse_decimal(format + 2, out);
    if (strncmp(format, "w:", 2) == 0) {
        int64_t width = 0;
        *out = (struct arrow_cells){ .layout = ARROW_FIXED, .type = AF_TYPE_BYTES };
        if (!af_i64_parse(af_slice_of(format + 2), &width) || width < 0 || width > AF_STRING_BYTES_MAX)
            return false;
        out->fixed_width = (int32_t)width;
        return true;
    }
    return format[0] == 't' && parse_time(format, out);
}

static const char *describe(struct af_arena *arena, const char *format)
{
    static const struct {
        const char *prefix, *words;
    } names[] = { { "+l", "a list" },   { "+L", "a list" },      { "+vl", "a list" },     { "+vL", "a list" },     { "+w", "a list" },
                  { "+m", "a map" },    { "+u", "a union" },     { "+r", "run-end encoded" }, { "tD", "a duration" }, { "ti",
                                                                                                                        "an interval" },
                  { "d:", "a decimal of a width or scale" }, { "+s", "a struct nested too deep" } };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(format, names[i].prefix, strlen(names[i].prefix)) == 0)
            return af_arena_printf(arena, "%s (Arrow format \"%.40s\")", names[i].words, format);
    return af_arena_printf(arena, "of a type (Arrow format \"%.40s\")", format);
}

/* --- columns --------------------------------------------------------------------------------------------------------------- */

static enum af_status more_columns(struct walk *walk, struct af_error *err)
{
    struct arrow_table *table = walk->table;
    const size_t count = table->schema.field_count;
    if (count == AF_COLUMNS_MAX)
        return af_fail(err, AF_ELIMIT, "a table of more than %d columns", (int)AF_COLUMNS_MAX);
    if (count < walk->cap)
        return AF_OK;
    size_t cap = walk->cap == 0 ? 32 : walk->cap * 2;
    struct af_field *fields = af_arena_zero(&table->arena, cap, sizeof *fields);
    struct arrow_column *columns = af_arena_zero(&table->arena, cap, sizeof *columns);
    if (fields == NULL || columns == NULL)
        return af_arena_fail(&table->arena, cap * sizeof *columns, "the columns of a table", err);
    if (count != 0) {
        memcpy(fields, table->schema.fields, count * sizeof *fields);
        memcpy(columns, table->columns, count * sizeof *columns);
    }
    table->schema.fields = fields;
    table->columns = columns;
    walk->cap = cap;
    return AF_OK;
}

static void set_type(struct arrow_column *column, const struct ArrowSchema *schema, struct af_arena *arena)
{
    const struct ArrowSchema *values = schema->dictionary != NULL ? schema->dictionary : schema;
    bool is_known = parse_type(values->format, &column->cells) && values->dictionary == NULL;
    column->has_codes = schema->dictionary != NULL;
    if (is_known && column->has_codes)
        is_known = parse_type(schema->format, &column->codes) &&
                   (column->codes.layout == ARROW_INT || column->codes.layout == ARROW_UINT) && column->cells.layout != ARROW_NONE;
    if (is_known)
        return;
    column->unsupported = describe(arena, values->format);
    column->cells = (struct arrow_cells){ .layout = ARROW_NONE, .type = AF_TYPE_NULL };
    column->has_codes = false;
}

static enum af_status add_column(struct walk *walk, const struct ArrowSchema *schema, const char *name, size_t depth, bool is_nullable,
                                 struct af_error *err)
{
    struct arrow_table *table = walk->table;
    AF_TRY(more_columns(walk, err));
    struct arrow_column *column = &table->columns[table->schema.field_count];
    memcpy(column->path, walk->path, depth * sizeof *walk->path);
    column->depth = depth;
    set_type(column, schema, &table->arena);
    const char *type = af_arena_printf(&table->arena, "Arrow %.60s", schema->format);
    if (type == NULL)
        return af_fail_nomem(err, "the columns of a table");
    ((struct af_field *)table->schema.fields)[table->schema.field_count++] =
        (struct af_field){ .name = name, .source_type = type, .type = column->cells.type, .scale = column->cells.scale,
                           .is_nullable = is_nullable, .is_local = column->cells.is_local };
    return AF_OK;
}

static enum af_status add(struct walk *walk, const struct ArrowSchema *schema, const char *prefix, size_t depth, bool is_nullable,
                          struct af_error *err);

static enum af_status add_children(struct walk *walk, const struct ArrowSchema *schema, const char *prefix, size_t depth,
                                   bool is_nullable, struct af_error *err)
{
    if (schema->n_children < 0 || (schema->n_children > 0 && schema->children == NULL))
        return af_fail(err, AF_EINVAL, "an Arrow schema says %lld children and has none", (long long)schema->n_children);
    for (int64_t i = 0; i < schema->n_children; i++) {
        walk->path[depth] = (size_t)i;
        AF_TRY(add(walk, schema->children[i], prefix, depth + 1, is_nullable, err));
    }
    return AF_OK;
}

static enum af_status add(struct walk *walk, const struct ArrowSchema *schema, const char *prefix, size_t depth, bool is_nullable,
                          struct af_error *err)
{
    if (schema == NULL || schema->format == NULL)
        return af_fail(err, AF_EINVAL, "an Arrow schema without a format");
    const char *own = schema->name != NULL ? schema->name : "";
    const char *name = af_arena_printf(&walk->table->arena, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "", own);
    if (name == NULL)
        return af_fail_nomem(err, "the columns of a table");
    is_nullable |= (schema->flags & ARROW_FLAG_NULLABLE) != 0;
    if (strcmp(schema->format, "+s") == 0 && depth < ARROW_DEPTH_MAX)
        return add_children(walk, schema, name, depth, is_nullable, err);
    return add_column(walk, schema, name, depth, is_nullable, err);
}

enum af_status arrow_table_new(const struct ArrowSchema *schema, struct arrow_table **out, struct af_error *err)
{
    if (schema == NULL || schema->release == NULL || schema->format == NULL)
        return af_fail(err, AF_EINVAL, "an Arrow schema that was released already");
    if (strcmp(schema->format, "+s") != 0)
        return af_fail(err, AF_EINVAL, "not a table: Arrow format \"%.40s\" where a struct of columns is wanted", schema->format);
    struct arrow_table *table = af_alloc_zero(1, sizeof *table);
    if (table == NULL)
        return af_fail_nomem(err, "a table");
    af_arena_init(&table->arena, AF_BATCH_ARENA_BYTES_MAX);
    struct walk walk = { .table = table };
    enum af_status status = add_children(&walk, schema, "", 0, false, err);
    if (status != AF_OK) {
        arrow_table_free(table);
        return status;
    }
    *out = table;
    return AF_OK;
}

void arrow_table_free(struct arrow_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->schema.field_count; i++) {
        af_dict_unref(table->columns[i].dict);
        af_free(table->columns[i].dict_nulls);
    }
    af_arena_done(&table->arena);
    af_free(table);
}
