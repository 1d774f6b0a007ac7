/*
 * handmade.h - Parquet files made byte by byte, for tests of what our own writer would never write. Tests only.
 *
 *     struct make m;
 *     make_begin(&m);
 *     make_group(&m, "a", AF_PQ_OPTIONAL, 1, LIST);  make_leaf(&m, "x", AF_PQ_INT32, AF_PQ_REPEATED, NONE);   the schema in preorder
 *     make_chunk(&m, 3);                    a column chunk of 3 values begins ...
 *     make_page(&m, &(struct make_page){ .slots = 3, .bytes = ..., .len = ... });
 *     struct af_reader reader = make_finish(&m, 3);
 */
#ifndef AF_FORMAT_PARQUET_HANDMADE_H
#define AF_FORMAT_PARQUET_HANDMADE_H
#include "base/limits.h"
#include "format/parquet/parquet_int.h"
#include "test/lib/test.h"

enum { MAKE_ELEMENTS = 24, MAKE_CHUNKS = 12 };
enum { MAKE_NONE = -1, MAKE_UTF8 = 0, MAKE_MAP = 1, MAKE_LIST = 3, MAKE_DECIMAL = 5, MAKE_DATE = 6, MAKE_TIME_MILLIS = 7,
       MAKE_STAMP_MILLIS = 9, MAKE_STAMP_MICROS = 10, MAKE_UINT_32 = 13, MAKE_INTERVAL = 21 };

struct make_element {
    const char *name;
    int type; /* -1: a group */
    int repetition;
    int children;
    int converted;
    int length, scale, precision;
    int logical; /* field of the union LogicalType with an empty struct; 0: none */
};
struct make_chunk {
    int64_t start, values, end;
    int64_t dict_offset; /* -1: not said */
    int codec;
    uint32_t encodings;
};
struct make {
    struct af_buf out;
    struct make_element elements[MAKE_ELEMENTS];
    size_t element_count;
    struct make_chunk chunks[MAKE_CHUNKS];
    size_t chunk_count;
};
struct make_page {
    int type; /* enum af_pq_page_type */
    int slots;
    int encoding;
    int level_encoding; /* v1; 0: RLE */
    int def_bytes, rep_bytes, nulls, rows; /* v2; rows 0: as slots */
    const void *bytes;
    size_t len;
    int raw_len; /* 0: len */
};

