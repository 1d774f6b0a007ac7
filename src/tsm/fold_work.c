/*
 * fold_work.c - a round of series, divided among threads.
 *
 *     order   | s s s s s s | s s s s s s | s s s s s s | ...        stretches: as many as the data and the query say,
 *                   |             |             |                   never as there are threads
 *                 table         table         table                 each folded alone, by whichever thread is free
 *                   '---------> result <--------'                   merged one after the other
 *
 * So a sum of floats has the same terms in the same order however many threads there are and whoever was faster. Inside a stretch shards
 * come before series: a part's index and the cells of its windows are then near each other.
 *
 * The caller is one of the threads. Others are started for each round where there is enough to do; one that cannot be started is done
 * without.
 */
#include "base/alloc.h"
#include "tsm/fold_int.h"

enum {
    STRETCHES_MAX = 32,
    WORKERS_MAX = 64,
    STRETCH_COST = 16 << 10,  /* decoded values that make a stretch worth it */
    MERGE_SHARE = 16,         /* of them to one cell that has to be merged */
    THREAD_COST = 64 << 10,   /* that make a thread worth it */
};
static const size_t TABLES_BYTES_MAX = (size_t)64 << 20; /* of all stretches */
static const size_t BLOCK_ARENA_BYTES_MAX = (size_t)1 << 30;

/* --- workers -------------------------------------------------------------------------------------------------------------- */

static bool worker_init(struct fold_worker *worker, struct fold *fold)
{
    const size_t shards = fold->source.shards != NULL ? fold->source.view->shard_count : 0;
    worker->fold = fold;
    af_arena_init(&worker->arena, SIZE_MAX);
    af_arena_init(&worker->work, SIZE_MAX);
    af_arena_init(&worker->block, BLOCK_ARENA_BYTES_MAX);
    af_buf_init(&worker->key, SIZE_MAX);
    worker->pieces = af_arena_zero(&worker->arena, fold->column_count, sizeof *worker->pieces);
    worker->parts = af_arena_zero(&worker->arena, shards, sizeof(struct scan_part *));
    worker->sought = af_arena_zero(&worker->arena, shards, sizeof *worker->sought);
    worker->start_ns = fold->source.start_ns;
    worker->last_ns = fold->last_ns;
    return worker->pieces != NULL && worker->parts != NULL && worker->sought != NULL;
}

static void worker_done(struct fold_worker *worker)
{
    const struct fold *fold = worker->fold;
    if (fold == NULL)
        return;
    for (size_t i = 0; worker->parts != NULL && fold->source.shards != NULL && i < fold->source.view->shard_count; i++)
        for (size_t k = 0; worker->parts[i] != NULL && k < fold->source.shards[i].part_count; k++)
            scan_part_rewind(&worker->parts[i][k]);
    fold_table_free(worker->table);
    af_tsm_ahead_done(&worker->ahead);
    af_buf_done(&worker->key);
    af_arena_done(&worker->block);
    af_arena_done(&worker->work);
    af_arena_done(&worker->arena);
}

enum af_status fold_work_init(struct fold *fold, unsigned workers, struct af_error *err)
{
    unsigned count = workers != 0 ? workers : af_cpu_count();
    count = count < WORKERS_MAX ? count : WORKERS_MAX;
    fold->work.workers = af_alloc_zero(count, sizeof *fold->work.workers);
    fold->work.done = af_alloc_zero(STRETCHES_MAX, sizeof(struct fold_table *));
    if (fold->work.workers == NULL || fold->work.done == NULL)
        return af_fail_nomem(err, "a query");
    fold->work.worker_count = count;
    for (unsigned i = 0; i < count; i++)
        if (!worker_init(&fold->work.workers[i], fold))
            return af_fail_nomem(err, "a query");
    return AF_OK;
}

void fold_work_done(struct fold *fold)
{
    for (unsigned i = 0; fold->work.workers != NULL && i < fold->work.worker_count; i++)
        worker_done(&fold->work.workers[i]);
    for (size_t i = 0; fold->work.done != NULL && i < STRETCHES_MAX; i++)
        fold_table_free(fold->work.done[i]);
    while (fold->work.spare != NULL) {
        struct fold_table *table = fold->work.spare;
        fold->work.spare = table->next;
        fold_table_free(table);
    }
    af_free(fold->work.workers);
    af_free(fold->work.done);
}

/* --- many items, several threads ------------------------------------------------------------------------------------------ */

static void note_failure(struct fold *fold, enum af_status status, const struct af_error *err)
{
    af_mutex_lock(&fold->work.lock);
    if (fold->work.status == AF_OK) {
        fold->work.status = status;
        fold->work.err = *err;
    }
    af_mutex_unlock(&fold->work.lock);
    atomic_store(&fold->work.has_failed, true);
}

