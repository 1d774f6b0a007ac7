/*
 * s3_plan.c - which bytes of an object are asked for next: announced ranges become requests of a good size.
 *
 *     announced   [--- a ---] [- b -]          [------------------ c ------------------]
 *     blocks      [------- one ------]          [--- two ---][-- three --][--- four ---]
 *
 * Nothing is cut before there is room for it, so a range of terabytes costs nothing. What is small is joined across gaps that cost less
 * than a request, what is large is divided so that all connections have work.
 */
#include "aws/s3_int.h"
#include "base/alloc.h"
#include "base/limits.h"

enum { BLOCK_BYTES_MIN = 1 << 20 };

void s3_plan_done(struct s3_plan *plan)
{
    af_free(plan->ranges);
    *plan = (struct s3_plan){ 0 };
}

static uint64_t block_bytes_for(uint64_t total, uint32_t connections, uint64_t memory_bytes)
{
    const uint64_t sharers = connections != 0 ? connections : 1;
    const uint64_t share = total / sharers + 1;
    const uint64_t room = memory_bytes / sharers;
    const uint64_t most = room < AF_S3_BLOCK_BYTES ? room : AF_S3_BLOCK_BYTES;
    const uint64_t bytes = share < most ? share : most;
    return bytes > BLOCK_BYTES_MIN ? bytes : BLOCK_BYTES_MIN;
}

bool s3_plan_set(struct s3_plan *plan, const struct af_range *ranges, size_t count, uint64_t size, uint32_t connections,
                 uint64_t memory_bytes)
{
    plan->count = plan->index = 0;
    plan->done = 0;
    if (count > plan->cap) {
        struct af_range *more = af_realloc(plan->ranges, count * sizeof *more);
        if (more == NULL)
            return false;
        plan->ranges = more;
        plan->cap = count;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        struct af_range range = ranges[i];
        if (range.offset >= size || range.len == 0)
            continue;
        range.len = range.len < size - range.offset ? range.len : size - range.offset;
        total = total > UINT64_MAX - range.len ? UINT64_MAX : total + range.len;
        plan->ranges[plan->count++] = range;
    }
    plan->block_bytes = block_bytes_for(total, connections, memory_bytes);
    return true;
}

bool s3_plan_next(const struct s3_plan *plan, struct s3_cut *out)
{
    if (plan->index == plan->count)
        return false;
    struct af_range range = plan->ranges[plan->index];
    uint64_t offset = range.offset + plan->done;
    uint64_t stop = offset; /* of the block */
    struct s3_cut cut = { .offset = offset, .index = plan->index, .done = plan->done };
    for (;;) {
        uint64_t begin = cut.done == 0 ? range.offset : offset; /* what is wanted of this range begins here */
        uint64_t room = plan->block_bytes - (begin - offset);
        uint64_t left = range.len - cut.done;
        uint64_t take = left < room ? left : room;
        cut.wanted += (size_t)take;
        stop = begin + take;
        cut.done += take;
        if (take < left)
            break;
        cut.index++;
        cut.done = 0;
        if (cut.index == plan->count)
            break;
        range = plan->ranges[cut.index];
        if (range.offset < stop || range.offset - stop > AF_S3_GAP_BYTES || range.offset - offset >= plan->block_bytes)
            break;
    }
    cut.len = (size_t)(stop - offset);
    *out = cut;
    return true;
}

void s3_plan_take(struct s3_plan *plan, const struct s3_cut *cut)
{
    plan->index = cut->index;
    plan->done = cut->done;
}

void s3_plan_skip(struct s3_plan *plan, uint64_t bytes)
{
    uint64_t left = plan->ranges[plan->index].len - plan->done;
    if (bytes < left) {
        plan->done += bytes;
        return;
    }
    plan->index++;
    plan->done = 0;
}

bool s3_plan_seek(struct s3_plan *plan, uint64_t offset)
{
    for (size_t i = plan->index; i < plan->count; i++) {
        uint64_t done = offset - plan->ranges[i].offset;
        if (offset < plan->ranges[i].offset || done >= plan->ranges[i].len || (i == plan->index && done < plan->done))
            continue;
        plan->index = i;
        plan->done = done;
        return true;
    }
    return false;
}
