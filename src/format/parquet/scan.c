/*
 * scan.c - the stream of batches over the row groups of a file.
 *
 *     row group:  open (chunks checked, pruned) -> batches -> end (every column at its end)
 *     batch:      rows = what is left of the range of rows, at most batch_rows_max; column after column
 *
 * The text of a batch is bounded. When a column passes the bound, all columns go back to where the batch began, and it is made
 * again with half the rows; the size grows again slowly. A batch of one row has no bound but that of single values.
 *
 * A stream belongs to one thread at a time; the file it reads is shared.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "format/parquet/parquet_int.h"
#include <stdlib.h>

enum { WINDOW_BYTES_MAX = 512 * 1024, WINDOW_BYTES_MIN = 32 * 1024, WINDOWS_BYTES = 64 * 1024 * 1024 };

struct scan_column {
    const struct af_pq_field *field;
    struct af_pq_reader *readers; /* field->leaf_count */
    struct af_pq_mark *marks;     /* as many: where the batch began */
    struct af_pq_nested *nested;  /* NULL: flat */
    struct af_buf text;
};

struct af_pq_stream {
    struct af_stream base; /* first */
    const struct af_parquet *file;
    struct af_arena arena;
    struct af_schema schema;
    size_t column_count;
    struct scan_column *columns;
    struct af_codec_ctx codec;
    uint64_t scratch_bytes;
    size_t rows_max;
    size_t rows_now; /* of a batch: less than rows_max after one was too large */

    uint32_t group;
    uint32_t group_stop;
    uint64_t row;       /* of the group: the next one */
    bool is_open;       /* the group */
    bool has_failed;
    uint32_t announced_stop; /* row groups before it were announced to the reader */
    uint32_t *leaves;        /* that are read, ascending */
    size_t leaf_count;

    bool has_prune;
    uint32_t prune_leaf;
    int64_t prune_start_ns;
    int64_t prune_stop_ns;
    struct af_arena range_arena; /* lives as long as the group */
    const struct af_pq_rows *ranges;
    size_t range_count;
    size_t range;
    uint64_t pruned_groups;
    uint64_t pruned_rows;
};

/* Where it went wrong, in front of what went wrong. */
static void add_place(const struct af_pq_stream *stream, const struct af_pq_reader *reader, struct af_error *err)
{
    const uint32_t page = reader->page - (reader->page_left != 0 && reader->page != 0);
    if (err != NULL)
        af_error_prefix(err, "%s: row group %u, column %s, page %u: ", stream->file->reader->name, stream->group, reader->leaf->path, page);
}

static void add_column_place(const struct af_pq_stream *stream, const struct scan_column *column, struct af_error *err)
{
    add_place(stream, column->nested != NULL ? af_pq_nested_current(column->nested) : &column->readers[0], err);
}

/* --- row groups -------------------------------------------------------------------------------------------------------------- */

static enum af_status begin_leaf(struct af_pq_reader *reader, const struct af_pq_row_group *group, struct af_error *err)
{
    const uint32_t leaf = (uint32_t)(reader->leaf - reader->file->leaves);
    const struct af_pq_chunk *chunk = &group->chunks[leaf];
    AF_TRY(af_pq_reader_begin(reader, chunk, err));
    if (reader->leaf->rep == 0 ? reader->slots_left != group->rows : reader->slots_left < group->rows)
        return af_fail(err, AF_ECORRUPT, "%llu values in a row group of %llu rows", (unsigned long long)reader->slots_left,
                       (unsigned long long)group->rows);
    return AF_OK;
}

static enum af_status begin_columns(struct af_pq_stream *stream, const struct af_pq_row_group *group, struct af_error *err)
{
    for (size_t i = 0; i < stream->column_count; i++) {
        struct scan_column *column = &stream->columns[i];
        for (uint32_t leaf = 0; leaf < column->field->leaf_count; leaf++) {
            enum af_status status = begin_leaf(&column->readers[leaf], group, err);
            if (status != AF_OK) {
                add_place(stream, &column->readers[leaf], err);
                return status;
            }
        }
        if (column->nested != NULL)
            af_pq_nested_begin(column->nested);
    }
    return AF_OK;
}

