/*
 * wal_fuzz.c - any bytes as segments of the log.
 *
 * The first byte chooses the forms of the segments, the rest is cut in two at a place the second byte names: two segments, or one that
 * begins with a right header. Third byte odd: records in it get right checksums where their lengths allow.
 *
 * Properties: what opens, opens again with the same records and nothing torn, and takes an append that is there afterwards; whatever the
 * damage, check finds a repair after which there is none, which opens, and which has every record that replay had seen; tickets ascend.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/limits.h"
#include "codec/compress.h"
#include "tsm/wal_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct seen {
    uint64_t last, hash, count;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static enum af_status see(void *ctx, uint64_t ticket, struct af_slice payload, struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    require(ticket > seen->last);
    seen->last = ticket;
    seen->count++;
    seen->hash = af_hash_bytes(payload.ptr, payload.len, seen->hash + ticket);
    return AF_OK;
}

static char dir[64];

static void remove_dir(void)
{
    (void)rmdir(dir);
}

/* Of this process; in memory where there is such a place, since each run syncs a few times. */
static const char *wal_dir(void)
{
    if (dir[0] == '\0') {
        const char *place = af_path_kind("/dev/shm") == AF_PATH_DIR ? "/dev/shm" : "/tmp";
        (void)snprintf(dir, sizeof dir, "%s/afluxo-wal-fuzz-%ld", place, (long)getpid());
        (void)atexit(remove_dir);
    }
    return dir;
}

/* Walk as replay does; make each checksum right. */
static void seal(uint8_t *bytes, size_t size, uint64_t ticket)
{
    for (size_t at = AF_WAL_SEGMENT_HEADER; at + AF_WAL_RECORD_HEADER <= size; ticket++) {
        uint32_t word;
        memcpy(&word, bytes + at, 4);
        word &= AF_WAL_FIRST | AF_WAL_GAP | 0xff;
        size_t len = word & AF_WAL_LENGTH;
        if (len > size - at - AF_WAL_RECORD_HEADER)
            return;
        if (bytes[at + 4] % 8 != 0) /* some stay broken */
            af_wal_put_record((char *)bytes + at, word, af_crc32(0, bytes + at + AF_WAL_RECORD_HEADER, len),
                              bytes[at + 5] % 16 == 0 ? ticket++ + bytes[at + 6] : ticket);
        at += AF_WAL_RECORD_HEADER + len;
    }
}

static void store(uint64_t number, const uint8_t *data, size_t size, uint8_t form)
{
    struct af_file *file;
    uint8_t *bytes = malloc(size + AF_WAL_SEGMENT_HEADER);
    char *path = af_wal_path(wal_dir(), number, "");
    require(bytes != NULL && path != NULL);
    memcpy(bytes, data, size);
    if (form % 4 != 0 && size >= AF_WAL_SEGMENT_HEADER)
        af_wal_put_header((char *)bytes, number);
    if (form % 2 != 0)
        seal(bytes, size, number == 1 ? 1 : 1 + (uint64_t)form / 4);
    require(af_file_open(path, AF_FILE_TRUNCATE, &file, NULL) == AF_OK);
    require(af_file_write(file, af_slice_make(bytes, size), NULL) == AF_OK);
    af_file_close(file);
    af_free(path);
    free(bytes);
}

static void clean(void)
{
    static const char *const suffixes[] = { "", ".bad", ".tmp" };
    for (uint64_t number = 1; number < 4; number++)
        for (size_t i = 0; i < 3; i++) {
            char *path = af_wal_path(wal_dir(), number, suffixes[i]);
            require(path != NULL && af_path_remove(path, NULL) == AF_OK);
            af_free(path);
        }
}

static void count_fault(void *ctx, const char *words)
{
    require(words[0] != '\0');
    ++*(size_t *)ctx;
}

/* It opened and showed `before`: so it does again, and goes on. */
static void check_open(const struct seen *before)
{
    struct seen seen = { 0 };
    struct af_wal *wal = NULL;
    struct af_wal_report report;
    uint64_t ticket;
    require(af_wal_open(wal_dir(), see, &seen, &wal, &report, NULL) == AF_OK);
    require(report.torn_bytes == 0 && seen.hash == before->hash && seen.count == before->count);
    require(af_wal_append(wal, AF_SLICE_LIT("more"), &ticket, NULL) == AF_OK && ticket > seen.last);
    af_wal_applied(wal, ticket);
    af_wal_close(wal);
    struct seen more = { 0 };
    require(af_wal_open(wal_dir(), see, &more, &wal, &report, NULL) == AF_OK);
    require(more.count == seen.count + 1 && more.last == ticket);
    af_wal_close(wal);
}

static void check_repair(const struct seen *replayed)
{
    struct seen seen = { 0 };
    struct seen again = { 0 };
    struct af_wal_report report;
    size_t faults = 0;
    require(af_wal_check(wal_dir(), true, see, &seen, count_fault, &faults, &report, NULL) == AF_OK);
    require(faults > 0 && seen.count >= replayed->count);
    faults = 0;
    require(af_wal_check(wal_dir(), false, see, &again, count_fault, &faults, &report, NULL) == AF_OK);
    require(faults == 0 && again.hash == seen.hash);
    struct af_wal *wal = NULL;
    again = (struct seen){ 0 };
    require(af_wal_open(wal_dir(), see, &again, &wal, &report, NULL) == AF_OK);
    require(again.hash == seen.hash);
    af_wal_close(wal);
    check_open(&seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = { 0 };
    struct af_wal *wal = NULL;
    if (size < 2 || size > 1 << 16)
        return 0;
    require(af_dir_make(wal_dir(), NULL) == AF_OK);
    clean();
    size_t first = (size - 2) * data[1] / 255;
    store(1, data + 2, first, data[0]);
    if (first < size - 2)
        store(2, data + 2 + first, size - 2 - first, data[0]);
    enum af_status status = af_wal_open(wal_dir(), see, &seen, &wal, NULL, NULL);
    require(status == AF_OK || status == AF_ECORRUPT);
    af_wal_close(wal);
    if (status == AF_OK)
        check_open(&seen);
    else
        check_repair(&seen);
    clean();
    return 0;
}
