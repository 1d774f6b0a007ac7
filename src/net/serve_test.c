/* serve_test.c - the HTTP server against raw sockets and the real client: what clients do right, what they do wrong, and what they do on
 * purpose. */
#include "base/alloc.h"
#include "base/limits.h"
#include "codec/compress.h"
#include "net/http.h"
#include "net/serve.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "test/lib/test.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* --- a server to try --------------------------------------------------------------------------------------------------------- */

struct world {
    struct af_serve *serve;
    struct af_serve_options options;
    _Atomic int handled, closed, seen_gone, done_count, done_status;
    _Atomic uint64_t done_in, done_out, arena_used;
};

struct stream {
    struct world *world;
    int pieces_left, fail_at;
    char piece[5000];
};

static enum af_status stream_next(void *ctx, struct af_slice *out, struct af_error *err)
{
    struct stream *s = ctx;
    (void)err;
    if (s->fail_at != 0 && s->pieces_left == s->fail_at)
        return AF_EIO;
    *out = (struct af_slice){ s->piece, s->pieces_left > 0 ? sizeof s->piece : 0 };
    s->pieces_left -= s->pieces_left > 0;
    return AF_OK;
}

static void stream_close(void *ctx)
{
    struct stream *s = ctx;
    atomic_fetch_add(&s->world->closed, 1);
    free(s);
}

static void answer_stream(struct world *w, const struct af_serve_request *r, struct af_serve_answer *a)
{
    struct stream *s = calloc(1, sizeof *s);
    const char *pieces = af_serve_arg(r, "pieces");
    const char *fail = af_serve_arg(r, "fail");
    s->world = w;
    s->pieces_left = pieces != NULL ? atoi(pieces) : 3;
    s->fail_at = fail != NULL ? atoi(fail) : 0;
    memset(s->piece, 's', sizeof s->piece);
    a->next = stream_next;
    a->close = stream_close;
    a->ctx = s;
}

static void until_gone(struct world *w, const struct af_serve_request *r)
{
    for (int i = 0; i < 500; i++) {
        if (__atomic_load_n(r->is_gone, __ATOMIC_RELAXED)) {
            atomic_fetch_add(&w->seen_gone, 1);
            return;
        }
        af_clock_sleep_ms(10);
    }
}

static void print_arg(void *ctx, const char *name, const char *value)
{
    af_buf_printf(ctx, "[%s=%s]", name, value);
}

static void answer_asked(const struct af_serve_request *r, struct af_serve_answer *a)
{
    const char *form = af_serve_form(r, "f");
    const char *header = af_serve_header(r, "x-TEST");
    af_buf_printf(&a->body, "%s %s f=%s x=%s loopback=%d tls=%d peer=%s ", r->method, r->path, form != NULL ? form : "-",
                  header != NULL ? header : "-", r->is_loopback, r->is_tls, r->peer);
    af_serve_args(r, print_arg, &a->body);
}

static void answer_unpacked(const struct af_serve_request *r, struct af_serve_answer *a)
{
    struct af_error err = { 0 };
    struct af_slice body;
    enum af_status status = af_serve_body(r, &body, &err);
    if (status == AF_OK)
        status = af_serve_body(r, &body, &err); /* asking twice is fine */
    if (status == AF_OK)
        af_buf_printf(&a->body, "%zu %.10s", body.len, body.len >= 10 ? body.ptr : "");
    else
        af_buf_printf(&a->body, "%s: %s", af_status_name(status), err.message);
}

static void handle(void *ctx, const struct af_serve_request *r, struct af_serve_answer *a)
{
    struct world *w = ctx;
    atomic_fetch_add(&w->handled, 1);
    a->content_type = "text/plain";
    if (strcmp(r->path, "/echo") == 0) {
        af_buf_append_slice(&a->body, r->body);
    } else if (strcmp(r->path, "/ask") == 0) {
        answer_asked(r, a);
        atomic_store(&w->arena_used, r->arena->bytes_used);
    } else if (strcmp(r->path, "/unpack") == 0) {
        answer_unpacked(r, a);
    } else if (strcmp(r->path, "/stream") == 0) {
        answer_stream(w, r, a);
    } else if (strcmp(r->path, "/gone") == 0) {
        until_gone(w, r);
    } else if (strcmp(r->path, "/slow") == 0) {
        af_clock_sleep_ms(300);
        af_buf_append_str(&a->body, "slept");
    } else if (strcmp(r->path, "/none") == 0) {
        a->status = 204;
        a->content_type = NULL;
        af_serve_add_header(a, "X-Twice", "one");
        af_serve_add_header(a, "X-Twice", "two\r\nX-Evil: yes");
    } else {
        a->status = 404;
    }
}

static int early(void *ctx, const struct af_serve_request *r, struct af_serve_answer *a)
{
    (void)ctx;
    if (af_serve_arg(r, "small") != NULL)
        a->body_bytes_max = 1000;
    a->is_unproven = af_serve_arg(r, "unproven") != NULL;
    if (strcmp(r->path, "/refused") != 0)
        return 0;
    af_serve_add_header(a, "X-Refused", "early");
    af_buf_append_str(&a->body, "not you");
    return 401;
}

