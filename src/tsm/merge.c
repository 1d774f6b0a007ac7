/*
 * merge.c - the values of one key out of many places, in time order, the latest of equal times.
 *
 *     piece 0   [--- block ---] [--- block ---]           [--- block ---]      oldest
 *     piece 1          [- block -]       #####
 *     piece 2                                   values                         latest: wins
 *               ^ free         ^ rows interleave          ^ free
 *
 * Each piece is a lane: blocks that follow each other in time, of which at most one is decoded. The lane with the lowest head gives its
 * rows up to the lowest head of the others: as a view of the decoded block where that is long or the whole rest, else gathered in `rows`.
 * So memory is a block a lane, whatever the length of the key, and where nothing overlaps nothing is copied.
 *
 * Tombstones (#) are those of the piece's own part: a lane steps over the rows they cover, and does not even read blocks that lie inside
 * one. A head that is not decoded yet is a lower bound: the first time of the block.
 *
 * Blocks of one key in one file do not overlap, but a file that breaks this is still read: its blocks are dealt out to several lanes, and
 * the later block wins.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "tsm/tsm_int.h"

enum {
    DIRECT_ROWS = 64,      /* a run so long is given as a view */
    STRETCH_ROWS = 4096,   /* at most so long; a multiple of 64 keeps bitmaps viewable */
    GATHER_ROWS = 1024,
    LANES_A_PIECE_MAX = 64,
};
static const size_t LANE_BYTES_MAX = (size_t)2 * AF_TSM_BLOCK_BYTES_MAX;

struct lane {
    const struct af_piece *piece;
    size_t rank;            /* of the piece: higher wins */
    const uint32_t *order;  /* numbers of its blocks; NULL: next, next + 1 ... */
    size_t next, stop;      /* blocks (or places in `order`) that are not done */
    size_t block;           /* the one at `next` */
    size_t tomb;            /* tombstones before it are behind */
    bool is_loaded;
    bool is_done;
    int64_t head_ns;        /* of the row at `at`, or the earliest that the block can have */
    struct af_tsm_values values;
    size_t at, run_end;     /* rows [at, run_end) are visible */
    size_t row_stop;        /* rows from here on are out of range */
    struct af_arena arena;  /* of the decoded block */
};

struct af_merge {
    struct lane *lanes;
    size_t lane_count, lane_cap;
    enum af_type type;
    int64_t start_ns, last_ns; /* inclusive */
    struct af_rows rows;
    bool has_rows;             /* `rows` has been made */
};

/* --- lanes ------------------------------------------------------------------------------------------------------------------- */

/* The first tombstone that does not end before `time_ns`. Times only grow. */
static const struct af_tsm_tomb *tomb_at(struct lane *lane, int64_t time_ns)
{
    while (lane->tomb < lane->piece->tomb_count && lane->piece->tombs[lane->tomb].max_ns < time_ns)
        lane->tomb++;
    return lane->tomb < lane->piece->tomb_count ? &lane->piece->tombs[lane->tomb] : NULL;
}

static const struct af_tsm_block_ref *block_ref(const struct lane *lane)
{
    return &lane->piece->entry.blocks[lane->block];
}

/* From row `at` on, the next visible run. False: no more in this block. */
static bool next_run(struct lane *lane)
{
    while (lane->at < lane->row_stop) {
        const int64_t time = lane->values.time_ns[lane->at];
        const struct af_tsm_tomb *tomb = tomb_at(lane, time);
        lane->run_end = lane->row_stop;
        if (tomb == NULL || tomb->min_ns > time) {
            if (tomb != NULL)
                lane->run_end = af_values_seek(&lane->values, lane->at, tomb->min_ns);
            lane->run_end = lane->run_end < lane->row_stop ? lane->run_end : lane->row_stop;
            lane->head_ns = time;
            return true;
        }
        lane->at = tomb->max_ns == INT64_MAX ? lane->row_stop : af_values_seek(&lane->values, lane->at, tomb->max_ns + 1);
    }
    return false;
}

/* To the next block that can have rows, from `next` on. */
static void next_block(const struct af_merge *merge, struct lane *lane)
{
    lane->is_loaded = false;
    for (; lane->next < lane->stop; lane->next++) {
        lane->block = lane->order != NULL ? lane->order[lane->next] : lane->next;
        const struct af_tsm_block_ref *ref = block_ref(lane);
        if (ref->max_ns < merge->start_ns || ref->min_ns > merge->last_ns)
            continue;
        const struct af_tsm_tomb *tomb = tomb_at(lane, ref->min_ns);
        if (tomb != NULL && tomb->min_ns <= ref->min_ns && tomb->max_ns >= ref->max_ns)
            continue;
        lane->head_ns = ref->min_ns > merge->start_ns ? ref->min_ns : merge->start_ns;
        return;
    }
    lane->is_done = true;
}

