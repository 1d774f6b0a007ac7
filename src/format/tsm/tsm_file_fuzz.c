/*
 * tsm_file_fuzz.c - any bytes as a TSM file. Properties: the same whether read in memory or through windows; each key that the cursor gives
 * is found, as the same entry; what the check finds sound can be copied block by block into a file that is sound with the same
 * points; the side file built from it can be read for every key.
 */
#include "format/tsm/file_int.h"

#define REQUIRE(condition)     \
    do {                        \
        if (!(condition))       \
            __builtin_trap();   \
    } while (0)

enum { ARENA_BYTES = 256 << 20 };

struct window_reader {
    struct af_reader base;
    const uint8_t *content;
};

static enum af_status window_read(struct af_reader *base, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    (void)err;
    memcpy(dst, ((struct window_reader *)base)->content + offset, len);
    return AF_OK;
}

static void window_close(struct af_reader *base)
{
    (void)base;
}

static enum af_status keep(void *ctx, struct af_slice bytes, struct af_error *err)
{
    af_buf_append_slice(ctx, bytes);
    return af_buf_check(ctx, "a copy", err);
}

static bool same_entry(const struct af_tsm_entry *a, const struct af_tsm_entry *b)
{
    bool is_same = af_slice_eq(a->key, b->key) && a->number == b->number && a->type == b->type && a->block_count == b->block_count;
    for (size_t i = 0; is_same && i < a->block_count; i++)
        is_same = a->blocks[i].min_ns == b->blocks[i].min_ns && a->blocks[i].max_ns == b->blocks[i].max_ns &&
                  a->blocks[i].offset == b->blocks[i].offset && a->blocks[i].size == b->blocks[i].size;
    return is_same;
}

/* Cursor against find, and against the other file's cursor. */
static void compare(struct af_tsm_file *one, struct af_tsm_file *two)
{
    struct af_tsm_cursor *cursors[2];
    struct af_tsm_entry a, b, found;
    struct af_arena arena;
    uint64_t keys = 0;
    af_arena_init(&arena, ARENA_BYTES);
    REQUIRE(af_tsm_cursor_open(one, AF_SLICE_LIT(""), &cursors[0], NULL) == AF_OK);
    REQUIRE(af_tsm_cursor_open(two, AF_SLICE_LIT(""), &cursors[1], NULL) == AF_OK);
    for (;; keys++) {
        REQUIRE(af_tsm_cursor_next(cursors[0], &a, NULL) == AF_OK);
        REQUIRE(af_tsm_cursor_next(cursors[1], &b, NULL) == AF_OK);
        REQUIRE((a.key.ptr == NULL) == (b.key.ptr == NULL));
        if (a.key.ptr == NULL)
            break;
        REQUIRE(same_entry(&a, &b));
        af_arena_reset(&arena);
        REQUIRE(af_tsm_find(two, a.key, &arena, &found, NULL) == AF_OK);
        REQUIRE(found.key.ptr != NULL && same_entry(&a, &found));
        if (keys % 3 == 1) /* to where it is: nothing changes */
            REQUIRE(af_tsm_cursor_seek(cursors[1], a.key, NULL) == AF_OK);
    }
    REQUIRE(keys == one->info.key_count && keys != 0);
    af_tsm_cursor_close(cursors[0]);
    af_tsm_cursor_close(cursors[1]);
    af_arena_done(&arena);
}

static void copy_all(struct af_tsm_file *file, struct af_buf *out)
{
    struct af_tsm_writer *w;
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry;
    struct af_arena arena;
    af_arena_init(&arena, ARENA_BYTES);
    REQUIRE(af_tsm_writer_new(keep, out, &w, NULL) == AF_OK);
    REQUIRE(af_tsm_cursor_open(file, AF_SLICE_LIT(""), &cursor, NULL) == AF_OK);
    for (;;) {
        REQUIRE(af_tsm_cursor_next(cursor, &entry, NULL) == AF_OK);
        if (entry.key.ptr == NULL)
            break;
        for (size_t b = 0; b < entry.block_count; b++) {
            struct af_slice raw;
            af_arena_reset(&arena);
            REQUIRE(af_tsm_read_raw(file, &entry.blocks[b], &arena, &raw, NULL) == AF_OK);
            REQUIRE(af_tsm_writer_copy(w, entry.key, entry.type, &entry.blocks[b], raw, NULL) == AF_OK);
        }
    }
    REQUIRE(af_tsm_writer_finish(w, NULL, NULL) == AF_OK);
    af_tsm_cursor_close(cursor);
    af_tsm_writer_free(w);
    af_arena_done(&arena);
}

static void read_stats(struct af_tsm_file *file)
{
    struct af_buf side;
    struct af_arena arena;
    struct af_tsm_stats *stats;
    af_buf_init(&side, ARENA_BYTES);
    af_arena_init(&arena, ARENA_BYTES);
    REQUIRE(af_tsm_stats_build(file, &side, NULL) == AF_OK);
    REQUIRE(af_tsm_stats_open(af_buf_slice(&side), "side", &stats, NULL) == AF_OK);
    for (uint64_t key = 0; key < file->info.key_count; key++) {
        struct af_tsm_stat *blocks;
        struct af_tsm_day *days;
        size_t block_count, day_count;
        af_arena_reset(&arena);
        REQUIRE(af_tsm_stats_get(stats, key, &arena, &blocks, &block_count, &days, &day_count, NULL) == AF_OK);
    }
    af_tsm_stats_close(stats);
    af_arena_done(&arena);
    af_buf_done(&side);
}

static void check_sound(struct af_tsm_file *file)
{
    struct af_tsm_check check, again;
    REQUIRE(af_tsm_check(file, NULL, NULL, &check, NULL) == AF_OK);
    REQUIRE(check.keys == file->info.key_count && check.blocks == file->info.block_count);
    if (check.bad_blocks != 0 || check.bad_entries != 0)
        return;
    struct af_buf copy;
    struct af_reader reader;
    struct af_tsm_file *copied;
    af_buf_init(&copy, ARENA_BYTES);
    copy_all(file, &copy);
    af_reader_from_memory(&reader, "copy", copy.ptr, copy.len);
    REQUIRE(af_tsm_file_open(&reader, NULL, &copied, NULL) == AF_OK);
    REQUIRE(af_tsm_check(copied, NULL, NULL, &again, NULL) == AF_OK);
    REQUIRE(again.points == check.points && again.keys == check.keys && again.bad_blocks + again.bad_entries == 0);
    read_stats(copied);
    af_tsm_file_close(copied);
    af_buf_done(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct af_reader_ops ops = { .read_at = window_read, .close = window_close };
    struct af_reader memory;
    struct window_reader windows = { { .ops = &ops, .name = "fuzz", .size = size }, data };
    struct af_tsm_file *one;
    struct af_tsm_file *two;
    af_reader_from_memory(&memory, "fuzz", data, size);
    const enum af_status first = af_tsm_file_open(&memory, NULL, &one, NULL);
    const enum af_status second = af_tsm_file_open(&windows.base, NULL, &two, NULL);
    REQUIRE(first == second);
    if (first != AF_OK)
        return 0;
    REQUIRE(one->info.index_crc == two->info.index_crc);
    compare(one, two);
    check_sound(two);
    af_tsm_file_close(one);
    af_tsm_file_close(two);
    return 0;
}
