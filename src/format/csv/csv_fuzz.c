/*
 * csv_fuzz.c - what holds for any bytes that open as CSV:
 * - records, their cells and which of them are bad are those of a reference parser that goes byte by byte (below);
 * - read from memory in large batches and read in pieces in small ones, the rows are the same;
 * - all cells are UTF-8; printed with af_csv_append_cell and read again they are the same.
 *
 * The first byte of the input chooses the separator and the size of batches.
 */
#include "base/alloc.h"
#include "base/utf8.h"
#include "format/csv/csv.h"
#include <stdlib.h>

#define MUST(cond)                                                                                           \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            abort();                                                                                         \
    } while (0)

static const char separators[4] = { ';', ',', '\t', '|' };

/* --- the reference: one record from `at` on --- */

struct record {
    size_t next;      /* where the following one begins */
    size_t raw_len;
    size_t cells;
    bool is_broken;
    struct af_buf text; /* cells as they are, each ended by a NUL */
};

static size_t line_end(struct af_slice s, size_t at)
{
    while (at < s.len && s.ptr[at] != '\n')
        at++;
    return at;
}

/* At a cell's end: separator, line end, CR before it, or the end of the file. */
static size_t end_width(struct af_slice s, size_t at, char separator)
{
    if (at == s.len || s.ptr[at] == separator || s.ptr[at] == '\n')
        return 1;
    if (s.ptr[at] == '\r' && (at + 1 == s.len || s.ptr[at + 1] == '\n'))
        return 2;
    return 0;
}

static size_t read_cell(struct af_slice s, size_t at, char separator, struct record *record)
{
    bool is_quoted = at < s.len && s.ptr[at] == '"';
    if (!is_quoted) {
        /* Of several CRs in front of a line end only the last belongs to it. */
        while (end_width(s, at, separator) == 0)
            af_buf_append_char(&record->text, s.ptr[at++]);
        return at;
    }
    for (at++; at < s.len; at++) {
        if (s.ptr[at] != '"') {
            af_buf_append_char(&record->text, s.ptr[at]);
        } else if (at + 1 < s.len && s.ptr[at + 1] == '"') {
            af_buf_append_char(&record->text, '"');
            at++;
        } else {
            at++;
            record->is_broken = end_width(s, at, separator) == 0;
            return at;
        }
    }
    record->is_broken = true;
    return at;
}

static void read_record(struct af_slice s, size_t start, char separator, struct record *record)
{
    size_t at = start;
    af_buf_clear(&record->text);
    record->cells = 0;
    record->is_broken = false;
    for (;;) {
        at = read_cell(s, at, separator, record);
        af_buf_append_char(&record->text, '\0');
        record->cells++;
        if (record->is_broken || at >= s.len || s.ptr[at] != separator)
            break;
        at++;
    }
    size_t end = record->is_broken ? line_end(s, start) : line_end(s, at);
    record->next = end < s.len ? end + 1 : end;
    record->raw_len = end - start;
    if (record->raw_len > 0 && s.ptr[end - 1] == '\r')
        record->raw_len--;
}

/* --- the stream, as one text --- */

struct rows {
    struct af_buf text; /* per row: its cells, each ended by NUL; a bad row is one 0x01 */
    uint64_t rows, bad;
    size_t columns;
};

static void add_batch(struct rows *rows, const struct af_batch *batch)
{
    size_t bad = 0;
    for (; bad < batch->bad_row_count && batch->bad_rows[bad].row < batch->first_row; bad++)
        af_buf_append_char(&rows->text, '\1');
    MUST(batch->first_row == rows->rows + rows->bad + bad);
    for (size_t row = 0; row < batch->row_count; row++) {
        for (size_t c = 0; c < rows->columns; c++) {
            if (af_column_has(&batch->columns[c], row)) {
                struct af_slice cell = af_column_text(&batch->columns[c], row);
                MUST(cell.len != 0 && af_utf8_is_valid(cell));
                af_buf_append_slice(&rows->text, cell);
            }
            af_buf_append_char(&rows->text, '\0');
        }
    }
    for (; bad < batch->bad_row_count; bad++)
        af_buf_append_char(&rows->text, '\1');
    rows->rows += batch->row_count;
    rows->bad += batch->bad_row_count;
}

