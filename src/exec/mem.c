/*
 * mem.c - memory that is charged to the query; see exec_int.h.
 *
 * An arena says what it has handed out; the difference to what was charged before goes to the one counter of the query. So operators
 * allocate freely and charge once a batch: the limit is passed by one batch at most.
 */
#include "exec/exec_int.h"

void mem_init(struct mem *mem, struct exec *exec)
{
    *mem = (struct mem){ .exec = exec };
    af_arena_init(&mem->arena, exec->options.limits.bytes_max);
}

static void uncharge(struct mem *mem, size_t bytes)
{
    atomic_fetch_sub_explicit(&mem->exec->bytes, bytes, memory_order_relaxed);
    mem->charged -= bytes;
}

static void raise_peak(struct exec *exec, uint64_t now)
{
    uint64_t peak = atomic_load_explicit(&exec->bytes_peak, memory_order_relaxed);
    while (peak < now && !atomic_compare_exchange_weak_explicit(&exec->bytes_peak, &peak, now, memory_order_relaxed, memory_order_relaxed))
        ;
}

enum af_status mem_charge(struct mem *mem, struct af_error *err)
{
    size_t bytes = mem->arena.bytes_used;
    if (bytes <= mem->charged) {
        uncharge(mem, mem->charged - bytes);
        return AF_OK;
    }
    size_t more = bytes - mem->charged;
    uint64_t now = atomic_fetch_add_explicit(&mem->exec->bytes, more, memory_order_relaxed) + more;
    mem->charged = bytes;
    raise_peak(mem->exec, now);
    return now <= mem->exec->options.limits.bytes_max ? AF_OK : mem_fail(mem, 0, err);
}

static enum af_status fail_limit(size_t bytes_max, struct af_error *err)
{
    return af_fail(err, AF_ELIMIT,
                   "the query needs more than %zu bytes, its limit of memory: ask for a shorter time range, fewer series or larger "
                   "windows, or raise the limit", bytes_max);
}

enum af_status arena_fail(const struct af_arena *arena, size_t bytes, struct af_error *err)
{
    if (bytes > arena->bytes_max || arena->bytes_used > arena->bytes_max - bytes)
        return fail_limit(arena->bytes_max, err);
    return af_fail_nomem(err, "a query");
}

enum af_status mem_fail(const struct mem *mem, size_t bytes, struct af_error *err)
{
    size_t bytes_max = mem->exec->options.limits.bytes_max;
    if (atomic_load_explicit(&mem->exec->bytes, memory_order_relaxed) > bytes_max)
        return fail_limit(bytes_max, err);
    return arena_fail(&mem->arena, bytes, err);
}

void mem_reset(struct mem *mem)
{
    af_arena_reset(&mem->arena);
    uncharge(mem, mem->charged);
}

void mem_done(struct mem *mem)
{
    if (mem->exec == NULL) /* never begun */
        return;
    uncharge(mem, mem->charged);
    af_arena_done(&mem->arena);
    mem->exec = NULL;
}
