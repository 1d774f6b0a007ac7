/*
 * points_made.h - for tests and fuzzers of this folder: repeatable points of every type, dense and sparse, with rows left out.
 */
#ifndef AF_TSM_POINTS_MADE_H
#define AF_TSM_POINTS_MADE_H
#include "base/alloc.h"
#include "base/prng.h"
#include "tsm/tsm_int.h"
#include <stdio.h>
#include <stdlib.h>

struct made {
    struct af_arena arena;
    struct af_series_set set;
    struct af_points points;
    uint32_t *ids;           /* as an index would give: by key, AF_INDEX_NONE where the row is none */
};
struct made_how {
    size_t rows, fields;
    uint32_t series;
    unsigned null_percent;   /* of each odd field */
    unsigned reject_percent; /* of rows */
    uint32_t first_field;    /* names begin at f<this> */
};

static inline void made_must(bool holds)
{
    if (!holds)
        abort();
}

static inline void made_init(struct made *made)
{
    *made = (struct made){ 0 };
    af_arena_init(&made->arena, (size_t)1 << 32);
    af_series_set_init(&made->set);
}

static inline void made_done(struct made *made)
{
    af_series_set_done(&made->set);
    af_arena_done(&made->arena);
}

static inline enum af_type made_type(size_t field)
{
    static const enum af_type types[] = { AF_TYPE_F64, AF_TYPE_I64, AF_TYPE_BOOL, AF_TYPE_STRING, AF_TYPE_U64 };
    return types[field % 5];
}

static inline void made_strings(struct made *made, struct af_prng *prng, size_t rows, bool is_dict, struct af_column *col)
{
    size_t texts = is_dict ? 7 : rows;
    int32_t *offsets = af_arena_array(&made->arena, texts + 1, sizeof *offsets);
    char *bytes = af_arena_array(&made->arena, texts, 12);
    offsets[0] = 0;
    for (size_t i = 0; i < texts; i++) {
        int n = (int)af_prng_below(prng, 12);
        for (int k = 0; k < n; k++)
            bytes[offsets[i] + k] = (char)('a' + af_prng_below(prng, 3));
        offsets[i + 1] = offsets[i] + n;
    }
    col->offsets = offsets;
    col->bytes = bytes;
    if (!is_dict)
        return;
    uint32_t *codes = af_arena_array(&made->arena, rows, sizeof *codes);
    for (size_t i = 0; i < rows; i++)
        codes[i] = (uint32_t)af_prng_below(prng, 7);
    made_must(af_dict_new(offsets, bytes, 7, &col->dict, NULL) == AF_OK);
    made_must(af_dict_hold(col->dict, &made->arena, NULL) == AF_OK);
    af_dict_unref(col->dict);
    col->codes = codes;
    col->offsets = NULL;
    col->bytes = NULL;
}

static inline void made_column(struct made *made, struct af_prng *prng, size_t rows, enum af_type type, struct af_column *col)
{
    uint64_t *values = af_arena_array(&made->arena, rows + 64, sizeof *values);
    col->type = type;
    if (type == AF_TYPE_STRING) {
        made_strings(made, prng, rows, af_prng_below(prng, 2) == 0, col);
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        double f = (double)(int64_t)af_prng_below(prng, 1000000) / 8;
        values[i] = af_prng_next(prng);
        if (type == AF_TYPE_F64)
            memcpy(&values[i], &f, sizeof f);
    }
    col->values = values;
}

static inline void made_validity(struct made *made, struct af_prng *prng, size_t rows, unsigned null_percent, struct af_column *col)
{
    uint64_t *bits = af_bits_new(&made->arena, rows, false);
    for (size_t i = 0; i < rows; i++)
        if (af_prng_below(prng, 100) >= null_percent)
            af_bit_set(bits, i);
    col->validity = bits;
    col->null_count = rows - af_bits_count(bits, rows);
}

/* Keys of `series` series; each row is of any of them, at a time near its number. */
static inline void made_rows(struct made *made, struct af_prng *prng, const struct made_how *how)
{
    uint32_t *series = af_arena_array(&made->arena, how->rows, sizeof *series);
    int64_t *times = af_arena_array(&made->arena, how->rows, sizeof *times);
    made->ids = af_arena_array(&made->arena, how->rows, sizeof *made->ids);
    for (size_t i = 0; i < how->rows; i++) {
        char key[32];
        uint32_t number = (uint32_t)af_prng_below(prng, how->series);
        int n = snprintf(key, sizeof key, "m%u,tag=%u", number % 3, number);
        made_must(af_intern_add(&made->set.keys, af_slice_make(key, (size_t)n), &series[i], NULL) == AF_OK);
        bool is_out = af_prng_below(prng, 100) < how->reject_percent;
        made->ids[i] = is_out ? AF_INDEX_NONE : number;
        series[i] = is_out ? UINT32_MAX : series[i];
        times[i] = (int64_t)(i * 10 + af_prng_below(prng, 40)) - 1000;
    }
    made->points.series = series;
    made->points.time_ns = times;
}

static inline void made_points(struct made *made, struct af_prng *prng, const struct made_how *how)
{
    struct af_point_field *fields = af_arena_zero(&made->arena, how->fields, sizeof *fields);
    made->points = (struct af_points){ .row_count = how->rows, .set = &made->set, .field_count = how->fields, .fields = fields };
    made_rows(made, prng, how);
    for (size_t f = 0; f < how->fields; f++) {
        size_t number = f + how->first_field;
        const char *name = af_arena_printf(&made->arena, "f%zu", number);
        fields[f].name = fields[f].escaped = af_slice_of(name);
        made_column(made, prng, how->rows, made_type(number), &fields[f].column);
        if (number % 2 == 1 && how->null_percent > 0)
            made_validity(made, prng, how->rows, how->null_percent, &fields[f].column);
    }
}

/* The same value in two columns? Both rows have one. */
static inline bool made_same(const struct af_column *a, size_t i, const struct af_column *b, size_t k)
{
    if (a->type != b->type)
        return false;
    if (a->type == AF_TYPE_STRING)
        return af_slice_eq(af_column_text(a, i), af_column_text(b, k));
    if (a->type == AF_TYPE_BOOL)
        return af_bit_get(a->bits, i) == af_bit_get(b->bits, k);
    return a->u64[i] == b->u64[k];
}
#endif
