/*
 * stats_int.h - what the builder (stats_write.c) and the reader (stats.c) of a side file share. The layout: docs/formats/tsm.md.
 *
 *     magic 8 | group | group | ... | directory: offset of each group, and its own | trailer 24
 *     group    crc 4 | length of each of its 16 records, uvarint | record ...          crc: of the group's number and the lengths
 *     record   what and how | columns | crc 4                                            crc: of the key's number and the rest
 *
 * The unit that is kept is the piece: the points of one block in one UTC day (or of a whole block, in a record without days).
 * Blocks and days are sums of pieces.
 */
#ifndef AF_FORMAT_TSM_STATS_INT_H
#define AF_FORMAT_TSM_STATS_INT_H
#include "format/tsm/file_int.h"

#define AF_TSM_STATS_MAGIC "AFSTATS\x01"
enum {
    AF_TSM_STATS_MAGIC_BYTES = 8,
    AF_TSM_STATS_TRAILER_BYTES = 24, /* size of the TSM file 8, keys 8, crc of its index 4, crc of these 20: 4 */
    AF_TSM_STATS_GROUP = 16,         /* keys whose records lie together */
    AF_TSM_STATS_BLOCK_POINTS_MIN = 64, /* points a block on average, from which on statistics are kept: fewer are decoded as fast */
    AF_TSM_STATS_DAY_POINTS_MIN = 8,    /* points a piece on average, from which on days are kept */
    AF_TSM_STATS_PIECES_MAX = 213504 + AF_TSM_BLOCKS_MAX, /* of a key: the days of int64, each cut anew by every block */
    AF_TSM_STATS_SCALE_MAX = 12,     /* decimal places of the DECIMAL form */
    AF_TSM_STATS_SCALE_BITS = 15,    /* stands for: floats as their bits */
    AF_TSM_STATS_COLUMNS = 6,
};

/* The first byte of a record: type 0-2, has_days 3, scale 4-7. */
struct af_tsm_record_head {
    enum af_type type;
    bool has_days;
    unsigned scale; /* F64: decimal places, or SCALE_BITS */
    unsigned shift; /* SCALE_BITS: zero bits that all values end with; a byte of its own */
};

/* --- columns of a record (stats_pack.c) ------------------------------------------------------------------------------------ */

/* Append `count` numbers, as runs or packed by the bits they need, whichever is shorter. */
void af_tsm_column_put(struct af_buf *out, const uint64_t *values, size_t count);
/* Read them; false: the bytes do not hold them. */
AF_MUST_CHECK bool af_tsm_column_get(const uint8_t **at, const uint8_t *end, uint64_t *values, size_t count);

static inline uint64_t af_tsm_zigzag(uint64_t v)
{
    return v << 1 ^ (uint64_t)((int64_t)v >> 63);
}
static inline uint64_t af_tsm_unzigzag(uint64_t z)
{
    return z >> 1 ^ (0 - (z & 1));
}

/* --- numbers whose differences are small (stats_pack.c) ------------------------------------------------------------------- */

/* min, max, first and last as integers that order as the values do, and back. */
struct af_tsm_form {
    enum af_type type;
    unsigned scale, shift;
};
int64_t af_tsm_form_in(const struct af_tsm_form *form, uint64_t value);
uint64_t af_tsm_form_out(const struct af_tsm_form *form, int64_t number);
/* The form of a key's values, the best that holds all of them. */
struct af_tsm_form af_tsm_form_choose(enum af_type type, const struct af_tsm_day *pieces, size_t count);
/* The sum as what is left of it beside a guess from count, min and max. `ulps`: DECIMAL floats only, else 0. */
void af_tsm_sum_in(const struct af_tsm_form *form, const struct af_tsm_stat *stat, uint64_t *out_rest, uint64_t *out_ulps);
void af_tsm_sum_out(const struct af_tsm_form *form, struct af_tsm_stat *stat, uint64_t rest, uint64_t ulps);

/* How many value columns a type has: 6 F64, 5 I64 U64, 1 BOOL, 0 STRING. */
unsigned af_tsm_form_columns(const struct af_tsm_form *form);

/* `stat` grows by what comes after it. */
void af_tsm_stat_add(enum af_type type, struct af_tsm_stat *stat, const struct af_tsm_stat *more);

/* crc of a number, then bytes: so that no part of the file passes for another. */
uint32_t af_tsm_stats_crc(uint64_t number, const void *bytes, size_t len);
#endif
