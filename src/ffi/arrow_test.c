/* arrow_test.c - Arrow arrays made by hand become columns: types, offsets, nulls, slices, dictionaries, structs; lies are refused. */
#include "base/limits.h"
#include "ffi/arrow_fixture.h"
#include "test/lib/test.h"
#include <math.h>

enum { COLUMNS = 8 };

struct imported {
    struct arrow_table *table;
    struct af_arena arena;
    struct af_column columns[COLUMNS];
    size_t wanted[COLUMNS];
    size_t count;
    size_t rows;
    struct af_error err;
};

static enum af_status import(struct imported *in, struct fixture_table *table, size_t first, size_t rows)
{
    af_arena_init(&in->arena, AF_BATCH_ARENA_BYTES_MAX);
    in->err = (struct af_error){ 0 };
    in->table = NULL;
    AF_TRY(arrow_table_new(table->schema, &in->table, &in->err));
    in->count = in->table->schema.field_count;
    for (size_t i = 0; i < in->count; i++)
        in->wanted[i] = i;
    AF_TRY(arrow_array_begin(in->table, table->array, in->wanted, in->count, &in->err));
    in->rows = rows;
    return arrow_import(in->table, table->array, in->wanted, in->count, first, rows, &in->arena, in->columns, &in->err);
}

static void done(struct imported *in, struct fixture_table *table)
{
    af_arena_done(&in->arena);
    arrow_table_free(in->table);
    fixture_done(table);
    AF_CHECK_INT(live, 0);
}

/* A table of one column, imported whole; freed by done. */
static enum af_status one(struct imported *in, struct fixture_table *table, const char *format, struct ArrowArray *array)
{
    *table = fixture_table(array->length);
    fixture_column(table, format, "c", array);
    return import(in, table, 0, (size_t)array->length);
}

static void check_i64(const struct af_column *col, enum af_type type, const int64_t *want, size_t rows)
{
    AF_CHECK_INT(col->type, type);
    for (size_t i = 0; i < rows; i++)
        AF_CHECK_INT(col->i64[i], want[i]);
}

AF_TEST(whole_numbers_of_every_width)
{
    static const int8_t c[] = { -128, 0, 127 };
    static const int16_t s[] = { -32768, -1, 32767 };
    static const int32_t i[] = { INT32_MIN, -1, INT32_MAX };
    static const int64_t l[] = { INT64_MIN, -1, INT64_MAX };
    static const uint8_t uc[] = { 0, 128, 255 };
    static const uint16_t us[] = { 0, 32768, 65535 };
    static const uint32_t ui[] = { 0, 1u << 31, UINT32_MAX };
    static const uint64_t ul[] = { 0, UINT64_C(1) << 63, UINT64_MAX };
    struct fixture_table t = fixture_table(3);
    struct imported in;
    fixture_column(&t, "c", "c", fixture_fixed(c, 1, 3, 0, NULL));
    fixture_column(&t, "s", "s", fixture_fixed(s, 2, 3, 0, NULL));
    fixture_column(&t, "i", "i", fixture_fixed(i, 4, 3, 0, NULL));
    fixture_column(&t, "l", "l", fixture_fixed(l, 8, 3, 0, NULL));
    fixture_column(&t, "C", "uc", fixture_fixed(uc, 1, 3, 0, NULL));
    fixture_column(&t, "S", "us", fixture_fixed(us, 2, 3, 0, NULL));
    fixture_column(&t, "I", "ui", fixture_fixed(ui, 4, 3, 0, NULL));
    fixture_column(&t, "L", "ul", fixture_fixed(ul, 8, 3, 0, NULL));
    AF_CHECK_OK(import(&in, &t, 0, 3), in.err);
    for (size_t row = 0; row < 3; row++) {
        AF_CHECK_INT(in.columns[0].i64[row], c[row]);
        AF_CHECK_INT(in.columns[1].i64[row], s[row]);
        AF_CHECK_INT(in.columns[2].i64[row], i[row]);
        AF_CHECK_INT(in.columns[3].i64[row], l[row]);
        AF_CHECK_INT(in.columns[4].u64[row], uc[row]);
        AF_CHECK_INT(in.columns[5].u64[row], us[row]);
        AF_CHECK_INT(in.columns[6].u64[row], ui[row]);
        AF_CHECK(in.columns[7].u64[row] == ul[row]);
    }
    AF_CHECK_INT(in.columns[0].type, AF_TYPE_I64);
    AF_CHECK_INT(in.columns[7].type, AF_TYPE_U64);
    done(&in, &t);
}

