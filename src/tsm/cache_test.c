/* cache_test.c - points in memory against a plain list of what was put; failures that must leave no trace; readers beside a writer. */
#include "os/thread.h"
#include "test/lib/test.h"
#include "tsm/cache_int.h"
#include "tsm/points_made.h"
#include <stdatomic.h>

/* --- the model: every value in order of arrival ------------------------------------------------------------------------------- */

struct value {
    uint64_t shard;
    uint32_t series;
    uint32_t field; /* its number in made_points */
    int64_t time;
    const struct af_column *col;
    size_t row;
};
struct model {
    struct value *list;
    size_t count, cap;
};

static void model_put(struct model *model, const struct made *made, uint32_t first_field, const uint64_t *shards)
{
    for (size_t i = 0; i < made->points.row_count; i++)
        for (size_t f = 0; made->ids[i] != AF_INDEX_NONE && f < made->points.field_count; f++) {
            const struct af_column *col = &made->points.fields[f].column;
            if (!af_column_has(col, i))
                continue;
            if (model->count == model->cap) {
                model->cap = model->cap * 2 + 64;
                model->list = realloc(model->list, model->cap * sizeof *model->list);
            }
            model->list[model->count++] = (struct value){ shards[i], made->ids[i], first_field + (uint32_t)f,
                                                          made->points.time_ns[i], col, i };
        }
}

static int by_time(const void *a, const void *b)
{
    const struct value *x = *(const struct value *const *)a;
    const struct value *y = *(const struct value *const *)b;
    return x->time != y->time ? (x->time > y->time) - (x->time < y->time) : (x > y) - (x < y);
}

/* Sorted by time, the last of equal times; how many. */
static size_t model_get(const struct model *model, uint64_t shard, uint32_t series, uint32_t field, const struct value **out)
{
    size_t n = 0;
    size_t kept = 0;
    for (size_t i = 0; i < model->count; i++)
        if (model->list[i].shard == shard && model->list[i].series == series && model->list[i].field == field)
            out[n++] = &model->list[i];
    if (n > 1)
        qsort(out, n, sizeof *out, by_time);
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || out[i + 1]->time != out[i]->time)
            out[kept++] = out[i];
    return kept;
}

static struct af_cache_handle capture(struct af_cache *cache, uint64_t shard, uint32_t series)
{
    struct af_cache_handle handle;
    af_cache_capture(cache, shard, &series, 1, &handle);
    return handle;
}

static void check_field(const struct model *model, const struct af_cache_handle *handle, uint64_t shard, uint32_t series, uint32_t field,
                        struct af_arena *arena)
{
    const struct value **want = malloc((model->count + 1) * sizeof *want);
    struct af_tsm_values got;
    struct af_error err;
    char name[16];
    size_t n = model_get(model, shard, series, field, want);
    int len = snprintf(name, sizeof name, "f%u", field);
    AF_CHECK_OK(af_cache_field(handle, af_slice_make(name, (size_t)len), arena, &got, &err), err);
    AF_CHECK_INT(got.count, n);
    for (size_t i = 0; i < n; i++)
        AF_CHECK(got.time_ns[i] == want[i]->time && made_same(&got.values, i, want[i]->col, want[i]->row));
    free(want);
}

static void check_cache(const struct model *model, struct af_cache *cache, uint64_t shards, uint32_t series, uint32_t fields)
{
    struct af_arena arena;
    struct af_error err;
    af_arena_init(&arena, 1 << 28);
    for (uint64_t shard = 1; shard <= shards; shard++)
        for (uint32_t s = 0; s < series; s++) {
            struct af_cache_handle handle = capture(cache, shard, s);
            struct af_slice *names;
            size_t name_count;
            size_t want_count = 0;
            const struct value **want = malloc((model->count + 1) * sizeof *want);
            for (uint32_t f = 0; f < fields; f++) {
                check_field(model, &handle, shard, s, f, &arena);
                want_count += model_get(model, shard, s, f, want) > 0;
            }
            free(want);
            AF_CHECK_OK(af_cache_fields(&handle, &arena, &names, &name_count, &err), err);
            AF_CHECK_INT(name_count, want_count);
        }
    af_arena_done(&arena);
}

