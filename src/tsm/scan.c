/*
 * scan.c - the store's scan over a view: series in order of their TSM keys; of each the shards in order of time; of each the columns.
 *
 *     series, shard --> part, part, part    one cursor each, which only moves forward: series and columns are in the files' order
 *                   --> cache, cache        captured at the start
 *                          |  pieces of each column, oldest first
 *                       af_merge --> lane of the column --> rows side by side (scan_rows.c) --> batch
 *
 * What is read is settled at the opening (scan_source.c). Memory: a window of each file's index, one entry for each captured series, and
 * of one series in one shard the lists of blocks and a decoded block for each piece. Series that are named may come in any order: where
 * one is less than the one before, the cursors begin anew.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "tsm/fold_int.h"

static const size_t BLOCK_BYTES_MAX = (size_t)2 * AF_TSM_BLOCK_BYTES_MAX;

struct pieces {
    struct af_piece *list;
    size_t count;
};

struct scan {
    struct af_stream base;
    struct af_schema schema;
    struct scan_source source;
    struct af_arena arena;        /* of the scan */
    struct scan_part **parts;     /* by shard */
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
        size_t most = shard->part_count + scan->source.view->cache_count;
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
        if (scan_touches(&scan->source, entry->blocks[i].min_ns, entry->blocks[i].max_ns))
            blocks[piece.entry.block_count++] = entry->blocks[i];
    if (piece.entry.block_count == 0)
        return AF_OK;
    piece.entry.blocks = blocks;
    if (part->part->tomb_count > 0)
        piece.tombs = af_part_tombs(part->part, entry->key, &piece.tomb_count);
    return add_piece(scan, shard, column, &piece, err);
}

