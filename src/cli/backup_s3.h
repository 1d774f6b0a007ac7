/*
 * backup_s3.h - a backup in S3 (docs/backup.md): where transfer/ puts and gets its files when they are objects.
 *
 *     s3://bucket/prefix/20240131T120000Z.running     while it is taken: the name is ours. One without a manifest was interrupted
 *     s3://bucket/prefix/20240131T120000Z.s17.tar.gz  and .meta, in parts with checksums
 *     s3://bucket/prefix/20240131T120000Z.manifest    last, and only if there is none of the name
 */
#ifndef AF_CLI_BACKUP_S3_H
#define AF_CLI_BACKUP_S3_H
#include "transfer/transfer.h"

struct af_cli;
struct af_cli_backup_s3;
/* `url`: s3://bucket[/prefix]; of a restore also the manifest itself. `house`: archives pass through
 * HOUSE/archives.tmp, which is emptied. */
AF_MUST_CHECK enum af_status af_cli_backup_s3_open(struct af_cli *cli, const char *url, const char *house, struct af_cli_backup_s3 **out,
                                                   struct af_error *err);
const struct af_backup_elsewhere *af_cli_backup_s3_elsewhere(const struct af_cli_backup_s3 *s3);
const char *af_cli_backup_s3_dir(const struct af_cli_backup_s3 *s3); /* where files pass through */
/* After af_backup. One that failed: what was put is taken back, the manifest first. Says what could not be. */
void af_cli_backup_s3_end(struct af_cli_backup_s3 *s3, bool is_well);
/* Before af_restore: the newest manifest (or the one named) comes to the directory; of 1.x, those before it and the catalogues, too.
 * AF_ENOTFOUND: there is none. */
AF_MUST_CHECK enum af_status af_cli_backup_s3_manifest(struct af_cli_backup_s3 *s3, struct af_error *err);
void af_cli_backup_s3_close(struct af_cli_backup_s3 *s3); /* NULL is fine */
#endif
