/* verify_test.c - equal, missing, extra, changed, doubled; the sorter against qsort. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/prng.h"
#include "store/memory.h"
#include "test/lib/test.h"
#include "verify/verify_int.h"
#include <stdio.h>
#include <stdlib.h>

static int compare_u64(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

AF_TEST(the_sorter_merges_runs)
{
    enum { RUNS = 40, EACH = 3000 };
    struct af_sorter sorter;
    struct af_error err;
    af_sorter_init(&sorter, af_test_dir(), sizeof(uint64_t), compare_u64);
    uint64_t *all = af_alloc(RUNS * EACH * sizeof *all);
    struct af_prng prng = { 7 };
    for (size_t i = 0; i < RUNS * EACH; i++)
        all[i] = af_prng_next(&prng) % 50000;
    for (size_t r = 0; r < RUNS; r++)
        AF_CHECK_OK(af_sorter_add_run(&sorter, all + r * EACH, r % 5 == 0 ? 0 : EACH, &err), err);
    for (size_t r = 0; r < RUNS; r += 5)
        memset(all + r * EACH, 0xff, EACH * sizeof *all); /* the runs that were left out sort last */
    qsort(all, RUNS * EACH, sizeof *all, compare_u64);
    struct af_sort_cursor *cursor;
    AF_CHECK_OK(af_sort_cursor_open(&sorter, &cursor, &err), err);
    const void *record;
    for (size_t i = 0; i < RUNS / 5 * 4 * EACH; i++) {
        AF_CHECK_OK(af_sort_cursor_next(cursor, &record, &err), err);
        AF_CHECK(record != NULL && *(const uint64_t *)record == all[i]);
    }
    AF_CHECK_OK(af_sort_cursor_next(cursor, &record, &err), err);
    AF_CHECK(record == NULL);
    af_sort_cursor_close(cursor);
    af_sorter_done(&sorter);
    af_free(all);
}

/* --- whole verifications over line-protocol sources and the memory store -------------------------------------------------------- */

struct scene {
    struct af_buf source, store_lines;
    struct af_store *store;
    struct af_source_list list;
};

static void scene_init(struct scene *s)
{
    struct af_error err;
    af_buf_init(&s->source, 64 << 20);
    af_buf_init(&s->store_lines, 64 << 20);
    AF_CHECK_OK(af_memory_open(NULL, &s->store, &err), err);
}

static void both(struct scene *s, const char *line)
{
    af_buf_append_str(&s->source, line);
    af_buf_append_str(&s->store_lines, line);
}

static void verify(struct scene *s, const char *refused, struct af_verify_result *out)
{
    struct af_error err;
    char path[256];
    snprintf(path, sizeof path, "%s/source.lp", af_test_dir());
    AF_CHECK_OK(af_file_write_atomic(path, af_buf_slice(&s->source), false, &err), err);
    size_t lines = 0;
    for (size_t i = 0; i < s->store_lines.len; i++)
        lines += s->store_lines.ptr[i] == '\n';
    struct af_write write = { .lines = af_buf_slice(&s->store_lines), .line_count = lines, .precision_ns = 1 };
    struct af_write_answer answer;
    if (lines != 0)
        AF_CHECK_OK(af_store_write(s->store, &write, &answer, &err), err);
    const char *args[] = { path };
    AF_CHECK_OK(af_source_list_make(args, 1, NULL, &s->list, &err), err);
    struct af_ingest_options ingest = { .sources = &s->list, .workers = 2 };
    char letters[256];
    const char *dead[] = { letters };
    snprintf(letters, sizeof letters, "%s/dead-letters-x.jsonl", af_test_dir());
    AF_CHECK_OK(af_file_write_atomic(letters, af_slice_of(refused), false, &err), err);
    struct af_verify_options options = { .ingest = &ingest, .store = s->store, .scratch_dir = af_test_dir(), .dead_letters = dead,
                                         .dead_letter_count = 1 };
    AF_CHECK_OK(af_verify_run(&options, out, &err), err);
    af_source_list_done(&s->list);
    af_store_close(s->store);
    af_buf_done(&s->source);
    af_buf_done(&s->store_lines);
}

AF_TEST(equal_sides_are_equal)
{
    struct scene s;
    struct af_verify_result r;
    scene_init(&s);
    for (int i = 0; i < 20000; i++) {
        char line[200];
        snprintf(line, sizeof line, "m%d,tag=a\\ b%d v=%d.5,n=%di,t=\"x%d\",b=%s %lld\n", i % 2, i % 13, i, i, i % 5,
                 i % 3 ? "true" : "false", (long long)i * 7200000000000LL - 50000000000000LL);
        both(&s, line);
    }
    verify(&s, "", &r);
    AF_CHECK(r.is_equal);
    AF_CHECK_INT(r.points, 20000);
    AF_CHECK_INT(r.values, 80000);
    AF_CHECK_INT(r.series, 26);
    AF_CHECK_INT(r.other_points, 0);
}

AF_TEST(a_missing_a_changed_and_an_extra_value_are_named)
{
    struct scene s;
    struct af_verify_result r;
    scene_init(&s);
    for (int i = 0; i < 1000; i++) {
        char line[100];
        snprintf(line, sizeof line, "m,s=1 v=%d %lld\n", i, (long long)i * 3600000000000LL);
        if (i != 500 && i != 700)
            both(&s, line);
    }
    af_buf_append_str(&s.source, "m,s=1 v=500 1800000000000000\nm,s=1 v=700 2520000000000000\n");
    af_buf_append_str(&s.store_lines, "m,s=1 v=701 2520000000000000\nm,s=1 w=1 2520000000000000\nm,s=2 v=1 7\n");
    verify(&s, "", &r);
    AF_CHECK(!r.is_equal);
    AF_CHECK_INT(r.missing, 1);
    AF_CHECK_INT(r.extra, 1);
    AF_CHECK_INT(r.differing, 1);
    AF_CHECK_INT(r.differing_days, 2);
    AF_CHECK_INT(r.other_points, 1);
    AF_CHECK_INT(r.difference_count, 3);
    AF_CHECK_STR(r.differences[0].series, "m,s=1");
    AF_CHECK_INT(r.differences[0].time_ns, 1800000000000000);
    AF_CHECK_STR(r.differences[0].source, "500");
}

