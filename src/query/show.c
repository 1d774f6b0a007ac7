/*
 * show.c - what is there: SHOW MEASUREMENTS, SERIES, TAG KEYS, TAG VALUES, FIELD KEYS, over the stores of a database.
 *
 * A database is several stores, one for each retention policy: what is in more than one is told once. Which of them are looked at:
 *
 *     MEASUREMENTS, TAG KEYS, TAG VALUES     all, whatever FROM says, as in InfluxDB
 *     SERIES                                 all; the one that FROM names
 *     FIELD KEYS, exact counts               the default one (of the request); the one that FROM names
 *
 * The time of a condition is that of whole shards in InfluxDB, and of points with SHOW SERIES here.
 */
#include "query/show_int.h"
#include <strings.h>

bool query_is_show(const struct af_ql_statement *statement)
{
    switch (statement->kind) {
    case AF_QL_SHOW_MEASUREMENTS:
    case AF_QL_SHOW_SERIES:
    case AF_QL_SHOW_TAG_KEYS:
    case AF_QL_SHOW_TAG_VALUES:
    case AF_QL_SHOW_FIELD_KEYS: return true;
    default: return show_is_count(statement);
    }
}

/* --- gathering ------------------------------------------------------------------------------------------------------------------------ */

enum af_status show_names(struct show *show, enum af_listing what, const char *measurement, const char *tag,
                          const struct af_predicate *predicate, struct query_names *out, struct af_error *err)
{
    struct af_scan scan = { .measurement = measurement, .start_ns = show->range.start_ns, .stop_ns = show->range.stop_ns,
                            .predicate = predicate, .tag = tag, .cancel = show->query->cancel };
    *out = (struct query_names){ .arena = show->query->arena };
    for (size_t i = 0; i < show->stores.count; i++)
        AF_TRY(query_names_add(out, show->stores.items[i].store, what, &scan, err));
    query_names_sort(out);
    return AF_OK;
}

static enum af_status is_named(const struct af_ql_source *source, struct af_slice measurement, bool *out, struct af_error *err)
{
    if (source->regex != NULL)
        return af_regex_match(source->regex->regex, measurement, out, err);
    *out = source->name == NULL || af_slice_is(measurement, source->name);
    return AF_OK;
}

static enum af_status is_in_sources(const struct af_ql_statement *st, struct af_slice measurement, bool *out, struct af_error *err)
{
    *out = st->source_count == 0;
    for (size_t i = 0; i < st->source_count && !*out; i++)
        AF_TRY(is_named(&st->sources[i], measurement, out, err));
    if (st->kind == AF_QL_SHOW_MEASUREMENTS && st->is_measurement_not)
        *out = !*out;
    return AF_OK;
}

enum af_status show_measurements_named(struct show *show, struct query_names *out, struct af_error *err)
{
    size_t kept = 0;
    AF_TRY(show_names(show, AF_LIST_MEASUREMENTS, NULL, NULL, NULL, out, err));
    for (size_t i = 0; i < out->count; i++) {
        bool is_in;
        AF_TRY(is_in_sources(show->st, out->items[i].name, &is_in, err));
        if (is_in)
            out->items[kept++] = out->items[i];
    }
    out->count = kept;
    return AF_OK;
}

/* LIMIT and OFFSET. */
static void cut(const struct af_ql_statement *st, struct query_names *names)
{
    size_t from = (uint64_t)st->offset < names->count ? (size_t)st->offset : names->count;
    size_t left = names->count - from;
    if (from != 0) /* no names have no list */
        names->items += from;
    names->count = st->limit > 0 && (uint64_t)st->limit < left ? (size_t)st->limit : left;
}

/* --- lists ---------------------------------------------------------------------------------------------------------------------------- */

static void put_names(struct show *show, const char *series, const char *column, struct query_names *names)
{
    cut(show->st, names);
    if (names->count == 0)
        return;
    af_made_begin(show->made, series, 1, &column);
    for (size_t i = 0; i < names->count; i++)
        af_made_cell(show->made, af_value_text(names->items[i].name));
}

