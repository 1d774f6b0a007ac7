/*
 * csv.h - delimited text into batches of strings.
 *
 * Every column is text (AF_TYPE_STRING, UTF-8, empty cells null): what a cell means is the mapping's business. Separator, quoting and
 * encoding are found from the first bytes unless given: `;` `,` tab `|`; UTF-8 with or without BOM, else Windows-1252; UTF-16 with
 * BOM is refused by name. Quoted cells may hold separators, line ends and doubled quotes. LF, CRLF, and a last line without an end.
 *
 * Records with the wrong number of cells, unbalanced quotes or over-long lines become bad rows of the batch (batch->bad_rows) and
 * reading goes on. Sequential over the reader with a window; memory does not depend on the size of the file.
 */
#ifndef AF_FORMAT_CSV_H
#define AF_FORMAT_CSV_H
#include "base/reader.h"
#include "data/stream.h"

enum af_csv_encoding { AF_CSV_AUTO, AF_CSV_UTF8, AF_CSV_CP1252 };
struct af_csv_options {
    char separator;              /* 0: found */
    enum af_csv_encoding encoding;
    bool no_header;              /* columns are then c1, c2 ... */
    size_t batch_rows_max;       /* 0: AF_BATCH_ROWS */
};
struct af_csv_info {
    char separator;
    enum af_csv_encoding encoding;
    bool has_bom;
    bool has_decimal_comma;      /* numbers of the sample look like 1.234,5 or 0,5 (and never like 0.5) */
};
/*
 * The reader is borrowed until the stream is closed. Column names are trimmed; empty or repeated ones get a suffix (`_2`).
 * Row numbers (batch->first_row) count records, 0 for the first after the header; row_group is 0.
 *   AF_EINVAL  no header (an empty file), a file that is binary, UTF-16
 */
AF_MUST_CHECK enum af_status af_csv_open(struct af_reader *reader, const struct af_csv_options *options, struct af_stream **out,
                                         struct af_csv_info *out_info, struct af_error *err);

/* Append one cell, quoted where needed. */
void af_csv_append_cell(struct af_buf *out, struct af_slice cell, char separator);
#endif