static uint64_t range_rows(const struct af_pq_rows *ranges, size_t count)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += ranges[i].stop - ranges[i].first;
    return rows;
}

static void announce(struct af_pq_stream *stream)
{
    const struct af_pq_ahead what = { stream->leaves, stream->leaf_count, stream->group_stop, stream->has_prune, stream->prune_leaf,
                                      stream->prune_start_ns, stream->prune_stop_ns };
    stream->announced_stop = af_pq_announce(stream->file, &what, stream->group);
}

static enum af_status open_group(struct af_pq_stream *stream, struct af_error *err)
{
    const struct af_pq_row_group *group = &stream->file->row_groups[stream->group];
    struct af_pq_rows *ranges = NULL;
    if (stream->group >= stream->announced_stop)
        announce(stream);
    af_arena_reset(&stream->range_arena);
    stream->range = 0;
    stream->row = 0;
    if (stream->has_prune) {
        AF_TRY(af_pq_prune(stream->file, stream->group, stream->prune_leaf, stream->prune_start_ns, stream->prune_stop_ns,
                           &stream->range_arena, &ranges, &stream->range_count, err));
        stream->pruned_rows += group->rows - range_rows(ranges, stream->range_count);
        stream->pruned_groups += group->rows != 0 && stream->range_count == 0;
    } else {
        ranges = af_arena_alloc(&stream->range_arena, sizeof *ranges);
        if (ranges == NULL)
            return af_fail_nomem(err, "a row group");
        ranges[0] = (struct af_pq_rows){ 0, group->rows };
        stream->range_count = group->rows != 0;
    }
    stream->ranges = ranges;
    stream->is_open = true;
    return stream->range_count != 0 ? begin_columns(stream, group, err) : AF_OK;
}

/* All rows are given: nested columns must have no more (flat ones were counted at the start). */
static enum af_status end_group(struct af_pq_stream *stream, struct af_error *err)
{
    const bool is_whole = stream->row == stream->file->row_groups[stream->group].rows && stream->range_count != 0;
    for (size_t i = 0; i < stream->column_count && is_whole; i++) {
        struct scan_column *column = &stream->columns[i];
        enum af_status status = column->nested != NULL ? af_pq_nested_end(column->nested, err) : AF_OK;
        if (status != AF_OK) {
            add_column_place(stream, column, err);
            return status;
        }
    }
    stream->group++;
    stream->is_open = false;
    return AF_OK;
}

static enum af_status skip_rows(struct scan_column *column, uint64_t rows, struct af_error *err)
{
    bool is_null;
    if (column->nested == NULL)
        return column->readers[0].leaf->form == AF_PQ_FORM_NULL ? AF_OK : af_pq_skip(&column->readers[0], rows, err);
    for (uint64_t i = 0; i < rows; i++)
        AF_TRY(af_pq_nested_row(column->nested, NULL, &is_null, err));
    return AF_OK;
}

static enum af_status skip_to(struct af_pq_stream *stream, uint64_t row, struct af_error *err)
{
    for (size_t i = 0; i < stream->column_count && row > stream->row; i++) {
        enum af_status status = skip_rows(&stream->columns[i], row - stream->row, err);
        if (status != AF_OK) {
            add_column_place(stream, &stream->columns[i], err);
            return status;
        }
    }
    stream->row = row;
    return AF_OK;
}

/* --- batches ----------------------------------------------------------------------------------------------------------------- */

static void mark_columns(struct af_pq_stream *stream)
{
    for (size_t i = 0; i < stream->column_count; i++) {
        struct scan_column *column = &stream->columns[i];
        if (column->nested != NULL)
            af_pq_nested_mark(column->nested, column->marks);
        else
            column->marks[0] = af_pq_reader_mark(&column->readers[0]);
    }
}

static enum af_status restore_columns(struct af_pq_stream *stream, struct af_error *err)
{
    for (size_t i = 0; i < stream->column_count; i++) {
        struct scan_column *column = &stream->columns[i];
        enum af_status status = column->nested != NULL ? af_pq_nested_restore(column->nested, column->marks, err)
                                                       : af_pq_reader_restore(&column->readers[0], &column->marks[0], err);
        if (status != AF_OK) {
            add_column_place(stream, column, err);
            return status;
        }
    }
    return AF_OK;
}

