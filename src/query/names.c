/* names.c - what stores list, gathered and sorted. */
#include "query/query_int.h"
#include <stdlib.h>

static enum af_status grow(struct query_names *names, size_t more, struct af_error *err)
{
    if (names->count + more <= names->cap)
        return AF_OK;
    size_t cap = names->cap * 2 > names->count + more ? names->cap * 2 : names->count + more;
    struct query_name *grown = af_arena_alloc(names->arena, cap * sizeof *grown);
    if (grown == NULL)
        return af_arena_fail(names->arena, cap * sizeof *grown, "the names asked for", err);
    if (names->count != 0)
        memcpy(grown, names->items, names->count * sizeof *grown);
    names->items = grown;
    names->cap = cap;
    return AF_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct query_name *x = a;
    const struct query_name *y = b;
    int order = af_slice_cmp(x->name, y->name);
    return order != 0 ? order : af_slice_cmp(x->type, y->type);
}

enum af_status query_names_put(struct query_names *names, struct af_slice name, struct af_slice type, struct af_error *err)
{
    AF_TRY(grow(names, 1, err));
    struct query_name item = { { af_arena_copy(names->arena, name), name.len }, AF_SLICE_LIT("") };
    if (type.len != 0)
        item.type = af_slice_make(af_arena_copy(names->arena, type), type.len);
    if (item.name.ptr == NULL || item.type.ptr == NULL)
        return af_arena_fail(names->arena, name.len, "the names asked for", err);
    if (names->count != 0 && by_name(&names->items[names->count - 1], &item) >= 0)
        names->is_unsorted = true;
    names->items[names->count++] = item;
    return AF_OK;
}

static enum af_status add_batch(struct query_names *names, enum af_listing what, const struct af_batch *batch, struct af_error *err)
{
    AF_TRY(grow(names, batch->row_count, err));
    for (size_t row = 0; row < batch->row_count; row++) {
        struct af_slice type = what == AF_LIST_FIELDS ? af_column_text(&batch->columns[1], row) : AF_SLICE_LIT("");
        AF_TRY(query_names_put(names, af_column_text(&batch->columns[0], row), type, err));
    }
    return AF_OK;
}

enum af_status query_names_add(struct query_names *names, struct af_store *store, enum af_listing what, const struct af_scan *scan,
                               struct af_error *err)
{
    struct af_stream *stream;
    struct af_arena arena;
    struct af_batch *batch = NULL;
    AF_TRY(af_store_list(store, what, scan, &stream, err));
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status;
    while ((status = af_stream_next(stream, &arena, &batch, err)) == AF_OK && batch != NULL) {
        status = add_batch(names, what, batch, err);
        af_arena_reset(&arena);
        if (status != AF_OK)
            break;
    }
    af_arena_done(&arena);
    af_stream_close(stream);
    return status;
}

void query_names_sort(struct query_names *names)
{
    size_t kept = 0;
    if (!names->is_unsorted)
        return;
    qsort(names->items, names->count, sizeof *names->items, by_name);
    for (size_t i = 0; i < names->count; i++)
        if (kept == 0 || by_name(&names->items[kept - 1], &names->items[i]) != 0)
            names->items[kept++] = names->items[i];
    names->count = kept;
    names->is_unsorted = false;
}
