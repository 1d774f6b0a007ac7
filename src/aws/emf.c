/*
 * emf.c - the embedded metric format of cloudwatch.h: metrics as one line of a log.
 *
 *     {"_aws":{"Timestamp":1700000000000,"CloudWatchMetrics":[
 *        {"Namespace":"Afluxo","Dimensions":[["Function"]],"Metrics":[{"Name":"Points","Unit":"Count"}, ...at most 100]}, ...]},
 *      "Function":"loader","Points":1000, ...properties}
 *
 * More than 100 metrics make further directives of the same object. A name that comes again makes a list of values (at most 100 are
 * kept), since an object has a member once. A value that is not finite, or past what CloudWatch stores, is left out.
 */
#include "aws/cloudwatch.h"
#include "aws/cloudwatch_int.h"
#include "base/utf8.h"
#include "format/json/json.h"
#include <inttypes.h>

enum { METRICS_MAX = 100, VALUES_MAX = 100, KEY_BYTES_MAX = 250, VALUE_BYTES_MAX = 1024, NAME_BYTES_MAX = 255 };

bool metric_is_sendable(const struct af_metric *metric)
{
    return metric->value >= -0x1p360 && metric->value <= 0x1p360 && metric->name[0] != '\0'; /* a NaN is neither */
}

/* At most `max` bytes, never half a letter. */
static struct af_slice cut(const char *text, size_t max)
{
    struct af_slice s = af_slice_of(text);
    if (s.len > max) {
        s.len = max;
        while (s.len != 0 && ((unsigned char)text[s.len] & 0xc0) == 0x80)
            s.len--;
    }
    return s;
}

static bool is_dimension(const struct af_metric_dimension *dimension)
{
    return dimension->name[0] != '\0' && dimension->value != NULL && dimension->value[0] != '\0';
}

static void put_keys(struct af_buf *out, const struct af_metric_dimension *dimensions, size_t count)
{
    size_t put = 0;
    af_buf_append_str(out, "[[");
    for (size_t i = 0; i < count && put < AF_METRIC_DIMENSIONS_MAX; i++) {
        if (!is_dimension(&dimensions[i]))
            continue;
        af_buf_append_str(out, put++ != 0 ? "," : "");
        af_json_append_string(out, cut(dimensions[i].name, KEY_BYTES_MAX));
    }
    af_buf_append_str(out, "]]");
}

/* The first of its name: the others are values of the same member. */
static bool is_first(const struct af_metric *metrics, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (metric_is_sendable(&metrics[k]) && strcmp(metrics[k].name, metrics[i].name) == 0)
            return false;
    return metric_is_sendable(&metrics[i]);
}

static void put_definition(struct af_buf *out, const struct af_metric *metric)
{
    af_buf_append_str(out, "{\"Name\":");
    af_json_append_string(out, cut(metric->name, NAME_BYTES_MAX));
    if (metric->unit != NULL && metric->unit[0] != '\0') {
        af_buf_append_str(out, ",\"Unit\":");
        af_json_append_string(out, af_slice_of(metric->unit));
    }
    af_buf_append_char(out, '}');
}

static void put_directives(struct af_buf *out, const char *name_space, const struct af_metric_dimension *dimensions,
                           size_t dimension_count, const struct af_metric *metrics, size_t metric_count)
{
    size_t put = 0;
    for (size_t i = 0; i < metric_count; i++) {
        if (!is_first(metrics, i))
            continue;
        if (put % METRICS_MAX == 0) {
            af_buf_append_str(out, put == 0 ? "{\"Namespace\":" : "]},{\"Namespace\":");
            af_json_append_string(out, af_slice_of(name_space));
            af_buf_append_str(out, ",\"Dimensions\":");
            put_keys(out, dimensions, dimension_count);
            af_buf_append_str(out, ",\"Metrics\":[");
        }
        af_buf_append_str(out, put++ % METRICS_MAX != 0 ? "," : "");
        put_definition(out, &metrics[i]);
    }
    af_buf_append_str(out, put != 0 ? "]}" : "");
}

static bool is_value_of(const struct af_metric *metric, const char *name)
{
    return metric_is_sendable(metric) && strcmp(metric->name, name) == 0;
}

/* The number, or a list where the name comes several times. */
static void put_values(struct af_buf *out, const struct af_metric *metrics, size_t count, size_t first)
{
    const char *name = metrics[first].name;
    size_t values = 0, put = 0;
    for (size_t i = first; i < count; i++)
        values += is_value_of(&metrics[i], name);
    af_buf_append_str(out, values > 1 ? "[" : "");
    for (size_t i = first; i < count && put < VALUES_MAX; i++) {
        if (!is_value_of(&metrics[i], name))
            continue;
        af_buf_append_str(out, put++ != 0 ? "," : "");
        af_json_append_f64(out, metrics[i].value);
    }
    af_buf_append_str(out, values > 1 ? "]" : "");
}

void af_metric_emf(struct af_buf *out, const char *name_space, const struct af_metric_dimension *dimensions, size_t dimension_count,
                   const struct af_metric *metrics, size_t metric_count, struct af_slice properties, int64_t now_ns)
{
    af_buf_printf(out, "{\"_aws\":{\"Timestamp\":%" PRId64 ",\"CloudWatchMetrics\":[", now_ns / 1000000);
    put_directives(out, name_space, dimensions, dimension_count, metrics, metric_count);
    af_buf_append_str(out, "]}");
    for (size_t i = 0; i < dimension_count; i++) {
        if (!is_dimension(&dimensions[i]))
            continue;
        af_buf_append_char(out, ',');
        af_json_append_string(out, cut(dimensions[i].name, KEY_BYTES_MAX));
        af_buf_append_char(out, ':');
        af_json_append_string(out, cut(dimensions[i].value, VALUE_BYTES_MAX));
    }
    for (size_t i = 0; i < metric_count; i++) {
        if (!is_first(metrics, i))
            continue;
        af_buf_append_char(out, ',');
        af_json_append_string(out, cut(metrics[i].name, NAME_BYTES_MAX));
        af_buf_append_char(out, ':');
        put_values(out, metrics, metric_count, i);
    }
    if (properties.len != 0) {
        af_buf_append_char(out, ',');
        af_buf_append_slice(out, properties);
    }
    af_buf_append_char(out, '}');
}
