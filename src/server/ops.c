/*
 * ops.c - what machines ask about the server itself: ping, health, readiness, version, metrics.
 *
 * /ping says 1.8.10, because clients tell generations apart by it and 1.x's API is the one that every client of ours speaks;
 * docs/server.md. /ready does what a write does: bytes into the log and an fsync. It needs no credentials, so its answer is kept for a
 * second. Nor does /health; both say why in a few words that name no path of this machine: those are in the log.
 */
#include "base/calendar.h"
#include "os/clock.h"
#include "server/core.h"
#include <stdio.h>

enum { PROBE_GOOD_MS = 1000 };
#define INFLUX_VERSION "1.8.10"

/* --- ping, version ----------------------------------------------------------------------------------------------------------- */

static const char *version_of(const struct af_request *r)
{
    return r->server->options.version != NULL ? r->server->options.version : "unknown";
}

static void handle_ping(struct af_request *r)
{
    const char *verbose = af_serve_arg(r->http, "verbose");
    if (verbose == NULL || verbose[0] == '\0' || strcmp(verbose, "0") == 0 || strcmp(verbose, "false") == 0) {
        af_answer_none(r, 204);
        return;
    }
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    af_out_str(&out, "version", INFLUX_VERSION);
    af_out_close(&out, '}');
}

/* The old name of it, which never had words. */
static void handle_status(struct af_request *r)
{
    af_answer_none(r, 204);
}

static void handle_version(struct af_request *r)
{
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    af_out_str(&out, "name", "afluxo");
    af_out_str(&out, "version", version_of(r));
    af_out_str(&out, "influxdb", INFLUX_VERSION);
    af_out_close(&out, '}');
}

/* --- health, readiness ------------------------------------------------------------------------------------------------------- */

static const char *why_of(const struct af_tsm_stats_now *stats)
{
    if (stats->is_read_only)
        return "writes are refused: the disk failed, and the server must be restarted; its log says more";
    if (stats->is_full)
        return "writes are refused: the disk is full";
    return stats->is_flush_failing ? "what is written cannot be brought into files; the server's log says why" : NULL;
}

/* Not healthy while writes are refused: an InfluxDB that says "pass" then is a known grief. */
static void handle_health(struct af_request *r)
{
    struct af_tsm_stats_now stats;
    af_tsm_stats_get_now(r->house->engine, &stats);
    const char *why = why_of(&stats);
    bool is_well = why == NULL;
    struct af_out out = af_answer_json(r, is_well ? 200 : 503);
    af_out_open(&out, NULL, '{');
    af_out_str(&out, "name", "influxdb");
    af_out_str(&out, "message", is_well ? "ready for queries and writes" : why);
    af_out_str(&out, "status", is_well ? "pass" : "fail");
    af_out_open(&out, "checks", '[');
    af_out_close(&out, ']');
    af_out_str(&out, "version", version_of(r));
    af_out_str(&out, "commit", "");
    af_out_close(&out, '}');
}

static enum af_status probe(struct af_server *server)
{
    af_mutex_lock(&server->probe_lock);
    int64_t now_ns = af_clock_mono_ns();
    if (server->probed_mono_ns == 0 || now_ns - server->probed_mono_ns > PROBE_GOOD_MS * INT64_C(1000000)) {
        struct af_error err = { 0 };
        server->probe_status = af_tsm_probe(server->options.house->engine, &err);
        server->probed_mono_ns = af_clock_mono_ns();
        if (server->probe_status != AF_OK)
            core_log_error(server, "/ready", err.message);
    }
    enum af_status status = server->probe_status;
    af_mutex_unlock(&server->probe_lock);
    return status;
}

/* 3h25m45.001s, as Go prints it. */
static void print_up(char *out, size_t cap, int64_t ns)
{
    int64_t ms = ns / 1000000;
    int64_t s = ms / 1000;
    if (s >= 3600)
        (void)snprintf(out, cap, "%lldh%lldm%lld.%03llds", (long long)(s / 3600), (long long)(s / 60 % 60), (long long)(s % 60),
                       (long long)(ms % 1000));
    else if (s >= 60)
        (void)snprintf(out, cap, "%lldm%lld.%03llds", (long long)(s / 60), (long long)(s % 60), (long long)(ms % 1000));
    else
        (void)snprintf(out, cap, "%lld.%03llds", (long long)s, (long long)(ms % 1000));
}

