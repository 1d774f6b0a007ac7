/*
 * http_peer.h - an HTTP server for tests that misbehaves to order: a thread on a loopback port that answers byte by byte what the
 * test wrote down, or what a function of the test makes up.
 *
 *     static const struct af_peer_step steps[] = {
 *         { .bytes = "HTTP/1.1 204 No Content\r\n\r\n" },
 *         { .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", .then = AF_PEER_RESET },
 *     };
 *     struct af_peer *peer = af_peer_start(steps, 2);
 *     ... af_peer_url(peer) ...
 *     af_peer_stop(peer);
 *
 * Connections are served one after the other.
 */
#ifndef AF_TEST_HTTP_PEER_H
#define AF_TEST_HTTP_PEER_H
#include "base/buf.h"

enum af_peer_then {
    AF_PEER_KEEP,  /* wait for the next request on this connection */
    AF_PEER_CLOSE,
    AF_PEER_RESET, /* close with a RST */
    AF_PEER_HANG,  /* say nothing more until the other side goes away */
};

struct af_peer_step {
    const char *bytes;      /* the answer; NULL: none */
    size_t len;             /* 0: strlen(bytes) */
    unsigned delay_ms;      /* before the answer */
    unsigned dribble_bytes; /* so many at a time, dribble_ms apart; 0: all at once */
    unsigned dribble_ms;
    enum af_peer_then then;
    bool is_deaf;           /* do not read the request first */
};

struct af_peer;
/* After the last step, connections are closed unanswered. `steps` is borrowed. */
struct af_peer *af_peer_start(const struct af_peer_step *steps, size_t count);

/* `answer` gets each request (head and body as sent) and appends a whole answer; false: close the connection after it. */
typedef bool (*af_peer_answer)(void *ctx, struct af_slice request, struct af_buf *out);
struct af_peer *af_peer_start_with(af_peer_answer answer, void *ctx);

const char *af_peer_url(const struct af_peer *peer); /* http://127.0.0.1:PORT */
unsigned af_peer_port(const struct af_peer *peer);
/* What came so far. Call after the client has its answer. */
size_t af_peer_requests(struct af_peer *peer);
size_t af_peer_connections(struct af_peer *peer);
struct af_slice af_peer_request(struct af_peer *peer, size_t i); /* head and body, the body without chunking */
void af_peer_stop(struct af_peer *peer);

/* A TCP port on 127.0.0.1 that was free a moment ago. */
unsigned af_peer_free_port(void);
#endif
