/* files_test.c - parts and sets on disk: what opening does with what it finds, deletions, rolling, damage to every byte. */
#include "os/fault.h"
#include "tsm/parts_test.h"
#include <errno.h>
#include <stdatomic.h>

static char words[8192]; /* what was said */

static void hear(void *ctx, const char *text)
{
    (void)ctx;
    const size_t n = strlen(words);
    (void)snprintf(words + n, sizeof words - n, "%s\n", text);
}

static const char *in_dir(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", af_test_dir(), name);
    return path;
}

static void put(const char *name, struct af_slice bytes)
{
    struct af_error err;
    AF_CHECK_OK(af_file_write_atomic(in_dir(name), bytes, false, &err), err);
}

static void get(const char *name, struct af_buf *out)
{
    struct af_error err;
    af_buf_init(out, SIZE_MAX / 2);
    AF_CHECK_OK(af_file_read_all(in_dir(name), out, &err), err);
}

static bool is_there(const char *name)
{
    return af_path_kind(in_dir(name)) != AF_PATH_NONE;
}

/* One part with a few points of each key. */
static struct af_tsm_part *small_part(uint32_t generation, struct t_cells *cells, struct af_arena *arena)
{
    struct af_error err;
    struct af_prng prng = { generation };
    struct af_tsm_part **parts;
    size_t count;
    memset(cells, 0, sizeof *cells);
    for (size_t key = 0; key < T_KEYS; key++)
        for (size_t i = 100 * generation; i < 100 * generation + 7; i++) {
            cells->has[key][i] = true;
            cells->value[key][i] = (uint32_t)af_prng_next(&prng);
        }
    AF_CHECK_OK(t_write(af_test_dir(), generation, 1, cells, &prng, arena, &parts, &count, &err), err);
    AF_CHECK_INT(count, 1);
    return parts[0];
}

AF_TEST(part_names)
{
    uint32_t g;
    uint32_t s;
    AF_CHECK(af_part_name_parse("/x/000000012-000000003.tsm", ".tsm", &g, &s) && g == 12 && s == 3);
    AF_CHECK(af_part_name_parse("1-4294967295.tombstone", ".tombstone", &g, &s) && g == 1 && s == UINT32_MAX);
    AF_CHECK(!af_part_name_parse("1-4294967296.tsm", ".tsm", &g, &s));
    AF_CHECK(!af_part_name_parse("1-.tsm", ".tsm", &g, &s));
    AF_CHECK(!af_part_name_parse("-1.tsm", ".tsm", &g, &s));
    AF_CHECK(!af_part_name_parse("1.tsm", ".tsm", &g, &s));
    AF_CHECK(!af_part_name_parse("1-1.tsm.bad", ".tsm", &g, &s));
    AF_CHECK(!af_part_name_parse("/a-b/x.tsm", ".tsm", &g, &s));
    AF_CHECK(!af_part_name_parse(".tsm", ".tsm", &g, &s));
}

AF_TEST(tombs_join_and_are_found)
{
    struct af_error err;
    struct af_arena arena;
    struct t_cells cells;
    size_t count;
    struct af_tsm_part *next;
    struct af_tsm_part *last;
    af_arena_init(&arena, SIZE_MAX / 2);
    struct af_tsm_part *part = small_part(1, &cells, &arena);
    const struct af_tsm_tomb first[] = { { t_key(2), 10, 20 }, { t_key(0), 5, 6 }, { t_key(2), 21, 30 }, { t_key(2), 50, 60 },
                                         { t_key(2), 9, 3 } };
    AF_CHECK_OK(af_part_erase(part, first, 5, &next, &err), err);
    AF_CHECK_INT(next->tomb_count, 3);
    const struct af_tsm_tomb second[] = { { t_key(2), 25, 55 }, { t_key(1), INT64_MIN, INT64_MAX } };
    AF_CHECK_OK(af_part_erase(next, second, 2, &last, &err), err);
    const struct af_tsm_tomb *tombs = af_part_tombs(last, t_key(2), &count);
    AF_CHECK(count == 1 && tombs->min_ns == 10 && tombs->max_ns == 60);
    tombs = af_part_tombs(last, t_key(1), &count);
    AF_CHECK(count == 1 && tombs->min_ns == INT64_MIN && tombs->max_ns == INT64_MAX);
    AF_CHECK(af_part_tombs(last, t_key(4), &count) == NULL && count == 0);
    AF_CHECK_INT(part->tomb_count, 0); /* readers of the old part see what they saw */
    af_part_unref(part);
    af_part_unref(next);
    struct af_tsm_stats *stats;
    AF_CHECK_OK(af_part_stats(last, &stats, &err), err);
    AF_CHECK(stats != NULL);
    af_part_unref(last);
    AF_CHECK_OK(af_part_open(in_dir("000000001-000000001.tsm"), &part, &err), err);
    AF_CHECK_INT(part->tomb_count, 3);
    af_part_doom(part);
    af_part_unref(part);
    AF_CHECK(!is_there("000000001-000000001.tsm") && !is_there("000000001-000000001.tombstone") && !is_there("000000001-000000001.stats"));
    af_arena_done(&arena);
}

