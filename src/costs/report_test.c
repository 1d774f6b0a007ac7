/* report_test.c - Cost Explorer's answers summed up, kept and read again; points beside them. */
#include "aws/service_fixture.h"
#include "base/alloc.h"
#include "base/calendar.h"
#include "costs/costs.h"
#include <math.h>

#define GROUP(service, type, cost, quantity)                                                                                     \
    "{\"Keys\":[\"" service "\",\"" type "\"],\"Metrics\":{\"UnblendedCost\":{\"Amount\":\"" cost "\",\"Unit\":\"USD\"},"           \
    "\"UsageQuantity\":{\"Amount\":\"" quantity "\",\"Unit\":\"Hrs\"}}}"
#define MONTH(start, groups) "{\"TimePeriod\":{\"Start\":\"" start "\",\"End\":\"x\"},\"Total\":{},\"Groups\":[" groups "]}"
#define TWO_MONTHS                                                                                                                \
    "{\"ResultsByTime\":[" MONTH("2026-10-01", GROUP("Amazon Timestream", "InstanceUsage:db.influx.large", "190", "744") ","       \
                                 GROUP("AWS Lambda", "Lambda-GB-Second", "1.5", "9") "," GROUP("New", "Thing", "0.25", "1")) ","    \
    MONTH("2026-11-01", GROUP("New", "Thing", "400", "2") "," GROUP("Amazon Timestream", "InstanceUsage:db.influx.large", "150", "600") \
          "," GROUP("AWS Lambda", "Lambda-GB-Second", "-0.5", "3")) "]}"

static int64_t now(void)
{
    return af_days_from_civil(2026, 11, 25) * AF_NS_PER_DAY + 15 * 3600 * AF_NS_PER_S;
}

AF_TEST(report_of_two_months)
{
    struct service s;
    const struct service_answer answers[] = {
        WHEN("\"Start\":\"2026-10-01\",\"End\":\"2026-11-26\"", 200, TWO_MONTHS),
        WHEN("\"Start\":\"2026-11-25\",\"End\":\"2026-12-01\"", 200, "{\"Total\":{\"Amount\":\"60\",\"Unit\":\"USD\"}}"), { 0 } };
    struct af_cost_report report;
    service_begin(&s, "ce", answers);
    AF_CHECK_OK(af_cost_report_make(s.client, "project=afluxo", now(), &s.arena, &report, &s.err), s.err);
    AF_CHECK_INT(report.row_count, 3);
    AF_CHECK_SLICE(report.rows[0].service, "New"); /* the dearest, though nobody knows what it is */
    AF_CHECK_INT(report.rows[0].cost_class, AF_COST_OTHER);
    AF_CHECK_F64(report.rows[0].cost[AF_COST_LAST], 0.25);
    AF_CHECK_F64(report.rows[0].cost[AF_COST_THIS], 400);
    AF_CHECK_F64(report.rows[1].quantity[AF_COST_LAST], 744);
    AF_CHECK_F64(report.of_class[AF_COST_INSTANCE_HOURS][AF_COST_THIS], 150);
    AF_CHECK_F64(report.of_class[AF_COST_LAMBDA][AF_COST_THIS], -0.5);
    AF_CHECK_F64(report.total[AF_COST_LAST], 191.75);
    AF_CHECK_F64(report.total[AF_COST_THIS], 549.5);
    AF_CHECK_F64(report.forecast, 609.5);
    AF_CHECK_INT(report.requests, 2);
    AF_CHECK(isnan(report.points[0]));
    AF_CHECK(service_has(service_asked(&s, 1), "\"Tags\":{\"Key\":\"project\",\"Values\":[\"afluxo\"]}"));
    AF_CHECK(!service_has(service_asked(&s, 1), "GroupBy"));
    service_end(&s);
}

AF_TEST(report_as_json_and_back)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, TWO_MONTHS), SAYS(200, "{\"Total\":{\"Amount\":\"60\",\"Unit\":\"USD\"}}"), { 0 } };
    struct af_cost_report report, again;
    struct af_buf first, second;
    service_begin(&s, "ce", answers);
    af_buf_init(&first, 1 << 20);
    af_buf_init(&second, 1 << 20);
    AF_CHECK_OK(af_cost_report_make(s.client, "a=b=c", now(), &s.arena, &report, &s.err), s.err);
    af_cost_report_print(&report, &first);
    AF_CHECK_OK(af_cost_report_read(af_buf_slice(&first), &s.arena, &again, &s.err), s.err);
    af_cost_report_print(&again, &second);
    AF_CHECK_STR(af_buf_cstr(&second), af_buf_cstr(&first));
    AF_CHECK_STR(again.tag, "a=b=c");
    AF_CHECK_INT(again.taken_ns, now());
    AF_CHECK_F64(again.total[AF_COST_THIS], 549.5);
    AF_CHECK_F64(again.rows[1].quantity[AF_COST_LAST], 744);
    AF_CHECK_F64(again.rows[1].cost[AF_COST_LAST], 190);
    af_buf_done(&first);
    af_buf_done(&second);
    service_end(&s);
}

