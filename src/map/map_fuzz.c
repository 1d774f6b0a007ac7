/*
 * map_fuzz.c - a mapping as YAML, then a table, out of one input (a zero byte between them); the input's table is also read with
 * the built-in mappings.
 *
 * Properties: a mapping that parses prints, what is printed parses, and prints the same. Rows in = points + empty + rejects.
 * Every point has a key that is short enough and a field; floats are finite; text is UTF-8. The same batch a second time
 * (caches warm), and with dictionaries instead of plain text, gives the same points.
 */
#include "base/alloc.h"
#include "base/utf8.h"
#include "map/map_fixture.h"
#include <math.h>

static void must(bool condition)
{
    if (!condition)
        __builtin_trap();
}

static void check_print(const struct af_map *map)
{
    struct af_buf a;
    struct af_buf b;
    struct af_map *again = NULL;
    af_buf_init(&a, 16 << 20);
    af_buf_init(&b, 16 << 20);
    af_map_print(map, &a);
    struct af_error err;
    enum af_status status = a.len <= AF_YAML_BYTES_MAX ? af_map_parse("printed", af_buf_slice(&a), &again, &err) : AF_ELIMIT;
    must(status == AF_OK || status == AF_ELIMIT);
    if (status == AF_OK) {
        af_map_print(again, &b);
        must(af_slice_eq(af_buf_slice(&a), af_buf_slice(&b)));
    }
    af_map_free(again);
    af_buf_done(&a);
    af_buf_done(&b);
}

static size_t check_row(const struct af_points *points, size_t row)
{
    size_t values = 0;
    struct af_slice key = points->set->keys.keys[points->series[row]];
    for (size_t i = 0; i < points->field_count; i++) {
        const struct af_column *col = &points->fields[i].column;
        if (!af_column_has(col, row))
            continue;
        values++;
        must(key.len + 4 + points->fields[i].name.len <= AF_LP_KEY_BYTES_MAX);
        must(af_map_name_fault(MAP_ROLE_FIELD, points->fields[i].name) == NULL);
        must(col->type != AF_TYPE_F64 || isfinite(col->f64[row]));
        must(col->type != AF_TYPE_STRING || af_utf8_is_valid(af_column_text(col, row)));
        for (size_t k = 0; k < i; k++) /* one name, one value */
            must(!af_column_has(&points->fields[k].column, row) || !af_slice_eq(points->fields[k].name, points->fields[i].name));
    }
    must(af_utf8_is_valid(key) && memchr(key.ptr, '\n', key.len) == NULL);
    return values;
}

static void check_points(const struct fixture *f)
{
    size_t count = 0;
    for (size_t row = 0; row < f->points.row_count; row++) {
        if (f->points.series[row] == UINT32_MAX)
            continue;
        must(check_row(&f->points, row) > 0);
        count++;
    }
    must(count + f->empty + f->rejects.count == f->batch.row_count);
    for (size_t i = 0; i < f->rejects.count; i++) {
        must(f->rejects.items[i].reason != NULL);
        must(i == 0 || f->rejects.items[i].row > f->rejects.items[i - 1].row);
        must(f->points.series == NULL || f->points.series[f->rejects.items[i].row] == UINT32_MAX);
    }
}

/* Applies twice; the points as text, or NULL when the mapping does not fit the table. */
static const char *apply_twice(struct fixture *f, const char *table, const char *type)
{
    struct af_error err;
    fixture_batch(&f->arena, table, type, &f->batch);
    if (af_mapper_new(f->map, f->batch.schema, "a=1/dataset=generation/2024-01-02.csv", &f->mapper, &err) != AF_OK)
        return NULL;
    struct af_buf first;
    af_buf_init(&first, 64 << 20);
    for (int round = 0; round < 2; round++) {
        must(af_mapper_apply(f->mapper, &f->batch, &f->arena, &f->points, &f->rejects, &f->empty, &err) == AF_OK);
        check_points(f);
        const char *text = fixture_print(f);
        if (round == 0)
            af_buf_append_str(&first, text);
        else
            must(strcmp(af_buf_cstr(&first), text) == 0);
    }
    af_buf_done(&first);
    return af_buf_cstr(&f->text);
}

static void try_table(struct af_map *map, const char *table)
{
    struct fixture plain;
    struct fixture dict;
    fixture_init(&plain);
    fixture_init(&dict);
    plain.map = dict.map = map;
    const char *a = apply_twice(&plain, table, "text");
    const char *b = apply_twice(&dict, table, "dict");
    must((a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0));
    plain.map = dict.map = NULL; /* the caller's */
    fixture_done(&plain);
    fixture_done(&dict);
}

static void try_builtins(const char *table)
{
    static struct af_map *maps[40];
    const struct af_map_builtin_name *names = af_map_builtins();
    struct af_error err;
    struct af_map *map = NULL;
    for (size_t i = 0; names[i].name != NULL && i < 40; i++) {
        if (maps[i] == NULL)
            must(af_map_builtin(names[i].name, &maps[i], &err) == AF_OK);
        try_table(maps[i], table);
    }
    struct fixture f;
    fixture_init(&f);
    fixture_batch(&f.arena, table, "text", &f.batch);
    if (af_map_infer("x/y.csv", f.batch.schema, &f.batch, &map, &err) == AF_OK) {
        check_print(map);
        try_table(map, table);
        af_map_free(map);
    }
    fixture_done(&f);
}

/* Tables of the fixture cannot hold a zero, and their types would assert on cells that do not fit: no types here. */
static void clean_table(char *table)
{
    for (char *at = table; *at != '\0'; at++) {
        if (*at == ':')
            *at = '_';
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 8192)
        return 0;
    const uint8_t *zero = size != 0 ? memchr(data, 0, size) : NULL;
    size_t yaml_len = zero != NULL ? (size_t)(zero - data) : size;
    char table[8200] = "";
    if (zero != NULL) {
        memcpy(table, zero + 1, size - yaml_len - 1);
        table[size - yaml_len - 1] = '\0';
        char *head_end = strchr(table, '\n');
        if (head_end != NULL) {
            *head_end = '\0';
            clean_table(table);
            *head_end = '\n';
        } else {
            clean_table(table);
        }
    }
    struct af_map *map = NULL;
    struct af_error err;
    if (af_map_parse("fuzz.yaml", (struct af_slice){ (const char *)data, yaml_len }, &map, &err) == AF_OK) {
        check_print(map);
        try_table(map, table);
        af_map_free(map);
    } else if (yaml_len == 0) {
        try_builtins(table);
    }
    return 0;
}
