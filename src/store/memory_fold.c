/*
 * memory_fold.c - the reference store: folded scans in the plainest way, which is what others are compared with; see store_int.h.
 *
 *     series --> group (by the values of its tags)      each value of each series goes to the row of its group and window; rows are found
 *     time   --> window                                 by both, sorted at the end and then handed out
 *
 * All of it happens when the scan is opened, under the lock.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "data/points.h"
#include "data/value.h"
#include "store/rows.h"
#include "store/store_int.h"
#include <stdio.h>
#include <stdlib.h>

struct result {
    struct af_value value; /* NULL: none yet */
    int64_t time_ns;       /* of the point that has it; not of COUNT and SUM */
    bool has_time;
};

struct row {
    uint32_t group;        /* then its place among the groups */
    int64_t start_ns;
    size_t results;        /* of its first fold */
};

struct group {
    struct af_slice key;
    struct af_value *tags; /* by place in scan->group */
    uint32_t id;
};

struct place {
    int64_t start_ns;
    uint64_t group;
};

struct mem_fold {
    struct af_stream base;
    struct mem_store *store;
    const struct af_scan *scan;  /* while it is opened */
    const bool *cancel;
    struct af_arena arena;
    struct af_intern group_keys; /* id: index in groups */
    struct group *groups;
    size_t group_cap;
    struct af_intern places;     /* struct place; id: index in rows */
    struct row *list;
    size_t count, cap, next;
    struct result *results;
    size_t result_cap;
    size_t fold_count;
    struct af_rows *rows;
};

static enum af_status grown(void *array, size_t count, size_t *cap, size_t each, struct af_error *err)
{
    if (count < *cap)
        return AF_OK;
    size_t new_cap = count < 32 ? 64 : count * 2;
    void *bigger = af_realloc(*(void **)array, new_cap * each);
    if (bigger == NULL)
        return af_fail_nomem(err, "a folded scan");
    *(void **)array = bigger;
    *cap = new_cap;
    return AF_OK;
}

/* --- groups ---------------------------------------------------------------------------------------------------------------------- */

/* The value of a tag as people write it, "" without; in the arena. */
static enum af_status tag_of(struct mem_fold *fold, struct af_slice key, struct af_slice name, struct af_value *out, struct af_error *err)
{
    struct af_buf scratch;
    struct af_slice tag, value;
    size_t at = 0;
    enum af_status status = AF_OK;
    *out = af_value_text(AF_SLICE_LIT(""));
    af_buf_init(&scratch, SIZE_MAX);
    while (status == AF_OK && af_key_next_tag(key, &at, &tag, &value)) {
        bool is_it = af_slice_eq(af_key_unescape(tag, &scratch), name);
        struct af_value text = af_value_text(af_key_unescape(is_it ? value : tag, &scratch));
        if (scratch.failed || (is_it && !af_value_copy(&text, &fold->arena, out)))
            status = af_fail_nomem(err, "the groups of a scan");
        if (is_it)
            break;
    }
    af_buf_done(&scratch);
    return status;
}

static enum af_status group_key(const struct mem_fold *fold, struct af_slice series, const struct af_value *tags, struct af_buf *out,
                                struct af_error *err)
{
    const struct af_scan *scan = fold->scan;
    af_buf_append_slice(out, scan->group_all ? series : af_key_measurement_raw(series));
    for (size_t i = 0; !scan->group_all && i < scan->group_count; i++) {
        if (tags[i].text.len == 0)
            continue;
        af_buf_append_char(out, ',');
        af_key_append_tag(out, scan->group[i]);
        af_buf_append_char(out, '=');
        af_key_append_tag(out, tags[i].text);
    }
    return af_buf_check(out, "the groups of a scan", err);
}

static enum af_status find_group(struct mem_fold *fold, struct af_slice series, uint32_t *out, struct af_error *err)
{
    size_t tag_count = fold->scan->group_all ? 0 : fold->scan->group_count;
    struct af_value *tags = af_arena_zero(&fold->arena, tag_count + 1, sizeof *tags);
    if (tags == NULL)
        return af_fail_nomem(err, "the groups of a scan");
    for (size_t i = 0; i < tag_count; i++)
        AF_TRY(tag_of(fold, series, fold->scan->group[i], &tags[i], err));
    struct af_buf key;
    af_buf_init(&key, SIZE_MAX);
    enum af_status status = group_key(fold, series, tags, &key, err);
    uint32_t before = fold->group_keys.count;
    if (status == AF_OK)
        status = grown(&fold->groups, before, &fold->group_cap, sizeof *fold->groups, err);
    if (status == AF_OK)
        status = af_intern_add(&fold->group_keys, af_buf_slice(&key), out, err);
    af_buf_done(&key);
    if (status == AF_OK && *out == before)
        fold->groups[before] = (struct group){ fold->group_keys.keys[before], tags, before };
    return status;
}

