/*
 * cli.h - the command line: options as a table (args.c), a file a command, and what commands share.
 *
 * Output: results on stdout, everything else on stderr. Only this folder prints, reads the environment and chooses exit codes.
 */
#ifndef AF_CLI_CLI_H
#define AF_CLI_CLI_H
#include "ingest/ingest.h"
#include "sink/sink.h"
#include "verify/verify.h"
#include <stdio.h>

#define AFLUXO_VERSION "0.1.0"

enum af_exit { AF_EXIT_DONE, AF_EXIT_FAILED, AF_EXIT_USAGE, AF_EXIT_REJECTED, AF_EXIT_DIFFERENT, AF_EXIT_INTERRUPTED };

/* Everything that can be said on a command line or in --config; which command takes what stands in the table of args.c. */
struct af_cli {
    const char *program_command;  /* "migrate" */
    const char *const *args;      /* positional */
    size_t arg_count;
    /* target */
    const char *to, *from, *bucket, *org, *token, *token_file, *user, *password_file, *influx_version, *ca_file;
    bool insecure, create, force_flux;
    /* sources */
    const char *dataset, *mapping, *measurement, *time_zone, *precision, *now;
    bool infer, list_datasets, strict, print_mapping;
    bool requester_pays;
    uint64_t rows;
    /* work */
    uint64_t workers, lanes, memory, rate, batch_lines, batch_bytes, patience_ms, retry_budget_ms, timeout_ms, spool_bytes;
    uint64_t shard_duration_ms;
    const char *state, *dead_letters, *report, *output;
    bool retry_dead_letters, verify, resume, dry_run, no_spool, allow_unsigned;
    bool is_bulk;                 /* no option: a target directory is opened to be built, without a log */
    /* generate */
    const char *out, *codec;
    uint64_t plants, step_ms, seed, bad_rows_every;
    /* query */
    const char *lang, *format, *epoch;
    bool explain, analyze;
    bool is_question;             /* no option: the bucket may be left to the text */
    /* serve, and directories */
    const char *data, *listen, *tls_cert, *tls_key;
    bool no_auth;
    uint64_t max_body;
    uint64_t query_memory, query_timeout_ms, query_rows, query_points, query_series, query_windows, max_queries;
    /* wholes: backup, restore, export, bulkload, tsm */
    const char *start, *stop, *new_bucket, *rpc, *form;
    bool repair;
    /* administration */
    const char *description, *read_bucket, *write_bucket;
    uint64_t retention_ms;
    bool all_access, operator_token, admin;
    /* AWS */
    const char *profile, *region, *endpoint_url, *wait_status, *dimensions, *statistic;
    uint64_t every_ms;
    bool once;
    /* doctor */
    const char *instance;
    bool aws, write_test;
    /* costs */
    const char *db_class, *tier, *prices, *tag, *name_space;
    uint64_t storage_gib, points_a_day, objects_a_day, queries_a_day;
    bool plan, multi_az, refresh;
    /* a fleet: migrate --queue */
    const char *queue, *run, *status_of, *dead_letter_queue;
    uint64_t attempts, idle_ms, visibility_ms;
    bool work;
    /* everywhere */
    const char *config;
    bool json, quiet, verbose, help, version;
    void *own_args;               /* freed by af_cli_done */
};

struct af_cli_command {
    const char *name;        /* "migrate", "inspect schema" has one level below: args[0] */
    const char *synopsis;    /* "SOURCE... --to TARGET" */
    const char *about;       /* one line */
    const char *options;     /* names from the table, space-separated */
    const char *details;     /* paragraphs for --help and the man page; NULL */
    int (*run)(struct af_cli *cli);
};
extern const struct af_cli_command af_cli_commands[]; /* ends with a NULL name */

/* args.c. Result < 0: go on and run; else the exit status (help was printed, or the usage was wrong). Secrets are wiped from argv. */
int af_cli_parse(int argc, char **argv, struct af_cli *out, const struct af_cli_command **out_command);
void af_cli_done(struct af_cli *cli);
int af_cli_usage_error(const struct af_cli *cli, const char *fmt, ...) AF_PRINTF(2, 3);
int af_cli_completion(struct af_cli *cli);
int af_cli_man(struct af_cli *cli);

/* Parse "64M", "1G", "500k" (powers of 1024 for sizes, of 1000 for counts), "30s", "5m", "1h", "250ms". */
bool af_cli_parse_size(const char *text, uint64_t *out);
bool af_cli_parse_count(const char *text, uint64_t *out);
bool af_cli_parse_duration_ms(const char *text, uint64_t *out);

/* say.c: words on stderr (or nothing, when quiet). */
void af_cli_say(const struct af_cli *cli, const char *fmt, ...) AF_PRINTF(2, 3);
void af_cli_warn(const char *fmt, ...) AF_PRINTF(1, 2);
int af_cli_fail(const struct af_cli *cli, const struct af_error *err); /* prints "afluxo: ...", and gives the exit status */
/* To standard output. Where its reader is gone (`| head`), the process ends as other tools end: by SIGPIPE, without a word. */
AF_MUST_CHECK enum af_status af_cli_out(struct af_slice bytes, struct af_error *err);
const char *af_cli_plural(uint64_t count);                              /* "s", or "" for one */
void af_cli_print_count(char *out, size_t cap, uint64_t value);        /* 12,345,678 */
void af_cli_print_bytes(char *out, size_t cap, uint64_t bytes);        /* 12.3 MB */

