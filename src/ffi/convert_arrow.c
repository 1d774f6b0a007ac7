/*
 * convert_arrow.c - an ArrowArrayStream as blocks of lines, in the thread of whoever asks.
 *
 * An array is held while it is being read, in batches of at most AF_BATCH_ROWS rows whose columns point into it, and released when its last
 * row is a line.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "ffi/ffi_int.h"

struct arrow_converter {
    struct afluxo_converter base;
    struct ArrowArrayStream stream;
    struct ArrowArray array;           /* the one at hand; released: none */
    size_t at;                         /* its first row that is not a line yet */
    uint64_t rows_before;              /* of the arrays before it */
    struct arrow_table *table;
    struct af_map *map;
    struct af_mapper *mapper;
    struct af_schema schema;           /* of the wanted columns */
    size_t *wanted;
    size_t wanted_count;
    struct af_arena own;               /* schema, wanted */
    struct af_arena batch;
};

static enum af_status fail_stream(struct ArrowArrayStream *stream, int code, struct af_error *err)
{
    const char *words = stream->get_last_error != NULL ? stream->get_last_error(stream) : NULL;
    return af_fail(err, AF_EIO, "the Arrow stream failed (%d): %.600s", code, words != NULL ? words : "it does not say why");
}

/* The next array that has rows; none: released. */
static enum af_status pull(struct arrow_converter *c, struct af_error *err)
{
    for (;;) {
        c->array.release = NULL;
        int code = c->stream.get_next(&c->stream, &c->array);
        if (code != 0)
            return fail_stream(&c->stream, code, err);
        if (c->array.release == NULL)
            return AF_OK;
        if (c->array.length != 0)
            break;
        c->array.release(&c->array);
    }
    c->at = 0;
    if (c->array.length < 0)
        return af_fail(err, AF_EINVAL, "an Arrow array of %lld rows", (long long)c->array.length);
    return AF_OK;
}

static void release_array(struct arrow_converter *c)
{
    c->rows_before += (uint64_t)c->array.length;
    ARROW_RELEASE(&c->array);
    c->array.release = NULL;
}

/* --- a batch --------------------------------------------------------------------------------------------------------------- */

static enum af_status make_batch(struct arrow_converter *c, const size_t *wanted, size_t count, const struct af_schema *schema,
                                 struct af_batch *out, struct af_error *err)
{
    struct af_column *columns = af_arena_zero(&c->batch, count + 1, sizeof *columns);
    size_t rows = 0;
    if (columns == NULL)
        return af_fail_nomem(err, "a batch");
    AF_TRY(arrow_rows(c->table, &c->array, wanted, count, c->at, &rows, err));
    AF_TRY(arrow_import(c->table, &c->array, wanted, count, c->at, rows, &c->batch, columns, err));
    *out = (struct af_batch){ .schema = schema, .row_count = rows, .columns = columns, .first_row = c->rows_before + c->at };
    return AF_OK;
}

static enum af_status encode(struct arrow_converter *c, const struct af_batch *batch, struct af_error *err)
{
    struct ffi_block *block = &c->base.block;
    struct af_points points;
    struct af_map_rejects rejects = { 0 };
    size_t empty = 0;
    AF_TRY(af_mapper_apply(c->mapper, batch, &c->batch, &points, &rejects, &empty, err));
    AF_TRY(af_lp_encode(&points, c->base.precision, &block->text, 1, err));
    for (size_t i = 0; i < rejects.count; i++)
        ffi_rejects_add(&block->rejects, &rejects.items[i], batch->first_row + rejects.items[i].row);
    block->counts.rows += batch->row_count;
    block->counts.points += block->text.line_count;
    block->counts.rejected += rejects.count;
    block->counts.empty += empty;
    block->counts.values += block->text.value_count;
    return AF_OK;
}

static enum af_status fill(struct afluxo_converter *base, bool *out_end, struct af_error *err)
{
    struct arrow_converter *c = (struct arrow_converter *)base;
    struct af_batch batch;
    if (c->array.release == NULL) {
        AF_TRY(pull(c, err));
        *out_end = c->array.release == NULL;
        if (*out_end)
            return AF_OK;
        AF_TRY(arrow_array_begin(c->table, &c->array, c->wanted, c->wanted_count, err));
    }
    af_arena_reset(&c->batch);
    AF_TRY(make_batch(c, c->wanted, c->wanted_count, &c->schema, &batch, err));
    AF_TRY(encode(c, &batch, err));
    c->at += batch.row_count;
    if (c->at == (size_t)c->array.length)
        release_array(c);
    return AF_OK;
}

