/*
 * choose.c - rows of a window: see choose.h.
 *
 * With `by` columns, first the best row of each combination of them (a hash table of rows), then the function's choice among these. The
 * order of answers is by time (descending where the plan is); of one time: TOP the larger value first, BOTTOM, DISTINCT and SAMPLE the
 * smaller, and of equal values the row that came first.
 */
#include "exec/choose.h"
#include "base/hash.h"

bool choose_is_gradual(enum af_fn fn)
{
    switch (fn) {
    case AF_FN_FIRST: case AF_FN_LAST: case AF_FN_MIN: case AF_FN_MAX: case AF_FN_TOP: case AF_FN_BOTTOM: case AF_FN_DISTINCT:
        return true;
    default:
        return false;
    }
}

/* --- the best of each combination ------------------------------------------------------------------------------------------- */

struct combos {
    const struct af_plan_select *plan;
    const struct af_column *columns;
    uint64_t **code_hashes;              /* of each by-column with a dictionary: of its codes; NULL: hashed cell by cell */
    uint32_t *table;                     /* row + 1 of the best so far */
    size_t cap;                          /* a power of two */
};

static uint64_t cell_hash(const struct combos *combos, size_t by, size_t row)
{
    const struct af_column *column = &combos->columns[combos->plan->by[by]];
    if (!af_column_has(column, row))
        return 1;
    if (combos->code_hashes[by] != NULL)
        return combos->code_hashes[by][column->codes[row]];
    struct af_value value = af_column_value(column, row);
    if (value.type == AF_TYPE_STRING)
        return af_hash_bytes(value.text.ptr, value.text.len, 0);
    return value.type == AF_TYPE_BOOL ? 2U + value.boolean : af_hash_mix(value.u64);
}

static bool cell_eq(const struct af_column *column, size_t a, size_t b)
{
    bool has = af_column_has(column, a);
    if (has != af_column_has(column, b))
        return false;
    if (!has || (column->dict != NULL && column->codes[a] == column->codes[b]))
        return true;
    struct af_value x = af_column_value(column, a), y = af_column_value(column, b);
    return af_value_eq(&x, &y);
}

static uint32_t *combo_of(const struct combos *combos, size_t row)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < combos->plan->by_count; i++)
        hash = af_hash_mix(hash + cell_hash(combos, i, row));
    for (size_t at = (size_t)hash & (combos->cap - 1);; at = (at + 1) & (combos->cap - 1)) {
        bool is_equal = true;
        if (combos->table[at] == 0)
            return &combos->table[at];
        for (size_t i = 0; is_equal && i < combos->plan->by_count; i++)
            is_equal = cell_eq(&combos->columns[combos->plan->by[i]], combos->table[at] - 1, row);
        if (is_equal)
            return &combos->table[at];
    }
}

/* Is the row of `b` a better one than the row of `a`, which came before? */
static bool is_better(const struct combos *combos, size_t a, size_t b)
{
    const struct af_column *column = &combos->columns[combos->plan->column];
    struct af_value x = af_column_value(column, a), y = af_column_value(column, b);
    int order = af_value_compare(&y, &x);
    if (order != 0)
        return combos->plan->call.id == AF_FN_BOTTOM ? order < 0 : order > 0;
    return combos->columns[0].i64[b] < combos->columns[0].i64[a];
}

static enum af_status hash_codes(struct combos *combos, const struct piece *piece, struct af_arena *arena, struct af_error *err)
{
    for (size_t i = 0; i < combos->plan->by_count; i++) {
        const struct af_column *column = &combos->columns[combos->plan->by[i]];
        if (column->dict == NULL || column->dict->count > piece->count)
            continue;
        uint64_t *hashes = af_arena_alloc(arena, column->dict->count * sizeof *hashes);
        if (hashes == NULL)
            return af_arena_fail(arena, column->dict->count * sizeof *hashes, "choosing rows", err);
        for (uint32_t code = 0; code < column->dict->count; code++) {
            struct af_slice text = af_dict_get(column->dict, code);
            hashes[code] = af_hash_bytes(text.ptr, text.len, 0);
        }
        combos->code_hashes[i] = hashes;
    }
    return AF_OK;
}

static enum af_status make_combos(struct combos *combos, const struct piece *piece, struct af_arena *arena, struct af_error *err)
{
    combos->cap = 16;
    while (combos->cap < piece->count * 2)
        combos->cap *= 2;
    combos->table = af_arena_zero(arena, combos->cap, sizeof *combos->table);
    combos->code_hashes = af_arena_zero(arena, combos->plan->by_count, sizeof *combos->code_hashes);
    if (combos->table == NULL || combos->code_hashes == NULL)
        return af_arena_fail(arena, combos->cap * sizeof *combos->table, "choosing rows", err);
    return hash_codes(combos, piece, arena, err);
}

