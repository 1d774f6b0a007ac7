/*
 * cost_explorer.h - what AWS charged, and what it expects to charge: Cost Explorer.
 *
 * The service stands in one region of each partition, whatever the region of everything else is. Every request, and every further page,
 * costs 0.01 USD: callers keep what they were told, and say what asking cost.
 *
 * Source: GetCostAndUsage, GetCostForecast and GetDimensionValues of the "AWS Billing and Cost Management API Reference".
 */
#ifndef AF_AWS_COST_EXPLORER_H
#define AF_AWS_COST_EXPLORER_H
#include "aws/aws.h"

enum { AF_CE_GROUPS_MAX = 2 };
struct af_ce_query {
    const char *start, *end;             /* days, YYYY-MM-DD; the end is not in it any more */
    const char *granularity;             /* "DAILY", "MONTHLY" */
    const char *tag_key, *tag_value;     /* only what carries this cost allocation tag; NULL: everything */
    const char *groups[AF_CE_GROUPS_MAX];/* dimensions, "SERVICE", "USAGE_TYPE"; NULL: none. Not for forecasts. */
};
struct af_ce_row {
    struct af_slice start;               /* of the month or day */
    struct af_slice keys[AF_CE_GROUPS_MAX];
    double cost, quantity;               /* unblended; in `unit`. A credit is less than nothing */
    struct af_slice currency, unit;
};
/* All pages, in `arena`. *out_requests grows by one a request, also if it fails. */
AF_MUST_CHECK enum af_status af_ce_usage(struct af_aws_client *client, const struct af_ce_query *query, struct af_arena *arena,
                                         struct af_ce_row **out, size_t *out_count, uint32_t *out_requests, struct af_error *err);
/* The mean of what is expected between start (today or later) and end; `currency` in `arena`. AF_EINVAL: there is too little history, among
 * others. */
AF_MUST_CHECK enum af_status af_ce_forecast(struct af_aws_client *client, const struct af_ce_query *query, struct af_arena *arena,
                                            double *out_cost, struct af_slice *out_currency, struct af_error *err);
/* What values a dimension had in that time ("SERVICE"), all pages, in `arena`. */
AF_MUST_CHECK enum af_status af_ce_dimension_values(struct af_aws_client *client, const char *dimension, const char *start, const char *end,
                                                    struct af_arena *arena, struct af_slice **out, size_t *out_count,
                                                    uint32_t *out_requests, struct af_error *err);
#endif
