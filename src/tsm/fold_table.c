/*
 * fold_table.c - where folded values go: windows, and a cell for each group and window.
 *
 *     dense    cell = (group - group_first) * windows + window       arrays cover all windows that the data can touch
 *     sparse   (group, window) --hash--> cell                        where those with values are few among the windows
 *
 * A cell is a place in arrays, one for the counts, one for the sums and so on, as far as a column needs them: what runs along windows runs
 * along arrays. Counts and sums begin as 0; the others mean something where the count is not 0.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/limits.h"
#include "tsm/fold_int.h"

enum { CELLS_FIRST = 256 };

/* --- windows -------------------------------------------------------------------------------------------------------------- */

static enum af_status init_regular(struct fold_windows *windows, const struct af_window *asked, int64_t first_ns, int64_t last_ns)
{
    const int64_t every = asked->every_ns;
    __int128 rel = (__int128)first_ns - asked->offset_ns;
    rel -= (rel % every + every) % every;
    const __int128 base = rel + asked->offset_ns;
    windows->kind = FOLD_REGULAR;
    windows->base = (uint64_t)base;
    windows->every = (uint64_t)every;
    windows->start_ns = base < INT64_MIN ? INT64_MIN : (int64_t)base;
    windows->count = (uint64_t)((last_ns - base) / every) + 1;
    windows->are_days = every % AF_NS_PER_DAY == 0 && base % AF_NS_PER_DAY == 0;
    return AF_OK;
}

static bool edges_are_days(const struct fold_windows *windows)
{
    bool are = true;
    for (uint64_t i = 0; i < windows->count && are; i++)
        are = windows->edges[i] % AF_NS_PER_DAY == 0;
    return are && (windows->edges[windows->count] % AF_NS_PER_DAY == 0 || windows->edges[windows->count] == INT64_MAX);
}

static enum af_status init_edges(struct fold_windows *windows, const struct af_window *asked, int64_t first_ns, int64_t last_ns,
                                 struct af_arena *arena, struct af_error *err)
{
    int64_t *edges;
    size_t count;
    const int64_t stop_ns = last_ns == INT64_MAX ? INT64_MAX : last_ns + 1;
    AF_TRY(af_window_edges(asked, first_ns, stop_ns, AF_QUERY_WINDOWS_MAX, arena, &edges, &count, err));
    windows->kind = FOLD_EDGES;
    windows->edges = edges;
    windows->count = count;
    windows->start_ns = edges[0];
    windows->are_days = edges_are_days(windows);
    return AF_OK;
}

enum af_status fold_windows_init(struct fold_windows *windows, const struct af_scan *asked, int64_t first_ns, int64_t last_ns,
                                 struct af_arena *arena, struct af_error *err)
{
    const struct af_window *window = &asked->window;
    *windows = (struct fold_windows){ .kind = FOLD_WHOLE, .count = 1, .start_ns = asked->start_ns };
    if (af_window_is_none(window))
        return AF_OK;
    if (window->every_ns < 0 || window->every_months < 0 || (window->every_ns != 0 && window->every_months != 0))
        return af_fail(err, AF_EINVAL, "windows of %lld months and %lld ns", (long long)window->every_months, (long long)window->every_ns);
    const bool fits = (__int128)last_ns - first_ns + 2 * (__int128)window->every_ns < INT64_MAX; /* sums of times do not wrap */
    if (af_window_is_regular(window) && fits)
        return init_regular(windows, window, first_ns, last_ns);
    return init_edges(windows, window, first_ns, last_ns, arena, err);
}

int64_t fold_window_start(const struct fold_windows *windows, uint64_t number)
{
    if (number == 0 || windows->kind == FOLD_WHOLE)
        return windows->start_ns;
    return windows->kind == FOLD_REGULAR ? (int64_t)(windows->base + number * windows->every) : windows->edges[number];
}

static uint64_t find_edge(const struct fold_windows *windows, int64_t time_ns, int64_t *out_last_ns)
{
    uint64_t low = 0;
    uint64_t high = windows->count - 1;
    while (low < high) {
        uint64_t mid = low + (high - low + 1) / 2;
        if (windows->edges[mid] <= time_ns)
            low = mid;
        else
            high = mid - 1;
    }
    const int64_t stop = windows->edges[low + 1];
    *out_last_ns = stop == INT64_MAX ? stop : stop - 1;
    return low;
}

