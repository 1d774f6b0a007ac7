/*
 * http_load.c - writes line protocol over HTTP as fast as a server takes it, and says how fast that was.
 *
 *     http_load PORT PATH SET [key=value ...]        prints one JSON object; exit 1 if a request was not answered 204
 *
 *     lines=N         how many lines, in all (1,000,000)          connections=N   keep-alive, a thread each (2)
 *     batch=N         lines of a request (10,000)                 rate=N          requests a second at most, all together (0: no limit)
 *     series=N        of the set (see lines.h)                    skip=N          begin with this line
 *     points=N        of one series at a stretch
 *
 * All requests are made before the clock starts: in the measured time the processor only copies bytes into sockets, so on a machine with
 * few cores the load takes little from the server. With a rate, a request's latency counts from the moment it was due, not from when
 * an earlier one let it go.
 */
#include "bench/lines.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, HEAD_BYTES_MAX = 1024 };

struct options {
    uint64_t port, lines, batch, connections, rate, series, skip, points;
    const char *path, *set;
};
struct request {
    char *bytes;
    size_t len;
    double took_ms;
};

static struct options options = { .lines = 1000000, .batch = 10000, .connections = 2 };
static struct request *requests;
static uint64_t request_count;
static _Atomic uint64_t next_request;
static _Atomic int has_failed;
static int64_t begin_ns;

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "http_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- requests ------------------------------------------------------------------------------------------------------------- */

static void make_request(struct lines *lines, uint64_t count, char *work, struct request *out)
{
    char head[HEAD_BYTES_MAX];
    char *end = work;
    for (uint64_t i = 0; i < count; i++)
        end = lines_next(lines, end);
    size_t body = (size_t)(end - work);
    int head_len = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: %zu\r\n\r\n", options.path,
                            (unsigned)options.port, body);
    out->len = (size_t)head_len + body;
    out->bytes = malloc(out->len);
    if (head_len >= HEAD_BYTES_MAX || out->bytes == NULL)
        die("memory for the requests");
    memcpy(out->bytes, head, (size_t)head_len);
    memcpy(out->bytes + head_len, work, body);
}

static void make_requests(void)
{
    struct lines lines;
    char *work = malloc(options.batch * LINES_BYTES_MAX);
    request_count = (options.lines + options.batch - 1) / options.batch;
    requests = calloc(request_count, sizeof *requests);
    if (work == NULL || requests == NULL || !lines_init(&lines, options.set, options.series, options.points))
        die("memory for the requests");
    lines.next = options.skip;
    lines.random += options.skip;
    uint64_t left = options.lines;
    for (uint64_t i = 0; i < request_count; i++) {
        uint64_t count = left < options.batch ? left : options.batch;
        make_request(&lines, count, work, &requests[i]);
        left -= count;
    }
    lines_done(&lines);
    free(work);
}

/* --- connections ------------------------------------------------------------------------------------------------------------ */

static int connect_to(uint64_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static int send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return 0;
        bytes += n;
        len -= (size_t)n;
    }
    return 1;
}

/* 204 has no body, so the empty line is its end; anything else ends the run. */
static int receive_answer(int fd)
{
    char answer[4096];
    size_t len = 0;
    while (len < sizeof answer - 1) {
        ssize_t n = recv(fd, answer + len, sizeof answer - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        answer[len] = '\0';
        if (strstr(answer, "\r\n\r\n") == NULL)
            continue;
        if (strncmp(answer, "HTTP/1.1 204", 12) == 0)
            return 1;
        break;
    }
    answer[len] = '\0';
    fprintf(stderr, "http_load: not 204: %s\n", len > 0 ? answer : "the connection ended");
    return 0;
}

/* When request `i` is due; sleeps until then. */
static int64_t wait_for_turn(uint64_t i)
{
    if (options.rate == 0)
        return now_ns();
    int64_t due_ns = begin_ns + (int64_t)(i * 1000000000 / options.rate);
    struct timespec until = { due_ns / 1000000000, due_ns % 1000000000 };
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    return due_ns;
}

static void *run_connection(void *ctx)
{
    int fd = *(int *)ctx;
    for (;;) {
        uint64_t i = atomic_fetch_add(&next_request, 1);
        if (i >= request_count || atomic_load(&has_failed))
            return NULL;
        int64_t from_ns = wait_for_turn(i);
        if (!send_all(fd, requests[i].bytes, requests[i].len) || !receive_answer(fd)) {
            atomic_store(&has_failed, 1);
            return NULL;
        }
        requests[i].took_ms = (double)(now_ns() - from_ns) / 1e6;
    }
}

static double run(void)
{
    static int fds[CONNECTIONS_MAX];
    static pthread_t threads[CONNECTIONS_MAX];
    for (uint64_t i = 0; i < options.connections; i++)
        fds[i] = connect_to(options.port);
    begin_ns = now_ns();
    for (uint64_t i = 0; i < options.connections; i++) {
        if (pthread_create(&threads[i], NULL, run_connection, &fds[i]) != 0)
            die("thread");
    }
    for (uint64_t i = 0; i < options.connections; i++)
        (void)pthread_join(threads[i], NULL);
    return (double)(now_ns() - begin_ns) / 1e9;
}

/* --- what came of it ---------------------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    double x = ((const struct request *)a)->took_ms, y = ((const struct request *)b)->took_ms;
    return (x > y) - (x < y);
}

static void report(double seconds)
{
    double bytes = 0;
    for (uint64_t i = 0; i < request_count; i++)
        bytes += (double)requests[i].len;
    qsort(requests, request_count, sizeof *requests, by_time);
    struct lines kind;
    (void)lines_init(&kind, options.set, 1, 1);
    printf("{\"lines\":%llu,\"values\":%llu,\"bytes\":%.0f,\"seconds\":%.4f,\"lines_per_s\":%.0f,",
           (unsigned long long)options.lines, (unsigned long long)(options.lines * lines_fields(kind.set)), bytes, seconds,
           (double)options.lines / seconds);
    printf("\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n", requests[request_count / 2].took_ms,
           requests[request_count * 99 / 100].took_ms, requests[request_count - 1].took_ms);
    lines_done(&kind);
}

static int is_named(const char *argument, const char *value, const char *name)
{
    size_t len = strlen(name);
    return len == (size_t)(value - argument) && memcmp(argument, name, len) == 0;
}

static void read_options(int argc, char **argv)
{
    static const struct {
        const char *name;
        uint64_t *at;
    } keys[] = { { "lines", &options.lines }, { "batch", &options.batch }, { "connections", &options.connections },
                 { "rate", &options.rate }, { "series", &options.series }, { "skip", &options.skip }, { "points", &options.points } };
    for (int i = 4; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        size_t k = 0, n = sizeof keys / sizeof keys[0];
        while (value != NULL && k < n && !is_named(argv[i], value, keys[k].name))
            k++;
        if (value == NULL || k == n) {
            fprintf(stderr, "http_load: what is %s?\n", argv[i]);
            exit(2);
        }
        *keys[k].at = strtoull(value + 1, NULL, 10);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "http_load PORT PATH plants|cpu|series [key=value ...]\n");
        return 2;
    }
    options.port = strtoull(argv[1], NULL, 10);
    options.path = argv[2];
    options.set = argv[3];
    read_options(argc, argv);
    if (options.lines == 0 || options.batch == 0 || options.connections == 0 || options.connections > CONNECTIONS_MAX)
        return 2;
    make_requests();
    double seconds = run();
    if (atomic_load(&has_failed))
        return 1;
    report(seconds);
    return 0;
}
