/*
 * migrate.c - sources -> mapping -> line protocol -> sink -> store, with a journal; and `write`, the same for line protocol.
 *
 *     worker: map, encode into lanes (parallel)      turn: rejects, put to the sink (in order)      sink: settles units -> journal
 *
 * Into a directory of ours the points go as they are: build.c.
 */
#include "base/alloc.h"
#include "cli/migrate.h"
#include <inttypes.h>

/* --- the stage ----------------------------------------------------------------------------------------------------------- */

static void lanes_free(void *ctx, void *scratch)
{
    struct migration *m = ctx;
    struct af_lp_text *lanes = scratch;
    for (uint32_t i = 0; i < m->lanes; i++)
        af_lp_text_done(&lanes[i]);
    af_free(lanes);
}

static void *lanes_new(void *ctx)
{
    struct migration *m = ctx;
    struct af_lp_text *lanes = af_alloc_zero(m->lanes, sizeof *lanes);
    for (uint32_t i = 0; lanes != NULL && i < m->lanes; i++)
        af_lp_text_init(&lanes[i]);
    return lanes;
}

static enum af_status encode(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct migration *m = ctx;
    struct af_lp_text *lanes = scratch;
    for (uint32_t i = 0; i < m->lanes; i++)
        af_lp_text_clear(&lanes[i]);
    AF_TRY(af_lp_encode(block->points, m->precision, lanes, m->lanes, err));
    for (uint32_t i = 0; block->lines != NULL && i < m->lanes; i++)
        for (size_t line = 0; line < lanes[i].line_count; line++)
            lanes[i].rows[line] = (uint32_t)(block->lines[lanes[i].rows[line]] - block->first_row);
    return AF_OK;
}

/* unit_id = source << 32 | part */
static void settled(void *ctx, uint64_t unit_id)
{
    struct migration *m = ctx;
    size_t source = (size_t)(unit_id >> 32);
    uint32_t part = (uint32_t)unit_id;
    uint64_t last = atomic_load(&m->last_parts[source]);
    enum af_journal_flag flag = (uint32_t)last == part + 1 ? (enum af_journal_flag)(last >> 32) : AF_JOURNAL_MORE;
    af_journal_settle(m->journal, &m->sources.list.items[source], part, flag);
}

static void end_unit(struct migration *m, enum af_journal_flag flag)
{
    if (m->unit == NULL)
        return;
    if (flag != AF_JOURNAL_MORE)
        atomic_store(&m->last_parts[m->unit_id >> 32], (uint64_t)flag << 32 | ((uint32_t)m->unit_id + 1));
    if (m->build != NULL)
        build_unit_ended(m->build, m->unit);
    else
        af_sink_unit_end(m->sink, m->unit);
    m->unit = NULL;
}

static enum af_status begin_unit(struct migration *m, const struct af_ingest_block *block, struct af_error *err)
{
    end_unit(m, AF_JOURNAL_MORE);
    m->unit_id = (uint64_t)block->source << 32 | block->part;
    return af_sink_unit_begin(m->sink, m->unit_id, m->sources.list.items[block->source].path, block->part, settled, m,
                              &m->unit, err);
}

static enum af_status put_rejects(struct migration *m, const struct af_ingest_block *block, struct af_error *err)
{
    if (m->has_bad) {
        struct af_sink_reject lost = { .row = m->bad.first_row, .reason = m->bad.reason };
        m->has_bad = false;
        AF_TRY(af_sink_reject(m->sink, m->unit, &lost, err));
    }
    for (size_t i = 0; i < block->rejects.count; i++) {
        const struct af_map_reject *r = &block->rejects.items[i];
        struct af_sink_reject reject = { .row = r->row == SIZE_MAX ? r->file_row : block->first_row + r->row,
                                         .column = r->column, .reason = r->reason, .raw = r->raw };
        AF_TRY(af_sink_reject(m->sink, m->unit, &reject, err));
    }
    return AF_OK;
}

enum af_status migration_begin_block(struct migration *m, const struct af_ingest_block *block, struct af_error *err)
{
    if (block->unit_begins)
        AF_TRY(begin_unit(m, block, err));
    return put_rejects(m, block, err);
}

void migration_end_block(struct migration *m, const struct af_ingest_block *block)
{
    if (block->source_ends)
        end_unit(m, block->source_is_bad ? AF_JOURNAL_BAD : AF_JOURNAL_LAST);
}

static enum af_status deliver(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct migration *m = ctx;
    const struct af_lp_text *lanes = scratch;
    AF_TRY(migration_begin_block(m, block, err));
    for (uint32_t i = 0; block->points != NULL && i < m->lanes; i++)
        if (lanes[i].line_count != 0)
            AF_TRY(af_sink_put(m->sink, m->unit, i, &lanes[i], block->first_row, err));
    migration_end_block(m, block);
    return AF_OK;
}

/* --- what the run tells --------------------------------------------------------------------------------------------------- */

static void bad_source(void *ctx, const struct af_source *source, uint32_t part, uint64_t first_row, uint64_t rows,
                       const struct af_error *why)
{
    struct migration *m = ctx;
    (void)source;
    af_cli_warn("%s", why->message);
    if (rows != 0)
        af_cli_warn("row group %u is left out: %" PRIu64 " rows; the rest of the file goes on", part, rows);
    m->has_bad = true;
    m->bad.first_row = first_row;
    (void)snprintf(m->bad.reason, sizeof m->bad.reason, "%" PRIu64 " rows cannot be read: %s", rows, why->message);
}