static void put_random(struct af_cache *cache, struct model *model, struct made *made, struct af_prng *prng, const struct made_how *how,
                       uint64_t shards)
{
    struct af_error err;
    made_init(made);
    made_points(made, prng, how);
    uint64_t *shard = af_arena_array(&made->arena, how->rows, sizeof *shard);
    for (size_t i = 0; i < how->rows; i++)
        shard[i] = 1 + af_prng_below(prng, shards);
    AF_CHECK_OK(af_cache_put(cache, &made->points, made->ids, shard, 0, &err), err);
    model_put(model, made, how->first_field, shard);
}

AF_TEST(cache_gives_what_was_put)
{
    enum { PUTS = 12, FIELDS = 10 };
    for (uint64_t seed = 1; seed < 30; seed++) {
        struct af_prng prng = { seed };
        struct af_cache *cache = af_cache_new();
        struct model model = { 0 };
        struct made made[PUTS];
        uint32_t series = 1 + (uint32_t)af_prng_below(&prng, 6);
        for (int i = 0; i < PUTS; i++) {
            struct made_how how = { .rows = af_prng_below(&prng, 200), .fields = 1 + af_prng_below(&prng, FIELDS / 2), .series = series,
                                    .null_percent = (unsigned)af_prng_below(&prng, 4) * 33, .reject_percent = i % 3 == 0 ? 20 : 0,
                                    .first_field = (uint32_t)af_prng_below(&prng, FIELDS / 2) };
            put_random(cache, &model, &made[i], &prng, &how, 2);
        }
        check_cache(&model, cache, 2, series, FIELDS);
        for (int i = 0; i < PUTS; i++)
            made_done(&made[i]);
        free(model.list);
        af_cache_unref(cache);
    }
}

AF_TEST(cache_keeps_many_sparse_fields_small)
{
    /* Every row has one of 60 fields: a device that sends each on a line of its own. */
    enum { FIELDS = 60, ROWS = 6000 };
    struct af_cache *cache = af_cache_new();
    struct af_error err;
    struct af_arena arena;
    struct af_series_set set;
    af_series_set_init(&set);
    af_arena_init(&arena, 1 << 28);
    struct af_point_field fields[FIELDS] = { 0 };
    uint32_t *ids = af_arena_zero(&arena, ROWS, sizeof *ids);
    int64_t *times = af_arena_zero(&arena, ROWS, sizeof *times);
    double *values = af_arena_zero(&arena, ROWS, sizeof *values);
    for (size_t i = 0; i < ROWS; i++) {
        times[i] = (int64_t)i / FIELDS;
        values[i] = (double)i;
    }
    for (size_t f = 0; f < FIELDS; f++) {
        uint64_t *validity = af_bits_new(&arena, ROWS, false);
        for (size_t i = f; i < ROWS; i += FIELDS)
            af_bit_set(validity, i);
        fields[f].name = af_slice_of(af_arena_printf(&arena, "f%zu", f));
        fields[f].column = (struct af_column){ .type = AF_TYPE_F64, .f64 = values, .validity = validity };
    }
    struct af_points points = { .row_count = ROWS, .set = &set, .series = ids, .time_ns = times, .field_count = FIELDS, .fields = fields };
    AF_CHECK_OK(af_cache_put(cache, &points, ids, NULL, 3, &err), err);
    AF_CHECK(af_cache_bytes(cache) < ROWS * 100);
    struct af_cache_handle handle = capture(cache, 3, 0);
    struct af_tsm_values got;
    AF_CHECK_OK(af_cache_field(&handle, AF_SLICE_LIT("f59"), &arena, &got, &err), err);
    AF_CHECK_INT(got.count, ROWS / FIELDS);
    AF_CHECK(got.values.f64[2] == 2 * FIELDS + 59 && got.time_ns[2] == 2);
    af_cache_unref(cache);
    af_arena_done(&arena);
    af_series_set_done(&set);
}

