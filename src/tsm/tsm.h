/*
 * tsm.h - the embedded engine: points of many buckets in a directory, in InfluxDB's own TSM format.
 *
 *     write --> check --> WAL (group commit, one fsync for all waiters) --> cache --> acknowledged
 *                                                                            |  half full
 *                                                                         flush --> TSM files --> compaction
 *     scan <-- merge of cache and files, one series at a time, in time order
 *
 *     DIR/LOCK                                             one owner
 *     DIR/reserve                                          room for deletions on a full disk (drop.c), may be missing
 *     DIR/wal/NNNNNNNNNN.wal                               ours: InfluxDB's has no checksum. One log for all buckets
 *     DIR/engine/data/<bucket, 16 hex>/series              series index, may be deleted, is rebuilt from the TSM files
 *     DIR/engine/data/<bucket>/shards                      which shard covers which time
 *     DIR/engine/data/<bucket>/autogen/<shard>/G-S.tsm     as InfluxDB 2.x lays it out, tombstones beside
 *     DIR/engine/data/<bucket>/autogen/<shard>/G-S.stats   statistics, may be deleted, are rebuilt
 *     DIR/engine/data/<bucket>/autogen/<shard>/fields      types of fields, may be deleted, is rebuilt
 *
 * Promises: a write that returned AF_OK survives kill -9 and power loss. A failed fsync makes the engine read-only for good (until it is
 * opened again); it is never tried again. A full disk refuses writes at once (AF_EFULL) and heals when there is room.
 *
 * Threads: all calls from any thread, except open and close. Background: one thread that flushes and one that compacts and expires, so
 * that a long compaction never keeps the cache from being emptied.
 */
#ifndef AF_TSM_TSM_H
#define AF_TSM_TSM_H
#include "data/points.h"
#include "store/store.h"

struct af_tsm;

struct af_tsm_options {
    const char *dir;                  /* made if it is not there */
    size_t cache_bytes;               /* 0: AF_TSM_CACHE_BYTES. Writers wait while the cache holds so much */
    uint32_t cache_wait_ms;           /* 0: 10,000; then AF_EBUSY */
    uint64_t compact_bytes_per_s;     /* 0: 48 MiB/s; UINT64_MAX: as fast as it goes */
    uint32_t cold_s;                  /* a cache without writes for so long is flushed; 0: 600 */
    bool is_manual;                   /* no thread of its own: flushes happen in writes, compaction when told (simulations, builds) */
    bool no_wal;                      /* points are durable with the next flush, not before: bulk building, restores */
    bool no_compaction;               /* none in the background, only by af_tsm_compact: what is built is compacted once, at its end */
    int64_t (*now_ns)(void *ctx);     /* NULL: the clock */
    void (*say)(void *ctx, const char *words); /* what an operator should know: recovery, damage, full disk. NULL: nobody */
    void *ctx;
};

/* Replays the log. AF_EBUSY: another process has the directory (message names its pid). AF_ECORRUPT: names the file and what to do. */
AF_MUST_CHECK enum af_status af_tsm_open(const struct af_tsm_options *options, struct af_tsm **out, struct af_error *err);
/* Flushes nothing: the log has it. */
void af_tsm_close(struct af_tsm *engine);

/* --- buckets --------------------------------------------------------------------------------------------------------------- */

struct af_tsm_bucket {
    uint64_t id;
    int64_t retention_ns;  /* 0: for ever */
    int64_t shard_ns;      /* length of a shard group; 0: InfluxDB's default for the retention */
};
/* Make it or change its settings. Names and owners live in meta/. */
AF_MUST_CHECK enum af_status af_tsm_bucket_set(struct af_tsm *engine, const struct af_tsm_bucket *bucket, struct af_error *err);
/* With all its data; on a full disk too. Absent is fine. A bucket of the same id is made after its points have left the log: that may fail
 * then. */
AF_MUST_CHECK enum af_status af_tsm_bucket_drop(struct af_tsm *engine, uint64_t id, struct af_error *err);
bool af_tsm_bucket_has(struct af_tsm *engine, uint64_t id, struct af_tsm_bucket *out); /* out may be NULL */
int64_t af_tsm_default_shard_ns(int64_t retention_ns);

