/*
 * series.c - series keys of a bucket that InfluxQL does not reach: asked for in Flux; see remote_int.h.
 *
 *     from(bucket) |> range |> filter(measurement, predicate) |> first() |> drop(all but measurement and tags)
 *
 * A table a series: its group key columns are the tags. A series comes once for each of its fields: InfluxDB finds the first point of
 * each without reading the others.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/limits.h"
#include "remote/remote_int.h"

enum { QUERY_BYTES_MAX = 1 << 20 };

struct finder {
    const struct remote *remote;
    remote_on_series on_series;
    void *ctx;
    const struct csv_column *columns; /* of the current table */
    size_t count;
    struct af_buf key;
};

static enum af_status on_table(void *ctx, const struct csv_column *columns, size_t count, struct af_error *err)
{
    struct finder *finder = ctx;
    (void)err;
    finder->columns = columns;
    finder->count = count;
    return AF_OK;
}

/* Columns 0 to 2 are the annotation's place, result and table: tags may have these names too, so it is the place that counts. */
static enum af_status compose(struct finder *finder, const struct af_slice *cells, struct iql_tag *tags, struct af_error *err)
{
    struct af_slice measurement = { 0 };
    size_t tag_count = 0;
    for (size_t i = 3; i < finder->count; i++) {
        if (af_slice_is(finder->columns[i].name, "_measurement"))
            measurement = cells[i];
        else
            tags[tag_count++] = (struct iql_tag){ finder->columns[i].name, cells[i] };
    }
    if (measurement.len == 0)
        return af_fail(err, AF_ECORRUPT, "%s: a series without a measurement in the answer", finder->remote->base.name);
    return remote_compose_key(&finder->key, measurement, tags, tag_count, err);
}

static enum af_status on_row(void *ctx, const struct af_slice *cells, size_t count, struct af_error *err)
{
    struct finder *finder = ctx;
    struct iql_tag *tags = af_alloc((count + 1) * sizeof *tags);
    if (tags == NULL)
        return af_fail_nomem(err, "the tags of a series");
    enum af_status status = compose(finder, cells, tags, err);
    af_free(tags);
    return status == AF_OK ? finder->on_series(finder->ctx, af_buf_slice(&finder->key), err) : status;
}

enum af_status flux_each_series(struct remote *remote, const struct af_scan *scan, remote_on_series on_series, void *ctx,
                                struct af_error *err)
{
    static const struct csv_handler handler = { on_table, on_row };
    struct finder finder = { .remote = remote, .on_series = on_series, .ctx = ctx };
    struct af_buf text;
    if (scan != NULL && remote_reach(scan->predicate) == REACH_NONE)
        return AF_OK;
    af_buf_init(&text, QUERY_BYTES_MAX);
    af_buf_init(&finder.key, AF_LP_KEY_BYTES_MAX * 2);
    flux_append_from(&text, remote, INT64_MIN + 2, INT64_MAX - 1);
    if (scan != NULL)
        flux_append_filters(&text, scan->measurement, scan->predicate);
    af_buf_append_str(&text, " |> first() |> drop(columns: [\"_start\", \"_stop\", \"_time\", \"_value\", \"_field\"])");
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        status = flux_run(remote, af_buf_slice(&text), scan != NULL ? scan->cancel : NULL, &handler, &finder, err);
    af_buf_done(&finder.key);
    af_buf_done(&text);
    return status;
}
