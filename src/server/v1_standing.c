/*
 * v1_standing.c - 1.x's statements about what goes on by itself: continuous queries (cq.c runs them) and subscriptions.
 *
 * A continuous query is kept as InfluxDB keeps it: as text, with the database and the policy of every measurement written out.
 */
#include "base/limits.h"
#include "server/core.h"
#include "server/v1_query.h"

/* --- making a continuous query ------------------------------------------------------------------------------------------------------ */

static enum af_status find_policy(struct v1_run *run, const char *database, const char *name, const char **out, struct af_error *err)
{
    struct v1_policy *policies;
    size_t count;
    *out = NULL;
    AF_TRY(v1_policies(run, database, &policies, &count, err));
    if (count == 0)
        return af_fail(err, AF_ENOTFOUND, "database not found: %s", database);
    for (size_t i = 0; i < count; i++)
        if (name != NULL ? strcmp(policies[i].dbrp.policy, name) == 0 : policies[i].dbrp.is_default)
            *out = policies[i].dbrp.policy;
    if (*out != NULL)
        return AF_OK;
    if (name == NULL)
        return af_fail(err, AF_ENOTFOUND, "default retention policy not set for: %s", database);
    return af_fail(err, AF_ENOTFOUND, "retention policy not found: %s.%s", database, name);
}

static const char *given(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static enum af_status settle_source(struct v1_run *run, struct af_ql_source *source, const char *database, struct af_error *err)
{
    const char *policy = given(source->policy) != NULL ? source->policy : given(run->policy);
    if (given(source->database) == NULL)
        source->database = database;
    return find_policy(run, source->database, policy, &source->policy, err);
}

/* Every measurement says where it is, whatever the defaults are when it runs. */
static enum af_status settle_select(struct v1_run *run, struct af_ql_select *select, const char *database, struct af_error *err)
{
    if (select->target != NULL)
        AF_TRY(settle_source(run, select->target, database, err));
    for (size_t i = 0; i < select->source_count; i++) {
        struct af_ql_source *source = &select->sources[i];
        AF_TRY(source->subquery != NULL ? settle_select(run, source->subquery, database, err) : settle_source(run, source, database, err));
    }
    return AF_OK;
}

static enum af_status add_query(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, 2 * AF_SERVER_TEXT_BYTES_MAX);
    af_ql_print(&text, st);
    enum af_status status = af_buf_check(&text, "a continuous query", err);
    struct af_meta_continuous query = { .org = run->org.id, .database = st->database, .name = st->name, .query = af_buf_cstr(&text) };
    if (status == AF_OK)
        status = af_meta_continuous_add(run->meta, &query, err);
    if (status == AF_OK)
        af_audit(run->request, "continuous query created", "%s on %s", st->name, st->database);
    af_buf_done(&text);
    return status;
}

static enum af_status create_query(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    const char *ignored;
    struct af_error why = { 0 };
    AF_TRY(settle_select(run, st->select, given(run->database) != NULL ? run->database : st->database, err));
    if (find_policy(run, st->database, NULL, &ignored, &why) != AF_OK)
        return af_fail(err, why.status, "%s", why.message);
    return add_query(run, st, err);
}

static enum af_status drop_query(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    AF_TRY(af_meta_continuous_drop(run->meta, run->org.id, st->database, st->name, err));
    af_audit(run->request, "continuous query deleted", "%s on %s", st->name, st->database);
    return AF_OK;
}

/* A table for each database, with or without queries. */
static enum af_status show_queries(struct v1_run *run, struct af_error *err)
{
    static const char *const columns[] = { "name", "query" };
    const char *const *databases;
    struct af_meta_continuous *queries;
    size_t database_count, count;
    AF_TRY(v1_databases(run, &databases, &database_count, err));
    AF_TRY(af_meta_continuous_list(run->meta, run->org.id, NULL, run->arena, &queries, &count, err));
    for (size_t d = 0; d < database_count; d++) {
        af_made_begin(run->made, databases[d], 2, columns);
        for (size_t i = 0; i < count; i++) {
            if (strcmp(queries[i].database, databases[d]) != 0)
                continue;
            af_made_cell(run->made, af_value_text(af_slice_of(queries[i].name)));
            af_made_cell(run->made, af_value_text(af_slice_of(queries[i].query)));
        }
    }
    return AF_OK;
}

/* --- subscriptions ------------------------------------------------------------------------------------------------------------------ */

/* scheme://host:port, whatever follows. No credentials: they would be kept in the clear. */
static bool is_destination(const char *url)
{
    size_t scheme = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
    size_t end = scheme + strcspn(url + scheme, "/?#");
    size_t colon = end;
    for (size_t i = scheme; i < end; i++) {
        if (url[i] == '@' || (unsigned char)url[i] <= ' ')
            return false;
        if (url[i] == ':')
            colon = i;
    }
    size_t digits = colon < end ? strspn(url + colon + 1, "0123456789") : 0;
    return scheme != 0 && colon > scheme && digits > 0 && colon + 1 + digits == end && strpbrk(url, " \t\n\r?#") == NULL;
}

