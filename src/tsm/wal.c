/*
 * wal.c - the log: appending with group commit, turns, segments; recovery is in wal_read.c.
 *
 *     append: payload --> queue --> [leader: tickets, one write, one fdatasync] --> each caller applies in order of ticket
 *
 * One appender at a time is the leader. It takes all that is queued, gives out tickets, writes and syncs without the lock, and wakes
 * the others; who queued meanwhile is the next group. The leader (or, while paused, who rotates) owns `file`.
 *
 * A failed write is cut off again and its tickets are given out anew: nothing of the group is in the log. Where cutting fails, and after
 * any failed fsync, the log is sick for good: the kernel may have dropped the dirty pages and call them clean, so a second fsync would
 * answer for nothing. Only reading the log again, in a new process, says what is there.
 *
 * Invariants: applied < next_ticket; tickets (applied, next_ticket) are durable and being applied; nothing is queued while paused
 * longer than it takes the leader to finish.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "codec/compress.h"
#include "tsm/wal_int.h"
#include <assert.h>
#include <stdio.h>

enum {
    STAGE_BYTES = 256 << 10, /* small records are gathered in it */
    DIRECT_BYTES = 64 << 10, /* larger ones are written from where they are */
    PROBE_BYTES = 64 << 10,
    TURNS = 64,
};

/* One append, on its caller's stack. */
struct node {
    struct node *next;
    struct af_slice payload;
    uint32_t crc;
    uint64_t ticket;
    bool is_done;
    enum af_status status;
    struct af_error *err;
    struct af_cond cond;
};

struct af_wal {
    char *dir;
    struct af_mutex lock;
    struct af_cond resumed; /* appenders wait while it is paused */
    struct af_cond idle;    /* the pauser waits until all is applied */
    struct af_cond turns[TURNS]; /* by ticket: only who is next is woken */
    /* under lock */
    struct node *head, **tail;
    bool is_leading, is_paused, is_sick;
    uint64_t next_ticket, applied;
    uint64_t syncs;
    struct af_wal_segments segments;
    uint64_t bytes;
    char why[400];
    /* the leader's */
    struct af_file *file;
    char *stage;
    size_t staged;
    char *torn_file;
};

/* --- segments -------------------------------------------------------------------------------------------------------------- */

/* The first failure counts. Returns AF_EIO, whatever the system called it: a disk that is full at fsync is no better. */
static enum af_status sicken(struct af_wal *wal, const char *what, const struct af_error *cause, struct af_error *err)
{
    af_mutex_lock(&wal->lock);
    if (!wal->is_sick)
        (void)snprintf(wal->why, sizeof wal->why, "%s (%.160s); it is not tried again, for after a failure the system may have dropped "
                       "what was written and still report success. Check the disk, then open the data directory again", what,
                       cause->message);
    wal->is_sick = true;
    af_mutex_unlock(&wal->lock);
    return af_fail(err, AF_EIO, "nothing can be written any more: %s", wal->why);
}

static enum af_status sync_file(struct af_wal *wal, struct af_file *file, struct af_error *err)
{
    struct af_error cause;
    if (af_file_sync(file, &cause) == AF_OK)
        return AF_OK;
    return sicken(wal, "the log could not be made durable", &cause, err);
}

static enum af_status begin_file(struct af_wal *wal, const char *path, uint64_t number, struct af_file **out, struct af_error *err)
{
    char header[AF_WAL_SEGMENT_HEADER];
    struct af_error cause;
    struct af_file *file;
    AF_TRY(af_file_open(path, AF_FILE_TRUNCATE, &file, err));
    af_wal_put_header(header, number);
    enum af_status status = af_file_write(file, af_slice_make(header, sizeof header), err);
    if (status == AF_OK) /* before the first record: a segment with records has a whole header */
        status = sync_file(wal, file, err);
    if (status == AF_OK && af_dir_sync(wal->dir, &cause) != AF_OK)
        status = sicken(wal, "a new segment of the log could not be made durable", &cause, err);
    if (status == AF_OK) {
        *out = file;
        return AF_OK;
    }
    af_file_close(file);
    enum af_status removed = af_path_remove(path, NULL);
    (void)removed; /* if it stays, the next try begins it anew, and replay passes over a last segment without a header */
    return status;
}

