/*
 * wal_read.c - the log read: replay when the engine opens, and checking and repair for fsck.
 *
 * Where records stop being whole in the last segment, two things can have happened. A crash: the last group was being written, its
 * pages reached the disk in any order, nobody was told that it is durable; it may be cut off. Or damage to what was durable. A group is
 * only begun when the one before is synced, so the mark in its first record tells: if a record with the mark is whole behind the broken
 * one, the broken one was durable, and its loss must be told.
 *
 * A segment is read through a window of 1 MiB, or of one record where that is larger.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "codec/compress.h"
#include "tsm/wal_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { WINDOW_BYTES = 1 << 20, NAME_DIGITS = 10 };
static const char MAGIC[8] = { 'A', 'F', 'W', 'A', 'L', 1, 0, 0 };

/* --- names and headers ------------------------------------------------------------------------------------------------------ */

char *af_wal_path(const char *dir, uint64_t number, const char *suffix)
{
    size_t len = strlen(dir) + strlen(suffix) + 32;
    char *path = af_alloc(len);
    if (path != NULL)
        (void)snprintf(path, len, "%s/%0*llu.wal%s", dir, NAME_DIGITS, (unsigned long long)number, suffix);
    return path;
}

static void put_u(char *dst, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        dst[i] = (char)(value >> (8 * i) & 0xff);
}

static uint64_t get_u(const char *src, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)(unsigned char)src[i] << (8 * i);
    return value;
}

void af_wal_put_header(char *dst, uint64_t number)
{
    memcpy(dst, MAGIC, sizeof MAGIC);
    put_u(dst + sizeof MAGIC, number, 8);
}

void af_wal_put_record(char *dst, uint32_t word, uint32_t crc, uint64_t ticket)
{
    char sealed[12];
    put_u(sealed, word, 4);
    put_u(sealed + 4, ticket, 8);
    put_u(dst, word, 4);
    put_u(dst + 4, af_crc32(crc, sealed, sizeof sealed), 4);
    put_u(dst + 8, ticket, 8);
}

/* --- the list of segments ----------------------------------------------------------------------------------------------------- */

enum af_status af_wal_segments_reserve(struct af_wal_segments *segments, struct af_error *err)
{
    if (segments->count == segments->cap) {
        size_t cap = segments->cap == 0 ? 16 : segments->cap * 2;
        struct af_wal_segment *list = af_realloc(segments->list, cap * sizeof *list);
        if (list == NULL)
            return af_fail_nomem(err, "the list of the log's segments");
        segments->list = list;
        segments->cap = cap;
    }
    return AF_OK;
}

void af_wal_segments_done(struct af_wal_segments *segments)
{
    af_free(segments->list);
    *segments = (struct af_wal_segments){ 0 };
}

static enum af_status add_named(void *ctx, const char *path, struct af_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    uint64_t number = 0;
    size_t digits = 0;
    for (; name[digits] >= '0' && name[digits] <= '9' && digits < 19; digits++)
        number = number * 10 + (uint64_t)(name[digits] - '0');
    if (digits < NAME_DIGITS || strcmp(name + digits, ".wal") != 0)
        return AF_OK; /* not ours: a copy fsck keeps, an editor's leavings */
    struct af_wal_segments *segments = ctx;
    AF_TRY(af_wal_segments_reserve(segments, err));
    segments->list[segments->count++] = (struct af_wal_segment){ .number = number };
    return AF_OK;
}

