/*
 * csv.c - the stream of csv.h.
 *
 * The index holds rows in the order of the file, bad ones among them. A batch is a run of neighbouring good rows together with the
 * bad rows in front of it and directly behind it, so row i of a batch is always record first_row + i of the file:
 *
 *     index:  B g g g g B B g g g        batch 1: bad B, rows g g g g, bad B B        batch 2: rows g g g
 */
#include "format/csv/csv.h"
#include "base/alloc.h"
#include "base/intern.h"
#include "base/utf8.h"
#include "format/csv/csv_int.h"
#include <assert.h>

enum { SCHEMA_BYTES_MAX = 64 << 20 };

struct csv_stream {
    struct af_stream base;
    struct af_csv_window window;
    struct af_csv_index index;
    struct af_csv_coder **coders; /* NULL: a wide table */
    struct af_arena arena;        /* of the schema */
    struct af_schema schema;
    size_t next;                  /* row of the index */
    uint64_t next_record;         /* its number in the file */
    bool is_open;                 /* the index is set up */
};

/* --- column names --- */

static enum af_status set_name(struct csv_stream *stream, struct af_field *field, const char *name, struct af_error *err)
{
    if (name == NULL)
        return af_arena_fail(&stream->arena, 0, "CSV column names", err);
    *field = (struct af_field){ .name = name, .source_type = "text", .type = AF_TYPE_STRING, .is_nullable = true };
    return AF_OK;
}

/* `base` if it is new, else base_2, base_3 ... */
static enum af_status add_name(struct csv_stream *stream, struct af_intern *names, struct af_slice base, struct af_field *field,
                               struct af_error *err)
{
    const char *name = af_arena_copy(&stream->arena, base);
    for (uint32_t n = 2;; n++) {
        if (name == NULL)
            return set_name(stream, field, NULL, err);
        uint32_t before = names->count;
        uint32_t id;
        AF_TRY(af_intern_add(names, af_slice_of(name), &id, err));
        if (names->count != before)
            return set_name(stream, field, name, err);
        name = af_arena_printf(&stream->arena, AF_SLICE_FMT "_%u", AF_SLICE_ARG(base), n);
    }
}

static enum af_status name_columns(struct csv_stream *stream, const struct af_csv_cells *cells, bool has_names,
                                   struct af_error *err)
{
    struct af_field *fields = af_arena_zero(&stream->arena, cells->count, sizeof *fields);
    if (fields == NULL)
        return af_arena_fail(&stream->arena, cells->count * sizeof *fields, "CSV columns", err);
    struct af_intern names;
    af_intern_init(&names);
    enum af_status status = AF_OK;
    for (size_t i = 0; i < cells->count && status == AF_OK; i++) {
        struct af_slice name = af_slice_trim(af_csv_cell_text(cells, stream->window.text, i));
        char number[24];
        if (!has_names || name.len == 0 || memchr(name.ptr, '\0', name.len) != NULL) {
            struct af_buf buf = { number, 0, sizeof number, sizeof number, false, false };
            af_buf_printf(&buf, "c%zu", i + 1);
            name = af_buf_slice(&buf);
        }
        status = add_name(stream, &names, name, &fields[i], err);
    }
    af_intern_done(&names);
    stream->schema = (struct af_schema){ cells->count, fields };
    return status;
}

/* --- opening --- */

static enum af_status fail_header(const struct csv_stream *stream, const struct af_csv_record *record, struct af_error *err)
{
    const char *name = stream->window.reader->name;
    switch (record->fault) {
    case AF_CSV_UNCLOSED:
        return af_fail_at(err, AF_EINVAL, 1, 1, "%s: a quote in the header is never closed", name);
    case AF_CSV_AFTER_QUOTE:
        return af_fail_at(err, AF_EINVAL, 1, 1, "%s: text behind a closing quote in the header", name);
    case AF_CSV_LONG:
        return af_fail_at(err, AF_ELIMIT, 1, 1, "%s: the header is longer than AF_CSV_LINE_BYTES_MAX", name);
    default:
        return af_fail_at(err, AF_ELIMIT, 1, 1, "%s: %u columns, more than AF_CSV_COLUMNS_MAX", name, record->cell_count);
    }
}

