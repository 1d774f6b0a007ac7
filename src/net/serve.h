/*
 * serve.h - an HTTP server over libmicrohttpd: a few threads move bytes, a fixed pool of workers answers.
 *
 *     socket --> I/O threads (epoll): headers, body collected, bounded --> queue --> worker: handle(request, answer)
 *     socket <-- I/O threads: answer, whole or in pieces                <-- the connection is resumed
 *
 * HTTP/1.0 and 1.1, keep-alive, chunked bodies, `Expect: 100-continue` (not said to a body that is refused already), HEAD. A body that is
 * gzip (Content-Encoding: gzip or x-gzip) is unpacked by af_serve_body. TLS by GnuTLS, 1.2 and later. No handler runs on an I/O thread, so
 * a slow one never holds up other connections.
 *
 * A request that is refused by its head alone is answered at once if it waits for `100 Continue`; otherwise its body is read and thrown
 * away first, up to a limit, since a client that is still sending would find its connection reset before it finds the answer.
 *
 * What a hostile client meets: limits on connections (in all and per address), on headers, on a body, on all bodies together; a deadline
 * for a whole request (head and body, however slowly it drips) and for an idle connection. Beyond them the answer is 431, 413, 503, 408
 * or the end of the connection.
 */
#ifndef AF_NET_SERVE_H
#define AF_NET_SERVE_H
#include "base/arena.h"
#include "base/buf.h"

struct af_serve_request {
    const char *method;            /* "GET" ... */
    const char *path;              /* percent-decoded, without the query */
    struct af_slice body;          /* as it came; see af_serve_body */
    char peer[64];                 /* address of the client */
    bool is_tls;
    bool is_loopback;              /* the client is on this machine */
    int64_t start_mono_ns;         /* when its head was complete */
    struct af_arena *arena;        /* until the answer is sent */
    const bool *is_gone;           /* becomes true when the client closed: long work polls it */
    void *own;                     /* net's */
};
const char *af_serve_header(const struct af_serve_request *request, const char *name); /* NULL: absent. Any case */
const char *af_serve_arg(const struct af_serve_request *request, const char *name);    /* decoded; NULL: absent; "" without a value */
/* From the query and, if the body is application/x-www-form-urlencoded, from the body. */
const char *af_serve_form(const struct af_serve_request *request, const char *name);
/* Every argument in order. */
void af_serve_args(const struct af_serve_request *request, void (*each)(void *ctx, const char *name, const char *value), void *ctx);
/* The body, unpacked if it is gzip; until the answer is sent. AF_ECORRUPT: not gzip, or cut short (words of Go's library). AF_ELIMIT:
 * larger than body_bytes_max. AF_EBUSY: all bodies together would be larger than bodies_bytes_max. */
AF_MUST_CHECK enum af_status af_serve_body(const struct af_serve_request *request, struct af_slice *out, struct af_error *err);

struct af_serve_answer {
    int status;                    /* 200 unless set */
    const char *content_type;      /* NULL: none */
    struct af_buf body;
    /* Instead of `body`: pulled in pieces, chunked, on a worker's time. *out of length 0 is the end; a failure ends the connection.
     * `close` is called once, always. */
    enum af_status (*next)(void *ctx, struct af_slice *out, struct af_error *err);
    void (*close)(void *ctx);
    void *ctx;
    /* Set by `early` and read when it has answered 0. body_bytes_max: this body may be no larger; 0: the server's limit stands.
     * is_unproven: nobody knows yet whether the client may, so that all such bodies together get a third of bodies_bytes_max. */
    size_t body_bytes_max;
    bool is_unproven;
    void *own;
};
/* Both copied. Names that occur twice are sent twice. */
void af_serve_add_header(struct af_serve_answer *answer, const char *name, const char *value);

typedef void (*af_serve_handle)(void *ctx, const struct af_serve_request *request, struct af_serve_answer *answer);

struct af_serve_options {
    const char *address;           /* "127.0.0.1", "::", NULL: 127.0.0.1 */
    uint16_t port;                 /* 0: any free one, see af_serve_port */
    const char *tls_cert, *tls_key; /* PEM files; both or none */
    unsigned io_threads;           /* 0: 2 */
    unsigned workers;              /* 0: 8 */
    unsigned connections_max;      /* 0: AF_SERVER_CONNECTIONS_MAX */
    unsigned connections_per_address; /* 0: three quarters of connections_max */
    size_t body_bytes_max;         /* 0: AF_SERVER_BODY_BYTES_MAX: packed and unpacked */
    size_t bodies_bytes_max;       /* 0: AF_SERVER_BODIES_BYTES_MAX */
    uint32_t request_timeout_ms;   /* 0: 60,000 + what body_bytes_max takes at 64 KiB/s */
    uint32_t idle_timeout_ms;      /* 0: 120,000 */
    /* Called on the I/O thread with head and no body yet: a status other than 0 is the answer without reading the body (401, 404, 413).
     * NULL: none. Must be quick. */
    int (*early)(void *ctx, const struct af_serve_request *request, struct af_serve_answer *answer);
    af_serve_handle handle;
    /* The words for a body that net refuses itself: answer->status is 413 (too large) or 503 (too much at once, or stopping; Retry-After is
     * there). On an I/O thread. NULL: JSON of our own. */
    void (*refused)(void *ctx, const struct af_serve_request *request, struct af_serve_answer *answer);
    /* One line a request when it is answered (access log, metrics). NULL: none. */
    void (*done)(void *ctx, const struct af_serve_request *request, int status, uint64_t bytes_in, uint64_t bytes_out, int64_t took_ns);
    void *ctx;
};
struct af_serve;
AF_MUST_CHECK enum af_status af_serve_start(const struct af_serve_options *options, struct af_serve **out, struct af_error *err);
uint16_t af_serve_port(const struct af_serve *serve);
struct af_serve_stats {
    uint64_t requests, connections, refused_connections, timeouts;
    uint64_t open_connections, queued, busy_workers, body_bytes;
};
void af_serve_stats(struct af_serve *serve, struct af_serve_stats *out);
/* No new connections; requests in work get their answer (at most grace_ms), then everything is closed. */
void af_serve_stop(struct af_serve *serve, uint32_t grace_ms);
#endif
