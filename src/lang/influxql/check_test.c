/*
 * check_test.c - which statement is refused with which words. The words are InfluxDB's: each case here was given to a 1.8.10 as well, but
 * for that of unsigned fields, which it cannot hold as it is built.
 */
#include "lang/influxql/lower_fixture.h"
#include <stdio.h>

struct refusal {
    const char *query, *words;
};
static void check_all(const struct refusal *refusals, size_t count)
{
    struct lf f;
    lf_begin(&f);
    for (size_t i = 0; i < count; i++) {
        f.err.message[0] = '\0';
        if (lf_lower(&f, refusals[i].query) == AF_OK)
            af_test_failed(__FILE__, __LINE__, "%s: was taken", refusals[i].query);
        if (strcmp(f.err.message, refusals[i].words) != 0)
            af_test_failed(__FILE__, __LINE__, "%s: \"%s\", want \"%s\"", refusals[i].query, f.err.message, refusals[i].words);
    }
    lf_end(&f);
}
#define CHECK_REFUSALS(table) check_all(table, sizeof table / sizeof *table)
#define SPAN " WHERE time < now() AND time > now() - 1d"
#define HOURS SPAN " GROUP BY time(1h)"

AF_TEST(fields_need_a_name)
{
    static const struct refusal refusals[] = {
        { "SELECT time FROM cpu", "at least 1 non-time field must be queried" },
        { "SELECT time AS t FROM cpu", "at least 1 non-time field must be queried" },
        { "SELECT 1 + 2 FROM cpu", "field must contain at least one variable" },
        { "SELECT 'text' FROM cpu", "field must contain at least one variable" },
        { "SELECT sin(1.3) FROM cpu", "field must contain at least one variable" },
        { "SELECT abs('text') FROM cpu", "field must contain at least one variable" },
        { "SELECT value + * FROM cpu", "unable to use wildcard in a binary expression" },
        { "SELECT max(*) + 1 FROM cpu", "unsupported expression with wildcard: max()" },
        { "SELECT 1 + max(/val/) FROM cpu", "unsupported expression with regex field: max()" },
        { "SELECT mean(*::tag) FROM cpu", "unable to use tag wildcard in mean()" },
        { "SELECT nofunc(value) FROM cpu", "undefined function nofunc()" },
    };
    CHECK_REFUSALS(refusals);
}

AF_TEST(fields_must_go_together)
{
    static const struct refusal refusals[] = {
        { "SELECT total, mean(value) FROM cpu", "mixing aggregate and non-aggregate queries is not supported" },
        { "SELECT mean(value) * total FROM cpu" HOURS, "mixing aggregate and non-aggregate queries is not supported" },
        { "SELECT max(*), host FROM cpu", "mixing aggregate and non-aggregate queries is not supported" },
        { "SELECT count(value), /ho/ FROM cpu", "mixing aggregate and non-aggregate queries is not supported" },
        { "SELECT derivative(value), value FROM cpu", "mixing aggregate and non-aggregate queries is not supported" },
        { "SELECT total, max(value), min(value) FROM cpu", "mixing multiple selector functions with tags or fields is not supported" },
        { "SELECT distinct(value), max(value) FROM cpu",
          "aggregate function distinct() cannot be combined with other functions or fields" },
        { "SELECT distinct value, total FROM cpu", "aggregate function distinct() cannot be combined with other functions or fields" },
        { "SELECT top(value, 2), count(value) FROM cpu", "selector function top() cannot be combined with other functions" },
        { "SELECT bottom(value, 2) + count(value) FROM cpu", "selector function bottom() cannot be combined with other functions" },
        { "SELECT top(value, 2), bottom(value, 2) FROM cpu", "selector function top() cannot be combined with other functions" },
        { "SELECT value FROM cpu GROUP BY time(1s)", "GROUP BY requires at least one aggregate function" },
        { "SELECT value FROM cpu fill(none)", "fill(none) must be used with a function" },
        { "SELECT value FROM cpu fill(linear)", "fill(linear) must be used with a function" },
    };
    CHECK_REFUSALS(refusals);
}