/* --- opening --------------------------------------------------------------------------------------------------------------- */

static void close_converter(struct afluxo_converter *base)
{
    struct arrow_converter *c = (struct arrow_converter *)base;
    af_arena_done(&c->batch);
    ARROW_RELEASE(&c->array);
    ARROW_RELEASE(&c->stream);
    af_mapper_free(c->mapper);
    af_map_free(c->map);
    arrow_table_free(c->table);
    af_arena_done(&c->own);
    af_free(c);
}

static enum af_status take_schema(struct arrow_converter *c, struct af_error *err)
{
    struct ArrowSchema schema = { 0 };
    int code = c->stream.get_schema(&c->stream, &schema);
    if (code != 0)
        return fail_stream(&c->stream, code, err);
    enum af_status status = arrow_table_new(&schema, &c->table, err);
    ARROW_RELEASE(&schema);
    return status;
}

static enum af_status readable_columns(struct arrow_converter *c, size_t **out, size_t *out_count, struct af_error *err)
{
    size_t *columns = af_arena_zero(&c->batch, c->table->schema.field_count + 1, sizeof *columns);
    if (columns == NULL)
        return af_fail_nomem(err, "a batch");
    *out_count = 0;
    for (size_t i = 0; i < c->table->schema.field_count; i++)
        if (c->table->columns[i].unsupported == NULL)
            columns[(*out_count)++] = i;
    *out = columns;
    return AF_OK;
}

static enum af_status project(struct arrow_converter *c, const size_t *columns, size_t count, struct af_schema *out, struct af_error *err)
{
    struct af_field *fields = af_arena_zero(&c->own, count + 1, sizeof *fields);
    if (fields == NULL)
        return af_fail_nomem(err, "a table");
    for (size_t i = 0; i < count; i++)
        fields[i] = c->table->schema.fields[columns[i]];
    *out = (struct af_schema){ count, fields };
    return AF_OK;
}

/* A guess looks at the first rows; they are read a second time then. */
static enum af_status choose_map(struct arrow_converter *c, const struct afluxo_mapping_options *options, struct af_error *err)
{
    size_t *columns = NULL, count = 0;
    struct af_schema schema;
    struct af_batch sample;
    if (ffi_map_is_given(options) || options->infer == 0)
        return ffi_map(options, &c->table->schema, NULL, &c->map, err);
    AF_TRY(pull(c, err));
    AF_TRY(readable_columns(c, &columns, &count, err));
    AF_TRY(project(c, columns, count, &schema, err));
    if (c->array.release == NULL)
        return ffi_map(options, &schema, NULL, &c->map, err);
    AF_TRY(arrow_array_begin(c->table, &c->array, columns, count, err));
    AF_TRY(make_batch(c, columns, count, &schema, &sample, err));
    return ffi_map(options, &schema, &sample, &c->map, err);
}

static enum af_status open_converter(struct arrow_converter *c, const struct afluxo_mapping_options *options, struct af_error *err)
{
    AF_TRY(take_schema(c, err));
    AF_TRY(choose_map(c, options, err));
    AF_TRY(af_map_columns(c->map, &c->table->schema, &c->own, &c->wanted, &c->wanted_count, err));
    AF_TRY(project(c, c->wanted, c->wanted_count, &c->schema, err));
    AF_TRY(af_mapper_new(c->map, &c->schema, options->path != NULL ? options->path : "table", &c->mapper, err));
    if (c->array.release != NULL)
        AF_TRY(arrow_array_begin(c->table, &c->array, c->wanted, c->wanted_count, err));
    return AF_OK;
}

enum af_status ffi_convert_stream(struct ArrowArrayStream *stream, const struct afluxo_mapping_options *mapping,
                                  enum af_precision precision,
                                  struct afluxo_converter **out, struct af_error *err)
{
    struct arrow_converter *c = af_alloc_zero(1, sizeof *c);
    if (c == NULL)
        return af_fail_nomem(err, "a converter");
    c->base = (struct afluxo_converter){ .fill = fill, .close = close_converter, .precision = precision };
    ffi_block_init(&c->base.block);
    af_arena_init(&c->own, AF_BATCH_ARENA_BYTES_MAX);
    af_arena_init(&c->batch, AF_BATCH_ARENA_BYTES_MAX);
    c->stream = *stream;
    stream->release = NULL;
    enum af_status status = open_converter(c, mapping, err);
    if (status != AF_OK) {
        af_ffi_convert_free(&c->base);
        return status;
    }
    *out = &c->base;
    return AF_OK;
}
