/*
 * plan.c - a month of the platform, reckoned: quantities out of the wish and the table's assumptions, times the table's prices.
 *
 * A line is assumed when its price is, when that is another region's, or when its quantity rests on an assumption; a sum is when a line of
 * it is.
 */
#include "costs/costs.h"
#include <stdio.h>
#include <string.h>

enum { TIER_MIN_GIB = 20, FAST_TIER_MIN_GIB = 400, STORAGE_MAX_GIB = 16384, TIERS = 3 };
static const double HOURS_A_DAY = 24;

struct planning {
    const struct af_prices *prices;
    const struct af_cost_wish *wish;
    struct af_cost_plan *plan;
    double days;                   /* of a month */
    const char *missing;           /* the first thing the table does not have */
};

static double assumed(struct planning *p, const char *name)
{
    for (size_t i = 0; i < p->prices->assumption_count; i++)
        if (strcmp(p->prices->assumptions[i].name, name) == 0)
            return p->prices->assumptions[i].value;
    p->missing = p->missing != NULL ? p->missing : name;
    return 0;
}

static struct af_cost_line *add(struct planning *p, enum af_cost_class cost_class, const char *what, const char *price_name,
                                double quantity)
{
    struct af_cost_line *line = &p->plan->lines[p->plan->count];
    bool is_here = true;
    const struct af_price *price = af_price_find(p->prices, price_name, p->wish->region, &is_here);
    if (price == NULL) {
        p->missing = p->missing != NULL ? p->missing : price_name;
        return NULL;
    }
    p->plan->count++;
    *line = (struct af_cost_line){ .cost_class = cost_class, .what = what, .unit = price->unit, .quantity = quantity, .price = price->price,
                                   .amount = quantity * price->price, .is_elsewhere = !is_here, .from = price };
    line->is_price_assumed = line->is_assumed = price->is_assumed || !is_here;
    return line;
}

/* What is used is not known either. */
static void guess(struct planning *p, enum af_cost_class cost_class, const char *what, const char *price_name, double quantity)
{
    struct af_cost_line *line = add(p, cost_class, what, price_name, quantity);
    if (line != NULL)
        line->is_quantity_assumed = line->is_assumed = true;
}

/* --- the database -------------------------------------------------------------------------------------------------------- */

/* By a price of the class's own, or in proportion from the smallest's: what is in proportion is assumed with it. */
static void add_instance(struct planning *p, const struct af_cost_size *size)
{
    const double hours = p->prices->hours_a_month * (p->wish->is_multi_az ? 2 : 1);
    const char *what = p->wish->is_multi_az ? "two instances, one a zone" : "the instance";
    bool is_here;
    if (af_price_find(p->prices, size->name, p->wish->region, &is_here) != NULL && is_here) {
        (void)add(p, AF_COST_INSTANCE_HOURS, what, size->name, hours);
        return;
    }
    struct af_cost_line *line = add(p, AF_COST_INSTANCE_HOURS, what, "influx_medium_hour", hours);
    if (line == NULL)
        return;
    line->price *= size->units;
    line->amount *= size->units;
}

static void add_database(struct planning *p, const struct af_cost_size *size)
{
    static const char *const tiers[TIERS] = { "influx_t1_gib_month", "influx_t2_gib_month", "influx_t3_gib_month" };
    const double gib = (double)p->wish->storage_gib;
    add_instance(p, size);
    (void)add(p, AF_COST_STORAGE, p->wish->is_multi_az ? "storage of both" : "storage", tiers[p->wish->tier - 1],
              gib * (p->wish->is_multi_az ? 2 : 1));
    guess(p, AF_COST_BACKUPS, "backups in S3", "s3_gb_month", gib * assumed(p, "backup_share"));
}

/* --- what is around it ----------------------------------------------------------------------------------------------------- */

static void add_functions(struct planning *p)
{
    const double objects = (double)p->wish->objects_a_day * p->days, points = (double)p->wish->points_a_day * p->days;
    const double queries = (double)p->wish->queries_a_day * p->days, small = assumed(p, "small_runs") * p->days;
    const double rate = assumed(p, "loader_points_per_s");
    const double load_s = objects * assumed(p, "loader_object_s") + (rate > 0 ? points / rate : 0);
    guess(p, AF_COST_LAMBDA, "loader", "lambda_gb_s", load_s * assumed(p, "loader_gb"));
    guess(p, AF_COST_LAMBDA, "queries", "lambda_gb_s", queries * assumed(p, "query_s") * assumed(p, "query_gb"));
    guess(p, AF_COST_LAMBDA, "monitor and scaler", "lambda_gb_s", small * assumed(p, "small_s") * assumed(p, "small_gb"));
    guess(p, AF_COST_LAMBDA, "invocations", "lambda_request", objects + queries + small);
    guess(p, AF_COST_SQS, "requests", "sqs_request", objects * assumed(p, "sqs_requests"));
    guess(p, AF_COST_S3, "reading objects", "s3_get", objects * assumed(p, "s3_gets"));
    guess(p, AF_COST_S3, "objects arriving", "s3_put_or_list", objects * assumed(p, "s3_puts"));
    guess(p, AF_COST_LOGS_AND_METRICS, "logs", "logs_gb", (objects + queries + small) * assumed(p, "log_kb") / 1e6);
    guess(p, AF_COST_OTHER, "requests of the API", "api_request", queries);
}

