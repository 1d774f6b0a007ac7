/*
 * flip_test.c - one byte of a data directory is wrong, each in turn: the engine has the same points, or says clearly that something is
 * damaged. Never other points, never silence, never a crash.
 *
 *     a small directory, kept in memory --> for each file and byte: written out with that byte flipped --> opened, read, compacted, read
 *
 * The end of the log is the one place where a flipped byte cannot be told from a write that the power cut short: the points of its last
 * group may be missing, if the engine says that it has cut something off.
 */
#include "base/prng.h"
#include "os/clock.h"
#include "os/tree.h"
#include "tsm/engine_fixture.h"

enum { FILES_MAX = 64, FLIPS_MAX = 3500 };

struct copy {
    char name[256]; /* below the directory */
    struct af_buf bytes;
};
struct set {
    char root[512];
    struct copy files[FILES_MAX];
    size_t count;
    size_t bytes;
    char *whole;       /* its points as text */
    char *without_log_end;
};
static struct set set;

/* --- the directory ----------------------------------------------------------------------------------------------------------------- */

/* Thousands of directories with their fsyncs: in memory, where there is such a place. */
static void init_world(struct world *world, const char *name)
{
    static uint64_t salt;
    if (salt == 0)
        af_random_bytes(&salt, sizeof salt);
    world_init(world, name);
    if (af_path_kind("/dev/shm") == AF_PATH_DIR)
        (void)snprintf(world->dir, sizeof world->dir, "/dev/shm/afluxo-flip-%016llx-%s", (unsigned long long)salt, name);
}

static enum af_status keep_file(void *ctx, const char *path, struct af_error *err)
{
    (void)ctx;
    AF_CHECK(set.count < FILES_MAX);
    struct copy *copy = &set.files[set.count++];
    (void)snprintf(copy->name, sizeof copy->name, "%s", path + strlen(set.root) + 1);
    af_buf_init(&copy->bytes, 1 << 20);
    AF_TRY(af_file_read_all(path, &copy->bytes, err));
    set.bytes += copy->bytes.len;
    return AF_OK;
}

static void put_back(const char *dir)
{
    struct af_error err = { 0 };
    for (size_t i = 0; i < set.count; i++) {
        char path[1024];
        struct af_file *file;
        (void)snprintf(path, sizeof path, "%s/%s", dir, set.files[i].name);
        *strrchr(path, '/') = '\0';
        AF_CHECK_OK(af_dir_make(path, &err), err);
        path[strlen(path)] = '/';
        AF_CHECK_OK(af_file_open(path, AF_FILE_NEW, &file, &err), err);
        AF_CHECK_OK(af_file_write(file, af_buf_slice(&set.files[i].bytes), &err), err);
        af_file_close(file);
    }
}

/* --- reading without insisting ------------------------------------------------------------------------------------------------------- */

static void print_row(const struct af_batch *batch, size_t row, struct af_buf *out)
{
    struct af_slice key = af_column_text(&batch->columns[0], row);
    af_buf_append(out, key.ptr, key.len);
    for (size_t c = 1; c < batch->schema->field_count; c++) {
        const struct af_column *column = &batch->columns[c];
        if (!af_column_has(column, row))
            continue;
        af_buf_printf(out, " %s=", batch->schema->fields[c].name);
        switch (batch->schema->fields[c].type) {
        case AF_TYPE_STRING: {
            struct af_slice text = af_column_text(column, row);
            af_buf_append(out, text.ptr, text.len);
            break;
        }
        case AF_TYPE_BOOL: af_buf_append_char(out, af_bit_get(column->bits, row) ? 't' : 'f'); break;
        case AF_TYPE_F64: af_buf_printf(out, "%.17g", column->f64[row]); break;
        default: af_buf_printf(out, "%lld", (long long)column->i64[row]); break;
        }
    }
    af_buf_append_char(out, '\n');
}

