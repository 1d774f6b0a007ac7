/*
 * detect.c - which built-in dataset a file is: by its path (`dataset=generation/`, CURVA_CARGA_2023.csv), checked by its columns,
 * or by its columns alone where those are unmistakable.
 *
 * The longest piece of path that fits wins (RESTRICAO_COFF_EOLICA_DETAIL over RESTRICAO_COFF_EOLICA); a path counts more
 * than any number of columns. A file that has the name of a dataset but not its columns is told which one it lacks: ONS renames columns.
 */
#include "map/map_int.h"
#include <stdio.h>

enum { PATH_SCORE = 10000 };

struct detection {
    const struct af_schema *schema;
    const char *path;       /* plain */
    const char *file;       /* its last part */
    struct af_buf scratch;
    struct af_map *best;
    size_t best_score;
    const char *near;       /* the dataset of this name, without its columns */
    size_t near_score;
    char missing[80];       /* its first column that is not there */
};

/* Lower case, and - as _. */
static void append_plain(struct af_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text + ('a' - 'A')) : *text;
        af_buf_append_char(out, c == '-' ? '_' : c);
    }
    af_buf_append_char(out, '\0');
}

/* The first of the columns that is not there; NULL: none. */
static const char *missing_column(const struct af_schema *schema, const struct map_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        struct map_names one = { true, 1, &names->items[i] };
        if (af_map_find_column(schema, &one) == SIZE_MAX)
            return names->items[i];
    }
    return NULL;
}

static bool has_columns(const struct af_schema *schema, const struct map_names *names)
{
    return names->count != 0 && missing_column(schema, names) == NULL;
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

static size_t score(struct detection *d, const struct map_detect *detect)
{
    if (!has_columns(d->schema, &detect->columns))
        return 0;
    size_t by_path = path_score(d->path, &detect->path, &d->scratch);
    if (by_path != 0)
        return PATH_SCORE + by_path;
    const struct map_names *alone = detect->without_path.is_set ? &detect->without_path : &detect->columns;
    return !detect->needs_path && has_columns(d->schema, alone) ? alone->count : 0;
}

static void note_near(struct detection *d, const char *name, const struct map_detect *detect)
{
    const char *missing = missing_column(d->schema, &detect->columns);
    size_t points = path_score(d->file, &detect->path, &d->scratch);
    if (missing == NULL || points <= d->near_score)
        return;
    d->near = name;
    d->near_score = points;
    (void)snprintf(d->missing, sizeof d->missing, "%s", missing);
}

static enum af_status find_best(struct detection *d, struct af_error *err)
{
    const struct af_map_builtin_name *names = af_map_builtins();
    for (size_t i = 0; names[i].name != NULL; i++) {
        struct af_map *map;
        AF_TRY(af_map_parse(names[i].name, af_slice_of(af_map_builtin_yaml[i]), &map, err));
        size_t points = score(d, &map->detect);
        note_near(d, names[i].name, &map->detect);
        if (points > d->best_score) {
            struct af_map *before = d->best;
            d->best = map;
            map = before;
            d->best_score = points;
        }
        af_map_free(map);
    }
    return af_buf_check(&d->scratch, "a path", err);
}

static enum af_status nothing_fits(const struct detection *d, struct af_error *err)
{
    if (d->near != NULL)
        return af_fail(err, AF_ENOTFOUND, "named like %s, but there is no column %s; if it has another name here, say so in a mapping "
                                          "(--mapping FILE; inspect mapping --dataset %s prints one to start from)",
                       d->near, d->missing, d->near);
    return af_fail(err, AF_ENOTFOUND, "no built-in dataset fits this file's name and columns; say which with --dataset NAME, "
                                      "describe it with --mapping FILE, or let --infer guess");
}

enum af_status af_map_detect(const char *path, const struct af_schema *schema, struct af_map **out, struct af_error *err)
{
    struct af_buf plain;
    struct detection d = { .schema = schema };
    af_buf_init(&plain, 1 << 20);
    af_buf_init(&d.scratch, 1 << 16);
    append_plain(&plain, path);
    enum af_status status = af_buf_check(&plain, "a path", err);
    if (status == AF_OK) {
        const char *slash = strrchr(plain.ptr, '/');
        d.path = plain.ptr;
        d.file = slash != NULL ? slash + 1 : plain.ptr;
        status = find_best(&d, err);
    }
    if (status == AF_OK && d.best == NULL)
        status = nothing_fits(&d, err);
    af_buf_done(&plain);
    af_buf_done(&d.scratch);
    if (status != AF_OK) {
        af_map_free(d.best);
        return status;
    }
    *out = d.best;
    return AF_OK;
}
