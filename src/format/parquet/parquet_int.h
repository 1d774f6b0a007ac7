/*
 * parquet_int.h - what the reading half of parquet.h shares inside its folder.
 *
 *     thrift.c   compact protocol             page.c     page headers, CRC, decompression; levels of a page
 *     schema.c   tree, levels, columns        values.c   encodings -> vectors (convert.c: single values)
 *     meta.c     footer -> structs            nested.c   repeated columns -> JSON
 *     prune.c    statistics, page index       scan.c     the stream
 *     ahead.c    what is read next, announced
 *
 * An af_parquet and everything in it is read-only after opening, so streams in several threads share it. All reading state is in
 * the stream: one af_pq_reader a leaf.
 */
#ifndef AF_FORMAT_PARQUET_INT_H
#define AF_FORMAT_PARQUET_INT_H
#include "codec/bits.h"
#include "codec/compress.h"
#include "format/parquet/parquet.h"
#include "format/parquet/thrift.h"

enum af_pq_physical { AF_PQ_BOOLEAN, AF_PQ_INT32, AF_PQ_INT64, AF_PQ_INT96, AF_PQ_FLOAT, AF_PQ_DOUBLE, AF_PQ_BYTE_ARRAY, AF_PQ_FIXED };
enum af_pq_repetition { AF_PQ_REQUIRED, AF_PQ_OPTIONAL, AF_PQ_REPEATED };
enum af_pq_encoding {
    AF_PQ_PLAIN = 0,
    AF_PQ_PLAIN_DICTIONARY = 2,
    AF_PQ_RLE = 3,
    AF_PQ_BIT_PACKED = 4,
    AF_PQ_DELTA_BINARY_PACKED = 5,
    AF_PQ_DELTA_LENGTH_BYTE_ARRAY = 6,
    AF_PQ_DELTA_BYTE_ARRAY = 7,
    AF_PQ_RLE_DICTIONARY = 8,
    AF_PQ_BYTE_STREAM_SPLIT = 9,
};
enum af_pq_page_type { AF_PQ_PAGE_DATA, AF_PQ_PAGE_INDEX, AF_PQ_PAGE_DICTIONARY, AF_PQ_PAGE_DATA_V2 };

/* What a logical or converted type means, after the two have been brought together. */
enum af_pq_logical {
    AF_PQ_LOGICAL_NONE,
    AF_PQ_LOGICAL_STRING,
    AF_PQ_LOGICAL_MAP,
    AF_PQ_LOGICAL_LIST,
    AF_PQ_LOGICAL_ENUM,
    AF_PQ_LOGICAL_DECIMAL,
    AF_PQ_LOGICAL_DATE,
    AF_PQ_LOGICAL_TIME,
    AF_PQ_LOGICAL_TIMESTAMP,
    AF_PQ_LOGICAL_INTEGER,
    AF_PQ_LOGICAL_NULL,
    AF_PQ_LOGICAL_JSON,
    AF_PQ_LOGICAL_BSON,
    AF_PQ_LOGICAL_UUID,
    AF_PQ_LOGICAL_FLOAT16,
    AF_PQ_LOGICAL_INTERVAL,
    AF_PQ_LOGICAL_VARIANT,
    AF_PQ_LOGICAL_GEOMETRY,
    AF_PQ_LOGICAL_GEOGRAPHY,
};

/* From bytes to a value of a column: chosen once a leaf. The order groups them by what a value becomes. */
enum af_pq_form {
    AF_PQ_FORM_NULL,
    AF_PQ_FORM_BOOL,
    AF_PQ_FORM_I32,      /* INT32, sign-extended */
    AF_PQ_FORM_U32,
    AF_PQ_FORM_I32_MS,   /* x 1e6 */
    AF_PQ_FORM_I64,      /* also unsigned and nanoseconds: the bits as they are */
    AF_PQ_FORM_I64_MS,
    AF_PQ_FORM_I64_US,
    AF_PQ_FORM_INT96,
    AF_PQ_FORM_F32,
    AF_PQ_FORM_F64,
    AF_PQ_FORM_F16,
    AF_PQ_FORM_DECIMAL,  /* of any physical type */
    AF_PQ_FORM_TEXT,
    AF_PQ_FORM_UUID,
};

