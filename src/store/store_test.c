/* store_test.c - the memory store and its decorators, by the contract and on their own. */
#include "base/alloc.h"
#include "os/thread.h"
#include "store/decorate.h"
#include "store/memory.h"
#include "store/rows.h"
#include "test/lib/store_contract.h"
#include "test/lib/store_contract_predicates.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_error err;

static struct af_store *memory(struct af_memory_options options)
{
    struct af_store *store;
    AF_CHECK_OK(af_memory_open(&options, &store, &err), err);
    return store;
}

static struct af_store *open_v1(void *ctx)
{
    (void)ctx;
    return memory((struct af_memory_options){ 0 });
}

static struct af_store *open_v2(void *ctx)
{
    (void)ctx;
    return memory((struct af_memory_options){ .is_v2 = true });
}

static void ignore_line(void *ctx, const char *line)
{
    (void)line;
    ++*(int *)ctx;
}

static struct af_store *open_traced(void *ctx)
{
    struct af_store *store;
    AF_CHECK_OK(af_trace_open(open_v1(NULL), ignore_line, ctx, &store, &err), err);
    return store;
}

static struct af_store *open_unfaulted(void *ctx)
{
    struct af_store *store;
    (void)ctx;
    AF_CHECK_OK(af_fault_open(open_v1(NULL), &(struct af_fault_plan){ .delay_permille = 100, .delay_ms_max = 1 }, &store, &err),
                err);
    return store;
}

AF_TEST(memory_keeps_the_contract)
{
    af_store_contract(&(struct af_contract){ .name = "memory", .open = open_v1, .oracle = open_v1 });
}

AF_TEST(memory_as_2x_keeps_the_contract)
{
    af_store_contract(&(struct af_contract){ .name = "memory 2.x", .open = open_v2, .is_v2 = true, .has_unsigned = true });
}

AF_TEST(decorators_keep_the_contract)
{
    int lines = 0;
    af_store_contract(&(struct af_contract){ .name = "trace", .open = open_traced, .oracle = open_unfaulted, .ctx = &lines });
    AF_CHECK(lines > 40);
    af_store_contract(&(struct af_contract){ .name = "fault", .open = open_unfaulted, .oracle = open_v1 });
}

static struct af_write lines_of(const char *text)
{
    return (struct af_write){ .lines = af_slice_of(text), .line_count = 1, .precision_ns = 1 };
}

AF_TEST(memory_options_refuse)
{
    struct af_store *store = memory((struct af_memory_options){ .must_create = true, .request_bytes_max = 10 });
    struct af_write small = lines_of("m v=1 1\n");
    struct af_write large = lines_of("m v=1 1234567\n");
    struct af_write_answer answer;
    AF_CHECK_FAILS(af_store_write(store, &small, &answer, &err), AF_ENOTFOUND);
    struct af_stream *stream;
    AF_CHECK_FAILS(af_store_scan(store, &(struct af_scan){ .measurement = "m", .stop_ns = 5 }, &stream, &err), AF_ENOTFOUND);
    AF_CHECK_OK(af_store_create(store, &err), err);
    AF_CHECK_OK(af_store_write(store, &small, &answer, &err), err);
    AF_CHECK_INT(answer.verdict, AF_WRITE_DONE);
    AF_CHECK_OK(af_store_write(store, &large, &answer, &err), err);
    AF_CHECK_INT(answer.verdict, AF_WRITE_TOO_LARGE);
    AF_CHECK_INT(af_memory_values(store), 1);
    af_store_close(store);
    af_store_close(NULL);
}

/* --- listings and deletes --------------------------------------------------------------------------------------------------------- */

static void lists(struct af_store *store, enum af_listing what, struct af_scan scan, const char *want)
{
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    struct af_buf got;
    af_arena_init(&arena, 1 << 24);
    af_buf_init(&got, 1 << 16);
    AF_CHECK_OK(af_store_list(store, what, &scan, &stream, &err), err);
    AF_CHECK_INT(stream->schema->field_count, what == AF_LIST_FIELDS || what == AF_LIST_BUCKETS ? 2 : 1);
    AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
    for (size_t row = 0; batch != NULL && row < batch->row_count; row++) {
        af_buf_append_slice(&got, af_column_text(&batch->columns[0], row));
        af_buf_append_char(&got, ';');
    }
    AF_CHECK_SLICE(af_buf_slice(&got), want);
    af_stream_close(stream);
    af_buf_done(&got);
    af_arena_done(&arena);
}