AF_TEST(plain_functions_take_one_field)
{
    static const char *const names[] = { "count", "sum", "mean", "median", "mode", "stddev", "spread", "min", "max", "first", "last" };
    struct lf f;
    char query[100], words[120];
    lf_begin(&f);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct refusal refusals[] = { { query, words } };
        (void)snprintf(query, sizeof query, "SELECT %s() FROM cpu", names[i]);
        (void)snprintf(words, sizeof words, "invalid number of arguments for %s, expected 1, got 0", names[i]);
        CHECK_REFUSALS(refusals);
        (void)snprintf(query, sizeof query, "SELECT %s(value, host) FROM cpu", names[i]);
        (void)snprintf(words, sizeof words, "invalid number of arguments for %s, expected 1, got 2", names[i]);
        CHECK_REFUSALS(refusals);
        (void)snprintf(query, sizeof query, "SELECT 2 * %s(max(value)) FROM cpu", names[i]);
        (void)snprintf(words, sizeof words, "expected field argument in %s()", names[i]);
        CHECK_REFUSALS(refusals);
    }
    lf_end(&f);
}

AF_TEST(functions_with_arguments_look_at_them)
{
    static const struct refusal refusals[] = {
        { "SELECT count(distinct()) FROM cpu", "distinct function requires at least one argument" },
        { "SELECT count(distinct(value, host)) FROM cpu", "distinct function can only have one argument" },
        { "SELECT count(distinct(2)) FROM cpu", "expected field argument in distinct()" },
        { "SELECT mean(value - total) FROM cpu", "expected field argument in mean()" },
        { "SELECT top(value) FROM cpu", "invalid number of arguments for top, expected at least 2, got 1" },
        { "SELECT top('text', 5) FROM cpu", "expected first argument to be a field in top(), found 'text'" },
        { "SELECT bottom(value, 'text', 5) FROM cpu", "only fields or tags are allowed in bottom(), found 'text'" },
        { "SELECT top(value, max(total), 5) FROM cpu", "only fields or tags are allowed in top(), found max(total)" },
        { "SELECT bottom(value, 2.5) FROM cpu", "expected integer as last argument in bottom(), found 2.500" },
        { "SELECT top(value, host) FROM cpu", "expected integer as last argument in top(), found host" },
        { "SELECT top(value, 0) FROM cpu", "limit (0) in top function must be at least 1" },
        { "SELECT top(value, 3) FROM cpu LIMIT 2",
          "limit (3) in top function can not be larger than the LIMIT (2) in the select statement" },
        { "SELECT sample(value) FROM cpu", "invalid number of arguments for sample, expected 2, got 1" },
        { "SELECT sample(value, 0) FROM cpu", "sample window must be greater than 1, got 0" },
        { "SELECT sample(value, 2.5) FROM cpu", "expected integer argument in sample()" },
        { "SELECT percentile(value) FROM cpu", "invalid number of arguments for percentile, expected 2, got 1" },
        { "SELECT percentile(value, host) FROM cpu", "expected float argument in percentile()" },
        { "SELECT integral(value, 10s, host) FROM cpu",
          "invalid number of arguments for integral, expected at least 1 but no more than 2, got 3" },
        { "SELECT integral(value, -10s) FROM cpu", "duration argument must be positive, got -10s" },
        { "SELECT integral(value, 10) FROM cpu", "second argument must be a duration" },
        { "SELECT sin(value, 3) FROM cpu", "invalid number of arguments for sin, expected 1, got 2" },
        { "SELECT pow(value, 3, 3) FROM cpu", "invalid number of arguments for pow, expected 2, got 3" },
        { "SELECT log(value) FROM cpu", "invalid number of arguments for log, expected 2, got 1" },
    };
    CHECK_REFUSALS(refusals);
}

