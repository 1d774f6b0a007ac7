/*
 * serve.c - the server's life: connections, the queue between I/O threads and workers, the watcher; see serve.h and serve_int.h.
 *
 * The watcher is one thread that looks ten times a second: a connection past its deadline is shut down (so a client that drips a byte
 * a second ends like one that is silent), and a client that left while a worker is at its request is noticed. Deadlines: from a
 * connection's begin or last answer until its next head is complete, idle_timeout_ms; from there until body and answer are through,
 * request_timeout_ms (a streamed answer has none but MHD's own for a client that stopped reading).
 */
#include "net/serve.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "net/serve_int.h"
#include "os/clock.h"
#include "os/file.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>

enum { WATCH_MS = 100, SPARE_BYTES_MAX = 4 << 20, DRAIN_FACTOR = 4, IDLE_MS = 120000, REQUEST_MS = 60000, SLOWEST_BYTES_PER_MS = 64,
       UNPROVEN_PART = 3 };

/* --- connections ------------------------------------------------------------------------------------------------------------- */

void serve_set_deadline(struct serve_job *job, uint32_t ms)
{
    af_mutex_lock(&job->serve->lock);
    job->conn->deadline_ns = ms == 0 ? INT64_MAX : af_clock_mono_ns() + (int64_t)ms * 1000000;
    af_mutex_unlock(&job->serve->lock);
}

static enum MHD_Result accept_policy(void *ctx, const struct sockaddr *addr, socklen_t len)
{
    struct af_serve *serve = ctx;
    (void)addr, (void)len;
    if (!atomic_load(&serve->is_closing))
        return MHD_YES;
    atomic_fetch_add(&serve->refused, 1);
    return MHD_NO;
}

static void conn_open(struct af_serve *serve, struct MHD_Connection *mhd, void **socket_ctx)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct serve_conn *conn = af_alloc_zero(1, sizeof *conn);
    *socket_ctx = conn;
    if (conn == NULL)
        return;
    conn->fd = info != NULL ? info->connect_fd : -1;
    atomic_fetch_add(&serve->connections, 1);
    atomic_fetch_add(&serve->open, 1);
    af_mutex_lock(&serve->lock);
    conn->deadline_ns = af_clock_mono_ns() + (int64_t)serve->options.idle_timeout_ms * 1000000;
    conn->next = serve->conns;
    if (conn->next != NULL)
        conn->next->previous = conn;
    serve->conns = conn;
    af_mutex_unlock(&serve->lock);
}

static void conn_close(struct af_serve *serve, void **socket_ctx)
{
    struct serve_conn *conn = *socket_ctx;
    if (conn == NULL)
        return;
    af_mutex_lock(&serve->lock);
    *(conn->previous != NULL ? &conn->previous->next : &serve->conns) = conn->next;
    if (conn->next != NULL)
        conn->next->previous = conn->previous;
    af_mutex_unlock(&serve->lock);
    atomic_fetch_sub(&serve->open, 1);
    af_free(conn);
    *socket_ctx = NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_ctx, enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        conn_open(ctx, mhd, socket_ctx);
    else
        conn_close(ctx, socket_ctx);
}

/* --- the watcher ------------------------------------------------------------------------------------------------------------- */

static bool has_left(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLRDHUP };
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static void watch_one(struct af_serve *serve, struct serve_conn *conn, int64_t now_ns)
{
    if (conn->is_watched && !conn->is_gone && has_left(conn->fd))
        __atomic_store_n(&conn->is_gone, true, __ATOMIC_RELAXED);
    if (now_ns < conn->deadline_ns || conn->is_cut || conn->fd < 0)
        return;
    conn->is_cut = true;
    __atomic_store_n(&conn->is_gone, true, __ATOMIC_RELAXED);
    atomic_fetch_add(&serve->timeouts, 1);
    (void)shutdown(conn->fd, SHUT_RDWR);
}