/* --- small ones ------------------------------------------------------------------------------------------------------------------ */

static struct af_points one_field(const struct af_series_set *set, struct af_point_field *field, const uint32_t *ids, const int64_t *times,
                                  size_t rows)
{
    return (struct af_points){ .row_count = rows, .set = set, .series = ids, .time_ns = times, .field_count = 1, .fields = field };
}

AF_TEST(cache_last_arrival_wins_per_field)
{
    struct af_cache *cache = af_cache_new();
    struct af_series_set set;
    struct af_arena arena;
    struct af_error err;
    const uint32_t ids[] = { 5, 5, 5 };
    const int64_t times[] = { 10, 20, 10 };
    const double a[] = { 1, 2, 3 };
    const int64_t b[] = { 7, 8, 9 };
    const uint64_t not_last = 3;
    struct af_point_field fields[2] = { { .name = AF_SLICE_LIT("a"), .column = { .type = AF_TYPE_F64, .f64 = a } },
                                        { .name = AF_SLICE_LIT("b"), .column = { .type = AF_TYPE_I64, .i64 = b, .validity = &not_last } } };
    af_series_set_init(&set);
    af_arena_init(&arena, 1 << 20);
    struct af_points points = { .row_count = 3, .set = &set, .series = ids, .time_ns = times, .field_count = 2, .fields = fields };
    AF_CHECK_OK(af_cache_put(cache, &points, ids, NULL, 1, &err), err);
    struct af_cache_handle handle = capture(cache, 1, 5);
    struct af_tsm_values got;
    AF_CHECK_INT(handle.rows, 3);
    AF_CHECK_OK(af_cache_field(&handle, AF_SLICE_LIT("a"), &arena, &got, &err), err);
    AF_CHECK(got.count == 2 && got.time_ns[0] == 10 && got.values.f64[0] == 3 && got.time_ns[1] == 20 && got.values.f64[1] == 2);
    AF_CHECK_OK(af_cache_field(&handle, AF_SLICE_LIT("b"), &arena, &got, &err), err);
    AF_CHECK(got.count == 2 && got.values.i64[0] == 7 && got.values.i64[1] == 8);
    AF_CHECK_OK(af_cache_field(&handle, AF_SLICE_LIT("c"), &arena, &got, &err), err);
    AF_CHECK_INT(got.count, 0);
    AF_CHECK_INT(capture(cache, 1, 4).rows, 0);
    AF_CHECK_INT(capture(cache, 2, 5).rows, 0);
    af_cache_unref(cache);
    af_arena_done(&arena);
    af_series_set_done(&set);
}

AF_TEST(cache_lends_one_ascending_chunk)
{
    struct af_cache *cache = af_cache_new();
    struct af_series_set set;
    struct af_arena arena;
    struct af_error err;
    const uint32_t ids[2] = { 0, 0 };
    const int64_t times[2] = { 1, 2 };
    const double values[2] = { 1, 2 };
    struct af_point_field field = { .name = AF_SLICE_LIT("a"), .column = { .type = AF_TYPE_F64, .f64 = values } };
    af_series_set_init(&set);
    af_arena_init(&arena, 1 << 20);
    struct af_points points = one_field(&set, &field, ids, times, 2);
    AF_CHECK_OK(af_cache_put(cache, &points, ids, NULL, 1, &err), err);
    struct af_cache_handle handle = capture(cache, 1, 0);
    struct af_tsm_values got;
    AF_CHECK_OK(af_cache_field(&handle, AF_SLICE_LIT("a"), &arena, &got, &err), err);
    AF_CHECK(got.count == 2 && got.time_ns[1] == 2 && got.values.f64[1] == 2);
    AF_CHECK_INT(arena.bytes_used, 0);
    af_cache_unref(cache);
    af_arena_done(&arena);
    af_series_set_done(&set);
}

