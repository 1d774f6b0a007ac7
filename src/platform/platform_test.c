/*
 * platform_test.c - requests as clients send them, over a memory store and over scripted servers: shapes of answers, codes of failures,
 * what is refused, ceilings.
 */
#include "platform/platform_int.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "os/clock.h"
#include "remote/remote.h"
#include "store/memory.h"
#include "test/lib/http_peer.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>

static const char sample[] = "generation_data,region=se,source=hydro power_mw=1500.5,unit=\"MW\" 1704110400000000000\n"
                             "generation_data,region=se,source=hydro power_mw=1600,n=3i 1704114000000000000\n"
                             "generation_data,region=ne,source=wind power_mw=700 1704110400000000001\n";

struct fix {
    struct af_store *store;
    struct af_query_one one;
    struct af_platform platform;
    struct af_platform_result result;
    struct af_buf out;
    struct af_arena arena;
    struct af_json *json;
    struct af_error err;
    struct af_peer *peer;
    unsigned opened;
    enum af_status fails_with;      /* open_store */
};

static void begin(struct fix *f)
{
    struct af_write_answer answer;
    const struct af_write write = { .lines = af_slice_of(sample), .line_count = 3, .precision_ns = 1 };
    *f = (struct fix){ 0 };
    AF_CHECK_OK(af_memory_open(&(struct af_memory_options){ .is_v2 = true }, &f->store, &f->err), f->err);
    AF_CHECK_OK(af_store_write(f->store, &write, &answer, &f->err), f->err);
    af_query_one_init(&f->one, f->store);
    f->platform = (struct af_platform){ .host = &f->one.host, .ctx = f, .database = "energy_data" };
    af_buf_init(&f->out, 16 << 20);
    af_arena_init(&f->arena, 64 << 20);
}

static void end(struct fix *f)
{
    af_buf_done(&f->out);
    af_arena_done(&f->arena);
    af_store_close(f->store);
    if (f->peer != NULL)
        af_peer_stop(f->peer);
}

static enum af_status open_store(void *ctx, const bool *cancel, struct af_store **out, struct af_error *err)
{
    struct fix *f = ctx;
    f->opened++;
    AF_CHECK(cancel != NULL);
    if (f->fails_with != AF_OK)
        return af_fail(err, f->fails_with, "secret \"arn:aws:1\" of http://secret-host: database not found (HTTP 500)");
    *out = f->store;
    return AF_OK;
}

static void begin_remote(struct fix *f, const struct af_peer_step *steps, size_t count, enum af_influx_version version)
{
    *f = (struct fix){ 0 };
    f->peer = af_peer_start(steps, count);
    const struct af_remote_options options = { .url = af_peer_url(f->peer), .bucket = "energy_data", .org = "ons", .token = "t",
                                               .version = version, .no_gzip = true };
    AF_CHECK_OK(af_remote_open(&options, &f->store, &f->err), f->err);
    f->platform = (struct af_platform){ .open = open_store, .ctx = f };
    af_buf_init(&f->out, 16 << 20);
    af_arena_init(&f->arena, 64 << 20);
}

static int ask(struct fix *f, const char *method, const char *path, struct af_slice body)
{
    const struct af_platform_request request = { .method = af_slice_of(method), .path = af_slice_of(path), .body = body, .id = "the-id" };
    af_buf_clear(&f->out);
    af_arena_reset(&f->arena);
    AF_CHECK_OK(af_platform_answer(&f->platform, &request, &f->result, &f->out, &f->err), f->err);
    AF_CHECK_OK(af_json_parse(af_buf_slice(&f->out), &f->arena, &f->json, &f->err), f->err);
    return f->result.http_status;
}

static int post(struct fix *f, const char *path, const char *body)
{
    return ask(f, "POST", path, af_slice_of(body));
}

static int influxql(struct fix *f, const char *text)
{
    struct af_buf body;
    af_buf_init(&body, 4 << 20);
    af_buf_append_str(&body, "{\"query\":");
    af_json_append_string(&body, af_slice_of(text));
    af_buf_append_char(&body, '}');
    int status = ask(f, "POST", "/query/influxql", af_buf_slice(&body));
    af_buf_done(&body);
    return status;
}

/* A member of the answer, as text. */
static const char *shown(struct fix *f, const char *name)
{
    struct af_buf text;
    af_buf_init(&text, 16 << 20);
    const struct af_json *member = af_json_get(f->json, name);
    if (member != NULL)
        af_json_append(&text, member);
    const char *copy = af_arena_copy(&f->arena, af_buf_slice(&text));
    af_buf_done(&text);
    return copy;
}

static const struct af_json *error_of(struct fix *f)
{
    const struct af_json *error = af_json_get(f->json, "error");
    int64_t status;
    AF_CHECK(error != NULL && af_json_get(f->json, "data") == NULL);
    AF_CHECK(af_json_i64(af_json_get(f->json, "status_code"), &status) && status == f->result.http_status);
    AF_CHECK_SLICE(af_json_string(error, "query_id"), "the-id");
    AF_CHECK(af_json_string(error, "timestamp").len == strlen("2024-01-01T00:00:00.000Z"));
    AF_CHECK(af_json_string(error, "message").len != 0);
    for (size_t i = 0; i < 4; i++) {
        static const char *const names[] = { "influxdb_error", "query_line", "query_position", "suggested_fix" };
        AF_CHECK(af_json_get(af_json_get(error, "details"), names[i]) != NULL);
    }
    return error;
}

