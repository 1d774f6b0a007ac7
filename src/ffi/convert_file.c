/*
 * convert_file.c - files as blocks of lines: ingest/ reads, maps and encodes in threads of its own, one block waits to be taken.
 *
 *     workers: map, encode --> deliver, in order --> [ ready ] --> fill, in the caller's thread
 *                              waits while full                   waits while empty
 *
 * The text of a block changes hands, it is not copied. Whoever closes early makes `deliver` fail with AF_ECANCELED and waits for the
 * threads. A file that cannot be read, or a damaged row group, ends it: nothing is left out silently.
 */
#include "base/alloc.h"
#include "ffi/ffi_int.h"
#include "ingest/ingest.h"
#include "os/clock.h"
#include "os/thread.h"

struct file_converter {
    struct afluxo_converter base;
    struct ffi_sources *sources;
    struct af_arena own;
    struct af_map *map;                 /* given; NULL: each file its own */
    struct af_map_override override;
    struct af_ingest_options options;
    struct af_thread thread;
    struct af_mutex lock;               /* all below */
    struct af_cond changed;
    struct ffi_block ready;
    bool is_full, is_done;
    bool cancel;
    enum af_status status;              /* of the run, once it is done */
    struct af_error why;
};

/* --- the stage ------------------------------------------------------------------------------------------------------------- */

static void *text_new(void *ctx)
{
    (void)ctx;
    struct af_lp_text *text = af_alloc_aligned(AF_ARENA_ALIGN, sizeof *text);
    if (text != NULL)
        af_lp_text_init(text);
    return text;
}

static void text_free(void *ctx, void *scratch)
{
    (void)ctx;
    af_lp_text_done(scratch);
    af_free(scratch);
}

static enum af_status encode(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct file_converter *c = ctx;
    af_lp_text_clear(scratch);
    return af_lp_encode(block->points, c->base.precision, scratch, 1, err);
}

static void swap_text(struct af_lp_text *a, struct af_lp_text *b)
{
    struct af_lp_text t = *a;
    *a = *b;
    *b = t;
}

static void hand_over_locked(struct file_converter *c, struct af_lp_text *text, const struct af_ingest_block *block)
{
    const struct af_map_rejects *rejects = &block->rejects;
    if (block->points != NULL) {
        swap_text(text, &c->ready.text);
        c->ready.counts.points = c->ready.text.line_count;
        c->ready.counts.values = c->ready.text.value_count;
    }
    for (size_t i = 0; i < rejects->count; i++) {
        const struct af_map_reject *r = &rejects->items[i];
        ffi_rejects_add(&c->ready.rejects, r, r->row == SIZE_MAX ? r->file_row : block->first_row + r->row);
    }
    c->ready.counts.rows = block->rows;
    c->ready.counts.rejected = rejects->count;
    c->ready.counts.empty = block->rows_empty;
    c->is_full = true;
    af_cond_broadcast(&c->changed);
}

static enum af_status deliver(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct file_converter *c = ctx;
    if (block->rows == 0)
        return AF_OK;
    af_mutex_lock(&c->lock);
    while (c->is_full && !c->cancel)
        af_cond_wait(&c->changed, &c->lock);
    const bool is_canceled = c->cancel;
    if (!is_canceled)
        hand_over_locked(c, scratch, block);
    af_mutex_unlock(&c->lock);
    return is_canceled ? af_fail(err, AF_ECANCELED, "stopped") : AF_OK;
}

static void run(void *ctx)
{
    struct file_converter *c = ctx;
    struct af_ingest_stage stage = { .ctx = c, .scratch_new = text_new, .scratch_free = text_free, .work = encode, .deliver = deliver };
    struct af_ingest_totals totals = { 0 };
    struct af_error why = { 0 };
    enum af_status status = af_ingest_run(&c->options, &stage, &totals, &why);
    af_mutex_lock(&c->lock);
    c->status = status;
    c->why = why;
    c->is_done = true;
    af_cond_broadcast(&c->changed);
    af_mutex_unlock(&c->lock);
}

