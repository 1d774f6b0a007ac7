/* file_test.c - TSM files written and read: round trips, order, samples, damage at every byte, no memory at every allocation. */
#include "format/tsm/file_fixture.h"
#include <stdlib.h>

enum { KEYS_MAX = 12000, ARENA_MAX = 1 << 30 };

struct model {
    struct af_arena arena;
    struct af_prng prng;
    size_t count;
    struct {
        char *key;
        struct af_tsm_values values;
    } keys[KEYS_MAX];
    struct af_buf bytes, stats;
    struct af_tsm_file_info info;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Keys of many lengths, in order, no two the same. */
static void make_keys(struct model *m, size_t count)
{
    static char *keys[KEYS_MAX];
    for (size_t i = 0; i < count; i++) {
        const char *measurement = af_prng_below(&m->prng, 3) == 0 ? "cpu" : "a rather long measurement";
        const int pad = (int)af_prng_below(&m->prng, 50) == 0 ? 400 : (int)af_prng_below(&m->prng, 20);
        keys[i] = af_arena_printf(&m->arena, "%s,h=%05zu,pad=%0*d#!~#f%d", measurement, (size_t)af_prng_below(&m->prng, count * 4), pad + 1,
                                  (int)af_prng_below(&m->prng, 9), (int)af_prng_below(&m->prng, 3));
    }
    qsort(keys, count, sizeof *keys, by_key);
    m->count = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(keys[i], keys[i - 1]) != 0)
            m->keys[m->count++].key = keys[i];
}

static void make_values(struct model *m, size_t points_max)
{
    for (size_t i = 0; i < m->count; i++) {
        const enum af_type type = fixture_types[af_prng_below(&m->prng, 5)];
        const int64_t step = (int64_t[]){ 1, 1000000000, 3600000000000, 86400000000000 }[af_prng_below(&m->prng, 4)];
        const size_t count = 1 + (size_t)af_prng_below(&m->prng, points_max);
        fixture_values(&m->prng, &m->arena, type, count, -50000000000000, step, &m->keys[i].values);
    }
}

static void write_model(struct model *m)
{
    struct af_error err;
    struct af_tsm_writer *w;
    af_buf_clear(&m->bytes);
    af_buf_clear(&m->stats);
    AF_CHECK_OK(af_tsm_writer_new(fixture_emit, &m->bytes, &w, &err), err);
    for (size_t i = 0; i < m->count; i++)
        AF_CHECK_OK(af_tsm_writer_add(w, af_slice_of(m->keys[i].key), &m->keys[i].values, &err), err);
    const uint64_t index_bytes = af_tsm_writer_index_bytes(w);
    AF_CHECK_OK(af_tsm_writer_finish(w, &m->info, &err), err);
    AF_CHECK_OK(af_tsm_writer_stats(w, &m->stats, &err), err);
    AF_CHECK_INT(m->info.bytes, m->bytes.len);
    AF_CHECK_INT(m->info.index_bytes, index_bytes);
    af_tsm_writer_free(w);
}

static struct model *new_model(uint64_t seed, size_t keys, size_t points_max)
{
    static struct model m;
    m.prng.state = seed;
    af_arena_init(&m.arena, ARENA_MAX);
    af_buf_init(&m.bytes, ARENA_MAX);
    af_buf_init(&m.stats, ARENA_MAX);
    make_keys(&m, keys);
    make_values(&m, points_max);
    write_model(&m);
    return &m;
}

static void free_model(struct model *m)
{
    af_buf_done(&m->bytes);
    af_buf_done(&m->stats);
    af_arena_done(&m->arena);
}

static void check_entry(struct af_tsm_file *file, const struct model *m, size_t i, const struct af_tsm_entry *entry)
{
    struct af_error err;
    struct af_arena arena;
    size_t at = 0;
    AF_CHECK_SLICE(entry->key, m->keys[i].key);
    AF_CHECK_INT(entry->number, i);
    AF_CHECK(entry->type == m->keys[i].values.values.type);
    af_arena_init(&arena, ARENA_MAX);
    for (size_t b = 0; b < entry->block_count; b++) {
        struct af_tsm_values values;
        AF_CHECK_OK(af_tsm_read_block(file, entry->type, &entry->blocks[b], &arena, &values, &err), err);
        AF_CHECK(values.count <= m->keys[i].values.count - at);
        AF_CHECK(fixture_same(&values, 0, &m->keys[i].values, at, values.count));
        at += values.count;
    }
    AF_CHECK_INT(at, m->keys[i].values.count);
    af_arena_done(&arena);
}

