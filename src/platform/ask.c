/*
 * ask.c - a query asked of the target.
 *
 *     host:   InfluxQL --> query/, in this process --> tables --> rows
 *     server: InfluxQL --> parsed, allowed, printed anew --> remote/ --> tables --> rows
 *             Flux     --> allowed --> remote/ --> tables --> rows
 *
 * What goes to a server is our own print of what was allowed: nothing hides in what two parsers read differently.
 */
#include "base/limits.h"
#include "os/clock.h"
#include "platform/platform_int.h"
#include "remote/remote.h"
#include <stdio.h>

enum { PARSED_BYTES_MAX = 256 << 20 };

struct asking {
    const struct af_platform *platform;
    const struct platform_query *query;
    struct platform_rows *rows;
    struct platform_failure *failure;
    struct af_query_request request;    /* of `host` */
    uint64_t statements;                /* that `host` was asked for */
    int64_t end_mono_ns;
};

static bool is_late(const struct asking *asking)
{
    return af_clock_mono_ns() >= asking->end_mono_ns;
}

static uint32_t timeout_of(const struct af_platform *platform)
{
    return platform->timeout_ms != 0 ? platform->timeout_ms : AF_PLATFORM_TIMEOUT_MS;
}

/* `status` of a call with `err`, told. */
static enum af_status fail(struct asking *asking, enum af_status status, const struct af_store *store, struct af_error *err)
{
    if (status != AF_OK && status != AF_ENOMEM)
        platform_failure_error(asking->failure, err, store, is_late(asking));
    return status;
}

/* --- in this process --------------------------------------------------------------------------------------------------------- */

/* Asked of every statement by query/: ours first, so that what is refused here is refused to everybody. */
static enum af_status may(void *ctx, const struct af_ql_statement *statement, struct af_error *err)
{
    struct asking *asking = ctx;
    asking->statements++;
    AF_TRY(platform_statement_reads(statement, err));
    return asking->request.may != NULL ? asking->request.may(asking->request.ctx, statement, err) : AF_OK;
}

static enum af_status take(void *taker, uint64_t statement, const struct af_table *table, bool *out_full, struct af_error *err)
{
    struct asking *asking = taker;
    (void)statement;
    AF_TRY(platform_rows_table(asking->rows, table, err));
    *out_full = asking->rows->is_full;
    return AF_OK;
}

static enum af_status run(struct asking *asking, const struct af_query_request *request, struct af_error *err)
{
    struct af_query *query;
    struct af_slice nothing;
    char words[768];
    AF_TRY(fail(asking, af_query_open(asking->platform->host, request, &query, err), NULL, err));
    enum af_status status = AF_OK;
    do {
        status = af_query_next(query, &nothing, err);
    } while (status == AF_OK && nothing.len != 0);
    bool has_failed = status == AF_OK && af_query_failed(query);
    (void)snprintf(words, sizeof words, "%s", af_query_failure(query));
    af_query_close(query);
    if (asking->statements == 0)
        return platform_failure_words(asking->failure, platform_no_statement, err);
    if (has_failed && is_late(asking))
        return platform_failure_words(asking->failure, "query-timeout limit exceeded", err);
    return has_failed ? platform_failure_words(asking->failure, words, err) : fail(asking, status, NULL, err);
}

static enum af_status ask_here(struct asking *asking, const bool *cancel, struct af_error *err)
{
    const struct af_platform *platform = asking->platform;
    const struct platform_query *query = asking->query;
    asking->request = (struct af_query_request){
        .text = query->text, .database = query->database != NULL ? query->database : platform->database, .policy = query->policy,
        .now_ns = af_clock_now_ns(), .timeout_ms = timeout_of(platform), .cancel = cancel, .wire = { .format = AF_WIRE_JSON_LINES },
    };
    if (platform->prepare != NULL)
        platform->prepare(platform->ctx, &asking->request);
    struct af_query_request request = asking->request;
    request.ctx = asking;
    request.may = may;
    request.take = take;
    request.taker = asking;
    return run(asking, &request, err);
}

/* --- of a server ------------------------------------------------------------------------------------------------------------- */

static enum af_status take_parts(struct asking *asking, struct af_remote_answer *answer, const struct af_store *store, struct af_error *err)
{
    const struct af_remote_part *part = NULL;
    do {
        AF_TRY(fail(asking, af_remote_answer_next(answer, &part, err), store, err));
        if (part != NULL && part->words != NULL && strcmp(part->level, "error") == 0)
            return platform_failure_words(asking->failure, part->words, err);
        if (part != NULL && part->table != NULL)
            AF_TRY(platform_rows_table(asking->rows, part->table, err));
    } while (part != NULL && !asking->rows->is_full);
    return AF_OK;
}