static void writes(struct af_store *store, const char *text)
{
    struct af_write write = lines_of(text);
    struct af_write_answer answer;
    AF_CHECK_OK(af_store_write(store, &write, &answer, &err), err);
    AF_CHECK_INT(answer.verdict, AF_WRITE_DONE);
}

AF_TEST(memory_lists_what_has_points)
{
    struct af_store *store = open_v1(NULL);
    struct af_scan n = { .measurement = "n n" };
    writes(store, "m,t=a,u=x v=1i 1\nm,t=b v=1i 2\nm v=1i 3\nn\\ n,t=b,a\\ \\==\\,c w=1i 4\n");
    lists(store, AF_LIST_MEASUREMENTS, (struct af_scan){ 0 }, "m;n n;");
    lists(store, AF_LIST_MEASUREMENTS, (struct af_scan){ .measurement = "m" }, "m;n n;"); /* names no measurement */
    lists(store, AF_LIST_MEASUREMENTS, (struct af_scan){ .predicate = P_EQ("t", "") }, "m;");
    lists(store, AF_LIST_TAG_KEYS, n, "a =;t;");
    n.tag = "a =";
    lists(store, AF_LIST_TAG_VALUES, n, ",c;");
    lists(store, AF_LIST_TAG_VALUES, (struct af_scan){ .tag = "t" }, "a;b;"); /* once, though two measurements have it */
    lists(store, AF_LIST_TAG_VALUES, (struct af_scan){ .tag = "t", .predicate = P_EQ("u", "") }, "b;");
    lists(store, AF_LIST_SERIES, n, "n\\ n,a\\ \\==\\,c,t=b;");
    lists(store, AF_LIST_SERIES, (struct af_scan){ .predicate = P_NOT(P_EQ("t", "b")) }, "m;m,t=a,u=x;");
    lists(store, AF_LIST_SERIES, (struct af_scan){ .measurement = "nowhere" }, "");
    AF_CHECK_OK(af_store_erase(store, &(struct af_scan){ .measurement = "m", .start_ns = 2, .stop_ns = 3 }, &err), err);
    lists(store, AF_LIST_SERIES, (struct af_scan){ .measurement = "m" }, "m;m,t=a,u=x;");
    AF_CHECK_OK(af_store_erase(store, &(struct af_scan){ .measurement = "n n", .stop_ns = 9 }, &err), err);
    lists(store, AF_LIST_MEASUREMENTS, (struct af_scan){ 0 }, "m;");
    lists(store, AF_LIST_TAG_KEYS, n, "");
    lists(store, AF_LIST_FIELDS, n, "w;"); /* its type stays what it was */
    lists(store, AF_LIST_BUCKETS, (struct af_scan){ 0 }, "memory;");
    af_store_close(store);
}

