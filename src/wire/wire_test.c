/* wire_test.c - what the writers print, byte for byte: each format, chunks, limits, errors half-way, sending in pieces, memory that runs
 * out. */
#include "base/alloc.h"
#include "base/limits.h"
#include "test/lib/test.h"
#include "wire/wire_int.h"
#include <math.h>

struct fix {
    struct af_arena arena;
    struct af_buf out;
    struct af_wire *wire;
    struct af_error err;
    bool is_full;
};

static void begin(struct fix *f, struct af_wire_options options)
{
    *f = (struct fix){ 0 };
    af_arena_init(&f->arena, SIZE_MAX);
    af_buf_init(&f->out, SIZE_MAX);
    AF_CHECK_OK(af_wire_new(&options, &f->out, &f->wire, &f->err), f->err);
    af_wire_begin(f->wire);
}

static void end(struct fix *f)
{
    af_wire_free(f->wire);
    af_buf_done(&f->out);
    af_arena_done(&f->arena);
}

static enum af_status feed(struct fix *f, struct af_made *made)
{
    struct af_tables *tables;
    const struct af_table *table;
    struct af_arena arena;
    enum af_status status;
    AF_CHECK_OK(af_made_finish(made, &tables, &f->err), f->err);
    af_arena_init(&arena, SIZE_MAX);
    while ((status = af_tables_next(tables, &arena, &table, &f->err)) == AF_OK && table != NULL && !f->is_full) {
        status = af_wire_table(f->wire, table, &f->is_full, &f->err);
        if (status != AF_OK)
            break;
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    af_tables_close(tables);
    return status;
}

static const char *const five[] = { "time", "f", "i", "ok", "s" };

/* Two series of two rows with every kind of value. */
static struct af_made *sample(struct af_arena *arena)
{
    struct af_made *made = af_made_new(arena);
    for (int64_t series = 0; series < 2; series++) {
        af_made_begin(made, "cpu", 5, five);
        af_made_tag(made, "host", series == 0 ? AF_SLICE_LIT("a b") : AF_SLICE_LIT("c"));
        for (int64_t row = 0; row < 2; row++) {
            af_made_cell(made, af_value_time(series * 1000000000 + row * 1500000));
            af_made_cell(made, row == 0 ? af_value_f64(1.5) : af_value_none());
            af_made_cell(made, af_value_i64(-7 * row));
            af_made_cell(made, af_value_bool(row == 0));
            af_made_cell(made, af_value_text(row == 0 ? AF_SLICE_LIT("x, \"y\"") : AF_SLICE_LIT("z")));
        }
    }
    return made;
}

static void statement(struct fix *f, uint64_t id, struct af_made *made)
{
    af_wire_statement(f->wire, id);
    if (made != NULL)
        AF_CHECK_OK(feed(f, made), f->err);
    af_wire_statement_end(f->wire, NULL, 0, NULL);
}

static void prints(struct af_wire_options options, const char *want)
{
    struct fix f;
    begin(&f, options);
    statement(&f, 0, sample(&f.arena));
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out), want);
    end(&f);
}

/* --- 1.x JSON ----------------------------------------------------------------------------------------------------------------------- */

AF_TEST(json_is_that_of_1x)
{
    prints((struct af_wire_options){ .format = AF_WIRE_V1_JSON },
           "{\"results\":[{\"statement_id\":0,\"series\":["
           "{\"name\":\"cpu\",\"tags\":{\"host\":\"a b\"},\"columns\":[\"time\",\"f\",\"i\",\"ok\",\"s\"],\"values\":["
           "[\"1970-01-01T00:00:00Z\",1.5,0,true,\"x, \\\"y\\\"\"],[\"1970-01-01T00:00:00.0015Z\",null,-7,false,\"z\"]]},"
           "{\"name\":\"cpu\",\"tags\":{\"host\":\"c\"},\"columns\":[\"time\",\"f\",\"i\",\"ok\",\"s\"],\"values\":["
           "[\"1970-01-01T00:00:01Z\",1.5,0,true,\"x, \\\"y\\\"\"],[\"1970-01-01T00:00:01.0015Z\",null,-7,false,\"z\"]]}]}]}\n");
}

