/*
 * memory_scan.c - the reference store, its reading half; see store_int.h.
 *
 * A scan remembers a place (series, time) and not pointers: it takes the lock for each `next` only, and points written meanwhile
 * appear if they lie behind that place. Series come in the order of their keys.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "data/points.h"
#include "store/listing.h"
#include "store/rows.h"
#include "store/store_int.h"
#include <stdlib.h>

struct mem_stream {
    struct af_stream base;
    struct mem_store *store;
    struct af_rows *rows;
    uint32_t *fields;    /* ids, by column */
    size_t *cursors;     /* by column: the next cell of the current series */
    size_t field_count;
    uint32_t *series;    /* ids, by key */
    size_t series_count;
    size_t series_at;
    int64_t start_ns;    /* of the scan */
    int64_t from_ns;     /* in the current series */
    int64_t last_ns;     /* included */
    const bool *cancel;
};

static const struct mem_cell *peek(const struct mem_stream *stream, const struct mem_series *series, size_t column)
{
    const struct mem_strand *strand = mem_find_strand(series, stream->fields[column]);
    if (strand == NULL || stream->cursors[column] >= strand->count)
        return NULL;
    const struct mem_cell *cell = &strand->cells[stream->cursors[column]];
    return cell->time_ns <= stream->last_ns ? cell : NULL;
}

static enum af_status add_value(struct mem_stream *stream, size_t column, const struct mem_cell *cell, struct af_error *err)
{
    switch (stream->base.schema->fields[column + 2].type) {
    case AF_TYPE_F64: af_rows_f64(stream->rows, column, cell->f64); return AF_OK;
    case AF_TYPE_I64: af_rows_i64(stream->rows, column, cell->i64); return AF_OK;
    case AF_TYPE_U64: af_rows_u64(stream->rows, column, cell->u64); return AF_OK;
    case AF_TYPE_BOOL: af_rows_bool(stream->rows, column, cell->u64 != 0); return AF_OK;
    default: return af_rows_text(stream->rows, column, af_slice_make(cell->text, cell->text_len), err);
    }
}

/* The row of the earliest time among the cursors; false in *out_some: the series has no more. */
static enum af_status add_row(struct mem_stream *stream, uint32_t id, bool *out_some, struct af_error *err)
{
    const struct mem_series *series = &stream->store->series[id];
    const struct mem_cell *first = NULL;
    for (size_t i = 0; i < stream->field_count; i++) {
        const struct mem_cell *cell = peek(stream, series, i);
        if (cell != NULL && (first == NULL || cell->time_ns < first->time_ns))
            first = cell;
    }
    *out_some = first != NULL;
    if (first == NULL)
        return AF_OK;
    int64_t time_ns = first->time_ns;
    AF_TRY(af_rows_begin(stream->rows, stream->store->keys.keys[id], time_ns, err));
    for (size_t i = 0; i < stream->field_count; i++) {
        const struct mem_cell *cell = peek(stream, series, i);
        if (cell == NULL || cell->time_ns != time_ns)
            continue;
        AF_TRY(add_value(stream, i, cell, err));
        stream->cursors[i]++;
    }
    *out_some = time_ns < stream->last_ns;
    stream->from_ns = *out_some ? time_ns + 1 : time_ns;
    return AF_OK;
}

static void set_cursors(struct mem_stream *stream, uint32_t id)
{
    for (size_t i = 0; i < stream->field_count; i++) {
        const struct mem_strand *strand = mem_find_strand(&stream->store->series[id], stream->fields[i]);
        stream->cursors[i] = strand != NULL ? mem_lower_bound(strand, stream->from_ns) : 0;
    }
}

