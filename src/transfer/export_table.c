/*
 * export_table.c - a measurement as a table in Parquet: time, a column a tag, a column a field.
 *
 *     series keys of a batch --once each--> values of tags --> codes and a dictionary a tag; fields as they are
 *
 * The columns are fixed at the start: tags as the store lists them, fields as the scan says. A series without a tag is null there.
 */
#include "base/alloc.h"
#include "transfer/export_int.h"
#include <stdio.h>

struct table {
    const struct af_export_options *options;
    const struct af_parquet_write_options *how;
    af_parquet_emit emit;
    void *ctx;
    struct af_arena arena;
    const char **tags;           /* names, sorted as the store lists them */
    size_t tag_count;
    struct af_schema schema;
    struct af_parquet_writer *writer;
};

/* --- columns ---------------------------------------------------------------------------------------------------------------- */

static bool is_tag(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->tag_count; i++)
        if (strcmp(t->tags[i], name) == 0)
            return true;
    return false;
}

static enum af_status begin_table(void *ctx, const struct af_schema *scan, struct af_error *err)
{
    struct table *t = ctx;
    size_t count = t->tag_count + scan->field_count - 1;
    struct af_field *fields = af_arena_zero(&t->arena, count, sizeof *fields);
    if (fields == NULL)
        return af_fail_nomem(err, "columns");
    fields[0] = (struct af_field){ .name = is_tag(t, "time") ? "time_1" : "time", .type = AF_TYPE_TIME };
    for (size_t i = 0; i < t->tag_count; i++)
        fields[1 + i] = (struct af_field){ .name = t->tags[i], .type = AF_TYPE_STRING, .is_nullable = true };
    for (size_t i = 2; i < scan->field_count; i++) {
        const char *name = scan->fields[i].name;
        bool clashes = is_tag(t, name) || strcmp(name, fields[0].name) == 0;
        name = clashes ? af_arena_printf(&t->arena, "%s_1", name) : af_arena_copy(&t->arena, af_slice_of(name));
        if (name == NULL)
            return af_fail_nomem(err, "columns");
        fields[t->tag_count + i - 1] = (struct af_field){ .name = name, .type = scan->fields[i].type, .is_nullable = true };
    }
    t->schema = (struct af_schema){ .field_count = count, .fields = fields };
    return af_parquet_writer_new(&t->schema, t->how, t->emit, t->ctx, &t->writer, err);
}

/* --- tags ------------------------------------------------------------------------------------------------------------------- */

/* The series of a batch, each once: number of a row's series, and keys by number. */
struct series {
    struct af_intern keys;
    uint32_t *of_row;
};

static enum af_status number_series(const struct af_batch *batch, struct series *out, struct af_error *err)
{
    const struct af_column *column = &batch->columns[0];
    for (size_t i = 0; i < batch->row_count; i++) {
        if (i != 0 && column->dict != NULL && column->codes[i] == column->codes[i - 1])
            out->of_row[i] = out->of_row[i - 1];
        else
            AF_TRY(af_intern_add(&out->keys, af_column_text(column, i), &out->of_row[i], err));
    }
    return AF_OK;
}

static bool find_tag(struct af_slice key, const char *tag, struct af_buf *scratch, struct af_slice *out)
{
    size_t at = 0;
    struct af_slice name, value;
    while (af_key_next_tag(key, &at, &name, &value)) {
        af_buf_clear(scratch);
        if (!af_slice_is(af_key_unescape(name, scratch), tag))
            continue;
        af_buf_clear(scratch);
        *out = af_key_unescape(value, scratch);
        return true;
    }
    return false;
}

static enum af_status make_dict(const struct af_intern *values, struct af_arena *arena, struct af_dict **out, struct af_error *err)
{
    int32_t *offsets = af_arena_array(arena, (size_t)values->count + 1, sizeof *offsets);
    char *bytes = af_arena_alloc(arena, values->bytes + 1);
    size_t at = 0;
    if (offsets == NULL || bytes == NULL)
        return af_fail_nomem(err, "a column of tags");
    offsets[0] = 0;
    for (uint32_t i = 0; i < values->count; i++) {
        memcpy(bytes + at, values->keys[i].ptr, values->keys[i].len);
        at += values->keys[i].len;
        offsets[i + 1] = (int32_t)at;
    }
    AF_TRY(af_dict_new(offsets, bytes, values->count, out, err));
    enum af_status status = af_dict_hold(*out, arena, err);
    af_dict_unref(*out);
    return status;
}

