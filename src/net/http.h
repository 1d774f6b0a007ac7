/*
 * http.h - an HTTP client over libcurl: one connection kept alive, one thread at a time.
 *
 * TLS certificates are verified unless asked not to. Authorization and other secret headers never appear in messages. A client
 * is made per thread (per sink lane); af_http_init is called once by the program.
 */
#ifndef AF_NET_HTTP_H
#define AF_NET_HTTP_H
#include "base/buf.h"

struct af_http_options {
    uint32_t connect_timeout_ms; /* 0: 10,000 */
    uint32_t stall_timeout_ms;   /* no byte either way for this long: AF_EIO; 0: 30,000; UINT32_MAX: never */
    uint32_t total_timeout_ms;   /* of one request; 0: none */
    bool skip_verify;            /* accept any certificate */
    const char *ca_file;         /* NULL: the system's */
    const char *user_agent;      /* NULL: "afluxo/<version>" */
    bool no_proxy;               /* whatever the environment says: for what answers on this machine's own network only */
    bool no_redirects;           /* 3xx are answers as others (a signed request must not be sent to somebody else) */
    bool want_certificate;       /* answers say when that of the server ends */
    bool as_is;                  /* bodies as the server keeps them: no compression is asked for nor undone (ranges of an object) */
};

struct af_http_request {
    const char *method;            /* "GET", "HEAD" (an answer without body), "POST", "PUT", "DELETE", "PATCH" */
    const char *url;               /* sent as written: dots in the path stay */
    /* "Name: value", NULL-terminated; may be NULL. "Name;" is one with an empty value, "Name:" leaves out what libcurl would send. */
    const char *const *headers;
    struct af_slice body;
    /* Instead of `body`, for what is too large to be in memory: `body_bytes` bytes, asked for in order, from the start again where a kept
     * connection turns out to be dead. Exactly `len` bytes at `offset`. */
    enum af_status (*read_body)(void *ctx, uint64_t offset, void *dst, size_t len, struct af_error *err);
    uint64_t body_bytes;
    /* Where the answer's body goes when its status is 200..299; NULL: kept in answer->body. Returning anything but AF_OK ends the
     * request with that status. Compressed answers (gzip) arrive decompressed. */
    enum af_status (*on_body)(void *ctx, struct af_slice bytes, struct af_error *err);
    void *ctx;
    const bool *cancel;            /* polled; may be NULL */
    uint32_t timeout_ms;           /* of this request, if that is less than the client's total_timeout_ms; 0: none */
};

struct af_http_answer {
    int status;                    /* 200 ...; 0: no head came. Kept when the request fails later on */
    bool refused;                  /* on_body or read_body failed: the request's failure is theirs, not the network's */
    uint32_t retry_after_ms;       /* of Retry-After (seconds or a date); 0: none. At most one day */
    char content_type[96];
    char influx_version[64];       /* X-Influxdb-Version, "" if absent */
    char influx_error[1025];       /* X-Influxdb-Error / X-Platform-Error-Code's message, "" if absent */
    struct af_buf headers;         /* "name: value\n", names in lower case; see af_http_answer_header */
    /* At most AF_HTTP_ANSWER_BYTES_MAX; longer bodies of failures are cut there and the connection closed, of successes AF_ELIMIT. */
    struct af_buf body;
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t connect_us;           /* until the connection stood: name, TCP, TLS; 0: one was there */
    /* How far the connection came, also of a request that failed: until the name was known, until TLS stood; 0: not so far */
    uint64_t lookup_us, tls_us;
    char address[64];              /* of the server that TCP reached; "": none */
    int64_t date_ns;               /* the server's clock, by its header Date; 0: it said none */
    int64_t certificate_ends_ns;   /* with want_certificate; 0: no TLS */
    char certificate_names[256], certificate_by[256]; /* likewise: whom it is for (as much as fits), and who signed it */
};
void af_http_answer_init(struct af_http_answer *answer);
void af_http_answer_done(struct af_http_answer *answer);
/* The value of the first header of that name (written in lower case), without spaces around it; {NULL, 0} if there is none. Headers past
 * AF_HTTP_HEADERS_BYTES_MAX together are not kept. */
struct af_slice af_http_answer_header(const struct af_http_answer *answer, const char *name);

void af_http_init(void); /* idempotent, thread-safe */
const char *af_http_ca_file(void); /* where the certificates are that this system trusts; NULL: not in any place that is known */

struct af_http;
AF_MUST_CHECK enum af_status af_http_new(const struct af_http_options *options, struct af_http **out, struct af_error *err);
void af_http_free(struct af_http *http);

/*
 * Send and wait. AF_OK whenever a complete answer with any status came; the caller judges answer->status.
 *   AF_EIO        no connection, reset, cut short, stalled, timed out, TLS failure (the message says what to check)
 *   AF_EINVAL     not a URL
 *   AF_ECANCELED  *cancel became true
 */
AF_MUST_CHECK enum af_status af_http_send(struct af_http *http, const struct af_http_request *request,
                                          struct af_http_answer *answer, struct af_error *err);

/*
 * The same in pieces, for answers that are pulled rather than pushed: `begin`, then `pull` until *out_is_done. Each pull
 * calls on_body with some hundred KiB at most and then leaves the rest to the server (TCP holds it back), so memory stays
 * bounded however slow the caller is. What request and answer point to must live until the end. `end` abandons what is not
 * finished; it is needed after every begin that succeeded.
 */
AF_MUST_CHECK enum af_status af_http_begin(struct af_http *http, const struct af_http_request *request,
                                           struct af_http_answer *answer, struct af_error *err);
AF_MUST_CHECK enum af_status af_http_pull(struct af_http *http, bool *out_is_done, struct af_error *err);
void af_http_end(struct af_http *http);
#endif