AF_TEST(values_of_our_width_are_not_copied)
{
    static const int64_t l[] = { 1, 2, 3, 4 };
    static const double g[] = { 0.5, -0.0, 1e300, 4 };
    static const __int128 d[] = { -1, 0, 1, 2 };
    struct fixture_table t = fixture_table(3);
    struct imported in;
    fixture_column(&t, "l", "l", fixture_fixed(l, 8, 3, 1, NULL));
    fixture_column(&t, "g", "g", fixture_fixed(g, 8, 3, 1, NULL));
    fixture_column(&t, "tsn:UTC", "t", fixture_fixed(l, 8, 3, 1, NULL));
    fixture_column(&t, "L", "u", fixture_fixed(l, 8, 3, 1, NULL));
    fixture_column(&t, "ttn", "k", fixture_fixed(l, 8, 3, 1, NULL));
    fixture_column(&t, "d:38,2", "d", fixture_fixed(d, 16, 3, 1, NULL));
    fixture_column(&t, "u", "s", fixture_text("skipped|a|bc|", 1, NULL));
    AF_CHECK_OK(import(&in, &t, 1, 2), in.err);
    for (size_t i = 0; i < 5; i++)
        AF_CHECK(in.columns[i].values == (const char *)t.array->children[i]->buffers[1] + 2 * sizeof(int64_t));
    AF_CHECK(in.columns[5].values == (const char *)t.array->children[5]->buffers[1] + 2 * sizeof(__int128));
    AF_CHECK(in.columns[6].offsets == (const int32_t *)t.array->children[6]->buffers[1] + 2);
    AF_CHECK(in.columns[6].bytes == t.array->children[6]->buffers[2]);
    AF_CHECK_F64(in.columns[1].f64[0], 1e300);
    AF_CHECK_SLICE(af_column_text(&in.columns[6], 0), "bc");
    AF_CHECK_SLICE(af_column_text(&in.columns[6], 1), "");
    done(&in, &t);
}

AF_TEST(floats_of_every_width)
{
    static const uint16_t e[] = { 0x3c00, 0xc000, 0x0001, 0x7c00, 0x7e00, 0x8000 };
    static const float f[] = { 1.5f, -0.0f, 3e38f, INFINITY, 1e-45f, 0.1f };
    struct fixture_table t = fixture_table(6);
    struct imported in;
    fixture_column(&t, "e", "e", fixture_fixed(e, 2, 6, 0, NULL));
    fixture_column(&t, "f", "f", fixture_fixed(f, 4, 6, 0, NULL));
    AF_CHECK_OK(import(&in, &t, 0, 6), in.err);
    AF_CHECK_F64(in.columns[0].f64[0], 1.0);
    AF_CHECK_F64(in.columns[0].f64[1], -2.0);
    AF_CHECK_F64(in.columns[0].f64[2], 0x1p-24);
    AF_CHECK(isinf(in.columns[0].f64[3]) && isnan(in.columns[0].f64[4]));
    AF_CHECK_F64(in.columns[0].f64[5], -0.0);
    for (size_t i = 0; i < 6; i++)
        AF_CHECK_F64(in.columns[1].f64[i], (double)f[i]);
    done(&in, &t);
}