#define KEPT(taken, usage) "{\"taken\":\"" taken "\",\"requests\":1,\"services\":0,\"usage\":" usage "}"

AF_TEST(reports_that_are_none)
{
    static const char *const texts[] = {
        "", "7", "{}", KEPT("yesterday", "[]"), KEPT("2026-11-25T15:00:00", "[]"), KEPT("2026-11-25T15:00:00Z", "7"),
        KEPT("2026-11-25T15:00:00Z", "[{}]"),
        KEPT("2026-11-25T15:00:00Z", "[{\"service\":\"a\",\"usage_type\":\"b\",\"cost\":[1],\"quantity\":[1,2]}]"),
        "{\"taken\":\"2026-11-25T15:00:00Z\",\"requests\":-1,\"services\":0,\"usage\":[]}",
    };
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct af_cost_report report = { .requests = 77 };
        AF_CHECK_FAILS(af_cost_report_read(af_slice_of(texts[i]), &arena, &report, NULL), AF_ECORRUPT);
        AF_CHECK_INT(report.requests, 77);
    }
    af_arena_done(&arena);
}

AF_TEST(report_read_without_memory)
{
    static const char text[] = KEPT("2026-11-25T15:00:00Z", "[{\"service\":\"a\",\"usage_type\":\"b\",\"unit\":\"\",\"cost\":[1,2],"
                                    "\"quantity\":[1,2]}]");
    for (size_t n = 1;; n++) {
        struct af_arena arena;
        struct af_cost_report report;
        af_arena_init(&arena, 1 << 20);
        af_alloc_fail_nth(n);
        const enum af_status status = af_cost_report_read(af_slice_of(text), &arena, &report, NULL);
        af_alloc_fail_nth(0);
        af_arena_done(&arena);
        if (status == AF_OK) {
            AF_CHECK(n > 1);
            return;
        }
        AF_CHECK_INT(status, AF_ENOMEM);
    }
}

AF_TEST(report_without_a_forecast)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, TWO_MONTHS),
        SAYS(400, "{\"__type\":\"DataUnavailableException\",\"Message\":\"Insufficient amount of historical data\"}"), { 0 } };
    struct af_cost_report report;
    service_begin(&s, "ce", answers);
    AF_CHECK_OK(af_cost_report_make(s.client, NULL, now(), &s.arena, &report, &s.err), s.err);
    AF_CHECK(isnan(report.forecast));
    AF_CHECK(service_has(report.why_no_forecast, "Insufficient"));
    AF_CHECK(!service_has(service_asked(&s, 0), "Filter"));
    service_end(&s);
}

AF_TEST(report_of_nothing)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, "{\"ResultsByTime\":[]}"),
                                              WHEN("GetDimensionValues", 200, "{\"DimensionValues\":[{\"Value\":\"AWS Lambda\"}]}"),
                                              SAYS(200, "{\"ResultsByTime\":[]}"), { 0 } };
    struct af_cost_report report;
    service_begin(&s, "ce", answers);
    AF_CHECK_OK(af_cost_report_make(s.client, "a=b", now(), &s.arena, &report, &s.err), s.err);
    AF_CHECK_INT(report.row_count, 0);
    AF_CHECK_INT(report.services, 1);
    AF_CHECK_INT(report.requests, 2);
    AF_CHECK_OK(af_cost_report_make(s.client, NULL, now(), &s.arena, &report, &s.err), s.err);
    AF_CHECK_INT(report.services, 0);
    AF_CHECK_SLICE(report.why_no_forecast, "nothing was charged yet");
    service_end(&s);
}