/* Rows of lane->values that are in range; false: none that is visible. */
static bool enter_values(const struct af_merge *merge, struct lane *lane)
{
    lane->at = af_values_seek(&lane->values, 0, merge->start_ns);
    lane->row_stop = merge->last_ns == INT64_MAX ? lane->values.count : af_values_seek(&lane->values, lane->at, merge->last_ns + 1);
    lane->is_loaded = true;
    return next_run(lane);
}

static enum af_status load(const struct af_merge *merge, struct lane *lane, struct af_error *err)
{
    af_arena_reset(&lane->arena);
    AF_TRY(af_tsm_read_block(lane->piece->part->file, merge->type, block_ref(lane), &lane->arena, &lane->values, err));
    if (!enter_values(merge, lane)) {
        lane->next++;
        next_block(merge, lane);
    }
    return AF_OK;
}

/* `count` rows of the visible run are done with. */
static void consume(const struct af_merge *merge, struct lane *lane, size_t count)
{
    lane->at += count;
    if (lane->at < lane->run_end) {
        lane->head_ns = lane->values.time_ns[lane->at];
        return;
    }
    if (next_run(lane))
        return;
    lane->next++;
    if (lane->piece->part == NULL)
        lane->is_done = true;
    else
        next_block(merge, lane);
}

/* --- opening ------------------------------------------------------------------------------------------------------------------ */

static bool has_data(const struct af_piece *piece)
{
    return piece->part != NULL ? piece->entry.block_count > 0 : piece->values.count > 0;
}

static enum af_type type_of(const struct af_piece *piece)
{
    return piece->part != NULL ? piece->entry.type : piece->values.values.type;
}

static bool has_overlap(const struct af_tsm_entry *entry)
{
    for (size_t i = 1; i < entry->block_count; i++)
        if (entry->blocks[i].min_ns <= entry->blocks[i - 1].max_ns)
            return true;
    return false;
}

/* Deal overlapping blocks out: lane_of[i] is the first lane whose last block ends before block i begins. Returns how many; 0: too many. */
static size_t deal(const struct af_tsm_entry *entry, uint32_t *lane_of)
{
    int64_t ends[LANES_A_PIECE_MAX];
    size_t lanes = 0;
    for (size_t i = 0; i < entry->block_count; i++) {
        size_t lane = 0;
        while (lane < lanes && ends[lane] >= entry->blocks[i].min_ns)
            lane++;
        if (lane == LANES_A_PIECE_MAX)
            return 0;
        lanes = lane == lanes ? lanes + 1 : lanes;
        ends[lane] = entry->blocks[i].max_ns;
        lane_of[i] = (uint32_t)lane;
    }
    return lanes;
}

static struct lane *add_lane(struct af_merge *merge, const struct af_piece *piece, size_t rank)
{
    struct lane *lane = &merge->lanes[merge->lane_count++];
    *lane = (struct lane){ .piece = piece, .rank = rank, .stop = piece->entry.block_count };
    af_arena_init(&lane->arena, LANE_BYTES_MAX);
    return lane;
}

static enum af_status add_overlapping(struct af_merge *merge, const struct af_piece *piece, size_t rank, struct af_arena *arena,
                                      struct af_error *err)
{
    const size_t blocks = piece->entry.block_count;
    uint32_t *lane_of = af_arena_array(arena, blocks, 2 * sizeof *lane_of);
    if (lane_of == NULL)
        return af_arena_fail(arena, blocks * 8, "overlapping blocks", err);
    uint32_t *order = lane_of + blocks;
    const size_t lanes = deal(&piece->entry, lane_of);
    if (lanes == 0)
        return af_fail(err, AF_ECORRUPT, "%s: more than %d blocks of one key overlap each other; try `afluxo tsm verify`",
                       piece->part->path, LANES_A_PIECE_MAX);
    struct lane *more = af_arena_zero(arena, merge->lane_cap + lanes, sizeof *more);
    if (more == NULL)
        return af_arena_fail(arena, (merge->lane_cap + lanes) * sizeof *more, "overlapping blocks", err);
    memcpy(more, merge->lanes, merge->lane_count * sizeof *more);
    merge->lanes = more;
    merge->lane_cap += lanes;
    for (uint32_t i = 0; i < lanes; i++) {
        struct lane *lane = add_lane(merge, piece, rank);
        lane->order = order;
        lane->stop = 0;
        for (size_t b = 0; b < blocks; b++)
            if (lane_of[b] == i)
                order[lane->stop++] = (uint32_t)b;
        order += lane->stop;
        next_block(merge, lane);
    }
    return AF_OK;
}