AF_TEST(opening_cleans_up)
{
    struct af_error err;
    struct af_arena arena;
    struct t_cells all;
    struct t_cells more;
    struct af_files *files;
    bool damaged;
    bool equal;
    af_arena_init(&arena, SIZE_MAX / 2);
    af_part_unref(small_part(2, &all, &arena));
    af_part_unref(small_part(10, &more, &arena));
    t_lay_over(&all, &more);
    put("000000003-000000001.tsm.tmp", AF_SLICE_LIT("half"));
    put("000000002-000000001.tombstone.tmp-0123", AF_SLICE_LIT("half"));
    put("000000099-000000001.tombstone", AF_SLICE_LIT("of nobody"));
    put("000000004-000000001.stats", AF_SLICE_LIT("of nobody"));
    put("notes.txt", AF_SLICE_LIT("left alone"));
    put("x.tsm", AF_SLICE_LIT("left alone"));
    put("000000001-000000001.tsm.salvaged.bad", AF_SLICE_LIT("left alone"));
    struct af_buf stats;
    get("000000010-000000001.stats", &stats);
    AF_CHECK_OK(af_path_remove(in_dir("000000010-000000001.stats"), &err), err);
    put("000000002-000000001.stats", AF_SLICE_LIT("damaged"));
    words[0] = '\0';
    AF_CHECK_OK(af_files_open(af_test_dir(), hear, NULL, &files, &damaged, &err), err);
    AF_CHECK(!damaged);
    AF_CHECK(strstr(words, "x.tsm") != NULL);
    AF_CHECK_INT(files->count, 2);
    AF_CHECK_INT(files->parts[0]->generation, 2);
    AF_CHECK_INT(files->parts[1]->generation, 10);
    AF_CHECK_INT(files->generation_max, 99);
    AF_CHECK_OK(t_read(files, &all, INT64_MIN, INT64_MAX, &equal, &err), err);
    AF_CHECK(equal);
    AF_CHECK(!is_there("000000003-000000001.tsm.tmp") && !is_there("000000002-000000001.tombstone.tmp-0123"));
    AF_CHECK(!is_there("000000099-000000001.tombstone") && !is_there("000000004-000000001.stats"));
    AF_CHECK(is_there("notes.txt") && is_there("x.tsm") && is_there("000000001-000000001.tsm.salvaged.bad"));
    struct af_buf again;
    get("000000010-000000001.stats", &again);
    AF_CHECK(af_slice_eq(af_buf_slice(&again), af_buf_slice(&stats))); /* made again as the writer had made it */
    af_buf_done(&again);
    get("000000002-000000001.stats", &again);
    AF_CHECK(again.len > 20);
    af_buf_done(&again);
    af_buf_done(&stats);
    af_files_unref(files);
    af_arena_done(&arena);
}