AF_TEST(cache_lists_shards_and_series)
{
    struct af_cache *cache = af_cache_new();
    struct made made;
    struct af_arena arena;
    struct af_error err;
    struct af_prng prng = { 9 };
    made_init(&made);
    af_arena_init(&arena, 1 << 24);
    made_points(&made, &prng, &(struct made_how){ .rows = 3000, .fields = 1, .series = 100000 });
    uint64_t shards[3000];
    for (size_t i = 0; i < 3000; i++)
        shards[i] = 900 - made.ids[i] % 600;
    AF_CHECK_OK(af_cache_put(cache, &made.points, made.ids, shards, 0, &err), err);
    AF_CHECK_INT(af_cache_rows(cache), 3000);
    uint64_t *list;
    uint32_t *series;
    size_t count;
    size_t series_count;
    size_t rows = 0;
    AF_CHECK_OK(af_cache_shards(cache, &arena, &list, &count, &err), err);
    AF_CHECK(count > 500 && count <= 600);
    for (size_t i = 0; i < count; i++) {
        AF_CHECK(i == 0 || list[i] > list[i - 1]);
        AF_CHECK_OK(af_cache_series(cache, list[i], &arena, &series, &series_count, &err), err);
        AF_CHECK(series_count > 0);
        for (size_t k = 0; k < series_count; k++) {
            AF_CHECK_INT(900 - series[k] % 600, list[i]);
            rows += capture(cache, list[i], series[k]).rows;
        }
    }
    AF_CHECK_INT(rows, 3000);
    AF_CHECK_OK(af_cache_series(cache, 12345, &arena, &series, &series_count, &err), err);
    AF_CHECK_INT(series_count, 0);
    made_done(&made);
    af_arena_done(&arena);
    af_cache_unref(cache);
}

/* --- failures leave no trace ------------------------------------------------------------------------------------------------------ */

AF_TEST(cache_refuses_another_type_whole)
{
    struct af_cache *cache = af_cache_new();
    struct af_series_set set;
    struct af_arena arena;
    struct af_error err;
    const uint32_t ids[] = { 0, 1, 2, 3 };
    const int64_t times[] = { 1, 2, 3, 4 };
    const double values[] = { 1, 2, 3, 4 };
    struct af_point_field field = { .name = AF_SLICE_LIT("a"), .column = { .type = AF_TYPE_F64, .f64 = values } };
    af_series_set_init(&set);
    af_arena_init(&arena, 1 << 20);
    struct af_points points = one_field(&set, &field, ids + 3, times, 1);
    AF_CHECK_OK(af_cache_put(cache, &points, ids + 3, NULL, 1, &err), err);
    points = one_field(&set, &field, ids, times, 4);
    field.column.type = AF_TYPE_I64;
    AF_CHECK_FAILS(af_cache_put(cache, &points, ids, NULL, 1, &err), AF_EBUG); /* the last row's series has it as float */
    AF_CHECK_INT(af_cache_rows(cache), 1);
    for (uint32_t s = 0; s < 3; s++)
        AF_CHECK_INT(capture(cache, 1, s).rows, 0);
    AF_CHECK_INT(capture(cache, 1, 3).rows, 1);
    uint32_t *series;
    size_t count;
    AF_CHECK_OK(af_cache_series(cache, 1, &arena, &series, &count, &err), err);
    AF_CHECK_INT(count, 1);
    AF_CHECK_OK(af_cache_put(cache, &points, ids, NULL, 2, &err), err); /* another shard may have another type */
    af_cache_unref(cache);
    af_arena_done(&arena);
    af_series_set_done(&set);
}

