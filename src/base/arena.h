/*
 * arena.h - memory that is freed all at once.
 *
 * An arena belongs to one unit of work (a batch, a query, a request) and is named by that lifetime. Resetting keeps the
 * chunks for the next unit, so a steady loop does not touch the system allocator. Not thread-safe: one arena, one
 * thread at a time.
 */
#ifndef AF_BASE_ARENA_H
#define AF_BASE_ARENA_H
#include "base/error.h"
#include "base/slice.h"

enum { AF_ARENA_ALIGN = 64 }; /* what af_arena_alloc_array gives: a cache line, the widest vector */

struct af_arena_chunk;
struct af_arena_hook;

struct af_arena {
    struct af_arena_chunk *current;
    struct af_arena_chunk *spare; /* kept by reset */
    struct af_arena_hook *hooks;
    size_t bytes_used;            /* handed out since the last reset, with padding */
    size_t bytes_max;
};

void af_arena_init(struct af_arena *arena, size_t bytes_max);
void af_arena_reset(struct af_arena *arena); /* runs the hooks, newest first */
void af_arena_done(struct af_arena *arena);

/* NULL without memory or past the ceiling. Aligned to 16 bytes; not zeroed. */
void *af_arena_alloc(struct af_arena *arena, size_t bytes);

/* count * bytes, zeroed; NULL also on overflow. */
void *af_arena_zero(struct af_arena *arena, size_t count, size_t bytes);

/* count * bytes, aligned to AF_ARENA_ALIGN and readable for AF_ARENA_ALIGN bytes past the end: for columns. */
void *af_arena_array(struct af_arena *arena, size_t count, size_t bytes);

/* Room for one more item in a list of the arena: `items` itself, or a copy of its `count` items with twice the room (*cap); what was before
 * is
 * left to the arena. NULL without memory: nothing has changed. A first list has items NULL and both numbers 0. */
void *af_arena_more(struct af_arena *arena, void *items, size_t count, size_t *cap, size_t item_bytes);

/* Copies, NUL-terminated. NULL without memory. */
char *af_arena_copy(struct af_arena *arena, struct af_slice s);
char *af_arena_printf(struct af_arena *arena, const char *fmt, ...) AF_PRINTF(2, 3);

/* Call fn(ctx) when the arena is reset or done. False without memory (fn was not kept). */
AF_MUST_CHECK bool af_arena_on_reset(struct af_arena *arena, void (*fn)(void *ctx), void *ctx);

/* The status and message for an allocation that returned NULL. */
enum af_status af_arena_fail(const struct af_arena *arena, size_t bytes, const char *what, struct af_error *err);
#endif