static void watcher_main(void *ctx)
{
    struct af_serve *serve = ctx;
    af_mutex_lock(&serve->lock);
    while (!serve->is_stopping) {
        int64_t now_ns = af_clock_mono_ns();
        for (struct serve_conn *conn = serve->conns; conn != NULL; conn = conn->next)
            watch_one(serve, conn, now_ns);
        int64_t next_ns = now_ns + (int64_t)WATCH_MS * 1000000;
        while (!serve->is_stopping && af_cond_wait_until(&serve->idle_cond, &serve->lock, next_ns))
            continue;
    }
    af_mutex_unlock(&serve->lock);
}

/* --- bodies ------------------------------------------------------------------------------------------------------------------ */

/* Memory of an earlier body, so that a steady stream of requests does not fault in fresh pages. */
static void body_take(struct af_serve *serve, struct serve_job *job)
{
    af_buf_init(&job->body, serve->options.body_bytes_max);
    af_buf_init(&job->unpacked, serve->options.body_bytes_max);
    af_mutex_lock(&serve->lock);
    if (serve->spare_count != 0)
        job->body = serve->spare[--serve->spare_count];
    af_mutex_unlock(&serve->lock);
    af_buf_clear(&job->body);
}

static void unclaim(struct serve_job *job)
{
    atomic_fetch_sub(&job->serve->body_bytes, job->body_counted);
    atomic_fetch_sub(&job->serve->unproven_bytes, job->unproven_counted);
    job->body_counted = 0;
    job->unproven_counted = 0;
}

static void body_give(struct af_serve *serve, struct serve_job *job)
{
    unclaim(job);
    af_buf_done(&job->unpacked);
    af_mutex_lock(&serve->lock);
    bool keep = job->body.ptr != NULL && job->body.cap <= SPARE_BYTES_MAX && !job->body.failed &&
                serve->spare_count < sizeof serve->spare / sizeof serve->spare[0];
    if (keep)
        serve->spare[serve->spare_count++] = job->body;
    af_mutex_unlock(&serve->lock);
    if (!keep)
        af_buf_done(&job->body);
}

/* Room for one body of the largest size, always. */
static uint64_t unproven_max(const struct af_serve_options *o)
{
    return o->bodies_bytes_max / UNPROVEN_PART > o->body_bytes_max ? o->bodies_bytes_max / UNPROVEN_PART : o->body_bytes_max;
}

static bool claim_unproven(struct serve_job *job, size_t bytes)
{
    struct af_serve *serve = job->serve;
    if (!job->answer.is_unproven)
        return true;
    if (atomic_fetch_add(&serve->unproven_bytes, bytes) + bytes > unproven_max(&serve->options)) {
        atomic_fetch_sub(&serve->unproven_bytes, bytes);
        return false;
    }
    job->unproven_counted += bytes;
    return true;
}

bool serve_claim(struct serve_job *job, size_t bytes)
{
    struct af_serve *serve = job->serve;
    if (atomic_fetch_add(&serve->body_bytes, bytes) + bytes > serve->options.bodies_bytes_max) {
        atomic_fetch_sub(&serve->body_bytes, bytes);
        return false;
    }
    job->body_counted += bytes;
    return true;
}

static size_t body_max(const struct serve_job *job)
{
    size_t most = job->serve->options.body_bytes_max;
    return job->answer.body_bytes_max != 0 && job->answer.body_bytes_max < most ? job->answer.body_bytes_max : most;
}

static void body_add(struct serve_job *job, const char *bytes, size_t len)
{
    struct af_serve *serve = job->serve;
    job->body_seen += len;
    if (job->refusal != 0)
        return;
    if (job->body_seen > body_max(job)) {
        job->refusal = 413;
    } else if (!claim_unproven(job, len) || !serve_claim(job, len)) {
        job->refusal = 503;
    } else {
        af_buf_append(&job->body, bytes, len);
        if (job->body.failed)
            job->refusal = 503;
    }
    if (job->refusal != 0) { /* what was kept is of no use */
        unclaim(job);
        af_buf_done(&job->body);
        af_buf_init(&job->body, serve->options.body_bytes_max);
    }
}

