/* stats_test.c - side files: what they say against what the points say, in every form; damage; what they cost. */
#include "base/calendar.h"
#include "format/tsm/file_fixture.h"
#include "format/tsm/stats_int.h"

enum { ARENA_MAX = 1 << 30 };

AF_TEST(tsm_stats_columns_round_trip)
{
    struct af_prng prng = { 4 };
    static uint64_t values[1000], back[1000];
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    for (int round = 0; round < 400; round++) {
        const size_t count = (size_t)af_prng_below(&prng, 1000);
        const uint64_t spread = round % 65 == 64 ? UINT64_MAX : (UINT64_C(1) << round % 65) - 1;
        for (size_t i = 0; i < count; i++)
            values[i] = af_prng_below(&prng, 4) == 0 && i != 0 ? values[i - 1] : af_prng_next(&prng) & spread;
        af_buf_clear(&out);
        af_tsm_column_put(&out, values, count);
        const uint8_t *at = (const uint8_t *)out.ptr;
        AF_CHECK(af_tsm_column_get(&at, (const uint8_t *)out.ptr + out.len, back, count));
        AF_CHECK(at == (const uint8_t *)out.ptr + out.len);
        AF_CHECK(memcmp(values, back, count * 8) == 0);
        if (count != 0) {
            at = (const uint8_t *)out.ptr;
            AF_CHECK(!af_tsm_column_get(&at, (const uint8_t *)out.ptr + out.len - 1, back, count));
        }
    }
    af_buf_done(&out);
}

/* --- against the points ------------------------------------------------------------------------------------------------------ */

static double f64_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Row by row, the plain way. */
static void add_row(const struct af_column *col, size_t row, struct af_tsm_stat *stat)
{
    uint64_t v = 0;
    if (col->type == AF_TYPE_BOOL)
        v = af_bit_get(col->bits, row);
    else if (col->type != AF_TYPE_STRING)
        v = col->u64[row];
    const struct af_tsm_stat one = { 1, col->type == AF_TYPE_BOOL ? 0 : v, v, v, v, v };
    if (stat->count == 0)
        *stat = one;
    else
        af_tsm_stat_add(col->type, stat, &one);
}

static bool is_near(enum af_type type, uint64_t a, uint64_t b)
{
    if (type != AF_TYPE_F64 || a == b)
        return a == b;
    const double x = f64_of(a);
    const double y = f64_of(b);
    const double size = (x < 0 ? -x : x) + (y < 0 ? -y : y);
    const double off = x - y < 0 ? y - x : x - y;
    return off <= size * 1e-9 + 1e-3; /* sums of what nearly cancels out */
}

static void check_stat(enum af_type type, const struct af_tsm_stat *got, const struct af_tsm_stat *want)
{
    AF_CHECK_INT(got->count, want->count);
    AF_CHECK(got->min == want->min);
    AF_CHECK(got->max == want->max);
    AF_CHECK(got->first == want->first);
    AF_CHECK(got->last == want->last);
    AF_CHECK(is_near(type, got->sum, want->sum));
}

/* One key's values, written as blocks of `block` points at most: blocks and days as the reader gives them. */
static void check_key(const struct af_tsm_values *values, const struct af_tsm_stat *blocks, size_t block_count,
                      const struct af_tsm_day *days, size_t day_count, bool wants_days)
{
    const size_t want_blocks = (values->count - 1) / AF_TSM_BLOCK_POINTS + 1;
    const enum af_type type = values->values.type;
    size_t day = 0;
    if (values->count < AF_TSM_STATS_BLOCK_POINTS_MIN * want_blocks) {
        AF_CHECK(block_count == 0 && day_count == 0);
        return;
    }
    AF_CHECK_INT(block_count, want_blocks);
    AF_CHECK(!wants_days || day_count != 0);
    for (size_t b = 0; b < block_count; b++) {
        struct af_tsm_stat want = { 0 };
        for (size_t i = b * AF_TSM_BLOCK_POINTS; i < (b + 1) * AF_TSM_BLOCK_POINTS && i < values->count; i++)
            add_row(&values->values, i, &want);
        check_stat(type, &blocks[b], &want);
    }
    for (size_t i = 0; i < values->count && day_count != 0; day++) {
        struct af_tsm_stat want = { 0 };
        const int64_t number = af_floor_div(values->time_ns[i], AF_NS_PER_DAY);
        for (; i < values->count && af_floor_div(values->time_ns[i], AF_NS_PER_DAY) == number; i++)
            add_row(&values->values, i, &want);
        AF_CHECK(day < day_count);
        AF_CHECK_INT(days[day].day, number);
        check_stat(type, &days[day].stat, &want);
    }
    AF_CHECK_INT(day, day_count);
}

