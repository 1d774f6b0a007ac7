/*
 * scan_test.c - rows put side by side against a row-by-row model, and the engine's scans and lists against the memory store, whatever lies
 * in files, in caches and under tombstones.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/prng.h"
#include "store/listing.h"
#include "tsm/engine_fixture.h"
#include "tsm/scan_int.h"

static struct af_error err;

/* --- rows side by side ------------------------------------------------------------------------------------------------------------- */

AF_TEST(bits_are_copied_anywhere)
{
    struct af_prng prng = { 2 };
    for (int round = 0; round < 20000; round++) {
        uint64_t src[4], dst[5] = { 0 }, want[5] = { 0 };
        for (int i = 0; i < 4; i++)
            src[i] = af_prng_next(&prng);
        size_t from = (size_t)af_prng_below(&prng, 256), to = (size_t)af_prng_below(&prng, 64);
        size_t count = (size_t)af_prng_below(&prng, 256 - from + 1);
        scan_copy_bits(dst, to, src, from, count);
        for (size_t i = 0; i < count; i++)
            if (af_bit_get(src, from + i))
                af_bit_set(want, to + i);
        AF_CHECK(memcmp(dst, want, sizeof dst) == 0);
    }
}

enum { LANES = 5, CELLS = 300 };

/* Lanes of all types with random gaps; each value says its time and lane. */
struct side {
    struct scan_lane lanes[LANES];
    int64_t times[LANES][CELLS];
    uint64_t values[LANES][CELLS];
    int32_t offsets[LANES][CELLS + 1];
    char text[LANES][CELLS * 8];
};

static const enum af_type side_types[LANES] = { AF_TYPE_F64, AF_TYPE_STRING, AF_TYPE_BOOL, AF_TYPE_I64, AF_TYPE_U64 };

static void make_lane(struct side *side, size_t lane, struct af_prng *prng, uint64_t dense)
{
    size_t count = 0;
    int32_t at = 0;
    memset(side->values[lane], 0, sizeof side->values[lane]);
    for (int64_t time = 0; time < CELLS; time++) {
        if (af_prng_below(prng, dense) == 0 && dense > 1)
            continue;
        side->times[lane][count] = time;
        side->offsets[lane][count] = at;
        at += snprintf(side->text[lane] + at, 8, "%.*s%d", (int)(time % 3), "--", (int)time);
        double real = (double)time / 2;
        if (side_types[lane] == AF_TYPE_F64)
            memcpy(&side->values[lane][count], &real, sizeof real);
        else if (side_types[lane] != AF_TYPE_BOOL)
            side->values[lane][count] = (uint64_t)time * (lane + 1);
        else if (time % 3 == 0)
            af_bit_set(side->values[lane], count);
        count++;
    }
    side->offsets[lane][count] = at;
    side->lanes[lane] = (struct scan_lane){ .column = lane };
    side->lanes[lane].values = (struct af_tsm_values){ .count = count, .time_ns = side->times[lane] };
    struct af_column *column = &side->lanes[lane].values.values;
    column->type = side_types[lane];
    column->values = side->values[lane];
    if (column->type == AF_TYPE_STRING)
        *column = (struct af_column){ .type = AF_TYPE_STRING, .offsets = side->offsets[lane], .bytes = side->text[lane] };
}

static bool lane_has(const struct side *side, size_t lane, int64_t time)
{
    for (size_t i = 0; i < side->lanes[lane].values.count; i++)
        if (side->times[lane][i] == time)
            return true;
    return false;
}

static void check_cell(const struct af_column *column, size_t row, size_t lane, int64_t time)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%.*s%d", (int)(time % 3), "--", (int)time);
    switch (column->type) {
    case AF_TYPE_F64: AF_CHECK_F64(column->f64[row], (double)time / 2); break;
    case AF_TYPE_STRING: AF_CHECK_SLICE(af_column_text(column, row), text); break;
    case AF_TYPE_BOOL: AF_CHECK_INT(af_bit_get(column->bits, row), time % 3 == 0); break;
    default: AF_CHECK_INT(column->i64[row], time * (int64_t)(lane + 1)); break;
    }
}