/* One element of the schema. Elements are in preorder: the subtree of i is [i, end). */
struct af_pq_node {
    struct af_slice name;
    uint32_t parent;
    uint32_t end;
    uint32_t first_leaf;
    uint32_t leaf_count;
    int32_t type_length;
    int32_t scale;
    int32_t precision;
    uint8_t physical;
    uint8_t repetition;
    uint8_t logical;
    uint8_t def;          /* levels of a value that is present here */
    uint8_t rep;
    uint8_t bits;         /* INTEGER */
    bool is_group;
    bool is_signed;       /* INTEGER */
    bool is_local;        /* TIMESTAMP: not adjusted to UTC, or not said */
    uint8_t unit;         /* TIME, TIMESTAMP: decimals, 3, 6 or 9 */
};

/* A column of the file. */
struct af_pq_leaf {
    uint32_t node;
    uint32_t field;       /* of af_parquet_schema */
    const char *path;     /* dotted, for messages */
    enum af_type type;
    uint8_t physical;
    uint8_t form;
    uint8_t scale;
    uint8_t def;
    uint8_t rep;
    bool is_local;
    uint32_t width;       /* bytes of one PLAIN value; 0: BYTE_ARRAY and BOOLEAN */
    const char *encodings; /* in the first row group */
    const char *unsupported;
};

/* A field of the schema that callers see. */
struct af_pq_field {
    uint32_t node;        /* of the leaf, or where repetition begins */
    uint32_t first_leaf;
    uint32_t leaf_count;
    bool is_nested;
    const char *unsupported;
};

struct af_pq_chunk {
    int64_t num_values;
    int64_t raw_bytes;
    int64_t stored_bytes;
    int64_t data_offset;
    int64_t dict_offset;         /* -1: not said */
    int64_t offset_index_offset; /* -1: none */
    int64_t column_index_offset;
    int32_t offset_index_bytes;
    int32_t column_index_bytes;
    struct af_slice min;         /* empty: none that can be used */
    struct af_slice max;
    uint32_t encodings;          /* bit per id; bit 31: one that is not known */
    int32_t codec;
    int8_t physical;
    bool is_encrypted;
    bool is_elsewhere;           /* file_path is set */
};

struct af_pq_row_group {
    uint64_t rows;
    uint64_t first_row;
    struct af_pq_chunk *chunks;  /* leaf_count */
};

struct af_parquet {
    struct af_reader *reader;
    struct af_arena arena;
    uint64_t data_end;           /* where the footer starts: no page reaches past it */
    struct af_slice footer;
    uint32_t node_count;
    struct af_pq_node *nodes;
    uint32_t leaf_count;
    struct af_pq_leaf *leaves;
    struct af_schema schema;
    struct af_pq_field *fields;
    uint32_t row_group_count;
    struct af_pq_row_group *row_groups;
    struct af_parquet_info info;
};

/* --- schema.c ---------------------------------------------------------------------------------------------------------------- */

/* Nodes from the list of SchemaElements (the reader stands at field `list`); a meaning that cannot be is a fault. */
AF_MUST_CHECK enum af_status af_pq_schema_parse(struct af_parquet *file, struct af_thrift *in, const struct af_thrift_field *list,
                                                struct af_error *err);
/* Leaves, fields and the public schema from the nodes. */
AF_MUST_CHECK enum af_status af_pq_schema_build(struct af_parquet *file, struct af_error *err);

/* How a group below a repeated field is printed. */
enum af_pq_shape { AF_PQ_SHAPE_VALUE, AF_PQ_SHAPE_STRUCT, AF_PQ_SHAPE_LIST, AF_PQ_SHAPE_MAP };
/* LIST and MAP: *out_repeated is the node that repeats; LIST: *out_element what each element is (the repeated node itself in the
 * two-level forms); MAP: its key. */
enum af_pq_shape af_pq_node_shape(const struct af_parquet *file, uint32_t node, uint32_t *out_repeated, uint32_t *out_element);

const char *af_pq_physical_name(uint8_t physical);
const char *af_pq_encoding_name(uint32_t encoding); /* NULL: not known */
const char *af_pq_codec_name(int32_t codec);        /* as Parquet calls it; NULL: not known */

/* --- convert.c --------------------------------------------------------------------------------------------------------------- */

