/*
 * v1_database.c - 1.x databases and retention policies over buckets.
 *
 *     policy autogen of d  is the bucket "d"         both by name alone (a virtual mapping);
 *     policy p of d        is the bucket "d/p"       a stored mapping says which one is the default, where it is not autogen
 *
 * A database is there while a bucket or a mapping says so. Dropping drops the buckets named after it; a bucket of another name that was
 * only mapped to it stays, without the mapping. REPLICATION is read and means nothing: policies say 1.
 */
#include "base/limits.h"
#include "server/v1_query.h"
#include "server/v2.h"
#include <stdlib.h>

static const char AUTOGEN[] = "autogen";

/* --- finding ------------------------------------------------------------------------------------------------------------------- */

bool v1_can_see(const struct v1_run *run, const struct af_meta_bucket *b)
{
    const struct af_principal *who = &run->request->who;
    return af_principal_may(who, AF_ACTION_READ, "buckets", b->org, b->id) ||
           af_principal_may(who, AF_ACTION_WRITE, "buckets", b->org, b->id);
}

static int by_age(const void *a, const void *b)
{
    const struct v1_policy *x = a;
    const struct v1_policy *y = b;
    int64_t dx = x->bucket.created_ns, dy = y->bucket.created_ns;
    return dx != dy ? (dx > dy) - (dx < dy) : strcmp(x->dbrp.policy, y->dbrp.policy);
}

enum af_status v1_policies(struct v1_run *run, const char *database, struct v1_policy **out, size_t *out_count, struct af_error *err)
{
    struct af_meta_dbrp *dbrps = NULL;
    size_t count = 0;
    *out_count = 0;
    AF_TRY(af_meta_dbrps(run->meta, run->org.id, database, run->arena, &dbrps, &count, err));
    *out = af_arena_zero(run->arena, count + 1, sizeof **out);
    if (*out == NULL)
        return af_fail_nomem(err, "retention policies");
    for (size_t i = 0; i < count; i++) {
        struct v1_policy *p = &(*out)[*out_count];
        p->dbrp = dbrps[i];
        enum af_status status = v2_find_bucket(run->request, dbrps[i].bucket, &p->bucket, err);
        if (status == AF_OK)
            (*out_count)++;
        else if (status != AF_ENOTFOUND) /* dropped just now */
            return status;
    }
    qsort(*out, *out_count, sizeof **out, by_age);
    return AF_OK;
}

static struct v1_policy *find_policy(struct v1_policy *policies, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(policies[i].dbrp.policy, name) == 0)
            return &policies[i];
    return NULL;
}