/* Columns of the part's keys that begin with scan->key, the series and the separator. */
static enum af_status collect_part(struct scan *scan, const struct scan_shard *shard, struct scan_part *part, struct af_error *err)
{
    const size_t prefix = scan->key.len;
    for (size_t i = 0; i < scan->source.column_count;) {
        af_buf_rewind(&scan->key, prefix);
        af_buf_append_slice(&scan->key, scan->source.columns[i].name);
        AF_TRY(af_buf_check(&scan->key, "a key", err));
        AF_TRY(scan_part_seek(part, af_buf_slice(&scan->key), err));
        struct af_slice key = part->entry.key;
        if (key.ptr == NULL || key.len < prefix || memcmp(key.ptr, scan->key.ptr, prefix) != 0)
            break;
        struct af_slice field = { key.ptr + prefix, key.len - prefix };
        int order = -1;
        while (i < scan->source.column_count && (order = af_slice_cmp(scan->source.columns[i].name, field)) < 0)
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
    size_t high = scan->source.column_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = af_slice_cmp(scan->source.columns[mid].name, name);
        if (order == 0)
            return mid;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return SIZE_MAX;
}

static enum af_status collect_cache(struct scan *scan, const struct scan_shard *shard, const struct scan_capture *capture, uint32_t id,
                                    struct af_error *err)
{
    const struct af_cache_handle *handle = scan_capture_find(capture, id);
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

/* Rows of lane->values in the scan's range: [at, count). */
static void trim(const struct scan *scan, struct scan_lane *lane)
{
    struct af_tsm_values *values = &lane->values;
    lane->at = values->time_ns[0] < scan->source.start_ns ? af_values_seek(values, 0, scan->source.start_ns) : 0;
    if (scan->source.stop_ns != INT64_MAX && values->time_ns[values->count - 1] >= scan->source.stop_ns)
        values->count = af_values_seek(values, lane->at, scan->source.stop_ns);
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
    enum af_type type = scan->source.columns[lane->column].type;
    AF_TRY(lane->merge != NULL ? next_of_merge(lane, err) : next_of_piece(scan, lane, err));
    *out_some = lane->values.count > lane->at;
    if (!*out_some || lane->values.values.type == type)
        return AF_OK;
    af_arena_reset(&lane->cast);
    return scan_cast(&lane->values.values, lane->values.count, type, &lane->cast, err);
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
    enum af_type want = scan->source.columns[column].type;
    if (!scan_can_cast(has, want))
        return AF_OK;
    struct scan_lane *lane = &scan->lanes[scan->lane_count];
    *lane = (struct scan_lane){ .column = column, .piece = pieces->list, .block = &scan->blocks[column] };
    if (!stands_alone(pieces))
        AF_TRY(af_merge_open(pieces->list, pieces->count, scan->source.start_ns, scan->source.stop_ns, &scan->work, &lane->merge, err));
    af_arena_init(&lane->cast, AF_BATCH_ARENA_BYTES_MAX);
    scan->lane_count++;
    return AF_OK;
}

/* The lanes of one series in one shard; perhaps none. */
static enum af_status open_lanes(struct scan *scan, size_t shard_number, uint32_t id, struct af_error *err)
{
    const struct scan_shard *shard = &scan->source.shards[shard_number];
    af_arena_reset(&scan->work);
    for (size_t i = 0; i < scan->source.column_count; i++)
        scan->pieces[i].count = 0;
    if (shard->part_count > 0) {
        af_buf_clear(&scan->key);
        af_tsm_key_append(&scan->key, af_index_key(scan->source.index, id), AF_SLICE_LIT(""));
        AF_TRY(af_buf_check(&scan->key, "a key", err));
    }
    for (size_t i = 0; i < shard->part_count; i++)
        AF_TRY(collect_part(scan, shard, &scan->parts[shard_number][i], err));
    for (size_t i = 0; i < scan->source.view->cache_count; i++)
        AF_TRY(collect_cache(scan, shard, &shard->captures[i], id, err));
    for (size_t i = 0; i < scan->source.column_count; i++)
        if (scan->pieces[i].count > 0)
            AF_TRY(open_lane(scan, i, err));
    return AF_OK;
}

static void next_series(struct scan *scan)
{
    const struct scan_source *source = &scan->source;
    scan->shard_at = 0;
    scan->id_at++;
    if (scan->id_at == source->id_count || !scan_goes_back(source, source->ids[scan->id_at - 1], source->ids[scan->id_at]))
        return;
    for (size_t i = 0; i < source->view->shard_count; i++)
        for (size_t k = 0; k < source->shards[i].part_count; k++)
            scan_part_rewind(&scan->parts[i][k]);
}

/* Lanes with rows, or none at the end of the scan. */
static enum af_status ready_lanes(struct scan *scan, struct af_error *err)
{
    AF_TRY(refill(scan, err));
    while (scan->lane_count == 0 && scan->id_at < scan->source.id_count) {
        if (scan_is_cancelled(&scan->source))
            return af_fail(err, AF_ECANCELED, "stopped while scanning");
        if (scan->shard_at == scan->source.view->shard_count) {
            next_series(scan);
            continue;
        }
        AF_TRY(open_lanes(scan, scan->shard_at++, scan->source.ids[scan->id_at], err));
        AF_TRY(refill(scan, err));
    }
    return AF_OK;
}

static enum af_status scan_next(struct af_stream *base, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    struct scan *scan = (struct scan *)base;
    *out = NULL;
    if (scan_is_cancelled(&scan->source))
        return af_fail(err, AF_ECANCELED, "stopped while scanning");
    AF_TRY(ready_lanes(scan, err));
    if (scan->lane_count == 0)
        return AF_OK;
    AF_TRY(scan_rows_begin(&scan->rows, arena, err));
    while (scan->lane_count > 0 && !scan_rows_is_full(&scan->rows)) {
        uint32_t id = scan->source.ids[scan->id_at];
        scan_rows_series(&scan->rows, id, af_index_key(scan->source.index, id));
        AF_TRY(scan_rows_take(&scan->rows, scan->lanes, scan->lane_count, err));
        AF_TRY(ready_lanes(scan, err));
    }
    return scan_rows_finish(&scan->rows, scan->source.index, out, err);
}

static void scan_close(struct af_stream *base)
{
    struct scan *scan = (struct scan *)base;
    for (size_t i = 0; i < scan->lane_count; i++)
        close_lane(&scan->lanes[i]);
    for (size_t i = 0; scan->parts != NULL && scan->source.shards != NULL && i < scan->source.view->shard_count; i++)
        for (size_t k = 0; scan->parts[i] != NULL && k < scan->source.shards[i].part_count; k++)
            scan_part_rewind(&scan->parts[i][k]);
    for (size_t i = 0; scan->blocks != NULL && i < scan->source.column_count; i++)
        af_arena_done(&scan->blocks[i]);
    scan_rows_done(&scan->rows);
    af_buf_done(&scan->key);
    af_arena_done(&scan->work);
    af_arena_done(&scan->arena);
    af_view_close(scan->source.view);
    af_free(scan);
}

static const struct af_stream_ops scan_ops = { scan_next, scan_close };

static enum af_status make_schema(struct scan *scan, struct af_error *err)
{
    struct af_field *fields = af_arena_zero(&scan->arena, scan->source.column_count + 2, sizeof *fields);
    if (fields == NULL)
        return af_arena_fail(&scan->arena, scan->source.column_count * sizeof *fields, "the columns of a scan", err);
    fields[0] = (struct af_field){ .name = "series", .type = AF_TYPE_STRING };
    fields[1] = (struct af_field){ .name = "time", .type = AF_TYPE_TIME };
    for (size_t i = 0; i < scan->source.column_count; i++) {
        char *name = af_arena_copy(&scan->arena, scan->source.columns[i].name);
        if (name == NULL)
            return af_arena_fail(&scan->arena, scan->source.columns[i].name.len, "the columns of a scan", err);
        fields[i + 2] = (struct af_field){ .name = name, .type = scan->source.columns[i].type, .is_nullable = true };
    }
    scan->schema = (struct af_schema){ scan->source.column_count + 2, fields };
    scan->pieces = af_arena_zero(&scan->arena, scan->source.column_count, sizeof *scan->pieces);
    scan->lanes = af_arena_zero(&scan->arena, scan->source.column_count, sizeof *scan->lanes);
    scan->blocks = af_arena_zero(&scan->arena, scan->source.column_count, sizeof *scan->blocks);
    if (scan->pieces == NULL || scan->lanes == NULL || scan->blocks == NULL)
        return af_arena_fail(&scan->arena, scan->source.column_count * sizeof *scan->lanes, "the columns of a scan", err);
    for (size_t i = 0; i < scan->source.column_count; i++)
        af_arena_init(&scan->blocks[i], BLOCK_BYTES_MAX);
    return scan_rows_init(&scan->rows, &scan->schema, err);
}

static enum af_status open_parts(struct scan *scan, struct af_error *err)
{
    const struct scan_source *source = &scan->source;
    const size_t shards = source->shards != NULL ? source->view->shard_count : 0;
    scan->parts = af_arena_zero(&scan->arena, shards, sizeof(struct scan_part *));
    for (size_t i = 0; scan->parts != NULL && i < shards; i++) {
        scan->parts[i] = scan_parts_new(&source->shards[i], &scan->arena);
        if (scan->parts[i] == NULL)
            return af_arena_fail(&scan->arena, source->shards[i].part_count * sizeof **scan->parts, "a scan", err);
    }
    return scan->parts != NULL ? AF_OK : af_arena_fail(&scan->arena, shards * sizeof *scan->parts, "a scan", err);
}

static enum af_status open_scan(struct scan *scan, struct af_view *view, const struct af_scan *asked, struct af_error *err)
{
    AF_TRY(scan_source_open(&scan->source, view, asked, &scan->arena, err));
    AF_TRY(scan_source_columns(&scan->source, asked->fields, asked->field_count, err)); /* after: what is captured has its fields there */
    AF_TRY(open_parts(scan, err));
    return make_schema(scan, err);
}

enum af_status af_tsm_scan(struct af_view *view, const struct af_scan *asked, struct af_stream **out, struct af_error *err)
{
    if (asked->fold_count > 0)
        return fold_open(view, asked, out, err);
    struct scan *scan = af_alloc_zero(1, sizeof *scan);
    if (scan == NULL) {
        af_view_close(view);
        return af_fail_nomem(err, "a scan");
    }
    scan->source.view = view;
    af_arena_init(&scan->arena, SIZE_MAX);
    af_arena_init(&scan->work, SIZE_MAX);
    af_buf_init(&scan->key, SIZE_MAX);
    enum af_status status = open_scan(scan, view, asked, err);
    if (status != AF_OK) {
        scan_close(&scan->base);
        return status;
    }
    scan->base = (struct af_stream){ .ops = &scan_ops, .schema = &scan->schema };
    *out = &scan->base;
    return AF_OK;
}