AF_TEST(truths_and_nulls_at_any_offset)
{
    char valid[201], truth[201];
    for (int i = 0; i < 200; i++) {
        valid[i] = i % 3 == 0 ? '0' : '1';
        truth[i] = i % 7 < 3 ? '1' : '0';
    }
    valid[200] = truth[200] = '\0';
    for (int64_t offset = 0; offset < 70; offset += 3) {
        for (size_t first = 0; first < 70; first += 23) {
            const size_t rows = 200 - (size_t)offset - first;
            struct ArrowArray *array = fixture_array(200 - offset, -1, offset, 2), *bits = fixture_array(200, 0, 0, 1);
            struct fixture_table t = fixture_table(200 - offset);
            struct imported in;
            fixture_validity(bits, truth);
            fixture_validity(array, valid);
            array->buffers[1] = bits->buffers[0];
            bits->buffers[0] = NULL;
            fixture_release_array(bits);
            free(bits);
            fixture_column(&t, "b", "b", array);
            AF_CHECK_OK(import(&in, &t, first, rows), in.err);
            size_t nulls = 0;
            for (size_t i = 0; i < rows; i++) {
                const size_t at = (size_t)offset + first + i;
                AF_CHECK_INT(af_column_has(&in.columns[0], i), valid[at] == '1');
                AF_CHECK_INT(af_bit_get(in.columns[0].bits, i), truth[at] == '1');
                nulls += valid[at] == '0';
            }
            AF_CHECK_INT(in.columns[0].null_count, nulls);
            if (rows % 64 != 0)
                AF_CHECK_INT(in.columns[0].bits[rows / 64] >> rows % 64, 0);
            done(&in, &t);
        }
    }
}

AF_TEST(no_nulls_is_no_bitmap)
{
    static const int64_t l[] = { 1, 2 };
    struct fixture_table t;
    struct imported in;
    AF_CHECK_OK(one(&in, &t, "l", fixture_fixed(l, 8, 2, 0, "11")), in.err);
    AF_CHECK(in.columns[0].validity == NULL && in.columns[0].null_count == 0);
    done(&in, &t);
}

AF_TEST(times_in_every_unit)
{
    static const int64_t v[] = { -1, 0, 1700000000 };
    static const int32_t w[] = { -1, 0, 86399 };
    static const struct {
        const char *format;
        enum af_type type;
        int64_t factor;
        bool is_local;
    } units[] = { { "tss:", AF_TYPE_TIME, 1000000000, true },  { "tsm:UTC", AF_TYPE_TIME, 1000000, false },
                  { "tsu:America/Sao_Paulo", AF_TYPE_TIME, 1000, false }, { "tsn:", AF_TYPE_TIME, 1, true },
                  { "ttu", AF_TYPE_CLOCK, 1000, false } };
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        struct fixture_table t;
        struct imported in;
        AF_CHECK_OK(one(&in, &t, units[u].format, fixture_fixed(v, 8, 3, 0, NULL)), in.err);
        const int64_t want[] = { -units[u].factor, 0, 1700000000 * units[u].factor };
        check_i64(&in.columns[0], units[u].type, want, 3);
        AF_CHECK_INT(in.table->schema.fields[0].is_local, units[u].is_local);
        done(&in, &t);
    }
    struct fixture_table t;
    struct imported in;
    AF_CHECK_OK(one(&in, &t, "tts", fixture_fixed(w, 4, 3, 0, NULL)), in.err);
    check_i64(&in.columns[0], AF_TYPE_CLOCK, (const int64_t[]){ -1000000000, 0, INT64_C(86399000000000) }, 3);
    done(&in, &t);
    AF_CHECK_OK(one(&in, &t, "tdD", fixture_fixed(w, 4, 3, 0, NULL)), in.err);
    check_i64(&in.columns[0], AF_TYPE_DATE, (const int64_t[]){ -1, 0, 86399 }, 3);
    done(&in, &t);
    AF_CHECK_OK(one(&in, &t, "tdm", fixture_fixed((const int64_t[]){ -1, 86400000, 86399999 }, 8, 3, 0, NULL)), in.err);
    check_i64(&in.columns[0], AF_TYPE_DATE, (const int64_t[]){ -1, 1, 0 }, 3);
    done(&in, &t);
}