static void mapped(void *ctx, const struct af_source *source, const struct af_map *map)
{
    struct migration *m = ctx;
    if (m->cli->verbose || m->cli->dry_run)
        af_cli_say(m->cli, "%s: %s -> %s", source->path, af_map_name(map),
                   af_map_measurement(map) != NULL ? af_map_measurement(map) : "measurements from a column");
}

static void progress(void *ctx, const struct af_ingest_totals *now)
{
    struct migration *m = ctx;
    struct af_sink_stats stats;
    migration_stats(m, &stats);
    char note[400] = "";
    if (stats.lines_spooled != 0)
        (void)snprintf(note, sizeof note, "%" PRIu64 " lines spooled: %s", stats.lines_spooled, stats.last_error);
    else if (stats.last_error[0] != '\0')
        (void)snprintf(note, sizeof note, "retrying: %s", stats.last_error);
    af_progress_show(m->progress, now->bytes_done, af_cli_source_bytes(&m->sources.list), now->rows_read, note);
    if (m->build != NULL)
        build_settle(m->build);
    if (m->journal == NULL || m->journal_failed)
        return;
    enum af_status status = af_journal_sync(m->journal, &m->journal_error);
    m->journal_failed = status != AF_OK && status != AF_EFULL; /* a full disk may get room again; the last call decides */
}

/* --- the run ------------------------------------------------------------------------------------------------------------- */

static enum af_status transfer(struct migration *m, struct af_error *err)
{
    struct af_ingest_stage text = { .ctx = m, .scratch_new = lanes_new, .scratch_free = lanes_free, .work = encode,
                                    .deliver = m->sink != NULL ? deliver : NULL };
    struct af_ingest_stage stage = m->build != NULL ? build_stage(m) : text;
    m->progress = af_progress_new(m->cli, m->cli->dry_run ? "reading" : "migrating", "rows");
    enum af_status status = af_ingest_run(&m->sources.ingest, &stage, &m->totals, err);
    if (status == AF_OK && m->build != NULL)
        status = build_finish(m->build, err);
    if (status == AF_OK && m->sink != NULL)
        status = af_sink_finish(m->sink, err);
    af_progress_free(m->progress);
    m->progress = NULL;
    if (status == AF_OK && m->journal != NULL)
        status = m->journal_failed ? (err != NULL ? (*err = m->journal_error, m->journal_error.status) : AF_EIO)
                                   : af_journal_sync(m->journal, err);
    return status;
}

static int interrupted(const struct migration *m, const struct af_error *err)
{
    struct af_sink_stats stats;
    migration_stats(m, &stats);
    af_cli_warn("%s", err->message);
    bool can_resume = m->journal != NULL && (err->status == AF_ECANCELED || af_status_is_retryable(err->status));
    if (can_resume && m->build != NULL)
        af_cli_warn("the same command with --resume goes on where the last points are safe");
    else if (can_resume)
        af_cli_warn("%" PRIu64 " points are written, %" PRIu64 " wait in the spool; the same command with --resume goes on",
                    stats.lines_written, stats.lines_spooled);
    return can_resume ? AF_EXIT_INTERRUPTED : AF_EXIT_FAILED;
}

/* What comes out of a pipe is safe as it comes only with a log; all else can be read again. */
static bool can_be_read_again(const struct af_source_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].is_pipe && list->items[i].copy == NULL)
            return false;
    return true;
}

static int run(struct af_cli *cli)
{
    struct migration m;
    struct af_error err = { 0 };
    migration_init(&m, cli, 0);
    enum af_status status = af_cli_open_sources(cli, &m.sources, &err);
    if (status != AF_OK)
        return status == AF_EINVAL ? af_cli_usage_error(cli, "%s", err.message) : af_cli_fail(cli, &err);
    cli->is_bulk = can_be_read_again(&m.sources.list);
    m.sources.ingest.ctx = &m;
    m.sources.ingest.bad_source = bad_source;
    m.sources.ingest.mapped = mapped;
    m.sources.ingest.progress = progress;
    if (!cli->dry_run)
        status = migration_open(&m, &err);
    int code = AF_EXIT_FAILED;
    if (status != AF_OK)
        code = af_cli_fail(cli, &err);
    else if (transfer(&m, &err) != AF_OK)
        code = interrupted(&m, &err);
    else
        code = migration_finish(&m);
    migration_close(&m);
    return code;
}

int af_cli_list_datasets(void)
{
    for (const struct af_map_builtin_name *b = af_map_builtins(); b->name != NULL; b++)
        (void)printf("%-24s %s\n", b->name, b->about);
    return AF_EXIT_DONE;
}

int af_cli_migrate(struct af_cli *cli)
{
    return cli->retry_dead_letters ? af_cli_retry(cli) : run(cli);
}

int af_cli_write(struct af_cli *cli)
{
    static const char *const standard_input[] = { "-" };
    if (cli->arg_count == 0) {
        cli->args = standard_input;
        cli->arg_count = 1;
    }
    return run(cli);
}