static bool has(struct af_slice text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* --- answers ---------------------------------------------------------------------------------------------------------------------- */

AF_TEST(rows_are_flat_and_say_what_they_are)
{
    struct fix f;
    begin(&f);
    AF_CHECK_INT(influxql(&f, "SELECT power_mw, unit, n FROM generation_data GROUP BY region"), 200);
    AF_CHECK_STR(shown(&f, "query_id"), "\"the-id\"");
    AF_CHECK_STR(shown(&f, "query"), "\"SELECT power_mw, unit, n FROM generation_data GROUP BY region\"");
    AF_CHECK_STR(shown(&f, "result_count"), "3");
    AF_CHECK_STR(shown(&f, "truncated"), "false");
    AF_CHECK_STR(shown(&f, "data"),
                 "[{\"_time\":\"2024-01-01T12:00:00.000000001Z\",\"power_mw\":700,\"unit\":null,\"n\":null,"
                 "\"_measurement\":\"generation_data\",\"region\":\"ne\"},"
                 "{\"_time\":\"2024-01-01T12:00:00Z\",\"power_mw\":1500.5,\"unit\":\"MW\",\"n\":null,\"_measurement\":\"generation_data\","
                 "\"region\":\"se\"},"
                 "{\"_time\":\"2024-01-01T13:00:00Z\",\"power_mw\":1600,\"unit\":null,\"n\":3,\"_measurement\":\"generation_data\","
                 "\"region\":\"se\"}]");
    AF_CHECK_STR(shown(&f, "metadata"), "{\"columns\":[\"_time\",\"power_mw\",\"unit\",\"n\",\"_measurement\",\"region\"],"
                                        "\"data_types\":[\"datetime\",\"float\",\"string\",\"integer\",\"string\",\"string\"],"
                                        "\"query_cost\":1.2e-05}");
    double ms;
    AF_CHECK(af_json_f64(af_json_get(f.json, "execution_time_ms"), &ms) && ms >= 0);
    AF_CHECK_INT(f.result.rows, 3);
    end(&f);
}

AF_TEST(a_tag_that_is_selected_too_stands_once)
{
    struct fix f;
    begin(&f);
    AF_CHECK_INT(influxql(&f, "SELECT power_mw, source FROM generation_data GROUP BY source LIMIT 1"), 200);
    AF_CHECK(strstr(shown(&f, "data"), "\"source\":\"hydro\"") != NULL);
    AF_CHECK_INT(influxql(&f, "SELECT power_mw, region FROM generation_data WHERE region = 'ne' GROUP BY region"), 200);
    const char *data = shown(&f, "data");
    const char *first = strstr(data, "\"region\":");
    AF_CHECK(first == NULL || strstr(first + 1, "\"region\":") == NULL);
    end(&f);
}

AF_TEST(lists_have_rows_too_and_no_rows_are_an_answer)
{
    struct fix f;
    begin(&f);
    AF_CHECK_INT(influxql(&f, "SHOW TAG KEYS"), 200);
    AF_CHECK_STR(shown(&f, "data"), "[{\"tagKey\":\"region\",\"_measurement\":\"generation_data\"},"
                                    "{\"tagKey\":\"source\",\"_measurement\":\"generation_data\"}]");
    AF_CHECK_INT(influxql(&f, "SELECT power_mw FROM nothing"), 200);
    AF_CHECK_STR(shown(&f, "data"), "[]");
    AF_CHECK_STR(shown(&f, "metadata"), "{\"columns\":[],\"data_types\":[],\"query_cost\":0}");
    AF_CHECK_INT(influxql(&f, "SELECT count(n) FROM generation_data; SELECT count(unit) FROM generation_data"), 200);
    AF_CHECK_STR(shown(&f, "result_count"), "2");
    end(&f);
}

AF_TEST(options_are_heeded)
{
    struct fix f;
    begin(&f);
    AF_CHECK_INT(post(&f, "/query/influxql/", "{\"query\":\"SELECT power_mw FROM generation_data\",\"database\":null,\"more\":[1],"
                                              "\"options\":{\"format\":\"json\",\"include_metadata\":false,\"limit\":2}}"), 200);
    AF_CHECK(af_json_get(f.json, "metadata") == NULL);
    AF_CHECK_STR(shown(&f, "result_count"), "2");
    AF_CHECK_STR(shown(&f, "truncated"), "true");
    AF_CHECK_INT(post(&f, "/query/influxql", "{\"query\":\"SELECT power_mw FROM generation_data\",\"options\":{\"limit\":3}}"), 200);
    AF_CHECK_STR(shown(&f, "truncated"), "false");
    f.platform.rows_max = 1; /* asking for more does not help */
    AF_CHECK_INT(post(&f, "/query/influxql", "{\"query\":\"SELECT power_mw FROM generation_data\",\"options\":{\"limit\":3}}"), 200);
    AF_CHECK_STR(shown(&f, "result_count"), "1");
    end(&f);
}

AF_TEST(an_answer_stays_below_its_ceiling)
{
    struct fix f;
    struct af_write_answer answer;
    struct af_buf lines;
    enum { POINTS = 20000 };
    begin(&f);
    af_buf_init(&lines, 64 << 20);
    for (int i = 0; i < POINTS; i++)
        af_buf_printf(&lines, "m,t=x v=\"a \\\"text\\\" that is not short, number %d\" %d\n", i, i);
    const struct af_write write = { .lines = af_buf_slice(&lines), .line_count = POINTS, .precision_ns = 1 };
    AF_CHECK_OK(af_store_write(f.store, &write, &answer, &f.err), f.err);
    af_buf_done(&lines);
    f.platform.rows_max = POINTS;
    f.platform.answer_bytes_max = 400 << 10;
    AF_CHECK_INT(influxql(&f, "SELECT v FROM m"), 200);
    AF_CHECK_STR(shown(&f, "truncated"), "true");
    AF_CHECK(f.out.len <= 400 << 10 && f.out.len > 200 << 10);
    AF_CHECK(f.result.rows > 1000 && f.result.rows < POINTS);
    f.platform.answer_bytes_max = 0;
    f.out.bytes_max = 300 << 10; /* whoever gives the room says too */
    AF_CHECK_INT(influxql(&f, "SELECT v FROM m"), 200);
    AF_CHECK_STR(shown(&f, "truncated"), "true");
    f.out.bytes_max = 16 << 20;
    AF_CHECK_INT(influxql(&f, "SELECT v FROM m"), 200);
    AF_CHECK_STR(shown(&f, "truncated"), "false");
    AF_CHECK_INT(f.result.rows, POINTS);
    end(&f);
}

/* --- failures --------------------------------------------------------------------------------------------------------------------- */

AF_TEST(bodies_that_are_wrong_are_told_why)
{
    static const struct {
        const char *body;
        int status;
        const char *says;
    } cases[] = {
        { "", 400, "empty" },
        { "  ", 400, "empty" },
        { "{\"query\":", 400, "JSON" },
        { "[]", 400, "not a list" },
        { "\"SELECT\"", 400, "not text" },
        { "null", 400, "not null" },
        { "{}", 400, "\"query\" is missing" },
        { "{\"query\":null}", 400, "\"query\" is missing" },
        { "{\"query\":7}", 400, "\"query\" must be text, not a number" },
        { "{\"query\":[\"SELECT\"]}", 400, "\"query\" must be text, not a list" },
        { "{\"query\":\" \\n\"}", 400, "\"query\" is empty" },
        { "{\"query\":\"SHOW DATABASES\",\"database\":true}", 400, "\"database\" must be text, not a boolean" },
        { "{\"query\":\"SHOW DATABASES\",\"database\":\"a\\u0000b\"}", 400, "zero byte" },
        { "{\"query\":\"SHOW DATABASES\",\"options\":[]}", 400, "\"options\" must be an object, not a list" },
        { "{\"query\":\"SHOW DATABASES\",\"options\":{\"format\":\"xml\"}}", 400, "\"options.format\" must be \"json\", not \"xml\"" },
        { "{\"query\":\"SHOW DATABASES\",\"options\":{\"format\":1}}", 400, "\"options.format\" must be text, not a number" },
        { "{\"query\":\"SHOW DATABASES\",\"options\":{\"include_metadata\":\"yes\"}}", 400,
          "\"options.include_metadata\" must be a boolean" },
        { "{\"query\":\"SHOW DATABASES\",\"options\":{\"limit\":0}}", 400, "\"options.limit\" must be a whole number" },
        { "{\"query\":\"SHOW DATABASES\",\"options\":{\"limit\":1.5}}", 400, "\"options.limit\" must be a whole number" },
        { "{\"query\":\"SHOW DATABASES\",\"options\":{\"limit\":\"9\"}}", 400, "\"options.limit\" must be a number, not text" },
    };
    struct fix f;
    begin(&f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int flux = 0; flux < 2; flux++) {
            if (flux == 1 && strstr(cases[i].body, "\"database\"") != NULL)
                continue; /* is not looked at there */
            AF_CHECK_INT(post(&f, flux ? "/query/flux" : "/query/influxql", cases[i].body), cases[i].status);
            const struct af_json *error = error_of(&f);
            AF_CHECK_SLICE(af_json_string(error, "code"), "INVALID_REQUEST");
            if (!has(af_json_string(error, "message"), cases[i].says))
                af_test_failed(__FILE__, __LINE__, "%s: %.*s", cases[i].body, AF_SLICE_ARG(af_json_string(error, "message")));
        }
    end(&f);
}

static void check_filled(struct fix *f, const char *head, const char *fill, size_t times, const char *tail, int want)
{
    struct af_buf body;
    af_buf_init(&body, 16 << 20);
    af_buf_append_str(&body, head);
    for (size_t i = 0; i < times; i++)
        af_buf_append_str(&body, fill);
    af_buf_append_str(&body, tail);
    int status = ask(f, "POST", "/query/influxql", af_buf_slice(&body));
    if (status != want)
        af_test_failed(__FILE__, __LINE__, "%s: %d, want %d: %.300s", head, status, want, af_buf_cstr(&f->out));
    (void)error_of(f);
    af_buf_done(&body);
}

AF_TEST(nests_and_floods_are_refused)
{
    struct fix f;
    begin(&f);
    check_filled(&f, "", "[", 100000, "", 413);
    check_filled(&f, "{\"query\":", "{\"a\":", 1000, "", 413);
    check_filled(&f, "{\"query\":\"", "a", AF_SERVER_TEXT_BYTES_MAX, "\"}", 413);
    check_filled(&f, "{\"query\":\"", "a", AF_PLATFORM_TEXT_BYTES_MAX + 1, "\"}", 413);
    check_filled(&f, "{\"query\":\"SELECT ", "(", 100000, "\"}", 400);
    check_filled(&f, "{\"query\":\"SELECT v FROM ", "(SELECT v FROM ", 10000, "\"}", 400);
    check_filled(&f, "{\"query\":\"", "SHOW DATABASES;", 10000, "\"}", 400);
    f.platform.answer_bytes_max = 200 << 10;
    check_filled(&f, "{\"query\":\"SHOW DATABASES ", "\\u0001", 20000, "x\"}", 413);
    end(&f);
}

AF_TEST(queries_that_fail_say_what_the_database_says)
{
    static const struct {
        const char *text;
        int status;
        const char *code, *influx;
        int line, position;
    } cases[] = {
        { "SELEC x FROM m", 400, "INFLUXDB_SYNTAX_ERROR", "found SELEC", 1, 1 },
        { "SELECT x FROM m\nWHERE", 400, "INFLUXDB_SYNTAX_ERROR", "error parsing query", 2, -1 },
        { ";", 400, "INFLUXDB_QUERY_ERROR", "no statement", 0, 0 },
        { "SELECT nothing(power_mw) FROM generation_data", 400, "INFLUXDB_QUERY_ERROR", "undefined function nothing()", 0, 0 },
    };
    struct fix f;
    begin(&f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t line = 0, position = 0;
        AF_CHECK_INT(influxql(&f, cases[i].text), cases[i].status);
        const struct af_json *error = error_of(&f), *details = af_json_get(error, "details");
        AF_CHECK_SLICE(af_json_string(error, "code"), cases[i].code);
        if (!has(af_json_string(details, "influxdb_error"), cases[i].influx))
            af_test_failed(__FILE__, __LINE__, "%s", af_buf_cstr(&f.out));
        (void)(af_json_i64(af_json_get(details, "query_line"), &line) && af_json_i64(af_json_get(details, "query_position"), &position));
        AF_CHECK_INT(line, cases[i].line);
        AF_CHECK(cases[i].position < 0 || position == cases[i].position);
        AF_CHECK(f.result.why.status == AF_EINVAL && f.result.why.message[0] != '\0');
    }
    end(&f);
}

static const char *const writing[] = {
    "SELECT * INTO x FROM generation_data", "SELECT v INTO db.rp.x FROM (SELECT v FROM m)", "DELETE FROM generation_data",
    "DROP MEASUREMENT generation_data", "DROP SERIES FROM generation_data", "DROP DATABASE energy_data", "CREATE DATABASE x",
    "DROP SHARD 1", "CREATE RETENTION POLICY p ON d DURATION 1d REPLICATION 1", "ALTER RETENTION POLICY p ON d DEFAULT",
    "DROP RETENTION POLICY p ON d", "CREATE USER u WITH PASSWORD 'hidden'", "SET PASSWORD FOR u = 'hidden'", "DROP USER u",
    "GRANT ALL TO u", "GRANT READ ON d TO u", "REVOKE ALL FROM u", "KILL QUERY 1",
    "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO x FROM m GROUP BY time(1m) END", "DROP CONTINUOUS QUERY c ON d",
    "CREATE SUBSCRIPTION s ON d.p DESTINATIONS ALL 'http://h:1'", "DROP SUBSCRIPTION s ON d.p",
    "SHOW USERS", "SHOW GRANTS FOR u", "SHOW QUERIES", "SHOW STATS", "SHOW DIAGNOSTICS", "SHOW SHARDS", "SHOW SUBSCRIPTIONS",
    "SHOW MEASUREMENTS; DROP MEASUREMENT generation_data", "EXPLAIN ANALYZE SELECT v INTO x FROM m",
};

AF_TEST(what_writes_or_administers_is_refused)
{
    struct fix f;
    begin(&f);
    uint64_t values = af_memory_values(f.store);
    for (size_t i = 0; i < sizeof writing / sizeof writing[0]; i++) {
        int status = influxql(&f, writing[i]);
        if (status != 403)
            af_test_failed(__FILE__, __LINE__, "%s: %s", writing[i], af_buf_cstr(&f.out));
        AF_CHECK_SLICE(af_json_string(error_of(&f), "code"), "INFLUXDB_PERMISSION_ERROR");
        AF_CHECK(!has(af_buf_slice(&f.out), "hidden"));
        AF_CHECK_INT(af_memory_values(f.store), values);
    }
    end(&f);
}

AF_TEST(other_paths)
{
    struct fix f;
    begin(&f);
    AF_CHECK_INT(post(&f, "/query", "{\"question\":\"how much?\"}"), 501);
    AF_CHECK_SLICE(af_json_string(error_of(&f), "code"), "NOT_IMPLEMENTED");
    AF_CHECK_INT(post(&f, "/query", "{\"q\":1}"), 400);
    AF_CHECK_INT(post(&f, "/nowhere", "{}"), 404);
    AF_CHECK_SLICE(af_json_string(error_of(&f), "code"), "ENDPOINT_NOT_FOUND");
    AF_CHECK_INT(ask(&f, "GET", "/query/flux", AF_SLICE_LIT("")), 405);
    AF_CHECK_SLICE(af_json_string(error_of(&f), "code"), "METHOD_NOT_ALLOWED");
    AF_CHECK_INT(post(&f, "/query/flux", "{\"query\":\"buckets()\"}"), 501);
    AF_CHECK(has(af_json_string(error_of(&f), "message"), "/query/influxql"));
    AF_CHECK(!af_platform_is_question(AF_SLICE_LIT("q=SELECT")));
    AF_CHECK(!af_platform_is_question(AF_SLICE_LIT("{\"query\":1}")));
    end(&f);
}

AF_TEST(the_description_knows_every_path)
{
    struct fix f;
    begin(&f);
    AF_CHECK_INT(ask(&f, "GET", "/openapi.json", AF_SLICE_LIT("")), 200);
    AF_CHECK_STR(shown(&f, "openapi"), "\"3.0.3\"");
    for (const struct af_json *path = af_json_get(f.json, "paths")->first; path != NULL; path = path->next) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", AF_SLICE_ARG(path->key));
        AF_CHECK(af_json_get(path, "post") != NULL);
        struct fix other;
        begin(&other);
        AF_CHECK(post(&other, name, "{}") != 404);
        end(&other);
    }
    end(&f);
}

