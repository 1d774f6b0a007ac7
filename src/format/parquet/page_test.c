/*
 * page_test.c - pages made by hand: encodings and types that our own writer does not write, and pages that lie.
 */
#include "format/parquet/handmade.h"

#define BYTES(...) .bytes = (const uint8_t[]){ __VA_ARGS__ }, .len = sizeof((const uint8_t[]){ __VA_ARGS__ })

static void one_leaf(struct make *m, int type, int repetition, int converted, int64_t values)
{
    make_begin(m);
    make_leaf(m, "x", type, repetition, converted);
    make_chunk(m, values);
}

AF_TEST(dictionary_page_is_found_by_its_type)
{
    struct make m;
    /* As Timestream writes: no dictionary_page_offset, data_page_offset at the dictionary; then the offset 0 of other writers. */
    for (int64_t offset = -1; offset <= 0; offset++) {
        one_leaf(&m, AF_PQ_BYTE_ARRAY, AF_PQ_REQUIRED, MAKE_UTF8, 4);
        m.chunks[0].dict_offset = offset;
        make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DICTIONARY, .slots = 2, .encoding = AF_PQ_PLAIN_DICTIONARY,
                                           BYTES(1, 0, 0, 0, 'a', 2, 0, 0, 0, 'b', 'c') });
        make_page(&m, &(struct make_page){ .slots = 4, .encoding = AF_PQ_PLAIN_DICTIONARY, BYTES(1, 3, 0x09) });
        check_rows(&m, 4, "{\"x\":\"bc\"}\n{\"x\":\"a\"}\n{\"x\":\"a\"}\n{\"x\":\"bc\"}\n");
    }
}

AF_TEST(dictionary_gives_way_to_plain)
{
    struct make m;
    one_leaf(&m, AF_PQ_BYTE_ARRAY, AF_PQ_OPTIONAL, MAKE_UTF8, 7);
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DICTIONARY, .slots = 1, BYTES(1, 0, 0, 0, 'a') });
    /* width 0: one entry; levels 1 0 1 as a packed group */
    make_page(&m, &(struct make_page){ .slots = 3, .encoding = AF_PQ_RLE_DICTIONARY, BYTES(2, 0, 0, 0, 3, 5, 0, 4) });
    make_page(&m, &(struct make_page){ .slots = 2, BYTES(2, 0, 0, 0, 3, 2, 2, 0, 0, 0, 'z', 'z') });
    make_page(&m, &(struct make_page){ .slots = 2, .encoding = AF_PQ_RLE_DICTIONARY, BYTES(2, 0, 0, 0, 4, 1, 0, 4) });
    check_rows(&m, 7, "{\"x\":\"a\"}\n{\"x\":null}\n{\"x\":\"a\"}\n{\"x\":null}\n{\"x\":\"zz\"}\n{\"x\":\"a\"}\n{\"x\":\"a\"}\n");
}

AF_TEST(dictionaries_that_lie)
{
    struct make m;
    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .slots = 2, .encoding = AF_PQ_RLE_DICTIONARY, BYTES(1, 4, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "handmade: row group 0, column x, page 0: the page refers to a dictionary");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DICTIONARY, .slots = 1, BYTES(7, 0, 0, 0) });
    make_page(&m, &(struct make_page){ .slots = 2, .encoding = AF_PQ_RLE_DICTIONARY, BYTES(1, 4, 1) });
    check_refused(&m, 2, AF_ECORRUPT, "an id beyond the 1 entries");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DICTIONARY, .slots = 1, BYTES(7, 0, 0, 0) });
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DICTIONARY, .slots = 1, BYTES(7, 0, 0, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "not the first page");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DICTIONARY, .slots = 1000000000, BYTES(7, 0, 0, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "a dictionary of 1000000000 entries in 4 bytes");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DICTIONARY, .slots = -1, BYTES(7, 0, 0, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "a dictionary page with -1 entries");

    one_leaf(&m, AF_PQ_BYTE_ARRAY, AF_PQ_REQUIRED, MAKE_UTF8, 2); /* an empty dictionary and ids into it */
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DICTIONARY, .slots = 0, .bytes = "", .len = 0 });
    make_page(&m, &(struct make_page){ .slots = 2, .encoding = AF_PQ_RLE_DICTIONARY, BYTES(0, 4) });
    check_refused(&m, 2, AF_ECORRUPT, "an id beyond the 0 entries");
}