static void check_all(struct af_tsm_file *file, const struct model *m, size_t from, struct af_slice from_key)
{
    struct af_error err;
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry;
    AF_CHECK_OK(af_tsm_cursor_open(file, from_key, &cursor, &err), err);
    for (size_t i = from; i < m->count; i++) {
        AF_CHECK_OK(af_tsm_cursor_next(cursor, &entry, &err), err);
        AF_CHECK(entry.key.ptr != NULL);
        check_entry(file, m, i, &entry);
    }
    AF_CHECK_OK(af_tsm_cursor_next(cursor, &entry, &err), err);
    AF_CHECK(entry.key.ptr == NULL);
    AF_CHECK_OK(af_tsm_cursor_next(cursor, &entry, &err), err);
    AF_CHECK(entry.key.ptr == NULL);
    af_tsm_cursor_close(cursor);
}

AF_TEST(tsm_file_round_trip)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct af_error err;
        struct af_tsm_file *file;
        struct af_tsm_file_info info;
        struct fixture_reader windowed;
        struct af_reader memory;
        struct model *m = new_model(seed, (size_t[]){ 1, 2, 50, 400 }[seed % 4], seed == 1 ? 5000 : 300);
        af_reader_from_memory(&memory, "memory.tsm", m->bytes.ptr, m->bytes.len);
        struct af_reader *readers[2] = { fixture_reader(&windowed, af_buf_slice(&m->bytes)), &memory };
        for (size_t r = 0; r < 2; r++) {
            AF_CHECK_OK(af_tsm_file_open(readers[r], &m->info.index_crc, &file, &err), err);
            af_tsm_file_info(file, &info);
            AF_CHECK_INT(info.key_count, m->count);
            AF_CHECK_INT(info.block_count, m->info.block_count);
            AF_CHECK_INT(info.index_crc, m->info.index_crc);
            AF_CHECK_INT(info.min_ns, m->info.min_ns);
            AF_CHECK_INT(info.max_ns, m->info.max_ns);
            check_all(file, m, 0, AF_SLICE_LIT(""));
            af_tsm_file_close(file);
        }
        free_model(m);
    }
}

/* Every key, and what is just beside it, with many samples and groups of samples. */
AF_TEST(tsm_file_find_beside_every_key)
{
    struct af_error err;
    struct af_tsm_file *file;
    struct af_tsm_entry entry;
    struct fixture_reader reader;
    struct af_arena arena;
    struct model *m = new_model(99, KEYS_MAX, 2);
    AF_CHECK_OK(af_tsm_file_open(fixture_reader(&reader, af_buf_slice(&m->bytes)), NULL, &file, &err), err);
    AF_CHECK(file->sample_count > AF_TSM_SAMPLE_GROUP && file->sample_count < m->count / 20);
    af_arena_init(&arena, ARENA_MAX);
    reader.reads = 0;
    for (size_t i = 0; i < m->count; i++) {
        char text[600];
        const size_t len = strlen(m->keys[i].key);
        af_arena_reset(&arena);
        AF_CHECK_OK(af_tsm_find(file, af_slice_of(m->keys[i].key), &arena, &entry, &err), err);
        check_entry(file, m, i, &entry);
        memcpy(text, m->keys[i].key, len);
        text[len] = '\0'; /* one byte longer */
        AF_CHECK_OK(af_tsm_find(file, af_slice_make(text, len + 1), &arena, &entry, &err), err);
        AF_CHECK(entry.key.ptr == NULL);
        AF_CHECK_OK(af_tsm_find(file, af_slice_make(text, len - 1), &arena, &entry, &err), err);
        AF_CHECK(entry.key.ptr == NULL);
        text[len - 1] ^= 1; /* a neighbour; it may be there */
        AF_CHECK_OK(af_tsm_find(file, af_slice_make(text, len), &arena, &entry, &err), err);
        AF_CHECK(entry.key.ptr == NULL || af_slice_eq(entry.key, af_slice_make(text, len)));
    }
    AF_CHECK(reader.reads <= 6 * m->count); /* 4 finds and the block, with a rare second read */
    AF_CHECK_OK(af_tsm_find(file, AF_SLICE_LIT(""), &arena, &entry, &err), err);
    AF_CHECK(entry.key.ptr == NULL);
    AF_CHECK_OK(af_tsm_find(file, AF_SLICE_LIT("\xff\xff"), &arena, &entry, &err), err);
    AF_CHECK(entry.key.ptr == NULL);
    af_arena_done(&arena);
    af_tsm_file_close(file);
    free_model(m);
}

