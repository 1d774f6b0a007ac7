/*
 * migration.c - a migration's beginning and end: the state directory, what is opened in it, and the result; see migrate.h.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/json_escape.h"
#include "cli/migrate.h"
#include "os/clock.h"
#include "os/file.h"
#include "server/server.h"
#include <inttypes.h>
#include <stdlib.h>

enum { LANES_DEFAULT = 2 };

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

/* Into a directory that is ours alone, without text: the sink is there for dead letters only. */
static bool is_build(const struct migration *m)
{
    return m->cli->is_bulk && af_house_of_store(m->store) != NULL;
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
    if (blocks != 0 && is_build(m))
        return af_fail(err, AF_EINVAL, "%s holds %" PRIu64 " blocks that an earlier run left: put them in first, with "
                       "`afluxo write` and an empty pipe", spool, blocks);
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
    af_buf_printf(&text, "|%s|%s|%d%d|%s", m->cli->measurement != NULL ? m->cli->measurement : "",
                  m->cli->time_zone != NULL ? m->cli->time_zone : "", m->cli->infer, m->cli->allow_unsigned,
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

enum af_status migration_open_sink(struct migration *m, struct af_error *err)
{
    struct af_cli *cli = m->cli;
    char spool[AF_PATH_BYTES_MAX + 16];
    (void)snprintf(spool, sizeof spool, "%s/spool", m->state);
    size_t batch_bytes = cli->batch_bytes != 0 ? (size_t)cli->batch_bytes : af_load_batch_bytes(cli->memory, m->lanes);
    struct af_sink_options options = {
        .lanes = is_build(m) ? 1 : m->lanes, .batch_lines = cli->batch_lines, .batch_bytes = batch_bytes, .lines_per_s = cli->rate,
        .precision_ns = af_precision_ns(m->precision), .batch_budget_ms = af_cli_ms(cli->retry_budget_ms),
        .patience_ms = af_cli_ms(cli->patience_ms), .spool_dir = cli->no_spool || is_build(m) ? NULL : spool,
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

void migration_init(struct migration *m, struct af_cli *cli, uint32_t lanes)
{
    uint64_t wanted = lanes != 0 ? lanes : cli->lanes != 0 ? cli->lanes : LANES_DEFAULT;
    *m = (struct migration){ .cli = cli, .precision = AF_PRECISION_NS, .start_ns = af_clock_mono_ns(),
                             .lanes = wanted < AF_SINK_LANES_MAX ? (uint32_t)wanted : AF_SINK_LANES_MAX };
    make_run_id(m);
}

enum af_status migration_open_store(struct af_cli *cli, const char *default_bucket, struct af_store **out, struct af_error *err)
{
    AF_TRY(af_cli_open_store(cli, cli->to, default_bucket, out, err));
    char version[64];
    struct af_cli_retry retry = { 0 };
    struct af_error why = { 0 };
    for (;;) {
        enum af_status status = af_store_ping(*out, version, sizeof version, &why);
        if (status == AF_OK && cli->create)
            status = af_store_create(*out, &why);
        if (status == AF_OK)
            return AF_OK;
        if (!af_cli_try_again(cli, &retry, &why)) {
            *err = why;
            return status;
        }
    }
}

enum af_status migration_open_state(struct migration *m, struct af_error *err)
{
    AF_TRY(migration_open_store(m->cli, af_cli_default_bucket(m->cli, &m->sources), &m->store, err));
    AF_TRY(state_dir(m, err));
    AF_TRY(lock_state(m, err));
    return check_spool_owner(m, err);
}

enum af_status migration_open(struct migration *m, struct af_error *err)
{
    AF_TRY(migration_open_state(m, err));
    m->last_parts = af_alloc_zero(m->sources.list.count, sizeof *m->last_parts);
    if (m->last_parts == NULL)
        return af_fail_nomem(err, "the journal");
    AF_TRY(open_journal(m, err));
    AF_TRY(migration_open_sink(m, err));
    return is_build(m) ? build_new(m, &m->build, err) : AF_OK;
}

void migration_close(struct migration *m)
{
    build_free(m->build);
    af_sink_close(m->sink);
    if (m->journal != NULL && af_journal_sync(m->journal, NULL) != AF_OK)
        af_cli_warn("the journal could not be written; a resumed run will do some work again");
    af_journal_close(m->journal);
    af_file_close(m->lock);
    af_store_close(m->store);
    af_free((void *)m->last_parts);
    af_cli_close_sources(&m->sources);
}

void migration_stats(const struct migration *m, struct af_sink_stats *out)
{
    *out = (struct af_sink_stats){ 0 };
    if (m->sink != NULL)
        af_sink_stats(m->sink, out);
    if (m->build != NULL)
        build_stats(m->build, out);
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
                  t->rows_rejected + t->rows_lost + stats->lines_rejected, t->bytes_done, stats->bytes_sent, seconds,
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
    af_cli_say(m->cli, "%s: %" PRIu64 " file%s, %s rows read, %s points %s%s, %.1f s", m->cli->dry_run ? "dry run" : "done",
               t->files, af_cli_plural(t->files), rows, points,
               m->cli->dry_run ? "to write, nothing sent" : m->build != NULL ? "written as " : "written, sent as ",
               m->cli->dry_run ? "" : bytes, seconds);
    uint64_t rejected = t->rows_rejected + t->rows_lost + stats->lines_rejected;
    const char *dead = dead_letters(m);
    if (m->letters_before != 0)
        af_cli_say(m->cli, "%" PRIu64 " dead letters are from before the interruption (a row that was read again has two)",
                   m->letters_before);
    if (rejected != 0)
        af_cli_say(m->cli, "%" PRIu64 " row%s rejected%s%s", rejected, af_cli_plural(rejected),
                   dead != NULL ? "; each with its reason in " : "", dead != NULL ? dead : "");
    if (t->files_bad + m->bad_before != 0)
        af_cli_say(m->cli, "%" PRIu64 " file%s could not be read", t->files_bad + m->bad_before,
                   af_cli_plural(t->files_bad + m->bad_before));
    if (t->rows_empty != 0)
        af_cli_say(m->cli, "%" PRIu64 " row%s held no value and made no point", t->rows_empty, af_cli_plural(t->rows_empty));
}

static int exit_status(const struct migration *m, const struct af_sink_stats *stats, const struct af_verify_result *verified)
{
    const struct af_ingest_totals *t = &m->totals;
    if (verified != NULL && !verified->is_equal)
        return AF_EXIT_DIFFERENT;
    if (t->files != 0 && t->files_bad == t->files)
        return AF_EXIT_FAILED;
    uint64_t unread = t->files_bad + m->bad_before + t->parts_lost;
    bool rejected = t->rows_rejected + t->rows_lost + stats->lines_rejected + m->letters_before + unread != 0;
    return rejected ? AF_EXIT_REJECTED : AF_EXIT_DONE;
}
int migration_finish(struct migration *m)
{
    struct af_error err = { 0 };
    struct af_sink_stats stats;
    struct af_verify_result verified;
    migration_stats(m, &stats);
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
