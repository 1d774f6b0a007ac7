/*
 * query_test.c - whole requests over a memory store: what statements answer, where they end, what stops them, memory that runs out.
 */
#include "base/alloc.h"
#include "os/clock.h"
#include "query/query_int.h"
#include "store/memory.h"
#include "test/lib/test.h"
#include <stdio.h>

static const char sample[] = "cpu,host=a,region=eu usage=1,n=1i,value=7 1000000000\n"
                             "cpu,host=a,region=eu usage=3,n=2i 2000000000\n"
                             "cpu,host=b,region=us usage=5,txt=\"x\" 1000000000\n"
                             "cpu,host=c usage=7 3000000000\n"
                             "mem,host=a,rack=r1 free=10i 1000000000\n"
                             "disk,path=/ used=0.5 5000000000\n";

struct fix {
    struct af_store *store;
    struct af_query_one one;
    struct af_query_request request;
    struct af_buf out;
    struct af_error err;
    bool has_failed;
};

static void begin(struct fix *f, const char *lines)
{
    struct af_write_answer answer;
    struct af_write write = { .lines = af_slice_of(lines), .precision_ns = 1 };
    *f = (struct fix){ .request = { .database = "db", .now_ns = 10000000000, .wire = { .format = AF_WIRE_V1_JSON, .epoch_ns = 1000000000 },
                                    .workers = 1 } };
    for (const char *at = lines; (at = strchr(at, '\n')) != NULL; at++)
        write.line_count++;
    AF_CHECK_OK(af_memory_open(&(struct af_memory_options){ .is_v2 = true }, &f->store, &f->err), f->err);
    AF_CHECK_OK(af_store_write(f->store, &write, &answer, &f->err), f->err);
    AF_CHECK_INT(answer.verdict, AF_WRITE_DONE);
    af_query_one_init(&f->one, f->store);
    af_buf_init(&f->out, SIZE_MAX);
}

static void end(struct fix *f)
{
    af_buf_done(&f->out);
    af_store_close(f->store);
}

static enum af_status run(struct fix *f, const char *text)
{
    struct af_query *query;
    struct af_slice piece;
    f->request.text = af_slice_of(text);
    af_buf_clear(&f->out);
    enum af_status status = af_query_open(&f->one.host, &f->request, &query, &f->err);
    if (status != AF_OK)
        return status;
    while ((status = af_query_next(query, &piece, &f->err)) == AF_OK && piece.len != 0)
        af_buf_append_slice(&f->out, piece);
    f->has_failed = af_query_failed(query);
    af_query_close(query);
    return status;
}

/* The whole answer; `series` is what stands in "series", or the answer's end from "error" on. */
static void answers(struct fix *f, const char *text, const char *want)
{
    AF_CHECK_OK(run(f, text), f->err);
    if (!af_slice_eq(af_buf_slice(&f->out), af_slice_of(want)))
        af_test_failed(__FILE__, __LINE__, "%s\n  gives %s  not   %s", text, af_buf_cstr(&f->out), want);
}

#define ONE(series) "{\"results\":[{\"statement_id\":0,\"series\":[" series "]}]}\n"
#define NONE "{\"results\":[{\"statement_id\":0}]}\n"
#define ERROR(words) "{\"results\":[{\"statement_id\":0,\"error\":\"" words "\"}]}\n"
#define TABLE(name, columns, values) "{\"name\":\"" name "\",\"columns\":[" columns "],\"values\":[" values "]}"
#define TAGGED(name, tags, columns, values) "{\"name\":\"" name "\",\"tags\":{" tags "},\"columns\":[" columns "],\"values\":[" values "]}"

/* --- SELECT -------------------------------------------------------------------------------------------------------------------------- */

AF_TEST(selects_answer)
{
    struct fix f;
    begin(&f, sample);
    answers(&f, "SELECT usage, host FROM cpu", ONE(TABLE("cpu", "\"time\",\"usage\",\"host\"",
                                                         "[1,1,\"a\"],[1,5,\"b\"],[2,3,\"a\"],[3,7,\"c\"]")));
    answers(&f, "SELECT sum(usage) FROM cpu GROUP BY host LIMIT 1",
            ONE(TAGGED("cpu", "\"host\":\"a\"", "\"time\",\"sum\"", "[0,4]") "," TAGGED("cpu", "\"host\":\"b\"", "\"time\",\"sum\"",
                                                                                        "[0,5]") ","
                TAGGED("cpu", "\"host\":\"c\"", "\"time\",\"sum\"", "[0,7]")));
    answers(&f, "SELECT nope FROM cpu", NONE);
    answers(&f, "", "{}\n");
    f.request.database = NULL;
    answers(&f, "SELECT usage FROM cpu", ERROR("database name required"));
    answers(&f, "SELECT free FROM other.rp.mem", ONE(TABLE("mem", "\"time\",\"free\"", "[1,10]")));
    end(&f);
}