AF_TEST(tsm_cursor_from_anywhere)
{
    struct af_error err;
    struct af_tsm_file *file;
    struct fixture_reader reader;
    struct model *m = new_model(5, 3000, 2);
    AF_CHECK_OK(af_tsm_file_open(fixture_reader(&reader, af_buf_slice(&m->bytes)), NULL, &file, &err), err);
    for (size_t i = 0; i < m->count; i += 1 + m->count / 25) {
        char text[600];
        const size_t len = strlen(m->keys[i].key);
        check_all(file, m, i, af_slice_of(m->keys[i].key));
        memcpy(text, m->keys[i].key, len);
        text[len] = '\0';
        check_all(file, m, i + 1, af_slice_make(text, len + 1));
    }
    check_all(file, m, m->count, AF_SLICE_LIT("\xff"));
    af_tsm_file_close(file);
    free_model(m);
}

/* Seeks of all lengths, between nexts, against the model. */
static void seek_around(struct af_tsm_file *file, struct model *m, size_t stride)
{
    struct af_error err;
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry;
    size_t at = 0; /* the next one due */
    AF_CHECK_OK(af_tsm_cursor_open(file, AF_SLICE_LIT(""), &cursor, &err), err);
    while (at < m->count) {
        size_t to = (size_t)af_prng_below(&m->prng, 5) == 0 ? at / 2 : at + (size_t)af_prng_below(&m->prng, stride);
        to = to < m->count ? to : m->count - 1;
        const size_t len = strlen(m->keys[to].key);
        const bool is_behind = af_prng_below(&m->prng, 2) != 0; /* a key that is not there, just behind; the NUL counts */
        AF_CHECK_OK(af_tsm_cursor_seek(cursor, af_slice_make(m->keys[to].key, len + is_behind), &err), err);
        at = at > to + is_behind ? at : to + is_behind;
        for (uint64_t n = af_prng_below(&m->prng, 3); n > 0 && at < m->count; n--, at++) {
            AF_CHECK_OK(af_tsm_cursor_next(cursor, &entry, &err), err);
            check_entry(file, m, at, &entry);
        }
    }
    AF_CHECK_OK(af_tsm_cursor_next(cursor, &entry, &err), err);
    AF_CHECK(entry.key.ptr == NULL);
    AF_CHECK_OK(af_tsm_cursor_seek(cursor, AF_SLICE_LIT("\xff"), &err), err);
    AF_CHECK_OK(af_tsm_cursor_next(cursor, &entry, &err), err);
    AF_CHECK(entry.key.ptr == NULL);
    af_tsm_cursor_close(cursor);
}

AF_TEST(tsm_cursor_seeks_forward)
{
    struct af_error err;
    struct af_tsm_file *file;
    struct fixture_reader windowed;
    struct af_reader memory;
    struct model *m = new_model(31, KEYS_MAX, 2);
    af_reader_from_memory(&memory, "memory.tsm", m->bytes.ptr, m->bytes.len);
    struct af_reader *readers[2] = { fixture_reader(&windowed, af_buf_slice(&m->bytes)), &memory };
    for (size_t r = 0; r < 2; r++) {
        AF_CHECK_OK(af_tsm_file_open(readers[r], NULL, &file, &err), err);
        for (size_t stride = 2; stride < 5000; stride *= 3)
            seek_around(file, m, stride);
        af_tsm_file_close(file);
    }
    free_model(m);
}

static const int64_t three_times[3] = { 10, 20, 30 };
static const int64_t three_ints[3] = { 1, 2, 3 };
static const struct af_tsm_values three = { 3, three_times, { .type = AF_TYPE_I64, .i64 = three_ints } };

