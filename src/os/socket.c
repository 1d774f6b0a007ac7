/* socket.c - a TCP client over non-blocking sockets and poll; see socket.h. */
#include "os/socket.h"
#include "base/alloc.h"
#include "os/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_MS = 10000, STALL_MS = 30000, LOOK_MS = 50, ADDRESS_BYTES_MAX = 300 };

struct af_socket {
    int fd;
    struct af_socket_options options;
    char address[ADDRESS_BYTES_MAX];
};

static enum af_status fail(const struct af_socket *s, const char *what, int error, struct af_error *err)
{
    char words[128] = "";
    return af_fail(err, AF_EIO, "%s: %s: %s", s->address, what, strerror_r(error, words, sizeof words));
}

/* Until `events`, or what the options say. */
static enum af_status wait_for(struct af_socket *s, short events, uint32_t timeout_ms, struct af_error *err)
{
    int64_t end_ns = af_clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    for (;;) {
        struct pollfd poll_fd = { .fd = s->fd, .events = events };
        if (s->options.cancel != NULL && __atomic_load_n(s->options.cancel, __ATOMIC_RELAXED))
            return af_fail(err, AF_ECANCELED, "stopped while talking to %s", s->address);
        int ready = poll(&poll_fd, 1, LOOK_MS);
        if (ready > 0)
            return AF_OK;
        if (ready < 0 && errno != EINTR)
            return fail(s, "poll", errno, err);
        if (af_clock_mono_ns() >= end_ns)
            return af_fail(err, AF_EIO, "%s: no byte moved for %u ms", s->address, (unsigned)timeout_ms);
    }
}

/* --- connecting ------------------------------------------------------------------------------------------------------------- */

static bool split(char *text, char **out_host, char **out_port)
{
    char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == '\0')
        return false;
    *colon = '\0';
    *out_port = colon + 1;
    *out_host = text;
    if (text[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        *out_host = text + 1;
    }
    return true;
}

static enum af_status try_one(struct af_socket *s, const struct addrinfo *at, struct af_error *err)
{
    s->fd = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
    if (s->fd < 0)
        return fail(s, "socket", errno, err);
    int error = connect(s->fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    enum af_status status = error == 0 ? AF_OK : error != EINPROGRESS ? fail(s, "connecting", error, err)
                                                                       : wait_for(s, POLLOUT, s->options.connect_timeout_ms, err);
    socklen_t len = sizeof error;
    error = 0;
    if (status == AF_OK && getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error != 0)
        status = fail(s, "connecting", error, err);
    if (status != AF_OK) {
        (void)close(s->fd);
        s->fd = -1;
    }
    return status;
}

static enum af_status connect_to(struct af_socket *s, struct af_error *err)
{
    char text[ADDRESS_BYTES_MAX];
    char *host, *port;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    memcpy(text, s->address, sizeof text);
    if (!split(text, &host, &port))
        return af_fail(err, AF_EINVAL, "%s is not HOST:PORT", s->address);
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0)
        return af_fail(err, AF_EIO, "%s: %s", s->address, gai_strerror(rc));
    enum af_status status = AF_EIO;
    for (const struct addrinfo *at = found; at != NULL && status == AF_EIO; at = at->ai_next)
        status = try_one(s, at, err);
    freeaddrinfo(found);
    return status;
}

enum af_status af_socket_connect(const char *address, const struct af_socket_options *options, struct af_socket **out, struct af_error *err)
{
    size_t len = strlen(address);
    if (len >= ADDRESS_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "an address of %zu bytes", len);
    struct af_socket *s = af_alloc_zero(1, sizeof *s);
    if (s == NULL)
        return af_fail_nomem(err, "a connection");
    s->fd = -1;
    s->options = *options;
    s->options.connect_timeout_ms = options->connect_timeout_ms != 0 ? options->connect_timeout_ms : CONNECT_MS;
    s->options.stall_timeout_ms = options->stall_timeout_ms != 0 ? options->stall_timeout_ms : STALL_MS;
    memcpy(s->address, address, len + 1);
    enum af_status status = connect_to(s, err);
    if (status != AF_OK) {
        af_socket_close(s);
        return status;
    }
    *out = s;
    return AF_OK;
}

/* --- bytes ------------------------------------------------------------------------------------------------------------------ */

enum af_status af_socket_write(struct af_socket *s, struct af_slice bytes, struct af_error *err)
{
    while (bytes.len != 0) {
        ssize_t n = send(s->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n > 0)
            bytes = af_slice_make(bytes.ptr + n, bytes.len - (size_t)n);
        else if (n < 0 && (errno == EAGAIN || errno == EINTR))
            AF_TRY(wait_for(s, POLLOUT, s->options.stall_timeout_ms, err));
        else
            return fail(s, "sending", errno, err);
    }
    return AF_OK;
}

enum af_status af_socket_end(struct af_socket *s, struct af_error *err)
{
    return shutdown(s->fd, SHUT_WR) == 0 ? AF_OK : fail(s, "ending", errno, err);
}

enum af_status af_socket_read(struct af_socket *s, void *dst, size_t cap, size_t *out_len, struct af_error *err)
{
    for (;;) {
        ssize_t n = recv(s->fd, dst, cap, 0);
        if (n >= 0) {
            *out_len = (size_t)n;
            return AF_OK;
        }
        if (errno != EAGAIN && errno != EINTR)
            return fail(s, "receiving", errno, err);
        AF_TRY(wait_for(s, POLLIN, s->options.stall_timeout_ms, err));
    }
}

void af_socket_close(struct af_socket *s)
{
    if (s == NULL)
        return;
    if (s->fd >= 0)
        (void)close(s->fd);
    af_free(s);
}