AF_TEST(chunks_end_with_a_series_and_with_their_rows)
{
    prints((struct af_wire_options){ .format = AF_WIRE_V1_JSON, .chunked = true, .chunk_rows = 1, .epoch_ns = 1000 },
           "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"cpu\",\"tags\":{\"host\":\"a b\"},\"columns\":[\"time\",\"f\",\"i\","
           "\"ok\",\"s\"],"
           "\"values\":[[0,1.5,0,true,\"x, \\\"y\\\"\"]],\"partial\":true}],\"partial\":true}]}\n"
           "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"cpu\",\"tags\":{\"host\":\"a b\"},\"columns\":[\"time\",\"f\",\"i\","
           "\"ok\",\"s\"],"
           "\"values\":[[1500,null,-7,false,\"z\"]]}],\"partial\":true}]}\n"
           "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"cpu\",\"tags\":{\"host\":\"c\"},\"columns\":[\"time\",\"f\",\"i\","
           "\"ok\",\"s\"],"
           "\"values\":[[1000000,1.5,0,true,\"x, \\\"y\\\"\"]],\"partial\":true}],\"partial\":true}]}\n"
           "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"cpu\",\"tags\":{\"host\":\"c\"},\"columns\":[\"time\",\"f\",\"i\","
           "\"ok\",\"s\"],"
           "\"values\":[[1001500,null,-7,false,\"z\"]]}]}]}\n");
}

static struct af_made *names(struct af_arena *arena)
{
    static const char *const column[] = { "name" };
    struct af_made *made = af_made_new(arena);
    af_made_begin(made, "m", 1, column);
    af_made_cell(made, af_value_text(AF_SLICE_LIT("a")));
    af_made_cell(made, af_value_text(AF_SLICE_LIT("b")));
    af_made_begin(made, "n", 1, column);
    af_made_cell(made, af_value_text(AF_SLICE_LIT("c")));
    return made;
}

static void cuts(enum af_wire_cut cut, const char *want)
{
    struct fix f;
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_JSON, .chunked = true, .chunk_rows = 1 });
    af_wire_statement(f.wire, 3);
    af_wire_cut(f.wire, cut);
    AF_CHECK_OK(feed(&f, names(&f.arena)), f.err);
    af_wire_statement_end(f.wire, NULL, 0, NULL);
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out), want);
    end(&f);
}

AF_TEST(lists_of_names_are_cut_in_their_own_way)
{
    cuts(AF_WIRE_BY_SERIES,
         "{\"results\":[{\"statement_id\":3,\"series\":[{\"name\":\"m\",\"columns\":[\"name\"],\"values\":[[\"a\"],[\"b\"]]}]}]}\n"
                            "{\"results\":[{\"statement_id\":3,\"series\":[{\"name\":\"n\",\"columns\":[\"name\"],"
                            "\"values\":[[\"c\"]]}]}]}\n");
    cuts(AF_WIRE_UNCUT,
         "{\"results\":[{\"statement_id\":3,\"series\":[{\"name\":\"m\",\"columns\":[\"name\"],\"values\":[[\"a\"],[\"b\"]]},"
                        "{\"name\":\"n\",\"columns\":[\"name\"],\"values\":[[\"c\"]]}]}]}\n");
}

AF_TEST(pretty_json_has_four_spaces)
{
    struct fix f;
    struct af_wire_message warning = { "warning", "old <way>" };
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_JSON, .pretty = true });
    statement(&f, 0, NULL);
    af_wire_statement(f.wire, 1);
    AF_CHECK_OK(feed(&f, names(&f.arena)), f.err);
    af_wire_statement_end(f.wire, &warning, 1, NULL);
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out),
                   "{\n    \"results\": [\n        {\n            \"statement_id\": 0\n        },\n        {\n"
                   "            \"statement_id\": 1,\n"
                   "            \"series\": [\n                {\n                    \"name\": \"m\",\n"
                   "                    \"columns\": [\n"
                   "                        \"name\"\n                    ],\n                    \"values\": [\n"
                   "                        [\n"
                   "                            \"a\"\n                        ],\n                        [\n"
                   "                            \"b\"\n"
                   "                        ]\n                    ]\n                },\n                {\n"
                   "                    \"name\": \"n\",\n"
                   "                    \"columns\": [\n                        \"name\"\n                    ],\n"
                   "                    \"values\": [\n"
                   "                        [\n                            \"c\"\n                        ]\n                    ]\n"
                   "                }\n            ],\n            \"messages\": [\n                {\n"
                   "                    \"level\": \"warning\",\n"
                   "                    \"text\": \"old \\u003cway\\u003e\"\n                }\n            ]\n        }\n    ]\n}\n");
    end(&f);
}

