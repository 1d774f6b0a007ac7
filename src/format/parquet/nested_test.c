/*
 * nested_test.c - lists, maps and structs put together from levels made by hand, in the current form and in the old ones; levels that
 * contradict each other.
 */
#include "format/parquet/handmade.h"

/* Levels as one packed group (up to 8) of `width` bits, with their length in front. */
static void put_levels(struct af_buf *out, const char *levels, unsigned width)
{
    uint64_t bits = 0;
    const uint32_t len = 1 + width;
    for (size_t i = 0; levels[i] != '\0'; i++)
        bits |= (uint64_t)(levels[i] - '0') << (i * width);
    af_buf_append(out, &len, 4);
    af_buf_append_char(out, 3);
    af_buf_append(out, &bits, width);
}

/* A chunk of INT32 values 1, 2, 3 ... with these levels, one digit each; NULL where the maximum is 0. */
static void ints(struct make *m, const char *rep, unsigned rep_width, const char *def, unsigned def_width, int values)
{
    struct af_buf page;
    const char *any = rep != NULL ? rep : def;
    af_buf_init(&page, 1 << 16);
    if (rep != NULL)
        put_levels(&page, rep, rep_width);
    if (def != NULL)
        put_levels(&page, def, def_width);
    for (int32_t i = 1; i <= values; i++)
        af_buf_append(&page, &i, 4);
    const int slots = any != NULL ? (int)strlen(any) : values;
    make_chunk(m, slots);
    make_page(m, &(struct make_page){ .slots = slots, .bytes = page.ptr, .len = page.len });
    af_buf_done(&page);
}

AF_TEST(list_of_three_levels)
{
    struct make m;
    make_begin(&m);
    make_group(&m, "a", AF_PQ_OPTIONAL, 1, MAKE_LIST);
    make_group(&m, "list", AF_PQ_REPEATED, 1, MAKE_NONE);
    make_leaf(&m, "element", AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE);
    ints(&m, "01000", 1, "33012", 2, 2);
    check_rows(&m, 4, "{\"a\":[1,2]}\n{\"a\":null}\n{\"a\":[]}\n{\"a\":[null]}\n");
}