AF_TEST(differences_want_an_aggregate_where_there_are_intervals)
{
    static const char *const names[] = { "derivative",  "non_negative_derivative", "elapsed",     "difference",
                                         "non_negative_difference", "cumulative_sum", "moving_average", "exponential_moving_average",
                                         "kaufmans_efficiency_ratio", "chande_momentum_oscillator" };
    char query[140], words[120];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct refusal refusals[] = { { query, words } };
        const char *more = i < 6 ? "" : ", 3";
        (void)snprintf(query, sizeof query, "SELECT %s(value%s) FROM cpu GROUP BY time(1h)", names[i], more);
        (void)snprintf(words, sizeof words, "aggregate function required inside the call to %s", names[i]);
        CHECK_REFUSALS(refusals);
        (void)snprintf(query, sizeof query, "SELECT %s(mean(value)%s) FROM cpu" SPAN, names[i], more);
        (void)snprintf(words, sizeof words, "%s aggregate requires a GROUP BY interval", names[i]);
        CHECK_REFUSALS(refusals);
        (void)snprintf(query, sizeof query, "SELECT %s(percentile(value)%s) FROM cpu" HOURS, names[i], more);
        (void)snprintf(words, sizeof words, "invalid number of arguments for percentile, expected 2, got 1");
        CHECK_REFUSALS(refusals);
    }
}

AF_TEST(differences_look_at_their_arguments)
{
    static const struct refusal refusals[] = {
        { "SELECT derivative() FROM cpu", "invalid number of arguments for derivative, expected at least 1 but no more than 2, got 0" },
        { "SELECT derivative(value, -2h) FROM cpu", "duration argument must be positive, got -2h" },
        { "SELECT derivative(value, 10) FROM cpu", "second argument to derivative must be a duration, got *influxql.IntegerLiteral" },
        { "SELECT elapsed(value, true) FROM cpu", "second argument to elapsed must be a duration, got *influxql.BooleanLiteral" },
        { "SELECT elapsed(value, 0s) FROM cpu", "duration argument must be positive, got 0s" },
        { "SELECT difference(value, 2) FROM cpu", "invalid number of arguments for difference, expected 1, got 2" },
        { "SELECT cumulative_sum() FROM cpu", "invalid number of arguments for cumulative_sum, expected 1, got 0" },
        { "SELECT moving_average(value) FROM cpu", "invalid number of arguments for moving_average, expected 2, got 1" },
        { "SELECT moving_average(value, 1) FROM cpu", "moving_average window must be greater than 1, got 1" },
        { "SELECT moving_average(value, 2.0) FROM cpu",
          "second argument for moving_average must be an integer, got *influxql.NumberLiteral" },
        { "SELECT exponential_moving_average(value) FROM cpu",
          "invalid number of arguments for exponential_moving_average, expected at least 2 but no more than 4, got 1" },
        { "SELECT relative_strength_index(value, 0) FROM cpu", "relative_strength_index period must be greater than or equal to 1" },
        { "SELECT double_exponential_moving_average(value, 1.5) FROM cpu", "double_exponential_moving_average period must be an integer" },
        { "SELECT triple_exponential_moving_average(value, 2, -2) FROM cpu",
          "triple_exponential_moving_average hold period must be greater than or equal to 0" },
        { "SELECT triple_exponential_derivative(value, 2, 0) FROM cpu",
          "triple_exponential_derivative hold period must be greater than or equal to 1" },
        { "SELECT exponential_moving_average(value, 2, 'x') FROM cpu", "exponential_moving_average hold period must be an integer" },
        { "SELECT exponential_moving_average(value, 2, 2, 'none') FROM cpu",
          "exponential_moving_average warmup type must be one of: 'exponential' 'simple'" },
        { "SELECT exponential_moving_average(value, 2, 2, 3) FROM cpu", "exponential_moving_average warmup type must be a string" },
        { "SELECT kaufmans_adaptive_moving_average(value, 2, 3, 4) FROM cpu",
          "invalid number of arguments for kaufmans_adaptive_moving_average, expected at least 2 but no more than 3, got 4" },
        { "SELECT chande_momentum_oscillator(value, 2, 2, 'x') FROM cpu",
          "chande_momentum_oscillator warmup type must be one of: 'none' 'exponential' 'simple'" },
        { "SELECT holt_winters(value) FROM cpu" SPAN, "invalid number of arguments for holt_winters, expected 3, got 1" },
        { "SELECT holt_winters(value, 10, 2) FROM cpu" SPAN, "must use aggregate function with holt_winters" },
        { "SELECT holt_winters(min(value), 10, 2) FROM cpu" SPAN, "holt_winters aggregate requires a GROUP BY interval" },
        { "SELECT holt_winters(min(value), 0, 2) FROM cpu" HOURS, "second arg to holt_winters must be greater than 0, got 0" },
        { "SELECT holt_winters_with_fit(min(value), false, 2) FROM cpu" HOURS,
          "expected integer argument as second arg in holt_winters_with_fit" },
        { "SELECT holt_winters(min(value), 10, 'x') FROM cpu" HOURS, "expected integer argument as third arg in holt_winters" },
        { "SELECT holt_winters(min(value), 10, -1) FROM cpu" HOURS, "third arg to holt_winters cannot be negative, got -1" },
    };
    CHECK_REFUSALS(refusals);
}

