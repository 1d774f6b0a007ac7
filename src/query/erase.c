/*
 * erase.c - DELETE, DROP SERIES, DROP MEASUREMENT: points of all retention policies of a database.
 *
 * The name of a field in a condition would be taken for a tag that no series has, and `!=` would then match everything: names are looked up
 * first. All is checked before anything goes.
 */
#include "query/query_int.h"

struct erase {
    struct query *query;
    const struct af_ql_statement *st;
    const char *database;
    struct query_stores stores;
    const struct af_predicate *predicate;
    struct af_ql_range range;
    size_t meant;                        /* measurements of the last visit */
};

bool query_is_erase(const struct af_ql_statement *statement)
{
    return statement->kind == AF_QL_DELETE || statement->kind == AF_QL_DROP_SERIES || statement->kind == AF_QL_DROP_MEASUREMENT;
}

/* --- names in the condition ----------------------------------------------------------------------------------------------------------- */

static bool names_it(const struct af_predicate *predicate, struct af_slice name)
{
    if (predicate == NULL)
        return false;
    if (predicate->op != AF_PREDICATE_AND && predicate->op != AF_PREDICATE_OR && predicate->op != AF_PREDICATE_NOT)
        return af_slice_eq(predicate->tag, name);
    for (size_t i = 0; i < predicate->item_count; i++)
        if (names_it(predicate->items[i], name))
            return true;
    return false;
}

static enum af_status names_of(struct erase *erase, struct af_store *store, enum af_listing what, const char *measurement,
                               struct query_names *out, struct af_error *err)
{
    struct af_scan scan = { .measurement = measurement, .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .cancel = erase->query->cancel };
    *out = (struct query_names){ .arena = erase->query->arena };
    return query_names_add(out, store, what, &scan, err);
}

static enum af_status is_meant(const struct erase *erase, struct af_slice measurement, bool *out, struct af_error *err)
{
    const struct af_ql_statement *st = erase->st;
    *out = st->kind == AF_QL_DROP_MEASUREMENT ? af_slice_is(measurement, st->name) : st->source_count == 0;
    for (size_t i = 0; i < st->source_count && !*out; i++) {
        if (st->sources[i].regex != NULL)
            AF_TRY(af_regex_match(st->sources[i].regex->regex, measurement, out, err));
        else
            *out = st->sources[i].name != NULL && af_slice_is(measurement, st->sources[i].name);
    }
    return AF_OK;
}

/* InfluxDB looks at conditions shard by shard, and its words begin with the number of one that refuses. */
static enum af_status refuse(struct erase *erase, const char *words, struct af_error *err)
{
    const struct af_query_host *host = erase->query->host;
    uint64_t shard = 0;
    if (host->first_shard != NULL)
        AF_TRY(host->first_shard(host->ctx, erase->database, erase->query->arena, &shard, err));
    if (shard == 0)
        return af_fail(err, AF_EINVAL, "%s", words);
    return af_fail(err, AF_EINVAL, "shard %llu: %s", (unsigned long long)shard, words);
}

static enum af_status check_fields(struct erase *erase, struct af_store *store, const char *measurement, struct af_error *err)
{
    struct query_names fields;
    AF_TRY(names_of(erase, store, AF_LIST_FIELDS, measurement, &fields, err));
    for (size_t i = 0; i < fields.count; i++)
        if (names_it(erase->predicate, fields.items[i].name))
            return refuse(erase, "fields not supported in WHERE clause during deletion", err);
    return AF_OK;
}

/* --- one store ------------------------------------------------------------------------------------------------------------------------ */

/* What is done with each measurement that is meant. */
enum visit { VISIT_COUNT, VISIT_CHECK, VISIT_ERASE };

static enum af_status visit_one(struct erase *erase, struct af_store *store, const char *name, enum visit what, struct af_error *err)
{
    struct af_scan scan = { .measurement = name, .start_ns = erase->range.start_ns, .stop_ns = erase->range.stop_ns,
                            .predicate = erase->predicate };
    erase->meant++;
    if (what == VISIT_COUNT)
        return AF_OK;
    return what == VISIT_CHECK ? check_fields(erase, store, name, err) : af_store_erase(store, &scan, err);
}

static enum af_status visit(struct erase *erase, struct af_store *store, enum visit what, struct af_error *err)
{
    struct query_names measurements;
    AF_TRY(names_of(erase, store, AF_LIST_MEASUREMENTS, NULL, &measurements, err));
    for (size_t i = 0; i < measurements.count; i++) {
        bool is_in;
        AF_TRY(is_meant(erase, measurements.items[i].name, &is_in, err));
        if (is_in)
            AF_TRY(visit_one(erase, store, measurements.items[i].name.ptr, what, err));
    }
    return AF_OK;
}

static enum af_status visit_all(struct erase *erase, enum visit what, struct af_error *err)
{
    erase->meant = 0;
    for (size_t i = 0; i < erase->stores.count; i++)
        AF_TRY(visit(erase, erase->stores.items[i].store, what, err));
    return AF_OK;
}

/* --- the statement -------------------------------------------------------------------------------------------------------------------- */

static enum af_status read_time(struct erase *erase, struct af_ql_expr **out_rest, struct af_error *err)
{
    const struct af_ql_statement *st = erase->st;
    AF_TRY(af_ql_split_time(st->condition, erase->query->request->now_ns, NULL, erase->query->arena, &erase->range, out_rest, err));
    bool has_time = erase->range.start_ns != INT64_MIN || erase->range.stop_ns != INT64_MAX;
    if (st->kind == AF_QL_DROP_SERIES && has_time)
        return af_fail(err, AF_EINVAL, "DROP SERIES doesn't support time in WHERE clause");
    return AF_OK;
}

static enum af_status open_stores(struct erase *erase, struct af_error *err)
{
    struct af_query_place *places;
    size_t count;
    uint32_t at;
    const struct af_query_host *host = erase->query->host;
    AF_TRY(host->places(host->ctx, erase->database, erase->query->arena, &places, &count, err));
    if (count == 0)
        return af_fail(err, AF_ENOTFOUND, "database not found: %s", erase->database);
    for (size_t i = 0; i < count; i++)
        AF_TRY(query_stores_get(&erase->stores, erase->database, places[i].policy, true, &at, err));
    return AF_OK;
}

static enum af_status erase_run(struct erase *erase, struct af_error *err)
{
    struct af_ql_expr *rest = NULL;
    struct af_error why = { 0 };
    AF_TRY(read_time(erase, &rest, err));
    AF_TRY(open_stores(erase, err));
    enum af_status status = af_ql_predicate(rest, erase->query->arena, &erase->predicate, &why);
    if (status == AF_EINVAL) { /* nobody minds where nothing is meant */
        AF_TRY(visit_all(erase, VISIT_COUNT, err));
        return erase->meant != 0 ? refuse(erase, why.message, err) : AF_OK;
    }
    if (status != AF_OK)
        return af_fail(err, status, "%s", why.message);
    if (erase->predicate != NULL)
        AF_TRY(visit_all(erase, VISIT_CHECK, err));
    return erase->range.start_ns < erase->range.stop_ns ? visit_all(erase, VISIT_ERASE, err) : AF_OK;
}

enum af_status query_erase(struct query *query, const struct af_ql_statement *statement, struct af_error *err)
{
    struct erase erase = { .query = query, .st = statement, .stores = { .host = query->host, .arena = query->arena } };
    AF_TRY(query_database(query, statement, &erase.database, err));
    enum af_status status = erase_run(&erase, err);
    query_stores_close(&erase.stores);
    return status;
}