AF_TEST(tsm_order_is_that_of_composite_keys)
{
    struct af_error err;
    struct af_buf bytes;
    struct af_tsm_writer *w;
    af_buf_init(&bytes, 1 << 20);
    AF_CHECK_OK(af_tsm_writer_new(fixture_emit, &bytes, &w, &err), err);
    AF_CHECK_OK(af_tsm_writer_add(w, AF_SLICE_LIT("m,a=b!#!~#v"), &three, &err), err);
    AF_CHECK_OK(af_tsm_writer_add(w, AF_SLICE_LIT("m,a=b#!~#v"), &three, &err), err);
    AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT("m,a=b!#!~#v"), &three, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT("m,a=b#!~#u"), &three, &err), AF_EINVAL);
    AF_CHECK_OK(af_tsm_writer_finish(w, NULL, &err), err);
    af_tsm_writer_free(w);
    struct af_reader reader;
    struct af_tsm_file *file;
    struct af_tsm_file_info info;
    af_reader_from_memory(&reader, "two.tsm", bytes.ptr, bytes.len);
    AF_CHECK_OK(af_tsm_file_open(&reader, NULL, &file, &err), err);
    af_tsm_file_info(file, &info);
    AF_CHECK_INT(info.key_count, 2);
    AF_CHECK_INT(info.min_ns, 10);
    AF_CHECK_INT(info.max_ns, 30);
    af_tsm_file_close(file);
    af_buf_done(&bytes);
}

/* Refusals add nothing: the file is the same as without them. */
AF_TEST(tsm_writer_refuses)
{
    struct af_error err;
    struct af_buf bytes[2];
    const double odd[2] = { 1, 1.0 / 0.0 };
    const int64_t back[2] = { 40, 40 };
    static char long_key[65537];
    memset(long_key, 'k', sizeof long_key);
    const struct af_tsm_values infinite = { 2, three_times, { .type = AF_TYPE_F64, .f64 = odd } };
    const struct af_tsm_values stuck = { 2, back, { .type = AF_TYPE_I64, .i64 = three_ints } };
    const struct af_tsm_values none = { 0, back, { .type = AF_TYPE_I64, .i64 = three_ints } };
    const struct af_tsm_values clock = { 2, three_times, { .type = AF_TYPE_CLOCK, .i64 = three_ints } };
    struct af_tsm_values floats = { 1, back, { .type = AF_TYPE_F64, .f64 = odd } };
    for (int odd_ones = 0; odd_ones < 2; odd_ones++) {
        struct af_tsm_writer *w;
        af_buf_init(&bytes[odd_ones], 1 << 20);
        AF_CHECK_OK(af_tsm_writer_new(fixture_emit, &bytes[odd_ones], &w, &err), err);
        if (odd_ones) {
            AF_CHECK_FAILS(af_tsm_writer_finish(w, NULL, &err), AF_EINVAL);
            AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT(""), &three, &err), AF_EINVAL);
            AF_CHECK_FAILS(af_tsm_writer_add(w, af_slice_make(long_key, 65536), &three, &err), AF_EINVAL);
            AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT("k"), &infinite, &err), AF_EINVAL);
            AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT("k"), &stuck, &err), AF_EINVAL);
            AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT("k"), &none, &err), AF_EINVAL);
            AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT("k"), &clock, &err), AF_EINVAL);
        }
        AF_CHECK_OK(af_tsm_writer_add(w, AF_SLICE_LIT("k"), &three, &err), err);
        if (odd_ones) {
            AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT("k"), &three, &err), AF_EINVAL);
            AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT("k"), &floats, &err), AF_EINVAL);
        }
        const int64_t late[1] = { 31 };
        const struct af_tsm_values later = { 1, late, { .type = AF_TYPE_I64, .i64 = three_ints } };
        AF_CHECK_OK(af_tsm_writer_add(w, AF_SLICE_LIT("k"), &later, &err), err);
        AF_CHECK_OK(af_tsm_writer_add(w, af_slice_make(long_key, 65535), &three, &err), err);
        AF_CHECK_OK(af_tsm_writer_finish(w, NULL, &err), err);
        AF_CHECK_FAILS(af_tsm_writer_finish(w, NULL, &err), AF_EINVAL);
        AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT("z"), &three, &err), AF_EINVAL);
        af_tsm_writer_free(w);
    }
    AF_CHECK(af_slice_eq(af_buf_slice(&bytes[0]), af_buf_slice(&bytes[1])));
    af_buf_done(&bytes[0]);
    af_buf_done(&bytes[1]);
}

