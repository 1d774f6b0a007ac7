/*
 * sink_test.c - nothing is lost, order holds, units settle once: random runs over a store that fails in every way the seam allows.
 *
 * The store here ("model") is a table of points: the last value that reached it wins. A line is `m,s=S v=N T`; N counts over the run,
 * so for each point (S, T) the largest N that was put must be the one that stays, whatever was sent twice. `v=badN` and
 * v="N" are lines that the store refuses.
 */
#include "base/alloc.h"
#include "base/arena.h"
#include "format/json/json.h"
#include "format/lp/lp.h"
#include "os/clock.h"
#include "os/fault.h"
#include "sink/sink_int.h"
#include "test/lib/test.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>

enum { SERIES = 7, TIMES = 64, LINES_MAX = 20000, UNITS_MAX = 64 };

/* --- the model store ----------------------------------------------------------------------------------------------------- */

struct model {
    struct af_store base;
    struct af_mutex lock;
    struct af_prng prng;
    long point[SERIES][TIMES];
    /* how it behaves */
    unsigned fail_percent;
    bool is_down;
    long fail_next;                 /* this many more calls fail */
    enum af_status fail_status;
    uint32_t retry_after_ms;
    size_t bytes_max;               /* TOO_LARGE past it; 0: none */
    bool counts_dropped;            /* says how many lines it refused */
    bool keeps_others;
    bool hangs;                     /* until cancelled */
    /* what it saw */
    long calls;
    int64_t last_call_ms;
    size_t lines_max_seen;
    int64_t precision_seen;
};

struct line {
    int series;
    int time;
    long n;
    bool is_refused;
};

static bool read_line(struct af_slice text, struct line *out)
{
    char copy[160];
    snprintf(copy, sizeof copy, "%.*s", (int)text.len, text.ptr);
    *out = (struct line){ 0 };
    if (sscanf(copy, "m,s=%d v=%ld %d", &out->series, &out->n, &out->time) == 3)
        return true;
    out->is_refused = true;
    return sscanf(copy, "m,s=%d v=bad%ld %d", &out->series, &out->n, &out->time) == 3 ||
           sscanf(copy, "m,s=%d v=\"%ld\" %d", &out->series, &out->n, &out->time) == 3;
}

/* Keep the good lines; returns how many are refused. `lines_max` cuts it short, as a connection that dies does. */
static size_t keep(struct model *m, struct af_slice lines, bool keeps, size_t lines_max)
{
    size_t refused = 0;
    for (size_t i = 0; lines.len > 0 && i < lines_max; i++) {
        const char *end = memchr(lines.ptr, '\n', lines.len);
        AF_CHECK(end != NULL);
        struct line line;
        AF_CHECK(read_line(af_slice_make(lines.ptr, (size_t)(end - lines.ptr)), &line));
        refused += line.is_refused;
        if (keeps && !line.is_refused)
            m->point[line.series][line.time] = line.n;
        lines.len -= (size_t)(end + 1 - lines.ptr);
        lines.ptr = end + 1;
    }
    return refused;
}

static enum af_status fail_somehow(struct model *m, const struct af_write *write, struct af_error *err)
{
    static const enum af_status kinds[] = { AF_EIO, AF_EBUSY, AF_EFULL, AF_ENOMEM };
    enum af_status status = m->fail_status != AF_OK ? m->fail_status : kinds[af_prng_below(&m->prng, 4)];
    keep(m, write->lines, true, (size_t)af_prng_below(&m->prng, write->line_count + 1));
    (void)af_fail(err, status, "the model is unwell");
    err->retry_after_ms = m->retry_after_ms;
    return status;
}

static enum af_status answer_locked(struct model *m, const struct af_write *write, struct af_write_answer *out, struct af_error *err)
{
    m->calls++;
    m->last_call_ms = af_sink_now_ms();
    m->lines_max_seen = write->line_count > m->lines_max_seen ? write->line_count : m->lines_max_seen;
    m->precision_seen = write->precision_ns;
    out->bytes_sent = write->lines.len / 2;
    if (m->is_down || m->fail_next > 0 || af_prng_below(&m->prng, 100) < m->fail_percent) {
        m->fail_next -= m->fail_next > 0;
        return fail_somehow(m, write, err);
    }
    if (m->bytes_max != 0 && write->lines.len > m->bytes_max) {
        out->verdict = AF_WRITE_TOO_LARGE;
        snprintf(out->reason, sizeof out->reason, "too large");
        return AF_OK;
    }
    size_t refused = keep(m, write->lines, false, SIZE_MAX);
    if (refused == 0 || m->keeps_others)
        keep(m, write->lines, true, SIZE_MAX);
    if (refused > 0) {
        out->verdict = AF_WRITE_BAD_LINES;
        out->others_kept = m->keeps_others;
        out->dropped = m->counts_dropped ? refused : 0;
        snprintf(out->reason, sizeof out->reason, "refused \"because\"");
    }
    return AF_OK;
}

