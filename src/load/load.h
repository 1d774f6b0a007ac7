/*
 * load.h - sources into a store: the spine that every way of loading shares, and one load with nothing kept on this machine, which is what
 * a worker of a fleet and the Lambda loader do with an object.
 *
 *     spine    worker: map, encode into lanes (parallel)      turn: rejects, put to the sink (in order)      sink: settles units
 *
 * In a load, ingest reads and maps, sink sends with retries; there is no spool and no journal, because whoever gave the source gives it
 * again when it was not finished. Rows that are refused are collected as dead letters (JSON lines, sink/sink.h) in a file below
 * scratch_dir, handed to `letters` at the end, and removed.
 */
#ifndef AF_LOAD_LOAD_H
#define AF_LOAD_LOAD_H
#include "ingest/ingest.h"
#include "os/thread.h"
#include "sink/sink.h"
#include "store/store.h"

/* --- the spine ----------------------------------------------------------------------------------------------------------- */

/*
 * A stage of ingest (ingest/ingest.h) before a sink. Units are row groups and stretches: unit_id = source << 32 | part. What is given
 * is set before the run, the rest is the spine's own and changes under the turn.
 */
struct af_load_spine {
    struct af_sink *sink;               /* NULL: blocks are encoded and go nowhere (a dry run) */
    const struct af_source_list *sources;
    uint32_t lanes;
    enum af_precision precision;        /* of the text for the sink */
    af_sink_settled settled;            /* may be NULL; any thread */
    void (*last)(void *ctx, uint64_t unit_id, bool is_bad);  /* before this unit ends: its source has no other. May be NULL */
    void (*end)(void *ctx, struct af_sink_unit *unit);       /* instead of af_sink_unit_end, which the caller does later; NULL */
    void *ctx;
    struct af_sink_unit *unit;
    uint64_t unit_id;
    bool has_bad;                       /* `bad` waits until its unit is open */
    uint64_t bad_row;
    char bad[sizeof((struct af_error *)0)->message + 64];
};
/* The stage that encodes and puts. */
struct af_ingest_stage af_load_stage(struct af_load_spine *spine);
/* For stages of other kinds, in their deliver. Before a block's points: its unit, and rows that are no points. After them: the end of
 * its file. */
AF_MUST_CHECK enum af_status af_load_begin_block(struct af_load_spine *spine, const struct af_ingest_block *block, struct af_error *err);
void af_load_end_block(struct af_load_spine *spine, const struct af_ingest_block *block);
/* In ingest's bad_source: these rows become one dead letter, with the next block. */
void af_load_bad_rows(struct af_load_spine *spine, uint64_t first_row, uint64_t rows, const struct af_error *why);

/* How memory is divided: half of it is the sink's (blocks of each lane, one from the spool and one compressed), half the workers'. */
size_t af_load_batch_bytes(uint64_t memory_bytes, uint32_t lanes);  /* of a request */
unsigned af_load_workers(uint64_t wanted, uint64_t memory_bytes);   /* wanted 0: as many as there are processors and memory for */

/* --- the end of a time --------------------------------------------------------------------------------------------------- */

/* *flag rises when `end_mono_ns` (0: never) comes or *cancel (may be NULL) is up, within some tens of milliseconds. */
struct af_load_watch {
    int64_t end_mono_ns;
    const bool *cancel;
    bool *flag;                         /* through __atomic builtins, as `came` is */
    bool came;
    bool is_over;                       /* under lock */
    struct af_thread thread;
    struct af_mutex lock;
    struct af_cond cond;
};
AF_MUST_CHECK enum af_status af_load_watch_begin(struct af_load_watch *watch, int64_t end_mono_ns, const bool *cancel, bool *flag,
                                                 struct af_error *err);
void af_load_watch_end(struct af_load_watch *watch); /* once after a begin that succeeded */
bool af_load_watch_came(const struct af_load_watch *watch); /* was it the time? */

/* --- one load ------------------------------------------------------------------------------------------------------------ */

struct af_load_options {
    struct af_store *store;
    const struct af_source_list *sources;  /* all of them, in order; usually one */
    const struct af_map *map;              /* NULL: detected per file */
    bool infer;
    const struct af_map_override *override;
    unsigned workers;                      /* 0: one a processor */
    uint32_t lanes;                        /* 0: 2 */
    uint64_t memory_bytes;                 /* 0: AF_MEMORY_DEFAULT */
    size_t batch_lines;                    /* of a request; 0: AF_SINK_BATCH_LINES */
    const char *scratch_dir;               /* NULL: /tmp */
    uint32_t retry_budget_ms;              /* a batch is tried this long; 0: 60,000 */
    int64_t deadline_mono_ns;              /* AF_ECANCELED when it comes, whatever was written stays written; 0: none */
    const bool *cancel;                    /* may be NULL */
    /* Becomes true when deadline or *cancel end the load, for what the sources' own calls poll (af_s3_options.cancel); through __atomic
     * builtins. May be NULL. */
    bool *flag;
    /* The refused rows, once, if there are any: a file of JSON lines that is gone afterwards. A failure is that of the load. */
    enum af_status (*letters)(void *ctx, const char *path, uint64_t count, struct af_error *err);
    void *ctx;
};
struct af_load_result {
    struct af_ingest_totals totals;
    uint64_t points_written, values_written, rows_rejected /* rows and lines, for whatever reason */, bytes_sent, batches, retries;
    bool store_failed;                     /* it was the store that ended the load: no fault of the source */
    char dataset[64];                      /* name of the mapping of the first file */
    char reason[256];                      /* of the first refused row, or why a file could not be read; "" */
};
/*
 * AF_OK: every row of every source is written or among the letters. Otherwise what was written may be written again; `out` says how
 * far it came. A row group that is damaged is one letter, and the rest of its file goes on; a file that cannot be opened, mapped or read
 * to its end fails the load with the reader's status (AF_ECORRUPT, AF_EINVAL ...: no repetition mends it), and one that could not be had
 * (AF_EIO, AF_EDENIED, AF_ECONFLICT: it was replaced meanwhile ...) does so at once.
 */
AF_MUST_CHECK enum af_status af_load_run(const struct af_load_options *options, struct af_load_result *out, struct af_error *err);
#endif
