/* map_test.c - the language: what each key does to a few rows; what the parser refuses. */
#include "map/map_fixture.h"
#include "base/alloc.h"
#include "test/lib/test.h"

/* Apply `yaml` to `rows`; NULL and a failed test when it does not bind. */
static const char *run(struct fixture *f, const char *yaml, const char *rows, const char *path)
{
    struct af_error err;
    fixture_init(f);
    fixture_batch(&f->arena, rows, "text", &f->batch);
    AF_CHECK_OK(af_map_parse("test.yaml", af_slice_of(yaml), &f->map, &err), err);
    AF_CHECK_OK(af_mapper_new(f->map, f->batch.schema, path, &f->mapper, &err), err);
    AF_CHECK_OK(af_mapper_apply(f->mapper, &f->batch, &f->arena, &f->points, &f->rejects, &f->empty, &err), err);
    size_t points = 0;
    for (size_t i = 0; i < f->points.row_count; i++)
        points += f->points.series[i] != UINT32_MAX;
    AF_CHECK_INT(points + f->empty + f->rejects.count, f->batch.row_count + f->batch.bad_row_count);
    return fixture_print(f);
}

#define CHECK_MAP(yaml, rows, want)                                                                          \
    do {                                                                                                     \
        struct fixture f;                                                                                    \
        AF_CHECK_STR(run(&f, yaml, rows, "file"), want);                                                     \
        fixture_done(&f);                                                                                    \
    } while (0)

#define HEAD "measurement: m\ntime: t\n"
#define T1 "2024-01-01T00:00:00Z"
#define N1 "1704067200000000000"

AF_TEST(a_plain_mapping)
{
    CHECK_MAP(HEAD "tags: { region: r }\nfields: { v: x }\n", "t;r;x:f64\n" T1 ";SE;1.5\n" T1 ";NE;2\n",
              "m,region=SE v=1.5 " N1 "\nm,region=NE v=2 " N1 "\n");
}

AF_TEST(measurement_from_a_column)
{
    CHECK_MAP("measurement: { column: kind, prefix: p_, suffix: _data, lower: true }\ntime: t\nfields: { v: x }\n",
              "t;kind:dict;x\n" T1 ";Gen;1\n" T1 ";Load;2\n", "p_gen_data v=1 " N1 "\np_load_data v=2 " N1 "\n");
}

AF_TEST(tag_words)
{
    const char *yaml = HEAD "tags:\n"
                            "  a: { column: a, lower: true }\n"
                            "  b: { column: b, values: { southeast: [SE, sudeste], hydro: hydro }, else: other }\n"
                            "  c: { column: c, trim: false, default: none given }\n"
                            "  d: { value: fixed }\n"
                            "  e: { column: nowhere, optional: true }\n"
                            "fields: { v: x }\n";
    CHECK_MAP(yaml, "t;a;b;c;x\n" T1 ";  ÁGUA ;SUDESTE; y ;1\n" T1 ";NaN;zz;;2\n",
              "m,a=água,b=southeast,c=\\ y\\ ,d=fixed v=1 " N1 "\nm,b=other,c=none\\ given,d=fixed v=2 " N1 "\n");
    CHECK_MAP(yaml, "t;a:dict;b:dict;c:dict;x\n" T1 ";  ÁGUA ;SUDESTE; y ;1\n" T1 ";NaN;zz;;2\n",
              "m,a=água,b=southeast,c=\\ y\\ ,d=fixed v=1 " N1 "\nm,b=other,c=none\\ given,d=fixed v=2 " N1 "\n");
}

AF_TEST(words_left_out)
{
    CHECK_MAP(HEAD "tags: { a: a, b: { column: b, omit: ['-'] } }\nfields: { v: x }\n",
              "t;a;b;x\n" T1 ";None;-;1\n" T1 ";<na>;nan;2\n" T1 ";NULL;;3\n",
              "m v=1 " N1 "\nm,b=nan v=2 " N1 "\nm v=3 " N1 "\n");
}

AF_TEST(numbers_and_others_as_tags)
{
    CHECK_MAP(HEAD "tags: { a: a, b: b, c: { column: c, numbers: python }, d: d, e: e, g: { column: g, numbers: python } }\n"
                   "fields: { v: x }\n",
              "t;a:i64;b:f64;c:f64;d:date;e:dec2;g:bool;x\n" T1 ";500;500;500;2024-02-03;1234;1;1\n",
              "m,a=500,b=500,c=500.0,d=2024-02-03,e=12.34,g=True v=1 " N1 "\n");
}

AF_TEST(python_writes_floats_its_own_way)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = { { 1e16, "1e+16" },    { 1.5e17, "1.5e+17" }, { 123456789012345680.0, "1.2345678901234568e+17" },
                  { 1e22, "1e+22" },    { 0.0001, "0.0001" },  { 0.00001, "1e-05" },
                  { 9999999999999998.0, "9999999999999998.0" }, { -2e16, "-2e+16" }, { 0.1, "0.1" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct af_column col = { .type = AF_TYPE_F64, .f64 = &cases[i].value };
        struct af_buf out;
        af_buf_init(&out, 100);
        af_map_value_print(&out, &col, 0, MAP_PYTHON);
        AF_CHECK_SLICE(af_buf_slice(&out), cases[i].text);
        af_buf_done(&out);
    }
}

