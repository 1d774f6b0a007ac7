/*
 * batch_test.c - builds: writes in two steps against a memory store; what is called durable is there after a kill; files of one generation
 * with full blocks; refused rows with their reasons, whatever the order of the first step.
 */
#include "base/prng.h"
#include "format/lp/lp.h"
#include "os/clock.h"
#include "tsm/engine_fixture.h"
#include <inttypes.h>

/* Lines on their way. */
struct load {
    struct af_lp_parser *parser;
    struct af_arena arena;
    struct af_tsm_batch *batch;
    struct af_tsm_verdict prepared, applied;
    uint64_t stretch;
};

static void build_open(struct world *world, size_t cache_bytes)
{
    world_init(world, "a");
    world->options.no_wal = world->options.no_compaction = true;
    world->options.is_manual = false;
    world->options.cache_bytes = cache_bytes;
    world->options.compact_bytes_per_s = UINT64_MAX;
    world_open(world);
}

static void prepare(struct world *world, struct load *load, const char *lines)
{
    struct af_points points;
    size_t used;
    struct af_lp_parse_options options = { .precision = AF_PRECISION_NS };
    *load = (struct load){ 0 };
    af_arena_init(&load->arena, SIZE_MAX);
    AF_CHECK_OK(af_lp_parser_new(&options, &load->parser, &world->err), world->err);
    AF_CHECK_OK(af_lp_parse(load->parser, af_slice_of(lines), true, &load->arena, &points, NULL, &used, &world->err), world->err);
    struct af_tsm_write write = { .bucket = BUCKET, .points = &points, .arena = &load->arena };
    AF_CHECK_OK(af_tsm_prepare(world->engine, &write, &load->prepared, &load->batch, &world->err), world->err);
}

static void apply(struct world *world, struct load *load)
{
    AF_CHECK_OK(af_tsm_apply(load->batch, &load->applied, &load->stretch, &world->err), world->err);
}

static void load_done(struct load *load)
{
    af_arena_done(&load->arena);
    af_lp_parser_free(load->parser);
}

AF_TEST(batches_take_effect_in_the_order_in_which_they_are_applied)
{
    struct world world;
    struct load loads[3];
    build_open(&world, 1 << 20);
    prepare(&world, &loads[2], "m v=3 1\nm w=2 3\nm,t=b v=true 4\n"); /* prepared first, applied last */
    prepare(&world, &loads[1], "m v=2 1\nm v=2i 2\n");
    prepare(&world, &loads[0], "m v=1 1\nm w=1i 1\n");
    for (int i = 0; i < 3; i++) {
        AF_CHECK_INT(loads[i].prepared.dropped_row_count, 0);
        apply(&world, &loads[i]);
    }
    AF_CHECK_INT(loads[0].applied.dropped_row_count, 0);
    AF_CHECK_INT(loads[1].applied.dropped_row_count, 1);
    AF_CHECK_INT(loads[1].applied.dropped_rows[0], 1);
    AF_CHECK_INT(loads[2].applied.conflicts, 2);
    AF_CHECK_INT(loads[2].applied.dropped_rows[1], 2);
    AF_CHECK_STR(loads[2].applied.dropped_reasons[0], "field type conflict: input field \"w\" on measurement \"m\" is type float, already "
                                                      "exists as type integer");
    AF_CHECK_STR(loads[2].applied.dropped_reasons[1], "field type conflict: input field \"v\" on measurement \"m\" is type boolean, "
                                                      "already exists as type float");
    struct af_slice key = af_tsm_batch_key(loads[2].batch, 2);
    AF_CHECK(af_slice_is(key, "m,t=b"));
    for (int i = 0; i < 3; i++)
        load_done(&loads[i]);
    world_check(&world, "m", "m 1 v=0x1.8p+1 w=1i\n");
    world_close(&world);
}

AF_TEST(what_is_refused_early_is_told_early)
{
    struct world world;
    struct load load;
    build_open(&world, 1 << 20);
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &(struct af_tsm_bucket){ BUCKET, 1000, 1000 }, &world.err), world.err);
    char lines[256];
    (void)snprintf(lines, sizeof lines, "m v=1 %" PRId64 "\nm v=2 1\nm v=3i %" PRId64 "\n", world.now, world.now);
    prepare(&world, &load, lines);
    AF_CHECK_INT(load.prepared.dropped_row_count, 1);
    AF_CHECK_INT(load.prepared.dropped_rows[0], 1);
    AF_CHECK_STR(load.prepared.dropped_reasons[0], "points beyond retention policy");
    apply(&world, &load);
    AF_CHECK_INT(load.applied.dropped_row_count, 1);
    AF_CHECK_INT(load.applied.dropped_rows[0], 2);
    AF_CHECK(load.stretch > 0);
    load_done(&load);
    prepare(&world, &load, "m v=2 1\n");
    apply(&world, &load);
    AF_CHECK_INT(load.stretch, 0);
    load_done(&load);
    world_close(&world);
}

AF_TEST(an_engine_with_a_log_has_no_second_step)
{
    struct world world;
    struct af_tsm_verdict verdict;
    struct af_tsm_batch *batch;
    struct af_points points = { 0 };
    struct af_arena arena;
    world_init(&world, "a");
    world_open(&world);
    af_arena_init(&arena, SIZE_MAX);
    struct af_tsm_write write = { .bucket = BUCKET, .points = &points, .arena = &arena };
    AF_CHECK_INT(af_tsm_prepare(world.engine, &write, &verdict, &batch, &world.err), AF_EINVAL);
    af_arena_done(&arena);
    world_close(&world);
}

/* --- many batches, many flushes ---------------------------------------------------------------------------------------------- */

enum { ROWS = 1500, SERIES = 12 };

