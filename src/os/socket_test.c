/* socket_test.c - the TCP client against a listener in a thread: bytes both ways, ends, refusals, silence. */
#include "os/socket.h"
#include "base/alloc.h"
#include "os/thread.h"
#include "test/lib/test.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
    int fd;
    char address[64];
    bool is_silent;
    uint64_t received;
    struct af_thread thread;
};

/* Reads to the end, then answers with how many bytes came, 8 of them, and closes. */
static void serve(void *ctx)
{
    struct listener *l = ctx;
    char buffer[65536];
    int peer = accept(l->fd, NULL, NULL);
    ssize_t n;
    while ((n = read(peer, buffer, sizeof buffer)) > 0)
        l->received += (uint64_t)n;
    while (__atomic_load_n(&l->is_silent, __ATOMIC_RELAXED))
        (void)usleep(1000);
    (void)!write(peer, "12345678", 8);
    (void)close(peer);
}

static void listen_on(struct listener *l, bool is_silent)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    struct af_error err = { 0 };
    *l = (struct listener){ .fd = socket(AF_INET, SOCK_STREAM, 0), .is_silent = is_silent };
    AF_CHECK(bind(l->fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(l->fd, 1) == 0);
    AF_CHECK(getsockname(l->fd, (struct sockaddr *)&at, &len) == 0);
    (void)snprintf(l->address, sizeof l->address, "127.0.0.1:%d", ntohs(at.sin_port));
    AF_CHECK_OK(af_thread_start(&l->thread, "listener", serve, l, &err), err);
}

AF_TEST(bytes_go_both_ways_and_end)
{
    enum { BYTES = 5 << 20 };
    struct listener l;
    struct af_socket *s;
    struct af_error err = { 0 };
    const struct af_socket_options options = { 0 };
    char answer[16];
    size_t len, all = 0;
    char *bytes = af_alloc_zero(1, BYTES);
    listen_on(&l, false);
    AF_CHECK_OK(af_socket_connect(l.address, &options, &s, &err), err);
    AF_CHECK_OK(af_socket_write(s, (struct af_slice){ bytes, BYTES }, &err), err);
    AF_CHECK_OK(af_socket_end(s, &err), err);
    do {
        AF_CHECK_OK(af_socket_read(s, answer + all, sizeof answer - all, &len, &err), err);
        all += len;
    } while (len != 0);
    AF_CHECK_SLICE(((struct af_slice){ answer, all }), "12345678");
    af_socket_close(s);
    af_thread_join(&l.thread);
    AF_CHECK_INT(l.received, BYTES);
    (void)close(l.fd);
    af_free(bytes);
}

AF_TEST(silence_and_cancellation_end_a_read)
{
    struct listener l;
    struct af_socket *s;
    struct af_error err = { 0 };
    bool cancel = false;
    const struct af_socket_options options = { .stall_timeout_ms = 100, .cancel = &cancel };
    char answer[16];
    size_t len;
    listen_on(&l, true);
    AF_CHECK_OK(af_socket_connect(l.address, &options, &s, &err), err);
    AF_CHECK_FAILS(af_socket_read(s, answer, sizeof answer, &len, &err), AF_EIO);
    cancel = true;
    AF_CHECK_FAILS(af_socket_read(s, answer, sizeof answer, &len, &err), AF_ECANCELED);
    af_socket_close(s);
    __atomic_store_n(&l.is_silent, false, __ATOMIC_RELAXED);
    af_thread_join(&l.thread);
    (void)close(l.fd);
}

AF_TEST(addresses_that_are_none_and_nobody_there)
{
    struct af_socket *s;
    struct af_error err = { 0 };
    const struct af_socket_options options = { 0 };
    AF_CHECK_FAILS(af_socket_connect("localhost", &options, &s, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_socket_connect("localhost:", &options, &s, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_socket_connect(":80", &options, &s, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_socket_connect("127.0.0.1:1", &options, &s, &err), AF_EIO);
    AF_CHECK_FAILS(af_socket_connect("[::1]:1", &options, &s, &err), AF_EIO);
    (void)af_alloc_fail_nth(1);
    AF_CHECK_FAILS(af_socket_connect("127.0.0.1:1", &options, &s, &err), AF_ENOMEM);
    (void)af_alloc_fail_nth(0);
}
