/*
 * meta_room_test.c - the catalogue on a disk without a free byte: deleting works there, whatever was done before, also after a kill, and
 * after a stop and a start.
 *
 * The disk is a VFS of SQLite's that hands everything on, but refuses what would make a file longer once it is full, and new files.
 */
#include "meta/meta_int.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <stdio.h>

enum { BUCKETS = 60 };

static struct af_error err;
static struct af_arena arena;
static struct af_meta *meta;

/* --- a disk that can be full ------------------------------------------------------------------------------------------------------ */

static bool is_full;
static unsigned refused;
static sqlite3_vfs *real_vfs;
static sqlite3_vfs full_vfs;

struct full_file {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct full_file *)file)->real;
}

static int full_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int full_read(sqlite3_file *file, void *dst, int len, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), dst, len, at);
}

static int full_write(sqlite3_file *file, const void *src, int len, sqlite3_int64 at)
{
    sqlite3_int64 size = 0;
    int code = real_of(file)->pMethods->xFileSize(real_of(file), &size);
    if (code == SQLITE_OK && is_full && at + len > size) {
        refused++;
        return SQLITE_FULL;
    }
    return code == SQLITE_OK ? real_of(file)->pMethods->xWrite(real_of(file), src, len, at) : code;
}

static int full_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int full_sync(sqlite3_file *file, int flags)
{
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int full_size(sqlite3_file *file, sqlite3_int64 *out)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), out);
}

