/*
 * parts_test.h - a plain model for tests of TSM parts: for a few keys, one of each type, a cell for each of some thousand times.
 *
 * A part is random cells, written in random pieces. What a set of parts must read as is the cells of its parts laid over each other.
 */
#ifndef AF_TSM_PARTS_TEST_H
#define AF_TSM_PARTS_TEST_H
#include "base/alloc.h"
#include "base/prng.h"
#include "test/lib/test.h"
#include "tsm/tsm_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { T_KEYS = 5, T_TIMES = 5000 };
struct t_cells {
    bool has[T_KEYS][T_TIMES];
    uint32_t value[T_KEYS][T_TIMES];
};

static inline enum af_type t_type(size_t key)
{
    static const enum af_type types[T_KEYS] = { AF_TYPE_F64, AF_TYPE_I64, AF_TYPE_BOOL, AF_TYPE_STRING, AF_TYPE_U64 };
    return types[key];
}

static inline struct af_slice t_key(size_t key)
{
    static const char *const keys[T_KEYS] = { "m,k=a" AF_TSM_KEY_SEPARATOR "f", "m,k=b" AF_TSM_KEY_SEPARATOR "f",
                                              "m,k=b" AF_TSM_KEY_SEPARATOR "g", "m,k=c" AF_TSM_KEY_SEPARATOR "f",
                                              "n" AF_TSM_KEY_SEPARATOR "x" };
    return af_slice_of(keys[key]);
}

static inline int64_t t_time(size_t i)
{
    return ((int64_t)i - T_TIMES / 2) * 1000000007;
}

static inline size_t t_index(int64_t time_ns)
{
    const int64_t i = time_ns / 1000000007 + T_TIMES / 2;
    AF_CHECK(i >= 0 && i < T_TIMES && t_time((size_t)i) == time_ns);
    return (size_t)i;
}

static inline uint64_t t_bits(enum af_type type, uint32_t value)
{
    uint64_t bits = value;
    double real = value / 8.0;
    if (type == AF_TYPE_F64)
        memcpy(&bits, &real, sizeof bits);
    return bits;
}

static inline size_t t_text(uint32_t value, char *dst, size_t cap)
{
    return (size_t)snprintf(dst, cap, "%*u", (int)(value % 40), value);
}

/* Cells [from, to) of a key that are there. */
static inline void t_values(const struct t_cells *cells, size_t key, size_t from, size_t to, struct af_arena *arena,
                            struct af_tsm_values *out)
{
    const enum af_type type = t_type(key);
    const size_t cap = to - from;
    int64_t *times = af_arena_array(arena, cap, 8);
    uint64_t *fixed = af_arena_zero(arena, cap + 1, 8);
    int32_t *offsets = af_arena_zero(arena, cap + 1, 4);
    char *text = af_arena_alloc(arena, cap * 64 + 1);
    size_t n = 0;
    AF_CHECK(times != NULL && fixed != NULL && offsets != NULL && text != NULL);
    for (size_t i = from; i < to; i++) {
        if (!cells->has[key][i])
            continue;
        const uint32_t value = cells->value[key][i];
        times[n] = t_time(i);
        if (type == AF_TYPE_BOOL && value % 2 != 0)
            af_bit_set(fixed, n);
        if (type != AF_TYPE_BOOL)
            fixed[n] = t_bits(type, value);
        offsets[n + 1] = offsets[n] + (int32_t)t_text(value, text + offsets[n], 64);
        n++;
    }
    *out = (struct af_tsm_values){ .count = n, .time_ns = times };
    out->values.type = type;
    if (type == AF_TYPE_STRING) {
        out->values.offsets = offsets;
        out->values.bytes = text;
    } else {
        out->values.values = fixed;
    }
}

static inline bool t_has(const struct af_tsm_values *values, size_t row, uint32_t value)
{
    char text[64];
    const enum af_type type = values->values.type;
    if (type == AF_TYPE_BOOL)
        return af_bit_get(values->values.bits, row) == (value % 2 != 0);
    if (type != AF_TYPE_STRING)
        return values->values.u64[row] == t_bits(type, value);
    return af_slice_eq(af_column_text(&values->values, row), af_slice_make(text, t_text(value, text, sizeof text)));
}

/* Random stretches of times; `density` percent of the cells in a stretch. */
static inline void t_fill(struct t_cells *cells, struct af_prng *prng)
{
    memset(cells, 0, sizeof *cells);
    for (size_t key = 0; key < T_KEYS; key++) {
        size_t stretches = af_prng_below(prng, 4);
        while (stretches-- > 0) {
            const size_t from = af_prng_below(prng, T_TIMES);
            const size_t len = af_prng_below(prng, 2) != 0 ? af_prng_below(prng, T_TIMES) : af_prng_below(prng, 50);
            const uint64_t density = af_prng_below(prng, 2) != 0 ? 100 : af_prng_below(prng, 100);
            for (size_t i = from; i < from + len && i < T_TIMES; i++) {
                if (af_prng_below(prng, 100) >= density)
                    continue;
                cells->has[key][i] = true;
                cells->value[key][i] = (uint32_t)af_prng_next(prng);
            }
        }
    }
}

