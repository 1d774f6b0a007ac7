/*
 * write_int.h - what the files of the Parquet writer share.
 *
 *     batch --stage--> the open page of each column --seal--> pages of the open row group --flush--> emit
 *
 *     write.c         the public calls; when a page is sealed and a row group flushed
 *     write_stage.c   rows of a batch into staged values: nulls taken out, units as on disk
 *     write_dict.c    a chunk's dictionary: value -> code
 *     write_page.c    staged values into an encoded, compressed page
 *     write_bounds.c  least and greatest value of pages and chunks
 *     write_meta.c    thrift: page headers, indexes, footer; write_thrift.c the compact protocol under it
 *
 * All columns share page and row group borders. Memory: the staged rows of one page, the encoded pages of one row group, and some
 * hundred bytes for every chunk written (and, with a page index, every page).
 */
#ifndef AF_FORMAT_PARQUET_WRITE_INT_H
#define AF_FORMAT_PARQUET_WRITE_INT_H
#include "base/arena.h"
#include "base/intern.h"
#include "codec/compress.h"
#include "format/parquet/parquet.h"

/* Numbers of the format. */
enum af_pw_physical {
    AF_PW_BOOLEAN = 0,
    AF_PW_INT32 = 1,
    AF_PW_INT64 = 2,
    AF_PW_INT96 = 3,
    AF_PW_DOUBLE = 5,
    AF_PW_BYTE_ARRAY = 6,
    AF_PW_FIXED = 7, /* 16 bytes: decimals */
};
enum af_pw_encoding {
    AF_PW_PLAIN = 0,
    AF_PW_PLAIN_DICTIONARY = 2,
    AF_PW_RLE = 3,
    AF_PW_DELTA_BINARY = 5,
    AF_PW_DELTA_BYTES = 7,
    AF_PW_RLE_DICTIONARY = 8,
    AF_PW_STREAM_SPLIT = 9,
    AF_PW_ENCODINGS = 10,
};
enum {
    AF_PW_BOUND_BYTES = 64,          /* of text kept as a bound; longer is cut */
    AF_PW_DICT_BYTES_MAX = 1 << 20,  /* past this a chunk goes on without its dictionary */
    AF_PW_SLICE_TEXT_MAX = 64 << 20, /* text staged in one step */
    AF_PW_PAGE_TEXT_MAX = 8 << 20,   /* staged text that seals a page before its rows are full */
    AF_PW_GROUP_BYTES_MAX = 1 << 28, /* encoded bytes that flush a row group before its rows are full */
    AF_PW_DECIMAL_BYTES = 16,
    AF_PW_DECIMAL_PRECISION = 38,
};

/* Bytes as in Statistics: little-endian numbers, big-endian decimals, text perhaps cut. */
struct af_pw_bounds {
    bool has;
    bool is_min_exact;
    bool is_max_exact;
    uint8_t min_len;
    uint8_t max_len;
    char min[AF_PW_BOUND_BYTES];
    char max[AF_PW_BOUND_BYTES];
};

enum af_pw_dict_state {
    AF_PW_DICT_NONE,   /* the chunk has none */
    AF_PW_DICT_OPEN,   /* values get codes */
    AF_PW_DICT_CLOSED, /* earlier pages use it, later ones do not */
};

/* The distinct values of a chunk: words in keys, text and decimals in set. */
struct af_pw_dict {
    enum af_pw_dict_state state;
    uint32_t count;       /* words */
    uint32_t cap;
    uint32_t slot_mask;
    uint64_t *keys;
    uint32_t *slots;      /* code + 1; 0 is free */
    struct af_intern set;
    /* Codes of the batch's dictionary -> ours; UINT32_MAX: not met yet. */
    uint64_t remap_id;    /* 0: no dictionary seen */
    uint32_t *remap;
    uint32_t remap_count;
    uint32_t entry_bytes_max; /* longest text in that dictionary */
};