static void write_keys(const struct af_tsm_values *values, size_t count, struct af_buf *bytes, struct af_buf *stats)
{
    struct af_error err;
    struct af_tsm_writer *w;
    AF_CHECK_OK(af_tsm_writer_new(fixture_emit, bytes, &w, &err), err);
    for (size_t i = 0; i < count; i++) {
        char key[64];
        snprintf(key, sizeof key, "m,k=%06zu#!~#v", i);
        AF_CHECK_OK(af_tsm_writer_add(w, af_slice_of(key), &values[i], &err), err);
    }
    AF_CHECK_OK(af_tsm_writer_finish(w, NULL, &err), err);
    AF_CHECK_OK(af_tsm_writer_stats(w, stats, &err), err);
    af_tsm_writer_free(w);
}

static const int64_t steps[] = { 1000000000, 3600000000000, 900000000000, 43200000000000, 86400000000000 };

AF_TEST(tsm_stats_equal_the_points)
{
    enum { KEYS = 150 };
    static struct af_tsm_values values[KEYS];
    struct af_error err;
    struct af_arena arena, scratch;
    struct af_buf bytes, side;
    struct fixture_reader reader;
    struct af_tsm_stats *stats;
    struct af_prng prng = { 17 };
    uint64_t tsm_bytes;
    uint32_t crc;
    af_arena_init(&arena, ARENA_MAX);
    af_arena_init(&scratch, ARENA_MAX);
    af_buf_init(&bytes, ARENA_MAX);
    af_buf_init(&side, ARENA_MAX);
    for (size_t i = 0; i < KEYS; i++)
        fixture_values(&prng, &arena, fixture_types[i % 5], 1 + (size_t)af_prng_below(&prng, i % 7 == 0 ? 5000 : 400),
                       (int64_t)af_prng_below(&prng, 1000000000000000) - 500000000000000, steps[i % 4], &values[i]);
    write_keys(values, KEYS, &bytes, &side);
    for (int as_reader = 0; as_reader < 2; as_reader++) {
        if (as_reader)
            AF_CHECK_OK(af_tsm_stats_open_reader(fixture_reader(&reader, af_buf_slice(&side)), &stats, &err), err);
        else
            AF_CHECK_OK(af_tsm_stats_open(af_buf_slice(&side), "side", &stats, &err), err);
        af_tsm_stats_of(stats, &tsm_bytes, &crc);
        AF_CHECK_INT(tsm_bytes, bytes.len);
        for (size_t i = 0; i < KEYS; i++) {
            struct af_tsm_stat *blocks;
            struct af_tsm_day *days;
            size_t block_count, day_count;
            af_arena_reset(&scratch);
            AF_CHECK_OK(af_tsm_stats_get(stats, i, &scratch, &blocks, &block_count, &days, &day_count, &err), err);
            check_key(&values[i], blocks, block_count, days, day_count, i % 4 == 0 || i % 4 == 2);
        }
        struct af_tsm_stat *none;
        struct af_tsm_day *no_days;
        size_t n;
        AF_CHECK_FAILS(af_tsm_stats_get(stats, KEYS, &scratch, &none, &n, &no_days, &n, &err), AF_EINVAL);
        af_tsm_stats_close(stats);
    }
    af_buf_done(&bytes);
    af_buf_done(&side);
    af_arena_done(&arena);
    af_arena_done(&scratch);
}

/* The first and last day of int64 are not whole; values at their ends; sums that wrap. */
AF_TEST(tsm_stats_at_the_ends_of_int64)
{
    enum { POINTS = 128 };
    static int64_t times[POINTS];
    static uint64_t numbers[POINTS];
    struct af_error err;
    struct af_arena arena;
    struct af_buf bytes, side;
    struct af_tsm_stats *stats;
    struct af_tsm_stat *blocks;
    struct af_tsm_day *days;
    size_t block_count, day_count;
    static const enum af_type types[] = { AF_TYPE_I64, AF_TYPE_U64 };
    af_arena_init(&arena, ARENA_MAX);
    for (size_t t = 0; t < 2; t++) {
        af_buf_init(&bytes, ARENA_MAX);
        af_buf_init(&side, ARENA_MAX);
        for (int i = 0; i < POINTS; i++) {
            times[i] = i < POINTS / 2 ? INT64_MIN + i : INT64_MAX - POINTS + 1 + i;
            numbers[i] = i % 3 == 0 ? UINT64_MAX / 2 + 1 : i % 3 == 1 ? UINT64_MAX : UINT64_MAX / 2;
        }
        const struct af_tsm_values values = { POINTS, times, { .type = types[t], .u64 = numbers } };
        write_keys(&values, 1, &bytes, &side);
        AF_CHECK_OK(af_tsm_stats_open(af_buf_slice(&side), "side", &stats, &err), err);
        AF_CHECK_OK(af_tsm_stats_get(stats, 0, &arena, &blocks, &block_count, &days, &day_count, &err), err);
        check_key(&values, blocks, block_count, days, day_count, true);
        AF_CHECK_INT(days[0].day, -106752);
        AF_CHECK_INT(days[1].day, 106751);
        af_tsm_stats_close(stats);
        af_buf_done(&bytes);
        af_buf_done(&side);
    }
    af_arena_done(&arena);
}

