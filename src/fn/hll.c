/*
 * hll.c - how many different values, estimated in 16 KiB: HyperLogLog with 2^14 registers over 64-bit hashes, read with Ertl's estimator,
 * which needs no tables for small and middle numbers (standard error 0.8 %). Up to 512 values are counted one by one.
 */
#include "base/hash.h"
#include "fn/fn_int.h"
#include <math.h>

enum { BITS = 14, REGISTERS = 1 << BITS, RANK_MAX = 64 - BITS + 1, EXACT_MAX = 512 };

struct hll {
    struct distinct exact;       /* hashes, while there are few */
    uint8_t *registers;
};

static void hll_put(uint8_t *registers, uint64_t hash)
{
    size_t at = hash >> (64 - BITS);
    uint64_t rest = hash << BITS;
    uint8_t rank = rest == 0 ? RANK_MAX : (uint8_t)(__builtin_clzll(rest) + 1);
    if (rank > registers[at])
        registers[at] = rank;
}

static enum af_status hll_hash(struct hll *hll, uint64_t hash, const struct span *span)
{
    if (hll->registers != NULL) {
        hll_put(hll->registers, hash);
        return AF_OK;
    }
    uint32_t number;
    AF_TRY(distinct_cell(&hll->exact, FN_U64, (union fn_cell){ .u64 = hash }, span->arena, &number, span->err));
    if (hll->exact.count <= EXACT_MAX)
        return AF_OK;
    hll->registers = af_arena_zero(span->arena, REGISTERS, 1);
    if (hll->registers == NULL)
        return af_arena_fail(span->arena, REGISTERS, "an estimate of different values", span->err);
    for (uint32_t i = 0; i < hll->exact.count; i++)
        hll_put(hll->registers, hll->exact.cells[i].u64);
    return AF_OK;
}

static enum af_status hll_add(void *state, const struct span *span)
{
    const struct af_column *column = span->column;
    for (size_t row = span->first; row < span->first + span->count; row++) {
        uint64_t hash;
        if (column->type == AF_TYPE_STRING) {
            struct af_slice text = af_column_text(column, row);
            hash = af_hash_bytes(text.ptr, text.len, 1);
        } else {
            union fn_cell cell = fn_column_cell(column, row);
            if (column->type == AF_TYPE_F64 && cell.f64 == 0)
                cell.f64 = 0;
            hash = af_hash_bytes(&cell, sizeof cell, 1);
        }
        AF_TRY(hll_hash(state, hash, span));
    }
    return AF_OK;
}

/* Ertl 2017, "New cardinality estimation algorithms for HyperLogLog sketches", section 4. */
static double sigma(double x)
{
    if (x == 1)
        return INFINITY;
    double y = 1, z = x, last;
    do {
        x *= x;
        last = z;
        z += x * y;
        y += y;
    } while (z != last);
    return z;
}

static double tau(double x)
{
    if (x == 0 || x == 1)
        return 0;
    double y = 1, z = 1 - x, last;
    do {
        x = sqrt(x);
        last = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != last);
    return z / 3;
}

static double estimate(const uint8_t *registers)
{
    uint32_t ranks[RANK_MAX + 1] = { 0 };
    for (size_t i = 0; i < REGISTERS; i++)
        ranks[registers[i]]++;
    double z = REGISTERS * tau(1 - (double)ranks[RANK_MAX] / REGISTERS);
    for (int rank = RANK_MAX - 1; rank > 0; rank--)
        z = 0.5 * (z + ranks[rank]);
    z += REGISTERS * sigma((double)ranks[0] / REGISTERS);
    return (double)REGISTERS * REGISTERS / (2 * 0.69314718055994530942 * z);
}

static enum af_status hll_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                 int64_t *out_time_ns, struct af_error *err)
{
    (void)call, (void)arena, (void)out_time_ns, (void)err;
    const struct hll *hll = state;
    if (hll->exact.count == 0)
        *out = af_value_none();
    else
        *out = af_value_i64(hll->registers == NULL ? hll->exact.count : (int64_t)(estimate(hll->registers) + 0.5));
    return AF_OK;
}

const struct aggregate_ops hll_ops = { sizeof(struct hll), { hll_add, hll_add, hll_add, hll_add, hll_add }, hll_finish };
