/*
 * scan_int.h - a scan's parts: scan_source.c settles what is read; scan.c finds the values (series by series, shard by shard), scan_rows.c
 * makes rows of them; a folded scan has files of its own (fold_int.h).
 */
#ifndef AF_TSM_SCAN_INT_H
#define AF_TSM_SCAN_INT_H
#include "tsm/tsm_int.h"

struct scan_column {
    struct af_slice name;
    enum af_type type;
};

/* --- scan_source.c -------------------------------------------------------------------------------------------------------- */

/* What a cache had of a shard's series when the scan was opened. */
struct scan_capture {
    uint32_t *ids;                /* ascending; only those with rows */
    struct af_cache_handle *handles;
    size_t count;
};
const struct af_cache_handle *scan_capture_find(const struct scan_capture *capture, uint32_t id); /* NULL: nothing */
struct scan_shard {
    struct af_tsm_part **parts;   /* those in the range, oldest first */
    size_t part_count;
    struct scan_capture *captures; /* one for each cache of the view, oldest first */
};
struct scan_source {
    struct af_view *view;         /* borrowed */
    struct af_index *index;
    struct af_arena *arena;       /* of the scan */
    int64_t start_ns, stop_ns;
    const bool *cancel;
    struct af_slice name;         /* of the measurement, as keys write it */
    uint32_t measurement;         /* AF_INDEX_NONE: there is nothing to read, all below is empty */
    struct scan_column *columns;
    size_t column_count;
    struct scan_shard *shards;    /* as in the view */
    uint32_t *ids;
    size_t id_count;
};
/* Series, parts and caches. */
AF_MUST_CHECK enum af_status scan_source_open(struct scan_source *source, struct af_view *view, const struct af_scan *asked,
                                              struct af_arena *arena, struct af_error *err);
/* The columns that `fields` name (NULL: all), sorted by name; after the opening. */
AF_MUST_CHECK enum af_status scan_source_columns(struct scan_source *source, const char *const *fields, size_t field_count,
                                                 struct af_error *err);
bool scan_touches(const struct scan_source *source, int64_t min_ns, int64_t max_ns); /* times of the scan? */
bool scan_is_cancelled(const struct scan_source *source);
bool scan_goes_back(const struct scan_source *source, uint32_t before, uint32_t id); /* the series is not behind the one before */

bool scan_can_cast(enum af_type from, enum af_type to);
/* Values under a column of another type: in `arena`, or as they are. */
AF_MUST_CHECK enum af_status scan_cast(struct af_column *column, size_t count, enum af_type type, struct af_arena *arena,
                                       struct af_error *err);

/* A place in a part's index, one thread's own. */
struct scan_part {
    struct af_tsm_part *part;
    struct af_tsm_cursor *cursor; /* NULL until it is needed */
    struct af_tsm_entry entry;    /* where the cursor stands; key.ptr NULL: at the end */
};
struct scan_part *scan_parts_new(const struct scan_shard *shard, struct af_arena *arena); /* NULL without memory */
/* Forward to the first entry that is not less than `key`. */
AF_MUST_CHECK enum af_status scan_part_seek(struct scan_part *part, struct af_slice key, struct af_error *err);
void scan_part_rewind(struct scan_part *part); /* to the beginning; also the end of its use */

/* --- scan.c --------------------------------------------------------------------------------------------------------------- */

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

/* --- scan_rows.c ---------------------------------------------------------------------------------------------------------- */

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
/* A batch outlives the stream that made it: it has a schema of its own. NULL without memory. */
struct af_schema *scan_copy_schema(const struct af_schema *from, struct af_arena *arena);
void scan_copy_bits(uint64_t *dst, size_t dst_at, const uint64_t *src, size_t src_at, size_t count);

/* --- scan_source.c: what listings share ----------------------------------------------------------------------------------- */

/* Fields of a measurement (escaped name) over the view's shards, sorted by name, each with the type that its column has. */
AF_MUST_CHECK enum af_status scan_fields(const struct af_view *view, struct af_slice measurement, struct af_arena *arena,
                                         struct scan_column **out, size_t *out_count, struct af_error *err);
/* The number of a measurement by the name that a human writes; AF_INDEX_NONE: there is none. *out_name: as keys write it, in `arena`. */
AF_MUST_CHECK enum af_status scan_measurement(const struct af_view *view, const char *name, struct af_arena *arena,
                                              struct af_slice *out_name, uint32_t *out_number, struct af_error *err);
#endif