/* A new segment becomes the one that is written. Leader or pauser only. */
static enum af_status begin_segment(struct af_wal *wal, struct af_error *err)
{
    struct af_wal_segments *segments = &wal->segments;
    af_mutex_lock(&wal->lock);
    uint64_t number = segments->count > 0 ? segments->list[segments->count - 1].number + 1 : 1;
    enum af_status status = af_wal_segments_reserve(segments, err);
    af_mutex_unlock(&wal->lock);
    char *path = af_wal_path(wal->dir, number, "");
    struct af_file *file = NULL;
    if (status == AF_OK && path == NULL)
        status = af_fail_nomem(err, "a segment of the log");
    if (status == AF_OK)
        status = begin_file(wal, path, number, &file, err);
    af_free(path);
    if (status != AF_OK)
        return status;
    af_mutex_lock(&wal->lock);
    segments->list[segments->count++] = (struct af_wal_segment){ number, AF_WAL_SEGMENT_HEADER };
    wal->bytes += AF_WAL_SEGMENT_HEADER;
    af_mutex_unlock(&wal->lock);
    af_file_close(wal->file);
    wal->file = file;
    return AF_OK;
}

/* --- open and close -------------------------------------------------------------------------------------------------------- */

static void wal_free(struct af_wal *wal)
{
    af_file_close(wal->file);
    af_wal_segments_done(&wal->segments);
    for (size_t i = 0; i < TURNS; i++)
        af_cond_done(&wal->turns[i]);
    af_cond_done(&wal->resumed);
    af_cond_done(&wal->idle);
    af_mutex_done(&wal->lock);
    af_free(wal->torn_file);
    af_free(wal->stage);
    af_free(wal->dir);
    af_free(wal);
}

static struct af_wal *wal_new(const char *dir)
{
    struct af_wal *wal = af_alloc_zero(1, sizeof *wal);
    if (wal == NULL)
        return NULL;
    size_t len = strlen(dir) + 1;
    wal->tail = &wal->head;
    af_mutex_init(&wal->lock);
    af_cond_init(&wal->resumed);
    af_cond_init(&wal->idle);
    for (size_t i = 0; i < TURNS; i++)
        af_cond_init(&wal->turns[i]);
    wal->dir = af_alloc(len);
    wal->stage = af_alloc(STAGE_BYTES);
    if (wal->dir == NULL || wal->stage == NULL) {
        wal_free(wal);
        return NULL;
    }
    memcpy(wal->dir, dir, len);
    return wal;
}

/* The last segment goes on after its last whole record. Its last group may never have reached the disk: it is written and synced anew
 * before anything is built on it. */
static enum af_status go_on(struct af_wal *wal, const struct af_wal_replayed *replayed, struct af_error *err)
{
    struct af_wal_segment *last = &wal->segments.list[wal->segments.count - 1];
    char *path = af_wal_path(wal->dir, last->number, "");
    if (path == NULL)
        return af_fail_nomem(err, "the log");
    enum af_status status;
    if (replayed->end == 0) {
        status = begin_file(wal, path, last->number, &wal->file, err);
        last->bytes = AF_WAL_SEGMENT_HEADER;
    } else {
        status = af_file_open(path, AF_FILE_APPEND, &wal->file, err);
        if (status == AF_OK)
            status = af_file_truncate(wal->file, replayed->end, err);
        if (status == AF_OK)
            status = af_file_rewrite(wal->file, replayed->group_at, err);
        if (status == AF_OK)
            status = af_file_sync(wal->file, err);
        if (status == AF_OK)
            status = af_dir_sync(wal->dir, err);
        last->bytes = replayed->end;
    }
    wal->torn_file = path;
    return status;
}