AF_TEST(times_past_nanoseconds_are_null_and_marked)
{
    static const int64_t v[] = { INT64_MAX, 0, INT64_MIN, INT64_MAX };
    struct fixture_table t;
    struct imported in;
    AF_CHECK_OK(one(&in, &t, "tsu:", fixture_fixed(v, 8, 4, 0, "1110")), in.err);
    const struct af_column *col = &in.columns[0];
    AF_CHECK(!af_column_has(col, 0) && af_column_has(col, 1) && !af_column_has(col, 2) && !af_column_has(col, 3));
    AF_CHECK(af_bit_get(col->invalid, 0) && !af_bit_get(col->invalid, 1) && af_bit_get(col->invalid, 2));
    AF_CHECK(!af_bit_get(col->invalid, 3)); /* that one was null */
    AF_CHECK_INT(col->null_count, 3);
    AF_CHECK_STR(col->invalid_why, "time out of range");
    done(&in, &t);
}

AF_TEST(decimals_of_every_width)
{
    static const int32_t d32[] = { -12345, 0 };
    static const int64_t d64[] = { -12345, 1 };
    struct fixture_table t = fixture_table(2);
    struct imported in;
    fixture_column(&t, "d:9,2,32", "a", fixture_fixed(d32, 4, 2, 0, NULL));
    fixture_column(&t, "d:18,3,64", "b", fixture_fixed(d64, 8, 2, 0, NULL));
    AF_CHECK_OK(import(&in, &t, 0, 2), in.err);
    AF_CHECK_INT(in.columns[0].i128[0], -12345);
    AF_CHECK_INT(in.columns[0].scale, 2);
    AF_CHECK_INT(in.columns[1].i128[1], 1);
    AF_CHECK_INT(in.columns[1].scale, 3);
    done(&in, &t);
}

static struct ArrowArray *large_text(void)
{
    static const int64_t offsets[] = { 0, 1, 1, 4 };
    struct ArrowArray *array = fixture_array(2, 0, 1, 3);
    array->buffers[1] = fixture_copy(offsets, sizeof offsets);
    array->buffers[2] = fixture_copy("abcd", 4);
    return array;
}

static struct ArrowArray *views(void)
{
    struct {
        int32_t len;
        char head[4];
        int32_t buffer, offset;
    } v[2] = { { .len = 5, .head = "shor" }, { .len = 13, .head = "loca", .buffer = 0, .offset = 2 } };
    memcpy((char *)&v[0] + 8, "t", 1);
    struct ArrowArray *array = fixture_array(2, 0, 0, 4);
    array->buffers[1] = fixture_copy(v, sizeof v);
    array->buffers[2] = fixture_copy("__local strings", 15);
    array->buffers[3] = fixture_copy((const int64_t[]){ 15 }, 8);
    return array;
}

AF_TEST(text_of_every_layout)
{
    struct fixture_table t = fixture_table(2);
    struct imported in;
    fixture_column(&t, "U", "large", large_text());
    fixture_column(&t, "vu", "view", views());
    fixture_column(&t, "w:2", "fixed", fixture_fixed("abcd", 2, 2, 0, NULL));
    fixture_column(&t, "z", "bytes", fixture_text("x|yz", 0, "01"));
    AF_CHECK_OK(import(&in, &t, 0, 2), in.err);
    AF_CHECK_SLICE(af_column_text(&in.columns[0], 0), "");
    AF_CHECK_SLICE(af_column_text(&in.columns[0], 1), "bcd");
    AF_CHECK(in.columns[0].bytes == (const char *)t.array->children[0]->buffers[2] + 1);
    AF_CHECK_SLICE(af_column_text(&in.columns[1], 0), "short");
    AF_CHECK_SLICE(af_column_text(&in.columns[1], 1), "local strings");
    AF_CHECK_SLICE(af_column_text(&in.columns[2], 1), "cd");
    AF_CHECK(!af_column_has(&in.columns[3], 0));
    AF_CHECK_SLICE(af_column_text(&in.columns[3], 1), "yz");
    AF_CHECK_INT(in.columns[3].type, AF_TYPE_BYTES);
    done(&in, &t);
}

