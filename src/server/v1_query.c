/*
 * v1_query.c - InfluxDB 1.x's /query: several statements, each with its result; who may what; InfluxDB's JSON.
 *
 *     {"results":[{"statement_id":0,"series":[...]},{"statement_id":1,"error":"..."}]}
 *
 * All statements are read and allowed before the first is carried out; the first that fails ends the query, the rest is "not executed".
 * This version carries out statements of management; those that ask for data answer with an error that says so.
 */
#include "server/v1_query.h"
#include "base/limits.h"
#include "os/clock.h"
#include "server/v2.h"

enum { ANSWER_BYTES_MAX = 256 << 20 };

/* --- the whole query refused ------------------------------------------------------------------------------------------------------ */

static bool is_pretty(struct af_request *r)
{
    const char *pretty = af_serve_arg(r->http, "pretty");
    return pretty != NULL && strcmp(pretty, "true") == 0;
}

static void put_body(struct af_request *r, struct af_slice json)
{
    af_buf_clear(&r->answer->body);
    if (is_pretty(r))
        v1_prettify(json, &r->answer->body);
    else
        af_buf_append_slice(&r->answer->body, json);
}

/* As af_answer_fail, with the body escaped and spaced as InfluxDB has it here. */
static void refuse(struct af_request *r, int http_status, const char *words)
{
    struct af_buf json;
    af_answer_fail(r, http_status, "%s", words);
    af_buf_init(&json, SIZE_MAX / 2);
    af_buf_append_str(&json, "{\"error\":");
    v1_text(&json, af_slice_of(words));
    af_buf_append_str(&json, "}\n");
    if (!json.failed)
        put_body(r, af_buf_slice(&json));
    af_buf_done(&json);
}

/* --- may they ------------------------------------------------------------------------------------------------------------------ */

enum need { NEED_NOTHING, NEED_ADMIN, NEED_MANAGE, NEED_READ, NEED_WRITE };

static enum need need_of(const struct v1_statement *st)
{
    switch (st->kind) {
    case V1_CREATE_DATABASE:
    case V1_DROP_DATABASE:
    case V1_CREATE_POLICY:
    case V1_ALTER_POLICY:
    case V1_DROP_POLICY: return NEED_MANAGE;
    case V1_CREATE_USER:
    case V1_DROP_USER:
    case V1_SET_PASSWORD:
    case V1_SHOW_USERS:
    case V1_GRANT:
    case V1_GRANT_ADMIN:
    case V1_REVOKE:
    case V1_REVOKE_ADMIN:
    case V1_SHOW_GRANTS:
    case V1_SHOW_STATS:
    case V1_SHOW_DIAGNOSTICS: return NEED_ADMIN;
    case V1_DELETE:
    case V1_DROP_SERIES:
    case V1_DROP_MEASUREMENT: return NEED_WRITE;
    case V1_SHOW_MEASUREMENTS:
    case V1_SHOW_TAG_KEYS:
    case V1_SHOW_TAG_VALUES:
    case V1_SHOW_FIELD_KEYS:
    case V1_SHOW_SERIES: return NEED_READ;
    default: return NEED_NOTHING; /* they show what may be seen */
    }
}

/* Changes things: a GET of it is warned of. */
static bool is_change(const struct v1_statement *st)
{
    enum need need = need_of(st);
    bool is_shown = st->kind == V1_SHOW_USERS || st->kind == V1_SHOW_GRANTS || st->kind == V1_SHOW_STATS || st->kind == V1_SHOW_DIAGNOSTICS;
    return (need == NEED_ADMIN && !is_shown) || need == NEED_MANAGE || need == NEED_WRITE;
}

/* Reading takes one bucket of the database, the others are not looked at; writing takes all of them. */
static enum af_status may_database(struct v1_run *run, const struct v1_statement *st, enum af_action action, bool *out,
                                   struct af_error *err)
{
    struct v1_policy *policies;
    size_t count, allowed = 0;
    const char *database = v1_database_of(run, st);
    *out = true;
    if (database == NULL)
        return AF_OK; /* "database name required" comes from the statement */
    AF_TRY(v1_policies(run, database, &policies, &count, err));
    for (size_t i = 0; i < count; i++)
        allowed += af_principal_may(&run->request->who, action, "buckets", policies[i].bucket.org, policies[i].bucket.id);
    *out = action == AF_ACTION_READ ? allowed > 0 || count == 0 : allowed == count;
    return AF_OK;
}