AF_TEST(levels_bit_packed_most_significant_first)
{
    struct make m;
    one_leaf(&m, AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE, 10);
    make_page(&m, &(struct make_page){ .slots = 10, .level_encoding = AF_PQ_BIT_PACKED, BYTES(0xa0, 0x40, 1, 0, 0, 0, 2, 0, 0, 0,
        3, 0, 0, 0) });
    check_rows(&m, 10, "{\"x\":1}\n{\"x\":null}\n{\"x\":2}\n{\"x\":null}\n{\"x\":null}\n{\"x\":null}\n{\"x\":null}\n{\"x\":null}\n"
                       "{\"x\":null}\n{\"x\":3}\n");
}

AF_TEST(levels_that_lie)
{
    struct make m;
    one_leaf(&m, AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .slots = 2, BYTES(200, 0, 0, 0, 4, 1) });
    check_refused(&m, 2, AF_ECORRUPT, "200 bytes of levels in a page that has 2");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE, 2); /* one level where two values are promised */
    make_page(&m, &(struct make_page){ .slots = 2, BYTES(2, 0, 0, 0, 2, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "run-length data");

    make_begin(&m); /* a level of 3 where 2 is the highest */
    make_group(&m, "g", AF_PQ_OPTIONAL, 1, MAKE_NONE);
    make_leaf(&m, "x", AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE);
    make_chunk(&m, 2);
    make_page(&m, &(struct make_page){ .slots = 2, BYTES(2, 0, 0, 0, 4, 3, 1, 0, 0, 0, 2, 0, 0, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "a level of 3 where 2 is the highest");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE, 2); /* v2: level bytes beyond the page */
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DATA_V2, .slots = 2, .def_bytes = 30, BYTES(4, 1, 1, 0, 0, 0, 2, 0, 0, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "levels of 0 and 30 bytes in a page of 10");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE, 2); /* v2: the header says one null, the levels none */
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DATA_V2, .slots = 2, .nulls = 1, .def_bytes = 2,
                                       BYTES(4, 1, 1, 0, 0, 0, 2, 0, 0, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "a page says it has 1 nulls, its levels say 0");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2); /* v2: nulls in a required column */
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DATA_V2, .slots = 2, .nulls = 1, BYTES(1, 0, 0, 0, 2, 0, 0, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "a page with 1 nulls among 2 values");
}

AF_TEST(counts_that_lie)
{
    struct make m;
    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .slots = 2, BYTES(1, 0, 0, 0, 2, 0, 0, 0) });
    check_refused(&m, 3, AF_ECORRUPT, "2 values in a row group of 3 rows");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 3);
    make_page(&m, &(struct make_page){ .slots = 2, BYTES(1, 0, 0, 0, 2, 0, 0, 0) });
    check_refused(&m, 3, AF_ECORRUPT, "the column chunk ends 1 values early");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 1);
    make_page(&m, &(struct make_page){ .slots = 2, BYTES(1, 0, 0, 0, 2, 0, 0, 0) });
    check_refused(&m, 1, AF_ECORRUPT, "a page of 2 values where the column chunk has 1 left");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .slots = 2, BYTES(1, 0, 0, 0, 2, 0, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "the values of the page end early");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .slots = 2, .raw_len = 2000000000, BYTES(1, 0, 0, 0, 2, 0, 0, 0) });
    check_refused(&m, 2, AF_ELIMIT, "AF_PARQUET_PAGE_BYTES_MAX");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2); /* snappy cannot do that */
    m.chunks[0].codec = 1;
    make_page(&m, &(struct make_page){ .slots = 2, .raw_len = 100000000, BYTES(1, 0, 0, 0, 2, 0, 0, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "cannot hold the 100000000 the page claims");

    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .slots = 2, BYTES(1, 0, 0, 0, 2, 0, 0, 0) });
    m.chunks[0].start = 1000000;
    m.chunks[0].end = 1000100;
    check_refused(&m, 2, AF_ECORRUPT, "is not inside the file's pages");
}

