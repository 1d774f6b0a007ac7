/*
 * spool.c - blocks that the store did not take, on disk until it does.
 *
 *     DIR/lock                              one owner
 *     DIR/03-00000000000000000042.blk       lane 3, sequence 42: spool_format.c
 *     DIR/....blk.tmp-...                   half a write of a process that died: removed at the next opening
 *     DIR/....blk.corrupt                   a block that failed its checksum: the spool does not open while it is there
 *
 *     put:   encode -> temporary file -> fsync -> rename -> fsync of the directory -> the lines count as durable
 *     drop:  the store acknowledged -> unlink -> fsync of the directory -> only then may newer lines of the lane go out
 *
 * Invariants
 * - Sequence numbers grow over the whole spool and over its lives, so replaying the blocks of earlier runs by number keeps
 *   the order of every series, whatever the number of lanes was.
 * - A block is replayed again after a crash only if nothing newer of its lane was sent: hence the fsync in drop.
 * - After a failure that is not "full" or "no memory" nothing is written any more. What is there is still replayed.
 *
 * The lock covers the queues and counters, never a write: each lane writes its own files.
 */
#include "sink/sink_int.h"
#include "base/alloc.h"
#include <stdio.h>
#include <stdlib.h>

enum { PATH_CAP = 4096, SEQUENCE_DIGITS = 20 };
static const char SUFFIX[] = ".blk";

/* --- queues -------------------------------------------------------------------------------------------------------------- */

static bool queue_reserve(struct af_spool_queue *queue)
{
    if (queue->first + queue->count < queue->cap)
        return true;
    if (queue->first > queue->cap / 2) {
        memmove(queue->items, queue->items + queue->first, queue->count * sizeof *queue->items);
        queue->first = 0;
        return true;
    }
    size_t cap = queue->cap < 16 ? 16 : queue->cap * 2;
    struct af_spool_entry *items = af_realloc(queue->items, cap * sizeof *items);
    if (items == NULL)
        return false;
    queue->items = items;
    queue->cap = cap;
    return true;
}

static struct af_spool_queue *earlier_runs(struct af_spool *spool)
{
    return &spool->queues[spool->lane_count];
}

/* The queue that the lane replays from. Lane 0 takes the blocks of earlier runs, before its own. */
static struct af_spool_queue *replayed_by(struct af_spool *spool, uint32_t lane)
{
    bool is_earlier = lane == 0 && earlier_runs(spool)->count > 0;
    return is_earlier ? earlier_runs(spool) : &spool->queues[lane];
}

static enum af_status path_of(const struct af_spool *spool, const struct af_spool_entry *entry, char *out, struct af_error *err)
{
    int n = snprintf(out, PATH_CAP, "%s/%02u-%0*llu%s", spool->dir, entry->lane, SEQUENCE_DIGITS,
                     (unsigned long long)entry->sequence, SUFFIX);
    if (n < 0 || n >= PATH_CAP - 32)
        return af_fail(err, AF_ELIMIT, "the path of the spool is longer than %d bytes: %s", PATH_CAP - 100, spool->dir);
    return AF_OK;
}

/* --- opening ------------------------------------------------------------------------------------------------------------- */

struct scan {
    struct af_spool *spool;
    struct af_buf bytes;
    size_t corrupt; /* blocks found broken now */
    struct af_error first; /* what was wrong with the first of them */
};

static bool ends_with(struct af_slice text, const char *tail)
{
    size_t n = strlen(tail);
    return text.len >= n && memcmp(text.ptr + text.len - n, tail, n) == 0;
}

static bool read_digits(struct af_slice *text, size_t min, size_t max, uint64_t *out)
{
    uint64_t value = 0;
    size_t n = 0;
    for (; n < text->len && n < max && text->ptr[n] >= '0' && text->ptr[n] <= '9'; n++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(text->ptr[n] - '0'), &value))
            return false;
    *text = af_slice_make(text->ptr + n, text->len - n);
    *out = value;
    return n >= min;
}

