/*
 * lane.c - the sender thread of a lane: one thing at a time, in the order of the lane.
 *
 *     spool empty (of this lane and of earlier runs)        spool not empty
 *     -----------------------------------------------       ---------------------------------------------------------
 *     take a block -> send, retry until the budget is over  load the head -> send, retry without end -> drop the file
 *                  -> or spool what is left of it           while it waits for the next try: take a block -> spool it
 *
 * So a lane never overtakes itself: either everything before a block is acknowledged, or the block goes behind it on disk.
 * When the store is well the head has precedence and put waits; when it is not, put fills the spool.
 *
 * `held` is the block that was taken and is neither written nor spooled yet. If the spool refuses it (full, or broken for
 * good), it stays: the store is tried on, in order, and after patience_ms without any progress the sink fails.
 *
 * Blocks of earlier runs are replayed by lane 0 alone; the other lanes spool or wait until it is done.
 */
#include "sink/sink_int.h"
#include <assert.h>

static const int64_t LOOK_AGAIN_MS = 100; /* where nobody says when something changes */

void af_sink_lane_init(struct af_sink_lane *lane, struct af_sink *sink, uint32_t id)
{
    *lane = (struct af_sink_lane){ .sink = sink, .id = id };
    af_mutex_init(&lane->lock);
    af_cond_init(&lane->work);
    af_cond_init(&lane->room);
    for (size_t i = 0; i < AF_SINK_LANE_BLOCKS; i++) {
        af_sink_block_init(&lane->blocks[i]);
        lane->blocks[i].next = lane->queue.free;
        lane->queue.free = &lane->blocks[i];
    }
    lane->queue.bytes_max = sink->options.batch_bytes;
    af_sink_block_init(&lane->sender.head_block);
    af_buf_init(&lane->sender.scratch, SIZE_MAX / 2);
    lane->sender.prng.state = sink->options.seed + id;
}

void af_sink_lane_done(struct af_sink_lane *lane)
{
    for (size_t i = 0; i < AF_SINK_LANE_BLOCKS; i++)
        af_sink_block_done(&lane->blocks[i]);
    af_sink_block_done(&lane->sender.head_block);
    af_buf_done(&lane->sender.scratch);
    af_codec_ctx_done(&lane->sender.codec);
    af_cond_done(&lane->room);
    af_cond_done(&lane->work);
    af_mutex_done(&lane->lock);
}

/* --- the queue ----------------------------------------------------------------------------------------------------------- */

static int64_t to_ns(int64_t ms)
{
    return ms < INT64_MAX / 1000000 ? ms * 1000000 : INT64_MAX;
}

/* A block that is full or old enough; NULL: none, *out_ready_ms says when one will be. */
static struct af_sink_block *pop_locked(struct af_sink_lane *lane, int64_t now_ms, int64_t *out_ready_ms)
{
    const struct af_sink *sink = lane->sink;
    struct af_sink_block *block = lane->queue.first;
    *out_ready_ms = INT64_MAX;
    if (block != NULL) {
        lane->queue.first = block->next;
        if (lane->queue.first == NULL)
            lane->queue.last = NULL;
        return block;
    }
    block = lane->queue.open;
    if (block == NULL || block->line_count == 0)
        return NULL;
    if (atomic_load(&sink->flushing) == 0)
        *out_ready_ms = block->since_ms + sink->options.batch_age_ms;
    else
        *out_ready_ms = now_ms;
    if (*out_ready_ms > now_ms)
        return NULL;
    lane->queue.open = NULL;
    return block;
}

/* The next block, waiting until `until_ms` at most, or until nudged. */
static struct af_sink_block *take(struct af_sink_lane *lane, int64_t until_ms)
{
    struct af_sink_block *block = NULL;
    af_mutex_lock(&lane->lock);
    while (!af_sink_is_stopped(lane->sink)) {
        int64_t now_ms = af_sink_now_ms();
        int64_t ready_ms;
        block = pop_locked(lane, now_ms, &ready_ms);
        if (block != NULL || lane->queue.is_nudged || now_ms >= until_ms)
            break;
        (void)af_cond_wait_until(&lane->work, &lane->lock, to_ns(ready_ms < until_ms ? ready_ms : until_ms));
    }
    lane->queue.is_nudged = false;
    af_mutex_unlock(&lane->lock);
    return block;
}

void af_sink_lane_pause(struct af_sink_lane *lane, int64_t until_ms)
{
    af_mutex_lock(&lane->lock);
    while (!af_sink_is_stopped(lane->sink) && !lane->queue.is_nudged && af_sink_now_ms() < until_ms)
        (void)af_cond_wait_until(&lane->work, &lane->lock, to_ns(until_ms));
    lane->queue.is_nudged = false;
    af_mutex_unlock(&lane->lock);
}

