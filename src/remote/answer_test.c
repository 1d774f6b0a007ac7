/* answer_test.c - answers as tables: of msgpack, JSON and annotated CSV by the letter, then of a real influxd. */
#include "base/alloc.h"
#include "remote/remote_int.h"
#include "test/lib/http_peer.h"
#include "test/lib/influxd.h"
#include "test/lib/store_contract.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_error err;
static const struct remote remote = { .base = { .name = "test" } };

/* --- parts as text ------------------------------------------------------------------------------------------------------------ */

static void print_table(struct af_buf *out, const struct af_table *table)
{
    for (size_t i = 0; i < table->key->count; i++)
        af_buf_printf(out, "%.*s=%.*s ", AF_SLICE_ARG(table->key->parts[i].name), AF_SLICE_ARG(table->key->parts[i].value.text));
    for (size_t i = 0; i < table->rows->schema->field_count; i++) {
        AF_CHECK_INT(table->rows->schema->fields[i].type, table->rows->columns[i].type);
        af_buf_printf(out, "%s%s:%s", i == 0 ? "" : " ", table->rows->schema->fields[i].name, af_type_name(table->rows->columns[i].type));
    }
    for (size_t row = 0; row < table->rows->row_count; row++) {
        for (size_t i = 0; i < table->rows->schema->field_count; i++) {
            af_buf_append_char(out, i == 0 ? '|' : ' ');
            af_batch_print_json(out, table->rows, row, i);
        }
    }
    af_buf_append_char(out, '\n');
}

static void print_part(struct af_buf *out, const struct af_remote_part *part)
{
    if (part->table != NULL)
        print_table(out, part->table);
    else if (part->words != NULL)
        af_buf_printf(out, "%s: %s\n", part->level, part->words);
    else
        af_buf_printf(out, "#%llu\n", (unsigned long long)part->statement);
}

static void print_parts(struct af_buf *out, struct tables *tables)
{
    const struct af_remote_part *part;
    while ((part = tables_take(tables)) != NULL)
        print_part(out, part);
}

/* An answer to InfluxQL, fed in pieces; what was ready before a failure is printed too. */
static enum af_status read_v1(const char *type, struct af_slice bytes, size_t piece, struct af_buf *out)
{
    struct tables tables;
    struct v1_tables *v1;
    af_buf_clear(out);
    tables_init(&tables, "test");
    enum af_status status = v1_tables_new(&remote, &tables, &v1, &err);
    if (status == AF_OK) {
        for (size_t at = 0; at < bytes.len && status == AF_OK; at += piece) {
            status = v1_tables_feed(v1, type, af_slice_make(bytes.ptr + at, bytes.len - at < piece ? bytes.len - at : piece), &err);
            print_parts(out, &tables);
        }
        if (status == AF_OK)
            status = v1_tables_finish(v1, &err);
        print_parts(out, &tables);
        v1_tables_free(v1);
    }
    tables_done(&tables);
    return status;
}

static void check_v1(const char *type, struct af_slice bytes, const char *want)
{
    static const size_t pieces[] = { 1, 2, 3, 7, 64, 1 << 20 };
    struct af_buf got;
    af_buf_init(&got, 1 << 20);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        AF_CHECK_OK(read_v1(type, bytes, pieces[i], &got), err);
        AF_CHECK_SLICE(af_buf_slice(&got), want);
    }
    af_buf_done(&got);
}

static void check_json(const char *text, const char *want)
{
    check_v1("application/json", af_slice_of(text), want);
}

/* --- JSON --------------------------------------------------------------------------------------------------------------------- */