static void add_standing(struct planning *p)
{
    const double zones = assumed(p, p->wish->is_multi_az ? "zones_multi" : "zones_single");
    guess(p, AF_COST_LOGS_AND_METRICS, "metrics", "metric_month", assumed(p, "metrics"));
    guess(p, AF_COST_LOGS_AND_METRICS, "alarms", "alarm_month", assumed(p, "alarms"));
    guess(p, AF_COST_TRANSFER, "endpoints of the network", "endpoint_hour", assumed(p, "endpoints") * zones * p->prices->hours_a_month);
    guess(p, AF_COST_OTHER, "secrets", "secret_month", assumed(p, "secrets"));
    guess(p, AF_COST_OTHER, "keys", "kms_key_month", assumed(p, "kms_keys"));
    guess(p, AF_COST_OTHER, "asking what it costs", "cost_explorer_request", assumed(p, "cost_requests"));
}

/* --- the whole ------------------------------------------------------------------------------------------------------------- */

static enum af_status find_size(const struct af_prices *prices, const char *name, size_t *out, struct af_error *err)
{
    char names[400] = "";
    size_t used = 0;
    for (size_t i = 0; i < prices->size_count; i++) {
        const char *size = prices->sizes[i].name, *last = strrchr(size, '.');
        if (strcmp(size, name) == 0 || (last != NULL && strcmp(last + 1, name) == 0)) {
            *out = i;
            return AF_OK;
        }
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i != 0 ? ", " : "", size);
    }
    return af_fail(err, AF_EINVAL, "there is no class \"%.40s\"; there are %s", name, names);
}

static enum af_status check(const struct af_cost_wish *wish, struct af_error *err)
{
    if (wish->tier < 1 || wish->tier > TIERS)
        return af_fail(err, AF_EINVAL, "the tiers are T1 (3,000 operations a second), T2 (12,000) and T3 (16,000)");
    const uint64_t least = wish->tier == 1 ? TIER_MIN_GIB : FAST_TIER_MIN_GIB;
    if (wish->storage_gib < least || wish->storage_gib > STORAGE_MAX_GIB)
        return af_fail(err, AF_EINVAL, "T%u has %llu to %d GiB of storage, not %llu", wish->tier, (unsigned long long)least,
                       STORAGE_MAX_GIB, (unsigned long long)wish->storage_gib);
    return AF_OK;
}

static enum af_status reckon(const struct af_prices *prices, const struct af_cost_wish *wish, const struct af_cost_size *size,
                             struct af_cost_plan *out, struct af_error *err)
{
    *out = (struct af_cost_plan){ 0 };
    struct planning p = { .prices = prices, .wish = wish, .plan = out, .days = prices->hours_a_month / HOURS_A_DAY };
    add_database(&p, size);
    add_functions(&p);
    add_standing(&p);
    if (p.missing != NULL)
        return af_fail(err, AF_EINVAL, "the table of prices has no %s", p.missing);
    for (size_t i = 0; i < out->count; i++) {
        out->total += out->lines[i].amount;
        out->is_assumed = out->is_assumed || out->lines[i].is_assumed;
    }
    return AF_OK;
}

enum af_status af_cost_plan_make(const struct af_prices *prices, const struct af_cost_wish *wish, struct af_cost_plan *out,
                                 struct af_error *err)
{
    struct af_cost_plan plan, other;
    size_t at = 0;
    AF_TRY(check(wish, err));
    AF_TRY(find_size(prices, wish->size, &at, err));
    AF_TRY(reckon(prices, wish, &prices->sizes[at], &plan, err));
    plan.size = prices->sizes[at].name;
    if (at + 1 < prices->size_count) {
        AF_TRY(reckon(prices, wish, &prices->sizes[at + 1], &other, err));
        plan.up = prices->sizes[at + 1].name;
        plan.up_total = other.total;
    }
    if (at > 0) {
        AF_TRY(reckon(prices, wish, &prices->sizes[at - 1], &other, err));
        plan.down = prices->sizes[at - 1].name;
        plan.down_total = other.total;
    }
    *out = plan;
    return AF_OK;
}