static void done(void *ctx, const struct af_serve_request *r, int status, uint64_t bytes_in, uint64_t bytes_out, int64_t took_ns)
{
    struct world *w = ctx;
    (void)r;
    atomic_store(&w->done_status, took_ns >= 0 ? status : -1);
    atomic_store(&w->done_in, bytes_in);
    atomic_store(&w->done_out, bytes_out);
    atomic_fetch_add(&w->done_count, 1);
}

static void open_world(struct world *w, struct af_serve_options options)
{
    struct af_error err = { 0 };
    memset(w, 0, sizeof *w);
    options.handle = handle;
    options.early = early;
    options.done = done;
    options.ctx = w;
    w->options = options;
    AF_CHECK_OK(af_serve_start(&options, &w->serve, &err), err);
    AF_CHECK(af_serve_port(w->serve) != 0);
}

static void close_world(struct world *w)
{
    af_serve_stop(w->serve, 1000);
}

/* --- a raw client ------------------------------------------------------------------------------------------------------------ */

static int dial(const struct world *w)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(af_serve_port(w->serve)) };
    struct timeval patience = { .tv_sec = 10 };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    AF_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    AF_CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    return fd;
}

/* False: the other side closed. */
static bool say_bytes(int fd, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, (const char *)bytes + at, len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static bool say(int fd, const char *text)
{
    return say_bytes(fd, text, strlen(text));
}

struct heard {
    char text[200000];
    size_t len;
    bool has_ended; /* the connection */
};

/* Until `until` has come (NULL: until the end of the connection). */
static void hear(int fd, struct heard *h, const char *until)
{
    h->text[h->len] = '\0';
    while (until == NULL || strstr(h->text, until) == NULL) {
        ssize_t n = recv(fd, h->text + h->len, sizeof h->text - 1 - h->len, 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            af_test_failed(__FILE__, __LINE__, "waited too long for \"%s\"; came: %.2000s", until != NULL ? until : "the end", h->text);
        if (n <= 0) {
            h->has_ended = true;
            if (until != NULL)
                af_test_failed(__FILE__, __LINE__, "the connection ended before \"%s\"; came: %.2000s", until, h->text);
            return;
        }
        h->len += (size_t)n;
        h->text[h->len] = '\0';
        AF_CHECK(h->len < sizeof h->text - 1);
    }
}

static struct heard *ask(int fd, const char *request, const char *until)
{
    static struct heard h;
    memset(&h, 0, sizeof h);
    AF_CHECK(say(fd, request));
    hear(fd, &h, until);
    return &h;
}

static void has(const struct heard *h, const char *text)
{
    if (strstr(h->text, text) == NULL)
        af_test_failed(__FILE__, __LINE__, "\"%s\" is not in: %.2000s", text, h->text);
}

static void has_not(const struct heard *h, const char *text)
{
    if (strstr(h->text, text) != NULL)
        af_test_failed(__FILE__, __LINE__, "\"%s\" is in: %.2000s", text, h->text);
}

static bool wait_for(_Atomic int *value, int want)
{
    for (int i = 0; i < 500 && atomic_load(value) < want; i++)
        af_clock_sleep_ms(10);
    return atomic_load(value) >= want;
}

static void wait_no_bodies(struct world *w)
{
    struct af_serve_stats stats;
    for (int i = 0; i < 300; i++) {
        af_serve_stats(w->serve, &stats);
        if (stats.body_bytes == 0 && stats.busy_workers == 0)
            return;
        af_clock_sleep_ms(10);
    }
    AF_CHECK_INT(stats.body_bytes, 0);
}

/* --- what clients do right --------------------------------------------------------------------------------------------------- */

AF_TEST(serve_answers)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ 0 });
    int fd = dial(&w);
    struct heard *h = ask(fd, "GET /ask?a=1&b=x%20y+z&a=&c HTTP/1.1\r\nHost: h\r\nX-Test: yes\r\n\r\n", "[c=]");
    has(h, "HTTP/1.1 200 OK\r\n");
    has(h, "Content-Type: text/plain\r\n");
    has(h, "GET /ask f=- x=yes loopback=1 tls=0 peer=127.0.0.1 [a=1][b=x y z][a=][c=]");
    /* the connection is kept; a form in the body */
    h = ask(fd, "POST /ask?q=1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: "
                "15\r\n\r\n"
                "e=1&f=a%2Fb+c%z", "[q=1]");
    has(h, "POST /ask f=a/b c%z x=- ");
    h = ask(fd, "HEAD /ask HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\n");
    has(h, "200 OK");
    has_not(h, "Content-Length: 0\r\n");
    has_not(h, "peer=");
    h = ask(fd, "GET /none HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\n");
    has(h, "204 No Content\r\n");
    has(h, "X-Twice: one\r\n");
    has(h, "X-Twice: two  X-Evil: yes\r\n"); /* not a header of its own */
    has_not(h, "Content-Type");
    h = ask(fd, "GET /what HTTP/1.0\r\n\r\n", NULL);
    has(h, "404 Not Found");
    close(fd);
    AF_CHECK(wait_for(&w.done_count, 5));
    AF_CHECK_INT(w.done_status, 404);
    close_world(&w);
}