/* Views of two rows: one of `len` bytes at `offset` of buffer `buffer`, of `size` bytes as told, of which there are 20; and "ok". */
static struct ArrowArray *one_view(int32_t len, int32_t buffer, int32_t offset, int64_t size, const char *valid)
{
    const int32_t v[8] = { len, 0, buffer, offset, 2, 'o' | 'k' << 8, 0, 0 };
    struct ArrowArray *array = fixture_array(2, valid != NULL ? -1 : 0, 0, 4);
    array->buffers[1] = fixture_copy(v, sizeof v);
    array->buffers[2] = fixture_copy("12345678901234567890", 20);
    array->buffers[3] = fixture_copy(&size, sizeof size);
    fixture_validity(array, valid);
    return array;
}

AF_TEST(views_that_lead_nowhere_are_refused)
{
    static const struct {
        int32_t len, buffer, offset;
        int64_t size;
    } bad[] = { { -1, 0, 0, 20 },  { 13, 1, 0, 20 }, { 13, -1, 0, 20 }, { 13, 0, -1, 20 },
                { 13, 0, 8, 20 }, { 21, 0, 0, 20 }, { 13, 0, 0, 12 },  { INT32_MAX, 0, INT32_MAX, 20 } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fixture_table t;
        struct imported in;
        AF_CHECK_FAILS(one(&in, &t, "vu", one_view(bad[i].len, bad[i].buffer, bad[i].offset, bad[i].size, NULL)), AF_EINVAL);
        done(&in, &t);
        /* A row without a value may hold any. */
        AF_CHECK_OK(one(&in, &t, "vu", one_view(bad[i].len, bad[i].buffer, bad[i].offset, bad[i].size, "01")), in.err);
        AF_CHECK_INT(in.columns[0].null_count, 1);
        AF_CHECK_SLICE(af_column_text(&in.columns[0], 1), "ok");
        done(&in, &t);
    }
}

AF_TEST(empty_arrays_may_have_no_buffers)
{
    static const char *const formats[] = { "l", "i", "u", "U", "vu", "b", "tsn:", "w:3", "d:10,1" };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct fixture_table t;
        struct imported in;
        AF_CHECK_OK(one(&in, &t, formats[i], fixture_array(0, 0, 0, 3)), in.err);
        AF_CHECK_INT(in.columns[0].null_count, 0);
        done(&in, &t);
    }
}

AF_TEST(rows_without_buffers_are_refused)
{
    static const char *const formats[] = { "l", "i", "u", "U", "vu", "b", "tsn:", "w:3", "w:0", "d:10,1" };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct fixture_table t;
        struct imported in;
        AF_CHECK_FAILS(one(&in, &t, formats[i], fixture_array(3, 0, 0, 3)), AF_EINVAL);
        AF_CHECK(strstr(in.err.message, "column 'c'") != NULL);
        done(&in, &t);
    }
}

/* --- dictionaries -------------------------------------------------------------------------------------------------------------- */

static struct fixture_table coded(const char *index, const char *values, struct ArrowArray *codes, struct ArrowArray *dict)
{
    struct fixture_table t = fixture_table(codes->length);
    codes->dictionary = dict;
    fixture_column(&t, index, "c", codes);
    t.schema->children[0]->dictionary = fixture_schema(values, "");
    return t;
}

