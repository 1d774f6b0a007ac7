/*
 * crash_test.c - the engine and the power cut: random work is recorded, then the disk as it may be after a crash at any moment is opened
 * and compared with a model (test/lib/crash_disk.h says what a crash may do).
 *
 *     what was acknowledged before the moment is there; of the one call in flight all or nothing (a write), or any part of it (a deletion)
 *
 * AFLUXO_SIM_SEED begins elsewhere, AFLUXO_SIM_COUNT makes more crashes: `make sim`.
 */
#include "base/prng.h"
#include "os/clock.h"
#include "os/fault.h"
#include "os/tree.h"
#include "test/lib/crash_disk.h"
#include "test/lib/test.h"
#include "tsm/tsm.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERIES = 5, FIELDS = 3, TIMES = 48, OPS = 40, BUCKET = 0xabc, CRASHES_PER_RUN = 100, DEFAULT_CRASHES = 2000 };
static const int64_t STEP_NS = INT64_C(3600) * 1000000000 * 2; /* 12 rows a day, 4 shards of a day */
static const int64_t FIRST_NS = INT64_C(1700006400) * 1000000000;

struct cells {
    double value[SERIES][FIELDS][TIMES]; /* 0: none */
};
enum op_kind { OP_WRITE, OP_ERASE, OP_OTHER };
struct op {
    enum op_kind kind;
    size_t moment;     /* when it had returned */
    struct cells after;
};
struct sim {
    char dir[256], crash_dir[256];
    uint64_t seed;
    struct af_prng prng;
    struct af_tsm *engine;
    struct af_store *store;
    struct cells now;
    double next_value;
    struct op ops[OPS + 1];
    size_t op_count;
    struct crash_disk *disk;
};

static void fail_at(const struct sim *sim, const char *fmt, size_t moment, uint64_t seed, const char *more)
{
    af_test_failed(__FILE__, __LINE__, fmt, (unsigned long long)sim->seed, moment, (unsigned long long)seed, more);
}

static const char *open_engine(const char *dir, struct af_tsm **engine, struct af_store **store, struct af_error *err)
{
    struct af_tsm_options options = { .dir = dir, .cache_bytes = 64 << 10, .is_manual = true, .compact_bytes_per_s = UINT64_MAX };
    struct af_tsm_bucket bucket = { BUCKET, 0, INT64_C(86400) * 1000000000 };
    if (af_tsm_open(&options, engine, err) != AF_OK)
        return "open";
    if (af_tsm_bucket_set(*engine, &bucket, err) != AF_OK)
        return "bucket";
    return af_tsm_store_open(*engine, BUCKET, "sim", true, store, err) == AF_OK ? NULL : "store";
}

static void close_engine(struct af_tsm **engine, struct af_store **store)
{
    af_store_close(*store);
    af_tsm_close(*engine);
    *store = NULL;
    *engine = NULL;
}

/* --- work ------------------------------------------------------------------------------------------------------------------------ */

static void put_line(struct sim *sim, struct af_buf *lines, struct cells *after)
{
    size_t series = (size_t)af_prng_below(&sim->prng, SERIES);
    size_t time = (size_t)af_prng_below(&sim->prng, TIMES);
    unsigned fields = 1 + (unsigned)af_prng_below(&sim->prng, (1 << FIELDS) - 1);
    af_buf_printf(lines, "m,s=%zu ", series);
    const char *comma = "";
    for (unsigned f = 0; f < FIELDS; f++) {
        if ((fields >> f & 1) == 0)
            continue;
        after->value[series][f][time] = ++sim->next_value;
        af_buf_printf(lines, "%sf%u=%.1f", comma, f, sim->next_value);
        comma = ",";
    }
    af_buf_printf(lines, " %lld\n", (long long)(FIRST_NS + (int64_t)time * STEP_NS));
}

static enum af_status do_write(struct sim *sim, struct cells *after, struct af_error *err)
{
    struct af_buf lines;
    af_buf_init(&lines, 1 << 20);
    size_t count = 1 + (size_t)af_prng_below(&sim->prng, 20);
    for (size_t i = 0; i < count; i++)
        put_line(sim, &lines, after);
    struct af_write write = { .lines = af_buf_slice(&lines), .line_count = count, .precision_ns = 1 };
    struct af_write_answer answer;
    enum af_status status = af_store_write(sim->store, &write, &answer, err);
    if (status == AF_OK)
        AF_CHECK_INT(answer.verdict, AF_WRITE_DONE);
    af_buf_done(&lines);
    return status;
}

