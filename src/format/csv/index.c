/*
 * index.c - the records of a window as rows.
 *
 *     fill:  scan -> settle the records found -> a quote, a NUL byte, a long or cut record: record.c, one record -> scan ...
 *
 * Fast rows own `column_count` entries of marks.ends and nothing else. Rows that had quotes or had to be decoded are odd: their
 * cells are listed. Bad rows keep a reason. Blank lines are no records.
 *
 * Encoding: unless the caller named one, a record that is valid UTF-8 is UTF-8, and any other is decoded from Windows-1252 as a
 * whole: files glued together from two sources do exist, and Windows-1252 text with accents is hardly ever valid UTF-8.
 * It costs little: only if the scan saw a byte above 0x7F and the run is not valid as a whole are records looked at one by one.
 */
#include "base/alloc.h"
#include "base/utf8.h"
#include "format/csv/csv_int.h"
#include <assert.h>

enum af_status af_csv_index_init(struct af_csv_index *index, struct af_csv_window *window, const struct af_csv_format *format,
                                 size_t column_count, size_t row_cap, uint64_t line, struct af_error *err)
{
    assert(column_count > 0 && row_cap > 0);
    size_t rows = AF_CSV_CELLS_MAX / column_count;
    rows = rows < row_cap ? rows : row_cap;
    *index = (struct af_csv_index){ .window = window, .format = *format, .column_count = column_count, .row_cap = rows };
    index->line = line;
    index->marks.end_cap = rows * column_count + 2 * AF_CSV_MARKS_SLACK;
    index->marks.record_cap = rows + 2 * AF_CSV_MARKS_SLACK;
    af_csv_cells_init(&index->cells);
    index->marks.ends = af_alloc(index->marks.end_cap * sizeof *index->marks.ends);
    index->marks.records = af_alloc(index->marks.record_cap * sizeof *index->marks.records);
    index->rows = af_alloc(rows * sizeof *index->rows);
    if (index->marks.ends != NULL && index->marks.records != NULL && index->rows != NULL)
        return AF_OK;
    af_csv_index_done(index);
    return af_fail_nomem(err, "the index of CSV rows");
}

void af_csv_index_done(struct af_csv_index *index)
{
    af_free(index->marks.ends);
    af_free(index->marks.records);
    af_free(index->rows);
    af_free(index->bad);
    af_csv_cells_done(&index->cells);
    *index = (struct af_csv_index){ 0 };
}

/* --- rows --- */

static enum af_status add_bad(struct af_csv_index *index, enum af_csv_fault fault, uint32_t cell_count, size_t start, size_t len,
                              struct af_error *err)
{
    if (index->bad_count == index->bad_cap) {
        size_t cap = index->bad_cap == 0 ? 16 : index->bad_cap * 2;
        struct af_csv_bad *bad = af_realloc(index->bad, cap * sizeof *bad);
        if (bad == NULL)
            return af_fail_nomem(err, "bad CSV rows");
        index->bad = bad;
        index->bad_cap = cap;
    }
    uint32_t kept = (uint32_t)(len < AF_CSV_RAW_BYTES_MAX ? len : AF_CSV_RAW_BYTES_MAX);
    index->rows[index->row_count++] = (struct af_csv_row){ (uint32_t)start, (uint32_t)index->bad_count | AF_CSV_ROW_BAD };
    index->bad[index->bad_count++] = (struct af_csv_bad){ fault, cell_count, (uint32_t)start, kept, index->line };
    return AF_OK;
}

/* What to do about the encoding of a piece of text that has bytes above 0x7F or is not worth asking. */
enum look { LOOK_FINE, LOOK_DECODE, LOOK_REFUSE };

static enum look look_at(const struct af_csv_index *index, struct af_slice text)
{
    if (!af_csv_has_high(text.ptr, text.len))
        return LOOK_FINE;
    if (index->format.encoding == AF_CSV_CP1252 && index->format.is_strict)
        return LOOK_DECODE;
    if (af_utf8_is_valid(text))
        return LOOK_FINE;
    return index->format.is_strict ? LOOK_REFUSE : LOOK_DECODE;
}

/* --- the fast path --- */

/* A line that the scan found: its cells are marks.ends[first, last], the last one being the line end. */
struct line {
    size_t start, end; /* end: without CR and LF */
    size_t first, last;
};

