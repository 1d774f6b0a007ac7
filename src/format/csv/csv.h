/*
 * csv.h - delimited text into batches of strings.
 *
 * Every column is text (AF_TYPE_STRING, UTF-8, empty cells null): what a cell means is the mapping's business. Separator and
 * encoding are found from the first 64 KiB unless given: `;` `,` tab `|`; UTF-8 with or without BOM, else Windows-1252, and a
 * record that is not what the file seems to be is decoded by itself. UTF-16 is refused by name. Quoted cells may hold
 * separators, line ends and doubled quotes. LF, CRLF, and a last line without an end. Blank lines are no records.
 *
 * Records with the wrong number of cells, broken quoting, NUL bytes or over-long lines become bad rows of the batch
 * (batch->bad_rows; the reason says the line) and reading goes on. A batch ends in front of a good row that follows a bad one, so
 * that row i of a batch is record first_row + i. Columns with few distinct words come as codes + dictionary, the same one from
 * batch to batch while no new word appears. Sequential over the reader with a window; memory does not depend on the file's size.
 */
#ifndef AF_FORMAT_CSV_H
#define AF_FORMAT_CSV_H
#include "base/reader.h"
#include "data/stream.h"

enum af_csv_encoding { AF_CSV_AUTO, AF_CSV_UTF8, AF_CSV_CP1252 };
struct af_csv_options {
    char separator;              /* 0: found */
    enum af_csv_encoding encoding; /* when given, records that are not UTF-8 are bad rows */
    bool no_header;              /* columns are then c1, c2 ... */
    size_t batch_rows_max;       /* 0: AF_BATCH_ROWS */
};
struct af_csv_info {
    char separator;
    enum af_csv_encoding encoding; /* of the sample */
    bool has_bom;
    bool has_decimal_comma;      /* numbers of the sample look like 1.234,5 or 0,5 (and never like 0.5) */
};
/*
 * The reader is borrowed until the stream is closed. Column names are trimmed; an empty one becomes c3 (by place), repeated ones
 * get a suffix (`_2`). Row numbers (batch->first_row) count records, bad ones included, 0 for the first after the header;
 * row_group is 0.
 * `options` and `out_info` may be NULL. Batches do not refer to the stream.
 *   AF_EINVAL  no header (an empty file), broken quoting in it, a file that is binary, UTF-16
 *   AF_ELIMIT  a header of more than AF_CSV_COLUMNS_MAX cells or AF_CSV_LINE_BYTES_MAX bytes
 */
AF_MUST_CHECK enum af_status af_csv_open(struct af_reader *reader, const struct af_csv_options *options, struct af_stream **out,
                                         struct af_csv_info *out_info, struct af_error *err);

/* Append one cell, quoted where needed. */
void af_csv_append_cell(struct af_buf *out, struct af_slice cell, char separator);
#endif