AF_TEST(a_page_without_values_is_passed)
{
    struct make m;
    one_leaf(&m, AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE, 3);
    make_page(&m, &(struct make_page){ .slots = 0, .bytes = "", .len = 0 });
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DATA_V2, .slots = 2, .nulls = 2, .def_bytes = 2, BYTES(4, 0) });
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DATA_V2, .slots = 1, .def_bytes = 2, BYTES(2, 1, 9, 0, 0, 0) });
    check_rows(&m, 3, "{\"x\":null}\n{\"x\":null}\n{\"x\":9}\n");
}

AF_TEST(delta_texts_that_lie)
{
    struct make m;
    /* block 128, 4 miniblocks; count 2; first length -1 */
    one_leaf(&m, AF_PQ_BYTE_ARRAY, AF_PQ_REQUIRED, MAKE_UTF8, 2);
    make_page(&m, &(struct make_page){ .slots = 2, .encoding = AF_PQ_DELTA_LENGTH_BYTE_ARRAY, BYTES(0x80, 1, 4, 2, 1, 2, 0, 0, 0,
        0, 'a') });
    check_refused(&m, 2, AF_ECORRUPT, "the lengths of 2 texts do not fit the 1 bytes");
    /* lengths 5, 6 and one byte */
    one_leaf(&m, AF_PQ_BYTE_ARRAY, AF_PQ_REQUIRED, MAKE_UTF8, 2);
    make_page(&m, &(struct make_page){ .slots = 2, .encoding = AF_PQ_DELTA_LENGTH_BYTE_ARRAY, BYTES(0x80, 1, 4, 2, 10, 2, 0, 0,
        0, 0, 'a') });
    check_refused(&m, 2, AF_ECORRUPT, "do not fit the 1 bytes");
    /* the first value shares a byte with nothing */
    one_leaf(&m, AF_PQ_BYTE_ARRAY, AF_PQ_REQUIRED, MAKE_UTF8, 1);
    make_page(&m, &(struct make_page){ .slots = 1, .encoding = AF_PQ_DELTA_BYTE_ARRAY, BYTES(0x80, 1, 4, 1, 2, 0x80, 1, 4, 1, 2, 'a') });
    check_refused(&m, 1, AF_ECORRUPT, "text 0 of the page shares 1 bytes with one of 0");
    /* 2^31 - 1 constant integers in a few bytes */
    one_leaf(&m, AF_PQ_INT64, AF_PQ_REQUIRED, MAKE_NONE, INT32_MAX);
    make_page(&m, &(struct make_page){ .slots = INT32_MAX, .encoding = AF_PQ_DELTA_BINARY_PACKED,
                                       BYTES(0x80, 1, 4, 0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0, 0, 0, 0) });
    check_refused(&m, INT32_MAX, AF_ELIMIT, "AF_PARQUET_PAGE_BYTES_MAX");
}

