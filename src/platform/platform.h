/*
 * platform.h - the platform's own HTTP API, as values: a request in, an answer out, whoever carries them (our server, API Gateway).
 *
 *     POST /query/flux      {"query", "options": {"format", "include_metadata", "limit"}}
 *     POST /query/influxql  {"query", "database", "options"}
 *     GET  /health
 *     GET  /openapi.json
 *
 * Shapes: docs/platform-api.md. The path of questions (POST /query with `question`) comes with `ask`; until then it answers 501.
 *
 * These paths read: what would write or administer is refused before it goes anywhere. The rights of whoever asks remain what they are;
 * this is a second fence, not the first.
 */
#ifndef AF_PLATFORM_PLATFORM_H
#define AF_PLATFORM_PLATFORM_H
#include "base/buf.h"
#include "query/query.h"
#include "store/store.h"

/* What is asked, and how much an answer may take. */
struct af_platform {
    /* The target, one of two. `open`: a server; a store of remote/, which stays its owner's; queries in its own languages pass through.
     * What it fails with is for the log only, and is told as a server that cannot be reached; *cancel rises when the time is up. */
    enum af_status (*open)(void *ctx, const bool *cancel, struct af_store **out, struct af_error *err);
    const struct af_query_host *host;   /* InfluxQL runs here, over these stores; there is no Flux yet */
    /* With `host`: completes a request that has text, database, policy, now, timeout and cancel: limits, list, user, ctx, may. NULL:
     * nothing to add. */
    void (*prepare)(void *ctx, struct af_query_request *request);
    /* For /health: is the target there? It takes no longer than a caller of /health waits. NULL: /health does not say. */
    enum af_status (*probe)(void *ctx, struct af_error *err);
    void *ctx;
    const char *database;               /* where a request names none; NULL: that of the store, or none */
    uint32_t timeout_ms;                /* 0: AF_PLATFORM_TIMEOUT_MS */
    uint64_t rows_max;                  /* 0: AF_PLATFORM_ROWS_MAX; what is more is cut, and the answer says so */
    uint64_t answer_bytes_max;          /* 0: AF_PLATFORM_ANSWER_BYTES_MAX; the same */
    const char *service, *version;      /* of /health; NULL: "afluxo", left out */
};
struct af_platform_request {
    struct af_slice method, path;       /* path without stage and query */
    struct af_slice body;
    const char *id;                     /* query_id of the answer; NULL: a random UUID */
    const bool *cancel;                 /* may be NULL */
};
/* What came of it, for metrics and logs. */
struct af_platform_result {
    int http_status;
    uint64_t rows;
    bool is_timeout;
    struct af_error why;                /* status AF_OK: answered; else what went wrong, in words for whoever runs this */
};
/* The answer's JSON is appended to `out`. Failures are answers too; AF_ENOMEM alone is none. */
AF_MUST_CHECK enum af_status af_platform_answer(const struct af_platform *platform, const struct af_platform_request *request,
                                                struct af_platform_result *result, struct af_buf *out, struct af_error *err);
/* A refusal in the same shape by who carries requests: 401, 403, 413 ... `id` NULL: a random UUID. */
void af_platform_refuse(struct af_buf *out, int http_status, const char *id, const char *words);
/* Has this JSON a `question`? Such a body at POST /query is for af_platform_answer; others are not. */
bool af_platform_is_question(struct af_slice body);
/* May the Flux text be sent on? AF_EDENIED: it would write, or reach another place than the server that is asked. AF_EINVAL: it is cut
 * short. AF_ELIMIT: nested too deep. */
AF_MUST_CHECK enum af_status af_platform_flux_reads(struct af_slice text, struct af_error *err);
#endif
