/* cloudwatch_test.c - metrics put, read and listed; the embedded metric format. */
#include "aws/cloudwatch.h"
#include "aws/service_fixture.h"
#include "codec/compress.h"
#include "format/json/json.h"
#include <inttypes.h>
#include <math.h>

static const struct af_metric_dimension dims[] = { { "Function", "loader" } };

AF_TEST(metrics_as_a_line_of_a_log)
{
    const struct af_metric metrics[] = { { "Points", "Count", 1000 }, { "Ms", "Milliseconds", 1.5 }, { "Bad", NULL, NAN }, { "Ms",
    "Milliseconds", 2.5 },
                                         { "Big", "None", 1e300 } };
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    af_metric_emf(&out, "Afluxo", dims, 1, metrics, 5, AF_SLICE_LIT("\"request\":\"r\""), 1700000000123456789);
    AF_CHECK_SLICE(af_buf_slice(&out),
                   "{\"_aws\":{\"Timestamp\":1700000000123,\"CloudWatchMetrics\":[{\"Namespace\":\"Afluxo\",\"Dimensions\":[[\"Function\""
                   "]],"
                   "\"Metrics\":[{\"Name\":\"Points\",\"Unit\":\"Count\"},{\"Name\":\"Ms\",\"Unit\":\"Milliseconds\"}]}]},"
                   "\"Function\":\"loader\",\"Points\":1000,\"Ms\":[1.5,2.5],\"request\":\"r\"}");
    af_buf_clear(&out);
    af_metric_emf(&out, "Afluxo", NULL, 0, NULL, 0, (struct af_slice){ 0 }, 0);
    AF_CHECK_SLICE(af_buf_slice(&out), "{\"_aws\":{\"Timestamp\":0,\"CloudWatchMetrics\":[]}}");
    af_buf_done(&out);
}

static size_t count_of(const struct af_json *list)
{
    size_t n = 0;
    for (const struct af_json *item = list != NULL ? list->first : NULL; item != NULL; item = item->next)
        n++;
    return n;
}

/* 250 metrics, 40 dimensions, 150 values of one name: never more than the format allows in one place, and one line of JSON. */
AF_TEST(metrics_as_a_line_within_limits)
{
    enum { NAMES = 250, VALUES = 150, DIMENSIONS = 40 };
    static char names[NAMES][16], keys[DIMENSIONS][300];
    static struct af_metric metrics[NAMES + VALUES];
    static struct af_metric_dimension dimensions[DIMENSIONS];
    struct af_buf out;
    struct af_arena arena;
    struct af_json *tree = NULL;
    struct af_error err = { 0 };
    for (int i = 0; i < NAMES + VALUES; i++) {
        if (i < NAMES)
            (void)snprintf(names[i], sizeof names[i], "m%d", i);
        metrics[i] = (struct af_metric){ i < NAMES ? names[i] : "m7", "Count", i };
    }
    for (int i = 0; i < DIMENSIONS; i++) {
        memset(keys[i], 'k', 260);
        keys[i][0] = (char)('a' + i / 26);
        keys[i][1] = (char)('a' + i % 26);
        dimensions[i] = (struct af_metric_dimension){ keys[i], i == 3 ? "" : "a\nb" };
    }
    af_buf_init(&out, 1 << 20);
    af_arena_init(&arena, 16 << 20);
    af_metric_emf(&out, "N", dimensions, DIMENSIONS, metrics, NAMES + VALUES, (struct af_slice){ 0 }, 0);
    AF_CHECK(memchr(out.ptr, '\n', out.len) == NULL);
    AF_CHECK_OK(af_json_parse(af_buf_slice(&out), &arena, &tree, &err), err);
    const struct af_json *directives = af_json_get(af_json_get(tree, "_aws"), "CloudWatchMetrics");
    AF_CHECK_INT(count_of(directives), 3);
    size_t defined = 0;
    for (const struct af_json *d = directives->first; d != NULL; d = d->next) {
        AF_CHECK(count_of(af_json_get(d, "Metrics")) <= 100);
        AF_CHECK_INT(count_of(af_json_get(d, "Dimensions")->first), AF_METRIC_DIMENSIONS_MAX);
        for (const struct af_json *k = af_json_get(d, "Dimensions")->first->first; k != NULL; k = k->next)
            AF_CHECK(k->text.len <= 250);
        defined += count_of(af_json_get(d, "Metrics"));
    }
    AF_CHECK_INT(defined, NAMES);
    AF_CHECK_INT(count_of(af_json_get(tree, "m7")), 100);
    af_buf_done(&out);
    af_arena_done(&arena);
}