AF_TEST(memory_counts_what_is_left)
{
    struct af_store *store = open_v1(NULL);
    struct af_scan all = { .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    writes(store, "m,t=a v=1i,s=\"text\" 1\nm,t=a v=2i,s=\"more\" 2\nm,t=b s=\"x\" 2\nn b=t 2\n");
    AF_CHECK_INT(af_memory_values(store), 6);
    AF_CHECK_OK(af_store_erase(store, &(struct af_scan){ .start_ns = 2, .stop_ns = 2 }, &err), err);
    AF_CHECK_INT(af_memory_values(store), 6);
    AF_CHECK_OK(af_store_erase(store, &(struct af_scan){ .measurement = "m", .start_ns = 2, .stop_ns = INT64_MAX,
                                                         .predicate = P_NE("t", "b") }, &err), err);
    AF_CHECK_INT(af_memory_values(store), 4);
    static const char *const fields[] = { "v" };
    all.fields = fields;
    all.field_count = 1;
    AF_CHECK_FAILS(af_store_erase(store, &all, &err), AF_EUNSUPPORTED);
    all.fields = NULL;
    all.field_count = 0;
    AF_CHECK_OK(af_store_erase(store, &all, &err), err);
    AF_CHECK_INT(af_memory_values(store), 0);
    af_store_close(store);
    store = memory((struct af_memory_options){ .must_create = true });
    AF_CHECK_FAILS(af_store_erase(store, &all, &err), AF_ENOTFOUND);
    af_store_close(store);
}

/* Allocation N fails in a listing: an error, nothing leaked. */
AF_TEST(listings_survive_every_failed_allocation)
{
    static const enum af_listing listings[] = { AF_LIST_MEASUREMENTS, AF_LIST_TAG_KEYS, AF_LIST_TAG_VALUES, AF_LIST_SERIES,
                                               AF_LIST_COUNTS };
    struct af_store *store = open_v1(NULL);
    writes(store, "m,t\\ t=a\\ b v=1i 1\nm,u=x v=1i 2\nn\\ n v=1i 3\n");
    for (size_t i = 0; i < sizeof listings / sizeof *listings; i++) {
        struct af_scan scan = { .measurement = "m", .tag = "t t" };
        enum af_status status = AF_ENOMEM;
        size_t failures = 0;
        for (size_t n = 1; status != AF_OK && n < 200; n++, failures += status != AF_OK) {
            struct af_stream *stream = NULL;
            af_alloc_fail_nth(n);
            status = af_store_list(store, listings[i], &scan, &stream, &err);
            af_alloc_fail_nth(0);
            AF_CHECK(status == AF_OK || status == AF_ENOMEM || status == AF_ELIMIT);
            af_stream_close(stream);
        }
        AF_CHECK_INT(status, AF_OK);
        AF_CHECK(failures > 2);
    }
    af_store_close(store);
}

AF_TEST(folded_scans_survive_every_failed_allocation)
{
    static const struct af_slice group[] = { { "t t", 3 }, { "u", 1 } };
    static const struct af_fold folds[] = { { AF_FOLD_LAST, "s" }, { AF_FOLD_SUM, "v" } };
    struct af_store *store = open_v1(NULL);
    writes(store, "m,t\\ t=a\\ b v=1i,s=\"x\" 1\nm,u=x v=1i 2\nm,u=y s=\"yy\" 3\n");
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .group = group, .group_count = 2,
                            .folds = folds, .fold_count = 2, .window = { .every_ns = 2 } };
    enum af_status status = AF_ENOMEM;
    size_t failures = 0;
    for (size_t n = 1; status != AF_OK && n < 500; n++, failures += status != AF_OK) {
        struct af_stream *stream = NULL;
        struct af_batch *batch = NULL;
        struct af_arena arena;
        af_arena_init(&arena, 1 << 24);
        af_alloc_fail_nth(n);
        status = af_store_scan(store, &scan, &stream, &err);
        if (status == AF_OK)
            status = af_stream_next(stream, &arena, &batch, &err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM || status == AF_ELIMIT);
        if (status == AF_OK)
            AF_CHECK_INT(batch->row_count, 3);
        af_stream_close(stream);
        af_arena_done(&arena);
    }
    AF_CHECK_INT(status, AF_OK);
    AF_CHECK(failures > 5);
    af_store_close(store);
}

static char last_line[1024];

static void keep_line(void *ctx, const char *line)
{
    (void)ctx;
    snprintf(last_line, sizeof last_line, "%s", line);
}

AF_TEST(trace_tells)
{
    struct af_store *store;
    AF_CHECK_OK(af_trace_open(open_v1(NULL), keep_line, NULL, &store, &err), err);
    struct af_write good = lines_of("m v=1 1\n");
    struct af_write bad = lines_of("m v= 1\n");
    struct af_write_answer answer;
    AF_CHECK_OK(af_store_write(store, &good, &answer, &err), err);
    AF_CHECK(strstr(last_line, "write 1 lines, 8 bytes: done, ") == last_line);
    AF_CHECK_OK(af_store_write(store, &bad, &answer, &err), err);
    AF_CHECK(strstr(last_line, "write 1 lines, 7 bytes: bad lines, others kept: unable to parse 'm v= 1'") == last_line);
    AF_CHECK_OK(af_store_erase(store, &(struct af_scan){ .measurement = "m", .stop_ns = 9 }, &err), err);
    AF_CHECK(strstr(last_line, "erase") == last_line);
    af_store_close(store);
}

