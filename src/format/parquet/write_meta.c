/*
 * write_meta.c - what surrounds the values, as thrift structs: page headers, page indexes, schema, footer.
 *
 * Field numbers are those of the format's parquet.thrift; each struct is one function here.
 */
#include "codec/bits.h"
#include "format/parquet/write_int.h"

enum { PAGE_DATA = 0, PAGE_DICT = 2, PAGE_DATA_V2 = 3 };

static void tw_statistics(struct af_tw *tw, int id, const struct af_pw_column *c, const struct af_pw_bounds *bounds, uint64_t nulls)
{
    af_tw_struct(tw, id);
    af_tw_i64(tw, 3, (int64_t)nulls);
    if (bounds->has) {
        af_tw_binary(tw, 5, af_slice_make(bounds->max, bounds->max_len));
        af_tw_binary(tw, 6, af_slice_make(bounds->min, bounds->min_len));
        if (c->physical == AF_PW_BYTE_ARRAY) {
            af_tw_bool(tw, 7, bounds->is_max_exact);
            af_tw_bool(tw, 8, bounds->is_min_exact);
        }
    }
    af_tw_end(tw);
}

/* --- page headers -------------------------------------------------------------------------------------------------------- */

static void tw_page(struct af_tw *tw, const struct af_parquet_writer *w, int type, const struct af_pw_page_facts *facts,
                    struct af_buf *out)
{
    af_tw_begin(tw, out);
    af_tw_i32(tw, 1, type);
    af_tw_i32(tw, 2, (int32_t)facts->raw_len);
    af_tw_i32(tw, 3, (int32_t)facts->packed_len);
    if (w->options.page_crc)
        af_tw_i32(tw, 4, (int32_t)facts->crc);
}

static void tw_data_v1(struct af_tw *tw, const struct af_pw_column *c, const struct af_pw_page_facts *facts)
{
    af_tw_struct(tw, 5);
    af_tw_i32(tw, 1, (int32_t)facts->rows);
    af_tw_i32(tw, 2, (int32_t)facts->encoding);
    af_tw_i32(tw, 3, AF_PW_RLE);
    af_tw_i32(tw, 4, AF_PW_RLE);
    if (facts->bounds != NULL)
        tw_statistics(tw, 5, c, facts->bounds, facts->nulls);
    af_tw_end(tw);
}

static void tw_data_v2(struct af_tw *tw, const struct af_pw_column *c, const struct af_pw_page_facts *facts)
{
    af_tw_struct(tw, 8);
    af_tw_i32(tw, 1, (int32_t)facts->rows);
    af_tw_i32(tw, 2, (int32_t)facts->nulls);
    af_tw_i32(tw, 3, (int32_t)facts->rows);
    af_tw_i32(tw, 4, (int32_t)facts->encoding);
    af_tw_i32(tw, 5, (int32_t)facts->levels_len);
    af_tw_i32(tw, 6, 0);
    af_tw_bool(tw, 7, facts->is_compressed);
    if (facts->bounds != NULL)
        tw_statistics(tw, 8, c, facts->bounds, facts->nulls);
    af_tw_end(tw);
}

void af_pw_data_header(const struct af_parquet_writer *w, const struct af_pw_column *c, const struct af_pw_page_facts *facts,
                       struct af_buf *out)
{
    struct af_tw tw;
    tw_page(&tw, w, w->options.data_page_v2 ? PAGE_DATA_V2 : PAGE_DATA, facts, out);
    if (w->options.data_page_v2)
        tw_data_v2(&tw, c, facts);
    else
        tw_data_v1(&tw, c, facts);
    af_tw_end(&tw);
}

void af_pw_dict_header(const struct af_parquet_writer *w, const struct af_pw_page_facts *facts, struct af_buf *out)
{
    struct af_tw tw;
    tw_page(&tw, w, PAGE_DICT, facts, out);
    af_tw_struct(&tw, 7);
    af_tw_i32(&tw, 1, (int32_t)facts->rows);
    af_tw_i32(&tw, 2, w->options.legacy_dictionary ? AF_PW_PLAIN_DICTIONARY : AF_PW_PLAIN);
    af_tw_end(&tw);
    af_tw_end(&tw);
}