static enum af_status probe(void *ctx, struct af_error *err)
{
    struct fix *f = ctx;
    return f->opened == 0 ? AF_OK : af_fail(err, AF_EIO, "http://secret-host:8086 is not there");
}

AF_TEST(health)
{
    struct fix f;
    begin(&f);
    f.platform.service = "ons";
    f.platform.version = "1.2";
    AF_CHECK_INT(ask(&f, "GET", "/health", AF_SLICE_LIT("")), 200);
    AF_CHECK_STR(shown(&f, "components"), "{}");
    f.platform.probe = probe;
    AF_CHECK_INT(ask(&f, "GET", "/health", AF_SLICE_LIT("")), 200);
    AF_CHECK_STR(shown(&f, "status"), "\"healthy\"");
    AF_CHECK_STR(shown(&f, "service"), "\"ons\"");
    AF_CHECK_STR(shown(&f, "version"), "\"1.2\"");
    AF_CHECK_SLICE(af_json_string(af_json_get(af_json_get(f.json, "components"), "influxdb"), "status"), "healthy");
    f.opened = 1;
    AF_CHECK_INT(ask(&f, "GET", "/health", AF_SLICE_LIT("")), 503);
    AF_CHECK_STR(shown(&f, "status"), "\"unhealthy\"");
    AF_CHECK(!has(af_buf_slice(&f.out), "secret-host"));
    AF_CHECK(f.result.why.status == AF_EIO);
    end(&f);
}