static enum af_status model_write(struct af_store *store, const struct af_write *write, struct af_write_answer *out, struct af_error *err)
{
    struct model *m = (struct model *)store;
    while (__atomic_load_n(&m->hangs, __ATOMIC_ACQUIRE)) {
        if (__atomic_load_n(write->cancel, __ATOMIC_ACQUIRE))
            return af_fail(err, AF_ECANCELED, "canceled");
        af_clock_sleep_ms(2);
    }
    af_mutex_lock(&m->lock);
    enum af_status status = answer_locked(m, write, out, err);
    af_mutex_unlock(&m->lock);
    return status;
}

static const struct af_store_ops model_ops = { .name = "model", .write = model_write };

static void model_init(struct model *m, uint64_t seed)
{
    *m = (struct model){ .base = { &model_ops, "the model" }, .prng = { seed } };
    af_mutex_init(&m->lock);
}

static void set_down(struct model *m, bool is_down)
{
    af_mutex_lock(&m->lock);
    m->is_down = is_down;
    af_mutex_unlock(&m->lock);
}

/* --- texts --------------------------------------------------------------------------------------------------------------- */

static void text_add(struct af_lp_text *text, uint32_t row, const char *fmt, ...) AF_PRINTF(3, 4);
static void text_add(struct af_lp_text *text, uint32_t row, const char *fmt, ...)
{
    char line[160];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    af_buf_append(&text->bytes, line, (size_t)n);
    if (text->line_count == text->line_cap) {
        text->line_cap = text->line_cap == 0 ? 64 : text->line_cap * 2;
        text->ends = af_realloc(text->ends, text->line_cap * sizeof *text->ends);
        text->rows = af_realloc(text->rows, text->line_cap * sizeof *text->rows);
        AF_CHECK(text->ends != NULL && text->rows != NULL);
    }
    text->ends[text->line_count] = (uint32_t)text->bytes.len;
    text->rows[text->line_count++] = row;
    text->value_count++;
}

static void text_init(struct af_lp_text *text)
{
    *text = (struct af_lp_text){ 0 };
    af_buf_init(&text->bytes, UINT32_MAX);
}

static void text_clear(struct af_lp_text *text)
{
    af_buf_clear(&text->bytes);
    text->line_count = 0;
    text->value_count = 0;
}

static void text_done(struct af_lp_text *text)
{
    af_buf_done(&text->bytes);
    af_free(text->ends);
    af_free(text->rows);
}

/* --- a world: model, sink, what must come out ---------------------------------------------------------------------------- */

struct unit_plan {
    long first; /* its lines are first <= n < end */
    long end;
    atomic_int settled;
};

struct world {
    struct model model;
    struct af_prng prng;
    struct af_sink_options options;
    struct af_sink *sink;
    struct af_error err;
    struct line lines[LINES_MAX];   /* by n; n starts at 1 */
    long line_count;
    int buried[LINES_MAX];
    struct unit_plan units[UNITS_MAX];
    long unit_count;
    bool points_are_own;            /* no two units share a point */
    unsigned refused_percent;
    char dir[200], spool[260];
    int runs;
    char run_id[32];
};

static void on_settled(void *ctx, uint64_t unit_id)
{
    struct world *w = ctx;
    atomic_fetch_add(&w->units[unit_id].settled, 1);
}

static struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    AF_CHECK(w != NULL);
    model_init(&w->model, seed * 77);
    w->prng.state = seed;
    w->line_count = 1;
    snprintf(w->dir, sizeof w->dir, "%s/%llu", af_test_dir(), (unsigned long long)seed);
    snprintf(w->spool, sizeof w->spool, "%s/spool", w->dir);
    w->options = (struct af_sink_options){ .lanes = 2, .batch_lines = 20, .batch_age_ms = 2, .backoff_first_ms = 1, .backoff_max_ms = 3,
                                           .batch_budget_ms = 1000, .breaker_failures = 4, .breaker_open_ms = 2, .patience_ms = 5000,
                                           .dead_letters_dir = w->dir, .seed = seed };
    return w;
}

static void world_open(struct world *w)
{
    snprintf(w->run_id, sizeof w->run_id, "run%d", ++w->runs);
    w->options.run_id = w->run_id;
    AF_CHECK_OK(af_sink_open(&w->model.base, &w->options, &w->sink, &w->err), w->err);
}

static uint32_t random_below(struct world *w, uint32_t bound)
{
    return (uint32_t)af_prng_below(&w->prng, bound);
}

static void plan_line(struct world *w, long unit)
{
    AF_CHECK(w->line_count < LINES_MAX);
    struct line *line = &w->lines[w->line_count];
    line->n = w->line_count++;
    line->series = (int)random_below(w, SERIES);
    line->time = w->points_are_own ? (int)((unsigned)unit * 4 % TIMES + random_below(w, 4)) : (int)random_below(w, TIMES);
    line->is_refused = random_below(w, 100) < w->refused_percent;
}