AF_TEST(lists_of_old_writers)
{
    struct make m;
    make_begin(&m); /* the repeated field is a value */
    make_group(&m, "a", AF_PQ_OPTIONAL, 1, MAKE_LIST);
    make_leaf(&m, "array", AF_PQ_INT32, AF_PQ_REPEATED, MAKE_NONE);
    ints(&m, "0100", 1, "2201", 2, 2);
    check_rows(&m, 3, "{\"a\":[1,2]}\n{\"a\":null}\n{\"a\":[]}\n");

    make_begin(&m); /* a group named array is the element, though it has one field */
    make_group(&m, "a", AF_PQ_REQUIRED, 1, MAKE_LIST);
    make_group(&m, "array", AF_PQ_REPEATED, 1, MAKE_NONE);
    make_leaf(&m, "x", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    ints(&m, "010", 1, "110", 1, 2);
    check_rows(&m, 2, "{\"a\":[{\"x\":1},{\"x\":2}]}\n{\"a\":[]}\n");

    make_begin(&m); /* so is <list>_tuple */
    make_group(&m, "a", AF_PQ_REQUIRED, 1, MAKE_LIST);
    make_group(&m, "a_tuple", AF_PQ_REPEATED, 1, MAKE_NONE);
    make_leaf(&m, "x", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    ints(&m, "01", 1, "11", 1, 2);
    check_rows(&m, 1, "{\"a\":[{\"x\":1},{\"x\":2}]}\n");

    make_begin(&m); /* no annotation at all */
    make_leaf(&m, "a", AF_PQ_INT32, AF_PQ_REPEATED, MAKE_NONE);
    ints(&m, "010", 1, "110", 1, 2);
    check_rows(&m, 2, "{\"a\":[1,2]}\n{\"a\":[]}\n");
}

AF_TEST(structs_are_flattened_until_something_repeats)
{
    struct make m;
    make_begin(&m);
    make_group(&m, "s", AF_PQ_OPTIONAL, 2, MAKE_NONE);
    make_leaf(&m, "b", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    make_leaf(&m, "r", AF_PQ_INT32, AF_PQ_REPEATED, MAKE_NONE);
    ints(&m, NULL, 0, "101", 1, 2);
    ints(&m, "0100", 1, "2201", 2, 2);
    check_rows(&m, 3, "{\"s.b\":1,\"s.r\":[1,2]}\n{\"s.b\":null,\"s.r\":null}\n{\"s.b\":2,\"s.r\":[]}\n");
}

AF_TEST(list_of_structs_with_lists)
{
    struct make m;
    make_begin(&m);
    make_group(&m, "g", AF_PQ_REPEATED, 2, MAKE_NONE);
    make_leaf(&m, "x", AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE);
    make_leaf(&m, "y", AF_PQ_INT32, AF_PQ_REPEATED, MAKE_NONE);
    ints(&m, "010", 1, "210", 2, 1);
    ints(&m, "0210", 2, "2210", 2, 2);
    check_rows(&m, 2, "{\"g\":[{\"x\":1,\"y\":[1,2]},{\"x\":null,\"y\":[]}]}\n{\"g\":[]}\n");
}

AF_TEST(maps)
{
    struct make m;
    make_begin(&m);
    make_group(&m, "m", AF_PQ_OPTIONAL, 1, MAKE_MAP);
    make_group(&m, "key_value", AF_PQ_REPEATED, 2, MAKE_NONE);
    make_leaf(&m, "key", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    make_leaf(&m, "value", AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE);
    ints(&m, "0100", 1, "2201", 2, 2);
    ints(&m, "0100", 1, "3201", 2, 1);
    check_rows(&m, 3, "{\"m\":{\"1\":1,\"2\":null}}\n{\"m\":null}\n{\"m\":{}}\n");

    make_begin(&m); /* keys only: a set */
    make_group(&m, "m", AF_PQ_REQUIRED, 1, MAKE_MAP);
    make_group(&m, "key_value", AF_PQ_REPEATED, 1, MAKE_NONE);
    make_leaf(&m, "key", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    ints(&m, "010", 1, "110", 1, 2);
    check_rows(&m, 2, "{\"m\":[1,2]}\n{\"m\":[]}\n");

    make_begin(&m); /* keys that are structs */
    make_group(&m, "m", AF_PQ_REQUIRED, 1, MAKE_MAP);
    make_group(&m, "key_value", AF_PQ_REPEATED, 2, MAKE_NONE);
    make_group(&m, "key", AF_PQ_REQUIRED, 1, MAKE_NONE);
    make_leaf(&m, "k", AF_PQ_INT32, AF_PQ_REQUIRED, MAKE_NONE);
    make_leaf(&m, "value", AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE);
    ints(&m, "00", 1, "10", 1, 1);
    ints(&m, "00", 1, "20", 2, 1);
    check_rows(&m, 2, "{\"m\":[{\"key\":{\"k\":1},\"value\":1}]}\n{\"m\":[]}\n");
}

AF_TEST(rows_may_span_pages)
{
    struct make m;
    make_begin(&m);
    make_leaf(&m, "a", AF_PQ_INT32, AF_PQ_REPEATED, MAKE_NONE);
    ints(&m, "01", 1, "11", 1, 2);
    m.chunk_count--; /* a second page of the same chunk, which goes on with the row */
    struct make_chunk first = m.chunks[0];
    ints(&m, "10", 1, "11", 1, 2);
    m.chunks[0].start = first.start;
    m.chunks[0].values = 4;
    check_rows(&m, 2, "{\"a\":[1,2,1]}\n{\"a\":[2]}\n");
}

AF_TEST(levels_that_contradict_each_other)
{
    struct make m;
    make_begin(&m);
    make_leaf(&m, "a", AF_PQ_INT32, AF_PQ_REPEATED, MAKE_NONE);
    ints(&m, "110", 1, "111", 1, 3);
    check_refused(&m, 2, AF_ECORRUPT, "a row begins with a repetition level that is not 0");

    make_begin(&m); /* more rows than the row group has, and fewer */
    make_leaf(&m, "a", AF_PQ_INT32, AF_PQ_REPEATED, MAKE_NONE);
    ints(&m, "000", 1, "111", 1, 3);
    check_refused(&m, 2, AF_ECORRUPT, "it has more values than the row group has rows");
    make_begin(&m);
    make_leaf(&m, "a", AF_PQ_INT32, AF_PQ_REPEATED, MAKE_NONE);
    ints(&m, "011", 1, "111", 1, 3);
    check_refused(&m, 2, AF_ECORRUPT, "its levels end before the row does");

    for (int i = 0; i < 3; i++) { /* neighbours disagree: on repetition, on presence, on the level of what is absent */
        static const char *const second[][2] = { { "00", "22" }, { "01", "20" }, { "01", "00" } };
        make_begin(&m);
        make_group(&m, "g", AF_PQ_REPEATED, 2, MAKE_NONE);
        make_leaf(&m, "x", AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE);
        make_leaf(&m, "y", AF_PQ_INT32, AF_PQ_OPTIONAL, MAKE_NONE);
        ints(&m, "01", 1, "22", 2, 2);
        ints(&m, second[i][0], 1, second[i][1], 2, 2 - i);
        check_refused(&m, 1, AF_ECORRUPT, "levels do not fit those of its neighbour");
    }
}

AF_TEST(a_row_that_repeats_without_end_is_refused)
{
    struct make m;
    struct af_buf page;
    make_begin(&m);
    make_leaf(&m, "a", AF_PQ_INT32, AF_PQ_REPEATED, MAKE_NONE);
    make_chunk(&m, 100000001);
    make_page(&m, &(struct make_page){ .type = AF_PQ_PAGE_DICTIONARY, .slots = 1, .bytes = "\7\0\0\0", .len = 4 });
    af_buf_init(&page, 1 << 16); /* 1 + 100,000,000 values in 30 bytes */
    const uint32_t len = 7;
    af_buf_append(&page, &len, 4);
    af_buf_append(&page, "\2\0", 2); /* one level of 0, then a run of 1 */
    af_uvarint_append(&page, UINT64_C(100000000) << 1);
    af_buf_append_char(&page, 1);
    const uint32_t def_len = 5;
    page.ptr[0] = (char)(page.len - 4);
    af_buf_append(&page, &def_len, 4);
    af_uvarint_append(&page, UINT64_C(100000001) << 1);
    af_buf_append(&page, "\1\0", 2);
    af_uvarint_append(&page, UINT64_C(100000001) << 1);
    make_page(&m, &(struct make_page){ .slots = 100000001, .encoding = AF_PQ_RLE_DICTIONARY, .bytes = page.ptr, .len = page.len });
    af_buf_done(&page);
    check_refused(&m, 1, AF_ELIMIT, "AF_STRING_BYTES_MAX");
}
