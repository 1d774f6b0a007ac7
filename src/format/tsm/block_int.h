/*
 * block_int.h - the two parts of a block: times (block_time.c) and values (block_values.c), each with its scheme in the first byte.
 */
#ifndef AF_FORMAT_TSM_BLOCK_INT_H
#define AF_FORMAT_TSM_BLOCK_INT_H
#include "format/tsm/tsm.h"

/* First byte: scheme in the high nibble; in the low one the power of ten that times are divided by, else 0. */
enum { AF_TSM_RAW = 0, AF_TSM_SIMPLE8B = 1, AF_TSM_RLE = 2 };
enum { AF_TSM_GORILLA = 1, AF_TSM_BITS = 1, AF_TSM_SNAPPY = 1 };
enum {
    AF_TSM_SCALE_MAX = 12,     /* times are divided by 10^12 at most */
    AF_TSM_PART_HEAD_MAX = 32, /* an encoded part needs at most 8 bytes a value and this */
};

/* Room for an encoded part of times or integers. */
static inline size_t af_tsm_part_bytes_max(size_t count)
{
    return count * 8 + AF_TSM_PART_HEAD_MAX;
}

/* Bytes written to `dst`. `scratch` has room for `count` numbers. Times must ascend. */
size_t af_tsm_times_encode(const int64_t *src, size_t count, uint64_t *scratch, uint8_t *dst);
/* The number of times in a part. AF_ECORRUPT: none, above AF_TSM_BLOCK_POINTS_MAX, or no part at all. */
AF_MUST_CHECK enum af_status af_tsm_times_count(struct af_slice part, size_t *out_count, struct af_error *err);
/* Are the times of a part, of which there are `count`, first + i * step? Then *out_step. AF_ECORRUPT: they do not ascend. */
AF_MUST_CHECK enum af_status af_tsm_times_regular(struct af_slice part, size_t count, bool *out_is, uint64_t *out_step,
                                                  struct af_error *err);
/* `dst` has room for `count`, as af_tsm_times_count said, and AF_ARENA_ALIGN bytes more. */
AF_MUST_CHECK enum af_status af_tsm_times_decode(struct af_slice part, size_t count, int64_t *dst, struct af_error *err);

/* Integers, signed and unsigned alike. `dst` as above. */
size_t af_tsm_ints_encode(const uint64_t *src, size_t count, uint64_t *scratch, uint8_t *dst);
AF_MUST_CHECK enum af_status af_tsm_ints_decode(struct af_slice part, size_t count, uint64_t *dst, struct af_error *err);

/* Any type: append the value part of rows [first, first + count), or read one of `count` values into `arena`. */
AF_MUST_CHECK enum af_status af_tsm_values_encode(const struct af_column *column, size_t first, size_t count, uint64_t *scratch,
                                                  struct af_buf *out, struct af_error *err);
AF_MUST_CHECK enum af_status af_tsm_values_decode(struct af_slice part, enum af_type type, size_t count, struct af_arena *arena,
                                                  struct af_column *out, struct af_error *err);

/* The first `rows` of more floats. */
AF_MUST_CHECK enum af_status af_tsm_floats_head(struct af_slice part, size_t rows, struct af_arena *arena, struct af_column *out,
                                                struct af_error *err);

/* Sums in place, at[i] = first + all steps up to and with i (block_sum.c). Of times: steps times scale; false if the times do not ascend
 * strictly, which a sum past the end of int64 does not, or if a product is above 2^64. Of integers: steps in zigzag form. */
AF_MUST_CHECK bool af_tsm_sum_times(uint64_t first, uint64_t scale, uint64_t *at, size_t count);
void af_tsm_sum_ints(uint64_t first, uint64_t *at, size_t count);
/* at[i] = first + i * step */
void af_tsm_fill_run(uint64_t first, uint64_t step, uint64_t *at, size_t count);

/* The plain twins of what has an AVX2 form, for tests. */
AF_MUST_CHECK bool af_tsm_sum_times_scalar(uint64_t first, uint64_t scale, uint64_t *at, size_t count);
void af_tsm_sum_ints_scalar(uint64_t first, uint64_t *at, size_t count);
void af_tsm_fill_run_scalar(uint64_t first, uint64_t step, uint64_t *at, size_t count);

static inline uint64_t af_tsm_load_be(const void *src)
{
    uint64_t v;
    memcpy(&v, src, sizeof v);
    return __builtin_bswap64(v);
}
static inline void af_tsm_store_be(void *dst, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(dst, &v, sizeof v);
}
/* Returns the bytes written, at most 10. */
static inline size_t af_tsm_put_uvarint(uint8_t *dst, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        dst[n++] = (uint8_t)(v | 0x80);
    dst[n++] = (uint8_t)v;
    return n;
}
#endif
