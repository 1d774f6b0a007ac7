/*
 * server.h - `afluxo serve`: the InfluxDB 1.x and 2.x APIs over the embedded engine, on one port.
 *
 *     net/serve --> route table (route.c) --> who is asking (auth.c) --> a folder of handlers per API: v1/, v2/, ops
 *                                                                         each turns a request into calls on tsm, meta, store
 *
 * No logic lives here that another program would want: that is in tsm/, meta/, store/. Errors are InfluxDB's own bodies and words.
 */
#ifndef AF_SERVER_SERVER_H
#define AF_SERVER_SERVER_H
#include "meta/meta.h"
#include "net/serve.h"
#include "query/query.h"
#include "tsm/tsm.h"

/* Directory, engine and catalogue together: what `serve`, `migrate --to DIR` and the administration commands open. Buckets of the catalogue
 * are made known to the engine. */
struct af_house {
    struct af_tsm *engine;
    struct af_meta *meta;
    char *dir;
};
struct af_house_options {
    struct af_tsm_options engine;     /* dir included */
};
AF_MUST_CHECK enum af_status af_house_open(const struct af_house_options *options, struct af_house *out, struct af_error *err);
void af_house_close(struct af_house *house);
/* Bucket of the default organisation (made at need: "afluxo"), created if `create`. *out_id. */
AF_MUST_CHECK enum af_status af_house_bucket(struct af_house *house, const char *org, const char *name, bool create, int64_t shard_ns,
                                             uint64_t *out_id, struct af_error *err);

/* The bucket as a store that owns the house: closing it flushes the engine and closes everything. It is made by `create` or by the first
 * write. AF_EBUSY: a server (or another command) has the directory. */
AF_MUST_CHECK enum af_status af_house_store_open(const struct af_house_options *options, const char *org, const char *bucket,
                                                 int64_t shard_ns, struct af_store **out, struct af_error *err);
struct af_house *af_house_of_store(struct af_store *store); /* NULL: it is another store */
/* Its bucket, made if `create`. */
AF_MUST_CHECK enum af_status af_house_store_bucket(struct af_store *store, bool create, uint64_t *out_id, struct af_error *err);

/* A query on a house that no server has: every statement of 1.x, by somebody who may everything. `request` needs text, database and wire
 * only and lives, like the house, until af_query_close; `arena` is reset after that. */
AF_MUST_CHECK enum af_status af_house_query_open(struct af_house *house, struct af_query_request *request, struct af_arena *arena,
                                                 struct af_query **out, struct af_error *err);

struct af_server_options {
    struct af_house *house;
    struct af_serve_options http;     /* address, port, TLS, limits; handlers are filled in */
    const char *version;              /* of the program, for /version and /health */
    struct af_exec_limits query_limits;         /* of each query */
    uint64_t query_timeout_ms;        /* 0: none */
    uint64_t query_rows_max;          /* of an answer that is not chunked; 0: no limit */
    unsigned queries_max;             /* at once; 0: no limit */
    bool no_continuous;               /* continuous queries do not run by themselves */
    bool no_auth;                     /* only with a loopback address: AF_EINVAL otherwise */
    void (*log)(void *ctx, const char *line);   /* what happened, a JSON object a line: audit, slow requests, errors */
    void *ctx;
};
struct af_server;
/* A listener that is not loopback must have TLS: AF_EINVAL, unless `http.tls_cert`. First start without a set-up: organisation "afluxo",
 * bucket "default", user "admin" and an operator token are made; the token stands in DIR/operator-token (0600) and in *out_token (in
 * `arena`; NULL if there was a set-up). */
AF_MUST_CHECK enum af_status af_server_start(const struct af_server_options *options, struct af_arena *arena, const char **out_token,
                                             struct af_server **out, struct af_error *err);
uint16_t af_server_port(const struct af_server *server);
void af_server_stop(struct af_server *server, uint32_t grace_ms);
#endif