static void check_side(const struct side *side, const struct af_batch *batch)
{
    size_t row = 0;
    for (int64_t time = 0; time < CELLS; time++) {
        bool some = false;
        for (size_t lane = 0; lane < LANES; lane++)
            some = some || lane_has(side, lane, time);
        if (!some)
            continue;
        AF_CHECK_INT(batch->columns[1].i64[row], time);
        AF_CHECK_SLICE(af_column_text(&batch->columns[0], row), "m,a=b");
        for (size_t lane = 0; lane < LANES; lane++) {
            AF_CHECK_INT(af_column_has(&batch->columns[lane + 2], row), lane_has(side, lane, time));
            if (lane_has(side, lane, time))
                check_cell(&batch->columns[lane + 2], row, lane, time);
        }
        row++;
    }
    AF_CHECK_INT(batch->row_count, row);
    for (size_t lane = 0; lane < LANES; lane++)
        AF_CHECK_INT(batch->columns[lane + 2].null_count, row - side->lanes[lane].values.count);
}

static size_t compact_lanes(const struct side *side, struct scan_lane *lanes, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (lanes[i].at < side->lanes[lanes[i].column].values.count)
            lanes[kept++] = lanes[i];
    return kept;
}

AF_TEST(lanes_become_rows)
{
    static struct side side;
    struct af_field fields[LANES + 2] = { { .name = "series", .type = AF_TYPE_STRING }, { .name = "time", .type = AF_TYPE_TIME } };
    char path[600];
    struct af_index *index;
    struct af_prng prng = { 8 };
    uint32_t id;
    for (size_t i = 0; i < LANES; i++)
        fields[i + 2] = (struct af_field){ .name = "f", .type = side_types[i], .is_nullable = true };
    const struct af_schema schema = { LANES + 2, fields };
    (void)snprintf(path, sizeof path, "%s/series", af_test_dir());
    AF_CHECK_OK(af_index_open(path, &index, &err), err);
    AF_CHECK_OK(af_index_add(index, AF_SLICE_LIT("m,a=b"), &id, &err), err);
    for (int round = 0; round < 300; round++) {
        struct scan_rows rows;
        struct scan_lane lanes[LANES];
        struct af_arena arena;
        struct af_batch *batch;
        uint64_t dense = round % 3 == 0 ? 1 : 2 + af_prng_below(&prng, 40);
        for (size_t i = 0; i < LANES; i++)
            make_lane(&side, i, &prng, round % 3 == 1 && i % 2 == 0 ? 1 : dense);
        memcpy(lanes, side.lanes, sizeof lanes);
        af_arena_init(&arena, SIZE_MAX);
        AF_CHECK_OK(scan_rows_init(&rows, &schema, &err), err);
        AF_CHECK_OK(scan_rows_begin(&rows, &arena, &err), err);
        for (size_t count = compact_lanes(&side, lanes, LANES); count > 0; count = compact_lanes(&side, lanes, count)) {
            scan_rows_series(&rows, id, AF_SLICE_LIT("m,a=b"));
            AF_CHECK_OK(scan_rows_take(&rows, lanes, count, &err), err);
        }
        AF_CHECK_OK(scan_rows_finish(&rows, index, &batch, &err), err);
        check_side(&side, batch);
        scan_rows_done(&rows);
        af_arena_done(&arena);
    }
    af_index_close(index);
}

/* --- against the memory store -------------------------------------------------------------------------------------------------------- */

#define WEEK (INT64_C(7) * 24 * 3600 * 1000000000)
enum { WEEKS = 5, SLOTS = 400 };

static const int64_t base_ns = INT64_C(1699833600000000000); /* a Monday */

static int64_t random_time(struct af_prng *prng)
{
    return base_ns + (int64_t)af_prng_below(prng, WEEKS) * WEEK + (int64_t)af_prng_below(prng, SLOTS) * INT64_C(1500000000001);
}

