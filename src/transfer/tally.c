/*
 * tally.c - how many values each field has in a shard's files, to be compared with what a server counts.
 *
 * The files are walked together, key by key. A key in one file only is the sum of its blocks; for one in several, the times of all are
 * sorted
 * and each counts once, as it is one point to the server.
 */
#include "base/alloc.h"
#include "os/file.h"
#include "transfer/bulkload_int.h"
#include <stdlib.h>

void tally_init(struct tally *tally)
{
    *tally = (struct tally){ .min_ns = INT64_MAX, .max_ns = INT64_MIN };
    af_arena_init(&tally->arena, SIZE_MAX / 2);
    af_intern_init(&tally->names);
}

void tally_done(struct tally *tally)
{
    af_intern_done(&tally->names);
    af_free(tally->fields);
    af_arena_done(&tally->arena);
}

static enum af_status find_field(struct tally *tally, struct af_slice key, enum af_type type, struct tally_field **out,
                                 struct af_error *err)
{
    struct af_slice series, field;
    uint32_t id;
    if (!af_tsm_key_split(key, &series, &field))
        return af_fail(err, AF_ECORRUPT, "a key without \"" AF_TSM_KEY_SEPARATOR "\"");
    struct af_slice measurement = af_key_measurement_raw(series);
    char *name = af_alloc(measurement.len + field.len + 1);
    if (name == NULL)
        return af_fail_nomem(err, "a tally");
    memcpy(name, measurement.ptr, measurement.len);
    name[measurement.len] = '\0';
    memcpy(name + measurement.len + 1, field.ptr, field.len);
    enum af_status status = af_intern_add(&tally->names, af_slice_make(name, measurement.len + field.len + 1), &id, err);
    af_free(name);
    AF_TRY(status);
    if (id >= tally->cap) {
        size_t cap = (size_t)id * 2 + 64;
        struct tally_field *grown = af_realloc(tally->fields, cap * sizeof *grown);
        if (grown == NULL)
            return af_fail_nomem(err, "a tally");
        memset(grown + tally->cap, 0, (cap - tally->cap) * sizeof *grown);
        tally->fields = grown;
        tally->cap = cap;
    }
    struct tally_field *f = &tally->fields[id];
    struct af_slice kept = tally->names.keys[id];
    f->measurement = af_slice_make(kept.ptr, measurement.len);
    f->field = af_slice_make(kept.ptr + measurement.len + 1, field.len);
    f->type = type;
    *out = f;
    return AF_OK;
}

/* --- keys ------------------------------------------------------------------------------------------------------------------- */

struct input {
    struct af_tsm_file *file;
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry;   /* key.ptr NULL: at the end */
};
struct walk {
    struct input *inputs;
    size_t count;
    struct af_arena block_arena;
    int64_t *times;              /* of a key in several files */
    size_t time_count, time_cap;
    uint64_t values;             /* of a key in one */
    struct tally *tally;
};

