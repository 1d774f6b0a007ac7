/*
 * tsm_int.h - the engine's parts and how they hold together.
 *
 *     af_tsm (engine.c) --- wal (wal.c)                the log: records in order of ticket
 *         |--- active, frozen caches (cache.c)         points not yet in files
 *         '--- bucket --- index (index.c)              series key <-> id, tags
 *                    '--- shard --- files (files.c)    refcounted set of TSM files, oldest first
 *                             '--- types (types.c)     measurement + field -> type
 *
 * Locks, in order (whoever holds one takes only later ones):
 *     shard->work     compaction, erasing: who replaces files of a shard. A flush only adds files and does not take it
 *     engine->flush   one flush at a time; also held while buckets and shards are dropped, files are taken in, and a deletion chooses files
 *     engine->catalog buckets come and go, manifests are written
 *     (the log's pause, or engine->apply without a log: no write is between the log and the cache)
 *     engine->lock    buckets, shards, settings, which caches and file sets are current; never held over I/O
 *     a bucket's gate, index lock, types lock, cache lock, wal lock, engine->reserve
 *     a digest's lock (its days are made), the lock of all digests
 * shard->work comes first because its holder works for minutes: nobody who holds another lock may wait for it.
 *
 * The life of a write: resolve series (index), pick shards, check types, encode the record -- all without order. Then the log gives it a
 * ticket and makes it durable; then it is applied to the active cache in order of ticket, as replay would.
 *
 * The life of a flush: no write between the log and the cache (af_wal_pause), the active cache is frozen, a new segment begins; the frozen
 * cache is written to TSM files, which are installed in the same moment in which the frozen cache is dropped (engine->lock): a reader
 * sees every point once. Then older segments of the log are deleted.
 *
 * Readers hold references: on caches and on file sets (a view). Files that compaction replaced are unlinked at once, and closed with the
 * last reference.
 */
#ifndef AF_TSM_INT_H
#define AF_TSM_INT_H
#include "format/tsm/tsm.h"
#include "os/file.h"
#include "os/thread.h"
#include "tsm/tsm.h"

/* --- wal.c ------------------------------------------------------------------------------------------------------------------ */

/*
 * A segment: "AFWAL" 1 0 0, u64 number; then records: u32 word, u32 crc32 of (payload, word, ticket), u64 ticket, payload. Little-endian.
 * The word: length, bit 31: first of its group, bit 30: fsck knows of the tickets that are missing before it. Tickets ascend by one over
 * all segments. Replay ends at the first record of the last segment that is not whole, if no other group begins behind it (a torn tail,
 * never acknowledged: cut off and told). A broken record with a later group behind it, or in an earlier segment, is AF_ECORRUPT.
 * Empty payloads are not replayed.
 *
 * Group commit: appenders queue; the first becomes the leader, writes what is queued in one write, syncs once, wakes all.
 */
struct af_wal;
typedef enum af_status (*af_wal_replay)(void *ctx, uint64_t ticket, struct af_slice payload, struct af_error *err);
struct af_wal_report {
    uint64_t records, torn_bytes;
    const char *torn_file; /* NULL: nothing was torn; lives as long as the log (af_wal_check: NULL) */
};
AF_MUST_CHECK enum af_status af_wal_open(const char *dir, af_wal_replay replay, void *ctx, struct af_wal **out,
                                         struct af_wal_report *out_report, struct af_error *err);
void af_wal_close(struct af_wal *wal);
/* For fsck, nobody has it open: every whole record is replayed (`replay` may be NULL), faults (a torn tail is none) are told in words and
 * passed over. `repair`: damaged segments are rewritten without what is broken, the old ones kept as NNNNNNNNNN.wal.bad. A torn tail stays:
 * opening cuts it. No directory is an empty log. */
AF_MUST_CHECK enum af_status af_wal_check(const char *dir, bool repair, af_wal_replay replay, void *replay_ctx,
                                          void (*fault)(void *ctx, const char *words), void *fault_ctx,
                                          struct af_wal_report *out_report, struct af_error *err);
/* Durable when it returns; then the caller applies it and says af_wal_applied. AF_EFULL: nothing is in the log, try later. A failed
 * fsync: AF_EIO now and for every later append. */
