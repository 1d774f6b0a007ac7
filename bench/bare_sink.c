/*
 * bare_sink.c - what any durable server over HTTP must at least do: take a body, append it to a file, fdatasync, answer 204.
 *
 *     bare_sink PORT FILE          until it is killed; a thread a connection, loopback only
 *
 * Nothing is parsed but Content-Length. It is the physical limit that the bench puts beside every server.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_BYTES_MAX = 64 << 10, BODY_BYTES_MAX = 64 << 20 };

static int file;

struct connection {
    int fd;
    char *bytes;   /* of one request: its head, then its body */
    size_t len;
};

static int receive_more(struct connection *c)
{
    ssize_t n = recv(c->fd, c->bytes + c->len, HEAD_BYTES_MAX + BODY_BYTES_MAX - c->len, 0);
    if (n <= 0)
        return 0;
    c->len += (size_t)n;
    return 1;
}

/* Length of the head with its empty line; 0: the client left. */
static size_t receive_head(struct connection *c)
{
    for (;;) {
        char *end = memmem(c->bytes, c->len, "\r\n\r\n", 4);
        if (end != NULL)
            return (size_t)(end - c->bytes) + 4;
        if (c->len >= HEAD_BYTES_MAX || !receive_more(c))
            return 0;
    }
}

static size_t content_length(struct connection *c, size_t head)
{
    static const char name[] = "Content-Length:";
    char *at = memmem(c->bytes, head, name, sizeof name - 1);
    return at != NULL ? strtoul(at + sizeof name - 1, NULL, 10) : 0;
}

static int keep(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(file, bytes, len); /* O_APPEND: connections do not overwrite each other */
        if (n <= 0)
            return 0;
        bytes += n;
        len -= (size_t)n;
    }
    return fdatasync(file) == 0;
}

static int serve_one(struct connection *c)
{
    static const char done[] = "HTTP/1.1 204 No Content\r\n\r\n";
    size_t head = receive_head(c);
    if (head == 0)
        return 0;
    size_t body = content_length(c, head);
    if (body > BODY_BYTES_MAX)
        return 0;
    while (c->len < head + body) {
        if (!receive_more(c))
            return 0;
    }
    if (!keep(c->bytes + head, body) || send(c->fd, done, sizeof done - 1, MSG_NOSIGNAL) < 0)
        return 0;
    c->len -= head + body;
    memmove(c->bytes, c->bytes + head + body, c->len);
    return 1;
}

static void *serve(void *ctx)
{
    struct connection c = { .fd = *(int *)ctx, .bytes = malloc(HEAD_BYTES_MAX + BODY_BYTES_MAX) };
    free(ctx);
    while (c.bytes != NULL && serve_one(&c))
        continue;
    free(c.bytes);
    close(c.fd);
    return NULL;
}

static int listen_on(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 128) != 0) {
        perror("bare_sink: listen");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "bare_sink PORT FILE\n");
        return 2;
    }
    file = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    int listener = listen_on(atoi(argv[1]));
    if (file < 0) {
        perror(argv[2]);
        return 1;
    }
    for (;;) {
        int *fd = malloc(sizeof *fd);
        int on = 1;
        pthread_t thread;
        if (fd == NULL || (*fd = accept(listener, NULL, NULL)) < 0)
            return 1;
        (void)setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (pthread_create(&thread, NULL, serve, fd) != 0)
            return 1;
        pthread_detach(thread);
    }
}
