/* costs_test.c - patterns, classes, months, the table of prices, and a plan reckoned by hand. */
#include "base/alloc.h"
#include "base/calendar.h"
#include "costs/costs.h"
#include "test/lib/test.h"
#include <math.h>
#include <stdio.h>

AF_TEST(patterns_match_with_stars)
{
    static const struct {
        const char *pattern, *text;
        bool want;
    } cases[] = {
        { "", "", true },          { "", "a", false },        { "*", "", true },           { "*", "abc", true },
        { "abc", "abc", true },    { "abc", "ab", false },    { "ab", "abc", false },      { "a*c", "abbc", true },
        { "a*c", "ac", true },     { "a*c", "acb", false },   { "*b*", "abc", true },      { "*b", "abab", true },
        { "*aab", "aaaab", true }, { "**a**", "bab", true },  { "a", "A", false },         { "*x*y*", "axbyc", true },
        { "*x*y*", "aybxc", false }, { "a*", "*", false },    { "*Lambda*", "SAE1-Lambda-GB-Second", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (af_cost_matches(cases[i].pattern, af_slice_of(cases[i].text)) != cases[i].want)
            af_test_failed(__FILE__, __LINE__, "\"%s\" and \"%s\"", cases[i].pattern, cases[i].text);
}

AF_TEST(usage_types_have_classes)
{
    static const struct {
        const char *service, *type;
        enum af_cost_class want;
    } cases[] = {
        { "Amazon Timestream", "SAE1-InstanceUsage:db.influx.2xlarge", AF_COST_INSTANCE_HOURS },
        { "Amazon Timestream", "Multi-AZUsage:db.influx.large", AF_COST_INSTANCE_HOURS },
        { "Amazon Timestream", "USE1-InfluxDB-IOIncludedT1-Storage", AF_COST_STORAGE },
        { "Amazon Timestream", "USE1-InfluxDB-BackupStorage", AF_COST_BACKUPS },
        { "Amazon Timestream", "USE1-DataTransfer-Out-Bytes", AF_COST_TRANSFER },
        { "AWS Lambda", "SAE1-Lambda-GB-Second-ARM", AF_COST_LAMBDA },
        { "AWS Lambda", "Request", AF_COST_LAMBDA },
        { "Amazon Simple Queue Service", "SAE1-Requests-Tier1", AF_COST_SQS },
        { "Amazon Simple Storage Service", "TimedStorage-ByteHrs", AF_COST_S3 },
        { "Amazon Simple Storage Service", "SAE1-DataTransfer-Regional-Bytes", AF_COST_TRANSFER },
        { "AmazonCloudWatch", "CW:MetricMonitorUsage", AF_COST_LOGS_AND_METRICS },
        { "Amazon Virtual Private Cloud", "SAE1-VpcEndpoint-Hours", AF_COST_TRANSFER },
        { "AWS Key Management Service", "us-east-1-KMS-Keys", AF_COST_OTHER },
        { "Something New", "Never-Seen", AF_COST_OTHER },
        { "Amazon Timestream", "Never-Seen", AF_COST_OTHER },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        AF_CHECK_STR(af_cost_class_name(af_cost_classify(af_slice_of(cases[i].service), af_slice_of(cases[i].type))),
                     af_cost_class_name(cases[i].want));
}

static int64_t at(int32_t year, unsigned month, unsigned day)
{
    return af_days_from_civil(year, month, day) * AF_NS_PER_DAY + 3600 * AF_NS_PER_S;
}

AF_TEST(months_around_a_day)
{
    struct af_cost_days days;
    af_cost_days_of(at(2026, 11, 25), &days);
    AF_CHECK_INT(days.first[AF_COST_LAST], af_days_from_civil(2026, 10, 1));
    AF_CHECK_INT(days.first[AF_COST_THIS], af_days_from_civil(2026, 11, 1));
    AF_CHECK_INT(days.today, af_days_from_civil(2026, 11, 25));
    AF_CHECK_INT(days.end, af_days_from_civil(2026, 12, 1));
    af_cost_days_of(at(2027, 1, 1), &days);
    AF_CHECK_INT(days.first[AF_COST_LAST], af_days_from_civil(2026, 12, 1));
    AF_CHECK_INT(days.today, days.first[AF_COST_THIS]);
    af_cost_days_of(at(2026, 12, 31), &days);
    AF_CHECK_INT(days.end, af_days_from_civil(2027, 1, 1));
    AF_CHECK_INT(days.end, days.today + 1);
    af_cost_days_of(at(2028, 2, 29), &days);
    AF_CHECK_INT(days.end - days.first[AF_COST_THIS], 29);
}

/* --- the table --------------------------------------------------------------------------------------------------------------- */

struct fixture {
    struct af_arena arena;
    struct af_prices prices;
    struct af_error err;
};

static void open_table(struct fixture *f)
{
    *f = (struct fixture){ 0 };
    af_arena_init(&f->arena, 16 << 20);
    AF_CHECK_OK(af_prices_parse("prices.yaml", af_prices_text(), NULL, &f->arena, &f->prices, &f->err), f->err);
}

AF_TEST(prices_that_are_built_in)
{
    struct fixture f;
    bool is_here = false;
    open_table(&f);
    AF_CHECK_STR(f.prices.currency, "USD");
    AF_CHECK_F64(f.prices.hours_a_month, 730);
    AF_CHECK_INT(f.prices.size_count, 9);
    AF_CHECK_STR(f.prices.sizes[8].name, "db.influx.24xlarge");
    AF_CHECK_F64(f.prices.sizes[8].units, 96);
    const struct af_price *medium = af_price_find(&f.prices, "influx_medium_hour", "us-east-1", &is_here);
    AF_CHECK(medium != NULL && is_here && medium->is_assumed);
    AF_CHECK(fabs(medium->price * 730 - 95) < 0.1); /* the one figure that is quoted */
    AF_CHECK(af_price_find(&f.prices, "influx_medium_hour", "sa-east-1", &is_here) == medium && !is_here);
    AF_CHECK(af_price_find(&f.prices, "no_such", "us-east-1", &is_here) == NULL);
    for (size_t i = 0; i < f.prices.price_count; i++) /* nothing but what a reference says is sure */
        AF_CHECK(f.prices.prices[i].is_assumed || strcmp(f.prices.prices[i].name, "cost_explorer_request") == 0);
    af_arena_done(&f.arena);
}

#define OWN_PRICE                                                                                                               \
    "prices:\n  - {name: db.influx.large, unit: hour, price: 0.5, region: sa-east-1, date: 2026-11-25, assumed: false, "         \
    "source: bill}\n"

AF_TEST(prices_of_a_file_come_first)
{
    struct fixture f;
    struct af_prices own;
    bool is_here = false;
    open_table(&f);
    AF_CHECK_OK(af_prices_parse("own.yaml", AF_SLICE_LIT(OWN_PRICE), &f.prices, &f.arena, &own, &f.err), f.err);
    AF_CHECK_INT(own.price_count, f.prices.price_count + 1);
    AF_CHECK_INT(own.size_count, 9);
    const struct af_price *large = af_price_find(&own, "db.influx.large", "sa-east-1", &is_here);
    AF_CHECK(large != NULL && is_here && !large->is_assumed);
    AF_CHECK_F64(large->price, 0.5);
    AF_CHECK(af_price_find(&own, "s3_get", "us-east-1", &is_here) != NULL && is_here);
    af_arena_done(&f.arena);
}

AF_TEST(prices_that_are_none)
{
    static const struct {
        const char *yaml, *want;
    } cases[] = {
        { "", "the file has currency" },
        { "- a\n", "t.yaml:1: the file has currency" },
        { "prices: 7\n", "t.yaml:1: this is a list of rows" },
        { "currency: USD\n", "are missing" },
        { "colour: red\n", "t.yaml:1: this member is none of" },
        { "prices:\n  - 7\n", "t.yaml:2: a row is members" },
        { "prices:\n  - {name: a, cost: 1}\n", "a row has no \"cost\" here" },
        { "prices:\n  - {name: a}\n", "the row has no unit" },
        { "prices:\n  - {name: a, unit: b, price: -1, region: c, date: d, source: e}\n", "price wants a number from 0" },
        { "prices:\n  - {name: a, unit: b, price: much, region: c, date: d, source: e}\n", "price wants a number from 0" },
        { "prices:\n  - {name: a, unit: b, price: 1, region: c, date: d, source: e, assumed: perhaps}\n", "assumed is true or false" },
        { "prices:\n  - {name: [], unit: b}\n", "name wants one value" },
        { "prices:\n  - {name: '', unit: b}\n", "name wants a text" },
        { "classes:\n  - {name: a, units: b}\n", "units wants a number" },
        { "currency: USD\ndate: x\nhours_a_month: 0\n", "are missing" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f = { 0 };
        af_arena_init(&f.arena, 1 << 20);
        AF_CHECK_FAILS(af_prices_parse("t.yaml", af_slice_of(cases[i].yaml), NULL, &f.arena, &f.prices, &f.err), AF_EINVAL);
        if (strstr(f.err.message, cases[i].want) == NULL)
            af_test_failed(__FILE__, __LINE__, "case %zu: %s", i, f.err.message);
        AF_CHECK(f.prices.currency == NULL);
        af_arena_done(&f.arena);
    }
}

AF_TEST(prices_in_two_currencies)
{
    struct fixture f;
    struct af_prices own;
    open_table(&f);
    AF_CHECK_FAILS(af_prices_parse("own.yaml", AF_SLICE_LIT("currency: BRL\n"), &f.prices, &f.arena, &own, &f.err), AF_EINVAL);
    af_arena_done(&f.arena);
}

AF_TEST(prices_without_memory)
{
    for (size_t n = 1;; n++) {
        struct fixture f = { 0 };
        af_arena_init(&f.arena, 16 << 20);
        af_alloc_fail_nth(n);
        const enum af_status status = af_prices_parse("prices.yaml", af_prices_text(), NULL, &f.arena, &f.prices, &f.err);
        af_alloc_fail_nth(0);
        af_arena_done(&f.arena);
        if (status == AF_OK) {
            AF_CHECK(n > 1);
            return;
        }
        AF_CHECK_INT(status, AF_ENOMEM);
    }
}

/* --- a plan: a table of round prices, and the sums by hand ----------------------------------------------------------------------- */

static const char round_table[] =
    "currency: USD\ndate: 2026-01-01\nhours_a_month: 720\n" /* 30 days */
    "classes:\n  - {name: db.influx.medium, units: 1}\n  - {name: db.influx.large, units: 2}\n  - {name: db.influx.xlarge, units: 4}\n"
    "prices:\n"
#define P(name, price, assumed) "  - {name: " name ", unit: u, price: " price ", region: r, date: d, source: s, assumed: " assumed "}\n"
    P("influx_medium_hour", "0.1", "false") P("influx_t1_gib_month", "0.1", "false") P("influx_t2_gib_month", "0.2", "false")
    P("influx_t3_gib_month", "0.3", "true") P("s3_gb_month", "0.02", "false") P("s3_get", "0.001", "false")
    P("s3_put_or_list", "0.01", "false") P("lambda_gb_s", "0.01", "false") P("lambda_request", "0.001", "false")
    P("sqs_request", "0.002", "false") P("api_request", "0.003", "false") P("logs_gb", "0.5", "false") P("metric_month", "0.3", "false")
    P("alarm_month", "0.1", "false") P("endpoint_hour", "0.01", "false") P("secret_month", "0.4", "false")
    P("kms_key_month", "1", "false") P("cost_explorer_request", "0.01", "false")
    "assumptions:\n"
#define A(name, value) "  - {name: " name ", unit: u, value: " value ", source: s}\n"
    A("backup_share", "0.5") A("loader_gb", "0.5") A("loader_object_s", "2") A("loader_points_per_s", "1000") A("query_gb", "0.25")
    A("query_s", "4") A("small_runs", "10") A("small_gb", "0.5") A("small_s", "2") A("sqs_requests", "3") A("s3_gets", "2")
    A("s3_puts", "1") A("log_kb", "1000") A("metrics", "10") A("alarms", "20") A("endpoints", "5") A("zones_single", "1")
    A("zones_multi", "2") A("secrets", "2") A("kms_keys", "1") A("cost_requests", "60");

static void open_round(struct fixture *f)
{
    *f = (struct fixture){ 0 };
    af_arena_init(&f->arena, 1 << 20);
    AF_CHECK_OK(af_prices_parse("round", af_slice_of(round_table), NULL, &f->arena, &f->prices, &f->err), f->err);
}

static void check_line(const struct af_cost_plan *plan, size_t i, const char *what, double quantity, double amount, bool is_assumed)
{
    AF_CHECK_STR(plan->lines[i].what, what);
    if (fabs(plan->lines[i].quantity - quantity) > 1e-9 || fabs(plan->lines[i].amount - amount) > 1e-9 ||
        plan->lines[i].is_assumed != is_assumed)
        af_test_failed(__FILE__, __LINE__, "%s: %.12g for %.12g, want %.12g for %.12g", what, plan->lines[i].quantity,
                       plan->lines[i].amount, quantity, amount);
}

AF_TEST(plan_by_hand)
{
    struct fixture f;
    struct af_cost_plan plan;
    const struct af_cost_wish wish = { .size = "db.influx.large", .tier = 1, .storage_gib = 100, .is_multi_az = true, .region = "r",
                                       .points_a_day = 50000, .objects_a_day = 10, .queries_a_day = 20 };
    open_round(&f);
    AF_CHECK_OK(af_cost_plan_make(&f.prices, &wish, &plan, &f.err), f.err);
    AF_CHECK_INT(plan.count, 18);
    check_line(&plan, 0, "two instances, one a zone", 1440, 288, false);      /* 2 x 720 h x 0.1 x 2 units */
    check_line(&plan, 1, "storage of both", 200, 20, false);
    check_line(&plan, 2, "backups in S3", 50, 1, true);
    check_line(&plan, 3, "loader", 1050, 10.5, true);                          /* (300 x 2 s + 1.5 M / 1000) x 0.5 GB */
    check_line(&plan, 4, "queries", 600, 6, true);                             /* 600 x 4 s x 0.25 GB */
    check_line(&plan, 5, "monitor and scaler", 300, 3, true);                  /* 300 x 2 s x 0.5 GB */
    check_line(&plan, 6, "invocations", 1200, 1.2, true);                      /* 300 + 600 + 300 */
    check_line(&plan, 7, "requests", 900, 1.8, true);
    check_line(&plan, 8, "reading objects", 600, 0.6, true);
    check_line(&plan, 9, "objects arriving", 300, 3, true);
    check_line(&plan, 10, "logs", 1.2, 0.6, true);                             /* 1200 x 1000 kB */
    check_line(&plan, 11, "requests of the API", 600, 1.8, true);
    check_line(&plan, 12, "metrics", 10, 3, true);
    check_line(&plan, 13, "alarms", 20, 2, true);
    check_line(&plan, 14, "endpoints of the network", 7200, 72, true);         /* 5 x 2 zones x 720 h */
    check_line(&plan, 15, "secrets", 2, 0.8, true);
    check_line(&plan, 16, "keys", 1, 1, true);
    check_line(&plan, 17, "asking what it costs", 60, 0.6, true);
    AF_CHECK(fabs(plan.total - 416.9) < 1e-9);
    AF_CHECK(plan.is_assumed);
    AF_CHECK_STR(plan.up, "db.influx.xlarge");
    AF_CHECK(fabs(plan.up_total - (416.9 + 288)) < 1e-9);
    AF_CHECK_STR(plan.down, "db.influx.medium");
    AF_CHECK(fabs(plan.down_total - (416.9 - 144)) < 1e-9);
    af_arena_done(&f.arena);
}

AF_TEST(plan_at_the_ends_and_elsewhere)
{
    struct fixture f;
    struct af_cost_plan plan;
    struct af_cost_wish wish = { .size = "medium", .tier = 3, .storage_gib = 400, .region = "elsewhere" };
    open_round(&f);
    AF_CHECK_OK(af_cost_plan_make(&f.prices, &wish, &plan, &f.err), f.err);
    AF_CHECK(plan.down == NULL && strcmp(plan.up, "db.influx.large") == 0);
    check_line(&plan, 0, "the instance", 720, 72, true); /* another region's price is assumed here */
    AF_CHECK(plan.lines[0].is_elsewhere);
    check_line(&plan, 1, "storage", 400, 120, true);
    wish.size = "db.influx.xlarge";
    wish.region = "r";
    AF_CHECK_OK(af_cost_plan_make(&f.prices, &wish, &plan, &f.err), f.err);
    AF_CHECK(plan.up == NULL && strcmp(plan.down, "db.influx.large") == 0);
    check_line(&plan, 1, "storage", 400, 120, true); /* as the table says of T3 */
    af_arena_done(&f.arena);
}

AF_TEST(plan_with_a_price_of_the_class)
{
    struct fixture f;
    struct af_prices own;
    struct af_cost_plan plan;
    const struct af_cost_wish wish = { .size = "db.influx.large", .tier = 1, .storage_gib = 20, .region = "sa-east-1" };
    open_round(&f);
    AF_CHECK_OK(af_prices_parse("own.yaml", AF_SLICE_LIT(OWN_PRICE), &f.prices, &f.arena, &own, &f.err), f.err);
    AF_CHECK_OK(af_cost_plan_make(&own, &wish, &plan, &f.err), f.err);
    check_line(&plan, 0, "the instance", 720, 360, false);
    AF_CHECK(plan.lines[1].is_assumed && plan.lines[1].is_elsewhere);
    af_arena_done(&f.arena);
}

AF_TEST(plans_that_cannot_be)
{
    struct fixture f;
    struct af_cost_plan plan = { .total = -1 };
    const struct af_cost_size size = { "a.b", 1 };
    const struct af_prices nothing = { .currency = "USD", .hours_a_month = 730, .sizes = &size, .size_count = 1 };
    static const struct af_cost_wish wishes[] = {
        { .size = "db.influx.huge", .tier = 1, .storage_gib = 100, .region = "r" },
        { .size = "db.influx.large", .tier = 4, .storage_gib = 400, .region = "r" },
        { .size = "db.influx.large", .tier = 2, .storage_gib = 399, .region = "r" },
        { .size = "db.influx.large", .tier = 1, .storage_gib = 19, .region = "r" },
        { .size = "db.influx.large", .tier = 1, .storage_gib = 16385, .region = "r" },
    };
    open_round(&f);
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++)
        AF_CHECK_FAILS(af_cost_plan_make(&f.prices, &wishes[i], &plan, &f.err), AF_EINVAL);
    const struct af_cost_wish wish = { .size = "b", .tier = 1, .storage_gib = 100, .region = "r" };
    AF_CHECK_FAILS(af_cost_plan_make(&nothing, &wish, &plan, &f.err), AF_EINVAL);
    AF_CHECK(strstr(f.err.message, "influx_medium_hour") != NULL);
    AF_CHECK_F64(plan.total, -1);
    af_arena_done(&f.arena);
}