AF_MUST_CHECK enum af_status af_wal_append(struct af_wal *wal, struct af_slice payload, uint64_t *out_ticket, struct af_error *err);
/* Wait until every earlier ticket has been applied. */
void af_wal_wait_turn(struct af_wal *wal, uint64_t ticket);
void af_wal_applied(struct af_wal *wal, uint64_t ticket);
/* No append is between its queueing and its af_wal_applied from here to resume; appends wait. */
void af_wal_pause(struct af_wal *wal);
/* Begin a new segment; *out_first: its number. Records before are in lower ones. While paused. */
AF_MUST_CHECK enum af_status af_wal_rotate(struct af_wal *wal, uint64_t *out_first, struct af_error *err);
void af_wal_resume(struct af_wal *wal);
AF_MUST_CHECK enum af_status af_wal_drop_before(struct af_wal *wal, uint64_t segment, struct af_error *err);
AF_MUST_CHECK enum af_status af_wal_probe(struct af_wal *wal, struct af_error *err); /* an empty record, synced */
uint64_t af_wal_bytes(struct af_wal *wal);
uint64_t af_wal_syncs(struct af_wal *wal);
bool af_wal_is_sick(struct af_wal *wal, char *out_why, size_t cap); /* a failed fsync: read-only for good */

/* --- record.c: what a record of the log says: one batch of points of one bucket, self-contained (keys, not ids) -------------------- */

/* Rows with series UINT32_MAX are left out; so is all else they alone needed (keys, fields). */
AF_MUST_CHECK enum af_status af_record_encode(uint64_t bucket, const struct af_points *points, struct af_buf *out, struct af_error *err);
/* Everything in `arena`; `set` is cleared and filled with the record's keys. */
AF_MUST_CHECK enum af_status af_record_decode(struct af_slice payload, struct af_arena *arena, struct af_series_set *set,
                                              uint64_t *out_bucket, struct af_points *out, struct af_error *err);

/* --- index.c: the series of a bucket -------------------------------------------------------------------------------------------- */

/*
 * Ids are dense, in order of appearance, and are never used again for another key. On disk a log of records (crc each) that is appended
 * at flushes, before the TSM files that need it; lost or damaged it is rebuilt from the TSM files' keys. In memory: the keys, a hash
 * table of 8 bytes a slot, the measurement of each series; tag postings are made per measurement when first asked for.
 */
struct af_index;
enum { AF_INDEX_NONE = UINT32_MAX };
/* AF_ECORRUPT: the caller removes the file and opens again, then adds every key of its TSM files. */
AF_MUST_CHECK enum af_status af_index_open(const char *path, struct af_index **out, struct af_error *err);
void af_index_close(struct af_index *index);
/* The file ended before its last record did, or had none: keys of TSM files may be missing, add them. */
bool af_index_is_torn(const struct af_index *index);
AF_MUST_CHECK enum af_status af_index_add(struct af_index *index, struct af_slice key, uint32_t *out_id, struct af_error *err);
uint32_t af_index_find(struct af_index *index, struct af_slice key); /* AF_INDEX_NONE; hidden ones are found too */
/* Ids of the points' rows (AF_INDEX_NONE where the row is none), in `arena`; new series are added. */
AF_MUST_CHECK enum af_status af_index_resolve(struct af_index *index, const struct af_points *points, struct af_tsm_series_memo *memo,
                                              struct af_arena *arena, uint32_t **out_ids, struct af_error *err);
/* The key: stays where it is as long as the index is open. */
struct af_slice af_index_key(struct af_index *index, uint32_t id);
uint32_t af_index_measurement(struct af_index *index, uint32_t id);          /* dense number of its measurement */
struct af_slice af_index_measurement_name(struct af_index *index, uint32_t measurement); /* as in keys, escaped */
uint32_t af_index_measurement_find(struct af_index *index, struct af_slice name_escaped); /* AF_INDEX_NONE */
uint32_t af_index_measurement_count(struct af_index *index);
/* Live series of a measurement (AF_INDEX_NONE: all) that match, in order of key + separator; in `arena`. */
AF_MUST_CHECK enum af_status af_index_select(struct af_index *index, uint32_t measurement, const struct af_predicate *predicate,
                                             struct af_arena *arena, uint32_t **out_ids, size_t *out_count, struct af_error *err);
/* Tags of the live series of a measurement that match; unescaped, sorted bytewise, each once. The texts live as long as
 * the index. */
