/*
 * migrate.c - sources -> mapping -> line protocol -> sink -> store, with a journal; and `write`, the same for line protocol.
 *
 * The spine (load/load.h) maps, encodes and puts; the units that it settles go to the journal. Into a directory of ours the points go as
 * they are: build.c. Many machines over a queue: fleet.c.
 */
#include "cli/migrate.h"
#include <inttypes.h>

/* --- units ---------------------------------------------------------------------------------------------------------------- */

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

static void note_last(void *ctx, uint64_t unit_id, bool is_bad)
{
    struct migration *m = ctx;
    uint64_t flag = is_bad ? AF_JOURNAL_BAD : AF_JOURNAL_LAST;
    atomic_store(&m->last_parts[unit_id >> 32], flag << 32 | ((uint32_t)unit_id + 1));
}

/* Its points are not in files yet. */
static void end_of_build(void *ctx, struct af_sink_unit *unit)
{
    struct migration *m = ctx;
    build_unit_ended(m->build, unit);
}

static void set_spine(struct migration *m)
{
    m->spine = (struct af_load_spine){ .sink = m->sink, .sources = &m->sources.list, .lanes = m->lanes, .precision = m->precision,
                                       .settled = settled, .last = note_last, .end = m->build != NULL ? end_of_build : NULL, .ctx = m };
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
    af_load_bad_rows(&m->spine, first_row, rows, why);
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
    set_spine(m);
    struct af_ingest_stage stage = m->build != NULL ? build_stage(m) : af_load_stage(&m->spine);
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
    if (cli->queue != NULL || cli->status_of != NULL || cli->work)
        return af_cli_fleet(cli);
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