/* InfluxDB 1.x before 1.7, and what is no InfluxDB at all. */
static enum af_status fail_flux(struct asking *asking, enum af_status status, const struct af_store *store, struct af_error *err)
{
    if (status != AF_ENOTFOUND || strstr(err->message, "page not found") == NULL)
        return status;
    status = af_fail(err, AF_EUNSUPPORTED, "this InfluxDB (%s) has no Flux; ask in InfluxQL at /query/influxql", af_remote_version(store));
    return fail(asking, status, store, err);
}

static enum af_status ask_flux(struct asking *asking, struct af_store *store, const bool *cancel, struct af_error *err)
{
    struct af_remote_answer *answer;
    AF_TRY(fail(asking, af_remote_ask(store, AF_REMOTE_FLUX, asking->query->text, cancel, &answer, err), store, err));
    enum af_status status = take_parts(asking, answer, store, err);
    af_remote_answer_close(answer);
    return fail_flux(asking, status, store, err);
}

static enum af_status print_statements(const struct af_ql_statement *first, struct af_buf *text, struct af_error *err)
{
    for (const struct af_ql_statement *st = first; st != NULL; st = st->next) {
        af_buf_append_str(text, st == first ? "" : "; ");
        af_ql_print(text, st);
    }
    return af_buf_check(text, "a query", err);
}

static enum af_status ask_influxql(struct asking *asking, struct af_store *store, struct af_slice text, const bool *cancel,
                                   struct af_error *err)
{
    struct af_remote_answer *answer;
    const struct platform_query *query = asking->query;
    AF_TRY(fail(asking, af_remote_ask_of(store, query->database, query->policy, text, cancel, &answer, err), store, err));
    enum af_status status = take_parts(asking, answer, store, err);
    af_remote_answer_close(answer);
    return status;
}

static enum af_status ask_opened(struct asking *asking, struct af_slice text, const bool *cancel, struct af_error *err)
{
    struct af_store *store;
    enum af_status status = asking->platform->open(asking->platform->ctx, cancel, &store, err);
    if (status != AF_OK) {
        platform_failure_open(asking->failure, status);
        return status;
    }
    return asking->query->is_flux ? ask_flux(asking, store, cancel, err) : ask_influxql(asking, store, text, cancel, err);
}

static enum af_status ask_store(struct asking *asking, struct af_slice text, const bool *cancel, struct af_error *err)
{
    struct platform_watch watch;
    AF_TRY(fail(asking, platform_watch_start(&watch, asking->end_mono_ns, cancel, err), NULL, err));
    enum af_status status = ask_opened(asking, text, &watch.flag, err);
    platform_watch_stop(&watch);
    return status;
}

/* What is refused is refused before a store is opened. */
static enum af_status ask_remote(struct asking *asking, const bool *cancel, struct af_error *err)
{
    struct af_arena arena;
    struct af_buf text;
    struct af_ql_statement *first = NULL;
    enum af_status status;
    if (asking->query->is_flux) {
        AF_TRY(fail(asking, af_platform_flux_reads(asking->query->text, err), NULL, err));
        return ask_store(asking, asking->query->text, cancel, err);
    }
    af_arena_init(&arena, PARSED_BYTES_MAX);
    af_buf_init(&text, 8 * AF_PLATFORM_TEXT_BYTES_MAX);
    status = platform_statements_read(asking->query->text, &arena, &first, err);
    if (status == AF_OK)
        status = print_statements(first, &text, err);
    if (status != AF_OK)
        (void)fail(asking, status, NULL, err);
    else
        status = ask_store(asking, af_buf_slice(&text), cancel, err);
    af_buf_done(&text);
    af_arena_done(&arena);
    return status;
}

enum af_status platform_ask(const struct af_platform *platform, const struct platform_query *query, const bool *cancel,
                            struct platform_rows *rows, struct platform_failure *failure, struct af_error *err)
{
    struct asking asking = { .platform = platform, .query = query, .rows = rows, .failure = failure,
                             .end_mono_ns = af_clock_mono_ns() + (int64_t)timeout_of(platform) * 1000000 };
    if (platform->open != NULL)
        return ask_remote(&asking, cancel, err);
    if (!query->is_flux)
        return ask_here(&asking, cancel, err);
    enum af_status status = af_fail(err, AF_EUNSUPPORTED, "Flux can be asked of an InfluxDB 2.x only, not yet of a data directory; ask in "
                                                          "InfluxQL at /query/influxql");
    return fail(&asking, status, NULL, err);
}
