/*
 * source.c - one scan of the store as SCAN wants its rows: see scan_int.h.
 *
 *     store's batch  series | time | its fields, its types
 *     a piece        time | the node's fields, its types | tags        without rows that have no field, or fail the node's filter
 *
 * Where the store's types are the node's and nothing is filtered, a piece is made of the batch's own arrays.
 */
#include "base/alloc.h"
#include "exec/scan_int.h"

/* --- opening --------------------------------------------------------------------------------------------------------------------- */

static enum af_status map_columns(struct source *source, struct af_error *err)
{
    const struct af_plan_scan *scan = &source->node->scan;
    source->columns = af_alloc_zero(scan->field_count + 1, sizeof *source->columns);
    if (source->columns == NULL)
        return af_fail_nomem(err, "a scan");
    for (size_t i = 0; i < scan->field_count; i++) {
        source->columns[i] = SIZE_MAX;
        for (size_t k = 2; k < source->stream->schema->field_count; k++)
            if (strcmp(source->stream->schema->fields[k].name, scan->fields[i]) == 0)
                source->columns[i] = k;
        if (source->columns[i] == SIZE_MAX || source->stream->schema->fields[source->columns[i]].type != scan->field_types[i])
            source->is_lossy = true;
    }
    return AF_OK;
}

enum af_status source_open(struct source *source, struct exec *exec, const struct af_node *node, const struct series_set *set,
                           const struct af_predicate *predicate, const struct af_slice *list, size_t list_count, int64_t start_ns,
                           int64_t last_ns, struct af_error *err)
{
    *source = (struct source){ .exec = exec, .node = node, .set = set, .wants_tags = node->scan.filter != NULL };
    struct af_scan scan = {
        .measurement = node->scan.measurement,
        .start_ns = start_ns,
        .stop_ns = last_ns == INT64_MAX ? INT64_MAX : last_ns + 1,
        .fields = node->scan.fields,
        .field_count = node->scan.field_count,
        .predicate = predicate,
        .series = list,
        .series_count = list_count,
        .cancel = exec->options.cancel,
        .workers = exec->options.workers,
    };
    AF_TRY(af_store_scan(exec->options.stores[node->scan.source], &scan, &source->stream, err));
    enum af_status status = map_columns(source, err);
    if (status != AF_OK)
        source_close(source);
    return status;
}

void source_close(struct source *source)
{
    af_stream_close(source->stream);
    af_free(source->columns);
    af_free(source->numbers);
    source->stream = NULL;
    source->columns = NULL;
    source->numbers = NULL;
}

/* --- which series a row is of ------------------------------------------------------------------------------------------------------ */

static enum af_status begin_dict(struct source *source, const struct af_dict *dict, struct af_error *err)
{
    if (source->numbers != NULL && source->dict_id == dict->id)
        return AF_OK;
    if (dict->count > source->number_cap || source->numbers == NULL) {
        uint32_t *numbers = af_alloc(((size_t)dict->count + 16) * sizeof *numbers);
        if (numbers == NULL)
            return af_fail_nomem(err, "the series of a scan");
        af_free(source->numbers);
        source->numbers = numbers;
        source->number_cap = (size_t)dict->count + 16;
    }
    for (uint32_t i = 0; i < dict->count; i++)
        source->numbers[i] = series_find(source->set, af_dict_get(dict, i));
    source->dict_id = dict->id;
    return AF_OK;
}

static void fill_series(uint32_t *series, uint32_t number, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        series[i] = number;
}

static enum af_status number_codes(struct source *source, const struct af_column *keys, struct piece *piece, uint32_t *series,
                                   struct af_error *err)
{
    AF_TRY(begin_dict(source, keys->dict, err));
    const uint32_t *numbers = source->numbers;
    piece->is_one_series = keys->dict->count == 1;
    if (piece->is_one_series)
        fill_series(series, numbers[0], piece->rows);
    for (size_t i = 0; !piece->is_one_series && i < piece->rows; i++)
        series[i] = numbers[keys->codes[i]];
    return AF_OK;
}

static enum af_status number_rows(struct source *source, const struct af_column *keys, struct piece *piece, struct af_arena *arena,
                                  struct af_error *err)
{
    uint32_t *series = af_arena_array(arena, piece->rows, sizeof *series);
    if (series == NULL)
        return arena_fail(arena, piece->rows * sizeof *series, err);
    piece->series = series;
    if (keys->dict != NULL)
        return number_codes(source, keys, piece, series, err);
    for (size_t i = 0; i < piece->rows; i++)
        series[i] = i > 0 && af_slice_eq(af_column_text(keys, i), af_column_text(keys, i - 1))
                        ? series[i - 1] : series_find(source->set, af_column_text(keys, i));
    return AF_OK;
}

/* --- types ------------------------------------------------------------------------------------------------------------------------ */

static bool is_number(enum af_type type)
{
    return type == AF_TYPE_I64 || type == AF_TYPE_U64 || type == AF_TYPE_F64;
}

enum af_status column_cast(const struct af_column *column, enum af_type type, size_t rows, struct af_arena *arena, struct af_column *out,
                           struct af_error *err)
{
    if (column->type == type) {
        *out = *column;
        return AF_OK;
    }
    struct af_value none = af_value_none();
    if (!is_number(column->type) || !is_number(type))
        return columns_constant(type, &none, rows, arena, out, err);
    enum af_fn fn = type == AF_TYPE_F64 ? AF_FN_TO_FLOAT : type == AF_TYPE_I64 ? AF_FN_TO_INTEGER : AF_FN_TO_UNSIGNED;
    struct af_vector from = { .column = *column };
    struct af_vector to = { .is_constant = false };
    AF_TRY(af_fn_eval(fn, &from, 1, NULL, rows, arena, &to, err));
    *out = to.column;
    return AF_OK;
}