AF_TEST(the_first_failure_ends_the_request)
{
    struct fix f;
    begin(&f, sample);
    answers(&f, "SELECT free FROM mem; SELECT mean(free), free FROM mem; SELECT free FROM mem",
            "{\"results\":[{\"statement_id\":0,\"series\":[" TABLE("mem", "\"time\",\"free\"", "[1,10]") "]},"
            "{\"statement_id\":1,\"error\":\"mixing aggregate and non-aggregate queries is not supported\"},{\"statement_id\":2,"
            "\"error\":\"not executed\"}]}\n");
    AF_CHECK(f.has_failed);
    AF_CHECK_FAILS(run(&f, "SELECT free FROM mem; SELECT"), AF_EINVAL);
    AF_CHECK_STR(f.err.message, "error parsing query: found EOF, expected identifier, string, number, bool at line 1, char 30");
    end(&f);
}

AF_TEST(a_number_without_a_word_refuses_all)
{
    struct fix f;
    begin(&f, "m v=1000 1\n");
    answers(&f, "SELECT v FROM m; SELECT exp(v) FROM m; SELECT v FROM m", "{\"error\":\"json: unsupported value: +Inf\"}\n");
    AF_CHECK(f.has_failed);
    f.request.wire.format = AF_WIRE_V1_CSV;
    answers(&f, "SELECT exp(v) FROM m", "name,tags,time,exp\nm,,0,+Inf\n");
    end(&f);
}

AF_TEST(parameters_stand_for_their_values)
{
    static const struct {
        const char *params, *text, *want;
    } cases[] = {
        { "{\"h\":\"b\"}", "SELECT usage FROM cpu WHERE host = $h", ONE(TABLE("cpu", "\"time\",\"usage\"", "[1,5]")) },
        { "{\"h\":5}", "SELECT usage FROM cpu WHERE usage >= $h", ONE(TABLE("cpu", "\"time\",\"usage\"", "[1,5],[3,7]")) },
        { "{\"h\":5.5}", "SELECT usage FROM cpu WHERE usage >= $h", ONE(TABLE("cpu", "\"time\",\"usage\"", "[3,7]")) },
        { "{\"h\":{\"regex\":\"[bc]\"}}", "SELECT usage FROM cpu WHERE host =~ $h", ONE(TABLE("cpu", "\"time\",\"usage\"",
                                                                                              "[1,5],[3,7]")) },
        { "{\"h\":{\"identifier\":\"free\"}}", "SELECT $h FROM mem", ONE(TABLE("mem", "\"time\",\"free\"", "[1,10]")) },
        { "{\"h\":{\"string\":\"c\"}}", "SELECT usage FROM cpu WHERE host = $h", ONE(TABLE("cpu", "\"time\",\"usage\"", "[3,7]")) },
        { "{\"h\":{\"float\":7}}", "SELECT usage FROM cpu WHERE usage = $h", ONE(TABLE("cpu", "\"time\",\"usage\"", "[3,7]")) },
        { "{\"h\":{\"integer\":7}}", "SELECT usage FROM cpu WHERE usage = $h", ONE(TABLE("cpu", "\"time\",\"usage\"", "[3,7]")) },
        { "{\"h\":{\"duration\":\"4s\"}}", "SELECT max(usage) FROM cpu WHERE time < 4s GROUP BY time($h)",
          ONE(TABLE("cpu", "\"time\",\"max\"", "[0,7]")) },
        { "{\"h\":{\"duration\":4000000000}}", "SELECT max(usage) FROM cpu WHERE time < 4s GROUP BY time($h)",
          ONE(TABLE("cpu", "\"time\",\"max\"", "[0,7]")) },
    };
    struct fix f;
    begin(&f, sample);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f.request.params_json = cases[i].params;
        answers(&f, cases[i].text, cases[i].want);
    }
    end(&f);
}

AF_TEST(parameters_that_are_none_are_errors_where_they_are_used)
{
    static const char *const cases[][2] = {
        { "{}", "missing parameter: h" },
        { "{\"h\":null}", "missing parameter: unable to bind parameter with type <nil>" },
        { "{\"h\":[]}", "missing parameter: unable to bind parameter with type []interface {}" },
        { "{\"h\":{}}", "missing parameter: bound object parameter value must have exactly one entry" },
        { "{\"h\":{\"regex\":1}}", "missing parameter: regex literal must be a string value" },
        { "{\"h\":{\"integer\":1.5}}", "missing parameter: integer literal must be an integer value" },
        { "{\"h\":{\"float\":\"x\"}}", "missing parameter: number literal must be a float value" },
        { "{\"h\":{\"duration\":true}}", "missing parameter: duration literal must be a string or integer value" },
        { "{\"h\":{\"x\":\"y\"}}", "missing parameter: unknown bind object type: x" },
    };
    struct fix f;
    char want[200];
    begin(&f, sample);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f.request.params_json = cases[i][0];
        AF_CHECK_FAILS(run(&f, "SELECT usage FROM cpu WHERE host = $h"), AF_EINVAL);
        (void)snprintf(want, sizeof want, "error parsing query: %s", cases[i][1]);
        AF_CHECK_STR(f.err.message, want);
    }
    f.request.params_json = "{\"h\":null}";
    answers(&f, "SELECT free FROM mem", ONE(TABLE("mem", "\"time\",\"free\"", "[1,10]")));
    f.request.params_json = "[1]";
    AF_CHECK_FAILS(run(&f, "SELECT free FROM mem"), AF_EINVAL);
    end(&f);
}

