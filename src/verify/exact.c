/*
 * exact.c - the second look: the values of the series-days that differ, one by one.
 *
 * Both sides are written as records (series, time, field, bits, type, order), sorted on disk, and walked together. Of records
 * with the same (series, time, field) on the sources' side the last in source order counts: the store keeps that one too.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "verify/verify_int.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { RECORDS_MAX = 65536, NAME_BYTES_MAX = 16 << 20 };

struct record {
    uint64_t series;
    int64_t time_ns;
    uint64_t field;
    uint64_t bits;
    uint64_t order; /* ticket and row, and the type in the low 8 bits */
};

static int compare_records(const void *a, const void *b)
{
    const struct record *x = a;
    const struct record *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    if (x->field != y->field)
        return x->field < y->field ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

struct collector {
    struct exact *exact;
    struct collector *next;
    struct af_sorter *sorter;
    struct record *records; /* RECORDS_MAX */
    size_t count;
};

struct exact {
    const struct af_verify_options *options;
    const struct af_day_keys *keys;
    int64_t precision_ns;
    struct af_sorter source, store;
    struct af_mutex lock;       /* names, the list of collectors */
    struct collector *collectors;
    struct collector *store_collector;
    struct af_refused refused;
    struct af_intern names;     /* series keys and field names, for the examples; stops growing at NAME_BYTES_MAX */
};

/* --- collecting ---------------------------------------------------------------------------------------------------------- */

static struct collector *collector_new(struct exact *exact, struct af_sorter *sorter)
{
    struct collector *c = af_alloc_zero(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->exact = exact;
    c->sorter = sorter;
    c->records = af_alloc(RECORDS_MAX * sizeof *c->records);
    if (c->records == NULL) {
        af_free(c);
        return NULL;
    }
    af_mutex_lock(&exact->lock);
    c->next = exact->collectors;
    exact->collectors = c;
    af_mutex_unlock(&exact->lock);
    return c;
}

static enum af_status flush(struct collector *c, struct af_error *err)
{
    AF_TRY(af_sorter_add_run(c->sorter, c->records, c->count, err));
    c->count = 0;
    return AF_OK;
}

static enum af_status collect(struct collector *c, const struct record *record, struct af_error *err)
{
    if (c->count == RECORDS_MAX)
        AF_TRY(flush(c, err));
    c->records[c->count++] = *record;
    return AF_OK;
}

static void remember_name(struct exact *e, struct af_slice name)
{
    af_mutex_lock(&e->lock);
    uint32_t id;
    if (e->names.bytes < NAME_BYTES_MAX && af_intern_add(&e->names, name, &id, NULL) != AF_OK)
        id = 0; /* an example will show a hash instead of a name */
    af_mutex_unlock(&e->lock);
}

static struct af_slice name_of(const struct exact *e, uint64_t hash)
{
    for (uint32_t i = 0; i < e->names.count; i++)
        if (af_name_hash(e->names.keys[i]) == hash)
            return e->names.keys[i];
    return AF_SLICE_LIT("(name not kept)");
}

static void *source_collector_new(void *ctx)
{
    struct exact *e = ctx;
    return collector_new(e, &e->source);
}

static enum af_status collect_row(struct collector *c, const struct af_points *points, size_t row, uint64_t series,
                                  int64_t time_ns, uint64_t order, struct af_error *err)
{
    for (size_t f = 0; f < points->field_count; f++) {
        const struct af_column *column = &points->fields[f].column;
        if (!af_column_has(column, row))
            continue;
        struct af_value_bits v = af_value_bits(column, row);
        struct record record = { series, time_ns, af_name_hash(points->fields[f].name), v.bits,
                                 order << 8 | v.type };
        if (af_refused_has(&c->exact->refused, series, time_ns, record.field, v))
            continue;
        AF_TRY(collect(c, &record, err));
    }
    return AF_OK;
}

static enum af_status source_work(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct exact *e = ctx;
    const struct af_points *points = block->points;
    int64_t p = e->precision_ns;
    for (size_t f = 0; f < points->field_count; f++)
        remember_name(e, points->fields[f].name);
    uint32_t named = UINT32_MAX;
    for (size_t row = 0; row < points->row_count; row++) {
        uint32_t id = points->series[row];
        if (id == UINT32_MAX)
            continue;
        struct af_slice key = points->set->keys.keys[id];
        uint64_t series = af_name_hash(key);
        int64_t time_ns = p <= 1 ? points->time_ns[row] : af_floor_div(points->time_ns[row], p) * p;
        if (!af_day_keys_has(e->keys, series, af_floor_div(time_ns, AF_NS_PER_DAY)))
            continue;
        if (id != named)
            remember_name(e, key);
        named = id;
        AF_TRY(collect_row(scratch, points, row, series, time_ns, block->ticket << 16 | (block->ticket_row + row), err));
    }
    return AF_OK;
}

static enum af_status store_batch(void *ctx, const struct af_batch *batch, struct af_error *err)
{
    struct exact *e = ctx;
    const struct af_column *series = &batch->columns[0];
    for (size_t f = 2; f < batch->schema->field_count; f++)
        remember_name(e, af_slice_of(batch->schema->fields[f].name));
    for (size_t row = 0; row < batch->row_count; row++) {
        struct af_slice key = af_column_text(series, row);
        uint64_t hash = af_name_hash(key);
        int64_t time_ns = batch->columns[1].i64[row];
        if (!af_day_keys_has(e->keys, hash, af_floor_div(time_ns, AF_NS_PER_DAY)))
            continue;
        remember_name(e, key);
        for (size_t f = 2; f < batch->schema->field_count; f++) {
            if (!af_column_has(&batch->columns[f], row))
                continue;
            struct af_value_bits v = af_value_bits(&batch->columns[f], row);
            struct record record = { hash, time_ns, af_name_hash(af_slice_of(batch->schema->fields[f].name)), v.bits, v.type };
            AF_TRY(collect(e->store_collector, &record, err));
        }
    }
    return AF_OK;
}

/* --- judging ------------------------------------------------------------------------------------------------------------- */

struct walk {
    struct af_sort_cursor *cursor;
    struct record now;   /* the one that counts */
    struct record ahead;
    bool has_now, has_ahead;
    uint64_t doubles;
};

static int compare_place(const struct record *a, const struct record *b)
{
    struct record x = *a;
    struct record y = *b;
    x.order = y.order = 0;
    return compare_records(&x, &y);
}

static enum af_status pull(struct walk *w, struct af_error *err)
{
    const void *record;
    AF_TRY(af_sort_cursor_next(w->cursor, &record, err));
    w->has_ahead = record != NULL;
    if (w->has_ahead)
        w->ahead = *(const struct record *)record;
    return AF_OK;
}

static enum af_status step(struct walk *w, struct af_error *err)
{
    w->has_now = w->has_ahead;
    if (!w->has_ahead)
        return AF_OK;
    w->now = w->ahead;
    AF_TRY(pull(w, err));
    while (w->has_ahead && compare_place(&w->ahead, &w->now) == 0) {
        w->now = w->ahead;
        w->doubles++;
        AF_TRY(pull(w, err));
    }
    return AF_OK;
}

static void print_value(const struct record *record, char *out, size_t cap)
{
    switch ((enum af_type)(record->order & 0xff)) {
    case AF_TYPE_F64: {
        double value;
        memcpy(&value, &record->bits, sizeof value);
        char text[AF_F64_TEXT_MAX];
        size_t len = isfinite(value) ? (size_t)(af_f64_print(text, value) - text) : (size_t)snprintf(text, sizeof text, "%g", value);
        (void)snprintf(out, cap, "%.*s", (int)len, text);
        break;
    }
    case AF_TYPE_I64:
        (void)snprintf(out, cap, "%" PRId64 "i", (int64_t)record->bits);
        break;
    case AF_TYPE_U64:
        (void)snprintf(out, cap, "%" PRIu64 "u", record->bits);
        break;
    case AF_TYPE_BOOL:
        (void)snprintf(out, cap, "%s", record->bits != 0 ? "true" : "false");
        break;
    default:
        (void)snprintf(out, cap, "text with hash %016" PRIx64, record->bits);
        break;
    }
}

static void example(const struct exact *e, struct af_verify_result *result, enum af_difference_kind kind,
                    const struct record *source, const struct record *store)
{
    size_t max = sizeof result->differences / sizeof result->differences[0];
    if (result->difference_count == max)
        return;
    struct af_difference *d = &result->differences[result->difference_count++];
    const struct record *any = source != NULL ? source : store;
    *d = (struct af_difference){ .kind = kind, .time_ns = any->time_ns };
    (void)snprintf(d->series, sizeof d->series, AF_SLICE_FMT, AF_SLICE_ARG(name_of(e, any->series)));
    (void)snprintf(d->field, sizeof d->field, AF_SLICE_FMT, AF_SLICE_ARG(name_of(e, any->field)));
    if (source != NULL)
        print_value(source, d->source, sizeof d->source);
    if (store != NULL)
        print_value(store, d->store, sizeof d->store);
}

struct verdict {
    bool any_day, any_point;
    uint64_t day_series, point_series;
    int64_t day, point_time;
};

static void count_day(struct verdict *v, struct af_verify_result *result, const struct record *at)
{
    int64_t day = af_floor_div(at->time_ns, AF_NS_PER_DAY);
    if (v->any_day && v->day_series == at->series && v->day == day)
        return;
    *v = (struct verdict){ true, v->any_point, at->series, v->point_series, day, v->point_time };
    result->differing_days++;
}

static void count_store(struct verdict *v, struct af_verify_result *result, const struct record *at)
{
    result->values++;
    if (v->any_point && v->point_series == at->series && v->point_time == at->time_ns)
        return;
    v->any_point = true;
    v->point_series = at->series;
    v->point_time = at->time_ns;
    result->points++;
}

static enum af_status judge(struct exact *e, struct walk *source, struct walk *store, struct af_verify_result *result,
                            struct af_error *err)
{
    struct verdict v = { 0 };
    while (source->has_now || store->has_now) {
        int order = !source->has_now ? 1 : !store->has_now ? -1 : compare_place(&source->now, &store->now);
        if (order >= 0)
            count_store(&v, result, &store->now);
        if (order < 0) {
            result->missing++;
            count_day(&v, result, &source->now);
            example(e, result, AF_DIFF_MISSING, &source->now, NULL);
        } else if (order > 0) {
            result->extra++;
            count_day(&v, result, &store->now);
            example(e, result, AF_DIFF_EXTRA, NULL, &store->now);
        } else if (source->now.bits != store->now.bits || (source->now.order & 0xff) != (store->now.order & 0xff)) {
            result->differing++;
            count_day(&v, result, &source->now);
            example(e, result, AF_DIFF_VALUE, &source->now, &store->now);
        }
        if (order <= 0)
            AF_TRY(step(source, err));
        if (order >= 0)
            AF_TRY(step(store, err));
    }
    result->source_doubles += source->doubles;
    return AF_OK;
}

static enum af_status open_walk(struct walk *w, struct af_sorter *sorter, struct af_error *err)
{
    AF_TRY(af_sort_cursor_open(sorter, &w->cursor, err));
    AF_TRY(pull(w, err));
    return step(w, err);
}

static enum af_status compare(struct exact *e, struct af_verify_result *result, struct af_error *err)
{
    struct walk source = { 0 };
    struct walk store = { 0 };
    enum af_status status = open_walk(&source, &e->source, err);
    if (status == AF_OK)
        status = open_walk(&store, &e->store, err);
    if (status == AF_OK)
        status = judge(e, &source, &store, result, err);
    af_sort_cursor_close(source.cursor);
    af_sort_cursor_close(store.cursor);
    return status;
}

/* --- the round ----------------------------------------------------------------------------------------------------------- */

static enum af_status flush_all(struct exact *e, struct af_error *err)
{
    for (struct collector *c = e->collectors; c != NULL; c = c->next)
        AF_TRY(flush(c, err));
    return AF_OK;
}

static void free_collectors(struct exact *e)
{
    while (e->collectors != NULL) {
        struct collector *next = e->collectors->next;
        af_free(e->collectors->records);
        af_free(e->collectors);
        e->collectors = next;
    }
}

static enum af_status collect_both(struct exact *e, const struct af_slice *measurements, size_t measurement_count,
                                   int64_t start_ns, int64_t stop_ns, struct af_error *err)
{
    AF_TRY(af_refused_load(&e->refused, e->options, err));
    struct af_ingest_options ingest = *e->options->ingest;
    ingest.bad_source = NULL; /* the first pass has told of them */
    ingest.mapped = NULL;
    struct af_ingest_stage stage = { .ctx = e, .scratch_new = source_collector_new, .work = source_work };
    struct af_ingest_totals totals;
    AF_TRY(af_ingest_run(&ingest, &stage, &totals, err));
    AF_TRY(flush_all(e, err));
    free_collectors(e);
    e->store_collector = collector_new(e, &e->store);
    if (e->store_collector == NULL)
        return af_fail_nomem(err, "the comparison");
    AF_TRY(af_verify_scan(e->options, measurements, measurement_count, start_ns, stop_ns, store_batch, e, err));
    return flush_all(e, err);
}

enum af_status af_verify_exact(const struct af_verify_options *options, const struct af_day_keys *keys,
                               const struct af_slice *measurements, size_t measurement_count, int64_t start_ns,
                               int64_t stop_ns, struct af_verify_result *result, struct af_error *err)
{
    struct exact e = { .options = options, .keys = keys, .precision_ns = options->precision_ns };
    af_mutex_init(&e.lock);
    af_intern_init(&e.names);
    af_sorter_init(&e.source, options->scratch_dir, sizeof(struct record), compare_records);
    af_sorter_init(&e.store, options->scratch_dir, sizeof(struct record), compare_records);
    enum af_status status = collect_both(&e, measurements, measurement_count, start_ns, stop_ns, err);
    if (status == AF_OK)
        status = compare(&e, result, err);
    free_collectors(&e);
    af_refused_done(&e.refused);
    af_sorter_done(&e.source);
    af_sorter_done(&e.store);
    af_intern_done(&e.names);
    af_mutex_done(&e.lock);
    return status;
}