AF_TEST(pairs_in_order)
{
    CHECK_MAP(HEAD "tags: { from: a, to: b, line: { join: [from, to], separator: '>' } }\n"
                   "pairs: [ { tags: [from, to], negate: [flow] } ]\nfields: { flow: x, other: y }\n",
              "t;a;b;x;y\n" T1 ";SE;S;-5;1\n" T1 ";S;SE;7;2\n" T1 ";SE;S;0;3\n",
              "m,from=S,line=S>SE,to=SE flow=5,other=1 " N1 "\nm,from=S,line=S>SE,to=SE flow=7,other=2 " N1
              "\nm,from=S,line=S>SE,to=SE flow=0,other=3 " N1 "\n");
}

AF_TEST(types_of_fields)
{
    const char *yaml = HEAD "fields:\n"
                            "  f: f\n"
                            "  i: { column: i, type: integer }\n"
                            "  u: { column: u, type: unsigned }\n"
                            "  b: { column: b, type: boolean }\n"
                            "  s: { column: s, type: string }\n";
    CHECK_MAP(yaml, "t;f;i;u;b;s\n" T1 ";0E-8;68.0;7;sim; a b \n" T1 ";;;;;\n" T1 ";-1.5e3;-3;0;0.0;ção\n",
              "m f=0,i=68i,u=7u,b=true,s=\"a b\" " N1 "\nm f=-1500,i=-3i,u=0u,b=false,s=\"ção\" " N1 "\n");
    CHECK_MAP(yaml, "t;f:i64;i:f64;u:dec2;b:f64;s:i64\n" T1 ";3;68;700;1;5\n",
              "m f=3,i=68i,u=7u,b=true,s=\"5\" " N1 "\n");
    CHECK_MAP(yaml, "t;f:dict;i:dict;u:dict;b:dict;s:dict\n" T1 ";0E-8;68.0;7;sim; a b \n" T1 ";0E-8;1;2;f;c\n",
              "m f=0,i=68i,u=7u,b=true,s=\"a b\" " N1 "\nm f=0,i=1i,u=2u,b=false,s=\"c\" " N1 "\n");
}

AF_TEST(type_auto_follows_the_column)
{
    CHECK_MAP(HEAD "fields: { a: { column: a, type: auto }, b: { column: b, type: auto }, c: { column: c, type: auto },"
                   " d: { column: d, type: auto }, e: { column: e, type: auto } }\n",
              "t;a:i64;b:bool;c:dec2;d;e:time\n" T1 ";1;1;150;x;2024-01-02\n",
              "m a=1i,b=true,c=1.5,d=\"x\",e=\"2024-01-02T00:00:00Z\" " N1 "\n");
}

AF_TEST(decimal_marks)
{
    CHECK_MAP("decimal: comma\n" HEAD "fields: { a: a }\n", "t;a\n" T1 ";1.234,5\n" T1 ";0,5\n" T1 ";-1.234.567\n",
              "m a=1234.5 " N1 "\nm a=0.5 " N1 "\nm a=-1234567 " N1 "\n");
    CHECK_MAP(HEAD "decimal: auto\nfields: { a: a }\n",
              "t;a\n" T1 ";1.234,5\n" T1 ";1,234.5\n" T1 ";2,5\n" T1 ";2.5\n" T1 ";1.234.567\n" T1 ";7\n",
              "m a=1234.5 " N1 "\nm a=1234.5 " N1 "\nm a=2.5 " N1 "\nm a=2.5 " N1 "\nm a=1234567 " N1 "\nm a=7 " N1 "\n");
    struct fixture f;
    AF_CHECK_STR(run(&f, "decimal: comma\n" HEAD "fields: { a: a }\n", "t;a\n" T1 ";1.23\n" T1 ";1.2345,6\n" T1 ";1,2,3\n",
                     "file"), "");
    AF_CHECK_INT(f.rejects.count, 3);
    fixture_done(&f);
}

AF_TEST(named_fields_by_unit)
{
    const char *yaml = HEAD "named_fields:\n"
                            "  - name: { column: u, match: exact, values: { MW: power_mw, MWh: energy_mwh }, else: value,\n"
                            "            default: value }\n"
                            "    value: { column: x, required: true }\n"
                            "fields: { unit: { column: u, type: string }, power_mw: { column: p, optional: true } }\n";
    CHECK_MAP(yaml, "t;u:dict;x:f64\n" T1 ";MW;1\n" T1 ";MWh;2\n" T1 ";mw;3\n" T1 ";;4\n" T1 ";MW;\n",
              "m power_mw=1,unit=\"MW\" " N1 "\nm energy_mwh=2,unit=\"MWh\" " N1 "\nm value=3,unit=\"mw\" " N1 "\nm value=4 " N1
              "\n");
    CHECK_MAP(yaml, "t;u:dict;x:f64;p:f64\n" T1 ";MW;1;\n" T1 ";MW;2;9\n", "m power_mw=1,unit=\"MW\" " N1
                                                                          "\nm unit=\"MW\",power_mw=9 " N1 "\n");
}

AF_TEST(named_fields_take_the_first_value)
{
    CHECK_MAP(HEAD "named_fields:\n  - name: n\n    value:\n      - { column: d }\n      - { column: i, type: integer }\n"
                   "      - { column: s, type: string }\n",
              "t;n;d:f64;i:i64;s\n" T1 ";a;1.5;;\n" T1 ";b;;7;\n" T1 ";c;;;txt\n" T1 ";a;2;8;both\n" T1 ";d;;;\n",
              "m a=1.5 " N1 "\nm b=7i " N1 "\nm c=\"txt\" " N1 "\nm a=2 " N1 "\n");
}