AF_TEST(opening_sets_damage_aside)
{
    struct af_error err;
    struct af_arena arena;
    struct t_cells all;
    struct t_cells more;
    struct af_files *files;
    bool damaged;
    af_arena_init(&arena, SIZE_MAX / 2);
    af_part_unref(small_part(1, &all, &arena));
    struct af_tsm_part *part = small_part(7, &more, &arena);
    const struct af_tsm_tomb tomb = { t_key(0), 0, 1 };
    struct af_tsm_part *next;
    AF_CHECK_OK(af_part_erase(part, &tomb, 1, &next, &err), err);
    af_part_unref(part);
    af_part_unref(next);
    put("000000007-000000001.tsm", AF_SLICE_LIT("this is no TSM file at all"));
    for (int round = 0; round < 2; round++) {
        words[0] = '\0';
        AF_CHECK_OK(af_files_open(af_test_dir(), hear, NULL, &files, &damaged, &err), err);
        AF_CHECK(damaged);
        AF_CHECK(strstr(words, "000000007-000000001.tsm.bad") != NULL && strstr(words, "tsm verify") != NULL);
        AF_CHECK_INT(files->count, 1);
        AF_CHECK_INT(files->generation_max, 7);
        AF_CHECK(is_there("000000007-000000001.tsm.bad") && is_there("000000007-000000001.tombstone"));
        bool equal;
        AF_CHECK_OK(t_read(files, &all, INT64_MIN, INT64_MAX, &equal, &err), err);
        AF_CHECK(equal);
        af_files_unref(files);
    }
    af_arena_done(&arena);
}

/* A block that is broken is found when the statistics must be made again; with statistics, when it is read. */
AF_TEST(opening_sees_bad_blocks)
{
    struct af_error err;
    struct af_arena arena;
    struct t_cells all;
    struct af_files *files;
    struct af_buf tsm;
    bool damaged;
    bool equal;
    af_arena_init(&arena, SIZE_MAX / 2);
    af_part_unref(small_part(1, &all, &arena));
    get("000000001-000000001.tsm", &tsm);
    tsm.ptr[12] ^= 1;
    put("000000001-000000001.tsm", af_buf_slice(&tsm));
    AF_CHECK_OK(af_files_open(af_test_dir(), NULL, NULL, &files, &damaged, &err), err);
    AF_CHECK(!damaged);
    AF_CHECK_FAILS(t_read(files, &all, INT64_MIN, INT64_MAX, &equal, &err), AF_ECORRUPT);
    AF_CHECK(strstr(err.message, "000000001-000000001.tsm") != NULL);
    af_files_unref(files);
    AF_CHECK_OK(af_path_remove(in_dir("000000001-000000001.stats"), &err), err);
    words[0] = '\0';
    AF_CHECK_OK(af_files_open(af_test_dir(), hear, NULL, &files, &damaged, &err), err);
    AF_CHECK(damaged && files->count == 1);
    AF_CHECK(strstr(words, "damaged blocks") != NULL);
    af_files_unref(files);
    af_buf_done(&tsm);
    af_arena_done(&arena);
}