AF_TEST(grouping_is_by_tags_and_one_interval)
{
    static const struct refusal refusals[] = {
        { "SELECT value FROM cpu GROUP BY now()", "only time() calls allowed in dimensions" },
        { "SELECT value FROM cpu GROUP BY time", "time() is a function and expects at least one argument" },
        { "SELECT value FROM cpu GROUP BY TIME", "time() is a function and expects at least one argument" },
        { "SELECT value FROM cpu GROUP BY time()", "time dimension expected 1 or 2 arguments" },
        { "SELECT value FROM cpu GROUP BY time(5m, 30s, 1ms)", "time dimension expected 1 or 2 arguments" },
        { "SELECT value FROM cpu GROUP BY time('x')", "time dimension must have duration argument" },
        { "SELECT value FROM cpu GROUP BY time(host)", "time dimension must have duration argument" },
        { "SELECT value FROM cpu GROUP BY time(5m), time(1m)", "multiple time dimensions not allowed" },
        { "SELECT value FROM cpu GROUP BY time(5m, x())", "time dimension offset function must be now()" },
        { "SELECT value FROM cpu GROUP BY time(5m, now(1m))", "time dimension offset now() function requires no arguments" },
        { "SELECT value FROM cpu GROUP BY time(5m, 'x')", "time dimension offset must be duration or now()" },
        { "SELECT value FROM cpu GROUP BY time(5m, host)", "time dimension offset must be duration or now()" },
        { "SELECT max(value) FROM cpu GROUP BY time(5m, '2000-01-01T00:00:05Z')", "invalid time dimension offset: '2000-01-01T00:00:05Z'" },
        { "SELECT value FROM cpu GROUP BY 'x'", "only time and tag dimensions allowed" },
        { "SELECT value FROM cpu GROUP BY 1", "only time and tag dimensions allowed" },
    };
    CHECK_REFUSALS(refusals);
}

AF_TEST(conditions_are_comparisons)
{
    static const struct refusal refusals[] = {
        { "SELECT value FROM cpu WHERE value", "invalid condition expression: value" },
        { "SELECT value FROM cpu WHERE time >= now() - 1m OR value", "invalid condition expression: value" },
        { "SELECT value FROM cpu WHERE mean(value) > 1", "invalid function call in condition: mean(value)" },
        { "SELECT value FROM cpu WHERE host = 'a' AND x(value) > 1 AND y(value) > 1", "invalid function call in condition: x(value)" },
        { "SELECT value FROM cpu WHERE log(value, 2) > 1", "invalid number of arguments for log, expected 1, got 2" },
        { "SELECT value FROM cpu WHERE pow(value) > 1", "invalid number of arguments for pow, expected 2, got 1" },
    };
    CHECK_REFUSALS(refusals);
}