/* Times that int64 nanoseconds cannot hold become this, and the vector is marked. */
#define AF_PQ_NO_TIME INT64_MIN
/* Decimals that do not fit. */
#define AF_PQ_NO_DECIMAL ((__int128)((unsigned __int128)1 << 127))

/* All answer true when a value could not be held. */
bool af_pq_convert_int96(const uint8_t *src, size_t count, int64_t *dst);
bool af_pq_convert_scale(int64_t *values, size_t count, int64_t factor);
bool af_pq_convert_decimal(const uint8_t *src, size_t len, __int128 *dst); /* big-endian two's complement */
double af_pq_convert_f16(const uint8_t *src);
void af_pq_convert_uuid(const uint8_t *src, char dst[36]);

/* --- page.c: one column chunk, page by page ------------------------------------------------------------------------------------ */

struct af_pq_levels {
    enum { AF_PQ_LEVELS_NONE, AF_PQ_LEVELS_RLE, AF_PQ_LEVELS_MSB } kind;
    uint8_t max;
    uint8_t width;
    struct af_rle_reader rle;
    const uint8_t *at; /* MSB */
    const uint8_t *end;
    uint32_t pending[8]; /* MSB: values unpacked and not yet given */
    uint8_t pending_count;
};

enum af_pq_source {
    AF_PQ_SOURCE_EMPTY,       /* no value bytes at all */
    AF_PQ_SOURCE_PLAIN,       /* also BYTE_STREAM_SPLIT, put together again */
    AF_PQ_SOURCE_DICT,
    AF_PQ_SOURCE_INTS,        /* DELTA_BINARY_PACKED, decoded */
    AF_PQ_SOURCE_LENGTHS,     /* DELTA_LENGTH_BYTE_ARRAY */
    AF_PQ_SOURCE_PREFIXES,    /* DELTA_BYTE_ARRAY */
    AF_PQ_SOURCE_RLE_BOOL,
};

/* A growing scratch buffer whose old content is not kept. */
struct af_pq_scratch {
    void *ptr;
    size_t cap;
};

/* The dictionary of a chunk, converted once. */
struct af_pq_dict {
    uint32_t count;
    bool is_loaded;
    bool has_misfit;         /* an entry is AF_PQ_NO_TIME or AF_PQ_NO_DECIMAL */
    struct af_dict *text;
    struct af_pq_scratch values; /* int64, double or __int128 */
};

/* The values of the current page, not yet read. */
struct af_pq_values {
    enum af_pq_source source;
    const uint8_t *at;
    const uint8_t *end;
    uint8_t bit;             /* BOOLEAN PLAIN: next bit of *at */
    struct af_rle_reader ids;
    const int64_t *ints;     /* INTS, LENGTHS, PREFIXES: the next one ... */
    const int64_t *suffixes;
    size_t ints_left;
};

struct af_pq_reader {
    /* fixed while the stream lives */
    const struct af_parquet *file;
    const struct af_pq_leaf *leaf;
    struct af_codec_ctx *codec;
    uint64_t *scratch_bytes; /* of all readers of the stream */
    size_t window_bytes;
    bool skip_crc;

    /* the chunk */
    const struct af_pq_chunk *chunk;
    uint64_t at;             /* of the next page */
    uint64_t end;            /* no page starts past it */
    uint64_t slots_left;     /* values and nulls in pages not opened */
    uint32_t page;           /* number of the current one in the chunk, for messages */
    struct af_pq_dict dict;

    /* the page */
    uint64_t page_at;        /* offset of its header */
    uint32_t page_slots;
    uint32_t page_left;      /* slots not taken */
    bool page_is_full;       /* no nulls: its levels need no reading */
    struct af_pq_levels rep;
    struct af_pq_levels def;
    struct af_pq_values values;
    uint64_t nulls_promised; /* v2 header; UINT64_MAX: not said */

    /* memory, kept from page to page */
    uint8_t *window;
    size_t window_cap;
    uint64_t window_at;
    size_t window_len;
    struct af_pq_scratch raw;      /* the page, decompressed */
    struct af_pq_scratch joined;   /* BYTE_STREAM_SPLIT; INTS, LENGTHS, PREFIXES */
    struct af_pq_scratch suffixes;
    struct af_pq_scratch slices;   /* bytes that slices of PREFIXES point to */
    struct af_buf last;            /* PREFIXES: the value before */
};

