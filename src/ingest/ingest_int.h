/*
 * ingest_int.h - between feed.c (what comes next, under the lock) and run.c (workers and turns).
 */
#ifndef AF_INGEST_INT_H
#define AF_INGEST_INT_H
#include "ingest/ingest.h"
#include "os/file.h"
#include <stdatomic.h>

/* An open source, shared by the workers that still hold rows of it: batches point into its schema. */
struct af_open_source {
    _Atomic uint32_t refs;
    size_t index;
    const struct af_source *source;
    struct af_table *table;          /* NULL for line protocol */
    struct af_stream *stream;
    struct af_map *own_map;          /* detected or guessed; NULL when the run has one for all */
    const struct af_map *map;
    uint64_t rows_all;               /* 0: not known */
};
void af_open_source_unref(struct af_open_source *source); /* NULL is fine */

/* A source's bytes in sequence: a file, a pipe, or the copy of a pipe. */
struct af_source_input {
    struct af_file_input *file; /* NULL: `copy`, from `at` on */
    struct af_file *copy;
    uint64_t at;
};
AF_MUST_CHECK enum af_status af_source_input_open(const struct af_source *source, struct af_source_input *out, struct af_error *err);
AF_MUST_CHECK enum af_status af_source_input_read(struct af_source_input *in, void *dst, size_t cap, size_t *out_len,
                                                  struct af_error *err);
bool af_source_input_is_ready(const struct af_source_input *in);
void af_source_input_close(struct af_source_input *in); /* zeroed is fine */

/* What a worker takes. */
struct af_feed_item {
    struct af_open_source *source;   /* a reference for the taker; NULL when it could not be opened */
    size_t index;
    struct af_batch *batch;          /* in the taker's arena, or NULL */
    struct af_slice lines;           /* whole lines, in the taker's arena, or empty */
    uint64_t first_row;              /* of the batch; number of lines before these */
    uint32_t part;
    bool is_first;                   /* of its source */
    bool unit_begins, source_ends;
    bool is_bad;                     /* `why` says what could not be read; rows_lost of it */
    uint64_t rows_lost;
    uint64_t bytes_done;             /* of this source */
    struct af_error why;
};

struct af_feed;
AF_MUST_CHECK enum af_status af_feed_new(const struct af_ingest_options *options, struct af_feed **out, struct af_error *err);
void af_feed_free(struct af_feed *feed);
/* One caller at a time. *out_end: nothing is left (and no item). */
AF_MUST_CHECK enum af_status af_feed_next(struct af_feed *feed, struct af_arena *arena, struct af_feed_item *item, bool *out_end,
                                          struct af_error *err);
#endif
