/* index_names.c - texts to dense numbers: measurements, tag keys and tag values of the index; see index_int.h. */
#include "base/alloc.h"
#include "tsm/index_int.h"
#include <stdlib.h>

enum { SLOTS_MIN = 8 };

static uint32_t hash_of(struct af_slice name)
{
    return (uint32_t)af_hash_bytes(name.ptr, name.len, 0);
}

/* The slot that has the name, or the free one where it would be. */
static uint32_t probe(const struct index_names *names, struct af_slice name, uint32_t hash)
{
    uint32_t at = hash & names->slot_mask;
    for (;; at = (at + 1) & names->slot_mask) {
        if (names->slots[at] == 0)
            return at;
        const struct index_name *have = &names->list[names->slots[at] - 1];
        if (have->hash == hash && have->len == name.len && memcmp(have->ptr, name.ptr, name.len) == 0)
            return at;
    }
}

uint32_t index_names_find(const struct index_names *names, struct af_slice name)
{
    if (names->count == 0)
        return AF_INDEX_NONE;
    uint32_t slot = names->slots[probe(names, name, hash_of(name))];
    return slot != 0 ? slot - 1 : AF_INDEX_NONE;
}

static bool grow_slots(struct index_names *names)
{
    uint32_t count = names->slots == NULL ? SLOTS_MIN : (names->slot_mask + 1) * 2;
    uint32_t *slots = count != 0 ? af_alloc_zero(count, sizeof *slots) : NULL;
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < names->count; i++) {
        uint32_t at = names->list[i].hash & (count - 1);
        while (slots[at] != 0)
            at = (at + 1) & (count - 1);
        slots[at] = i + 1;
    }
    af_free(names->slots);
    names->slots = slots;
    names->slot_mask = count - 1;
    return true;
}

static bool grow_list(struct index_names *names)
{
    uint32_t cap = names->cap == 0 ? SLOTS_MIN / 2 : names->cap + names->cap / 2;
    struct index_name *list = af_realloc(names->list, cap * sizeof *list);
    if (list == NULL)
        return false;
    names->list = list;
    names->cap = cap;
    return true;
}

bool index_names_add(struct index_names *names, struct af_slice name, uint32_t *out_number)
{
    if ((names->slots == NULL || names->count >= names->slot_mask / 4 * 3) && !grow_slots(names))
        return false;
    if (names->count == names->cap && !grow_list(names))
        return false;
    uint32_t hash = hash_of(name);
    names->list[names->count] = (struct index_name){ name.ptr, (uint32_t)name.len, hash };
    *out_number = names->count++;
    names->slots[probe(names, name, hash)] = names->count;
    return true;
}

struct af_slice index_names_get(const struct index_names *names, uint32_t number)
{
    return (struct af_slice){ names->list[number].ptr, names->list[number].len };
}

/* --- in order ------------------------------------------------------------------------------------------------------------------- */

/* What all names begin with says nothing; of the rest eight bytes mostly decide, without a look at the name. */
struct item {
    uint64_t head;
    uint32_t number;
    const struct index_names *names;
};

static int by_name(const void *a, const void *b)
{
    const struct item *x = a;
    const struct item *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    return af_slice_cmp(index_names_get(x->names, x->number), index_names_get(y->names, y->number));
}

static size_t common_start(const struct index_names *names, const uint32_t *numbers, size_t count)
{
    struct af_slice first = index_names_get(names, numbers[0]);
    size_t len = first.len;
    for (size_t i = 1; i < count && len > 0; i++) {
        struct af_slice name = index_names_get(names, numbers[i]);
        len = name.len < len ? name.len : len;
        while (len > 0 && memcmp(name.ptr, first.ptr, len) != 0)
            len--;
    }
    return len;
}

static uint64_t head_of(struct af_slice name, size_t from)
{
    uint64_t head = 0;
    size_t len = name.len - from < sizeof head ? name.len - from : sizeof head;
    memcpy(&head, name.ptr + from, len);
    return __builtin_bswap64(head);
}

bool index_names_sort(const struct index_names *names, uint32_t *numbers, size_t count)
{
    if (count < 2)
        return true;
    struct item *items = af_alloc(count * sizeof *items);
    const size_t from = items != NULL ? common_start(names, numbers, count) : 0;
    bool is_sorted = true;
    if (items == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct item){ head_of(index_names_get(names, numbers[i]), from), numbers[i], names };
        is_sorted = is_sorted && (i == 0 || by_name(&items[i - 1], &items[i]) < 0);
    }
    if (!is_sorted)
        qsort(items, count, sizeof *items, by_name);
    for (size_t i = 0; i < count; i++)
        numbers[i] = items[i].number;
    af_free(items);
    return true;
}

size_t index_names_bytes(const struct index_names *names)
{
    size_t slots = names->slots != NULL ? (size_t)names->slot_mask + 1 : 0;
    return slots * sizeof *names->slots + names->cap * sizeof *names->list;
}

void index_names_done(struct index_names *names)
{
    af_free(names->list);
    af_free(names->slots);
    *names = (struct index_names){ 0 };
}
