/* v1_show.c - 1.x's SHOW MEASUREMENTS, TAG KEYS, TAG VALUES, FIELD KEYS, SERIES, and what little there is to say of STATS and
 * DIAGNOSTICS. */
#include "server/v1_names.h"

struct show {
    struct v1_run *run;
    const struct v1_statement *st;
    struct v1_policy *buckets;
    size_t bucket_count;
};

/* --- gathering ----------------------------------------------------------------------------------------------------------------- */

/* FROM with a policy speaks of that policy's bucket alone. */
static const char *policy_of(const struct v1_statement *st)
{
    return st->sources != NULL ? st->sources->policy : NULL;
}

static enum af_status names_of(struct show *s, enum af_listing what, const char *measurement, const char *tag, struct v1_names *out,
                               struct af_error *err)
{
    *out = (struct v1_names){ .arena = s->run->arena };
    for (size_t i = 0; i < s->bucket_count; i++)
        AF_TRY(v1_names_add(s->run, s->buckets[i].bucket.id, what, measurement, tag, s->st->predicate, out, err));
    v1_names_sort(out);
    return AF_OK;
}

static bool is_in_sources(const struct v1_statement *st, struct af_slice measurement)
{
    if (st->sources == NULL)
        return true;
    for (const struct v1_source *source = st->sources; source != NULL; source = source->next)
        if (af_slice_is(measurement, source->measurement))
            return true;
    return false;
}

static enum af_status measurements_of(struct show *s, struct v1_names *out, struct af_error *err)
{
    AF_TRY(names_of(s, AF_LIST_MEASUREMENTS, NULL, NULL, out, err));
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++)
        if (is_in_sources(s->st, out->items[i].name))
            out->items[kept++] = out->items[i];
    out->count = kept;
    return AF_OK;
}

struct window {
    size_t from, to;
};

static struct window window_of(const struct v1_statement *st, size_t count)
{
    size_t from = st->offset < count ? (size_t)st->offset : count;
    size_t left = count - from;
    return (struct window){ from, from + (st->limit != 0 && st->limit < left ? (size_t)st->limit : left) };
}

/* --- one column ------------------------------------------------------------------------------------------------------------------ */

static void print_names(struct show *s, const char *series, const char *column, const struct v1_names *names)
{
    struct window w = window_of(s->st, names->count);
    if (w.from == w.to)
        return;
    v1_series(s->run, series, 1, &column);
    for (size_t i = w.from; i < w.to; i++) {
        v1_row(s->run);
        v1_cell_text(s->run, names->items[i].name);
        v1_row_end(s->run);
    }
    v1_series_end(s->run);
}

static enum af_status show_measurements(struct show *s, struct af_error *err)
{
    struct v1_names names;
    AF_TRY(measurements_of(s, &names, err));
    if (s->st->keys != NULL) { /* WITH MEASUREMENT = */
        bool has = v1_names_has(&names, af_slice_of(s->st->keys->name));
        names.count = has;
        if (has)
            names.items[0].name = af_slice_of(s->st->keys->name);
    }
    print_names(s, "measurements", "name", &names);
    return AF_OK;
}

static enum af_status show_series(struct show *s, struct af_error *err)
{
    struct v1_names names = { .arena = s->run->arena };
    if (s->st->sources == NULL)
        AF_TRY(names_of(s, AF_LIST_SERIES, NULL, NULL, &names, err));
    for (const struct v1_source *source = s->st->sources; source != NULL; source = source->next)
        for (size_t i = 0; i < s->bucket_count; i++)
            AF_TRY(v1_names_add(s->run, s->buckets[i].bucket.id, AF_LIST_SERIES, source->measurement, NULL, s->st->predicate, &names, err));
    v1_names_sort(&names);
    print_names(s, NULL, "key", &names);
    return AF_OK;
}

/* --- by measurement --------------------------------------------------------------------------------------------------------------- */

static enum af_status show_tag_keys(struct show *s, const char *measurement, struct af_error *err)
{
    struct v1_names names;
    AF_TRY(names_of(s, AF_LIST_TAG_KEYS, measurement, NULL, &names, err));
    print_names(s, measurement, "tagKey", &names);
    return AF_OK;
}

static enum af_status show_field_keys(struct show *s, const char *measurement, struct af_error *err)
{
    static const char *const columns[] = { "fieldKey", "fieldType" };
    struct v1_names names;
    AF_TRY(names_of(s, AF_LIST_FIELDS, measurement, NULL, &names, err));
    struct window w = window_of(s->st, names.count);
    if (w.from == w.to)
        return AF_OK;
    v1_series(s->run, measurement, 2, columns);
    for (size_t i = w.from; i < w.to; i++) {
        v1_row(s->run);
        v1_cell_text(s->run, names.items[i].name);
        v1_cell_text(s->run, names.items[i].type);
        v1_row_end(s->run);
    }
    v1_series_end(s->run);
    return AF_OK;
}

static bool is_asked_key(const struct v1_statement *st, struct af_slice key)
{
    for (const struct v1_key *k = st->keys; k != NULL; k = k->next)
        if (af_slice_is(key, k->name))
            return !st->is_not;
    return st->is_not;
}