static void handle_ready(struct af_request *r)
{
    char up[64];
    enum af_status status = probe(r->server);
    print_up(up, sizeof up, af_clock_now_ns() - r->server->started_ns);
    if (status != AF_OK)
        af_serve_add_header(r->answer, "Retry-After", "5");
    struct af_out out = af_answer_json(r, status == AF_OK ? 200 : 503);
    af_out_open(&out, NULL, '{');
    af_out_str(&out, "status", status == AF_OK ? "ready" : "unready");
    if (status != AF_OK)
        af_out_str(&out, "message", status == AF_EFULL ? "the disk is full" : "a write to the log failed; the server's log says why");
    af_out_time(&out, "started", r->server->started_ns);
    af_out_str(&out, "up", up);
    af_out_close(&out, '}');
}

/* --- metrics ----------------------------------------------------------------------------------------------------------------- */

static void handle_metrics(struct af_request *r)
{
    af_answer_none(r, 200);
    r->answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    core_print_metrics(r->server, &r->answer->body);
}

/* What monitors of 1.x look at: an object for each module, as Go's expvar has them. `memstats` is what one of them will not do without. */
static void print_module(struct af_out *out, const struct core_stat *stats, size_t count)
{
    af_out_open(out, stats[0].module, '{');
    af_out_str(out, "name", stats[0].module);
    af_out_open(out, "tags", '{');
    af_out_close(out, '}');
    af_out_open(out, "values", '{');
    for (size_t i = 0; i < count; i++)
        af_out_int(out, stats[i].name, stats[i].value <= INT64_MAX ? (int64_t)stats[i].value : INT64_MAX);
    af_out_close(out, '}');
    af_out_close(out, '}');
}

static void print_system(struct af_out *out, int64_t started_ns)
{
    int64_t now_ns = af_clock_now_ns();
    af_out_open(out, "system", '{');
    af_out_time(out, "currentTime", now_ns);
    af_out_time(out, "started", started_ns);
    af_out_int(out, "uptime", (now_ns - started_ns) / AF_NS_PER_S);
    af_out_close(out, '}');
    af_out_open(out, "cmdline", '[');
    af_out_str(out, NULL, "afluxo");
    af_out_close(out, ']');
    af_out_open(out, "memstats", '{');
    af_out_int(out, "Sys", (int64_t)af_memory_peak());
    af_out_close(out, '}');
}

static void handle_vars(struct af_request *r)
{
    struct core_stat stats[CORE_STATS_MAX];
    size_t count = core_stats(r->server, stats);
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    print_system(&out, r->server->started_ns);
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && strcmp(stats[i + n].module, stats[i].module) == 0; n++)
            continue;
        print_module(&out, &stats[i], n);
    }
    af_out_close(&out, '}');
}

const struct af_route af_routes_ops[] = {
    { "GET", "/ping", AF_API_V1, AF_ACCESS_OPEN, handle_ping },
    { "GET", "/status", AF_API_V1, AF_ACCESS_OPEN, handle_status },
    { "GET", "/api/v2/ping", AF_API_OPS, AF_ACCESS_OPEN, handle_ping },
    { "GET", "/health", AF_API_OPS, AF_ACCESS_OPEN, handle_health },
    { "GET", "/api/v2/health", AF_API_OPS, AF_ACCESS_OPEN, handle_health },
    { "GET", "/ready", AF_API_OPS, AF_ACCESS_OPEN, handle_ready },
    { "GET", "/api/v2/ready", AF_API_OPS, AF_ACCESS_OPEN, handle_ready },
    { "GET", "/version", AF_API_OPS, AF_ACCESS_OPEN, handle_version },
    { "GET", "/metrics", AF_API_OPS, AF_ACCESS_TOKEN, handle_metrics },
    { "GET", "/debug/vars", AF_API_V1, AF_ACCESS_TOKEN, handle_vars },
    { NULL, NULL, AF_API_OPS, AF_ACCESS_OPEN, NULL },
};
