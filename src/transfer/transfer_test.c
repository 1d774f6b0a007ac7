/* transfer_test.c - backups, restores and imports of houses in a test's directory; what needs no other server. */
#include "base/alloc.h"
#include "codec/compress.h"
#include "os/fault.h"
#include "os/tree.h"
#include "test/lib/test.h"
#include "transfer/bulkload_int.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct af_transfer_watch nobody;

/* --- houses as text --------------------------------------------------------------------------------------------------------- */

static const char *path_of(const char *name)
{
    static char paths[8][600];
    static int next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", af_test_dir(), name);
    return path;
}

static void open_house(struct af_house *house, const char *name)
{
    struct af_error err = { 0 };
    struct af_house_options options = { .engine = { .dir = path_of(name), .is_manual = true } };
    AF_CHECK_OK(af_house_open(&options, house, &err), err);
}

static struct af_store *open_bucket(struct af_house *house, const char *name, int64_t shard_ns)
{
    struct af_error err = { 0 };
    struct af_store *store;
    uint64_t id;
    AF_CHECK_OK(af_house_bucket(house, NULL, name, true, shard_ns, &id, &err), err);
    AF_CHECK_OK(af_tsm_store_open(house->engine, id, name, true, &store, &err), err);
    return store;
}

static void write_lines(struct af_store *store, const char *lines)
{
    struct af_error err = { 0 };
    struct af_write_answer answer;
    struct af_write write = { .lines = af_slice_of(lines), .precision_ns = 1 };
    for (const char *c = lines; *c != '\0'; c++)
        write.line_count += *c == '\n';
    AF_CHECK_OK(af_store_write(store, &write, &answer, &err), err);
    AF_CHECK_INT(answer.verdict, AF_WRITE_DONE);
}

