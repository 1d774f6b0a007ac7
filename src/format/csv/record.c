/*
 * record.c - one record, with quotes.
 *
 *     record := cell (separator cell)* (LF | CRLF | end of file)
 *     cell   := '"' (any byte but a quote | '""')* '"'      when its first byte is a quote
 *             | bytes up to the separator or line end        otherwise; quotes inside mean themselves
 *
 * A carriage return in front of the line end belongs to it. When quoting is broken the record is its first line: the next
 * line is tried afresh, since a stray quote must not swallow the rest of the file.
 */
#include "base/alloc.h"
#include "base/utf8.h"
#include "format/csv/csv_int.h"
#include <assert.h>

void af_csv_cells_init(struct af_csv_cells *cells)
{
    *cells = (struct af_csv_cells){ 0 };
    af_buf_init(&cells->scratch, (size_t)AF_BATCH_TEXT_BYTES_MAX * 2);
}

void af_csv_cells_done(struct af_csv_cells *cells)
{
    af_free(cells->items);
    af_buf_done(&cells->scratch);
    *cells = (struct af_csv_cells){ 0 };
}

void af_csv_cells_clear(struct af_csv_cells *cells)
{
    cells->count = 0;
    af_buf_clear(&cells->scratch);
}

enum af_status af_csv_cells_add(struct af_csv_cells *cells, struct af_csv_cell cell, struct af_error *err)
{
    if (cells->count == cells->cap) {
        size_t cap = cells->cap == 0 ? 64 : cells->cap * 2;
        struct af_csv_cell *items = af_realloc(cells->items, cap * sizeof *items);
        if (items == NULL)
            return af_fail_nomem(err, "CSV cells");
        cells->items = items;
        cells->cap = cap;
    }
    cells->items[cells->count++] = cell;
    return AF_OK;
}

enum af_status af_csv_cells_decode(struct af_csv_cells *cells, size_t first, const char *text, struct af_error *err)
{
    for (size_t i = first; i < cells->count; i++) {
        struct af_slice from = af_csv_cell_text(cells, text, i);
        if (from.len == 0 || !af_csv_has_high(from.ptr, from.len))
            continue;
        size_t at = cells->scratch.len;
        /* Room first: `from` may be in the scratch itself, which must not move meanwhile. A byte becomes at most three. */
        if (af_buf_reserve(&cells->scratch, from.len * 3) == NULL)
            return af_buf_check(&cells->scratch, "decoded CSV text", err);
        from = af_csv_cell_text(cells, text, i);
        af_utf8_append_cp1252(&cells->scratch, from);
        AF_TRY(af_buf_check(&cells->scratch, "decoded CSV text", err));
        cells->items[i] = (struct af_csv_cell){ (uint32_t)at | AF_CSV_IN_SCRATCH, (uint32_t)(cells->scratch.len - at) };
    }
    return AF_OK;
}

/* The walk over one record. */
struct walk {
    const char *text;
    size_t at, to;
    char separator;
    size_t want;
    struct af_csv_cells *cells;
    uint32_t cell_count;
    bool ran_out; /* `to` was reached inside a cell, or where more of the cell could follow */
};

static enum af_status add(struct walk *walk, size_t at, size_t len, struct af_error *err)
{
    if (walk->cell_count++ >= walk->want)
        return AF_OK;
    return af_csv_cells_add(walk->cells, (struct af_csv_cell){ (uint32_t)at, (uint32_t)len }, err);
}

static enum af_status plain_cell(struct walk *walk, struct af_error *err)
{
    const char *start = walk->text + walk->at;
    const char *stop = walk->text + walk->to;
    const char *end = af_csv_find_end(start, stop, walk->separator);
    walk->ran_out = end == stop;
    walk->at = (size_t)(end - walk->text);
    size_t len = (size_t)(end - start);
    if (len > 0 && (walk->ran_out || *end == '\n') && end[-1] == '\r')
        len--;
    return add(walk, (size_t)(start - walk->text), len, err);
}

/* The end of a quoted cell whose text begins at `at`: the position of the closing quote. False: there is none before `to`. */
static bool find_close(const struct walk *walk, size_t at, size_t *out_close, bool *out_has_doubles)
{
    *out_has_doubles = false;
    for (;;) {
        const char *quote = at < walk->to ? memchr(walk->text + at, '"', walk->to - at) : NULL;
        if (quote == NULL)
            return false;
        *out_close = (size_t)(quote - walk->text);
        at = *out_close + 1;
        if (at == walk->to || walk->text[at] != '"')
            return true;
        *out_has_doubles = true;
        at++;
    }
}