AF_TEST(dictionaries_of_text)
{
    static const int8_t c[] = { 0, 2, 99, 1 };
    struct fixture_table t = coded("c", "u", fixture_fixed(c, 1, 4, 0, "1101"), fixture_text("a|b|cc", 0, NULL));
    struct imported in;
    AF_CHECK_OK(import(&in, &t, 0, 4), in.err);
    AF_CHECK_SLICE(af_column_text(&in.columns[0], 1), "cc");
    AF_CHECK(!af_column_has(&in.columns[0], 2));
    AF_CHECK_INT(in.columns[0].codes[2], 0); /* in range, whatever stood there */
    AF_CHECK_SLICE(af_column_text(&in.columns[0], 3), "b");
    uint64_t id = in.columns[0].dict->id;
    /* The same words from another array are the same dictionary. */
    struct ArrowArray *again = fixture_text("skipped|a|b|cc", 1, NULL), *old = t.array->children[0]->dictionary;
    t.array->children[0]->dictionary = again;
    AF_CHECK_OK(arrow_array_begin(in.table, t.array, in.wanted, 1, &in.err), in.err);
    AF_CHECK_OK(arrow_import(in.table, t.array, in.wanted, 1, 0, 4, &in.arena, in.columns, &in.err), in.err);
    AF_CHECK(in.columns[0].dict->id == id);
    fixture_release_array(old);
    free(old);
    done(&in, &t);
}

AF_TEST(dictionaries_with_nulls_and_of_numbers)
{
    static const uint32_t codes[] = { 1, 0, 1, 2 };
    static const int64_t values[] = { 10, 20, 30 };
    struct fixture_table t = coded("I", "u", fixture_fixed(codes, 4, 4, 0, NULL), fixture_text("a|b|c", 0, "101"));
    struct imported in;
    AF_CHECK_OK(import(&in, &t, 0, 4), in.err);
    AF_CHECK(!af_column_has(&in.columns[0], 0) && af_column_has(&in.columns[0], 1) && !af_column_has(&in.columns[0], 2));
    AF_CHECK_SLICE(af_column_text(&in.columns[0], 3), "c");
    done(&in, &t);
    t = coded("i", "l", fixture_fixed(codes, 4, 4, 0, "0111"), fixture_fixed(values, 8, 3, 0, "110"));
    AF_CHECK_OK(import(&in, &t, 0, 4), in.err);
    AF_CHECK(!af_column_has(&in.columns[0], 0) && !af_column_has(&in.columns[0], 3));
    AF_CHECK_INT(in.columns[0].i64[1], 10);
    AF_CHECK_INT(in.columns[0].i64[2], 20);
    done(&in, &t);
    t = coded("i", "b", fixture_fixed(codes, 4, 4, 0, NULL), fixture_fixed("\x05", 1, 1, 1, NULL));
    t.array->children[0]->dictionary->offset = 0;
    t.array->children[0]->dictionary->length = 3;
    AF_CHECK_OK(import(&in, &t, 0, 4), in.err);
    AF_CHECK(!af_bit_get(in.columns[0].bits, 0) && af_bit_get(in.columns[0].bits, 1) && af_bit_get(in.columns[0].bits, 3));
    done(&in, &t);
}

AF_TEST(rows_of_invalid_entries_are_marked)
{
    static const uint32_t codes[] = { 1, 0, 1, 2 };
    static const int64_t values[] = { 10, INT64_MAX, 30 };
    struct fixture_table t = coded("I", "tsu:", fixture_fixed(codes, 4, 4, 0, "1101"), fixture_fixed(values, 8, 3, 0, "110"));
    struct imported in;
    AF_CHECK_OK(import(&in, &t, 0, 4), in.err);
    const struct af_column *col = &in.columns[0];
    AF_CHECK(!af_column_has(col, 0) && af_column_has(col, 1) && !af_column_has(col, 2) && !af_column_has(col, 3));
    AF_CHECK(col->invalid != NULL && af_bit_get(col->invalid, 0) && !af_bit_get(col->invalid, 1));
    AF_CHECK(col->invalid != NULL && !af_bit_get(col->invalid, 2) && !af_bit_get(col->invalid, 3)); /* those were null */
    AF_CHECK_STR(col->invalid_why, "time out of range");
    AF_CHECK_INT(col->i64[1], 10000);
    done(&in, &t);
}

