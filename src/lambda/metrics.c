/* metrics.c - what the functions measured: as lines of the log (embedded metric format), or put. */
#include "aws/cloudwatch.h"
#include "format/json/json.h"
#include "lambda/lambda_int.h"
#include "os/clock.h"
#include <stdio.h>

enum { LINE_BYTES_MAX = 64 << 10 };

static const struct {
    const char *name, *unit;
} known[] = {
#define AF_X(name, unit) { #name, unit },
#include "lambda/metrics.def"
#undef AF_X
};

void lambda_metrics_print(const struct lambda_metrics *metrics, struct af_buf *out)
{
    bool is_first = true;
    for (size_t i = 0; i < LAMBDA_METRICS; i++) {
        if (!metrics->has[i])
            continue;
        af_buf_printf(out, "%s\"%s\":", is_first ? "" : ",", known[i].name);
        af_json_append_f64(out, metrics->values[i]);
        is_first = false;
    }
}

enum af_status lambda_publisher_open(struct lambda_publisher *publisher, struct af_aws *aws, const char *function, struct af_error *err)
{
    const char *name = af_aws_variable(aws, "AWS_LAMBDA_FUNCTION_NAME");
    struct af_slice mode = af_slice_of(lambda_text(aws, LAMBDA_METRICS_MODE));
    bool is_on;
    *publisher = (struct lambda_publisher){ .aws = aws, .name_space = lambda_text(aws, LAMBDA_METRICS_NAMESPACE),
                                            .function = name != NULL ? name : function };
    AF_TRY(lambda_flag(aws, LAMBDA_ENABLE_METRICS, &is_on, err));
    if (!af_slice_is(mode, "emf") && !af_slice_is(mode, "put") && !af_slice_is(mode, "none"))
        return af_fail(err, AF_EINVAL, "METRICS_MODE is emf, put or none, not \"%.20s\"", mode.ptr);
    if (!is_on)
        return AF_OK;
    publisher->to_log = af_slice_is(mode, "emf") && lambda_is_inside(aws);
    return af_slice_is(mode, "put") ? af_aws_client_new(aws, "monitoring", &publisher->cloudwatch, err) : AF_OK;
}

void lambda_publisher_close(struct lambda_publisher *publisher)
{
    af_aws_client_free(publisher->cloudwatch);
    publisher->cloudwatch = NULL;
}

static size_t collect(const struct lambda_metrics *metrics, struct af_metric out[LAMBDA_METRICS])
{
    size_t count = 0;
    for (size_t i = 0; i < LAMBDA_METRICS; i++)
        if (metrics->has[i])
            out[count++] = (struct af_metric){ known[i].name, known[i].unit, metrics->values[i] };
    return count;
}

static void write_emf(const struct lambda_publisher *publisher, const struct af_metric_dimension *dimension,
                      const struct af_metric *metrics, size_t count, const struct af_lambda_log *log)
{
    struct af_buf line, members;
    af_buf_init(&line, LINE_BYTES_MAX);
    af_buf_init(&members, LINE_BYTES_MAX);
    if (log->request_id != NULL) {
        af_buf_append_str(&members, "\"requestId\":");
        af_json_append_string(&members, af_slice_of(log->request_id));
    }
    af_metric_emf(&line, publisher->name_space, dimension, 1, metrics, count, af_buf_slice(&members), af_clock_now_ns());
    af_buf_append_char(&line, '\n');
    if (!line.failed)
        log->write(log->ctx, af_buf_slice(&line));
    af_buf_done(&members);
    af_buf_done(&line);
}

void lambda_publish(struct lambda_publisher *publisher, const struct lambda_metrics *metrics, const struct af_lambda_log *log)
{
    struct af_metric list[LAMBDA_METRICS];
    const struct af_metric_dimension dimension = { "Function", publisher->function };
    struct af_error err;
    size_t count = collect(metrics, list);
    if (publisher->to_log)
        write_emf(publisher, &dimension, list, count, log);
    if (publisher->cloudwatch != NULL &&
        af_metric_put(publisher->cloudwatch, publisher->name_space, &dimension, 1, list, count, af_clock_now_ns(), &err) != AF_OK)
        af_lambda_say(log, AF_LOG_WARN, (struct af_slice){ NULL, 0 }, "metrics could not be put: %s", err.message);
}
