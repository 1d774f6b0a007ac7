/*
 * parse.c - InfluxQL, a text of statements: which words begin which statement, and the small pieces that all of them share.
 *
 *     parse.c         the tables of first words, names, numbers, durations
 *     parse_select.c  SELECT and its clauses, which other statements use too
 *     parse_expr.c    expressions
 *     parse_show.c, parse_manage.c   the other statements
 *
 * A descent without going back: every function leaves the reader behind what it read, and gives a token back (unscan) that is not its own.
 * Errors name the token that was found and what could have stood there, in InfluxDB's words and order, as people search for them.
 */
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "lang/influxql/parse_int.h"
#include <stdarg.h>
#include <stdio.h>

/* --- errors ---------------------------------------------------------------------------------------------------------------------- */

enum af_status af_ql_fault(struct af_ql_parser *p, struct af_ql_pos pos, const char *fmt, ...)
{
    if (p->lex.status != AF_OK)
        return p->lex.status;
    char words[740];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    uint32_t line = pos.line + 1, column = pos.column + 1;
    return af_fail_at(p->err, AF_EINVAL, line, column, "%s at line %u, char %u", words, line, column);
}

enum af_status af_ql_unexpected(struct af_ql_parser *p, const struct af_ql_token *found, const char *expected)
{
    struct af_slice what = found->lit.len != 0 ? found->lit : af_slice_of(af_ql_token_text(found->kind));
    if (what.len > 480)
        what.len = 480;
    return af_ql_fault(p, found->pos, "found %.*s, expected %s", AF_SLICE_ARG(what), expected);
}

enum af_status af_ql_nomem(struct af_ql_parser *p)
{
    return af_arena_fail(p->arena, p->wanted, "a query's statements", p->err);
}

void *af_ql_zero(struct af_ql_parser *p, size_t count, size_t bytes)
{
    p->wanted = count * bytes;
    return af_arena_zero(p->arena, count, bytes);
}

void *af_ql_grow(struct af_ql_parser *p, void *items, size_t count, size_t item_bytes)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return items;
    size_t cap = count == 0 ? 1 : count * 2;
    char *grown = af_ql_zero(p, cap, item_bytes);
    if (grown != NULL && count != 0)
        memcpy(grown, items, count * item_bytes);
    return grown;
}

enum af_status af_ql_enter(struct af_ql_parser *p)
{
    if (p->depth >= AF_QUERY_DEPTH_MAX)
        return af_fail(p->err, AF_ELIMIT, "the query is nested deeper than %d; take parentheses or subqueries away", AF_QUERY_DEPTH_MAX);
    p->depth++;
    return AF_OK;
}

/* --- small pieces ---------------------------------------------------------------------------------------------------------------- */

bool af_ql_accept(struct af_ql_parser *p, enum af_ql_token_kind kind)
{
    if (af_ql_scan_skip(&p->lex)->kind == kind)
        return true;
    af_ql_unscan(&p->lex);
    return false;
}

enum af_status af_ql_require(struct af_ql_parser *p, enum af_ql_token_kind kind)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    return found->kind == kind ? AF_OK : af_ql_unexpected(p, found, af_ql_token_text(kind));
}

enum af_status af_ql_parse_name(struct af_ql_parser *p, const char **out)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    if (found->kind != AF_QL_T_IDENT)
        return af_ql_unexpected(p, found, "identifier");
    *out = found->lit.ptr;
    return AF_OK;
}

enum af_status af_ql_parse_optional_name(struct af_ql_parser *p, enum af_ql_token_kind before, const char **out)
{
    if (!af_ql_accept(p, before))
        return AF_OK;
    AF_TRY(af_ql_parse_name(p, out));
    *out = af_ql_or_null(*out);
    return AF_OK;
}

enum af_status af_ql_parse_text(struct af_ql_parser *p, const char **out)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    if (found->kind != AF_QL_T_STRING)
        return af_ql_unexpected(p, found, "string");
    *out = found->lit.ptr;
    return AF_OK;
}

