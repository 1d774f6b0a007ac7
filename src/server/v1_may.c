/*
 * v1_may.c - who may which 1.x statement, in InfluxDB's words.
 *
 * Reading takes one bucket of the database, the others are not looked at; writing and erasing take all of them. INTO takes writing to its
 * target besides.
 */
#include "server/v1_query.h"
#include "server/v2.h"

enum need { NEED_NOTHING, NEED_ADMIN, NEED_MANAGE, NEED_READ, NEED_WRITE, NEED_LIST };

static enum need need_of(const struct af_ql_statement *st)
{
    switch (st->kind) {
    case AF_QL_SELECT:
    case AF_QL_EXPLAIN:
    case AF_QL_EXPLAIN_ANALYZE:
    case AF_QL_SHOW_MEASUREMENTS:
    case AF_QL_SHOW_SERIES:
    case AF_QL_SHOW_TAG_KEYS:
    case AF_QL_SHOW_TAG_VALUES:
    case AF_QL_SHOW_FIELD_KEYS:
    case AF_QL_SHOW_SERIES_CARDINALITY:
    case AF_QL_SHOW_MEASUREMENT_CARDINALITY:
    case AF_QL_SHOW_TAG_KEY_CARDINALITY:
    case AF_QL_SHOW_TAG_VALUES_CARDINALITY:
    case AF_QL_SHOW_FIELD_KEY_CARDINALITY: return NEED_READ;
    case AF_QL_DELETE:
    case AF_QL_DROP_SERIES:
    case AF_QL_DROP_MEASUREMENT:
    case AF_QL_DROP_CQ: return NEED_WRITE;
    case AF_QL_CREATE_CQ: return NEED_READ; /* and writing to its target */
    case AF_QL_CREATE_DATABASE:
    case AF_QL_DROP_DATABASE:
    case AF_QL_CREATE_POLICY:
    case AF_QL_ALTER_POLICY:
    case AF_QL_DROP_POLICY: return NEED_MANAGE;
    case AF_QL_SHOW_DATABASES:
    case AF_QL_SHOW_POLICIES:
    case AF_QL_SHOW_CQS: return NEED_NOTHING; /* they show what may be seen */
    case AF_QL_SHOW_QUERIES: return NEED_LIST;
    default: return NEED_ADMIN;
    }
}

/* --- databases ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status may_database(struct v1_run *run, const char *database, bool is_write, bool *out, struct af_error *err)
{
    struct v1_policy *policies;
    size_t count, allowed = 0;
    *out = true;
    if (database == NULL || database[0] == '\0')
        return AF_OK; /* "database name required" comes from the statement */
    AF_TRY(v1_policies(run, database, &policies, &count, err));
    for (size_t i = 0; i < count; i++)
        allowed += af_principal_may(&run->request->who, is_write ? AF_ACTION_WRITE : AF_ACTION_READ, "buckets", policies[i].bucket.org,
                                    policies[i].bucket.id);
    *out = is_write ? allowed == count : allowed > 0 || count == 0;
    return AF_OK;
}

/* SHOW QUERIES shows texts of others: to who reads the request's database, else to an admin. */
static enum af_status reads_database(struct v1_run *run, bool *out, struct af_error *err)
{
    struct v1_policy *policies;
    size_t count;
    if (run->database == NULL || run->database[0] == '\0')
        return AF_OK;
    AF_TRY(v1_policies(run, run->database, &policies, &count, err));
    for (size_t i = 0; i < count; i++)
        *out = *out || af_principal_may(&run->request->who, AF_ACTION_READ, "buckets", policies[i].bucket.org, policies[i].bucket.id);
    return AF_OK;
}

/* Where a SELECT reads and writes that does not say it. */
static const char *default_of(const struct v1_run *run, const struct af_ql_statement *st)
{
    bool has = run->database != NULL && run->database[0] != '\0';
    return has || st->kind != AF_QL_CREATE_CQ ? run->database : st->database;
}