static void append_random_line(struct af_buf *out, struct af_prng *prng)
{
    static const char *const series[] = { "m,a=1,b=x", "m,a=1", "m,a=2,b=y", "m,a=2,c=\\ z", "m", "m!,a=1", "n\\ o,a=1,b=x", "n\\ o,a=3" };
    static const char *const types[] = { "f=%u.5", "i=%ui", "s=\"text %u\"", "b=%s", "a\\ b=%u", "z=%ui" };
    const char *key = series[af_prng_below(prng, 8)];
    af_buf_append_str(out, key);
    unsigned first = (unsigned)af_prng_below(prng, 6), some = 1 + (unsigned)af_prng_below(prng, 3);
    for (unsigned i = 0; i < some; i++) {
        char field[40];
        unsigned n = (unsigned)af_prng_below(prng, 1000);
        const char *type = types[(first + i) % 6];
        if ((first + i) % 6 == 3)
            (void)snprintf(field, sizeof field, "b=%s", n % 2 != 0 ? "true" : "false");
        else
            (void)snprintf(field, sizeof field, type, n); // NOLINT(clang-diagnostic-format-nonliteral)
        af_buf_append_char(out, i == 0 ? ' ' : ',');
        af_buf_append_str(out, field);
    }
    af_buf_printf(out, " %lld\n", (long long)random_time(prng));
}

static void write_both(struct world *world, struct af_store *oracle, struct af_prng *prng)
{
    struct af_buf lines;
    af_buf_init(&lines, 1 << 20);
    for (uint64_t n = 1 + af_prng_below(prng, 120); n > 0; n--)
        append_random_line(&lines, prng);
    world_put(world, af_buf_cstr(&lines));
    af_contract_write(oracle, af_buf_slice(&lines), 1);
    af_buf_done(&lines);
}

/* A few predicates to choose from. */
static const struct af_predicate *random_predicate(struct af_prng *prng)
{
    static const struct af_predicate a1 = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("a"), .value = AF_SLICE_LIT("1") };
    static const struct af_predicate by = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("b"), .value = AF_SLICE_LIT("y") };
    static const struct af_predicate cz = { .op = AF_PREDICATE_NOT_EQUAL, .tag = AF_SLICE_LIT("c"), .value = AF_SLICE_LIT(" z") };
    static const struct af_predicate no_b = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("b"), .value = AF_SLICE_LIT("") };
    static const struct af_predicate *some[] = { &by, &no_b }, *both[] = { &cz, &no_b };
    static const struct af_predicate or = { .op = AF_PREDICATE_OR, .items = some, .item_count = 2 };
    static const struct af_predicate and = { .op = AF_PREDICATE_AND, .items = both, .item_count = 2 };
    static const struct af_predicate *list[] = { NULL, NULL, NULL, &a1, &by, &cz, &no_b, &or, &and };
    return list[af_prng_below(prng, 9)];
}

static const char *random_measurement(struct af_prng *prng)
{
    static const char *const names[] = { "m", "m!", "n o", "none" };
    return names[af_prng_below(prng, 4)];
}

static void random_range(struct af_prng *prng, struct af_scan *scan)
{
    scan->start_ns = af_prng_below(prng, 3) == 0 ? INT64_MIN : random_time(prng);
    scan->stop_ns = af_prng_below(prng, 3) == 0 ? INT64_MAX : random_time(prng) + (int64_t)af_prng_below(prng, 2);
}

static void compare(struct world *world, struct af_store *oracle, const struct af_scan *scan)
{
    struct af_buf got, want;
    af_buf_init(&got, (size_t)1 << 30);
    af_buf_init(&want, (size_t)1 << 30);
    af_contract_dump(world->store, scan, &got);
    af_contract_dump(oracle, scan, &want);
    if (!af_slice_eq(af_buf_slice(&got), af_buf_slice(&want)))
        af_test_failed(__FILE__, __LINE__, "%s [%lld, %lld) is\n%s\nwant\n%s", scan->measurement, (long long)scan->start_ns,
                       (long long)scan->stop_ns, af_buf_cstr(&got), af_buf_cstr(&want));
    af_buf_done(&got);
    af_buf_done(&want);
}

static void compare_some(struct world *world, struct af_store *oracle, struct af_prng *prng)
{
    static const char *const fields[] = { "f", "s", "zz", "a b", "b", "z", "i" };
    struct af_scan scan = { .measurement = random_measurement(prng), .predicate = random_predicate(prng) };
    random_range(prng, &scan);
    if (af_prng_below(prng, 3) == 0) {
        scan.fields = fields + af_prng_below(prng, 3);
        scan.field_count = 1 + (size_t)af_prng_below(prng, 4);
    }
    compare(world, oracle, &scan);
}

