/*
 * tsm_block_fuzz.c - any bytes as a block, and any bytes as values of a block.
 *
 * Properties: a block that decodes has strictly ascending times, is described with the same type and count, and what it holds encodes to
 * a block that decodes to the same; taken apart it gives the same, also its first half alone; any values that can be stored come back
 * bit for bit. Foreign counts cost no memory beyond the limits.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "format/tsm/block_int.h"
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { POINTS = 512 };

static void must(bool ok)
{
    if (!ok)
        abort();
}

static bool same_column(const struct af_column *a, const struct af_column *b, size_t count)
{
    if (a->type == AF_TYPE_BOOL)
        return memcmp(a->bits, b->bits, af_bit_words(count) * 8) == 0;
    if (a->type != AF_TYPE_STRING)
        return memcmp(a->values, b->values, count * 8) == 0;
    return memcmp(a->offsets, b->offsets, (count + 1) * sizeof *a->offsets) == 0 &&
           memcmp(a->bytes, b->bytes, (size_t)a->offsets[count]) == 0;
}

static bool has_infinities(const struct af_tsm_values *v)
{
    bool found = false;
    for (size_t i = 0; v->values.type == AF_TYPE_F64 && i < v->count; i++)
        found = found || !isfinite(v->values.f64[i]);
    return found;
}

/* Taken apart: regular or not, and the first half of its values. */
static void take_apart(struct af_slice block, const struct af_tsm_values *v, struct af_arena *arena)
{
    struct af_tsm_block_view view;
    struct af_column column;
    int64_t *times;
    must(af_tsm_block_open(block, &view, NULL) == AF_OK);
    must(view.type == v->values.type && view.count == v->count && view.first_ns == v->time_ns[0]);
    must(af_tsm_block_times(&view, arena, &times, NULL) == AF_OK && memcmp(times, v->time_ns, v->count * 8) == 0);
    for (size_t i = 0; view.is_regular && i < v->count; i++)
        must((uint64_t)v->time_ns[i] == (uint64_t)view.first_ns + i * view.step_ns);
    must(af_tsm_block_column(&view, v->count, arena, &column, NULL) == AF_OK && same_column(&v->values, &column, v->count));
    const size_t half = (v->count + 1) / 2;
    must(af_tsm_block_column(&view, half, arena, &column, NULL) == AF_OK);
    if (v->values.type == AF_TYPE_F64)
        must(memcmp(column.f64, v->values.f64, half * 8) == 0);
}

static void encode_and_back(const struct af_tsm_values *v, struct af_arena *arena)
{
    struct af_tsm_values back;
    struct af_buf out;
    af_buf_init(&out, (size_t)1 << 30);
    enum af_status status = af_tsm_block_encode(v, 0, v->count, &out, NULL);
    must(status == (has_infinities(v) ? AF_EINVAL : AF_OK));
    if (status == AF_OK) {
        must(af_tsm_block_decode(af_buf_slice(&out), arena, &back, NULL) == AF_OK);
        must(back.count == v->count && back.values.type == v->values.type);
        must(memcmp(back.time_ns, v->time_ns, v->count * 8) == 0);
        must(same_column(&v->values, &back.values, v->count));
        take_apart(af_buf_slice(&out), v, arena);
    }
    af_buf_done(&out);
}

static void decode_any(struct af_slice block, struct af_arena *arena)
{
    struct af_tsm_values v;
    enum af_type type;
    size_t count;
    const char *time_name, *value_name;
    enum af_status described = af_tsm_block_describe(block, &type, &count, &time_name, &value_name, NULL);
    enum af_status status = af_tsm_block_decode(block, arena, &v, NULL);
    must(status == AF_OK || status == AF_ECORRUPT || status == AF_ELIMIT);
    if (status != AF_OK)
        return;
    must(described == AF_OK && type == v.values.type && count == v.count);
    must(count > 0 && count <= AF_TSM_BLOCK_POINTS_MAX);
    for (size_t i = 1; i < count; i++)
        must(v.time_ns[i - 1] < v.time_ns[i]);
    take_apart(block, &v, arena);
    encode_and_back(&v, arena);
}

/* Byte 0: type; byte 1: how wide steps are; the rest: numbers, each the step of a time and a value. */
static void store_any(const uint8_t *data, size_t size, struct af_arena *arena)
{
    static int64_t times[POINTS];
    static uint64_t numbers[POINTS];
    static int32_t offsets[POINTS + 1];
    enum af_type type;
    const size_t count = size / 8 < POINTS ? size / 8 : POINTS;
    if (size < 10 || !af_tsm_type_of(data[0] % 5, &type))
        return;
    memcpy(numbers, data + 2, (count - 1) * 8);
    numbers[count - 1] = 0;
    int64_t t = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        times[i] = t;
        t = (int64_t)((uint64_t)t + 1 + (numbers[i] >> (10 + data[1] % 54)));
        offsets[i + 1] = offsets[i] + (int32_t)(numbers[i] % (data[1] + 1u) % 9 * (i < count - 1));
    }
    if (type == AF_TYPE_BOOL && count % 64 != 0)
        numbers[count / 64] &= UINT64_MAX >> (64 - count % 64);
    struct af_tsm_values v = { count, times, { .type = type, .values = numbers } };
    if (type == AF_TYPE_STRING)
        v.values = (struct af_column){ .type = type, .offsets = offsets, .bytes = (const char *)data };
    if (type == AF_TYPE_STRING && (size_t)offsets[count] > size)
        return;
    encode_and_back(&v, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_arena arena;
    af_arena_init(&arena, (size_t)64 << 20);
    decode_any(af_slice_make(data, size), &arena);
    af_arena_reset(&arena);
    store_any(data, size, &arena);
    af_arena_done(&arena);
    return 0;
}
