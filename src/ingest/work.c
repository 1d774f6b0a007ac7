/*
 * work.c - what a worker does on its own with one slot: map or parse, and the stage's `work`.
 *
 * Mapper and parser are the worker's; what they make is in the slot's arena, except the series set, which changes with the worker's
 * next block. So a block that was worked on loses its set before it may wait for its turn. Names in rejects are the mapper's: the slot
 * keeps a reference to it.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "ingest/ingest_int.h"

/* --- tables -------------------------------------------------------------------------------------------------------------- */

static void unref_bound(struct af_bound_mapper *bound)
{
    if (bound == NULL || atomic_fetch_sub(&bound->refs, 1) != 1)
        return;
    af_mapper_free(bound->mapper);
    af_open_source_unref(bound->source);
    af_free(bound);
}

static enum af_status bind(struct af_ingest_worker *w, struct af_open_source *source, struct af_error *err)
{
    if (w->bound != NULL && w->bound->source == source)
        return AF_OK;
    unref_bound(w->bound);
    w->bound = NULL;
    struct af_bound_mapper *bound = af_alloc_zero(1, sizeof *bound);
    if (bound == NULL)
        return af_fail_nomem(err, "a mapper");
    enum af_status status = af_mapper_new(source->map, source->stream->schema, source->source->path, &bound->mapper, err);
    if (status != AF_OK) {
        af_free(bound);
        return status;
    }
    atomic_init(&bound->refs, 1);
    atomic_fetch_add(&source->refs, 1);
    bound->source = source;
    w->bound = bound;
    return AF_OK;
}

static enum af_status map_batch(struct af_ingest_worker *w, struct af_ingest_slot *slot, struct af_error *err)
{
    const struct af_batch *batch = slot->item.batch;
    struct af_ingest_block *block = &slot->block;
    AF_TRY(bind(w, slot->item.source, err));
    atomic_fetch_add(&w->bound->refs, 1);
    slot->bound = w->bound;
    AF_TRY(af_mapper_apply(slot->bound->mapper, batch, &slot->arena, &slot->points, &block->rejects, &block->rows_empty, err));
    block->rows = batch->row_count + batch->bad_row_count;
    block->points = &slot->points;
    return AF_OK;
}

/* --- line protocol ------------------------------------------------------------------------------------------------------- */

static void keep_bad_line(void *ctx, const struct af_lp_bad_line *bad)
{
    struct af_ingest_worker *w = ctx;
    struct af_ingest_slot *slot = w->slot;
    if (slot->reject_count == slot->reject_cap) {
        size_t cap = slot->reject_cap == 0 ? 64 : slot->reject_cap * 2;
        struct af_map_reject *grown = af_arena_zero(&slot->arena, cap, sizeof *grown);
        if (grown == NULL) {
            slot->reject_failed = true;
            return;
        }
        if (slot->reject_count != 0)
            memcpy(grown, slot->rejects, slot->reject_count * sizeof *grown);
        slot->rejects = grown;
        slot->reject_cap = cap;
    }
    char *reason = af_arena_copy(&slot->arena, af_slice_of(bad->reason));
    if (reason == NULL) {
        slot->reject_failed = true;
        return;
    }
    slot->rejects[slot->reject_count++] = (struct af_map_reject){
        .row = SIZE_MAX, .file_row = bad->line - 1 - w->lines_before, .reason = reason, .raw = bad->raw
    };
}

static enum af_status make_parser(struct af_ingest_worker *w, struct af_error *err)
{
    if (w->parser != NULL)
        return AF_OK;
    const struct af_ingest_options *o = w->options;
    struct af_lp_parse_options options = { .precision = o->lp_precision, .default_time_ns = o->now_ns,
                                           .allow_unsigned = o->lp_unsigned, .bad_line = keep_bad_line, .ctx = w };
    return af_lp_parser_new(&options, &w->parser, err);
}

/* Lines as the parser counts them: every newline, and a last line without. */
static uint64_t count_newlines(struct af_slice text)
{
    uint64_t count = 0;
    for (size_t at = 0; at < text.len; count++) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        at = end != NULL ? (size_t)(end - text.ptr) + 1 : text.len;
    }
    return count;
}

static size_t count_lines(struct af_slice text)
{
    size_t count = 0;
    for (size_t at = 0; at < text.len; at = af_lp_line_end(text, at))
        count++;
    return count;
}

/* As many of the item's lines as one batch takes: nearly always all. */
static enum af_status parse_lines(struct af_ingest_worker *w, struct af_ingest_slot *slot, struct af_error *err)
{
    const struct af_feed_item *item = &slot->item;
    struct af_ingest_block *block = &slot->block;
    AF_TRY(make_parser(w, err));
    w->slot = slot;
    AF_TRY(af_lp_parse(w->parser, item->lines, true, &slot->arena, &slot->points, &slot->lines, &slot->lines_used, err));
    if (slot->reject_failed)
        return af_fail_nomem(err, "refused lines");
    if (slot->lines_used == 0)
        return af_fail(err, AF_EBUG, "a line of %zu bytes was not parsed", af_lp_line_end(item->lines, 0));
    for (size_t i = 0; i < slot->points.row_count; i++)
        slot->lines[i] += item->first_row - w->lines_before - 1;
    for (size_t i = 0; i < slot->reject_count; i++)
        slot->rejects[i].file_row += item->first_row;
    block->rejects = (struct af_map_rejects){ slot->reject_count, slot->rejects };
    block->rows = count_lines((struct af_slice){ item->lines.ptr, slot->lines_used });
    slot->points.first_row = item->first_row;
    block->points = &slot->points;
    block->lines = slot->lines;
    return AF_OK;
}

