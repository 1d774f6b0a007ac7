/*
 * query.c - a request: its statements one after the other, each with its result; the first that fails ends it, the others are "not
 * executed".
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "os/clock.h"
#include "query/query_int.h"
#include <stdio.h>

enum { SEND_BYTES = 64 << 10 };

struct af_query {
    struct query work;                   /* of the statement at hand */
    const struct af_query_request *request;
    struct query_running *running;
    struct af_arena text_arena;          /* the statements */
    struct af_arena arena;               /* of the statement at hand */
    struct af_arena batch_arena;         /* of a table */
    const struct af_ql_statement *first, *st; /* st: the one at hand or the next one; NULL: all done */
    uint64_t id;
    struct af_tables *tables;            /* of the statement at hand; NULL: it is not begun */
    struct af_buf out;
    size_t given;                        /* bytes of `out` that the last call gave */
    struct af_wire *wire;
    bool is_begun, is_ended, has_failed;
    bool is_full;                        /* rows_max is reached */
    bool has_sent;                       /* something of the answer was given */
    char failure[768];                   /* words of the first statement that failed */
};

/* --- kinds of statements -------------------------------------------------------------------------------------------------------------- */

static bool is_change(const struct af_ql_statement *st)
{
    switch (st->kind) {
    case AF_QL_SELECT: return st->select->target != NULL;
    case AF_QL_DELETE:
    case AF_QL_KILL_QUERY: return false; /* InfluxDB does not warn of them */
    default: return st->kind >= AF_QL_DROP_SERIES && st->kind < AF_QL_KILL_QUERY;
    }
}

enum af_status query_database(const struct query *query, const struct af_ql_statement *statement, const char **out, struct af_error *err)
{
    const char *database = statement->database;
    if ((database == NULL || database[0] == '\0') && statement->source_count != 0)
        database = statement->sources[0].database;
    if (database == NULL || database[0] == '\0')
        database = query->request->database;
    if (database == NULL || database[0] == '\0')
        return af_fail(err, AF_EINVAL, "database name required");
    *out = database;
    return AF_OK;
}

static enum af_status run_into(struct query *query, const struct af_ql_select *select, struct af_tables **out, struct af_error *err)
{
    static const char *const columns[] = { "time", "written" };
    uint64_t written = 0;
    AF_TRY(query_into(query, select, &written, err));
    struct af_made *made = af_made_new(query->arena);
    if (made == NULL)
        return af_fail_nomem(err, "an answer");
    af_made_begin(made, "result", 2, columns);
    af_made_cell(made, af_value_time(0));
    af_made_cell(made, af_value_i64((int64_t)written));
    return af_made_finish(made, out, err);
}

static enum af_status run_select(struct af_query *query, const struct af_ql_select *tree, struct af_tables **out, struct af_error *err)
{
    struct query_select *select;
    AF_TRY(query_select_open(&query->work, tree, false, &select, err));
    if (tree->zone_name != NULL)
        af_wire_zone(query->wire, &query_select_lowered(select)->zone);
    *out = query_select_tables(select);
    return AF_OK;
}

static enum af_status tables_of(struct af_query *query, const struct af_ql_statement *st, struct af_tables **out, struct af_error *err)
{
    struct query *work = &query->work;
    *out = NULL;
    if (st->kind == AF_QL_SELECT)
        return st->select->target != NULL ? run_into(work, st->select, out, err) : run_select(query, st->select, out, err);
    if (st->kind == AF_QL_EXPLAIN || st->kind == AF_QL_EXPLAIN_ANALYZE)
        return query_explain(work, st, out, err);
    if (st->kind == AF_QL_SHOW_QUERIES)
        return query_list_show(query->request->list, work->arena, out, err);
    if (st->kind == AF_QL_KILL_QUERY)
        return query_list_kill(query->request->list, st->id, err);
    if (query_is_show(st))
        return query_show(work, st, out, err);
    if (query_is_erase(st))
        return query_erase(work, st, err);
    return work->host->administer(work->host->ctx, st, query->request->database, work->arena, out, err);
}

/* --- results -------------------------------------------------------------------------------------------------------------------------- */

static size_t warning_of(const struct af_query *query, struct af_arena *arena, struct af_wire_message *out)
{
    struct af_buf text;
    if (!query->request->is_read_only || !is_change(query->st))
        return 0;
    af_buf_init(&text, AF_SERVER_TEXT_BYTES_MAX);
    af_buf_append_str(&text, "deprecated use of '");
    if (query->st->kind == AF_QL_SELECT)
        query_into_print(&query->work, query->st->select, &text);
    else
        af_ql_print(&text, query->st);
    af_buf_append_str(&text, "' in a read only context, please use a POST request instead");
    *out = (struct af_wire_message){ "warning", text.failed ? NULL : af_arena_copy(arena, af_buf_slice(&text)) };
    af_buf_done(&text);
    return out->text != NULL;
}