/* Ascending. */
static enum af_status best_rows(const struct af_plan_select *plan, const struct piece *piece, struct af_arena *arena, uint32_t **out_rows,
                                size_t *out_count, struct af_error *err)
{
    struct combos combos = { .plan = plan, .columns = piece->columns };
    AF_TRY(make_combos(&combos, piece, arena, err));
    for (size_t row = piece->first; row < piece->first + piece->count; row++) {
        if (!af_column_has(&piece->columns[plan->column], row))
            continue;
        uint32_t *best = combo_of(&combos, row);
        if (*best == 0 || is_better(&combos, *best - 1, row))
            *best = (uint32_t)row + 1;
    }
    uint64_t *is_best = af_bits_new(arena, piece->count, false);
    uint32_t *rows = af_arena_alloc(arena, piece->count * sizeof *rows);
    if (is_best == NULL || rows == NULL)
        return af_arena_fail(arena, piece->count * sizeof *rows, "choosing rows", err);
    for (size_t i = 0; i < combos.cap; i++)
        if (combos.table[i] != 0)
            af_bit_set(is_best, combos.table[i] - 1 - piece->first);
    size_t count = 0;
    for (size_t i = 0; i < piece->count; i++)
        if (af_bit_get(is_best, i))
            rows[count++] = (uint32_t)(piece->first + i);
    *out_rows = rows;
    *out_count = count;
    return AF_OK;
}

/* --- order ------------------------------------------------------------------------------------------------------------------ */

struct order {
    const struct af_plan_select *plan;
    const int64_t *times;
    const struct af_column *values;
    bool is_final;                       /* else by row */
};

static bool goes_before(const struct order *order, uint32_t a, uint32_t b)
{
    if (order->is_final && order->times[a] != order->times[b])
        return order->plan->descending ? order->times[a] > order->times[b] : order->times[a] < order->times[b];
    if (!order->is_final)
        return a < b;
    struct af_value x = af_column_value(order->values, a), y = af_column_value(order->values, b);
    int values = af_value_compare(&x, &y);
    if (values != 0)
        return order->plan->call.id == AF_FN_TOP ? values > 0 : values < 0;
    return a < b;
}

static void merge_runs(const struct order *order, const uint32_t *from, size_t a, size_t mid, size_t stop, uint32_t *to)
{
    size_t b = mid, at = a;
    while (a < mid && b < stop)
        to[at++] = goes_before(order, from[b], from[a]) ? from[b++] : from[a++];
    while (a < mid)
        to[at++] = from[a++];
    while (b < stop)
        to[at++] = from[b++];
}

static enum af_status sort_rows(const struct order *order, uint32_t **rows, size_t count, struct af_arena *arena, struct af_error *err)
{
    size_t i = 1;
    while (i < count && !goes_before(order, (*rows)[i], (*rows)[i - 1]))
        i++;
    if (i >= count)
        return AF_OK;
    uint32_t *from = *rows, *to = af_arena_alloc(arena, count * sizeof *to);
    if (to == NULL)
        return af_arena_fail(arena, count * sizeof *to, "ordering rows", err);
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t a = 0; a < count; a += 2 * width) {
            size_t mid = a + width < count ? a + width : count, stop = a + 2 * width < count ? a + 2 * width : count;
            merge_runs(order, from, a, mid, stop, to);
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    *rows = from;
    return AF_OK;
}

/* --- the choice ------------------------------------------------------------------------------------------------------------- */

/* Among rows that are listed. */
static enum af_status choose_listed(const struct af_plan_select *plan, const struct piece *piece, const uint32_t *listed,
                                    size_t listed_count, uint64_t seed, struct af_arena *arena, uint32_t *rows, size_t *out_count,
                                    struct af_error *err)
{
    struct af_column values;
    int64_t *times = af_arena_array(arena, listed_count, sizeof *times);
    if (times == NULL)
        return af_arena_fail(arena, listed_count * sizeof *times, "choosing rows", err);
    for (size_t i = 0; i < listed_count; i++)
        times[i] = piece->columns[0].i64[listed[i]];
    AF_TRY(columns_gather(&piece->columns[plan->column], listed, listed_count, arena, &values, err));
    AF_TRY(af_fn_select(&plan->call, times, &values, listed_count, seed, arena, rows, out_count, err));
    for (size_t i = 0; i < *out_count; i++)
        rows[i] = listed[rows[i]];
    return AF_OK;
}

static enum af_status choose_all(const struct af_plan_select *plan, const struct piece *piece, uint64_t seed, struct af_arena *arena,
                                 uint32_t *rows, size_t *out_count, struct af_error *err)
{
    struct af_column values;
    AF_TRY(columns_slice(&piece->columns[plan->column], piece->first, piece->count, arena, &values, err));
    AF_TRY(af_fn_select(&plan->call, piece->columns[0].i64 + piece->first, &values, piece->count, seed, arena, rows, out_count, err));
    for (size_t i = 0; i < *out_count; i++)
        rows[i] += (uint32_t)piece->first;
    return AF_OK;
}

enum af_status choose_rows(const struct af_plan_select *plan, const struct piece *piece, bool is_final, uint64_t seed,
                           struct af_arena *arena, uint32_t **out_rows, size_t *out_count, struct af_error *err)
{
    uint32_t *rows = af_arena_alloc(arena, piece->count * sizeof *rows), *listed = NULL;
    size_t count = 0, listed_count = 0;
    if (rows == NULL)
        return af_arena_fail(arena, piece->count * sizeof *rows, "choosing rows", err);
    if (plan->by_count != 0) {
        AF_TRY(best_rows(plan, piece, arena, &listed, &listed_count, err));
        if (listed_count != 0)
            AF_TRY(choose_listed(plan, piece, listed, listed_count, seed, arena, rows, &count, err));
    } else {
        AF_TRY(choose_all(plan, piece, seed, arena, rows, &count, err));
    }
    struct order order = { plan, piece->columns[0].i64, &piece->columns[plan->column], is_final };
    AF_TRY(sort_rows(&order, &rows, count, arena, err));
    *out_rows = rows;
    *out_count = count;
    return AF_OK;
}
