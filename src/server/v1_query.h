/*
 * v1_query.h - a 1.x query at work on the server: whose it is, what it may, where its databases are; see v1_query.c.
 */
#ifndef AF_SERVER_V1_QUERY_H
#define AF_SERVER_V1_QUERY_H
#include "query/query.h"
#include "server/server_int.h"

struct v1_run {
    struct af_request *request;
    struct af_arena *arena;      /* the request's; of a statement of administration, the statement's */
    struct af_meta *meta;
    struct af_meta_org org;
    const char *database;        /* of the request's `db`; NULL: none */
    const char *policy;          /* of `rp` */
    struct af_made *made;        /* what the statement at hand shows */
    struct af_query_host host;
    struct af_query_request query;
};

/* --- the request (v1_query.c) ------------------------------------------------------------------------------------------------------- */

/* As af_answer_fail, the body in the format that the request asks for, as InfluxDB answers on /query. Not for refused credentials: those
 * words are always JSON. */
void v1_refuse(struct af_request *r, int http_status, const char *words);

/* The run's text, database, policy and organisation are known: the answer is made. The run lives as long as the answer. */
void v1_query_run(struct v1_run *run);
/* What the platform's paths say to a question (platform.c). */
void platform_question(struct af_request *r);
/* The request for as long as its answer: a handler's own is gone while pieces are still pulled. NULL without memory. */
struct af_request *v1_keep_request(struct af_request *r);

/* --- queries that no client sent (v1_local.c) --------------------------------------------------------------------------------------- */

/* What the statements' code wants to have around it: a request by somebody who may everything. */
struct v1_own {
    struct af_request request;
    struct af_serve_request http;
    struct v1_run run;
};
/* `name` is who, for the log. The rest lives until the run is over. */
void v1_own_init(struct v1_own *own, struct af_server *server, const struct af_meta_org *org, struct af_arena *arena, const char *name);

/* --- may they (v1_may.c) ------------------------------------------------------------------------------------------------------------ */

/* For af_query_request.may; ctx is the run. AF_EDENIED: refused in InfluxDB's words, audited. */
AF_MUST_CHECK enum af_status v1_may(void *ctx, const struct af_ql_statement *st, struct af_error *err);

/* --- what the query room asks (v1_host.c) ------------------------------------------------------------------------------------------- */

void v1_host_init(struct v1_run *run);
/* The database a statement is about: its own, its source's, the request's; NULL: none is named. */
const char *v1_database_of(const struct v1_run *run, const struct af_ql_statement *st);

/* --- databases (v1_database.c) ------------------------------------------------------------------------------------------------------ */

/* Where one retention policy of a database is kept. */
struct v1_policy {
    struct af_meta_dbrp dbrp;
    struct af_meta_bucket bucket;
};
/* All of a database in the order they were made; none: *out_count 0. */
AF_MUST_CHECK enum af_status v1_policies(struct v1_run *run, const char *database, struct v1_policy **out, size_t *out_count,
                                         struct af_error *err);
/* 168h0m0s, 1h30m0s, 0s: a time.Duration in Go. NULL without memory. */
const char *v1_duration_print(struct af_arena *arena, int64_t ns);
bool v1_can_see(const struct v1_run *run, const struct af_meta_bucket *bucket); /* may read it or write to it */
/* Names of all databases that can be seen, in the order they were made. */
AF_MUST_CHECK enum af_status v1_databases(struct v1_run *run, const char *const **out, size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status v1_run_database(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err);
AF_MUST_CHECK enum af_status v1_run_policy(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err);
AF_MUST_CHECK enum af_status v1_run_user(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err);
/* v1_standing.c, v1_about.c */
AF_MUST_CHECK enum af_status v1_run_standing(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err);
AF_MUST_CHECK enum af_status v1_run_about(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err);
#endif