/* What was printed of a statement that fails is taken back; with chunks it was sent, and the error follows. */
AF_TEST(an_error_stands_alone)
{
    struct fix f;
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_JSON });
    statement(&f, 0, names(&f.arena));
    af_wire_statement(f.wire, 1);
    AF_CHECK_OK(feed(&f, sample(&f.arena)), f.err);
    af_wire_statement_end(f.wire, NULL, 0, "it \"broke\"");
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out),
                   "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"columns\":[\"name\"],\"values\":[[\"a\"],[\"b\"]]},"
                                         "{\"name\":\"n\",\"columns\":[\"name\"],\"values\":[[\"c\"]]}]},"
                                         "{\"statement_id\":1,\"error\":\"it \\\"broke\\\"\"}]}\n");
    end(&f);
}

AF_TEST(rows_past_the_limit_are_not_given)
{
    struct fix f;
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_JSON, .rows_max = 1 });
    statement(&f, 0, names(&f.arena));
    AF_CHECK(f.is_full);
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out),
                   "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"columns\":[\"name\"],\"values\":[[\"a\"]],"
                                         "\"partial\":true}]}]}\n");
    end(&f);
}

AF_TEST(infinity_is_no_json)
{
    static const char *const column[] = { "v" };
    struct fix f;
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_JSON });
    struct af_made *made = af_made_new(&f.arena);
    af_made_begin(made, NULL, 1, column);
    af_made_cell(made, af_value_f64(-INFINITY));
    af_wire_statement(f.wire, 0);
    AF_CHECK_FAILS(feed(&f, made), AF_EINVAL);
    AF_CHECK_STR(f.err.message, "json: unsupported value: -Inf");
    end(&f);
}

/* --- cells as text ----------------------------------------------------------------------------------------------------------------- */

static void number_is(double value, const char *json, const char *plain)
{
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    af_wire_json_float(&out, value);
    AF_CHECK_SLICE(af_buf_slice(&out), json);
    af_buf_clear(&out);
    wire_f64_plain(&out, value);
    AF_CHECK_SLICE(af_buf_slice(&out), plain);
    af_buf_done(&out);
}

AF_TEST(numbers_are_printed_as_go_does)
{
    number_is(0, "0", "0");
    number_is(-0.0, "-0", "-0");
    number_is(1.5, "1.5", "1.5");
    number_is(1e20, "100000000000000000000", "100000000000000000000");
    number_is(1e21, "1e+21", "1000000000000000000000");
    number_is(-123456789012345680000.0, "-123456789012345680000", "-123456789012345680000");
    number_is(1e-6, "0.000001", "0.000001");
    number_is(1e-7, "1e-7", "0.0000001");
    number_is(-1.25e-9, "-1.25e-9", "-0.00000000125");
    number_is(1e-10, "1e-10", "0.0000000001");
    number_is(2.5e-30, "2.5e-30", "0.0000000000000000000000000000025");
    number_is(0.1, "0.1", "0.1");
    number_is(1.7976931348623157e308, "1.7976931348623157e+308",
              "179769313486231570000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
              "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
              "000000000000000000000000000000000000000000000000000000000000000000000");
}

static void text_is(struct af_slice text, const char *json, const char *csv)
{
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    af_wire_json_text(&out, text);
    AF_CHECK_SLICE(af_buf_slice(&out), json);
    af_buf_clear(&out);
    wire_csv_cell(&out, text);
    AF_CHECK_SLICE(af_buf_slice(&out), csv);
    af_buf_done(&out);
}

AF_TEST(text_is_escaped_as_go_does)
{
    text_is(AF_SLICE_LIT(""), "\"\"", "");
    text_is(AF_SLICE_LIT("plain ção"), "\"plain ção\"", "plain ção");
    text_is(AF_SLICE_LIT("<a&b>"), "\"\\u003ca\\u0026b\\u003e\"", "<a&b>");
    text_is(AF_SLICE_LIT("q\"b\\"), "\"q\\\"b\\\\\"", "\"q\"\"b\\\"");
    text_is(AF_SLICE_LIT("l\nt\tr\r"), "\"l\\nt\\tr\\r\"", "\"l\nt\tr\"");
    text_is(AF_SLICE_LIT("\b\f\x01\x7f"), "\"\\u0008\\u000c\\u0001\x7f\"", "\b\f\x01\x7f");
    text_is(AF_SLICE_LIT("\xe2\x80\xa8.\xe2\x80\xa9"), "\"\\u2028.\\u2029\"", "\xe2\x80\xa8.\xe2\x80\xa9");
    text_is(AF_SLICE_LIT("a\xff" "b\xe2\x80 \xed\xa0\x80\xf0\x9f\x98\x80"),
            "\"a\\ufffdb\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd\xf0\x9f\x98\x80\"",
            "a\xff" "b\xe2\x80 \xed\xa0\x80\xf0\x9f\x98\x80");
    text_is(AF_SLICE_LIT(" lead"), "\" lead\"", "\" lead\"");
    text_is(AF_SLICE_LIT("\\."), "\"\\\\.\"", "\"\\.\"");
    text_is(AF_SLICE_LIT("a,b"), "\"a,b\"", "\"a,b\"");
}