static enum af_status take_block(struct walk *w, struct input *in, size_t i, bool keep_times, struct af_error *err)
{
    struct af_tsm_values values;
    af_arena_reset(&w->block_arena);
    AF_TRY(af_tsm_read_block(in->file, in->entry.type, &in->entry.blocks[i], &w->block_arena, &values, err));
    w->values += values.count;
    if (values.count != 0) {
        w->tally->min_ns = values.time_ns[0] < w->tally->min_ns ? values.time_ns[0] : w->tally->min_ns;
        int64_t last = values.time_ns[values.count - 1];
        w->tally->max_ns = last > w->tally->max_ns ? last : w->tally->max_ns;
    }
    if (!keep_times)
        return AF_OK;
    if (w->time_count + values.count > w->time_cap) {
        size_t cap = (w->time_count + values.count) * 2;
        int64_t *grown = af_realloc(w->times, cap * sizeof *grown);
        if (grown == NULL)
            return af_fail_nomem(err, "times of a key");
        w->times = grown;
        w->time_cap = cap;
    }
    memcpy(w->times + w->time_count, values.time_ns, values.count * sizeof *w->times);
    w->time_count += values.count;
    return AF_OK;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t count_times(struct walk *w)
{
    uint64_t count = w->time_count != 0;
    if (w->time_count > 1)
        qsort(w->times, w->time_count, sizeof *w->times, by_time);
    for (size_t i = 1; i < w->time_count; i++)
        count += w->times[i] != w->times[i - 1];
    return count;
}

/* The least key of all inputs; NULL at the end. */
static struct input *least(struct walk *w, size_t *out_holders)
{
    struct input *best = NULL;
    *out_holders = 0;
    for (size_t i = 0; i < w->count; i++) {
        struct input *in = &w->inputs[i];
        if (in->entry.key.ptr == NULL)
            continue;
        int order = best == NULL ? -1 : af_slice_cmp(in->entry.key, best->entry.key);
        if (order < 0)
            best = in;
        *out_holders = order < 0 ? 1 : *out_holders + (order == 0);
    }
    return best;
}

static enum af_status take_key(struct walk *w, struct input *first, size_t holders, struct af_error *err)
{
    struct tally_field *field = NULL;
    AF_TRY(find_field(w->tally, first->entry.key, first->entry.type, &field, err));
    char *copy = af_alloc(first->entry.key.len + 1);
    if (copy == NULL)
        return af_fail_nomem(err, "a key");
    memcpy(copy, first->entry.key.ptr, first->entry.key.len);
    const struct af_slice key = { copy, first->entry.key.len };
    w->values = 0;
    w->time_count = 0;
    enum af_status status = AF_OK;
    for (size_t i = 0; i < w->count && status == AF_OK; i++) {
        struct input *in = &w->inputs[i];
        if (in->entry.key.ptr == NULL || !af_slice_eq(in->entry.key, key))
            continue;
        for (size_t k = 0; k < in->entry.block_count && status == AF_OK; k++)
            status = take_block(w, in, k, holders > 1, err);
        if (status == AF_OK)
            status = af_tsm_cursor_next(in->cursor, &in->entry, err);
    }
    af_free(copy);
    uint64_t values = holders > 1 ? count_times(w) : w->values;
    field->values += values;
    w->tally->values += values;
    return status;
}

static enum af_status open_input(struct input *in, const char *path, struct af_error *err)
{
    struct af_reader *reader;
    AF_TRY(af_file_reader_open(path, &reader, err));
    AF_TRY(af_tsm_file_open(reader, NULL, &in->file, err));
    AF_TRY(af_tsm_cursor_open(in->file, AF_SLICE_LIT(""), &in->cursor, err));
    return af_tsm_cursor_next(in->cursor, &in->entry, err);
}

static enum af_status walk_all(struct walk *w, const struct transfer_file *files, const struct af_transfer_watch *watch,
                               struct af_error *err)
{
    for (size_t i = 0; i < w->count; i++)
        AF_TRY(open_input(&w->inputs[i], files[i].path, err));
    for (;;) {
        size_t holders;
        struct input *first = least(w, &holders);
        if (first == NULL)
            return AF_OK;
        AF_TRY(transfer_go_on(watch, err));
        AF_TRY(take_key(w, first, holders, err));
    }
}

enum af_status tally_dir(struct tally *tally, const char *dir, const struct af_transfer_watch *watch, struct af_error *err)
{
    struct walk w = { .tally = tally };
    struct transfer_file *files = NULL;
    AF_TRY(transfer_files(dir, &tally->arena, &files, &w.count, err));
    w.inputs = af_arena_zero(&tally->arena, w.count + 1, sizeof *w.inputs);
    if (w.inputs == NULL)
        return af_fail_nomem(err, "a tally");
    af_arena_init(&w.block_arena, SIZE_MAX / 2);
    enum af_status status = walk_all(&w, files, watch, err);
    for (size_t i = 0; i < w.count; i++) {
        if (w.inputs[i].cursor != NULL)
            af_tsm_cursor_close(w.inputs[i].cursor);
        if (w.inputs[i].file != NULL)
            af_tsm_file_close(w.inputs[i].file);
    }
    af_free(w.times);
    af_arena_done(&w.block_arena);
    return status;
}