static enum af_status fill(struct mem_stream *stream, struct af_error *err)
{
    while (stream->series_at < stream->series_count && !af_rows_is_full(stream->rows)) {
        uint32_t id = stream->series[stream->series_at];
        bool some = true;
        set_cursors(stream, id);
        while (some && !af_rows_is_full(stream->rows))
            AF_TRY(add_row(stream, id, &some, err));
        if (!some) {
            stream->series_at++;
            stream->from_ns = stream->start_ns;
        }
    }
    return AF_OK;
}

static enum af_status stream_next(struct af_stream *base, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    struct mem_stream *stream = (struct mem_stream *)base;
    if (stream->cancel != NULL && __atomic_load_n(stream->cancel, __ATOMIC_RELAXED))
        return af_fail(err, AF_ECANCELED, "stopped while scanning");
    af_mutex_lock(&stream->store->lock);
    enum af_status status = fill(stream, err);
    af_mutex_unlock(&stream->store->lock);
    return status == AF_OK ? af_rows_take(stream->rows, arena, out, err) : status;
}

static void stream_close(struct af_stream *base)
{
    struct mem_stream *stream = (struct mem_stream *)base;
    af_rows_free(stream->rows);
    af_free(stream->fields);
    af_free(stream->cursors);
    af_free(stream->series);
    af_free(stream);
}

static const struct af_stream_ops stream_ops = { stream_next, stream_close };

/* --- opening ------------------------------------------------------------------------------------------------------------------ */

static bool is_wanted(const struct af_scan *scan, struct af_slice name)
{
    for (size_t i = 0; i < scan->field_count; i++)
        if (af_slice_is(name, scan->fields[i]))
            return true;
    return scan->fields == NULL;
}

struct named_id {
    struct af_slice name;
    uint32_t id;
};

static int by_name(const void *a, const void *b)
{
    return af_slice_cmp(((const struct named_id *)a)->name, ((const struct named_id *)b)->name);
}

/* The fields of the measurement that are asked for, by name. */
static enum af_status choose_fields(struct mem_stream *stream, const struct mem_measurement *measurement,
                                    const struct af_scan *scan, struct af_error *err)
{
    size_t count = measurement->fields.count;
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    struct named_id *found = af_arena_zero(&arena, count, sizeof *found);
    struct af_field *fields = af_arena_zero(&arena, count, sizeof *fields);
    stream->fields = af_alloc_zero(count, sizeof *stream->fields);
    stream->cursors = af_alloc_zero(count, sizeof *stream->cursors);
    enum af_status status = AF_OK;
    if (found == NULL || fields == NULL || stream->fields == NULL || stream->cursors == NULL)
        status = af_fail_nomem(err, "the fields of a scan");
    for (uint32_t id = 0; status == AF_OK && id < count; id++)
        if (is_wanted(scan, measurement->fields.keys[id]))
            found[stream->field_count++] = (struct named_id){ measurement->fields.keys[id], id };
    if (status == AF_OK && stream->field_count > 1)
        qsort(found, stream->field_count, sizeof *found, by_name);
    for (size_t i = 0; status == AF_OK && i < stream->field_count; i++) {
        stream->fields[i] = found[i].id;
        fields[i].type = measurement->types[found[i].id];
        fields[i].name = af_arena_copy(&arena, found[i].name);
        if (fields[i].name == NULL)
            status = af_fail_nomem(err, "the fields of a scan");
    }
    if (status == AF_OK)
        status = af_rows_new(fields, stream->field_count, &stream->rows, err);
    af_arena_done(&arena);
    return status;
}

static bool is_chosen(const struct mem_store *store, const struct af_scan *scan, uint32_t measurement, uint32_t id)
{
    return store->series[id].measurement == measurement && af_predicate_match(scan->predicate, store->keys.keys[id]);
}

/* Those that match, by key. */
static size_t choose_by_predicate(const struct mem_store *store, const struct af_scan *scan, uint32_t measurement, struct named_id *out)
{
    size_t count = 0;
    for (uint32_t id = 0; id < store->keys.count; id++)
        if (is_chosen(store, scan, measurement, id))
            out[count++] = (struct named_id){ store->keys.keys[id], id };
    if (count > 1)
        qsort(out, count, sizeof *out, by_name);
    return count;
}