static void make_refusal(struct serve_job *job)
{
    const struct af_serve_options *o = &job->serve->options;
    if (job->has_answer)
        return;
    job->has_answer = true;
    if (job->refusal == 503)
        af_serve_add_header(&job->answer, "Retry-After", "1");
    if (o->refused == NULL) {
        serve_answer_plain(job, job->refusal, job->refusal == 413 ? "the body is too large" : "too much at once; try again");
        return;
    }
    job->answer.status = job->refusal;
    o->refused(o->ctx, &job->request, &job->answer);
}

static enum MHD_Result refuse(struct serve_job *job)
{
    make_refusal(job);
    return serve_answer_queue(job);
}

/* --- the queue --------------------------------------------------------------------------------------------------------------- */

/* Nobody is left to do it. */
static void give_up(struct serve_job *job)
{
    if (job->state == SERVE_PIECE) {
        job->has_failed = true;
    } else {
        job->refusal = 503;
        make_refusal(job);
    }
    MHD_resume_connection(job->mhd);
}

void serve_enqueue(struct serve_job *job, enum serve_state state)
{
    struct af_serve *serve = job->serve;
    job->state = state;
    job->next = NULL;
    MHD_suspend_connection(job->mhd);
    af_mutex_lock(&serve->lock);
    bool is_late = serve->is_ending;
    if (!is_late) {
        job->conn->is_watched = true;
        *serve->last = job;
        serve->last = &job->next;
        serve->queued++;
        serve->owed += !job->is_owed;
        job->is_owed = true;
        af_cond_signal(&serve->work_cond);
    }
    af_mutex_unlock(&serve->lock);
    if (is_late)
        give_up(job);
}

static void work(struct serve_job *job)
{
    if (job->state == SERVE_QUEUED) {
        job->serve->options.handle(job->serve->options.ctx, &job->request, &job->answer);
        return;
    }
    struct af_slice piece = { 0 };
    if (job->answer.next(job->answer.ctx, &piece, NULL) != AF_OK)
        job->has_failed = true;
    else if (piece.len == 0)
        job->has_ended = true;
    job->piece = piece;
}

static void worker_main(void *ctx)
{
    struct af_serve *serve = ctx;
    af_mutex_lock(&serve->lock);
    for (;;) {
        while (serve->first == NULL && !serve->is_ending)
            af_cond_wait(&serve->work_cond, &serve->lock);
        struct serve_job *job = serve->first;
        if (job == NULL)
            break;
        serve->first = job->next;
        if (serve->first == NULL)
            serve->last = &serve->first;
        serve->queued--;
        serve->busy++;
        af_mutex_unlock(&serve->lock);
        work(job);
        af_mutex_lock(&serve->lock);
        serve->busy--;
        job->conn->is_watched = false;
        af_mutex_unlock(&serve->lock); /* MHD has locks of its own, and calls us under them */
        MHD_resume_connection(job->mhd); /* the job is the I/O thread's from here */
        af_mutex_lock(&serve->lock);
    }
    af_mutex_unlock(&serve->lock);
}

/* --- requests, on I/O threads ------------------------------------------------------------------------------------------------ */

static struct serve_job *job_new(struct af_serve *serve, struct MHD_Connection *mhd, const char *path, const char *method)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct serve_conn *conn = info != NULL ? info->socket_context : NULL;
    struct serve_job *job = conn != NULL ? af_alloc_zero(1, sizeof *job) : NULL;
    if (job == NULL)
        return NULL;
    job->serve = serve;
    job->conn = conn;
    job->mhd = mhd;
    af_arena_init(&job->arena, SIZE_MAX / 2);
    body_take(serve, job);
    serve_answer_init(job);
    job->request.start_mono_ns = af_clock_mono_ns();
    char *path_copy = af_arena_copy(&job->arena, af_slice_of(path));
    serve_request_fill(job, method, path_copy != NULL ? path_copy : "");
    atomic_fetch_add(&serve->requests, 1);
    serve_set_deadline(job, serve->options.request_timeout_ms);
    return job;
}

