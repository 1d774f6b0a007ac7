/* fsck_test.c - the checker: silent over what is whole, loud over every flipped byte; after its repairs nothing wrong is ever read. */
#include "base/alloc.h"
#include "base/prng.h"
#include "os/tree.h"
#include "tsm/engine_fixture.h"

static char heard[16384];

static void hear(void *ctx, const char *words)
{
    const size_t n = strlen(heard);
    (void)ctx;
    (void)snprintf(heard + n, sizeof heard - n, "%s\n", words);
}

static struct af_tsm_fsck check(struct world *world, bool repair)
{
    struct af_tsm_fsck out;
    heard[0] = '\0';
    AF_CHECK_OK(af_tsm_fsck(world->dir, repair, hear, NULL, &out, &world->err), world->err);
    return out;
}

/* Two shards, several files, tombstones, a log with records. */
static void fill(struct world *world, const char *name)
{
    const struct af_scan scan = { .measurement = "m", .start_ns = 3, .stop_ns = 5 };
    world_init(world, name);
    world_open(world);
    world_put(world, "m,h=a v=1,s=\"one\" 1\nm,h=a v=2,s=\"two\" 2\nm,h=b v=3,i=7i,b=true 4\nm,h=a v=3 6\n");
    world_flush(world);
    world_put(world, "m,h=a v=9 2000000000000000\nm,h=b v=8 2000000000000001\n");
    world_flush(world);
    AF_CHECK_OK(af_store_erase(world->store, &scan, &world->err), world->err);
    world_put(world, "m,h=c v=5 7\nm,h=c v=5 8\n");
    world_close(world);
}

static const char all_points[] = "m,h=a 1 s=\"one\" v=0x1p+0\nm,h=a 2 s=\"two\" v=0x1p+1\nm,h=a 6 v=0x1.8p+1\n"
                                 "m,h=a 2000000000000000 v=0x1.2p+3\nm,h=b 2000000000000001 v=0x1p+3\n"
                                 "m,h=c 7 v=0x1.4p+2\nm,h=c 8 v=0x1.4p+2\n";

static const char with_deleted[] = "m,h=a 1 s=\"one\" v=0x1p+0\nm,h=a 2 s=\"two\" v=0x1p+1\nm,h=a 6 v=0x1.8p+1\n"
                                   "m,h=a 2000000000000000 v=0x1.2p+3\nm,h=b 4 b=true i=7i v=0x1.8p+1\n"
                                   "m,h=b 2000000000000001 v=0x1p+3\nm,h=c 7 v=0x1.4p+2\nm,h=c 8 v=0x1.4p+2\n";

AF_TEST(fsck_of_what_is_whole)
{
    struct world world;
    fill(&world, "d");
    for (int repair = 0; repair < 2; repair++) {
        struct af_tsm_fsck out = check(&world, repair != 0);
        if (out.faults != 0)
            fprintf(stderr, "%s", heard);
        AF_CHECK_INT(out.faults, 0);
        AF_CHECK_INT(out.shards, 2);
        AF_CHECK_INT(out.files, 2);
        AF_CHECK_INT(out.wal_torn_bytes, 0);
        AF_CHECK(out.wal_records > 0 && out.points >= 9 && out.blocks >= 6);
    }
    world_open(&world);
    struct af_tsm_fsck out;
    AF_CHECK_FAILS(af_tsm_fsck(world.dir, false, hear, NULL, &out, &world.err), AF_EBUSY);
    world_check(&world, "m", all_points);
    world_close(&world);
    AF_CHECK_FAILS(af_tsm_fsck("/no/such/dir", false, hear, NULL, &out, &world.err), AF_ENOTFOUND);
}

/* --- every byte ------------------------------------------------------------------------------------------------------------------- */

struct found {
    char *paths[64];
    size_t count;
};

static enum af_status find_file(void *ctx, const char *path, struct af_error *err)
{
    struct found *found = ctx;
    (void)err;
    if (strstr(path, "LOCK") != NULL)
        return AF_OK;
    AF_CHECK(found->count < 64);
    found->paths[found->count++] = strdup(path);
    return AF_OK;
}

static void read_whole(const char *path, struct af_buf *out)
{
    struct af_error err;
    af_buf_init(out, 1 << 24);
    AF_CHECK_OK(af_file_read_all(path, out, &err), err);
}

static void write_whole(const char *path, struct af_slice bytes)
{
    struct af_error err;
    struct af_file *file;
    AF_CHECK_OK(af_file_open(path, AF_FILE_TRUNCATE, &file, &err), err);
    AF_CHECK_OK(af_file_write(file, bytes, &err), err);
    af_file_close(file);
}