/* Sparse points are put with allocation 1, 2, 3 ... failing until they are in; whole rows come between, where the failed ones were. */
AF_TEST(cache_takes_back_a_failed_put)
{
    enum { MADE_MAX = 200 };
    static const uint32_t series[] = { 4, 4, 400 };
    for (size_t s = 0; s < 3; s++) {
        struct af_prng prng = { 11 + s };
        struct af_cache *cache = af_cache_new();
        struct model model = { 0 };
        static struct made made[MADE_MAX];
        int count = 0;
        uint64_t rows = 0;
        for (uint32_t i = 0; i < 6; i++) {
            struct made *victim = &made[count++];
            struct made_how how = { .rows = 500, .fields = 5, .series = series[s], .null_percent = s == 0 ? 60 : 20, .first_field = i % 3 };
            struct af_error err;
            uint64_t shards[500];
            for (size_t k = 0; k < 500; k++)
                shards[k] = 1;
            made_init(victim);
            made_points(victim, &prng, &how);
            for (size_t n = 1;; n++) {
                af_alloc_fail_nth(n);
                enum af_status status = af_cache_put(cache, &victim->points, victim->ids, NULL, 1, &err);
                (void)af_alloc_fail_nth(0);
                if (status == AF_OK)
                    break;
                AF_CHECK_INT(status, AF_ENOMEM);
                AF_CHECK_INT(af_cache_rows(cache), rows);
                put_random(cache, &model, &made[count++], &prng,
                           &(struct made_how){ .rows = 7, .fields = 5, .series = 4, .first_field = i % 3 }, 1);
                rows += 7;
                if (s < 2)
                    check_cache(&model, cache, 1, 4, 8);
            }
            rows += 500;
            model_put(&model, victim, how.first_field, shards);
        }
        check_cache(&model, cache, 1, s == 2 ? 50 : 4, 8);
        while (count > 0)
            made_done(&made[--count]);
        free(model.list);
        af_cache_unref(cache);
    }
}

AF_TEST(cache_counts_its_memory)
{
    struct af_cache *cache = af_cache_new();
    struct af_error err;
    struct af_prng prng = { 20 };
    struct made made;
    size_t empty = af_cache_bytes(cache);
    AF_CHECK(empty > 1000 && empty < 20000);
    made_init(&made);
    made_points(&made, &prng, &(struct made_how){ .rows = 1, .fields = 2, .series = 1 });
    AF_CHECK_OK(af_cache_put(cache, &made.points, made.ids, NULL, 1, &err), err);
    AF_CHECK(af_cache_bytes(cache) < 64 << 10);
    made_done(&made);
    made_init(&made);
    made_points(&made, &prng, &(struct made_how){ .rows = 16384, .fields = 1, .series = 10 });
    for (int i = 0; i < 10; i++)
        AF_CHECK_OK(af_cache_put(cache, &made.points, made.ids, NULL, 1, &err), err);
    AF_CHECK(af_cache_bytes(cache) > 163840 * 16 && af_cache_bytes(cache) < 163840 * 20);
    made_done(&made);
    struct af_cache *other = af_cache_ref(cache);
    af_cache_unref(cache);
    AF_CHECK_INT(af_cache_rows(other), 163841);
    af_cache_unref(other);
}

/* --- readers beside a writer ------------------------------------------------------------------------------------------------------- */

enum { R_SERIES = 8, R_PUTS = 150, R_ROWS = 64 };
struct race {
    struct af_cache *cache;
    atomic_bool is_over;
    atomic_size_t reads;
};

