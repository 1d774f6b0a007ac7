/*
 * select.c - selectors of several rows: top, bottom, sample, distinct; and those of one row, when the whole row is wanted.
 */
#include "base/prng.h"
#include "fn/fn_int.h"

struct select {
    const struct af_fn_call *call;
    const int64_t *time_ns;
    const struct af_column *column;
    size_t count;
    enum fn_class class;
    bool descending;
    struct af_arena *arena;
    struct af_error *err;
    uint32_t *rows;              /* chosen */
    size_t row_count;
};

/* --- the order in which they are given ---------------------------------------------------------------------------------------------- */

static uint64_t value_key(const struct select *select, size_t row)
{
    if (select->class == FN_TEXT)
        return 0;
    uint64_t key = fn_key(fn_column_cell(select->column, row), select->class == FN_BOOL ? FN_U64 : select->class);
    return select->call->id == AF_FN_TOP ? ~key : key;
}

/* Rows of one time by their texts; such runs are short. */
static void order_texts(const struct select *select)
{
    for (size_t i = 1; i < select->row_count; i++) {
        uint32_t row = select->rows[i];
        size_t at = i;
        for (; at > 0 && select->time_ns[select->rows[at - 1]] == select->time_ns[row]
               && af_slice_cmp(af_column_text(select->column, row), af_column_text(select->column, select->rows[at - 1])) < 0;
             at--)
            select->rows[at] = select->rows[at - 1];
        select->rows[at] = row;
    }
}

static enum af_status put_in_order(struct select *select)
{
    struct ranked *items;
    AF_TRY(fn_alloc(select->arena, select->row_count, sizeof *items, &items, select->err));
    for (size_t i = 0; i < select->row_count; i++) {
        uint32_t row = select->rows[i];
        items[i] = (struct ranked){ fn_key_time(select->time_ns[row], select->descending), value_key(select, row), row };
    }
    ranked_sort(items, select->row_count);
    for (size_t i = 0; i < select->row_count; i++)
        select->rows[i] = items[i].row;
    if (select->class == FN_TEXT)
        order_texts(select);
    return AF_OK;
}

/* --- top, bottom ------------------------------------------------------------------------------------------------------------------- */

