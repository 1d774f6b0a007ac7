/* flatbuffer.c - see flatbuffer.h. Numbers are little-endian, as every machine this runs on is. */
#include "wire/flatbuffer.h"

void fb_init(struct fb *fb, struct af_arena *arena)
{
    *fb = (struct fb){ .arena = arena };
}

static bool room(struct fb *fb, size_t more)
{
    if (fb->failed || fb->used + more <= fb->cap)
        return !fb->failed;
    size_t cap = fb->cap == 0 ? 1024 : fb->cap;
    while (cap < fb->used + more)
        cap *= 2;
    unsigned char *grown = af_arena_alloc(fb->arena, cap);
    if (grown == NULL) {
        fb->failed = true;
        return false;
    }
    if (fb->used != 0)
        memcpy(grown + cap - fb->used, fb->bytes + fb->cap - fb->used, fb->used);
    fb->bytes = grown;
    fb->cap = cap;
    return true;
}

static void put(struct fb *fb, const void *bytes, size_t len)
{
    if (!room(fb, len))
        return;
    fb->used += len;
    if (len != 0)
        memcpy(fb->bytes + fb->cap - fb->used, bytes, len);
}

/* So that what is put next, `extra` bytes further on, is aligned. */
static void align(struct fb *fb, size_t to, size_t extra)
{
    static const unsigned char zeros[8] = { 0 };
    size_t over = (fb->used + extra) % to;
    put(fb, zeros, over != 0 ? to - over : 0);
}

size_t fb_number(struct fb *fb, uint64_t value, unsigned bytes)
{
    align(fb, bytes, bytes);
    put(fb, &value, bytes);
    return fb->used;
}

size_t fb_string(struct fb *fb, struct af_slice text)
{
    align(fb, 4, text.len + 1 + 4);
    put(fb, "", 1);
    put(fb, text.ptr, text.len);
    return fb_number(fb, text.len, 4);
}

static size_t reference(struct fb *fb, size_t place)
{
    align(fb, 4, 4);
    return fb_number(fb, fb->used + 4 - place, 4);
}

size_t fb_offsets(struct fb *fb, const size_t *places, size_t count)
{
    for (size_t i = count; i-- > 0;)
        (void)reference(fb, places[i]);
    return fb_number(fb, count, 4);
}

size_t fb_structs(struct fb *fb, const int64_t *values, size_t words, size_t words_each)
{
    align(fb, 8, words * sizeof *values);
    put(fb, values, words * sizeof *values);
    return fb_number(fb, words / words_each, 4);
}

void fb_table(struct fb *fb)
{
    memset(fb->slots, 0, sizeof fb->slots);
    fb->slot_count = 0;
    fb->table_from = fb->used;
}

static void note_slot(struct fb *fb, unsigned slot)
{
    fb->slots[slot] = fb->used;
    fb->slot_count = slot + 1 > fb->slot_count ? slot + 1 : fb->slot_count;
}

void fb_slot(struct fb *fb, unsigned slot, uint64_t value, unsigned bytes)
{
    (void)fb_number(fb, value, bytes);
    note_slot(fb, slot);
}

void fb_slot_ref(struct fb *fb, unsigned slot, size_t place)
{
    (void)reference(fb, place);
    note_slot(fb, slot);
}

size_t fb_table_end(struct fb *fb)
{
    size_t table = fb_number(fb, 0, 4);
    for (unsigned i = fb->slot_count; i-- > 0;)
        (void)fb_number(fb, fb->slots[i] != 0 ? table - fb->slots[i] : 0, 2);
    (void)fb_number(fb, table - fb->table_from, 2);
    size_t vtable = fb_number(fb, 4 + 2 * (uint64_t)fb->slot_count, 2);
    int32_t back = (int32_t)(vtable - table);
    if (!fb->failed)
        memcpy(fb->bytes + fb->cap - table, &back, sizeof back);
    return table;
}

struct af_slice fb_finish(struct fb *fb, size_t root)
{
    align(fb, 8, 4);
    (void)fb_number(fb, fb->used + 4 - root, 4);
    return fb->failed ? (struct af_slice){ 0 } : af_slice_make(fb->bytes + fb->cap - fb->used, fb->used);
}
