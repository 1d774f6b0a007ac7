/*
 * map_fixture.h - for tests, fuzzer and bench of map/: batches out of a few lines of text, points back to text.
 *
 *     region:dict;din_instante;val:f64       name[:type], types: text (the default), dict, f64, i64, u64, bool, time, wall, date,
 *     SE;2024-01-01 00:00:00;1.5             dec2; an empty cell is null
 */
#ifndef AF_MAP_MAP_FIXTURE_H
#define AF_MAP_MAP_FIXTURE_H
#include "base/calendar.h"
#include "base/numbers.h"
#include "map/map_int.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct af_arena arena; /* of batch and points */
    struct af_batch batch;
    struct af_map *map;
    struct af_mapper *mapper;
    struct af_points points;
    struct af_map_rejects rejects;
    size_t empty;
    struct af_buf text;
};

static inline struct af_slice fixture_cut(struct af_slice *rest, char mark)
{
    const char *at = memchr(rest->ptr, mark, rest->len);
    size_t len = at != NULL ? (size_t)(at - rest->ptr) : rest->len;
    struct af_slice piece = { rest->ptr, len };
    size_t used = at != NULL ? len + 1 : len;
    *rest = (struct af_slice){ rest->ptr + used, rest->len - used };
    return piece;
}

/* Text columns: cells one after another; as a dictionary: each distinct cell once. */
static inline void fixture_text(struct af_arena *arena, struct af_column *col, const struct af_slice *cells, size_t rows,
                                bool as_dict)
{
    struct af_intern set;
    af_intern_init(&set);
    int32_t *offsets = af_arena_array(arena, rows + 1, sizeof *offsets);
    uint32_t *codes = af_arena_array(arena, rows, sizeof *codes);
    size_t bytes = 0;
    for (size_t i = 0; i < rows; i++)
        bytes += cells[i].len;
    char *text = af_arena_alloc(arena, bytes + 1);
    size_t at = 0;
    uint32_t entries = 0;
    offsets[0] = 0;
    for (size_t i = 0; i < rows; i++) {
        uint32_t id = (uint32_t)i;
        if (as_dict && (cells[i].len == 0 || af_intern_add(&set, cells[i], &id, NULL) != AF_OK))
            id = 0;
        codes[i] = id;
        if (as_dict && id < entries)
            continue;
        if (as_dict && cells[i].len == 0)
            continue;
        if (cells[i].len != 0)
            memcpy(text + at, cells[i].ptr, cells[i].len);
        at += cells[i].len;
        offsets[++entries] = (int32_t)at;
    }
    af_intern_done(&set);
    if (as_dict) {
        bool is_kept = af_dict_new(offsets, text, entries, &col->dict, NULL) == AF_OK &&
                       af_dict_hold(col->dict, arena, NULL) == AF_OK;
        assert(is_kept);
        (void)is_kept;
        af_dict_unref(col->dict); /* the arena's reference stays */
        col->codes = codes;
    } else {
        col->offsets = offsets;
        col->bytes = text;
    }
}

static inline int64_t fixture_i64(struct af_slice cell, const char *type)
{
    int64_t value = 0;
    bool has_zone;
    bool truth = false;
    bool is_ok = true;
    if (strcmp(type, "time") == 0 || strcmp(type, "wall") == 0 || strcmp(type, "date") == 0) {
        is_ok = af_time_parse(cell, &value, &has_zone);
        if (strcmp(type, "date") == 0)
            value = af_floor_div(value, AF_NS_PER_DAY);
    } else if (strcmp(type, "bool") == 0) {
        is_ok = af_map_bool_parse(cell, &truth);
        value = truth;
    } else {
        is_ok = af_i64_parse(cell, &value);
    }
    assert(is_ok);
    (void)is_ok;
    return value;
}

static inline void fixture_numbers(struct af_arena *arena, struct af_column *col, const struct af_slice *cells, size_t rows,
                                   const char *type)
{
    int64_t *values = af_arena_array(arena, rows, sizeof *values);
    __int128 *wide = af_arena_array(arena, rows, sizeof *wide);
    uint64_t *bits = af_bits_new(arena, rows, false);
    for (size_t i = 0; i < rows; i++) {
        double real = 0;
        values[i] = 0;
        wide[i] = 0;
        if (cells[i].len == 0)
            continue;
        if (strcmp(type, "f64") == 0) {
            char space[64] = "";
            memcpy(space, cells[i].ptr, cells[i].len < 63 ? cells[i].len : 63);
            real = strtod(space, NULL); /* nan and inf too */
            memcpy(&values[i], &real, sizeof real);
        } else {
            values[i] = fixture_i64(cells[i], type);
            wide[i] = values[i];
            if (values[i] != 0)
                af_bit_set(bits, i);
        }
    }
    col->i64 = values;
    if (col->type == AF_TYPE_BOOL)
        col->bits = bits;
    if (col->type == AF_TYPE_DECIMAL)
        col->i128 = wide;
}