/* --- page indexes -------------------------------------------------------------------------------------------------------- */

static void offset_index(struct af_buf *out, const struct af_pw_page *pages, size_t count, uint64_t base)
{
    struct af_tw tw;
    af_tw_begin(&tw, out);
    af_tw_list(&tw, 1, AF_TW_STRUCT, count);
    for (size_t i = 0; i < count; i++) {
        af_tw_element(&tw);
        af_tw_i64(&tw, 1, (int64_t)(base + pages[i].at));
        af_tw_i32(&tw, 2, (int32_t)pages[i].len);
        af_tw_i64(&tw, 3, (int64_t)pages[i].first_row);
        af_tw_end(&tw);
    }
    af_tw_end(&tw);
}

static void column_index(struct af_buf *out, const struct af_pw_column *c, const struct af_pw_page *pages, size_t count)
{
    struct af_tw tw;
    af_tw_begin(&tw, out);
    af_tw_list(&tw, 1, AF_TW_BOOL, count);
    for (size_t i = 0; i < count; i++)
        af_tw_element_bool(&tw, pages[i].is_null);
    af_tw_list(&tw, 2, AF_TW_BINARY, count);
    for (size_t i = 0; i < count; i++)
        af_tw_element_binary(&tw, af_slice_make(pages[i].bounds.min, pages[i].bounds.min_len));
    af_tw_list(&tw, 3, AF_TW_BINARY, count);
    for (size_t i = 0; i < count; i++)
        af_tw_element_binary(&tw, af_slice_make(pages[i].bounds.max, pages[i].bounds.max_len));
    af_tw_i32(&tw, 4, af_pw_bounds_order(c, pages, count));
    af_tw_list(&tw, 5, 6, count);
    for (size_t i = 0; i < count; i++)
        af_tw_element_int(&tw, (int64_t)pages[i].nulls);
    af_tw_end(&tw);
}

void af_pw_indexes(struct af_parquet_writer *w, const struct af_pw_column *c, struct af_pw_chunk *chunk)
{
    const struct af_pw_page *pages = (const struct af_pw_page *)(const void *)c->page_list.ptr;
    const size_t count = c->page_list.len / sizeof *pages;
    chunk->offset_index_at = w->offset_indexes.len;
    offset_index(&w->offset_indexes, pages, count, chunk->data_at);
    chunk->offset_index_len = (uint32_t)(w->offset_indexes.len - chunk->offset_index_at);
    if (!c->is_bounded) /* INT96, NaN alone, damaged text: an index must have bounds for every page or not be */
        return;
    chunk->column_index_at = w->column_indexes.len;
    column_index(&w->column_indexes, c, pages, count);
    chunk->column_index_len = (uint32_t)(w->column_indexes.len - chunk->column_index_at);
}

/* --- schema -------------------------------------------------------------------------------------------------------------- */

enum {
    CONVERTED_UTF8 = 0,
    CONVERTED_DECIMAL = 5,
    CONVERTED_DATE = 6,
    CONVERTED_TIMESTAMP_MILLIS = 9,
    CONVERTED_TIMESTAMP_MICROS = 10,
    CONVERTED_UINT_64 = 14,
    CONVERTED_JSON = 19,
};
enum {
    LOGICAL_STRING = 1,
    LOGICAL_DECIMAL = 5,
    LOGICAL_DATE = 6,
    LOGICAL_TIME = 7,
    LOGICAL_TIMESTAMP = 8,
    LOGICAL_INTEGER = 10,
    LOGICAL_UNKNOWN = 11,
    LOGICAL_JSON = 12,
};
enum { UNIT_MILLIS = 1, UNIT_MICROS = 2, UNIT_NANOS = 3 };

/* LogicalType is a union: a struct with one field, which is a struct. */
static void tw_logical(struct af_tw *tw, int kind)
{
    af_tw_struct(tw, 10);
    af_tw_struct(tw, kind);
    af_tw_end(tw);
    af_tw_end(tw);
}