AF_TEST(the_rest)
{
    CHECK_MAP(HEAD "rest: [fields, tags]\n", "t;a;b:i64;c:f64;d:bool\n" T1 ";x;1;2.5;0\n", "m,a=x b=1i,c=2.5,d=false " N1 "\n");
    CHECK_MAP("measurement: m\ntime: t\nrest: { tags: true, fields: true, divider: t, except: [z] }\n",
              "a;z;t;s;b:i64\nx;q;" T1 ";txt;1\n", "m,a=x s=\"txt\",b=1i " N1 "\n");
    CHECK_MAP("measurement: m\ntime: t\nrest: { tags: true, fields: true, divider: t }\n", "t;s;b:f64\n" T1 ";txt;1\n",
              "m,s=txt b=1 " N1 "\n");
    CHECK_MAP(HEAD "rest: { fields: true, starts_with: [val_x_, val_] }\n", "t;val_x_a;val_b;c\n" T1 ";1;2,;3\n", "");
    CHECK_MAP(HEAD "rest: { fields: true, starts_with: [val_x_, val_] }\n", "t;val_x_a;val_b;c\n" T1 ";1;2.5;3\n",
              "m a=1,b=2.5 " N1 "\n");
}

AF_TEST(rows_left_out)
{
    CHECK_MAP(HEAD "skip:\n  - { column: r, is: [SIN, PY] }\n  - { column: q, is_not: good }\nfields: { v: x }\n",
              "t;r;q:dict;x\n" T1 ";SIN;good;1\n" T1 ";SE ;good;2\n" T1 ";SE;bad;3\n" T1 ";PY;bad;oops\n", "m v=2 " N1 "\n");
}

AF_TEST(values_of_the_path)
{
    struct fixture f;
    AF_CHECK_STR(run(&f, HEAD "tags: { ds: dataset, y: { column: year }, none: { column: region, optional: true } }\n"
                              "fields: { v: x }\n",
                     "t;x\n" T1 ";1\n", "s3://b/dataset=ge%6eeration/region=__HIVE_DEFAULT_PARTITION__/year=2024/f.parquet"),
                 "m,ds=generation,y=2024 v=1 " N1 "\n");
    fixture_done(&f);
}

AF_TEST(tag_unless_a_column_has_a_value)
{
    CHECK_MAP(HEAD "tags: { n: { column: n, unless: [d, nowhere] } }\nfields: { d: { column: d }, e: e }\n",
              "t;n;d:f64;e:f64\n" T1 ";a;1;\n" T1 ";a;;2\n", "m d=1 " N1 "\nm,n=a e=2 " N1 "\n");
}

/* --- time --------------------------------------------------------------------------------------------------------- */

#define MAP_TIME(spec) "measurement: m\ntime: " spec "\nfields: { v: x }\n"

AF_TEST(times_of_every_kind)
{
    CHECK_MAP(MAP_TIME("{ column: t, unit: ms }"), "t:i64;x\n1704067200000;1\n", "m v=1 " N1 "\n");
    CHECK_MAP(MAP_TIME("{ column: t, unit: s }"), "t;x\n1704067200;1\n2024-01-01;2\n", "m v=1 " N1 "\nm v=2 " N1 "\n");
    CHECK_MAP(MAP_TIME("{ column: t, unit: s }"), "t:f64;x\n1704067200.5;1\n", "m v=1 1704067200500000000\n");
    CHECK_MAP(MAP_TIME("{ column: t, unit: s }"), "t:dec2;x\n170406720050;1\n", "m v=1 1704067200500000000\n");
    CHECK_MAP(MAP_TIME("{ column: t, zone: '-03:00' }"), "t:date;x\n2024-01-01;1\n", "m v=1 1704078000000000000\n");
    CHECK_MAP(MAP_TIME("{ column: t, zone: '-03:00' }"), "t:wall;x\n2024-01-01 00:00;1\n", "m v=1 1704078000000000000\n");
    CHECK_MAP(MAP_TIME("{ column: t, zone: '-03:00' }"), "t:time;x\n2024-01-01 00:00;1\n", "m v=1 " N1 "\n");
    CHECK_MAP(MAP_TIME("{ column: t, zone: '-03:00' }"), "t;x\n" T1 ";1\n01/01/2024 00:00;2\n",
              "m v=1 " N1 "\nm v=2 1704078000000000000\n");
    CHECK_MAP(MAP_TIME("{ column: t, zone: '-03:00', shift: -30m }"), "t:dict;x\n2024-01-01 00:30;1\n",
              "m v=1 1704078000000000000\n");
}

AF_TEST(date_and_hour)
{
    CHECK_MAP(MAP_TIME("{ column: t, hour: h }"), "t;h;x\n2023-12-31;24;1\n2024-01-01;0;2\n2023-12-31;1;3\n",
              "m v=1 " N1 "\nm v=2 " N1 "\nm v=3 1703984400000000000\n");
    CHECK_MAP(MAP_TIME("{ column: t, half_hour: p, zone: '-03:00' }"), "t;p:i64;x\n2023-12-31;43;1\n", "m v=1 " N1 "\n");
    struct fixture f;
    AF_CHECK_STR(run(&f, MAP_TIME("{ date_from_path: true, half_hour: p }"), "p;x\n1;1\n48;2\n49;3\n;4\n",
                     "/d=2020-01-01/BALANCO_DESSEM_GERAL_2024_01_01.csv"),
                 "m v=1 " N1 "\nm v=2 1704151800000000000\n");
    AF_CHECK_INT(f.rejects.count, 2);
    fixture_done(&f);
}

