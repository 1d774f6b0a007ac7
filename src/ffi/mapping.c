/* mapping.c - which mapping a table gets: the one that was named or written, else the built-in one that fits, else a guess. */
#include "base/alloc.h"
#include "base/limits.h"
#include "ffi/ffi_int.h"
#include "os/zone.h"

bool ffi_map_is_given(const struct afluxo_mapping_options *options)
{
    return options->dataset != NULL || options->yaml != NULL;
}

static enum af_status override(const struct afluxo_mapping_options *options, struct af_map *map, struct af_error *err)
{
    const struct af_map_override change = { .measurement = options->measurement, .time_zone = options->time_zone };
    struct af_zone zone;
    if (options->time_zone != NULL) /* so that one of the system's is known by name */
        AF_TRY(af_zone_find(af_slice_of(options->time_zone), &zone, err));
    return af_map_override(map, &change, err);
}

static enum af_status choose(const struct afluxo_mapping_options *options, const struct af_schema *schema, const struct af_batch *sample,
                             struct af_map **out, struct af_error *err)
{
    const char *path = options->path != NULL ? options->path : "table";
    if (options->dataset != NULL && options->yaml != NULL)
        return af_fail(err, AF_EINVAL, "a dataset and a mapping exclude each other: give one");
    if (options->dataset != NULL)
        return af_map_builtin(options->dataset, out, err);
    if (options->yaml != NULL)
        return af_map_parse("mapping", af_slice_of(options->yaml), out, err);
    enum af_status status = af_map_detect(path, schema, out, err);
    if (status == AF_ENOTFOUND && options->infer != 0)
        status = af_map_infer(path, schema, sample, out, err);
    return status;
}

enum af_status ffi_map(const struct afluxo_mapping_options *options, const struct af_schema *schema, const struct af_batch *sample,
                       struct af_map **out, struct af_error *err)
{
    struct af_map *map = NULL;
    AF_TRY(choose(options, schema, sample, &map, err));
    enum af_status status = override(options, map, err);
    if (status != AF_OK) {
        af_map_free(map);
        return status;
    }
    *out = map;
    return AF_OK;
}

enum af_status ffi_map_given(const struct afluxo_mapping_options *options, struct af_map **out, struct af_error *err)
{
    return ffi_map(options, NULL, NULL, out, err);
}

static enum af_status print(const struct af_map *map, char **out, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, AF_YAML_BYTES_MAX);
    af_map_print(map, &text);
    af_buf_append_char(&text, '\0');
    enum af_status status = af_buf_check(&text, "a mapping", err);
    if (status != AF_OK) {
        af_buf_done(&text);
        return status;
    }
    *out = text.ptr;
    return AF_OK;
}

int af_ffi_mapping_yaml(const struct afluxo_mapping_options *options, void *arrow_schema, char **out_yaml)
{
    static const struct afluxo_mapping_options none;
    struct af_error err = { 0 };
    struct arrow_table *table = NULL;
    struct af_map *map = NULL;
    enum af_status status = arrow_table_new(arrow_schema, &table, &err);
    if (status == AF_OK)
        status = ffi_map(options != NULL ? options : &none, &table->schema, NULL, &map, &err);
    if (status == AF_OK)
        status = print(map, out_yaml, &err);
    af_map_free(map);
    arrow_table_free(table);
    return ffi_result(status, &err);
}
