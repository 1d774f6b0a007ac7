/*
 * sink_bench.c - what the sink adds between an encoder and the wire: put, queue, batch and settle, before a store that takes
 * everything at once. The reference is memcpy of the same bytes into a buffer of the size of a batch; the ratio is what counts.
 *
 *     sink_bench [MiB]
 */
#include "base/alloc.h"
#include "format/lp/lp.h"
#include "os/clock.h"
#include "sink/sink.h"
#include <stdio.h>
#include <stdlib.h>

enum { LINES = 4096, ROUNDS = 5 };

static enum af_status take(struct af_store *store, const struct af_write *write, struct af_write_answer *out, struct af_error *err)
{
    (void)store, (void)err;
    out->verdict = AF_WRITE_DONE;
    out->bytes_sent = write->lines.len;
    return AF_OK;
}

static const struct af_store_ops ops = { .name = "nowhere", .write = take };

static bool make_text(struct af_lp_text *text)
{
    static const char line[] = "generation_data,region=southeast,energy_source=hydro power_mw=1500.5,capacity=0.75 "
                               "1704110400000000000\n";
    *text = (struct af_lp_text){ 0 };
    af_buf_init(&text->bytes, UINT32_MAX);
    text->ends = af_alloc(LINES * sizeof *text->ends);
    text->rows = af_alloc(LINES * sizeof *text->rows);
    if (text->ends == NULL || text->rows == NULL)
        return false;
    for (uint32_t i = 0; i < LINES; i++) {
        af_buf_append(&text->bytes, line, sizeof line - 1);
        text->ends[i] = (uint32_t)text->bytes.len;
        text->rows[i] = i;
    }
    text->line_count = LINES;
    return !text->bytes.failed;
}

static double seconds(int64_t from_ns)
{
    return (double)(af_clock_mono_ns() - from_ns) / 1e9;
}

static double run_sink(const struct af_lp_text *text, size_t puts)
{
    struct af_store store = { .ops = &ops, .name = "nowhere" };
    struct af_sink_options options = { .lanes = 1 };
    struct af_sink *sink;
    struct af_sink_unit *unit;
    struct af_error err;
    if (af_sink_open(&store, &options, &sink, &err) != AF_OK || af_sink_unit_begin(sink, 1, "f", 0, NULL, NULL, &unit, &err) != AF_OK)
        exit(1);
    int64_t from_ns = af_clock_mono_ns();
    for (size_t i = 0; i < puts; i++)
        if (af_sink_put(sink, unit, 0, text, i * LINES, &err) != AF_OK)
            exit(1);
    af_sink_unit_end(sink, unit);
    if (af_sink_finish(sink, &err) != AF_OK)
        exit(1);
    double s = seconds(from_ns);
    af_sink_close(sink);
    return s;
}

static double run_memcpy(const struct af_lp_text *text, size_t puts)
{
    size_t cap = (size_t)4 << 20;
    char *to = af_alloc(cap);
    size_t at = 0;
    if (to == NULL)
        exit(1);
    int64_t from_ns = af_clock_mono_ns();
    for (size_t i = 0; i < puts; i++) {
        at = at + text->bytes.len > cap ? 0 : at;
        memcpy(to + at, text->bytes.ptr, text->bytes.len);
        __asm__ volatile("" : : "r"(to) : "memory");
        at += text->bytes.len;
    }
    double s = seconds(from_ns);
    af_free(to);
    return s;
}

int main(int argc, char **argv)
{
    struct af_lp_text text;
    if (!make_text(&text))
        return 1;
    double mib = argc > 1 ? atof(argv[1]) : 512;
    size_t puts = (size_t)(mib * 1048576 / (double)text.bytes.len) + 1;
    double best_sink = 1e9;
    double best_copy = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double s = run_sink(&text, puts);
        double c = run_memcpy(&text, puts);
        best_sink = s < best_sink ? s : best_sink;
        best_copy = c < best_copy ? c : best_copy;
    }
    double bytes = (double)text.bytes.len * (double)puts;
    printf("sink put: %.2f GB/s, %.1f Mlines/s; memcpy: %.2f GB/s; ratio sink/memcpy time %.2f\n", bytes / best_sink / 1e9,
           (double)puts * LINES / best_sink / 1e6, bytes / best_copy / 1e9, best_sink / best_copy);
    af_buf_done(&text.bytes);
    af_free(text.ends);
    af_free(text.rows);
    return 0;
}
