/*
 * fn_fixture.h - what the tests of this folder share: columns made by hand, calls, windows run through state, add and finish.
 */
#ifndef AF_FN_FIXTURE_H
#define AF_FN_FIXTURE_H
#include "base/alloc.h"
#include "base/prng.h"
#include "fn/fn_int.h"
#include "test/lib/test.h"
#include <math.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static inline struct af_column fix_f64(const double *values)
{
    return (struct af_column){ .type = AF_TYPE_F64, .f64 = values };
}
static inline struct af_column fix_i64(const int64_t *values)
{
    return (struct af_column){ .type = AF_TYPE_I64, .i64 = values };
}
static inline struct af_column fix_u64(const uint64_t *values)
{
    return (struct af_column){ .type = AF_TYPE_U64, .u64 = values };
}
static inline struct af_column fix_bools(const uint64_t *bits)
{
    return (struct af_column){ .type = AF_TYPE_BOOL, .bits = bits };
}
/* The same with nulls where `validity` has 0. */
static inline struct af_column fix_nulls(struct af_column column, const uint64_t *validity, size_t rows)
{
    column.validity = validity;
    column.null_count = rows - af_bits_count(validity, rows);
    return column;
}
/* Texts as offsets and bytes, in `arena`; NULL: null. */
static inline struct af_column fix_texts(struct af_arena *arena, size_t rows, const char *const *texts)
{
    int32_t *offsets = af_arena_zero(arena, rows + 1, sizeof *offsets);
    uint64_t *validity = af_bits_new(arena, rows, true);
    char *bytes = af_arena_zero(arena, 1 << 16, 1);
    AF_CHECK(offsets != NULL && validity != NULL && bytes != NULL);
    for (size_t i = 0; i < rows; i++) {
        size_t len = texts[i] == NULL ? 0 : strlen(texts[i]);
        if (texts[i] == NULL)
            af_bit_clear(validity, i);
        else
            memcpy(bytes + offsets[i], texts[i], len);
        offsets[i + 1] = offsets[i] + (int32_t)len;
    }
    struct af_column column = { .type = AF_TYPE_STRING, .offsets = offsets, .bytes = bytes };
    return fix_nulls(column, validity, rows);
}
/* The same texts as codes of a dictionary, which the arena holds. */
static inline struct af_column fix_dict(struct af_arena *arena, size_t rows, const char *const *texts)
{
    struct af_column plain = fix_texts(arena, rows, texts);
    struct af_error err = { 0 };
    struct af_dict *dict;
    AF_CHECK_OK(af_dict_new(plain.offsets, plain.bytes, (uint32_t)rows, &dict, &err), err);
    AF_CHECK_OK(af_dict_hold(dict, arena, &err), err);
    af_dict_unref(dict);
    uint32_t *codes = af_arena_zero(arena, rows, sizeof *codes);
    AF_CHECK(codes != NULL);
    for (size_t i = 0; i < rows; i++)
        for (codes[i] = 0; texts[i] != NULL && !af_slice_is(af_dict_get(dict, codes[i]), texts[i]); codes[i]++)
            ;
    struct af_column column = { .type = AF_TYPE_STRING, .codes = codes, .dict = dict };
    return fix_nulls(column, plain.validity, rows);
}

static inline struct af_fn_call fix_call(enum af_fn id, enum af_type type)
{
    return (struct af_fn_call){ .id = id, .type = type };
}
static inline struct af_fn_call fix_call_i64(enum af_fn id, enum af_type type, int64_t param)
{
    return (struct af_fn_call){ .id = id, .type = type, .params = { af_value_i64(param) }, .param_count = 1 };
}

/* A window through its state, in runs of at most `run` rows; the result's text lives in `arena`. */
static inline struct af_value fix_aggregate(const struct af_fn_call *call, const int64_t *times, const struct af_column *column,
                                            size_t rows, size_t run, struct af_arena *arena, int64_t *out_time)
{
    struct af_error err = { 0 };
    AF_CHECK_OK(af_fn_check(call, &err), err);
    void *state = af_arena_zero(arena, 1, af_fn_state_bytes(call));
    AF_CHECK(state != NULL);
    for (size_t at = 0; at < rows; at += run)
        AF_CHECK_OK(af_fn_add(call, state, times, column, at, rows - at < run ? rows - at : run, arena, &err), err);
    struct af_value value;
    int64_t time = INT64_MIN;
    AF_CHECK_OK(af_fn_finish(call, state, arena, &value, &time, &err), err);
    if (out_time != NULL)
        *out_time = time;
    return value;
}

/* Equal to the last bit; of floats all NaN are one. */
static inline bool fix_same(const struct af_value *a, const struct af_value *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == AF_TYPE_STRING)
        return af_slice_eq(a->text, b->text);
    if (a->type == AF_TYPE_BOOL)
        return a->boolean == b->boolean;
    return a->type == AF_TYPE_NULL || a->u64 == b->u64 || (a->type == AF_TYPE_F64 && isnan(a->f64) && isnan(b->f64));
}

/* A transform over rows in runs of `run`; its output in arrays of `arena`. */
struct fix_rows {
    size_t count;
    int64_t times[4096];
    union fn_cell cells[4096];
};
static inline struct fix_rows *fix_transform(const struct af_fn_call *call, bool descending, const int64_t *times,
                                             const struct af_column *column, size_t rows, size_t run, struct af_arena *arena)
{
    struct af_error err = { 0 };
    struct fix_rows *all = af_arena_zero(arena, 1, sizeof *all);
    struct af_transform *transform;
    struct af_column out;
    int64_t *out_times;
    size_t count = 1;
    AF_CHECK(all != NULL);
    AF_CHECK_OK(af_transform_new(call, descending, arena, &transform, &err), err);
    for (size_t at = 0; at < rows || count != 0; at += run) {
        if (at < rows) {
            struct af_column part = *column;
            size_t len = rows - at < run ? rows - at : run;
            uint64_t *validity = af_bits_new(arena, len, false);
            if (part.type == AF_TYPE_F64 || part.type == AF_TYPE_I64 || part.type == AF_TYPE_U64)
                part.u64 += at;
            for (size_t i = 0; i < len; i++)
                if (af_column_has(column, at + i))
                    af_bit_set(validity, i);
            part.validity = column->validity == NULL ? NULL : validity;
            AF_CHECK_OK(af_transform_add(transform, times + at, &part, len, arena, &out_times, &out, &count, &err), err);
            AF_CHECK(count <= len);
        } else {
            AF_CHECK_OK(af_transform_end(transform, run, arena, &out_times, &out, &count, &err), err);
            AF_CHECK(count <= run);
        }
        AF_CHECK(out.validity == NULL);
        for (size_t i = 0; i < count; i++, all->count++) {
            all->times[all->count] = out_times[i];
            all->cells[all->count].u64 = out.u64[i];
        }
        count = at + run < rows ? 1 : at < rows ? 1 : count;
    }
    return all;
}
#endif