static void append_list(struct af_store *store, enum af_listing what, const struct af_scan *scan, struct af_buf *out)
{
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_OK(af_store_list(store, what, scan, &stream, &err), err);
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        for (size_t row = 0; row < batch->row_count; row++) {
            af_batch_print_row_json(out, batch, row);
            af_buf_append_char(out, '\n');
        }
    }
    af_stream_close(stream);
    af_arena_done(&arena);
}

static void compare_lists(struct world *world, struct af_store *oracle, struct af_prng *prng)
{
    static const enum af_listing kinds[] = { AF_LIST_MEASUREMENTS, AF_LIST_FIELDS, AF_LIST_TAG_KEYS, AF_LIST_TAG_VALUES, AF_LIST_SERIES };
    static const char *const tags[] = { "a", "b", "c", "none" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct af_scan scan = { .measurement = random_measurement(prng), .start_ns = INT64_MIN, .stop_ns = INT64_MAX,
                                .tag = tags[af_prng_below(prng, 4)], .predicate = random_predicate(prng) };
        struct af_buf got, want;
        af_buf_init(&got, 1 << 20);
        af_buf_init(&want, 1 << 20);
        if (kinds[i] != AF_LIST_FIELDS && af_prng_below(prng, 4) == 0)
            scan.measurement = NULL;
        if (kinds[i] == AF_LIST_FIELDS)
            scan.predicate = NULL;
        append_list(world->store, kinds[i], &scan, &got);
        append_list(oracle, kinds[i], &scan, &want);
        if (kinds[i] != AF_LIST_FIELDS || got.len != 0) /* a measurement without series has no fields here; the memory store keeps them */
            if (!af_slice_eq(af_buf_slice(&got), af_buf_slice(&want)))
                af_test_failed(__FILE__, __LINE__, "list %d of %s is\n%s\nwant\n%s", (int)kinds[i],
                               scan.measurement != NULL ? scan.measurement : "all", af_buf_cstr(&got), af_buf_cstr(&want));
        af_buf_done(&got);
        af_buf_done(&want);
    }
}

static void erase_both(struct world *world, struct af_store *oracle, struct af_prng *prng)
{
    struct af_scan scan = { .measurement = random_measurement(prng), .predicate = random_predicate(prng) };
    if (af_prng_below(prng, 5) == 0)
        scan.measurement = NULL;
    random_range(prng, &scan);
    if (scan.stop_ns <= scan.start_ns)
        scan.stop_ns = scan.start_ns + WEEK;
    AF_CHECK_OK(af_store_erase(world->store, &scan, &err), err);
    AF_CHECK_OK(af_store_erase(oracle, &scan, &err), err);
}

static void run_random(const char *name, uint64_t seed, int steps)
{
    struct world world;
    struct af_store *oracle;
    struct af_prng prng = { seed };
    world_init(&world, name);
    world_open(&world);
    AF_CHECK_OK(af_memory_open(NULL, &oracle, &err), err);
    AF_CHECK_OK(af_store_create(oracle, &err), err);
    for (int step = 0; step < steps; step++) {
        bool done;
        switch (af_prng_below(&prng, 16)) {
        case 0: world_reopen(&world); break;
        case 1:
        case 2: AF_CHECK_OK(af_tsm_compact(world.engine, af_prng_below(&prng, 3) == 0, &done, &err), err); break;
        case 3: erase_both(&world, oracle, &prng); break;
        case 4:
        case 5:
        case 6: world_flush(&world); break;
        default: write_both(&world, oracle, &prng); break;
        }
        compare_some(&world, oracle, &prng);
        compare_some(&world, oracle, &prng);
        if (step % 4 == 0)
            compare_lists(&world, oracle, &prng);
    }
    af_store_close(oracle);
    world_close(&world);
}

AF_TEST(scans_against_the_memory_store)
{
    run_random("a", 1, 150);
    run_random("b", 2, 150);
}

AF_TEST(scans_of_small_worlds)
{
    for (uint64_t seed = 10; seed < 30; seed++) {
        char name[20];
        (void)snprintf(name, sizeof name, "w%u", (unsigned)seed);
        run_random(name, seed, 12);
    }
}

/* --- single cases -------------------------------------------------------------------------------------------------------------------- */

