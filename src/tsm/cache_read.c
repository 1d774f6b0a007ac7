/*
 * cache_read.c - captured rows of a series read without the lock; see cache_int.h. A handle's entry is its first chunk.
 *
 * A chunk's rows end where the next one begins, or with the captured rows: how full its last one is by now does not matter.
 *
 * Values come out as they lie there if they are one chunk's, whole and in order; else they are gathered. Rows that are not in order of
 * time are sorted by merging the stretches that are, which is little work for the usual cases: a late row, two interleaved writers.
 */
#include "tsm/cache_int.h"
#include <stdatomic.h>

struct walk {
    const struct af_cache_chunk *chunk; /* NULL: the end */
    uint32_t rows;                      /* of it, that were captured */
    size_t total;
};

static void walk_to(struct walk *walk, const struct af_cache_chunk *chunk)
{
    walk->chunk = chunk != NULL && chunk->first < walk->total ? chunk : NULL;
    if (walk->chunk == NULL)
        return;
    const struct af_cache_chunk *next = atomic_load_explicit(&walk->chunk->next, memory_order_acquire);
    size_t end = next != NULL && next->first < walk->total ? next->first : walk->total;
    walk->rows = (uint32_t)(end - walk->chunk->first);
}

static struct walk walk_begin(const struct af_cache_handle *handle)
{
    struct walk walk = { .total = handle->rows };
    walk_to(&walk, handle->entry);
    return walk;
}

static void walk_next(struct walk *walk)
{
    walk_to(walk, atomic_load_explicit(&walk->chunk->next, memory_order_acquire));
}

/* --- which fields ------------------------------------------------------------------------------------------------------------ */

enum af_status af_cache_fields(const struct af_cache_handle *handle, struct af_arena *arena, struct af_slice **out,
                               size_t *out_count, struct af_error *err)
{
    uint32_t last_name = 0;
    const struct af_cache_shape *before = NULL;
    for (struct walk walk = walk_begin(handle); walk.chunk != NULL; before = walk.chunk->shape, walk_next(&walk))
        for (uint32_t s = 0; walk.chunk->shape != before && s < walk.chunk->shape->count; s++)
            last_name = walk.chunk->shape->slots[s].name->id > last_name ? walk.chunk->shape->slots[s].name->id : last_name;
    uint64_t *seen = af_bits_new(arena, (size_t)last_name + 1, false);
    struct af_slice *fields = af_arena_array(arena, (size_t)last_name + 1, sizeof *fields);
    size_t count = 0;
    if (seen == NULL || fields == NULL)
        return af_arena_fail(arena, (last_name + (size_t)1) * sizeof *fields, "a list of fields", err);
    before = NULL;
    for (struct walk walk = walk_begin(handle); walk.chunk != NULL; before = walk.chunk->shape, walk_next(&walk)) {
        const struct af_cache_shape *shape = walk.chunk->shape;
        for (uint32_t s = 0; shape != before && s < shape->count; s++) {
            const struct af_cache_name *name = shape->slots[s].name;
            if (!af_bit_get(seen, name->id))
                fields[count++] = name->text;
            af_bit_set(seen, name->id);
        }
    }
    *out = fields;
    *out_count = count;
    return AF_OK;
}

/* --- one field's values -------------------------------------------------------------------------------------------------------- */

/* Where the field lies in each chunk, and how much there is of it. */
struct field {
    struct af_slice name;
    const struct af_cache_shape *shape; /* the last one looked at */
    uint32_t slot;                      /* UINT32_MAX: it has none */
    enum af_type type;
    size_t count;
    size_t chunks;
    const struct af_cache_chunk *only;
    bool has_gaps;
};

static bool has_slot(struct field *field, const struct af_cache_shape *shape)
{
    if (field->shape == shape)
        return field->slot != UINT32_MAX;
    field->shape = shape;
    field->slot = UINT32_MAX;
    for (uint32_t s = 0; s < shape->count && field->slot == UINT32_MAX; s++)
        if (af_slice_eq(shape->slots[s].name->text, field->name))
            field->slot = s;
    return field->slot != UINT32_MAX;
}

/* Missing bits of eight rows from `row`, a multiple of 8; bits past `rows` are 1. */
static unsigned missing_of(const unsigned char *bits, uint32_t row, uint32_t rows)
{
    unsigned byte = __atomic_load_n(&bits[row / 8], __ATOMIC_RELAXED);
    return rows - row >= 8 ? byte : byte | (0xffu << (rows - row) & 0xff);
}