static enum af_status decode_line(struct af_csv_index *index, const struct line *line, struct af_error *err)
{
    const char *text = index->window->text;
    size_t first_cell = index->cells.count;
    size_t start = line->start;
    for (size_t i = line->first; i <= line->last; i++) {
        size_t end = i == line->last ? line->end : index->marks.ends[i];
        AF_TRY(af_csv_cells_add(&index->cells, (struct af_csv_cell){ (uint32_t)start, (uint32_t)(end - start) }, err));
        start = end + 1;
    }
    AF_TRY(af_csv_cells_decode(&index->cells, first_cell, text, err));
    index->rows[index->row_count++] = (struct af_csv_row){ (uint32_t)line->start, (uint32_t)first_cell | AF_CSV_ROW_ODD };
    return AF_OK;
}

static enum af_status settle_line(struct af_csv_index *index, const struct line *line, bool asks_encoding, struct af_error *err)
{
    size_t len = line->end - line->start;
    size_t cells = line->last + 1 - line->first;
    if (len == 0)
        return AF_OK; /* blank */
    if (len > AF_CSV_LINE_BYTES_MAX)
        return add_bad(index, AF_CSV_LONG, 0, line->start, len, err);
    if (cells != index->column_count)
        return add_bad(index, AF_CSV_CELLS, (uint32_t)cells, line->start, len, err);
    enum look look = LOOK_FINE;
    if (asks_encoding)
        look = look_at(index, af_slice_make(index->window->text + line->start, len));
    if (look == LOOK_DECODE)
        return decode_line(index, line, err);
    if (look == LOOK_REFUSE)
        return add_bad(index, AF_CSV_NOT_UTF8, 0, line->start, len, err);
    index->marks.ends[line->last] = (uint32_t)line->end;
    index->rows[index->row_count++] = (struct af_csv_row){ (uint32_t)line->start, (uint32_t)line->first };
    return AF_OK;
}

static bool asks_encoding(const struct af_csv_index *index, size_t start, size_t first_record)
{
    const struct af_csv_marks *marks = &index->marks;
    if (!marks->has_high || marks->record_count == first_record)
        return false;
    size_t end = marks->ends[marks->records[marks->record_count - 1] - 1];
    bool always = index->format.encoding == AF_CSV_CP1252 && index->format.is_strict;
    return always || !af_utf8_is_valid(af_slice_make(index->window->text + start, end - start));
}

/* Make rows of the records from `first_record` on, the first of which begins at *start. Stops when the rows are full. */
static enum af_status settle(struct af_csv_index *index, size_t first_record, size_t *start, struct af_error *err)
{
    struct af_csv_marks *marks = &index->marks;
    const char *text = index->window->text;
    bool asks = asks_encoding(index, *start, first_record);
    size_t first = first_record == 0 ? 0 : marks->records[first_record - 1];
    for (size_t i = first_record; i < marks->record_count && index->row_count < index->row_cap; i++) {
        struct line line = { .start = *start, .first = first, .last = marks->records[i] - 1 };
        size_t newline = marks->ends[line.last];
        line.end = newline > line.start && text[newline - 1] == '\r' ? newline - 1 : newline;
        AF_TRY(settle_line(index, &line, asks, err));
        index->line++;
        first = line.last + 1;
        *start = newline + 1;
    }
    return AF_OK;
}

/* --- one record with quotes --- */

static uint64_t count_lines(const char *ptr, size_t len)
{
    uint64_t count = 0;
    const char *end = ptr + len;
    while (ptr < end && (ptr = memchr(ptr, '\n', (size_t)(end - ptr))) != NULL) {
        count++;
        ptr++;
    }
    return count;
}

static enum af_csv_fault fault_of(const struct af_csv_index *index, const struct af_csv_record *record, struct af_slice raw,
                                  enum look look)
{
    if (record->fault != AF_CSV_FINE)
        return record->fault;
    if (raw.len != 0 && memchr(raw.ptr, '\0', raw.len) != NULL)
        return AF_CSV_NUL;
    if (record->cell_count != index->column_count)
        return AF_CSV_CELLS;
    return look == LOOK_REFUSE ? AF_CSV_NOT_UTF8 : AF_CSV_FINE;
}

static enum af_status keep_record(struct af_csv_index *index, size_t start, size_t first_cell, const struct af_csv_record *record,
                                  struct af_error *err)
{
    struct af_slice raw = { index->window->text + start, record->raw_len };
    if (raw.len == 0) { /* blank */
        index->cells.count = first_cell;
        return AF_OK;
    }
    enum look look = look_at(index, raw);
    enum af_csv_fault fault = fault_of(index, record, raw, look);
    if (fault != AF_CSV_FINE) {
        index->cells.count = first_cell;
        return add_bad(index, fault, record->cell_count, start, raw.len, err);
    }
    if (look == LOOK_DECODE)
        AF_TRY(af_csv_cells_decode(&index->cells, first_cell, index->window->text, err));
    index->rows[index->row_count++] = (struct af_csv_row){ (uint32_t)start, (uint32_t)first_cell | AF_CSV_ROW_ODD };
    return AF_OK;
}

