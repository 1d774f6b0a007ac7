/* merge_test.c - merging against a plain model: random parts, deletions and ranges, all types. */
#include "codec/compress.h"
#include "tsm/parts_test.h"

/* `count` random parts in the test's directory and what they read as. */
static struct af_files *random_set(struct af_prng *prng, size_t count, struct t_cells *out_all, struct af_arena *arena)
{
    struct af_error err;
    struct af_tsm_part *parts[16];
    size_t n = 0;
    struct t_cells *cells = af_alloc(sizeof *cells);
    AF_CHECK(cells != NULL && count <= 16);
    memset(out_all, 0, sizeof *out_all);
    for (uint32_t i = 0; i < count; i++) {
        struct af_tsm_part **made;
        size_t made_count;
        t_fill(cells, prng);
        AF_CHECK_OK(t_write(af_test_dir(), i + 1, 1, cells, prng, arena, &made, &made_count, &err), err);
        if (made_count == 0)
            continue;
        parts[n] = made[0];
        if (af_prng_below(prng, 2) != 0)
            t_erase(&parts[n], cells, prng);
        if (af_prng_below(prng, 4) == 0)
            t_erase(&parts[n], cells, prng);
        t_lay_over(out_all, cells);
        n++;
    }
    af_free(cells);
    return t_set(parts, n);
}

static void remove_set(struct af_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        af_part_doom(files->parts[i]);
    af_files_unref(files);
}