static enum af_status read_rows(struct af_reader *reader, const struct af_csv_options *options, struct rows *rows)
{
    af_buf_init(&rows->text, 64 << 20);
    rows->rows = rows->bad = 0;
    rows->columns = 0;
    struct af_stream *stream;
    AF_TRY(af_csv_open(reader, options, &stream, NULL, NULL));
    rows->columns = stream->schema->field_count;
    struct af_arena arena;
    af_arena_init(&arena, 512 << 20);
    for (;;) {
        struct af_batch *batch;
        MUST(af_stream_next(stream, &arena, &batch, NULL) == AF_OK);
        if (batch == NULL)
            break;
        add_batch(rows, batch);
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    af_stream_close(stream);
    return AF_OK;
}

static enum af_status piece_read(struct af_reader *reader, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    (void)err;
    memcpy(dst, reader->name + offset, len); /* the name is the text here */
    return AF_OK;
}

/* --- the checks --- */

static bool is_ascii(struct af_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.ptr[i] & 0x80) != 0)
            return false;
    return true;
}

/* Walk the reference over the text behind the header and compare. */
static void check_reference(struct af_slice s, char separator, const struct rows *rows)
{
    struct record record = { 0 };
    af_buf_init(&record.text, 64 << 20);
    struct af_buf want;
    af_buf_init(&want, 64 << 20);
    uint64_t records = 0;
    bool has_header = false;
    for (size_t at = 0; at < s.len; at = record.next) {
        read_record(s, at, separator, &record);
        if (record.raw_len == 0)
            continue;
        if (!has_header) {
            has_header = true;
            MUST(!record.is_broken && record.cells == rows->columns);
            continue;
        }
        records++;
        bool has_nul = memchr(s.ptr + at, '\0', record.raw_len) != NULL;
        if (record.is_broken || has_nul || record.cells != rows->columns)
            af_buf_append_char(&want, '\1');
        else
            af_buf_append_slice(&want, af_buf_slice(&record.text));
    }
    MUST(records == rows->rows + rows->bad);
    if (is_ascii(s))
        MUST(af_slice_eq(af_buf_slice(&want), af_buf_slice(&rows->text)));
    af_buf_done(&want);
    af_buf_done(&record.text);
}

/* Print what was read, read that: the same rows. A row of one empty cell would be a blank line, so a first column is added. */
static void check_print(char separator, const struct rows *rows)
{
    if (rows->bad != 0)
        return;
    struct af_buf text;
    af_buf_init(&text, 64 << 20);
    for (size_t c = 0; c <= rows->columns; c++) {
        af_buf_append_char(&text, 'h');
        af_buf_append_char(&text, c < rows->columns ? separator : '\n');
    }
    const char *at = rows->text.ptr;
    struct af_buf want;
    af_buf_init(&want, 64 << 20);
    for (uint64_t row = 0; row < rows->rows; row++) {
        af_buf_append(&want, "x", 2);
        af_buf_append_char(&text, 'x');
        for (size_t c = 0; c < rows->columns; c++) {
            struct af_slice cell = af_slice_of(at);
            at += cell.len + 1;
            af_buf_append_char(&text, separator);
            af_csv_append_cell(&text, cell, separator);
            af_buf_append(&want, cell.ptr, cell.len + 1);
        }
        af_buf_append_str(&text, "\r\n");
    }
    struct af_csv_options options = { .separator = separator };
    struct af_reader reader;
    struct rows again;
    af_reader_from_memory(&reader, "again", text.ptr, text.len);
    MUST(read_rows(&reader, &options, &again) == AF_OK);
    MUST(again.bad == 0 && again.rows == rows->rows);
    MUST(af_slice_eq(af_buf_slice(&want), af_buf_slice(&again.text)));
    af_buf_done(&again.text);
    af_buf_done(&text);
    af_buf_done(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 1 << 16)
        return 0;
    struct af_csv_options options = { .separator = separators[data[0] % 4], .batch_rows_max = (size_t)data[0] / 4 % 8 };
    struct af_slice text = af_slice_make(data + 1, size - 1);
    struct af_reader reader;
    struct rows rows, pieces;
    af_reader_from_memory(&reader, "fuzz", text.ptr, text.len);
    if (read_rows(&reader, &options, &rows) == AF_OK) {
        static const struct af_reader_ops ops = { .read_at = piece_read, .close = NULL };
        struct af_reader in_pieces = { &ops, text.ptr, text.len, NULL };
        options.batch_rows_max = 0;
        MUST(read_rows(&in_pieces, &options, &pieces) == AF_OK);
        MUST(rows.rows == pieces.rows && rows.bad == pieces.bad);
        MUST(af_slice_eq(af_buf_slice(&rows.text), af_buf_slice(&pieces.text)));
        af_buf_done(&pieces.text);
        bool starts_oddly = af_slice_has_prefix(text, "\xEF\xBB\xBF") || af_slice_has_prefix(text, "sep=");
        if (!starts_oddly)
            check_reference(text, options.separator, &rows);
        check_print(options.separator, &rows);
    }
    af_buf_done(&rows.text);
    return 0;
}
