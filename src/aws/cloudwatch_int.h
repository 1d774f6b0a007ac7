/* cloudwatch_int.h - what cloudwatch.c and emf.c share, and what tests see. */
#ifndef AF_AWS_CLOUDWATCH_INT_H
#define AF_AWS_CLOUDWATCH_INT_H
#include "aws/call.h"
#include "aws/cloudwatch.h"

/* Has it a name and a value that CloudWatch stores (finite, within 2^360)? */
bool metric_is_sendable(const struct af_metric *metric);

/* Points of a metric as they come, page by page. */
struct metric_series {
    struct af_arena *arena;
    struct af_metric_point *points;
    size_t count, cap;
};
/* Those of an answer of GetMetricData. */
AF_MUST_CHECK enum af_status metric_take_results(const struct aws_call *call, struct metric_series *series, struct af_error *err);
#endif