static enum af_status recover(struct af_wal *wal, af_wal_replay replay, void *ctx, struct af_wal_report *out_report,
                              struct af_error *err)
{
    struct af_wal_replayed replayed = { 0 };
    AF_TRY(af_dir_make(wal->dir, err));
    AF_TRY(af_wal_segments_read(wal->dir, &wal->segments, err));
    AF_TRY(af_wal_read(wal->dir, &wal->segments, replay, ctx, &replayed, err));
    wal->next_ticket = replayed.next_ticket != 0 ? replayed.next_ticket : 1;
    wal->applied = wal->next_ticket - 1;
    if (wal->segments.count == 0)
        AF_TRY(begin_segment(wal, err));
    else
        AF_TRY(go_on(wal, &replayed, err));
    wal->bytes = 0;
    for (size_t i = 0; i < wal->segments.count; i++)
        wal->bytes += wal->segments.list[i].bytes;
    if (out_report != NULL) {
        *out_report = replayed.report;
        out_report->torn_file = replayed.report.torn_bytes > 0 ? wal->torn_file : NULL;
    }
    return AF_OK;
}

enum af_status af_wal_open(const char *dir, af_wal_replay replay, void *ctx, struct af_wal **out,
                           struct af_wal_report *out_report, struct af_error *err)
{
    struct af_wal *wal = wal_new(dir);
    if (wal == NULL)
        return af_fail_nomem(err, "the log");
    enum af_status status = recover(wal, replay, ctx, out_report, err);
    if (status != AF_OK) {
        wal_free(wal);
        return status;
    }
    *out = wal;
    return AF_OK;
}

void af_wal_close(struct af_wal *wal)
{
    if (wal == NULL)
        return;
    assert(wal->head == NULL && !wal->is_leading);
    wal_free(wal);
}

/* --- group commit ---------------------------------------------------------------------------------------------------------- */

static enum af_status write_staged(struct af_wal *wal, struct af_error *err)
{
    size_t len = wal->staged;
    wal->staged = 0;
    return len > 0 ? af_file_write(wal->file, af_slice_make(wal->stage, len), err) : AF_OK;
}

static enum af_status write_record(struct af_wal *wal, const struct node *node, uint32_t flags, uint64_t ticket, struct af_error *err)
{
    size_t copied = AF_WAL_RECORD_HEADER + (node->payload.len <= DIRECT_BYTES ? node->payload.len : 0);
    if (copied > STAGE_BYTES - wal->staged)
        AF_TRY(write_staged(wal, err));
    char *at = wal->stage + wal->staged;
    af_wal_put_record(at, (uint32_t)node->payload.len | flags, node->crc, ticket);
    wal->staged += copied;
    if (copied > AF_WAL_RECORD_HEADER)
        memcpy(at + AF_WAL_RECORD_HEADER, node->payload.ptr, node->payload.len);
    if (node->payload.len <= DIRECT_BYTES)
        return AF_OK;
    AF_TRY(write_staged(wal, err));
    return af_file_write(wal->file, node->payload, err);
}

static enum af_status write_records(struct af_wal *wal, const struct node *group, uint64_t first, struct af_error *err)
{
    uint64_t ticket = first;
    wal->staged = 0;
    for (const struct node *node = group; node != NULL; node = node->next, ticket++)
        AF_TRY(write_record(wal, node, node == group ? AF_WAL_FIRST : 0, ticket, err));
    return write_staged(wal, err);
}

static bool has_probe(const struct node *group)
{
    for (; group != NULL; group = group->next)
        if (group->payload.len == 0)
            return true;
    return false;
}

/* A probe asks whether there is room for points; an empty record would fit in the last page of a full disk. So room for a small batch is
 * taken and given back. */
static enum af_status try_room(struct af_wal *wal, struct af_error *err)
{
    memset(wal->stage, 0, PROBE_BYTES);
    AF_TRY(af_file_write(wal->file, af_slice_make(wal->stage, PROBE_BYTES), err));
    return af_file_truncate(wal->file, af_file_size(wal->file) - PROBE_BYTES, err);
}

