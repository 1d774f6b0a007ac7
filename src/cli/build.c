/*
 * build.c - the stage for directories: points into the engine as they are, without text, queue and log.
 *
 *     worker: map, af_tsm_prepare (parallel)     turn: rejects, af_tsm_apply (in order)     flush: settles units -> journal
 *
 * Points are durable with a flush, not before. So a unit that has ended waits in a queue with the number of its last stretch until that is
 * in synced files; only then it is told to be ended to the sink, which syncs the dead letters and settles it in the journal. What a crash
 * takes away is read again with --resume: the journal's units are a run from the beginning, so the order of restated values holds.
 *
 * The sink is there for dead letters and units; it gets no lines.
 *
 * At the end all is flushed, and the shards that were built become one generation each.
 */
#include "base/alloc.h"
#include "cli/migrate.h"
#include "os/clock.h"
#include "os/thread.h"
#include "server/server.h"

enum { PAUSE_MS_MAX = 50 };

struct ended {
    struct af_sink_unit *unit;
    uint64_t stretch;
};
struct memo {
    struct af_tsm_series_memo *memo;
    uint64_t generation; /* of the set it knows best */
    bool is_taken;
};

struct build {
    struct migration *m;
    struct af_tsm *engine;
    uint64_t bucket;
    int64_t start_ns;          /* of the first row, for --rate */
    uint64_t rows;             /* delivered */
    uint64_t unit_stretch;     /* under the turn: the last stretch of the unit at hand */
    struct af_mutex lock;      /* all below */
    struct memo memos[AF_WORKERS_MAX];
    struct ended *queue;       /* [first, count) */
    size_t first, count, cap;
};

/* What a block has on its way from `work` to `deliver`. */
struct scratch {
    struct af_arena arena;
    struct af_tsm_batch *batch;
    struct af_tsm_verdict verdict;
    struct af_lp_text refused; /* lines of the rows that `prepare` dropped */
};

static void *scratch_new(void *ctx)
{
    (void)ctx;
    struct scratch *s = af_alloc_zero(1, sizeof *s);
    if (s == NULL)
        return NULL;
    af_arena_init(&s->arena, AF_BATCH_ARENA_BYTES_MAX);
    af_lp_text_init(&s->refused);
    return s;
}

static void scratch_free(void *ctx, void *scratch)
{
    struct scratch *s = scratch;
    (void)ctx;
    af_arena_done(&s->arena);
    af_lp_text_done(&s->refused);
    af_free(s);
}

/* --- memos: scratch goes from worker to worker, a series set stays with one ------------------------------------------------ */

/* NULL: without memory; then series are looked up each time. */
static struct memo *take_memo(struct build *b, uint64_t generation)
{
    struct memo *best = NULL;
    af_mutex_lock(&b->lock);
    for (size_t i = 0; i < AF_WORKERS_MAX; i++) {
        struct memo *memo = &b->memos[i];
        if (!memo->is_taken && memo->memo != NULL && memo->generation == generation) {
            best = memo;
            break;
        }
        if (!memo->is_taken && (best == NULL || (best->memo == NULL && memo->memo != NULL)))
            best = memo;
    }
    if (best != NULL && best->memo == NULL)
        best->memo = af_tsm_series_memo_new();
    if (best != NULL) {
        best->generation = generation;
        best->is_taken = true;
    }
    af_mutex_unlock(&b->lock);
    return best;
}

static void give_memo(struct build *b, struct memo *memo)
{
    if (memo == NULL)
        return;
    af_mutex_lock(&b->lock);
    memo->is_taken = false;
    af_mutex_unlock(&b->lock);
}

/* --- what was refused ------------------------------------------------------------------------------------------------------ */

/* The dropped rows as lines. `series` of the others are taken out. */
static enum af_status print_refused(const struct af_points *points, const struct af_tsm_verdict *verdict, struct af_arena *arena,
                                    struct af_lp_text *out, struct af_error *err)
{
    struct af_points some = *points;
    uint32_t *series = af_arena_array(arena, points->row_count, sizeof *series);
    if (series == NULL)
        return af_arena_fail(arena, points->row_count * sizeof *series, "refused points", err);
    memset(series, 0xff, points->row_count * sizeof *series);
    for (size_t i = 0; i < verdict->dropped_row_count; i++)
        series[verdict->dropped_rows[i]] = points->series[verdict->dropped_rows[i]];
    some.series = series;
    return af_lp_encode(&some, AF_PRECISION_NS, out, 1, err);
}

