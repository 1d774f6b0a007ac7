/*
 * load.c - one load: spine, sink without a spool, a watch that ends it at its deadline; see load.h.
 *
 * Everything that waits (ingest, the sink's lanes, a request on its way) polls one flag. A thread sets it when the deadline comes or the
 * caller's own flag is up, because nobody else is sure to look at the clock.
 */
#include "base/limits.h"
#include "load/load.h"
#include "os/clock.h"
#include "os/file.h"
#include <inttypes.h>
#include <stdio.h>

enum { LANES_DEFAULT = 2, LETTER_BYTES_SHOWN = 8 << 20 };

struct load {
    const struct af_load_options *options;
    struct af_load_result *result;
    struct af_load_spine spine;
    char run_id[48];
    struct af_load_watch watch;
    bool own_flag;
    bool *flag;            /* through __atomic builtins: what everybody polls */
    /* under the turn */
    bool has_bad;          /* `bad` is that of the first file that could not be read to its end */
    struct af_error bad;
    struct af_error last;  /* what bad_source said last */
    bool store_failed;     /* the sink's failure, not the reader's */
};

/* --- what ingest tells --------------------------------------------------------------------------------------------------- */

static void mapped(void *ctx, const struct af_source *source, const struct af_map *map)
{
    struct load *load = ctx;
    (void)source;
    if (load->result->dataset[0] == '\0')
        (void)snprintf(load->result->dataset, sizeof load->result->dataset, "%s", af_map_name(map));
}

/* The source is there and as it should be, we only could not have it: nothing of that is the rows' fault. */
static bool could_not_be_had(enum af_status status)
{
    return af_status_is_retryable(status) || status == AF_EUNAUTH || status == AF_EDENIED || status == AF_ENOTFOUND ||
           status == AF_ECONFLICT || status == AF_ECANCELED;
}

static void bad_source(void *ctx, const struct af_source *source, uint32_t part, uint64_t first_row, uint64_t rows,
                       const struct af_error *why)
{
    struct load *load = ctx;
    (void)source, (void)part;
    load->last = *why;
    if (rows != 0)
        af_load_bad_rows(&load->spine, first_row, rows, why);
}

static enum af_status deliver(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct af_load_spine *spine = ctx;
    struct load *load = spine->ctx;
    if (load->last.status != AF_OK && could_not_be_had(load->last.status))
        return af_fail(err, load->last.status, "%s", load->last.message);
    if (block->source_is_bad && !load->has_bad) {
        load->has_bad = true;
        load->bad = load->last;
    }
    load->last.status = AF_OK;
    enum af_status status = af_load_stage(spine).deliver(spine, scratch, block, err);
    load->store_failed = status != AF_OK && status != AF_ECANCELED;
    return status;
}

/* --- the run ------------------------------------------------------------------------------------------------------------- */

static const char *scratch_dir(const struct load *load)
{
    return load->options->scratch_dir != NULL ? load->options->scratch_dir : "/tmp";
}

static enum af_status open_sink(struct load *load, struct af_error *err)
{
    const struct af_load_options *o = load->options;
    uint64_t random;
    af_random_bytes(&random, sizeof random);
    (void)snprintf(load->run_id, sizeof load->run_id, "load-%016" PRIx64, random);
    AF_TRY(af_dir_make(scratch_dir(load), err));
    struct af_sink_options options = { .lanes = load->spine.lanes, .batch_lines = o->batch_lines,
                                       .batch_bytes = af_load_batch_bytes(o->memory_bytes, load->spine.lanes),
                                       .precision_ns = af_precision_ns(load->spine.precision), .batch_budget_ms = o->retry_budget_ms,
                                       .dead_letters_dir = scratch_dir(load), .run_id = load->run_id, .cancel = load->flag };
    return af_sink_open(o->store, &options, &load->spine.sink, err);
}

static enum af_status run(struct load *load, struct af_error *err)
{
    const struct af_load_options *o = load->options;
    struct af_ingest_options ingest = { .sources = o->sources, .map = o->map, .infer = o->infer, .override = o->override,
                                        .lp_unsigned = true, .now_ns = af_clock_now_ns(),
                                        .workers = af_load_workers(o->workers, o->memory_bytes), .cancel = load->flag,
                                        .bad_source = bad_source, .mapped = mapped, .ctx = load };
    struct af_ingest_stage stage = af_load_stage(&load->spine);
    stage.deliver = deliver;
    AF_TRY(af_ingest_run(&ingest, &stage, &load->result->totals, err));
    enum af_status status = af_sink_finish(load->spine.sink, err);
    load->store_failed = status != AF_OK && status != AF_ECANCELED;
    AF_TRY(status);
    return load->has_bad ? af_fail(err, load->bad.status, "%s", load->bad.message) : AF_OK;
}

