/* record_test.c - points to a record and back: what is kept, what is left out, the bytes, damage, no memory. */
#include "base/limits.h"
#include "test/lib/test.h"
#include "tsm/points_made.h"
#include <math.h>

static const struct af_point_field *find_field(const struct af_points *points, struct af_slice name)
{
    for (size_t i = 0; i < points->field_count; i++)
        if (af_slice_eq(points->fields[i].name, name))
            return &points->fields[i];
    return NULL;
}

static struct af_slice key_of(const struct af_points *points, size_t row)
{
    return points->set->keys.keys[points->series[row]];
}

static void check_row(const struct af_points *want, size_t i, const struct af_points *got, size_t k)
{
    AF_CHECK_INT(got->time_ns[k], want->time_ns[i]);
    AF_CHECK(af_slice_eq(key_of(got, k), key_of(want, i)));
    for (size_t f = 0; f < want->field_count; f++) {
        const struct af_point_field *field = find_field(got, want->fields[f].name);
        bool has = af_column_has(&want->fields[f].column, i);
        if (field == NULL)
            AF_CHECK(!has);
        else
            AF_CHECK(has == af_column_has(&field->column, k) && (!has || made_same(&want->fields[f].column, i, &field->column, k)));
    }
}

/* `got` is `want` without the rows that are none. */
static void check_same(const struct af_points *want, const struct af_points *got)
{
    size_t k = 0;
    for (size_t i = 0; i < want->row_count; i++) {
        if (want->series[i] == UINT32_MAX)
            continue;
        AF_CHECK(k < got->row_count);
        check_row(want, i, got, k++);
    }
    AF_CHECK_INT(got->row_count, k);
    AF_CHECK(got->field_count <= want->field_count);
}

struct back {
    struct af_arena arena;
    struct af_series_set set;
    struct af_points points;
    uint64_t bucket;
    struct af_buf bytes;
};
static void back_init(struct back *back)
{
    *back = (struct back){ 0 };
    af_arena_init(&back->arena, 1 << 28);
    af_series_set_init(&back->set);
    af_buf_init(&back->bytes, 1 << 28);
}
static void back_done(struct back *back)
{
    af_series_set_done(&back->set);
    af_arena_done(&back->arena);
    af_buf_done(&back->bytes);
}
static enum af_status decode(struct back *back, struct af_slice bytes, struct af_error *err)
{
    af_arena_reset(&back->arena);
    return af_record_decode(bytes, &back->arena, &back->set, &back->bucket, &back->points, err);
}

static void round_trip(const struct af_points *points)
{
    struct back back;
    struct af_error err;
    back_init(&back);
    af_buf_append_str(&back.bytes, "what was there");
    size_t start = back.bytes.len;
    AF_CHECK_OK(af_record_encode(77, points, &back.bytes, &err), err);
    struct af_slice record = af_slice_make(back.bytes.ptr + start, back.bytes.len - start);
    AF_CHECK_OK(decode(&back, record, &err), err);
    AF_CHECK_INT(back.bucket, 77);
    check_same(points, &back.points);
    back_done(&back);
}

AF_TEST(record_comes_back_as_it_was)
{
    struct af_prng prng = { 1 };
    for (int i = 0; i < 200; i++) {
        struct made made;
        made_init(&made);
        struct made_how how = { .rows = af_prng_below(&prng, 300), .fields = af_prng_below(&prng, 12),
                                .series = 1 + (uint32_t)af_prng_below(&prng, 100), .null_percent = (unsigned)af_prng_below(&prng, 4) * 33,
                                .reject_percent = (unsigned)af_prng_below(&prng, 3) * 40 };
        made_points(&made, &prng, &how);
        round_trip(&made.points);
        made_done(&made);
    }
}

