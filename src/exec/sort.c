/*
 * sort.c - the order of rows by time: least significant digit first, eleven bits at a time, stable. Digits in which all rows agree cost
 * nothing, and times that are whole seconds or hours agree in many of the lower ones.
 */
#include "exec/scan_int.h"

enum { DIGIT_BITS = 11, DIGIT_COUNT = 1 << DIGIT_BITS };

struct entry {
    uint64_t key;
    uint32_t row;
};

/* One pass; false: all entries have the same digit and stayed where they are. */
static bool sort_digit(const struct entry *from, struct entry *to, size_t count, unsigned shift)
{
    uint32_t starts[DIGIT_COUNT] = { 0 };
    for (size_t i = 0; i < count; i++)
        starts[from[i].key >> shift & (DIGIT_COUNT - 1)]++;
    if (starts[from[0].key >> shift & (DIGIT_COUNT - 1)] == count)
        return false;
    uint32_t at = 0;
    for (size_t i = 0; i < DIGIT_COUNT; i++) {
        uint32_t n = starts[i];
        starts[i] = at;
        at += n;
    }
    for (size_t i = 0; i < count; i++)
        to[starts[from[i].key >> shift & (DIGIT_COUNT - 1)]++] = from[i];
    return true;
}

static struct entry *sort_entries(struct entry *entries, struct entry *other, size_t count)
{
    uint64_t differ = 0;
    for (size_t i = 1; i < count; i++)
        differ |= entries[i].key ^ entries[0].key;
    unsigned shift = differ != 0 ? (unsigned)__builtin_ctzll(differ) : 64;
    for (; shift < 64 && differ >> shift != 0; shift += DIGIT_BITS) {
        if (!sort_digit(entries, other, count, shift))
            continue;
        struct entry *swap = entries;
        entries = other;
        other = swap;
    }
    return entries;
}

static bool ascends(const int64_t *time_ns, size_t rows)
{
    for (size_t i = 1; i < rows; i++)
        if (time_ns[i] < time_ns[i - 1])
            return false;
    return true;
}

static bool ascend_series(const uint32_t *series, size_t rows)
{
    for (size_t i = 1; series != NULL && i < rows; i++)
        if (series[i] < series[i - 1])
            return false;
    return true;
}

/* `entries` has room for twice as many. */
static void sort_all(const int64_t *time_ns, const uint32_t *series, size_t rows, struct entry *entries, uint32_t *order)
{
    struct entry *other = entries + rows, *sorted = entries;
    for (uint32_t i = 0; i < rows; i++)
        entries[i] = (struct entry){ series != NULL ? series[i] : 0, i };
    if (!ascend_series(series, rows))
        sorted = sort_entries(entries, other, rows);
    int64_t first_ns = time_ns[0];
    for (size_t i = 1; i < rows; i++)
        first_ns = time_ns[i] < first_ns ? time_ns[i] : first_ns;
    for (size_t i = 0; i < rows; i++)
        sorted[i].key = (uint64_t)time_ns[sorted[i].row] - (uint64_t)first_ns;
    sorted = sort_entries(sorted, sorted == entries ? other : entries, rows);
    for (size_t i = 0; i < rows; i++)
        order[i] = sorted[i].row;
}

/* One block of memory whatever is to be done, a little larger than needed: the arena has it again for the next slice. */
enum af_status sort_rows(const int64_t *time_ns, const uint32_t *series, size_t rows, bool descending, struct af_arena *arena,
                         uint32_t **out, struct af_error *err)
{
    bool is_sorted = ascends(time_ns, rows) && ascend_series(series, rows);
    size_t row_bytes = sizeof(uint32_t) + (is_sorted ? 0 : 2 * sizeof(struct entry));
    struct entry *entries = rows < UINT32_MAX ? af_arena_array(arena, rows + rows / 4 + 16, row_bytes) : NULL;
    if (entries == NULL)
        return arena_fail(arena, (rows + rows / 4 + 16) * row_bytes, err);
    uint32_t *order = (uint32_t *)(void *)(entries + (is_sorted ? 0 : 2 * rows));
    for (uint32_t i = 0; is_sorted && i < rows; i++)
        order[i] = i;
    if (!is_sorted)
        sort_all(time_ns, series, rows, entries, order);
    for (size_t i = 0; descending && i < rows / 2; i++) {
        uint32_t swap = order[i];
        order[i] = order[rows - 1 - i];
        order[rows - 1 - i] = swap;
    }
    *out = order;
    return AF_OK;
}