static enum af_status show_measurements(struct show *show, struct af_error *err)
{
    struct query_names names, all;
    size_t kept = 0;
    AF_TRY(show_measurements_named(show, &names, err));
    if (show->condition != NULL && names.count == 0) { /* a condition that cannot be answered is refused all the same */
        bool ignored;
        AF_TRY(show_names(show, AF_LIST_MEASUREMENTS, NULL, NULL, NULL, &all, err));
        return all.count != 0 ? show_where_measurement(show, all.items[0].name, &ignored, err) : AF_OK;
    }
    for (size_t i = 0; i < names.count; i++) {
        bool is_in;
        AF_TRY(show_where_measurement(show, names.items[i].name, &is_in, err));
        if (is_in)
            names.items[kept++] = names.items[i];
    }
    names.count = kept;
    put_names(show, "measurements", "name", &names);
    return AF_OK;
}

/* Which of these series have points in the range. */
static enum af_status keep_series_with_points(struct show *show, struct query_names *names, struct af_error *err);

/* Where nothing narrows it, the stores are asked for all measurements at once. */
static enum af_status series_of(struct show *show, struct query_names *out, struct af_error *err)
{
    struct query_names measurements;
    if (show->st->source_count == 0 && show->condition == NULL)
        return show_names(show, AF_LIST_SERIES, NULL, NULL, NULL, out, err);
    *out = (struct query_names){ .arena = show->query->arena };
    AF_TRY(show_measurements_named(show, &measurements, err));
    for (size_t m = 0; m < measurements.count; m++) {
        struct af_scan scan = { .measurement = measurements.items[m].name.ptr, .start_ns = INT64_MIN, .stop_ns = INT64_MAX,
                                .cancel = show->query->cancel };
        AF_TRY(show_where_series(show, measurements.items[m].name, &scan.predicate, err));
        for (size_t i = 0; i < show->stores.count; i++)
            AF_TRY(query_names_add(out, show->stores.items[i].store, AF_LIST_SERIES, &scan, err));
    }
    query_names_sort(out);
    return AF_OK;
}

static bool has_range(const struct show *show)
{
    return show->range.start_ns != INT64_MIN || show->range.stop_ns != INT64_MAX;
}

static enum af_status show_series(struct show *show, struct af_error *err)
{
    struct query_names names;
    AF_TRY(series_of(show, &names, err));
    if (has_range(show))
        AF_TRY(keep_series_with_points(show, &names, err));
    put_names(show, NULL, "key", &names);
    return AF_OK;
}

/* A series has points if a row of it comes out of a scan. */
static enum af_status series_has_points(struct show *show, struct af_slice key, bool *out, struct af_error *err)
{
    struct af_buf scratch;
    struct af_arena arena;
    struct af_batch *batch = NULL;
    af_buf_init(&scratch, SIZE_MAX / 2);
    af_arena_init(&arena, SIZE_MAX / 2);
    const char *measurement = af_arena_copy(&arena, af_key_unescape_measurement(af_key_measurement_raw(key), &scratch));
    enum af_status status = measurement != NULL ? AF_OK : af_fail_nomem(err, "a series key");
    *out = false;
    for (size_t i = 0; i < show->stores.count && status == AF_OK && !*out; i++) {
        struct af_store *store = show->stores.items[i].store;
        struct af_scan scan = { .measurement = measurement, .start_ns = show->range.start_ns, .stop_ns = show->range.stop_ns,
                                .series = &key,
                                .series_count = 1, .cancel = show->query->cancel };
        struct af_stream *stream;
        if ((store->caps & AF_STORE_CAN_SERIES) == 0)
            status = af_fail(err, AF_EUNSUPPORTED, "SHOW SERIES with a time range is not offered for %s", store->name);
        else
            status = af_store_scan(store, &scan, &stream, err);
        if (status != AF_OK)
            break;
        status = af_stream_next(stream, &arena, &batch, err);
        *out = status == AF_OK && batch != NULL && batch->row_count > 0;
        af_stream_close(stream);
    }
    af_arena_done(&arena);
    af_buf_done(&scratch);
    return status;
}

