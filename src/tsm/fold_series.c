/*
 * fold_series.c - one series in one shard: where its columns lie, and what becomes of each.
 *
 *     part --- digest ---> entries of the series       one lookup
 *         '-- cursor --> entries of the series          where the part has no digest: the keys are sought in its index
 *     cache --> handle --> values
 *
 *     one piece that nothing overlaps       fold_piece: block by block
 *     several, or with tombstones           af_merge; what stands alone in it again block by block, the rest as merged values
 *
 * A column that wants only the last value (or the first) takes the merge from where the last block of any piece begins: what is before
 * matters only if all of that is deleted.
 */
#include "base/alloc.h"
#include "tsm/fold_int.h"

/* --- pieces --------------------------------------------------------------------------------------------------------------- */

static bool is_due(const struct fold *fold, size_t column, enum fold_pass pass, const uint64_t *done)
{
    return fold->columns[column].pass == pass && !af_bit_get(done, column);
}

/* Room for one more; NULL without memory. It counts when the caller says so. */
static struct fold_piece *next_piece(struct fold_worker *worker, size_t column)
{
    struct fold_pieces *pieces = &worker->pieces[column];
    struct fold_piece *list = af_arena_more(&worker->arena, pieces->list, pieces->count, &pieces->cap, sizeof *list);
    if (list == NULL)
        return NULL;
    pieces->list = list;
    return &list[pieces->count];
}

static enum af_status no_room(const struct fold_worker *worker, struct af_error *err)
{
    return af_arena_fail(&worker->arena, sizeof(struct fold_piece), "a query", err);
}

/* Blocks that touch the range; all, where they overlap. False: none. */
static bool find_range(const struct fold *fold, struct fold_piece *piece)
{
    uint32_t first = 0, end = piece->block_count;
    if (!piece->overlaps) {
        uint32_t high = piece->block_count;
        while (first < high) {
            const uint32_t mid = first + (high - first) / 2;
            if (piece->blocks[mid].max_ns < fold->source.start_ns)
                first = mid + 1;
            else
                high = mid;
        }
        for (uint32_t low = first; low < end;) {
            const uint32_t mid = low + (end - low) / 2;
            if (piece->blocks[mid].min_ns <= fold->last_ns)
                low = mid + 1;
            else
                end = mid;
        }
    }
    piece->first = first;
    piece->end = end;
    return first < end;
}

/* --- from files ----------------------------------------------------------------------------------------------------------- */

static enum af_status set_tombs(struct fold_worker *worker, uint32_t id, size_t column, struct fold_piece *piece, struct af_error *err)
{
    const struct af_tsm_part *part = piece->part->part;
    if (part->tomb_count == 0)
        return AF_OK;
    af_buf_clear(&worker->key);
    af_tsm_key_append(&worker->key, af_index_key(worker->fold->source.index, id), worker->fold->columns[column].name);
    AF_TRY(af_buf_check(&worker->key, "a key", err));
    piece->tombs = af_part_tombs(part, af_buf_slice(&worker->key), &piece->tomb_count);
    return AF_OK;
}

/* False: none of its blocks is in the range. */
static bool set_entry(const struct fold *fold, const struct fold_part *part, const struct digest_entry *entry, struct fold_piece *piece)
{
    const struct af_digest *digest = part->digest;
    const bool is_whole = entry->min_ns >= fold->source.start_ns && entry->max_ns <= fold->last_ns;
    *piece = (struct fold_piece){
        .part = part, .blocks = digest->blocks + entry->first_block, .block_count = entry->block_count, .end = entry->block_count,
        .type = (enum af_type)entry->type, .overlaps = entry->overlaps, .knows_stats = true, .entry = entry,
        .stats = entry->has_stats ? digest->stats + entry->first_block : NULL, .key = entry->key,
    };
    return is_whole || find_range(fold, piece);
}

static inline bool is_wanted(const struct fold *fold, const struct fold_part *part, const struct digest_entry *entry, enum fold_pass pass,
                             const uint64_t *done)
{
    const uint16_t column = part->column_of[entry->field];
    return column != UINT16_MAX && entry->min_ns <= fold->last_ns && entry->max_ns >= fold->source.start_ns &&
           is_due(fold, column, pass, done);
}

static enum af_status collect_digest(struct fold_worker *worker, const struct fold_part *part, uint32_t id, enum fold_pass pass,
                                     const uint64_t *done, struct af_error *err)
{
    const struct fold *fold = worker->fold;
    uint32_t at, end;
    if (!af_digest_find(part->digest, id, &at, &end))
        return AF_OK;
    for (; at < end; at++) {
        const struct digest_entry *entry = &part->digest->entries[at];
        if (!is_wanted(fold, part, entry, pass, done))
            continue;
        const size_t column = part->column_of[entry->field];
        struct fold_piece *piece = next_piece(worker, column);
        if (piece == NULL)
            return no_room(worker, err);
        if (!set_entry(fold, part, entry, piece))
            continue;
        AF_TRY(set_tombs(worker, id, column, piece, err));
        worker->pieces[column].count++;
    }
    return AF_OK;
}