static void open_world(struct world *world)
{
    world_init(world, "w");
    world_open(world);
    /* weeks as shards */
    AF_CHECK_OK(af_tsm_bucket_set(world->engine, &(struct af_tsm_bucket){ .id = BUCKET, .shard_ns = WEEK }, &world->err), world->err);
}

static void put_at(struct world *world, const char *fields, int week)
{
    char line[200];
    (void)snprintf(line, sizeof line, "m %s %lld\n", fields, (long long)(base_ns + week * WEEK));
    world_put(world, line);
}

static void check_rows(struct world *world, const char *want)
{
    char *got = world_dump(world->store, "m"), *at = got, text[1000] = "";
    for (char *line; (line = strsep(&at, "\n")) != NULL;) { /* without series and time */
        char *value = strchr(line, ' ');
        value = value != NULL ? strchr(value + 1, ' ') : NULL;
        if (value != NULL)
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), "[%s]", value + 1);
    }
    AF_CHECK_STR(text, want);
    free(got);
}

/* Float before integer before text before boolean; numbers are converted, other types left out. */
AF_TEST(types_that_differ_between_shards)
{
    struct world world;
    open_world(&world);
    put_at(&world, "v=1i,t=\"x\"", 0);
    put_at(&world, "v=2.5,t=true", 1);
    put_at(&world, "v=\"text\",t=3i", 2);
    put_at(&world, "v=true", 3);
    put_at(&world, "v=4u,t=false", 4);
    for (int flushed = 0; flushed < 2; flushed++) {
        check_rows(&world, "[v=0x1p+0][v=0x1.4p+1][t=3i][v=0x1p+2]");
        struct af_buf list;
        struct af_scan scan = { .measurement = "m" };
        af_buf_init(&list, 1 << 20);
        append_list(world.store, AF_LIST_FIELDS, &scan, &list);
        AF_CHECK_STR(af_buf_cstr(&list), "{\"name\":\"t\",\"type\":\"integer\"}\n{\"name\":\"v\",\"type\":\"float\"}\n");
        af_buf_done(&list);
        world_flush(&world);
    }
    world_close(&world);
}

static struct af_stream *open_stream(struct world *world, const struct af_scan *scan)
{
    struct af_stream *stream;
    AF_CHECK_OK(af_store_scan(world->store, scan, &stream, &err), err);
    return stream;
}

static size_t count_rows(struct af_stream *stream, size_t *out_batches)
{
    struct af_arena arena;
    struct af_batch *batch;
    size_t rows = 0;
    af_arena_init(&arena, SIZE_MAX);
    for (*out_batches = 0;; ++*out_batches) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        AF_CHECK(batch->row_count > 0 && batch->row_count <= AF_BATCH_ROWS);
        rows += batch->row_count;
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    return rows;
}

static const struct af_scan all_of_m = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };

/* What is written, flushed, compacted or deleted after the scan began is not in it. */
AF_TEST(a_scan_is_one_moment)
{
    struct world world;
    bool done;
    size_t batches;
    open_world(&world);
    for (int week = 0; week < 3; week++) {
        put_at(&world, "v=1", week);
        world_flush(&world);
        put_at(&world, "w=1", week);
    }
    struct af_stream *stream = open_stream(&world, &all_of_m);
    AF_CHECK_INT(stream->schema->field_count, 4);
    put_at(&world, "v=2,x=1", 3);
    put_at(&world, "v=2", 0);
    world_put(&world, "m,new=1 v=1 1\n");
    world_flush(&world);
    AF_CHECK_OK(af_tsm_compact(world.engine, true, &done, &err), err);
    AF_CHECK_OK(af_store_erase(world.store, &(struct af_scan){ .start_ns = INT64_MIN, .stop_ns = INT64_MAX }, &err), err);
    AF_CHECK_INT(count_rows(stream, &batches), 3);
    AF_CHECK_INT(batches, 1);
    af_stream_close(stream);
    check_rows(&world, "");
    world_close(&world);
}

