/* http_peer.c - a scripted HTTP server; see http_peer.h. */
#include "test/lib/http_peer.h"
#include "test/lib/test.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUESTS_MAX = 4096 };

struct af_peer {
    const struct af_peer_step *steps;
    size_t step_count;
    size_t step;
    af_peer_answer answer;
    void *ctx;
    int listener;
    unsigned port;
    char url[64];
    pthread_t thread;
    atomic_bool must_stop;
    pthread_mutex_t lock; /* of what follows */
    size_t connections;
    size_t request_count;
    struct af_slice requests[REQUESTS_MAX];
};

static void nap(unsigned ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    (void)nanosleep(&left, NULL);
}

/* Wait until `fd` is readable; false: the test is over. */
static bool wait_readable(struct af_peer *peer, int fd)
{
    while (!atomic_load(&peer->must_stop)) {
        struct pollfd poller = { .fd = fd, .events = POLLIN };
        if (poll(&poller, 1, 20) > 0)
            return true;
    }
    return false;
}

static bool fill(struct af_peer *peer, int fd, struct af_buf *in)
{
    char *at = af_buf_reserve(in, 65536);
    if (at == NULL || !wait_readable(peer, fd))
        return false;
    ssize_t n = recv(fd, at, 65536, 0);
    if (n <= 0)
        return false;
    in->len += (size_t)n;
    return true;
}

static const char *find(struct af_slice s, const char *what)
{
    return s.len > 0 ? memmem(s.ptr, s.len, what, strlen(what)) : NULL;
}

static long header_number(struct af_slice head, const char *name)
{
    const char *at = find(head, name);
    return at != NULL ? strtol(at + strlen(name), NULL, 10) : 0;
}

/* One request out of `in`, which keeps what came behind it. */
static bool read_request(struct af_peer *peer, int fd, struct af_buf *in, struct af_slice *out)
{
    const char *end;
    while ((end = find(af_buf_slice(in), "\r\n\r\n")) == NULL)
        if (!fill(peer, fd, in))
            return false;
    size_t head = (size_t)(end - in->ptr) + 4;
    struct af_slice head_text = { in->ptr, head };
    size_t body = (size_t)header_number(head_text, "Content-Length: ");
    if (find(head_text, "Expect: 100-continue") != NULL && send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) != 25)
        return false;
    while (in->len < head + body)
        if (!fill(peer, fd, in))
            return false;
    char *copy = malloc(head + body + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, in->ptr, head + body);
    copy[head + body] = '\0';
    *out = (struct af_slice){ copy, head + body };
    memmove(in->ptr, in->ptr + head + body, in->len - head - body);
    in->len -= head + body;
    return true;
}

