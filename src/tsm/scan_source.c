/*
 * scan_source.c - what a scan reads, settled when it is opened: columns, series, parts, and what the caches have.
 *
 * One moment: caches are captured before anything is read, the files are the view's, and series that came with what was captured are
 * selected afterwards. (A shard is captured at once; a write into several shards, or one that makes new series while the scan is being
 * opened, may be seen in part.)
 *
 * A field that has other types in other shards: its column has the first of float, integer, unsigned, string, boolean that occurs, as
 * InfluxDB chooses. Numbers of another type are converted, texts and booleans under a column of another type are left out.
 */
#include "base/limits.h"
#include "data/points.h"
#include "tsm/scan_int.h"
#include <stdlib.h>

enum { DIRECT_SERIES_MAX = 4096, CAPTURE_TRIES = 4 };

/* --- columns -------------------------------------------------------------------------------------------------------------- */

static int rank_of(enum af_type type)
{
    static const enum af_type order[] = { AF_TYPE_F64, AF_TYPE_I64, AF_TYPE_U64, AF_TYPE_STRING, AF_TYPE_BOOL };
    int rank = 0;
    while (rank < 5 && order[rank] != type)
        rank++;
    return rank;
}

static int by_name_and_rank(const void *a, const void *b)
{
    const struct scan_column *x = a;
    const struct scan_column *y = b;
    int order = af_slice_cmp(x->name, y->name);
    return order != 0 ? order : rank_of(x->type) - rank_of(y->type);
}

enum af_status scan_fields(const struct af_view *view, struct af_slice measurement, struct af_arena *arena, struct scan_column **out,
                           size_t *out_count, struct af_error *err)
{
    struct af_types_field **lists = af_arena_zero(arena, view->shard_count, sizeof *lists);
    size_t *counts = af_arena_zero(arena, view->shard_count, sizeof *counts);
    size_t total = 0, count = 0;
    if (lists == NULL || counts == NULL)
        return af_arena_fail(arena, view->shard_count * sizeof *lists, "the fields of a measurement", err);
    for (size_t i = 0; i < view->shard_count; i++) {
        AF_TRY(af_types_list(view->shards[i].shard->types, measurement, arena, &lists[i], &counts[i], err));
        total += counts[i];
    }
    struct scan_column *columns = af_arena_zero(arena, total, sizeof *columns);
    if (columns == NULL)
        return af_arena_fail(arena, total * sizeof *columns, "the fields of a measurement", err);
    total = 0;
    for (size_t i = 0; i < view->shard_count; i++)
        for (size_t k = 0; k < counts[i]; k++)
            columns[total++] = (struct scan_column){ lists[i][k].name, lists[i][k].type };
    if (total > 1)
        qsort(columns, total, sizeof *columns, by_name_and_rank);
    for (size_t i = 0; i < total; i++)
        if (count == 0 || !af_slice_eq(columns[count - 1].name, columns[i].name))
            columns[count++] = columns[i];
    *out = columns;
    *out_count = count;
    return AF_OK;
}

enum af_status scan_measurement(const struct af_view *view, const char *name, struct af_arena *arena, struct af_slice *out_name,
                                uint32_t *out_number, struct af_error *err)
{
    struct af_buf escaped;
    af_buf_init(&escaped, SIZE_MAX);
    af_key_append_measurement(&escaped, af_slice_of(name));
    enum af_status status = af_buf_check(&escaped, "a measurement", err);
    if (status == AF_OK) {
        *out_name = (struct af_slice){ af_arena_copy(arena, af_buf_slice(&escaped)), escaped.len };
        if (out_name->ptr == NULL)
            status = af_arena_fail(arena, escaped.len, "a measurement", err);
        else
            *out_number = af_index_measurement_find(view->bucket->index, *out_name);
    }
    af_buf_done(&escaped);
    return status;
}

static bool is_wanted(const char *const *fields, size_t field_count, struct af_slice name)
{
    for (size_t i = 0; i < field_count; i++)
        if (af_slice_is(name, fields[i]))
            return true;
    return fields == NULL;
}

enum af_status scan_source_columns(struct scan_source *source, const char *const *fields, size_t field_count, struct af_error *err)
{
    size_t count;
    if (source->measurement == AF_INDEX_NONE)
        return AF_OK;
    AF_TRY(scan_fields(source->view, source->name, source->arena, &source->columns, &count, err));
    for (size_t i = 0; i < count; i++)
        if (is_wanted(fields, field_count, source->columns[i].name))
            source->columns[source->column_count++] = source->columns[i];
    if (source->column_count > AF_COLUMNS_MAX)
        return af_fail(err, AF_ELIMIT, "%zu fields in one scan, more than %d: name the ones you need", source->column_count,
                       AF_COLUMNS_MAX);
    return AF_OK;
}

