/*
 * tsm_stats_fuzz.c - any bytes as a side file, and as the one record of a side file whose checksums are right. Properties: what a record
 * gives is bounded; days ascend; blocks and days hold the same number of points.
 */
#include "codec/bits.h"
#include "format/tsm/stats_int.h"

#define REQUIRE(condition)     \
    do {                        \
        if (!(condition))       \
            __builtin_trap();   \
    } while (0)

enum { ARENA_BYTES = 64 << 20, KEYS_MAX = 100 };

static void read_keys(struct af_slice side)
{
    struct af_tsm_stats *stats;
    struct af_arena arena;
    if (af_tsm_stats_open(side, "fuzz", &stats, NULL) != AF_OK)
        return;
    af_arena_init(&arena, ARENA_BYTES);
    for (uint64_t key = 0; key < KEYS_MAX; key++) {
        struct af_tsm_stat *blocks;
        struct af_tsm_day *days;
        size_t block_count, day_count;
        uint32_t points = 0; /* modulo 2^32, as the counts are */
        af_arena_reset(&arena);
        if (af_tsm_stats_get(stats, key, &arena, &blocks, &block_count, &days, &day_count, NULL) != AF_OK)
            continue;
        REQUIRE(block_count <= AF_TSM_BLOCKS_MAX && day_count <= AF_TSM_STATS_PIECES_MAX);
        for (size_t b = 0; b < block_count; b++)
            points += blocks[b].count;
        for (size_t d = 0; d < day_count; d++) {
            points -= days[d].stat.count;
            REQUIRE(d == 0 || days[d - 1].day < days[d].day);
        }
        REQUIRE(day_count == 0 || points == 0);
    }
    af_arena_done(&arena);
    af_tsm_stats_close(stats);
}

/* magic | group of one record | directory of two | trailer */
static void wrap(struct af_buf *out, const uint8_t *record, size_t len)
{
    uint8_t words[8];
    uint8_t tail[AF_TSM_STATS_TRAILER_BYTES] = { 0 };
    af_buf_append(out, AF_TSM_STATS_MAGIC, AF_TSM_STATS_MAGIC_BYTES);
    af_buf_append(out, words, 4);
    af_uvarint_append(out, len + 4);
    uint8_t *head = (uint8_t *)out->ptr + AF_TSM_STATS_MAGIC_BYTES;
    af_be32_put(head, af_tsm_stats_crc(0, head + 4, out->len - AF_TSM_STATS_MAGIC_BYTES - 4));
    af_buf_append(out, record, len);
    af_be32_put(words, af_tsm_stats_crc(0, record, len));
    af_buf_append(out, words, 4);
    af_be32_put(words, AF_TSM_STATS_MAGIC_BYTES);
    af_be32_put(words + 4, (uint32_t)out->len);
    af_buf_append(out, words, 8);
    af_be64_put(tail + 8, 1);
    af_be32_put(tail + 20, af_tsm_stats_crc(0, tail, 20));
    af_buf_append(out, tail, sizeof tail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_buf side;
    read_keys(af_slice_make(data, size));
    af_buf_init(&side, ARENA_BYTES);
    wrap(&side, data, size);
    REQUIRE(!side.failed);
    read_keys(af_buf_slice(&side));
    af_buf_done(&side);
    return 0;
}
