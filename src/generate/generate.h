/*
 * generate.h - deterministic ONS-shaped Parquet files in the platform's processed layout, for demos, tests and benches.
 *
 *     DIR/dataset=generation/year=2023/month=01/part-000.parquet ...
 */
#ifndef AF_GENERATE_GENERATE_H
#define AF_GENERATE_GENERATE_H
#include "format/parquet/parquet.h"

struct af_generate_options {
    const char *out_dir;
    int64_t from_ns, to_ns;       /* [from, to), multiples of a day UTC */
    uint32_t plants;              /* of dataset=generation; 0: 0 series */
    int64_t step_ns;              /* 0: one hour */
    uint64_t seed;
    bool generation, consumption, transmission;
    struct af_parquet_write_options parquet;
    uint64_t bad_rows_every;      /* every Nth row is one that cannot be a point (null time, NaN, empty value in turn); 0: none */
    bool realistic_plants;        /* a plant_name column, so that each plant is a series */
    void (*progress)(void *ctx, uint64_t rows_done, uint64_t rows_all);
    void *ctx;
};
struct af_generate_result {
    uint64_t files, rows, bad_rows, bytes;
};
AF_MUST_CHECK enum af_status af_generate_ons(const struct af_generate_options *options, struct af_generate_result *out,
                                             struct af_error *err);
#endif