static void plan_units(struct world *w, long units, uint32_t lines_max)
{
    for (long u = 0; u < units; u++) {
        w->units[u].first = w->line_count;
        for (uint32_t i = random_below(w, lines_max + 1); i > 0; i--)
            plan_line(w, u);
        w->units[u].end = w->line_count;
    }
    w->unit_count = units;
}

static void print_line(struct af_lp_text *text, const struct line *line, uint32_t row)
{
    if (!line->is_refused)
        text_add(text, row, "m,s=%d v=%ld %d\n", line->series, line->n, line->time);
    else if (line->n % 2 == 0)
        text_add(text, row, "m,s=%d v=bad%ld %d\n", line->series, line->n, line->time);
    else
        text_add(text, row, "m,s=%d v=\"%ld\" %d\n", line->series, line->n, line->time);
}

/* Lines [from, to) of the plan, split over the lanes as ingest does. The row in the file is n * 10. */
static enum af_status put_lines(struct world *w, struct af_sink_unit *unit, long from, long to)
{
    uint32_t lanes = af_sink_lanes(w->sink);
    enum af_status status = AF_OK;
    struct af_lp_text text;
    text_init(&text);
    for (uint32_t lane = 0; lane < lanes && status == AF_OK; lane++) {
        text_clear(&text);
        for (long n = from; n < to; n++)
            if ((uint32_t)w->lines[n].series % lanes == lane)
                print_line(&text, &w->lines[n], (uint32_t)(n - from) * 10);
        status = af_sink_put(w->sink, unit, lane, &text, (uint64_t)from * 10, &w->err);
    }
    text_done(&text);
    return status;
}

static enum af_status put_unit(struct world *w, long u)
{
    struct af_sink_unit *unit;
    char file[32];
    snprintf(file, sizeof file, "file%ld", u);
    AF_CHECK_OK(af_sink_unit_begin(w->sink, (uint64_t)u, file, (uint32_t)u, on_settled, w, &unit, &w->err), w->err);
    enum af_status status = AF_OK;
    for (long at = w->units[u].first; at < w->units[u].end && status == AF_OK;) {
        long to = at + 1 + (long)random_below(w, 120);
        to = to < w->units[u].end ? to : w->units[u].end;
        status = put_lines(w, unit, at, to);
        at = to;
    }
    af_sink_unit_end(w->sink, unit);
    return status;
}

static void put_all(struct world *w)
{
    for (long u = 0; u < w->unit_count; u++)
        AF_CHECK_OK(put_unit(w, u), w->err);
}

static long unit_of(const struct world *w, long n)
{
    long u = 0;
    while (n >= w->units[u].end)
        u++;
    return u;
}

static void check_letter(struct world *w, const struct af_json *letter)
{
    struct line line;
    int64_t row;
    int64_t group;
    char file[32];
    AF_CHECK(read_line(af_json_string(letter, "line"), &line));
    AF_CHECK(line.is_refused && line.n > 0 && line.n < w->line_count);
    w->buried[line.n]++;
    snprintf(file, sizeof file, "file%ld", unit_of(w, line.n));
    AF_CHECK_SLICE(af_json_string(letter, "file"), file);
    AF_CHECK(af_json_i64(af_json_get(letter, "row"), &row) && row == line.n * 10);
    AF_CHECK(af_json_i64(af_json_get(letter, "row_group"), &group) && group == unit_of(w, line.n));
    AF_CHECK(af_json_get(letter, "column")->kind == AF_JSON_NULL);
    AF_CHECK_SLICE(af_json_string(letter, "reason"), "refused \"because\"");
}

/* Count the letters of all runs. */
static void read_letters(struct world *w)
{
    struct af_buf bytes;
    struct af_arena arena;
    af_buf_init(&bytes, 1 << 26);
    af_arena_init(&arena, 1 << 20);
    for (int run = 1; run <= w->runs; run++) {
        char path[300];
        snprintf(path, sizeof path, "%s/dead-letters-run%d.jsonl", w->dir, run);
        if (af_path_kind(path) == AF_PATH_FILE)
            AF_CHECK_OK(af_file_read_all(path, &bytes, &w->err), w->err);
    }
    for (size_t at = 0; at < bytes.len;) {
        const char *end = memchr(bytes.ptr + at, '\n', bytes.len - at);
        struct af_json *letter = NULL;
        AF_CHECK(end != NULL);
        af_arena_reset(&arena);
        AF_CHECK_OK(af_json_parse(af_slice_make(bytes.ptr + at, (size_t)(end - bytes.ptr) - at), &arena, &letter, &w->err), w->err);
        check_letter(w, letter);
        at = (size_t)(end + 1 - bytes.ptr);
    }
    af_arena_done(&arena);
    af_buf_done(&bytes);
}

