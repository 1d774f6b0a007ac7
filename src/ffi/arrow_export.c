/*
 * arrow_export.c - a file's batches as an ArrowArrayStream.
 *
 *     stream --- table, scan, sources             an array and its children --- one holder: the arena of the batch
 *       get_next: a fresh arena a batch             each counts as one user; the last to be released frees it
 *
 * Types: bool int64 uint64 double, timestamp[ns] (UTC where the file says instants), date32, time64[ns], decimal128, utf8 (JSON too),
 * binary,
 * null. Text is always utf8, whether a batch had a dictionary or not: a schema holds for the whole stream.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "ffi/ffi_int.h"
#include "ingest/ingest.h"
#include <errno.h>
#include <stdatomic.h>

/* --- the schema ------------------------------------------------------------------------------------------------------------ */

static const char *format_of(const struct af_field *field, struct af_arena *arena)
{
    switch (field->type) {
    case AF_TYPE_BOOL: return "b";
    case AF_TYPE_I64: return "l";
    case AF_TYPE_U64: return "L";
    case AF_TYPE_F64: return "g";
    case AF_TYPE_TIME: return field->is_local ? "tsn:" : "tsn:UTC";
    case AF_TYPE_DATE: return "tdD";
    case AF_TYPE_CLOCK: return "ttn";
    case AF_TYPE_DECIMAL: return af_arena_printf(arena, "d:38,%u", field->scale);
    case AF_TYPE_STRING:
    case AF_TYPE_JSON: return "u";
    case AF_TYPE_BYTES: return "z";
    case AF_TYPE_NULL: break;
    }
    return "n";
}

/* Schemas and arrays of one export share a holder. */
struct holder {
    struct af_arena arena;
    _Atomic uint32_t refs;
};

static struct holder *holder_new(void)
{
    struct holder *holder = af_alloc_zero(1, sizeof *holder);
    if (holder == NULL)
        return NULL;
    af_arena_init(&holder->arena, (size_t)2 << 30);
    atomic_init(&holder->refs, 1);
    return holder;
}

static void holder_unref(struct holder *holder)
{
    if (atomic_fetch_sub(&holder->refs, 1) != 1)
        return;
    af_arena_done(&holder->arena);
    af_free(holder);
}

static void release_schema(struct ArrowSchema *schema)
{
    struct holder *holder = schema->private_data;
    for (int64_t i = 0; i < schema->n_children; i++)
        ARROW_RELEASE(schema->children[i]);
    schema->release = NULL;
    holder_unref(holder);
}

static void init_schema(struct ArrowSchema *out, const char *format, const char *name, bool is_nullable, struct holder *holder)
{
    *out = (struct ArrowSchema){ .format = format, .name = name, .flags = is_nullable ? ARROW_FLAG_NULLABLE : 0,
                                 .release = release_schema, .private_data = holder };
    atomic_fetch_add(&holder->refs, 1);
}

static bool export_schema(const struct af_schema *schema, struct holder *holder, struct ArrowSchema *out)
{
    const size_t count = schema->field_count;
    struct ArrowSchema *children = af_arena_zero(&holder->arena, count + 1, sizeof *children);
    struct ArrowSchema **pointers = af_arena_zero(&holder->arena, count + 1, sizeof *pointers);
    if (children == NULL || pointers == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *format = format_of(&schema->fields[i], &holder->arena);
        const char *name = af_arena_copy(&holder->arena, af_slice_of(schema->fields[i].name));
        if (format == NULL || name == NULL)
            return false;
        children[i] = (struct ArrowSchema){ .format = format, .name = name };
        pointers[i] = &children[i];
    }
    for (size_t i = 0; i < count; i++)
        init_schema(&children[i], children[i].format, children[i].name, true, holder);
    init_schema(out, "+s", "", false, holder);
    out->n_children = (int64_t)count;
    out->children = pointers;
    return true;
}

/* --- arrays ---------------------------------------------------------------------------------------------------------------- */

static void release_array(struct ArrowArray *array)
{
    struct holder *holder = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++)
        ARROW_RELEASE(array->children[i]);
    array->release = NULL;
    holder_unref(holder);
}

static enum af_status export_days(const struct af_column *col, size_t rows, struct af_arena *arena, const void **out, struct af_error *err)
{
    int32_t *days = af_arena_array(arena, rows, sizeof *days);
    if (days == NULL)
        return af_arena_fail(arena, rows * sizeof *days, "a column", err);
    for (size_t i = 0; i < rows; i++) {
        const bool has = af_column_has(col, i);
        if (has && (col->i64[i] < INT32_MIN || col->i64[i] > INT32_MAX))
            return af_fail(err, AF_EINVAL, "a date %lld days from 1970 has no place in Arrow's date32", (long long)col->i64[i]);
        days[i] = has ? (int32_t)col->i64[i] : 0;
    }
    *out = days;
    return AF_OK;
}