static enum af_status print_stream(struct af_stream *stream, struct af_buf *out, struct af_error *err)
{
    struct af_arena arena;
    struct af_batch *batch = NULL;
    enum af_status status;
    af_arena_init(&arena, SIZE_MAX / 2);
    while ((status = af_stream_next(stream, &arena, &batch, err)) == AF_OK && batch != NULL) {
        for (size_t row = 0; row < batch->row_count; row++)
            print_row(batch, row, out);
        af_arena_reset(&arena);
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    return status;
}

/* Points and series. */
static enum af_status print_all(struct world *world, struct af_buf *out, struct af_error *err)
{
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_stream *stream = NULL;
    AF_TRY(af_store_scan(world->store, &scan, &stream, err));
    AF_TRY(print_stream(stream, out, err));
    AF_TRY(af_store_list(world->store, AF_LIST_SERIES, &scan, &stream, err));
    return print_stream(stream, out, err);
}

/* NULL: it failed with a message, which is in world->err. */
static char *read_world(struct world *world)
{
    struct af_buf text;
    struct af_error err = { 0 };
    af_buf_init(&text, 1 << 20);
    enum af_status status = print_all(world, &text, &err);
    char *copy = status == AF_OK ? strdup(af_buf_cstr(&text)) : NULL;
    af_buf_done(&text);
    world->err = err;
    return copy;
}

/* --- a flip -------------------------------------------------------------------------------------------------------------------------- */

struct flip {
    const struct copy *file;
    size_t at;
    char mask;
    bool compact;
};

static void fail_flip(const struct flip *flip, const char *what, const char *more)
{
    af_test_failed(__FILE__, __LINE__, "%s, byte %zu of %zu ^ %02x%s: %s: %s", flip->file->name, flip->at, flip->file->bytes.len,
                   (unsigned)(unsigned char)flip->mask, flip->compact ? ", compacted" : "", what, more);
}

static bool is_log(const struct flip *flip)
{
    return strncmp(flip->file->name, "wal/", 4) == 0;
}

/* Whether it was an answer; a wrong one ends the test. */
static bool check_answer(struct world *world, const struct flip *flip)
{
    char *got = read_world(world);
    if (got == NULL) {
        if (world->err.message[0] == '\0')
            fail_flip(flip, "reading failed", "without a word");
        return false;
    }
    bool is_cut = is_log(flip) && world->said > 0 && strcmp(got, set.without_log_end) == 0;
    if (strcmp(got, set.whole) != 0 && !is_cut)
        fail_flip(flip, world->said > 0 ? world->words : "nothing was said", got);
    free(got);
    return true;
}

static bool check_flip(const struct flip *flip, const char *name)
{
    struct world world;
    bool done = true;
    init_world(&world, name);
    put_back(world.dir);
    bool is_answer = false;
    if (world_try_open(&world) != AF_OK) {
        if (world.err.message[0] == '\0')
            fail_flip(flip, "opening failed", "without a word");
    } else {
        is_answer = check_answer(&world, flip);
        if (flip->compact && af_tsm_flush(world.engine, &world.err) == AF_OK)
            (void)!af_tsm_compact(world.engine, true, &done, &world.err);
        if (flip->compact && check_answer(&world, flip) && !is_answer)
            fail_flip(flip, "a flush and a compaction", "made damage unseen");
    }
    world_close(&world);
    (void)!af_dir_remove(world.dir, NULL);
    return is_answer;
}

/* --- the tests ----------------------------------------------------------------------------------------------------------------------- */

/* All types, several files of two shards, one compacted, a tombstone, a log with three records. */
static void make_directory(void)
{
    struct af_scan scan = { .measurement = "m", .start_ns = 3, .stop_ns = 5 };
    struct world world;
    bool done;
    init_world(&world, "whole");
    world_open(&world);
    world_put(&world, "m,h=a v=1,s=\"one\" 1\nm,h=a v=2,s=\"two\" 2\nm,h=b v=3,i=7i,b=true,u=9u 4\nm,h=a v=3 6\n");
    world_flush(&world);
    world_put(&world, "m,h=a v=4,s=\"four\" 7\nm,h=b v=5,i=-8i,b=false,u=10u 8\n");
    world_flush(&world);
    AF_CHECK_OK(af_tsm_compact(world.engine, true, &done, &world.err), world.err);
    world_put(&world, "m,h=a v=9 2000000000000000\nm,h=b v=8 2000000000000001\nm,h=b i=11i 9\n");
    world_flush(&world);
    AF_CHECK_OK(af_store_erase(world.store, &scan, &world.err), world.err);
    world_put(&world, "m,h=c v=5 7\n");
    world_put(&world, "m,h=a v=6 2\n");
    set.without_log_end = read_world(&world);
    world_put(&world, "m,h=c v=7 8\n");
    set.whole = read_world(&world);
    AF_CHECK(set.whole != NULL && set.without_log_end != NULL && strcmp(set.whole, set.without_log_end) != 0);
    (void)snprintf(set.root, sizeof set.root, "%s", world.dir);
    world_close(&world);
    AF_CHECK_OK(af_dir_walk(set.root, keep_file, NULL, &world.err), world.err);
    (void)!af_dir_remove(set.root, NULL);
}

/* Kinds of files that must be among them: else this test tests less than it says. */
static void check_kinds(void)
{
    static const char *const kinds[] = { ".wal", "/shards", "/series", "/fields", ".tsm", ".stats", ".tombstone" };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        bool is_there = false;
        for (size_t i = 0; i < set.count; i++) {
            size_t len = strlen(set.files[i].name);
            size_t tail = strlen(kinds[k]);
            is_there = is_there || (len >= tail && strcmp(set.files[i].name + len - tail, kinds[k]) == 0 && set.files[i].bytes.len > 0);
        }
        if (!is_there)
            af_test_failed(__FILE__, __LINE__, "the directory has no file %s", kinds[k]);
    }
}