/* Every point has its last value, every refused line a letter (exactly one if `once`), every unit settled once. */
static void check_outcome(struct world *w, bool once)
{
    long want[SERIES][TIMES] = { 0 };
    read_letters(w);
    for (long n = 1; n < w->line_count; n++) {
        const struct line *line = &w->lines[n];
        if (!line->is_refused)
            want[line->series][line->time] = n;
        AF_CHECK(line->is_refused ? w->buried[n] >= 1 : w->buried[n] == 0);
        if (once)
            AF_CHECK(w->buried[n] <= 1);
    }
    for (int s = 0; s < SERIES; s++)
        for (int t = 0; t < TIMES; t++)
            AF_CHECK_INT(w->model.point[s][t], want[s][t]);
    for (long u = 0; u < w->unit_count; u++)
        AF_CHECK_INT(atomic_load(&w->units[u].settled), 1);
}

static void world_done(struct world *w)
{
    af_sink_close(w->sink);
    af_mutex_done(&w->model.lock);
    free(w);
}

/* --- plain behaviour ----------------------------------------------------------------------------------------------------- */

AF_TEST(lines_arrive_and_counts_add_up)
{
    struct world *w = world_new(1);
    struct af_sink_stats stats;
    w->refused_percent = 3;
    w->options.precision_ns = 1000;
    plan_units(w, 10, 400);
    world_open(w);
    AF_CHECK(af_sink_dead_letters(w->sink) == NULL);
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.lines_put, w->line_count - 1);
    AF_CHECK_INT(stats.values_put, w->line_count - 1);
    AF_CHECK_INT(stats.lines_written + stats.lines_rejected, stats.lines_put);
    AF_CHECK(stats.lines_rejected > 0 && stats.splits > 0 && stats.retries == 0 && stats.lines_spooled == 0);
    AF_CHECK(stats.bytes_sent > 0 && !stats.breaker_is_open);
    AF_CHECK_STR(stats.last_error, "");
    AF_CHECK(af_sink_dead_letters(w->sink) != NULL);
    AF_CHECK_INT(w->model.precision_seen, 1000);
    AF_CHECK(w->model.lines_max_seen <= 20 && w->model.lines_max_seen > 15);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err); /* again is fine */
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(old_blocks_go_out_without_being_full)
{
    struct world *w = world_new(2);
    w->options.batch_lines = 10000;
    plan_units(w, 1, 50);
    world_open(w);
    put_all(w);
    for (int i = 0; i < 1000 && atomic_load(&w->units[0].settled) == 0; i++)
        af_clock_sleep_ms(2);
    check_outcome(w, true); /* and nobody called finish */
    world_done(w);
}

AF_TEST(empty_units_settle_and_rejects_settle_with_them)
{
    struct world *w = world_new(3);
    struct af_sink_unit *unit;
    struct af_sink_stats stats;
    w->unit_count = 2;
    w->units[0].first = w->units[0].end = w->units[1].first = w->units[1].end = 1;
    world_open(w);
    AF_CHECK_OK(put_unit(w, 0), w->err);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 1);
    AF_CHECK_OK(af_sink_unit_begin(w->sink, 1, "f", 0, on_settled, w, &unit, &w->err), w->err);
    struct af_sink_reject reject = { .row = 5, .column = "c", .reason = "r", .raw = AF_SLICE_LIT("{\"a\":1}") };
    AF_CHECK_OK(af_sink_reject(w->sink, unit, &reject, &w->err), w->err);
    AF_CHECK_INT(atomic_load(&w->units[1].settled), 0);
    af_sink_unit_end(w->sink, unit);
    AF_CHECK_INT(atomic_load(&w->units[1].settled), 1);
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.rows_rejected, 1);
    AF_CHECK(strstr(af_sink_dead_letters(w->sink), "dead-letters-run1.jsonl") != NULL);
    world_done(w);
}

AF_TEST(unit_does_not_settle_without_its_letters_on_disk)
{
    struct world *w = world_new(4);
    struct af_sink_unit *unit;
    w->unit_count = 1;
    world_open(w);
    AF_CHECK_OK(af_sink_unit_begin(w->sink, 0, "f", 0, on_settled, w, &unit, &w->err), w->err);
    struct af_sink_reject reject = { .reason = "r", .raw = AF_SLICE_LIT("x") };
    AF_CHECK_OK(af_sink_reject(w->sink, unit, &reject, &w->err), w->err);
    af_os_fault(AF_OS_SYNC, 1, 1, EIO);
    af_sink_unit_end(w->sink, unit);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 0);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EIO);
    world_done(w);
}