AF_TEST(subqueries_are_checked_as_well)
{
    static const struct refusal refusals[] = {
        { "SELECT value FROM (SELECT value FROM cpu ORDER BY time DESC)",
          "subqueries must be ordered in the same direction as the query itself" },
        { "SELECT min(d) FROM (SELECT derivative(mean(value), 1h) AS d FROM cpu)" SPAN,
          "derivative aggregate requires a GROUP BY interval" },
        { "SELECT min(mean) FROM (SELECT mean(value) FROM cpu GROUP BY time)", "time() is a function and expects at least one argument" },
        { "SELECT value FROM (SELECT value FROM cpu GROUP BY time(1m))", "fill(none) must be used with a function" },
        { "SELECT value FROM (SELECT value FROM (SELECT mean(value), value FROM cpu))",
          "mixing aggregate and non-aggregate queries is not supported" },
    };
    CHECK_REFUSALS(refusals);
}

AF_TEST(types_must_fit)
{
    static const struct refusal refusals[] = {
        { "SELECT value + label FROM cpu", "type error: value::float + label::string: incompatible types: float and string" },
        { "SELECT value & 3 FROM cpu", "type error: value::float & 3: incompatible types: float and integer" },
        { "SELECT count + total FROM cpu",
          "type error: count::unsigned + total::integer: cannot use + between an integer and unsigned, an explicit cast is required" },
        { "SELECT host * 2 FROM cpu", "type error: host::tag * 2: incompatible types: tag and integer" },
        { "SELECT mean(label) FROM cpu", "unsupported mean iterator type: *query.stringInterruptIterator" },
        { "SELECT sum(ok) FROM cpu", "unsupported sum iterator type: *query.booleanInterruptIterator" },
        { "SELECT holt_winters(first(label), 3, 2) FROM cpu" HOURS, "unsupported elapsed iterator type: *query.stringInterruptIterator" },
        { "SELECT non_negative_difference(last(ok)) FROM cpu" HOURS,
          "unsupported difference iterator type: *query.booleanInterruptIterator" },
    };
    CHECK_REFUSALS(refusals);
}

AF_TEST(sources_must_be_there)
{
    static const struct refusal refusals[] = {
        { "SELECT value FROM nosuch..cpu", "database not found: nosuch" },
        { "SELECT value FROM (SELECT value FROM nosuch.rp.cpu)", "database not found: nosuch" },
    };
    CHECK_REFUSALS(refusals);
    struct lf f;
    lf_begin(&f);
    f.options.database = NULL;
    AF_CHECK_FAILS(lf_lower(&f, "SELECT value FROM cpu"), AF_EINVAL);
    AF_CHECK_STR(f.err.message, "database name required");
    lf_end(&f);
}

AF_TEST(what_is_fine_is_taken)
{
    static const char *const queries[] = {
        "SELECT time, value FROM cpu",
        "SELECT max(value) / total FROM cpu",
        "SELECT top(value, 1), host FROM cpu",
        "SELECT min(top) FROM (SELECT top(value, host, 1) FROM cpu) GROUP BY region",
        "SELECT sample(/val/, 2) FROM cpu",
        "SELECT max(value) FROM cpu WHERE time >= now() - 1m GROUP BY time(10s, now())",
        "SELECT max(d) FROM (SELECT derivative(mean(value)) AS d FROM cpu) WHERE time >= now() - 1m GROUP BY time(10s)",
        "SELECT derivative(distinct(value)), difference(distinct(value)) FROM cpu WHERE time >= now() - 1m GROUP BY time(5s)",
        "SELECT last(value) / (1 - 0) FROM cpu",
        "SELECT pow(2, value), sin(value) - sin(1.3) FROM cpu WHERE sin(value) > 0.5",
        "SELECT sum(a)/sum(b) FROM (SELECT derivative(value) AS a, derivative(total) AS b FROM cpu) GROUP BY time(1m) fill(none)",
        "SELECT count + 3, 3 - count FROM cpu",
        "SELECT sin(label), abs(ok) FROM cpu",
    };
    struct lf f;
    lf_begin(&f);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        AF_CHECK_OK(lf_lower(&f, queries[i]), f.err);
        AF_CHECK_OK(af_plan_check(&f.plan, &f.err), f.err);
    }
    lf_end(&f);
}
