/* scaler_measure.c - what CloudWatch knows of the instance: the last quarter of an hour, the last day, the last week. */
#include "aws/cloudwatch.h"
#include "lambda/scaler_int.h"
#include <math.h>

enum { ARENA_BYTES_MAX = 8 << 20, NOW_S = 900, STEP_S = 300, DAY_S = 86400, WEEK_S = 7 * DAY_S, HOUR_S = 3600, POINTS_MIN = 2 };

enum fold { LEAST, HIGHEST, PEAK, LAST, SLOPE_A_DAY };

static double slope_a_day(const struct af_metric_point *points, size_t count)
{
    double n = (double)count, t_mean = 0, v_mean = 0, above = 0, below = 0;
    for (size_t i = 0; i < count; i++) {
        t_mean += (double)(points[i].time_ns - points[0].time_ns) / (double)AF_NS_PER_DAY / n;
        v_mean += points[i].value / n;
    }
    for (size_t i = 0; i < count; i++) {
        double t = (double)(points[i].time_ns - points[0].time_ns) / (double)AF_NS_PER_DAY - t_mean;
        above += t * (points[i].value - v_mean);
        below += t * t;
    }
    return below > 0 ? above / below : (double)NAN;
}

static double fold_points(const struct af_metric_point *points, size_t count, enum fold fold)
{
    double value = (double)NAN;
    if (fold == SLOPE_A_DAY)
        return count >= DAY_S / HOUR_S ? slope_a_day(points, count) : (double)NAN; /* a day at least: less is weather */
    for (size_t i = 0; i < count; i++)
        if (isnan(value) || fold == LAST || (fold == LEAST && points[i].value < value) || ((fold == HIGHEST || fold == PEAK) &&
                                                                                           points[i].value > value))
            value = points[i].value;
    return value;
}

struct wanted {
    const char *name_space, *name, *statistic;
    struct af_metric_dimension dimension;
    uint32_t period_s, back_s;
    enum fold fold;
    double *out;
};

static enum af_status measure_one(const struct scaler_sources *sources, const struct wanted *wanted, int64_t now_ns, struct af_error *err)
{
    int64_t end_ns = now_ns - now_ns % (STEP_S * AF_NS_PER_S); /* whole periods only */
    const struct af_metric_query query = { .name_space = wanted->name_space, .name = wanted->name, .statistic = wanted->statistic,
                                           .dimensions = &wanted->dimension, .dimension_count = 1, .period_s = wanted->period_s,
                                           .from_ns = end_ns - wanted->back_s * AF_NS_PER_S, .to_ns = end_ns };
    struct af_metric_point *points = NULL;
    struct af_arena arena;
    size_t count = 0;
    af_arena_init(&arena, ARENA_BYTES_MAX);
    enum af_status status = af_metric_get(sources->cloudwatch, &query, &arena, &points, &count, err);
    if (status == AF_OK && wanted->fold == LEAST && count < POINTS_MIN)
        count = 0; /* one high point is no load */
    if (status == AF_OK && wanted->fold == PEAK && count < wanted->back_s / wanted->period_s * 9 / 10)
        count = 0; /* who was not looked at for a whole day was not quiet for a day */
    *wanted->out = status == AF_OK ? fold_points(points, count, wanted->fold) : (double)NAN;
    af_arena_done(&arena);
    return status;
}

/* High means: high all the time, so it is the least of the quarter that counts. Quiet means: never high, the highest of the day. */
enum af_status scaler_measure(const struct scaler_sources *s, int64_t now_ns, struct scaling_facts *f, struct af_error *err)
{
    const struct af_metric_dimension service = { s->service_dimension, s->instance_name }, monitor = { "Function", s->monitor };
    const char *of = s->service_namespace;
    const struct wanted all[] = {
        { of, "CPUUtilization", "Average", service, STEP_S, NOW_S, LEAST, &f->cpu },
        { of, "MemoryUtilization", "Average", service, STEP_S, NOW_S, LEAST, &f->memory },
        { of, "DiskUtilization", "Maximum", service, STEP_S, NOW_S, LAST, &f->disk },
        { of, "TotalIOpsPerSec", "Average", service, STEP_S, NOW_S, LEAST, &f->operations },
        { of, "CPUUtilization", "Average", service, STEP_S, DAY_S, PEAK, &f->cpu_peak },
        { of, "MemoryUtilization", "Average", service, STEP_S, DAY_S, PEAK, &f->memory_peak },
        { of, "SeriesCardinality", "Maximum", service, HOUR_S, DAY_S, HIGHEST, &f->series },
        { of, "DiskUtilization", "Average", service, HOUR_S, WEEK_S, SLOPE_A_DAY, &f->disk_a_day },
        { s->name_space, "WriteMs", "Average", monitor, STEP_S, NOW_S, LEAST, &f->write_ms },
    };
    f->write_ms = (double)NAN;
    for (size_t i = 0; i < sizeof all / sizeof all[0] - (s->monitor == NULL); i++)
        AF_TRY(measure_one(s, &all[i], now_ns, err));
    if (isnan(f->series))
        f->series = 0; /* the service says it per bucket only: then memory decides */
    return AF_OK;
}