/* Is this the name of a block? What follows ".blk" is left in `rest`. */
static bool parse_name(struct af_slice name, struct af_spool_entry *out, struct af_slice *rest)
{
    uint64_t lane;
    if (!read_digits(&name, 2, 10, &lane) || lane > UINT32_MAX || !af_slice_has_prefix(name, "-"))
        return false;
    name = af_slice_make(name.ptr + 1, name.len - 1);
    if (!read_digits(&name, SEQUENCE_DIGITS, SEQUENCE_DIGITS, &out->sequence) || !af_slice_has_prefix(name, SUFFIX))
        return false;
    out->lane = (uint32_t)lane;
    *rest = af_slice_make(name.ptr + sizeof SUFFIX - 1, name.len - (sizeof SUFFIX - 1));
    return true;
}

static enum af_status move_aside(struct scan *scan, const char *path, struct af_error *err)
{
    char aside[PATH_CAP];
    int n = snprintf(aside, sizeof aside, "%s.corrupt", path);
    if (n < 0 || n >= PATH_CAP)
        return af_fail(err, AF_ELIMIT, "the path of the spool is too long: %s", path);
    AF_TRY(af_path_rename(path, aside, err));
    if (scan->corrupt++ == 0)
        af_error_prefix(&scan->first, "%s: ", aside);
    return AF_OK;
}

static enum af_status take_up(struct scan *scan, const char *path, struct af_spool_entry *entry, struct af_error *err)
{
    struct af_spool *spool = scan->spool;
    struct af_spool_header header;
    struct af_error why;
    af_buf_clear(&scan->bytes);
    AF_TRY(af_file_read_all(path, &scan->bytes, err));
    enum af_status status = af_spool_check(af_buf_slice(&scan->bytes), &header, &why);
    if (status == AF_OK && (header.lane != entry->lane || header.sequence != entry->sequence))
        status = af_fail(&why, AF_ECORRUPT, "the block says that it is lane %u, sequence %llu", header.lane,
                         (unsigned long long)header.sequence);
    if (status != AF_OK) {
        if (scan->corrupt == 0)
            scan->first = why;
        return move_aside(scan, path, err);
    }
    entry->bytes = scan->bytes.len;
    entry->line_count = header.line_count;
    struct af_spool_queue *queue = earlier_runs(spool);
    if (!queue_reserve(queue))
        return af_fail_nomem(err, "the list of the spool's blocks");
    queue->items[queue->count++] = *entry;
    spool->bytes_used += entry->bytes;
    spool->lines += entry->line_count;
    return AF_OK;
}

static enum af_status see_file(void *ctx, const char *path, struct af_error *err)
{
    struct scan *scan = ctx;
    struct af_spool_entry entry = { 0 };
    struct af_slice rest;
    const char *slash = strrchr(path, '/');
    if (!parse_name(af_slice_of(slash != NULL ? slash + 1 : path), &entry, &rest))
        return AF_OK; /* not ours */
    if (entry.sequence >= scan->spool->next_sequence)
        scan->spool->next_sequence = entry.sequence + 1;
    if (rest.len == 0)
        return take_up(scan, path, &entry, err);
    if (af_slice_has_prefix(rest, ".tmp"))
        return af_path_remove(path, err);
    if (ends_with(rest, ".corrupt"))
        return af_fail(err, AF_ECORRUPT, "%s: this block was found broken by an earlier run, its lines are lost to the store; "
                       "migrate their files again, then remove it", path);
    return AF_OK;
}

static int by_sequence(const void *a, const void *b)
{
    uint64_t x = ((const struct af_spool_entry *)a)->sequence;
    uint64_t y = ((const struct af_spool_entry *)b)->sequence;
    return (x > y) - (x < y);
}

static enum af_status scan_dir(struct af_spool *spool, struct af_error *err)
{
    struct scan scan = { .spool = spool };
    af_buf_init(&scan.bytes, SIZE_MAX / 2);
    enum af_status status = af_dir_list(spool->dir, see_file, &scan, err);
    af_buf_done(&scan.bytes);
    if (status == AF_OK && scan.corrupt > 0)
        return af_fail(err, AF_ECORRUPT, "%s (%zu such in all, moved aside as *.corrupt): lines that counted as kept are lost; "
                       "migrate their files again, then remove it", scan.first.message, scan.corrupt);
    struct af_spool_queue *queue = earlier_runs(spool);
    if (queue->count > 1)
        qsort(queue->items, queue->count, sizeof *queue->items, by_sequence);
    return status;
}

