/*
 * sort.c - runs of sorted records in one scratch file, merged through a heap.
 *
 * Memory: what the caller sorts at a time, and while merging a buffer a run of at most 64 KiB, less when there are many runs.
 */
#include "base/alloc.h"
#include "verify/verify_int.h"
#include <stdlib.h>

enum { MERGE_BYTES = 16 << 20, BUFFER_BYTES_MAX = 64 << 10 };

void af_sorter_init(struct af_sorter *sorter, const char *dir, size_t record_bytes,
                    int (*compare)(const void *a, const void *b))
{
    *sorter = (struct af_sorter){ .dir = dir != NULL ? dir : "/tmp", .record_bytes = record_bytes, .compare = compare };
    af_mutex_init(&sorter->lock);
}

void af_sorter_done(struct af_sorter *sorter)
{
    if (sorter->compare == NULL)
        return;
    af_file_close(sorter->scratch);
    af_free(sorter->runs);
    af_mutex_done(&sorter->lock);
    *sorter = (struct af_sorter){ 0 };
}

static enum af_status write_run(struct af_sorter *sorter, const void *records, size_t count, struct af_error *err)
{
    if (sorter->scratch == NULL)
        AF_TRY(af_file_open_scratch(sorter->dir, &sorter->scratch, err));
    if (sorter->run_count == sorter->run_cap) {
        size_t cap = sorter->run_cap == 0 ? 16 : sorter->run_cap * 2;
        struct af_sort_run *runs = af_realloc(sorter->runs, cap * sizeof *runs);
        if (runs == NULL)
            return af_fail_nomem(err, "sorted runs");
        sorter->runs = runs;
        sorter->run_cap = cap;
    }
    uint64_t offset = af_file_size(sorter->scratch);
    AF_TRY(af_file_write(sorter->scratch, af_slice_make(records, count * sorter->record_bytes), err));
    sorter->runs[sorter->run_count++] = (struct af_sort_run){ offset, count };
    return AF_OK;
}

enum af_status af_sorter_add_run(struct af_sorter *sorter, void *records, size_t count, struct af_error *err)
{
    if (count == 0)
        return AF_OK;
    qsort(records, count, sorter->record_bytes, sorter->compare);
    af_mutex_lock(&sorter->lock);
    enum af_status status = write_run(sorter, records, count, err);
    af_mutex_unlock(&sorter->lock);
    return status;
}

/* --- merging ------------------------------------------------------------------------------------------------------------- */

struct stream {
    uint64_t offset;      /* of the next record to read from the file */
    uint64_t left;        /* records not yet read */
    char *buffer;
    size_t at, filled;    /* records in the buffer */
};

struct af_sort_cursor {
    struct af_sorter *sorter;
    size_t buffer_records;
    struct stream *streams;
    size_t *heap;         /* indices of streams, smallest record first */
    size_t heap_count;
    bool must_advance;    /* the top was handed out */
};

static const void *head(const struct af_sort_cursor *c, size_t stream)
{
    const struct stream *s = &c->streams[stream];
    return s->buffer + s->at * c->sorter->record_bytes;
}

/* Runs keep their order for equal records, so the merge is stable. */
static bool less(const struct af_sort_cursor *c, size_t a, size_t b)
{
    int order = c->sorter->compare(head(c, a), head(c, b));
    return order < 0 || (order == 0 && a < b);
}

static void sift_down(struct af_sort_cursor *c, size_t i)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= c->heap_count)
            return;
        if (child + 1 < c->heap_count && less(c, c->heap[child + 1], c->heap[child]))
            child++;
        if (!less(c, c->heap[child], c->heap[i]))
            return;
        size_t swap = c->heap[i];
        c->heap[i] = c->heap[child];
        c->heap[child] = swap;
        i = child;
    }
}

static enum af_status refill(struct af_sort_cursor *c, struct stream *s, struct af_error *err)
{
    size_t want = s->left < c->buffer_records ? (size_t)s->left : c->buffer_records;
    size_t bytes = want * c->sorter->record_bytes;
    AF_TRY(af_file_pread(c->sorter->scratch, s->offset, s->buffer, bytes, err));
    s->offset += bytes;
    s->left -= want;
    s->at = 0;
    s->filled = want;
    return AF_OK;
}

static enum af_status fill_streams(struct af_sort_cursor *c, struct af_error *err)
{
    size_t count = c->sorter->run_count;
    for (size_t i = 0; i < count; i++) {
        struct stream *s = &c->streams[i];
        *s = (struct stream){ .offset = c->sorter->runs[i].offset, .left = c->sorter->runs[i].count };
        s->buffer = af_alloc(c->buffer_records * c->sorter->record_bytes);
        if (s->buffer == NULL)
            return af_fail_nomem(err, "merging");
        AF_TRY(refill(c, s, err));
        c->heap[c->heap_count++] = i;
    }
    for (size_t i = count / 2; i-- > 0;)
        sift_down(c, i);
    return AF_OK;
}

enum af_status af_sort_cursor_open(struct af_sorter *sorter, struct af_sort_cursor **out, struct af_error *err)
{
    struct af_sort_cursor *c = af_alloc_zero(1, sizeof *c);
    if (c == NULL)
        return af_fail_nomem(err, "merging");
    c->sorter = sorter;
    size_t count = sorter->run_count;
    size_t bytes = count != 0 ? MERGE_BYTES / count : MERGE_BYTES;
    c->buffer_records = (bytes < BUFFER_BYTES_MAX ? bytes : BUFFER_BYTES_MAX) / sorter->record_bytes;
    if (c->buffer_records == 0)
        c->buffer_records = 1;
    c->streams = af_alloc_zero(count, sizeof *c->streams);
    c->heap = af_alloc_zero(count, sizeof *c->heap);
    enum af_status status = c->streams != NULL && c->heap != NULL ? fill_streams(c, err) : af_fail_nomem(err, "merging");
    if (status != AF_OK) {
        af_sort_cursor_close(c);
        return status;
    }
    *out = c;
    return AF_OK;
}

static enum af_status advance(struct af_sort_cursor *c, struct af_error *err)
{
    struct stream *s = &c->streams[c->heap[0]];
    if (++s->at == s->filled) {
        if (s->left != 0)
            AF_TRY(refill(c, s, err));
        else
            c->heap[0] = c->heap[--c->heap_count];
    }
    sift_down(c, 0);
    return AF_OK;
}

enum af_status af_sort_cursor_next(struct af_sort_cursor *cursor, const void **out, struct af_error *err)
{
    if (cursor->must_advance)
        AF_TRY(advance(cursor, err));
    cursor->must_advance = cursor->heap_count != 0;
    *out = cursor->heap_count != 0 ? head(cursor, cursor->heap[0]) : NULL;
    return AF_OK;
}

void af_sort_cursor_close(struct af_sort_cursor *cursor)
{
    if (cursor == NULL)
        return;
    for (size_t i = 0; cursor->streams != NULL && i < cursor->sorter->run_count; i++)
        af_free(cursor->streams[i].buffer);
    af_free(cursor->streams);
    af_free(cursor->heap);
    af_free(cursor);
}