AF_TEST(long_series_come_in_full_batches)
{
    struct world world;
    struct af_buf lines;
    size_t batches;
    enum { ROWS = 3 * AF_BATCH_ROWS + 5 };
    open_world(&world);
    af_buf_init(&lines, 64 << 20);
    for (int i = 0; i < ROWS; i++) {
        af_buf_printf(&lines, "m,a=%d v=%d%s %lld\n", i < ROWS / 2, i, i % 1000 == 999 ? ",w=1i" : "",
                      (long long)(base_ns + i * INT64_C(60000000000)));
        if (i % 9000 == 8999 || i == ROWS - 1) {
            world_put(&world, af_buf_cstr(&lines));
            af_buf_clear(&lines);
            if (i % 2 == 1)
                world_flush(&world);
        }
    }
    struct af_stream *stream = open_stream(&world, &all_of_m);
    AF_CHECK_INT(count_rows(stream, &batches), ROWS);
    AF_CHECK_INT(batches, 4);
    af_stream_close(stream);
    af_buf_done(&lines);
    world_close(&world);
}

AF_TEST(much_text_makes_more_batches)
{
    struct world world;
    struct af_buf line;
    size_t batches;
    enum { TEXT = 900 << 10, ROWS = 50 };
    open_world(&world);
    af_buf_init(&line, 2 << 20);
    for (int i = 0; i < ROWS; i++) {
        char *text;
        af_buf_clear(&line);
        af_buf_append_str(&line, "m s=\"");
        text = af_buf_reserve(&line, TEXT);
        memset(text, 'a' + i % 26, TEXT);
        line.len += TEXT;
        af_buf_printf(&line, "\",v=1 %d\n", i);
        world_put(&world, af_buf_cstr(&line));
        if (i % 10 == 0)
            world_flush(&world);
    }
    struct af_stream *stream = open_stream(&world, &all_of_m);
    AF_CHECK_INT(count_rows(stream, &batches), ROWS);
    AF_CHECK(batches >= 2 && batches <= 5);
    af_stream_close(stream);
    af_buf_done(&line);
    world_close(&world);
}

AF_TEST(scans_of_nothing)
{
    struct world world;
    size_t batches;
    open_world(&world);
    put_at(&world, "v=1", 0);
    const struct af_scan scans[] = {
        { .measurement = "none", .stop_ns = INT64_MAX },
        { .measurement = "m", .start_ns = base_ns, .stop_ns = base_ns },
        { .measurement = "m", .start_ns = base_ns + 1, .stop_ns = base_ns + WEEK },
        { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MIN },
        { .measurement = "m", .start_ns = INT64_MAX, .stop_ns = INT64_MAX },
        { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .fields = (const char *const[]){ "w" }, .field_count = 1 },
        { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .fields = (const char *const[]){ "v" }, .field_count = 0 },
    };
    for (int flushed = 0; flushed < 2; flushed++) {
        for (size_t i = 0; i < sizeof scans / sizeof *scans; i++) {
            struct af_stream *stream = open_stream(&world, &scans[i]);
            AF_CHECK_INT(count_rows(stream, &batches), 0);
            AF_CHECK_INT(batches, 0);
            af_stream_close(stream);
        }
        world_flush(&world);
    }
    world_close(&world);
}

AF_TEST(a_scan_can_be_stopped)
{
    struct world world;
    struct af_arena arena;
    struct af_batch *batch;
    bool cancel = false;
    struct af_scan scan = all_of_m;
    scan.cancel = &cancel;
    open_world(&world);
    put_at(&world, "v=1", 0);
    struct af_stream *stream = open_stream(&world, &scan);
    cancel = true;
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_FAILS(af_stream_next(stream, &arena, &batch, &err), AF_ECANCELED);
    af_stream_close(stream);
    af_arena_done(&arena);
    world_close(&world);
}

/* A flipped bit in a block is an error with the file's name, not other data. */
AF_TEST(a_broken_block_fails_the_scan)
{
    struct world world;
    struct af_arena arena;
    struct af_batch *batch;
    open_world(&world);
    put_at(&world, "v=1", 0);
    world_flush(&world);
    world_close(&world);
    char command[1200];
    (void)snprintf(command, sizeof command, "printf '\\377' | dd of=\"$(ls %s/*.tsm)\" bs=1 seek=12 conv=notrunc 2>/dev/null",
                   world_path(&world, "engine/data/00000000000000b1/autogen/*"));
    AF_CHECK(system(command) == 0);
    world_open(&world);
    struct af_stream *stream = open_stream(&world, &all_of_m);
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_FAILS(af_stream_next(stream, &arena, &batch, &err), AF_ECORRUPT);
    AF_CHECK(strstr(err.message, ".tsm") != NULL);
    af_stream_close(stream);
    af_arena_done(&arena);
    world_close(&world);
}

