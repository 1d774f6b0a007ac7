/* ons_test.c - generated files: the same for a seed, of the right number of rows, and plausible. */
#include "base/calendar.h"
#include "base/utf8.h"
#include "generate/generate_int.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <stdio.h>

static const int64_t JAN_2023 = INT64_C(19358) * INT64_C(86400000000000);

static struct af_generate_options options(const char *dir)
{
    return (struct af_generate_options){ .out_dir = dir,
                                         .from_ns = JAN_2023 + 30 * AF_NS_PER_DAY, /* 31 January and 1 February */
                                         .to_ns = JAN_2023 + 32 * AF_NS_PER_DAY,
                                         .plants = 7,
                                         .seed = 5,
                                         .generation = true,
                                         .realistic_plants = true };
}

static const char *path_in(const char *name)
{
    static char paths[4][300];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", af_test_dir(), name);
    return path;
}

static struct af_buf bytes_of(const char *name)
{
    struct af_error err;
    struct af_buf buf;
    af_buf_init(&buf, 1 << 24);
    AF_CHECK_OK(af_file_read_all(path_in(name), &buf, &err), err);
    return buf;
}

static void same_bytes(const char *a, const char *b, bool want)
{
    struct af_buf x = bytes_of(a), y = bytes_of(b);
    AF_CHECK(x.len > 100);
    AF_CHECK_INT(af_slice_eq(af_buf_slice(&x), af_buf_slice(&y)), want);
    af_buf_done(&x);
    af_buf_done(&y);
}

AF_TEST(same_seed_same_bytes)
{
    struct af_error err;
    struct af_generate_result result;
    struct af_generate_options o = options(path_in("a"));
    AF_CHECK_OK(af_generate_ons(&o, &result, &err), err);
    AF_CHECK_INT(result.files, 2);
    AF_CHECK_INT(result.rows, 2 * 24 * 7);
    AF_CHECK_INT(result.bad_rows, 0);
    o.out_dir = path_in("b");
    AF_CHECK_OK(af_generate_ons(&o, &result, &err), err);
    o.out_dir = path_in("c");
    o.seed++;
    AF_CHECK_OK(af_generate_ons(&o, &result, &err), err);
    same_bytes("a/dataset=generation/year=2023/month=01/part-000.parquet",
               "b/dataset=generation/year=2023/month=01/part-000.parquet", true);
    same_bytes("a/dataset=generation/year=2023/month=02/part-000.parquet",
               "b/dataset=generation/year=2023/month=02/part-000.parquet", true);
    same_bytes("a/dataset=generation/year=2023/month=01/part-000.parquet",
               "c/dataset=generation/year=2023/month=01/part-000.parquet", false);
    struct af_buf one = bytes_of("c/dataset=generation/year=2023/month=01/part-000.parquet");
    struct af_buf two = bytes_of("c/dataset=generation/year=2023/month=02/part-000.parquet");
    AF_CHECK_INT(result.bytes, one.len + two.len);
    af_buf_done(&one);
    af_buf_done(&two);
}

static void count_progress(void *ctx, uint64_t done, uint64_t all)
{
    uint64_t *seen = ctx;
    AF_CHECK(done > seen[0] && done <= all);
    seen[0] = done;
    seen[1] = all;
}

AF_TEST(counts_of_all_datasets)
{
    struct af_error err;
    struct af_generate_result result;
    uint64_t seen[2] = { 0, 0 };
    struct af_generate_options o = options(path_in("all"));
    o.consumption = o.transmission = true;
    o.step_ns = 1800 * AF_NS_PER_S;
    o.bad_rows_every = 10;
    o.progress = count_progress;
    o.ctx = seen;
    AF_CHECK_OK(af_generate_ons(&o, &result, &err), err);
    AF_CHECK_INT(result.rows, 2 * 48 * (7 + 20 + 32));
    AF_CHECK_INT(result.bad_rows, result.rows / 10);
    AF_CHECK_INT(result.files, 6);
    AF_CHECK_INT(seen[0], result.rows);
    AF_CHECK_INT(seen[1], result.rows);
    o.plants = 0;
    o.consumption = o.transmission = false;
    AF_CHECK_OK(af_generate_ons(&o, &result, &err), err);
    AF_CHECK_INT(result.files, 0);
}

static void count_bad(const struct af_batch *batch, uint64_t counts[4])
{
    const struct af_column *time = &batch->columns[0], *value = &batch->columns[5], *plant = &batch->columns[8];
    for (size_t i = 0; i < batch->row_count; i++) {
        counts[0] += !af_column_has(time, i);
        counts[1] += !af_column_has(value, i);
        counts[2] += af_column_has(value, i) && value->f64[i] != value->f64[i];
        counts[3] += !af_utf8_is_valid(af_column_text(plant, i));
    }
}

