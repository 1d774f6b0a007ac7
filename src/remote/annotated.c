/*
 * annotated.c - annotated CSV, the answer to Flux, read while it arrives; see remote_int.h.
 *
 *     #datatype,string,long,dateTime:RFC3339,double,string      annotations of the columns below
 *     #group,false,false,false,false,true
 *     #default,_result,,,,
 *     ,result,table,_time,_value,host                           names
 *     ,,0,2024-01-01T00:00:00Z,1.5,a                            rows; an empty cell means the default
 *                                                               an empty line, then perhaps other columns
 *
 * InfluxDB's writer ends lines with CR LF and writes a newline inside quotes as CR LF too: it is read back as LF. (A CR of a
 * string's own is lost on the server's side.) A table with the columns `error` and `reference` is a failure in the middle of
 * the answer.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/limits.h"
#include "remote/remote_int.h"
#include <stdio.h>

enum { CELLS_MAX = AF_COLUMNS_MAX + 300, SECTION_BYTES_MAX = 32 << 20 };

enum state { CELL_START, PLAIN, QUOTED, QUOTED_CR, QUOTE_IN_QUOTED, LINE_END };

struct csv_reader {
    const struct remote *remote;
    struct csv_handler handler;
    void *ctx;
    enum state state;
    struct af_buf bytes;     /* of the record, cells one behind the other */
    size_t *ends;            /* of the cells in `bytes`; CELLS_MAX */
    struct af_slice *cells;  /* the same as slices, when the record is whole */
    size_t cell_count;
    struct af_arena section; /* names and annotations of the columns */
    struct csv_column *columns;
    size_t column_count;
    bool has_header;
    bool is_error;
    size_t error_column;
};

