/*
 * run.c - who does what when; the picture is in ingest.h.
 *
 *     free --[read: one at a time, in order]--> ready --[oldest first: work]--> parked --[turn: deliver, in order]--> free
 *
 * There are a few slots more than workers. A worker looks for, in this order: a slot to read into (nobody reads, and few are ready), a
 * ready slot to work on. What it has worked on it parks; if that was the one whose turn it is, it delivers it and those parked behind
 * it. So nobody sleeps because another is reading or delivering, as long as there are slots.
 *
 * One lock, held for moments only: reading, working and delivering are done without it. Tickets that were read and not delivered are
 * fewer than slots and without gaps, so that a ticket finds its place at ticket modulo slots. The lowest of them is always in some
 * worker's hand or about to be: ready slots are taken oldest first. So who waits for a turn (wait_for_turn) gets it.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "ingest/ingest_int.h"
#include "os/clock.h"
#include "os/thread.h"
#include <assert.h>

/* What is read ahead spans the slow batch at the beginning of a row group; of large batches it is less. */
enum { SLOTS_SPARE = 4, READY_MAX = 4, READY_BYTES_MAX = 8 << 20 };

struct worker {
    struct af_ingest_worker self;
    struct run *run;
    struct af_thread thread;
};

struct run {
    const struct af_ingest_options *options;
    const struct af_ingest_stage *stage;
    struct af_feed *feed;         /* of the thread that set is_reading */
    struct af_ingest_slot *slots;
    struct af_ingest_slot **parked; /* under lock: by ticket modulo slot_count; worked on, not delivered */
    unsigned slot_count;

    _Alignas(AF_ARENA_ALIGN) struct af_mutex lock; /* all that follows is under it */
    struct af_cond work_cond;     /* there may be something to do: for workers */
    struct af_cond turn_cond;     /* the turn moved: for workers with a block that cannot be parked */
    struct af_cond end_cond;      /* a worker ended: for the supervisor, who must not wake with every block */
    struct af_ingest_slot *free;
    struct af_ingest_slot *ready_first, *ready_last;
    unsigned ready_count;
    size_t ready_bytes;           /* of the arenas of the ready ones */
    bool is_reading, is_delivering;
    bool is_exhausted;
    uint64_t next_ticket;         /* of the next slot read */
    uint64_t turn;
    unsigned running;
    bool has_failed;
    struct af_error error;        /* first failure */
    struct af_ingest_totals totals;
    uint64_t bytes_before;        /* of sources already ended */
};

/* --- with the lock ------------------------------------------------------------------------------------------------------- */

static void fail_locked(struct run *run, const struct af_error *error)
{
    if (!run->has_failed)
        run->error = *error;
    run->has_failed = true;
    af_cond_broadcast(&run->turn_cond);
    af_cond_broadcast(&run->work_cond);
}

static void put_free(struct run *run, struct af_ingest_slot *slot)
{
    slot->next = run->free;
    run->free = slot;
    af_cond_signal(&run->work_cond);
}

static void put_ready(struct run *run, struct af_ingest_slot *slot)
{
    slot->next = NULL;
    if (run->ready_first == NULL)
        run->ready_first = slot;
    else
        run->ready_last->next = slot;
    run->ready_last = slot;
    run->ready_count++;
    run->ready_bytes += slot->arena.bytes_used;
    af_cond_signal(&run->work_cond);
}

static struct af_ingest_slot *take_ready(struct run *run)
{
    struct af_ingest_slot *slot = run->ready_first;
    run->ready_first = slot->next;
    run->ready_count--;
    run->ready_bytes -= slot->arena.bytes_used;
    return slot;
}