#define SAO_PAULO(gap) MAP_TIME("{ column: t, zone: America/Sao_Paulo" gap " }")

AF_TEST(the_hour_that_does_not_exist)
{
    /* 2018-11-04 00:00 is 03:00Z as 01:00 is. */
    const char *rows = "t;x\n2018-11-03 23:00:00;1\n2018-11-04 00:00:00;0E-8\n2018-11-04 00:00:00;\n2018-11-04 01:00:00;3\n";
    CHECK_MAP(SAO_PAULO(""), rows, "m v=1 1541296800000000000\nm v=3 1541300400000000000\n");
    CHECK_MAP(SAO_PAULO(", gap: forward"), rows,
              "m v=1 1541296800000000000\nm v=0 1541300400000000000\nm v=3 1541300400000000000\n");
    CHECK_MAP(SAO_PAULO(""), "t;x\n2018-11-04 00:00:00;5\n", "m v=5 1541300400000000000\n");
    CHECK_MAP(SAO_PAULO(""), "t:date;x\n2018-11-04;0\n", "m v=0 1541300400000000000\n");
    CHECK_MAP(SAO_PAULO(""), "t;x\n2018-11-04;0\n", "m v=0 1541300400000000000\n");
    struct fixture f;
    AF_CHECK_STR(run(&f, SAO_PAULO(", gap: reject"), "t;x\n2018-11-04 00:00:00;5\n", "file"), "");
    AF_CHECK_INT(f.rejects.count, 1);
    fixture_done(&f);
}

AF_TEST(the_hour_that_exists_twice)
{
    /* 2018-02-17 23:00 is 01:00Z (summer time) and 02:00Z: the first. */
    CHECK_MAP(SAO_PAULO(""), "t;x\n2018-02-17 22:00:00;1\n2018-02-17 23:00:00;2\n2018-02-18 00:00:00;3\n",
              "m v=1 1518912000000000000\nm v=2 1518915600000000000\nm v=3 1518922800000000000\n");
}

/* --- rejects ------------------------------------------------------------------------------------------------------ */

AF_TEST(rows_that_cannot_be_points)
{
    struct fixture f;
    run(&f, HEAD "tags: { r: r }\nfields: { v: x, w: { column: y, optional: true, min: 0, max: 10 } }\n",
        "t;r;x;y\n" T1 ";a;12,x;\n;a;1;\nyesterday;a;1;\n1500-01-01;a;1;\n" T1 ";a\\;1;\n" T1 ";a#!~#b;1;\n" T1 ";a;1;11\n" T1
        ";a;1;nope\n" T1 ";\xff;1;\n;;;\n" T1 ";ok;1;1\n", "file");
    static const struct {
        const char *column;
        const char *reason;
    } want[] = {
        { "x", "not a number: '12,x'" },
        { "t", "time is null" },
        { "t", "not a time: 'yesterday'" },
        { "t", NULL },
        { "r", "the tag value ends in a backslash, which line protocol cannot hold" },
        { "r", "the tag value holds #!~#, which InfluxDB keeps for itself" },
        { "y", "above the largest value the mapping allows (max)" },
        { "y", "not a number: 'nope'" },
        { "r", "the tag value is not UTF-8" },
    };
    AF_CHECK_INT(f.rejects.count, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < f.rejects.count; i++) {
        AF_CHECK_INT(f.rejects.items[i].row, i);
        AF_CHECK_STR(f.rejects.items[i].column, want[i].column);
        if (want[i].reason != NULL)
            AF_CHECK_STR(f.rejects.items[i].reason, want[i].reason);
        AF_CHECK(f.rejects.items[i].raw.len > 0 && f.rejects.items[i].raw.ptr[0] == '{');
    }
    AF_CHECK_INT(f.empty, 1);
    AF_CHECK_STR(fixture_print(&f), "m,r=ok v=1,w=1 " N1 "\n");
    fixture_done(&f);
}

AF_TEST(numbers_that_are_none)
{
    struct fixture f;
    run(&f, HEAD "fields: { v: x, w: { column: y, omit: nan } }\n", "t;x:f64;y:f64\n" T1 ";nan;1\n" T1 ";inf;1\n" T1 ";1;nan\n",
        "file");
    AF_CHECK_INT(f.rejects.count, 2);
    AF_CHECK_STR(f.rejects.items[0].reason, "not a number: 'nan'");
    AF_CHECK_STR(f.rejects.items[1].reason, "not a number: 'inf'");
    AF_CHECK_STR(fixture_print(&f), "m v=1 " N1 "\n");
    fixture_done(&f);
}

AF_TEST(names_from_rows_are_checked)
{
    struct fixture f;
    run(&f, "measurement: { column: k }\ntime: t\nnamed_fields: [ { name: n, value: x } ]\n",
        "t;k;n;x\n" T1 ";;a;1\n" T1 ";#k;a;1\n" T1 ";k;time;1\n" T1 ";k;;1\n" T1 ";k;a;1\n", "file");
    AF_CHECK_INT(f.rejects.count, 4);
    AF_CHECK_STR(f.rejects.items[0].reason, "the measurement is empty");
    AF_CHECK(strstr(f.rejects.items[1].reason, "starts with #") != NULL);
    AF_CHECK(strstr(f.rejects.items[2].reason, "reserves") != NULL);
    AF_CHECK_STR(f.rejects.items[3].reason, "the field name is empty");
    AF_CHECK_STR(fixture_print(&f), "k a=1 " N1 "\n");
    fixture_done(&f);
}