static void count_done(struct serve_job *job)
{
    if (job->serve->options.done == NULL)
        return;
    job->serve->options.done(job->serve->options.ctx, &job->request, job->answer.status, job->body_seen, job->bytes_out,
                             af_clock_mono_ns() - job->request.start_mono_ns);
}

/* So much of a body is read, wanted or not. */
static uint64_t drain_max(const struct af_serve *serve)
{
    return serve->options.body_bytes_max * (uint64_t)DRAIN_FACTOR;
}

static uint64_t content_length(const struct serve_job *job)
{
    const char *text = af_serve_header(&job->request, "Content-Length");
    uint64_t n = 0;
    for (; text != NULL && *text >= '0' && *text <= '9' && n < UINT64_MAX / 20; text++)
        n = n * 10 + (uint64_t)(*text - '0');
    return n;
}

/* The head is there: is it enough to refuse? A client that waits for leave to send, or would send very much, is told at once and loses its
 * connection; any other one is listened to until its body is through. */
static enum MHD_Result begin(struct serve_job *job)
{
    const struct af_serve_options *o = &job->serve->options;
    uint64_t length = content_length(job);
    int status = o->early != NULL ? o->early(o->ctx, &job->request, &job->answer) : 0;
    job->has_answer = status != 0;
    if (status != 0)
        job->answer.status = status;
    else if (atomic_load(&job->serve->is_closing))
        status = 503;
    else if (length > body_max(job))
        status = 413;
    job->refusal = status;
    if (status == 0 || (length <= drain_max(job->serve) && af_serve_header(&job->request, "Expect") == NULL))
        return MHD_YES;
    af_serve_add_header(&job->answer, "Connection", "close");
    return refuse(job);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *mhd, const char *path, const char *method, const char *version,
                                  const char *bytes, size_t *len, void **request_ctx)
{
    struct af_serve *serve = ctx;
    struct serve_job *job = *request_ctx;
    (void)version;
    if (job == NULL) {
        job = job_new(serve, mhd, path, method);
        *request_ctx = job;
        return job != NULL ? begin(job) : MHD_NO;
    }
    if (*len != 0) {
        body_add(job, bytes, *len);
        *len = 0;
        return job->body_seen > drain_max(serve) ? MHD_NO : MHD_YES;
    }
    if (job->state == SERVE_QUEUED)
        return serve_answer_queue(job);
    if (job->refusal != 0)
        return refuse(job);
    job->request.body = af_buf_slice(&job->body);
    serve_enqueue(job, SERVE_QUEUED);
    return MHD_YES;
}

static void on_completed(void *ctx, struct MHD_Connection *mhd, void **request_ctx, enum MHD_RequestTerminationCode why)
{
    struct af_serve *serve = ctx;
    struct serve_job *job = *request_ctx;
    (void)mhd, (void)why;
    if (job == NULL)
        return;
    count_done(job);
    serve_set_deadline(job, serve->options.idle_timeout_ms);
    af_mutex_lock(&serve->lock);
    serve->owed -= job->is_owed;
    if (serve->owed == 0 && atomic_load(&serve->is_closing))
        af_cond_broadcast(&serve->idle_cond);
    af_mutex_unlock(&serve->lock);
    if (job->answer.close != NULL)
        job->answer.close(job->answer.ctx);
    af_buf_done(&job->answer.body);
    body_give(serve, job);
    af_arena_done(&job->arena);
    af_free(job);
    *request_ctx = NULL;
}

/* --- start and stop ---------------------------------------------------------------------------------------------------------- */

static enum af_status read_pem(const char *path, char **out, struct af_error *err)
{
    enum { PEM_BYTES_MAX = 1 << 20 };
    struct af_buf text;
    af_buf_init(&text, PEM_BYTES_MAX);
    enum af_status status = af_file_read_all(path, &text, err);
    if (status == AF_OK) {
        af_buf_append_char(&text, '\0');
        status = af_buf_check(&text, path, err);
    }
    if (status == AF_OK)
        *out = text.ptr;
    else
        af_buf_done(&text);
    return status;
}

