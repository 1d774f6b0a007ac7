/* parse_manage.c - CREATE, ALTER, DROP, DELETE, GRANT, REVOKE, SET, KILL. */
#include "lang/influxql/parse_int.h"

/* --- databases and policies ------------------------------------------------------------------------------------------------------ */

static enum af_status parse_replication(struct af_ql_parser *p, struct af_ql_statement *out)
{
    out->has_replication = true;
    return af_ql_parse_count(p, 1, INT32_MAX, &out->replication);
}

/* SHARD DURATION d; INF is refused where the policy itself is made or changed. */
static enum af_status parse_shard(struct af_ql_parser *p, bool can_be_inf, struct af_ql_statement *out)
{
    AF_TRY(af_ql_require(p, AF_QL_T_DURATION));
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    if (found->kind == AF_QL_T_INF && !can_be_inf)
        return af_ql_fault(p, found->pos, "invalid duration INF for shard duration");
    af_ql_unscan(&p->lex);
    out->has_shard = true;
    return af_ql_parse_span(p, true, &out->shard_ns);
}

static enum af_status parse_duration(struct af_ql_parser *p, struct af_ql_statement *out)
{
    out->has_duration = true;
    return af_ql_parse_span(p, true, &out->duration_ns);
}

enum af_status af_ql_parse_create_database(struct af_ql_parser *p, struct af_ql_statement *out)
{
    AF_TRY(af_ql_parse_name(p, &out->name));
    if (!af_ql_accept(p, AF_QL_T_WITH))
        return AF_OK;
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    enum af_ql_token_kind kind = found->kind;
    if (kind != AF_QL_T_DURATION && kind != AF_QL_T_NAME && kind != AF_QL_T_REPLICATION && kind != AF_QL_T_SHARD)
        return af_ql_unexpected(p, found, "DURATION, NAME, REPLICATION, SHARD");
    af_ql_unscan(&p->lex);
    out->has_options = true;
    if (af_ql_accept(p, AF_QL_T_DURATION))
        AF_TRY(parse_duration(p, out));
    if (af_ql_accept(p, AF_QL_T_REPLICATION))
        AF_TRY(parse_replication(p, out));
    if (af_ql_accept(p, AF_QL_T_SHARD))
        AF_TRY(parse_shard(p, true, out));
    return af_ql_parse_optional_name(p, AF_QL_T_NAME, &out->policy);
}

static enum af_status parse_on(struct af_ql_parser *p, const char **out_name, const char **out_database)
{
    AF_TRY(af_ql_parse_name(p, out_name));
    AF_TRY(af_ql_require(p, AF_QL_T_ON));
    return af_ql_parse_name(p, out_database);
}

enum af_status af_ql_parse_create_policy(struct af_ql_parser *p, struct af_ql_statement *out)
{
    AF_TRY(parse_on(p, &out->name, &out->database));
    AF_TRY(af_ql_require(p, AF_QL_T_DURATION));
    AF_TRY(parse_duration(p, out));
    AF_TRY(af_ql_require(p, AF_QL_T_REPLICATION));
    AF_TRY(parse_replication(p, out));
    if (af_ql_accept(p, AF_QL_T_SHARD))
        AF_TRY(parse_shard(p, false, out));
    out->is_default = af_ql_accept(p, AF_QL_T_DEFAULT);
    return AF_OK;
}

/* One option of ALTER; *out_is_one false: the token is none, and was given back. */
static enum af_status parse_policy_option(struct af_ql_parser *p, struct af_ql_statement *out, bool *out_is_one)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    enum af_ql_token_kind kind = found->kind;
    bool is_repeated = (kind == AF_QL_T_DURATION && out->has_duration) || (kind == AF_QL_T_REPLICATION && out->has_replication) ||
                       (kind == AF_QL_T_SHARD && out->has_shard) || (kind == AF_QL_T_DEFAULT && out->is_default);
    if (is_repeated)
        return af_ql_fault(p, found->pos, "found duplicate %s option", af_ql_token_text(kind));
    *out_is_one = true;
    switch (kind) {
    case AF_QL_T_DURATION:
        return parse_duration(p, out);
    case AF_QL_T_REPLICATION:
        return parse_replication(p, out);
    case AF_QL_T_SHARD:
        return parse_shard(p, false, out);
    case AF_QL_T_DEFAULT:
        out->is_default = true;
        return AF_OK;
    default:
        if (!out->has_duration && !out->has_replication && !out->has_shard && !out->is_default)
            return af_ql_unexpected(p, found, "DURATION, REPLICATION, SHARD, DEFAULT");
        af_ql_unscan(&p->lex);
        *out_is_one = false;
        return AF_OK;
    }
}

enum af_status af_ql_parse_alter_policy(struct af_ql_parser *p, struct af_ql_statement *out)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    if (found->kind != AF_QL_T_IDENT && found->kind != AF_QL_T_DEFAULT)
        return af_ql_unexpected(p, found, "identifier");
    out->name = found->kind == AF_QL_T_DEFAULT ? "default" : found->lit.ptr;
    AF_TRY(af_ql_require(p, AF_QL_T_ON));
    AF_TRY(af_ql_parse_name(p, &out->database));
    bool is_one;
    do
        AF_TRY(parse_policy_option(p, out, &is_one));
    while (is_one);
    return AF_OK;
}