static void run(void *ctx)
{
    struct fold_worker *worker = ctx;
    struct fold *fold = worker->fold;
    struct af_error err = { 0 };
    while (!atomic_load_explicit(&fold->work.has_failed, memory_order_relaxed)) {
        const size_t item = atomic_fetch_add(&fold->work.next, 1);
        if (item >= worker->item_count)
            return;
        enum af_status status = worker->item(worker, item, &err);
        if (status != AF_OK)
            note_failure(fold, status, &err);
    }
}

static enum af_status run_all(struct fold *fold, size_t count, unsigned threads,
                              enum af_status (*item)(struct fold_worker *, size_t, struct af_error *), struct af_error *err)
{
    struct fold_worker *workers = fold->work.workers;
    threads = threads < fold->work.worker_count ? threads : fold->work.worker_count;
    threads = threads < count ? threads : (unsigned)count;
    atomic_store(&fold->work.next, 0);
    for (unsigned i = 0; i < fold->work.worker_count; i++) {
        workers[i].item = item;
        workers[i].item_count = count;
    }
    for (unsigned i = 1; i < threads; i++)
        if (af_thread_start(&workers[i].thread, "fold", run, &workers[i], NULL) != AF_OK)
            break;
    run(&workers[0]);
    for (unsigned i = 1; i < threads; i++)
        af_thread_join(&workers[i].thread);
    if (fold->work.status != AF_OK && err != NULL)
        *err = fold->work.err;
    return fold->work.status;
}

/* --- before the first round: digests -------------------------------------------------------------------------------------- */

static uint16_t find_column(const struct fold *fold, struct af_slice name)
{
    for (size_t i = 0; i < fold->column_count; i++)
        if (af_slice_eq(fold->columns[i].name, name))
            return (uint16_t)i;
    return UINT16_MAX;
}

static enum af_status prepare_part(struct fold_worker *worker, struct fold_part *part, struct af_error *err)
{
    struct fold *fold = worker->fold;
    part->digest = af_digest_get(part->part, fold->source.index, fold->source.id_count);
    if (part->digest == NULL)
        return AF_OK;
    const uint32_t count = part->digest->field_count;
    part->column_of = af_arena_array(&worker->arena, count, sizeof *part->column_of);
    if (part->column_of == NULL)
        return af_arena_fail(&worker->arena, count * sizeof *part->column_of, "a query", err);
    for (uint32_t i = 0; i < count; i++)
        part->column_of[i] = find_column(fold, part->digest->fields[i]);
    return AF_OK;
}

static enum af_status prepare_shard(struct fold_worker *worker, size_t shard, struct af_error *err)
{
    struct fold *fold = worker->fold;
    if (scan_is_cancelled(&fold->source))
        return af_fail(err, AF_ECANCELED, "stopped while scanning");
    for (size_t i = 0; i < fold->source.shards[shard].part_count; i++)
        AF_TRY(prepare_part(worker, &fold->parts[shard][i], err));
    return AF_OK;
}

enum af_status fold_work_prepare(struct fold *fold, struct af_error *err)
{
    const size_t shards = fold->source.view->shard_count;
    size_t keys = 0; /* of files that have no digest yet */
    af_digest_begin_query();
    for (size_t i = 0; i < shards; i++)
        for (size_t k = 0; k < fold->source.shards[i].part_count; k++) {
            struct af_tsm_file_info info;
            af_tsm_file_info(fold->source.shards[i].parts[k]->file, &info);
            keys += af_digest_is_there(fold->source.shards[i].parts[k]) ? 0 : (size_t)info.key_count;
        }
    return run_all(fold, shards, keys > 1000 ? fold->work.worker_count : 1, prepare_shard, err);
}

/* --- one stretch ---------------------------------------------------------------------------------------------------------- */

static size_t stretch_start(const struct fold *fold, size_t stretch)
{
    const size_t count = fold->work.end - fold->work.first;
    return fold->work.first + (size_t)((unsigned __int128)count * stretch / fold->work.stretches);
}

/* The groups of what is at [first, end), first and last. */
static void group_span(const struct fold *fold, size_t first, size_t end, uint32_t *out_low, uint32_t *out_high)
{
    *out_low = UINT32_MAX;
    *out_high = 0;
    for (size_t i = first; i < end; i++) {
        const uint32_t group = fold->group_of[fold->order[i]];
        *out_low = group < *out_low ? group : *out_low;
        *out_high = group > *out_high ? group : *out_high;
    }
}

static enum af_status take_table(struct fold_worker *worker, size_t first, size_t end, struct af_error *err)
{
    struct fold *fold = worker->fold;
    uint32_t low, high;
    group_span(fold, first, end, &low, &high);
    af_mutex_lock(&fold->work.lock);
    worker->table = fold->work.spare;
    if (worker->table != NULL)
        fold->work.spare = worker->table->next;
    af_mutex_unlock(&fold->work.lock);
    if (worker->table == NULL)
        worker->table = fold_table_new(&fold->shape);
    if (worker->table == NULL)
        return af_fail_nomem(err, "a query");
    return fold_table_reset(worker->table, low, high - low + 1, err);
}

