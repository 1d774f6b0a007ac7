/*
 * csv_int.h - the parts of format/csv.
 *
 *     window  a stretch of the file in memory; slides forward
 *       |
 *     scan    positions of separators and line ends, 64 bytes at a time; stops at quotes and NUL bytes
 *       |                                                   `-> record: one record with quotes, byte by byte
 *     index   the records of a window as rows: good ones with the places of their cells, bad ones with a reason
 *       |
 *     column  rows -> one column: offsets + bytes, or codes + dictionary where few values repeat
 *       |
 *     csv     the stream: runs of neighbouring good rows become batches
 *
 * Positions are bytes from the start of the window's text, so they hold while the window grows, and not when it slides.
 */
#ifndef AF_FORMAT_CSV_INT_H
#define AF_FORMAT_CSV_INT_H
#include "base/buf.h"
#include "base/limits.h"
#include "format/csv/csv.h"

enum {
    AF_CSV_SAMPLE_BYTES = 64 << 10,   /* what is looked at to find separator and encoding */
    AF_CSV_SPAN_BYTES = 6 << 20,      /* text indexed at a time: with one more record, and grown threefold by decoding, below
                                         AF_BATCH_TEXT_BYTES_MAX */
    AF_CSV_RAW_BYTES_MAX = 64 << 10,  /* of a bad row, what is kept of its text */
    AF_CSV_CELLS_MAX = 1 << 20,       /* cells indexed at a time, unless one row has more */
    AF_CSV_CODED_COLUMNS_MAX = 512,   /* wider tables are not dictionary-coded */
};

/* --- window.c --- */

struct af_csv_window {
    struct af_reader *reader;
    const char *text;
    size_t len;
    uint64_t offset; /* of text[0] in the file */
    char *buf;       /* NULL while the reader has its bytes in memory */
    size_t cap;
};

void af_csv_window_init(struct af_csv_window *window, struct af_reader *reader);
void af_csv_window_done(struct af_csv_window *window);
static inline bool af_csv_window_at_end(const struct af_csv_window *window)
{
    return window->offset + window->len == window->reader->size;
}
/* Some more text behind what is there. Not at the end. */
AF_MUST_CHECK enum af_status af_csv_window_more(struct af_csv_window *window, struct af_error *err);
/* Forget the first `len` bytes. */
void af_csv_window_slide(struct af_csv_window *window, size_t len);

/* --- scan.c --- */

struct af_csv_marks {
    uint32_t *ends;      /* positions of separators and line ends */
    size_t end_count;
    size_t end_cap;
    uint32_t *records;   /* end_count behind each line end */
    size_t record_count;
    size_t record_cap;
    bool has_high;       /* a byte above 0x7F was among what was scanned */
};
enum { AF_CSV_MARKS_SLACK = 80 }; /* room the scan needs in both arrays */

enum af_csv_stop {
    AF_CSV_STOP_END,     /* all of it was scanned */
    AF_CSV_STOP_SPECIAL, /* a quote or NUL byte is at the returned position */
    AF_CSV_STOP_FULL,    /* one of the arrays has less room than the slack */
};

/* Scan text[from, to), append to `marks`; the position where it stopped. */
size_t af_csv_scan(const char *text, size_t from, size_t to, char separator, struct af_csv_marks *marks,
                   enum af_csv_stop *out_stop);
/* Its twins, for tests: 0 scalar, 1 SSE2, 2 AVX2 (false if this machine has none). */
bool af_csv_scan_with(int which, const char *text, size_t from, size_t to, char separator, struct af_csv_marks *marks,
                      enum af_csv_stop *out_stop, size_t *out_pos);

/* The first separator or line end in [ptr, end), or `end`. */
const char *af_csv_find_end(const char *ptr, const char *end, char separator);
bool af_csv_has_high(const char *ptr, size_t len);

/* --- record.c --- */

#define AF_CSV_IN_SCRATCH (UINT32_C(1) << 31)
struct af_csv_cell {
    uint32_t at; /* position, or AF_CSV_IN_SCRATCH | offset in the scratch */
    uint32_t len;
};
/* Cells that are not simply between two ends: unquoted, decoded. */
struct af_csv_cells {
    struct af_csv_cell *items;
    size_t count;
    size_t cap;
    struct af_buf scratch;
};
static inline struct af_slice af_csv_cell_text(const struct af_csv_cells *cells, const char *text, size_t i)
{
    struct af_csv_cell cell = cells->items[i];
    const char *from = (cell.at & AF_CSV_IN_SCRATCH) != 0 ? cells->scratch.ptr : text;
    return (struct af_slice){ from + (cell.at & ~AF_CSV_IN_SCRATCH), cell.len };
}
void af_csv_cells_init(struct af_csv_cells *cells);
void af_csv_cells_done(struct af_csv_cells *cells);
void af_csv_cells_clear(struct af_csv_cells *cells);
AF_MUST_CHECK enum af_status af_csv_cells_add(struct af_csv_cells *cells, struct af_csv_cell cell, struct af_error *err);
/* Decode the cells from `first` on that have bytes above 0x7F from Windows-1252. */
AF_MUST_CHECK enum af_status af_csv_cells_decode(struct af_csv_cells *cells, size_t first, const char *text,
                                                 struct af_error *err);

