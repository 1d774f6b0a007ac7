/*
 * run.c - workers and turns; the picture is in ingest.h.
 *
 * Two locks: `feed_lock` around the feed (decoding), `turn_lock` around the order of delivery and the totals. No thread holds both.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "ingest/ingest_int.h"
#include "os/clock.h"
#include "os/thread.h"
#include <assert.h>

struct run {
    const struct af_ingest_options *options;
    const struct af_ingest_stage *stage;
    struct af_feed *feed;

    struct af_mutex feed_lock;
    uint64_t next_ticket;  /* under feed_lock */
    bool is_exhausted;     /* under feed_lock */

    struct af_mutex turn_lock;
    struct af_cond turn_cond; /* the turn moved, the run failed: for workers */
    struct af_cond end_cond;  /* a worker ended: for the supervisor, who must not wake with every block */
    uint64_t turn;
    unsigned running;
    _Atomic bool has_failed;
    struct af_error error;    /* first failure */
    struct af_ingest_totals totals;
    uint64_t bytes_before;    /* of sources already ended */
};

struct worker {
    struct run *run;
    struct af_thread thread;
    struct af_arena arena;
    struct af_mapper *mapper;
    struct af_open_source *bound; /* what the mapper is bound to: a reference */
    struct af_lp_parser *parser;
    void *scratch;
    struct af_points points;
    /* bad lines of the block at hand */
    struct af_map_reject *rejects;
    size_t reject_count, reject_cap;
    uint64_t lines_before;        /* what the parser had counted before this item */
    uint64_t *lines;              /* of the points of this block */
    size_t lines_used;            /* bytes of the item's lines in this block */
    struct af_buf rest;           /* those after it */
    bool reject_failed;
};

/* --- one block ----------------------------------------------------------------------------------------------------------- */

static enum af_status bind(struct worker *w, struct af_open_source *source, struct af_error *err)
{
    if (w->bound == source)
        return AF_OK;
    af_mapper_free(w->mapper);
    w->mapper = NULL;
    af_open_source_unref(w->bound);
    w->bound = NULL;
    AF_TRY(af_mapper_new(source->map, source->stream->schema, source->source->path, &w->mapper, err));
    atomic_fetch_add(&source->refs, 1);
    w->bound = source;
    return AF_OK;
}

static enum af_status map_batch(struct worker *w, const struct af_feed_item *item, struct af_ingest_block *block,
                                struct af_error *err)
{
    AF_TRY(bind(w, item->source, err));
    AF_TRY(af_mapper_apply(w->mapper, item->batch, &w->arena, &w->points, &block->rejects, &block->rows_empty, err));
    block->rows = item->batch->row_count + item->batch->bad_row_count;
    block->points = &w->points;
    return AF_OK;
}

static void keep_bad_line(void *ctx, const struct af_lp_bad_line *bad)
{
    struct worker *w = ctx;
    if (w->reject_count == w->reject_cap) {
        size_t cap = w->reject_cap == 0 ? 64 : w->reject_cap * 2;
        struct af_map_reject *grown = af_arena_zero(&w->arena, cap, sizeof *grown);
        if (grown == NULL) {
            w->reject_failed = true;
            return;
        }
        if (w->reject_count != 0)
            memcpy(grown, w->rejects, w->reject_count * sizeof *grown);
        w->rejects = grown;
        w->reject_cap = cap;
    }
    char *reason = af_arena_copy(&w->arena, af_slice_of(bad->reason));
    if (reason == NULL) {
        w->reject_failed = true;
        return;
    }
    w->rejects[w->reject_count++] = (struct af_map_reject){
        .row = SIZE_MAX, .file_row = bad->line - 1 - w->lines_before, .reason = reason, .raw = bad->raw
    };
}