AF_TEST(metrics_are_put)
{
    struct service s;
    const struct service_answer answers[] = { WHEN("GraniteServiceVersion20100801.PutMetricData", 200, "{}"), { 0 } };
    const struct af_metric metrics[] = { { "A", "Count", 1 }, { "B", NULL, NAN }, { "C", NULL, 0.5 } };
    service_begin(&s, "monitoring", answers);
    AF_CHECK_OK(af_metric_put(s.client, "N", dims, 1, metrics, 3, 1700000000900000000, &s.err), s.err);
    AF_CHECK_SLICE(service_asked(&s, 0),
                   "{\"Namespace\":\"N\",\"MetricData\":[{\"MetricName\":\"A\",\"Dimensions\":[{\"Name\":\"Function\",\"Value\":\""
                   "loader\"}],"
                   "\"Timestamp\":1700000000,\"Value\":1,\"Unit\":\"Count\"},{\"MetricName\":\"C\",\"Dimensions\":[{\"Name\":\"Function\","
                   "\"Value\":\"loader\"}],\"Timestamp\":1700000000,\"Value\":0.5}]}");
    AF_CHECK_OK(af_metric_put(s.client, "N", dims, 1, metrics + 1, 1, 0, &s.err), s.err); /* nothing that could be said: nothing is said */
    AF_CHECK_OK(af_metric_put(s.client, "N", dims, 1, metrics, 0, 0, &s.err), s.err);
    AF_CHECK_INT(af_peer_requests(s.peer), 1);
    service_end(&s);
}

/* 2,300 metrics with long dimensions: requests of at most 1,000 metrics and 1 MB, compressed, all metrics once and in order. */
AF_TEST(metrics_are_put_in_pieces)
{
    enum { COUNT = 2300 };
    static char names[COUNT][16], value[1025];
    static struct af_metric metrics[COUNT];
    struct af_metric_dimension many[3] = { { "a", value }, { "b", value }, { "c", "x" } };
    struct service s;
    const struct service_answer answers[] = { WHEN("ontent-Encoding: gzip", 200, "{}"), { 0 } };
    struct af_codec_ctx codec = { 0 };
    size_t seen = 0;
    memset(value, 'v', 1024);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%d", i);
        metrics[i] = (struct af_metric){ names[i], NULL, i };
    }
    service_begin(&s, "monitoring", answers);
    AF_CHECK_OK(af_metric_put(s.client, "N", many, 3, metrics, COUNT, 0, &s.err), s.err);
    AF_CHECK(af_peer_requests(s.peer) >= 5);
    for (size_t i = 0; i < af_peer_requests(s.peer); i++) {
        struct af_buf plain;
        char next[32];
        af_buf_init(&plain, 1000000);
        AF_CHECK_OK(af_gunzip(&codec, service_asked(&s, i), &plain, &s.err), s.err);
        for (;; seen++) {
            (void)snprintf(next, sizeof next, "{\"MetricName\":\"m%zu\",", seen);
            if (!service_has(af_buf_slice(&plain), next))
                break;
        }
        af_buf_done(&plain);
    }
    AF_CHECK_INT(seen, COUNT);
    af_codec_ctx_done(&codec);
    service_end(&s);
}

