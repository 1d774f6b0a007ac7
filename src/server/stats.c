/*
 * stats.c - figures under InfluxDB 1.x's names, for its statements and monitors; metrics.c has all of them under names of our own.
 */
#include "os/clock.h"
#include "server/core.h"
#include <assert.h>

struct collecting {
    struct core_stat *out;
    size_t count;
    const char *module;
};

static void add(struct collecting *c, const char *name, uint64_t value)
{
    assert(c->count < CORE_STATS_MAX);
    c->out[c->count++] = (struct core_stat){ c->module, name, value };
}

static void add_engine(struct collecting *c, const struct af_tsm_stats_now *s)
{
    c->module = "engine";
    add(c, "buckets", s->buckets);
    add(c, "cacheBytes", s->cache_bytes);
    add(c, "compactions", s->compactions);
    add(c, "diskBytes", s->file_bytes);
    add(c, "files", s->files);
    add(c, "flushes", s->flushes);
    add(c, "indexBytes", s->index_bytes);
    add(c, "numSeries", s->series);
    add(c, "pointsDropped", s->points_dropped);
    add(c, "pointsWritten", s->points_written);
    add(c, "shards", s->shards);
    add(c, "valuesWritten", s->values_written);
    add(c, "walBytes", s->wal_bytes);
}

static uint64_t sum_of(const struct request_counts *counts, unsigned first, unsigned last)
{
    uint64_t sum = 0;
    for (unsigned i = first; i <= last; i++)
        sum += counts->by_status[i];
    return sum;
}

static void add_http(struct collecting *c, struct af_server *server, const struct af_tsm_stats_now *s)
{
    struct af_serve_stats http = { 0 };
    uint64_t client_errors = 0, server_errors = 0;
    if (server->http == NULL) /* a directory alone */
        return;
    af_serve_stats(server->http, &http);
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        client_errors += sum_of(&server->counts[i], 3, 3);
        server_errors += sum_of(&server->counts[i], 4, 4);
    }
    c->module = "httpd";
    add(c, "authFail", server->refused_requests);
    add(c, "clientError", client_errors);
    add(c, "pointsWrittenDropped", s->points_dropped);
    add(c, "pointsWrittenFail", 0);
    add(c, "pointsWrittenOK", s->points_written);
    add(c, "queryReq", sum_of(&server->counts[CLASS_QUERY], 1, STATUS_CLASSES - 1));
    add(c, "queryReqDurationNs", server->counts[CLASS_QUERY].took_ns);
    add(c, "queryRespBytes", server->counts[CLASS_QUERY].bytes_out);
    add(c, "req", http.requests);
    add(c, "reqActive", http.queued + http.busy_workers);
    add(c, "serverError", server_errors);
    add(c, "writeReq", sum_of(&server->counts[CLASS_WRITE], 1, STATUS_CLASSES - 1));
    add(c, "writeReqBytes", server->counts[CLASS_WRITE].bytes_in);
    add(c, "writeReqDurationNs", server->counts[CLASS_WRITE].took_ns);
}

static void add_queries(struct collecting *c, struct af_server *server)
{
    struct af_query_counts counts = { 0 };
    if (server->queries != NULL)
        af_query_list_counts(server->queries, &counts);
    uint64_t finished = counts.done + counts.failed + counts.killed;
    c->module = "queryExecutor";
    add(c, "queriesActive", counts.running);
    add(c, "queriesExecuted", finished + counts.running);
    add(c, "queriesFinished", finished);
}

size_t core_stats(struct af_server *server, struct core_stat out[CORE_STATS_MAX])
{
    struct collecting c = { .out = out, .module = "cq" };
    struct af_tsm_stats_now engine;
    af_tsm_stats_get_now(server->options.house->engine, &engine);
    add(&c, "queryFail", server->continuous_failed);
    add(&c, "queryOk", server->continuous_done);
    add_engine(&c, &engine);
    add_http(&c, server, &engine);
    add_queries(&c, server);
    c.module = "runtime";
    add(&c, "Sys", af_memory_peak());
    c.module = "subscriber";
    add(&c, "pointsWritten", server->subscription_points);
    add(&c, "writeFailures", server->subscription_failed + server->subscription_dropped);
    return c.count;
}