/* --- writing --------------------------------------------------------------------------------------------------------------- */

/* What was not kept; the other points were. The words are InfluxDB's. */
struct af_tsm_verdict {
    uint64_t conflicts;            /* points dropped: a field has another type in that shard */
    uint64_t expired;              /* points dropped: older than the retention */
    uint64_t too_long;             /* points dropped: a string past AF_TSM_STRING_BYTES_MAX, a key past AF_LP_KEY_BYTES_MAX, or one that
                                      holds the separator of keys and fields; keys past AF_TSM_BATCH_KEYS_BYTES_MAX in one write; a time
                                      that needs a shard past AF_TSM_SHARDS_MAX or AF_TSM_NEW_SHARDS_MAX */
    char reason[512];              /* of the first conflict, else of what is past the retention, else of what is too long: `field type
                                      conflict: input field "v" on measurement "m" is type integer, already exists as type float`,
                                      `points beyond retention policy`, ... */
    uint32_t *dropped_rows;        /* in the caller's arena: rows of the points, ascending */
    const char *const *dropped_reasons; /* of each of these, likewise */
    size_t dropped_row_count;
    struct af_tsm_expired {        /* the oldest and the newest point that are past the retention; with `expired` > 0 */
        uint32_t oldest_row, newest_row;
        int64_t bound_ns;          /* what is before this is dropped */
    } expired_rows;
};
struct af_tsm_write {
    uint64_t bucket;
    const struct af_points *points;
    struct af_arena *arena;        /* working memory, the caller's to reset afterwards */
    struct af_tsm_series_memo *memo; /* may be NULL: remembers ids of a series set between calls; one thread's own */
};
/* Durable when it returns. AF_ENOTFOUND: no such bucket. AF_EBUSY: the cache is full and could not be emptied in time. AF_EFULL: the disk
 * is full. AF_EIO: the engine is read-only after a failed fsync. */
AF_MUST_CHECK enum af_status af_tsm_write(struct af_tsm *engine, const struct af_tsm_write *write, struct af_tsm_verdict *out,
                                          struct af_error *err);
struct af_tsm_series_memo *af_tsm_series_memo_new(void); /* NULL without memory */
void af_tsm_series_memo_free(struct af_tsm_series_memo *memo);

/*
 * Writing in two steps, for who builds in bulk (no_wal) and has an order of their own: what needs no order first, by several threads at
 * once; then batch by batch into the cache.
 */
struct af_tsm_batch;
/* Size of keys and strings, retention, shards, series ids. The batch lives in the write's arena until that is reset and needs the points
 * until then, but not their series set. `out` says what was dropped so far. AF_EINVAL: the engine has a log. */
AF_MUST_CHECK enum af_status af_tsm_prepare(struct af_tsm *engine, const struct af_tsm_write *write, struct af_tsm_verdict *out,
                                            struct af_tsm_batch **out_batch, struct af_error *err);
/* Types of fields, then into the cache; in the order in which batches are applied later values win. Once a batch. `out` says what this step
 * dropped: conflicts. *out_stretch: durable when af_tsm_durable has come so far; 0: nothing of it was kept. */
AF_MUST_CHECK enum af_status af_tsm_apply(struct af_tsm_batch *batch, struct af_tsm_verdict *out, uint64_t *out_stretch,
                                          struct af_error *err);
/* The series key of a row that `prepare` has not dropped. Stays as long as the bucket is there. */
struct af_slice af_tsm_batch_key(const struct af_tsm_batch *batch, uint32_t row);
/* Every batch of this stretch and of those before is in synced TSM files. */
uint64_t af_tsm_durable(struct af_tsm *engine);

/* --- the seam -------------------------------------------------------------------------------------------------------------- */

/* A bucket as a store (store/store.h): write takes line protocol. The engine outlives it. `name` is for messages. */
AF_MUST_CHECK enum af_status af_tsm_store_open(struct af_tsm *engine, uint64_t bucket, const char *name, bool is_v1_rules,
                                               struct af_store **out, struct af_error *err);

