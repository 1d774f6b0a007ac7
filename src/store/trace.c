/* trace.c - a store that tells of each call and passes it on; see decorate.h. */
#include "base/alloc.h"
#include "os/clock.h"
#include "store/decorate.h"
#include <stdarg.h>
#include <stdio.h>

struct trace_store {
    struct af_store base;
    struct af_store *inner;
    af_trace_line line;
    void *ctx;
};

static void say(const struct trace_store *trace, int64_t start_ns, const char *fmt, ...) AF_PRINTF(3, 4);

static void say(const struct trace_store *trace, int64_t start_ns, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    int used = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    size_t at = used < 0 ? 0 : (size_t)used < sizeof text ? (size_t)used : sizeof text - 1;
    (void)snprintf(text + at, sizeof text - at, ", %.1f ms", (double)(af_clock_mono_ns() - start_ns) / 1e6);
    trace->line(trace->ctx, text);
}

static const char *outcome(enum af_status status, const struct af_error *err)
{
    return status == AF_OK ? "ok" : err != NULL ? err->message : af_status_text(status);
}

static void say_write(const struct trace_store *trace, int64_t start, const struct af_write *write,
                      const struct af_write_answer *out)
{
    static const char *const verdicts[] = { "done", "bad lines", "too large" };
    bool is_done = out->verdict == AF_WRITE_DONE;
    say(trace, start, "write %zu lines, %zu bytes: %s%s%s%s", write->line_count, write->lines.len, verdicts[out->verdict],
        out->verdict != AF_WRITE_BAD_LINES ? "" : out->others_kept ? ", others kept" : ", nothing kept", is_done ? "" : ": ",
        is_done ? "" : out->reason);
}

static enum af_status trace_write(struct af_store *base, const struct af_write *write, struct af_write_answer *out,
                                  struct af_error *err)
{
    struct trace_store *trace = (struct trace_store *)base;
    int64_t start = af_clock_mono_ns();
    enum af_status status = af_store_write(trace->inner, write, out, err);
    if (status == AF_OK)
        say_write(trace, start, write, out);
    else
        say(trace, start, "write %zu lines, %zu bytes: %s: %s", write->line_count, write->lines.len, af_status_name(status),
            outcome(status, err));
    return status;
}

static enum af_status trace_scan(struct af_store *base, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    struct trace_store *trace = (struct trace_store *)base;
    int64_t start = af_clock_mono_ns();
    enum af_status status = af_store_scan(trace->inner, scan, out, err);
    say(trace, start, "scan %s [%lld, %lld): %s", scan->measurement, (long long)scan->start_ns, (long long)scan->stop_ns,
        outcome(status, err));
    return status;
}

static enum af_status trace_list(struct af_store *base, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                                 struct af_error *err)
{
    static const char *const names[] = { "measurements", "fields", "buckets", "tag keys", "tag values", "series", "counts" };
    struct trace_store *trace = (struct trace_store *)base;
    int64_t start = af_clock_mono_ns();
    enum af_status status = af_store_list(trace->inner, what, scan, out, err);
    say(trace, start, "list %s: %s", names[what], outcome(status, err));
    return status;
}

static enum af_status trace_erase(struct af_store *base, const struct af_scan *scan, struct af_error *err)
{
    struct trace_store *trace = (struct trace_store *)base;
    int64_t start = af_clock_mono_ns();
    enum af_status status = af_store_erase(trace->inner, scan, err);
    say(trace, start, "erase %s [%lld, %lld)%s: %s", scan->measurement != NULL ? scan->measurement : "everything",
        (long long)scan->start_ns, (long long)scan->stop_ns, scan->predicate != NULL ? " where ..." : "", outcome(status, err));
    return status;
}

static enum af_status trace_create(struct af_store *base, struct af_error *err)
{
    struct trace_store *trace = (struct trace_store *)base;
    int64_t start = af_clock_mono_ns();
    enum af_status status = af_store_create(trace->inner, err);
    say(trace, start, "create: %s", outcome(status, err));
    return status;
}

static enum af_status trace_ping(struct af_store *base, char *out_version, size_t version_cap, struct af_error *err)
{
    struct trace_store *trace = (struct trace_store *)base;
    int64_t start = af_clock_mono_ns();
    enum af_status status = af_store_ping(trace->inner, out_version, version_cap, err);
    say(trace, start, "ping: %s", status == AF_OK ? out_version : outcome(status, err));
    return status;
}

static void trace_close(struct af_store *base)
{
    struct trace_store *trace = (struct trace_store *)base;
    af_store_close(trace->inner);
    af_free(trace);
}

static const struct af_store_ops trace_ops = {
    .name = "trace",
    .write = trace_write,
    .scan = trace_scan,
    .list = trace_list,
    .erase = trace_erase,
    .create = trace_create,
    .ping = trace_ping,
    .close = trace_close,
};

enum af_status af_trace_open(struct af_store *inner, af_trace_line line, void *ctx, struct af_store **out, struct af_error *err)
{
    struct trace_store *trace = af_alloc(sizeof *trace);
    if (trace == NULL)
        return af_fail_nomem(err, "a store");
    *trace = (struct trace_store){ .base = { &trace_ops, inner->name, inner->caps }, .inner = inner, .line = line, .ctx = ctx };
    *out = &trace->base;
    return AF_OK;
}