static void tw_logical_time(struct af_tw *tw, int kind, bool is_utc, int unit)
{
    af_tw_struct(tw, 10);
    af_tw_struct(tw, kind);
    af_tw_bool(tw, 1, is_utc);
    af_tw_struct(tw, 2);
    af_tw_struct(tw, unit);
    af_tw_end(tw);
    af_tw_end(tw);
    af_tw_end(tw);
    af_tw_end(tw);
}

/* CLOCK is 64 bits in the file, so milliseconds (32 bits there) are written as microseconds. */
static int unit_of(const struct af_parquet_writer *w, const struct af_pw_column *c)
{
    switch (w->options.time_form) {
    case AF_PARQUET_TIME_MILLIS: return c->field.type == AF_TYPE_CLOCK ? UNIT_MICROS : UNIT_MILLIS;
    case AF_PARQUET_TIME_MICROS: return UNIT_MICROS;
    default: return UNIT_NANOS;
    }
}

static void tw_decimal(struct af_tw *tw, uint8_t scale)
{
    af_tw_i32(tw, 6, CONVERTED_DECIMAL);
    af_tw_i32(tw, 7, scale);
    af_tw_i32(tw, 8, AF_PW_DECIMAL_PRECISION);
    af_tw_struct(tw, 10);
    af_tw_struct(tw, LOGICAL_DECIMAL);
    af_tw_i32(tw, 1, scale);
    af_tw_i32(tw, 2, AF_PW_DECIMAL_PRECISION);
    af_tw_end(tw);
    af_tw_end(tw);
}

static void tw_unsigned(struct af_tw *tw)
{
    af_tw_i32(tw, 6, CONVERTED_UINT_64);
    af_tw_struct(tw, 10);
    af_tw_struct(tw, LOGICAL_INTEGER);
    af_tw_i8(tw, 1, 64);
    af_tw_bool(tw, 2, false);
    af_tw_end(tw);
    af_tw_end(tw);
}

/* Old readers know TIMESTAMP_* only, and it promises UTC: local times go without. */
static void tw_timestamp(struct af_tw *tw, const struct af_parquet_writer *w, const struct af_pw_column *c)
{
    const int unit = unit_of(w, c);
    if (c->physical == AF_PW_INT96)
        return;
    if (!c->field.is_local && unit != UNIT_NANOS)
        af_tw_i32(tw, 6, unit == UNIT_MILLIS ? CONVERTED_TIMESTAMP_MILLIS : CONVERTED_TIMESTAMP_MICROS);
    tw_logical_time(tw, LOGICAL_TIMESTAMP, !c->field.is_local, unit);
}

static void tw_annotation(struct af_tw *tw, const struct af_parquet_writer *w, const struct af_pw_column *c)
{
    switch (c->field.type) {
    case AF_TYPE_NULL: tw_logical(tw, LOGICAL_UNKNOWN); break;
    case AF_TYPE_U64: tw_unsigned(tw); break;
    case AF_TYPE_TIME: tw_timestamp(tw, w, c); break;
    case AF_TYPE_CLOCK: tw_logical_time(tw, LOGICAL_TIME, false, unit_of(w, c)); break;
    case AF_TYPE_DECIMAL: tw_decimal(tw, c->field.scale); break;
    case AF_TYPE_DATE:
        af_tw_i32(tw, 6, CONVERTED_DATE);
        tw_logical(tw, LOGICAL_DATE);
        break;
    case AF_TYPE_STRING:
        af_tw_i32(tw, 6, CONVERTED_UTF8);
        tw_logical(tw, LOGICAL_STRING);
        break;
    case AF_TYPE_JSON:
        af_tw_i32(tw, 6, CONVERTED_JSON);
        tw_logical(tw, LOGICAL_JSON);
        break;
    default: break;
    }
}

static void tw_schema(struct af_tw *tw, const struct af_parquet_writer *w)
{
    af_tw_list(tw, 2, AF_TW_STRUCT, w->column_count + 1);
    af_tw_element(tw);
    af_tw_binary(tw, 4, AF_SLICE_LIT("schema"));
    af_tw_i32(tw, 5, (int32_t)w->column_count);
    af_tw_end(tw);
    for (size_t i = 0; i < w->column_count; i++) {
        const struct af_pw_column *c = &w->columns[i];
        af_tw_element(tw);
        af_tw_i32(tw, 1, (int32_t)c->physical);
        if (c->physical == AF_PW_FIXED)
            af_tw_i32(tw, 2, AF_PW_DECIMAL_BYTES);
        af_tw_i32(tw, 3, c->field.is_nullable ? 1 : 0);
        af_tw_binary(tw, 4, af_slice_of(c->field.name));
        tw_annotation(tw, w, c);
        af_tw_end(tw);
    }
}