AF_TEST(explain_tells_the_plan)
{
    struct fix f;
    begin(&f, sample);
    AF_CHECK_OK(run(&f, "EXPLAIN SELECT mean(usage) FROM cpu GROUP BY host"), f.err);
    AF_CHECK(strstr(af_buf_cstr(&f.out), "\"columns\":[\"QUERY PLAN\"]") != NULL);
    AF_CHECK(strstr(af_buf_cstr(&f.out), "db cpu") != NULL);
    AF_CHECK_OK(run(&f, "EXPLAIN ANALYZE SELECT usage FROM cpu"), f.err);
    AF_CHECK(strstr(af_buf_cstr(&f.out), "\"columns\":[\"EXPLAIN ANALYZE\"]") != NULL);
    AF_CHECK(strstr(af_buf_cstr(&f.out), "points read: 4") != NULL);
    end(&f);
}

/* --- SHOW ----------------------------------------------------------------------------------------------------------------------------- */

#define NAMES(values) ONE(TABLE("measurements", "\"name\"", values))
#define KEYS(values) ONE("{\"columns\":[\"key\"],\"values\":[" values "]}")

AF_TEST(measurements_are_shown)
{
    static const char *const cases[][2] = {
        { "SHOW MEASUREMENTS", NAMES("[\"cpu\"],[\"disk\"],[\"mem\"]") },
        { "SHOW MEASUREMENTS LIMIT 1 OFFSET 1", NAMES("[\"disk\"]") },
        { "SHOW MEASUREMENTS WITH MEASUREMENT =~ /m/", NAMES("[\"mem\"]") },
        { "SHOW MEASUREMENTS WHERE host = 'a'", NAMES("[\"cpu\"],[\"mem\"]") },
        { "SHOW MEASUREMENTS WHERE host = 'b'", NAMES("[\"cpu\"]") },
        { "SHOW MEASUREMENTS WHERE host != 'a'", NONE }, /* both have an a; disk has no host */
        { "SHOW MEASUREMENTS WHERE host !~ /b/", NAMES("[\"mem\"]") },
        { "SHOW MEASUREMENTS WHERE rack != 'x'", NAMES("[\"mem\"]") },
        { "SHOW MEASUREMENTS WHERE _name != 'cpu' AND host = 'a'", NAMES("[\"mem\"]") },
        { "SHOW MEASUREMENTS WHERE host = 'b' OR _name = 'disk'", NAMES("[\"cpu\"],[\"disk\"]") },
        { "SHOW MEASUREMENTS WHERE _tagKey = 'host'", NONE },
        { "SHOW MEASUREMENTS WHERE host = 5", ERROR("right side of '=' must be a tag value string") },
        { "SHOW MEASUREMENTS WHERE 'a' = host", ERROR("left side of '=' must be a tag key") },
        { "SHOW MEASUREMENTS WHERE usage > 5", ERROR("invalid tag comparison operator") },
        { "SHOW MEASUREMENTS WHERE true", ERROR("\\u0026influxql.BooleanLiteral{Val:true}") },
        { "SHOW MEASUREMENTS WHERE host = 'a' OR (false)", ERROR("\\u0026influxql.BooleanLiteral{Val:false}") },
        { "SHOW MEASUREMENTS WITH MEASUREMENT = nope WHERE 5", ERROR("\\u0026influxql.IntegerLiteral{Val:5}") },
        { "SHOW MEASUREMENTS WHERE 1m", ERROR("\\u0026influxql.DurationLiteral{Val:60000000000}") },
        { "SHOW MEASUREMENTS WHERE 'a'", ERROR("\\u0026influxql.StringLiteral{Val:\\\"a\\\"}") },
        { "SHOW MEASUREMENTS WHERE host::tag", ERROR("\\u0026influxql.VarRef{Val:\\\"host\\\", Type:7}") },
        { "SHOW MEASUREMENTS WHERE 1 = 1", ERROR("left side of '=' must be a tag key") },
        { "SHOW MEASUREMENTS WHERE host = 'a' AND TIME > 0", ERROR("SHOW MEASUREMENTS doesn't support time in WHERE clause") },
        { "SHOW MEASUREMENTS WHERE time > 0", ERROR("SHOW MEASUREMENTS doesn't support time in WHERE clause") },
    };
    struct fix f;
    begin(&f, sample);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        answers(&f, cases[i][0], cases[i][1]);
    end(&f);
}

#define A "[\"cpu,host=a,region=eu\"]"
#define B "[\"cpu,host=b,region=us\"]"
#define C "[\"cpu,host=c\"]"
#define D "[\"disk,path=/\"]"
#define M "[\"mem,host=a,rack=r1\"]"

AF_TEST(series_are_shown)
{
    static const char *const cases[][2] = {
        { "SHOW SERIES", KEYS(A "," B "," C "," D "," M) },
        { "SHOW SERIES LIMIT 1 OFFSET 2", KEYS(C) },
        { "SHOW SERIES FROM cpu WHERE region = ''", KEYS(C) },
        { "SHOW SERIES FROM mem, /is/", KEYS(D "," M) },
        { "SHOW SERIES WHERE host = 'a'", KEYS(A "," M) },
        { "SHOW SERIES WHERE host =~ /[ab]/ AND region !~ /us/", KEYS(A "," M) },
        { "SHOW SERIES WHERE _name = 'cpu' AND host != 'a'", KEYS(B "," C) },
        { "SHOW SERIES WHERE _name !~ /cpu|mem/", KEYS(D) },
        { "SHOW SERIES WHERE host = 5", KEYS(A "," B "," C "," D "," M) },
        { "SHOW SERIES WHERE host = 'c' AND usage = 5", KEYS(C) },
        { "SHOW SERIES WHERE host = rack", KEYS(M) },
        { "SHOW SERIES WHERE usage > 5", ERROR("invalid tag comparison operator") },
        { "SHOW SERIES WHERE time > 2s", KEYS(C "," D) },
    };
    struct fix f;
    begin(&f, sample);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        answers(&f, cases[i][0], cases[i][1]);
    end(&f);
}

