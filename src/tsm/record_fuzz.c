/*
 * record_fuzz.c - any bytes as a record of the log, and any points through it.
 *
 * The first byte chooses: even - the rest is a record; odd - the rest says how points are made, which are encoded and decoded.
 * Properties: what decodes stays in the bounds of what was decoded and encodes to a record that decodes to the same; memory is in
 * proportion to the bytes; what was encoded decodes to itself; cut anywhere, it does not decode.
 */
#include "base/hash.h"
#include "tsm/points_made.h"

static size_t row_after(const struct af_points *points, size_t row)
{
    while (row < points->row_count && points->series[row] == UINT32_MAX)
        row++;
    return row;
}

static void check_value(const struct af_point_field *want, size_t i, const struct af_points *got, size_t k)
{
    bool has = af_column_has(&want->column, i);
    for (size_t f = 0; f < got->field_count; f++) {
        if (!af_slice_eq(got->fields[f].name, want->name) || got->fields[f].column.type != want->column.type)
            continue;
        if (has && af_column_has(&got->fields[f].column, k) && made_same(&want->column, i, &got->fields[f].column, k))
            return; /* a foreign record may name a field twice: one of them must be it */
        if (!has && !af_column_has(&got->fields[f].column, k))
            return;
    }
    made_must(!has);
}

static void check_same(const struct af_points *want, const struct af_points *got)
{
    size_t i = 0;
    for (size_t k = 0; k < got->row_count; k++, i++) {
        i = row_after(want, i);
        made_must(i < want->row_count && got->time_ns[k] == want->time_ns[i]);
        made_must(af_slice_eq(want->set->keys.keys[want->series[i]], got->set->keys.keys[got->series[k]]));
        for (size_t f = 0; f < want->field_count; f++)
            check_value(&want->fields[f], i, got, k);
    }
    made_must(row_after(want, i) == want->row_count);
}

static void round_trip(const struct af_points *points, uint64_t bucket, size_t cut)
{
    struct made back;
    struct af_buf bytes;
    uint64_t got;
    made_init(&back);
    af_buf_init(&bytes, 1 << 28);
    made_must(af_record_encode(bucket, points, &bytes, NULL) == AF_OK);
    made_must(af_record_decode(af_buf_slice(&bytes), &back.arena, &back.set, &got, &back.points, NULL) == AF_OK);
    made_must(got == bucket);
    check_same(points, &back.points);
    bytes.len = cut % bytes.len;
    af_arena_reset(&back.arena);
    made_must(af_record_decode(af_buf_slice(&bytes), &back.arena, &back.set, &got, &back.points, NULL) == AF_ECORRUPT);
    af_buf_done(&bytes);
    made_done(&back);
}

/* Reads all of it: a sanitizer sees what lies outside. */
static uint64_t touch(const struct af_points *points)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < points->row_count; i++) {
        made_must(points->series[i] < points->set->keys.count);
        for (size_t f = 0; f < points->field_count; f++) {
            const struct af_column *col = &points->fields[f].column;
            if (!af_column_has(col, i))
                continue;
            if (col->type == AF_TYPE_STRING)
                sum += af_hash_bytes(af_column_text(col, i).ptr, af_column_text(col, i).len, 0);
            else
                sum += col->type == AF_TYPE_BOOL ? af_bit_get(col->bits, i) : col->u64[i];
        }
    }
    return sum;
}

static void as_record(const uint8_t *data, size_t size)
{
    struct made made;
    uint64_t bucket;
    made_init(&made);
    if (af_record_decode(af_slice_make(data, size), &made.arena, &made.set, &bucket, &made.points, NULL) == AF_OK) {
        volatile uint64_t sum = touch(&made.points);
        (void)sum;
        round_trip(&made.points, bucket, size / 2);
    }
    made_must(made.arena.bytes_used <= 200 * size + 100000);
    made_done(&made);
}

static void as_points(const uint8_t *data, size_t size)
{
    uint8_t how_bytes[8] = { 0 };
    struct made made;
    memcpy(how_bytes, data, size < sizeof how_bytes ? size : sizeof how_bytes);
    struct af_prng prng = { how_bytes[0] };
    struct made_how how = { .rows = how_bytes[1], .fields = how_bytes[2] % 12, .series = 1u + how_bytes[3],
                            .null_percent = how_bytes[4] % 101u, .reject_percent = how_bytes[5] % 101u, .first_field = how_bytes[6] };
    made_init(&made);
    made_points(&made, &prng, &how);
    round_trip(&made.points, how_bytes[7], how_bytes[7] * 31u);
    made_done(&made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] % 2 == 0)
        as_record(data + 1, size - 1);
    else if (size > 0)
        as_points(data + 1, size - 1);
    return 0;
}
