/* data_test.c - dictionaries, bitmaps, JSON of batch.h; keys and lanes of points.h. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/prng.h"
#include "data/batch.h"
#include "data/points.h"
#include "test/lib/test.h"
#include <math.h>
#include <stdio.h>

AF_TEST(type_names)
{
    AF_CHECK_STR(af_type_name(AF_TYPE_NULL), "null");
    AF_CHECK_STR(af_type_name(AF_TYPE_CLOCK), "clock");
    AF_CHECK_STR(af_type_name(AF_TYPE_JSON), "json");
    AF_CHECK_STR(af_type_name((enum af_type)99), "unknown");
}

AF_TEST(schema_find)
{
    const struct af_field fields[] = { { .name = "time" }, { .name = "a.b" }, { .name = "value" } };
    const struct af_schema schema = { 3, fields };
    AF_CHECK_INT(af_schema_find(&schema, AF_SLICE_LIT("value")), 2);
    AF_CHECK_INT(af_schema_find(&schema, AF_SLICE_LIT("a.b")), 1);
    AF_CHECK(af_schema_find(&schema, AF_SLICE_LIT("valu")) == SIZE_MAX);
    AF_CHECK(af_schema_find(&schema, AF_SLICE_LIT("")) == SIZE_MAX);
}

/* --- dictionaries -------------------------------------------------------------------------------------------------------- */

AF_TEST(dict_copies_and_rebases)
{
    int32_t offsets[] = { 3, 5, 5, 9 };
    char bytes[] = "...aabbbb";
    struct af_dict *dict, *other;
    struct af_error err;
    AF_CHECK_OK(af_dict_new(offsets, bytes, 3, &dict, &err), err);
    memset(bytes, 'x', sizeof bytes);
    AF_CHECK_INT(dict->count, 3);
    AF_CHECK_SLICE(af_dict_get(dict, 0), "aa");
    AF_CHECK_SLICE(af_dict_get(dict, 1), "");
    AF_CHECK_SLICE(af_dict_get(dict, 2), "bbbb");
    AF_CHECK_OK(af_dict_new(offsets, bytes, 0, &other, &err), err);
    AF_CHECK(other->id != dict->id);
    AF_CHECK_INT(other->count, 0);
    af_dict_unref(other);
    af_dict_unref(dict);
    af_dict_unref(NULL);
}