static inline void make_varint(struct af_buf *out, uint64_t value)
{
    af_uvarint_append(out, value);
}
static inline void make_field(struct af_buf *out, int *last, int id, int type)
{
    af_buf_append_char(out, (char)((id - *last) << 4 | type));
    *last = id;
}
static inline void make_int(struct af_buf *out, int *last, int id, int64_t value)
{
    make_field(out, last, id, AF_THRIFT_I64);
    make_varint(out, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}
static inline void make_text(struct af_buf *out, int *last, int id, const char *text)
{
    make_field(out, last, id, AF_THRIFT_BINARY);
    make_varint(out, strlen(text));
    af_buf_append_str(out, text);
}
static inline void make_list(struct af_buf *out, int *last, int id, size_t count, int type)
{
    make_field(out, last, id, AF_THRIFT_LIST);
    af_buf_append_char(out, (char)(15 << 4 | type));
    make_varint(out, count);
}
static inline void make_stop(struct af_buf *out)
{
    af_buf_append_char(out, 0);
}

static inline void make_begin(struct make *m)
{
    memset(m, 0, sizeof *m);
    af_buf_init(&m->out, (size_t)64 << 20);
    af_buf_append(&m->out, "PAR1", 4);
}
static inline struct make_element *make_group(struct make *m, const char *name, int repetition, int children, int converted)
{
    m->elements[m->element_count] =
        (struct make_element){ .name = name, .type = -1, .repetition = repetition, .children = children, .converted = converted };
    return &m->elements[m->element_count++];
}
static inline struct make_element *make_leaf(struct make *m, const char *name, int type, int repetition, int converted)
{
    m->elements[m->element_count] = (struct make_element){ .name = name, .type = type, .repetition = repetition, .converted = converted };
    return &m->elements[m->element_count++];
}

static inline struct make_chunk *make_chunk(struct make *m, int64_t values)
{
    m->chunks[m->chunk_count] = (struct make_chunk){ .start = (int64_t)m->out.len, .end = (int64_t)m->out.len, .values = values,
                                                     .dict_offset = -1, .encodings = 1 };
    return &m->chunks[m->chunk_count++];
}

static inline void make_page(struct make *m, const struct make_page *page)
{
    struct af_buf *out = &m->out;
    int last = 0;
    int inner = 0;
    make_int(out, &last, 1, page->type);
    make_int(out, &last, 2, page->raw_len != 0 ? page->raw_len : (int64_t)page->len);
    make_int(out, &last, 3, (int64_t)page->len);
    make_field(out, &last, page->type == AF_PQ_PAGE_DATA ? 5 : page->type == AF_PQ_PAGE_DICTIONARY ? 7 : 8, AF_THRIFT_STRUCT);
    make_int(out, &inner, 1, page->slots);
    if (page->type == AF_PQ_PAGE_DATA_V2) {
        make_int(out, &inner, 2, page->nulls);
        make_int(out, &inner, 3, page->rows != 0 ? page->rows : page->slots);
        make_int(out, &inner, 4, page->encoding);
        make_int(out, &inner, 5, page->def_bytes);
        make_int(out, &inner, 6, page->rep_bytes);
    } else {
        make_int(out, &inner, 2, page->encoding);
        if (page->type == AF_PQ_PAGE_DATA) {
            make_int(out, &inner, 3, page->level_encoding != 0 ? page->level_encoding : AF_PQ_RLE);
            make_int(out, &inner, 4, page->level_encoding != 0 ? page->level_encoding : AF_PQ_RLE);
        }
    }
    make_stop(out);
    make_stop(out);
    af_buf_append(out, page->bytes, page->len);
    m->chunks[m->chunk_count - 1].end = (int64_t)out->len;
    m->chunks[m->chunk_count - 1].encodings |= 1u << page->encoding;
}

static inline void make_schema(struct make *m, int *last)
{
    struct af_buf *out = &m->out;
    int top = 0;
    make_list(out, last, 2, m->element_count + 1, AF_THRIFT_STRUCT);
    /* The root's children are those that no group takes. */
    int at_root = (int)m->element_count;
    for (size_t i = 0; i < m->element_count; i++)
        at_root -= m->elements[i].type < 0 ? m->elements[i].children : 0;
    make_text(out, &top, 4, "root");
    make_int(out, &top, 5, at_root);
    make_stop(out);
    for (size_t i = 0; i < m->element_count; i++) {
        const struct make_element *e = &m->elements[i];
        int field = 0;
        if (e->type >= 0)
            make_int(out, &field, 1, e->type);
        if (e->length != 0)
            make_int(out, &field, 2, e->length);
        make_int(out, &field, 3, e->repetition);
        make_text(out, &field, 4, e->name);
        if (e->type < 0)
            make_int(out, &field, 5, e->children);
        if (e->converted >= 0)
            make_int(out, &field, 6, e->converted);
        if (e->converted == MAKE_DECIMAL) {
            make_int(out, &field, 7, e->scale);
            make_int(out, &field, 8, e->precision);
        }
        if (e->logical != 0) {
            make_field(out, &field, 10, AF_THRIFT_STRUCT);
            af_buf_append_char(out, (char)AF_THRIFT_STRUCT); /* long form of the field header */
            make_varint(out, (uint64_t)e->logical << 1);
            make_stop(out);
            make_stop(out);
        }
        make_stop(out);
    }
}

static inline void make_chunk_meta(struct make *m, const struct make_chunk *chunk, int type)
{
    struct af_buf *out = &m->out;
    int field = 0;
    int meta = 0;
    make_int(out, &field, 2, 0);
    make_field(out, &field, 3, AF_THRIFT_STRUCT);
    make_int(out, &meta, 1, type);
    make_list(out, &meta, 2, (size_t)__builtin_popcount(chunk->encodings), AF_THRIFT_I32);
    for (unsigned id = 0; id < 32; id++)
        if ((chunk->encodings >> id & 1) != 0)
            make_varint(out, (uint64_t)id << 1);
    make_list(out, &meta, 3, 0, AF_THRIFT_BINARY);
    make_int(out, &meta, 4, chunk->codec);
    make_int(out, &meta, 5, chunk->values);
    make_int(out, &meta, 6, chunk->end - chunk->start);
    make_int(out, &meta, 7, chunk->end - chunk->start);
    make_int(out, &meta, 9, chunk->start);
    if (chunk->dict_offset >= 0)
        make_int(out, &meta, 11, chunk->dict_offset);
    make_stop(out);
    make_stop(out);
}

/* The footer: one row group. The reader borrows the maker's bytes; free them with af_buf_done(&m.out). */
static inline struct af_reader make_finish(struct make *m, int64_t rows)
{
    struct af_buf *out = &m->out;
    const size_t footer = out->len;
    struct af_reader reader;
    int last = 0;
    int group = 0;
    make_int(out, &last, 1, 1);
    make_schema(m, &last);
    make_int(out, &last, 3, rows);
    make_list(out, &last, 4, 1, AF_THRIFT_STRUCT);
    make_list(out, &group, 1, m->chunk_count, AF_THRIFT_STRUCT);
    size_t leaf = 0;
    for (size_t i = 0; i < m->chunk_count; i++, leaf++) {
        while (leaf < m->element_count && m->elements[leaf].type < 0)
            leaf++;
        make_chunk_meta(m, &m->chunks[i], leaf < m->element_count ? m->elements[leaf].type : 0);
    }
    make_int(out, &group, 2, 0);
    make_int(out, &group, 3, rows);
    make_stop(out);
    make_stop(out);
    const uint32_t len = (uint32_t)(out->len - footer);
    af_buf_append(out, &len, 4);
    af_buf_append(out, "PAR1", 4);
    AF_CHECK(!out->failed);
    af_reader_from_memory(&reader, "handmade", out->ptr, out->len);
    return reader;
}

/* All rows as JSON, a line each, into `text`; stops at the first failure and gives it. */
static inline enum af_status read_json(struct af_reader *reader, const struct af_parquet_scan *scan, struct af_buf *text,
                                       struct af_error *err)
{
    static const struct af_parquet_scan all;
    struct af_parquet *file = NULL;
    struct af_stream *stream = NULL;
    struct af_arena arena;
    AF_TRY(af_parquet_open(reader, &file, err));
    enum af_status status = af_parquet_scan(file, scan != NULL ? scan : &all, &stream, err);
    af_arena_init(&arena, (size_t)1 << 30);
    while (status == AF_OK) {
        struct af_batch *batch = NULL;
        status = af_stream_next(stream, &arena, &batch, err);
        if (status != AF_OK || batch == NULL)
            break;
        for (size_t i = 0; i < batch->row_count; i++) {
            af_batch_print_row_json(text, batch, i);
            af_buf_append_char(text, '\n');
        }
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    if (stream != NULL)
        af_stream_close(stream);
    af_parquet_close(file);
    return status;
}

/* The handmade file holds these rows. */
static inline void check_rows(struct make *m, int64_t rows, const char *want)
{
    struct af_error err = { 0 };
    struct af_buf text;
    struct af_reader reader = make_finish(m, rows);
    af_buf_init(&text, (size_t)64 << 20);
    AF_CHECK_OK(read_json(&reader, NULL, &text, &err), err);
    AF_CHECK_STR(af_buf_cstr(&text), want);
    af_buf_done(&text);
    af_buf_done(&m->out);
}

/* The handmade file is refused with this status and a message that has these words. */
static inline void check_refused(struct make *m, int64_t rows, enum af_status status, const char *words)
{
    struct af_error err = { 0 };
    struct af_buf text;
    struct af_reader reader = make_finish(m, rows);
    af_buf_init(&text, (size_t)64 << 20);
    AF_CHECK_FAILS(read_json(&reader, NULL, &text, &err), status);
    if (strstr(err.message, words) == NULL)
        af_test_failed(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.message, words);
    af_buf_done(&text);
    af_buf_done(&m->out);
}
#endif
