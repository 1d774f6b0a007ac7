/*
 * migrate.h - a migration under way: what migrate.c (the run, and the stage for servers), build.c (the stage for directories), retry.c
 * (dead letters taken up again) and migration.c (opening, state directory, result) share.
 *
 *     STATE/lock          one run at a time
 *     STATE/target        whose blocks the spool holds
 *     STATE/journal       settled units of the last migration
 *     STATE/spool/        what the server has not taken yet
 *     STATE/dead-letters/ one file a migration
 */
#ifndef AF_CLI_MIGRATE_H
#define AF_CLI_MIGRATE_H
#include "base/limits.h"
#include "cli/cli.h"
#include "load/load.h"
#include <stdatomic.h>

struct build; /* build.c */

struct migration {
    struct af_cli *cli;
    struct af_cli_sources sources;
    struct af_store *store;
    struct af_sink *sink;             /* with a build: for dead letters and units only */
    struct build *build;              /* NULL: the target is no directory of ours */
    struct af_file *lock;             /* of the state directory */
    struct af_journal *journal;
    struct af_progress *progress;
    uint32_t lanes;
    enum af_precision precision;      /* of the text to the sink: ns, whatever the sources say */
    char state[AF_PATH_BYTES_MAX];
    char dead_letters[AF_PATH_BYTES_MAX];
    char run_id[AF_RUN_ID_BYTES];     /* a resumed run keeps that of the first */
    char letters[AF_PATH_BYTES_MAX + 128]; /* the dead letters' file of this run_id */
    uint64_t letters_before;          /* what the interrupted runs put there */
    struct af_load_spine spine;       /* under the turn */
    _Atomic uint64_t *last_parts;     /* by source: flag << 32 | part + 1 of its last unit, 0 until that is known */
    bool was_resumed;
    uint64_t bad_before;              /* bad files of the part that an earlier run did */
    struct af_ingest_totals totals;
    _Atomic bool journal_failed;
    struct af_error journal_error;
    int64_t start_ns;
};

/* `lanes` 0: as the command line says. */
void migration_init(struct migration *m, struct af_cli *cli, uint32_t lanes);
/* The target, which answers and (with --create) has its bucket; tried for a while. */
AF_MUST_CHECK enum af_status migration_open_store(struct af_cli *cli, const char *default_bucket, struct af_store **out,
                                                  struct af_error *err);
/* Store and state directory, locked; then journal and sink as well. */
AF_MUST_CHECK enum af_status migration_open_state(struct migration *m, struct af_error *err);
AF_MUST_CHECK enum af_status migration_open_sink(struct migration *m, struct af_error *err);
/* All of it, and where to go on. */
AF_MUST_CHECK enum af_status migration_open(struct migration *m, struct af_error *err);
void migration_close(struct migration *m);
void migration_stats(const struct migration *m, struct af_sink_stats *out); /* of whatever is written to */

/* --- build.c ---------------------------------------------------------------------------------------------------------------- */

AF_MUST_CHECK enum af_status build_new(struct migration *m, struct build **out, struct af_error *err);
void build_free(struct build *build); /* NULL is fine */
struct af_ingest_stage build_stage(struct migration *m);
void build_unit_ended(struct build *build, struct af_sink_unit *unit); /* settles when its points are in files */
void build_settle(struct build *build);   /* units whose points are */
AF_MUST_CHECK enum af_status build_finish(struct build *build, struct af_error *err); /* all in files, one generation a shard */
void build_stats(struct build *build, struct af_sink_stats *out); /* points, values, bytes */

/* The end: words, verification if asked for, JSON and report. Returns the exit status. */
int migration_finish(struct migration *m);
#endif