/* --- damage ------------------------------------------------------------------------------------------------------------------ */

/* All of a side file: its answers appended to `out`; false if it is refused anywhere. */
static bool read_all(struct af_slice side, size_t keys, struct af_buf *out)
{
    struct af_tsm_stats *stats;
    struct fixture_reader reader;
    struct af_arena arena;
    bool is_good = true;
    af_buf_clear(out);
    if (af_tsm_stats_open_reader(fixture_reader(&reader, side), &stats, NULL) != AF_OK)
        return false;
    af_arena_init(&arena, ARENA_MAX);
    for (size_t i = 0; i < keys; i++) {
        struct af_tsm_stat *blocks;
        struct af_tsm_day *days;
        size_t block_count, day_count;
        af_arena_reset(&arena);
        if (af_tsm_stats_get(stats, i, &arena, &blocks, &block_count, &days, &day_count, NULL) != AF_OK) {
            is_good = false;
            continue;
        }
        af_buf_printf(out, "%zu:%zu,%zu;", i, block_count, day_count);
        for (size_t b = 0; b < block_count; b++)
            af_buf_printf(out, "%u %llx %llx %llx;", blocks[b].count, (unsigned long long)blocks[b].sum, (unsigned long long)blocks[b].min,
                          (unsigned long long)blocks[b].last);
        for (size_t d = 0; d < day_count; d++)
            af_buf_printf(out, "%lld %llx;", (long long)days[d].day, (unsigned long long)days[d].stat.sum);
    }
    af_arena_done(&arena);
    af_tsm_stats_close(stats);
    return is_good;
}

AF_TEST(tsm_stats_any_byte_flipped_or_cut)
{
    enum { KEYS = 40 };
    static struct af_tsm_values values[KEYS];
    struct af_prng prng = { 23 };
    struct af_arena arena;
    struct af_buf bytes, side, want, got;
    size_t harmless = 0;
    af_arena_init(&arena, ARENA_MAX);
    af_buf_init(&bytes, ARENA_MAX);
    af_buf_init(&side, ARENA_MAX);
    af_buf_init(&want, ARENA_MAX);
    af_buf_init(&got, ARENA_MAX);
    for (size_t i = 0; i < KEYS; i++)
        fixture_values(&prng, &arena, fixture_types[i % 5], i >= 16 && i < 32 ? 5 : 70 + i, 0, steps[i % 2], &values[i]);
    write_keys(values, KEYS, &bytes, &side);
    AF_CHECK(read_all(af_buf_slice(&side), KEYS, &want));
    for (size_t i = 0; i < side.len; i++) {
        const char was = side.ptr[i];
        side.ptr[i] = (char)(was ^ (1 << af_prng_below(&prng, 8)));
        const bool is_good = read_all(af_buf_slice(&side), KEYS, &got);
        AF_CHECK(!is_good || af_slice_eq(af_buf_slice(&want), af_buf_slice(&got)));
        harmless += is_good;
        side.ptr[i] = was;
    }
    AF_CHECK(harmless <= 8);
    for (size_t len = 0; len < side.len; len++)
        AF_CHECK(!read_all(af_slice_make(side.ptr, len), KEYS, &got));
    af_buf_done(&bytes);
    af_buf_done(&side);
    af_buf_done(&want);
    af_buf_done(&got);
    af_arena_done(&arena);
}

AF_TEST(tsm_stats_reader_without_memory)
{
    struct af_prng prng = { 29 };
    struct af_arena arena;
    struct af_buf bytes, side;
    struct af_tsm_values values;
    struct af_error err;
    enum af_status status;
    size_t nth = 0;
    af_arena_init(&arena, ARENA_MAX);
    af_buf_init(&bytes, ARENA_MAX);
    af_buf_init(&side, ARENA_MAX);
    fixture_values(&prng, &arena, AF_TYPE_F64, 30000, 0, steps[1], &values);
    write_keys(&values, 1, &bytes, &side);
    do {
        struct af_tsm_stats *stats;
        struct af_arena own;
        struct af_tsm_stat *blocks;
        struct af_tsm_day *days;
        size_t block_count, day_count;
        af_arena_init(&own, ARENA_MAX);
        af_alloc_fail_nth(++nth);
        status = af_tsm_stats_open(af_buf_slice(&side), "side", &stats, &err);
        if (status == AF_OK) {
            status = af_tsm_stats_get(stats, 0, &own, &blocks, &block_count, &days, &day_count, &err);
            af_tsm_stats_close(stats);
        }
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        af_arena_done(&own);
    } while (status != AF_OK);
    AF_CHECK(nth > 2);
    af_buf_done(&bytes);
    af_buf_done(&side);
    af_arena_done(&arena);
}