static struct af_store *faulty(struct af_fault_plan plan, struct af_store **out_inner)
{
    struct af_store *store;
    *out_inner = memory((struct af_memory_options){ 0 });
    AF_CHECK_OK(af_fault_open(*out_inner, &plan, &store, &err), err);
    return store;
}

AF_TEST(faults_on_request)
{
    struct af_store *inner;
    struct af_store *store = faulty((struct af_fault_plan){ .retry_after_ms = 250 }, &inner);
    struct af_write one = lines_of("m v=1 1\n");
    struct af_write two = lines_of("m v=1 2\n");
    struct af_write_answer answer;
    af_fault_next(store, 1, AF_EBUSY, false);
    AF_CHECK_FAILS(af_store_write(store, &one, &answer, &err), AF_EBUSY);
    AF_CHECK_INT(err.retry_after_ms, 250);
    AF_CHECK_INT(af_memory_values(inner), 0);
    af_fault_next(store, 1, AF_EIO, true);
    AF_CHECK_FAILS(af_store_write(store, &one, &answer, &err), AF_EIO);
    AF_CHECK_INT(af_memory_values(inner), 1);
    af_fault_set_down(store, true);
    AF_CHECK_FAILS(af_store_write(store, &two, &answer, &err), AF_EIO);
    AF_CHECK_FAILS(af_store_ping(store, last_line, sizeof last_line, &err), AF_EIO);
    af_fault_set_down(store, false);
    AF_CHECK_OK(af_store_write(store, &two, &answer, &err), err);
    AF_CHECK_INT(af_memory_values(inner), 2);
    struct af_fault_stats stats;
    af_fault_stats(store, &stats);
    AF_CHECK_INT(stats.writes, 4);
    AF_CHECK_INT(stats.failed, 3);
    af_store_close(store);
}

static uint64_t fates(uint64_t seed, uint64_t *out_values)
{
    struct af_store *inner;
    struct af_store *store = faulty((struct af_fault_plan){ .seed = seed, .before_permille = 200, .after_permille = 200,
                                                            .half_permille = 200, .busy_permille = 200 }, &inner);
    uint64_t seen = 0;
    for (int i = 0; i < 60; i++) {
        char text[64];
        snprintf(text, sizeof text, "m v=1 %d\nm v=1 %d\n", i * 2, i * 2 + 1);
        struct af_write write = lines_of(text);
        struct af_write_answer answer;
        seen = seen * 31 + (uint64_t)af_store_write(store, &write, &answer, NULL);
    }
    struct af_fault_stats stats;
    af_fault_stats(store, &stats);
    AF_CHECK(stats.failed > 30 && stats.failed < 60);
    *out_values = af_memory_values(inner);
    AF_CHECK(*out_values > 20 && *out_values < 100);
    af_store_close(store);
    return seen;
}

AF_TEST(a_seed_repeats_its_faults)
{
    uint64_t a, b, c;
    AF_CHECK(fates(7, &a) == fates(7, &b));
    AF_CHECK_INT(a, b);
    AF_CHECK(fates(7, &a) != fates(8, &c));
}

/* Allocation N fails: an error, nothing leaked, and the store goes on. */
AF_TEST(memory_survives_every_failed_allocation)
{
    static const char text[] = "m,t=a v=1,s=\"abc\" 1\nm,t=b w=2i,b=t 2\nn v=1 3\n";
    struct af_write write = { .lines = af_slice_of(text), .line_count = 3, .precision_ns = 1 };
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_store *store = memory((struct af_memory_options){ 0 });
    struct af_arena arena;
    af_arena_init(&arena, 1 << 24);
    size_t failures = 0;
    enum af_status status = AF_ENOMEM;
    for (size_t n = 1; status != AF_OK && n < 500; n++) {
        struct af_write_answer answer;
        struct af_stream *stream = NULL;
        struct af_batch *batch = NULL;
        af_alloc_fail_nth(n);
        status = af_store_write(store, &write, &answer, &err);
        if (status == AF_OK)
            status = af_store_scan(store, &scan, &stream, &err);
        if (status == AF_OK)
            status = af_stream_next(stream, &arena, &batch, &err);
        af_stream_close(stream);
        stream = NULL;
        if (status == AF_OK)
            status = af_store_list(store, AF_LIST_FIELDS, &scan, &stream, &err);
        if (status == AF_OK)
            status = af_stream_next(stream, &arena, &batch, &err);
        af_alloc_fail_nth(0);
        af_stream_close(stream);
        af_arena_done(&arena); /* so that its chunks are asked for again */
        af_arena_init(&arena, 1 << 24);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM || status == AF_ELIMIT);
        failures += status != AF_OK;
    }
    AF_CHECK_INT(status, AF_OK);
    AF_CHECK(failures > 20);
    AF_CHECK_INT(af_memory_values(store), 5);
    af_arena_done(&arena);
    af_store_close(store);
}

