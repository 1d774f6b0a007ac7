/*
 * memory_list.c - the reference store, its listings: names in whatever way is simplest, by looking at every series; see store_int.h.
 */
#include "base/buf.h"
#include "store/listing.h"
#include "store/store_int.h"

struct lister {
    const struct mem_store *store;
    const struct af_scan *scan;
    struct af_listed *listed;
    struct af_intern seen;      /* what is listed already */
    struct af_buf scratch;
    uint32_t measurement;       /* UINT32_MAX: any */
    int64_t series_count;       /* AF_LIST_COUNTS */
};

static enum af_status add_once(struct lister *l, struct af_slice raw, struct af_error *err)
{
    af_buf_clear(&l->scratch);
    struct af_slice name = af_key_unescape(raw, &l->scratch);
    uint32_t before = l->seen.count;
    uint32_t id;
    AF_TRY(af_buf_check(&l->scratch, "a listing", err));
    AF_TRY(af_intern_add(&l->seen, name, &id, err));
    return l->seen.count != before ? af_listed_add(l->listed, name, NULL, 0, err) : AF_OK;
}

static enum af_status is_tag(struct lister *l, struct af_slice raw, bool *out, struct af_error *err)
{
    af_buf_clear(&l->scratch);
    *out = af_slice_is(af_key_unescape(raw, &l->scratch), l->scan->tag);
    return af_buf_check(&l->scratch, "a listing", err);
}

static enum af_status add_tags(struct lister *l, struct af_slice key, bool values, struct af_error *err)
{
    size_t at = 0;
    struct af_slice tag, value;
    while (af_key_next_tag(key, &at, &tag, &value)) {
        bool is_wanted = true;
        if (values)
            AF_TRY(is_tag(l, tag, &is_wanted, err));
        if (is_wanted)
            AF_TRY(add_once(l, values ? value : tag, err));
    }
    return AF_OK;
}

/* Counted: the series, and by `seen` its measurement. */
static enum af_status count_series(struct lister *l, struct af_slice key, struct af_error *err)
{
    uint32_t id;
    l->series_count++;
    return af_intern_add(&l->seen, af_key_measurement_raw(key), &id, err);
}

static enum af_status list_counts(struct lister *l, struct af_error *err)
{
    AF_TRY(af_listed_add(l->listed, AF_SLICE_LIT("measurements"), NULL, l->seen.count, err));
    return af_listed_add(l->listed, AF_SLICE_LIT("series"), NULL, l->series_count, err);
}

bool mem_series_has_cells(const struct mem_series *series)
{
    for (size_t i = 0; i < series->strand_count; i++)
        if (series->strands[i].count != 0)
            return true;
    return false;
}

static enum af_status list_series(struct lister *l, enum af_listing what, struct af_error *err)
{
    const struct mem_store *store = l->store;
    const struct af_predicate *predicate = l->scan != NULL ? l->scan->predicate : NULL;
    for (uint32_t id = 0; id < store->keys.count; id++) {
        struct af_slice key = store->keys.keys[id];
        const struct mem_series *series = &store->series[id];
        if ((l->measurement != UINT32_MAX && series->measurement != l->measurement) || !mem_series_has_cells(series) ||
            !af_predicate_match(predicate, key))
            continue;
        if (what == AF_LIST_SERIES)
            AF_TRY(af_listed_add(l->listed, key, NULL, 0, err));
        else if (what == AF_LIST_COUNTS)
            AF_TRY(count_series(l, key, err));
        else if (what == AF_LIST_MEASUREMENTS)
            AF_TRY(add_once(l, af_key_measurement_raw(key), err));
        else
            AF_TRY(add_tags(l, key, what == AF_LIST_TAG_VALUES, err));
    }
    return AF_OK;
}

static enum af_status list_fields(struct lister *l, struct af_error *err)
{
    if (l->measurement == UINT32_MAX)
        return AF_OK;
    const struct mem_measurement *measurement = &l->store->measurements[l->measurement];
    for (uint32_t i = 0; i < measurement->fields.count; i++)
        AF_TRY(af_listed_add(l->listed, measurement->fields.keys[i], mem_type_word(measurement->types[i]), 0, err));
    return AF_OK;
}

static enum af_status list(struct lister *l, enum af_listing what, struct af_error *err)
{
    if (what == AF_LIST_BUCKETS)
        return mem_check_created(l->store, NULL) == AF_OK ? af_listed_add(l->listed, AF_SLICE_LIT("memory"), NULL, 0, err) : AF_OK;
    l->measurement = UINT32_MAX;
    bool is_named = what != AF_LIST_MEASUREMENTS && l->scan != NULL && l->scan->measurement != NULL;
    if (is_named)
        AF_TRY(mem_find_measurement(l->store, l->scan->measurement, &l->measurement, err));
    bool is_nowhere = is_named && l->measurement == UINT32_MAX;
    if (what == AF_LIST_FIELDS)
        return list_fields(l, err);
    if (!is_nowhere)
        AF_TRY(list_series(l, what, err));
    return what == AF_LIST_COUNTS ? list_counts(l, err) : AF_OK;
}

enum af_status mem_list(struct af_store *base, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                        struct af_error *err)
{
    struct mem_store *store = (struct mem_store *)base;
    struct lister l = { .store = store, .scan = scan };
    AF_TRY(af_listed_new(what, &l.listed, err));
    af_intern_init(&l.seen);
    af_buf_init(&l.scratch, SIZE_MAX);
    af_mutex_lock(&store->lock);
    enum af_status status = list(&l, what, err);
    af_mutex_unlock(&store->lock);
    af_buf_done(&l.scratch);
    af_intern_done(&l.seen);
    struct af_stream *stream = af_listed_stream(l.listed);
    if (status == AF_OK)
        *out = stream;
    else
        af_stream_close(stream);
    return status;
}
