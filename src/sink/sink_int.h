/*
 * sink_int.h - what the files of this room share.
 *
 *     sink.c          options, put, finish, statistics, the one failure
 *     unit.c          units: reference counts, settling
 *     block.c         lines with their provenance: what queues hold, what a request is cut from
 *     lane.c          the sender thread: what to do next (send, wait, spool, replay)
 *     job.c           one block on its way: requests, answers, splitting
 *     backoff.c breaker.c rate.c    when to send, as pure functions of a time that is passed in
 *     spool.c         blocks on disk, FIFO;   spool_format.c   one block as bytes
 *     dead_letters.c  refused lines and rejected rows as JSON lines
 *
 * Locks: a lane's, the sink's, the units', the spool's and the dead letters'. No thread holds two of them.
 */
#ifndef AF_SINK_INT_H
#define AF_SINK_INT_H
#include "base/buf.h"
#include "base/limits.h"
#include "base/prng.h"
#include "codec/compress.h"
#include "os/file.h"
#include "os/thread.h"
#include "sink/sink.h"
#include <stdatomic.h>

/* --- backoff.c: the pauses between the tries of one batch ---------------------------------------------------------------- */
struct af_retry {
    uint32_t first_ms;  /* options */
    uint32_t max_ms;
    uint32_t budget_ms; /* 0: without end */

    uint32_t failures;  /* since it began */
    int64_t end_ms;     /* the budget is over then */
    int64_t floor_ms;   /* not before: the store asked for it */
    int64_t at_ms;      /* the next try */
};
void af_retry_begin(struct af_retry *retry, int64_t now_ms);
/* A try failed. False: the budget is over (at_ms still says when another try is decent). */
bool af_retry_failed(struct af_retry *retry, int64_t now_ms, uint32_t retry_after_ms, struct af_prng *prng);

/* --- breaker.c: over all lanes ------------------------------------------------------------------------------------------- */
struct af_breaker {
    uint32_t failures_max; /* options */
    uint32_t open_ms;

    uint32_t failures;     /* in a row */
    bool is_open;
    bool is_probing;       /* half open: one request is out */
    int64_t probe_at_ms;
    uint64_t closings;     /* how often it closed again: who waits for longer may try at once */
};
/* May a request go out now? When open, yes for one probe at a time. No: *out_again_ms is when to ask again. */
bool af_breaker_ask(struct af_breaker *breaker, int64_t now_ms, int64_t *out_again_ms);
bool af_breaker_succeeded(struct af_breaker *breaker); /* true: it was open and closes now */
void af_breaker_failed(struct af_breaker *breaker, int64_t now_ms, uint32_t retry_after_ms);

/* --- rate.c: a token bucket over all lanes ------------------------------------------------------------------------------- */
struct af_rate {
    uint64_t per_s;   /* 0: no limit */
    int64_t paid_ns;  /* what was taken so far is paid for at that time */
};
int64_t af_rate_take(struct af_rate *rate, uint64_t count, int64_t now_ns); /* take; returns how long to wait first, ns */

/* --- block.c ------------------------------------------------------------------------------------------------------------- */
struct af_sink_segment {       /* neighbouring lines of one unit */
    struct af_sink_unit *unit; /* NULL: from the spool, the unit settled long ago */
    const char *file;
    uint64_t first_row;
    uint32_t row_group;
    uint32_t line_count;
};
struct af_sink_block {
    struct af_buf bytes;
    uint32_t *ends; /* per line: the offset just past its newline */
    uint32_t *rows; /* per line: relative to first_row of its segment */
    size_t line_count;
    size_t line_cap;
    struct af_sink_segment *segments;
    size_t segment_count;
    size_t segment_cap;
    struct af_buf names; /* from the spool: what the segments' `file` point to */
    int64_t since_ms;    /* when its first line came */
    struct af_sink_block *next;
};
void af_sink_block_init(struct af_sink_block *block);
void af_sink_block_done(struct af_sink_block *block);
void af_sink_block_clear(struct af_sink_block *block, size_t keep_bytes); /* larger memory is given back */
/* How many lines of `text` from `from` on fit; a block that is empty takes one whatever its size. */
size_t af_sink_block_fit(const struct af_sink_block *block, const struct af_lp_text *text, size_t from, size_t lines_max,
                         size_t bytes_max);
/* Lines [from, from + count) of `text`. On failure the block is as before. */
AF_MUST_CHECK enum af_status af_sink_block_add(struct af_sink_block *block, const struct af_lp_text *text, size_t from, size_t count,
                                               const struct af_sink_segment *segment, struct af_error *err);
/* Room for this much in all; used by whoever fills the arrays itself. */
AF_MUST_CHECK bool af_sink_block_reserve(struct af_sink_block *block, size_t lines, size_t segments);
struct af_slice af_sink_block_lines(const struct af_sink_block *block, size_t from, size_t to);
/* Where line `line` comes from. */
const struct af_sink_segment *af_sink_block_origin(const struct af_sink_block *block, size_t line, uint64_t *out_row);

