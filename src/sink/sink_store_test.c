/*
 * sink_store_test.c - the sink before the reference store, which judges lines as InfluxDB does, behind the store that fails by plan.
 *
 * The oracle is a second memory store that gets each line by itself, in order, without a sink. At the end both must hold the same
 * points. A series is a measurement here, so that type conflicts are decided by the order within a lane.
 */
#include "sink/sink_world.h"
#include "store/decorate.h"
#include "store/memory.h"

enum { MEASUREMENTS = 6 };

struct pair {
    struct af_prng prng;
    struct af_store *fault; /* around the memory store the sink writes to */
    struct af_store *oracle;
    struct af_sink *sink;
    struct af_error err;
    uint64_t lines;
    uint64_t refused;       /* by the oracle */
    atomic_int settled;
    bool has_spool;
    char dir[200];
};

static uint32_t below(struct pair *p, uint32_t bound)
{
    return (uint32_t)af_prng_below(&p->prng, bound);
}

static void count_settled(void *ctx, uint64_t unit_id)
{
    struct pair *p = ctx;
    (void)unit_id;
    atomic_fetch_add(&p->settled, 1);
}

/* One line, sometimes wrong: a conflicting type, no field, nonsense. */
static int random_line(struct pair *p, unsigned measurement, unsigned wrong_percent, char *out, size_t cap)
{
    unsigned time = below(p, 40);
    unsigned value = (unsigned)p->lines;
    if (below(p, 100) >= wrong_percent)
        return snprintf(out, cap, "m%u,k=a\\ b v=%u,w=\"%u\" %u\n", measurement, value, value, time);
    switch (below(p, 4)) {
    case 0:
        return snprintf(out, cap, "m%u,k=a\\ b v=%ui %u\n", measurement, value, time);
    case 1:
        return snprintf(out, cap, "m%u,k=a\\ b w=%u %u\n", measurement, value, time);
    case 2:
        return snprintf(out, cap, "m%u,k=a\\ b v= %u\n", measurement, time);
    default:
        return snprintf(out, cap, "m%u,k= v=1 %u\n", measurement, time);
    }
}

static void tell_oracle(struct pair *p, struct af_slice line)
{
    struct af_write write = { .lines = line, .line_count = 1, .precision_ns = 1 };
    struct af_write_answer answer = { 0 };
    AF_CHECK_OK(af_store_write(p->oracle, &write, &answer, &p->err), p->err);
    p->refused += answer.verdict == AF_WRITE_BAD_LINES;
}

/* Some lines of one lane, to both. */
static void put_some(struct pair *p, struct af_sink_unit *unit, uint32_t lane, unsigned wrong_percent)
{
    uint32_t lanes = af_sink_lanes(p->sink);
    uint32_t ends[64];
    uint32_t rows[64];
    struct af_lp_text text = { .ends = ends, .rows = rows, .line_count = 0 };
    af_buf_init(&text.bytes, 1 << 20);
    for (uint32_t i = below(p, 64); i > 0; i--) {
        unsigned measurement = below(p, MEASUREMENTS);
        if (measurement % lanes != lane)
            continue;
        char line[160];
        int n = random_line(p, measurement, wrong_percent, line, sizeof line);
        tell_oracle(p, af_slice_make(line, (size_t)n));
        af_buf_append(&text.bytes, line, (size_t)n);
        ends[text.line_count] = (uint32_t)text.bytes.len;
        rows[text.line_count] = (uint32_t)text.line_count;
        text.line_count++;
        p->lines++;
    }
    AF_CHECK_OK(af_sink_put(p->sink, unit, lane, &text, p->lines, &p->err), p->err);
    af_buf_done(&text.bytes);
}

/* --- what a store holds, as sorted text ---------------------------------------------------------------------------------- */

static void print_batch(struct af_buf *out, const struct af_batch *batch)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        af_batch_print_row_json(out, batch, row);
        af_buf_append_char(out, '\n');
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_lines(struct af_buf *text)
{
    size_t count = 0;
    char **lines = calloc(text->len + 1, sizeof *lines);
    char *copy = strdup(af_buf_cstr(text));
    AF_CHECK(lines != NULL && copy != NULL);
    for (char *at = copy, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        lines[count++] = at;
    }
    qsort(lines, count, sizeof *lines, by_text);
    af_buf_clear(text);
    for (size_t i = 0; i < count; i++)
        af_buf_printf(text, "%s\n", lines[i]);
    free(copy);
    free(lines);
}