static enum af_status keep_series_with_points(struct show *show, struct query_names *names, struct af_error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++) {
        bool has;
        AF_TRY(series_has_points(show, names->items[i].name, &has, err));
        if (has)
            names->items[kept++] = names->items[i];
    }
    names->count = kept;
    return AF_OK;
}

static enum af_status show_field_keys(struct show *show, const char *measurement, struct af_error *err)
{
    static const char *const columns[] = { "fieldKey", "fieldType" };
    struct query_names names;
    AF_TRY(show_names(show, AF_LIST_FIELDS, measurement, NULL, NULL, &names, err));
    cut(show->st, &names);
    if (names.count == 0)
        return AF_OK;
    af_made_begin(show->made, measurement, 2, columns);
    for (size_t i = 0; i < names.count; i++) {
        af_made_cell(show->made, af_value_text(names.items[i].name));
        af_made_cell(show->made, af_value_text(names.items[i].type));
    }
    return AF_OK;
}

/* --- tags ----------------------------------------------------------------------------------------------------------------------------- */

static bool is_in_list(const struct af_ql_expr *list, struct af_slice key)
{
    for (size_t i = 0; i < list->arg_count; i++)
        if (af_slice_eq(list->args[i]->kind == AF_QL_STRING ? list->args[i]->text : af_slice_of(list->args[i]->name), key))
            return true;
    return false;
}

enum af_status show_is_asked_key(const struct af_ql_statement *st, struct af_slice key, bool *out, struct af_error *err)
{
    bool is_equal;
    *out = true;
    if (st->key == NULL)
        return AF_OK;
    if (st->key->kind == AF_QL_REGEX)
        AF_TRY(af_regex_match(st->key->regex, key, &is_equal, err));
    else if (st->key->kind == AF_QL_LIST)
        is_equal = is_in_list(st->key, key);
    else
        is_equal = af_slice_eq(st->key->text, key);
    *out = is_equal == (st->key_op == AF_QL_EQ || st->key_op == AF_QL_EQREGEX);
    return AF_OK;
}

/* The values of a tag that the condition lets through. */
static enum af_status values_of(struct show *show, const char *measurement, const char *tag, const struct af_predicate *predicate,
                                struct query_names *out, struct af_error *err)
{
    size_t kept = 0;
    AF_TRY(show_names(show, AF_LIST_TAG_VALUES, measurement, tag, predicate, out, err));
    if (show->condition == NULL)
        return AF_OK;
    for (size_t i = 0; i < out->count; i++) {
        bool is_in;
        AF_TRY(show_where_value(show, out->items[i].name, &is_in, err));
        if (is_in)
            out->items[kept++] = out->items[i];
    }
    out->count = kept;
    return AF_OK;
}

/* A key is there if a value of it is let through. */
static enum af_status show_tag_keys(struct show *show, struct af_slice measurement, const struct af_predicate *predicate,
                                    struct af_error *err)
{
    struct query_names keys, values;
    size_t kept = 0;
    AF_TRY(show_names(show, AF_LIST_TAG_KEYS, measurement.ptr, NULL, predicate, &keys, err));
    for (size_t i = 0; i < keys.count && show->condition != NULL; i++) {
        AF_TRY(values_of(show, measurement.ptr, keys.items[i].name.ptr, predicate, &values, err));
        if (values.count != 0)
            keys.items[kept++] = keys.items[i];
    }
    keys.count = show->condition != NULL ? kept : keys.count;
    put_names(show, measurement.ptr, "tagKey", &keys);
    return AF_OK;
}

struct window {                          /* LIMIT and OFFSET while rows go by */
    uint64_t seen, given;
};