AF_TEST(all_refused_at_once_needs_no_search)
{
    struct world *w = world_new(5);
    w->model.counts_dropped = true;
    w->options.lanes = 1;
    w->refused_percent = 100;
    w->options.batch_lines = 500;
    w->options.batch_age_ms = 100000;
    plan_units(w, 1, 300);
    world_open(w);
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    AF_CHECK_INT(w->model.calls, 1);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(search_for_refused_lines_is_bounded)
{
    struct world *w = world_new(6);
    w->options.lanes = 1;
    w->refused_percent = 50;
    w->options.batch_lines = 1000;
    w->options.batch_age_ms = 100000;
    plan_units(w, 1, 400);
    world_open(w);
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    AF_CHECK(w->model.calls <= 2 * w->line_count);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(too_large_is_halved_and_remembered)
{
    struct world *w = world_new(7);
    w->options.lanes = 1;
    w->options.batch_lines = 1000;
    w->model.bytes_max = 600;
    plan_units(w, 20, 300);
    world_open(w);
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    struct af_sink_stats stats;
    af_sink_stats(w->sink, &stats);
    AF_CHECK(stats.splits > 0 && (long)stats.splits < w->model.calls / 2);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(single_line_too_large_is_a_letter)
{
    struct world *w = world_new(8);
    struct af_sink_unit *unit;
    struct af_lp_text text;
    w->model.bytes_max = 8;
    w->unit_count = 1;
    world_open(w);
    text_init(&text);
    text_add(&text, 0, "m,s=1 v=1 1\n");
    text_add(&text, 1, "m,s=1 v=2 2\n");
    AF_CHECK_OK(af_sink_unit_begin(w->sink, 0, "f", 0, on_settled, w, &unit, &w->err), w->err);
    AF_CHECK_OK(af_sink_put(w->sink, unit, 0, &text, 0, &w->err), w->err);
    af_sink_unit_end(w->sink, unit);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    struct af_sink_stats stats;
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.lines_rejected, 2);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 1);
    text_done(&text);
    world_done(w);
}

/* --- failures ------------------------------------------------------------------------------------------------------------ */

static void check_fatal(enum af_status status)
{
    struct world *w = world_new(100 + (uint64_t)status);
    w->model.is_down = true;
    w->model.fail_status = status;
    plan_units(w, 2, 200);
    w->units[1].first = w->units[1].end; /* nothing, but after the failure */
    w->options.spool_dir = w->spool;
    world_open(w);
    enum af_status got = put_unit(w, 0);
    AF_CHECK(got == AF_OK || got == status);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), status);
    AF_CHECK_STR(w->err.message, "the model is unwell");
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), status);
    struct af_sink_reject reject = { .reason = "r" };
    struct af_sink_unit *unit;
    AF_CHECK_OK(af_sink_unit_begin(w->sink, 1, "f", 0, on_settled, w, &unit, &w->err), w->err);
    AF_CHECK_FAILS(af_sink_reject(w->sink, unit, &reject, &w->err), status);
    AF_CHECK_FAILS(put_lines(w, unit, w->units[0].first, w->units[0].end), status);
    af_sink_unit_end(w->sink, unit);
    AF_CHECK_INT(atomic_load(&w->units[0].settled) + atomic_load(&w->units[1].settled), 0);
    AF_CHECK_INT(w->model.calls <= 2, 1);
    world_done(w);
}

AF_TEST(fatal_failures_are_given_as_they_are)
{
    static const enum af_status fatal[] = { AF_EUNAUTH, AF_EDENIED, AF_ENOTFOUND, AF_EINVAL, AF_EUNSUPPORTED, AF_ECONFLICT,
                                            AF_ELIMIT, AF_ECORRUPT, AF_EBUG };
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        check_fatal(fatal[i]);
}

AF_TEST(strict_sinks_fail_on_the_first_refusal)
{
    struct world *w = world_new(10);
    w->options.dead_letters_dir = NULL;
    w->refused_percent = 100;
    plan_units(w, 1, 30);
    world_open(w);
    enum af_status status = put_unit(w, 0);
    AF_CHECK(status == AF_OK || status == AF_EINVAL);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EINVAL);
    AF_CHECK(strstr(w->err.message, "file0") != NULL && strstr(w->err.message, "because") != NULL);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 0);
    world_done(w);
}

AF_TEST(without_a_spool_the_budget_is_the_end)
{
    struct world *w = world_new(11);
    w->model.is_down = true;
    w->options.batch_budget_ms = 40;
    plan_units(w, 1, 30);
    world_open(w);
    int64_t began_ms = af_sink_now_ms();
    AF_CHECK_OK(put_unit(w, 0), w->err);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EIO);
    AF_CHECK(af_sink_now_ms() - began_ms >= 40);
    AF_CHECK(strstr(w->err.message, "the model is unwell") != NULL && strstr(w->err.message, "no spool") != NULL);
    world_done(w);
}