static enum af_status decode_text(const struct af_column *col, size_t rows, struct af_arena *arena, const void **buffers,
                                  struct af_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < rows; i++)
        bytes += af_column_has(col, i) ? af_column_text(col, i).len : 0;
    if (bytes > INT32_MAX)
        return af_fail(err, AF_ELIMIT, "%zu bytes of text in %zu rows", bytes, rows);
    int32_t *offsets = af_arena_array(arena, rows + 1, sizeof *offsets);
    char *text = af_arena_array(arena, bytes + 1, 1);
    if (offsets == NULL || text == NULL)
        return af_arena_fail(arena, bytes, "a column of text", err);
    size_t at = 0;
    offsets[0] = 0;
    for (size_t i = 0; i < rows; i++) {
        struct af_slice s = af_column_has(col, i) ? af_column_text(col, i) : AF_SLICE_LIT("");
        if (s.len != 0)
            memcpy(text + at, s.ptr, s.len);
        at += s.len;
        offsets[i + 1] = (int32_t)at;
    }
    buffers[1] = offsets;
    buffers[2] = text;
    return AF_OK;
}

/* A null would hide a value that the file has. */
static enum af_status check_values(const struct af_column *col, const char *name, const struct af_batch *batch, struct af_error *err)
{
    for (size_t i = 0; col->invalid != NULL && i < batch->row_count; i++)
        if (af_bit_get(col->invalid, i))
            return af_fail(err, AF_EINVAL, "row %llu, column '%s': %s", (unsigned long long)(batch->first_row + i), name,
                           col->invalid_why != NULL ? col->invalid_why : "a value that cannot be held");
    return AF_OK;
}

static enum af_status export_column(const struct af_column *col, size_t rows, struct holder *holder, struct ArrowArray *out,
                                    struct af_error *err)
{
    const void **buffers = af_arena_zero(&holder->arena, 3, sizeof *buffers);
    if (buffers == NULL)
        return af_fail_nomem(err, "a column");
    *out = (struct ArrowArray){ .length = (int64_t)rows, .n_buffers = col->type == AF_TYPE_NULL ? 0 : af_type_is_text(col->type) ? 3 : 2,
                                .null_count = (int64_t)(col->type == AF_TYPE_NULL ? rows : col->null_count), .buffers = buffers };
    buffers[0] = col->validity;
    if (!af_type_is_text(col->type)) {
        buffers[1] = col->values;
        return col->type == AF_TYPE_DATE ? export_days(col, rows, &holder->arena, &buffers[1], err) : AF_OK;
    }
    if (col->dict != NULL)
        return decode_text(col, rows, &holder->arena, buffers, err);
    buffers[1] = col->offsets;
    buffers[2] = col->bytes;
    return AF_OK;
}

/* The chosen columns of a batch that lives in the holder's arena. Nothing is exported unless all of it is. */
static enum af_status export_batch(const struct af_batch *batch, const size_t *columns, size_t count, struct holder *holder,
                                   struct ArrowArray *out, struct af_error *err)
{
    struct ArrowArray *children = af_arena_zero(&holder->arena, count + 1, sizeof *children);
    struct ArrowArray **pointers = af_arena_zero(&holder->arena, count + 1, sizeof *pointers);
    const void **buffers = af_arena_zero(&holder->arena, 1, sizeof *buffers);
    if (children == NULL || pointers == NULL || buffers == NULL)
        return af_fail_nomem(err, "a batch");
    for (size_t i = 0; i < count; i++) {
        AF_TRY(check_values(&batch->columns[columns[i]], batch->schema->fields[columns[i]].name, batch, err));
        AF_TRY(export_column(&batch->columns[columns[i]], batch->row_count, holder, &children[i], err));
        pointers[i] = &children[i];
    }
    for (size_t i = 0; i < count; i++) {
        children[i].release = release_array;
        children[i].private_data = holder;
        atomic_fetch_add(&holder->refs, 1);
    }
    *out = (struct ArrowArray){ .length = (int64_t)batch->row_count, .n_buffers = 1, .buffers = buffers, .n_children = (int64_t)count,
                                .children = pointers, .release = release_array, .private_data = holder };
    atomic_fetch_add(&holder->refs, 1);
    return AF_OK;
}

/* --- the stream ------------------------------------------------------------------------------------------------------------ */

struct export {
    struct ffi_sources *sources;
    struct af_table *table;
    struct af_stream *stream;
    struct af_arena own;
    struct af_schema schema;      /* of what is exported */
    size_t *columns;              /* of it, in the stream's batches */
    enum af_status failed;        /* final: nothing comes after it, no end either */
    struct af_error why;
};

static void export_free(struct export *e)
{
    af_stream_close(e->stream);
    af_table_close(e->table);
    ffi_sources_close(e->sources);
    af_arena_done(&e->own);
    af_free(e);
}

static int errno_of(enum af_status status)
{
    switch (status) {
    case AF_OK: return 0;
    case AF_ENOMEM: return ENOMEM;
    case AF_EUNSUPPORTED: return ENOSYS;
    case AF_EINVAL:
    case AF_ECORRUPT: return EINVAL;
    default: return EIO;
    }
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct export *e = stream->private_data;
    struct holder *holder = holder_new();
    const bool is_done = holder != NULL && export_schema(&e->schema, holder, out);
    if (holder != NULL)
        holder_unref(holder);
    return is_done ? 0 : errno_of(af_fail_nomem(&e->why, "a schema"));
}