/* --- things that are dropped ----------------------------------------------------------------------------------------------------- */

enum af_status af_ql_parse_drop_named(struct af_ql_parser *p, struct af_ql_statement *out)
{
    AF_TRY(af_ql_parse_name(p, &out->name));
    if (out->kind == AF_QL_DROP_USER)
        out->user = out->name;
    return AF_OK;
}

enum af_status af_ql_parse_drop_on(struct af_ql_parser *p, struct af_ql_statement *out)
{
    return parse_on(p, &out->name, &out->database);
}

enum af_status af_ql_parse_drop_shard(struct af_ql_parser *p, struct af_ql_statement *out)
{
    return af_ql_parse_id(p, &out->id);
}

/* DELETE and DROP SERIES apply to the whole database: their sources are bare names. */
enum af_status af_ql_parse_delete(struct af_ql_parser *p, struct af_ql_statement *out)
{
    const char *fault = NULL;
    struct af_ql_token found = *af_ql_scan_skip(&p->lex);
    if (found.kind == AF_QL_T_FROM)
        AF_TRY(af_ql_sources_parse(p, false, &out->sources, &out->source_count));
    else
        af_ql_unscan(&p->lex);
    for (size_t i = 0; i < out->source_count; i++) {
        if (out->sources[i].database != NULL)
            fault = "database not supported";
        if (out->sources[i].policy != NULL)
            fault = "retention policy not supported";
    }
    if (fault != NULL)
        return af_ql_fault(p, (struct af_ql_pos){ 0, 0 }, "%s", fault);
    AF_TRY(af_ql_where_parse(p, &out->condition));
    return out->condition != NULL || out->source_count != 0 ? AF_OK : af_ql_unexpected(p, &found, "FROM, WHERE");
}

/* --- users ----------------------------------------------------------------------------------------------------------------------- */

enum af_status af_ql_parse_create_user(struct af_ql_parser *p, struct af_ql_statement *out)
{
    AF_TRY(af_ql_parse_name(p, &out->name));
    out->user = out->name;
    AF_TRY(af_ql_require(p, AF_QL_T_WITH));
    AF_TRY(af_ql_require(p, AF_QL_T_PASSWORD));
    AF_TRY(af_ql_parse_text(p, &out->password));
    if (!af_ql_accept(p, AF_QL_T_WITH))
        return AF_OK;
    AF_TRY(af_ql_require(p, AF_QL_T_ALL));
    AF_TRY(af_ql_require(p, AF_QL_T_PRIVILEGES));
    out->is_admin = true;
    return AF_OK;
}

enum af_status af_ql_parse_set_password(struct af_ql_parser *p, struct af_ql_statement *out)
{
    AF_TRY(af_ql_parse_name(p, &out->name));
    out->user = out->name;
    AF_TRY(af_ql_require(p, AF_QL_T_EQ));
    return af_ql_parse_text(p, &out->password);
}

static enum af_status parse_privilege(struct af_ql_parser *p, enum af_ql_privilege *out)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    switch (found->kind) {
    case AF_QL_T_READ:
        *out = AF_QL_READ;
        return AF_OK;
    case AF_QL_T_WRITE:
        *out = AF_QL_WRITE;
        return AF_OK;
    case AF_QL_T_ALL:
        *out = AF_QL_ALL;
        (void)af_ql_accept(p, AF_QL_T_PRIVILEGES);
        return AF_OK;
    default:
        return af_ql_unexpected(p, found, "READ, WRITE, ALL [PRIVILEGES]");
    }
}

/* <privilege> ON db TO user; of ALL also without a database: that makes an administrator, or ends it. `to` is TO or FROM. */
static enum af_status parse_privilege_of(struct af_ql_parser *p, enum af_ql_token_kind to, enum af_ql_kind admin_kind,
                                         struct af_ql_statement *out)
{
    AF_TRY(parse_privilege(p, &out->privilege));
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    bool is_all = out->privilege == AF_QL_ALL;
    if (found->kind == AF_QL_T_ON) {
        AF_TRY(af_ql_parse_name(p, &out->database));
        AF_TRY(af_ql_require(p, to));
    } else if (found->kind == to && is_all)
        out->kind = admin_kind;
    else
        return af_ql_unexpected(p, found, !is_all ? "ON" : to == AF_QL_T_TO ? "ON, TO" : "ON, FROM");
    AF_TRY(af_ql_parse_name(p, &out->user));
    out->name = out->user;
    return AF_OK;
}

enum af_status af_ql_parse_grant(struct af_ql_parser *p, struct af_ql_statement *out)
{
    return parse_privilege_of(p, AF_QL_T_TO, AF_QL_GRANT_ADMIN, out);
}

enum af_status af_ql_parse_revoke(struct af_ql_parser *p, struct af_ql_statement *out)
{
    return parse_privilege_of(p, AF_QL_T_FROM, AF_QL_REVOKE_ADMIN, out);
}