AF_TEST(doubled_rows_count_once_and_the_later_wins)
{
    struct scene s;
    struct af_verify_result r;
    scene_init(&s);
    both(&s, "m v=1 1\nm v=2 2\nm v=2 2\nm v=3 1\n"); /* 2 twice; 1 restated as 3 */
    verify(&s, "", &r);
    AF_CHECK(r.is_equal);
    AF_CHECK_INT(r.source_values, 4);
    AF_CHECK_INT(r.source_doubles, 2);
    AF_CHECK_INT(r.values, 2);
}

AF_TEST(the_earlier_value_in_the_store_is_a_difference)
{
    struct scene s;
    struct af_verify_result r;
    scene_init(&s);
    af_buf_append_str(&s.source, "m v=1 1\nm v=3 1\n");
    af_buf_append_str(&s.store_lines, "m v=1 1\n");
    verify(&s, "", &r);
    AF_CHECK(!r.is_equal);
    AF_CHECK_STR(r.differences[0].source, "3");
    AF_CHECK_STR(r.differences[0].store, "1");
}

AF_TEST(types_and_bits_matter)
{
    struct scene s;
    struct af_verify_result r;
    scene_init(&s);
    af_buf_append_str(&s.source, "m a=1 1\nm b=-0 1\n");
    af_buf_append_str(&s.store_lines, "m a=1i 1\nm b=0 1\n");
    verify(&s, "", &r);
    AF_CHECK_INT(r.differing, 2);
}

AF_TEST(refused_lines_are_left_out)
{
    struct scene s;
    struct af_verify_result r;
    scene_init(&s);
    both(&s, "m v=1 1\n");
    af_buf_append_str(&s.source, "m v=7 2\n");
    verify(&s, "{\"line\":\"m v=7 2\"}\n{\"raw\":\"x\"}\n{\"line\":\"m v=1 1, torn", &r);
    AF_CHECK(r.is_equal);
    AF_CHECK_INT(r.values, 1);
}

/* The sources hold the point twice, in two types: one was refused, the other is there. */
AF_TEST(a_refused_value_does_not_hide_the_one_that_was_kept)
{
    struct scene s;
    struct af_verify_result r;
    scene_init(&s);
    both(&s, "m v=2.5 1\n");
    af_buf_append_str(&s.source, "m v=1i 1\n");
    verify(&s, "{\"line\":\"m v=1i 1\"}\n", &r);
    AF_CHECK(r.is_equal);
    AF_CHECK_INT(r.values, 1);
}

AF_TEST(an_empty_store_misses_everything)
{
    struct scene s;
    struct af_verify_result r;
    scene_init(&s);
    for (int i = 0; i < 3000; i++)
        af_buf_printf(&s.source, "m,s=%d v=%d %d\n", i % 100, i, i);
    verify(&s, "", &r);
    AF_CHECK(!r.is_equal);
    AF_CHECK_INT(r.missing, 3000);
    AF_CHECK_INT(r.difference_count, 20);
}

/* Two files whose series appear in another order: ids of one file must not be taken for the other's. */
AF_TEST(many_files_with_the_same_series_in_another_order)
{
    struct af_error err;
    struct af_store *store;
    struct af_buf text;
    af_buf_init(&text, 1 << 20);
    AF_CHECK_OK(af_memory_open(NULL, &store, &err), err);
    for (int file = 0; file < 20; file++) {
        char path[256];
        af_buf_clear(&text);
        for (int i = 0; i < 200; i++)
            af_buf_printf(&text, "%d;%d.5;2024-01-%02dT00:%02d:00Z\n", (i * 7 + file * 31) % 40, i, file + 1, i % 60);
        struct af_buf csv;
        af_buf_init(&csv, 1 << 20);
        af_buf_append_str(&csv, "s;v;time\n");
        af_buf_append_slice(&csv, af_buf_slice(&text));
        snprintf(path, sizeof path, "%s/f%02d.csv", af_test_dir(), file);
        AF_CHECK_OK(af_file_write_atomic(path, af_buf_slice(&csv), false, &err), err);
        af_buf_done(&csv);
    }
    struct af_map *map;
    AF_CHECK_OK(af_map_parse("m", AF_SLICE_LIT("measurement: m\ntime: time\ntags:\n  s: s\nfields:\n  v: v\n"), &map, &err), err);
    const char *args[] = { af_test_dir() };
    struct af_source_list list;
    AF_CHECK_OK(af_source_list_make(args, 1, NULL, &list, &err), err);
    struct af_ingest_options ingest = { .sources = &list, .workers = 2, .map = map };
    struct af_verify_options options = { .ingest = &ingest, .store = store, .scratch_dir = af_test_dir() };
    struct af_verify_result r;
    AF_CHECK_OK(af_verify_run(&options, &r, &err), err);
    AF_CHECK_INT(r.source_values, 4000);
    AF_CHECK_INT(r.missing + r.source_doubles, 4000); /* the store is empty: all must be missed, and under their own series */
    AF_CHECK_INT(r.series, 40);
    AF_CHECK_INT(r.differing_days, 20 * 40);
    af_map_free(map);
    af_source_list_done(&list);
    af_store_close(store);
    af_buf_done(&text);
}
