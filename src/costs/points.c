/*
 * points.c - how many points were written: the metric PointsWritten of every function that publishes it (docs/metrics.md), summed by day.
 *
 * CloudWatch lists metrics of the last two weeks: a function that has been quiet for longer is not found.
 */
#include "aws/cloudwatch.h"
#include "base/calendar.h"
#include "costs/costs.h"
#include "format/json/json.h"
#include <math.h>

enum { PAGES_MAX = 100, BODY_BYTES_MAX = 64 << 10, DAY_S = 86400 };
static const char metric[] = "PointsWritten", dimension[] = "Function";

struct points {
    struct af_aws_client *client;
    const char *name_space;
    struct af_arena *arena;
    struct af_cost_report *report;
    double sums[AF_COST_MONTHS];
    size_t functions;
};

static enum af_status add_function(struct points *p, struct af_slice function, struct af_error *err)
{
    struct af_metric_point *points = NULL;
    size_t count = 0;
    const struct af_metric_dimension one = { dimension, af_arena_copy(p->arena, function) };
    const struct af_metric_query query = { p->name_space, metric, "Sum", &one, 1, DAY_S,
                                           p->report->days.first[AF_COST_LAST] * AF_NS_PER_DAY,
                                           (p->report->days.today + 1) * AF_NS_PER_DAY };
    if (one.value == NULL)
        return af_fail_nomem(err, "a function's name");
    AF_TRY(af_metric_get(p->client, &query, p->arena, &points, &count, err));
    for (size_t i = 0; i < count; i++)
        p->sums[points[i].time_ns >= p->report->days.first[AF_COST_THIS] * AF_NS_PER_DAY] += points[i].value;
    p->functions += count != 0;
    return AF_OK;
}

/* Only sets of that one dimension: another set of the same points would count them twice. */
static enum af_status add_listed(struct points *p, const struct af_json *metrics, struct af_error *err)
{
    for (const struct af_json *m = metrics != NULL ? metrics->first : NULL; m != NULL; m = m->next) {
        const struct af_json *set = af_json_get(m, "Dimensions"), *only = set != NULL ? set->first : NULL;
        const struct af_slice value = af_json_string(only, "Value");
        if (only != NULL && only->next == NULL && af_slice_is(af_json_string(only, "Name"), dimension) && value.len != 0 &&
            af_slice_is(af_json_string(m, "MetricName"), metric))
            AF_TRY(add_function(p, value, err));
    }
    return AF_OK;
}

static enum af_status add_page(struct points *p, struct af_buf *body, struct af_slice *next, struct af_error *err)
{
    const struct af_json *answer = NULL;
    af_buf_clear(body);
    af_buf_append_str(body, "{\"Namespace\":");
    af_json_append_string(body, af_slice_of(p->name_space));
    af_buf_printf(body, ",\"MetricName\":\"%s\"", metric);
    if (next->len != 0) {
        af_buf_append_str(body, ",\"NextToken\":");
        af_json_append_string(body, *next);
    }
    af_buf_append_char(body, '}');
    AF_TRY(af_buf_check(body, "a request", err));
    AF_TRY(af_aws_json(p->client, "ListMetrics", af_buf_slice(body), p->arena, &answer, err));
    *next = af_json_string(answer, "NextToken");
    return add_listed(p, af_json_get(answer, "Metrics"), err);
}

static enum af_status sum(struct points *p, struct af_error *err)
{
    struct af_slice next = { 0 };
    struct af_buf body;
    enum af_status status = AF_OK;
    af_buf_init(&body, BODY_BYTES_MAX);
    for (unsigned page = 0; status == AF_OK && page < PAGES_MAX && (page == 0 || next.len != 0); page++)
        status = add_page(p, &body, &next, err);
    af_buf_done(&body);
    return status;
}

void af_cost_report_add_points(struct af_aws_client *client, const char *name_space, struct af_arena *arena,
                               struct af_cost_report *report)
{
    struct points p = { .client = client, .name_space = name_space, .arena = arena, .report = report };
    struct af_error err = { 0 };
    const char *why = NULL;
    report->points[AF_COST_LAST] = report->points[AF_COST_THIS] = NAN;
    if (sum(&p, &err) != AF_OK)
        why = af_arena_copy(arena, af_slice_of(err.message));
    else if (p.functions == 0)
        why = af_arena_printf(arena, "namespace %s has no %s of a function", name_space, metric);
    else
        memcpy(report->points, p.sums, sizeof p.sums);
    report->why_no_points = af_slice_of(why);
}