AF_TEST(encodings_must_fit_their_types)
{
    struct make m;
    one_leaf(&m, AF_PQ_DOUBLE, AF_PQ_REQUIRED, MAKE_NONE, 1);
    make_page(&m, &(struct make_page){ .slots = 1, .encoding = AF_PQ_DELTA_BINARY_PACKED, BYTES(0, 0, 0, 0, 0, 0, 0, 0) });
    check_refused(&m, 1, AF_EUNSUPPORTED, "DOUBLE values with the encoding DELTA_BINARY_PACKED");
    one_leaf(&m, AF_PQ_INT64, AF_PQ_REQUIRED, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .slots = 2, .encoding = AF_PQ_BYTE_STREAM_SPLIT, BYTES(0, 0, 0, 0, 0, 0, 0, 0, 0) });
    check_refused(&m, 2, AF_ECORRUPT, "not a whole number of 8-byte values");
    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE, 2);
    make_page(&m, &(struct make_page){ .slots = 2, .encoding = AF_PQ_BYTE_STREAM_SPLIT, BYTES(1, 2, 0, 0, 0, 0, 0, 0) });
    check_rows(&m, 2, "{\"x\":1}\n{\"x\":2}\n");
}

AF_TEST(rle_booleans)
{
    struct make m;
    one_leaf(&m, AF_PQ_BOOLEAN, AF_PQ_REQUIRED, MAKE_NONE, 5);
    make_page(&m, &(struct make_page){ .slots = 5, .encoding = AF_PQ_RLE, BYTES(4, 0, 0, 0, 6, 1, 4, 0) });
    check_rows(&m, 5, "{\"x\":true}\n{\"x\":true}\n{\"x\":true}\n{\"x\":false}\n{\"x\":false}\n");
}

/* --- types --------------------------------------------------------------------------------------------------------------------- */

AF_TEST(int96_at_the_edges)
{
    struct make m;
    one_leaf(&m, AF_PQ_INT96, AF_PQ_REQUIRED, MAKE_NONE, 4);
    make_page(&m, &(struct make_page){ .slots = 4, BYTES(
        5, 0, 0, 0, 0, 0, 0, 0, 0x8c, 0x3d, 0x25, 0,                                /* 1970-01-01 + 5 ns */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x8c, 0x3d, 0x25, 0,        /* - 1 ns */
        0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f,                             /* far away */
        1, 0, 0x4f, 0x91, 0x94, 0x4e, 0, 0, 0x8c, 0x3d, 0x25, 0) });             /* a day of ns and one */
    check_rows(&m, 4, "{\"x\":\"1970-01-01T00:00:00.000000005Z\"}\n{\"x\":\"1969-12-31T23:59:59.999999999Z\"}\n{\"x\":null}\n"
                      "{\"x\":\"1970-01-02T00:00:00.000000001Z\"}\n");
}

AF_TEST(times_out_of_range_are_marked)
{
    struct make m;
    struct af_error err = { 0 };
    struct af_parquet *file;
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    one_leaf(&m, AF_PQ_INT64, AF_PQ_OPTIONAL, MAKE_STAMP_MILLIS, 3);
    make_page(&m, &(struct make_page){ .slots = 3, BYTES(2, 0, 0, 0, 3, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0,
        0, 0, 0, 0, 0, 0) });
    struct af_reader reader = make_finish(&m, 3);
    af_arena_init(&arena, 1 << 24);
    AF_CHECK_OK(af_parquet_open(&reader, &file, &err), err);
    AF_CHECK(af_parquet_schema(file)->fields[0].is_local);
    AF_CHECK_OK(af_parquet_scan(file, &(struct af_parquet_scan){ 0 }, &stream, &err), err);
    AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
    const struct af_column *col = &batch->columns[0];
    AF_CHECK_INT(col->null_count, 2);
    AF_CHECK(!af_column_has(col, 0) && af_bit_get(col->invalid, 0));
    AF_CHECK(!af_column_has(col, 1) && !af_bit_get(col->invalid, 1));
    AF_CHECK(af_column_has(col, 2) && !af_bit_get(col->invalid, 2));
    AF_CHECK_INT(col->i64[2], 1000000);
    AF_CHECK_STR(col->invalid_why, "time out of range");
    af_stream_close(stream);
    af_parquet_close(file);
    af_arena_done(&arena);
    af_buf_done(&m.out);
}