/* 65,535 blocks of one key, no more; its entry of 1.8 MB is read by cursor and find. */
AF_TEST(tsm_most_blocks_of_a_key)
{
    struct af_error err;
    struct af_buf bytes;
    struct af_tsm_writer *w;
    struct af_tsm_file *file;
    struct af_tsm_entry entry;
    struct fixture_reader reader;
    struct af_arena arena;
    af_buf_init(&bytes, 1 << 28);
    AF_CHECK_OK(af_tsm_writer_new(fixture_emit, &bytes, &w, &err), err);
    AF_CHECK_OK(af_tsm_writer_add(w, AF_SLICE_LIT("a#!~#v"), &three, &err), err);
    for (int64_t i = 0; i < 65536; i++) {
        const struct af_tsm_values one = { 1, &i, { .type = AF_TYPE_I64, .i64 = &i } };
        AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT("b#!~#v"), &one, &err), i < 65535 ? AF_OK : AF_ELIMIT);
    }
    AF_CHECK_OK(af_tsm_writer_add(w, AF_SLICE_LIT("c#!~#v"), &three, &err), err);
    AF_CHECK_OK(af_tsm_writer_finish(w, NULL, &err), err);
    af_tsm_writer_free(w);
    AF_CHECK_OK(af_tsm_file_open(fixture_reader(&reader, af_buf_slice(&bytes)), NULL, &file, &err), err);
    af_arena_init(&arena, ARENA_MAX);
    AF_CHECK_OK(af_tsm_find(file, AF_SLICE_LIT("b#!~#v"), &arena, &entry, &err), err);
    AF_CHECK_INT(entry.block_count, 65535);
    AF_CHECK_INT(entry.blocks[65534].max_ns, 65534);
    AF_CHECK_OK(af_tsm_find(file, AF_SLICE_LIT("c#!~#v"), &arena, &entry, &err), err);
    AF_CHECK_INT(entry.number, 2);
    af_arena_done(&arena);
    af_tsm_file_close(file);
    af_buf_done(&bytes);
}

/* A copy of all blocks is the same file with the same side file. */
AF_TEST(tsm_copy_of_blocks_is_the_same)
{
    struct af_error err;
    struct af_tsm_file *file;
    struct af_tsm_writer *w;
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry;
    struct fixture_reader reader;
    struct af_arena arena;
    struct af_buf bytes, stats, built, streamed;
    struct model *m = new_model(7, 200, 2500);
    af_buf_init(&bytes, ARENA_MAX);
    af_buf_init(&stats, ARENA_MAX);
    af_buf_init(&built, ARENA_MAX);
    af_buf_init(&streamed, ARENA_MAX);
    af_arena_init(&arena, ARENA_MAX);
    AF_CHECK_OK(af_tsm_file_open(fixture_reader(&reader, af_buf_slice(&m->bytes)), NULL, &file, &err), err);
    AF_CHECK_OK(af_tsm_cursor_open(file, AF_SLICE_LIT(""), &cursor, &err), err);
    AF_CHECK_OK(af_tsm_writer_new(fixture_emit, &bytes, &w, &err), err);
    af_tsm_writer_emit_stats(w, fixture_emit, &streamed);
    for (;;) {
        AF_CHECK_OK(af_tsm_cursor_next(cursor, &entry, &err), err);
        if (entry.key.ptr == NULL)
            break;
        for (size_t b = 0; b < entry.block_count; b++) {
            struct af_slice raw;
            struct af_tsm_block_ref lie = entry.blocks[b];
            AF_CHECK_OK(af_tsm_read_raw(file, &entry.blocks[b], &arena, &raw, &err), err);
            lie.max_ns++;
            AF_CHECK_FAILS(af_tsm_writer_copy(w, entry.key, entry.type, &lie, raw, &err), AF_ECORRUPT);
            AF_CHECK_OK(af_tsm_writer_copy(w, entry.key, entry.type, &entry.blocks[b], raw, &err), err);
        }
    }
    AF_CHECK_OK(af_tsm_writer_finish(w, NULL, &err), err);
    AF_CHECK_OK(af_tsm_stats_build(file, &built, &err), err);
    AF_CHECK(af_slice_eq(af_buf_slice(&bytes), af_buf_slice(&m->bytes)));
    AF_CHECK(af_slice_eq(af_buf_slice(&built), af_buf_slice(&m->stats)));
    AF_CHECK(af_slice_eq(af_buf_slice(&streamed), af_buf_slice(&m->stats)));
    af_tsm_writer_free(w);
    af_tsm_cursor_close(cursor);
    af_tsm_file_close(file);
    af_arena_done(&arena);
    af_buf_done(&bytes);
    af_buf_done(&stats);
    af_buf_done(&built);
    af_buf_done(&streamed);
    free_model(m);
}

