/* cost_explorer_test.c - Cost Explorer: what is asked, pages, amounts, and answers that are none. */
#include "aws/cost_explorer.h"
#include "aws/service_fixture.h"

#define GROUP(service, type, cost, quantity)                                                                                     \
    "{\"Keys\":[\"" service "\",\"" type "\"],\"Metrics\":{\"UnblendedCost\":{\"Amount\":\"" cost "\",\"Unit\":\"USD\"},"           \
    "\"UsageQuantity\":{\"Amount\":\"" quantity "\",\"Unit\":\"Hrs\"}}}"
#define MONTH(start, groups) "{\"TimePeriod\":{\"Start\":\"" start "\",\"End\":\"x\"},\"Total\":{},\"Groups\":[" groups "]}"
static const struct af_ce_query by_type = { "2026-10-01", "2026-11-26", "MONTHLY", "project", "afluxo", { "SERVICE", "USAGE_TYPE" } };

AF_TEST(costs_are_read_page_by_page)
{
    struct service s;
    const struct service_answer answers[] = {
        WHEN("AWSInsightsIndexService.GetCostAndUsage", 200,
             "{\"ResultsByTime\":[" MONTH("2026-10-01", GROUP("Amazon Timestream", "A", "190.0000000001", "730")) ","
             MONTH("2026-11-01", "") "],\"NextPageToken\":\"p2\"}"),
        WHEN("\"NextPageToken\":\"p2\"", 200,
             "{\"ResultsByTime\":[" MONTH("2026-11-01", GROUP("AWS Lambda", "B", "-1.5E-3", "0")) "]}"), { 0 } };
    struct af_ce_row *rows = NULL;
    size_t count = 0;
    uint32_t requests = 0;
    service_begin(&s, "ce", answers);
    AF_CHECK_OK(af_ce_usage(s.client, &by_type, &s.arena, &rows, &count, &requests, &s.err), s.err);
    AF_CHECK_INT(count, 2);
    AF_CHECK_INT(requests, 2);
    AF_CHECK_SLICE(rows[0].start, "2026-10-01");
    AF_CHECK_SLICE(rows[0].keys[0], "Amazon Timestream");
    AF_CHECK_F64(rows[0].cost, 190.0000000001);
    AF_CHECK_F64(rows[0].quantity, 730);
    AF_CHECK_SLICE(rows[0].unit, "Hrs");
    AF_CHECK_SLICE(rows[1].keys[1], "B");
    AF_CHECK_F64(rows[1].cost, -0.0015);
    AF_CHECK_SLICE(rows[1].currency, "USD");
    AF_CHECK_SLICE(service_asked(&s, 0),
                   "{\"TimePeriod\":{\"Start\":\"2026-10-01\",\"End\":\"2026-11-26\"},\"Granularity\":\"MONTHLY\",\"Filter\":{\"Tags\":"
                   "{\"Key\":\"project\",\"Values\":[\"afluxo\"]}},\"Metrics\":[\"UnblendedCost\",\"UsageQuantity\"],\"GroupBy\":"
                   "[{\"Type\":\"DIMENSION\",\"Key\":\"SERVICE\"},{\"Type\":\"DIMENSION\",\"Key\":\"USAGE_TYPE\"}]}");
    AF_CHECK(service_has(service_request(&s, 0), "/us-east-1/ce/aws4_request")); /* though the region is eu-west-1 */
    service_end(&s);
}

AF_TEST(costs_without_groups_are_totals)
{
    struct service s;
    const struct service_answer answers[] = {
        SAYS(200, "{\"ResultsByTime\":[{\"TimePeriod\":{\"Start\":\"2026-11-01\",\"End\":\"2026-11-02\"},\"Total\":{\"UnblendedCost\":"
                  "{\"Amount\":\"3\",\"Unit\":\"USD\"},\"UsageQuantity\":{\"Amount\":\"4\",\"Unit\":\"N/A\"}}}]}"), { 0 } };
    const struct af_ce_query query = { .start = "2026-11-01", .end = "2026-11-02", .granularity = "DAILY" };
    struct af_ce_row *rows = NULL;
    size_t count = 0;
    uint32_t requests = 0;
    service_begin(&s, "ce", answers);
    AF_CHECK_OK(af_ce_usage(s.client, &query, &s.arena, &rows, &count, &requests, &s.err), s.err);
    AF_CHECK_INT(count, 1);
    AF_CHECK_F64(rows[0].cost, 3);
    AF_CHECK(!service_has(service_asked(&s, 0), "Filter") && !service_has(service_asked(&s, 0), "GroupBy"));
    service_end(&s);
}

