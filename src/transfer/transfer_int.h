/*
 * transfer_int.h - between the files of this folder.
 */
#ifndef AF_TRANSFER_INT_H
#define AF_TRANSFER_INT_H
#include "format/portable/portable.h"
#include "format/tsm/tsm.h"
#include "transfer/transfer.h"

AF_MUST_CHECK static inline enum af_status transfer_go_on(const struct af_transfer_watch *watch, struct af_error *err)
{
    return watch->cancel != NULL && *(const volatile bool *)watch->cancel ? af_fail(err, AF_ECANCELED, "stopped on request") : AF_OK;
}
static inline void transfer_show(const struct af_transfer_watch *watch, const char *what, uint64_t done, uint64_t all)
{
    if (watch->show != NULL)
        watch->show(watch->ctx, what, done, all);
}

/* --- files.c: TSM files of a directory ---------------------------------------------------------------------------------------- */

struct transfer_file {
    const char *path, *name;     /* name: the last part of path */
    uint32_t generation, sequence;
    uint64_t bytes;
    bool has_tombstone;
};
bool transfer_name_parse(const char *name, uint32_t *out_generation, uint32_t *out_sequence); /* G-S.tsm */
const char *transfer_base_name(const char *path);
/* In order of who wins, the last one does. In `arena`. */
AF_MUST_CHECK enum af_status transfer_files(const char *dir, struct af_arena *arena, struct transfer_file **out, size_t *out_count,
                                            struct af_error *err);
/* Directories in a directory; their names. */
AF_MUST_CHECK enum af_status transfer_dirs(const char *dir, struct af_arena *arena, const char ***out, size_t *out_count,
                                           struct af_error *err);
/* Every block is decoded. AF_EINVAL names the first fault; points outside [start, end) are one. Both ends 0: any time. */
AF_MUST_CHECK enum af_status transfer_check(const char *path, int64_t start_ns, int64_t end_ns, struct af_tsm_check *out,
                                            struct af_error *err);
AF_MUST_CHECK const char *transfer_path(struct af_arena *arena, const char *dir, const char *name); /* NULL without memory */

/* --- pack.c, unpack.c: archives ---------------------------------------------------------------------------------------------------- */

/* The TSM files of `dir` as PREFIX/FILE in a gzipped tar at `archive`: written, fsynced, read back. */
struct transfer_pack {
    const char *dir, *prefix, *archive;
    const struct af_transfer_watch *watch;
    uint64_t bytes_before, bytes_all; /* for the watch */
    uint64_t files, bytes, bytes_packed; /* out */
};
AF_MUST_CHECK enum af_status transfer_pack(struct transfer_pack *pack, struct af_error *err);
/* The bytes of a tar, plain or gzipped, to a reader of tar. */
AF_MUST_CHECK enum af_status transfer_read_archive(const char *archive, bool is_gzip, struct af_tar_reader *tar,
                                                   const struct af_transfer_watch *watch,
                                                   struct af_error *err);
/* TSM files and tombstones in it, to `dir` (made), whatever directories their names have. */
AF_MUST_CHECK enum af_status transfer_unpack(const char *archive, bool is_gzip, const char *dir, const struct af_transfer_watch *watch,
                                             struct af_error *err);

struct af_json;
/* --- manifest.c: what a backup directory says ------------------------------------------------------------------------------- */

/* Buckets under the names they have in a house ("db" for policy autogen or the only one, else "db/rp"); in `arena`. */
struct transfer_backup {
    struct af_portable content;
    bool is_v1;                  /* has no ids and organisations */
    const struct af_json *sums;  /* archive -> SHA-256; NULL: not told */
};
AF_MUST_CHECK enum af_status transfer_manifest_read(const char *dir, struct af_arena *arena, struct transfer_backup *out,
                                                    struct af_error *err);
/* 1.x: database and policy of a bucket called `name`. In `arena`. */
AF_MUST_CHECK enum af_status transfer_split_name(const char *name, struct af_arena *arena, const char **out_database,
                                                 const char **out_policy,
                                                 struct af_error *err);
const char *transfer_join_name(struct af_arena *arena, const char *database, const char *policy);

/* --- sum.c: SHA-256 of archives --------------------------------------------------------------------------------------------- */

enum { TRANSFER_SUM_TEXT = 65 };
AF_MUST_CHECK enum af_status transfer_sum(const char *path, const struct af_transfer_watch *watch, char out[TRANSFER_SUM_TEXT],
                                          struct af_error *err);
/* AF_ECORRUPT: the manifest says another one. */
AF_MUST_CHECK enum af_status transfer_sum_check(const struct transfer_backup *backup, const char *archive,
                                                const struct af_transfer_watch *watch, struct af_error *err);

/* --- pour.c: points out of TSM files ---------------------------------------------------------------------------------------- */

/* Collects points of any keys and hands them on as batches. */
struct transfer_points;
typedef enum af_status (*transfer_take)(void *ctx, const struct af_points *points, struct af_error *err);
AF_MUST_CHECK enum af_status transfer_points_new(transfer_take take, void *ctx, struct transfer_points **out, struct af_error *err);
/* Values [first, first + count). A key without the separator is AF_ECORRUPT. */
AF_MUST_CHECK enum af_status transfer_points_add(struct transfer_points *points, struct af_slice key, const struct af_tsm_values *values,
                                                 size_t first, size_t count, struct af_error *err);
AF_MUST_CHECK enum af_status transfer_points_flush(struct transfer_points *points, struct af_error *err);
void transfer_points_free(struct transfer_points *points);

/* All points of a file that its tombstone leaves. */
AF_MUST_CHECK enum af_status transfer_pour_file(const char *path, const struct af_transfer_watch *watch, struct transfer_points *points,
                                                struct af_error *err);
/* Of InfluxDB's log of a shard, the segments of a directory. */
AF_MUST_CHECK enum af_status transfer_pour_wal(const char *dir, const struct af_transfer_watch *watch, struct transfer_points *points,
                                               uint64_t *out_torn, struct af_error *err);

/* --- land.c: into a bucket of a house --------------------------------------------------------------------------------------- */

struct transfer_bucket {
    const char *name, *org;
    const char *description;
    int64_t retention_ns, shard_ns;
};
/* Found, or made with these settings. */
AF_MUST_CHECK enum af_status transfer_bucket(struct af_house *house, const struct transfer_bucket *bucket, uint64_t *out_id,
                                             struct af_error *err);

struct transfer_land {
    struct af_house *house;
    uint64_t bucket;
    const struct af_transfer_watch *watch;
    struct af_transfer_counts *counts;
    struct af_arena arena;       /* of writes */
    struct af_tsm_series_memo *memo;
    struct transfer_points *points;
};
AF_MUST_CHECK enum af_status transfer_land_begin(struct transfer_land *land, struct af_house *house, uint64_t bucket,
                                                 const struct af_transfer_watch *watch, struct af_transfer_counts *counts,
                                                     struct af_error *err);
/* A directory's TSM files: as they are if they have no tombstones and fit a shard of [start, end), else point by point. start == end:
 * the range
 * is found from the files and the bucket's shard length. */
AF_MUST_CHECK enum af_status transfer_land_dir(struct transfer_land *land, const char *dir, int64_t start_ns, int64_t end_ns,
                                               struct af_error *err);
AF_MUST_CHECK enum af_status transfer_land_wal(struct transfer_land *land, const char *dir, struct af_error *err);
void transfer_land_end(struct transfer_land *land);
#endif