#define TAG_KEYS(name, values) TABLE(name, "\"tagKey\"", values)
#define VALUES(name, values) TABLE(name, "\"key\",\"value\"", values)

AF_TEST(tags_and_fields_are_shown)
{
    static const char *const cases[][2] = {
        { "SHOW TAG KEYS", ONE(TAG_KEYS("cpu", "[\"host\"],[\"region\"]") "," TAG_KEYS("disk", "[\"path\"]") "," TAG_KEYS("mem",
                "[\"host\"],[\"rack\"]")) },
        { "SHOW TAG KEYS FROM cpu OFFSET 1", ONE(TAG_KEYS("cpu", "[\"region\"]")) },
        { "SHOW TAG KEYS WHERE host = 'c'", ONE(TAG_KEYS("cpu", "[\"host\"]")) },
        { "SHOW TAG KEYS WHERE _name = 'disk'", ONE(TAG_KEYS("disk", "[\"path\"]")) },
        { "SHOW TAG KEYS WHERE value = 'eu'", ONE(TAG_KEYS("cpu", "[\"region\"]")) },
        { "SHOW TAG VALUES WITH KEY = host", ONE(VALUES("cpu", "[\"host\",\"a\"],[\"host\",\"b\"],[\"host\",\"c\"]") "," VALUES("mem",
                "[\"host\",\"a\"]")) },
        { "SHOW TAG VALUES WITH KEY IN (host, rack) LIMIT 1 OFFSET 1", ONE(VALUES("cpu", "[\"host\",\"b\"]") "," VALUES("mem",
                "[\"rack\",\"r1\"]")) },
        { "SHOW TAG VALUES WITH KEY !~ /host|path/", ONE(VALUES("cpu", "[\"region\",\"eu\"],[\"region\",\"us\"]") "," VALUES("mem",
                "[\"rack\",\"r1\"]")) },
        { "SHOW TAG VALUES FROM mem WITH KEY != host WHERE host = 'a'", ONE(VALUES("mem", "[\"rack\",\"r1\"]")) },
        { "SHOW TAG VALUES WITH KEY = host WHERE region != 'eu'", ONE(VALUES("cpu", "[\"host\",\"b\"],[\"host\",\"c\"]") "," VALUES("mem",
                "[\"host\",\"a\"]")) },
        { "SHOW TAG VALUES WITH KEY = host WHERE value =~ /[bc]/", ONE(VALUES("cpu", "[\"host\",\"b\"],[\"host\",\"c\"]")) },
        { "SHOW TAG VALUES WITH KEY = host WHERE value = 5", NONE },
        { "SHOW TAG VALUES WITH KEY =~ /./ WHERE _tagKey = 'rack' OR _tagKey = 'path'", ONE(VALUES("disk", "[\"path\",\"/\"]") ","
                                                                                            VALUES("mem", "[\"rack\",\"r1\"]")) },
        { "SHOW TAG VALUES WITH KEY = host WHERE usage > 1", ERROR("invalid tag comparison operator") },
        { "SHOW FIELD KEYS FROM cpu LIMIT 2 OFFSET 1", ONE(TABLE("cpu", "\"fieldKey\",\"fieldType\"",
                                                                 "[\"txt\",\"string\"],[\"usage\",\"float\"]")) },
        { "SHOW FIELD KEYS FROM mem", ONE(TABLE("mem", "\"fieldKey\",\"fieldType\"", "[\"free\",\"integer\"]")) },
    };
    struct fix f;
    begin(&f, sample);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        answers(&f, cases[i][0], cases[i][1]);
    end(&f);
}

#define COUNT(name, count) TABLE(name, "\"count\"", "[" count "]")
#define GROUP(name, tags, count) TAGGED(name, tags, "\"count\"", "[" count "]")

