/*
 * migrate.c - sources -> mapping -> line protocol -> sink -> store, with a journal; and `write`, the same for line protocol.
 *
 *     worker: map, encode into lanes (parallel)      turn: rejects, put to the sink (in order)      sink: settles units -> journal
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/json_escape.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "os/clock.h"
#include "os/file.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

struct migration {
    struct af_cli *cli;
    struct af_cli_sources sources;
    struct af_store *store;
    struct af_sink *sink;
    struct af_file *lock;             /* of the state directory */
    struct af_journal *journal;
    struct af_progress *progress;
    uint32_t lanes;
    enum af_precision precision;      /* of the text to the sink: ns, whatever the sources say */
    char state[AF_PATH_BYTES_MAX];
    char dead_letters[AF_PATH_BYTES_MAX];
    char run_id[AF_RUN_ID_BYTES];     /* a resumed run keeps that of the first */
    char letters[AF_PATH_BYTES_MAX + 128]; /* the dead letters' file of this run_id */
    uint64_t letters_before;          /* what the interrupted runs put there */
    /* under the turn */
    struct af_sink_unit *unit;
    uint64_t unit_id;
    _Atomic uint64_t *last_parts;     /* by source: flag << 32 | part + 1 of its last unit, 0 until that is known */
    struct bad_part *bad;             /* what bad_source said, written when the unit is open */
    uint64_t rows_lost;
    bool was_resumed;
    uint64_t bad_before;              /* bad files of the part that an earlier run did */
    struct af_ingest_totals totals;
    _Atomic bool journal_failed;
    int64_t journal_next_ns;
    struct af_error journal_error;
    int64_t start_ns;
};

struct bad_part {
    uint64_t first_row;
    char reason[sizeof((struct af_error *)0)->message + 64];
};

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
    if (m->bad != NULL) {
        struct af_sink_reject lost = { .row = m->bad->first_row, .reason = m->bad->reason };
        enum af_status status = af_sink_reject(m->sink, m->unit, &lost, err);
        af_free(m->bad);
        m->bad = NULL;
        AF_TRY(status);
    }
    for (size_t i = 0; i < block->rejects.count; i++) {
        const struct af_map_reject *r = &block->rejects.items[i];
        struct af_sink_reject reject = { .row = r->row == SIZE_MAX ? r->file_row : block->first_row + r->row,
                                         .column = r->column, .reason = r->reason, .raw = r->raw };
        AF_TRY(af_sink_reject(m->sink, m->unit, &reject, err));
    }
    return AF_OK;
}

static enum af_status deliver(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct migration *m = ctx;
    const struct af_lp_text *lanes = scratch;
    if (block->unit_begins)
        AF_TRY(begin_unit(m, block, err));
    AF_TRY(put_rejects(m, block, err));
    for (uint32_t i = 0; block->points != NULL && i < m->lanes; i++)
        if (lanes[i].line_count != 0)
            AF_TRY(af_sink_put(m->sink, m->unit, i, &lanes[i], block->first_row, err));
    if (block->source_ends)
        end_unit(m, block->source_is_bad ? AF_JOURNAL_BAD : AF_JOURNAL_LAST);
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
    m->rows_lost += rows;
    m->bad = af_alloc(sizeof *m->bad);
    if (m->bad == NULL)
        return;
    m->bad->first_row = first_row;
    (void)snprintf(m->bad->reason, sizeof m->bad->reason, "%" PRIu64 " rows cannot be read: %s", rows, why->message);
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
    struct af_sink_stats stats = { 0 };
    if (m->sink != NULL)
        af_sink_stats(m->sink, &stats);
    char note[400] = "";
    if (stats.lines_spooled != 0)
        (void)snprintf(note, sizeof note, "%" PRIu64 " lines spooled: %s", stats.lines_spooled, stats.last_error);
    else if (stats.last_error[0] != '\0')
        (void)snprintf(note, sizeof note, "retrying: %s", stats.last_error);
    af_progress_show(m->progress, now->bytes_done, af_cli_source_bytes(&m->sources.list), now->rows_read, note);
    if (m->journal == NULL || m->journal_failed)
        return;
    enum af_status status = af_journal_sync(m->journal, &m->journal_error);
    m->journal_failed = status != AF_OK && status != AF_EFULL; /* a full disk may get room again; the last call decides */
}

/* --- opening ------------------------------------------------------------------------------------------------------------- */

static uint64_t target_hash(const struct migration *m)
{
    uint64_t h = af_hash_bytes(m->store->name, strlen(m->store->name), 1);
    const char *org = m->cli->org != NULL ? m->cli->org : "";
    return af_hash_bytes(org, strlen(org), h);
}