AF_TEST(decimals_of_any_length)
{
    struct make m;
    one_leaf(&m, AF_PQ_BYTE_ARRAY, AF_PQ_REQUIRED, MAKE_DECIMAL, 4);
    m.elements[0].precision = 38;
    m.elements[0].scale = 2;
    make_page(&m, &(struct make_page){ .slots = 4, BYTES(
        0, 0, 0, 0,                                                                                                    /* 0 */
        1, 0, 0, 0, 0xff,                                                                                              /* -1 */
        20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
        17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) });                                             /* 2^128 */
    check_rows(&m, 4, "{\"x\":\"0.00\"}\n{\"x\":\"-0.01\"}\n{\"x\":\"-0.02\"}\n{\"x\":null}\n");
}

static void decimal_file(struct make *m, int type, int length, int precision, int scale)
{
    one_leaf(m, type, AF_PQ_REQUIRED, MAKE_DECIMAL, 1);
    m->elements[0].length = length;
    m->elements[0].precision = precision;
    m->elements[0].scale = scale;
    make_page(m, &(struct make_page){ .slots = 1, BYTES(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) });
}

AF_TEST(decimals_are_checked_against_their_width)
{
    static const struct {
        int type, length, precision, scale;
        const char *why;
    } cases[] = {
        { AF_PQ_INT32, 0, 10, 2, "DECIMAL(10,2) cannot be on INT32" },
        { AF_PQ_INT64, 0, 19, 2, "DECIMAL(19,2) cannot be on INT64" },
        { AF_PQ_FIXED, 4, 10, 2, "DECIMAL(10,2) cannot be on FIXED" },
        { AF_PQ_FIXED, 20, 45, 2, "DECIMAL(45,2) has more than 38 digits" },
        { AF_PQ_INT32, 0, 5, 6, "DECIMAL(5,6) cannot be" },
        { AF_PQ_INT32, 0, 0, 0, "DECIMAL(0,0) cannot be" },
        { AF_PQ_FIXED, 4, 9, 9, NULL },
        { AF_PQ_FIXED, 20, 38, 0, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct make m;
        struct af_error err = { 0 };
        struct af_parquet *file;
        struct af_parquet_column_info info;
        decimal_file(&m, cases[i].type, cases[i].length, cases[i].precision, cases[i].scale);
        struct af_reader reader = make_finish(&m, 1);
        AF_CHECK_OK(af_parquet_open(&reader, &file, &err), err);
        af_parquet_column_info(file, 0, &info);
        AF_CHECK((info.unsupported == NULL) == (cases[i].why == NULL));
        AF_CHECK(cases[i].why == NULL || strstr(info.unsupported, cases[i].why) != NULL);
        af_parquet_close(file);
        af_buf_done(&m.out);
    }
}

AF_TEST(values_of_fixed_length)
{
    struct make m;
    one_leaf(&m, AF_PQ_FIXED, AF_PQ_REQUIRED, MAKE_NONE, 1);
    m.elements[0].length = 16;
    m.elements[0].logical = 14;
    make_page(&m, &(struct make_page){ .slots = 1, BYTES(0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
        0xcc, 0xdd, 0xee, 0xff) });
    check_rows(&m, 1, "{\"x\":\"00112233-4455-6677-8899-aabbccddeeff\"}\n");

    one_leaf(&m, AF_PQ_FIXED, AF_PQ_REQUIRED, MAKE_NONE, 6);
    m.elements[0].length = 2;
    m.elements[0].logical = 15;
    make_page(&m, &(struct make_page){ .slots = 6, BYTES(0, 0x3c, 0, 0xc0, 1, 0, 0, 0x80, 0, 0x7c, 0xff, 0x7b) });
    check_rows(&m, 6, "{\"x\":1}\n{\"x\":-2}\n{\"x\":5.960464477539063e-08}\n{\"x\":-0}\n{\"x\":\"Infinity\"}\n{\"x\":65504}\n");

    one_leaf(&m, AF_PQ_FIXED, AF_PQ_REQUIRED, MAKE_INTERVAL, 1);
    m.elements[0].length = 12;
    make_page(&m, &(struct make_page){ .slots = 1, BYTES(1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0) });
    check_rows(&m, 1, "{\"x\":\"010000000200000003000000\"}\n");

    one_leaf(&m, AF_PQ_FIXED, AF_PQ_REQUIRED, MAKE_NONE, 1);
    make_page(&m, &(struct make_page){ .slots = 1, BYTES(1) });
    check_refused(&m, 1, AF_ECORRUPT, "column x has values of 0 bytes");
}

AF_TEST(integers_unsigned_and_odd_annotations)
{
    struct make m;
    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_UINT_32, 1);
    make_page(&m, &(struct make_page){ .slots = 1, BYTES(0xff, 0xff, 0xff, 0xff) });
    check_rows(&m, 1, "{\"x\":4294967295}\n");
    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_TIME_MILLIS, 1);
    make_page(&m, &(struct make_page){ .slots = 1, BYTES(0xff, 0x5b, 0x26, 5) });
    check_rows(&m, 1, "{\"x\":\"23:59:59.999000000\"}\n");
    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_DATE, 1);
    make_page(&m, &(struct make_page){ .slots = 1, BYTES(0xff, 0xff, 0xff, 0xff) });
    check_rows(&m, 1, "{\"x\":\"1969-12-31\"}\n");
    one_leaf(&m, AF_PQ_INT32, AF_PQ_REQUIRED, 99, 1); /* an annotation of the future: the physical type */
    make_page(&m, &(struct make_page){ .slots = 1, BYTES(5, 0, 0, 0) });
    check_rows(&m, 1, "{\"x\":5}\n");
    one_leaf(&m, AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE, 1); /* UNKNOWN: always null, its pages are not even read */
    m.elements[0].logical = 11;
    make_page(&m, &(struct make_page){ .slots = 1, BYTES(0xff) });
    check_rows(&m, 1, "{\"x\":null}\n");
}