AF_TEST(json_keeps_statements_apart)
{
    check_json("{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"tags\":{\"t\":\"a\",\"h\":\"\"},"
               "\"columns\":[\"time\",\"v\",\"s\"],"
               "\"values\":[[\"1970-01-01T00:00:00.000000001Z\",1.5,\"x\"],[\"2024-01-01T00:00:00-03:00\",null,null]]}]}]}\n"
               "{\"results\":[{\"statement_id\":1,\"error\":\"undefined function foo()\"}]}\n"
               "{\"results\":[{\"statement_id\":2}]}\n"
               "{\"results\":[{\"statement_id\":3,\"series\":[{\"columns\":[\"name\"]}],"
               "\"messages\":[{\"level\":\"warning\",\"text\":\"deprecated\"},{\"level\":\"error\",\"text\":\"no failure\"}]}]}\n",
               "#0\n"
               "_measurement=m h= t=a time:time v:f64 s:string|\"1970-01-01T00:00:00.000000001Z\" 1.5 \"x\"|"
               "\"2024-01-01T03:00:00.000000000Z\" null null\n"
               "#1\nerror: undefined function foo()\n#2\n#3\nname:f64\nwarning: deprecated\nwarning: no failure\n");
}

AF_TEST(json_types_are_found)
{
    /* Floats that look like integers, then not, then so again; booleans; large integers; mixtures. */
    check_json("{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"columns\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"],"
               "\"values\":[[1,1,true,18446744073709551615,1,-1],[2,2.5,false,1,\"x\",18446744073709551615]],\"partial\":true}],"
               "\"partial\":true}]}\n"
               "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"columns\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"],"
               "\"values\":[[3,3,null,4,null,1e2]]}]}]}\n",
               "#0\n"
               "_measurement=m a:i64 b:f64 c:bool d:u64 e:string f:string|1 1 true 18446744073709551615 \"1\" \"-1\"|2 2.5 false 1 \"x\" "
               "\"18446744073709551615\"\n"
               "_measurement=m a:i64 b:f64 c:bool d:u64 e:string f:f64|3 3 null 4 null 100\n");
}

AF_TEST(answers_that_break_off_or_fail_say_so)
{
    static const struct {
        const char *text;
        enum af_status status;
        const char *says;
    } cases[] = {
        { "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"columns\":[\"v\"],\"values\":[[1]]}],\"partial\":true}]}\n",
          AF_EIO, "promised more" },
        { "{\"error\":\"timeout reached\"}\n", AF_EIO, "timeout reached" },
        { "{\"results\":[{\"statement_id\":-1}]}", AF_ECORRUPT, "without a number" },
        { "{\"results\":[{\"statement_id\":0,\"series\":[{\"columns\":[\"v\"],\"values\":[[1,2]]}]}]}", AF_ECORRUPT, "too many values" },
        { "{\"results\":[{\"statement_id\":0", AF_ECORRUPT, "" },
    };
    struct af_buf got;
    af_buf_init(&got, 1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AF_CHECK_FAILS(read_v1("application/json", af_slice_of(cases[i].text), 5, &got), cases[i].status);
        AF_CHECK(strstr(err.message, cases[i].says) != NULL);
    }
    af_buf_done(&got);
}

/* --- msgpack ------------------------------------------------------------------------------------------------------------------ */

#define BYTES(text) ((struct af_slice){ text, sizeof(text) - 1 })
#define HEAD_0 "\x81\xa7results\x91\x83\xacstatement_id\x00\xa6series\x91\x84\xa4name\xa1m\xa7" "columns\x96\xa4time\xa1" "a\xa1" "b" \
               "\xa1" "c\xa1" "d\xa1" "e\xa6values"
#define TIME_1 "\xc7\x0c\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
#define TIME_2 "\xc7\x0c\x05\xff\xff\xff\xff\xff\xff\xff\xff\x3b\x9a\xc9\xff"