static enum af_status do_erase(struct sim *sim, struct cells *after, struct af_error *err)
{
    size_t series = (size_t)af_prng_below(&sim->prng, SERIES);
    size_t from = (size_t)af_prng_below(&sim->prng, TIMES);
    size_t to = from + 1 + (size_t)af_prng_below(&sim->prng, TIMES / 4);
    char name[8];
    (void)snprintf(name, sizeof name, "%zu", series);
    struct af_predicate predicate = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("s"), .value = af_slice_of(name) };
    struct af_scan scan = { .measurement = "m", .start_ns = FIRST_NS + (int64_t)from * STEP_NS, .stop_ns = FIRST_NS + (int64_t)to * STEP_NS,
                            .predicate = &predicate };
    for (size_t f = 0; f < FIELDS; f++)
        for (size_t t = from; t < to && t < TIMES; t++)
            after->value[series][f][t] = 0;
    return af_store_erase(sim->store, &scan, err);
}

static enum af_status do_other(struct sim *sim, struct af_error *err)
{
    bool done = true;
    switch (af_prng_below(&sim->prng, 4)) {
    case 0: return af_tsm_flush(sim->engine, err);
    case 1: return af_tsm_compact(sim->engine, false, &done, err);
    case 2: return af_tsm_compact(sim->engine, true, &done, err);
    default: {
        close_engine(&sim->engine, &sim->store);
        const char *what = open_engine(sim->dir, &sim->engine, &sim->store, err);
        return what == NULL ? AF_OK : err->status;
    }
    }
}

static enum af_status one_op(struct sim *sim, struct op *op, struct af_error *err)
{
    uint64_t draw = af_prng_below(&sim->prng, 100);
    op->after = sim->now;
    op->kind = draw < 60 ? OP_WRITE : draw < 68 ? OP_ERASE : OP_OTHER;
    if (op->kind == OP_WRITE)
        return do_write(sim, &op->after, err);
    return op->kind == OP_ERASE ? do_erase(sim, &op->after, err) : do_other(sim, err);
}

static void work(struct sim *sim)
{
    struct af_error err = { 0 };
    const char *what = open_engine(sim->dir, &sim->engine, &sim->store, &err);
    if (what != NULL)
        fail_at(sim, "seed %llu, moment %zu, %llu: %s", 0, 0, err.message);
    sim->ops[0] = (struct op){ .kind = OP_OTHER, .moment = crash_disk_moment(sim->disk) };
    for (sim->op_count = 1; sim->op_count <= OPS; sim->op_count++) {
        struct op *op = &sim->ops[sim->op_count];
        AF_CHECK_OK(one_op(sim, op, &err), err);
        op->moment = crash_disk_moment(sim->disk);
        sim->now = op->after;
    }
    close_engine(&sim->engine, &sim->store);
}

/* --- reading back ------------------------------------------------------------------------------------------------------------------- */

static void read_batch(const struct af_batch *batch, struct cells *out)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        struct af_slice key = af_column_text(&batch->columns[0], row);
        size_t series = (size_t)(key.ptr[key.len - 1] - '0');
        int64_t time = (batch->columns[1].i64[row] - FIRST_NS) / STEP_NS;
        AF_CHECK(series < SERIES && time >= 0 && time < TIMES);
        for (size_t c = 2; c < batch->schema->field_count; c++) {
            size_t field = (size_t)(batch->schema->fields[c].name[1] - '0');
            AF_CHECK(field < FIELDS);
            if (af_column_has(&batch->columns[c], row))
                out->value[series][field][time] = batch->columns[c].f64[row];
        }
    }
}