static void fill_defaults(struct af_serve_options *o)
{
    if (o->address == NULL)
        o->address = "127.0.0.1";
    if (o->io_threads == 0)
        o->io_threads = 2;
    if (o->workers == 0)
        o->workers = 8;
    if (o->connections_max == 0)
        o->connections_max = AF_SERVER_CONNECTIONS_MAX;
    if (o->body_bytes_max == 0)
        o->body_bytes_max = AF_SERVER_BODY_BYTES_MAX;
    if (o->connections_per_address == 0)
        o->connections_per_address = o->connections_max - o->connections_max / 4;
    if (o->bodies_bytes_max == 0)
        o->bodies_bytes_max = AF_SERVER_BODIES_BYTES_MAX;
    if (o->idle_timeout_ms == 0)
        o->idle_timeout_ms = IDLE_MS;
    if (o->request_timeout_ms == 0)
        o->request_timeout_ms = REQUEST_MS + (uint32_t)(o->body_bytes_max / SLOWEST_BYTES_PER_MS);
}

static enum af_status resolve(const struct af_serve_options *o, struct sockaddr_storage *out, struct af_error *err)
{
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)o->port);
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    const char *address = strcmp(o->address, "localhost") == 0 ? "127.0.0.1" : o->address;
    if (getaddrinfo(address, port, &hints, &found) != 0 || found == NULL)
        return af_fail(err, AF_EINVAL, "%s is not an address to listen on; say for example 127.0.0.1 or ::", o->address);
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return AF_OK;
}

static char tls_versions[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

static enum af_status start_daemon(struct af_serve *serve, struct af_error *err)
{
    const struct af_serve_options *o = &serve->options;
    struct sockaddr_storage address = { 0 };
    AF_TRY(resolve(o, &address, err));
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | (address.ss_family == AF_INET6 ? MHD_USE_DUAL_STACK : 0) |
                     (serve->cert != NULL ? MHD_USE_TLS : 0);
    struct MHD_OptionItem items[16];
    size_t count = 0;
    items[count++] = (struct MHD_OptionItem){ MHD_OPTION_SOCK_ADDR, 0, &address };
    items[count++] = (struct MHD_OptionItem){ MHD_OPTION_CONNECTION_LIMIT, (intptr_t)o->connections_max, NULL };
    items[count++] = (struct MHD_OptionItem){ MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)o->connections_per_address, NULL };
    items[count++] = (struct MHD_OptionItem){ MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)((o->idle_timeout_ms + 999) / 1000), NULL };
    items[count++] = (struct MHD_OptionItem){ MHD_OPTION_CONNECTION_MEMORY_LIMIT, 2 * AF_SERVER_HEADER_BYTES_MAX, NULL };
    items[count++] = (struct MHD_OptionItem){ MHD_OPTION_CONNECTION_MEMORY_INCREMENT, 16 << 10, NULL };
    items[count++] = (struct MHD_OptionItem){ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, serve };
    items[count++] = (struct MHD_OptionItem){ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, serve };
    items[count++] = (struct MHD_OptionItem){ MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024, NULL };
    if (o->io_threads > 1)
        items[count++] = (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)o->io_threads, NULL };
    if (serve->cert != NULL) {
        items[count++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, serve->cert };
        items[count++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, serve->key };
        items[count++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0, tls_versions };
    }
    items[count] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
    errno = 0;
    serve->daemon = MHD_start_daemon(flags, o->port, accept_policy, serve, on_request, serve, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    if (serve->daemon == NULL && serve->cert != NULL && errno == 0)
        return af_fail(err, AF_EINVAL, "%s and %s do not make a TLS listener: PEM of a certificate and its key are expected", o->tls_cert,
                       o->tls_key);
    if (serve->daemon == NULL)
        return af_fail(err, errno == EADDRINUSE ? AF_EBUSY : AF_EIO, "cannot listen on %s port %u: %s%s", o->address, (unsigned)o->port,
                       strerror(errno), errno == EADDRINUSE ? "; is another server running there?" : "");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(serve->daemon, MHD_DAEMON_INFO_BIND_PORT);
    serve->port = info != NULL ? info->port : o->port;
    return AF_OK;
}

