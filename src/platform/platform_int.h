/*
 * platform_int.h - what the files of the room share: a request read, rows on their way into an answer, failures.
 */
#ifndef AF_PLATFORM_INT_H
#define AF_PLATFORM_INT_H
#include "data/table.h"
#include "format/json/json.h"
#include "os/thread.h"
#include "platform/platform.h"

/* --- request.c ----------------------------------------------------------------------------------------------------------- */

struct platform_query {
    bool is_flux;
    struct af_slice text;
    const char *database, *policy;  /* NULL: not said */
    bool has_metadata;              /* the answer is to have them */
    uint64_t limit;                 /* of rows */
};
/* AF_EINVAL, AF_ELIMIT: what is wrong with the body, by the name of the member. */
AF_MUST_CHECK enum af_status platform_query_read(struct af_slice body, bool is_flux, uint64_t rows_max, struct af_arena *arena,
                                                 struct platform_query *out, struct af_error *err);
/* `params` NULL. *out has one statement after the other. AF_EDENIED: one of them does not only read. */
AF_MUST_CHECK enum af_status platform_statements_read(struct af_slice text, struct af_arena *arena, struct af_ql_statement **out,
                                                      struct af_error *err);
extern const char platform_no_statement[];
AF_MUST_CHECK enum af_status platform_statement_reads(const struct af_ql_statement *statement, struct af_error *err);

/* --- rows.c: tables to the rows of an answer ----------------------------------------------------------------------------- */

/* "data":[...] and what is known of it. Past rows_max or bytes_max rows are left out. */
struct platform_rows {
    struct af_buf *out;
    struct af_arena arena;          /* names and types of columns */
    struct af_slice *names;
    const char **types;
    size_t count, cap, types_cap;
    size_t names_bytes;
    uint64_t rows, values;
    uint64_t rows_max;
    size_t bytes_max;               /* of `out` */
    bool is_full, is_cut;           /* no more fits; something was left out */
};
void platform_rows_init(struct platform_rows *rows, struct af_buf *out, uint64_t rows_max, size_t bytes_max);
void platform_rows_done(struct platform_rows *rows);
AF_MUST_CHECK enum af_status platform_rows_table(struct platform_rows *rows, const struct af_table *table, struct af_error *err);
void platform_rows_metadata(const struct platform_rows *rows); /* the object, without its key */

/* --- watch.c: a flag that is set when the time is up, or the caller's is --------------------------------------------------- */

struct platform_watch {
    bool flag;                      /* what work polls; atomic */
    const bool *cancel;
    int64_t end_mono_ns;
    struct af_mutex lock;
    struct af_cond over;
    struct af_thread thread;
    bool is_over;
};
AF_MUST_CHECK enum af_status platform_watch_start(struct platform_watch *watch, int64_t end_mono_ns, const bool *cancel,
                                                  struct af_error *err);
void platform_watch_stop(struct platform_watch *watch);

/* --- ask.c ------------------------------------------------------------------------------------------------------------------ */

/* A failure that is worded for whoever asks. */
struct platform_failure {
    int http_status;
    const char *code;
    char words[768];                /* for the client */
    char influx[768];               /* the database's own; "": it said nothing */
    uint32_t line, column;
    const char *fix;                /* NULL: no advice */
};
/* Rows into `rows`. AF_OK, or `failure` is filled and `err` says it for whoever runs this. */
AF_MUST_CHECK enum af_status platform_ask(const struct af_platform *platform, const struct platform_query *query, const bool *cancel,
                                          struct platform_rows *rows, struct platform_failure *failure, struct af_error *err);

/* --- failure.c --------------------------------------------------------------------------------------------------------------- */

/* `words` of a statement that failed, as the database has them. */
enum af_status platform_failure_words(struct platform_failure *failure, const char *words, struct af_error *err);
/* A failure of the whole request. `store` NULL: it ran here. */
void platform_failure_error(struct platform_failure *failure, const struct af_error *err, const struct af_store *store, bool is_late);
/* The target cannot be opened: its words are of secrets and addresses. Credentials that are not taken are said to be that. */
void platform_failure_open(struct platform_failure *failure, enum af_status status);
void platform_failure_print(const struct platform_failure *failure, const char *id, struct af_buf *out);
void platform_failure_set(struct platform_failure *failure, int http_status, const char *code, const char *fmt, ...) AF_PRINTF(4, 5);
/* A random UUID, version 4; room for 37 bytes. */
void platform_uuid(char out[37]);

/* --- openapi.c --------------------------------------------------------------------------------------------------------------- */

extern const char platform_openapi[];
#endif
