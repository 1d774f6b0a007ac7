/*
 * transfer.h - data in and out as wholes: backups, restores, bulk loads, exports, and the data directories of a real InfluxDB.
 *
 *     house --snapshot--> TSM files --tar, gzip--> backup directory --(same files)--> another house, InfluxDB 1.x, InfluxDB 2.x
 *     any store --scan--> line protocol, Parquet
 *     InfluxDB's own data/ and wal/ --link, or point by point--> house
 *
 * A backup directory is one that `influxd restore -portable` (1.x) and `influx restore` (2.x) take, and so do we: its manifest says
 * what both look for. docs/backup.md, docs/bulkload.md, docs/formats/backup.md.
 */
#ifndef AF_TRANSFER_TRANSFER_H
#define AF_TRANSFER_TRANSFER_H
#include "format/parquet/parquet.h"
#include "net/http.h"
#include "server/server.h"

/* How far it is, and whether to stop (AF_ECANCELED). All may be NULL. `all` 0: not known. */
struct af_transfer_watch {
    void (*show)(void *ctx, const char *what, uint64_t bytes_done, uint64_t bytes_all);
    void *ctx;
    const bool *cancel;
};

/* --- backup and restore ------------------------------------------------------------------------------------------------------- */

/*
 * A backup whose files are elsewhere (objects of S3). `dir` is then an empty directory of the caller's on its own, through which the
 * archives pass one at a time. A backup that fails leaves it to the caller what to do with what was put.
 */
struct af_backup_elsewhere {
    /* A backup of this name (20240101T000000Z) is begun. AF_ECONFLICT: there is one. */
    enum af_status (*begin)(void *ctx, const char *name, struct af_error *err);
    /* Keep this file, under the last part of its name. The manifest comes last. */
    enum af_status (*put)(void *ctx, const char *path, struct af_error *err);
    /* Make this file. `bytes`: what the manifest says of it, 0: nothing. The restore removes it. */
    enum af_status (*get)(void *ctx, const char *path, uint64_t bytes, struct af_error *err);
    void *ctx;
};

enum { AF_BACKUP_V1 = 1, AF_BACKUP_V2 = 2 };
struct af_backup_options {
    struct af_house *house;
    const char *org;             /* NULL: all */
    const char *bucket;          /* NULL: all that are not the system's */
    const char *dir;             /* made if need be; other backups in it stay */
    unsigned forms;              /* who shall be able to read it besides us; 0: both */
    const struct af_backup_elsewhere *elsewhere; /* begin and put; NULL: dir is the backup */
    struct af_transfer_watch watch;
};
struct af_transfer_counts {
    uint64_t buckets, shards, files;
    uint64_t bytes;              /* of TSM files */
    uint64_t bytes_packed;       /* of archives */
    uint64_t points_written;     /* that went point by point: values */
    uint64_t values;             /* counted and compared, where that was done */
    int64_t sending_ns, counting_ns; /* of a bulk load: its two halves that the server takes part in */
    uint64_t shards_linked;      /* whose files were taken as they are */
    uint64_t wal_bytes_torn;     /* of an imported log: what was cut off at its ends */
    uint64_t points_dropped;     /* older than the target's retention, or of another type than is there */
    char dropped_why[512];
    char name[32];               /* the backup's: 20240101T000000Z */
};
/* Of one moment for each bucket, with tombstones applied. Every archive is read back and compared before the manifest is written, last and
 * at once: a directory without a manifest is no backup. AF_ECONFLICT: a backup of this second is there. */
AF_MUST_CHECK enum af_status af_backup(const struct af_backup_options *options, struct af_transfer_counts *out, struct af_error *err);

struct af_restore_options {
    struct af_house *house;
    const char *dir;             /* with a *.manifest: the newest counts */
    const char *bucket;          /* of the backup: its name; 1.x: db or db/rp. NULL: all */
    const char *new_bucket;      /* only with `bucket`: its name here */
    const char *org;             /* here; NULL: the one named in the backup if it is here, else the first */
    const struct af_backup_elsewhere *elsewhere; /* get, for archives; manifests are in `dir`. NULL: all is */
    struct af_transfer_watch watch;
};
/* All archives are unpacked beside the data and checked, every block, before the first bucket is touched. A bucket that is there gets the
 * points besides its own; of equal points the backup's count. */
