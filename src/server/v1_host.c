/* v1_host.c - what the query room asks of the server: stores behind databases and policies, and statements that are not about points. */
#include "server/core.h"
#include "server/v1_query.h"

/* --- stores ------------------------------------------------------------------------------------------------------------------------- */

static bool may_bucket(const struct v1_run *run, const struct af_meta_bucket *b, bool is_write)
{
    return af_principal_may(&run->request->who, is_write ? AF_ACTION_WRITE : AF_ACTION_READ, "buckets", b->org, b->id);
}

static enum af_status not_found(struct v1_run *run, const char *database, const char *policy, struct af_error *err)
{
    struct af_meta_bucket bucket;
    bool has_database = policy != NULL &&
                        af_meta_dbrp_find(run->meta, run->org.id, database, NULL, run->request->arena, &bucket, NULL) == AF_OK;
    if (has_database)
        return af_fail(err, AF_ENOTFOUND, "retention policy not found: %s", policy);
    return af_fail(err, AF_ENOTFOUND, "database not found: %s", database);
}

static enum af_status host_open(void *ctx, const char *database, const char *policy, bool is_write, struct af_store **out,
                                struct af_error *err)
{
    struct v1_run *run = ctx;
    struct af_meta_bucket bucket;
    enum af_status status = af_meta_dbrp_find(run->meta, run->org.id, database, policy, run->request->arena, &bucket, err);
    if (status == AF_ENOTFOUND)
        return not_found(run, database, policy, err);
    AF_TRY(status);
    if (!may_bucket(run, &bucket, is_write))
        return af_fail(err, AF_EDENIED, "not authorized to %s \"%s\"", is_write ? "write to" : "read", bucket.name);
    struct af_server *server = run->request->server;
    AF_TRY(af_tsm_store_open(run->request->house->engine, bucket.id, bucket.name, true, out, err));
    return is_write && server->subscriptions != NULL ? core_forward_open(server, bucket.id, *out, out, err) : AF_OK;
}

/* Those that the asker may read (or write to: DELETE asks for all of them beforehand). */
static enum af_status host_places(void *ctx, const char *database, struct af_arena *arena, struct af_query_place **out, size_t *out_count,
                                  struct af_error *err)
{
    struct v1_run *run = ctx;
    struct v1_policy *policies;
    size_t count;
    AF_TRY(v1_policies(run, database, &policies, &count, err));
    struct af_query_place *places = af_arena_zero(arena, count + 1, sizeof *places);
    if (places == NULL)
        return af_fail_nomem(err, "retention policies");
    *out = places;
    *out_count = 0;
    for (size_t i = 0; i < count; i++)
        if (may_bucket(run, &policies[i].bucket, false))
            places[(*out_count)++] = (struct af_query_place){ database, policies[i].dbrp.policy, policies[i].dbrp.is_default };
    return AF_OK;
}

/* Of a bucket that was dropped just now there are none. */
static enum af_status lowest_shard(struct v1_run *run, uint64_t bucket, struct af_arena *arena, uint64_t *lowest, struct af_error *err)
{
    struct af_tsm_shard_info *shards;
    size_t count = 0;
    enum af_status status = af_tsm_shards(run->request->house->engine, bucket, arena, &shards, &count, err);
    if (status == AF_ENOTFOUND)
        return AF_OK;
    AF_TRY(status);
    for (size_t i = 0; i < count; i++)
        if (*lowest == 0 || shards[i].id < *lowest)
            *lowest = shards[i].id;
    return AF_OK;
}

static enum af_status host_first_shard(void *ctx, const char *database, struct af_arena *arena, uint64_t *out, struct af_error *err)
{
    struct v1_run *run = ctx;
    struct v1_policy *policies;
    size_t count;
    *out = 0;
    AF_TRY(v1_policies(run, database, &policies, &count, err));
    for (size_t i = 0; i < count; i++)
        AF_TRY(lowest_shard(run, policies[i].bucket.id, arena, out, err));
    return AF_OK;
}

/* --- statements that are not about points ------------------------------------------------------------------------------------------- */

const char *v1_database_of(const struct v1_run *run, const struct af_ql_statement *st)
{
    const char *database = st->database;
    if ((database == NULL || database[0] == '\0') && st->source_count != 0)
        database = st->sources[0].database;
    if (database == NULL || database[0] == '\0')
        database = run->database;
    return database != NULL && database[0] != '\0' ? database : NULL;
}

static enum af_status carry_out(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    switch (st->kind) {
    case AF_QL_CREATE_DATABASE:
    case AF_QL_DROP_DATABASE:
    case AF_QL_SHOW_DATABASES: return v1_run_database(run, st, err);
    case AF_QL_CREATE_POLICY:
    case AF_QL_ALTER_POLICY:
    case AF_QL_DROP_POLICY:
    case AF_QL_SHOW_POLICIES: return v1_run_policy(run, st, err);
    case AF_QL_CREATE_USER:
    case AF_QL_DROP_USER:
    case AF_QL_SET_PASSWORD:
    case AF_QL_SHOW_USERS:
    case AF_QL_GRANT:
    case AF_QL_GRANT_ADMIN:
    case AF_QL_REVOKE:
    case AF_QL_REVOKE_ADMIN:
    case AF_QL_SHOW_GRANTS: return v1_run_user(run, st, err);
    case AF_QL_CREATE_CQ:
    case AF_QL_DROP_CQ:
    case AF_QL_SHOW_CQS:
    case AF_QL_CREATE_SUBSCRIPTION:
    case AF_QL_DROP_SUBSCRIPTION:
    case AF_QL_SHOW_SUBSCRIPTIONS: return v1_run_standing(run, st, err);
    default: return v1_run_about(run, st, err);
    }
}

static enum af_status host_administer(void *ctx, const struct af_ql_statement *st, const char *database, struct af_arena *arena,
                                      struct af_tables **out, struct af_error *err)
{
    struct v1_run *run = ctx;
    (void)database; /* the run knows */
    run->made = af_made_new(arena);
    if (run->made == NULL)
        return af_fail_nomem(err, "an answer");
    struct af_arena *request_arena = run->arena;
    run->arena = arena;
    enum af_status status = carry_out(run, st, err);
    run->arena = request_arena;
    return status == AF_OK ? af_made_finish(run->made, out, err) : status;
}

void v1_host_init(struct v1_run *run)
{
    run->host = (struct af_query_host){ .ctx = run, .open = host_open, .places = host_places, .administer = host_administer,
                                        .first_shard = host_first_shard };
}
