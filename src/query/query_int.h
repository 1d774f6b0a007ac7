/*
 * query_int.h - a query at work: what its statements share.
 */
#ifndef AF_QUERY_INT_H
#define AF_QUERY_INT_H
#include "query/query.h"

/* --- stores.c: opened when a statement first needs them, closed at its end ----------------------------------------------------------- */

struct query_store {
    const char *database, *policy;       /* policy "": the default one */
    const char *name;                    /* db.rp, for plans and messages */
    struct af_store *store;
};
struct query_stores {
    const struct af_query_host *host;
    struct af_arena *arena;
    struct query_store *items;
    size_t count, cap;
};
AF_MUST_CHECK enum af_status query_stores_get(struct query_stores *stores, const char *database, const char *policy, bool is_write,
                                              uint32_t *out, struct af_error *err);
void query_stores_close(struct query_stores *stores);
/* What lowering asks, over these stores. */
void query_catalog_init(struct af_catalog *catalog, struct query_stores *stores);

/* --- names.c: listings as sorted names ------------------------------------------------------------------------------------------------ */

struct query_name {
    struct af_slice name;                /* NUL behind it */
    struct af_slice type;                /* AF_LIST_FIELDS */
};
struct query_names {
    struct af_arena *arena;
    struct query_name *items;
    size_t count, cap;
    bool is_unsorted;
};
/* Add what a store lists; several stores or measurements may follow each other. */
AF_MUST_CHECK enum af_status query_names_add(struct query_names *names, struct af_store *store, enum af_listing what,
                                             const struct af_scan *scan,
                                             struct af_error *err);
AF_MUST_CHECK enum af_status query_names_put(struct query_names *names, struct af_slice name, struct af_slice type, struct af_error *err);
void query_names_sort(struct query_names *names); /* each once */

/* --- one statement ------------------------------------------------------------------------------------------------------------------- */

struct query {
    const struct af_query_host *host;
    const struct af_query_request *request;
    struct af_arena *arena;              /* of the statement */
    const bool *cancel;                  /* it is to stop, for whatever reason; NULL: nobody says so */
    int64_t deadline_mono_ns;
};
int64_t query_deadline(const struct af_query_request *request); /* of one that begins now; 0: none */
/* ON db, or the request's; AF_EINVAL "database name required". */
AF_MUST_CHECK enum af_status query_database(const struct query *query, const struct af_ql_statement *statement, const char **out,
                                            struct af_error *err);

/* Is it one of these kinds? Each gives tables (in the query's arena; *out NULL: nothing to show). */
bool query_is_show(const struct af_ql_statement *statement);
bool query_is_erase(const struct af_ql_statement *statement);
AF_MUST_CHECK enum af_status query_show(struct query *query, const struct af_ql_statement *statement, struct af_tables **out,
                                        struct af_error *err);
AF_MUST_CHECK enum af_status query_erase(struct query *query, const struct af_ql_statement *statement, struct af_error *err);
AF_MUST_CHECK enum af_status query_explain(struct query *query, const struct af_ql_statement *statement, struct af_tables **out,
                                           struct af_error *err);

/* A SELECT at work: its own arena, stores and plan. */
struct query_select;
AF_MUST_CHECK enum af_status query_select_open(struct query *query, const struct af_ql_select *select, bool analyze,
                                               struct query_select **out,
                                               struct af_error *err);
struct af_tables *query_select_tables(struct query_select *select); /* closing these closes all of it */
const struct af_ql_lowered *query_select_lowered(const struct query_select *select);
/* Its text with all databases and policies written out. */
void query_into_print(const struct query *query, const struct af_ql_select *select, struct af_buf *out);
AF_MUST_CHECK enum af_status query_into(struct query *query, const struct af_ql_select *select, uint64_t *out_written,
                                        struct af_error *err);

/* --- list.c: running queries ---------------------------------------------------------------------------------------------------------- */

struct query_running;
/* The request lives until it leaves. AF_EBUSY: as many as may run. */
AF_MUST_CHECK enum af_status query_list_enter(struct af_query_list *list, struct af_slice text, const struct af_query_request *request,
                                              int64_t deadline_mono_ns, struct query_running **out, struct af_error *err);
/* For whoever works on it, stores too: it was killed, its client is gone or its deadline has passed. NULL: not in a list. */
const bool *query_running_stopped(const struct query_running *running);
bool query_running_is_killed(const struct query_running *running);
void query_list_leave(struct af_query_list *list, struct query_running *running, bool failed);
AF_MUST_CHECK enum af_status query_list_show(struct af_query_list *list, struct af_arena *arena, struct af_tables **out,
                                             struct af_error *err);
AF_MUST_CHECK enum af_status query_list_kill(struct af_query_list *list, uint64_t id, struct af_error *err);

/* --- params.c: bind parameters out of JSON -------------------------------------------------------------------------------------------- */

struct query_params {
    struct af_ql_params params;
    const struct af_json *json;
};
AF_MUST_CHECK enum af_status query_params_read(const char *json, struct af_arena *arena, struct query_params *out, struct af_error *err);
#endif