/* --- footer -------------------------------------------------------------------------------------------------------------- */

static void tw_encodings(struct af_tw *tw, const struct af_parquet_writer *w, const struct af_pw_chunk *chunk)
{
    bool used[AF_PW_ENCODINGS];
    size_t count = 0;
    for (unsigned e = 0; e < AF_PW_ENCODINGS; e++)
        used[e] = chunk->pages_of[e] > 0;
    used[AF_PW_RLE] = true; /* levels */
    if (chunk->dict_at != 0 && !w->options.legacy_dictionary)
        used[AF_PW_PLAIN] = true; /* the dictionary page */
    for (unsigned e = 0; e < AF_PW_ENCODINGS; e++)
        count += used[e];
    af_tw_list(tw, 2, AF_TW_I32, count);
    for (unsigned e = 0; e < AF_PW_ENCODINGS; e++)
        if (used[e])
            af_tw_element_int(tw, e);
}

static void tw_page_count(struct af_tw *tw, int page_type, unsigned encoding, uint32_t count)
{
    af_tw_element(tw);
    af_tw_i32(tw, 1, page_type);
    af_tw_i32(tw, 2, (int32_t)encoding);
    af_tw_i32(tw, 3, (int32_t)count);
    af_tw_end(tw);
}

static void tw_encoding_stats(struct af_tw *tw, const struct af_parquet_writer *w, const struct af_pw_chunk *chunk)
{
    size_t count = chunk->dict_at != 0;
    for (unsigned e = 0; e < AF_PW_ENCODINGS; e++)
        count += chunk->pages_of[e] > 0;
    af_tw_list(tw, 13, AF_TW_STRUCT, count);
    if (chunk->dict_at != 0)
        tw_page_count(tw, PAGE_DICT, w->options.legacy_dictionary ? AF_PW_PLAIN_DICTIONARY : AF_PW_PLAIN, 1);
    for (unsigned e = 0; e < AF_PW_ENCODINGS; e++)
        if (chunk->pages_of[e] > 0)
            tw_page_count(tw, w->options.data_page_v2 ? PAGE_DATA_V2 : PAGE_DATA, e, chunk->pages_of[e]);
}

static int32_t codec_number(int codec)
{
    switch (codec) {
    case AF_CODEC_SNAPPY: return 1;
    case AF_CODEC_GZIP: return 2;
    case AF_CODEC_BROTLI: return 4;
    case AF_CODEC_LZ4_HADOOP: return 5;
    case AF_CODEC_ZSTD: return 6;
    case AF_CODEC_LZ4: return 7;
    default: return 0;
    }
}

static void tw_chunk_meta(struct af_tw *tw, const struct af_parquet_writer *w, const struct af_pw_column *c,
                          const struct af_pw_chunk *chunk)
{
    af_tw_struct(tw, 3);
    af_tw_i32(tw, 1, (int32_t)c->physical);
    tw_encodings(tw, w, chunk);
    af_tw_list(tw, 3, AF_TW_BINARY, 1);
    af_tw_element_binary(tw, af_slice_of(c->field.name));
    af_tw_i32(tw, 4, codec_number(w->options.codec));
    af_tw_i64(tw, 5, (int64_t)chunk->values);
    af_tw_i64(tw, 6, (int64_t)chunk->raw_bytes);
    af_tw_i64(tw, 7, (int64_t)chunk->packed_bytes);
    af_tw_i64(tw, 9, (int64_t)chunk->data_at);
    if (chunk->dict_at != 0)
        af_tw_i64(tw, 11, (int64_t)chunk->dict_at);
    tw_statistics(tw, 12, c, &chunk->bounds, chunk->nulls);
    tw_encoding_stats(tw, w, chunk);
    af_tw_end(tw);
}