static enum af_status append(void *ctx, struct af_slice bytes, struct af_error *err)
{
    af_buf_append_slice(ctx, bytes);
    return af_buf_check(ctx, "a test", err);
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines in order, so that texts of two ways compare. */
static void sort_lines(struct af_buf *text)
{
    static char *lines[100000];
    static char copy[4 << 20];
    size_t count = 0;
    AF_CHECK(text->len < sizeof copy);
    memcpy(copy, text->len != 0 ? text->ptr : "", text->len);
    copy[text->len] = '\0';
    for (char *at = copy; *at != '\0' && count < 100000;) {
        char *end = strchr(at, '\n');
        lines[count++] = at;
        *end = '\0';
        at = end + 1;
    }
    qsort(lines, count, sizeof *lines, by_line);
    af_buf_clear(text);
    for (size_t i = 0; i < count; i++)
        af_buf_printf(text, "%s\n", lines[i]);
}

static void check_bucket(struct af_house *house, const char *bucket, const char *want)
{
    struct af_buf got, sorted;
    struct af_error err = { 0 };
    uint64_t rows;
    struct af_store *store = open_bucket(house, bucket, 0);
    const struct af_export_options options = { .store = store, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    af_buf_init(&got, 64 << 20);
    af_buf_init(&sorted, 64 << 20);
    AF_CHECK_OK(af_export_lp(&options, append, &got, &rows, &err), err);
    sort_lines(&got);
    af_buf_append_str(&sorted, want);
    sort_lines(&sorted);
    AF_CHECK_SLICE(af_buf_slice(&got), af_buf_cstr(&sorted));
    af_buf_done(&got);
    af_buf_done(&sorted);
    af_store_close(store);
}

static void back_up(struct af_house *house, const char *dir, struct af_transfer_counts *counts)
{
    struct af_error err = { 0 };
    const struct af_backup_options options = { .house = house, .dir = path_of(dir) };
    AF_CHECK_OK(af_backup(&options, counts, &err), err);
}

static void restore(struct af_house *house, const char *dir, struct af_transfer_counts *counts)
{
    struct af_error err = { 0 };
    const struct af_restore_options options = { .house = house, .dir = path_of(dir) };
    AF_CHECK_OK(af_restore(&options, counts, &err), err);
}

/* --- backup and restore ---------------------------------------------------------------------------------------------------- */

AF_TEST(deleted_points_are_not_in_a_backup)
{
    struct af_house house;
    struct af_transfer_counts counts;
    struct af_error err = { 0 };
    open_house(&house, "a");
    struct af_store *store = open_bucket(&house, "b", 0);
    write_lines(store, "m,t=x f=1 1\nm,t=x f=2 2\nm,t=x f=3 3\nm,t=y f=1 2\n");
    AF_CHECK_OK(af_tsm_flush(house.engine, &err), err);
    const struct af_predicate x = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("t"), .value = AF_SLICE_LIT("x") };
    const struct af_scan scan = { .measurement = "m", .start_ns = 2, .stop_ns = 3, .predicate = &x };
    AF_CHECK_OK(af_store_erase(store, &scan, &err), err);
    write_lines(store, "m,t=z f=9 1\n"); /* not flushed: the backup sees to that */
    af_store_close(store);
    back_up(&house, "bk", &counts);
    AF_CHECK_INT(counts.buckets, 1);
    AF_CHECK_INT(counts.shards, 1);
    af_house_close(&house);

    open_house(&house, "c");
    restore(&house, "bk", &counts);
    AF_CHECK_INT(counts.shards_linked, 1);
    check_bucket(&house, "b", "m,t=x f=1 1\nm,t=x f=3 3\nm,t=y f=1 2\nm,t=z f=9 1\n");
    af_house_close(&house);
}

AF_TEST(retention_shards_description_and_long_names_come_back)
{
    struct af_house house;
    struct af_transfer_counts counts;
    struct af_error err = { 0 };
    struct af_arena arena;
    struct af_meta_bucket *buckets;
    size_t count;
    char name[300];
    memset(name, 'n', 299);
    name[299] = '\0';
    af_arena_init(&arena, 1 << 20);
    open_house(&house, "a");
    const struct transfer_bucket made = { .name = name, .description = "why", .retention_ns = INT64_C(100000) * 86400 * 1000000000,
                                          .shard_ns = INT64_C(86400) * 1000000000 };
    uint64_t id;
    AF_CHECK_OK(transfer_bucket(&house, &made, &id, &err), err);
    struct af_store *store = open_bucket(&house, name, 0);
    write_lines(store, "m f=1 1700000000000000000\n");
    af_store_close(store);
    back_up(&house, "bk", &counts);
    af_house_close(&house);
    open_house(&house, "c");
    restore(&house, "bk", &counts);
    check_bucket(&house, name, "m f=1 1700000000000000000\n");
    struct af_meta_filter all = { 0 };
    AF_CHECK_OK(af_meta_buckets(house.meta, &all, &arena, &buckets, &count, &err), err);
    AF_CHECK_INT(count, 1);
    AF_CHECK_STR(buckets[0].description, "why");
    AF_CHECK_INT(buckets[0].retention_ns, made.retention_ns);
    AF_CHECK_INT(buckets[0].shard_ns, made.shard_ns);
    af_house_close(&house);
    af_arena_done(&arena);
}

static enum af_status count_file(void *ctx, const char *path, struct af_error *err)
{
    (void)path, (void)err;
    ++*(size_t *)ctx;
    return AF_OK;
}

AF_TEST(a_backup_that_is_stopped_leaves_nothing)
{
    struct af_house house;
    struct af_transfer_counts counts;
    struct af_error err = { 0 };
    const bool stop = true;
    size_t files = 0;
    open_house(&house, "a");
    struct af_store *store = open_bucket(&house, "b", 0);
    write_lines(store, "m f=1 1\n");
    af_store_close(store);
    const struct af_backup_options options = { .house = &house, .dir = path_of("bk"), .watch = { .cancel = &stop } };
    AF_CHECK_FAILS(af_backup(&options, &counts, &err), AF_ECANCELED);
    AF_CHECK_OK(af_dir_list(path_of("bk"), count_file, &files, &err), err);
    AF_CHECK_INT(files, 0);
    AF_CHECK(!af_backup_is(path_of("bk")));
    AF_CHECK(af_path_kind(path_of("a/backup.tmp")) == AF_PATH_NONE);
    const struct af_backup_options none = { .house = &house, .dir = path_of("bk"), .bucket = "none" };
    AF_CHECK_FAILS(af_backup(&none, &counts, &err), AF_ENOTFOUND);
    af_house_close(&house);
}

/* Every allocation of a backup fails once: it fails as a whole, or it is one that can be restored. */
AF_TEST(a_backup_without_memory_is_none_or_whole)
{
    struct af_house house;
    struct af_error err = { 0 };
    open_house(&house, "a");
    struct af_store *store = open_bucket(&house, "b", 0);
    write_lines(store, "m f=1 1\n");
    af_store_close(store);
    for (size_t n = 1; n < 400; n++) {
        struct af_transfer_counts counts;
        char name[32];
        (void)snprintf(name, sizeof name, "bk%zu", n);
        const struct af_backup_options options = { .house = &house, .dir = path_of(name) };
        (void)af_alloc_fail_nth(n);
        enum af_status status = af_backup(&options, &counts, &err);
        bool was_hit = af_alloc_fail_nth(0) >= n;
        AF_CHECK(status == AF_OK || was_hit);
        AF_CHECK((status == AF_OK) == af_backup_is(path_of(name)));
    }
    af_house_close(&house);
}

/* The same with the disk: every write and every read back fails once. */
AF_TEST(a_backup_on_a_failing_disk_is_none_or_whole)
{
    static const enum af_os_call calls[] = { AF_OS_WRITE, AF_OS_READ };
    struct af_house house;
    struct af_error err = { 0 };
    unsigned failed = 0;
    open_house(&house, "a");
    struct af_store *store = open_bucket(&house, "b", 0);
    write_lines(store, "m f=1 1\n");
    af_store_close(store);
    AF_CHECK_OK(af_tsm_flush(house.engine, &err), err);
    for (size_t c = 0; c < 2; c++)
        for (uint64_t n = 1; n < 30; n++) {
            struct af_transfer_counts counts;
            char name[32];
            (void)snprintf(name, sizeof name, "bk%zu-%d", c, (int)n);
            const struct af_backup_options options = { .house = &house, .dir = path_of(name) };
            af_os_fault(calls[c], n, 1, 28 /* ENOSPC */);
            enum af_status status = af_backup(&options, &counts, &err);
            af_os_fault(calls[c], 0, 0, 0);
            failed += status != AF_OK;
            AF_CHECK((status == AF_OK) == af_backup_is(path_of(name)));
        }
    AF_CHECK(failed >= 4);
    af_house_close(&house);
}

/* --- a backup elsewhere -------------------------------------------------------------------------------------------------------- */

struct elsewhere {
    const char *dir;
    unsigned begun, put;
    char last[64];
};

static enum af_status begin_there(void *ctx, const char *name, struct af_error *err)
{
    struct elsewhere *e = ctx;
    AF_CHECK_INT(strlen(name), 16);
    e->begun++;
    return af_dir_make(e->dir, err);
}

static enum af_status put_there(void *ctx, const char *path, struct af_error *err)
{
    struct elsewhere *e = ctx;
    char to[1300];
    e->put++;
    (void)snprintf(to, sizeof to, "%s/%s", e->dir, transfer_base_name(path));
    (void)snprintf(e->last, sizeof e->last, "%s", transfer_base_name(path));
    return af_path_link(path, to, err);
}

static enum af_status get_from_there(void *ctx, const char *path, uint64_t bytes, struct af_error *err)
{
    const struct elsewhere *e = ctx;
    char from[1300];
    (void)snprintf(from, sizeof from, "%s/%s", e->dir, transfer_base_name(path));
    AF_CHECK(bytes != 0);
    return af_path_link(from, path, err);
}

/* Of a house with two shards. Every file passes through "way", none is there at once with another, and none stays. */
AF_TEST(a_backup_elsewhere_passes_file_by_file)
{
    static const char lines[] = "m f=1 1\nm f=2 1000000000000000000\n";
    struct af_house house, again;
    struct af_error err = { 0 };
    struct af_transfer_counts counts;
    open_house(&house, "a");
    struct af_store *store = open_bucket(&house, "b", INT64_C(604800000000000));
    write_lines(store, lines);
    af_store_close(store);
    struct elsewhere there = { .dir = path_of("there") };
    const struct af_backup_elsewhere elsewhere = { begin_there, put_there, get_from_there, &there };
    const struct af_backup_options backup = { .house = &house, .dir = path_of("way"), .elsewhere = &elsewhere };
    AF_CHECK_OK(af_backup(&backup, &counts, &err), err);
    AF_CHECK_INT(there.begun, 1);
    AF_CHECK_INT(there.put, 4); /* two archives, the catalogue, the manifest */
    AF_CHECK(strstr(there.last, ".manifest") != NULL);
    AF_CHECK(!af_backup_is(path_of("way")));
    AF_CHECK(af_backup_is(there.dir));
    open_house(&again, "c");
    const struct af_restore_options whole = { .house = &again, .dir = there.dir };
    AF_CHECK_OK(af_restore(&whole, &counts, &err), err);
    check_bucket(&again, "b", lines);
    af_house_close(&again);
    af_house_close(&house);
}

AF_TEST(a_backup_elsewhere_without_memory_has_a_manifest_only_if_it_is_whole)
{
    struct af_house house;
    struct af_error err = { 0 };
    open_house(&house, "a");
    struct af_store *store = open_bucket(&house, "b", 0);
    write_lines(store, "m f=1 1\n");
    af_store_close(store);
    for (size_t n = 1; n < 500; n++) {
        struct af_transfer_counts counts;
        char way[32], to[32];
        (void)snprintf(way, sizeof way, "way%zu", n);
        (void)snprintf(to, sizeof to, "there%zu", n);
        struct elsewhere there = { .dir = path_of(to) };
        const struct af_backup_elsewhere elsewhere = { begin_there, put_there, get_from_there, &there };
        const struct af_backup_options options = { .house = &house, .dir = path_of(way), .elsewhere = &elsewhere };
        (void)af_alloc_fail_nth(n);
        enum af_status status = af_backup(&options, &counts, &err);
        bool was_hit = af_alloc_fail_nth(0) >= n;
        AF_CHECK(status == AF_OK || was_hit);
        AF_CHECK(status != AF_OK || af_backup_is(there.dir));
        if (status == AF_OK || !af_backup_is(there.dir))
            continue;
        struct af_house again; /* what was put stays: a failure after the last of it leaves a whole one */
        open_house(&again, "again");
        const struct af_restore_options whole = { .house = &again, .dir = there.dir };
        AF_CHECK_OK(af_restore(&whole, &counts, &err), err);
        check_bucket(&again, "b", "m f=1 1\n");
        af_house_close(&again);
    }
    af_house_close(&house);
}

/* An archive that is sound, but another one than the manifest means. */
AF_TEST(an_archive_is_the_one_that_was_backed_up)
{
    struct af_house house;
    struct af_error err = { 0 };
    struct af_transfer_counts counts;
    struct af_arena arena;
    struct transfer_backup backup;
    open_house(&house, "a");
    struct af_store *store = open_bucket(&house, "b", 0);
    write_lines(store, "m f=1 1\n");
    af_store_close(store);
    back_up(&house, "bk", &counts);
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK_OK(transfer_manifest_read(path_of("bk"), &arena, &backup, &err), err);
    const char *archive = transfer_path(&arena, path_of("bk"), backup.content.buckets[0].shards[0].file_name);
    AF_CHECK_OK(transfer_sum_check(&backup, archive, &nobody, &err), err);
    struct af_buf bytes;
    af_buf_init(&bytes, 1 << 20);
    AF_CHECK_OK(af_file_read_all(archive, &bytes, &err), err);
    bytes.ptr[4] ^= 1; /* the time in gzip's header */
    AF_CHECK_OK(af_file_write_atomic(archive, af_buf_slice(&bytes), false, &err), err);
    AF_CHECK_FAILS(transfer_sum_check(&backup, archive, &nobody, &err), AF_ECORRUPT);
    const struct af_restore_options options = { .house = &house, .dir = path_of("bk") };
    AF_CHECK_FAILS(af_restore(&options, &counts, &err), AF_ECORRUPT);
    backup.sums = NULL; /* of InfluxDB's own */
    AF_CHECK_OK(transfer_sum_check(&backup, archive, &nobody, &err), err);
    af_buf_done(&bytes);
    af_arena_done(&arena);
    af_house_close(&house);
}

/* --- archives ----------------------------------------------------------------------------------------------------------------- */

static void put_member(struct af_buf *tar, const char *name, const char *content)
{
    static const char zeros[512];
    struct af_error err = { 0 };
    AF_CHECK_OK(af_tar_headers(name, strlen(content), 0, tar, &err), err);
    af_buf_append_str(tar, content);
    af_buf_append(tar, zeros, (size_t)af_tar_padding(strlen(content)));
}

AF_TEST(no_name_in_an_archive_leads_out_of_the_directory)
{
    static const char end[1024];
    struct af_buf tar;
    struct af_error err = { 0 };
    size_t files = 0, outside = 0;
    af_buf_init(&tar, 1 << 20);
    put_member(&tar, "../../000000001-000000001.tsm", "a");
    put_member(&tar, "/etc/../000000002-000000001.tsm", "b");
    put_member(&tar, "db/rp/1/..", "c");
    put_member(&tar, "db/rp/1/evil.sh", "d");
    put_member(&tar, "db/rp/1/000000002-000000001.tombstone", "e");
    put_member(&tar, "index/0/L0-00000001.tsl", "f");
    af_buf_append(&tar, end, sizeof end);
    AF_CHECK_OK(af_file_write_atomic(path_of("x.tar"), af_buf_slice(&tar), false, &err), err);
    AF_CHECK_OK(transfer_unpack(path_of("x.tar"), false, path_of("in/deep/er"), &nobody, &err), err);
    AF_CHECK_OK(af_dir_list(path_of("in/deep/er"), count_file, &files, &err), err);
    AF_CHECK_INT(files, 3);
    AF_CHECK_OK(af_dir_list(path_of("in"), count_file, &outside, &err), err);
    AF_CHECK_OK(af_dir_list(path_of("in/deep"), count_file, &outside, &err), err);
    AF_CHECK_INT(outside, 0);
    AF_CHECK_FAILS(transfer_unpack(path_of("x.tar"), true, path_of("in/as_gzip"), &nobody, &err), AF_ECORRUPT);
    af_buf_done(&tar);
}

/* --- files of InfluxDB ------------------------------------------------------------------------------------------------------------ */

/* A TSM file with one key of floats: values are times. */
static void write_tsm(const char *path, const char *series, const int64_t *times, size_t count)
{
    struct af_buf bytes, key;
    struct af_tsm_writer *writer;
    struct af_error err = { 0 };
    double values[64];
    af_buf_init(&bytes, 1 << 20);
    af_buf_init(&key, 1 << 10);
    for (size_t i = 0; i < count; i++)
        values[i] = (double)times[i];
    const struct af_tsm_values points = { .count = count, .time_ns = times, .values = { .type = AF_TYPE_F64, .f64 = values } };
    af_tsm_key_append(&key, af_slice_of(series), AF_SLICE_LIT("f"));
    AF_CHECK_OK(af_tsm_writer_new(append, &bytes, &writer, &err), err);
    AF_CHECK_OK(af_tsm_writer_add(writer, af_buf_slice(&key), &points, &err), err);
    AF_CHECK_OK(af_tsm_writer_finish(writer, NULL, &err), err);
    af_tsm_writer_free(writer);
    AF_CHECK_OK(af_file_write_atomic(path, af_buf_slice(&bytes), false, &err), err);
    af_buf_done(&bytes);
    af_buf_done(&key);
}

static void write_tombs(const char *path, const struct af_tsm_tomb *tombs, size_t count)
{
    struct af_buf bytes;
    struct af_error err = { 0 };
    af_buf_init(&bytes, 1 << 20);
    AF_CHECK_OK(af_tsm_tombs_print(tombs, count, &bytes, &err), err);
    AF_CHECK_OK(af_file_write_atomic(path, af_buf_slice(&bytes), false, &err), err);
    af_buf_done(&bytes);
}

AF_TEST(tombstones_hide_what_they_cover_in_their_file_only)
{
    static const int64_t times[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
    static const struct af_tsm_tomb tombs[] = {
        { AF_SLICE_LIT("m,t=a#!~#f"), 5, 6 }, { AF_SLICE_LIT("m,t=a#!~#f"), 2, 3 }, { AF_SLICE_LIT("m,t=b#!~#f"), INT64_MIN, INT64_MAX },
        { AF_SLICE_LIT("m,t=a#!~#f"), 6, 7 }, { AF_SLICE_LIT("m,t=a#!~#f"), 10, 99 },
    };
    struct af_buf text;
    struct af_error err = { 0 };
    uint64_t rows;
    af_buf_init(&text, 1 << 20);
    AF_CHECK_OK(af_dir_make(path_of("d/1"), &err), err);
    write_tsm(path_of("d/1/000000001-000000001.tsm"), "m,t=a", times, 10);
    write_tombs(path_of("d/1/000000001-000000001.tombstone"), tombs, 5);
    write_tsm(path_of("d/1/000000002-000000001.tsm"), "m,t=b", times, 2);
    AF_CHECK_OK(af_export_tsm(path_of("d"), NULL, append, &text, &rows, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&text), "m,t=a f=1 1\nm,t=a f=4 4\nm,t=a f=8 8\nm,t=a f=9 9\nm,t=b f=1 1\nm,t=b f=2 2\n");
    AF_CHECK_INT(rows, 6);
    af_buf_done(&text);
}

/* An entry of InfluxDB's log: type, length of the packed bytes, packed bytes. */
static void put_entry(struct af_buf *log, char type, const struct af_buf *content)
{
    struct af_codec_ctx codec = { 0 };
    struct af_buf packed;
    struct af_error err = { 0 };
    af_buf_init(&packed, 1 << 20);
    AF_CHECK_OK(af_compress(&codec, AF_CODEC_SNAPPY, 0, af_buf_slice(content), &packed, &err), err);
    af_buf_append_char(log, type);
    for (int shift = 24; shift >= 0; shift -= 8)
        af_buf_append_char(log, (char)(packed.len >> shift));
    af_buf_append_slice(log, af_buf_slice(&packed));
    af_buf_done(&packed);
    af_codec_ctx_done(&codec);
}

static void put_be(struct af_buf *out, uint64_t value, int bytes)
{
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        af_buf_append_char(out, (char)(value >> shift));
}

static void put_write(struct af_buf *log, const char *key, int64_t time_ns, int64_t value)
{
    struct af_buf content;
    af_buf_init(&content, 1 << 20);
    af_buf_append_char(&content, 2); /* integers */
    put_be(&content, strlen(key), 2);
    af_buf_append_str(&content, key);
    put_be(&content, 1, 4);
    put_be(&content, (uint64_t)time_ns, 8);
    put_be(&content, (uint64_t)value, 8);
    put_entry(log, 1, &content);
    af_buf_done(&content);
}

static void put_erase(struct af_buf *log, const char *key, int64_t min_ns, int64_t max_ns)
{
    struct af_buf content;
    af_buf_init(&content, 1 << 20);
    put_be(&content, (uint64_t)min_ns, 8);
    put_be(&content, (uint64_t)max_ns, 8);
    put_be(&content, strlen(key), 4);
    af_buf_append_str(&content, key);
    put_entry(log, 3, &content);
    af_buf_done(&content);
}

AF_TEST(a_delete_in_a_log_counts_for_what_the_log_said_before)
{
    static const int64_t times[] = { 1, 2, 3 };
    struct af_house house;
    struct af_transfer_counts counts;
    struct af_error err = { 0 };
    struct af_buf log;
    af_buf_init(&log, 1 << 20);
    AF_CHECK_OK(af_dir_make(path_of("i/data/db/rp/7"), &err), err);
    AF_CHECK_OK(af_dir_make(path_of("i/wal/db/rp/7"), &err), err);
    write_tsm(path_of("i/data/db/rp/7/000000003-000000002.tsm"), "m", times, 3);
    put_write(&log, "m#!~#i", 1, 10);
    put_write(&log, "m#!~#i", 2, 20);
    put_erase(&log, "m#!~#i", 2, 5);
    put_erase(&log, "m#!~#f", 1, 5); /* of the files their tombstones tell, and there are none */
    AF_CHECK_OK(af_file_write_atomic(path_of("i/wal/db/rp/7/_00009.wal"), af_buf_slice(&log), false, &err), err);
    af_buf_clear(&log);
    put_write(&log, "m#!~#i", 2, 21);
    put_write(&log, "m#!~#i", 9, 90);
    af_buf_append(&log, "\1\0\0\0\7torn", 9);
    AF_CHECK_OK(af_file_write_atomic(path_of("i/wal/db/rp/7/_00010.wal"), af_buf_slice(&log), false, &err), err);
    open_house(&house, "a");
    AF_CHECK(af_import_is(path_of("i")));
    AF_CHECK(!af_import_is(path_of("a")));
    const struct af_import_options options = { .house = &house, .dir = path_of("i") };
    AF_CHECK_OK(af_import(&options, &counts, &err), err);
    AF_CHECK_INT(counts.wal_bytes_torn, 9);
    AF_CHECK_INT(counts.shards_linked, 1);
    check_bucket(&house, "db/rp", "m f=1,i=10i 1\nm f=2,i=21i 2\nm f=3 3\nm i=90i 9\n");
    const struct af_import_options none = { .house = &house, .dir = path_of("i"), .bucket = "other" };
    AF_CHECK_FAILS(af_import(&none, &counts, &err), AF_ENOTFOUND);
    af_house_close(&house);
    af_buf_done(&log);
}

AF_TEST(a_tally_counts_a_time_of_several_files_once)
{
    static const int64_t first[] = { 1, 2, 3, 4 }, second[] = { 3, 4, 5 };
    struct tally tally;
    struct af_error err = { 0 };
    AF_CHECK_OK(af_dir_make(path_of("d"), &err), err);
    write_tsm(path_of("d/000000001-000000001.tsm"), "m,t=a", first, 4);
    write_tsm(path_of("d/000000002-000000001.tsm"), "m,t=a", second, 3);
    write_tsm(path_of("d/000000002-000000002.tsm"), "m,t=b", second, 3);
    tally_init(&tally);
    AF_CHECK_OK(tally_dir(&tally, path_of("d"), &nobody, &err), err);
    AF_CHECK_INT(tally.names.count, 1);
    AF_CHECK_SLICE(tally.fields[0].measurement, "m");
    AF_CHECK_SLICE(tally.fields[0].field, "f");
    AF_CHECK_INT(tally.fields[0].values, 8);
    AF_CHECK_INT(tally.values, 8);
    AF_CHECK_INT(tally.min_ns, 1);
    AF_CHECK_INT(tally.max_ns, 5);
    tally_done(&tally);
}

/* --- batches of points ------------------------------------------------------------------------------------------------------------- */

struct sum {
    uint64_t rows, values, text_bytes, batches;
};

static enum af_status add_up(void *ctx, const struct af_points *points, struct af_error *err)
{
    struct sum *sum = ctx;
    (void)err;
    sum->batches++;
    sum->rows += points->row_count;
    for (size_t i = 0; i < points->field_count; i++) {
        const struct af_column *column = &points->fields[i].column;
        size_t there = 0;
        for (size_t row = 0; row < points->row_count; row++) {
            if (!af_column_has(column, row))
                continue;
            there++;
            if (column->type == AF_TYPE_STRING)
                sum->text_bytes += af_column_text(column, row).len;
        }
        AF_CHECK_INT(points->row_count - there, column->null_count);
        sum->values += there;
    }
    return AF_OK;
}

AF_TEST(more_fields_rows_and_text_than_a_batch_holds)
{
    enum { KEYS = 200, VALUES = 500, LONG = 40000 };
    static int64_t times[VALUES];
    static uint64_t numbers[VALUES];
    static int32_t offsets[VALUES + 1];
    static char text[LONG * VALUES];
    struct sum sum = { 0 };
    struct transfer_points *points;
    struct af_error err = { 0 };
    for (int i = 0; i < VALUES; i++) {
        times[i] = i;
        offsets[i + 1] = LONG * (i + 1);
    }
    AF_CHECK_OK(transfer_points_new(add_up, &sum, &points, &err), err);
    for (int k = 0; k < KEYS; k++) {
        char key[64];
        (void)snprintf(key, sizeof key, "m,t=%d#!~#field %d", k % 7, k);
        const enum af_type type = k == 50 ? AF_TYPE_STRING : k % 2 != 0 ? AF_TYPE_BOOL : AF_TYPE_I64;
        struct af_tsm_values values = { .count = VALUES, .time_ns = times, .values = { .type = type, .values = numbers } };
        if (type == AF_TYPE_STRING) {
            values.values.values = NULL;
            values.values.offsets = offsets;
            values.values.bytes = text;
        }
        AF_CHECK_OK(transfer_points_add(points, af_slice_of(key), &values, 0, VALUES, &err), err);
    }
    AF_CHECK_FAILS(transfer_points_add(points, AF_SLICE_LIT("no separator"), &(struct af_tsm_values){ 0 }, 0, 1, &err), AF_ECORRUPT);
    AF_CHECK_OK(transfer_points_flush(points, &err), err);
    transfer_points_free(points);
    AF_CHECK_INT(sum.rows, KEYS * VALUES);
    AF_CHECK_INT(sum.values, KEYS * VALUES);
    AF_CHECK_INT(sum.text_bytes, (uint64_t)LONG * VALUES);
    AF_CHECK(sum.batches >= 7);
}