static bool has_overlap(const struct af_tsm_entry *entry)
{
    for (size_t i = 1; i < entry->block_count; i++)
        if (entry->blocks[i].min_ns <= entry->blocks[i - 1].max_ns)
            return true;
    return false;
}

/* The entry where the cursor stands; its blocks are copied, as the cursor goes on. */
static enum af_status add_entry(struct fold_worker *worker, const struct fold_part *part, const struct af_tsm_entry *entry, uint32_t id,
                                size_t column, struct af_error *err)
{
    struct fold_piece *piece = next_piece(worker, column);
    struct af_tsm_block_ref *blocks = af_arena_alloc(&worker->work, entry->block_count * sizeof *blocks);
    if (piece == NULL)
        return no_room(worker, err);
    if (blocks == NULL)
        return af_arena_fail(&worker->work, entry->block_count * sizeof *blocks, "a query", err);
    memcpy(blocks, entry->blocks, entry->block_count * sizeof *blocks);
    *piece = (struct fold_piece){ .part = part, .blocks = blocks, .block_count = (uint32_t)entry->block_count, .type = entry->type,
                                  .overlaps = has_overlap(entry), .key = entry->number };
    if (!find_range(worker->fold, piece))
        return AF_OK;
    AF_TRY(set_tombs(worker, id, column, piece, err));
    worker->pieces[column].count++;
    return AF_OK;
}

static enum af_status open_cursors(struct fold_worker *worker, size_t shard_number, uint32_t id, struct af_error *err)
{
    const struct scan_source *source = &worker->fold->source;
    const struct scan_shard *shard = &source->shards[shard_number];
    if (worker->parts[shard_number] == NULL) {
        worker->parts[shard_number] = scan_parts_new(shard, &worker->arena);
        if (worker->parts[shard_number] == NULL)
            return af_arena_fail(&worker->arena, shard->part_count * sizeof **worker->parts, "a query", err);
    }
    const uint32_t sought = worker->sought[shard_number];
    if (sought != 0 && scan_goes_back(source, sought - 1, id))
        for (size_t i = 0; i < shard->part_count; i++)
            scan_part_rewind(&worker->parts[shard_number][i]);
    worker->sought[shard_number] = id + 1;
    return AF_OK;
}

static enum af_status collect_cursor(struct fold_worker *worker, const struct fold_part *part, struct scan_part *cursor, uint32_t id,
                                     enum fold_pass pass, const uint64_t *done, struct af_error *err)
{
    const struct fold *fold = worker->fold;
    for (size_t i = 0; i < fold->column_count; i++) {
        if (!is_due(fold, i, pass, done))
            continue;
        af_buf_clear(&worker->key);
        af_tsm_key_append(&worker->key, af_index_key(fold->source.index, id), fold->columns[i].name);
        AF_TRY(af_buf_check(&worker->key, "a key", err));
        AF_TRY(scan_part_seek(cursor, af_buf_slice(&worker->key), err));
        if (cursor->entry.key.ptr == NULL)
            break;
        if (af_slice_eq(cursor->entry.key, af_buf_slice(&worker->key)))
            AF_TRY(add_entry(worker, part, &cursor->entry, id, i, err));
    }
    return AF_OK;
}

static enum af_status collect_files(struct fold_worker *worker, size_t shard, uint32_t id, enum fold_pass pass, const uint64_t *done,
                                    struct af_error *err)
{
    const struct fold *fold = worker->fold;
    bool is_open = false;
    for (size_t i = 0; i < fold->source.shards[shard].part_count; i++) {
        const struct fold_part *part = &fold->parts[shard][i];
        if (part->digest != NULL) {
            AF_TRY(collect_digest(worker, part, id, pass, done, err));
            continue;
        }
        if (!is_open)
            AF_TRY(open_cursors(worker, shard, id, err));
        is_open = true;
        AF_TRY(collect_cursor(worker, part, &worker->parts[shard][i], id, pass, done, err));
    }
    return AF_OK;
}

/* --- from caches ---------------------------------------------------------------------------------------------------------- */

