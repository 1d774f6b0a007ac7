/*
 * distinct.c - different values: a hash set that numbers them as they come; count_distinct and mode are made of it.
 *
 * Mode is decided as InfluxDB decides it. Values ascending: one takes over from the best so far if it is there more often; or as often
 * (twice at least) and its first time is not behind the last time of the best. So of values that are all there once the smallest wins.
 * Booleans: true unless false is there more often.
 */
#include "base/hash.h"
#include "fn/fn_int.h"
#include <math.h>

enum { SLOTS_FIRST = 16 };

static uint64_t cell_hash(union fn_cell cell)
{
    return af_hash_mix(cell.u64 + UINT64_C(0x9e3779b97f4a7c15));
}

/* -0 and 0 are one value, and so are all NaN. */
static union fn_cell canonical(enum fn_class class, union fn_cell cell)
{
    if (class == FN_F64 && cell.f64 == 0)
        cell.f64 = 0;
    if (class == FN_F64 && isnan(cell.f64))
        cell.f64 = NAN;
    return cell;
}

static uint64_t entry_hash(const struct distinct *set, enum fn_class class, uint32_t number)
{
    return class == FN_TEXT ? af_hash_bytes(set->texts[number].ptr, set->texts[number].len, 0)
                            : cell_hash(canonical(class, set->cells[number]));
}

static enum af_status set_grow(struct distinct *set, enum fn_class class, struct af_arena *arena, struct af_error *err)
{
    if (set->count >= UINT32_MAX / 4)
        return af_fail(err, AF_ELIMIT, "more than %u different values in one window", UINT32_MAX / 4);
    uint32_t cap = set->cap == 0 ? SLOTS_FIRST / 2 : set->cap * 2;
    size_t slot_count = (size_t)cap * 2, bytes = class == FN_TEXT ? sizeof *set->texts : sizeof *set->cells;
    uint32_t *slots = af_arena_zero(arena, slot_count, sizeof *slots);
    char *entries = af_arena_alloc(arena, cap * bytes);
    if (slots == NULL || entries == NULL)
        return af_arena_fail(arena, cap * bytes, "the different values of a window", err);
    const void *old = class == FN_TEXT ? (const void *)set->texts : (const void *)set->cells;
    if (set->count != 0)
        memcpy(entries, old, set->count * bytes);
    if (class == FN_TEXT)
        set->texts = (struct af_slice *)entries;
    else
        set->cells = (union fn_cell *)entries;
    for (uint32_t number = 0; number < set->count; number++) {
        size_t slot = entry_hash(set, class, number) & (slot_count - 1);
        while (slots[slot] != 0)
            slot = (slot + 1) & (slot_count - 1);
        slots[slot] = number + 1;
    }
    set->slots = slots;
    set->slot_count = slot_count;
    set->cap = cap;
    return AF_OK;
}

enum af_status distinct_cell(struct distinct *set, enum fn_class class, union fn_cell cell, struct af_arena *arena, uint32_t *out_number,
                             struct af_error *err)
{
    if (set->count == set->cap)
        AF_TRY(set_grow(set, class, arena, err));
    union fn_cell key = canonical(class, cell);
    size_t slot = cell_hash(key) & (set->slot_count - 1);
    for (; set->slots[slot] != 0; slot = (slot + 1) & (set->slot_count - 1))
        if (canonical(class, set->cells[set->slots[slot] - 1]).u64 == key.u64) {
            *out_number = set->slots[slot] - 1;
            return AF_OK;
        }
    *out_number = set->count;
    set->cells[set->count++] = cell;
    set->slots[slot] = set->count;
    return AF_OK;
}

enum af_status distinct_text(struct distinct *set, struct af_slice text, struct af_arena *arena, uint32_t *out_number, struct af_error *err)
{
    if (set->count == set->cap)
        AF_TRY(set_grow(set, FN_TEXT, arena, err));
    size_t slot = af_hash_bytes(text.ptr, text.len, 0) & (set->slot_count - 1);
    for (; set->slots[slot] != 0; slot = (slot + 1) & (set->slot_count - 1))
        if (af_slice_eq(set->texts[set->slots[slot] - 1], text)) {
            *out_number = set->slots[slot] - 1;
            return AF_OK;
        }
    char *copy = af_arena_alloc(arena, text.len + 1);
    if (copy == NULL)
        return af_arena_fail(arena, text.len, "a text", err);
    if (text.len != 0)
        memcpy(copy, text.ptr, text.len);
    *out_number = set->count;
    set->texts[set->count++] = af_slice_make(copy, text.len);
    set->slots[slot] = set->count;
    return AF_OK;
}

/* The number of each row of a span, given to `each`. A code of a dictionary that repeats is looked up once. */
typedef enum af_status (*number_fn)(void *state, const struct span *span, size_t row, uint32_t number);
static enum af_status span_numbers(struct distinct *set, const struct span *span, void *state, number_fn each)
{
    const struct af_column *column = span->column;
    enum fn_class class = fn_class_of(column->type);
    uint32_t number = 0;
    for (size_t row = span->first; row < span->first + span->count; row++) {
        if (class != FN_TEXT)
            AF_TRY(distinct_cell(set, class, fn_column_cell(column, row), span->arena, &number, span->err));
        else if (column->dict == NULL || row == span->first || column->codes[row] != column->codes[row - 1])
            AF_TRY(distinct_text(set, af_column_text(column, row), span->arena, &number, span->err));
        if (each != NULL)
            AF_TRY(each(state, span, row, number));
    }
    return AF_OK;
}