static void time_is(int64_t ns, int32_t offset_s, const char *want)
{
    char text[64];
    struct af_zone zone = { .kind = AF_ZONE_FIXED, .offset_s = offset_s };
    char *last = wire_time_print(text, ns, &zone);
    AF_CHECK_SLICE(af_slice_make(text, (size_t)(last - text)), want);
}

AF_TEST(times_are_rfc3339_without_zeros_at_the_end)
{
    time_is(0, 0, "1970-01-01T00:00:00Z");
    time_is(-1, 0, "1969-12-31T23:59:59.999999999Z");
    time_is(1500000000, -3 * 3600, "1969-12-31T21:00:01.5-03:00");
    time_is(120, 19800, "1970-01-01T05:30:00.00000012+05:30");
    time_is(INT64_MAX, 0, "2262-04-11T23:47:16.854775807Z");
    time_is(INT64_MIN, 0, "1677-09-21T00:12:43.145224192Z");
}

/* --- 1.x CSV and msgpack ------------------------------------------------------------------------------------------------------------- */

AF_TEST(csv_is_that_of_1x)
{
    prints((struct af_wire_options){ .format = AF_WIRE_V1_CSV },
           "name,tags,time,f,i,ok,s\n"
           "cpu,host=a\\ b,0,1.5,0,true,\"x, \"\"y\"\"\"\ncpu,host=a\\ b,1500000,,-7,false,z\n"
           "cpu,host=c,1000000000,1.5,0,true,\"x, \"\"y\"\"\"\ncpu,host=c,1001500000,,-7,false,z\n");
}

AF_TEST(csv_begins_anew_with_other_columns_and_statements)
{
    struct fix f;
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_CSV, .epoch_ns = 1000000 });
    statement(&f, 0, names(&f.arena));
    statement(&f, 1, sample(&f.arena));
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out), "name,tags,name\nm,,a\nm,,b\nn,,c\n\nname,tags,time,f,i,ok,s\n"
                                         "cpu,host=a\\ b,0,1.5,0,true,\"x, \"\"y\"\"\"\ncpu,host=a\\ b,1,,-7,false,z\n"
                                         "cpu,host=c,1000,1.5,0,true,\"x, \"\"y\"\"\"\ncpu,host=c,1001,,-7,false,z\n");
    end(&f);
}

static void packs(struct af_wire_options options, const char *want, size_t len)
{
    struct fix f;
    options.format = AF_WIRE_V1_MSGPACK;
    begin(&f, options);
    static const char *const columns[] = { "time", "v" };
    struct af_made *made = af_made_new(&f.arena);
    af_made_begin(made, "m", 2, columns);
    af_made_tag(made, "k", AF_SLICE_LIT("x"));
    af_made_cell(made, af_value_time(1500000000));
    af_made_cell(made, af_value_f64(1.5));
    af_made_cell(made, af_value_time(-1));
    af_made_cell(made, af_value_none());
    statement(&f, 2, made);
    af_wire_end(f.wire);
    AF_CHECK_INT(f.out.len, len);
    AF_CHECK(memcmp(f.out.ptr, want, len) == 0);
    end(&f);
}

#define BYTES(text) text, sizeof(text) - 1
#define M_HEAD "\xacstatement_id\x02\xa6series\x91"
#define M_SERIES "\xa4name\xa1m\xa4tags\x81\xa1k\xa1x\xa7" "columns\x92\xa4time\xa1v\xa6values"