enum af_status af_ql_parse_count(struct af_ql_parser *p, int64_t min, int64_t max, int64_t *out)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    int64_t value;
    if (found->kind != AF_QL_T_INTEGER)
        return af_ql_unexpected(p, found, "integer");
    if (!af_i64_parse(found->lit, &value))
        return af_ql_fault(p, found->pos, "strconv.Atoi: parsing \"%.*s\": value out of range", AF_SLICE_ARG(found->lit));
    if (value < min || value > max)
        return af_ql_fault(p, found->pos, "invalid value %lld: must be %lld <= n <= %lld", (long long)value, (long long)min,
                           (long long)max);
    *out = value;
    return AF_OK;
}

enum af_status af_ql_parse_id(struct af_ql_parser *p, uint64_t *out)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    if (found->kind != AF_QL_T_INTEGER)
        return af_ql_unexpected(p, found, "integer");
    if (!af_u64_parse(found->lit, out)) {
        bool is_negative = found->lit.len != 0 && found->lit.ptr[0] == '-'; /* a parameter may be */
        return af_ql_fault(p, found->pos, "strconv.ParseUint: parsing \"%.*s\": %s", AF_SLICE_ARG(found->lit),
                           is_negative ? "invalid syntax" : "value out of range");
    }
    return AF_OK;
}

enum af_status af_ql_parse_span(struct af_ql_parser *p, bool can_be_inf, int64_t *out)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    if (found->kind == AF_QL_T_INF && can_be_inf) {
        *out = 0;
        return AF_OK;
    }
    if (found->kind != AF_QL_T_DURATION_VALUE)
        return af_ql_unexpected(p, found, "duration");
    struct af_error why = { 0 };
    if (af_ql_duration_parse(found->lit, out, &why) != AF_OK)
        return af_ql_fault(p, found->pos, "%s", why.message);
    return AF_OK;
}

/* --- first words ----------------------------------------------------------------------------------------------------------------- */

/* What a word leads to: more words, or a statement. Their order is the order in errors. */
struct word {
    enum af_ql_token_kind token;
    const struct word *more;            /* ends with an ILLEGAL */
    enum af_ql_kind kind;
    af_ql_statement_fn *parse;
};
#define END { AF_QL_T_ILLEGAL, NULL, 0, NULL }
#define MORE(token, words) { AF_QL_T_##token, words, 0, NULL }
#define LEAF(token, kind, parse) { AF_QL_T_##token, NULL, AF_QL_##kind, parse }

