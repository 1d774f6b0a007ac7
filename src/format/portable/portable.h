/*
 * portable.h - the formats in which InfluxDB's data travels: the portable backup of 1.x, the backup directory of 2.x, tar archives of
 * shards.
 *
 * Bytes only: no files, no network. Layouts and their sources: docs/formats/backup.md.
 */
#ifndef AF_FORMAT_PORTABLE_PORTABLE_H
#define AF_FORMAT_PORTABLE_PORTABLE_H
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

/* What a backup contains, of both versions: buckets (1.x: database + retention policy) with shard groups of one shard. */
struct af_portable_shard {
    uint64_t id;
    int64_t start_ns, end_ns;
    const char *file_name;        /* of the archive in the backup's directory */
    uint64_t file_bytes;
    bool is_gzip;
};
struct af_portable_bucket {
    const char *database, *policy; /* 1.x; of 2.x: name and "autogen" */
    uint64_t id, org;              /* 2.x */
    const char *org_name, *description;
    int64_t retention_ns, shard_ns;
    struct af_portable_shard *shards;
    size_t shard_count;
};
struct af_portable {
    struct af_portable_bucket *buckets;
    size_t bucket_count;
};

/* 1.x: NAME.manifest (JSON) and NAME.meta (protobuf). */
AF_MUST_CHECK enum af_status af_portable_v1_print(const struct af_portable *portable, const char *meta_file_name,
                                                  struct af_buf *out_manifest,
                                                  struct af_buf *out_meta, struct af_error *err);
AF_MUST_CHECK enum af_status af_portable_v1_parse(struct af_slice manifest, struct af_slice meta, struct af_arena *arena,
                                                  struct af_portable *out, struct af_error *err);
/* The catalogue alone: `is_bare` without the wrapper of a backup, as meta/meta.db of a 1.x server is. Shards have no file names. */
AF_MUST_CHECK enum af_status af_portable_v1_catalogue_parse(struct af_slice meta, bool is_bare, struct af_arena *arena,
                                                            struct af_portable *out,
                                                            struct af_error *err);
/* The files of an older manifest, for the shards in `portable` that have none yet. */
AF_MUST_CHECK enum af_status af_portable_v1_add_files(struct af_slice manifest, struct af_arena *arena, struct af_portable *portable,
                                                      struct af_error *err);
/* The meta file that a manifest names, in `arena`. */
AF_MUST_CHECK enum af_status af_portable_v1_meta_name(struct af_slice manifest, struct af_arena *arena, const char **out,
                                                      struct af_error *err);
/* 2.x: NAME.manifest (JSON, manifestVersion 2). */
AF_MUST_CHECK enum af_status af_portable_v2_print(const struct af_portable *portable, struct af_buf *out_manifest, struct af_error *err);
AF_MUST_CHECK enum af_status af_portable_v2_parse(struct af_slice manifest, struct af_arena *arena, struct af_portable *out,
                                                  struct af_error *err);
/* 2.x: the body of POST /api/v2/restore/bucketMetadata for one bucket, and the mappings out of its answer. */
AF_MUST_CHECK enum af_status af_portable_v2_bucket_print(const struct af_portable_bucket *bucket, struct af_buf *out, struct af_error *err);
struct af_portable_mapping {
    uint64_t old_id, new_id;
};
AF_MUST_CHECK enum af_status af_portable_v2_mappings_parse(struct af_slice answer, struct af_arena *arena, uint64_t *out_bucket,
                                                           struct af_portable_mapping **out, size_t *out_count, struct af_error *err);

/* tar (ustar), written and read as a stream. Sizes above 8 GiB are AF_ELIMIT. */
AF_MUST_CHECK enum af_status af_tar_header(const char *name, uint64_t bytes, int64_t mtime_s, char out[512], struct af_error *err);
/* The same appended to `out`, with a GNU long name in front where 100 bytes are not enough. Names of at most 32 KiB. */
AF_MUST_CHECK enum af_status af_tar_headers(const char *name, uint64_t bytes, int64_t mtime_s, struct af_buf *out, struct af_error *err);
static inline uint64_t af_tar_padding(uint64_t bytes)
{
    return (512 - bytes % 512) % 512;
}
/* Feed bytes as they come; `member` is called at each regular file's start, `data` with its bytes. GNU and PAX long names and sizes
 * are understood,
 * other members skipped. The end (two empty blocks) must have been seen when af_tar_finish is called: AF_ECORRUPT, "cut short". */
struct af_tar_reader {
    enum af_status (*member)(void *ctx, const char *name, uint64_t bytes, struct af_error *err);
    enum af_status (*data)(void *ctx, struct af_slice bytes, struct af_error *err);
    void *ctx;
    /* private */
    uint8_t block[512];
    size_t block_fill;
    uint64_t data_left, padding_left;
    unsigned empty_blocks;
    bool is_skipped, is_long_name, is_pax;
    struct af_buf long_name;
    uint64_t pax_bytes;
    bool has_pax_bytes;
};
void af_tar_reader_init(struct af_tar_reader *reader);
void af_tar_reader_done(struct af_tar_reader *reader);
AF_MUST_CHECK enum af_status af_tar_feed(struct af_tar_reader *reader, struct af_slice bytes, struct af_error *err);
AF_MUST_CHECK enum af_status af_tar_finish(struct af_tar_reader *reader, struct af_error *err);
#endif