/* Write the cells in pieces of random length; 0 parts when there are none. */
static inline enum af_status t_write(const char *dir, uint32_t generation, uint32_t sequence, const struct t_cells *cells,
                                     struct af_prng *prng, struct af_arena *arena, struct af_tsm_part ***out, size_t *out_count,
                                     struct af_error *err)
{
    struct af_part_writer *writer;
    AF_TRY(af_part_writer_new(dir, generation, sequence, 0, &writer, err));
    enum af_status status = AF_OK;
    for (size_t key = 0; key < T_KEYS; key++) {
        const size_t mode = af_prng_below(prng, 3);
        for (size_t at = 0; at < T_TIMES && status == AF_OK;) {
            size_t to = mode == 0 ? T_TIMES : at + 1 + af_prng_below(prng, mode == 1 ? 1500 : 100);
            to = to < T_TIMES ? to : T_TIMES;
            struct af_tsm_values values;
            t_values(cells, key, at, to, arena, &values);
            if (values.count > 0)
                status = af_part_writer_add(writer, t_key(key), &values, err);
            at = to;
        }
    }
    if (status == AF_OK)
        status = af_part_writer_finish(writer, arena, out, out_count, err);
    af_part_writer_free(writer);
    return status;
}

static inline void t_lay_over(struct t_cells *below, const struct t_cells *above)
{
    for (size_t key = 0; key < T_KEYS; key++)
        for (size_t i = 0; i < T_TIMES; i++)
            if (above->has[key][i]) {
                below->has[key][i] = true;
                below->value[key][i] = above->value[key][i];
            }
}

/* The merge of `files` in [start, stop) is exactly the cells. False with `err` untouched: they differ. */
static inline enum af_status t_read_key(const struct af_files *files, const struct t_cells *cells, size_t key, int64_t start_ns,
                                        int64_t stop_ns, bool *out_equal, struct af_arena *arena, struct af_error *err)
{
    struct af_piece *pieces = af_arena_zero(arena, files->count + 1, sizeof *pieces);
    struct af_merge *merge;
    size_t count = 0;
    if (pieces == NULL)
        return af_fail_nomem(err, "pieces");
    for (size_t i = 0; i < files->count; i++) {
        struct af_piece *piece = &pieces[count];
        piece->part = files->parts[i];
        AF_TRY(af_tsm_find(piece->part->file, t_key(key), arena, &piece->entry, err));
        piece->tombs = af_part_tombs(piece->part, t_key(key), &piece->tomb_count);
        count += piece->entry.key.ptr != NULL;
    }
    AF_TRY(af_merge_open(pieces, count, start_ns, stop_ns, arena, &merge, err));
    size_t at = 0;
    enum af_status status;
    struct af_tsm_values values = { 0 };
    while ((status = af_merge_next(merge, &values, err)) == AF_OK && values.count > 0) {
        for (size_t row = 0; row < values.count; row++, at++) {
            const size_t index = t_index(values.time_ns[row]);
            for (; at < index; at++)
                if (cells->has[key][at] && t_time(at) >= start_ns)
                    *out_equal = false;
            if (at != index || !cells->has[key][at] || !t_has(&values, row, cells->value[key][at]) ||
                values.time_ns[row] < start_ns || (stop_ns != INT64_MAX && values.time_ns[row] >= stop_ns))
                *out_equal = false;
        }
    }
    for (; at < T_TIMES && status == AF_OK; at++)
        if (cells->has[key][at] && t_time(at) >= start_ns && (stop_ns == INT64_MAX || t_time(at) < stop_ns))
            *out_equal = false;
    af_merge_close(merge);
    return status;
}

static inline enum af_status t_read(const struct af_files *files, const struct t_cells *cells, int64_t start_ns, int64_t stop_ns,
                                    bool *out_equal, struct af_error *err)
{
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = AF_OK;
    *out_equal = true;
    for (size_t key = 0; key < T_KEYS && status == AF_OK; key++)
        status = t_read_key(files, cells, key, start_ns, stop_ns, out_equal, &arena, err);
    af_arena_done(&arena);
    return status;
}

/* A random deletion of one part: from the part and from its cells. */
static inline void t_erase(struct af_tsm_part **part, struct t_cells *cells, struct af_prng *prng)
{
    struct af_error err;
    struct af_tsm_tomb tombs[3];
    const size_t count = 1 + af_prng_below(prng, 3);
    for (size_t n = 0; n < count; n++) {
        const size_t key = af_prng_below(prng, T_KEYS);
        const size_t from = af_prng_below(prng, T_TIMES);
        const size_t len = af_prng_below(prng, 2) != 0 ? af_prng_below(prng, 20) : af_prng_below(prng, T_TIMES);
        const size_t to = from + len < T_TIMES ? from + len : T_TIMES - 1;
        const bool all = af_prng_below(prng, 8) == 0;
        tombs[n] = (struct af_tsm_tomb){ t_key(key), all ? INT64_MIN : t_time(from), all ? INT64_MAX : t_time(to) };
        for (size_t i = all ? 0 : from; i <= (all ? T_TIMES - 1 : to); i++)
            cells->has[key][i] = false;
    }
    struct af_tsm_part *next;
    AF_CHECK_OK(af_part_erase(*part, tombs, count, &next, &err), err);
    af_part_unref(*part);
    *part = next;
}

/* A set of the parts; takes their references. */
static inline struct af_files *t_set(struct af_tsm_part **parts, size_t count)
{
    struct af_error err;
    struct af_files *empty = af_alloc_zero(1, sizeof *empty);
    struct af_files *files;
    AF_CHECK(empty != NULL);
    empty->refs = 1;
    AF_CHECK_OK(af_files_replace(empty, NULL, 0, parts, count, &files, &err), err);
    af_files_unref(empty);
    for (size_t i = 0; i < count; i++)
        af_part_unref(parts[i]);
    return files;
}
#endif