AF_TEST(msgpack_is_that_of_1x)
{
    packs((struct af_wire_options){ 0 }, BYTES("\x81\xa7results\x91\x82" M_HEAD "\x84" M_SERIES "\x92"
                                               "\x92\xc7\x0c\x05\0\0\0\0\0\0\0\x01\x1d\xcd\x65\0\xcb\x3f\xf8\0\0\0\0\0\0"
                                               "\x92\xc7\x0c\x05\xff\xff\xff\xff\xff\xff\xff\xff\x3b\x9a\xc9\xff\xc0"));
    packs((struct af_wire_options){ .epoch_ns = 1000000, .chunked = true, .chunk_rows = 1 },
          BYTES("\x81\xa7results\x91\x83" M_HEAD "\x85"
                M_SERIES "\x91\x92\xd1\x05\xdc\xcb\x3f\xf8\0\0\0\0\0\0\xa7partial\xc3\xa7partial\xc3"
                "\x81\xa7results\x91\x82" M_HEAD "\x84" M_SERIES "\x91\x92\0\xc0"));
}

static void pack_int_is(int64_t value, const char *want, size_t len)
{
    struct fix f;
    static const char *const column[] = { "v" };
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_MSGPACK });
    struct af_made *made = af_made_new(&f.arena);
    af_made_begin(made, NULL, 1, column);
    af_made_cell(made, af_value_i64(value));
    statement(&f, 0, made);
    af_wire_end(f.wire);
    AF_CHECK(f.out.len > len && memcmp(f.out.ptr + f.out.len - len, want, len) == 0);
    end(&f);
}

AF_TEST(msgpack_integers_are_as_short_as_go_writes_them)
{
    pack_int_is(0, BYTES("\x91\x91\0"));
    pack_int_is(127, BYTES("\x91\x91\x7f"));
    pack_int_is(128, BYTES("\x91\x91\xd1\0\x80"));
    pack_int_is(40000, BYTES("\x91\x91\xd2\0\0\x9c\x40"));
    pack_int_is(INT64_MAX, BYTES("\x91\x91\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"));
    pack_int_is(-1, BYTES("\x91\x91\xff"));
    pack_int_is(-33, BYTES("\x91\x91\xd0\xdf"));
    pack_int_is(-129, BYTES("\x91\x91\xd1\xff\x7f"));
    pack_int_is(INT64_MIN, BYTES("\x91\x91\xd3\x80\0\0\0\0\0\0\0"));
}

AF_TEST(msgpack_lists_of_many_have_a_wide_head)
{
    struct fix f;
    static const char *const column[] = { "v" };
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_MSGPACK });
    struct af_made *made = af_made_new(&f.arena);
    af_made_begin(made, NULL, 1, column);
    for (int i = 0; i < 70000; i++)
        af_made_cell(made, af_value_bool(true));
    statement(&f, 0, made);
    af_wire_end(f.wire);
    static const char head[] = "\x81\xa7results\x91\x82\xacstatement_id\0\xa6series\x91\x82\xa7"
    "columns\x91\xa1v\xa6values\xdd\0\x01\x11\x70\x91\xc3";
    AF_CHECK(memcmp(f.out.ptr, head, sizeof head - 1) == 0);
    AF_CHECK_INT(f.out.len, sizeof head - 1 + 2 * 69999);
    end(&f);
}

static void refusal_is(enum af_wire_format format, bool pretty, const char *want)
{
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    af_wire_refusal(&out, &(struct af_wire_options){ .format = format, .pretty = pretty }, "no \"q\"");
    AF_CHECK_SLICE(af_buf_slice(&out), want);
    af_buf_done(&out);
}

AF_TEST(a_refused_request_says_why_in_its_format)
{
    refusal_is(AF_WIRE_V1_JSON, false, "{\"error\":\"no \\\"q\\\"\"}\n");
    refusal_is(AF_WIRE_V1_JSON, true, "{\n    \"error\": \"no \\\"q\\\"\"\n}\n");
    refusal_is(AF_WIRE_V1_CSV, false, "error\n\"no \"\"q\"\"\"\n");
    refusal_is(AF_WIRE_V1_MSGPACK, false, "\x81\xa5" "error\xa6no \"q\"");
}

AF_TEST(msgpack_errors_stand_alone)
{
    struct fix f;
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_MSGPACK });
    af_wire_statement(f.wire, 0);
    AF_CHECK_OK(feed(&f, sample(&f.arena)), f.err);
    af_wire_statement_end(f.wire, NULL, 0, "broke");
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out), "\x81\xa7results\x91\x81\xa5" "error\xa5" "broke");
    end(&f);
}

/* --- for people and programs ---------------------------------------------------------------------------------------------------------- */