static void dump(struct af_store *store, unsigned measurement, struct af_buf *out)
{
    char name[16];
    struct af_error err;
    struct af_stream *stream;
    struct af_arena arena;
    struct af_batch *batch;
    snprintf(name, sizeof name, "m%u", measurement);
    struct af_scan scan = { .measurement = name, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    af_arena_init(&arena, 1 << 26);
    af_buf_clear(out);
    AF_CHECK_OK(af_store_scan(store, &scan, &stream, &err), err);
    do {
        af_arena_reset(&arena);
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch != NULL)
            print_batch(out, batch);
    } while (batch != NULL);
    af_stream_close(stream);
    af_arena_done(&arena);
    sort_lines(out);
}

static void check_equal(struct pair *p)
{
    struct af_buf a;
    struct af_buf b;
    af_buf_init(&a, 1 << 26);
    af_buf_init(&b, 1 << 26);
    for (unsigned m = 0; m < MEASUREMENTS; m++) {
        dump(p->fault, m, &a);
        dump(p->oracle, m, &b);
        AF_CHECK_STR(af_buf_cstr(&a), af_buf_cstr(&b));
    }
    af_buf_done(&a);
    af_buf_done(&b);
}

/* --- runs ---------------------------------------------------------------------------------------------------------------- */

static struct pair *pair_open(uint64_t seed)
{
    struct pair *p = calloc(1, sizeof *p);
    AF_CHECK(p != NULL);
    p->prng.state = seed;
    snprintf(p->dir, sizeof p->dir, "%s/%llu", af_test_dir(), (unsigned long long)seed);
    struct af_memory_options memory = { .is_v2 = below(p, 2) == 0, .request_bytes_max = below(p, 3) == 0 ? 200 + below(p, 2000) : 0 };
    struct af_memory_options plain = { .is_v2 = memory.is_v2 };
    struct af_fault_plan plan = { .seed = seed, .before_permille = below(p, 200), .after_permille = below(p, 200),
                                  .half_permille = below(p, 200), .busy_permille = below(p, 100), .retry_after_ms = below(p, 3) };
    struct af_store *inner;
    AF_CHECK_OK(af_memory_open(&memory, &inner, &p->err), p->err);
    AF_CHECK_OK(af_fault_open(inner, &plan, &p->fault, &p->err), p->err);
    AF_CHECK_OK(af_memory_open(&plain, &p->oracle, &p->err), p->err);
    struct af_sink_options options = { .lanes = 1 + below(p, 4), .batch_lines = 1 + below(p, 60), .batch_bytes = 100 + below(p, 4000),
                                       .batch_age_ms = 1, .backoff_first_ms = 1, .backoff_max_ms = 2, .breaker_open_ms = 1,
                                       .batch_budget_ms = 20000, .dead_letters_dir = p->dir, .run_id = "r", .seed = seed };
    char spool[260];
    snprintf(spool, sizeof spool, "%s/spool", p->dir);
    p->has_spool = below(p, 2) == 0;
    if (p->has_spool) {
        options.spool_dir = spool;
        options.batch_budget_ms = 1 + below(p, 4);
    }
    AF_CHECK_OK(af_sink_open(p->fault, &options, &p->sink, &p->err), p->err);
    return p;
}

static void run(uint64_t seed)
{
    struct pair *p = pair_open(seed);
    struct af_sink_stats stats;
    unsigned wrong_percent = below(p, 2) == 0 ? below(p, 30) : 0;
    int units = 1 + (int)below(p, 5);
    for (int u = 0; u < units; u++) {
        struct af_sink_unit *unit;
        AF_CHECK_OK(af_sink_unit_begin(p->sink, (uint64_t)u, "f", 0, count_settled, p, &unit, &p->err), p->err);
        for (uint32_t i = 0; i < 8; i++)
            put_some(p, unit, below(p, af_sink_lanes(p->sink)), wrong_percent);
        af_sink_unit_end(p->sink, unit);
        af_fault_set_down(p->fault, p->has_spool && u + 1 < units && below(p, 3) == 0);
    }
    AF_CHECK_OK(af_sink_finish(p->sink, &p->err), p->err);
    af_sink_stats(p->sink, &stats);
    AF_CHECK_INT(stats.lines_rejected, p->refused);
    AF_CHECK_INT(stats.lines_written + stats.lines_rejected, p->lines);
    AF_CHECK_INT(atomic_load(&p->settled), units);
    check_equal(p);
    af_sink_close(p->sink);
    af_store_close(p->fault);
    af_store_close(p->oracle);
    free(p);
}

AF_TEST(reference_store_ends_as_without_a_sink)
{
    many(run, 1, 40);
}