AF_TEST(keys_that_are_too_long)
{
    size_t big = 65535 - 4 - 1 - strlen("m,r="); /* with a field name of one byte: just right */
    char *rows = malloc(2 * big + 200);
    int head = snprintf(rows, 100, "t;r;x\n" T1 ";");
    memset(rows + head, 'a', big);
    size_t at = (size_t)head + big + (size_t)snprintf(rows + (size_t)head + big, 60, ";1\n" T1 ";");
    memset(rows + at, 'b', big + 1);
    snprintf(rows + at + big + 1, 10, ";1\n");
    struct fixture f;
    run(&f, HEAD "tags: { r: r }\nfields: { v: x }\n", rows, "file");
    free(rows);
    AF_CHECK_INT(f.rejects.count, 1);
    AF_CHECK_INT(f.rejects.items[0].row, 1);
    AF_CHECK(strstr(f.rejects.items[0].reason, "longer than 65,535") != NULL);
    fixture_done(&f);
}

AF_TEST(bad_rows_of_the_reader_are_rejects_in_order)
{
    struct fixture f;
    struct af_error err;
    fixture_init(&f);
    fixture_batch(&f.arena, "t;x\n" T1 ";oops\n" T1 ";1\n" T1 ";oops\n", "text", &f.batch);
    struct af_bad_row bad[2] = { { 99, NULL, "7 cells instead of 2", AF_SLICE_LIT("a;b") },
                                 { 101, NULL, "quotes", AF_SLICE_LIT("\"") } };
    f.batch.first_row = 100;
    f.batch.bad_rows = bad;
    f.batch.bad_row_count = 2;
    AF_CHECK_OK(af_map_parse("m", AF_SLICE_LIT(HEAD "fields: { v: x }"), &f.map, &err), err);
    AF_CHECK_OK(af_mapper_new(f.map, f.batch.schema, "", &f.mapper, &err), err);
    AF_CHECK_OK(af_mapper_apply(f.mapper, &f.batch, &f.arena, &f.points, &f.rejects, &f.empty, &err), err);
    AF_CHECK_INT(f.rejects.count, 4);
    static const uint64_t want[] = { 99, 100, 101, 102 };
    for (size_t i = 0; i < 4; i++)
        AF_CHECK_INT(f.rejects.items[i].file_row, want[i]);
    AF_CHECK(f.rejects.items[0].row == SIZE_MAX && f.rejects.items[3].row == 2);
    fixture_done(&f);
}

AF_TEST(invalid_values_of_the_file_are_rejects)
{
    struct fixture f;
    struct af_error err;
    fixture_init(&f);
    fixture_batch(&f.arena, "t:time;x:f64\n;1\n" T1 ";2\n", "text", &f.batch);
    uint64_t invalid = 1;
    struct af_column *cols = (struct af_column *)(uintptr_t)f.batch.columns;
    cols[0].invalid = &invalid;
    cols[0].invalid_why = "time out of range";
    AF_CHECK_OK(af_map_parse("m", AF_SLICE_LIT(HEAD "fields: { v: x }"), &f.map, &err), err);
    AF_CHECK_OK(af_mapper_new(f.map, f.batch.schema, "", &f.mapper, &err), err);
    AF_CHECK_OK(af_mapper_apply(f.mapper, &f.batch, &f.arena, &f.points, &f.rejects, &f.empty, &err), err);
    AF_CHECK_INT(f.rejects.count, 1);
    AF_CHECK_STR(f.rejects.items[0].reason, "time out of range");
    fixture_done(&f);
}

/* --- binding ------------------------------------------------------------------------------------------------------ */