/* *out_too_much: the text of the batch is over its bound. */
static enum af_status fill_columns(struct af_pq_stream *stream, size_t rows, struct af_arena *arena, struct af_column *out,
                                   bool *out_too_much, struct af_error *err)
{
    enum { SLACK = 64 };
    size_t text_left = AF_BATCH_TEXT_BYTES_MAX;
    for (size_t i = 0; i < stream->column_count; i++) {
        struct scan_column *column = &stream->columns[i];
        const struct af_pq_fill fill = { .rows = rows, .arena = arena, .text = &column->text };
        af_buf_clear(&column->text);
        column->text.bytes_max = rows > 1 ? text_left + SLACK : INT32_MAX;
        enum af_status status = column->nested != NULL ? af_pq_fill_nested(column->nested, &fill, &out[i], err)
                                                       : af_pq_fill_flat(&column->readers[0], &fill, &out[i], err);
        if (status != AF_OK) {
            /* AF_ENOMEM as well: half the rows may fit. */
            *out_too_much = (status == AF_ELIMIT || status == AF_ENOMEM) && column->text.failed && rows > 1;
            add_column_place(stream, column, err);
            return status;
        }
        text_left -= column->text.len < text_left ? column->text.len : text_left;
    }
    return AF_OK;
}

static enum af_status make_batch(struct af_pq_stream *stream, size_t rows, struct af_arena *arena, struct af_batch **out,
                                 bool *out_too_much, struct af_error *err)
{
    struct af_batch *batch = af_arena_zero(arena, 1, sizeof *batch);
    struct af_column *columns = af_arena_zero(arena, stream->column_count, sizeof *columns);
    if (batch == NULL || columns == NULL)
        return af_fail_nomem(err, "a batch");
    AF_TRY(fill_columns(stream, rows, arena, columns, out_too_much, err));
    *batch = (struct af_batch){ .schema = &stream->schema, .row_count = rows, .columns = columns, .row_group = stream->group,
                                .first_row = stream->file->row_groups[stream->group].first_row + stream->row };
    *out = batch;
    return AF_OK;
}

/* The next batch of the open group, of at most rows_now rows. */
static enum af_status next_batch(struct af_pq_stream *stream, uint64_t rows_left, struct af_arena *arena, struct af_batch **out,
                                 struct af_error *err)
{
    mark_columns(stream);
    for (;;) {
        const size_t rows = rows_left < stream->rows_now ? (size_t)rows_left : stream->rows_now;
        bool is_too_much = false;
        enum af_status status = make_batch(stream, rows, arena, out, &is_too_much, err);
        if (status == AF_OK) {
            stream->row += rows;
            stream->rows_now += stream->rows_now < stream->rows_max ? stream->rows_now / 4 + 1 : 0;
            stream->rows_now = stream->rows_now < stream->rows_max ? stream->rows_now : stream->rows_max;
            return AF_OK;
        }
        if (!is_too_much)
            return status;
        stream->rows_now = rows / 2;
        AF_TRY(restore_columns(stream, err));
    }
}

static enum af_status advance(struct af_pq_stream *stream, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    *out = NULL;
    while (stream->group < stream->group_stop) {
        if (!stream->is_open)
            AF_TRY(open_group(stream, err));
        if (stream->range == stream->range_count) {
            AF_TRY(end_group(stream, err));
            continue;
        }
        const struct af_pq_rows *range = &stream->ranges[stream->range];
        if (stream->row >= range->stop) {
            stream->range++;
            continue;
        }
        if (stream->row < range->first)
            AF_TRY(skip_to(stream, range->first, err));
        return next_batch(stream, range->stop - stream->row, arena, out, err);
    }
    return AF_OK;
}

static enum af_status stream_next(struct af_stream *base, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    struct af_pq_stream *stream = (struct af_pq_stream *)base;
    if (stream->has_failed)
        return af_fail(err, AF_EINVAL, "%s: reading cannot go on after a failure unless the row group is skipped",
                       stream->file->reader->name);
    struct af_batch *batch = NULL;
    enum af_status status = advance(stream, arena, &batch, err);
    stream->has_failed = status != AF_OK;
    if (status == AF_OK)
        *out = batch;
    return status;
}

