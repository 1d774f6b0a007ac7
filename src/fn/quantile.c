/*
 * quantile.c - values by rank: median, percentile. Values are kept in chunks; at the end only as much is sorted as the rank needs
 * (quickselect, pivots from random places). Also the orders that select.c needs.
 */
#include "base/prng.h"
#include "fn/fn_int.h"
#include <math.h>

enum { CHUNK_FIRST = 8, CHUNK_MAX = 4096, SORT_SMALL = 16 };

/* --- kept values ----------------------------------------------------------------------------------------------------------------- */

static struct kept_chunk *chunk_new(struct kept *kept, struct af_arena *arena, bool with_times)
{
    size_t cap = kept->tail == NULL ? CHUNK_FIRST : kept->tail->cap < CHUNK_MAX ? kept->tail->cap * 2 : CHUNK_MAX;
    struct kept_chunk *chunk = af_arena_alloc(arena, sizeof *chunk + cap * (with_times ? 16 : 8));
    if (chunk == NULL)
        return NULL;
    *chunk = (struct kept_chunk){ NULL, 0, cap, (union fn_cell *)(chunk + 1), NULL };
    if (with_times)
        chunk->times = (int64_t *)(chunk->cells + cap);
    if (kept->tail == NULL)
        kept->head = chunk;
    else
        kept->tail->next = chunk;
    kept->tail = chunk;
    return chunk;
}

enum af_status kept_add(struct kept *kept, const struct span *span, bool with_times)
{
    for (size_t done = 0; done < span->count;) {
        struct kept_chunk *chunk = kept->tail;
        if (chunk == NULL || chunk->count == chunk->cap) {
            chunk = chunk_new(kept, span->arena, with_times);
            if (chunk == NULL)
                return af_arena_fail(span->arena, CHUNK_MAX * sizeof(union fn_cell), "the values of a window", span->err);
        }
        size_t n = chunk->cap - chunk->count < span->count - done ? chunk->cap - chunk->count : span->count - done;
        memcpy(chunk->cells + chunk->count, span->column->u64 + span->first + done, n * sizeof *chunk->cells);
        if (with_times)
            memcpy(chunk->times + chunk->count, span->time_ns + span->first + done, n * sizeof *chunk->times);
        chunk->count += n;
        kept->count += n;
        done += n;
    }
    return AF_OK;
}

/* --- selection ------------------------------------------------------------------------------------------------------------------- */

/* _part: around the middle of three from random places. Afterwards nothing in [0, *left) is behind it, nothing in [*right, count) before
 * it, what is between equals it; and both parts are smaller than the whole. */
#define ORDER(name, T, BEFORE)                                                                                                     \
    static void name##_insertion(T *items, size_t count)                                                                           \
    {                                                                                                                              \
        for (size_t i = 1; i < count; i++) {                                                                                       \
            T item = items[i];                                                                                                     \
            size_t at = i;                                                                                                         \
            for (; at > 0 && BEFORE(item, items[at - 1]); at--)                                                                    \
                items[at] = items[at - 1];                                                                                         \
            items[at] = item;                                                                                                      \
        }                                                                                                                          \
    }                                                                                                                              \
    static void name##_part(T *items, size_t count, struct af_prng *prng, size_t *left, size_t *right)                             \
    {                                                                                                                              \
        T a = items[af_prng_below(prng, count)], b = items[af_prng_below(prng, count)], c = items[af_prng_below(prng, count)];     \
        T pivot = BEFORE(a, b) ? (BEFORE(b, c) ? b : BEFORE(a, c) ? c : a) : (BEFORE(a, c) ? a : BEFORE(b, c) ? c : b);            \
size_t i = 0, j = count;                                                                                                   \
        while (i < j) {                                                                                                            \
            while (BEFORE(items[i], pivot))                                                                                        \
                i++;                                                                                                               \
            while (BEFORE(pivot, items[j - 1]))                                                                                    \
                j--;                                                                                                               \
            if (i < j) {                                                                                                           \
                T swap = items[i];                                                                                                 \
                items[i++] = items[--j];                                                                                           \
                items[j] = swap;                                                                                                   \
            }                                                                                                                      \
        }                                                                                                                          \
        *left = j;                                                                                                                 \
        *right = i;                                                                                                                \
    }                                                                                                                              \
    static void name##_nth(T *items, size_t count, size_t nth)                                                                     \
    {                                                                                                                              \
        struct af_prng prng = { count };                                                                                           \
        while (count > SORT_SMALL) {                                                                                               \
            size_t left, right;                                                                                                    \
            name##_part(items, count, &prng, &left, &right);                                                                       \
            if (nth < left) {                                                                                                      \
                count = left;                                                                                                      \
            } else if (nth >= right) {                                                                                             \
                items += right;                                                                                                    \
                count -= right;                                                                                                    \
                nth -= right;                                                                                                      \
            } else {                                                                                                               \
                return;                                                                                                            \
            }                                                                                                                      \
        }                                                                                                                          \
        name##_insertion(items, count);                                                                                            \
    }