/* The first record that is not blank, decoded. *line counts the blank lines. */
static enum af_status read_first(struct csv_stream *stream, const struct af_csv_format *format, struct af_csv_cells *cells,
                                 struct af_csv_record *record, uint64_t *line, struct af_error *err)
{
    struct af_csv_window *window = &stream->window;
    for (;;) {
        if (window->len == 0 && af_csv_window_at_end(window))
            return af_fail(err, AF_EINVAL, "%s: no header: the file is empty", window->reader->name);
        af_csv_cells_clear(cells);
        AF_TRY(af_csv_read_record(window->text, 0, window->len, af_csv_window_at_end(window), format->separator,
                                  AF_CSV_COLUMNS_MAX, cells, record, err));
        if (record->needs_more) {
            AF_TRY(af_csv_window_more(window, err));
            continue;
        }
        if (record->fault != AF_CSV_FINE || record->cell_count > AF_CSV_COLUMNS_MAX)
            return fail_header(stream, record, err);
        if (record->raw_len != 0)
            break;
        af_csv_window_slide(window, record->len);
        ++*line;
    }
    bool is_utf8 = format->encoding == AF_CSV_UTF8 && af_utf8_is_valid(af_slice_make(window->text, record->raw_len));
    return is_utf8 ? AF_OK : af_csv_cells_decode(cells, 0, window->text, err);
}

static enum af_status read_header(struct csv_stream *stream, const struct af_csv_format *format, bool has_names,
                                  uint64_t *line, struct af_error *err)
{
    struct af_csv_cells cells;
    struct af_csv_record record;
    af_csv_cells_init(&cells);
    enum af_status status = read_first(stream, format, &cells, &record, line, err);
    if (status == AF_OK)
        status = name_columns(stream, &cells, has_names, err);
    af_csv_cells_done(&cells);
    if (status != AF_OK || !has_names)
        return status;
    for (size_t i = 0; i < record.len; i++)
        *line += stream->window.text[i] == '\n';
    af_csv_window_slide(&stream->window, record.len);
    return AF_OK;
}

static enum af_status sample_text(struct csv_stream *stream, const struct af_csv_options *options, struct af_csv_format *out,
                                  struct af_error *err)
{
    struct af_csv_window *window = &stream->window;
    while (window->len < AF_CSV_SAMPLE_BYTES && !af_csv_window_at_end(window))
        AF_TRY(af_csv_window_more(window, err));
    struct af_slice sample = { window->len != 0 ? window->text : "", window->len };
    bool is_whole = af_csv_window_at_end(window);
    if (sample.len > AF_CSV_SAMPLE_BYTES) {
        sample.len = AF_CSV_SAMPLE_BYTES;
        is_whole = false;
    }
    AF_TRY(af_csv_detect(window->reader->name, sample, is_whole, options, out, err));
    af_csv_window_slide(window, out->skip);
    return AF_OK;
}

static enum af_status make_coders(struct csv_stream *stream, struct af_error *err)
{
    size_t count = stream->schema.field_count;
    if (count > AF_CSV_CODED_COLUMNS_MAX)
        return AF_OK;
    stream->coders = af_alloc_zero(count, sizeof(struct af_csv_coder *));
    if (stream->coders == NULL)
        return af_fail_nomem(err, "CSV dictionaries");
    for (size_t i = 0; i < count; i++)
        AF_TRY(af_csv_coder_new(&stream->coders[i], err));
    return AF_OK;
}

static enum af_status open_stream(struct csv_stream *stream, const struct af_csv_options *options, struct af_csv_info *out_info,
                                  struct af_error *err)
{
    struct af_csv_format format;
    AF_TRY(sample_text(stream, options, &format, err));
    uint64_t line = 1 + format.skip_lines;
    AF_TRY(read_header(stream, &format, !options->no_header, &line, err));
    size_t rows = options->batch_rows_max != 0 ? options->batch_rows_max : AF_BATCH_ROWS;
    AF_TRY(af_csv_index_init(&stream->index, &stream->window, &format, stream->schema.field_count,
                             rows < AF_BATCH_ROWS ? rows : AF_BATCH_ROWS, line, err));
    stream->is_open = true;
    AF_TRY(make_coders(stream, err));
    if (out_info != NULL)
        *out_info = (struct af_csv_info){ format.separator, format.encoding, format.has_bom, format.has_decimal_comma };
    return AF_OK;
}