static enum af_status check_destinations(const struct af_ql_statement *st, struct af_error *err)
{
    for (size_t i = 0; i < st->destination_count; i++) {
        if (strncmp(st->destinations[i], "udp://", 6) == 0)
            return af_fail(err, AF_EUNSUPPORTED, "invalid subscription URL: %s: only http and https are served", st->destinations[i]);
        if (!is_destination(st->destinations[i]))
            return af_fail(err, AF_EINVAL, "invalid subscription URL: %s", st->destinations[i]);
    }
    return AF_OK;
}

/* InfluxDB's words name the policy alone. */
static enum af_status find_place(struct v1_run *run, const struct af_ql_statement *st, const char **out_policy, struct af_error *err)
{
    struct af_error why = { 0 };
    enum af_status status = find_policy(run, st->database, given(st->policy), out_policy, &why);
    if (status == AF_ENOTFOUND && given(st->policy) != NULL && strncmp(why.message, "retention policy", 16) == 0)
        return af_fail(err, AF_ENOTFOUND, "retention policy not found: %s", st->policy);
    return status == AF_OK ? AF_OK : af_fail(err, status, "%s", why.message);
}

static enum af_status create_subscription(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    struct af_meta_subscription made = { .org = run->org.id, .database = st->database, .name = st->name, .is_all = st->is_all,
                                         .destinations = st->destinations, .destination_count = st->destination_count };
    AF_TRY(check_destinations(st, err));
    AF_TRY(find_place(run, st, &made.policy, err));
    AF_TRY(af_meta_subscription_add(run->meta, &made, err));
    af_audit(run->request, "subscription created", "%s on %s.%s", st->name, st->database, made.policy);
    return core_subscriptions_changed(run->request->server, err);
}

static enum af_status drop_subscription(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    const char *policy;
    AF_TRY(find_place(run, st, &policy, err));
    AF_TRY(af_meta_subscription_drop(run->meta, run->org.id, st->database, policy, st->name, err));
    af_audit(run->request, "subscription deleted", "%s on %s.%s", st->name, st->database, policy);
    return core_subscriptions_changed(run->request->server, err);
}

static void put_text(struct v1_run *run, const char *text)
{
    af_made_cell(run->made, af_value_text(af_slice_of(text)));
}

static enum af_status put_subscription(struct v1_run *run, const struct af_meta_subscription *s, struct af_error *err)
{
    struct af_buf list;
    af_buf_init(&list, 1 << 20);
    af_buf_append_char(&list, '[');
    for (size_t i = 0; i < s->destination_count; i++) {
        if (i != 0)
            af_buf_append_char(&list, ',');
        af_json_append_string(&list, af_slice_of(s->destinations[i]));
    }
    af_buf_append_char(&list, ']');
    const char *copy = list.failed ? NULL : af_arena_copy(run->arena, af_buf_slice(&list));
    af_buf_done(&list);
    if (copy == NULL)
        return af_fail_nomem(err, "subscriptions");
    put_text(run, s->policy);
    put_text(run, s->name);
    put_text(run, s->is_all ? "ALL" : "ANY");
    af_made_cell(run->made, af_value_json(af_slice_of(copy)));
    return AF_OK;
}

/* A table for each database that has any. */
static enum af_status show_subscriptions(struct v1_run *run, struct af_error *err)
{
    static const char *const columns[] = { "retention_policy", "name", "mode", "destinations" };
    const char *const *databases;
    struct af_meta_subscription *list;
    size_t database_count, count;
    AF_TRY(v1_databases(run, &databases, &database_count, err));
    AF_TRY(af_meta_subscriptions(run->meta, run->org.id, NULL, run->arena, &list, &count, err));
    for (size_t d = 0; d < database_count; d++) {
        bool has_table = false;
        for (size_t i = 0; i < count; i++) {
            if (strcmp(list[i].database, databases[d]) != 0)
                continue;
            if (!has_table)
                af_made_begin(run->made, databases[d], 4, columns);
            has_table = true;
            AF_TRY(put_subscription(run, &list[i], err));
        }
    }
    return AF_OK;
}

enum af_status v1_run_standing(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    switch (st->kind) {
    case AF_QL_CREATE_CQ: return create_query(run, st, err);
    case AF_QL_DROP_CQ: return drop_query(run, st, err);
    case AF_QL_SHOW_CQS: return show_queries(run, err);
    case AF_QL_CREATE_SUBSCRIPTION: return create_subscription(run, st, err);
    case AF_QL_DROP_SUBSCRIPTION: return drop_subscription(run, st, err);
    default: return show_subscriptions(run, err);
    }
}