AF_TEST(a_pause_that_the_store_asks_for_is_kept)
{
    struct world *w = world_new(12);
    w->options.lanes = 1;
    w->model.fail_next = 1;
    w->model.retry_after_ms = 150;
    w->options.batch_age_ms = 1;
    plan_units(w, 1, 5);
    world_open(w);
    AF_CHECK_OK(put_unit(w, 0), w->err);
    while (__atomic_load_n(&w->model.fail_next, __ATOMIC_ACQUIRE) != 0)
        af_clock_sleep_ms(1);
    int64_t failed_ms = af_sink_now_ms();
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    AF_CHECK(w->model.last_call_ms - failed_ms >= 140);
    AF_CHECK_INT(w->model.calls, 2);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(breaker_spares_a_store_that_is_down)
{
    struct world *w = world_new(13);
    struct af_sink_stats stats;
    w->options.lanes = 4;
    w->options.breaker_open_ms = 50;
    w->options.spool_dir = w->spool;
    w->model.is_down = true;
    plan_units(w, 1, 400);
    world_open(w);
    AF_CHECK_OK(put_unit(w, 0), w->err);
    af_clock_sleep_ms(300);
    af_sink_stats(w->sink, &stats);
    AF_CHECK(stats.breaker_is_open);
    AF_CHECK_STR(stats.last_error, "the model is unwell");
    af_mutex_lock(&w->model.lock);
    AF_CHECK(w->model.calls < 4 + 4 + 8); /* until it opens, those under way, a probe each 50 ms */
    w->model.is_down = false;
    af_mutex_unlock(&w->model.lock);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(rate_is_kept)
{
    struct world *w = world_new(14);
    w->options.lines_per_s = 2000;
    plan_units(w, 10, 200);
    world_open(w);
    int64_t began_ms = af_sink_now_ms();
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    int64_t least_ms = (w->line_count - 1 - 2 * 20) * 1000 / 2000 - 110; /* the last batches of both lanes and the burst are free */
    AF_CHECK(af_sink_now_ms() - began_ms >= least_ms);
    check_outcome(w, true);
    world_done(w);
}

/* --- cancelling and closing ---------------------------------------------------------------------------------------------- */

struct canceler {
    bool *flag;
    struct af_thread thread;
};

static void cancel_later(void *ctx)
{
    struct canceler *c = ctx;
    af_clock_sleep_ms(60);
    __atomic_store_n(c->flag, true, __ATOMIC_RELEASE);
}

static void check_cancel(bool hangs, bool in_put)
{
    struct world *w = world_new(20 + (uint64_t)hangs + 2 * (uint64_t)in_put);
    bool flag = false;
    struct canceler canceler = { .flag = &flag };
    w->options.cancel = &flag;
    w->options.backoff_first_ms = w->options.backoff_max_ms = 60000;
    w->options.batch_budget_ms = 600000;
    w->model.hangs = hangs;
    w->model.is_down = true;
    plan_units(w, 1, in_put ? 10000 : 100);
    world_open(w);
    AF_CHECK_OK(af_thread_start(&canceler.thread, "cancel", cancel_later, &canceler, &w->err), w->err);
    int64_t began_ms = af_sink_now_ms();
    enum af_status status = put_unit(w, 0);
    AF_CHECK_INT(status, in_put ? AF_ECANCELED : AF_OK);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_ECANCELED);
    int64_t closing_ms = af_sink_now_ms();
    AF_CHECK(closing_ms - began_ms < 60 + 100 + 100); /* the second 100: a busy machine */
    af_thread_join(&canceler.thread);
    world_done(w);
    AF_CHECK(af_sink_now_ms() - closing_ms < 200);
}

AF_TEST(cancel_ends_finish_while_backing_off)
{
    check_cancel(false, false);
}
AF_TEST(cancel_ends_finish_while_the_store_hangs)
{
    check_cancel(true, false);
}
AF_TEST(cancel_ends_put_that_waits_for_room)
{
    check_cancel(false, true);
    check_cancel(true, true);
}

AF_TEST(close_ends_a_store_that_hangs)
{
    struct world *w = world_new(24);
    w->model.hangs = true;
    plan_units(w, 3, 100);
    world_open(w);
    put_all(w);
    af_clock_sleep_ms(20);
    int64_t began_ms = af_sink_now_ms();
    af_sink_close(w->sink);
    w->sink = NULL;
    AF_CHECK(af_sink_now_ms() - began_ms < 200);
    for (long u = 0; u < 3; u++) /* dropped lines never settle */
        AF_CHECK_INT(atomic_load(&w->units[u].settled), w->units[u].first == w->units[u].end);
    world_done(w);
}

AF_TEST(wrong_options_are_refused)
{
    struct model m;
    struct af_sink *sink = NULL;
    struct af_error err;
    model_init(&m, 1);
    struct af_sink_options bad[] = { { .lanes = AF_SINK_LANES_MAX + 1 }, { .batch_bytes = (size_t)AF_LP_LINE_BYTES_MAX + 1 },
                                     { .precision_ns = 7 }, { .dead_letters_dir = "/tmp", .run_id = "a/b" } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        AF_CHECK_FAILS(af_sink_open(&m.base, &bad[i], &sink, &err), AF_EINVAL);
    AF_CHECK(sink == NULL);
    af_sink_close(NULL);
}

AF_TEST(every_allocation_of_open_and_put_may_fail)
{
    for (size_t nth = 1;; nth++) {
        struct world *w = world_new(5000 + nth);
        struct af_sink_unit *unit = NULL;
        struct af_lp_text text;
        text_init(&text);
        text_add(&text, 0, "m,s=1 v=1 1\n");
        w->options.spool_dir = w->spool;
        w->options.run_id = "x";
        af_alloc_fail_nth(nth);
        enum af_status status = af_sink_open(&w->model.base, &w->options, &w->sink, &w->err);
        if (status == AF_OK)
            status = af_sink_unit_begin(w->sink, 0, "f", 0, on_settled, w, &unit, &w->err);
        if (status == AF_OK)
            status = af_sink_put(w->sink, unit, 0, &text, 0, &w->err);
        struct af_sink_reject reject = { .reason = "r", .raw = AF_SLICE_LIT("x") };
        if (status == AF_OK)
            status = af_sink_reject(w->sink, unit, &reject, &w->err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        if (unit != NULL)
            af_sink_unit_end(w->sink, unit);
        if (status == AF_OK)
            AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
        text_done(&text);
        world_done(w);
        if (status == AF_OK)
            break;
        AF_CHECK(nth < 1000);
    }
}

/* --- the spool ----------------------------------------------------------------------------------------------------------- */

AF_TEST(spool_takes_over_and_gives_back_in_order)
{
    struct world *w = world_new(30);
    struct af_sink_stats stats;
    w->options.spool_dir = w->spool;
    w->options.batch_budget_ms = 5;
    w->options.patience_ms = 60;
    w->model.is_down = true;
    plan_units(w, 10, 300);
    world_open(w);
    put_all(w);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EIO);
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.lines_spooled, w->line_count - 1);
    AF_CHECK(stats.spool_bytes > 0 && stats.batches_spooled > 0);
    for (long u = 0; u < w->unit_count; u++) /* on disk: settled */
        AF_CHECK_INT(atomic_load(&w->units[u].settled), 1);
    set_down(&w->model, false);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err); /* patience is not failure */
    af_sink_stats(w->sink, &stats);
    AF_CHECK(stats.lines_spooled == 0 && stats.spool_bytes == 0);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(spool_of_an_earlier_run_goes_first)
{
    struct world *w = world_new(31);
    w->options.spool_dir = w->spool;
    w->options.batch_budget_ms = 5;
    w->options.patience_ms = 40;
    w->options.lanes = 3;
    w->refused_percent = 5;
    w->model.is_down = true;
    plan_units(w, 30, 100);
    for (int run = 0; run < 3; run++) {
        world_open(w);
        for (long u = run * 10; u < run * 10 + 10; u++)
            AF_CHECK_OK(put_unit(w, u), w->err);
        if (run < 2) {
            AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EIO);
            af_sink_close(w->sink);
            w->sink = NULL;
        }
        w->options.lanes = run == 0 ? 5 : 2;
        set_down(&w->model, run == 0);
    }
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(full_spool_makes_put_wait_and_then_fail)
{
    struct world *w = world_new(32);
    w->options.spool_dir = w->spool;
    w->options.spool_bytes_max = 2000;
    w->options.batch_budget_ms = 5;
    w->options.patience_ms = 100;
    w->model.is_down = true;
    plan_units(w, 1, 10000);
    world_open(w);
    int64_t began_ms = af_sink_now_ms();
    AF_CHECK_FAILS(put_unit(w, 0), AF_EFULL);
    AF_CHECK(af_sink_now_ms() - began_ms >= 100);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 0);
    world_done(w);
}