AF_TEST(codes_past_the_dictionary_are_refused)
{
    static const int32_t codes[] = { 0, 3 }, negative[] = { -1, 0 };
    struct imported in;
    struct fixture_table t = coded("i", "u", fixture_fixed(codes, 4, 2, 0, NULL), fixture_text("a|b|c", 0, NULL));
    AF_CHECK_FAILS(import(&in, &t, 0, 2), AF_EINVAL);
    AF_CHECK(strstr(in.err.message, "code 3 of a dictionary of 3") != NULL);
    done(&in, &t);
    t = coded("i", "u", fixture_fixed(negative, 4, 2, 0, NULL), fixture_text("a|b|c", 0, NULL));
    AF_CHECK_FAILS(import(&in, &t, 0, 2), AF_EINVAL);
    done(&in, &t);
    t = coded("i", "u", fixture_fixed(negative, 4, 2, 0, "11"), fixture_text("a|b|c", 0, NULL));
    AF_CHECK_FAILS(import(&in, &t, 0, 2), AF_EINVAL);
    done(&in, &t);
    t = coded("i", "u", fixture_fixed(codes, 4, 2, 0, "00"), fixture_text("", 0, NULL)); /* all null: no words needed */
    AF_CHECK_OK(import(&in, &t, 0, 2), in.err);
    AF_CHECK_INT(in.columns[0].null_count, 2);
    done(&in, &t);
}

/* --- structs ----------------------------------------------------------------------------------------------------------------- */

AF_TEST(structs_are_flattened_with_their_nulls)
{
    static const int64_t l[] = { 9, 9, 1, 2, 3 };
    struct fixture_table t = fixture_table(3);
    struct imported in;
    struct ArrowArray *s = fixture_array(4, -1, 1, 1);
    struct ArrowSchema *schema = fixture_schema("+s", "meta");
    fixture_validity(s, "11101");
    fixture_add_array(s, fixture_fixed(l, 8, 5, 0, "11110"));
    fixture_add_array(s, fixture_text("x|y|z|p|q", 0, NULL));
    fixture_add_schema(schema, fixture_schema("l", "n"));
    fixture_add_schema(schema, fixture_schema("u", "s"));
    fixture_add_schema(t.schema, schema);
    fixture_add_array(t.array, s);
    t.array->offset = 1; /* rows 1..3 of the struct, which are 2..4 of its children */
    AF_CHECK_OK(import(&in, &t, 0, 3), in.err);
    AF_CHECK_STR(in.table->schema.fields[0].name, "meta.n");
    AF_CHECK_STR(in.table->schema.fields[1].name, "meta.s");
    AF_CHECK_INT(in.columns[0].i64[0], 1);
    AF_CHECK(af_column_has(&in.columns[0], 0) && !af_column_has(&in.columns[0], 1) && !af_column_has(&in.columns[0], 2));
    AF_CHECK(af_column_has(&in.columns[1], 0) && !af_column_has(&in.columns[1], 1) && af_column_has(&in.columns[1], 2));
    AF_CHECK_SLICE(af_column_text(&in.columns[1], 2), "q");
    done(&in, &t);
}

/* --- what is refused ---------------------------------------------------------------------------------------------------------- */

AF_TEST(types_that_cannot_be_read_are_named)
{
    static const char *const formats[] = { "+l", "+m", "tDn", "tiM", "+ud:0,1", "+r", "d:76,2,256", "d:10,-2", "?", "w:-1", "tsx:", "ts",
                                           "t" };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct fixture_table t;
        struct imported in;
        AF_CHECK_FAILS(one(&in, &t, formats[i], fixture_array(0, 0, 0, 2)), AF_EUNSUPPORTED);
        AF_CHECK(strstr(in.err.message, "column 'c'") != NULL && strstr(in.err.message, formats[i]) != NULL);
        done(&in, &t);
    }
}