/* --- Flux that reads --------------------------------------------------------------------------------------------------------------- */

AF_TEST(flux_that_reads_passes)
{
    static const char *const texts[] = {
        "from(bucket: \"energy_data\") |> range(start: -30d) |> filter(fn: (r) => r[\"_field\"] == \"power_mw\")",
        "from(bucket:\"b\") |> range(start: 2024-01-01T00:00:00Z, stop: 2024-02-01T00:00:00Z) |> aggregateWindow(every: 1h, fn: mean)",
        "import \"influxdata/influxdb/schema\"\nimport d \"date\"\nschema.measurements(bucket: \"b\")",
        "x = 4 / 2 / 1 // to() is a comment\ny = \"to(bucket: 1)\" + \"\\\"to()\"",
        "f = (r) => r.name =~ /to(\"bucket\")/ and r.x !~ /[\\/]\\/\"/ or r.z =~ /a\\\\b\\.c/",
        "{to: 1, wideTo: 2, host: \"a\"} |> yield(name: \"to\")",
        "keep(columns: [\"to\"]) |> rename(columns: {to: \"x\"}) |> limit(n: 1)",
        "s = \"${string(v: 1)} and ${\"${\"x\"}\"}\"",
        "r[\"a\"] / r[\"b\"] / 2.0",
        "total |> toString() |> toFloat() |> into |> tomorrow",
        "x = 1h30m + -1mo + 3y2w + 10ms + 5us + 5\xc2\xb5s + 7ns y=[1.5, 0., .5, 007, 12]\nz = (1. / 2.) - 1h",
        "range(start: 2024-01-01, stop: 2024-01-02T00:00:00.25-03:00) |> window(every: 1d) |> range(start: 2024-01-01T00:00:00Z)",
        "\"costs 5$\" + \"$ 5 and ${a}$\" + \"\\x24\\\\\\n\\t\\r\\\"\\${to()}\"",
        "filter(fn: (r) => r.host == \"a\" and exists r.host and f(r.host) and f(r.host, r . host))",
        "keep(columns: [\"host\", \"x\"]) |> group(columns: [\"host\"]) |> rename(columns: {\"host\": \"h\", host: \"i\"})",
        "d = [\"host\": 1, \"to\": 2]\nf(\"bucket\": \"b\", \"to\": 1) |> yield(name: \"host\")",
        "package main\nimport \"math\" // c\nregi\xc3\xa3o = r[\"regi\xc3\xa3o \xe2\x82\xac\"] // \xe2\x82\xac",
        "map(fn: (r) => ({r with _value: r._value / 1000.0, x: (r.a + 1.0) / float(v: r.b)}))",
        "",
    };
    struct af_error err = { 0 };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        AF_CHECK_OK(af_platform_flux_reads(af_slice_of(texts[i]), &err), err);
}