AF_TEST(msgpack_keeps_types_apart)
{
    check_v1("application/x-msgpack",
             BYTES(HEAD_0 "\x92"
                          "\x96" TIME_1 "\xcb\x40\x00\x00\x00\x00\x00\x00\x00\x03\xc3\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xd9\x02xy"
                          "\x96" TIME_2 "\xca\x3f\x80\x00\x00\xd1\xff\x00\xc2\x05\xc0"
                          "\xa7partial\xc3\xa7partial\xc3"
                          "\x81\xa7results\x91\x81\xa5" "error\xabout of luck"
                          "\x81\xa7results\x91\x81\xa5" "error\xacnot executed"),
             "#0\n"
             "_measurement=m time:time a:f64 b:i64 c:bool d:u64 e:string|\"1970-01-01T00:00:00.000000001Z\" 2 3 true 18446744073709551615 "
             "\"xy\"|\"1969-12-31T23:59:59.999999999Z\" 1 -256 false 5 null\n"
             "error: out of luck\n#1\nerror: not executed\n");
}

#define NEST_22 "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"

AF_TEST(msgpack_that_is_none)
{
    static const struct {
        struct af_slice bytes;
        enum af_status status;
    } cases[] = {
        { BYTES("\xc1"), AF_ECORRUPT },                                     /* an unused head */
        { BYTES("\x81\x01\x01"), AF_ECORRUPT },                             /* a key that is no text */
        { BYTES("\x81\xa7results\x91\x81\xa5" "error"), AF_ECORRUPT },      /* cut short */
        { BYTES("\x81\xa7results\xdd\xff\xff\xff\xff"), AF_ECORRUPT },      /* a list that never comes */
        { BYTES("\x81\xdb\xff\xff\xff\xff"), AF_ELIMIT },                   /* a text of 4 GiB */
        { BYTES("\x81\xa7results\x91\x81\xa6series\x91\x82\xa7" "columns\x91\xa1t\xa6values\x91\x91\xc7\x0c\x05"
                "\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"), AF_ECORRUPT },                         /* a time past all */
        { BYTES(NEST_22 NEST_22 NEST_22), AF_ELIMIT },                                                    /* too deep */
    };
    struct af_buf got;
    af_buf_init(&got, 1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t piece = 1; piece < 100; piece += 33)
            AF_CHECK_FAILS(read_v1("application/x-msgpack", cases[i].bytes, piece, &got), cases[i].status);
    af_buf_done(&got);
}

/* --- Flux --------------------------------------------------------------------------------------------------------------------- */

#define FLUX_HEAD "#datatype,string,long,dateTime:RFC3339,double,string,string,boolean,unsignedLong,long\r\n" \
                  "#group,false,false,false,false,true,true,false,false,false\r\n#default,_result,,,,,,,,\r\n" \
                  ",result,table,_time,_value,_measurement,host,b,u,i\r\n"

static enum af_status read_flux(const char *text, struct af_buf *out)
{
    struct tables tables;
    struct flux_tables *flux;
    af_buf_clear(out);
    tables_init(&tables, "test");
    enum af_status status = flux_tables_new(&remote, &tables, &flux, &err);
    if (status == AF_OK) {
        for (size_t at = 0; text[at] != '\0' && status == AF_OK; at++)
            status = flux_tables_feed(flux, af_slice_make(text + at, 1), &err);
        if (status == AF_OK)
            status = flux_tables_finish(flux, &err);
        print_parts(out, &tables);
        flux_tables_free(flux);
    }
    tables_done(&tables);
    return status;
}