static enum af_status make_parser(struct worker *w, struct af_error *err)
{
    if (w->parser != NULL)
        return AF_OK;
    const struct af_ingest_options *o = w->run->options;
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
static enum af_status parse_lines(struct worker *w, const struct af_feed_item *item, struct af_ingest_block *block,
                                  struct af_error *err)
{
    AF_TRY(make_parser(w, err));
    AF_TRY(af_lp_parse(w->parser, item->lines, true, &w->arena, &w->points, &w->lines, &w->lines_used, err));
    if (w->reject_failed)
        return af_fail_nomem(err, "refused lines");
    if (w->lines_used == 0)
        return af_fail(err, AF_EBUG, "a line of %zu bytes was not parsed", af_lp_line_end(item->lines, 0));
    for (size_t i = 0; i < w->points.row_count; i++)
        w->lines[i] += item->first_row - w->lines_before - 1;
    for (size_t i = 0; i < w->reject_count; i++)
        w->rejects[i].file_row += item->first_row;
    block->rejects = (struct af_map_rejects){ w->reject_count, w->rejects };
    block->rows = count_lines((struct af_slice){ item->lines.ptr, w->lines_used });
    w->points.first_row = item->first_row;
    block->points = &w->points;
    block->lines = w->lines;
    return AF_OK;
}

/* Very many series or fields: the next block takes up what this one left. The arena is emptied between them. */
static enum af_status keep_rest(struct worker *w, struct af_feed_item *item, struct af_ingest_block *block, struct af_error *err)
{
    struct af_buf rest;
    af_buf_init(&rest, SIZE_MAX / 2);
    af_buf_append(&rest, item->lines.ptr + w->lines_used, item->lines.len - w->lines_used);
    af_buf_done(&w->rest);
    w->rest = rest;
    AF_TRY(af_buf_check(&w->rest, "line protocol", err));
    *block = (struct af_ingest_block){ .source = block->source, .part = block->part, .ticket = block->ticket,
                                       .ticket_row = block->ticket_row + w->points.row_count, .first_row = block->first_row };
    af_arena_reset(&w->arena);
    item->lines = af_buf_slice(&w->rest);
    return AF_OK;
}

/* The parallel part. */
static enum af_status work(struct worker *w, const struct af_feed_item *item, struct af_ingest_block *block,
                           struct af_error *err)
{
    w->rejects = NULL;
    w->reject_count = w->reject_cap = 0;
    w->reject_failed = false;
    if (item->batch != NULL)
        AF_TRY(map_batch(w, item, block, err));
    else if (item->lines.len != 0)
        AF_TRY(parse_lines(w, item, block, err));
    if (block->points == NULL || w->run->stage->work == NULL)
        return AF_OK;
    return w->run->stage->work(w->run->stage->ctx, w->scratch, block, err);
}

static void count(struct run *run, const struct af_feed_item *item, const struct af_ingest_block *block)
{
    struct af_ingest_totals *t = &run->totals;
    t->files += block->source_ends;
    t->files_bad += block->source_ends && block->source_is_bad;
    t->parts_lost += item->is_bad && !item->source_ends;
    t->rows_lost += item->rows_lost;
    t->rows_read += block->rows;
    t->rows_rejected += block->rejects.count;
    t->rows_empty += block->rows_empty;
    if (item->batch != NULL) /* among the points' rows are those that were rejected */
        t->points += block->rows - block->rejects.count - block->rows_empty;
    else if (block->points != NULL)
        t->points += block->points->row_count;
    if (block->source_ends) {
        run->bytes_before += item->bytes_done;
        t->bytes_done = run->bytes_before;
    } else if (item->bytes_done != 0) {
        t->bytes_done = run->bytes_before + item->bytes_done;
    }
}

/* The ordered part; under the turn, without its lock. */
static enum af_status deliver(struct worker *w, const struct af_feed_item *item, struct af_ingest_block *block,
                              struct af_error *err)
{
    const struct af_ingest_options *o = w->run->options;
    const struct af_source *source = &o->sources->items[item->index];
    if (item->is_first && item->source != NULL && item->source->map != NULL && o->mapped != NULL)
        o->mapped(o->ctx, source, item->source->map);
    if (item->is_bad && o->bad_source != NULL)
        o->bad_source(o->ctx, source, item->part, item->first_row, item->rows_lost, &item->why);
    block->source_is_bad = item->is_bad && item->source_ends;
    return w->run->stage->deliver != NULL ? w->run->stage->deliver(w->run->stage->ctx, w->scratch, block, err) : AF_OK;
}

/* --- workers ------------------------------------------------------------------------------------------------------------- */

static void fail_run(struct run *run, const struct af_error *error)
{
    af_mutex_lock(&run->turn_lock);
    if (!run->has_failed)
        run->error = *error;
    run->has_failed = true;
    af_cond_broadcast(&run->turn_cond);
    af_mutex_unlock(&run->turn_lock);
}

static bool is_cancelled(const struct run *run)
{
    return run->options->cancel != NULL && *(const volatile bool *)run->options->cancel;
}

/* False: nothing more to do. */
static bool take(struct worker *w, struct af_feed_item *item, uint64_t *out_ticket)
{
    struct run *run = w->run;
    struct af_error err = { 0 };
    bool end = true;
    enum af_status status = AF_OK;
    af_mutex_lock(&run->feed_lock);
    if (!run->is_exhausted && !run->has_failed) {
        if (is_cancelled(run))
            status = af_fail(&err, AF_ECANCELED, "interrupted");
        else
            status = af_feed_next(run->feed, &w->arena, item, &end, &err);
        run->is_exhausted = end || status != AF_OK;
        if (!run->is_exhausted)
            *out_ticket = run->next_ticket++;
    }
    af_mutex_unlock(&run->feed_lock);
    if (status != AF_OK)
        fail_run(run, &err);
    return status == AF_OK && !end;
}

static bool wait_for_turn(struct run *run, uint64_t ticket)
{
    af_mutex_lock(&run->turn_lock);
    while (run->turn != ticket && !run->has_failed)
        af_cond_wait(&run->turn_cond, &run->turn_lock);
    bool mine = !run->has_failed;
    af_mutex_unlock(&run->turn_lock);
    return mine;
}

/* *out_more: the item has lines left for another block, and the turn is kept for it. */
static enum af_status one_block(struct worker *w, const struct af_feed_item *item, struct af_ingest_block *block, bool *out_more,
                                struct af_error *err)
{
    struct run *run = w->run;
    w->lines_used = item->lines.len;
    enum af_status status = work(w, item, block, err);
    *out_more = w->lines_used < item->lines.len;
    if (status != AF_OK && item->source != NULL)
        af_error_prefix(err, "%s: ", item->source->source->path);
    AF_TRY(status);
    if (!wait_for_turn(run, block->ticket)) {
        *out_more = false;
        return AF_OK;
    }
    status = deliver(w, item, block, err);
    af_mutex_lock(&run->turn_lock);
    count(run, item, block);
    run->turn += !*out_more;
    af_cond_broadcast(&run->turn_cond);
    af_mutex_unlock(&run->turn_lock);
    return status;
}

static void one_item(struct worker *w, struct af_feed_item *item, uint64_t ticket)
{
    struct af_error err = { 0 };
    struct af_ingest_block block = { .source = item->index, .part = item->part, .ticket = ticket,
                                     .unit_begins = item->unit_begins, .source_ends = item->source_ends,
                                     .first_row = item->first_row };
    uint64_t lines_after = w->lines_before + count_newlines(item->lines);
    bool more = false;
    enum af_status status = one_block(w, item, &block, &more, &err);
    while (status == AF_OK && more) {
        status = keep_rest(w, item, &block, &err);
        if (status == AF_OK)
            status = one_block(w, item, &block, &more, &err);
    }
    w->lines_before = lines_after;
    if (status != AF_OK)
        fail_run(w->run, &err);
}

static void worker_main(void *ctx)
{
    struct worker *w = ctx;
    struct af_feed_item item;
    uint64_t ticket = 0;
    while (take(w, &item, &ticket)) {
        one_item(w, &item, ticket);
        af_arena_reset(&w->arena);
        af_open_source_unref(item.source);
    }
    af_mutex_lock(&w->run->turn_lock);
    w->run->running--;
    af_cond_signal(&w->run->end_cond);
    af_mutex_unlock(&w->run->turn_lock);
}

static void worker_done(struct worker *w)
{
    const struct af_ingest_stage *stage = w->run->stage;
    if (w->scratch != NULL && stage->scratch_free != NULL)
        stage->scratch_free(stage->ctx, w->scratch);
    af_mapper_free(w->mapper);
    af_open_source_unref(w->bound);
    af_lp_parser_free(w->parser);
    af_buf_done(&w->rest);
    af_arena_done(&w->arena);
}

static enum af_status worker_init(struct worker *w, struct run *run, struct af_error *err)
{
    w->run = run;
    af_buf_init(&w->rest, SIZE_MAX / 2);
    af_arena_init(&w->arena, AF_BATCH_ARENA_BYTES_MAX);
    if (run->stage->scratch_new == NULL)
        return AF_OK;
    w->scratch = run->stage->scratch_new(run->stage->ctx);
    return w->scratch != NULL ? AF_OK : af_fail_nomem(err, "a worker");
}

/* Until every worker has ended, with a look at progress now and then. */
static void supervise(struct run *run)
{
    const struct af_ingest_options *o = run->options;
    af_mutex_lock(&run->turn_lock);
    int64_t next = af_clock_mono_ns();
    while (run->running != 0) {
        next += 200 * INT64_C(1000000);
        while (run->running != 0 && af_cond_wait_until(&run->end_cond, &run->turn_lock, next))
            continue;
        struct af_ingest_totals now = run->totals;
        if (o->progress != NULL && run->running != 0) {
            af_mutex_unlock(&run->turn_lock);
            o->progress(o->ctx, &now);
            af_mutex_lock(&run->turn_lock);
        }
    }
    af_mutex_unlock(&run->turn_lock);
}

static void start_workers(struct run *run, struct worker *workers, unsigned count)
{
    struct af_error err = { 0 };
    for (unsigned i = 0; i < count; i++) {
        enum af_status status = worker_init(&workers[i], run, &err);
        if (status == AF_OK) {
            af_mutex_lock(&run->turn_lock);
            run->running++;
            af_mutex_unlock(&run->turn_lock);
            status = af_thread_start(&workers[i].thread, "af-worker", worker_main, &workers[i], &err);
            if (status == AF_OK)
                continue;
            af_mutex_lock(&run->turn_lock);
            run->running--;
            af_mutex_unlock(&run->turn_lock);
        }
        if (i == 0) /* fewer workers than asked for still do the work */
            fail_run(run, &err);
        return;
    }
}

enum af_status af_ingest_run(const struct af_ingest_options *options, const struct af_ingest_stage *stage,
                             struct af_ingest_totals *out, struct af_error *err)
{
    struct run run = { .options = options, .stage = stage };
    unsigned count = options->workers != 0 ? options->workers : af_cpu_count();
    if (count > AF_WORKERS_MAX)
        count = AF_WORKERS_MAX;
    AF_TRY(af_feed_new(options, &run.feed, err));
    struct worker *workers = af_alloc_zero(count, sizeof *workers);
    if (workers == NULL) {
        af_feed_free(run.feed);
        return af_fail_nomem(err, "workers");
    }
    af_mutex_init(&run.feed_lock);
    af_mutex_init(&run.turn_lock);
    af_cond_init(&run.turn_cond);
    af_cond_init(&run.end_cond);
    start_workers(&run, workers, count);
    supervise(&run);
    for (unsigned i = 0; i < count; i++) {
        af_thread_join(&workers[i].thread);
        if (workers[i].run != NULL)
            worker_done(&workers[i]);
    }
    af_feed_free(run.feed);
    af_free(workers);
    *out = run.totals;
    af_cond_done(&run.end_cond);
    af_cond_done(&run.turn_cond);
    af_mutex_done(&run.turn_lock);
    af_mutex_done(&run.feed_lock);
    if (!run.has_failed)
        return AF_OK;
    if (err != NULL)
        *err = run.error;
    return run.error.status;
}
