/*
 * index_sort.c - series in the order of their TSM keys: bytes of key + separator.
 *
 * A quicksort over strings that looks at eight bytes at a time (multikey quicksort with cached words). All items of a range agree in
 * their first `depth` bytes and hold the next eight as a big-endian number; the range is split in less, equal, greater by that number,
 * and the equal ones go on eight bytes further. So keys, which are far apart in memory, are touched once for every eight bytes that
 * they share, and not at every comparison.
 *
 * Behind its end a key has the separator and then zeros. Two different keys differ somewhere in that, so ranges come to an end.
 */
#include "base/alloc.h"
#include "tsm/index_int.h"

enum { FEW = 12, SEPARATOR_BYTES = sizeof AF_TSM_KEY_SEPARATOR - 1 };

struct item {
    uint64_t word;
    const char *key; /* its length in front, as in the index */
    uint32_t place;
};

static struct af_slice key_of(const char *key)
{
    uint16_t len;
    memcpy(&len, key - sizeof len, sizeof len);
    return (struct af_slice){ key, len };
}

/* Eight bytes of key + separator + zeros, as a number that orders as they do. */
static uint64_t word_at(struct af_slice key, size_t depth)
{
    unsigned char bytes[8] = { 0 };
    uint64_t word;
    if (depth + sizeof bytes <= key.len) {
        memcpy(&word, key.ptr + depth, sizeof word);
        return __builtin_bswap64(word);
    }
    size_t n = depth < key.len ? key.len - depth : 0;
    memcpy(bytes, key.ptr + key.len - n, n);
    for (; n < sizeof bytes && depth + n < key.len + SEPARATOR_BYTES; n++)
        bytes[n] = (unsigned char)AF_TSM_KEY_SEPARATOR[depth + n - key.len];
    memcpy(&word, bytes, sizeof word);
    return __builtin_bswap64(word);
}

static int compare_from(struct af_slice a, struct af_slice b, size_t depth)
{
    size_t end = (a.len > b.len ? a.len : b.len) + SEPARATOR_BYTES;
    for (; depth < end; depth += 8) {
        uint64_t x = word_at(a, depth);
        uint64_t y = word_at(b, depth);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

int index_compare(struct af_slice a, struct af_slice b)
{
    return compare_from(a, b, 0);
}

static bool is_less(const struct item *a, const struct item *b, size_t depth)
{
    if (a->word != b->word)
        return a->word < b->word;
    return compare_from(key_of(a->key), key_of(b->key), depth + 8) < 0;
}

static void sort_few(struct item *items, size_t count, size_t depth)
{
    for (size_t i = 1; i < count; i++) {
        struct item item = items[i];
        size_t at = i;
        for (; at > 0 && is_less(&item, &items[at - 1], depth); at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

static void load_words(struct item *items, size_t count, size_t depth)
{
    enum { AHEAD = 16 };
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(items[i + AHEAD].key + depth);
        items[i].word = word_at(key_of(items[i].key), depth);
    }
}

static uint64_t median(uint64_t a, uint64_t b, uint64_t c)
{
    if (a > b) {
        uint64_t t = a;
        a = b;
        b = t;
    }
    return c <= a ? a : c >= b ? b : c;
}

static uint64_t pivot_of(const struct item *items, size_t count)
{
    const struct item *mid = items + count / 2;
    const struct item *last = items + count - 1;
    if (count < 64)
        return median(items->word, mid->word, last->word);
    size_t step = count / 8;
    return median(median(items->word, items[step].word, items[2 * step].word),
                  median(mid[-(ptrdiff_t)step].word, mid->word, mid[step].word),
                  median(last[-2 * (ptrdiff_t)step].word, last[-(ptrdiff_t)step].word, last->word));
}

struct range {
    struct item *items;
    size_t count, depth;
};

/* Into less, equal and greater than a pivot. */
static void split(const struct range *range, struct range out[3])
{
    struct item *items = range->items;
    uint64_t pivot = pivot_of(items, range->count);
    size_t less = 0, at = 0, greater = range->count;
    while (at < greater) {
        struct item item = items[at];
        if (item.word < pivot) {
            items[at++] = items[less];
            items[less++] = item;
        } else if (item.word > pivot) {
            items[at] = items[--greater];
            items[greater] = item;
        } else {
            at++;
        }
    }
    out[0] = (struct range){ items, less, range->depth };
    out[1] = (struct range){ items + less, greater - less, range->depth + 8 };
    out[2] = (struct range){ items + greater, range->count - greater, range->depth };
    if (out[1].count > 1)
        load_words(out[1].items, out[1].count, out[1].depth);
}

/* The largest part is gone on with, the others are at most half as large: recursion ends after 32 steps. */
static void sort_range(struct range range) // NOLINT(misc-no-recursion)
{
    while (range.count > FEW) {
        struct range parts[3];
        split(&range, parts);
        size_t largest = 0;
        for (size_t i = 1; i < 3; i++)
            if (parts[i].count > parts[largest].count)
                largest = i;
        for (size_t i = 0; i < 3; i++)
            if (i != largest)
                sort_range(parts[i]);
        range = parts[largest];
    }
    sort_few(range.items, range.count, range.depth);
}

bool index_sort(const struct af_index *index, const uint32_t *ids, uint32_t *places, size_t count)
{
    struct item *items = af_alloc(count * sizeof *items);
    if (items == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        items[i] = (struct item){ .key = index_entry(index, ids[places[i]])->key, .place = places[i] };
    load_words(items, count, 0);
    sort_range((struct range){ items, count, 0 });
    for (size_t i = 0; i < count; i++)
        places[i] = items[i].place;
    af_free(items);
    return true;
}

/* How many of places[0..count) come before `key`. */
static size_t count_before(const struct af_index *index, const uint32_t *ids, const uint32_t *places, size_t count, struct af_slice key)
{
    size_t low = 0;
    while (count > low) {
        size_t mid = low + (count - low) / 2;
        if (index_compare(index_key(index, ids[places[mid]]), key) < 0)
            low = mid + 1;
        else
            count = mid;
    }
    return low;
}

bool index_sort_tail(const struct af_index *index, const uint32_t *ids, uint32_t *places, size_t sorted, size_t count)
{
    size_t fresh = count - sorted;
    if (fresh > sorted / 8)
        return index_sort(index, ids, places, count);
    uint32_t *tail = af_alloc(fresh * sizeof *tail);
    if (tail == NULL)
        return false;
    memcpy(tail, places + sorted, fresh * sizeof *tail);
    bool is_sorted = index_sort(index, ids, tail, fresh);
    while (is_sorted && fresh > 0) { /* the last one first; what comes behind it moves to its final place */
        fresh--;
        size_t at = count_before(index, ids, places, sorted, index_key(index, ids[tail[fresh]]));
        memmove(places + at + fresh + 1, places + at, (sorted - at) * sizeof *places);
        places[at + fresh] = tail[fresh];
        sorted = at;
    }
    af_free(tail);
    return is_sorted;
}