static void count(struct run *run, const struct af_ingest_slot *slot)
{
    const struct af_feed_item *item = &slot->item;
    const struct af_ingest_block *block = &slot->block;
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

/* --- reading ------------------------------------------------------------------------------------------------------------- */

static bool is_cancelled(const struct run *run)
{
    return run->options->cancel != NULL && __atomic_load_n(run->options->cancel, __ATOMIC_RELAXED);
}

static bool may_read(const struct run *run)
{
    bool few = run->ready_count == 0 || (run->ready_count < READY_MAX && run->ready_bytes < READY_BYTES_MAX);
    return few && !run->is_reading && !run->is_exhausted && run->free != NULL;
}

/* With the lock, which is not held while reading. */
static void read_one(struct run *run)
{
    struct af_error err = { 0 };
    bool end = true;
    enum af_status status;
    struct af_ingest_slot *slot = run->free;
    run->free = slot->next;
    run->is_reading = true;
    af_mutex_unlock(&run->lock);
    if (is_cancelled(run))
        status = af_fail(&err, AF_ECANCELED, "interrupted");
    else
        status = af_feed_next(run->feed, &slot->arena, &slot->item, &end, &err);
    af_mutex_lock(&run->lock);
    run->is_reading = false;
    if (status == AF_OK && !end) {
        af_ingest_slot_begin(slot, run->next_ticket++);
        put_ready(run, slot);
        return;
    }
    run->is_exhausted = true;
    put_free(run, slot);
    af_cond_broadcast(&run->work_cond);
    if (status != AF_OK)
        fail_locked(run, &err);
}

/* With the lock. NULL: nothing more to do. */
static struct af_ingest_slot *next_slot(struct run *run)
{
    while (!run->has_failed) {
        if (may_read(run))
            read_one(run);
        else if (run->ready_first != NULL)
            return take_ready(run);
        else if (run->is_exhausted)
            return NULL;
        else
            af_cond_wait(&run->work_cond, &run->lock);
    }
    return NULL;
}

/* --- delivering ---------------------------------------------------------------------------------------------------------- */

/* The ordered part: for the one whose turn it is, without the lock. */
static enum af_status deliver(struct run *run, struct af_ingest_slot *slot, struct af_error *err)
{
    const struct af_ingest_options *o = run->options;
    const struct af_feed_item *item = &slot->item;
    struct af_ingest_block *block = &slot->block;
    const struct af_source *source = &o->sources->items[item->index];
    if (item->is_first && item->source != NULL && item->source->map != NULL && o->mapped != NULL)
        o->mapped(o->ctx, source, item->source->map);
    if (item->is_bad && o->bad_source != NULL)
        o->bad_source(o->ctx, source, item->part, item->first_row, item->rows_lost, &item->why);
    block->source_is_bad = item->is_bad && item->source_ends;
    return run->stage->deliver != NULL ? run->stage->deliver(run->stage->ctx, slot->scratch, block, err) : AF_OK;
}

/* With the lock, which is not held while delivering. False: the run has failed. */
static bool deliver_turn(struct run *run, struct af_ingest_slot *slot, bool turn_moves)
{
    struct af_error err = { 0 };
    run->is_delivering = true;
    af_mutex_unlock(&run->lock);
    enum af_status status = deliver(run, slot, &err);
    af_mutex_lock(&run->lock);
    run->is_delivering = false;
    count(run, slot);
    run->turn += turn_moves;
    if (turn_moves)
        af_cond_broadcast(&run->turn_cond);
    if (status != AF_OK)
        fail_locked(run, &err);
    return !run->has_failed;
}

static void park(struct run *run, struct af_ingest_slot *slot)
{
    struct af_ingest_slot **parked = run->parked;
    af_mutex_lock(&run->lock);
    parked[slot->block.ticket % run->slot_count] = slot;
    while (!run->has_failed && !run->is_delivering && (slot = parked[run->turn % run->slot_count]) != NULL) {
        parked[run->turn % run->slot_count] = NULL;
        (void)deliver_turn(run, slot, true);
        af_mutex_unlock(&run->lock);
        af_ingest_slot_recycle(slot);
        af_mutex_lock(&run->lock);
        put_free(run, slot);
    }
    af_mutex_unlock(&run->lock);
}

/* --- workers ------------------------------------------------------------------------------------------------------------- */

/* False: the run has failed. */
static bool wait_for_turn(struct run *run, uint64_t ticket)
{
    af_mutex_lock(&run->lock);
    while (run->turn != ticket && !run->has_failed)
        af_cond_wait(&run->turn_cond, &run->lock);
    bool mine = !run->has_failed;
    af_mutex_unlock(&run->lock);
    return mine;
}

/* The part of an item that one block could hold; the turn is kept for the rest. False: the run has failed. */
static bool deliver_part(struct run *run, struct af_ingest_slot *slot)
{
    if (!wait_for_turn(run, slot->block.ticket))
        return false;
    af_mutex_lock(&run->lock);
    bool goes_on = deliver_turn(run, slot, false);
    af_mutex_unlock(&run->lock);
    return goes_on;
}

static enum af_status one_slot(struct worker *w, struct af_ingest_slot *slot, struct af_error *err)
{
    struct run *run = w->run;
    AF_TRY(af_ingest_work(&w->self, slot, err));
    while (af_ingest_slot_has_more(slot)) {
        if (!deliver_part(run, slot))
            return AF_OK;
        AF_TRY(af_ingest_slot_keep_rest(slot, err));
        AF_TRY(af_ingest_work(&w->self, slot, err));
    }
    /* Without a `work` of the stage, its `deliver` may need the series set: this worker makes no other points before. */
    if (run->stage->work == NULL && run->stage->deliver != NULL && !wait_for_turn(run, slot->block.ticket))
        return AF_OK;
    park(run, slot);
    return AF_OK;
}

static void worker_main(void *ctx)
{
    struct worker *w = ctx;
    struct run *run = w->run;
    struct af_ingest_slot *slot;
    af_mutex_lock(&run->lock);
    while ((slot = next_slot(run)) != NULL) {
        struct af_error err = { 0 };
        af_mutex_unlock(&run->lock);
        enum af_status status = one_slot(w, slot, &err);
        af_mutex_lock(&run->lock);
        if (status != AF_OK)
            fail_locked(run, &err);
    }
    run->running--;
    af_cond_signal(&run->end_cond);
    af_mutex_unlock(&run->lock);
}

/* Until every worker has ended, with a look at progress now and then. */
static void supervise(struct run *run)
{
    const struct af_ingest_options *o = run->options;
    af_mutex_lock(&run->lock);
    int64_t next = af_clock_mono_ns();
    while (run->running != 0) {
        next += 200 * INT64_C(1000000);
        while (run->running != 0 && af_cond_wait_until(&run->end_cond, &run->lock, next))
            continue;
        struct af_ingest_totals now = run->totals;
        if (o->progress != NULL && run->running != 0) {
            af_mutex_unlock(&run->lock);
            o->progress(o->ctx, &now);
            af_mutex_lock(&run->lock);
        }
    }
    af_mutex_unlock(&run->lock);
}

/* --- beginning and end --------------------------------------------------------------------------------------------------- */

static void fail_run(struct run *run, const struct af_error *error)
{
    af_mutex_lock(&run->lock);
    fail_locked(run, error);
    af_mutex_unlock(&run->lock);
}

/* Fewer slots or workers than asked for still do the work. */
static unsigned start_slots(struct run *run, struct af_error *err)
{
    for (unsigned i = 0; i < run->slot_count; i++) {
        if (af_ingest_slot_init(&run->slots[i], run->stage, err) != AF_OK)
            return i;
        run->slots[i].next = run->free;
        run->free = &run->slots[i];
    }
    return run->slot_count;
}

static enum af_status start_worker(struct run *run, struct worker *w, struct af_error *err)
{
    w->run = run;
    AF_TRY(af_ingest_worker_init(&w->self, run->options, run->stage, err));
    af_mutex_lock(&run->lock);
    run->running++;
    af_mutex_unlock(&run->lock);
    enum af_status status = af_thread_start(&w->thread, "af-worker", worker_main, w, err);
    if (status != AF_OK) {
        af_mutex_lock(&run->lock);
        run->running--;
        af_mutex_unlock(&run->lock);
    }
    return status;
}

static void start(struct run *run, struct worker *workers, unsigned worker_count)
{
    struct af_error err = { 0 };
    if (start_slots(run, &err) == 0) {
        fail_run(run, &err);
        return;
    }
    for (unsigned i = 0; i < worker_count; i++) {
        if (start_worker(run, &workers[i], &err) == AF_OK)
            continue;
        if (i == 0)
            fail_run(run, &err);
        return;
    }
}

static void finish(struct run *run, struct worker *workers, unsigned worker_count)
{
    for (unsigned i = 0; i < worker_count; i++) {
        af_thread_join(&workers[i].thread);
        if (workers[i].run != NULL)
            af_ingest_worker_done(&workers[i].self);
    }
    for (unsigned i = 0; i < run->slot_count; i++)
        af_ingest_slot_done(&run->slots[i], run->stage);
}

static void *zeroed_lines(size_t count, size_t bytes)
{
    void *ptr = af_alloc_aligned(AF_ARENA_ALIGN, count * bytes);
    if (ptr != NULL)
        memset(ptr, 0, count * bytes);
    return ptr;
}

static void run_workers(struct run *run, struct worker *workers, unsigned worker_count)
{
    af_mutex_init(&run->lock);
    af_cond_init(&run->work_cond);
    af_cond_init(&run->turn_cond);
    af_cond_init(&run->end_cond);
    start(run, workers, worker_count);
    supervise(run);
    finish(run, workers, worker_count);
    af_cond_done(&run->end_cond);
    af_cond_done(&run->turn_cond);
    af_cond_done(&run->work_cond);
    af_mutex_done(&run->lock);
}

enum af_status af_ingest_run(const struct af_ingest_options *options, const struct af_ingest_stage *stage,
                             struct af_ingest_totals *out, struct af_error *err)
{
    struct run run = { .options = options, .stage = stage };
    unsigned count = options->workers != 0 ? options->workers : af_cpu_count();
    if (count > AF_WORKERS_MAX)
        count = AF_WORKERS_MAX;
    run.slot_count = count == 1 ? 1 : count + SLOTS_SPARE;
    AF_TRY(af_feed_new(options, &run.feed, err));
    struct worker *workers = zeroed_lines(count, sizeof *workers);
    run.slots = zeroed_lines(run.slot_count, sizeof *run.slots);
    run.parked = af_alloc_zero(run.slot_count, sizeof *run.parked);
    bool has_memory = workers != NULL && run.slots != NULL && run.parked != NULL;
    if (has_memory)
        run_workers(&run, workers, count);
    af_feed_free(run.feed);
    af_free(run.parked);
    af_free(run.slots);
    af_free(workers);
    if (!has_memory)
        return af_fail_nomem(err, "workers");
    *out = run.totals;
    if (!run.has_failed)
        return AF_OK;
    if (err != NULL)
        *err = run.error;
    return run.error.status;
}