AF_TEST(dict_refuses_bad_offsets)
{
    struct af_dict *dict = NULL;
    struct af_error err;
    AF_CHECK_FAILS(af_dict_new((const int32_t[]){ 0, 5, 3 }, "abcde", 2, &dict, &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_dict_new((const int32_t[]){ -1, 5 }, "abcde", 1, &dict, &err), AF_ECORRUPT);
    AF_CHECK(dict == NULL);
}

static int freed;

static void count_free(struct af_dict *dict)
{
    (void)dict;
    freed++;
}

AF_TEST(dict_lives_as_long_as_someone_holds_it)
{
    struct af_dict dict = { .free = count_free, .refs = 1 };
    struct af_arena arena;
    struct af_error err;
    af_arena_init(&arena, 1 << 20);
    AF_CHECK_OK(af_dict_hold(&dict, &arena, &err), err);
    AF_CHECK_OK(af_dict_hold(&dict, &arena, &err), err);
    AF_CHECK(af_dict_ref(&dict) == &dict);
    af_dict_unref(&dict);
    af_dict_unref(&dict);
    AF_CHECK_INT(freed, 0);
    af_arena_reset(&arena);
    AF_CHECK_INT(freed, 1);
    af_arena_done(&arena);
    AF_CHECK_INT(freed, 1);
}

AF_TEST(dict_without_memory)
{
    const int32_t offsets[] = { 0, 1 };
    struct af_dict *dict = NULL;
    struct af_error err;
    af_alloc_fail_nth(1);
    AF_CHECK_FAILS(af_dict_new(offsets, "a", 1, &dict, &err), AF_ENOMEM);
    af_alloc_fail_nth(0);
    AF_CHECK(dict == NULL);
    AF_CHECK_OK(af_dict_new(offsets, "a", 1, &dict, &err), err);
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    af_alloc_fail_nth(1);
    AF_CHECK_FAILS(af_dict_hold(dict, &arena, &err), AF_ENOMEM);
    af_alloc_fail_nth(0);
    AF_CHECK_INT(dict->refs, 1);
    af_arena_done(&arena);
    af_arena_init(&arena, 8);
    AF_CHECK_FAILS(af_dict_hold(dict, &arena, &err), AF_ELIMIT);
    af_arena_done(&arena);
    af_dict_unref(dict);
}

/* --- bitmaps ------------------------------------------------------------------------------------------------------------- */

AF_TEST(bits)
{
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    for (size_t rows = 0; rows < 200; rows++) {
        uint64_t *ones = af_bits_new(&arena, rows, true);
        uint64_t *zeros = af_bits_new(&arena, rows, false);
        AF_CHECK(ones != NULL && zeros != NULL);
        AF_CHECK_INT(af_bits_count(ones, rows), rows);
        AF_CHECK_INT(af_bits_count(zeros, rows), 0);
        if (rows % 64 != 0)
            AF_CHECK(ones[rows / 64] >> (rows % 64) == 0);
        for (size_t i = 0; i < rows; i += 3)
            af_bit_set(zeros, i);
        AF_CHECK_INT(af_bits_count(zeros, rows), (rows + 2) / 3);
        AF_CHECK_INT(af_bits_count(ones, rows / 2), rows / 2);
    }
    AF_CHECK(af_bits_new(&arena, SIZE_MAX, true) == NULL);
    af_arena_done(&arena);
}

/* --- JSON ---------------------------------------------------------------------------------------------------------------- */

/* One column, printed row by row into one text with spaces between. */
static void check_json(const struct af_column *column, size_t rows, const char *want)
{
    const struct af_field field = { .name = "c", .type = column->type };
    const struct af_schema schema = { 1, &field };
    const struct af_batch batch = { .schema = &schema, .row_count = rows, .columns = column };
    struct af_buf out;
    af_buf_init(&out, 1 << 16);
    for (size_t row = 0; row < rows; row++) {
        if (row != 0)
            af_buf_append_char(&out, ' ');
        af_batch_print_json(&out, &batch, row, 0);
    }
    AF_CHECK(!out.failed);
    AF_CHECK_SLICE(af_buf_slice(&out), want);
    af_buf_done(&out);
}

AF_TEST(json_of_numbers)
{
    const uint64_t valid[] = { 0xb }, bits[] = { 0x9 };
    check_json(&(struct af_column){ .type = AF_TYPE_NULL }, 2, "null null");
    check_json(&(struct af_column){ .type = AF_TYPE_BOOL, .validity = valid, .bits = bits }, 4, "true false null true");
    check_json(&(struct af_column){ .type = AF_TYPE_I64, .i64 = (const int64_t[]){ 0, INT64_MIN, INT64_MAX } }, 3,
               "0 -9223372036854775808 9223372036854775807");
    check_json(&(struct af_column){ .type = AF_TYPE_U64, .u64 = (const uint64_t[]){ UINT64_MAX } }, 1, "18446744073709551615");
    check_json(&(struct af_column){ .type = AF_TYPE_F64,
                                    .f64 = (const double[]){ 1500.5, -0.0, 1e300, 5e-324, NAN, INFINITY, -INFINITY } },
               7, "1500.5 -0 1e+300 5e-324 \"NaN\" \"Infinity\" \"-Infinity\"");
    check_json(&(struct af_column){ .type = AF_TYPE_DECIMAL, .scale = 2, .i128 = (const __int128[]){ 12345, -7 } }, 2,
               "\"123.45\" \"-0.07\"");
}

AF_TEST(json_of_times)
{
    check_json(&(struct af_column){ .type = AF_TYPE_TIME, .i64 = (const int64_t[]){ 6, INT64_MIN } }, 2,
               "\"1970-01-01T00:00:00.000000006Z\" \"1677-09-21T00:12:43.145224192Z\"");
    check_json(&(struct af_column){ .type = AF_TYPE_DATE, .i64 = (const int64_t[]){ 0, -1, INT32_MAX, INT64_MAX } }, 4,
               "\"1970-01-01\" \"1969-12-31\" \"+5881580-07-11\" 9223372036854775807");
    check_json(&(struct af_column){ .type = AF_TYPE_CLOCK,
                                    .i64 = (const int64_t[]){ 0, 86399999999999, 86400000000000, -1, INT64_MAX } }, 5,
               "\"00:00:00.000000000\" \"23:59:59.999999999\" \"24:00:00.000000000\" -1 9223372036854775807");
}

AF_TEST(json_of_text)
{
    const int32_t offsets[] = { 0, 3, 3, 7 };
    check_json(&(struct af_column){ .type = AF_TYPE_STRING, .offsets = offsets, .bytes = "a\"b\xff\n\xc3\xa3" }, 3,
               "\"a\\\"b\" \"\" \"\xef\xbf\xbd\\n\xc3\xa3\"");
    check_json(&(struct af_column){ .type = AF_TYPE_BYTES, .offsets = offsets, .bytes = "\x01\xfe\x30\xff\xa0\0z" }, 3,
               "\"01fe30\" \"\" \"ffa0007a\"");
    const int32_t json_offsets[] = { 0, 15, 15, 18 };
    check_json(&(struct af_column){ .type = AF_TYPE_JSON, .offsets = json_offsets, .bytes = "{\"a\":\n[1,\t\"x\"]}1.5" }, 2,
               "{\"a\": [1, \"x\"]} null");
    struct af_dict *dict;
    struct af_error err;
    AF_CHECK_OK(af_dict_new((const int32_t[]){ 0, 5, 7 }, "hydroSE", 2, &dict, &err), err);
    const uint64_t valid[] = { 0x5 };
    check_json(&(struct af_column){ .type = AF_TYPE_STRING, .validity = valid, .codes = (const uint32_t[]){ 1, 0, 0 }, .dict = dict }, 3,
               "\"SE\" null \"hydro\"");
    af_dict_unref(dict);
}

AF_TEST(json_of_a_row)
{
    const struct af_field fields[] = { { .name = "ti\"me", .type = AF_TYPE_TIME }, { .name = "v", .type = AF_TYPE_F64 } };
    const struct af_column columns[] = { { .type = AF_TYPE_TIME, .i64 = (const int64_t[]){ 1 } },
                                         { .type = AF_TYPE_F64, .f64 = (const double[]){ 0.1 } } };
    const struct af_schema schema = { 2, fields };
    const struct af_batch batch = { .schema = &schema, .row_count = 1, .columns = columns };
    struct af_buf out;
    af_buf_init(&out, 1 << 16);
    af_batch_print_row_json(&out, &batch, 0);
    AF_CHECK_SLICE(af_buf_slice(&out), "{\"ti\\\"me\":\"1970-01-01T00:00:00.000000001Z\",\"v\":0.1}");
    for (size_t max = 0; max < out.len; max++) {
        struct af_buf small;
        af_buf_init(&small, max);
        af_batch_print_row_json(&small, &batch, 0);
        AF_CHECK(small.failed && small.len <= max);
        af_buf_done(&small);
    }
    af_buf_done(&out);
}

/* --- keys and lanes ------------------------------------------------------------------------------------------------------ */

static void check_key(void (*append)(struct af_buf *, struct af_slice), const char *text, const char *want)
{
    struct af_buf out;
    af_buf_init(&out, 1 << 16);
    append(&out, af_slice_of(text));
    af_buf_append_char(&out, '.');
    out.len--;
    AF_CHECK_SLICE(af_buf_slice(&out), want);
    af_buf_done(&out);
}

AF_TEST(key_escapes)
{
    check_key(af_key_append_measurement, "", "");
    check_key(af_key_append_measurement, "a b,c=d\\e\"f", "a\\ b\\,c=d\\e\"f");
    check_key(af_key_append_tag, "", "");
    check_key(af_key_append_tag, ",a b=c=", "\\,a\\ b\\=c\\=");
    check_key(af_key_append_tag, "S\xc3\xa3o Paulo and a longer text than one block, with all of them = 3",
              "S\xc3\xa3o\\ Paulo\\ and\\ a\\ longer\\ text\\ than\\ one\\ block\\,\\ with\\ all\\ of\\ them\\ \\=\\ 3");
}

/* Against a loop over single bytes, at every length and place. */
AF_TEST(key_escapes_everywhere)
{
    static const char pool[] = "abcdefghij, =\\\xc3\xa3";
    struct af_prng prng = { 1 };
    struct af_buf got;
    af_buf_init(&got, 1 << 16);
    for (int round = 0; round < 100000; round++) {
        char text[70], want[140];
        size_t len = af_prng_below(&prng, sizeof text), want_len = 0;
        bool is_tag = round % 2 == 0;
        for (size_t i = 0; i < len; i++) {
            text[i] = pool[af_prng_below(&prng, round % 4 < 2 ? sizeof pool - 1 : 12)];
            if (text[i] == ',' || text[i] == ' ' || (is_tag && text[i] == '='))
                want[want_len++] = '\\';
            want[want_len++] = text[i];
        }
        af_buf_clear(&got);
        (is_tag ? af_key_append_tag : af_key_append_measurement)(&got, af_slice_make(text, len));
        AF_CHECK(af_slice_eq(af_buf_slice(&got), af_slice_make(want, want_len)));
    }
    af_buf_done(&got);
}

AF_TEST(lanes_are_even_and_stable)
{
    enum { SERIES = 20000, LANES = 7 };
    struct af_series_set set = { 0 };
    af_intern_init(&set.keys);
    size_t counts[LANES] = { 0 };
    static uint32_t first[SERIES];
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < SERIES; i++) {
            uint32_t n = round == 0 ? i : SERIES - 1 - i; /* other ids for the same keys */
            char key[40];
            uint32_t id;
            snprintf(key, sizeof key, "load,area=%u", n);
            AF_CHECK(af_intern_add(&set.keys, af_slice_of(key), &id, NULL) == AF_OK);
            uint32_t lane = af_series_lane(&set, id, LANES);
            AF_CHECK(lane < LANES);
            AF_CHECK_INT(af_series_lane(&set, id, 1), 0);
            if (round == 0)
                first[n] = lane;
            AF_CHECK_INT(lane, first[n]);
            counts[lane]++;
        }
        af_intern_clear(&set.keys);
    }
    for (size_t i = 0; i < LANES; i++)
        AF_CHECK(counts[i] > 2 * SERIES / LANES * 9 / 10 && counts[i] < 2 * SERIES / LANES * 11 / 10);
    af_intern_done(&set.keys);
}

AF_TEST(every_series_set_has_a_generation_of_its_own)
{
    struct af_series_set a, b;
    af_series_set_init(&a);
    af_series_set_init(&b);
    AF_CHECK(a.generation != b.generation);
    uint64_t before = a.generation;
    af_series_set_clear(&a);
    AF_CHECK(a.generation != before && a.generation != b.generation);
    af_series_set_done(&a);
    af_series_set_done(&b);
}