static bool is_number(enum af_type type)
{
    return type == AF_TYPE_F64 || type == AF_TYPE_I64 || type == AF_TYPE_U64;
}

bool scan_can_cast(enum af_type from, enum af_type to)
{
    return from == to || (is_number(from) && is_number(to));
}

/* Floats come first, so numbers become floats, or unsigned ones integers: bit for bit, as InfluxDB's cast does. */
enum af_status scan_cast(struct af_column *column, size_t count, enum af_type type, struct af_arena *arena, struct af_error *err)
{
    enum af_type had = column->type;
    column->type = type;
    if (type != AF_TYPE_F64 || had == AF_TYPE_F64)
        return AF_OK;
    double *f64 = af_arena_array(arena, count, sizeof *f64);
    if (f64 == NULL)
        return af_arena_fail(arena, count * sizeof *f64, "values of another type", err);
    for (size_t i = 0; i < count; i++)
        f64[i] = had == AF_TYPE_I64 ? (double)column->i64[i] : (double)column->u64[i];
    column->f64 = f64;
    return AF_OK;
}

/* --- series and caches ---------------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Of the series that were asked for, if they are few; else of all that the cache has in the shard. */
static enum af_status capture_one(struct scan_source *source, struct af_cache *cache, uint64_t shard, struct scan_capture *out,
                                  struct af_error *err)
{
    uint32_t *ids;
    size_t count = source->id_count;
    if (count <= DIRECT_SERIES_MAX) {
        ids = af_arena_array(source->arena, count, sizeof *ids);
        if (ids == NULL)
            return af_arena_fail(source->arena, count * sizeof *ids, "the series in the cache", err);
        if (count != 0)
            memcpy(ids, source->ids, count * sizeof *ids);
    } else {
        AF_TRY(af_cache_series(cache, shard, source->arena, &ids, &count, err));
    }
    if (count > 1)
        qsort(ids, count, sizeof *ids, by_id);
    struct af_cache_handle *handles = af_arena_array(source->arena, count, sizeof *handles);
    if (handles == NULL)
        return af_arena_fail(source->arena, count * sizeof *handles, "the series in the cache", err);
    af_cache_capture(cache, shard, ids, count, handles);
    *out = (struct scan_capture){ .ids = ids, .handles = handles };
    for (size_t i = 0; i < count; i++)
        if (handles[i].rows > 0) {
            ids[out->count] = ids[i];
            handles[out->count++] = handles[i];
        }
    return AF_OK;
}

static enum af_status capture_cache(struct scan_source *source, size_t cache, struct af_error *err)
{
    uint64_t *having;
    size_t count;
    AF_TRY(af_cache_shards(source->view->caches[cache], source->arena, &having, &count, err));
    for (size_t i = 0; i < source->view->shard_count; i++) {
        uint64_t shard = source->view->shards[i].shard->id;
        source->shards[i].captures[cache].count = 0;
        size_t k = 0;
        while (k < count && having[k] != shard)
            k++;
        if (k < count)
            AF_TRY(capture_one(source, source->view->caches[cache], shard, &source->shards[i].captures[cache], err));
    }
    return AF_OK;
}