AF_MUST_CHECK enum af_status af_index_tag_keys(struct af_index *index, uint32_t measurement,
                                               const struct af_predicate *predicate, struct af_arena *arena, struct af_slice **out,
                                               size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status af_index_tag_values(struct af_index *index, uint32_t measurement, struct af_slice tag,
                                                 const struct af_predicate *predicate, struct af_arena *arena, struct af_slice **out,
                                                 size_t *out_count, struct af_error *err);
/* Of these keys the live series of the measurement that match, in the order of the keys; in `arena`. */
AF_MUST_CHECK enum af_status af_index_pick(struct af_index *index, uint32_t measurement, const struct af_predicate *predicate,
                                           const struct af_slice *keys, size_t key_count, struct af_arena *arena, uint32_t **out_ids,
                                           size_t *out_count, struct af_error *err);
/* How many measurements (of one: 1 or 0) have live series that match, and how many series these are. Without a predicate no series is
 * looked at. */
AF_MUST_CHECK enum af_status af_index_counts(struct af_index *index, uint32_t measurement, const struct af_predicate *predicate,
                                             struct af_arena *arena, uint64_t *out_measurements, uint64_t *out_series,
                                             struct af_error *err);
/* Series of one measurement put into groups that are equal in `tags` (unescaped, ascending): *out_groups[i] is that of ids[i]. Groups are
 * numbered in order of their values; out_values has `tag_count` for each, unescaped, empty where the tag is not there. */
AF_MUST_CHECK enum af_status af_index_group(struct af_index *index, uint32_t measurement, const uint32_t *ids, size_t id_count,
                                            const struct af_slice *tags, size_t tag_count, struct af_arena *arena, uint32_t **out_groups,
                                            struct af_slice **out_values, size_t *out_group_count, struct af_error *err);
/* Series without data any more are hidden from select and counts until they are added again (add, resolve) or shown. Hide only what has
 * no data while nothing is being applied (af_wal_pause); a writer that resolved before and applied after shows its ids when it
 * has applied: that costs one load where nothing is hidden. Both survive a reopen once they are synced. */
void af_index_hide(struct af_index *index, uint32_t id);
void af_index_show(struct af_index *index, const uint32_t *ids, size_t count); /* AF_INDEX_NONE among them is fine */
uint64_t af_index_count(struct af_index *index); /* live */
uint64_t af_index_bytes(struct af_index *index); /* memory */
AF_MUST_CHECK enum af_status af_index_sync(struct af_index *index, struct af_error *err); /* all ids so far are on disk */

/* --- types.c: the types of fields in a shard: the first write decides -------------------------------------------------------------- */

struct af_types;
/* AF_ECORRUPT, AF_ENOTFOUND: rebuild */
AF_MUST_CHECK enum af_status af_types_open(const char *path, struct af_types **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_types_new(const char *path, struct af_types **out, struct af_error *err);
void af_types_close(struct af_types *types);
/* The type that (measurement, field) has, after giving it `type` if it had none. */
AF_MUST_CHECK enum af_status af_types_claim(struct af_types *types, struct af_slice measurement, struct af_slice field,
                                            enum af_type type, enum af_type *out_has, struct af_error *err);
/* The fields of a measurement (escaped name), sorted by name, in `arena`. */
struct af_types_field {
    struct af_slice name;
    enum af_type type;
};
AF_MUST_CHECK enum af_status af_types_list(struct af_types *types, struct af_slice measurement, struct af_arena *arena,
                                           struct af_types_field **out, size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status af_types_sync(struct af_types *types, struct af_error *err); /* to disk, if changed */
/* The measurement has no data any more, and nobody is between a claim and the cache (core_gate_close): it has no fields until one is
 * claimed
 * again. Durable with af_types_settle, and before that claim returns. */
void af_types_forget(struct af_types *types, struct af_slice measurement);
AF_MUST_CHECK enum af_status af_types_settle(struct af_types *types, struct af_error *err); /* what was forgotten, to disk */

/* --- cache.c: points in memory, one generation --------------------------------------------------------------------------------- */

/*
 * Per (shard, series) the rows in order of arrival, in chunks that only grow at their end: a reader that knows how many rows there were
 * reads them while others are added. All memory is the generation's own and is freed with its last reference.
 */
struct af_cache;
struct af_cache_key {
    uint64_t shard;
    uint32_t series;
};
struct af_cache *af_cache_new(void); /* one reference */
/* The same, with the memory of `before` once that is gone, and so on. Nothing is put into `before` meanwhile. */
struct af_cache *af_cache_new_after(struct af_cache *before);
/* Of each series the rows past its last full block go to `to`, which is empty; cache_carry.c. How many generations the oldest of these have
 * seen, 0: none did. */
unsigned af_cache_carry(struct af_cache *from, struct af_cache *to);
struct af_cache *af_cache_ref(struct af_cache *cache);
void af_cache_unref(struct af_cache *cache);
/* Rows i with ids[i] != AF_INDEX_NONE, into shard shards[i] (`shards` NULL: all into `shard`). Atomic for readers. */
AF_MUST_CHECK enum af_status af_cache_put(struct af_cache *cache, const struct af_points *points, const uint32_t *ids,
                                          const uint64_t *shards, uint64_t shard, struct af_error *err);
size_t af_cache_bytes(struct af_cache *cache);
uint64_t af_cache_rows(struct af_cache *cache);
/* The shards that have rows, ascending; in `arena`. */
AF_MUST_CHECK enum af_status af_cache_shards(struct af_cache *cache, struct af_arena *arena, uint64_t **out, size_t *out_count,
                                             struct af_error *err);
/* The series of a shard that have rows, in no order. */
AF_MUST_CHECK enum af_status af_cache_series(struct af_cache *cache, uint64_t shard, struct af_arena *arena, uint32_t **out,
                                             size_t *out_count, struct af_error *err);
/* What there is of these series now, as one moment: handles for af_cache_field. handle.rows 0: nothing. */
struct af_cache_handle {
    const void *entry;
    size_t rows;
};
void af_cache_capture(struct af_cache *cache, uint64_t shard, const uint32_t *series, size_t count, struct af_cache_handle *out);
/* Fields of the captured rows. */
AF_MUST_CHECK enum af_status af_cache_fields(const struct af_cache_handle *handle, struct af_arena *arena, struct af_slice **out,
                                             size_t *out_count, struct af_error *err);
/* One field's points: sorted by time, the latest of equal times kept; in `arena`. count 0: none. */
AF_MUST_CHECK enum af_status af_cache_field(const struct af_cache_handle *handle, struct af_slice field, struct af_arena *arena,
                                            struct af_tsm_values *out, struct af_error *err);

/* All fields of the captured rows, in no order: cheaper than one after the other. */
struct af_cache_values {
    struct af_slice field;
    struct af_tsm_values values;
};
AF_MUST_CHECK enum af_status af_cache_all(const struct af_cache_handle *handle, struct af_arena *arena, struct af_cache_values **out,
                                          size_t *out_count, struct af_error *err);

/* --- files.c: the TSM files of a shard -------------------------------------------------------------------------------------------- */

struct af_digest;
struct af_tsm_part {                 /* one file; reference-counted */
    char *path;
    uint32_t generation, sequence;
    uint64_t bytes;                  /* of the TSM file */
    struct af_tsm_file *file;
    struct af_tsm_part *owner;       /* whose `file` and statistics these are (a reference); NULL: its own */
    _Atomic(struct af_tsm_stats *) stats; /* once asked for: af_part_stats */
    struct af_digest *digest;        /* digest.c's business */
    struct af_tsm_tomb *tombs;       /* sorted by key, ranges merged; in tomb_arena */
    size_t tomb_count;
    struct af_arena tomb_arena;
    _Atomic uint32_t refs;
    _Atomic bool is_doomed;          /* unlink with the last reference, if af_part_doom has not done it */
    bool is_unlinked;
    bool has_bad_blocks;             /* found when the statistics had to be made again: reads of them fail */
};
struct af_files {                    /* an immutable set, oldest first: later parts win */
    _Atomic uint32_t refs;
    uint32_t generation_max;         /* of all files that were ever in it, also of those moved aside: never use one again */
    size_t count;
    struct af_tsm_part *parts[];
};
/* Load every file of `dir`: temporaries are removed, a TSM file without a side file gets one. AF_ECORRUPT: moved aside as *.bad, told
 * through `say`, and *out_damaged is set: the shard then refuses to be compacted and scans of it fail by name until fsck has been run. */
AF_MUST_CHECK enum af_status af_files_open(const char *dir, void (*say)(void *ctx, const char *words), void *ctx, struct af_files **out,
                                           bool *out_damaged, struct af_error *err);
struct af_files *af_files_ref(struct af_files *files);
void af_files_unref(struct af_files *files);
/* The set with `remove` (which must be in it) replaced by `add`, in order of (generation, sequence). The old set stays the caller's, and so
 * do its references on `add`: the new set has references of its own. */
AF_MUST_CHECK enum af_status af_files_replace(struct af_files *files, struct af_tsm_part *const *remove, size_t remove_count,
                                              struct af_tsm_part *const *add, size_t add_count, struct af_files **out,
                                              struct af_error *err);
/* generation and sequence of the file name at the end of `path`: G-S.suffix. */
bool af_part_name_parse(const char *path, const char *suffix, uint32_t *out_generation, uint32_t *out_sequence);
/* `path` with ".tsm" replaced; NULL without memory. af_free. */
char *af_part_side_path(const char *path, const char *suffix);
/* Tombstones of a part of which only the path is known yet, for fsck: nothing else is opened. */
AF_MUST_CHECK enum af_status af_part_tombs_load(struct af_tsm_part *part, struct af_error *err);
AF_MUST_CHECK enum af_status af_part_open(const char *path, struct af_tsm_part **out, struct af_error *err);
void af_part_unref(struct af_tsm_part *part);
/* Unlink it now; the caller holds shard->work, or the part was in no set. Who reads it goes on reading.
 * Not with the last reference: a deletion that comes before would leave no tombstone on it, and a crash would bring the points back.
 * On failure the file is there as before, unless part->is_unlinked says that only what follows failed (an fsync of the directory). */
AF_MUST_CHECK enum af_status af_part_unlink(struct af_tsm_part *part, struct af_error *err);
/* The same for a part without tombstones whose values are elsewhere too; tried again with the last reference. While such a file is there,
 * nothing can be deleted from its shard (erase.c). */
void af_part_doom(struct af_tsm_part *part);
/* Its statistics, read when first asked for; live as long as the part. NULL: there are none. */
AF_MUST_CHECK enum af_status af_part_stats(struct af_tsm_part *part, struct af_tsm_stats **out, struct af_error *err);
/* Ranges of `part` that are deleted for `key`; NULL and 0: none. */
const struct af_tsm_tomb *af_part_tombs(const struct af_tsm_part *part, struct af_slice key, size_t *out_count);
/* Add tombstones: file rewritten, fsynced; the result is a new part over the same TSM file. */
AF_MUST_CHECK enum af_status af_part_erase(const struct af_tsm_part *part, const struct af_tsm_tomb *tombs, size_t count,
                                           struct af_tsm_part **out, struct af_error *err);

/* Writing parts: DIR/G-S.tsm.tmp, rolled at the limits (S + 1 ...); finish fsyncs files and directory and renames. */
struct af_part_writer;
AF_MUST_CHECK enum af_status af_part_writer_new(const char *dir, uint32_t generation, uint32_t sequence, uint64_t bytes_per_s,
                                                struct af_part_writer **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_part_writer_add(struct af_part_writer *writer, struct af_slice key, const struct af_tsm_values *values,
                                                struct af_error *err);
AF_MUST_CHECK enum af_status af_part_writer_copy(struct af_part_writer *writer, struct af_slice key, enum af_type type,
                                                 const struct af_tsm_block_ref *ref, struct af_slice raw, struct af_error *err);
/* The parts written, opened; in `arena`. 0 parts when nothing was added. On failure the temporaries are removed. */
AF_MUST_CHECK enum af_status af_part_writer_finish(struct af_part_writer *writer, struct af_arena *arena, struct af_tsm_part ***out,
                                                   size_t *out_count, struct af_error *err);
void af_part_writer_free(struct af_part_writer *writer);

/* --- values.c: values gathered and cut ---------------------------------------------------------------------------------------------- */

struct af_rows {                     /* of one type, in memory of their own that is used again */
    enum af_type type;
    size_t count, cap;
    int64_t *time_ns;
    void *fixed;                     /* 8 bytes each, or the bitmap */
    int32_t *offsets;
    struct af_buf text;
};
enum { AF_ROWS_TEXT_BYTES = 4 << 20 }; /* so much text fills rows, and a block, however few they are */
AF_MUST_CHECK enum af_status af_rows_init(struct af_rows *rows, enum af_type type, size_t cap, struct af_error *err);
void af_rows_done(struct af_rows *rows);
void af_rows_clear(struct af_rows *rows);
static inline bool af_rows_is_full(const struct af_rows *rows)
{
    return rows->count == rows->cap || rows->text.len >= AF_ROWS_TEXT_BYTES;
}
/* As many of rows [first, first + count) of `src` as make it full: *out_taken, at least one if it was not full. */
AF_MUST_CHECK enum af_status af_rows_append(struct af_rows *rows, const struct af_tsm_values *src, size_t first, size_t count,
                                            size_t *out_taken, struct af_error *err);
void af_rows_values(const struct af_rows *rows, struct af_tsm_values *out); /* a view */
/* Rows [first, first + count) as a view; bits that do not begin a word are copied into `arena`. */
AF_MUST_CHECK enum af_status af_values_slice(const struct af_tsm_values *src, size_t first, size_t count, struct af_arena *arena,
                                             struct af_tsm_values *out, struct af_error *err);
/* The first row whose time is not less than `time_ns`. */
size_t af_values_seek(const struct af_tsm_values *values, size_t from, int64_t time_ns);

/* --- merge.c: one key out of many places ------------------------------------------------------------------------------------------- */

/* A place with values of the key: blocks of a part (with the part's tombstones for it), or values in memory. Later pieces win. */
struct af_piece {
    struct af_tsm_part *part;                /* NULL: `values` */
    struct af_tsm_entry entry;               /* blocks live as long as the merge */
    const struct af_tsm_tomb *tombs;
    size_t tomb_count;
    struct af_tsm_values values;
};
struct af_merge;
/* Values in [start_ns, stop_ns) (stop INT64_MAX includes it) in ascending time, each time once. Pieces must have one type: others than the
 * last one's are left out, as InfluxDB does. Everything in `arena`. */
AF_MUST_CHECK enum af_status af_merge_open(const struct af_piece *pieces, size_t count, int64_t start_ns, int64_t stop_ns,
                                           struct af_arena *arena, struct af_merge **out, struct af_error *err);
/* The next stretch, at most a few blocks long, valid until the next call; count 0 is the end. */
AF_MUST_CHECK enum af_status af_merge_next(struct af_merge *merge, struct af_tsm_values *out, struct af_error *err);
void af_merge_close(struct af_merge *merge);
/* Has the key a row in the part that no tombstone covers? `arena` is reset. */
AF_MUST_CHECK enum af_status af_merge_has_rows(const struct af_tsm_part *part, const struct af_tsm_entry *entry, struct af_arena *arena,
                                               bool *out, struct af_error *err);
/* For who copies blocks as they are: is the next thing a whole block that no other piece, no tombstone and no end of the range touches?
 * Then *out_part and *out_ref name it, and af_merge_skip_block goes past it. */
bool af_merge_free_block(struct af_merge *merge, struct af_tsm_part **out_part, const struct af_tsm_block_ref **out_ref);
void af_merge_skip_block(struct af_merge *merge);
enum af_type af_merge_type(const struct af_merge *merge); /* AF_TYPE_NULL: there is nothing at all */

/* --- compact.c: which files become one, and the doing ------------------------------------------------------------------------------ */

struct af_shard;
/* InfluxDB's levels: a level is the sequence of a generation's first file, at most 4. 8 generations of level 1, 4 of levels 2 and 3, 4 of
 * level 4, or all when the shard is cold, has tombstones, or `full`. Returns the stretch of neighbours [first, first + count) of parts; 0:
 * nothing to do. */
void af_compact_plan(const struct af_files *files, bool full, size_t *out_first, size_t *out_count);
/* Merge parts [first, first + count) into new ones of the highest generation, sequence + 1. Blocks that are full, do not overlap and
 * have no tombstone are copied. Bounded memory: one key's blocks at a time. `cancel` is polled. */
AF_MUST_CHECK enum af_status af_compact_run(const char *dir, struct af_files *files, size_t first, size_t count, uint64_t bytes_per_s,
                                            const bool *cancel, struct af_arena *arena, struct af_tsm_part ***out, size_t *out_count,
                                            struct af_error *err);

/* --- salvage.c: what is good in a damaged TSM file ------------------------------------------------------------------------------------ */

struct af_salvage {
    uint64_t blocks, points, lost_blocks;
};
/* Nothing guards the keys in a file's index but the index's checksum: keys that `knows` does not know are lost. NULL: all are taken. */
typedef enum af_status (*af_salvage_knows)(void *ctx, struct af_slice series, struct af_slice field, bool *out, struct af_error *err);
struct af_salvage_calls {
    void *ctx;
    af_salvage_knows knows;
    void (*lost)(void *ctx, const char *words);
};
/* Write it to `to` and fsync that; what is lost is told in words. No file is made when nothing is good. The index is read into memory. */
AF_MUST_CHECK enum af_status af_tsm_salvage(const char *from, const char *to, const struct af_salvage_calls *calls, struct af_salvage *out,
                                            struct af_error *err);

/* --- shard.c, engine.c --------------------------------------------------------------------------------------------------------------- */

struct af_bucket;
struct af_shard {
    uint64_t id;                     /* unique in the engine: caches hold the shards of all buckets */
    int64_t start_ns, end_ns;        /* [start, end); end INT64_MAX includes it */
    struct af_bucket *bucket;        /* a reference */
    char *dir;                       /* made by the first flush that needs it */
    struct af_types *types;
    struct af_files *files;          /* under engine->lock */
    bool is_damaged;                 /* since opening */
    bool is_stuck;                   /* under work: compaction met damage; not tried again until it is opened again */
    bool is_dropped;                 /* under engine->lock: expired or its bucket is gone */
    uint32_t next_generation;        /* under engine->lock */
    uint32_t mark;                   /* under engine->lock: its place in the list that is being made; else 0 */
    uint64_t built_bytes, built_values, built_blocks; /* under engine->lock: flushed to it since the opening */
    uint32_t build_generation, build_sequence; /* under engine->flush: the generation of a build, 0: none yet; its next free sequence */
    int64_t changed_mono_ns;         /* under engine->lock: when files were last added; cold shards are compacted whole */
    struct af_mutex work;
    _Atomic uint32_t refs;
};
/*
 * Who writes is inside from before it claims types of fields until its points are in the cache. Closed: nobody is inside, and who wants in
 * waits. Nothing of the engine that a writer may wait for is held by who closes it, but for the log's pause taken after it.
 */
struct af_gate {
    struct af_mutex lock;
    struct af_cond changed;          /* it is open again, or nobody is inside any more */
    uint64_t inside;
    bool is_closed;
};
struct af_bucket {
    struct af_tsm_bucket settings;   /* under engine->lock */
    char *dir;
    struct af_index *index;
    struct af_gate gate;
    struct af_shard **shards;        /* references; by start; under engine->lock */
    size_t shard_count, shard_cap;
    bool is_dropped;                 /* under engine->lock */
    bool is_changed;                 /* under engine->lock: shards that the manifest on disk does not have */
    _Atomic uint32_t refs;
};

struct af_tsm_counts {
    _Atomic uint64_t points_written, values_written, points_dropped, commits, flushes, compactions, bytes_flushed, bytes_compacted, waits;
};
struct af_tsm {
    struct af_tsm_options options;   /* defaults filled in */
    char *dir, *data_dir;
    struct af_file *lock_file;
    struct af_wal *wal;              /* NULL: no_wal, and while the log is replayed */
    struct af_mutex flush;
    struct af_mutex catalog;         /* making and dropping buckets, writing their manifests */
    struct af_mutex apply;           /* without a log: held over each put into the cache */
    struct af_mutex lock;
    struct af_mutex reserve;         /* drop.c: also held over I/O; no other lock is taken under it */
    bool has_reserve;                /* under it: room is set aside for deletions */
    _Atomic bool is_reserve_lent;    /* a deletion has that room: writes are refused */
    struct af_cond room;             /* with lock: a frozen cache is gone, or could not be written */
    struct af_cond wake;             /* with lock: the keepers have something to do */

    struct {                         /* under lock */
        struct af_bucket **buckets;  /* references; by id */
        size_t bucket_count, bucket_cap;
        struct af_shard **shards;    /* references; by id */
        size_t shard_count, shard_cap;
        uint64_t next_shard;
        struct af_cache *active;     /* replaced only while no write is between the log and the cache */
        struct af_cache *frozen;     /* NULL: none */
        uint64_t frozen_segment;     /* first segment of the log that the frozen cache does not need; 0: none */
        uint64_t stretch;            /* number of the active cache, from 1; also under `apply`, without a log */
        uint64_t durable;            /* number of the last cache that is in files */
        unsigned carried;            /* rows of so many caches before the active one went on into it */
        int64_t written_mono_ns;     /* the last write */
        int64_t retry_mono_ns;       /* a flush failed: not again before */
        uint32_t backoff_ms;
        bool must_flush, must_stop;
        enum af_status flush_failure; /* of the last flush; AF_OK: it went well */
        uint64_t undropped_segment;  /* segments before this one are not needed and could not be removed; 0: none */
        uint64_t *departed;          /* ids of buckets that are gone and whose points the log may have, ascending */
        size_t departed_count, departed_cap;
        bool is_full, is_read_only;
        char why[256];
    } at;

    bool is_cancelled;               /* polled by compaction; atomic access only */
    const bool *cancel;              /* what compaction polls: is_cancelled, or a builder's; set while no compaction runs */
    struct af_thread flusher, compactor;
    struct af_tsm_counts counts;
};

/* A reference, or NULL. */
struct af_bucket *af_bucket_find(struct af_tsm *engine, uint64_t id);
struct af_bucket *af_bucket_ref(struct af_bucket *bucket);
void af_bucket_unref(struct af_bucket *bucket);
struct af_shard *af_shard_ref(struct af_shard *shard);
void af_shard_unref(struct af_shard *shard);
/* References to the shards of a bucket (NULL: of all buckets), in `arena`; the caller drops them. */
AF_MUST_CHECK enum af_status af_shard_list(struct af_tsm *engine, struct af_bucket *bucket, struct af_arena *arena,
                                           struct af_shard ***out, size_t *out_count, struct af_error *err);
/* The current files of a shard: a reference. */
struct af_files *af_shard_files(struct af_tsm *engine, struct af_shard *shard);
/* Put `add` in place of `remove` among the shard's current files (the shard keeps references of its own). With `remove_count` > 0 the
 * caller holds shard->work. Whether removed parts are unlinked is the caller's business (is_doomed). Dropped shard: AF_ENOTFOUND. */
AF_MUST_CHECK enum af_status af_shard_replace(struct af_tsm *engine, struct af_shard *shard, struct af_tsm_part *const *remove,
                                              size_t remove_count, struct af_tsm_part *const *add, size_t add_count, struct af_error *err);
uint32_t af_shard_next_generation(struct af_tsm *engine, struct af_shard *shard);
void af_tsm_say(struct af_tsm *engine, const char *fmt, ...) AF_PRINTF(2, 3);
/* Something on disk cannot be trusted any more (a failed fsync): no more writes. The first reason stays. */
void af_tsm_set_read_only(struct af_tsm *engine, const struct af_error *why);

/* What a reader holds: for one bucket and time range, the shards by time with their files, and the caches, oldest first. */
struct af_view {
    struct af_bucket *bucket;
    size_t shard_count;
    struct af_view_shard {
        struct af_shard *shard;
        struct af_files *files;
    } *shards;
    struct af_cache *caches[8];
    size_t cache_count;
};
AF_MUST_CHECK enum af_status af_view_open(struct af_tsm *engine, uint64_t bucket, int64_t start_ns, int64_t stop_ns,
                                          struct af_view **out, struct af_error *err);
void af_view_close(struct af_view *view);

/* scan.c, fold.c: the store's scan over a view (takes it, also on failure). */
AF_MUST_CHECK enum af_status af_tsm_scan(struct af_view *view, const struct af_scan *scan, struct af_stream **out, struct af_error *err);
/* list.c */
AF_MUST_CHECK enum af_status af_tsm_list(struct af_tsm *engine, struct af_view *view, enum af_listing what, const struct af_scan *scan,
                                         struct af_stream **out, struct af_error *err);
/* erase.c: flush, then tombstones; series left without data are hidden. */
AF_MUST_CHECK enum af_status af_tsm_erase(struct af_tsm *engine, uint64_t bucket, const struct af_scan *scan, struct af_error *err);
#endif
