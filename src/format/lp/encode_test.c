/* encode_test.c - points to lines: every type, gaps, lanes, times, failures. */
#include "base/alloc.h"
#include "base/limits.h"
#include "format/lp/lp.h"
#include "test/lib/test.h"

enum { ROWS = 4 };

/* Four rows of two series and a field of each type; tests change what they need. */
struct sample {
    struct af_series_set set;
    struct af_points points;
    struct af_point_field fields[6];
    uint32_t series[ROWS];
    int64_t time_ns[ROWS];
    double f64[ROWS];
    int64_t i64[ROWS];
    uint64_t u64[ROWS];
    uint64_t bits[1];
    int32_t offsets[ROWS + 1];
    uint32_t codes[ROWS];
    struct af_dict *dict;
};

static void name_field(struct sample *s, size_t i, const char *name, const char *escaped, enum af_type type)
{
    s->fields[i] = (struct af_point_field){ .name = af_slice_of(name), .escaped = af_slice_of(escaped), .column = { .type = type } };
}

static void sample_init(struct sample *s)
{
    static const char *const keys[] = { "m,a=b", "measurement\\ two,tag=value" };
    static const int32_t dict_offsets[] = { 0, 2, 7 };
    struct af_error err = { 0 };
    memset(s, 0, sizeof *s);
    af_intern_init(&s->set.keys);
    for (uint32_t i = 0; i < 2; i++)
        AF_CHECK_OK(af_intern_add(&s->set.keys, af_slice_of(keys[i]), &s->series[i], &err), err);
    AF_CHECK_OK(af_dict_new(dict_offsets, "MWa\"b\\c", 2, &s->dict, &err), err);
    for (uint32_t i = 0; i < ROWS; i++) {
        s->series[i] = i % 2;
        s->time_ns[i] = INT64_C(1704110400000000000) + i / 2;
        s->f64[i] = 1500.5 * i;
        s->i64[i] = -(int64_t)i;
        s->u64[i] = UINT64_MAX - i;
        s->codes[i] = i % 2;
        s->offsets[i + 1] = (int32_t)i + 1;
    }
    s->bits[0] = 0x5;
    name_field(s, 0, "f", "f", AF_TYPE_F64);
    name_field(s, 1, "i", "i", AF_TYPE_I64);
    name_field(s, 2, "u", "u", AF_TYPE_U64);
    name_field(s, 3, "b", "b", AF_TYPE_BOOL);
    name_field(s, 4, "s", "s", AF_TYPE_STRING);
    name_field(s, 5, "a name,longer=than sixteen", "a\\ name\\,longer\\=than\\ sixteen", AF_TYPE_STRING);
    s->fields[0].column.f64 = s->f64;
    s->fields[1].column.i64 = s->i64;
    s->fields[2].column.u64 = s->u64;
    s->fields[3].column.bits = s->bits;
    s->fields[4].column.offsets = s->offsets;
    s->fields[4].column.bytes = "x\"\\\n";
    s->fields[5].column.codes = s->codes;
    s->fields[5].column.dict = s->dict;
    s->points = (struct af_points){ .row_count = ROWS, .set = &s->set, .series = s->series, .time_ns = s->time_ns, .field_count = 6,
                                    .fields = s->fields, .first_row = 1000 };
}

static void sample_done(struct sample *s)
{
    af_intern_done(&s->set.keys);
    af_dict_unref(s->dict);
}

static void check_text(const struct sample *s, enum af_precision precision, const char *want)
{
    struct af_lp_text text;
    struct af_error err = { 0 };
    af_lp_text_init(&text);
    AF_CHECK_OK(af_lp_encode(&s->points, precision, &text, 1, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&text.bytes), want);
    af_lp_text_done(&text);
}

AF_TEST(lp_encode_every_type)
{
    struct sample s;
    sample_init(&s);
    check_text(&s, AF_PRECISION_NS,
               "m,a=b f=0,i=0i,u=18446744073709551615u,b=true,s=\"x\",a\\ name\\,longer\\=than\\ sixteen=\"MW\" 1704110400000000000\n"
               "measurement\\ two,tag=value "
               "f=1500.5,i=-1i,u=18446744073709551614u,b=false,s=\"\\\"\","
               "a\\ name\\,longer\\=than\\ sixteen=\"a\\\"b\\\\c\" 1704110400000000000\n"
               "m,a=b f=3001,i=-2i,u=18446744073709551613u,b=true,s=\"\\\\\","
               "a\\ name\\,longer\\=than\\ sixteen=\"MW\" 1704110400000000001\n"
               "measurement\\ two,tag=value "
               "f=4501.5,i=-3i,u=18446744073709551612u,b=false,s=\"\n\","
               "a\\ name\\,longer\\=than\\ sixteen=\"a\\\"b\\\\c\" 1704110400000000001\n");
    sample_done(&s);
}