static enum af_status collect_cache(struct fold_worker *worker, const struct scan_capture *capture, uint32_t id, enum fold_pass pass,
                                    const uint64_t *done, struct af_error *err)
{
    const struct fold *fold = worker->fold;
    const struct af_cache_handle *handle = capture->count > 0 ? scan_capture_find(capture, id) : NULL;
    for (size_t i = 0; handle != NULL && i < fold->column_count; i++) {
        if (!is_due(fold, i, pass, done))
            continue;
        struct fold_piece *piece = next_piece(worker, i);
        struct af_tsm_values *values = af_arena_alloc(&worker->work, sizeof *values);
        if (piece == NULL || values == NULL)
            return no_room(worker, err);
        AF_TRY(af_cache_field(handle, fold->columns[i].name, &worker->work, values, err));
        *piece = (struct fold_piece){ .values = values, .type = values->values.type };
        worker->pieces[i].count += values->count > 0;
    }
    return AF_OK;
}

/* --- merged --------------------------------------------------------------------------------------------------------------- */

static struct fold_piece *piece_of(const struct fold_pieces *pieces, const struct af_tsm_block_ref *ref, size_t *out_block)
{
    for (size_t i = 0; i < pieces->count; i++) {
        struct fold_piece *piece = &pieces->list[i];
        const uintptr_t first = (uintptr_t)piece->blocks;
        if (piece->part != NULL && (uintptr_t)ref >= first && (uintptr_t)ref < first + piece->block_count * sizeof *ref) {
            *out_block = ((uintptr_t)ref - first) / sizeof *ref;
            return piece;
        }
    }
    return NULL;
}

static enum af_status run_merge(struct fold_worker *worker, size_t column, struct fold_pieces *pieces, struct af_merge *merge,
                                bool *out_some, struct af_error *err)
{
    struct af_tsm_values values = { 0 };
    do {
        struct af_tsm_part *part;
        const struct af_tsm_block_ref *ref;
        size_t block = 0;
        if (af_merge_free_block(merge, &part, &ref)) {
            struct fold_piece *piece = piece_of(pieces, ref, &block);
            AF_TRY(fold_block(worker, column, piece, block, out_some, err));
            af_merge_skip_block(merge);
            values.count = 1;
            continue;
        }
        AF_TRY(af_merge_next(merge, &values, err));
        if (values.count > 0)
            AF_TRY(fold_values(worker, column, &values, out_some, err));
    } while (values.count > 0);
    return AF_OK;
}

/* What is in the worker's range. */
static enum af_status fold_merged(struct fold_worker *worker, size_t column, struct fold_pieces *pieces, bool *out_some,
                                  struct af_error *err)
{
    struct af_merge *merge;
    struct af_piece *list = af_arena_zero(&worker->work, pieces->count, sizeof *list);
    if (list == NULL)
        return af_arena_fail(&worker->work, pieces->count * sizeof *list, "a query", err);
    for (size_t i = 0; i < pieces->count; i++) {
        const struct fold_piece *from = &pieces->list[i];
        list[i] = (struct af_piece){ .tombs = from->tombs, .tomb_count = from->tomb_count };
        if (from->part == NULL) {
            list[i].values = *from->values;
            continue;
        }
        list[i].part = from->part->part;
        list[i].entry = (struct af_tsm_entry){ .number = from->key, .type = from->type, .block_count = from->end - from->first,
                                               .blocks = from->blocks + from->first };
    }
    const int64_t stop_ns = worker->last_ns == INT64_MAX ? INT64_MAX : worker->last_ns + 1;
    AF_TRY(af_merge_open(list, pieces->count, worker->start_ns, stop_ns, &worker->work, &merge, err));
    enum af_status status = run_merge(worker, column, pieces, merge, out_some, err);
    af_merge_close(merge);
    return status;
}

/* The time from which on (or up to which) the last (or first) block of any piece lies. */
static int64_t end_stretch(const struct fold_worker *worker, const struct fold_pieces *pieces, bool is_last)
{
    int64_t bound = is_last ? worker->start_ns : worker->last_ns;
    for (size_t i = 0; i < pieces->count; i++) {
        const struct fold_piece *piece = &pieces->list[i];
        int64_t time;
        if (piece->part == NULL)
            time = piece->values->time_ns[is_last ? piece->values->count - 1 : 0];
        else
            time = is_last ? piece->blocks[piece->end - 1].min_ns : piece->blocks[piece->first].max_ns;
        if (time >= worker->start_ns && time <= worker->last_ns && (is_last ? time > bound : time < bound))
            bound = time;
    }
    return bound;
}