AF_TEST(missing_columns_are_named_together)
{
    struct fixture f;
    struct af_error err;
    fixture_init(&f);
    fixture_batch(&f.arena, "x\n1\n", "text", &f.batch);
    AF_CHECK_OK(af_map_parse("m", AF_SLICE_LIT("name: mine\nmeasurement: m\ntime: when\ntags: { a: [b, c] }\nrequire: z\n"
                                               "fields: { v: x, w: { column: q, optional: true } }"), &f.map, &err), err);
    AF_CHECK_FAILS(af_mapper_new(f.map, f.batch.schema, "", &f.mapper, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "the mapping 'mine' needs what the file does not have: when, b or c, z");
    size_t *columns;
    size_t count;
    AF_CHECK_OK(af_map_columns(f.map, f.batch.schema, &f.arena, &columns, &count, &err), err);
    AF_CHECK_INT(count, 1);
    fixture_done(&f);
}

AF_TEST(columns_for_projection)
{
    struct fixture f;
    struct af_error err;
    fixture_init(&f);
    fixture_batch(&f.arena, "a;Time;c;x;n;u\n1;2;3;4;5;6\n", "text", &f.batch);
    AF_CHECK_OK(af_map_parse("m", AF_SLICE_LIT("measurement: m\ntime: time\ntags: { a: { column: a, unless: u } }\n"
                                               "named_fields: [ { name: n, value: x } ]"), &f.map, &err), err);
    size_t *columns;
    size_t count;
    AF_CHECK_OK(af_map_columns(f.map, f.batch.schema, &f.arena, &columns, &count, &err), err);
    static const size_t want[] = { 0, 1, 3, 4, 5 };
    AF_CHECK_INT(count, 5);
    AF_CHECK(memcmp(columns, want, sizeof want) == 0);
    fixture_done(&f);
}

AF_TEST(what_the_parser_refuses)
{
    static const char *const bad[] = {
        "",
        "- a\n",
        "measurement: m\ntime: t\n",
        "measurement: m\nfields: { v: x }\n",
        "time: t\nfields: { v: x }\n",
        "measurement: ''\ntime: t\nfields: { v: x }\n",
        HEAD "fields: { time: x }\n",
        HEAD "fields: { 'a\\': x }\n",
        HEAD "tags: { _field: x }\nfields: { v: x }\n",
        HEAD "fields: { v: { colum: x } }\n",
        HEAD "fields: { v: { column: x, type: real } }\n",
        HEAD "fields: { v: { type: float } }\n",
        HEAD "tags: { a: { column: x, value: y } }\nfields: { v: x }\n",
        HEAD "tags: { a: { column: x, values: { b: [c, c] } } }\nfields: { v: x }\n",
        HEAD "tags: { a: { join: [b, c] } }\nfields: { v: x }\n",
        HEAD "tags: { a: x, b: y }\npairs: [ { tags: [a] } ]\nfields: { v: x }\n",
        HEAD "tags: { a: x, b: y }\npairs: [ { tags: [a, b], negate: w } ]\nfields: { v: x }\n",
        "measurement: m\ntime: { column: t, zone: Mars/Base }\nfields: { v: x }\n",
        "measurement: m\ntime: { column: t, shift: 1w }\nfields: { v: x }\n",
        "measurement: m\ntime: { column: t, hour: h, half_hour: p }\nfields: { v: x }\n",
        HEAD "fields: { v: x }\nskip: [ { column: a } ]\n",
        HEAD "fields: { v: x }\nrest: everything\n",
        HEAD "named_fields: [ { name: n } ]\n",
        HEAD "fields: { v: \"a\\0b\" }\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct af_error err;
        struct af_map *map = NULL;
        AF_CHECK_FAILS(af_map_parse("bad.yaml", af_slice_of(bad[i]), &map, &err), AF_EINVAL);
        AF_CHECK(strstr(err.message, "bad.yaml") != NULL);
        AF_CHECK(map == NULL);
    }
}

AF_TEST(refusals_teach)
{
    struct af_error err;
    struct af_map *map;
    AF_CHECK_FAILS(af_map_parse("x.yaml", AF_SLICE_LIT(HEAD "fields:\n  v:\n    colum: x\n"), &map, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "x.yaml:5:5: v has no key 'colum'; it has: column, type, decimal, optional, required, trim, omit, "
                              "min, max");
    AF_CHECK_INT(err.line, 5);
}

AF_TEST(printing_is_a_normal_form)
{
    static const char *const yaml =
        "name: all\nabout: 'it has: everything'\nbucket: b\ndecimal: auto\nrequire: [a, b]\n"
        "measurement: { column: [k, l], prefix: p, else: e, values: { x: y } }\n"
        "time: { column: t, zone: America/Sao_Paulo, hour: h, gap: forward, shift: -90m, unit: ms }\n"
        "tags: { a: a, b: { column: [b, c], trim: false, lower: true, optional: true, match: exact, numbers: python, omit: [],\n"
        "  values: { SE: [s, t], u: SE, '1': null }, default: '', suffix: ' z', unless: [q, r] },\n"
        "  l: { join: [a, b], separator: '' } }\n"
        "pairs: [ { tags: [a, b], negate: v } ]\n"
        "fields: { v: x, w: { column: [y, z], type: string, optional: true, required: true, trim: false, omit: [nan] },\n"
        "  r: { column: m, decimal: comma, min: -1.5, max: 1e300 } }\n"
        "named_fields: [ { name: { column: n, default: value }, value: [ { column: d }, { column: [i, j], type: integer } ] } ]\n"
        "rest: { tags: true, fields: true, divider: t, starts_with: val_, except: [x1] }\n"
        "skip: [ { column: s, is: ['', no] }, { column: s, lower: true, is_not: [y] } ]\n"
        "detect: { path: [a/b], columns: c, needs_path: true }\n";
    struct af_error err;
    struct af_map *first;
    struct af_map *second;
    struct af_buf a;
    struct af_buf b;
    af_buf_init(&a, 1 << 20);
    af_buf_init(&b, 1 << 20);
    AF_CHECK_OK(af_map_parse("x", af_slice_of(yaml), &first, &err), err);
    af_map_print(first, &a);
    AF_CHECK_OK(af_map_parse("printed", af_buf_slice(&a), &second, &err), err);
    af_map_print(second, &b);
    AF_CHECK_SLICE(af_buf_slice(&b), af_buf_cstr(&a));
    AF_CHECK(strstr(a.ptr, "shift: -90m") != NULL && strstr(a.ptr, "max: 1e+300") != NULL);
    af_map_free(first);
    af_map_free(second);
    af_buf_done(&a);
    af_buf_done(&b);
}

AF_TEST(overrides)
{
    struct fixture f;
    struct af_error err;
    fixture_init(&f);
    fixture_batch(&f.arena, "t;x\n2024-01-01;1\n", "text", &f.batch);
    AF_CHECK_OK(af_map_parse("m", AF_SLICE_LIT("measurement: m\ntime: { column: t, zone: America/Sao_Paulo }\nfields: { v: x }"),
                             &f.map, &err), err);
    struct af_map_override bad = { "", "UTC" };
    AF_CHECK_FAILS(af_map_override(f.map, &bad, &err), AF_EINVAL);
    struct af_map_override change = { "other", "UTC" };
    AF_CHECK_OK(af_map_override(f.map, &change, &err), err);
    AF_CHECK_STR(af_map_measurement(f.map), "other");
    AF_CHECK_OK(af_mapper_new(f.map, f.batch.schema, "", &f.mapper, &err), err);
    AF_CHECK_OK(af_mapper_apply(f.mapper, &f.batch, &f.arena, &f.points, &f.rejects, &f.empty, &err), err);
    AF_CHECK_STR(fixture_print(&f), "other v=1 " N1 "\n");
    fixture_done(&f);
}

/* --- many series -------------------------------------------------------------------------------------------------- */

/* Tuples of more than 64 bits are folded; the points must be those of the plain way. */
AF_TEST(wide_tuples_of_tags)
{
    enum { TAGS = 12, ROWS = 3000 };
    struct af_buf rows;
    struct af_buf yaml;
    af_buf_init(&rows, 64 << 20);
    af_buf_init(&yaml, 1 << 20);
    af_buf_append_str(&yaml, HEAD "fields: { v: x }\ntags:\n");
    af_buf_append_str(&rows, "t;x");
    for (int i = 0; i < TAGS; i++) {
        af_buf_printf(&yaml, "  g%02d: c%d\n", i, i);
        af_buf_printf(&rows, ";c%d%s", i, i % 3 == 0 ? ":dict" : "");
    }
    for (int row = 0; row < ROWS; row++) {
        af_buf_printf(&rows, "\n" T1 ";%d", row);
        for (int i = 0; i < TAGS; i++)
            af_buf_printf(&rows, ";%d", row / 2 * (i + 1) % 1499);
    }
    struct fixture f;
    run(&f, af_buf_cstr(&yaml), af_buf_cstr(&rows), "file");
    AF_CHECK_INT(f.rejects.count, 0);
    af_buf_clear(&rows);
    for (int row = 0; row < ROWS; row++) {
        af_buf_append_str(&rows, "m");
        for (int i = 0; i < TAGS; i++)
            af_buf_printf(&rows, ",g%02d=%d", i, row / 2 * (i + 1) % 1499);
        af_buf_printf(&rows, " v=%d " N1 "\n", row);
    }
    AF_CHECK(af_slice_eq(af_buf_slice(&f.text), af_buf_slice(&rows)));
    af_buf_done(&rows);
    af_buf_done(&yaml);
    fixture_done(&f);
}

/* New series in every batch: ids start over, memory stays bounded, the points stay right. */
AF_TEST(the_series_set_starts_over)
{
    enum { ROWS = 500, BATCHES = 120 };
    struct af_error err;
    struct fixture f;
    fixture_init(&f);
    AF_CHECK_OK(af_map_parse("m", AF_SLICE_LIT(HEAD "tags: { r: r }\nfields: { v: x }"), &f.map, &err), err);
    struct af_buf rows;
    af_buf_init(&rows, 64 << 20);
    char filler[400];
    memset(filler, 'z', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    uint64_t generation = 0;
    for (int batch = 0; batch < BATCHES; batch++) {
        af_buf_clear(&rows);
        af_buf_append_str(&rows, "t;r;x\n");
        for (int i = 0; i < ROWS; i++)
            af_buf_printf(&rows, T1 ";%s%d;1\n", filler, batch * ROWS + i);
        af_arena_reset(&f.arena);
        fixture_batch(&f.arena, af_buf_cstr(&rows), batch % 2 ? "dict" : "text", &f.batch);
        if (f.mapper == NULL) {
            static struct af_field fields[3];
            static struct af_schema schema = { 3, fields };
            static const char *const names[] = { "t", "r", "x" };
            for (int i = 0; i < 3; i++)
                fields[i] = (struct af_field){ .name = names[i], .type = AF_TYPE_STRING };
            AF_CHECK_OK(af_mapper_new(f.map, &schema, "", &f.mapper, &err), err);
        }
        AF_CHECK_OK(af_mapper_apply(f.mapper, &f.batch, &f.arena, &f.points, &f.rejects, &f.empty, &err), err);
        AF_CHECK(f.points.set->keys.bytes < (size_t)AF_SERIES_BYTES_MAX + ROWS * 500);
        generation = f.points.set->generation;
        char want[600];
        snprintf(want, sizeof want, "m,r=%s%d", filler, batch * ROWS + ROWS - 1);
        AF_CHECK_SLICE(f.points.set->keys.keys[f.points.series[ROWS - 1]], want);
    }
    AF_CHECK(generation > 0);
    af_buf_done(&rows);
    fixture_done(&f);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static const char sweep_yaml[] =
    "measurement: { column: k, default: m }\ntime: { column: t, zone: America/Sao_Paulo }\n"
    "tags: { a: { column: a, values: { x: [y, z] } }, b: b, n: n, l: { join: [a, b] }, p: path, u: { column: b, unless: x } }\n"
    "pairs: [ { tags: [a, b], negate: v } ]\nskip: [ { column: a, is: drop } ]\n"
    "fields: { v: x, s: { column: s, type: string }, q: { column: q, type: integer } }\n"
    "named_fields: [ { name: b, value: [ { column: x }, { column: q, type: integer } ] } ]\nrest: [fields, tags]\nrequire: t\n";
static const char sweep_rows[] = "k;t;a;b:dict;n:i64;x;s:dict;q:dict;other;more:f64\n"
                                 "k1;" T1 ";y;B;5;1.5; s ;3;o;1\nk2;2018-11-04 00:00;A;C;6;2; t;4;o;2\n;" T1 ";drop;B;5;9;;;;\n"
                                 ";bad;A;B;7;1;;;;\n;" T1 ";A;B;7;nope;;;;\n;" T1 ";A;;7;;;5;;3\n";

AF_TEST(every_failed_allocation_is_an_error)
{
    size_t failures = 0;
    for (size_t n = 1;; n++) {
        struct fixture f;
        fixture_init(&f);
        fixture_batch(&f.arena, sweep_rows, "text", &f.batch);
        struct af_arena out;
        af_arena_init(&out, 16 << 20);
        struct af_error err;
        af_alloc_fail_nth(n);
        enum af_status status = af_map_parse("m", af_slice_of(sweep_yaml), &f.map, &err);
        if (status == AF_OK)
            status = af_mapper_new(f.map, f.batch.schema, "path=1/x", &f.mapper, &err);
        for (int round = 0; round < 2 && status == AF_OK; round++)
            status = af_mapper_apply(f.mapper, &f.batch, &out, &f.points, &f.rejects, &f.empty, &err);
        size_t counted = af_alloc_fail_nth(0);
        bool is_through = counted < n;
        if (!is_through) {
            AF_CHECK(status != AF_OK);
            failures++;
        } else {
            AF_CHECK_OK(status, err);
            AF_CHECK_INT(f.rejects.count, 3);
        }
        af_arena_done(&out);
        fixture_done(&f);
        if (is_through)
            break;
    }
    AF_CHECK(failures > 30);
}

/* A mapper that ran out of memory in the middle of a batch goes on with the same batch. */
AF_TEST(a_failed_batch_can_be_tried_again)
{
    struct fixture want;
    run(&want, sweep_yaml, sweep_rows, "path=1/x");
    for (size_t n = 1; n < 200; n++) {
        struct fixture f;
        struct af_error err;
        fixture_init(&f);
        fixture_batch(&f.arena, sweep_rows, "text", &f.batch);
        AF_CHECK_OK(af_map_parse("m", af_slice_of(sweep_yaml), &f.map, &err), err);
        AF_CHECK_OK(af_mapper_new(f.map, f.batch.schema, "path=1/x", &f.mapper, &err), err);
        af_alloc_fail_nth(n);
        enum af_status status = af_mapper_apply(f.mapper, &f.batch, &f.arena, &f.points, &f.rejects, &f.empty, &err);
        af_alloc_fail_nth(0);
        bool is_through = status == AF_OK;
        AF_CHECK_OK(af_mapper_apply(f.mapper, &f.batch, &f.arena, &f.points, &f.rejects, &f.empty, &err), err);
        AF_CHECK_STR(fixture_print(&f), af_buf_cstr(&want.text));
        fixture_done(&f);
        if (is_through)
            break;
    }
    fixture_done(&want);
}

/* --- the page for users ----------------------------------------------------------------------------------------------------- */

static void check_example(struct af_slice yaml)
{
    struct af_buf whole;
    struct af_error err;
    struct af_map *map;
    af_buf_init(&whole, 1 << 16);
    af_buf_append_slice(&whole, yaml);
    if (memmem(yaml.ptr, yaml.len, "measurement:", 12) == NULL)
        af_buf_append_str(&whole, "\nmeasurement: m\n");
    if (memmem(yaml.ptr, yaml.len, "time:", 5) == NULL)
        af_buf_append_str(&whole, "\ntime: t\n");
    if (memmem(yaml.ptr, yaml.len, "fields:", 7) == NULL)
        af_buf_append_str(&whole, "\nfields: { v: x }\n");
    bool has_other_tags = memmem(yaml.ptr, yaml.len, "join: [from_region", 18) != NULL &&
                          memmem(yaml.ptr, yaml.len, "  from_region:", 14) == NULL &&
                          memmem(yaml.ptr, yaml.len, "{ from_region:", 14) == NULL;
    if (!has_other_tags)
        AF_CHECK_OK(af_map_parse("docs/mapping.md", af_buf_slice(&whole), &map, &err), err);
    if (!has_other_tags)
        af_map_free(map);
    af_buf_done(&whole);
}

/* Blocks of `time: ...` lines are one example a line. */
static void check_block(struct af_slice block)
{
    if (!af_slice_has_prefix(block, "time:")) {
        check_example(block);
        return;
    }
    while (block.len != 0)
        check_example(fixture_cut(&block, '\n'));
}

AF_TEST(examples_of_the_documentation_parse)
{
    FILE *in = fopen("docs/mapping.md", "rb"); /* tests run at the root of the repository */
    if (in == NULL)
        return;
    char text[32768];
    size_t len = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    text[len] = '\0';
    size_t blocks = 0;
    for (char *at = text; (at = strstr(at, "```yaml\n")) != NULL; blocks++) {
        at += 8;
        char *end = strstr(at, "```");
        AF_CHECK(end != NULL);
        check_block((struct af_slice){ at, (size_t)(end - at) });
        at = end + 3;
    }
    AF_CHECK(blocks >= 8);
}