/* Chunked, lists of names are not cut as rows are. */
static enum af_wire_cut cut_of(const struct af_ql_statement *st)
{
    switch (st->kind) {
    case AF_QL_SHOW_SERIES:
    case AF_QL_SHOW_FIELD_KEYS: return AF_WIRE_BY_ROWS;
    case AF_QL_SHOW_TAG_KEYS:
    case AF_QL_SHOW_TAG_VALUES: return AF_WIRE_BY_SERIES;
    case AF_QL_SELECT: return st->select->target == NULL ? AF_WIRE_BY_ROWS : AF_WIRE_UNCUT;
    default: return query_is_show(st) && st->kind != AF_QL_SHOW_MEASUREMENTS ? AF_WIRE_BY_ROWS : AF_WIRE_UNCUT;
    }
}

/* The words of a query that was stopped, as InfluxDB has them. */
static const char *words_of(const struct af_query *query, enum af_status status, const struct af_error *err)
{
    int64_t deadline = query->work.deadline_mono_ns;
    if (status != AF_ECANCELED)
        return err->message;
    if (query_running_is_killed(query->running))
        return "query killed";
    return deadline != 0 && af_clock_mono_ns() >= deadline ? "query-timeout limit exceeded" : "query interrupted";
}

static void end_statement(struct af_query *query, enum af_status status, const struct af_error *why)
{
    struct af_wire_message message;
    size_t messages = status == AF_OK ? warning_of(query, &query->arena, &message) : 0;
    const char *words = status != AF_OK ? words_of(query, status, why) : NULL;
    af_wire_statement_end(query->wire, &message, messages, words);
    if (words != NULL && !query->has_failed)
        (void)snprintf(query->failure, sizeof query->failure, "%s", words);
    af_tables_close(query->tables);
    query->tables = NULL;
    query->is_begun = false;
    query->has_failed |= status != AF_OK;
    query->st = query->st->next;
    query->id++;
    af_arena_reset(&query->arena);
}

/* The first that fails ends the request. */
static void skip_statement(struct af_query *query)
{
    af_wire_statement(query->wire, query->id++);
    af_wire_statement_end(query->wire, NULL, 0, "not executed");
    query->st = query->st->next;
}

static enum af_status begin_statement(struct af_query *query, struct af_error *err)
{
    af_wire_statement(query->wire, query->id);
    af_wire_cut(query->wire, cut_of(query->st));
    query->is_begun = true;
    return query->is_full ? AF_OK : tables_of(query, query->st, &query->tables, err);
}

/* One table of the statement at hand; *out_more false: it has no more. */
static enum af_status put_table(struct af_query *query, bool *out_more, struct af_error *err)
{
    const struct af_table *table = NULL;
    *out_more = false;
    if (query->tables == NULL || query->is_full)
        return AF_OK;
    af_arena_reset(&query->batch_arena);
    AF_TRY(af_tables_next(query->tables, &query->batch_arena, &table, err));
    *out_more = table != NULL;
    if (table != NULL && query->request->take != NULL)
        return query->request->take(query->request->taker, query->id, table, &query->is_full, err);
    return table != NULL ? af_wire_table(query->wire, table, &query->is_full, err) : AF_OK;
}

/* A number that the format has no word for: InfluxDB then has no answer but this, whatever else was asked. */
static void refuse_all(struct af_query *query, const char *words)
{
    af_tables_close(query->tables);
    query->tables = NULL;
    query->st = NULL;
    query->is_ended = query->has_failed = true;
    af_buf_clear(&query->out);
    af_wire_refusal(&query->out, &query->request->wire, words);
    af_wire_settle(query->wire);
}

static bool has_one_answer(const struct af_query *query)
{
    return query->request->wire.format == AF_WIRE_V1_JSON && !query->request->wire.chunked && !query->has_sent;
}

/* A little further: a statement begun, a table put, a statement ended. */
static void step(struct af_query *query)
{
    struct af_error why = { 0 };
    bool more = true;
    if (query->has_failed) {
        skip_statement(query);
        return;
    }
    bool is_table = query->is_begun;
    enum af_status status = is_table ? put_table(query, &more, &why) : begin_statement(query, &why);
    if (status == AF_EINVAL && is_table && more && has_one_answer(query)) /* a table that is there and cannot be printed */
        refuse_all(query, why.message);
    else if (status != AF_OK || !more)
        end_statement(query, status, &why);
}