/* The record at *start, whatever it is; reads more text if it must. */
static enum af_status odd_record(struct af_csv_index *index, size_t *start, struct af_error *err)
{
    struct af_csv_window *window = index->window;
    size_t first_cell = index->cells.count;
    struct af_csv_record record;
    for (;;) {
        AF_TRY(af_csv_read_record(window->text, *start, window->len, af_csv_window_at_end(window), index->format.separator,
                                  index->column_count, &index->cells, &record, err));
        if (!record.needs_more)
            break;
        AF_TRY(af_csv_window_more(window, err));
    }
    AF_TRY(keep_record(index, *start, first_cell, &record, err));
    bool has_end = record.len > 0 && window->text[*start + record.len - 1] == '\n';
    index->line += count_lines(window->text + *start, record.len);
    index->is_skipping = !has_end && !af_csv_window_at_end(window);
    *start += record.len;
    return AF_OK;
}

/* --- fill --- */

/* To the end of the line that was too long to keep. */
static enum af_status skip_line(struct af_csv_index *index, struct af_error *err)
{
    struct af_csv_window *window = index->window;
    for (;;) {
        const char *line = window->len != 0 ? memchr(window->text, '\n', window->len) : NULL;
        if (line != NULL) {
            af_csv_window_slide(window, (size_t)(line - window->text) + 1);
            index->line++;
            break;
        }
        af_csv_window_slide(window, window->len);
        if (af_csv_window_at_end(window))
            break;
        AF_TRY(af_csv_window_more(window, err));
    }
    index->is_skipping = false;
    return AF_OK;
}

static void forget(struct af_csv_index *index)
{
    af_csv_window_slide(index->window, index->consumed);
    index->consumed = 0;
    index->marks.end_count = index->marks.record_count = 0;
    index->marks.has_high = false;
    index->row_count = index->bad_count = 0;
    af_csv_cells_clear(&index->cells);
}

/* Drop the marks of the record that is not complete. */
static void drop_partial(struct af_csv_marks *marks)
{
    marks->end_count = marks->record_count == 0 ? 0 : marks->records[marks->record_count - 1];
    marks->has_high = false;
}

/* How far to scan from `pos` on: not past what one batch may hold, and in small steps to the end of a record that passes it. */
static size_t scan_limit(const struct af_csv_window *window, size_t pos)
{
    const size_t step = 64 << 10;
    size_t to = pos < AF_CSV_SPAN_BYTES ? AF_CSV_SPAN_BYTES : pos + step;
    return to < window->len ? to : window->len;
}

/* Rows until they are full, the text is enough for one batch, or the file ends. *start: where the next record begins. */
static enum af_status fill(struct af_csv_index *index, size_t *start, struct af_error *err)
{
    struct af_csv_window *window = index->window;
    struct af_csv_marks *marks = &index->marks;
    size_t pos = 0;
    while (index->row_count < index->row_cap && *start < AF_CSV_SPAN_BYTES && !index->is_skipping) {
        enum af_csv_stop stop;
        size_t first_record = marks->record_count;
        size_t to = scan_limit(window, pos);
        pos = af_csv_scan(window->text, pos, to, index->format.separator, marks, &stop);
        AF_TRY(settle(index, first_record, start, err));
        if (index->row_count == index->row_cap)
            break;
        if (*start == pos && stop != AF_CSV_STOP_SPECIAL)
            marks->has_high = false; /* else a byte of the cut record may have set it */
        if (stop == AF_CSV_STOP_FULL && *start != 0)
            break;
        bool is_tail = stop == AF_CSV_STOP_END && pos == window->len && af_csv_window_at_end(window);
        if (is_tail && *start == window->len)
            break;
        if (stop != AF_CSV_STOP_END || is_tail || pos - *start > AF_CSV_LINE_BYTES_MAX) {
            AF_TRY(odd_record(index, start, err));
            drop_partial(marks);
            pos = *start;
        } else if (pos == window->len) {
            AF_TRY(af_csv_window_more(window, err));
        }
    }
    return AF_OK;
}

enum af_status af_csv_index_fill(struct af_csv_index *index, struct af_error *err)
{
    do {
        forget(index);
        if (index->is_skipping)
            AF_TRY(skip_line(index, err));
        AF_TRY(fill(index, &index->consumed, err));
    } while (index->row_count == 0 && (index->consumed != index->window->len || !af_csv_window_at_end(index->window)));
    return AF_OK;
}