void af_parquet_skip_row_group(struct af_stream *base, uint32_t *out_row_group, uint64_t *out_rows)
{
    struct af_pq_stream *stream = (struct af_pq_stream *)base;
    *out_row_group = stream->group;
    *out_rows = 0;
    if (stream->group >= stream->group_stop)
        return;
    *out_rows = stream->file->row_groups[stream->group].rows - stream->row;
    stream->group++;
    stream->row = 0;
    stream->is_open = false;
    stream->has_failed = false;
}

void af_parquet_scan_pruned(const struct af_stream *base, uint64_t *out_row_groups, uint64_t *out_rows)
{
    const struct af_pq_stream *stream = (const struct af_pq_stream *)base;
    *out_row_groups = stream->pruned_groups;
    *out_rows = stream->pruned_rows;
}

/* --- opening and closing ------------------------------------------------------------------------------------------------------- */

static void stream_close(struct af_stream *base)
{
    struct af_pq_stream *stream = (struct af_pq_stream *)base;
    for (size_t i = 0; i < stream->column_count && stream->columns != NULL; i++) {
        struct scan_column *column = &stream->columns[i];
        if (column->readers == NULL)
            break; /* it was being made */
        af_pq_nested_done(column->nested);
        for (uint32_t leaf = 0; leaf < column->field->leaf_count; leaf++)
            af_pq_reader_done(&column->readers[leaf]);
        af_buf_done(&column->text);
    }
    af_codec_ctx_done(&stream->codec);
    af_arena_done(&stream->range_arena);
    af_arena_done(&stream->arena);
    af_free(stream);
}

/* The columns wanted as indices into the schema; all that can be read when none are named. */
static enum af_status choose_columns(struct af_pq_stream *stream, const struct af_parquet_scan *scan, size_t **out, struct af_error *err)
{
    const struct af_parquet *file = stream->file;
    const size_t count = scan->columns != NULL ? scan->column_count : file->schema.field_count;
    size_t *chosen = af_arena_zero(&stream->arena, count, sizeof *chosen);
    if (chosen == NULL)
        return af_fail_nomem(err, "a scan");
    for (size_t i = 0; i < count; i++) {
        const size_t index = scan->columns != NULL ? scan->columns[i] : i;
        if (index >= file->schema.field_count)
            return af_fail(err, AF_EINVAL, "%s: there is no column %zu", file->reader->name, index);
        const char *why = file->fields[index].unsupported;
        if (why != NULL && scan->columns != NULL)
            return af_fail(err, AF_EUNSUPPORTED, "%s: column %s cannot be read: %s is not supported", file->reader->name,
                           file->schema.fields[index].name, why);
        if (why == NULL)
            chosen[stream->column_count++] = index;
    }
    *out = chosen;
    return AF_OK;
}

static enum af_status make_column(struct af_pq_stream *stream, struct scan_column *column, const struct af_pq_field *field,
                                  size_t window_bytes, bool skip_crc, struct af_error *err)
{
    struct af_pq_reader *readers = af_arena_zero(&stream->arena, field->leaf_count, sizeof *readers);
    column->marks = af_arena_zero(&stream->arena, field->leaf_count, sizeof *column->marks);
    if (readers == NULL || column->marks == NULL)
        return af_fail_nomem(err, "a scan");
    column->field = field;
    column->readers = readers;
    for (uint32_t i = 0; i < field->leaf_count; i++)
        readers[i] = (struct af_pq_reader){ .file = stream->file, .leaf = &stream->file->leaves[field->first_leaf + i],
                                            .codec = &stream->codec, .scratch_bytes = &stream->scratch_bytes,
                                            .window_bytes = window_bytes, .skip_crc = skip_crc };
    return field->is_nested ? af_pq_nested_new(stream->file, field, readers, &stream->arena, &column->nested, err) : AF_OK;
}