static enum af_status bury(struct build *b, const struct af_ingest_block *block, const struct af_tsm_verdict *verdict,
                           const struct af_lp_text *lines, struct af_error *err)
{
    size_t k = 0;
    for (size_t i = 0; i < lines->line_count; i++) {
        uint32_t row = lines->rows[i];
        while (verdict->dropped_rows[k] < row)
            k++;
        struct af_sink_reject reject = { .row = block->lines != NULL ? block->lines[row] : block->first_row + row, .is_line = true,
                                         .reason = verdict->dropped_reasons[k], .raw = af_lp_text_line(lines, i) };
        AF_TRY(af_sink_reject(b->m->sink, b->m->spine.unit, &reject, err));
    }
    return AF_OK;
}

/* By now the points have lost their set: keys come from the index. */
static enum af_status set_of_dropped(const struct af_tsm_batch *batch, const struct af_tsm_verdict *verdict, struct af_series_set *set,
                                     uint32_t *series, struct af_error *err)
{
    for (size_t i = 0; i < verdict->dropped_row_count; i++) {
        uint32_t row = verdict->dropped_rows[i];
        AF_TRY(af_intern_add(&set->keys, af_tsm_batch_key(batch, row), &series[row], err));
    }
    return AF_OK;
}

static enum af_status bury_conflicts(struct build *b, struct scratch *s, const struct af_ingest_block *block,
                                     const struct af_tsm_verdict *verdict, struct af_error *err)
{
    struct af_points points = *block->points;
    struct af_series_set set;
    struct af_lp_text lines;
    uint32_t *series = af_arena_array(&s->arena, points.row_count, sizeof *series);
    if (series == NULL)
        return af_arena_fail(&s->arena, points.row_count * sizeof *series, "refused points", err);
    af_series_set_init(&set);
    af_lp_text_init(&lines);
    points.set = &set;
    points.series = series;
    enum af_status status = set_of_dropped(s->batch, verdict, &set, series, err);
    if (status == AF_OK)
        status = print_refused(&points, verdict, &s->arena, &lines, err);
    if (status == AF_OK)
        status = bury(b, block, verdict, &lines, err);
    af_lp_text_done(&lines);
    af_series_set_done(&set);
    return status;
}

/* --- the stage ------------------------------------------------------------------------------------------------------------- */

static enum af_status work(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct build *b = ((struct migration *)ctx)->build;
    struct scratch *s = scratch;
    af_arena_reset(&s->arena);
    af_lp_text_clear(&s->refused);
    struct memo *memo = take_memo(b, block->points->set->generation);
    struct af_tsm_write write = { .bucket = b->bucket, .points = block->points, .arena = &s->arena,
                                  .memo = memo != NULL ? memo->memo : NULL };
    enum af_status status = af_tsm_prepare(b->engine, &write, &s->verdict, &s->batch, err);
    give_memo(b, memo);
    if (status == AF_OK && s->verdict.dropped_row_count != 0)
        status = print_refused(block->points, &s->verdict, &s->arena, &s->refused, err);
    return status;
}

/* --rate: not before these rows are due. */
static void keep_pace(struct build *b, size_t rows)
{
    uint64_t rate = b->m->cli->rate;
    if (rate == 0)
        return;
    int64_t now = af_clock_mono_ns();
    if (b->rows == 0)
        b->start_ns = now;
    int64_t due = b->start_ns + (int64_t)((double)b->rows / (double)rate * 1e9);
    b->rows += rows;
    for (; now < due && !*af_interrupt_flag(); now = af_clock_mono_ns())
        af_clock_sleep_ms((due - now) / 1000000 < PAUSE_MS_MAX ? (uint32_t)((due - now) / 1000000) + 1 : PAUSE_MS_MAX);
}