AF_TEST(record_leaves_out_what_no_row_needs)
{
    struct made made;
    struct back back;
    struct af_error err;
    struct af_prng prng = { 3 };
    made_init(&made);
    back_init(&back);
    made_points(&made, &prng, &(struct made_how){ .rows = 100, .fields = 2, .series = 1000, .null_percent = 50 });
    uint32_t series[100];
    uint64_t validity[2] = { 0, 0 };
    for (size_t i = 0; i < 100; i++) {
        series[i] = i % 10 == 0 ? made.points.series[i] : UINT32_MAX;
        if (i % 10 != 0)
            af_bit_set(validity, i);
    }
    struct af_point_field fields[2] = { made.points.fields[0], made.points.fields[1] };
    fields[1].column.validity = validity; /* only rows that are left out have it */
    made.points.series = series;
    made.points.fields = fields;
    AF_CHECK_OK(af_record_encode(1, &made.points, &back.bytes, &err), err);
    AF_CHECK_OK(decode(&back, af_buf_slice(&back.bytes), &err), err);
    check_same(&made.points, &back.points);
    AF_CHECK_INT(back.points.field_count, 1);
    AF_CHECK(back.set.keys.count <= 10);
    made_done(&made);
    back_done(&back);
}

AF_TEST(record_bytes_are_these)
{
    static const unsigned char want[] = {
        1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
        3, 0, 0, 0, 'c', 'p', 'u', 0, 0, 0, 0, 0, 0, 0, 0,
        1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
        1, 0, 0, 0, 3, 0, 0, 0, 'a', ' ', 'b', 9, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        3, 1, 0, 0, 1, 0, 0, 0, 's', 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 'h', 'i',
    };
    struct af_series_set set;
    struct back back;
    struct af_error err;
    uint32_t series[3];
    const int64_t times[] = { 1, 7, 2 };
    const int64_t numbers[] = { 9, 8, -1 };
    const int32_t offsets[] = { 0, 1, 2, 4 };
    const uint64_t validity = 4;
    struct af_point_field fields[2] = {
        { .name = AF_SLICE_LIT("a b"), .column = { .type = AF_TYPE_I64, .i64 = numbers } },
        { .name = AF_SLICE_LIT("s"), .column = { .type = AF_TYPE_STRING, .offsets = offsets, .bytes = "xyhi", .validity = &validity } },
    };
    af_series_set_init(&set);
    back_init(&back);
    AF_CHECK_OK(af_intern_add(&set.keys, AF_SLICE_LIT("unused"), &series[0], &err), err);
    AF_CHECK_OK(af_intern_add(&set.keys, AF_SLICE_LIT("cpu"), &series[0], &err), err);
    series[1] = UINT32_MAX;
    series[2] = series[0];
    struct af_points points = { .row_count = 3, .set = &set, .series = series, .time_ns = times, .field_count = 2, .fields = fields };
    AF_CHECK_OK(af_record_encode(5, &points, &back.bytes, &err), err);
    AF_CHECK_INT(back.bytes.len, sizeof want);
    AF_CHECK(memcmp(back.bytes.ptr, want, sizeof want) == 0);
    AF_CHECK_OK(decode(&back, af_slice_make(want, sizeof want), &err), err);
    AF_CHECK_SLICE(back.points.fields[0].escaped, "a\\ b");
    AF_CHECK_SLICE(back.points.fields[0].name, "a b");
    AF_CHECK_SLICE(back.points.fields[1].escaped, "s");
    af_series_set_done(&set);
    back_done(&back);
}

AF_TEST(record_cut_short_is_corrupt)
{
    struct made made;
    struct back back;
    struct af_error err;
    struct af_prng prng = { 4 };
    made_init(&made);
    back_init(&back);
    made_points(&made, &prng, &(struct made_how){ .rows = 70, .fields = 5, .series = 9, .null_percent = 30 });
    AF_CHECK_OK(af_record_encode(1, &made.points, &back.bytes, &err), err);
    for (size_t len = 0; len < back.bytes.len; len++) {
        char *exact = malloc(len + 1); /* so that a read past the end is found */
        memcpy(exact, back.bytes.ptr, len);
        AF_CHECK_FAILS(decode(&back, af_slice_make(exact, len), &err), AF_ECORRUPT);
        free(exact);
    }
    af_buf_append_char(&back.bytes, 'x');
    AF_CHECK_FAILS(decode(&back, af_buf_slice(&back.bytes), &err), AF_ECORRUPT);
    made_done(&made);
    back_done(&back);
}