static enum af_status lock_dir(struct af_spool *spool, struct af_error *err)
{
    char path[PATH_CAP];
    struct af_spool_entry longest = { 0 };
    AF_TRY(af_dir_make(spool->dir, err));
    AF_TRY(path_of(spool, &longest, path, err)); /* refuses a directory whose names would not fit */
    (void)snprintf(path, sizeof path, "%s/lock", spool->dir);
    return af_file_lock(path, &spool->lock_file, err);
}

enum af_status af_spool_open(struct af_spool *spool, const char *dir, uint64_t bytes_max, uint32_t lane_count, struct af_error *err)
{
    *spool = (struct af_spool){ .bytes_max = bytes_max, .lane_count = lane_count, .next_sequence = 1 };
    af_mutex_init(&spool->lock);
    spool->is_there = true;
    size_t len = strlen(dir);
    spool->dir = af_alloc(len + 1);
    spool->queues = af_alloc_zero((size_t)lane_count + 1, sizeof *spool->queues);
    enum af_status status = AF_OK;
    if (spool->dir == NULL || spool->queues == NULL)
        status = af_fail_nomem(err, "a spool");
    else
        memcpy(spool->dir, dir, len + 1);
    if (status == AF_OK)
        status = lock_dir(spool, err);
    if (status == AF_OK)
        status = scan_dir(spool, err);
    if (status != AF_OK) {
        af_error_prefix(err, "spool: ");
        af_spool_close(spool);
    }
    return status;
}

void af_spool_close(struct af_spool *spool)
{
    if (!spool->is_there)
        return;
    if (spool->queues != NULL)
        for (uint32_t i = 0; i <= spool->lane_count; i++)
            af_free(spool->queues[i].items);
    af_free(spool->queues);
    af_file_close(spool->lock_file);
    af_free(spool->dir);
    af_mutex_done(&spool->lock);
    *spool = (struct af_spool){ 0 };
}

/* --- put ----------------------------------------------------------------------------------------------------------------- */

static enum af_status refuse_broken(const struct af_spool *spool, struct af_error *err)
{
    if (err != NULL) {
        *err = spool->why;
        af_error_prefix(err, "the spool takes nothing since an earlier failure: ");
    }
    return spool->why.status;
}

/* Room in the queue and under the ceiling, and a number. */
static enum af_status admit(struct af_spool *spool, struct af_spool_entry *entry, struct af_error *err)
{
    enum af_status status = AF_OK;
    af_mutex_lock(&spool->lock);
    if (spool->is_broken)
        status = refuse_broken(spool, err);
    else if (!queue_reserve(&spool->queues[entry->lane]))
        status = af_fail_nomem(err, "the list of the spool's blocks");
    else if (entry->bytes > spool->bytes_max || spool->bytes_used > spool->bytes_max - entry->bytes)
        status = af_fail(err, AF_EFULL, "the spool in %s is full: %llu of %llu bytes are used and %llu more are needed; "
                         "raise its limit or get the store well", spool->dir, (unsigned long long)spool->bytes_used,
                         (unsigned long long)spool->bytes_max, (unsigned long long)entry->bytes);
    else
        spool->bytes_used += entry->bytes;
    af_mutex_unlock(&spool->lock);
    return status;
}

static uint64_t next_sequence(struct af_spool *spool)
{
    af_mutex_lock(&spool->lock);
    uint64_t sequence = spool->next_sequence++;
    af_mutex_unlock(&spool->lock);
    return sequence;
}

/* A write failed: leave nothing under the block's name, or a later run would replay lines that were not spooled. */
static void undo_write(struct af_spool *spool, const struct af_spool_entry *entry, const char *path, const struct af_error *why)
{
    bool is_gone = af_path_remove(path, NULL) == AF_OK && af_dir_sync(spool->dir, NULL) == AF_OK;
    af_mutex_lock(&spool->lock);
    spool->bytes_used -= entry->bytes;
    if ((why->status != AF_EFULL && why->status != AF_ENOMEM) || !is_gone) {
        if (!spool->is_broken)
            spool->why = *why;
        spool->is_broken = true;
    }
    af_mutex_unlock(&spool->lock);
}