/* Rows of a batch: hourly for a few series that fill blocks, and some that seldom have a row. `restate`: some times again, with other
 * values. */
static void make_lines(struct af_prng *prng, unsigned number, bool restate, struct af_buf *out)
{
    for (unsigned i = 0; i < ROWS; i++) {
        unsigned hour = number * (ROWS / 4) + i / 4;
        if (restate && af_prng_below(prng, 10) == 0)
            hour -= (unsigned)af_prng_below(prng, hour + 1);
        unsigned series = af_prng_below(prng, 50) == 0 ? 4 + (unsigned)af_prng_below(prng, SERIES - 4) : i % 4;
        af_buf_printf(out, "m,s=%u ", series);
        if (series != 7)
            af_buf_printf(out, "v=%u.25,", number * ROWS + i);
        if (series % 2 == 0 || af_prng_below(prng, 9) > 0)
            af_buf_printf(out, "b=%s,", i % 3 == 0 ? "true" : "false");
        af_buf_printf(out, "n=%ui,text=\"%s%u\" %lld\n", number * ROWS + i, i % 5 == 0 ? "a longer text than that, " : "MW", series,
                      (long long)hour * 3600000000000);
    }
    AF_CHECK_INT(af_buf_check(out, "lines", NULL), AF_OK);
}

static void one_batch(struct world *world, struct af_store *oracle, struct af_prng *prng, unsigned number, bool restate,
                      uint64_t *out_stretch)
{
    struct af_buf lines;
    struct load load;
    struct af_write_answer answer = { 0 };
    af_buf_init(&lines, SIZE_MAX / 2);
    make_lines(prng, number, restate, &lines);
    prepare(world, &load, af_buf_cstr(&lines));
    apply(world, &load);
    *out_stretch = load.stretch;
    load_done(&load);
    struct af_write write = { .lines = af_buf_slice(&lines), .precision_ns = 1 };
    if (oracle != NULL)
        AF_CHECK_OK(af_store_write(oracle, &write, &answer, &world->err), world->err);
    af_buf_done(&lines);
}

static size_t generations(struct world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < world->engine->at.shard_count; i++) {
        const struct af_files *files = world->engine->at.shards[i]->files;
        for (size_t k = 0; k < files->count; k++)
            count += k == 0 || files->parts[k]->generation != files->parts[k - 1]->generation;
    }
    return count;
}

static void build(bool restate)
{
    const bool never = false;
    struct world world;
    struct af_store *oracle;
    struct af_prng prng = { 20261124 };
    uint64_t stretch = 0;
    build_open(&world, 1 << 20);
    struct af_tsm_bucket year = { BUCKET, 0, INT64_C(364) * 86400000000000 };
    AF_CHECK_OK(af_tsm_bucket_set(world.engine, &year, &world.err), world.err);
    AF_CHECK_OK(af_memory_open(NULL, &oracle, &world.err), world.err);
    for (unsigned i = 0; i < 40; i++)
        one_batch(&world, oracle, &prng, i, restate, &stretch);
    world_flush(&world);
    AF_CHECK(af_tsm_durable(world.engine) >= stretch);
    AF_CHECK(world_stats(&world).flushes > 3);
    AF_CHECK_OK(af_tsm_compact_built(world.engine, &never, &world.err), world.err);
    AF_CHECK_INT(generations(&world), world_stats(&world).shards);
    AF_CHECK((world_stats(&world).compactions > 0) == restate);
    world_check_same(&world, oracle, "m");
    world_reopen(&world);
    world_check_same(&world, oracle, "m");
    world_close(&world);
    af_store_close(oracle);
}

AF_TEST(a_build_in_order_of_time_needs_no_compaction)
{
    build(false);
}

AF_TEST(a_build_with_restated_values_is_compacted)
{
    build(true);
}

/* Is every line of `few` in `many`? Both are in the same order. */
static bool holds_all(const char *many, const char *few)
{
    while (*few != '\0') {
        size_t len = strcspn(few, "\n") + 1;
        while (*many != '\0' && strncmp(many, few, len) != 0)
            many += strcspn(many, "\n") + 1;
        if (*many == '\0')
            return false;
        few += len;
    }
    return true;
}

AF_TEST(what_is_called_durable_survives_a_kill)
{
    enum { BATCHES = 40 };
    static uint64_t stretches[BATCHES];
    struct world world;
    struct af_store *oracle;
    struct af_prng prng = { 7 };
    build_open(&world, 1 << 20);
    unsigned at = 0;
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < BATCHES / 4; i++, at++)
            one_batch(&world, NULL, &prng, at, false, &stretches[at]);
        af_clock_sleep_ms(30 * round); /* the flusher gets so far, or not */
        uint64_t durable = af_tsm_durable(world.engine);
        if (round < 3)
            continue;
        world_reopen(&world);
        struct af_prng again = { 7 };
        AF_CHECK_OK(af_memory_open(NULL, &oracle, &world.err), world.err);
        unsigned sure = 0;
        for (unsigned i = 0; i < at; i++) {
            struct af_buf lines;
            struct af_write_answer answer = { 0 };
            af_buf_init(&lines, SIZE_MAX / 2);
            make_lines(&again, i, false, &lines);
            struct af_write write = { .lines = af_buf_slice(&lines), .precision_ns = 1 };
            if (stretches[i] <= durable)
                AF_CHECK_OK(af_store_write(oracle, &write, &answer, &world.err), world.err);
            sure += stretches[i] <= durable;
            af_buf_done(&lines);
        }
        AF_CHECK(sure > 0);
        char *many = world_dump(world.store, "m");
        char *few = world_dump(oracle, "m");
        AF_CHECK(holds_all(many, few));
        free(many);
        free(few);
        af_store_close(oracle);
    }
    world_close(&world);
}