static enum af_status state_dir(struct migration *m, struct af_error *err)
{
    const char *home = getenv("XDG_STATE_HOME");
    const char *below = "";
    if (home == NULL || home[0] == '\0') {
        home = getenv("HOME");
        below = "/.local/state";
    }
    int n = m->cli->state != NULL ? snprintf(m->state, sizeof m->state, "%s", m->cli->state)
            : home != NULL        ? snprintf(m->state, sizeof m->state, "%s%s/afluxo/%016" PRIx64, home, below, target_hash(m))
                                  : snprintf(m->state, sizeof m->state, ".afluxo/%016" PRIx64, target_hash(m));
    if (n < 0 || (size_t)n > sizeof m->state - 64)
        return af_fail(err, AF_EINVAL, "the state directory's path is too long; give a shorter one with --state");
    (void)snprintf(m->dead_letters, sizeof m->dead_letters, "%.*s/dead-letters", (int)sizeof m->dead_letters - 32, m->state);
    if (m->cli->dead_letters != NULL)
        (void)snprintf(m->dead_letters, sizeof m->dead_letters, "%s", m->cli->dead_letters);
    return af_dir_make(m->state, err);
}

/* One run at a time: journal, spool and dead letters are this one's from here. */
static enum af_status lock_state(struct migration *m, struct af_error *err)
{
    char path[AF_PATH_BYTES_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/lock", m->state);
    enum af_status status = af_file_lock(path, &m->lock, err);
    if (status == AF_EBUSY)
        af_error_prefix(err, "another afluxo works on this target, or was given the same --state: ");
    return status;
}

static enum af_status count_block(void *ctx, const char *path, struct af_error *err)
{
    (void)err;
    size_t len = strlen(path);
    *(uint64_t *)ctx += len > 4 && strcmp(path + len - 4, ".blk") == 0;
    return AF_OK;
}

/* What an earlier run left in the spool belongs to its target: it must go there, and this run must be able to send it. */
static enum af_status check_spool_owner(const struct migration *m, struct af_error *err)
{
    char spool[AF_PATH_BYTES_MAX + 16], path[AF_PATH_BYTES_MAX + 16];
    (void)snprintf(spool, sizeof spool, "%s/spool", m->state);
    (void)snprintf(path, sizeof path, "%s/target", m->state);
    uint64_t blocks = 0;
    if (af_path_kind(spool) == AF_PATH_DIR)
        AF_TRY(af_dir_list(spool, count_block, &blocks, err));
    if (blocks != 0 && m->cli->no_spool)
        return af_fail(err, AF_EINVAL, "%s holds %" PRIu64 " blocks that an earlier run left: go on without --no-spool", spool, blocks);
    struct af_buf owner, now;
    af_buf_init(&owner, 1 << 16);
    af_buf_init(&now, 1 << 16);
    af_buf_printf(&now, "%s%s%s\n", m->store->name, m->cli->org != NULL ? " of " : "", m->cli->org != NULL ? m->cli->org : "");
    enum af_status status = af_buf_check(&now, "a target", err);
    if (status == AF_OK && af_path_kind(path) == AF_PATH_FILE)
        status = af_file_read_all(path, &owner, err);
    bool is_other = owner.len != 0 && !af_slice_eq(af_buf_slice(&owner), af_buf_slice(&now));
    if (status == AF_OK && blocks != 0 && is_other)
        status = af_fail(err, AF_ECONFLICT, "%s holds %" PRIu64 " blocks for %.*s, this run writes to %.*s: finish that one first, or "
                         "give another --state (if both are the same server, remove %s)", spool, blocks,
                         AF_SLICE_ARG(af_slice_trim(af_buf_slice(&owner))), AF_SLICE_ARG(af_slice_trim(af_buf_slice(&now))), path);
    if (status == AF_OK && (is_other || owner.len == 0))
        status = af_file_write_atomic(path, af_buf_slice(&now), false, err);
    af_buf_done(&owner);
    af_buf_done(&now);
    return status;
}

static enum af_status count_letters(struct migration *m, struct af_error *err)
{
    char piece[16384];
    size_t got = 0;
    struct af_file_input *in;
    if (af_path_kind(m->letters) != AF_PATH_FILE)
        return AF_OK;
    AF_TRY(af_file_input_open(m->letters, &in, err));
    enum af_status status;
    while ((status = af_file_input_read(in, piece, sizeof piece, &got, err)) == AF_OK && got != 0)
        for (size_t i = 0; i < got; i++)
            m->letters_before += piece[i] == '\n';
    af_file_input_close(in);
    return status;
}

/* Everything that changes what a unit becomes at the target. */
static uint64_t fingerprint(const struct migration *m)
{
    uint64_t h = target_hash(m);
    struct af_buf text;
    af_buf_init(&text, AF_YAML_BYTES_MAX);
    if (m->sources.map != NULL)
        af_map_print(m->sources.map, &text);
    af_buf_printf(&text, "|%s|%s|%d|%s", m->cli->measurement != NULL ? m->cli->measurement : "",
                  m->cli->time_zone != NULL ? m->cli->time_zone : "", m->cli->infer,
                  m->cli->precision != NULL ? m->cli->precision : "");
    h = af_hash_bytes(text.ptr, text.len, h);
    af_buf_done(&text);
    return h;
}

static enum af_status open_journal(struct migration *m, struct af_error *err)
{
    char path[AF_PATH_BYTES_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/journal", m->state);
    bool resumed;
    AF_TRY(af_journal_open(path, fingerprint(m), m->cli->resume, m->run_id, &m->journal, &resumed, err));
    m->was_resumed = resumed;
    (void)snprintf(m->letters, sizeof m->letters, "%s/dead-letters-%s.jsonl", m->dead_letters, m->run_id);
    if (resumed && !m->cli->strict)
        AF_TRY(count_letters(m, err));
    if (!resumed) {
        if (m->cli->resume)
            af_cli_say(m->cli, "nothing to resume for this target and mapping; starting from the beginning");
        return AF_OK;
    }
    struct af_ingest_options *o = &m->sources.ingest;
    af_journal_resume_point(m->journal, &m->sources.list, &o->resume_source, &o->resume_part, &m->bad_before);
    af_cli_say(m->cli, "resuming at file %zu of %zu, part %u", o->resume_source + 1, m->sources.list.count, o->resume_part);
    return AF_OK;
}

static enum af_status open_sink(struct migration *m, struct af_error *err)
{
    struct af_cli *cli = m->cli;
    char spool[AF_PATH_BYTES_MAX + 16];
    (void)snprintf(spool, sizeof spool, "%s/spool", m->state);
    uint64_t memory = cli->memory != 0 ? cli->memory : 128 << 20;
    size_t batch_bytes = cli->batch_bytes != 0 ? (size_t)cli->batch_bytes : AF_SINK_BATCH_BYTES;
    if (cli->batch_bytes == 0 && memory / 16 < batch_bytes)
        batch_bytes = memory / 16 > 65536 ? (size_t)memory / 16 : 65536;
    struct af_sink_options options = {
        .lanes = m->lanes, .batch_lines = cli->batch_lines, .batch_bytes = batch_bytes, .lines_per_s = cli->rate,
        .precision_ns = af_precision_ns(m->precision), .batch_budget_ms = (uint32_t)cli->retry_budget_ms,
        .patience_ms = (uint32_t)cli->patience_ms, .spool_dir = cli->no_spool ? NULL : spool,
        .spool_bytes_max = cli->spool_bytes, .dead_letters_dir = cli->strict ? NULL : m->dead_letters,
        .run_id = m->run_id, .cancel = af_interrupt_flag(),
    };
    return af_sink_open(m->store, &options, &m->sink, err);
}

static void make_run_id(struct migration *m)
{
    char time[40];
    char *end = af_rfc3339_print(time, af_clock_now_ns(), 0);
    size_t at = 0;
    for (const char *c = time; c < end; c++)
        if (*c != '-' && *c != ':')
            m->run_id[at++] = *c;
    uint32_t random;
    af_random_bytes(&random, sizeof random);
    (void)snprintf(m->run_id + at, sizeof m->run_id - at, "-%08" PRIx32, random);
}

static enum af_status open_store(struct migration *m, struct af_error *err)
{
    struct af_cli *cli = m->cli;
    AF_TRY(af_cli_open_store(cli, cli->to, af_cli_default_bucket(cli, &m->sources), &m->store, err));
    char version[64];
    struct af_cli_retry retry = { 0 };
    struct af_error why = { 0 };
    for (;;) {
        enum af_status status = af_store_ping(m->store, version, sizeof version, &why);
        if (status == AF_OK && cli->create)
            status = af_store_create(m->store, &why);
        if (status == AF_OK)
            return AF_OK;
        if (!af_cli_try_again(cli, &retry, &why)) {
            *err = why;
            return status;
        }
    }
}

static enum af_status open_all(struct migration *m, struct af_error *err)
{
    AF_TRY(open_store(m, err));
    m->last_parts = af_alloc_zero(m->sources.list.count, sizeof *m->last_parts);
    if (m->last_parts == NULL)
        return af_fail_nomem(err, "the journal");
    AF_TRY(state_dir(m, err));
    AF_TRY(lock_state(m, err));
    AF_TRY(check_spool_owner(m, err));
    AF_TRY(open_journal(m, err));
    return open_sink(m, err);
}

static void close_all(struct migration *m)
{
    af_sink_close(m->sink);
    if (m->journal != NULL && af_journal_sync(m->journal, NULL) != AF_OK)
        af_cli_warn("the journal could not be written; a resumed run will do some work again");
    af_journal_close(m->journal);
    af_file_close(m->lock);
    af_store_close(m->store);
    af_free(m->bad);
    af_free((void *)m->last_parts);
    af_cli_close_sources(&m->sources);
}

/* --- the result ---------------------------------------------------------------------------------------------------------- */

/* The dead letters of the whole migration, whichever of its runs wrote them; NULL: none. */
static const char *dead_letters(const struct migration *m)
{
    const char *path = m->sink != NULL ? af_sink_dead_letters(m->sink) : NULL;
    return path == NULL && m->letters_before != 0 ? m->letters : path;
}

static void json_result(const struct migration *m, const struct af_sink_stats *stats, const struct af_verify_result *verified,
                        struct af_buf *out)
{
    const struct af_ingest_totals *t = &m->totals;
    double seconds = (double)(af_clock_mono_ns() - m->start_ns) / 1e9;
    const char *dead = dead_letters(m);
    uint64_t points = m->cli->dry_run ? t->points : stats->lines_written;
    af_buf_printf(out,
                  "{\"files\":%" PRIu64 ",\"files_bad\":%" PRIu64 ",\"rows_read\":%" PRIu64 ",\"rows_empty\":%" PRIu64
                  ",\"points_written\":%" PRIu64 ",\"values_written\":%" PRIu64 ",\"rows_rejected\":%" PRIu64
                  ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",\"seconds\":%.3f,\"retries\":%" PRIu64
                  ",\"batches_spooled\":%" PRIu64 ",\"lines_waiting\":%" PRIu64
                  ",\"resumed\":%s,\"rejected_before\":%" PRIu64 ",\"dead_letters\":",
                  t->files, t->files_bad + m->bad_before, t->rows_read, t->rows_empty, points, stats->values_put,
                  t->rows_rejected + m->rows_lost + stats->lines_rejected, t->bytes_done, stats->bytes_sent, seconds,
                  stats->retries, stats->batches_spooled, stats->lines_spooled, m->was_resumed ? "true" : "false",
                  m->letters_before);
    if (dead != NULL)
        af_json_escape(out, af_slice_of(dead));
    else
        af_buf_append_str(out, "null");
    af_buf_append_str(out, ",\"verified\":");
    if (verified != NULL)
        af_cli_json_verify(out, verified);
    else
        af_buf_append_str(out, "null");
    af_buf_append_str(out, "}\n");
}

static void print_result(const struct migration *m, const struct af_sink_stats *stats)
{
    const struct af_ingest_totals *t = &m->totals;
    char rows[32], points[32], bytes[32];
    double seconds = (double)(af_clock_mono_ns() - m->start_ns) / 1e9;
    af_cli_print_count(rows, sizeof rows, t->rows_read);
    af_cli_print_count(points, sizeof points, m->cli->dry_run ? t->points : stats->lines_written);
    af_cli_print_bytes(bytes, sizeof bytes, stats->bytes_sent);
    af_cli_say(m->cli, "%s: %" PRIu64 " files, %s rows read, %s points %s%s, %.1f s", m->cli->dry_run ? "dry run" : "done",
               t->files, rows, points, m->cli->dry_run ? "to write, nothing sent" : "written, sent as ",
               m->cli->dry_run ? "" : bytes, seconds);
    uint64_t rejected = t->rows_rejected + m->rows_lost + stats->lines_rejected;
    const char *dead = dead_letters(m);
    if (m->letters_before != 0)
        af_cli_say(m->cli, "%" PRIu64 " dead letters are from before the interruption (a row that was read again has two)",
                   m->letters_before);
    if (rejected != 0)
        af_cli_say(m->cli, "%" PRIu64 " rows rejected%s%s", rejected, dead != NULL ? "; each with its reason in " : "",
                   dead != NULL ? dead : "");
    if (t->files_bad + m->bad_before != 0)
        af_cli_say(m->cli, "%" PRIu64 " files could not be read", t->files_bad + m->bad_before);
    if (t->rows_empty != 0 && m->cli->verbose)
        af_cli_say(m->cli, "%" PRIu64 " rows held no value", t->rows_empty);
}

static int exit_status(const struct migration *m, const struct af_sink_stats *stats, const struct af_verify_result *verified)
{
    const struct af_ingest_totals *t = &m->totals;
    if (verified != NULL && !verified->is_equal)
        return AF_EXIT_DIFFERENT;
    if (t->files != 0 && t->files_bad == t->files)
        return AF_EXIT_FAILED;
    bool rejected = t->rows_rejected + m->rows_lost + stats->lines_rejected + m->letters_before + t->files_bad + m->bad_before != 0;
    return rejected ? AF_EXIT_REJECTED : AF_EXIT_DONE;
}

/* --- the run ------------------------------------------------------------------------------------------------------------- */

static enum af_status transfer(struct migration *m, struct af_error *err)
{
    struct af_ingest_stage stage = { .ctx = m, .scratch_new = lanes_new, .scratch_free = lanes_free, .work = encode,
                                     .deliver = m->sink != NULL ? deliver : NULL };
    m->progress = af_progress_new(m->cli, m->cli->dry_run ? "reading" : "migrating", "rows");
    enum af_status status = af_ingest_run(&m->sources.ingest, &stage, &m->totals, err);
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
    struct af_sink_stats stats = { 0 };
    if (m->sink != NULL)
        af_sink_stats(m->sink, &stats);
    af_cli_warn("%s", err->message);
    bool can_resume = m->journal != NULL && (err->status == AF_ECANCELED || af_status_is_retryable(err->status));
    if (can_resume)
        af_cli_warn("%" PRIu64 " points are written, %" PRIu64 " wait in the spool; the same command with --resume goes on",
                    stats.lines_written, stats.lines_spooled);
    return can_resume ? AF_EXIT_INTERRUPTED : AF_EXIT_FAILED;
}

static int finish(struct migration *m)
{
    struct af_error err = { 0 };
    struct af_sink_stats stats = { 0 };
    struct af_verify_result verified;
    if (m->sink != NULL)
        af_sink_stats(m->sink, &stats);
    print_result(m, &stats);
    bool verify = m->cli->verify && !m->cli->dry_run;
    if (verify) {
        if (af_cli_run_verify(m->cli, &m->sources, m->store, dead_letters(m), &verified, &err) != AF_OK)
            return af_cli_fail(m->cli, &err);
        af_cli_print_verify(m->cli, &verified);
    }
    struct af_buf json;
    af_buf_init(&json, 1 << 20);
    json_result(m, &stats, verify ? &verified : NULL, &json);
    int status = exit_status(m, &stats, verify ? &verified : NULL);
    if (af_cli_write_report(m->cli, af_buf_slice(&json), &err) != AF_OK)
        status = af_cli_fail(m->cli, &err);
    af_buf_done(&json);
    return status;
}

static int run(struct af_cli *cli)
{
    struct migration m = { .cli = cli, .precision = AF_PRECISION_NS, .start_ns = af_clock_mono_ns() };
    struct af_error err = { 0 };
    m.lanes = cli->lanes == 0 ? 2 : cli->lanes < AF_SINK_LANES_MAX ? (uint32_t)cli->lanes : AF_SINK_LANES_MAX;
    make_run_id(&m);
    enum af_status status = af_cli_open_sources(cli, &m.sources, &err);
    if (status != AF_OK)
        return status == AF_EINVAL ? af_cli_usage_error(cli, "%s", err.message) : af_cli_fail(cli, &err);
    m.sources.ingest.ctx = &m;
    m.sources.ingest.bad_source = bad_source;
    m.sources.ingest.mapped = mapped;
    m.sources.ingest.progress = progress;
    if (!cli->dry_run)
        status = open_all(&m, &err);
    int code = AF_EXIT_FAILED;
    if (status != AF_OK)
        code = af_cli_fail(cli, &err);
    else if (transfer(&m, &err) != AF_OK)
        code = interrupted(&m, &err);
    else
        code = finish(&m);
    close_all(&m);
    return code;
}

static int list_datasets(void)
{
    for (const struct af_map_builtin_name *b = af_map_builtins(); b->name != NULL; b++)
        (void)printf("%-24s %s\n", b->name, b->about);
    return AF_EXIT_DONE;
}

int af_cli_migrate(struct af_cli *cli)
{
    return cli->list_datasets ? list_datasets() : run(cli);
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