uint64_t fold_window_find(const struct fold_windows *windows, int64_t time_ns, int64_t *out_last_ns)
{
    *out_last_ns = INT64_MAX;
    if (windows->kind == FOLD_WHOLE)
        return 0;
    if (windows->kind == FOLD_EDGES)
        return find_edge(windows, time_ns, out_last_ns);
    const uint64_t number = ((uint64_t)time_ns - windows->base) / windows->every;
    const uint64_t last = number * windows->every + (windows->every - 1);
    if (last <= (uint64_t)INT64_MAX - windows->base)
        *out_last_ns = (int64_t)(windows->base + last);
    return number;
}

/* --- tables --------------------------------------------------------------------------------------------------------------- */

static bool has_array(const struct fold_column *column, enum fold_cell cell)
{
    static const unsigned ops[CELL_ARRAYS] = { 0, FOLD_SUM, FOLD_MIN, FOLD_MIN, FOLD_MAX, FOLD_MAX, FOLD_FIRST, FOLD_FIRST, FOLD_LAST,
                                               FOLD_LAST };
    return cell == CELL_COUNT || (column->ops & ops[cell]) != 0;
}

size_t fold_cell_bytes(const struct fold_column *columns, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        for (int cell = 0; cell < CELL_ARRAYS; cell++)
            bytes += has_array(&columns[i], (enum fold_cell)cell) ? sizeof(uint64_t) : 0;
    return bytes;
}

