/*
 * list.c - what is in a bucket: measurements, fields, tags, series, from the index and the shards' types. Nothing is read from TSM files.
 *
 * Series without data are hidden in the index (erase), so what only they had is not listed. The time of the scan counts only for fields,
 * and there by whole shards, as in InfluxDB. The engine knows buckets by id: their names are meta/'s business.
 */
#include "base/alloc.h"
#include "store/listing.h"
#include "tsm/scan_int.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct list {
    struct af_tsm *engine;
    struct af_view *view;         /* NULL for buckets */
    const struct af_scan *scan;   /* NULL: everything */
    struct af_listed *listed;
    struct af_arena arena;
};

static const struct af_predicate *predicate_of(const struct list *list)
{
    return list->scan != NULL ? list->scan->predicate : NULL;
}

/* The number of the measurement that is asked for; AF_INDEX_NONE: there is none of that name. */
static enum af_status find_measurement(struct list *list, struct af_slice *out_name, uint32_t *out_number, struct af_error *err)
{
    *out_number = AF_INDEX_NONE;
    if (list->scan == NULL || list->scan->measurement == NULL)
        return af_fail(err, AF_EINVAL, "this list is of one measurement: name it");
    return scan_measurement(list->view, list->scan->measurement, &list->arena, out_name, out_number, err);
}

static enum af_status has_series(struct list *list, uint32_t measurement, bool *out, struct af_error *err)
{
    uint64_t measurements, series;
    AF_TRY(af_index_counts(list->view->bucket->index, measurement, predicate_of(list), &list->arena, &measurements, &series, err));
    *out = series > 0;
    return AF_OK;
}

static enum af_status add_unescaped(struct list *list, struct af_slice raw, struct af_error *err)
{
    struct af_buf scratch;
    af_buf_init(&scratch, SIZE_MAX);
    struct af_slice name = af_key_unescape_measurement(raw, &scratch);
    enum af_status status = af_buf_check(&scratch, "a listing", err);
    if (status == AF_OK)
        status = af_listed_add(list->listed, name, NULL, 0, err);
    af_buf_done(&scratch);
    return status;
}

static enum af_status list_measurements(struct list *list, struct af_error *err)
{
    struct af_index *index = list->view->bucket->index;
    uint32_t count = af_index_measurement_count(index);
    for (uint32_t i = 0; i < count; i++) {
        bool some;
        af_arena_reset(&list->arena);
        AF_TRY(has_series(list, i, &some, err));
        if (some)
            AF_TRY(add_unescaped(list, af_index_measurement_name(index, i), err));
    }
    return AF_OK;
}

static const char *word_of(enum af_type type)
{
    switch (type) {
    case AF_TYPE_F64: return "float";
    case AF_TYPE_I64: return "integer";
    case AF_TYPE_U64: return "unsigned";
    case AF_TYPE_BOOL: return "boolean";
    default: return "string";
    }
}

static enum af_status list_fields(struct list *list, struct af_error *err)
{
    struct af_slice name;
    uint32_t measurement;
    bool some = false;
    struct scan_column *fields;
    size_t count;
    AF_TRY(find_measurement(list, &name, &measurement, err));
    if (measurement != AF_INDEX_NONE)
        AF_TRY(has_series(list, measurement, &some, err));
    if (!some)
        return AF_OK;
    AF_TRY(scan_fields(list->view, name, &list->arena, &fields, &count, err));
    for (size_t i = 0; i < count; i++)
        AF_TRY(af_listed_add(list->listed, fields[i].name, word_of(fields[i].type), 0, err));
    return AF_OK;
}

static enum af_status list_buckets(struct list *list, struct af_error *err)
{
    enum af_status status = AF_OK;
    af_mutex_lock(&list->engine->lock);
    for (size_t i = 0; i < list->engine->at.bucket_count && status == AF_OK; i++) {
        const struct af_tsm_bucket *bucket = &list->engine->at.buckets[i]->settings;
        char name[17];
        int len = snprintf(name, sizeof name, "%016" PRIx64, bucket->id);
        status = af_listed_add(list->listed, af_slice_make(name, (size_t)len), NULL, bucket->retention_ns / 1000000000, err);
    }
    af_mutex_unlock(&list->engine->lock);
    return status;
}

/* Of several measurements: a tag that more than one has is listed once. */
static int by_text(const void *a, const void *b)
{
    return af_slice_cmp(*(const struct af_slice *)a, *(const struct af_slice *)b);
}

static enum af_status add_once(struct list *list, struct af_slice *texts, size_t count, struct af_error *err)
{
    size_t sorted = 1;
    while (sorted < count && by_text(&texts[sorted - 1], &texts[sorted]) < 0)
        sorted++;
    if (sorted < count)
        qsort(texts, count, sizeof *texts, by_text);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !af_slice_eq(texts[i - 1], texts[i]))
            AF_TRY(af_listed_add(list->listed, texts[i], NULL, 0, err));
    return AF_OK;
}

