/*
 * tables_flux.c - an answer to Flux as tables; see remote.h.
 *
 *     annotated CSV:  ,result,table,<group key and other columns>       a statement for each result, a table for each number of `table`
 *
 * The key's cells are the same in all rows of a table and become its key, as text. A result that is not called _result has its name there
 * too.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "remote/remote_int.h"

enum { PLACE_RESULT = 1, PLACE_TABLE = 2, SECTION_BYTES_MAX = 64 << 20 };

struct flux_tables {
    struct csv_reader *reader;
    struct tables *tables;
    const char *name;
    struct af_arena section;            /* what follows, for the columns at hand */
    const struct csv_column *columns;   /* the reader's */
    size_t *order;                      /* of the cells that are no key: _time first */
    size_t order_count;
    struct af_slice *names;
    enum af_type *types;
    size_t *key;                        /* of the cells that are */
    size_t key_count;
    struct af_key_part *parts;
    size_t result, number;              /* places, or SIZE_MAX */
    struct af_buf at;                   /* result and number of the table at hand */
    struct af_buf result_name;
    bool is_table_open, has_result;
};

/* --- columns ------------------------------------------------------------------------------------------------------------------ */

static enum af_type type_of(struct af_slice word)
{
    static const struct {
        const char *word;
        enum af_type type;
    } words[] = { { "double", AF_TYPE_F64 },
                  { "long", AF_TYPE_I64 },
                  { "unsignedLong", AF_TYPE_U64 },
                  { "boolean", AF_TYPE_BOOL },
                  { "dateTime:RFC3339", AF_TYPE_TIME },
                  { "dateTime:RFC3339Nano", AF_TYPE_TIME } };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (af_slice_is(word, words[i].word))
            return words[i].type;
    return AF_TYPE_STRING;
}

static size_t place_of(const struct csv_column *columns, size_t count, size_t place, const char *name)
{
    return place < count && af_slice_is(columns[place].name, name) ? place : SIZE_MAX;
}

static void add_column(struct flux_tables *flux, size_t i, bool is_front)
{
    const struct csv_column *column = &flux->columns[i];
    size_t at = is_front ? 0 : flux->order_count;
    if (is_front && flux->order_count != 0) {
        memmove(flux->order + 1, flux->order, flux->order_count * sizeof *flux->order);
        memmove(flux->names + 1, flux->names, flux->order_count * sizeof *flux->names);
        memmove(flux->types + 1, flux->types, flux->order_count * sizeof *flux->types);
    }
    flux->order[at] = i;
    flux->names[at] = column->name;
    flux->types[at] = type_of(column->type);
    flux->order_count++;
}

static enum af_status on_table(void *ctx, const struct csv_column *columns, size_t count, struct af_error *err)
{
    struct flux_tables *flux = ctx;
    struct af_arena *arena = &flux->section;
    af_arena_reset(arena);
    flux->columns = columns;
    flux->order = af_arena_zero(arena, count + 1, sizeof *flux->order);
    flux->names = af_arena_zero(arena, count + 1, sizeof *flux->names);
    flux->types = af_arena_zero(arena, count + 1, sizeof *flux->types);
    flux->key = af_arena_zero(arena, count + 1, sizeof *flux->key);
    flux->parts = af_arena_zero(arena, count + 2, sizeof *flux->parts);
    if (flux->order == NULL || flux->names == NULL || flux->types == NULL || flux->key == NULL || flux->parts == NULL)
        return af_arena_fail(arena, count * sizeof *flux->names, "a query's answer", err);
    flux->order_count = flux->key_count = 0;
    flux->is_table_open = false;
    flux->result = place_of(columns, count, PLACE_RESULT, "result");
    flux->number = place_of(columns, count, PLACE_TABLE, "table");
    for (size_t i = 1; i < count; i++) {
        if (i == flux->result || i == flux->number)
            continue;
        if (columns[i].is_key)
            flux->key[flux->key_count++] = i;
        else
            add_column(flux, i, af_slice_is(columns[i].name, "_time") && type_of(columns[i].type) == AF_TYPE_TIME);
    }
    return AF_OK;
}

/* --- tables ------------------------------------------------------------------------------------------------------------------- */

static struct af_slice cell_at(const struct af_slice *cells, size_t place)
{
    return place != SIZE_MAX ? cells[place] : (struct af_slice){ 0 };
}

static enum af_status enter_result(struct flux_tables *flux, struct af_slice name, struct af_error *err)
{
    if (flux->has_result && af_slice_eq(af_buf_slice(&flux->result_name), name))
        return AF_OK;
    af_buf_clear(&flux->result_name);
    af_buf_append_slice(&flux->result_name, name);
    AF_TRY(af_buf_check(&flux->result_name, "the name of a result", err));
    AF_TRY(tables_statement(flux->tables, flux->has_result ? flux->tables->statement + 1 : 0, err));
    flux->has_result = true;
    return AF_OK;
}