/* progress.c: a bar on a terminal, a plain line now and then elsewhere, nothing when quiet. */
struct af_progress;
/* `unit` is what is counted: "rows". NULL result: none is shown. */
struct af_progress *af_progress_new(const struct af_cli *cli, const char *what, const char *unit);
/* The bar shows done / all (all 0: not known), the words `count` units and their rate. */
void af_progress_show(struct af_progress *progress, uint64_t done, uint64_t all, uint64_t count, const char *note);
void af_progress_free(struct af_progress *progress); /* takes the bar away; NULL is fine */

/* setup.c: options become libraries' options. */
AF_MUST_CHECK enum af_status af_cli_open_store(struct af_cli *cli, const char *target, const char *default_bucket,
                                               struct af_store **out, struct af_error *err);
/* The same target's place, and what opens it: for commands that speak to a server without a store. */
const char *af_cli_target_url(const char *target); /* `target`, else what the environment says; NULL */
AF_MUST_CHECK enum af_status af_cli_take_token(struct af_cli *cli, struct af_error *err);          /* --token-file into cli->token */
AF_MUST_CHECK enum af_status af_cli_take_password(struct af_cli *cli, const char **out, struct af_error *err);
/* Where the server listens that has a data directory; its operator token's file, or NULL. */
AF_MUST_CHECK enum af_status af_cli_find_server(const char *dir, const char **out_url, const char **out_token_file, struct af_error *err);
/* It is a data directory of ours already: what only reads must not make one. AF_ENOTFOUND says that it is none. */
AF_MUST_CHECK enum af_status af_cli_need_house(const char *dir, struct af_error *err);
bool af_cli_is_directory(const char *target); /* not a URL: a data directory of ours */
/* Options of a house in `dir`: memory, words to standard error. */
struct af_house_options;
void af_cli_house_options(const struct af_cli *cli, const char *dir, struct af_house_options *out);
/* A call to the server failed: is it worth another try? Then the pause before it is over. Says so the first time. For the calls
 * before and after the sink, which has its own ways. */
struct af_cli_retry {
    int64_t end_ns;   /* 0: no try failed yet */
    uint32_t pause_ms;
};
bool af_cli_try_again(const struct af_cli *cli, struct af_cli_retry *retry, const struct af_error *err);
struct af_aws;
struct af_cli_sources {
    struct af_cli *cli;
    struct af_aws *aws;           /* NULL: no s3:// among them */
    struct af_s3 *s3;
    struct af_source_list list;
    struct af_map *map;           /* NULL: by detection */
    struct af_map_override override;
    struct af_ingest_options ingest;
};
AF_MUST_CHECK enum af_status af_cli_open_sources(struct af_cli *cli, struct af_cli_sources *out, struct af_error *err);
/* The same without files: mapping, precision, workers. */
AF_MUST_CHECK enum af_status af_cli_open_mapping(struct af_cli *cli, struct af_cli_sources *out, struct af_error *err);
AF_MUST_CHECK enum af_status af_cli_open_aws(const struct af_cli *cli, struct af_aws **out, struct af_error *err); /* aws.c */
uint32_t af_cli_ms(uint64_t ms); /* cut to 32 bits: 49 days */
void af_cli_close_sources(struct af_cli_sources *sources);
/* Where s3:// sources come from: AWS is looked for at the first of them. `sources` owns what is opened. */
struct af_source_from af_cli_source_from(struct af_cli *cli, struct af_cli_sources *sources);
const char *af_cli_scratch_dir(void); /* TMPDIR, or NULL */
uint64_t af_cli_source_bytes(const struct af_source_list *list);
int af_cli_source_status(const struct af_ingest_totals *totals); /* the exit status: DONE, REJECTED, or FAILED when nothing could be read */
const char *af_cli_default_bucket(const struct af_cli *cli, const struct af_cli_sources *sources); /* what the mapping suggests, or NULL */

/* report.c */
void af_cli_json_verify(struct af_buf *out, const struct af_verify_result *result); /* the "verified" object */
void af_cli_print_verify(const struct af_cli *cli, const struct af_verify_result *result);
AF_MUST_CHECK enum af_status af_cli_write_report(const struct af_cli *cli, struct af_slice json, struct af_error *err);

/* verify.c: also the end of migrate --verify. `dead_letters`: a file, or a directory of them; NULL: none. */
AF_MUST_CHECK enum af_status af_cli_run_verify(struct af_cli *cli, const struct af_cli_sources *sources, struct af_store *store,
                                               const char *dead_letters, struct af_verify_result *out, struct af_error *err);

int af_cli_list_datasets(void);
int af_cli_migrate(struct af_cli *cli);
int af_cli_retry(struct af_cli *cli); /* migrate --retry-dead-letters */
int af_cli_fleet(struct af_cli *cli); /* migrate --queue, --work, --status */
int af_cli_write(struct af_cli *cli);
int af_cli_convert(struct af_cli *cli);
int af_cli_verify(struct af_cli *cli);
int af_cli_inspect(struct af_cli *cli);
int af_cli_generate(struct af_cli *cli);
int af_cli_query(struct af_cli *cli);
int af_cli_lambda(struct af_cli *cli);
int af_cli_serve(struct af_cli *cli);
int af_cli_backup(struct af_cli *cli);
int af_cli_restore(struct af_cli *cli);
int af_cli_export(struct af_cli *cli);
int af_cli_bulkload(struct af_cli *cli);
int af_cli_tsm(struct af_cli *cli);
int af_cli_bucket(struct af_cli *cli);
int af_cli_user(struct af_cli *cli);
int af_cli_token(struct af_cli *cli);
int af_cli_aws(struct af_cli *cli);
int af_cli_costs(struct af_cli *cli);
int af_cli_doctor(struct af_cli *cli);
#endif