/* Those that are named, as they are named. */
static size_t choose_by_key(const struct mem_store *store, const struct af_scan *scan, uint32_t measurement, struct named_id *out)
{
    size_t count = 0;
    for (size_t i = 0; i < scan->series_count; i++) {
        uint32_t id = af_intern_find(&store->keys, scan->series[i]);
        if (id != UINT32_MAX && is_chosen(store, scan, measurement, id))
            out[count++] = (struct named_id){ store->keys.keys[id], id };
    }
    return count;
}

enum af_status mem_choose_series(const struct mem_store *store, const struct af_scan *scan, uint32_t measurement, uint32_t **out,
                                 size_t *out_count, struct af_error *err)
{
    size_t most = scan->series != NULL ? scan->series_count : store->keys.count;
    struct named_id *found = af_alloc_zero(most, sizeof *found);
    uint32_t *series = af_alloc_zero(most, sizeof *series);
    if (found == NULL || series == NULL) {
        af_free(found);
        af_free(series);
        return af_fail_nomem(err, "the series of a scan");
    }
    size_t count =
        scan->series != NULL ? choose_by_key(store, scan, measurement, found) : choose_by_predicate(store, scan, measurement, found);
    for (size_t i = 0; i < count; i++)
        series[i] = found[i].id;
    af_free(found);
    *out = series;
    *out_count = count;
    return AF_OK;
}

/* Names are kept as keys write them. */
enum af_status mem_find_measurement(const struct mem_store *store, const char *name, uint32_t *out, struct af_error *err)
{
    struct af_buf escaped;
    af_buf_init(&escaped, SIZE_MAX);
    af_key_append_measurement(&escaped, af_slice_of(name));
    enum af_status status = af_buf_check(&escaped, "a measurement", err);
    if (status == AF_OK)
        *out = af_intern_find(&store->measurement_names, af_buf_slice(&escaped));
    af_buf_done(&escaped);
    return status;
}

int64_t mem_last_ns(const struct af_scan *scan)
{
    return scan->stop_ns == INT64_MAX ? INT64_MAX : scan->stop_ns - (scan->stop_ns > INT64_MIN);
}

static enum af_status open_locked(struct mem_stream *stream, const struct af_scan *scan, struct af_error *err)
{
    AF_TRY(mem_check_created(stream->store, err));
    uint32_t id;
    AF_TRY(mem_find_measurement(stream->store, scan->measurement, &id, err));
    if (id == UINT32_MAX || scan->stop_ns <= scan->start_ns) /* no such rows: an empty stream */
        return af_rows_new(NULL, 0, &stream->rows, err);
    AF_TRY(choose_fields(stream, &stream->store->measurements[id], scan, err));
    return mem_choose_series(stream->store, scan, id, &stream->series, &stream->series_count, err);
}

enum af_status mem_scan(struct af_store *base, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    struct mem_store *store = (struct mem_store *)base;
    if (scan->fold_count > 0)
        return mem_fold(store, scan, out, err);
    struct mem_stream *stream = af_alloc_zero(1, sizeof *stream);
    if (stream == NULL)
        return af_fail_nomem(err, "a scan");
    stream->store = store;
    stream->start_ns = stream->from_ns = scan->start_ns;
    stream->last_ns = mem_last_ns(scan);
    stream->cancel = scan->cancel;
    af_mutex_lock(&store->lock);
    enum af_status status = open_locked(stream, scan, err);
    af_mutex_unlock(&store->lock);
    if (status != AF_OK) {
        stream_close(&stream->base);
        return status;
    }
    stream->base = (struct af_stream){ .ops = &stream_ops, .schema = af_rows_schema(stream->rows) };
    *out = &stream->base;
    return AF_OK;
}
