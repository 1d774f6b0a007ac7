/*
 * flatbuffer.h - the little of FlatBuffers that Arrow's messages need: tables, strings, vectors, written from the end to the beginning as
 * that format wants it (https://flatbuffers.dev/internals). What is referred to is made first; places are counted from the end.
 */
#ifndef AF_WIRE_FLATBUFFER_H
#define AF_WIRE_FLATBUFFER_H
#include "base/arena.h"

enum { FB_SLOTS = 8 };
struct fb {
    struct af_arena *arena;
    unsigned char *bytes;
    size_t cap, used;        /* the last `used` bytes of cap are written */
    bool failed;             /* no memory: everything after does nothing */
    size_t table_from;
    size_t slots[FB_SLOTS];
    unsigned slot_count;
};
void fb_init(struct fb *fb, struct af_arena *arena);
/* `bytes` bytes of a number (1, 2, 4, 8), aligned. Its place. */
size_t fb_number(struct fb *fb, uint64_t value, unsigned bytes);
size_t fb_string(struct fb *fb, struct af_slice text);
size_t fb_offsets(struct fb *fb, const size_t *places, size_t count); /* a vector of tables */
/* A vector of structs of int64s: `words` in all, `words_each` in one. */
size_t fb_structs(struct fb *fb, const int64_t *values, size_t words, size_t words_each);
/* A table: begin, slots in any order, end. */
void fb_table(struct fb *fb);
void fb_slot(struct fb *fb, unsigned slot, uint64_t value, unsigned bytes);
void fb_slot_ref(struct fb *fb, unsigned slot, size_t place);
size_t fb_table_end(struct fb *fb);
/* The whole, with the root. */
struct af_slice fb_finish(struct fb *fb, size_t root);
#endif