static void count_values(struct field *field, const struct af_cache_handle *handle)
{
    for (struct walk walk = walk_begin(handle); walk.chunk != NULL; walk_next(&walk)) {
        if (!has_slot(field, walk.chunk->shape))
            continue;
        const unsigned char *missing = af_cache_missing(walk.chunk, field->slot);
        size_t count = 0;
        for (uint32_t row = 0; row < walk.rows; row += 8)
            count += 8 - (size_t)__builtin_popcount(missing_of(missing, row, walk.rows));
        field->has_gaps = field->has_gaps || count < walk.rows;
        field->count += count;
        if (count > 0) {
            field->type = walk.chunk->shape->slots[field->slot].type;
            field->only = walk.chunk;
            field->chunks++;
        }
    }
}

static bool ascends(const int64_t *times, size_t count)
{
    bool is_so = true;
    for (size_t i = 1; i < count; i++)
        is_so &= times[i] > times[i - 1];
    return is_so;
}

/* Straight out of the chunk. */
static bool borrow(struct field *field, struct af_tsm_values *out)
{
    if (field->chunks != 1 || field->has_gaps || field->type == AF_TYPE_BOOL || field->type == AF_TYPE_STRING)
        return false;
    (void)has_slot(field, field->only->shape);
    const unsigned char *column = af_cache_column(field->only, field->only->shape->slots[field->slot].offset);
    const int64_t *times = (const void *)field->only->data;
    if ((uintptr_t)column % 8 != 0 || !ascends(times, field->count))
        return false;
    *out = (struct af_tsm_values){ .count = field->count, .time_ns = times };
    out->values = (struct af_column){ .type = field->type, .values = column };
    return true;
}

/* Values on their way, eight bytes each whatever the type. */
struct run {
    int64_t *times;
    uint64_t *cells;
    size_t count;
};

static void gather_row(struct run *run, const struct af_cache_chunk *chunk, const unsigned char *column, unsigned width, uint32_t row)
{
    uint64_t cell = 0;
    memcpy(&run->times[run->count], chunk->data + (size_t)row * 8, 8);
    if (width == 1)
        cell = column[row];
    else
        memcpy(&cell, column + (size_t)row * 8, 8);
    run->cells[run->count++] = cell;
}

static void gather_eight(struct run *run, const struct af_cache_chunk *chunk, const unsigned char *column, uint32_t row)
{
    memcpy(&run->times[run->count], chunk->data + (size_t)row * 8, 64);
    memcpy(&run->cells[run->count], column + (size_t)row * 8, 64);
    run->count += 8;
}

static void gather(struct field *field, const struct af_cache_handle *handle, struct run *run)
{
    for (struct walk walk = walk_begin(handle); walk.chunk != NULL; walk_next(&walk)) {
        if (!has_slot(field, walk.chunk->shape))
            continue;
        const struct af_cache_slot *slot = &walk.chunk->shape->slots[field->slot];
        const unsigned char *column = af_cache_column(walk.chunk, slot->offset);
        const unsigned char *missing = af_cache_missing(walk.chunk, field->slot);
        for (uint32_t row = 0; row < walk.rows; row += 8) {
            if (slot->type != AF_TYPE_BOOL && walk.rows - row >= 8 && missing_of(missing, row, walk.rows) == 0) {
                gather_eight(run, walk.chunk, column, row);
                continue;
            }
            for (unsigned has = ~missing_of(missing, row, walk.rows) & 0xff; has != 0; has &= has - 1)
                gather_row(run, walk.chunk, column, af_cache_width(slot->type), row + (uint32_t)__builtin_ctz(has));
        }
    }
}

/* --- sorting --------------------------------------------------------------------------------------------------------------------- */

struct item {
    int64_t time;
    size_t at;
};

/* Ends of the ascending stretches of `times`; how many. */
static size_t find_stretches(const int64_t *times, size_t count, size_t *ends)
{
    size_t n = 0;
    for (size_t i = 1; i < count; i++)
        if (times[i] < times[i - 1])
            ends[n++] = i;
    ends[n++] = count;
    return n;
}

static void merge_two(const struct item *from, size_t start, size_t middle, size_t end, struct item *to)
{
    size_t a = start;
    size_t b = middle;
    for (size_t k = start; k < end; k++)
        to[k] = b == end || (a < middle && from[a].time <= from[b].time) ? from[a++] : from[b++];
}