AF_TEST(counts_are_shown)
{
    static const char *const cases[][2] = {
        { "SHOW SERIES CARDINALITY", ONE("{\"columns\":[\"cardinality estimation\"],\"values\":[[5]]}") },
        { "SHOW MEASUREMENT CARDINALITY", ONE("{\"columns\":[\"cardinality estimation\"],\"values\":[[3]]}") },
        { "SHOW SERIES EXACT CARDINALITY", ONE(COUNT("cpu", "3") "," COUNT("disk", "1") "," COUNT("mem", "1")) },
        { "SHOW SERIES CARDINALITY WHERE host = 'a'", ONE(COUNT("cpu", "1") "," COUNT("mem", "1")) },
        { "SHOW SERIES CARDINALITY WHERE usage > 1", NONE },
        { "SHOW SERIES CARDINALITY OFFSET 1", NONE },
        { "SHOW SERIES CARDINALITY FROM cpu GROUP BY region",
          ONE(GROUP("cpu", "\"region\":\"\"", "1") "," GROUP("cpu", "\"region\":\"eu\"", "1") "," GROUP("cpu", "\"region\":\"us\"", "1")) },
        { "SHOW MEASUREMENT EXACT CARDINALITY WHERE host = 'a'", ONE("{\"columns\":[\"count\"],\"values\":[[2]]}") },
        { "SHOW MEASUREMENT CARDINALITY GROUP BY host",
          ONE("{\"tags\":{\"host\":\"\"},\"columns\":[\"count\"],\"values\":[[1]]},{\"tags\":{\"host\":\"a\"},\"columns\":[\"count\"],"
              "\"values\":[[2]]},"
              "{\"tags\":{\"host\":\"b\"},\"columns\":[\"count\"],\"values\":[[1]]},{\"tags\":{\"host\":\"c\"},\"columns\":[\"count\"],"
              "\"values\":[[1]]}") },
        { "SHOW TAG KEY CARDINALITY FROM cpu", ONE(COUNT("cpu", "2")) },
        { "SHOW TAG KEY CARDINALITY FROM cpu GROUP BY /hos/", ONE(GROUP("cpu", "\"host\":\"a\"", "2") "," GROUP("cpu", "\"host\":\"b\"",
                "2") "," GROUP("cpu", "\"host\":\"c\"", "1")) },
        { "SHOW FIELD KEY CARDINALITY", ONE(COUNT("cpu", "4") "," COUNT("disk", "1") "," COUNT("mem", "1")) },
        { "SHOW FIELD KEY CARDINALITY WHERE rack = 'r1' GROUP BY rack", ONE(GROUP("mem", "\"rack\":\"r1\"", "1")) },
        { "SHOW TAG VALUES CARDINALITY WITH KEY = host", ONE(COUNT("cpu", "3") "," COUNT("mem", "1")) },
        { "SHOW TAG VALUES CARDINALITY WITH KEY = host WHERE region !~ /us/", ONE(COUNT("cpu", "1")) }, /* c has no region */
        { "SHOW TAG VALUES CARDINALITY WITH KEY IN (host, rack) GROUP BY rack",
          ONE(GROUP("cpu", "\"rack\":\"\"", "3") "," GROUP("mem", "\"rack\":\"r1\"", "2")) },
        { "SHOW TAG KEY CARDINALITY WHERE time > 0", ERROR("SHOW TAG KEY EXACT CARDINALITY doesn't support time in WHERE clause") },
    };
    struct fix f;
    begin(&f, sample);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        answers(&f, cases[i][0], cases[i][1]);
    end(&f);
}

AF_TEST(chunked_lists_are_whole_and_selects_are_cut)
{
    struct fix f;
    begin(&f, sample);
    f.request.wire.chunked = true;
    f.request.wire.chunk_rows = 1;
    answers(&f, "SHOW MEASUREMENTS", NAMES("[\"cpu\"],[\"disk\"],[\"mem\"]"));
    answers(&f, "SHOW TAG VALUES WITH KEY = host", ONE(VALUES("cpu",
            "[\"host\",\"a\"],[\"host\",\"b\"],[\"host\",\"c\"]")) ONE(VALUES("mem", "[\"host\",\"a\"]")));
    answers(&f, "SELECT used FROM disk; SELECT n FROM cpu",
            "{\"results\":[{\"statement_id\":0,\"series\":[" TABLE("disk", "\"time\",\"used\"", "[5,0.5]") "]}]}\n"
            "{\"results\":[{\"statement_id\":1,\"series\":[{\"name\":\"cpu\",\"columns\":[\"time\",\"n\"],\"values\":[[1,1]],"
            "\"partial\":true}],\"partial\":true}]}\n"
            "{\"results\":[{\"statement_id\":1,\"series\":[" TABLE("cpu", "\"time\",\"n\"", "[2,2]") "]}]}\n");
    answers(&f, "", "");
    end(&f);
}

/* --- changes -------------------------------------------------------------------------------------------------------------------------- */

AF_TEST(deletions_take_what_they_name)
{
    struct fix f;
    begin(&f, sample);
    answers(&f, "DELETE FROM cpu WHERE time >= 2s", NONE);
    answers(&f, "SELECT usage FROM cpu", ONE(TABLE("cpu", "\"time\",\"usage\"", "[1,1],[1,5]")));
    answers(&f, "DELETE FROM cpu WHERE host = 'a'", NONE);
    answers(&f, "SELECT usage FROM cpu", ONE(TABLE("cpu", "\"time\",\"usage\"", "[1,5]")));
    answers(&f, "DELETE FROM cpu WHERE usage = 5", ERROR("fields not supported in WHERE clause during deletion"));
    answers(&f, "DELETE FROM cpu WHERE usage != 'x'", ERROR("fields not supported in WHERE clause during deletion"));
    answers(&f, "DELETE FROM cpu WHERE usage > 5", ERROR("fields not supported in WHERE clause during deletion"));
    answers(&f, "DELETE FROM nope WHERE usage > 5", NONE); /* nothing is meant */
    answers(&f, "DROP SERIES FROM /nope/ WHERE usage > 5", NONE);
    answers(&f, "DROP SERIES FROM cpu WHERE time > 0", ERROR("DROP SERIES doesn't support time in WHERE clause"));
    answers(&f, "DROP SERIES FROM /m/ WHERE rack = 'r1'", NONE);
    answers(&f, "DROP MEASUREMENT disk", NONE);
    answers(&f, "DROP MEASUREMENT nope", NONE);
    answers(&f, "SHOW SERIES", KEYS(B));
    end(&f);
}