/* --- the other end --------------------------------------------------------------------------------------------------------- */

static void take_locked(struct file_converter *c)
{
    struct ffi_block *block = &c->base.block;
    const struct afluxo_counts *more = &c->ready.counts;
    swap_text(&block->text, &c->ready.text);
    ffi_rejects_move(&c->ready.rejects, &block->rejects);
    block->counts.rows += more->rows;
    block->counts.points += more->points;
    block->counts.values += more->values;
    block->counts.rejected += more->rejected;
    block->counts.empty += more->empty;
    af_lp_text_clear(&c->ready.text);
    c->ready.counts = (struct afluxo_counts){ 0 };
    c->is_full = false;
    af_cond_broadcast(&c->changed);
}

static enum af_status fill(struct afluxo_converter *base, bool *out_end, struct af_error *err)
{
    struct file_converter *c = (struct file_converter *)base;
    enum af_status status = AF_OK;
    af_mutex_lock(&c->lock);
    while (!c->is_full && !c->is_done)
        af_cond_wait(&c->changed, &c->lock);
    if (c->is_full)
        take_locked(c);
    else {
        *out_end = true;
        status = c->status;
        if (err != NULL)
            *err = c->why;
    }
    af_mutex_unlock(&c->lock);
    return status;
}

static void close_converter(struct afluxo_converter *base)
{
    struct file_converter *c = (struct file_converter *)base;
    af_mutex_lock(&c->lock);
    __atomic_store_n(&c->cancel, true, __ATOMIC_RELAXED); /* the threads look at it without the lock, too */
    af_cond_broadcast(&c->changed);
    af_mutex_unlock(&c->lock);
    af_thread_join(&c->thread);
    af_cond_done(&c->changed);
    af_mutex_done(&c->lock);
    ffi_block_done(&c->ready);
    af_map_free(c->map);
    ffi_sources_close(c->sources);
    af_arena_done(&c->own);
    af_free(c);
}

/* --- opening --------------------------------------------------------------------------------------------------------------- */

static enum af_status keep(struct file_converter *c, const char *text, const char **out, struct af_error *err)
{
    *out = text != NULL ? af_arena_copy(&c->own, af_slice_of(text)) : NULL;
    return text == NULL || *out != NULL ? AF_OK : af_fail_nomem(err, "a converter");
}

static enum af_status open_converter(struct file_converter *c, const char *source, const struct afluxo_mapping_options *mapping,
                                     struct af_error *err)
{
    AF_TRY(ffi_sources_open(source, mapping->exact != 0, &c->sources, err));
    if (ffi_map_is_given(mapping))
        AF_TRY(ffi_map_given(mapping, &c->map, err));
    AF_TRY(keep(c, mapping->measurement, &c->override.measurement, err));
    AF_TRY(keep(c, mapping->time_zone, &c->override.time_zone, err));
    c->options = (struct af_ingest_options){ .sources = ffi_sources_list(c->sources), .map = c->map, .infer = mapping->infer != 0,
                                             .override = &c->override, .lp_unsigned = true, .now_ns = af_clock_now_ns(), .strict = true,
                                             .cancel = &c->cancel, .ctx = c };
    return af_thread_start(&c->thread, "afluxo-convert", run, c, err);
}

enum af_status ffi_convert_file(const char *source, const struct afluxo_mapping_options *mapping, enum af_precision precision,
                                struct afluxo_converter **out, struct af_error *err)
{
    struct file_converter *c = af_alloc_zero(1, sizeof *c);
    if (c == NULL)
        return af_fail_nomem(err, "a converter");
    c->base = (struct afluxo_converter){ .fill = fill, .close = close_converter, .precision = precision };
    ffi_block_init(&c->base.block);
    ffi_block_init(&c->ready);
    af_arena_init(&c->own, 1 << 20);
    af_mutex_init(&c->lock);
    af_cond_init(&c->changed);
    enum af_status status = open_converter(c, source, mapping, err);
    if (status != AF_OK) {
        af_ffi_convert_free(&c->base);
        return status;
    }
    *out = &c->base;
    return AF_OK;
}
