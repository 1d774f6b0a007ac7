/*
 * detect.c - which built-in dataset a file is: by its path (`dataset=generation/`, CURVA_CARGA_2023.csv), checked by its columns,
 * or by its columns alone where those are unmistakable.
 *
 * The longest piece of path that fits wins (RESTRICAO_COFF_EOLICA_DETAIL over RESTRICAO_COFF_EOLICA); a path counts more
 * than any number of columns.
 */
#include "map/map_int.h"

enum { PATH_SCORE = 10000 };

/* Lower case, and - as _. */
static void append_plain(struct af_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text + ('a' - 'A')) : *text;
        af_buf_append_char(out, c == '-' ? '_' : c);
    }
    af_buf_append_char(out, '\0');
}

static bool has_columns(const struct af_schema *schema, const struct map_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        struct map_names one = { true, 1, &names->items[i] };
        if (af_map_find_column(schema, &one) == SIZE_MAX)
            return false;
    }
    return names->count != 0;
}

/* The length of the longest pattern in the path; 0: none. `path` is plain already. */
static size_t path_score(const char *path, const struct map_names *patterns, struct af_buf *scratch)
{
    size_t best = 0;
    for (size_t i = 0; i < patterns->count; i++) {
        af_buf_clear(scratch);
        append_plain(scratch, patterns->items[i]);
        if (!scratch->failed && scratch->len > best && strstr(path, scratch->ptr) != NULL)
            best = scratch->len - 1;
    }
    return best;
}

static size_t score(const struct map_detect *detect, const char *path, const struct af_schema *schema, struct af_buf *scratch)
{
    if (!has_columns(schema, &detect->columns))
        return 0;
    size_t by_path = path_score(path, &detect->path, scratch);
    if (by_path != 0)
        return PATH_SCORE + by_path;
    const struct map_names *alone = detect->without_path.is_set ? &detect->without_path : &detect->columns;
    return !detect->needs_path && has_columns(schema, alone) ? alone->count : 0;
}

static enum af_status find_best(const char *path, const struct af_schema *schema, struct af_buf *scratch, struct af_map **best,
                                struct af_error *err)
{
    size_t best_score = 0;
    const struct af_map_builtin_name *names = af_map_builtins();
    for (size_t i = 0; names[i].name != NULL; i++) {
        struct af_map *map;
        AF_TRY(af_map_parse(names[i].name, af_slice_of(af_map_builtin_yaml[i]), &map, err));
        size_t points = score(&map->detect, path, schema, scratch);
        if (points > best_score) {
            struct af_map *before = *best;
            *best = map;
            map = before;
            best_score = points;
        }
        af_map_free(map);
    }
    return AF_OK;
}

enum af_status af_map_detect(const char *path, const struct af_schema *schema, struct af_map **out, struct af_error *err)
{
    struct af_buf plain;
    struct af_buf scratch;
    af_buf_init(&plain, 1 << 20);
    af_buf_init(&scratch, 1 << 16);
    append_plain(&plain, path);
    struct af_map *best = NULL;
    enum af_status status = af_buf_check(&plain, "a path", err);
    if (status == AF_OK)
        status = find_best(plain.ptr, schema, &scratch, &best, err);
    if (status == AF_OK)
        status = af_buf_check(&scratch, "a path", err);
    af_buf_done(&plain);
    af_buf_done(&scratch);
    if (status == AF_OK && best == NULL)
        status = af_fail(err, AF_ENOTFOUND, "no built-in dataset fits %s: neither its path nor its columns are known; name one "
                                            "with --dataset, or give a --mapping", path);
    if (status != AF_OK) {
        af_map_free(best);
        return status;
    }
    *out = best;
    return AF_OK;
}
