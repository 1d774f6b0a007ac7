/*
 * v1_names.c - names gathered from the buckets of a database: measurements, tag keys, tag values, fields, series; see v1_names.h.
 *
 * A database of 1.x is several buckets; what is in more than one is told once. With a condition on tags all is read off the series that
 * match.
 */
#include "server/v1_names.h"
#include <stdlib.h>

/* --- gathering ----------------------------------------------------------------------------------------------------------------- */

static enum af_status add(struct v1_names *names, struct af_slice name, struct af_slice type, struct af_error *err)
{
    const struct v1_name *last = names->count != 0 ? &names->items[names->count - 1] : NULL;
    if (last != NULL && af_slice_eq(last->name, name) && af_slice_eq(last->type, type))
        return AF_OK;
    if (names->count == names->cap) {
        size_t cap = names->cap == 0 ? 64 : names->cap * 2;
        struct v1_name *grown = af_arena_zero(names->arena, cap, sizeof *grown);
        if (grown == NULL)
            return af_arena_fail(names->arena, cap * sizeof *grown, "the names asked for", err);
        if (names->count != 0)
            memcpy(grown, names->items, names->count * sizeof *grown);
        names->items = grown;
        names->cap = cap;
    }
    const char *copy = af_arena_copy(names->arena, name);
    const char *type_copy = type.len != 0 ? af_arena_copy(names->arena, type) : "";
    if (copy == NULL || type_copy == NULL)
        return af_arena_fail(names->arena, name.len, "the names asked for", err);
    names->items[names->count++] = (struct v1_name){ { copy, name.len }, { type_copy, type.len } };
    return AF_OK;
}

/* What is wanted of one series key. */
static enum af_status add_of_series(struct v1_names *names, enum af_listing what, const char *tag, struct af_slice key,
                                    struct af_buf *scratch, struct af_error *err)
{
    const struct af_slice none = { 0 };
    struct af_slice raw_key, raw_value;
    size_t at = 0;
    if (what == AF_LIST_SERIES)
        return add(names, key, none, err);
    if (what == AF_LIST_MEASUREMENTS) {
        af_buf_clear(scratch);
        return add(names, af_key_unescape_measurement(af_key_measurement_raw(key), scratch), none, err);
    }
    while (af_key_next_tag(key, &at, &raw_key, &raw_value)) {
        af_buf_clear(scratch);
        struct af_slice name = af_key_unescape(raw_key, scratch);
        if (what == AF_LIST_TAG_KEYS) {
            AF_TRY(add(names, name, none, err));
        } else if (af_slice_is(name, tag)) {
            af_buf_clear(scratch);
            return add(names, af_key_unescape(raw_value, scratch), none, err);
        }
    }
    return AF_OK;
}

struct gather {
    struct v1_names *names;
    enum af_listing what;        /* wanted */
    bool is_series;              /* what is listed are series keys */
    const char *tag;
    struct af_buf scratch;
};

static enum af_status take_batch(struct gather *g, const struct af_batch *batch, struct af_error *err)
{
    bool has_type = !g->is_series && g->what == AF_LIST_FIELDS;
    for (size_t row = 0; row < batch->row_count; row++) {
        struct af_slice name = af_column_text(&batch->columns[0], row);
        if (g->is_series)
            AF_TRY(add_of_series(g->names, g->what, g->tag, name, &g->scratch, err));
        else
            AF_TRY(add(g->names, name, has_type ? af_column_text(&batch->columns[1], row) : (struct af_slice){ 0 }, err));
    }
    return AF_OK;
}

static enum af_status take_stream(struct gather *g, struct af_stream *stream, struct af_error *err)
{
    struct af_arena arena;
    struct af_batch *batch = NULL;
    enum af_status status;
    af_arena_init(&arena, SIZE_MAX / 2);
    af_buf_init(&g->scratch, SIZE_MAX / 2);
    while ((status = af_stream_next(stream, &arena, &batch, err)) == AF_OK && batch != NULL) {
        status = take_batch(g, batch, err);
        af_arena_reset(&arena);
        if (status != AF_OK)
            break;
    }
    if (status == AF_OK)
        status = af_buf_check(&g->scratch, "the names asked for", err);
    af_buf_done(&g->scratch);
    af_arena_done(&arena);
    return status;
}

enum af_status v1_names_add(struct v1_run *run, uint64_t bucket, enum af_listing what, const char *measurement, const char *tag,
                            const struct af_predicate *predicate, struct v1_names *names, struct af_error *err)
{
    struct gather gather = { .names = names, .what = what, .is_series = what == AF_LIST_SERIES || predicate != NULL, .tag = tag };
    struct af_scan scan = { .measurement = measurement, .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .predicate = predicate, .tag = tag,
                            .cancel = run->request->http->is_gone };
    struct af_store *store;
    struct af_stream *stream = NULL;
    names->arena = run->arena;
    AF_TRY(af_tsm_store_open(run->request->house->engine, bucket, "bucket", true, &store, err));
    enum af_status status = af_store_list(store, gather.is_series ? AF_LIST_SERIES : what, &scan, &stream, err);
    if (status == AF_OK) {
        status = take_stream(&gather, stream, err);
        af_stream_close(stream);
    }
    af_store_close(store);
    return status;
}

/* --- sorted -------------------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct v1_name *x = a;
    const struct v1_name *y = b;
    int order = af_slice_cmp(x->name, y->name);
    return order != 0 ? order : af_slice_cmp(x->type, y->type);
}

void v1_names_sort(struct v1_names *names)
{
    size_t kept = 0;
    if (names->count > 1)
        qsort(names->items, names->count, sizeof *names->items, by_name);
    for (size_t i = 0; i < names->count; i++)
        if (kept == 0 || by_name(&names->items[kept - 1], &names->items[i]) != 0)
            names->items[kept++] = names->items[i];
    names->count = kept;
}

bool v1_names_has(const struct v1_names *names, struct af_slice name)
{
    for (size_t i = 0; i < names->count; i++)
        if (af_slice_eq(names->items[i].name, name))
            return true;
    return false;
}

enum af_status v1_buckets(struct v1_run *run, const char *database, const char *policy, struct v1_policy **out, size_t *out_count,
                          bool *out_exists, struct af_error *err)
{
    struct v1_policy *all;
    size_t count;
    AF_TRY(v1_policies(run, database, &all, &count, err));
    *out_exists = count != 0;
    *out = all;
    *out_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct af_meta_bucket *b = &all[i].bucket;
        bool is_wanted = policy == NULL || policy[0] == '\0' || strcmp(policy, all[i].dbrp.policy) == 0;
        if (is_wanted && af_principal_may(&run->request->who, AF_ACTION_READ, "buckets", b->org, b->id))
            all[(*out_count)++] = all[i];
    }
    return AF_OK;
}
