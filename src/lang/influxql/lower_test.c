/* lower_test.c - the plan of each kind of SELECT, as text. What it answers is in lower_run_test.c. */
#include "lang/influxql/lower_fixture.h"
#include "base/alloc.h"

struct golden {
    const char *query, *plan;
};
static void check_all(const struct golden *golden, size_t count)
{
    struct lf f;
    lf_begin(&f);
    for (size_t i = 0; i < count; i++) {
        const char *plan = lf_plan(&f, golden[i].query);
        if (strcmp(plan, golden[i].plan) != 0)
            af_test_failed(__FILE__, __LINE__, "%s\n%swant\n%s", golden[i].query, plan, golden[i].plan);
    }
    lf_end(&f);
}
#define CHECK_PLANS(table) check_all(table, sizeof table / sizeof *table)

AF_TEST(raw_queries_are_scans)
{
    static const struct golden golden[] = {
        { "SELECT value FROM cpu",
          "scan db cpu; fields value f64\n" },
        { "SELECT value, host FROM cpu WHERE time >= 10s AND time < 20s",
          "scan db cpu; fields value f64; tags or null host; from 1970-01-01T00:00:10Z to 1970-01-01T00:00:20Z\n" },
        { "SELECT * FROM cpu",
          "map count, host, label, ok, region, total, value\n"
          "  scan db cpu; fields count u64, label string, ok bool, total i64, value f64; tags or null host, region\n" },
        { "SELECT *::tag, value FROM cpu GROUP BY host",
          "map region, value\n"
          "  scan db cpu; fields value f64; tags or null region; by host\n" },
        { "SELECT /val|lab/ FROM cpu GROUP BY /reg/",
          "scan db cpu; fields label string, value f64; by region\n" },
        { "SELECT value, value::integer, nosuch, host::field, label::tag FROM cpu",
          "map value, value_1 = value, nosuch, host, label\n"
          "  map value, value = to_integer(value), nosuch = null, host = to_float(null), label = to_string(null)\n"
          "    scan db cpu; fields value f64\n" },
        { "SELECT value FROM cpu ORDER BY time DESC LIMIT 3 OFFSET 1",
          "limit 3 offset 1\n"
          "  scan db cpu; fields value f64; descending\n" },
        { "SELECT value, total FROM cpu fill(7)",
          "map value = coalesce(value, 7.0), total = coalesce(total, 7)\n"
          "  scan db cpu; fields value f64, total i64\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(what_is_not_there_gives_nothing)
{
    static const struct golden golden[] = {
        { "SELECT host FROM cpu",
          "empty time time, host string\n" },
        { "SELECT value FROM nothing",
          "empty time time, value null\n" },
        { "SELECT nosuch FROM cpu",
          "empty time time, nosuch null\n" },
        { "SELECT max(nosuch) FROM cpu",
          "empty time time, max null\n" },
        { "SELECT count(nosuch) FROM cpu",
          "empty time time, count i64\n" },
        { "SELECT value FROM cpu WHERE time > 20s AND time < 10s",
          "empty time time, value f64\n" },
        { "SELECT value FROM cpu WHERE false",
          "empty time time, value f64\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(conditions_on_tags_become_predicates)
{
    static const struct golden golden[] = {
        { "SELECT value FROM cpu WHERE host = 'a' AND region =~ /x/ AND total > 5",
          "map value\n"
          "  filter not(is_null(value))\n"
          "    filter greater(total, 5)\n"
          "      scan db cpu; fields value f64, total i64; where host = \"a\" and region =~ /x/\n" },
        { "SELECT value FROM cpu WHERE host = 'a' OR total > 5",
          "map value\n"
          "  filter not(is_null(value))\n"
          "    filter or(equal(coalesce(host, \"\"), \"a\"), greater(total, 5))\n"
          "      scan db cpu; fields value f64, total i64; tags or null host\n" },
        { "SELECT value FROM cpu WHERE (host = 'a' AND total > 1) OR (host = 'b' AND total > 2)",
          "map value\n"
          "  filter not(is_null(value))\n"
          "    filter or(and(equal(coalesce(host, \"\"), \"a\"), greater(total, 1)), and(equal(coalesce(host, \"\"), \"b\"), "
          "greater(total, 2)))\n"
          "      scan db cpu; fields value f64, total i64; tags or null host; where host = \"a\" or host = \"b\"\n" },
        { "SELECT value FROM cpu WHERE nosuch = '' AND host != ''",
          "scan db cpu; fields value f64; where nosuch = \"\" and host != \"\"\n" },
        { "SELECT value FROM cpu WHERE host > 'a'",
          "empty time time, value f64\n" },
        { "SELECT value FROM cpu WHERE host = region",
          "map value\n"
          "  filter and(equal(coalesce(host, \"\"), coalesce(region, \"\")), not_equal(coalesce(host, \"\"), \"\"))\n"
          "    scan db cpu; fields value f64; tags or null region, host\n" },
        { "SELECT value FROM cpu WHERE _name = 'cpu' AND host = label",
          "map value\n"
          "  filter not(is_null(value))\n"
          "    filter and(true, equal(host, label))\n"
          "      scan db cpu; fields value f64, label string; tags or null host\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(conditions_on_fields_are_filters)
{
    static const struct golden golden[] = {
        { "SELECT value FROM cpu WHERE total > 5",
          "map value\n"
          "  filter not(is_null(value))\n"
          "    filter greater(total, 5)\n"
          "      scan db cpu; fields value f64, total i64\n" },
        { "SELECT value FROM cpu WHERE total / 2 = 1 AND value > 0",
          "map value\n"
          "  filter not(is_null(value))\n"
          "    filter and(equal(divide_integer(total, 2), 1), greater(value, 0))\n"
          "      scan db cpu; fields value f64, total i64\n" },
        { "SELECT value FROM cpu WHERE (value > 1) = ok",
          "map value\n"
          "  filter not(is_null(value))\n"
          "    filter equal(coalesce(greater(value, 1), false), ok)\n"
          "      scan db cpu; fields value f64, ok bool\n" },
        { "SELECT value FROM cpu WHERE label =~ /x/ AND label > 'a' AND ok > true",
          "map value\n"
          "  filter not(is_null(value))\n"
          "    filter and(and(match(label, /x/), false), false)\n"
          "      scan db cpu; fields value f64, ok bool, label string\n" },
        { "SELECT value FROM cpu WHERE abs(value) > 1 AND label = 5",
          "map value\n"
          "  filter not(is_null(value))\n"
          "    filter and(greater(abs(value), 1), false)\n"
          "      scan db cpu; fields value f64, label string\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(arithmetic_is_a_map)
{
    static const struct golden golden[] = {
        { "SELECT value + total, total / 2, -total, ok & true, abs(value) FROM cpu",
          "map value_total = add(value, total), total = divide(total, 2), total_1 = multiply(-1, total), ok = "
          "bit_and(coalesce(ok, bit_and(true, false)), coalesce(true, bit_and(ok, false))), abs = abs(value)\n"
          "  scan db cpu; fields value f64, total i64, ok bool\n" },
        { "SELECT count / 2, total / total, 2 * sin(0) * value FROM cpu",
          "map count = divide_integer(count, 2), total_total = divide(total, total), value = multiply(0.0, value)\n"
          "  scan db cpu; fields count u64, total i64, value f64\n" },
        { "SELECT sin(label), label::integer FROM cpu",
          "map sin = null, label\n"
          "  map label, label = to_integer(null)\n"
          "    scan db cpu; fields label string\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(several_measurements_are_united)
{
    static const struct golden golden[] = {
        { "SELECT value FROM cpu, mem",
          "union\n"
          "  scan db cpu; fields value f64\n"
          "  map value = to_float(value)\n"
          "    scan db mem; fields value i64\n" },
        { "SELECT value FROM cpu, other..cpu",
          "union\n"
          "  scan db cpu; fields value f64\n"
          "  scan other cpu; fields value f64\n" },
        { "SELECT mean(value) FROM /./ SLIMIT 2 SOFFSET 1",
          "union\n"
          "  aggregate mean = mean(value)\n"
          "    scan db cpu; fields value f64; series 1+2\n"
          "  aggregate mean = mean(value)\n"
          "    map value = to_float(value)\n"
          "      scan db mem; fields value i64; series 1+2\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(each_call_is_a_branch)
{
    static const struct golden golden[] = {
        { "SELECT mean(value), max(value) FROM cpu WHERE time >= 0 AND time < 60s GROUP BY time(10s), host",
          "join\n"
          "  fill mean null; every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "    aggregate mean = mean(value); every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "      scan db cpu; fields value f64; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z; by host\n"
          "  fill max null; every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "    aggregate max = max(value); every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "      scan db cpu; fields value f64; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z; by host\n" },
        { "SELECT count(value), sum(total) FROM cpu WHERE time >= 0 AND time < 60s GROUP BY time(10s) fill(7) LIMIT 2",
          "join absent: 7, 7\n"
          "  limit 2\n"
          "    fill count 7; every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "      aggregate count = count(value); every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "        scan db cpu; fields value f64; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "  limit 2\n"
          "    fill sum 7; every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "      aggregate sum = sum(total); every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "        scan db cpu; fields total i64; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n" },
        { "SELECT mean(value) + 2 * mean(total) AS x FROM cpu",
          "map x = add(mean, multiply(2, mean))\n"
          "  join\n"
          "    aggregate mean = mean(value)\n"
          "      scan db cpu; fields value f64\n"
          "    aggregate mean = mean(total)\n"
          "      scan db cpu; fields total i64\n" },
        { "SELECT mean(*) FROM cpu",
          "map mean_count = mean, mean_total = mean, mean_value = mean\n"
          "  join\n"
          "    aggregate mean = mean(count)\n"
          "      scan db cpu; fields count u64\n"
          "    aggregate mean = mean(total)\n"
          "      scan db cpu; fields total i64\n"
          "    aggregate mean = mean(value)\n"
          "      scan db cpu; fields value f64\n" },
        { "SELECT max(value), max(value) * 2 FROM cpu",
          "map max, max_1 = multiply(max, 2)\n"
          "  aggregate max = max(value); time of the point\n"
          "    scan db cpu; fields value f64\n" },
        { "SELECT last(label), last(ok) FROM cpu WHERE time >= 0 AND time < 60s GROUP BY time(10s) fill(previous)",
          "map last, last_1 = last\n"
          "  join absent: the last\n"
          "    fill last previous; every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "      aggregate last = last(label); every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "        scan db cpu; fields label string; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "    fill last previous; every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "      aggregate last = last(ok); every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "        scan db cpu; fields ok bool; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(windows_are_filled)
{
    static const struct golden golden[] = {
        { "SELECT mean(value) FROM cpu WHERE time >= 0 AND time < 60s GROUP BY time(10s, 3s) fill(none)",
          "aggregate mean = mean(value); every 10s offset 3s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "  scan db cpu; fields value f64; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n" },
        { "SELECT count(value) FROM cpu GROUP BY time(10s)",
          "fill count 0; every 10s; to 1970-01-01T00:16:40.000000001Z\n"
          "  aggregate count = count(value); every 10s; to 1970-01-01T00:16:40.000000001Z\n"
          "    scan db cpu; fields value f64; to 1970-01-01T00:16:40.000000001Z\n" },
        { "SELECT last(label) FROM cpu WHERE time >= 0 AND time < 60s GROUP BY time(10s) fill(3)",
          "fill last \"\"; every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "  aggregate last = last(label); every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "    scan db cpu; fields label string; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n" },
        { "SELECT sum(total) FROM cpu WHERE time >= 0 AND time < 60s GROUP BY time(10s) fill(linear)",
          "fill sum linear; every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "  aggregate sum = sum(total); every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "    scan db cpu; fields total i64; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n" },
        { "SELECT mean(value) FROM cpu WHERE time >= 0 GROUP BY time(1d) tz('Asia/Kolkata')",
          "fill mean null; every 1d in Asia/Kolkata; from 1970-01-01T00:00:00Z to 1970-01-01T00:16:40.000000001Z\n"
          "  aggregate mean = mean(value); every 1d in Asia/Kolkata; from 1970-01-01T00:00:00Z to "
          "1970-01-01T00:16:40.000000001Z\n"
          "    scan db cpu; fields value f64; from 1970-01-01T00:00:00Z to 1970-01-01T00:16:40.000000001Z\n" },
        { "SELECT mean(value) INTO x FROM cpu WHERE time >= 0 AND time < 60s GROUP BY time(10s)",
          "aggregate mean = mean(value); every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "  scan db cpu; fields value f64; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(one_row_has_a_time)
{
    static const struct golden golden[] = {
        { "SELECT mean(value) FROM cpu WHERE time >= 5s",
          "aggregate mean = mean(value); from 1970-01-01T00:00:05Z\n"
          "  scan db cpu; fields value f64; from 1970-01-01T00:00:05Z\n" },
        { "SELECT first(value) FROM cpu",
          "aggregate first = first(value); time of the point\n"
          "  scan db cpu; fields value f64\n" },
        { "SELECT first(value), last(value) FROM cpu",
          "join\n"
          "  aggregate first = first(value)\n"
          "    scan db cpu; fields value f64\n"
          "  aggregate last = last(value)\n"
          "    scan db cpu; fields value f64\n" },
        { "SELECT stddev(value) FROM cpu",
          "map stddev\n"
          "  aggregate stddev = stddev(value), count = count(value)\n"
          "    scan db cpu; fields value f64\n" },
        { "SELECT integral(value) FROM cpu WHERE time >= 5s",
          "aggregate integral = integral(value, 1000000000)\n"
          "  scan db cpu; fields value f64; from 1970-01-01T00:00:05Z\n" },
        { "SELECT integral(total) FROM cpu WHERE time >= 5s",
          "aggregate integral = integral(total, 1000000000, 5000000000); from 1970-01-01T00:00:05Z\n"
          "  scan db cpu; fields total i64; from 1970-01-01T00:00:05Z\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(selectors_take_rows_with_them)
{
    static const struct golden golden[] = {
        { "SELECT max(value), host, total FROM cpu",
          "map max = value, host, total\n"
          "  select max(value)\n"
          "    map value, host, total\n"
          "      scan db cpu; fields value f64, total i64; tags or null host\n" },
        { "SELECT max(value), total FROM cpu WHERE time >= 0 AND time < 60s GROUP BY time(10s) fill(previous)",
          "map max = value, total\n"
          "  join absent or null: the last\n"
          "    fill value previous, total null; every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "      select max(value); every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z; time of the window\n"
          "        scan db cpu; fields value f64, total i64; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n" },
        { "SELECT top(value, 3) FROM cpu",
          "map top = value\n"
          "  select top(value, 3)\n"
          "    scan db cpu; fields value f64\n" },
        { "SELECT top(value, host, total, 3) FROM cpu WHERE time >= 0 AND time < 60s GROUP BY time(10s)",
          "map top = value, host, total\n"
          "  select top(value, 3); best of each host, total; every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n"
          "    map value, host, total, host = coalesce(host, \"\"), total = \"\"\n"
          "      map value, host, total\n"
          "        scan db cpu; fields value f64, total i64; tags or null host; from 1970-01-01T00:00:00Z to "
          "1970-01-01T00:01:00Z\n" },
        { "SELECT bottom(value, host, 3) INTO x FROM cpu",
          "map bottom = value\n"
          "  regroup by _measurement, host\n"
          "    select bottom(value, 3); best of each host\n"
          "      map value, host, host = coalesce(host, \"\")\n"
          "        scan db cpu; fields value f64; tags or null host\n" },
        { "SELECT sample(value, 3), host FROM cpu",
          "map sample = value, host\n"
          "  select sample(value, 3)\n"
          "    scan db cpu; fields value f64; tags or null host\n" },
        { "SELECT distinct(value) FROM cpu WHERE time >= 0 AND time < 60s GROUP BY time(10s)",
          "map distinct = value\n"
          "  select distinct(value); every 10s; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z; time of the window\n"
          "    scan db cpu; fields value f64; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n" },
        { "SELECT count(distinct(value)) FROM cpu",
          "aggregate count = count_distinct(value)\n"
          "  scan db cpu; fields value f64\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(differences_look_back)
{
    static const struct golden golden[] = {
        { "SELECT derivative(value) FROM cpu",
          "transform derivative = derivative(value, 1000000000)\n"
          "  scan db cpu; fields value f64\n" },
        { "SELECT derivative(mean(value)) FROM cpu WHERE time >= 60s AND time < 120s GROUP BY time(10s)",
          "transform derivative = derivative(mean, 10000000000)\n"
          "  fill mean null; every 10s; from 1970-01-01T00:00:50Z to 1970-01-01T00:02:00Z\n"
          "    aggregate mean = mean(value); every 10s; from 1970-01-01T00:00:50Z to 1970-01-01T00:02:00Z\n"
          "      scan db cpu; fields value f64; from 1970-01-01T00:00:50Z to 1970-01-01T00:02:00Z\n" },
        { "SELECT moving_average(mean(value), 3) FROM cpu WHERE time >= 60s AND time < 120s GROUP BY time(10s) fill(0)",
          "transform moving_average = moving_average(mean, 3)\n"
          "  fill mean 0.0; every 10s; from 1970-01-01T00:00:50Z to 1970-01-01T00:02:00Z\n"
          "    aggregate mean = mean(value); every 10s; from 1970-01-01T00:00:50Z to 1970-01-01T00:02:00Z\n"
          "      scan db cpu; fields value f64; from 1970-01-01T00:00:50Z to 1970-01-01T00:02:00Z\n" },
        { "SELECT difference(mean(value)) FROM cpu WHERE time >= 60s AND time < 120s GROUP BY time(10s) ORDER BY time DESC",
          "transform difference = difference(mean); descending\n"
          "  fill mean null; every 10s; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:10Z; descending\n"
          "    aggregate mean = mean(value); every 10s; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:10Z; descending\n"
          "      scan db cpu; fields value f64; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:10Z; descending\n" },
        { "SELECT cumulative_sum(mean(value)) FROM cpu WHERE time >= 60s AND time < 120s GROUP BY time(10s)",
          "transform cumulative_sum = cumulative_sum(mean)\n"
          "  fill mean null; every 10s; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z\n"
          "    aggregate mean = mean(value); every 10s; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z\n"
          "      scan db cpu; fields value f64; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z\n" },
        { "SELECT holt_winters(mean(value), 3, 4) FROM cpu WHERE time >= 60s AND time < 120s GROUP BY time(10s)",
          "transform holt_winters = holt_winters(mean, 3, 4, 10000000000)\n"
          "  fill mean null; every 10s; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z\n"
          "    aggregate mean = mean(value); every 10s; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z\n"
          "      scan db cpu; fields value f64; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z\n" },
        { "SELECT chande_momentum_oscillator(value, 5, 2, 'simple') FROM cpu",
          "transform chande_momentum_oscillator = chande_momentum_oscillator(value, 5, 2, \"simple\")\n"
          "  scan db cpu; fields value f64\n" },
        { "SELECT integral(value, 1m) FROM cpu WHERE time >= 0 AND time < 60s GROUP BY time(10s)",
          "transform integral = window_integral(value, 60000000000)\n"
          "  scan db cpu; fields value f64; from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(subqueries_are_inner_plans)
{
    static const struct golden golden[] = {
        { "SELECT mean(x) FROM (SELECT value AS x FROM cpu)",
          "aggregate mean = mean(x); rows outside too\n"
          "  map x = value\n"
          "    scan db cpu; fields value f64\n" },
        { "SELECT mean(x) FROM (SELECT max(value) AS x FROM cpu GROUP BY host, time(10s)) WHERE time >= 5s AND time < 60s GROUP BY "
          "time(30s)",
          "fill mean null; every 30s; from 1970-01-01T00:00:05Z to 1970-01-01T00:01:00Z\n"
          "  aggregate mean = mean(x); every 30s; from 1970-01-01T00:00:05Z to 1970-01-01T00:01:00Z; rows outside too\n"
          "    regroup by _measurement\n"
          "      map x = max\n"
          "        aggregate max = max(value); every 10s; from 1970-01-01T00:00:05Z to 1970-01-01T00:01:00Z\n"
          "          scan db cpu; fields value f64; from 1970-01-01T00:00:05Z to 1970-01-01T00:01:00Z; by host\n" },
        { "SELECT x, host FROM (SELECT mean(value) AS x FROM cpu GROUP BY host)",
          "regroup by _measurement\n"
          "  map x; parts of the key host\n"
          "    map x = mean\n"
          "      aggregate mean = mean(value)\n"
          "        scan db cpu; fields value f64; by host\n" },
        { "SELECT mean(x) FROM (SELECT mean(value) AS x FROM cpu GROUP BY host) WHERE host = 'a' AND (x > 3 OR host = 'b')",
          "aggregate mean = mean(x); rows outside too\n"
          "  regroup by _measurement\n"
          "    map x\n"
          "      filter or(greater(x, 3), equal(host, \"b\"))\n"
          "        map x; parts of the key host\n"
          "          map x = mean\n"
          "            aggregate mean = mean(value)\n"
          "              scan db cpu; fields value f64; where host = \"a\"; by host\n" },
        { "SELECT mean(x) FROM (SELECT total / 2 AS x FROM cpu) GROUP BY host",
          "aggregate mean = mean(x); rows outside too\n"
          "  map x = to_integer(x)\n"
          "    map x = divide(total, 2)\n"
          "      scan db cpu; fields total i64; by host\n" },
        { "SELECT max(y) FROM (SELECT mean(x) AS y FROM (SELECT value AS x FROM cpu WHERE time > 5s) WHERE time > 3s GROUP BY "
          "time(10s))",
          "aggregate max = max(y); rows outside too; time of the point\n"
          "  map y = mean\n"
          "    aggregate mean = mean(x); every 10s; from 1970-01-01T00:00:03.000000001Z to 1970-01-01T00:16:40.000000001Z; rows "
          "outside too\n"
          "      map x = value\n"
          "        scan db cpu; fields value f64; from 1970-01-01T00:00:05.000000001Z to 1970-01-01T00:16:40.000000001Z\n" },
        { "SELECT count(host) FROM (SELECT mean(value) FROM cpu GROUP BY host)",
          "aggregate count = count(host); rows outside too\n"
          "  regroup by _measurement\n"
          "    map host\n"
          "      map mean; parts of the key host\n"
          "        aggregate mean = mean(value)\n"
          "          scan db cpu; fields value f64; by host\n" },
        { "SELECT mean(d) FROM (SELECT derivative(value) AS d FROM cpu) WHERE time >= 60s AND time < 120s GROUP BY time(10s)",
          "fill mean null; every 10s; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z\n"
          "  aggregate mean = mean(d); every 10s; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z; rows outside too\n"
          "    map d = derivative\n"
          "      transform derivative = derivative(value, 10000000000)\n"
          "        scan db cpu; fields value f64; from 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z\n" },
        { "SELECT value FROM cpu, (SELECT free AS value FROM mem)",
          "union\n"
          "  scan db cpu; fields value f64\n"
          "  map value = free\n"
          "    scan db mem; fields free f64\n" },
        { "SELECT top(x, host, 2) FROM (SELECT mean(value) AS x FROM cpu GROUP BY host)",
          "map top = x, host\n"
          "  select top(x, 2); best of each host; rows outside too\n"
          "    map x, host, host = coalesce(host, \"\")\n"
          "      regroup by _measurement\n"
          "        map x; parts of the key host\n"
          "          map x = mean\n"
          "            aggregate mean = mean(value)\n"
          "              scan db cpu; fields value f64; by host\n" },
    };
    CHECK_PLANS(golden);
}

AF_TEST(columns_have_names_of_their_own)
{
    static const struct golden golden[] = {
        { "SELECT value, value, value AS value_1, total AS value FROM cpu", "time value_2 value_3 value_1 value" },
        { "SELECT mean(value), mean(total), mean(value) + mean(total), (mean(value)) FROM cpu", "time mean mean_1 mean_mean mean_2" },
        { "SELECT time AS t, -value, value * total, abs(value) FROM cpu", "t value value_total abs" },
        { "SELECT top(value, host, region, 2), host FROM cpu", "time top host region host_1" },
        { "SELECT distinct value FROM cpu", "time distinct" },
        { "SELECT mean(*) AS x, max(/val/) FROM cpu", "time x_count x_total x_value max_value" },
        { "SELECT first(*), mode(/label|ok/) FROM cpu",
          "time first_count first_label first_ok first_total first_value mode_label mode_ok" },
    };
    struct lf f;
    lf_begin(&f);
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++)
        AF_CHECK_STR(lf_columns(&f, golden[i].query), golden[i].plan);
    lf_end(&f);
}

AF_TEST(the_answer_is_described)
{
    struct lf f;
    lf_begin(&f);
    AF_CHECK_OK(lf_lower(&f, "SELECT mean(value) FROM cpu WHERE time >= 5s GROUP BY time(10s)"), f.err);
    AF_CHECK(f.lowered.has_interval && !f.lowered.omits_time);
    AF_CHECK_INT(f.lowered.range.start_ns, 5 * AF_NS_PER_S);
    AF_CHECK_INT(f.lowered.range.stop_ns, LOWER_NOW + 1);
    AF_CHECK_OK(lf_lower(&f, "SELECT value FROM cpu"), f.err);
    AF_CHECK(!f.lowered.has_interval && f.lowered.range.start_ns == INT64_MIN && f.lowered.range.stop_ns == INT64_MAX);
    lf_end(&f);
}

AF_TEST(buckets_have_a_limit)
{
    struct lf f;
    lf_begin(&f);
    f.options.windows_max = 10;
    AF_CHECK_STR(lf_plan(&f, "SELECT mean(value) FROM cpu WHERE time >= 0 AND time < 101s GROUP BY time(10s)"),
                 "EINVAL: max-select-buckets limit exceeded: (11/10)\n");
    AF_CHECK_OK(lf_lower(&f, "SELECT mean(value) FROM cpu WHERE time >= 0 AND time < 100s GROUP BY time(10s)"), f.err);
    AF_CHECK_STR(lf_plan(&f, "SELECT mean(value) FROM cpu WHERE time < 300s GROUP BY time(10s) fill(none)"),
                 "aggregate mean = mean(value); every 10s; to 1970-01-01T00:05:00Z\n"
                 "  scan db cpu; fields value f64; from 1970-01-01T00:03:20Z to 1970-01-01T00:05:00Z\n");
    lf_end(&f);
}

/* Chains of AND and OR are as long as a text may be. */
AF_TEST(long_conditions_are_not_deep)
{
    static const char *const links[] = { " AND value != 1", " OR value = 1", " AND host != 'a'", " OR host = 'a'" };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        struct lf f;
        struct af_buf text;
        lf_begin(&f);
        af_buf_init(&text, SIZE_MAX);
        af_buf_append_str(&text, "SELECT value FROM cpu WHERE total = 1");
        for (size_t n = 0; n < 20000; n++)
            af_buf_append_str(&text, links[i]);
        AF_CHECK_OK(lf_lower(&f, af_buf_cstr(&text)), f.err);
        AF_CHECK_OK(af_plan_check(&f.plan, &f.err), f.err);
        af_buf_done(&text);
        lf_end(&f);
    }
}

AF_TEST(every_allocation_may_fail)
{
    static const char *const queries[] = {
        "SELECT * FROM /./ WHERE host = 'a' AND (value > 1 OR total > 2)",
        "SELECT mean(value) + 1, top FROM (SELECT top(value, host, 3) FROM cpu), mem WHERE top > 1 GROUP BY time(10s), host fill(3)",
        "SELECT derivative(mean(*)) FROM cpu WHERE time > 0 GROUP BY time(1m), *",
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        for (size_t n = 1;; n++) {
            struct lf f;
            lf_begin(&f);
            af_alloc_fail_nth(n);
            enum af_status status = lf_lower(&f, queries[i]);
            bool is_over = af_alloc_fail_nth(0) < n;
            AF_CHECK(status == AF_OK || status == AF_ENOMEM || status == AF_EINVAL);
            lf_end(&f);
            if (is_over)
                break;
        }
}
