/* thrift_test.c - the compact protocol: every type is stepped over, nothing is read past the end, claims are not believed. */
#include "format/parquet/thrift.h"
#include "test/lib/test.h"

static struct af_thrift over(const void *bytes, size_t len)
{
    return (struct af_thrift){ .at = bytes, .end = (const uint8_t *)bytes + len };
}

/* A struct with a field of every type (1..13), then field 20 = 7. */
static const uint8_t all_types[] = {
    /* bools, ints */
    0x11, 0x12, 0x13, 0x80, 0x14, 0x03, 0x15, 0xfe, 0x01, 0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
    0x17, 1,    2,    3,    4,    5,    6,    7,    8,                                                                       /* double */
    0x18, 2,    'h',  'i',                                                                                                    /* binary */
    /* list of bools */
    0x19, 0x21, 1,    2,
    /* set of i32 */
    0x1a, 0x35, 2,    4,    6,
    /* map i32 -> binary */
    0x1b, 1,    0x58, 2,    1,    'x',
    0x1c, 0x15, 2,    0,                                                                                                      /* struct */
    0x1d, 1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,   16,                     /* uuid */
    0x75, 14,   0,
};

AF_TEST(thrift_steps_over_every_type)
{
    struct af_thrift in = over(all_types, sizeof all_types);
    struct af_thrift_field field = { 0 };
    int64_t last = 0;
    unsigned count = 0;
    while (af_thrift_next(&in, &field)) {
        if (field.id == 20)
            last = af_thrift_int(&in, &field);
        else
            af_thrift_skip(&in, field.type);
        count++;
    }
    AF_CHECK(in.fault == NULL);
    AF_CHECK_INT(count, 14);
    AF_CHECK_INT(last, 7);
    AF_CHECK(in.at == in.end);
}

AF_TEST(thrift_cut_anywhere_is_short)
{
    for (size_t len = 0; len < sizeof all_types; len++) {
        struct af_thrift in = over(all_types, len);
        struct af_thrift_field field = { 0 };
        while (af_thrift_next(&in, &field))
            af_thrift_skip(&in, field.type);
        AF_CHECK(in.fault != NULL);
        AF_CHECK(in.is_short);
    }
}

AF_TEST(thrift_values)
{
    static const uint8_t bytes[] = { 0x13, 0xff, 0x15, 0x03, 0x16, 0x80, 0x80, 0x80, 0x80, 0x20, 0x18, 2, 'h', 'i',
                                     0x11, 0x12, 0x05, 0xfe, 0xff, 0x03, 8,    0 };
    struct af_thrift in = over(bytes, sizeof bytes);
    struct af_thrift_field field = { 0 };
    AF_CHECK(af_thrift_next(&in, &field));
    AF_CHECK_INT(af_thrift_int(&in, &field), -1);
    AF_CHECK(af_thrift_next(&in, &field));
    AF_CHECK_INT(af_thrift_int32(&in, &field), -2);
    AF_CHECK(af_thrift_next(&in, &field));
    AF_CHECK_INT(af_thrift_int(&in, &field), INT64_C(1) << 32);
    AF_CHECK(af_thrift_next(&in, &field));
    AF_CHECK_SLICE(af_thrift_binary(&in, &field), "hi");
    AF_CHECK(af_thrift_next(&in, &field));
    AF_CHECK(af_thrift_bool(&in, &field));
    AF_CHECK(af_thrift_next(&in, &field));
    AF_CHECK(!af_thrift_bool(&in, &field));
    AF_CHECK(af_thrift_next(&in, &field));
    AF_CHECK_INT(field.id, 32767); /* the long form; the id that every struct reserves */
    AF_CHECK_INT(af_thrift_int(&in, &field), 4);
    AF_CHECK(!af_thrift_next(&in, &field));
    AF_CHECK(in.fault == NULL);
}

AF_TEST(thrift_does_not_believe_counts)
{
    static const uint8_t list[] = { 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0 }; /* 4,294,967,295 structs */
    static const uint8_t text[] = { 0x18, 0xff, 0xff, 0xff, 0xff, 0x7f, 'a' };
    static const uint8_t number[] = { 0x16, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01 };
    struct af_thrift_field field = { 0 };
    struct af_thrift in = over(list, sizeof list);
    AF_CHECK(af_thrift_next(&in, &field));
    AF_CHECK_INT(af_thrift_list(&in, &field, AF_THRIFT_STRUCT), 0);
    AF_CHECK(in.fault != NULL);
    field = (struct af_thrift_field){ 0 };
    in = over(text, sizeof text);
    AF_CHECK(af_thrift_next(&in, &field));
    AF_CHECK_INT(af_thrift_binary(&in, &field).len, 0);
    AF_CHECK(in.fault != NULL);
    field = (struct af_thrift_field){ 0 };
    in = over(number, sizeof number);
    AF_CHECK(af_thrift_next(&in, &field));
    (void)af_thrift_int(&in, &field);
    AF_CHECK(in.fault != NULL);
}

AF_TEST(thrift_depth_is_bounded)
{
    uint8_t lists[200];
    uint8_t structs[200];
    memset(lists, 0x19, sizeof lists);     /* lists of one list of one list ... */
    memset(structs, 0x1c, sizeof structs); /* structs in structs */
    struct af_thrift in = over(lists, sizeof lists);
    af_thrift_skip(&in, AF_THRIFT_LIST);
    AF_CHECK_STR(in.fault, "values are nested more than 64 deep");
    in = over(structs, sizeof structs);
    af_thrift_skip(&in, AF_THRIFT_STRUCT);
    AF_CHECK_STR(in.fault, "values are nested more than 64 deep");
}

AF_TEST(thrift_types_must_fit)
{
    static const uint8_t bytes[] = { 0x15, 2, 0 };
    struct af_thrift_field field = { 0 };
    struct af_thrift in = over(bytes, sizeof bytes);
    AF_CHECK(af_thrift_next(&in, &field));
    (void)af_thrift_bool(&in, &field);
    AF_CHECK_STR(in.fault, "a field should be a boolean");
    AF_CHECK(!af_thrift_next(&in, &field));
}
