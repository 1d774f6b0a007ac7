/*
 * verify.c - pass 1 (digests of both sides), the merge that finds what differs, and the verdict; see verify.h.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "verify/verify_int.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

const char *af_difference_name(enum af_difference_kind kind)
{
    static const char *const names[] = { "missing in the store", "only in the store", "different value" };
    return names[kind];
}

struct series_slot {
    uint64_t hash;
    int64_t day;
    struct af_day_sum *entry; /* of (hash, day); good while epoch matches */
    uint64_t epoch;
};

/* What one reader of points keeps: a worker over the sources, or the reader of the store. */
struct side {
    struct verify *verify;
    struct side *next;
    struct af_day_table table;
    struct series_slot *series;  /* by series id or dictionary code */
    size_t series_count, series_cap;
    uint64_t generation;         /* of the ids */
    uint64_t epoch;              /* of the table: changes with every flush */
    struct af_intern measurements;
    struct af_buf name;
    int64_t time_min, time_max;
    uint64_t values;
    struct af_day_sum **row_entries; /* AF_BATCH_ROWS */
};

struct verify {
    const struct af_verify_options *options;
    struct af_sorter source_runs, store_runs;
    struct af_mutex lock;
    struct side *sides;          /* of the sources */
    struct side *store;
    struct af_refused refused;
    int64_t precision_ns;
    _Atomic uint64_t source_values, store_values;
};

/* --- a side -------------------------------------------------------------------------------------------------------------- */

static void side_free(struct side *side)
{
    if (side == NULL)
        return;
    af_day_table_done(&side->table);
    af_intern_done(&side->measurements);
    af_buf_done(&side->name);
    af_free(side->series);
    af_free(side->row_entries);
    af_free(side);
}

static struct side *side_new(struct verify *verify, struct af_sorter *sorter)
{
    struct side *side = af_alloc_zero(1, sizeof *side);
    if (side == NULL)
        return NULL;
    *side = (struct side){ .verify = verify, .time_min = INT64_MAX, .time_max = INT64_MIN, .generation = UINT64_MAX, .epoch = 1 };
    af_intern_init(&side->measurements);
    af_buf_init(&side->name, AF_LP_KEY_BYTES_MAX + 16);
    side->row_entries = af_alloc(AF_BATCH_ROWS * sizeof(struct af_day_sum *));
    if (side->row_entries == NULL || af_day_table_init(&side->table, sorter, NULL) != AF_OK) {
        side_free(side);
        return NULL;
    }
    return side;
}

/* Room for `count` more entries, so that pointers into the table stay good for a batch. */
static enum af_status reserve_entries(struct side *side, size_t count, struct af_error *err)
{
    if (side->table.count + count <= AF_VERIFY_TABLE_ENTRIES)
        return AF_OK;
    side->epoch++;
    return af_day_table_flush(&side->table, err);
}

static enum af_status reserve_series(struct side *side, size_t count, struct af_error *err)
{
    if (count <= side->series_cap)
        return AF_OK;
    size_t cap = side->series_cap == 0 ? 1024 : side->series_cap;
    while (cap < count)
        cap *= 2;
    struct series_slot *series = af_realloc(side->series, cap * sizeof *series);
    if (series == NULL)
        return af_fail_nomem(err, "series");
    side->series = series;
    side->series_cap = cap;
    return AF_OK;
}

static enum af_status add_series(struct side *side, struct af_slice key, struct af_error *err)
{
    AF_TRY(reserve_series(side, side->series_count + 1, err));
    af_key_measurement(key, &side->name);
    AF_TRY(af_buf_check(&side->name, "a measurement", err));
    uint32_t id;
    AF_TRY(af_intern_add(&side->measurements, af_buf_slice(&side->name), &id, err));
    side->series[side->series_count++] = (struct series_slot){ .hash = af_name_hash(key) };
    return AF_OK;
}

static enum af_status entry_of(struct side *side, uint32_t id, int64_t time_ns, struct af_day_sum **out, struct af_error *err)
{
    struct series_slot *slot = &side->series[id];
    int64_t day = af_floor_div(time_ns, AF_NS_PER_DAY);
    if (slot->epoch != side->epoch || slot->day != day) {
        AF_TRY(af_day_table_get(&side->table, slot->hash, day, &slot->entry, err));
        slot->day = day;
        slot->epoch = side->epoch;
    }
    *out = slot->entry;
    return AF_OK;
}

static void note_time(struct side *side, int64_t time_ns)
{
    if (time_ns < side->time_min)
        side->time_min = time_ns;
    if (time_ns > side->time_max)
        side->time_max = time_ns;
}