AF_TEST(tables_for_people_are_aligned)
{
    prints((struct af_wire_options){ .format = AF_WIRE_TABLE },
           "cpu  host=a b\n"
           "time                        f  i ok    s\n"
           "------------------------- --- -- ----- ------\n"
           "1970-01-01T00:00:00Z      1.5  0 true  x, \"y\"\n"
           "1970-01-01T00:00:00.0015Z     -7 false z\n"
           "\n"
           "cpu  host=c\n"
           "time                        f  i ok    s\n"
           "------------------------- --- -- ----- ------\n"
           "1970-01-01T00:00:01Z      1.5  0 true  x, \"y\"\n"
           "1970-01-01T00:00:01.0015Z     -7 false z\n"
           "(4 rows)\n");
}

AF_TEST(tables_speak_portuguese_and_show_colour)
{
    struct fix f;
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_TABLE, .portuguese = true, .colour = true });
    statement(&f, 0, names(&f.arena));
    statement(&f, 1, NULL);
    af_wire_statement(f.wire, 2);
    af_wire_statement_end(f.wire, NULL, 0, "quebrou");
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out),
                   "\033[1mm\033[0m\nname\n----\na\nb\n\n\033[1mn\033[0m\nname\n----\nc\n(3 linhas)\n\n(nenhuma linha)\n\nerro: quebrou\n");
    end(&f);
}

AF_TEST(long_text_gives_way_on_a_narrow_terminal)
{
    struct fix f;
    static const char *const columns[] = { "time", "s" };
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_TABLE, .width = 50 });
    struct af_made *made = af_made_new(&f.arena);
    af_made_begin(made, NULL, 2, columns);
    af_made_cell(made, af_value_time(0));
    af_made_cell(made, af_value_text(AF_SLICE_LIT("çabcdefghijklmnopqrstuvwxyz\x1b[2J0123456789")));
    statement(&f, 0, made);
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out), "time                 s\n-------------------- ----------------------------\n"
                                         "1970-01-01T00:00:00Z çabcdefghijklmnopqrstuvwxyz…\n(1 row)\n");
    end(&f);
}

AF_TEST(json_lines_are_an_object_a_row)
{
    prints((struct af_wire_options){ .format = AF_WIRE_JSON_LINES },
           "{\"time\":\"1970-01-01T00:00:00Z\",\"name\":\"cpu\",\"tags\":{\"host\":\"a b\"},\"f\":1.5,\"i\":0,\"ok\":true,"
           "\"s\":\"x, \\\"y\\\"\"}\n"
           "{\"time\":\"1970-01-01T00:00:00.0015Z\",\"name\":\"cpu\",\"tags\":{\"host\":\"a b\"},\"f\":null,\"i\":-7,\"ok\":false,"
           "\"s\":\"z\"}\n"
           "{\"time\":\"1970-01-01T00:00:01Z\",\"name\":\"cpu\",\"tags\":{\"host\":\"c\"},\"f\":1.5,\"i\":0,\"ok\":true,"
           "\"s\":\"x, \\\"y\\\"\"}\n"
           "{\"time\":\"1970-01-01T00:00:01.0015Z\",\"name\":\"cpu\",\"tags\":{\"host\":\"c\"},\"f\":null,\"i\":-7,\"ok\":false,"
           "\"s\":\"z\"}\n");
}

static struct af_made *nested(struct af_arena *arena)
{
    static const char *const columns[] = { "k", "list" };
    struct af_made *made = af_made_new(arena);
    af_made_begin(made, "m", 2, columns);
    af_made_cell(made, af_value_text(AF_SLICE_LIT("a")));
    af_made_cell(made, af_value_json(AF_SLICE_LIT("[\"x<\", {\"n\":[1,-2.5,true,null]}, []]")));
    af_made_cell(made, af_value_text(AF_SLICE_LIT("b")));
    af_made_cell(made, af_value_json(AF_SLICE_LIT("[broken")));
    return made;
}

static void prints_nested(struct af_wire_options options, const char *want, size_t len)
{
    struct fix f;
    begin(&f, options);
    statement(&f, 0, nested(&f.arena));
    af_wire_end(f.wire);
    if (!af_slice_eq(af_buf_slice(&f.out), (struct af_slice){ want, len }))
        af_test_failed(__FILE__, __LINE__, "gives %s", af_buf_cstr(&f.out));
    end(&f);
}
#define PRINTS_NESTED(want, ...) prints_nested((struct af_wire_options){ __VA_ARGS__ }, want, sizeof want - 1)