static void close_stream(struct af_stream *base)
{
    struct csv_stream *stream = (struct csv_stream *)base;
    for (size_t i = 0; stream->coders != NULL && i < stream->schema.field_count; i++)
        af_csv_coder_free(stream->coders[i]);
    af_free(stream->coders);
    if (stream->is_open)
        af_csv_index_done(&stream->index);
    af_csv_window_done(&stream->window);
    af_arena_done(&stream->arena);
    af_free(stream);
}

/* --- batches --- */

/* Which of the index's rows make the next batch: bad ones [start, good), good ones [good, tail), bad ones [tail, stop). */
struct run {
    size_t start, good, tail, stop;
};

static size_t run_of(const struct af_csv_index *index, size_t from, bool is_bad)
{
    while (from < index->row_count && ((index->rows[from].at & AF_CSV_ROW_BAD) != 0) == is_bad)
        from++;
    return from;
}

static const char *print_reason(const struct csv_stream *stream, const struct af_csv_bad *bad, struct af_arena *arena)
{
    unsigned long long line = bad->line;
    switch (bad->fault) {
    case AF_CSV_CELLS:
        return af_arena_printf(arena, "line %llu: %u cells found, %zu wanted", line, bad->cell_count,
                               stream->schema.field_count);
    case AF_CSV_UNCLOSED:
        return af_arena_printf(arena, "line %llu: a quote is never closed", line);
    case AF_CSV_AFTER_QUOTE:
        return af_arena_printf(arena, "line %llu: text behind a closing quote; quotes inside quotes are doubled", line);
    case AF_CSV_LONG:
        return af_arena_printf(arena, "line %llu: longer than AF_CSV_LINE_BYTES_MAX (%d)", line, AF_CSV_LINE_BYTES_MAX);
    case AF_CSV_NUL:
        return af_arena_printf(arena, "line %llu: a NUL byte", line);
    default:
        return af_arena_printf(arena, "line %llu: not UTF-8", line);
    }
}

static enum af_status add_bad_rows(const struct csv_stream *stream, struct run run, struct af_arena *arena, struct af_batch *batch,
                                   struct af_error *err)
{
    size_t count = run.good - run.start + run.stop - run.tail;
    if (count == 0)
        return AF_OK;
    struct af_bad_row *rows = af_arena_zero(arena, count, sizeof *rows);
    if (rows == NULL)
        return af_arena_fail(arena, count * sizeof *rows, "bad CSV rows", err);
    for (size_t i = 0; i < count; i++) {
        size_t row = i < run.good - run.start ? run.start + i : run.tail + i - (run.good - run.start);
        const struct af_csv_bad *bad = &stream->index.bad[stream->index.rows[row].at & ~AF_CSV_ROW_BAD];
        struct af_slice raw = { stream->window.text + bad->start, bad->len };
        rows[i].row = stream->next_record + (row - run.start);
        rows[i].reason = print_reason(stream, bad, arena);
        rows[i].raw = (struct af_slice){ af_arena_copy(arena, raw), raw.len };
        if (rows[i].reason == NULL || rows[i].raw.ptr == NULL)
            return af_arena_fail(arena, raw.len + 1, "bad CSV rows", err);
    }
    batch->bad_rows = rows;
    batch->bad_row_count = count;
    return AF_OK;
}

/* The batch may outlive the stream, so it gets the names as well. */
static enum af_status copy_schema(const struct af_schema *schema, struct af_arena *arena, struct af_batch *batch,
                                  struct af_error *err)
{
    size_t count = schema->field_count;
    struct af_schema *copy = af_arena_zero(arena, 1, sizeof *copy);
    struct af_field *fields = af_arena_zero(arena, count, sizeof *fields);
    if (copy == NULL || fields == NULL)
        return af_arena_fail(arena, count * sizeof *fields, "CSV columns", err);
    for (size_t i = 0; i < count; i++) {
        fields[i] = schema->fields[i];
        fields[i].name = af_arena_copy(arena, af_slice_of(schema->fields[i].name));
        if (fields[i].name == NULL)
            return af_arena_fail(arena, strlen(schema->fields[i].name) + 1, "CSV columns", err);
    }
    *copy = (struct af_schema){ count, fields };
    batch->schema = copy;
    return AF_OK;
}