/* All of it durable, or nothing of it in the log. */
static enum af_status write_group(struct af_wal *wal, const struct node *group, uint64_t first, struct af_error *err)
{
    if (wal->is_sick) /* only a leader makes it so: no lock needed here */
        return af_fail(err, AF_EIO, "nothing can be written any more: %s", wal->why);
    if (af_file_size(wal->file) >= AF_TSM_WAL_SEGMENT_BYTES)
        AF_TRY(begin_segment(wal, err));
    const uint64_t start = af_file_size(wal->file);
    struct af_error cause;
    enum af_status status = has_probe(group) ? try_room(wal, err) : AF_OK;
    if (status == AF_OK)
        status = write_records(wal, group, first, err);
    if (status == AF_OK)
        return sync_file(wal, wal->file, err);
    wal->staged = 0;
    if (af_file_truncate(wal->file, start, &cause) != AF_OK)
        return sicken(wal, "a write to the log failed half way and could not be cut off", &cause, err);
    return status;
}

/* The group's callers hear how it went. */
static void tell(struct node *group, uint64_t first, enum af_status status, const struct af_error *err)
{
    for (struct node *node = group; node != NULL;) {
        struct node *next = node->next; /* the caller may be gone as soon as the lock is */
        node->status = status;
        node->ticket = first++;
        if (status != AF_OK && node->err != NULL)
            *node->err = *err;
        node->is_done = true;
        af_cond_signal(&node->cond);
        node = next;
    }
}

/* Everything queued goes into the log. Called and returns with the lock. */
static void lead_locked(struct af_wal *wal)
{
    struct node *group = wal->head;
    const uint64_t first = wal->next_ticket;
    struct af_error err;
    wal->head = NULL;
    wal->tail = &wal->head;
    wal->is_leading = true;
    af_mutex_unlock(&wal->lock);

    enum af_status status = write_group(wal, group, first, &err);

    af_mutex_lock(&wal->lock);
    if (status == AF_OK) {
        struct af_wal_segment *last = &wal->segments.list[wal->segments.count - 1];
        uint64_t size = af_file_size(wal->file);
        for (const struct node *node = group; node != NULL; node = node->next)
            wal->next_ticket++;
        wal->bytes += size - last->bytes;
        last->bytes = size;
        wal->syncs++;
    }
    tell(group, first, status, &err);
    wal->is_leading = false;
    if (wal->head != NULL)
        af_cond_signal(&wal->head->cond);
    else if (wal->is_paused)
        af_cond_broadcast(&wal->idle);
}

static enum af_status append_locked(struct af_wal *wal, struct node *node, struct af_error *err)
{
    while (wal->is_paused)
        af_cond_wait(&wal->resumed, &wal->lock);
    if (wal->is_sick)
        return af_fail(err, AF_EIO, "nothing can be written any more: %s", wal->why);
    *wal->tail = node;
    wal->tail = &node->next;
    while (!node->is_done && wal->is_leading)
        af_cond_wait(&node->cond, &wal->lock);
    if (!node->is_done)
        lead_locked(wal);
    return node->status;
}

enum af_status af_wal_append(struct af_wal *wal, struct af_slice payload, uint64_t *out_ticket, struct af_error *err)
{
    if (payload.len > AF_TSM_WAL_RECORD_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "a record of %zu bytes is more than the log takes at once (%d); write fewer points at once",
                       payload.len, AF_TSM_WAL_RECORD_BYTES_MAX);
    struct node node = { .payload = payload, .crc = af_crc32(0, payload.ptr, payload.len), .err = err };
    af_cond_init(&node.cond);
    af_mutex_lock(&wal->lock);
    enum af_status status = append_locked(wal, &node, err);
    af_mutex_unlock(&wal->lock);
    af_cond_done(&node.cond);
    if (status == AF_OK)
        *out_ticket = node.ticket;
    return status;
}

/* --- turns ------------------------------------------------------------------------------------------------------------------- */

void af_wal_wait_turn(struct af_wal *wal, uint64_t ticket)
{
    af_mutex_lock(&wal->lock);
    assert(ticket > wal->applied && ticket < wal->next_ticket);
    while (wal->applied + 1 < ticket)
        af_cond_wait(&wal->turns[ticket % TURNS], &wal->lock);
    af_mutex_unlock(&wal->lock);
}

void af_wal_applied(struct af_wal *wal, uint64_t ticket)
{
    af_mutex_lock(&wal->lock);
    assert(ticket == wal->applied + 1);
    wal->applied = ticket;
    af_cond_broadcast(&wal->turns[(ticket + 1) % TURNS]);
    if (wal->is_paused)
        af_cond_broadcast(&wal->idle);
    af_mutex_unlock(&wal->lock);
}