AF_TEST(lengths_that_lie_are_refused)
{
    static const int64_t l[] = { 1, 2, 3 };
    for (int lie = 0; lie < 8; lie++) {
        struct fixture_table t = fixture_table(3);
        struct imported in;
        struct ArrowArray *array = fixture_fixed(l, 8, 3, 0, NULL);
        fixture_column(&t, "l", "c", array);
        switch (lie) {
        case 0: array->length = 2; break;
        case 1: array->length = -1; break;
        case 2: array->offset = -1; break;
        case 3: array->null_count = -2; break;
        case 4: t.array->offset = 1; break;
        case 5: array->offset = INT64_MAX; break;
        case 6: fixture_add_schema(t.schema, fixture_schema("l", "more")); break;
        default: t.array->length = INT64_MAX; break;
        }
        AF_CHECK_FAILS(import(&in, &t, 0, 3), AF_EINVAL);
        array->length = 3;
        done(&in, &t);
    }
}

AF_TEST(offsets_that_descend_are_refused)
{
    static const int32_t down[] = { 0, 3, 1, 4 }, below[] = { -1, 0, 1, 1 };
    for (int lie = 0; lie < 2; lie++) {
        struct ArrowArray *array = fixture_array(3, 0, 0, 3);
        struct fixture_table t;
        struct imported in;
        array->buffers[1] = fixture_copy(lie == 0 ? down : below, sizeof down);
        array->buffers[2] = fixture_copy("abcd", 4);
        AF_CHECK_FAILS(one(&in, &t, "u", array), AF_EINVAL);
        done(&in, &t);
    }
}

AF_TEST(schemas_that_are_none_are_refused)
{
    struct arrow_table *table = NULL;
    struct af_error err;
    struct ArrowSchema released = { .format = "+s" };
    AF_CHECK_FAILS(arrow_table_new(&released, &table, &err), AF_EINVAL);
    struct ArrowSchema *number = fixture_schema("l", "x");
    AF_CHECK_FAILS(arrow_table_new(number, &table, &err), AF_EINVAL);
    AF_CHECK(strstr(err.message, "not a table") != NULL);
    fixture_release_schema(number);
    free(number);
    struct ArrowSchema *childless = fixture_schema("+s", "");
    childless->n_children = 2;
    AF_CHECK_FAILS(arrow_table_new(childless, &table, &err), AF_EINVAL);
    childless->n_children = 0;
    fixture_release_schema(childless);
    free(childless);
    AF_CHECK(table == NULL);
}

AF_TEST(much_text_makes_smaller_batches)
{
    const size_t rows = 4096, each = 64 << 10; /* 256 MiB, which nobody reads */
    struct arrow_table *table = NULL;
    struct af_error err;
    struct fixture_table t = fixture_table((int64_t)rows);
    struct ArrowArray *array = fixture_array((int64_t)rows, 0, 0, 3);
    int32_t *offsets = malloc((rows + 1) * sizeof *offsets);
    size_t got = 0, wanted = 0;
    for (size_t i = 0; i <= rows; i++)
        offsets[i] = (int32_t)(i * each);
    array->buffers[1] = offsets;
    array->buffers[2] = malloc(1);
    fixture_column(&t, "u", "s", array);
    AF_CHECK_OK(arrow_table_new(t.schema, &table, &err), err);
    AF_CHECK_OK(arrow_rows(table, t.array, &wanted, 1, 0, &got, &err), err);
    AF_CHECK_INT(got, AF_BATCH_TEXT_BYTES_MAX / (int)each);
    arrow_table_free(table);
    fixture_done(&t);
}