AF_TEST(into_writes_what_was_selected)
{
    struct fix f;
    begin(&f, sample);
    answers(&f, "SELECT usage, n, txt INTO copy FROM cpu GROUP BY *", ONE(TABLE("result", "\"time\",\"written\"", "[0,4]")));
    answers(&f, "SELECT * FROM copy", ONE(TABLE("copy", "\"time\",\"host\",\"n\",\"region\",\"txt\",\"usage\"",
                                                "[1,\"a\",1,\"eu\",null,1],[1,\"b\",null,\"us\",\"x\",5],[2,\"a\",2,\"eu\",null,3],[3,"
                                                "\"c\",null,null,null,7]")));
    answers(&f, "SELECT mean(usage) INTO x.y.:MEASUREMENT FROM /copy/ WHERE time < 6s GROUP BY time(2s)", ONE(TABLE("result",
            "\"time\",\"written\"", "[0,2]")));
    answers(&f, "SELECT mean FROM copy", ONE(TABLE("copy", "\"time\",\"mean\"", "[0,3],[2,5]")));
    answers(&f, "SELECT usage / 0 AS q INTO zeros FROM cpu", ONE(TABLE("result", "\"time\",\"written\"", "[0,4]")));
    answers(&f, "SELECT value INTO none FROM cpu WHERE host = 'c'", ONE(TABLE("result", "\"time\",\"written\"", "[0,0]")));
    answers(&f, "SELECT used::integer, path INTO kinds FROM disk", ONE(TABLE("result", "\"time\",\"written\"", "[0,1]")));
    answers(&f, "SELECT * FROM kinds", ONE(TABLE("kinds", "\"time\",\"path\",\"used\"", "[5,\"/\",0]")));
    end(&f);
}

AF_TEST(changes_asked_by_get_are_warned_of)
{
    struct fix f;
    begin(&f, sample);
    f.request.is_read_only = true;
    answers(&f, "SELECT used INTO copy FROM disk",
            "{\"results\":[{\"statement_id\":0,\"series\":[" TABLE("result", "\"time\",\"written\"",
                                                                   "[0,1]") "],\"messages\":[{\"level\":\"warning\",\"text\":"
            "\"deprecated use of 'SELECT used INTO db.autogen.copy FROM db.autogen.disk' in a read only context, please use a POST "
            "request instead\"}]}]}\n");
    answers(&f, "DROP SERIES WHERE time > 0", ERROR("DROP SERIES doesn't support time in WHERE clause"));
    answers(&f, "DELETE FROM copy", NONE);
    end(&f);
}

/* --- what stops a query --------------------------------------------------------------------------------------------------------------- */

AF_TEST(rows_past_the_limit_are_not_given)
{
    struct fix f;
    begin(&f, sample);
    f.request.wire.rows_max = 2;
    answers(&f, "SELECT usage FROM cpu; SELECT free FROM mem",
            "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"cpu\",\"columns\":[\"time\",\"usage\"],\"values\":[[1,1],[1,5]],"
            "\"partial\":true}]},"
            "{\"statement_id\":1}]}\n");
    end(&f);
}

AF_TEST(limits_end_a_query)
{
    struct fix f;
    begin(&f, sample);
    f.request.limits.series_max = 2;
    AF_CHECK_OK(run(&f, "SELECT usage FROM cpu"), f.err);
    AF_CHECK(f.has_failed);
    AF_CHECK(strstr(af_buf_cstr(&f.out), "max-select-series limit exceeded") != NULL);
    f.request.limits = (struct af_exec_limits){ .points_max = 2 };
    AF_CHECK_OK(run(&f, "SELECT usage FROM cpu"), f.err);
    AF_CHECK(f.has_failed);
    f.request.limits = (struct af_exec_limits){ .windows_max = 3 };
    AF_CHECK_OK(run(&f, "SELECT mean(usage) FROM cpu WHERE time >= 0 AND time < 10s GROUP BY time(1s)"), f.err);
    AF_CHECK(f.has_failed);
    end(&f);
}

AF_TEST(fill_of_a_name_that_is_nowhere)
{
    struct fix f;
    begin(&f, sample);
    answers(&f, "SELECT usage, nosuch FROM cpu WHERE usage = 5 fill(3)", ONE(TABLE("cpu", "\"time\",\"usage\",\"nosuch\"", "[1,5,3]")));
    answers(&f, "SELECT usage, nosuch FROM cpu WHERE usage = 5 fill(2.5)",
            ONE(TABLE("cpu", "\"time\",\"usage\",\"nosuch\"", "[1,5,2.5]")));
    answers(&f, "SELECT usage, nosuch FROM cpu WHERE usage = 5 fill(previous)",
            ONE(TABLE("cpu", "\"time\",\"usage\",\"nosuch\"", "[1,5,null]")));
    end(&f);
}

