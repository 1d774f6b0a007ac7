/*
 * show_count.c - how many there are: SHOW ... CARDINALITY, a count for each measurement, or for each group of its series.
 *
 * Without FROM, WHERE and the like, series and measurements are what the stores count by themselves ("estimation", which is exact here);
 * the others are counted of one retention policy, as InfluxDB does.
 */
#include "data/points.h"
#include "query/show_int.h"

/* What is counted, under its group: sorted, each is there once, and those of a group lie together. */
struct counting {
    struct show *show;
    struct query_names *dims;            /* tags that GROUP BY names, ascending */
    struct query_names found;            /* name: the group's key; type: what is counted */
    struct af_buf group, key, value;
};

bool show_is_count(const struct af_ql_statement *st)
{
    switch (st->kind) {
    case AF_QL_SHOW_SERIES_CARDINALITY:
    case AF_QL_SHOW_MEASUREMENT_CARDINALITY:
    case AF_QL_SHOW_TAG_KEY_CARDINALITY:
    case AF_QL_SHOW_TAG_VALUES_CARDINALITY:
    case AF_QL_SHOW_FIELD_KEY_CARDINALITY: return true;
    default: return false;
    }
}

bool show_is_estimation(const struct af_ql_statement *st)
{
    return (st->kind == AF_QL_SHOW_SERIES_CARDINALITY || st->kind == AF_QL_SHOW_MEASUREMENT_CARDINALITY) && !st->is_exact &&
        st->source_count == 0 &&
           st->condition == NULL && st->dimension_count == 0 && st->limit == 0 && st->offset == 0;
}

static void put_count(struct show *show, const char *series, const char *column, uint64_t count)
{
    af_made_begin(show->made, series, 1, &column);
    af_made_cell(show->made, af_value_i64((int64_t)count));
}

/* --- what the stores count ------------------------------------------------------------------------------------------------------------ */

/* Row `which` of AF_LIST_COUNTS of one store. */
static enum af_status counted_in(struct show *show, struct af_store *store, const struct af_scan *scan, const char *which, uint64_t *out,
                                 struct af_error *err)
{
    struct af_arena arena;
    struct af_stream *stream;
    struct af_batch *batch = NULL;
    enum af_status status;
    (void)show;
    AF_TRY(af_store_list(store, AF_LIST_COUNTS, scan, &stream, err));
    af_arena_init(&arena, SIZE_MAX / 2);
    while ((status = af_stream_next(stream, &arena, &batch, err)) == AF_OK && batch != NULL)
        for (size_t row = 0; row < batch->row_count; row++)
            if (af_slice_is(af_column_text(&batch->columns[0], row), which))
                *out += (uint64_t)batch->columns[1].i64[row];
    af_stream_close(stream);
    af_arena_done(&arena);
    return status;
}

/* Series of several policies may be the same ones: then they are looked at. */
static enum af_status count_series(struct show *show, const char *measurement, const struct af_predicate *predicate, uint64_t *out,
                                   struct af_error *err)
{
    struct query_names names;
    struct af_scan scan = { .measurement = measurement, .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .predicate = predicate,
                            .cancel = show->query->cancel };
    *out = 0;
    if (show->stores.count == 1)
        return counted_in(show, show->stores.items[0].store, &scan, "series", out, err);
    AF_TRY(show_names(show, AF_LIST_SERIES, measurement, NULL, predicate, &names, err));
    *out = names.count;
    return AF_OK;
}

static enum af_status show_estimation(struct show *show, struct af_error *err)
{
    uint64_t count = 0;
    struct query_names names;
    if (show->st->kind == AF_QL_SHOW_SERIES_CARDINALITY) {
        AF_TRY(count_series(show, NULL, NULL, &count, err));
    } else {
        AF_TRY(show_names(show, AF_LIST_MEASUREMENTS, NULL, NULL, NULL, &names, err));
        count = names.count;
    }
    put_count(show, NULL, "cardinality estimation", count);
    return AF_OK;
}

/* --- of a measurement ----------------------------------------------------------------------------------------------------------------- */

static enum af_status is_asked(struct show *show, struct af_slice key, bool *out, struct af_error *err)
{
    AF_TRY(show_is_asked_key(show->st, key, out, err));
    return *out ? show_where_key(show, key, out, err) : AF_OK;
}

static enum af_status count_values(struct show *show, const char *measurement, const struct af_predicate *predicate, uint64_t *out,
                                   struct af_error *err)
{
    struct query_names keys, all = { .arena = show->query->arena };
    AF_TRY(show_names(show, AF_LIST_TAG_KEYS, measurement, NULL, predicate, &keys, err));
    for (size_t k = 0; k < keys.count; k++) {
        bool asked;
        struct af_scan scan = { .measurement = measurement, .start_ns = show->range.start_ns, .stop_ns = show->range.stop_ns,
                                .predicate = predicate, .tag = keys.items[k].name.ptr, .cancel = show->query->cancel };
        AF_TRY(is_asked(show, keys.items[k].name, &asked, err));
        for (size_t i = 0; asked && i < show->stores.count; i++)
            AF_TRY(query_names_add(&all, show->stores.items[i].store, AF_LIST_TAG_VALUES, &scan, err));
    }
    query_names_sort(&all);
    *out = all.count;
    return AF_OK;
}