static int by_number(const void *a, const void *b)
{
    const struct af_wal_segment *x = a;
    const struct af_wal_segment *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

enum af_status af_wal_segments_read(const char *dir, struct af_wal_segments *out, struct af_error *err)
{
    AF_TRY(af_dir_list(dir, add_named, out, err));
    if (out->count > 1)
        qsort(out->list, out->count, sizeof *out->list, by_number);
    return AF_OK;
}

/* --- one segment --------------------------------------------------------------------------------------------------------------- */

struct segment {
    struct af_reader *file;
    struct af_buf window;
    uint64_t window_at;
    uint64_t number;
};
struct record {
    uint64_t at, end;
    uint64_t ticket;
    uint32_t word;
    struct af_slice payload; /* valid until the next read */
};

static enum af_status segment_open(const char *dir, uint64_t number, struct segment *out, struct af_error *err)
{
    char *path = af_wal_path(dir, number, "");
    if (path == NULL)
        return af_fail_nomem(err, "a segment of the log");
    enum af_status status = af_file_reader_open(path, &out->file, err);
    af_free(path);
    if (status == AF_OK) {
        af_buf_init(&out->window, AF_TSM_WAL_RECORD_BYTES_MAX + WINDOW_BYTES);
        out->window_at = 0;
        out->number = number;
    }
    return status;
}

static void segment_close(struct segment *segment)
{
    af_buf_done(&segment->window);
    af_reader_close(segment->file);
}

/* `len` bytes at `at`, which are in the file. */
static enum af_status bytes_at(struct segment *segment, uint64_t at, size_t len, const char **out, struct af_error *err)
{
    struct af_buf *window = &segment->window;
    if (at < segment->window_at || at + len > segment->window_at + window->len) {
        uint64_t left = segment->file->size - at;
        size_t want = len > WINDOW_BYTES ? len : left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        af_buf_clear(window);
        if (af_buf_reserve(window, want) == NULL)
            return af_buf_check(window, "a record of the log", err);
        AF_TRY(af_reader_read(segment->file, at, window->ptr, want, err));
        window->len = want;
        segment->window_at = at;
    }
    *out = window->ptr + (at - segment->window_at);
    return AF_OK;
}

/* The record at `at`; out->end 0: there is no whole one. */
static enum af_status record_at(struct segment *segment, uint64_t at, struct record *out, struct af_error *err)
{
    const char *bytes;
    *out = (struct record){ .at = at };
    if (segment->file->size - at < AF_WAL_RECORD_HEADER)
        return AF_OK;
    AF_TRY(bytes_at(segment, at, AF_WAL_RECORD_HEADER, &bytes, err));
    uint32_t word = (uint32_t)get_u(bytes, 4);
    uint32_t length = word & AF_WAL_LENGTH;
    if (length > AF_TSM_WAL_RECORD_BYTES_MAX || length > segment->file->size - at - AF_WAL_RECORD_HEADER)
        return AF_OK;
    AF_TRY(bytes_at(segment, at, AF_WAL_RECORD_HEADER + (size_t)length, &bytes, err));
    char again[AF_WAL_RECORD_HEADER];
    uint64_t ticket = get_u(bytes + 8, 8);
    af_wal_put_record(again, word, af_crc32(0, bytes + AF_WAL_RECORD_HEADER, length), ticket);
    if (memcmp(again, bytes, sizeof again) != 0 || ticket == 0)
        return AF_OK;
    out->word = word;
    out->ticket = ticket;
    out->payload = af_slice_make(bytes + AF_WAL_RECORD_HEADER, length);
    out->end = at + AF_WAL_RECORD_HEADER + length;
    return AF_OK;
}

/* The first whole record at `from` or behind with a ticket that can stand there; out->end 0: none. A crc is only made where the ticket
 * is likely: the search reads each byte about once. */
static enum af_status find_record(struct segment *segment, uint64_t from, uint64_t next_ticket, struct record *out,
                                  struct af_error *err)
{
    const uint64_t size = segment->file->size;
    *out = (struct record){ 0 };
    for (uint64_t at = from; size >= AF_WAL_RECORD_HEADER && at <= size - AF_WAL_RECORD_HEADER; at++) {
        const char *bytes;
        AF_TRY(bytes_at(segment, at, AF_WAL_RECORD_HEADER, &bytes, err));
        uint64_t ticket = get_u(bytes + 8, 8);
        bool is_likely = next_ticket == 0 ? ticket < UINT64_C(1) << 40
                                          : ticket >= next_ticket && ticket - next_ticket <= size / AF_WAL_RECORD_HEADER;
        if (!is_likely)
            continue;
        AF_TRY(record_at(segment, at, out, err));
        if (out->end != 0)
            return AF_OK;
    }
    return AF_OK;
}

/* Is there a whole record behind `from` that begins a group? Then what is before it was durable. */
static enum af_status find_group(struct segment *segment, uint64_t from, uint64_t next_ticket, struct record *out,
                                 struct af_error *err)
{
    do {
        AF_TRY(find_record(segment, from, next_ticket, out, err));
        from = out->end;
    } while (out->end != 0 && (out->word & AF_WAL_FIRST) == 0);
    return AF_OK;
}

static enum af_status header_is_whole(struct segment *segment, bool *out, struct af_error *err)
{
    char want[AF_WAL_SEGMENT_HEADER];
    const char *bytes;
    *out = false;
    if (segment->file->size < sizeof want)
        return AF_OK;
    AF_TRY(bytes_at(segment, 0, sizeof want, &bytes, err));
    af_wal_put_header(want, segment->number);
    *out = memcmp(want, bytes, sizeof want) == 0;
    return AF_OK;
}

static bool ticket_fits(uint64_t next_ticket, const struct record *record)
{
    return next_ticket == 0 || record->ticket == next_ticket ||
           (record->ticket > next_ticket && (record->word & AF_WAL_GAP) != 0);
}

/* --- replay ------------------------------------------------------------------------------------------------------------------- */

struct replay {
    const char *dir;
    af_wal_replay call;
    void *ctx;
    struct af_wal_replayed *out;
    struct af_error *err;
};

static enum af_status corrupt(const struct replay *replay, const struct segment *segment, uint64_t at, const char *what)
{
    size_t len = strlen(replay->dir);
    if (len > 4 && strcmp(replay->dir + len - 4, "/wal") == 0)
        len -= 4;
    return af_fail(replay->err, AF_ECORRUPT, "%s, byte %llu: %s; this is damage to the disk or the file, not a crash. "
                   "`afluxo tsm verify %.*s --repair` keeps every whole record and says what is lost", segment->file->name,
                   (unsigned long long)at, what, (int)len, replay->dir);
}

static enum af_status misfit(const struct replay *replay, const struct segment *segment, const struct record *record)
{
    char what[160];
    (void)snprintf(what, sizeof what, record->ticket > replay->out->next_ticket
                   ? "write %llu should stand here, but it is %llu: a part of the log before it is missing"
                   : "write %llu should stand here, but it is %llu: an old segment has been put back",
                   (unsigned long long)replay->out->next_ticket, (unsigned long long)record->ticket);
    return corrupt(replay, segment, record->at, what);
}

static enum af_status replay_record(const struct replay *replay, const struct record *record)
{
    struct af_wal_replayed *out = replay->out;
    if ((record->word & AF_WAL_FIRST) != 0)
        out->group_at = record->at;
    out->next_ticket = record->ticket + 1;
    out->end = record->end;
    out->report.records++;
    if (replay->call == NULL || record->payload.len == 0)
        return AF_OK;
    return replay->call(replay->ctx, record->ticket, record->payload, replay->err);
}

/* No whole record at `at`, where one should be. */
static enum af_status judge_tail(const struct replay *replay, struct segment *segment, uint64_t at, bool is_last)
{
    struct record behind;
    if (!is_last)
        return corrupt(replay, segment, at, "the record is broken, and newer segments follow");
    AF_TRY(find_group(segment, at + 1, replay->out->next_ticket, &behind, replay->err));
    if (behind.end != 0)
        return corrupt(replay, segment, at, "the record is broken, and whole ones follow");
    replay->out->report.torn_bytes = segment->file->size - at;
    return AF_OK;
}

static enum af_status replay_segment(const struct replay *replay, struct segment *segment, bool is_last)
{
    struct af_wal_replayed *out = replay->out;
    bool is_whole;
    out->end = out->group_at = 0;
    AF_TRY(header_is_whole(segment, &is_whole, replay->err));
    if (!is_whole && is_last && segment->file->size <= AF_WAL_SEGMENT_HEADER) {
        out->report.torn_bytes = segment->file->size; /* the header is synced before any record is written */
        return AF_OK;
    }
    if (!is_whole)
        return corrupt(replay, segment, 0, "it does not begin as a segment of this number");
    out->end = AF_WAL_SEGMENT_HEADER;
    while (out->end < segment->file->size) {
        struct record record;
        AF_TRY(record_at(segment, out->end, &record, replay->err));
        if (record.end == 0)
            return judge_tail(replay, segment, out->end, is_last);
        if (!ticket_fits(out->next_ticket, &record))
            return misfit(replay, segment, &record);
        AF_TRY(replay_record(replay, &record));
    }
    return AF_OK;
}

enum af_status af_wal_read(const char *dir, struct af_wal_segments *segments, af_wal_replay call, void *ctx,
                           struct af_wal_replayed *out, struct af_error *err)
{
    struct replay replay = { .dir = dir, .call = call, .ctx = ctx, .out = out, .err = err };
    for (size_t i = 0; i < segments->count; i++) {
        struct segment segment;
        AF_TRY(segment_open(dir, segments->list[i].number, &segment, err));
        segments->list[i].bytes = segment.file->size;
        enum af_status status = replay_segment(&replay, &segment, i + 1 == segments->count);
        segment_close(&segment);
        if (status != AF_OK)
            return status;
    }
    return AF_OK;
}

/* --- check and repair --------------------------------------------------------------------------------------------------------- */

struct check {
    const char *dir;
    af_wal_replay call;
    void *ctx;
    void (*fault)(void *ctx, const char *words);
    void *fault_ctx;
    struct af_error *err;
    struct af_wal_report report;
    uint64_t next_ticket;
    bool is_damaged;         /* the segment at hand */
    struct af_file *rewrite; /* the second pass writes what is whole, and neither replays nor tells */
};

static void tell(struct check *check, const char *name, uint64_t from, uint64_t to, const char *what)
{
    char words[512];
    check->is_damaged = true;
    if (check->rewrite != NULL || check->fault == NULL)
        return;
    (void)snprintf(words, sizeof words, "%.300s, bytes %llu to %llu: %s", name, (unsigned long long)from, (unsigned long long)to, what);
    check->fault(check->fault_ctx, words);
}

static enum af_status keep_record(struct check *check, const struct segment *segment, const struct record *record)
{
    char what[160];
    uint32_t word = record->word;
    if (check->next_ticket != 0 && record->ticket < check->next_ticket) {
        tell(check, segment->file->name, record->at, record->end, "a write that the log has had before; it is left out");
        return AF_OK;
    }
    if (!ticket_fits(check->next_ticket, record)) {
        (void)snprintf(what, sizeof what, "writes %llu to %llu are missing before it", (unsigned long long)check->next_ticket,
                       (unsigned long long)record->ticket - 1);
        tell(check, segment->file->name, record->at, record->end, what);
        word |= AF_WAL_GAP;
    }
    check->next_ticket = record->ticket + 1;
    if (check->rewrite != NULL) {
        char head[AF_WAL_RECORD_HEADER];
        af_wal_put_record(head, word, af_crc32(0, record->payload.ptr, record->payload.len), record->ticket);
        AF_TRY(af_file_write(check->rewrite, af_slice_make(head, sizeof head), check->err));
        return af_file_write(check->rewrite, record->payload, check->err);
    }
    check->report.records++;
    if (check->call == NULL || record->payload.len == 0)
        return AF_OK;
    return check->call(check->ctx, record->ticket, record->payload, check->err);
}

/* Where there is no whole record at `at`: the next one behind; out->end 0: none counts. */
static enum af_status pass_over(struct check *check, struct segment *segment, uint64_t at, bool is_last, struct record *out)
{
    if (is_last) {
        AF_TRY(find_group(segment, at + 1, check->next_ticket, out, check->err));
        if (out->end == 0) {
            if (check->rewrite == NULL)
                check->report.torn_bytes += segment->file->size - at;
            return AF_OK;
        }
    }
    AF_TRY(find_record(segment, at + 1, check->next_ticket, out, check->err));
    tell(check, segment->file->name, at, out->end != 0 ? out->at : segment->file->size, "no whole record is there");
    return AF_OK;
}

static enum af_status check_segment(struct check *check, struct segment *segment, bool is_last)
{
    const uint64_t size = segment->file->size;
    bool is_whole;
    AF_TRY(header_is_whole(segment, &is_whole, check->err));
    if (!is_whole && is_last && size <= AF_WAL_SEGMENT_HEADER) {
        check->report.torn_bytes += check->rewrite == NULL ? size : 0;
        return AF_OK;
    }
    if (!is_whole)
        tell(check, segment->file->name, 0, AF_WAL_SEGMENT_HEADER, "it does not begin as a segment of this number");
    for (uint64_t at = AF_WAL_SEGMENT_HEADER; at < size;) {
        struct record record;
        AF_TRY(record_at(segment, at, &record, check->err));
        if (record.end == 0)
            AF_TRY(pass_over(check, segment, at, is_last, &record));
        if (record.end == 0)
            return AF_OK;
        AF_TRY(keep_record(check, segment, &record));
        at = record.end;
    }
    return AF_OK;
}

static enum af_status copy_whole(const struct segment *segment, struct af_file *to, struct af_error *err)
{
    enum { STEP = 64 << 10 };
    char *bytes = af_alloc(STEP);
    enum af_status status = bytes != NULL ? AF_OK : af_fail_nomem(err, "a copy of a segment");
    for (uint64_t at = 0; at < segment->file->size && status == AF_OK; at += STEP) {
        uint64_t left = segment->file->size - at;
        size_t len = left < STEP ? (size_t)left : STEP;
        status = af_reader_read(segment->file, at, bytes, len, err);
        if (status == AF_OK)
            status = af_file_write(to, af_slice_make(bytes, len), err);
    }
    af_free(bytes);
    return status;
}

/* What is whole, into `check->rewrite`. */
static enum af_status write_whole(struct check *check, struct segment *segment, bool is_last)
{
    char header[AF_WAL_SEGMENT_HEADER];
    af_wal_put_header(header, segment->number);
    AF_TRY(af_file_write(check->rewrite, af_slice_make(header, sizeof header), check->err));
    AF_TRY(check_segment(check, segment, is_last));
    return af_file_sync(check->rewrite, check->err);
}

/* The copy first, then the new segment in the place of the old one: a crash leaves one of them under the right name. */
static enum af_status repair_segment(struct check *check, struct segment *segment, bool is_last)
{
    char *path = af_wal_path(check->dir, segment->number, "");
    char *bad = af_wal_path(check->dir, segment->number, ".bad");
    char *tmp = af_wal_path(check->dir, segment->number, ".tmp");
    struct af_file *copy = NULL;
    enum af_status status = path != NULL && bad != NULL && tmp != NULL ? AF_OK : af_fail_nomem(check->err, "the repair of the log");
    if (status == AF_OK)
        status = af_file_open(bad, AF_FILE_TRUNCATE, &copy, check->err);
    if (status == AF_OK)
        status = copy_whole(segment, copy, check->err);
    if (status == AF_OK)
        status = af_file_sync(copy, check->err);
    if (status == AF_OK)
        status = af_file_open(tmp, AF_FILE_TRUNCATE, &check->rewrite, check->err);
    if (status == AF_OK)
        status = write_whole(check, segment, is_last);
    if (status == AF_OK)
        status = af_path_rename(tmp, path, check->err);
    af_file_close(copy);
    af_file_close(check->rewrite);
    check->rewrite = NULL;
    af_free(path);
    af_free(bad);
    af_free(tmp);
    return status;
}

static enum af_status check_one(struct check *check, uint64_t number, bool is_last, bool repair)
{
    struct segment segment;
    const uint64_t next_ticket = check->next_ticket;
    AF_TRY(segment_open(check->dir, number, &segment, check->err));
    check->is_damaged = false;
    enum af_status status = check_segment(check, &segment, is_last);
    if (status == AF_OK && check->is_damaged && repair) {
        check->next_ticket = next_ticket; /* once more over the same records */
        status = repair_segment(check, &segment, is_last);
    }
    segment_close(&segment);
    return status;
}

enum af_status af_wal_check(const char *dir, bool repair, af_wal_replay replay, void *replay_ctx,
                            void (*fault)(void *ctx, const char *words), void *fault_ctx, struct af_wal_report *out_report,
                            struct af_error *err)
{
    struct check check = { .dir = dir, .call = replay, .ctx = replay_ctx, .fault = fault, .fault_ctx = fault_ctx, .err = err };
    struct af_wal_segments segments = { 0 };
    enum af_status status = af_path_kind(dir) == AF_PATH_DIR ? af_wal_segments_read(dir, &segments, err) : AF_OK;
    for (size_t i = 0; i < segments.count && status == AF_OK; i++)
        status = check_one(&check, segments.list[i].number, i + 1 == segments.count, repair);
    af_wal_segments_done(&segments);
    if (status == AF_OK && out_report != NULL)
        *out_report = check.report;
    return status;
}