static enum af_status start(struct af_serve *serve, struct af_error *err)
{
    const struct af_serve_options *o = &serve->options;
    if ((o->tls_cert != NULL) != (o->tls_key != NULL))
        return af_fail(err, AF_EINVAL, "a TLS listener needs both a certificate and a key");
    if (o->tls_cert != NULL) {
        AF_TRY(read_pem(o->tls_cert, &serve->cert, err));
        AF_TRY(read_pem(o->tls_key, &serve->key, err));
    }
    serve->workers = af_alloc_zero(o->workers, sizeof *serve->workers);
    if (serve->workers == NULL)
        return af_fail_nomem(err, "a server");
    for (; serve->worker_count < o->workers; serve->worker_count++)
        AF_TRY(af_thread_start(&serve->workers[serve->worker_count], "af-http", worker_main, serve, err));
    AF_TRY(af_thread_start(&serve->watcher, "af-watch", watcher_main, serve, err));
    return start_daemon(serve, err);
}

enum af_status af_serve_start(const struct af_serve_options *options, struct af_serve **out, struct af_error *err)
{
    struct af_serve *serve = af_alloc_zero(1, sizeof *serve);
    if (serve == NULL)
        return af_fail_nomem(err, "a server");
    serve->options = *options;
    fill_defaults(&serve->options);
    serve->last = &serve->first;
    af_mutex_init(&serve->lock);
    af_cond_init(&serve->work_cond);
    af_cond_init(&serve->idle_cond);
    *out = serve; /* a request may come before this returns, and its handler asks for the statistics */
    enum af_status status = start(serve, err);
    if (status != AF_OK) {
        *out = NULL;
        af_serve_stop(serve, 0);
    }
    return status;
}

uint16_t af_serve_port(const struct af_serve *serve)
{
    return serve->port;
}

void af_serve_stats(struct af_serve *serve, struct af_serve_stats *out)
{
    *out = (struct af_serve_stats){ .requests = serve->requests, .connections = serve->connections, .timeouts = serve->timeouts,
                                    .refused_connections = serve->refused, .open_connections = serve->open,
                                    .body_bytes = serve->body_bytes };
    af_mutex_lock(&serve->lock);
    out->queued = serve->queued;
    out->busy_workers = serve->busy;
    af_mutex_unlock(&serve->lock);
}

/* Requests in work get `grace_ms`; then they are told that their client is gone, and waited for. */
static void drain(struct af_serve *serve, uint32_t grace_ms)
{
    int64_t until_ns = af_clock_mono_ns() + (int64_t)grace_ms * 1000000;
    af_mutex_lock(&serve->lock);
    while (serve->owed != 0 && af_cond_wait_until(&serve->idle_cond, &serve->lock, until_ns))
        continue;
    for (struct serve_conn *conn = serve->conns; conn != NULL; conn = conn->next)
        __atomic_store_n(&conn->is_gone, true, __ATOMIC_RELAXED);
    serve->is_ending = true;
    af_cond_broadcast(&serve->work_cond);
    af_mutex_unlock(&serve->lock);
    for (unsigned i = 0; i < serve->worker_count; i++)
        af_thread_join(&serve->workers[i]);
}

void af_serve_stop(struct af_serve *serve, uint32_t grace_ms)
{
    if (serve == NULL)
        return;
    atomic_store(&serve->is_closing, true);
    drain(serve, grace_ms);
    if (serve->daemon != NULL)
        MHD_stop_daemon(serve->daemon);
    af_mutex_lock(&serve->lock);
    serve->is_stopping = true;
    af_cond_broadcast(&serve->idle_cond);
    af_mutex_unlock(&serve->lock);
    af_thread_join(&serve->watcher);
    for (unsigned i = 0; i < serve->spare_count; i++)
        af_buf_done(&serve->spare[i]);
    af_cond_done(&serve->idle_cond);
    af_cond_done(&serve->work_cond);
    af_mutex_done(&serve->lock);
    af_free(serve->workers);
    af_free(serve->cert);
    af_free(serve->key);
    af_free(serve);
}