static void restore(const struct world *world, const struct found *found, const struct af_buf *bytes)
{
    struct af_error err;
    char path[600];
    (void)snprintf(path, sizeof path, "%s/wal", world->dir);
    AF_CHECK_OK(af_dir_remove(path, &err), err);
    AF_CHECK_OK(af_dir_make(path, &err), err);
    (void)snprintf(path, sizeof path, "%s/engine", world->dir);
    AF_CHECK_OK(af_dir_remove(path, &err), err);
    for (size_t i = 0; i < found->count; i++) {
        char *slash = strrchr(found->paths[i], '/');
        *slash = '\0';
        AF_CHECK_OK(af_dir_make(found->paths[i], &err), err);
        *slash = '/';
        write_whole(found->paths[i], af_buf_slice(&bytes[i]));
    }
}

/* Every line of `got` is one of `want`, and the values in it too: a point may lack fields that are lost. */
static bool is_part(const char *got, const char *want, bool *out_lost)
{
    *out_lost = strcmp(got, want) != 0;
    while (*got != '\0') {
        const char *end = strchr(got, '\n');
        char line[256];
        char *rest = line;
        (void)snprintf(line, sizeof line, "%.*s", (int)(end - got), got);
        const char *series = strsep(&rest, " ");
        const char *time = strsep(&rest, " ");
        char head[128];
        (void)snprintf(head, sizeof head, "%s %s ", series, time);
        const char *at = strstr(want, head);
        if (at == NULL)
            return false;
        for (const char *value = strsep(&rest, " "); value != NULL; value = strsep(&rest, " ")) {
            const char *stop = strchr(at, '\n');
            const char *hit = strstr(at, value);
            if (hit == NULL || hit > stop)
                return false;
        }
        got = end + 1;
    }
    return true;
}

/* A byte flipped: fsck says so, or nothing is lost or changed. After a repair: it opens, fsck finds nothing more, and what is read is part
 * of what was written; the part that is missing was told. */
static void flip_one(struct world *world, const char *path, bool *out_told)
{
    bool lost = false;
    const struct af_tsm_fsck before = check(world, false);
    *out_told = before.faults > 0 || before.wal_torn_bytes > 0;
    (void)check(world, true);
    if (strstr(path, "/shards") != NULL && before.faults > 0)
        return; /* told, and not to be repaired */
    const struct af_tsm_fsck after = check(world, false);
    if (after.faults != 0)
        fprintf(stderr, "%s: after the repair: %s", path, heard);
    AF_CHECK_INT(after.faults, 0);
    world_open(world);
    char *got = world_dump(world->store, "m");
    bool is_other;
    const bool is_tombs = strstr(path, ".tombstone") != NULL && *out_told; /* then what was deleted is there again */
    const bool is_right = is_part(got, all_points, &lost) || (is_tombs && is_part(got, with_deleted, &is_other));
    if (!is_right || (lost && !*out_told))
        fprintf(stderr, "%s: read: %s", path, got);
    AF_CHECK(is_right && (!lost || *out_told));
    free(got);
    world_close(world);
}

AF_TEST(fsck_every_byte_flipped)
{
    struct world world;
    struct found found = { 0 };
    struct af_buf bytes[64];
    fill(&world, "flip");
    AF_CHECK_OK(af_dir_walk(world.dir, find_file, &found, &world.err), world.err);
    AF_CHECK(found.count >= 9);
    for (size_t i = 0; i < found.count; i++)
        read_whole(found.paths[i], &bytes[i]);
    for (size_t i = 0; i < found.count; i++) {
        size_t told_count = 0;
        size_t tried = 0;
        const bool is_key_file = strstr(found.paths[i], ".tsm") != NULL;
        for (size_t at = i % 4; at < bytes[i].len; at += is_key_file ? 4 : 9) {
            bool told;
            restore(&world, &found, bytes);
            bytes[i].ptr[at] ^= (char)(1 << at % 8);
            write_whole(found.paths[i], af_buf_slice(&bytes[i]));
            bytes[i].ptr[at] ^= (char)(1 << at % 8);
            flip_one(&world, found.paths[i], &told);
            told_count += told;
            tried++;
        }
        if (strstr(found.paths[i], ".tombstone") == NULL && told_count != tried)
            fprintf(stderr, "%s: %zu of %zu flips were told\n", found.paths[i], told_count, tried);
    }
    for (size_t i = 0; i < found.count; i++) {
        af_buf_done(&bytes[i]);
        free(found.paths[i]);
    }
}

/* --- single faults ---------------------------------------------------------------------------------------------------------------- */

static const char *shard_file(struct world *world, const char *name)
{
    static char paths[4][700];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/engine/data/00000000000000b1/autogen/1/%s", world->dir, name);
    return path;
}