/* --- the sources' side --------------------------------------------------------------------------------------------------- */

static void *source_side_new(void *ctx)
{
    struct verify *verify = ctx;
    struct side *side = side_new(verify, &verify->source_runs);
    if (side != NULL) {
        af_mutex_lock(&verify->lock);
        side->next = verify->sides;
        verify->sides = side;
        af_mutex_unlock(&verify->lock);
    }
    return side;
}

static int64_t floor_time(const struct verify *verify, int64_t time_ns)
{
    int64_t p = verify->precision_ns;
    return p <= 1 ? time_ns : af_floor_div(time_ns, p) * p;
}

static enum af_status sync_series(struct side *side, const struct af_points *points, struct af_error *err)
{
    if (side->generation != points->set->generation) {
        side->generation = points->set->generation;
        side->series_count = 0;
    }
    while (side->series_count < points->set->keys.count)
        AF_TRY(add_series(side, points->set->keys.keys[side->series_count], err));
    return AF_OK;
}

static enum af_status source_work(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct verify *verify = ctx;
    struct side *side = scratch;
    const struct af_points *points = block->points;
    AF_TRY(sync_series(side, points, err));
    AF_TRY(reserve_entries(side, points->row_count, err));
    for (size_t row = 0; row < points->row_count; row++) {
        side->row_entries[row] = NULL;
        if (points->series[row] == UINT32_MAX)
            continue;
        int64_t time_ns = floor_time(verify, points->time_ns[row]);
        AF_TRY(entry_of(side, points->series[row], time_ns, &side->row_entries[row], err));
        note_time(side, time_ns);
    }
    uint64_t before = side->values;
    for (size_t f = 0; f < points->field_count; f++) {
        const struct af_column *column = &points->fields[f].column;
        uint64_t field_hash = af_name_hash(points->fields[f].name);
        for (size_t row = 0; row < points->row_count; row++) {
            struct af_day_sum *entry = side->row_entries[row];
            if (entry == NULL || !af_column_has(column, row))
                continue;
            int64_t time_ns = floor_time(verify, points->time_ns[row]);
            struct af_value_bits value = af_value_bits(column, row);
            if (af_refused_has(&verify->refused, entry->series, time_ns, field_hash, value))
                continue;
            af_day_sum_add(entry, time_ns, field_hash, value);
            side->values++;
        }
    }
    uint64_t done = atomic_fetch_add(&verify->source_values, side->values - before) + side->values - before;
    if (verify->options->progress != NULL)
        verify->options->progress(verify->options->ctx, "reading the sources", done, 0);
    return AF_OK;
}

/* --- the store's side ---------------------------------------------------------------------------------------------------- */

static enum af_status sync_codes(struct side *side, const struct af_dict *dict, struct af_error *err)
{
    if (side->generation == dict->id)
        return AF_OK;
    side->generation = dict->id;
    side->series_count = 0;
    for (uint32_t i = 0; i < dict->count; i++)
        AF_TRY(add_series(side, af_dict_get(dict, i), err));
    return AF_OK;
}

static enum af_status store_batch(void *ctx, const struct af_batch *batch, struct af_error *err)
{
    struct verify *verify = ctx;
    struct side *side = verify->store;
    const struct af_column *series = &batch->columns[0];
    const struct af_column *time = &batch->columns[1];
    if (batch->row_count > AF_BATCH_ROWS)
        return af_fail(err, AF_EBUG, "a scan gave %zu rows at once", batch->row_count);
    AF_TRY(sync_codes(side, series->dict, err));
    AF_TRY(reserve_entries(side, batch->row_count, err));
    for (size_t row = 0; row < batch->row_count; row++) {
        AF_TRY(entry_of(side, series->codes[row], time->i64[row], &side->row_entries[row], err));
        side->row_entries[row]->points++;
    }
    uint64_t before = side->values;
    for (size_t f = 2; f < batch->schema->field_count; f++) {
        const struct af_column *column = &batch->columns[f];
        uint64_t field_hash = af_name_hash(af_slice_of(batch->schema->fields[f].name));
        for (size_t row = 0; row < batch->row_count; row++) {
            if (!af_column_has(column, row))
                continue;
            af_day_sum_add(side->row_entries[row], time->i64[row], field_hash, af_value_bits(column, row));
            side->values++;
        }
    }
    uint64_t done = atomic_fetch_add(&verify->store_values, side->values - before) + side->values - before;
    if (verify->options->progress != NULL)
        verify->options->progress(verify->options->ctx, "reading the store", done, verify->source_values);
    return AF_OK;
}