static const char *words_of(struct v1_run *run, const struct v1_statement *st)
{
    const char *words;
    if (st->password == NULL)
        words = af_arena_copy(run->arena, st->text);
    else
        words = af_arena_printf(run->arena, "%s %s%s", st->kind == V1_SET_PASSWORD ? "SET PASSWORD FOR" : "CREATE USER", st->user,
                                st->kind == V1_SET_PASSWORD ? " = [REDACTED]" : " WITH PASSWORD [REDACTED]");
    return words != NULL ? words : "";
}

static const char *name_of(const struct v1_run *run)
{
    const char *name = run->request->who.name != NULL ? run->request->who.name : "";
    return strncmp(name, "user ", 5) == 0 ? name + 5 : name;
}

static bool may(struct v1_run *run, const struct v1_statement *st)
{
    struct af_request *r = run->request;
    enum need need = need_of(st);
    struct af_error err = { 0 };
    bool is_allowed = true;
    if (r->who.is_everybody || need == NEED_NOTHING)
        return true;
    if (need == NEED_ADMIN) /* who makes users can make one that may everything: it takes all of that */
        is_allowed = v2_is_operator(r);
    else if (need == NEED_MANAGE)
        is_allowed = !v2_is_granted_only(r) && af_principal_may(&r->who, AF_ACTION_WRITE, "buckets", run->org.id, 0);
    else if (may_database(run, st, need == NEED_READ ? AF_ACTION_READ : AF_ACTION_WRITE, &is_allowed, &err) != AF_OK) {
        af_answer_error(r, &err);
        return false;
    }
    if (is_allowed)
        return true;
    const char *words = words_of(run, st);
    const char *database = v1_database_of(run, st);
    bool is_admin = need == NEED_ADMIN || need == NEED_MANAGE;
    af_audit(r, "denied", "%s", words);
    const char *needed = is_admin ? "admin privilege" : need == NEED_READ ? "READ on " : "WRITE on ";
    const char *refusal = af_arena_printf(r->arena, "error authorizing query: %s not authorized to execute statement '%s', requires %s%s",
                                          name_of(run), words, needed, is_admin || database == NULL ? "" : database);
    refuse(r, 403, refusal != NULL ? refusal : "error authorizing query");
    return false;
}

/* --- carrying out ---------------------------------------------------------------------------------------------------------------- */

static enum af_status run_statement(struct v1_run *run, const struct v1_statement *st, struct af_error *err)
{
    switch (st->kind) {
    case V1_OTHER: return af_fail(err, AF_EUNSUPPORTED, "%s: this version does not execute this statement yet", words_of(run, st));
    case V1_CREATE_DATABASE:
    case V1_DROP_DATABASE:
    case V1_SHOW_DATABASES:
    case V1_SHOW_CONTINUOUS_QUERIES: return v1_run_database(run, st, err);
    case V1_CREATE_POLICY:
    case V1_ALTER_POLICY:
    case V1_DROP_POLICY:
    case V1_SHOW_POLICIES: return v1_run_policy(run, st, err);
    case V1_CREATE_USER:
    case V1_DROP_USER:
    case V1_SET_PASSWORD:
    case V1_SHOW_USERS:
    case V1_GRANT:
    case V1_GRANT_ADMIN:
    case V1_REVOKE:
    case V1_REVOKE_ADMIN:
    case V1_SHOW_GRANTS: return v1_run_user(run, st, err);
    case V1_DELETE:
    case V1_DROP_SERIES:
    case V1_DROP_MEASUREMENT: return v1_run_erase(run, st, err);
    default: return v1_run_show(run, st, err);
    }
}