struct fold_table *fold_table_new(const struct fold_shape *shape)
{
    struct fold_table *table = af_alloc_zero(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->shape = shape;
    table->columns = af_alloc_zero(shape->column_count, sizeof *table->columns);
    af_arena_init(&table->texts, SIZE_MAX);
    if (table->columns != NULL)
        return table;
    fold_table_free(table);
    return NULL;
}

static void free_arrays(struct fold_table *table)
{
    for (size_t i = 0; table->columns != NULL && i < table->shape->column_count; i++)
        for (int cell = 0; cell < CELL_ARRAYS; cell++) {
            af_free(table->columns[i].at[cell]);
            table->columns[i].at[cell] = NULL;
        }
    af_free(table->keys);
    table->keys = NULL;
    table->cell_cap = 0;
}

void fold_table_free(struct fold_table *table)
{
    if (table == NULL)
        return;
    free_arrays(table);
    af_arena_done(&table->texts);
    af_free(table->columns);
    af_free(table->slots);
    af_free(table);
}

/* Arrays for `cap` cells, with what is in them. */
static enum af_status grow_arrays(struct fold_table *table, size_t cap, struct af_error *err)
{
    bool is_ok = cap <= SIZE_MAX / 64;
    for (size_t i = 0; is_ok && i < table->shape->column_count; i++)
        for (int cell = 0; is_ok && cell < CELL_ARRAYS; cell++) {
            uint64_t **array = &table->columns[i].at[cell];
            if (!has_array(&table->shape->columns[i], (enum fold_cell)cell))
                continue;
            uint64_t *grown = af_realloc(*array, cap * sizeof *grown);
            *array = grown != NULL ? grown : *array;
            is_ok = grown != NULL;
        }
    if (is_ok && table->shape->is_sparse) {
        struct fold_key *keys = af_realloc(table->keys, cap * sizeof *keys);
        table->keys = keys != NULL ? keys : table->keys;
        is_ok = keys != NULL;
    }
    if (!is_ok)
        return af_fail(err, AF_ENOMEM, "no memory for %zu groups and windows of %zu bytes each", cap, table->shape->cell_bytes);
    table->cell_cap = cap;
    return AF_OK;
}

static void clear_cells(struct fold_table *table, size_t first, size_t count)
{
    for (size_t i = 0; count > 0 && i < table->shape->column_count; i++) {
        memset(table->columns[i].at[CELL_COUNT] + first, 0, count * sizeof(uint64_t));
        if (table->columns[i].at[CELL_SUM] != NULL)
            memset(table->columns[i].at[CELL_SUM] + first, 0, count * sizeof(uint64_t));
    }
}

enum af_status fold_table_reset(struct fold_table *table, uint32_t group_first, uint32_t group_count, struct af_error *err)
{
    const struct fold_shape *shape = table->shape;
    const size_t cells = shape->is_sparse ? 0 : group_count * (size_t)shape->windows.count;
    af_arena_reset(&table->texts);
    if (cells > table->cell_cap || (cells < table->cell_cap / 4 && !shape->is_sparse)) {
        free_arrays(table);
        AF_TRY(grow_arrays(table, cells, err));
    }
    table->group_first = group_first;
    table->group_count = group_count;
    table->cell_count = cells;
    table->found = 0;
    clear_cells(table, 0, cells);
    if (table->slots != NULL)
        memset(table->slots, 0, (table->slot_mask + 1) * sizeof *table->slots);
    return AF_OK;
}

/* --- sparse ones ---------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(uint32_t group, uint64_t window)
{
    return af_hash_mix(window + (uint64_t)group * UINT64_C(0x9E3779B97F4A7C15));
}

/* The slot that has the key, or the free one where it would be. */
static uint32_t *slot_of(const struct fold_table *table, uint32_t group, uint64_t window)
{
    size_t at = hash_of(group, window) & table->slot_mask;
    for (;; at = (at + 1) & table->slot_mask) {
        uint32_t *slot = &table->slots[at];
        if (*slot == 0 || (table->keys[*slot - 1].window == window && table->keys[*slot - 1].group == group))
            return slot;
    }
}

static enum af_status grow_slots(struct fold_table *table, struct af_error *err)
{
    const size_t count = table->slots == NULL ? (size_t)CELLS_FIRST * 2 : (table->slot_mask + 1) * 2;
    uint32_t *slots = af_alloc_zero(count, sizeof *slots);
    if (slots == NULL)
        return af_fail_nomem(err, "the groups and windows of a query");
    af_free(table->slots);
    table->slots = slots;
    table->slot_mask = count - 1;
    for (size_t cell = 0; cell < table->cell_count; cell++)
        *slot_of(table, table->keys[cell].group, table->keys[cell].window) = (uint32_t)cell + 1;
    return AF_OK;
}

enum af_status fold_check_limit(const struct fold_shape *shape, size_t cells, struct af_error *err)
{
    const size_t most = shape->cells_max != 0 && shape->cells_max < UINT32_MAX - 1 ? shape->cells_max : UINT32_MAX - 1;
    if (cells <= most || (!shape->is_sparse && shape->cells_max == 0))
        return AF_OK;
    return af_fail(err, AF_ELIMIT, "more than %zu groups and windows with values: ask for a shorter range, longer windows or fewer groups",
                   most);
}

static enum af_status add_cell(struct fold_table *table, uint32_t group, uint64_t window, size_t *out_cell, struct af_error *err)
{
    AF_TRY(fold_check_limit(table->shape, table->cell_count + 1, err));
    if (table->cell_count == table->cell_cap)
        AF_TRY(grow_arrays(table, table->cell_cap == 0 ? CELLS_FIRST : table->cell_cap * 2, err));
    if (table->slots == NULL || table->cell_count >= (table->slot_mask + 1) / 2)
        AF_TRY(grow_slots(table, err));
    const size_t cell = table->cell_count;
    clear_cells(table, cell, 1);
    table->keys[cell] = (struct fold_key){ window, group };
    *slot_of(table, group, window) = (uint32_t)cell + 1;
    table->cell_count++;
    *out_cell = cell;
    return AF_OK;
}

enum af_status fold_table_find_sparse(struct fold_table *table, uint32_t group, uint64_t window, size_t *out_cell,
                                      struct af_error *err)
{
    for (size_t near = table->found; near < table->cell_count && near < table->found + 2; near++) /* the same as before, or the next */
        if (table->keys[near].window == window && table->keys[near].group == group) {
            *out_cell = table->found = near;
            return AF_OK;
        }
    const uint32_t slot = table->slots != NULL ? *slot_of(table, group, window) : 0;
    if (slot == 0)
        AF_TRY(add_cell(table, group, window, out_cell, err));
    else
        *out_cell = slot - 1;
    table->found = *out_cell;
    return AF_OK;
}

/* --- merging -------------------------------------------------------------------------------------------------------------- */

bool fold_table_has(const struct fold_table *table, size_t cell)
{
    for (size_t i = 0; i < table->shape->column_count; i++)
        if (table->columns[i].at[CELL_COUNT][cell] != 0)
            return true;
    return false;
}

static enum af_status merge_sparse(struct fold_table *to, const struct fold_table *from, struct af_error *err)
{
    for (size_t cell = 0; cell < from->cell_count; cell++) {
        size_t at;
        AF_TRY(fold_table_find_sparse(to, from->keys[cell].group, from->keys[cell].window, &at, err));
        for (size_t i = 0; i < from->shape->column_count; i++)
            AF_TRY(fold_merge_cell(to, at, from, cell, i, err));
    }
    return AF_OK;
}

enum af_status fold_table_merge(struct fold_table *to, const struct fold_table *from, struct af_error *err)
{
    if (from->shape->is_sparse)
        return merge_sparse(to, from, err);
    const size_t shift = (from->group_first - to->group_first) * (size_t)from->shape->windows.count;
    for (size_t i = 0; i < from->shape->column_count; i++)
        for (size_t cell = 0; cell < from->cell_count; cell++)
            if (from->columns[i].at[CELL_COUNT][cell] != 0)
                AF_TRY(fold_merge_cell(to, cell + shift, from, cell, i, err));
    return AF_OK;
}
