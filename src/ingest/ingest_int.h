/*
 * ingest_int.h - between feed.c (what comes next, one caller at a time), work.c (one slot's work) and run.c (who does what when).
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

/* A source's bytes in sequence: a file or a pipe; or the copy of a pipe, an object of S3. */
struct af_source_input {
    struct af_file_input *file; /* NULL: `copy` or `reader`, from `at` on */
    struct af_file *copy;
    struct af_reader *reader;
    uint64_t at;
};
/* `reader` is one of the source that it takes, or NULL. */
AF_MUST_CHECK enum af_status af_source_input_open(const struct af_source *source, struct af_reader *reader, struct af_source_input *out,
                                                  struct af_error *err);
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

/* --- work.c -------------------------------------------------------------------------------------------------------------- */

/* Shared by the worker that applies it and the slots that hold names of it. */
struct af_bound_mapper {
    _Atomic uint32_t refs;
    struct af_mapper *mapper;
    struct af_open_source *source; /* a reference */
};

/* An item on its way, with all its memory: read, worked on, parked until its turn, delivered; then free for another. */
struct af_ingest_slot {
    _Alignas(AF_ARENA_ALIGN) struct af_ingest_slot *next; /* in the list of the free or of the ready */
    struct af_arena arena;
    void *scratch;                /* the stage's, if it has a `deliver`: work fills it, deliver reads it */
    struct af_feed_item item;
    struct af_ingest_block block;
    struct af_bound_mapper *bound; /* a reference, or NULL */
    struct af_points points;      /* without their set once the stage has worked on them */
    struct af_map_reject *rejects; /* bad lines of the block at hand */
    size_t reject_count, reject_cap;
    bool reject_failed;
    bool has_newlines;
    uint64_t newlines;            /* of the item, as the parser counts them */
    uint64_t *lines;              /* of the points of this block */
    size_t lines_used;            /* bytes of the item's lines in this block */
    struct af_buf rest;           /* those after it */
};

/* What a thread has for itself, from one slot to the next. */
struct af_ingest_worker {
    _Alignas(AF_ARENA_ALIGN) const struct af_ingest_options *options;
    const struct af_ingest_stage *stage;
    void *scratch;                /* the stage's, if it has no `deliver` */
    struct af_bound_mapper *bound; /* a reference */
    struct af_lp_parser *parser;
    uint64_t lines_before;        /* what the parser had counted before this item */
    struct af_ingest_slot *slot;  /* whose lines are parsed */
};

AF_MUST_CHECK enum af_status af_ingest_slot_init(struct af_ingest_slot *slot, const struct af_ingest_stage *stage,
                                                 struct af_error *err); /* done also after a failure */
void af_ingest_slot_done(struct af_ingest_slot *slot, const struct af_ingest_stage *stage);
void af_ingest_slot_begin(struct af_ingest_slot *slot, uint64_t ticket); /* its item was just read */
void af_ingest_slot_recycle(struct af_ingest_slot *slot);

AF_MUST_CHECK enum af_status af_ingest_worker_init(struct af_ingest_worker *w, const struct af_ingest_options *options,
                                                   const struct af_ingest_stage *stage, struct af_error *err); /* likewise */
void af_ingest_worker_done(struct af_ingest_worker *w);
/* The parallel part. Lines may be left for another block of the same ticket: deliver, keep_rest, work again. */
AF_MUST_CHECK enum af_status af_ingest_work(struct af_ingest_worker *w, struct af_ingest_slot *slot, struct af_error *err);
bool af_ingest_slot_has_more(const struct af_ingest_slot *slot);
/* Very many series or fields: the next block takes up what this one left. The arena is emptied between them. */
AF_MUST_CHECK enum af_status af_ingest_slot_keep_rest(struct af_ingest_slot *slot, struct af_error *err);
#endif