/* A field may have another type elsewhere: one key. */
static uint64_t count_keys(const struct query_names *fields)
{
    uint64_t count = 0;
    for (size_t i = 0; i < fields->count; i++)
        count += i == 0 || !af_slice_eq(fields->items[i].name, fields->items[i - 1].name);
    return count;
}

static enum af_status count_in(struct show *show, const char *measurement, const struct af_predicate *predicate, uint64_t *out,
                               struct af_error *err)
{
    struct query_names names;
    switch (show->st->kind) {
    case AF_QL_SHOW_TAG_VALUES_CARDINALITY: return count_values(show, measurement, predicate, out, err);
    case AF_QL_SHOW_TAG_KEY_CARDINALITY:
        AF_TRY(show_names(show, AF_LIST_TAG_KEYS, measurement, NULL, predicate, &names, err));
        *out = names.count;
        return AF_OK;
    default: break;
    }
    AF_TRY(count_series(show, measurement, predicate, out, err));
    if (show->st->kind == AF_QL_SHOW_SERIES_CARDINALITY || *out == 0)
        return AF_OK;
    *out = 1;
    if (show->st->kind == AF_QL_SHOW_MEASUREMENT_CARDINALITY)
        return AF_OK;
    AF_TRY(show_names(show, AF_LIST_FIELDS, measurement, NULL, NULL, &names, err));
    *out = count_keys(&names);
    return AF_OK;
}

static enum af_status count_measurements(struct show *show, const struct query_names *measurements, struct af_error *err)
{
    uint64_t all = 0;
    for (size_t i = 0; i < measurements->count; i++) {
        uint64_t count;
        const struct af_predicate *predicate;
        AF_TRY(show_where_series(show, measurements->items[i].name, &predicate, err));
        AF_TRY(count_in(show, measurements->items[i].name.ptr, predicate, &count, err));
        all += count;
        if (count != 0 && show->st->kind != AF_QL_SHOW_MEASUREMENT_CARDINALITY)
            put_count(show, measurements->items[i].name.ptr, "count", count);
    }
    if (all != 0 && show->st->kind == AF_QL_SHOW_MEASUREMENT_CARDINALITY)
        put_count(show, NULL, "count", all);
    return AF_OK;
}

/* --- GROUP BY ------------------------------------------------------------------------------------------------------------------------- */

static enum af_status is_dimension(const struct af_ql_statement *st, struct af_slice key, bool *out, struct af_error *err)
{
    *out = false;
    for (size_t i = 0; i < st->dimension_count && !*out; i++) {
        const struct af_ql_expr *dim = st->dimensions[i];
        *out = dim->kind == AF_QL_WILDCARD;
        if (dim->kind == AF_QL_REGEX)
            AF_TRY(af_regex_match(dim->regex, key, out, err));
    }
    return AF_OK;
}

/* Names of GROUP BY, and what its wildcards and regexes find in any of the measurements. */
static enum af_status dimensions_of(struct show *show, const struct query_names *measurements, struct query_names *out,
                                    struct af_error *err)
{
    *out = (struct query_names){ .arena = show->query->arena };
    for (size_t i = 0; i < show->st->dimension_count; i++)
        if (show->st->dimensions[i]->kind == AF_QL_REF)
            AF_TRY(query_names_put(out, af_slice_of(show->st->dimensions[i]->name), AF_SLICE_LIT(""), err));
    for (size_t m = 0; m < measurements->count; m++) {
        struct query_names keys;
        AF_TRY(show_names(show, AF_LIST_TAG_KEYS, measurements->items[m].name.ptr, NULL, NULL, &keys, err));
        for (size_t k = 0; k < keys.count; k++) {
            bool is_one;
            AF_TRY(is_dimension(show->st, keys.items[k].name, &is_one, err));
            if (is_one)
                AF_TRY(query_names_put(out, keys.items[k].name, AF_SLICE_LIT(""), err));
        }
    }
    query_names_sort(out);
    return AF_OK;
}

/* The value that the series has there; empty: none. Lives until the next call. */
static struct af_slice tag_of(struct counting *counting, struct af_slice series, struct af_slice tag)
{
    size_t at = 0;
    struct af_slice key_raw, value_raw;
    while (af_key_next_tag(series, &at, &key_raw, &value_raw))
        if (af_slice_eq(af_key_unescape(key_raw, &counting->key), tag))
            return af_key_unescape(value_raw, &counting->value);
    return AF_SLICE_LIT("");
}

/* The measurement and the values of the dimensions, each with a NUL behind it: such texts sort as the groups do. */
static enum af_status name_group(struct counting *counting, struct af_slice measurement, struct af_slice series, struct af_error *err)
{
    af_buf_clear(&counting->group);
    if (counting->show->st->kind != AF_QL_SHOW_MEASUREMENT_CARDINALITY)
        af_buf_append_slice(&counting->group, measurement);
    af_buf_append_char(&counting->group, '\0');
    for (size_t d = 0; d < counting->dims->count; d++) {
        af_buf_append_slice(&counting->group, tag_of(counting, series, counting->dims->items[d].name));
        af_buf_append_char(&counting->group, '\0');
    }
    return af_buf_check(&counting->group, "a group", err);
}