AF_TEST(columns_that_cannot_be_read_are_named)
{
    struct make m;
    make_begin(&m);
    make_leaf(&m, "x", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    make_leaf(&m, "lzo", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    make_leaf(&m, "alp", AF_PQ_DOUBLE, AF_PQ_REQUIRED, MAKE_NONE);
    make_leaf(&m, "geo", AF_PQ_BYTE_ARRAY, AF_PQ_REQUIRED, MAKE_NONE)->logical = 17;
    for (int i = 0; i < 4; i++) {
        make_chunk(&m, 1);
        make_page(&m, &(struct make_page){ .slots = 1, BYTES(5, 0, 0, 0) });
    }
    m.chunks[1].codec = 3;
    m.chunks[2].encodings |= 1u << 10;
    struct af_reader reader = make_finish(&m, 1);
    struct af_error err = { 0 };
    struct af_parquet *file;
    struct af_stream *stream;
    struct af_parquet_column_info info;
    static const char *const why[] = { NULL, "the codec LZO", "the encoding ALP", "the logical type GEOMETRY" };
    AF_CHECK_OK(af_parquet_open(&reader, &file, &err), err);
    for (size_t i = 1; i < 4; i++) {
        af_parquet_column_info(file, i, &info);
        AF_CHECK_STR(info.unsupported, why[i]);
        AF_CHECK_FAILS(af_parquet_scan(file, &(struct af_parquet_scan){ .columns = &i, .column_count = 1 }, &stream, &err),
            AF_EUNSUPPORTED);
        AF_CHECK(strstr(err.message, why[i]) != NULL);
    }
    struct af_buf text;
    af_buf_init(&text, 1 << 20);
    AF_CHECK_OK(read_json(&reader, NULL, &text, &err), err);
    AF_CHECK_STR(af_buf_cstr(&text), "{\"x\":5}\n");
    af_buf_done(&text);
    af_parquet_close(file);
    af_buf_done(&m.out);
}
