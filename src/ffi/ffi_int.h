/*
 * ffi_int.h - what the files of ffi/ share.
 *
 *     message.c        the words of the last failure in a thread, versions
 *     arrow_schema.c   an ArrowSchema becomes columns: names, types, how their buffers are laid out
 *     arrow_import.c   rows of an ArrowArray become a batch: pointers where layouts agree, copies where not
 *     arrow_cells.c    the conversions that copying takes: widths, units, offsets, dictionaries
 *     arrow_export.c   batches become an ArrowArrayStream
 *     mapping.c        which mapping a table gets
 *     convert.c        blocks of lines, handed out piece by piece; rows refused. Where blocks come from:
 *     convert_arrow.c    an ArrowArrayStream, in the caller's thread
 *     convert_file.c     files, read by ingest/ in threads of its own
 *     store.c          a directory or a server: lines in, answers out
 */
#ifndef AF_FFI_FFI_INT_H
#define AF_FFI_FFI_INT_H
#include "data/stream.h"
#include "ffi/afluxo.h"
#include "format/lp/lp.h"
#include "map/map.h"

/* --- the Arrow C data interface, as its specification has it ----------------------------------------------------------------- */

#define ARROW_FLAG_NULLABLE 2
struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};
struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#define ARROW_RELEASE(thing)                                                                                 \
    do {                                                                                                     \
        if ((thing)->release != NULL)                                                                        \
            (thing)->release(thing);                                                                         \
    } while (0)

/* --- failures -------------------------------------------------------------------------------------------------------------- */

/* The words are kept for af_ffi_message; result: what the function returns. */
int ffi_result(enum af_status status, const struct af_error *err);

/* --- columns of an Arrow table --------------------------------------------------------------------------------------------- */

enum { ARROW_DEPTH_MAX = 16 };
enum arrow_layout {
    ARROW_NONE,                  /* no buffers: every row is null */
    ARROW_BITS,
    ARROW_INT, ARROW_UINT,       /* of `width` bytes */
    ARROW_FLOAT,
    ARROW_DECIMAL,
    ARROW_TEXT32, ARROW_TEXT64,  /* offsets and bytes */
    ARROW_VIEW,                  /* 16 bytes a row: the text itself, or where in which buffer */
    ARROW_FIXED,                 /* `width` bytes a row, as bytes */
};
struct arrow_cells {
    enum arrow_layout layout;
    uint8_t width;               /* bytes; of ARROW_FIXED: fixed_width */
    int32_t fixed_width;
    enum af_type type;
    uint8_t scale;
    bool is_local;
    int64_t factor;              /* of times: to ns; 1: none */
    int64_t divisor;             /* of days counted in ms */
};
struct arrow_column {
    size_t path[ARROW_DEPTH_MAX]; /* numbers of children, from the root */
    size_t depth;
    struct arrow_cells cells;     /* of the values: of the dictionary's, if there is one */
    bool has_codes;
    struct arrow_cells codes;
    const char *unsupported;      /* why it cannot be read; NULL: it can */
    /* The dictionary last seen; kept while batches bring the same text, so that its id stays. */
    struct af_dict *dict;
    const struct ArrowArray *dict_of; /* the dictionary array it was made of; within one array no other has its address */
    uint64_t *dict_nulls;         /* entries without a value, a bitmap; NULL: none */
};
struct arrow_table {
    struct af_arena arena;        /* all of it */
    struct af_schema schema;
    struct arrow_column *columns; /* of schema.fields */
};
/* `schema` is borrowed. AF_EINVAL: it is not the schema of a table (a struct), or breaks the interface's rules. Columns of types that
 * cannot be read are there, as AF_TYPE_NULL with `unsupported`. */
AF_MUST_CHECK enum af_status arrow_table_new(const struct ArrowSchema *schema, struct arrow_table **out, struct af_error *err);
void arrow_table_free(struct arrow_table *table); /* NULL is fine */

/* A new array: checked in shape as far as `wanted` columns need it, dictionaries taken up. The array outlives the batches made of it. */
AF_MUST_CHECK enum af_status arrow_array_begin(struct arrow_table *table, const struct ArrowArray *array, const size_t *wanted,
                                               size_t count, struct af_error *err);
/* How many of the rows from `first` on make a batch: at most AF_BATCH_ROWS, and so few that their text stays within limits. */
AF_MUST_CHECK enum af_status arrow_rows(const struct arrow_table *table, const struct ArrowArray *array, const size_t *wanted,
                                        size_t count, size_t first, size_t *out_rows, struct af_error *err);
/* Rows [first, first + rows) of the wanted columns; the columns live in `arena` or point into the array. */
AF_MUST_CHECK enum af_status arrow_import(struct arrow_table *table, const struct ArrowArray *array, const size_t *wanted, size_t count,
                                          size_t first, size_t rows, struct af_arena *arena, struct af_column *out, struct af_error *err);

