/* listing.c - names collected, sorted and handed out as batches; see listing.h. */
#include "store/listing.h"
#include "base/alloc.h"
#include "base/limits.h"
#include <stdlib.h>

struct entry {
    struct af_slice name;
    const char *type; /* "" if it does not apply */
    int64_t number;
};

struct af_listed {
    struct af_stream base;
    struct af_arena arena; /* the texts */
    struct entry *entries;
    size_t count;
    size_t cap;
    size_t next;
};

static const struct af_field fields[] = {
    { .name = "name", .type = AF_TYPE_STRING },
    { .name = "type", .type = AF_TYPE_STRING },
};
static const struct af_field bucket_fields[] = {
    { .name = "name", .type = AF_TYPE_STRING },
    { .name = "retention_s", .type = AF_TYPE_I64 },
};
static const struct af_field count_fields[] = {
    { .name = "name", .type = AF_TYPE_STRING },
    { .name = "count", .type = AF_TYPE_I64 },
};
static const struct af_schema schemas[] = {
    [AF_LIST_MEASUREMENTS] = { 1, fields },
    [AF_LIST_FIELDS] = { 2, fields },
    [AF_LIST_BUCKETS] = { 2, bucket_fields },
    [AF_LIST_TAG_KEYS] = { 1, fields },
    [AF_LIST_TAG_VALUES] = { 1, fields },
    [AF_LIST_SERIES] = { 1, fields },
    [AF_LIST_COUNTS] = { 2, count_fields },
};

static enum af_status listed_next(struct af_stream *base, struct af_arena *arena, struct af_batch **out, struct af_error *err);
static void listed_close(struct af_stream *base);
static const struct af_stream_ops listed_ops = { listed_next, listed_close };

enum af_status af_listed_new(enum af_listing what, struct af_listed **out, struct af_error *err)
{
    struct af_listed *listed = af_alloc_zero(1, sizeof *listed);
    if (listed == NULL)
        return af_fail_nomem(err, "a listing");
    listed->base = (struct af_stream){ .ops = &listed_ops, .schema = &schemas[what] };
    af_arena_init(&listed->arena, (size_t)1 << 30);
    *out = listed;
    return AF_OK;
}

enum af_status af_listed_add(struct af_listed *listed, struct af_slice name, const char *type, int64_t number,
                             struct af_error *err)
{
    if (listed->count == listed->cap) {
        size_t cap = listed->cap == 0 ? 64 : listed->cap * 2;
        struct entry *entries = af_realloc(listed->entries, cap * sizeof *entries);
        if (entries == NULL)
            return af_fail_nomem(err, "a listing");
        listed->entries = entries;
        listed->cap = cap;
    }
    char *own_name = af_arena_copy(&listed->arena, name);
    const char *own_type = type != NULL ? af_arena_copy(&listed->arena, af_slice_of(type)) : "";
    if (own_name == NULL || own_type == NULL)
        return af_arena_fail(&listed->arena, name.len, "a listing", err);
    listed->entries[listed->count++] = (struct entry){ { own_name, name.len }, own_type, number };
    return AF_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    int order = af_slice_cmp(x->name, y->name);
    return order != 0 ? order : strcmp(x->type, y->type);
}

static bool is_sorted(const struct af_listed *listed)
{
    for (size_t i = 1; i < listed->count; i++)
        if (by_name(&listed->entries[i - 1], &listed->entries[i]) > 0)
            return false;
    return true;
}

struct af_stream *af_listed_stream(struct af_listed *listed)
{
    if (!is_sorted(listed)) /* an index gives them in order */
        qsort(listed->entries, listed->count, sizeof *listed->entries, by_name);
    return &listed->base;
}

static struct af_slice text_of(const struct entry *entry, bool is_type)
{
    return is_type ? af_slice_of(entry->type) : entry->name;
}

static enum af_status text_column(const struct entry *entries, size_t count, bool is_type, struct af_arena *arena,
                                  struct af_column *out, struct af_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += text_of(&entries[i], is_type).len;
    int32_t *offsets = af_arena_array(arena, count + 1, sizeof *offsets);
    char *bytes = af_arena_array(arena, total + 1, 1);
    if (offsets == NULL || bytes == NULL || total > INT32_MAX)
        return af_arena_fail(arena, total, "a listing", err);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        struct af_slice text = text_of(&entries[i], is_type);
        offsets[i] = (int32_t)at;
        memcpy(bytes + at, text.ptr, text.len);
        at += text.len;
    }
    offsets[count] = (int32_t)at;
    *out = (struct af_column){ .type = AF_TYPE_STRING, .offsets = offsets, .bytes = bytes };
    return AF_OK;
}

static enum af_status second_column(const struct af_listed *listed, const struct entry *entries, size_t count,
                                    struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    if (listed->base.schema->fields[1].type == AF_TYPE_STRING)
        return text_column(entries, count, true, arena, out, err);
    int64_t *numbers = af_arena_array(arena, count, sizeof *numbers);
    if (numbers == NULL)
        return af_arena_fail(arena, count * sizeof *numbers, "a listing", err);
    for (size_t i = 0; i < count; i++)
        numbers[i] = entries[i].number;
    *out = (struct af_column){ .type = AF_TYPE_I64, .i64 = numbers };
    return AF_OK;
}

static enum af_status listed_next(struct af_stream *base, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    struct af_listed *listed = (struct af_listed *)base;
    size_t left = listed->count - listed->next;
    size_t count = left < AF_BATCH_ROWS ? left : AF_BATCH_ROWS;
    *out = NULL;
    if (count == 0)
        return AF_OK;
    const struct entry *entries = listed->entries + listed->next;
    struct af_batch *batch = af_arena_zero(arena, 1, sizeof *batch);
    struct af_column *columns = af_arena_zero(arena, 2, sizeof *columns);
    if (batch == NULL || columns == NULL)
        return af_arena_fail(arena, sizeof *batch, "a listing", err);
    AF_TRY(text_column(entries, count, false, arena, &columns[0], err));
    if (base->schema->field_count == 2)
        AF_TRY(second_column(listed, entries, count, arena, &columns[1], err));
    *batch = (struct af_batch){ .schema = base->schema, .row_count = count, .columns = columns, .first_row = listed->next };
    listed->next += count;
    *out = batch;
    return AF_OK;
}

static void listed_close(struct af_stream *base)
{
    struct af_listed *listed = (struct af_listed *)base;
    af_free(listed->entries);
    af_arena_done(&listed->arena);
    af_free(listed);
}