AF_TEST(serve_pipelined)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ 0 });
    int fd = dial(&w);
    struct heard *h = ask(fd,
                          "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nonePOST /echo HTTP/1.1\r\nHost: h\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n"
                          "2\r\ntw\r\n1\r\no\r\n0\r\n\r\nGET /slow HTTP/1.1\r\nHost: h\r\n\r\nPOST /echo HTTP/1.1\r\nHost: h\r\n"
                          "Content-Length: 4\r\n\r\nlast",
                          "last");
    const char *one = strstr(h->text, "one");
    const char *two = strstr(h->text, "two");
    const char *slept = strstr(h->text, "slept");
    AF_CHECK(one != NULL && two != NULL && slept != NULL && one < two && two < slept && slept < strstr(h->text, "last"));
    close(fd);
    close_world(&w);
}

AF_TEST(serve_expects)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ .body_bytes_max = 1000 });
    int fd = dial(&w);
    struct heard *h = ask(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", "\r\n\r\n");
    has(h, "HTTP/1.1 100 Continue");
    h = ask(fd, "abc", "abc");
    has(h, "200 OK");
    close(fd);
    fd = dial(&w); /* a body that is refused already is not asked for */
    h = ask(fd, "POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", NULL);
    has(h, "401 Unauthorized");
    has(h, "X-Refused: early");
    has_not(h, "100 Continue");
    close(fd);
    fd = dial(&w);
    h = ask(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n", NULL);
    has(h, "413 ");
    has(h, "Connection: close");
    has_not(h, "100 Continue");
    close(fd);
    AF_CHECK_INT(w.handled, 1);
    close_world(&w);
}

/* The body of a refused request is read and thrown away: it is no request of its own, and the connection lives on. */
AF_TEST(serve_refuses_early)
{
    static const char *const methods[] = { "POST", "PUT", "PATCH", "DELETE", "GET" };
    struct world w;
    open_world(&w, (struct af_serve_options){ .body_bytes_max = 1000 });
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char request[1000];
        int fd = dial(&w);
        snprintf(request, sizeof request,
                 "%s /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 39\r\n\r\nGET /echo HTTP/1.1\r\nHost: smuggled\r\n\r\n!"
                 "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nafter",
                 methods[i]);
        struct heard *h = ask(fd, request, "after");
        has(h, "401 Unauthorized");
        has(h, "not you");
        AF_CHECK_INT(atomic_load(&w.handled), i + 1);
        h = ask(fd, "POST /refused HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "not you");
        h = ask(fd, "GET /refused HTTP/1.1\r\nHost: h\r\n\r\n", "not you");
        close(fd);
    }
    int fd = dial(&w); /* more than would be listened to: told at once */
    struct heard *h = ask(fd, "POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n", NULL);
    has(h, "401 Unauthorized");
    has(h, "Connection: close");
    close(fd);
    close_world(&w);
}

/* --- limits ------------------------------------------------------------------------------------------------------------------ */

static size_t say_much(int fd, size_t len)
{
    static char zeros[10000];
    size_t sent = 0;
    memset(zeros, 'z', sizeof zeros);
    while (sent < len && say_bytes(fd, zeros, len - sent < sizeof zeros ? len - sent : sizeof zeros))
        sent += sizeof zeros;
    return sent;
}

AF_TEST(serve_limits_bodies)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ .body_bytes_max = 100000 });
    int fd = dial(&w);
    AF_CHECK(say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n"));
    AF_CHECK_INT(say_much(fd, 200000), 200000); /* read to its end */
    struct heard *h = ask(fd, "", "\r\n\r\n");
    has(h, "413 ");
    h = ask(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nfine", "fine"); /* and then went on */
    has(h, "200 OK");
    AF_CHECK(say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n"));
    AF_CHECK_INT(say_much(fd, 200000), 200000);
    h = ask(fd, "\r\n0\r\n\r\n", "\r\n\r\n");
    has(h, "413 ");
    close(fd);
    fd = dial(&w); /* beyond all measure: cut */
    AF_CHECK(say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5f5e100\r\n"));
    AF_CHECK(say_much(fd, 100000000) < 100000000);
    close(fd);
    AF_CHECK_INT(w.handled, 1);
    wait_no_bodies(&w);
    close_world(&w);
}

AF_TEST(serve_limits_all_bodies)
{
    struct world w;
    struct af_serve_stats stats;
    open_world(&w, (struct af_serve_options){ .body_bytes_max = 100000, .bodies_bytes_max = 150000 });
    int first = dial(&w);
    AF_CHECK(say(first, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n"));
    AF_CHECK(say_much(first, 80000) >= 80000);
    do {
        af_clock_sleep_ms(5);
        af_serve_stats(w.serve, &stats);
    } while (stats.body_bytes < 80000);
    int second = dial(&w);
    AF_CHECK(say(second, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n"));
    AF_CHECK(say_much(second, 90000) >= 90000);
    struct heard *h = ask(second, "", "\r\n\r\n");
    has(h, "503 ");
    has(h, "Retry-After: 1");
    AF_CHECK(say_much(first, 10000) >= 10000);
    h = ask(first, "", "zzz");
    has(h, "200 OK");
    h = ask(second, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok", "ok"); /* there is room again */
    close(first);
    close(second);
    wait_no_bodies(&w);
    close_world(&w);
}

/* Who need not say who he is sends small bodies, said beforehand or not. */
AF_TEST(serve_limits_one_body)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ .body_bytes_max = 100000 });
    int fd = dial(&w);
    struct heard *h = ask(fd, "POST /echo?small=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nfine", "fine");
    has(h, "200 OK");
    AF_CHECK(say(fd, "POST /echo?small=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n"));
    AF_CHECK(say_much(fd, 1000) >= 1000);
    h = ask(fd, "z", "\r\n\r\n");
    has(h, "413 ");
    h = ask(fd, "POST /echo?small=1 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n", "\r\n\r\n");
    has(h, "413 ");
    has_not(h, "100 Continue");
    close(fd);
    fd = dial(&w);
    AF_CHECK(say(fd, "POST /echo?small=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n"));
    AF_CHECK(say_much(fd, 10000) >= 10000);
    h = ask(fd, "\r\n0\r\n\r\n", "\r\n\r\n");
    has(h, "413 ");
    close(fd);
    AF_CHECK_INT(w.handled, 1);
    wait_no_bodies(&w);
    close_world(&w);
}

/* Bodies that nobody vouches for fill their part of the memory, and no more. */
AF_TEST(serve_limits_unproven_bodies)
{
    struct world w;
    struct af_serve_stats stats;
    open_world(&w, (struct af_serve_options){ .body_bytes_max = 100000, .bodies_bytes_max = 450000 });
    int first = dial(&w);
    AF_CHECK(say(first, "POST /echo?unproven=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n"));
    AF_CHECK(say_much(first, 80000) >= 80000);
    do {
        af_clock_sleep_ms(5);
        af_serve_stats(w.serve, &stats);
    } while (stats.body_bytes < 80000);
    int second = dial(&w);
    AF_CHECK(say(second, "POST /echo?unproven=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n"));
    AF_CHECK(say_much(second, 90000) >= 90000);
    struct heard *h = ask(second, "", "\r\n\r\n");
    has(h, "503 ");
    has(h, "Retry-After: 1");
    AF_CHECK(say(second, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n")); /* others have room */
    AF_CHECK(say_much(second, 90000) >= 90000);
    h = ask(second, "", "zzz");
    has(h, "200 OK");
    AF_CHECK(say_much(first, 10000) >= 10000);
    h = ask(first, "", "zzz");
    has(h, "200 OK");
    close(second);
    second = dial(&w); /* there is room again */
    AF_CHECK(say(second, "POST /echo?unproven=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n"));
    AF_CHECK(say_much(second, 90000) >= 90000);
    h = ask(second, "", "zzz");
    has(h, "200 OK");
    close(first);
    close(second);
    wait_no_bodies(&w);
    close_world(&w);
}

/* Names that are not asked for cost no memory. */
AF_TEST(serve_forms_cost_what_is_asked_for)
{
    enum { NAMES = 1000000 };
    static char body[NAMES + 10];
    char head[200];
    struct world w;
    memset(body, '&', NAMES);
    memcpy(body + NAMES, "%66=a%2Bb+c", 10); /* cut within: "%66=a%2Bb+" */
    open_world(&w, (struct af_serve_options){ 0 });
    int fd = dial(&w);
    (void)snprintf(head, sizeof head, "POST /ask HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                                      "Content-Length: %d\r\n\r\n", NAMES + 10);
    AF_CHECK(say(fd, head) && say_bytes(fd, body, sizeof body));
    struct heard *h = ask(fd, "", "peer=");
    has(h, "f=a+b  x=");
    AF_CHECK(atomic_load(&w.arena_used) < 100000);
    close(fd);
    close_world(&w);
}

AF_TEST(serve_limits_heads)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ 0 });
    int fd = dial(&w);
    bool went = say(fd, "GET /echo HTTP/1.1\r\nHost: h\r\n");
    char line[1010];
    memset(line, 'h', sizeof line);
    memcpy(line, "X-H: ", 5);
    memcpy(line + 1000, "\r\n", 3);
    for (int i = 0; i < 1000 && went; i++)
        went = say(fd, line);
    char answer[1000] = { 0 };
    (void)!recv(fd, answer, sizeof answer - 1, 0); /* 431, or the connection is reset before it is read */
    AF_CHECK(answer[0] == '\0' || strstr(answer, " 431 ") != NULL);
    close(fd);
    AF_CHECK_INT(w.handled, 0);
    close_world(&w);
}

AF_TEST(serve_limits_connections)
{
    struct world w;
    struct af_serve_stats stats;
    open_world(&w, (struct af_serve_options){ .io_threads = 1, .connections_max = 8 });
    int fds[8];
    for (int i = 0; i < 6; i++) {
        fds[i] = dial(&w);
        (void)ask(fds[i], "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", "hi");
    }
    for (int i = 6; i < 8; i++) { /* one address has at most three quarters */
        char byte;
        fds[i] = dial(&w);
        (void)say(fds[i], "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
        AF_CHECK(recv(fds[i], &byte, 1, 0) <= 0);
        close(fds[i]);
    }
    af_serve_stats(w.serve, &stats);
    AF_CHECK_INT(stats.open_connections, 6);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    close_world(&w);
}

/* --- gzip -------------------------------------------------------------------------------------------------------------------- */

static void pack(struct af_buf *out, const char *unit, size_t times)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_error err = { 0 };
    struct af_buf plain;
    af_buf_init(&plain, SIZE_MAX / 2);
    for (size_t i = 0; i < times; i++)
        af_buf_append_str(&plain, unit);
    AF_CHECK_OK(af_compress(&ctx, AF_CODEC_GZIP, 0, af_buf_slice(&plain), out, &err), err);
    af_buf_done(&plain);
    af_codec_ctx_done(&ctx);
}

static struct heard *unpack(int fd, struct af_slice body, const char *encoding, const char *until)
{
    char head[300];
    snprintf(head, sizeof head, "POST /unpack HTTP/1.1\r\nHost: h\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n", encoding,
        body.len);
    AF_CHECK(say(fd, head) && say_bytes(fd, body.ptr, body.len));
    return ask(fd, "", until);
}

AF_TEST(serve_unpacks)
{
    struct world w;
    struct af_buf packed;
    open_world(&w, (struct af_serve_options){ .body_bytes_max = 1 << 20 });
    af_buf_init(&packed, SIZE_MAX / 2);
    int fd = dial(&w);
    pack(&packed, "0123456789", 5000);
    (void)unpack(fd, af_buf_slice(&packed), "gzip", "50000 0123456789");
    (void)unpack(fd, af_buf_slice(&packed), "X-GZIP", "50000 0123456789");
    pack(&packed, "0123456789", 7); /* a second member: the trailer promises 70 only */
    (void)unpack(fd, af_buf_slice(&packed), "gzip", "50070 0123456789");
    (void)unpack(fd, (struct af_slice){ packed.ptr, packed.len - 9 }, "gzip", "ECORRUPT: unexpected EOF");
    packed.ptr[packed.len - 6] ^= 1;
    (void)unpack(fd, af_buf_slice(&packed), "gzip", "ECORRUPT: gzip: invalid checksum");
    (void)unpack(fd, AF_SLICE_LIT("m f=1"), "gzip", "ECORRUPT: gzip: invalid header");
    (void)unpack(fd, AF_SLICE_LIT(""), "gzip", "0 ");
    (void)unpack(fd, AF_SLICE_LIT("0123456789"), "identity", "10 0123456789");
    close(fd);
    af_buf_done(&packed);
    wait_no_bodies(&w);
    close_world(&w);
}

/* A gigabyte of zeros in a megabyte: never more than the limit comes out of it, whatever its trailer says. */
AF_TEST(serve_unpacks_no_bomb)
{
    struct world w;
    struct af_buf packed;
    open_world(&w, (struct af_serve_options){ .body_bytes_max = 1 << 20, .bodies_bytes_max = 3 << 20 });
    af_buf_init(&packed, SIZE_MAX / 2);
    pack(&packed, "0000000000000000000000000000000000000000000000000000000000000000", 4 << 20);
    uint64_t before = af_memory_peak();
    int fd = dial(&w);
    (void)unpack(fd, af_buf_slice(&packed), "gzip", "ELIMIT: ");
    memcpy(packed.ptr + packed.len - 4, "\x10\0\0", 4); /* "sixteen bytes" */
    (void)unpack(fd, af_buf_slice(&packed), "gzip", "ELIMIT: ");
    memcpy(packed.ptr + packed.len - 4, "\xff\xff\xff\xff", 4);
    (void)unpack(fd, af_buf_slice(&packed), "gzip", "ELIMIT: ");
    AF_CHECK(af_memory_peak() - before < (uint64_t)64 << 20);
    close(fd);
    af_buf_done(&packed);
    wait_no_bodies(&w);
    close_world(&w);
}

AF_TEST(serve_unpacks_within_the_sum)
{
    struct world w;
    struct af_buf packed;
    open_world(&w, (struct af_serve_options){ .body_bytes_max = 1 << 20, .bodies_bytes_max = 100000 });
    af_buf_init(&packed, SIZE_MAX / 2);
    pack(&packed, "0123456789", 20000);
    int fd = dial(&w);
    (void)unpack(fd, af_buf_slice(&packed), "gzip", "EBUSY: ");
    af_buf_clear(&packed);
    pack(&packed, "0123456789", 2000);
    (void)unpack(fd, af_buf_slice(&packed), "gzip", "20000 0123456789");
    close(fd);
    af_buf_done(&packed);
    wait_no_bodies(&w);
    close_world(&w);
}

/* --- time -------------------------------------------------------------------------------------------------------------------- */

static int64_t drip(int fd, const char *text, unsigned every_ms)
{
    int64_t start_ns = af_clock_mono_ns();
    char byte;
    for (size_t i = 0; i < 1000; i++) {
        if (!say_bytes(fd, &text[i % strlen(text)], 1) || recv(fd, &byte, 1, MSG_DONTWAIT) == 0)
            break;
        af_clock_sleep_ms(every_ms);
    }
    return (af_clock_mono_ns() - start_ns) / 1000000;
}

AF_TEST(serve_cuts_dripping_bodies)
{
    struct world w;
    struct af_serve_stats stats;
    open_world(&w, (struct af_serve_options){ .request_timeout_ms = 500, .idle_timeout_ms = 5000 });
    int fd = dial(&w);
    AF_CHECK(say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"));
    int64_t took_ms = drip(fd, "body", 20);
    AF_CHECK(took_ms >= 450 && took_ms < 4000);
    close(fd);
    int other = dial(&w); /* others do not notice */
    (void)ask(other, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", "hi");
    close(other);
    af_serve_stats(w.serve, &stats);
    AF_CHECK_INT(stats.timeouts, 1);
    wait_no_bodies(&w);
    close_world(&w);
}

AF_TEST(serve_cuts_dripping_heads_and_idlers)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ .request_timeout_ms = 5000, .idle_timeout_ms = 400 });
    int fd = dial(&w);
    AF_CHECK(say(fd, "GET /echo HTTP/1.1\r\n"));
    int64_t took_ms = drip(fd, "X: y\r\n", 20);
    AF_CHECK(took_ms >= 350 && took_ms < 4000);
    close(fd);
    fd = dial(&w);
    (void)ask(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", "hi");
    int64_t start_ns = af_clock_mono_ns();
    struct heard *h = ask(fd, "", NULL);
    took_ms = (af_clock_mono_ns() - start_ns) / 1000000;
    AF_CHECK(h->has_ended && took_ms >= 250 && took_ms < 3000);
    close(fd);
    close_world(&w);
}

/* A handler that takes longer than an idle connection may rest is not idle. */
AF_TEST(serve_waits_for_handlers)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ .idle_timeout_ms = 100 });
    int fd = dial(&w);
    (void)ask(fd, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n", "slept");
    close(fd);
    close_world(&w);
}

AF_TEST(serve_tells_of_gone_clients)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ 0 });
    int fd = dial(&w);
    AF_CHECK(say(fd, "GET /gone HTTP/1.1\r\nHost: h\r\n\r\n"));
    AF_CHECK(wait_for(&w.handled, 1));
    close(fd);
    AF_CHECK(wait_for(&w.seen_gone, 1));
    close_world(&w);
}

