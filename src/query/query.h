/*
 * query.h - the short path through all of it: text -> statements -> plan -> tables -> wire, and what surrounds it: limits, the list of
 * running queries, INTO, listings, EXPLAIN.
 *
 *     host (server, command line, tests) --- says which stores there are and carries out what is not about points
 *        |
 *     af_query_open --> parse --> for each statement: may it? --> SELECT: lower, improve, exec
 *                                                                SHOW MEASUREMENTS ...: listings of the store
 *                                                                CREATE DATABASE ...: host->administer
 *                                                            --> wire
 */
#ifndef AF_QUERY_QUERY_H
#define AF_QUERY_QUERY_H
#include "exec/exec.h"
#include "lang/influxql/influxql.h"
#include "wire/wire.h"

/* --- the host ---------------------------------------------------------------------------------------------------------------- */

/* A bucket behind a database and policy. */
struct af_query_place {
    const char *database, *policy;
    bool is_default;
};
struct af_query_host {
    void *ctx;
    /* Open for reading (or writing, erasing) for the time of the query; closed with af_store_close. policy NULL: the default one.
     * AF_ENOTFOUND: InfluxDB's words ("database not found: x", "retention policy not found: x"). AF_EDENIED: may not. */
    enum af_status (*open)(void *ctx, const char *database, const char *policy, bool is_write, struct af_store **out, struct af_error *err);
    /* The policies of a database, for statements that look at all of them (SHOW, DELETE); none: no such database. */
    enum af_status (*places)(void *ctx, const char *database, struct af_arena *arena, struct af_query_place **out, size_t *out_count,
                             struct af_error *err);
    /* Statements that are not about points: databases, policies, users, grants, continuous queries, subscriptions, shards, statistics.
     * Tables, or *out NULL: done, nothing to show. AF_EUNSUPPORTED: this host does not know it. */
    enum af_status (*administer)(void *ctx, const struct af_ql_statement *statement, const char *database, struct af_arena *arena,
                                 struct af_tables **out, struct af_error *err);
    /* The lowest number of a shard of the database, which InfluxDB's refusals of DELETE begin with; 0: it has none. NULL: no shards
     * here. */
    enum af_status (*first_shard)(void *ctx, const char *database, struct af_arena *arena, uint64_t *out, struct af_error *err);
};

/* --- running queries ---------------------------------------------------------------------------------------------------------------- */

/* Which queries run, for SHOW QUERIES and KILL QUERY; one for a process, any thread. */
struct af_query_list;
struct af_query_list *af_query_list_new(unsigned running_max); /* 0: no limit; NULL without memory */
void af_query_list_free(struct af_query_list *list);
struct af_query_counts {
    uint64_t running, done, failed, killed, refused;
};
void af_query_list_counts(struct af_query_list *list, struct af_query_counts *out);

/* --- a request ---------------------------------------------------------------------------------------------------------------------- */

struct af_query_request {
    struct af_slice text;
    const char *database, *policy;       /* `db`, `rp`; may be NULL */
    const char *params_json;             /* bind parameters, an object; NULL: none */
    int64_t now_ns;
    struct af_exec_limits limits;        /* deadline apart: timeout_ms */
    uint64_t timeout_ms;                 /* 0: none */
    const bool *cancel;                  /* the client is gone */
    struct af_query_list *list;          /* may be NULL */
    const char *user;                    /* for SHOW QUERIES; may be NULL */
    struct af_wire_options wire;
    bool is_read_only;                   /* a GET: statements that change things are carried out and warned of, as InfluxDB does */
    unsigned workers;
    void *ctx;
    /* Asked for every statement before the first is carried out; NULL: everything may. Failing refuses the whole request. */
    enum af_status (*may)(void *ctx, const struct af_ql_statement *statement, struct af_error *err);
    /* Who takes the tables themselves, as they come; `wire` is then of no matter (AF_WIRE_JSON_LINES: nothing else is printed). *out_full:
     * no more of any statement. NULL: they go into the answer. */
    enum af_status (*take)(void *taker, uint64_t statement, const struct af_table *table, bool *out_full, struct af_error *err);
    void *taker;
};
/*
 * An answer, pulled: some 64 KiB at a time, and at least a chunk's end. The request (with all that it points to) must live until close.
 *
 * `open` reads all statements and asks whether they may: what it fails of concerns the whole request, and the words are the caller's to
 * print. Failures of a statement stand in the answer. The end is an empty slice; what `next` gives lives until the next call. A failure of
 * `next` ends the answer: there is no memory for it, or it would be larger than AF_QUERY_ANSWER_BYTES_MAX.
 */
struct af_query;
AF_MUST_CHECK enum af_status af_query_open(const struct af_query_host *host, const struct af_query_request *request, struct af_query **out,
                                           struct af_error *err);
AF_MUST_CHECK enum af_status af_query_next(struct af_query *query, struct af_slice *out, struct af_error *err);
bool af_query_is_done(const struct af_query *query); /* what the last call gave was the rest of it */
/* Did any statement fail? After the end. */
bool af_query_failed(const struct af_query *query);
const char *af_query_failure(const struct af_query *query); /* the words of the first that failed, as they stand in the answer; "": none */
void af_query_close(struct af_query *query); /* NULL is fine */

/* SELECT ... INTO: carried out, points written through the host; *out_written. With the request's timeout, and in its list while it
 * runs. */
AF_MUST_CHECK enum af_status af_query_into(const struct af_query_host *host, const struct af_ql_select *select,
                                           const struct af_query_request *request, uint64_t *out_written, struct af_error *err);

/* A single store as a host (memory and remote stores, tests, one bucket of a directory): every database and policy is this one.
 * `store` stays the caller's. */
struct af_query_one { struct af_query_host host; struct af_store *store; };
void af_query_one_init(struct af_query_one *one, struct af_store *store);
#endif
