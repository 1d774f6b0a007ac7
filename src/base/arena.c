/*
 * arena.c - chunked bump allocation; see arena.h.
 *
 * Chunks form a list, newest first; only the newest is filled. Reset moves all chunks to `spare`, from where they are
 * taken again when big enough. Under ASan the unused part is poisoned, so an overrun inside an arena is found too.
 */
#include "base/arena.h"
#include "base/alloc.h"
#include <stdarg.h>
#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__)
#define AF_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AF_ASAN 1
#endif
#endif
#ifdef AF_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)0)
#endif

enum { CHUNK_BYTES_MIN = 64 * 1024 };

struct af_arena_chunk {
    _Alignas(AF_ARENA_ALIGN) struct af_arena_chunk *next;
    size_t cap;
    size_t used;
    _Alignas(AF_ARENA_ALIGN) char bytes[];
};

struct af_arena_hook {
    struct af_arena_hook *next;
    void (*fn)(void *ctx);
    void *ctx;
};

void af_arena_init(struct af_arena *arena, size_t bytes_max)
{
    *arena = (struct af_arena){ .bytes_max = bytes_max };
}

static void run_hooks(struct af_arena *arena)
{
    for (struct af_arena_hook *hook = arena->hooks; hook != NULL; hook = hook->next)
        hook->fn(hook->ctx);
    arena->hooks = NULL;
}

void af_arena_reset(struct af_arena *arena)
{
    run_hooks(arena);
    while (arena->current != NULL) {
        struct af_arena_chunk *chunk = arena->current;
        arena->current = chunk->next;
        ASAN_POISON_MEMORY_REGION(chunk->bytes, chunk->cap);
        chunk->used = 0;
        chunk->next = arena->spare;
        arena->spare = chunk;
    }
    arena->bytes_used = 0;
}

static void free_list(struct af_arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct af_arena_chunk *next = chunk->next;
        ASAN_UNPOISON_MEMORY_REGION(chunk->bytes, chunk->cap);
        af_free(chunk);
        chunk = next;
    }
}

void af_arena_done(struct af_arena *arena)
{
    run_hooks(arena);
    free_list(arena->current);
    free_list(arena->spare);
    *arena = (struct af_arena){ 0 };
}

static struct af_arena_chunk *take_spare(struct af_arena *arena, size_t need)
{
    for (struct af_arena_chunk **link = &arena->spare; *link != NULL; link = &(*link)->next) {
        struct af_arena_chunk *chunk = *link;
        if (chunk->cap >= need) {
            *link = chunk->next;
            return chunk;
        }
    }
    return NULL;
}

static struct af_arena_chunk *new_chunk(struct af_arena *arena, size_t need)
{
    struct af_arena_chunk *chunk = take_spare(arena, need);
    if (chunk == NULL) {
        /* Spares too small for this request would only pile up: a bigger chunk replaces them. */
        free_list(arena->spare);
        arena->spare = NULL;
        size_t cap = arena->current != NULL ? arena->current->cap * 2 : CHUNK_BYTES_MIN;
        if (cap > (size_t)8 << 20)
            cap = (size_t)8 << 20;
        if (cap < need)
            cap = need;
        chunk = af_alloc_aligned(AF_ARENA_ALIGN, sizeof *chunk + cap);
        if (chunk == NULL)
            return NULL;
        chunk->cap = cap;
        chunk->used = 0;
        ASAN_POISON_MEMORY_REGION(chunk->bytes, cap);
    }
    chunk->next = arena->current;
    arena->current = chunk;
    return chunk;
}

static void *alloc_aligned(struct af_arena *arena, size_t align, size_t bytes, size_t tail)
{
    if (bytes > arena->bytes_max || arena->bytes_used > arena->bytes_max - bytes)
        return NULL;
    size_t total = bytes + tail;
    struct af_arena_chunk *chunk = arena->current;
    size_t at = chunk != NULL ? (chunk->used + align - 1) / align * align : 0;
    if (chunk == NULL || at > chunk->cap || total > chunk->cap - at) {
        chunk = new_chunk(arena, total);
        if (chunk == NULL)
            return NULL;
        at = 0;
    }
    chunk->used = at + total;
    arena->bytes_used += total;
    ASAN_UNPOISON_MEMORY_REGION(chunk->bytes + at, total);
    return chunk->bytes + at;
}

void *af_arena_alloc(struct af_arena *arena, size_t bytes)
{
    return alloc_aligned(arena, 16, bytes, 0);
}

static bool product(size_t count, size_t bytes, size_t *out)
{
    return !__builtin_mul_overflow(count, bytes, out) && *out < SIZE_MAX / 2;
}

void *af_arena_zero(struct af_arena *arena, size_t count, size_t bytes)
{
    size_t total;
    if (!product(count, bytes, &total))
        return NULL;
    void *ptr = af_arena_alloc(arena, total);
    if (ptr != NULL)
        memset(ptr, 0, total);
    return ptr;
}

void *af_arena_array(struct af_arena *arena, size_t count, size_t bytes)
{
    size_t total;
    if (!product(count, bytes, &total))
        return NULL;
    char *ptr = alloc_aligned(arena, AF_ARENA_ALIGN, total, AF_ARENA_ALIGN);
    if (ptr != NULL)
        memset(ptr + total, 0, AF_ARENA_ALIGN);
    return ptr;
}

char *af_arena_copy(struct af_arena *arena, struct af_slice s)
{
    char *ptr = af_arena_alloc(arena, s.len + 1);
    if (ptr == NULL)
        return NULL;
    if (s.len != 0)
        memcpy(ptr, s.ptr, s.len);
    ptr[s.len] = '\0';
    return ptr;
}

void *af_arena_more(struct af_arena *arena, void *items, size_t count, size_t *cap, size_t item_bytes)
{
    if (count < *cap)
        return items;
    const size_t more = *cap != 0 ? *cap * 2 : 16;
    void *grown = more > *cap ? af_arena_array(arena, more, item_bytes) : NULL;
    if (grown == NULL)
        return NULL;
    if (count != 0)
        memcpy(grown, items, count * item_bytes);
    *cap = more;
    return grown;
}

char *af_arena_printf(struct af_arena *arena, const char *fmt, ...)
{
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *ptr = n >= 0 ? af_arena_alloc(arena, (size_t)n + 1) : NULL;
    if (ptr != NULL)
        (void)vsnprintf(ptr, (size_t)n + 1, fmt, again);
    va_end(again);
    return ptr;
}

bool af_arena_on_reset(struct af_arena *arena, void (*fn)(void *ctx), void *ctx)
{
    struct af_arena_hook *hook = af_arena_alloc(arena, sizeof *hook);
    if (hook == NULL)
        return false;
    *hook = (struct af_arena_hook){ .next = arena->hooks, .fn = fn, .ctx = ctx };
    arena->hooks = hook;
    return true;
}

enum af_status af_arena_fail(const struct af_arena *arena, size_t bytes, const char *what, struct af_error *err)
{
    if (bytes > arena->bytes_max || arena->bytes_used > arena->bytes_max - bytes)
        return af_fail(err, AF_ELIMIT, "%s: %zu bytes more than the %zu in use would pass the limit of %zu", what,
                       bytes, arena->bytes_used, arena->bytes_max);
    return af_fail_nomem(err, what);
}