static enum af_status add_piece(struct af_merge *merge, const struct af_piece *piece, size_t rank, struct af_arena *arena,
                                struct af_error *err)
{
    if (piece->part != NULL && has_overlap(&piece->entry))
        return add_overlapping(merge, piece, rank, arena, err);
    struct lane *lane = add_lane(merge, piece, rank);
    if (piece->part != NULL) {
        next_block(merge, lane);
        return AF_OK;
    }
    lane->values = piece->values;
    lane->is_done = !enter_values(merge, lane);
    return AF_OK;
}

enum af_status af_merge_open(const struct af_piece *pieces, size_t count, int64_t start_ns, int64_t stop_ns, struct af_arena *arena,
                             struct af_merge **out, struct af_error *err)
{
    struct af_merge *merge = af_arena_zero(arena, 1, sizeof *merge);
    if (merge == NULL)
        return af_arena_fail(arena, sizeof *merge, "a merge", err);
    merge->start_ns = start_ns;
    merge->last_ns = stop_ns == INT64_MAX ? INT64_MAX : stop_ns - (stop_ns != INT64_MIN);
    merge->type = AF_TYPE_NULL;
    merge->lane_cap = count;
    merge->lanes = af_arena_zero(arena, count + 1, sizeof *merge->lanes);
    if (merge->lanes == NULL)
        return af_arena_fail(arena, (count + 1) * sizeof *merge->lanes, "a merge", err);
    for (size_t i = 0; i < count; i++)
        if (has_data(&pieces[i]))
            merge->type = type_of(&pieces[i]);
    const bool is_empty = stop_ns == INT64_MIN || merge->last_ns < start_ns;
    for (size_t i = 0; i < count && !is_empty; i++) {
        if (!has_data(&pieces[i]) || type_of(&pieces[i]) != merge->type)
            continue;
        enum af_status status = add_piece(merge, &pieces[i], i, arena, err);
        if (status != AF_OK) {
            af_merge_close(merge);
            return status;
        }
    }
    *out = merge;
    return AF_OK;
}

void af_merge_close(struct af_merge *merge)
{
    if (merge == NULL)
        return;
    for (size_t i = 0; i < merge->lane_count; i++)
        af_arena_done(&merge->lanes[i].arena);
    if (merge->has_rows)
        af_rows_done(&merge->rows);
    merge->has_rows = false;
    merge->lane_count = 0;
}

enum af_type af_merge_type(const struct af_merge *merge)
{
    return merge->type;
}

/* --- going on ------------------------------------------------------------------------------------------------------------------ */

/* The lane with the lowest head; *out_other: is there another, and its head. NULL: the end. */
static struct lane *lowest(struct af_merge *merge, bool *out_has_other, int64_t *out_other_ns)
{
    struct lane *low = NULL;
    *out_has_other = false;
    *out_other_ns = INT64_MAX;
    for (size_t i = 0; i < merge->lane_count; i++) {
        struct lane *lane = &merge->lanes[i];
        if (lane->is_done)
            continue;
        int64_t behind = lane->head_ns;
        if (low == NULL) {
            low = lane;
            continue;
        }
        if (behind < low->head_ns) {
            behind = low->head_ns;
            low = lane;
        }
        *out_has_other = true;
        *out_other_ns = behind < *out_other_ns ? behind : *out_other_ns;
    }
    return low;
}

/* A whole block that stands alone. */
static bool is_free(const struct af_merge *merge, struct lane *lane, bool has_other, int64_t other_ns)
{
    if (lane->is_loaded)
        return false;
    const struct af_tsm_block_ref *ref = block_ref(lane);
    if (ref->min_ns < merge->start_ns || ref->max_ns > merge->last_ns || (has_other && ref->max_ns >= other_ns))
        return false;
    const struct af_tsm_tomb *tomb = tomb_at(lane, ref->min_ns);
    return tomb == NULL || tomb->min_ns > ref->max_ns;
}

bool af_merge_free_block(struct af_merge *merge, struct af_tsm_part **out_part, const struct af_tsm_block_ref **out_ref)
{
    bool has_other;
    int64_t other_ns;
    struct lane *low = lowest(merge, &has_other, &other_ns);
    if (low == NULL || !is_free(merge, low, has_other, other_ns))
        return false;
    *out_part = low->piece->part;
    *out_ref = block_ref(low);
    return true;
}