static enum af_status odd(const struct csv_reader *reader, const char *what, struct af_error *err)
{
    return af_fail(err, AF_ECORRUPT, "%s: the query's answer is no annotated CSV (%s)", reader->remote->base.name, what);
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static void end_section(struct csv_reader *reader)
{
    af_arena_reset(&reader->section);
    reader->columns = NULL;
    reader->column_count = 0;
    reader->has_header = false;
    reader->is_error = false;
}

static enum af_status need_columns(struct csv_reader *reader, struct af_error *err)
{
    if (reader->columns == NULL) {
        reader->column_count = reader->cell_count;
        reader->columns = af_arena_zero(&reader->section, reader->cell_count, sizeof *reader->columns);
        if (reader->columns == NULL)
            return af_arena_fail(&reader->section, reader->cell_count * sizeof *reader->columns, "the columns of an answer", err);
    }
    return reader->column_count == reader->cell_count ? AF_OK : odd(reader, "rows of different length", err);
}

static enum af_status keep(struct csv_reader *reader, struct af_slice text, struct af_slice *out, struct af_error *err)
{
    char *copy = af_arena_copy(&reader->section, text);
    if (copy == NULL)
        return af_arena_fail(&reader->section, text.len, "the columns of an answer", err);
    *out = (struct af_slice){ copy, text.len };
    return AF_OK;
}

static enum af_status on_annotation(struct csv_reader *reader, struct af_error *err)
{
    struct af_slice name = reader->cells[0];
    if (reader->has_header)
        end_section(reader);
    AF_TRY(need_columns(reader, err));
    for (size_t i = 1; i < reader->cell_count; i++) {
        struct csv_column *column = &reader->columns[i];
        if (af_slice_is(name, "#datatype"))
            AF_TRY(keep(reader, reader->cells[i], &column->type, err));
        else if (af_slice_is(name, "#default"))
            AF_TRY(keep(reader, reader->cells[i], &column->missing, err));
        else if (af_slice_is(name, "#group"))
            column->is_key = af_slice_is(reader->cells[i], "true");
    }
    return AF_OK;
}

static enum af_status on_header(struct csv_reader *reader, struct af_error *err)
{
    AF_TRY(need_columns(reader, err));
    reader->has_header = true;
    for (size_t i = 0; i < reader->cell_count; i++) {
        AF_TRY(keep(reader, reader->cells[i], &reader->columns[i].name, err));
        if (i > 0 && af_slice_is(reader->cells[i], "reference") && af_slice_is(reader->cells[i - 1], "error")) {
            reader->is_error = true;
            reader->error_column = i - 1;
        }
    }
    if (reader->is_error || reader->handler.table == NULL)
        return AF_OK;
    return reader->handler.table(reader->ctx, reader->columns, reader->column_count, err);
}

static enum af_status on_row(struct csv_reader *reader, struct af_error *err)
{
    AF_TRY(need_columns(reader, err));
    if (reader->is_error) {
        char words[512];
        (void)snprintf(words, sizeof words, "%.*s", AF_SLICE_ARG(reader->cells[reader->error_column]));
        return remote_judge_text(reader->remote, words, err);
    }
    for (size_t i = 0; i < reader->cell_count; i++)
        if (reader->cells[i].len == 0)
            reader->cells[i] = reader->columns[i].missing;
    return reader->handler.row != NULL ? reader->handler.row(reader->ctx, reader->cells, reader->cell_count, err) : AF_OK;
}

static enum af_status on_record(struct csv_reader *reader, struct af_error *err)
{
    const char *bytes = reader->bytes.ptr != NULL ? reader->bytes.ptr : ""; /* no byte yet: all cells are empty */
    size_t start = 0;
    for (size_t i = 0; i < reader->cell_count; i++) {
        reader->cells[i] = (struct af_slice){ bytes + start, reader->ends[i] - start };
        start = reader->ends[i];
    }
    enum af_status status = AF_OK;
    if (reader->cell_count == 1 && reader->cells[0].len == 0)
        end_section(reader);
    else if (reader->cells[0].len > 0 && reader->cells[0].ptr[0] == '#')
        status = on_annotation(reader, err);
    else
        status = reader->has_header ? on_row(reader, err) : on_header(reader, err);
    reader->cell_count = 0;
    af_buf_clear(&reader->bytes);
    return status;
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

static enum af_status end_cell(struct csv_reader *reader, struct af_error *err)
{
    if (reader->cell_count == CELLS_MAX)
        return af_fail(err, AF_ELIMIT, "%s: more than %d columns in the answer", reader->remote->base.name, CELLS_MAX);
    reader->ends[reader->cell_count++] = reader->bytes.len;
    reader->state = CELL_START;
    return AF_OK;
}

static enum af_status end_record(struct csv_reader *reader, struct af_error *err)
{
    AF_TRY(end_cell(reader, err));
    AF_TRY(af_buf_check(&reader->bytes, "one record of the answer", err));
    return on_record(reader, err);
}

/* A character outside quotes, or the one behind a closing quote. */
static enum af_status outside(struct csv_reader *reader, char c, struct af_error *err)
{
    switch (c) {
    case ',':
        return end_cell(reader, err);
    case '\r':
        reader->state = LINE_END;
        return AF_OK;
    case '\n':
        return end_record(reader, err);
    case '"':
        if (reader->state != CELL_START)
            break;
        reader->state = QUOTED;
        return AF_OK;
    default:
        break;
    }
    if (reader->state == QUOTE_IN_QUOTED)
        return odd(reader, "text behind a closing quote", err);
    reader->state = PLAIN;
    af_buf_append_char(&reader->bytes, c);
    return AF_OK;
}

static enum af_status step(struct csv_reader *reader, char c, struct af_error *err)
{
    if (reader->state == QUOTED_CR) {
        if (c != '\n')
            af_buf_append_char(&reader->bytes, '\r');
        reader->state = QUOTED;
    }
    if (reader->state == QUOTED) {
        if (c == '"')
            reader->state = QUOTE_IN_QUOTED;
        else if (c == '\r')
            reader->state = QUOTED_CR;
        else
            af_buf_append_char(&reader->bytes, c);
        return AF_OK;
    }
    if (reader->state == QUOTE_IN_QUOTED && c == '"') {
        af_buf_append_char(&reader->bytes, '"');
        reader->state = QUOTED;
        return AF_OK;
    }
    if (reader->state == LINE_END) /* CR without LF ends a line too */
        return c == '\n' ? end_record(reader, err) : odd(reader, "a carriage return inside a line", err);
    return outside(reader, c, err);
}

/* Runs of plain bytes are the bulk: copied at once. */
static size_t plain_run(const struct csv_reader *reader, struct af_slice bytes)
{
    if (reader->state != PLAIN && reader->state != QUOTED)
        return 0;
    size_t n = 0;
    while (n < bytes.len && bytes.ptr[n] != '"' && bytes.ptr[n] != '\r' &&
           (reader->state == QUOTED || (bytes.ptr[n] != ',' && bytes.ptr[n] != '\n')))
        n++;
    return n;
}

enum af_status csv_reader_feed(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct csv_reader *reader = ctx;
    while (bytes.len > 0) {
        size_t n = plain_run(reader, bytes);
        if (n > 0)
            af_buf_append(&reader->bytes, bytes.ptr, n);
        else
            AF_TRY(step(reader, bytes.ptr[n++], err));
        bytes = (struct af_slice){ bytes.ptr + n, bytes.len - n };
    }
    return af_buf_check(&reader->bytes, "one record of the answer", err);
}

enum af_status csv_reader_finish(struct csv_reader *reader, struct af_error *err)
{
    if (reader->state == QUOTED || reader->state == QUOTED_CR)
        return odd(reader, "it ends inside quotes", err);
    if (reader->state == CELL_START && reader->cell_count == 0)
        return AF_OK;
    return end_record(reader, err); /* a last line without its end */
}

enum af_status csv_reader_new(const struct remote *remote, const struct csv_handler *handler, void *ctx, struct csv_reader **out,
                              struct af_error *err)
{
    struct csv_reader *reader = af_alloc_zero(1, sizeof *reader);
    if (reader == NULL)
        return af_fail_nomem(err, "a query");
    reader->remote = remote;
    reader->handler = *handler;
    reader->ctx = ctx;
    af_buf_init(&reader->bytes, AF_LP_LINE_BYTES_MAX);
    af_arena_init(&reader->section, SECTION_BYTES_MAX);
    reader->ends = af_alloc_zero(CELLS_MAX, sizeof *reader->ends);
    reader->cells = af_alloc_zero(CELLS_MAX, sizeof *reader->cells);
    if (reader->ends == NULL || reader->cells == NULL) {
        csv_reader_free(reader);
        return af_fail_nomem(err, "a query");
    }
    *out = reader;
    return AF_OK;
}

void csv_reader_free(struct csv_reader *reader)
{
    if (reader == NULL)
        return;
    af_free(reader->ends);
    af_free(reader->cells);
    af_buf_done(&reader->bytes);
    af_arena_done(&reader->section);
    af_free(reader);
}