static enum af_status make_batch(struct csv_stream *stream, struct run run, struct af_arena *arena, struct af_batch **out,
                                 struct af_error *err)
{
    struct af_batch *batch = af_arena_zero(arena, 1, sizeof *batch);
    struct af_column *columns = af_arena_zero(arena, stream->schema.field_count, sizeof *columns);
    if (batch == NULL || columns == NULL)
        return af_arena_fail(arena, stream->schema.field_count * sizeof *columns, "a CSV batch", err);
    AF_TRY(copy_schema(&stream->schema, arena, batch, err));
    AF_TRY(add_bad_rows(stream, run, arena, batch, err));
    batch->row_count = run.tail - run.good;
    batch->first_row = stream->next_record + (run.good - run.start);
    batch->columns = columns;
    for (size_t c = 0; c < stream->schema.field_count; c++)
        AF_TRY(af_csv_build_column(&stream->index, stream->index.rows + run.good, batch->row_count, c,
                                   stream->coders != NULL ? stream->coders[c] : NULL, arena, &columns[c], err));
    *out = batch;
    return AF_OK;
}

static enum af_status next_batch(struct af_stream *base, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    struct csv_stream *stream = (struct csv_stream *)base;
    struct af_csv_index *index = &stream->index;
    if (stream->next == index->row_count) {
        stream->next = 0;
        AF_TRY(af_csv_index_fill(index, err));
    }
    if (index->row_count == 0) {
        *out = NULL;
        return AF_OK;
    }
    struct run run = { .start = stream->next };
    run.good = run_of(index, run.start, true);
    run.tail = run_of(index, run.good, false);
    run.stop = run_of(index, run.tail, true);
    AF_TRY(make_batch(stream, run, arena, out, err));
    stream->next_record += run.stop - run.start;
    stream->next = run.stop;
    return AF_OK;
}

enum af_status af_csv_open(struct af_reader *reader, const struct af_csv_options *options, struct af_stream **out,
                           struct af_csv_info *out_info, struct af_error *err)
{
    static const struct af_stream_ops ops = { next_batch, close_stream };
    static const struct af_csv_options defaults = { 0 };
    assert(reader != NULL && out != NULL);
    struct csv_stream *stream = af_alloc_zero(1, sizeof *stream);
    if (stream == NULL)
        return af_fail_nomem(err, "a CSV reader");
    stream->base = (struct af_stream){ &ops, &stream->schema };
    af_arena_init(&stream->arena, SCHEMA_BYTES_MAX);
    af_csv_window_init(&stream->window, reader);
    enum af_status status = open_stream(stream, options != NULL ? options : &defaults, out_info, err);
    if (status != AF_OK) {
        close_stream(&stream->base);
        return status;
    }
    *out = &stream->base;
    return AF_OK;
}

/* --- writing --- */

void af_csv_append_cell(struct af_buf *out, struct af_slice cell, char separator)
{
    bool needs_quotes = false;
    for (size_t i = 0; i < cell.len && !needs_quotes; i++) {
        char c = cell.ptr[i];
        needs_quotes = c == separator || c == '"' || c == '\n' || c == '\r';
    }
    if (!needs_quotes) {
        af_buf_append_slice(out, cell);
        return;
    }
    af_buf_append_char(out, '"');
    while (cell.len != 0) {
        const char *quote = memchr(cell.ptr, '"', cell.len);
        size_t len = quote != NULL ? (size_t)(quote - cell.ptr) + 1 : cell.len;
        af_buf_append(out, cell.ptr, len);
        if (quote != NULL)
            af_buf_append_char(out, '"');
        cell = (struct af_slice){ cell.ptr + len, cell.len - len };
    }
    af_buf_append_char(out, '"');
}