/* --- folding --------------------------------------------------------------------------------------------------------------------- */

static struct af_value value_of(const struct mem_cell *cell, enum af_type type)
{
    switch (type) {
    case AF_TYPE_F64: return af_value_f64(cell->f64);
    case AF_TYPE_I64: return af_value_i64(cell->i64);
    case AF_TYPE_U64: return af_value_u64(cell->u64);
    case AF_TYPE_BOOL: return af_value_bool(cell->u64 != 0);
    default: return af_value_text(af_slice_make(cell->text, cell->text_len));
    }
}

static struct af_value sum_of(struct af_value a, struct af_value b)
{
    if (a.type == AF_TYPE_F64)
        return af_value_f64(a.f64 + b.f64);
    a.u64 += b.u64; /* signed ones wrap in the same way */
    return a;
}

/* Does the new value take the place of the old one? */
static bool is_better(enum af_fold_op op, const struct result *old, struct af_value value, int64_t time_ns)
{
    int by_value = af_value_compare(&value, &old->value);
    int by_time = (time_ns > old->time_ns) - (time_ns < old->time_ns);
    switch (op) {
    case AF_FOLD_MIN: return by_value < 0 || (by_value == 0 && by_time < 0);
    case AF_FOLD_MAX: return by_value > 0 || (by_value == 0 && by_time < 0);
    case AF_FOLD_FIRST: return by_time < 0 || (by_time == 0 && by_value > 0);
    default: return by_time > 0 || (by_time == 0 && by_value > 0);
    }
}

static void fold_value(enum af_fold_op op, struct result *result, struct af_value value, int64_t time_ns)
{
    bool is_new = result->value.type == AF_TYPE_NULL;
    if (op == AF_FOLD_COUNT)
        result->value = af_value_i64(is_new ? 1 : result->value.i64 + 1);
    else if (op == AF_FOLD_SUM)
        result->value = is_new ? value : sum_of(result->value, value);
    else if (is_new || is_better(op, result, value, time_ns))
        *result = (struct result){ value, time_ns, true };
}

static enum af_status find_row(struct mem_fold *fold, uint32_t group, int64_t start_ns, uint32_t *out, struct af_error *err)
{
    struct place place = { start_ns, group };
    uint32_t before = fold->places.count;
    AF_TRY(grown(&fold->list, before, &fold->cap, sizeof *fold->list, err));
    AF_TRY(grown(&fold->results, ((size_t)before + 1) * fold->fold_count, &fold->result_cap, sizeof *fold->results, err));
    AF_TRY(af_intern_add(&fold->places, af_slice_make(&place, sizeof place), out, err));
    if (*out != before)
        return AF_OK;
    if (fold->scan->groups_max > 0 && before >= fold->scan->groups_max)
        return af_fail(err, AF_ELIMIT, "more than %zu groups and windows", fold->scan->groups_max);
    fold->list[before] = (struct row){ group, start_ns, before * fold->fold_count };
    memset(fold->results + fold->list[before].results, 0, fold->fold_count * sizeof *fold->results);
    fold->count++;
    return AF_OK;
}

static enum af_status fold_strand(struct mem_fold *fold, const struct mem_strand *strand, size_t number, uint32_t group, enum af_type type,
                                  struct af_error *err)
{
    int64_t last_ns = mem_last_ns(fold->scan);
    for (size_t i = mem_lower_bound(strand, fold->scan->start_ns); i < strand->count && strand->cells[i].time_ns <= last_ns; i++) {
        int64_t time_ns = strand->cells[i].time_ns;
        int64_t start_ns = fold->scan->start_ns, stop_ns;
        uint32_t row;
        if (!af_window_is_none(&fold->scan->window))
            af_window_of(&fold->scan->window, time_ns, &start_ns, &stop_ns);
        AF_TRY(find_row(fold, group, start_ns, &row, err));
        fold_value(fold->scan->folds[number].op, &fold->results[fold->list[row].results + number], value_of(&strand->cells[i], type),
                   time_ns);
    }
    return AF_OK;
}