static enum af_status read_cells(struct af_store *store, struct cells *out, struct af_error *err)
{
    *out = (struct cells){ 0 };
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_stream *stream = NULL;
    struct af_arena arena;
    AF_TRY(af_store_scan(store, &scan, &stream, err));
    af_arena_init(&arena, SIZE_MAX / 2);
    struct af_batch *batch = NULL;
    enum af_status status;
    while ((status = af_stream_next(stream, &arena, &batch, err)) == AF_OK && batch != NULL) {
        read_batch(batch, out);
        af_arena_reset(&arena);
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    return status;
}

/* Every cell as before or as after the call in flight. */
static bool is_mix(const struct cells *got, const struct cells *a, const struct cells *b)
{
    const double *g = &got->value[0][0][0], *x = &a->value[0][0][0], *y = &b->value[0][0][0];
    for (size_t i = 0; i < (size_t)SERIES * FIELDS * TIMES; i++)
        if (g[i] != x[i] && g[i] != y[i])
            return false;
    return true;
}

static const char *difference(const struct cells *got, const struct cells *want)
{
    static char words[160];
    for (size_t s = 0; s < SERIES; s++)
        for (size_t f = 0; f < FIELDS; f++)
            for (size_t t = 0; t < TIMES; t++)
                if (got->value[s][f][t] != want->value[s][f][t]) {
                    (void)snprintf(words, sizeof words, "s=%zu f%zu at %zu is %g, the model has %g", s, f, t, got->value[s][f][t],
                                   want->value[s][f][t]);
                    return words;
                }
    return "nothing differs";
}

static bool is_right(const struct sim *sim, size_t moment, const struct cells *got, const char **out_why)
{
    size_t k = 0;
    while (k < OPS && sim->ops[k + 1].moment <= moment)
        k++;
    const struct cells *before = &sim->ops[k].after;
    const struct op *flying = k < OPS ? &sim->ops[k + 1] : NULL;
    *out_why = difference(got, before);
    if (memcmp(got, before, sizeof *got) == 0)
        return true;
    if (flying == NULL)
        return false;
    if (flying->kind == OP_ERASE)
        return is_mix(got, before, &flying->after);
    return memcmp(got, &flying->after, sizeof *got) == 0;
}

/* Recovery must not only show the right points, it must leave a directory that goes on. */
static void check_crash(struct sim *sim, size_t moment, uint64_t seed)
{
    struct af_error err = { 0 };
    struct af_tsm *engine = NULL;
    struct af_store *store = NULL;
    struct cells got, again;
    const char *why = "";
    crash_disk_build(sim->disk, moment, seed, sim->crash_dir);
    for (unsigned round = 0; round < 2; round++) {
        const char *what = open_engine(sim->crash_dir, &engine, &store, &err);
        if (what != NULL || read_cells(store, round == 0 ? &got : &again, &err) != AF_OK)
            fail_at(sim, "seed %llu, moment %zu, crash %llu: the directory does not open: %s", moment, seed, err.message);
        if (round == 0 && !is_right(sim, moment, &got, &why))
            fail_at(sim, "seed %llu, moment %zu, crash %llu: %s", moment, seed, why);
        if (round == 1 && memcmp(&got, &again, sizeof got) != 0)
            fail_at(sim, "seed %llu, moment %zu, crash %llu: opened again, it is different: %s", moment, seed, difference(&again, &got));
        if (round == 0 && (seed & 1) != 0 && af_tsm_flush(engine, &err) != AF_OK)
            fail_at(sim, "seed %llu, moment %zu, crash %llu: flush after recovery: %s", moment, seed, err.message);
        close_engine(&engine, &store);
    }
}

static void sim_init(struct sim *sim, uint64_t seed)
{
    *sim = (struct sim){ .seed = seed, .prng = { seed } };
    const char *shm = af_path_kind("/dev/shm") == AF_PATH_DIR ? "/dev/shm" : af_test_dir();
    uint64_t salt;
    af_random_bytes(&salt, sizeof salt);
    (void)snprintf(sim->dir, sizeof sim->dir, "%s/afluxo-sim-%016llx", shm, (unsigned long long)salt);
    (void)snprintf(sim->crash_dir, sizeof sim->crash_dir, "%s/afluxo-crash-%016llx", shm, (unsigned long long)salt);
    sim->disk = crash_disk_new(sim->dir);
}

static void sim_done(struct sim *sim)
{
    crash_disk_free(sim->disk);
    (void)!af_dir_remove(sim->dir, NULL);
    (void)!af_dir_remove(sim->crash_dir, NULL);
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

AF_TEST(every_acknowledged_point_survives_any_crash)
{
    uint64_t crashes = from_env("AFLUXO_SIM_COUNT", DEFAULT_CRASHES);
    uint64_t seed = from_env("AFLUXO_SIM_SEED", 1);
    struct sim *sim = malloc(sizeof *sim);
    AF_CHECK(sim != NULL);
    for (uint64_t done = 0; done < crashes; done += CRASHES_PER_RUN, seed++) {
        sim_init(sim, seed);
        work(sim);
        size_t moments = crash_disk_moment(sim->disk);
        crash_disk_stop(sim->disk);
        struct af_prng prng = { seed * 77 + 5 };
        for (size_t i = 0; i < CRASHES_PER_RUN; i++)
            check_crash(sim, (size_t)af_prng_below(&prng, moments + 1), af_prng_below(&prng, UINT64_MAX));
        sim_done(sim);
    }
    free(sim);
}