/* As 1.x has it: printable, no slashes, no dots alone. */
static bool is_valid_name(const char *name)
{
    for (const unsigned char *at = (const unsigned char *)name; *at != '\0'; at++)
        if (*at < 0x20 || *at == 0x7f || *at == '/' || *at == '\\')
            return false;
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static const char *bucket_name(struct v1_run *run, const char *database, const char *policy)
{
    return strcmp(policy, AUTOGEN) == 0 ? database : af_arena_printf(run->arena, "%s/%s", database, policy);
}

/* --- making ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status set_default(struct v1_run *run, const struct v1_policy *p, struct af_error *err)
{
    struct af_meta_dbrp dbrp = p->dbrp;
    if (dbrp.is_default && !dbrp.is_virtual)
        return AF_OK;
    if (dbrp.is_virtual)
        dbrp.id = 0;
    dbrp.is_default = true;
    return af_meta_dbrp_put(run->meta, &dbrp, p->dbrp.is_virtual, err);
}

/* By names alone a new policy could become the default of those that write without one: the present default is written down. */
static enum af_status pin_default(struct v1_run *run, const struct v1_policy *policies, size_t count, struct af_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (policies[i].dbrp.is_default && policies[i].dbrp.is_virtual && strcmp(policies[i].dbrp.policy, AUTOGEN) != 0)
            return set_default(run, &policies[i], err);
    return AF_OK;
}

static enum af_status make_policy(struct v1_run *run, const char *database, const char *policy, int64_t retention_ns, int64_t shard_ns,
                                  bool is_default, struct af_error *err)
{
    struct v1_policy made = { .bucket = { .org = run->org.id, .name = bucket_name(run, database, policy), .description = "",
                                          .retention_ns = retention_ns, .shard_ns = shard_ns } };
    if (made.bucket.name == NULL)
        return af_fail_nomem(err, "a name");
    if (strlen(made.bucket.name) > AF_SERVER_NAME_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "invalid name");
    AF_TRY(v2_bucket_put(run->request, &made.bucket, true, err));
    af_audit(run->request, "bucket created", "%s", made.bucket.name);
    if (!is_default)
        return AF_OK;
    made.dbrp = (struct af_meta_dbrp){ .org = run->org.id, .bucket = made.bucket.id, .database = database, .policy = policy,
                                       .is_virtual = true };
    return set_default(run, &made, err);
}

static enum af_status check_durations(const struct af_ql_statement *st, int64_t *shard_ns, struct af_error *err)
{
    const char *words;
    *shard_ns = st->shard_ns;
    return v2_retention_check(st->duration_ns, shard_ns, &words) ? AF_OK : af_fail(err, AF_EINVAL, "%s", words);
}

static bool is_same(const struct v1_policy *p, const struct af_ql_statement *st, int64_t shard_ns)
{
    return p->bucket.retention_ns == st->duration_ns && p->bucket.shard_ns == shard_ns;
}

static enum af_status create_database(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    struct v1_policy *policies;
    size_t count;
    int64_t shard_ns;
    const char *policy = st->policy != NULL ? st->policy : AUTOGEN;
    if (!is_valid_name(st->name) || !is_valid_name(policy))
        return af_fail(err, AF_EINVAL, "invalid name");
    AF_TRY(check_durations(st, &shard_ns, err));
    AF_TRY(v1_policies(run, st->name, &policies, &count, err));
    if (count == 0)
        return make_policy(run, st->name, policy, st->duration_ns, shard_ns, strcmp(policy, AUTOGEN) != 0, err);
    const struct v1_policy *p = find_policy(policies, count, policy);
    if (st->has_options && (p == NULL || !is_same(p, st, shard_ns)))
        return af_fail(err, AF_ECONFLICT, "retention policy conflicts with an existing policy");
    return AF_OK;
}

/* --- dropping -------------------------------------------------------------------------------------------------------------------- */

static enum af_status drop_policy(struct v1_run *run, const struct v1_policy *p, struct af_error *err)
{
    const char *own = bucket_name(run, p->dbrp.database, p->dbrp.policy);
    if (own == NULL)
        return af_fail_nomem(err, "a name");
    if (strcmp(own, p->bucket.name) != 0)
        return af_meta_dbrp_drop(run->meta, p->dbrp.id, err);
    AF_TRY(v2_bucket_drop(run->request, p->bucket.id, err));
    af_audit(run->request, "bucket deleted", "%s", p->bucket.name);
    return AF_OK;
}

static enum af_status drop_database(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    struct v1_policy *policies;
    size_t count;
    AF_TRY(v1_policies(run, st->name, &policies, &count, err));
    for (size_t i = 0; i < count; i++)
        AF_TRY(drop_policy(run, &policies[i], err));
    return af_meta_grants_drop(run->meta, run->org.id, st->name, err);
}

/* --- showing --------------------------------------------------------------------------------------------------------------------- */

struct entry {
    const char *database;
    int64_t created_ns;
};

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct af_meta_bucket *)a)->id, y = ((const struct af_meta_bucket *)b)->id;
    return (x > y) - (x < y);
}

static int entries_by_name(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    int order = strcmp(x->database, y->database);
    return order != 0 ? order : (x->created_ns > y->created_ns) - (x->created_ns < y->created_ns);
}

static int entries_by_age(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    return x->created_ns != y->created_ns ? (x->created_ns > y->created_ns) - (x->created_ns < y->created_ns)
                                          : strcmp(x->database, y->database);
}