AF_TEST(flux_tables_have_their_key)
{
    struct af_buf got;
    af_buf_init(&got, 1 << 20);
    AF_CHECK_OK(read_flux(FLUX_HEAD ",,0,2024-01-01T00:00:00Z,1,m,a,true,5,-1\r\n,,0,2024-01-01T00:00:01Z,,m,a,,,\r\n"
                                    ",,1,2024-01-01T00:00:00Z,NaN,m,b,false,18446744073709551615,2\r\n\r\n"
                                    "#datatype,string,long,string\r\n#group,false,false,false\r\n#default,other,,\r\n"
                                    ",result,table,n\r\n,,0,x\r\n", &got), err);
    AF_CHECK_SLICE(af_buf_slice(&got),
                   "#0\n_measurement=m host=a _time:time _value:f64 b:bool u:u64 i:i64|\"2024-01-01T00:00:00.000000000Z\" 1 true 5 -1|"
                   "\"2024-01-01T00:00:01.000000000Z\" null null null null\n"
                   "_measurement=m host=b _time:time _value:f64 b:bool u:u64 i:i64|\"2024-01-01T00:00:00.000000000Z\" \"NaN\" false "
                   "18446744073709551615 2\n"
                   "#1\nresult=other n:string|\"x\"\n");
    AF_CHECK_OK(read_flux("\r\n", &got), err);
    AF_CHECK_SLICE(af_buf_slice(&got), "#0\n");
    AF_CHECK_FAILS(read_flux(FLUX_HEAD ",,0,2024-01-01T00:00:00Z,1x,m,a,true,5,-1\r\n", &got), AF_ECORRUPT);
    AF_CHECK(strstr(err.message, "column _value") != NULL);
    AF_CHECK_FAILS(read_flux(FLUX_HEAD ",,0,2024-01-01T00:00:00Z,1,m,a,true,5,-1\r\n\r\n#datatype,string,string\r\n#group,true,true\r\n"
                                       "#default,,\r\n,error,reference\r\n,out of memory,\r\n", &got), AF_EIO);
    AF_CHECK(strstr(err.message, "out of memory") != NULL);
    af_buf_done(&got);
}

/* --- memory ------------------------------------------------------------------------------------------------------------------- */

AF_TEST(no_memory_is_said_at_any_place)
{
    struct af_buf got;
    struct af_slice bytes = BYTES(HEAD_0 "\x91\x96" TIME_1 "\xcb\x40\x00\x00\x00\x00\x00\x00\x00\x03\xc3"
                                         "\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xd9"
                                         "\x02xy\xa7partial\xc2\xa7partial\xc2" "\x81\xa7results\x91\x81\xa5" "error\xabout of luck");
    bool is_over = false;
    af_buf_init(&got, 1 << 20);
    AF_CHECK_OK(read_v1("application/x-msgpack", bytes, 5, &got), err);
    for (size_t nth = 1; !is_over; nth++) {
        (void)af_alloc_fail_nth(nth);
        enum af_status status = read_v1("application/x-msgpack", bytes, 5, &got);
        is_over = af_alloc_fail_nth(0) < nth;
        AF_CHECK(status == AF_OK ? is_over || got.failed : status == AF_ENOMEM);
    }
    is_over = false;
    for (size_t nth = 1; !is_over; nth++) {
        (void)af_alloc_fail_nth(nth);
        enum af_status status = read_flux(FLUX_HEAD ",,0,2024-01-01T00:00:00Z,1,m,a,true,5,-1\r\n", &got);
        is_over = af_alloc_fail_nth(0) < nth;
        AF_CHECK(status == AF_OK ? is_over || got.failed : status == AF_ENOMEM);
    }
    af_buf_done(&got);
}

/* --- a real server ------------------------------------------------------------------------------------------------------------ */

static struct af_store *open_bucket(const char *url, const char *bucket)
{
    struct af_store *store;
    struct af_remote_options options = { .url = url, .bucket = bucket };
    AF_CHECK_OK(af_remote_open(&options, &store, &err), err);
    return store;
}

static enum af_status ask(struct af_store *store, const char *text, const bool *cancel, struct af_buf *out)
{
    struct af_remote_answer *answer;
    const struct af_remote_part *part = NULL;
    af_buf_clear(out);
    enum af_status status = af_remote_ask(store, AF_REMOTE_INFLUXQL, af_slice_of(text), cancel, &answer, &err);
    while (status == AF_OK && (status = af_remote_answer_next(answer, &part, &err)) == AF_OK && part != NULL)
        print_part(out, part);
    af_remote_answer_close(answer);
    return status;
}