/* --- queries that run by themselves, subscriptions, running queries -------------------------------------------------------------- */

static enum af_status parse_resample(struct af_ql_parser *p, struct af_ql_statement *out)
{
    if (af_ql_accept(p, AF_QL_T_EVERY))
        AF_TRY(af_ql_parse_span(p, false, &out->every_ns));
    if (af_ql_accept(p, AF_QL_T_FOR))
        AF_TRY(af_ql_parse_span(p, false, &out->for_ns));
    if (out->every_ns == 0 && out->for_ns == 0)
        return af_ql_unexpected(p, af_ql_scan_skip(&p->lex), "EVERY, FOR");
    return AF_OK;
}

/* A continuous query that aggregates needs windows to run by. */
static enum af_status check_windows(struct af_ql_parser *p, const struct af_ql_select *select)
{
    bool is_raw = true;
    for (size_t i = 0; i < select->field_count; i++)
        is_raw = is_raw && !af_ql_has_call(select->fields[i].expr);
    int64_t interval;
    struct af_error why = { 0 };
    enum af_status status = af_ql_group_interval(select, &interval, &why);
    if (is_raw || (status == AF_OK && interval != 0))
        return AF_OK;
    af_ql_unscan(&p->lex);
    af_ql_unscan(&p->lex);
    char expected[200];
    struct af_buf words;
    af_buf_init(&words, sizeof expected);
    af_buf_append_str(&words, "GROUP BY time(...)");
    if (status != AF_OK)
        af_buf_printf(&words, ", %s", why.message);
    status = af_ql_unexpected(p, af_ql_scan_skip(&p->lex), af_buf_cstr(&words));
    af_buf_done(&words);
    return status;
}

static enum af_status check_resample(const struct af_ql_statement *cq, struct af_error *err)
{
    int64_t interval;
    AF_TRY(af_ql_group_interval(cq->select, &interval, err));
    if (cq->for_ns == 0)
        return AF_OK;
    if (cq->every_ns > interval)
        interval = cq->every_ns;
    if (interval <= cq->for_ns)
        return AF_OK;
    struct af_buf words;
    af_buf_init(&words, 200);
    af_buf_append_str(&words, "must be a minimum of ");
    af_ql_print_duration(&words, interval);
    af_buf_append_str(&words, ", got ");
    af_ql_print_duration(&words, cq->for_ns);
    enum af_status status = af_fail(err, AF_EINVAL, "FOR duration must be >= GROUP BY time duration: %s", af_buf_cstr(&words));
    af_buf_done(&words);
    return status;
}

enum af_status af_ql_parse_create_cq(struct af_ql_parser *p, struct af_ql_statement *out)
{
    AF_TRY(parse_on(p, &out->name, &out->database));
    if (af_ql_accept(p, AF_QL_T_RESAMPLE))
        AF_TRY(parse_resample(p, out));
    AF_TRY(af_ql_require(p, AF_QL_T_BEGIN));
    AF_TRY(af_ql_require(p, AF_QL_T_SELECT));
    AF_TRY(af_ql_select_parse(p, AF_QL_INTO_REQUIRED, &out->select));
    AF_TRY(check_windows(p, out->select));
    AF_TRY(af_ql_require(p, AF_QL_T_END));
    return check_resample(out, p->err);
}

/* name ON db.policy; the dot comes at once. */
static enum af_status parse_on_policy(struct af_ql_parser *p, struct af_ql_statement *out)
{
    AF_TRY(parse_on(p, &out->name, &out->database));
    const struct af_ql_token *found = af_ql_scan(&p->lex);
    if (found->kind != AF_QL_T_DOT)
        return af_ql_unexpected(p, found, ".");
    return af_ql_parse_name(p, &out->policy);
}

enum af_status af_ql_parse_create_subscription(struct af_ql_parser *p, struct af_ql_statement *out)
{
    AF_TRY(parse_on_policy(p, out));
    AF_TRY(af_ql_require(p, AF_QL_T_DESTINATIONS));
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    if (found->kind != AF_QL_T_ALL && found->kind != AF_QL_T_ANY)
        return af_ql_unexpected(p, found, "ALL, ANY");
    out->is_all = found->kind == AF_QL_T_ALL;
    const char **list = NULL;
    do {
        list = af_ql_grow(p, list, out->destination_count, sizeof *list);
        if (list == NULL)
            return af_ql_nomem(p);
        AF_TRY(af_ql_parse_text(p, &list[out->destination_count++]));
    } while (af_ql_accept(p, AF_QL_T_COMMA));
    out->destinations = list;
    return AF_OK;
}

enum af_status af_ql_parse_drop_subscription(struct af_ql_parser *p, struct af_ql_statement *out)
{
    return parse_on_policy(p, out);
}

enum af_status af_ql_parse_kill(struct af_ql_parser *p, struct af_ql_statement *out)
{
    AF_TRY(af_ql_parse_id(p, &out->id));
    return af_ql_parse_optional_name(p, AF_QL_T_ON, &out->host);
}