struct af_pw_page {
    uint64_t at;        /* of its header, in the column's pages */
    uint32_t len;       /* header included */
    uint64_t first_row; /* in the row group */
    uint64_t nulls;
    bool is_null;       /* no value at all */
    struct af_pw_bounds bounds;
};

struct af_pw_column {
    struct af_field field;
    enum af_pw_physical physical;
    /* the open page: rows, of which `count` have a value; arrays have room for rows_cap */
    size_t rows;
    size_t rows_cap;
    size_t count;
    uint32_t *levels;  /* 0 null, 1 value; only while there are nulls in the page */
    int64_t *words;    /* numbers and times as on disk, bits of doubles, booleans, lengths of text */
    __int128 *wides;   /* DECIMAL only */
    uint32_t *codes;   /* text while the dictionary is open: staged; others: made when the page is sealed */
    struct af_buf text; /* text without dictionary */
    /* the open row group */
    struct af_pw_dict dict;
    struct af_buf pages;
    struct af_buf page_list; /* struct af_pw_page, with a page index only */
    struct af_pw_bounds bounds;
    bool is_bounded;         /* every page with values had bounds */
    uint64_t nulls;
    uint64_t values;         /* rows in sealed pages */
    uint64_t raw_bytes;      /* of pages before compression, headers included */
    uint32_t pages_of[AF_PW_ENCODINGS]; /* data pages by encoding */
};

/* A chunk that is in the file. Offsets from the start of the file; index positions from the start of the index buffers. */
struct af_pw_chunk {
    uint64_t values, nulls;
    uint64_t raw_bytes, packed_bytes;
    uint64_t dict_at; /* 0: none */
    uint64_t data_at;
    uint64_t column_index_at, offset_index_at;
    uint32_t column_index_len, offset_index_len; /* 0: none */
    uint32_t pages_of[AF_PW_ENCODINGS];
    struct af_pw_bounds bounds;
};

struct af_pw_group {
    uint64_t rows;
    uint64_t at;
};

struct af_parquet_writer {
    struct af_parquet_write_options options; /* strings in arena */
    struct af_arena arena;
    af_parquet_emit emit;
    void *emit_ctx;
    uint64_t at; /* bytes emitted */
    size_t column_count;
    struct af_pw_column *columns;
    uint64_t page_rows;  /* in the open page */
    uint64_t group_rows; /* in the open row group, staged ones included */
    uint64_t rows;       /* in all */
    bool is_broken;      /* a failure left columns out of step */
    struct af_buf chunks; /* struct af_pw_chunk, column_count for each row group */
    struct af_buf groups; /* struct af_pw_group */
    struct af_buf column_indexes;
    struct af_buf offset_indexes;
    struct af_codec_ctx codec;
    struct af_buf levels, values, packed, header, scratch; /* of the page being sealed */
};

/* write_stage.c */
AF_MUST_CHECK enum af_status af_pw_check_batch(const struct af_parquet_writer *w, const struct af_batch *batch,
                                               struct af_error *err);
/* How many of the rows from `from`, at most n, may be staged in one step; >= 1. */
size_t af_pw_stage_fit(const struct af_pw_column *c, const struct af_column *col, size_t from, size_t n);
AF_MUST_CHECK enum af_status af_pw_stage(struct af_pw_column *c, enum af_parquet_time_form form, const struct af_column *col,
                                         size_t from, size_t n, size_t rows_max, struct af_error *err);

/* write_dict.c */
void af_pw_dict_reset(struct af_pw_dict *dict, bool open);
void af_pw_dict_done(struct af_pw_dict *dict);
uint32_t af_pw_dict_count(const struct af_pw_dict *dict);
size_t af_pw_dict_bytes(const struct af_pw_column *c); /* as a PLAIN page */
/* False: too many distinct values, or no memory for them; codes are then without meaning. */
bool af_pw_dict_words(struct af_pw_dict *dict, const int64_t *words, size_t count, uint32_t *codes);
AF_MUST_CHECK enum af_status af_pw_dict_wides(struct af_pw_dict *dict, const __int128 *wides, size_t count, uint32_t *codes,
                                              struct af_error *err);