AF_TEST(influxd_answers_in_tables)
{
    struct af_influxd server;
    struct af_buf got;
    af_buf_init(&got, 64 << 20);
    if (!af_influxd_start(&server, (struct af_influxd_options){ 0 }))
        return;
    struct af_store *store = open_bucket(server.url, "d");
    AF_CHECK_OK(af_store_create(store, &err), err);
    af_contract_write(store, AF_SLICE_LIT("m,t=a f=2,i=3i,s=\"x\",b=true 1\nm,t=b f=3,i=300i 1700000000123456789\n"), 1);
    AF_CHECK_OK(ask(store, "SELECT * FROM m; SELECT foo(f) FROM m; SELECT f FROM m", NULL, &got), err);
    AF_CHECK_SLICE(af_buf_slice(&got),
                   "#0\n_measurement=m time:time b:bool f:f64 i:i64 s:string t:string|"
                   "\"1970-01-01T00:00:00.000000001Z\" true 2 3 \"x\" \"a\"|"
                   "\"2023-11-14T22:13:20.123456789Z\" null 3 300 null \"b\"\n"
                   "#1\nerror: undefined function foo()\n#2\nerror: not executed\n");
    AF_CHECK_OK(ask(store, "SELECT f FROM m GROUP BY t; SELECT f FROM none", NULL, &got), err);
    AF_CHECK_SLICE(af_buf_slice(&got), "#0\n_measurement=m t=a time:time f:f64|\"1970-01-01T00:00:00.000000001Z\" 2\n"
                                       "_measurement=m t=b time:time f:f64|\"2023-11-14T22:13:20.123456789Z\" 3\n#1\n");
    AF_CHECK_FAILS(ask(store, "SELECT * FRM m", NULL, &got), AF_EINVAL);
    AF_CHECK(strstr(err.message, "expected FROM") != NULL);
    AF_CHECK_OK(ask(store, "SHOW RETENTION POLICIES ON nodb", NULL, &got), err);
    AF_CHECK_SLICE(af_buf_slice(&got), "#0\nerror: database not found: nodb\n");
    const bool stop = true;
    AF_CHECK_FAILS(ask(store, "SELECT * FROM m", &stop, &got), AF_ECANCELED);
    af_store_close(store);
    store = open_bucket(server.url, NULL);
    AF_CHECK_OK(ask(store, "SHOW DATABASES", NULL, &got), err);
    AF_CHECK_SLICE(af_buf_slice(&got), "#0\n_measurement=databases name:string|\"d\"\n");
    af_store_close(store);
    af_buf_done(&got);
    af_influxd_stop(&server);
}

/* More rows than a chunk, a batch and the cells of a table hold, of two series: all of them, once. */
AF_TEST(influxd_large_answers_come_whole)
{
    struct af_influxd server;
    struct af_buf lines;
    struct af_remote_answer *answer;
    const struct af_remote_part *part = NULL;
    size_t rows = 0, tables = 0;
    double sum = 0;
    af_buf_init(&lines, 16 << 20);
    if (!af_influxd_start(&server, (struct af_influxd_options){ 0 }))
        return;
    struct af_store *store = open_bucket(server.url, "d");
    AF_CHECK_OK(af_store_create(store, &err), err);
    for (int i = 0; i < 50000; i++)
        af_buf_printf(&lines, "m,s=%d v=%d %lld\n", i % 2, i, 1600000000000000000LL + i);
    af_contract_write(store, af_buf_slice(&lines), 1);
    AF_CHECK_OK(af_remote_ask(store, AF_REMOTE_INFLUXQL, AF_SLICE_LIT("SELECT v FROM m GROUP BY s"), NULL, &answer, &err), err);
    for (;;) {
        AF_CHECK_OK(af_remote_answer_next(answer, &part, &err), err);
        if (part == NULL)
            break;
        if (part->table == NULL)
            continue;
        tables++;
        rows += part->table->rows->row_count;
        for (size_t row = 0; row < part->table->rows->row_count; row++)
            sum += part->table->rows->columns[1].f64[row];
    }
    AF_CHECK_INT(rows, 50000);
    AF_CHECK(tables >= 6 && sum == 50000.0 * 49999 / 2);
    af_remote_answer_close(answer);
    af_store_close(store);
    af_buf_done(&lines);
    af_influxd_stop(&server);
}
