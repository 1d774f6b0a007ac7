/*
 * scan_int.h - a scan's two halves: scan.c finds the values (series by series, shard by shard), scan_rows.c makes rows of them.
 */
#ifndef AF_TSM_SCAN_INT_H
#define AF_TSM_SCAN_INT_H
#include "tsm/tsm_int.h"

struct scan_column {
    struct af_slice name;
    enum af_type type;
};

/* The values of one column in the series and shard at hand: stretches in ascending time. */
struct scan_lane {
    struct af_merge *merge;      /* NULL: one piece, which is read as it is */
    const struct af_piece *piece;
    size_t next_block;
    struct af_arena *block;      /* the decoded block of that piece */
    size_t column;
    struct af_tsm_values values; /* already of the column's type */
    size_t at;                   /* rows before it are in the batch */
    struct af_arena cast;        /* values that had another type */
};

/* --- scan_rows.c ---------------------------------------------------------------------------------------------------------------- */

/* A batch in the making. Fixed-width columns grow in the caller's arena, texts in buffers of the scan's own. */
struct scan_rows {
    const struct af_schema *schema;  /* series, time, columns */
    struct scan_text {
        struct af_buf bytes;
        int32_t *offsets;
    } *texts;                        /* by column */
    size_t column_count;
    size_t rows_max;
    uint32_t *keys;                  /* ids of the series in the batch, by code */
    size_t text_bytes, key_bytes;

    struct af_arena *arena;          /* of this batch */
    struct af_column *columns;
    uint32_t *codes;
    int64_t *time_ns;
    size_t count;
    uint32_t key_count;
};
AF_MUST_CHECK enum af_status scan_rows_init(struct scan_rows *rows, const struct af_schema *schema, struct af_error *err);
void scan_rows_done(struct scan_rows *rows);
AF_MUST_CHECK enum af_status scan_rows_begin(struct scan_rows *rows, struct af_arena *arena, struct af_error *err);
/* The rows that follow belong to this series; said before each take. */
void scan_rows_series(struct scan_rows *rows, uint32_t id, struct af_slice key);
bool scan_rows_is_full(const struct scan_rows *rows);
/* One run of rows from the lanes, all of which have rows: those with the lowest time, while the same lanes have the same times. */
AF_MUST_CHECK enum af_status scan_rows_take(struct scan_rows *rows, struct scan_lane *lanes, size_t lane_count, struct af_error *err);
/* The batch; *out NULL when there is no row. */
AF_MUST_CHECK enum af_status scan_rows_finish(struct scan_rows *rows, struct af_index *index, struct af_batch **out, struct af_error *err);
void scan_copy_bits(uint64_t *dst, size_t dst_at, const uint64_t *src, size_t src_at, size_t count);

/* --- scan.c: what listings share ------------------------------------------------------------------------------------------------ */

/* Fields of a measurement (escaped name) over the view's shards, sorted by name, each with the type that its column has. */
AF_MUST_CHECK enum af_status scan_fields(const struct af_view *view, struct af_slice measurement, struct af_arena *arena,
                                         struct scan_column **out, size_t *out_count, struct af_error *err);
/* The number of a measurement by the name that a human writes; AF_INDEX_NONE: there is none. *out_name: as keys write it, in `arena`. */
AF_MUST_CHECK enum af_status scan_measurement(const struct af_view *view, const char *name, struct af_arena *arena,
                                              struct af_slice *out_name, uint32_t *out_number, struct af_error *err);
#endif