/* Neighbouring stretches become one until one is left. The sorted items: one of the two arrays. */
static struct item *merge_all(struct item *from, struct item *to, size_t *ends, size_t stretches)
{
    while (stretches > 1) {
        size_t n = 0;
        size_t start = 0;
        for (size_t i = 0; i < stretches; i += 2) {
            size_t end = ends[i + 1 < stretches ? i + 1 : i];
            merge_two(from, start, ends[i], end, to);
            ends[n++] = end;
            start = end;
        }
        stretches = n;
        struct item *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

/* In order of time, of equal times the last to come. */
static bool sort_run(struct run *run, struct af_arena *arena)
{
    size_t count = run->count;
    struct item *items = af_arena_array(arena, count, sizeof *items);
    struct item *other = af_arena_array(arena, count, sizeof *other);
    size_t *ends = af_arena_array(arena, count, sizeof *ends);
    int64_t *times = af_arena_array(arena, count, sizeof *times);
    uint64_t *cells = af_arena_array(arena, count, sizeof *cells);
    if (items == NULL || other == NULL || ends == NULL || times == NULL || cells == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        items[i] = (struct item){ run->times[i], i };
    const struct item *sorted = merge_all(items, other, ends, find_stretches(run->times, count, ends));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && sorted[i + 1].time == sorted[i].time)
            continue;
        times[n] = sorted[i].time;
        cells[n++] = run->cells[sorted[i].at];
    }
    *run = (struct run){ times, cells, n };
    return true;
}

/* --- columns --------------------------------------------------------------------------------------------------------------------- */

enum { SHORT_TEXT = 16 };

static enum af_status text_column(const struct run *run, struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < run->count; i++)
        bytes += ((const struct af_cache_text *)(uintptr_t)run->cells[i])->len;
    if (bytes > INT32_MAX)
        return af_fail(err, AF_ELIMIT, "%zu bytes of text of one field of one series in memory are more than fit at once", bytes);
    int32_t *offsets = af_arena_array(arena, run->count + 1, sizeof *offsets);
    char *text = af_arena_array(arena, bytes, 1);
    if (offsets == NULL || text == NULL)
        return af_arena_fail(arena, bytes, "points from memory", err);
    int32_t at = 0;
    uint64_t last = 0;
    char short_text[SHORT_TEXT] = { 0 }; /* of `last`, if it is short: the array ends in so much room, and more */
    int32_t len = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct af_cache_text *from = (const struct af_cache_text *)(uintptr_t)run->cells[i];
        offsets[i] = at;
        if (run->cells[i] != last || len > SHORT_TEXT) {
            last = run->cells[i];
            len = (int32_t)from->len;
            memcpy(text + at, from->bytes, from->len);
            if (len <= SHORT_TEXT)
                memcpy(short_text, from->bytes, from->len);
        } else {
            memcpy(text + at, short_text, SHORT_TEXT);
        }
        at += len;
    }
    offsets[run->count] = at;
    out->offsets = offsets;
    out->bytes = text;
    return AF_OK;
}

static enum af_status make_column(const struct run *run, enum af_type type, struct af_arena *arena, struct af_column *out,
                                  struct af_error *err)
{
    *out = (struct af_column){ .type = type };
    if (type == AF_TYPE_STRING)
        return text_column(run, arena, out, err);
    out->u64 = run->cells;
    if (type != AF_TYPE_BOOL)
        return AF_OK;
    uint64_t *bits = af_bits_new(arena, run->count, false);
    if (bits == NULL)
        return af_arena_fail(arena, run->count / 8, "points from memory", err);
    for (size_t i = 0; i < run->count; i++)
        bits[i / 64] |= run->cells[i] << (i % 64);
    out->bits = bits;
    return AF_OK;
}

enum af_status af_cache_field(const struct af_cache_handle *handle, struct af_slice name, struct af_arena *arena,
                              struct af_tsm_values *out, struct af_error *err)
{
    struct field field = { .name = name };
    struct af_tsm_values values = { 0 };
    count_values(&field, handle);
    if (field.count == 0 || borrow(&field, &values)) {
        *out = values;
        return AF_OK;
    }
    struct run run = { .times = af_arena_array(arena, field.count, sizeof *run.times),
                       .cells = af_arena_array(arena, field.count, sizeof *run.cells) };
    if (run.times == NULL || run.cells == NULL)
        return af_arena_fail(arena, field.count * 16, "points from memory", err);
    gather(&field, handle, &run);
    if (!ascends(run.times, run.count) && !sort_run(&run, arena))
        return af_arena_fail(arena, field.count * 48, "points from memory", err);
    AF_TRY(make_column(&run, field.type, arena, &values.values, err));
    values.count = run.count;
    values.time_ns = run.times;
    *out = values;
    return AF_OK;
}

/* --- all fields at once -------------------------------------------------------------------------------------------------------------- */