AF_TEST(reports_that_are_refused_teach)
{
    static const struct {
        const char *answer, *want;
        enum af_status status;
    } cases[] = {
        { "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}", "needs the action ce:GetCostAndUsage", AF_EDENIED },
        { "{\"__type\":\"AccessDeniedException\",\"Message\":\"User not enabled for cost explorer access\"}", "is not switched on",
          AF_EDENIED },
        { "{\"__type\":\"DataUnavailableException\",\"Message\":\"Data is not available\"}", "has no data yet", AF_EINVAL },
        { "{\"__type\":\"LimitExceededException\",\"Message\":\"Rate exceeded\"}", "Rate exceeded", AF_EBUSY },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct service s;
        const struct service_answer answers[] = { SAYS(400, cases[i].answer), { 0 } };
        struct af_cost_report report;
        service_begin(&s, "ce", answers);
        AF_CHECK_FAILS(af_cost_report_make(s.client, NULL, now(), &s.arena, &report, &s.err), cases[i].status);
        if (strstr(s.err.message, cases[i].want) == NULL)
            af_test_failed(__FILE__, __LINE__, "%s", s.err.message);
        service_end(&s);
    }
}

AF_TEST(reports_in_two_currencies_and_bad_tags)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, "{\"ResultsByTime\":[" MONTH("2026-11-01", GROUP("a", "b", "1", "1")
        ",{\"Keys\":[\"c\",\"d\"],\"Metrics\":{\"UnblendedCost\":{\"Amount\":\"1\",\"Unit\":\"BRL\"},"
        "\"UsageQuantity\":{\"Amount\":\"1\",\"Unit\":\"\"}}}") "]}"), { 0 } };
    struct af_cost_report report;
    service_begin(&s, "ce", answers);
    AF_CHECK_FAILS(af_cost_report_make(s.client, NULL, now(), &s.arena, &report, &s.err), AF_EUNSUPPORTED);
    AF_CHECK_FAILS(af_cost_report_make(s.client, "afluxo", now(), &s.arena, &report, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_cost_report_make(s.client, "=afluxo", now(), &s.arena, &report, &s.err), AF_EINVAL);
    AF_CHECK_INT(af_peer_requests(s.peer), 1);
    service_end(&s);
}

#define LISTED(function) "{\"MetricName\":\"PointsWritten\",\"Dimensions\":[{\"Name\":\"Function\",\"Value\":\"" function "\"}]}"

AF_TEST(points_of_all_functions)
{
    struct service s;
    const struct service_answer answers[] = {
        WHEN("GraniteServiceVersion20100801.ListMetrics", 200,
             "{\"Metrics\":[" LISTED("one") ",{\"MetricName\":\"PointsWritten\",\"Dimensions\":[]},{\"MetricName\":\"PointsWritten\","
             "\"Dimensions\":[{\"Name\":\"Function\",\"Value\":\"one\"},{\"Name\":\"Stage\",\"Value\":\"x\"}]}],\"NextToken\":\"t\"}"),
        WHEN("\"Value\":\"one\"", 200,
             "{\"MetricDataResults\":[{\"Timestamps\":[1793404800,1793491200],\"Values\":[1000000,500000]}]}"),
        WHEN("\"NextToken\":\"t\"", 200, "{\"Metrics\":[" LISTED("two") "]}"),
        WHEN("\"Value\":\"two\"", 200, "{\"MetricDataResults\":[{\"Timestamps\":[1793577600],\"Values\":[250000]}]}"), { 0 } };
    struct af_cost_report report = { 0 };
    service_begin(&s, "monitoring", answers);
    af_cost_days_of(now(), &report.days);
    AF_CHECK_INT(report.days.first[AF_COST_THIS] * INT64_C(86400), 1793491200); /* 2026-11-01 */
    af_cost_report_add_points(s.client, "Afluxo", &s.arena, &report);
    AF_CHECK_SLICE(report.why_no_points, "");
    AF_CHECK_F64(report.points[AF_COST_LAST], 1000000);
    AF_CHECK_F64(report.points[AF_COST_THIS], 750000);
    service_end(&s);
}

AF_TEST(points_that_are_not_known)
{
    struct service s;
    const struct service_answer answers[] = {
        SAYS(200, "{\"Metrics\":[]}"), SAYS(400, "{\"__type\":\"AccessDeniedException\",\"message\":\"cloudwatch:ListMetrics\"}"), { 0 } };
    struct af_cost_report report = { 0 };
    service_begin(&s, "monitoring", answers);
    af_cost_report_add_points(s.client, "Afluxo", &s.arena, &report);
    AF_CHECK(isnan(report.points[0]) && isnan(report.points[1]));
    AF_CHECK_SLICE(report.why_no_points, "namespace Afluxo has no PointsWritten of a function");
    af_cost_report_add_points(s.client, "Afluxo", &s.arena, &report);
    AF_CHECK(isnan(report.points[0]) && service_has(report.why_no_points, "cloudwatch:ListMetrics"));
    service_end(&s);
}
