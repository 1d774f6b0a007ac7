/*
 * spine.c - blocks of ingest into a sink: text by lanes, units, rejects; see load.h.
 *
 * A unit ends where the next begins or with its source. A bad row group is known before the block that stands in its place is delivered,
 * so its letter waits for that block's unit.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "load/load.h"
#include "os/thread.h"
#include <inttypes.h>
#include <stdio.h>

/* --- text ---------------------------------------------------------------------------------------------------------------- */

static void lanes_free(void *ctx, void *scratch)
{
    const struct af_load_spine *spine = ctx;
    struct af_lp_text *lanes = scratch;
    for (uint32_t i = 0; i < spine->lanes; i++)
        af_lp_text_done(&lanes[i]);
    af_free(lanes);
}

static void *lanes_new(void *ctx)
{
    const struct af_load_spine *spine = ctx;
    struct af_lp_text *lanes = af_alloc_zero(spine->lanes, sizeof *lanes);
    for (uint32_t i = 0; lanes != NULL && i < spine->lanes; i++)
        af_lp_text_init(&lanes[i]);
    return lanes;
}

static enum af_status encode(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    const struct af_load_spine *spine = ctx;
    struct af_lp_text *lanes = scratch;
    for (uint32_t i = 0; i < spine->lanes; i++)
        af_lp_text_clear(&lanes[i]);
    AF_TRY(af_lp_encode(block->points, spine->precision, lanes, spine->lanes, err));
    for (uint32_t i = 0; block->lines != NULL && i < spine->lanes; i++)
        for (size_t line = 0; line < lanes[i].line_count; line++)
            lanes[i].rows[line] = (uint32_t)(block->lines[lanes[i].rows[line]] - block->first_row);
    return AF_OK;
}

/* --- units --------------------------------------------------------------------------------------------------------------- */

static void end_unit(struct af_load_spine *spine)
{
    if (spine->unit == NULL)
        return;
    if (spine->end != NULL)
        spine->end(spine->ctx, spine->unit);
    else
        af_sink_unit_end(spine->sink, spine->unit);
    spine->unit = NULL;
}

static enum af_status begin_unit(struct af_load_spine *spine, const struct af_ingest_block *block, struct af_error *err)
{
    end_unit(spine);
    spine->unit_id = (uint64_t)block->source << 32 | block->part;
    return af_sink_unit_begin(spine->sink, spine->unit_id, spine->sources->items[block->source].path, block->part, spine->settled,
                              spine->ctx, &spine->unit, err);
}

void af_load_bad_rows(struct af_load_spine *spine, uint64_t first_row, uint64_t rows, const struct af_error *why)
{
    spine->has_bad = true;
    spine->bad_row = first_row;
    (void)snprintf(spine->bad, sizeof spine->bad, "%" PRIu64 " rows cannot be read: %s", rows, why->message);
}

static enum af_status put_rejects(struct af_load_spine *spine, const struct af_ingest_block *block, struct af_error *err)
{
    if (spine->has_bad) {
        struct af_sink_reject lost = { .row = spine->bad_row, .reason = spine->bad };
        spine->has_bad = false;
        AF_TRY(af_sink_reject(spine->sink, spine->unit, &lost, err));
    }
    for (size_t i = 0; i < block->rejects.count; i++) {
        const struct af_map_reject *r = &block->rejects.items[i];
        struct af_sink_reject reject = { .row = r->row == SIZE_MAX ? r->file_row : block->first_row + r->row,
                                         .column = r->column, .reason = r->reason, .raw = r->raw };
        AF_TRY(af_sink_reject(spine->sink, spine->unit, &reject, err));
    }
    return AF_OK;
}

enum af_status af_load_begin_block(struct af_load_spine *spine, const struct af_ingest_block *block, struct af_error *err)
{
    if (block->unit_begins)
        AF_TRY(begin_unit(spine, block, err));
    return put_rejects(spine, block, err);
}

void af_load_end_block(struct af_load_spine *spine, const struct af_ingest_block *block)
{
    if (!block->source_ends)
        return;
    if (spine->unit != NULL && spine->last != NULL)
        spine->last(spine->ctx, spine->unit_id, block->source_is_bad);
    end_unit(spine);
}

/* --- the stage ----------------------------------------------------------------------------------------------------------- */

static enum af_status deliver(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct af_load_spine *spine = ctx;
    const struct af_lp_text *lanes = scratch;
    AF_TRY(af_load_begin_block(spine, block, err));
    for (uint32_t i = 0; block->points != NULL && i < spine->lanes; i++)
        if (lanes[i].line_count != 0)
            AF_TRY(af_sink_put(spine->sink, spine->unit, i, &lanes[i], block->first_row, err));
    af_load_end_block(spine, block);
    return AF_OK;
}

struct af_ingest_stage af_load_stage(struct af_load_spine *spine)
{
    return (struct af_ingest_stage){ .ctx = spine, .scratch_new = lanes_new, .scratch_free = lanes_free, .work = encode,
                                     .deliver = spine->sink != NULL ? deliver : NULL };
}

/* --- memory -------------------------------------------------------------------------------------------------------------- */

enum {
    BLOCKS = AF_SINK_QUEUE_BLOCKS + 4,
    BATCH_BYTES_MIN = 64 << 10,
    WORKER_BYTES = 16 << 20, /* about what a worker takes, with its batch */
};

size_t af_load_batch_bytes(uint64_t memory_bytes, uint32_t lanes)
{
    uint64_t memory = memory_bytes != 0 ? memory_bytes : AF_MEMORY_DEFAULT;
    uint64_t fit = memory / 2 / BLOCKS / lanes;
    return fit < BATCH_BYTES_MIN ? BATCH_BYTES_MIN : fit < AF_SINK_BATCH_BYTES ? (size_t)fit : AF_SINK_BATCH_BYTES;
}

unsigned af_load_workers(uint64_t wanted, uint64_t memory_bytes)
{
    if (wanted != 0)
        return wanted < AF_WORKERS_MAX ? (unsigned)wanted : AF_WORKERS_MAX;
    uint64_t memory = memory_bytes != 0 ? memory_bytes : AF_MEMORY_DEFAULT;
    uint64_t fit = memory / 2 / WORKER_BYTES;
    unsigned cpus = af_cpu_count();
    return fit < 1 ? 1 : fit < cpus ? (unsigned)fit : cpus;
}
