/*
 * scan.c - the store's scan over a view: series in order of their TSM keys; of each the shards in order of time; of each the columns.
 *
 *     series, shard --> part, part, part    one cursor each, which only moves forward: series and columns are in the files' order
 *                   --> cache, cache        captured at the start
 *                          |  pieces of each column, oldest first
 *                       af_merge --> lane of the column --> rows side by side (scan_rows.c) --> batch
 *
 * One moment: caches are captured before anything is read, the files are the view's, and series that came with what was captured are
 * selected afterwards. (A shard is captured at once; a write into several shards, or one that makes new series while the scan is being
 * opened, may be seen in part.) Memory: a window of each file's index, one entry for each captured series, and of one series in one
 * shard the lists of blocks and a decoded block for each piece.
 *
 * A field that has other types in other shards: its column has the first of float, integer, unsigned, string, boolean that occurs, as
 * InfluxDB chooses. Numbers of another type are converted, texts and booleans under a column of another type are left out.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "data/points.h"
#include "tsm/scan_int.h"
#include <stdlib.h>

enum { DIRECT_SERIES_MAX = 4096, CAPTURE_TRIES = 4 };
static const size_t BLOCK_BYTES_MAX = (size_t)2 * AF_TSM_BLOCK_BYTES_MAX;

struct scan_part {
    struct af_tsm_part *part;
    struct af_tsm_cursor *cursor; /* NULL until it is needed */
    struct af_tsm_entry entry;    /* where the cursor stands; key.ptr NULL: at the end */
};
struct capture {
    uint32_t *ids;                /* ascending; only those with rows */
    struct af_cache_handle *handles;
    size_t count;
};
struct scan_shard {
    struct scan_part *parts;      /* oldest first */
    size_t part_count;
    struct capture *captures;     /* one for each cache of the view, oldest first */
};
struct pieces {
    struct af_piece *list;
    size_t count;
};

struct scan {
    struct af_stream base;
    struct af_schema schema;
    struct af_view *view;
    struct af_index *index;
    struct af_arena arena;        /* of the scan */
    int64_t start_ns, stop_ns;
    const bool *cancel;
    struct scan_column *columns;
    size_t column_count;
    struct scan_shard *shards;
    uint32_t *ids;
    size_t id_count;
    size_t id_at, shard_at;       /* the next to be opened */

    struct af_arena work;         /* of the series and shard at hand */
    struct af_buf key;
    struct pieces *pieces;        /* by column */
    struct af_arena *blocks;      /* by column: of a lane that needs no merge */
    struct scan_lane *lanes;      /* in order of column */
    size_t lane_count;
    struct scan_rows rows;
};

/* --- pieces from files ----------------------------------------------------------------------------------------------------------- */

static enum af_status add_piece(struct scan *scan, const struct scan_shard *shard, size_t column, const struct af_piece *piece,
                                struct af_error *err)
{
    struct pieces *pieces = &scan->pieces[column];
    if (pieces->count == 0) {
        size_t most = shard->part_count + scan->view->cache_count;
        pieces->list = af_arena_alloc(&scan->work, most * sizeof *pieces->list);
        if (pieces->list == NULL)
            return af_arena_fail(&scan->work, most * sizeof *pieces->list, "a scan", err);
    }
    pieces->list[pieces->count++] = *piece;
    return AF_OK;
}

/* The blocks of the part's entry that can have rows of the scan, copied: the cursor goes on. */
static enum af_status add_entry(struct scan *scan, const struct scan_shard *shard, const struct scan_part *part, size_t column,
                                struct af_error *err)
{
    const struct af_tsm_entry *entry = &part->entry;
    struct af_piece piece = { .part = part->part, .entry = *entry };
    struct af_tsm_block_ref *blocks = af_arena_alloc(&scan->work, entry->block_count * sizeof *blocks);
    if (blocks == NULL)
        return af_arena_fail(&scan->work, entry->block_count * sizeof *blocks, "a scan", err);
    piece.entry.block_count = 0;
    for (size_t i = 0; i < entry->block_count; i++)
        if (entry->blocks[i].max_ns >= scan->start_ns && (entry->blocks[i].min_ns < scan->stop_ns || scan->stop_ns == INT64_MAX))
            blocks[piece.entry.block_count++] = entry->blocks[i];
    if (piece.entry.block_count == 0)
        return AF_OK;
    piece.entry.blocks = blocks;
    if (part->part->tomb_count > 0)
        piece.tombs = af_part_tombs(part->part, entry->key, &piece.tomb_count);
    return add_piece(scan, shard, column, &piece, err);
}

