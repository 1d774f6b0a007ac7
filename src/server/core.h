/*
 * core.h - the server itself, for the files that are the server and not routes: server.c (life, dispatch), auth.c (who is asking), log.c,
 * ops.c and metrics.c (how it does), write.c (workers).
 */
#ifndef AF_SERVER_CORE_H
#define AF_SERVER_CORE_H
#include "base/limits.h"
#include "query/query.h"
#include "server/server_int.h"
#include <stdatomic.h>

/* What requests are counted by. */
enum request_class { CLASS_WRITE, CLASS_QUERY, CLASS_API, CLASS_OPS, CLASS_OTHER, CLASS_COUNT };
enum { STATUS_CLASSES = 5, TOOK_STEPS = 8 };
struct request_counts {
    _Atomic uint64_t by_status[STATUS_CLASSES]; /* 1xx .. 5xx */
    _Atomic uint64_t took[TOOK_STEPS];          /* not cumulative; bounds in metrics.c */
    _Atomic uint64_t took_ns, bytes_in, bytes_out;
};

struct session;
struct core_continuous;
struct core_subscriptions;
struct af_points;
struct af_server {
    struct af_server_options options;
    struct af_serve *http;
    int64_t started_ns;             /* wall clock */
    uint64_t id_seed;               /* of request ids */
    _Atomic uint64_t id_next;
    struct request_counts counts[CLASS_COUNT];
    _Atomic uint64_t bad_lines, refused_requests, unlogged;
    _Atomic int64_t log_second;     /* log.c: lines a second are bounded */
    _Atomic uint64_t log_count;

    struct af_query_list *queries;  /* that run */
    struct core_continuous *continuous; /* cq.c */
    _Atomic uint64_t continuous_done, continuous_failed;
    struct core_subscriptions *subscriptions; /* subscribe.c */
    _Atomic bool has_subscriptions;
    _Atomic uint64_t subscription_points, subscription_failed, subscription_dropped;

    struct af_mutex worker_lock;
    struct af_worker *workers;      /* that nobody uses; the last one used is the first one taken */

    struct af_mutex bucket_lock;    /* around a change of a bucket in the catalogue and the same in the engine */

    struct af_mutex session_lock;
    struct session *sessions;
    size_t session_count;

    struct af_mutex probe_lock;     /* one readiness probe at a time, its answer good for a second */
    int64_t probed_mono_ns;
    enum af_status probe_status;
};

/* --- server.c: what a request meets before its handler ----------------------------------------------------------------------- */

enum { CORE_LARGE_BODY_BYTES = AF_SERVER_OPEN_BODY_BYTES_MAX }; /* from here on credentials are looked at before the body comes */
enum request_class core_class_of(const char *path);
bool core_is_loopback_name(const char *host); /* 127.0.0.1, ::1, localhost; NULL too: it is what net/serve listens on then */

/* The user of the first start whom nobody made, named or gave a password to since: he owns the operator token and cannot sign in. 1.x has
 * no such user, and no list of users shows him there. */
bool core_is_own_user(const struct af_meta_user *user);

/* --- auth.c ------------------------------------------------------------------------------------------------------------------ */

/* True: request->who is known. False: refused, with the answer made. `early`: on an I/O thread; what would take long (a password) passes
 * as unproven, to be asked again by the worker. */
AF_MUST_CHECK bool core_authenticate(struct af_request *request, bool early);
void core_sessions_end_of(struct af_server *server, uint64_t user); /* his password is another one now */
void core_sessions_free(struct af_server *server);
/* Base64, padded or not; false: it is not. */
AF_MUST_CHECK bool core_base64_decode(struct af_slice text, struct af_buf *out);
void core_base64_encode(struct af_slice bytes, bool is_for_urls, struct af_buf *out);

/* --- log.c ------------------------------------------------------------------------------------------------------------------- */

void core_log_request(struct af_server *server, const struct af_serve_request *http, int status, int64_t took_ns);
void core_log_error(struct af_server *server, const char *what, const char *words);

/* --- write.c ----------------------------------------------------------------------------------------------------------------- */

struct af_worker *core_worker_take(struct af_server *server); /* NULL without memory */
void core_worker_give(struct af_server *server, struct af_worker *worker);
void core_workers_free(struct af_server *server);

/* --- cq.c -------------------------------------------------------------------------------------------------------------------- */

AF_MUST_CHECK enum af_status core_continuous_start(struct af_server *server, struct af_error *err);
void core_continuous_stop(struct af_server *server);
/* Every continuous query that is due at `now_ns`. The thread calls it with the time as it is; tests say another. */
void core_continuous_run(struct af_server *server, int64_t now_ns);
/* One of them, asked: must it run, and over what? */
struct core_due {
    bool is_due, has_windows;       /* due without a whole window: it counts as having run */
    int64_t ran_ns;                 /* to be told the next time */
    struct af_ql_range range;
};
/* `last_ns` NULL: it never ran. */
AF_MUST_CHECK enum af_status core_continuous_due(const struct af_ql_statement *st, const int64_t *last_ns, int64_t now_ns,
                                                 struct core_due *out, struct af_error *err);

/* --- subscribe.c ------------------------------------------------------------------------------------------------------------- */

AF_MUST_CHECK enum af_status core_subscriptions_start(struct af_server *server, struct af_error *err);
void core_subscriptions_stop(struct af_server *server);
/* One was made or dropped. */
AF_MUST_CHECK enum af_status core_subscriptions_changed(struct af_server *server, struct af_error *err);
struct core_subscriptions_seen {
    size_t buckets, queued;         /* subscriptions that lead to a bucket; bytes on their way to the thread */
};
void core_subscriptions_see(struct af_server *server, struct core_subscriptions_seen *out);
/* These points are durable in the bucket: sent on if somebody subscribed to it. Copies; never waits. */
void core_subscriptions_offer(struct af_server *server, uint64_t bucket, const struct af_points *points);
/* The same, points that are lines already, times in nanoseconds. */
void core_subscriptions_offer_lines(struct af_server *server, uint64_t bucket, struct af_slice lines, size_t count);

/* --- forward.c --------------------------------------------------------------------------------------------------------------- */

/* `inner` with what is written through it offered to subscriptions. It owns `inner`, which is closed on failure too. */
AF_MUST_CHECK enum af_status core_forward_open(struct af_server *server, uint64_t bucket, struct af_store *inner, struct af_store **out,
                                               struct af_error *err);

/* --- stats.c ----------------------------------------------------------------------------------------------------------------- */

/* What SHOW STATS and /debug/vars tell, by module, then name: where InfluxDB has the same figure, under its name. */
struct core_stat {
    const char *module, *name;
    uint64_t value;
};
enum { CORE_STATS_MAX = 48 };
size_t core_stats(struct af_server *server, struct core_stat out[CORE_STATS_MAX]);

/* --- ops.c, metrics.c -------------------------------------------------------------------------------------------------------- */

void core_count(struct af_server *server, const char *path, int status, uint64_t bytes_in, uint64_t bytes_out, int64_t took_ns);
void core_print_metrics(struct af_server *server, struct af_buf *out);
#endif
