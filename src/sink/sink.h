/*
 * sink.h - the durable writer over any store: nothing that it took is lost.
 *
 *     put --> lane queue --> batch --> store.write --> done
 *                              |  \-- refused lines: split, until single lines go to the dead letters
 *                              \-- store unwell: backoff, breaker --> spool on disk (fsynced, FIFO per lane) --> later
 *
 * Lines of one lane reach the store in the order they were put (a lane whose spool is not empty spools behind it), so a later value of
 * the same point wins as it did at the source. One sender thread and one connection a lane.
 *
 * A unit is what the caller wants to be told about: when every line of it is either kept by the store, in the spool or in the dead
 * letters - each fsynced - its `settled` callback runs. A journal of settled units is what makes a migration resumable.
 */
#ifndef AF_SINK_SINK_H
#define AF_SINK_SINK_H
#include "base/slice.h"
#include "store/store.h"

struct af_lp_text;

/* Where lines come from; shared by the blocks of one unit. Reference-counted by the sink. */
struct af_sink_unit;
typedef void (*af_sink_settled)(void *ctx, uint64_t unit_id);

struct af_sink_options {
    uint32_t lanes;               /* 0: 2 */
    size_t batch_lines;           /* 0: AF_SINK_BATCH_LINES */
    size_t batch_bytes;           /* 0: AF_SINK_BATCH_BYTES */
    uint32_t batch_age_ms;        /* a batch is sent when its oldest line is this old; 0: 1,000 */
    uint64_t lines_per_s;         /* rate limit over all lanes; 0: none */
    int64_t precision_ns;         /* of the lines; 0: 1 */

    uint32_t backoff_first_ms;    /* 0: 100; then doubled to backoff_max_ms, each multiplied by a random [0, 1): full jitter */
    uint32_t backoff_max_ms;      /* 0: 30,000 */
    uint32_t batch_budget_ms;     /* a batch is tried this long, then it goes to the spool; 0: 60,000 */
    uint32_t breaker_failures;    /* this many failures in a row over all lanes open the breaker; 0: 5 */
    uint32_t breaker_open_ms;     /* then one probe this often; 0: 1,000 */
    uint32_t patience_ms;         /* finish() keeps trying to empty the spool this long without progress; 0: 600,000 */

    const char *spool_dir;        /* NULL: no spool; a batch past its budget then fails the sink with AF_EIO */
    uint64_t spool_bytes_max;     /* 0: 4 GiB; full: put waits (back-pressure), and fails with AF_EFULL after patience_ms */
    const char *dead_letters_dir; /* refused lines and rejected rows; NULL: they fail the sink (strict) */
    const char *run_id;           /* in the names of dead-letter files */
    uint64_t seed;                /* of the jitter; 0: random */
    const bool *cancel;           /* may be NULL: put and finish end with AF_ECANCELED */
};

struct af_sink_stats {
    uint64_t lines_put, values_put;
    uint64_t lines_written;       /* acknowledged by the store */
    uint64_t lines_rejected;      /* dead letters: refused by the store */
    uint64_t rows_rejected;       /* dead letters: given to af_sink_reject and no lines */
    uint64_t lines_spooled;       /* now waiting in the spool */
    uint64_t batches_written, batches_spooled /* ever */, retries, splits;
    uint64_t bytes_put, bytes_sent;
    uint64_t spool_bytes;
    bool breaker_is_open;
    char last_error[256];         /* of the store, for progress lines; "" when well */
};

struct af_sink;

/* Opens spool and dead letters; a spool left by an earlier run is taken up first, before any new line of any lane (so its order
 * holds even when the number of lanes changed). The store is borrowed.
 *   AF_EBUSY     another process uses the spool
 *   AF_ECORRUPT  a block of the spool is broken: lines that counted as kept are lost. It was moved aside as *.corrupt, and the spool
 *                stays shut until somebody removes that file, which says that the loss is known and mended */
AF_MUST_CHECK enum af_status af_sink_open(struct af_store *store, const struct af_sink_options *options, struct af_sink **out,
                                          struct af_error *err);

uint32_t af_sink_lanes(const struct af_sink *sink);

/* Begin a unit. `file` and `row_group` go to dead letters. It settles after af_sink_unit_end and its last line. */
AF_MUST_CHECK enum af_status af_sink_unit_begin(struct af_sink *sink, uint64_t unit_id, const char *file, uint32_t row_group,
                                                af_sink_settled settled, void *ctx, struct af_sink_unit **out,
                                                struct af_error *err);
void af_sink_unit_end(struct af_sink *sink, struct af_sink_unit *unit);

/* Take the lines of `text` (copied) for `lane`; text->rows are relative to first_row of the file. Waits when the lane's queue is full.
 * A failure is final: the store refused the credentials, the bucket is not there, the spool failed; every later call gives it again. */
AF_MUST_CHECK enum af_status af_sink_put(struct af_sink *sink, struct af_sink_unit *unit, uint32_t lane,
                                         const struct af_lp_text *text, uint64_t first_row, struct af_error *err);

/* A row that never became a line, or a line that the store refused on another way. Written to the dead letters (fsynced by the time its
 * unit settles). */
struct af_sink_reject {
    uint64_t row;
    const char *column;   /* may be NULL */
    const char *reason;
    bool is_line;         /* `raw` is line protocol in ns */
    struct af_slice raw;  /* else JSON if it starts with '{', else bytes */
};
AF_MUST_CHECK enum af_status af_sink_reject(struct af_sink *sink, struct af_sink_unit *unit, const struct af_sink_reject *reject,
                                            struct af_error *err);

/* Everything put so far is written, rejected or (after patience) left in the spool: then AF_EIO, and lines_spooled says how much. */
AF_MUST_CHECK enum af_status af_sink_finish(struct af_sink *sink, struct af_error *err);
void af_sink_stats(struct af_sink *sink, struct af_sink_stats *out);
/* Stops the lanes. What is queued and not settled is dropped: its unit never settles. Call finish first. */
void af_sink_close(struct af_sink *sink);

/* The dead-letter file of this run, or NULL if nothing was rejected. One JSON object a line: file, row_group, row, column, reason,
 * and the row (`row_data`) or the line (`line`). */
const char *af_sink_dead_letters(const struct af_sink *sink);
#endif