/* --- merging the two sides ------------------------------------------------------------------------------------------------- */

struct sums {
    struct af_sort_cursor *cursor;
    struct af_day_sum now;   /* all records of one key added up */
    struct af_day_sum ahead; /* the first of the next key */
    bool has_now, has_ahead;
};

static enum af_status pull(struct sums *s, struct af_error *err)
{
    const void *record;
    AF_TRY(af_sort_cursor_next(s->cursor, &record, err));
    s->has_ahead = record != NULL;
    if (s->has_ahead)
        s->ahead = *(const struct af_day_sum *)record;
    return AF_OK;
}

static enum af_status next_sum(struct sums *s, struct af_error *err)
{
    s->has_now = s->has_ahead;
    if (!s->has_ahead)
        return AF_OK;
    s->now = s->ahead;
    AF_TRY(pull(s, err));
    while (s->has_ahead && af_day_sum_compare(&s->ahead, &s->now) == 0) {
        s->now.points += s->ahead.points;
        s->now.values += s->ahead.values;
        s->now.sum_a += s->ahead.sum_a;
        s->now.sum_b += s->ahead.sum_b;
        AF_TRY(pull(s, err));
    }
    return AF_OK;
}

static enum af_status open_sums(struct sums *s, struct af_sorter *sorter, struct af_error *err)
{
    *s = (struct sums){ 0 };
    AF_TRY(af_sort_cursor_open(sorter, &s->cursor, err));
    AF_TRY(pull(s, err));
    return next_sum(s, err);
}

struct round {
    struct af_verify_result *result;
    struct af_day_keys keys;     /* to compare value by value in this round */
    bool is_first;               /* only the first round counts what is equal */
    bool has_after;
    struct af_day_sum after;     /* keys up to here were dealt with in earlier rounds */
    struct af_day_sum last;      /* the last key of this round */
    uint64_t digest_a, digest_b;
    uint64_t series_before;
    bool any_series;
};

static void count_equal(struct round *r, const struct af_day_sum *source, const struct af_day_sum *store)
{
    if (!r->is_first)
        return;
    r->result->points += store->points;
    r->result->values += store->values;
    uint64_t key = af_hash_mix(source->series ^ af_hash_mix((uint64_t)source->day));
    r->digest_a += af_hash_mix(key + source->sum_a);
    r->digest_b += af_hash_mix((key ^ 0x9e3779b97f4a7c15ULL) + source->sum_b);
}

static void count_series(struct round *r, const struct af_day_sum *source)
{
    if (!r->is_first || source->values == 0 || (r->any_series && r->series_before == source->series))
        return;
    r->any_series = true;
    r->series_before = source->series;
    r->result->series++;
}

static bool is_equal(const struct af_day_sum *a, const struct af_day_sum *b)
{
    return a->values == b->values && a->sum_a == b->sum_a && a->sum_b == b->sum_b;
}

static enum af_status judge_key(struct round *r, const struct sums *source, const struct sums *store, int order,
                                struct af_error *err)
{
    if (order > 0) { /* only in the store */
        if (r->is_first)
            r->result->other_points += store->now.points;
        return AF_OK;
    }
    count_series(r, &source->now);
    static const struct af_day_sum nothing;
    const struct af_day_sum *other = order == 0 ? &store->now : &nothing;
    if (is_equal(&source->now, other)) {
        count_equal(r, &source->now, other);
        return AF_OK;
    }
    bool is_done = r->has_after && af_day_sum_compare(&source->now, &r->after) <= 0;
    if (is_done || r->keys.count >= AF_VERIFY_KEYS_MAX)
        return AF_OK;
    r->last = source->now;
    return af_day_keys_add(&r->keys, source->now.series, source->now.day, err);
}

static enum af_status merge(struct round *r, struct sums *source, struct sums *store, struct af_error *err)
{
    while (source->has_now || store->has_now) {
        int order = !source->has_now ? 1 : !store->has_now ? -1 : af_day_sum_compare(&source->now, &store->now);
        AF_TRY(judge_key(r, source, store, order, err));
        if (order <= 0)
            AF_TRY(next_sum(source, err));
        if (order >= 0)
            AF_TRY(next_sum(store, err));
    }
    return AF_OK;
}

