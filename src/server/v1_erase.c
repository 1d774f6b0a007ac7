/*
 * v1_erase.c - 1.x's DELETE, DROP SERIES and DROP MEASUREMENT: points of all retention policies of a database.
 *
 * The name of a field in a condition would be taken for a tag that no series has, and `!=` would then match everything: it is looked up
 * first.
 */
#include "server/v1_names.h"

struct erase {
    struct v1_run *run;
    const struct v1_statement *st;
    uint64_t bucket;
};

static enum af_status check_measurement(struct erase *e, const char *measurement, struct af_error *err)
{
    struct v1_names fields = { .arena = e->run->arena };
    AF_TRY(v1_names_add(e->run, e->bucket, AF_LIST_FIELDS, measurement, NULL, NULL, &fields, err));
    for (const struct v1_key *tag = e->st->tags; tag != NULL; tag = tag->next)
        if (v1_names_has(&fields, af_slice_of(tag->name)))
            return af_fail(err, AF_EINVAL, "fields not supported in WHERE clause during deletion");
    return AF_OK;
}

static enum af_status check_tags(struct erase *e, struct af_error *err)
{
    struct v1_names measurements = { .arena = e->run->arena };
    if (e->st->tags == NULL)
        return AF_OK;
    for (const struct v1_source *source = e->st->sources; source != NULL; source = source->next)
        AF_TRY(check_measurement(e, source->measurement, err));
    if (e->st->sources == NULL)
        AF_TRY(v1_names_add(e->run, e->bucket, AF_LIST_MEASUREMENTS, NULL, NULL, NULL, &measurements, err));
    for (size_t i = 0; i < measurements.count; i++)
        AF_TRY(check_measurement(e, measurements.items[i].name.ptr, err));
    return AF_OK;
}

static enum af_status erase_sources(struct erase *e, struct af_store *store, struct af_error *err)
{
    const struct v1_statement *st = e->st;
    struct af_scan scan = { .measurement = st->kind == V1_DROP_MEASUREMENT ? st->name : NULL, .start_ns = st->start_ns,
                            .stop_ns = st->stop_ns,
                            .predicate = st->predicate };
    if (st->sources == NULL)
        return af_store_erase(store, &scan, err);
    for (const struct v1_source *source = st->sources; source != NULL; source = source->next) {
        scan.measurement = source->measurement;
        AF_TRY(af_store_erase(store, &scan, err));
    }
    return AF_OK;
}

static enum af_status erase_bucket(struct erase *e, struct af_error *err)
{
    struct af_store *store;
    AF_TRY(af_tsm_store_open(e->run->request->house->engine, e->bucket, "bucket", true, &store, err));
    enum af_status status = erase_sources(e, store, err);
    af_store_close(store);
    return status;
}

enum af_status v1_run_erase(struct v1_run *run, const struct v1_statement *st, struct af_error *err)
{
    struct v1_policy *policies;
    size_t count;
    const char *database = v1_database_of(run, st);
    const char *policy = st->sources != NULL ? st->sources->policy : NULL;
    if (database == NULL)
        return af_fail(err, AF_EINVAL, "database name required");
    if (st->kind == V1_DROP_SERIES && st->has_time)
        return af_fail(err, AF_EINVAL, "DROP SERIES doesn't support time in WHERE clause");
    AF_TRY(v1_policies(run, database, &policies, &count, err));
    if (count == 0)
        return af_fail(err, AF_ENOTFOUND, "database not found: %s", database);
    for (int is_checked = 0; is_checked < 2; is_checked++) { /* all is checked before anything goes */
        for (size_t i = 0; i < count; i++) {
            struct erase e = { run, st, policies[i].bucket.id };
            if (policy != NULL && policy[0] != '\0' && strcmp(policy, policies[i].dbrp.policy) != 0)
                continue;
            if (st->start_ns < st->stop_ns)
                AF_TRY(is_checked ? erase_bucket(&e, err) : check_tags(&e, err));
        }
    }
    af_audit(run->request, "delete", "database %s", database);
    return AF_OK;
}
