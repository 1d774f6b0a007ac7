/* lookup.c - where something is in a list: chains by hash. The list itself is the caller's; so is comparing. */
#include "lang/influxql/lower_int.h"
#include "base/hash.h"

static void link_all(struct lookup *lookup)
{
    for (size_t i = 0; i < lookup->count; i++) {
        uint32_t *head = &lookup->heads[lookup->hashes[i] & lookup->mask];
        lookup->next[i] = *head;
        *head = (uint32_t)i + 1;
    }
}

static bool grow(struct lookup *lookup, struct af_arena *arena)
{
    size_t cap = lookup->cap != 0 ? lookup->cap * 2 : 16;
    struct lookup grown = { .cap = cap, .mask = cap * 2 - 1, .count = lookup->count };
    grown.heads = af_arena_zero(arena, cap * 2, sizeof *grown.heads);
    grown.next = af_arena_zero(arena, cap, sizeof *grown.next);
    grown.hashes = af_arena_zero(arena, cap, sizeof *grown.hashes);
    if (cap > UINT32_MAX / 2 || grown.heads == NULL || grown.next == NULL || grown.hashes == NULL)
        return false;
    if (lookup->count != 0)
        memcpy(grown.hashes, lookup->hashes, lookup->count * sizeof *grown.hashes);
    *lookup = grown;
    link_all(lookup);
    return true;
}

bool lookup_add(struct lookup *lookup, struct af_arena *arena, uint64_t hash)
{
    if (lookup->count == lookup->cap && !grow(lookup, arena))
        return false;
    size_t at = lookup->count++;
    lookup->hashes[at] = hash;
    lookup->next[at] = lookup->heads[hash & lookup->mask];
    lookup->heads[hash & lookup->mask] = (uint32_t)at + 1;
    return true;
}

static size_t same_from(const struct lookup *lookup, uint32_t at, uint64_t hash)
{
    while (at != 0 && lookup->hashes[at - 1] != hash)
        at = lookup->next[at - 1];
    return at != 0 ? at - 1 : SIZE_MAX;
}

size_t lookup_first(const struct lookup *lookup, uint64_t hash)
{
    return lookup->count != 0 ? same_from(lookup, lookup->heads[hash & lookup->mask], hash) : SIZE_MAX;
}

size_t lookup_next(const struct lookup *lookup, size_t at, uint64_t hash)
{
    return same_from(lookup, lookup->next[at], hash);
}

uint64_t lookup_text(const char *text)
{
    return af_hash_bytes(text, strlen(text), 0);
}

uint64_t lookup_expr(const struct af_ql_expr *expr)
{
    if (expr == NULL)
        return 0;
    uint64_t hash = af_hash_mix((uint64_t)expr->kind + 1);
    if (expr->name != NULL && expr->kind != AF_QL_STRING)
        hash ^= lookup_text(expr->name);
    if (expr->kind == AF_QL_INTEGER || expr->kind == AF_QL_NUMBER || expr->kind == AF_QL_DURATION)
        hash ^= af_hash_mix(expr->unsigned_integer);
    for (size_t i = 0; i < expr->arg_count; i++)
        hash = af_hash_mix(hash + lookup_expr(expr->args[i]));
    return af_hash_mix(hash + 3 * lookup_expr(expr->left) + lookup_expr(expr->right));
}
