/*
 * platform.h - the platform's own HTTP API, as values: a request in, an answer out, whoever carries them (our server, API Gateway).
 *
 *     POST /query/flux      {"query", "options": {"format", "include_metadata", "limit"}}
 *     POST /query/influxql  {"query", "database"}
 *     GET  /health
 *
 * Shapes: docs/platform-api.md. The path of questions (POST /query with `question`) comes with `ask`; until then it answers 501.
 */
#ifndef AF_PLATFORM_PLATFORM_H
#define AF_PLATFORM_PLATFORM_H
#include "base/arena.h"
#include "base/buf.h"
#include "store/store.h"

/* What a request may ask of, and how much. */
struct af_platform {
    struct af_store *store;             /* the target; queries in its own languages pass through, InfluxQL on a directory runs here */
    const char *database;               /* where a request names none */
    uint32_t timeout_ms;                /* 0: 30,000 */
    uint64_t rows_max;                  /* 0: 10,000 */
    uint64_t answer_bytes_max;          /* 0: 6 MiB less 64 KiB (Lambda's answer) */
    const char *service;                /* of /health; NULL: "afluxo" */
};
struct af_platform_request {
    struct af_slice method, path;       /* path without stage and query */
    struct af_slice body;
    const char *id;                     /* query_id of the answer; NULL: a random UUID */
    const bool *cancel;
};
/* The HTTP status and a JSON body appended to `out`. Failures are answers too; AF_ENOMEM alone is none. */
AF_MUST_CHECK enum af_status af_platform_answer(const struct af_platform *platform, const struct af_platform_request *request,
                                                int *out_status, struct af_buf *out, struct af_error *err);
#endif
