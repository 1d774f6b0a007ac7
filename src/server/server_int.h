/*
 * server_int.h - what the route files share: the request at hand, the route table, answers in InfluxDB's words.
 *
 * A route file holds one table, `af_routes_<name>`, and its handlers; route.c joins the tables. A handler runs on a worker thread, with its
 * principal already known; it asks af_request_may before it does anything, and prints its answer into request->answer->body.
 */
#ifndef AF_SERVER_INT_H
#define AF_SERVER_INT_H
#include "format/json/json.h"
#include "os/thread.h"
#include "server/server.h"

/* Which generation's words an answer has. */
enum af_api { AF_API_V1, AF_API_V2, AF_API_OPS, AF_API_PLATFORM };

struct af_request {
    struct af_server *server;
    struct af_house *house;
    const struct af_serve_request *http;
    struct af_serve_answer *answer;
    struct af_arena *arena;            /* http->arena */
    enum af_api api;
    struct af_principal who;
    const char *path_args[4];          /* what stood for each {} of the pattern */
};

enum af_access {
    AF_ACCESS_OPEN,                    /* no credentials needed: ping, health, setup */
    AF_ACCESS_TOKEN,                   /* any valid principal; the handler asks for more */
};
struct af_route {
    const char *method;                /* "GET", "POST,PUT"; GET also serves HEAD */
    const char *pattern;               /* "/api/v2/buckets/{}" ; {} is one segment, not empty */
    enum af_api api;
    enum af_access access;
    void (*handle)(struct af_request *request);
};
/* Ends with a NULL method. */
extern const struct af_route af_routes_ops[], af_routes_v1_write[], af_routes_v1_query[], af_routes_v1_prom[], af_routes_v2_write[],
    af_routes_v2_delete[], af_routes_v2_query[], af_routes_v2_setup[], af_routes_v2_orgs[], af_routes_v2_buckets[], af_routes_v2_tokens[],
    af_routes_v2_users[], af_routes_v2_dbrps[],
    af_routes_v2_misc[], af_routes_v2_backup[], af_routes_platform[];

/* --- credentials (auth.c) ---------------------------------------------------------------------------------------------------- */

/* True: may. False: 403 has been answered in the generation's words and is audited. `org`, `id` 0: the type as such. */
AF_MUST_CHECK bool af_request_may(struct af_request *request, enum af_action action, const char *type, uint64_t org, uint64_t id);
/* A session made by /api/v2/signin: the cookie's value, in `arena`; ends with the process or after an hour unused. */
AF_MUST_CHECK enum af_status af_session_new(struct af_server *server, uint64_t user, struct af_arena *arena, const char **out_key,
                                            struct af_error *err);
void af_session_end(struct af_server *server, const char *key);
/* The cookie of the request, or NULL. */
const char *af_request_session(const struct af_request *request);

/* --- answers (answer.c) ------------------------------------------------------------------------------------------------------ */

/* In the words of request->api: 1.x {"error":"..."}\n with X-Influxdb-Error, the platform's {"error":{"code","message" ...}}, 2.x
 * {"code","message"} with X-Platform-Error-Code. Status and
 * code of 2.x from the table in answer.c: 400 invalid, 401 unauthorized, 403 forbidden, 404 not found, 405 method not allowed, 413
 * request too large, 422 unprocessable entity or conflict, 429 too many requests, 500 internal error, 503 unavailable. */
void af_answer_fail(struct af_request *request, int http_status, const char *fmt, ...) AF_PRINTF(3, 4);
/* The same with another 2.x code: "conflict", "empty value". */
void af_answer_fail_code(struct af_request *request, int http_status, const char *code, const char *fmt, ...) AF_PRINTF(4, 5);
void af_answer_error(struct af_request *request, const struct af_error *err);   /* status by base/status.def */
void af_answer_none(struct af_request *request, int http_status);               /* 204, 201 without a body */
/* A time as Go prints RFC3339Nano: no zeros at the end of the fraction, no fraction of zeros. */
enum { AF_TIME_TEXT_BYTES = 48 };
void af_time_print(int64_t ns, char out[AF_TIME_TEXT_BYTES]);
/* JSON goes into the body: a writer that puts commas where they belong. */
struct af_out {
    struct af_buf *buf;
    bool needs_comma;
};
struct af_out af_answer_json(struct af_request *request, int http_status);
void af_out_open(struct af_out *out, const char *key, char bracket);      /* key NULL inside arrays and at the top; '{' or '[' */
void af_out_close(struct af_out *out, char bracket);                      /* '}' or ']' */
void af_out_str(struct af_out *out, const char *key, const char *value);  /* NULL value: left out */
void af_out_int(struct af_out *out, const char *key, int64_t value);
void af_out_bool(struct af_out *out, const char *key, bool value);
void af_out_id(struct af_out *out, const char *key, uint64_t id);         /* 16 hex digits */
void af_out_time(struct af_out *out, const char *key, int64_t ns);        /* RFC3339 with nanoseconds as Go prints them */
void af_out_raw(struct af_out *out, const char *key, const char *json);
/* The body as JSON, in the arena; NULL: a 400 has been answered. */
const struct af_json *af_request_json(struct af_request *request);

/* --- parameters -------------------------------------------------------------------------------------------------------------- */

/* `org`/`orgID` of the request: by name or id; none given: the only or first organisation. False: 404 or 400 has been answered. */
AF_MUST_CHECK bool af_request_org(struct af_request *request, struct af_meta_org *out);
AF_MUST_CHECK bool af_request_id(struct af_request *request, const char *text, uint64_t *out); /* 16 hex digits, or 400 */

/* --- the log ----------------------------------------------------------------------------------------------------------------- */

/* One JSON line: {"time":..,"event":"audit","action":..,"who":..,"peer":..,"detail":..}. No secrets. */
void af_audit(struct af_request *request, const char *action, const char *fmt, ...) AF_PRINTF(3, 4);

/* --- threads ----------------------------------------------------------------------------------------------------------------- */

struct af_lp_parser;
/* What writing keeps between requests: write.c. */
struct af_worker {
    struct af_worker *next;
    struct af_lp_parser *parser;       /* made at need */
    struct af_tsm_series_memo *memo;
    struct af_arena arena;             /* of a batch */
};
#endif