/* --- keeping house --------------------------------------------------------------------------------------------------------- */

AF_MUST_CHECK enum af_status af_tsm_flush(struct af_tsm *engine, struct af_error *err);   /* cache to TSM files, log emptied */
/* One step of compaction where there is one; *out_done says whether there was. `full`: every shard to one generation. */
AF_MUST_CHECK enum af_status af_tsm_compact(struct af_tsm *engine, bool full, bool *out_done, struct af_error *err);
/* At the end of a build (no_compaction): every shard that was flushed to since the opening is one generation of blocks that do not overlap
 * and are nearly full, except large ones of which by far most is older. It is compacted where that is not so already.
 * AF_ECANCELED: *cancel became true; every shard is as good as before. */
AF_MUST_CHECK enum af_status af_tsm_compact_built(struct af_tsm *engine, const bool *cancel, struct af_error *err);
AF_MUST_CHECK enum af_status af_tsm_expire(struct af_tsm *engine, struct af_error *err);  /* drop shards past their retention */
/* A shard and all its points, those too that are acknowledged while it goes. Erase its time before: a crash on the way brings back what is
 * in the log alone. None of this id in the bucket: fine. */
AF_MUST_CHECK enum af_status af_tsm_drop_shard(struct af_tsm *engine, uint64_t bucket, uint64_t shard, struct af_error *err);
/* A real write and fsync of the log, for readiness. */
AF_MUST_CHECK enum af_status af_tsm_probe(struct af_tsm *engine, struct af_error *err);

/* Shards of a bucket, for backup, export and bulk load; in `arena`, by time. */
struct af_tsm_shard_info {
    uint64_t id;
    int64_t start_ns, end_ns;      /* [start, end) */
    const char *dir;
    size_t file_count;
    uint64_t bytes;
};
AF_MUST_CHECK enum af_status af_tsm_shards(struct af_tsm *engine, uint64_t bucket, struct af_arena *arena,
                                           struct af_tsm_shard_info **out, size_t *out_count, struct af_error *err);
/* A consistent copy of a bucket: flush, then hard links (copies on another file system) of every TSM file with tombstones already applied,
 * under `dir`/<shard>/. Fsynced. */
AF_MUST_CHECK enum af_status af_tsm_snapshot(struct af_tsm *engine, uint64_t bucket, const char *dir, struct af_error *err);
/* Take the TSM files of `dir` as data of the time [start_ns, end_ns): checked whole, linked or copied in as the newest generation; keys
 * go to the index. Times outside the range, broken blocks or other types of fields than the shard's are AF_EINVAL and nothing changes. */
AF_MUST_CHECK enum af_status af_tsm_install(struct af_tsm *engine, uint64_t bucket, int64_t start_ns, int64_t end_ns, const char *dir,
                                            struct af_error *err);

struct af_tsm_stats_now {
    uint64_t buckets, shards, files, series;
    uint64_t file_bytes, wal_bytes, cache_bytes, index_bytes;
    uint64_t points_written, values_written, points_dropped;
    uint64_t commits, syncs, flushes, compactions, bytes_flushed, bytes_compacted;
    uint64_t waits;                /* writes that waited for room in the cache */
    bool is_read_only;
    bool is_full;                  /* the disk, at the last try */
    bool is_flush_failing;         /* the cache could not be written out at the last try, for whatever reason; it is tried again */
    char why[256];                 /* it is read-only or full, or its flush fails */
};
void af_tsm_stats_get_now(struct af_tsm *engine, struct af_tsm_stats_now *out);

/* Check a directory that no process has open: every file whole, every block decoded, everything where it belongs. Faults in words. */
struct af_tsm_fsck {
    uint64_t shards, files, blocks, points, faults;
    uint64_t wal_records, wal_torn_bytes;
};
AF_MUST_CHECK enum af_status af_tsm_fsck(const char *dir, bool repair, void (*fault)(void *ctx, const char *words), void *ctx,
                                         struct af_tsm_fsck *out, struct af_error *err);
#endif
