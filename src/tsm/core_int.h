/*
 * core_int.h - what the engine's core shares among its own files: engine.c, drop.c, shard.c, manifest.c, write.c, flush.c, keeper.c,
 * view.c, store.c, install.c, built.c. The parts below them (log, index, caches, files) know only tsm_int.h.
 */
#ifndef AF_TSM_CORE_INT_H
#define AF_TSM_CORE_INT_H
#include "tsm/tsm_int.h"

/* --- engine.c -------------------------------------------------------------------------------------------------------------- */

int64_t core_now_ns(const struct af_tsm *engine);
char *core_printf(const char *fmt, ...) AF_PRINTF(1, 2); /* allocated; NULL without memory */
void core_copy_words(char *out, size_t cap, const char *words); /* cut where it does not fit */
bool core_grow(void **array, size_t *cap, size_t need, size_t bytes);
/* An fsync failed, of whatever file: the words of os/ say so. Such a failure makes the engine read-only. */
bool core_is_sync_failure(const struct af_error *err);
/* Hand `why` on as the caller's error, after a failed fsync has made the engine read-only. AF_OK stays AF_OK. */
AF_MUST_CHECK enum af_status core_settle(struct af_tsm *engine, enum af_status status, const struct af_error *why, struct af_error *err);
/* AF_EIO with the reason when the engine is read-only. */
AF_MUST_CHECK enum af_status core_check_writable_locked(const struct af_tsm *engine, struct af_error *err);

/* --- shard.c: buckets and shards as objects -------------------------------------------------------------------------------- */

/* [start, end) of the group that a time falls into, without regard to other groups. */
void core_group_of(int64_t shard_ns, int64_t time_ns, int64_t *out_start, int64_t *out_end);
int64_t core_shard_ns(const struct af_tsm_bucket *settings); /* the default filled in */

/* A bucket without shards over its directory (which is there). Its index is opened; AF_ECORRUPT as af_index_open. */
AF_MUST_CHECK enum af_status core_bucket_new(const char *data_dir, const struct af_tsm_bucket *settings, struct af_bucket **out,
                                             struct af_error *err);
/* Takes the reference. */
AF_MUST_CHECK enum af_status core_bucket_add_locked(struct af_tsm *engine, struct af_bucket *bucket, struct af_error *err);
/* Out of the tables, marked as dropped. */
void core_bucket_remove_locked(struct af_tsm *engine, struct af_bucket *bucket);

/* Writers enter and leave; for who must meet none of them it is closed and opened again (struct af_gate). */
void core_gate_enter(struct af_gate *gate);
void core_gate_leave(struct af_gate *gate);
void core_gate_close(struct af_gate *gate);
void core_gate_open(struct af_gate *gate);

/* The bucket with the lowest id that is not less: a reference, or NULL. */
struct af_bucket *core_bucket_from(struct af_tsm *engine, uint64_t id);

/* A shard without files, in no table yet. */
AF_MUST_CHECK enum af_status core_shard_new(struct af_bucket *bucket, uint64_t id, int64_t start_ns, int64_t end_ns,
                                            struct af_shard **out, struct af_error *err);
/* Into the tables of bucket and engine, which take a reference each. */
AF_MUST_CHECK enum af_status core_shard_add_locked(struct af_tsm *engine, struct af_shard *shard, struct af_error *err);
void core_shard_remove_locked(struct af_tsm *engine, struct af_shard *shard);
bool core_shard_holds(const struct af_shard *shard, int64_t time_ns);
/* The shard of a time; NULL: there is none. No reference. */
struct af_shard *core_shard_at_locked(const struct af_bucket *bucket, int64_t time_ns);
/* Made where there is none. No reference. */
AF_MUST_CHECK enum af_status core_shard_need_locked(struct af_tsm *engine, struct af_bucket *bucket, int64_t time_ns,
                                                    struct af_shard **out, struct af_error *err);
/* By its id, or NULL. No reference. */
struct af_shard *core_shard_by_id_locked(const struct af_tsm *engine, uint64_t id);
struct af_files *core_files_empty(void);

/* --- manifest.c: which shard covers which time, on disk -------------------------------------------------------------------- */

/* Write the bucket's manifest if the one on disk is older. Takes engine->catalog. */
AF_MUST_CHECK enum af_status core_manifest_save(struct af_tsm *engine, struct af_bucket *bucket, struct af_error *err);
/* The caller holds engine->catalog. */
AF_MUST_CHECK enum af_status core_manifest_save_locked(struct af_tsm *engine, struct af_bucket *bucket, struct af_error *err);
/* Every bucket of the data directory into the engine's tables, with shards, files, types and index. */
AF_MUST_CHECK enum af_status core_load(struct af_tsm *engine, struct af_error *err);

/* --- drop.c: buckets taken away, and the room that is set aside for deletions ------------------------------------------------ */

/* Set the room aside, if it is not, there is enough, and points are served from here. */
void core_reserve_make(struct af_tsm *engine);
/* Something that deletes and may be done twice; once more with that room if it fails with AF_EFULL. */
typedef enum af_status (*core_deletion)(void *ctx, struct af_error *err);
AF_MUST_CHECK enum af_status core_delete(struct af_tsm *engine, core_deletion call, void *ctx, struct af_error *err);
/* The log may have points of a bucket that is gone; until all of it was flushed (core_flush_all_locked) no bucket of this id is made. */
AF_MUST_CHECK enum af_status core_note_departed(struct af_tsm *engine, uint64_t id, struct af_error *err);
bool core_is_departed(struct af_tsm *engine, uint64_t id);
void core_forget_departed(struct af_tsm *engine);

/* --- write.c --------------------------------------------------------------------------------------------------------------- */

/* Records of the log, applied as they were when they were written. */
struct core_replay {
    struct af_tsm *engine;
    struct af_arena arena;          /* of one record */
    struct af_series_set set;
    uint64_t orphan_points;         /* of buckets that are gone */
    uint64_t conflict_points;
};
AF_MUST_CHECK enum af_status core_replay(void *replay, uint64_t ticket, struct af_slice payload, struct af_error *err);

/* --- flush.c --------------------------------------------------------------------------------------------------------------- */

/* One round: freeze what is active unless there is a frozen cache already, write it out. A failure is in the engine's state and told, so
 * callers need not look. */
enum af_status core_flush_once(struct af_tsm *engine, struct af_error *err);
/* All that was acknowledged before. The caller holds engine->flush. */
AF_MUST_CHECK enum af_status core_flush_all_locked(struct af_tsm *engine, struct af_error *err);
/* Is there something that should be flushed now? */
bool core_wants_flush_locked(struct af_tsm *engine, int64_t mono_ns);

/* --- keeper.c -------------------------------------------------------------------------------------------------------------- */

AF_MUST_CHECK enum af_status core_keepers_start(struct af_tsm *engine, struct af_error *err);
void core_keepers_stop(struct af_tsm *engine);
enum core_compact {
    CORE_COMPACT_LEVELS,            /* what InfluxDB's levels say */
    CORE_COMPACT_FULL,              /* to one generation */
    CORE_COMPACT_WHOLE,             /* also if it is one: its files are written anew */
};
AF_MUST_CHECK enum af_status core_compact_shard(struct af_tsm *engine, struct af_shard *shard, enum core_compact how, bool *out_done,
                                                struct af_error *err);
#endif