/* The start of a chunk: nothing is read yet. */
AF_MUST_CHECK enum af_status af_pq_reader_begin(struct af_pq_reader *reader, const struct af_pq_chunk *chunk, struct af_error *err);
void af_pq_reader_done(struct af_pq_reader *reader);
/* Open the next data page that has slots. AF_ECORRUPT when there is none though slots_left > 0; must not be called at 0. */
AF_MUST_CHECK enum af_status af_pq_page_next(struct af_pq_reader *reader, struct af_error *err);
/* Pass over slots, whole pages without decompressing them. */
AF_MUST_CHECK enum af_status af_pq_skip(struct af_pq_reader *reader, uint64_t slots, struct af_error *err);
/* A place to come back to. */
struct af_pq_mark {
    uint64_t at;
    uint64_t slots_left; /* before the page */
    uint32_t page;
    uint32_t taken;      /* slots of the page */
};
struct af_pq_mark af_pq_reader_mark(const struct af_pq_reader *reader);
AF_MUST_CHECK enum af_status af_pq_reader_restore(struct af_pq_reader *reader, const struct af_pq_mark *mark, struct af_error *err);

/* `count` levels; a level above the maximum is AF_ECORRUPT. */
AF_MUST_CHECK enum af_status af_pq_levels_read(struct af_pq_levels *levels, uint32_t *dst, size_t count, struct af_error *err);
/* A stretch of equal levels <= max, or *out_run 0: then read at most *out_packed. */
AF_MUST_CHECK enum af_status af_pq_levels_run(struct af_pq_levels *levels, size_t max, size_t *out_run, uint32_t *out_level,
                                              size_t *out_packed, struct af_error *err);
/* How many of the next `count` are `max`, without moving. */
AF_MUST_CHECK enum af_status af_pq_levels_count(const struct af_pq_levels *levels, size_t count, size_t *out_present,
                                                struct af_error *err);

/* Room for `bytes` (+ 64 readable past them) at scratch->ptr; the old content is lost. All scratch of a stream is bounded together:
 * one page may be large, but not those of a thousand columns at once. */
AF_MUST_CHECK enum af_status af_pq_scratch_get(struct af_pq_reader *reader, struct af_pq_scratch *scratch, size_t bytes,
                                               struct af_error *err);
void af_pq_scratch_done(struct af_pq_scratch *scratch);

/* --- values.c ------------------------------------------------------------------------------------------------------------------ */

/* Where values go: dense, `count` at a time. */
struct af_pq_vec {
    union {
        void *fixed;
        int64_t *i64;
        double *f64;
        __int128 *i128;
    };
    uint64_t *bits;
    uint32_t *codes;      /* text: codes or offsets, not both */
    int32_t *offsets;     /* offsets[0] is set */
    struct af_buf text;
    bool is_coded;
    bool has_misfit;
};

enum { AF_PQ_BLOCK = 1024 }; /* values handled at once where a block on the stack is needed */

static inline bool af_pq_form_is_text(uint8_t form)
{
    return form >= AF_PQ_FORM_TEXT;
}
static inline size_t af_pq_form_bytes(uint8_t form) /* of one value of a vector; 0: text and bits */
{
    return form == AF_PQ_FORM_DECIMAL ? 16 : form >= AF_PQ_FORM_I32 && form < AF_PQ_FORM_TEXT ? 8 : 0;
}

/* Make the value section of a page ready. */
AF_MUST_CHECK enum af_status af_pq_values_open(struct af_pq_reader *reader, uint32_t encoding, const uint8_t *src, size_t len,
                                               struct af_error *err);
AF_MUST_CHECK enum af_status af_pq_dict_load(struct af_pq_reader *reader, const uint8_t *src, size_t len, uint32_t count,
                                             struct af_error *err);
void af_pq_dict_done(struct af_pq_dict *dict);
/* The next `count` values to vec[at ...]. Bytes of text past `text_max` in the vector: AF_ELIMIT. */
AF_MUST_CHECK enum af_status af_pq_values_read(struct af_pq_reader *reader, size_t count, struct af_pq_vec *vec, size_t at,
                                               struct af_error *err);
