/*
 * metrics.c - counters of requests, and everything countable as Prometheus text (version 0.0.4).
 *
 * Each name stands once in docs/metrics.md; a test compares. Nothing here tells names of buckets, users or series.
 */
#include "base/calendar.h"
#include "os/clock.h"
#include "server/core.h"
#include <inttypes.h>

static const char *const class_names[CLASS_COUNT] = { "write", "query", "api", "ops", "other" };
static const double took_bounds[TOOK_STEPS - 1] = { 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10 }; /* seconds; the last step has none */

/* --- counting ---------------------------------------------------------------------------------------------------------------- */

void core_count(struct af_server *server, const char *path, int status, uint64_t bytes_in, uint64_t bytes_out, int64_t took_ns)
{
    struct request_counts *counts = &server->counts[core_class_of(path)];
    unsigned step = 0;
    while (step < TOOK_STEPS - 1 && (double)took_ns > took_bounds[step] * 1e9)
        step++;
    unsigned status_class = status >= 100 && status < 600 ? (unsigned)status / 100 - 1 : STATUS_CLASSES - 1;
    atomic_fetch_add_explicit(&counts->by_status[status_class], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counts->took[step], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counts->took_ns, (uint64_t)took_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&counts->bytes_in, bytes_in, memory_order_relaxed);
    atomic_fetch_add_explicit(&counts->bytes_out, bytes_out, memory_order_relaxed);
}

/* --- printing ---------------------------------------------------------------------------------------------------------------- */

static void head(struct af_buf *out, const char *name, const char *type, const char *help)
{
    af_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void counter(struct af_buf *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "counter", help);
    af_buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void gauge(struct af_buf *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "gauge", help);
    af_buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void print_requests(struct af_server *server, struct af_buf *out)
{
    head(out, "afluxo_http_requests_total", "counter", "Requests that were answered, by class and status.");
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        for (unsigned s = 1; s < STATUS_CLASSES; s++)
            af_buf_printf(out, "afluxo_http_requests_total{class=\"%s\",status=\"%uxx\"} %" PRIu64 "\n", class_names[c], s + 1,
                          server->counts[c].by_status[s]);
    head(out, "afluxo_http_request_bytes_total", "counter", "Bytes of bodies that came.");
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        af_buf_printf(out, "afluxo_http_request_bytes_total{class=\"%s\"} %" PRIu64 "\n", class_names[c], server->counts[c].bytes_in);
    head(out, "afluxo_http_response_bytes_total", "counter", "Bytes of bodies that went.");
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        af_buf_printf(out, "afluxo_http_response_bytes_total{class=\"%s\"} %" PRIu64 "\n", class_names[c], server->counts[c].bytes_out);
}

static void print_took(struct af_server *server, struct af_buf *out)
{
    static const char name[] = "afluxo_http_request_duration_seconds";
    head(out, name, "histogram", "From the end of a request's head to the end of its answer.");
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        uint64_t sum = 0;
        for (unsigned step = 0; step < TOOK_STEPS; step++) {
            sum += server->counts[c].took[step];
            af_buf_printf(out, "%s_bucket{class=\"%s\",le=\"", name, class_names[c]);
            if (step < TOOK_STEPS - 1)
                af_buf_printf(out, "%g\"} %" PRIu64 "\n", took_bounds[step], sum);
            else
                af_buf_printf(out, "+Inf\"} %" PRIu64 "\n", sum);
        }
        uint64_t ms = server->counts[c].took_ns / 1000000;
        af_buf_printf(out, "%s_sum{class=\"%s\"} %" PRIu64 ".%03u\n", name, class_names[c], ms / 1000, (unsigned)(ms % 1000));
        af_buf_printf(out, "%s_count{class=\"%s\"} %" PRIu64 "\n", name, class_names[c], sum);
    }
}

static void print_http(struct af_server *server, struct af_buf *out)
{
    struct af_serve_stats s;
    af_serve_stats(server->http, &s);
    gauge(out, "afluxo_http_connections", "Connections that are open.", s.open_connections);
    counter(out, "afluxo_http_connections_total", "Connections that were taken.", s.connections);
    counter(out, "afluxo_http_connections_refused_total", "Connections that were refused while shutting down.", s.refused_connections);
    counter(out, "afluxo_http_timeouts_total", "Connections that were cut at a deadline.", s.timeouts);
    gauge(out, "afluxo_http_queue_length", "Requests that wait for a worker.", s.queued);
    gauge(out, "afluxo_http_workers_busy", "Workers at a request.", s.busy_workers);
    gauge(out, "afluxo_http_body_bytes", "Bytes of request bodies in memory.", s.body_bytes);
    counter(out, "afluxo_auth_refusals_total", "Requests refused with 401 or 403.", server->refused_requests);
    counter(out, "afluxo_log_lines_dropped_total", "Lines left out of the log because there were too many.", server->unlogged);
    counter(out, "afluxo_write_bad_lines_total", "Lines of line protocol that did not parse.", server->bad_lines);
}