/* What is finished in order goes to the result; the table then serves others. */
static enum af_status give_table(struct fold_worker *worker, size_t stretch, struct af_error *err)
{
    struct fold *fold = worker->fold;
    enum af_status status = AF_OK;
    af_mutex_lock(&fold->work.lock);
    fold->work.done[stretch] = worker->table;
    worker->table = NULL;
    while (status == AF_OK && fold->work.merged < fold->work.stretches && fold->work.done[fold->work.merged] != NULL) {
        struct fold_table *table = fold->work.done[fold->work.merged];
        status = fold_table_merge(fold->result, table, err);
        fold->work.done[fold->work.merged++] = NULL;
        table->next = fold->work.spare;
        fold->work.spare = table;
    }
    af_mutex_unlock(&fold->work.lock);
    return status;
}

static enum af_status fold_pass_of(struct fold_worker *worker, enum fold_pass pass, size_t first, size_t end, struct af_error *err)
{
    struct fold *fold = worker->fold;
    const size_t shards = fold->source.view->shard_count;
    const size_t words = af_bit_words(fold->column_count);
    uint64_t *done = af_alloc_zero((end - first) * words, sizeof *done);
    enum af_status status = done != NULL ? AF_OK : af_fail_nomem(err, "a query");
    for (size_t k = 0; k < shards && status == AF_OK; k++) {
        const size_t shard = pass == FOLD_FROM_END ? shards - 1 - k : k;
        for (size_t i = first; i < end && status == AF_OK; i++) {
            const uint32_t position = fold->order[i];
            worker->group = fold->group_of[position];
            if (scan_is_cancelled(&fold->source))
                status = af_fail(err, AF_ECANCELED, "stopped while scanning");
            else
                status = fold_series(worker, shard, fold->source.ids[position], pass, done + (i - first) * words, err);
        }
    }
    af_free(done);
    return status;
}

static enum af_status fold_stretch(struct fold_worker *worker, size_t stretch, struct af_error *err)
{
    const struct fold *fold = worker->fold;
    const size_t first = stretch_start(fold, stretch), end = stretch_start(fold, stretch + 1);
    bool has[FOLD_PASSES] = { false };
    AF_TRY(take_table(worker, first, end, err));
    for (size_t i = 0; i < fold->column_count; i++)
        has[fold->columns[i].pass] = true;
    for (int pass = 0; pass < FOLD_PASSES; pass++)
        if (has[pass])
            AF_TRY(fold_pass_of(worker, (enum fold_pass)pass, first, end, err));
    return give_table(worker, stretch, err);
}

/* --- a round -------------------------------------------------------------------------------------------------------------- */

/* As many as are worth it and whose tables, each with the windows of its groups, are not too large together. */
static size_t stretches_of(const struct fold *fold, size_t series)
{
    const double worth = (double)series * fold->cost_a_series / STRETCH_COST + 1;
    size_t count = worth < STRETCHES_MAX ? (size_t)worth : STRETCHES_MAX;
    count = count < series ? count : series;
    if (!fold->shape.is_sparse) {
        const size_t window_bytes = (size_t)fold->shape.windows.count * fold->shape.cell_bytes;
        const size_t groups = fold->is_by_group ? 1 + fold->groups_a_round / (count + 1) : fold->group_count;
        const double cells = (double)fold->shape.windows.count * (double)groups;
        const size_t most = TABLES_BYTES_MAX / (window_bytes * groups);
        const double few = (double)series * fold->cost_a_series / MERGE_SHARE / cells;
        count = count < most ? count : most;
        count = (double)count < few ? count : (size_t)few;
    }
    return count > 0 ? count : 1;
}

enum af_status fold_work_round(struct fold *fold, size_t first, size_t end, struct af_error *err)
{
    uint32_t low, high;
    group_span(fold, first, end, &low, &high);
    if (fold->result == NULL)
        fold->result = fold_table_new(&fold->shape);
    if (fold->result == NULL)
        return af_fail_nomem(err, "a query");
    AF_TRY(fold_table_reset(fold->result, low, high - low + 1, err));
    fold->work.first = first;
    fold->work.end = end;
    fold->work.stretches = stretches_of(fold, end - first);
    fold->work.merged = 0;
    const double threads = (double)(end - first) * fold->cost_a_series / THREAD_COST + 1;
    return run_all(fold, fold->work.stretches, threads < WORKERS_MAX ? (unsigned)threads : WORKERS_MAX, fold_stretch, err);
}