/* Every byte of a shard's files, flipped: detected (an error, or told as damage) or without effect on what is read. */
AF_TEST(every_byte_flipped)
{
    static const char *const names[] = { "000000001-000000001.tsm", "000000001-000000001.tombstone", "000000001-000000001.stats" };
    struct af_error err;
    struct af_arena arena;
    struct t_cells all;
    struct af_buf bytes[3];
    size_t detected[3] = { 0 };
    af_arena_init(&arena, SIZE_MAX / 2);
    struct af_tsm_part *part = small_part(1, &all, &arena);
    struct af_tsm_part *next;
    const struct af_tsm_tomb tombs[] = { { t_key(0), t_time(102), t_time(103) }, { t_key(4), INT64_MIN, t_time(104) } };
    AF_CHECK_OK(af_part_erase(part, tombs, 2, &next, &err), err);
    for (size_t i = 0; i < T_TIMES; i++) {
        all.has[4][i] = all.has[4][i] && i > 104;
        all.has[0][i] = all.has[0][i] && i != 102 && i != 103;
    }
    af_part_unref(part);
    af_part_unref(next);
    for (size_t f = 0; f < 3; f++)
        get(names[f], &bytes[f]);
    for (size_t f = 0; f < 3; f++)
        for (size_t at = 0; at < bytes[f].len; at++) {
            struct af_files *files;
            bool damaged;
            bool equal = false;
            for (size_t g = 0; g < 3; g++) {
                const char saved = bytes[g].ptr[g == f ? at : 0];
                if (g == f)
                    bytes[g].ptr[at] = (char)(saved ^ (1 << at % 8));
                struct af_file *file;
                AF_CHECK_OK(af_file_open(in_dir(names[g]), AF_FILE_TRUNCATE, &file, &err), err);
                AF_CHECK_OK(af_file_write(file, af_buf_slice(&bytes[g]), &err), err);
                af_file_close(file);
                bytes[g].ptr[g == f ? at : 0] = saved;
            }
            (void)!af_path_remove(in_dir("000000001-000000001.tsm.bad"), &err);
            AF_CHECK_OK(af_files_open(af_test_dir(), NULL, NULL, &files, &damaged, &err), err);
            const enum af_status status = t_read(files, &all, INT64_MIN, INT64_MAX, &equal, &err);
            if (!damaged && status == AF_OK && !equal)
                fprintf(stderr, "%s: byte %zu of %zu, bit %zu: not seen\n", names[f], at, bytes[f].len, at % 8);
            AF_CHECK(damaged || status != AF_OK || equal);
            detected[f] += damaged || status != AF_OK;
            af_files_unref(files);
        }
    AF_CHECK_INT(detected[0], bytes[0].len); /* there is no byte of a TSM file that does not matter */
    AF_CHECK(detected[1] > bytes[1].len / 2);
    for (size_t f = 0; f < 3; f++)
        af_buf_done(&bytes[f]);
    af_arena_done(&arena);
}

/* --- sets ------------------------------------------------------------------------------------------------------------------------ */

AF_TEST(sets_share_parts)
{
    struct af_error err;
    struct af_arena arena;
    struct t_cells cells;
    af_arena_init(&arena, SIZE_MAX / 2);
    struct af_tsm_part *parts[3];
    for (uint32_t i = 0; i < 3; i++)
        parts[i] = small_part(3 - i, &cells, &arena); /* the wrong way round */
    struct af_files *set = t_set(parts, 3);
    AF_CHECK_INT(set->parts[0]->generation, 1);
    AF_CHECK_INT(set->parts[2]->generation, 3);
    struct af_files *less;
    AF_CHECK_OK(af_files_replace(set, &set->parts[1], 2, NULL, 0, &less, &err), err);
    AF_CHECK_INT(less->count, 1);
    AF_CHECK_INT(less->generation_max, 3);
    struct af_files *none;
    AF_CHECK_FAILS(af_files_replace(less, &set->parts[1], 1, NULL, 0, &none, &err), AF_EBUG);
    struct af_tsm_part *gone = set->parts[1];
    atomic_store(&gone->is_doomed, true);
    AF_CHECK(is_there("000000002-000000001.tsm"));
    af_files_unref(set);
    AF_CHECK(!is_there("000000002-000000001.tsm") && !is_there("000000002-000000001.stats"));
    AF_CHECK(is_there("000000003-000000001.tsm"));
    af_files_unref(less);
    af_arena_done(&arena);
}

/* --- deletions that fail ------------------------------------------------------------------------------------------------------- */

AF_TEST(erase_that_fails_changes_nothing)
{
    static const struct {
        enum af_os_call call;
        int code;
    } faults[] = { { AF_OS_WRITE, ENOSPC }, { AF_OS_SYNC, EIO }, { AF_OS_RENAME, EIO } };
    struct af_error err;
    struct af_arena arena;
    struct t_cells cells;
    af_arena_init(&arena, SIZE_MAX / 2);
    struct af_tsm_part *part = small_part(1, &cells, &arena);
    const struct af_tsm_tomb tomb = { t_key(0), INT64_MIN, INT64_MAX };
    struct af_tsm_part *next;
    for (size_t f = 0; f < 3; f++) {
        af_os_fault(faults[f].call, 1, 1, faults[f].code);
        AF_CHECK(af_part_erase(part, &tomb, 1, &next, &err) != AF_OK);
        af_os_fault(faults[f].call, 0, 0, 0);
        AF_CHECK(!is_there("000000001-000000001.tombstone"));
    }
    enum af_status status = AF_ENOMEM;
    size_t n = 0;
    while (status != AF_OK) {
        af_alloc_fail_nth(++n);
        status = af_part_erase(part, &tomb, 1, &next, &err);
        af_alloc_fail_nth(0);
        AF_CHECK(n < 1000);
    }
    AF_CHECK(n > 4);
    af_part_unref(next);
    af_part_unref(part);
    af_arena_done(&arena);
}