/* --- one slot ------------------------------------------------------------------------------------------------------------ */

void af_ingest_slot_begin(struct af_ingest_slot *slot, uint64_t ticket)
{
    const struct af_feed_item *item = &slot->item;
    slot->block = (struct af_ingest_block){ .source = item->index, .part = item->part, .ticket = ticket,
                                            .unit_begins = item->unit_begins, .source_ends = item->source_ends,
                                            .first_row = item->first_row };
    slot->has_newlines = false;
}

static enum af_status make_points(struct af_ingest_worker *w, struct af_ingest_slot *slot, struct af_error *err)
{
    if (slot->item.batch != NULL)
        return map_batch(w, slot, err);
    return slot->item.lines.len != 0 ? parse_lines(w, slot, err) : AF_OK;
}

static enum af_status work(struct af_ingest_worker *w, struct af_ingest_slot *slot, struct af_error *err)
{
    const struct af_ingest_stage *stage = w->stage;
    if (!slot->has_newlines)
        slot->newlines = count_newlines(slot->item.lines);
    slot->has_newlines = true;
    slot->rejects = NULL;
    slot->reject_count = slot->reject_cap = 0;
    slot->reject_failed = false;
    slot->lines_used = slot->item.lines.len;
    AF_TRY(make_points(w, slot, err));
    if (slot->block.points != NULL && stage->work != NULL) {
        AF_TRY(stage->work(stage->ctx, stage->deliver != NULL ? slot->scratch : w->scratch, &slot->block, err));
        slot->points.set = NULL;
    }
    if (!af_ingest_slot_has_more(slot))
        w->lines_before += slot->newlines;
    return AF_OK;
}

enum af_status af_ingest_work(struct af_ingest_worker *w, struct af_ingest_slot *slot, struct af_error *err)
{
    enum af_status status = work(w, slot, err);
    if (status != AF_OK && slot->item.source != NULL)
        af_error_prefix(err, "%s: ", slot->item.source->source->path);
    return status;
}

bool af_ingest_slot_has_more(const struct af_ingest_slot *slot)
{
    return slot->lines_used < slot->item.lines.len;
}

enum af_status af_ingest_slot_keep_rest(struct af_ingest_slot *slot, struct af_error *err)
{
    struct af_feed_item *item = &slot->item;
    const struct af_ingest_block *block = &slot->block;
    struct af_buf rest;
    af_buf_init(&rest, SIZE_MAX / 2);
    af_buf_append(&rest, item->lines.ptr + slot->lines_used, item->lines.len - slot->lines_used);
    af_buf_done(&slot->rest);
    slot->rest = rest;
    AF_TRY(af_buf_check(&slot->rest, "line protocol", err));
    slot->block = (struct af_ingest_block){ .source = block->source, .part = block->part, .ticket = block->ticket,
                                            .ticket_row = block->ticket_row + slot->points.row_count,
                                            .first_row = block->first_row };
    af_arena_reset(&slot->arena);
    item->lines = af_buf_slice(&slot->rest);
    return AF_OK;
}

void af_ingest_slot_recycle(struct af_ingest_slot *slot)
{
    af_arena_reset(&slot->arena);
    unref_bound(slot->bound);
    slot->bound = NULL;
    af_open_source_unref(slot->item.source);
    slot->item.source = NULL;
}

/* --- making and freeing -------------------------------------------------------------------------------------------------- */

static enum af_status new_scratch(const struct af_ingest_stage *stage, bool is_wanted, void **out, struct af_error *err)
{
    if (stage->scratch_new == NULL || !is_wanted)
        return AF_OK;
    *out = stage->scratch_new(stage->ctx);
    return *out != NULL ? AF_OK : af_fail_nomem(err, "a worker");
}

static void free_scratch(const struct af_ingest_stage *stage, void *scratch)
{
    if (scratch != NULL && stage->scratch_free != NULL)
        stage->scratch_free(stage->ctx, scratch);
}

enum af_status af_ingest_slot_init(struct af_ingest_slot *slot, const struct af_ingest_stage *stage, struct af_error *err)
{
    af_buf_init(&slot->rest, SIZE_MAX / 2);
    af_arena_init(&slot->arena, AF_BATCH_ARENA_BYTES_MAX);
    return new_scratch(stage, stage->deliver != NULL, &slot->scratch, err);
}

void af_ingest_slot_done(struct af_ingest_slot *slot, const struct af_ingest_stage *stage)
{
    free_scratch(stage, slot->scratch);
    unref_bound(slot->bound);
    af_open_source_unref(slot->item.source);
    af_buf_done(&slot->rest);
    af_arena_done(&slot->arena);
}

enum af_status af_ingest_worker_init(struct af_ingest_worker *w, const struct af_ingest_options *options,
                                     const struct af_ingest_stage *stage, struct af_error *err)
{
    w->options = options;
    w->stage = stage;
    return new_scratch(stage, stage->deliver == NULL, &w->scratch, err);
}

void af_ingest_worker_done(struct af_ingest_worker *w)
{
    free_scratch(w->stage, w->scratch);
    unref_bound(w->bound);
    af_lp_parser_free(w->parser);
}