const struct af_cache_handle *scan_capture_find(const struct scan_capture *capture, uint32_t id)
{
    size_t low = 0;
    size_t high = capture->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (capture->ids[mid] == id)
            return &capture->handles[mid];
        if (capture->ids[mid] < id)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static enum af_status choose_series(struct scan_source *source, const struct af_scan *asked, struct af_error *err)
{
    if (asked->series == NULL)
        return af_index_select(source->index, source->measurement, asked->predicate, source->arena, &source->ids, &source->id_count, err);
    return af_index_pick(source->index, source->measurement, asked->predicate, asked->series, asked->series_count, source->arena,
                         &source->ids, &source->id_count, err);
}

/* Which series, and what the caches have of them. A series that came into being meanwhile, with rows that are captured of others, belongs
 * to it: so the selection is made again until it stays. */
static enum af_status capture(struct scan_source *source, const struct af_scan *asked, struct af_error *err)
{
    AF_TRY(choose_series(source, asked, err));
    bool is_settled = false;
    for (int i = 0; i < CAPTURE_TRIES && !is_settled; i++) {
        bool is_direct = source->id_count <= DIRECT_SERIES_MAX;
        size_t before = source->id_count;
        for (size_t k = 0; k < source->view->cache_count; k++)
            AF_TRY(capture_cache(source, k, err));
        AF_TRY(choose_series(source, asked, err));
        is_settled = !is_direct || source->id_count == before;
    }
    return AF_OK;
}

/* --- files ---------------------------------------------------------------------------------------------------------------- */

bool scan_touches(const struct scan_source *source, int64_t min_ns, int64_t max_ns)
{
    return max_ns >= source->start_ns && (min_ns < source->stop_ns || source->stop_ns == INT64_MAX);
}

static bool is_in_range(const struct scan_source *source, const struct af_tsm_part *part)
{
    struct af_tsm_file_info info;
    af_tsm_file_info(part->file, &info);
    return scan_touches(source, info.min_ns, info.max_ns);
}

static enum af_status prepare_shards(struct scan_source *source, struct af_error *err)
{
    const struct af_view *view = source->view;
    source->shards = af_arena_zero(source->arena, view->shard_count, sizeof *source->shards);
    if (source->shards == NULL)
        return af_arena_fail(source->arena, view->shard_count * sizeof *source->shards, "a scan", err);
    for (size_t i = 0; i < view->shard_count; i++) {
        const struct af_files *files = view->shards[i].files;
        struct scan_shard *shard = &source->shards[i];
        size_t count = files != NULL ? files->count : 0;
        shard->captures = af_arena_zero(source->arena, view->cache_count, sizeof *shard->captures);
        shard->parts = af_arena_zero(source->arena, count, sizeof *shard->parts);
        if (shard->captures == NULL || shard->parts == NULL)
            return af_arena_fail(source->arena, count * sizeof *shard->parts, "a scan", err);
        for (size_t k = 0; k < count; k++)
            if (is_in_range(source, files->parts[k]))
                shard->parts[shard->part_count++] = files->parts[k];
    }
    return AF_OK;
}

/* --- cursors of parts ----------------------------------------------------------------------------------------------------- */

struct scan_part *scan_parts_new(const struct scan_shard *shard, struct af_arena *arena)
{
    struct scan_part *parts = af_arena_zero(arena, shard->part_count, sizeof *parts);
    for (size_t i = 0; parts != NULL && i < shard->part_count; i++)
        parts[i].part = shard->parts[i];
    return parts;
}

void scan_part_rewind(struct scan_part *part)
{
    af_tsm_cursor_close(part->cursor);
    part->cursor = NULL;
}

enum af_status scan_part_seek(struct scan_part *part, struct af_slice key, struct af_error *err)
{
    if (part->cursor == NULL) {
        AF_TRY(af_tsm_cursor_open(part->part->file, key, &part->cursor, err));
        return af_tsm_cursor_next(part->cursor, &part->entry, err);
    }
    if (part->entry.key.ptr == NULL || af_slice_cmp(part->entry.key, key) >= 0)
        return AF_OK;
    AF_TRY(af_tsm_cursor_next(part->cursor, &part->entry, err)); /* mostly it is the next one */
    if (part->entry.key.ptr == NULL || af_slice_cmp(part->entry.key, key) >= 0)
        return AF_OK;
    AF_TRY(af_tsm_cursor_seek(part->cursor, key, err));
    return af_tsm_cursor_next(part->cursor, &part->entry, err);
}

bool scan_goes_back(const struct scan_source *source, uint32_t before, uint32_t id)
{
    const struct af_slice none = AF_SLICE_LIT("");
    return af_tsm_key_compare(af_index_key(source->index, before), none, af_index_key(source->index, id), none) >= 0;
}

bool scan_is_cancelled(const struct scan_source *source)
{
    return source->cancel != NULL && __atomic_load_n(source->cancel, __ATOMIC_RELAXED);
}

/* --- opening -------------------------------------------------------------------------------------------------------------- */

enum af_status scan_source_open(struct scan_source *source, struct af_view *view, const struct af_scan *asked, struct af_arena *arena,
                                struct af_error *err)
{
    *source = (struct scan_source){ .view = view, .index = view->bucket->index, .arena = arena, .start_ns = asked->start_ns,
                                    .stop_ns = asked->stop_ns, .cancel = asked->cancel };
    AF_TRY(scan_measurement(view, asked->measurement, arena, &source->name, &source->measurement, err));
    if (asked->stop_ns <= asked->start_ns)
        source->measurement = AF_INDEX_NONE;
    if (source->measurement == AF_INDEX_NONE)
        return AF_OK;
    AF_TRY(prepare_shards(source, err));
    return capture(source, asked, err);
}