AF_TEST(flux_that_writes_or_asks_elsewhere_is_refused)
{
    static const char *const texts[] = {
        "from(bucket: \"b\") |> range(start: -1h) |> to(bucket: \"c\")",
        "f = to\nx |> f(bucket: \"c\")",
        "import \"experimental\"\nx |> experimental.to(bucket: \"c\")",
        "import e \"experimental\"\nx |> e[\"to\"](bucket: \"c\")",
        "import e \"experimental\"\nx |> e[\"\\x74o\"](bucket: \"c\")",
        "import e \"experimental\"\nx |> e[\"${\"\"}to\"](bucket: \"c\")",
        "import \"influxdata/influxdb\"\nx |> influxdb . // here\n wideTo (bucket: \"c\")",
        "{to}",
        "s = \"${to(bucket: \"c\")}\"",
        "s = \"a ${\"b ${ to () } c\"} d\"",
        "a = b / c / to(bucket: \"x\") / d",
        "x = r[\"a\"] / to(bucket: \"x\") / 2",
        "x = \"${a}\" / to(bucket: \"x\") / 2",
        "import \"http\"\nhttp.post(url: \"http://x\")",
        "import \"sql\"", "import \"csv\"", "import x \"influxdata/influxdb/secrets\"", "import \"influxdata/influxdb/monitor\"",
        "import // comment\n \"slack\"", "import \"\\x64ate\"", "import \"da${x}te\"",
        "from(bucket: \"b\", host: \"http://elsewhere\")", "f(g: {a: 1}, host : h)",
        "host = \"http://x\" from(bucket, org, token, host)", "from(host, bucket)", "from(bucket, host // c\n )",
        "from(host\n,bucket: \"b\")",
        "from(bucket:\"b\", \"host\":\"http://x\")", "from(\"host\" // c\n :\"http://x\")", "from(\"h\\x6fst\":\"http://x\")",
        "from(\"ho${\"s\"}t\":\"http://x\")", "from(\"ho${\"\"}st\" : 1)", "from(\"${\"host\"}\" : 1)", "\"${from(\"host\": h)}\"",
        "x = 1. / to(bucket: \"c\") / 2.", "x = 2024-01-01 / to(bucket: \"c\") / 2", "x = 1h / to() / 2", "x = .5 / to() / 2",
        "builtin to : int", "testcase a { x }", "x = f(1)to(bucket: \"c\")", "x = \"a\"to()", "x =~ /a/to()",
    };
    struct af_error err = { 0 };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (af_platform_flux_reads(af_slice_of(texts[i]), &err) != AF_EDENIED)
            af_test_failed(__FILE__, __LINE__, "%s", texts[i]);
}