/* A heap whose root is the worst of those kept. */
static void heap_down(struct ranked *heap, size_t count, size_t at, struct ranked item)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && ranked_before(&heap[child], &heap[child + 1]))
            child++;
        if (!ranked_before(&item, &heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = item;
}

static void heap_up(struct ranked *heap, size_t at, struct ranked item)
{
    for (; at > 0 && ranked_before(&heap[(at - 1) / 2], &item); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = item;
}

static enum af_status select_best(struct select *select)
{
    uint64_t wanted = (uint64_t)fn_param_i64(select->call, 0, 1);
    size_t cap = wanted < select->count ? (size_t)wanted : select->count, kept = 0;
    struct ranked *heap;
    AF_TRY(fn_alloc(select->arena, cap, sizeof *heap, &heap, select->err));
    size_t len;
    for (size_t at = 0; (len = fn_span_next(select->column->validity, &at, select->count)) != 0; at += len)
        for (size_t row = at; row < at + len; row++) {
            struct ranked item = { value_key(select, row), fn_key_time(select->time_ns[row], false), (uint32_t)row };
            if (kept < cap)
                heap_up(heap, kept++, item);
            else if (ranked_before(&item, &heap[0]))
                heap_down(heap, cap, 0, item);
        }
    for (size_t i = 0; i < kept; i++)
        select->rows[i] = heap[i].row;
    select->row_count = kept;
    return put_in_order(select);
}

/* --- sample, distinct ---------------------------------------------------------------------------------------------------------------- */

/* A reservoir: the k-th row takes the place of one of n with probability n / k. */
static enum af_status select_sample(struct select *select, uint64_t seed)
{
    uint64_t wanted = (uint64_t)fn_param_i64(select->call, 0, 1), seen = 0;
    struct af_prng prng = { seed };
    size_t len;
    for (size_t at = 0; (len = fn_span_next(select->column->validity, &at, select->count)) != 0; at += len)
        for (size_t row = at; row < at + len; row++) {
            seen++;
            uint64_t place = seen <= wanted ? seen - 1 : af_prng_below(&prng, seen);
            if (place < wanted)
                select->rows[place] = (uint32_t)row;
        }
    select->row_count = (size_t)(seen < wanted ? seen : wanted);
    return put_in_order(select);
}

static enum af_status select_distinct(struct select *select)
{
    struct distinct set = { 0 };
    const struct af_column *column = select->column;
    size_t len;
    for (size_t at = 0; (len = fn_span_next(column->validity, &at, select->count)) != 0; at += len)
        for (size_t row = at; row < at + len; row++) {
            uint32_t number;
            if (select->class != FN_TEXT)
                AF_TRY(distinct_cell(&set, select->class, fn_column_cell(column, row), select->arena, &number, select->err));
            else if (column->dict == NULL || row == at || column->codes[row] != column->codes[row - 1])
                AF_TRY(distinct_text(&set, af_column_text(column, row), select->arena, &number, select->err));
            else
                continue;
            if (set.count > select->row_count)
                select->rows[select->row_count++] = (uint32_t)row;
        }
    return put_in_order(select);
}

/* --- one row ------------------------------------------------------------------------------------------------------------------------- */

static enum af_status select_percentile(struct select *select)
{
    size_t valid = fn_count_valid(select->column, 0, select->count), rank = percentile_rank(valid, fn_param_f64(select->call, 0)), kept = 0;
    if (rank == SIZE_MAX)
        return AF_OK;
    struct ranked *items;
    AF_TRY(fn_alloc(select->arena, valid, sizeof *items, &items, select->err));
    size_t len;
    for (size_t at = 0; (len = fn_span_next(select->column->validity, &at, select->count)) != 0; at += len)
        for (size_t row = at; row < at + len; row++)
            items[kept++] = (struct ranked){ value_key(select, row), fn_key_time(select->time_ns[row], select->descending), (uint32_t)row };
    ranked_nth(items, kept, rank);
    select->rows[0] = items[rank].row;
    select->row_count = 1;
    return AF_OK;
}

static enum af_status select_pick(struct select *select)
{
    void *state = af_arena_zero(select->arena, 1, af_fn_state_bytes(select->call));
    if (state == NULL)
        return af_arena_fail(select->arena, af_fn_state_bytes(select->call), "a selector", select->err);
    AF_TRY(af_fn_add(select->call, state, select->time_ns, select->column, 0, select->count, select->arena, select->err));
    size_t row = pick_row(state);
    if (row != SIZE_MAX)
        select->rows[select->row_count++] = (uint32_t)row;
    return AF_OK;
}

static enum af_status choose_rows(struct select *select, uint64_t seed)
{
    switch (select->call->id) {
    case AF_FN_TOP: case AF_FN_BOTTOM: return select_best(select);
    case AF_FN_SAMPLE: return select_sample(select, seed);
    case AF_FN_DISTINCT: return select_distinct(select);
    case AF_FN_PERCENTILE: return select_percentile(select);
    default: return select_pick(select);
    }
}

enum af_status af_fn_select(const struct af_fn_call *call, const int64_t *time_ns, const struct af_column *column, size_t count,
                            uint64_t seed, struct af_arena *arena, uint32_t *out_rows, size_t *out_count, struct af_error *err)
{
    enum fn_class class = fn_class_of(column->type);
    *out_count = 0;
    if (count == 0 || column->type == AF_TYPE_NULL)
        return AF_OK;
    bool takes_numbers = call->id == AF_FN_TOP || call->id == AF_FN_BOTTOM || call->id == AF_FN_PERCENTILE;
    if (af_fn_get(call->id)->kind != AF_FN_KIND_SELECTOR || class == FN_NO_CLASS || class != fn_class_of(call->type)
        || (takes_numbers && !fn_is_number(column->type)))
        return af_fail(err, AF_EBUG, "\"%s\" of %s was given %s", af_fn_get(call->id)->name, fn_type_words(call->type),
                       fn_type_words(column->type));
    if (count >= UINT32_MAX)
        return af_fail(err, AF_ELIMIT, "a window of %zu rows is too large for \"%s\": choose shorter windows", count,
                       af_fn_get(call->id)->name);
    struct select select = { call, time_ns, column, count, class, time_ns[0] > time_ns[count - 1], arena, err, out_rows, 0 };
    AF_TRY(choose_rows(&select, seed));
    *out_count = select.row_count;
    return AF_OK;
}