static int full_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int full_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int full_reserved(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int full_control(sqlite3_file *file, int op, void *arg)
{
    sqlite3_int64 size = 0;
    if (is_full && op == SQLITE_FCNTL_SIZE_HINT && real_of(file)->pMethods->xFileSize(real_of(file), &size) == SQLITE_OK &&
        *(sqlite3_int64 *)arg > size) {
        refused++;
        return SQLITE_IOERR_WRITE;
    }
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int full_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int full_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods full_methods = {
    1, full_close, full_read, full_write, full_truncate, full_sync, full_size, full_lock, full_unlock, full_reserved, full_control,
    full_sector, full_traits, NULL, NULL, NULL, NULL, NULL, NULL,
};

static int full_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    struct full_file *own = (struct full_file *)file;
    int is_there = 0;
    (void)vfs;
    own->base.pMethods = NULL;
    own->real = (sqlite3_file *)(own + 1);
    if (is_full && (name == NULL || (real_vfs->xAccess(real_vfs, name, SQLITE_ACCESS_EXISTS, &is_there) == SQLITE_OK && !is_there))) {
        refused++;
        return SQLITE_FULL;
    }
    int code = real_vfs->xOpen(real_vfs, name, own->real, flags, out_flags);
    if (own->real->pMethods != NULL)
        own->base.pMethods = &full_methods;
    return code;
}

static void use_disk(void)
{
    meta_room_begin();
    real_vfs = sqlite3_vfs_find(NULL);
    full_vfs = *real_vfs;
    full_vfs.zName = "full";
    full_vfs.szOsFile = (int)sizeof(struct full_file) + real_vfs->szOsFile;
    full_vfs.xOpen = full_open;
    AF_CHECK_INT(sqlite3_vfs_register(&full_vfs, 1), SQLITE_OK);
    is_full = false;
    refused = 0;
}

static void leave_disk(void)
{
    AF_CHECK_INT(sqlite3_vfs_register(real_vfs, 1), SQLITE_OK);
    AF_CHECK_INT(sqlite3_vfs_unregister(&full_vfs), SQLITE_OK);
}

/* --- a catalogue on it -------------------------------------------------------------------------------------------------------------- */

static uint64_t org, buckets[BUCKETS];

static void start(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", af_test_dir(), name);
    AF_CHECK_OK(af_meta_open(path, &meta, &err), err);
}

static void make(unsigned first, unsigned count)
{
    char name[200];
    for (unsigned i = first; i < first + count; i++) {
        (void)snprintf(name, sizeof name, "d%u/a policy whose name is rather long, so that there are more pages than one %u", i / 3, i);
        struct af_meta_bucket bucket = { .org = org, .name = name, .description = "of a test", .shard_ns = 1 };
        AF_CHECK_OK(af_meta_bucket_put(meta, &bucket, true, &err), err);
        struct af_meta_dbrp dbrp = { .org = org, .bucket = bucket.id, .database = "db", .policy = name };
        AF_CHECK_OK(af_meta_dbrp_put(meta, &dbrp, true, &err), err);
        buckets[i] = bucket.id;
    }
}

static void fill(const char *name)
{
    struct af_meta_org new_org = { .name = "o" };
    af_arena_init(&arena, SIZE_MAX / 2);
    start(name);
    AF_CHECK_OK(af_meta_org_put(meta, &new_org, true, &err), err);
    org = new_org.id;
    make(0, BUCKETS);
}

static size_t count_buckets(void)
{
    struct af_meta_bucket *list = NULL;
    size_t count = 0;
    struct af_meta_filter all = { 0 };
    AF_CHECK_OK(af_meta_buckets(meta, &all, &arena, &list, &count, &err), err);
    return count;
}

static void drop_all(void)
{
    is_full = true;
    for (size_t i = 0; i < BUCKETS; i++)
        AF_CHECK_OK(af_meta_bucket_drop(meta, buckets[i], &err), err);
    AF_CHECK_INT(count_buckets(), 0);
}

static void stop(void)
{
    af_meta_close(meta);
    af_arena_done(&arena);
    is_full = false;
}

/* --- tests ---------------------------------------------------------------------------------------------------------------------------- */

/* However long SQLite's log was when the disk filled up. */
AF_TEST(meta_drops_buckets_on_a_full_disk_after_any_number_of_changes)
{
    char name[32];
    use_disk();
    for (unsigned changes = 0; changes < 25; changes++) {
        (void)snprintf(name, sizeof name, "c%u", changes);
        fill(name);
        for (unsigned i = 0; i < changes; i++) {
            struct af_meta_org change = { .id = org, .name = i % 2 == 0 ? "p" : "o" };
            AF_CHECK_OK(af_meta_org_put(meta, &change, false, &err), err);
        }
        drop_all();
        stop();
    }
    leave_disk();
}

AF_TEST(meta_drops_an_organisation_on_a_full_disk)
{
    use_disk();
    fill("o");
    is_full = true;
    AF_CHECK_OK(af_meta_org_drop(meta, org, &err), err);
    AF_CHECK_INT(count_buckets(), 0);
    stop();
    leave_disk();
}

AF_TEST(meta_drops_buckets_when_it_was_stopped_and_started_on_a_full_disk)
{
    use_disk();
    fill("s");
    is_full = true;
    for (int i = 0; i < 3; i++) {
        af_meta_close(meta);
        start("s");
        AF_CHECK_INT(count_buckets(), BUCKETS);
    }
    drop_all();
    af_meta_close(meta);
    start("s");
    AF_CHECK_INT(count_buckets(), 0);
    stop();
    leave_disk();
}

static void copy(const char *from, const char *to)
{
    struct af_buf bytes;
    char path[600];
    af_buf_init(&bytes, 64 << 20);
    (void)snprintf(path, sizeof path, "%s/%s", af_test_dir(), from);
    AF_CHECK_OK(af_file_read_all(path, &bytes, &err), err);
    (void)snprintf(path, sizeof path, "%s/%s", af_test_dir(), to);
    AF_CHECK_OK(af_file_write_atomic(path, af_buf_slice(&bytes), true, &err), err);
    af_buf_done(&bytes);
}

AF_TEST(meta_drops_buckets_after_a_kill_on_a_full_disk)
{
    use_disk();
    fill("k");
    copy("k", "killed");
    copy("k-wal", "killed-wal");
    stop();
    af_arena_init(&arena, SIZE_MAX / 2);
    is_full = true;
    start("killed");
    AF_CHECK_INT(count_buckets(), BUCKETS);
    drop_all();
    stop();
    leave_disk();
}

/* Somebody restores the file alone; what was beside it says nothing of that one. */
AF_TEST(meta_takes_nothing_from_the_log_of_another_file)
{
    use_disk();
    fill("a");
    af_meta_close(meta);
    copy("a", "backup");
    start("a");
    for (size_t i = 0; i < BUCKETS; i++)
        AF_CHECK_OK(af_meta_bucket_drop(meta, buckets[i], &err), err);
    af_meta_close(meta);
    copy("backup", "a");
    start("a");
    AF_CHECK_INT(count_buckets(), BUCKETS);
    stop();
    AF_CHECK_INT(refused, 0);
    leave_disk();
}

/* The disk of these tests refuses what it should. */
AF_TEST(meta_cannot_grow_on_a_full_disk)
{
    char name[64];
    enum af_status status = AF_OK;
    use_disk();
    fill("g");
    is_full = true;
    for (unsigned i = 0; i < 5000 && status == AF_OK; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        struct af_meta_bucket bucket = { .org = org, .name = name, .description = "of a test", .shard_ns = 1 };
        status = af_meta_bucket_put(meta, &bucket, true, &err);
    }
    AF_CHECK_INT(status, AF_EFULL);
    AF_CHECK(refused > 0);
    AF_CHECK_OK(af_meta_bucket_drop(meta, buckets[0], &err), err); /* also when all that was free is used */
    stop();
    leave_disk();
}