/* --- damage ------------------------------------------------------------------------------------------------------------------ */

/* Open with the index's crc and check all: false if anything is refused or found at fault. */
static bool is_sound(struct af_slice bytes, const uint32_t *index_crc)
{
    struct af_error err;
    struct af_tsm_file *file;
    struct af_tsm_check check;
    struct fixture_reader reader;
    char *exact = af_alloc(bytes.len); /* so that a read past the end is found */
    AF_CHECK(exact != NULL);
    if (bytes.len != 0)
        memcpy(exact, bytes.ptr, bytes.len);
    enum af_status status = af_tsm_file_open(fixture_reader(&reader, af_slice_make(exact, bytes.len)), index_crc, &file, &err);
    if (status == AF_OK) {
        AF_CHECK_OK(af_tsm_check(file, NULL, NULL, &check, &err), err);
        af_tsm_file_close(file);
    }
    af_free(exact);
    return status == AF_OK && check.bad_blocks == 0 && check.bad_entries == 0;
}

/* Blocks through views, in order and in leaps, with hints and without: what af_tsm_read_block gives, in fewer reads. */
static void check_views(struct af_tsm_file *file, uint64_t hint, size_t leap)
{
    struct af_error err;
    struct af_arena arena;
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry;
    struct af_tsm_ahead ahead = { 0 };
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_OK(af_tsm_cursor_open(file, AF_SLICE_LIT(""), &cursor, &err), err);
    for (size_t n = 0;; n++) {
        AF_CHECK_OK(af_tsm_cursor_next(cursor, &entry, &err), err);
        if (entry.key.ptr == NULL)
            break;
        for (size_t b = 0; b < entry.block_count && n % leap == 0; b++) {
            struct af_tsm_block_view view;
            struct af_tsm_values got = { 0 }, want;
            int64_t *times;
            AF_CHECK_OK(af_tsm_read_view(&ahead, file, entry.type, &entry.blocks[b], hint, &view, &err), err);
            AF_CHECK_OK(af_tsm_block_times(&view, &arena, &times, &err), err);
            AF_CHECK_OK(af_tsm_block_column(&view, view.count, &arena, &got.values, &err), err);
            got.time_ns = times;
            AF_CHECK_OK(af_tsm_read_block(file, entry.type, &entry.blocks[b], &arena, &want, &err), err);
            AF_CHECK(view.count == want.count && fixture_same(&got, 0, &want, 0, want.count));
            af_arena_reset(&arena);
        }
    }
    af_tsm_cursor_close(cursor);
    af_tsm_ahead_done(&ahead);
    af_arena_done(&arena);
}

AF_TEST(tsm_blocks_read_ahead)
{
    struct model *m = new_model(14, 300, 2500);
    struct fixture_reader reader;
    struct af_tsm_file *file;
    struct af_error err;
    AF_CHECK_OK(af_tsm_file_open(fixture_reader(&reader, af_buf_slice(&m->bytes)), NULL, &file, &err), err);
    for (size_t leap = 1; leap < 9; leap += 3)
        for (uint64_t hint = 0; hint <= m->bytes.len; hint += m->bytes.len)
            check_views(file, hint, leap);
    struct af_tsm_ahead ahead = { 0 };
    struct af_tsm_block_view view;
    struct af_tsm_block_ref ref = { .offset = m->bytes.len - 3, .size = 100 };
    AF_CHECK_FAILS(af_tsm_read_view(&ahead, file, AF_TYPE_F64, &ref, 0, &view, &err), AF_ECORRUPT);
    ref.offset = UINT64_MAX - 5;
    AF_CHECK_FAILS(af_tsm_read_view(&ahead, file, AF_TYPE_F64, &ref, 0, &view, &err), AF_ECORRUPT);
    af_tsm_ahead_done(&ahead);
    af_tsm_file_close(file);
    free_model(m);
}

AF_TEST(tsm_file_cut_anywhere_is_refused)
{
    struct model *m = new_model(11, 12, 40);
    AF_CHECK(is_sound(af_buf_slice(&m->bytes), NULL));
    for (size_t len = 0; len < m->bytes.len; len++)
        AF_CHECK(!is_sound(af_slice_make(m->bytes.ptr, len), NULL));
    free_model(m);
}

