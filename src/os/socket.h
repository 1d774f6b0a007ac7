/*
 * socket.h - a TCP connection as a client, for protocols that are not HTTP.
 */
#ifndef AF_OS_SOCKET_H
#define AF_OS_SOCKET_H
#include "base/error.h"
#include "base/slice.h"

struct af_socket;
struct af_socket_options {
    uint32_t connect_timeout_ms; /* 0: 10,000 */
    uint32_t stall_timeout_ms;   /* no byte either way for so long; 0: 30,000 */
    const bool *cancel;          /* polled; may be NULL */
};
/* "host:port", "[::1]:8088". AF_EINVAL: it is not; AF_EIO: nobody answers there. */
AF_MUST_CHECK enum af_status af_socket_connect(const char *address, const struct af_socket_options *options, struct af_socket **out,
                                               struct af_error *err);
AF_MUST_CHECK enum af_status af_socket_write(struct af_socket *socket, struct af_slice bytes, struct af_error *err); /* all of them */
/* No more will be written; the other side sees the end. */
AF_MUST_CHECK enum af_status af_socket_end(struct af_socket *socket, struct af_error *err);
/* At most `cap` bytes; 0 are the end. */
AF_MUST_CHECK enum af_status af_socket_read(struct af_socket *socket, void *dst, size_t cap, size_t *out_len, struct af_error *err);
void af_socket_close(struct af_socket *socket); /* NULL is fine */
#endif