/* Flat chains are as long as the text; nests are not. */
AF_TEST(long_chains_are_no_nests)
{
    static const struct {
        const char *join, *test, *want;
    } cases[] = { { " OR ", "usage = 5", ONE(TABLE("cpu", "\"time\",\"usage\"", "[1,5]")) },
                  { " AND ", "usage != 5", ONE(TABLE("cpu", "\"time\",\"usage\"", "[1,1],[2,3],[3,7]")) },
                  { " AND ", "(usage != 5 OR host = 'a')", ONE(TABLE("cpu", "\"time\",\"usage\"", "[1,1],[2,3],[3,7]")) } };
    struct fix f;
    struct af_buf text;
    begin(&f, sample);
    af_buf_init(&text, SIZE_MAX / 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        af_buf_clear(&text);
        af_buf_append_str(&text, "SELECT usage FROM cpu WHERE ");
        for (int k = 0; k < 30000; k++)
            af_buf_printf(&text, "%s%s", k != 0 ? cases[i].join : "", cases[i].test);
        answers(&f, af_buf_cstr(&text), cases[i].want);
    }
    af_buf_clear(&text);
    af_buf_append_str(&text, "SELECT usage FROM cpu WHERE ");
    for (int k = 0; k < 30000; k++)
        af_buf_append_str(&text, "usage = 5 OR (");
    AF_CHECK_FAILS(run(&f, af_buf_cstr(&text)), AF_ELIMIT);
    af_buf_done(&text);
    end(&f);
}

AF_TEST(who_is_gone_gets_nothing_more)
{
    struct fix f;
    bool is_gone = true;
    begin(&f, sample);
    f.request.cancel = &is_gone;
    answers(&f, "SELECT usage FROM cpu", ERROR("query interrupted"));
    end(&f);
}

static enum af_status never(void *ctx, const struct af_ql_statement *st, struct af_error *err)
{
    (void)ctx;
    return st->kind == AF_QL_SELECT ? AF_OK : af_fail(err, AF_EDENIED, "not you");
}

AF_TEST(one_statement_that_may_not_refuses_all)
{
    struct fix f;
    begin(&f, sample);
    f.request.may = never;
    AF_CHECK_OK(run(&f, "SELECT usage FROM cpu"), f.err);
    AF_CHECK_FAILS(run(&f, "DROP MEASUREMENT cpu; SELECT usage FROM cpu"), AF_EDENIED);
    AF_CHECK_STR(f.err.message, "not you");
    end(&f);
}

AF_TEST(running_queries_are_listed_and_killed)
{
    struct fix f;
    struct af_query *query;
    struct af_slice piece;
    struct af_query_counts counts;
    begin(&f, sample);
    f.request.list = af_query_list_new(2);
    f.request.text = AF_SLICE_LIT("SELECT usage FROM cpu; SELECT free FROM mem");
    AF_CHECK(f.request.list != NULL);
    struct af_query_request first = f.request;
    AF_CHECK_OK(af_query_open(&f.one.host, &first, &query, &f.err), f.err);
    AF_CHECK_OK(run(&f, "SHOW QUERIES"), f.err);
    AF_CHECK(strstr(af_buf_cstr(&f.out), "[1,\"SELECT usage FROM cpu; SELECT free FROM mem\",\"db\",") != NULL);
    answers(&f, "KILL QUERY 9", ERROR("no such query id: 9"));
    answers(&f, "KILL QUERY 1", NONE);
    AF_CHECK_OK(af_query_next(query, &piece, &f.err), f.err);
    AF_CHECK_SLICE(piece,
                   "{\"results\":[{\"statement_id\":0,\"error\":\"query killed\"},{\"statement_id\":1,\"error\":\"not executed\"}]}\n");
    struct af_query *second;
    AF_CHECK_OK(af_query_open(&f.one.host, &first, &second, &f.err), f.err);
    AF_CHECK_FAILS(run(&f, "SHOW QUERIES"), AF_EBUSY);
    AF_CHECK_STR(f.err.message, "max-concurrent-queries limit exceeded(2, 2)");
    af_query_close(second);
    af_query_close(query);
    af_query_list_counts(f.request.list, &counts);
    AF_CHECK_INT(counts.running, 0);
    AF_CHECK_INT(counts.killed, 1);
    AF_CHECK_INT(counts.refused, 1);
    af_query_list_free(f.request.list);
    end(&f);
}

/* A store whose scans take until they are cancelled, or ten seconds. */
struct slow {
    struct af_store base;
    struct af_store_ops ops;
    struct af_store *inner;
    struct af_query_list *list;
    bool *gone;                          /* set while a scan is at work, as a client would leave */
    bool kills;
    unsigned folds;
};

static enum af_status slow_scan(struct af_store *store, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    struct slow *slow = (struct slow *)store;
    (void)out;
    AF_CHECK(scan->cancel != NULL);
    slow->folds += scan->fold_count != 0;
    if (slow->gone != NULL)
        __atomic_store_n(slow->gone, true, __ATOMIC_RELAXED);
    if (slow->kills)
        AF_CHECK_OK(query_list_kill(slow->list, 1, err), *err);
    for (int i = 0; i < 2000 && scan->cancel != NULL; i++) {
        if (__atomic_load_n(scan->cancel, __ATOMIC_RELAXED))
            return af_fail(err, AF_ECANCELED, "stopped");
        af_clock_sleep_ms(5);
    }
    return af_fail(err, AF_EBUG, "nobody stopped it");
}