static void print_queries(struct af_server *server, struct af_buf *out)
{
    struct af_query_counts counts;
    af_query_list_counts(server->queries, &counts);
    gauge(out, "afluxo_queries_running", "Queries at work.", counts.running);
    counter(out, "afluxo_queries_done_total", "Queries of which every statement succeeded.", counts.done);
    counter(out, "afluxo_queries_failed_total", "Queries of which a statement failed.", counts.failed);
    counter(out, "afluxo_queries_killed_total", "Queries that were ended by KILL QUERY.", counts.killed);
    counter(out, "afluxo_queries_refused_total", "Queries refused because as many ran as may.", counts.refused);
    counter(out, "afluxo_continuous_queries_done_total", "Runs of continuous queries that succeeded.", server->continuous_done);
    counter(out, "afluxo_continuous_queries_failed_total", "Runs of continuous queries that failed; the log has the words.",
            server->continuous_failed);
    counter(out, "afluxo_subscription_points_total", "Points that were sent on to subscribers.", server->subscription_points);
    counter(out, "afluxo_subscription_failures_total", "Batches that a subscriber did not take; they are dropped.",
            server->subscription_failed);
    counter(out, "afluxo_subscription_dropped_points_total", "Points that found the queue to subscribers full.",
            server->subscription_dropped);
}

static void print_engine_sizes(const struct af_tsm_stats_now *s, struct af_buf *out)
{
    gauge(out, "afluxo_engine_buckets", "Buckets of the engine.", s->buckets);
    gauge(out, "afluxo_engine_shards", "Shards.", s->shards);
    gauge(out, "afluxo_engine_files", "TSM files.", s->files);
    gauge(out, "afluxo_engine_series", "Series.", s->series);
    gauge(out, "afluxo_engine_file_bytes", "Bytes of TSM files.", s->file_bytes);
    gauge(out, "afluxo_engine_wal_bytes", "Bytes of the write-ahead log.", s->wal_bytes);
    gauge(out, "afluxo_engine_cache_bytes", "Bytes of points in memory.", s->cache_bytes);
    gauge(out, "afluxo_engine_index_bytes", "Bytes of series indexes in memory.", s->index_bytes);
    gauge(out, "afluxo_engine_read_only", "1 after a failed fsync: no more writes until a restart.", s->is_read_only);
    gauge(out, "afluxo_engine_full", "1 while the disk is full.", s->is_full);
}

static void print_engine_work(const struct af_tsm_stats_now *s, struct af_buf *out)
{
    counter(out, "afluxo_engine_points_written_total", "Points that were kept.", s->points_written);
    counter(out, "afluxo_engine_values_written_total", "Field values that were kept.", s->values_written);
    counter(out, "afluxo_engine_points_dropped_total", "Points that were refused: type, retention, length.", s->points_dropped);
    counter(out, "afluxo_engine_commits_total", "Batches that were made durable.", s->commits);
    counter(out, "afluxo_engine_syncs_total", "Fsyncs of the log; several batches share one.", s->syncs);
    counter(out, "afluxo_engine_flushes_total", "Caches written out as TSM files.", s->flushes);
    counter(out, "afluxo_engine_compactions_total", "Compactions.", s->compactions);
    counter(out, "afluxo_engine_flushed_bytes_total", "Bytes of TSM files written by flushes.", s->bytes_flushed);
    counter(out, "afluxo_engine_compacted_bytes_total", "Bytes of TSM files written by compactions.", s->bytes_compacted);
    counter(out, "afluxo_engine_write_waits_total", "Writes that waited for room in the cache.", s->waits);
}

void core_print_metrics(struct af_server *server, struct af_buf *out)
{
    struct af_tsm_stats_now engine;
    af_tsm_stats_get_now(server->options.house->engine, &engine);
    head(out, "afluxo_build_info", "gauge", "The version, as a label.");
    af_buf_printf(out, "afluxo_build_info{version=\"%s\"} 1\n", server->options.version != NULL ? server->options.version : "unknown");
    gauge(out, "afluxo_start_time_seconds", "When the server started, seconds since 1970.", (uint64_t)(server->started_ns / AF_NS_PER_S));
    gauge(out, "afluxo_memory_peak_bytes", "Peak resident memory of the process.", af_memory_peak());
    print_requests(server, out);
    print_took(server, out);
    print_http(server, out);
    print_queries(server, out);
    print_engine_sizes(&engine, out);
    print_engine_work(&engine, out);
}