/* --- what came of it ----------------------------------------------------------------------------------------------------- */

static void read_first_reason(const char *path, char *out, size_t cap)
{
    struct af_letters *letters;
    struct af_letter *letter = NULL;
    struct af_arena arena;
    if (af_letters_open(path, &letters, NULL) != AF_OK)
        return;
    af_arena_init(&arena, LETTER_BYTES_SHOWN);
    if (af_letters_next(letters, &arena, &letter, NULL) == AF_OK && letter != NULL)
        (void)snprintf(out, cap, "row %" PRIu64 "%s%s: %s", letter->row, letter->column != NULL ? ", column " : "",
                       letter->column != NULL ? letter->column : "", letter->reason);
    af_arena_done(&arena);
    af_letters_close(letters);
}

static void sum_up(struct load *load, enum af_status status, const struct af_error *why)
{
    struct af_load_result *r = load->result;
    struct af_sink_stats stats;
    af_sink_stats(load->spine.sink, &stats);
    r->points_written = stats.lines_written;
    r->values_written = stats.values_put;
    r->rows_rejected = r->totals.rows_rejected + r->totals.rows_lost + stats.lines_rejected;
    r->bytes_sent = stats.bytes_sent;
    r->batches = stats.batches_written;
    r->retries = stats.retries;
    r->store_failed = status != AF_OK && load->store_failed;
    const char *path = af_sink_dead_letters(load->spine.sink);
    if (status != AF_OK)
        (void)snprintf(r->reason, sizeof r->reason, "%.*s", (int)sizeof r->reason - 1, why->message);
    else if (path != NULL)
        read_first_reason(path, r->reason, sizeof r->reason);
}

/* After the sink is closed, so that nothing is written any more. */
static enum af_status hand_over_letters(struct load *load, enum af_status status, const char *path, struct af_error *err)
{
    const struct af_load_options *o = load->options;
    if (path[0] == '\0')
        return status;
    if (status == AF_OK && o->letters != NULL)
        status = o->letters(o->ctx, path, load->result->rows_rejected, err);
    enum af_status removed = af_path_remove(path, status == AF_OK ? err : NULL);
    return status != AF_OK ? status : removed;
}

static enum af_status why_canceled(const struct load *load, enum af_status status, struct af_error *err)
{
    if (status != AF_ECANCELED)
        return status;
    return af_fail(err, AF_ECANCELED, "%s, after %" PRIu64 " points",
                   af_load_watch_came(&load->watch) ? "the deadline came" : "stopped on request",
                   load->result->points_written);
}

enum af_status af_load_run(const struct af_load_options *options, struct af_load_result *out, struct af_error *err)
{
    struct af_error why = { 0 };
    *out = (struct af_load_result){ 0 };
    struct load load = { .options = options, .result = out };
    char letters[AF_PATH_BYTES_MAX] = "";
    uint32_t lanes = options->lanes != 0 ? options->lanes : LANES_DEFAULT;
    load.spine = (struct af_load_spine){ .sources = options->sources, .precision = AF_PRECISION_NS, .ctx = &load,
                                         .lanes = lanes < AF_SINK_LANES_MAX ? lanes : AF_SINK_LANES_MAX };
    load.flag = options->flag != NULL ? options->flag : &load.own_flag;
    enum af_status status = open_sink(&load, &why);
    if (status == AF_OK) {
        status = af_load_watch_begin(&load.watch, options->deadline_mono_ns, options->cancel, load.flag, &why);
        if (status == AF_OK) {
            status = run(&load, &why);
            af_load_watch_end(&load.watch);
        }
        sum_up(&load, status, &why);
        status = why_canceled(&load, status, &why);
        const char *path = af_sink_dead_letters(load.spine.sink);
        (void)snprintf(letters, sizeof letters, "%s", path != NULL ? path : "");
        af_sink_close(load.spine.sink);
    }
    status = hand_over_letters(&load, status, letters, &why);
    if (status != AF_OK && err != NULL)
        *err = why;
    return status;
}