void af_wal_pause(struct af_wal *wal)
{
    af_mutex_lock(&wal->lock);
    while (wal->is_paused) /* one at a time */
        af_cond_wait(&wal->resumed, &wal->lock);
    wal->is_paused = true;
    while (wal->head != NULL || wal->is_leading || wal->applied + 1 < wal->next_ticket)
        af_cond_wait(&wal->idle, &wal->lock);
    af_mutex_unlock(&wal->lock);
}

void af_wal_resume(struct af_wal *wal)
{
    af_mutex_lock(&wal->lock);
    assert(wal->is_paused);
    wal->is_paused = false;
    af_cond_broadcast(&wal->resumed);
    af_mutex_unlock(&wal->lock);
}

enum af_status af_wal_rotate(struct af_wal *wal, uint64_t *out_first, struct af_error *err)
{
    assert(wal->is_paused);
    if (wal->is_sick)
        return af_fail(err, AF_EIO, "nothing can be written any more: %s", wal->why);
    if (af_file_size(wal->file) > AF_WAL_SEGMENT_HEADER)
        AF_TRY(begin_segment(wal, err));
    *out_first = wal->segments.list[wal->segments.count - 1].number;
    return AF_OK;
}

/* --- emptying ---------------------------------------------------------------------------------------------------------------- */

/* The oldest segment if it is below `segment` and not the one that is written. */
static bool oldest_before(struct af_wal *wal, uint64_t segment, uint64_t *out_number)
{
    af_mutex_lock(&wal->lock);
    const struct af_wal_segments *segments = &wal->segments;
    bool has = segments->count > 1 && segments->list[0].number < segment;
    if (has)
        *out_number = segments->list[0].number;
    af_mutex_unlock(&wal->lock);
    return has;
}

static void forget(struct af_wal *wal, uint64_t number)
{
    af_mutex_lock(&wal->lock);
    struct af_wal_segments *segments = &wal->segments;
    if (segments->list[0].number == number) {
        wal->bytes -= segments->list[0].bytes;
        memmove(segments->list, segments->list + 1, --segments->count * sizeof *segments->list);
    }
    af_mutex_unlock(&wal->lock);
}

enum af_status af_wal_drop_before(struct af_wal *wal, uint64_t segment, struct af_error *err)
{
    uint64_t number;
    while (oldest_before(wal, segment, &number)) {
        char *path = af_wal_path(wal->dir, number, "");
        if (path == NULL)
            return af_fail_nomem(err, "a segment of the log");
        enum af_status status = af_path_remove(path, err);
        if (status == AF_OK) /* one by one: a crash must not bring an older one back without its successors */
            status = af_dir_sync(wal->dir, err);
        af_free(path);
        if (status != AF_OK)
            return status;
        forget(wal, number);
    }
    return AF_OK;
}

enum af_status af_wal_probe(struct af_wal *wal, struct af_error *err)
{
    uint64_t ticket;
    AF_TRY(af_wal_append(wal, af_slice_make("", 0), &ticket, err));
    af_wal_wait_turn(wal, ticket);
    af_wal_applied(wal, ticket);
    return AF_OK;
}

/* --- looking ----------------------------------------------------------------------------------------------------------------- */

uint64_t af_wal_bytes(struct af_wal *wal)
{
    af_mutex_lock(&wal->lock);
    uint64_t bytes = wal->bytes;
    af_mutex_unlock(&wal->lock);
    return bytes;
}

uint64_t af_wal_syncs(struct af_wal *wal)
{
    af_mutex_lock(&wal->lock);
    uint64_t syncs = wal->syncs;
    af_mutex_unlock(&wal->lock);
    return syncs;
}

bool af_wal_is_sick(struct af_wal *wal, char *out_why, size_t cap)
{
    af_mutex_lock(&wal->lock);
    bool is_sick = wal->is_sick;
    if (is_sick && cap > 0)
        (void)snprintf(out_why, cap, "%s", wal->why);
    af_mutex_unlock(&wal->lock);
    return is_sick;
}
