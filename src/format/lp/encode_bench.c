/* encode_bench.c - points to line protocol against a copy of the same bytes. */
#include "format/lp/bench_points.h"

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 400;
    static struct bench_points b;
    struct af_lp_text lanes[4];
    struct af_error err = { 0 };
    bench_fill(&b);
    for (uint32_t lane_count = 1; lane_count <= 4; lane_count += 3) {
        for (unsigned i = 0; i < 4; i++)
            af_lp_text_init(&lanes[i]);
        double best = 1e9;
        for (int i = 0; i < rounds; i++) {
            for (unsigned k = 0; k < lane_count; k++)
                af_lp_text_clear(&lanes[k]);
            double start = bench_now_s();
            bench_check(af_lp_encode(&b.points, AF_PRECISION_NS, lanes, lane_count, &err) == AF_OK, err.message);
            double took = bench_now_s() - start;
            best = took < best ? took : best;
        }
        struct af_buf all;
        af_buf_init(&all, (size_t)1 << 30);
        for (unsigned k = 0; k < lane_count; k++)
            af_buf_append_slice(&all, af_buf_slice(&lanes[k].bytes));
        bench_check(!all.failed, "no memory");
        bench_report(lane_count == 1 ? "encode, 1 lane" : "encode, 4 lanes", af_buf_slice(&all), best, BENCH_ROWS, rounds);
        af_buf_done(&all);
        if (lane_count == 1)
            printf("  %.*s\n", (int)af_lp_text_line(&lanes[0], 1).len, af_lp_text_line(&lanes[0], 1).ptr);
        for (unsigned i = 0; i < 4; i++)
            af_lp_text_done(&lanes[i]);
    }
    af_intern_done(&b.set.keys);
    af_dict_unref(b.units);
    return 0;
}