AF_TEST(tsm_file_any_byte_flipped_is_noticed)
{
    struct model *m = new_model(12, 12, 40);
    struct af_prng prng = { 3 };
    for (size_t i = 0; i < m->bytes.len; i++) {
        const char was = m->bytes.ptr[i];
        m->bytes.ptr[i] = (char)(was ^ (1 << af_prng_below(&prng, 8)));
        AF_CHECK(!is_sound(af_buf_slice(&m->bytes), &m->info.index_crc));
        m->bytes.ptr[i] = (char)~was;
        AF_CHECK(!is_sound(af_buf_slice(&m->bytes), &m->info.index_crc));
        m->bytes.ptr[i] = was;
    }
    AF_CHECK(is_sound(af_buf_slice(&m->bytes), &m->info.index_crc));
    free_model(m);
}

struct faults {
    size_t count;
    char last[1024];
};
static void keep_fault(void *ctx, const char *words)
{
    struct faults *faults = ctx;
    faults->count++;
    snprintf(faults->last, sizeof faults->last, "%s", words);
}

/* A file whose index is what the caller made of it: parts are patched and the check must tell each. */
static void check_patched(struct af_slice bytes, struct faults *faults, struct af_tsm_check *out)
{
    struct af_error err;
    struct af_tsm_file *file;
    struct af_reader reader;
    *faults = (struct faults){ 0 };
    af_reader_from_memory(&reader, "patched.tsm", bytes.ptr, bytes.len);
    AF_CHECK_OK(af_tsm_file_open(&reader, NULL, &file, &err), err);
    AF_CHECK_OK(af_tsm_check(file, keep_fault, faults, out, &err), err);
    AF_CHECK_INT(faults->count, out->bad_blocks + out->bad_entries);
    af_tsm_file_close(file);
}

AF_TEST(tsm_check_tells_faults)
{
    struct af_error err;
    struct af_buf bytes;
    struct af_tsm_writer *w;
    struct af_tsm_file_info info;
    struct faults faults;
    struct af_tsm_check check;
    const int64_t late[2] = { 40, 50 };
    const struct af_tsm_values later = { 2, late, { .type = AF_TYPE_I64, .i64 = three_ints } };
    af_buf_init(&bytes, 1 << 20);
    AF_CHECK_OK(af_tsm_writer_new(fixture_emit, &bytes, &w, &err), err);
    AF_CHECK_OK(af_tsm_writer_add(w, AF_SLICE_LIT("m#!~#v"), &three, &err), err);
    AF_CHECK_OK(af_tsm_writer_add(w, AF_SLICE_LIT("m#!~#v"), &later, &err), err);
    AF_CHECK_OK(af_tsm_writer_add(w, AF_SLICE_LIT("n"), &three, &err), err);
    AF_CHECK_OK(af_tsm_writer_add(w, AF_SLICE_LIT("\xff#!~#v"), &three, &err), err);
    AF_CHECK_OK(af_tsm_writer_finish(w, &info, &err), err);
    af_tsm_writer_free(w);
    check_patched(af_buf_slice(&bytes), &faults, &check);
    AF_CHECK_INT(check.keys, 3);
    AF_CHECK_INT(check.blocks, 4);
    AF_CHECK_INT(check.points, 11);
    AF_CHECK_INT(check.bad_entries, 2); /* no separator; not UTF-8 */
    AF_CHECK_INT(check.bad_blocks, 0);
    AF_CHECK_INT(check.min_ns, 10);
    AF_CHECK_INT(check.max_ns, 50);
    uint8_t *refs = (uint8_t *)bytes.ptr + info.index_offset + 2 + 6 + 3;
    af_be64_put(refs + 8, 45); /* the first block's end: an overlap, and not what the block holds */
    check_patched(af_buf_slice(&bytes), &faults, &check);
    AF_CHECK_INT(check.bad_entries, 3);
    AF_CHECK_INT(check.bad_blocks, 1);
    af_be64_put(refs + 8, 30);
    bytes.ptr[12] ^= 1;
    check_patched(af_buf_slice(&bytes), &faults, &check);
    AF_CHECK_INT(check.bad_blocks, 1);
    AF_CHECK(strstr(faults.last, "UTF-8") != NULL);
    bytes.ptr[12] ^= 1;
    memcpy(refs + AF_TSM_REF_BYTES + 16, refs + 16, 12); /* both to the same block */
    check_patched(af_buf_slice(&bytes), &faults, &check);
    AF_CHECK_INT(check.bad_blocks, 1);
    AF_CHECK_INT(check.bad_entries, 3);
    af_buf_done(&bytes);
}

