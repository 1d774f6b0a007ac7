/*
 * ahead.c - which bytes of a file are read next, said to a reader that can fetch them before (base/reader.h: will_need).
 *
 *     row group 0: | a | b | c |   row group 1: | a | b | c |          a small row group: whole chunks, one after the other
 *
 *     row group 0: | a1 a2 a3 | b1 b2 b3 |                            a large one, in rounds: a1 b1 a2 b2 a3 b3
 *
 * A batch takes rows of every column, so the chunks of a row group are read side by side. A reader that has room for a part of a row
 * group only must have the parts that belong to the same rows: a round is about the same share of each chunk.
 */
#include "base/alloc.h"
#include "format/parquet/parquet_int.h"

enum { ROUND_BYTES = 32 << 20, PIECE_BYTES_MIN = 64 << 10, RANGES_MAX = 65536 };

struct list {
    struct af_range *items;
    size_t count, cap;
};

static bool append(struct list *list, struct af_range range)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 256 : list->cap * 2;
        struct af_range *items = af_realloc(list->items, cap * sizeof *items);
        if (items == NULL)
            return false;
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = range;
    return true;
}

/* The bytes of a chunk; none of what is damaged: reading it says so. */
static struct af_range chunk_range(const struct af_parquet *file, const struct af_pq_chunk *chunk)
{
    const int64_t start = chunk->dict_offset > 0 && chunk->dict_offset < chunk->data_offset ? chunk->dict_offset : chunk->data_offset;
    if (start < 4 || chunk->stored_bytes <= 0 || (uint64_t)start > file->data_end ||
        (uint64_t)chunk->stored_bytes > file->data_end - (uint64_t)start)
        return (struct af_range){ 0 };
    return (struct af_range){ (uint64_t)start, (uint64_t)chunk->stored_bytes };
}

/* One round more of a chunk. */
static struct af_range piece(struct af_range chunk, uint64_t rounds, uint64_t round)
{
    uint64_t len = chunk.len / rounds + 1;
    len = len < PIECE_BYTES_MIN ? PIECE_BYTES_MIN : len;
    uint64_t begin = len * round < chunk.len ? len * round : chunk.len;
    return (struct af_range){ chunk.offset + begin, chunk.len - begin < len ? chunk.len - begin : len };
}

static bool append_group(const struct af_parquet *file, const struct af_pq_row_group *group, const uint32_t *leaves, size_t leaf_count,
                         struct list *list)
{
    uint64_t total = 0;
    for (size_t i = 0; i < leaf_count; i++)
        total += chunk_range(file, &group->chunks[leaves[i]]).len;
    const uint64_t rounds = total / ROUND_BYTES + 1;
    for (uint64_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < leaf_count; i++) {
            struct af_range range = piece(chunk_range(file, &group->chunks[leaves[i]]), rounds, round);
            if (list->count >= RANGES_MAX)
                return true; /* what is left of it is read without having been announced */
            if (range.len != 0 && !append(list, range))
                return false;
        }
    }
    return true;
}

uint32_t af_pq_announce(const struct af_parquet *file, const struct af_pq_ahead *what, uint32_t row_group)
{
    struct list list = { 0 };
    if (file->reader->ops->will_need == NULL || file->reader->bytes != NULL)
        return what->stop;
    for (; row_group < what->stop && list.count < RANGES_MAX; row_group++)
        if (!(what->has_prune && af_pq_is_pruned(file, row_group, what->prune_leaf, what->prune_start_ns, what->prune_stop_ns)) &&
            !append_group(file, &file->row_groups[row_group], what->leaves, what->leaf_count, &list))
            break;
    af_reader_will_need(file->reader, list.items, list.count);
    af_free(list.items);
    return row_group;
}