static enum af_status merge_sides(struct verify *v, struct round *r, struct af_error *err)
{
    struct sums source = { 0 };
    struct sums store = { 0 };
    enum af_status status = open_sums(&source, &v->source_runs, err);
    if (status == AF_OK)
        status = open_sums(&store, &v->store_runs, err);
    if (status == AF_OK)
        status = merge(r, &source, &store, err);
    af_sort_cursor_close(source.cursor);
    af_sort_cursor_close(store.cursor);
    return status;
}

/* --- the run --------------------------------------------------------------------------------------------------------------- */

struct range {
    struct af_intern measurements;
    int64_t start_ns, stop_ns;
};

static enum af_status flush_sides(struct verify *v, struct range *range, struct af_error *err)
{
    range->start_ns = INT64_MAX;
    int64_t last = INT64_MIN;
    for (struct side *side = v->sides; side != NULL; side = side->next) {
        AF_TRY(af_day_table_flush(&side->table, err));
        for (uint32_t i = 0; i < side->measurements.count; i++) {
            uint32_t id;
            AF_TRY(af_intern_add(&range->measurements, side->measurements.keys[i], &id, err));
        }
        if (side->time_min < range->start_ns)
            range->start_ns = side->time_min;
        if (side->time_max > last)
            last = side->time_max;
    }
    range->stop_ns = last == INT64_MAX ? last : last + 1;
    return AF_OK;
}

static void free_sides(struct verify *v)
{
    while (v->sides != NULL) {
        struct side *next = v->sides->next;
        side_free(v->sides);
        v->sides = next;
    }
    side_free(v->store);
    v->store = NULL;
}

static enum af_status read_sources(struct verify *v, struct range *range, struct af_verify_result *out, struct af_error *err)
{
    struct af_ingest_stage stage = { .ctx = v, .scratch_new = source_side_new, .work = source_work };
    enum af_status status = af_ingest_run(v->options->ingest, &stage, &out->source, err);
    if (status == AF_OK)
        status = flush_sides(v, range, err);
    out->source_values = v->source_values;
    free_sides(v);
    return status;
}

static enum af_status read_store(struct verify *v, const struct range *range, struct af_error *err)
{
    v->store = side_new(v, &v->store_runs);
    if (v->store == NULL)
        return af_fail_nomem(err, "the store's side");
    enum af_status status = af_verify_scan(v->options, range->measurements.keys, range->measurements.count, range->start_ns,
                                           range->stop_ns, store_batch, v, err);
    if (status == AF_OK)
        status = af_day_table_flush(&v->store->table, err);
    free_sides(v);
    return status;
}

static enum af_status compare(struct verify *v, const struct range *range, struct af_verify_result *out, struct af_error *err)
{
    struct round r = { .result = out, .is_first = true };
    for (;;) {
        enum af_status status = merge_sides(v, &r, err);
        bool any = r.keys.count != 0;
        if (r.is_first)
            (void)snprintf(out->digest, sizeof out->digest, "%016" PRIx64 "%016" PRIx64, r.digest_a, r.digest_b);
        if (status == AF_OK && any)
            status = af_verify_exact(v->options, &r.keys, range->measurements.keys, range->measurements.count,
                                     range->start_ns, range->stop_ns, out, err);
        af_day_keys_done(&r.keys);
        AF_TRY(status);
        if (!any)
            break;
        r.after = r.last;
        r.has_after = true;
        r.is_first = false;
    }
    out->is_equal = out->differing_days == 0;
    return AF_OK;
}

static enum af_status run(struct verify *v, struct range *range, struct af_verify_result *out, struct af_error *err)
{
    AF_TRY(af_refused_load(&v->refused, v->options, err));
    AF_TRY(read_sources(v, range, out, err));
    AF_TRY(read_store(v, range, err));
    return compare(v, range, out, err);
}

enum af_status af_verify_run(const struct af_verify_options *options, struct af_verify_result *out, struct af_error *err)
{
    *out = (struct af_verify_result){ 0 };
    struct verify v = { .options = options, .precision_ns = options->precision_ns };
    struct range range = { 0 };
    af_intern_init(&range.measurements);
    af_mutex_init(&v.lock);
    af_sorter_init(&v.source_runs, options->scratch_dir, sizeof(struct af_day_sum), af_day_sum_compare);
    af_sorter_init(&v.store_runs, options->scratch_dir, sizeof(struct af_day_sum), af_day_sum_compare);
    enum af_status status = run(&v, &range, out, err);
    free_sides(&v);
    af_refused_done(&v.refused);
    af_sorter_done(&v.source_runs);
    af_sorter_done(&v.store_runs);
    af_mutex_done(&v.lock);
    af_intern_done(&range.measurements);
    return status;
}