static void remember(struct af_peer *peer, struct af_slice request)
{
    pthread_mutex_lock(&peer->lock);
    if (peer->request_count == REQUESTS_MAX)
        abort();
    peer->requests[peer->request_count++] = request;
    pthread_mutex_unlock(&peer->lock);
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static bool send_step(struct af_peer *peer, int fd, const struct af_peer_step *step)
{
    const char *bytes = step->bytes != NULL ? step->bytes : "";
    size_t len = step->len != 0 ? step->len : strlen(bytes);
    size_t piece = step->dribble_bytes != 0 ? step->dribble_bytes : len;
    nap(step->delay_ms);
    for (size_t at = 0; at < len && !atomic_load(&peer->must_stop); at += piece) {
        if (!send_all(fd, bytes + at, len - at < piece ? len - at : piece))
            return false;
        nap(step->dribble_ms);
    }
    return true;
}

static void hang(struct af_peer *peer, int fd)
{
    char ignored[4096];
    while (wait_readable(peer, fd) && recv(fd, ignored, sizeof ignored, 0) > 0)
        continue;
}

/* One request and its answer; false: this connection is over. */
static bool serve_step(struct af_peer *peer, int fd, struct af_buf *in)
{
    struct af_slice request = { 0 };
    bool is_deaf = peer->step < peer->step_count && peer->steps[peer->step].is_deaf;
    if (!is_deaf && !read_request(peer, fd, in, &request))
        return false;
    if (!is_deaf)
        remember(peer, request);
    if (peer->step >= peer->step_count)
        return false;
    const struct af_peer_step *step = &peer->steps[peer->step++];
    if (!send_step(peer, fd, step))
        return false;
    if (step->then == AF_PEER_HANG)
        hang(peer, fd);
    if (step->then == AF_PEER_RESET) {
        struct linger now = { .l_onoff = 1, .l_linger = 0 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    return step->then == AF_PEER_KEEP;
}

static bool serve_answer(struct af_peer *peer, int fd, struct af_buf *in)
{
    struct af_slice request;
    if (!read_request(peer, fd, in, &request))
        return false;
    remember(peer, request);
    struct af_buf out;
    af_buf_init(&out, (size_t)1 << 30);
    bool goes_on = peer->answer(peer->ctx, request, &out);
    goes_on = send_all(fd, out.ptr, out.len) && goes_on;
    af_buf_done(&out);
    return goes_on;
}

static void *serve(void *arg)
{
    struct af_peer *peer = arg;
    while (wait_readable(peer, peer->listener)) {
        int fd = accept(peer->listener, NULL, NULL);
        if (fd < 0)
            continue;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_mutex_lock(&peer->lock);
        peer->connections++;
        pthread_mutex_unlock(&peer->lock);
        struct af_buf in;
        af_buf_init(&in, (size_t)1 << 30);
        while (peer->answer != NULL ? serve_answer(peer, fd, &in) : serve_step(peer, fd, &in))
            continue;
        af_buf_done(&in);
        close(fd);
    }
    return NULL;
}

static int listen_on_loopback(unsigned *out_port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        af_test_failed(__FILE__, __LINE__, "no loopback port");
    *out_port = ntohs(addr.sin_port);
    return fd;
}

unsigned af_peer_free_port(void)
{
    unsigned port;
    close(listen_on_loopback(&port));
    return port;
}

static struct af_peer *start(struct af_peer init)
{
    struct af_peer *peer = malloc(sizeof *peer);
    if (peer == NULL)
        abort();
    *peer = init;
    pthread_mutex_init(&peer->lock, NULL);
    peer->listener = listen_on_loopback(&peer->port);
    snprintf(peer->url, sizeof peer->url, "http://127.0.0.1:%u", peer->port);
    if (pthread_create(&peer->thread, NULL, serve, peer) != 0)
        af_test_failed(__FILE__, __LINE__, "no thread");
    return peer;
}

struct af_peer *af_peer_start(const struct af_peer_step *steps, size_t count)
{
    return start((struct af_peer){ .steps = steps, .step_count = count });
}

struct af_peer *af_peer_start_with(af_peer_answer answer, void *ctx)
{
    return start((struct af_peer){ .answer = answer, .ctx = ctx });
}

const char *af_peer_url(const struct af_peer *peer)
{
    return peer->url;
}

unsigned af_peer_port(const struct af_peer *peer)
{
    return peer->port;
}

size_t af_peer_requests(struct af_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    size_t count = peer->request_count;
    pthread_mutex_unlock(&peer->lock);
    return count;
}

size_t af_peer_connections(struct af_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    size_t count = peer->connections;
    pthread_mutex_unlock(&peer->lock);
    return count;
}

struct af_slice af_peer_request(struct af_peer *peer, size_t i)
{
    pthread_mutex_lock(&peer->lock);
    struct af_slice request = i < peer->request_count ? peer->requests[i] : (struct af_slice){ 0 };
    pthread_mutex_unlock(&peer->lock);
    return request;
}

void af_peer_stop(struct af_peer *peer)
{
    atomic_store(&peer->must_stop, true);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    for (size_t i = 0; i < peer->request_count; i++)
        free((void *)(uintptr_t)peer->requests[i].ptr);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}