/* --- count_distinct -------------------------------------------------------------------------------------------------------------- */

static enum af_status count_distinct_add(void *state, const struct span *span)
{
    return span_numbers(state, span, NULL, NULL);
}

static enum af_status count_distinct_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                            int64_t *out_time_ns, struct af_error *err)
{
    (void)call, (void)arena, (void)out_time_ns, (void)err;
    uint32_t count = ((const struct distinct *)state)->count;
    *out = count == 0 ? af_value_none() : af_value_i64(count);
    return AF_OK;
}

const struct aggregate_ops count_distinct_ops = {
    sizeof(struct distinct),
    { count_distinct_add, count_distinct_add, count_distinct_add, count_distinct_add, count_distinct_add },
    count_distinct_finish,
};

/* --- mode ------------------------------------------------------------------------------------------------------------------------ */

struct mode_group {
    uint64_t count;
    int64_t min_ns, max_ns;
};
struct mode {
    struct distinct set;
    struct mode_group *groups;
    uint32_t cap;
    bool has;
    int64_t first_ns, last_ns;   /* as they arrived */
};

static enum af_status mode_count(void *state, const struct span *span, size_t row, uint32_t number)
{
    struct mode *mode = state;
    if (number >= mode->cap) {
        struct mode_group *groups = af_arena_zero(span->arena, mode->set.cap, sizeof *groups);
        if (groups == NULL)
            return af_arena_fail(span->arena, mode->set.cap * sizeof *groups, "the different values of a window", span->err);
        if (mode->cap != 0)
            memcpy(groups, mode->groups, mode->cap * sizeof *groups);
        mode->groups = groups;
        mode->cap = mode->set.cap;
    }
    struct mode_group *group = &mode->groups[number];
    int64_t time = span->time_ns[row];
    if (group->count++ == 0)
        group->min_ns = group->max_ns = time;
    group->min_ns = time < group->min_ns ? time : group->min_ns;
    group->max_ns = time > group->max_ns ? time : group->max_ns;
    return AF_OK;
}

static enum af_status mode_add(void *state, const struct span *span)
{
    struct mode *mode = state;
    if (!mode->has)
        mode->first_ns = span->time_ns[span->first];
    mode->has = true;
    mode->last_ns = span->time_ns[span->first + span->count - 1];
    return span_numbers(&mode->set, span, mode, mode_count);
}

static bool is_smaller(const struct mode *mode, enum fn_class class, uint32_t a, uint32_t b)
{
    if (class == FN_TEXT)
        return af_slice_cmp(mode->set.texts[a], mode->set.texts[b]) < 0;
    enum fn_class as = class == FN_BOOL ? FN_U64 : class;
    return fn_key(mode->set.cells[a], as) < fn_key(mode->set.cells[b], as);
}

/* Ascending by value (Shell's sort): as few as are there most often. */
static void sort_numbers(const struct mode *mode, enum fn_class class, uint32_t *numbers, size_t count)
{
    for (size_t gap = count / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11)
        for (size_t i = gap; i < count; i++) {
            uint32_t number = numbers[i];
            size_t at = i;
            for (; at >= gap && is_smaller(mode, class, number, numbers[at - gap]); at -= gap)
                numbers[at] = numbers[at - gap];
            numbers[at] = number;
        }
}

/* Values that are there once only: the smallest. */
static uint32_t smallest_of(const struct mode *mode, enum fn_class class)
{
    uint32_t best = 0;
    for (uint32_t number = 1; number < mode->set.count; number++)
        if (is_smaller(mode, class, number, best))
            best = number;
    return best;
}

/* Only values that are there most often can win; in `numbers`. */
static uint32_t mode_of(const struct mode *mode, enum fn_class class, uint64_t most, uint32_t *numbers)
{
    uint32_t count = 0;
    for (uint32_t number = 0; number < mode->set.count; number++)
        if (mode->groups[number].count == most)
            numbers[count++] = number;
    sort_numbers(mode, class, numbers, count);
    if (class == FN_BOOL)
        return numbers[count - 1];
    bool descending = mode->first_ns > mode->last_ns;
    uint32_t best = numbers[0];
    for (uint32_t i = 1; i < count; i++) {
        const struct mode_group *group = &mode->groups[numbers[i]], *top = &mode->groups[best];
        bool takes_over = descending ? group->max_ns <= top->min_ns : group->min_ns <= top->max_ns;
        if (takes_over)
            best = numbers[i];
    }
    return best;
}

static enum af_status mode_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                  int64_t *out_time_ns, struct af_error *err)
{
    (void)out_time_ns;
    const struct mode *mode = state;
    if (mode->set.count == 0) {
        *out = af_value_none();
        return AF_OK;
    }
    enum fn_class class = fn_class_of(call->type);
    uint64_t most = 0;
    for (uint32_t number = 0; number < mode->set.count; number++)
        most = mode->groups[number].count > most ? mode->groups[number].count : most;
    uint32_t *numbers, best;
    if (most == 1 && class != FN_BOOL) {
        best = smallest_of(mode, class);
    } else {
        AF_TRY(fn_alloc(arena, mode->set.count, sizeof *numbers, &numbers, err));
        best = mode_of(mode, class, most, numbers);
    }
    *out = class == FN_TEXT ? af_value_text(mode->set.texts[best]) : fn_cell_value(mode->set.cells[best], call->type);
    return AF_OK;
}

const struct aggregate_ops mode_ops = { sizeof(struct mode), { mode_add, mode_add, mode_add, mode_add, mode_add }, mode_finish };