/* --- no memory --------------------------------------------------------------------------------------------------------------- */

static enum af_status write_small(struct model *m, struct af_buf *bytes, struct af_buf *stats, struct af_error *err)
{
    struct af_tsm_writer *w;
    enum af_status status = af_tsm_writer_new(fixture_emit, bytes, &w, err);
    if (status != AF_OK)
        return status;
    for (size_t i = 0; i < m->count && status == AF_OK; i++)
        status = af_tsm_writer_add(w, af_slice_of(m->keys[i].key), &m->keys[i].values, err);
    if (status != AF_OK) /* it stays so */
        AF_CHECK(af_tsm_writer_finish(w, NULL, NULL) != AF_OK);
    else
        status = af_tsm_writer_finish(w, NULL, err);
    if (status == AF_OK)
        status = af_tsm_writer_stats(w, stats, err);
    af_tsm_writer_free(w);
    return status;
}

static enum af_status read_small(struct model *m, struct af_error *err)
{
    struct fixture_reader reader;
    struct af_tsm_file *file;
    struct af_tsm_check check = { 0 };
    struct af_tsm_entry entry;
    struct af_arena arena;
    struct af_buf stats;
    AF_TRY(af_tsm_file_open(fixture_reader(&reader, af_buf_slice(&m->bytes)), NULL, &file, err));
    af_arena_init(&arena, ARENA_MAX);
    af_buf_init(&stats, ARENA_MAX);
    enum af_status status = af_tsm_check(file, NULL, NULL, &check, err);
    AF_CHECK(check.bad_blocks == 0 && check.bad_entries == 0);
    if (status == AF_OK)
        status = af_tsm_find(file, af_slice_of(m->keys[m->count / 2].key), &arena, &entry, err);
    if (status == AF_OK)
        status = af_tsm_stats_build(file, &stats, err);
    if (status == AF_OK)
        AF_CHECK(af_slice_eq(af_buf_slice(&stats), af_buf_slice(&m->stats)));
    af_buf_done(&stats);
    af_arena_done(&arena);
    af_tsm_file_close(file);
    return status;
}

AF_TEST(tsm_file_without_memory)
{
    struct af_error err;
    struct model *m = new_model(21, 400, 120);
    size_t nth = 0;
    enum af_status status;
    do {
        struct af_buf bytes, stats;
        af_buf_init(&bytes, ARENA_MAX);
        af_buf_init(&stats, ARENA_MAX);
        af_alloc_fail_nth(++nth);
        status = write_small(m, &bytes, &stats, &err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        if (status == AF_OK) {
            AF_CHECK(af_slice_eq(af_buf_slice(&bytes), af_buf_slice(&m->bytes)));
            AF_CHECK(af_slice_eq(af_buf_slice(&stats), af_buf_slice(&m->stats)));
        }
        af_buf_done(&bytes);
        af_buf_done(&stats);
    } while (status != AF_OK);
    AF_CHECK(nth > 20);
    nth = 0;
    do {
        af_alloc_fail_nth(++nth);
        status = read_small(m, &err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
    } while (status != AF_OK);
    AF_CHECK(nth > 5);
    free_model(m);
}

/* An emit that fails ends the file for good. */
static enum af_status fail_third(void *ctx, struct af_slice bytes, struct af_error *err)
{
    (void)bytes;
    return ++*(int *)ctx == 3 ? af_fail(err, AF_EIO, "the disk is gone") : AF_OK;
}

AF_TEST(tsm_writer_after_a_failed_emit)
{
    struct af_error err;
    struct af_tsm_writer *w;
    int calls = 0;
    AF_CHECK_OK(af_tsm_writer_new(fail_third, &calls, &w, &err), err);
    AF_CHECK_OK(af_tsm_writer_add(w, AF_SLICE_LIT("a"), &three, &err), err);
    AF_CHECK_FAILS(af_tsm_writer_finish(w, NULL, &err), AF_EIO);
    AF_CHECK_FAILS(af_tsm_writer_finish(w, NULL, &err), AF_EIO);
    AF_CHECK_FAILS(af_tsm_writer_add(w, AF_SLICE_LIT("b"), &three, &err), AF_EIO);
    AF_CHECK(af_tsm_writer_stats(w, NULL, &err) != AF_OK);
    af_tsm_writer_free(w);
}