AF_TEST(a_flipped_byte_is_told_or_harmless)
{
    make_directory();
    check_kinds();
    struct af_prng prng = { 4711 };
    const char *all = getenv("AFLUXO_FLIP_ALL");
    size_t stride = all != NULL ? 1 : set.bytes / FLIPS_MAX + 1;
    size_t flips = 0;
    size_t answers = 0;
    for (size_t i = 0; i < set.count; i++) {
        struct copy *file = &set.files[i];
        if (strcmp(file->name, "LOCK") == 0)
            continue;
        for (size_t at = (size_t)af_prng_below(&prng, stride); at < file->bytes.len; at += stride) {
            char mask = (char)(at % 2 == 0 ? UINT64_C(1) << af_prng_below(&prng, 8) : 1 + af_prng_below(&prng, 255));
            struct flip flip = { file, at, mask, af_prng_below(&prng, 3) == 0 };
            file->bytes.ptr[at] = (char)(file->bytes.ptr[at] ^ mask);
            answers += check_flip(&flip, "flipped");
            file->bytes.ptr[at] = (char)(file->bytes.ptr[at] ^ mask);
            flips++;
        }
    }
    (void)printf("  %zu bytes in %zu files, %zu flips: %zu gave the same points, the others an error\n", set.bytes, set.count, flips,
                 answers);
    AF_CHECK(answers > 0 && answers < flips);
}

/* A file that ends too early is damage as well. */
AF_TEST(a_file_cut_short_is_told_or_harmless)
{
    make_directory();
    struct af_prng prng = { 4712 };
    for (size_t i = 0; i < set.count; i++) {
        struct copy *file = &set.files[i];
        size_t whole = file->bytes.len;
        size_t step = whole / 40 + 1;
        if (strcmp(file->name, "LOCK") == 0 || strncmp(file->name, "wal/", 4) == 0) /* cutting the log is a crash: crash_test.c */
            continue;
        for (size_t len = 0; len < whole; len += 1 + (size_t)af_prng_below(&prng, step)) {
            struct flip flip = { file, len, 0, len % 2 == 0 };
            file->bytes.len = len;
            (void)check_flip(&flip, "cut");
        }
        file->bytes.len = whole;
    }
}