AF_TEST(rows_are_taken_back_and_cut)
{
    static const struct af_field fields[] = { { .name = "s", .type = AF_TYPE_STRING }, { .name = "b", .type = AF_TYPE_BOOL },
                                              { .name = "u", .type = AF_TYPE_U64 } };
    struct af_rows *rows;
    AF_CHECK_OK(af_rows_new(fields, 3, &rows, &err), err);
    AF_CHECK_INT(af_rows_schema(rows)->field_count, 5);
    struct af_arena arena;
    af_arena_init(&arena, 1 << 26);
    struct af_batch *batch = NULL;
    AF_CHECK_OK(af_rows_take(rows, &arena, &batch, &err), err);
    AF_CHECK(batch == NULL);
    for (int round = 0; round < 2; round++) {
        AF_CHECK_OK(af_rows_begin(rows, AF_SLICE_LIT("a"), 1, &err), err);
        af_rows_bool(rows, 1, true);
        AF_CHECK_OK(af_rows_begin(rows, AF_SLICE_LIT("b"), 2, &err), err);
        AF_CHECK_OK(af_rows_text(rows, 0, AF_SLICE_LIT("dropped"), &err), err);
        af_rows_drop_last(rows);
        AF_CHECK_OK(af_rows_begin(rows, AF_SLICE_LIT("c"), 3, &err), err);
        AF_CHECK_OK(af_rows_text(rows, 0, AF_SLICE_LIT("first"), &err), err);
        AF_CHECK_OK(af_rows_text(rows, 0, AF_SLICE_LIT("second"), &err), err);
        af_rows_u64(rows, 2, UINT64_MAX);
        AF_CHECK_OK(af_rows_take(rows, &arena, &batch, &err), err);
        AF_CHECK_INT(batch->row_count, 2);
        AF_CHECK_SLICE(af_column_text(&batch->columns[0], 1), "c");
        AF_CHECK(!af_column_has(&batch->columns[2], 0));
        AF_CHECK_SLICE(af_column_text(&batch->columns[2], 1), "second");
        AF_CHECK(af_column_has(&batch->columns[3], 0) && !af_column_has(&batch->columns[3], 1));
        AF_CHECK(af_bit_get(batch->columns[3].bits, 0) && !af_bit_get(batch->columns[3].bits, 1));
        AF_CHECK(batch->columns[4].u64[1] == UINT64_MAX);
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    af_rows_free(rows);
    af_rows_free(NULL);
}

struct writer {
    struct af_store *store;
    int lane;
};

static void write_many(void *ctx)
{
    struct writer *writer = ctx;
    for (int i = 0; i < 200; i++) {
        char text[64];
        snprintf(text, sizeof text, "m,lane=%d v=%di %d\n", writer->lane, i, i);
        struct af_write write = lines_of(text);
        struct af_write_answer answer;
        AF_CHECK_INT(af_store_write(writer->store, &write, &answer, NULL), AF_OK);
    }
}

AF_TEST(many_threads_write_at_once)
{
    struct af_store *store = open_v1(NULL);
    struct af_thread threads[4] = { 0 };
    struct writer writers[4];
    for (int i = 0; i < 4; i++) {
        writers[i] = (struct writer){ store, i };
        AF_CHECK_OK(af_thread_start(&threads[i], "writer", write_many, &writers[i], &err), err);
    }
    for (int i = 0; i < 4; i++)
        af_thread_join(&threads[i]);
    AF_CHECK_INT(af_memory_values(store), 800);
    af_store_close(store);
}