/* --- a piece ------------------------------------------------------------------------------------------------------------------------ */

static enum af_status pick_rows(const struct source *source, struct piece *piece, const uint32_t *rows, size_t count,
                                struct af_arena *arena, struct af_error *err)
{
    for (size_t i = 0; i < source->node->schema.field_count; i++) {
        struct af_column whole = piece->columns[i]; /* tags that are not there yet have no type */
        AF_TRY(columns_gather(&whole, rows, count, arena, &piece->columns[i], err));
    }
    if (piece->series != NULL) {
        uint32_t *series = af_arena_array(arena, count, sizeof *series);
        if (series == NULL)
            return arena_fail(arena, count * sizeof *series, err);
        for (size_t i = 0; i < count; i++)
            series[i] = piece->series[rows[i]];
        piece->series = series;
    }
    piece->rows = count;
    return AF_OK;
}

/* Rows of series that were not there when they were listed. */
static enum af_status drop_strange(const struct source *source, struct piece *piece, struct af_arena *arena, struct af_error *err)
{
    size_t rows = piece->is_one_series && piece->rows > 0 ? 1 : piece->rows;
    bool found = false;
    for (size_t i = 0; i < rows; i++)
        found |= piece->series[i] == UINT32_MAX;
    if (!found)
        return AF_OK;
    uint32_t *known = af_arena_array(arena, piece->rows, sizeof *known);
    if (known == NULL)
        return arena_fail(arena, piece->rows * sizeof *known, err);
    size_t count = 0;
    for (uint32_t i = 0; i < piece->rows; i++)
        if (piece->series[i] != UINT32_MAX)
            known[count++] = i;
    return pick_rows(source, piece, known, count, arena, err);
}

static enum af_status drop_empty(const struct source *source, struct piece *piece, struct af_arena *arena, struct af_error *err)
{
    uint32_t *rows;
    size_t count;
    AF_TRY(rows_present(piece->columns + 1, source->node->scan.field_count, piece->rows, arena, &rows, &count, err));
    return rows != NULL ? pick_rows(source, piece, rows, count, arena, err) : AF_OK;
}

static enum af_status filter_rows(const struct source *source, struct piece *piece, struct af_arena *arena, struct af_error *err)
{
    struct af_batch batch = { .schema = &source->node->schema, .row_count = piece->rows, .columns = piece->columns };
    uint32_t *rows;
    size_t count;
    AF_TRY(eval_filter(source->node->scan.filter, &batch, arena, &rows, &count, err));
    return count != piece->rows ? pick_rows(source, piece, rows, count, arena, err) : AF_OK;
}

static enum af_status add_tags(const struct source *source, struct piece *piece, struct af_arena *arena, struct af_error *err)
{
    const struct af_plan_scan *scan = &source->node->scan;
    for (size_t i = 0; i < scan->tag_count; i++)
        AF_TRY(series_tag_column(source->set, i, piece->series, piece->rows, arena, &piece->columns[1 + scan->field_count + i], err));
    return AF_OK;
}

static enum af_status count_points(const struct source *source, const struct af_batch *batch, struct af_error *err)
{
    uint64_t points = 0;
    for (size_t i = 2; i < batch->schema->field_count; i++)
        points += batch->columns[i].type != AF_TYPE_NULL ? batch->row_count - batch->columns[i].null_count : 0;
    AF_TRY(exec_poll(source->exec, err));
    return exec_count(source->exec, source->node, points, 0, err);
}

static enum af_status make_columns(const struct source *source, const struct af_batch *batch, struct af_arena *arena, struct piece *out,
                                   struct af_error *err)
{
    const struct af_plan_scan *scan = &source->node->scan;
    const struct af_column missing = { .type = AF_TYPE_NULL };
    *out = (struct piece){ .rows = batch->row_count };
    out->columns = af_arena_zero(arena, source->node->schema.field_count, sizeof *out->columns);
    if (out->columns == NULL)
        return arena_fail(arena, source->node->schema.field_count * sizeof *out->columns, err);
    out->columns[0] = batch->columns[1];
    for (size_t i = 0; i < scan->field_count; i++) {
        const struct af_column *from = source->columns[i] != SIZE_MAX ? &batch->columns[source->columns[i]] : &missing;
        AF_TRY(column_cast(from, scan->field_types[i], batch->row_count, arena, &out->columns[1 + i], err));
    }
    return AF_OK;
}

static enum af_status make_piece(struct source *source, const struct af_batch *batch, struct af_arena *arena, struct piece *out,
                                 struct af_error *err)
{
    AF_TRY(make_columns(source, batch, arena, out, err));
    if (source->set != NULL) {
        AF_TRY(number_rows(source, &batch->columns[0], out, arena, err));
        AF_TRY(drop_strange(source, out, arena, err));
    }
    if (source->is_lossy && out->rows > 0)
        AF_TRY(drop_empty(source, out, arena, err));
    if (source->wants_tags && out->rows > 0)
        AF_TRY(add_tags(source, out, arena, err));
    return source->node->scan.filter != NULL && out->rows > 0 ? filter_rows(source, out, arena, err) : AF_OK;
}

enum af_status source_next(struct source *source, struct af_arena *arena, struct piece *out, bool *out_end, struct af_error *err)
{
    struct af_batch *batch = NULL;
    *out_end = false;
    AF_TRY(af_stream_next(source->stream, arena, &batch, err));
    if (batch == NULL) {
        *out_end = true;
        return AF_OK;
    }
    AF_TRY(count_points(source, batch, err));
    return make_piece(source, batch, arena, out, err);
}