static bool passes(const struct af_ql_statement *st, struct window *window)
{
    bool is_in = window->seen++ >= (uint64_t)st->offset && (st->limit == 0 || window->given < (uint64_t)st->limit);
    window->given += is_in;
    return is_in;
}

static void put_values(struct show *show, struct af_slice measurement, struct af_slice key, const struct query_names *values,
                                 struct window *window)
{
    static const char *const columns[] = { "key", "value" };
    for (size_t i = 0; i < values->count; i++) {
        if (!passes(show->st, window))
            continue;
        if (window->given == 1)
            af_made_begin(show->made, measurement.ptr, 2, columns);
        af_made_borrowed(show->made, key);
        af_made_borrowed(show->made, values->items[i].name);
    }
}

/* Values of all asked keys behind each other. */
static enum af_status show_tag_values(struct show *show, struct af_slice measurement, const struct af_predicate *predicate,
                                      struct af_error *err)
{
    struct query_names keys, values;
    struct window window = { 0 };
    AF_TRY(show_names(show, AF_LIST_TAG_KEYS, measurement.ptr, NULL, predicate, &keys, err));
    for (size_t k = 0; k < keys.count; k++) {
        bool is_asked;
        AF_TRY(show_is_asked_key(show->st, keys.items[k].name, &is_asked, err));
        if (is_asked)
            AF_TRY(show_where_key(show, keys.items[k].name, &is_asked, err));
        if (!is_asked)
            continue;
        AF_TRY(values_of(show, measurement.ptr, keys.items[k].name.ptr, predicate, &values, err));
        put_values(show, measurement, keys.items[k].name, &values, &window);
    }
    return AF_OK;
}

static enum af_status show_by_measurement(struct show *show, struct af_error *err)
{
    struct query_names measurements;
    AF_TRY(show_measurements_named(show, &measurements, err));
    for (size_t i = 0; i < measurements.count; i++) {
        bool is_in;
        const struct af_predicate *predicate;
        struct af_slice name = measurements.items[i].name;
        if (show->st->kind == AF_QL_SHOW_FIELD_KEYS) {
            AF_TRY(show_field_keys(show, name.ptr, err));
            continue;
        }
        AF_TRY(show_where_name(show, name, &is_in, err));
        if (!is_in)
            continue;
        AF_TRY(show_where_series(show, name, &predicate, err));
        AF_TRY((show->st->kind == AF_QL_SHOW_TAG_KEYS ? show_tag_keys : show_tag_values)(show, name, predicate, err));
    }
    return AF_OK;
}

/* --- the statement -------------------------------------------------------------------------------------------------------------------- */

static const char *kind_words(enum af_ql_kind kind)
{
    switch (kind) {
    case AF_QL_SHOW_SERIES_CARDINALITY: return "SHOW SERIES EXACT CARDINALITY";
    case AF_QL_SHOW_MEASUREMENT_CARDINALITY: return "SHOW MEASUREMENT EXACT CARDINALITY";
    case AF_QL_SHOW_TAG_KEY_CARDINALITY: return "SHOW TAG KEY EXACT CARDINALITY";
    case AF_QL_SHOW_FIELD_KEY_CARDINALITY: return "SHOW FIELD KEY CARDINALITY";
    default: return NULL; /* it takes a time */
    }
}

static bool is_time(const struct af_ql_expr *expr)
{
    return expr->kind == AF_QL_REF && strcasecmp(expr->name, "time") == 0;
}

/* The tree is as deep as a query's may be. */
static bool compares_time(const struct af_ql_expr *expr)
{
    if (expr->kind == AF_QL_PAREN)
        return compares_time(expr->left);
    if (expr->kind != AF_QL_BINARY)
        return false;
    if (expr->op == AF_QL_AND || expr->op == AF_QL_OR)
        return compares_time(expr->left) || compares_time(expr->right);
    return is_time(expr->left) || is_time(expr->right);
}