static const struct word show_continuous[] = { LEAF(QUERIES, SHOW_CQS, af_ql_parse_bare), END };
static const struct word show_field[] = {
    LEAF(KEY, SHOW_FIELD_KEY_CARDINALITY, af_ql_parse_show_key), LEAF(KEYS, SHOW_FIELD_KEYS, af_ql_parse_show), END,
};
static const struct word show_grants[] = { LEAF(FOR, SHOW_GRANTS, af_ql_parse_show_for_name), END };
static const struct word show_measurement[] = {
    LEAF(EXACT, SHOW_MEASUREMENT_CARDINALITY, af_ql_parse_show_exact),
    LEAF(CARDINALITY, SHOW_MEASUREMENT_CARDINALITY, af_ql_parse_show),
    END,
};
static const struct word show_retention[] = { LEAF(POLICIES, SHOW_POLICIES, af_ql_parse_show), END };
static const struct word show_shard[] = { LEAF(GROUPS, SHOW_SHARD_GROUPS, af_ql_parse_bare), END };
static const struct word show_tag[] = {
    LEAF(KEY, SHOW_TAG_KEY_CARDINALITY, af_ql_parse_show_key), LEAF(KEYS, SHOW_TAG_KEYS, af_ql_parse_show),
    LEAF(VALUES, SHOW_TAG_VALUES, af_ql_parse_show_values), END,
};
static const struct word show[] = {
    MORE(CONTINUOUS, show_continuous),
    LEAF(DATABASES, SHOW_DATABASES, af_ql_parse_bare),
    LEAF(DIAGNOSTICS, SHOW_DIAGNOSTICS, af_ql_parse_show_for_module),
    MORE(FIELD, show_field),
    MORE(GRANTS, show_grants),
    MORE(MEASUREMENT, show_measurement),
    LEAF(MEASUREMENTS, SHOW_MEASUREMENTS, af_ql_parse_show),
    LEAF(QUERIES, SHOW_QUERIES, af_ql_parse_bare),
    MORE(RETENTION, show_retention),
    LEAF(SERIES, SHOW_SERIES, af_ql_parse_show_series),
    MORE(SHARD, show_shard),
    LEAF(SHARDS, SHOW_SHARDS, af_ql_parse_bare),
    LEAF(STATS, SHOW_STATS, af_ql_parse_show_for_module),
    LEAF(SUBSCRIPTIONS, SHOW_SUBSCRIPTIONS, af_ql_parse_bare),
    MORE(TAG, show_tag),
    LEAF(USERS, SHOW_USERS, af_ql_parse_bare),
    END,
};
static const struct word create_continuous[] = { LEAF(QUERY, CREATE_CQ, af_ql_parse_create_cq), END };
static const struct word create_retention[] = { LEAF(POLICY, CREATE_POLICY, af_ql_parse_create_policy), END };
static const struct word create[] = {
    MORE(CONTINUOUS, create_continuous),
    LEAF(DATABASE, CREATE_DATABASE, af_ql_parse_create_database),
    LEAF(USER, CREATE_USER, af_ql_parse_create_user),
    MORE(RETENTION, create_retention),
    LEAF(SUBSCRIPTION, CREATE_SUBSCRIPTION, af_ql_parse_create_subscription),
    END,
};
static const struct word drop_continuous[] = { LEAF(QUERY, DROP_CQ, af_ql_parse_drop_on), END };
static const struct word drop_retention[] = { LEAF(POLICY, DROP_POLICY, af_ql_parse_drop_on), END };
static const struct word drop[] = {
    MORE(CONTINUOUS, drop_continuous),
    LEAF(DATABASE, DROP_DATABASE, af_ql_parse_drop_named),
    LEAF(MEASUREMENT, DROP_MEASUREMENT, af_ql_parse_drop_named),
    MORE(RETENTION, drop_retention),
    LEAF(SERIES, DROP_SERIES, af_ql_parse_delete),
    LEAF(SHARD, DROP_SHARD, af_ql_parse_drop_shard),
    LEAF(SUBSCRIPTION, DROP_SUBSCRIPTION, af_ql_parse_drop_subscription),
    LEAF(USER, DROP_USER, af_ql_parse_drop_named),
    END,
};
static const struct word alter_retention[] = { LEAF(POLICY, ALTER_POLICY, af_ql_parse_alter_policy), END };
static const struct word alter[] = { MORE(RETENTION, alter_retention), END };
static const struct word set_password[] = { LEAF(FOR, SET_PASSWORD, af_ql_parse_set_password), END };
static const struct word set[] = { MORE(PASSWORD, set_password), END };
static const struct word kill[] = { LEAF(QUERY, KILL_QUERY, af_ql_parse_kill), END };
static const struct word first[] = {
    LEAF(SELECT, SELECT, af_ql_parse_select),
    LEAF(DELETE, DELETE, af_ql_parse_delete),
    MORE(SHOW, show),
    MORE(CREATE, create),
    MORE(DROP, drop),
    LEAF(EXPLAIN, EXPLAIN, af_ql_parse_explain),
    LEAF(GRANT, GRANT, af_ql_parse_grant),
    LEAF(REVOKE, REVOKE, af_ql_parse_revoke),
    MORE(ALTER, alter),
    MORE(SET, set),
    MORE(KILL, kill),
    END,
};

