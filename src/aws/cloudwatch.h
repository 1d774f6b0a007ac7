/*
 * cloudwatch.h - metrics: published, read, listed; and the same numbers as a line of a log (embedded metric format).
 *
 * Source of the format: "Specification: Embedded metric format" of the CloudWatch guide; limits: PutMetricData's reference.
 */
#ifndef AF_AWS_CLOUDWATCH_H
#define AF_AWS_CLOUDWATCH_H
#include "aws/aws.h"

enum { AF_METRIC_DIMENSIONS_MAX = 30 };
struct af_metric_dimension {
    const char *name, *value;
};
struct af_metric {
    const char *name;
    const char *unit;      /* "Count", "Milliseconds", "Bytes", "Seconds", "Percent", "None" */
    double value;          /* finite: others are left out, and said so by the caller */
};
/* Append one line of EMF without the line feed: `metrics` under one set of dimensions, and `properties` (a JSON object's members without
 * braces; no memory: none) that are searched but not counted. */
void af_metric_emf(struct af_buf *out, const char *name_space, const struct af_metric_dimension *dimensions, size_t dimension_count,
                   const struct af_metric *metrics, size_t metric_count, struct af_slice properties, int64_t now_ns);
/* PutMetricData; as many requests as its limits ask for. */
AF_MUST_CHECK enum af_status af_metric_put(struct af_aws_client *client, const char *name_space,
                                           const struct af_metric_dimension *dimensions, size_t dimension_count,
                                           const struct af_metric *metrics, size_t metric_count, int64_t now_ns, struct af_error *err);
struct af_metric_query {
    const char *name_space, *name, *statistic;   /* "Average", "Maximum", "Sum", "p99" */
    const struct af_metric_dimension *dimensions;
    size_t dimension_count;
    uint32_t period_s;
    int64_t from_ns, to_ns;
};
struct af_metric_point {
    int64_t time_ns;
    double value;
};
/* GetMetricData of one metric, ascending in time, in `arena`. */
AF_MUST_CHECK enum af_status af_metric_get(struct af_aws_client *client, const struct af_metric_query *query, struct af_arena *arena,
                                           struct af_metric_point **out, size_t *out_count, struct af_error *err);
/* Is there any metric of this namespace with this dimension? (ListMetrics: how `doctor` finds the service's own spelling.) */
AF_MUST_CHECK enum af_status af_metric_exists(struct af_aws_client *client, const char *name_space, const char *dimension, bool *out,
                                              struct af_error *err);
#endif