/* --- spool_format.c: pure ------------------------------------------------------------------------------------------------ */
enum { AF_SPOOL_HEADER_BYTES = 72 };
struct af_spool_header {
    uint32_t lane;
    uint64_t sequence;
    int64_t precision_ns;
    uint64_t line_count;
};
/* Append lines [from, line_count) of `block`. */
AF_MUST_CHECK enum af_status af_spool_encode(const struct af_spool_header *header, const struct af_sink_block *block, size_t from,
                                             struct af_codec_ctx *codec, struct af_buf *out, struct af_error *err);
/* AF_ECORRUPT: magic, version, sizes or checksum are wrong. Reads nothing but the header and the checksum. */
AF_MUST_CHECK enum af_status af_spool_check(struct af_slice bytes, struct af_spool_header *out, struct af_error *err);
/* Check, then fill `block` (cleared before). */
AF_MUST_CHECK enum af_status af_spool_decode(struct af_slice bytes, struct af_codec_ctx *codec, struct af_spool_header *out,
                                             struct af_sink_block *block, struct af_error *err);

/* --- spool.c ------------------------------------------------------------------------------------------------------------- */
struct af_spool_entry {
    uint64_t sequence;
    uint64_t bytes;      /* of the file */
    uint64_t line_count;
    uint32_t lane;       /* the one that wrote it: of the file's name */
};
struct af_spool_queue {
    struct af_spool_entry *items;
    size_t first, count, cap;
};
struct af_spool {
    bool is_there;               /* false: no spool was asked for */
    char *dir;
    struct af_file *lock_file;
    uint64_t bytes_max;
    uint32_t lane_count;

    struct af_mutex lock;
    struct af_spool_queue *queues; /* under lock: one a lane, then the blocks of earlier runs in order of sequence */
    uint64_t next_sequence;
    uint64_t bytes_used;
    uint64_t lines;
    bool is_broken;              /* read-only: a write failed; `why` says how */
    struct af_error why;
};
AF_MUST_CHECK enum af_status af_spool_open(struct af_spool *spool, const char *dir, uint64_t bytes_max, uint32_t lane_count,
                                           struct af_error *err);
void af_spool_close(struct af_spool *spool); /* zeroed is fine */
/* Lines [from, line_count) of `block` to the end of the lane's queue; on disk when it returns AF_OK. AF_EFULL, AF_ENOMEM: may be tried
 * again later. Anything else: the spool takes nothing any more. */
AF_MUST_CHECK enum af_status af_spool_put(struct af_spool *spool, uint32_t lane, int64_t precision_ns,
                                          const struct af_sink_block *block, size_t from, struct af_codec_ctx *codec,
                                              struct af_buf *scratch, struct af_error *err);
bool af_spool_has_earlier(struct af_spool *spool);             /* blocks of earlier runs are left */
bool af_spool_is_empty(struct af_spool *spool, uint32_t lane); /* nothing of this lane, nothing of earlier runs */
bool af_spool_head(struct af_spool *spool, uint32_t lane, struct af_spool_entry *out); /* of earlier runs first (lane 0 only) */
AF_MUST_CHECK enum af_status af_spool_load(struct af_spool *spool, const struct af_spool_entry *entry, struct af_codec_ctx *codec,
                                           struct af_buf *scratch, struct af_spool_header *out, struct af_sink_block *block,
                                           struct af_error *err);
/* The head is written: remove it, for good by the time this returns. */
AF_MUST_CHECK enum af_status af_spool_drop(struct af_spool *spool, uint32_t lane, struct af_error *err);
void af_spool_totals(struct af_spool *spool, uint64_t *out_lines, uint64_t *out_bytes);

/* --- dead_letters.c ------------------------------------------------------------------------------------------------------ */
struct af_dead_letter {
    const char *file;
    uint32_t row_group;
    uint64_t row;
    const char *column; /* may be NULL */
    const char *reason;
    bool is_line;       /* `text` is line protocol, else what was read */
    struct af_slice text;
};
struct af_dead_letters {
    char *dir;  /* NULL: none were asked for */
    char *path;
    atomic_bool is_there;

    struct af_mutex lock;
    struct af_file *file; /* under lock; made with the first letter */
    struct af_buf line;
    bool is_dirty;        /* something was written since the last fsync */
};
AF_MUST_CHECK enum af_status af_dead_letters_open(struct af_dead_letters *dead, const char *dir, const char *run_id,
                                                  struct af_error *err);
void af_dead_letters_close(struct af_dead_letters *dead); /* zeroed is fine */
AF_MUST_CHECK enum af_status af_dead_letters_add(struct af_dead_letters *dead, const struct af_dead_letter *letter,
                                                 struct af_error *err);
AF_MUST_CHECK enum af_status af_dead_letters_sync(struct af_dead_letters *dead, struct af_error *err);
/* One letter as one line of JSON. */
void af_dead_letter_print(struct af_buf *out, const struct af_dead_letter *letter, int64_t now_ns);