static enum af_status write_block(struct af_spool *spool, const struct af_spool_entry *entry, struct af_slice bytes,
                                  struct af_error *err)
{
    char path[PATH_CAP];
    AF_TRY(path_of(spool, entry, path, err));
    struct af_error why;
    if (af_file_write_atomic(path, bytes, false, &why) == AF_OK)
        return AF_OK;
    undo_write(spool, entry, path, &why);
    if (err != NULL)
        *err = why;
    return why.status;
}

enum af_status af_spool_put(struct af_spool *spool, uint32_t lane, int64_t precision_ns, const struct af_sink_block *block,
                            size_t from, struct af_codec_ctx *codec, struct af_buf *scratch, struct af_error *err)
{
    struct af_spool_header header = { .lane = lane, .precision_ns = precision_ns, .sequence = next_sequence(spool) };
    af_buf_clear(scratch);
    AF_TRY(af_spool_encode(&header, block, from, codec, scratch, err));
    struct af_spool_entry entry = { .sequence = header.sequence, .bytes = scratch->len, .lane = lane,
                                    .line_count = block->line_count - from };
    AF_TRY(admit(spool, &entry, err));
    AF_TRY(write_block(spool, &entry, af_buf_slice(scratch), err));
    af_mutex_lock(&spool->lock);
    struct af_spool_queue *queue = &spool->queues[lane]; /* only this lane's thread adds: the room of admit is still there */
    queue->items[queue->first + queue->count++] = entry;
    spool->lines += entry.line_count;
    af_mutex_unlock(&spool->lock);
    return AF_OK;
}

/* --- replay -------------------------------------------------------------------------------------------------------------- */

bool af_spool_has_earlier(struct af_spool *spool)
{
    if (!spool->is_there)
        return false;
    af_mutex_lock(&spool->lock);
    bool has = earlier_runs(spool)->count > 0;
    af_mutex_unlock(&spool->lock);
    return has;
}

bool af_spool_is_empty(struct af_spool *spool, uint32_t lane)
{
    if (!spool->is_there)
        return true;
    af_mutex_lock(&spool->lock);
    bool is_empty = earlier_runs(spool)->count == 0 && spool->queues[lane].count == 0;
    af_mutex_unlock(&spool->lock);
    return is_empty;
}

bool af_spool_head(struct af_spool *spool, uint32_t lane, struct af_spool_entry *out)
{
    af_mutex_lock(&spool->lock);
    const struct af_spool_queue *queue = replayed_by(spool, lane);
    bool has = queue->count > 0;
    if (has)
        *out = queue->items[queue->first];
    af_mutex_unlock(&spool->lock);
    return has;
}

enum af_status af_spool_load(struct af_spool *spool, const struct af_spool_entry *entry, struct af_codec_ctx *codec,
                             struct af_buf *scratch, struct af_spool_header *out, struct af_sink_block *block, struct af_error *err)
{
    char path[PATH_CAP];
    AF_TRY(path_of(spool, entry, path, err));
    af_buf_clear(scratch);
    AF_TRY(af_file_read_all(path, scratch, err));
    enum af_status status = af_spool_decode(af_buf_slice(scratch), codec, out, block, err);
    if (status != AF_OK)
        af_error_prefix(err, "%s: ", path);
    return status;
}

enum af_status af_spool_drop(struct af_spool *spool, uint32_t lane, struct af_error *err)
{
    char path[PATH_CAP];
    struct af_spool_entry entry;
    if (!af_spool_head(spool, lane, &entry))
        return af_fail(err, AF_EBUG, "lane %u drops a block of the spool where there is none", lane);
    AF_TRY(path_of(spool, &entry, path, err));
    AF_TRY(af_path_remove(path, err));
    AF_TRY(af_dir_sync(spool->dir, err));
    af_mutex_lock(&spool->lock);
    struct af_spool_queue *queue = replayed_by(spool, lane);
    queue->first++;
    queue->count--;
    if (queue->count == 0)
        queue->first = 0;
    spool->bytes_used -= entry.bytes;
    spool->lines -= entry.line_count;
    af_mutex_unlock(&spool->lock);
    return AF_OK;
}

void af_spool_totals(struct af_spool *spool, uint64_t *out_lines, uint64_t *out_bytes)
{
    *out_lines = 0;
    *out_bytes = 0;
    if (!spool->is_there)
        return;
    af_mutex_lock(&spool->lock);
    *out_lines = spool->lines;
    *out_bytes = spool->bytes_used;
    af_mutex_unlock(&spool->lock);
}