AF_TEST(flux_that_is_cut_short_or_too_deep_is_refused)
{
    static const char *const texts[] = { "x = \"to", "x = \"a\\", "x =~ /ab", "x =~ /a\nb/", "f(", "f(]", ")", "\"${x", "\"${x}",
                                         "{a: [1, 2}" };
    struct af_error err = { 0 };
    char deep[1001];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        AF_CHECK_FAILS(af_platform_flux_reads(af_slice_of(texts[i]), &err), AF_EINVAL);
    memset(deep, '(', sizeof deep);
    AF_CHECK_FAILS(af_platform_flux_reads(af_slice_make(deep, sizeof deep), &err), AF_ELIMIT);
    AF_CHECK_FAILS(af_platform_flux_reads(AF_SLICE_LIT("\"${\"${\"${\"${to()}\"}\"}\"}\""), &err), AF_EDENIED);
}

/* What Flux's longest match may cut in another place than we do. */
AF_TEST(flux_that_could_be_cut_otherwise_is_refused)
{
    static const char *const texts[] = {
        "x = 1to(tables: y)", "x = 1hto(tables: y)", "x = 2020-01-01T00:00:00Zto(tables: y)", "x = 2020-01-01to(y)",
        "x = 2020-01-01T00:00:00to(y)",
        "x = 2020-01-01T00:00to(y)", "x = 1.to(y)", "x = 1.5to(y)", "x = .5to(y)", "x = 1mto(y)", "x = 1moto(y)", "x = 1msto(y)",
        "x = 1\xc2\xb5sto(y)",
        "x = 1h30to(y)", "x = 1h30mto(y)", "x = 1e5", "x = 0x10", "x = 1h30", "x = 2020-01-011to()", "x = 1_to()", "x = 1host",
        "x = 1.5.to()",
        "x = 1\xc3\xa3", "x = 2020-01-01T00:00:00+03:00to()", "x = 2020-1-1to()", "x = \"${1to()}\"",
        "x = \"$${\" to() //\"}\"", "x = \"$\\\" to() //\"", "x = \"$$\\\"", "x = \"${a}$${\" to()", "x = \"${a}$\\\" to()",
        "x = \"$$$${to()}\"",
        "x = \"\\q\"", "x = \"\\$\"", "x = \"\\$x\"", "x = \"\\x4\"", "x = \"\\x4g\"",
        "x = a =~ /\\\\/ \" / to() //\"", "x =~ /a\\\\/", "x =~ /\\\\\\\\/", "x =~ /[\\\\/]/", "x =~ /a\\\\/b/",
        "import \"date\"\n/\"/ x |> to() //\"", "import d \"date\" /\"/ to() //\"", "package a\n/\"/ to() //\"", "package a /x/",
        "f = () => { return 1 }\n/\"/ to() //\"", "@edition(\"2022.1\") /\"/ to() //\"", "(t=<- / to() / 2) => t",
        "x = {a: 1} / 2", "in = 1 x = in / to() / 2", "x = r.then / to() / 2",
        "x = a\x7f", "from(host\x7f: 1)", "from(host\x0b: 1)", "from(host\xc2\xa0: 1)", "\xe2\x80\x82to()", "\xc3\x97to()", "\xc3\xb7",
        "\xc3",
        "\xef\xbb\xbfx", "\x80",
    };
    struct af_error err = { 0 };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (af_platform_flux_reads(af_slice_of(texts[i]), &err) != AF_EINVAL || strncmp(err.message, "compilation failed: ", 20) != 0)
            af_test_failed(__FILE__, __LINE__, "%s: %s", texts[i], err.message);
}

/* --- of a server -------------------------------------------------------------------------------------------------------------------- */

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: "