/* SHOW MEASUREMENTS takes it as it is written: true and 1 = 1 are no comparisons of tags. */
static enum af_status take_condition(struct show *show, struct af_error *err)
{
    show->range = (struct af_ql_range){ INT64_MIN, INT64_MAX };
    if (show->st->condition != NULL && compares_time(show->st->condition))
        return af_fail(err, AF_EINVAL, "SHOW MEASUREMENTS doesn't support time in WHERE clause");
    show->condition = show->st->condition;
    return AF_OK;
}

static enum af_status read_condition(struct show *show, struct af_error *err)
{
    struct af_ql_expr *rest = NULL;
    if (show->st->kind == AF_QL_SHOW_MEASUREMENTS)
        return take_condition(show, err);
    AF_TRY(af_ql_split_time(show->st->condition, show->query->request->now_ns, NULL, show->query->arena, &show->range, &rest, err));
    if (has_range(show) && kind_words(show->st->kind) != NULL)
        return af_fail(err, AF_EINVAL, "%s doesn't support time in WHERE clause", kind_words(show->st->kind));
    show->condition = rest;
    return AF_OK;
}

/* A policy of that name, or (NULL) the default one: what looks at one policy. */
static enum af_status open_one(struct show *show, const char *policy, struct af_error *err)
{
    uint32_t at;
    return query_stores_get(&show->stores, show->database, policy != NULL ? policy : show->query->request->policy, false, &at, err);
}

/* The policy that FROM names; NULL: none. */
static const char *policy_of(const struct af_ql_statement *st)
{
    const char *policy = st->source_count != 0 ? st->sources[0].policy : NULL;
    return policy != NULL && policy[0] != '\0' ? policy : NULL;
}

static enum af_status open_stores(struct show *show, struct af_error *err)
{
    struct af_query_place *places;
    size_t count;
    uint32_t at;
    enum af_ql_kind kind = show->st->kind;
    const struct af_query_host *host = show->query->host;
    const char *policy = policy_of(show->st);
    bool is_of_one = kind == AF_QL_SHOW_FIELD_KEYS || (show_is_count(show->st) && !show_is_estimation(show->st)) ||
                     (kind == AF_QL_SHOW_SERIES && (policy != NULL || has_range(show)));
    AF_TRY(host->places(host->ctx, show->database, show->query->arena, &places, &count, err));
    if (count == 0 && kind != AF_QL_SHOW_MEASUREMENTS && !show_is_estimation(show->st))
        return af_fail(err, AF_ENOTFOUND, "database not found: %s", show->database);
    if (is_of_one)
        return open_one(show, policy, err);
    for (size_t i = 0; i < count; i++)
        AF_TRY(query_stores_get(&show->stores, show->database, places[i].policy, false, &at, err));
    return AF_OK;
}

static enum af_status show_run(struct show *show, struct af_error *err)
{
    AF_TRY(read_condition(show, err));
    AF_TRY(open_stores(show, err));
    switch (show->st->kind) {
    case AF_QL_SHOW_MEASUREMENTS: return show_measurements(show, err);
    case AF_QL_SHOW_SERIES: return show_series(show, err);
    case AF_QL_SHOW_TAG_KEYS:
    case AF_QL_SHOW_TAG_VALUES:
    case AF_QL_SHOW_FIELD_KEYS: return show_by_measurement(show, err);
    default: return show_counts(show, err);
    }
}

enum af_status query_show(struct query *query, const struct af_ql_statement *statement, struct af_tables **out, struct af_error *err)
{
    struct show show = { .query = query, .st = statement, .stores = { .host = query->host, .arena = query->arena } };
    AF_TRY(query_database(query, statement, &show.database, err));
    show.made = af_made_new(query->arena);
    if (show.made == NULL)
        return af_fail_nomem(err, "a listing");
    enum af_status status = show_run(&show, err);
    query_stores_close(&show.stores);
    return status == AF_OK ? af_made_finish(show.made, out, err) : status;
}