static enum af_status apply(struct build *b, struct scratch *s, const struct af_ingest_block *block, struct af_error *err)
{
    uint64_t stretch;
    struct af_tsm_verdict verdict;
    keep_pace(b, block->points->row_count);
    AF_TRY(bury(b, block, &s->verdict, &s->refused, err));
    AF_TRY(af_tsm_apply(s->batch, &verdict, &stretch, err));
    b->unit_stretch = stretch > b->unit_stretch ? stretch : b->unit_stretch;
    return verdict.dropped_row_count != 0 ? bury_conflicts(b, s, block, &verdict, err) : AF_OK;
}

static enum af_status deliver(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct migration *m = ctx;
    AF_TRY(af_load_begin_block(&m->spine, block, err));
    if (block->points != NULL)
        AF_TRY(apply(m->build, scratch, block, err));
    af_load_end_block(&m->spine, block);
    return AF_OK;
}

struct af_ingest_stage build_stage(struct migration *m)
{
    return (struct af_ingest_stage){ .ctx = m, .scratch_new = scratch_new, .scratch_free = scratch_free, .work = work, .deliver = deliver };
}

/* --- units ----------------------------------------------------------------------------------------------------------------- */

static bool push_locked(struct build *b, struct af_sink_unit *unit)
{
    if (b->count == b->cap && b->first > b->cap / 2) {
        memmove(b->queue, b->queue + b->first, (b->count - b->first) * sizeof *b->queue);
        b->count -= b->first;
        b->first = 0;
    }
    if (b->count == b->cap) {
        size_t cap = b->cap == 0 ? 64 : b->cap * 2;
        struct ended *queue = af_realloc(b->queue, cap * sizeof *queue);
        if (queue == NULL)
            return false;
        b->queue = queue;
        b->cap = cap;
    }
    b->queue[b->count++] = (struct ended){ unit, b->unit_stretch };
    return true;
}

void build_unit_ended(struct build *build, struct af_sink_unit *unit)
{
    af_mutex_lock(&build->lock);
    (void)push_locked(build, unit); /* without memory it never settles, and is done again by a resumed run */
    build->unit_stretch = 0;
    af_mutex_unlock(&build->lock);
    build_settle(build);
}

void build_settle(struct build *build)
{
    uint64_t durable = af_tsm_durable(build->engine);
    af_mutex_lock(&build->lock);
    while (build->first < build->count && build->queue[build->first].stretch <= durable)
        af_sink_unit_end(build->m->sink, build->queue[build->first++].unit);
    af_mutex_unlock(&build->lock);
}

/* --- beginning and end ----------------------------------------------------------------------------------------------------- */

enum af_status build_new(struct migration *m, struct build **out, struct af_error *err)
{
    struct build *b = af_alloc_zero(1, sizeof *b);
    if (b == NULL)
        return af_fail_nomem(err, "a build");
    b->m = m;
    b->engine = af_house_of_store(m->store)->engine;
    af_mutex_init(&b->lock);
    enum af_status status = af_house_store_bucket(m->store, true, &b->bucket, err);
    if (status != AF_OK) {
        build_free(b);
        return status;
    }
    *out = b;
    return AF_OK;
}

void build_free(struct build *build)
{
    if (build == NULL)
        return;
    for (size_t i = 0; i < AF_WORKERS_MAX; i++)
        af_tsm_series_memo_free(build->memos[i].memo);
    af_free(build->queue);
    af_mutex_done(&build->lock);
    af_free(build);
}

enum af_status build_finish(struct build *build, struct af_error *err)
{
    struct af_error why = { 0 };
    AF_TRY(af_tsm_flush(build->engine, err));
    build_settle(build);
    if (af_tsm_compact_built(build->engine, af_interrupt_flag(), &why) != AF_OK) /* the points are safe as they are */
        af_cli_say(build->m->cli, "the files were not made into one for each shard: %s", why.message);
    return AF_OK;
}

void build_stats(struct build *build, struct af_sink_stats *out)
{
    struct af_tsm_stats_now now;
    af_tsm_stats_get_now(build->engine, &now);
    out->lines_written = now.points_written;
    out->values_put = now.values_written;
    out->bytes_sent = now.bytes_flushed;
    if (now.is_full)
        (void)snprintf(out->last_error, sizeof out->last_error, "%s", now.why);
}
