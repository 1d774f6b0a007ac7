/*
 * s3_load.c - all bytes of an object, one after another: how fast does the reader of S3 give them with so many connections?
 *
 *     s3_load http://127.0.0.1:PORT BUCKET/KEY CONNECTIONS [MEMORY_MB]     the reader: announced, fetched ahead, read in order
 *     s3_load http://127.0.0.1:PORT BUCKET/KEY CONNECTIONS raw             the limit: as many sockets that take ranges of the same size and
 *                                                                           forget them, unsigned, in no order
 *
 * Prints seconds, bytes, and the peak of resident memory in KiB.
 */
#include "aws/s3.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 20, RANGE = 8 << 20, SOCKETS_MAX = 64 };

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(enum af_status status, const struct af_error *err)
{
    if (status == AF_OK)
        return;
    (void)fprintf(stderr, "s3_load: %s\n", err->message);
    exit(1);
}

/* --- the reader ---------------------------------------------------------------------------------------------------------------- */

static uint64_t read_all(const char *url, const char *bucket, const char *key, unsigned connections, unsigned memory_mb)
{
    struct af_error err = { 0 };
    struct af_aws *aws;
    struct af_s3 *s3;
    struct af_reader *reader;
    static char piece[PIECE];
    const struct af_aws_options options = { .endpoint_url = url };
    check(af_aws_open(&options, &aws, &err), &err);
    const struct af_s3_options how = { .connections = connections, .memory_bytes = (uint64_t)memory_mb << 20 };
    check(af_s3_open(aws, &how, &s3, &err), &err);
    check(af_s3_reader_open(s3, bucket, key, NULL, &reader, &err), &err);
    const uint64_t size = reader->size;
    af_reader_will_need(reader, &(struct af_range){ 0, size }, 1);
    for (uint64_t at = 0; at < size; at += PIECE)
        check(af_reader_read(reader, at, piece, size - at < PIECE ? (size_t)(size - at) : PIECE, &err), &err);
    af_reader_close(reader);
    af_s3_close(s3);
    af_aws_close(aws);
    return size;
}

/* --- the limit ----------------------------------------------------------------------------------------------------------------- */

static struct {
    unsigned port;
    const char *name;
    uint64_t size;
    atomic_ullong next; /* range */
} raw;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int dial(void)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)raw.port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0)
        fail("s3_load: connect");
    return fd;
}

/* The head of an answer, and the first bytes of its body. Returns the length of what it says comes. */
static uint64_t take_head(int fd, char *buffer, size_t cap, size_t *out_body)
{
    size_t len = 0;
    for (;;) {
        ssize_t n = recv(fd, buffer + len, cap - 1 - len, 0);
        if (n <= 0)
            fail("s3_load: recv");
        len += (size_t)n;
        buffer[len] = '\0';
        const char *end = strstr(buffer, "\r\n\r\n");
        const char *length = strstr(buffer, "Content-Length: ");
        if (end == NULL || length == NULL)
            continue;
        *out_body = len - (size_t)(end + 4 - buffer);
        return strtoull(length + 16, NULL, 10);
    }
}

static void *fetch_ranges(void *ctx)
{
    char request[1500];
    char *buffer = malloc(PIECE);
    int fd = dial();
    (void)ctx;
    for (uint64_t first; buffer != NULL && (first = atomic_fetch_add(&raw.next, 1) * RANGE) < raw.size;) {
        uint64_t last = raw.size - first < RANGE ? raw.size - 1 : first + RANGE - 1;
        int len = snprintf(request, sizeof request, "GET /%s HTTP/1.1\r\nHost: x\r\nRange: bytes=%llu-%llu\r\n\r\n", raw.name,
                           (unsigned long long)first, (unsigned long long)last);
        size_t got;
        if (send(fd, request, (size_t)len, 0) != len)
            fail("s3_load: send");
        uint64_t left = take_head(fd, buffer, PIECE, &got);
        for (left -= got; left != 0;) {
            ssize_t n = recv(fd, buffer, left < PIECE ? (size_t)left : PIECE, 0);
            if (n <= 0)
                fail("s3_load: recv");
            left -= (uint64_t)n;
        }
    }
    free(buffer);
    (void)close(fd);
    return NULL;
}

static uint64_t take_raw(const char *url, const char *name, unsigned sockets)
{
    char text[4096];
    pthread_t threads[SOCKETS_MAX];
    size_t got;
    raw.port = (unsigned)strtoul(strrchr(url, ':') + 1, NULL, 10);
    raw.name = name;
    int fd = dial();
    int len = snprintf(text, sizeof text, "HEAD /%s HTTP/1.1\r\nHost: x\r\n\r\n", name);
    if (send(fd, text, (size_t)len, 0) != len)
        fail("s3_load: send");
    raw.size = take_head(fd, text, sizeof text, &got);
    (void)close(fd);
    for (unsigned i = 0; i < sockets; i++)
        if (pthread_create(&threads[i], NULL, fetch_ranges, NULL) != 0)
            fail("s3_load: thread");
    for (unsigned i = 0; i < sockets; i++)
        (void)pthread_join(threads[i], NULL);
    return raw.size;
}

int main(int argc, char **argv)
{
    char name[1400];
    char *key;
    if (argc < 4 || strlen(argv[2]) >= sizeof name || strchr(argv[2], '/') == NULL || strrchr(argv[1], ':') == NULL) {
        (void)fputs("usage: s3_load URL BUCKET/KEY CONNECTIONS [MEMORY_MB | raw]\n", stderr);
        return 2;
    }
    unsigned connections = (unsigned)strtoul(argv[3], NULL, 10);
    connections = connections < 1 ? 1 : connections > SOCKETS_MAX ? SOCKETS_MAX : connections;
    double begin = now_s();
    uint64_t bytes;
    if (argc > 4 && strcmp(argv[4], "raw") == 0) {
        bytes = take_raw(argv[1], argv[2], connections);
    } else {
        (void)snprintf(name, sizeof name, "%s", argv[2]);
        key = strchr(name, '/');
        *key = '\0';
        bytes = read_all(argv[1], name, key + 1, connections, argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0);
    }
    double took = now_s() - begin;
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)printf("%.3f %llu %ld\n", took, (unsigned long long)bytes, usage.ru_maxrss);
    return 0;
}
