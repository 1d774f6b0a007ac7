/*
 * log.c - what an operator reads afterwards: a JSON object a line. Who was refused and who changed what (audit), requests that failed
 * through our fault or took long, and errors without a request.
 *
 * A client can make us write a line with every request, so a second has at most LINES_PER_SECOND; what is left out is counted (the metric
 * afluxo_log_lines_dropped_total).
 */
#include "base/calendar.h"
#include "base/json_escape.h"
#include "os/clock.h"
#include "server/core.h"
#include <stdarg.h>
#include <stdio.h>

enum { LINES_PER_SECOND = 200, WORDS_BYTES_MAX = 1024, LINE_BYTES_MAX = 8 << 10, SLOW_MS = 10000 };

static bool may_log(struct af_server *server)
{
    if (server->options.log == NULL)
        return false;
    int64_t second = af_clock_mono_ns() / AF_NS_PER_S;
    if (atomic_exchange(&server->log_second, second) != second)
        atomic_store(&server->log_count, 0);
    if (atomic_fetch_add(&server->log_count, 1) < LINES_PER_SECOND)
        return true;
    atomic_fetch_add(&server->unlogged, 1);
    return false;
}

static void put_str(struct af_buf *line, const char *key, const char *value)
{
    char cut[WORDS_BYTES_MAX];
    (void)snprintf(cut, sizeof cut, "%s", value);
    af_buf_printf(line, ",\"%s\":", key);
    af_json_escape(line, af_slice_of(cut));
}

static void begin(struct af_buf *line, const char *event)
{
    char time[48];
    *af_rfc3339_print(time, af_clock_now_ns(), 3) = '\0';
    af_buf_init(line, LINE_BYTES_MAX);
    af_buf_printf(line, "{\"time\":\"%s\",\"event\":\"%s\"", time, event);
}

static void end(struct af_server *server, struct af_buf *line)
{
    af_buf_append_char(line, '}');
    if (!line->failed)
        server->options.log(server->options.ctx, af_buf_cstr(line));
    af_buf_done(line);
}

void af_audit(struct af_request *request, const char *action, const char *fmt, ...)
{
    if (!may_log(request->server))
        return;
    char detail[WORDS_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    struct af_buf line;
    begin(&line, "audit");
    put_str(&line, "action", action);
    put_str(&line, "who", request->who.name != NULL ? request->who.name : request->who.is_everybody ? "everybody" : "nobody");
    put_str(&line, "peer", request->http->peer);
    put_str(&line, "method", request->http->method);
    put_str(&line, "path", request->http->path);
    put_str(&line, "detail", detail);
    end(request->server, &line);
}

void core_log_request(struct af_server *server, const struct af_serve_request *http, int status, int64_t took_ns)
{
    bool is_slow = took_ns > SLOW_MS * INT64_C(1000000);
    if ((status < 500 && !is_slow) || !may_log(server))
        return;
    struct af_buf line;
    begin(&line, status >= 500 ? "error" : "slow");
    put_str(&line, "peer", http->peer);
    put_str(&line, "method", http->method);
    put_str(&line, "path", http->path);
    af_buf_printf(&line, ",\"status\":%d,\"took_ms\":%lld", status, (long long)(took_ns / 1000000));
    end(server, &line);
}

void core_log_error(struct af_server *server, const char *what, const char *words)
{
    if (!may_log(server))
        return;
    struct af_buf line;
    begin(&line, "error");
    put_str(&line, "what", what);
    put_str(&line, "words", words);
    end(server, &line);
}
