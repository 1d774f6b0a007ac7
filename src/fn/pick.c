/*
 * pick.c - one row by its time or its value: first, last, min, max. Rows come in any order.
 *
 *     FIRST LAST   of equal times the larger value; but first of booleans: false
 *     MIN MAX      of equal values the earlier time. A NaN that comes first stays; later ones lose every comparison
 */
#include "fn/fn_int.h"
#include <math.h>

struct pick {
    bool has;
    int64_t time_ns;
    size_t row;
    union fn_cell cell;
    char *text;                  /* TEXT: copied, since the column goes */
    size_t len, cap;
};

static enum af_status keep_text(struct pick *pick, struct af_slice text, const struct span *span)
{
    if (text.len > pick->cap || pick->text == NULL) {
        size_t cap = text.len < 16 ? 16 : text.len * 2;
        char *made = af_arena_alloc(span->arena, cap);
        if (made == NULL)
            return af_arena_fail(span->arena, cap, "a text", span->err);
        pick->text = made;
        pick->cap = cap;
    }
    if (text.len != 0)
        memcpy(pick->text, text.ptr, text.len);
    pick->len = text.len;
    return AF_OK;
}

static enum af_status take(struct pick *pick, const struct span *span, size_t row)
{
    if (span->column->type == AF_TYPE_STRING)
        AF_TRY(keep_text(pick, af_column_text(span->column, row), span));
    else
        pick->cell = fn_column_cell(span->column, row);
    pick->time_ns = span->time_ns[row];
    pick->row = row;
    pick->has = true;
    return AF_OK;
}

size_t pick_row(const void *state)
{
    const struct pick *pick = state;
    return pick->has ? pick->row : SIZE_MAX;
}

/* Row `row` before what was found so far (row `best`, or SIZE_MAX: the state) when their times are equal? */
static bool wins_tie(const struct pick *pick, const struct span *span, size_t best, size_t row, bool is_first)
{
    const struct af_column *column = span->column;
    if (column->type == AF_TYPE_STRING) {
        struct af_slice old = best == SIZE_MAX ? af_slice_make(pick->text, pick->len) : af_column_text(column, best);
        return af_slice_cmp(af_column_text(column, row), old) > 0;
    }
    union fn_cell old = best == SIZE_MAX ? pick->cell : fn_column_cell(column, best), own = fn_column_cell(column, row);
    switch (fn_class_of(column->type)) {
    case FN_F64: return own.f64 > old.f64;
    case FN_I64: return own.i64 > old.i64;
    case FN_BOOL: return is_first ? own.u64 < old.u64 : own.u64 > old.u64;
    default: return own.u64 > old.u64;
    }
}

static enum af_status first_add(void *state, const struct span *span)
{
    struct pick *pick = state;
    size_t best = SIZE_MAX, row = span->first, end = span->first + span->count;
    if (!pick->has)
        best = row++;
    int64_t time = best == SIZE_MAX ? pick->time_ns : span->time_ns[best];
    for (; row < end; row++) {
        if (span->time_ns[row] > time || (span->time_ns[row] == time && !wins_tie(pick, span, best, row, true)))
            continue;
        best = row;
        time = span->time_ns[row];
    }
    return best == SIZE_MAX ? AF_OK : take(pick, span, best);
}

static enum af_status last_add(void *state, const struct span *span)
{
    struct pick *pick = state;
    size_t best = SIZE_MAX, row = span->first, end = span->first + span->count;
    if (!pick->has)
        best = row++;
    int64_t time = best == SIZE_MAX ? pick->time_ns : span->time_ns[best];
    for (; row < end; row++) {
        if (span->time_ns[row] < time || (span->time_ns[row] == time && !wins_tie(pick, span, best, row, false)))
            continue;
        best = row;
        time = span->time_ns[row];
    }
    return best == SIZE_MAX ? AF_OK : take(pick, span, best);
}

/* Two passes: the extreme value of the span, in several lanes; and only if it is as good as what there was, the earliest row that has it.
 * Short spans row by row. */