/* --- unit.c -------------------------------------------------------------------------------------------------------------- */
struct af_sink_unit {
    uint64_t id;
    char *file;
    uint32_t row_group;
    af_sink_settled settled;
    void *ctx;
    atomic_uint_fast64_t pending; /* lines that are not durable yet, and one until af_sink_unit_end */
    atomic_bool has_dead_letters;
    struct af_sink_unit *next, *prev; /* under units_lock */
};
void af_sink_unit_add(struct af_sink_unit *unit, uint64_t lines);
/* `lines` of it are durable. May settle and free the unit. */
void af_sink_unit_resolve(struct af_sink *sink, struct af_sink_unit *unit, uint64_t lines);
void af_sink_units_free(struct af_sink *sink); /* those that never settled */

/* --- job.c, lane.c ------------------------------------------------------------------------------------------------------- */
enum { AF_SPLIT_DEPTH_MAX = 40 };
/* A block on its way to the store: lines before `at` are done, the next request is [at, ends[depth - 1]). */
struct af_sink_job {
    struct af_sink_block *block; /* NULL: no job */
    int64_t precision_ns;
    size_t at;
    size_t ends[AF_SPLIT_DEPTH_MAX]; /* of the halves: the innermost last, ends[0] is the block's */
    unsigned depth;
    struct af_retry retry;
    uint64_t closings;           /* of the breaker when it last failed */
    bool has_dead_letters;
};
enum af_sink_sent {
    AF_SENT_PART, /* the store answered; more of the block is left */
    AF_SENT_ALL,
    AF_SENT_FAILED, /* worth another try */
    AF_SENT_OVER,   /* the same, and the budget is over */
    AF_SENT_STOP,   /* the sink failed or stops */
};
/* blocks of a lane: waiting, being filled, being sent */
enum { AF_SINK_LANE_BLOCKS = AF_SINK_QUEUE_BLOCKS + 2 };

struct af_sink_lane {
    struct af_sink *sink;
    uint32_t id;
    struct af_thread thread;
    struct af_sink_block blocks[AF_SINK_LANE_BLOCKS];

    struct af_mutex lock;
    struct af_cond work; /* the sender waits for it */
    struct af_cond room; /* put waits for it */
    struct {             /* under lock */
        struct af_sink_block *open; /* being filled */
        struct af_sink_block *first, *last; /* full ones */
        struct af_sink_block *free;
        size_t bytes_max;           /* of a block; shrinks when the store says "too large" */
        bool is_nudged;             /* look again at what there is to do */
    } queue;

    struct {             /* the sender's own */
        struct af_sink_job held; /* from the queue */
        struct af_sink_job head; /* from the spool */
        struct af_sink_block head_block;
        struct af_codec_ctx codec;
        struct af_buf scratch;
        struct af_prng prng;
        int64_t stuck_since_ms;  /* the spool refuses `held` since then; 0: it does not */
    } sender;
};

struct af_sink {
    struct af_store *store;
    struct af_sink_options options; /* with defaults filled in; its strings are not kept */
    struct af_sink_lane *lanes;
    uint32_t lane_count;
    bool stop;                      /* read and set with __atomic; the store's `cancel` */
    struct af_spool spool;
    struct af_dead_letters dead;

    struct af_mutex lock;
    struct af_cond moved;           /* something became durable, or the sink failed */
    struct {                        /* under lock */
        struct af_breaker breaker;
        struct af_rate rate;
        struct af_error failure;
        char last_error[256];
    } shared;
    atomic_bool has_failed;
    atomic_bool is_unwell;          /* the last request failed */
    atomic_uint flushing;           /* finish() calls under way: blocks go out whatever their age */
    atomic_int_fast64_t progress_ms; /* when the store last took something */
    atomic_uint_fast64_t lines_open; /* put and not durable yet */

    struct af_mutex units_lock;
    struct af_sink_unit *units;     /* under units_lock */

    struct {
        atomic_uint_fast64_t lines_put, values_put, lines_written, lines_rejected, rows_rejected, batches_written,
            batches_spooled, retries, splits, bytes_put, bytes_sent;
    } count;
};

int64_t af_sink_now_ms(void);
bool af_sink_is_stopped(const struct af_sink *sink);
enum af_status af_sink_fail(struct af_sink *sink, const struct af_error *err); /* the first one stays; returns err->status */
void af_sink_nudge(struct af_sink *sink);                                      /* every lane looks again */
/* A line or row to the dead letters; without such a file the sink fails (strict). */
AF_MUST_CHECK enum af_status af_sink_bury(struct af_sink *sink, const struct af_dead_letter *letter, struct af_error *err);

void af_sink_lane_init(struct af_sink_lane *lane, struct af_sink *sink, uint32_t id);
void af_sink_lane_done(struct af_sink_lane *lane);
void af_sink_lane_run(void *ctx);
void af_sink_lane_pause(struct af_sink_lane *lane, int64_t until_ms); /* or until nudged */

void af_sink_job_begin(struct af_sink_job *job, struct af_sink_lane *lane, struct af_sink_block *block, int64_t precision_ns,
                       uint32_t budget_ms);
bool af_sink_job_may_send(struct af_sink_job *job, struct af_sink *sink, int64_t *out_again_ms);
enum af_sink_sent af_sink_job_send(struct af_sink_job *job, struct af_sink_lane *lane);
#endif