AF_TEST(full_spool_waits_for_a_store_that_comes_back)
{
    struct world *w = world_new(33);
    w->options.spool_dir = w->spool;
    w->options.spool_bytes_max = 3000;
    w->options.batch_budget_ms = 5;
    w->model.fail_percent = 70;
    w->refused_percent = 2;
    plan_units(w, 5, 1000);
    world_open(w);
    put_all(w);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(broken_spool_leaves_the_store)
{
    struct world *w = world_new(34);
    struct af_sink_stats stats;
    w->options.spool_dir = w->spool;
    w->options.batch_budget_ms = 5;
    w->model.is_down = true;
    plan_units(w, 1, 100);
    world_open(w);
    af_os_fault(AF_OS_SYNC, 1, UINT64_MAX, EIO);
    AF_CHECK_OK(put_unit(w, 0), w->err);
    af_clock_sleep_ms(100);
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.batches_spooled, 0);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 0);
    set_down(&w->model, false);
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    check_outcome(w, true);
    world_done(w);
}

AF_TEST(broken_spool_and_no_store_is_the_end)
{
    struct world *w = world_new(35);
    w->options.spool_dir = w->spool;
    w->options.batch_budget_ms = 5;
    w->options.patience_ms = 60;
    w->model.is_down = true;
    plan_units(w, 1, 100);
    world_open(w);
    af_os_fault(AF_OS_RENAME, 1, UINT64_MAX, EIO);
    enum af_status status = put_unit(w, 0);
    AF_CHECK(status == AF_OK || status == AF_EIO);
    AF_CHECK_FAILS(af_sink_finish(w->sink, &w->err), AF_EIO);
    AF_CHECK_INT(atomic_load(&w->units[0].settled), 0);
    world_done(w);
}