/* The chunks of a handle that all have one shape and no gaps. */
struct plain {
    const struct af_cache_shape *shape;
    struct af_slice *pieces; /* ptr: the chunk; len: its rows */
    size_t count, cap;
    const int64_t *times;
};

static bool add_piece(struct plain *plain, const struct walk *walk, struct af_arena *arena)
{
    if (plain->count == plain->cap) {
        size_t cap = plain->cap == 0 ? 64 : plain->cap * 2;
        struct af_slice *pieces = af_arena_alloc(arena, cap * sizeof *pieces);
        if (pieces == NULL)
            return false;
        if (plain->count > 0)
            memcpy(pieces, plain->pieces, plain->count * sizeof *pieces);
        plain->pieces = pieces;
        plain->cap = cap;
    }
    plain->pieces[plain->count++] = (struct af_slice){ (const void *)walk->chunk, walk->rows };
    return true;
}

/* False: without memory, or they are not so. */
static bool find_plain(const struct af_cache_handle *handle, struct af_arena *arena, struct plain *out)
{
    for (struct walk walk = walk_begin(handle); walk.chunk != NULL; walk_next(&walk)) {
        if (out->shape == NULL)
            out->shape = walk.chunk->shape;
        if (walk.chunk->shape != out->shape || atomic_load_explicit(&walk.chunk->has_gaps, memory_order_relaxed) ||
            !add_piece(out, &walk, arena))
            return false;
    }
    int64_t *times = af_arena_array(arena, handle->rows, sizeof *times);
    size_t at = 0;
    for (size_t i = 0; times != NULL && i < out->count; at += out->pieces[i++].len)
        memcpy(times + at, ((const struct af_cache_chunk *)(const void *)out->pieces[i].ptr)->data, out->pieces[i].len * sizeof *times);
    out->times = times;
    return times != NULL && out->shape != NULL && ascends(times, handle->rows);
}

static enum af_status plain_column(const struct plain *plain, uint32_t slot_number, size_t rows, struct af_arena *arena,
                                   struct af_cache_values *out, struct af_error *err)
{
    const struct af_cache_slot *slot = &plain->shape->slots[slot_number];
    uint64_t *cells = af_arena_array(arena, rows, sizeof *cells);
    if (cells == NULL)
        return af_arena_fail(arena, rows * sizeof *cells, "points from memory", err);
    size_t at = 0;
    for (size_t i = 0; i < plain->count; at += plain->pieces[i++].len) {
        const unsigned char *column = af_cache_column((const void *)plain->pieces[i].ptr, slot->offset);
        if (slot->type != AF_TYPE_BOOL)
            memcpy(cells + at, column, plain->pieces[i].len * sizeof *cells);
        else
            for (size_t row = 0; row < plain->pieces[i].len; row++)
                cells[at + row] = column[row];
    }
    struct run run = { .cells = cells, .count = rows };
    *out = (struct af_cache_values){ .field = slot->name->text, .values = { .count = rows, .time_ns = plain->times } };
    return make_column(&run, slot->type, arena, &out->values.values, err);
}

static enum af_status one_by_one(const struct af_cache_handle *handle, struct af_arena *arena, struct af_cache_values **out,
                                 size_t *out_count, struct af_error *err)
{
    struct af_slice *fields;
    AF_TRY(af_cache_fields(handle, arena, &fields, out_count, err));
    struct af_cache_values *all = af_arena_alloc(arena, (*out_count + 1) * sizeof *all);
    if (all == NULL)
        return af_arena_fail(arena, *out_count * sizeof *all, "points from memory", err);
    for (size_t i = 0; i < *out_count; i++) {
        all[i].field = fields[i];
        AF_TRY(af_cache_field(handle, fields[i], arena, &all[i].values, err));
    }
    *out = all;
    return AF_OK;
}

enum af_status af_cache_all(const struct af_cache_handle *handle, struct af_arena *arena, struct af_cache_values **out,
                            size_t *out_count, struct af_error *err)
{
    struct plain plain = { 0 };
    if (!find_plain(handle, arena, &plain))
        return one_by_one(handle, arena, out, out_count, err);
    struct af_cache_values *all = af_arena_alloc(arena, (plain.shape->count + 1) * sizeof *all);
    if (all == NULL)
        return af_arena_fail(arena, plain.shape->count * sizeof *all, "points from memory", err);
    for (uint32_t s = 0; s < plain.shape->count; s++)
        AF_TRY(plain_column(&plain, s, handle->rows, arena, &all[s], err));
    *out = all;
    *out_count = plain.shape->count;
    return AF_OK;
}