static enum af_status tags_of(struct list *list, enum af_listing what, uint32_t measurement, struct af_slice **out, size_t *out_count,
                              struct af_error *err)
{
    struct af_index *index = list->view->bucket->index;
    if (what == AF_LIST_TAG_KEYS)
        return af_index_tag_keys(index, measurement, predicate_of(list), &list->arena, out, out_count, err);
    if (list->scan == NULL || list->scan->tag == NULL)
        return af_fail(err, AF_EINVAL, "the values of which tag?");
    return af_index_tag_values(index, measurement, af_slice_of(list->scan->tag), predicate_of(list), &list->arena, out, out_count, err);
}

struct texts {
    struct af_slice *list;
    size_t count, cap;
};

static enum af_status append_texts(struct list *list, struct texts *all, const struct af_slice *texts, size_t count, struct af_error *err)
{
    if (count > all->cap - all->count) {
        size_t cap = (all->count + count) * 2;
        struct af_slice *more = af_arena_array(&list->arena, cap, sizeof *more);
        if (more == NULL)
            return af_arena_fail(&list->arena, cap * sizeof *more, "a listing", err);
        if (all->count > 0)
            memcpy(more, all->list, all->count * sizeof *more);
        all->list = more;
        all->cap = cap;
    }
    if (count > 0)
        memcpy(all->list + all->count, texts, count * sizeof *texts);
    all->count += count;
    return AF_OK;
}

static enum af_status all_tags(struct list *list, enum af_listing what, struct af_error *err)
{
    uint32_t measurements = af_index_measurement_count(list->view->bucket->index);
    struct texts all = { 0 };
    for (uint32_t i = 0; i < measurements; i++) {
        struct af_slice *texts = NULL;
        size_t count;
        AF_TRY(tags_of(list, what, i, &texts, &count, err));
        AF_TRY(append_texts(list, &all, texts, count, err));
    }
    return add_once(list, all.list, all.count, err);
}

static enum af_status list_tags(struct list *list, enum af_listing what, struct af_error *err)
{
    struct af_slice name;
    uint32_t measurement;
    struct af_slice *texts;
    size_t count;
    if (list->scan == NULL || list->scan->measurement == NULL)
        return all_tags(list, what, err);
    AF_TRY(find_measurement(list, &name, &measurement, err));
    if (measurement == AF_INDEX_NONE)
        return AF_OK;
    AF_TRY(tags_of(list, what, measurement, &texts, &count, err));
    return add_once(list, texts, count, err);
}

static enum af_status list_series(struct list *list, struct af_error *err)
{
    struct af_slice name;
    uint32_t measurement = AF_INDEX_NONE;
    uint32_t *ids;
    size_t count;
    struct af_index *index = list->view->bucket->index;
    if (list->scan != NULL && list->scan->measurement != NULL) {
        AF_TRY(find_measurement(list, &name, &measurement, err));
        if (measurement == AF_INDEX_NONE)
            return AF_OK;
    }
    AF_TRY(af_index_select(index, measurement, predicate_of(list), &list->arena, &ids, &count, err));
    for (size_t i = 0; i < count; i++)
        AF_TRY(af_listed_add(list->listed, af_index_key(index, ids[i]), NULL, 0, err));
    return AF_OK;
}

/* Without a predicate from the index's own counts. */
static enum af_status list_counts(struct list *list, struct af_error *err)
{
    struct af_slice name;
    uint32_t measurement = AF_INDEX_NONE;
    uint64_t measurements = 0, series = 0;
    const bool is_one = list->scan != NULL && list->scan->measurement != NULL;
    if (is_one)
        AF_TRY(find_measurement(list, &name, &measurement, err));
    if (!is_one || measurement != AF_INDEX_NONE)
        AF_TRY(af_index_counts(list->view->bucket->index, measurement, predicate_of(list), &list->arena, &measurements, &series, err));
    AF_TRY(af_listed_add(list->listed, AF_SLICE_LIT("measurements"), NULL, (int64_t)measurements, err));
    return af_listed_add(list->listed, AF_SLICE_LIT("series"), NULL, (int64_t)series, err);
}

static enum af_status list_any(struct list *list, enum af_listing what, struct af_error *err)
{
    switch (what) {
    case AF_LIST_MEASUREMENTS: return list_measurements(list, err);
    case AF_LIST_FIELDS: return list_fields(list, err);
    case AF_LIST_BUCKETS: return list_buckets(list, err);
    case AF_LIST_TAG_KEYS:
    case AF_LIST_TAG_VALUES: return list_tags(list, what, err);
    case AF_LIST_SERIES: return list_series(list, err);
    case AF_LIST_COUNTS: return list_counts(list, err);
    }
    return af_fail(err, AF_EBUG, "a list of kind %d", (int)what);
}

enum af_status af_tsm_list(struct af_tsm *engine, struct af_view *view, enum af_listing what, const struct af_scan *scan,
                           struct af_stream **out, struct af_error *err)
{
    struct list list = { .engine = engine, .view = view, .scan = scan };
    af_arena_init(&list.arena, SIZE_MAX);
    enum af_status status = af_listed_new(what, &list.listed, err);
    if (status == AF_OK) {
        status = list_any(&list, what, err);
        struct af_stream *stream = af_listed_stream(list.listed);
        if (status == AF_OK)
            *out = stream;
        else
            af_stream_close(stream);
    }
    af_arena_done(&list.arena);
    af_view_close(view);
    return status;
}