/* Lists inside of cells; what is no JSON after all is text. */
AF_TEST(nested_cells)
{
    PRINTS_NESTED("{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"columns\":[\"k\",\"list\"],\"values\":["
                  "[\"a\",[\"x\\u003c\",{\"n\":[1,-2.5,true,null]},[]]],[\"b\",\"[broken\"]]}]}]}\n", .format = AF_WIRE_V1_JSON);
    PRINTS_NESTED("{\n    \"results\": [\n        {\n            \"statement_id\": 0,\n            \"series\": [\n                {\n"
                  "                    \"name\": \"m\",\n                    \"columns\": [\n                        \"k\",\n"
                  "                        \"list\"\n                    ],\n                    \"values\": [\n"
                  "                        [\n                            \"a\",\n                            [\n"
                  "                                \"x\\u003c\",\n                                {\n"
                  "                                    \"n\": [\n                                        1,\n"
                  "                                        -2.5,\n                                        true,\n"
                  "                                        null\n                                    ]\n"
                  "                                },\n                                []\n                            ]\n"
                  "                        ],\n                        [\n                            \"b\",\n"
                  "                            \"[broken\"\n                        ]\n                    ]\n                }\n"
                  "            ]\n        }\n    ]\n}\n", .format = AF_WIRE_V1_JSON, .pretty = true);
    PRINTS_NESTED("\x81\xa7results\x91\x82\xacstatement_id\0\xa6series\x91\x83\xa4name\xa1m\xa7" "columns\x92\xa1k\xa4list\xa6values\x92"
                  "\x92\xa1" "a\x93\xa2x<\x81\xa1n\x94\x01\xcb\xc0\x04\0\0\0\0\0\0\xc3\xc0\x90\x92\xa1" "b\xa7[broken",
                  .format = AF_WIRE_V1_MSGPACK);
    PRINTS_NESTED("{\"k\":\"a\",\"list\":[\"x<\",{\"n\":[1,-2.5,true,null]},[]],\"name\":\"m\"}\n{\"k\":\"b\",\"list\":\"[broken\","
                  "\"name\":\"m\"}\n", .format = AF_WIRE_JSON_LINES);
    PRINTS_NESTED("name,tags,k,list\nm,,a,\"[\"\"x<\"\", {\"\"n\"\":[1,-2.5,true,null]}, []]\"\nm,,b,[broken\n", .format = AF_WIRE_V1_CSV);
}

AF_TEST(a_failed_statement_gives_programs_no_row)
{
    struct fix f;
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_JSON_LINES });
    af_wire_statement(f.wire, 0);
    AF_CHECK_OK(feed(&f, names(&f.arena)), f.err);
    af_wire_statement_end(f.wire, NULL, 0, "broken");
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out), "");
    end(&f);
}

AF_TEST(csv_for_programs_has_one_header)
{
    struct fix f;
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_CSV, .epoch_ns = 1000000 });
    statement(&f, 0, sample(&f.arena));
    statement(&f, 1, names(&f.arena));
    af_wire_statement(f.wire, 2);
    af_wire_statement_end(f.wire, NULL, 0, "a, b");
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out), "name,host,time,f,i,ok,s\ncpu,a b,0,1.5,0,true,\"x, \"\"y\"\"\"\ncpu,a b,1,,-7,false,z\n"
                                         "cpu,c,1000,1.5,0,true,\"x, \"\"y\"\"\"\ncpu,c,1001,,-7,false,z\n"
                                         "\nname,name\nm,a\nm,b\nn,c\n"); /* words are for the caller */
    end(&f);
}

/* --- sending in pieces ---------------------------------------------------------------------------------------------------------------- */

AF_TEST(small_answers_are_held_back_until_their_end)
{
    struct fix f;
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_JSON });
    statement(&f, 0, names(&f.arena));
    af_wire_statement(f.wire, 1);
    AF_CHECK_OK(feed(&f, names(&f.arena)), f.err);
    AF_CHECK_INT(af_wire_ready(f.wire), 0);
    af_wire_statement_end(f.wire, NULL, 0, NULL);
    af_wire_end(f.wire);
    AF_CHECK_INT(af_wire_ready(f.wire), f.out.len);
    end(&f);
}