AF_TEST(opening_without_memory)
{
    struct af_error err;
    struct af_arena arena;
    struct t_cells all;
    struct t_cells more;
    struct af_files *files = NULL;
    bool damaged = false;
    af_arena_init(&arena, SIZE_MAX / 2);
    struct af_tsm_part *part = small_part(1, &all, &arena);
    struct af_tsm_part *next;
    const struct af_tsm_tomb tomb = { t_key(0), 0, 1 };
    AF_CHECK_OK(af_part_erase(part, &tomb, 1, &next, &err), err);
    af_part_unref(part);
    af_part_unref(next);
    af_part_unref(small_part(2, &more, &arena));
    AF_CHECK_OK(af_path_remove(in_dir("000000002-000000001.stats"), &err), err);
    enum af_status status = AF_ENOMEM;
    size_t n = 0;
    while (status != AF_OK) {
        af_alloc_fail_nth(++n);
        status = af_files_open(af_test_dir(), NULL, NULL, &files, &damaged, &err);
        af_alloc_fail_nth(0);
        AF_CHECK(n < 10000);
    }
    AF_CHECK(n > 10 && !damaged && files->count == 2 && !is_there("000000001-000000001.tsm.bad"));
    af_files_unref(files);
    af_arena_done(&arena);
}

/* --- rolling --------------------------------------------------------------------------------------------------------------------- */

/* 70,000 blocks of one key: more than a file can have. */
AF_TEST(writer_rolls_at_blocks_of_a_key)
{
    enum { BLOCKS = 70000 };
    struct af_error err;
    struct af_arena arena;
    struct af_part_writer *writer;
    struct af_tsm_part **parts;
    size_t count;
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK_OK(af_part_writer_new(af_test_dir(), 4, 1, 0, &writer, &err), err);
    for (int64_t i = 0; i < BLOCKS; i++) {
        const int64_t value = i * 3;
        const struct af_tsm_values values = { 1, &i, { .type = AF_TYPE_I64, .i64 = &value } };
        AF_CHECK_OK(af_part_writer_add(writer, t_key(1), &values, &err), err);
    }
    AF_CHECK_OK(af_part_writer_finish(writer, &arena, &parts, &count, &err), err);
    af_part_writer_free(writer);
    AF_CHECK_INT(count, 2);
    AF_CHECK_INT(parts[0]->sequence, 1);
    AF_CHECK_INT(parts[1]->sequence, 2);
    AF_CHECK(is_there("000000004-000000002.tsm") && !is_there("000000004-000000001.tsm.tmp"));
    /* compacted, they are 70 full blocks */
    struct af_files *files = t_set(parts, 2);
    AF_CHECK_OK(af_compact_run(af_test_dir(), files, 0, 2, 0, NULL, &arena, &parts, &count, &err), err);
    AF_CHECK_INT(count, 1);
    AF_CHECK_INT(parts[0]->sequence, 3);
    struct af_tsm_entry entry;
    AF_CHECK_OK(af_tsm_find(parts[0]->file, t_key(1), &arena, &entry, &err), err);
    AF_CHECK_INT(entry.block_count, BLOCKS / AF_TSM_BLOCK_POINTS);
    AF_CHECK_INT(entry.blocks[69].max_ns, BLOCKS - 1);
    af_part_unref(parts[0]);
    af_files_unref(files);
    af_arena_done(&arena);
}