static enum af_status add_undoubled(struct walk *walk, size_t at, size_t end, struct af_error *err)
{
    if (walk->cell_count >= walk->want)
        return add(walk, 0, 0, err);
    struct af_buf *scratch = &walk->cells->scratch;
    size_t mark = scratch->len;
    while (at < end) {
        const char *quote = memchr(walk->text + at, '"', end - at);
        size_t next = quote != NULL ? (size_t)(quote - walk->text) + 1 : end;
        af_buf_append(scratch, walk->text + at, next - at);
        at = quote != NULL ? next + 1 : end;
    }
    AF_TRY(af_buf_check(scratch, "CSV text", err));
    walk->cell_count++;
    struct af_csv_cell cell = { (uint32_t)mark | AF_CSV_IN_SCRATCH, (uint32_t)(scratch->len - mark) };
    return af_csv_cells_add(walk->cells, cell, err);
}

static enum af_status quoted_cell(struct walk *walk, enum af_csv_fault *out_fault, struct af_error *err)
{
    size_t start = walk->at + 1;
    size_t close;
    bool has_doubles;
    if (!find_close(walk, start, &close, &has_doubles)) {
        *out_fault = AF_CSV_UNCLOSED;
        walk->ran_out = true;
        return AF_OK;
    }
    if (has_doubles)
        AF_TRY(add_undoubled(walk, start, close, err));
    else
        AF_TRY(add(walk, start, close - start, err));
    walk->at = close + 1;
    if (walk->at < walk->to && walk->text[walk->at] == '\r' && (walk->at + 1 == walk->to || walk->text[walk->at + 1] == '\n'))
        walk->at++;
    walk->ran_out = walk->at == walk->to;
    if (!walk->ran_out && walk->text[walk->at] != walk->separator && walk->text[walk->at] != '\n')
        *out_fault = AF_CSV_AFTER_QUOTE;
    return AF_OK;
}

/* All cells of the record. At the end `at` is on the line end, or at `to`. */
static enum af_status walk_cells(struct walk *walk, enum af_csv_fault *out_fault, struct af_error *err)
{
    for (;;) {
        if (walk->at < walk->to && walk->text[walk->at] == '"')
            AF_TRY(quoted_cell(walk, out_fault, err));
        else
            AF_TRY(plain_cell(walk, err));
        if (*out_fault != AF_CSV_FINE || walk->ran_out || walk->text[walk->at] == '\n')
            return AF_OK;
        walk->at++;
    }
}

/* The first line of text[start, to). */
static void first_line(const char *text, size_t start, size_t to, struct af_csv_record *out)
{
    const char *line = start < to ? memchr(text + start, '\n', to - start) : NULL;
    out->raw_len = line != NULL ? (size_t)(line - text) - start : to - start;
    out->len = line != NULL ? out->raw_len + 1 : out->raw_len;
    if (out->raw_len > 0 && text[start + out->raw_len - 1] == '\r')
        out->raw_len--;
}

enum af_status af_csv_read_record(const char *text, size_t start, size_t to, bool is_last, char separator, size_t want,
                                  struct af_csv_cells *cells, struct af_csv_record *out, struct af_error *err)
{
    /* Past the limit and a CRLF, nothing more can make the record fit. */
    const size_t span_max = (size_t)AF_CSV_LINE_BYTES_MAX + 2;
    bool is_cut = to - start > span_max;
    struct walk walk = { text, start, is_cut ? start + span_max : to, separator, want, cells, 0, false };
    size_t cells_before = cells->count;
    size_t scratch_before = cells->scratch.len;
    *out = (struct af_csv_record){ 0 };
    AF_TRY(walk_cells(&walk, &out->fault, err));
    out->cell_count = walk.cell_count;
    out->len = walk.at - start;
    out->raw_len = out->len;
    if (!walk.ran_out)
        out->len++;
    if (out->raw_len > 0 && text[start + out->raw_len - 1] == '\r')
        out->raw_len--;
    out->needs_more = walk.ran_out && !is_cut && !is_last;
    if (out->raw_len > AF_CSV_LINE_BYTES_MAX || (walk.ran_out && is_cut))
        out->fault = out->fault == AF_CSV_UNCLOSED ? AF_CSV_UNCLOSED : AF_CSV_LONG;
    if (out->needs_more || out->fault != AF_CSV_FINE) {
        cells->count = cells_before;
        af_buf_rewind(&cells->scratch, scratch_before);
    }
    if (!out->needs_more && out->fault != AF_CSV_FINE)
        first_line(text, start, to, out);
    return AF_OK;
}