/* --- the end of a block -------------------------------------------------------------------------------------------------- */

static void tell_moved(struct af_sink *sink)
{
    af_mutex_lock(&sink->lock);
    af_cond_broadcast(&sink->moved);
    af_mutex_unlock(&sink->lock);
}

/* Every line of `held` is durable: tell the units, give the block back. */
static void settle_held(struct af_sink_lane *lane)
{
    struct af_sink *sink = lane->sink;
    struct af_sink_block *block = lane->sender.held.block;
    lane->sender.held.block = NULL;
    lane->sender.stuck_since_ms = 0;
    for (size_t i = 0; i < block->segment_count; i++)
        af_sink_unit_resolve(sink, block->segments[i].unit, block->segments[i].line_count);
    atomic_fetch_sub(&sink->lines_open, block->line_count);
    af_sink_block_clear(block, sink->options.batch_bytes * 2);
    af_mutex_lock(&lane->lock);
    block->next = lane->queue.free;
    lane->queue.free = block;
    af_cond_broadcast(&lane->room);
    af_mutex_unlock(&lane->lock);
    tell_moved(sink);
}

static void fail_lane(struct af_sink_lane *lane, const struct af_error *err)
{
    (void)af_sink_fail(lane->sink, err);
}

static void read_last_error(struct af_sink *sink, char *out, size_t cap)
{
    af_mutex_lock(&sink->lock);
    size_t len = strlen(sink->shared.last_error);
    if (len >= cap)
        len = cap - 1;
    memcpy(out, sink->shared.last_error, len);
    out[len] = '\0';
    af_mutex_unlock(&sink->lock);
}

static void fail_without_spool(struct af_sink_lane *lane)
{
    struct af_sink *sink = lane->sink;
    struct af_error err;
    char last[256];
    read_last_error(sink, last, sizeof last);
    (void)af_fail(&err, AF_EIO, "%s did not take a batch of %zu lines within %u ms and there is no spool to keep it: %s",
                  sink->store->name, lane->sender.held.block->line_count - lane->sender.held.at, sink->options.batch_budget_ms,
                  last[0] != '\0' ? last : "it is not asked since other batches failed");
    fail_lane(lane, &err);
}

/* The spool did not take `held`. It is kept and the store is tried on; after patience_ms without progress that is the end. */
static void note_stuck(struct af_sink_lane *lane, struct af_error *why)
{
    struct af_sink *sink = lane->sink;
    int64_t now_ms = af_sink_now_ms();
    int64_t since_ms = lane->sender.stuck_since_ms;
    int64_t progress_ms = atomic_load(&sink->progress_ms);
    if (since_ms == 0)
        lane->sender.stuck_since_ms = since_ms = now_ms;
    if (progress_ms > since_ms)
        since_ms = progress_ms;
    if (now_ms - since_ms < sink->options.patience_ms)
        return;
    if (why->status != AF_EFULL) /* whatever stopped the spool: to the caller it is a disk that failed */
        why->status = AF_EIO;
    af_error_prefix(why, "the store took nothing for %u ms and ", sink->options.patience_ms);
    fail_lane(lane, why);
}

/* What is left of `held` goes to the spool. False: it did not. */
static bool spool_held(struct af_sink_lane *lane)
{
    struct af_sink *sink = lane->sink;
    struct af_sink_job *held = &lane->sender.held;
    struct af_error err;
    if (af_spool_put(&sink->spool, lane->id, held->precision_ns, held->block, held->at, &lane->sender.codec, &lane->sender.scratch,
                     &err) != AF_OK) {
        note_stuck(lane, &err);
        return false;
    }
    atomic_fetch_add(&sink->count.batches_spooled, 1);
    settle_held(lane);
    return true;
}

/* --- spool empty --------------------------------------------------------------------------------------------------------- */

static void give_up(struct af_sink_lane *lane)
{
    if (lane->sink->spool.is_there)
        (void)spool_held(lane);
    else
        fail_without_spool(lane);
}

static void send_held(struct af_sink_lane *lane)
{
    struct af_sink_job *held = &lane->sender.held;
    int64_t again_ms = 0;
    if (!af_sink_job_may_send(held, lane->sink, &again_ms)) {
        int64_t end_ms = held->retry.end_ms;
        bool is_over = af_sink_now_ms() >= end_ms;
        af_sink_lane_pause(lane, !is_over && end_ms < again_ms ? end_ms : again_ms);
        if (af_sink_now_ms() >= end_ms && !af_sink_is_stopped(lane->sink))
            give_up(lane);
        return;
    }
    switch (af_sink_job_send(held, lane)) {
    case AF_SENT_ALL:
        settle_held(lane);
        break;
    case AF_SENT_OVER:
        give_up(lane);
        break;
    case AF_SENT_PART:
    case AF_SENT_FAILED:
    case AF_SENT_STOP:
        break;
    }
}