static enum af_status find(struct counting *counting, struct af_slice what, struct af_error *err)
{
    return query_names_put(&counting->found, af_buf_slice(&counting->group), what, err);
}

static enum af_status find_tags(struct counting *counting, struct af_slice series, struct af_error *err)
{
    size_t at = 0;
    struct af_slice key_raw, value_raw;
    bool keys = counting->show->st->kind == AF_QL_SHOW_TAG_KEY_CARDINALITY;
    while (af_key_next_tag(series, &at, &key_raw, &value_raw)) {
        bool asked = true;
        struct af_slice key = af_key_unescape(key_raw, &counting->key);
        if (!keys)
            AF_TRY(is_asked(counting->show, key, &asked, err));
        if (asked)
            AF_TRY(find(counting, keys ? key : af_key_unescape(value_raw, &counting->value), err));
    }
    return AF_OK;
}

static enum af_status find_in_series(struct counting *counting, struct af_slice measurement, struct af_slice series,
                                     const struct query_names *fields, struct af_error *err)
{
    AF_TRY(name_group(counting, measurement, series, err));
    switch (counting->show->st->kind) {
    case AF_QL_SHOW_SERIES_CARDINALITY: return find(counting, series, err);
    case AF_QL_SHOW_MEASUREMENT_CARDINALITY: return find(counting, measurement, err);
    case AF_QL_SHOW_FIELD_KEY_CARDINALITY:
        for (size_t i = 0; i < fields->count; i++)
            AF_TRY(find(counting, fields->items[i].name, err));
        return AF_OK;
    default: return find_tags(counting, series, err);
    }
}

static enum af_status find_in_measurement(struct counting *counting, struct af_slice measurement, struct af_error *err)
{
    struct show *show = counting->show;
    const struct af_predicate *predicate;
    struct query_names series, fields = { 0 };
    AF_TRY(show_where_series(show, measurement, &predicate, err));
    AF_TRY(show_names(show, AF_LIST_SERIES, measurement.ptr, NULL, predicate, &series, err));
    if (show->st->kind == AF_QL_SHOW_FIELD_KEY_CARDINALITY)
        AF_TRY(show_names(show, AF_LIST_FIELDS, measurement.ptr, NULL, NULL, &fields, err));
    for (size_t i = 0; i < series.count; i++)
        AF_TRY(find_in_series(counting, measurement, series.items[i].name, &fields, err));
    return AF_OK;
}

static void put_group(struct counting *counting, struct af_slice group, uint64_t count)
{
    static const char *const column = "count";
    const char *at = group.ptr;
    af_made_begin(counting->show->made, at[0] != '\0' ? at : NULL, 1, &column);
    for (size_t d = 0; d < counting->dims->count; d++) {
        at += strlen(at) + 1;
        af_made_tag(counting->show->made, counting->dims->items[d].name.ptr, af_slice_of(at));
    }
    af_made_cell(counting->show->made, af_value_i64((int64_t)count));
}

static void put_groups(struct counting *counting)
{
    struct query_names *found = &counting->found;
    query_names_sort(found);
    for (size_t i = 0, from = 0; i < found->count; i++) {
        bool is_last = i + 1 == found->count || !af_slice_eq(found->items[i].name, found->items[i + 1].name);
        if (!is_last)
            continue;
        put_group(counting, found->items[i].name, i + 1 - from);
        from = i + 1;
    }
}

static enum af_status count_groups(struct show *show, const struct query_names *measurements, struct af_error *err)
{
    struct query_names dims;
    struct counting counting = { .show = show, .dims = &dims, .found = { .arena = show->query->arena } };
    AF_TRY(dimensions_of(show, measurements, &dims, err));
    af_buf_init(&counting.group, SIZE_MAX / 2);
    af_buf_init(&counting.key, SIZE_MAX / 2);
    af_buf_init(&counting.value, SIZE_MAX / 2);
    enum af_status status = AF_OK;
    for (size_t i = 0; i < measurements->count && status == AF_OK; i++)
        status = find_in_measurement(&counting, measurements->items[i].name, err);
    if (status == AF_OK && (counting.key.failed || counting.value.failed))
        status = af_fail_nomem(err, "a series key");
    if (status == AF_OK)
        put_groups(&counting);
    af_buf_done(&counting.group);
    af_buf_done(&counting.key);
    af_buf_done(&counting.value);
    return status;
}

/* --- the statement -------------------------------------------------------------------------------------------------------------------- */

enum af_status show_counts(struct show *show, struct af_error *err)
{
    struct query_names measurements;
    if (show_is_estimation(show->st))
        return show_estimation(show, err);
    if (show->st->offset > 0) /* of each series of one row */
        return AF_OK;
    AF_TRY(show_measurements_named(show, &measurements, err));
    return show->st->dimension_count != 0 ? count_groups(show, &measurements, err) : count_measurements(show, &measurements, err);
}
