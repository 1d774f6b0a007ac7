/*
 * levels.c - definition and repetition levels of a page, pulled in pieces.
 *
 * RLE hybrid (codec/bits.h), or the old BIT_PACKED: most significant bit first, no runs. Memory does not depend on how many levels a
 * page claims to have.
 */
#include "format/parquet/parquet_int.h"

static enum af_status fail_level(uint32_t level, unsigned max, struct af_error *err)
{
    return af_fail(err, AF_ECORRUPT, "a level of %u where %u is the highest", level, max);
}

/* Groups of eight values are whole bytes: width of them. */
static enum af_status read_msb(struct af_pq_levels *levels, uint32_t *dst, size_t count, struct af_error *err)
{
    while (count > 0) {
        if (levels->pending_count == 0) {
            size_t left = (size_t)(levels->end - levels->at);
            size_t bytes = left < levels->width ? left : levels->width;
            size_t ready = bytes * 8 / levels->width;
            ready = ready < 8 ? ready : 8;
            if (ready == 0)
                return af_fail(err, AF_ECORRUPT, "the levels end early");
            AF_TRY(af_bits_unpack_msb(levels->at, bytes, levels->width, levels->pending, ready, err));
            levels->at += bytes;
            /* Kept at the end of the array, so the next one is at [8 - pending_count]. */
            memmove(levels->pending + 8 - ready, levels->pending, ready * sizeof *levels->pending);
            levels->pending_count = (uint8_t)ready;
        }
        size_t n = count < levels->pending_count ? count : levels->pending_count;
        memcpy(dst, levels->pending + 8 - levels->pending_count, n * sizeof *dst);
        levels->pending_count = (uint8_t)(levels->pending_count - n);
        dst += n;
        count -= n;
    }
    return AF_OK;
}

enum af_status af_pq_levels_read(struct af_pq_levels *levels, uint32_t *dst, size_t count, struct af_error *err)
{
    if (levels->kind == AF_PQ_LEVELS_NONE) {
        memset(dst, 0, count * sizeof *dst);
        return AF_OK;
    }
    if (levels->kind == AF_PQ_LEVELS_RLE)
        AF_TRY(af_rle_read(&levels->rle, dst, count, err));
    else
        AF_TRY(read_msb(levels, dst, count, err));
    if (levels->max + 1u == 1u << levels->width)
        return AF_OK; /* every value of this width is a level */
    uint32_t top = 0;
    for (size_t i = 0; i < count; i++)
        top = dst[i] > top ? dst[i] : top;
    return top <= levels->max ? AF_OK : fail_level(top, levels->max, err);
}

enum af_status af_pq_levels_run(struct af_pq_levels *levels, size_t max, size_t *out_run, uint32_t *out_level, size_t *out_packed,
                                struct af_error *err)
{
    *out_level = 0;
    *out_packed = 0;
    *out_run = 0;
    if (levels->kind == AF_PQ_LEVELS_NONE) {
        *out_run = max;
        return AF_OK;
    }
    if (levels->kind == AF_PQ_LEVELS_MSB) {
        *out_packed = max;
        return AF_OK;
    }
    AF_TRY(af_rle_peek_run(&levels->rle, max, out_run, out_level, out_packed, err));
    if (*out_run == 0) {
        if (*out_packed == 0)
            return af_fail(err, AF_ECORRUPT, "the levels end early");
        *out_packed = *out_packed < max ? *out_packed : max;
        return AF_OK;
    }
    if (*out_level > levels->max)
        return fail_level(*out_level, levels->max, err);
    af_rle_skip_run(&levels->rle, *out_run);
    return AF_OK;
}

enum af_status af_pq_levels_count(const struct af_pq_levels *levels, size_t count, size_t *out_present, struct af_error *err)
{
    struct af_pq_levels copy = *levels;
    uint32_t block[AF_PQ_BLOCK];
    size_t present = 0;
    while (count > 0) {
        size_t run;
        size_t packed;
        uint32_t level;
        AF_TRY(af_pq_levels_run(&copy, count, &run, &level, &packed, err));
        if (run != 0) {
            present += level == levels->max ? run : 0;
            count -= run;
            continue;
        }
        packed = packed < AF_PQ_BLOCK ? packed : AF_PQ_BLOCK;
        AF_TRY(af_pq_levels_read(&copy, block, packed, err));
        for (size_t i = 0; i < packed; i++)
            present += block[i] == levels->max;
        count -= packed;
    }
    *out_present = present;
    return AF_OK;
}
