/*
 * states.c - windows at work; see states.h.
 */
#include "exec/states.h"
#include "base/hash.h"

enum {
    PLACES_MAX = 1 << 20,                /* windows of a range that has an array: 4 MiB */
    BLOCK_BYTES = 64 << 10,              /* states are taken from blocks of about so much */
    CHARGE_BYTES = 64 << 10,             /* the budget is asked each time so much was taken */
};

void states_init(struct states *states, struct exec *exec, const struct windows *windows, size_t state_bytes)
{
    *states = (struct states){ .windows = windows, .state_bytes = state_bytes, .is_sorted = true };
    mem_init(&states->mem, exec);
    mem_init(&states->index_mem, exec);
    const struct span *range = &windows->range;
    if (!af_window_is_regular(windows->window) || range->first_ns == INT64_MIN || range->last_ns == INT64_MAX || windows->is_empty)
        return;
    int64_t stop;
    uint64_t count = af_window_count(windows->window, range->first_ns, range->last_ns + 1, PLACES_MAX);
    if (count > PLACES_MAX || count < 2)
        return;
    states->place_count = (size_t)count;
    af_window_of(windows->window, range->first_ns, &states->first_start_ns, &stop);
}

/* --- room ------------------------------------------------------------------------------------------------------------------- */

static enum af_status grow_slots(struct states *states, struct af_error *err)
{
    size_t cap = states->cap != 0 ? states->cap * 2 : 16;
    struct window_slot *slots = af_arena_alloc(&states->mem.arena, cap * sizeof *slots);
    if (slots == NULL)
        return mem_fail(&states->mem, cap * sizeof *slots, err);
    if (states->count != 0)
        memcpy(slots, states->slots, states->count * sizeof *slots);
    states->slots = slots;
    states->cap = cap;
    return AF_OK;
}

/* Blocks grow with the number of windows, so that groups of one window stay small. */
static enum af_status grow_block(struct states *states, struct af_error *err)
{
    size_t most = BLOCK_BYTES / states->state_bytes, n = states->count < most ? states->count : most;
    n = n != 0 ? n : 1;
    states->block = af_arena_zero(&states->mem.arena, n, states->state_bytes);
    if (states->block == NULL)
        return mem_fail(&states->mem, n * states->state_bytes, err);
    states->block_left = n;
    return AF_OK;
}

enum af_status states_charge(struct states *states, struct af_error *err)
{
    if (states->mem.arena.bytes_used < states->charged_at + CHARGE_BYTES)
        return AF_OK;
    states->charged_at = states->mem.arena.bytes_used;
    return mem_charge(&states->mem, err);
}

static enum af_status add_state(struct states *states, int64_t start_ns, struct window_state **out, struct af_error *err)
{
    const struct exec *exec = states->mem.exec;
    if (states->count >= exec->options.limits.windows_max || states->count >= UINT32_MAX - 1)
        return windows_fail(exec, err);
    if (states->count == states->cap)
        AF_TRY(grow_slots(states, err));
    if (states->block_left == 0)
        AF_TRY(grow_block(states, err));
    AF_TRY(states_charge(states, err));
    struct window_state *state = (struct window_state *)(void *)states->block;
    states->block += states->state_bytes;
    states->block_left--;
    state->start_ns = start_ns;
    if (states->count != 0 && states->slots[states->count - 1].start_ns > start_ns)
        states->is_sorted = false;
    states->slots[states->count++] = (struct window_slot){ start_ns, state };
    *out = state;
    return AF_OK;
}

/* --- finding ---------------------------------------------------------------------------------------------------------------- */

static enum af_status make_places(struct states *states, struct af_error *err)
{
    states->places = af_arena_zero(&states->index_mem.arena, states->place_count, sizeof *states->places);
    if (states->places == NULL)
        return mem_fail(&states->index_mem, states->place_count * sizeof *states->places, err);
    return mem_charge(&states->index_mem, err);
}

static uint32_t *place_of(const struct states *states, int64_t start_ns)
{
    uint64_t index = ((uint64_t)start_ns - (uint64_t)states->first_start_ns) / (uint64_t)states->windows->window->every_ns;
    return index < states->place_count ? &states->places[index] : NULL;
}