AF_MUST_CHECK enum af_status af_pw_dict_remap(struct af_pw_dict *dict, const struct af_dict *from, struct af_error *err);

/* write_page.c */
AF_MUST_CHECK enum af_status af_pw_seal(struct af_parquet_writer *w, struct af_pw_column *c, struct af_error *err);
/* The dictionary page with its header, into w->packed behind w->header. */
AF_MUST_CHECK enum af_status af_pw_dict_page(struct af_parquet_writer *w, struct af_pw_column *c, uint64_t *out_raw,
                                             struct af_error *err);
void af_pw_decimal_bytes(__int128 value, char dst[AF_PW_DECIMAL_BYTES]);

/* write_bounds.c */
/* Of the staged values; by the codes if has_codes. `seen` is scratch. */
void af_pw_bounds_of(const struct af_pw_column *c, bool has_codes, struct af_buf *seen, struct af_pw_bounds *out);
void af_pw_bounds_merge(const struct af_pw_column *c, struct af_pw_bounds *into, const struct af_pw_bounds *more);
/* Order of the pages' bounds: 0 none, 1 ascending, 2 descending. */
int af_pw_bounds_order(const struct af_pw_column *c, const struct af_pw_page *pages, size_t count);

/* write_thrift.c - the compact protocol. Fields of a struct in ascending order of id. */
struct af_tw {
    struct af_buf *out;
    unsigned depth;
    int last[8]; /* field id, by depth */
};
enum { AF_TW_BINARY = 8, AF_TW_LIST = 9, AF_TW_STRUCT = 12, AF_TW_I32 = 5, AF_TW_BOOL = 2 };
void af_tw_begin(struct af_tw *tw, struct af_buf *out); /* of the outermost struct */
void af_tw_end(struct af_tw *tw);                       /* of any struct */
void af_tw_i32(struct af_tw *tw, int id, int32_t value);
void af_tw_i64(struct af_tw *tw, int id, int64_t value);
void af_tw_i16(struct af_tw *tw, int id, int16_t value);
void af_tw_i8(struct af_tw *tw, int id, int8_t value);
void af_tw_bool(struct af_tw *tw, int id, bool value);
void af_tw_binary(struct af_tw *tw, int id, struct af_slice value);
void af_tw_struct(struct af_tw *tw, int id);
void af_tw_list(struct af_tw *tw, int id, unsigned element, size_t count);
void af_tw_element(struct af_tw *tw); /* a struct in a list */
void af_tw_element_int(struct af_tw *tw, int64_t value);
void af_tw_element_bool(struct af_tw *tw, bool value);
void af_tw_element_binary(struct af_tw *tw, struct af_slice value);

/* write_meta.c */
struct af_pw_page_facts {
    uint64_t raw_len, packed_len; /* levels included */
    uint32_t crc;
    uint64_t rows, nulls;
    uint64_t levels_len;
    bool is_compressed;
    enum af_pw_encoding encoding;
    const struct af_pw_bounds *bounds; /* NULL: not in the header */
};
void af_pw_data_header(const struct af_parquet_writer *w, const struct af_pw_column *c, const struct af_pw_page_facts *facts,
                       struct af_buf *out);
void af_pw_dict_header(const struct af_parquet_writer *w, const struct af_pw_page_facts *facts, struct af_buf *out);
/* Append a chunk's indexes to w->column_indexes and w->offset_indexes and note where. */
void af_pw_indexes(struct af_parquet_writer *w, const struct af_pw_column *c, struct af_pw_chunk *chunk);
/* FileMetaData. The indexes begin at the given offsets of the file. */
void af_pw_footer(const struct af_parquet_writer *w, uint64_t column_indexes_at, uint64_t offset_indexes_at,
                  struct af_buf *out);
#endif