/* code_of[series] = the value's number + 1, 0: the series has no such tag. */
static enum af_status tag_values(const struct series *series, const char *tag, struct af_intern *values, uint32_t *code_of,
                                 struct af_error *err)
{
    struct af_buf scratch;
    enum af_status status = AF_OK;
    af_buf_init(&scratch, SIZE_MAX / 2);
    for (uint32_t i = 0; i < series->keys.count && status == AF_OK; i++) {
        struct af_slice value;
        uint32_t id;
        code_of[i] = 0;
        if (!find_tag(series->keys.keys[i], tag, &scratch, &value))
            continue;
        status = af_intern_add(values, value, &id, err);
        code_of[i] = id + 1;
    }
    af_buf_done(&scratch);
    return status;
}

static enum af_status make_tag(const struct series *series, const char *tag, size_t rows, struct af_intern *values, struct af_arena *arena,
                               struct af_column *out, struct af_error *err)
{
    uint32_t *code_of = af_arena_array(arena, (size_t)series->keys.count + 1, sizeof *code_of);
    uint32_t *codes = af_arena_array(arena, rows, sizeof *codes);
    uint64_t *validity = af_bits_new(arena, rows, false);
    if (code_of == NULL || codes == NULL || validity == NULL)
        return af_fail_nomem(err, "a column of tags");
    AF_TRY(tag_values(series, tag, values, code_of, err));
    *out = (struct af_column){ .type = AF_TYPE_STRING, .validity = validity, .codes = codes };
    for (size_t i = 0; i < rows; i++) {
        uint32_t code = code_of[series->of_row[i]];
        codes[i] = code != 0 ? code - 1 : 0;
        out->null_count += code == 0;
        if (code != 0)
            af_bit_set(validity, i);
    }
    return make_dict(values, arena, &out->dict, err);
}

static enum af_status make_columns(struct table *t, const struct af_batch *batch, const struct series *series, struct af_arena *arena,
                                   struct af_column *columns, struct af_error *err)
{
    columns[0] = batch->columns[1];
    for (size_t i = 0; i < t->tag_count; i++) {
        struct af_intern values;
        af_intern_init(&values);
        enum af_status status = make_tag(series, t->tags[i], batch->row_count, &values, arena, &columns[1 + i], err);
        af_intern_done(&values);
        AF_TRY(status);
    }
    for (size_t i = 2; i < batch->schema->field_count; i++)
        columns[t->tag_count + i - 1] = batch->columns[i];
    return AF_OK;
}

static enum af_status take_table(void *ctx, const struct af_batch *batch, struct af_arena *arena, struct af_error *err)
{
    struct table *t = ctx;
    struct series series;
    struct af_column *columns = af_arena_zero(arena, t->schema.field_count, sizeof *columns);
    series.of_row = af_arena_array(arena, batch->row_count, sizeof *series.of_row);
    if (columns == NULL || series.of_row == NULL)
        return af_fail_nomem(err, "columns");
    af_intern_init(&series.keys);
    enum af_status status = number_series(batch, &series, err);
    if (status == AF_OK)
        status = make_columns(t, batch, &series, arena, columns, err);
    af_intern_done(&series.keys);
    const struct af_batch out = { .schema = &t->schema, .row_count = batch->row_count, .columns = columns };
    return status == AF_OK ? af_parquet_writer_add(t->writer, &out, err) : status;
}

enum af_status af_export_parquet(const struct af_export_options *options, const struct af_parquet_write_options *how, af_parquet_emit emit,
                                 void *ctx, uint64_t *out_rows, struct af_error *err)
{
    struct table t = { .options = options, .how = how, .emit = emit, .ctx = ctx };
    *out_rows = 0;
    if (options->measurement == NULL)
        return af_fail(err, AF_EINVAL, "a table is of one measurement");
    af_arena_init(&t.arena, SIZE_MAX / 2);
    enum af_status status = export_names(options->store, AF_LIST_TAG_KEYS, options->measurement, &t.arena, &t.tags, &t.tag_count, err);
    if (status == AF_OK)
        status = export_scan(options, options->measurement, begin_table, take_table, &t, out_rows, err);
    if (status == AF_OK)
        status = af_parquet_writer_finish(t.writer, err);
    if (t.writer != NULL)
        af_parquet_writer_free(t.writer);
    af_arena_done(&t.arena);
    return status;
}
