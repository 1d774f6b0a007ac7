/*
 * load.h - one source into one store with nothing kept on this machine: what a worker of a fleet and the Lambda loader do with an object.
 *
 * ingest reads and maps, sink sends with retries; there is no spool and no journal, because whoever gave the source gives it again
 * when it was not finished. Rows that are refused are collected as dead letters (JSON lines, sink/sink.h) in a file below scratch_dir,
 * handed to `letters` at the end, and removed.
 */
#ifndef AF_LOAD_LOAD_H
#define AF_LOAD_LOAD_H
#include "ingest/ingest.h"
#include "store/store.h"

struct af_load_options {
    struct af_store *store;
    const struct af_source_list *sources;  /* all of them, in order; usually one */
    const struct af_map *map;              /* NULL: detected per file */
    bool infer;
    const struct af_map_override *override;
    unsigned workers;                      /* 0: one a processor */
    uint32_t lanes;                        /* 0: 2 */
    uint64_t memory_bytes;                 /* 0: AF_MEMORY_DEFAULT */
    const char *scratch_dir;               /* NULL: /tmp */
    uint32_t retry_budget_ms;              /* a batch is tried this long; 0: 60,000 */
    int64_t deadline_mono_ns;              /* AF_ECANCELED when it comes, whatever was written stays written; 0: none */
    const bool *cancel;                    /* may be NULL */
    /* The refused rows, once, if there are any: a file of JSON lines that is gone afterwards. A failure is that of the load. */
    enum af_status (*letters)(void *ctx, const char *path, uint64_t count, struct af_error *err);
    void *ctx;
};
struct af_load_result {
    struct af_ingest_totals totals;
    uint64_t points_written, values_written, rows_rejected /* rows and lines, for whatever reason */, bytes_sent, batches, retries;
    char dataset[64];                      /* name of the mapping of the first file */
    char reason[256];                      /* of the first refused row, or why a file could not be read; "" */
};
/* AF_OK: every row of every source is written or among the letters. Otherwise what was written may be written again. */
AF_MUST_CHECK enum af_status af_load_run(const struct af_load_options *options, struct af_load_result *out, struct af_error *err);
#endif