/* --- streams ----------------------------------------------------------------------------------------------------------------- */

static size_t count_of(const char *text, char c)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == c;
    return n;
}

AF_TEST(serve_streams)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ 0 });
    int fd = dial(&w);
    struct heard *h = ask(fd, "GET /stream?pieces=20 HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n0\r\n\r\n");
    has(h, "Transfer-Encoding: chunked");
    AF_CHECK_INT(count_of(strstr(h->text, "\r\n\r\n"), 's'), 20 * 5000);
    h = ask(fd, "HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\n");
    h = ask(fd, "GET /stream?pieces=0 HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n0\r\n\r\n");
    h = ask(fd, "GET /stream?pieces=2 HTTP/1.0\r\n\r\n", NULL);
    AF_CHECK_INT(count_of(strstr(h->text, "\r\n\r\n"), 's'), 2 * 5000);
    close(fd);
    fd = dial(&w);
    h = ask(fd, "GET /stream?pieces=5&fail=2 HTTP/1.1\r\nHost: h\r\n\r\n", NULL);
    AF_CHECK_INT(count_of(strstr(h->text, "\r\n\r\n"), 's'), 3 * 5000);
    has_not(h, "\r\n0\r\n\r\n"); /* a client sees that it is not whole */
    close(fd);
    AF_CHECK(wait_for(&w.closed, 5));
    AF_CHECK_INT(w.closed, 5);
    close_world(&w);
}