/* Each write puts one point into every one of a few series; a scan sees all of them or none, whether they are cached or being flushed. */
enum { PAIRS = 5, PAIR_WRITES = 400 };

static void run_writes(void *ctx)
{
    struct world *world = ctx;
    struct af_error own;
    for (int i = 0; i < PAIR_WRITES; i++) {
        char text[PAIRS * 64];
        int len = 0;
        for (int k = 0; k < PAIRS; k++)
            len += snprintf(text + len, sizeof text - (size_t)len, "m,a=%d v=%di,w=%d %lld\n", k, i, i, (long long)(base_ns + i));
        struct af_write write = { .lines = af_slice_make(text, (size_t)len), .precision_ns = 1 };
        struct af_write_answer answer = { 0 };
        AF_CHECK_OK(af_store_write(world->store, &write, &answer, &own), own);
        if (i % 25 == 24)
            AF_CHECK_OK(af_tsm_flush(world->engine, &own), own);
        if (i % 100 == 99)
            AF_CHECK_OK(af_tsm_compact(world->engine, true, &(bool){ false }, &own), own);
    }
}

AF_TEST(scans_beside_writes)
{
    struct world world;
    struct af_thread writer;
    world_init(&world, "w");
    world.options.no_wal = true;
    world_open(&world);
    for (int k = 0; k < PAIRS; k++)
        world_put(&world, (const char *const[]){ "m,a=0 v=0i,w=0 1699833600000000000\n", "m,a=1 v=0i,w=0 1699833600000000000\n",
                                                 "m,a=2 v=0i,w=0 1699833600000000000\n", "m,a=3 v=0i,w=0 1699833600000000000\n",
                                                 "m,a=4 v=0i,w=0 1699833600000000000\n" }[k]);
    AF_CHECK_OK(af_thread_start(&writer, "writer", run_writes, &world, &err), err);
    size_t rows = 0, batches;
    for (int scans = 0; rows < (size_t)PAIRS * PAIR_WRITES && scans < 100000; scans++) {
        struct af_stream *stream = open_stream(&world, &all_of_m);
        size_t now = count_rows(stream, &batches);
        af_stream_close(stream);
        AF_CHECK(now >= rows && now % PAIRS == 0);
        rows = now;
    }
    af_thread_join(&writer);
    AF_CHECK_INT(rows, PAIRS * PAIR_WRITES);
    world_close(&world);
}

static enum af_status scan_all(struct world *world, size_t *out_rows)
{
    struct af_stream *stream;
    struct af_batch *batch = NULL;
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    enum af_status status = af_store_scan(world->store, &all_of_m, &stream, &err);
    bool is_open = status == AF_OK;
    *out_rows = 0;
    while (status == AF_OK) {
        status = af_stream_next(stream, &arena, &batch, &err);
        if (status != AF_OK || batch == NULL)
            break;
        *out_rows += batch->row_count;
    }
    if (is_open)
        af_stream_close(stream);
    if (status == AF_OK)
        status = af_store_list(world->store, AF_LIST_TAG_KEYS, &(struct af_scan){ 0 }, &stream, &err);
    else
        is_open = false;
    if (is_open && status == AF_OK)
        af_stream_close(stream);
    af_arena_done(&arena);
    return status;
}

AF_TEST(scan_without_memory)
{
    struct world world;
    size_t rows;
    open_world(&world);
    for (int week = 0; week < 3; week++) {
        put_at(&world, "v=1,s=\"x\",b=true", week % 2);
        put_at(&world, "v=1i", 2);
        world_put(&world, "m,a=1 v=1,i=7i 1\nm,a=2 v=1 5\nn,b=1 v=1 7\n");
        if (week < 2)
            world_flush(&world);
    }
    AF_CHECK_OK(scan_all(&world, &rows), err);
    size_t want = rows;
    enum af_status status = AF_ENOMEM;
    for (size_t nth = 1; status != AF_OK; nth++) {
        af_alloc_fail_nth(nth);
        status = scan_all(&world, &rows);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK(nth < 3000);
    }
    AF_CHECK_INT(rows, want);
    world_close(&world);
}