AF_MUST_CHECK enum af_status af_restore(const struct af_restore_options *options, struct af_transfer_counts *out, struct af_error *err);
bool af_backup_is(const char *dir); /* it has a manifest */

/* --- the directories of a real InfluxDB -------------------------------------------------------------------------------------------- */

struct af_import_options {
    struct af_house *house;
    const char *dir;             /* 1.x: the one with data/ wal/ meta/; 2.x: the one with engine/, or engine/ itself. No server may run */
    const char *bucket;          /* 1.x: db or db/rp; 2.x: the bucket's id, 16 hex digits. NULL: all but _internal */
    const char *new_bucket;      /* only with `bucket` */
    const char *org;
    struct af_transfer_watch watch;
};
/* TSM files without tombstones are linked or copied as they are; others, and the log, go in point by point. Nothing there is changed. */
AF_MUST_CHECK enum af_status af_import(const struct af_import_options *options, struct af_transfer_counts *out, struct af_error *err);
bool af_import_is(const char *dir); /* it looks like one */

/* --- bulk load -------------------------------------------------------------------------------------------------------------- */

struct af_bulkload_options {
    const char *dir;             /* a backup */
    struct af_house *house;      /* instead: a house, as of now */
    const char *bucket;          /* in it; NULL: all */
    const char *new_bucket;      /* only with `bucket`: its name there */
    const char *url;             /* http(s)://host:port */
    const char *rpc;             /* 1.x: host:port of its RPC; NULL: the URL's host, port 8088 */
    const char *org;             /* 2.x */
    const char *token;           /* 2.x: an operator's */
    const char *user, *password; /* 1.x, for counting */
    int version;                 /* 1, 2; 0: ask */
    struct af_http_options http;
    const char *scratch_dir;     /* NULL: /tmp */
    struct af_transfer_watch watch;
};
/* A new bucket or database is made. 2.x also takes one that is there (what has equal times is overwritten), 1.x does not: AF_ECONFLICT.
 * Afterwards the values of every field in every shard are counted there: AF_ECORRUPT if one differs. */
AF_MUST_CHECK enum af_status af_bulkload(const struct af_bulkload_options *options, struct af_transfer_counts *out, struct af_error *err);

/* The other way: what a running InfluxDB 2.x has, through its backup API, into a house: every shard's archive is asked for and checked as a
 * restore does, tombstones are applied. Of `options` url, token (an operator's), http, watch, bucket (NULL: all but the system's), org
 * (NULL: the only one) and `dir`, an empty directory for archives on their way. */
AF_MUST_CHECK enum af_status af_fetch(const struct af_bulkload_options *options, struct af_house *house, struct af_transfer_counts *out,
                                      struct af_error *err);

/* --- export ----------------------------------------------------------------------------------------------------------------- */

struct af_export_options {
    struct af_store *store;
    const char *measurement;     /* NULL: all */
    int64_t start_ns, stop_ns;   /* as in struct af_scan */
    const bool *cancel;
    void (*show)(void *ctx, uint64_t rows);
    void *ctx;
};
/* Line protocol, a point a line, measurement by measurement. */
AF_MUST_CHECK enum af_status af_export_lp(const struct af_export_options *options, af_parquet_emit emit, void *ctx, uint64_t *out_rows,
                                          struct af_error *err);
/* One measurement (options->measurement) as a table: time, tags, fields. A field whose name a tag has, too, gets "_1" behind it. */
AF_MUST_CHECK enum af_status af_export_parquet(const struct af_export_options *options, const struct af_parquet_write_options *how,
                                               af_parquet_emit emit, void *ctx, uint64_t *out_rows, struct af_error *err);
/* Names of measurements, in `arena`. */
AF_MUST_CHECK enum af_status af_export_measurements(struct af_store *store, struct af_arena *arena, const char ***out, size_t *out_count,
                                                    struct af_error *err);
/* TSM files (of a directory and below it, or one) as line protocol: a field a line, tombstones applied, repeated points repeated. */
AF_MUST_CHECK enum af_status af_export_tsm(const char *path, const bool *cancel, af_parquet_emit emit, void *ctx, uint64_t *out_rows,
                                           struct af_error *err);
#endif