static enum af_status fold_series(struct mem_fold *fold, uint32_t id, const struct mem_measurement *measurement, struct af_error *err)
{
    const struct mem_series *series = &fold->store->series[id];
    uint32_t group;
    if (fold->cancel != NULL && __atomic_load_n(fold->cancel, __ATOMIC_RELAXED))
        return af_fail(err, AF_ECANCELED, "stopped while scanning");
    AF_TRY(find_group(fold, fold->store->keys.keys[id], &group, err));
    for (size_t i = 0; i < fold->fold_count; i++) {
        uint32_t field = af_intern_find(&measurement->fields, af_slice_of(fold->scan->folds[i].field));
        const struct mem_strand *strand = field != UINT32_MAX ? mem_find_strand(series, field) : NULL;
        if (strand != NULL)
            AF_TRY(fold_strand(fold, strand, i, group, measurement->types[field], err));
    }
    return AF_OK;
}

/* --- order ----------------------------------------------------------------------------------------------------------------------- */

static int by_tags(const void *a, const void *b, void *ctx)
{
    const struct group *x = a;
    const struct group *y = b;
    for (size_t i = 0; i < *(size_t *)ctx; i++) {
        int order = af_value_compare(&x->tags[i], &y->tags[i]);
        if (order != 0)
            return order;
    }
    return (x->id > y->id) - (x->id < y->id); /* group_all: as they came */
}