#define KEY_BEFORE(a, b) ((a) < (b))
#define RANKED_BEFORE(a, b) ranked_before(&(a), &(b))
ORDER(keys, uint64_t, KEY_BEFORE)
ORDER(ranks, struct ranked, RANKED_BEFORE)

void ranked_nth(struct ranked *items, size_t count, size_t nth)
{
    ranks_nth(items, count, nth);
}

void ranked_sort(struct ranked *items, size_t count)
{
    struct af_prng prng = { count };
    while (count > SORT_SMALL) {
        size_t left, right;
        ranks_part(items, count, &prng, &left, &right);
        if (left < count - right) { /* the smaller part by recursion: its depth stays logarithmic */
            ranked_sort(items, left);
            items += right;
            count -= right;
        } else {
            ranked_sort(items + right, count - right);
            count = left;
        }
    }
    ranks_insertion(items, count);
}

/* --- median ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status median_add(void *state, const struct span *span)
{
    return kept_add(state, span, false);
}

static double median_of(uint64_t *keys, size_t count, enum fn_class class)
{
    size_t middle = count / 2;
    keys_nth(keys, count, middle);
    union fn_cell high = fn_key_cell(keys[middle], class);
    if (count % 2 == 1)
        return fn_cell_f64(high, class);
    uint64_t below = keys[0];
    for (size_t i = 1; i < middle; i++)
        below = keys[i] > below ? keys[i] : below;
    union fn_cell low = fn_key_cell(below, class);
    if (class == FN_F64)
        return low.f64 + (high.f64 - low.f64) / 2;
    union fn_cell difference = { .u64 = high.u64 - low.u64 };
    return fn_cell_f64(low, class) + fn_cell_f64(difference, class) / 2;
}

static enum af_status median_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                    int64_t *out_time_ns, struct af_error *err)
{
    (void)out_time_ns;
    const struct kept *kept = state;
    if (kept->count == 0) {
        *out = af_value_none();
        return AF_OK;
    }
    enum fn_class class = fn_class_of(call->type);
    uint64_t *keys;
    AF_TRY(fn_alloc(arena, kept->count, sizeof *keys, &keys, err));
    size_t count = 0;
    for (const struct kept_chunk *chunk = kept->head; chunk != NULL; chunk = chunk->next)
        for (size_t i = 0; i < chunk->count; i++)
            keys[count++] = fn_key(chunk->cells[i], class);
    *out = af_value_f64(median_of(keys, count, class));
    return AF_OK;
}

const struct aggregate_ops median_ops = { sizeof(struct kept), { median_add, median_add, median_add, NULL, NULL }, median_finish };

/* --- percentile ------------------------------------------------------------------------------------------------------------------ */

static enum af_status percentile_add(void *state, const struct span *span)
{
    return kept_add(state, span, true);
}

size_t percentile_rank(size_t count, double percent)
{
    double rank = floor((double)count * percent / 100.0 + 0.5);
    return rank >= 1 && rank <= (double)count ? (size_t)rank - 1 : SIZE_MAX;
}

static enum af_status percentile_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                        int64_t *out_time_ns, struct af_error *err)
{
    const struct kept *kept = state;
    size_t rank = percentile_rank(kept->count, fn_param_f64(call, 0));
    if (rank == SIZE_MAX) {
        *out = af_value_none();
        return AF_OK;
    }
    enum fn_class class = fn_class_of(call->type);
    bool descending = kept->head->times[0] > kept->tail->times[kept->tail->count - 1];
    struct ranked *items;
    AF_TRY(fn_alloc(arena, kept->count, sizeof *items, &items, err));
    size_t count = 0;
    for (const struct kept_chunk *chunk = kept->head; chunk != NULL; chunk = chunk->next)
        for (size_t i = 0; i < chunk->count; i++, count++)
            items[count] = (struct ranked){ fn_key(chunk->cells[i], class), fn_key_time(chunk->times[i], descending), 0 };
    ranked_nth(items, count, rank);
    *out = fn_cell_value(fn_key_cell(items[rank].key, class), call->type);
    *out_time_ns = fn_key_time_ns(items[rank].time, descending);
    return AF_OK;
}

const struct aggregate_ops percentile_ops = {
    sizeof(struct kept), { percentile_add, percentile_add, percentile_add, NULL, NULL }, percentile_finish
};