static uint32_t *hashed_at(const struct states *states, uint32_t *table, size_t cap, int64_t start_ns)
{
    size_t at = (size_t)af_hash_mix((uint64_t)start_ns) & (cap - 1);
    while (table[at] != 0 && states->slots[table[at] - 1].start_ns != start_ns)
        at = (at + 1) & (cap - 1);
    return &table[at];
}

static enum af_status grow_table(struct states *states, struct af_error *err)
{
    size_t cap = states->table_cap != 0 ? states->table_cap * 2 : 32;
    uint32_t *table = af_arena_zero(&states->mem.arena, cap, sizeof *table);
    if (table == NULL)
        return mem_fail(&states->mem, cap * sizeof *table, err);
    for (size_t i = 0; i < states->count; i++)
        *hashed_at(states, table, cap, states->slots[i].start_ns) = (uint32_t)i + 1;
    states->table = table;
    states->table_cap = cap;
    return AF_OK;
}

enum af_status states_at(struct states *states, int64_t start_ns, struct window_state **out, struct af_error *err)
{
    uint32_t *place = NULL;
    if (states->recent != NULL && states->recent->start_ns == start_ns) {
        *out = states->recent;
        return AF_OK;
    }
    if (states->place_count != 0) {
        if (states->places == NULL)
            AF_TRY(make_places(states, err));
        place = place_of(states, start_ns);
    }
    if (place == NULL) {
        if (states->count * 2 >= states->table_cap)
            AF_TRY(grow_table(states, err));
        place = hashed_at(states, states->table, states->table_cap, start_ns);
    }
    if (*place == 0) {
        AF_TRY(add_state(states, start_ns, &states->recent, err));
        *place = (uint32_t)states->count;
    }
    states->recent = states->slots[*place - 1].state;
    *out = states->recent;
    return AF_OK;
}

enum af_status states_only(struct states *states, int64_t start_ns, struct window_state **out, struct af_error *err)
{
    if (states->count != 0 && states->mem.arena.bytes_used > CHARGE_BYTES)
        states_clear(states);
    if (states->count == 0)
        return add_state(states, start_ns, out, err);
    struct window_state *state = states->slots[0].state;
    memset(state, 0, states->state_bytes);
    state->start_ns = start_ns;
    states->slots[0].start_ns = start_ns;
    *out = state;
    return AF_OK;
}

/* --- order ------------------------------------------------------------------------------------------------------------------ */

/* Two sorted runs of `from` into one of `to`. */
static void merge_runs(const struct window_slot *from, size_t a, size_t mid, size_t stop, struct window_slot *to)
{
    size_t b = mid, at = a;
    while (a < mid && b < stop)
        to[at++] = from[a].start_ns <= from[b].start_ns ? from[a++] : from[b++];
    while (a < mid)
        to[at++] = from[a++];
    while (b < stop)
        to[at++] = from[b++];
}

enum af_status states_sort(struct states *states, struct af_error *err)
{
    size_t count = states->count;
    if (states->is_sorted)
        return AF_OK;
    struct window_slot *from = states->slots, *to = af_arena_alloc(&states->mem.arena, count * sizeof *to);
    if (to == NULL)
        return mem_fail(&states->mem, count * sizeof *to, err);
    AF_TRY(mem_charge(&states->mem, err));
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t a = 0; a < count; a += 2 * width) {
            size_t mid = a + width < count ? a + width : count, stop = a + 2 * width < count ? a + 2 * width : count;
            merge_runs(from, a, mid, stop, to);
        }
        struct window_slot *swap = from;
        from = to;
        to = swap;
    }
    states->slots = from;
    states->is_sorted = true;
    return AF_OK;
}

void states_clear(struct states *states)
{
    for (size_t i = 0; states->places != NULL && i < states->count; i++) {
        uint32_t *place = place_of(states, states->slots[i].start_ns);
        if (place != NULL)
            *place = 0;
    }
    mem_reset(&states->mem);
    states->slots = NULL;
    states->block = NULL;
    states->table = NULL;
    states->recent = NULL;
    states->count = states->cap = states->block_left = states->table_cap = states->charged_at = 0;
    states->is_sorted = true;
}

void states_done(struct states *states)
{
    mem_done(&states->mem);
    mem_done(&states->index_mem);
}
