/* memory_erase.c - the reference store: cells of matching series taken out; see store_int.h. */
#include "base/alloc.h"
#include "store/store_int.h"

static void erase_cells(struct mem_store *store, struct mem_strand *strand, bool is_text, int64_t start_ns, int64_t stop_ns)
{
    size_t from = mem_lower_bound(strand, start_ns);
    size_t to = stop_ns == INT64_MAX ? strand->count : mem_lower_bound(strand, stop_ns);
    if (to <= from)
        return;
    for (size_t i = from; i < to && is_text; i++)
        af_free(strand->cells[i].text);
    memmove(strand->cells + from, strand->cells + to, (strand->count - to) * sizeof *strand->cells);
    strand->count -= to - from;
    store->value_count -= to - from;
}

static void erase_series(struct mem_store *store, struct mem_series *series, const struct af_scan *scan)
{
    const struct mem_measurement *measurement = &store->measurements[series->measurement];
    for (size_t i = 0; i < series->strand_count; i++) {
        struct mem_strand *strand = &series->strands[i];
        erase_cells(store, strand, measurement->types[strand->field] == AF_TYPE_STRING, scan->start_ns, scan->stop_ns);
    }
}

static enum af_status erase(struct mem_store *store, const struct af_scan *scan, struct af_error *err)
{
    uint32_t measurement = UINT32_MAX;
    AF_TRY(mem_check_created(store, err));
    if (scan->fields != NULL)
        return af_fail(err, AF_EUNSUPPORTED, "whole points are deleted, not single fields");
    if (scan->measurement != NULL)
        AF_TRY(mem_find_measurement(store, scan->measurement, &measurement, err));
    if ((scan->measurement != NULL && measurement == UINT32_MAX) || scan->stop_ns <= scan->start_ns)
        return AF_OK;
    for (uint32_t id = 0; id < store->keys.count; id++)
        if ((measurement == UINT32_MAX || store->series[id].measurement == measurement) &&
            af_predicate_match(scan->predicate, store->keys.keys[id]))
            erase_series(store, &store->series[id], scan);
    return AF_OK;
}

enum af_status mem_erase(struct af_store *base, const struct af_scan *scan, struct af_error *err)
{
    struct mem_store *store = (struct mem_store *)base;
    af_mutex_lock(&store->lock);
    enum af_status status = erase(store, scan, err);
    af_mutex_unlock(&store->lock);
    return status;
}