static enum af_status fold_merged_end(struct fold_worker *worker, size_t column, struct fold_pieces *pieces, bool *out_some,
                                      struct af_error *err)
{
    const bool is_last = worker->fold->columns[column].pass == FOLD_FROM_END;
    const int64_t start_ns = worker->start_ns, last_ns = worker->last_ns;
    const int64_t bound = end_stretch(worker, pieces, is_last);
    *(is_last ? &worker->start_ns : &worker->last_ns) = bound;
    enum af_status status = fold_merged(worker, column, pieces, out_some, err);
    if (status == AF_OK && !*out_some && (is_last ? bound > start_ns : bound < last_ns)) {
        worker->start_ns = is_last ? start_ns : bound + 1;
        worker->last_ns = is_last ? bound - 1 : last_ns;
        status = fold_merged(worker, column, pieces, out_some, err);
    }
    worker->start_ns = start_ns;
    worker->last_ns = last_ns;
    return status;
}

/* --- one column ----------------------------------------------------------------------------------------------------------- */

/* The latest piece's type counts; pieces of another are left out, as the merge does. */
static void keep_one_type(struct fold_pieces *pieces)
{
    const enum af_type type = pieces->list[pieces->count - 1].type;
    size_t kept = 0;
    for (size_t i = 0; i < pieces->count; i++)
        if (pieces->list[i].type == type)
            pieces->list[kept++] = pieces->list[i];
    pieces->count = kept;
}

static enum af_status fold_column(struct fold_worker *worker, size_t number, bool *out_some, struct af_error *err)
{
    struct fold_pieces *pieces = &worker->pieces[number];
    const struct fold_column *column = &worker->fold->columns[number];
    keep_one_type(pieces);
    if (!scan_can_cast(pieces->list[0].type, column->type))
        return AF_OK;
    if (pieces->count == 1 && pieces->list[0].tomb_count == 0 && !pieces->list[0].overlaps)
        return fold_piece(worker, number, &pieces->list[0], out_some, err);
    if (column->pass == FOLD_EVERY)
        return fold_merged(worker, number, pieces, out_some, err);
    return fold_merged_end(worker, number, pieces, out_some, err);
}

static enum af_status fold_collected(struct fold_worker *worker, enum fold_pass pass, uint64_t *done, struct af_error *err)
{
    for (size_t i = 0; i < worker->fold->column_count; i++) {
        bool some = false;
        if (worker->pieces[i].count == 0)
            continue;
        AF_TRY(fold_column(worker, i, &some, err));
        if (some && pass != FOLD_EVERY)
            af_bit_set(done, i);
    }
    return AF_OK;
}

/* Only entries of one digest are there: each is its column's only piece. */
static enum af_status fold_entries(struct fold_worker *worker, const struct fold_part *part, uint32_t id, enum fold_pass pass,
                                   uint64_t *done, struct af_error *err)
{
    const struct fold *fold = worker->fold;
    uint32_t at, end;
    if (!af_digest_find(part->digest, id, &at, &end))
        return AF_OK;
    for (; at < end; at++) {
        const struct digest_entry *entry = &part->digest->entries[at];
        struct fold_piece piece;
        bool some = false, is_done = false;
        if (!is_wanted(fold, part, entry, pass, done))
            continue;
        const size_t column = part->column_of[entry->field];
        const enum af_type type = (enum af_type)entry->type;
        if (type != fold->columns[column].type && !scan_can_cast(type, fold->columns[column].type))
            continue;
        AF_TRY(fold_entry(worker, column, part->digest, entry, &is_done, err));
        if (is_done || !set_entry(fold, part, entry, &piece))
            continue;
        AF_TRY(fold_piece(worker, column, &piece, &some, err));
        if (some && pass != FOLD_EVERY)
            af_bit_set(done, column);
    }
    return AF_OK;
}

static bool is_plain(const struct fold *fold, size_t shard)
{
    const struct fold_part *part = &fold->parts[shard][0];
    if (fold->source.shards[shard].part_count != 1 || part->digest == NULL || part->part->tomb_count > 0 || part->digest->has_overlaps)
        return false;
    for (size_t i = 0; i < fold->source.view->cache_count; i++)
        if (fold->source.shards[shard].captures[i].count > 0)
            return false;
    return true;
}

enum af_status fold_series(struct fold_worker *worker, size_t shard, uint32_t id, enum fold_pass pass, uint64_t *done, struct af_error *err)
{
    const struct fold *fold = worker->fold;
    if (worker->work.bytes_used != 0)
        af_arena_reset(&worker->work);
    if (is_plain(fold, shard))
        return fold_entries(worker, &fold->parts[shard][0], id, pass, done, err);
    for (size_t i = 0; i < fold->column_count; i++)
        worker->pieces[i].count = 0;
    AF_TRY(collect_files(worker, shard, id, pass, done, err));
    for (size_t i = 0; i < fold->source.view->cache_count; i++)
        AF_TRY(collect_cache(worker, &fold->source.shards[shard].captures[i], id, pass, done, err));
    return fold_collected(worker, pass, done, err);
}