/* One entry a mapping whose bucket may be seen. */
static enum af_status collect(struct v1_run *run, struct entry **out, size_t *out_count, struct af_error *err)
{
    struct af_meta_dbrp *dbrps = NULL;
    struct af_meta_bucket *buckets = NULL;
    size_t dbrp_count = 0, bucket_count = 0;
    struct af_meta_filter filter = { .org = run->org.id };
    *out_count = 0;
    AF_TRY(af_meta_dbrps(run->meta, run->org.id, NULL, run->arena, &dbrps, &dbrp_count, err));
    AF_TRY(af_meta_buckets(run->meta, &filter, run->arena, &buckets, &bucket_count, err));
    if (bucket_count > 1)
        qsort(buckets, bucket_count, sizeof *buckets, by_id);
    *out = af_arena_zero(run->arena, dbrp_count + 1, sizeof **out);
    if (*out == NULL)
        return af_fail_nomem(err, "databases");
    for (size_t i = 0; i < dbrp_count; i++) {
        struct af_meta_bucket key = { .id = dbrps[i].bucket };
        const struct af_meta_bucket *b = bucket_count != 0 ? bsearch(&key, buckets, bucket_count, sizeof *buckets, by_id) : NULL;
        if (b != NULL && v1_can_see(run, b))
            (*out)[(*out_count)++] = (struct entry){ dbrps[i].database, b->created_ns };
    }
    return AF_OK;
}

/* Each once, in the order they were made. */
static enum af_status list_databases(struct v1_run *run, struct entry **out, size_t *out_count, struct af_error *err)
{
    size_t count = 0, kept = 0;
    AF_TRY(collect(run, out, &count, err));
    qsort(*out, count, sizeof **out, entries_by_name);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || strcmp((*out)[kept - 1].database, (*out)[i].database) != 0)
            (*out)[kept++] = (*out)[i];
    qsort(*out, kept, sizeof **out, entries_by_age);
    *out_count = kept;
    return AF_OK;
}

enum af_status v1_databases(struct v1_run *run, const char *const **out, size_t *out_count, struct af_error *err)
{
    struct entry *entries;
    AF_TRY(list_databases(run, &entries, out_count, err));
    const char **names = af_arena_zero(run->arena, *out_count + 1, sizeof *names);
    if (names == NULL)
        return af_fail_nomem(err, "databases");
    for (size_t i = 0; i < *out_count; i++)
        names[i] = entries[i].database;
    *out = names;
    return AF_OK;
}

static enum af_status show_databases(struct v1_run *run, struct af_error *err)
{
    static const char *const columns[] = { "name" };
    struct entry *entries;
    size_t count;
    AF_TRY(list_databases(run, &entries, &count, err));
    af_made_begin(run->made, "databases", 1, columns);
    for (size_t i = 0; i < count; i++) {
        af_made_cell(run->made, af_value_text(af_slice_of(entries[i].database)));
    }
    return AF_OK;
}

enum af_status v1_run_database(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    switch (st->kind) {
    case AF_QL_CREATE_DATABASE: return create_database(run, st, err);
    case AF_QL_DROP_DATABASE: return drop_database(run, st, err);
    default: return show_databases(run, err);
    }
}

/* --- policies ----------------------------------------------------------------------------------------------------------------------- */

static enum af_status create_policy(struct v1_run *run, const struct af_ql_statement *st, struct v1_policy *policies, size_t count,
                                    struct af_error *err)
{
    int64_t shard_ns;
    if (!is_valid_name(st->name))
        return af_fail(err, AF_EINVAL, "invalid name");
    AF_TRY(check_durations(st, &shard_ns, err));
    struct v1_policy *p = find_policy(policies, count, st->name);
    if (p != NULL && !is_same(p, st, shard_ns))
        return af_fail(err, AF_ECONFLICT, "retention policy already exists");
    if (p != NULL && st->is_default && !p->dbrp.is_default)
        return af_fail(err, AF_ECONFLICT, "retention policy conflicts with an existing policy");
    if (p != NULL)
        return AF_OK;
    if (!st->is_default)
        AF_TRY(pin_default(run, policies, count, err));
    return make_policy(run, st->database, st->name, st->duration_ns, shard_ns, st->is_default, err);
}