AF_TEST(lp_encode_gaps_and_skipped_rows)
{
    struct sample s;
    struct af_lp_text text;
    struct af_error err = { 0 };
    uint64_t has_f[] = { 0x2 };
    uint64_t has_i[] = { 0xa };
    sample_init(&s);
    s.points.field_count = 2;
    s.fields[0].column.validity = has_f;
    s.fields[0].column.null_count = 3;
    s.fields[1].column.validity = has_i;
    s.fields[1].column.null_count = 2;
    af_lp_text_init(&text);
    AF_CHECK_OK(af_lp_encode(&s.points, AF_PRECISION_NS, &text, 1, &err), err);
    AF_CHECK_INT(text.line_count, 2); /* rows 0 and 2 have nothing */
    AF_CHECK_INT(text.value_count, 3);
    AF_CHECK_INT(text.rows[0], 1);
    AF_CHECK_INT(text.rows[1], 3);
    AF_CHECK_SLICE(af_lp_text_line(&text, 0), "measurement\\ two,tag=value f=1500.5,i=-1i 1704110400000000000");
    AF_CHECK_SLICE(af_lp_text_line(&text, 1), "measurement\\ two,tag=value i=-3i 1704110400000000001");
    AF_CHECK_INT(text.ends[1], text.bytes.len);

    s.series[1] = UINT32_MAX; /* and a row that was rejected; the text goes on behind what is there */
    AF_CHECK_OK(af_lp_encode(&s.points, AF_PRECISION_NS, &text, 1, &err), err);
    AF_CHECK_INT(text.line_count, 3);
    AF_CHECK_SLICE(af_lp_text_line(&text, 2), "measurement\\ two,tag=value i=-3i 1704110400000000001");
    af_lp_text_clear(&text);
    AF_CHECK_INT(text.bytes.len + text.line_count + text.value_count, 0);
    af_lp_text_done(&text);
    sample_done(&s);
}

AF_TEST(lp_encode_times)
{
    static const struct {
        int64_t ns;
        enum af_precision precision;
        const char *text;
    } cases[] = {
        { 0, AF_PRECISION_NS, "0" },
        { -1, AF_PRECISION_NS, "-1" },
        { -1, AF_PRECISION_US, "-1" },
        { -1, AF_PRECISION_S, "-1" },
        { -1000000000, AF_PRECISION_S, "-1" },
        { -1000000001, AF_PRECISION_S, "-2" },
        { 1999999999, AF_PRECISION_S, "1" },
        { 999, AF_PRECISION_US, "0" },
        { 1704110400123456789, AF_PRECISION_NS, "1704110400123456789" },
        { 1704110400123456789, AF_PRECISION_US, "1704110400123456" },
        { 1704110400123456789, AF_PRECISION_MS, "1704110400123" },
        { 1704110400123456789, AF_PRECISION_S, "1704110400" },
        { 999999999999999999, AF_PRECISION_NS, "999999999999999999" },
        { 1000000000000000000, AF_PRECISION_NS, "1000000000000000000" },
        { INT64_MAX, AF_PRECISION_NS, "9223372036854775807" },
        { INT64_MIN, AF_PRECISION_NS, "-9223372036854775808" },
        { INT64_MIN, AF_PRECISION_US, "-9223372036854776" },
        { INT64_MIN, AF_PRECISION_MS, "-9223372036855" },
    };
    struct sample s;
    sample_init(&s);
    s.points.field_count = 1;
    s.points.row_count = 1;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char want[64] = "m,a=b f=0 ";
        strncat(want, cases[i].text, 30);
        strncat(want, "\n", 2);
        s.time_ns[0] = cases[i].ns;
        check_text(&s, cases[i].precision, want);
    }
    sample_done(&s);
}

AF_TEST(lp_encode_lanes_keep_series_together)
{
    struct sample s;
    struct af_lp_text lanes[3];
    struct af_error err = { 0 };
    sample_init(&s);
    for (int i = 0; i < 3; i++)
        af_lp_text_init(&lanes[i]);
    AF_CHECK_OK(af_lp_encode(&s.points, AF_PRECISION_S, lanes, 3, &err), err);
    size_t lines = 0;
    for (uint32_t lane = 0; lane < 3; lane++) {
        lines += lanes[lane].line_count;
        for (size_t i = 0; i < lanes[lane].line_count; i++) {
            AF_CHECK_INT(af_series_lane(&s.set, s.series[lanes[lane].rows[i]], 3), lane);
            AF_CHECK(i == 0 || lanes[lane].rows[i] > lanes[lane].rows[i - 1]);
        }
        af_lp_text_done(&lanes[lane]);
    }
    AF_CHECK_INT(lines, ROWS);
    sample_done(&s);
}

