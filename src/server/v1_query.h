/*
 * v1_query.h - statements of one 1.x query at work: whose, on what, and the answer they print; see v1_query.c.
 *
 *     v1_series(run, "databases", 1, columns);
 *     v1_row(run);  v1_cell_text(run, name);  v1_row_end(run);
 *     v1_series_end(run);
 */
#ifndef AF_SERVER_V1_QUERY_H
#define AF_SERVER_V1_QUERY_H
#include "server/server_int.h"
#include "server/v1_statement.h"

struct v1_run {
    struct af_request *request;
    struct af_arena *arena;      /* the request's */
    struct af_meta *meta;
    struct af_meta_org org;
    const char *database;        /* of the request's `db`; NULL: none */
    struct af_buf *out;
    size_t series_count, row_count, cell_count; /* of the result, the series, the row */
};

/* --- the answer (v1_print.c) ---------------------------------------------------------------------------------------------------- */

void v1_text(struct af_buf *out, struct af_slice text); /* as Go's encoding/json escapes it */
void v1_series(struct v1_run *run, const char *name, size_t column_count, const char *const *columns);
void v1_row(struct v1_run *run);
void v1_cell_text(struct v1_run *run, struct af_slice text);
void v1_cell_int(struct v1_run *run, int64_t value);
void v1_cell_bool(struct v1_run *run, bool value);
void v1_row_end(struct v1_run *run);
void v1_series_end(struct v1_run *run);
/* Compact JSON with the spaces and lines of ?pretty=true. */
void v1_prettify(struct af_slice json, struct af_buf *out);
/* 168h0m0s, 1h30m0s, 0s: a time.Duration in Go. In `arena`; NULL without memory. */
const char *v1_duration_print(struct af_arena *arena, int64_t ns);

/* --- databases (v1_database.c) -------------------------------------------------------------------------------------------------------- */

/* Where one retention policy of a database is kept. */
struct v1_policy {
    struct af_meta_dbrp dbrp;
    struct af_meta_bucket bucket;
};
/* All of a database in the order they were made; none: *out_count 0. */
AF_MUST_CHECK enum af_status v1_policies(struct v1_run *run, const char *database, struct v1_policy **out, size_t *out_count,
                                         struct af_error *err);
bool v1_can_see(const struct v1_run *run, const struct af_meta_bucket *bucket); /* may read it or write to it */
AF_MUST_CHECK enum af_status v1_run_database(struct v1_run *run, const struct v1_statement *st, struct af_error *err);
AF_MUST_CHECK enum af_status v1_run_policy(struct v1_run *run, const struct v1_statement *st, struct af_error *err);
AF_MUST_CHECK enum af_status v1_run_user(struct v1_run *run, const struct v1_statement *st, struct af_error *err);
AF_MUST_CHECK enum af_status v1_run_show(struct v1_run *run, const struct v1_statement *st, struct af_error *err);
AF_MUST_CHECK enum af_status v1_run_erase(struct v1_run *run, const struct v1_statement *st, struct af_error *err);
/* The database a statement is about: its own, its source's, the request's; NULL: none is named. */
const char *v1_database_of(const struct v1_run *run, const struct v1_statement *st);
#endif