static enum af_status unexpected_word(struct af_ql_parser *p, const struct af_ql_token *found, const struct word *words)
{
    char list[256];
    size_t len = 0;
    for (const struct word *w = words; w->token != AF_QL_T_ILLEGAL; w++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", w == words ? "" : ", ", af_ql_token_text(w->token));
    return af_ql_unexpected(p, found, list);
}

static enum af_status parse_statement(struct af_ql_parser *p, struct af_ql_statement *out)
{
    const struct word *words = first;
    for (;;) {
        const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
        const struct word *word = words;
        while (word->token != AF_QL_T_ILLEGAL && word->token != found->kind)
            word++;
        if (word->token == AF_QL_T_ILLEGAL)
            return unexpected_word(p, found, words);
        if (word->parse != NULL) {
            out->kind = word->kind;
            return word->parse(p, out);
        }
        words = word->more;
    }
}

/* --- a text ---------------------------------------------------------------------------------------------------------------------- */

static struct af_slice written(const struct af_ql_parser *p, size_t start, size_t end)
{
    return af_slice_trim((struct af_slice){ p->lex.text.ptr + start, end - start });
}

static enum af_status parse_statements(struct af_ql_parser *p, struct af_ql_statement **out)
{
    struct af_ql_statement *previous = NULL;
    bool is_separated = true;
    size_t start = 0;
    for (size_t count = 0;;) {
        const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
        if (p->lex.status != AF_OK)
            return p->lex.status;
        if (previous != NULL && previous->text.ptr == NULL)
            previous->text = written(p, start, found->start);
        if (found->kind == AF_QL_T_EOF)
            return AF_OK;
        if (found->kind == AF_QL_T_SEMICOLON) {
            is_separated = true;
            continue;
        }
        if (!is_separated)
            return af_ql_unexpected(p, found, ";");
        if (count++ == AF_SERVER_STATEMENTS_MAX)
            return af_fail(p->err, AF_ELIMIT, "more than %d statements in one query", AF_SERVER_STATEMENTS_MAX);
        start = found->start;
        af_ql_unscan(&p->lex);
        struct af_ql_statement *statement = af_ql_zero(p, 1, sizeof *statement);
        if (statement == NULL)
            return af_ql_nomem(p);
        AF_TRY(parse_statement(p, statement));
        *(previous != NULL ? &previous->next : out) = statement;
        previous = statement;
        is_separated = false;
    }
}

static enum af_status begin(struct af_ql_parser *p, struct af_slice text, const struct af_ql_params *params, struct af_arena *arena,
                            struct af_error *err)
{
    *p = (struct af_ql_parser){ .arena = arena, .err = err };
    char *copy = af_arena_copy(arena, text); /* statements keep their text as long as the arena lives */
    if (copy == NULL)
        return af_arena_fail(arena, text.len, "the text of a query", err);
    af_ql_lex_init(&p->lex, (struct af_slice){ copy, text.len }, params, arena, err);
    return AF_OK;
}

enum af_status af_ql_parse(struct af_slice text, const struct af_ql_params *params, struct af_arena *arena, struct af_ql_statement **out,
                           struct af_error *err)
{
    struct af_ql_parser p;
    struct af_ql_statement *statements = NULL;
    AF_TRY(begin(&p, text, params, arena, err));
    enum af_status status = parse_statements(&p, &statements);
    af_ql_lex_done(&p.lex);
    if (status == AF_OK)
        *out = statements;
    return status;
}

enum af_status af_ql_parse_expr(struct af_slice text, struct af_arena *arena, struct af_ql_expr **out, struct af_error *err)
{
    struct af_ql_parser p;
    struct af_ql_expr *expr = NULL;
    AF_TRY(begin(&p, text, NULL, arena, err));
    enum af_status status = af_ql_expr_parse(&p, &expr);
    if (status == AF_OK)
        status = af_ql_require(&p, AF_QL_T_EOF);
    if (status == AF_OK)
        status = p.lex.status;
    af_ql_lex_done(&p.lex);
    if (status == AF_OK)
        *out = expr;
    return status;
}