/* Keys so long that the index passes its limit. */
AF_TEST(writer_rolls_at_the_index)
{
    enum { KEY = 60000, KEYS = 600 };
    struct af_error err;
    struct af_arena arena;
    struct af_part_writer *writer;
    struct af_tsm_part **parts;
    size_t count;
    char *key = af_alloc(KEY);
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK(key != NULL);
    memset(key, 'k', KEY);
    memcpy(key + KEY - 5, "#!~#f", 5);
    AF_CHECK_OK(af_part_writer_new(af_test_dir(), 1, 1, 0, &writer, &err), err);
    for (int i = 0; i < KEYS; i++) {
        const int64_t time = i;
        const struct af_tsm_values values = { 1, &time, { .type = AF_TYPE_I64, .i64 = &time } };
        char number[16];
        (void)snprintf(number, sizeof number, "%05d", i);
        memcpy(key, number, 5);
        AF_CHECK_OK(af_part_writer_add(writer, af_slice_make(key, KEY), &values, &err), err);
    }
    AF_CHECK_OK(af_part_writer_finish(writer, &arena, &parts, &count, &err), err);
    af_part_writer_free(writer);
    AF_CHECK_INT(count, 2);
    for (size_t i = 0; i < count; i++)
        af_part_unref(parts[i]);
    af_free(key);
    af_arena_done(&arena);
}

/* 100 texts of 100 kB: no block holds them all. */
AF_TEST(writer_cuts_long_texts)
{
    enum { TEXT = 100000, ROWS = 100 };
    struct af_error err;
    struct af_arena arena;
    struct af_part_writer *writer;
    struct af_tsm_part **parts;
    size_t count;
    int64_t times[ROWS];
    int32_t offsets[ROWS + 1] = { 0 };
    char *text = af_alloc(TEXT * ROWS);
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK(text != NULL);
    for (int i = 0; i < ROWS; i++) {
        times[i] = i;
        offsets[i + 1] = offsets[i] + TEXT;
        memset(text + offsets[i], 'a' + i % 26, TEXT);
    }
    const struct af_tsm_values values = { ROWS, times, { .type = AF_TYPE_STRING, .offsets = offsets, .bytes = text } };
    AF_CHECK_OK(af_part_writer_new(af_test_dir(), 1, 1, 0, &writer, &err), err);
    AF_CHECK_OK(af_part_writer_add(writer, t_key(3), &values, &err), err);
    AF_CHECK_OK(af_part_writer_finish(writer, &arena, &parts, &count, &err), err);
    af_part_writer_free(writer);
    struct af_files *files = t_set(parts, count);
    AF_CHECK_OK(af_compact_run(af_test_dir(), files, 0, 1, 0, NULL, &arena, &parts, &count, &err), err);
    struct af_tsm_entry entry;
    AF_CHECK_OK(af_tsm_find(parts[0]->file, t_key(3), &arena, &entry, &err), err);
    AF_CHECK(entry.block_count >= 3 && entry.block_count < 10);
    size_t rows = 0;
    for (size_t b = 0; b < entry.block_count; b++) {
        struct af_tsm_values got;
        AF_CHECK_OK(af_tsm_read_block(parts[0]->file, AF_TYPE_STRING, &entry.blocks[b], &arena, &got, &err), err);
        for (size_t i = 0; i < got.count; i++, rows++)
            AF_CHECK(af_slice_eq(af_column_text(&got.values, i), af_slice_make(text + offsets[rows], TEXT)));
    }
    AF_CHECK_INT(rows, ROWS);
    af_part_unref(parts[0]);
    af_files_unref(files);
    af_free(text);
    af_arena_done(&arena);
}

AF_TEST(writer_keeps_its_hands_off_others)
{
    struct af_error err;
    struct af_arena arena;
    struct t_cells cells;
    af_arena_init(&arena, SIZE_MAX / 2);
    af_part_unref(small_part(1, &cells, &arena));
    struct af_prng prng = { 1 };
    struct af_tsm_part **parts;
    size_t count;
    AF_CHECK_FAILS(t_write(af_test_dir(), 1, 1, &cells, &prng, &arena, &parts, &count, &err), AF_EBUG);
    AF_CHECK(is_there("000000001-000000001.tsm") && is_there("000000001-000000001.stats"));
    af_arena_done(&arena);
}