/* Every database that a SELECT names; the first that may not be read comes out in `refused`. */
static enum af_status may_select(struct v1_run *run, const struct af_ql_select *select, const char *otherwise, const char **refused,
                                 struct af_error *err)
{
    for (size_t i = 0; i < select->source_count && *refused == NULL; i++) {
        const struct af_ql_source *source = &select->sources[i];
        const char *database = source->database != NULL && source->database[0] != '\0' ? source->database : otherwise;
        bool is_allowed;
        if (source->subquery != NULL) {
            AF_TRY(may_select(run, source->subquery, otherwise, refused, err));
            continue;
        }
        AF_TRY(may_database(run, database, false, &is_allowed, err));
        if (!is_allowed)
            *refused = database;
    }
    return AF_OK;
}

/* --- refusing ----------------------------------------------------------------------------------------------------------------------- */

static const char *name_of(const struct v1_run *run)
{
    const char *name = run->request->who.name != NULL ? run->request->who.name : "";
    return strncmp(name, "user ", 5) == 0 ? name + 5 : name;
}

static enum af_status refuse(struct v1_run *run, const struct af_ql_statement *st, const char *needed, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, 64 << 10);
    af_ql_print(&text, st); /* without passwords */
    af_audit(run->request, "denied", "%s", af_buf_cstr(&text));
    enum af_status status = af_fail(err, AF_EDENIED, "error authorizing query: %s not authorized to execute statement '%s', requires %s",
                                    name_of(run), af_buf_cstr(&text), needed);
    af_buf_done(&text);
    return status;
}

static enum af_status refuse_on(struct v1_run *run, const struct af_ql_statement *st, const char *privilege, const char *database,
                                struct af_error *err)
{
    const char *needed = af_arena_printf(run->request->arena, "%s on %s", privilege, database);
    return refuse(run, st, needed != NULL ? needed : privilege, err);
}

static enum af_status may_data(struct v1_run *run, const struct af_ql_statement *st, bool is_write, struct af_error *err)
{
    const char *refused = NULL, *database = v1_database_of(run, st);
    bool is_allowed;
    if (st->select != NULL) {
        const struct af_ql_source *target = st->select->target;
        AF_TRY(may_select(run, st->select, default_of(run, st), &refused, err));
        if (refused != NULL)
            return refuse_on(run, st, "READ", refused, err);
        if (target == NULL)
            return AF_OK;
        database = target->database != NULL && target->database[0] != '\0' ? target->database : default_of(run, st);
        is_write = true;
    }
    AF_TRY(may_database(run, database, is_write, &is_allowed, err));
    return is_allowed ? AF_OK : refuse_on(run, st, is_write ? "WRITE" : "READ", database, err);
}

/* Of a continuous query: the database that it is kept in. */
static enum af_status may_place(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    bool is_allowed;
    AF_TRY(may_database(run, st->database, true, &is_allowed, err));
    return is_allowed ? AF_OK : refuse_on(run, st, "WRITE", st->database, err);
}

enum af_status v1_may(void *ctx, const struct af_ql_statement *st, struct af_error *err)
{
    struct v1_run *run = ctx;
    struct af_request *r = run->request;
    enum need need = need_of(st);
    if (r->who.is_everybody || need == NEED_NOTHING)
        return AF_OK;
    if (need == NEED_LIST) {
        bool reads = false;
        AF_TRY(reads_database(run, &reads, err));
        if (reads)
            return AF_OK;
        need = NEED_ADMIN;
    }
    if (st->kind == AF_QL_CREATE_CQ)
        AF_TRY(may_place(run, st, err));
    if (need == NEED_READ || need == NEED_WRITE)
        return may_data(run, st, need == NEED_WRITE, err);
    bool is_allowed = need == NEED_ADMIN ? v2_is_operator(r) /* who makes users can make one that may everything: it takes all of that */
                                         : !v2_is_granted_only(r) && af_principal_may(&r->who, AF_ACTION_WRITE, "buckets", run->org.id, 0);
    return is_allowed ? AF_OK : refuse(run, st, "admin privilege", err);
}