/* A place in a child array: `array` itself and the number of its first row in its buffers. */
struct arrow_at {
    const struct ArrowArray *array;
    size_t row;
};
static inline const void *arrow_buffer(const struct ArrowArray *array, int64_t i)
{
    return i < array->n_buffers ? array->buffers[i] : NULL;
}
static inline bool arrow_is_aligned(const void *ptr, size_t align)
{
    return (uintptr_t)ptr % align == 0;
}
/* arrow_cells.c: values of `rows` rows, validity apart. `col` has its type; rows that cannot be held are marked in col->invalid. */
AF_MUST_CHECK enum af_status arrow_values(const struct arrow_cells *cells, struct arrow_at at, size_t rows, struct af_arena *arena,
                                          struct af_column *col, struct af_error *err);
/* Bits [from, from + rows) of a bitmap as one of our own: the same memory where it can be, with bits past the end 0. NULL: no memory. */
const uint64_t *arrow_bits(const void *bitmap, size_t from, size_t rows, struct af_arena *arena);
/* Codes of a dictionary as uint32; those of rows without a value are 0. AF_EINVAL: one is past the dictionary. */
AF_MUST_CHECK enum af_status arrow_codes(const struct arrow_cells *cells, struct arrow_at at, size_t rows, size_t entries,
                                         const uint64_t *validity, struct af_arena *arena, const uint32_t **out, struct af_error *err);
/* Bytes of text in these rows; SIZE_MAX: that cannot be. */
size_t arrow_text_span(const struct arrow_cells *cells, struct arrow_at at, size_t rows);

/* --- mappings -------------------------------------------------------------------------------------------------------------- */

/* As options say. `sample` may be NULL. */
AF_MUST_CHECK enum af_status ffi_map(const struct afluxo_mapping_options *options, const struct af_schema *schema,
                                     const struct af_batch *sample, struct af_map **out, struct af_error *err);
bool ffi_map_is_given(const struct afluxo_mapping_options *options);
/* A dataset or YAML of the options, with the overrides. */
AF_MUST_CHECK enum af_status ffi_map_given(const struct afluxo_mapping_options *options, struct af_map **out, struct af_error *err);

/* --- converters ------------------------------------------------------------------------------------------------------------ */

/* Rows that became no point, copied: they outlive the batch. */
struct ffi_rejects {
    struct af_arena arena;
    struct afluxo_reject *items;
    size_t count, cap, next;      /* `next` is the one to be told */
};
void ffi_rejects_clear(struct ffi_rejects *rejects);
/* Past AF_FFI_REJECTS_MAX, or without memory for it, one is only counted. */
void ffi_rejects_add(struct ffi_rejects *rejects, const struct af_map_reject *reject, uint64_t row);
void ffi_rejects_move(struct ffi_rejects *from, struct ffi_rejects *to); /* appended to `to`; `from` is empty then */

struct ffi_block {
    struct af_lp_text text;
    struct ffi_rejects rejects;
    struct afluxo_counts counts;
};
void ffi_block_init(struct ffi_block *block);
void ffi_block_done(struct ffi_block *block);

struct afluxo_converter {
    /* More lines, rejects and counts into `block`, whose text is empty; *out_end: there are no more. */
    enum af_status (*fill)(struct afluxo_converter *converter, bool *out_end, struct af_error *err);
    void (*close)(struct afluxo_converter *converter); /* frees it, but for `block` */
    enum af_precision precision;
    struct ffi_block block;       /* counts: of all blocks so far */
    size_t line, byte;            /* of block.text: what was given out */
    bool has_ended;
    struct af_error failed;       /* status AF_OK: it has not */
};
AF_MUST_CHECK enum af_status ffi_precision(const char *name, enum af_precision *out, struct af_error *err);
AF_MUST_CHECK enum af_status ffi_convert_stream(struct ArrowArrayStream *stream, const struct afluxo_mapping_options *mapping,
                                                enum af_precision precision, struct afluxo_converter **out, struct af_error *err);
AF_MUST_CHECK enum af_status ffi_convert_file(const char *source, const struct afluxo_mapping_options *mapping,
                                              enum af_precision precision, struct afluxo_converter **out, struct af_error *err);

/* --- sources --------------------------------------------------------------------------------------------------------------- */

struct af_source_list;
/* Files, directories, patterns, s3://; `is_exact`: the file or object of just that name. What S3 needs is opened at need. */
struct ffi_sources;
AF_MUST_CHECK enum af_status ffi_sources_open(const char *source, bool is_exact, struct ffi_sources **out, struct af_error *err);
struct af_source_list *ffi_sources_list(struct ffi_sources *sources);
void ffi_sources_close(struct ffi_sources *sources); /* NULL is fine */

/* arrow_export.c */
AF_MUST_CHECK enum af_status ffi_export(struct ffi_sources *sources, const char *const *columns, size_t column_count,
                                        struct ArrowArrayStream *out, struct af_error *err); /* takes `sources`, also when it fails */
#endif