enum af_status af_query_next(struct af_query *query, struct af_slice *out, struct af_error *err)
{
    af_wire_taken(query->wire, query->given);
    query->given = 0;
    while (query->st != NULL && af_wire_ready(query->wire) < SEND_BYTES && !query->out.failed)
        step(query);
    if (query->st == NULL && !query->is_ended && !query->out.failed) {
        af_wire_end(query->wire);
        query->is_ended = true;
    }
    AF_TRY(af_buf_check(&query->out, "the answer", err));
    query->given = af_wire_ready(query->wire);
    query->has_sent |= query->given != 0;
    *out = (struct af_slice){ query->out.ptr, query->given };
    return AF_OK;
}

bool af_query_is_done(const struct af_query *query)
{
    return query->is_ended && query->given == query->out.len;
}

bool af_query_failed(const struct af_query *query)
{
    return query->has_failed;
}

/* --- the request ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status parse(struct af_query *query, struct af_error *err)
{
    const struct af_query_request *request = query->request;
    struct query_params params;
    struct af_ql_statement *first = NULL;
    AF_TRY(query_params_read(request->params_json, &query->text_arena, &params, err));
    enum af_status status = af_ql_parse(request->text, &params.params, &query->text_arena, &first, err);
    if (status == AF_EINVAL || status == AF_ELIMIT)
        af_error_prefix(err, "error parsing query: ");
    AF_TRY(status);
    for (const struct af_ql_statement *st = first; st != NULL && request->may != NULL; st = st->next)
        AF_TRY(request->may(request->ctx, st, err));
    query->first = query->st = first;
    return AF_OK;
}

/* As SHOW QUERIES tells it to others: printed anew, so without passwords. */
static enum af_status enter_list(struct af_query *query, struct af_error *err)
{
    struct af_buf text;
    const struct af_query_request *request = query->request;
    if (request->list == NULL)
        return AF_OK;
    af_buf_init(&text, 2 * AF_SERVER_TEXT_BYTES_MAX);
    for (const struct af_ql_statement *st = query->first; st != NULL; st = st->next) {
        if (text.len != 0)
            af_buf_append_str(&text, "; ");
        af_ql_print(&text, st);
    }
    enum af_status status = af_buf_check(&text, "a query's text", err);
    if (status == AF_OK)
        status = query_list_enter(request->list, af_buf_slice(&text), request, query->work.deadline_mono_ns, &query->running, err);
    af_buf_done(&text);
    return status;
}

static enum af_status open_query(struct af_query *query, struct af_error *err)
{
    const struct af_query_request *request = query->request;
    AF_TRY(parse(query, err));
    AF_TRY(af_wire_new(&request->wire, &query->out, &query->wire, err));
    query->work.deadline_mono_ns = query_deadline(request);
    AF_TRY(enter_list(query, err));
    query->work.cancel = query->running != NULL ? query_running_stopped(query->running) : request->cancel;
    if (query->first == NULL && request->wire.format == AF_WIRE_V1_JSON) { /* no statement: no results */
        if (!request->wire.chunked)
            af_buf_append_str(&query->out, "{}\n");
        query->is_ended = true;
        af_wire_settle(query->wire);
    } else {
        af_wire_begin(query->wire);
    }
    return AF_OK;
}

enum af_status af_query_open(const struct af_query_host *host, const struct af_query_request *request, struct af_query **out,
                             struct af_error *err)
{
    struct af_query *query = af_alloc_zero(1, sizeof *query);
    if (query == NULL)
        return af_fail_nomem(err, "a query");
    query->request = request;
    query->work = (struct query){ .host = host, .request = request, .arena = &query->arena };
    af_arena_init(&query->text_arena, SIZE_MAX / 2);
    af_arena_init(&query->arena, SIZE_MAX / 2);
    af_arena_init(&query->batch_arena, SIZE_MAX / 2);
    af_buf_init(&query->out, AF_QUERY_ANSWER_BYTES_MAX);
    enum af_status status = open_query(query, err);
    if (status != AF_OK) {
        af_query_close(query);
        return status;
    }
    *out = query;
    return AF_OK;
}

const char *af_query_failure(const struct af_query *query)
{
    return query->failure;
}

void af_query_close(struct af_query *query)
{
    if (query == NULL)
        return;
    af_tables_close(query->tables);
    query_list_leave(query->request->list, query->running, query->has_failed || query->st != NULL);
    af_wire_free(query->wire);
    af_buf_done(&query->out);
    af_arena_done(&query->batch_arena);
    af_arena_done(&query->arena);
    af_arena_done(&query->text_arena);
    af_free(query);
}