static enum af_status alter_policy(struct v1_run *run, const struct af_ql_statement *st, struct v1_policy *policies, size_t count,
                                   struct af_error *err)
{
    const char *words;
    struct v1_policy *p = find_policy(policies, count, st->name);
    if (p == NULL)
        return af_fail(err, AF_ENOTFOUND, "retention policy not found: %s", st->name);
    if (st->has_duration)
        p->bucket.retention_ns = st->duration_ns;
    if (st->has_shard)
        p->bucket.shard_ns = st->shard_ns;
    if (!v2_retention_check(p->bucket.retention_ns, &p->bucket.shard_ns, &words))
        return af_fail(err, AF_EINVAL, "%s", words);
    AF_TRY(v2_bucket_put(run->request, &p->bucket, false, err));
    af_audit(run->request, "bucket changed", "%s", p->bucket.name);
    return st->is_default ? set_default(run, p, err) : AF_OK;
}

const char *v1_duration_print(struct af_arena *arena, int64_t ns)
{
    int64_t s = ns / AF_NS_PER_S;
    long long hours = s / 3600, minutes = s / 60 % 60, seconds = s % 60;
    char fraction[16] = "";
    if (ns % AF_NS_PER_S != 0) {
        char *text = af_arena_printf(arena, ".%09lld", (long long)(ns % AF_NS_PER_S));
        if (text == NULL)
            return NULL;
        size_t len = strlen(text);
        while (len > 0 && text[len - 1] == '0')
            len--;
        memcpy(fraction, text, len);
    }
    if (hours != 0)
        return af_arena_printf(arena, "%lldh%lldm%lld%ss", hours, minutes, seconds, fraction);
    if (minutes != 0)
        return af_arena_printf(arena, "%lldm%lld%ss", minutes, seconds, fraction);
    return af_arena_printf(arena, "%lld%ss", seconds, fraction);
}

static enum af_status show_policies(struct v1_run *run, const struct v1_policy *policies, size_t count, struct af_error *err)
{
    static const char *const columns[] = { "name", "duration", "shardGroupDuration", "replicaN", "default" };
    af_made_begin(run->made, NULL, 5, columns);
    for (size_t i = 0; i < count; i++) {
        const char *duration = v1_duration_print(run->arena, policies[i].bucket.retention_ns);
        const char *shard = v1_duration_print(run->arena, policies[i].bucket.shard_ns);
        if (duration == NULL || shard == NULL)
            return af_fail_nomem(err, "retention policies");
        if (!v1_can_see(run, &policies[i].bucket))
            continue;
        af_made_cell(run->made, af_value_text(af_slice_of(policies[i].dbrp.policy)));
        af_made_cell(run->made, af_value_text(af_slice_of(duration)));
        af_made_cell(run->made, af_value_text(af_slice_of(shard)));
        af_made_cell(run->made, af_value_i64(1));
        af_made_cell(run->made, af_value_bool(policies[i].dbrp.is_default));
    }
    return AF_OK;
}

enum af_status v1_run_policy(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    struct v1_policy *policies;
    size_t count;
    const char *database = v1_database_of(run, st);
    if (database == NULL)
        return af_fail(err, AF_EINVAL, "database name required");
    AF_TRY(v1_policies(run, database, &policies, &count, err));
    if (st->kind == AF_QL_DROP_POLICY) {
        const struct v1_policy *p = find_policy(policies, count, st->name);
        return p != NULL ? drop_policy(run, p, err) : AF_OK;
    }
    if (count == 0)
        return af_fail(err, AF_ENOTFOUND, "database not found: %s", database);
    if (st->kind == AF_QL_CREATE_POLICY)
        return create_policy(run, st, policies, count, err);
    return st->kind == AF_QL_ALTER_POLICY ? alter_policy(run, st, policies, count, err) : show_policies(run, policies, count, err);
}