static enum af_status slow_list(struct af_store *store, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                                struct af_error *err)
{
    return af_store_list(((struct slow *)store)->inner, what, scan, out, err);
}

static void slow_close(struct af_store *store)
{
    (void)store;
}

/* Inside of one call of a store: the deadline, a client that leaves, KILL QUERY. */
AF_TEST(long_calls_of_stores_are_stopped)
{
    static const char *const texts[] = { "SELECT usage FROM cpu", "SELECT mean(usage) FROM cpu GROUP BY time(1s), host",
                                         "SELECT usage INTO copy FROM cpu", "EXPLAIN ANALYZE SELECT usage FROM cpu" };
    static const char *const wants[] = { ERROR("query-timeout limit exceeded"), ERROR("query interrupted"), ERROR("query killed") };
    for (size_t i = 0; i < 3 * sizeof texts / sizeof texts[0]; i++) {
        struct fix f;
        bool gone = false;
        begin(&f, sample);
        struct slow slow = { .ops = { .name = "slow", .scan = slow_scan, .list = slow_list, .close = slow_close }, .inner = f.store };
        slow.base = (struct af_store){ &slow.ops, "slow", f.store->caps };
        af_query_one_init(&f.one, &slow.base);
        slow.list = f.request.list = af_query_list_new(0);
        AF_CHECK(slow.list != NULL);
        f.request.timeout_ms = i % 3 == 0 ? 100 : 60000;
        f.request.cancel = &gone;
        slow.gone = i % 3 == 1 ? &gone : NULL;
        slow.kills = i % 3 == 2;
        int64_t start_ns = af_clock_mono_ns();
        answers(&f, texts[i / 3], wants[i % 3]);
        AF_CHECK(af_clock_mono_ns() - start_ns < INT64_C(8000000000));
        AF_CHECK_INT(slow.folds, i / 3 == 1);
        af_query_list_free(slow.list);
        end(&f);
    }
}

/* What runs by itself (continuous queries) counts among those that run, too. */
AF_TEST(into_without_an_answer_is_in_the_list)
{
    struct fix f;
    struct af_query *query;
    struct af_query_counts counts;
    struct af_arena arena;
    struct af_ql_statement *st;
    uint64_t written = 9;
    begin(&f, sample);
    af_arena_init(&arena, SIZE_MAX / 2);
    f.request.list = af_query_list_new(1);
    f.request.text = AF_SLICE_LIT("SELECT usage FROM cpu");
    AF_CHECK(f.request.list != NULL);
    AF_CHECK_OK(af_ql_parse(AF_SLICE_LIT("SELECT usage INTO copy FROM cpu"), NULL, &arena, &st, &f.err), f.err);
    AF_CHECK_OK(af_query_open(&f.one.host, &f.request, &query, &f.err), f.err);
    AF_CHECK_FAILS(af_query_into(&f.one.host, st->select, &f.request, &written, &f.err), AF_EBUSY);
    AF_CHECK_INT(written, 9);
    af_query_close(query);
    AF_CHECK_OK(af_query_into(&f.one.host, st->select, &f.request, &written, &f.err), f.err);
    AF_CHECK_INT(written, 4);
    af_query_list_counts(f.request.list, &counts);
    AF_CHECK_INT(counts.running, 0);
    AF_CHECK_INT(counts.done, 1);
    AF_CHECK_INT(counts.refused, 1);
    af_query_list_free(f.request.list);
    af_arena_done(&arena);
    end(&f);
}

/* --- memory --------------------------------------------------------------------------------------------------------------------------- */

/* Every statement at every allocation: it answers or fails, and nothing is lost (the sanitizer looks). */
AF_TEST(any_allocation_may_fail)
{
    static const char *const texts[] = {
        "SELECT mean(usage), max(n) FROM cpu WHERE time < 10s GROUP BY time(1s), host fill(0) LIMIT 3; SELECT * FROM /m/",
        "SHOW TAG VALUES WITH KEY =~ /h/ WHERE value != 'c' AND host != 'x'; SHOW SERIES WHERE host = 'a' AND time > 0",
        "SHOW SERIES CARDINALITY GROUP BY *; SHOW TAG VALUES CARDINALITY WITH KEY = host WHERE region != 'x'; SHOW FIELD KEYS",
        "SELECT usage INTO copy FROM cpu GROUP BY *; EXPLAIN SELECT usage FROM cpu; SHOW QUERIES",
        "DELETE FROM nope WHERE host = 'a'; SHOW MEASUREMENTS WHERE host != 'b'; SHOW TAG KEYS",
    };
    struct fix f;
    begin(&f, sample);
    f.request.list = af_query_list_new(0);
    f.request.params_json = "{\"h\":{\"regex\":\"x\"}}";
    f.request.is_read_only = true;
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        size_t failed = 0;
        for (size_t n = 1;; n += n < 200 ? 1 : 7) {
            (void)af_alloc_fail_nth(n);
            enum af_status status = run(&f, texts[t]);
            bool was_reached = af_alloc_fail_nth(0) >= n;
            failed += status != AF_OK || f.has_failed;
            AF_CHECK(status == AF_OK || status == AF_ENOMEM);
            if (!was_reached)
                break;
        }
        AF_CHECK(failed > 20);
    }
    af_query_list_free(f.request.list);
    end(&f);
}
