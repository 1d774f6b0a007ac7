/*
 * engine_fixture.h - an engine for tests: opened over a directory of the test, written as line protocol, read as text.
 *
 * `now` is the engine's clock, for retention. What the engine says is counted and the last words kept.
 */
#ifndef AF_TSM_ENGINE_FIXTURE_H
#define AF_TSM_ENGINE_FIXTURE_H
#include "store/memory.h"
#include "test/lib/store_contract.h"
#include "test/lib/test.h"
#include "tsm/core_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { BUCKET = 0xb1 };

struct world {
    char dir[512];
    struct af_tsm *engine;
    struct af_store *store;   /* of BUCKET, by the rules of 1.x */
    struct af_tsm_options options;
    int64_t now;
    unsigned said;
    char words[1024];
    struct af_error err;
};

static inline int64_t world_now(void *ctx)
{
    return ((struct world *)ctx)->now;
}

static inline void world_say(void *ctx, const char *words)
{
    struct world *world = ctx;
    __atomic_fetch_add(&world->said, 1, __ATOMIC_RELAXED);
    if (!world->options.is_manual)
        return; /* said on several threads */
    (void)snprintf(world->words, sizeof world->words, "%s", words);
}

/* Manual, a small cache. */
static inline void world_init(struct world *world, const char *name)
{
    *world = (struct world){ .now = INT64_C(1700000000000000000) };
    (void)snprintf(world->dir, sizeof world->dir, "%s/%s", af_test_dir(), name);
    world->options = (struct af_tsm_options){ .dir = world->dir, .cache_bytes = 1 << 20, .is_manual = true, .now_ns = world_now,
                                              .say = world_say, .ctx = world };
}

static inline enum af_status world_try_open(struct world *world)
{
    struct af_tsm_bucket bucket = { .id = BUCKET };
    enum af_status status = af_tsm_open(&world->options, &world->engine, &world->err);
    if (status == AF_OK && !af_tsm_bucket_has(world->engine, BUCKET, NULL))
        status = af_tsm_bucket_set(world->engine, &bucket, &world->err);
    if (status == AF_OK)
        status = af_tsm_store_open(world->engine, BUCKET, "test", true, &world->store, &world->err);
    if (status != AF_OK && world->engine != NULL) {
        af_tsm_close(world->engine);
        world->engine = NULL;
    }
    return status;
}

static inline void world_open(struct world *world)
{
    AF_CHECK_OK(world_try_open(world), world->err);
}

/* As a kill would: nothing is flushed. */
static inline void world_close(struct world *world)
{
    if (world->store != NULL)
        af_store_close(world->store);
    if (world->engine != NULL)
        af_tsm_close(world->engine);
    world->store = NULL;
    world->engine = NULL;
}

static inline void world_reopen(struct world *world)
{
    world_close(world);
    world_open(world);
}

static inline struct af_write_answer world_write(struct world *world, const char *lines)
{
    struct af_write write = { .lines = af_slice_of(lines), .precision_ns = 1 };
    struct af_write_answer answer = { 0 };
    AF_CHECK_OK(af_store_write(world->store, &write, &answer, &world->err), world->err);
    return answer;
}

static inline enum af_status world_try_write(struct world *world, const char *lines, struct af_write_answer *out)
{
    struct af_write write = { .lines = af_slice_of(lines), .precision_ns = 1 };
    *out = (struct af_write_answer){ 0 };
    return af_store_write(world->store, &write, out, &world->err);
}

static inline void world_put(struct world *world, const char *lines)
{
    struct af_write_answer answer = world_write(world, lines);
    if (answer.verdict != AF_WRITE_DONE)
        af_test_failed(__FILE__, __LINE__, "refused: %s", answer.reason);
}

static inline void world_flush(struct world *world)
{
    AF_CHECK_OK(af_tsm_flush(world->engine, &world->err), world->err);
}

/* All of a measurement as text; free() it. */
static inline char *world_dump(struct af_store *store, const char *measurement)
{
    struct af_scan scan = { .measurement = measurement, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_buf text;
    af_buf_init(&text, (size_t)1 << 30);
    af_contract_dump(store, &scan, &text);
    char *copy = strdup(af_buf_cstr(&text));
    af_buf_done(&text);
    return copy;
}

static inline void world_check(struct world *world, const char *measurement, const char *want)
{
    char *got = world_dump(world->store, measurement);
    if (strcmp(got, want) != 0)
        af_test_failed(__FILE__, __LINE__, "%s is\n%s\nwant\n%s", measurement, got, want);
    free(got);
}

static inline void world_check_same(struct world *world, struct af_store *oracle, const char *measurement)
{
    char *want = world_dump(oracle, measurement);
    world_check(world, measurement, want);
    free(want);
}

static inline struct af_tsm_stats_now world_stats(struct world *world)
{
    struct af_tsm_stats_now stats;
    af_tsm_stats_get_now(world->engine, &stats);
    return stats;
}

/* A path below the world's directory. */
static inline const char *world_path(struct world *world, const char *rest)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", world->dir, rest);
    return path;
}
#endif