/* --- random runs --------------------------------------------------------------------------------------------------------- */

static void random_options(struct world *w)
{
    struct af_sink_options *o = &w->options;
    o->lanes = 1 + random_below(w, 4);
    o->batch_lines = 1 + random_below(w, 60);
    o->batch_bytes = 50 + random_below(w, 2000);
    o->batch_age_ms = 1 + random_below(w, 3);
    o->backoff_first_ms = 1;
    o->backoff_max_ms = 1 + random_below(w, 3);
    o->breaker_failures = 1 + random_below(w, 6);
    o->breaker_open_ms = 1 + random_below(w, 3);
    if (random_below(w, 2) == 0) {
        o->spool_dir = w->spool;
        o->batch_budget_ms = 1 + random_below(w, 5);
        if (random_below(w, 3) == 0)
            o->spool_bytes_max = 1500 + random_below(w, 10000);
    }
    w->refused_percent = random_below(w, 3) == 0 ? random_below(w, 20) : 0;
    w->model.fail_percent = random_below(w, 2) == 0 ? random_below(w, 50) : 0;
    w->model.bytes_max = random_below(w, 4) == 0 ? 60 + random_below(w, 1000) : 0;
    w->model.counts_dropped = random_below(w, 2) == 0;
    w->model.keeps_others = random_below(w, 2) == 0;
}

static void random_outage(struct world *w)
{
    af_mutex_lock(&w->model.lock);
    if (random_below(w, 4) == 0)
        w->model.fail_next = random_below(w, 30);
    af_mutex_unlock(&w->model.lock);
}

/* A whole run without a crash: every line exactly once in its place. */
static void run_whole(uint64_t seed)
{
    struct world *w = world_new(seed);
    struct af_sink_stats stats;
    random_options(w);
    plan_units(w, 1 + random_below(w, 8), 200);
    world_open(w);
    for (long u = 0; u < w->unit_count; u++) {
        AF_CHECK_OK(put_unit(w, u), w->err);
        random_outage(w);
    }
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    af_sink_stats(w->sink, &stats);
    AF_CHECK_INT(stats.lines_written + stats.lines_rejected, w->line_count - 1);
    AF_CHECK_INT(stats.lines_spooled, 0);
    check_outcome(w, true);
    world_done(w);
}

/* Runs that are closed in the middle; the next one puts the units again that had not settled. */
static void run_with_crashes(uint64_t seed)
{
    struct world *w = world_new(seed);
    random_options(w);
    w->points_are_own = true; /* else a unit that is put again would rightly overwrite later ones */
    plan_units(w, 1 + random_below(w, 16), 100);
    for (int life = 0;; life++) {
        bool is_last = life == 3;
        w->options.lanes = 1 + random_below(w, 4);
        world_open(w);
        for (long u = 0; u < w->unit_count; u++) {
            if (!is_last && random_below(w, 8) == 0)
                break;
            if (atomic_load(&w->units[u].settled) == 0)
                AF_CHECK_OK(put_unit(w, u), w->err);
            random_outage(w);
        }
        if (is_last)
            break;
        if (random_below(w, 3) == 0)
            af_clock_sleep_ms(random_below(w, 4));
        af_sink_close(w->sink);
        w->sink = NULL;
    }
    AF_CHECK_OK(af_sink_finish(w->sink, &w->err), w->err);
    check_outcome(w, false);
    world_done(w);
}

static void remove_world(uint64_t seed)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s/%llu'", af_test_dir(), (unsigned long long)seed);
    AF_CHECK(system(command) == 0);
}

static void many(void (*run)(uint64_t seed), uint64_t first, uint64_t count)
{
    const char *only = getenv("AF_SEED"); /* AF_SEED=n: this run alone; AF_RUNS=n: n times as many */
    const char *times = getenv("AF_RUNS");
    count *= times != NULL ? strtoull(times, NULL, 10) : 1;
    FILE *note = fopen("/dev/stderr", "w"); /* shown only when a failing check flushes all files on its way out */
    AF_CHECK(note != NULL && setvbuf(note, NULL, _IOFBF, 4096) == 0);
    for (uint64_t seed = first; seed < first + count; seed++) {
        if (only != NULL && strtoull(only, NULL, 10) != seed)
            continue;
        fprintf(note, "AF_SEED=%llu\n", (unsigned long long)seed);
        run(seed);
        remove_world(seed);
        __fpurge(note);
    }
    fclose(note);
}

AF_TEST(random_whole_runs)
{
    many(run_whole, 100000, 250);
}
AF_TEST(more_random_whole_runs)
{
    many(run_whole, 200000, 250);
}
AF_TEST(random_runs_with_crashes)
{
    many(run_with_crashes, 300000, 100);
}
AF_TEST(more_random_runs_with_crashes)
{
    many(run_with_crashes, 400000, 100);
}