static const char *answer_with(char *dst, size_t cap, const char *status, const char *type, const char *body)
{
    (void)snprintf(dst, cap, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", status, type, strlen(body), body);
    return dst;
}

AF_TEST(influxql_of_a_server)
{
    char bytes[2048];
    const struct af_peer_step steps[] = {
        { .bytes = answer_with(bytes, sizeof bytes, "200 OK", "application/json",
                               "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"tags\":{\"region\":\"se\"},"
                               "\"columns\":[\"time\",\"mean\"],\"values\":[[\"2024-01-01T00:00:00Z\",1.5],"
                               "[\"2024-01-01T01:00:00Z\",null]]}]}]}\n") },
    };
    struct fix f;
    begin_remote(&f, steps, 1, AF_INFLUX_1);
    int status = post(&f, "/query/influxql", "{\"query\":\"select mean(v) from m -- ; drop\\n group by region\",\"database\":\"other/p\"}");
    if (status != 200)
        af_test_failed(__FILE__, __LINE__, "%s", af_buf_cstr(&f.out));
    AF_CHECK_STR(shown(&f, "data"), "[{\"_time\":\"2024-01-01T00:00:00Z\",\"mean\":1.5,\"_measurement\":\"m\",\"region\":\"se\"},"
                                    "{\"_time\":\"2024-01-01T01:00:00Z\",\"mean\":null,\"_measurement\":\"m\",\"region\":\"se\"}]");
    struct af_slice sent = af_peer_request(f.peer, 0);
    AF_CHECK(has(sent, "db=other&rp=p&"));
    AF_CHECK(has(sent, "q=SELECT%20mean%28v%29%20FROM%20m%20GROUP%20BY%20region")); /* our print of it */
    AF_CHECK(!has(sent, "drop"));
    end(&f);
}

AF_TEST(what_is_refused_reaches_no_server)
{
    const struct af_peer_step steps[] = { { .bytes = "HTTP/1.1 204 No Content\r\n\r\n" } };
    struct fix f;
    begin_remote(&f, steps, 1, AF_INFLUX_1);
    for (size_t i = 0; i < sizeof writing / sizeof writing[0]; i++)
        AF_CHECK_INT(influxql(&f, writing[i]), 403);
    AF_CHECK_INT(influxql(&f, ";"), 400);
    AF_CHECK_INT(influxql(&f, "SELEC"), 400);
    AF_CHECK_INT(post(&f, "/query/flux", "{\"query\":\"x |> to(bucket: \\\"b\\\")\"}"), 403);
    AF_CHECK_INT(post(&f, "/query/flux", "{\"query\":\"x = \\\"\"}"), 400);
    AF_CHECK_INT(f.opened, 0);
    AF_CHECK_INT(af_peer_requests(f.peer), 0);
    end(&f);
}

AF_TEST(flux_of_a_server)
{
    char bytes[2048];
    const struct af_peer_step steps[] = {
        { .bytes = answer_with(bytes, sizeof bytes, "200 OK", "text/csv; charset=utf-8",
                               "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string\r\n"
                               "#group,false,false,true,true,false,false,true,true,true\r\n"
                               "#default,_result,,,,,,,,\r\n"
                               ",result,table,_start,_stop,_time,_value,_field,_measurement,region\r\n"
                               ",,0,2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,2024-01-01T12:00:00Z,1500.5,power_mw,generation_data,se\r\n"
                               ",,0,2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,2024-01-01T13:00:00Z,,power_mw,generation_data,se\r\n\r\n") },
    };
    struct fix f;
    begin_remote(&f, steps, 1, AF_INFLUX_2);
    AF_CHECK_INT(post(&f, "/query/flux", "{\"query\":\"from(bucket: \\\"b\\\") |> range(start: -1d)\","
                                         "\"options\":{\"include_metadata\":true}}"), 200);
    AF_CHECK_STR(shown(&f, "data"),
                 "[{\"_time\":\"2024-01-01T12:00:00Z\",\"_value\":1500.5,\"_measurement\":\"generation_data\",\"_field\":\"power_mw\","
                 "\"_start\":\"2024-01-01T00:00:00Z\",\"_stop\":\"2024-01-02T00:00:00Z\",\"region\":\"se\"},"
                 "{\"_time\":\"2024-01-01T13:00:00Z\",\"_value\":null,\"_measurement\":\"generation_data\",\"_field\":\"power_mw\","
                 "\"_start\":\"2024-01-01T00:00:00Z\",\"_stop\":\"2024-01-02T00:00:00Z\",\"region\":\"se\"}]");
    AF_CHECK_STR(shown(&f, "metadata"),
                 "{\"columns\":[\"_time\",\"_value\",\"_measurement\",\"_field\",\"_start\",\"_stop\",\"region\"],"
                 "\"data_types\":[\"datetime\",\"float\",\"string\",\"string\",\"datetime\",\"datetime\",\"string\"],"
                 "\"query_cost\":4e-06}");
    AF_CHECK(has(af_peer_request(f.peer, 0), "from(bucket: \\\"b\\\") |> range(start: -1d)"));
    end(&f);
}

static void check_failure(const char *http, const char *body, bool is_flux, int want, const char *code, const char *says, int line)
{
    char bytes[2048];
    const struct af_peer_step steps[] = { { .bytes = answer_with(bytes, sizeof bytes, http, "application/json", body) } };
    struct fix f;
    int64_t got_line = 0;
    begin_remote(&f, steps, 1, is_flux ? AF_INFLUX_2 : AF_INFLUX_1);
    AF_CHECK_INT(is_flux ? post(&f, "/query/flux", "{\"query\":\"buckets()\"}") : influxql(&f, "SELECT v FROM m"), want);
    const struct af_json *error = error_of(&f);
    AF_CHECK_SLICE(af_json_string(error, "code"), code);
    if (!has(af_buf_slice(&f.out), says))
        af_test_failed(__FILE__, __LINE__, "%s", af_buf_cstr(&f.out));
    AF_CHECK(!has(af_buf_slice(&f.out), "127.0.0.1") && !has(af_buf_slice(&f.out), "--token")); /* ours alone */
    (void)af_json_i64(af_json_get(af_json_get(error, "details"), "query_line"), &got_line);
    AF_CHECK_INT(got_line, line);
    end(&f);
}

AF_TEST(failures_of_a_server)
{
    check_failure("400 Bad Request", "{\"code\":\"invalid\",\"message\":\"compilation failed: error @2:7-2:9: expected comma\"}", true, 400,
                  "INFLUXDB_SYNTAX_ERROR", "expected comma", 2);
    check_failure("404 Not Found", "{\"code\":\"not found\",\"message\":\"failed to initialize execute state: "
                                   "could not find bucket \\\"b\\\"\"}", true, 404, "DATA_NOT_FOUND", "could not find bucket", 0);
    check_failure("404 Not Found", "404 page not found", true, 501, "NOT_IMPLEMENTED", "/query/influxql", 0);
    check_failure("401 Unauthorized", "{\"code\":\"unauthorized\",\"message\":\"unauthorized access\"}", true, 503,
                  "INFLUXDB_PERMISSION_ERROR", "credentials", 0);
    check_failure("403 Forbidden", "{\"error\":\"no\"}", false, 403, "INFLUXDB_PERMISSION_ERROR", "no right", 0);
    check_failure("503 Service Unavailable", "{\"error\":\"busy\"}", false, 429, "TOO_MANY_REQUESTS", "again", 0);
    check_failure("500 Internal Server Error", "{\"error\":\"panic\"}", false, 500, "INFLUXDB_QUERY_ERROR", "panic", 0);
    check_failure("502 Bad Gateway", "<html>", false, 503, "INFLUXDB_CONNECTION_ERROR", "InfluxDB", 0);
    check_failure("200 OK", "{\"results\":[{\"statement_id\":0,\"error\":\"database not found: energy_data\"}]}", false, 404,
                  "DATA_NOT_FOUND", "database not found: energy_data", 0);
    check_failure("200 OK", "{\"results\":[{\"statement_id\":0,\"error\":\"query-timeout limit exceeded\"}]}", false, 504,
                  "INFLUXDB_QUERY_TIMEOUT", "longer", 0);
    check_failure("200 OK", "{\"results\":[", false, 503, "INFLUXDB_CONNECTION_ERROR", "InfluxDB", 0);
}

AF_TEST(a_target_that_cannot_be_opened_is_told_without_its_words)
{
    static const enum af_status statuses[] = { AF_EINVAL, AF_ENOTFOUND, AF_EDENIED, AF_ECONFLICT, AF_EIO, AF_EBUSY, AF_ELIMIT, AF_ECANCELED,
                                               AF_EUNSUPPORTED, AF_ECORRUPT, AF_EBUG, AF_EUNAUTH };
    const struct af_peer_step steps[] = { { .bytes = "HTTP/1.1 204 No Content\r\n\r\n" } };
    struct fix f;
    begin_remote(&f, steps, 1, AF_INFLUX_1);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        f.fails_with = statuses[i];
        AF_CHECK_INT(influxql(&f, "SELECT v FROM m"), 503);
        AF_CHECK_SLICE(af_json_string(error_of(&f), "code"),
                       statuses[i] == AF_EUNAUTH ? "INFLUXDB_PERMISSION_ERROR" : "INFLUXDB_CONNECTION_ERROR");
        AF_CHECK(!has(af_buf_slice(&f.out), "arn:aws") && !has(af_buf_slice(&f.out), "secret-host"));
        AF_CHECK_INT(post(&f, "/query/flux", "{\"query\":\"buckets()\"}"), 503);
        AF_CHECK(!has(af_buf_slice(&f.out), "arn:aws") && !f.result.is_timeout);
        AF_CHECK(f.result.why.status == statuses[i] && strstr(f.result.why.message, "arn:aws:1") != NULL); /* for the log */
    }
    end(&f);
}

