/*
 * serve_int.h - between the files of the HTTP server: serve.c (life, connections, queue), serve_request.c (what a handler asks of a
 * request), serve_answer.c (how an answer leaves).
 *
 * A connection's fields are grouped by who may touch them. An I/O thread owns a request until it suspends the connection and queues it; the
 * worker owns it until it resumes the connection. The watcher looks at `deadline_ns`, `fd` and `is_gone` under the server's lock only.
 */
#ifndef AF_NET_SERVE_INT_H
#define AF_NET_SERVE_INT_H
#include "net/serve.h"
#include "os/thread.h"
#include <microhttpd.h>

enum serve_state {
    SERVE_READING,  /* the body is being collected */
    SERVE_QUEUED,   /* for a worker, or with one: the connection is suspended */
    SERVE_ANSWERED, /* the answer is MHD's to send */
    SERVE_PIECE,    /* a worker fetches the next piece of a streamed answer: suspended */
};

struct serve_job {
    struct serve_job *next;         /* in the queue; under lock */
    struct af_serve *serve;
    struct serve_conn *conn;
    struct MHD_Connection *mhd;
    enum serve_state state;
    struct af_serve_request request;
    struct af_serve_answer answer;
    struct af_arena arena;
    struct af_buf body;
    struct af_buf unpacked;
    bool is_unpacked;
    size_t body_counted;            /* of `body.cap`, in the sum over all requests */
    size_t unproven_counted;        /* the part of it that is in the sum over those nobody vouches for */
    uint64_t body_seen;             /* bytes that came, kept or not */
    int refusal;                    /* status that head or body earned while they came; 0: none */
    bool has_answer;                /* the refusal is in `answer` already */
    bool is_owed;                   /* counted in serve->owed */
    struct serve_header {
        struct serve_header *next;
        const char *name, *value;
    } *headers, **headers_tail;     /* of the answer */
    struct af_slice piece;          /* of a streamed answer, not sent yet */
    bool has_ended;                 /* the stream */
    bool has_failed;
    uint64_t bytes_out;
};

struct serve_conn {
    struct serve_conn *previous, *next; /* under lock */
    int fd;
    int64_t deadline_ns;            /* monotonic; under lock. INT64_MAX: none */
    bool is_watched;                /* a worker is at it: look whether the client left */
    bool is_gone;                   /* read by workers while the watcher writes it: see serve_watch */
    bool is_cut;
};

struct af_serve {
    struct af_serve_options options;
    struct MHD_Daemon *daemon;
    char *cert, *key;
    uint16_t port;
    struct af_mutex lock;
    struct af_cond work_cond;       /* the queue grew, the end began */
    struct af_cond idle_cond;       /* a job ended */
    struct serve_job *first, **last;
    struct serve_conn *conns;
    uint64_t queued, busy;          /* under lock */
    uint64_t owed;                  /* requests that a worker got and whose answer is not sent yet; under lock */
    bool is_ending;                 /* workers leave once the queue is empty */
    bool is_stopping;               /* the watcher leaves */
    _Atomic bool is_closing;        /* nothing new is taken */
    struct af_thread *workers;
    unsigned worker_count;
    struct af_thread watcher;
    struct af_buf spare[16];        /* bodies' memory, kept for the next; under lock */
    unsigned spare_count;
    _Atomic uint64_t body_bytes, unproven_bytes, requests, connections, refused, timeouts, open;
};

/* serve_request.c */
void serve_request_fill(struct serve_job *job, const char *method, const char *path);
/* serve_answer.c */
void serve_answer_init(struct serve_job *job);
enum MHD_Result serve_answer_queue(struct serve_job *job); /* hands job->answer to MHD; on an I/O thread */
void serve_answer_plain(struct serve_job *job, int status, const char *words);
/* serve.c */
void serve_enqueue(struct serve_job *job, enum serve_state state); /* suspends; on an I/O thread */
void serve_set_deadline(struct serve_job *job, uint32_t ms); /* 0: none */
bool serve_claim(struct serve_job *job, size_t bytes); /* of the memory for all bodies; given back with the request */
#endif