AF_TEST(record_counts_that_lie_take_no_memory)
{
    struct made made;
    struct back back;
    struct af_error err;
    struct af_prng prng = { 5 };
    made_init(&made);
    back_init(&back);
    made_points(&made, &prng, &(struct made_how){ .rows = 20, .fields = 5, .series = 4, .null_percent = 30 });
    AF_CHECK_OK(af_record_encode(1, &made.points, &back.bytes, &err), err);
    for (size_t at = 4; at < 32; at += 4) {
        uint32_t huge = 0x7fffffff;
        uint32_t old;
        if (at == 8 || at == 12) /* the bucket is what it is */
            continue;
        memcpy(&old, back.bytes.ptr + at, 4);
        memcpy(back.bytes.ptr + at, &huge, 4);
        AF_CHECK_FAILS(decode(&back, af_buf_slice(&back.bytes), &err), AF_ECORRUPT);
        AF_CHECK(back.arena.bytes_used < 100000);
        memcpy(back.bytes.ptr + at, &old, 4);
    }
    AF_CHECK_OK(decode(&back, af_buf_slice(&back.bytes), &err), err);
    made_done(&made);
    back_done(&back);
}

AF_TEST(record_refuses_what_it_cannot_say)
{
    struct made made;
    struct back back;
    struct af_error err;
    struct af_prng prng = { 6 };
    made_init(&made);
    back_init(&back);
    made_points(&made, &prng, &(struct made_how){ .rows = 20, .fields = 1, .series = 4 });
    struct af_point_field field = made.points.fields[0];
    made.points.fields = &field;
    field.column.type = AF_TYPE_DECIMAL;
    AF_CHECK_FAILS(af_record_encode(1, &made.points, &back.bytes, &err), AF_EBUG);
    field.column.type = AF_TYPE_F64;
    back.bytes.bytes_max = 300;
    AF_CHECK_FAILS(af_record_encode(1, &made.points, &back.bytes, &err), AF_ELIMIT);
    AF_CHECK_INT(back.bytes.len, 0);
    AF_CHECK(!back.bytes.failed);
    back.bytes.bytes_max = 1 << 20;
    double odd[20] = { 0 };
    odd[13] = NAN;
    field.column.f64 = odd;
    AF_CHECK_OK(af_record_encode(1, &made.points, &back.bytes, &err), err);
    AF_CHECK_FAILS(decode(&back, af_buf_slice(&back.bytes), &err), AF_ECORRUPT);
    made_done(&made);
    back_done(&back);
}

AF_TEST(record_survives_any_failed_allocation)
{
    struct made made;
    struct af_error err;
    struct af_prng prng = { 7 };
    made_init(&made);
    made_points(&made, &prng, &(struct made_how){ .rows = 3000, .fields = 6, .series = 500, .null_percent = 30, .reject_percent = 5 });
    for (size_t n = 1, done = 0; !done; n++) {
        struct back back;
        back_init(&back);
        af_alloc_fail_nth(n);
        enum af_status status = af_record_encode(1, &made.points, &back.bytes, &err);
        if (status == AF_OK)
            status = decode(&back, af_buf_slice(&back.bytes), &err);
        else
            AF_CHECK(back.bytes.len == 0 && !back.bytes.failed);
        done = af_alloc_fail_nth(0) < n;
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK(!done || status == AF_OK);
        if (status == AF_OK)
            check_same(&made.points, &back.points);
        back_done(&back);
    }
    made_done(&made);
}