enum af_csv_fault {
    AF_CSV_FINE,
    AF_CSV_CELLS,       /* not as many cells as columns */
    AF_CSV_UNCLOSED,    /* a quote without its partner */
    AF_CSV_AFTER_QUOTE, /* text between a closing quote and the next separator */
    AF_CSV_LONG,        /* longer than AF_CSV_LINE_BYTES_MAX */
    AF_CSV_NUL,
    AF_CSV_NOT_UTF8,    /* and no other encoding was allowed */
};

struct af_csv_record {
    bool needs_more;         /* the text ends before the record does */
    enum af_csv_fault fault;
    uint32_t cell_count;     /* found; at most `want` of them were appended */
    size_t raw_len;          /* without the line end; with UNCLOSED, AFTER_QUOTE, LONG: of the first line, as far as it is there */
    size_t len;              /* with it: the next record begins there */
};
/*
 * Read the record at text[start, to). Appends at most `want` cells; on a fault or needs_more, none. `is_last`: the file ends at
 * `to`. A blank line is a record of one empty cell here. NUL bytes and encoding are not looked at.
 */
AF_MUST_CHECK enum af_status af_csv_read_record(const char *text, size_t start, size_t to, bool is_last, char separator,
                                                size_t want, struct af_csv_cells *cells, struct af_csv_record *out,
                                                struct af_error *err);

/* --- detect.c --- */

struct af_csv_format {
    char separator;
    enum af_csv_encoding encoding;
    bool is_strict; /* the encoding was asked for, not found: records that are not in it are bad */
    bool has_bom;
    bool has_decimal_comma;
    size_t skip; /* bytes in front of the first record: BOM, "sep=;" */
    uint32_t skip_lines;
};
/* AF_EINVAL for what is no text at all. */
AF_MUST_CHECK enum af_status af_csv_detect(const char *name, struct af_slice sample, bool is_whole,
                                           const struct af_csv_options *options, struct af_csv_format *out,
                                           struct af_error *err);
/* -1,5 or 1.234,56 (comma) ... 0.5 or 1e-8 (point) ... neither, or both could be (1.234). */
enum af_csv_number { AF_CSV_NO_NUMBER, AF_CSV_COMMA, AF_CSV_POINT };
enum af_csv_number af_csv_number_style(struct af_slice cell);

/* --- index.c --- */

#define AF_CSV_ROW_ODD (UINT32_C(1) << 31)
#define AF_CSV_ROW_BAD (UINT32_C(1) << 30)
struct af_csv_row {
    uint32_t start;
    uint32_t at; /* first of its cells in marks.ends; with ROW_ODD in cells.items; with ROW_BAD its number in `bad` */
};
struct af_csv_bad {
    enum af_csv_fault fault;
    uint32_t cell_count;
    uint32_t start, len; /* raw text, cut */
    uint64_t line;
};
struct af_csv_index {
    struct af_csv_window *window;
    struct af_csv_format format;
    size_t column_count;
    size_t row_cap;
    struct af_csv_marks marks;
    struct af_csv_row *rows;
    size_t row_count;
    struct af_csv_cells cells;
    struct af_csv_bad *bad;
    size_t bad_count;
    size_t bad_cap;
    size_t consumed;     /* text that the rows came from: the next fill slides past it */
    uint64_t line;       /* 1-based, where the next record begins */
    bool is_skipping;    /* inside a line that was too long */
};
/* window and line are the caller's to set before; the window stands at the first record. */
AF_MUST_CHECK enum af_status af_csv_index_init(struct af_csv_index *index, struct af_csv_window *window,
                                               const struct af_csv_format *format, size_t column_count, size_t row_cap,
                                               uint64_t line, struct af_error *err);
void af_csv_index_done(struct af_csv_index *index);
/* The next rows, at most row_cap. No rows: the end of the file. */
AF_MUST_CHECK enum af_status af_csv_index_fill(struct af_csv_index *index, struct af_error *err);

/* --- column.c --- */

struct af_csv_coder; /* the dictionary of one column, kept from batch to batch */
AF_MUST_CHECK enum af_status af_csv_coder_new(struct af_csv_coder **out, struct af_error *err);
void af_csv_coder_free(struct af_csv_coder *coder);

/* Good rows rows[0, count) of the index as column `c`. `coder` may be NULL: never coded. */
AF_MUST_CHECK enum af_status af_csv_build_column(const struct af_csv_index *index, const struct af_csv_row *rows,
                                                 size_t count, size_t c, struct af_csv_coder *coder,
                                                 struct af_arena *arena, struct af_column *out, struct af_error *err);
#endif