AF_MUST_CHECK enum af_status af_pq_values_skip(struct af_pq_reader *reader, size_t count, struct af_error *err);
/* The last value of the page is taken: nothing may be left. Else levels, encoding or type are not what the headers say; those have
 * no checksum. */
AF_MUST_CHECK enum af_status af_pq_values_end(const struct af_pq_reader *reader, struct af_error *err);
/* Codes of the first `count` rows to bytes. */
AF_MUST_CHECK enum af_status af_pq_vec_decode(struct af_pq_vec *vec, const struct af_dict *dict, size_t count, struct af_error *err);

/* --- nested.c ------------------------------------------------------------------------------------------------------------------ */

struct af_pq_nested;
/* `readers` are those of the field's leaves. */
AF_MUST_CHECK enum af_status af_pq_nested_new(const struct af_parquet *file, const struct af_pq_field *field,
                                              struct af_pq_reader *readers, struct af_arena *arena, struct af_pq_nested **out,
                                              struct af_error *err);
void af_pq_nested_done(struct af_pq_nested *nested);
void af_pq_nested_begin(struct af_pq_nested *nested); /* of a row group */
/* The next row's JSON appended to `out`; *out_null: the row has no value (nothing was appended). `out` NULL: pass over it. */
AF_MUST_CHECK enum af_status af_pq_nested_row(struct af_pq_nested *nested, struct af_buf *out, bool *out_null, struct af_error *err);
/* All leaves are at their chunk's end? */
AF_MUST_CHECK enum af_status af_pq_nested_end(struct af_pq_nested *nested, struct af_error *err);
void af_pq_nested_mark(const struct af_pq_nested *nested, struct af_pq_mark *marks); /* one a leaf */
AF_MUST_CHECK enum af_status af_pq_nested_restore(struct af_pq_nested *nested, const struct af_pq_mark *marks, struct af_error *err);
const struct af_pq_reader *af_pq_nested_current(const struct af_pq_nested *nested); /* the one last read, for messages */

/* --- column.c: one column of a batch ------------------------------------------------------------------------------------------- */

/* What is asked of a column; `text` is scratch, kept from batch to batch, whose bytes_max bounds the text of the batch. */
struct af_pq_fill {
    size_t rows;
    struct af_arena *arena;
    struct af_buf *text;
};
AF_MUST_CHECK enum af_status af_pq_fill_flat(struct af_pq_reader *reader, const struct af_pq_fill *fill, struct af_column *out,
                                             struct af_error *err);
AF_MUST_CHECK enum af_status af_pq_fill_nested(struct af_pq_nested *nested, const struct af_pq_fill *fill, struct af_column *out,
                                               struct af_error *err);

/* --- prune.c ------------------------------------------------------------------------------------------------------------------- */

struct af_pq_rows {
    uint64_t first; /* in the row group */
    uint64_t stop;
};
/* The rows of a row group that may lie in [start_ns, stop_ns) by the statistics of chunk and pages: ascending, apart from each
 * other. Statistics that are absent, damaged or of a kind that cannot be trusted keep everything. */
AF_MUST_CHECK enum af_status af_pq_prune(const struct af_parquet *file, uint32_t row_group, uint32_t leaf, int64_t start_ns,
                                         int64_t stop_ns, struct af_arena *arena, struct af_pq_rows **out, size_t *out_count,
                                         struct af_error *err);
/* Is all of it outside, by the statistics of the chunk alone? */
bool af_pq_is_pruned(const struct af_parquet *file, uint32_t row_group, uint32_t leaf, int64_t start_ns, int64_t stop_ns);

/* --- ahead.c ------------------------------------------------------------------------------------------------------------------- */

struct af_pq_ahead {
    const uint32_t *leaves; /* that are read, ascending */
    size_t leaf_count;
    uint32_t stop;          /* no row group from here on */
    bool has_prune;
    uint32_t prune_leaf;
    int64_t prune_start_ns, prune_stop_ns;
};
/* Tell the file's reader what is read from `row_group` on. The result: the row group from which on there is more to tell. */
uint32_t af_pq_announce(const struct af_parquet *file, const struct af_pq_ahead *what, uint32_t row_group);
#endif