/* To the first entry that is not less than scan->key. */
static enum af_status go_to_key(struct scan *scan, struct scan_part *part, struct af_error *err)
{
    struct af_slice key = af_buf_slice(&scan->key);
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

/* Columns of the part's keys that begin with scan->key, the series and the separator. */
static enum af_status collect_part(struct scan *scan, const struct scan_shard *shard, struct scan_part *part, struct af_error *err)
{
    const size_t prefix = scan->key.len;
    for (size_t i = 0; i < scan->column_count;) {
        af_buf_rewind(&scan->key, prefix);
        af_buf_append_slice(&scan->key, scan->columns[i].name);
        AF_TRY(af_buf_check(&scan->key, "a key", err));
        AF_TRY(go_to_key(scan, part, err));
        struct af_slice key = part->entry.key;
        if (key.ptr == NULL || key.len < prefix || memcmp(key.ptr, scan->key.ptr, prefix) != 0)
            break;
        struct af_slice field = { key.ptr + prefix, key.len - prefix };
        int order = -1;
        while (i < scan->column_count && (order = af_slice_cmp(scan->columns[i].name, field)) < 0)
            i++;
        if (order == 0)
            AF_TRY(add_entry(scan, shard, part, i++, err));
    }
    af_buf_rewind(&scan->key, prefix);
    return AF_OK;
}

/* --- pieces from caches ---------------------------------------------------------------------------------------------------------- */

static size_t find_column(const struct scan *scan, struct af_slice name)
{
    size_t low = 0;
    size_t high = scan->column_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = af_slice_cmp(scan->columns[mid].name, name);
        if (order == 0)
            return mid;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return SIZE_MAX;
}

static const struct af_cache_handle *find_handle(const struct capture *capture, uint32_t id)
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

static enum af_status collect_cache(struct scan *scan, const struct scan_shard *shard, const struct capture *capture, uint32_t id,
                                    struct af_error *err)
{
    const struct af_cache_handle *handle = find_handle(capture, id);
    struct af_slice *names;
    size_t count;
    if (handle == NULL)
        return AF_OK;
    AF_TRY(af_cache_fields(handle, &scan->work, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        struct af_piece piece = { 0 };
        size_t column = find_column(scan, names[i]);
        if (column == SIZE_MAX)
            continue;
        AF_TRY(af_cache_field(handle, names[i], &scan->work, &piece.values, err));
        if (piece.values.count > 0)
            AF_TRY(add_piece(scan, shard, column, &piece, err));
    }
    return AF_OK;
}

/* --- lanes ------------------------------------------------------------------------------------------------------------------------ */

static bool is_number(enum af_type type)
{
    return type == AF_TYPE_F64 || type == AF_TYPE_I64 || type == AF_TYPE_U64;
}

/* Floats come first, so numbers become floats, or unsigned ones integers: bit for bit, as InfluxDB's cast does. */
static enum af_status cast_values(struct scan_lane *lane, enum af_type type, struct af_error *err)
{
    struct af_column *from = &lane->values.values;
    enum af_type had = from->type;
    size_t count = lane->values.count;
    from->type = type;
    if (type != AF_TYPE_F64)
        return AF_OK;
    af_arena_reset(&lane->cast);
    double *f64 = af_arena_array(&lane->cast, count, sizeof *f64);
    if (f64 == NULL)
        return af_arena_fail(&lane->cast, count * sizeof *f64, "values of another type", err);
    for (size_t i = 0; i < count; i++)
        f64[i] = had == AF_TYPE_I64 ? (double)from->i64[i] : (double)from->u64[i];
    from->f64 = f64;
    return AF_OK;
}

/* Rows of lane->values in the scan's range: [at, count). */
static void trim(const struct scan *scan, struct scan_lane *lane)
{
    struct af_tsm_values *values = &lane->values;
    lane->at = values->time_ns[0] < scan->start_ns ? af_values_seek(values, 0, scan->start_ns) : 0;
    if (scan->stop_ns != INT64_MAX && values->time_ns[values->count - 1] >= scan->stop_ns)
        values->count = af_values_seek(values, lane->at, scan->stop_ns);
}

/* The next rows of the lane's only piece; none at its end. */
static enum af_status next_of_piece(const struct scan *scan, struct scan_lane *lane, struct af_error *err)
{
    const struct af_piece *piece = lane->piece;
    lane->at = lane->values.count = 0;
    while (lane->at == lane->values.count && lane->next_block < (piece->part != NULL ? piece->entry.block_count : 1)) {
        size_t i = lane->next_block++;
        if (piece->part == NULL) {
            lane->values = piece->values;
        } else {
            const struct af_tsm_block_ref *ref = &piece->entry.blocks[i];
            af_arena_reset(lane->block);
            AF_TRY(af_tsm_read_block(piece->part->file, piece->entry.type, ref, lane->block, &lane->values, err));
        }
        trim(scan, lane);
    }
    return AF_OK;
}

static enum af_status next_of_merge(struct scan_lane *lane, struct af_error *err)
{
    lane->at = 0;
    return af_merge_next(lane->merge, &lane->values, err);
}

static void close_lane(struct scan_lane *lane)
{
    af_merge_close(lane->merge);
    af_arena_done(&lane->cast);
}

/* The next stretch; *out_some false: the lane is at its end. */
static enum af_status pull(const struct scan *scan, struct scan_lane *lane, bool *out_some, struct af_error *err)
{
    enum af_type type = scan->columns[lane->column].type;
    AF_TRY(lane->merge != NULL ? next_of_merge(lane, err) : next_of_piece(scan, lane, err));
    *out_some = lane->values.count > lane->at;
    if (*out_some && lane->values.values.type != type)
        AF_TRY(cast_values(lane, type, err));
    return AF_OK;
}

/* Lanes that are used up get their next stretch or go. */
static enum af_status refill(struct scan *scan, struct af_error *err)
{
    enum af_status status = AF_OK;
    size_t kept = 0;
    for (size_t i = 0; i < scan->lane_count; i++) {
        bool some = true;
        if (status == AF_OK && scan->lanes[i].at == scan->lanes[i].values.count)
            status = pull(scan, &scan->lanes[i], &some, err);
        if (some)
            scan->lanes[kept++] = scan->lanes[i];
        else
            close_lane(&scan->lanes[i]);
    }
    scan->lane_count = kept;
    return status;
}

static enum af_type type_of(const struct af_piece *piece)
{
    return piece->part != NULL ? piece->entry.type : piece->values.values.type;
}

/* Nothing to merge: one place, where nothing is deleted and no block overlaps another. */
static bool stands_alone(const struct pieces *pieces)
{
    const struct af_piece *piece = &pieces->list[0];
    if (pieces->count > 1 || piece->tomb_count > 0)
        return false;
    for (size_t i = 1; i < piece->entry.block_count; i++)
        if (piece->entry.blocks[i].min_ns <= piece->entry.blocks[i - 1].max_ns)
            return false;
    return true;
}

static enum af_status open_lane(struct scan *scan, size_t column, struct af_error *err)
{
    const struct pieces *pieces = &scan->pieces[column];
    enum af_type has = type_of(&pieces->list[pieces->count - 1]);
    enum af_type want = scan->columns[column].type;
    if (has != want && !(is_number(has) && is_number(want)))
        return AF_OK;
    struct scan_lane *lane = &scan->lanes[scan->lane_count];
    *lane = (struct scan_lane){ .column = column, .piece = pieces->list, .block = &scan->blocks[column] };
    if (!stands_alone(pieces))
        AF_TRY(af_merge_open(pieces->list, pieces->count, scan->start_ns, scan->stop_ns, &scan->work, &lane->merge, err));
    af_arena_init(&lane->cast, AF_BATCH_ARENA_BYTES_MAX);
    scan->lane_count++;
    return AF_OK;
}

/* The lanes of one series in one shard; perhaps none. */
static enum af_status open_lanes(struct scan *scan, struct scan_shard *shard, uint32_t id, struct af_error *err)
{
    af_arena_reset(&scan->work);
    for (size_t i = 0; i < scan->column_count; i++)
        scan->pieces[i].count = 0;
    if (shard->part_count > 0) {
        af_buf_clear(&scan->key);
        af_tsm_key_append(&scan->key, af_index_key(scan->index, id), AF_SLICE_LIT(""));
        AF_TRY(af_buf_check(&scan->key, "a key", err));
    }
    for (size_t i = 0; i < shard->part_count; i++)
        AF_TRY(collect_part(scan, shard, &shard->parts[i], err));
    for (size_t i = 0; i < scan->view->cache_count; i++)
        AF_TRY(collect_cache(scan, shard, &shard->captures[i], id, err));
    for (size_t i = 0; i < scan->column_count; i++)
        if (scan->pieces[i].count > 0)
            AF_TRY(open_lane(scan, i, err));
    return AF_OK;
}

static bool is_cancelled(const struct scan *scan)
{
    return scan->cancel != NULL && __atomic_load_n(scan->cancel, __ATOMIC_RELAXED);
}

/* Lanes with rows, or none at the end of the scan. */
static enum af_status ready_lanes(struct scan *scan, struct af_error *err)
{
    AF_TRY(refill(scan, err));
    while (scan->lane_count == 0 && scan->id_at < scan->id_count) {
        if (is_cancelled(scan))
            return af_fail(err, AF_ECANCELED, "stopped while scanning");
        if (scan->shard_at == scan->view->shard_count) {
            scan->shard_at = 0;
            scan->id_at++;
            continue;
        }
        AF_TRY(open_lanes(scan, &scan->shards[scan->shard_at++], scan->ids[scan->id_at], err));
        AF_TRY(refill(scan, err));
    }
    return AF_OK;
}

static enum af_status scan_next(struct af_stream *base, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    struct scan *scan = (struct scan *)base;
    *out = NULL;
    if (is_cancelled(scan))
        return af_fail(err, AF_ECANCELED, "stopped while scanning");
    AF_TRY(ready_lanes(scan, err));
    if (scan->lane_count == 0)
        return AF_OK;
    AF_TRY(scan_rows_begin(&scan->rows, arena, err));
    while (scan->lane_count > 0 && !scan_rows_is_full(&scan->rows)) {
        uint32_t id = scan->ids[scan->id_at];
        scan_rows_series(&scan->rows, id, af_index_key(scan->index, id));
        AF_TRY(scan_rows_take(&scan->rows, scan->lanes, scan->lane_count, err));
        AF_TRY(ready_lanes(scan, err));
    }
    return scan_rows_finish(&scan->rows, scan->index, out, err);
}

static void scan_close(struct af_stream *base)
{
    struct scan *scan = (struct scan *)base;
    for (size_t i = 0; i < scan->lane_count; i++)
        close_lane(&scan->lanes[i]);
    for (size_t i = 0; scan->shards != NULL && i < scan->view->shard_count; i++)
        for (size_t k = 0; k < scan->shards[i].part_count; k++)
            af_tsm_cursor_close(scan->shards[i].parts[k].cursor);
    for (size_t i = 0; scan->blocks != NULL && i < scan->column_count; i++)
        af_arena_done(&scan->blocks[i]);
    scan_rows_done(&scan->rows);
    af_buf_done(&scan->key);
    af_arena_done(&scan->work);
    af_arena_done(&scan->arena);
    af_view_close(scan->view);
    af_free(scan);
}

static const struct af_stream_ops scan_ops = { scan_next, scan_close };

/* --- opening: columns ---------------------------------------------------------------------------------------------------------------- */

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

static bool is_wanted(const struct af_scan *asked, struct af_slice name)
{
    for (size_t i = 0; i < asked->field_count; i++)
        if (af_slice_is(name, asked->fields[i]))
            return true;
    return asked->fields == NULL;
}

static enum af_status choose_columns(struct scan *scan, const struct af_scan *asked, struct af_slice measurement, struct af_error *err)
{
    size_t count;
    AF_TRY(scan_fields(scan->view, measurement, &scan->arena, &scan->columns, &count, err));
    for (size_t i = 0; i < count; i++)
        if (is_wanted(asked, scan->columns[i].name))
            scan->columns[scan->column_count++] = scan->columns[i];
    if (scan->column_count > AF_COLUMNS_MAX)
        return af_fail(err, AF_ELIMIT, "%zu fields in one scan, more than %d: name the ones you need", scan->column_count, AF_COLUMNS_MAX);
    return AF_OK;
}

/* --- opening: caches ----------------------------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Of the series that were asked for, if they are few; else of all that the cache has in the shard. */
static enum af_status capture_one(struct scan *scan, struct af_cache *cache, uint64_t shard, struct capture *out, struct af_error *err)
{
    uint32_t *ids;
    size_t count = scan->id_count;
    if (count <= DIRECT_SERIES_MAX) {
        ids = af_arena_array(&scan->arena, count, sizeof *ids);
        if (ids == NULL)
            return af_arena_fail(&scan->arena, count * sizeof *ids, "the series in the cache", err);
        if (count != 0)
            memcpy(ids, scan->ids, count * sizeof *ids);
    } else {
        AF_TRY(af_cache_series(cache, shard, &scan->arena, &ids, &count, err));
    }
    if (count > 1)
        qsort(ids, count, sizeof *ids, by_id);
    struct af_cache_handle *handles = af_arena_array(&scan->arena, count, sizeof *handles);
    if (handles == NULL)
        return af_arena_fail(&scan->arena, count * sizeof *handles, "the series in the cache", err);
    af_cache_capture(cache, shard, ids, count, handles);
    *out = (struct capture){ .ids = ids, .handles = handles };
    for (size_t i = 0; i < count; i++)
        if (handles[i].rows > 0) {
            ids[out->count] = ids[i];
            handles[out->count++] = handles[i];
        }
    return AF_OK;
}

static enum af_status capture_cache(struct scan *scan, size_t cache, struct af_error *err)
{
    uint64_t *having;
    size_t count;
    AF_TRY(af_cache_shards(scan->view->caches[cache], &scan->arena, &having, &count, err));
    for (size_t i = 0; i < scan->view->shard_count; i++) {
        uint64_t shard = scan->view->shards[i].shard->id;
        scan->shards[i].captures[cache].count = 0;
        size_t k = 0;
        while (k < count && having[k] != shard)
            k++;
        if (k < count)
            AF_TRY(capture_one(scan, scan->view->caches[cache], shard, &scan->shards[i].captures[cache], err));
    }
    return AF_OK;
}

/* Which series, and what the caches have of them. A series that came into being meanwhile, with rows that are captured of others, belongs
 * to it: so the selection is made again until it stays. */
static enum af_status capture(struct scan *scan, uint32_t measurement, const struct af_predicate *predicate, struct af_error *err)
{
    AF_TRY(af_index_select(scan->index, measurement, predicate, &scan->arena, &scan->ids, &scan->id_count, err));
    bool is_settled = false;
    for (int i = 0; i < CAPTURE_TRIES && !is_settled; i++) {
        bool is_direct = scan->id_count <= DIRECT_SERIES_MAX;
        size_t before = scan->id_count;
        for (size_t k = 0; k < scan->view->cache_count; k++)
            AF_TRY(capture_cache(scan, k, err));
        AF_TRY(af_index_select(scan->index, measurement, predicate, &scan->arena, &scan->ids, &scan->id_count, err));
        is_settled = !is_direct || scan->id_count == before;
    }
    return AF_OK;
}

/* --- opening: files ------------------------------------------------------------------------------------------------------------------- */

static bool is_in_range(const struct scan *scan, const struct af_tsm_part *part)
{
    struct af_tsm_file_info info;
    af_tsm_file_info(part->file, &info);
    return info.max_ns >= scan->start_ns && (info.min_ns < scan->stop_ns || scan->stop_ns == INT64_MAX);
}

static enum af_status prepare_shards(struct scan *scan, struct af_error *err)
{
    const struct af_view *view = scan->view;
    scan->shards = af_arena_zero(&scan->arena, view->shard_count, sizeof *scan->shards);
    if (scan->shards == NULL)
        return af_arena_fail(&scan->arena, view->shard_count * sizeof *scan->shards, "a scan", err);
    for (size_t i = 0; i < view->shard_count; i++) {
        const struct af_files *files = view->shards[i].files;
        struct scan_shard *shard = &scan->shards[i];
        size_t count = files != NULL ? files->count : 0;
        shard->captures = af_arena_zero(&scan->arena, view->cache_count, sizeof *shard->captures);
        shard->parts = af_arena_zero(&scan->arena, count, sizeof *shard->parts);
        if (shard->captures == NULL || shard->parts == NULL)
            return af_arena_fail(&scan->arena, count * sizeof *shard->parts, "a scan", err);
        for (size_t k = 0; k < count; k++)
            if (is_in_range(scan, files->parts[k]))
                shard->parts[shard->part_count++].part = files->parts[k];
    }
    return AF_OK;
}

static enum af_status make_schema(struct scan *scan, struct af_error *err)
{
    struct af_field *fields = af_arena_zero(&scan->arena, scan->column_count + 2, sizeof *fields);
    if (fields == NULL)
        return af_arena_fail(&scan->arena, scan->column_count * sizeof *fields, "the columns of a scan", err);
    fields[0] = (struct af_field){ .name = "series", .type = AF_TYPE_STRING };
    fields[1] = (struct af_field){ .name = "time", .type = AF_TYPE_TIME };
    for (size_t i = 0; i < scan->column_count; i++) {
        char *name = af_arena_copy(&scan->arena, scan->columns[i].name);
        if (name == NULL)
            return af_arena_fail(&scan->arena, scan->columns[i].name.len, "the columns of a scan", err);
        fields[i + 2] = (struct af_field){ .name = name, .type = scan->columns[i].type, .is_nullable = true };
    }
    scan->schema = (struct af_schema){ scan->column_count + 2, fields };
    scan->pieces = af_arena_zero(&scan->arena, scan->column_count, sizeof *scan->pieces);
    scan->lanes = af_arena_zero(&scan->arena, scan->column_count, sizeof *scan->lanes);
    scan->blocks = af_arena_zero(&scan->arena, scan->column_count, sizeof *scan->blocks);
    if (scan->pieces == NULL || scan->lanes == NULL || scan->blocks == NULL)
        return af_arena_fail(&scan->arena, scan->column_count * sizeof *scan->lanes, "the columns of a scan", err);
    for (size_t i = 0; i < scan->column_count; i++)
        af_arena_init(&scan->blocks[i], BLOCK_BYTES_MAX);
    return scan_rows_init(&scan->rows, &scan->schema, err);
}

static enum af_status open_scan(struct scan *scan, const struct af_scan *asked, struct af_error *err)
{
    struct af_slice name;
    uint32_t measurement;
    AF_TRY(scan_measurement(scan->view, asked->measurement, &scan->arena, &name, &measurement, err));
    if (measurement != AF_INDEX_NONE && asked->stop_ns > asked->start_ns) {
        AF_TRY(prepare_shards(scan, err));
        AF_TRY(capture(scan, measurement, asked->predicate, err));
        AF_TRY(choose_columns(scan, asked, name, err)); /* after: what is captured has its fields there */
    }
    return make_schema(scan, err);
}

enum af_status af_tsm_scan(struct af_view *view, const struct af_scan *asked, struct af_stream **out, struct af_error *err)
{
    struct scan *scan = af_alloc_zero(1, sizeof *scan);
    if (scan == NULL) {
        af_view_close(view);
        return af_fail_nomem(err, "a scan");
    }
    scan->view = view;
    scan->index = view->bucket->index;
    scan->start_ns = asked->start_ns;
    scan->stop_ns = asked->stop_ns;
    scan->cancel = asked->cancel;
    af_arena_init(&scan->arena, SIZE_MAX);
    af_arena_init(&scan->work, SIZE_MAX);
    af_buf_init(&scan->key, SIZE_MAX);
    enum af_status status = open_scan(scan, asked, err);
    if (status != AF_OK) {
        scan_close(&scan->base);
        return status;
    }
    scan->base = (struct af_stream){ .ops = &scan_ops, .schema = &scan->schema };
    *out = &scan->base;
    return AF_OK;
}