void af_merge_skip_block(struct af_merge *merge)
{
    bool has_other;
    int64_t other_ns;
    struct lane *low = lowest(merge, &has_other, &other_ns);
    if (low == NULL)
        return;
    low->next++;
    next_block(merge, low);
}

static enum af_status gather(struct af_merge *merge, const struct lane *lane, size_t count, size_t *out_taken, struct af_error *err)
{
    if (!merge->has_rows) {
        AF_TRY(af_rows_init(&merge->rows, merge->type, GATHER_ROWS, err));
        merge->has_rows = true;
    }
    return af_rows_append(&merge->rows, &lane->values, lane->at, count, out_taken, err);
}

/* Several lanes have `time_ns` as their head: the latest gives its row. */
static enum af_status settle(struct af_merge *merge, int64_t time_ns, struct af_error *err)
{
    struct lane *winner = NULL;
    for (size_t i = 0; i < merge->lane_count; i++) {
        struct lane *lane = &merge->lanes[i];
        if (lane->is_done || lane->head_ns != time_ns)
            continue;
        if (!lane->is_loaded)
            return load(merge, lane, err); /* its head may grow: look again */
        if (winner == NULL || lane->rank > winner->rank || (lane->rank == winner->rank && lane->block > winner->block))
            winner = lane;
    }
    size_t taken;
    AF_TRY(gather(merge, winner, 1, &taken, err));
    if (taken == 0)
        return AF_OK;
    for (size_t i = 0; i < merge->lane_count; i++)
        if (!merge->lanes[i].is_done && merge->lanes[i].head_ns == time_ns)
            consume(merge, &merge->lanes[i], 1);
    return AF_OK;
}

/* One step: rows are gathered, or a view is ready (`out` has rows), or *out_stop: what is gathered must be given first. */
static enum af_status step(struct af_merge *merge, struct af_tsm_values *out, bool *out_stop, struct af_error *err)
{
    bool has_other;
    int64_t other_ns;
    struct lane *low = lowest(merge, &has_other, &other_ns);
    const size_t gathered = merge->has_rows ? merge->rows.count : 0;
    *out_stop = low == NULL || (gathered > 0 && (af_rows_is_full(&merge->rows) || is_free(merge, low, has_other, other_ns)));
    if (*out_stop)
        return AF_OK;
    if (!low->is_loaded)
        return load(merge, low, err);
    size_t end = low->run_end;
    if (has_other && low->values.time_ns[end - 1] >= other_ns)
        end = af_values_seek(&low->values, low->at, other_ns);
    size_t count = end - low->at;
    if (count == 0)
        return settle(merge, other_ns, err);
    if (count < DIRECT_ROWS && (gathered > 0 || end < low->run_end)) {
        AF_TRY(gather(merge, low, count, &count, err));
        consume(merge, low, count);
        return AF_OK;
    }
    *out_stop = gathered > 0;
    if (*out_stop)
        return AF_OK;
    count = count < STRETCH_ROWS ? count : STRETCH_ROWS;
    AF_TRY(af_values_slice(&low->values, low->at, count, &low->arena, out, err));
    consume(merge, low, count);
    return AF_OK;
}

enum af_status af_merge_next(struct af_merge *merge, struct af_tsm_values *out, struct af_error *err)
{
    struct af_tsm_values view = { 0 };
    bool must_stop = false;
    if (merge->has_rows)
        af_rows_clear(&merge->rows);
    while (!must_stop && view.count == 0)
        AF_TRY(step(merge, &view, &must_stop, err));
    if (view.count == 0 && merge->has_rows)
        af_rows_values(&merge->rows, &view);
    *out = view;
    return AF_OK;
}

enum af_status af_merge_has_rows(const struct af_tsm_part *part, const struct af_tsm_entry *entry, struct af_arena *arena, bool *out,
                                 struct af_error *err)
{
    struct af_piece piece = { .part = (struct af_tsm_part *)(uintptr_t)part, .entry = *entry };
    struct af_merge *merge;
    struct af_tsm_values values;
    piece.tombs = af_part_tombs(part, entry->key, &piece.tomb_count);
    *out = true;
    if (piece.tomb_count == 0)
        return AF_OK;
    af_arena_reset(arena);
    AF_TRY(af_merge_open(&piece, 1, INT64_MIN, INT64_MAX, arena, &merge, err));
    enum af_status status = af_merge_next(merge, &values, err);
    af_merge_close(merge);
    *out = status != AF_OK || values.count > 0;
    return status;
}
