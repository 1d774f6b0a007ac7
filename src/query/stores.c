/* stores.c - the stores of a statement, and the catalogue over them that lowering asks. */
#include "query/query_int.h"

static bool same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static enum af_status open_one(struct query_stores *stores, const char *database, const char *policy, bool is_write, struct af_error *err)
{
    bool has_policy = policy != NULL && policy[0] != '\0';
    struct query_store *items = af_arena_more(stores->arena, stores->items, stores->count, &stores->cap, sizeof *items);
    if (items == NULL)
        return af_fail_nomem(err, "a query");
    stores->items = items;
    struct query_store *item = &items[stores->count];
    item->database = af_arena_copy(stores->arena, af_slice_of(database));
    item->policy = af_arena_copy(stores->arena, af_slice_of(has_policy ? policy : ""));
    item->name = has_policy ? af_arena_printf(stores->arena, "%s.%s", database, policy) : item->database;
    if (item->database == NULL || item->policy == NULL || item->name == NULL)
        return af_fail_nomem(err, "a query");
    AF_TRY(stores->host->open(stores->host->ctx, database, has_policy ? policy : NULL, is_write, &item->store, err));
    stores->count++;
    return AF_OK;
}

enum af_status query_stores_get(struct query_stores *stores, const char *database, const char *policy, bool is_write, uint32_t *out,
                                struct af_error *err)
{
    if (database == NULL || database[0] == '\0')
        return af_fail(err, AF_EINVAL, "database name required");
    for (size_t i = 0; i < stores->count; i++) {
        if (same_text(stores->items[i].database, database) && same_text(stores->items[i].policy, policy)) {
            *out = (uint32_t)i;
            return AF_OK;
        }
    }
    AF_TRY(open_one(stores, database, policy, is_write, err));
    *out = (uint32_t)(stores->count - 1);
    return AF_OK;
}

void query_stores_close(struct query_stores *stores)
{
    for (size_t i = 0; i < stores->count; i++)
        af_store_close(stores->items[i].store);
    stores->count = 0;
}

/* --- the catalogue ------------------------------------------------------------------------------------------------------------------- */

static enum af_status catalog_source(void *ctx, const char *database, const char *policy, uint32_t *out, const char **out_name,
                                     struct af_error *err)
{
    struct query_stores *stores = ctx;
    AF_TRY(query_stores_get(stores, database, policy, false, out, err));
    *out_name = stores->items[*out].name;
    return AF_OK;
}

static enum af_status list_names(struct query_stores *stores, uint32_t source, enum af_listing what, const char *measurement,
                                 struct af_arena *arena, struct query_names *out, struct af_error *err)
{
    struct af_scan scan = { .measurement = measurement, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    *out = (struct query_names){ .arena = arena };
    AF_TRY(query_names_add(out, stores->items[source].store, what, &scan, err));
    query_names_sort(out);
    return AF_OK;
}

static enum af_status slices_of(const struct query_names *names, struct af_arena *arena, struct af_slice **out, size_t *out_count,
                                struct af_error *err)
{
    struct af_slice *list = af_arena_alloc(arena, (names->count + 1) * sizeof *list);
    if (list == NULL)
        return af_arena_fail(arena, names->count * sizeof *list, "a query", err);
    for (size_t i = 0; i < names->count; i++)
        list[i] = names->items[i].name;
    *out = list;
    *out_count = names->count;
    return AF_OK;
}

static enum af_status catalog_measurements(void *ctx, uint32_t source, struct af_arena *arena, struct af_slice **out, size_t *out_count,
                                           struct af_error *err)
{
    struct query_names names;
    AF_TRY(list_names(ctx, source, AF_LIST_MEASUREMENTS, NULL, arena, &names, err));
    return slices_of(&names, arena, out, out_count, err);
}

static enum af_status catalog_tags(void *ctx, uint32_t source, const char *measurement, struct af_arena *arena, struct af_slice **out,
                                   size_t *out_count, struct af_error *err)
{
    struct query_names names;
    AF_TRY(list_names(ctx, source, AF_LIST_TAG_KEYS, measurement, arena, &names, err));
    return slices_of(&names, arena, out, out_count, err);
}

static enum af_type type_of(struct af_slice word)
{
    return af_slice_is(word, "float")      ? AF_TYPE_F64
           : af_slice_is(word, "integer")  ? AF_TYPE_I64
           : af_slice_is(word, "unsigned") ? AF_TYPE_U64
           : af_slice_is(word, "boolean")  ? AF_TYPE_BOOL
                                           : AF_TYPE_STRING;
}

static enum af_status catalog_fields(void *ctx, uint32_t source, const char *measurement, struct af_arena *arena,
                                     struct af_catalog_field **out, size_t *out_count, struct af_error *err)
{
    struct query_names names;
    AF_TRY(list_names(ctx, source, AF_LIST_FIELDS, measurement, arena, &names, err));
    struct af_catalog_field *fields = af_arena_alloc(arena, (names.count + 1) * sizeof *fields);
    if (fields == NULL)
        return af_arena_fail(arena, names.count * sizeof *fields, "a query", err);
    for (size_t i = 0; i < names.count; i++)
        fields[i] = (struct af_catalog_field){ names.items[i].name, type_of(names.items[i].type) };
    *out = fields;
    *out_count = names.count;
    return AF_OK;
}

void query_catalog_init(struct af_catalog *catalog, struct query_stores *stores)
{
    *catalog = (struct af_catalog){
        .ctx = stores,
        .source = catalog_source,
        .measurements = catalog_measurements,
        .fields = catalog_fields,
        .tags = catalog_tags,
    };
}