static enum af_status enter_table(struct flux_tables *flux, const struct af_slice *cells, struct af_error *err)
{
    struct af_slice result = cell_at(cells, flux->result);
    size_t count = 0;
    AF_TRY(enter_result(flux, result, err));
    if (result.len != 0 && !af_slice_is(result, "_result"))
        flux->parts[count++] = (struct af_key_part){ AF_SLICE_LIT("result"), af_value_text(result) };
    for (size_t i = 0; i < flux->key_count; i++)
        flux->parts[count++] = (struct af_key_part){ flux->columns[flux->key[i]].name, af_value_text(cells[flux->key[i]]) };
    const struct tables_head head = { .parts = flux->parts, .part_count = count, .names = flux->names, .types = flux->types,
                                      .column_count = flux->order_count };
    AF_TRY(tables_series(flux->tables, &head, err));
    flux->is_table_open = true;
    af_buf_clear(&flux->at);
    af_buf_append_slice(&flux->at, cell_at(cells, flux->number));
    return af_buf_check(&flux->at, "a table's number", err);
}

static bool is_same_table(const struct flux_tables *flux, const struct af_slice *cells)
{
    return flux->is_table_open && af_slice_eq(af_buf_slice(&flux->at), cell_at(cells, flux->number)) &&
           af_slice_eq(af_buf_slice(&flux->result_name), cell_at(cells, flux->result));
}

static bool read_float(struct af_slice text, double *out)
{
    if (af_slice_is(text, "NaN"))
        *out = __builtin_nan("");
    else if (af_slice_is(text, "+Inf") || af_slice_is(text, "-Inf"))
        *out = text.ptr[0] == '-' ? -__builtin_inf() : __builtin_inf();
    else
        return af_f64_parse(text, out);
    return true;
}

/* An empty cell is no value, of text too: the format cannot tell the two apart. */
static bool read_cell(struct af_slice text, enum af_type type, struct af_value *out)
{
    bool has_zone = true;
    *out = af_value_text(text);
    out->type = text.len != 0 ? type : AF_TYPE_NULL;
    switch (out->type) {
    case AF_TYPE_F64: return read_float(text, &out->f64);
    case AF_TYPE_I64: return af_i64_parse(text, &out->i64);
    case AF_TYPE_U64: return af_u64_parse(text, &out->u64);
    case AF_TYPE_TIME: return af_time_parse(text, &out->i64, &has_zone) && has_zone;
    case AF_TYPE_BOOL:
        out->boolean = af_slice_is(text, "true");
        return out->boolean || af_slice_is(text, "false");
    default: return true;
    }
}

static enum af_status on_row(void *ctx, const struct af_slice *cells, size_t count, struct af_error *err)
{
    struct flux_tables *flux = ctx;
    (void)count;
    if (!is_same_table(flux, cells))
        AF_TRY(enter_table(flux, cells, err));
    for (size_t i = 0; i < flux->order_count; i++) {
        struct af_value value;
        struct af_slice text = cells[flux->order[i]];
        if (!read_cell(text, flux->types[i], &value))
            return af_fail(err, AF_ECORRUPT, "%s: \"%.*s\" in column %.*s of the answer is no %s", flux->name, AF_SLICE_ARG(text),
                           AF_SLICE_ARG(flux->names[i]), af_type_name(flux->types[i]));
        AF_TRY(tables_cell(flux->tables, &value, err));
    }
    return tables_row_end(flux->tables, err);
}

/* --- the reader --------------------------------------------------------------------------------------------------------------- */

enum af_status flux_tables_new(const struct remote *remote, struct tables *tables, struct flux_tables **out, struct af_error *err)
{
    static const struct csv_handler handler = { .table = on_table, .row = on_row };
    struct flux_tables *flux = af_alloc_zero(1, sizeof *flux);
    if (flux == NULL)
        return af_fail_nomem(err, "a query");
    flux->tables = tables;
    flux->name = remote->base.name;
    af_arena_init(&flux->section, SECTION_BYTES_MAX);
    af_buf_init(&flux->at, AF_LP_LINE_BYTES_MAX);
    af_buf_init(&flux->result_name, AF_LP_LINE_BYTES_MAX);
    enum af_status status = csv_reader_new(remote, &handler, flux, &flux->reader, err);
    if (status != AF_OK) {
        flux_tables_free(flux);
        return status;
    }
    *out = flux;
    return AF_OK;
}

enum af_status flux_tables_feed(struct flux_tables *flux, struct af_slice bytes, struct af_error *err)
{
    return csv_reader_feed(flux->reader, bytes, err);
}

enum af_status flux_tables_finish(struct flux_tables *flux, struct af_error *err)
{
    AF_TRY(csv_reader_finish(flux->reader, err));
    AF_TRY(tables_series_end(flux->tables, false, err));
    return flux->has_result ? AF_OK : tables_statement(flux->tables, 0, err);
}

void flux_tables_free(struct flux_tables *flux)
{
    if (flux == NULL)
        return;
    csv_reader_free(flux->reader);
    af_buf_done(&flux->at);
    af_buf_done(&flux->result_name);
    af_arena_done(&flux->section);
    af_free(flux);
}