static enum af_status next_batch(struct export *e, struct holder *holder, struct ArrowArray *out, struct af_error *err)
{
    struct af_batch *batch = NULL;
    AF_TRY(af_stream_next(e->stream, &holder->arena, &batch, err));
    if (batch == NULL)
        return AF_OK;
    if (batch->bad_row_count != 0)
        return af_fail(err, AF_EINVAL, "row %llu: %s", (unsigned long long)batch->bad_rows[0].row, batch->bad_rows[0].reason);
    return export_batch(batch, e->columns, e->schema.field_count, holder, out, err);
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct export *e = stream->private_data;
    struct holder *holder = holder_new();
    out->release = NULL;
    if (holder == NULL)
        return errno_of(af_fail_nomem(&e->why, "a batch"));
    if (e->failed == AF_OK)
        e->failed = next_batch(e, holder, out, &e->why);
    holder_unref(holder);
    return errno_of(e->failed);
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    return ((struct export *)stream->private_data)->why.message;
}

static void release_stream(struct ArrowArrayStream *stream)
{
    export_free(stream->private_data);
    stream->release = NULL;
}

/* --- opening --------------------------------------------------------------------------------------------------------------- */

static enum af_status find_columns(struct export *e, const struct af_schema *schema, const char *const *names, size_t count,
                                   struct af_error *err)
{
    e->columns = af_arena_zero(&e->own, count + 1, sizeof *e->columns);
    if (e->columns == NULL)
        return af_fail_nomem(err, "the columns of a table");
    for (size_t i = 0; i < count; i++) {
        e->columns[i] = af_schema_find(schema, af_slice_of(names[i]));
        if (e->columns[i] == SIZE_MAX)
            return af_fail(err, AF_ENOTFOUND, "there is no column '%.200s'", names[i]);
    }
    return AF_OK;
}

/* The scan of Parquet has just the wanted columns, that of a CSV all. */
static enum af_status settle_columns(struct export *e, bool is_projected, size_t count, struct af_error *err)
{
    struct af_field *fields = af_arena_zero(&e->own, count + 1, sizeof *fields);
    if (fields == NULL)
        return af_fail_nomem(err, "the columns of a table");
    for (size_t i = 0; i < count; i++) {
        if (is_projected)
            e->columns[i] = i;
        fields[i] = e->stream->schema->fields[e->columns[i]];
    }
    e->schema = (struct af_schema){ count, fields };
    return AF_OK;
}

static enum af_status open_export(struct export *e, const char *const *names, size_t count, struct af_error *err)
{
    const struct af_source_list *list = ffi_sources_list(e->sources);
    if (list->count != 1)
        return af_fail(err, AF_EINVAL, "%zu files where one is wanted: read them one by one", list->count);
    if (list->items[0].format == AF_SOURCE_LP)
        return af_fail(err, AF_EUNSUPPORTED, "%s is line protocol, not a table", list->items[0].path);
    AF_TRY(af_table_open(&list->items[0], &e->table, err));
    const bool is_parquet = af_table_parquet(e->table) != NULL;
    if (names != NULL)
        AF_TRY(find_columns(e, af_table_schema(e->table), names, count, err));
    AF_TRY(af_table_scan(e->table, is_parquet ? e->columns : NULL, is_parquet && names != NULL ? count : 0, 0, &e->stream, err));
    if (names != NULL)
        return settle_columns(e, is_parquet, count, err);
    e->columns = af_arena_zero(&e->own, e->stream->schema->field_count + 1, sizeof *e->columns);
    if (e->columns == NULL)
        return af_fail_nomem(err, "the columns of a table");
    return settle_columns(e, true, e->stream->schema->field_count, err);
}

enum af_status ffi_export(struct ffi_sources *sources, const char *const *columns, size_t column_count, struct ArrowArrayStream *out,
                          struct af_error *err)
{
    struct export *e = af_alloc_zero(1, sizeof *e);
    if (e == NULL) {
        ffi_sources_close(sources);
        return af_fail_nomem(err, "a table");
    }
    e->sources = sources;
    af_arena_init(&e->own, 64 << 20);
    enum af_status status = open_export(e, columns, column_count, err);
    if (status != AF_OK) {
        export_free(e);
        return status;
    }
    *out = (struct ArrowArrayStream){ .get_schema = get_schema, .get_next = get_next, .get_last_error = get_last_error,
                                      .release = release_stream, .private_data = e };
    return AF_OK;
}

int af_ffi_read_file(const char *source, const char *const *columns, size_t column_count, void *out_arrow_stream)
{
    struct af_error err = { 0 };
    struct ffi_sources *sources = NULL;
    struct ArrowArrayStream *out = out_arrow_stream;
    out->release = NULL;
    enum af_status status = ffi_sources_open(source, false, &sources, &err);
    if (status == AF_OK)
        status = ffi_export(sources, columns, column_count, out, &err);
    return ffi_result(status, &err);
}