#define EXTREME(name, T, member, BETTER)                                                                                           \
    static T name##_of(const T *values, size_t count)                                                                              \
    {                                                                                                                              \
        T lanes[8];                                                                                                                \
        for (size_t lane = 0; lane < 8; lane++)                                                                                    \
            lanes[lane] = values[0];                                                                                               \
        size_t i = 0;                                                                                                              \
        for (; i + 8 <= count; i += 8)                                                                                             \
            for (size_t lane = 0; lane < 8; lane++)                                                                                \
                lanes[lane] = values[i + lane] BETTER lanes[lane] ? values[i + lane] : lanes[lane];                                \
        T best = lanes[0];                                                                                                         \
        for (size_t lane = 1; lane < 8; lane++)                                                                                    \
            best = lanes[lane] BETTER best ? lanes[lane] : best;                                                                   \
        for (; i < count; i++)                                                                                                     \
            best = values[i] BETTER best ? values[i] : best;                                                                       \
        return best;                                                                                                               \
    }                                                                                                                              \
    static enum af_status name##_long(struct pick *pick, const struct span *span, T best, size_t row, size_t end)                  \
    {                                                                                                                              \
        const T *values = span->column->member;                                                                                    \
        bool is_better = best BETTER pick->cell.member;                                                                            \
        if (!is_better && best != pick->cell.member)                                                                               \
            return AF_OK;                                                                                                          \
        size_t found = SIZE_MAX;                                                                                                   \
        int64_t time = pick->time_ns;                                                                                              \
        for (; row < end; row++)                                                                                                   \
            if (values[row] == best && (is_better || span->time_ns[row] < time)) {                                                 \
                is_better = false;                                                                                                 \
                found = row;                                                                                                       \
                time = span->time_ns[row];                                                                                         \
            }                                                                                                                      \
        return found == SIZE_MAX ? AF_OK : take(pick, span, found);                                                                \
    }                                                                                                                              \
    static enum af_status name(void *state, const struct span *span)                                                               \
    {                                                                                                                              \
        struct pick *pick = state;                                                                                                 \
        const T *values = span->column->member;                                                                                    \
        size_t row = span->first, end = span->first + span->count;                                                                 \
        if (!pick->has)                                                                                                            \
            AF_TRY(take(pick, span, row++));                                                                                       \
        if (end - row >= 16 && values[row] == values[row])                                                                         \
            return name##_long(pick, span, name##_of(values + row, end - row), row, end);                                          \
        for (; row < end; row++)                                                                                                   \
            if (values[row] BETTER pick->cell.member || (values[row] == pick->cell.member && span->time_ns[row] < pick->time_ns))  \
                AF_TRY(take(pick, span, row));                                                                                     \
        return AF_OK;                                                                                                              \
    }
EXTREME(min_f64, double, f64, <)
EXTREME(min_i64, int64_t, i64, <)
EXTREME(min_u64, uint64_t, u64, <)
EXTREME(max_f64, double, f64, >)
EXTREME(max_i64, int64_t, i64, >)
EXTREME(max_u64, uint64_t, u64, >)

static enum af_status extreme_bool(struct pick *pick, const struct span *span, bool wanted)
{
    for (size_t row = span->first; row < span->first + span->count; row++) {
        bool value = af_bit_get(span->column->bits, row), old = pick->cell.u64 != 0;
        if (!pick->has || (value != old && value == wanted) || (value == old && span->time_ns[row] < pick->time_ns))
            AF_TRY(take(pick, span, row));
    }
    return AF_OK;
}

static enum af_status min_bool(void *state, const struct span *span)
{
    return extreme_bool(state, span, false);
}

static enum af_status max_bool(void *state, const struct span *span)
{
    return extreme_bool(state, span, true);
}

static enum af_status pick_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                  int64_t *out_time_ns, struct af_error *err)
{
    (void)arena, (void)err;
    const struct pick *pick = state;
    if (!pick->has) {
        *out = af_value_none();
        return AF_OK;
    }
    *out = call->type == AF_TYPE_STRING ? af_value_text(af_slice_make(pick->text, pick->len)) : fn_cell_value(pick->cell, call->type);
    *out_time_ns = pick->time_ns;
    return AF_OK;
}

const struct aggregate_ops pick_first_ops = { sizeof(struct pick), { first_add, first_add, first_add, first_add, first_add }, pick_finish };
const struct aggregate_ops pick_last_ops = { sizeof(struct pick), { last_add, last_add, last_add, last_add, last_add }, pick_finish };
const struct aggregate_ops pick_min_ops = { sizeof(struct pick), { min_f64, min_i64, min_u64, min_bool, NULL }, pick_finish };
const struct aggregate_ops pick_max_ops = { sizeof(struct pick), { max_f64, max_i64, max_u64, max_bool, NULL }, pick_finish };