AF_TEST(bad_rows_come_in_turn)
{
    struct af_error err;
    struct af_generate_result result;
    struct af_reader *reader;
    struct af_parquet *parquet;
    struct af_stream *stream;
    struct af_arena arena;
    struct af_batch *batch;
    uint64_t counts[4] = { 0 };
    struct af_generate_options o = options(path_in("bad"));
    o.to_ns -= AF_NS_PER_DAY;
    o.bad_rows_every = 4;
    AF_CHECK_OK(af_generate_ons(&o, &result, &err), err);
    const char *path = path_in("bad/dataset=generation/year=2023/month=01/part-000.parquet");
    AF_CHECK_OK(af_file_reader_open(path, &reader, &err), err);
    AF_CHECK_OK(af_parquet_open(reader, &parquet, &err), err);
    AF_CHECK_OK(af_parquet_scan(parquet, &(struct af_parquet_scan){ 0 }, &stream, &err), err);
    af_arena_init(&arena, 1 << 26);
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        count_bad(batch, counts);
        af_arena_reset(&arena);
    }
    AF_CHECK_INT(result.bad_rows, 24 * 7 / 4);
    for (uint64_t kind = 0; kind < 4; kind++)
        AF_CHECK_INT(counts[kind], (result.bad_rows + 3 - kind) / 4);
    af_stream_close(stream);
    af_arena_done(&arena);
    af_parquet_close(parquet);
    af_reader_close(reader);
}

AF_TEST(wrong_options_are_refused)
{
    struct af_error err;
    struct af_generate_result result;
    struct af_generate_options o = options(path_in("x"));
    o.from_ns++;
    AF_CHECK_FAILS(af_generate_ons(&o, &result, &err), AF_EINVAL);
    o = options(path_in("x"));
    o.to_ns = o.from_ns;
    AF_CHECK_FAILS(af_generate_ons(&o, &result, &err), AF_EINVAL);
    o = options(path_in("x"));
    o.step_ns = 7 * AF_NS_PER_S + 1;
    AF_CHECK_FAILS(af_generate_ons(&o, &result, &err), AF_EINVAL);
    o = options(path_in("x"));
    o.generation = false;
    AF_CHECK_FAILS(af_generate_ons(&o, &result, &err), AF_EINVAL);
}

/* A series' value at an instant does not depend on what else is generated. */
AF_TEST(subsets_have_the_values_of_the_whole)
{
    struct af_error err;
    struct af_arena arena;
    struct af_gen_table few, many;
    struct af_gen_weather weather;
    double a[50], b[50];
    uint32_t qa[50], qb[50];
    af_arena_init(&arena, 1 << 24);
    AF_CHECK_OK(af_gen_table_make(AF_GEN_GENERATION, 20, true, 9, &arena, &few, &err), err);
    AF_CHECK_OK(af_gen_table_make(AF_GEN_GENERATION, 50, false, 9, &arena, &many, &err), err);
    for (int hour = 0; hour < 24; hour++) {
        int64_t ns = JAN_2023 + hour * 3600 * AF_NS_PER_S;
        af_gen_weather_at(ns, 9, AF_GEN_GENERATION, &weather);
        af_gen_values(&few, &weather, ns, 9, 0, 20, a, qa);
        af_gen_values(&many, &weather, ns, 9, 5, 45, b, qb);
        for (int s = 5; s < 20; s++) {
            AF_CHECK_F64(a[s], b[s - 5]);
            AF_CHECK_INT(qa[s], qb[s - 5]);
        }
    }
    af_arena_done(&arena);
}

AF_TEST(values_are_plausible)
{
    enum { PLANTS = 300 };
    struct af_error err;
    struct af_arena arena;
    struct af_gen_table t;
    struct af_gen_weather weather;
    static double values[PLANTS];
    static uint32_t quality[PLANTS];
    size_t valid = 0, all = 0;
    double noon = 0;
    af_arena_init(&arena, 1 << 24);
    AF_CHECK_OK(af_gen_table_make(AF_GEN_GENERATION, PLANTS, true, 1, &arena, &t, &err), err);
    for (int hour = 0; hour < 24 * 30; hour++) {
        int64_t ns = JAN_2023 + hour * 3600 * AF_NS_PER_S;
        af_gen_weather_at(ns, 1, AF_GEN_GENERATION, &weather);
        af_gen_values(&t, &weather, ns, 1, 0, PLANTS, values, quality);
        for (size_t s = 0; s < PLANTS; s++) {
            bool is_solar = t.kinds[s] == AF_GEN_SOLAR;
            AF_CHECK(values[s] >= 0 && values[s] <= t.peaks[s] + 0.1);
            AF_CHECK(!is_solar || values[s] == 0 || (hour % 24 > 4 && hour % 24 < 20));
            AF_CHECK(values[s] * 1000 - (double)(int64_t)(values[s] * 1000 + 0.5) < 1e-6);
            noon += is_solar && hour % 24 == 12 ? values[s] : 0;
            valid += quality[s] == 0;
            all++;
        }
    }
    AF_CHECK(noon > 0);
    AF_CHECK(valid > all * 98 / 100 && valid < all);
    for (uint32_t i = 0; i < PLANTS; i++)
        AF_CHECK(af_utf8_is_valid(af_dict_get(t.dicts[AF_GEN_PLANT], i)));
    AF_CHECK(!af_utf8_is_valid(af_dict_get(t.dicts[AF_GEN_PLANT], t.bad_plant)));
    af_arena_done(&arena);
}