AF_TEST(costs_read_badly)
{
    static const char *const bodies[] = {
        "{\"ResultsByTime\":7}",
        "{\"ResultsByTime\":[{}]}",
        "{\"ResultsByTime\":[" MONTH("2026-10-01", "{}") "]}",
        "{\"ResultsByTime\":[" MONTH("2026-10-01", "{\"Keys\":[\"a\"],\"Metrics\":{}}") "]}",
        "{\"ResultsByTime\":[" MONTH("2026-10-01", "{\"Keys\":[\"a\",\"b\"],\"Metrics\":{}}") "]}",
        "{\"ResultsByTime\":[" MONTH("2026-10-01", GROUP("a", "b", "much", "1")) "]}",
        "{\"ResultsByTime\":[" MONTH("2026-10-01", GROUP("a", "b", "1", "")) "]}",
        "{\"NextPageToken\":\"same\"}",
        "[]",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct service s;
        const struct service_answer answers[] = { SAYS(200, bodies[i]), { 0 } };
        struct af_ce_row *rows = NULL;
        size_t count = 0;
        uint32_t requests = 0;
        service_begin(&s, "ce", answers);
        AF_CHECK_FAILS(af_ce_usage(s.client, &by_type, &s.arena, &rows, &count, &requests, &s.err), AF_ECORRUPT);
        AF_CHECK(requests != 0 && rows == NULL);
        service_end(&s);
    }
}

AF_TEST(costs_that_are_refused)
{
    struct service s;
    const struct service_answer answers[] = {
        SAYS(400, "{\"__type\":\"AccessDeniedException\",\"Message\":\"not authorized to perform: ce:GetCostAndUsage\"}"),
        SAYS(400, "{\"__type\":\"LimitExceededException\",\"Message\":\"Rate exceeded\"}"),
        SAYS(400, "{\"__type\":\"DataUnavailableException\",\"Message\":\"Data is not available\"}"), { 0 } };
    static const enum af_status want[] = { AF_EDENIED, AF_EBUSY, AF_EINVAL };
    service_begin(&s, "ce", answers);
    for (size_t i = 0; i < 3; i++) {
        struct af_ce_row *rows = NULL;
        size_t count = 0;
        uint32_t requests = 0;
        AF_CHECK_FAILS(af_ce_usage(s.client, &by_type, &s.arena, &rows, &count, &requests, &s.err), want[i]);
    }
    AF_CHECK_STR(af_aws_last_code(s.client), "DataUnavailableException");
    service_end(&s);
}

AF_TEST(costs_are_forecast)
{
    struct service s;
    const struct service_answer answers[] = {
        WHEN("AWSInsightsIndexService.GetCostForecast", 200,
             "{\"Total\":{\"Amount\":\"42.25\",\"Unit\":\"USD\"},\"ForecastResultsByTime\":[]}"),
        SAYS(200, "{}"), SAYS(200, "{\"Total\":{\"Amount\":42}}"), { 0 } };
    const struct af_ce_query query = { .start = "2026-11-25", .end = "2026-12-01", .granularity = "DAILY" };
    struct af_slice currency = { 0 };
    double cost = -1;
    service_begin(&s, "ce", answers);
    AF_CHECK_OK(af_ce_forecast(s.client, &query, &s.arena, &cost, &currency, &s.err), s.err);
    AF_CHECK_F64(cost, 42.25);
    AF_CHECK_SLICE(currency, "USD");
    AF_CHECK_SLICE(service_asked(&s, 0), "{\"TimePeriod\":{\"Start\":\"2026-11-25\",\"End\":\"2026-12-01\"},\"Metric\":\"UNBLENDED_COST\","
                                         "\"Granularity\":\"DAILY\"}");
    AF_CHECK_FAILS(af_ce_forecast(s.client, &query, &s.arena, &cost, &currency, &s.err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_ce_forecast(s.client, &query, &s.arena, &cost, &currency, &s.err), AF_ECORRUPT);
    AF_CHECK_F64(cost, 42.25);
    service_end(&s);
}

AF_TEST(values_of_a_dimension)
{
    struct service s;
    const struct service_answer answers[] = {
        WHEN("AWSInsightsIndexService.GetDimensionValues", 200,
             "{\"DimensionValues\":[{\"Value\":\"AWS Lambda\"}],\"NextPageToken\":\"2\"}"),
        SAYS(200, "{\"DimensionValues\":[{\"Value\":\"Amazon Timestream\",\"Attributes\":{}}],\"TotalSize\":2}"), { 0 } };
    struct af_slice *names = NULL;
    size_t count = 0;
    uint32_t requests = 0;
    service_begin(&s, "ce", answers);
    AF_CHECK_OK(af_ce_dimension_values(s.client, "SERVICE", "2026-11-01", "2026-11-25", &s.arena, &names, &count, &requests, &s.err),
                s.err);
    AF_CHECK_INT(count, 2);
    AF_CHECK_INT(requests, 2);
    AF_CHECK_SLICE(names[1], "Amazon Timestream");
    AF_CHECK_SLICE(service_asked(&s, 0), "{\"TimePeriod\":{\"Start\":\"2026-11-01\",\"End\":\"2026-11-25\"},\"Dimension\":\"SERVICE\"}");
    service_end(&s);
}