static void hold(struct af_sink_lane *lane, struct af_sink_block *block)
{
    const struct af_sink_options *options = &lane->sink->options;
    af_sink_job_begin(&lane->sender.held, lane, block, options->precision_ns, options->batch_budget_ms);
}

/* --- spool not empty ----------------------------------------------------------------------------------------------------- */

/* The store is unwell until `until_ms` at least: what is put meanwhile goes behind the head. */
static void absorb(struct af_sink_lane *lane, int64_t until_ms)
{
    if (lane->sender.held.block == NULL) {
        struct af_sink_block *block = take(lane, until_ms);
        if (block == NULL)
            return;
        hold(lane, block);
    }
    if (!spool_held(lane))
        af_sink_lane_pause(lane, until_ms);
}

static bool load_head(struct af_sink_lane *lane)
{
    struct af_sink *sink = lane->sink;
    struct af_spool_entry entry;
    struct af_spool_header header;
    struct af_error err;
    if (!af_spool_head(&sink->spool, lane->id, &entry))
        return false;
    enum af_status status = af_spool_load(&sink->spool, &entry, &lane->sender.codec, &lane->sender.scratch, &header,
                                          &lane->sender.head_block, &err);
    if (status == AF_ENOMEM) {
        af_sink_lane_pause(lane, af_sink_now_ms() + LOOK_AGAIN_MS);
        return false;
    }
    if (status != AF_OK) {
        af_error_prefix(&err, "lines that counted as kept cannot be read back from the spool: ");
        fail_lane(lane, &err);
        return false;
    }
    af_sink_job_begin(&lane->sender.head, lane, &lane->sender.head_block, header.precision_ns, 0);
    return true;
}

/* The head is acknowledged, or its lines are dead letters: those first, then the file may go. */
static void drop_head(struct af_sink_lane *lane)
{
    struct af_sink *sink = lane->sink;
    struct af_error err;
    enum af_status status = lane->sender.head.has_dead_letters ? af_dead_letters_sync(&sink->dead, &err) : AF_OK;
    bool had_earlier = lane->id == 0 && af_spool_has_earlier(&sink->spool);
    if (status == AF_OK) {
        status = af_spool_drop(&sink->spool, lane->id, &err);
        if (status != AF_OK)
            af_error_prefix(&err, "a block of the spool was written but cannot be removed, another run would write it again over "
                            "newer values: ");
    }
    if (status != AF_OK) {
        fail_lane(lane, &err);
        return;
    }
    lane->sender.head.block = NULL;
    lane->sender.stuck_since_ms = 0;
    af_sink_block_clear(&lane->sender.head_block, sink->options.batch_bytes * 2);
    atomic_store(&sink->progress_ms, af_sink_now_ms());
    tell_moved(sink);
    if (had_earlier && !af_spool_has_earlier(&sink->spool))
        af_sink_nudge(sink);
}

/* Another lane replays the blocks of earlier runs. */
static void wait_for_earlier(struct af_sink_lane *lane)
{
    int64_t until_ms = af_sink_now_ms() + LOOK_AGAIN_MS;
    if (atomic_load(&lane->sink->is_unwell))
        absorb(lane, until_ms);
    else
        af_sink_lane_pause(lane, until_ms);
}

static void replay(struct af_sink_lane *lane)
{
    struct af_sink_job *head = &lane->sender.head;
    int64_t again_ms = 0;
    if (lane->id != 0 && af_spool_has_earlier(&lane->sink->spool)) {
        wait_for_earlier(lane);
        return;
    }
    if (head->block == NULL && !load_head(lane))
        return;
    if (!af_sink_job_may_send(head, lane->sink, &again_ms))
        absorb(lane, again_ms);
    else if (af_sink_job_send(head, lane) == AF_SENT_ALL)
        drop_head(lane);
}

void af_sink_lane_run(void *ctx)
{
    struct af_sink_lane *lane = ctx;
    while (!af_sink_is_stopped(lane->sink)) {
        if (!af_spool_is_empty(&lane->sink->spool, lane->id)) {
            replay(lane);
        } else if (lane->sender.held.block != NULL) {
            send_held(lane);
        } else {
            struct af_sink_block *block = take(lane, INT64_MAX);
            if (block != NULL)
                hold(lane, block);
        }
    }
}