AF_TEST(merge_equals_the_model)
{
    struct af_prng prng = { 20 };
    struct af_error err;
    struct af_arena arena;
    struct t_cells *all = af_alloc(sizeof *all);
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK(all != NULL);
    for (int round = 0; round < 30; round++) {
        bool equal;
        struct af_files *files = random_set(&prng, 1 + af_prng_below(&prng, 6), all, &arena);
        AF_CHECK_OK(t_read(files, all, INT64_MIN, INT64_MAX, &equal, &err), err);
        AF_CHECK(equal);
        for (int range = 0; range < 4; range++) {
            const int64_t start = t_time(af_prng_below(&prng, T_TIMES)) + (int64_t)af_prng_below(&prng, 2);
            const int64_t stop = start + (int64_t)af_prng_below(&prng, (uint64_t)t_time(T_TIMES - 1) * 2);
            AF_CHECK_OK(t_read(files, all, start, stop, &equal, &err), err);
            AF_CHECK(equal);
        }
        remove_set(files);
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    af_free(all);
}

/* The model can tell: one cell changed is seen. */
AF_TEST(merge_model_sees_a_difference)
{
    struct af_prng prng = { 3 };
    struct af_error err;
    struct af_arena arena;
    struct t_cells *all = af_alloc(sizeof *all);
    bool equal;
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK(all != NULL);
    struct af_files *files = random_set(&prng, 6, all, &arena);
    for (size_t key = 0; key < T_KEYS; key++) {
        size_t i = T_TIMES / 3;
        while (i < T_TIMES && !all->has[key][i])
            i++;
        if (i == T_TIMES)
            continue;
        all->value[key][i] ^= 1;
        AF_CHECK_OK(t_read(files, all, INT64_MIN, INT64_MAX, &equal, &err), err);
        AF_CHECK(!equal);
        all->value[key][i] ^= 1;
        all->has[key][i] = false;
        AF_CHECK_OK(t_read(files, all, INT64_MIN, INT64_MAX, &equal, &err), err);
        AF_CHECK(!equal);
        all->has[key][i] = true;
    }
    remove_set(files);
    af_arena_done(&arena);
    af_free(all);
}

/* Memory pieces over parts, the last type only. */
AF_TEST(merge_memory_wins_and_types_are_one)
{
    struct af_error err;
    struct af_arena arena;
    struct af_merge *merge;
    struct af_tsm_values got;
    int64_t old_times[200];
    int64_t old_values[200];
    const int64_t new_times[] = { 5, 150, 500 };
    const int64_t new_values[] = { -1, -2, -3 };
    const double other[] = { 1, 2, 3 };
    af_arena_init(&arena, SIZE_MAX / 2);
    for (int64_t i = 0; i < 200; i++) {
        old_times[i] = i;
        old_values[i] = i * 10;
    }
    struct af_piece pieces[3] = {
        { .values = { 3, new_times, { .type = AF_TYPE_F64, .f64 = other } } },
        { .values = { 200, old_times, { .type = AF_TYPE_I64, .i64 = old_values } } },
        { .values = { 3, new_times, { .type = AF_TYPE_I64, .i64 = new_values } } },
    };
    AF_CHECK_OK(af_merge_open(pieces, 3, INT64_MIN, INT64_MAX, &arena, &merge, &err), err);
    int64_t at = 0;
    for (;;) {
        AF_CHECK_OK(af_merge_next(merge, &got, &err), err);
        if (got.count == 0)
            break;
        for (size_t i = 0; i < got.count; i++, at++) {
            AF_CHECK_INT(got.time_ns[i], at == 200 ? 500 : at);
            AF_CHECK_INT(got.values.i64[i], at == 5 ? -1 : at == 150 ? -2 : at == 200 ? -3 : at * 10);
        }
    }
    AF_CHECK_INT(at, 201);
    af_merge_close(merge);
    /* nothing at all, and an empty range */
    AF_CHECK_OK(af_merge_open(pieces, 0, INT64_MIN, INT64_MAX, &arena, &merge, &err), err);
    AF_CHECK_OK(af_merge_next(merge, &got, &err), err);
    AF_CHECK_INT(got.count, 0);
    af_merge_close(merge);
    AF_CHECK_OK(af_merge_open(pieces, 3, 7, 7, &arena, &merge, &err), err);
    AF_CHECK_OK(af_merge_next(merge, &got, &err), err);
    AF_CHECK_INT(got.count, 0);
    af_merge_close(merge);
    af_arena_done(&arena);
}

/* Blocks that do not overlap come as they are decoded: nothing is gathered. */
AF_TEST(merge_gives_free_blocks_whole)
{
    struct af_error err;
    struct af_prng prng = { 1 };
    struct af_arena arena;
    struct t_cells *cells = af_alloc_zero(1, sizeof *cells);
    struct af_tsm_part **parts;
    size_t count;
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK(cells != NULL);
    for (size_t i = 0; i < 3500; i++)
        cells->has[1][i] = true;
    AF_CHECK_OK(t_write(af_test_dir(), 1, 1, cells, &prng, &arena, &parts, &count, &err), err);
    AF_CHECK_INT(count, 1);
    struct af_piece piece = { .part = parts[0] };
    AF_CHECK_OK(af_tsm_find(parts[0]->file, t_key(1), &arena, &piece.entry, &err), err);
    struct af_merge *merge;
    struct af_tsm_part *part;
    const struct af_tsm_block_ref *ref;
    AF_CHECK_OK(af_merge_open(&piece, 1, INT64_MIN, INT64_MAX, &arena, &merge, &err), err);
    for (size_t b = 0; b < piece.entry.block_count; b++) {
        struct af_tsm_values got;
        AF_CHECK(af_merge_free_block(merge, &part, &ref));
        AF_CHECK(part == parts[0] && ref == &piece.entry.blocks[b]);
        if (b % 2 == 0) {
            af_merge_skip_block(merge);
            continue;
        }
        AF_CHECK_OK(af_merge_next(merge, &got, &err), err);
        AF_CHECK_INT(got.time_ns[0], piece.entry.blocks[b].min_ns);
        AF_CHECK_INT(got.time_ns[got.count - 1], piece.entry.blocks[b].max_ns);
    }
    AF_CHECK(!af_merge_free_block(merge, &part, &ref));
    af_merge_close(merge);
    /* a range that cuts the first block: not free */
    AF_CHECK_OK(af_merge_open(&piece, 1, t_time(1), INT64_MAX, &arena, &merge, &err), err);
    AF_CHECK(!af_merge_free_block(merge, &part, &ref));
    af_merge_close(merge);
    af_part_unref(parts[0]);
    af_arena_done(&arena);
    af_free(cells);
}

/* --- files that break the rules ---------------------------------------------------------------------------------------------------- */

static void put_be(struct af_buf *out, uint64_t value, unsigned bytes)
{
    while (bytes-- > 0)
        af_buf_append_char(out, (char)(value >> 8 * bytes & 0xff));
}

/* A TSM file with one key, whose blocks are of rows [from, to) with the block's number as value: they may overlap. */
static void put_overlapping(const char *path, const int64_t (*blocks)[2], size_t count)
{
    struct af_error err;
    struct af_buf file;
    struct af_buf refs;
    af_buf_init(&file, 1 << 20);
    af_buf_init(&refs, 1 << 20);
    af_buf_append(&file, "\x16\xd1\x16\xd1\x01", 5);
    for (size_t b = 0; b < count; b++) {
        int64_t times[100];
        int64_t values[100];
        const size_t rows = (size_t)(blocks[b][1] - blocks[b][0]);
        for (size_t i = 0; i < rows; i++) {
            times[i] = blocks[b][0] + (int64_t)i;
            values[i] = (int64_t)b;
        }
        struct af_buf block;
        af_buf_init(&block, 1 << 20);
        const struct af_tsm_values all = { rows, times, { .type = AF_TYPE_I64, .i64 = values } };
        AF_CHECK_OK(af_tsm_block_encode(&all, 0, rows, &block, &err), err);
        put_be(&refs, (uint64_t)blocks[b][0], 8);
        put_be(&refs, (uint64_t)blocks[b][1] - 1, 8);
        put_be(&refs, file.len, 8);
        put_be(&refs, block.len + 4, 4);
        put_be(&file, af_crc32(0, block.ptr, block.len), 4);
        af_buf_append_slice(&file, af_buf_slice(&block));
        af_buf_done(&block);
    }
    const uint64_t index = file.len;
    put_be(&file, t_key(1).len, 2);
    af_buf_append_slice(&file, t_key(1));
    put_be(&file, 1, 1);
    put_be(&file, count, 2);
    af_buf_append_slice(&file, af_buf_slice(&refs));
    put_be(&file, index, 8);
    AF_CHECK_OK(af_file_write_atomic(path, af_buf_slice(&file), false, &err), err);
    af_buf_done(&file);
    af_buf_done(&refs);
}

/* Of time t the value must be the number of the last block that has it. */
static void check_overlapping(struct af_tsm_part *part, const int64_t (*blocks)[2], size_t count)
{
    struct af_error err;
    struct af_arena arena;
    struct af_merge *merge;
    struct af_tsm_values got;
    struct af_piece piece = { .part = part };
    int64_t next = 0;
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK_OK(af_tsm_find(part->file, t_key(1), &arena, &piece.entry, &err), err);
    AF_CHECK_OK(af_merge_open(&piece, 1, INT64_MIN, INT64_MAX, &arena, &merge, &err), err);
    for (;;) {
        AF_CHECK_OK(af_merge_next(merge, &got, &err), err);
        if (got.count == 0)
            break;
        for (size_t i = 0; i < got.count; i++, next++) {
            int64_t want = -1;
            for (size_t b = 0; b < count; b++)
                if (blocks[b][0] <= next && next < blocks[b][1])
                    want = (int64_t)b;
            AF_CHECK_INT(got.time_ns[i], next);
            AF_CHECK_INT(got.values.i64[i], want);
        }
    }
    AF_CHECK_INT(next, 150);
    af_merge_close(merge);
    af_arena_done(&arena);
}

static void ignore(void *ctx, const char *words)
{
    (void)ctx;
    (void)words;
}

AF_TEST(merge_and_salvage_of_overlapping_blocks)
{
    static const int64_t blocks[][2] = { { 0, 60 }, { 5, 20 }, { 10, 70 }, { 65, 100 }, { 80, 150 } };
    const size_t count = sizeof blocks / sizeof blocks[0];
    struct af_error err;
    struct af_tsm_part *part;
    struct af_salvage got;
    char path[300];
    char saved[300];
    (void)snprintf(path, sizeof path, "%s/1-1.tsm", af_test_dir());
    (void)snprintf(saved, sizeof saved, "%s/2-1.tsm", af_test_dir());
    put_overlapping(path, blocks, count);
    AF_CHECK_OK(af_part_open(path, &part, &err), err);
    check_overlapping(part, blocks, count);
    af_part_unref(part);
    AF_CHECK_OK(af_tsm_salvage(path, saved, &(struct af_salvage_calls){ NULL, NULL, ignore }, &got, &err), err);
    AF_CHECK_INT(got.blocks, 5);
    AF_CHECK_INT(got.lost_blocks, 0);
    AF_CHECK_OK(af_part_open(saved, &part, &err), err);
    struct af_tsm_check check;
    AF_CHECK_OK(af_tsm_check(part->file, NULL, NULL, &check, &err), err);
    AF_CHECK_INT(check.bad_entries + check.bad_blocks, 0);
    check_overlapping(part, blocks, count);
    af_part_unref(part);
}

/* Every allocation fails once: a failure is told, nothing is lost, and the same merge goes well afterwards. */
AF_TEST(merge_without_memory)
{
    struct af_prng prng = { 77 };
    struct af_error err;
    struct af_arena arena;
    struct t_cells *all = af_alloc(sizeof *all);
    bool equal = false;
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK(all != NULL);
    struct af_files *files = random_set(&prng, 4, all, &arena);
    enum af_status status = AF_ENOMEM;
    size_t n = 0;
    while (status != AF_OK) {
        af_alloc_fail_nth(++n);
        status = t_read(files, all, INT64_MIN, INT64_MAX, &equal, &err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK(n < 10000);
    }
    AF_CHECK(equal && n > 5);
    remove_set(files);
    af_arena_done(&arena);
    af_free(all);
}