AF_TEST(metrics_that_cannot_be_put)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, "{}"), { 0 } };
    static char long_name[300];
    struct af_metric_dimension many[AF_METRIC_DIMENSIONS_MAX + 1];
    const struct af_metric metric = { "A", NULL, 1 }, nameless = { "", NULL, 1 }, long_one = { long_name, NULL, 1 };
    const struct af_metric_dimension empty = { "a", "" }, broken = { "a", "\xff" };
    memset(long_name, 'n', 299);
    for (int i = 0; i <= AF_METRIC_DIMENSIONS_MAX; i++)
        many[i] = (struct af_metric_dimension){ "a", "b" };
    service_begin(&s, "monitoring", answers);
    AF_CHECK_FAILS(af_metric_put(s.client, "", NULL, 0, &metric, 1, 0, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_metric_put(s.client, "N", many, AF_METRIC_DIMENSIONS_MAX + 1, &metric, 1, 0, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_metric_put(s.client, "N", &empty, 1, &metric, 1, 0, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_metric_put(s.client, "N", &broken, 1, &metric, 1, 0, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_metric_put(s.client, "N", NULL, 0, &nameless, 1, 0, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_metric_put(s.client, "N", NULL, 0, &long_one, 1, 0, &s.err), AF_EINVAL);
    AF_CHECK_INT(af_peer_requests(s.peer), 0);
    service_end(&s);
}

AF_TEST(metrics_are_read_page_by_page)
{
    struct service s;
    const struct service_answer answers[] = {
        WHEN("GraniteServiceVersion20100801.GetMetricData", 200,
             "{\"MetricDataResults\":[{\"Id\":\"q\",\"Timestamps\":[1700000060,1.70000012E9],\"Values\":[2,3.5],\"StatusCode\":\""
             "PartialData\"}],"
               "\"NextToken\":\"more\"}"),
        SAYS(200, "{\"MetricDataResults\":[{\"Id\":\"q\",\"Timestamps\":[\"2023-11-14T22:13:20Z\"],\"Values\":[1],\"StatusCode\":\""
                  "Complete\"}]}"), { 0 } };
    const struct af_metric_query query = { "N", "A", "Average", dims, 1, 60, 1700000000000000000, 1700003600000000000 };
    struct af_metric_point *points = NULL;
    size_t count = 0;
    service_begin(&s, "monitoring", answers);
    AF_CHECK_OK(af_metric_get(s.client, &query, &s.arena, &points, &count, &s.err), s.err);
    AF_CHECK_INT(count, 3);
    for (size_t i = 0; i < 3; i++)
        AF_CHECK_INT(points[i].time_ns, INT64_C(1700000000000000000) + (int64_t)i * 60000000000);
    AF_CHECK_F64(points[2].value, 3.5);
    AF_CHECK_SLICE(service_asked(&s, 0),
                   "{\"MetricDataQueries\":[{\"Id\":\"q\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"N\",\"MetricName\":\"A\",\""
                   "Dimensions\":"
                   "[{\"Name\":\"Function\",\"Value\":\"loader\"}]},\"Period\":60,\"Stat\":\"Average\"},\"ReturnData\":true}],"
                   "\"StartTime\":1700000000,\"EndTime\":1700003600,\"ScanBy\":\"TimestampAscending\"}");
    AF_CHECK(service_has(service_asked(&s, 1), "\"NextToken\":\"more\""));
    service_end(&s);
}

AF_TEST(metrics_read_badly)
{
    static const struct {
        const char *body;
        enum af_status want;
    } cases[] = { { "{\"MetricDataResults\":7}", AF_ECORRUPT },
                  { "{\"MetricDataResults\":[{\"Timestamps\":[1],\"Values\":[]}]}", AF_ECORRUPT },
                  { "{\"MetricDataResults\":[{\"Timestamps\":[1],\"Values\":[\"x\"]}]}", AF_ECORRUPT },
                  { "{\"MetricDataResults\":[{\"Timestamps\":[1e99],\"Values\":[1]}]}", AF_ECORRUPT },
                  { "{\"MetricDataResults\":[{\"Timestamps\":[true],\"Values\":[1]}]}", AF_ECORRUPT },
                  { "{\"MetricDataResults\":[{\"StatusCode\":\"Forbidden\"}]}", AF_EDENIED },
                  { "{\"MetricDataResults\":[{\"StatusCode\":\"InternalError\"}]}", AF_EIO },
                  { "{\"NextToken\":\"same\"}", AF_ECORRUPT } };
    const struct af_metric_query query = { "N", "A", "Average", NULL, 0, 60, 0, 60000000000 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct service s;
        const struct service_answer answers[] = { SAYS(200, cases[i].body), { 0 } };
        struct af_metric_point *points = NULL;
        size_t count = 0;
        service_begin(&s, "monitoring", answers);
        AF_CHECK_FAILS(af_metric_get(s.client, &query, &s.arena, &points, &count, &s.err), cases[i].want);
        service_end(&s);
    }
}

AF_TEST(metrics_are_there)
{
    struct service s;
    const struct service_answer answers[] = { WHEN("GraniteServiceVersion20100801.ListMetrics", 200,
                                                   "{\"Metrics\":[],\"NextToken\":\"t\"}"),
                                              SAYS(200, "{\"Metrics\":[{\"MetricName\":\"A\"}],\"NextToken\":\"u\"}"),
                                              SAYS(200, "{}"), SAYS(200, "{\"Metrics\":\"\"}"), { 0 } };
    bool is_there = false;
    service_begin(&s, "monitoring", answers);
    AF_CHECK_OK(af_metric_exists(s.client, "N", "DbInstanceName", &is_there, &s.err), s.err);
    AF_CHECK(is_there);
    AF_CHECK_SLICE(service_asked(&s, 0), "{\"Namespace\":\"N\",\"Dimensions\":[{\"Name\":\"DbInstanceName\"}]}");
    AF_CHECK_OK(af_metric_exists(s.client, "N", "DbInstanceName", &is_there, &s.err), s.err);
    AF_CHECK(!is_there);
    AF_CHECK_FAILS(af_metric_exists(s.client, "N", "DbInstanceName", &is_there, &s.err), AF_ECORRUPT);
    service_end(&s);
}