static void print_warning(struct v1_run *run, const struct v1_statement *st)
{
    const char *text = af_arena_printf(run->arena, "deprecated use of '%s' in a read only context, please use a POST request instead",
                                       words_of(run, st));
    af_buf_append_str(run->out, ",\"messages\":[{\"level\":\"warning\",\"text\":");
    v1_text(run->out, af_slice_of(text != NULL ? text : ""));
    af_buf_append_str(run->out, "}]");
}

static enum af_status run_one(struct v1_run *run, const struct v1_statement *st, bool is_get)
{
    struct af_error err = { 0 };
    size_t mark = run->out->len;
    run->series_count = 0;
    enum af_status status = run_statement(run, st, &err);
    if (status == AF_OK)
        status = af_buf_check(run->out, "the answer", &err);
    if (status != AF_OK)
        af_buf_rewind(run->out, mark);
    else if (run->series_count != 0)
        af_buf_append_char(run->out, ']');
    if (is_get && is_change(st))
        print_warning(run, st);
    if (status != AF_OK) {
        af_buf_append_str(run->out, ",\"error\":");
        v1_text(run->out, af_slice_of(err.message));
    }
    return status;
}

static void run_all(struct v1_run *run, const struct v1_statement *first, bool is_get)
{
    enum af_status status = AF_OK;
    size_t id = 0;
    if (first == NULL) {
        af_buf_append_str(run->out, "{}\n");
        return;
    }
    af_buf_append_str(run->out, "{\"results\":[");
    for (const struct v1_statement *st = first; st != NULL; st = st->next, id++) {
        af_buf_printf(run->out, "%s{\"statement_id\":%zu", id != 0 ? "," : "", id);
        if (status == AF_OK)
            status = run_one(run, st, is_get);
        else
            af_buf_append_str(run->out, ",\"error\":\"not executed\"");
        af_buf_append_char(run->out, '}');
    }
    af_buf_append_str(run->out, "]}\n");
}

/* --- the request ------------------------------------------------------------------------------------------------------------------- */

static void answer(struct af_request *r, struct af_buf *json)
{
    if (json->failed) {
        af_answer_fail(r, 500, "the answer is larger than %d bytes, or memory has run out: ask for less (LIMIT)", ANSWER_BYTES_MAX);
        return;
    }
    r->answer->status = 200;
    r->answer->content_type = "application/json";
    put_body(r, af_buf_slice(json));
}

static bool read_query(struct af_request *r, struct v1_statement **out)
{
    const char *text = af_serve_form(r->http, "q");
    struct af_error err = { 0 };
    if (text == NULL || text[0] == '\0') {
        refuse(r, 400, "missing required parameter \"q\"");
        return false;
    }
    if (strlen(text) > AF_SERVER_TEXT_BYTES_MAX) {
        refuse(r, 413, "the query is too large");
        return false;
    }
    enum af_status status = v1_statements_parse(af_slice_of(text), af_clock_now_ns(), r->arena, out, &err);
    if (status != AF_OK)
        refuse(r, status == AF_EINVAL || status == AF_ELIMIT ? 400 : 503, err.message);
    return status == AF_OK;
}

static void handle_query(struct af_request *r)
{
    struct v1_statement *statements = NULL;
    struct v1_run run = { .request = r, .arena = r->arena, .meta = r->house->meta, .database = af_serve_form(r->http, "db") };
    struct af_buf out;
    if (!read_query(r, &statements) || !af_request_org(r, &run.org))
        return;
    for (const struct v1_statement *st = statements; st != NULL; st = st->next)
        if (!may(&run, st))
            return;
    af_buf_init(&out, ANSWER_BYTES_MAX);
    run.out = &out;
    run_all(&run, statements, strcmp(r->http->method, "POST") != 0);
    answer(r, &out);
    af_buf_done(&out);
}

const struct af_route af_routes_v1_query[] = {
    { "GET,POST", "/query", AF_API_V1, AF_ACCESS_TOKEN, handle_query },
    { NULL, NULL, AF_API_V1, AF_ACCESS_TOKEN, NULL },
};