static inline enum af_type fixture_type(const char *name)
{
    static const struct {
        const char *name;
        enum af_type type;
    } types[] = { { "f64", AF_TYPE_F64 },   { "i64", AF_TYPE_I64 },   { "u64", AF_TYPE_U64 },      { "bool", AF_TYPE_BOOL },
                  { "time", AF_TYPE_TIME }, { "wall", AF_TYPE_TIME }, { "date", AF_TYPE_DATE },    { "dec2", AF_TYPE_DECIMAL },
                  { "text", AF_TYPE_STRING }, { "dict", AF_TYPE_STRING } };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    }
    return AF_TYPE_STRING;
}

static inline void fixture_column(struct af_arena *arena, struct af_field *field, struct af_column *col,
                                  const struct af_slice *cells, size_t rows, const char *type)
{
    field->type = col->type = fixture_type(type);
    field->scale = col->scale = field->type == AF_TYPE_DECIMAL ? 2 : 0;
    field->is_local = strcmp(type, "wall") == 0;
    uint64_t *validity = af_bits_new(arena, rows, true);
    for (size_t i = 0; i < rows; i++) {
        if (cells[i].len == 0) {
            af_bit_clear(validity, i);
            col->null_count++;
        }
    }
    col->validity = col->null_count != 0 ? validity : NULL;
    if (field->type == AF_TYPE_STRING)
        fixture_text(arena, col, cells, rows, strcmp(type, "dict") == 0);
    else
        fixture_numbers(arena, col, cells, rows, type);
}

/* A batch out of text; the first line names the columns. `default_type` is for columns without one. */
static inline void fixture_batch(struct af_arena *arena, const char *text, const char *default_type, struct af_batch *out)
{
    enum { COLUMNS_MAX = 64 };
    struct af_slice rest = af_slice_of(text);
    struct af_slice header = fixture_cut(&rest, '\n');
    size_t rows = 0;
    for (size_t i = 0; i < rest.len; i++)
        rows += rest.ptr[i] == '\n';
    rows += rest.len != 0 && rest.ptr[rest.len - 1] != '\n';
    struct af_slice names[COLUMNS_MAX];
    size_t columns = 0;
    while (header.len != 0 && columns < COLUMNS_MAX)
        names[columns++] = fixture_cut(&header, ';');
    struct af_slice *cells = af_arena_zero(arena, columns * rows + 1, sizeof *cells);
    for (size_t row = 0; row < rows; row++) {
        struct af_slice line = fixture_cut(&rest, '\n');
        for (size_t i = 0; i < columns; i++)
            cells[i * rows + row] = fixture_cut(&line, ';');
    }
    struct af_schema *schema = af_arena_zero(arena, 1, sizeof *schema);
    struct af_field *fields = af_arena_zero(arena, columns + 1, sizeof *fields);
    struct af_column *cols = af_arena_zero(arena, columns + 1, sizeof *cols);
    for (size_t i = 0; i < columns; i++) {
        const char *colon = memrchr(names[i].ptr, ':', names[i].len);
        size_t name_len = colon != NULL ? (size_t)(colon - names[i].ptr) : names[i].len;
        const char *type = colon != NULL ? af_arena_copy(arena, (struct af_slice){ colon + 1, names[i].len - name_len - 1 })
                                         : default_type;
        fields[i].name = af_arena_copy(arena, (struct af_slice){ names[i].ptr, name_len });
        fixture_column(arena, &fields[i], &cols[i], cells + i * rows, rows, type);
    }
    *schema = (struct af_schema){ columns, fields };
    *out = (struct af_batch){ .schema = schema, .row_count = rows, .columns = cols };
}

/* --- points as text ----------------------------------------------------------------------------------------------- */

static inline void fixture_print_value(struct af_buf *out, const struct af_column *col, size_t row)
{
    if (col->type == AF_TYPE_STRING)
        af_buf_append_char(out, '"');
    af_map_value_print(out, col, row, MAP_SHORTEST);
    if (col->type == AF_TYPE_STRING)
        af_buf_append_char(out, '"');
    if (col->type == AF_TYPE_I64)
        af_buf_append_char(out, 'i');
    if (col->type == AF_TYPE_U64)
        af_buf_append_char(out, 'u');
}

static inline void fixture_print_row(struct af_buf *out, const struct af_points *points, size_t row)
{
    const char *mark = " ";
    af_buf_append_slice(out, points->set->keys.keys[points->series[row]]);
    for (size_t i = 0; i < points->field_count; i++) {
        if (!af_column_has(&points->fields[i].column, row))
            continue;
        af_buf_append_str(out, mark);
        af_buf_append_slice(out, points->fields[i].escaped);
        af_buf_append_char(out, '=');
        fixture_print_value(out, &points->fields[i].column, row);
        mark = ",";
    }
    af_buf_printf(out, " %lld\n", (long long)points->time_ns[row]);
}

static inline const char *fixture_print(struct fixture *f)
{
    af_buf_clear(&f->text);
    for (size_t row = 0; row < f->points.row_count; row++) {
        if (f->points.series[row] != UINT32_MAX)
            fixture_print_row(&f->text, &f->points, row);
    }
    return af_buf_cstr(&f->text);
}

static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    af_arena_init(&f->arena, (size_t)1 << 30);
    af_buf_init(&f->text, (size_t)1 << 28);
}

static inline void fixture_done(struct fixture *f)
{
    af_mapper_free(f->mapper);
    af_map_free(f->map);
    af_buf_done(&f->text);
    af_arena_done(&f->arena);
}
#endif
