/*
 * sink_world.h - what the tests of this room share: a store that fails in every way the seam allows, a plan of lines, and what must
 * come out of both.
 *
 * The store ("model") is a table of points: the last value that reached it wins. A line is `m,s=S v=N T`; N counts over the plan,
 * so for each point (S, T) the largest N that was put must be the one that stays, whatever was sent twice. `v=badN` and
 * v="N" are lines that the store refuses.
 */
#ifndef AF_SINK_WORLD_H
#define AF_SINK_WORLD_H
#include "base/alloc.h"
#include "base/arena.h"
#include "format/json/json.h"
#include "format/lp/lp.h"
#include "os/clock.h"
#include "sink/sink_int.h"
#include "test/lib/test.h"
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
    int64_t first_call_ms, last_call_ms;
    size_t lines_max_seen;
    int64_t precision_seen;
};

struct line {
    int series;
    int time;
    long n;
    bool is_refused;
};

static inline bool read_line(struct af_slice text, struct line *out)
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
static inline size_t keep(struct model *m, struct af_slice lines, bool keeps, size_t lines_max)
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

static inline enum af_status fail_somehow(struct model *m, const struct af_write *write, struct af_error *err)
{
    static const enum af_status kinds[] = { AF_EIO, AF_EBUSY, AF_EFULL, AF_ENOMEM };
    enum af_status status = m->fail_status != AF_OK ? m->fail_status : kinds[af_prng_below(&m->prng, 4)];
    keep(m, write->lines, true, (size_t)af_prng_below(&m->prng, write->line_count + 1));
    (void)af_fail(err, status, "the model is unwell");
    err->retry_after_ms = m->retry_after_ms;
    return status;
}

static inline enum af_status answer_locked(struct model *m, const struct af_write *write, struct af_write_answer *out,
                                           struct af_error *err)
{
    m->calls++;
    m->last_call_ms = af_sink_now_ms();
    m->first_call_ms = m->calls == 1 ? m->last_call_ms : m->first_call_ms;
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

static inline enum af_status model_write(struct af_store *store, const struct af_write *write, struct af_write_answer *out,
                                         struct af_error *err)
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

static inline void model_init(struct model *m, uint64_t seed)
{
    *m = (struct model){ .base = { &model_ops, "the model" }, .prng = { seed } };
    af_mutex_init(&m->lock);
}

static inline void set_down(struct model *m, bool is_down)
{
    af_mutex_lock(&m->lock);
    m->is_down = is_down;
    af_mutex_unlock(&m->lock);
}

static inline long calls_of(struct model *m)
{
    af_mutex_lock(&m->lock);
    long calls = m->calls;
    af_mutex_unlock(&m->lock);
    return calls;
}

/* --- texts --------------------------------------------------------------------------------------------------------------- */

static inline void text_add(struct af_lp_text *text, uint32_t row, const char *fmt, ...) AF_PRINTF(3, 4);
static inline void text_add(struct af_lp_text *text, uint32_t row, const char *fmt, ...)
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

static inline void text_init(struct af_lp_text *text)
{
    *text = (struct af_lp_text){ 0 };
    af_buf_init(&text->bytes, UINT32_MAX);
}

static inline void text_clear(struct af_lp_text *text)
{
    af_buf_clear(&text->bytes);
    text->line_count = 0;
    text->value_count = 0;
}

static inline void text_done(struct af_lp_text *text)
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

static inline void on_settled(void *ctx, uint64_t unit_id)
{
    struct world *w = ctx;
    atomic_fetch_add(&w->units[unit_id].settled, 1);
}

static inline struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    AF_CHECK(w != NULL);
    model_init(&w->model, seed * 77);
    w->prng.state = seed;
    w->line_count = 1;
    snprintf(w->dir, sizeof w->dir, "%s/%llu", af_test_dir(), (unsigned long long)seed);
    snprintf(w->spool, sizeof w->spool, "%s/spool", w->dir);
    w->options = (struct af_sink_options){ .lanes = 2, .batch_lines = 20, .batch_age_ms = 2, .backoff_first_ms = 1,
                                           .backoff_max_ms = 3, .batch_budget_ms = 1000, .breaker_failures = 4,
                                               .breaker_open_ms = 2, .patience_ms = 5000,
                                           .dead_letters_dir = w->dir, .seed = seed };
    return w;
}

static inline void world_open(struct world *w)
{
    snprintf(w->run_id, sizeof w->run_id, "run%d", ++w->runs);
    w->options.run_id = w->run_id;
    AF_CHECK_OK(af_sink_open(&w->model.base, &w->options, &w->sink, &w->err), w->err);
}

static inline uint32_t random_below(struct world *w, uint32_t bound)
{
    return (uint32_t)af_prng_below(&w->prng, bound);
}

static inline void plan_line(struct world *w, long unit)
{
    AF_CHECK(w->line_count < LINES_MAX);
    struct line *line = &w->lines[w->line_count];
    line->n = w->line_count++;
    line->series = (int)random_below(w, SERIES);
    line->time = w->points_are_own ? (int)((unsigned)unit * 4 % TIMES + random_below(w, 4)) : (int)random_below(w, TIMES);
    line->is_refused = random_below(w, 100) < w->refused_percent;
}

static inline void plan_units(struct world *w, long units, uint32_t lines_max)
{
    for (long u = 0; u < units; u++) {
        w->units[u].first = w->line_count;
        for (uint32_t i = random_below(w, lines_max + 1); i > 0; i--)
            plan_line(w, u);
        w->units[u].end = w->line_count;
    }
    w->unit_count = units;
}

static inline void print_line(struct af_lp_text *text, const struct line *line, uint32_t row)
{
    if (!line->is_refused)
        text_add(text, row, "m,s=%d v=%ld %d\n", line->series, line->n, line->time);
    else if (line->n % 2 == 0)
        text_add(text, row, "m,s=%d v=bad%ld %d\n", line->series, line->n, line->time);
    else
        text_add(text, row, "m,s=%d v=\"%ld\" %d\n", line->series, line->n, line->time);
}

/* Lines [from, to) of the plan, split over the lanes as ingest does. The row in the file is n * 10. */
static inline enum af_status put_lines(struct world *w, struct af_sink_unit *unit, long from, long to)
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

static inline enum af_status put_unit(struct world *w, long u)
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

static inline void put_all(struct world *w)
{
    for (long u = 0; u < w->unit_count; u++)
        AF_CHECK_OK(put_unit(w, u), w->err);
}

static inline long unit_of(const struct world *w, long n)
{
    long u = 0;
    while (n >= w->units[u].end)
        u++;
    return u;
}

static inline void check_letter(struct world *w, const struct af_json *letter)
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
static inline void read_letters(struct world *w)
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
static inline void check_outcome(struct world *w, bool once)
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

static inline void world_done(struct world *w)
{
    af_sink_close(w->sink);
    af_mutex_done(&w->model.lock);
    free(w);
}

/* --- many seeds ------------------------------------------------------------------------------------------------------------ */

static inline void remove_world(uint64_t seed)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s/%llu'", af_test_dir(), (unsigned long long)seed);
    AF_CHECK(system(command) == 0);
}

static inline void many(void (*run)(uint64_t seed), uint64_t first, uint64_t count)
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
#endif