static int by_place(const void *a, const void *b)
{
    const struct row *x = a;
    const struct row *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

/* Groups in their order, rows by group and window; texts of the store become our own. */
static enum af_status settle(struct mem_fold *fold, struct af_error *err)
{
    size_t group_count = fold->group_keys.count;
    size_t tag_count = fold->scan->group_all ? 0 : fold->scan->group_count;
    uint32_t *rank = af_alloc_zero(group_count, sizeof *rank);
    if (rank == NULL)
        return af_fail_nomem(err, "the groups of a scan");
    if (group_count > 1)
        qsort_r(fold->groups, group_count, sizeof *fold->groups, by_tags, &tag_count);
    for (size_t i = 0; i < group_count; i++)
        rank[fold->groups[i].id] = (uint32_t)i;
    for (size_t i = 0; i < fold->count; i++)
        fold->list[i].group = rank[fold->list[i].group];
    af_free(rank);
    if (fold->count > 1)
        qsort(fold->list, fold->count, sizeof *fold->list, by_place);
    for (size_t i = 0; i < fold->count * fold->fold_count; i++)
        if (!af_value_copy(&fold->results[i].value, &fold->arena, &fold->results[i].value))
            return af_fail_nomem(err, "the values of a scan");
    return AF_OK;
}

/* --- the stream ------------------------------------------------------------------------------------------------------------------ */

static enum af_status add_result(struct mem_fold *fold, size_t number, const struct result *result, struct af_error *err)
{
    switch (result->value.type) {
    case AF_TYPE_F64: af_rows_f64(fold->rows, 2 * number, result->value.f64); break;
    case AF_TYPE_I64: af_rows_i64(fold->rows, 2 * number, result->value.i64); break;
    case AF_TYPE_U64: af_rows_u64(fold->rows, 2 * number, result->value.u64); break;
    case AF_TYPE_BOOL: af_rows_bool(fold->rows, 2 * number, result->value.boolean); break;
    case AF_TYPE_STRING: AF_TRY(af_rows_text(fold->rows, 2 * number, result->value.text, err)); break;
    default: return AF_OK;
    }
    if (result->has_time)
        af_rows_i64(fold->rows, 2 * number + 1, result->time_ns);
    return AF_OK;
}

static enum af_status fold_next(struct af_stream *base, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    struct mem_fold *fold = (struct mem_fold *)base;
    if (fold->cancel != NULL && __atomic_load_n(fold->cancel, __ATOMIC_RELAXED))
        return af_fail(err, AF_ECANCELED, "stopped while scanning");
    for (; fold->next < fold->count && !af_rows_is_full(fold->rows); fold->next++) {
        const struct row *row = &fold->list[fold->next];
        AF_TRY(af_rows_begin(fold->rows, fold->groups[row->group].key, row->start_ns, err));
        for (size_t i = 0; i < fold->fold_count; i++)
            AF_TRY(add_result(fold, i, &fold->results[row->results + i], err));
    }
    return af_rows_take(fold->rows, arena, out, err);
}

static void fold_close(struct af_stream *base)
{
    struct mem_fold *fold = (struct mem_fold *)base;
    af_rows_free(fold->rows);
    af_intern_done(&fold->group_keys);
    af_intern_done(&fold->places);
    af_arena_done(&fold->arena);
    af_free(fold->groups);
    af_free(fold->list);
    af_free(fold->results);
    af_free(fold);
}

static const struct af_stream_ops fold_ops = { fold_next, fold_close };

/* --- opening --------------------------------------------------------------------------------------------------------------------- */

static enum af_status check_fold(const struct af_fold *fold, enum af_type type, struct af_error *err)
{
    bool is_number = type == AF_TYPE_F64 || type == AF_TYPE_I64 || type == AF_TYPE_U64;
    bool is_wrong = (fold->op == AF_FOLD_SUM && !is_number) ||
                    ((fold->op == AF_FOLD_MIN || fold->op == AF_FOLD_MAX) && type == AF_TYPE_STRING);
    return is_wrong ? af_fail(err, AF_EINVAL, "field %s holds %s values, which have no such fold", fold->field,
                              mem_type_word(type)) : AF_OK;
}

/* `measurement` NULL: there is none. */
static enum af_status make_columns(struct mem_fold *fold, const struct mem_measurement *measurement, struct af_error *err)
{
    struct af_field *fields = af_arena_zero(&fold->arena, 2 * fold->fold_count, sizeof *fields);
    if (fields == NULL)
        return af_fail_nomem(err, "the columns of a scan");
    for (size_t i = 0; i < fold->fold_count; i++) {
        const struct af_fold *asked = &fold->scan->folds[i];
        uint32_t id = measurement != NULL ? af_intern_find(&measurement->fields, af_slice_of(asked->field)) : UINT32_MAX;
        enum af_type type = id != UINT32_MAX ? measurement->types[id] : AF_TYPE_F64;
        AF_TRY(check_fold(asked, type, err));
        fields[2 * i].type = asked->op == AF_FOLD_COUNT ? AF_TYPE_I64 : type;
        fields[2 * i].name = af_arena_printf(&fold->arena, "%zu", i);
        fields[2 * i + 1].type = AF_TYPE_TIME;
        fields[2 * i + 1].name = af_arena_printf(&fold->arena, "%zu.time", i);
        if (fields[2 * i].name == NULL || fields[2 * i + 1].name == NULL)
            return af_fail_nomem(err, "the columns of a scan");
    }
    return af_rows_new(fields, 2 * fold->fold_count, &fold->rows, err);
}

static enum af_status open_locked(struct mem_fold *fold, struct af_error *err)
{
    const struct af_scan *scan = fold->scan;
    uint32_t id;
    AF_TRY(mem_check_created(fold->store, err));
    if (scan->fields != NULL)
        return af_fail(err, AF_EINVAL, "a folded scan names its fields in its folds only");
    AF_TRY(mem_find_measurement(fold->store, scan->measurement, &id, err));
    const struct mem_measurement *measurement = id != UINT32_MAX ? &fold->store->measurements[id] : NULL;
    AF_TRY(make_columns(fold, measurement, err));
    if (measurement == NULL || scan->stop_ns <= scan->start_ns)
        return AF_OK;
    uint32_t *series;
    size_t series_count;
    AF_TRY(mem_choose_series(fold->store, scan, id, &series, &series_count, err));
    enum af_status status = AF_OK;
    for (size_t i = 0; i < series_count && status == AF_OK; i++)
        status = fold_series(fold, series[i], measurement, err);
    af_free(series);
    return status == AF_OK ? settle(fold, err) : status;
}

enum af_status mem_fold(struct mem_store *store, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    struct mem_fold *fold = af_alloc_zero(1, sizeof *fold);
    if (fold == NULL)
        return af_fail_nomem(err, "a scan");
    fold->store = store;
    fold->scan = scan;
    fold->cancel = scan->cancel;
    fold->fold_count = scan->fold_count;
    af_arena_init(&fold->arena, SIZE_MAX);
    af_intern_init(&fold->group_keys);
    af_intern_init(&fold->places);
    af_mutex_lock(&store->lock);
    enum af_status status = open_locked(fold, err);
    af_mutex_unlock(&store->lock);
    if (status != AF_OK) {
        fold_close(&fold->base);
        return status;
    }
    fold->scan = NULL;
    fold->base = (struct af_stream){ .ops = &fold_ops, .schema = af_rows_schema(fold->rows) };
    *out = &fold->base;
    return AF_OK;
}