static enum af_status make_columns(struct af_pq_stream *stream, const struct af_parquet_scan *scan, struct af_error *err)
{
    const struct af_parquet *file = stream->file;
    size_t *chosen = NULL;
    AF_TRY(choose_columns(stream, scan, &chosen, err));
    struct af_field *fields = af_arena_zero(&stream->arena, stream->column_count, sizeof *fields);
    stream->columns = af_arena_zero(&stream->arena, stream->column_count, sizeof *stream->columns);
    if (fields == NULL || stream->columns == NULL)
        return af_fail_nomem(err, "a scan");
    size_t leaf_count = 1;
    for (size_t i = 0; i < stream->column_count; i++)
        leaf_count += file->fields[chosen[i]].leaf_count;
    size_t window_bytes = WINDOWS_BYTES / leaf_count;
    window_bytes = window_bytes > WINDOW_BYTES_MAX ? WINDOW_BYTES_MAX : window_bytes < WINDOW_BYTES_MIN ? WINDOW_BYTES_MIN : window_bytes;
    for (size_t i = 0; i < stream->column_count; i++) {
        fields[i] = file->schema.fields[chosen[i]];
        AF_TRY(make_column(stream, &stream->columns[i], &file->fields[chosen[i]], window_bytes, scan->skip_crc, err));
    }
    stream->schema = (struct af_schema){ stream->column_count, fields };
    stream->base.schema = &stream->schema;
    return AF_OK;
}

static int compare_leaves(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Which leaves are read, in the order in which they usually are in the file. */
static enum af_status list_leaves(struct af_pq_stream *stream, struct af_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < stream->column_count; i++)
        count += stream->columns[i].field->leaf_count;
    stream->leaves = af_arena_zero(&stream->arena, count, sizeof *stream->leaves);
    if (stream->leaves == NULL)
        return af_fail_nomem(err, "a scan");
    for (size_t i = 0; i < stream->column_count; i++)
        for (uint32_t leaf = 0; leaf < stream->columns[i].field->leaf_count; leaf++)
            stream->leaves[stream->leaf_count++] = stream->columns[i].field->first_leaf + leaf;
    if (count > 1)
        qsort(stream->leaves, count, sizeof *stream->leaves, compare_leaves);
    return AF_OK;
}

static enum af_status set_prune(struct af_pq_stream *stream, const struct af_parquet_scan *scan, struct af_error *err)
{
    const struct af_parquet *file = stream->file;
    if (!scan->has_prune)
        return AF_OK;
    if (scan->prune_column >= file->schema.field_count || file->schema.fields[scan->prune_column].type != AF_TYPE_TIME)
        return af_fail(err, AF_EINVAL, "%s: rows can only be pruned by a column of times", file->reader->name);
    stream->has_prune = true;
    stream->prune_leaf = file->fields[scan->prune_column].first_leaf;
    stream->prune_start_ns = scan->prune_start_ns;
    stream->prune_stop_ns = scan->prune_stop_ns;
    return AF_OK;
}

enum af_status af_parquet_scan(struct af_parquet *file, const struct af_parquet_scan *scan, struct af_stream **out, struct af_error *err)
{
    static const struct af_stream_ops ops = { stream_next, stream_close };
    if (scan->row_group_first > file->row_group_count || scan->row_group_count > file->row_group_count - scan->row_group_first)
        return af_fail(err, AF_EINVAL, "%s: there are %u row groups, not %u from %u on", file->reader->name, file->row_group_count,
                       scan->row_group_count, scan->row_group_first);
    struct af_pq_stream *stream = af_alloc_zero(1, sizeof *stream);
    if (stream == NULL)
        return af_fail_nomem(err, "a scan");
    stream->base.ops = &ops;
    stream->file = file;
    af_arena_init(&stream->arena, SIZE_MAX / 4);
    af_arena_init(&stream->range_arena, (size_t)AF_PARQUET_FOOTER_BYTES_MAX);
    stream->rows_max = scan->batch_rows_max != 0 && scan->batch_rows_max < AF_BATCH_ROWS ? scan->batch_rows_max : AF_BATCH_ROWS;
    stream->rows_now = stream->rows_max;
    stream->group = scan->row_group_first;
    stream->announced_stop = stream->group;
    stream->group_stop = scan->row_group_count != 0 ? stream->group + scan->row_group_count : file->row_group_count;
    enum af_status status = set_prune(stream, scan, err);
    if (status == AF_OK)
        status = make_columns(stream, scan, err);
    if (status == AF_OK)
        status = list_leaves(stream, err);
    if (status != AF_OK) {
        stream_close(&stream->base);
        return status;
    }
    *out = &stream->base;
    return AF_OK;
}