AF_TEST(serve_streams_to_a_client_that_leaves)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ 0 });
    for (int i = 0; i < 5; i++) {
        int fd = dial(&w);
        struct heard *h = ask(fd, "GET /stream?pieces=100000000 HTTP/1.1\r\nHost: h\r\n\r\n", "ssss");
        AF_CHECK(h->len > 0);
        close(fd);
    }
    AF_CHECK(wait_for(&w.closed, 5));
    close_world(&w);
    AF_CHECK_INT(w.closed, 5);
}

/* A client that asks for a stream and does not read it holds no worker, and is cut when it rests too long. */
AF_TEST(serve_streams_to_a_client_that_sleeps)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ .workers = 1, .idle_timeout_ms = 1000 });
    int fd = dial(&w);
    AF_CHECK(say(fd, "GET /stream?pieces=100000000 HTTP/1.1\r\nHost: h\r\n\r\n"));
    AF_CHECK(wait_for(&w.handled, 1));
    int other = dial(&w);
    (void)ask(other, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", "hi");
    close(other);
    AF_CHECK(wait_for(&w.closed, 1));
    close(fd);
    close_world(&w);
}

/* --- many, and the end ------------------------------------------------------------------------------------------------------- */

struct crowd {
    struct world *world;
    _Atomic int good;
};