static enum af_status show_tag_values(struct show *s, const char *measurement, struct af_error *err)
{
    static const char *const columns[] = { "key", "value" };
    struct v1_names keys;
    struct window w;
    size_t seen = 0;
    bool is_open = false;
    AF_TRY(names_of(s, AF_LIST_TAG_KEYS, measurement, NULL, &keys, err));
    for (size_t k = 0; k < keys.count; k++) {
        struct v1_names values;
        if (!is_asked_key(s->st, keys.items[k].name))
            continue;
        AF_TRY(names_of(s, AF_LIST_TAG_VALUES, measurement, keys.items[k].name.ptr, &values, err));
        w = window_of(s->st, seen + values.count); /* over the values of all keys together */
        for (size_t i = 0; i < values.count; i++, seen++) {
            if (seen < w.from || seen >= w.to)
                continue;
            if (!is_open)
                v1_series(s->run, measurement, 2, columns);
            is_open = true;
            v1_row(s->run);
            v1_cell_text(s->run, keys.items[k].name);
            v1_cell_text(s->run, values.items[i].name);
            v1_row_end(s->run);
        }
    }
    if (is_open)
        v1_series_end(s->run);
    return AF_OK;
}

static enum af_status show_by_measurement(struct show *s, struct af_error *err)
{
    struct v1_names measurements;
    AF_TRY(measurements_of(s, &measurements, err));
    for (size_t i = 0; i < measurements.count; i++) {
        const char *name = measurements.items[i].name.ptr;
        if (s->st->kind == V1_SHOW_TAG_KEYS)
            AF_TRY(show_tag_keys(s, name, err));
        else if (s->st->kind == V1_SHOW_TAG_VALUES)
            AF_TRY(show_tag_values(s, name, err));
        else
            AF_TRY(show_field_keys(s, name, err));
    }
    return AF_OK;
}

/* --- about the server ----------------------------------------------------------------------------------------------------------------- */

static void show_one_row(struct v1_run *run, const char *series, size_t count, const char *const *columns, const int64_t *values)
{
    v1_series(run, series, count, columns);
    v1_row(run);
    for (size_t i = 0; i < count; i++)
        v1_cell_int(run, values[i]);
    v1_row_end(run);
    v1_series_end(run);
}

static void show_stats(struct v1_run *run)
{
    static const char *const columns[] = { "buckets", "cacheBytes", "compactions", "diskBytes", "files", "flushes", "numSeries",
                                           "pointsDropped",
                                           "pointsWritten", "shards", "walBytes" };
    struct af_tsm_stats_now now;
    af_tsm_stats_get_now(run->request->house->engine, &now);
    const int64_t values[] = { (int64_t)now.buckets, (int64_t)now.cache_bytes, (int64_t)now.compactions, (int64_t)now.file_bytes,
                               (int64_t)now.files, (int64_t)now.flushes, (int64_t)now.series, (int64_t)now.points_dropped,
                               (int64_t)now.points_written, (int64_t)now.shards, (int64_t)now.wal_bytes };
    show_one_row(run, "engine", sizeof values / sizeof values[0], columns, values);
}

static void show_diagnostics(struct v1_run *run)
{
    static const char *const columns[] = { "Branch", "Build Time", "Commit", "Version" };
    static const char *const values[] = { "", "", "", "1.8.10" }; /* what /ping says; see ops.c */
    v1_series(run, "build", 4, columns);
    v1_row(run);
    for (size_t i = 0; i < 4; i++)
        v1_cell_text(run, af_slice_of(values[i]));
    v1_row_end(run);
    v1_series_end(run);
}

static void show_queries(struct v1_run *run)
{
    static const char *const columns[] = { "qid", "query", "database", "duration", "status" };
    v1_series(run, NULL, 5, columns);
    v1_series_end(run);
}

static enum af_status show_stored(struct show *s, const char *database, struct af_error *err)
{
    bool exists;
    enum v1_kind kind = s->st->kind;
    if (database == NULL)
        return af_fail(err, AF_EINVAL, "database name required");
    AF_TRY(v1_buckets(s->run, database, policy_of(s->st), &s->buckets, &s->bucket_count, &exists, err));
    if (!exists && kind != V1_SHOW_MEASUREMENTS)
        return af_fail(err, AF_ENOTFOUND, "database not found: %s", database);
    if (kind == V1_SHOW_MEASUREMENTS)
        return show_measurements(s, err);
    return kind == V1_SHOW_SERIES ? show_series(s, err) : show_by_measurement(s, err);
}

enum af_status v1_run_show(struct v1_run *run, const struct v1_statement *st, struct af_error *err)
{
    struct show show = { .run = run, .st = st };
    switch (st->kind) {
    case V1_SHOW_STATS: show_stats(run); return AF_OK;
    case V1_SHOW_DIAGNOSTICS: show_diagnostics(run); return AF_OK;
    case V1_SHOW_QUERIES: show_queries(run); return AF_OK;
    case V1_SHOW_SUBSCRIPTIONS: return AF_OK;
    default: return show_stored(&show, v1_database_of(run, st), err);
    }
}