/* For as long as it may: the flag that open is given rises in time. */
static enum af_status open_slowly(void *ctx, const bool *cancel, struct af_store **out, struct af_error *err)
{
    (void)ctx;
    (void)out;
    for (int i = 0; i < 1000 && !__atomic_load_n(cancel, __ATOMIC_RELAXED); i++)
        af_clock_sleep_ms(10);
    return af_fail(err, AF_ECANCELED, "the secret was waited for");
}

AF_TEST(opening_ends_in_time)
{
    const struct af_peer_step steps[] = { { .bytes = "HTTP/1.1 204 No Content\r\n\r\n" } };
    struct fix f;
    begin_remote(&f, steps, 1, AF_INFLUX_1);
    f.platform.open = open_slowly;
    f.platform.timeout_ms = 150;
    int64_t begun_ns = af_clock_mono_ns();
    AF_CHECK_INT(influxql(&f, "SELECT v FROM m"), 503);
    AF_CHECK_SLICE(af_json_string(error_of(&f), "code"), "INFLUXDB_CONNECTION_ERROR");
    AF_CHECK(af_clock_mono_ns() - begun_ns < 8 * INT64_C(1000000000));
    end(&f);
}

AF_TEST(a_server_that_says_nothing_is_given_up_in_time)
{
    const struct af_peer_step steps[] = { { .then = AF_PEER_HANG } };
    struct fix f;
    begin_remote(&f, steps, 1, AF_INFLUX_1);
    f.platform.timeout_ms = 150;
    int64_t begun_ns = af_clock_mono_ns();
    AF_CHECK_INT(influxql(&f, "SELECT v FROM m"), 504);
    AF_CHECK_SLICE(af_json_string(error_of(&f), "code"), "INFLUXDB_QUERY_TIMEOUT");
    AF_CHECK(f.result.is_timeout);
    AF_CHECK(af_clock_mono_ns() - begun_ns >= 150 * INT64_C(1000000));
    end(&f);
}

AF_TEST(who_asked_may_leave)
{
    const struct af_peer_step steps[] = { { .then = AF_PEER_HANG } };
    const bool cancel = true;
    struct fix f;
    begin_remote(&f, steps, 1, AF_INFLUX_1);
    const struct af_platform_request request = { .method = AF_SLICE_LIT("POST"), .path = AF_SLICE_LIT("/query/influxql"),
                                                 .body = AF_SLICE_LIT("{\"query\":\"SELECT v FROM m\"}"), .cancel = &cancel };
    AF_CHECK_OK(af_platform_answer(&f.platform, &request, &f.result, &f.out, &f.err), f.err);
    AF_CHECK_INT(f.result.http_status, 503);
    AF_CHECK(!f.result.is_timeout && f.result.why.status == AF_ECANCELED);
    end(&f);
}

/* --- the rest ----------------------------------------------------------------------------------------------------------------------- */

AF_TEST(ids_are_uuids_of_their_own)
{
    char a[37], b[37];
    platform_uuid(a);
    platform_uuid(b);
    AF_CHECK_INT(strlen(a), 36);
    AF_CHECK(a[14] == '4' && strchr("89ab", a[19]) != NULL && a[8] == '-' && a[23] == '-');
    AF_CHECK(strcmp(a, b) != 0);
}

AF_TEST(memory_that_runs_out_is_said_and_nothing_leaks)
{
    struct fix f;
    begin(&f);
    const struct af_platform_request request = { .method = AF_SLICE_LIT("POST"), .path = AF_SLICE_LIT("/query/influxql"), .id = "i",
        .body = AF_SLICE_LIT("{\"query\":\"SELECT power_mw, unit FROM generation_data GROUP BY region\",\"database\":\"a/b\"}") };
    size_t failed = 0;
    for (size_t nth = 1;; nth++) {
        af_buf_done(&f.out);
        af_buf_init(&f.out, 16 << 20);
        (void)af_alloc_fail_nth(nth);
        enum af_status status = af_platform_answer(&f.platform, &request, &f.result, &f.out, &f.err);
        bool is_over = af_alloc_fail_nth(0) < nth;
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        if (is_over) {
            AF_CHECK_INT(f.result.http_status, 200);
            break;
        }
        failed += status == AF_ENOMEM;
    }
    AF_CHECK(failed > 20);
    end(&f);
}