/* Longer than any block a copy is done in, in every length. */
AF_TEST(lp_encode_string_lengths)
{
    static char bytes[200];
    struct sample s;
    struct af_error err = { 0 };
    sample_init(&s);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = "abc\"de\\f"[i % 8];
    s.points.row_count = 1;
    s.points.field_count = 1;
    s.fields[0] = s.fields[4];
    for (int32_t len = 0; len < 200; len++) {
        char *exact = af_alloc((size_t)len + 1); /* so that reading past the end is seen */
        struct af_lp_text text;
        struct af_buf want;
        memcpy(exact, bytes, (size_t)len);
        exact[len] = 'z';
        s.offsets[1] = len;
        s.fields[0].column.bytes = exact;
        af_lp_text_init(&text);
        af_buf_init(&want, 4096);
        af_buf_append_str(&want, "m,a=b s=\"");
        for (int32_t i = 0; i < len; i++) {
            if (bytes[i] == '"' || bytes[i] == '\\')
                af_buf_append_char(&want, '\\');
            af_buf_append_char(&want, bytes[i]);
        }
        af_buf_append_str(&want, "\" 1704110400\n");
        AF_CHECK_OK(af_lp_encode(&s.points, AF_PRECISION_S, &text, 1, &err), err);
        AF_CHECK(af_slice_eq(af_buf_slice(&text.bytes), af_buf_slice(&want)));
        af_lp_text_done(&text);
        af_buf_done(&want);
        af_free(exact);
    }
    sample_done(&s);
}

AF_TEST(lp_encode_refuses_a_line_too_long)
{
    struct sample s;
    struct af_lp_text text;
    struct af_error err = { 0 };
    sample_init(&s);
    char *huge = af_alloc(AF_LP_LINE_BYTES_MAX);
    AF_CHECK(huge != NULL);
    memset(huge, 'x', AF_LP_LINE_BYTES_MAX);
    af_lp_text_init(&text);
    s.points.row_count = 2;
    s.points.field_count = 1;
    s.fields[0] = s.fields[4];
    s.fields[0].column.bytes = huge;
    s.offsets[1] = 5;
    s.offsets[2] = AF_LP_LINE_BYTES_MAX;
    AF_CHECK_FAILS(af_lp_encode(&s.points, AF_PRECISION_NS, &text, 1, &err), AF_ELIMIT);
    AF_CHECK(strstr(err.message, "row 1001") != NULL);
    AF_CHECK_INT(text.bytes.len + text.line_count + text.value_count, 0);
    s.offsets[2] = AF_LP_LINE_BYTES_MAX / 2;
    AF_CHECK_OK(af_lp_encode(&s.points, AF_PRECISION_NS, &text, 1, &err), err);
    AF_CHECK_INT(text.line_count, 2);
    af_lp_text_done(&text);
    af_free(huge);
    sample_done(&s);
}

AF_TEST(lp_encode_without_memory)
{
    struct sample s;
    sample_init(&s);
    for (size_t nth = 1;; nth++) {
        struct af_lp_text lanes[2];
        struct af_error err = { 0 };
        for (int i = 0; i < 2; i++)
            af_lp_text_init(&lanes[i]);
        af_alloc_fail_nth(nth);
        enum af_status status = af_lp_encode(&s.points, AF_PRECISION_NS, lanes, 2, &err);
        af_alloc_fail_nth(0);
        size_t lines = lanes[0].line_count + lanes[1].line_count;
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK_INT(lines, status == AF_OK ? ROWS : 0);
        AF_CHECK(status == AF_OK || lanes[0].bytes.len + lanes[1].bytes.len == 0);
        for (int i = 0; i < 2; i++)
            af_lp_text_done(&lanes[i]);
        if (status == AF_OK) {
            AF_CHECK(nth > 6);
            break;
        }
        AF_CHECK(nth < 100);
    }
    sample_done(&s);
}

AF_TEST(lp_precisions)
{
    static const char *const names[] = { "ns", "us", "ms", "s" };
    enum af_precision got;
    for (unsigned i = 0; i < 4; i++) {
        AF_CHECK(af_precision_parse(af_slice_of(names[i]), &got));
        AF_CHECK_INT(got, i);
        AF_CHECK_STR(af_precision_name(got), names[i]);
    }
    AF_CHECK_INT(af_precision_ns(AF_PRECISION_MS), 1000000);
    AF_CHECK(af_precision_parse(AF_SLICE_LIT("u"), &got));
    AF_CHECK_INT(got, AF_PRECISION_US);
    AF_CHECK(!af_precision_parse(AF_SLICE_LIT("n"), &got));
    AF_CHECK(!af_precision_parse(AF_SLICE_LIT(""), &got));
    AF_CHECK(!af_precision_parse(AF_SLICE_LIT("nss"), &got));
}
