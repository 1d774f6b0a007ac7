/*
 * file_fixture.h - TSM files in memory for the tests of this folder: random values of any type, a writer that ends in a buffer.
 */
#ifndef AF_FORMAT_TSM_FILE_FIXTURE_H
#define AF_FORMAT_TSM_FILE_FIXTURE_H
#include "base/alloc.h"
#include "base/prng.h"
#include "format/tsm/file_int.h"
#include "test/lib/test.h"
#include <stdio.h>

static const enum af_type fixture_types[] = { AF_TYPE_F64, AF_TYPE_I64, AF_TYPE_BOOL, AF_TYPE_STRING, AF_TYPE_U64 };

static inline enum af_status fixture_emit(void *ctx, struct af_slice bytes, struct af_error *err)
{
    af_buf_append_slice(ctx, bytes);
    return af_buf_check(ctx, "a test file", err);
}

/* A reader that hides that its bytes are in memory, so that windows and reads are really used. */
struct fixture_reader {
    struct af_reader base;
    struct af_slice bytes;
    size_t reads;
};
static inline enum af_status fixture_read_at(struct af_reader *base, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    struct fixture_reader *reader = (struct fixture_reader *)base;
    (void)err;
    reader->reads++;
    memcpy(dst, reader->bytes.ptr + offset, len);
    return AF_OK;
}
static inline void fixture_close(struct af_reader *base)
{
    (void)base;
}
static inline struct af_reader *fixture_reader(struct fixture_reader *out, struct af_slice bytes)
{
    static const struct af_reader_ops ops = { .read_at = fixture_read_at, .close = fixture_close };
    *out = (struct fixture_reader){ { .ops = &ops, .name = "test.tsm", .size = bytes.len }, bytes, 0 };
    return &out->base;
}

static inline double fixture_double(struct af_prng *prng, int style)
{
    switch (style) {
    case 0: return (double)af_prng_below(prng, 100000) / 100.0;
    case 1: return (af_prng_unit(prng) - 0.5) * 1e6;
    case 2: return (double)(float)(af_prng_unit(prng) * 100);
    case 3: return af_prng_below(prng, 2) != 0 ? -0.0 : 0.0;
    default: return (double)af_prng_below(prng, 1000) * 1e300;
    }
}

/* `count` values from `start_ns` on, some regular, some not. */
static inline void fixture_values(struct af_prng *prng, struct af_arena *arena, enum af_type type, size_t count, int64_t start_ns,
                                  int64_t step_ns, struct af_tsm_values *out)
{
    int64_t *times = af_arena_array(arena, count, 8);
    uint64_t *numbers = af_arena_array(arena, count, 8);
    int32_t *offsets = af_arena_array(arena, count + 1, 4);
    char *bytes = af_arena_array(arena, count * 8, 1);
    AF_CHECK(times != NULL && numbers != NULL && offsets != NULL && bytes != NULL);
    const bool jitters = af_prng_below(prng, 3) == 0;
    const int style = (int)af_prng_below(prng, 5);
    const uint64_t spread = UINT64_C(1) << af_prng_below(prng, 64);
    *out = (struct af_tsm_values){ count, times, { .type = type } };
    offsets[0] = 0;
    memset(numbers, 0, count * 8);
    for (size_t i = 0; i < count; i++) {
        times[i] = start_ns + (int64_t)i * step_ns + (jitters ? (int64_t)af_prng_below(prng, (uint64_t)step_ns) : 0);
        const int32_t len = (int32_t)af_prng_below(prng, 9);
        memset(bytes + offsets[i], 'a' + (int)(i % 26), (size_t)len);
        offsets[i + 1] = offsets[i] + len;
        if (type == AF_TYPE_F64)
            ((double *)(void *)numbers)[i] = fixture_double(prng, style);
        else if (type == AF_TYPE_BOOL && af_prng_below(prng, 2) != 0)
            af_bit_set(numbers, i);
        else if (type == AF_TYPE_I64 || type == AF_TYPE_U64)
            numbers[i] = af_prng_below(prng, spread) - (type == AF_TYPE_I64 ? spread / 2 : 0);
    }
    out->values.u64 = numbers;
    if (type == AF_TYPE_STRING) {
        out->values.values = NULL;
        out->values.offsets = offsets;
        out->values.bytes = bytes;
    }
}

/* Rows [a, a + count) of one and [b, ...) of the other hold the same. */
static inline bool fixture_same(const struct af_tsm_values *x, size_t a, const struct af_tsm_values *y, size_t b, size_t count)
{
    if (x->values.type != y->values.type || memcmp(x->time_ns + a, y->time_ns + b, count * 8) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (x->values.type == AF_TYPE_STRING) {
            if (!af_slice_eq(af_column_text(&x->values, a + i), af_column_text(&y->values, b + i)))
                return false;
        } else if (x->values.type == AF_TYPE_BOOL) {
            if (af_bit_get(x->values.bits, a + i) != af_bit_get(y->values.bits, b + i))
                return false;
        } else if (x->values.u64[a + i] != y->values.u64[b + i]) {
            return false;
        }
    }
    return true;
}
#endif
