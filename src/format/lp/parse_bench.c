/* parse_bench.c - line protocol to points against a copy of the same bytes. */
#include "format/lp/bench_points.h"

/* Seconds for the whole text, best of `rounds`. */
static double parse_all(struct af_slice text, int rounds, uint64_t *out_points)
{
    struct af_lp_parse_options options = { .precision = AF_PRECISION_NS };
    struct af_error err = { 0 };
    double best = 1e9;
    struct af_arena arena;
    af_arena_init(&arena, (size_t)1 << 30);
    struct af_lp_parser *parser;
    bench_check(af_lp_parser_new(&options, &parser, &err) == AF_OK, err.message);
    for (int i = 0; i < rounds; i++) {
        *out_points = 0;
        double start = bench_now_s();
        for (size_t at = 0, used = 1; at < text.len && used > 0; at += used) {
            struct af_points points;
            af_arena_reset(&arena);
            struct af_slice rest = { text.ptr + at, text.len - at };
            bench_check(af_lp_parse(parser, rest, true, &arena, &points, NULL, &used, &err) == AF_OK, err.message);
            *out_points += points.row_count;
        }
        double took = bench_now_s() - start;
        best = took < best ? took : best;
    }
    af_lp_parser_free(parser);
    af_arena_done(&arena);
    return best;
}

/* The same lines in an order that no guess of the next series fits. */
static void shuffle(const struct af_lp_text *in, struct af_buf *out)
{
    struct af_prng prng = { 2 };
    for (size_t i = 0; i < in->line_count; i++) {
        struct af_slice line = af_lp_text_line(in, af_prng_below(&prng, in->line_count));
        af_buf_append(out, line.ptr, line.len + 1);
    }
}

static void report(const char *what, struct af_slice text, int rounds)
{
    uint64_t points;
    double best = parse_all(text, rounds, &points);
    bench_report(what, text, best, points, rounds);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 400;
    static struct bench_points b;
    struct af_lp_text text;
    struct af_buf shuffled;
    struct af_error err = { 0 };
    bench_fill(&b);
    af_lp_text_init(&text);
    af_buf_init(&shuffled, (size_t)1 << 30);
    bench_check(af_lp_encode(&b.points, AF_PRECISION_NS, &text, 1, &err) == AF_OK, err.message);
    shuffle(&text, &shuffled);
    bench_check(!shuffled.failed, "no memory");
    report("parse, series in turn", af_buf_slice(&text.bytes), rounds);
    report("parse, series at random", af_buf_slice(&shuffled), rounds);
    af_buf_done(&shuffled);
    af_lp_text_done(&text);
    af_intern_done(&b.set.keys);
    af_dict_unref(b.units);
    return 0;
}