static void tw_chunk(struct af_tw *tw, const struct af_parquet_writer *w, const struct af_pw_column *c,
                     const struct af_pw_chunk *chunk, uint64_t column_indexes_at, uint64_t offset_indexes_at)
{
    af_tw_element(tw);
    af_tw_i64(tw, 2, 0); /* file_offset: deprecated, to be 0 */
    tw_chunk_meta(tw, w, c, chunk);
    if (chunk->offset_index_len > 0) {
        af_tw_i64(tw, 4, (int64_t)(offset_indexes_at + chunk->offset_index_at));
        af_tw_i32(tw, 5, (int32_t)chunk->offset_index_len);
    }
    if (chunk->column_index_len > 0) {
        af_tw_i64(tw, 6, (int64_t)(column_indexes_at + chunk->column_index_at));
        af_tw_i32(tw, 7, (int32_t)chunk->column_index_len);
    }
    af_tw_end(tw);
}

static void tw_group(struct af_tw *tw, const struct af_parquet_writer *w, size_t index, uint64_t column_indexes_at,
                     uint64_t offset_indexes_at)
{
    const struct af_pw_group *group = (const struct af_pw_group *)(const void *)w->groups.ptr + index;
    const struct af_pw_chunk *chunks = (const struct af_pw_chunk *)(const void *)w->chunks.ptr + index * w->column_count;
    uint64_t raw = 0, packed = 0;
    af_tw_element(tw);
    af_tw_list(tw, 1, AF_TW_STRUCT, w->column_count);
    for (size_t i = 0; i < w->column_count; i++) {
        tw_chunk(tw, w, &w->columns[i], &chunks[i], column_indexes_at, offset_indexes_at);
        raw += chunks[i].raw_bytes;
        packed += chunks[i].packed_bytes;
    }
    af_tw_i64(tw, 2, (int64_t)raw);
    af_tw_i64(tw, 3, (int64_t)group->rows);
    af_tw_i64(tw, 5, (int64_t)group->at);
    af_tw_i64(tw, 6, (int64_t)packed);
    if (index <= INT16_MAX)
        af_tw_i16(tw, 7, (int16_t)index);
    af_tw_end(tw);
}

static void tw_key_values(struct af_tw *tw, const struct af_parquet_write_options *options)
{
    if (options->kv_count == 0)
        return;
    af_tw_list(tw, 5, AF_TW_STRUCT, options->kv_count);
    for (size_t i = 0; i < options->kv_count; i++) {
        af_tw_element(tw);
        af_tw_binary(tw, 1, af_slice_of(options->kv_keys[i]));
        if (options->kv_values[i] != NULL)
            af_tw_binary(tw, 2, af_slice_of(options->kv_values[i]));
        af_tw_end(tw);
    }
}

/* TYPE_ORDER for every column: a union whose first member is an empty struct. */
static void tw_column_orders(struct af_tw *tw, size_t count)
{
    af_tw_list(tw, 7, AF_TW_STRUCT, count);
    for (size_t i = 0; i < count; i++) {
        af_tw_element(tw);
        af_tw_struct(tw, 1);
        af_tw_end(tw);
        af_tw_end(tw);
    }
}

void af_pw_footer(const struct af_parquet_writer *w, uint64_t column_indexes_at, uint64_t offset_indexes_at, struct af_buf *out)
{
    const size_t groups = w->groups.len / sizeof(struct af_pw_group);
    const bool is_version_1 = w->options.legacy_dictionary && !w->options.data_page_v2;
    struct af_tw tw;
    af_tw_begin(&tw, out);
    af_tw_i32(&tw, 1, is_version_1 ? 1 : 2);
    tw_schema(&tw, w);
    af_tw_i64(&tw, 3, (int64_t)w->rows);
    af_tw_list(&tw, 4, AF_TW_STRUCT, groups);
    for (size_t i = 0; i < groups; i++)
        tw_group(&tw, w, i, column_indexes_at, offset_indexes_at);
    tw_key_values(&tw, &w->options);
    af_tw_binary(&tw, 6, af_slice_of(w->options.created_by));
    tw_column_orders(&tw, w->column_count);
    af_tw_end(&tw);
}