AF_TEST(fsck_salvages_around_a_broken_block)
{
    struct world world;
    struct af_buf tsm;
    fill(&world, "s");
    const char *path = shard_file(&world, "000000001-000000001.tsm");
    read_whole(path, &tsm);
    tsm.ptr[12] ^= 4; /* in the first block: m,h=a s */
    write_whole(path, af_buf_slice(&tsm));
    struct af_tsm_fsck out = check(&world, false);
    AF_CHECK(out.faults > 0);
    AF_CHECK_INT(af_path_kind(path), AF_PATH_FILE);
    out = check(&world, true);
    AF_CHECK(strstr(heard, "lost: a block of m,h=a#!~#s") != NULL);
    AF_CHECK_INT(af_path_kind(shard_file(&world, "000000001-000000001.tsm.salvaged.bad")), AF_PATH_FILE);
    world_open(&world);
    world_check(&world, "m", "m,h=a 1 v=0x1p+0\nm,h=a 2 v=0x1p+1\nm,h=a 6 v=0x1.8p+1\nm,h=a 2000000000000000 v=0x1.2p+3\n"
                             "m,h=b 2000000000000001 v=0x1p+3\nm,h=c 7 v=0x1.4p+2\nm,h=c 8 v=0x1.4p+2\n");
    world_close(&world);
    af_buf_done(&tsm);
}

/* Set aside by opening, refused by scans, repaired, read again: tombstones still hide what they hid. */
AF_TEST(fsck_after_opening_has_set_aside)
{
    struct world world;
    struct af_buf tsm;
    fill(&world, "o");
    const char *path = shard_file(&world, "000000001-000000001.tsm");
    read_whole(path, &tsm);
    tsm.ptr[tsm.len - 20] ^= 1; /* in the index: caught by its checksum */
    write_whole(path, af_buf_slice(&tsm));
    world_open(&world);
    AF_CHECK_INT(af_path_kind(shard_file(&world, "000000001-000000001.tsm.bad")), AF_PATH_FILE);
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_stream *stream;
    AF_CHECK_FAILS(af_store_scan(world.store, &scan, &stream, &world.err), AF_ECORRUPT);
    world_put(&world, "m,h=d v=1 9\n");
    world_flush(&world); /* writing goes on, under another generation */
    world_close(&world);
    struct af_tsm_fsck out = check(&world, true);
    AF_CHECK(out.faults > 0);
    AF_CHECK(strstr(heard, "good blocks") != NULL);
    out = check(&world, false);
    AF_CHECK_INT(out.faults, 0);
    world_open(&world);
    bool lost;
    char *got = world_dump(world.store, "m");
    AF_CHECK(strstr(got, "m,h=d 9 v=0x1p+0\n") != NULL);
    AF_CHECK(strstr(got, "m,h=b 4") == NULL); /* deleted */
    AF_CHECK(strstr(got, "m,h=a 1 ") != NULL);
    (void)is_part(got, all_points, &lost);
    free(got);
    world_close(&world);
    af_buf_done(&tsm);
}

AF_TEST(fsck_cleans_up)
{
    struct world world;
    fill(&world, "c");
    write_whole(shard_file(&world, "000000007-000000001.tsm.tmp"), AF_SLICE_LIT("half"));
    write_whole(shard_file(&world, "000000007-000000001.tombstone"), AF_SLICE_LIT("nobody's"));
    write_whole(shard_file(&world, "000000001-000000001.stats"), AF_SLICE_LIT("not these"));
    write_whole(shard_file(&world, "x.tsm"), AF_SLICE_LIT("what"));
    struct af_tsm_fsck out = check(&world, false);
    AF_CHECK_INT(out.faults, 4);
    out = check(&world, true);
    AF_CHECK_INT(out.faults, 4);
    out = check(&world, false);
    AF_CHECK_INT(out.faults, 1);
    AF_CHECK(strstr(heard, "x.tsm") != NULL);
    world_open(&world);
    world_check(&world, "m", all_points);
    world_close(&world);
}

/* Points outside the shard, a series that the index does not have, a field of another type: a file of another directory, put here. */
AF_TEST(fsck_of_a_foreign_file)
{
    struct world world;
    struct world other;
    struct af_buf tsm;
    fill(&world, "f");
    world_init(&other, "other");
    world_open(&other);
    world_put(&other, "m,h=zz v=\"text\" 1700000000000000000\n");
    world_flush(&other);
    world_close(&other);
    read_whole(shard_file(&other, "000000001-000000001.tsm"), &tsm);
    write_whole(shard_file(&world, "000000009-000000001.tsm"), af_buf_slice(&tsm));
    const struct af_tsm_fsck out = check(&world, false);
    AF_CHECK(out.faults >= 3);
    AF_CHECK(strstr(heard, "its shard covers") != NULL);
    AF_CHECK(strstr(heard, "is string, in an older file") != NULL);
    AF_CHECK(strstr(heard, "series m,h=zz") != NULL);
    af_buf_done(&tsm);
}

AF_TEST(fsck_without_memory)
{
    struct world world;
    struct af_tsm_fsck out;
    fill(&world, "n");
    enum af_status status = AF_ENOMEM;
    size_t n = 0;
    while (status != AF_OK) {
        af_alloc_fail_nth(++n);
        status = af_tsm_fsck(world.dir, false, NULL, NULL, &out, &world.err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK(n < 20000);
    }
    AF_CHECK(n > 20);
    AF_CHECK_INT(out.faults, 0);
}