AF_TEST(chunks_are_sent_as_they_end)
{
    struct fix f;
    struct af_buf sent;
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_JSON, .chunked = true, .chunk_rows = 1 });
    af_buf_init(&sent, SIZE_MAX);
    af_wire_statement(f.wire, 0);
    AF_CHECK_OK(feed(&f, sample(&f.arena)), f.err);
    af_buf_append(&sent, f.out.ptr, af_wire_ready(f.wire));
    AF_CHECK(sent.len > 0);
    af_wire_taken(f.wire, sent.len);
    af_wire_statement_end(f.wire, NULL, 0, "late");
    af_wire_end(f.wire);
    af_buf_append_slice(&sent, af_buf_slice(&f.out));
    AF_CHECK(sent.len > 40);
    AF_CHECK_SLICE(af_slice_make(sent.ptr + sent.len - 20, 20), "],\"error\":\"late\"}]}\n");
    af_buf_done(&sent);
    end(&f);
}

/* Larger than what is held back: it streams, and an error then stands behind what was sent. */
AF_TEST(large_answers_stream)
{
    struct fix f;
    static const char *const column[] = { "text" };
    begin(&f, (struct af_wire_options){ .format = AF_WIRE_V1_JSON });
    char *big = af_arena_zero(&f.arena, AF_WIRE_HOLD_BYTES, 1);
    AF_CHECK(big != NULL);
    memset(big, 'x', AF_WIRE_HOLD_BYTES);
    struct af_made *made = af_made_new(&f.arena);
    af_made_begin(made, NULL, 1, column);
    af_made_cell(made, af_value_text((struct af_slice){ big, AF_WIRE_HOLD_BYTES }));
    af_wire_statement(f.wire, 0);
    AF_CHECK_OK(feed(&f, made), f.err);
    size_t ready = af_wire_ready(f.wire);
    AF_CHECK(ready > AF_WIRE_HOLD_BYTES);
    af_wire_taken(f.wire, ready);
    AF_CHECK_INT(f.out.len, 0);
    af_wire_statement_end(f.wire, NULL, 0, "late");
    af_wire_end(f.wire);
    AF_CHECK_SLICE(af_buf_slice(&f.out), "]}],\"error\":\"late\"}]}\n");
    end(&f);
}

/* --- memory --------------------------------------------------------------------------------------------------------------------------- */

/* One whole answer, the table that is printed made beforehand. */
static enum af_status print_all(enum af_wire_format format, const struct af_table *tables, size_t count, struct af_buf *out)
{
    struct af_wire *wire;
    struct af_error err;
    bool is_full;
    struct af_wire_options options = { .format = format, .chunked = format == AF_WIRE_V1_JSON };
    enum af_status status = af_wire_new(&options, out, &wire, &err);
    if (status != AF_OK)
        return status;
    af_wire_begin(wire);
    af_wire_statement(wire, 0);
    for (size_t i = 0; i < count && status == AF_OK; i++)
        status = af_wire_table(wire, &tables[i], &is_full, &err);
    af_wire_statement_end(wire, NULL, 0, status == AF_OK ? NULL : "no memory");
    af_wire_end(wire);
    af_wire_free(wire);
    return status == AF_OK ? af_buf_check(out, "it", &err) : status;
}

static size_t keep_tables(struct af_arena *arena, struct af_table *out)
{
    struct af_tables *tables;
    const struct af_table *table;
    struct af_error err;
    size_t count = 0;
    AF_CHECK_OK(af_made_finish(sample(arena), &tables, &err), err);
    while (af_tables_next(tables, arena, &table, &err) == AF_OK && table != NULL)
        out[count++] = *table;
    af_tables_close(tables);
    return count;
}

AF_TEST(any_allocation_may_fail)
{
    struct af_arena arena;
    struct af_table tables[4];
    af_arena_init(&arena, SIZE_MAX);
    size_t count = keep_tables(&arena, tables);
    for (int format = AF_WIRE_V1_JSON; format <= AF_WIRE_ARROW; format++) {
        size_t failed = 0;
        for (size_t n = 1;; n++) {
            struct af_buf out;
            af_buf_init(&out, SIZE_MAX);
            (void)af_alloc_fail_nth(n);
            enum af_status status = print_all((enum af_wire_format)format, tables, count, &out);
            bool was_reached = af_alloc_fail_nth(0) >= n;
            af_buf_done(&out);
            AF_CHECK(status == AF_OK || status == AF_ENOMEM);
            failed += status == AF_ENOMEM;
            if (!was_reached)
                break;
        }
        AF_CHECK(failed > 0);
    }
    af_arena_done(&arena);
}