/* Row k of a series is at time k with a = k and, every third row, s = "<k>", every fifth ok. */
static void race_write(void *ctx)
{
    struct race *race = ctx;
    struct af_series_set set;
    struct af_arena arena;
    uint32_t ids[R_ROWS];
    int64_t times[R_ROWS];
    double a[R_ROWS];
    af_series_set_init(&set);
    af_arena_init(&arena, 1 << 24);
    for (size_t put = 0; put < R_PUTS; put++) {
        uint64_t third = 0;
        uint64_t fifth = 0;
        int32_t offsets[R_ROWS + 1] = { 0 };
        char text[R_ROWS * 8];
        for (size_t i = 0; i < R_ROWS; i++) {
            size_t k = put * (R_ROWS / R_SERIES) + i / R_SERIES;
            ids[i] = i % R_SERIES;
            times[i] = (int64_t)k;
            a[i] = (double)k;
            third |= (uint64_t)(k % 3 == 0) << i;
            fifth |= (uint64_t)(k % 5 == 0) << i;
            offsets[i + 1] = offsets[i] + snprintf(text + offsets[i], 8, "%zu", k);
        }
        struct af_point_field fields[] = {
            { .name = AF_SLICE_LIT("a"), .column = { .type = AF_TYPE_F64, .f64 = a } },
            { .name = AF_SLICE_LIT("s"), .column = { .type = AF_TYPE_STRING, .offsets = offsets, .bytes = text, .validity = &third } },
            { .name = AF_SLICE_LIT("ok"), .column = { .type = AF_TYPE_BOOL, .bits = &third, .validity = &fifth } },
        };
        struct af_points points = { .row_count = R_ROWS, .set = &set, .series = ids, .time_ns = times, .field_count = 3, .fields = fields };
        struct af_error err;
        AF_CHECK_OK(af_cache_put(race->cache, &points, ids, NULL, 1, &err), err);
    }
    af_arena_done(&arena);
    af_series_set_done(&set);
    atomic_store(&race->is_over, true);
}

static void race_check(const struct af_cache_handle *handle, struct af_arena *arena)
{
    struct af_tsm_values got;
    struct af_error err;
    size_t rows = handle->rows;
    AF_CHECK_OK(af_cache_field(handle, AF_SLICE_LIT("a"), arena, &got, &err), err);
    AF_CHECK_INT(got.count, rows);
    for (size_t i = 0; i < rows; i++)
        AF_CHECK(got.time_ns[i] == (int64_t)i && got.values.f64[i] == (double)i);
    AF_CHECK_OK(af_cache_field(handle, AF_SLICE_LIT("s"), arena, &got, &err), err);
    AF_CHECK_INT(got.count, (rows + 2) / 3);
    for (size_t i = 0; i < got.count; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "%zu", i * 3);
        AF_CHECK(af_slice_eq(af_column_text(&got.values, i), af_slice_make(text, (size_t)n)));
    }
    AF_CHECK_OK(af_cache_field(handle, AF_SLICE_LIT("ok"), arena, &got, &err), err);
    AF_CHECK_INT(got.count, (rows + 4) / 5);
    for (size_t i = 0; i < got.count; i++)
        AF_CHECK(af_bit_get(got.values.bits, i) == (i * 5 % 3 == 0));
}

static void race_read(void *ctx)
{
    struct race *race = ctx;
    struct af_arena arena;
    af_arena_init(&arena, 1 << 24);
    for (bool is_last = false; !is_last;) {
        const uint32_t series[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
        struct af_cache_handle handles[R_SERIES];
        is_last = atomic_load(&race->is_over);
        af_cache_capture(race->cache, 1, series, R_SERIES, handles);
        for (size_t i = 0; i < R_SERIES; i++) {
            AF_CHECK_INT(handles[i].rows, handles[0].rows); /* one moment for all */
            AF_CHECK_INT(handles[i].rows % (R_ROWS / R_SERIES), 0);
            if (handles[i].rows > 0)
                race_check(&handles[i], &arena);
        }
        atomic_fetch_add(&race->reads, 1);
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
}

AF_TEST(cache_readers_see_whole_puts)
{
    struct race race = { .cache = af_cache_new() };
    struct af_thread threads[3];
    struct af_error err;
    for (int i = 0; i < 3; i++)
        AF_CHECK_OK(af_thread_start(&threads[i], "race", i == 0 ? race_write : race_read, &race, &err), err);
    for (int i = 0; i < 3; i++)
        af_thread_join(&threads[i]);
    AF_CHECK_INT(capture(race.cache, 1, 7).rows, R_PUTS * R_ROWS / R_SERIES);
    AF_CHECK(atomic_load(&race.reads) >= 2);
    af_cache_unref(race.cache);
}