static bool echo_once(int fd, int i)
{
    char request[200];
    char want[20];
    char got[1000];
    size_t len = 0;
    snprintf(want, sizeof want, "<%06d>", i);
    snprintf(request, sizeof request, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n%s", want);
    if (!say(fd, request))
        return false;
    do {
        ssize_t n = recv(fd, got + len, sizeof got - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        got[len] = '\0';
    } while (strstr(got, "<") == NULL || strstr(got, ">") == NULL);
    return strstr(got, want) != NULL;
}

static void crowd_main(void *ctx)
{
    enum { EACH = 50 };
    struct crowd *crowd = ctx;
    int fds[EACH];
    for (int i = 0; i < EACH; i++)
        fds[i] = dial(crowd->world);
    for (int round = 0; round < 5; round++)
        for (int i = 0; i < EACH; i++)
            atomic_fetch_add(&crowd->good, echo_once(fds[i], round * EACH + i));
    for (int i = 0; i < EACH; i++)
        close(fds[i]);
}

AF_TEST(serve_200_connections)
{
    struct world w;
    struct crowd crowd = { .world = &w };
    struct af_thread threads[4] = { 0 };
    struct af_error err = { 0 };
    open_world(&w, (struct af_serve_options){ 0 });
    for (int i = 0; i < 4; i++)
        AF_CHECK_OK(af_thread_start(&threads[i], "crowd", crowd_main, &crowd, &err), err);
    for (int i = 0; i < 4; i++)
        af_thread_join(&threads[i]);
    AF_CHECK_INT(crowd.good, 1000);
    wait_no_bodies(&w);
    close_world(&w);
    AF_CHECK_INT(w.done_count, 1000);
}

static void stop_main(void *ctx)
{
    struct world *w = ctx;
    af_serve_stop(w->serve, 20000);
}

/* Requests in work are answered; then the connections end. */
AF_TEST(serve_stops_gracefully)
{
    struct world w;
    struct af_thread stopper = { 0 };
    struct af_error err = { 0 };
    open_world(&w, (struct af_serve_options){ 0 });
    int idle = dial(&w);
    (void)ask(idle, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", "hi");
    int half = dial(&w);
    AF_CHECK(say(half, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\nhalf"));
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = dial(&w);
        AF_CHECK(say(fds[i], "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    struct af_serve_stats stats;
    do { /* until all of them were taken */
        af_clock_sleep_ms(5);
        af_serve_stats(w.serve, &stats);
    } while (stats.requests < 22);
    int64_t start_ns = af_clock_mono_ns();
    AF_CHECK_OK(af_thread_start(&stopper, "stop", stop_main, &w, &err), err);
    af_clock_sleep_ms(50);
    (void)say(idle, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"); /* 503, or the end */
    for (int i = 0; i < 20; i++) {
        struct heard *h = ask(fds[i], "", NULL);
        has(h, "slept");
        close(fds[i]);
    }
    af_thread_join(&stopper);
    AF_CHECK(af_clock_mono_ns() - start_ns < INT64_C(15000000000)); /* not the whole grace */
    static struct heard h;
    hear(idle, &h, NULL);
    has_not(&h, "200 OK");
    close(idle);
    close(half);
}

/* A handler that does not end by itself is told that nobody waits. */
AF_TEST(serve_stops_in_time)
{
    struct world w;
    open_world(&w, (struct af_serve_options){ 0 });
    int fd = dial(&w);
    int stream = dial(&w);
    AF_CHECK(say(fd, "GET /gone HTTP/1.1\r\nHost: h\r\n\r\n"));
    AF_CHECK(say(stream, "GET /stream?pieces=100000000 HTTP/1.1\r\nHost: h\r\n\r\n"));
    AF_CHECK(wait_for(&w.handled, 2));
    int64_t start_ns = af_clock_mono_ns();
    af_serve_stop(w.serve, 200);
    AF_CHECK(af_clock_mono_ns() - start_ns < INT64_C(3000000000));
    AF_CHECK_INT(w.seen_gone, 1);
    AF_CHECK_INT(w.closed, 1);
    close(fd);
    close(stream);
}

/* Stopping while clients keep coming, many times: what was taken ends one way or the other. */
static void pester_main(void *ctx)
{
    struct world *w = ctx;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(af_serve_port(w->serve)) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 30; i++) {
        char answer[20000];
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
            say(fd, i % 3 == 0 ? "GET /stream?pieces=3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                               : "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"))
            while (recv(fd, answer, sizeof answer, 0) > 0)
                continue;
        close(fd);
    }
}

AF_TEST(serve_stops_while_pestered)
{
    for (int round = 0; round < 10; round++) {
        struct world w;
        struct af_thread threads[3] = { 0 };
        struct af_error err = { 0 };
        open_world(&w, (struct af_serve_options){ .workers = 2 });
        for (int i = 0; i < 3; i++)
            AF_CHECK_OK(af_thread_start(&threads[i], "pester", pester_main, &w, &err), err);
        af_clock_sleep_ms((uint32_t)round * 3);
        struct af_serve *serve = w.serve;
        for (int i = 0; i < 3 && round % 2 == 0; i++)
            af_thread_join(&threads[i]);
        af_serve_stop(serve, round % 2 == 0 ? 500 : 0);
        for (int i = 0; i < 3; i++)
            af_thread_join(&threads[i]);
    }
}

/* --- hostile heads ----------------------------------------------------------------------------------------------------------- */

AF_TEST(serve_survives_nonsense)
{
    static const char *const heads[] = {
        "\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02", "GET /echo HTTP/1.1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\nabc", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: "
                                                                           "99999999999999999999\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 300\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /slow HTTP/1.1\r\nHost: "
        "h\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", "GET /%00%ff%zz?%=%%&&&=&a==b HTTP/1.1\r\n"
                                                                                         "Host: h\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", "GET /echo HTTP/1.1\nHost: h\n\n", "get /echo HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET http://other/echo HTTP/1.1\r\nHost: h\r\n\r\n", "* * *\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    struct world w;
    open_world(&w, (struct af_serve_options){ .idle_timeout_ms = 300, .request_timeout_ms = 300 });
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        int fd = dial(&w);
        (void)say(fd, heads[i]);
        (void)shutdown(fd, SHUT_WR);
        char answer[4000];
        while (recv(fd, answer, sizeof answer, 0) > 0)
            continue;
        close(fd);
    }
    int fd = dial(&w);
    (void)ask(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", "hi");
    close(fd);
    wait_no_bodies(&w);
    close_world(&w);
}

/* --- TLS, and starting ------------------------------------------------------------------------------------------------------- */

static void make_certificate(char *cert, char *key, size_t cap)
{
    char command[2000];
    snprintf(cert, cap, "%s/cert.pem", af_test_dir());
    snprintf(key, cap, "%s/key.pem", af_test_dir());
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext "
             "subjectAltName=IP:127.0.0.1,DNS:localhost -keyout %s -out %s 2>%s/openssl.log",
             key, cert, af_test_dir());
    AF_CHECK(system(command) == 0);
}

AF_TEST(serve_speaks_tls)
{
    char cert[600];
    char key[600];
    char url[100];
    struct world w;
    struct af_error err = { 0 };
    struct af_http *http;
    struct af_http_answer answer;
    make_certificate(cert, key, sizeof cert);
    open_world(&w, (struct af_serve_options){ .tls_cert = cert, .tls_key = key });
    snprintf(url, sizeof url, "https://127.0.0.1:%u/ask", (unsigned)af_serve_port(w.serve));
    struct af_http_options options = { .ca_file = cert };
    AF_CHECK_OK(af_http_new(&options, &http, &err), err);
    af_http_answer_init(&answer);
    struct af_http_request request = { .method = "GET", .url = url };
    AF_CHECK_OK(af_http_send(http, &request, &answer, &err), err);
    AF_CHECK_INT(answer.status, 200);
    AF_CHECK(strstr(af_buf_cstr(&answer.body), "tls=1") != NULL);
    char command[300];
    snprintf(command, sizeof command, "openssl s_client -connect 127.0.0.1:%u -tls1_1 -cipher ALL@SECLEVEL=0 </dev/null >/dev/null 2>&1",
             (unsigned)af_serve_port(w.serve));
    AF_CHECK(system(command) != 0);
    memcpy(strstr(command, "-tls1_1"), "-tls1_2", 7);
    AF_CHECK(system(command) == 0);
    int fd = dial(&w); /* plain HTTP where TLS is spoken */
    (void)say(fd, "GET /ask HTTP/1.1\r\nHost: h\r\n\r\n");
    char byte[4000];
    while (recv(fd, byte, sizeof byte, 0) > 0)
        continue;
    close(fd);
    AF_CHECK_INT(w.handled, 1);
    af_http_answer_done(&answer);
    af_http_free(http);
    close_world(&w);
}

AF_TEST(serve_says_why_it_does_not_start)
{
    char cert[600];
    char key[600];
    struct af_error err = { 0 };
    struct af_serve *other = NULL;
    struct world w;
    open_world(&w, (struct af_serve_options){ 0 });
    struct af_serve_options options = { .handle = handle, .port = af_serve_port(w.serve) };
    AF_CHECK_FAILS(af_serve_start(&options, &other, &err), AF_EBUSY);
    AF_CHECK(strstr(err.message, "another server") != NULL);
    close_world(&w);
    options = (struct af_serve_options){ .handle = handle, .address = "nowhere" };
    AF_CHECK_FAILS(af_serve_start(&options, &other, &err), AF_EINVAL);
    options = (struct af_serve_options){ .handle = handle, .tls_cert = "x" };
    AF_CHECK_FAILS(af_serve_start(&options, &other, &err), AF_EINVAL);
    options = (struct af_serve_options){ .handle = handle, .tls_cert = "/nowhere/cert", .tls_key = "/nowhere/key" };
    AF_CHECK_FAILS(af_serve_start(&options, &other, &err), AF_ENOTFOUND);
    make_certificate(cert, key, sizeof cert);
    options = (struct af_serve_options){ .handle = handle, .tls_cert = key, .tls_key = cert }; /* mixed up */
    AF_CHECK_FAILS(af_serve_start(&options, &other, &err), AF_EINVAL);
    AF_CHECK(strstr(err.message, "TLS") != NULL);
}

AF_TEST(serve_listens_on_ipv6)
{
    struct world w;
    struct af_serve_options options = { .address = "::1" };
    open_world(&w, options);
    char url[100];
    struct af_error err = { 0 };
    struct af_http *http;
    struct af_http_answer answer;
    snprintf(url, sizeof url, "http://[::1]:%u/ask", (unsigned)af_serve_port(w.serve));
    AF_CHECK_OK(af_http_new(&(struct af_http_options){ 0 }, &http, &err), err);
    af_http_answer_init(&answer);
    struct af_http_request request = { .method = "GET", .url = url };
    AF_CHECK_OK(af_http_send(http, &request, &answer, &err), err);
    AF_CHECK(strstr(af_buf_cstr(&answer.body), "loopback=1 tls=0 peer=::1 ") != NULL);
    af_http_answer_done(&answer);
    af_http_free(http);
    close_world(&w);
}

AF_TEST(serve_start_without_memory)
{
    struct af_serve_options options = { .handle = handle };
    for (size_t nth = 1;; nth++) {
        struct af_serve *serve = NULL;
        struct af_error err = { 0 };
        (void)af_alloc_fail_nth(nth);
        enum af_status status = af_serve_start(&options, &serve, &err);
        (void)af_alloc_fail_nth(0);
        if (status == AF_OK) {
            af_serve_stop(serve, 0);
            AF_CHECK(nth > 1);
            return;
        }
        AF_CHECK_INT(status, AF_ENOMEM);
    }
}
