/*
 * parquet.h - Apache Parquet files: read into batches, written from batches.
 *
 * Reading is by column and page over a random-access reader: the footer first, then only the chunks of the columns asked for, a
 * page at a time, so memory is a few pages a column whatever the size of the file. Dictionary-coded text stays codes
 * (af_column.codes). What is read and what is refused: docs/formats/parquet.md.
 *
 * Nothing in a file is trusted: sizes, counts, offsets, levels, codes are checked before use, pages are checked against their
 * CRC where they have one. A damaged page is AF_ECORRUPT with file, row group, column and page in the message; the stream can then
 * go on with the next row group (af_parquet_skip_row_group).
 */
#ifndef AF_FORMAT_PARQUET_H
#define AF_FORMAT_PARQUET_H
#include "base/buf.h"
#include "base/reader.h"
#include "data/stream.h"

struct af_parquet; /* an open file: footer parsed, reader borrowed until closed. Several streams may use it at once. */

/* AF_ECORRUPT: not Parquet or damaged (the message says which bytes), AF_EUNSUPPORTED: encrypted. */
AF_MUST_CHECK enum af_status af_parquet_open(struct af_reader *reader, struct af_parquet **out, struct af_error *err);
void af_parquet_close(struct af_parquet *file);

/* The columns a table can have of it, flattened: a leaf inside a struct is `a.b`; a list, map or other repeated column is one JSON
 * column. Columns that cannot be read at all (VARIANT, unknown encodings) are present with unsupported != NULL in the info below. */
const struct af_schema *af_parquet_schema(const struct af_parquet *file);

struct af_parquet_info {
    uint64_t rows;
    uint32_t row_groups;
    int32_t version;
    const char *created_by;             /* "" if not said */
    size_t kv_count;                    /* key-value metadata */
    const char *const *kv_keys;
    const char *const *kv_values;       /* NULL where a key has none */
};
void af_parquet_info(const struct af_parquet *file, struct af_parquet_info *out); /* borrowed from the file */
struct af_parquet_column_info {
    const char *codec;                  /* of the first row group: "SNAPPY" */
    const char *encodings;              /* "PLAIN_DICTIONARY,RLE" as its metadata list them */
    uint64_t bytes_compressed;          /* over all row groups */
    uint64_t bytes_raw;
    const char *unsupported;            /* why it cannot be read, or NULL */
};
void af_parquet_column_info(const struct af_parquet *file, size_t column, struct af_parquet_column_info *out);
uint64_t af_parquet_row_group_rows(const struct af_parquet *file, uint32_t row_group);

struct af_parquet_scan {
    const size_t *columns;  /* indices into the schema, in the order wanted; NULL: all that are supported */
    size_t column_count;
    uint32_t row_group_first;
    uint32_t row_group_count; /* 0: to the end */
    size_t batch_rows_max;    /* 0: AF_BATCH_ROWS */
    /* Rows outside [prune_start_ns, prune_stop_ns) of the TIME column `prune_column` (index into the schema) may be left out where the
     * statistics of row group or page allow it; other rows still come. Off unless has_prune: statistics can lie. */
    bool has_prune;
    size_t prune_column;
    int64_t prune_start_ns;
    int64_t prune_stop_ns;
    bool skip_crc;
};
/* Batches never cross a row group. batch->row_group and first_row (row in the file) are set. Values of a type afluxo widens (INT32 ->
 * I64, FLOAT -> F64, FLOAT16 -> F64, INT96 -> TIME). A time outside int64 ns is null and marked in column->invalid. */
AF_MUST_CHECK enum af_status af_parquet_scan(struct af_parquet *file, const struct af_parquet_scan *scan,
                                             struct af_stream **out, struct af_error *err);
/* After AF_ECORRUPT, AF_EUNSUPPORTED or AF_EIO from next: drop the rest of the current row group. *out_rows: how many rows are lost. */
void af_parquet_skip_row_group(struct af_stream *stream, uint32_t *out_row_group, uint64_t *out_rows);
/* Pages and rows that pruning left out so far. */
void af_parquet_scan_pruned(const struct af_stream *stream, uint64_t *out_row_groups, uint64_t *out_rows);

/* --- writing ------------------------------------------------------------------------------------------------------------- */

enum af_parquet_time_form { AF_PARQUET_TIME_NANOS, AF_PARQUET_TIME_MICROS, AF_PARQUET_TIME_MILLIS, AF_PARQUET_TIME_INT96 };
struct af_parquet_write_options {
    int codec;                    /* enum af_codec: NONE, SNAPPY, ZSTD, GZIP, LZ4, BROTLI */
    enum af_parquet_time_form time_form;
    uint64_t row_group_rows;      /* 0: 1,048,576 */
    uint64_t page_rows;           /* 0: 20,000 */
    bool data_page_v2;
    bool page_index;              /* offset and column indexes */
    bool page_crc;
    bool legacy_dictionary;       /* PLAIN_DICTIONARY, as Spark writes it */
    bool no_dictionary;
    bool delta;                   /* DELTA_BINARY_PACKED for integers and times, DELTA_BYTE_ARRAY for text, BYTE_STREAM_SPLIT for floats,
                                     where no dictionary is used */
    const char *created_by;       /* NULL: "afluxo version ..." */
    const char *const *kv_keys;
    const char *const *kv_values;
    size_t kv_count;
};

/* Bytes go to `emit` in order, so a file, memory or a multipart upload can take them. */
typedef enum af_status (*af_parquet_emit)(void *ctx, struct af_slice bytes, struct af_error *err);
struct af_parquet_writer;
/* The schema (flat) is copied. */
AF_MUST_CHECK enum af_status af_parquet_writer_new(const struct af_schema *schema, const struct af_parquet_write_options *options,
                                                   af_parquet_emit emit, void *ctx, struct af_parquet_writer **out,
                                                   struct af_error *err);
AF_MUST_CHECK enum af_status af_parquet_writer_add(struct af_parquet_writer *writer, const struct af_batch *batch,
                                                   struct af_error *err);
AF_MUST_CHECK enum af_status af_parquet_writer_finish(struct af_parquet_writer *writer, struct af_error *err); /* writes the footer */
void af_parquet_writer_free(struct af_parquet_writer *writer);
#endif
