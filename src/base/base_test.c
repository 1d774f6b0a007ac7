/* base_test.c - status, buf, arena, intern, reader. */
#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/intern.h"
#include "base/reader.h"
#include "test/lib/test.h"
#include <stdio.h>

AF_TEST(error_prefix_keeps_status)
{
    struct af_error err;
    AF_CHECK_INT(af_fail(&err, AF_ECORRUPT, "bad %d", 7), AF_ECORRUPT);
    af_error_prefix(&err, "file %s: ", "x");
    AF_CHECK_STR(err.message, "file x: bad 7");
    AF_CHECK_INT(err.status, AF_ECORRUPT);
}

AF_TEST(buf_stops_at_its_ceiling)
{
    struct af_buf buf;
    af_buf_init(&buf, 10);
    af_buf_append_str(&buf, "12345678");
    af_buf_append_str(&buf, "abc");
    AF_CHECK(buf.failed);
    AF_CHECK_SLICE(af_buf_slice(&buf), "12345678");
    AF_CHECK_FAILS(af_buf_check(&buf, "text", NULL), AF_ELIMIT);
    af_buf_done(&buf);
}

AF_TEST(buf_survives_every_failed_allocation)
{
    for (size_t n = 1; n < 4; n++) {
        struct af_buf buf;
        af_buf_init(&buf, 1 << 20);
        af_alloc_fail_nth(n);
        for (int i = 0; i < 100; i++)
            af_buf_printf(&buf, "%d,", i);
        af_alloc_fail_nth(0);
        AF_CHECK(buf.failed);
        af_buf_done(&buf);
    }
}

static void count_up(void *ctx)
{
    ++*(int *)ctx;
}

AF_TEST(arena_lists_grow_and_keep_what_they_have)
{
    struct af_arena arena;
    uint32_t *items = NULL;
    size_t cap = 0;
    af_arena_init(&arena, 4096);
    for (uint32_t i = 0; i < 200; i++) {
        items = af_arena_more(&arena, items, i, &cap, sizeof *items);
        AF_CHECK(items != NULL && i < cap);
        items[i] = i;
    }
    for (uint32_t i = 0; i < 200; i++)
        AF_CHECK_INT(items[i], i);
    AF_CHECK_INT(cap, 256);
    AF_CHECK(af_arena_more(&arena, items, 256, &cap, 100) == NULL);
    AF_CHECK_INT(cap, 256);
    af_arena_done(&arena);
}

AF_TEST(arena_reuses_its_chunks_and_runs_hooks)
{
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    int runs = 0;
    af_alloc_fail_nth(0);
    for (int round = 0; round < 10; round++) {
        AF_CHECK(af_arena_on_reset(&arena, count_up, &runs));
        for (int i = 0; i < 20; i++)
            AF_CHECK(af_arena_array(&arena, 1000, 8) != NULL);
        af_arena_reset(&arena);
    }
    AF_CHECK(af_alloc_fail_nth(0) < 12);
    AF_CHECK_INT(runs, 10);
    AF_CHECK(af_arena_alloc(&arena, 2 << 20) == NULL);
    AF_CHECK(af_arena_array(&arena, SIZE_MAX / 4, 8) == NULL);
    af_arena_done(&arena);
}

AF_TEST(intern_gives_dense_ids)
{
    struct af_intern set;
    af_intern_init(&set);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 10000; i++) {
            char text[32];
            snprintf(text, sizeof text, "key-%d", i);
            uint32_t id;
            AF_CHECK(af_intern_add(&set, af_slice_of(text), &id, NULL) == AF_OK);
            AF_CHECK_INT(id, i);
        }
    }
    AF_CHECK_SLICE(set.keys[77], "key-77");
    AF_CHECK_INT(af_intern_find(&set, AF_SLICE_LIT("nobody")), UINT32_MAX);
    af_intern_clear(&set);
    AF_CHECK_INT(af_intern_find(&set, AF_SLICE_LIT("key-1")), UINT32_MAX);
    af_intern_done(&set);
}

AF_TEST(reader_checks_ranges)
{
    struct af_reader reader;
    af_reader_from_memory(&reader, "memory", "0123456789", 10);
    char got[4];
    struct af_error err;
    AF_CHECK_OK(af_reader_read(&reader, 6, got, 4, &err), err);
    AF_CHECK(memcmp(got, "6789", 4) == 0);
    AF_CHECK_FAILS(af_reader_read(&reader, 7, got, 4, &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_reader_read(&reader, UINT64_MAX, got, 4, &err), AF_ECORRUPT);
}
